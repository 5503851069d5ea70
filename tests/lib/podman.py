"""Debian's podman with storage, networks and configuration of its own, driving a runtime of ours."""
import os
import subprocess
import tempfile

import sandbox

COMMAND_SECONDS = 120

# Root may not raise limits here (no CAP_SYS_RESOURCE), so podman's default of a million files would fail.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
log_driver = "k8s-file"
apparmor_profile = ""
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "{runtime}"
infra_image = ""
[engine.runtimes]
{name} = ["{runtime}"]
"""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'


class Podman:
    """@runtime: the absolute path of an OCI runtime."""

    def __init__(self, folder, runtime, tag):
        self.folder, self.tag = str(folder), tag
        self.runroot = tempfile.mkdtemp(prefix="podman-", dir="/run")  # podman wants a short path
        os.makedirs(self.folder, exist_ok=True)
        self._write("containers.conf", CONTAINERS_CONF.format(runtime=runtime, name=os.path.basename(runtime)))
        self._write("policy.json", POLICY)
        self._write("registries.conf", "unqualified-search-registries = []\n")
        self.runtime = runtime

    def _write(self, name, text):
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def _path(self, name):
        return os.path.join(self.folder, name)

    def command(self, *words):
        return ["podman", "--root", self._path("root"), "--runroot", self.runroot, "--tmpdir", self.runroot + "/tmp",
                "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", self.runtime, *map(str, words)]

    def environ(self):
        return {**os.environ, "CONTAINERS_CONF": self._path("containers.conf"),
                "CONTAINERS_REGISTRIES_CONF": self._path("registries.conf"), "XDG_RUNTIME_DIR": self.runroot}

    def run(self, *words, input=None, timeout=COMMAND_SECONDS):
        """Runs `podman WORDS...`, whatever its exit code."""
        where = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=timeout, check=False,
                              env=self.environ(), cwd=self.folder, **where)  # conmon leaves a file "oom" where it is

    def podman(self, *words, **options):
        done = self.run(*words, **options)
        if done.returncode != 0:
            raise AssertionError(f"$ podman {' '.join(map(str, words))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.rstrip("\n")

    def load(self, layout, name, tag):
        """Takes the image @name out of an OCI layout and calls it @tag."""
        self.podman("pull", "--quiet", "--signature-policy", self._path("policy.json"), f"oci:{layout.path}:{name}")
        self.podman("tag", self.podman("images", "-q").split("\n")[0], tag)

    def clean(self):
        """Removes all containers, images and mounts."""
        self.run("rm", "-af", "-t", "0")
        self.run("system", "reset", "-f")
        # axrun keeps compiled seccomp profiles below its default state root; no other test shall find them
        subprocess.run(["rm", "-rf", "--one-file-system", "/run/axrun/.cache"], check=False)
        for point in reversed(sandbox.mount_points(self.runroot) + sandbox.mount_points(self.folder)):
            subprocess.run(["umount", point], check=False)
        subprocess.run(["rm", "-rf", "--one-file-system", self.runroot], check=False)
