"""Owner, group, mode and ACL of a policy, enforced by the kernel."""
import errno
import json
import os
import stat
import subprocess

import pytest

SPEED = "Vehicle/Speed"
CONFIG = """
[[rule]]
path = "Vehicle.Cabin"
owner = "nobody"
group = "daemon"
mode = "0640"

[[rule]]
path = "Vehicle.Speed"
mode = "0660"
acl = ["user:1234:r", "user:1235:rw", "group:4321:r"]

[[rule]]
path = "Vehicle.CurrentLocation.*"
mode = "0600"
"""


@pytest.fixture
def guarded(make_signals):
    service = make_signals(config=CONFIG).start()
    for folder in (service.folder, service.folder.parent, service.folder.parent.parent):
        folder.chmod(0o755)
    return service


def as_user(uid, gid, groups, call):
    """The errno of @call() for that user; 0: it worked; its result where it is text."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
        try:
            result = str(call() or 0)
        except OSError as error:
            result = str(error.errno)
        os.write(write_end, result.encode())
        os._exit(0)
    os.close(write_end)
    os.waitpid(pid, 0)
    with os.fdopen(read_end) as file:
        return file.read()


def test_owner_group_and_mode_show(guarded):
    status = os.stat(guarded.files / "Vehicle/Cabin/DoorCount")
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (65534, 1, 0o640)
    folder = os.stat(guarded.files / "Vehicle/Cabin")
    assert (folder.st_uid, folder.st_gid, stat.S_IMODE(folder.st_mode)) == (65534, 1, 0o550)
    listing = subprocess.run(["ls", "-l", guarded.files / "Vehicle"], capture_output=True, text=True, check=True).stdout
    assert any(line.startswith("-rw-rw----+") and line.endswith("Speed") for line in listing.splitlines()), listing


def test_getfacl(guarded):
    text = subprocess.run(["getfacl", "-pn", guarded.files / SPEED], capture_output=True, text=True, check=True).stdout
    for line in ("user::rw-", "user:1234:r--", "user:1235:rw-", "group::rw-", "group:4321:r--", "mask::rw-", "other::---"):
        assert line in text.splitlines(), text
    suffix = subprocess.run(["getfacl", "-pn", guarded.files / (SPEED + "@follow")], capture_output=True, text=True, check=True)
    assert "user:1235:rw-" in suffix.stdout


@pytest.mark.parametrize("uid, gid, groups, path, reads, writes", [
    (1234, 1234, [], SPEED, True, False),
    (1235, 1235, [], SPEED, True, True),
    (1236, 1236, [4321], SPEED, True, False),
    (1236, 1236, [], SPEED, False, False),
    (65534, 65534, [], "Vehicle/Cabin/DoorCount", True, True),
    (1236, 1236, [1], "Vehicle/Cabin/DoorCount", True, False),
    (1236, 1236, [], "Vehicle/Cabin/DoorCount", False, False),
    (1236, 1236, [], "Vehicle/CurrentLocation/Latitude", False, False),
    (1236, 1236, [], "Vehicle/IsMoving", True, False),
])
def test_the_kernel_enforces_it(guarded, uid, gid, groups, path, reads, writes):
    denied = str(errno.EACCES)

    def opens(name, flags):
        return as_user(uid, gid, groups, lambda: os.close(os.open(guarded.files / name, flags))) != denied

    for name in (path, path + "@follow"):
        assert opens(name, os.O_RDONLY) == reads, name
    for name in (path, path + "@provide"):
        assert opens(name, os.O_WRONLY) == writes, name


def test_a_group_shows_and_sets_only_what_its_opener_may(guarded):
    guarded.write(SPEED, "5")
    guarded.write("Vehicle/CurrentLocation/Latitude", "48")

    def read():
        return (guarded.files / "Vehicle@group").read_text()

    seen = json.loads(as_user(1236, 1236, [4321], read))
    assert seen["Speed"] == 5 and "CurrentLocation.Latitude" not in seen and "Cabin.DoorCount" not in seen
    assert json.loads(as_user(1236, 1236, [4321, 1], read))["Cabin.DoorCount"] == 4

    def write(text):
        def call():
            fd = os.open(guarded.files / "Vehicle@group", os.O_WRONLY)
            os.write(fd, text.encode())
        return call

    assert as_user(1235, 1235, [], write('{"Speed": 6}')) == str(errno.EACCES)  # the branch's own mode: owner only
    guarded.config.write_text(CONFIG + '\n[[rule]]\npath = "Vehicle"\nmode = "0666"\n' + CONFIG)
    guarded.reload()
    assert as_user(1235, 1235, [], write('{"Speed": 6}')) == "0"
    assert as_user(1234, 1234, [], write('{"Speed": 7}')) == str(errno.EACCES)
    assert as_user(1235, 1235, [], write('{"Speed": 8, "CurrentLocation.Latitude": 1}')) == str(errno.EACCES)
    assert guarded.read(SPEED) == "6\n"


def test_a_new_policy_holds_after_a_reload(guarded):
    read = lambda: os.close(os.open(guarded.files / SPEED, os.O_RDONLY))  # noqa: E731
    assert as_user(1236, 1236, [], read) == str(errno.EACCES)
    guarded.config.write_text('[[rule]]\npath = "Vehicle.Speed"\nmode = "0644"\n')
    guarded.reload()
    import time
    time.sleep(0.2)
    assert as_user(1236, 1236, [], read) == "0"
    text = subprocess.run(["getfacl", "-pn", guarded.files / SPEED], capture_output=True, text=True, check=True).stdout
    assert "user:1234" not in text


def test_the_daemon_has_no_capability(guarded):
    status = open(f"/proc/{guarded.process.pid}/status").read()
    assert "CapEff:\t0000000000000000" in status and "CapPrm:\t0000000000000000" in status and "NoNewPrivs:\t1" in status


def test_the_daemon_becomes_a_user(make_signals):
    signals = make_signals(config='[daemon]\nuser = "daemon"\n').start()
    assert "Uid:\t1\t1\t1\t1" in open(f"/proc/{signals.process.pid}/status").read()
    signals.write(SPEED, "5")
    assert signals.read(SPEED) == "5\n"
