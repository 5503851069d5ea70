"""A client of axmon in plain Python (docs/formats/monitor-protocol.md), and bundles for its containers."""
import array
import fcntl
import json
import os
import pathlib
import select
import shutil
import socket
import subprocess
import time

MESSAGE_MAX = 65536
BUSYBOX = "/bin/busybox"


class Refused(Exception):
    """An error reply."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.error = error


class Gone(Exception):
    """The monitor closed the connection."""


class Connection:
    """One connection: requests and events. Descriptors that come with a message are its "fds", by name."""

    def __init__(self, sock):
        self.socket = sock
        self.last_id = 0
        self.events = []

    @classmethod
    def to(cls, path):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY)
        try:
            sock.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        finally:
            os.close(folder)
        return cls(sock)

    def send(self, op, descriptors=None, **members):
        self.last_id += 1
        names, fds = zip(*descriptors.items()) if descriptors else ((), ())
        message = {"id": self.last_id, "op": op, **members}
        if names:
            message["descriptors"] = list(names)
        self.send_raw(json.dumps(message).encode(), fds)
        return self.last_id

    def send_raw(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.socket.sendmsg([data], rights)

    def receive(self, timeout=20):
        """The next message; its descriptors are in "fds" by name."""
        self.socket.settimeout(timeout)
        try:
            data, rights, _, _ = self.socket.recvmsg(MESSAGE_MAX, socket.CMSG_SPACE(8 * 4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            data, rights = b"", []
        if not data:
            raise Gone()
        message = json.loads(data)
        fds = array.array("i")
        for _, _, part in rights:
            fds.frombytes(part[:len(part) - len(part) % 4])
        message["fds"] = dict(zip(message.get("descriptors", []), fds))
        return message

    def wait_reply(self, number, timeout=20):
        while True:
            message = self.receive(timeout)
            if message.get("id", 0) == 0:
                self.events.append(message)
                continue
            assert message["id"] == number, message
            if "error" in message:
                raise Refused(message["error"])
            return message

    def call(self, op, descriptors=None, timeout=20, **members):
        return self.wait_reply(self.send(op, descriptors, **members), timeout)

    def wait_event(self, op, timeout=20):
        """The first event of this kind that was not asked for before."""
        deadline = time.monotonic() + timeout
        while True:
            for event in self.events:
                if event["op"] == op:
                    self.events.remove(event)
                    return event
            message = self.receive(max(0.01, deadline - time.monotonic()))
            assert message.get("id", 0) == 0, message
            self.events.append(message)

    def hello(self, version=1, oldest=1):
        return self.call("hello", hello={"version": version, "oldest": oldest, "program": "pytest"})

    def close(self):
        self.socket.close()


def process_object(*args, tty=False, uid=0, env=(), rows=0, columns=0):
    """The "process" of config.json, and of an exec."""
    return {
        "terminal": tty,
        **({"consoleSize": {"height": rows, "width": columns}} if rows else {}),
        "user": {"uid": uid, "gid": uid},
        "args": list(args),
        "env": ["PATH=/bin", "TERM=xterm", *env],
        "cwd": "/",
        "noNewPrivileges": True,
        "capabilities": {name: ["CAP_KILL"] for name in ("bounding", "effective", "permitted")},
    }


def make_bundle(folder, cgroups_path, *args, tty=False, memory=None, uid=0, share_pids=False):
    """A bundle of Debian's static busybox; returns its path."""
    bundle = pathlib.Path(folder)
    root = bundle / "rootfs"
    for name in ("bin", "proc", "dev", "tmp", "sys"):
        (root / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(BUSYBOX, root / "bin" / "busybox")
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in applets:
        if applet != "busybox":
            os.symlink("busybox", root / "bin" / applet)
    kinds = ["mount", "ipc", "uts"] + ([] if share_pids else ["pid"])
    spec = {
        "ociVersion": "1.0.2",
        "process": process_object(*args, tty=tty, uid=uid),
        "root": {"path": "rootfs", "readonly": False},
        "hostname": "monitored",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in kinds],
            "cgroupsPath": cgroups_path,
            "resources": {"memory": {"limit": memory, "swap": memory}} if memory else {},
        },
    }
    (bundle / "config.json").write_text(json.dumps(spec))
    return bundle


class Runtime:
    """An OCI runtime with a state folder of its own."""

    def __init__(self, path, root, *args):
        self.path, self.root, self.args = str(path), str(root), [str(arg) for arg in args]

    def global_args(self):
        return ["--root", self.root, *self.args]

    def run(self, *args):
        return subprocess.run([self.path, *self.global_args(), *args], capture_output=True, text=True, check=False)


def memfd(text):
    fd = os.memfd_create("process")
    os.write(fd, text.encode())
    return fd


