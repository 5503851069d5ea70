"""Debian's podman 4.3.1 with axrun as its runtime."""

import pytest

IMAGE = "localhost/busybox:axrun"


@pytest.fixture
def pod(podman, image_layout):
    podman.load(image_layout, "busybox", IMAGE)
    return podman


def test_run_and_exit_codes(pod):
    assert pod.podman("run", "--rm", IMAGE, "echo", "hi") == "hi"
    assert pod.run("run", "--rm", IMAGE, "sh", "-c", "exit 7").returncode == 7
    assert pod.run("run", "--rm", IMAGE, "nosuchprogram").returncode == 127
    assert pod.run("run", "--rm", IMAGE, "/etc").returncode == 126
    assert pod.run("run", "--rm", "-v", "/no/such:/x", IMAGE, "true").returncode in (125, 126)


def test_options(pod, folder):
    (folder / "file").write_text("of the host")
    read = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max"
    assert pod.podman("run", "--rm", "--memory", "64m", "--pids-limit", "50", IMAGE, "sh", "-c", read) == "67108864\n50"
    caps = pod.podman("run", "--rm", "--cap-drop", "all", IMAGE, "grep", "CapEff", "/proc/self/status")
    assert caps.split()[1] == "0" * 16
    assert "Read-only" in pod.run("run", "--rm", "--read-only", IMAGE, "touch", "/x").stderr
    assert pod.podman("run", "--rm", "-v", f"{folder}:/m:ro", IMAGE, "cat", "/m/file") == "of the host"
    assert pod.podman("run", "--rm", "--hostname", "some", IMAGE, "hostname") == "some"
    assert pod.podman("run", "--rm", "--user", "1000:1000", IMAGE, "id", "-u") == "1000"
    assert pod.podman("run", "--rm", "--network", "host", IMAGE, "ls", "/sys/class/net").split() == ["lo"]
    assert "1" in pod.podman("run", "--rm", "--security-opt", "no-new-privileges", IMAGE, "grep", "NoNewPrivs",
                             "/proc/self/status")
    assert "2" in pod.podman("run", "--rm", IMAGE, "grep", "Seccomp:", "/proc/self/status")


def test_user_namespace(pod):
    out = pod.podman("run", "--rm", "--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536", IMAGE, "sh", "-c",
                     "cat /proc/self/uid_map; id -u; echo x > /dev/null && echo usable")
    assert "100000" in out and out.endswith("0\nusable")


def test_life_of_a_detached_container(pod):
    one = pod.podman("run", "-d", IMAGE, "sh", "-c", "echo started; while :; do sleep 0.1; done")
    assert pod.podman("exec", "-e", "A=b", one, "sh", "-c", "echo $A") == "b"
    assert pod.run("exec", one, "nosuch").returncode == 127
    assert pod.run("exec", one, "sh", "-c", "exit 9").returncode == 9
    pod.podman("pause", one)
    assert pod.podman("inspect", "--format", "{{.State.Status}}", one) == "paused"
    pod.podman("unpause", one)
    assert pod.podman("logs", one) == "started"
    pod.podman("kill", "-s", "KILL", one)
    assert pod.podman("wait", one) == "137"
    pod.podman("start", one)
    pod.run("stop", "-t", "0", one)
    pod.podman("rm", one)
    assert pod.podman("ps", "-aq") == ""


def test_terminal(pod, make_terminal):
    terminal = make_terminal(pod.command("run", "--rm", "-it", IMAGE, "tty"), pod.environ())
    assert terminal.end() == 0
    assert "/dev/pts/0" in terminal.text


def test_memory_limit_kills(pod):
    eat = "x=$(head -c 60m /dev/zero | tr '\\0' a)"
    done = pod.run("run", "--name", "eater", "--memory", "20m", "--memory-swap", "20m", IMAGE, "sh", "-c", eat)
    assert done.returncode == 137
    pod.podman("rm", "eater")
