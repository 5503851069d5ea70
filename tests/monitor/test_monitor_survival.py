"""kill -9 of the monitor, of its client, of both: the container lives on, and its end is known."""
import os
import signal
import time

import pytest

import axmon

TALKER = "n=0; while :; do n=$((n+1)); echo line $n; sleep 0.05; done"


def talk(seconds=0.5):
    time.sleep(seconds)


def end(one, number=signal.SIGKILL):
    one.connection.call("signal", signal={"signal": number})
    return one.wait_exited()


def test_the_container_survives_its_client(monitor):
    one = monitor("sh", "-c", TALKER)
    one.run()
    one.connection.close()
    axmon.wait_until(lambda: b"line 5\n" in one.logged())
    one.connection = one.connect()
    state = one.connection.call("state")["state"]
    assert (state["phase"], state["monitor_pid"]) == ("running", one.pid)
    assert set(one.connection.call("descriptors")["fds"]) == {"pidfd", "stdout", "stderr"}
    end(one)


def test_the_exit_is_recorded_while_no_client_is_there(monitor):
    one = monitor("sh", "-c", "sleep 0.5; exit 9")
    one.run()
    one.connection.close()
    assert one.processes[-1].wait(10) == 0  # nothing left to do, nobody to tell
    assert one.exit_record()["exit_code"] == 9
    assert not os.path.exists(one.config["socket"])


def test_it_outlives_the_signals_of_its_clients_session(monitor):
    one = monitor("sleep", "1000")
    one.run()
    assert os.getsid(one.pid) == one.pid
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        os.kill(one.pid, number)
    assert one.connection.call("state")["state"]["phase"] == "running"
    end(one)


@pytest.mark.parametrize("keep", [True, False], ids=["descriptors kept", "descriptors lost"])
def test_a_new_monitor_adopts(monitor, keep):
    one = monitor("sh", "-c", "trap '' PIPE; trap 'exit 6' TERM; " + TALKER)
    one.run()
    axmon.wait_until(lambda: b"line 3\n" in one.logged())
    one.kill_monitor()
    if not keep:
        one.keep({"fds": {}})
    state = one.adopt(keep)["state"]
    assert state["phase"] == "running"
    assert state["started_ns"] > 0
    before = len(one.logged())
    axmon.wait_until(lambda: len(one.logged()) > before)
    exited = end(one, signal.SIGTERM)
    assert (exited["exit_code"], exited["reason"]) == (6, "exited")
    lines = one.logged().splitlines()
    if keep:  # not one line is lost
        assert lines == [f"line {n + 1}".encode() for n in range(len(lines))]


def test_many_deaths_lose_no_line_and_no_status(monitor):
    one = monitor("sh", "-c", "trap 'exit 12' TERM; " + TALKER)
    one.run()
    for _ in range(5):
        talk(0.2)
        one.kill_monitor()
        talk(0.1)
        one.adopt()
    assert end(one, signal.SIGTERM)["exit_code"] == 12
    lines = one.logged().splitlines()
    assert lines == [f"line {n + 1}".encode() for n in range(len(lines))]
    assert len(lines) > 15


@pytest.mark.parametrize("keep", [True, False], ids=["descriptors kept", "descriptors lost"])
@pytest.mark.parametrize("how, code", [("exit 33", 33), ("exit 0", 0), ("kill -9 $$", 137)])
def test_an_end_between_two_monitors(monitor, keep, how, code):
    one = monitor("sh", "-c", f"sleep 0.4; {how}" if "kill" not in how else "sleep 0.4; exec sh -c 'kill -9 1'")
    if "kill" in how:  # a pid namespace's init cannot kill itself: from outside
        one = monitor("sleep", "1000")
    one.run()
    one.kill_monitor()
    if "kill" in how:
        os.kill(one.init_pid(), 9)
    time.sleep(0.7)
    if not keep:
        one.keep({"fds": {}})
    one.adopt(keep)
    exited = one.connection.call("state")["state"].get("exit") or one.wait_exited()
    assert one.exit_record() == exited
    if keep:
        assert exited["exit_code"] == code
        assert exited["reason"] == ("signaled" if code == 137 else "exited")
    else:  # its zombie may be reaped by now, and no pidfd remembers
        assert (exited["exit_code"], exited["reason"]) in ((code, "exited"), (code, "signaled"), (255, "monitor-lost"))


def test_an_adopted_terminal(monitor):
    one = monitor("sh", "-c", "while read line; do echo said $line; done", tty=True, open_stdin=True)
    one.run()
    one.kill_monitor()
    one.adopt()
    fds = one.connection.call("attach", attach={"with_stdin": True, "with_stdout": True})["fds"]
    os.write(fds["stdin"], b"hello\n")
    assert axmon.read_until(fds["stdout"], b"said hello\r\n")
    for fd in fds.values():
        os.close(fd)
    end(one)


