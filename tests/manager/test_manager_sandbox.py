"""What a pod's configuration means: names, DNS, sysctls, /dev/shm, limits of the whole pod, and what is refused."""
import json
import os

import pytest

from conftest import ROOT, SLEEP, Kubelet, wait_until

import cgroups
import cri as cri_module

OWN = {"namespace_options": {"pid": "CONTAINER"}}


def pod_with(kubelet, security=None, options=None, **fields):
    """A pod whose linux part has these security fields, namespace options and others."""
    security = {"namespace_options": {"pid": "CONTAINER", **(options or {})}, **(security or {})}
    sandbox = {name: fields.pop(name) for name in ("hostname", "dns_config", "annotations") if name in fields}
    return kubelet.run_pod(linux={"security_context": security, **fields}, **sandbox)


def sysctls(**values):
    return cri_module.pairs({name.replace("__", "."): value for name, value in values.items()})


def info(kubelet, pod, key="info"):
    reply = kubelet.PodSandboxStatus(pod_sandbox_id=pod, verbose=True)
    return json.loads(next(entry["value"] for entry in reply["info"] if entry["key"] == key))


# --- names and DNS ---

def test_hostname(kubelet, refused):
    pod = pod_with(kubelet, hostname="some-host.domain")
    lines = kubelet.run(pod, ["sh", "-c", "hostname; cat /etc/hostname; echo $HOSTNAME; tail -n1 /etc/hosts"])
    assert lines[:3] == ["some-host.domain"] * 3 and lines[3].split() == ["127.0.0.1", "some-host.domain"]
    nameless = kubelet.run_pod()
    assert kubelet.run(nameless, ["hostname"]) == [nameless[:12]]
    host = pod_with(kubelet, options={"network": "NODE"})
    assert kubelet.run(host, ["hostname"]) == [os.uname().nodename]
    with refused("INVALID_ARGUMENT", "at most 64 bytes"):
        pod_with(kubelet, hostname="x" * 65)


def test_dns(kubelet, refused):
    dns = {"servers": ["10.0.0.1", "fd00::1"], "searches": ["a.example", "b.example"], "options": ["ndots:5", "edns0"]}
    pod = pod_with(kubelet, dns_config=dns)
    assert kubelet.run(pod, ["cat", "/etc/resolv.conf"]) == [
        "search a.example b.example", "nameserver 10.0.0.1", "nameserver fd00::1", "options ndots:5 edns0"]
    plain = kubelet.run_pod()
    with open("/etc/resolv.conf", encoding="utf-8") as file:
        assert kubelet.run(plain, ["cat", "/etc/resolv.conf"]) == file.read().splitlines()
    with refused("INVALID_ARGUMENT", "DNS servers: expected no line ends"):
        pod_with(kubelet, dns_config={"servers": ["10.0.0.1\nsearch evil"]})


# --- ipc and /dev/shm ---

def shm_bytes(kubelet, pod):
    return int(kubelet.run(pod, ["sh", "-c", "df -k /dev/shm | tail -n1 | awk '{print $2}'"])[0]) << 10


def test_shm_is_the_pods_and_has_a_size(kubelet, refused):
    pod = kubelet.run_pod()
    assert shm_bytes(kubelet, pod) == 64 << 20
    assert kubelet.run(pod, ["sh", "-c", "stat -c %a /dev/shm; echo kept > /dev/shm/file"], "writer") == ["1777"]
    assert kubelet.run(pod, ["cat", "/dev/shm/file"], "reader") == ["kept"]
    sized = pod_with(kubelet, annotations=cri_module.pairs({"io.axle.shm-size": "8m"}))
    assert shm_bytes(kubelet, sized) == 8 << 20
    for wrong in ("much", "0", "12q"):
        with refused("INVALID_ARGUMENT", "io.axle.shm-size"):
            pod_with(kubelet, annotations=cri_module.pairs({"io.axle.shm-size": wrong}))


def test_the_hosts_ipc_namespace(kubelet):
    host = pod_with(kubelet, options={"ipc": "NODE"})
    note = f"/dev/shm/axle-test-{os.getpid()}"
    with open(note, "w", encoding="utf-8") as file:
        file.write("of the host\n")
    try:
        lines = kubelet.run(host, ["sh", "-c", f"readlink /proc/self/ns/ipc; cat {note}"])
    finally:
        os.unlink(note)
    assert lines == [os.readlink("/proc/self/ns/ipc"), "of the host"]
    options = kubelet.PodSandboxStatus(pod_sandbox_id=host)["status"]["linux"]["namespaces"]["options"]
    assert options["ipc"] == "NODE"


