"""Sentences of what the signal service promises that no other file here proves: datatypes, the paths as the guide writes them, states,
audits, containers that try their luck."""
import ctypes
import errno
import fcntl
import json
import mmap
import os
import pathlib
import select
import socket
import stat
import subprocess
import threading
import time

import pytest

from axsignald import vss, wait_for
from view_container import ALL, Container

SPEED = "Vehicle/Speed"
AMBIENT = "Vehicle/Cabin/HVAC/AmbientAirTemperature"
FAN = "Vehicle/Cabin/HVAC/FanSpeed"


def error_of(call, *arguments):
    with pytest.raises(OSError) as caught:
        call(*arguments)
    return caught.value.errno


def ask(signals, *lines):
    """Says lines on the socket; the answers."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(signals.socket)
        client.sendall("".join(line + "\n" for line in lines).encode())
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b"")).decode().splitlines()


# ---- catalogue ----

WHOLE = {f"{'' if signed else 'U'}Int{bits}": (f"{'' if signed else 'u'}int{bits}",
                                                -(1 << bits - 1) if signed else 0, (1 << bits - signed) - 1)
         for bits in (8, 16, 32, 64) for signed in (True, False)}
OTHERS = {"Flag": "boolean", "Single": "float", "Double": "double", "Text": "string", "Flags": "boolean[]", "Singles": "float[]",
          "Doubles": "double[]", "Texts": "string[]", "Point": "Types.Point", "Points": "Types.Point[]", "Box": "Types.Box"}


def leaf(datatype, **more):
    return {"type": "sensor", "datatype": datatype, "description": "of a test", **more}


def branch(**children):
    return {"type": "branch", "description": "of a test", "children": children}


def prop(datatype):
    return {"type": "property", "datatype": datatype, "description": "of a test"}


STRUCTS = {"Types": branch(
    Point={"type": "struct", "description": "two numbers", "children": {"X": prop("int16"), "Y": prop("double")}},
    Box={"type": "struct", "description": "structs within a struct",
         "children": {"Corner": prop("Types.Point"), "Others": prop("Types.Point[]"), "Name": prop("string")}})}


@pytest.fixture
def typed(make_signals, folder):
    leaves = {name: leaf(datatype) for name, (datatype, _, _) in WHOLE.items()}
    leaves |= {name + "s": leaf(datatype + "[]") for name, (datatype, _, _) in WHOLE.items()}
    leaves |= {name: leaf(datatype) for name, datatype in OTHERS.items()}
    leaves["Pair"] = leaf("uint8[]", arraysize=2)
    path = folder / "types.json"
    path.write_text(json.dumps({"V": branch(**leaves), "ComplexDataTypes": STRUCTS}))
    return make_signals([path]).start()


def test_whole_numbers_of_all_widths(typed):
    for name, (_, low, high) in WHOLE.items():
        for value in (low, 0, high):
            typed.write(f"V/{name}", str(value))
            assert typed.read(f"V/{name}") == f"{value}\n"
            typed.write(f"V/{name}s", f"[{value}, 1]")
            assert typed.read(f"V/{name}s") == f"[{value},1]\n"
        assert error_of(typed.write, f"V/{name}", str(low - 1)) == errno.ERANGE
        assert error_of(typed.write, f"V/{name}", str(high + 1)) == errno.ERANGE
        assert error_of(typed.write, f"V/{name}s", f"[0, {high + 1}]") == errno.ERANGE
        assert error_of(typed.write, f"V/{name}", "0.5") == errno.EINVAL
        assert error_of(typed.write, f"V/{name}", "true") == errno.EINVAL
        assert typed.read(f"V/{name}") == f"{high}\n"


VALUES = [
    ("Flag", "false", "false"), ("Flag", "0", "false"), ("Flags", "[true,false]", "[true,false]"),
    ("Single", "0.1", "0.1"), ("Single", "16777217", "16777216"), ("Double", "0.1", "0.1"), ("Double", "1e300", "1e+300"),
    ("Double", "16777217", "16777217"), ("Singles", "[1.50]", "[1.5]"), ("Doubles", "[]", "[]"),
    ("Text", "äöü \"x\"", "äöü \"x\""), ("Text", '"a\\nb"', '"a\\u000ab"'), ("Texts", '["a", "b c"]', '["a","b c"]'),
    ("Point", '{"Y": 0.5, "X": 3}', '{"X":3,"Y":0.5}'), ("Points", '[{"X":1,"Y":2},{"X":3,"Y":4}]', '[{"X":1,"Y":2},{"X":3,"Y":4}]'),
    ("Box", '{"Name": "n", "Others": [], "Corner": {"X": 1, "Y": 2}}', '{"Corner":{"X":1,"Y":2},"Others":[],"Name":"n"}'),
    ("Pair", "[1,2]", "[1,2]"),
]


def test_other_datatypes(typed):
    for name, value, shown in VALUES:
        typed.write(f"V/{name}", value)
        assert typed.read(f"V/{name}") == shown + "\n"
        assert json.loads(typed.read("V@group"))[name] is not None


NO_VALUES = [
    ("Flag", "yes"), ("Flags", "[1,2]"), ("Single", "inf"), ("Double", "\n"), ("Texts", "a,b"), ("Points", "[1]"), ("Pair", "[1]"),
    ("Point", '{"X": 3}'), ("Point", '{"X": 3, "Y": 1, "Z": 1}'), ("Point", '{"X": 3, "X": 3, "Y": 1}'), ("Text", "\xff\0"),
    ("Box", '{"Name": "n", "Others": [{"X": 1}], "Corner": {"X": 1, "Y": 2}}'),
]


def test_what_is_no_value_of_its_type(typed):
    for name, value in NO_VALUES:
        assert error_of(typed.write, f"V/{name}", value) in (errno.EINVAL, errno.ERANGE), (name, value)


def test_deprecation_is_told(make_signals, folder):
    path = folder / "old.json"
    path.write_text(json.dumps({"V": branch(Old=leaf("uint8", deprecation="since 5.0, use V.New", unit="km"), New=leaf("uint8"))}))
    signals = make_signals([path]).start()
    meta = json.loads(signals.read("V/Old@meta"))
    assert meta["deprecation"] == "since 5.0, use V.New" and meta["unit"] == "km"
    assert "deprecation" not in json.loads(signals.read("V/New@meta"))
    signals.write("V/Old", "5")  # it works on
    assert signals.read("V/Old") == "5\n"


def test_the_official_export_is_step_one_of_the_guide(stage, make_signals, official, folder):
    guide = (pathlib.Path(__file__).parents[2] / "docs/signals-guide.md").read_text()
    first = guide[guide.index("## "):]
    assert "axle signal catalogue install" in first[:first.index("## ", 3)]
    subprocess.run([stage.program("axle"), "signal", "catalogue", "install", official, "--to", folder / "signals"], check=True,
                   capture_output=True)
    signals = make_signals([folder / "signals" / os.path.basename(official)]).start()
    signals.write("Vehicle/Speed", "50")
    assert signals.read("Vehicle/Speed") == "50\n"


@pytest.mark.parametrize("name", ["vss_release_4.0.json", "vss_release_5.1.json", "vss_release_6.0.json"])
def test_each_official_export_is_served(make_signals, name):
    path = vss(name)
    if not path:
        pytest.skip("the official VSS exports are not here ($AXLE_VSS)")
    signals = make_signals([path]).start()
    for one in (SPEED, "Vehicle/ADAS/ABS/IsEnabled", AMBIENT):
        assert json.loads(signals.read(one + "@meta"))["datatype"]
    signals.write(AMBIENT, "21.5")
    assert signals.read(AMBIENT) == "21.5\n"


def test_check_reads_overlays_and_policy_too(stage, demo, folder):
    overlay = folder / "overlay.json"
    command = [stage.program("axsignald"), "--catalogue", demo, "--catalogue", overlay, "--check"]
    overlay.write_text('{"Vehicle": {"children": {\n"Speed": {"max": 100}}}}')
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (0, "")
    overlay.write_text('{"Vehicle": {"children": {\n\n"Speed": {"datatype": "sometimes"}}}}')
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "overlay.json: line 3: Vehicle.Speed.datatype: expected" in done.stderr


# ---- files: as written, with the path as written ----

C_PROGRAM = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/select.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	(void)argv;
	char buffer[64];
	int fd = open("/dev/signal/Vehicle/Cabin/HVAC/AmbientAirTemperature", O_RDONLY | (argc > 1 ? O_NONBLOCK : 0));
	int out = open("/dev/signal/Vehicle/Speed", O_WRONLY);
	struct timeval tv = {.tv_sec = 20};
	fd_set readfds;
	FD_ZERO(&readfds);
	FD_SET(fd, &readfds);
	puts("waiting");
	fflush(stdout);
	if (select(fd + 1, &readfds, NULL, NULL, &tv) != 1)
		return 1;
	ssize_t n = read(fd, buffer, sizeof buffer);
	if (n <= 0 || write(out, "33.5", 4) != 4 || close(out) != 0 || close(fd) != 0)
		return 2;
	printf("%.*s", (int)n, buffer);
	return 0;
}
"""


