"""Containers with a view of the signals: a bundle with busybox, run by a runtime with our hook."""
import json
import os
import shutil
import subprocess
import time

SPEED = "Vehicle/Speed"
FAN = "Vehicle/Cabin/HVAC/FanSpeed"
POLICY = """
[[grant]]
namespace = "fleet"
pod = "dash-*"
read = ["Vehicle.Speed", "Vehicle.Cabin.**", "Vehicle.CurrentLocation.*"]
actuate = ["Vehicle.Cabin.HVAC.*"]
publish = ["Vehicle.TraveledDistance"]

[[grant]]
namespace = "slow"
read = ["Vehicle.Speed"]
rate = 5
"""
TRUSTED = POLICY + """
[[grant]]
manager = "unmanaged"
read = ["Vehicle.Speed"]
"""
VOUCHED = ["--manager", "axled", "--namespace", "fleet", "--pod", "dash-7"]
ALL = {"axle.signals.read": "Vehicle.**", "axle.signals.actuate": "Vehicle.**", "axle.signals.publish": "Vehicle.**"}


class Container:
    """One container; run() runs a script in it."""

    def __init__(self, runtime, folder, tag, service, annotations, hook_words=VOUCHED, uid=0, userns=False, binds=None, links=None):
        self.runtime, self.name, self.folder = runtime, tag, folder / tag
        rootfs = self.folder / "rootfs"
        for name in ("bin", "dev", "proc", "sys", "tmp"):
            (rootfs / name).mkdir(parents=True)
        shutil.copy("/bin/busybox", rootfs / "bin/busybox")
        for applet in ("sh", "cat", "ls", "sleep", "find", "echo", "mv", "wc", "rmdir", "ln"):
            os.symlink("busybox", rootfs / "bin" / applet)
        for name, target in (links or {}).items():
            os.symlink(target, rootfs / name)
        hook = service.stage.program("axsignal-hook")
        namespaces = [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")]
        linux = {"namespaces": namespaces, "cgroupsPath": f"/{tag}"}
        if userns:
            namespaces.append({"type": "user"})
            linux["uidMappings"] = linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
            subprocess.run(["chown", "-R", "100000:100000", rootfs], check=True)
        config = {
            "ociVersion": "1.0.2",
            "process": {"user": {"uid": uid, "gid": uid}, "args": ["sleep", "300"], "env": ["PATH=/bin"], "cwd": "/",
                        "capabilities": {kind: [] for kind in ("bounding", "effective", "permitted")}},
            "root": {"path": "rootfs"},
            "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                       {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}],
            "annotations": annotations,
            "hooks": {"createRuntime": [{"path": hook, "args": [
                "axsignal-hook", "--control", str(service.state / "control.sock"), *hook_words]}]},
            "linux": linux,
        }
        config["mounts"] += [{"destination": inside, "type": "bind", "source": outside, "options": ["rbind", "ro"]}
                             for outside, inside in (binds or {}).items()]
        (self.folder / "config.json").write_text(json.dumps(config))
        self.state = self.folder / "state"

    def call(self, *words):
        return subprocess.run([*self.runtime, "--root", self.state, *words], capture_output=True, text=True, timeout=60)

    def create(self):
        """Its exit code. What it leaves has our output: never a pipe."""
        words = [*self.runtime, "--root", self.state, "create", "--bundle", self.folder, self.name]
        with open(self.folder / "out", "wb") as out:
            return subprocess.run(words, stdout=out, stderr=out, stdin=subprocess.DEVNULL, timeout=60, check=False).returncode

    def start(self):
        assert self.create() == 0, (self.folder / "out").read_text()
        done = self.call("start", self.name)
        assert done.returncode == 0, done.stderr
        self.pid = json.loads(self.call("state", self.name).stdout)["pid"]
        return self

    def run(self, script):
        """Runs a script in the container; (exit code, what it printed on either)."""
        done = self.call("exec", self.name, "sh", "-c", script)
        return done.returncode, (done.stdout + done.stderr).strip()

    def sees(self, path):
        return self.inside("dev/signal/" + path)

    def inside(self, path):
        """A path of the container, from outside."""
        return os.path.join("/proc", str(self.pid), "root", path)

    def remove(self):
        self.call("delete", "-f", self.name)
        for path in self._cgroups():
            for _ in range(100):
                try:
                    os.rmdir(path)
                    break
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.02)

    def _cgroups(self):
        found = []
        for line in open("/proc/self/cgroup", encoding="ascii"):
            controllers = line.split(":")[1].removeprefix("name=")
            for name in (controllers, "unified" if not controllers else controllers):
                path = f"/sys/fs/cgroup/{name}/{self.name}"
                if os.path.isdir(path):
                    found.append(path)
        return found


# crun refuses the mix of cgroups v1 and a v2 tree with controllers: for it alone the v2 tree is covered.
COVERED = "{ [ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified; }"
CRUN = ["unshare", "-m", "sh", "-c", COVERED + ' && exec crun --cgroup-manager=disabled "$@"', "crun"]
RUNTIMES = {"axrun": None, "crun": CRUN, "runc": ["/usr/sbin/runc"]}
