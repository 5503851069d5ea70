"""From registry to logs, through every process, the way a user does it (issue "One node, end to end")."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

import sandbox
import stage as stage_module

ROOT = pathlib.Path(__file__).parents[1]
TICKING = ["sh", "-c", "trap 'exit 3' TERM; while :; do echo tick; sleep 0.1 & wait; done"]


def wait_until(condition, what, seconds=10):
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def state_of(node, name):
    """What `axle inspect` says of a container: its one row."""
    rows = node.json("inspect", name)
    return rows[0] if isinstance(rows, list) else rows


def summary(node, name):
    row = state_of(node, name)
    return row.get("summary", row)


def names(node, *options):
    """The names that `axle ps` lists."""
    return [row["Names"] if "Names" in row else row["name"] for row in node.json("ps", *options, "--format", "json")]


def running(node, name):
    return name in names(node)


def pid_of(node, name):
    return int(summary(node, name)["pid"])


def test_registry_to_container_and_back(node, registry):
    image = registry.image("busybox:latest")
    node.axle("pull", image)
    assert registry.image("busybox") in node.axle("images")
    assert node.axle("run", "--rm", image, "echo", "hi") == "hi"
    assert node.axle("ps", "-aq") == ""

    identity = node.axle("run", "-d", "--name", "ticker", image, *TICKING)
    assert len(identity) == 64
    assert running(node, "ticker")
    wait_until(lambda: "tick" in node.axle("logs", "ticker"), "a line in the log")
    assert node.axle("exec", "ticker", "cat", "/proc/1/comm") == "sh"
    node.axle("stop", "ticker")
    assert not running(node, "ticker")
    assert node.axle("ps", "-aq", "--no-trunc") == identity
    node.axle("rm", "ticker")
    assert node.axle("ps", "-aq") == ""
    node.axle("rmi", image)
    assert registry.image("busybox") not in node.axle("images")


@pytest.mark.parametrize("name,wanted", [
    ("entrypoint", "entry default"), ("zstd", "zstd"), ("uncompressed", "uncompressed"), ("multi", "here"),
])
def test_kinds_of_image_run(node, registry, name, wanted):
    assert node.axle("run", "--rm", registry.image(name)) == wanted


def test_docker_schema_2_image_runs(node, registry):
    assert node.axle("run", "--rm", registry.image("docker-schema2"), "echo", "v2s2") == "v2s2"


def test_image_configuration_is_honoured(node, registry):
    image = registry.image("user")
    assert node.axle("run", "--rm", image) == "1000"
    assert node.axle("run", "--rm", image, "sh", "-c", "pwd; echo $GREETING; id -g") == "/home/app\nhello\n1000"


def test_layers_take_back_what_those_below_brought(node, registry):
    found = node.axle("run", "--rm", registry.image("layers"), "sh", "-c", "find /data /opaque /again | sort; cat /data/changed")
    assert found.split("\n") == ["/again", "/again/new", "/data", "/data/changed", "/data/hard", "/data/kept", "/opaque",
                                 "/opaque/new", "new"]


def test_container_sees_its_own_world(node, registry):
    """Its own pid 1, its own host name, no interface but loopback or the host's, no process of others."""
    image = registry.image("busybox")
    assert node.axle("run", "--rm", image, "sh", "-c", "echo $$; ls /proc | grep -c '^[0-9]'").split("\n")[0] == "1"
    assert node.axle("run", "--rm", "--hostname", "wheel", image, "hostname") == "wheel"


def test_limits_reach_the_cgroup(node, registry):
    node.axle("run", "-d", "--name", "small", "--memory", "32m", registry.image("busybox"), *TICKING)
    with open(f"/proc/{pid_of(node, 'small')}/cgroup", encoding="utf-8") as file:
        groups = dict(line.rstrip("\n").split(":", 2)[1:] for line in file)
    if "memory" in groups:
        limit = pathlib.Path("/sys/fs/cgroup/memory" + groups["memory"], "memory.limit_in_bytes")
    else:
        limit = pathlib.Path("/sys/fs/cgroup" + groups[""], "memory.max")
    assert int(limit.read_text(encoding="ascii")) == 32 << 20


