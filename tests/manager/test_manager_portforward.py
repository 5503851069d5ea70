"""PortForward over SPDY/3.1: connections into a pod's network namespace."""
import os
import socket
import threading
import time

import pytest

import spdy
from conftest import wait_until
from streaming_client import Forward, descriptors, memory_kib

SERVER = ["sh", "-c", "echo up; exec nc -ll -p 8080 -e cat"]
STUCK_KIB = 8 << 10


@pytest.fixture
def node(make_node, request):
    return make_node(getattr(request, "param", ""))


@pytest.fixture
def pod(kubelet):
    """With a server on port 8080 that gives back what it gets."""
    one = kubelet.run_pod()
    container = kubelet.start(one, SERVER)
    wait_until(lambda: "up" in kubelet.output(), "the server")
    wait_until(lambda: kubelet.ExecSync(container_id=container, cmd=["sh", "-c", "netstat -ltn | grep -q 8080"]).get("exit_code", 0) == 0,
               "its socket", seconds=30)
    return one


@pytest.mark.parametrize("windows", [False, True])
def test_bytes_go_there_and_back(kubelet, pod, windows):
    forward = Forward(kubelet, pod, windows)
    data, error = forward.open(8080)
    payload = os.urandom(300000)
    sender = threading.Thread(target=lambda: data.send(payload, fin=True))
    sender.start()
    assert data.read_all() == payload  # the server ends when its input does: the half-close went through
    assert error.read_all() == b""
    sender.join()


def test_connections_are_independent(kubelet, pod):
    forward = Forward(kubelet, pod)
    pairs = [forward.open(8080) for _ in range(20)]
    for number, (data, _) in enumerate(pairs):
        data.send(f"I am {number}".encode())
    for number, (data, _) in enumerate(pairs):
        data.read_until(f"I am {number}".encode())
    for data, _ in pairs[::2]:
        data.cancel()
    for data, error in pairs[1::2]:
        data.send(b" still", fin=True)
        assert data.read_all().endswith(b" still")
        assert error.read_all() == b""


def test_a_closed_port_is_said_and_the_others_go_on(kubelet, pod):
    forward = Forward(kubelet, pod)
    data, error = forward.open(8081)
    message = error.read_all().decode()
    assert message.startswith(f"error forwarding port 8081 to pod {pod}, uid : ") and "refused" in message
    assert data.read_all() == b""
    data, _ = forward.open(8080)
    data.send(b"hello", fin=True)
    assert data.read_all() == b"hello"


def test_only_ports(kubelet, pod):
    session = Forward(kubelet, pod).session
    for labels in ({"port": "0"}, {"port": "65536"}, {"port": "http"}, {"port": ""}, {}, {"port": "-1"}):
        assert session.open(streamtype="error", requestid="1", **labels).reset == spdy.REFUSED_STREAM, labels
    assert session.open(streamtype="stdin", port="80", requestid="1").reset == spdy.REFUSED_STREAM
    assert session.open(port="80", requestid="1").reset == spdy.REFUSED_STREAM
    session.open(streamtype="error", port="80", requestid="2")
    assert session.open(streamtype="error", port="80", requestid="2").reset == spdy.REFUSED_STREAM
    assert session.open(streamtype="data", port="81", requestid="2").reset == spdy.REFUSED_STREAM


def test_clients_that_name_no_request(kubelet, pod):
    """Before Kubernetes 1.5: the data stream follows the error stream."""
    session = Forward(kubelet, pod).session
    error = session.open(streamtype="error", port="8080")
    data = session.open(streamtype="data", port="8080")
    data.send(b"old", fin=True)
    assert data.read_all() == b"old" and error.read_all() == b""


@pytest.mark.parametrize("node", ["[streaming]\ncreation-timeout-s = 1\n"], indirect=True)
def test_a_request_of_one_stream_times_out(kubelet, pod, node):
    forward = Forward(kubelet, pod)
    error = forward.session.open(streamtype="error", port="8080", requestid="half")
    assert b"timed out" in error.read_all()
    data, _ = forward.open(8080)
    data.send(b"x", fin=True)
    assert data.read_all() == b"x"


def serve_once(family, address, seen):
    server = socket.create_server((address, 0), family=family)

    def serve():
        connection, _ = server.accept()
        with connection:
            seen.append(connection.recv(100))
            connection.sendall(b"from the host")
    threading.Thread(target=serve, daemon=True).start()
    return server, server.getsockname()[1]


@pytest.mark.parametrize("family, address", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_a_pod_in_the_hosts_network(kubelet, pod, family, address):
    linux = {"security_context": {"namespace_options": {"network": "NODE", "pid": "CONTAINER"}}}
    shared = kubelet.run_pod("shared", linux=linux)
    seen = []
    server, port = serve_once(family, address, seen)
    with server:
        data, error = Forward(kubelet, shared).open(port)
        data.send(b"hello")
        assert data.read_until(b"from the host")
        data.finish()
        assert seen == [b"hello"] and error.read_all() == b""
        # the other pod has a network of its own
        _, error = Forward(kubelet, pod).open(port)
        assert b"refused" in error.read_all()


def test_a_pod_that_ended_is_no_target(kubelet, pod, refused):
    url = kubelet.PortForward(pod_sandbox_id=pod)["url"]
    forward = Forward(kubelet, pod)
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    data, error = forward.open(8080)
    assert b"stopped" in error.read_all() and data.read_all() == b""
    with spdy.connect(url, spdy.FORWARD):
        pass
    with refused("FAILED_PRECONDITION", "stopped"):
        kubelet.PortForward(pod_sandbox_id=pod)
    with refused("NOT_FOUND"):
        kubelet.PortForward(pod_sandbox_id="f" * 64)


def test_a_client_that_vanishes_takes_its_connections_along(kubelet, pod, node):
    first = Forward(kubelet, pod)
    first.open(8080)[0].send(b"x")
    first.session.close()
    before = None
    for how in ("close", "abort"):
        forward = Forward(kubelet, pod)
        pairs = [forward.open(8080) for _ in range(10)]
        for data, _ in pairs:
            data.send(b"x")
            data.read_until(b"x")
        open_now = descriptors(node.process.pid)
        getattr(forward.session, how)()
        wait_until(lambda limit=open_now - 19: descriptors(node.process.pid) <= limit, "the end of the connections", seconds=30)
        before = before or descriptors(node.process.pid)
        wait_until(lambda: descriptors(node.process.pid) <= before, "the descriptors", seconds=30)


def test_who_does_not_read_costs_little(kubelet, node):
    """A server that talks without end, and clients that read none of it; a server that reads nothing of what it gets."""
    pod = kubelet.run_pod()
    kubelet.start(pod, ["sh", "-c", "nc -ll -p 8080 -e cat /dev/zero & trap 'exit 0' TERM; nc -ll -p 8082 -e sleep 1000 & echo up; wait"])
    wait_until(lambda: "up" in kubelet.output(), "the servers")
    before = memory_kib(node.process.pid)
    forward = Forward(kubelet, pod)
    for _ in range(8):
        forward.open(8080)
    forward.session.paused.set()
    stuck = Forward(kubelet, pod)
    data, _ = stuck.open(8082)
    stuck.session.socket.settimeout(3)
    sent = 0
    try:
        while sent < 64 << 20:
            stuck.session.write(spdy.data_frame(data.number, bytes(16384)))
            sent += 16384
    except OSError:
        pass
    assert sent < 40 << 20
    time.sleep(0.5)
    assert memory_kib(node.process.pid) < before + STUCK_KIB
    forward.session.abort()
    stuck.session.abort()
