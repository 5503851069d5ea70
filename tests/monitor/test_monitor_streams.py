"""Stdin, terminals, attached clients: what goes in and out of a container."""
import os
import signal
import time

import pytest

import axmon


def attach(one, stdin=False, patience_ms=100, connection=None):
    reply = (connection or one.connection).call(
        "attach", attach={"with_stdin": stdin, "with_stdout": True, "with_stderr": True, "patience_ms": patience_ms})
    return reply["fds"]


def close_all(fds):
    for fd in fds.values():
        os.close(fd)


def test_attached_clients_and_the_log_get_the_same(monitor):
    one = monitor("sh", "-c", "echo out; echo err >&2")
    one.create()
    first, second = attach(one), attach(one)
    one.start()
    for fds in (first, second):
        assert axmon.read_all(fds["stdout"]) == b"out\n"
        assert axmon.read_all(fds["stderr"]) == b"err\n"
        close_all(fds)
    one.wait_exited()
    assert one.logged() == b"out\n"
    assert one.logged("stderr") == b"err\n"


def test_stdin_is_fed_and_its_end_passed_on(monitor):
    one = monitor("sh", "-c", "cat; echo the end", open_stdin=True, stdin_once=True)
    assert "stdin" in one.create()["fds"]
    fds = attach(one, stdin=True)
    one.start()
    data = os.urandom(300_000).hex().encode() + b"\n"
    writer = os.fork()
    if writer == 0:
        for name in ("stdout", "stderr"):
            os.close(fds[name])
        view = memoryview(data)
        while view:
            view = view[os.write(fds["stdin"], view):]
        os._exit(0)
    os.close(fds.pop("stdin"))
    received = axmon.read_until(fds["stdout"], b"\n")
    os.waitpid(writer, 0)
    # Our duplicate of the pipe is what a client keeps for adoption; it is told to close it.
    one.connection.wait_event("stdin-closed")
    os.close(one.fds.pop("stdin"))
    received += axmon.read_all(fds["stdout"])
    assert received == data + b"the end\n"
    close_all(fds)
    assert one.wait_exited()["exit_code"] == 0


def test_stdin_stays_open_without_stdin_once(monitor):
    one = monitor("sh", "-c", "while read line; do echo got $line; done; echo the end", open_stdin=True)
    one.run()
    for number in range(2):
        fds = attach(one, stdin=True)
        os.write(fds["stdin"], f"line {number}\n".encode())
        assert axmon.read_until(fds["stdout"], b"\n") == f"got line {number}\n".encode()
        close_all(fds)
    axmon.wait_until(lambda: one.connection.call("state")["state"]["attached"] == 0)
    assert one.connection.call("state")["state"]["phase"] == "running"
    one.connection.call("close-stdin")
    one.connection.wait_event("stdin-closed")
    os.close(one.fds.pop("stdin"))
    one.wait_exited()
    assert one.logged().endswith(b"the end\n")


def test_without_stdin_there_is_none(monitor):
    one = monitor("sh", "-c", "cat; readlink /proc/self/fd/0")
    one.create()
    fds = attach(one, stdin=True)
    assert "stdin" not in fds
    close_all(fds)
    one.start()
    one.wait_exited()
    assert one.logged() == b"/dev/null\n"


@pytest.mark.parametrize("deep", [False, True], ids=["short path", "deep path"])
def test_a_terminal(monitor, any_runtime, deep, folder):
    one = monitor("sh", "-c", "tty; stty size; read line; stty size; echo said $line; exit 4", tty=True, open_stdin=True,
                  rows=30, columns=100, with_runtime=any_runtime)
    if deep:  # connect(2) takes 107 bytes
        record = folder / ("d" * 100) / "record"
        record.mkdir(parents=True)
        one.record, one.config["record_dir"] = record, str(record)
        one.config["socket"] = str(record / "socket")
    assert "pty" in one.create()["fds"]
    fds = attach(one, stdin=True)
    assert set(fds) == {"stdin", "stdout"}
    one.start()
    shown = axmon.read_until(fds["stdout"], b"30 100\r\n")
    assert b"/dev/pts/" in shown or b"/dev/console" in shown
    one.connection.call("resize", resize={"rows": 50, "columns": 132})
    os.write(fds["stdin"], b"hello\n")
    assert axmon.read_until(fds["stdout"], b"said hello\r\n").endswith(b"50 132\r\nsaid hello\r\n")
    close_all(fds)
    assert one.wait_exited()["exit_code"] == 4
    assert b"said hello\r\n" in one.logged()
    one.connect().close()


