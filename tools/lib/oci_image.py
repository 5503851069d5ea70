"""Makes OCI images out of nothing but Python and Debian's busybox-static: for `make run` and the system tests.

    layout = Layout(path)
    layout.add("latest", [busybox_layer()], {"Cmd": ["sh"]})

An image is a list of layers; a layer is a list of Entry, written in the order given, so that a test says exactly what is in
the tar. skopeo copies the result to a registry (push())."""
import dataclasses
import functools
import gzip
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile

MEDIA = "application/vnd.oci.image."
BUSYBOX = "/bin/busybox"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = "2026-01-01T00:00:00Z"


def architecture():
    return ARCHITECTURES.get(platform.machine(), platform.machine())


@dataclasses.dataclass
class Entry:
    """One member of a layer: a file where there is @data, a link where there is @target, else a folder (or @kind)."""
    name: str
    data: bytes = None
    mode: int = None
    target: str = None
    kind: bytes = None
    uid: int = 0
    gid: int = 0
    device: tuple = (0, 0)
    pax: dict = None


def whiteout(path):
    """Removes @path of the layers below (image-spec, layer.md, "Whiteouts")."""
    folder, name = os.path.split(path)
    return Entry(os.path.join(folder, ".wh." + name), b"")


def opaque(folder):
    """Hides what the layers below have in @folder."""
    return Entry(os.path.join(folder, ".wh..wh..opq"), b"")


def add_entry(tar, entry):
    info = tarfile.TarInfo(entry.name)
    info.uid, info.gid, info.mtime = entry.uid, entry.gid, 1767225600
    data = entry.data
    if entry.kind is not None:
        info.type = entry.kind
    elif data is not None:
        info.type = tarfile.REGTYPE
    elif entry.target is not None:
        info.type = tarfile.SYMTYPE
    else:
        info.type = tarfile.DIRTYPE
    if entry.target is not None:
        info.linkname = entry.target
    defaults = {tarfile.DIRTYPE: 0o755, tarfile.SYMTYPE: 0o777}
    info.mode = entry.mode if entry.mode is not None else defaults.get(info.type, 0o644)
    info.devmajor, info.devminor = entry.device
    info.pax_headers = entry.pax or {}
    info.size = len(data) if data and info.type == tarfile.REGTYPE else 0
    tar.addfile(info, io.BytesIO(data) if info.size else None)


def layer_tar(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            add_entry(tar, entry)
    return out.getvalue()


def compress(data, how):
    if how == "gzip":
        return gzip.compress(data, compresslevel=1, mtime=0)
    if how == "zstd":
        return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout
    return data


@functools.lru_cache(maxsize=1)
def busybox_layer():
    """A root file system around busybox: its applets as links, accounts, and the folders that programs expect."""
    with open(BUSYBOX, "rb") as file:
        program = file.read()
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    folders = ["bin", "dev", "etc", "home", "home/app", "proc", "root", "run", "sys", "tmp", "usr", "usr/bin", "var"]
    entries = [Entry(folder, mode=0o1777 if folder == "tmp" else 0o755) for folder in folders]
    entries.append(Entry("bin/busybox", program, mode=0o755))
    entries += [Entry("bin/" + applet, target="busybox") for applet in applets if applet != "busybox"]
    entries += [
        Entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home/app:/bin/sh\n"
                            b"nobody:x:65534:65534:nobody:/:/bin/false\n"),
        Entry("etc/group", b"root:x:0:\napp:x:1000:\nstaff:x:50:app\nnogroup:x:65534:\n"),
    ]
    return tuple(entries)


class Layout:
    """An OCI image layout in a folder (image-spec, image-layout.md)."""

    def __init__(self, path):
        self.path = str(path)
        self.manifests = []
        os.makedirs(os.path.join(self.path, "blobs", "sha256"), exist_ok=True)
        self._write("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())

    def _write(self, name, data):
        with open(os.path.join(self.path, name), "wb") as file:
            file.write(data)

    def blob(self, data, media_type):
        digest = hashlib.sha256(data).hexdigest()
        self._write(os.path.join("blobs", "sha256", digest), data)
        return {"mediaType": media_type, "digest": "sha256:" + digest, "size": len(data)}

    def json_blob(self, value, media_type):
        return self.blob(json.dumps(value).encode(), media_type)

    def manifest(self, layers, config, compression="gzip", arch=None, annotations=None):
        """Writes an image's blobs; returns the descriptor of its manifest."""
        suffix = {"gzip": "+gzip", "zstd": "+zstd"}.get(compression, "")
        tars = [layer if isinstance(layer, bytes) else layer_tar(layer) for layer in layers]
        descriptors = [self.blob(compress(tar, compression), MEDIA + "layer.v1.tar" + suffix) for tar in tars]
        image = {
            "architecture": arch or architecture(), "os": "linux", "created": EPOCH,
            "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], **config},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in tars]},
        }
        manifest = {"schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json",
                    "config": self.json_blob(image, MEDIA + "config.v1+json"), "layers": descriptors}
        if annotations:
            manifest["annotations"] = annotations
        return self.json_blob(manifest, MEDIA + "manifest.v1+json")

    def index(self, by_architecture):
        """An index of manifests, one for each architecture; returns its descriptor."""
        rows = [{**descriptor, "platform": {"architecture": arch, "os": "linux"}}
                for arch, descriptor in by_architecture.items()]
        return self.json_blob({"schemaVersion": 2, "mediaType": MEDIA + "index.v1+json", "manifests": rows},
                              MEDIA + "index.v1+json")

    def tag(self, name, descriptor):
        self.manifests.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}})
        self._write("index.json", json.dumps({"schemaVersion": 2, "manifests": self.manifests}).encode())

    def add(self, name, layers, config, **options):
        self.tag(name, self.manifest(layers, config, **options))

    def push(self, name, reference, *options):
        """Copies the image @name to a registry without TLS, as skopeo does it."""
        subprocess.run(["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", *options,
                        f"oci:{self.path}:{name}", "docker://" + reference], check=True, capture_output=True, text=True)
