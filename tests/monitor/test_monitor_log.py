"""The log: its form, rotation, limits, and disks that are slow, full or gone."""
import os
import signal
import subprocess

import pytest

import axmon


def run(one):
    one.run()
    exited = one.wait_exited()
    assert exited["exit_code"] == 0
    return one


def test_long_lines_are_cut_into_parts(monitor):
    one = run(monitor("sh", "-c", "head -c 40000 /dev/zero | tr '\\0' a; echo; echo short"))
    records = one.records()
    assert [(tag, len(content)) for _, tag, content in records] == [
        ("P", 16384), ("P", 16384), ("F", 40000 - 2 * 16384), ("F", 5)]


def test_a_line_of_exactly_the_limit_is_whole(monitor):
    one = run(monitor("sh", "-c", "head -c 16384 /dev/zero | tr '\\0' a; echo"))
    assert [(tag, len(content)) for _, tag, content in one.records()] == [("F", 16384)]


def test_a_line_without_its_end_is_logged_soon(monitor):
    one = monitor("sh", "-c", "printf prompt; sleep 1000")
    one.run()
    axmon.wait_until(lambda: one.records() == [("stdout", "P", b"prompt")])
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def test_a_flood_without_newlines_in_bounded_memory(monitor):
    one = monitor("sh", "-c", "head -c 100000000 /dev/zero")
    one.run()
    peak = 0
    while not any(event["op"] == "exited" for event in one.connection.events):
        try:
            one.connection.events.append(one.connection.receive(0.05))
        except TimeoutError:
            peak = max(peak, private_kib(one.pid))
    assert one.wait_exited()["exit_code"] == 0
    assert len(one.logged()) == 100_000_000
    assert 0 < peak < 600


