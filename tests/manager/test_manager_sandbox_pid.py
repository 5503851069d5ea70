"""Pid namespaces of pods: one for the whole pod with a tiny init, one for each container, the host's, another container's."""
import base64
import json
import os
import re
import signal

import pytest

from conftest import ROOT, SLEEP, Kubelet, wait_until

import cri as cri_module

POD_MODE = {"namespace_options": {"pid": "POD"}}
OWN_MODE = {"namespace_options": {"pid": "CONTAINER"}}


@pytest.fixture
def restarted(node, kubelet):
    """Starts the node again and gives a client on its new socket."""
    def start():
        node.start()
        kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)  # the fixture's end removes the pods by it
        return Kubelet(kubelet.client, kubelet.image, kubelet.folder)
    return start


def pod_with(kubelet, mode, **linux):
    return kubelet.run_pod(linux={"security_context": {"namespace_options": {"pid": mode}}, **linux})


def init_of(kubelet, pod):
    """The pod's init as the verbose status tells it; 0: none."""
    return json.loads(kubelet.PodSandboxStatus(pod_sandbox_id=pod, verbose=True)["info"][0]["value"])["initPid"]


def proc(pid, name):
    with open(f"/proc/{pid}/{name}", encoding="utf-8") as file:
        return file.read()


def status_field(pid, name):
    return re.search(rf"^{name}:[ \t]*(.*)$", proc(pid, "status"), re.M).group(1).split()


def alive(pid):
    try:
        return proc(pid, "stat").rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.machine
def test_containers_of_a_pod_see_each_other(kubelet):
    pod = pod_with(kubelet, "POD")
    assert init_of(kubelet, pod) == 0  # nobody wanted one yet
    kubelet.start(pod, SLEEP, "one", security=POD_MODE)
    init = init_of(kubelet, pod)
    assert init > 0
    lines = kubelet.run(pod, ["ps", "-o", "pid,args"], "two", security=POD_MODE)
    processes = [line.split(None, 1) for line in lines[1:]]
    assert ["1", "axinit"] in processes
    assert any("trap" in command for _, command in processes)  # the other container's
    assert init_of(kubelet, pod) == init  # one for all
    alone = kubelet.run(pod, ["ps", "-o", "pid,args"], "alone", security=OWN_MODE)
    assert not any("axinit" in line or "trap" in line for line in alone)
    options = kubelet.PodSandboxStatus(pod_sandbox_id=pod)["status"]["linux"]["namespaces"]["options"]
    assert options.get("pid", "POD") == "POD"
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    assert not alive(init)


@pytest.mark.machine
def test_the_init_has_nothing_and_hides_what_it_is(kubelet):
    pod = pod_with(kubelet, "POD")
    container = kubelet.start(pod, SLEEP, security=POD_MODE)
    init = init_of(kubelet, pod)
    assert os.listdir(f"/proc/{init}/fd") == []
    assert os.listdir(f"/proc/{init}/root") == []
    assert status_field(init, "Uid") == ["65535"] * 4
    assert status_field(init, "Gid") == ["65535"] * 4
    assert status_field(init, "Groups") == []
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status_field(init, name)[0], 16) == 0, name
    assert status_field(init, "NoNewPrivs") == ["1"]
    mounts = proc(init, "mountinfo").splitlines()
    assert len(mounts) == 1 and " / ro," in mounts[0] and " tmpfs " in mounts[0]
    assert os.stat(f"/proc/{init}/exe").st_mode & 0o7777 == 0o111
    with pytest.raises(OSError):
        os.open(f"/proc/{init}/exe", os.O_RDWR)  # sealed, and in use
    # each of its namespaces but the user's is another than the host's
    for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup"):
        assert os.readlink(f"/proc/{init}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}"), kind
    # root of the pod is told nothing: not what it runs, not its root, not its memory
    probe = "for f in exe root cwd; do readlink /proc/1/$f; done; cat /proc/1/environ; cat /proc/1/maps; ls /proc/1/fd; echo end"
    reply = kubelet.ExecSync(container_id=container, cmd=["sh", "-c", probe], timeout=10)
    assert reply_text(reply, "stdout") == "end\n"
    assert reply_text(reply, "stderr").count("ermission denied") == 2
    assert reply_text(kubelet.ExecSync(container_id=container, cmd=["sh", "-c", "kill -9 1; kill -TERM 1; echo sent"], timeout=10),
                      "stdout") == "sent\n"
    assert alive(init)


def reply_text(reply, name):
    return base64.b64decode(reply.get(name, "")).decode()


def test_the_init_is_small(kubelet):
    pod = pod_with(kubelet, "POD")
    kubelet.start(pod, SLEEP, security=POD_MODE)
    text = proc(init_of(kubelet, pod), "smaps_rollup")
    pss = int(re.search(r"^Pss:\s+(\d+) kB", text, re.M).group(1))
    assert pss < 100, text


