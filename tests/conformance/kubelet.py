#!/usr/bin/env python3
"""Lets a stock kubelet drive a node of axled, beside containers of `axle run` that it must not touch.

    KUBELET=/path/kubelet tests/conformance/kubelet.py [--minutes 10] [--keep FOLDER]

The kubelet runs alone (no API server): its pods are manifests in a folder. In a private place (tests/lib/sandbox.py): a registry,
axled with Debian's CNI plugins, three containers of the CLI, the kubelet with a cgroup of its own. While time passes axled is
killed and started again, manifests come and go. What must hold is printed line by line; exits 0 where all of it did."""
import argparse
import base64
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tests" / "lib"), str(ROOT / "tools" / "lib")]

import cgroups  # noqa: E402
import images  # noqa: E402
import local_registry  # noqa: E402
import node as node_module  # noqa: E402
import sandbox  # noqa: E402
import stage as stage_module  # noqa: E402

NAMESPACE = "default"
SETTLE_SECONDS = 120
CNI_LIST = {"cniVersion": "1.0.0", "name": "kubelet", "plugins": [
    {"type": "bridge", "bridge": "kube0", "isGateway": True, "ipMasq": False,
     "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.92.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
    {"type": "portmap", "capabilities": {"portMappings": True}}]}


def kubelet_configuration(folder, node, manifests, ports, evented):
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
        "staticPodPath": str(manifests), "containerRuntimeEndpoint": f"unix://{node.cri_socket}",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}}, "authorization": {"mode": "AlwaysAllow"},
        "address": "127.0.0.1", "port": ports[0], "readOnlyPort": ports[1], "healthzPort": ports[2],
        "cgroupDriver": "cgroupfs", "cgroupRoot": "/" + node.name + "-kube", "failCgroupV1": False, "failSwapOn": False,
        "fileCheckFrequency": "2s", "syncFrequency": "5s", "podLogsDir": str(folder / "pod-logs"),
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageMinimumGCAge": "5s", "imageGCHighThresholdPercent": 2, "imageGCLowThresholdPercent": 1,
        "featureGates": {"EventedPLEG": evented}, "volumePluginDir": str(folder / "volume-plugins"), "enableServer": True,
        "localStorageCapacityIsolation": False,
    }


