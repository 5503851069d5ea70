"""A client that behaves as a kubelet does, beside containers of the command line, which it must not touch.

A kubelet ends every sandbox and container it does not know, collects every image it does not use, lists once a second, probes by
exec, starts anew what has ended, rotates logs, and reads statistics. AXLE_KUBELET_SECONDS: how long (`make soak`: ten minutes)."""
import os
import random
import time

import grpc
import pytest

import cri as cri_module
import sandbox
from conftest import wait_until
from streaming import Stream
from test_manager_calls import pss_kib
from test_manager_loads import remove_group

SECONDS = float(os.environ.get("AXLE_KUBELET_SECONDS", "8"))
SEED = int(os.environ.get("AXLE_FAULT_SEED", "7"))
PODS_MAX = 5
SERVER = ["sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 1 & wait; done"]
WORKER = ["sh", "-c", "echo working; sleep 0.5; exit $((RANDOM % 3))"]  # ends by itself, in different ways


class Pod:
    """What the API server wants: a pod with containers."""

    def __init__(self, number, commands):
        self.name, self.uid = f"web-{number}", f"uid-{number}"
        self.commands = dict(enumerate(commands))
        self.sandbox, self.containers, self.attempts = None, {}, {}
        self.deleted = False


class KubeletScript:
    """The kubelet's loops, one after the other, once in each turn()."""

    def __init__(self, client, image, folder, cgroup, seed):
        self.cri, self.image, self.folder, self.cgroup = client, image, str(folder), cgroup
        self.random = random.Random(seed)
        self.pods, self.number, self.events = [], 0, None
        self.counts = {"started": 0, "restarted": 0, "deleted": 0, "probes": 0, "images": 0, "rotated": 0, "listed": 0}

    # Startup.

    def begin(self):
        assert self.cri.Version(version="0.1.0")["runtime_api_version"] == "v1"
        conditions = {one["type"]: one.get("status") for one in self.cri.Status(verbose=True)["status"]["conditions"]}
        assert conditions["RuntimeReady"] and conditions["NetworkReady"]
        self.cri.ImageFsInfo()
        self.events = Stream(self.cri, "GetContainerEvents")
        self.end_unknown()

    # Housekeeping.

    def end_unknown(self):
        """What no pod of ours has made is ended and removed."""
        known = {pod.sandbox for pod in self.pods}
        for sandbox_ in self.cri.ListPodSandbox().get("items", []):
            if sandbox_["id"] not in known:
                self.cri.StopPodSandbox(pod_sandbox_id=sandbox_["id"])
                self.cri.RemovePodSandbox(pod_sandbox_id=sandbox_["id"])
        known = {container for pod in self.pods for container in pod.containers.values()}
        for container in self.cri.ListContainers().get("containers", []):
            if container["id"] not in known:
                self.cri.RemoveContainer(container_id=container["id"])

    def collect_images(self):
        """Image garbage collection: all that is not used, and not pinned."""
        used = {one["image_id"] for one in self.cri.ListContainers().get("containers", [])}
        for image in self.cri.ListImages().get("images", []):
            if image["id"] not in used and not image.get("pinned"):
                self.cri.RemoveImage(image={"image": image["id"]})
                self.counts["images"] += 1

    # One pod.

    def config(self, pod):
        return {"metadata": {"name": pod.name, "uid": pod.uid, "namespace": "default"}, "hostname": pod.name,
                "log_directory": os.path.join(self.folder, "pods", pod.uid),
                "labels": cri_module.pairs({"io.kubernetes.pod.name": pod.name, "io.kubernetes.pod.uid": pod.uid}),
                "linux": {"cgroup_parent": f"{self.cgroup}/pod{pod.uid}",
                          "security_context": {"namespace_options": {"pid": "CONTAINER"}, "seccomp": {}}}}

    def sync(self, pod):
        if pod.sandbox is None:
            if not self.cri.ImageStatus(image={"image": self.image}).get("image"):
                self.cri.PullImage(image={"image": self.image}, sandbox_config=self.config(pod))
            pod.sandbox = self.cri.RunPodSandbox(config=self.config(pod))["pod_sandbox_id"]
            status = self.cri.PodSandboxStatus(pod_sandbox_id=pod.sandbox)["status"]
            assert status.get("state", "SANDBOX_READY") == "SANDBOX_READY"
        for key in pod.commands:
            if key not in pod.containers:
                self.start(pod, key)

    def start(self, pod, key):
        attempt = pod.attempts.get(key, -1) + 1
        pod.attempts[key] = attempt
        if not self.cri.ImageStatus(image={"image": self.image}).get("image"):
            self.cri.PullImage(image={"image": self.image})
        container = {"metadata": {"name": f"c{key}", "attempt": attempt}, "image": {"image": self.image}, "command": pod.commands[key],
                     "log_path": f"c{key}/{attempt}.log", "labels": cri_module.pairs({"io.kubernetes.container.name": f"c{key}"}),
                     "linux": {"resources": {"cpu_shares": 128, "memory_limit_in_bytes": 64 << 20, "oom_score_adj": 900},
                               "security_context": {"namespace_options": {"pid": "CONTAINER"}}}}
        pod.containers[key] = self.cri.CreateContainer(pod_sandbox_id=pod.sandbox, config=container,
                                                       sandbox_config=self.config(pod))["container_id"]
        self.cri.StartContainer(container_id=pod.containers[key])
        self.counts["started"] += 1

    def restart_ended(self, pod, states):
        for key, container in list(pod.containers.items()):
            if states.get(container) == "CONTAINER_EXITED":
                status = self.cri.ContainerStatus(container_id=container)["status"]
                assert status["reason"] in ("Completed", "Error"), status
                assert int(status["finished_at"]) >= int(status["started_at"]) > 0
                self.cri.RemoveContainer(container_id=container)
                del pod.containers[key]
                self.start(pod, key)
                self.counts["restarted"] += 1

    def probe(self, pod):
        for container in pod.containers.values():
            try:
                answer = self.cri.ExecSync(container_id=container, cmd=["true"], timeout=10)
                assert answer.get("exit_code", 0) in (0, 137)
            except grpc.RpcError as error:
                self.await_end(container, error)
            self.counts["probes"] += 1

    def await_end(self, container, error):
        """A call that was refused because the container is just ending: nothing else may refuse it."""
        wait_until(lambda: self.cri.ContainerStatus(container_id=container)["status"].get("state") == "CONTAINER_EXITED",
                   f"the end of a container that refused a call: {error}")

    def rotate(self, pod):
        for key, container in pod.containers.items():
            path = os.path.join(self.folder, "pods", pod.uid, f"c{key}", f"{pod.attempts[key]}.log")
            if os.path.exists(path):
                os.rename(path, path + ".rotated")
                try:
                    self.cri.ReopenContainerLog(container_id=container)
                except grpc.RpcError as error:
                    self.await_end(container, error)
                self.counts["rotated"] += 1

    def delete(self, pod):
        for container in pod.containers.values():
            self.cri.StopContainer(container_id=container, timeout=self.random.choice([0, 1]))
        self.cri.StopPodSandbox(pod_sandbox_id=pod.sandbox)
        for container in pod.containers.values():
            self.cri.RemoveContainer(container_id=container)
        self.cri.RemovePodSandbox(pod_sandbox_id=pod.sandbox)
        for path in sandbox.cgroups_named(f"pod{pod.uid}"):
            if self.cgroup.strip("/") in path:
                wait_until(lambda path=path: remove_group(path), f"{path} empty")
        self.pods.remove(pod)
        self.counts["deleted"] += 1

    # All of it.

    def turn(self):
        """The pod lifecycle event generator's relist, and what follows from it."""
        states = {one["id"]: one.get("state", "CONTAINER_CREATED") for one in self.cri.ListContainers().get("containers", [])}
        listed = {one["id"] for one in self.cri.ListPodSandbox().get("items", [])}
        self.counts["listed"] += 1
        assert {pod.sandbox for pod in self.pods} == listed, "sandboxes of others, or some are missing"
        assert {container for pod in self.pods for container in pod.containers.values()} == set(states)
        for pod in list(self.pods):
            self.restart_ended(pod, states)
        if len(self.pods) < PODS_MAX:
            self.number += 1
            self.pods.append(Pod(self.number, [SERVER] + [WORKER] * self.random.randrange(3)))
            self.sync(self.pods[-1])
        for pod in list(self.pods):
            action = self.random.random()
            if action < 0.3:
                self.probe(pod)
            elif action < 0.4:
                self.rotate(pod)
            elif action < 0.5:
                self.delete(pod)
        self.cri.ListPodSandboxStats()
        self.cri.ListContainerStats()
        self.collect_images()
        self.end_unknown()

    def finish(self):
        for pod in list(self.pods):
            self.delete(pod)
        self.events.cancel()


