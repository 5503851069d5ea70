"""Runtime handlers: axrun, crun and runc through the same life, others by configuration, and what each says it can do."""
import base64
import shutil

import pytest

from conftest import ROOT, SLEEP, Kubelet, wait_until

import cri as cri_module

CRUN = shutil.which("crun") or "/usr/bin/crun"
RUNC = shutil.which("runc") or "/usr/sbin/runc"
HANDLERS = ["axrun", "crun", "runc"]


def text(reply, name="stdout"):
    return base64.b64decode(reply.get(name, "")).decode()


def execute(kubelet, container, *command, **fields):
    return kubelet.ExecSync(container_id=container, cmd=list(command), timeout=fields.get("timeout", 20))


@pytest.fixture
def restarted(node, kubelet):
    """Starts the node again and gives a client on its new socket."""
    def start():
        node.start()
        kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)  # the fixture's end removes the pods by it
        return Kubelet(kubelet.client, kubelet.image, kubelet.folder)
    return start


@pytest.fixture(params=HANDLERS)
def handler(request):
    return request.param


def test_a_life(kubelet, handler):
    pod = kubelet.run_pod(runtime_handler=handler)
    assert kubelet.PodSandboxStatus(pod_sandbox_id=pod)["status"]["runtime_handler"] == handler
    container = kubelet.start(pod, SLEEP)
    assert kubelet.state(container) == "CONTAINER_RUNNING"
    reply = execute(kubelet, container, "sh", "-c", "echo out; echo err >&2; exit 5")
    assert (text(reply), text(reply, "stderr"), reply["exit_code"]) == ("out\n", "err\n", 5)
    kubelet.StopContainer(container_id=container, timeout=10)
    status = kubelet.status(container)
    assert (status["state"], status["exit_code"], status["reason"]) == ("CONTAINER_EXITED", 7, "Error")
    kubelet.RemoveContainer(container_id=container)
    assert kubelet.run(pod, ["sh", "-c", "echo again; echo more"], "again") == ["again", "more"]


def test_what_ignores_its_signal_is_killed(kubelet, handler):
    pod = kubelet.run_pod(runtime_handler=handler)
    container = kubelet.start(pod, ["sh", "-c", "trap '' TERM; echo up; while :; do sleep 0.1; done"])
    wait_until(lambda: kubelet.output() == ["up"], "the trap")
    kubelet.StopContainer(container_id=container, timeout=1)
    assert kubelet.status(container)["exit_code"] == 137


def test_limits_are_set(kubelet, handler):
    pod = kubelet.run_pod(runtime_handler=handler)
    resources = {"memory_limit_in_bytes": 64 << 20, "cpu_quota": 50000, "cpu_period": 100000, "cpu_shares": 512}
    script = ("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.shares "
              "2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max")
    lines = kubelet.run(pod, ["sh", "-c", script], resources=resources)
    assert lines[0] == str(64 << 20)
    assert lines[1].split()[0] == "50000"


def test_memory_beyond_the_limit_is_an_oom_kill(kubelet, handler):
    pod = kubelet.run_pod(runtime_handler=handler)
    command = ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=200M count=1"]
    container = kubelet.start(pod, command, resources={"memory_limit_in_bytes": 32 << 20, "memory_swap_limit_in_bytes": 32 << 20})
    status = kubelet.wait(container)
    assert (status["reason"], status["exit_code"]) == ("OOMKilled", 137)


def test_a_command_that_is_not_there(kubelet, handler, refused):
    pod = kubelet.run_pod(runtime_handler=handler)
    container = kubelet.create(pod, ["/no/such/program"])
    with refused("NOT_FOUND"):
        kubelet.StartContainer(container_id=container)
    status = kubelet.status(container)
    assert (status["state"], status["exit_code"], status["reason"]) == ("CONTAINER_EXITED", 127, "StartError")


def test_containers_share_the_pods_pid_namespace(kubelet, handler):
    linux = {"security_context": {"namespace_options": {"pid": "POD"}}}
    pod = kubelet.run_pod(runtime_handler=handler, linux=linux)
    mode = {"namespace_options": {"pid": "POD"}}
    kubelet.start(pod, SLEEP, "one", security=mode)
    lines = kubelet.run(pod, ["ps", "-o", "args"], "two", security=mode)
    assert "axinit" in lines and any("trap" in line for line in lines)


