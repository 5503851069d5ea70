"""What the manager's tests share: pods and containers over CRI."""
import os
import pathlib
import sys
import time

import grpc
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

ROOT = pathlib.Path(__file__).parents[2]
SLEEP = ["sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.1 & wait; done"]


def entries(*path):
    """What is in a folder; a missing one is empty."""
    try:
        return os.listdir(os.path.join(*map(str, path)))
    except FileNotFoundError:
        return []


def wait_until(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Kubelet:
    """CRI as a kubelet uses it, with short forms."""

    def __init__(self, client, image, folder):
        self.client, self.image, self.folder = client, image, str(folder)
        self.number = 0

    def __getattr__(self, name):
        return getattr(self.client, name)

    def pod_config(self, name=None, **fields):
        self.number += 1
        name = name or f"pod{self.number}"
        # privileged: that a container of it may be (test_manager_sandbox.py has one where none may)
        linux = {"security_context": {"namespace_options": {"pid": "CONTAINER"}, "privileged": True}}
        return {"metadata": {"name": name, "uid": "uid-" + name, "namespace": "default"},
                "log_directory": os.path.join(self.folder, "logs"), "linux": linux, **fields}

    def run_pod(self, name=None, **fields):
        handler = fields.pop("runtime_handler", "")
        return self.RunPodSandbox(config=self.pod_config(name, **fields), runtime_handler=handler)["pod_sandbox_id"]

    def container_config(self, command, name="main", security=None, **fields):
        security = {"namespace_options": {"pid": "CONTAINER"}, **(security or {})}
        linux = {"security_context": security, "resources": fields.pop("resources", {})}
        return {"metadata": {"name": name}, "image": {"image": fields.pop("image", self.image)}, "command": command,
                "log_path": name + ".log", "linux": linux, **fields}

    def create(self, pod, command=SLEEP, name="main", **fields):
        return self.CreateContainer(pod_sandbox_id=pod, config=self.container_config(command, name, **fields))["container_id"]

    def start(self, pod, command=SLEEP, name="main", **fields):
        container = self.create(pod, command, name, **fields)
        self.StartContainer(container_id=container)
        if command is SLEEP:  # its trap is set
            wait_until(lambda: "up" in self.output(fields.get("log_path", name + ".log")[:-len(".log")]), "the first line")
        return container

    def status(self, container):
        return self.ContainerStatus(container_id=container)["status"]

    def state(self, container):
        return self.status(container).get("state", "CONTAINER_CREATED")

    def wait(self, container):
        wait_until(lambda: self.state(container) == "CONTAINER_EXITED", "the container's end")
        return self.status(container)

    def log(self, name="main"):
        path = os.path.join(self.folder, "logs", name + ".log")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return [line.rstrip("\n").split(" ", 3) for line in file]

    def output(self, name="main"):
        return [words[3] for words in self.log(name) if words[1] == "stdout"]

    def run(self, pod, command, name="main", **fields):
        """Runs a command to its end; returns what it printed, as lines."""
        self.number += 1
        log = f"{name}{self.number}"
        container = self.start(pod, command, name, log_path=log + ".log", **fields)
        status = self.wait(container)
        self.RemoveContainer(container_id=container)
        assert status.get("exit_code", 0) == 0, (status, self.log(log))
        return self.output(log)

    def reconnect(self):
        """After a restart of axled: the first calls may still meet the connection that ended."""
        def answers():
            try:
                return self.Version()
            except grpc.RpcError:
                return None
        wait_until(answers, "axled answers again", 30)

    def remove_all(self):
        for pod in self.ListPodSandbox().get("items", []):
            self.RemovePodSandbox(pod_sandbox_id=pod["id"])


@pytest.fixture
def kubelet(cri, registry, folder):
    """A node with the image busybox, by CRI. Pods are removed at the end."""
    image = registry.image("busybox:latest")
    cri.PullImage(image={"image": image})
    one = Kubelet(cri, image, folder)
    yield one
    one.remove_all()


class Refused:
    """`with refused("NOT_FOUND", "no such"):` the call fails with this status, and its message holds the words."""

    def __init__(self, status, words=""):
        self.status, self.words = status, words

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        assert kind is not None, f"expected {self.status}"
        if not isinstance(error, grpc.RpcError):
            return False
        assert error.code().name == self.status, error
        assert self.words in error.details(), error.details()
        return True


@pytest.fixture
def refused():
    return Refused
