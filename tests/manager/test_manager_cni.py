"""Pods in networks: CNI configurations, plugins of Debian's, plugins that misbehave."""
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from conftest import Kubelet, ROOT, entries, wait_until
from test_manager_restart import reboot

import cni
import cri as cri_module


class Nets:
    """A node with these networks, as a kubelet sees it."""

    def __init__(self, node, networks, image, folder):
        self.node, self.networks, self.image, self.folder = node, networks, image, folder
        self.connect()

    def connect(self):
        self.node.start()
        self.kubelet = Kubelet(cri_module.connect(str(ROOT), self.node.cri_socket), self.image, self.folder)
        return self.kubelet

    def pin(self, pod):
        return os.path.join(self.node.state, "ns", pod, "net")

    def ips(self, pod):
        network = self.kubelet.PodSandboxStatus(pod_sandbox_id=pod)["status"].get("network", {})
        return [*filter(None, [network.get("ip")]), *(more["ip"] for more in network.get("additional_ips", []))]

    def inside(self, pod, *command, **options):
        return cni.in_namespace(self.pin(pod), *command, **options)

    def condition(self):
        conditions = self.kubelet.Status()["status"]["conditions"]
        return next(one for one in conditions if one["type"] == "NetworkReady")


@pytest.fixture
def make_nets(make_node, networks, registry, folder):
    """Nodes with networks; the image is there. Pods are removed at the end."""
    made = []

    def make(with_image=False, **config):
        image = registry.image("busybox:latest")
        one = Nets(make_node(config=networks.config(**config)), networks, image, folder)
        made.append(one)
        if with_image:
            one.kubelet.PullImage(image={"image": image})
        return one
    yield make
    for one in made:
        one.connect().remove_all()


@pytest.fixture
def nets(make_nets):
    return make_nets()


def test_bridge_gives_addresses_of_both_families(networks, nets):
    networks.write_list(networks.bridge("10.77.0.0/24", "fd77::/64"))
    assert nets.condition()["status"] is True
    pod = nets.kubelet.run_pod()
    ips = nets.ips(pod)
    assert [":" in ip for ip in ips] == [False, True]
    assert set(ips) == networks.leases()
    shown = json.loads(nets.inside(pod, "ip", "-j", "addr").stdout)
    assert {address["local"] for link in shown if link["ifname"] == "eth0" for address in link["addr_info"]} >= set(ips)
    nets.kubelet.StopPodSandbox(pod_sandbox_id=pod)
    assert networks.leases() == set()
    assert nets.ips(pod) == []
    nets.kubelet.StopPodSandbox(pod_sandbox_id=pod)


def test_pods_reach_each_other(networks, nets):
    networks.write_list(networks.bridge("10.77.0.0/24", "fd77::/64"))
    one, other = nets.kubelet.run_pod(), nets.kubelet.run_pod()
    for address in nets.ips(other):
        with cni.Server(nets.pin(other), address):
            assert cni.ask(nets.pin(one), address)
            assert cni.ask(None, address)


def test_a_container_finds_itself_and_others_by_address(networks, make_nets):
    nets = make_nets(with_image=True)
    networks.write_list(networks.bridge("10.77.0.0/24"))
    pod = nets.kubelet.run_pod("web", hostname="web")
    [address] = nets.ips(pod)
    nets.kubelet.start(pod, ["sh", "-c", "echo page > /tmp/index.html; exec httpd -f -p 80 -h /tmp"], "server")
    client = nets.kubelet.run_pod("client")
    fetch = f"until wget -q -O- http://{address}/index.html; do sleep 0.1; done"
    assert nets.kubelet.run(client, ["sh", "-c", fetch]) == ["page"]
    hosts = nets.kubelet.run(pod, ["cat", "/etc/hosts"])
    assert f"{address}\tweb" in hosts
    assert "127.0.0.1\tweb" not in hosts


def has_sctp():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close()
        return True
    except OSError:
        return False


HAS_SCTP = has_sctp()