def test_orphans_are_reaped_and_the_pods_containers_end_as_a_whole(kubelet):
    pod = pod_with(kubelet, "POD")
    keeper = kubelet.start(pod, SLEEP, "keeper", security=POD_MODE)
    init = init_of(kubelet, pod)
    # the shell ends at once; its grandchild is an orphan, which axinit inherits
    kubelet.run(pod, ["sh", "-c", "(sleep 0.2 >/dev/null 2>&1 &) ; exit 0"], "short", security=POD_MODE)
    script = "for i in 1 2 3 4 5; do (true & sleep 0.1 &) ; done; sleep 0.5; ps -o stat | grep -c Z; true"
    reply = kubelet.ExecSync(container_id=keeper, cmd=["sh", "-c", script], timeout=20)
    assert reply_text(reply, "stdout").strip() == "0"
    # what a container leaves behind in the shared namespace goes with it
    left = kubelet.start(pod, ["sh", "-c", "sleep 1000 >/dev/null 2>&1 & exit 0"], "left", security=POD_MODE)
    kubelet.wait(left)
    wait_until(lambda: "sleep 1000" not in reply_text(
        kubelet.ExecSync(container_id=keeper, cmd=["ps", "-o", "args"], timeout=10), "stdout"), "the end of the orphan")
    assert alive(init)
    assert kubelet.state(keeper) == "CONTAINER_RUNNING"


def test_a_pod_whose_init_ends_is_not_ready(kubelet):
    pod = pod_with(kubelet, "POD")
    container = kubelet.start(pod, SLEEP, security=POD_MODE)
    os.kill(init_of(kubelet, pod), signal.SIGKILL)
    wait_until(lambda: kubelet.PodSandboxStatus(pod_sandbox_id=pod)["status"].get("state") == "SANDBOX_NOTREADY", "not ready")
    wait_until(lambda: kubelet.state(container) == "CONTAINER_EXITED", "the container's end")
    assert kubelet.status(container)["exit_code"] == 137
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)


def test_the_init_survives_axled_and_is_found_again(kubelet, node, restarted):
    pod = pod_with(kubelet, "POD")
    kubelet.start(pod, SLEEP, "one", security=POD_MODE)
    init = init_of(kubelet, pod)
    node.kill()
    again = restarted()
    assert init_of(again, pod) == init and alive(init)
    lines = again.run(pod, ["ps", "-o", "args"], "two", security=POD_MODE)
    assert "axinit" in lines
    os.kill(init, signal.SIGKILL)
    wait_until(lambda: again.PodSandboxStatus(pod_sandbox_id=pod)["status"].get("state") == "SANDBOX_NOTREADY", "not ready")
    again.remove_all()


def test_an_init_that_ended_while_axled_was_away_stops_the_pod(kubelet, node, restarted):
    pod = pod_with(kubelet, "POD")
    container = kubelet.start(pod, SLEEP, security=POD_MODE)
    init = init_of(kubelet, pod)
    node.kill()
    os.kill(init, signal.SIGKILL)
    wait_until(lambda: not alive(init), "its end")
    again = restarted()
    assert again.PodSandboxStatus(pod_sandbox_id=pod)["status"]["state"] == "SANDBOX_NOTREADY"
    assert again.wait(container)["exit_code"] == 137
    again.remove_all()


def test_the_hosts_pid_namespace(kubelet):
    pod = pod_with(kubelet, "NODE")
    host = {"namespace_options": {"pid": "NODE"}}
    inside = kubelet.run(pod, ["readlink", "/proc/self/ns/pid"], security=host)
    assert inside == [os.readlink("/proc/self/ns/pid")]
    # POD in such a pod is the host's as well, and costs no init
    assert kubelet.run(pod, ["readlink", "/proc/self/ns/pid"], security=POD_MODE) == inside
    assert init_of(kubelet, pod) == 0


def test_a_target_shares_its_namespace_and_must_run(kubelet, refused):
    pod = pod_with(kubelet, "CONTAINER")
    target = kubelet.start(pod, SLEEP, "target", security=OWN_MODE)
    debug = {"namespace_options": {"pid": "TARGET", "target_id": target}}
    lines = kubelet.run(pod, ["ps", "-o", "pid,args"], "debug", security=debug)
    assert any(line.split()[0] == "1" and "trap" in line for line in lines[1:])
    other = kubelet.start(kubelet.run_pod(), SLEEP, "other", security=OWN_MODE)
    for wrong in ("", "f" * 64, other):
        with refused("INVALID_ARGUMENT", "expected a running container of the same pod"):
            kubelet.create(pod, ["true"], "wrong", security={"namespace_options": {"pid": "TARGET", "target_id": wrong}})
    late = kubelet.create(pod, ["true"], "late", security=debug)
    kubelet.StopContainer(container_id=target, timeout=5)
    with refused("INVALID_ARGUMENT", "expected a running container of the same pod"):
        kubelet.StartContainer(container_id=late)


def test_a_debugger_of_a_container_in_the_pods_namespace_outlives_it(kubelet):
    pod = pod_with(kubelet, "POD")
    target = kubelet.start(pod, SLEEP, "target", security=POD_MODE)
    debugger = kubelet.start(pod, SLEEP, "debugger", security={"namespace_options": {"pid": "TARGET", "target_id": target}})
    kubelet.StopContainer(container_id=target, timeout=5)
    assert kubelet.state(debugger) == "CONTAINER_RUNNING"
    reply = kubelet.ExecSync(container_id=debugger, cmd=["echo", "still here"], timeout=10)
    assert reply_text(reply, "stdout") == "still here\n"


@pytest.mark.parametrize("mode", ["TARGET"])
def test_modes_that_a_pod_cannot_have_are_refused(kubelet, refused, mode):
    with refused("INVALID_ARGUMENT", "expected POD, CONTAINER or NODE"):
        pod_with(kubelet, mode)
    for kind in ("network", "ipc"):
        for wrong in ("CONTAINER", "TARGET"):
            with refused("INVALID_ARGUMENT", "expected POD or NODE"):
                kubelet.run_pod(linux={"security_context": {"namespace_options": {"pid": "CONTAINER", kind: wrong}}})