def test_same_pod_over_cri(node, registry):
    """What `axle run` made is a pod of the same socket's CRI, and none of cri.sock's."""
    import cri
    node.axle("run", "-d", "--name", "shared", registry.image("busybox"), *TICKING)
    own = cri.connect(str(ROOT), node.socket)
    other = cri.connect(str(ROOT), node.cri_socket)
    try:
        assert [item["metadata"]["name"] for item in own.ListPodSandbox()["items"]] == ["shared"]
        assert [item["metadata"]["name"] for item in own.ListContainers()["containers"]] == ["shared"]
        assert other.ListPodSandbox() == {}
        assert other.ListContainers() == {}
    finally:
        own.close()
        other.close()


def test_two_nodes_do_not_meet(make_node, registry):
    first, second = make_node(), make_node()
    image = registry.image("busybox")
    first.axle("run", "-d", "--name", "same", image, *TICKING)
    second.axle("run", "-d", "--name", "same", image, *TICKING)
    assert first.axle("ps", "-q") != second.axle("ps", "-q")
    first.axle("rm", "-f", "same")
    assert running(second, "same")
    assert first.cgroups() == [] or all(second.name not in path for path in first.cgroups())


def test_exit_codes_are_the_programs_own(node, registry):
    image = registry.image("busybox")
    assert node.run("run", "--rm", image, "sh", "-c", "exit 7").returncode == 7
    node.axle("run", "-d", "--name", "c", image, *TICKING)
    assert node.run("exec", "c", "sh", "-c", "exit 9").returncode == 9
    assert node.run("exec", "c", "sh", "-c", "kill -9 $$").returncode == 137
    os.kill(pid_of(node, "c"), signal.SIGKILL)
    wait_until(lambda: not running(node, "c"), "the end of a killed container")
    assert summary(node, "c")["exit"]["code"] == 137


# What a user types, the exit code that podman's users expect, and the words that the one line must hold.
BAD_RUNS = [
    (["run", "--rm", "{registry}/nosuch:1"], 125, ["nosuch"]),
    (["pull", "{registry}/nosuch:1"], 125, ["nosuch"]),
    (["run", "--rm", "127.0.0.1:1/busybox"], 125, ["127.0.0.1:1"]),
    (["run", "--rm", "{registry}/foreign"], 125, ["foreign"]),
    (["run", "--rm", "UPPER/case:::"], 125, ["UPPER/case:::"]),
    (["run", "--rm", "{image}", "/no/such/program"], 127, ["/no/such/program"]),
    (["run", "--rm", "{image}", "nosuchprogram"], 127, ["nosuchprogram"]),
    (["run", "--rm", "{image}", "/etc/passwd"], 126, ["/etc/passwd"]),
    (["run", "--rm", "{image}", "/etc"], 126, ["/etc"]),
    (["run", "--rm", "--memory", "lots", "{image}", "true"], 125, ["memory", "lots"]),
    (["run", "--rm", "--bogus", "{image}", "true"], 125, ["bogus"]),
    (["run", "--rm", "-v", "/no/such/source:/x", "{image}", "true"], 125, ["/no/such/source"]),
    (["run", "--rm", "-u", "nosuchuser", "{image}", "true"], 125, ["nosuchuser"]),
    (["stop", "nosuch"], 125, ["nosuch"]),
    (["logs", "nosuch"], 125, ["nosuch"]),
    (["exec", "nosuch", "true"], 125, ["nosuch"]),
    (["inspect", "nosuch"], 125, ["nosuch"]),
    (["load", "-i", "/no/such/file"], 125, ["/no/such/file"]),
    (["nosuchverb"], 125, ["nosuchverb"]),
]


