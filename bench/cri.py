#!/usr/bin/python3
"""axled beside Debian's containerd: a node of each in a place of its own, driven in turn by bench/cri.c, and what they take.

cri.py [ROUNDS]   as root; part of `make bench`. CONTAINERD=PATH takes another containerd (its shim and runc from PATH's folder first).
PODS=N (100) pods are alive while lists, memory and re-adoption are measured."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/lib"), str(ROOT / "tools/lib")]

import node as node_module  # noqa: E402
import oci_image  # noqa: E402
import sandbox  # noqa: E402
import stage as stage_module  # noqa: E402

IMAGE, PAUSE = "localhost/busybox:bench", "localhost/pause:bench"
START_SECONDS = 30
PLUGINS = pathlib.Path("/usr/lib/cni")
REST_SECONDS = int(os.environ.get("REST_SECONDS", "60"))
PODS = int(os.environ.get("PODS", "100"))

CONTAINERD = """version = 2
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
                    "io.containerd.nri.v1.nri"]
[grpc]
  address = "{folder}/containerd.sock"
[debug]
  level = "error"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    conf_dir = "{folder}/net.d"
    bin_dir = "{folder}/plugins"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
"""


def make_archive(folder):
    """Both images as one OCI archive, by the names that both servers keep."""
    layout = oci_image.Layout(folder / "layout")
    for name, command in ((IMAGE, ["sh"]), (PAUSE, ["sleep", "1000000"])):
        layout.tag(name, layout.manifest([oci_image.busybox_layer()], {"Cmd": command}))
    path = folder / "images.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(layout.path, arcname=".")
    return path


def pss_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def threads(pid, key):
    """The sum of a field of status over all threads."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8") as file:
            total += next(int(line.split()[1]) for line in file if line.startswith(key + ":"))
    return total


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def with_helpers(pid, kind):
    """The PSS in KiB of the server and of what it leaves running for each container (monitor, shim)."""
    total = pss_kib(pid)
    for (one, _), name in sandbox.descendants(os.getppid()).items():
        if name.startswith(kind) and one != pid:
            total += pss_kib(one)
    return total


TIMED = """#!/bin/sh
begin=$(date +%s%N)
{program}
result=$?
echo "$CNI_COMMAND $(($(date +%s%N) - begin))" >>{log}
exit $result
"""


class Network:
    """One server's own CNI list and plugins: Debian's bridge and host-local, with the time that each call of a plugin takes."""

    def __init__(self, folder, number):
        self.log, self.plugins, self.lists = folder / "plugins.log", folder / "plugins", folder / "net.d"
        self.plugins.mkdir(parents=True)
        self.lists.mkdir()
        (self.plugins / "host-local").symlink_to(PLUGINS / "host-local")
        for name in ("bridge", "loopback"):
            (self.plugins / name).write_text(TIMED.format(program=PLUGINS / name, log=self.log))
            (self.plugins / name).chmod(0o755)
        ipam = {"type": "host-local", "dataDir": str(folder / "leases"), "ranges": [[{"subnet": f"10.{93 + number}.0.0/16"}]],
                "routes": [{"dst": "0.0.0.0/0"}]}
        (self.lists / "10-bench.conflist").write_text(json.dumps({"cniVersion": "1.0.0", "name": f"bench{number}", "plugins": [
            {"type": "bridge", "bridge": f"axbench{number}", "isGateway": True, "ipam": ipam}]}))

    def milliseconds(self, command):
        """The median of what the plugins took for one pod's ADD or DEL."""
        words = [line.split() for line in self.log.read_text().splitlines()]
        spent = sorted(int(nanoseconds) / 1e6 for name, nanoseconds in words if name == command)
        pods = sum(1 for name in (word[0] for word in words) if name == "ADD")
        return sum(spent) / max(pods, 1) if spent else 0.0


class Axle:
    label, helper = "axled", "axmon"

    def __init__(self, folder, archive):
        self.network = Network(folder / "axle", 0)
        stage = stage_module.Stage(os.environ.get("AXLE_STAGE") or ROOT / os.environ.get("BUILD", "build") / "stage")
        config = f'[cni]\nconf-dir = "{self.network.lists}"\nplugin-dirs = ["{self.network.plugins}"]\n'
        self.node = node_module.Node(stage, folder / "axle", f"axbench{os.getpid()}", config=config)
        self.node.start()
        self.node.axle("load", "-q", "-i", archive)
        self.socket = self.node.cri_socket

    @property
    def pid(self):
        return self.node.process.pid

    def stop(self):
        self.node.stop()


