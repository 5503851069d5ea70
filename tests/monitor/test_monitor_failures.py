"""Runtimes that fail, hang or lie; memory kills; what a monitor holds and what it gives up."""
import json
import os
import signal
import time

import pytest

import axmon


def refused_by(action):
    with pytest.raises(axmon.Refused) as refused:
        action()
    return refused.value.error


def script(folder, text):
    path = folder / "runtime.sh"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return axmon.Runtime(path, folder / "state")


def test_a_failed_create_is_told_in_the_runtimes_words(monitor, any_runtime):
    one = monitor("/no/such/program", with_runtime=any_runtime)
    one.spawn()
    one.created = True
    reply = None
    try:
        reply = one.connection.call("create", config=one.config)
        one.keep(reply)
        error = refused_by(one.start)  # axrun and crun look for the program here or there
        assert error["step"] == "start"
    except axmon.Refused as refused:
        error = refused.error
        assert error["step"] == "create"
    assert error["reason"] == "runtime.failed"
    assert "/no/such/program" in error["runtime"] and "\n" not in error["runtime"]
    assert error["status"] > 0
    if reply:
        one.runtime.run("delete", "--force", one.name)
        exited = one.wait_exited()
        assert (exited["reason"], exited["message"]) == ("start-failed", error["runtime"])
        assert exited["started_ns"] == 0


def test_a_broken_bundle(monitor):
    one = monitor("true")
    (one.bundle / "config.json").write_text("{ broken")
    one.spawn()
    error = refused_by(lambda: one.connection.call("create", config=one.config))
    assert error["step"] == "create" and error["runtime"]
    assert one.connection.call("state")["state"]["phase"] == "failed"
    one.connection.call("quit")
    assert one.processes[-1].wait(10) == 0


def test_a_runtime_that_is_not_there(monitor, folder):
    one = monitor("true", with_runtime=axmon.Runtime("/no/such/runtime", folder))
    one.spawn()
    error = refused_by(lambda: one.connection.call("create", config=one.config))
    assert "/no/such/runtime" in error["message"] and "No such file" in error["message"]


def test_a_runtime_that_hangs_is_killed(monitor, folder):
    one = monitor("true", with_runtime=script(folder, "sleep 4242 & sleep 4243"), runtime_options={"timeout_ms": 300})
    one.spawn()
    begin = time.monotonic()
    error = refused_by(lambda: one.connection.call("create", config=one.config))
    assert error["reason"] == "runtime.timeout" and error["step"] == "create"
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize("text, said", [
    ("echo first >&2; echo the last words >&2; exit 3", "the last words"),
    ("exit 3", "said nothing"),
    ("exit 0", "pid"),
    ("while [ $1 != --pid-file ]; do shift; done; echo -7 >$2", "-7"),
    ("while [ $1 != --log ]; do shift; done; printf '%s\\n' '{\"level\":\"error\",\"msg\":\"in the log\"}' >$2;"
     "echo '{\"level\":\"warning\",\"msg\":\"not this\"}' >>$2; echo nor this >&2; exit 1", "in the log"),
    ("head -c 200000 /dev/zero >&2; echo >&2; echo end >&2; exit 1", "failed"),
], ids=["stderr", "silent", "no pid", "bad pid", "json", "noisy"])
def test_what_a_strange_runtime_says_is_passed_on(monitor, folder, text, said):
    one = monitor("true", with_runtime=script(folder, text), runtime_options={"timeout_ms": 2000})
    one.spawn()
    error = refused_by(lambda: one.connection.call("create", config=one.config))
    assert said in error["message"] or (said == "failed" and error["reason"] == "runtime.timeout")
    assert one.connection.call("state")["state"]["phase"] == "failed"


def test_memory_kills_are_recorded(monitor):
    one = monitor("sh", "-c", "x=$(head -c 200000000 /dev/zero | tr '\\0' a); echo unreachable",
                  bundle_options={"memory": 20 * 1024 * 1024})
    one.run()
    exited = one.wait_exited(60)
    assert exited["oom_killed"] and exited["oom_kills"] >= 1
    assert exited["reason"] == "oom-killed"
    assert exited["exit_code"] != 0


# A child that eats until it is killed: it alone, for it asks to be the first.
GLUTTON = "sh -c 'echo 1000 >/proc/self/oom_score_adj; x=$(head -c 200000000 /dev/zero | tr \"\\0\" a)'"


def test_a_killed_child_alone_is_no_oom_kill_of_the_container(monitor):
    one = monitor("sh", "-c", f"{GLUTTON}; exit 0",
                  bundle_options={"memory": 20 * 1024 * 1024})
    one.run()
    exited = one.wait_exited(60)
    assert exited["oom_kills"] >= 1 and not exited["oom_killed"]
    assert exited["reason"] == "exited"


def test_memory_kills_before_an_adoption_are_counted(monitor):
    one = monitor("sh", "-c", f"{GLUTTON}; echo done; read line; exit 1",
                  bundle_options={"memory": 20 * 1024 * 1024}, open_stdin=True)
    one.run()
    axmon.wait_until(lambda: one.logged() == b"done\n", 60)
    one.kill_monitor()
    adopted = one.adopt()
    assert adopted["state"]["phase"] == "running", adopted
    os.write(one.fds["stdin"], b"\n")
    assert one.wait_exited()["oom_killed"]