# --- sysctls ---

def test_safe_and_unsafe_sysctls(kubelet):
    wanted = {"kernel__shm_rmid_forced": "1", "net__ipv4__ip_local_port_range": "1024\t65000", "fs__mqueue__msg_max": "100",
              "kernel__msgmax": "9999", "net__ipv4__conf__lo__forwarding": "1", "kernel__domainname": "some.domain"}
    pod = pod_with(kubelet, sysctls=sysctls(**wanted))
    files = ["/proc/sys/" + name.replace("__", "/") for name in wanted]
    assert kubelet.run(pod, ["cat", *files]) == list(wanted.values())
    with open("/proc/sys/kernel/shm_rmid_forced", encoding="utf-8") as file:
        assert file.read() == "0\n"  # not the host's


def test_a_sysctl_spelled_with_slashes(kubelet):
    pod = pod_with(kubelet, sysctls=cri_module.pairs({"net/ipv4/ip_forward": "1"}))
    assert kubelet.run(pod, ["cat", "/proc/sys/net/ipv4/ip_forward"]) == ["1"]


@pytest.mark.parametrize("name, options, words", [
    ("kernel.panic", {}, "expected one that belongs to a namespace"),
    ("vm.swappiness", {}, "expected one that belongs to a namespace"),
    ("kernel.hostname", {}, "expected one that belongs to a namespace"),
    ("net.../../kernel/panic", {}, "expected one that belongs to a namespace"),
    ("net.ipv4.ip_forward", {"network": "NODE"}, "shares its network namespace with the host"),
    ("kernel.domainname", {"network": "NODE"}, "shares its uts namespace with the host"),
    ("kernel.msgmax", {"ipc": "NODE"}, "shares its ipc namespace with the host"),
])
def test_sysctls_that_are_not_the_pods_are_refused(kubelet, refused, name, options, words):
    with refused("INVALID_ARGUMENT", words):
        pod_with(kubelet, options=options, sysctls=cri_module.pairs({name: "1"}))
    assert kubelet.ListPodSandbox() == {}


def test_a_sysctl_that_does_not_exist_is_named(kubelet, refused):
    with refused("NOT_FOUND", "net.ipv4.no_such_thing"):
        pod_with(kubelet, sysctls=sysctls(net__ipv4__no_such_thing="1"))
    assert kubelet.ListPodSandbox() == {}


PODS = """
[pods]
unsafe-sysctls = ["kernel.msg*", "net.ipv4.ip_forward"]
shm-size = "16m"
"""


def test_what_the_configuration_allows_and_gives(make_node, registry, folder, refused):
    node = make_node(PODS)
    node.start()
    client = cri_module.connect(str(ROOT), node.cri_socket)
    image = registry.image("busybox:latest")
    client.PullImage(image={"image": image})
    kubelet = Kubelet(client, image, folder)
    allowed = sysctls(kernel__msgmax="9999", net__ipv4__ip_forward="1", net__ipv4__tcp_syncookies="0")
    pod = pod_with(kubelet, sysctls=allowed)
    assert kubelet.run(pod, ["cat", "/proc/sys/kernel/msgmax", "/proc/sys/net/ipv4/tcp_syncookies"]) == ["9999", "0"]
    assert shm_bytes(kubelet, pod) == 16 << 20
    with refused("PERMISSION_DENIED", "not among pods.unsafe-sysctls"):
        pod_with(kubelet, sysctls=sysctls(kernel__sem="250 32000 100 128"))
    kubelet.remove_all()
    client.close()


# --- security ---

@pytest.mark.parametrize("security, words", [
    ({"run_as_user": {"value": -1}}, "run_as_user -1"),
    ({"run_as_user": {"value": 4294967295}}, "run_as_user 4294967295"),
    ({"run_as_group": {"value": 5}}, "expected a run_as_user beside it"),
    ({"supplemental_groups": [-5]}, "supplemental group -5"),
    ({"selinux_options": {"type": "a:b"}}, "SELinux type"),
    ({"selinux_options": {"level": "s0 s1"}}, "SELinux level"),
    ({"seccomp": {"profile_type": "Localhost"}}, "seccomp profile Localhost: expected a localhost_ref"),
])
def test_wrong_security_contexts_are_refused(kubelet, refused, security, words):
    with refused("INVALID_ARGUMENT", words):
        pod_with(kubelet, security)


