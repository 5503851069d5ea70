"""How containers ended is told truly, whoever was away when it happened: code, signal, reason, times."""
import json
import os
import signal
import time

import pytest

from conftest import ROOT, SLEEP, Kubelet, wait_until

import cri as cri_module


@pytest.fixture
def restarted(node, kubelet):
    """Starts the node again and gives a client on its new socket."""
    def start():
        node.start()
        kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)  # the fixture's end removes the pods by it
        return Kubelet(kubelet.client, kubelet.image, kubelet.folder)
    return start


def seconds(status, name):
    return int(status[name]) / 1e9


def outcome(status):
    return status["state"], status.get("exit_code", 0), status["reason"]


def wait_gone(pid):
    def gone():
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rpartition(") ")[2][0] in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return True
    wait_until(gone, "the end of the container's process")


def pid_of(kubelet, container):
    return json.loads(kubelet.ContainerStatus(container_id=container, verbose=True)["info"][0]["value"])["pid"]


EATER = "echo ready; while [ ! -e /dev/shm/go ]; do sleep 0.05; done; sleep 1; exec dd if=/dev/zero of=/dev/null bs=200M count=1"


def test_an_oom_kill_while_axled_was_away(kubelet, node, restarted):
    """The first process itself is what the kernel ends: dd is executed in its place."""
    pod = kubelet.run_pod()
    limits = {"memory_limit_in_bytes": 32 << 20, "memory_swap_limit_in_bytes": 32 << 20}
    container = kubelet.start(pod, ["sh", "-c", EATER], resources=limits)
    wait_until(lambda: kubelet.output() == ["ready"], "the first line")
    pid = pid_of(kubelet, container)
    before = time.time()
    kubelet.start(pod, ["touch", "/dev/shm/go"], "starter")
    node.kill()
    wait_gone(pid)
    after = time.time()
    status = restarted().wait(container)
    assert outcome(status) == ("CONTAINER_EXITED", 137, "OOMKilled")
    assert before - 1 <= seconds(status, "finished_at") <= after + 5
    assert seconds(status, "started_at") <= seconds(status, "finished_at")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_signal_while_axled_was_away(kubelet, node, restarted, number):
    # not the first process of its namespace, which only SIGKILL could end
    mode = {"namespace_options": {"pid": "POD"}}
    pod = kubelet.run_pod(linux={"security_context": mode})
    container = kubelet.start(pod, ["sleep", "1000"], security=mode)
    pid = pid_of(kubelet, container)
    node.kill()
    os.kill(pid, number)
    wait_gone(pid)
    assert outcome(restarted().wait(container)) == ("CONTAINER_EXITED", 128 + number, "Error")


def test_an_end_after_the_monitors(kubelet, node):
    """Another monitor has adopted the container by axled's descriptors."""
    pod = kubelet.run_pod()
    container = kubelet.start(pod, SLEEP)
    killed = set(node.monitors())
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not killed & set(node.monitors()), "the monitors' end")
    kubelet.StopContainer(container_id=container, timeout=10)
    status = kubelet.wait(container)
    assert outcome(status) == ("CONTAINER_EXITED", 7, "Error")
    for _ in range(2):
        kubelet.RemoveContainer(container_id=container)


def test_success_is_told_as_such(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["true"])
    status = kubelet.wait(container)
    assert outcome(status) == ("CONTAINER_EXITED", 0, "Completed")
    assert int(status["created_at"]) <= int(status["started_at"]) <= int(status["finished_at"])
