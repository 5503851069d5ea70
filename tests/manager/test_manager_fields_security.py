"""The security context of a container's configuration, field by field."""
import json
import os

import pytest

from conftest import SLEEP

STATUS = ["cat", "/proc/self/status"]


def field(lines, name):
    return next(line.split(":", 1)[1].split() for line in lines if line.startswith(name + ":"))


def capability_set(lines, name):
    return int(field(lines, name)[0], 16)


NET_ADMIN, CHOWN, SYS_CHROOT = 1 << 12, 1 << 0, 1 << 18


@pytest.mark.parametrize("change, sets", [
    ({"add_capabilities": ["NET_ADMIN"]},
     {"CapEff": (NET_ADMIN, 0), "CapBnd": (NET_ADMIN, 0), "CapInh": (0, NET_ADMIN), "CapAmb": (0, NET_ADMIN)}),
    ({"drop_capabilities": ["cap_chown"]}, {"CapEff": (0, CHOWN), "CapBnd": (0, CHOWN)}),
    ({"add_capabilities": ["ALL"], "drop_capabilities": ["CHOWN"]}, {"CapEff": (NET_ADMIN, CHOWN)}),
    ({"add_capabilities": ["CHOWN"], "drop_capabilities": ["ALL"]}, {"CapEff": (CHOWN, NET_ADMIN | SYS_CHROOT)}),
    ({"add_ambient_capabilities": ["NET_ADMIN"]}, {"CapEff": (NET_ADMIN, 0), "CapInh": (NET_ADMIN, CHOWN), "CapAmb": (NET_ADMIN, CHOWN)}),
])
def test_capabilities(kubelet, change, sets):
    pod = kubelet.run_pod()
    lines = kubelet.run(pod, STATUS, security={"capabilities": change})
    for name, (there, missing) in sets.items():
        got = capability_set(lines, name)
        assert got & there == there and not got & missing, (name, hex(got))


def test_ambient_capabilities_reach_an_ordinary_user(kubelet):
    pod = kubelet.run_pod()
    user = {"run_as_user": {"value": "1000"}}
    without = kubelet.run(pod, STATUS, security={**user, "capabilities": {"add_capabilities": ["NET_ADMIN"]}})
    assert capability_set(without, "CapEff") == 0
    given = kubelet.run(pod, STATUS, security={**user, "capabilities": {"add_ambient_capabilities": ["NET_ADMIN"]}})
    assert capability_set(given, "CapEff") == NET_ADMIN


def test_no_such_capability(kubelet, refused):
    pod = kubelet.run_pod()
    for member in ("add_capabilities", "drop_capabilities", "add_ambient_capabilities"):
        with refused("INVALID_ARGUMENT", "NOT_A_CAPABILITY"):
            kubelet.create(pod, security={"capabilities": {member: ["NOT_A_CAPABILITY"]}})


def test_what_cannot_be_given_is_cut_and_told(kubelet, node):
    own = capability_set(open("/proc/self/status", encoding="utf-8").read().splitlines(), "CapBnd")
    if own & 1 << 24:
        pytest.skip("this machine lets axled have CAP_SYS_RESOURCE")
    pod = kubelet.run_pod()
    lines = kubelet.run(pod, STATUS, security={"capabilities": {"add_capabilities": ["SYS_RESOURCE"]}})
    assert not capability_set(lines, "CapEff") & 1 << 24
    assert "CAP_SYS_RESOURCE is not in the bounding set" in node.log_text()


@pytest.mark.parametrize("value", [True, False])
def test_no_new_privileges(kubelet, value):
    pod = kubelet.run_pod()
    assert field(kubelet.run(pod, STATUS, security={"no_new_privs": value}), "NoNewPrivs") == ["1" if value else "0"]


def test_privileged(kubelet):
    pod = kubelet.run_pod()
    lines = kubelet.run(pod, ["sh", "-c", "cat /proc/self/status; grep ' /sys ' /proc/mounts; mount -t tmpfs none /tmp && echo mounted;"
                              "grep -c ' /proc/' /proc/mounts; true"],
                        security={"privileged": True, "seccomp": {"profile_type": "RuntimeDefault"}})
    own = open("/proc/self/status", encoding="utf-8").read().splitlines()
    assert capability_set(lines, "CapEff") == capability_set(own, "CapBnd")
    assert field(lines, "Seccomp") == ["0"]
    assert "rw" in next(line for line in lines if " /sys " in line).split()[3].split(",")
    assert "mounted" in lines
    assert lines[-1] == "0"


# Seccomp.

@pytest.fixture
def profile(folder):
    def write(document):
        path = folder / "profile.json"
        path.write_text(json.dumps(document))
        return {"seccomp": {"profile_type": "Localhost", "localhost_ref": str(path)}}
    return write


