"""What a container's configuration means inside the container."""
import base64
import os
import stat

import pytest

import cgroups
import cri as cri_module
from conftest import SLEEP


def env(**variables):
    return [{"key": key, "value": base64.b64encode(value.encode()).decode()} for key, value in variables.items()]


def test_command_environment_and_working_directory(kubelet, registry):
    kubelet.PullImage(image={"image": registry.image("entrypoint:latest")})
    pod = kubelet.run_pod()
    image = registry.image("entrypoint:latest")
    assert kubelet.run(pod, [], image=image) == ["entry default"]
    assert kubelet.run(pod, [], image=image, args=["other"]) == ["entry other"]
    assert kubelet.run(pod, ["echo"], image=image, args=["mine"]) == ["mine"]
    lines = kubelet.run(pod, ["sh", "-c", "pwd; echo $A-$PATH"], working_dir="/tmp/new", envs=env(A="1"))
    assert lines[0] == "/tmp/new"
    assert lines[1].startswith("1-/")


def test_user_of_the_image_and_of_the_configuration(kubelet, registry):
    image = registry.image("user:latest")
    kubelet.PullImage(image={"image": image})
    pod = kubelet.run_pod()
    show = ["sh", "-c", "id -u; id -g; id -G"]
    by_image = kubelet.run(pod, show, image=image)
    by_name = kubelet.run(pod, show, image=image, security={"run_as_username": "app"})
    assert by_image == by_name and by_image[0] != "0"
    assert kubelet.run(pod, show, image=image, security={"run_as_user": {"value": "1234"}, "run_as_group": {"value": "55"}})[:2] == [
        "1234", "55"]
    groups = kubelet.run(pod, show, image=image, security={"run_as_user": {"value": "1234"}, "supplemental_groups": ["77", "88"]})[2]
    assert {"77", "88"} <= set(groups.split())


def test_namespaces_and_names(kubelet):
    private = kubelet.run_pod("private", hostname="inside", dns_config={"servers": ["192.0.2.1"], "searches": ["example.org"]})
    lines = kubelet.run(private, ["sh", "-c", "hostname; cat /etc/hostname; grep inside /etc/hosts; cat /etc/resolv.conf; ls /sys/class/net"])
    assert lines[:2] == ["inside", "inside"]
    assert "127.0.0.1\tinside" in lines
    assert "search example.org" in lines and "nameserver 192.0.2.1" in lines
    assert lines[-1] == "lo"
    options = {"network": "NODE", "pid": "CONTAINER"}
    host = kubelet.run_pod("host", linux={"security_context": {"namespace_options": options}})
    assert kubelet.run(host, ["readlink", "/proc/self/ns/net"]) == [os.readlink("/proc/self/ns/net")]
    assert kubelet.run(host, ["hostname"]) == [os.uname().nodename]


def test_containers_of_a_pod_share_its_namespaces(kubelet):
    pod = kubelet.run_pod()
    show = ["sh", "-c", "for ns in net ipc uts; do readlink /proc/self/ns/$ns; done"]
    assert kubelet.run(pod, show, "one") == kubelet.run(pod, show, "two")
    kubelet.start(pod, ["sh", "-c", "echo shared > /dev/shm/note; sleep 1000"], "writer")
    assert kubelet.run(pod, ["sh", "-c", "while ! cat /dev/shm/note; do sleep 0.05; done 2>/dev/null"], "reader") == ["shared"]
    # but for processes, of which each container sees its own (the number of an ended namespace may come again: no comparing)
    assert "sleep" not in kubelet.run(pod, ["sh", "-c", "cat /proc/[0-9]*/comm"], "watcher")


def test_sysctls(kubelet):
    linux = {"security_context": {"namespace_options": {"pid": "CONTAINER"}},
             "sysctls": [{"key": "net.ipv4.ip_unprivileged_port_start", "value": "77"}, {"key": "kernel.msgmax", "value": "9999"}]}
    pod = kubelet.run_pod(linux=linux)
    assert kubelet.run(pod, ["cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/msgmax"]) == ["77", "9999"]


def test_mounts(kubelet, folder):
    source = folder / "source"
    source.mkdir()
    (source / "file").write_text("content\n")
    pod = kubelet.run_pod()
    mounts = [{"container_path": "/rw", "host_path": str(source)},
              {"container_path": "/ro", "host_path": str(source), "readonly": True},
              {"container_path": "/made", "host_path": str(folder / "made")},
              {"container_path": "/etc/hosts", "host_path": str(source / "file")}]
    script = "cat /rw/file /etc/hosts; echo new > /rw/new; echo no > /ro/no || echo refused; ls -d /made"
    assert kubelet.run(pod, ["sh", "-c", script + " 2>/dev/null"], mounts=mounts) == ["content", "content", "refused", "/made"]
    assert (source / "new").read_text() == "new\n"
    assert not (source / "no").exists()
    assert (folder / "made").is_dir()


def test_read_only_root(kubelet):
    pod = kubelet.run_pod()
    script = "touch /x 2>/dev/null || echo refused; touch /dev/shm/y && echo fine"
    assert kubelet.run(pod, ["sh", "-c", script], security={"readonly_rootfs": True}) == ["refused", "fine"]


def capabilities(lines):
    return int(next(line for line in lines if line.startswith("CapEff")).split()[1], 16)