@pytest.mark.parametrize("kind, protocol", [("tcp", "TCP"), ("udp", "UDP"), ("sctp", "SCTP")])
def test_ports_of_the_host(networks, nets, kind, protocol):
    networks.write_list(networks.bridge("10.77.0.0/24", "fd77::/64"),
                        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True})
    ports = [{"protocol": protocol, "container_port": 80, "host_port": 8080}]
    with cni.Outside() as outside:
        pod = nets.kubelet.run_pod(port_mappings=ports)
        for mine, here in zip(nets.ips(pod), ("192.0.2.1", "2001:db8::1")):
            if kind == "sctp" and not HAS_SCTP:  # then the way is open, with nobody to walk it
                save = "ip6tables-save" if ":" in mine else "iptables-save"
                rules = subprocess.run([save, "-t", "nat"], capture_output=True, text=True, check=True).stdout
                assert any("-p sctp" in rule and "--dport 8080" in rule and mine in rule for rule in rules.splitlines())
                continue
            with cni.Server(nets.pin(pod), mine, kind):
                assert cni.ask(outside.pin, here, 8080, kind)
        nets.kubelet.StopPodSandbox(pod_sandbox_id=pod)
        assert not cni.ask(outside.pin, "192.0.2.1", 8080, kind, seconds=0.5)


def test_a_port_of_one_address_of_the_host(networks, nets):
    networks.write_list(networks.bridge("10.77.0.0/24"),
                        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True})
    with cni.Outside() as outside:
        cni.sh("ip addr add 192.0.2.10/24 dev axout0")
        pod = nets.kubelet.run_pod(port_mappings=[
            {"container_port": 80, "host_port": 8080, "host_ip": "192.0.2.10"}, {"container_port": 80}])
        with cni.Server(nets.pin(pod)):
            assert cni.ask(outside.pin, "192.0.2.10", 8080)
            assert not cni.ask(outside.pin, "192.0.2.1", 8080, seconds=0.5)


def test_the_firewall_lets_a_pod_through(networks, nets):
    networks.write_list(networks.bridge("10.77.0.0/24", "fd77::/64"), {"type": "firewall", "backend": "iptables"})
    with cni.Outside() as outside, cni.Server(outside.pin, "192.0.2.2"):
        pod, shut = nets.kubelet.run_pod(), nets.kubelet.run_pod()
        cni.sh("iptables -P FORWARD DROP")
        assert cni.ask(nets.pin(pod), "192.0.2.2")
        cni.sh(f"iptables -D CNI-FORWARD -s {nets.ips(shut)[0]}/32 -j ACCEPT")
        assert not cni.ask(nets.pin(shut), "192.0.2.2", seconds=0.5)


def test_macvlan_is_on_the_wire_itself(networks, nets):
    with cni.Outside() as outside:
        ipam = networks.ipam("192.0.2.0/24")
        ipam["ranges"][0][0].update(rangeStart="192.0.2.128", gateway="192.0.2.1")
        networks.write_list({"type": "macvlan", "master": "axout0", "mode": "bridge", "capabilities": {"mac": True}, "ipam": ipam})
        pod = nets.kubelet.run_pod(annotations=cri_module.pairs({"axle.network.mac": "02:00:00:00:00:77"}))
        [address] = nets.ips(pod)
        assert "02:00:00:00:00:77" in nets.inside(pod, "ip", "link", "show", "eth0").stdout
        with cni.Server(nets.pin(pod), address):
            assert cni.ask(outside.pin, address)
        nets.kubelet.RemovePodSandbox(pod_sandbox_id=pod)


MBIT = 1000 * 1000


def transfer(pin, address, into_pod, count):
    """Seconds that @count bytes take from here into the pod, or out of it."""
    with cni.Server(pin, address), socket.create_connection((address, 80), timeout=60) as connection:
        started = time.monotonic()
        connection.sendall(b"s" + bytes(count) if into_pod else b"g%d" % count)
        connection.shutdown(socket.SHUT_WR)
        left = 1 if into_pod else count
        while left > 0:
            data = connection.recv(1 << 20)
            assert data
            left -= len(data)
        return time.monotonic() - started


@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_bandwidth_stops_at_its_limit(networks, nets, direction):
    networks.write_list(networks.bridge("10.77.0.0/24"), {"type": "bandwidth", "capabilities": {"bandwidth": True}})
    limit, count = 16 * MBIT, 4 << 20
    pod = nets.kubelet.run_pod(annotations=cri_module.pairs({f"kubernetes.io/{direction}-bandwidth": "16M"}))
    [address] = nets.ips(pod)
    into_pod = direction == "ingress"
    limited = transfer(nets.pin(pod), address, into_pod, count)
    free = transfer(nets.pin(pod), address, not into_pod, count)
    rate = count * 8 / limited
    assert 0.3 * limit < rate < 1.3 * limit, rate
    assert free < limited / 3, (free, limited)


