"""Bad input: one line that names the thing and what was expected; 126 and 127 for their causes only; nothing left."""
import json
import os

import pytest

import axrun


def one_line(done):
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("axrun: "), done.stderr
    return lines[0]


@pytest.mark.parametrize("program, status, words", [
    ("nosuchprogram", 127, 'exec: "nosuchprogram": executable file not found in $PATH'),
    ("/no/such", 127, "exec /no/such: no such file or directory"),
    ("/etc/passwd", 126, "exec /etc/passwd: permission denied"),
    ("/etc", 126, "exec /etc: permission denied"),
    ("/broken", 126, "exec /broken: Exec format error"),
])
def test_program_that_cannot_be_executed(bundle, program, status, words):
    (bundle.root / "broken").write_bytes(b"\x00\x01\x02\x03")
    (bundle.root / "broken").chmod(0o755)
    done = bundle.args(program).run()
    assert done.returncode == status
    assert words in one_line(done)
    assert axrun.cgroup_directories(bundle.prefix) == []
    assert bundle.axrun_run("list", "-q").stdout == ""


def test_the_phrases_are_for_the_program_alone(bundle):
    """podman and containerd read 126 and 127 out of them."""
    bundle.args("true").mount("/x", "/no/such/source", "bind")
    line = one_line(bundle.run())
    assert "mount source /no/such/source for /x" in line and "ENOENT" in line
    assert "no such file or directory" not in line.lower()


@pytest.mark.parametrize("change, words", [
    (lambda c: c.pop("ociVersion"), "ociVersion"),
    (lambda c: c.update(ociVersion="2.0.0"), "ociVersion: expected 1.x, found 2.0.0"),
    (lambda c: c["process"].update(args=[]), "process.args: expected at least one argument"),
    (lambda c: c["process"].update(cwd="relative"), "process.cwd: expected an absolute path, found relative"),
    (lambda c: c["process"].update(args="sh"), "process.args: expected a list of strings"),
    (lambda c: c.pop("root"), "root.path"),
    (lambda c: c["root"].update(path="nowhere"), "root file system"),
    (lambda c: c["linux"]["namespaces"].append({"type": "color"}), "found color"),
    (lambda c: c["linux"]["namespaces"].append({"type": "pid"}), "each type once, found pid"),
    (lambda c: c["process"].update(rlimits=[{"type": "RLIMIT_X", "soft": 1, "hard": 1}]), "found RLIMIT_X"),
    (lambda c: c["linux"].update(rootfsPropagation="loud"), "linux.rootfsPropagation"),
    (lambda c: c["linux"].update(intelRdt={}), "linux.intelRdt: not supported"),
    (lambda c: c["mounts"].append({"destination": "/x", "type": "nosuchfs"}), "file system type nosuchfs"),
    (lambda c: c["linux"].update(cgroupsPath="/a/../b"), "expected plain names"),
])
def test_configuration_that_is_wrong(bundle, change, words):
    change(bundle.config)
    done = bundle.args("true").run() if isinstance(bundle.config["process"]["args"], list) and \
        bundle.config["process"]["args"] == ["sh"] else bundle.run()
    assert done.returncode == 1
    assert words in one_line(done)
    assert bundle.axrun_run("list", "-q").stdout == ""


def test_configuration_that_is_no_json(bundle):
    (bundle.folder / "config.json").write_text('{"ociVersion": "1.2.0",')
    done = bundle.axrun_run("run", "-b", bundle.folder, bundle.id())
    assert done.returncode == 1 and "config.json" in one_line(done) and "line 1" in done.stderr


def test_missing_bundle(bundle):
    done = bundle.axrun_run("run", "-b", bundle.folder / "nowhere", bundle.id())
    assert done.returncode == 1 and "bundle" in one_line(done)


def test_ids(bundle):
    for bad in ("a/b", ".", "..", ".cache", "", "a b"):
        done = bundle.axrun_run("state", bad)
        assert done.returncode == 1 and "container id" in one_line(done)


def test_unknown_words(bundle):
    assert "unknown option --nosuch" in one_line(bundle.axrun_run("run", "--nosuch"))
    assert 'unknown command "fly"' in one_line(bundle.axrun_run("fly"))
    assert "cgroup manager systemd: not supported" in one_line(bundle.axrun_run("list", options=("--systemd-cgroup",)))


def test_the_log_has_the_error_as_json(bundle):
    log = bundle.folder / "log"
    done = bundle.args("nosuch").run(options=("--log", str(log), "--log-format", "json"))
    assert done.returncode == 127
    entry = json.loads(log.read_text().splitlines()[-1])
    assert entry["level"] == "error" and "executable file not found in $PATH" in entry["msg"] and entry["time"]


def test_terminal_needs_somewhere_to_go(bundle):
    bundle.args("true").config["process"]["terminal"] = True
    bundle.write()
    done = bundle.axrun_run("create", "-b", bundle.folder, bundle.id())
    assert done.returncode == 1 and "needs --console-socket" in one_line(done)


def test_help_and_version(bundle):
    assert "Usage: axrun" in bundle.axrun_run("--help").stdout
    assert bundle.axrun_run("--version").stdout.startswith("axrun version ")
    for command in ("create", "run", "exec", "kill", "delete", "list", "state", "update", "ps", "spec", "features"):
        assert f"Usage: axrun {command}" in bundle.axrun_run(command, "--help").stdout


def test_features(bundle):
    features = json.loads(bundle.axrun_run("features").stdout)
    assert features["ociVersionMax"] == "1.2.0" and "time" in features["linux"]["namespaces"]
    assert "SCMP_ACT_NOTIFY" in features["linux"]["seccomp"]["actions"] and "rro" in features["mountOptions"]
    assert os.path.basename(bundle.axrun) == "axrun"
