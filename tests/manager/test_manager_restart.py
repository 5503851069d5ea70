"""axled dies, its monitors die, the machine restarts: what the records are for."""
import base64
import json
import os
import signal
import subprocess
import time

import pytest

from conftest import SLEEP, Kubelet, ROOT, entries, wait_until

import cri as cri_module
import sandbox


@pytest.fixture
def restarted(node, kubelet):
    """Starts the node again and gives a client on its new socket."""
    clients = []

    def start():
        node.start()
        clients.append(cri_module.connect(str(ROOT), node.cri_socket))
        again = Kubelet(clients[-1], kubelet.image, kubelet.folder)
        kubelet.client = clients[-1]  # for the fixture's end
        return again
    yield start


def kill_monitors(node):
    """Those there are now: an axled that lives starts others at once."""
    killed = set(node.monitors())
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not killed & set(node.monitors()), "the monitors' end")


def test_containers_outlive_a_killed_axled(node, kubelet, restarted):
    pod = kubelet.run_pod(labels=cri_module.pairs({"k": "v"}))
    running = kubelet.start(pod, SLEEP, "running")
    created = kubelet.create(pod, ["echo", "later"], "created")
    ended = kubelet.start(pod, ["sh", "-c", "exit 3"], "ended")
    kubelet.wait(ended)
    while_down = kubelet.start(pod, ["sh", "-c", "sleep 0.5; exit 4"], "while-down")
    before = kubelet.status(running)
    node.kill()
    time.sleep(0.8)
    again = restarted()
    assert again.status(running) == before
    assert again.status(ended)["exit_code"] == 3
    assert again.wait(while_down)["exit_code"] == 4
    again.StartContainer(container_id=created)
    assert again.wait(created).get("exit_code", 0) == 0
    assert again.output("created") == ["later"]
    assert base64.b64decode(again.ExecSync(container_id=running, cmd=["echo", "in"])["stdout"]) == b"in\n"
    again.StopContainer(container_id=running, timeout=10)
    assert again.status(running)["exit_code"] == 7
    assert again.PodSandboxStatus(pod_sandbox_id=pod)["status"]["labels"] == cri_module.pairs({"k": "v"})


def test_a_container_outlives_its_monitor(node, kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "trap 'echo bye; exit 7' TERM; while :; do sleep 0.1 & wait; done"])
    kill_monitors(node)
    wait_until(node.monitors, "a new monitor")
    assert base64.b64decode(kubelet.ExecSync(container_id=container, cmd=["echo", "in"])["stdout"]) == b"in\n"
    kubelet.StopContainer(container_id=container, timeout=10)
    assert kubelet.status(container)["state"] == "CONTAINER_EXITED"
    assert "bye" in kubelet.output()


def test_a_container_outlives_axled_and_its_monitor(node, kubelet, restarted):
    pod = kubelet.run_pod()
    container = kubelet.start(pod)
    node.kill()
    kill_monitors(node)
    again = restarted()
    assert again.state(container) == "CONTAINER_RUNNING"
    again.StopContainer(container_id=container, timeout=10)
    assert again.state(container) == "CONTAINER_EXITED"


def test_a_container_that_ended_with_nobody_watching(node, kubelet, restarted):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "sleep 0.7; exit 3"])
    node.kill()
    kill_monitors(node)
    time.sleep(1)
    again = restarted()
    status = again.wait(container)
    assert status["exit_code"] in (3, 255)
    again.RemoveContainer(container_id=container)


def reboot(node, folder):
    """Ends all of the node, empties its state, and gives another boot id."""
    node.kill()
    kill_monitors(node)
    for hierarchy in node.cgroups():
        for path, _, _ in os.walk(hierarchy):
            with open(os.path.join(path, "cgroup.procs"), encoding="utf-8") as file:
                for pid in file.read().split():
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
    for point in reversed(sandbox.mount_points(node.state)):
        subprocess.run(["umount", "-l", point], check=True)
    subprocess.run(["rm", "-rf", "--one-file-system", node.state], check=True)
    (folder / "boot-id").write_text("another\n")
    node.environment["AXLE_BOOT_ID_FILE"] = str(folder / "boot-id")


def test_after_a_reboot_everything_has_ended(node, kubelet, restarted, folder):
    pod = kubelet.run_pod()
    running = kubelet.start(pod, SLEEP, "running")
    created = kubelet.create(pod, SLEEP, "created")
    reboot(node, folder)
    again = restarted()
    assert again.PodSandboxStatus(pod_sandbox_id=pod)["status"]["state"] == "SANDBOX_NOTREADY"
    for container in (running, created):
        status = again.status(container)
        assert (status["state"], status["reason"], status["exit_code"]) == ("CONTAINER_EXITED", "reboot", 255)
    again.RemoveContainer(container_id=running)
    again.RemovePodSandbox(pod_sandbox_id=pod)
    assert again.ListContainers() == {}
    assert again.run_pod()


