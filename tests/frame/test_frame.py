"""The frame itself: what it promises to the other tests, and that its leak check sees each kind of leak."""
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

import leaks
import sandbox


MANIFESTS = ", ".join(["application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
                       "application/vnd.docker.distribution.manifest.v2+json"])


def leaks_after(make, tag):
    """What the leak check says after make() (its grace shortened); what make() returns undoes it."""
    check = leaks.LeakCheck(tag)
    leaks_grace, leaks.GRACE_SECONDS = leaks.GRACE_SECONDS, 0.2
    undo = make()
    try:
        return check.leaked()
    finally:
        leaks.GRACE_SECONDS = leaks_grace
        undo()


def test_nothing_done_is_no_leak(tag):
    assert leaks_after(lambda: lambda: None, tag) == []


def test_leaked_process_is_seen(tag):
    def make():
        process = subprocess.Popen(["sleep", "60"])
        return lambda: (process.kill(), process.wait())
    assert any("(sleep)" in leak for leak in leaks_after(make, tag))


def test_orphan_is_seen_and_reaped(tag):
    """A daemon whose parent is gone is adopted, as by a real init: it shows as a leak, and is no zombie once it ends."""
    pids = []

    def make():
        done = subprocess.run(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"], capture_output=True, text=True, check=True)
        pids.append(int(done.stdout))
        return lambda: os.kill(pids[0], signal.SIGKILL)
    assert leaks_after(make, tag) == [f"process {pids[0]} (sleep)"]
    deadline = time.monotonic() + 5
    while os.path.exists(f"/proc/{pids[0]}") and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not os.path.exists(f"/proc/{pids[0]}")


def test_leaked_mount_is_seen(tag, folder):
    target = folder / "mounted"
    target.mkdir()

    def make():
        sandbox.mount("none", target, "tmpfs")
        return lambda: subprocess.run(["umount", target], check=True)
    assert leaks_after(make, tag) == [f"mount {target} (tmpfs)"]


def test_leaked_cgroup_is_seen(tag):
    group = pathlib.Path("/sys/fs/cgroup")
    group = group / ("pids" if (group / "pids").is_dir() else "") / tag

    def make():
        group.mkdir()
        return group.rmdir
    assert leaks_after(make, tag) == [f"cgroup {group}"]


def test_leaked_link_is_seen(tag):
    def make():
        subprocess.run(["ip", "link", "add", "leak0", "type", "veth", "peer", "name", "leak1"], check=True)
        return lambda: subprocess.run(["ip", "link", "del", "leak0"], check=True)
    assert leaks_after(make, tag) == ["network link leak0", "network link leak1"]


def test_leaked_file_is_seen(tag):
    path = pathlib.Path("/run/leaked-by-a-test")

    def make():
        path.touch()
        return path.unlink
    assert leaks_after(make, tag) == [f"file {path}"]


def test_network_is_loopback_alone():
    assert [name for _, name in socket.if_nameindex()] == ["lo"]


def test_registry_serves_every_image(registry):
    import images
    for name in [*images.REPOSITORIES, "multi", "docker-schema2"]:
        status, _ = registry.get(f"/v2/{name}/manifests/latest", accept=MANIFESTS)
        assert status == 200, name


@pytest.mark.parametrize("runtime", ["/usr/bin/runc"])
def test_podman_runs_with_a_peer(make_podman, image_layout, runtime):
    """podman works in this place at all: with Debian's own runtime, so that a failure with ours is ours."""
    podman = make_podman(runtime)
    podman.load(image_layout, "busybox", "busybox")
    assert podman.podman("run", "--rm", "busybox", "echo", "hi") == "hi"
