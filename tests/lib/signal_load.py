"""Processes that use axsignald in every way at once, each checking all that it gets: for sweeps of kills. None may see a failed call."""
import contextlib
import json
import multiprocessing
import os
import queue
import select
import sys
import time
import traceback

from axsignald import wait_for

DISTANCE = "Vehicle/TraveledDistance"
FAN = "Vehicle/Cabin/HVAC/FanSpeed"
PLACE = "Vehicle/CurrentLocation@group"
PATIENCE = 30  # seconds without anything new: more than any number of other tests beside this one needs


class Load:
    """Starts workers; end() stops them and gives {name: rounds}, or fails with what they met."""

    def __init__(self, signals):
        self.signals = signals
        self.stop = multiprocessing.Event()
        self.results = multiprocessing.Queue()
        self.last = multiprocessing.Value("q", 0)  # what the writer has written last
        self.at_work = multiprocessing.Value("q", 0)
        self.workers = []

    def add(self, name, worker, *arguments):
        process = multiprocessing.Process(target=self._run, args=(name, worker, arguments), name=name)
        process.start()
        self.workers.append(process)

    def _run(self, name, worker, arguments):
        count = 0
        error = None
        try:
            for _ in worker(self, *arguments):
                count += 1
                if count == 1:
                    with self.at_work.get_lock():
                        self.at_work.value += 1
        except BaseException:  # noqa: B902 - told to the parent
            error = traceback.format_exc()
        self.results.put((name, count, error))

    def wait_until_all_work(self):
        wait_for("all have done something", lambda: self.at_work.value == len(self.workers) or not self.results.empty(), PATIENCE)

    def end(self):
        """Where the last value is far from the one before, every follower gets it, whatever its filter."""
        self.stop.set()
        told = {}
        while "writer" not in told:
            self._hear(told)
        self.last.value += 1000
        self.signals.write(DISTANCE, str(self.last.value))
        while len(told) < len(self.workers):
            self._hear(told)
        for worker in self.workers:
            worker.join(10)
        failed = [f"{name}: {error}" for name, (_, error) in told.items() if error]
        assert not failed, "\n".join(failed)
        return {name: count for name, (count, _) in told.items()}

    def _hear(self, told):
        try:
            name, count, error = self.results.get(timeout=2 * PATIENCE)
        except queue.Empty:
            raise AssertionError(f"still at work: {[one.name for one in self.workers if one.is_alive()]}") from None
        told[name] = (count, error)

    def abandon(self):
        for worker in self.workers:
            if worker.is_alive():
                worker.kill()
                worker.join()

    def caught_up(self, seen):
        return self.stop.is_set() and seen >= self.last.value


@contextlib.contextmanager
def opened(path, flags):
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def wait_readable(fd, poll, what):
    if not poll.poll(PATIENCE * 1000):
        raise AssertionError(f"nothing for {PATIENCE} s: {what}")


# ---- value files ----

def reads(load, path):
    """A descriptor that stays open, one that is opened anew, attributes."""
    with opened(path, os.O_RDONLY) as held:
        while not load.stop.is_set():
            assert os.pread(held, 100, 0).endswith(b"\n")
            with opened(path, os.O_RDONLY) as fresh:
                assert os.read(fresh, 100).endswith(b"\n")
                assert os.read(fresh, 100) == b""
            assert os.stat(path).st_size == 4096
            assert json.loads(open(path + "@state", encoding="utf-8").read())["path"]
            yield


def writes(load, path):
    with opened(path, os.O_WRONLY) as fd:
        count = 0
        while not load.stop.is_set():
            count += 1
            load.last.value = count
            assert os.write(fd, b"%d\n" % count) == len(b"%d\n" % count)
            time.sleep(0.0005)
            yield


def sets_together(load, path):
    with opened(path, os.O_WRONLY) as fd:
        count = 0
        while not load.stop.is_set():
            count = (count + 1) % 90
            os.write(fd, json.dumps({"Latitude": count, "Longitude": count, "Heading": count}).encode())
            yield


def sees_together(load, path):
    while not load.stop.is_set():
        values = set(json.loads(open(path, encoding="utf-8").read()).values())
        assert len(values) == 1, values
        yield


