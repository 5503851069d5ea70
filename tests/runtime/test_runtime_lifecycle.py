"""create, start, kill, delete, run, exec, state, list, pause and what is left when axrun is killed on its way."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

import axrun
import cgroups

pytestmark = pytest.mark.machine


def test_create_start_kill_delete(bundle):
    bundle.shell("echo started; exec sleep 100")
    one = bundle.create("--pid-file", bundle.folder / "pid")
    state = bundle.status(one)
    assert (state["status"], state["ociVersion"], state["bundle"]) == ("created", "1.2.0", str(bundle.folder))
    assert state["pid"] == int((bundle.folder / "pid").read_text())
    assert bundle.printed() == ""
    assert bundle.axrun_run("start", one).returncode == 0
    assert bundle.status(one)["status"] == "running"
    again = bundle.axrun_run("start", one)
    assert again.returncode == 1 and "expected a created one, it is running" in again.stderr
    refused = bundle.axrun_run("delete", one)
    assert refused.returncode == 1 and "it is running" in refused.stderr
    assert bundle.axrun_run("kill", one, "KILL").returncode == 0
    bundle.wait_for(one, "stopped")
    assert bundle.printed() == "started\n"
    killed = bundle.axrun_run("kill", one)
    assert killed.returncode == 1 and "container not running" in killed.stderr
    assert bundle.axrun_run("delete", one).returncode == 0
    assert axrun.cgroup_directories(bundle.prefix) == []
    assert bundle.axrun_run("state", one).returncode == 1


def test_run_gives_the_programs_exit_status(bundle):
    assert bundle.shell("exit 7").run().returncode == 7
    assert bundle.shell("kill -9 $$").without_namespace("pid").run().returncode == 128 + 9


def test_signals_by_name_and_number(bundle):
    bundle.shell("trap 'echo got; exit 3' USR1; while :; do sleep 0.05; done")
    one = bundle.create()
    bundle.axrun_run("start", one)
    time.sleep(0.2)
    assert bundle.axrun_run("kill", one, "SIGUSR1").returncode == 0
    bundle.wait_for(one, "stopped")
    assert bundle.printed() == "got\n"
    bad = bundle.axrun_run("kill", one, "NOSUCH")
    assert bad.returncode == 1 and 'signal "NOSUCH": expected a name' in bad.stderr


def test_kill_all_reaches_every_process(bundle):
    bundle.without_namespace("pid").shell("sleep 100 & sleep 100 & exec sleep 100")
    one = bundle.create()
    bundle.axrun_run("start", one)
    time.sleep(0.2)
    pids = json.loads(bundle.axrun_run("ps", "--format", "json", one).stdout)
    assert len(pids) == 3
    assert bundle.axrun_run("kill", "--all", one, "KILL").returncode == 0
    bundle.wait_for(one, "stopped")
    deadline = time.monotonic() + 5
    while any(os.path.exists(f"/proc/{pid}") for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert bundle.axrun_run("delete", one).returncode == 0


def test_delete_force_ends_what_runs(bundle):
    bundle.args("sleep", "100")
    one = bundle.create()
    bundle.axrun_run("start", one)
    pid = bundle.status(one)["pid"]
    assert bundle.axrun_run("delete", "--force", one).returncode == 0
    assert not os.path.exists(f"/proc/{pid}") or "Z" in pathlib.Path(f"/proc/{pid}/stat").read_text().split(")")[1][:3]
    assert bundle.axrun_run("delete", "--force", one).returncode == 0  # gone already is what was wanted
    assert bundle.axrun_run("delete", one).returncode == 1


def test_exec_in_a_running_container(bundle):
    bundle.args("sleep", "100")
    bundle.config["process"]["env"].append("FROM=config")
    one = bundle.create()
    bundle.axrun_run("start", one)
    done = bundle.axrun_run("exec", "-e", "ADDED=1", "--cwd", "/tmp", "-u", "1000:5", one, "sh", "-c",
                            "pwd; id; echo $FROM $ADDED; cat /proc/self/cgroup | head -1; exit 4")
    assert done.returncode == 4, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "/tmp" and lines[1].startswith("uid=1000") and "gid=5" in lines[1] and lines[2] == "config 1"
    assert lines[3].endswith(":/")  # the container's own cgroup namespace and group
    process = {"args": ["sh", "-c", "echo from process.json"], "cwd": "/", "user": {"uid": 0, "gid": 0},
               "env": ["PATH=/bin"]}
    (bundle.folder / "process.json").write_text(json.dumps(process))
    done = bundle.axrun_run("exec", "--process", bundle.folder / "process.json", one)
    assert (done.returncode, done.stdout) == (0, "from process.json\n")
    missing = bundle.axrun_run("exec", one, "nosuch")
    assert missing.returncode == 127 and 'exec: "nosuch": executable file not found in $PATH' in missing.stderr


def test_exec_detached_writes_its_pid(bundle):
    bundle.args("sleep", "100")
    one = bundle.create()
    bundle.axrun_run("start", one)
    done = subprocess.run(bundle.command("exec", "-d", "--pid-file", bundle.folder / "execpid", one, "sleep", "50"),
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    pid = int((bundle.folder / "execpid").read_text())
    assert pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == b"sleep\x0050\x00"
    assert pid in json.loads(bundle.axrun_run("ps", "-f", "json", one).stdout)


def test_pause_and_resume(bundle):
    bundle.shell("while :; do echo x; sleep 0.02; done")
    one = bundle.create()
    bundle.axrun_run("start", one)
    assert bundle.axrun_run("pause", one).returncode == 0
    assert bundle.status(one)["status"] == "paused"
    size = len(bundle.printed())
    time.sleep(0.2)
    assert len(bundle.printed()) == size
    assert "it is paused" in bundle.axrun_run("exec", one, "true").stderr
    assert bundle.axrun_run("resume", one).returncode == 0
    time.sleep(0.2)
    assert len(bundle.printed()) > size


def test_list(make_bundle):
    first, second = make_bundle(), make_bundle()
    one, two = first.args("true").create(), second.args("true").create()
    ids = first.axrun_run("list", "-q").stdout.split()
    assert sorted(ids) == sorted([one, two])
    listed = {entry["id"]: entry["status"] for entry in json.loads(first.axrun_run("list", "-f", "json").stdout)}
    assert listed == {one: "created", two: "created"}
    assert one in first.axrun_run("list").stdout


def test_a_container_is_made_once(bundle):
    bundle.args("true")
    bundle.create()
    again = bundle.run()
    assert again.returncode == 1 and "already exists" in again.stderr
    assert bundle.status(bundle.made[0])["status"] == "created"  # the first is untouched


def test_update_changes_limits(bundle):
    bundle.args("sleep", "100")
    one = bundle.create()
    limit = cgroups.file(bundle.prefix, "pids", "pids.max", "pids.max")
    assert bundle.axrun_run("update", "--pids-limit", "33", one).returncode == 0
    assert limit.read_text() == "33\n"
    done = bundle.axrun_run("update", "-r", "-", one, stdin=None, input='{"pids": {"limit": 44}}')
    assert done.returncode == 0, done.stderr
    assert limit.read_text() == "44\n"


def test_killed_while_creating_is_removable(bundle):
    """kill -9 of `axrun create` at any point leaves nothing that delete --force does not remove."""
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "3"]}]}
    bundle.args("true").write()
    one = bundle.id()
    create = subprocess.Popen(bundle.command("create", "-b", bundle.folder, one), stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 10
    while not axrun.cgroup_directories(bundle.prefix) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(0.1)
    create.send_signal(signal.SIGKILL)
    create.wait()
    assert bundle.axrun_run("delete", "--force", one).returncode == 0
    assert axrun.cgroup_directories(bundle.prefix) == []
    assert bundle.axrun_run("list", "-q").stdout == ""


def test_damaged_record_is_told_and_removable(bundle):
    one = bundle.args("true").create()
    pid = bundle.status(one)["pid"]
    record = pathlib.Path(bundle.state) / one / "state.json"
    text = record.read_text()
    record.write_text(text[:20])
    assert "container record" in bundle.axrun_run("state", one).stderr
    record.write_text(text.replace('"version":1', '"version":99'))
    newer = bundle.axrun_run("start", one)
    assert newer.returncode == 1 and "version 99, expected 1" in newer.stderr
    record.write_text(text)  # a newer record was left untouched
    assert bundle.status(one)["pid"] == pid


def test_two_starts_run_it_once(bundle):
    bundle.shell("echo once")
    one = bundle.create()
    starts = [subprocess.Popen(bundle.command("start", one), stderr=subprocess.DEVNULL) for _ in range(4)]
    assert sorted(process.wait() for process in starts) == [0, 1, 1, 1]
    bundle.wait_for(one, "stopped")
    assert bundle.printed() == "once\n"


def test_hooks_run_in_their_places(bundle):
    log = bundle.folder / "hooks"
    def hook(name):
        script = f"cat >/dev/null; echo {name} $(readlink /proc/self/ns/mnt | tr -dc 0-9) >> {log}"
        return [{"path": "/bin/sh", "args": ["sh", "-c", script]}]
    inside = [{"path": "/bin/sh", "args": ["sh", "-c", "grep -q startContainer /proc/self/cmdline; touch /tmp/inside"]}]
    bundle.config["root"]["readonly"] = False
    bundle.config["hooks"] = {
        "prestart": hook("prestart"), "createRuntime": hook("createRuntime"), "createContainer": hook("createContainer"),
        "startContainer": inside, "poststart": hook("poststart"), "poststop": hook("poststop")}
    bundle.args("true").output()
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [line[0] for line in lines] == ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    own = os.readlink("/proc/self/ns/mnt")
    assert [line[1] in own for line in lines] == [True, True, False, True, True]
    assert (bundle.root / "tmp/inside").exists()


def test_a_hook_gets_the_state(bundle):
    out = bundle.folder / "state.json"
    bundle.config["annotations"] = {"some.key": "some value"}
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"cat > {out}"]}]}
    bundle.args("true").output()
    state = json.loads(out.read_text())
    assert (state["id"], state["status"], state["bundle"]) == (bundle.made[0], "creating", str(bundle.folder))
    assert state["pid"] > 0 and state["annotations"] == {"some.key": "some value"}


def test_a_hook_that_fails_or_hangs_undoes_the_container(bundle):
    bundle.args("true")
    bundle.config["hooks"] = {"prestart": [{"path": "/bin/false"}]}
    failed = bundle.run(name="f")
    assert failed.returncode == 1 and "prestart hook /bin/false: exit status 1" in failed.stderr
    bundle.config["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "60"], "timeout": 1}]}
    begin = time.monotonic()
    late = bundle.run(name="l")
    assert late.returncode == 1 and "not done within 1 s" in late.stderr and time.monotonic() - begin < 10
    assert axrun.cgroup_directories(bundle.prefix) == []