@pytest.mark.parametrize("words", [[], ["nonblock"]], ids=["blocking", "O_NONBLOCK"])
def test_open_select_read_write_in_c(signals, folder, words):
    """Below /dev/signal itself: the test run's own /dev."""
    (folder / "main.c").write_text(C_PROGRAM)
    subprocess.run(["cc", "-o", folder / "program", folder / "main.c"], check=True)
    os.mkdir("/dev/signal")
    try:
        subprocess.run(["mount", "--bind", signals.files, "/dev/signal"], check=True)
        try:
            if not words:
                signals.write(AMBIENT, "21.5")  # a value file is always readable
            process = subprocess.Popen([folder / "program", *words], stdout=subprocess.PIPE, text=True)
            assert process.stdout.readline() == "waiting\n"
            if words:
                time.sleep(0.05)
                assert process.poll() is None
                signals.write(AMBIENT, "21.5")
            assert process.communicate(timeout=20)[0] == "21.5\n"
            assert process.returncode == 0
            assert signals.read(SPEED) == "33.5\n"
        finally:
            subprocess.run(["umount", "/dev/signal"], check=True)
    finally:
        os.rmdir("/dev/signal")


def test_the_time_of_a_file_is_when_its_value_came(signals):
    ask(signals, "set Vehicle.Speed 1")
    first = os.stat(signals.files / SPEED).st_mtime_ns
    time.sleep(0.02)
    ask(signals, "set Vehicle.Speed 2")
    second = os.stat(signals.files / SPEED).st_mtime_ns
    assert second > first
    state = json.loads(signals.read(SPEED + "@state"))
    assert abs(second / 1e9 - state["receive_time"]) < 1e-3


