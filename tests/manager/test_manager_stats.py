"""What containers and pods use: ContainerStats, PodSandboxStats, their lists and streams; ImageFsInfo of layers."""
import json
import os
import subprocess

import pytest

from conftest import SLEEP, wait_until
from streaming import collect

import cri as cri_module

SPIN = ["sh", "-c", "echo up; while :; do :; done"]
MIB = 1 << 20


def has_pressure():
    return any(os.path.exists(path) for path in ("/sys/fs/cgroup/cgroup.pressure", "/sys/fs/cgroup/unified/cgroup.pressure"))


def value(usage, name):
    return int(usage[name].get("value", 0))


def ids(stats):
    return {one["attributes"]["id"] for one in stats}


@pytest.mark.machine
def test_figures_of_a_container(kubelet):
    """Each figure that this machine counts is there, has a time, and is what was really used."""
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "dd if=/dev/zero of=/big bs=1024 count=2048; echo up; while :; do :; done"],
                              labels=cri_module.pairs({"a": "b"}), annotations=cri_module.pairs({"c": "d"}),
                              resources={"memory_limit_in_bytes": 64 * MIB})
    wait_until(lambda: "up" in kubelet.output(), "the container's own work", 60)

    def used_cpu():
        stats = kubelet.ContainerStats(container_id=container)["stats"]
        return stats if value(stats["cpu"], "usage_core_nano_seconds") > 100_000_000 else None
    stats = wait_until(used_cpu, "a tenth of a second of a busy loop", 60)
    assert stats["attributes"] == {"id": container, "metadata": {"name": "main"},
                                   "labels": cri_module.pairs({"a": "b"}), "annotations": cri_module.pairs({"c": "d"})}
    created = int(kubelet.status(container)["created_at"])
    for part in ("cpu", "memory", "writable_layer"):
        assert int(stats[part]["timestamp"]) > created
    assert value(stats["cpu"], "usage_nano_cores") > 0
    memory = stats["memory"]
    assert 0 < value(memory, "working_set_bytes") <= value(memory, "usage_bytes") <= 64 * MIB
    assert value(memory, "available_bytes") == 64 * MIB - value(memory, "working_set_bytes")
    assert value(memory, "page_faults") > 0
    assert "value" in memory["rss_bytes"] and "major_page_faults" in memory
    layer = stats["writable_layer"]
    assert 2 * MIB <= value(layer, "used_bytes") < 3 * MIB
    assert 2 <= value(layer, "inodes_used") < 20  # the file, the folder itself, and what mounts needed
    assert os.path.isdir(layer["fs_id"]["mountpoint"])
    if has_pressure():
        assert set(stats["cpu"]["psi"]) == set(memory["psi"]) == set(stats["io"]["psi"]) == {"Some", "Full"}
    else:
        assert "psi" not in stats["cpu"] and "psi" not in memory and "io" not in stats


def test_cpu_goes_up_with_work_and_the_rate_follows(kubelet):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, SPIN)
    first = kubelet.ContainerStats(container_id=container)["stats"]["cpu"]

    def later():
        cpu = kubelet.ContainerStats(container_id=container)["stats"]["cpu"]
        return cpu if int(cpu["timestamp"]) - int(first["timestamp"]) > 1_500_000_000 else None
    second = wait_until(later, "a second and a half", 60)
    used = value(second, "usage_core_nano_seconds") - value(first, "usage_core_nano_seconds")
    elapsed = int(second["timestamp"]) - int(first["timestamp"])
    assert 0 < used <= elapsed * 1.1
    assert 0 < value(second, "usage_nano_cores") <= 1_100_000_000


def test_no_limit_means_nothing_available(kubelet):
    container = kubelet.start(kubelet.run_pod(), SLEEP)
    assert "available_bytes" not in kubelet.ContainerStats(container_id=container)["stats"]["memory"]


def test_what_does_not_run_has_attributes_alone(kubelet, refused):
    pod = kubelet.run_pod()
    container = kubelet.create(pod, SLEEP)
    stats = kubelet.ContainerStats(container_id=container)["stats"]
    assert stats["attributes"]["id"] == container
    assert not {"cpu", "memory", "swap", "io"} & set(stats)
    assert "stats" not in kubelet.ListContainerStats()
    with refused("NOT_FOUND"):
        kubelet.ContainerStats(container_id="0" * 64)
    with refused("NOT_FOUND"):
        kubelet.PodSandboxStats(pod_sandbox_id="0" * 64)


