"""Exec and Attach over SPDY/3.1, with a client of our own."""
import json
import time

import pytest

import spdy
from conftest import SLEEP, wait_until


def exec_url(kubelet, container, command, stdin=False, stdout=True, stderr=True, tty=False):
    return kubelet.Exec(container_id=container, cmd=command, stdin=stdin, stdout=stdout, stderr=stderr and not tty, tty=tty)["url"]


def run(kubelet, container, command, windows=False, protocols=tuple(spdy.EXEC), **streams):
    url = exec_url(kubelet, container, command, **streams)
    return spdy.Command(spdy.connect(url, protocols, windows), **streams)


@pytest.fixture
def container(kubelet):
    return kubelet.start(kubelet.run_pod())


@pytest.mark.parametrize("windows", [False, True])
def test_exec_gives_output_and_exit_code(kubelet, container, windows):
    command = run(kubelet, container, ["sh", "-c", "echo out; echo err >&2; exit 5"], windows)
    assert command.session.protocol == "v4.channel.k8s.io"
    assert command.stdout.read_all() == b"out\n"
    assert command.stderr.read_all() == b"err\n"
    status = command.error.status()
    assert status["status"] == "Failure" and status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "5"}]
    assert "exit status 5" in status["message"]
    command = run(kubelet, container, ["true"], windows)
    assert command.error.status() == {"metadata": {}, "status": "Success"}


@pytest.mark.parametrize("windows", [False, True])
def test_input_goes_through_whole_and_ends_with_the_half_close(kubelet, container, windows):
    command = run(kubelet, container, ["cat"], windows, stdin=True)
    data = bytes(range(256)) * 4096  # 1 MiB: many windows
    command.stdin.send(data, fin=True)
    assert command.stdout.read_all() == data
    assert command.exit_code() == 0
    assert command.session.updates > 0