@pytest.mark.parametrize("kind, phase", [("pods", "creating"), ("pods", "removing")])
def test_a_pod_that_was_cut_off_is_undone(node, kubelet, restarted, kind, phase):
    pod = kubelet.run_pod()
    container = kubelet.start(pod)
    node.kill()
    path = os.path.join(node.root, kind, pod + ".json")
    with open(path, encoding="utf-8") as file:
        record = json.load(file)
    record["phase"] = phase
    with open(path, "w", encoding="utf-8") as file:
        json.dump(record, file)
    again = restarted()
    assert again.ListPodSandbox() == {}
    assert again.ListContainers() == {}
    assert not os.path.exists(path)
    assert not os.path.exists(os.path.join(node.state, "ns", pod))
    assert container not in str(entries(node.root, "rootfs"))


def test_a_half_made_container_is_undone(node, kubelet, restarted):
    pod = kubelet.run_pod()
    container = kubelet.create(pod)
    node.kill()
    path = os.path.join(node.root, "containers", container + ".json")
    with open(path, encoding="utf-8") as file:
        record = json.load(file)
    record["phase"] = "creating"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(record, file)
    again = restarted()
    assert again.ListContainers() == {}
    assert again.create(pod)  # its name is free


def test_a_start_that_was_cut_off_can_be_repeated(node, kubelet, restarted):
    pod = kubelet.run_pod()
    container = kubelet.create(pod)
    node.kill()
    path = os.path.join(node.root, "containers", container + ".json")
    with open(path, encoding="utf-8") as file:
        record = json.load(file)
    record["phase"] = "started"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(record, file)
    again = restarted()
    assert again.state(container) in ("CONTAINER_CREATED", "CONTAINER_EXITED")
    again.RemoveContainer(container_id=container)


def test_kill_at_any_time_leaves_nothing(node, kubelet, restarted):
    """kill -9 of axled at growing delays into a pod's whole life; after each restart all is listed and can be removed."""
    for delay in range(0, 120, 8):
        script = subprocess.Popen(
            ["/usr/bin/python3", "-c", LIFE, str(ROOT), node.cri_socket, kubelet.image, kubelet.folder, str(delay)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=os.path.dirname(cri_module.__file__))
        wait_until(lambda: os.path.exists(os.path.join(kubelet.folder, f"go{delay}")), "the life's begin", 20)
        time.sleep(delay / 1000)
        node.kill()
        script.wait(20)
        again = restarted()
        for container in again.ListContainers().get("containers", []):
            again.RemoveContainer(container_id=container["id"])
        again.remove_all()
        assert entries(node.root, "pods") == []
        assert entries(node.root, "containers") == []
        assert entries(node.root, "rootfs") == []
        assert entries(node.state, "ns") == []
        assert entries(node.state, "pods") == []
        assert entries(node.state, "containers") == []
        wait_until(lambda: not node.monitors(), "the monitors' end")


LIFE = """
import sys, cri
root, socket, image, folder, delay = sys.argv[1:]
client = cri.connect(root, socket)
client.Version()
open(f"{folder}/go{delay}", "w").close()
security = {"security_context": {"namespace_options": {"pid": "CONTAINER"}}}
pod = client.RunPodSandbox(config={"metadata": {"name": "life", "uid": "u", "namespace": "n"}, "linux": security})["pod_sandbox_id"]
container = client.CreateContainer(pod_sandbox_id=pod, config={"metadata": {"name": "c"}, "image": {"image": image},
    "command": ["sleep", "1000"], "linux": security})["container_id"]
client.StartContainer(container_id=container)
client.StopContainer(container_id=container)
client.RemoveContainer(container_id=container)
client.RemovePodSandbox(pod_sandbox_id=pod)
"""


def test_a_newer_record_is_left_untouched(node, kubelet):
    pod = kubelet.run_pod()
    node.kill()
    path = os.path.join(node.root, "pods", pod + ".json")
    with open(path, encoding="utf-8") as file:
        record = file.read()
    newer = record.replace('"version":1', '"version":2')
    assert newer != record
    with open(path, "w", encoding="utf-8") as file:
        file.write(newer)
    done = subprocess.run([node.stage.program("axled"), "--root", node.root, "--state", node.state, "--config", node.config,
                           "--name", node.name], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode != 0
    assert "version 2" in done.stderr
    with open(path, encoding="utf-8") as file:
        assert file.read() == newer
    with open(path, "w", encoding="utf-8") as file:
        file.write(record)
    node.start()
    kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)