class Containerd:
    label, helper = "containerd", "containerd-shim"

    def __init__(self, folder, archive):
        self.folder = folder / "containerd"
        self.network = Network(self.folder, 1)
        (self.folder / "config.toml").write_text(CONTAINERD.format(folder=self.folder, pause=PAUSE))
        self.socket = str(self.folder / "containerd.sock")
        program = os.environ.get("CONTAINERD", shutil.which("containerd") or "containerd")
        environment = {**os.environ, "PATH": f"{os.path.dirname(program)}:{os.environ['PATH']}"}
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([program, "-c", str(self.folder / "config.toml")], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=environment)
        self.ctr("version")
        self.ctr("-n", "k8s.io", "images", "import", "--all-platforms", str(archive))

    @property
    def pid(self):
        return self.process.pid

    def ctr(self, *words):
        deadline = time.monotonic() + START_SECONDS
        while True:
            done = subprocess.run(["ctr", "-a", self.socket, *words], capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return done.stdout
            if time.monotonic() > deadline:
                raise SystemExit(f"containerd: {done.stderr}\n{(self.folder / 'log').read_text()[-3000:]}")
            time.sleep(0.2)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Bench:
    def __init__(self, folder):
        build = ROOT / os.environ.get("BUILD", "build")
        self.program, self.folder = build / "bench/cri", folder

    def run(self, *words, peers):
        command = [self.program, *map(str, words)]
        for peer, handler in peers:
            command += [peer.label + (f"/{handler}" if handler else ""), peer.socket, handler, IMAGE]
        done = subprocess.run(command, check=False, env={**os.environ, "TMPDIR": str(self.folder)}, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"cri.py: {' '.join(map(str, command))} failed")
        print(done.stdout, end="", flush=True)
        return done.stdout


def at_rest(peers, seconds):
    """Wake-ups of each server in some seconds in which nothing happens."""
    before = [threads(peer.pid, "voluntary_ctxt_switches") for peer in peers]
    time.sleep(seconds)
    for peer, count in zip(peers, before):
        print(f"{peer.label:<12} {threads(peer.pid, 'voluntary_ctxt_switches') - count} wake-ups in {seconds} s of rest")


def readopt(bench, axle):
    """What starting again costs axled while pods are alive."""
    axle.node.restart()
    time.sleep(2)
    print(f"{PODS} containers re-adopted in {cpu_seconds(axle.pid):.2f} s of CPU time (limit: 0.2 s at 200)")
    bench.run("answers", 20, peers=[(axle, "")])


def with_networks(bench, rounds, axle, containerd):
    """The same CNI list for both, and what is left once the plugins' own time is taken off."""
    for handler in ("", "runc"):
        for peer in (axle, containerd):
            peer.network.log.write_text("")
        print("\na pod's life, network by CNI (bridge, host-local)", flush=True)
        rows = bench.run("life", rounds, "pod", peers=[(axle, handler), (containerd, "")])
        for row, command in (("RunPodSandbox", "ADD"), ("StopPodSandbox", "DEL")):
            whole = re.search(rf"^{row} +([0-9.]+) \(.*?\) +([0-9.]+) ", rows, re.MULTILINE).groups()
            own = [max(float(ms) - peer.network.milliseconds(command), 0) for ms, peer in zip(whole, (axle, containerd))]
            print(f"{row} without its plugins: {own[0]:.1f} ms, containerd {own[1]:.1f} ms   ratio {own[0] / own[1]:.2f}", flush=True)


def measure(bench, rounds, axle, containerd):
    print("\nat 0 pods")
    for peer in (axle, containerd):
        print(f"{peer.label:<12} {pss_kib(peer.pid) / 1024:.1f} MiB PSS")
    at_rest((axle, containerd), REST_SECONDS)
    print("\na pod's life, host network", flush=True)
    bench.run("life", rounds, "host", peers=[(axle, ""), (axle, "runc"), (containerd, "")])
    with_networks(bench, rounds, axle, containerd)
    print("\n20 pods at once, host network", flush=True)
    bench.run("burst", 5, 20, "host", peers=[(axle, ""), (containerd, "")])
    print(f"\n{PODS} pods", flush=True)
    for peer in (axle, containerd):
        empty = with_helpers(peer.pid, peer.helper)
        bench.run("fill", PODS, "host", peers=[(peer, "")])
        full = with_helpers(peer.pid, peer.helper)
        print(f"{peer.label:<12} {(full - empty) / 1024 / PODS:.2f} MiB PSS for each pod", flush=True)
        bench.run("answers", 200, peers=[(peer, "")])
    readopt(bench, axle)
    for peer in (axle, containerd):
        bench.run("clear", peers=[(peer, "")])


def main():
    rounds = sys.argv[1] if len(sys.argv) > 1 else "30"
    sandbox.enter()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="axbench-", dir="/var/tmp"))
    servers = []
    try:
        archive = make_archive(folder)
        for kind in (Axle, Containerd):
            servers.append(kind(folder, archive))
        measure(Bench(folder), rounds, *servers)
    finally:
        for server in servers:
            server.stop()
        for point in reversed(sandbox.mount_points(str(folder))):
            subprocess.run(["umount", point], check=False)
        subprocess.run(["rm", "-rf", "--one-file-system", str(folder)], check=False)


if __name__ == "__main__":
    main()