def test_check_notices(networks, nets):
    networks.write_list(networks.bridge("10.77.0.0/24"), {"type": "firewall", "backend": "iptables"})
    pod = nets.kubelet.run_pod()

    def check():
        info = nets.kubelet.PodSandboxStatus(pod_sandbox_id=pod, verbose=True)["info"]
        return json.loads(next(one["value"] for one in info if one["key"] == "network"))
    assert check()["check"] == "ok"
    assert check()["result"]["ips"][0]["address"] == nets.ips(pod)[0] + "/24"
    assert nets.inside(pod, "ip", "route", "del", "default").returncode == 0
    assert "bridge, CHECK" in check()["check"]
    nets.node.stop()
    nets.connect()
    wait_until(lambda: f"the network of pod {pod} is not as it was" in nets.node.log_text(), "the word in the log")


# What is not there, or wrong.

def test_without_a_configuration_pods_wait(networks, nets, refused):
    condition = nets.condition()
    assert condition.get("status", False) is False
    assert condition["reason"] == "NetworkPluginNotReady"
    assert networks.conf in condition["message"]
    with refused("UNAVAILABLE", networks.conf):
        nets.kubelet.run_pod("early")
    assert "items" not in nets.kubelet.ListPodSandbox()
    host = {"security_context": {"namespace_options": {"network": "NODE", "pid": "CONTAINER"}}}
    nets.kubelet.run_pod("host", linux=host)
    networks.write_list(networks.bridge("10.77.0.0/24"))
    assert nets.condition()["status"] is True
    assert nets.ips(nets.kubelet.run_pod("early"))


@pytest.mark.parametrize("content, words", [
    ("{", "10-test.conflist"),
    ('{"cniVersion": "9.0.0", "name": "x", "type": "fake"}', "9.0.0"),
    ('{"cniVersion": "1.0.0", "name": "x", "type": "no-such"}', 'plugin "no-such": no such program in'),
])
def test_a_broken_configuration_is_named(networks, nets, refused, content, words):
    networks.write("10-test.conflist", content)
    condition = nets.condition()
    assert condition.get("status", False) is False
    assert words in condition["message"]
    with refused("UNAVAILABLE", words):
        nets.kubelet.run_pod()
    assert "items" not in nets.kubelet.ListPodSandbox()


def test_a_changed_configuration_is_picked_up(networks, nets):
    networks.write_list(networks.bridge("10.77.0.0/24"))
    old = nets.kubelet.run_pod()
    for number in range(3):  # within the same tick of the file's times too
        networks.write_list(networks.bridge(f"10.78.{number}.0/24", name="axbr1"))
        pod = nets.kubelet.run_pod()
        assert nets.ips(pod)[0].startswith(f"10.78.{number}.")
        nets.kubelet.RemovePodSandbox(pod_sandbox_id=pod)
        cni.sh("ip link del axbr1")
    networks.write_list(networks.bridge("10.79.0.0/24", name="axbr1"), file="05-first.conflist", name="first")
    assert nets.ips(nets.kubelet.run_pod())[0].startswith("10.79.0.")
    os.unlink(os.path.join(networks.conf, "05-first.conflist"))
    os.unlink(os.path.join(networks.conf, "10-test.conflist"))
    assert nets.condition().get("status", False) is False
    nets.kubelet.RemovePodSandbox(pod_sandbox_id=old)  # by what it was attached with
    assert not any(lease.startswith("10.77.") for lease in networks.leases())


def test_a_network_by_its_name(networks, make_nets):
    networks.write_list(networks.bridge("10.77.0.0/24"), file="10-a.conflist", name="a")
    networks.write_list(networks.bridge("10.78.0.0/24"), file="20-b.conflist", name="b")
    nets = make_nets(network="b")
    assert nets.ips(nets.kubelet.run_pod())[0].startswith("10.78.")


