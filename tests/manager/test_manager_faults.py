"""kill -9 at any point: the sweep over the fault points of a pod's, a container's and an image's life (tests/lib/faults.py).

AXLE_FAULT_ROUNDS sets how many points are tried of each sweep (all: 0); `make soak` tries a thousand."""
import itertools
import os
import random
import signal
import threading

import grpc
import pytest

import cni
import cri as cri_module
import faults
from conftest import Kubelet, ROOT, SLEEP

ROUNDS = int(os.environ.get("AXLE_FAULT_ROUNDS", "12"))
SEED = int(os.environ.get("AXLE_FAULT_SEED", "7"))
FAILURES_MAX = 10
LATE_SECONDS = 0.3
READY, EXITED, RUNNING = "SANDBOX_READY", "CONTAINER_EXITED", "CONTAINER_RUNNING"


class Life:
    """One pod with a container from beginning to end, and what was promised on the way."""

    def __init__(self, kubelet, name, network):
        self.kubelet, self.name, self.network = kubelet, name, network
        self.pod = self.container = None
        self.asked = set()
        self.done = set()

    def step(self, name, call):
        self.asked.add(name)
        result = call()
        self.done.add(name)
        return result

    def config(self):
        options = {"pid": "POD"} if self.network else {"pid": "CONTAINER", "network": "NODE"}
        ports = [{"container_port": 80, "host_port": 8080}] if self.network else []
        return self.kubelet.pod_config(self.name, port_mappings=ports, linux={"security_context": {"namespace_options": options}})

    def run(self):
        cri = self.kubelet
        self.pod = self.step("run", lambda: cri.RunPodSandbox(config=self.config())["pod_sandbox_id"])
        config = cri.container_config(SLEEP, log_path=self.name + ".log", security={"namespace_options": {"pid": "POD"}})
        self.container = self.step("create", lambda: cri.CreateContainer(pod_sandbox_id=self.pod, config=config)["container_id"])
        self.step("start", lambda: cri.StartContainer(container_id=self.container))
        self.step("exec", lambda: cri.ExecSync(container_id=self.container, cmd=["true"], timeout=20))
        self.step("stop", lambda: cri.StopContainer(container_id=self.container, timeout=0))
        self.step("remove", lambda: cri.RemoveContainer(container_id=self.container))
        self.step("stop-pod", lambda: cri.StopPodSandbox(pod_sandbox_id=self.pod))
        self.step("remove-pod", lambda: cri.RemovePodSandbox(pod_sandbox_id=self.pod))

    def check(self, power_cut):
        """What was answered holds; what was asked and not answered may have happened or not."""
        kubelet = self.kubelet
        pods = {pod["id"]: pod for pod in kubelet.ListPodSandbox().get("items", [])}
        containers = {one["id"]: one for one in kubelet.ListContainers().get("containers", [])}
        for pod in pods:
            assert kubelet.PodSandboxStatus(pod_sandbox_id=pod)["status"]["id"] == pod
        for container in containers:
            assert kubelet.ContainerStatus(container_id=container)["status"]["id"] == container
            assert containers[container]["pod_sandbox_id"] in pods
        if "run" in self.done and "remove-pod" not in self.asked:
            assert self.pod in pods
            if "stop-pod" not in self.asked:
                state = pods[self.pod].get("state", READY)
                assert (state == READY) != power_cut, state
        if "remove-pod" in self.done:
            assert not pods
        if "create" in self.done and not self.asked & {"remove", "remove-pod"}:
            state = containers[self.container].get("state", "CONTAINER_CREATED")
            if power_cut or "stop" in self.done:
                assert state == EXITED
            elif "start" in self.done and "stop" not in self.asked:
                assert state == RUNNING
                assert kubelet.ExecSync(container_id=self.container, cmd=["true"], timeout=20).get("exit_code", 0) == 0
        if "remove" in self.done:
            assert self.container not in containers
        if "run" in self.asked and "run" not in self.done and not pods:
            Life(kubelet, self.name, self.network).run()  # a kubelet tries again with the same metadata


class ImageLife:
    """An image that is pulled and removed."""

    def __init__(self, kubelet, image):
        self.kubelet, self.image = kubelet, image
        self.asked, self.done = set(), set()

    step = Life.step

    def run(self):
        spec = {"image": self.image}
        self.step("pull", lambda: self.kubelet.PullImage(image=spec))
        self.step("remove", lambda: self.kubelet.RemoveImage(image=spec))

    def check(self, _):
        found = self.kubelet.ImageStatus(image={"image": self.image})
        if "pull" in self.done and "remove" not in self.asked:
            assert found.get("image")
        if "remove" in self.done:
            assert not found.get("image")
        if not self.asked & {"remove"} and not found.get("image"):
            self.kubelet.PullImage(image={"image": self.image})
        self.kubelet.RemoveImage(image={"image": self.image})
        self.kubelet.RemoveImage(image={"image": self.image})


class Sweep:
    """A node that is killed again and again."""

    def __init__(self, stage, folder, tag, registry):
        self.tree = faults.FaultTree(stage, os.path.join(folder, "tree"))
        self.networks = cni.Networks(os.path.join(folder, "cni"))
        self.networks.write_list(self.networks.bridge("10.78.0.0/16"), {"type": "portmap", "capabilities": {"portMappings": True}})
        self.node = faults.FaultNode(self.tree, os.path.join(folder, "n"), tag + "f", self.networks)
        self.image, self.other = registry.image("busybox:latest"), registry.image("layers:latest")
        self.folder, self.client = folder, None
        self.connect().PullImage(image={"image": self.image})
        Life(self.connect(), "first", True).run()  # what the first use of all makes
        self.baseline, self.known = faults.holdings(self.node), set()

    def connect(self):
        if self.client:
            self.client.close()
        self.node.start()
        self.client = cri_module.connect(str(ROOT), self.node.cri_socket)
        self.client.Version()  # the connection is made
        return Kubelet(self.client, self.image, self.folder)

    def whole_round(self, function):
        """Undisturbed; returns how many side effects there were."""
        self.tree.arm(0)
        function(self.connect())
        return self.tree.hits

    def close(self):
        self.tree.arm(0)
        pid = self.tree.stopped()
        if pid:
            let_go_on(pid)
        if self.client:
            self.client.close()


