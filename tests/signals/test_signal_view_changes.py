"""Grants that change while a container runs, who may serve views, and what the audit says of all that."""
import errno
import json
import os
import pathlib
import select
import shutil
import socket
import subprocess

import pytest

from axsignald import wait_for
from view_container import ALL, FAN, POLICY, SPEED, TRUSTED

ODOMETER = "Vehicle/TraveledDistance"
NOTHING = '[[grant]]\nnamespace = "nobody"\n'


def set_policy(service, text):
    service.config.write_text(text)
    service.reload()


def refuses(call):
    with pytest.raises(OSError) as caught:
        call()
    return caught.value.errno


class Line:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(path)
        self.stream = self.socket.makefile("rw")

    def say(self, line):
        self.stream.write(line + "\n")
        self.stream.flush()

    def ask(self, line):
        self.say(line)
        return self.stream.readline().strip()

    def close(self):
        self.stream.close()
        self.socket.close()


@pytest.fixture
def line(guarded, containers):
    container = containers(guarded, ALL)
    one = Line(container.inside("dev/signal.sock"))
    one.container = container
    yield one
    one.close()


def test_what_is_granted_later_appears(guarded, containers):
    container = containers(guarded, ALL, hook_words=["--manager", "axled", "--namespace", "fleet", "--pod", "radio"])
    assert container.run("find /dev/signal") == (0, "/dev/signal")
    line = Line(container.inside("dev/signal.sock"))
    assert line.ask("get Vehicle.Speed").startswith("error unknown")
    set_policy(guarded, POLICY.replace('"dash-*"', '"*"'))
    wait_for("it appears", lambda: container.run("cat /dev/signal/Vehicle/Speed") == (0, "88.5"))
    assert line.ask("get Vehicle.Speed") == "ok 88.5"
    set_policy(guarded, POLICY)
    wait_for("it is gone", lambda: container.run("find /dev/signal") == (0, "/dev/signal"))
    line.close()


def test_revocation_of_all_kinds_of_descriptors(guarded, containers):
    container = containers(guarded, ALL)
    read = os.open(container.sees(SPEED), os.O_RDONLY)
    state = os.open(container.sees(SPEED + "@state"), os.O_RDONLY)
    meta = os.open(container.sees(SPEED + "@meta"), os.O_RDONLY)
    follow = os.open(container.sees(SPEED + "@rate=50"), os.O_RDONLY)
    write = os.open(container.sees(ODOMETER), os.O_WRONLY)
    provide = os.open(container.sees(ODOMETER + "@provide"), os.O_RDWR)
    actuate = os.open(container.sees(FAN), os.O_WRONLY)
    assert os.read(follow, 10) == b"88.5\n"
    os.write(provide, b"5")
    assert guarded.read(ODOMETER) == "5\n"
    poll = select.poll()
    poll.register(read, select.POLLPRI)
    os.pread(read, 10, 0)
    assert poll.poll(0) == []
    set_policy(guarded, NOTHING)
    assert poll.poll(10000)  # who waits is woken
    for descriptor in (read, state, meta, follow):
        assert refuses(lambda: os.read(descriptor, 10)) == errno.EACCES
    for descriptor in (write, provide, actuate):
        assert refuses(lambda: os.write(descriptor, b"7")) == errno.EACCES
    assert refuses(lambda: guarded.read(ODOMETER)) == errno.ENODATA  # what it provided is no longer provided
    guarded.write(ODOMETER, "9")
    set_policy(guarded, POLICY)  # a descriptor that was revoked stays so: what is open is not what was granted anew
    assert refuses(lambda: os.write(provide, b"7")) == errno.EACCES
    assert guarded.read(ODOMETER) == "9\n"
    for descriptor in (read, state, meta, follow, write, provide, actuate):
        os.close(descriptor)