def test_resize_without_a_terminal_is_refused(monitor):
    one = monitor("sleep", "1000")
    one.run()
    with pytest.raises(axmon.Refused) as refused:
        one.connection.call("resize", resize={"rows": 1, "columns": 1})
    assert refused.value.error["reason"] == "monitor.no-tty"
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


FLOOD = "head -c 20000000 /dev/zero; echo; echo done >&2"


def test_a_client_that_does_not_read_stops_nothing(monitor):
    one = monitor("sh", "-c", FLOOD)
    one.create()
    stuck, reading = attach(one, patience_ms=100), attach(one, patience_ms=10000)
    begin = time.monotonic()
    one.start()
    received = len(axmon.read_all(reading["stdout"]))
    assert received == 20_000_001
    assert one.wait_exited()["exit_code"] == 0
    assert time.monotonic() - begin < 20
    assert len(one.logged()) == 20_000_001  # the log loses nothing by it
    late = axmon.read_all(stuck["stdout"])
    assert len(late) <= 2 * axmon.pipe_size(reading["stderr"])
    close_all(stuck)
    close_all(reading)


def test_a_reader_that_was_too_slow_is_told_how_much_it_lost(monitor):
    one = monitor("sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' Q; read line; echo more; read line", open_stdin=True)
    one.create()
    fds = attach(one, stdin=True, patience_ms=0)
    one.start()
    axmon.wait_until(lambda: len(one.logged()) == 1_000_000)
    first = axmon.read_some(fds["stdout"])
    os.write(fds["stdin"], b"\n")
    rest = axmon.read_until(fds["stdout"], b"more\n")
    lost = 1_000_000 - (first + rest).count(b"Q")
    assert lost > 0
    assert f"\r\n[axle: {lost} bytes were lost here: this reader was too slow]\r\nmore\n".encode() in rest
    os.write(fds["stdin"], b"\n")
    close_all(fds)
    one.wait_exited()


def test_a_patient_client_gets_every_byte_however_slowly(monitor):
    one = monitor("sh", "-c", "head -c 1000000 /dev/zero")
    one.create()
    fds = attach(one, patience_ms=5000)
    one.start()
    total = 0
    while chunk := axmon.read_some(fds["stdout"]):
        total += len(chunk)
        time.sleep(0.01)
    assert total == 1_000_000
    close_all(fds)
    one.wait_exited()


def test_a_client_that_goes_leaves_no_trace(monitor):
    one = monitor("sh", "-c", "while read line; do echo $line; done", open_stdin=True)
    one.run()
    keep = attach(one, stdin=True)
    for _ in range(20):
        close_all(attach(one))
    os.write(keep["stdin"], b"still here\n")
    assert axmon.read_until(keep["stdout"], b"\n") == b"still here\n"
    axmon.wait_until(lambda: one.connection.call("state")["state"]["attached"] == 1)
    fds_open = len(os.listdir(f"/proc/{one.pid}/fd"))
    close_all(attach(one))
    axmon.wait_until(lambda: len(os.listdir(f"/proc/{one.pid}/fd")) == fds_open)
    close_all(keep)
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def test_more_clients_than_the_limit_are_refused(monitor):
    one = monitor("sleep", "1000")
    one.run()
    attached = [attach(one) for _ in range(16)]
    with pytest.raises(axmon.Refused) as refused:
        attach(one)
    assert refused.value.error["reason"] == "monitor.limit"
    for fds in attached:
        close_all(fds)
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()
