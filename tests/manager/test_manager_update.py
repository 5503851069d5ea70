"""UpdateContainerResources on containers that run and that do not yet; ReopenContainerLog."""
import glob
import os

import pytest

from conftest import SLEEP, wait_until

import cri as cri_module

MIB = 1 << 20


def group_files(node, container, name):
    """The contents of a cgroup file of the container, in whichever hierarchy it is."""
    found = glob.glob(f"/sys/fs/cgroup/**/{node.name}/pods/*/{container}/{name}", recursive=True)
    return {open(path, encoding="utf-8").read().strip() for path in found}


def limit(node, container, v1, v2):
    values = group_files(node, container, v1) or group_files(node, container, v2)
    assert len(values) == 1, (v1, v2, values)
    return values.pop()


def memory(node, container):
    return limit(node, container, "memory.limit_in_bytes", "memory.max")


def shares(node, container):
    return limit(node, container, "cpu.shares", "cpu.weight")


def quota(node, container):
    values = group_files(node, container, "cpu.cfs_quota_us")
    return values.pop() if values else limit(node, container, "-", "cpu.max").split()[0]


def resources(kubelet, container):
    linux = kubelet.status(container)["resources"]["linux"]
    return {key: int(value) if str(value).lstrip("-").isdigit() else value for key, value in linux.items()}


@pytest.mark.parametrize("handler", ["axrun", "runc", "crun"])
def test_other_limits_while_it_runs(kubelet, node, handler):
    pod = kubelet.run_pod(runtime_handler=handler)
    container = kubelet.start(pod, SLEEP, resources={"memory_limit_in_bytes": 64 * MIB, "cpu_shares": 512,
                                                     "cpu_quota": 50000, "cpu_period": 100000})
    assert memory(node, container) == str(64 * MIB)
    before = shares(node, container)
    kubelet.UpdateContainerResources(container_id=container, linux={"memory_limit_in_bytes": 96 * MIB, "cpu_quota": 70000})
    assert memory(node, container) == str(96 * MIB)
    assert quota(node, container) == "70000"
    assert shares(node, container) == before  # was not asked for
    status = resources(kubelet, container)
    assert status["memory_limit_in_bytes"] == 96 * MIB and status["cpu_quota"] == 70000 and status["cpu_shares"] == 512
    assert status["cpu_period"] == 100000
    node.restart()  # it is recorded
    kubelet.reconnect()
    assert resources(kubelet, container) == status
    assert kubelet.state(container) == "CONTAINER_RUNNING"
    kubelet.UpdateContainerResources(container_id=container, linux={"cpu_shares": 1024})
    assert shares(node, container) != before


@pytest.mark.machine
def test_other_limits_before_the_start(kubelet, node):
    """Recorded at once, in force from the start on."""
    container = kubelet.create(kubelet.run_pod(), SLEEP, resources={"memory_limit_in_bytes": 64 * MIB})
    kubelet.UpdateContainerResources(container_id=container, linux={"memory_limit_in_bytes": 128 * MIB, "cpu_shares": 300})
    assert resources(kubelet, container)["memory_limit_in_bytes"] == 128 * MIB
    node.restart()
    kubelet.reconnect()
    kubelet.StartContainer(container_id=container)
    assert memory(node, container) == str(128 * MIB)
    assert resources(kubelet, container)["cpu_shares"] == 300


def test_many_updates_one_after_the_other(kubelet, node):
    container = kubelet.start(kubelet.run_pod(), SLEEP)
    for megabytes in range(32, 52):
        kubelet.UpdateContainerResources(container_id=container, linux={"memory_limit_in_bytes": megabytes * MIB})
    assert memory(node, container) == str(51 * MIB)
    assert resources(kubelet, container)["memory_limit_in_bytes"] == 51 * MIB


@pytest.mark.machine
def test_an_update_that_fails_changes_nothing(kubelet, node, refused):
    """The first limit could be written, the second cannot: both stay as they were, in the kernel and in the record."""
    container = kubelet.start(kubelet.run_pod(), SLEEP, resources={"memory_limit_in_bytes": 64 * MIB, "cpu_shares": 512})
    status, in_kernel = resources(kubelet, container), (memory(node, container), shares(node, container))
    with refused("INTERNAL", "cpuset.cpus"):
        kubelet.UpdateContainerResources(container_id=container, linux={"memory_limit_in_bytes": 80 * MIB,
                                                                        "cpu_shares": 300, "cpuset_cpus": "4000-4001"})
    assert (memory(node, container), shares(node, container)) == in_kernel
    assert resources(kubelet, container) == status
    with refused("INVALID_ARGUMENT", "cpu_shares"):
        kubelet.UpdateContainerResources(container_id=container, linux={"cpu_shares": -5})
    assert resources(kubelet, container) == status
    node.restart()
    kubelet.reconnect()
    assert resources(kubelet, container) == status


def test_whose_limits_cannot_change(kubelet, node, refused):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["true"])
    kubelet.wait(container)
    with refused("FAILED_PRECONDITION", "expected one that is created or runs"):
        kubelet.UpdateContainerResources(container_id=container, linux={"cpu_shares": 300})
    with refused("NOT_FOUND"):
        kubelet.UpdateContainerResources(container_id="0" * 64, linux={"cpu_shares": 300})
    mine = kubelet.start(pod, SLEEP, name="mine", log_path="mine.log")
    kubelet.UpdateContainerResources(container_id=mine)  # nothing asked for
    kubelet.UpdateContainerResources(container_id=mine, linux={})
    assert kubelet.state(mine) == "CONTAINER_RUNNING"
    cli = cri_module.connect(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), node.socket)
    cli.close()


def test_a_log_that_was_moved_is_reopened(kubelet, refused):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "echo up; i=0; while :; do i=$((i+1)); echo line$i; sleep 0.05; done"])
    wait_until(lambda: "line1" in kubelet.output(), "the first line", 30)
    path = os.path.join(kubelet.folder, "logs", "main.log")
    os.rename(path, path + ".1")
    kubelet.ReopenContainerLog(container_id=container)
    wait_until(lambda: kubelet.output(), "a line in the new file", 30)
    first = int(kubelet.output()[0].removeprefix("line"))
    with open(path + ".1", encoding="utf-8") as file:
        last = int(file.read().split()[-1].removeprefix("line"))
    assert first == last + 1  # nothing lost, nothing twice
    kubelet.StopContainer(container_id=container, timeout=0)
    with refused("FAILED_PRECONDITION", "expected one that runs"):
        kubelet.ReopenContainerLog(container_id=container)
    created = kubelet.create(pod, SLEEP, name="other")
    with refused("FAILED_PRECONDITION"):
        kubelet.ReopenContainerLog(container_id=created)
    with refused("NOT_FOUND"):
        kubelet.ReopenContainerLog(container_id="0" * 64)
