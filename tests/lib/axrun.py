"""axrun driven by hand: bundles of busybox, and the containers made of them."""
import json
import os
import pathlib
import shutil
import subprocess
import time

BUSYBOX = "/bin/busybox"
APPLETS = ("sh", "true", "cat", "echo", "id", "ls", "sleep", "hostname", "touch", "mount", "grep", "head", "stat", "env", "pwd",
           "test", "ulimit", "readlink", "tty", "wc", "mkdir", "dd", "kill", "ps")
COMMAND_SECONDS = 60


class Bundle:
    """A bundle with a root of busybox. `config` is a dict that is written by each command."""

    def __init__(self, stage, folder, state, prefix):
        self.axrun, self.folder, self.state, self.prefix = stage.program("axrun"), pathlib.Path(folder), str(state), prefix
        self.root = self.folder / "rootfs"
        (self.root / "bin").mkdir(parents=True)
        for name in ("etc", "tmp", "proc", "sys", "dev"):
            (self.root / name).mkdir()
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
        shutil.copy2(BUSYBOX, self.root / "bin/busybox")
        for name in APPLETS:
            (self.root / "bin" / name).symlink_to("busybox")
        subprocess.run([self.axrun, "spec", "-b", str(self.folder)], check=True)
        self.config = json.loads((self.folder / "config.json").read_text())
        self.config["process"]["terminal"] = False
        self.config["process"]["rlimits"] = []
        self.config["linux"]["cgroupsPath"] = "/" + prefix
        self.made = []

    def args(self, *words):
        self.config["process"]["args"] = list(words)
        return self

    def shell(self, script):
        return self.args("sh", "-c", script)

    def namespace(self, kind, path=None):
        """Adds a namespace, or replaces it by the one at @path."""
        self.without_namespace(kind)
        self.config["linux"]["namespaces"].append({"type": kind, **({"path": str(path)} if path else {})})
        return self

    def without_namespace(self, kind):
        kept = [one for one in self.config["linux"]["namespaces"] if one["type"] != kind]
        self.config["linux"]["namespaces"] = kept
        return self

    def mount(self, destination, source, *options, kind="bind", **more):
        entry = {"destination": str(destination), "source": str(source), "type": kind, "options": list(options), **more}
        self.config["mounts"].append(entry)
        return self

    def write(self):
        (self.folder / "config.json").write_text(json.dumps(self.config))

    def command(self, *words, options=()):
        return [self.axrun, "--root", self.state, *options, *map(str, words)]

    def axrun_run(self, *words, options=(), **how):
        """Runs any axrun command, whatever its exit status."""
        how.setdefault("timeout", COMMAND_SECONDS)
        how.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(self.command(*words, options=options), capture_output=True, text=True, check=False, **how)

    def with_descriptor_3(self, path, *words):
        """An axrun command to which descriptor 3 is open on @path."""
        script = ["sh", "-c", 'exec 3<"$1"; shift; exec "$@"', "sh", str(path)]
        return subprocess.run(script + self.command(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=COMMAND_SECONDS, check=False)

    def id(self, name="c"):
        self.made.append(f"{self.prefix}{name}")
        return self.made[-1]

    def run(self, *words, name="c", options=(), **how):
        """`axrun run` to the end."""
        self.write()
        return self.axrun_run("run", "-b", self.folder, *words, self.id(name), options=options, **how)

    def output(self, *words, **how):
        done = self.run(*words, **how)
        assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr}"
        return done.stdout

    def create(self, *words, name="c", **how):
        """`axrun create`; its output goes to a file, since the container keeps it open. Returns the id."""
        self.write()
        identity = self.id(name)
        with open(self.folder / "output", "wb") as output, open(self.folder / "errors", "w+b") as errors:
            done = subprocess.run(self.command("create", "-b", self.folder, *words, identity), stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=errors, timeout=COMMAND_SECONDS, check=False, **how)
        assert done.returncode == 0, (self.folder / "errors").read_text()
        return identity

    def printed(self):
        return (self.folder / "output").read_text()

    def status(self, identity):
        return json.loads(self.axrun_run("state", identity).stdout)

    def wait_for(self, identity, status):
        deadline = time.monotonic() + COMMAND_SECONDS
        while self.status(identity)["status"] != status:
            assert time.monotonic() < deadline, f"{identity} is {self.status(identity)['status']}, expected {status}"
            time.sleep(0.02)

    def clean(self):
        for identity in self.made:
            self.axrun_run("delete", "--force", identity)


def cgroup_directories(path):
    """The existing directories of a cgroup path, by hierarchy."""
    top = "/sys/fs/cgroup"
    return [os.path.join(top, name, path.lstrip("/")) for name in sorted(os.listdir(top))
            if os.path.isdir(os.path.join(top, name, path.lstrip("/")))]
