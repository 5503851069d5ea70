"""Exec and Attach over SPDY/3.1, with a client of our own."""
import time

import pytest

import cri as cri_module
import spdy
from conftest import ROOT, wait_until
from streaming_client import attach, attach_url, commands_with, exec_url, long_sleep, run


@pytest.fixture
def node(make_node, request):
    """With a parameter: its configuration."""
    return make_node(getattr(request, "param", ""))


@pytest.fixture
def container(kubelet):
    return kubelet.start(kubelet.run_pod())


# Exec.

@pytest.mark.parametrize("windows", [False, True])
def test_exec_gives_output_and_exit_code(kubelet, container, windows):
    command = run(kubelet, container, ["sh", "-c", "echo out; echo err >&2; exit 5"], windows)
    assert command.session.protocol == "v4.channel.k8s.io"
    assert command.stdout.read_all() == b"out\n"
    assert command.stderr.read_all() == b"err\n"
    status = command.error.status()
    assert status["status"] == "Failure" and status["reason"] == "NonZeroExitCode"
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "5"}]
    assert "exit status 5" in status["message"]
    command = run(kubelet, container, ["true"], windows)
    assert command.error.status() == {"metadata": {}, "status": "Success"}
    command = run(kubelet, container, ["sh", "-c", "kill -9 $$"], windows)
    assert command.exit_code() == 137


@pytest.mark.parametrize("windows", [False, True])
def test_input_goes_through_whole_and_ends_with_the_half_close(kubelet, container, windows):
    command = run(kubelet, container, ["cat"], windows, stdin=True)
    data = bytes(range(256)) * 4096  # 1 MiB: many windows
    command.stdin.send(data, fin=True)
    assert command.stdout.read_all() == data
    assert command.exit_code() == 0
    assert command.session.updates > 0


@pytest.mark.parametrize("windows", [False, True])
def test_much_output_comes_whole_to_a_slow_reader(kubelet, container, windows):
    command = run(kubelet, container, ["sh", "-c", "head -c 8000000 /dev/zero; echo end"], windows, receive_bytes=16384)
    command.session.paused.set()
    time.sleep(0.5)  # long enough for everything on the way to fill
    command.session.paused.clear()
    assert command.stdout.read_all() == bytes(8000000) + b"end\n"
    assert command.exit_code() == 0


def test_a_terminal_has_one_stream_a_size_and_job_control(kubelet, container):
    command = run(kubelet, container, ["sh"], stdin=True, tty=True)
    command.resize(101, 43)
    command.stdin.send(b"stty size; echo \"rows\"-set\n")
    assert b"43 101" in command.stdout.read_until(b"rows-set")
    command.resize(80, 24)
    command.resize(132, 50)
    command.stdin.send(b"stty size; echo \"size\"-changed; test -t 2 && echo is-a-\"terminal\"\n")
    out = command.stdout.read_until(b"is-a-terminal")
    assert b"50 132" in out
    number = long_sleep()
    command.stdin.send(f"sleep {number}\n".encode())
    wait_until(lambda: commands_with(f"sleep {number}"), "the sleep")
    command.stdin.send(b"\x03")  # Ctrl-C
    wait_until(lambda: not commands_with(f"sleep {number}"), "its end")
    command.stdin.send(b"echo \"was\"-interrupted; exit 3\n")
    command.stdout.read_until(b"was-interrupted")
    assert command.exit_code() == 3


def test_nonsense_as_a_size_leaves_the_terminal_alone(kubelet, container):
    command = run(kubelet, container, ["sh"], stdin=True, tty=True)
    command.resize(90, 30)
    command.resizes.send(b'{"Width": "x", "Height": {}}' + b"[" * 10000)
    command.resizes.wait(lambda: command.resizes.reset, "the refusal")
    command.stdin.send(b"stty size; exit\n")
    assert b"30 90" in command.stdout.read_all()
    assert command.exit_code() == 0


@pytest.mark.parametrize("protocol, name", [("v3.channel.k8s.io",) * 2, ("v2.channel.k8s.io",) * 2, ("channel.k8s.io",) * 2,
                                            (None, None)])
def test_older_protocols_say_failures_as_text(kubelet, container, protocol, name):
    protocols = [protocol] if protocol else []
    command = run(kubelet, container, ["sh", "-c", "echo out; exit 4"], protocols=protocols)
    assert command.session.protocol == name
    assert command.stdout.read_all() == b"out\n"
    assert command.error.read_all() == b"command terminated with non-zero exit code: exit status 4"
    assert run(kubelet, container, ["true"], protocols=protocols).error.read_all() == b""


