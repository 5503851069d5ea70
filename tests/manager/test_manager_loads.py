"""Loads that a node must survive: many containers, fork bombs, floods of output, a full disk, little memory, a clock that jumps.

Small enough for every run; AXLE_LOAD=soak (`make soak`): 1,000 made and removed, 200 alive."""
import concurrent.futures
import os
import subprocess
import time

import grpc
import pytest

import cgroups
import cri as cri_module
import sandbox
from conftest import Kubelet, ROOT, SLEEP, wait_until
from test_manager_calls import pss_kib

SOAK = os.environ.get("AXLE_LOAD") == "soak"
MADE, ALIVE = (1000, 200) if SOAK else (40, 16)
IDLE = ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 1000 & wait; done"]


def answers(kubelet):
    return kubelet.Version(call_seconds=30)["runtime_name"] == "axle"


def in_parallel(workers, function, items):
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))


def test_many_containers_made_and_removed(kubelet, node):
    """Neither memory nor descriptors nor anything else grows with what is gone."""
    def one(number):
        pod = kubelet.run_pod(f"many{number}")
        container = kubelet.create(pod, ["true"], f"c{number}")
        kubelet.StartContainer(container_id=container)
        kubelet.wait(container)
        kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    in_parallel(4, one, range(8))
    before, descriptors = pss_kib(node.process.pid), len(os.listdir(f"/proc/{node.process.pid}/fd"))
    in_parallel(4, one, range(100, 100 + MADE))
    wait_until(lambda: not node.monitors(), "the monitors' end", 30)
    wait_until(lambda: len(os.listdir(f"/proc/{node.process.pid}/fd")) <= descriptors, "descriptors closed", 30)
    after = pss_kib(node.process.pid)
    print(f"{MADE} made and removed: {before} KiB before, {after} KiB after")
    assert after < before + 4096
    assert kubelet.ListContainers() == {} and kubelet.ListPodSandbox() == {}


def test_many_alive(kubelet, node):
    """They are listed, outlive a killed axled, and all end."""
    def one(number):
        pod = kubelet.run_pod(f"alive{number}")
        return kubelet.start(pod, IDLE, f"alive{number}")
    before = pss_kib(node.process.pid)
    ids = in_parallel(4, one, range(ALIVE))
    print(f"{ALIVE} alive: {before} KiB before, {pss_kib(node.process.pid)} KiB of axled now")
    node.kill()
    node.start()
    kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)
    running = {one["id"] for one in kubelet.ListContainers(filter={"state": {"state": "CONTAINER_RUNNING"}})["containers"]}
    assert running == set(ids)
    with open(f"/proc/{node.process.pid}/schedstat", encoding="ascii") as file:
        print(f"taken up again with {int(file.read().split()[0]) / 1e6:.0f} ms of CPU time")
    in_parallel(4, lambda pod: kubelet.RemovePodSandbox(pod_sandbox_id=pod["id"]), kubelet.ListPodSandbox()["items"])
    wait_until(lambda: not node.monitors(), "the monitors' end", 60)


LIMITS = [("pids", "pids.max", "pids.max", 64), ("memory", "memory.limit_in_bytes", "memory.max", 64 << 20)]


@pytest.fixture
def small_parent(tag):
    """A cgroup parent, as a kubelet makes one, with at most 64 processes and 64 MiB; removed at the end."""
    name = f"{tag}small"
    for controller, v1, v2, limit in LIMITS:
        path = cgroups.file(name, controller, v1, v2)
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(limit))
    yield f"/{name}"
    for path in sandbox.cgroups_named(name):
        wait_until(lambda path=path: remove_group(path), f"{path} empty")


def processes_in(group):
    return int(cgroups.value(group, "pids", "pids.current", "pids.current"))


def remove_group(path):
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except OSError:
        return False
    return True


def in_parent(parent):
    return {"linux": {"cgroup_parent": parent, "security_context": {"namespace_options": {"pid": "CONTAINER"}}}}


def test_a_fork_bomb_ends_with_its_container(kubelet, node, small_parent):
    pod = kubelet.run_pod("bomb", **in_parent(small_parent))
    container = kubelet.create(pod, ["sh", "-c", "bomb() { bomb | bomb & }; trap '' TERM; while :; do bomb; done"], "bomb")
    kubelet.StartContainer(container_id=container)
    assert cgroups.value(small_parent, "pids", "pids.max", "pids.max") == "64"
    wait_until(lambda: processes_in(small_parent) > 30, "many processes", 30)
    assert answers(kubelet)
    other = kubelet.run_pod("beside")
    assert kubelet.run(other, ["echo", "works"]) == ["works"]
    kubelet.StopContainer(container_id=container, timeout=1, call_seconds=60)
    assert kubelet.status(container)["state"] == "CONTAINER_EXITED"
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)