class Monitor:
    """One container with its axmon. @options go into the configuration of create."""

    def __init__(self, axmon, runtime, folder, name, *args, bundle_options=None, **options):
        self.axmon, self.runtime, self.name = str(axmon), runtime, name
        self.folder = pathlib.Path(folder)
        self.record = self.folder / "record"
        self.record.mkdir(parents=True)
        tty = options.get("tty", False)
        self.bundle = make_bundle(self.folder / "bundle", f"/{name}/container", *args, tty=tty, **(bundle_options or {}))
        self.log = self.folder / "log"
        runtime_options = options.pop("runtime_options", {})
        self.config = {
            "id": name,
            "bundle": str(self.bundle),
            "record_dir": str(self.record),
            "socket": str(self.folder / "socket"),
            "runtime": {"path": runtime.path, "args": runtime.global_args(), "timeout_ms": 20000, **runtime_options},
            "log": {"path": str(self.log)},
            **options,
        }
        self.processes = []
        self.connections = []
        self.fds = {}
        self.created = False

    # ---- its life ----

    def spawn(self, greet=True):
        """A new axmon, connected."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [self.axmon, "--control-fd", str(theirs.fileno()), "--cgroup", f"/{self.name}/monitor"],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self.processes.append(process)
        self.connection = Connection(ours)
        self.connections.append(self.connection)
        if greet:
            self.connection.hello()
        return self.connection

    def connect(self):
        connection = Connection.to(self.config["socket"])
        self.connections.append(connection)
        connection.hello()
        return connection

    @property
    def pid(self):
        return self.processes[-1].pid

    def create(self, **options):
        self.spawn()
        self.created = True
        reply = self.connection.call("create", config=self.config, timeout=30, **options)
        self.keep(reply)
        return reply

    def keep(self, reply):
        for fd in self.fds.values():
            os.close(fd)
        self.fds = reply["fds"]

    def start(self):
        return self.connection.call("start")

    def run(self):
        self.create()
        return self.start()

    def adopt(self, keep=True, **changes):
        """A new axmon goes on with the container of the former."""
        self.spawn()
        descriptors = self.fds if keep else None
        reply = self.connection.call("adopt", descriptors=descriptors, config={**self.config, **changes})
        self.keep(reply)
        return reply

    def kill_monitor(self):
        os.kill(self.pid, 9)
        self.processes[-1].wait()

    def init_pid(self):
        return json.loads((self.record / "monitor.json").read_text())["pid"]

    def wait_exited(self, timeout=20):
        return self.connection.wait_event("exited", timeout)["exit"]

    def exit_record(self):
        return json.loads((self.record / "exit.json").read_text())

    def exec(self, session, *args, stdio=None, tty=False, **options):
        size = {name: options[name] for name in ("rows", "columns") if name in options}
        fd = memfd(json.dumps(process_object(*args, tty=tty, **size)))
        try:
            return self.connection.call("exec", descriptors={"process": fd, **(stdio or {})},
                                        exec={"session": session, "tty": tty, **options})
        finally:
            os.close(fd)

    def exec_output(self, session, *args, **options):
        """Runs it to its end; returns what it wrote to stdout and the exit event."""
        read_end, write_end = os.pipe()
        self.exec(session, *args, stdio={"stdout": write_end, "stderr": write_end}, **options)
        os.close(write_end)
        output = read_all(read_end)
        os.close(read_end)
        event = self.connection.wait_event("exec-exited")["exec_exit"]
        assert event["session"] == session
        return output, event

    def records(self):
        """The log as (stream, tag, content)."""
        found = []
        for line in self.log.read_bytes().split(b"\n")[:-1]:
            stamp, stream, tag, content = line.split(b" ", 3)
            assert len(stamp) == 30 and stamp.endswith(b"Z"), line[:80]
            found.append((stream.decode(), tag.decode(), content))
        return found

    def logged(self, stream="stdout"):
        """A stream's bytes as a reader joins them."""
        return b"".join(content + (b"\n" if tag == "F" else b"")
                        for name, tag, content in self.records() if name == stream)

    def clean(self):
        for fd in self.fds.values():
            os.close(fd)
        for connection in self.connections:
            connection.close()
        if self.created:
            self.runtime.run("delete", "--force", self.name)
        problems = []
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                problems.append(f"axmon {process.pid} does not end")
                process.kill()
                process.wait()
        remove_cgroups(self.name)
        return problems


def remove_cgroups(name):
    """The empty groups of one test, below this run's view of the hierarchies."""
    deadline = time.monotonic() + 3
    for hierarchy in {"/sys/fs/cgroup", *(f"/sys/fs/cgroup/{entry}" for entry in os.listdir("/sys/fs/cgroup"))}:
        for path in (f"{hierarchy}/{name}/monitor", f"{hierarchy}/{name}/container", f"{hierarchy}/{name}"):
            while os.path.isdir(path):
                try:
                    os.rmdir(path)
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.02)


def read_all(fd, timeout=20):
    """Until the end of file (a terminal says EIO)."""
    data = b""
    deadline = time.monotonic() + timeout
    while True:
        chunk = read_some(fd, deadline - time.monotonic())
        if not chunk:
            return data
        data += chunk


def read_some(fd, timeout=20):
    ready, _, _ = select.select([fd], [], [], max(0, timeout))
    if not ready:
        raise TimeoutError("nothing to read")
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return read_some(fd, timeout)
    except OSError:
        return b""


def read_until(fd, wanted, timeout=20):
    data = b""
    deadline = time.monotonic() + timeout
    while wanted not in data:
        chunk = read_some(fd, deadline - time.monotonic())
        if not chunk:
            break
        data += chunk
    return data


def pipe_size(fd):
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)


def wait_until(condition, timeout=10):
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.02)