def private_kib(pid):
    """What this one monitor costs; its code is shared with all others."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Anonymous"))


def test_private_memory_at_rest(monitor):
    one = monitor("sleep", "1000")
    one.run()
    assert private_kib(one.pid) < 300
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def test_reopen_after_a_rename(monitor):
    one = monitor("sh", "-c", "echo before; read line; echo after; read line", open_stdin=True)
    one.run()
    axmon.wait_until(lambda: one.logged() == b"before\n")
    os.rename(one.log, f"{one.log}.old")
    one.connection.call("reopen-log")
    os.write(one.fds["stdin"], b"\n")
    axmon.wait_until(lambda: one.logged() == b"after\n")
    os.write(one.fds["stdin"], b"\n")
    one.wait_exited()
    with open(f"{one.log}.old", "rb") as old:
        assert old.read().endswith(b" F before\n")


def test_reopen_says_why_it_cannot(monitor, folder):
    one = monitor("sh", "-c", "while :; do sleep 0.05; echo on; done")
    logs = folder / "logs"
    logs.mkdir()
    one.config["log"]["path"] = str(logs / "log")
    one.run()
    os.rename(logs, folder / "moved")
    with pytest.raises(axmon.Refused) as refused:
        one.connection.call("reopen-log")
    assert str(logs / "log") in refused.value.error["message"]
    one.log = folder / "moved" / "log"
    before = len(one.logged())
    axmon.wait_until(lambda: len(one.logged()) > before)  # the old file goes on
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def test_rotation(monitor):
    one = monitor("sh", "-c", "n=0; while [ $n -lt 3000 ]; do n=$((n+1)); echo this is line $n; done")
    one.config["log"].update(max_bytes=20000, files=3)
    run(one)
    names = sorted(path.name for path in one.folder.glob("log*"))
    assert names == ["log", "log.1", "log.2", "log.3"]
    kept = b""
    for name in ("log.3", "log.2", "log.1", "log"):
        one.log = one.folder / name
        assert one.log.stat().st_size <= 20000
        kept += one.logged()
    lines = kept.splitlines()
    assert lines == [f"this is line {3001 - len(lines) + n}".encode() for n in range(len(lines))]


def test_a_hard_cap_counts_what_is_missing(monitor):
    one = monitor("sh", "-c", "n=0; while [ $n -lt 1000 ]; do n=$((n+1)); echo this is line $n; done; read line; echo more",
                  open_stdin=True)
    one.config["log"].update(max_bytes=10000)
    one.run()
    content = sum(len(f"this is line {n}") for n in range(1, 1001))

    def dropped():
        return one.connection.call("state")["state"]["log_dropped_bytes"]
    axmon.wait_until(lambda: len(one.logged().replace(b"\n", b"")) + dropped() == content)
    assert 9000 < one.log.stat().st_size <= 10000
    os.rename(one.log, f"{one.log}.old")
    one.connection.call("reopen-log")
    os.write(one.fds["stdin"], b"\n")
    one.wait_exited()
    assert one.logged() == b"more\n"
    notice = f"axle: {dropped()} bytes of output are missing here: the log has reached its limit\n"
    assert one.logged("stderr") == notice.encode()


@pytest.fixture
def small_disk(folder):
    """A file system of 256 KiB."""
    path = folder / "small"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "small", path], check=True)
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_full_disk_stops_nothing_and_is_confessed(monitor, small_disk):
    one = monitor("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo; read line; echo more", open_stdin=True)
    one.log = small_disk / "log"
    one.config["log"]["path"] = str(one.log)
    one.run()

    def dropped():
        return one.connection.call("state")["state"]["log_dropped_bytes"]
    axmon.wait_until(lambda: len(one.logged().rstrip(b"\n")) + dropped() == 3_000_000)
    assert dropped() > 2_000_000
    first = one.logged("stderr")
    os.rename(one.log, small_disk / "old")
    one.connection.call("reopen-log")
    os.unlink(small_disk / "old")
    os.write(one.fds["stdin"], b"\n")
    assert one.wait_exited()["exit_code"] == 0
    assert one.logged() == b"more\n"
    notices = (first + one.logged("stderr")).splitlines()
    assert all(notice.endswith(b" bytes of output are missing here: no space left on the disk") for notice in notices)
    assert sum(int(notice.split()[1]) for notice in notices) == dropped()
    one.connection.call("quit")
    one.processes[-1].wait(10)


def test_an_exit_on_a_full_record_disk_is_reported_and_recorded_later(monitor, small_disk):
    one = monitor("sh", "-c", "read line; exit 8", open_stdin=True)
    one.record = small_disk / "record"
    one.record.mkdir()
    one.config["record_dir"] = str(one.record)
    one.run()
    filler = small_disk / "filler"
    with pytest.raises(OSError):
        filler.write_bytes(b"x" * 1_000_000)
    os.write(one.fds["stdin"], b"\n")
    assert one.wait_exited()["exit_code"] == 8
    assert not (one.record / "exit.json").exists()
    filler.unlink()
    axmon.wait_until(lambda: (one.record / "exit.json").exists())
    assert one.exit_record()["exit_code"] == 8
    one.connection.close()
    one.processes[-1].wait(10)


def test_a_disk_that_hangs_stops_nothing(monitor, folder):
    """A FUSE-less stand-in for a hanging disk: the writer's file system is frozen (FIFREEZE)."""
    image = folder / "disk"
    mount = folder / "frozen"
    mount.mkdir()
    subprocess.run(["truncate", "-s", "16M", image], check=True)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, mount], check=False).returncode != 0:
        pytest.skip("no loop devices here")
    try:
        one = monitor("sh", "-c", "echo first; read line; head -c 4000000 /dev/zero | tr '\\0' x; echo; echo last; read line",
                      open_stdin=True)
        one.log = mount / "log"
        one.config["log"]["path"] = str(one.log)
        one.run()
        axmon.wait_until(lambda: one.logged() == b"first\n")
        fds = one.connection.call("attach", attach={"with_stdout": True, "patience_ms": 10000})["fds"]
        subprocess.run(["fsfreeze", "--freeze", mount], check=True)
        try:
            os.write(one.fds["stdin"], b"\n")
            assert axmon.read_until(fds["stdout"], b"last\n", timeout=10).endswith(b"last\n")
            assert one.connection.call("state", timeout=2)["state"]["log_dropped_bytes"] > 3_000_000
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", mount], check=True)
        os.close(fds["stdout"])
        os.write(one.fds["stdin"], b"\n")
        one.wait_exited()
        notice = one.logged("stderr")
        assert notice.startswith(b"axle: ") and notice.endswith(b"the log could not be written in time\n")
        missing = int(notice.split()[1])
        assert missing > 3_000_000
        assert len(one.logged().replace(b"\n", b"")) + missing == len("firstlast") + 4_000_000
        one.connection.call("quit")
        one.processes[-1].wait(10)
    finally:
        subprocess.run(["umount", mount], check=True)


@pytest.mark.parametrize("make, expected", [
    (os.mkfifo, "No such device or address"),
    (lambda path: os.symlink("/etc/passwd", path), "Too many levels of symbolic links"),
    (os.mkdir, "Is a directory"),
    (lambda path: os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5)), "expected a regular file"),
], ids=["fifo", "link", "directory", "device"])
def test_what_is_no_file_is_refused_as_a_log(monitor, make, expected):
    one = monitor("true")
    make(one.log)
    with pytest.raises(axmon.Refused) as refused:
        one.create()
    one.created = False
    assert str(one.log) in refused.value.error["message"]
    assert expected in refused.value.error["message"]
