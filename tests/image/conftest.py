"""Fixtures of the image library's system tests: a store, driven by the library's own test program."""
import os
import pathlib
import shutil
import subprocess

import pytest

from image_store import Store

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def store(stage, folder):
    path = folder / "store"
    path.mkdir(mode=0o700)
    return Store(stage, path)


@pytest.fixture(scope="session")
def shared_layers():
    """Layer fixtures of other projects, beside the repository or where AXLE_SHARED says."""
    path = pathlib.Path(os.environ.get("AXLE_SHARED") or ROOT.parent / "shared") / "fixtures" / "layers"
    if not path.is_dir():
        pytest.skip(f"no layer fixtures at {path} (AXLE_SHARED names the folder that has fixtures/)")
    return path


@pytest.fixture
def overlay(folder):
    """Mounts layers (lowest first) as overlayfs would be mounted for a container, and returns where."""
    mounted = []

    def mount(layers):
        number = len(mounted)
        target, upper, work = (folder / f"{name}{number}" for name in ("merged", "upper", "work"))
        for path in (target, upper, work):
            path.mkdir()
        lower = ":".join(str(path) for path in reversed(layers))
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}",
                        target], check=True)
        mounted.append(target)
        return target
    yield mount
    for target in mounted:
        subprocess.run(["umount", target], check=True)
    for path in folder.glob("work*"):
        shutil.rmtree(path, ignore_errors=True)
