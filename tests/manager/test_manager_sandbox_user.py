"""User namespaces of pods: each its own range of ids, root file systems and volumes mapped into it."""
import base64
import json
import os
import re

import pytest

from conftest import ROOT, SLEEP, Kubelet, wait_until

import cri as cri_module

BASE, COUNT = 200000, 65536


def mapping(base=BASE, count=COUNT):
    return [{"container_id": 0, "host_id": base, "length": count}]


def userns(base=BASE, count=COUNT):
    return {"mode": "POD", "uids": mapping(base, count), "gids": mapping(base, count)}


def pod_with(kubelet, name=None, base=BASE, **options):
    options = {"pid": "CONTAINER", "userns_options": userns(base), **options}
    return kubelet.run_pod(name, linux={"security_context": {"namespace_options": options}})


def proc(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="utf-8") as file:
        return file.read()


def pid_of(kubelet, container):
    return json.loads(kubelet.ContainerStatus(container_id=container, verbose=True)["info"][0]["value"])["pid"]


def test_root_of_the_pod_is_nobody_outside(kubelet):
    pod = pod_with(kubelet)
    container = kubelet.start(pod, SLEEP)
    pid = pid_of(kubelet, container)
    assert proc(pid, "uid_map").split() == ["0", str(BASE), str(COUNT)]
    assert proc(pid, "gid_map").split() == ["0", str(BASE), str(COUNT)]
    assert re.search(r"^Uid:\s+(\d+)", proc(pid, "status"), re.M).group(1) == str(BASE)
    for kind in ("user", "net", "ipc", "uts", "mnt", "pid", "cgroup"):
        assert os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    options = kubelet.PodSandboxStatus(pod_sandbox_id=pod)["status"]["linux"]["namespaces"]["options"]
    assert options["userns_options"]["uids"] == [{"host_id": BASE, "length": COUNT}]


def test_the_root_file_system_is_mapped_and_writable(kubelet, node):
    pod = pod_with(kubelet)
    lines = kubelet.run(pod, ["sh", "-c", "stat -c '%u:%g' / /bin /bin/busybox /etc/passwd; touch /new && chown 7:8 /new && "
                              "stat -c '%u:%g' /new; echo x >> /etc/passwd && stat -c '%u:%g' /etc/passwd; id -u"])
    assert lines == ["0:0"] * 4 + ["7:8", "0:0", "0"]
    container = kubelet.start(pod, ["sh", "-c", "touch /mine; chown 7 /mine; sleep 1000"], "writer")
    found = wait_until(lambda: [f"{at}/mine" for at, _, files in os.walk(f"{node.root}/rootfs/{container}") if "mine" in files],
                       "the file below the root's writable layer")
    wait_until(lambda: os.stat(found[0]).st_uid == BASE + 7, "its owner")


def test_what_a_container_finds_belongs_to_it(kubelet):
    pod = pod_with(kubelet)
    script = """set -e
stat -c '%n %u' /etc/hosts /etc/hostname /etc/resolv.conf /dev/shm /proc/1 /dev/pts
echo a >/dev/shm/file; echo '127.0.0.9 here' >> /etc/hosts
hostname; ip link show lo | grep -c UP
cat /proc/sys/kernel/domainname >/dev/null
mount | grep -c ' /proc type proc'; mount | grep -c ' /sys type sysfs'
echo to-stdout >/proc/self/fd/1; echo to-stderr >/proc/self/fd/2
"""
    lines = kubelet.run(pod, ["sh", "-c", script])
    assert [line.split()[1] for line in lines[:6]] == ["0"] * 6, lines
    assert lines[7:] == ["1", "1", "1", "to-stdout"], lines


