"""AppArmor where the kernel has it: the emulated machine (tests/lib/machine.py)."""
import base64
import subprocess

import pytest

from conftest import ROOT, SLEEP

pytestmark = pytest.mark.machine_only
CURRENT = ["cat", "/proc/self/attr/current"]


def load(text_or_path):
    subprocess.run(["/usr/sbin/apparmor_parser", "--replace", "--skip-cache", str(text_or_path)], check=True)


@pytest.fixture
def profile(folder, tag):
    """A profile that refuses to write below /tmp."""
    path = folder / "profile"
    path.write_text(f"profile {tag} flags=(attach_disconnected) {{\n  file,\n  network,\n  capability,\n  signal,\n  ptrace,\n"
                    "  mount,\n  umount,\n  pivot_root,\n  deny /tmp/** w,\n}\n")
    load(path)
    yield tag
    subprocess.run(["/usr/sbin/apparmor_parser", "--remove", str(path)], check=True)


@pytest.fixture
def standard():
    path = ROOT / "manager/apparmor/axle-default"
    load(path)
    yield
    subprocess.run(["/usr/sbin/apparmor_parser", "--remove", str(path)], check=True)


def test_the_default_profile_confines(kubelet, standard):
    pod = kubelet.run_pod()
    admin = {"capabilities": {"add_capabilities": ["SYS_ADMIN"]}}
    script = "cat /proc/self/attr/current; mount -t tmpfs none /tmp 2>/dev/null && echo mounted; touch /tmp/x && echo fine"
    for security in ({}, {"apparmor": {"profile_type": "RuntimeDefault"}}, {"apparmor_profile": "runtime/default"}):
        assert kubelet.run(pod, ["sh", "-c", script], security={**admin, **security}) == ["axle-default (enforce)", "fine"]
    free = {**admin, "apparmor": {"profile_type": "Unconfined"}}
    assert kubelet.run(pod, ["sh", "-c", script], security=free) == ["unconfined", "mounted", "fine"]
    assert kubelet.run(pod, CURRENT, security={"privileged": True}) == ["unconfined"]
    container = kubelet.start(pod, SLEEP)
    answer = kubelet.ExecSync(container_id=container, cmd=CURRENT)
    assert base64.b64decode(answer["stdout"]) == b"axle-default (enforce)\n"
    kubelet.StopContainer(container_id=container, timeout=30)
    assert kubelet.status(container)["exit_code"] == 7  # its stop signal has reached it


def test_a_profile_of_the_hosts_confines(kubelet, refused, profile):
    pod = kubelet.run_pod()
    script = "cat /proc/self/attr/current; touch /tmp/x 2>/dev/null || echo refused; touch /var/x 2>/dev/null; echo end"
    for security in ({"apparmor": {"profile_type": "Localhost", "localhost_ref": profile}}, {"apparmor_profile": "localhost/" + profile}):
        assert kubelet.run(pod, ["sh", "-c", script], security=security) == [f"{profile} (enforce)", "refused", "end"]
    with refused("NOT_FOUND", "not loaded"):
        kubelet.create(pod, security={"apparmor": {"profile_type": "Localhost", "localhost_ref": profile + "-not"}})


def test_without_the_default_profile_containers_run_and_it_is_told(kubelet, node):
    pod = kubelet.run_pod()
    assert kubelet.run(pod, CURRENT) == ["unconfined"]
    assert "axle-default is not loaded" in node.log_text()
