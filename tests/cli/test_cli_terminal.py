"""axle run -it, exec -it, attach: with a terminal on this side."""
import os
import signal
import time


def test_a_shell(make_terminal, image):
    terminal = make_terminal("run", "--rm", "-it", image, "sh")
    terminal.wait_for(r"# ")
    terminal.type("echo $((6*7)); tty\r")
    terminal.wait_for(r"\r\n42\r\n/dev/pts/\d+\r\n")
    terminal.wait_for(r"# ")
    terminal.type("exit 9\r")
    assert terminal.end() == 9
    assert terminal.settings() == terminal.before


def test_keys_reach_the_container_as_they_are(make_terminal, image):
    terminal = make_terminal("run", "--rm", "-it", image, "sh", "-c",
                             "trap 'echo interrupted; exit 3' INT; echo ready; while :; do sleep 1; done")
    terminal.wait_for("ready")
    assert terminal.is_raw()
    terminal.type("\x03")
    terminal.wait_for("interrupted")
    assert terminal.end() == 3


def test_size_and_resizing(make_terminal, image):
    terminal = make_terminal("run", "--rm", "-it", image, "sh", rows=33, columns=99)
    terminal.wait_for("# ")
    terminal.type("stty size\r")
    terminal.wait_for(r"33 99")
    terminal.resize(44, 111)
    os.kill(terminal.process.pid, signal.SIGWINCH)
    time.sleep(0.2)
    terminal.type("stty size\r")
    terminal.wait_for(r"44 111")
    terminal.type("exit\r")
    assert terminal.end() == 0


def test_detaching_and_coming_back(make_terminal, node, image):
    terminal = make_terminal("run", "-it", "--name", "shell", image, "sh")
    terminal.wait_for("# ")
    terminal.type("x=kept\r")
    terminal.wait_for("# ")
    terminal.type("\x10\x11")
    assert terminal.end() == 0
    assert terminal.settings() == terminal.before
    assert node.json("ps", "--format", "json")[0]["name"] == "shell"
    again = make_terminal("attach", "shell")
    time.sleep(0.3)
    again.type("echo $x; exit 4\r")
    again.wait_for("kept\r\n")
    assert again.end() == 4


def test_other_detach_keys(make_terminal, image):
    terminal = make_terminal("run", "-it", "--detach-keys", "ctrl-a,d", image, "cat")
    time.sleep(0.5)
    terminal.type("\x10\x11x\r")
    terminal.wait_for("x")
    terminal.type("\x01d")
    assert terminal.end() == 0


def test_the_terminal_comes_back_when_the_cli_is_ended(make_terminal, node, image):
    for number in signal.SIGTERM, signal.SIGHUP:
        terminal = make_terminal("run", "-it", "--name", f"ended{number}", image, "sh")
        terminal.wait_for("# ")
        assert terminal.is_raw()
        terminal.process.send_signal(number)
        assert terminal.end() == 128 + number
        assert terminal.settings() == terminal.before


def test_the_terminal_comes_back_when_the_daemon_dies(make_terminal, node, image):
    terminal = make_terminal("run", "-it", "--name", "orphan", image, "sh")
    terminal.wait_for("# ")
    node.kill()
    assert terminal.end() == 125
    assert terminal.settings() == terminal.before
    assert "the connection to axled was lost" in terminal.plain()
    node.start()
    assert node.json("ps", "--format", "json")[0]["name"] == "orphan"


def test_exec_with_a_terminal(make_terminal, run_detached):
    run_detached("sleep", "100", options=("--name", "web"))
    terminal = make_terminal("exec", "-it", "web", "sh")
    terminal.wait_for("# ")
    terminal.type("tty && exit 6\r")
    terminal.wait_for("/dev/pts/")
    assert terminal.end() == 6
    assert terminal.settings() == terminal.before


def test_a_terminal_for_the_container_alone(node, image):
    done = node.run("run", "--rm", "-t", image, "sh", "-c", "tty; echo err >&2", text=False)
    assert done.returncode == 0
    assert done.stdout.startswith(b"/dev/pts/")
    assert done.stdout.endswith(b"err\r\n")


def test_pull_draws_bars(make_terminal, registry):
    terminal = make_terminal("pull", registry.image("layers:latest"))
    assert terminal.end() == 0
    text = terminal.plain()
    assert "\x1b[" in terminal.text
    assert text.count("done") >= 3
    assert "sha256:" in text
