"""What goes over the wire, number by number: our descriptions against the published ones, and calls whose bytes were made and are
read by hand (tests/lib/cri_wire.py)."""
import time

import pytest

import cri as cri_module
import cri_wire
from conftest import ROOT, SLEEP, wait_until


def descriptions():
    """(messages, enumerations, calls) of proto/cri, as protoc understands it."""
    messages, enums, calls = {}, {}, {}

    def add_message(message):
        messages[message.name] = message
        for inner in message.enum_types:
            enums[inner.name] = inner
        for inner in message.nested_types:
            add_message(inner)
    for module in cri_module.compiled(str(ROOT), "cri/**/*.proto"):
        for message in module.DESCRIPTOR.message_types_by_name.values():
            add_message(message)
        enums.update(module.DESCRIPTOR.enum_types_by_name)
        for service in module.DESCRIPTOR.services_by_name.values():
            calls.update({f"{service.name}.{method.name}": method for method in service.methods})
    return messages, enums, calls


def kind_of(field):
    if field.message_type:
        return field.message_type.name
    return {field.TYPE_STRING: "string", field.TYPE_BYTES: "bytes", field.TYPE_BOOL: "bool",
            field.TYPE_DOUBLE: "double"}.get(field.type, "int")


def test_our_descriptions_are_the_published_ones():
    messages, enums, calls = descriptions()
    wrong = []
    for name, fields in cri_wire.MESSAGES.items():
        if name not in messages:
            wrong.append(f"no message {name}")
            continue
        ours = {field.name: (field.number, kind_of(field), field.label == field.LABEL_REPEATED) for field in messages[name].fields}
        wrong += [f"{name}.{one}: {ours.get(one)}, published {fields.get(one)}" for one in sorted(set(ours) | set(fields))
                  if ours.get(one) != fields.get(one)]
    for name, values in cri_wire.ENUMS.items():
        ours = {value.name: value.number for value in enums[name].values} if name in enums else None
        if ours != values:
            wrong.append(f"enum {name}: {ours}, published {values}")
    for name, (request, answer, _) in cri_wire.CALLS.items():
        ours = (calls[name].input_type.name, calls[name].output_type.name) if name in calls else None
        if ours != (request, answer):
            wrong.append(f"call {name}: {ours}, published {(request, answer)}")
    wrong += [f"call {name} is not published" for name in set(calls) - set(cri_wire.CALLS)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("message, values, wire", [
    ("VersionRequest", {"version": "v1"}, "0a 02 7631"),
    ("PodSandboxMetadata", {"name": "a", "uid": "b", "namespace": "c", "attempt": 300}, "0a 01 61 12 01 62 1a 01 63 20 ac02"),
    ("StopContainerRequest", {"container_id": "x", "timeout": -1}, "0a 01 78 10 ffffffffffffffffff01"),
    ("LinuxContainerUser", {"uid": 1, "supplemental_groups": [5, 300]}, "08 01 1a 03 05 ac02"),
    ("PodSandboxFilter", {"label_selector": {"k": "v"}}, "1a 06 0a 01 6b 12 01 76"),
    ("RunPodSandboxRequest", {"config": {"hostname": "h", "linux": {"security_context": {"namespace_options": {"pid": 1}}}},
                              "runtime_handler": "crun"},
     "0a 0b 12 01 68 42 06 12 04 0a 02 10 01 12 04 6372756e"),
])
def test_the_hand_made_encoder_itself(message, values, wire):
    data = bytes.fromhex(wire.replace(" ", ""))
    assert cri_wire.encode(message, values) == data
    assert cri_wire.decode(message, data) == values


POD = {"metadata": {"name": "wire", "uid": "uid-wire", "namespace": "default", "attempt": 3}, "hostname": "wired",
       "dns_config": {"servers": ["10.9.8.7"], "searches": ["example.org"], "options": ["ndots:5"]},
       "labels": {"app": "wire"}, "annotations": {"note": "ä"},
       "linux": {"security_context": {"namespace_options": {"pid": cri_wire.ENUMS["NamespaceMode"]["CONTAINER"]}},
                 "sysctls": {"net.ipv4.ip_forward": "1"}}}


def container_config(image):
    script = "echo $GREETING; cat /etc/resolv.conf /proc/sys/net/ipv4/ip_forward; hostname; id -u; id -G; " + SLEEP[2]
    return {"metadata": {"name": "main", "attempt": 2}, "image": {"image": image}, "command": ["sh"], "args": ["-c", script],
            "working_dir": "/tmp", "envs": [{"key": "GREETING", "value": "hello"}], "labels": {"part": "main"},
            "annotations": {"kept": "yes"}, "log_path": "main.log",
            "linux": {"resources": {"memory_limit_in_bytes": 64 << 20, "cpu_shares": 512, "cpu_quota": 50000, "cpu_period": 100000},
                      "security_context": {"namespace_options": {"pid": 1}, "run_as_user": {"value": 1234},
                                           "run_as_group": {"value": 55}, "supplemental_groups": [77]}}}


def test_a_life_in_hand_made_bytes(cri, node, registry, folder):
    """Every field that is sent has an effect that is seen elsewhere than in its echo."""
    raw = cri_wire.RawClient(cri.channel)
    image = registry.image("busybox:latest")
    version, data = raw("RuntimeService.Version", {"version": "v1"})
    assert version["runtime_api_version"] == "v1" and version["runtime_name"] == "axle"
    assert data == cri_wire.encode("VersionResponse", version)
    pulled, _ = raw("ImageService.PullImage", {"image": {"image": image}})
    pod, _ = raw("RuntimeService.RunPodSandbox", {"config": {**POD, "log_directory": str(folder / "logs")}})
    created, _ = raw("RuntimeService.CreateContainer", {**pod, "config": container_config(image), "sandbox_config": POD})
    assert raw("RuntimeService.StartContainer", created)[1] == b""
    wait_until(lambda: "up" in (folder / "logs" / "main.log").read_text(), "the output")
    lines = [line.split(" ", 3)[3] for line in (folder / "logs" / "main.log").read_text().splitlines()]
    assert lines[:9] == ["hello", "search example.org", "nameserver 10.9.8.7", "options ndots:5", "1", "wired", "1234", "55 77", "up"]
    check_statuses(raw, pod, created, pulled, image)
    done, _ = raw("RuntimeService.ExecSync", {**created, "cmd": ["sh", "-c", "echo out; echo err >&2; exit 3"], "timeout": 20})
    assert done == {"stdout": b"out\n", "stderr": b"err\n", "exit_code": 3}
    raw("RuntimeService.StopContainer", {**created, "timeout": 10})
    status = raw("RuntimeService.ContainerStatus", created)[0]["status"]
    assert (status["state"], status["exit_code"], status["reason"]) == (cri_wire.ENUMS["ContainerState"]["CONTAINER_EXITED"], 7, "Error")
    assert status["created_at"] <= status["started_at"] <= status["finished_at"]
    assert raw("RuntimeService.RemoveContainer", created)[1] == b""
    raw("RuntimeService.StopPodSandbox", pod)
    assert raw("RuntimeService.PodSandboxStatus", pod)[0]["status"]["state"] == cri_wire.ENUMS["PodSandboxState"]["SANDBOX_NOTREADY"]
    raw("RuntimeService.RemovePodSandbox", pod)
    assert raw("RuntimeService.ListPodSandbox")[0] == {}


def check_statuses(raw, pod, created, pulled, image):
    status = raw("RuntimeService.PodSandboxStatus", {**pod, "verbose": True})[0]["status"]
    assert status["metadata"] == POD["metadata"] and status["labels"] == POD["labels"]
    assert status["annotations"] == POD["annotations"] and status["id"] == pod["pod_sandbox_id"]
    assert abs(status["created_at"] / 1e9 - time.time()) < 300
    status = raw("RuntimeService.ContainerStatus", created)[0]["status"]
    assert status["state"] == cri_wire.ENUMS["ContainerState"]["CONTAINER_RUNNING"] and status["metadata"] == {"name": "main", "attempt": 2}
    assert status["image_id"] == status["image_ref"] == pulled["image_ref"]
    user = status["user"]["linux"]
    assert (user["uid"], user["gid"]) == (1234, 55) and 77 in user["supplemental_groups"]
    assert status["resources"]["linux"]["memory_limit_in_bytes"] == 64 << 20
    assert status["labels"] == {"part": "main"} and status["annotations"] == {"kept": "yes"}
    found = raw("RuntimeService.ListContainers", {"filter": {"label_selector": {"part": "main"}, "state": {"state": 1}}})[0]
    assert [one["id"] for one in found["containers"]] == [created["container_id"]]
    assert raw("RuntimeService.ListContainers", {"filter": {"label_selector": {"part": "other"}}})[0] == {}
    images = raw("ImageService.ListImages", {"filter": {"image": {"image": image}}})[0]["images"]
    assert [one["id"] for one in images] == [pulled["image_ref"]] and image in images[0]["repo_tags"]
    usage = raw("ImageService.ImageFsInfo")[0]["image_filesystems"][0]
    assert usage["used_bytes"]["value"] > 0 and usage["fs_id"]["mountpoint"]
    stats = raw("RuntimeService.ContainerStats", created)[0]["stats"]
    assert stats["attributes"]["id"] == created["container_id"] and stats["memory"]["working_set_bytes"]["value"] > 0
