"""What config.json asks for is what the container has."""
import ctypes
import json
import os
import pathlib

import pytest

import cgroups

pytestmark = pytest.mark.machine


def test_namespaces_are_new(bundle):
    kinds = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup"}
    script = "; ".join(f"readlink /proc/self/ns/{name}" for name in kinds.values())
    lines = bundle.shell(script).output().splitlines()
    for name, line in zip(kinds.values(), lines):
        assert line.startswith(name) and line != os.readlink(f"/proc/self/ns/{name}")


def test_namespaces_are_joined_by_path(bundle):
    own = "/proc/self/ns/net"
    bundle.namespace("network", f"/proc/{os.getpid()}/ns/net").namespace("ipc", f"/proc/{os.getpid()}/ns/ipc")
    out = bundle.shell("readlink /proc/self/ns/net; readlink /proc/self/ns/ipc").output().split()
    assert out == [os.readlink(own), os.readlink("/proc/self/ns/ipc")]


def test_time_namespace(bundle):
    bundle.namespace("time")
    bundle.config["linux"]["timeOffsets"] = {"boottime": {"secs": 10000000}}
    up = float(bundle.args("cat", "/proc/uptime").output().split()[0])
    assert up > 10000000


def test_user_namespace_maps_and_owns(bundle):
    bundle.namespace("user")
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.config["linux"]["uidMappings"] = bundle.config["linux"]["gidMappings"] = maps
    for path in [bundle.root, *bundle.root.rglob("*")]:
        os.chown(path, 100000, 100000, follow_symlinks=False)
    os.chmod(bundle.folder, 0o755)
    out = bundle.shell("id; cat /proc/self/uid_map; echo x > /dev/null && echo usable; mount | grep -c proc").output()
    assert "uid=0(root)" in out and "100000" in out and "usable" in out


def test_joined_user_namespace(bundle, make_bundle):
    """As a pod's further containers do: user and network namespaces exist, the pid namespace is new."""
    holder = make_bundle()
    holder.namespace("user").args("sleep", "100")
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    holder.config["linux"]["uidMappings"] = holder.config["linux"]["gidMappings"] = maps
    for one in (bundle, holder):
        os.chmod(one.folder, 0o755)
        for path in [one.root, *one.root.rglob("*")]:
            os.chown(path, 100000, 100000, follow_symlinks=False)
    first = holder.create()
    pid = holder.status(first)["pid"]
    bundle.namespace("user", f"/proc/{pid}/ns/user").namespace("network", f"/proc/{pid}/ns/net")
    out = bundle.shell("id; readlink /proc/self/ns/user; readlink /proc/self/ns/net; echo $$; echo x > /dev/null").output()
    assert os.readlink(f"/proc/{pid}/ns/user") in out and os.readlink(f"/proc/{pid}/ns/net") in out and "\n1\n" in out


def test_hostname_and_domainname(bundle):
    bundle.config["hostname"], bundle.config["domainname"] = "some-host", "some.domain"
    assert bundle.shell("hostname; cat /proc/sys/kernel/domainname").output() == "some-host\nsome.domain\n"


