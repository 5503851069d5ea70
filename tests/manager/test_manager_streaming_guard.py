"""What the streaming server does with those who have no right to it, and with clients that misbehave."""
import os
import re
import socket
import struct
import subprocess
import threading
import time

import pytest

import spdy
from conftest import wait_until
from streaming_client import Forward, attach_url, commands_with, descriptors, exec_url, long_sleep, memory_kib, run

STUCK_KIB = 8 << 10  # what a stuck client may cost axled; its output would be a hundred times that


@pytest.fixture
def node(make_node, request):
    """With a parameter: its configuration."""
    return make_node(getattr(request, "param", ""))


@pytest.fixture
def pod(kubelet):
    return kubelet.run_pod()


@pytest.fixture
def container(kubelet, pod):
    return kubelet.start(pod)


def still_serves(kubelet, container):
    command = run(kubelet, container, ["true"])
    assert command.exit_code() == 0
    command.session.close()


def refusal(url, **options):
    with pytest.raises(spdy.Refused) as refused:
        spdy.connect(url, **options)
    return refused.value


# URLs.

def test_an_url_is_unguessable_and_on_the_loopback_device(kubelet, container):
    urls = [exec_url(kubelet, container, ["true"]), attach_url(kubelet, container), exec_url(kubelet, container, ["true"])]
    for url, kind in zip(urls, ("exec", "attach", "exec")):
        assert re.fullmatch(rf"http://127\.0\.0\.1:\d+/{kind}/[0-9a-f]{{64}}", url), url
    assert len(set(urls)) == 3


