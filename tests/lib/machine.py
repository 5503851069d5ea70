"""An emulated machine (QEMU without KVM) on Debian's own kernel, whose root is this machine's, seen read-only through 9p and
covered by a tmpfs: the same programs and tests under another kernel, with cgroup v2 alone, AppArmor and virtual CAN.

What runs inside is a shell script. It talks to us through one folder, which both sides see (/mnt/share in there).

machine.py KERNEL REPORT ARGUMENT...   runs `pytest ARGUMENT...` of this tree in there, and fetches its junit report
machine.py KERNEL -- COMMAND...        runs a command in there, to look around"""
import os
import pathlib
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]  # this tree; where it lies in /tmp, which is empty in there, it is shown all the same
BUSYBOX = "/bin/busybox"
MEMORY_MIB = 3072
RUN_SECONDS = 2400

# The first program in the machine: modules for its root, the root, and over to the script.
INIT = """#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /host /top /root
/bin/busybox mount -t proc none /proc
export PATH=/bin
/bin/busybox --install -s /bin
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for module in virtio_pci 9pnet_virtio 9p overlay; do modprobe $module || echo "no module $module"; done
mount -t 9p -o ro,trans=virtio,version=9p2000.L,cache=loose,msize=512000 host /host
mount -t tmpfs -o mode=755 top /top
mkdir /top/upper /top/scratch
mount -t overlay -o lowerdir=/host,upperdir=/top/upper,workdir=/top/scratch root /root
cd /root
for place in proc sys dev; do mount --move /$place $place; done
for place in run tmp var/tmp var/lib; do mount -t tmpfs -o mode=1777 none $place; done
mkdir -p dev/pts dev/shm dev/mqueue mnt/share lib/modules/$(uname -r)
mount -t devpts -o gid=5,mode=620,ptmxmode=666 none dev/pts
mount -t tmpfs -o mode=1777 none dev/shm
mount -t mqueue none dev/mqueue
mount -t cgroup2 none sys/fs/cgroup
mount -t securityfs none sys/kernel/security
mount -t 9p -o trans=virtio,version=9p2000.L,cache=none,msize=512000 share mnt/share
mount --bind /lib/modules/$(uname -r) lib/modules/$(uname -r)
tree=$(cat /tree)
[ -e .$tree ] || { mkdir -p .$tree && mount --bind /host$tree .$tree; }
for module in $(cat /modules); do modprobe $module || echo "no module $module"; done
hostname emulated
ip link set lo up
exec switch_root /root /bin/sh -c '
cd /
sh /mnt/share/script >/mnt/share/output 2>&1 </dev/null
echo $? >/mnt/share/status
sync
/bin/busybox poweroff -f'
"""
MODULES = ("crc32c_generic", "fuse", "erofs", "loop", "veth", "bridge", "ifb", "macvlan", "nf_tables", "nft_chain_nat", "nft_compat",
           "vcan", "can-raw", "ipv6")


def cpio_entry(name, mode, data=b"", number=[0]):
    """One entry of an archive in the "newc" form (kernel: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    number[0] += 1
    fields = (number[0], mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


def needed_modules(folder, names):
    """The module files, relative to @folder (lib/modules/RELEASE), of @names and what they need."""
    needs = {}
    for line in (folder / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {pathlib.PurePath(path).stem.replace("-", "_"): path for path in needs}
    return sorted({path for name in names if name.replace("-", "_") in by_name
                   for path in [by_name[name.replace("-", "_")], *needs[by_name[name.replace("-", "_")]]]})


def initramfs(kernel, path):
    """Writes the first root: busybox, the first program, the modules."""
    modules = kernel / "lib/modules"
    release = os.listdir(modules)[0]
    files = {"init": INIT.encode(), "modules": " ".join(MODULES).encode(), "tree": str(ROOT).encode(),
             "bin/busybox": pathlib.Path(BUSYBOX).read_bytes()}
    for name in ("modules.dep", "modules.alias", "modules.builtin"):
        files[f"lib/modules/{release}/{name}"] = (modules / release / name).read_bytes()
    for name in needed_modules(modules / release, ("virtio_pci", "9pnet_virtio", "9p", "overlay", *MODULES)):
        files[f"lib/modules/{release}/{name}"] = (modules / release / name).read_bytes()
    folders = sorted({str(parent) for name in files for parent in pathlib.PurePath(name).parents if str(parent) != "."})
    with open(path, "wb") as archive:
        for name in folders:
            archive.write(cpio_entry(name, stat.S_IFDIR | 0o755))
        for name, data in files.items():
            archive.write(cpio_entry(name, stat.S_IFREG | 0o755, data))
        archive.write(cpio_entry("TRAILER!!!", 0))


class Machine:
    """@kernel: what tools/guest-kernel.sh made. @folder: for what this machine writes."""

    def __init__(self, kernel, folder):
        self.kernel, self.folder = pathlib.Path(kernel), pathlib.Path(folder)
        self.share = self.folder / "share"
        self.share.mkdir(parents=True)
        initramfs(self.kernel, self.folder / "initramfs")

    def command(self):
        return ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", str(MEMORY_MIB),
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
                "-chardev", f"file,id=console,path={self.folder / 'console'}", "-serial", "chardev:console",
                "-kernel", str(self.kernel / "vmlinuz"), "-initrd", str(self.folder / "initramfs"),
                "-append", "console=ttyS0 quiet panic=-1 mitigations=off apparmor=1 security=apparmor",
                "-fsdev", "local,id=host,path=/,security_model=passthrough,readonly=on,multidevs=remap",
                "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
                "-fsdev", f"local,id=share,path={self.share},security_model=none",
                "-device", "virtio-9p-pci,fsdev=share,mount_tag=share"]

    def run(self, script, seconds):
        """Boots, runs the shell script as root, and powers off. Returns its exit status and output."""
        (self.share / "script").write_text(script)
        with open(self.folder / "qemu.log", "wb") as log:
            subprocess.run(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=seconds, check=True)
        status = self.share / "status"
        if not status.exists():
            raise AssertionError("the machine went down before the script ended:\n" + self.console())
        return int(status.read_text()), (self.share / "output").read_text(errors="replace")

    def console(self):
        """The end of what the kernel and the first program printed."""
        return (self.folder / "console").read_text(errors="replace")[-4000:]


def tests(report, arguments):
    """A script that runs pytest over this tree."""
    words = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "machine or machine_only",
             f"--junitxml=/mnt/share/{report}", *arguments]
    stage = os.path.abspath(os.environ.get("AXLE_STAGE") or ROOT / "build/stage")
    return f"cd {shlex.quote(str(ROOT))} && AXLE_TEST_MACHINE=1 AXLE_STAGE={shlex.quote(stage)} exec {shlex.join(words)}"


def main():
    kernel, report, *arguments = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="axmachine-", dir="/var/tmp")
    try:
        machine = Machine(kernel, folder)
        script = shlex.join(arguments) if report == "--" else tests("report.xml", arguments)
        status, output = machine.run(script, RUN_SECONDS)
        print(output)
        if status != 0:
            print(machine.console())
        if (machine.share / "report.xml").exists():
            shutil.copyfile(machine.share / "report.xml", report)
        return status
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
