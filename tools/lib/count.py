#!/usr/bin/python3
"""Counts what a test runner ran, from its own report: "PASSED FAILED SKIPPED" on one line.

count.py meson LOG.json   meson's test log; a Check program counts as the number of its checks
count.py junit FILE.xml   what pytest --junitxml writes
"""
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

# What Check prints last: "100%: Checks: 5, Failures: 0, Errors: 0"
CHECK_SUMMARY = re.compile(r"^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)$", re.MULTILINE)


def count_meson(path):
    passed = failed = skipped = 0
    with open(path, encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            summaries = CHECK_SUMMARY.findall(test.get("stdout") or "")
            checks = sum(int(total) for total, _, _ in summaries)
            bad = sum(int(failures) + int(errors) for _, failures, errors in summaries)
            if test["result"] == "SKIP":
                skipped += 1
                continue
            if test["result"] not in ("OK", "EXPECTEDFAIL"):
                bad = max(bad, 1)  # a crash, a time-out, a leak report after a run without a failed check
            elif not summaries:
                checks = 1
            passed += max(checks - bad, 0)
            failed += bad
    return passed, failed, skipped


def count_junit(path):
    passed = failed = skipped = 0
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        total = int(suite.get("tests", 0))
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        omitted = int(suite.get("skipped", 0))
        passed += max(total - bad - omitted, 0)
        failed += bad
        skipped += omitted
    return passed, failed, skipped


def main():
    count = {"meson": count_meson, "junit": count_junit}[sys.argv[1]]
    print(*count(sys.argv[2]))


if __name__ == "__main__":
    main()
