"""The scripts behind make: what they say, and that a gate that should fail does."""
import json
import os
import pathlib
import subprocess
import time

import pytest

import count

ROOT = pathlib.Path(__file__).parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")


def run(*command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=ROOT,
                          stdin=subprocess.DEVNULL, **options)


def test_deps_is_silent_and_quick_when_nothing_is_missing():
    started = time.monotonic()
    done = run("tools/deps.sh", "build", "run", "test")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - started < 0.5  # 0.02 s on an idle machine


def test_deps_refuses_an_unknown_set():
    done = run("tools/deps.sh", "bulid")
    assert done.returncode == 2
    assert done.stderr == 'deps.sh: unknown set "bulid": expected build, run, test or bench\n'


@pytest.mark.skipif(os.geteuid() != 0, reason="drops root")
def test_deps_tells_who_is_not_root_what_root_must_type(tmp_path):
    """A dpkg that knows no package, and no sudo."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "sed", "tr", "id", "env"):
        (tools / name).symlink_to(f"/usr/bin/{name}")
    (tools / "dpkg-query").write_text("#!/bin/sh\nexit 1\n")
    (tools / "dpkg-query").chmod(0o755)
    tmp_path.chmod(0o755)
    script = tmp_path / "deps.sh"  # the clone itself may lie where only root looks
    script.write_text((ROOT / "tools/deps.sh").read_text())
    os.chmod(tmp_path.parent, 0o755)
    os.chmod(tmp_path.parent.parent, 0o755)
    done = run("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", script, "build",
               env={"PATH": str(tools)})
    assert done.returncode == 1
    assert "Axle needs these Debian packages: gcc " in done.stdout
    assert done.stderr.startswith("Installing them needs root. Have root type:\n  apt-get install --no-install-recommends gcc ")


def test_unknown_suite_is_refused():
    done = run("tools/test.sh", "nothing")
    assert done.returncode == 2
    assert 'unknown suite "nothing"' in done.stderr


def test_install_refuses_a_relative_prefix():
    done = run("tools/install.sh", env={**os.environ, "PREFIX": "usr"})
    assert done.returncode == 2
    assert done.stderr == 'install.sh: PREFIX is "usr": expected an absolute path\n'


MESON_ROWS = [
    {"name": "a", "stdout": "100%: Checks: 5, Failures: 0, Errors: 0\n", "result": "OK"},
    {"name": "b", "stdout": "66%: Checks: 3, Failures: 1, Errors: 0\n", "result": "FAIL"},
    {"name": "c", "stdout": "1 files replayed\n", "result": "OK"},
    {"name": "leak", "stdout": "100%: Checks: 2, Failures: 0, Errors: 0\n", "result": "FAIL"},
    {"name": "crash", "stdout": None, "result": "TIMEOUT"},
    {"name": "d", "stdout": "", "result": "SKIP"},
]


def test_checks_are_counted_one_by_one(tmp_path):
    """5 + 2 of 3 + 1 + 1 of 2 pass; a crash and a leak report are failures though no check failed."""
    log = tmp_path / "log.json"
    log.write_text("".join(json.dumps(row) + "\n" for row in MESON_ROWS))
    assert count.count_meson(log) == (9, 3, 1)


def test_pytest_report_is_counted(tmp_path):
    report = tmp_path / "report.xml"
    report.write_text('<testsuites><testsuite errors="1" failures="2" skipped="3" tests="10"/></testsuites>')
    assert count.count_junit(report) == (4, 3, 3)


def fuzz_program():
    found = sorted(path for path in (BUILD / "tests").glob("fuzz_*") if path.is_file() and os.access(path, os.X_OK))
    assert found, f"{BUILD}/tests has no fuzz target: run tools/build.sh"
    return found[0]


def test_replay_of_an_empty_corpus_fails(tmp_path):
    done = run(fuzz_program(), tmp_path)
    assert done.returncode == 1
    assert "no corpus" in done.stderr


def test_replay_feeds_each_file(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"\0" * 10)
    assert run(fuzz_program(), tmp_path).stdout == "2 files replayed\n"


def test_every_program_answers_help_and_version(stage):
    """Each installed program says what it is on --help and --version, with exit code 0 and nothing on stderr."""
    programs = stage.programs()
    assert programs
    for path in programs:
        for option in ("--help", "--version"):
            done = run(path, option, timeout=10)
            assert done.returncode == 0 and done.stdout and not done.stderr, (path, option, done)
        assert "0.1.0" in run(path, "--version").stdout, path


def test_every_target_of_make_help_is_there():
    lines = run("make", "help").stdout.split("\n")
    goals = [line.split()[1] for line in lines if line.strip()]
    assert {"build", "deps", "run", "test", "soak", "bench", "install", "clean", "help"} <= set(goals)