def test_user_groups_umask_and_directory(bundle):
    bundle.config["process"]["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [7, 8], "umask": 0o77}
    bundle.config["process"]["cwd"] = "/made/on/the/way"
    out = bundle.shell("id; umask; pwd; echo $HOME").output().splitlines()
    assert "uid=1000(user) gid=1001" in out[0] and "7" in out[0] and "8" in out[0]
    assert out[1:] == ["0077", "/made/on/the/way", "/home/user"]


def test_capabilities_with_ambient(bundle):
    names = ["CAP_NET_BIND_SERVICE", "CAP_KILL"]
    bundle.config["process"]["capabilities"] = {kind: names for kind in
                                                ("bounding", "effective", "permitted", "inheritable", "ambient")}
    bundle.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    out = bundle.args("grep", "Cap", "/proc/self/status").output()
    assert all(line.split()[1] == "0000000000000420" for line in out.splitlines()) and len(out.splitlines()) == 5


def test_no_capabilities_where_none_are_given(bundle):
    del bundle.config["process"]["capabilities"]
    out = bundle.args("grep", "Cap", "/proc/self/status").output()
    assert all(line.split()[1] == "0" * 16 for line in out.splitlines())


def test_rlimits_oom_score_and_no_new_privileges(bundle):
    bundle.config["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
    bundle.config["process"]["oomScoreAdj"] = 500
    out = bundle.shell("ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status").output()
    assert out.split() == ["100", "200", "500", "NoNewPrivs:", "1"]


def test_sysctl_of_a_namespace(bundle):
    bundle.config["linux"]["sysctl"] = {"kernel.shmmax": "123456", "net.ipv4.ip_forward": "1"}
    assert bundle.shell("cat /proc/sys/kernel/shmmax /proc/sys/net/ipv4/ip_forward").output() == "123456\n1\n"


def test_sysctl_of_the_host_is_refused(bundle):
    bundle.args("true")
    bundle.config["linux"]["sysctl"] = {"vm.swappiness": "1"}
    assert "linux.sysctl: expected a sysctl that belongs to a namespace" in bundle.run(name="a").stderr
    bundle.config["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    assert "needs a network namespace" in bundle.without_namespace("network").run(name="b").stderr


def test_limits_reach_the_files(bundle):
    bundle.config["linux"]["resources"].update({
        "memory": {"limit": 33554432, "reservation": 16777216},
        "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0"},
        "pids": {"limit": 20}, "blockIO": {"throttleReadBpsDevice": []}})
    one = bundle.args("sleep", "100").create()
    def value(controller, v1, v2):
        return cgroups.value(bundle.prefix, controller, v1, v2)
    assert value("memory", "memory.limit_in_bytes", "memory.max") == "33554432"
    assert value("memory", "memory.soft_limit_in_bytes", "memory.low") == "16777216"
    assert value("pids", "pids.max", "pids.max") == "20"
    assert value("cpuset", "cpuset.cpus", "cpuset.cpus") == "0"
    if cgroups.V2_ALONE:
        assert (value("cpu", None, "cpu.weight"), value("cpu", None, "cpu.max")) == ("20", "50000 100000")
    else:
        assert (value("cpu", "cpu.shares", None), value("cpu", "cpu.cfs_quota_us", None)) == ("512", "50000")
    for hierarchy in cgroups.hierarchies():
        assert cgroups.value(bundle.prefix, hierarchy, "cgroup.procs", "cgroup.procs") == str(bundle.status(one)["pid"])


def test_memory_limit_holds(bundle):
    bundle.config["linux"]["resources"]["memory"] = {"limit": 16777216, "swap": 16777216}
    done = bundle.shell("dd if=/dev/zero of=/dev/shm/x bs=1M count=60").run()
    assert done.returncode != 0


def test_pids_limit_holds(bundle):
    bundle.config["linux"]["resources"]["pids"] = {"limit": 3}
    done = bundle.shell("for i in 1 2 3 4 5 6; do sleep 1 & done; wait").run()
    assert "fork" in done.stderr


def test_device_rules_hold(bundle):
    bundle.config["linux"]["devices"] = [{"type": "b", "path": "/dev/forbidden", "major": 7, "minor": 0}]
    done = bundle.shell("head -c 1 /dev/zero | wc -c; head -c 1 /dev/forbidden").run()
    assert done.stdout.startswith("1") and "Operation not permitted" in done.stderr
    bundle.config["linux"]["resources"]["devices"].append(
        {"allow": True, "type": "b", "major": 7, "minor": 0, "access": "r"})
    allowed = bundle.shell("head -c 1 /dev/forbidden").run(name="d")
    assert "Operation not permitted" not in allowed.stderr


def test_a_limit_without_its_controller_is_refused(bundle):
    bundle.config["linux"]["resources"]["network"] = {"classID": 5}
    if os.path.isdir("/sys/fs/cgroup/net_cls"):
        pytest.skip("net_cls is there")
    done = bundle.args("true").run()
    assert done.returncode == 1 and "the net_cls cgroup controller is not there" in done.stderr


def test_seccomp_filter(bundle):
    bundle.config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": [{"names": ["mkdir", "mkdirat", "nosuchcall"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}
    for name in ("first", "cached"):
        done = bundle.shell("mkdir /tmp/x; grep Seccomp: /proc/self/status").run(name=name)
        assert "Function not implemented" in done.stderr and done.stdout.split() == ["Seccomp:", "2"]
    cache = list((pathlib.Path(bundle.state) / ".cache").iterdir())
    assert len(cache) == 1
    cache[0].write_bytes(cache[0].read_bytes()[:100])  # damaged: compiled again, not trusted
    assert "Function not implemented" in bundle.shell("mkdir /tmp/x").run(name="damaged").stderr
    assert bundle.axrun_run("list", "-q").stdout == ""


def test_seccomp_without_no_new_privileges(bundle):
    bundle.config["process"]["noNewPrivileges"] = False
    bundle.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}
    assert "Function not implemented" in bundle.shell("mkdir /tmp/x").run().stderr


def test_unknown_profile_words_are_refused(bundle):
    bundle.args("true").config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_PLEASE"}
    assert 'unknown action "SCMP_ACT_PLEASE"' in bundle.run().stderr


def test_preserved_descriptors(bundle):
    (bundle.folder / "through").write_text("through\n")
    bundle.shell("cat <&3; ls /proc/self/fd").write()
    done = bundle.with_descriptor_3(bundle.folder / "through", "run", "-b", bundle.folder, "--preserve-fds", "1", bundle.id())
    assert done.stdout.splitlines()[:5] == ["through", "0", "1", "2", "3"], done.stderr


def test_nothing_else_is_inherited(bundle):
    with open("/etc/passwd", encoding="utf-8") as leaked:
        os.set_inheritable(leaked.fileno(), True)
        out = bundle.args("ls", "/proc/self/fd").output(close_fds=False)
    assert out.split() == ["0", "1", "2", "3"]  # the last is ls's own


def test_root_by_descriptor(bundle):
    """--rootfs-fd: the root is a descriptor; config.json's path is a name."""
    bundle.config["root"]["path"] = "/nowhere/at/all"
    fd = os.open(bundle.root, os.O_PATH)
    # a plain directory's descriptor is no detached mount: refused, not mounted
    done = bundle.args("true").run("--rootfs-fd", fd, pass_fds=(fd,))
    os.close(fd)
    assert done.returncode == 1 and "root file system" in done.stderr
    assert json.loads((bundle.folder / "config.json").read_text())["root"]["path"] == "/nowhere/at/all"


def test_root_by_descriptor_of_a_detached_mount(bundle):
    libc = ctypes.CDLL(None, use_errno=True)
    clone, cloexec = 1, os.O_CLOEXEC
    fd = libc.syscall(428, -100, str(bundle.root).encode(), clone | cloexec)  # open_tree(2)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    bundle.config["root"]["path"] = "/nowhere/at/all"
    try:
        out = bundle.shell("hostname; ls -d /bin").output("--rootfs-fd", fd, pass_fds=(fd,))
    finally:
        os.close(fd)
    assert out == "axrun\n/bin\n"


def test_a_memory_limit_that_is_too_low_is_named(bundle):
    if not os.path.isdir("/sys/fs/cgroup/memory"):
        pytest.skip("no memory controller on cgroup v1")
    bundle.config["linux"]["resources"] = {"memory": {"limit": 4096}}
    done = bundle.run()
    assert done.returncode == 1 and "its memory limit of 4096 bytes is too low" in done.stderr, done.stderr


def test_a_mount_label_is_given_to_the_kernel(bundle):
    """Without SELinux there are no labels, and the file system says so; nothing is ignored."""
    if os.path.exists("/sys/fs/selinux"):
        pytest.skip("this kernel has SELinux")
    bundle.config["linux"]["mountLabel"] = "system_u:object_r:container_file_t:s0:c1,c2"
    done = bundle.run()
    assert done.returncode == 1 and "context" in done.stderr, done.stderr


@pytest.mark.parametrize("member, value", [("apparmorProfile", "no-such-profile"), ("selinuxLabel", "u:r:no-such-type:s0")])
def test_a_label_that_cannot_be_given_is_an_error(bundle, member, value):
    """The kernel's refusal comes through: it lacks the module, or does not know the name."""
    bundle.config["process"][member] = value
    done = bundle.run()
    assert done.returncode == 1 and f"process.{member} {value}" in done.stderr, done.stderr