def test_a_full_security_context_is_taken(kubelet):
    pod = pod_with(kubelet, {"run_as_user": {"value": 1000}, "run_as_group": {"value": 1000}, "supplemental_groups": [7],
                             "readonly_rootfs": True, "seccomp": {"profile_type": "RuntimeDefault"},
                             "selinux_options": {"type": "container_t", "level": "s0:c1,c2"}})
    assert kubelet.run(pod, ["echo", "fine"]) == ["fine"]


def test_privileged_containers_need_a_privileged_pod(kubelet, refused):
    plain = pod_with(kubelet)
    with refused("INVALID_ARGUMENT", "a privileged container in a pod that is not"):
        kubelet.create(plain, ["true"], security={"privileged": True})
    announced = pod_with(kubelet, {"privileged": True})
    assert kubelet.run(announced, ["echo", "mighty"], security={"privileged": True}) == ["mighty"]


@pytest.mark.parametrize("parent, words", [
    ("kubepods-burstable-pod1.slice", "the cgroup driver here is cgroupfs"),
    ("/kubepods/../../etc", 'without "." and ".."'),
    ("/" + "x" * 500, "at most 400 bytes"),
])
def test_wrong_cgroup_parents_are_refused(kubelet, refused, parent, words):
    with refused("INVALID_ARGUMENT", words):
        pod_with(kubelet, cgroup_parent=parent)


def test_a_kubelets_cgroup_parent_is_used_and_left(kubelet, tag):
    base = cgroups.BASE if hasattr(cgroups, "BASE") else "/sys/fs/cgroup"
    parent = f"{tag}kubepods/burstable/pod1"
    pod = pod_with(kubelet, cgroup_parent="/" + parent)
    container = kubelet.start(pod, SLEEP)
    found = [os.path.join(base, name, parent, container) for name in os.listdir(base)] + [os.path.join(base, parent, container)]
    assert any(os.path.isdir(path) for path in found)
    assert info(kubelet, pod)["cgroup"] == parent
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    assert not any(os.path.isdir(path) for path in found)
    for name in ["", *os.listdir(base)]:  # the kubelet removes what is its own
        for path in (parent, f"{tag}kubepods/burstable", f"{tag}kubepods"):
            if os.path.isdir(os.path.join(base, name, path)):
                os.rmdir(os.path.join(base, name, path))


# --- limits of a whole pod ---

def pod_limits(kubelet, pod):
    group = info(kubelet, pod)["cgroup"]
    return (cgroups.value(group, "memory", "memory.limit_in_bytes", "memory.max"),
            cgroups.value(group, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0])


def test_resources_and_overhead_limit_the_pod(kubelet, refused):
    pod = pod_with(kubelet, resources={"memory_limit_in_bytes": 96 << 20, "cpu_quota": 40000, "cpu_period": 100000},
                   overhead={"memory_limit_in_bytes": 32 << 20, "cpu_quota": 5000, "cpu_period": 50000})
    assert pod_limits(kubelet, pod) == (str(128 << 20), "50000")
    kubelet.start(pod, SLEEP)
    kubelet.UpdatePodSandboxResources(pod_sandbox_id=pod, resources={"memory_limit_in_bytes": 200 << 20, "cpu_quota": 80000})
    assert pod_limits(kubelet, pod) == (str(232 << 20), "90000")
    config = info(kubelet, pod, "config")["config"]["linux"]
    assert config["resources"]["memory_limit_in_bytes"] == 200 << 20
    assert config["overhead"]["memory_limit_in_bytes"] == 32 << 20
    for _ in range(3):  # again is the same
        kubelet.UpdatePodSandboxResources(pod_sandbox_id=pod, overhead={"memory_limit_in_bytes": 8 << 20})
    assert pod_limits(kubelet, pod)[0] == str(208 << 20)
    with refused("INVALID_ARGUMENT", "expected a memory limit"):
        kubelet.UpdatePodSandboxResources(pod_sandbox_id=pod, resources={"memory_limit_in_bytes": -5})
    assert pod_limits(kubelet, pod)[0] == str(208 << 20)
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    with refused("FAILED_PRECONDITION", "expected one that is ready"):
        kubelet.UpdatePodSandboxResources(pod_sandbox_id=pod, resources={})
    with refused("NOT_FOUND"):
        kubelet.UpdatePodSandboxResources(pod_sandbox_id="f" * 64, resources={})


