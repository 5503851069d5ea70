"""The daemon itself: sockets, owners, locks, configuration."""
import os
import socket
import stat
import subprocess

import pytest

from conftest import Kubelet, ROOT, SLEEP

import cri as cri_module


def start_another(node, **change):
    places = {"root": node.root, "state": node.state, "config": node.config, "name": node.name, **change}
    words = [word for key, value in places.items() for word in ("--" + key, str(value))]
    return subprocess.run([node.stage.program("axled"), *words], capture_output=True, text=True, timeout=20, check=False)


def test_two_never_run_on_one_place(node, folder):
    node.start()
    for change in ({"state": folder / "other"}, {"root": folder / "other"}):
        done = start_another(node, **change)
        assert done.returncode == 1
        assert "in use by another axled" in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("text, words", [
    ("[nothing]\n", "nothing"),
    ("[log]\nlevel = \"loud\"\n", "loud"),
    ("[log]\nlevel = 3\n", "string"),
    ("default-runtime = \"x\"\n", "[runtimes]"),
    ("[socket]\nmode = \"0999\"\n", "mode"),
    ("[socket]\ngroup = \"no-such-group\"\n", "no-such-group"),
    ("[[ulimits]]\nname = \"nofile\"\nsoft = 2\nhard = 1\n", "soft"),
    ("a = \n", "line 1"),
])
def test_a_bad_configuration_is_named(make_node, text, words):
    node = make_node(config=text)
    os.makedirs(node.root)
    done = start_another(node)
    assert done.returncode == 1
    assert words in done.stderr


@pytest.mark.parametrize("change, words", [({"root": "relative"}, "absolute"), ({"name": "No Name"}, "lower-case")])
def test_bad_options_are_named(node, change, words):
    done = start_another(node, **change)
    assert done.returncode == 1
    assert words in done.stderr


def test_sockets_have_the_mode_and_group_of_the_configuration(make_node):
    private = make_node().start()
    shared = make_node(config="[socket]\ngroup = \"65534\"\nmode = \"0620\"\n").start()
    for path in (private.socket, private.cri_socket):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    for path in (shared.socket, shared.cri_socket):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o620
        assert os.stat(path).st_gid == 65534


def test_nothing_listens_but_the_two_sockets(node):
    """And the streaming server, on the loopback device."""
    node.start()
    links = {os.readlink(f"/proc/{node.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{node.process.pid}/fd")}
    inodes = {link[len("socket:["):-1] for link in links if link.startswith("socket:[")}
    for table in ("tcp", "tcp6", "udp", "udp6"):
        with open(f"/proc/{node.process.pid}/net/{table}", encoding="utf-8") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        assert {row[1].split(":")[0] for row in rows if row[9] in inodes} <= {"0100007F"}


def test_each_owner_sees_its_own(node, registry, folder):
    node.start()
    image = registry.image("busybox:latest")
    node.axle("run", "-d", "--name", "mine", image, *SLEEP)
    client = cri_module.connect(str(ROOT), node.cri_socket)
    kubelet = Kubelet(client, image, folder)
    pod = kubelet.run_pod()
    container = kubelet.start(pod)
    assert [item["id"] for item in kubelet.ListPodSandbox()["items"]] == [pod]
    assert [item["id"] for item in kubelet.ListContainers()["containers"]] == [container]
    mine = node.axle("ps", "-q", "--no-trunc").split()
    assert len(mine) == 1 and mine[0] != container
    with pytest.raises(Exception, match="no such container"):
        kubelet.status(mine[0])
    assert kubelet.ImageStatus(image={"image": image})["image"]["pinned"] is True
    assert len(node.axle("ps", "-q", "--all-owners").split()) == 2
    node.axle("rm", "-f", "mine")
    assert "pinned" not in kubelet.ImageStatus(image={"image": image})["image"]
    kubelet.remove_all()
    client.close()


def test_garbage_on_a_socket_harms_nobody(node):
    node.start()
    for bytes_ in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 4096, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 1000):
        with socket.socket(socket.AF_UNIX) as one:
            one.connect(node.cri_socket)
            one.sendall(bytes_)
            one.settimeout(5)
            try:
                while one.recv(4096):
                    pass
            except (ConnectionError, socket.timeout):
                pass
    client = cri_module.connect(str(ROOT), node.cri_socket)
    assert client.Version()["runtime_name"] == "axle"
    client.close()


def test_ending_with_containers_leaves_them_running(node, registry):
    node.axle("run", "-d", "--name", "stays", registry.image("busybox:latest"), *SLEEP)
    node.restart()
    assert "stays" in node.axle("ps")
    node.axle("rm", "-f", "stays")


def test_rest_costs_nothing(node):
    """No timer, no polling: in a second of rest axled is not once scheduled."""
    node.start()
    import time
    time.sleep(0.5)

    def switches():
        with open(f"/proc/{node.process.pid}/status", encoding="utf-8") as file:
            return sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
    before = switches()
    time.sleep(1.5)
    assert switches() == before
