"""Vehicle signals for Python: a client of axsignald's line protocol (docs/formats/signal-line-protocol.md).

Needs the standard library alone. One Signals object is one connection, for one thread; it comes back by itself when the service is
restarted, with its subscriptions and claims.

    import axle_signal

    with axle_signal.Signals(name="wipers") as signals:
        print(signals.get("Vehicle.Speed"))                   # "88.5", or None where there is no value
        for update in signals.watch("Vehicle.Cabin.**@rate=10"):
            print(update.path, update.value)

To provide signals:

    speed = signals.claim("Vehicle.Speed")
    speed.publish(88.5)
    signals.flush()

    def on_request(claim, request):
        move_the_flap(request.value)
        claim.publish(request.value)                          # None means done; a text is the error that the requester gets

    signals.claim("Vehicle.Cabin.HVAC.FanSpeed", on_request)
    signals.run()
"""
import collections
import os
import select
import socket
import time

__all__ = ["Signals", "SignalError", "Update", "Request", "Claim", "Subscription"]

DEFAULT_SOCKET = "/run/axle/signal.sock"
CONTAINER_SOCKET = "/dev/signal.sock"
LINE_MAX = 65536
BATCH = 100

Update = collections.namedtuple("Update", "path value time_ns lost")
Update.__doc__ = "One update: value is text, or None while the signal is unavailable; lost updates came before it."
Request = collections.namedtuple("Request", "id path value milliseconds")


class SignalError(Exception):
    """The service refused: code is one of the protocol's ("unknown", "denied", "range", ...)."""

    def __init__(self, code, text):
        super().__init__(f"{text} ({code})")
        self.code = code


def default_socket():
    """The host's, or that of a container's view."""
    if not os.path.exists(DEFAULT_SOCKET) and os.path.exists(CONTAINER_SOCKET):
        return CONTAINER_SOCKET
    return DEFAULT_SOCKET


class Subscription:
    """Made by Signals.subscribe()."""

    def __init__(self, signals, pattern, callback, with_time):
        self.signals, self.pattern, self.callback, self.with_time = signals, pattern, callback, with_time
        self.id = None
        self.error = None
        self.lost = {}

    def cancel(self):
        self.signals._cancel(self)


class Claim:
    """Made by Signals.claim()."""

    def __init__(self, signals, path, on_request, shared):
        self.signals, self.path, self.on_request, self.shared = signals, path, on_request, shared
        self.handle = None
        self.error = None
        self.last = None

    def publish(self, value, time_ns=None):
        """Publishes a value (a text, number or bool; None: unavailable). Sent when 100 have come together, else by flush()."""
        self.last = (as_text(value), time_ns)
        self.signals._publish(self)

    def release(self):
        self.signals._release(self)


def as_text(value):
    """A value as the service reads it. None stays None."""
    if value is None or isinstance(value, str):
        text = value
    elif isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, (list, tuple)):
        text = "[" + ",".join(as_text(one) for one in value) + "]"
    else:
        text = repr(value)
    if text is not None and ("\n" in text or "\0" in text):
        raise ValueError("a value has no line break")
    return text