def test_state_has_the_time_at_which_it_was_measured(signals):
    ask(signals, "open Vehicle.Speed", "1@1700000000500000000 42")
    state = json.loads(signals.read(SPEED + "@state"))
    assert (state["value"], state["source_time"], state["sequence"]) == (42, 1700000000.5, 1)
    assert state["receive_time"] > 1700000001


def test_a_withdrawn_value_wakes_who_waits_for_a_newer_one(signals):
    provider = os.open(signals.files / (SPEED + "@provide"), os.O_WRONLY)
    os.write(provider, b"5")
    fd = os.open(signals.files / SPEED, os.O_RDONLY)
    os.read(fd, 10)
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    threading.Timer(0.05, os.close, (provider,)).start()
    assert poll.poll(10000) == [(fd, select.POLLPRI | select.POLLERR)]
    assert error_of(os.pread, fd, 10, 0) == errno.ENODATA
    os.close(fd)


def test_one_write_is_one_value_whatever_came_before(signals):
    fd = os.open(signals.files / SPEED, os.O_WRONLY | os.O_TRUNC)
    assert [os.write(fd, text) for text in (b"1", b"2\n", b"3")] == [1, 2, 1]
    assert os.pwrite(fd, b"44", 4000) == 2
    assert os.writev(fd, [b"4", b"5\n"]) == 3  # one call
    assert signals.read(SPEED) == "45\n"
    os.fsync(fd)
    os.fdatasync(fd)
    os.ftruncate(fd, 0)
    assert signals.read(SPEED) == "45\n"
    os.close(fd)