def pod(name, image, command, **spec):
    container = {"name": "main", "image": image, "command": command, **spec.pop("container", {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 2, **spec}}


def pods(image):
    """What a kubelet has to do with a node: keep running, probe, restart, share, prepare, limit, give ports and volumes."""
    stay = ["sh", "-c", "trap 'exit 0' TERM; echo up; while :; do sleep 1 & wait; done"]
    return {
        "plain": pod("plain", image, stay),
        "host": pod("host", image, stay, hostNetwork=True),
        "crash": pod("crash", image, ["sh", "-c", "echo once; sleep 3; exit 3"]),
        "probed": pod("probed", image, stay, container={
            "livenessProbe": {"exec": {"command": ["sh", "-c", "true"]}, "periodSeconds": 2},
            "readinessProbe": {"exec": {"command": ["test", "-d", "/proc/1"]}, "periodSeconds": 2}}),
        "unhealthy": pod("unhealthy", image, stay, container={
            "livenessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 2, "failureThreshold": 2}}),
        "served": pod("served", image, ["sh", "-c", "mkdir /www; echo hello >/www/index.html; exec httpd -f -p 8080 -h /www"],
                      container={"ports": [{"containerPort": 8080, "hostPort": 18080}],
                                 "readinessProbe": {"httpGet": {"port": 8080, "path": "/"}, "periodSeconds": 2}}),
        "volume": pod("volume", image, ["sh", "-c", "cat /shared/file; trap 'exit 0' TERM; while :; do sleep 1 & wait; done"],
                      container={"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]},
                      initContainers=[{"name": "first", "image": image, "command": ["sh", "-c", "echo from the first >/shared/file"],
                                       "volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}],
                      volumes=[{"name": "shared", "emptyDir": {}}]),
        "limited": pod("limited", image, ["sh", "-c", "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"],
                       container={"resources": {"limits": {"memory": "20Mi", "cpu": "200m"}}}),
        "together": pod("together", image, stay, shareProcessNamespace=True),
        "once": pod("once", image, ["sh", "-c", "echo done; exit 0"], restartPolicy="Never"),
    }


class Cgroup:
    """The kubelet's own root among the control groups, in every hierarchy."""

    def __init__(self, name):
        self.folders = [cgroups.BASE / one / name for one in cgroups.hierarchies()]
        for folder in self.folders:
            folder.mkdir()
            for file in ("cpuset.cpus", "cpuset.mems"):
                if (folder / file).exists() and not cgroups.V2_ALONE:
                    (folder / file).write_text((folder.parent / file).read_text())

    def remove(self):
        for folder in self.folders:
            for below, _, _ in os.walk(folder, topdown=False):
                os.rmdir(below)


class Kubelet:
    def __init__(self, program, folder, node, evented):
        self.folder, self.node = folder, node
        self.manifests = folder / "manifests"
        self.manifests.mkdir()
        self.ports = [local_registry.free_port() for _ in range(3)]
        configuration = folder / "kubelet.json"
        configuration.write_text(json.dumps(kubelet_configuration(folder, node, self.manifests, self.ports, evented)))
        self.command = [program, "--config", str(configuration), "--root-dir", str(folder / "kubelet"), "--hostname-override", "axle-node",
                        "--cert-dir", str(folder / "certificates"), "--v=2"]
        self.process = None

    def start(self):
        with open(self.folder / "kubelet.log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()

    def give(self, name, manifest):
        (self.folder / "new.json").write_text(json.dumps(manifest))
        os.rename(self.folder / "new.json", self.manifests / f"{name}.json")

    def take(self, name):
        (self.manifests / f"{name}.json").unlink()

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[1]}{path}", timeout=20) as answer:
            return json.load(answer)

    def pods(self):
        """Name -> the kubelet's own view of the pod."""
        try:
            items = self.get("/pods").get("items") or []
        except OSError:
            return {}
        return {one["metadata"]["name"].removesuffix("-axle-node"): one for one in items}

    def container(self, name):
        statuses = self.pods().get(name, {}).get("status", {}).get("containerStatuses") or [{}]
        return statuses[0]

    def run(self, name, command):
        """`kubectl exec` without a terminal, by the kubelet's /run: what the command printed."""
        request = urllib.request.Request(f"https://127.0.0.1:{self.ports[0]}/run/{NAMESPACE}/{name}-axle-node/main?cmd={command}",
                                         method="POST")
        context = ssl._create_unverified_context()  # the kubelet's own certificate, made a moment ago
        with urllib.request.urlopen(request, timeout=20, context=context) as answer:
            return answer.read().decode()

    def logs(self, name):
        context = ssl._create_unverified_context()
        url = f"https://127.0.0.1:{self.ports[0]}/containerLogs/{NAMESPACE}/{name}-axle-node/main"
        with urllib.request.urlopen(url, timeout=20, context=context) as answer:
            return answer.read().decode()


class Report:
    def __init__(self):
        self.failed, self.given_up = 0, False

    def knows(self, what, condition):
        """Whether something holds that is not ours: what depends on it is left out where it does not, and said."""
        try:
            return condition()
        except OSError as error:
            print(f"not so  {what}: {error}; what needs it is left out", flush=True)
            return None

    def check(self, what, condition, seconds=SETTLE_SECONDS):
        """Waits until the condition holds, and prints whether it did."""
        deadline, last = time.monotonic() + seconds, None
        while not self.given_up:
            try:
                if condition():
                    print(f"ok      {what}", flush=True)
                    return
            except (OSError, ValueError, KeyError, AssertionError) as error:
                last = error
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        self.failed += 1
        print(f"FAILED  {what}" + (f": {last!r}" if last else ""), flush=True)


def bystanders(node):
    """Everything of the containers that the CLI owns that must stay as it is."""
    return sorted((one["id"], one["name"], one["state"], one.get("pid")) for one in node.json("ps", "-a", "--format", "json"))


def check_pods(report, kubelet):
    state = lambda name: kubelet.container(name).get("state", {})  # noqa: E731
    for name in ("plain", "host", "probed", "served", "volume", "together"):
        report.check(f"{name} runs and is ready", lambda name=name: kubelet.container(name).get("ready"))
    report.check("crash is started again", lambda: kubelet.container("crash").get("restartCount", 0) >= 2)
    report.check("crash: its exit code is known", lambda: kubelet.container("crash")["lastState"]["terminated"]["exitCode"] == 3)
    report.check("unhealthy is killed and started again", lambda: kubelet.container("unhealthy").get("restartCount", 0) >= 1)
    report.check("limited: OOMKilled", lambda: "OOMKilled" in json.dumps(kubelet.container("limited")))
    report.check("once has ended with 0", lambda: state("once").get("terminated", {}).get("exitCode") == 0)
    report.check("the kubelet's exec works", lambda: kubelet.run("plain", "hostname").strip() == "plain-axle-node")
    report.check("the kubelet's logs work", lambda: "up" in kubelet.logs("plain"))
    report.check("an init container's file is there", lambda: "from the first" in kubelet.logs("volume"))
    report.check("a shared pid namespace has another first process", lambda: "trap" not in kubelet.run("together", "cat%20/proc/1/cmdline"))
    report.check("the host port answers", lambda: urllib.request.urlopen("http://10.92.0.1:18080/", timeout=5).read() == b"hello\n", 30)
    if report.knows("cAdvisor can read this machine's root", lambda: kubelet.get("/stats/summary")):
        report.check("statistics name every pod", lambda: {"plain-axle-node", "served-axle-node"} <= {
            one["podRef"]["name"] for one in kubelet.get("/stats/summary")["pods"]})


def drive(report, node, kubelet, image, minutes):
    for name, manifest in pods(image).items():
        kubelet.give(name, manifest)
    before = bystanders(node)
    kubelet.start()
    report.check("the kubelet serves", lambda: kubelet.pods(), 60)
    report.given_up = bool(report.failed)
    check_pods(report, kubelet)
    started = {name: kubelet.container(name).get("containerID") for name in ("plain", "host", "served")}
    node.kill()
    node.start()
    report.check("after kill -9 of axled the same containers run",
                 lambda: all(kubelet.container(name).get("containerID") == one for name, one in started.items()))
    kubelet.take("served")
    report.check("a pod whose manifest is gone is removed", lambda: "served" not in kubelet.pods())
    end = time.monotonic() + minutes * 60
    rounds = 0
    while time.monotonic() < end:
        kubelet.give("comes", pod("comes", image, ["sleep", "1000"]))
        report.check(f"round {rounds}: a new pod runs", lambda: kubelet.container("comes").get("ready"))
        kubelet.take("comes")
        report.check(f"round {rounds}: and goes", lambda: "comes" not in kubelet.pods())
        if rounds % 3 == 1:
            node.restart()
        if rounds % 3 == 2:
            kubelet.stop()
            kubelet.start()
        rounds += 1
    report.check("the long-lived containers were never replaced",
                 lambda: all(kubelet.container(name).get("containerID") == started[name] for name in ("plain", "host")))
    report.check("the CLI's containers are as they were", lambda: bystanders(node) == before)
    report.check("the CLI's image is still there", lambda: image in json.dumps(node.json("images", "--format", "json")))
    for name in list(pods(image)):
        if (kubelet.manifests / f"{name}.json").exists():
            kubelet.take(name)
    report.check("all pods end", lambda: not kubelet.pods())
    report.check("and are removed", lambda: node.axle("ps", "-aq", "--all-owners").count("\n") == len(before) - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--evented", action="store_true", help="the kubelet's EventedPLEG, which is off by default")
    parser.add_argument("--keep", metavar="FOLDER", help="copy the logs there")
    options = parser.parse_args()
    program = os.environ.get("KUBELET")
    if not program or not os.access(program, os.X_OK):
        sys.exit(f"kubelet.py: KUBELET names a kubelet: it is {program or 'not set'}")
    program = os.path.realpath(program)
    sandbox.enter()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="axkubelet-", dir="/run"))  # the private one, a tmpfs: gone with its namespace
    subprocess.run("ip address add 10.93.0.1/24 dev lo && ip route add default via 10.93.0.1", shell=True, check=True)
    for name in ("net.d", "cni-state", "pod-logs", "volume-plugins"):
        (folder / name).mkdir()
    (folder / "net.d" / "10-kubelet.conflist").write_text(json.dumps(CNI_LIST))
    for path, source in (("/etc/cni/net.d", "net.d"), ("/var/lib/cni", "cni-state")):
        os.makedirs(path, exist_ok=True)
        sandbox.mount(folder / source, path, None, sandbox.MS_BIND)
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="ascii")
    stage = stage_module.Stage(os.environ.get("AXLE_STAGE") or ROOT / os.environ.get("BUILD", "build") / "stage")
    report = Report()
    registry = local_registry.Registry(folder / "registry").start()
    node = node_module.Node(stage, folder / "node", f"axkubelet{os.getpid()}", config="[cni]\nenabled = true\n")
    group = Cgroup(node.name + "-kube")
    kubelet = Kubelet(program, folder, node, options.evented)
    try:
        layout = images.make(folder / "images")
        layout.push("busybox", registry.image("busybox:latest"))
        image = registry.image("busybox:latest")
        node.axle("pull", "-q", image)
        for number in range(3):
            node.axle("run", "-d", "--name", f"bystander{number}", image, "sleep", "100000")
        drive(report, node, kubelet, image, options.minutes)
    finally:
        kubelet.stop()
        if options.keep:
            shutil.copy(folder / "kubelet.log", options.keep)
            shutil.copy(node.log, options.keep)
        for one in ("bystander0", "bystander1", "bystander2"):
            node.run("rm", "-f", one)
        node.stop()
        registry.stop()
        group.remove()
    print(f"{report.failed} failed")
    sys.exit(1 if report.failed else 0)


if __name__ == "__main__":
    main()
