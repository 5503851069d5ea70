"""Linux resources of a container's configuration, as the kernel has them in its cgroup: on v1, on v2, on the mix."""
import os

import pytest

import cgroups
from conftest import SLEEP


@pytest.fixture
def group(kubelet, node):
    """group(resources): starts a container with them; gives the path of its group."""
    def start(handler="", **resources):
        pod = kubelet.run_pod(runtime_handler=handler)
        container = kubelet.start(pod, SLEEP, resources=resources)
        start.container = container
        return f"{node.name}/pods/{pod}/{container}"
    return start


def has(controller):
    return cgroups.V2_ALONE or os.path.isdir(cgroups.BASE / controller)


@pytest.mark.machine
def test_cpu(group):
    path = group(cpu_period="200000", cpu_quota="50000", cpu_shares="2048")
    if cgroups.V2_ALONE:
        assert cgroups.value(path, "cpu", "", "cpu.max") == "50000 200000"
        assert cgroups.value(path, "cpu", "", "cpu.weight") == "79"
        return
    assert cgroups.value(path, "cpu", "cpu.cfs_quota_us", "") == "50000"
    assert cgroups.value(path, "cpu", "cpu.cfs_period_us", "") == "200000"
    assert cgroups.value(path, "cpu", "cpu.shares", "") == "2048"


@pytest.mark.machine
def test_cpusets(group, kubelet, refused):
    if not has("cpuset"):
        pytest.skip("no cpuset controller")
    path = group(cpuset_cpus="0", cpuset_mems="0")
    assert cgroups.value(path, "cpuset", "cpuset.cpus", "cpuset.cpus") == "0"
    assert cgroups.value(path, "cpuset", "cpuset.mems", "cpuset.mems") == "0"
    container = kubelet.create(kubelet.run_pod(), SLEEP, resources={"cpuset_cpus": "4000"})
    with pytest.raises(Exception, match="cpuset.cpus"):
        kubelet.StartContainer(container_id=container)


def swap_file():
    return "memory.swap.max" if cgroups.V2_ALONE else "memory.memsw.limit_in_bytes"