def test_a_flood_without_newlines(kubelet, node):
    """The container ends, the monitor stays small, each record of the log is one, and nobody waits."""
    size = 64 << 20 if SOAK else 16 << 20
    pod = kubelet.run_pod("flood")
    container = kubelet.create(pod, ["sh", "-c", f"tr '\\0' x </dev/zero | head -c {size}; echo; echo end"], "flood")
    kubelet.StartContainer(container_id=container)
    most = 0
    while kubelet.state(container) == "CONTAINER_RUNNING":
        most = max([most] + [pss_or_nothing(pid) for pid in node.monitors()])
        assert answers(kubelet)
    assert most < 16 << 10, f"axmon had {most} KiB"
    written = dropped = 0
    with open(os.path.join(kubelet.folder, "logs", "flood.log"), "rb") as file:
        for line in file:
            words = line.rstrip(b"\n").split(b" ", 3)
            assert len(words) == 4 and words[1] in (b"stdout", b"stderr") and words[2] in (b"P", b"F"), line[:100]
            written += words[3].count(b"x") if set(words[3]) <= set(b"x") else 0
            dropped += words[3] != b"end" and not set(words[3]) <= set(b"x")
    assert written == size or dropped, f"{written} of {size} bytes, and no line says what was dropped"


def pss_or_nothing(pid):
    try:
        return pss_kib(pid)
    except (OSError, StopIteration):
        return 0


@pytest.fixture
def small_disk(folder):
    """A disk of 12 MiB for a node's root."""
    path = folder / "disk"
    path.mkdir()
    sandbox.mount("small", path, "tmpfs", 0, "size=12m,mode=755")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def fill(path):
    with open(path, "wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"x" * size)
            except OSError:
                size //= 2


def test_a_full_disk_is_told_and_left_behind(leak_check, make_node, registry, folder, small_disk):
    node = make_node()
    node.root = str(small_disk / "root")
    node.start()
    client = cri_module.connect(str(ROOT), node.cri_socket)
    kubelet = Kubelet(client, registry.image("busybox:latest"), folder)
    kubelet.PullImage(image={"image": kubelet.image})
    pod = kubelet.run_pod("before")
    running = kubelet.start(pod)
    fill(small_disk / "ballast")
    with pytest.raises(grpc.RpcError) as caught:
        kubelet.PullImage(image={"image": registry.image("layers:latest")})
    assert "space" in caught.value.details(), caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        kubelet.run_pod("full")
    assert "space" in caught.value.details(), caught.value.details()
    assert kubelet.state(running) == "CONTAINER_RUNNING"
    assert [one["id"] for one in kubelet.ListPodSandbox()["items"]] == [pod]
    kubelet.StopContainer(container_id=running, timeout=10)  # its end cannot be recorded, and is known all the same
    assert kubelet.status(running)["exit_code"] == 7
    os.unlink(small_disk / "ballast")
    assert kubelet.run(kubelet.run_pod("after"), ["echo", "works"]) == ["works"]
    kubelet.remove_all()
    client.close()


def test_little_memory(kubelet, node, small_parent):
    """A pod that eats all it may: its container is ended for it, and nobody else."""
    beside = kubelet.start(kubelet.run_pod("beside"))
    pod = kubelet.run_pod("eater", **in_parent(small_parent))
    eater = kubelet.create(pod, ["sh", "-c", "x=x; while :; do x=$x$x; done"], "eater")
    kubelet.StartContainer(container_id=eater)
    wait_until(lambda: kubelet.state(eater) == "CONTAINER_EXITED", "its end", 60)
    assert kubelet.status(eater)["exit_code"] != 0
    assert kubelet.state(beside) == "CONTAINER_RUNNING" and answers(kubelet)


JUMPING_CLOCK = r"""
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *ret)
{
	static int (*real)(clockid_t, struct timespec *);
	if (!real)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
	int r = real(id, ret);
	FILE *file = id == CLOCK_REALTIME ? fopen(getenv("CLOCK_OFFSET_FILE"), "r") : NULL;
	long offset = 0;
	if (file) {
		if (fscanf(file, "%ld", &offset) == 1)
			ret->tv_sec += offset;
		fclose(file);
	}
	return r;
}
"""


@pytest.mark.parametrize("jump", [-86400, 10 * 365 * 86400])
def test_a_clock_that_jumps(make_node, registry, folder, jump):
    """What waits, waits by another clock; what is shown are valid times."""
    library, offset = folder / "clock.so", folder / "offset"
    subprocess.run(["gcc", "-shared", "-fPIC", "-D_GNU_SOURCE", "-x", "c", "-", "-o", library, "-ldl"], input=JUMPING_CLOCK.encode(),
                   check=True)
    offset.write_text("0\n")
    node = make_node(environment={"LD_PRELOAD": str(library), "CLOCK_OFFSET_FILE": str(offset)})
    node.start()
    kubelet = Kubelet(cri_module.connect(str(ROOT), node.cri_socket), registry.image("busybox:latest"), folder)
    kubelet.PullImage(image={"image": kubelet.image})
    pod = kubelet.run_pod()
    stubborn = kubelet.start(pod, ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"], "stubborn")
    offset.write_text(f"{jump}\n")
    later = kubelet.run_pod("later")
    created = int(kubelet.PodSandboxStatus(pod_sandbox_id=later)["status"]["created_at"]) / 1e9
    assert abs(created - time.time() - jump) < 300, "the clock did not jump for axled"
    begin = time.monotonic()
    kubelet.StopContainer(container_id=stubborn, timeout=1)
    assert time.monotonic() - begin < 60
    assert kubelet.status(stubborn)["state"] == "CONTAINER_EXITED"
    assert kubelet.run(later, ["echo", "works"]) == ["works"]
    assert len(kubelet.ListPodSandbox()["items"]) == 2
    kubelet.remove_all()