def test_an_actuators_file_is_never_the_writers_word(signals):
    provider = os.open(signals.files / (FAN + "@provide"), os.O_RDWR)
    signals.write(FAN, "40")
    os.write(provider, b"10")
    assert signals.read(FAN) == "10\n"
    assert json.loads(signals.read(FAN + "@state"))["target"]["value"] == 40
    os.close(provider)


def test_filters_work_in_the_multiplexed_file(signals):
    fd = os.open(signals.files / "@stream", os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"sub Vehicle.Speed@above=100\nsub Vehicle.C*.**.Heading\n")
    names = os.read(fd, 65536).decode()
    assert "Vehicle.Speed" in names and "Vehicle.CurrentLocation.Heading" in names
    for value in ("99", "101", "102"):
        signals.write(SPEED, value)
    lines = os.read(fd, 65536).decode().splitlines()
    assert [line.split()[1] for line in lines] == ["101", "102"]
    os.close(fd)


def test_a_slow_reader_of_many_is_told_of_each_that_it_lost(signals):
    fd = os.open(signals.files / "@stream", os.O_RDWR | os.O_NONBLOCK)
    os.write(fd, b"sub Vehicle.Cabin.Infotainment.Media.Title@all\n")
    os.read(fd, 65536)
    for i in range(400):
        signals.write("Vehicle/Cabin/Infotainment/Media/Title", "x" * 8000 + str(i))
    text = b""
    while select.select([fd], [], [], 0.2)[0]:
        text += os.read(fd, 65536)
    lines = text.decode().splitlines()
    lost = sum(int(line.split()[2]) for line in lines if line.startswith("lost "))
    assert lost > 100 and lost + sum(line.startswith("1 ") for line in lines) == 400
    assert json.loads(signals.read("Vehicle/Cabin/Infotainment/Media/Title@state"))["lost"] in (lost, lost + 1)  # the newest is told
    os.close(fd)


