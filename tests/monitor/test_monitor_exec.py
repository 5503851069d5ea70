"""Exec sessions: further processes in a running container."""
import json
import os
import resource
import signal
import time

import pytest

import axmon


@pytest.fixture
def running(monitor):
    one = monitor("sleep", "1000")
    one.run()
    yield one
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def test_output_and_status(monitor, any_runtime):
    one = monitor("sleep", "1000", with_runtime=any_runtime)
    one.run()
    output, exited = one.exec_output("first", "sh", "-c", "echo hello; echo there >&2; exit 5")
    assert output == b"hello\nthere\n"
    assert exited == {"session": "first", "exit_code": 5, "signal": 0, "reason": "exited"}
    assert not [name for name in os.listdir(one.record) if name.startswith(("exec", "console"))]
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()
    assert one.log.read_bytes() == b""  # a session's output is its client's, not the container's


def test_stdin_goes_to_the_process_itself(running):
    read_end, write_end = os.pipe()
    out_read, out_write = os.pipe()
    running.exec("cat", "cat", stdio={"stdin": read_end, "stdout": out_write})
    os.close(read_end)
    os.close(out_write)
    os.write(write_end, b"through\n")
    assert axmon.read_until(out_read, b"\n") == b"through\n"
    os.close(write_end)
    assert axmon.read_all(out_read) == b""
    os.close(out_read)
    assert running.connection.wait_event("exec-exited")["exec_exit"]["exit_code"] == 0


def test_a_terminal(monitor, any_runtime):
    one = monitor("sleep", "1000", with_runtime=any_runtime)
    one.run()
    pty = one.exec("shell", "sh", "-c", "tty; stty size; read x; echo said $x; exit 2", tty=True, rows=20,
                   columns=90)["fds"]["pty"]
    shown = axmon.read_until(pty, b"20 90\r\n")
    assert b"/dev/pts/" in shown
    os.write(pty, b"word\n")
    axmon.read_until(pty, b"said word\r\n")
    assert one.connection.wait_event("exec-exited")["exec_exit"]["exit_code"] == 2
    os.close(pty)  # before, it would be a hang-up
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def test_a_missing_program_is_told_in_the_runtimes_words(running):
    with pytest.raises(axmon.Refused) as refused:
        running.exec("bad", "no-such-program")
    error = refused.value.error
    assert error["reason"] == "runtime.failed"
    assert error["step"] == "exec"
    assert "no-such-program" in error["runtime"]
    assert error["status"] != 0
    assert "sessions" not in running.connection.call("state")["state"]


def test_a_timeout_kills_all_that_the_process_started(running):
    begin = time.monotonic()
    output, exited = running.exec_output(
        "slow", "sh", "-c", "setsid sleep 777 & (sleep 778 &) ; echo started; sleep 779", timeout_ms=500)
    assert output == b"started\n"
    assert exited["reason"] == "timeout"
    assert exited["signal"] == signal.SIGKILL
    assert time.monotonic() - begin < 5
    listed, _ = running.exec_output("ps", "ps", "-o", "args")
    assert b"sleep 1000" in listed
    for gone in (b"sleep 777", b"sleep 778", b"sleep 779"):  # another session, an orphan, the process itself
        assert gone not in listed


def test_a_timeout_kills_more_processes_than_it_has_descriptors(running):
    hard = resource.prlimit(running.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (64, hard))
    output, exited = running.exec_output(
        "crowd", "sh", "-c", "for i in $(seq 150); do sleep 777 & done; echo started; wait", timeout_ms=1500)
    assert (output, exited["reason"]) == (b"started\n", "timeout")
    assert resource.prlimit(running.pid, resource.RLIMIT_NOFILE) == (64, hard)
    listed, _ = running.exec_output("ps", "ps", "-o", "args")
    assert b"sleep 777" not in listed


def test_sessions_end_with_their_client_where_asked(running):
    other = running.connect()
    fds = {session: axmon.memfd(json.dumps(axmon.process_object("sleep", seconds)))
           for session, seconds in (("goes", "881"), ("stays", "882"))}
    other.call("exec", descriptors={"process": fds["goes"]}, exec={"session": "goes", "end_with_client": True})
    other.call("exec", descriptors={"process": fds["stays"]}, exec={"session": "stays"})
    for fd in fds.values():
        os.close(fd)
    other.close()
    exited = running.connection.wait_event("exec-exited")["exec_exit"]
    assert (exited["session"], exited["reason"]) == ("goes", "client-gone")
    assert [s["session"] for s in running.connection.call("state")["state"]["sessions"]] == ["stays"]
    running.connection.call("signal", signal={"signal": signal.SIGTERM, "session": "stays"})
    exited = running.connection.wait_event("exec-exited")["exec_exit"]
    assert (exited["session"], exited["signal"], exited["reason"]) == ("stays", signal.SIGTERM, "signaled")


def test_many_at_once(running):
    for number in range(20):
        running.exec(f"s{number}", "sh", "-c", f"sleep 0.2; exit {number}")
    statuses = {}
    for _ in range(20):
        exited = running.connection.wait_event("exec-exited", timeout=60)["exec_exit"]
        statuses[exited["session"]] = exited["exit_code"]
    assert statuses == {f"s{number}": number for number in range(20)}


def test_a_process_that_ends_at_once_keeps_its_status(running):
    for number in range(10):
        assert running.exec_output(f"quick{number}", "sh", "-c", f"exit {number}")[1]["exit_code"] == number


def test_a_name_twice_or_a_stopped_container_is_refused(monitor):
    one = monitor("sleep", "1000")
    one.create()
    with pytest.raises(axmon.Refused) as refused:
        one.exec("early", "true")
    assert refused.value.error["reason"] == "monitor.phase"
    one.start()
    one.exec("same", "sleep", "1000")
    with pytest.raises(axmon.Refused) as refused:
        one.exec("same", "sleep", "1000")
    assert refused.value.error["reason"] == "monitor.session-exists"
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    assert one.connection.wait_event("exec-exited")["exec_exit"]["signal"] == signal.SIGKILL
    one.wait_exited()
    with pytest.raises(axmon.Refused) as refused:
        one.exec("late", "true")
    assert refused.value.error["reason"] == "monitor.phase"
