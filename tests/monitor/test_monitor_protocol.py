"""The protocol: versions, order, hostile packets, stuck clients."""
import json
import os
import signal
import socket

import pytest

import axmon


@pytest.fixture
def idle(monitor):
    """A monitor without a container."""
    one = monitor("sleep", "1000")
    one.spawn()
    return one


@pytest.fixture
def running(monitor):
    one = monitor("sleep", "1000")
    one.run()
    yield one
    one.connection.close()
    one.connection = one.connect()
    one.connection.call("signal", signal={"signal": signal.SIGKILL})
    one.wait_exited()


def refused_by(action):
    with pytest.raises(axmon.Refused) as refused:
        action()
    return refused.value.error


def is_closed(connection):
    try:
        connection.receive(5)
    except axmon.Gone:
        return True
    return False


def test_versions_are_agreed_on(monitor):
    one = monitor("true")
    connection = one.spawn(greet=False)
    assert connection.hello(version=7, oldest=1)["hello"]["version"] == 1


@pytest.mark.parametrize("version, oldest", [(7, 2), (0, 0)])
def test_a_version_that_one_side_does_not_speak_is_refused(monitor, version, oldest):
    one = monitor("true")
    connection = one.spawn(greet=False)
    error = refused_by(lambda: connection.hello(version, oldest))
    assert error["reason"] == "monitor.version"
    assert f"{oldest} to {version}" in error["message"] and "1 to 1" in error["message"]
    assert is_closed(connection)
    assert one.processes[-1].wait(10) == 0


def test_hello_comes_first(monitor):
    one = monitor("true")
    connection = one.spawn(greet=False)
    assert refused_by(lambda: connection.call("state"))["reason"] == "monitor.hello-expected"
    assert is_closed(connection)


def test_an_unknown_op_is_refused_and_the_connection_kept(idle):
    assert refused_by(lambda: idle.connection.call("levitate"))["reason"] == "monitor.unknown-op"
    assert refused_by(lambda: idle.connection.call("exited"))["reason"] == "monitor.unknown-op"
    assert idle.connection.call("state")["state"]["phase"] == "idle"


@pytest.mark.parametrize("packet", [
    b"not json", b"{}", b"[]", b'{"id":1}', b'{"id":1,"op":7}', b'{"id":0,"op":"state"}', b'{"id":-1,"op":"state"}',
    b'{"id":9,"op":"signal"}', b'{"id":9,"op":"signal","signal":{"signal":"KILL"}}', b'{"id":9,"op":"create","config":{}}',
    b'{"id":9,"op":"state","descriptors":["a","b"]}', b"\xff" * 100, b'{"id":9,"op":"state"}' + b" " * 65536,
    b"[" * 60000,
], ids=range(14))
def test_what_is_no_message_ends_the_connection_and_nothing_else(running, packet):
    other = running.connect()
    fds_open = len(os.listdir(f"/proc/{running.pid}/fd"))
    read_end, write_end = os.pipe()
    other.send_raw(packet, [read_end])
    os.close(read_end)
    try:
        assert "error" in other.receive(5)
        assert is_closed(other)
    except axmon.Gone:
        pass
    with pytest.raises(BrokenPipeError):  # the descriptor that came along was closed
        os.write(write_end, b"x")
    os.close(write_end)
    assert running.connection.call("state")["state"]["phase"] == "running"
    axmon.wait_until(lambda: len(os.listdir(f"/proc/{running.pid}/fd")) < fds_open)


def test_too_many_descriptors_end_the_connection(running):
    other = running.connect()
    other.send_raw(b'{"id":5,"op":"state"}', [0] * 9)
    assert is_closed(other)
    assert running.connection.call("state")["state"]["phase"] == "running"


def test_a_client_that_does_not_read_is_disconnected(running):
    stuck = running.connect()
    stuck.socket.setblocking(False)
    try:
        for _ in range(100_000):
            stuck.send("state")
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    assert running.connection.call("state", timeout=2)["state"]["phase"] == "running"


def test_events_to_a_client_that_does_not_read_hold_up_nobody(running):
    stuck = running.connect()
    stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for number in range(60):
        assert running.exec_output(f"s{number}", "true")[1]["exit_code"] == 0
    stuck.close()


def test_more_clients_than_the_limit_are_turned_away(running):
    connections = [running.connect() for _ in range(15)]
    late = axmon.Connection.to(running.config["socket"])
    running.connections.append(late)
    with pytest.raises((axmon.Gone, BrokenPipeError)):
        late.hello()
    for connection in connections:
        connection.close()
    axmon.wait_until(lambda: accepts(running))


def accepts(one):
    try:
        one.connect()
        return True
    except (axmon.Gone, BrokenPipeError):
        return False


def test_the_socket_is_roots_alone(running):
    assert os.stat(running.config["socket"]).st_mode & 0o777 == 0o600
    os.chmod(running.config["socket"], 0o666)
    os.chmod(running.folder, 0o755)
    child = os.fork()
    if child == 0:
        try:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            folder = os.open(running.folder, os.O_PATH)
            os.setgid(65534)
            os.setuid(65534)
            sock.connect(f"/proc/self/fd/{folder}/socket")
            axmon.Connection(sock).hello()
            os._exit(1)
        except (axmon.Gone, BrokenPipeError):
            os._exit(0)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("change, named", [
    ({"id": "../escape"}, "id"), ({"id": "-rf"}, "id"), ({"bundle": "relative"}, "bundle"),
    ({"record_dir": "/does/not/exist"}, "/does/not/exist"), ({"log": {"path": "relative"}}, "log.path"),
    ({"log": {"path": "/tmp/x", "files": 100000}}, "log.files"),
])
def test_a_bad_configuration_is_refused_by_name(idle, change, named):
    error = refused_by(lambda: idle.connection.call("create", config={**idle.config, **change}))
    assert named in error["message"]


@pytest.mark.parametrize("op, members", [
    ("start", {}), ("signal", {"signal": {"signal": 9}}), ("attach", {"attach": {"with_stdout": True}}),
    ("exec", {"exec": {"session": "s"}}), ("resize", {"resize": {"rows": 1, "columns": 1}}), ("reopen-log", {}),
])
def test_requests_out_of_order_are_refused(idle, op, members):
    assert refused_by(lambda: idle.connection.call(op, **members))["code"] < 0
    assert idle.connection.call("state")["state"]["phase"] == "idle"


def test_create_or_start_twice_is_refused(running):
    assert refused_by(lambda: running.connection.call("create", config=running.config))["reason"] == "monitor.phase"
    assert refused_by(running.start)["reason"] == "monitor.phase"
    assert refused_by(lambda: running.connection.call("quit"))["reason"] == "monitor.phase"


def test_a_signal_out_of_range_is_refused(running):
    for number in (0, -9, 65, 1 << 30):
        assert refused_by(lambda n=number: running.connection.call("signal", signal={"signal": n}))["code"] == -22


def test_every_client_is_told(running):
    other = running.connect()
    running.exec("told", "sh", "-c", "exit 3")
    for connection in (running.connection, other):
        assert connection.wait_event("exec-exited")["exec_exit"]["exit_code"] == 3


def test_an_idle_monitor_ends_with_its_client(idle):
    idle.connection.close()
    assert idle.processes[-1].wait(10) == 0


def test_started_by_hand_it_says_who_starts_it(stage):
    import subprocess
    done = subprocess.run([stage.program("axmon")], capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert "started by axled" in done.stderr and done.stderr.count("\n") == 1
    assert json.dumps(done.stdout) == '""'
