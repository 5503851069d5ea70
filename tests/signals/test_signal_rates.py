"""A rate in a grant holds however a container looks at the signal; and what a container was granted it can ask for."""
import json
import os
import select
import socket
import time

import pytest

from view_container import ALL, POLICY, SPEED, VOUCHED

SLOW = ["--manager", "axled", "--namespace", "slow", "--pod", "x"]
RATE = 2  # a second: half a second is long enough to see that nothing comes


@pytest.fixture
def view(make_signals, containers):
    """A container that may see the speed RATE times a second. view.burst() sets it often, ending at a value."""
    service = make_signals(config=POLICY.replace("rate = 5", f"rate = {RATE}")).start()
    service.write(SPEED, "1")
    container = containers(service, ALL, hook_words=SLOW)
    container.service = service

    def burst(last):
        for value in range(20):
            service.write(SPEED, str(value + 200))
        service.write(SPEED, str(last))
    container.burst = burst
    return container


def distinct(read, seconds):
    """The different values that polling as fast as possible sees."""
    seen, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        value = read()
        if not seen or seen[-1] != value:
            seen.append(value)
    return seen, seconds


def ways(view):
    """Ways to ask for the present value, over and over."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(view.inside("dev/signal.sock"))
    lines = client.makefile("rw")

    def get():
        lines.write("get Vehicle.Speed\n")
        lines.flush()
        return float(lines.readline().split()[1])

    def state():
        lines.write("state Vehicle.Speed\n")
        lines.flush()
        return json.loads(lines.readline()[3:])["value"]

    def read(name):
        with open(view.sees(name), encoding="ascii") as file:
            return file.read()

    def first_of(name):
        fd = os.open(view.sees(name), os.O_RDONLY | os.O_NONBLOCK)
        try:
            return float(os.read(fd, 100))
        finally:
            os.close(fd)
    return {
        "value": lambda: float(read(SPEED)),
        "state": lambda: json.loads(read(SPEED + "@state"))["value"],
        "group": lambda: json.loads(read("Vehicle@group"))["Speed"],
        "stream": lambda: first_of(SPEED),
        "filter": lambda: first_of(SPEED + "@above=0"),
        "mtime": lambda: os.stat(view.sees(SPEED)).st_mtime_ns,
        "line get": get,
        "line state": state,
    }


@pytest.mark.parametrize("way", ["value", "state", "group", "stream", "filter", "mtime", "line get", "line state"])
def test_asking_often_shows_no_more(view, way):
    ask = ways(view)[way]
    stop = time.monotonic() + 1.5
    seen = []
    value = 0
    while time.monotonic() < stop:
        value += 1
        view.service.write(SPEED, str(value % 100))
        now = ask()
        if not seen or seen[-1] != now:
            seen.append(now)
    assert value > 3 * len(seen)  # it changed far more often
    assert 2 <= len(seen) <= (time.monotonic() - stop + 1.5) * RATE + 2, seen


@pytest.mark.parametrize("name", [SPEED, SPEED + "@all", SPEED + "@rate=1000", SPEED + "@change=0.1", SPEED + "@above=10"])
def test_streams_and_filters(view, name):
    time.sleep(1 / RATE)
    view.service.write(SPEED, "50")
    fd = os.open(view.sees(name), os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(fd, 100) == b"50\n"
    view.burst(77)
    with pytest.raises(BlockingIOError):
        os.read(fd, 100)
    assert select.select([fd], [], [], 10)[0] and os.read(fd, 100) == b"77\n"  # the newest, when its time has come
    os.close(fd)


def test_several_streams_are_not_several_rates(view):
    time.sleep(1 / RATE)
    view.service.write(SPEED, "50")
    names = [SPEED, SPEED + "@all", SPEED + "@above=10", SPEED + "@below=300", SPEED + "@change=1"]
    fds = [os.open(view.sees(name), os.O_RDONLY | os.O_NONBLOCK) for name in names]
    seen, begin = set(), time.monotonic()
    value = 50
    while time.monotonic() < begin + 2:
        value += 1
        view.service.write(SPEED, str(50 + value % 200))
        for fd in select.select(fds, [], [], 0.002)[0]:
            seen.add(os.read(fd, 100))
    assert 2 <= len(seen) <= (time.monotonic() - begin) * RATE + 2, seen
    for fd in fds:
        os.close(fd)


def test_the_multiplexed_file(view):
    time.sleep(1 / RATE)
    view.service.write(SPEED, "50")
    fd = os.open(view.sees("@stream"), os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"sub Vehicle.Speed@all\n")
    text = b""
    while b"\n1 50\n" not in text:
        assert select.select([fd], [], [], 10)[0]
        text += os.read(fd, 4096)
    view.burst(77)
    assert not select.select([fd], [], [], 0.05)[0]
    assert select.select([fd], [], [], 10)[0]
    assert os.read(fd, 4096) == b"1 77\n"
    os.close(fd)


def test_the_sockets_subscriptions(view):
    time.sleep(1 / RATE)
    view.service.write(SPEED, "50")
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(view.inside("dev/signal.sock"))
        client.sendall(b"sub Vehicle.Speed@all\n")
        lines = client.makefile()
        assert [lines.readline() for _ in range(3)] == ["name 1 1 Vehicle.Speed\n", "ok 1 1\n", "1 50\n"]
        view.burst(77)
        assert lines.readline() == "1 77\n"


def test_poll_of_a_value_wakes_when_the_rate_lets_it(view):
    time.sleep(1 / RATE)
    view.service.write(SPEED, "50")
    fd = os.open(view.sees(SPEED), os.O_RDONLY)
    assert os.pread(fd, 100, 0) == b"50\n"
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    view.burst(77)
    assert poll.poll(0) == [] and os.pread(fd, 100, 0) == b"50\n"
    assert poll.poll(10000) and os.pread(fd, 100, 0) == b"77\n"
    view.burst(88)
    assert poll.poll(10000) and os.pread(fd, 100, 0) == b"88\n"
    os.close(fd)


def test_that_there_is_no_value_is_told_at_once(view):
    """A rate is for values: what ended has ended."""
    provider = os.open(view.service.files / (SPEED + "@provide"), os.O_RDWR)
    os.write(provider, b"60")
    os.close(provider)
    with pytest.raises(OSError) as caught:
        open(view.sees(SPEED), encoding="ascii").read()
    assert caught.value.errno == 61  # ENODATA


def test_others_see_all(view, containers):
    fast = containers(view.service, ALL, hook_words=VOUCHED)
    for value in range(5):
        view.service.write(SPEED, str(value))
        assert open(fast.sees(SPEED), encoding="ascii").read() == f"{value}\n"
        assert view.service.read(SPEED) == f"{value}\n"


# ---- grants ----

def ask_socket(container, line):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(container.inside("dev/signal.sock"))
        client.sendall(line.encode() + b"\n")
        return client.makefile().readline()


def test_grants_of_a_view(guarded, containers):
    container = containers(guarded, ALL)
    told = json.loads(ask_socket(container, "grants").removeprefix("ok "))
    assert told["view"] is True and container.name.startswith(told["name"])
    assert told["read"] == ["Vehicle.Speed", "Vehicle.CurrentLocation.**", "Vehicle.Cabin.**"]
    assert told["publish"] == ["Vehicle.TraveledDistance"] and told["rates"] == {}
    assert told["actuate"] == ["Vehicle.Cabin.HVAC.**"]
    guarded.config.write_text(POLICY.replace('"Vehicle.Speed", ', "", 1))
    guarded.reload()
    assert "Vehicle.Speed" not in json.loads(ask_socket(container, "grants").removeprefix("ok "))["read"]


def test_grants_with_a_rate_and_of_one_that_has_none(guarded, containers):
    slow = containers(guarded, ALL, hook_words=SLOW)
    told = json.loads(ask_socket(slow, "grants").removeprefix("ok "))
    assert told["read"] == ["Vehicle.Speed"] and told["rates"] == {"Vehicle.Speed": 5}
    none = containers(guarded, ALL, hook_words=[])
    told = json.loads(ask_socket(none, "grants").removeprefix("ok "))
    assert (told["read"], told["actuate"], told["publish"], told["rates"]) == ([], [], [], {})


def test_grants_of_the_host(guarded):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(guarded.socket)
        client.sendall(b"grants\n")
        told = json.loads(client.makefile().readline().removeprefix("ok "))
    assert told["view"] is False and told["uid"] == 0
    assert told["read"] == told["publish"] == ["Vehicle.**"] and told["actuate"] == ["Vehicle.**"]
