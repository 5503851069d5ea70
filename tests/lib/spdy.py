"""A SPDY/3.1 client, and CRI's streaming protocols on it, from the published specifications: the standard library alone.

    session = spdy.connect(url, spdy.EXEC)
    error, out = session.open(streamtype="error"), session.open(streamtype="stdout")
    assert out.read_all() == b"hello\\n" and error.status()["status"] == "Success"

Frames are read by a thread; @windows says whether this end keeps flow control windows (the Go library does not)."""
import json
import socket
import struct
import threading
import time
import urllib.parse
import zlib

WAIT_SECONDS = 60
EXEC = ["v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"]
FORWARD = ["portforward.k8s.io"]
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
REFUSED_STREAM, CANCEL = 3, 5
INITIAL_WINDOW = 65536

WORDS = """options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow
authorization cache-control connection content-base content-encoding content-language content-length content-location
content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range
if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer
retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get
status 200|OK version HTTP/1.1 url public set-cookie keep-alive origin""".replace("\n", " ")
TEXT = ("100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
        "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal "
        "Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, "
        "Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
        "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset="
        "iso-8859-1,utf-,*,enq=0.")
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.replace("|", " ").encode() for word in WORDS.split()) + TEXT.encode()


class Refused(Exception):
    """The server's answer was not 101."""

    def __init__(self, status, fields, body):
        super().__init__(f"{status}: {body}")
        self.status, self.fields, self.body = status, fields, body


def control(kind, body=b"", flags=0):
    return struct.pack(">HHI", 0x8003, kind, flags << 24 | len(body)) + body


def data_frame(stream, data=b"", flags=0):
    return struct.pack(">II", stream, flags << 24 | len(data)) + data


class Stream:
    """One stream of a session."""

    def __init__(self, session, number):
        self.session, self.number = session, number
        self.received, self.ended, self.reset, self.replied = bytearray(), False, None, False
        self.allowance, self.unread = INITIAL_WINDOW, 0

    def wait(self, condition, what, seconds=WAIT_SECONDS):
        with self.session.changed:
            assert self.session.changed.wait_for(lambda: condition() or self.session.gone, seconds), f"not in time: {what}"

    def send(self, data, fin=False):
        for at in range(0, len(data), 16384):
            piece = data[at:at + 16384]
            if self.session.windows:
                self.session.await_allowance(self, len(piece))
            self.session.write(data_frame(self.number, piece))
        if fin:
            self.finish()

    def finish(self):
        self.session.write(data_frame(self.number, b"", FIN))

    def cancel(self):
        self.session.write(control(RST_STREAM, struct.pack(">II", self.number, CANCEL)))

    def read_until(self, words, seconds=WAIT_SECONDS):
        """Everything so far, once it holds these bytes."""
        self.wait(lambda: words in self.received or self.ended or self.reset, words, seconds)
        assert words in self.received, (bytes(self.received), self.ended, self.reset)
        return bytes(self.received)

    def read_all(self, seconds=WAIT_SECONDS):
        self.wait(lambda: self.ended or self.reset, "the end of the stream", seconds)
        assert self.ended, ("ended without FIN", self.reset, self.session.gone, bytes(self.received[-200:]))
        return bytes(self.received)

    def status(self, seconds=WAIT_SECONDS):
        """What an error stream of protocol v4 says."""
        return json.loads(self.read_all(seconds))


