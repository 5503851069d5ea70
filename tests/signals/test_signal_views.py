"""Views: a container sees of the signals what it asked for and host policy grants, and nothing else."""
import errno
import json
import os
import select
import signal
import socket
import subprocess

import pytest

from axsignald import wait_for
from view_container import ALL, FAN, POLICY, RUNTIMES, SPEED, TRUSTED


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_container_sees_what_it_was_granted(guarded, containers, runtime):
    container = containers(guarded, {"axle.signals.read": "Vehicle.Speed Vehicle.TraveledDistance"}, RUNTIMES[runtime])
    assert container.run("cat /dev/signal/Vehicle/Speed") == (0, "88.5")
    assert container.run("find /dev/signal -type f") == (0, "/dev/signal/Vehicle/Speed")  # the rest does not exist
    assert container.run("cat /dev/signal/Vehicle/TraveledDistance")[1].endswith("No such file or directory")
    code, text = container.run("echo 5 > /dev/signal/Vehicle/Speed")
    assert code != 0 and "ermission denied" in text
    assert guarded.read(SPEED) == "88.5\n"


@pytest.mark.parametrize("options", [{"uid": 1000}, {"userns": True}], ids=["non-root", "user namespace"])
def test_the_grant_decides_not_the_uid(guarded, containers, options):
    container = containers(guarded, ALL, **options)
    assert container.run("cat /dev/signal/Vehicle/Speed") == (0, "88.5")
    provider = os.open(guarded.files / (FAN + "@provide"), os.O_RDWR)
    assert container.run("echo 30 > /dev/signal/" + FAN) == (0, "")
    assert os.read(provider, 100).split(b"\t")[1] == b"30"
    os.close(provider)
    assert container.run("echo 2000 > /dev/signal/Vehicle/TraveledDistance") == (0, "")
    assert guarded.read("Vehicle/TraveledDistance") == "2000\n"


def test_rights_are_told_apart(guarded, containers):
    container = containers(guarded, ALL)
    assert container.run("cat /dev/signal/Vehicle/TraveledDistance")[1].endswith("ermission denied")  # publish only
    assert "ermission denied" in container.run("echo 5 > /dev/signal/Vehicle/Speed")[1]  # read only
    assert "ermission denied" in container.run(f"echo 5 > /dev/signal/{FAN}@provide")[1]  # actuate is not publish
    assert "TraveledDistance" not in container.run("cat /dev/signal/Vehicle@group")[1]
    assert '"Speed":88.5' in container.run("cat /dev/signal/Vehicle@group")[1]
    with pytest.raises(OSError) as caught:
        fd = os.open(container.sees("Vehicle@group"), os.O_WRONLY)
        os.write(fd, b'{"Speed": 5}')
    assert caught.value.errno == errno.EACCES
    os.close(fd)


def test_a_bare_hook_is_unmanaged_and_gets_nothing_by_default(guarded, containers):
    container = containers(guarded, ALL, hook_words=[])
    assert container.run("find /dev/signal") == (0, "/dev/signal")
    guarded.config.write_text(TRUSTED)
    guarded.reload()
    wait_for("the new grant shows", lambda: container.run("cat /dev/signal/Vehicle/Speed") == (0, "88.5"))
    assert container.run("find /dev/signal -type f")[1] == "/dev/signal/Vehicle/Speed"


def test_who_asks_for_nothing_has_no_mount(guarded, containers):
    container = containers(guarded, {"other": "annotation"})
    assert container.run("ls /dev/signal")[0] != 0


def test_another_pod_gets_nothing(guarded, containers):
    container = containers(guarded, ALL, hook_words=["--manager", "axled", "--namespace", "fleet", "--pod", "radio"])
    assert container.run("find /dev/signal") == (0, "/dev/signal")


