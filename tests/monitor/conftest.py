"""Fixtures of axmon's tests: each container with the runtimes that run here."""
import os

import pytest

import axmon


# crun refuses a machine whose cgroup v1 hierarchies stand beside a v2 tree: it is shown the latter alone.
ON_V2_ALONE = """#!/bin/sh
exec unshare --mount sh -c 'mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup && exec /usr/bin/crun "$@"' crun "$@"
"""


def make_crun(_, folder):
    script = folder / "crun"
    script.write_text(ON_V2_ALONE)
    script.chmod(0o755)
    return axmon.Runtime(script, folder / "runtime", "--cgroup-manager=disabled")


RUNTIMES = {
    "axrun": lambda stage, folder: axmon.Runtime(stage.program("axrun"), folder / "runtime"),
    "runc": lambda _, folder: axmon.Runtime("/usr/sbin/runc", folder / "runtime"),
    "crun": make_crun,
}

def make_runtime(name, stage, folder):
    if name == "axrun" and not stage.has(name):
        pytest.skip("no axrun here")
    return RUNTIMES[name](stage, folder)


@pytest.fixture
def runtime(stage, folder):
    default = "axrun" if stage.has("axrun") else "runc"
    return make_runtime(os.environ.get("AXLE_TEST_RUNTIME", default), stage, folder)


@pytest.fixture(params=list(RUNTIMES))
def any_runtime(request, stage, folder):
    return make_runtime(request.param, stage, folder)


@pytest.fixture
def monitor(leak_check, stage, folder, tag, runtime):
    """monitor("sh", "-c", ..., tty=True): a container with its axmon, not created yet."""
    made = []

    def make(*args, with_runtime=None, **options):
        number = len(made)
        made.append(axmon.Monitor(stage.program("axmon"), with_runtime or runtime, folder / f"m{number}",
                                  f"{tag}m{number}", *args, **options))
        return made[-1]
    yield make
    problems = [problem for one in made for problem in one.clean()]
    assert not problems