def test_lists_are_filtered_and_streams_say_the_same(kubelet):
    pods = [kubelet.run_pod(labels=cri_module.pairs({"pod": str(i)})) for i in range(2)]
    containers = [kubelet.start(pod, SLEEP, name=f"c{i}", log_path=f"c{i}.log", labels=cri_module.pairs({"tier": str(i)}))
                  for i, pod in enumerate(pods)]
    assert ids(kubelet.ListContainerStats()["stats"]) == set(containers)
    for selected in ({"id": containers[1][:13]}, {"pod_sandbox_id": pods[1]},
                     {"label_selector": cri_module.pairs({"tier": "1"})}):
        assert ids(kubelet.ListContainerStats(filter=selected)["stats"]) == {containers[1]}, selected
        messages = collect(kubelet.client, "StreamContainerStats", filter=selected)
        assert ids(messages[0]["container_stats"]) == {containers[1]}
    assert "stats" not in kubelet.ListContainerStats(filter={"label_selector": cri_module.pairs({"tier": "2"})})
    assert collect(kubelet.client, "StreamContainerStats", filter={"id": "ffff"}) == []
    assert ids(kubelet.ListPodSandboxStats()["stats"]) == set(pods)
    for selected in ({"id": pods[0]}, {"label_selector": cri_module.pairs({"pod": "0"})}):
        assert ids(kubelet.ListPodSandboxStats(filter=selected)["stats"]) == {pods[0]}
        messages = collect(kubelet.client, "StreamPodSandboxStats", filter=selected)
        assert ids(messages[0]["pod_sandbox_stats"]) == {pods[0]}
    kubelet.StopPodSandbox(pod_sandbox_id=pods[0])
    assert ids(kubelet.ListPodSandboxStats()["stats"]) == {pods[1]}
    assert ids(kubelet.ListContainerStats()["stats"]) == {containers[1]}


def test_an_owner_sees_its_own_alone(kubelet, node, stage):
    ours = kubelet.start(kubelet.run_pod(), SLEEP)
    node.axle("run", "-d", "--name", "other", kubelet.image, "sleep", "1000")
    assert ids(kubelet.ListContainerStats()["stats"]) == {ours}
    cli = cri_module.connect(str(cri_root()), node.socket)
    try:
        others = ids(cli.ListContainerStats()["stats"])
        assert len(others) == 1 and ours not in others
        assert len(ids(cli.ListPodSandboxStats()["stats"])) == 1
    finally:
        cli.close()


def cri_root():
    from conftest import ROOT
    return ROOT


@pytest.mark.machine
def test_figures_of_a_pod(kubelet):
    """CPU, memory and processes of all its containers; its network's counters; each container's own."""
    pod = kubelet.run_pod(labels=cri_module.pairs({"x": "y"}))
    names = ("one", "two")
    containers = [kubelet.start(pod, SLEEP, name=name, log_path=name + ".log") for name in names]
    stats = kubelet.PodSandboxStats(pod_sandbox_id=pod)["stats"]
    assert stats["attributes"]["id"] == pod
    assert stats["attributes"]["labels"] == cri_module.pairs({"x": "y"})
    linux = stats["linux"]
    assert ids(linux["containers"]) == set(containers)
    assert value(linux["process"], "process_count") >= 2
    assert value(linux["cpu"], "usage_core_nano_seconds") > 0
    assert value(linux["memory"], "working_set_bytes") > 0
    assert int(linux["network"]["timestamp"]) > 0
    assert "default_interface" not in linux["network"]  # the pod has loopback alone


def test_counters_of_a_pods_network(kubelet, node):
    """An interface that is made in the pod's namespace is told: eth0 as the default one, others beside it."""
    pod = kubelet.run_pod()
    pin = os.path.join(node.state, "ns", pod, "net")
    script = ("ip link add eth0 type veth peer name other && ip addr add 10.9.8.1/24 dev eth0 && ip link set eth0 up && "
              "ip link set other up")
    subprocess.run(["nsenter", f"--net={pin}", "sh", "-c", script], check=True)

    def counted():
        network = kubelet.PodSandboxStats(pod_sandbox_id=pod)["stats"]["linux"]["network"]
        return network if value(network["default_interface"], "tx_bytes") else None
    subprocess.run(["nsenter", f"--net={pin}", "ping", "-c", "1", "-W", "1", "10.9.8.2"], check=False, capture_output=True)
    network = wait_until(counted, "a packet that was sent is counted", 60)
    assert network["default_interface"]["name"] == "eth0"
    assert [one["name"] for one in network["interfaces"]] == ["other"]
    assert value(network["interfaces"][0], "rx_bytes") == value(network["default_interface"], "tx_bytes") > 0
    # also by an axled that did not make the pod; and nothing of it keeps the namespace when the pod has been stopped
    node.restart()
    kubelet.reconnect()
    again = kubelet.PodSandboxStats(pod_sandbox_id=pod)["stats"]["linux"]["network"]
    assert value(again["default_interface"], "tx_bytes") >= value(network["default_interface"], "tx_bytes")
    kubelet.StopPodSandbox(pod_sandbox_id=pod)
    held = [os.readlink(f"/proc/{node.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{node.process.pid}/fd")]
    assert not [path for path in held if "net/dev" in path]
    assert "network" not in kubelet.PodSandboxStats(pod_sandbox_id=pod)["stats"]["linux"]


