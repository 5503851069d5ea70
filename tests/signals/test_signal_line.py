"""The line protocol and its Python module, against the installed service; files and socket are faces of one store."""
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from axsignald import wait_for

SPEED = "Vehicle.Speed"
FAN = "Vehicle.Cabin.HVAC.FanSpeed"


@pytest.fixture
def connect(module, signals):
    made = []

    def connect(name="test", service=signals):
        made.append(module.Signals(service.socket, name))
        return made[-1]

    yield connect
    for connection in made:
        connection.close()


def exchange(service, text):
    """What a one-line client gets, to the end."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(service.socket)
        client.sendall(text.encode())
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b"")).decode()


def test_socket_and_files_show_the_same(signals, connect):
    line = connect()
    line.set(SPEED, 88.5)
    assert signals.read("Vehicle/Speed") == "88.5\n"
    signals.write("Vehicle/Speed", "12")
    assert line.get(SPEED) == "12"
    assert exchange(signals, "get Vehicle/Speed\n") == "ok 12\n"


def test_errors_have_stable_codes(module, connect):
    line = connect()
    for code, call in (("unknown", lambda: line.set("Vehicle.Nothing", 1)), ("value", lambda: line.set(SPEED, "fast")),
                       ("range", lambda: line.set(FAN, 101)), ("no-provider", lambda: line.set(FAN, 50)),
                       ("filter", lambda: line.request("sub Vehicle.Speed@nonsense")),
                       ("syntax", lambda: line.request("jump"))):
        with pytest.raises(module.SignalError) as caught:
            call()
        assert caught.value.code == code
    with pytest.raises(module.SignalError) as caught:
        line.request("hello 2")
    assert caught.value.code == "version"
    assert line.get("Vehicle.IsMoving") is None


def test_subscriptions_with_wildcards_and_filters(connect):
    line, writer = connect(), connect()
    seen = []
    line.subscribe("Vehicle.Cabin.Door.**.IsOpen", seen.append)
    line.subscribe(SPEED + "@above=100", seen.append)
    line.run(0.1)
    claims = [writer.claim(path) for path, *_ in writer.list("Vehicle.Cabin.Door.*.*.IsOpen")]
    speed = writer.claim(SPEED)
    writer.request("ping")  # they stand: from here on each value is sent, not the last alone
    for claim in claims:
        claim.publish(True)
    for value in (50, 150, 90, 130):
        speed.publish(value)
    writer.request("ping")
    writer.close()
    wait_for("all updates came", lambda: (line.dispatch(0.01), len(seen) >= 7)[1])
    assert [(u.path, u.value) for u in seen if u.path == SPEED] == [(SPEED, "150"), (SPEED, "130"), (SPEED, None)]
    doors = [(u.path, u.value) for u in seen if u.path != SPEED]
    assert sorted(doors, key=str) == sorted([(claim.path, value) for claim in claims for value in ("true", None)], key=str)


def test_actuations_reach_their_provider_and_the_outcome_its_requester(module, connect):
    provider, user = connect("fan"), connect("app")
    asked = []

    def on_request(claim, request):
        asked.append(request.value)
        if int(request.value) > 90:
            return "too loud"
        claim.publish(request.value)
        return None

    provider.claim(FAN, on_request)
    provider.run(0.1)
    thread = threading.Thread(target=provider.run, args=(1.0,))
    thread.start()
    user.actuate(FAN, 40)
    assert user.get(FAN) == "40"
    with pytest.raises(module.SignalError) as caught:
        user.actuate(FAN, 95)
    assert (caught.value.code, str(caught.value)) == ("failed", "too loud (failed)")
    thread.join()
    assert asked == ["40", "95"]
    assert user.state(FAN)["publisher"].startswith("fan@")


def test_a_claim_ends_with_its_client(connect):
    provider, user = connect(), connect()
    provider.claim(SPEED).publish(5)
    provider.run(0.1)
    assert user.get(SPEED) == "5"
    provider.close()
    wait_for("the signal is unavailable", lambda: user.get(SPEED) is None)


def test_a_slow_reader_is_told_how_many_it_lost_and_gets_the_last(signals, connect):
    writer, reader = connect(), connect()
    claim = writer.claim(SPEED)
    writer.request("ping")
    claim.publish(0)
    with socket.socket(socket.AF_UNIX) as slow:
        slow.connect(signals.socket)
        slow.sendall(b"sub Vehicle.Speed@all\n")
        time.sleep(0.1)
        count, begun = 300_000, time.monotonic()
        for number in range(count):
            claim.publish(number % 250)
        while writer.to_send:
            writer.dispatch(0.1)
        writer.request("ping")
        rate = count / (time.monotonic() - begun)
        assert reader.get(SPEED) == str((count - 1) % 250)  # nobody else noticed
        slow.settimeout(1)
        text = b""
        try:
            while True:
                text += slow.recv(1 << 20)
        except TimeoutError:
            pass  # it has told all
    lines = text.decode().splitlines()
    updates = [line for line in lines if line.startswith("1 ")]
    lost = sum(int(line.split()[2]) for line in lines if line.startswith("lost 1 "))
    assert lost > 0
    assert lost + len(updates) == count + 1
    assert updates[-1] == f"1 {(count - 1) % 250}"
    assert reader.state(SPEED)["lost"] >= lost
    assert rate > 20_000, rate  # 100,000 without a sanitizer and other tests beside it: bench/ measures


def test_garbage_and_giants_hurt_nobody_else(signals, connect):
    line = connect()
    for bad in (b"\0\0\0\n", b"x" * 70_000 + b"\n", b"1 " + b"y" * 1_000_000 + b"\n", b"\xff\xfe\n", b"set\n" * 1000):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(signals.socket)
            client.sendall(bad + b"ping\n")
            client.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        assert answer.endswith(b"ok\n") and (b"error " in answer or b"refused 0 too-long" in answer), answer[:200]
    line.set(SPEED, 1)
    assert line.get(SPEED) == "1"


def test_clients_come_back_after_a_restart(signals, connect):
    provider, reader = connect("gps"), connect()
    seen = []
    provider.claim(SPEED).publish(7)
    reader.subscribe(SPEED, seen.append)
    provider.run(0.1)
    reader.run(0.1)
    signals.kill()
    signals.restart()

    def is_back():
        provider.dispatch(0.05)
        reader.dispatch(0.05)
        return len(seen) >= 2 and seen[-1].value == "7" and not provider.claims[0].error

    wait_for("both are back, with the value", is_back, 10)
    assert signals.read("Vehicle/Speed") == "7\n"


def test_what_a_user_may_not_do_is_denied(make_signals, module, folder):
    for parent in (folder, folder.parent):
        parent.chmod(0o711)
    service = make_signals(config='[[rule]]\npath = "Vehicle.Speed"\nowner = "root"\nmode = "0600"\n').start()
    service.folder.chmod(0o711)
    program = ("import sys, axle_signal\n"
               "s = axle_signal.Signals(sys.argv[1])\n"
               "for call in (lambda: s.get('Vehicle.Speed'), lambda: s.set('Vehicle.Speed', 1)):\n"
               "    try: print(call())\n"
               "    except axle_signal.SignalError as error: print(error.code)\n")
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c", program,
                           service.socket], env={"PYTHONPATH": os.path.dirname(module.__file__), "PYTHONDONTWRITEBYTECODE": "1"},
                          capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["denied", "denied"], done.stdout + done.stderr