@pytest.fixture
def sweep(leak_check, stage, folder, tag, registry):
    if not os.path.exists(os.path.join(stage.build, "tests", "faults", "axled-faults")):
        pytest.skip("this build has no programs with fault points (sanitizers, fuzzing)")
    one = Sweep(stage, str(folder), tag, registry)
    yield one
    one.close()
    problems = one.node.clean()
    one.node.end_processes()
    problems += one.networks.clean()
    assert not problems, problems


def let_go_on(pid):
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        pass


def hurt(sweep, pid, how):
    """@pid has stopped before a side effect: what happens now. Returns whether axled has ended."""
    node = sweep.node
    own = pid == node.process.pid
    if how == "power cut":
        node.power_cut()
    elif how == "child" and not own:
        faults.end(pid)
        return False
    elif how == "late" and not own:
        node.kill()  # the child goes on while the next axled starts, or after that
        threading.Timer(LATE_SECONDS, let_go_on, [pid]).start()
    else:
        node.kill()
        faults.end(pid)
        if how == "monitors":
            for monitor in node.monitors():
                faults.end(monitor)
    return True


def remove_everything(kubelet):
    for container in kubelet.ListContainers().get("containers", []):
        kubelet.StopContainer(container_id=container["id"], timeout=0)
        kubelet.StopContainer(container_id=container["id"], timeout=0)
        kubelet.RemoveContainer(container_id=container["id"])
        kubelet.RemoveContainer(container_id=container["id"])
    for pod in kubelet.ListPodSandbox().get("items", []):
        kubelet.StopPodSandbox(pod_sandbox_id=pod["id"])
        kubelet.RemovePodSandbox(pod_sandbox_id=pod["id"])
        kubelet.RemovePodSandbox(pod_sandbox_id=pod["id"])
    assert not kubelet.ListContainers() and not kubelet.ListPodSandbox()


def points_to_try(total, how):
    """All of them, or as many as wanted, evenly spread with a different beginning for each kind of harm."""
    if not ROUNDS or ROUNDS >= total:
        return list(range(1, total + 1))
    offset = random.Random(f"{SEED} {how}").random()
    return sorted({1 + int((index + offset) * total / ROUNDS) for index in range(ROUNDS)})


def try_point(sweep, number, how, make):
    """One round. @make: kubelet -> a life, to be run and cut off at the side effect @number."""
    kubelet = sweep.connect()
    sweep.tree.arm(number)
    life = make(kubelet)
    script, pid = faults.run_until_stopped(sweep.tree, life.run)
    life.cut_off = sweep.tree.name(number)
    ended = hurt(sweep, pid, how) if pid else False
    script.join(60)
    assert not script.is_alive(), "a call did not end"
    assert script.error is None or isinstance(script.error, grpc.RpcError), script.error
    sweep.tree.arm(0)
    kubelet = sweep.connect()
    life.kubelet = kubelet
    return kubelet, life, ended and how == "power cut"


def judge(sweep, kubelet, life, power_cut):
    """What must hold after a round. Raises where it does not."""
    life.check(power_cut)
    remove_everything(kubelet)
    left = faults.settled_leaks(sweep.node, sweep.baseline, sweep.known)
    assert not left, "\n".join(left)


def recover(sweep):
    """After a round that failed: what is left is no longer held against the next ones."""
    try:
        remove_everything(sweep.connect())
    except (AssertionError, grpc.RpcError):
        pass
    sweep.known |= {word for word in faults.holdings(sweep.node) - sweep.baseline if not word.startswith("descriptors ")}


def run_sweep(sweep, how, make, names):
    """@make: kubelet, name -> a life. Returns what went wrong, a text for each point."""
    total = sweep.whole_round(lambda kubelet: make(kubelet, f"whole{next(names)}").run())
    assert total > 50, "fault points are missing"
    failures = []
    for number in points_to_try(total, how):
        start = len(sweep.node.log_text())
        name = f"life{next(names)}"
        kubelet, life, power_cut = try_point(sweep, number, how, lambda one, name=name: make(one, name))
        try:
            judge(sweep, kubelet, life, power_cut)
        except (AssertionError, grpc.RpcError) as error:
            failures.append(f"{how}, point {number} of {total}: {life.cut_off}, after {sorted(life.done)}\n"
                            f"{error}\n---- axled:\n{sweep.node.log_text()[start:]}")
            if len(failures) >= FAILURES_MAX:
                break
            recover(sweep)
    return failures


@pytest.mark.parametrize("how", ["axled", "child", "late", "monitors", "power cut"])
def test_a_kill_at_any_point_of_a_pods_life_leaves_nothing(sweep, how):
    failures = run_sweep(sweep, how, lambda kubelet, name: Life(kubelet, name, True), itertools.count())
    assert not failures, "\n\n".join(failures)


@pytest.mark.parametrize("how", ["axled", "child", "late", "power cut"])
def test_a_kill_at_any_point_of_a_pull_leaves_nothing(sweep, how):
    failures = run_sweep(sweep, how, lambda kubelet, _: ImageLife(kubelet, sweep.other), itertools.count())
    assert not failures, "\n\n".join(failures)
