"""axle run: what goes in, what comes out, and with which exit code."""
import json
import os
import signal
import subprocess
import time

import pytest


def test_output_errors_and_exit_code_are_the_programs(node, image):
    done = node.run("run", "--rm", image, "sh", "-c", "echo out; echo err >&2; exit 42")
    assert (done.returncode, done.stdout, done.stderr) == (42, "out\n", "err\n")


def test_image_is_pulled_when_it_is_missing(node, registry):
    done = node.run("run", "--rm", registry.image("busybox:latest"), "echo", "hi")
    assert done.returncode == 0
    assert done.stdout == "hi\n"
    assert "busybox" in done.stderr  # the progress of the pull
    again = node.run("run", "--rm", registry.image("busybox:latest"), "echo", "hi")
    assert again.stderr == ""


def test_rm_leaves_nothing(node, image):
    node.axle("run", "--rm", image, "true")
    assert node.axle("ps", "-aq") == ""


def test_without_rm_the_container_stays(node, image):
    node.axle("run", "--name", "left", image, "true")
    assert node.json("ps", "-a", "--format", "json")[0]["name"] == "left"
    node.axle("rm", "left")
    assert node.axle("ps", "-aq") == ""


def test_detached_prints_the_id_and_ends(node, run_detached):
    container = run_detached("sleep", "100", options=("--name", "web"))
    assert len(container) == 64
    assert node.axle("ps", "-q", "--no-trunc") == container
    node.axle("stop", "-t", "0", "web")


def test_detached_with_rm_goes_by_itself(node, run_detached, wait_until):
    run_detached("sleep", "0.2", options=("--rm",))
    wait_until(lambda: node.axle("ps", "-aq") == "")


def test_standard_input(node, image):
    assert node.run("run", "--rm", "-i", image, "cat", input="one\ntwo\n").stdout == "one\ntwo\n"


def test_standard_input_without_i_is_empty(node, image):
    assert node.run("run", "--rm", image, "cat", input="one\n").stdout == ""


def test_much_data_both_ways(node, image):
    data = os.urandom(8 << 20)
    done = node.run("run", "--rm", "-i", image, "cat", input=data, text=False)
    assert done.returncode == 0
    assert done.stdout == data


def test_no_output_is_lost_when_the_program_ends_at_once(node, image):
    for _ in range(10):
        assert node.axle("run", "--rm", image, "echo", "at once") == "at once"


def test_environment(node, image, folder):
    file = folder / "env"
    file.write_text("# comment\nFROM_FILE=1\nBOTH=file\n", encoding="utf-8")
    text = node.axle("run", "--rm", "--env-file", file, "-e", "BOTH=option", "-e", "HERE", "-e", "A=b c", image, "env",
                     env={"HERE": "taken over"})
    lines = text.split("\n")
    assert {"FROM_FILE=1", "BOTH=option", "HERE=taken over", "A=b c"} <= set(lines)
    assert any(line.startswith("PATH=") for line in lines)


def test_entry_point_command_and_folder(node, registry):
    image = registry.image("entrypoint:latest")
    assert node.axle("run", "--rm", image) == "entry default"
    assert node.axle("run", "--rm", image, "other") == "entry other"
    assert node.axle("run", "--rm", "--entrypoint", "/bin/pwd", "-w", "/tmp", image) == "/tmp"


def test_user(node, image, registry):
    assert node.axle("run", "--rm", "-u", "12:34", image, "id", "-u") == "12"
    assert node.axle("run", "--rm", "-u", "12:34", image, "id", "-g") == "34"
    app = registry.image("user:latest")
    as_app = node.axle("run", "--rm", app)
    assert as_app not in ("", "0")
    assert node.axle("run", "--rm", "-u", "0", app) == "0"


def test_volumes(node, image, folder):
    (folder / "in").write_text("from the host", encoding="utf-8")
    assert node.axle("run", "--rm", "-v", f"{folder}:/data", image, "sh", "-c",
                     "cat /data/in; echo back > /data/out") == "from the host"
    assert (folder / "out").read_text(encoding="utf-8") == "back\n"
    done = node.run("run", "--rm", "-v", f"{folder}:/data:ro", image, "touch", "/data/no")
    assert done.returncode == 1
    assert "Read-only" in done.stderr
    assert not (folder / "no").exists()


