#!/usr/bin/python3
"""Brings a node up, pulls an image from a local registry, runs it, and shows each step as the command a user would type.

Everything lies in one new folder (root, state, registry), under a name and a port of its own, so that any number of these run
beside each other. On a terminal the node stays up until Ctrl-C; otherwise it is taken down at once, and the exit code is 0
only if every step did what it should and nothing was left behind."""
import ctypes
import os
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "lib"))

from demo_vehicle import Vehicle  # noqa: E402
from local_registry import Registry  # noqa: E402
from oci_image import Entry, Layout, busybox_layer  # noqa: E402

STAGE = os.path.realpath(os.path.join(ROOT, os.environ.get("BUILD", "build"), "stage"))
HAS_SIGNALS = os.path.exists(os.path.join(STAGE, "bin/axsignald"))  # they are a build option
CLONE_NEWNS, MS_REC, MS_SLAVE = 0x00020000, 16384, 1 << 19
TIMED_RUNS = 20
MIB = 1 << 20

ON_TERMINAL = sys.stdin.isatty() and sys.stdout.isatty()
BOLD, DIM, RED, PLAIN = ("\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "", "")


class StepFailed(Exception):
    """A step did not do what it should; the message says what it did."""


class Stopped(Exception):
    """SIGINT, SIGTERM or SIGHUP."""


def say(text=""):
    print(text, flush=True)


def title(text):
    say(f"\n{BOLD}{text}{PLAIN}")


def typed(words):
    """A command as one types it."""
    return " ".join(shlex.quote(word) for word in words)


def program(name):
    for folder in ("bin", "libexec/axle"):
        path = os.path.join(STAGE, folder, name)
        if os.access(path, os.X_OK):
            return path
    raise StepFailed(f"{STAGE} has no program {name}: run make")


def private_mounts():
    """Mounts that the node makes are gone with it, even if it is killed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0 or libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_SLAVE), None) != 0:
        raise StepFailed(f"a mount namespace of its own: {os.strerror(ctypes.get_errno())}")


def memory_bytes(pid):
    """The proportional share of a process: pages that it shares with others are divided among them."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
        return int(re.search(r"^Pss:\s+(\d+) kB", file.read(), re.MULTILINE).group(1)) * 1024


class Demo:
    def __init__(self, folder):
        self.folder = folder
        self.name = os.path.basename(folder)
        self.root, self.state = os.path.join(folder, "root"), os.path.join(folder, "state")
        self.registry = Registry(os.path.join(folder, "registry"))
        self.axled = None
        self.vehicle = Vehicle(os.path.join(folder, "vehicle"), program, os.path.join(STAGE, "share")) if HAS_SIGNALS else None
        config = os.path.join(folder, "axled.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write("[cni]\nenabled = false\n")  # no bridge and no rules on the machine of who looks around
            file.write(self.vehicle.axled_config() if self.vehicle else "")
        self.environment = {**os.environ, "AXLE_SOCKET": os.path.join(self.state, "axle.sock"), "AXLE_CONFIG": config}

    # One step: a command, its result, its time.

    def axle(self, *words, shown=True, input=None, code=0):
        started = time.monotonic()
        done = subprocess.run([program("axle"), *words], env=self.environment, capture_output=True, text=True, check=False,
                              timeout=60, **({"stdin": subprocess.DEVNULL} if input is None else {"input": input}))
        milliseconds = (time.monotonic() - started) * 1000
        if shown or done.returncode != code:
            say(f"{BOLD}$ axle {typed(words)}{PLAIN}   {DIM}{milliseconds:.0f} ms{PLAIN}")
            for line in (done.stdout + done.stderr).rstrip("\n").split("\n"):
                say(f"  {line}")
        if done.returncode != code:
            raise StepFailed(f"axle {words[0]} ended with {done.returncode}")
        return done.stdout + (done.stderr if code else ""), milliseconds

    def expect(self, wanted, *words, **options):
        """A step whose output must hold @wanted."""
        output, _ = self.axle(*words, **options)
        if wanted not in output:
            raise StepFailed(f"axle {words[0]}: expected {wanted!r} in what it prints")
        return output

    # The steps.

    def start_registry(self):
        self.registry.start()
        say(f"{BOLD}$ docker-registry serve config.yml &{PLAIN}   {DIM}Debian's, on {self.registry.address}{PLAIN}")
        layout = Layout(os.path.join(self.folder, "layout"))
        greeting = Entry("etc/motd", b"You are in a container that Axle runs.\n")
        layout.add("busybox", [busybox_layer(), [greeting]], {"Cmd": ["sh"], "Env": ["PATH=/bin", "PS1=container# "]})
        self.image = self.registry.image("busybox")
        layout.push("busybox", self.image + ":latest")
        say(f"{BOLD}$ skopeo copy oci:layout:busybox docker://{self.image}{PLAIN}   {DIM}busybox-static as an image{PLAIN}")

    def start_node(self):
        started = time.monotonic()
        with open(os.path.join(self.folder, "axled.log"), "ab") as log:
            self.axled = subprocess.Popen([program("axled"), "--root", self.root, "--state", self.state, "--name", self.name],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment,
                                          start_new_session=True)
        while not self.answers():
            if self.axled.poll() is not None or time.monotonic() - started > 10:
                raise StepFailed(f"axled did not start:\n{self.log()}")
            time.sleep(0.002)
        say(f"{BOLD}$ axled --root {self.root} --state {self.state} --name {self.name} &{PLAIN}   "
            f"{DIM}answers after {(time.monotonic() - started) * 1000:.0f} ms{PLAIN}")

    def answers(self):
        return os.path.exists(self.environment["AXLE_SOCKET"]) and subprocess.run(
            [program("axle"), "version"], env=self.environment, capture_output=True, check=False,
            stdin=subprocess.DEVNULL).returncode == 0

    def log(self):
        with open(os.path.join(self.folder, "axled.log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-3000:]

    def show(self):
        self.axle("pull", self.image)
        self.expect(self.image, "images")
        self.expect("hello from a container", "run", "--rm", self.image, "echo", "hello from a container")
        self.axle("run", "-d", "--name", "clock", "--memory", "32m", self.image,
                  "sh", "-c", "trap 'exit 0' TERM; while :; do echo tick; sleep 1 & wait; done")
        self.expect("clock", "ps")
        self.expect("PID", "exec", "clock", "ps")
        self.wait_for_log("clock", "tick")
        self.expect("tick", "logs", "clock")

    def start_vehicle(self):
        started = time.monotonic()
        try:
            self.vehicle.start()
        except RuntimeError as error:
            raise StepFailed(str(error)) from error
        one = self.vehicle
        say(f"{BOLD}$ axsignald --catalogue demo.json --config {one.policy} --mount {one.files} &{PLAIN}")
        say(f"{BOLD}$ axle signal sim {one.drive} &{PLAIN}   {DIM}both after {(time.monotonic() - started) * 1000:.0f} ms{PLAIN}")

    def show_signals(self):
        say(f"{BOLD}$ cat {self.vehicle.speed}{PLAIN}")
        done = subprocess.run(["cat", self.vehicle.speed], capture_output=True, text=True, check=False, timeout=10)
        say(f"  {(done.stdout + done.stderr).strip()}")
        if done.returncode != 0 or not 20 <= float(done.stdout) <= 110:
            raise StepFailed("cat: expected a speed from 20 to 110")
        asked = ["--annotation", "axle.signals.read=Vehicle.Speed"]
        watched = self.axle("run", "--rm", "--name", "dash", *asked, self.image, "head", "-n", "3",
                            "/dev/signal/Vehicle/Speed@follow")[0]
        if len([line for line in watched.split() if 20 <= float(line) <= 110]) != 3:
            raise StepFailed("dash: expected three speeds from 20 to 110")
        say(f"  {DIM}the policy grants it to \"dash\", and to nobody else:{PLAIN}")
        self.expect("No such file", "run", "--rm", "--name", "radio", *asked, self.image, "cat", "/dev/signal/Vehicle/Speed",
                    code=1)

    def wait_for_log(self, name, text):
        deadline = time.monotonic() + 10
        while text not in self.axle("logs", name, shown=False)[0]:
            if time.monotonic() > deadline:
                raise StepFailed(f"axle logs {name}: no {text!r} within 10 s")
            time.sleep(0.02)

    def measure(self):
        times = [self.axle("run", "--rm", self.image, "true", shown=False)[1] for _ in range(TIMED_RUNS)]
        sizes = {name: os.path.getsize(program(name)) for name in ("axled", "axle", "axrun", "axmon")}
        monitors = [int(pid) for pid in self.processes() if os.path.basename(self.executable(pid)) == "axmon"]
        per_container = statistics.mean(memory_bytes(pid) for pid in monitors) if monitors else 0
        say(f"  axle run --rm IMAGE true    {min(times):.0f} ms best, {statistics.median(times):.0f} ms median of "
            f"{TIMED_RUNS}: pod, container, start, wait, remove")
        say(f"  memory of the node          axled {memory_bytes(self.axled.pid) / MIB:.1f} MiB, and "
            f"{per_container / MIB:.1f} MiB for each container (axmon)")
        say("  size of the programs        " + ", ".join(f"{name} {size / MIB:.1f} MiB" for name, size in sizes.items()))

    # Taking down.

    def processes(self):
        """The pids of what still runs for this node, by its folder or name on their command lines."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    line = file.read().decode(errors="replace")
            except OSError:
                continue
            if int(pid) != os.getpid() and (self.folder in line or self.name in line):
                found.append(pid)
        return found

    @staticmethod
    def executable(pid):
        try:
            return os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
        except OSError:
            return ""

    def cgroups(self):
        found = []
        for folder, folders, _ in os.walk("/sys/fs/cgroup"):
            found += [os.path.join(folder, name) for name in folders if name.startswith(self.name)]
        return found

    def take_down(self):
        """Ends everything that was started; returns what would not go."""
        problems = []
        if self.axled and self.axled.poll() is None:
            problems += self.end_node()
        problems += self.vehicle.stop() if self.vehicle else []
        self.registry.stop()
        deadline = time.monotonic() + 5
        while (self.processes() or self.cgroups()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in self.processes():
            problems.append(f"the process {pid} ({self.executable(pid)}) was left")
            os.kill(int(pid), signal.SIGKILL)
        problems += [f"the cgroup {path} was left" for path in self.cgroups()]
        problems += self.remove_folder()
        return problems

    def end_node(self):
        problems = []
        try:
            ids = self.axle("ps", "-aq", shown=False)[0].split()
            if ids:
                self.axle("rm", "-f", *ids, shown=False)
        except (StepFailed, subprocess.TimeoutExpired) as error:
            problems.append(str(error))
        self.axled.terminate()
        try:
            if self.axled.wait(10) != 0:
                problems.append(f"axled ended with {self.axled.returncode}:\n{self.log()}")
        except subprocess.TimeoutExpired:
            self.axled.kill()
            self.axled.wait()
            problems.append(f"axled did not end within 10 s:\n{self.log()}")
        return problems

    def remove_folder(self):
        with open("/proc/self/mountinfo", encoding="utf-8") as table:
            mounted = [line.split(" ")[4] for line in table if line.split(" ")[4].startswith(self.folder)]
        if mounted:  # never removed with something mounted below it
            return [f"{path} was left mounted" for path in mounted]
        shutil.rmtree(self.folder)
        return []


def stay(demo):
    title("The node stays up. In another terminal:")
    say(f"  export AXLE_SOCKET={demo.environment['AXLE_SOCKET']} PATH={os.path.join(STAGE, 'bin')}:$PATH\n")
    say(f"  axle run --rm -it {demo.image}        {DIM}# a shell in a container{PLAIN}")
    if demo.vehicle:
        say(f"  axle signal watch --socket {demo.vehicle.socket} Vehicle.Speed")
    say(f"  axle logs -f clock                      {DIM}# what the one that runs says{PLAIN}")
    say(f"  kill -9 {demo.axled.pid}; axle ps                {DIM}# the manager dies, the container does not: see \"clock\" "
        f"above{PLAIN}")
    say(f"\n{DIM}Ctrl-C takes everything down.{PLAIN}")
    while demo.axled.poll() is None:
        time.sleep(0.2)
    revive(demo)


def revive(demo):
    """The user killed the manager, as was proposed: a new one finds what runs."""
    say(f"\naxled ended ({demo.axled.returncode}). A new one:")
    demo.start_node()
    demo.expect("clock", "ps")
    say(f"\n{DIM}Ctrl-C takes everything down.{PLAIN}")
    while demo.axled.poll() is None:
        time.sleep(0.2)
    raise StepFailed(f"axled ended with {demo.axled.returncode}:\n{demo.log()}")


def stop(number, _):
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)  # once is enough: the rest is taking down
    raise Stopped(signal.Signals(number).name)


def run(demo):
    """Returns the exit code."""
    try:
        title("A registry, and an image in it")
        demo.start_registry()
        title("A node")
        demo.start_node()
        title("Pull it, run it, see it")
        demo.show()
        if demo.vehicle:
            title("The vehicle's signals are files, also in a container that may have them")
            demo.start_vehicle()
            demo.show_signals()
        title("What it costs")
        demo.measure()
        if ON_TERMINAL:
            stay(demo)
        title("Stop it")
        demo.axle("stop", "clock")
        demo.axle("rm", "clock")
        return 0
    except StepFailed as error:
        say(f"{RED}make run: {error}{PLAIN}")
        if demo.axled:
            say(demo.log())
        return 1


def become_root():
    if os.geteuid() == 0:
        return
    if not shutil.which("sudo"):
        sys.exit("make run: a node needs root (namespaces, mounts, cgroups): expected to be root, or sudo to become it")
    say("A node needs root (namespaces, mounts, cgroups); sudo may ask for your password.")
    os.execvp("sudo", ["sudo", "--preserve-env=BUILD", "--", "/usr/bin/python3", os.path.abspath(__file__)])


def main():
    become_root()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    private_mounts()
    demo = Demo(tempfile.mkdtemp(prefix="axle-run-"))
    code = 1
    try:
        code = run(demo)
    except Stopped as reason:
        code = 0 if ON_TERMINAL and str(reason) == "SIGINT" else 1
        say()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    problems = demo.take_down()
    for problem in problems:
        say(f"{RED}make run: {problem}{PLAIN}")
    say(f"{DIM}Node, registry and {demo.folder} are gone.{PLAIN}" if not problems else f"{RED}Not everything went.{PLAIN}")
    return code or (1 if problems else 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StepFailed as error:
        sys.exit(f"make run: {error}")
