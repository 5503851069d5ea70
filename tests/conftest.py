"""Fixtures of all system tests (tests/README.md). Run as root, the whole run moves into a place of its own first."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE / "lib"), str(ROOT / "tools" / "lib"), str(ROOT / "tools" / "check")]

import cni  # noqa: E402
import images  # noqa: E402
import leaks  # noqa: E402
import local_registry  # noqa: E402
import node as node_module  # noqa: E402
import podman as podman_module  # noqa: E402
import sandbox  # noqa: E402
import stage as stage_module  # noqa: E402

IS_ROOT = os.geteuid() == 0
# Every global name of this run (cgroups, nodes, containers) starts with this.
TAG = f"axtest{os.getpid()}"
# What needs no node and no root, and leaves nothing behind.
PLAIN_FOLDERS = ("tools",)

# A run in the background of a script ignores Ctrl-C, and so would every program it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

if IS_ROOT and "AXLE_TEST_NO_SANDBOX" not in os.environ:
    sandbox.enter()


def is_plain(path):
    return path.relative_to(HERE).parts[0] in PLAIN_FOLDERS


def pytest_collection_modifyitems(config, items):
    if "AXLE_TEST_MACHINE" not in os.environ:
        elsewhere = [item for item in items if item.get_closest_marker("machine_only")]
        items[:] = [item for item in items if item not in elsewhere]
        config.hook.pytest_deselected(items=elsewhere)
    if IS_ROOT:
        return
    for item in items:
        if not is_plain(item.path):
            item.add_marker(pytest.mark.skip(reason="system tests need root"))


@pytest.fixture(scope="session")
def run_folder():
    """A folder for everything of this run, on a real disk, removed at the end."""
    folder = tempfile.mkdtemp(prefix=TAG + "-x", suffix="x", dir="/var/tmp")  # podman takes its path as a name: no "-_"
    yield pathlib.Path(folder)
    left = sandbox.mount_points(folder)
    if left:
        pytest.fail(f"still mounted below {folder}: {left}")  # never removed with a mount below it
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def folder(run_folder, request):
    """A folder of this test's own. (pytest's tmp_path is a link away from it: paths here are short.)"""
    path = tempfile.mkdtemp(prefix="t", dir=run_folder)
    yield pathlib.Path(path)
    if not sandbox.mount_points(path):
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=False)


@pytest.fixture(scope="session")
def stage():
    """The installed tree."""
    return stage_module.Stage(os.environ.get("AXLE_STAGE") or ROOT / os.environ.get("BUILD", "build") / "stage")


@pytest.fixture
def tag(request):
    """Starts every global name that a test makes up itself: container ids, cgroup paths, node names."""
    tag.count = getattr(tag, "count", 0) + 1
    return f"{TAG}x{tag.count}"


@pytest.fixture(autouse=True)
def leak_check(request):
    """Fails a test that leaves anything behind (tests/lib/leaks.py)."""
    if not IS_ROOT or is_plain(request.path):
        yield None
        return
    # The shared registry may be started by the test itself: bring it up before the first snapshot.
    if "registry" in request.fixturenames:
        request.getfixturevalue("registry")
    check = leaks.LeakCheck(TAG)
    yield check
    left = check.leaked()
    if left:
        pytest.fail("left behind:\n  " + "\n  ".join(left))


@pytest.fixture(scope="session")
def image_layout(run_folder):
    """The images of tests/lib/images.py as one OCI layout."""
    return images.make(run_folder / "images")


@pytest.fixture(scope="session")
def registry(run_folder, image_layout):
    """Debian's docker-registry with the images of tests/lib/images.py; registry.image("busybox:latest") names one."""
    server = local_registry.Registry(run_folder / "registry").start()
    try:
        images.push_all(image_layout, server)
        yield server
    finally:
        server.stop()


@pytest.fixture
def make_registry(leak_check, folder):
    """Starts further registries: make_registry(htpasswd=..., certificate=...). Empty; ended with the test."""
    made = []

    def make(**options):
        made.append(local_registry.Registry(folder / f"registry{len(made)}", **options).start())
        return made[-1]
    yield make
    for server in made:
        server.remove()


@pytest.fixture
def make_node(leak_check, stage, folder, tag):
    """Makes nodes: make_node(config="toml text"). Each is cleaned and checked at the end of the test."""
    made = []

    def make(config="", **options):
        number = len(made)
        made.append(node_module.Node(stage, folder / f"n{number}", f"{tag}n{number}", config, **options))
        return made[-1]
    yield make
    problems = []
    for one in made:
        problems += one.clean()
    # What clean() did not remove is the test's failure; it must not become that of the next one.
    sandbox_left = leaks.remaining_of(made)
    if problems or sandbox_left:
        pytest.fail("\n".join(problems + sandbox_left))


@pytest.fixture
def node(make_node):
    """One node, started by its first use."""
    return make_node()


@pytest.fixture
def networks(leak_check, folder):
    """A folder of network configurations: make_node(config=networks.config()). What pods leave in networks fails the test."""
    made = cni.Networks(folder / "cni")
    yield made
    left = made.clean()
    assert not left, left


@pytest.fixture
def cri(node):
    """A CRI client on the node's cri.sock."""
    import cri as cri_module
    node.start()
    client = cri_module.connect(str(ROOT), node.cri_socket)
    yield client
    client.close()


@pytest.fixture
def make_podman(leak_check, folder, tag):
    """Debian's podman with a runtime: make_podman("/usr/bin/runc")."""
    made = []

    def make(runtime):
        made.append(podman_module.Podman(folder / f"podman{len(made)}", runtime, tag))
        return made[-1]
    yield make
    for one in made:
        one.clean()


@pytest.fixture
def podman(make_podman, stage):
    """Debian's podman with axrun as its runtime."""
    return make_podman(stage.program("axrun"))