def one_line(text):
    """The one line of an error; what a pull says of its progress stands before it."""
    lines = [line for line in text.split("\n") if line.startswith("axle: ")]
    assert text.endswith(lines[-1] + "\n") if lines else False, text
    assert len(lines) == 1, f"expected one line:\n{text}"
    return lines[0]


@pytest.mark.parametrize("words,code,said", BAD_RUNS, ids=[" ".join(words)[:60] for words, _, _ in BAD_RUNS])
def test_bad_input_gets_one_line_and_leaves_nothing(node, registry, words, code, said):
    image = registry.image("busybox")
    if "{image}" in words:
        node.axle("pull", image)
    done = node.run(*[word.format(registry=registry.address, image=image) for word in words])
    line = one_line(done.stderr)
    assert done.returncode == code, line
    for word in said:
        assert word in line
    assert node.axle("ps", "-aq") == ""


def test_no_daemon_is_named(stage, folder):
    socket = folder / "nobody.sock"
    done = subprocess.run([stage.program("axle"), "ps"], env={**os.environ, "AXLE_SOCKET": str(socket)}, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 125
    assert str(socket) in one_line(done.stderr)


def test_no_permission_is_named(node, stage, tmp_path):
    node.start()
    # A place that others may enter, so that it is the socket that refuses.
    for path in (pathlib.Path(node.folder), *list(pathlib.Path(node.folder).parents)[:2], pathlib.Path(node.state)):
        os.chmod(path, os.stat(path).st_mode | 0o055)
    program = tmp_path / "axle"  # the installed tree may lie where only root looks
    shutil.copy(stage.program("axle"), program)
    for path in list(tmp_path.parents)[:2] + [tmp_path]:
        os.chmod(path, 0o755)
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(program), "ps"], text=True,
                          env=node.environ(), capture_output=True, check=False)
    assert done.returncode == 125
    assert node.socket in one_line(done.stderr)


