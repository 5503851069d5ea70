"""Devices of a container's configuration: nodes, folders of nodes, and CDI."""
import base64
import json
import os
import stat

import pytest

from conftest import ROOT, wait_until

import cri as cri_module


@pytest.fixture
def node(make_node, folder):
    """With CDI folders of this test's own: the second counts before the first."""
    return make_node(config=f'[cdi]\ndirectories = ["{folder}/cdi-low", "{folder}/cdi-high"]\n')


def numbers(path):
    status = os.stat(path)
    return f"{os.major(status.st_rdev):x} {os.minor(status.st_rdev):x}"


@pytest.mark.parametrize("permissions, opened", [("r", ["read"]), ("w", ["write"]), ("rw", ["read", "write"]), ("", ["read", "write"])])
def test_permissions_are_those_of_the_cgroup(kubelet, folder, permissions, opened):
    os.mknod(folder / "node", stat.S_IFCHR | 0o666, os.makedev(10, 237))  # loop-control: in no default list
    pod = kubelet.run_pod()
    script = "(exec 3</dev/given) 2>/dev/null && echo read; (exec 3>>/dev/given) 2>/dev/null && echo write; echo end"
    lines = kubelet.run(pod, ["sh", "-c", script],
                        devices=[{"container_path": "/dev/given", "host_path": str(folder / "node"), "permissions": permissions}])
    assert lines == [*opened, "end"]


@pytest.mark.parametrize("fields, status, words", [
    ({"permissions": "rx"}, "INVALID_ARGUMENT", "some of r, w and m"),
    ({"host_path": "/dev/no-such-device"}, "NOT_FOUND", "/dev/no-such-device"),
    ({"host_path": "/etc/passwd"}, "INVALID_ARGUMENT", "expected a device node"),
    ({"host_path": "zero"}, "INVALID_ARGUMENT", "absolute paths"),
])
def test_what_is_no_device_is_refused(kubelet, refused, fields, status, words):
    pod = kubelet.run_pod()
    with refused(status, words):
        kubelet.create(pod, devices=[{"container_path": "/dev/x", "host_path": "/dev/zero", "permissions": "r", **fields}])


def test_a_folder_stands_for_the_devices_in_it(kubelet, refused, folder):
    devices = folder / "nodes"
    (devices / "deeper").mkdir(parents=True)
    os.mknod(devices / "one", stat.S_IFCHR | 0o640, os.makedev(1, 5))
    os.mknod(devices / "deeper" / "two", stat.S_IFCHR | 0o600, os.makedev(1, 7))
    (devices / "file").write_text("no device")
    pod = kubelet.run_pod()
    lines = kubelet.run(pod, ["sh", "-c", "cd /dev/given; find . -type c | sort; stat -c '%t %T %a' one deeper/two; ls -d file"
                              " 2>/dev/null || echo none; head -c 3 one | wc -c"],
                        devices=[{"container_path": "/dev/given", "host_path": str(devices), "permissions": "r"}])
    assert lines == ["./deeper/two", "./one", "1 5 640", "1 7 600", "none", "3"]
    (folder / "none").mkdir()
    with refused("INVALID_ARGUMENT", "no device node"):
        kubelet.create(pod, devices=[{"container_path": "/dev/x", "host_path": str(folder / "none"), "permissions": "r"}])


def test_a_privileged_container_has_the_hosts(kubelet):
    pod = kubelet.run_pod()
    mine = {name for name in os.listdir("/dev") if stat.S_ISBLK(os.stat(f"/dev/{name}").st_mode)}
    theirs = set(kubelet.run(pod, ["sh", "-c", "cd /dev; find . -type b | sed 's,^./,,'"], security={"privileged": True}))
    assert mine <= theirs


# CDI.

def write(folder, name, kind, devices, version="0.8.0", yaml=False, **more):
    folder.mkdir(exist_ok=True)
    document = {"cdiVersion": version, "kind": kind, "devices": [{"name": key, "containerEdits": edits} for key, edits in devices.items()],
                **more}
    text = json.dumps(document)
    if yaml:
        import yaml as yaml_module
        text = yaml_module.safe_dump(document)
    (folder / name).write_text(text)


def ask(*names):
    return [{"name": name} for name in names]


