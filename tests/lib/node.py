"""An Axle node of a test's own: axled in a folder of its own, and its command line."""
import json
import os
import signal
import subprocess
import time

import sandbox

START_SECONDS = 10
STOP_SECONDS = 10
COMMAND_SECONDS = 60


class Failed(AssertionError):
    """A program that should have ended with 0 did not."""


def describe(command, done):
    return f"$ {' '.join(map(str, command))}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"


class Node:
    """@stage: the installed tree. @folder: where its root, state and configuration lie. Started by the first use."""

    def __init__(self, stage, folder, name, config="", environment=None):
        self.stage, self.folder, self.name = stage, str(folder), name
        self.root, self.state = os.path.join(self.folder, "root"), os.path.join(self.folder, "state")
        self.config, self.log = os.path.join(self.folder, "axled.toml"), os.path.join(self.folder, "axled.log")
        self.environment = environment or {}
        self.process = None
        self.ended_by_test = False
        os.makedirs(self.folder, exist_ok=True)
        if "[cni]" not in config:  # the machine's own networks are none of a test's business
            config += "\n[cni]\nenabled = false\n"
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(config)

    @property
    def socket(self):
        return os.path.join(self.state, "axle.sock")

    @property
    def cri_socket(self):
        return os.path.join(self.state, "cri.sock")

    @property
    def started(self):
        return self.process is not None and self.process.poll() is None

    def start(self):
        if self.started:
            return self
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.stage.program("axled"), "--root", self.root, "--state", self.state, "--config", self.config,
                 "--name", self.name],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.environment})
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"axled did not start (exit code {self.process.poll()}):\n{self.log_text()}")
            time.sleep(0.01)
        return self

    def _answers(self):
        return os.path.exists(self.socket) and self.run("version", start=False, timeout=START_SECONDS).returncode == 0

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        """Ends axled as a service manager does. Containers go on."""
        if self.started:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise Failed(f"axled did not end within {STOP_SECONDS} s of SIGTERM:\n{self.log_text()}") from None
        return self.process.returncode if self.process else 0

    def kill(self):
        """kill -9: a crash."""
        if self.started:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    # The command line.

    def command(self, *words):
        return [self.stage.program("axle"), *map(str, words)]

    def environ(self):
        return {**os.environ, **self.environment, "AXLE_SOCKET": self.socket}

    def run(self, *words, start=True, input=None, timeout=COMMAND_SECONDS, text=True, env=None):
        """Runs `axle WORDS...` to its end, whatever its exit code."""
        if start:
            self.start()
        where = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        return subprocess.run(self.command(*words), capture_output=True, text=text, timeout=timeout, check=False,
                              env={**self.environ(), **(env or {})}, **where)

    def axle(self, *words, **options):
        """Runs `axle WORDS...`, which must succeed; returns what it printed, without the last newline."""
        done = self.run(*words, **options)
        if done.returncode != 0:
            raise Failed(f"{describe(self.command(*words), done)}\n---- axled:\n{self.log_text()[-4000:]}")
        return done.stdout.rstrip("\n") if isinstance(done.stdout, str) else done.stdout

    def json(self, *words, **options):
        return json.loads(self.axle(*words, **options))

    def popen(self, *words, **options):
        """Starts `axle WORDS...` with pipes; the caller ends it."""
        self.start()
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(self.command(*words), env=self.environ(), **options)

    # Below the surface.

    def processes(self, name=None):
        """(pid, name) of what runs for this node: axled's descendants and, by their command line, its monitors."""
        own = {pid: process for (pid, _), process in sandbox.descendants(os.getppid()).items() if pid != os.getpid()}
        found = []
        for pid, process in own.items():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read().decode(errors="replace")
            except OSError:
                continue
            if self.folder in line or self.name in line:
                found.append((pid, process))
        return [(pid, process) for pid, process in found if name in (None, process)]

    def monitors(self):
        """The pids of this node's axmon processes."""
        return [pid for pid, _ in self.processes("axmon")]

    def cgroups(self):
        """The node's groups, in all hierarchies."""
        return [path for path in sandbox.cgroups_named(self.name) if os.path.basename(path).startswith(self.name)]

    def clean(self):
        """Removes all containers through the front door, ends axled, and says what went wrong on the way."""
        problems = []
        if self.process is None:
            return problems
        if not self.started and not self.ended_by_test:
            problems.append(f"axled had ended with {self.process.returncode}:\n{self.log_text()[-4000:]}")
        try:
            ids = self.axle("ps", "-aq", "--all-owners").split()
            if ids:
                self.axle("rm", "-f", *ids)
            code = self.stop()
            if code != 0:
                problems.append(f"axled ended with {code} after SIGTERM:\n{self.log_text()[-4000:]}")
        except (Failed, subprocess.TimeoutExpired) as error:
            problems.append(str(error))
            self.kill()
        return problems
