"""Our client with Debian's grpc library as its server."""
import subprocess


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


def test_unary(program, python_server):
    done = run(program, "say", python_server, "grüße", 10000)
    assert (done.returncode, done.stdout) == (0, "grüße\n")


def test_errors_carry_their_message(program, python_server):
    done = run(program, "say", python_server, "fail")
    assert done.returncode == 1
    assert done.stderr == "grpc.status: no such thüng: 100%\n"


def test_server_stream(program, python_server):
    done = run(program, "count", python_server, 3000, 1000)
    assert (done.returncode, done.stdout) == (0, "3000 3000000\n")


def test_both_directions(program, python_server):
    done = run(program, "chat", python_server, 2000, 3000)
    assert (done.returncode, done.stdout) == (0, "2000 6000000\n")


def test_nobody_listens(program, folder):
    done = run(program, "say", folder / "none.sock", "x")
    assert done.returncode == 1
    assert "none.sock" in done.stderr
