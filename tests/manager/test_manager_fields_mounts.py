"""Mounts of a container's configuration: every member of CRI's Mount, on real mounts."""
import base64
import json
import os
import subprocess

import pytest

from conftest import ROOT, SLEEP, wait_until

import cri as cri_module

PRIVATE, SLAVE, SHARED = "PROPAGATION_PRIVATE", "PROPAGATION_HOST_TO_CONTAINER", "PROPAGATION_BIDIRECTIONAL"


class Bound:
    """A folder of the host that is a mount point of its own, as kubelets make them."""

    def __init__(self, folder, shared):
        self.path = folder / "volume"
        self.path.mkdir()
        subprocess.run(["mount", "--bind", self.path, self.path], check=True)
        subprocess.run(["mount", "--make-shared" if shared else "--make-private", self.path], check=True)

    def mount_below(self, name):
        (self.path / name).mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", self.path / name], check=True)
        (self.path / name / "flag").write_text("x")

    def remove(self):
        subprocess.run(["umount", "-l", "-R", self.path], check=True)


@pytest.fixture
def bound(folder):
    made = []

    def make(shared=True):
        made.append(Bound(folder, shared))
        return made[-1]
    yield make
    for one in made:
        one.remove()


def execute(kubelet, container, *command):
    answer = kubelet.ExecSync(container_id=container, cmd=list(command))
    return base64.b64decode(answer.get("stdout", "")).decode().split()


@pytest.mark.parametrize("propagation, comes_in, goes_out", [(PRIVATE, False, False), (SLAVE, True, False), (SHARED, True, True)])
def test_propagation(kubelet, bound, propagation, comes_in, goes_out):
    volume = bound()
    (volume.path / "made").mkdir()
    pod = kubelet.run_pod()
    container = kubelet.start(pod, security={"privileged": True},
                              mounts=[{"container_path": "/v", "host_path": str(volume.path), "propagation": propagation}])
    volume.mount_below("later")
    assert execute(kubelet, container, "ls", "/v/later") == (["flag"] if comes_in else [])
    execute(kubelet, container, "mount", "-t", "tmpfs", "none", "/v/made")
    execute(kubelet, container, "touch", "/v/made/flag")
    assert os.listdir(volume.path / "made") == (["flag"] if goes_out else [])
    assert kubelet.status(container)["mounts"][0].get("propagation", PRIVATE) == propagation


@pytest.mark.machine
def test_read_only_and_recursively_so(kubelet, bound):
    volume = bound()
    volume.mount_below("below")
    pod = kubelet.run_pod()
    try_both = "touch /v/a 2>/dev/null && echo top; touch /v/below/b 2>/dev/null && echo below; echo end"

    def writable(**fields):
        return kubelet.run(pod, ["sh", "-c", try_both], mounts=[{"container_path": "/v", "host_path": str(volume.path), **fields}])
    assert writable() == ["top", "below", "end"]
    assert writable(readonly=True) == ["below", "end"]
    assert writable(readonly=True, recursive_read_only=True) == ["end"]


@pytest.mark.parametrize("fields, words", [
    ({"recursive_read_only": True}, "needs readonly"),
    ({"recursive_read_only": True, "readonly": True, "propagation": SLAVE}, "private propagation"),
    ({"recursive_read_only": True, "readonly": True, "propagation": SHARED}, "private propagation"),
    ({"host_path": "relative"}, "absolute host path"),
    ({"host_path": ""}, "absolute host path"),
    ({"container_path": "relative"}, "absolute path in the container"),
    ({"mount_options": ["suid"]}, "noexec, nodev and nosuid"),
    ({"image_sub_path": "data"}, "needs an image"),
    ({"uidMappings": [{"host_id": 1, "container_id": 0, "length": 1}]}, "of both user and group ids"),
])
def test_what_cannot_be_is_refused_with_its_path(kubelet, folder, refused, fields, words):
    pod = kubelet.run_pod()
    with refused("INVALID_ARGUMENT", words):
        kubelet.create(pod, mounts=[{"container_path": "/v", "host_path": str(folder), **fields}])


def test_more_options(kubelet, folder):
    pod = kubelet.run_pod()
    lines = kubelet.run(pod, ["grep", " /v ", "/proc/mounts"],
                        mounts=[{"container_path": "/v", "host_path": str(folder), "mount_options": ["noexec", "nodev", "nosuid"]}])
    assert {"noexec", "nodev", "nosuid", "rw"} <= set(lines[0].split()[3].split(","))