def test_pods_of_the_host_never_touch_a_plugin(networks, nets):
    fake = networks.fake()
    networks.write_list({"type": "fake"})
    host = {"security_context": {"namespace_options": {"network": "NODE", "pid": "CONTAINER"}}}
    pod = nets.kubelet.run_pod(linux=host, port_mappings=[{"container_port": 80, "host_port": 80}])
    assert nets.ips(pod) == []
    nets.kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    assert fake.calls() == []


# What plugins are told, and what they answer.

def test_what_plugins_are_given(networks, nets):
    one, two = networks.fake("one"), networks.fake("two")
    names = ["portMappings", "bandwidth", "ipRanges", "dns", "mac", "ips", "io.kubernetes.cri.pod-annotations"]
    networks.write_list({"type": "one", "capabilities": {name: True for name in names}, "own": [1, {"a": None}]},
                        {"type": "two", "capabilities": {"mac": True, "bandwidth": False}})
    annotations = {"kubernetes.io/ingress-bandwidth": "10M", "axle.network.mac": "02:00:00:00:00:01",
                   "axle.network.ips": "10.1.0.7/24"}
    pod = nets.kubelet.run_pod("web", annotations=cri_module.pairs(annotations), dns_config={"servers": ["10.0.0.10"]},
                               port_mappings=[{"container_port": 80, "host_port": 8080, "protocol": "UDP"}])
    given = one.input("ADD")
    assert given["runtimeConfig"] == {
        "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "udp"}],
        "bandwidth": {"ingressRate": 10000000, "ingressBurst": 1048576}, "mac": "02:00:00:00:00:01", "ips": ["10.1.0.7/24"],
        "dns": {"servers": ["10.0.0.10"], "searches": [], "options": []}, "io.kubernetes.cri.pod-annotations": annotations}
    assert (given["name"], given["cniVersion"], given["own"]) == ("test", "1.0.0", [1, {"a": None}])
    assert "prevResult" not in given
    assert two.input("ADD")["runtimeConfig"] == {"mac": "02:00:00:00:00:01"}
    assert two.input("ADD")["prevResult"]["ips"][0]["address"] == "10.9.8.7/24"
    environment = one.environment("ADD")
    assert environment["CNI_CONTAINERID"] == pod
    assert environment["CNI_NETNS"] == nets.pin(pod)
    assert environment["CNI_IFNAME"] == "eth0"
    assert environment["CNI_PATH"].split(":")[0] == networks.plugins
    assert environment["CNI_ARGS"] == (f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;"
                                       f"K8S_POD_INFRA_CONTAINER_ID={pod};K8S_POD_UID=uid-web")
    assert nets.ips(pod) == ["10.9.8.7", "fd09::7"]
    networks.write_list({"type": "one"})  # DEL is run with what ADD was run with
    nets.kubelet.StopPodSandbox(pod_sandbox_id=pod)
    assert one.input("DEL")["runtimeConfig"] == given["runtimeConfig"]
    assert one.input("DEL")["prevResult"] == two.input("DEL")["prevResult"]
    assert one.input("DEL")["prevResult"]["ips"][1]["address"] == "fd09::7/64"
    assert two.commands() == ["ADD", "DEL"]


def test_names_come_from_the_network_where_the_pod_has_none(networks, make_nets):
    nets = make_nets(with_image=True)
    fake = networks.fake()
    fake.set("ADD", "answer", {"cniVersion": "1.0.0", "ips": [{"address": "10.9.8.7/24"}],
                               "dns": {"nameservers": ["10.9.8.1"], "search": ["a.test", "b.test"], "options": ["ndots:2"]}})
    networks.write_list({"type": "fake"})
    pod = nets.kubelet.run_pod()
    expected = ["search a.test b.test", "nameserver 10.9.8.1", "options ndots:2"]
    assert nets.kubelet.run(pod, ["cat", "/etc/resolv.conf"]) == expected
    other = nets.kubelet.run_pod(dns_config={"servers": ["10.0.0.10"]})
    assert nets.kubelet.run(other, ["cat", "/etc/resolv.conf"]) == ["nameserver 10.0.0.10"]


