"""GetContainerEvents: what happens, with the state of the pod at that moment, for each listener and owner."""
import os
import time

import pytest

from conftest import ROOT, SLEEP, wait_until
from streaming import Stream

import cri as cri_module

EVENTS_WAITING_MAX = 1024  # docs/limits.md


def listen(kubelet, client=None):
    """A listener that is known to listen: events before its registration are not its own."""
    stream = Stream(client or kubelet.client, "GetContainerEvents")
    names = (f"probe{id(stream)}-{i}" for i in range(1000))

    def hears():
        kubelet.RemovePodSandbox(pod_sandbox_id=kubelet.run_pod(next(names)))
        return stream.messages
    wait_until(hears, "the listener's first event", 30)
    return stream


def events_of(stream, pod):
    """(id, kind) of what happened to one pod and its containers."""
    return [(event["container_id"], event.get("container_event_type", "CONTAINER_CREATED_EVENT").split("_")[1])
            for event in list(stream.messages) if event["pod_sandbox_status"]["id"] == pod]


def await_events(stream, pod, expected):
    wait_until(lambda: len(events_of(stream, pod)) >= len(expected), f"{len(expected)} events: {events_of(stream, pod)}", 30)
    assert events_of(stream, pod) == expected


def test_the_life_of_a_pod_and_a_container(kubelet):
    stream = listen(kubelet)
    pod = kubelet.run_pod("seen")
    container = kubelet.start(pod, SLEEP)
    kubelet.StopContainer(container_id=container, timeout=10)
    kubelet.wait(container)
    kubelet.RemoveContainer(container_id=container)
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    await_events(stream, pod, [(pod, "CREATED"), (pod, "STARTED"), (container, "CREATED"), (container, "STARTED"),
                               (container, "STOPPED"), (container, "DELETED"), (pod, "STOPPED"), (pod, "DELETED")])
    events = [event for event in stream.messages if event["pod_sandbox_status"]["id"] == pod]
    times = [int(event["created_at"]) for event in events]
    assert times == sorted(times) and abs(times[0] / 1e9 - time.time()) < 300
    for event in events:  # what a kubelet's PLEG needs of every event
        assert event["pod_sandbox_status"]["metadata"] == {"name": "seen", "uid": "uid-seen", "namespace": "default"}
    statuses = [[(one["id"], one.get("state", "CONTAINER_CREATED")) for one in event.get("containers_statuses", [])]
                for event in events]
    assert statuses == [[], [], [(container, "CONTAINER_CREATED")], [(container, "CONTAINER_RUNNING")],
                        [(container, "CONTAINER_EXITED")], [], [], []]
    stopped = events[4]["containers_statuses"][0]
    assert stopped["exit_code"] == 7 and int(stopped["finished_at"]) >= int(stopped["started_at"])
    assert [event["pod_sandbox_status"].get("state", "SANDBOX_READY") for event in events[-3:]] == \
        ["SANDBOX_READY", "SANDBOX_NOTREADY", "SANDBOX_NOTREADY"]
    stream.cancel()


def test_a_container_that_ends_by_itself_and_one_that_cannot_start(kubelet):
    stream = listen(kubelet)
    pod = kubelet.run_pod()
    container = kubelet.start(pod, ["sh", "-c", "exit 3"])
    broken = kubelet.create(pod, ["/no/such/program"], name="broken")
    with pytest.raises(Exception):
        kubelet.StartContainer(container_id=broken)
    wait_until(lambda: {(container, "STOPPED"), (broken, "STOPPED")} <= set(events_of(stream, pod)), "both ends", 30)
    last = {event["container_id"]: event for event in stream.messages
            if event.get("container_event_type") == "CONTAINER_STOPPED_EVENT"}
    codes = {one["id"]: one.get("exit_code", 0) for one in last[container]["containers_statuses"]}
    assert codes[container] == 3
    codes = {one["id"]: one.get("exit_code", 0) for one in last[broken]["containers_statuses"]}
    assert codes[broken] == 127
    stream.cancel()


