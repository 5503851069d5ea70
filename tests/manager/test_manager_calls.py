"""Every call of CRI, and what a server must survive: repeated calls, messages too big, thousands of streams, peers that do not
read."""
import base64
import os
import socket
import struct
import threading
import time

import grpc
import pytest

import cri as cri_module
import cri_wire
from conftest import SLEEP, wait_until
from streaming import Stream, collect

# Answered UNIMPLEMENTED by name: no checkpoints (criu), and metrics in cAdvisor's words are PodSandboxStats' (docs/conformance.md).
NOT_SERVED = {
    "CheckpointContainer": {"container_id": "x"}, "CheckpointPod": {"pod_sandbox_id": "x"}, "RestorePod": {},
    "ListMetricDescriptors": {}, "ListPodSandboxMetrics": {}, "StreamPodSandboxMetrics": {},
}


class Tour:
    """One pod with a container, through every call in turn."""

    def __init__(self, kubelet, node):
        self.kubelet, self.node = kubelet, node
        self.pod = self.container = None

    def Version(self):
        answer = self.kubelet.Version(version="v1")
        assert (answer["runtime_name"], answer["runtime_api_version"]) == ("axle", "v1") and answer["runtime_version"]

    def Status(self):
        answer = self.kubelet.Status(verbose=True)
        conditions = {one["type"]: one.get("status", False) for one in answer["status"]["conditions"]}
        assert conditions == {"RuntimeReady": True, "NetworkReady": True}
        assert {"", "axrun", "crun", "runc"} <= {one.get("name", "") for one in answer["runtime_handlers"]}

    def RuntimeConfig(self):
        assert self.kubelet.RuntimeConfig()["linux"]["cgroup_driver"] == "CGROUPFS"

    def UpdateRuntimeConfig(self):
        assert self.kubelet.UpdateRuntimeConfig(runtime_config={"network_config": {"pod_cidr": "10.1.0.0/24"}}) == {}

    def PullImage(self):
        answer = self.kubelet.PullImage(image={"image": self.kubelet.image})
        assert answer["image_ref"].startswith("sha256:")

    def ListImages(self):
        assert [one["repo_tags"] for one in self.kubelet.ListImages()["images"]] == [[self.kubelet.image]]

    def StreamImages(self):
        assert self._same("ListImages", "images", "StreamImages", "images")

    def ImageStatus(self):
        answer = self.kubelet.ImageStatus(image={"image": self.kubelet.image}, verbose=True)
        assert int(answer["image"]["size"]) > 0 and answer["info"]

    def ImageFsInfo(self):
        assert int(self.kubelet.ImageFsInfo()["image_filesystems"][0]["inodes_used"]["value"]) > 0

    def RunPodSandbox(self):
        self.pod = self.kubelet.run_pod("tour")
        assert len(self.pod) == 64

    def PodSandboxStatus(self):
        answer = self.kubelet.PodSandboxStatus(pod_sandbox_id=self.pod, verbose=True)
        assert answer["status"]["metadata"]["name"] == "tour" and answer["info"]

    def ListPodSandbox(self):
        assert [one["id"] for one in self.kubelet.ListPodSandbox()["items"]] == [self.pod]

    def StreamPodSandboxes(self):
        assert self._same("ListPodSandbox", "items", "StreamPodSandboxes", "pod_sandboxes")

    def UpdatePodSandboxResources(self):
        assert self.kubelet.UpdatePodSandboxResources(pod_sandbox_id=self.pod, resources={"cpu_shares": 512}) == {}

    def CreateContainer(self):
        self.container = self.kubelet.create(self.pod)
        assert self.kubelet.state(self.container) == "CONTAINER_CREATED"

    def StartContainer(self):
        assert self.kubelet.StartContainer(container_id=self.container) == {}
        wait_until(lambda: "up" in self.kubelet.output(), "the first line")

    def ContainerStatus(self):
        answer = self.kubelet.ContainerStatus(container_id=self.container, verbose=True)
        assert answer["status"]["state"] == "CONTAINER_RUNNING" and answer["info"]

    def ListContainers(self):
        assert [one["id"] for one in self.kubelet.ListContainers()["containers"]] == [self.container]

    def StreamContainers(self):
        assert self._same("ListContainers", "containers", "StreamContainers", "containers")

    def UpdateContainerResources(self):
        self.kubelet.UpdateContainerResources(container_id=self.container, linux={"memory_limit_in_bytes": 96 << 20})
        resources = self.kubelet.status(self.container)["resources"]["linux"]
        assert int(resources["memory_limit_in_bytes"]) == 96 << 20

    def ReopenContainerLog(self):
        path = os.path.join(self.kubelet.folder, "logs", "main.log")
        os.rename(path, path + ".1")
        assert self.kubelet.ReopenContainerLog(container_id=self.container) == {}
        assert os.path.exists(path)

    def ExecSync(self):
        answer = self.kubelet.ExecSync(container_id=self.container, cmd=["sh", "-c", "echo in; exit 4"], timeout=20)
        assert (base64.b64decode(answer["stdout"]), answer["exit_code"]) == (b"in\n", 4)

    def _url(self, answer):
        assert answer["url"].startswith("http://127.0.0.1:") and len(answer["url"].rsplit("/", 1)[1]) >= 16

    def Exec(self):
        self._url(self.kubelet.Exec(container_id=self.container, cmd=["true"], stdout=True))

    def Attach(self):
        self._url(self.kubelet.Attach(container_id=self.container, stdout=True))

    def PortForward(self):
        self._url(self.kubelet.PortForward(pod_sandbox_id=self.pod, port=[80]))

    def ContainerStats(self):
        stats = self.kubelet.ContainerStats(container_id=self.container)["stats"]
        assert int(stats["memory"]["working_set_bytes"]["value"]) > 0 and int(stats["cpu"]["usage_core_nano_seconds"]["value"]) > 0

    def ListContainerStats(self):
        assert [one["attributes"]["id"] for one in self.kubelet.ListContainerStats()["stats"]] == [self.container]

    def StreamContainerStats(self):
        messages = collect(self.kubelet, "StreamContainerStats")
        assert [one["attributes"]["id"] for message in messages for one in message.get("container_stats", [])] == [self.container]

    def PodSandboxStats(self):
        stats = self.kubelet.PodSandboxStats(pod_sandbox_id=self.pod)["stats"]
        assert stats["attributes"]["id"] == self.pod and int(stats["linux"]["process"]["process_count"]["value"]) >= 1

    def ListPodSandboxStats(self):
        assert [one["attributes"]["id"] for one in self.kubelet.ListPodSandboxStats()["stats"]] == [self.pod]

    def StreamPodSandboxStats(self):
        messages = collect(self.kubelet, "StreamPodSandboxStats")
        assert [one["attributes"]["id"] for message in messages for one in message.get("pod_sandbox_stats", [])] == [self.pod]

    def GetContainerEvents(self):
        stream = Stream(self.kubelet, "GetContainerEvents")
        names = (f"event{number}" for number in range(1 << 30))

        def hears():
            self.kubelet.RemovePodSandbox(pod_sandbox_id=self.kubelet.run_pod(next(names)))
            return stream.messages
        wait_until(hears, "an event", 30)
        stream.cancel()

    def StopContainer(self):
        assert self.kubelet.StopContainer(container_id=self.container, timeout=10) == {}
        assert self.kubelet.status(self.container)["exit_code"] == 7

    def RemoveContainer(self):
        assert self.kubelet.RemoveContainer(container_id=self.container) == {}
        assert self.kubelet.ListContainers() == {}

    def StopPodSandbox(self):
        assert self.kubelet.StopPodSandbox(pod_sandbox_id=self.pod) == {}
        assert self.kubelet.ListPodSandbox()["items"][0]["state"] == "SANDBOX_NOTREADY"

    def RemovePodSandbox(self):
        assert self.kubelet.RemovePodSandbox(pod_sandbox_id=self.pod) == {}
        assert self.kubelet.ListPodSandbox() == {}

    def RemoveImage(self):
        assert self.kubelet.RemoveImage(image={"image": self.kubelet.image}) == {}
        assert self.kubelet.ImageStatus(image={"image": self.kubelet.image}) == {}

    def _same(self, call, field, stream, stream_field):
        listed = getattr(self.kubelet, call)()[field]
        return [one for message in collect(self.kubelet, stream) for one in message.get(stream_field, [])] == listed