def test_everything_that_a_cdi_device_may_edit(kubelet, folder):
    (folder / "shared").mkdir()
    (folder / "shared" / "lib").write_text("library\n")
    seen = folder / "hook-ran"
    write(folder / "cdi-low", "vendor.json", "vendor.example/gpu", {
        "one": {"env": ["GPU=one", "WHO=device"],
                "deviceNodes": [{"path": "/dev/gpu0", "hostPath": "/dev/zero", "permissions": "r", "fileMode": 0o440, "gid": 44},
                                {"path": "/dev/fixed", "type": "c", "major": 1, "minor": 7}],
                "mounts": [{"hostPath": str(folder / "shared"), "containerPath": "/opt/gpu", "options": ["ro", "rbind"]}],
                "hooks": [{"hookName": "createRuntime", "path": "/bin/sh", "args": ["sh", "-c", f"echo $MARK > {seen}"],
                           "env": ["MARK=ran"]}],
                "additionalGids": [0, 4711, 4711]}},
        containerEdits={"env": ["DRIVER=1", "WHO=all"]})
    pod = kubelet.run_pod()
    envs = [{"key": "WHO", "value": base64.b64encode(b"container").decode()}]
    script = ("echo $GPU $DRIVER $WHO; stat -c '%t %T %a %g' /dev/gpu0 /dev/fixed; head -c 4 /dev/gpu0 | wc -c; cat /opt/gpu/lib;"
              "touch /opt/gpu/x 2>/dev/null || echo ro; id -G")
    lines = kubelet.run(pod, ["sh", "-c", script], CDI_devices=ask("vendor.example/gpu=one"), envs=envs)
    assert lines == ["one 1 device", "1 5 440 44", "1 7 666 0", "4", "library", "ro", "0 4711"]
    assert seen.read_text() == "ran\n"


def test_devices_by_annotation_and_once(kubelet, folder):
    write(folder / "cdi-low", "net.yaml", "vendor.example/net", {"a": {"env": ["A=1"]}, "b": {"env": ["B=2"]}}, yaml=True,
          containerEdits={"deviceNodes": [{"path": "/dev/net0", "hostPath": "/dev/null"}]})
    pod = kubelet.run_pod()
    annotations = cri_module.pairs({"cdi.k8s.io/plugin_1": "vendor.example/net=a,vendor.example/net=b", "other": "vendor.example/net=c"})
    lines = kubelet.run(pod, ["sh", "-c", "echo $A$B; stat -c '%t %T' /dev/net0"], annotations=annotations,
                        CDI_devices=ask("vendor.example/net=a"))
    assert lines == ["12", numbers("/dev/null")]


def test_which_file_counts(kubelet, refused, folder):
    write(folder / "cdi-low", "a.json", "v.example/d", {"x": {"env": ["FROM=low"]}, "y": {"env": ["FROM=low"]}})
    write(folder / "cdi-high", "b.json", "v.example/d", {"x": {"env": ["FROM=high"]}})
    (folder / "cdi-high" / "broken.yaml").write_text("cdiVersion: [\n")
    (folder / "cdi-high" / "ignored.txt").write_text("no")
    os.mkfifo(folder / "cdi-high" / "fifo.json")
    pod = kubelet.run_pod()

    def from_file(name):
        return kubelet.run(pod, ["sh", "-c", "echo $FROM"], CDI_devices=ask(name))
    assert from_file("v.example/d=x") == ["high"]
    assert from_file("v.example/d=y") == ["low"]
    with refused("NOT_FOUND", "broken.yaml"):  # it might have been there
        from_file("v.example/d=z")
    with refused("INVALID_ARGUMENT", "VENDOR/CLASS=DEVICE"):
        from_file("nonsense")
    write(folder / "cdi-high", "c.json", "v.example/d", {"x": {"env": ["FROM=other"]}})
    with refused("ALREADY_EXISTS", "two files"):
        from_file("v.example/d=x")
    assert from_file("v.example/d=y") == ["low"]


def test_a_container_keeps_what_its_devices_were(node, kubelet, folder):
    write(folder / "cdi-low", "v.json", "v.example/d", {"x": {"env": ["V=first"]}})
    pod = kubelet.run_pod()
    container = kubelet.create(pod, ["sh", "-c", "echo $V; sleep 1000"], CDI_devices=ask("v.example/d=x"))
    write(folder / "cdi-low", "v.json", "v.example/d", {"x": {"env": ["V=second"]}})
    node.kill()
    node.start()
    kubelet.client.close()
    kubelet.client = cri_module.connect(str(ROOT), node.cri_socket)
    kubelet.StartContainer(container_id=container)
    wait_until(lambda: kubelet.output() == ["first"], "its first line")
    answer = kubelet.ExecSync(container_id=container, cmd=["sh", "-c", "echo $V"])
    assert base64.b64decode(answer["stdout"]) == b"first\n"


def test_resource_classes_are_a_clear_error_without_them(kubelet, folder):
    if os.path.exists("/sys/fs/resctrl/schemata"):
        pytest.skip("this machine has them")
    write(folder / "cdi-low", "v.json", "v.example/d", {"x": {"intelRdt": {"closID": "gold"}}})
    pod = kubelet.run_pod()
    container = kubelet.create(pod, ["true"], CDI_devices=ask("v.example/d=x"))
    with pytest.raises(Exception, match="(?i)intelRdt|resctrl"):
        kubelet.StartContainer(container_id=container)