def test_rights_count_in_the_namespace_only(kubelet):
    pod = pod_with(kubelet)
    privileged = {"capabilities": {"add_capabilities": ["NET_ADMIN", "SYS_ADMIN"]}}
    assert kubelet.run(pod, ["sh", "-c", "ip link add d0 type veth peer name d1 && cat /proc/net/dev | grep -c ' d0:'"],
                       security=privileged) == ["1"]
    container = kubelet.start(pod, SLEEP, security=privileged)
    refused = kubelet.ExecSync(container_id=container, cmd=["sh", "-c", "mknod /dev/x c 1 3 || echo no"], timeout=10)
    assert base64.b64decode(refused["stdout"]) == b"no\n"


def test_users_and_exec_in_a_user_namespace(kubelet):
    pod = pod_with(kubelet)
    container = kubelet.start(pod, SLEEP, security={"run_as_user": {"value": 1000}, "supplemental_groups": [77]})
    pid = pid_of(kubelet, container)
    assert re.search(r"^Uid:\s+(\d+)", proc(pid, "status"), re.M).group(1) == str(BASE + 1000)
    reply = kubelet.ExecSync(container_id=container, cmd=["sh", "-c", "id -u; id -G; cat /proc/self/uid_map; echo e >/proc/self/fd/2"],
                             timeout=10)
    user, groups, uid_map = base64.b64decode(reply["stdout"]).decode().splitlines()
    assert user == "1000" and "77" in groups.split() and uid_map.split() == ["0", str(BASE), str(COUNT)]
    assert base64.b64decode(reply["stderr"]) == b"e\n"


def test_an_id_outside_of_the_range_is_refused(kubelet, refused):
    pod = pod_with(kubelet)
    with refused("INVALID_ARGUMENT", "expected ids below 65536"):
        kubelet.create(pod, ["true"], security={"run_as_user": {"value": 70000}})


def test_two_pods_have_different_ranges(kubelet):
    one, two = pod_with(kubelet, "one"), pod_with(kubelet, "two", BASE + COUNT)
    first, second = kubelet.start(one, SLEEP, "first"), kubelet.start(two, SLEEP, "second")
    assert proc(pid_of(kubelet, first), "uid_map") != proc(pid_of(kubelet, second), "uid_map")
    assert os.readlink(f"/proc/{pid_of(kubelet, first)}/ns/user") != os.readlink(f"/proc/{pid_of(kubelet, second)}/ns/user")


def test_containers_of_a_pod_share_its_user_and_pid_namespace(kubelet):
    pod = pod_with(kubelet, pid="POD")
    mode = {"namespace_options": {"pid": "POD", "userns_options": userns()}}
    one = kubelet.start(pod, SLEEP, "one", security=mode)
    lines = kubelet.run(pod, ["sh", "-c", "ps -o user,pid,args; readlink /proc/self/ns/user; cat /proc/1/environ || echo denied; "
                              "readlink /proc/1/exe || echo denied"], "two", security=mode)
    assert any(line.split()[1:] == ["1", "axinit"] for line in lines), lines
    assert any("trap" in line for line in lines)
    assert os.readlink(f"/proc/{pid_of(kubelet, one)}/ns/user") in lines
    assert lines.count("denied") == 2
    axinit = next(pid for pid in os.listdir("/proc") if pid.isdigit() and os.path.exists(f"/proc/{pid}/cmdline")
                  and proc(pid, "cmdline").startswith("axinit") and proc(pid, "uid_map").split()[1] == str(BASE))
    assert re.search(r"^Uid:\s+(\d+)", proc(axinit, "status"), re.M).group(1) == str(BASE + COUNT - 1)


def test_volumes_are_mapped(kubelet, folder, refused):
    volume, plain = folder / "volume", folder / "plain"
    for place in (volume, plain):
        place.mkdir()
        (place / "file").write_text("content\n")
        os.chmod(place, 0o777)
    os.chown(volume / "file", 5, 6)
    os.chmod(volume, 0o755)
    os.chmod(folder, 0o755)
    pod = pod_with(kubelet)
    mounts = [{"host_path": str(volume), "container_path": "/mapped", "uidMappings": mapping(), "gidMappings": mapping()},
              {"host_path": str(plain), "container_path": "/plain"}]
    lines = kubelet.run(pod, ["sh", "-c", "stat -c '%u:%g' /mapped /mapped/file /plain; touch /mapped/new; touch /plain/new"], mounts=mounts)
    assert lines == ["0:0", "5:6", "65534:65534"]
    assert os.stat(volume / "new").st_uid == 0  # root's on the disk, as if there were no namespace
    assert os.stat(plain / "new").st_uid == BASE
    with refused("INVALID_ARGUMENT", "of both user and group ids"):
        kubelet.create(pod, ["true"], "half", mounts=[{**mounts[0], "gidMappings": []}])