def test_the_best_protocol_is_agreed_on(kubelet, container):
    url = exec_url(kubelet, container, ["true"])
    with spdy.connect(url, ["v9.channel.k8s.io", "channel.k8s.io", "v3.channel.k8s.io"]) as session:
        assert session.protocol == "v3.channel.k8s.io"


def test_what_cannot_be_run_is_said_on_the_error_stream(kubelet, container):
    status = run(kubelet, container, ["/no/such/program"]).error.status()
    assert status["status"] == "Failure" and status["reason"] == "InternalError" and status["code"] == 500
    assert "/no/such/program" in status["message"]
    assert status["message"].startswith("Internal error occurred: error executing command in container: ")


def test_a_descendant_that_keeps_the_output_open_is_not_waited_for(kubelet, container):
    command = run(kubelet, container, ["sh", "-c", "sleep 1234 & echo started"])
    assert command.stdout.read_all() == b"started\n"
    assert command.exit_code() == 0


def test_streams_that_nobody_asked_for_are_refused(kubelet, container):
    url = exec_url(kubelet, container, ["cat"], stdin=True, stderr=False)
    with spdy.connect(url) as session:
        error, stdin = session.open(streamtype="error"), session.open(streamtype="stdin")
        assert session.open(streamtype="stderr").reset == spdy.REFUSED_STREAM
        assert session.open(streamtype="stdin").reset == spdy.REFUSED_STREAM
        assert session.open(streamtype="video").reset == spdy.REFUSED_STREAM
        assert session.open().reset == spdy.REFUSED_STREAM
        stdout = session.open(streamtype="stdout")
        stdin.send(b"through", fin=True)
        assert stdout.read_all() == b"through"
        assert error.status()["status"] == "Success"


def test_pings_are_answered_and_frames_of_no_meaning_skipped(kubelet, container):
    command = run(kubelet, container, ["cat"], stdin=True)
    session = command.session
    session.write(spdy.control(spdy.PING, (1).to_bytes(4, "big")) + spdy.control(10, b"?") + spdy.control(0x7777, b"") +
                  spdy.control(spdy.PING, (2).to_bytes(4, "big")) + spdy.control(spdy.PING, (3).to_bytes(4, "big")))
    session.wait(lambda: len(session.pongs) == 2, "the answers")
    assert session.pongs == [1, 3]  # an even number would be an answer itself
    command.stdin.finish()
    assert command.exit_code() == 0


# What has ended, and what was never allowed.

def test_only_running_containers(kubelet, refused):
    pod = kubelet.run_pod()
    container = kubelet.create(pod)
    for call in (lambda: exec_url(kubelet, container, ["true"]), lambda: attach_url(kubelet, container)):
        with refused("FAILED_PRECONDITION", "created"):
            call()
    kubelet.StartContainer(container_id=container)
    late_exec, late_attach = exec_url(kubelet, container, ["true"]), attach_url(kubelet, container)
    kubelet.StopContainer(container_id=container)
    with refused("FAILED_PRECONDITION", "exited"):
        exec_url(kubelet, container, ["true"])
    for url in (late_exec, late_attach):  # it ended between the call and the connection
        status = spdy.Command(spdy.connect(url)).error.status()
        assert status["reason"] == "InternalError" and "does not run" in status["message"]
    with refused("NOT_FOUND"):
        exec_url(kubelet, "f" * 64, ["true"])
    with refused("NOT_FOUND"):
        attach_url(kubelet, "f" * 64)
    with refused("FAILED_PRECONDITION", "stopped"):
        kubelet.StopPodSandbox(pod_sandbox_id=pod)
        kubelet.PortForward(pod_sandbox_id=pod)


def test_requests_that_make_no_sense(kubelet, container, refused):
    with refused("INVALID_ARGUMENT", "tty"):
        kubelet.Exec(container_id=container, cmd=["true"], tty=True, stdout=True, stderr=True)
    with refused("INVALID_ARGUMENT", "stdin"):
        kubelet.Exec(container_id=container, cmd=["true"])
    with refused("INVALID_ARGUMENT", "command"):
        kubelet.Exec(container_id=container, stdout=True)
    with refused("INVALID_ARGUMENT", "stdin"):
        kubelet.Attach(container_id=container)


def test_the_end_of_the_container_ends_its_sessions(kubelet, container):
    executed = run(kubelet, container, ["sh", "-c", "echo up; sleep 1000"])
    executed.stdout.read_until(b"up")
    attached = attach(kubelet, container)
    kubelet.StopContainer(container_id=container, timeout=5)
    assert executed.exit_code() in (137, 143)
    assert attached.error.status() == {"metadata": {}, "status": "Success"}


# Attach.

