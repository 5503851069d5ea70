"""Bytes that no gRPC library writes: our server must end the offender, and serve the others."""
import os
import socket
import struct
import time

import pytest

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def headers(fields):
    """HPACK without compression (RFC 7541, 6.2.2)."""
    block = b""
    for name, value in fields:
        block += b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
    return block


def request(path="/axle.test.Echo/Say", content_type="application/grpc", method="POST", extra=()):
    return headers([(":method", method), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers"),
                    ("content-type", content_type), *extra])


def message(body, flag=0):
    return bytes([flag]) + struct.pack(">I", len(body)) + body


class Peer:
    def __init__(self, server, greeting=PREFACE + frame(SETTINGS, 0, 0)):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(server.socket)
        self.socket.settimeout(5)
        self.pending = b""
        self.socket.sendall(greeting)

    def send(self, *frames):
        self.socket.sendall(b"".join(frames))

    def take(self, size):
        while len(self.pending) < size:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.pending += more
        taken, self.pending = self.pending[:size], self.pending[size:]
        return taken

    def frames(self):
        """Until the server closes the connection."""
        while True:
            try:
                head = self.take(9)
            except (EOFError, ConnectionResetError):
                return
            size = int.from_bytes(head[:3], "big")
            yield head[3], head[4], int.from_bytes(head[5:9], "big"), self.take(size)

    def wait_for(self, kind, stream=None):
        for found in self.frames():
            if found[0] == kind and stream in (None, found[2]):
                return found
        raise AssertionError(f"the server closed without a frame of type {kind}")

    def closes_within(self, seconds):
        self.socket.settimeout(seconds)
        try:
            for _ in self.frames():
                pass
        except TimeoutError:
            return False
        except (BrokenPipeError, OSError):
            pass
        return True


@pytest.fixture
def still_serves(stub, echo):
    yield
    assert stub.say(echo.EchoRequest(text="still there")).text == "still there"


