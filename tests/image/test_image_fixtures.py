"""Layers that none of us wrote (../shared/fixtures): containerd's cases with its results, and archives that try to break out."""
import hashlib
import json
import os
import pathlib
import re

import pytest

import oci_image
import tree_facts

SHARED = pathlib.Path(os.environ.get("AXLE_SHARED") or pathlib.Path(__file__).parents[3] / "shared") / "fixtures" / "layers"


def cases(folder, pattern):
    return sorted(path.name for path in (SHARED / folder).glob(pattern)) or ["absent"]


def raw_layout(path, layers):
    """An OCI layout of one image whose layers are the given tar files, byte by byte."""
    blobs = path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(data):
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": "sha256:" + digest, "size": len(data)}

    config = {"os": "linux", "architecture": oci_image.architecture(), "config": {"Cmd": ["x"]},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(data).hexdigest() for data in layers]}}
    manifest = {"schemaVersion": 2, "mediaType": oci_image.MEDIA + "manifest.v1+json",
                "config": dict(add(json.dumps(config).encode()), mediaType=oci_image.MEDIA + "config.v1+json"),
                "layers": [dict(add(data), mediaType=oci_image.MEDIA + "layer.v1.tar") for data in layers]}
    entry = dict(add(json.dumps(manifest).encode()), mediaType=manifest["mediaType"],
                 annotations={"org.opencontainers.image.ref.name": "localhost/case:1"})
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    (path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    return path


def expected_tree(text):
    """2-after.txt: find's lines, the digests of files, xattrs."""
    found, digests = {}, {}
    for line in text.splitlines():
        match = re.fullmatch(r"([dflcbps]) (\d+) (\d+):(\d+) (\d+) (\d+) (.*) -> (.*)", line)
        if match and match[7]:
            found[match[7]] = [match[1], match[2], int(match[3]), int(match[4]), int(match[5]) if match[1] == "f" else 0,
                               int(match[6]) if match[1] == "f" else 0, match[8]]
        match = re.fullmatch(r"([0-9a-f]{64})  \./(.*)", line)
        if match:
            digests[match[2]] = match[1]
    return {path: tuple(facts + [digests.get(path, "")]) for path, facts in found.items()}


# Where the result differs from containerd's, and why ours is right.
DIFFERENT = {
    # A whiteout in a directory that does not exist takes nothing away; containerd makes the directory.
    "TestBreakouts_WhiteoutDeadSymlinkParent.01": {"dne"},
}
# Made with an option that leaves owners out.
WITHOUT_OWNERS = {"TestPrefixHeaderReadable.01"}


def without(facts, *indexes):
    return {path: tuple(fact for i, fact in enumerate(one) if i not in indexes) for path, one in facts.items()}


@pytest.mark.parametrize("case", cases("containerd", "Test*"))
def test_containerd_case(store, folder, overlay, shared_layers, case):
    path = shared_layers / "containerd" / case
    result = (path / "result.txt").read_text()
    tars = [path / "0-before.tar", path / "1-layer.tar"]
    if "overlay-upper" in result:  # one of a chain: its lower layers are those of the cases before it
        tars = [shared_layers / "containerd" / f"{case[:-2]}{i + 1:02}" / "1-layer.tar" for i in range(int(case[-2:]))]
    layout = raw_layout(folder / "layout", [tar.read_bytes() for tar in tars])
    if not result.startswith("ok"):
        assert store.fails("load", layout).startswith("image.layer-malformed: "), result
        assert store.is_empty()
        return
    store("load", layout)
    store("unpack", "localhost/case:1", folder / "bundle")
    flat = tree_facts.tree(folder / "bundle" / "rootfs", times=True)
    layer = store.layers("localhost/case:1")[-1]
    found = tree_facts.tree(layer) if "overlay-upper" in result else flat
    found = {path: facts[:8] for path, facts in found.items()}
    expected = expected_tree((path / "2-after.txt").read_text())
    for name in DIFFERENT.get(case, ()):
        expected.pop(name)
    if case in WITHOUT_OWNERS:
        found, expected = without(found, 2, 3), without(expected, 2, 3)
    assert found == expected
    # Both sinks agree: what a container would see through overlayfs, which counts links its own way.
    merged = tree_facts.tree(overlay(store.layers("localhost/case:1")), times=True)
    assert without(merged, 4) == without(flat, 4)


@pytest.mark.parametrize("name", cases("containers-storage", "*.tar"))
def test_breakout_stays_inside(store, folder, shared_layers, name):
    victim = folder / "victim"
    victim.mkdir()
    (victim / "hello").write_text("hello")
    before = tree_facts.tree(victim)
    layout = raw_layout(folder / "layout", [(shared_layers / "containers-storage" / name).read_bytes()])
    done = store.run("load", layout)
    if done.returncode == 0:
        store("unpack", "localhost/case:1", folder / "bundle")
    else:
        assert "image.layer-malformed" in done.stderr
    assert tree_facts.tree(victim) == before
    names = {"layout", "store", "victim", "bundle"}
    assert set(os.listdir(folder)) <= names


# Archives of Go's own tests that no layer may be made of, and the reason given.
REFUSED = {
    "gnu-nil-sparse-data.tar": "image.unsupported", "gnu-nil-sparse-hole.tar": "image.unsupported",
    "pax-nil-sparse-data.tar": "image.unsupported", "pax-nil-sparse-hole.tar": "image.unsupported",
    "sparse-formats.tar": "image.unsupported", "gnu-incremental.tar": "image.unsupported",
    "pax-bad-hdr-file.tar": "image.layer-malformed", "pax-bad-mtime-file.tar": "image.layer-malformed",
    "pax-nul-path.tar": "image.layer-malformed", "issue10968.tar": "image.layer-malformed",
    "issue11169.tar": "image.layer-malformed", "issue12435.tar": "image.layer-malformed",
    "pax-nul-xattrs.tar": "image.layer-malformed", "pax-path-hdr.tar": "image.layer-malformed",
    "writer-big.tar": "image.layer-malformed",
}


@pytest.mark.parametrize("name", cases("go-archive-tar", "*.tar"))
def test_go_archive(store, folder, shared_layers, name):
    layout = raw_layout(folder / "layout", [(shared_layers / "go-archive-tar" / name).read_bytes()])
    done = store.run("load", layout)
    reason = REFUSED.get(name)
    if reason:
        assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith(reason + ": "), done.stderr
        assert store.is_empty()
        return
    assert done.returncode == 0, done.stderr
    store("unpack", "localhost/case:1", folder / "bundle")