TOUR = [name for name in vars(Tour) if name[0].isupper()]  # in the order of the class


def test_every_published_call_is_in_the_tour_or_not_served():
    published = {name.split(".")[1] for name in cri_wire.CALLS}
    assert set(TOUR) | set(NOT_SERVED) == published
    assert not set(TOUR) & set(NOT_SERVED)


def test_every_call(kubelet, node):
    tour, failures = Tour(kubelet, node), []
    for name in TOUR:
        try:
            getattr(tour, name)()
        except (AssertionError, KeyError, grpc.RpcError) as error:
            failures.append(f"{name}: {type(error).__name__} {error}")
    assert not failures, "\n".join(failures)


def test_what_is_not_served_says_so_by_name(cri):
    for name, fields in NOT_SERVED.items():
        with pytest.raises(grpc.RpcError) as caught:
            if name.startswith("Stream"):
                collect_failing(cri, name)
            else:
                getattr(cri, name)(**fields)
        assert caught.value.code().name == "UNIMPLEMENTED", (name, caught.value)
        assert name in caught.value.details()


def collect_failing(client, name):
    stream = Stream(client, name)
    stream.thread.join(30)
    raise stream.call


def test_stop_and_remove_of_what_is_gone_succeed(kubelet):
    """CRI asks for it: a kubelet that was cut off repeats itself."""
    pod = kubelet.run_pod()
    container = kubelet.start(pod)
    for _ in range(2):
        kubelet.StopContainer(container_id=container, timeout=0)
    for _ in range(2):
        kubelet.RemoveContainer(container_id=container)
    kubelet.StopContainer(container_id=container, timeout=0)
    other = kubelet.create(pod, name="other")
    kubelet.StopContainer(container_id=other, timeout=0)  # it was never started
    for _ in range(2):
        kubelet.StopPodSandbox(pod_sandbox_id=pod)
    for _ in range(2):
        kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    kubelet.RemoveContainer(container_id=other)
    unknown = "0" * 64
    kubelet.StopPodSandbox(pod_sandbox_id=unknown)
    kubelet.RemovePodSandbox(pod_sandbox_id=unknown)
    kubelet.StopContainer(container_id=unknown)
    kubelet.RemoveContainer(container_id=unknown)
    for _ in range(2):
        kubelet.RemoveImage(image={"image": "registry.invalid/nothing:here"})


