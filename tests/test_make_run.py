"""`make run`: without a terminal it shows, takes itself down and says by its exit code whether all went well; on a terminal it
stays until Ctrl-C. Any number of them run beside each other."""
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).parents[1]
DEMO = ["/usr/bin/python3", str(ROOT / "tools/run-demo.py")]
SECONDS_MAX = 60


def start():
    return subprocess.Popen(DEMO, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_shows_every_step_and_goes(leak_check):
    output, _ = (process := start()).communicate(timeout=SECONDS_MAX)
    assert process.returncode == 0, output
    for step in ("axle pull", "axle images", "axle run --rm", "hello from a container", "axle ps", "axle exec", "axle logs",
                 "axle stop clock", "memory of the node"):
        assert step in output, output
    shown = output[output.index("axsignald --catalogue"):]
    assert re.search(r"cat \S*/signal/Vehicle/Speed\n  [\d.]+\n", shown), output  # on the host
    assert re.search(r"--name dash .*Speed@follow.*\n(  [\d.]+\n){3}", shown), output  # where it was granted
    assert re.search(r"--name radio .*\n.*No such file", shown), output  # where it was not
    assert not list(pathlib.Path("/tmp").glob("axle-run-*")) or "are gone" in output


def test_two_beside_each_other(leak_check):
    both = [start(), start()]
    for process in both:
        output, _ = process.communicate(timeout=2 * SECONDS_MAX)
        assert process.returncode == 0, output


def read_until(descriptor, text, seconds=SECONDS_MAX):
    output, deadline = "", time.monotonic() + seconds
    while text not in output:
        assert time.monotonic() < deadline, output
        if select.select([descriptor], [], [], 0.2)[0]:
            try:
                output += os.read(descriptor, 4096).decode(errors="replace")
            except OSError:  # the other end is closed
                break
    assert text in output, output
    return output


def on_terminal():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(DEMO[0], DEMO)
    return pid, terminal


def test_stays_on_a_terminal_until_interrupted(leak_check, stage):
    pid, terminal = on_terminal()
    output = read_until(terminal, "Ctrl-C takes everything down")
    socket = re.search(r"AXLE_SOCKET=(\S+)", output).group(1)
    done = subprocess.run([stage.program("axle"), "ps"], env={**os.environ, "AXLE_SOCKET": socket}, capture_output=True,
                          text=True, check=True)
    assert "clock" in done.stdout
    os.write(terminal, b"\x03")
    read_until(terminal, "are gone")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert not os.path.exists(socket)


def test_killed_manager_is_replaced(leak_check):
    """The third thing that it proposes to try."""
    pid, terminal = on_terminal()
    output = read_until(terminal, "Ctrl-C takes everything down")
    os.kill(int(re.search(r"kill -9 (\d+)", output).group(1)), signal.SIGKILL)
    output = read_until(terminal, "Ctrl-C takes everything down")
    assert "clock" in output
    os.write(terminal, b"\x03")
    read_until(terminal, "are gone")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
