"""The process of a container's configuration: command, streams, log, names, stop signal, and what its runtime is told."""
import base64
import json
import os
import subprocess

import pytest

from conftest import SLEEP, wait_until

import cri as cri_module


@pytest.fixture
def node(make_node):
    """One whose axrun may see some annotations."""
    return make_node(config='[runtimes.axrun]\npod-annotations = ["pod.example/*"]\n'
                            'container-annotations = ["example.org/a*", "io.kubernetes.*"]\n')


def env(**variables):
    return [{"key": key, "value": base64.b64encode(value.encode()).decode()} for key, value in variables.items()]


def test_command_args_directory_and_environment(kubelet, registry, refused):
    image = registry.image("user:latest")
    kubelet.PullImage(image={"image": image})
    pod = kubelet.run_pod()
    lines = kubelet.run(pod, ["sh", "-c"], args=["pwd; echo $GREETING $A; echo $0 $1"], image=image, envs=env(A="b", GREETING="other"))
    assert lines == ["/home/app", "other b", "sh"]
    assert kubelet.run(pod, ["pwd"], image=image, working_dir="/tmp") == ["/tmp"]
    with refused("INVALID_ARGUMENT", "working directory"):
        kubelet.create(pod, ["true"], working_dir="tmp")
    with refused("INVALID_ARGUMENT", "without '='"):
        kubelet.create(pod, ["true"], envs=env(**{"A=B": "c"}))


def test_standard_input(kubelet):
    pod = kubelet.run_pod()
    assert kubelet.run(pod, ["sh", "-c", "cat; echo ended"]) == ["ended"]  # none was asked for: its end at once
    container = kubelet.start(pod, ["sh", "-c", "echo up; cat; echo ended"], "waiting", stdin=True)
    wait_until(lambda: kubelet.output("waiting") == ["up"], "its first line")
    assert kubelet.state(container) == "CONTAINER_RUNNING"




@pytest.mark.parametrize("once", [True, False])
def test_stdin_once_ends_with_the_first_session(kubelet, node, once):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "echo up; cat; echo ended"], stdin=True, stdin_once=once)
    wait_until(lambda: "up" in kubelet.output(), "its first line")
    session = node.popen("attach", container)
    session.stdin.write("first\n")
    session.stdin.close()
    if once:
        assert session.wait(30) == 0
        kubelet.wait(container)
        assert kubelet.output() == ["up", "first", "ended"]
        return
    wait_until(lambda: "first" in kubelet.output(), "what the first session wrote")
    session.kill()
    session.wait()
    second = node.popen("attach", container)
    second.stdin.write("second\n")
    second.stdin.flush()
    wait_until(lambda: "second" in kubelet.output(), "what the second session wrote")
    assert kubelet.state(container) == "CONTAINER_RUNNING"
    second.kill()
    second.wait()


def test_terminal_and_log_path(kubelet, folder):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "tty; echo $TERM"], tty=True, log_path="deep/er/0.log")
    status = kubelet.wait(container)
    assert status["log_path"] == f"{folder}/logs/deep/er/0.log"
    with open(status["log_path"], encoding="utf-8") as file:
        lines = [line.split(" ", 3) for line in file]
    assert [words[3].strip() for words in lines] == ["/dev/pts/0", "xterm"]
    assert {words[1] for words in lines} == {"stdout"}
    none = kubelet.create(pod, ["true"], "quiet", log_path="")
    assert "log_path" not in kubelet.status(none)


def test_names_come_back_unchanged(kubelet, refused):
    pod = kubelet.run_pod()
    labels = cri_module.pairs({"b": "2", "a": "", "c.d/e": "ä\n"})
    annotations = cri_module.pairs({"x": "y" * 5000, "": "empty"})
    container = kubelet.create(pod, SLEEP, labels=labels, annotations=annotations)
    status = kubelet.status(container)
    kinds = [status, kubelet.ListContainers()["containers"][0]]
    for answer in kinds:
        assert sorted(map(repr, answer["labels"])) == sorted(map(repr, kubelet_form(labels)))
        assert sorted(map(repr, answer["annotations"])) == sorted(map(repr, kubelet_form(annotations)))
    assert status["metadata"] == {"name": "main"}
    other = kubelet.container_config(SLEEP)
    other["metadata"] = {"name": "main", "attempt": 3}
    again = kubelet.CreateContainer(pod_sandbox_id=pod, config=other)["container_id"]
    assert kubelet.status(again)["metadata"] == {"name": "main", "attempt": 3}


