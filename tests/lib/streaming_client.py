"""Exec, Attach and PortForward of one container or pod, as tests use them."""
import os
import time

import spdy


def exec_url(kubelet, container, command, stdin=False, stdout=True, stderr=True, tty=False):
    return kubelet.Exec(container_id=container, cmd=command, stdin=stdin, stdout=stdout, stderr=stderr and not tty, tty=tty)["url"]


def attach_url(kubelet, container, stdin=False, stdout=True, stderr=True, tty=False):
    return kubelet.Attach(container_id=container, stdin=stdin, stdout=stdout, stderr=stderr and not tty, tty=tty)["url"]


def run(kubelet, container, command, windows=False, protocols=tuple(spdy.EXEC), receive_bytes=None, **streams):
    """Exec of a command, with its streams open."""
    url = exec_url(kubelet, container, command, **streams)
    return spdy.Command(spdy.connect(url, protocols, windows, receive_bytes), **streams)


def attach(kubelet, container, **streams):
    return spdy.Command(spdy.connect(attach_url(kubelet, container, **streams)), **streams)


class Forward:
    """Connections into a pod."""

    def __init__(self, kubelet, pod, windows=False):
        self.session = spdy.connect(kubelet.PortForward(pod_sandbox_id=pod)["url"], spdy.FORWARD, windows)
        self.requests = 0

    def open(self, port):
        """(data, error) streams of a new connection."""
        labels = {"port": str(port), "requestid": str(self.requests)}
        self.requests += 1
        error = self.session.open(streamtype="error", **labels)
        error.finish()  # as kubectl does: it never writes there
        return self.session.open(streamtype="data", **labels), error


def long_sleep():
    """Arguments of a sleep that nobody else on the machine has."""
    return f"{os.getpid()}.{time.monotonic_ns() % 10 ** 9 + 10 ** 9}"


def memory_kib(pid):
    """Its resident memory."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def commands_with(words):
    """Pids of all processes whose command line holds these words."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if words in line and not line.startswith(("axrun", "/usr/bin/python3")):
            found.append(int(name))
    return found
