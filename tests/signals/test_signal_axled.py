"""axled gives containers their views of the signals: who asks, by annotation, gets what host policy grants to who it is."""
import base64
import pathlib
import signal

import pytest

import cri as cri_module
from axsignald import wait_for

ROOT = pathlib.Path(__file__).parents[2]
SPEED = "Vehicle/Speed"
FAN = "Vehicle/Cabin/HVAC/FanSpeed"
POLICY = """
[[grant]]
manager = "axled"
namespace = "axle"
pod = "dash*"
read = ["Vehicle.Speed"]
actuate = ["Vehicle.Cabin.HVAC.*"]

[[grant]]
namespace = "fleet"
service_account = "telemetry"
read = ["Vehicle.Speed"]

[[grant]]
namespace = "pinned"
image = "{digest}"
read = ["Vehicle.Speed"]
"""
READ = ["--annotation", "axle.signals.read=Vehicle.Speed"]
CAT = ["cat", "/dev/signal/Vehicle/Speed"]
SLEEP = ["sleep", "300"]


def toml(service, more=""):
    return f'[signals]\nsocket = "{service.state}/control.sock"\nservice-account = "axle.service-account"\n{more}'


@pytest.fixture
def vehicle(make_signals):
    service = make_signals(config=POLICY.format(digest="none")).start()
    service.write(SPEED, "88.5")
    return service


@pytest.fixture
def node(make_node, vehicle):
    return make_node(toml(vehicle))


@pytest.fixture
def busybox(node, registry):
    node.axle("pull", "-q", registry.image("busybox:latest"))
    return registry.image("busybox:latest")


@pytest.mark.parametrize("runtime", ["axrun", "runc"])
def test_a_container_of_axle_sees_what_it_was_granted(vehicle, node, busybox, runtime):
    options = ["--rm", "--name", "dash1", "--runtime", runtime]
    assert node.axle("run", *options, *READ, busybox, *CAT) == "88.5"
    listed = node.axle("run", *options, "--annotation", "axle.signals.read=Vehicle.**", busybox, "find", "/dev/signal", "-type", "f")
    assert listed == "/dev/signal/Vehicle/Speed"
    wait_for("the views end", lambda: vehicle.log.read_text().count("audit.view-end") == 2)


def test_one_that_was_not_granted_sees_nothing(vehicle, node, busybox):
    assert node.axle("run", "--rm", "--name", "radio", *READ, busybox, "find", "/dev/signal") == "/dev/signal"
    done = node.run("run", "--rm", "--name", "radio", *READ, busybox, *CAT)
    assert done.returncode == 1 and "No such file" in done.stderr
    assert "container" in vehicle.log.read_text() and "axle/radio): 0 signals granted" in vehicle.log.read_text()
    assert node.run("run", "--rm", "--name", "dash2", busybox, "ls", "/dev/signal").returncode == 1  # nor one that did not ask


def test_an_actuation_from_a_container_is_audited_under_its_name(vehicle, node, busybox):
    provider = open(vehicle.files / (FAN + "@provide"), "r+b", buffering=0)
    asked = ["--annotation", "axle.signals.actuate=Vehicle.Cabin.**"]
    node.axle("run", "-d", "--name", "dash3", *asked, busybox, *SLEEP)
    node.axle("exec", "dash3", "sh", "-c", f"echo 30 > /dev/signal/{FAN}")
    assert provider.read(100).split(b"\t")[1] == b"30"
    provider.close()
    identifier = node.json("ps", "--no-trunc", "--format", "json")[0]["id"]
    wait_for("the audit has it", lambda: f"{identifier[:31]} Vehicle.Cabin.HVAC.FanSpeed = 30: done" in vehicle.log.read_text())


def test_a_container_of_another_user(node, busybox):
    assert node.axle("run", "--rm", "--name", "dash7", "--user", "1000:1000", *READ, busybox, *CAT) == "88.5"


def test_a_service_that_is_not_there_is_told(vehicle, node, busybox):
    vehicle.process.send_signal(signal.SIGTERM)
    vehicle.process.wait(5)
    done = node.run("run", "--rm", "--name", "dash4", *READ, busybox, *CAT)
    assert done.returncode != 0 and "axsignal-hook: " in done.stderr and "control.sock" in done.stderr
    assert node.axle("run", "--rm", busybox, "echo", "others start") == "others start"


def test_a_pattern_that_is_none_is_told(node, busybox):
    done = node.run("run", "--rm", "--name", "dash5", "--annotation", "axle.signals.read=Vehicle..Speed", busybox, *CAT)
    assert done.returncode != 0 and "expected a path or a pattern" in done.stderr


def test_a_node_without_the_service_says_that_it_has_none(make_node, registry):
    node = make_node()
    node.axle("pull", "-q", registry.image("busybox:latest"))
    done = node.run("run", "--rm", *READ, registry.image("busybox:latest"), "ls", "/dev/signal")
    assert done.returncode == 1
    assert "this node has no signal service" in node.log_text()


