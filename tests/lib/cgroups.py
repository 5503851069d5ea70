"""The files of one control group, whichever hierarchies this machine has: v1, v2, or both."""
import os
import pathlib

BASE = pathlib.Path("/sys/fs/cgroup")
# v2 alone is mounted on the base itself.
V2_ALONE = os.path.exists(BASE / "cgroup.controllers")


def file(group, controller, v1, v2):
    """The file called @v1 or @v2 of @group (a path from the hierarchies' roots) in the hierarchy that has @controller."""
    folder = BASE / str(group).lstrip("/") if V2_ALONE else BASE / controller / str(group).lstrip("/")
    return folder / (v2 if V2_ALONE else v1)


def value(group, controller, v1, v2):
    return file(group, controller, v1, v2).read_text().strip()


def hierarchies():
    """The folders of BASE that hold one hierarchy each; one empty name on v2 alone."""
    return [""] if V2_ALONE else sorted(name for name in os.listdir(BASE) if (BASE / name / "cgroup.procs").exists())


def is_mixed():
    """v2 with controllers of its own beside v1."""
    try:
        return (BASE / "unified/cgroup.controllers").read_text().strip() != ""
    except FileNotFoundError:
        return False
