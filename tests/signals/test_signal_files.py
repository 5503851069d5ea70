"""Signals as files: each sentence of what they promise, with the real kernel."""
import errno
import fcntl
import json
import os
import select
import shutil
import subprocess
import threading
import time

import pytest

from axsignald import wait_for

SPEED = "Vehicle/Speed"
AMBIENT = "Vehicle/Cabin/HVAC/AmbientAirTemperature"
FAN = "Vehicle/Cabin/HVAC/FanSpeed"


def error_of(call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    return caught.value.errno


def open_file(signals, path, flags):
    return os.open(signals.files / path, flags)


@pytest.fixture
def opened(signals):
    """opened(PATH, FLAGS): a descriptor that is closed at the end."""
    fds = []

    def opener(path, flags=os.O_RDONLY):
        fds.append(os.open(signals.files / path, flags))
        return fds[-1]

    yield opener
    for fd in fds:
        os.close(fd)


# ---- value files ----

def test_value_is_one_line_then_end_of_file(signals, opened):
    signals.write(SPEED, "88.50\n")
    fd = opened(SPEED)
    assert os.read(fd, 4096) == b"88.5\n"
    assert os.read(fd, 4096) == b""


def test_value_is_a_snapshot_that_later_offsets_continue(signals, opened):
    signals.write(SPEED, "12.5")
    fd = opened(SPEED)
    assert os.read(fd, 1) == b"1"
    signals.write(SPEED, "99")
    assert [os.read(fd, 1) for _ in range(5)] == [b"2", b".", b"5", b"\n", b""]
    assert os.pread(fd, 100, 0) == b"99\n"


def test_no_value_is_enodata_and_does_not_block(signals, opened):
    fd = opened(SPEED)
    assert error_of(os.read, fd, 10) == errno.ENODATA


def test_size_and_times(signals):
    before = time.time()
    signals.write(SPEED, "1")
    status = os.stat(signals.files / SPEED)
    assert status.st_size == 4096
    assert before - 0.1 <= status.st_mtime <= time.time() + 0.1
    assert oct(status.st_mode) == "0o100644"


def test_value_is_always_readable_and_priority_says_newer(signals, opened):
    signals.write(SPEED, "1")
    fd = opened(SPEED)
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLPRI)
    assert poll.poll(0) == [(fd, select.POLLIN | select.POLLPRI | select.POLLERR)]
    os.read(fd, 100)
    assert poll.poll(0) == [(fd, select.POLLIN)]
    signals.write(SPEED, "2")
    assert poll.poll(1000) == [(fd, select.POLLIN | select.POLLPRI | select.POLLERR)]
    assert os.pread(fd, 100, 0) == b"2\n"
    assert poll.poll(0) == [(fd, select.POLLIN)]


@pytest.mark.parametrize("kind", ["poll", "select", "epoll"])
def test_waiting_for_a_newer_value(signals, opened, kind):
    signals.write(SPEED, "1")
    fd = opened(SPEED)
    os.read(fd, 100)
    threading.Timer(0.1, signals.write, (SPEED, "2")).start()
    begin = time.monotonic()
    if kind == "poll":
        poll = select.poll()
        poll.register(fd, select.POLLPRI)
        assert poll.poll(5000)
    elif kind == "select":
        assert select.select([], [], [fd], 5)[2] == [fd]
    else:
        with select.epoll() as epoll:
            epoll.register(fd, select.EPOLLPRI)
            assert epoll.poll(5)
    assert 0.05 < time.monotonic() - begin < 3
    assert os.pread(fd, 100, 0) == b"2\n"


# ---- streams ----

def test_nonblocking_open_is_a_stream(signals, opened):
    signals.write(AMBIENT, "21")
    fd = opened(AMBIENT, os.O_RDONLY | os.O_NONBLOCK)
    assert select.select([fd], [], [], 0)[0] == [fd]
    assert os.read(fd, 100) == b"21\n"  # the current value first
    assert error_of(os.read, fd, 100) == errno.EAGAIN
    assert select.select([fd], [], [], 0)[0] == []
    signals.write(AMBIENT, "22")
    signals.write(AMBIENT, "22")  # no change
    signals.write(AMBIENT, "23")
    assert select.select([fd], [], [], 1)[0] == [fd]
    assert os.read(fd, 1) == b"2"  # a short read continues its line
    assert os.read(fd, 100) == b"2\n"
    assert os.read(fd, 100) == b"23\n"
    assert error_of(os.read, fd, 100) == errno.EAGAIN