def test_read_only_root(node, image):
    done = node.run("run", "--rm", "--read-only", image, "touch", "/no")
    assert done.returncode == 1
    assert "Read-only" in done.stderr


def test_hostname_and_network(node, image):
    assert node.axle("run", "--rm", "--hostname", "car", image, "hostname") == "car"
    assert os.uname().nodename == node.axle("run", "--rm", "--network", "host", image, "hostname")
    links = node.axle("run", "--rm", image, "ls", "/sys/class/net").split()
    assert links == ["lo"]


def test_limits(node, image):
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"
    assert node.axle("run", "--rm", "-m", "64m", image, "sh", "-c", script) == str(64 << 20)
    done = node.run("run", "--name", "big", "-m", "16m", image, "sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x)")
    assert done.returncode == 137
    summary = node.json("inspect", "big")[0]["summary"]
    assert summary["exit"]["oom_killed"]
    assert summary["exit"]["reason"] == "OOMKilled"


def test_capabilities(node, image):
    def effective(*options):
        text = node.axle("run", "--rm", *options, image, "grep", "CapEff", "/proc/self/status")
        return int(text.split()[1], 16)
    chown, sys_admin = 1 << 0, 1 << 21
    assert effective() & chown and not effective() & sys_admin
    assert not effective("--cap-drop", "ALL") & chown
    assert effective("--cap-drop", "all", "--cap-add", "chown") == chown
    assert effective("--privileged") & sys_admin


def test_seccomp_is_on_unless_it_is_turned_off(node, image):
    script = ("grep", "Seccomp:", "/proc/self/status")
    assert node.axle("run", "--rm", image, *script).split()[1] == "2"
    assert node.axle("run", "--rm", "--security-opt", "seccomp=unconfined", image, *script).split()[1] == "0"


def test_two_containers_of_one_name(node, image, run_detached):
    run_detached("sleep", "100", options=("--name", "web"))
    done = node.run("run", "--name", "web", image, "true")
    assert done.returncode == 125
    assert "web" in done.stderr and done.stderr.count("\n") == 1
    assert node.axle("ps", "-a", "-q").count("\n") == 0


def test_create_and_start(node, image):
    container = node.axle("create", "--name", "later", image, "echo", "now")
    assert node.json("ps", "-a", "--format", "json")[0]["state"] == "CONTAINER_CREATED"
    assert node.axle("start", "-a", "later") == "now"
    done = node.run("start", container)
    assert done.returncode == 125
    assert "has ended" in done.stderr


def test_signals_are_passed_on(node, image, wait_until):
    script = "trap 'echo got it; exit 7' TERM; echo ready; while :; do sleep 0.1; done"
    process = node.popen("run", "--rm", image, "sh", "-c", script)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    assert (process.returncode, out) == (7, "got it\n")


def test_a_killed_cli_leaves_the_container(node, image, wait_until):
    process = node.popen("run", "--name", "stays", image, "sh", "-c", "echo ready; sleep 100")
    assert process.stdout.readline() == "ready\n"
    process.kill()
    process.communicate()
    time.sleep(0.2)
    assert node.json("ps", "--format", "json")[0]["name"] == "stays"


def test_a_reader_that_goes_away_ends_the_cli(node, image):
    process = node.popen("run", "--name", "endless", image, "yes")
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 128 + signal.SIGPIPE
    process.stdin.close()
    process.stderr.close()
    node.axle("rm", "-f", "endless")


def test_pull_policies(node, registry):
    image = registry.image("busybox:latest")
    done = node.run("run", "--rm", "--pull", "never", image, "true")
    assert done.returncode == 125
    assert "busybox" in done.stderr
    node.axle("run", "--rm", "--pull", "always", image, "true")
    node.axle("run", "--rm", "--pull", "never", image, "true")