def test_revocation_reaches_open_descriptors(guarded, containers):
    container = containers(guarded, ALL)
    fd = os.open(container.sees(SPEED), os.O_RDONLY)
    stream = os.open(container.sees(SPEED), os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(fd, 10) == b"88.5\n" and os.read(stream, 10) == b"88.5\n"
    waiting = subprocess.Popen(["cat", container.sees(SPEED + "@follow")], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert waiting.stdout.readline() == b"88.5\n"
    guarded.config.write_text(POLICY.replace('"Vehicle.Speed", ', "", 1))
    guarded.reload()
    for descriptor in (fd, stream):
        with pytest.raises(OSError) as caught:
            os.pread(descriptor, 10, 0) if descriptor == fd else os.read(descriptor, 10)
        assert caught.value.errno == errno.EACCES
        os.close(descriptor)
    assert waiting.wait(5) == 1 and b"ermission denied" in waiting.stderr.read()
    wait_for("the name is gone", lambda: not os.path.exists(container.sees(SPEED)))
    assert guarded.read(SPEED) == "88.5\n"  # the host is as before


def test_a_rate_is_not_the_containers_to_escape(guarded, containers):
    container = containers(guarded, ALL, hook_words=["--manager", "axled", "--namespace", "slow", "--pod", "x"])
    fd = os.open(container.sees(SPEED + "@all"), os.O_RDONLY | os.O_NONBLOCK)
    for value in range(50):
        guarded.write(SPEED, str(value))
    assert os.read(fd, 100) == b"88.5\n"
    with pytest.raises(BlockingIOError):
        os.read(fd, 100)
    assert select.select([fd], [], [], 2)[0] and os.read(fd, 100) == b"49\n"
    os.close(fd)


def test_each_view_has_a_socket_with_the_same_grants(guarded, containers):
    container = containers(guarded, ALL)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(container.inside("dev/signal.sock"))
        stream = client.makefile("rw")

        def ask(line):
            stream.write(line + "\n")
            stream.flush()
            return stream.readline().strip()

        assert ask("get Vehicle.Speed") == "ok 88.5"
        assert ask("get Vehicle.IsMoving").startswith("error unknown")
        assert ask("set Vehicle.Speed 5").startswith("error denied")
        assert ask("set Vehicle.TraveledDistance 5") == "ok"


def test_views_go_on_after_a_kill(guarded, containers):
    container = containers(guarded, ALL)
    fd = os.open(container.sees(SPEED), os.O_RDONLY | os.O_NONBLOCK)
    assert os.read(fd, 10) == b"88.5\n"
    guarded.kill()
    guarded.restart()
    guarded.write(SPEED, "50")
    assert os.read(fd, 10) == b"50\n"
    os.close(fd)
    assert container.run("cat /dev/signal/Vehicle/Speed") == (0, "50")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(container.inside("dev/signal.sock"))
        client.sendall(b"get Vehicle.Speed\n")
        assert client.recv(100) == b"ok 50\n"


def test_a_container_that_ends_leaves_no_view(guarded, containers):
    container = containers(guarded, ALL)
    container.call("kill", container.name, "KILL")
    container.remove()
    wait_for("its view ends", lambda: "audit.view-end" in guarded.log.read_text())
    again = containers(guarded, ALL)
    assert again.run("cat /dev/signal/Vehicle/Speed") == (0, "88.5")


def test_the_audit_has_grants_denials_and_actuations(make_signals, containers, folder):
    signals = make_signals(config=f'[daemon]\naudit = "{folder}/audit"\n' + POLICY).start()
    container = containers(signals, ALL)
    provider = os.open(signals.files / (FAN + "@provide"), os.O_RDWR)
    container.run(f"echo 30 > /dev/signal/{FAN}; echo 5 > /dev/signal/{SPEED}")
    os.close(provider)
    lines = [json.loads(line) for line in (folder / "audit").read_text().splitlines()]
    told = {line["event"]: line["msg"] for line in lines}
    assert container.name in told["audit.view"] and "fleet/dash-7" in told["audit.view"]
    assert told["audit.actuate"] == f"{container.name[:31]} Vehicle.Cabin.HVAC.FanSpeed = 30: done"
    assert "Vehicle.Speed: Permission denied" in told["audit.deny"]


def test_a_hostile_container(guarded, containers):
    container = containers(guarded, ALL)
    for script in ("cat /dev/signal/../signal/Vehicle/IsMoving", "cat /dev/signal/Vehicle/Speed@meta@state",
                   "cat '/dev/signal/Vehicle/Speed@follow/../IsMoving'", "echo x > /dev/signal/new",
                   "mv /dev/signal/Vehicle /dev/signal/V", "cat /dev/signal/@stream@stream",
                   "ls /dev/signal/Vehicle/IsMoving@state"):
        assert container.run(script)[0] != 0, script
    names = "i=0; while [ $i -lt 3000 ]; do [ -e /dev/signal/Vehicle/Speed@above=$i ] || echo no; i=$((i+1)); done"
    assert "no" in container.run(names)[1]
    assert guarded.read(SPEED) == "88.5\n"
    os.stat(guarded.files / (SPEED + "@above=77777"))  # the host's names are the host's


def test_a_service_that_is_not_there_fails_the_start_with_its_reason(guarded, containers):
    container = containers(guarded, ALL, start=False)
    guarded.process.send_signal(signal.SIGTERM)
    guarded.process.wait(5)
    assert container.create() != 0
    assert "axsignal-hook: " in (container.folder / "out").read_text()


def test_podman(guarded, make_podman, stage, image_layout, folder):
    hooks = folder / "hooks.d"
    hooks.mkdir()
    (hooks / "axsignal.json").write_text(json.dumps({
        "version": "1.0.0", "hook": {"path": stage.program("axsignal-hook"), "args": [
            "axsignal-hook", "--control", str(guarded.state / "control.sock")]},
        "when": {"annotations": {"^axle\\.signals\\.": ".*"}}, "stages": ["createRuntime"]}))
    guarded.config.write_text(TRUSTED)
    guarded.reload()
    podman = make_podman(stage.program("axrun"))
    podman.load(image_layout, "busybox", "localhost/busybox")
    options = ["--hooks-dir", hooks, "--runtime-flag", f"root={folder}/axrun", "run", "--rm"]
    cat = ["localhost/busybox", "cat", "/dev/signal/Vehicle/Speed"]
    text = podman.podman(*options, "--annotation", "axle.signals.read=Vehicle.**", *cat)
    assert text == "88.5"
    done = podman.run(*options, *cat)
    assert done.returncode != 0