def test_stream_without_a_value_waits(signals, opened):
    fd = opened(AMBIENT, os.O_RDONLY | os.O_NONBLOCK)
    assert error_of(os.read, fd, 100) == errno.EAGAIN


def test_select_then_read_as_in_the_guide(signals, opened):
    fd = opened(AMBIENT, os.O_RDONLY | os.O_NONBLOCK)
    threading.Timer(0.1, signals.write, (AMBIENT, "23.5")).start()
    assert select.select([fd], [], [], 5)[0] == [fd]
    assert os.read(fd, 64) == b"23.5\n"


def test_epoll_edge_triggered_stream(signals, opened):
    fd = opened(AMBIENT, os.O_RDONLY | os.O_NONBLOCK)
    with select.epoll() as epoll:
        epoll.register(fd, select.EPOLLIN | select.EPOLLET)
        for value in range(20):
            signals.write(AMBIENT, str(value))
            assert epoll.poll(5) == [(fd, select.EPOLLIN)]
            assert os.read(fd, 64) == b"%d\n" % value


def test_flags_set_later_by_fcntl_mean_nothing(signals, opened):
    """Go does so on every file."""
    fd = opened(SPEED)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK)
    signals.write(SPEED, "3")
    assert os.read(fd, 100) == b"3\n"
    assert os.read(fd, 100) == b""


def test_blocking_stream_waits_for_the_next_line(signals, opened):
    signals.write(SPEED, "1")
    fd = opened(SPEED + "@follow")
    assert os.read(fd, 100) == b"1\n"
    threading.Timer(0.1, signals.write, (SPEED, "2")).start()
    assert os.read(fd, 100) == b"2\n"


