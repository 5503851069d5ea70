"""Archives and layouts, as skopeo, podman and docker write them, and damaged ones."""
import gzip
import io
import json
import os
import signal
import subprocess
import tarfile
import time

import pytest

import oci_image
import tree_facts
from oci_image import Entry


@pytest.fixture
def copy(image_layout, folder):
    """skopeo's copy of an image of the shared layout: copy("layers", "docker-archive:PATH:name")."""
    def run(name, target, *options):
        subprocess.run(["skopeo", "copy", "-q", *options, f"oci:{image_layout.path}:{name}", target], check=True)
    return run


def archive_of(folder, path, members=None):
    """A tar of all in @folder, or of the (name, bytes) given."""
    with tarfile.open(path, "w") as tar:
        if members is None:
            tar.add(folder, arcname=".")
        for name, data in members or ():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def pulled(store, registry, folder):
    """The tree of the image "layers", pulled; what every way to load it must give."""
    store("pull", registry.image("layers:latest"))
    store("unpack", registry.image("layers:latest"), folder / "pulled")
    store("rm", registry.image("layers:latest"))
    assert store.is_empty()
    return tree_facts.tree(folder / "pulled" / "rootfs", times=True)


@pytest.mark.parametrize("how", ["oci", "oci-archive", "docker-archive", "docker-archive-gzip", "stream", "podman"])
def test_every_kind_of_archive_gives_the_same_tree(store, copy, folder, pulled, make_podman, how):
    path, name = folder / "archive", "localhost/loaded:1"
    if how == "oci":
        copy("layers", f"oci:{path}:{name}")
    elif how == "oci-archive":
        copy("layers", f"oci-archive:{path}:{name}")
    else:
        copy("layers", f"docker-archive:{path}:{name}")
    if how == "docker-archive-gzip":
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    if how == "podman":
        podman = make_podman("/usr/bin/runc")
        podman.run("load", "-q", "-i", str(path))
        path = folder / "saved"
        podman.run("save", "-q", "-o", str(path), name)
    if how == "stream":
        with open(path, "rb") as file:
            reader = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
            store("load", "-", stdin=reader.stdout)
            reader.wait()
    else:
        store("load", path)
    store("unpack", name, folder / "bundle")
    assert tree_facts.tree(folder / "bundle" / "rootfs", times=True) == pulled
    assert os.listdir(store.path / "ingest") == []


def test_the_id_is_that_of_the_registry(store, copy, registry, folder):
    identity = store("pull", registry.image("user:latest"))
    copy("user", f"oci-archive:{folder}/archive:localhost/user:1")
    assert store("load", folder / "archive") == identity
    assert store("list").count("manifest") == 1


def test_a_name_for_an_archive_without_one(store, copy, folder):
    copy("empty", f"oci-archive:{folder}/archive:latest")
    identity = store("load", folder / "archive")
    assert "  tag " not in store("list")
    store("--name", "mine:2", "load", folder / "archive")
    assert "tag docker.io/library/mine:2" in store("list")
    assert identity in store("rm", "mine:2")


def test_several_images_in_one_archive(store, copy, folder, image_layout):
    for name in ("busybox", "layers"):
        copy(name, f"oci:{folder}/two:localhost/{name}:1")
    store("load", folder / "two")
    assert store.layers("localhost/busybox:1")[0] == store.layers("localhost/layers:1")[0]


def test_an_index_with_other_platforms(store, copy, folder):
    copy("multi", f"oci:{folder}/multi:localhost/multi:1", "--all")
    store("load", folder / "multi")
    copy("foreign", f"oci:{folder}/foreign:localhost/foreign:1", "--all")
    assert store.fails("load", folder / "foreign").startswith("image.no-platform: ")


def test_loading_over_a_running_pull_and_again(store, copy, folder, registry):
    copy("layers", f"docker-archive:{folder}/archive:localhost/a:1")
    pull = subprocess.Popen(store.command("-q", "pull", registry.image("layers:latest")), stdout=subprocess.DEVNULL)
    first = store("load", folder / "archive")
    assert pull.wait(60) == 0
    assert store("load", folder / "archive") == first


def damage(path, name, change):
    target = path / name
    target.write_bytes(change(target.read_bytes()))


@pytest.mark.parametrize("change, reason", [
    (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "image.digest-mismatch"),
    (lambda data: data[:-1], "image.digest-mismatch"),
])
def test_damaged_blobs(store, copy, folder, change, reason):
    copy("busybox", f"oci:{folder}/layout:localhost/x:1")
    blobs = folder / "layout" / "blobs" / "sha256"
    biggest = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    damage(blobs, biggest.name, change)
    assert store.fails("load", folder / "layout").startswith(reason + ": ")
    assert store.is_empty()