def test_a_missing_host_path_becomes_a_directory_and_links_are_resolved_at_once(kubelet, folder):
    (folder / "real").mkdir()
    (folder / "other").mkdir()
    (folder / "real" / "file").write_text("real\n")
    (folder / "link").symlink_to(folder / "real")
    pod = kubelet.run_pod()
    mounts = [{"container_path": "/made", "host_path": str(folder / "not" / "there")},
              {"container_path": "/v", "host_path": str(folder / "link")}]
    assert kubelet.run(pod, ["sh", "-c", "ls -d /made; cat /v/file"], mounts=mounts) == ["/made", "real"]
    assert (folder / "not" / "there").is_dir()
    (folder / "file").write_text("")
    with pytest.raises(Exception, match="(?i)not a directory"):
        kubelet.create(pod, mounts=[{"container_path": "/v", "host_path": str(folder / "file" / "below")}])


def test_owners_of_a_volume_are_mapped(kubelet, folder):
    volume = folder / "mapped"
    volume.mkdir()
    (volume / "file").write_text("x")
    os.chown(volume / "file", 1000, 2000)
    maps = {"uidMappings": [{"host_id": 101000, "container_id": 1000, "length": 10}],
            "gidMappings": [{"host_id": 102000, "container_id": 2000, "length": 10}]}
    pod = kubelet.run_pod()
    lines = kubelet.run(pod, ["stat", "-c", "%u %g", "/v/file"],
                        mounts=[{"container_path": "/v", "host_path": str(volume), **maps}])
    assert lines == ["101000 102000"]


def test_a_label_is_asked_for_where_there_is_no_selinux(kubelet, folder):
    (folder / "file").write_text("x")
    pod = kubelet.run_pod()
    mount = {"container_path": "/v", "host_path": str(folder), "selinux_relabel": True}
    container = kubelet.start(pod, mounts=[mount], security={"selinux_options": {"level": "s0:c1,c2"}})
    assert kubelet.status(container)["mounts"] == [mount]
    if not os.path.exists("/sys/fs/selinux"):
        assert "security.selinux" not in os.listxattr(folder / "file")


# Images as volumes.

@pytest.fixture
def volume_image(kubelet, registry):
    image = registry.image("volume:latest")
    kubelet.PullImage(image={"image": image})
    return image


def of_image(image, **fields):
    return [{"container_path": "/v", "image": {"image": image}, "readonly": True, **fields}]


@pytest.mark.machine  # an older kernel takes all layers in one option
def test_an_image_is_mounted_read_only(kubelet, registry, volume_image):
    pod = kubelet.run_pod()
    script = "cat /v/data/file; touch /v/x 2>/dev/null || echo refused; grep ' /v ' /proc/mounts"
    lines = kubelet.run(pod, ["sh", "-c", script], mounts=of_image(volume_image))
    assert lines[:2] == ["inside", "refused"]
    options = set(lines[2].split()[3].split(","))
    assert {"ro", "nosuid", "nodev"} <= options and "noexec" not in options
    # more than one layer, merged as for a container
    kubelet.PullImage(image={"image": registry.image("layers:latest")})
    script = "ls /v/data; echo -; ls /v/again; echo -; cat /v/data/kept; echo; touch /v/x 2>/dev/null || echo refused"
    lines = kubelet.run(pod, ["sh", "-c", script], mounts=of_image(registry.image("layers:latest")))
    assert lines == ["changed", "hard", "kept", "-", "new", "-", "kept", "refused"]


@pytest.mark.parametrize("path, command, lines", [
    ("data", ["ls", "/v"], ["deep", "file"]),
    ("/data/deep/", ["cat", "/v/file"], ["deep"]),
    ("inner", ["cat", "/v/file"], ["inside"]),
    pytest.param("data/file", ["cat", "/v"], ["inside"], marks=pytest.mark.machine),
    ("absolute", ["cat", "/v/passwd"], ["the image's own"]),
    ("up", ["cat", "/v/passwd"], ["the image's own"]),
    ("../../etc", ["cat", "/v/passwd"], ["the image's own"]),
])
def test_a_part_of_an_image(kubelet, volume_image, path, command, lines):
    pod = kubelet.run_pod()
    assert kubelet.run(pod, command, mounts=of_image(volume_image, image_sub_path=path)) == lines


