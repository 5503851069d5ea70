"""Every call of CRI that axled serves, as a kubelet uses it."""
import os

import pytest

from conftest import SLEEP, entries, wait_until

import cri as cri_module


def test_version_and_status(kubelet):
    version = kubelet.Version()
    assert version["runtime_name"] == "axle"
    assert version["runtime_api_version"] == "v1"
    status = kubelet.Status(verbose=True)
    conditions = {condition["type"]: condition["status"] for condition in status["status"]["conditions"]}
    assert conditions == {"RuntimeReady": True, "NetworkReady": True}
    assert {handler.get("name", "") for handler in status["runtime_handlers"]} >= {"", "axrun", "crun", "runc"}
    assert "capabilitiesNotGiven" in status["info"][0]["value"]


@pytest.mark.parametrize("call", ["CheckpointContainer", "ListMetricDescriptors"])
def test_what_is_not_served_says_so_by_name(cri, refused, call):
    with refused("UNIMPLEMENTED", call):
        getattr(cri, call)()


@pytest.mark.machine
def test_pod_life(kubelet):
    pod = kubelet.run_pod("web", labels=cri_module.pairs({"app": "web"}), annotations=cri_module.pairs({"note": "x"}))
    status = kubelet.PodSandboxStatus(pod_sandbox_id=pod)["status"]
    assert status["metadata"] == {"name": "web", "uid": "uid-web", "namespace": "default"}
    assert status.get("state", "SANDBOX_READY") == "SANDBOX_READY"
    assert status["labels"] == cri_module.pairs({"app": "web"})
    assert status["annotations"] == cri_module.pairs({"note": "x"})
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    assert kubelet.PodSandboxStatus(pod_sandbox_id=pod)["status"]["state"] == "SANDBOX_NOTREADY"
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    assert "items" not in kubelet.ListPodSandbox()


@pytest.mark.machine
def test_container_life(kubelet, refused):
    pod = kubelet.run_pod()
    container = kubelet.create(pod, SLEEP, labels=cri_module.pairs({"tier": "front"}))
    assert kubelet.state(container) == "CONTAINER_CREATED"
    kubelet.StartContainer(container_id=container)
    status = kubelet.status(container)
    assert status["state"] == "CONTAINER_RUNNING"
    assert int(status["started_at"]) >= int(status["created_at"])
    with refused("FAILED_PRECONDITION", "not started yet"):
        kubelet.StartContainer(container_id=container)
    wait_until(kubelet.output, "the first line: its trap is set")
    kubelet.StopContainer(container_id=container, timeout=10)
    status = kubelet.status(container)
    assert status["state"] == "CONTAINER_EXITED"
    assert status["exit_code"] == 7  # its own answer to SIGTERM
    assert status["reason"] == "Error"
    assert int(status["finished_at"]) >= int(status["started_at"])
    kubelet.StopContainer(container_id=container, timeout=1)
    kubelet.RemoveContainer(container_id=container)
    kubelet.RemoveContainer(container_id=container)
    kubelet.StopContainer(container_id=container)
    with refused("NOT_FOUND", "no such container"):
        kubelet.status(container)


def test_removing_a_pod_ends_its_containers(kubelet):
    pod = kubelet.run_pod()
    for name in ("one", "two"):
        kubelet.start(pod, SLEEP, name)
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    assert kubelet.ListContainers() == {}


def test_a_container_that_ignores_its_stop_signal_is_killed(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"])
    kubelet.StopContainer(container_id=container, timeout=1)
    assert kubelet.status(container)["exit_code"] == 137


def test_the_stop_signal_of_the_configuration_is_sent(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "trap 'exit 9' USR2; echo up; while :; do sleep 0.1 & wait; done"],
                              stop_signal="SIGNAL_SIGUSR2")
    wait_until(lambda: kubelet.output() == ["up"], "the trap")
    assert kubelet.status(container)["stop_signal"] == "SIGNAL_SIGUSR2"
    kubelet.StopContainer(container_id=container, timeout=10)
    assert kubelet.status(container)["exit_code"] == 9