FORBID_SETHOSTNAME = {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
CHMOD = ["sh", "-c", "chmod 700 /tmp 2>/dev/null && echo done || echo refused"]


def test_a_profile_of_the_hosts(kubelet, profile):
    pod = kubelet.run_pod()
    forbid = {"names": ["chmod", "fchmod", "fchmodat", "fchmodat2"], "action": "SCMP_ACT_ERRNO"}
    assert kubelet.run(pod, CHMOD, security=profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [forbid]})) == ["refused"]
    assert kubelet.run(pod, CHMOD, security=profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []})) == ["done"]
    # as clients spell it that have not heard of SecurityProfile yet
    path = profile({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [forbid]})["seccomp"]["localhost_ref"]
    assert kubelet.run(pod, CHMOD, security={"seccomp_profile_path": "localhost/" + path}) == ["refused"]


def test_a_profile_in_dockers_form(kubelet, profile):
    """Its conditions are about this machine, this kernel and what this container was granted."""
    pod = kubelet.run_pod()
    names = ["chmod", "fchmod", "fchmodat", "fchmodat2"]
    document = {"defaultAction": "SCMP_ACT_ALLOW", "archMap": [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}],
        "syscalls": [{"names": names, "action": "SCMP_ACT_ERRNO", "errno": "EPERM", "includes": {"minKernel": "4.8"},
                      "excludes": {"caps": ["CAP_NET_ADMIN"]}}]}
    assert kubelet.run(pod, CHMOD, security=profile(document)) == ["refused"]
    assert kubelet.run(pod, CHMOD, security={**profile(document), "capabilities": {"add_capabilities": ["NET_ADMIN"]}}) == ["done"]


@pytest.mark.parametrize("text, status, words", [
    ("{", "INVALID_ARGUMENT", "profile.json"),
    ('{"defaultAction": "SCMP_ACT_ALLOW", "defaultErrno": "ENOTHING"}', "INVALID_ARGUMENT", "ENOTHING"),
    (None, "NOT_FOUND", "missing.json"),
])
def test_a_profile_that_cannot_be_used_is_named(kubelet, refused, folder, text, status, words):
    path = folder / ("profile.json" if text else "missing.json")
    if text:
        path.write_text(text)
    pod = kubelet.run_pod()
    with refused(status, words):
        kubelet.create(pod, security={"seccomp": {"profile_type": "Localhost", "localhost_ref": str(path)}})
    with refused("INVALID_ARGUMENT", "absolute path"):
        kubelet.create(pod, security={"seccomp": {"profile_type": "Localhost", "localhost_ref": "relative.json"}})


# AppArmor and SELinux.

def has_apparmor():
    try:
        with open("/sys/module/apparmor/parameters/enabled", encoding="utf-8") as file:
            return file.read().startswith("Y") and os.path.exists("/sys/kernel/security/apparmor/profiles")
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("security", [
    {"apparmor": {"profile_type": "Localhost", "localhost_ref": "no-such-profile"}},
    {"apparmor": {"profile_type": "Localhost", "localhost_ref": "localhost/no-such-profile"}},
    {"apparmor_profile": "localhost/no-such-profile"},
])
def test_a_profile_of_apparmor_that_is_not_there(kubelet, refused, security):
    pod = kubelet.run_pod()
    status, words = ("NOT_FOUND", "not loaded") if has_apparmor() else ("INVALID_ARGUMENT", "does not have AppArmor")
    with refused(status, "no-such-profile"):
        kubelet.create(pod, security=security)
    with refused(status, words):
        kubelet.create(pod, security=security)


@pytest.mark.parametrize("security", [
    {"apparmor": {"profile_type": "RuntimeDefault"}}, {"apparmor": {"profile_type": "Unconfined"}},
    {"apparmor_profile": "runtime/default"}, {"apparmor_profile": "unconfined"}, {"selinux_options": {"level": "s0:c3,c4"}},
])
def test_what_is_meant_for_any_kernel_is_accepted(kubelet, security):
    pod = kubelet.run_pod()
    assert kubelet.run(pod, ["echo", "runs"], security=security) == ["runs"]


def test_what_apparmor_profiles_may_be_called(kubelet, refused):
    pod = kubelet.run_pod()
    with refused("INVALID_ARGUMENT", "localhost/NAME"):
        kubelet.create(pod, security={"apparmor_profile": "something/else"})
    with refused("INVALID_ARGUMENT", "localhost/NAME"):
        kubelet.create(pod, security={"apparmor": {"profile_type": "Localhost"}})


# What is masked.

def test_masked_and_read_only_paths(kubelet, refused):
    pod = kubelet.run_pod()
    script = "cat /etc/group | wc -c; ls /usr 2>/dev/null | wc -l; touch /tmp/x 2>/dev/null || echo refused"
    lines = kubelet.run(pod, ["sh", "-c", script],
                        security={"masked_paths": ["/etc/group", "/usr", "/not/there"], "readonly_paths": ["/tmp"]})
    assert lines == ["0", "0", "refused"]
    with refused("INVALID_ARGUMENT", "absolute path"):
        kubelet.create(pod, security={"masked_paths": ["proc/keys"]})