def test_capabilities(kubelet):
    pod = kubelet.run_pod()
    show = ["cat", "/proc/self/status"]
    own = capabilities(open("/proc/self/status", encoding="utf-8").read().splitlines())
    default = capabilities(kubelet.run(pod, show))
    assert default == 0xa80425fb
    none = capabilities(kubelet.run(pod, show, security={"capabilities": {"drop_capabilities": ["ALL"]}}))
    assert none == 0
    change = {"add_capabilities": ["NET_ADMIN"], "drop_capabilities": ["CAP_CHOWN"]}
    assert capabilities(kubelet.run(pod, show, security={"capabilities": change})) == (default | 1 << 12) & ~1
    assert capabilities(kubelet.run(pod, show, security={"capabilities": {"add_capabilities": ["ALL"]}})) == own
    assert capabilities(kubelet.run(pod, show, security={"privileged": True})) == own


def test_what_is_masked_and_what_is_not(kubelet):
    pod = kubelet.run_pod()
    probe = "cat /proc/keys | wc -c; echo x > /proc/sys/kernel/msgmax 2>/dev/null || echo refused"
    assert kubelet.run(pod, ["sh", "-c", probe]) == ["0", "refused"]
    rows = kubelet.run(pod, ["sh", "-c", "grep -c /proc/sys /proc/mounts; grep NoNewPrivs /proc/self/status"],
                       security={"privileged": True, "no_new_privs": True})
    assert rows[0] == "0"
    assert rows[1].split()[1] == "1"


def test_seccomp_profiles(kubelet):
    pod = kubelet.run_pod()
    probe = ["grep", "Seccomp:", "/proc/self/status"]
    default = {"seccomp": {"profile_type": "RuntimeDefault"}}
    assert kubelet.run(pod, probe, security=default)[0].split()[1] == "2"
    assert kubelet.run(pod, probe, security={"seccomp": {"profile_type": "Unconfined"}})[0].split()[1] == "0"
    assert kubelet.run(pod, ["sh", "-c", "unshare -r true 2>/dev/null || echo refused"], security=default) == ["refused"]


@pytest.mark.machine
def test_devices(kubelet):
    pod = kubelet.run_pod()
    lines = kubelet.run(pod, ["sh", "-c", "stat -c '%t %T' /dev/given; head -c 3 /dev/given | wc -c; ls /dev/vda 2>/dev/null || echo none"],
                        devices=[{"container_path": "/dev/given", "host_path": "/dev/zero", "permissions": "r"}])
    status = os.stat("/dev/zero")
    assert stat.S_ISCHR(status.st_mode)
    assert lines == [f"{os.major(status.st_rdev):x} {os.minor(status.st_rdev):x}", "3", "none"]


@pytest.mark.machine
def test_resources(kubelet, node):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, SLEEP, resources={
        "memory_limit_in_bytes": str(64 << 20), "cpu_period": "100000", "cpu_quota": "50000", "cpu_shares": "512",
        "unified": [{"key": "pids.max", "value": "33"}]})
    group = f"{node.name}/pods/{pod}/{container}"
    assert cgroups.value(group, "memory", "memory.limit_in_bytes", "memory.max") == str(64 << 20)
    assert cgroups.value(group, "cpu", "cpu.cfs_quota_us", "cpu.max") in ("50000", "50000 100000")
    assert cgroups.value(group, "pids", "pids.max", "pids.max") == "33"
    assert kubelet.status(container)["resources"]["linux"]["memory_limit_in_bytes"] == str(64 << 20)


@pytest.mark.machine
def test_memory_above_the_limit_is_an_oom_kill(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"],
                              resources={"memory_limit_in_bytes": str(16 << 20)})
    status = kubelet.wait(container)
    assert (status["exit_code"], status["reason"]) == (137, "OOMKilled")


@pytest.mark.machine
def test_terminal(kubelet):
    pod = kubelet.run_pod()
    assert [line.rstrip("\r") for line in kubelet.run(pod, ["sh", "-c", "tty; echo $TERM"], tty=True)] == ["/dev/pts/0", "xterm"]


@pytest.mark.machine
def test_cgroup_parent_of_a_kubelet(kubelet, node, tag):
    parent = f"/{tag}-burstable/pod1"
    pod = kubelet.run_pod(linux={"cgroup_parent": parent, "security_context": {"namespace_options": {"pid": "CONTAINER"}}})
    container = kubelet.start(pod)
    found = [folder for folder, _, _ in os.walk("/sys/fs/cgroup") if folder.endswith(f"{parent}/{container}")]
    assert found
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    assert not any(os.path.exists(folder) for folder in found)
    for folder, _, _ in os.walk("/sys/fs/cgroup", topdown=False):  # what the kubelet made, the kubelet removes
        if f"/{tag}-burstable" in folder:
            os.rmdir(folder)


@pytest.mark.machine
@pytest.mark.parametrize("handler", ["crun", "runc"])
def test_other_runtimes(kubelet, handler):
    pod = kubelet.run_pod(runtime_handler=handler)
    assert kubelet.run(pod, ["echo", "hi"]) == ["hi"]
    container = kubelet.start(pod, SLEEP, "second")
    assert base64.b64decode(kubelet.ExecSync(container_id=container, cmd=["echo", "in"])["stdout"]) == b"in\n"
    kubelet.StopContainer(container_id=container, timeout=5)
    assert kubelet.status(container)["exit_code"] == 7