@pytest.mark.parametrize("words, code, expected", [
    (("BUSYBOX", "nosuch"), 127, "nosuch"),
    (("BUSYBOX", "/etc"), 126, "/etc"),
    (("--entrypoint", "/no/such", "BUSYBOX"), 127, "/no/such"),
    (("EMPTY",), 127, "/nothing"),
    (("127.0.0.1:1/nothing:latest", "true"), 125, "127.0.0.1:1"),
    (("MISSING", "true"), 125, "missing"),
    (("BUSYBOX_IN_VAIN:::", "true"), 125, "BUSYBOX_IN_VAIN"),
    (("-w", "relative", "BUSYBOX", "true"), 125, "relative"),
    (("-u", "nobody-here", "BUSYBOX", "true"), 125, "nobody-here"),
    (("-v", "/no/such/place:/x", "BUSYBOX", "true"), 125, "/no/such/place"),
    (("-p", "80:80", "BUSYBOX", "true"), 125, "cannot be published"),
    (("-p", "80", "BUSYBOX", "true"), 125, "HOST:CONTAINER"),
    (("-p", "80:80", "--network", "host", "BUSYBOX", "true"), 125, "--network host"),
    (("--runtime", "nosuch", "BUSYBOX", "true"), 125, "nosuch"),
    (("--cap-add", "flying", "BUSYBOX", "true"), 125, "flying"),
])
def test_what_is_wrong_is_said_in_one_line(node, image, registry, words, code, expected):
    names = {"BUSYBOX": image, "EMPTY": registry.image("empty:latest"), "MISSING": registry.image("missing:latest")}
    done = node.run("run", "--quiet", "--rm", *[names.get(word, word) for word in words])
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.startswith("axle: ") and done.stderr.count("\n") == 1, done.stderr
    assert expected.lower() in done.stderr.lower()
    assert node.axle("ps", "-aq") == ""


def test_a_failed_start_is_remembered(node, image):
    node.run("run", "--name", "bad", image, "/no/such/program")
    found = node.json("inspect", "bad")[0]
    error = found["last_error"]
    assert error["reason"] == "runtime.executable-not-found"
    assert error["error"] == 2
    assert error["step"] and error["message"]
    assert "/no/such/program" in json.dumps(error)
    assert found["summary"]["exit"]["code"] == 127


def test_exec(node, run_detached):
    run_detached("sleep", "100", options=("--name", "web"))
    done = node.run("exec", "web", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert node.run("exec", "-i", "web", "cat", input="through").stdout == "through"
    assert node.axle("exec", "-e", "A=b", "-w", "/tmp", "-u", "5", "web", "sh", "-c", "echo $A $PWD $(id -u)") == "b /tmp 5"
    assert node.run("exec", "web", "nosuch").returncode == 127
    assert node.run("exec", "web", "/etc").returncode == 126
    assert node.axle("exec", "-d", "web", "touch", "/done") == ""
    assert node.run("exec", "nosuch", "true").returncode == 125


def test_exec_in_what_does_not_run(node, image):
    node.axle("run", "--name", "over", image, "true")
    done = node.run("exec", "over", "true")
    assert done.returncode == 125
    assert "exited" in done.stderr and done.stderr.count("\n") == 1


def test_attach_joins_the_streams(node, run_detached):
    run_detached("sh", "-c", "read line; echo got $line; exit 5", options=("-i", "--name", "talk"))
    process = node.popen("attach", "talk")
    out, err = process.communicate("hello\n", timeout=20)
    assert (process.returncode, out, err) == (5, "got hello\n", "")


def test_no_daemon(node, folder):
    done = node.run("ps", start=False, env={"AXLE_SOCKET": str(folder / "none.sock")})
    assert done.returncode == 125
    assert done.stderr == f"axle: cannot connect to {folder}/none.sock: is axled running?\n"


def test_no_permission(node, stage):
    """Root without the right to override modes, so that the tree need not be open to anybody else."""
    node.start()
    os.chown(node.socket, 65534, 65534)
    os.chmod(node.socket, 0o600)
    done = subprocess.run(["setpriv", "--bounding-set=-dac_override", stage.program("axle"), "ps"],
                          env=node.environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 125
    assert done.stderr.startswith("axle: ") and "permission denied" in done.stderr and done.stderr.count("\n") == 1
    assert node.socket in done.stderr