def test_wrong_digest_leaves_no_half_image(make_registry, node, image_layout):
    server = make_registry()
    image_layout.push("busybox", server.image("broken:latest"))
    manifest = json.loads(server.get("/v2/broken/manifests/latest")[1])
    digest = manifest["layers"][0]["digest"]
    path = server.blob_path(digest)
    with open(path, "r+b") as blob:
        blob.seek(os.path.getsize(path) // 2)
        blob.write(b"damage!")
    done = node.run("pull", server.image("broken"))
    assert done.returncode == 125
    assert digest[:19] in one_line(done.stderr)
    assert "broken" not in node.axle("images")
    names = [name for _, _, names in os.walk(node.root) for name in names]
    assert digest[7:] not in names


def test_full_disk_leaves_no_half_image(make_node, folder, registry):
    node = make_node()
    os.makedirs(node.root, exist_ok=True)
    sandbox.mount("small", node.root, "tmpfs", 0, "size=1m")
    try:
        done = node.run("pull", registry.image("busybox"))
        assert done.returncode == 125
        line = one_line(done.stderr)
        assert "space" in line or "full" in line, line
        assert "busybox" not in node.axle("images")
        left = os.statvfs(node.root)
        assert left.f_bavail * left.f_bsize > (1 << 20) - (256 << 10), "what was written before the disk was full is still there"
        assert node.clean() == []
        node.process = None
    finally:
        node.kill()
        subprocess.run(["umount", node.root], check=True)


def test_failed_start_keeps_its_last_error(node, registry):
    image = registry.image("busybox")
    done = node.run("run", "--name", "bad", image, "/no/such/program")
    assert done.returncode == 127
    error = state_of(node, "bad")["last_error"]
    assert "/no/such/program" in error["message"] + error.get("path", "")
    assert error["reason"] == "runtime.executable-not-found"
    node.axle("rm", "bad")


def test_containers_outlive_a_killed_manager(node, registry):
    node.axle("run", "-d", "--name", "ticker", registry.image("busybox"), *TICKING)
    pid = pid_of(node, "ticker")
    node.kill()
    assert os.path.exists(f"/proc/{pid}")
    lines = len(read_log_lines(node))
    time.sleep(0.5)
    assert len(read_log_lines(node)) > lines, "nobody wrote the log while axled was gone"
    node.start()
    assert running(node, "ticker")
    assert pid_of(node, "ticker") == pid
    assert node.axle("exec", "ticker", "echo", "still") == "still"
    node.axle("stop", "ticker")
    assert summary(node, "ticker")["exit"]["code"] == 3


def read_log_lines(node):
    """The container's log as it lies on disk, whoever runs."""
    lines = []
    for folder in (node.root, node.state):
        for path, _, names in os.walk(folder):
            for name in names:
                if ".log" in name:
                    with open(os.path.join(path, name), encoding="utf-8") as file:
                        lines += [line for line in file if line.endswith("tick\n")]
    return lines


def test_container_outlives_its_killed_monitor(node, registry):
    node.axle("run", "-d", "--name", "ticker", registry.image("busybox"), *TICKING)
    pid = pid_of(node, "ticker")
    monitors = node.monitors()
    assert len(monitors) == 1
    os.kill(monitors[0], signal.SIGKILL)
    wait_until(lambda: [one for one in node.monitors() if one != monitors[0]], "a new monitor")
    assert running(node, "ticker") and pid_of(node, "ticker") == pid
    node.axle("stop", "ticker")
    assert summary(node, "ticker")["exit"]["code"] == 3


def test_container_outlives_manager_and_monitor(node, registry):
    node.axle("run", "-d", "--name", "ticker", registry.image("busybox"), *TICKING)
    pid = pid_of(node, "ticker")
    monitors = node.monitors()
    node.kill()
    for monitor in monitors:
        os.kill(monitor, signal.SIGKILL)
    node.start()
    assert running(node, "ticker") and pid_of(node, "ticker") == pid
    node.axle("stop", "ticker")
    assert not running(node, "ticker")


def test_reboot_is_noticed(node, registry):
    """/run is gone and so is every process: the container is there, ended, and can be removed."""
    node.axle("run", "-d", "--name", "ticker", registry.image("busybox"), *TICKING)
    node.kill()
    for pid, _ in node.processes():
        os.kill(pid, signal.SIGKILL)
    pid = None
    for one in sandbox.descendants(os.getppid()):
        if one[0] not in (os.getpid(),) and is_ticking(one[0]):
            pid = one[0]
            os.kill(pid, signal.SIGKILL)
    assert pid, "the container's process was not found"
    for point in reversed(sandbox.mount_points(node.state)):
        subprocess.run(["umount", point], check=True)
    subprocess.run(["rm", "-rf", "--one-file-system", node.state], check=True)
    node.start()
    assert not running(node, "ticker")
    assert "ticker" in names(node, "-a")
    assert node.axle("run", "--rm", registry.image("busybox"), "echo", "again") == "again"
    node.axle("rm", "ticker")
    assert node.axle("ps", "-aq") == ""


def is_ticking(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return b"echo tick" in file.read()
    except OSError:
        return False


def test_installed_tree_runs_from_where_it_lies(make_node, registry, folder):
    """make install into a DESTDIR, moved afterwards: the programs find each other relative to themselves."""
    destination = folder / "dest"
    prefix = (ROOT / os.environ.get("BUILD", "build") / "prefix.stamp").read_text(encoding="ascii").strip()
    done = subprocess.run(["make", "--no-print-directory", "install", f"DESTDIR={destination}", f"PREFIX={prefix}"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"is installed below {destination}{prefix}" in done.stdout
    (programs,) = [path.parent for path in destination.rglob("bin/axle")]
    moved = folder / "elsewhere"
    shutil.move(programs.parent, moved)
    shutil.rmtree(destination)
    node = make_node()
    node.stage = stage_module.Stage(moved)
    assert node.axle("run", "--rm", registry.image("busybox"), "echo", "moved") == "moved"
    assert os.readlink(f"/proc/{node.process.pid}/exe") == str(moved / "bin/axled")
