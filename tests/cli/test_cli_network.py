"""Networks of containers that a person starts."""
import os

import pytest

import cni


@pytest.fixture
def networked(make_node, networks, registry):
    """A node with a bridge, and a reference to busybox, pulled. The containers are removed before the bridge is."""
    node = make_node(config=networks.config())
    reference = registry.image("busybox:latest")
    node.axle("pull", "-q", reference)
    networks.write_list(networks.bridge("10.77.0.0/24", "fd77::/64"),
                        {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True})
    yield node, reference
    ids = node.axle("ps", "-aq").split()
    if ids:
        node.axle("rm", "-f", *ids)


def interfaces(node, image, *options):
    return set(node.axle("run", "--rm", *options, image, "ls", "/sys/class/net").split())


def addresses(node, name):
    network = node.json("inspect", name)[0]["pod_status"]["network"]
    return [network["ip"], *(more["ip"] for more in network["additional_ips"])]


def pin(node, name):
    return os.path.join(node.state, "ns", node.json("inspect", name)[0]["pod_status"]["id"], "net")


def test_a_container_is_in_the_nodes_network(networked, networks):
    node, image = networked
    assert interfaces(node, image) == {"lo", "eth0"}
    assert interfaces(node, image, "--network", "private") == {"lo", "eth0"}
    assert interfaces(node, image, "--network", "none") == {"lo"}
    assert networks.leases() == set()
    node.axle("run", "-d", "--name", "web", image, "sleep", "1000")
    assert set(addresses(node, "web")) == networks.leases() != set()
    with cni.Server(pin(node, "web")):
        assert cni.ask(None, addresses(node, "web")[0])
    node.axle("rm", "-f", "web")
    assert networks.leases() == set()


def test_published_ports_lead_inside(networked):
    node, image = networked
    with cni.Outside() as outside:
        node.axle("run", "-d", "--name", "web", "-p", "8080:80", "-p", "192.0.2.1:5353:80/udp", image, "sleep", "1000")
        with cni.Server(pin(node, "web")), cni.Server(pin(node, "web"), kind="udp"):
            assert cni.ask(outside.pin, "192.0.2.1", 8080)
            assert cni.ask(outside.pin, "192.0.2.1", 5353, "udp")
            assert cni.ask(None, "127.0.0.1", 8080)  # and from the machine itself
        node.axle("rm", "-f", "web")
        assert not cni.ask(outside.pin, "192.0.2.1", 8080, seconds=0.5)


def test_without_a_configuration_there_is_loopback(make_node, networks, registry):
    node = make_node(config=networks.config())
    image = registry.image("busybox:latest")
    node.axle("pull", "-q", image)
    assert interfaces(node, image) == {"lo"}
    done = node.run("run", "--rm", "-p", "80:80", image, "true")
    assert done.returncode == 125
    assert "ports of the host cannot be published" in done.stderr and networks.conf in done.stderr
    networks.write("10-broken.conflist", "{")
    done = node.run("run", "--rm", image, "true")
    assert done.returncode == 125 and "10-broken.conflist" in done.stderr
    assert interfaces(node, image, "--network", "none") == {"lo"}


def test_ports_need_a_plugin_that_maps_them(make_node, networks, registry):
    node = make_node(config=networks.config())
    image = registry.image("busybox:latest")
    node.axle("pull", "-q", image)
    networks.write_list(networks.bridge("10.77.0.0/24"))
    done = node.run("run", "--rm", "-p", "80:80", image, "true")
    assert done.returncode == 125 and "portMappings" in done.stderr