def test_attach_shows_what_comes_from_now_on(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "while read line; do echo got $line; echo err $line >&2; done"], stdin=True)
    one, two = attach(kubelet, container, stdin=True), attach(kubelet, container)
    one.stdin.send(b"hello\n")
    for client in (one, two):
        client.stdout.read_until(b"got hello\n")
        client.stderr.read_until(b"err hello\n")
    one.stdin.finish()  # without stdin_once the container's input stays open
    three = attach(kubelet, container, stdin=True)
    three.stdin.send(b"again\n")
    three.stdout.read_until(b"got again\n")
    two.stdout.read_until(b"got again\n")
    assert kubelet.state(container) == "CONTAINER_RUNNING"
    two.session.abort()
    three.stdin.send(b"still\n")
    one.stdout.read_until(b"got still\n")


def test_stdin_once_ends_the_input_with_its_first_client(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["cat"], stdin=True, stdin_once=True)
    client = attach(kubelet, container, stdin=True)
    client.stdin.send(b"all of it", fin=True)
    assert client.stdout.read_all() == b"all of it"
    assert client.error.status()["status"] == "Success"
    assert kubelet.wait(container).get("exit_code", 0) == 0


def test_attach_to_a_terminal(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh"], stdin=True, tty=True)
    client = attach(kubelet, container, stdin=True, tty=True)
    client.resize(99, 33)
    client.stdin.send(b"stty size; echo \"it is\" said\n")
    assert b"33 99" in client.stdout.read_until(b"it is said")
    client.stdin.send(b"exit 9\n")
    assert client.error.status()["status"] == "Success"
    assert kubelet.wait(container)["exit_code"] == 9


# A client that vanishes.

@pytest.mark.parametrize("how", ["close", "abort"])
@pytest.mark.parametrize("tty", [False, True])
def test_a_client_that_vanishes_hangs_up_all_that_it_started(kubelet, container, how, tty):
    number = long_sleep()
    # the shell waits for a child that does not care for input or output
    command = run(kubelet, container, ["sh", "-c", f"sleep {number}; echo never"], stdin=True, tty=tty)
    wait_until(lambda: len(commands_with(f"sleep {number}")) >= 2, "the shell and its child")
    getattr(command.session, how)()
    wait_until(lambda: not commands_with(f"sleep {number}"), "their end", seconds=30)
    assert kubelet.state(container) == "CONTAINER_RUNNING"


def test_who_ignores_the_hang_up_goes_on(kubelet, container):
    number = long_sleep()
    command = run(kubelet, container, ["sh", "-c", f"trap '' HUP; exec sleep {number}"])
    wait_until(lambda: commands_with(f"sleep {number}"), "the command")
    command.session.abort()
    other_number = long_sleep()
    other = run(kubelet, container, ["sleep", other_number])
    wait_until(lambda: commands_with(f"sleep {other_number}"), "the other command")
    other.session.abort()
    wait_until(lambda: not commands_with(f"sleep {other_number}"), "the other command's end", seconds=30)
    assert commands_with(f"sleep {number}")


def test_axled_ends_while_clients_are_there(kubelet, container, node):
    command = run(kubelet, container, ["sleep", "1000"], stdin=True)
    attached = attach(kubelet, container)
    pod = kubelet.ListPodSandbox()["items"][0]["id"]
    forwarded = spdy.connect(kubelet.PortForward(pod_sandbox_id=pod)["url"], spdy.FORWARD)
    assert node.stop() == 0
    for session in (command.session, attached.session, forwarded):
        session.wait(lambda: False, "the end of the connection")
        assert session.gone
    node.start()
    client = cri_module.connect(str(ROOT), node.cri_socket)  # a connection of its own: the other one broke
    wait_until(lambda: client.ContainerStatus(container_id=container)["status"].get("state") == "CONTAINER_RUNNING", "the container",
               seconds=30)
    client.close()
    kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)


@pytest.mark.parametrize("node", ["[streaming]\ncreation-timeout-s = 1\nidle-timeout-s = 2\n"], indirect=True)
def test_times_are_kept(kubelet, container, node):
    url = exec_url(kubelet, container, ["true"])
    session = spdy.connect(url)
    session.open(streamtype="error")  # and nothing more
    session.wait(lambda: False, "the end", seconds=30)
    assert session.gone
    number = long_sleep()
    command = run(kubelet, container, ["sleep", number])  # nobody says anything
    command.session.wait(lambda: False, "the end", seconds=30)
    assert command.session.gone
    wait_until(lambda: not commands_with(f"sleep {number}"), "the command's end", seconds=30)
    busy = run(kubelet, container, ["sh", "-c", "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done"])
    assert busy.stdout.read_all() == b"1\n2\n3\n4\n5\n6\n7\n8\n"  # longer than the limit, but never idle for so long
    assert busy.exit_code() == 0