def test_revocation_reaches_the_socket_and_the_multiplexed_file(guarded, line):
    stream = os.open(line.container.sees("@stream"), os.O_RDWR | os.O_NONBLOCK)
    os.write(stream, b"sub Vehicle.Speed\n")
    text = b""
    while b"\n1 88.5\n" not in text:
        assert select.select([stream], [], [], 10)[0]
        text += os.read(stream, 4096)
    assert [line.ask("sub Vehicle.Speed")] + [line.stream.readline().strip() for _ in range(2)] == [
        "name 1 1 Vehicle.Speed", "ok 1 1", "1 88.5"]
    assert line.ask("claim Vehicle.TraveledDistance").startswith("ok")
    set_policy(guarded, NOTHING)
    assert sorted(line.stream.readline() for _ in range(2)) == ["gone 1\n", "gone 2\n"]  # the subscription, the claim
    os.close(os.open(guarded.files / (ODOMETER + "@provide"), os.O_RDWR))  # somebody else's to claim
    assert line.ask("get Vehicle.Speed").startswith("error unknown")
    guarded.write(SPEED, "1")
    assert select.select([stream], [], [], 10)[0] and b"88" not in (left := os.read(stream, 4096)) and b"1 1\n" not in left
    os.close(stream)


def test_each_grant_denial_and_actuation_has_its_line(make_signals, containers, folder):
    service = make_signals(config=f'[daemon]\naudit = "{folder}/audit"\n' + POLICY).start()
    service.write(SPEED, "88.5")

    def audited(event, *words):
        def look():
            for text in (folder / "audit").read_text().splitlines():
                one = json.loads(text)
                if one["event"] == event and all(word in one["msg"] for word in words):
                    return one
        return wait_for(f"{event} {words}", look)

    container = containers(service, ALL)
    line = Line(container.inside("dev/signal.sock"))
    name = container.name[:31]
    audited("audit.view", container.name, "axled", "fleet/dash-7", "signals granted")
    provider = os.open(service.files / (FAN + "@provide"), os.O_RDWR)
    container.run(f"echo 31 > /dev/signal/{FAN}")
    audited("audit.actuate", name, "Vehicle.Cabin.HVAC.FanSpeed = 31: done")
    line.ask("set Vehicle.Cabin.HVAC.FanSpeed 32")
    audited("audit.actuate", name, "Vehicle.Cabin.HVAC.FanSpeed = 32: done")
    with open(container.sees("Vehicle/Cabin/HVAC@group"), "w", encoding="ascii") as group:
        group.write('{"FanSpeed": 33}')
    audited("audit.actuate", name, "Vehicle.Cabin.HVAC.FanSpeed = 33: done")
    os.close(provider)
    container.run(f"echo 34 > /dev/signal/{FAN}")
    audited("audit.actuate", name, "FanSpeed = 34: No such device or address")  # also one that reaches nobody
    container.run(f"echo 5 > /dev/signal/{SPEED}")
    audited("audit.deny", name, "Vehicle.Speed: Permission denied")
    container.run(f"cat /dev/signal/{ODOMETER}")
    audited("audit.deny", name, "Vehicle.TraveledDistance: Permission denied")
    line.ask("claim Vehicle.Cabin.DoorCount")
    audited("audit.deny", name, "Vehicle.Cabin.DoorCount: Permission denied")
    line.close()
    set_policy(service, f'[daemon]\naudit = "{folder}/audit"\n' + NOTHING)
    audited("audit.regrant", container.name, ": 0 signals granted")
    container.call("kill", container.name, "KILL")
    container.remove()
    audited("audit.view-end", container.name)


def test_a_service_without_any_privilege_serves_views_and_has_them_again(make_signals, containers):
    """Whoever mounts passes the descriptor: hook and holder. The daemon itself is nobody in particular."""
    service = make_signals(config='[daemon]\nuser = "daemon"\n' + POLICY).start()
    service.write(SPEED, "88.5")
    container = containers(service, ALL)
    for expected in ("88.5", "7"):
        status = open(f"/proc/{service.process.pid}/status", encoding="ascii").read()
        assert "Uid:\t1\t1\t1\t1" in status and "CapEff:\t0000000000000000" in status
        wait_for("the view is there", lambda: container.run("cat /dev/signal/Vehicle/Speed") == (0, expected))
        if expected == "88.5":
            service.process.terminate()
            assert service.process.wait(10) == 0
            assert container.run("ls /dev/signal") == (0, "")
            service.restart()
            service.write(SPEED, "7")


def test_only_root_makes_views(guarded):
    mode = os.stat(guarded.state / "control.sock").st_mode & 0o777
    assert mode == 0o600
    assert os.stat(guarded.state / "views").st_mode & 0o777 == 0o700


