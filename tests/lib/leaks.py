"""What a test leaves behind: processes, mounts, cgroups, network links, rules of nftables, files. One snapshot before, one after; a leak is
what is new and does not go away by itself within a moment."""
import os
import signal
import socket
import time

import cni
import sandbox

GRACE_SECONDS = 5.0  # a veth's end and an overlay's holders go asynchronously
# What programs of Debian keep there once they ran, and the runtimes' roots: of ours, what is in it is watched.
OF_OTHERS = {"mount", "blkid", "lock", "netns", "libpod", "containers", "runc", "crun", "user", "libpod_lock", "axrun",
             "xtables.lock"}
WATCHED_FOLDERS = ["/run", "/run/axrun", "/dev/shm", "/dev/mqueue", "/var/lib/axle", "/etc/axle"]


def processes():
    """All below the reaper except pytest itself."""
    own = os.getpid()
    return {f"process {pid} ({name})" for (pid, _), name in sandbox.descendants(os.getppid()).items() if pid != own}


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        rows = [line.split(" ") for line in table]
    return {f"mount {row[4]} ({row[row.index('-') + 1]})" for row in rows}


def cgroups(tag):
    """Groups whose name holds the run's tag; others may belong to somebody else on this machine."""
    return {f"cgroup {path}" for path in sandbox.cgroups_named(tag)}


def links():
    return {f"network link {name}" for _, name in socket.if_nameindex()}


def rules():
    """Of nftables (and of iptables, which is a face of it)."""
    return {f"nftables rule {handle} in {table} {chain}" for table, chain, handle in cni.rules()}


def files(extra):
    found = set()
    for folder in [*WATCHED_FOLDERS, *extra]:
        if os.path.isdir(folder):
            found |= {f"file {os.path.join(folder, name)}" for name in os.listdir(folder)
                      if name not in OF_OTHERS}
    return found


class LeakCheck:
    """@tag: what every name of this run holds. @folders: further folders whose entries are watched."""

    def __init__(self, tag, folders=()):
        self.tag, self.folders = tag, list(folders)
        self.before = self.snapshot()

    def snapshot(self):
        return processes() | mounts() | cgroups(self.tag) | links() | rules() | files(self.folders)

    def allow_present(self):
        """What is there now was made on purpose, for longer than one test (a registry)."""
        self.before |= self.snapshot()

    def leaked(self):
        deadline = time.monotonic() + GRACE_SECONDS
        while True:
            new = self.snapshot() - self.before
            if not new or time.monotonic() > deadline:
                return sorted(new)
            time.sleep(0.05)


def remaining_of(nodes):
    """What is left of nodes that were cleaned: ends the processes, so that the next test begins afresh, and names them."""
    deadline = time.monotonic() + GRACE_SECONDS
    while time.monotonic() < deadline and any(node.processes() or node.cgroups() for node in nodes):
        time.sleep(0.05)
    left = []
    for node in nodes:
        for pid, name in node.processes():
            left.append(f"{node.name} left the process {pid} ({name})")
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        left += [f"{node.name} left the cgroup {path}" for path in node.cgroups()]
        left += [f"{node.name} left {path} mounted" for path in sandbox.mount_points(node.folder)]
    return left
