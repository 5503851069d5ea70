"""The images that the shared registry holds."""
import tarfile

from oci_image import Entry, Layout, architecture, busybox_layer, opaque, whiteout

REPOSITORIES = {}


def image(name, config, *layers, **options):
    """Registers an image of the shared registry: NAME:latest."""
    REPOSITORIES[name] = (layers or (busybox_layer,), config, options)


def plain_layer(*entries):
    return lambda: list(entries)


# What most tests run.
image("busybox", {"Cmd": ["sh"]})
# ENTRYPOINT and CMD: what is appended, what is replaced.
image("entrypoint", {"Entrypoint": ["/bin/echo", "entry"], "Cmd": ["default"]})
# An account, a folder, an environment, labels, a stop signal.
image("user", {"User": "app", "WorkingDir": "/home/app", "Env": ["PATH=/bin", "GREETING=hello"], "Cmd": ["id", "-u"],
               "Labels": {"org.example.kind": "test"}, "StopSignal": "SIGUSR1"})
# Layers that take back what those below brought (image-spec, layer.md):
# - /data/gone is removed, /data/kept stays, /data/changed is replaced
# - /opaque loses what was in it, and gets one new file
# - /again is removed and made anew in one layer: nothing of the old one may come back
image("layers", {"Cmd": ["sh"]}, busybox_layer,
      plain_layer(Entry("data"), Entry("data/gone", b"gone"), Entry("data/kept", b"kept"), Entry("data/changed", b"old"),
                  Entry("opaque"), Entry("opaque/old", b"old"), Entry("again"), Entry("again/old", b"old")),
      plain_layer(whiteout("data/gone"), Entry("data/changed", b"new"), opaque("opaque"), Entry("opaque/new", b"new"),
                  whiteout("again"), Entry("again"), Entry("again/new", b"new"),
                  Entry("data/hard", target="data/kept", kind=tarfile.LNKTYPE)))
image("zstd", {"Cmd": ["echo", "zstd"]}, compression="zstd")
image("uncompressed", {"Cmd": ["echo", "uncompressed"]}, compression="none")
# Something to mount: links that stay in it, and links that would leave it.
image("volume", {}, plain_layer(
    Entry("data"), Entry("data/file", b"inside\n"), Entry("data/deep"), Entry("data/deep/file", b"deep\n"),
    Entry("etc"), Entry("etc/passwd", b"the image's own\n"), Entry("inner", target="/data", kind=tarfile.SYMTYPE),
    Entry("absolute", target="/etc", kind=tarfile.SYMTYPE), Entry("up", target="../../../../etc", kind=tarfile.SYMTYPE)))
# An account that is in groups beside its own.
image("groups", {"Cmd": ["sh"]}, busybox_layer,
      plain_layer(Entry("etc"), Entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\napp:x:1500:1500::/home/app:/bin/sh\n"),
                  Entry("etc/group", b"root:x:0:\napp:x:1500:\none:x:1600:app\ntwo:x:1700:other,app\nthree:x:1800:other\n")))
# No program at all.
image("empty", {"Cmd": ["/nothing"]}, plain_layer(Entry("file", b"text")))


def make(path):
    """Writes all images into one layout; the names in it are the repositories'."""
    layout = Layout(path)
    for name, (layers, config, options) in REPOSITORIES.items():
        layout.add(name, [layer() for layer in layers], config, **options)
    # An index: two platforms, only one of which runs here.
    here = layout.manifest([busybox_layer()], {"Cmd": ["echo", "here"]})
    other = layout.manifest([[Entry("foreign", b"")]], {"Cmd": ["/foreign"]}, arch="s390x")
    layout.tag("multi", layout.index({"s390x": other, architecture(): here}))
    layout.tag("foreign", layout.index({"s390x": other}))
    return layout


def push_all(layout, registry):
    for name in REPOSITORIES:
        layout.push(name, registry.image(f"{name}:latest"))
    layout.push("multi", registry.image("multi:latest"), "--all")
    layout.push("foreign", registry.image("foreign:latest"), "--all")
    layout.push("busybox", registry.image("docker-schema2:latest"), "--format", "v2s2")
