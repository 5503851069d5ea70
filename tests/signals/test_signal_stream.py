"""The multiplexed file "@stream": one descriptor for many signals."""
import errno
import os
import select
import time

import pytest

SPEED = "Vehicle/Speed"


class Mux:
    def __init__(self, signals, flags=os.O_RDWR | os.O_NONBLOCK):
        self.fd = os.open(signals.files / "@stream", flags)
        self.rest = b""
        self.names = {}

    def write(self, text):
        return os.write(self.fd, text.encode())

    def lines(self, seconds=0.1):
        """All that comes until nothing more does."""
        lines = []
        while select.select([self.fd], [], [], seconds)[0]:
            text = os.read(self.fd, 65536).decode()
            assert text.endswith("\n")  # whole lines
            lines += text.splitlines()
        return lines

    def updates(self, seconds=0.1):
        """(path, value) of each update; value None: unavailable."""
        found = []
        for line in self.lines(seconds):
            words = line.split(" ", 1)
            if words[0] == "name":
                _, handle, path = words[1].split(" ")
                self.names[handle] = path
            elif words[0][:1].isdigit():
                found.append((self.names[words[0]], words[1] if len(words) > 1 else None))
        return found


@pytest.fixture
def mux(signals):
    made = Mux(signals)
    yield made
    os.close(made.fd)


def test_paths_wildcards_and_filters(signals, mux):
    signals.write(SPEED, "10")
    mux.write("sub Vehicle.Speed@change=5\nsub Vehicle.Cabin.**\n")
    assert dict(mux.updates()) == {"Vehicle.Speed": "10", "Vehicle.Cabin.DoorCount": "4", "Vehicle.Cabin.SeatPosCount": "[2,3]"}
    for value in ("12", "15", "16"):
        signals.write(SPEED, value)
    signals.write("Vehicle/Cabin/HVAC/AmbientAirTemperature", "21")
    assert mux.updates() == [("Vehicle.Speed", "15"), ("Vehicle.Cabin.HVAC.AmbientAirTemperature", "21")]


def test_unsubscribing(signals, mux):
    mux.write("sub Vehicle.Speed")
    number = [line.split()[1] for line in mux.lines() if line.startswith("ok ")][0]
    mux.write(f"unsub {number}\n")
    mux.lines()
    signals.write(SPEED, "5")
    assert mux.updates() == []


def test_records_come_in_batches(signals, mux):
    mux.write("sub Vehicle.Speed@all")
    mux.lines()
    for value in range(100):
        signals.write(SPEED, str(value))
    batch = os.read(mux.fd, 65536).decode().splitlines()
    assert len(batch) == 100
    with pytest.raises(BlockingIOError):
        os.read(mux.fd, 100)


def test_a_group_is_one_batch(signals, mux):
    mux.write("sub Vehicle.CurrentLocation.*")
    mux.lines()
    signals.write("Vehicle/CurrentLocation@group", '{"Latitude": 1, "Longitude": 2, "Heading": 3}')
    assert select.select([mux.fd], [], [], 1)[0]
    assert len(os.read(mux.fd, 65536).splitlines()) == 3


def test_small_reads_continue_a_line(signals, mux):
    mux.write("sub Vehicle.Speed")
    mux.lines()
    signals.write(SPEED, "123.5")
    assert select.select([mux.fd], [], [], 1)[0]
    text = b""
    while not text.endswith(b"\n"):
        text += os.read(mux.fd, 1)
    assert text.endswith(b" 123.5\n")


def test_a_blocking_reader_waits(signals):
    mux = Mux(signals, os.O_RDWR)
    mux.write("sub Vehicle.Speed")
    import threading
    threading.Timer(0.2, signals.write, (SPEED, "7")).start()
    seen = b""
    while not seen.endswith(b" 7\n"):
        seen += os.read(mux.fd, 4096)
    os.close(mux.fd)


@pytest.mark.parametrize("text", ["set Vehicle.Speed 5", "hello", "\n", "sub Vehicle.Speed\nset Vehicle.Speed 5\n", "sub \0"])
def test_only_subscriptions_are_written(signals, mux, text):
    with pytest.raises(OSError) as caught:
        mux.write(text)
    assert caught.value.errno == errno.EINVAL


def test_what_is_unknown_is_told(mux):
    mux.write("sub Vehicle.Nope")
    assert [line for line in mux.lines() if line.startswith("error unknown")]
    mux.write("sub Vehicle.IsMoving@above=1")
    assert [line for line in mux.lines() if line.startswith("error filter")]


def test_it_is_not_listed_and_only_at_the_top(signals):
    assert os.listdir(signals.files) == ["Vehicle"]
    assert not os.path.exists(signals.files / "Vehicle/@stream")
    assert not os.path.exists(signals.files / "@other")


def test_a_reader_that_stops_is_told_and_nobody_notices(signals, mux):
    mux.write("sub Vehicle.Cabin.Infotainment.Media.Title@all")
    mux.lines()
    for i in range(300):
        signals.write("Vehicle/Cabin/Infotainment/Media/Title", "x" * 8000 + str(i))
    lines = mux.lines()
    assert any(line.startswith("lost ") for line in lines)
    assert lines[-1].endswith("x299")  # the newest always arrives


def test_it_goes_on_after_a_kill(signals, mux):
    signals.write(SPEED, "1")
    mux.write("sub Vehicle.Speed\n")
    assert ("Vehicle.Speed", "1") in mux.updates()
    signals.write(SPEED, "2")
    assert select.select([mux.fd], [], [], 1)[0]
    part = os.read(mux.fd, 1)
    signals.kill()
    signals.restart()
    rest = os.read(mux.fd, 100)
    assert (part + rest).endswith(b" 2\n")  # the line that was begun is ended
    assert ("Vehicle.Speed", "2") in mux.updates(0.3)
    signals.write(SPEED, "3")
    assert mux.updates(0.3)[-1] == ("Vehicle.Speed", "3")


def test_rights_are_those_of_who_opened_it(make_signals):
    signals = make_signals(config='[[rule]]\npath = "Vehicle.Speed"\nmode = "0600"\n').start()
    for folder in (signals.folder, signals.folder.parent, signals.folder.parent.parent):
        folder.chmod(0o755)
    signals.write(SPEED, "5")
    signals.write("Vehicle/IsMoving", "true")
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(1234)
        os.setuid(1234)
        mux = Mux(signals)
        mux.write("sub Vehicle.Speed\nsub Vehicle.*\n")
        updates = mux.updates(0.3)
        os._exit(0 if updates == [("Vehicle.IsMoving", "true")] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    time.sleep(0)