def test_a_view_outlives_axled_and_returns_with_axsignald(vehicle, node, busybox):
    node.axle("run", "-d", "--name", "dash6", *READ, busybox, *SLEEP)
    node.kill()
    node.start()
    assert node.axle("exec", "dash6", *CAT) == "88.5"
    vehicle.process.terminate()
    vehicle.process.wait(10)
    assert node.axle("exec", "dash6", "ls", "/dev/signal") == ""
    vehicle.restart()
    vehicle.write(SPEED, "5")
    wait_for("the view is back", lambda: node.run("exec", "dash6", *CAT).stdout == "5\n")


# ---- as a kubelet asks ----

@pytest.fixture
def pods(node, busybox, folder):
    """Runs a command in a pod of its own, as a kubelet would: the pod's annotations are all that there is."""
    node.start()
    client = cri_module.connect(str(ROOT), node.cri_socket)
    client.PullImage(image={"image": busybox})
    pairs = cri_module.pairs
    made = []

    def run(namespace, annotations, command=SLEEP, labels=None, linux=None):
        pod = {"metadata": {"name": f"pod{len(made)}", "uid": f"uid{len(made)}", "namespace": namespace}, "log_directory":
               str(folder), "annotations": pairs(annotations), "labels": pairs(labels or {}), "linux": linux or {}}
        made.append(client.RunPodSandbox(config=pod)["pod_sandbox_id"])
        config = {"metadata": {"name": "main"}, "image": {"image": busybox}, "command": command, "log_path": f"{len(made)}.log"}
        container = client.CreateContainer(pod_sandbox_id=made[-1], config=config, sandbox_config=pod)["container_id"]
        client.StartContainer(container_id=container)
        return container

    def sh(container, script):
        done = client.ExecSync(container_id=container, cmd=["sh", "-c", script])
        return done.get("exit_code", 0), base64.b64decode(done.get("stdout", "") or done.get("stderr", "")).decode().strip()
    run.sh, run.client = sh, client
    yield run
    for pod in made:
        client.RemovePodSandbox(pod_sandbox_id=pod)
    client.close()


def test_a_pod_of_a_kubelet_is_known_by_its_service_account(pods):
    asked = {"axle.signals.read": "Vehicle.**"}
    told = pods("fleet", {**asked, "axle.service-account": "telemetry"})
    assert pods.sh(told, "cat /dev/signal/Vehicle/Speed") == (0, "88.5")
    labelled = pods("fleet", asked, labels={"axle.service-account": "telemetry"})
    assert pods.sh(labelled, "cat /dev/signal/Vehicle/Speed") == (0, "88.5")
    for other in (pods("fleet", {**asked, "axle.service-account": "default"}), pods("fleet", asked),
                  pods("else", {**asked, "axle.service-account": "telemetry"}),
                  pods("fleet", {**asked, "axle.service-account": "telemetry"}, labels={"axle.service-account": "default"})):
        assert pods.sh(other, "find /dev/signal") == (0, "/dev/signal")


def test_a_grant_may_name_the_image(vehicle, node, pods, busybox):
    container = pods("pinned", {"axle.signals.read": "Vehicle.Speed"})
    assert pods.sh(container, "find /dev/signal") == (0, "/dev/signal")
    image = node.json("image", "inspect", busybox)[0]["summary"]
    for digest in (image["id"], image["digests"][0].partition("@")[2]):
        vehicle.config.write_text(POLICY.format(digest=digest))
        vehicle.reload()
        wait_for("the grant shows", lambda: pods.sh(container, "cat /dev/signal/Vehicle/Speed") == (0, "88.5"))
        vehicle.config.write_text(POLICY.format(digest="sha256:" + 64 * "0"))
        vehicle.reload()
        wait_for("it is gone", lambda: pods.sh(container, "find /dev/signal") == (0, "/dev/signal"))


def test_a_pod_with_a_user_namespace(vehicle, pods):
    """The container's root is nobody on the host; the grant decides, not the uid, also when the view comes back."""
    mapping = [{"host_id": 200000, "container_id": 0, "length": 65536}]
    users = {"mode": "POD", "uids": mapping, "gids": mapping}
    linux = {"security_context": {"namespace_options": {"pid": "CONTAINER", "userns_options": users}}}
    container = pods("fleet", {"axle.signals.read": "Vehicle.Speed", "axle.service-account": "telemetry"}, linux=linux)
    assert pods.sh(container, "cat /dev/signal/Vehicle/Speed") == (0, "88.5")
    assert pods.sh(container, "cat /proc/self/uid_map")[1].split()[1] == "200000"
    vehicle.process.terminate()
    vehicle.process.wait(10)
    assert pods.sh(container, "ls /dev/signal") == (0, "")
    vehicle.restart()
    vehicle.write(SPEED, "6")
    wait_for("the view is back", lambda: pods.sh(container, "cat /dev/signal/Vehicle/Speed") == (0, "6"))