def test_an_image_belongs_to_the_root_of_a_pod_with_ids_of_its_own(kubelet, volume_image):
    maps = [{"host_id": 1000000, "container_id": 0, "length": 65536}]
    options = {"namespace_options": {"pid": "CONTAINER", "userns_options": {"mode": "POD", "uids": maps, "gids": maps}}}
    pod = kubelet.run_pod(linux={"security_context": options})
    for path, file in (("", "/v/data/file"), ("data", "/v/file"), ("data/file", "/v")):
        lines = kubelet.run(pod, ["sh", "-c", f"stat -c '%u %g' {file}; cat {file}"], security=options,
                            mounts=of_image(volume_image, image_sub_path=path))
        assert lines == ["0 0", "inside"]


def test_an_image_that_cannot_be_mounted_is_named(kubelet, refused, volume_image, folder):
    pod = kubelet.run_pod()
    with refused("NOT_FOUND", "no/such"):
        kubelet.create(pod, mounts=of_image("localhost:1/no/such:image"))
    with refused("NOT_FOUND", "not/there"):
        kubelet.create(pod, mounts=of_image(volume_image, image_sub_path="not/there"))
    with refused("INVALID_ARGUMENT", "expected readonly"):
        kubelet.create(pod, mounts=of_image(volume_image, readonly=False))
    with refused("INVALID_ARGUMENT", "not both"):
        kubelet.create(pod, mounts=of_image(volume_image, host_path=str(folder)))
    with refused("INVALID_ARGUMENT", "private propagation"):
        kubelet.create(pod, mounts=of_image(volume_image, propagation=SLAVE))
    assert "containers" not in kubelet.ListContainers()


def test_a_mounted_image_stays_until_the_container_goes(node, kubelet, refused, volume_image):
    pod = kubelet.run_pod()
    container = kubelet.start(pod, mounts=of_image(volume_image, image_sub_path="data"))
    image_id = kubelet.ImageStatus(image={"image": volume_image})["image"]["id"]
    with refused("FAILED_PRECONDITION", ""):
        kubelet.RemoveImage(image={"image": volume_image})
    node.kill()
    node.start()
    kubelet.client.close()
    kubelet.client = cri_module.connect(ROOT, node.cri_socket)
    with refused("FAILED_PRECONDITION", ""):
        kubelet.RemoveImage(image={"image": volume_image})
    assert execute(kubelet, container, "cat", "/v/file") == ["inside"]
    assert kubelet.status(container)["mounts"][0]["image"] == {"image": volume_image, "image_ref": image_id}
    kubelet.RemovePodSandbox(pod_sandbox_id=pod)
    wait_until(lambda: not [row for row in open("/proc/self/mounts", encoding="utf-8") if "/volumes/" in row], "unmounted")
    kubelet.RemoveImage(image={"image": volume_image})


def test_a_half_made_container_leaves_no_mount(node, kubelet, volume_image):
    """As axled leaves it that was killed in the middle of CreateContainer."""
    pod = kubelet.run_pod()
    container = kubelet.create(pod, SLEEP, mounts=of_image(volume_image, image_sub_path="data"))
    assert [row for row in open("/proc/self/mounts", encoding="utf-8") if container in row]
    node.kill()
    path = f"{node.root}/containers/{container}.json"
    with open(path, encoding="utf-8") as file:
        record = json.load(file)
    record["phase"] = "creating"
    del record["volume_images"]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(record, file)
    node.start()
    kubelet.client.close()
    kubelet.client = cri_module.connect(ROOT, node.cri_socket)
    assert kubelet.ListContainers() == {}
    assert not [row for row in open("/proc/self/mounts", encoding="utf-8") if container in row]
    kubelet.RemoveImage(image={"image": volume_image})


@pytest.mark.parametrize("handler", ["crun", "runc"])
def test_images_and_recursive_read_only_with_other_runtimes(kubelet, refused, volume_image, handler, folder):
    pod = kubelet.run_pod(runtime_handler=handler)
    mounts = of_image(volume_image, image_sub_path="data")
    assert kubelet.run(pod, ["cat", "/v/file"], mounts=mounts) == ["inside"]
    handlers = {one.get("name", ""): one.get("features", {}) for one in kubelet.Status()["runtime_handlers"]}
    mounts = [{"container_path": "/r", "host_path": str(folder), "readonly": True, "recursive_read_only": True}]
    if handlers[handler].get("recursive_read_only_mounts"):
        assert kubelet.run(pod, ["sh", "-c", "touch /r/x 2>/dev/null || echo refused"], mounts=mounts) == ["refused"]
    else:  # as Debian's crun, which cannot say what it can do
        with refused("UNIMPLEMENTED", "no recursive read-only mounts"):
            kubelet.create(pod, mounts=mounts)