def test_ids_may_be_shortened_and_filters_are_combined(kubelet, refused):
    pod = kubelet.run_pod("one", labels=cri_module.pairs({"app": "a"}))
    other = kubelet.run_pod("two", labels=cri_module.pairs({"app": "b"}))
    container = kubelet.start(pod, SLEEP, labels=cri_module.pairs({"x": "1", "y": "2"}))

    def pods(**filter):
        return {item["id"] for item in kubelet.ListPodSandbox(filter=filter).get("items", [])}

    def containers(**filter):
        return {item["id"] for item in kubelet.ListContainers(filter=filter).get("containers", [])}
    assert pods() == {pod, other}
    assert pods(id=pod[:12]) == {pod}
    assert pods(label_selector=cri_module.pairs({"app": "b"})) == {other}
    assert pods(state={"state": "SANDBOX_NOTREADY"}) == set()
    assert containers(pod_sandbox_id=pod, state={"state": "CONTAINER_RUNNING"}) == {container}
    assert containers(pod_sandbox_id=other) == set()
    assert containers(label_selector=cri_module.pairs({"x": "1", "y": "2"})) == {container}
    assert containers(label_selector=cri_module.pairs({"x": "1", "y": "3"})) == set()
    assert kubelet.status(container[:10])["id"] == container
    with refused("NOT_FOUND"):
        kubelet.status("")
    with refused("NOT_FOUND"):
        kubelet.PodSandboxStatus(pod_sandbox_id="f" * 64)


def test_names_are_unique(kubelet, refused):
    config = kubelet.pod_config("same")
    pod = kubelet.RunPodSandbox(config=config)["pod_sandbox_id"]
    with refused("ALREADY_EXISTS", pod):
        kubelet.RunPodSandbox(config=config)
    kubelet.RunPodSandbox(config={**config, "metadata": {**config["metadata"], "attempt": 1}})
    container = kubelet.create(pod, SLEEP)
    with refused("ALREADY_EXISTS", container):
        kubelet.create(pod, SLEEP)


@pytest.mark.parametrize("fields, status, words", [
    ({"metadata": {}}, "INVALID_ARGUMENT", "metadata"),
    ({"hostname": "h" * 65}, "INVALID_ARGUMENT", "hostname"),
    ({"linux": {"sysctls": [{"key": "vm.swappiness", "value": "1"}]}}, "INVALID_ARGUMENT", "vm.swappiness"),
    ({"linux": {"sysctls": [{"key": "net.ipv4.no_such_thing", "value": "1"}]}}, "NOT_FOUND", "no_such_thing"),
    ({"dns_config": {"servers": ["1.1.1.1\noptions x"]}}, "INVALID_ARGUMENT", "DNS"),
    ({"runtime_handler": "nothing"}, "INVALID_ARGUMENT", "nothing"),
])
def test_bad_pods_leave_nothing(kubelet, refused, fields, status, words):
    with refused(status, words):
        kubelet.run_pod("bad", **fields)
    assert kubelet.ListPodSandbox() == {}


@pytest.mark.parametrize("fields, status, words", [
    ({"image": "no/such:image"}, "NOT_FOUND", "no/such"),
    ({"image": ""}, "INVALID_ARGUMENT", "image"),
    ({"working_dir": "relative"}, "INVALID_ARGUMENT", "relative"),
    ({"security": {"run_as_username": "nobody-knows"}}, "NOT_FOUND", "nobody-knows"),
    ({"security": {"run_as_group": {"value": "5"}}}, "INVALID_ARGUMENT", "run_as_user"),
    ({"security": {"capabilities": {"add_capabilities": ["CAP_FLY"]}}}, "INVALID_ARGUMENT", "CAP_FLY"),
    ({"mounts": [{"container_path": "x", "host_path": "/tmp"}]}, "INVALID_ARGUMENT", "absolute"),
    ({"devices": [{"container_path": "/dev/x", "host_path": "/dev/nothing"}]}, "NOT_FOUND", "/dev/nothing"),
    ({"resources": {"oom_score_adj": "2000"}}, "INVALID_ARGUMENT", "2000"),
    ({"CDI_devices": [{"name": "a/b=c"}]}, "NOT_FOUND", "CDI device a/b=c"),
])
def test_bad_containers_leave_nothing(kubelet, refused, node, fields, status, words):
    pod = kubelet.run_pod()
    with refused(status, words):
        kubelet.create(pod, SLEEP, **fields)
    assert kubelet.ListContainers() == {}
    assert entries(node.root, "rootfs") == []
    assert entries(node.root, "containers") == []


def test_no_container_without_a_ready_pod(kubelet, refused):
    with refused("NOT_FOUND", "pod sandbox"):
        kubelet.create("f" * 64)
    pod = kubelet.run_pod()
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    with refused("FAILED_PRECONDITION", "stopped"):
        kubelet.create(pod)