def kubelet_form(entries):
    """As an answer shows them: empty members are left out."""
    return [{key: value for key, value in entry.items() if value} for entry in entries]


def test_annotations_that_a_runtime_may_see(kubelet, node):
    pod = kubelet.run_pod(annotations=cri_module.pairs({"pod.example/one": "1", "pod.example/two/three": "2", "other": "3"}))
    container = kubelet.start(pod, SLEEP, annotations=cri_module.pairs({
        "example.org/abc": "A", "example.org/b": "B", "pod.example/one": "X", "io.kubernetes.cri.sandbox-id": "forged"}))
    with open(f"{node.state}/containers/{container}/config.json", encoding="utf-8") as file:
        told = json.load(file)["annotations"]
    assert told["pod.example/one"] == "1" and told["example.org/abc"] == "A"
    assert told["io.kubernetes.cri.sandbox-id"] == pod
    assert told["io.kubernetes.cri.sandbox-namespace"] == "default"
    assert not {"pod.example/two/three", "other", "example.org/b"} & set(told)
    runtime = subprocess.run([node.stage.program("axrun"), "--root", f"{node.state}/runtime/axrun", "state", container],
                             capture_output=True, text=True, check=True)
    assert json.loads(runtime.stdout)["annotations"] == told


@pytest.mark.parametrize("fields, signal, number", [
    ({}, "SIGNAL_SIGUSR1", 10),  # the image's
    ({"stop_signal": "SIGNAL_SIGINT"}, "SIGNAL_SIGINT", 2),
])
def test_stop_signal(kubelet, registry, fields, signal, number):
    image = registry.image("user:latest")
    kubelet.PullImage(image={"image": image})
    pod = kubelet.run_pod()
    script = "for s in INT TERM USR1 USR2; do trap \"echo got $s; exit 5\" $s; done; echo up; while :; do sleep 0.1 & wait; done"
    container = kubelet.start(pod, ["sh", "-c", script], image=image, **fields)
    wait_until(lambda: "up" in kubelet.output(), "the traps")
    assert kubelet.status(container)["stop_signal"] == signal
    kubelet.StopContainer(container_id=container, timeout=20)
    names = {10: "USR1", 2: "INT"}
    assert kubelet.output() == ["up", f"got {names[number]}"]
    assert kubelet.status(container)["exit_code"] == 5


def test_the_status_has_every_field(kubelet, folder):
    image_id = kubelet.ImageStatus(image={"image": kubelet.image})["image"]["id"]
    pod = kubelet.run_pod()
    resources = {"cpu_shares": "512", "memory_limit_in_bytes": str(32 << 20), "oom_score_adj": "500"}
    mounts = [{"container_path": "/v", "host_path": str(folder), "readonly": True}]
    container = kubelet.start(pod, ["sh", "-c", "exit 3"], labels=cri_module.pairs({"l": "1"}), annotations=cri_module.pairs({"a": "2"}),
                              mounts=mounts, resources=resources, security={"run_as_user": {"value": "12"}})
    status = kubelet.wait(container)
    assert status["id"] == container and status["metadata"] == {"name": "main"}
    assert status["image"] == {"image": kubelet.image}
    assert status["image_ref"] == status["image_id"] == image_id
    assert int(status["created_at"]) <= int(status["started_at"]) <= int(status["finished_at"])
    assert (status["exit_code"], status["reason"], status["state"]) == (3, "Error", "CONTAINER_EXITED")
    assert status["labels"] == cri_module.pairs({"l": "1"}) and status["annotations"] == cri_module.pairs({"a": "2"})
    assert status["mounts"] == mounts
    assert status["log_path"] == f"{folder}/logs/main.log"
    assert {key: status["resources"]["linux"][key] for key in resources} == resources
    assert status["user"]["linux"]["uid"] == "12"
    assert status["stop_signal"] == "SIGNAL_SIGTERM"
    assert os.path.exists(status["log_path"])