class Signals:
    """One connection. path: of the socket (default: $AXLE_SIGNAL_SOCKET, else the host's, else the container's)."""

    def __init__(self, path=None, name="", timeout=5.0):
        self.path = path or os.environ.get("AXLE_SIGNAL_SOCKET") or default_socket()
        self.name, self.timeout = name, timeout
        self.subscriptions, self.claims = [], []
        self.socket = None
        self.requests_pending = collections.deque()
        self.handles = {}
        self.received, self.to_send, self.unsent = b"", bytearray(), 0
        self.outcomes = {}
        self.calls = 0
        self._connect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def fileno(self):
        """For select and event loops: call dispatch() when it is readable."""
        return -1 if self.socket is None else self.socket.fileno()

    def close(self):
        if self.socket is not None:
            try:
                self.flush()
            finally:
                self.socket.close()
                self.socket = None

    # ---- asking ----

    def request(self, line, timeout=None):
        """Any request of the protocol. Returns the text behind "ok", and the `item` lines before it."""
        if "\n" in line or len(line) >= LINE_MAX:
            raise ValueError("a request is one line of at most 65535 bytes")
        answer = {"items": []}
        self._ask(line, answer)
        end = time.monotonic() + (timeout or self.timeout)
        while "text" not in answer:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer to {line.split(' ')[0]!r}")
            self.dispatch(left)
        if answer.get("code"):
            raise SignalError(answer["code"], answer["text"])
        return answer["text"], answer["items"]

    def get(self, path):
        """The current value as text; None where there is none."""
        try:
            return self.request(f"get {path}")[0]
        except SignalError as error:
            if error.code == "unavailable":
                return None
            raise

    def set(self, path, value):
        """Publishes a sensor's or attribute's value, or requests an actuator's target (returns when it is queued)."""
        self.request(f"set {path} {as_text(value)}")

    def actuate(self, path, value, timeout=5.0):
        """Requests an actuator's target and waits until its provider says that it is done."""
        number = self.request(f"set {path} {as_text(value)}")[0]
        end = time.monotonic() + timeout
        while number and number not in self.outcomes:
            if end - time.monotonic() <= 0:
                raise TimeoutError(f"{path}: no outcome")
            self.dispatch(end - time.monotonic())
        code, text = self.outcomes.pop(number, ("ok", ""))
        if code != "ok":
            raise SignalError(code, text)

    def list(self, pattern="**"):
        """[(path, kind, datatype, unit or "")]"""
        return [tuple((item + "   ").split(" ")[:4]) for item in self.request(f"list {pattern}")[1]]

    def values(self, pattern="**"):
        """{path: value or None}"""
        pairs = (item.partition(" ") for item in self.request(f"values {pattern}")[1])
        return {path: value if blank else None for path, blank, value in pairs}

    def meta(self, path):
        import json
        return json.loads(self.request(f"meta {path}")[0])

    def state(self, path):
        import json
        return json.loads(self.request(f"state {path}")[0])

    # ---- receiving ----

    def subscribe(self, pattern, callback, with_time=False):
        """Calls callback(update) for each update, from within dispatch(), run() or any call that waits."""
        subscription = Subscription(self, pattern, callback, with_time)
        self.subscriptions.append(subscription)
        self._ask_subscription(subscription)
        return subscription

    def watch(self, pattern, with_time=False):
        """Yields updates for ever."""
        updates = collections.deque()
        subscription = self.subscribe(pattern, updates.append, with_time)
        try:
            while True:
                while updates:
                    yield updates.popleft()
                if subscription.error:
                    raise subscription.error
                self.dispatch(None)
        finally:
            subscription.cancel()

    def run(self, seconds=None):
        """Serves callbacks, for ever or for so long."""
        end = None if seconds is None else time.monotonic() + seconds
        while end is None or time.monotonic() < end:
            self.dispatch(None if end is None else max(0.0, end - time.monotonic()))

    def dispatch(self, timeout=0.0):
        """Sends and receives what there is, waiting for so many seconds at most (None: for ever). Returns callbacks made."""
        self.calls = 0
        if self.socket is None and not self._connect(False):
            time.sleep(0.1 if timeout is None else min(timeout, 0.1))
            return 0
        self.flush()
        if self.socket is None:
            return 0
        readable, _, _ = select.select([self.socket], [self.socket] if self.to_send else [], [], timeout)
        if readable:
            self._receive()
        self.flush()
        return self.calls

    # ---- providing ----

    def claim(self, path, on_request=None, shared=False):
        """Provides a signal, alone (or shared=True: beside others). on_request(claim, request) gets actuations."""
        claim = Claim(self, path, on_request, shared)
        self.claims.append(claim)
        self._ask_claim(claim)
        return claim

    def flush(self):
        """Sends what was published."""
        self.unsent = 0
        while self.to_send and self.socket is not None:
            try:
                sent = self.socket.send(self.to_send)
            except BlockingIOError:
                return
            except OSError:
                self._lost()
                return
            del self.to_send[:sent]

    # ---- within ----

    def _connect(self, must=True):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self.path)
        except OSError:
            connection.close()
            if must:
                raise
            return False
        connection.setblocking(False)
        self.socket = connection
        self.received, self.to_send = b"", bytearray()
        self.requests_pending.clear()
        self._ask(f"hello 1 {self.name}".rstrip(), {"items": []})
        for subscription in self.subscriptions:
            self._ask_subscription(subscription)
        for claim in self.claims:
            self._ask_claim(claim)
        return True

    def _lost(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = None
        self.handles.clear()
        pending, self.requests_pending = self.requests_pending, collections.deque()
        for claim in self.claims:
            claim.handle = None
        for subscription in self.subscriptions:
            subscription.id = None
        for answer in pending:
            if isinstance(answer, dict):
                answer.update(code="gone", text="the connection was lost before the answer came")

    def _say(self, line):
        self.to_send += line.encode() + b"\n"

    def _ask(self, line, answer):
        self._say(line)
        self.requests_pending.append(answer)

    def _ask_subscription(self, subscription):
        self._ask(f"sub {subscription.pattern}{' time' if subscription.with_time else ''}", subscription)

    def _ask_claim(self, claim):
        self._ask(f"{'open' if claim.shared else 'claim'} {claim.path}", claim)

    def _cancel(self, subscription):
        if subscription in self.subscriptions:
            self.subscriptions.remove(subscription)
        if subscription.id is not None and self.socket is not None:
            self._ask(f"unsub {subscription.id}", {"items": []})
        self.handles = {handle: what for handle, what in self.handles.items() if what[0] is not subscription}

    def _release(self, claim):
        if claim in self.claims:
            self.claims.remove(claim)
        if claim.handle is not None and self.socket is not None:
            self.handles.pop(claim.handle, None)
            self._ask(f"release {claim.handle}", {"items": []})
            self.flush()

    def _publish(self, claim):
        if claim.handle is None:
            return  # sent when the claim stands
        text, time_ns = claim.last
        self._say(claim.handle + (f"@{time_ns}" if time_ns else "") + ("" if text is None else " " + text))
        self.unsent += 1
        if self.unsent >= BATCH:
            self.flush()

    def _receive(self):
        try:
            data = self.socket.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        *lines, self.received = (self.received + data).split(b"\n")
        for line in lines:
            self._take(line.decode("utf-8", "replace"))

    def _take(self, line):
        word, blank, rest = line.partition(" ")
        if word[:1].isdigit():
            self._take_data(word, rest if blank else None)
            return
        take = getattr(self, "_on_" + word, None)
        if take is not None:  # an event of a later version is passed over
            take(rest)

    def _take_data(self, word, value):
        handle, _, time_ns = word.partition("@")
        subscription, path = self.handles.get(handle, (None, None))
        if isinstance(subscription, Subscription):
            self.calls += 1
            subscription.callback(Update(path, value, int(time_ns or 0), subscription.lost.pop(handle, 0)))

    def _on_ok(self, text):
        answer = self.requests_pending.popleft() if self.requests_pending else None
        if isinstance(answer, Subscription):
            answer.id = text.partition(" ")[0]
            if answer not in self.subscriptions:
                self._cancel(answer)
        elif isinstance(answer, Claim):
            answer.handle, answer.error = text, None
            self.handles[text] = (answer, answer.path)
            if answer not in self.claims:
                self._release(answer)
            elif answer.last is not None and answer.last[0] is not None:
                self._publish(answer)
        elif answer is not None:
            answer["text"] = text

    def _on_error(self, rest):
        code, _, text = rest.partition(" ")
        answer = self.requests_pending.popleft() if self.requests_pending else None
        if isinstance(answer, (Subscription, Claim)):
            answer.error = SignalError(code, text)
        elif answer is not None:
            answer.update(code=code, text=text)

    def _on_item(self, text):
        if self.requests_pending and isinstance(self.requests_pending[0], dict):
            self.requests_pending[0]["items"].append(text)

    def _on_name(self, rest):
        number, handle, path = rest.split(" ")
        for subscription in self.subscriptions:
            if subscription.id == number:
                self.handles[handle] = (subscription, path)
                return
        first = self.requests_pending[0] if self.requests_pending else None
        if isinstance(first, Subscription):
            self.handles[handle] = (first, path)

    def _on_lost(self, rest):
        handle, count = rest.split(" ")
        subscription, _ = self.handles.get(handle, (None, None))
        if isinstance(subscription, Subscription):
            subscription.lost[handle] = subscription.lost.get(handle, 0) + int(count)

    def _on_gone(self, handle):
        what, path = self.handles.pop(handle, (None, None))
        if isinstance(what, Subscription):
            self.calls += 1
            what.callback(Update(path, None, 0, 0))
        elif isinstance(what, Claim):
            what.handle = None

    def _on_refused(self, rest):
        handle, code, text = (rest + "  ").split(" ", 2)
        what, _ = self.handles.get(handle, (None, None))
        if isinstance(what, Claim):
            what.error = SignalError(code, text.strip())

    def _on_request(self, rest):
        number, handle, milliseconds, value = rest.split(" ", 3)
        claim, path = self.handles.get(handle, (None, None))
        if not isinstance(claim, Claim):
            return
        error = "this provider takes no requests"
        if claim.on_request is not None:
            self.calls += 1
            error = claim.on_request(claim, Request(number, path, value, int(milliseconds)))
        self._say(f"ok {number}" if error is None else "error %s %s" % (number, str(error).replace("\n", " ")))

    def _on_outcome(self, rest):
        number, code, text = (rest + "  ").split(" ", 2)
        if len(self.outcomes) > 1000:
            self.outcomes.clear()  # of actuations that nobody waits for
        self.outcomes[number] = (code, text.strip())