def listening(pid):
    """Addresses of the TCP sockets on which the process listens."""
    inodes = {os.readlink(f"/proc/{pid}/fd/{fd}")[8:-1] for fd in os.listdir(f"/proc/{pid}/fd")
              if os.path.islink(f"/proc/{pid}/fd/{fd}") and os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")}
    found = []
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
            rows = [line.split() for line in file][1:]
        found += [row[1].split(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes]
    return found


def test_nothing_listens_beyond_loopback(kubelet, container, node):
    exec_url(kubelet, container, ["true"])
    assert listening(node.process.pid) == ["0100007F"]


@pytest.mark.parametrize("node", ['[streaming]\naddress = "::1"\n'], indirect=True)
def test_the_other_loopback_address(kubelet, container, node):
    assert exec_url(kubelet, container, ["true"]).startswith("http://[::1]:")
    still_serves(kubelet, container)


@pytest.mark.parametrize("text, words", [('address = "0.0.0.0"', "streaming.address"), ('address = "::"', "streaming.address"),
                                         ('address = "192.168.0.1"', "streaming.address"), ('port = 65536', "streaming.port"),
                                         ('address = "localhost"', "streaming.address"), ("url-lifetime-s = 0", "url-lifetime-s"),
                                         ("colour = 1", "colour")])
def test_a_configuration_that_would_open_it_is_refused(stage, folder, text, words):
    config = folder / "axled.toml"
    config.write_text(f"[streaming]\n{text}\n")
    done = subprocess.run([stage.program("axled"), "--root", folder / "root", "--state", folder / "state", "--config", config],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_port_that_is_taken_is_named(stage, folder, tag, leak_check):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = folder / "axled.toml"
        config.write_text(f"[cni]\nenabled = false\n[streaming]\nport = {taken.getsockname()[1]}\n")
        done = subprocess.run([stage.program("axled"), "--root", folder / "root", "--state", folder / "state", "--config", config,
                               "--name", tag + "n0"], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1 and f"port {taken.getsockname()[1]}" in done.stderr


def test_an_url_is_good_once(kubelet, container):
    url = exec_url(kubelet, container, ["cat"], stdin=True)
    command = spdy.Command(spdy.connect(url), stdin=True)
    assert refusal(url).status == 404
    command.stdin.finish()  # the first one is not disturbed
    assert command.exit_code() == 0
    assert refusal(url).status == 404


def test_a_failed_attempt_uses_an_url_up(kubelet, container):
    url = exec_url(kubelet, container, ["true"])
    assert refusal(url, fields=()).status == 400
    assert refusal(url).status == 404
    url = exec_url(kubelet, container, ["true"])
    assert refusal(url.replace("/exec/", "/attach/")).status == 404
    assert refusal(url).status == 404


def test_wrong_paths(kubelet, container):
    url = exec_url(kubelet, container, ["true"])
    base, token = url.rsplit("/", 1)
    wrong = ("0" if token[0] != "0" else "1") + token[1:]
    for path in (base, base + "/", f"{base}/{wrong}", f"{base}/{token[:-1]}", f"{base}/{token}0", f"{base}/{token}/",
                 f"{base}/{token.upper()}x", base.rsplit("/", 1)[0] + "/", base.rsplit("/", 1)[0] + "/exec/../exec/" + token):
        assert refusal(path).status == 404, path
    with spdy.connect(url):
        pass


@pytest.mark.parametrize("node", ["[streaming]\nurl-lifetime-s = 1\n"], indirect=True)
def test_an_url_expires(kubelet, container, node):
    url = exec_url(kubelet, container, ["true"])
    time.sleep(1.2)
    assert refusal(url).status == 404
    still_serves(kubelet, container)


@pytest.mark.parametrize("node", ["[streaming]\nurl-lifetime-s = 3\n"], indirect=True)
def test_urls_are_counted(kubelet, container, node, refused):
    made = []
    with refused("RESOURCE_EXHAUSTED", "1000"):
        for _ in range(3000):
            made.append(exec_url(kubelet, container, ["true"]))
    assert len(made) >= 1000
    wait_until(lambda: not _is_full(kubelet, container), "their time to be over", seconds=30)
    still_serves(kubelet, container)


def _is_full(kubelet, container):
    try:
        exec_url(kubelet, container, ["true"])
        return False
    except Exception:  # noqa: the status was looked at before
        return True


def test_each_owner_has_its_own_containers(kubelet, node, container, registry, refused):
    node.axle("run", "-d", "--name", "private", registry.image("busybox:latest"), "sleep", "1000")
    other = node.axle("ps", "-q").split()[0]
    with refused("NOT_FOUND"):
        exec_url(kubelet, other, ["true"])
    with refused("NOT_FOUND"):
        attach_url(kubelet, other)


# HTTP.

def raw(url, request):
    with spdy.dial(url) as sock:
        sock.sendall(request)
        return spdy.read_answer(sock)[:2]


@pytest.mark.parametrize("request_bytes, status", [
    (b"GET /exec/x HTTP/1.1\nHost: a\n\n", None),
    (b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello \r\n\r\n", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    (b"GET /exec/x HTTP/1.1\r\n\r\n", 400),
    (b"GET /exec/x HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),
    (b"GET /exec/x HTTP/2.0\r\nHost: a\r\n\r\n", 501),
    (b"POST /exec/x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", 501),
    (b"POST /exec/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
    (b"GET /exec/x HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20000 + b"\r\n\r\n", 431),
    (b"GET /exec/x HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 100 + b"\r\n", 431),
    (b"DELETE /exec/x HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    (b"GET /exec/x HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 404),
])
def test_requests_that_are_none(kubelet, container, request_bytes, status):
    url = exec_url(kubelet, container, ["true"])
    if status is None:  # its end never comes: the server waits, and another one is served meanwhile
        with spdy.dial(url) as sock:
            sock.sendall(request_bytes)
            still_serves(kubelet, container)
    else:
        assert raw(url, request_bytes)[0] == status
    with spdy.connect(url):
        pass


def test_an_upgrade_to_something_else_is_refused(kubelet, container):
    for fields in ((("Connection", "Upgrade"),), (("Upgrade", "SPDY/3.1"),), (("Connection", "Upgrade"), ("Upgrade", "websocket")),
                   (("Connection", "keep-alive"), ("Upgrade", "SPDY/3.1"))):
        refused = refusal(exec_url(kubelet, container, ["true"]), fields=fields)
        assert refused.status == 400 and "unable to upgrade" in refused.body
    refused = refusal(exec_url(kubelet, container, ["true"]), protocols=["v5.channel.k8s.io", "nonsense"])
    assert refused.status == 403 and "protocol" in refused.body
    assert refused.fields["x-accepted-stream-protocol-versions"] == spdy.EXEC
    assert refusal(exec_url(kubelet, container, ["true"]), protocols=spdy.FORWARD).status == 403
    with spdy.connect(exec_url(kubelet, container, ["true"]), method="GET",
                      fields=(("Connection", "keep-alive, upgrade"), ("Upgrade", "spdy/3.1"), ("X-Forwarded-For", "10.0.0.1"))):
        pass


def test_strangers_take_no_place_for_ever(kubelet, container, node):
    """More connections than are served at once, none of which says a word."""
    url = exec_url(kubelet, container, ["true"])
    strangers = [spdy.dial(url) for _ in range(200)]
    before = descriptors(node.process.pid)
    assert before < 200
    wait_until(lambda: descriptors(node.process.pid) < before - 50, "their end", seconds=60)
    for sock in strangers:
        sock.close()
    still_serves(kubelet, container)


# SPDY.

GARBAGE = {
    "noise": os.urandom(4096),
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "another version": struct.pack(">HHI", 0x8002, spdy.PING, 4) + b"\0\0\0\1",
    "an even stream": None,
    "a stream again": None,
    "a bomb": None,
    "a frame without end": struct.pack(">HHI", 0x8003, spdy.SYN_STREAM, 0xffffff),
    "data of no stream": spdy.data_frame(4711, b"x"),
    "data behind its end": None,
    "a window too large": spdy.control(spdy.WINDOW_UPDATE, struct.pack(">II", 0, 0x7fffffff)) * 2,
    "settings without end": spdy.control(spdy.SETTINGS, struct.pack(">I", 0xffffffff)),
}


def garbage(session, kind):
    if kind == "an even stream":
        return session.syn_stream(2, streamtype="error")
    if kind == "a stream again":
        return session.syn_stream(1, streamtype="error") + session.syn_stream(1, streamtype="stdout")
    if kind == "a bomb":
        return session.syn_stream(1, streamtype="x" * 5000000)
    if kind == "data behind its end":
        return session.syn_stream(1, streamtype="error") + spdy.data_frame(1, b"", spdy.FIN) + spdy.data_frame(1, b"x")
    return GARBAGE[kind]


@pytest.mark.parametrize("kind", sorted(GARBAGE))
def test_who_breaks_the_rules_is_shown_out(kubelet, container, node, kind):
    before = descriptors(node.process.pid)
    session = spdy.connect(exec_url(kubelet, container, ["cat"], stdin=True))
    try:
        session.write(garbage(session, kind))
    except OSError:
        pass  # it did not wait for the end of it
    session.wait(lambda: False, "the end of the connection")
    assert session.gone
    session.close()
    still_serves(kubelet, container)
    wait_until(lambda: descriptors(node.process.pid) <= before + 1, "the descriptors")


@pytest.mark.parametrize("kind", ["exec", "portforward"])
def test_ten_thousand_streams(kubelet, pod, container, node, kind):
    if kind == "exec":
        session = spdy.connect(exec_url(kubelet, container, ["cat"], stdin=True))
    else:
        session = spdy.connect(kubelet.PortForward(pod_sandbox_id=pod)["url"], spdy.FORWARD)
    before = memory_kib(node.process.pid)
    labels = {"streamtype": "error", "port": "80"}
    try:
        for number in range(1, 20001, 2):
            session.write(session.syn_stream(number, requestid=str(number), **labels))
    except OSError:
        pass  # it may well be shown out
    session.wait(lambda: len(session.refused) >= 9000, "the refusals")
    assert memory_kib(node.process.pid) < before + STUCK_KIB
    session.close()
    still_serves(kubelet, container)


def test_a_flood_of_pings_without_reading_ends(kubelet, container, node):
    session = spdy.connect(exec_url(kubelet, container, ["cat"], stdin=True), receive_bytes=4096)
    session.paused.set()
    before = memory_kib(node.process.pid)
    pings = spdy.control(spdy.PING, (1).to_bytes(4, "big")) * 10000
    session.socket.settimeout(5)
    try:
        for _ in range(2000):
            session.write(pings)
    except OSError:
        pass  # shown out, or held up
    assert memory_kib(node.process.pid) < before + STUCK_KIB
    session.close()
    still_serves(kubelet, container)


@pytest.mark.parametrize("windows", [False, "shut"])
def test_a_client_that_does_not_read_costs_little(kubelet, container, node, windows):
    before = memory_kib(node.process.pid)
    clients = []
    for _ in range(4):
        client = run(kubelet, container, ["cat", "/dev/zero"], windows, receive_bytes=4096)
        if not windows:
            client.session.paused.set()
        clients.append(client)
    if windows:  # it reads, but opens no window: exactly one window comes
        for client in clients:
            client.stdout.wait(lambda c=client: len(c.stdout.received) == spdy.INITIAL_WINDOW, "the window")
    time.sleep(1)
    assert memory_kib(node.process.pid) < before + STUCK_KIB
    if windows:
        for client in clients:
            assert len(client.stdout.received) == spdy.INITIAL_WINDOW
    still_serves(kubelet, container)
    for client in clients:
        client.session.close()
    wait_until(lambda: not commands_with("cat /dev/zero"), "their end", seconds=30)


def test_a_process_that_does_not_read_costs_little(kubelet, container, node):
    """The client fills its stdin channel, windows or not; the other channels of a client with windows still live."""
    before = memory_kib(node.process.pid)
    number = long_sleep()
    command = run(kubelet, container, ["sleep", number], stdin=True)
    command.session.socket.settimeout(3)
    sent = 0
    frame = spdy.data_frame(command.stdin.number, bytes(16384))
    try:
        while sent < 64 << 20:
            command.session.write(frame)
            sent += 16384
    except OSError:
        pass
    assert sent < 32 << 20, "somebody took it"
    assert memory_kib(node.process.pid) < before + STUCK_KIB
    command.session.abort()  # a FIN would stand behind the bytes that nobody takes
    wait_until(lambda: not commands_with(f"sleep {number}"), "its end", seconds=30)

    fair = run(kubelet, container, ["sh", "-c", "sleep 1; echo up; read line; sleep 1000"], windows=True, stdin=True, tty=True)
    sender = threading.Thread(target=lambda: _send_much(fair), daemon=True)
    sender.start()
    fair.session.write(spdy.control(spdy.PING, (7).to_bytes(4, "big")))
    fair.session.wait(lambda: fair.session.pongs, "the answer beside the full channel")
    fair.session.close()
    sender.join(60)
    still_serves(kubelet, container)


def _send_much(command):
    try:
        command.stdin.send(b"x" * (1 << 20))
    except (OSError, AssertionError):
        pass  # the session is closed before all is sent


def test_clients_are_counted(kubelet, container, node):
    """The 129th is told so."""
    sessions = []
    with pytest.raises(spdy.Refused) as refused:
        for _ in range(140):
            sessions.append(spdy.connect(exec_url(kubelet, container, ["true"])))
    assert refused.value.status == 503 and len(sessions) == 128
    for session in sessions:
        session.close()
    wait_until(lambda: descriptors(node.process.pid) < 100, "their end", seconds=30)
    still_serves(kubelet, container)


def test_connections_leave_nothing(kubelet, pod, container, node):
    still_serves(kubelet, container)
    before = descriptors(node.process.pid)
    for number in range(20):
        run(kubelet, container, ["sh", "-c", "cat; exit 1"], stdin=True).session.abort()
        still_serves(kubelet, container)
        spdy.connect(exec_url(kubelet, container, ["true"])).close()
        Forward(kubelet, pod).session.close()
    wait_until(lambda: descriptors(node.process.pid) <= before, "the descriptors", seconds=30)