def test_a_layer_that_is_not_its_diff_id(store, folder):
    layout = oci_image.Layout(folder / "layout")
    layout.add("localhost/x:1", [[Entry("file", b"x")]], {})
    blobs = folder / "layout" / "blobs" / "sha256"

    def rewrite(digest, change):
        import hashlib
        data = change((blobs / digest[7:]).read_bytes())
        new = "sha256:" + hashlib.sha256(data).hexdigest()
        (blobs / new[7:]).write_bytes(data)
        return {"digest": new, "size": len(data)}

    index = json.loads((folder / "layout" / "index.json").read_text())
    manifest_entry = index["manifests"][0]

    def other_config(data):
        config = json.loads(data)
        config["rootfs"]["diff_ids"] = ["sha256:" + "0" * 64]
        return json.dumps(config).encode()

    def other_manifest(data):
        manifest = json.loads(data)
        manifest["config"].update(rewrite(manifest["config"]["digest"], other_config))
        return json.dumps(manifest).encode()

    manifest_entry.update(rewrite(manifest_entry["digest"], other_manifest))
    (folder / "layout" / "index.json").write_text(json.dumps(index))
    message = store.fails("load", folder / "layout")
    assert message.startswith("image.digest-mismatch: ") and "(decompressed)" in message
    assert store.is_empty()


@pytest.mark.parametrize("members, reason", [
    ([], "image.malformed"),
    ([("readme", b"hello")], "image.malformed"),
    ([("manifest.json", b"[]")], "image.malformed"),
    ([("manifest.json", b"{")], "image.malformed"),
    ([("manifest.json", b'[{"Config":"c","Layers":[]}]')], "image.malformed"),
    ([("manifest.json", b'[{"Config":"../../../../etc/passwd","Layers":[]}]')], "image.malformed"),
    ([("manifest.json", b'[{"Config":"c","Layers":["x"]}]'), ("c", b"{}")], "image.malformed"),
    ([("index.json", b'{"schemaVersion":2,"manifests":[]}')], "image.malformed"),
    ([("index.json", b'{"schemaVersion":2,"manifests":[{"digest":"sha256:' + b"0" * 64 + b'","size":3}]}')],
     "image.malformed"),
])
def test_archives_that_are_none(store, folder, members, reason):
    path = archive_of(None, folder / "archive", members)
    assert store.fails("load", path).startswith(reason + ": ")
    assert store.is_empty()


def test_a_file_that_is_no_archive(store, folder):
    (folder / "text").write_bytes(b"this is no archive" * 100)
    assert store.fails("load", folder / "text").startswith("image.malformed: ")
    (folder / "empty").write_bytes(b"")
    assert store.fails("load", folder / "empty").startswith("image.malformed: ")


def test_a_layout_with_links_leads_nowhere(store, copy, folder):
    copy("empty", f"oci:{folder}/layout:localhost/x:1")
    (folder / "secret").write_text("secret")
    blob = next((folder / "layout" / "blobs" / "sha256").iterdir())
    blob.unlink()
    blob.symlink_to("../../../secret")
    assert store.fails("load", folder / "layout").startswith(("store.io: ", "image.malformed: "))
    assert store.is_empty()