def test_an_adopted_stdin(monitor):
    one = monitor("sh", "-c", "while read line; do echo said $line; done; exit 5", open_stdin=True, stdin_once=True)
    one.run()
    one.kill_monitor()
    one.adopt()
    fds = one.connection.call("attach", attach={"with_stdin": True, "with_stdout": True})["fds"]
    os.write(fds["stdin"], b"hello\n")
    assert axmon.read_until(fds["stdout"], b"\n") == b"said hello\n"
    os.close(fds.pop("stdin"))
    one.connection.wait_event("stdin-closed")
    os.close(one.fds.pop("stdin"))
    assert one.wait_exited()["exit_code"] == 5
    os.close(fds["stdout"])


def test_exec_works_after_adoption(monitor):
    one = monitor("sleep", "1000")
    one.run()
    one.kill_monitor()
    one.adopt()
    assert one.exec_output("after", "sh", "-c", "echo yes; exit 2")[0] == b"yes\n"
    end(one)


def test_two_monitors_for_one_container_are_refused(monitor):
    one = monitor("sleep", "1000")
    one.run()
    first = one.connection
    with pytest.raises(axmon.Refused) as refused:
        one.adopt()
    assert refused.value.error["reason"] == "monitor.alive"
    one.connection.close()
    assert one.processes.pop().wait(10) == 0
    one.connection = first
    end(one)


def test_adoption_of_what_was_recorded_already(monitor):
    one = monitor("sh", "-c", "exit 4")
    one.run()
    recorded = one.wait_exited()
    one.connection.call("quit")
    one.processes[-1].wait(10)
    assert one.adopt(keep=False)["state"]["exit"] == recorded


def test_adoption_of_nothing_is_refused(monitor):
    one = monitor("true")
    with pytest.raises(axmon.Refused) as refused:
        one.adopt(keep=False)
    assert refused.value.error["code"] == -2


def test_a_reused_pid_is_not_taken_for_the_container(monitor):
    one = monitor("sleep", "1000")
    one.run()
    one.kill_monitor()
    os.kill(one.init_pid(), 9)
    time.sleep(0.3)
    record = one.record / "monitor.json"
    record.write_text(record.read_text().replace(f'"pid":{one.init_pid()}', f'"pid":{os.getpid()}'))
    one.keep({"fds": {}})
    one.adopt(keep=False)
    exited = one.connection.call("state")["state"].get("exit") or one.wait_exited()
    assert (exited["exit_code"], exited["reason"]) == (255, "monitor-lost")


def test_what_a_container_put_in_place_of_its_stdout_is_not_opened(monitor):
    one = monitor("sh", "-c", "read line; mkfifo /tmp/trap; exec sleep 1000 1<>/tmp/trap", open_stdin=True)
    one.run()
    os.write(one.fds["stdin"], b"\n")
    trap = f"/proc/{one.init_pid()}/cwd/tmp/trap"
    axmon.wait_until(lambda: os.path.realpath(f"/proc/{one.init_pid()}/fd/1").endswith("/tmp/trap"))
    one.kill_monitor()
    one.keep({"fds": {}})
    adopted = one.adopt(keep=False)
    assert "stdout" not in adopted["fds"] and "stderr" in adopted["fds"]
    inode = os.stat(trap).st_ino
    assert inode not in [os.stat(f"/proc/{one.pid}/fd/{fd}").st_ino for fd in os.listdir(f"/proc/{one.pid}/fd")]
    end(one)


def test_a_client_that_dies_while_its_container_is_made_finds_it_afterwards(monitor):
    one = monitor("sleep", "1000")
    one.spawn()
    one.created = True
    one.connection.send("create", config=one.config)
    one.connection.close()
    axmon.wait_until(lambda: (one.record / "monitor.json").exists())  # by then it listens
    one.connection = one.connect()
    axmon.wait_until(lambda: one.connection.call("state")["state"]["phase"] == "created")
    one.keep(one.connection.call("descriptors"))
    one.start()
    end(one)


def test_a_monitor_that_dies_while_it_makes_its_container_leaves_word(monitor, folder):
    slow = folder / "slow"
    slow.write_text("#!/bin/sh\nsleep 1; exit 1\n")
    slow.chmod(0o755)
    one = monitor("true", with_runtime=axmon.Runtime(slow, folder / "state"))
    one.spawn()
    one.connection.send("create", config=one.config)
    axmon.wait_until(lambda: (one.record / "monitor.json").exists())
    one.kill_monitor()
    with pytest.raises(axmon.Refused) as refused:
        one.adopt(keep=False)
    assert refused.value.error["reason"] == "monitor.nothing"
    time.sleep(1)  # the runtime's own end