@pytest.mark.parametrize("what, text, words", [
    ("fail", {"cniVersion": "1.0.0", "code": 100, "msg": "no cable", "details": "port 7"}, "no cable; port 7 (code 100)"),
    ("fail", "not json", "ended with 1"),
    ("sh", "echo first >&2; echo 'the cause' >&2; exit 3", "ended with 3: the cause"),
    ("sh", "kill -9 $$", "ended with 137"),
    ("answer", "", "result of plugin fake"),
    ("answer", "{", "result of plugin fake"),
    ("answer", {"ips": [{"address": "nowhere"}]}, "ips[0].address"),
    ("sh", "yes", "wrote more than 1048576 bytes"),
    ("sh", "yes >&2 & sleep 0.2; exit 1", "ended with 1"),
])
def test_a_plugin_that_fails_is_named(networks, nets, refused, what, text, words):
    before, fake = networks.fake("before"), networks.fake()
    networks.write_list({"type": "before"}, {"type": "fake"})
    fake.set("ADD", what, text)
    with pytest.raises(Exception) as error:
        nets.kubelet.run_pod()
    assert words in error.value.details()
    assert 'network "test"' in error.value.details() and "plugin fake" in error.value.details()
    assert before.commands() == ["ADD", "DEL"]
    assert fake.commands() == ["ADD", "DEL"]
    assert before.leases() == fake.leases() == set()
    assert "items" not in nets.kubelet.ListPodSandbox()
    assert entries(nets.node.state, "ns") == []


def test_a_plugin_that_hangs_is_ended_with_all_it_started(networks, make_nets, refused, tag):
    nets = make_nets(plugin_timeout_s=1)
    before, fake = networks.fake("before"), networks.fake()
    networks.write_list({"type": "before"}, {"type": "fake"})
    fake.set("ADD", "sh", "setsid sleep 1000 & sleep 1000 & sleep 1000")
    with refused("DEADLINE_EXCEEDED", 'network "test": plugin fake did not end its ADD within 1 s and was killed'):
        nets.kubelet.run_pod()
    assert before.leases() == fake.leases() == set()
    assert not [process for process in nets.node.processes() if process[1] == "sleep"]
    assert not [path for path in nets.node.cgroups() for _, folders, _ in os.walk(path) if "cni-" in str(folders)]
    fake.unset("ADD", "sh")
    fake.set("DEL", "sleep", "1000")
    pod = nets.kubelet.run_pod()
    with refused("DEADLINE_EXCEEDED", "plugin fake did not end its DEL within 1 s"):
        nets.kubelet.StopPodSandbox(pod_sandbox_id=pod)
    fake.unset("DEL", "sleep")
    nets.kubelet.StopPodSandbox(pod_sandbox_id=pod)
    assert fake.leases() == set()


def test_what_a_plugin_leaves_running_is_ended(networks, nets):
    fake = networks.fake()
    fake.set("ADD", "sh", "setsid sleep 1000 >/dev/null 2>&1 & echo $! >\"$me.child\"")
    networks.write_list({"type": "fake"})
    nets.kubelet.run_pod()
    with open(fake.path + ".child", encoding="utf-8") as file:
        child = int(file.read())
    wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the end of what the plugin left")


def test_a_cancelled_call_undoes_the_pod(networks, nets):
    fake = networks.fake()
    fake.set("ADD", "sleep", "1000")
    networks.write_list({"type": "fake"})
    with pytest.raises(Exception):
        nets.kubelet.RunPodSandbox(config=nets.kubelet.pod_config(), call_seconds=4)
    wait_until(lambda: fake.commands() == ["ADD", "DEL"], "DEL after the cancelled ADD", 30)
    wait_until(lambda: entries(nets.node.root, "pods") == [], "the record's end", 30)
    assert fake.leases() == set()


def test_a_pod_that_cannot_be_undone_is_shown_until_it_can(networks, nets, refused):
    fake = networks.fake()
    broken = {"cniVersion": "1.0.0", "code": 100, "msg": "no cable"}
    fake.set("ADD", "fail", broken)
    fake.set("DEL", "fail", broken)
    networks.write_list({"type": "fake"})
    with refused("INTERNAL", "fake, ADD: no cable"):
        nets.kubelet.run_pod()
    [shown] = nets.kubelet.ListPodSandbox()["items"]
    assert shown["state"] == "SANDBOX_NOTREADY"
    for call in (nets.kubelet.StopPodSandbox, nets.kubelet.RemovePodSandbox):
        with refused("INTERNAL", "fake, DEL: no cable"):
            call(pod_sandbox_id=shown["id"])
    fake.unset("DEL", "fail")
    nets.kubelet.StopPodSandbox(pod_sandbox_id=shown["id"])
    nets.kubelet.RemovePodSandbox(pod_sandbox_id=shown["id"])
    assert fake.leases() == set()