def test_recursive_tools_see_the_tree_and_end(make_signals, official):
    """find, du, tar and cp -r over the whole of VSS: what has no value is told, and all end."""
    signals = make_signals([official]).start()
    found = subprocess.run(["find", signals.files, "-type", "f"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert len(found.splitlines()) == 1263
    for command in (["du", "-a"], ["ls", "-lR"], ["busybox", "grep", "-r", "nothing"]):
        done = subprocess.run([*command, str(signals.files)], capture_output=True, text=True, timeout=60)
        assert done.returncode in (0, 1, 2), done.stderr


# ---- the daemon ----

def test_the_host_takes_a_thousand_clients(signals):
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    clients = []
    try:
        for _ in range(min(1000, hard - 200)):
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].connect(signals.socket)
            clients[-1].sendall(b"sub Vehicle.Speed@rate=10,change=1\n")
        assert ask(signals, "set Vehicle.Speed 50") == ["ok"]
        for client in clients[::83]:
            text = b""
            while not text.endswith(b" 50\n"):
                text += client.recv(4096)
    finally:
        for client in clients:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    wait_for("all are gone", lambda: json.loads(signals.read(SPEED + "@state")) and
             json.loads(ask(signals, "who Vehicle.Speed")[0][3:])["watchers"] == 0)


def test_without_descriptors_it_waits_and_comes_back(make_signals, stage):
    """Fewer descriptors than clients: those that are there are served, the others when there is room; no busy loop."""
    signals = make_signals()
    signals.command = lambda command=signals.command: ["prlimit", "--nofile=64:64", *command()]
    signals.start()
    clients = []
    for _ in range(100):
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].connect(signals.socket)
        clients[-1].sendall(b"ping\n")
    assert clients[0].recv(10) == b"ok\n"
    wait_for("it says so", lambda: "line.full" in signals.log.read_text())

    def ticks():
        fields = open(f"/proc/{signals.process.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(0.5)
    assert ticks() - before < 20, "a fifth of a second and more of work while nothing can be done"
    for client in clients[:-1]:
        client.close()
    clients[-1].settimeout(10)
    assert clients[-1].recv(10) == b"ok\n"
    clients[-1].close()


def test_a_stopped_daemon_is_waited_for(signals):
    """SIGSTOP and on again: every call is late, none fails."""
    signals.write(SPEED, "1")
    signals.process.send_signal(19)
    got = []
    thread = threading.Thread(target=lambda: got.append(signals.read(SPEED)))
    thread.start()
    thread.join(0.2)
    assert not got
    signals.process.send_signal(18)
    thread.join(10)
    assert got == ["1\n"]


def test_a_lazy_unmount_lets_readers_finish_and_leaves_nothing(signals):
    signals.write(SPEED, "1")
    cat = subprocess.Popen(["cat", signals.files / (SPEED + "@follow")], stdout=subprocess.PIPE)
    assert cat.stdout.readline() == b"1\n"
    writer = os.open(signals.files / SPEED, os.O_WRONLY)
    subprocess.run(["umount", "-l", signals.files], check=True)
    assert os.listdir(signals.files) == []
    os.write(writer, b"2")
    assert cat.stdout.readline() == b"2\n"  # who was there is served on
    os.close(writer)
    cat.kill()
    assert cat.wait(10) == -9
    cat.stdout.close()
    assert signals.process.wait(10) == 0


@pytest.mark.parametrize("number", [1, 15], ids=["reload", "end"])
def test_readers_that_wait_through_a_reload_or_an_end(signals, number):
    cats = [subprocess.Popen(["cat", signals.files / (SPEED + "@follow")], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for _ in range(3)]
    wait_for("they wait", lambda: json.loads(ask(signals, "who Vehicle.Speed")[0][3:])["watchers"] == 3)
    if number == 1:
        for _ in range(5):
            signals.reload()
        signals.write(SPEED, "9")
        assert all(cat.stdout.readline() == b"9\n" for cat in cats)
        for cat in cats:
            cat.terminate()
    else:
        signals.process.terminate()
        assert signals.process.wait(10) == 0
        assert not os.path.ismount(signals.files)
    assert all(cat.wait(10) in (-15, 1) for cat in cats)
    for cat in cats:
        cat.stdout.close()


def test_force_is_audited_and_seen(make_signals, folder):
    signals = make_signals(config=f'[daemon]\naudit = "{folder}/audit"\n').start()
    signals.write(SPEED, "50")
    assert ask(signals, "force Vehicle.Speed 60000 7") == ["ok"]
    assert signals.read(SPEED) == "7\n"
    state = json.loads(signals.read(SPEED + "@state"))
    assert (state["value"], state["quality"]) == (7, "forced")
    assert ask(signals, "unforce Vehicle.Speed") == ["ok"]
    events = [json.loads(line) for line in (folder / "audit").read_text().splitlines()]
    assert [(event["event"], event["msg"]) for event in events] == [
        ("audit.force", "uid:0 Vehicle.Speed = 7: done"), ("audit.unforce", "uid:0 Vehicle.Speed: done")]


# ---- clients at their worst ----

@pytest.mark.parametrize("end", [9, 19], ids=["dies", "is stopped"])
def test_a_client_that_dies_or_stops_with_everything_open(signals, end):
    """A claim, a parked read, a multiplexed file, an armed poll: nobody else notices, and what died is cleared away."""
    program = (f"import os, select\nroot = {str(signals.files)!r}\n"
               f"fds = [os.open(root + '/{FAN}@provide', os.O_RDWR), os.open(root + '/@stream', os.O_RDWR),"
               f" os.open(root + '/{SPEED}', os.O_RDONLY)]\n"
               "os.write(fds[1], b'sub Vehicle.**\\n')\n"
               "poll = select.poll()\npoll.register(fds[2], select.POLLPRI)\nprint('ready', flush=True)\n"
               f"os.read(os.open(root + '/{SPEED}@follow', os.O_RDONLY), 100)\n")
    client = subprocess.Popen(["/usr/bin/python3", "-c", program], stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"ready\n"
    time.sleep(0.05)
    client.send_signal(end)
    for value in range(200):
        signals.write(SPEED, str(value))
    assert signals.read(SPEED) == "199\n"
    if end == 19:
        signals.write(FAN, "5")  # its queue takes it
        client.kill()
    assert client.wait(10) == -9
    client.stdout.close()
    wait_for("its claim ends", lambda: json.loads(signals.read(FAN + "@state"))["quality"] == "unavailable")
    os.close(os.open(signals.files / (FAN + "@provide"), os.O_RDWR))


def test_garbage_in_every_file_hurts_nobody(signals):
    noise = os.urandom(4096)
    paths = [SPEED, FAN, "Vehicle/Cabin@group", "@stream", SPEED + "@provide"]
    for path in paths:
        fd = os.open(signals.files / path, os.O_RDWR)
        for size in (0, 1, 100, 4096):
            try:
                os.write(fd, noise[:size])
            except OSError as error:
                assert error.errno in (errno.EINVAL, errno.EMSGSIZE, errno.ERANGE, errno.ENXIO, errno.ENOENT, errno.EBUSY), path
        os.close(fd)
    signals.write(SPEED, "1")
    assert signals.read(SPEED) == "1\n"


# ---- a container that tries its luck: through its own mount ----

POLICY = """
[[grant]]
namespace = "fleet"
read = ["Vehicle.Speed", "Vehicle.Cabin.HVAC.*"]
actuate = ["Vehicle.Cabin.HVAC.FanSpeed"]
"""


@pytest.fixture
def guarded(make_signals):
    service = make_signals(config=POLICY).start()
    service.write(SPEED, "88.5")
    return service


@pytest.fixture
def container(stage, folder, tag, guarded):
    one = Container([stage.program("axrun")], folder, tag, guarded, ALL)
    yield one.start()
    one.remove()


def test_a_view_is_no_way_out(guarded, container):
    speed = container.sees(SPEED)
    assert error_of(os.open, speed, os.O_RDWR) == errno.EACCES
    assert error_of(os.open, speed, os.O_WRONLY) == errno.EACCES
    assert error_of(os.open, speed + "@provide", os.O_RDWR) == errno.EACCES
    assert error_of(os.open, container.sees("Vehicle/IsMoving"), os.O_RDONLY) == errno.ENOENT
    assert error_of(os.open, container.sees("Vehicle/New"), os.O_WRONLY | os.O_CREAT) == errno.EACCES
    for call in (lambda: os.mkdir(container.sees("d")), lambda: os.symlink("/", container.sees("l")),
                 lambda: os.mknod(container.sees("n"), 0o666 | stat.S_IFCHR, os.makedev(1, 1)), lambda: os.unlink(speed),
                 lambda: os.link(speed, container.sees("h")), lambda: os.rename(speed, container.sees("r"))):
        assert error_of(call) in (errno.EACCES, errno.EPERM, errno.EXDEV)
    assert error_of(os.setxattr, speed, "user.x", b"1") in (errno.EPERM, errno.EOPNOTSUPP, errno.EACCES)
    fd = os.open(speed, os.O_RDONLY)
    assert error_of(lambda: mmap.mmap(fd, 4096, prot=mmap.PROT_READ)) == errno.ENODEV
    for request in (0x5401, 0x8004e500, 0xC0105826):  # of a terminal, of /dev/fuse (clone), anything
        assert error_of(lambda: fcntl.ioctl(fd, request, b"\0" * 64)) in (errno.ENOTTY, errno.EPERM)
    assert error_of(os.write, fd, b"5") == errno.EBADF
    assert os.pread(fd, 100, 0) == b"88.5\n"
    os.close(fd)
    assert guarded.read(SPEED) == "88.5\n"


def test_a_descriptor_that_is_passed_on_keeps_the_views_rights(guarded, container):
    """To the host's root, by a socket: the connection is the identity, not who reads."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    socket.send_fds(theirs, [b"x"], [os.open(container.sees("@stream"), os.O_RDWR | os.O_NONBLOCK)])
    fd = socket.recv_fds(ours, 1, 1)[1][0]
    os.write(fd, b"sub Vehicle.**\n")
    names = [line.split()[3] for line in os.read(fd, 65536).decode().splitlines() if line.startswith("name")]
    assert "Vehicle.Speed" in names and "Vehicle.IsMoving" not in names
    guarded.config.write_text("")
    guarded.reload()
    wait_for("nothing is left to it", lambda: "gone" in _rest(fd))
    os.close(fd)
    ours.close()
    theirs.close()


def _rest(fd):
    try:
        return os.read(fd, 65536).decode()
    except BlockingIOError:
        return ""
    except OSError as error:
        return "gone" if error.errno == errno.EACCES else ""


def test_a_container_inherits_no_descriptor_of_ours(container):
    """Neither /dev/fuse nor a socket of the service: only what its runtime gave it."""
    links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{container.pid}/fd")]
    assert not [link for link in links if "fuse" in link or "memfd" in link or "signal" in link], links


def test_thousands_of_names_of_a_container_are_its_own_trouble(guarded, container):
    refused = 0
    for i in range(5000):
        try:
            os.stat(container.sees(f"{SPEED}@above={i}"))
        except OSError as error:
            assert error.errno == errno.ENFILE
            refused += 1
    assert refused > 1000
    for i in range(50):  # the host's names are the host's
        os.stat(guarded.files / f"{SPEED}@above={i + 100000}")
    wait_for("they are given back", lambda: _exists(container.sees(SPEED + "@above=77")), 15)


def _exists(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


TRICKS = ["Speed@" + "a" * 120, "Speed@rate=1,rate=2", "Speed@\xff", "Speed@rate=0x10", "Speed@rate=1e400", "Speed@@",
          "Speed@follow@follow", "@Speed", "Speed@meta,follow", "Speed@provide@meta", "Speed@rate=-1",
          "Speed@above=nan", "Speed@inside=1", "Speed@ follow", "Speed@follow "]


def test_tricks_with_names(guarded, container):
    for name in TRICKS:
        for root in (guarded.files / "Vehicle", container.sees("Vehicle")):
            assert error_of(os.stat, os.path.join(root, name)) in (errno.ENOENT, errno.ENAMETOOLONG), name


def test_splice_and_sendfile_are_like_read(signals):
    """splice(2) and sendfile(2) from a value file: the bytes that read(2) gives, or a refusal; never a hang."""
    signals.write(SPEED, "61.5")
    libc = ctypes.CDLL(None, use_errno=True)
    read_end, write_end = os.pipe()
    fd = os.open(signals.files / SPEED, os.O_RDONLY)
    n = libc.splice(fd, None, write_end, None, 100, 0)
    if n < 0:
        assert ctypes.get_errno() in (errno.EINVAL, errno.ENOSYS)
    else:
        assert os.read(read_end, 100) == b"61.5\n"
    os.lseek(fd, 0, os.SEEK_SET)
    with open("/dev/null", "wb") as null:
        assert os.sendfile(null.fileno(), fd, 0, 100) in (0, 5)
    for one in (fd, read_end, write_end):
        os.close(one)
