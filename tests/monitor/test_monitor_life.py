"""A container's life under axmon: create, start, output, exit, with each runtime."""
import os
import signal

import pytest

import axmon


def test_output_and_exit_status_are_recorded(monitor, any_runtime):
    one = monitor("sh", "-c", "echo to stdout; echo to stderr >&2; exit 7", with_runtime=any_runtime)
    created = one.create()
    assert created["state"]["phase"] == "created"
    assert created["state"]["pid"] > 0
    assert set(one.fds) == {"pidfd", "stdout", "stderr"}
    assert one.start()["state"]["phase"] == "running"
    exited = one.wait_exited()
    assert (exited["exit_code"], exited["signal"], exited["reason"]) == (7, 0, "exited")
    assert exited["created_ns"] <= exited["started_ns"] <= exited["finished_ns"]
    assert one.exit_record() == exited
    assert one.logged("stdout") == b"to stdout\n"
    assert one.logged("stderr") == b"to stderr\n"
    assert one.connection.call("state")["state"]["exit"] == exited
    one.connection.call("quit")
    assert one.processes[-1].wait(10) == 0
    assert not os.path.exists(one.config["socket"])


def test_a_signal_is_told(monitor):
    one = monitor("sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done")
    one.run()
    axmon.wait_until(lambda: one.log.read_bytes())
    one.connection.call("signal", signal={"signal": signal.SIGTERM})
    assert one.wait_exited()["exit_code"] == 3
    with pytest.raises(axmon.Refused) as refused:
        one.connection.call("signal", signal={"signal": signal.SIGTERM})
    assert refused.value.error["reason"] == "monitor.phase"


def test_death_by_a_signal_is_recorded(monitor):
    one = monitor("sleep", "1000")
    one.run()
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    exited = one.wait_exited()
    assert (exited["exit_code"], exited["signal"], exited["reason"]) == (137, 9, "signaled")