# The verbs of 1.1.

def test_status_and_gc_of_plugins_that_know_them(networks, make_nets):
    new, old = networks.fake("new"), networks.fake("old")
    new.set("VERSION", "answer", cni.VERSIONS_1_1)
    networks.write_list({"type": "new"}, {"type": "old"}, version="1.1.0")
    nets = make_nets()
    assert nets.condition()["status"] is True
    assert "STATUS" in new.commands() and "STATUS" not in old.commands()
    new.set("STATUS", "fail", {"cniVersion": "1.1.0", "code": 50, "msg": "the controller is away"})
    condition = nets.condition()
    assert condition.get("status", False) is False
    assert "plugin new, STATUS: the controller is away" in condition["message"]
    new.unset("STATUS", "fail")
    pod = nets.kubelet.run_pod()
    nets.node.kill()
    with open(new.path + ".lease.of-nobody", "w", encoding="utf-8"):
        pass
    nets.connect()
    assert new.input("GC")["cni.dev/valid-attachments"] == [{"containerID": pod, "ifname": "eth0"}]
    assert "prevResult" not in new.input("GC")
    assert new.leases() == {pod}
    assert "GC" not in old.commands()


def test_no_verb_of_1_1_for_a_list_of_1_0(networks, nets):
    new = networks.fake("new")
    new.set("VERSION", "answer", cni.VERSIONS_1_1)
    networks.write_list({"type": "new"})
    assert nets.condition()["status"] is True
    nets.node.stop()
    nets.connect()
    assert new.calls() == []


# axled dies, the machine restarts.

@pytest.mark.parametrize("command", ["ADD", "DEL"])
@pytest.mark.parametrize("place", ["first", "last"])
def test_killed_while_a_plugin_runs(networks, make_nets, command, place):
    fake = networks.fake()
    chain = [networks.bridge("10.77.0.0/24"), {"type": "firewall", "backend": "iptables"}]
    chain.insert(0 if place == "first" else 2, {"type": "fake"})
    if place == "first":  # it makes no link: the chain's own result is the bridge's
        fake.set("ADD", "answer", {"cniVersion": "1.0.0"})
    else:
        fake.set("ADD", "sh", "sed 's/.*\"prevResult\"://; s/}$//' \"$me.ADD.json\" >\"$me.ADD.answer\"")
    networks.write_list(*chain)
    nets = make_nets()
    kept = nets.kubelet.run_pod("kept")
    doomed = nets.kubelet.run_pod("doomed") if command == "DEL" else None
    fake.set(command, "sleep", "1000")
    count = fake.commands().count(command)
    calls = {"ADD": lambda: nets.kubelet.run_pod("doomed"),
             "DEL": lambda: nets.kubelet.StopPodSandbox(pod_sandbox_id=doomed)}

    def call():
        try:
            calls[command]()
        except Exception:  # axled is killed under it
            pass
    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: fake.commands().count(command) > count, f"the begin of {command}", 30)
    nets.node.kill()
    thread.join()
    fake.unset(command, "sleep")
    nets.connect()
    states = {item["metadata"]["name"]: item.get("state", "SANDBOX_READY") for item in nets.kubelet.ListPodSandbox()["items"]}
    assert states == {"kept": "SANDBOX_READY", **({"doomed": "SANDBOX_NOTREADY"} if command == "DEL" else {})}
    assert networks.leases() == set(nets.ips(kept)) != set()
    assert fake.leases() == {kept}
    assert cni.ask(None, nets.ips(kept)[0], seconds=0.2) is False  # nothing listens, but the link is there
    links = json.loads(subprocess.run(["ip", "-j", "link", "show", "master", "axbr0"], capture_output=True, check=True).stdout)
    assert len([link for link in links if link]) == 1


