"""Threats and what is done about them (docs/tara/README.md): every row is whole, and every test that it names exists."""
import ast
import json
import os
import re
import subprocess

import yaml

import tree

FIELDS = ["id", "asset", "threat", "attack_path", "impact", "feasibility", "treatment", "tests"]
IMPACTS = ["negligible", "moderate", "major", "severe"]  # ISO/SAE 21434, 15.5
FEASIBILITIES = ["very low", "low", "medium", "high"]  # ISO/SAE 21434, 15.7
TREATMENTS = ["avoid", "reduce", "share", "retain"]  # ISO/SAE 21434, 15.9
ID = re.compile(r"[A-Z]+-\d{2,3}")


class Tests:
    """The tests of the tree, by the names that rows use."""

    def __init__(self, root):
        self.root = root
        self.python = {}
        self.meson = None

    def missing(self, name):
        """Why @name is no test, or None."""
        if name.startswith("meson:"):
            return self.missing_meson(*name[len("meson:"):].partition("::")[::2])
        path, separator, function = name.partition("::")
        if not separator:
            return "expected tests/FILE.py::test_name or meson:TEST::check_name"
        if not os.path.isfile(os.path.join(self.root, path)):
            return f"there is no {path}"
        if function.partition("[")[0] not in self.functions(path):
            return f"{path} has no {function}"
        return None

    def functions(self, path):
        """The names of tests in a Python file: test_x, and TestY::test_x of a class."""
        if path not in self.python:
            names = set()
            for node in ast.parse(tree.read(self.root, path)).body:
                if isinstance(node, ast.ClassDef):
                    names |= {f"{node.name}::{f.name}" for f in node.body if isinstance(f, ast.FunctionDef)}
                elif isinstance(node, ast.FunctionDef):
                    names.add(node.name)
            self.python[path] = {name for name in names if name.rpartition("::")[2].startswith("test")}
        return self.python[path]

    def missing_meson(self, test, case):
        if self.meson is None:
            self.meson = self.meson_tests()
        if test not in self.meson:
            return f"meson has no test {test}"
        if case and not any(self.has_case(source, case) for source in self.meson[test]):
            return f"{', '.join(self.meson[test])} has no START_TEST({case})"
        return None

    def has_case(self, source, case):
        return re.search(rf"START_TEST\(\s*{re.escape(case)}\s*\)", tree.read(self.root, source)) is not None

    def meson_tests(self):
        """The name of each registered test -> the sources of its program."""
        build = os.path.join(self.root, os.environ.get("BUILD", "build"))
        answer = subprocess.run(["meson", "introspect", build, "--tests", "--targets"], capture_output=True, text=True,
                                check=False)
        if answer.returncode != 0:
            return {}
        facts = json.loads(answer.stdout)
        sources = {}
        for target in facts["targets"]:
            own = [os.path.relpath(source, self.root) for group in target["target_sources"]
                   for source in group.get("sources", [])]
            for program in target["filename"]:
                sources[program] = [source for source in own if not source.startswith("..")]
        return {test["name"]: sources.get(test["cmd"][0], []) for test in facts["tests"]}


def row_problems(row, tests):
    if not isinstance(row, dict):
        return ["is not a mapping"]
    problems = [f"lacks {field}" for field in FIELDS if row.get(field) in (None, "")]
    problems += [f"has an unknown field {field}" for field in row if field not in FIELDS + ["note"]]
    if not ID.fullmatch(str(row.get("id", ""))):
        problems.append(f"has the id {row.get('id')!r}: expected AREA-01")
    for field, values in (("impact", IMPACTS), ("feasibility", FEASIBILITIES)):
        if row.get(field) not in values:
            problems.append(f"has the {field} {row.get(field)!r}: expected one of {', '.join(values)}")
    option, colon, text = str(row.get("treatment", "")).partition(":")
    if option not in TREATMENTS or not colon or not text.strip():
        problems.append(f"has the treatment {row.get('treatment')!r}: expected \"<{'|'.join(TREATMENTS)}>: what is done\"")
    names = row.get("tests")
    if not isinstance(names, list):
        return problems + ["has no list of tests"]
    if option in ("avoid", "reduce") and not names:
        problems.append("names no test of its treatment")
    for name in names:
        reason = tests.missing(str(name))
        if reason:
            problems.append(f"names the test {name}: {reason}")
    return problems


def cve_problems(root, tests):
    """The tests that docs/tara/cves.md names in backticks exist."""
    path = os.path.join("docs", "tara", "cves.md")
    names = re.findall(r"`((?:meson:[a-z]|tests/)[^` ]+)`", tree.read(root, path))
    reasons = [(name, tests.missing(name)) for name in names]
    return [f"{path}: names the test {name}: {reason}" for name, reason in reasons if reason]


def check(root):
    tests, problems, seen = Tests(root), [], {}
    problems += cve_problems(root, tests)
    for path in tree.files(root, ".yaml"):
        if not path.startswith(os.path.join("docs", "tara") + os.sep):
            continue
        try:
            rows = yaml.safe_load(tree.read(root, path))
        except yaml.YAMLError as error:
            problems.append(f"{path}: {str(error).splitlines()[0]}")
            continue
        if not isinstance(rows, list) or not rows:
            problems.append(f"{path}: expected a list of threats")
            continue
        for number, row in enumerate(rows, 1):
            name = row.get("id", f"row {number}") if isinstance(row, dict) else f"row {number}"
            problems += [f"{path}: {name} {problem}" for problem in row_problems(row, tests)]
            if name in seen:
                problems.append(f"{path}: {name} is also in {seen[name]}: an id is used once")
            seen[name] = path
    return problems