class Session:
    def __init__(self, sock, windows=False, rest=b""):
        self.socket, self.windows = sock, windows
        self.streams, self.next, self.gone, self.goaway = {}, 1, False, None
        self.pongs, self.updates, self.refused = [], 0, []
        self.paused = threading.Event()  # clear: frames are read
        self.changed = threading.Condition()
        self.lock = threading.Lock()
        self.packer = zlib.compressobj(9, zlib.DEFLATED, 15, 8, 0, DICTIONARY)
        self.unpacker = zlib.decompressobj(15, zdict=DICTIONARY)
        self.session_allowance, self.session_unread = INITIAL_WINDOW, 0
        self.rest = rest
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        if windows:  # said at once: who says nothing of windows is taken for one who keeps none
            self.write(control(SETTINGS, struct.pack(">III", 1, 7, INITIAL_WINDOW)))

    # Writing.

    def write(self, frames):
        with self.lock:
            self.socket.sendall(frames)

    def syn_stream(self, number, flags=0, **labels):
        block = struct.pack(">I", len(labels))
        for name, value in labels.items():
            block += struct.pack(">I", len(name)) + name.encode() + struct.pack(">I", len(value)) + value.encode()
        packed = self.packer.compress(block) + self.packer.flush(zlib.Z_SYNC_FLUSH)
        return control(SYN_STREAM, struct.pack(">IIBB", number, 0, 0, 0) + packed, flags)

    def open(self, wait=True, **labels):
        """A new stream with these headers; refused ones say so in .reset."""
        stream = self.streams[self.next] = Stream(self, self.next)
        self.next += 2
        self.write(self.syn_stream(stream.number, **labels))
        if wait:
            stream.wait(lambda: stream.replied or stream.reset, "SYN_REPLY")
        return stream

    def await_allowance(self, stream, size):
        with self.changed:
            assert self.changed.wait_for(lambda: self.gone or min(stream.allowance, self.session_allowance) >= size,
                                         WAIT_SECONDS), "the window stays shut"
            stream.allowance -= size
            self.session_allowance -= size

    # Reading.

    def _exactly(self, size):
        while len(self.rest) < size:
            self.paused_wait()
            more = self.socket.recv(65536)
            if not more:
                raise ConnectionResetError
            self.rest += more
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def paused_wait(self):
        while self.paused.is_set():
            time.sleep(0.01)

    def _run(self):
        try:
            while True:
                word, length = struct.unpack(">II", self._exactly(8))
                body = self._exactly(length & 0xffffff)
                with self.changed:
                    self._handle(word, length >> 24, body)
                    self.changed.notify_all()
        except (OSError, AssertionError) as error:
            with self.changed:
                self.gone = error
                self.changed.notify_all()

    def _handle(self, word, flags, body):
        if not word & 0x80000000:
            self._on_data(word, flags, body)
            return
        kind = word & 0xffff
        assert word >> 16 == 0x8003, hex(word)
        number = struct.unpack(">I", body[:4])[0] & 0x7fffffff
        stream = self.streams.get(number)
        if kind == SYN_REPLY:
            self.unpacker.decompress(body[4:])
            if stream:
                stream.replied = True
        elif kind == RST_STREAM:
            self.refused.append(number)
            if stream:
                stream.reset = struct.unpack(">I", body[4:])[0]
        elif kind == PING:
            self.pongs.append(number)
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", body)
        elif kind == WINDOW_UPDATE:
            self.updates += 1
            delta = struct.unpack(">I", body[4:])[0]
            if stream:
                stream.allowance += delta
            elif number == 0:
                self.session_allowance += delta

    def _on_data(self, number, flags, body):
        stream = self.streams[number]
        assert not stream.ended, "data behind FIN"
        assert stream.replied, "data before SYN_REPLY, which the Go library drops"
        stream.received += body
        stream.ended = bool(flags & FIN)
        if self.windows and body:
            stream.unread += len(body)
            self.session_unread += len(body)
            assert stream.unread <= INITIAL_WINDOW and self.session_unread <= INITIAL_WINDOW, "beyond the window"
            if self.windows != "shut":
                self.give(stream, len(body))

    def give(self, stream, size):
        """Opens the windows again by so much."""
        stream.unread -= size
        self.session_unread -= size
        self.socket.sendall(control(WINDOW_UPDATE, struct.pack(">II", stream.number, size)) +
                            control(WINDOW_UPDATE, struct.pack(">II", 0, size)))

    def wait(self, condition, what, seconds=WAIT_SECONDS):
        with self.changed:
            assert self.changed.wait_for(lambda: condition() or self.gone, seconds), f"not in time: {what}"

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is gone already
        self.socket.close()

    def abort(self):
        """RST instead of FIN: a peer that crashed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.shutdown(socket.SHUT_RD)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def dial(url, receive_bytes=None):
    where = urllib.parse.urlsplit(url)
    family = socket.AF_INET6 if ":" in where.hostname else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.settimeout(WAIT_SECONDS)
    sock.connect((where.hostname, where.port))
    return sock


def request(sock, url, protocols=(), method="POST", fields=(("Connection", "Upgrade"), ("Upgrade", "SPDY/3.1"))):
    """Sends an upgrade request; returns (status, fields, what follows the head)."""
    where = urllib.parse.urlsplit(url)
    lines = [f"{method} {where.path} HTTP/1.1", f"Host: {where.netloc}", "Content-Length: 0"]
    lines += [f"{name}: {value}" for name, value in fields]
    lines += [f"X-Stream-Protocol-Version: {protocol}" for protocol in protocols]
    sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    return read_answer(sock)


def read_answer(sock):
    answer = b""
    while b"\r\n\r\n" not in answer:
        more = sock.recv(4096)
        if not more:
            return 0, {}, answer
        answer += more
    head, rest = answer.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    fields = {}
    for line in lines[1:]:
        name, value = line.split(": ", 1)
        fields.setdefault(name.lower(), []).append(value)
    return int(lines[0].split()[1]), fields, rest


def connect(url, protocols=tuple(EXEC), windows=False, receive_bytes=None, **options):
    """A session at an URL that Exec, Attach or PortForward gave."""
    sock = dial(url, receive_bytes)
    status, fields, rest = request(sock, url, protocols, **options)
    if status != 101:
        while len(rest) < int(fields.get("content-length", [0])[0]):
            rest += sock.recv(4096)
        sock.close()
        raise Refused(status, fields, rest.decode())
    assert fields["upgrade"] == ["SPDY/3.1"] and fields["connection"] == ["Upgrade"], fields
    sock.settimeout(None)
    session = Session(sock, windows, rest)
    session.protocol = fields.get("x-stream-protocol-version", [None])[0]
    return session


class Command:
    """The streams of an Exec or Attach."""

    def __init__(self, session, stdin=False, stdout=True, stderr=True, tty=False):
        self.session = session
        self.error = session.open(streamtype="error")
        self.stdin = session.open(streamtype="stdin") if stdin else None
        self.stdout = session.open(streamtype="stdout") if stdout else None
        self.stderr = session.open(streamtype="stderr") if stderr and not tty else None
        self.resizes = session.open(streamtype="resize") if tty else None

    def resize(self, width, height):
        self.resizes.send(json.dumps({"Width": width, "Height": height}).encode() + b"\n")

    def exit_code(self, seconds=WAIT_SECONDS):
        status = self.error.status(seconds)
        if status["status"] == "Success":
            return 0
        assert status["reason"] == "NonZeroExitCode", status
        return int(next(cause["message"] for cause in status["details"]["causes"] if cause["reason"] == "ExitCode"))