@pytest.mark.usefixtures("still_serves")
class TestBadPeers:
    def test_a_plain_request_works(self, server):
        peer = Peer(server)
        peer.send(frame(HEADERS, END_HEADERS, 1, request()), frame(DATA, END_STREAM, 1, message(b"\x0a\x02hi")))
        assert peer.wait_for(DATA, 1)[3] == message(peer_reply())

    def test_not_http2(self, server):
        assert Peer(server, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").closes_within(2)

    def test_silence_is_not_waited_for(self, server):
        began = time.monotonic()
        assert Peer(server, b"").closes_within(3)
        assert time.monotonic() - began >= 0.4

    def test_half_a_greeting_is_not_waited_for(self, server):
        assert Peer(server, PREFACE[:10]).closes_within(3)

    def test_half_a_request_is_not_waited_for(self, server):
        peer = Peer(server)
        peer.send(frame(HEADERS, END_HEADERS, 1, request()), frame(DATA, 0, 1, message(b"\x0a\x02hi")[:-1]))
        _, flags, _, block = peer.wait_for(HEADERS, 1)
        assert flags & END_STREAM
        assert b"did not arrive in time" in block or len(block) > 10

    def test_a_flood_of_pings(self, server):
        peer = Peer(server)
        try:
            for _ in range(200):
                peer.send(frame(PING, 0, 0, b"12345678") * 100)
        except OSError:
            return
        assert peer.closes_within(3)

    def test_a_flood_of_settings(self, server):
        peer = Peer(server)
        try:
            for _ in range(200):
                peer.send(frame(SETTINGS, 0, 0) * 100)
        except OSError:
            return
        assert peer.closes_within(3)

    def test_a_flood_of_empty_data(self, server):
        peer = Peer(server)
        peer.send(frame(HEADERS, END_HEADERS, 1, request("/axle.test.Echo/Collect")))
        try:
            for _ in range(200):
                peer.send(frame(DATA, 0, 1) * 100)
        except OSError:
            return
        assert peer.closes_within(3)

    def test_rapid_reset(self, server):
        """CVE-2023-44487."""
        peer = Peer(server)
        try:
            for stream in range(1, 20001, 2):
                peer.send(frame(HEADERS, END_HEADERS, stream, request("/axle.test.Echo/Chat")),
                          frame(RST_STREAM, 0, stream, b"\0\0\0\x08"))
        except OSError:
            return
        assert peer.closes_within(3)

    def test_endless_continuation(self, server):
        """CVE-2024-28182."""
        peer = Peer(server)
        try:
            peer.send(frame(HEADERS, 0, 1, request()))
            for _ in range(10000):
                peer.send(frame(CONTINUATION, 0, 1, headers([("a", "b" * 100)])))
        except OSError:
            return
        assert peer.closes_within(3)

    def test_too_many_headers(self, server):
        peer = Peer(server)
        peer.send(frame(HEADERS, 0, 1, request()),
                  *[frame(CONTINUATION, 0, 1, headers([(f"x{i}", "v" * 100)] * 20)) for i in range(6)],
                  frame(CONTINUATION, END_HEADERS, 1))
        assert peer.wait_for(RST_STREAM, 1)

    def test_ten_thousand_streams(self, server):
        before = server.memory()
        peer = Peer(server)
        try:
            for stream in range(1, 20001, 2):
                peer.send(frame(HEADERS, END_HEADERS, stream, request("/axle.test.Echo/Chat")))
        except OSError:
            pass
        time.sleep(0.2)
        assert server.memory() - before < 8 << 20

    def test_a_length_that_never_comes(self, server):
        before = server.memory()
        peers = []
        for _ in range(100):
            peer = Peer(server)
            peer.send(frame(HEADERS, END_HEADERS, 1, request("/axle.test.Echo/Collect")),
                      frame(DATA, 0, 1, b"\0" + struct.pack(">I", 16 << 20) + b"x"))
            peers.append(peer)
        time.sleep(0.2)
        assert server.memory() - before < 16 << 20

    def test_who_does_not_speak_grpc(self, server):
        peer = Peer(server)
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, request(content_type="text/html")))
        assert peer.wait_for(HEADERS, 1)[1] & END_STREAM
        peer.send(frame(HEADERS, END_HEADERS | END_STREAM, 3, request(method="GET")))
        assert peer.wait_for(HEADERS, 3)[1] & END_STREAM

    @pytest.mark.parametrize("path", ["axle.test.Echo/Say", "//axle.test.Echo/Say", "/axle.test.Echo//Say", "*", ""])
    def test_a_method_has_one_spelling(self, server, path):
        """CVE-2026-33186: "Service/Method" reached the method, past rules written for "/Service/Method"."""
        peer = Peer(server)
        peer.send(frame(HEADERS, END_HEADERS, 1, request(path)), frame(DATA, END_STREAM, 1, message(b"\x0a\x02hi")),
                  frame(HEADERS, END_HEADERS, 3, request()), frame(DATA, END_STREAM, 3, message(b"\x0a\x02hi")))
        kinds = set()
        for kind, _, stream, _ in peer.frames():
            if stream == 1:
                kinds.add(kind)
            if (kind, stream) == (DATA, 3):
                break
        assert kinds and DATA not in kinds

    def test_a_peer_that_never_reads(self, server):
        before = server.memory()
        peer = Peer(server, PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0x7fffffff)) +
                    frame(8, 0, 0, struct.pack(">I", 0x7fff0000)))
        # Count: a million replies of 100 kB
        body = b"\x18" + varint(1000000) + b"\x20" + varint(100000)
        peer.send(frame(HEADERS, END_HEADERS, 1, request("/axle.test.Echo/Count")),
                  frame(DATA, END_STREAM, 1, message(body)))
        time.sleep(0.5)
        assert server.memory() - before < 8 << 20


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def peer_reply():
    """EchoReply: text "hi", number 0, our uid, no deadline."""
    uid = os.getuid()
    return b"\x0a\x02hi" + (b"\x20" + varint(uid) if uid else b"") + b"\x28" + varint((1 << 64) - 1)


def is_closed(peer):
    peer.socket.setblocking(False)
    try:
        while peer.socket.recv(65536):
            pass
        return True
    except ConnectionResetError:
        return True
    except BlockingIOError:
        return False


def test_connections_above_the_limit(make_server, make_stub, echo):
    server = make_server()
    peers = [Peer(server) for _ in range(300)]  # the limit is 256
    time.sleep(0.2)
    assert sum(map(is_closed, peers)) >= 44
    assert make_stub(server.channel()).say(echo.EchoRequest(text="x")).text == "x"