def test_the_root_file_system_by_descriptor_is_not_kept(monitor, stage, folder):
    if not stage.has("axrun"):
        pytest.skip("no axrun here")
    one = monitor("sh", "-c", "ls /marker", with_runtime=axmon.Runtime(stage.program("axrun"), folder / "runtime"))
    (one.bundle / "rootfs" / "marker").touch()
    rootfs = open_tree(one.bundle / "rootfs")
    spec = json.loads((one.bundle / "config.json").read_text())
    spec["root"]["path"] = "only-a-name"
    (one.bundle / "config.json").write_text(json.dumps(spec))
    one.create(descriptors={"rootfs": rootfs})
    os.close(rootfs)
    held = [os.readlink(f"/proc/{one.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{one.pid}/fd")]
    assert not [target for target in held if "rootfs" in target or target == "/"]
    one.start()
    assert one.wait_exited()["exit_code"] == 0
    assert one.logged() == b"/marker\n"


def open_tree(path):
    """A detached copy of the mount at @path (open_tree(2), OPEN_TREE_CLONE)."""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(428, -100, os.fsencode(path), 1 | os.O_CLOEXEC)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd


def status_of(pid, task=None):
    with open(f"/proc/{pid}/task/{task or pid}/status", encoding="ascii") as status:
        return dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def test_it_holds_next_to_no_privileges_and_descriptors(monitor):
    one = monitor("sleep", "1000")
    leak, _ = os.pipe()
    os.set_inheritable(leak, True)
    one.run()
    status = status_of(one.pid)
    assert int(status["CapEff"], 16) == 0 and int(status["CapInh"], 16) == 0 and int(status["CapAmb"], 16) == 0
    assert int(status["CapPrm"], 16) == 1 << 5  # CAP_KILL
    for task in os.listdir(f"/proc/{one.pid}/task"):
        assert int(status_of(one.pid, task)["CapPrm"], 16) == (1 << 5 if task == str(one.pid) else 0)
    for fd in os.listdir(f"/proc/{one.pid}/fd"):
        assert not os.readlink(f"/proc/{one.pid}/fd/{fd}").startswith(("/dev/pts", "/tmp"))
    assert len(os.listdir(f"/proc/{one.pid}/fd")) < 20
    with open(f"/proc/{one.pid}/cgroup", encoding="ascii") as groups:
        paths = {line.rstrip("\n").split(":", 2)[2] for line in groups}
    assert all(path.endswith(f"/{one.name}/monitor") for path in paths), paths
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


TRACE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
keep = 1 << 5 | 1 << 21  # CAP_KILL, CAP_SYS_ADMIN: more than the monitor holds, but no CAP_SYS_PTRACE
header = (ctypes.c_uint32 * 2)(0x20080522, 0)
assert libc.capset(header, (ctypes.c_uint32 * 6)(keep, keep, 0, 0, 0, 0)) == 0
traced = libc.ptrace(16, int(sys.argv[1]), 0, 0)  # PTRACE_ATTACH
print(ctypes.get_errno() if traced else "traced")
"""


def test_a_containers_root_cannot_trace_it(monitor):
    import subprocess
    one = monitor("sleep", "1000")
    one.run()
    traced = subprocess.run(["/usr/bin/python3", "-c", TRACE, str(one.pid)], capture_output=True, text=True, check=True)
    assert traced.stdout == "1\n"  # EPERM
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def test_a_signal_reaches_other_users_processes(monitor):
    one = monitor("sh", "-c", "trap 'exit 21' TERM; echo ready; while :; do sleep 0.05; done", bundle_options={"uid": 12345})
    one.run()
    axmon.wait_until(lambda: one.logged() == b"ready\n")
    one.connection.call("signal", signal={"signal": signal.SIGTERM})
    assert one.wait_exited()["exit_code"] == 21


@pytest.mark.parametrize("keep", [True, False], ids=["descriptors kept", "descriptors lost"])
def test_another_users_container_is_adopted(monitor, keep):
    one = monitor("sh", "-c", "trap '' PIPE; trap 'exit 22' TERM; n=0; while :; do n=$((n+1)); echo $n; sleep 0.05; done",
                  bundle_options={"uid": 12345})
    one.run()
    one.kill_monitor()
    if not keep:
        one.keep({"fds": {}})
    one.adopt(keep)
    before = len(one.logged())
    axmon.wait_until(lambda: len(one.logged()) > before)
    one.connection.call("signal", signal={"signal": signal.SIGTERM})
    assert one.wait_exited()["exit_code"] == 22


def context_switches(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as status:
            total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    return total


def test_no_wake_ups_at_rest(monitor):
    one = monitor("sh", "-c", "printf prompt; exec sleep 1000", open_stdin=True)
    one.run()
    fds = one.connection.call("attach", attach={"with_stdin": True, "with_stdout": True})["fds"]
    axmon.wait_until(lambda: one.logged() == b"prompt")
    before = context_switches(one.pid)
    time.sleep(3)
    assert context_switches(one.pid) == before
    for fd in fds.values():
        os.close(fd)
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def test_output_of_processes_that_outlive_init_is_still_logged(monitor):
    """Without a pid namespace of its own others may hold the container's stdout when its first process has ended."""
    one = monitor("sh", "-c", "(sleep 1; echo late) & echo early", bundle_options={"share_pids": True})
    one.run()
    assert one.wait_exited()["exit_code"] == 0
    assert one.logged() == b"early\n"
    axmon.wait_until(lambda: one.logged() == b"early\nlate\n")


def test_zombies_of_the_container_are_collected(monitor):
    one = monitor("sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.1 &) ; done; sleep 1000", bundle_options={"share_pids": True})
    one.run()
    time.sleep(0.6)
    children = [pid for pid in os.listdir("/proc") if pid.isdigit() and status_or_none(pid).get("PPid") == str(one.pid)]
    assert [status_of(pid)["State"][0] for pid in children].count("Z") == 0
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def status_or_none(pid):
    try:
        return status_of(pid)
    except OSError:
        return {}