def test_cut_archive(store, copy, folder):
    copy("busybox", f"docker-archive:{folder}/archive:localhost/x:1")
    data = (folder / "archive").read_bytes()
    (folder / "archive").write_bytes(data[:len(data) // 2])
    assert store.fails("load", folder / "archive").startswith("image.malformed: ")
    assert store.is_empty()


def test_devices_owners_attributes_and_times(store, folder, overlay):
    layout = oci_image.Layout(folder / "layout")
    layout.add("localhost/x:1", [[
        Entry("dev", mode=0o750, uid=3, gid=4),
        Entry("dev/null", kind=tarfile.CHRTYPE, device=(1, 3), mode=0o666),
        Entry("dev/disk", kind=tarfile.BLKTYPE, device=(7, 300), mode=0o660, gid=6),
        Entry("dev/fifo", kind=tarfile.FIFOTYPE, mode=0o622, uid=5),
        Entry("bin/su", b"#!", mode=0o4755),
        Entry("bin/sg", b"#!", mode=0o2711, gid=8),
        Entry("bin/ping", b"x" * 10, pax={"SCHILY.xattr.security.capability":
                                          b"\1\0\0\2\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0".decode("latin-1"),
                                          "SCHILY.xattr.user.note": "hello", "SCHILY.xattr.trusted.overlay.opaque": "y",
                                          "mtime": "1700000000.123456789"}),
        Entry("link", target="bin/ping", uid=9, gid=9),
        Entry("secret", b"", mode=0o000),
        Entry("tmp", mode=0o1777),
    ]], {"Cmd": ["x"]})
    store("load", folder / "layout")
    store("unpack", "localhost/x:1", folder / "bundle")
    facts = tree_facts.tree(folder / "bundle" / "rootfs", times=True)
    assert facts["dev"][:4] == ("d", "750", 3, 4)
    assert facts["dev/null"][:4] == ("c", "666", 0, 0) and facts["dev/null"][8] == os.makedev(1, 3)
    assert facts["dev/disk"][:4] == ("b", "660", 0, 6) and facts["dev/disk"][8] == os.makedev(7, 300)
    assert facts["dev/fifo"][:4] == ("p", "622", 5, 0)
    assert facts["bin/su"][1] == "4755" and facts["bin/sg"][1:4] == ("2711", 0, 8)
    assert [name for name, _ in facts["bin/ping"][9]] == ["security.capability", "user.note"]
    assert facts["bin/ping"][10] == 1700000000123456789
    assert facts["link"][2:4] == (9, 9)
    assert facts["secret"][1] == "0" and facts["tmp"][1] == "1777"
    assert tree_facts.tree(overlay(store.layers("localhost/x:1")), times=True) == facts


def test_links_across_layers_in_any_order(store, folder, overlay):
    layout = oci_image.Layout(folder / "layout")
    link = {"kind": tarfile.LNKTYPE}
    layout.add("localhost/x:1", [
        [Entry("low", b"low"), Entry("other", b"other"), Entry("gone", b"gone"), Entry("dir"), Entry("dir/a", b"a")],
        [Entry("early", target="late", **link), Entry("late", b"late"),   # the link comes before its file
         Entry("hard", target="low", **link),                            # to a lower layer's file
         Entry(".wh.gone", b""), Entry("saved", target="gone", **link),  # to what this layer removes
         Entry(".wh.dir", b""), Entry("dir"), Entry("dir/b", b"b")],
        [Entry("dir"), Entry("dir/.wh.b", b""), Entry("third", target="hard", **link),
         Entry("other"), Entry("other/now", b"folder"), Entry(".wh.other", b"")],  # a whiteout after its folder
    ], {"Cmd": ["x"]})
    store("load", folder / "layout")
    store("unpack", "localhost/x:1", folder / "bundle")
    for root in (folder / "bundle" / "rootfs", overlay(store.layers("localhost/x:1"))):
        assert sorted(os.listdir(root)) == ["dir", "early", "hard", "late", "low", "other", "saved", "third"]
        assert os.listdir(root / "dir") == [] and os.listdir(root / "other") == ["now"]
        assert (root / "saved").read_text() == "gone"
        assert (root / "early").read_text() == "late"
        assert (root / "early").stat().st_ino == (root / "late").stat().st_ino
        assert (root / "third").stat().st_ino == (root / "hard").stat().st_ino
        assert (root / "third").read_text() == "low" == (root / "low").read_text()


def test_a_path_through_a_link_of_a_lower_layer(store, folder, overlay):
    layout = oci_image.Layout(folder / "layout")
    layout.add("localhost/x:1", [
        [Entry("usr"), Entry("usr/bin"), Entry("bin", target="usr/bin"), Entry("out", target="../../../../../../../..")],
        [Entry("bin/tool", b"tool"), Entry("out/../usr/bin/second", b"2"), Entry("out/escaped", b"inside")],
    ], {"Cmd": ["x"]})
    store("load", folder / "layout")
    for root in (overlay(store.layers("localhost/x:1")),):
        assert sorted(os.listdir(root / "usr" / "bin")) == ["second", "tool"]
        assert (root / "escaped").read_text() == "inside" and os.path.islink(root / "bin")


def test_kill_while_owners_are_applied(store, folder):
    """However far the privileged half came: what the store shows is whole or not there."""
    layout = oci_image.Layout(folder / "layout")
    layout.add("localhost/x:1", [[Entry(f"d{i % 50}/f{i}", b"%d" % i, uid=i) for i in range(4000)]], {"Cmd": ["x"]})
    killed = 0
    for delay in (0.02, 0.06, 0.1, 0.14, 0.18, 0.22, 0.26, 0.3):
        job = subprocess.Popen(store.command("load", folder / "layout"), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        time.sleep(delay)
        children = subprocess.run(["pgrep", "-P", str(job.pid)], capture_output=True, text=True, check=False).stdout.split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        killed += job.wait(30) != 0
        listed = store("list")
        store("collect")
        if not listed:
            assert store.is_empty()
        else:
            store("unpack", "localhost/x:1", folder / "whole")
            assert len(tree_facts.tree(folder / "whole" / "rootfs")) == 4050
            subprocess.run(["rm", "-rf", folder / "whole"], check=True)
            store("rm", "localhost/x:1")
    assert killed
    assert store("load", folder / "layout")


def test_unpack_refuses_a_folder_that_is_not_empty(store, copy, folder):
    copy("busybox", f"oci:{folder}/layout:localhost/x:1")
    store("load", folder / "layout")
    (folder / "bundle").mkdir()
    store("unpack", "localhost/x:1", folder / "bundle")
    before = tree_facts.tree(folder / "bundle")
    assert "expected an empty" in store.fails("unpack", "localhost/x:1", folder / "bundle")
    assert tree_facts.tree(folder / "bundle") == before