# crun refuses the mix of cgroups v1 and a v2 tree with controllers: for it alone the v2 tree is covered.
CRUN = """#!/bin/sh
exec unshare -m sh -c 'mount -t tmpfs none /sys/fs/cgroup/unified && exec /usr/bin/crun "$@"' crun "$@"
"""
RUNTIMES = {"crun": ["--cgroups=disabled"], "runc": []}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_podman_with_other_runtimes(guarded, make_podman, stage, image_layout, folder, runtime):
    more, program = RUNTIMES[runtime], shutil.which(runtime)
    if runtime == "crun" and os.path.isdir("/sys/fs/cgroup/unified"):
        program = str(folder / "crun")
        pathlib.Path(program).write_text(CRUN)
        os.chmod(program, 0o755)
    hooks = folder / "hooks.d"
    hooks.mkdir()
    (hooks / "axsignal.json").write_text(json.dumps({
        "version": "1.0.0", "hook": {"path": stage.program("axsignal-hook"), "args": [
            "axsignal-hook", "--control", str(guarded.state / "control.sock")]},
        "when": {"annotations": {"^axle\\.signals\\.": ".*"}}, "stages": ["createRuntime"]}))
    set_policy(guarded, TRUSTED)
    podman = make_podman(program)
    podman.load(image_layout, "busybox", "localhost/busybox")
    options = ["--hooks-dir", hooks, "--runtime-flag", f"root={folder}/runtime", "run", "--rm", *more]
    cat = ["localhost/busybox", "cat", "/dev/signal/Vehicle/Speed"]
    assert podman.podman(*options, "--annotation", "axle.signals.read=Vehicle.**", *cat) == "88.5"
    refused = podman.run(*options, "--annotation", "axle.signals.read=Vehicle.IsMoving", *cat)
    assert refused.returncode != 0 and "No such file" in refused.stderr


def test_a_new_policy_reaches_the_hosts_sockets_too(guarded):
    """The socket's client is the user behind it: what the policy takes from that user ends at once."""
    program = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile('rw'); "
               "f.write('sub Vehicle.Speed\\nopen Vehicle.Speed\\n'); f.flush()\n"
               "for line in f: print(line, end='', flush=True)")
    for folder in (guarded.folder, guarded.folder.parent, guarded.folder.parent.parent):
        os.chmod(folder, 0o755)
    set_policy(guarded, '[[rule]]\npath = "Vehicle.Speed"\nmode = "0666"\n')
    client = subprocess.Popen(["/usr/bin/python3", "-c", program, guarded.socket], stdout=subprocess.PIPE, text=True, user=1236,
                              group=1236, extra_groups=[], cwd="/")
    try:
        assert [client.stdout.readline() for _ in range(4)] == ["name 1 1 Vehicle.Speed\n", "ok 1 1\n", "1 88.5\n", "ok 2\n"]
        set_policy(guarded, '[[rule]]\npath = "Vehicle.Speed"\nmode = "0600"\n')
        assert sorted(client.stdout.readline() for _ in range(2)) == ["gone 1\n", "gone 2\n"]
    finally:
        client.kill()
        client.communicate(timeout=10)


def test_what_each_container_has_is_shown_to_the_hosts_root(guarded, containers, stage):
    def all_grants():
        done = subprocess.run([stage.program("axle"), "signal", "grants", "--containers", "--json", "--socket", guarded.socket],
                              capture_output=True, text=True, check=True)
        return {one["container"]: one for one in json.loads(done.stdout)}
    assert all_grants() == {}
    dash = containers(guarded, ALL)
    bare = containers(guarded, ALL, hook_words=[])
    told = all_grants()
    assert set(told) == {dash.name, bare.name}
    assert (told[dash.name]["manager"], told[dash.name]["namespace"], told[dash.name]["pod"]) == ("axled", "fleet", "dash-7")
    assert told[dash.name]["publish"] == ["Vehicle.TraveledDistance"]
    assert told[bare.name]["manager"] == "unmanaged" and told[bare.name]["read"] == []
    line = Line(dash.inside("dev/signal.sock"))
    assert line.ask("views").startswith("error denied")
    line.close()
    bare.call("kill", bare.name, "KILL")
    wait_for("it is gone", lambda: set(all_grants()) == {dash.name})