@pytest.mark.parametrize("wrong, words", [
    ({"mode": "POD"}, "0 ranges of uids: expected exactly one"),
    ({**userns(), "gids": []}, "0 ranges of gids"),
    ({**userns(), "uids": mapping() + [{"container_id": 65536, "host_id": 500000, "length": 1}]}, "2 ranges of uids"),
    ({**userns(), "uids": [{"container_id": 1, "host_id": BASE, "length": 10}]}, "expected 0"),
    ({**userns(), "uids": [{"container_id": 0, "host_id": BASE, "length": 0}]}, "at least one"),
    ({**userns(), "uids": [{"container_id": 0, "host_id": 4294967295, "length": 2}]}, "ids below"),
    ({"mode": "CONTAINER"}, "expected POD or NODE"),
    ({"mode": "TARGET"}, "expected POD or NODE"),
    ({**userns(), "mode": "NODE"}, "mode NODE with ranges"),
])
def test_wrong_mappings_are_refused(kubelet, refused, wrong, words):
    with refused("INVALID_ARGUMENT", words):
        pod_with(kubelet, userns_options=wrong)


def test_the_hosts_pid_or_ipc_namespace_does_not_go_with_one(kubelet, refused):
    for kind in ("pid", "ipc"):
        with refused("INVALID_ARGUMENT", "expected pid and ipc namespaces of its own"):
            pod_with(kubelet, **{kind: "NODE"})


def test_a_container_must_agree_with_its_pod(kubelet, refused):
    pod = pod_with(kubelet)
    for options in (userns(BASE + 1), {"mode": "NODE"}):
        with refused("INVALID_ARGUMENT", "another one than its pod"):
            kubelet.create(pod, ["true"], security={"namespace_options": {"pid": "CONTAINER", "userns_options": options}})
    with refused("INVALID_ARGUMENT", "another one than its pod"):
        kubelet.create(kubelet.run_pod(), ["true"],
                       security={"namespace_options": {"pid": "CONTAINER", "userns_options": userns()}})


def test_the_hosts_network_with_a_user_namespace(kubelet):
    pod = pod_with(kubelet, network="NODE")
    lines = kubelet.run(pod, ["sh", "-c", "readlink /proc/self/ns/net; cat /proc/self/uid_map; ls /sys/class/net | grep -c lo"])
    assert lines[0] == os.readlink("/proc/self/ns/net")
    assert lines[1].split() == ["0", str(BASE), str(COUNT)]
    assert lines[2] == "1"


def test_it_survives_a_kill_of_axled(kubelet, node):
    pod = pod_with(kubelet)
    container = kubelet.start(pod, SLEEP)
    node.kill()
    node.start()
    kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)
    again = Kubelet(kubelet.client, kubelet.image, kubelet.folder)
    assert again.state(container) == "CONTAINER_RUNNING"
    assert again.run(pod, ["cat", "/proc/self/uid_map"], "later")[0].split() == ["0", str(BASE), str(COUNT)]


def test_an_image_as_a_volume_is_mapped(kubelet):
    pod = pod_with(kubelet)
    mounts = [{"container_path": "/image", "image": {"image": kubelet.image}, "readonly": True}]
    assert kubelet.run(pod, ["sh", "-c", "stat -c '%u:%g' /image/bin /image/etc/passwd"], mounts=mounts) == ["0:0", "0:0"]
