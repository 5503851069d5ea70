"""A node whose programs stop at a numbered fault point (tests/faults/fault_points.c), and what is looked at afterwards.

A sweep runs a script of calls again and again; in each round the node stops before another one of its side effects, something is
killed there, the node starts again, and everything must be listed right, stoppable, removable, and gone in the end."""
import mmap
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import cni
import node as node_module
import sandbox
import stage as stage_module

NAMES_MAX, NAME_BYTES, HEAD = 8192, 64, 16
VARIANTS = {"axled": "bin", "axhelper": "libexec/axle", "axmon": "libexec/axle", "aximage-worker": "libexec/axle"}
SETTLE_SECONDS = 10.0


class FaultTree(stage_module.Stage):
    """A copy of the installed tree with the programs that have fault points, and the file that they share."""

    def __init__(self, stage, folder):
        for part in ("bin", "libexec"):
            shutil.copytree(os.path.join(stage.path, part), os.path.join(folder, part))
        for name, place in VARIANTS.items():
            shutil.copy(os.path.join(stage.build, "tests", "faults", name + "-faults"), os.path.join(folder, place, name))
        super().__init__(folder)
        path = os.path.join(folder, "bin", "faults")
        with open(path, "wb") as file:
            file.truncate(HEAD + NAMES_MAX * NAME_BYTES)
        os.link(path, os.path.join(folder, "libexec/axle/faults"))
        with open(path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)

    def _word(self, index, value=None):
        if value is not None:
            self.memory[4 * index:4 * index + 4] = struct.pack("=I", value)
        return struct.unpack("=I", self.memory[4 * index:4 * index + 4])[0]

    @property
    def hits(self):
        return self._word(0)

    def arm(self, number):
        """From now on counted from 1: the call with this number stops its process. 0: none does."""
        self._word(1, 0)
        self._word(2, 0)
        self._word(0, 0)
        self._word(1, number)

    def stopped(self):
        """The pid of the process that has stopped, or None."""
        pid = self._word(2)
        return pid if pid and process_state(pid) == "T" else None

    def name(self, number):
        start = HEAD + number * NAME_BYTES
        return self.memory[start:start + NAME_BYTES].split(b"\0")[0].decode(errors="replace")


def process_state(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(") ", 1)[1][0]
    except OSError:
        return None


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class FaultNode(node_module.Node):
    """A node with another boot id after each power cut."""

    def __init__(self, stage, folder, name, networks):
        super().__init__(stage, folder, name, networks.config())
        self.networks, self.boots = networks, 0
        self.environment["AXLE_BOOT_ID_FILE"] = os.path.join(self.folder, "boot-id")
        self._boot()

    def _boot(self):
        self.boots += 1
        with open(self.environment["AXLE_BOOT_ID_FILE"], "w", encoding="utf-8") as file:
            file.write(f"boot {self.boots}\n")

    def power_cut(self):
        """All processes of the node end, its state folder is emptied, and what the kernel held goes as well."""
        self.kill()
        deadline = time.monotonic() + SETTLE_SECONDS
        while self.end_processes() and time.monotonic() < deadline:
            time.sleep(0.01)
        for point in reversed(sandbox.mount_points(self.state)):
            subprocess.run(["umount", "-l", point], check=True)
        subprocess.run(["rm", "-rf", "--one-file-system", self.state], check=True)
        for top in self.cgroups():
            for path, _, _ in os.walk(top, topdown=False):
                remove_group(path)
        for bridge in self.networks.bridges:
            subprocess.run(["ip", "link", "del", bridge], check=False, capture_output=True)
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        self._boot()

    def end_processes(self):
        """Kills what is left of the node outside of axled; returns whether there was anything."""
        pids = {pid for pid, _ in self.processes()} | {pid for group in self.cgroups() for pid in group_members(group)}
        for pid in pids:
            end(pid)
        return bool(pids)


def remove_group(path):
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        try:
            os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def group_members(top):
    pids = set()
    for path, _, _ in os.walk(top):
        try:
            with open(os.path.join(path, "cgroup.procs"), encoding="utf-8") as file:
                pids |= {int(pid) for pid in file.read().split()}
        except OSError:
            pass
    return pids


def tree(top, skip=()):
    """Every path below a folder, without what is called as in @skip."""
    found = set()
    for path, folders, names in os.walk(top):
        folders[:] = [name for name in folders if name not in skip]
        found |= {os.path.relpath(os.path.join(path, name), top) for name in [*folders, *names] if name not in skip}
    return found


def holdings(node):
    """All that a node holds, in its folders, the kernel and its networks, as a set of words: of two equal situations they must be
    equal."""
    found = {f"file {path}" for path in tree(node.root, skip=("boot-id", "lock", "fs"))}
    found |= {f"state {path}" for path in tree(node.state, skip=("lock", "cache"))}
    found |= {f"mount {point}" for point in sandbox.mount_points(node.folder)}
    found |= {f"link {name}" for _, name in socket.if_nameindex()}
    found |= {f"rule {rule}" for rule in cni.pod_rules()}
    found |= {f"lease {address}" for address in node.networks.leases()}
    for top in node.cgroups():
        found |= {f"cgroup {path}" for path, _, _ in os.walk(top)}
    found |= {f"process {name}" for _, name in node.processes()}
    found |= {f"descriptors {len(os.listdir(f'/proc/{node.process.pid}/fd'))}"}
    return found


def leaked(now, wanted):
    """What is held beyond @wanted; of files on disk also what is missing. (Folders come with the first use.)"""
    more = {word for word in now - wanted if not word.startswith("descriptors ")}
    lost = {word for word in wanted - now if word.startswith("file images/")}
    count = {kind: int(next(word for word in words if word.startswith("descriptors ")).split()[1])
             for kind, words in (("now", now), ("wanted", wanted))}
    if count["now"] > count["wanted"]:
        more.add(f"{count['now']} descriptors, before {count['wanted']}")
    return [f"+ {word}" for word in sorted(more)] + [f"- {word}" for word in sorted(lost)]


def settled_leaks(node, wanted, known=frozenset()):
    """What a node holds beyond @wanted (and what is @known already) once it had time to settle."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        left = leaked(holdings(node) - known, wanted)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


class Script(threading.Thread):
    """Runs calls in the background; their failure is expected where something was killed."""

    def __init__(self, function):
        super().__init__(daemon=True)
        self.function, self.error = function, None

    def run(self):
        try:
            self.function()
        except Exception as error:  # whatever a killed server makes of a call
            self.error = error


def run_until_stopped(stage, function):
    """Runs @function in the background until a program stops at its fault point, or it has ended. Returns (script, pid or None)."""
    script = Script(function)
    script.start()
    while True:
        pid = stage.stopped()
        if pid or not script.is_alive():
            return script, pid
        time.sleep(0.001)