def test_updated_resources_outlive_axled(kubelet, node):
    pod = kubelet.run_pod()
    kubelet.UpdatePodSandboxResources(pod_sandbox_id=pod, resources={"memory_limit_in_bytes": 100 << 20})
    node.kill()
    node.start()
    kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)
    assert info(kubelet, pod, "config")["config"]["linux"]["resources"]["memory_limit_in_bytes"] == 100 << 20
    assert pod_limits(kubelet, pod)[0] == str(100 << 20)


# --- what kubelet and node agree on ---

def test_runtime_config_says_cgroupfs(kubelet):
    assert kubelet.RuntimeConfig()["linux"].get("cgroup_driver", 0) in ("CGROUPFS", 1)


def test_the_pod_cidr_is_kept(kubelet, node, refused):
    path = os.path.join(node.root, "runtime-config.json")
    kubelet.UpdateRuntimeConfig(runtime_config={"network_config": {"pod_cidr": "10.1.0.0/24, fd00::/64"}})
    with open(path, encoding="utf-8") as file:
        assert json.load(file) == {"version": 1, "pod_cidr": "10.1.0.0/24,fd00::/64"}
    kubelet.UpdateRuntimeConfig(runtime_config={"network_config": {}})  # nothing is said about it
    for wrong in ("10.1.0.0", "10.1.0.0/33", "fd00::/129", "here/24", "10.1.0.0/24,"):
        with refused("INVALID_ARGUMENT", "pod CIDR"):
            kubelet.UpdateRuntimeConfig(runtime_config={"network_config": {"pod_cidr": wrong}})
    node.kill()
    node.start()
    kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)
    with open(path, encoding="utf-8") as file:
        assert json.load(file)["pod_cidr"] == "10.1.0.0/24,fd00::/64"


TEMPLATE = """{"cniVersion": "1.0.0", "name": "made", "plugins": [{"type": "bridge", "bridge": "axb0", "ipam": {"type": "host-local",
"first": "{{.PodCIDR}}", "ranges": {{.PodCIDRRanges}}, "routes": {{.Routes}}}}]}"""


def test_a_network_is_made_of_the_template(make_node, folder, refused):
    template, conf = folder / "template", folder / "net.d"
    template.write_text(TEMPLATE)
    node = make_node(f'[cni]\nconf-dir = "{conf}"\nconf-template = "{template}"\n')
    node.start()
    client = cri_module.connect(str(ROOT), node.cri_socket)
    client.UpdateRuntimeConfig(runtime_config={"network_config": {"pod_cidr": "10.1.0.0/24,fd00::/64"}})
    made = json.loads((conf / "10-axle-net.conflist").read_text())
    ipam = made["plugins"][0]["ipam"]
    assert ipam["first"] == "10.1.0.0/24"
    assert ipam["ranges"] == [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]]
    assert ipam["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    client.UpdateRuntimeConfig(runtime_config={"network_config": {"pod_cidr": "10.9.0.0/24"}})  # there is a network: it stays
    assert json.loads((conf / "10-axle-net.conflist").read_text()) == made
    (conf / "10-axle-net.conflist").unlink()
    template.write_text('{"x": "{{.Other}}"}')
    with refused("INVALID_ARGUMENT", "expected {{.PodCIDR}}"):
        client.UpdateRuntimeConfig(runtime_config={"network_config": {"pod_cidr": "10.9.0.0/24"}})
    client.close()


# --- again and again ---

def test_calls_for_what_is_gone_succeed(kubelet):
    pod = pod_with(kubelet, options={"pid": "POD"})
    container = kubelet.start(pod, SLEEP, security={"namespace_options": {"pid": "POD"}})
    for _ in range(2):
        kubelet.StopContainer(container_id=container, timeout=5)
    for _ in range(2):
        kubelet.StopPodSandbox(pod_sandbox_id=pod)
    for _ in range(2):
        kubelet.RemoveContainer(container_id=container)
    for _ in range(2):
        kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    kubelet.StopContainer(container_id=container, timeout=1)
    wait_until(lambda: kubelet.ListPodSandbox() == {}, "nothing")