@pytest.mark.machine
def test_memory_and_swap(group, kubelet, refused):
    limit = 64 << 20
    path = group(memory_limit_in_bytes=str(limit))
    assert cgroups.value(path, "memory", "memory.limit_in_bytes", "memory.max") == str(limit)
    swap = cgroups.file(path, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max")
    if swap.exists():  # without a word about it, it does not swap
        assert swap.read_text().strip() == ("0" if cgroups.V2_ALONE else str(limit))
        path = group(memory_limit_in_bytes=str(limit), memory_swap_limit_in_bytes=str(limit * 2))
        assert cgroups.value(path, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max") == str(
            limit if cgroups.V2_ALONE else limit * 2)
        path = group(memory_limit_in_bytes=str(limit), memory_swap_limit_in_bytes="-1")
        text = cgroups.value(path, "memory", "memory.memsw.limit_in_bytes", "memory.swap.max")
        assert text == "max" or int(text) > 1 << 60
    pod = kubelet.run_pod()
    with refused("INVALID_ARGUMENT", "expected at least the memory limit"):
        kubelet.create(pod, resources={"memory_limit_in_bytes": str(limit), "memory_swap_limit_in_bytes": str(limit - 1)})
    with refused("INVALID_ARGUMENT", "memory limit of 4096 bytes: expected 262144"):
        kubelet.create(pod, resources={"memory_limit_in_bytes": "4096"})


@pytest.mark.machine
def test_pids_by_the_unified_map(group):
    path = group(unified=[{"key": "pids.max", "value": "33"}])
    assert cgroups.value(path, "pids", "pids.max", "pids.max") == "33"


@pytest.mark.machine
def test_unified_resources(group, kubelet, refused):
    if cgroups.V2_ALONE:
        path = group(unified=[{"key": "memory.high", "value": "33554432"}])
        assert cgroups.value(path, "memory", "", "memory.high") == "33554432"
    else:
        with refused("INVALID_ARGUMENT", "cgroup v2 does not have the memory controller"):
            kubelet.create(kubelet.run_pod(), resources={"unified": [{"key": "memory.high", "value": "1"}]})
    pod = kubelet.run_pod()
    for key in ("memory", "../memory.max", ".hidden"):
        with refused("INVALID_ARGUMENT", "the name of a cgroup v2 file"):
            kubelet.create(pod, resources={"unified": [{"key": key, "value": "1"}]})
    with refused("INVALID_ARGUMENT", "pids.max"):
        kubelet.create(pod, resources={"unified": [{"key": "pids.max", "value": "many"}]})


def test_a_controller_that_only_v2_has_beside_v1(group):
    if not cgroups.is_mixed() or "hugetlb" not in (cgroups.BASE / "unified/cgroup.controllers").read_text():
        pytest.skip("v2 has no controller of its own beside v1 here")
    path = group(unified=[{"key": "hugetlb.2MB.max", "value": "4194304"}])
    assert (cgroups.BASE / "unified" / path / "hugetlb.2MB.max").read_text().strip() == "4194304"


def test_huge_pages(group, kubelet):
    folder = "unified" if cgroups.is_mixed() else ""
    if not os.path.isdir("/sys/kernel/mm/hugepages/hugepages-2048kB"):
        pytest.skip("no huge pages of 2 MB")
    path = group(hugepage_limits=[{"page_size": "2MB", "limit": "6291456"}])
    for name in (cgroups.BASE / folder / path / "hugetlb.2MB.max", cgroups.BASE / "hugetlb" / path / "hugetlb.2MB.limit_in_bytes"):
        if name.exists():
            assert name.read_text().strip() == "6291456"
            break
    else:
        pytest.fail("no limit was written")
    container = kubelet.create(kubelet.run_pod(), SLEEP, resources={"hugepage_limits": [{"page_size": "3MB", "limit": "1"}]})
    with pytest.raises(Exception, match="3MB"):
        kubelet.StartContainer(container_id=container)


def oom_score(kubelet, value):
    pod = kubelet.run_pod()
    return int(kubelet.run(pod, ["cat", "/proc/self/oom_score_adj"], resources={"oom_score_adj": str(value)})[0])


def test_oom_score(kubelet, node, refused):
    with open("/proc/self/oom_score_adj", encoding="utf-8") as file:
        own = int(file.read())
    assert oom_score(kubelet, 777) == 777
    with open("/proc/self/status", encoding="utf-8") as file:
        may_lower = int(next(line for line in file if line.startswith("CapBnd")).split()[1], 16) & 1 << 24
    assert oom_score(kubelet, -900) == (-900 if may_lower else own)
    if not may_lower:
        assert f"oom_score_adj -900: {own} is the lowest that axled may set" in node.log_text()
    with refused("INVALID_ARGUMENT", "-1000 to 1000"):
        kubelet.create(kubelet.run_pod(), resources={"oom_score_adj": "1001"})


@pytest.mark.parametrize("resources, words", [
    ({"cpu_shares": "-1"}, "cpu_shares -1"),
    ({"cpu_period": "-5"}, "cpu_period -5"),
])
def test_numbers_that_cannot_be(kubelet, refused, resources, words):
    with refused("INVALID_ARGUMENT", words):
        kubelet.create(kubelet.run_pod(), resources=resources)


def test_limits_with_another_runtime(group, kubelet):
    path = group(handler="runc", memory_limit_in_bytes=str(32 << 20), cpu_shares="512")
    assert cgroups.value(path, "memory", "memory.limit_in_bytes", "memory.max") == str(32 << 20)
    assert kubelet.status(group.container)["resources"]["linux"]["cpu_shares"] == "512"