# ---- streams ----

def follows(load, path, flags, step=0):
    """Every line whole, in its order, and the newest comes in the end. @step: what the name's filter keeps apart."""
    seen = 0
    with opened(path, os.O_RDONLY | flags) as fd:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while not load.caught_up(seen):
            if flags & os.O_NONBLOCK:
                wait_readable(fd, poll, f"{path}: seen {seen}, last {load.last.value}")
            try:
                line = os.read(fd, 100)
            except BlockingIOError:
                continue
            assert line.endswith(b"\n"), line
            value = int(line)
            # a daemon that died between giving a line and noting so gives it again rather than not at all
            assert value == seen or value >= seen + max(step, 1) or seen == 0, (value, seen)
            seen = value
            yield


def follows_many(load, path):
    """@stream: names come again after a kill, with the newest values."""
    seen, rest = 0, b""
    handles = {}
    with opened(path, os.O_RDWR) as fd:
        os.write(fd, b"sub Vehicle.TraveledDistance@all\nsub Vehicle.CurrentLocation.*@rate=50\n")
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while not load.caught_up(seen):
            wait_readable(fd, poll, f"@stream: seen {seen}, last {load.last.value}")
            *lines, rest = (rest + os.read(fd, 4096)).split(b"\n")
            for line in lines:
                word, _, text = line.decode().partition(" ")
                if word == "name":
                    handles[text.split(" ")[1]] = text.split(" ")[2]
                elif word.isdigit() and handles[word] == "Vehicle.TraveledDistance":
                    assert int(text) >= seen, (text, seen)
                    seen = int(text)
                else:
                    assert word.isdigit() or word in ("ok", "lost"), line
            yield


# ---- providing ----

def provides(load, path):
    """Each request once and in its order: the requester counts."""
    expected = None
    with opened(path + "@provide", os.O_RDWR | os.O_NONBLOCK) as fd:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        while not load.stop.is_set():
            if not poll.poll(100):
                continue
            try:
                number, value, _ = os.read(fd, 200).decode().split("\t")
            except BlockingIOError:
                continue
            # one that the daemon queued and died before it said so is asked for again
            assert expected is None or int(value) in (expected, (expected - 1) % 101), (value, expected)
            expected = (int(value) + 1) % 101
            os.write(fd, f"ok {number}".encode())
            os.write(fd, value.encode())
            yield


def requests(load, path):
    count = 0
    while not os.path.exists(path) or "ENXIO" in try_to_write(path, b"0"):
        time.sleep(0.01)
    with opened(path, os.O_WRONLY) as fd:
        while not load.stop.is_set():
            try:
                os.write(fd, b"%d" % ((count + 1) % 101))
                count += 1
                yield
            except BlockingIOError:
                pass  # the queue is full: that is an answer
            time.sleep(0.001)


def try_to_write(path, value):
    try:
        with opened(path, os.O_WRONLY) as fd:
            os.write(fd, value)
        return ""
    except OSError as error:
        return os.strerror(error.errno) if error.errno != 6 else "ENXIO"


# ---- the line protocol: its clients come back by themselves ----

def client(load, name):
    sys.dont_write_bytecode = True
    sys.path.insert(0, os.path.join(load.signals.stage.path, "share/axle/python"))
    import axle_signal
    return axle_signal.Signals(load.signals.socket, name=name)


def publishes(load, path):
    signals = client(load, "odometer")
    claim = signals.claim(path)
    count = 0
    while not load.stop.is_set():
        count += 1
        claim.publish(count % 400)
        signals.dispatch(0.001)
        assert not claim.error, claim.error
        yield
    end = time.monotonic() + PATIENCE
    while signals.get(path) != str(count % 400):  # what was published last stands, whatever was killed meanwhile
        assert time.monotonic() < end
        signals.dispatch(0.01)
    signals.close()


def subscribes(load, path):
    signals = client(load, "display")
    seen = []
    signals.subscribe(path, seen.append)
    last = 0
    while not load.stop.is_set():
        signals.dispatch(0.05)
        for update in seen:
            if update.value is not None:
                last = int(update.value)
        if seen:
            yield
        seen.clear()
    assert last > 0
    signals.close()