@pytest.mark.parametrize("command, code, status, words", [
    (["/no/such/program"], 127, "NOT_FOUND", "/no/such/program"),
    (["no-such-program"], 127, "NOT_FOUND", "no-such-program"),
    (["/etc"], 126, "PERMISSION_DENIED", "/etc"),
])
def test_a_failed_start_says_why_and_leaves_nothing(kubelet, refused, node, command, code, status, words):
    pod = kubelet.run_pod()
    container = kubelet.create(pod, command)
    with refused(status, words):
        kubelet.StartContainer(container_id=container)
    found = kubelet.status(container)
    assert (found["state"], found["exit_code"], found["reason"]) == ("CONTAINER_EXITED", code, "StartError")
    assert words in found["message"]
    assert node.monitors() == []
    assert not os.path.exists(os.path.join(node.state, "containers", container))


def test_images(kubelet, registry, refused):
    image = registry.image("user:latest")
    assert kubelet.ImageStatus(image={"image": image}) == {}
    identity = kubelet.PullImage(image={"image": image})["image_ref"]
    status = kubelet.ImageStatus(image={"image": image}, verbose=True)
    assert status["image"]["id"] == identity
    assert status["image"]["repo_tags"] == [image]
    assert status["image"]["username"] == "app"
    assert int(status["image"]["size"]) > 0
    assert "manifest" in status["info"][0]["value"]
    assert identity in {one["id"] for one in kubelet.ListImages()["images"]}
    assert [one["id"] for one in kubelet.ListImages(filter={"image": {"image": image}})["images"]] == [identity]
    usage = kubelet.ImageFsInfo()["image_filesystems"][0]
    assert int(usage["used_bytes"]["value"]) > 0
    kubelet.RemoveImage(image={"image": identity})
    kubelet.RemoveImage(image={"image": identity})
    assert kubelet.ImageStatus(image={"image": image}) == {}
    with refused("NOT_FOUND", "no-such"):
        kubelet.PullImage(image={"image": registry.image("no-such:latest")})
    with refused("INVALID_ARGUMENT"):
        kubelet.PullImage(image={"image": "UPPER/case"})


def test_one_image_id_everywhere_and_what_is_used_stays(kubelet, refused):
    pod = kubelet.run_pod()
    container = kubelet.start(pod)
    identity = kubelet.ImageStatus(image={"image": kubelet.image})["image"]["id"]
    status = kubelet.status(container)
    assert status["image_id"] == status["image_ref"] == identity
    assert kubelet.PullImage(image={"image": kubelet.image})["image_ref"] == identity
    with refused("FAILED_PRECONDITION", "use"):
        kubelet.RemoveImage(image={"image": kubelet.image})


def test_exec_sync(kubelet, refused):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, SLEEP, envs=[{"key": "GREETING", "value": "aGVsbG8="}])
    done = kubelet.ExecSync(container_id=container, cmd=["sh", "-c", "echo $GREETING; echo bad >&2; exit 5"])
    assert done["exit_code"] == 5
    import base64
    assert base64.b64decode(done["stdout"]) == b"hello\n"
    assert base64.b64decode(done["stderr"]) == b"bad\n"
    with refused("DEADLINE_EXCEEDED", "killed"):
        kubelet.ExecSync(container_id=container, cmd=["sleep", "100"], timeout=1)
    assert "sleep 100" not in "".join(map(str, base64.b64decode(
        kubelet.ExecSync(container_id=container, cmd=["ps"])["stdout"]).decode().splitlines()))
    with refused("NOT_FOUND", "/no/such"):
        kubelet.ExecSync(container_id=container, cmd=["/no/such"])
    with refused("INVALID_ARGUMENT", "command"):
        kubelet.ExecSync(container_id=container)
    kubelet.StopContainer(container_id=container)
    with refused("FAILED_PRECONDITION", "exited"):
        kubelet.ExecSync(container_id=container, cmd=["true"])


def test_much_output_of_an_exec_is_kept_whole(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod)
    done = kubelet.ExecSync(container_id=container, cmd=["sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo 0123456789 $i; i=$((i+1)); done"])
    import base64
    lines = base64.b64decode(done["stdout"]).splitlines()
    assert len(lines) == 20000 and lines[-1] == b"0123456789 19999"


def test_logs_are_reopened(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "while :; do echo tick; sleep 0.05; done"])
    path = os.path.join(kubelet.folder, "logs", "main.log")
    wait_until(lambda: kubelet.output(), "a first line")
    os.rename(path, path + ".old")
    kubelet.ReopenContainerLog(container_id=container)
    wait_until(lambda: os.path.exists(path) and kubelet.output(), "a line in the new file")