def test_after_a_reboot_nothing_is_leased(networks, nets, folder):
    fake = networks.fake()
    fake.set("ADD", "sh", "sed 's/.*\"prevResult\"://; s/}$//' \"$me.ADD.json\" >\"$me.ADD.answer\"")
    networks.write_list(networks.bridge("10.77.0.0/24", "fd77::/64"), {"type": "fake"})
    pod = nets.kubelet.run_pod()
    assert len(networks.leases()) == 2
    reboot(nets.node, folder)
    subprocess.run(["nft", "flush", "ruleset"], check=True)  # as a reboot does
    nets.connect()
    assert nets.kubelet.PodSandboxStatus(pod_sandbox_id=pod)["status"]["state"] == "SANDBOX_NOTREADY"
    assert networks.leases() == fake.leases() == set()
    assert fake.environment("DEL")["CNI_NETNS"] == ""
    assert nets.ips(pod) == []


LIFE = """
import sys, cri
root, socket, go = sys.argv[1:]
client = cri.connect(root, socket)
client.Version()
open(go, "w").close()
pod = client.RunPodSandbox(config={"metadata": {"name": "life", "uid": "u", "namespace": "n"},
    "port_mappings": [{"container_port": 80, "host_port": 8080}]})["pod_sandbox_id"]
client.StopPodSandbox(pod_sandbox_id=pod)
client.RemovePodSandbox(pod_sandbox_id=pod)
"""


def test_kill_at_any_time_leaves_no_address(networks, nets):
    """kill -9 of axled at growing delays into the life of a pod with three plugins; what is left is what the first pod has."""
    networks.write_list(networks.bridge("10.77.0.0/24"), {"type": "firewall", "backend": "iptables"},
                        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True})
    started = time.monotonic()
    kept = nets.kubelet.run_pod("kept")
    life = 2.5 * (time.monotonic() - started)  # ADD, and DEL
    leases, rules, links = networks.leases(), len(cni.pod_rules()), sorted(os.listdir("/sys/class/net"))
    rounds = 8
    for number in range(rounds):
        go = os.path.join(nets.folder, f"go{number}")
        script = subprocess.Popen(["/usr/bin/python3", "-c", LIFE, str(ROOT), nets.node.cri_socket, go],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=os.path.dirname(cri_module.__file__))
        wait_until(lambda: os.path.exists(go), "the life's begin", 20)
        time.sleep(life * number / rounds)
        nets.node.kill()
        script.wait(20)
        nets.connect()
        for item in nets.kubelet.ListPodSandbox()["items"]:
            if item["id"] != kept:
                nets.kubelet.RemovePodSandbox(pod_sandbox_id=item["id"])
        assert networks.leases() == leases
        assert len(cni.pod_rules()) == rules
        wait_until(lambda: sorted(os.listdir("/sys/class/net")) == links, "the links' end", 30)
        assert entries(nets.node.state, "ns") == [kept]
    with cni.Server(nets.pin(kept)):
        assert cni.ask(None, nets.ips(kept)[0])


def test_the_nodes_range_goes_to_the_plugins(networks, nets):
    fake = networks.fake()
    networks.write_list({"type": "fake", "capabilities": {"ipRanges": True}})
    nets.kubelet.run_pod()
    assert "runtimeConfig" not in fake.input("ADD")
    nets.kubelet.UpdateRuntimeConfig(runtime_config={"network_config": {"pod_cidr": "10.55.0.0/24,fd55::/64"}})
    nets.kubelet.run_pod()
    assert fake.input("ADD")["runtimeConfig"] == {"ipRanges": [[{"subnet": "10.55.0.0/24"}], [{"subnet": "fd55::/64"}]]}


def test_a_pod_with_users_of_its_own_is_in_the_network(networks, nets):
    networks.write_list(networks.bridge("10.77.0.0/24"), {"type": "firewall", "backend": "iptables"})
    ids = [{"host_id": 1000000, "container_id": 0, "length": 65536}]
    linux = {"security_context": {"namespace_options": {"pid": "CONTAINER", "userns_options": {
        "mode": "POD", "uids": ids, "gids": ids}}}}
    pod = nets.kubelet.run_pod(linux=linux)
    with cni.Server(nets.pin(pod)):
        assert cni.ask(None, nets.ips(pod)[0])