def test_unavailable_is_an_empty_line(signals, opened):
    provider = os.open(signals.files / (SPEED + "@provide"), os.O_WRONLY)
    os.write(provider, b"5")
    fd = opened(SPEED, os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(fd, 100) == b"5\n"
    os.close(provider)
    wait_for("the empty line", lambda: select.select([fd], [], [], 0)[0])
    assert os.read(fd, 100) == b"\n"


def test_a_live_view_dies_with_ctrl_c(signals):
    signals.write(SPEED, "7")
    cat = subprocess.Popen(["cat", signals.files / (SPEED + "@follow")], stdout=subprocess.PIPE)
    assert cat.stdout.readline() == b"7\n"
    time.sleep(0.05)
    cat.send_signal(2)
    assert cat.wait(2) == -2


def test_a_parked_reader_can_be_killed_stopped_and_continued(signals):
    cats = [subprocess.Popen(["cat", signals.files / (SPEED + "@follow")], stdout=subprocess.PIPE) for _ in range(2)]
    time.sleep(0.1)
    cats[0].send_signal(9)
    assert cats[0].wait(2) == -9
    cats[1].send_signal(19)
    time.sleep(0.05)
    signals.write(SPEED, "1")
    assert signals.read(SPEED) == "1\n"  # nobody else notices the stopped one
    cats[1].send_signal(18)
    cats[1].send_signal(15)
    assert cats[1].wait(2) == -15


def test_two_readers_of_one_descriptor(signals, opened):
    fd = opened(SPEED + "@follow")
    got = []
    threads = [threading.Thread(target=lambda: got.append(os.read(fd, 100))) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    signals.write(SPEED, "1")
    signals.write(SPEED, "2")
    for thread in threads:
        thread.join(5)
    assert sorted(got) == [b"1\n", b"2\n"]


# ---- filters ----

@pytest.mark.parametrize("name, published, seen", [
    ("change=0.5", ["1", "1.2", "1.5", "1.6", "3"], "1 1.5 3"),
    ("above=2", ["1", "2", "3", "4", "1"], "3 4"),
    ("below=2", ["3", "1", "2", "0"], "1 0"),
    ("inside=1:2", ["0", "1", "2", "3"], "1 2"),
    ("outside=1:2", ["0", "1", "2", "3"], "0 3"),
    ("all", ["1", "1", "2"], "1 1 2"),
    ("follow", ["1", "1", "2"], "1 2"),
    ("all,above=1", ["1", "2", "2"], "2 2"),
])
def test_filters(signals, opened, name, published, seen):
    fd = opened(f"{SPEED}@{name}", os.O_RDONLY | os.O_NONBLOCK)
    for value in published:
        signals.write(SPEED, value)
    lines = []
    while select.select([fd], [], [], 0.05)[0]:
        lines.append(os.read(fd, 100).decode().strip())
    assert " ".join(lines) == seen


def test_rate_gives_the_newest_when_its_time_has_come(signals, opened):
    fd = opened(SPEED + "@rate=10", os.O_RDONLY | os.O_NONBLOCK)
    begin = time.monotonic()
    for value in range(1, 31):
        signals.write(SPEED, str(value))
    assert os.read(fd, 100) == b"1\n"
    assert select.select([fd], [], [], 2)[0] == [fd]
    assert 0.05 < time.monotonic() - begin < 1
    assert os.read(fd, 100) == b"30\n"
    assert select.select([fd], [], [], 0.3)[0] == []


def test_names_with_filters_share_owner_and_mode_and_are_not_listed(signals, opened):
    opened(SPEED + "@change=0.5,rate=10")
    first = os.stat(signals.files / (SPEED + "@rate=10,change=0.5"))
    second = os.stat(signals.files / (SPEED + "@change=0.50,rate=10"))
    assert (first.st_ino, first.st_mode, first.st_uid) == (second.st_ino, 0o100644, 0)  # one spelling behind all
    assert not [name for name in os.listdir(signals.files / "Vehicle") if "@" in name]


@pytest.mark.parametrize("name", ["", "rate", "rate=0", "rate=x", "change=-1", "nosuch", "follow,follow", "above=1,below=2",
                                  "inside=2:1", "rate=1;ls", "rate=" + "9" * 200])
def test_names_that_are_no_filter_do_not_exist(signals, name):
    assert error_of(os.stat, signals.files / f"{SPEED}@{name}") in (errno.ENOENT, errno.ENAMETOOLONG)
    assert error_of(os.stat, signals.files / "Vehicle/IsMoving@above=1") == errno.ENOENT  # not a number


def test_names_are_bounded_and_come_back(signals):
    refused = 0
    for i in range(3000):
        try:
            os.stat(signals.files / f"{SPEED}@above={i}")
        except OSError as error:
            assert error.errno == errno.ENFILE
            refused += 1
    assert refused > 0
    wait_for("names are free again", lambda: _exists(signals.files / f"{SPEED}@above=12345"), 10)


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


# ---- meta, state, group ----

def test_meta(signals):
    meta = json.loads(signals.read(SPEED + "@meta"))
    assert meta["type"] == "sensor" and meta["datatype"] == "float" and meta["unit"] == "km/h"
    assert meta["min"] == 0 and meta["max"] == 400 and meta["description"]
    assert json.loads(signals.read("Vehicle/Cabin@meta"))["type"] == "branch"
    assert json.loads(signals.read("Vehicle/Body/Windshield/WiperMode@meta"))["allowed"] == ["OFF", "INTERVAL", "SLOW", "FAST"]


def test_state(signals):
    state = json.loads(signals.read(SPEED + "@state"))
    assert (state["value"], state["quality"], state["reason"]) == (None, "unavailable", "never-set")
    signals.write(SPEED, "50")
    state = json.loads(signals.read(SPEED + "@state"))
    assert (state["value"], state["quality"], state["sequence"], state["publisher"]) == (50, "good", 1, "uid:0")
    assert abs(state["receive_time"] - time.time()) < 5
    assert error_of(open_file, signals, SPEED + "@state", os.O_WRONLY) == errno.EACCES


def test_group_is_all_or_nothing(signals):
    signals.write("Vehicle/Cabin@group", '{"DoorCount": 5, "HVAC.AmbientAirTemperature": 20}')
    assert signals.read(AMBIENT) == "20\n"
    assert error_of(signals.write, "Vehicle/Cabin@group", '{"DoorCount": 2, "HVAC/AmbientAirTemperature": 2000}') == errno.ERANGE
    assert error_of(signals.write, "Vehicle/Cabin@group", '{"DoorCount": 2, "Nope": 1}') == errno.ENOENT
    assert error_of(signals.write, "Vehicle/Cabin@group", '{"DoorCount": 2, "DoorCount": 3}') == errno.EINVAL
    assert error_of(signals.write, "Vehicle/Cabin@group", '{"DoorCount": 2, "HVAC.FanSpeed": 3}') == errno.ENXIO
    assert error_of(signals.write, "Vehicle/Cabin@group", "[1]") == errno.EINVAL
    cabin = json.loads(signals.read("Vehicle/Cabin@group"))
    assert (cabin["DoorCount"], cabin["SeatPosCount"], cabin["HVAC.FanSpeed"]) == (5, [2, 3], None)


def test_group_is_seen_together(signals):
    stop = threading.Event()
    torn = []

    def look():
        while not stop.is_set():
            cabin = json.loads(signals.read("Vehicle/CurrentLocation@group"))
            if cabin["Latitude"] != cabin["Longitude"]:
                torn.append(cabin)

    thread = threading.Thread(target=look)
    signals.write("Vehicle/CurrentLocation@group", '{"Latitude": 0, "Longitude": 0}')
    thread.start()
    for i in range(300):
        signals.write("Vehicle/CurrentLocation@group", json.dumps({"Latitude": i % 90, "Longitude": i % 90}))
    stop.set()
    thread.join()
    assert not torn


# ---- writing ----

@pytest.mark.parametrize("path, value, code", [
    (SPEED, "fast", errno.EINVAL),
    (SPEED, "1 2", errno.EINVAL),
    (SPEED, "1\n2\n", errno.EINVAL),
    (SPEED, "\n", errno.EINVAL),
    (SPEED, "1\0", errno.EINVAL),
    (SPEED, "nan", errno.EINVAL),
    (SPEED, "-1", errno.ERANGE),
    (SPEED, "401", errno.ERANGE),
    (SPEED, "1e99", errno.ERANGE),
    (SPEED, "1" * 20000, errno.EMSGSIZE),
    ("Vehicle/Cabin/DoorCount", "256", errno.ERANGE),
    ("Vehicle/Cabin/DoorCount", "1.5", errno.EINVAL),
    ("Vehicle/VehicleIdentification/VIN", "no vin", errno.ERANGE),
    ("Vehicle/Cabin/SeatPosCount", "2,3", errno.EINVAL),
    (FAN, "50", errno.ENXIO),
    (FAN, "101", errno.ERANGE),
])
def test_refused_writes(signals, path, value, code):
    assert error_of(signals.write, path, value) == code


def test_a_megabyte_is_refused_and_nobody_notices(signals):
    assert error_of(signals.write, SPEED, "1" * (1 << 20)) == errno.EMSGSIZE
    signals.write(SPEED, "1")
    assert signals.read(SPEED) == "1\n"


def test_names_that_are_not_there(signals):
    path = signals.files / "Vehicle/Nope"
    assert error_of(os.open, path, os.O_RDONLY) == errno.ENOENT
    assert error_of(os.open, path, os.O_WRONLY) == errno.ENOENT
    assert error_of(os.open, path, os.O_WRONLY | os.O_CREAT, 0o644) == errno.EACCES
    assert error_of(os.mkdir, path) == errno.EACCES
    assert error_of(os.unlink, signals.files / SPEED) == errno.EACCES
    assert error_of(os.rename, signals.files / SPEED, path) == errno.EACCES
    assert error_of(os.symlink, "x", path) == errno.EACCES
    assert error_of(os.chmod, signals.files / SPEED, 0o666) == errno.EPERM


def test_truncating_and_syncing_do_nothing(signals):
    signals.write(SPEED, "5")
    with open(signals.files / SPEED, "w") as file:  # O_TRUNC
        assert signals.read(SPEED) == "5\n"
        file.write("6\n")
        file.flush()
        os.fsync(file.fileno())
    os.truncate(signals.files / SPEED, 0)
    os.utime(signals.files / SPEED)
    with open(signals.files / SPEED, "a") as file:
        file.write("7")
    assert signals.read(SPEED) == "7\n"


def test_nonblock_on_a_writer_has_no_effect(signals, opened):
    fd = opened(SPEED, os.O_WRONLY | os.O_NONBLOCK)
    assert os.write(fd, b"5") == 1
    assert os.write(fd, b"6\n") == 2  # one write, one value, wherever the position is
    assert signals.read(SPEED) == "6\n"


@pytest.mark.parametrize("path, value, shown", [
    ("Vehicle/IsMoving", "1", "true\n"),
    ("Vehicle/Cabin/SeatPosCount", "[2, 3, 2]", "[2,3,2]\n"),
    ("Vehicle/Cabin/Infotainment/Media/Title", "two words", "two words\n"),
    ("Vehicle/Cabin/Infotainment/Media/Title", '""', '""\n'),
    ("Vehicle/Powertrain/TractionBattery/CellTemperatures", "[20.50, 21]", "[20.5,21]\n"),
    ("Vehicle/CurrentLocation/Latitude", "48.137154", "48.137154\n"),
])
def test_all_datatypes_in_and_out(signals, path, value, shown):
    signals.write(path, value)
    assert signals.read(path) == shown


def test_an_attribute_starts_with_its_default(signals):
    assert signals.read("Vehicle/Cabin/DoorCount") == "4\n"
    assert json.loads(signals.read("Vehicle/Cabin/DoorCount@state"))["reason"] == "default"


# ---- providing ----

def test_providing_is_exclusive_and_closing_releases(signals):
    fd = os.open(signals.files / (SPEED + "@provide"), os.O_WRONLY)
    assert error_of(open_file, signals, SPEED + "@provide", os.O_WRONLY) == errno.EBUSY
    assert error_of(open_file, signals, SPEED + "@provide", os.O_RDONLY) == errno.EACCES
    os.write(fd, b"5\n")
    assert signals.read(SPEED) == "5\n"
    assert error_of(signals.write, SPEED, "6") == errno.EBUSY
    os.write(fd, b"\n")  # withdrawn
    assert error_of(signals.read, SPEED) == errno.ENODATA
    assert json.loads(signals.read(SPEED + "@state"))["reason"] == "withdrawn"
    os.write(fd, b"5\n")
    os.close(fd)
    wait_for("it is released", lambda: json.loads(signals.read(SPEED + "@state")).get("reason") == "provider-gone")
    os.close(os.open(signals.files / (SPEED + "@provide"), os.O_WRONLY))


def test_requests_are_read_and_answered(signals, opened):
    provider = opened(FAN + "@provide", os.O_RDWR)
    signals.write(FAN, "40\n")  # returns once it is queued
    number, value, deadline = os.read(provider, 200).decode().split("\t")
    assert value == "40" and 0 < float(deadline) - time.time() < 10
    assert error_of(signals.read, FAN) == errno.ENODATA  # a target is no value
    assert json.loads(signals.read(FAN + "@state"))["target"]["outcome"] == "open"
    os.write(provider, f"ok {number}\n".encode())
    target = json.loads(signals.read(FAN + "@state"))["target"]
    assert (target["value"], target["outcome"], target["requester"]) == (40, "ok", "uid:0")
    os.write(provider, b"40")
    assert signals.read(FAN) == "40\n"

    signals.write(FAN, "50")
    number = os.read(provider, 200).decode().split("\t")[0]
    os.write(provider, f"error {number} it is stuck\n".encode())
    target = json.loads(signals.read(FAN + "@state"))["target"]
    assert (target["outcome"], target["error"]) == ("failed", "it is stuck")
    assert error_of(os.write, provider, f"ok {number}\n".encode()) == errno.ENOENT


def test_requests_wait_in_a_queue_that_has_an_end(signals, opened):
    provider = opened(FAN + "@provide", os.O_RDWR | os.O_NONBLOCK)
    assert error_of(os.read, provider, 100) == errno.EAGAIN
    assert select.select([provider], [], [], 0)[0] == []
    count = 0
    with pytest.raises(OSError) as caught:
        while count < 100000:
            signals.write(FAN, str(count % 100))
            count += 1
    assert caught.value.errno == errno.EAGAIN and count >= 10
    assert select.select([provider], [], [], 0)[0] == [provider]
    for i in range(count):
        assert os.read(provider, 200).decode().split("\t")[1] == str(i % 100)
    assert error_of(os.read, provider, 100) == errno.EAGAIN


def test_without_a_provider_nothing_is_applied_later(signals, opened):
    assert error_of(signals.write, FAN, "50") == errno.ENXIO
    provider = opened(FAN + "@provide", os.O_RDWR | os.O_NONBLOCK)
    assert error_of(os.read, provider, 100) == errno.EAGAIN


def test_a_provider_in_shell(signals):
    script = f"""exec 3<>{signals.files}/{FAN}@provide
        echo ready
        read -r id value deadline <&3
        echo "$value" >&3
        echo "ok $id" >&3
        echo done
        read -r never"""
    for shell in (["dash", "-c"], ["bash", "-c"], ["busybox", "sh", "-c"]):
        process = subprocess.Popen([*shell, script], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
        assert process.stdout.readline() == b"ready\n"
        signals.write(FAN, "33")
        assert process.stdout.readline() == b"done\n"
        assert signals.read(FAN) == "33\n"
        assert json.loads(signals.read(FAN + "@state"))["target"]["outcome"] == "ok"
        process.stdin.close()
        process.wait(5)
        wait_for("it is released", lambda: json.loads(signals.read(FAN + "@state"))["quality"] == "unavailable")


# ---- freshness ----

def test_values_time_out_and_wake_their_readers(make_signals):
    signals = make_signals(config='[[rule]]\npath = "Vehicle.Speed"\nmax_age_ms = 200\n').start()
    fd = os.open(signals.files / SPEED, os.O_RDONLY | os.O_NONBLOCK)
    signals.write(SPEED, "5")
    assert os.read(fd, 100) == b"5\n"
    begin = time.monotonic()
    assert select.select([fd], [], [], 5)[0] == [fd]
    assert 0.1 < time.monotonic() - begin < 1
    assert os.read(fd, 100) == b"\n"
    os.close(fd)
    assert error_of(signals.read, SPEED) == errno.ENODATA
    assert json.loads(signals.read(SPEED + "@state"))["reason"] == "timeout"
    signals.write(SPEED, "6")
    assert signals.read(SPEED) == "6\n"


def test_requests_time_out(make_signals):
    signals = make_signals(config='[[rule]]\npath = "Vehicle.**"\ndeadline_ms = 100\n').start()
    fd = os.open(signals.files / (FAN + "@provide"), os.O_RDWR)
    signals.write(FAN, "5")
    wait_for("the outcome", lambda: json.loads(signals.read(FAN + "@state"))["target"]["outcome"] == "timeout")
    os.close(fd)


# ---- slow, greedy and hostile readers ----

def test_a_slow_reader_loses_only_its_own_and_is_told(signals, opened):
    slow = opened(SPEED, os.O_RDONLY | os.O_NONBLOCK)
    fast = opened(SPEED, os.O_RDONLY | os.O_NONBLOCK)
    for i in range(3000):
        signals.write(SPEED, str(i % 400))
        assert os.read(fast, 100) == b"%d\n" % (i % 400)
    lines = []
    while select.select([slow], [], [], 0)[0]:
        lines.append(os.read(slow, 100))
    assert lines[-1] == b"%d\n" % (2999 % 400)  # the newest is there
    assert json.loads(signals.read(SPEED + "@state"))["lost"] == 3000 - len(lines)


def test_ten_thousand_open_files(signals):
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10000, hard - 100)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    fds = []
    try:
        for _ in range(count):
            fds.append(os.open(signals.files / SPEED, os.O_RDONLY | os.O_NONBLOCK))
        signals.write(SPEED, "1")
        assert all(os.read(fd, 10) == b"1\n" for fd in fds[::97])
        assert signals.read(SPEED) == "1\n"
    finally:
        for fd in fds:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert count >= 1000


def test_mmap_and_ioctl(signals, opened):
    import mmap
    signals.write(SPEED, "1")
    fd = opened(SPEED, os.O_RDWR)
    assert error_of(lambda: mmap.mmap(fd, 4096)) == errno.ENODEV  # shared
    assert error_of(lambda: fcntl.ioctl(fd, 0x5401, b"\0" * 64)) == errno.ENOTTY


# ---- as written ----

SHELLS = [["dash", "-c"], ["bash", "-c"], ["busybox", "sh", "-c"]]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_read_of_shells(signals, shell):
    signals.write(SPEED, "61.5")
    result = subprocess.run([*shell, f'read -r value < {signals.files}/{SPEED} && echo "got $value"'], capture_output=True,
                            text=True, check=True)
    assert result.stdout == "got 61.5\n"


@pytest.mark.parametrize("command", [
    "cat {}", "dd if={} bs=1 status=none", "dd if={} bs=4096 count=1 status=none", "tail -n1 {}", "head -n1 {}", "busybox cat {}",
    "busybox tail -n1 {}", "grep -h . {}", "sed -n p {}", "awk 1 {}", "cp {} /dev/stdout",
    "python3 -c 'print(open(\"{}\").read(),end=\"\")'",
    "busybox dd if={} bs=1 2>/dev/null", "tar -cf - -C / {} | tar -xOf - 2>/dev/null | tr -d '\\000'",
])
def test_tools(signals, command):
    signals.write(SPEED, "61.5")
    path = f"{signals.files}/{SPEED}"
    if command.startswith("tar"):
        path = path.lstrip("/")
    result = subprocess.run(["bash", "-c", command.replace("{}", path)], capture_output=True, text=True, check=True, timeout=10)
    assert result.stdout == "61.5\n"


@pytest.mark.parametrize("command", ["echo 77 > {}", "printf 77 | dd of={} status=none", "echo 77 | tee {}", "busybox echo 77 > {}",
                                     "python3 -c 'open(\"{}\", \"w\").write(\"77\\n\")'"])
def test_tools_that_write(signals, command):
    subprocess.run(["bash", "-c", command.replace("{}", f"{signals.files}/{SPEED}")], check=True, capture_output=True, timeout=10)
    assert signals.read(SPEED) == "77\n"


def test_grep_over_the_whole_tree_ends(make_signals, official):
    signals = make_signals([official]).start()
    signals.write(SPEED, "61.5")
    result = subprocess.run(["grep", "-r", "61.5", signals.files], capture_output=True, text=True, timeout=30)
    assert result.stdout.strip() == f"{signals.files}/{SPEED}:61.5"


GO = """package main

import ("fmt"; "os"; "strings")

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil { panic(err) }
	if err := os.WriteFile(os.Args[1], []byte("12.5\\n"), 0644); err != nil { panic(err) }
	again, err := os.ReadFile(os.Args[1])
	if err != nil { panic(err) }
	stream, err := os.Open(os.Args[1] + "@follow")
	if err != nil { panic(err) }
	line := make([]byte, 64)
	n, err := stream.Read(line)
	if err != nil { panic(err) }
	fmt.Print(strings.TrimSpace(string(text)), " ", strings.TrimSpace(string(again)), " ", string(line[:n]))
}
"""


GO_COMPILERS = [name for name in ("go", "gccgo-12") if shutil.which(name)] or ["gccgo-12"]


@pytest.mark.parametrize("compiler", GO_COMPILERS)
def test_go(signals, folder, compiler):
    """gccgo, a tenth of the size, is what `make deps` brings; both put O_NONBLOCK on every file and hand it to epoll."""
    (folder / "main.go").write_text(GO)
    environment = dict(os.environ, GOCACHE=str(folder / "cache"), GOPATH=str(folder / "gopath"), HOME=str(folder),
                       GO111MODULE="off")
    words = ["go", "build"] if compiler == "go" else [compiler]
    subprocess.run([*words, "-o", folder / "program", folder / "main.go"], check=True, env=environment, timeout=300)
    signals.write(SPEED, "99")
    result = subprocess.run([folder / "program", signals.files / SPEED], capture_output=True, text=True, timeout=20)
    assert result.stdout == "99 12.5 12.5\n", result.stderr
