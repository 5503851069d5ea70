"""A place of its own for the whole test run, so that nothing it does reaches the host: private mount, network and ipc
namespaces, a private /dev, /run and view of the cgroup hierarchies, and a reaper above pytest that adopts every orphan, as a
real init would, and ends what is left when pytest is gone.

Never removed recursively: anything below which something of the host's is mounted."""
import ctypes
import os
import signal
import stat
import sys

CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWNET = 0x00020000, 0x08000000, 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_SLAVE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 19
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36

LIBC = ctypes.CDLL(None, use_errno=True)


def checked(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def mount(source, target, kind=None, flags=0, data=None):
    texts = [None if text is None else str(text).encode() for text in (source, target, kind, data)]
    checked(LIBC.mount(texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3]), f"mount {source} on {target}")


def unshare(flags):
    checked(LIBC.unshare(flags), "unshare")


def mount_points(below):
    """The mount points below a folder, as they are now, in the order they were made."""
    points = []
    with open("/proc/self/mountinfo", encoding="utf-8") as table:
        for line in table:
            point = line.split(" ")[4].encode().decode("unicode_escape")
            if point.startswith(below + "/"):
                points.append(point)
    return points


def private_cgroup_view():
    """The same hierarchies on a tmpfs of our own: to remove a folder of it detaches nothing of the host's."""
    base = "/sys/fs/cgroup"
    points = [point for point in mount_points(base) if point.count("/") == base.count("/") + 1]
    if not points:
        return  # v2 alone is mounted on the base itself: nothing of the host's hangs on its folders
    held = {point: os.open(point, os.O_PATH | os.O_DIRECTORY) for point in points}
    links = {name: os.readlink(f"{base}/{name}") for name in os.listdir(base) if os.path.islink(f"{base}/{name}")}
    mount("cgroup-view", base, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755")
    for point, descriptor in held.items():
        os.mkdir(point)
        mount(f"/proc/self/fd/{descriptor}", point, None, MS_BIND)
        os.close(descriptor)
    for name, target in links.items():
        os.symlink(target, f"{base}/{name}")
    mount(None, base, None, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)


def private_dev():
    """Nodes of our own for what the host's /dev has, on a tmpfs."""
    nodes, links = {}, {}
    for name in os.listdir("/dev"):
        status = os.lstat(f"/dev/{name}")
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            nodes[name] = status
        elif stat.S_ISLNK(status.st_mode):
            links[name] = os.readlink(f"/dev/{name}")
    tun = os.lstat("/dev/net/tun") if os.path.exists("/dev/net/tun") else None
    pts = os.open("/dev/pts", os.O_PATH | os.O_DIRECTORY)
    mount("dev", "/dev", "tmpfs", MS_NOSUID, "mode=755")
    for name, status in nodes.items():
        os.mknod(f"/dev/{name}", status.st_mode, status.st_rdev)
        os.chmod(f"/dev/{name}", stat.S_IMODE(status.st_mode))
    if tun:
        os.mkdir("/dev/net")
        os.mknod("/dev/net/tun", tun.st_mode, tun.st_rdev)
    for name, target in links.items():
        os.symlink(target, f"/dev/{name}")
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"/dev/{name}")
    mount(f"/proc/self/fd/{pts}", "/dev/pts", None, MS_BIND)
    os.close(pts)
    mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    mount("mqueue", "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def loopback_up():
    os.spawnvp(os.P_WAIT, "ip", ["ip", "link", "set", "lo", "up"])


def enter():
    """Moves this process into the sandbox (root only), below a reaper. Returns in the child, which runs the tests."""
    reap_for_child()
    unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC)
    mount(None, "/", None, MS_REC | MS_SLAVE)
    private_cgroup_view()
    private_dev()
    mount("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    loopback_up()


def reap_for_child():
    """Forks. The parent stays as the init of the run: reaps orphans, passes signals on, ends all when the child ends."""
    checked(LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        checked(LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
        if os.getppid() != parent:
            os._exit(1)
        return
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: os.kill(child, n))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the child as well
    os._exit(be_init(child))


def be_init(child):
    code = 1
    while True:
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        except ChildProcessError:
            return code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            code = code if code >= 0 else 128 - code
            end_descendants(os.getpid())


def cgroups_named(text):
    """The groups, of all hierarchies, whose own name holds @text. Looked for where runtimes and nodes make theirs: at most two
    levels below a hierarchy's root (a walk of everything costs a tenth of a second, for each test twice)."""
    found, base = [], "/sys/fs/cgroup"

    def look(folder, depth):
        with os.scandir(folder) as entries:
            groups = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        for path in groups:
            if text in os.path.basename(path):
                found.append(path)
            elif depth:
                try:
                    look(path, depth - 1)
                except FileNotFoundError:
                    pass  # gone meanwhile
    look(base, 2)
    return found


def parents():
    """pid -> (parent, start time, name) of every process."""
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                text = file.read()
        except OSError:
            continue
        fields = text[text.rindex(")") + 2:].split(" ")
        table[int(name)] = (int(fields[1]), int(fields[19]), text[text.index("(") + 1:text.rindex(")")], fields[0])
    return table


def descendants(of):
    """(pid, start time) -> name, of all processes below @of that are not zombies."""
    table = parents()
    children = {}
    for pid, (parent, _, _, _) in table.items():
        children.setdefault(parent, []).append(pid)
    found, queue = {}, list(children.get(of, []))
    while queue:
        pid = queue.pop()
        queue += children.get(pid, [])
        if table[pid][3] != "Z":
            found[(pid, table[pid][1])] = table[pid][2]
    return found


def end_descendants(of):
    for pid, _ in descendants(of):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":  # sandbox.py COMMAND...: a shell in such a place, to look around
    enter()
    os.execvp(sys.argv[1], sys.argv[1:])