def test_it_outlives_axled(kubelet, handler, node, restarted):
    pod = kubelet.run_pod(runtime_handler=handler)
    container = kubelet.start(pod, SLEEP)
    node.kill()
    again = restarted()
    assert text(execute(again, container, "echo", "in")) == "in\n"
    again.StopContainer(container_id=container, timeout=10)
    assert again.status(container)["exit_code"] == 7


def test_what_they_say_they_can_do(kubelet):
    status = kubelet.Status(verbose=True)
    features = {handler.get("name", ""): handler.get("features", {}) for handler in status["runtime_handlers"]}
    assert features["axrun"] == {"recursive_read_only_mounts": True, "user_namespaces": True}
    assert features[""] == features["axrun"]  # the default
    assert features["runc"].get("recursive_read_only_mounts") and "user_namespaces" not in features["runc"]  # 1.1: no idmap
    assert features["crun"] == {}  # 1.8 cannot be asked
    assert status["features"]["supplemental_groups_policy"]
    assert status["features"]["user_namespaces_host_network"]
    assert {row["type"]: row["status"] for row in status["status"]["conditions"]}["RuntimeReady"]


def test_what_one_cannot_do_is_refused(kubelet, refused, folder):
    maps = [{"container_id": 0, "host_id": 100000, "length": 65536}]
    userns = {"mode": "POD", "uids": maps, "gids": maps}
    linux = {"security_context": {"namespace_options": {"pid": "CONTAINER", "userns_options": userns}}}
    for handler in ("runc", "crun"):
        with refused("UNIMPLEMENTED", f'runtime handler "{handler}" has no user namespaces'):
            kubelet.run_pod(runtime_handler=handler, linux=linux)
    assert kubelet.ListPodSandbox() == {}
    pod = kubelet.run_pod(runtime_handler="crun")
    mount = {"host_path": str(folder), "container_path": "/x", "readonly": True, "recursive_read_only": True}
    with refused("UNIMPLEMENTED", "recursive read-only"):
        kubelet.create(pod, ["true"], mounts=[mount])


def test_an_unknown_handler_is_refused(kubelet, refused):
    with refused("INVALID_ARGUMENT", 'runtime handler "nobody": expected one of the [runtimes]'):
        kubelet.run_pod(runtime_handler="nobody")


CONFIG = """
default-runtime = "mine"

[runtimes.mine]
path = "PROGRAM"
root = "ROOT"
args = ["--log-format", "json"]

[runtimes.absent]
path = "/no/such/runtime"
"""


def test_others_by_configuration(make_node, registry, folder, refused):
    script = folder / "mine"
    script.write_text(f"#!/bin/sh\necho \"$@\" >> {folder}/calls\nexec {RUNC} \"$@\"\n")
    script.chmod(0o755)
    node = make_node(CONFIG.replace("PROGRAM", str(script)).replace("ROOT", str(folder / "runtime-root")))
    node.start()
    client = cri_module.connect(str(ROOT), node.cri_socket)
    image = registry.image("busybox:latest")
    client.PullImage(image={"image": image})
    kubelet = Kubelet(client, image, folder)
    pod = kubelet.run_pod()
    assert kubelet.run(pod, ["echo", "by mine"]) == ["by mine"]
    calls = (folder / "calls").read_text().splitlines()
    assert any(f"--root {folder}/runtime-root --log-format json" in call and " create " in call for call in calls)
    names = [handler.get("name", "") for handler in kubelet.Status()["runtime_handlers"]]
    assert "mine" in names and "absent" not in names  # its program is not there
    with refused("NOT_FOUND", "there is no program /no/such/runtime"):
        kubelet.run_pod(runtime_handler="absent")
    script.unlink()  # the default one goes: a condition, not a crash
    conditions = {row["type"]: row for row in kubelet.Status()["status"]["conditions"]}
    assert not conditions["RuntimeReady"].get("status") and conditions["RuntimeReady"]["reason"] == "RuntimeMissing"
    assert "no program" in conditions["RuntimeReady"]["message"]
    script.write_text(f"#!/bin/sh\nexec {RUNC} \"$@\"\n")
    script.chmod(0o755)
    assert {row["type"]: row.get("status") for row in kubelet.Status()["status"]["conditions"]}["RuntimeReady"]
    kubelet.remove_all()
    client.close()
