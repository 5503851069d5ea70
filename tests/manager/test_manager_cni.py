"""Pods in networks: CNI configurations, plugins of Debian's, plugins that misbehave."""
import json
import os
import subprocess
import threading

import pytest

from conftest import Kubelet, ROOT, SLEEP, entries, wait_until

import cni
import cri as cri_module


@pytest.fixture
def networks(leak_check, folder):
    """A folder of network configurations. What pods leave in networks fails the test."""
    made = cni.Networks(folder / "cni")
    yield made
    left = made.clean()
    assert not left, left


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