def test_a_pod_with_the_hosts_network_has_no_counters(kubelet):
    linux = {"security_context": {"namespace_options": {"pid": "CONTAINER", "network": "NODE"}}}
    pod = kubelet.run_pod(linux=linux)
    assert "network" not in kubelet.PodSandboxStats(pod_sandbox_id=pod)["stats"].get("linux", {})


def test_layers_are_not_walked_by_each_call(kubelet):
    """A second call shows the first one's count with its age, and a later one a new count."""
    container = kubelet.start(kubelet.run_pod(), SLEEP)

    def layer():
        return kubelet.ContainerStats(container_id=container)["stats"]["writable_layer"]
    first = layer()
    kubelet.ExecSync(container_id=container, cmd=["sh", "-c", "dd if=/dev/zero of=/more bs=1048576 count=3"])
    second = layer()
    assert second["timestamp"] == first["timestamp"] and second["used_bytes"] == first["used_bytes"]
    third = wait_until(lambda: layer() if layer()["timestamp"] != first["timestamp"] else None, "another count", 60)
    assert value(third, "used_bytes") >= value(first, "used_bytes") + 3 * MIB


def test_a_group_that_is_removed_meanwhile(kubelet):
    """Lists beside a start and an end of containers name each at most once, and never fail."""
    pod = kubelet.run_pod()
    for i in range(5):
        container = kubelet.start(pod, ["true"], name=f"short{i}", log_path=f"short{i}.log")
        stats = kubelet.ListContainerStats().get("stats", [])
        assert len(ids(stats)) == len(stats)
        kubelet.ListPodSandboxStats()
        kubelet.RemoveContainer(container_id=container)
    assert "stats" not in kubelet.ListContainerStats()


def test_file_systems_of_images_and_layers(kubelet):
    before = kubelet.ImageFsInfo()
    container = kubelet.start(kubelet.run_pod(), ["sh", "-c", "dd if=/dev/zero of=/big bs=1048576 count=2; echo up; sleep 1000"])
    wait_until(lambda: "up" in kubelet.output(), "the container's own work", 60)
    kubelet.ContainerStats(container_id=container)

    def grown():
        info = kubelet.ImageFsInfo()
        used = value(info["container_filesystems"][0], "used_bytes")
        return info if used >= value(before["container_filesystems"][0], "used_bytes") + 2 * MIB else None
    info = wait_until(grown, "the container's layer counts", 60)
    images, layers = info["image_filesystems"][0], info["container_filesystems"][0]
    assert value(images, "used_bytes") > 0 and value(images, "inodes_used") > 0 and value(layers, "inodes_used") >= 2
    assert images["fs_id"] == layers["fs_id"]  # one file system has one name
    assert os.path.isdir(images["fs_id"]["mountpoint"])


@pytest.mark.parametrize("call", ["CheckpointContainer", "ListMetricDescriptors", "ListPodSandboxMetrics"])
def test_what_is_not_served_says_so_by_name(cri, refused, call):
    with refused("UNIMPLEMENTED", call):
        getattr(cri, call)()


def test_the_stream_of_metrics_is_not_served_by_name(cri):
    from streaming import Stream
    stream = Stream(cri, "StreamPodSandboxMetrics")
    stream.join()
    assert stream.code == "UNIMPLEMENTED" and "StreamPodSandboxMetrics" in stream.details


def test_streams_of_lists_hold_each_item_once_in_several_messages(kubelet):
    """More than one message holds: 230 pods would do, and so do few with large annotations."""
    pods = {kubelet.run_pod(annotations=cri_module.pairs({"big": "x" * 200_000})) for _ in range(4)}
    messages = collect(kubelet.client, "StreamPodSandboxes")
    assert len(messages) >= 2 and all(message["pod_sandboxes"] for message in messages)
    assert sorted(pod["id"] for message in messages for pod in message["pod_sandboxes"]) == sorted(pods)
    container = kubelet.create(sorted(pods)[0], SLEEP)
    messages = collect(kubelet.client, "StreamContainers", filter={"state": {"state": "CONTAINER_CREATED"}})
    assert [one["id"] for message in messages for one in message["containers"]] == [container]
    assert messages[0]["containers"] == kubelet.ListContainers()["containers"]
    messages = collect(kubelet.client, "StreamImages")
    assert json.dumps(messages[0]["images"]) == json.dumps(kubelet.ListImages()["images"])