def test_many_listeners_hear_the_same_and_leave_one_by_one(kubelet):
    streams = [listen(kubelet) for _ in range(8)]
    pod = kubelet.run_pod("first")
    expected = [(pod, "CREATED"), (pod, "STARTED")]
    for stream in streams:
        await_events(stream, pod, expected)
    for stream in streams[::2]:
        stream.cancel()
        assert stream.code == "CANCELLED"
    pod = kubelet.run_pod("second")
    for stream in streams[1::2]:
        await_events(stream, pod, [(pod, "CREATED"), (pod, "STARTED")])
        stream.cancel()
    assert not [event for stream in streams[::2] for event in stream.messages if event["pod_sandbox_status"]["id"] == pod]


def test_listeners_have_a_limit(kubelet):
    streams = [Stream(kubelet.client, "GetContainerEvents") for _ in range(65)]
    wait_until(lambda: any(stream.ended for stream in streams), "one too many", 30)
    refused = [stream for stream in streams if stream.ended]
    assert [stream.code for stream in refused] == ["RESOURCE_EXHAUSTED"]
    for stream in streams:
        stream.cancel()
    stream = listen(kubelet)  # the places are free again
    stream.cancel()


def test_an_owner_hears_of_its_own_alone(kubelet, node):
    stream = listen(kubelet)
    cli = cri_module.connect(str(ROOT), node.socket)
    other = Stream(cli, "GetContainerEvents")
    try:
        pod = kubelet.run_pod("ours")
        names = iter(range(1000))

        def theirs():
            node.axle("run", "--rm", "--name", f"theirs{next(names)}", kubelet.image, "true")
            return other.messages
        wait_until(theirs, "the other owner's events", 30)
        await_events(stream, pod, [(pod, "CREATED"), (pod, "STARTED")])
        heard = {event["pod_sandbox_status"]["id"] for event in other.messages}
        assert pod not in heard
        assert not heard & {event["pod_sandbox_status"]["id"] for event in stream.messages}
    finally:
        stream.cancel()
        other.cancel()
        cli.close()


class Stalled:
    """A listener that reads nothing: gRPC's windows fill, then axled's queue for it."""

    def __init__(self, client):
        method = client.methods["GetContainerEvents"]
        start = client.channel.unary_stream("/runtime.v1.RuntimeService/GetContainerEvents",
                                            request_serializer=method.input_type._concrete_class.SerializeToString,
                                            response_deserializer=method.output_type._concrete_class.FromString)
        self.call = start(method.input_type._concrete_class(), timeout=300)


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def test_who_does_not_keep_up_is_told_to_list_again(kubelet, node):
    """Its queue is bounded: the stream ends with an error, the others hear everything."""
    quick = cri_module.connect(str(ROOT), node.cri_socket)
    slow = cri_module.connect(str(ROOT), node.cri_socket)
    stream = listen(kubelet, quick)
    stalled = Stalled(slow)
    annotations = cri_module.pairs({"big": "x" * 240_000})
    before = resident_kib(node.process.pid)
    pods, made = [], 0
    try:
        # Each event carries the pod's annotations: 8 MiB in the queue and what the windows hold come to some 40 pods.
        while made < 60:
            pods.append(kubelet.run_pod(f"big{made}", annotations=annotations))
            made += 1
            if len(pods) == 10:
                kubelet.RemovePodSandbox(pod_sandbox_id=pods.pop(0))
        received = []
        with pytest.raises(Exception) as failure:
            for message in stalled.call:
                received.append(message)
        assert stalled.call.code().name == "RESOURCE_EXHAUSTED", failure
        assert "list again" in stalled.call.details()
        assert len(received) < 2 * made
        for pod in pods:
            wait_until(lambda: (pod, "STARTED") in events_of(stream, pod), "the quick listener's events", 30)
        assert resident_kib(node.process.pid) - before < 64 << 10
    finally:
        stream.cancel()
        quick.close()
        slow.close()


def test_listeners_end_with_axled(kubelet, node):
    client = cri_module.connect(str(ROOT), node.cri_socket)
    stream = listen(kubelet, client)
    node.stop()
    stream.join()
    assert stream.code in ("UNAVAILABLE", "CANCELLED")
    client.close()
    node.start()
    assert os.path.exists(node.cri_socket)