@pytest.mark.parametrize("name, fields", [
    ("PodSandboxStatus", {"pod_sandbox_id": "0" * 64}), ("ContainerStatus", {"container_id": "0" * 64}),
    ("StartContainer", {"container_id": "0" * 64}), ("ExecSync", {"container_id": "0" * 64, "cmd": ["true"]}),
    ("ContainerStats", {"container_id": "0" * 64}), ("PodSandboxStats", {"pod_sandbox_id": "0" * 64}),
    ("ReopenContainerLog", {"container_id": "0" * 64}), ("UpdateContainerResources", {"container_id": "0" * 64}),
])
def test_what_is_unknown_is_not_found(cri, refused, name, fields):
    with refused("NOT_FOUND", "000000"):
        getattr(cri, name)(**fields)


# --- sizes and numbers ---


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


class Watch(threading.Thread):
    """The most memory that axled had while something went on."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.ended = pid, 0, threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()

    def run(self):
        while not self.ended.wait(0.02):
            self.most = max(self.most, pss_kib(self.pid))


def test_a_message_of_64_mib_is_refused_and_never_held(cri, node):
    method = cri.channel.unary_unary("/runtime.v1.RuntimeService/Version", request_serializer=None, response_deserializer=None)
    message = cri_wire.encode("VersionRequest", {"version": "x" * (64 << 20)})
    with Watch(node.process.pid) as watch:
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as caught:
                method(message, timeout=60)
            assert caught.value.code().name in ("RESOURCE_EXHAUSTED", "UNAVAILABLE"), caught.value
    assert watch.most < 48 << 10, f"{watch.most} KiB"
    assert cri.Version()["runtime_name"] == "axle"


def http2_frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def request_headers(path):
    return b"".join(literal(name, value) for name, value in [
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"), (b"te", b"trailers")])


class RawConnection:
    """HTTP/2 by hand, for peers that behave as no library does."""

    def __init__(self, path, window=65535):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(path)
        settings = struct.pack(">HI", 4, window)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2_frame(4, 0, 0, settings) + http2_frame(4, 1, 0))

    def open(self, stream, path, message=b""):
        body = b"\0" + struct.pack(">I", len(message)) + message
        self.socket.sendall(http2_frame(1, 4, stream, request_headers(path)) + http2_frame(0, 1, stream, body))

    def close(self):
        self.socket.close()


def test_ten_thousand_streams_do_not_grow_it(cri, node):
    """Of GetContainerEvents, which never end by themselves: what exceeds the limits is refused, and the rest goes on."""
    connections, refused = [], 0
    with Watch(node.process.pid) as watch:
        before = pss_kib(node.process.pid)
        for _ in range(100):
            connection = RawConnection(node.cri_socket)
            connections.append(connection)
            try:
                for number in range(100):
                    connection.open(2 * number + 1, b"/runtime.v1.RuntimeService/GetContainerEvents")
            except OSError:
                refused += 1
        assert cri.Version(call_seconds=60)["runtime_name"] == "axle"
        time.sleep(0.5)
    print(f"10,000 streams: {before} KiB before, at most {watch.most} KiB; {refused} connections were ended")
    assert watch.most < before + (64 << 10), f"{before} KiB before, {watch.most} KiB"
    for connection in connections:
        connection.close()
    wait_until(lambda: pss_kib(node.process.pid) < before + (24 << 10), "the memory given back", 60)
    assert cri.Version()["runtime_name"] == "axle"


def test_a_peer_that_does_not_read_costs_its_window(kubelet, node):
    """Big answers to a peer without a window: none is made but the one that is being sent."""
    pods = [kubelet.run_pod(f"slow{number}", annotations=cri_module.pairs({"big": "x" * 200000})) for number in range(5)]
    connections = []
    with Watch(node.process.pid) as watch:
        before = pss_kib(node.process.pid)
        for _ in range(10):
            connection = RawConnection(node.cri_socket, window=0)
            connections.append(connection)
            for number in range(50):
                connection.open(2 * number + 1, b"/runtime.v1.RuntimeService/ListPodSandbox")
        time.sleep(1)
        assert len(kubelet.ListPodSandbox()["items"]) == len(pods)
    print(f"500 answers of 1 MB unread: {before} KiB before, at most {watch.most} KiB")
    assert watch.most < before + (160 << 10), f"{before} KiB before, {watch.most} KiB"
    for connection in connections:
        connection.close()
    wait_until(lambda: pss_kib(node.process.pid) < before + (32 << 10), "the memory given back", 90)