def test_the_kernels_own_is_masked_unless_a_list_says_otherwise(kubelet):
    pod = kubelet.run_pod()
    probe = ["sh", "-c", "cat /proc/keys | wc -c; grep -c ' /proc/sys ' /proc/mounts; true"]
    assert kubelet.run(pod, probe) == ["0", "1"]
    other = kubelet.run(pod, probe, security={"masked_paths": ["/proc/acpi"], "readonly_paths": ["/proc/bus"]})
    assert other[0] != "0" and other[1] == "0"


MAP = [{"host_id": 1000000, "container_id": 0, "length": 65536}]
OWN_IDS = {"namespace_options": {"pid": "CONTAINER", "userns_options": {"mode": "POD", "uids": MAP, "gids": MAP}}}


def test_an_unmasked_proc_is_for_pods_with_ids_of_their_own(kubelet):
    """procMount Unmasked is spelled as two empty lists; Default as the kubelet's own."""
    pod = kubelet.run_pod(linux={"security_context": OWN_IDS})
    probe = ["sh", "-c", "grep -c ' /proc/' /proc/mounts; grep -c ' /proc ' /proc/mounts; true"]
    assert kubelet.run(pod, probe, security=OWN_IDS) == ["0", "1"]
    masked = {**OWN_IDS, "masked_paths": ["/proc/keys", "/proc/acpi"], "readonly_paths": ["/proc/sys"]}
    assert kubelet.run(pod, ["sh", "-c", "cat /proc/keys | wc -c"], security=masked) == ["0"]
    assert int(kubelet.run(pod, probe, security=masked)[0]) >= 2


def test_read_only_root(kubelet):
    pod = kubelet.run_pod()
    script = "touch /x 2>/dev/null || echo refused; touch /dev/shm/y && echo fine; touch /etc/hosts 2>/dev/null || echo refused"
    assert kubelet.run(pod, ["sh", "-c", script], security={"readonly_rootfs": True}) == ["refused", "fine", "refused"]
    assert kubelet.run(pod, ["sh", "-c", "touch /x && echo fine"]) == ["fine"]


# Users and groups.

def user_of(kubelet, container):
    return kubelet.status(container)["user"]["linux"]


def test_users_and_groups_and_what_the_status_says(kubelet, registry, refused):
    image = registry.image("groups:latest")
    kubelet.PullImage(image={"image": image})
    pod = kubelet.run_pod()
    show = ["sh", "-c", "id -u; id -g; id -G"]

    def run(**security):
        lines = kubelet.run(pod, show, image=image, security=security)
        return lines[0], lines[1], set(lines[2].split())
    assert run() == ("0", "0", {"0"})
    assert run(run_as_username="app") == ("1500", "1500", {"1500", "1600", "1700"})
    assert run(run_as_user={"value": "1500"}) == ("1500", "1500", {"1500", "1600", "1700"})
    assert run(run_as_user={"value": "1500"}, run_as_group={"value": "7"}) == ("1500", "7", {"7", "1600", "1700"})
    assert run(run_as_user={"value": "4000"}) == ("4000", "0", {"0"})
    more = {"run_as_user": {"value": "1500"}, "supplemental_groups": ["8", "1600"]}
    assert run(**more) == ("1500", "1500", {"1500", "1600", "1700", "8"})
    assert run(**more, supplemental_groups_policy="Merge") == ("1500", "1500", {"1500", "1600", "1700", "8"})
    assert run(**more, supplemental_groups_policy="Strict") == ("1500", "1500", {"1500", "8", "1600"})
    container = kubelet.start(pod, SLEEP, image=image, security={**more, "supplemental_groups_policy": "Strict"})
    told = user_of(kubelet, container)
    assert (told["uid"], told["gid"], set(told["supplemental_groups"])) == ("1500", "1500", {"1500", "8", "1600"})


@pytest.mark.parametrize("security, status, words", [
    ({"run_as_group": {"value": "5"}}, "INVALID_ARGUMENT", "run_as_user beside it"),
    ({"run_as_username": "nobody-here"}, "NOT_FOUND", "nobody-here"),
    ({"run_as_user": {"value": "-1"}}, "INVALID_ARGUMENT", "run_as_user -1"),
    ({"run_as_user": {"value": "4294967295"}}, "INVALID_ARGUMENT", "4294967295"),
    ({"run_as_user": {"value": "1"}, "run_as_group": {"value": "-5"}}, "INVALID_ARGUMENT", "-5"),
    ({"supplemental_groups": ["-7"]}, "INVALID_ARGUMENT", "-7"),
])
def test_users_that_cannot_be(kubelet, refused, security, status, words):
    pod = kubelet.run_pod()
    with refused(status, words):
        kubelet.create(pod, security=security)