@pytest.fixture
def kubepods(tag):
    """The group that a kubelet makes for its pods."""
    name = f"{tag}kubepods"
    yield f"/{name}"
    for path in sorted(sandbox.cgroups_named(name), key=len, reverse=True):
        for below, _, _ in os.walk(path, topdown=False):
            wait_until(lambda below=below: remove_group(below), f"{below} empty")


def test_a_kubelet_beside_the_command_line(node, cri, registry, folder, kubepods):
    other = registry.image("layers:latest")
    beside = []
    for number in range(3):
        node.axle("pull", other)
        beside.append(node.axle("run", "-d", "--name", f"mine{number}", other, "sh", "-c",
                                "i=0; while :; do i=$((i+1)); echo $i; sleep 0.2; done"))
    facts = [node.axle("inspect", id_) for id_ in beside]
    assert all(len(same(text)) >= 3 for text in facts), facts
    kubelet = KubeletScript(cri, registry.image("busybox:latest"), folder, kubepods, SEED)
    kubelet.begin()
    memory = []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or kubelet.counts["listed"] < 3:
        turn = time.monotonic()
        kubelet.turn()
        memory.append(pss_kib(node.process.pid))
        time.sleep(max(0, min(1, SECONDS / 20) - (time.monotonic() - turn)))
    assert kubelet.events.messages, "no event came"
    kubelet.finish()
    print(f"{SECONDS:.0f} s: {kubelet.counts}, {len(kubelet.events.messages)} events, "
          f"axled {memory[len(memory) // 10]} KiB at first, {memory[-1]} KiB at last")
    assert cri.ListPodSandbox() == {} and cri.ListContainers() == {}
    assert [same(node.axle("inspect", id_)) for id_ in beside] == [same(text) for text in facts], "the command line's were touched"
    for number in range(3):
        lines = [int(line) for line in node.axle("logs", f"mine{number}").split()]
        assert lines == list(range(1, len(lines) + 1)) and len(lines) > 3, "a log with a gap"
    assert other.rsplit(":", 1)[0] in node.axle("images"), "the kubelet's garbage collection took an image of the command line's"
    assert memory[-1] < memory[len(memory) // 10] + 4096
    node.axle("rm", "-f", *beside)


def same(text):
    """What must not change while a container runs: what it is, its process, and when it began."""
    return [line for line in text.splitlines() if any(f'"{key}"' in line.lower() for key in ("id", "pid", "started_at", "startedat"))]
