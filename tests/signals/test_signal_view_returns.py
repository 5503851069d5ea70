"""Views over the times without axsignald: never a dead mount in a container, and back at the same path when it is back."""
import errno
import json
import os
import signal
import socket
import subprocess
import time

import pytest

from axsignald import wait_for
from view_container import ALL, FAN, RUNTIMES, SPEED, VOUCHED


def stop(service):
    service.process.terminate()
    assert service.process.wait(10) == 0, service.log.read_text()


def holder_of(service):
    found = subprocess.run(["pgrep", "-f", f"axsignal-holder --mount {service.files}"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def await_holder_end(service):
    wait_for("the holder gives up", lambda: not holder_of(service), 20)


def is_empty(container):
    """The container's folder is there, is no mount, and answers."""
    return container.run("ls -a /dev/signal | wc -l") == (0, "2")


def is_back(container, value="88.5"):
    return container.run("cat /dev/signal/Vehicle/Speed") == (0, value)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_orderly_stop_leaves_no_dead_mount_and_the_view_returns(guarded, containers, runtime):
    container = containers(guarded, ALL, RUNTIMES[runtime])
    assert is_back(container)
    stop(guarded)
    assert is_empty(container)
    guarded.restart()
    guarded.write(SPEED, "12")
    wait_for("the view is back", lambda: is_back(container, "12"))
    assert container.run("find /dev/signal -type f -name IsMoving") == (0, "")  # with the same grants


@pytest.mark.parametrize("options", [{"uid": 1000}, {"userns": True}], ids=["non-root", "user namespace"])
def test_the_view_of_any_user_returns(guarded, containers, options):
    container = containers(guarded, ALL, **options)
    for _ in range(2):
        stop(guarded)
        assert is_empty(container)
        guarded.restart()
        guarded.write(SPEED, "7")
        wait_for("the view is back", lambda: is_back(container, "7"))
    provider = os.open(guarded.files / (FAN + "@provide"), os.O_RDWR)
    assert container.run("echo 30 > /dev/signal/" + FAN) == (0, "")
    assert os.read(provider, 100).split(b"\t")[1] == b"30"
    os.close(provider)


def test_two_seconds_without_a_daemon_end_the_view_and_its_return_is_quick(guarded, containers):
    container = containers(guarded, ALL)
    held = os.open(container.sees(SPEED), os.O_RDONLY)
    waiting = subprocess.Popen(["cat", container.sees(SPEED + "@follow")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert waiting.stdout.readline() == b"88.5\n"
    guarded.kill()
    assert waiting.wait(20) == 1 and b"Software caused connection abort" in waiting.stderr.read()
    await_holder_end(guarded)
    with pytest.raises(OSError) as caught:
        os.pread(held, 10, 0)
    assert caught.value.errno == errno.ENOTCONN  # what was open is over
    os.close(held)
    assert is_empty(container)
    guarded.restart()
    begin = time.monotonic()
    wait_for("the view is back", lambda: os.path.exists(container.sees(SPEED)))
    print(f"back {1000 * (time.monotonic() - begin):.0f} ms after the service")  # 200 ms on a machine that is not loaded
    guarded.write(SPEED, "9")
    assert is_back(container, "9")


def test_the_death_of_daemon_and_holder_at_once_is_mended_by_the_next(guarded, containers):
    container = containers(guarded, ALL)
    for pid in holder_of(guarded):
        os.kill(pid, signal.SIGKILL)
    guarded.kill()
    wait_for("the mount is dead", lambda: "not connected" in container.run("cat /dev/signal/Vehicle/Speed")[1])
    guarded.restart()
    guarded.write(SPEED, "3")
    wait_for("the view is back", lambda: is_back(container, "3"))


def test_the_socket_of_a_view_returns(guarded, containers):
    container = containers(guarded, ALL)
    stop(guarded)
    with socket.socket(socket.AF_UNIX) as client, pytest.raises(ConnectionRefusedError):
        client.connect(container.inside("dev/signal.sock"))
    guarded.restart()
    guarded.write(SPEED, "4")
    wait_for("the view is back", lambda: is_back(container, "4"))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(container.inside("dev/signal.sock"))
        client.sendall(b"get Vehicle.Speed\nset Vehicle.Speed 5\n")
        lines = client.makefile()
        assert lines.readline() == "ok 4\n" and lines.readline().startswith("error denied")


def test_a_view_that_returned_goes_on_after_a_kill(guarded, containers):
    container = containers(guarded, ALL)
    stop(guarded)
    guarded.restart()
    guarded.write(SPEED, "4")
    wait_for("the view is back", lambda: is_back(container, "4"))
    fd = os.open(container.sees(SPEED), os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(fd, 10) == b"4\n"
    guarded.kill()
    guarded.restart()
    guarded.write(SPEED, "50")
    assert os.read(fd, 10) == b"50\n"
    os.close(fd)
    again = containers(guarded, ALL, hook_words=VOUCHED)  # and a new view takes no other's number
    assert is_back(again, "50") and is_back(container, "50")


def test_a_container_that_ended_meanwhile_is_forgotten(guarded, containers):
    gone, lives = containers(guarded, ALL), containers(guarded, ALL)
    assert len(os.listdir(guarded.state / "views")) == 2
    stop(guarded)
    gone.call("kill", gone.name, "KILL")
    gone.remove()
    guarded.restart()
    guarded.write(SPEED, "2")
    wait_for("the other is back", lambda: is_back(lives, "2"))
    wait_for("one record is left", lambda: len(os.listdir(guarded.state / "views")) == 1)
    lives.call("kill", lives.name, "KILL")
    lives.remove()
    wait_for("none is left", lambda: os.listdir(guarded.state / "views") == [])


def test_a_record_of_another_process_mounts_nowhere(guarded, containers, folder):
    """A record outlives its container; its process' number may be anybody's by then."""
    container = containers(guarded, ALL)
    record = guarded.state / "views" / "1.json"
    told = json.loads(record.read_text())
    stop(guarded)
    other = subprocess.Popen(["unshare", "-m", "sleep", "300"])
    try:
        wait_for("it has mounts of its own", lambda: os.readlink(f"/proc/{other.pid}/ns/mnt") != os.readlink("/proc/self/ns/mnt"))
        started = int(open(f"/proc/{other.pid}/stat", encoding="ascii").read().rpartition(")")[2].split()[19])
        forged = dict(told, id="forged", container=dict(told["container"], pid=other.pid, started=started))
        (record.parent / "2.json").write_text(json.dumps(forged))
        (record.parent / "3.json").write_text(json.dumps(dict(forged, container=dict(forged["container"], started=1))))
        (record.parent / "4.json").write_text("{")
        guarded.restart()
        wait_for("only the true one is left", lambda: os.listdir(record.parent) == ["1.json"])
        guarded.write(SPEED, "2")
        wait_for("the true one is back", lambda: is_back(container, "2"))
        assert "axsignald /dev/signal " not in open(f"/proc/{other.pid}/mounts", encoding="ascii").read()
        assert "the root of process" in guarded.log.read_text()
    finally:
        other.kill()
        other.wait()


def test_a_container_that_spoiled_its_return_spoils_nobody_elses(guarded, containers):
    """Its /dev/signal was covered while the service was away: by a file, which nothing can be mounted on as a folder."""
    spoiled, other = containers(guarded, ALL), containers(guarded, ALL)
    stop(guarded)
    assert spoiled.run("rmdir /dev/signal && echo mine > /dev/signal") == (0, "")
    guarded.restart()
    guarded.write(SPEED, "2")
    wait_for("the other is back", lambda: is_back(other, "2"))
    assert spoiled.run("cat /dev/signal") == (0, "mine")
    wait_for("it is told", lambda: "a view does not return" in guarded.log.read_text())


def test_a_link_in_the_container_leads_nowhere_else(guarded, containers):
    spoiled = containers(guarded, ALL)
    stop(guarded)
    assert spoiled.run("rmdir /dev/signal && ln -s /tmp /dev/signal") == (0, "")
    guarded.restart()
    wait_for("it is told", lambda: "a view does not return" in guarded.log.read_text())
    assert "axsignald" not in spoiled.run("cat /proc/mounts")[1]


def test_a_stop_while_the_container_is_only_created(guarded, containers):
    container = containers(guarded, ALL, start=False)
    assert container.create() == 0, (container.folder / "out").read_text()
    stop(guarded)
    guarded.restart()
    guarded.write(SPEED, "2")
    done = container.call("start", container.name)
    assert done.returncode == 0, done.stderr
    wait_for("the view is there", lambda: is_back(container, "2"))
