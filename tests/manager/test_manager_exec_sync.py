"""ExecSync's limits: time and output."""
import base64
import threading
import time

import grpc
import pytest

import cri as cri_module
from conftest import ROOT, wait_until
from streaming_client import commands_with, long_sleep, memory_kib

LIMIT = 16 << 20


@pytest.fixture
def container(kubelet):
    return kubelet.start(kubelet.run_pod())


def test_a_time_limit_ends_all_that_was_started(kubelet, container, refused):
    number = long_sleep()
    with refused("DEADLINE_EXCEEDED", "killed"):
        kubelet.ExecSync(container_id=container, timeout=1, cmd=[
            "sh", "-c", f"sleep {number} & sh -c 'sleep {number} & sleep {number}; true' & setsid sleep {number} & trap '' TERM HUP; "
                        f"sleep {number}; true"])
    wait_until(lambda: not commands_with(f"sleep {number}"), "the end of all of it")
    assert kubelet.state(container) == "CONTAINER_RUNNING"


def test_a_client_that_gives_up_ends_all_that_was_started(kubelet, container):
    number = long_sleep()
    with pytest.raises(grpc.RpcError) as error:
        kubelet.ExecSync(container_id=container, cmd=["sh", "-c", f"sleep {number}; true"], call_seconds=2)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: not commands_with(f"sleep {number}"), "the end of all of it")


def big_client(node):
    """A client that takes messages of 16 MiB, as a kubelet does, and not a byte more."""
    return cri_module.connect(str(ROOT), node.cri_socket, receive_bytes=LIMIT)


@pytest.mark.parametrize("script, both", [("head -c 30000000 /dev/zero", False), ("head -c 30000000 /dev/zero >&2", False),
                                          ("head -c 30000000 /dev/zero & head -c 30000000 /dev/zero >&2; wait", True)])
def test_output_beyond_the_limit_is_dropped_and_the_command_goes_on(kubelet, container, node, script, both):
    client = big_client(node)
    done = client.ExecSync(container_id=container, cmd=["sh", "-c", script + "; exit 7"])
    client.close()
    assert done["exit_code"] == 7
    sizes = [len(base64.b64decode(done.get(name, ""))) for name in ("stdout", "stderr")]
    assert sum(sizes) <= LIMIT
    if both:
        assert min(sizes) > LIMIT * 2 // 5
    else:
        assert max(sizes) > LIMIT - (64 << 10)


def test_output_without_end_meets_the_time_limit(kubelet, container, node, refused):
    """Its memory is given back, too."""
    kubelet.ExecSync(container_id=container, cmd=["true"])
    before = memory_kib(node.process.pid)
    with refused("DEADLINE_EXCEEDED"):
        kubelet.ExecSync(container_id=container, cmd=["cat", "/dev/zero"], timeout=2)
    wait_until(lambda: memory_kib(node.process.pid) < before + (4 << 10), "the memory", seconds=20)


def test_a_descendant_that_keeps_the_output_open_is_not_waited_for(kubelet, container):
    number = long_sleep()
    begin = time.monotonic()
    done = kubelet.ExecSync(container_id=container, cmd=["sh", "-c", f"sleep {number} & echo started"])
    assert base64.b64decode(done["stdout"]) == b"started\n"
    assert time.monotonic() - begin < 40
    assert commands_with(f"sleep {number}")  # it was not asked to end


def test_many_at_once(kubelet, container):
    results = []

    def one(number):
        done = kubelet.ExecSync(container_id=container, cmd=["sh", "-c", f"sleep 0.2; echo {number}"])
        results.append(base64.b64decode(done["stdout"]) == f"{number}\n".encode())
    threads = [threading.Thread(target=one, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 16
