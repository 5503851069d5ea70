"""Mounts, masks and devices: what is asked for is there, and nothing leads out of the root."""
import os
import pathlib
import subprocess

import pytest


@pytest.fixture
def outside(folder):
    """A folder of the host, with a file in it."""
    path = folder / "outside"
    path.mkdir()
    (path / "file").write_text("of the host\n")
    return path


def test_bind_read_only_and_read_write(bundle, outside):
    bundle.mount("/ro", outside, "rbind", "ro").mount("/rw", outside, "rbind", "rw").mount("/file", outside / "file", "bind")
    bundle.config["root"]["readonly"] = False
    out = bundle.shell("cat /file; touch /ro/x 2>&1; touch /rw/x && echo written").output()
    assert "of the host" in out and "Read-only file system" in out and "written" in out
    assert (outside / "x").exists()


def test_recursive_read_only(bundle, outside):
    (outside / "below").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", outside / "below"], check=True)
    try:
        bundle.config["root"]["readonly"] = False
        bundle.mount("/ro", outside, "rbind", "ro").mount("/rro", outside, "rbind", "rro")
        out = bundle.shell("touch /ro/below/x && echo written; touch /rro/below/y 2>&1 || echo refused").output()
    finally:
        subprocess.run(["umount", outside / "below"], check=True)
    assert "written" in out and "Read-only file system" in out and "refused" in out


def test_nothing_mounted_inside_reaches_the_host(bundle, outside):
    subprocess.run(["mount", "--bind", outside, outside], check=True)
    subprocess.run(["mount", "--make-shared", outside], check=True)
    try:
        bundle.config["process"]["capabilities"] = {kind: ["CAP_SYS_ADMIN"] for kind in ("bounding", "effective", "permitted")}
        bundle.mount("/shared", outside, "rbind").config["root"]["readonly"] = False
        out = bundle.shell("mkdir -p /shared/m; mount -t tmpfs none /shared/m && echo mounted").output()
        assert out == "mounted\n"
        assert not os.path.ismount(outside / "m")
    finally:
        subprocess.run(["umount", outside], check=True)


def test_idmapped_mount(bundle, outside):
    os.chown(outside / "file", 1000, 1000)
    maps = [{"containerID": 1000, "hostID": 5000, "size": 1}]
    bundle.mount("/m", outside, "bind", uidMappings=maps, gidMappings=maps)
    done = bundle.args("stat", "-c", "%u:%g", "/m/file").run()
    assert done.stdout == "5000:5000\n", done.stderr


def test_tmpfs_with_the_images_files(bundle):
    (bundle.root / "etc/sub").mkdir()
    (bundle.root / "etc/sub/file").write_text("from the image\n")
    os.chmod(bundle.root / "etc", 0o751)
    bundle.mount("/etc", "tmpfs", "tmpcopyup", "size=1m", kind="tmpfs")
    out = bundle.shell("cat /etc/sub/file; echo new > /etc/new && cat /etc/new; stat -c %a /etc").output()
    assert out == "from the image\nnew\n751\n"
    assert not (bundle.root / "etc/new").exists()


def test_options_that_the_file_system_refuses_are_named(bundle):
    done = bundle.args("true").mount("/t", "tmpfs", "no_such_option=1", kind="tmpfs").run()
    assert done.returncode == 1 and 'option "no_such_option=1" refused' in done.stderr


def test_masked_and_read_only_paths(bundle):
    out = bundle.shell("cat /proc/keys | wc -c; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/hostname").run()
    assert out.stdout == "0\n0\n" and "Read-only file system" in out.stderr
    assert bundle.shell("stat -c %t:%T /proc/keys").output(name="d") == "1:3\n"


def test_default_devices(bundle):
    names = {"null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"}
    out = bundle.shell("; ".join(f"stat -c %t:%T:%a /dev/{name}" for name in names)).output()
    assert out.split() == [number + ":666" for number in names.values()]
    links = bundle.shell("for i in fd stdin stdout stderr ptmx; do readlink /dev/$i; done").output(name="l")
    assert links.split() == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]


def test_link_in_a_mount_target_stays_inside(bundle, outside):
    """An image's link cannot put a mount onto the host (CVE-2021-30465's kind)."""
    (bundle.root / "link").symlink_to(outside)
    (bundle.root / "up").symlink_to("../../../../../../.." + str(outside))
    bundle.config["root"]["readonly"] = False
    for target in ("/link", "/up"):
        bundle.mount(target, "tmpfs", kind="tmpfs")
    bundle.args("true").output()
    assert sorted(path.name for path in outside.iterdir()) == ["file"]
    assert (bundle.root / str(outside).lstrip("/")).is_dir()  # made below the root instead


def test_link_in_place_of_proc_is_refused(bundle, outside):
    """CVE-2019-19921: an image whose /proc is a link would have its masks elsewhere."""
    (bundle.root / "proc").rmdir()
    (bundle.root / "proc").symlink_to("tmp")
    done = bundle.args("true").run()
    assert done.returncode == 1 and "/proc: a symbolic link in the root file system" in done.stderr


def test_link_in_place_of_dev_stays_inside(bundle, outside):
    """CVE-2026-41579: the default devices and links of /dev are made before the root is changed."""
    (bundle.root / "dev").rmdir()
    (bundle.root / "dev").symlink_to(outside)
    (outside / "ptmx").write_text("of the host\n")
    bundle.config["root"]["readonly"] = False
    bundle.config["mounts"] = [one for one in bundle.config["mounts"] if not one["destination"].startswith("/dev")]
    bundle.args("true").run()
    assert sorted(path.name for path in outside.iterdir()) == ["file", "ptmx"]
    assert (outside / "ptmx").read_text() == "of the host\n"


def test_cgroups_stay_read_only_without_a_namespace_of_their_own(bundle):
    """CVE-2023-25809: what is bound in place of a fresh mount lost its "ro"."""
    bundle.without_namespace("cgroup")
    bundle.config["mounts"] = [one for one in bundle.config["mounts"] if one["type"] != "cgroup"]
    bundle.mount("/sys/fs/cgroup", "cgroup", "nosuid", "noexec", "nodev", "ro", kind="cgroup")
    rows = [row.split() for row in bundle.args("cat", "/proc/self/mounts").output().splitlines()]
    options = [row[3].split(",") for row in rows if row[1].startswith("/sys/fs/cgroup")]
    assert options and all("ro" in one for one in options)


def test_device_link_stays_inside(bundle, outside):
    (bundle.root / "leave").symlink_to(outside)
    bundle.config["linux"]["devices"] = [{"type": "c", "path": "/leave/null", "major": 1, "minor": 3}]
    bundle.config["root"]["readonly"] = False
    bundle.args("true").output()
    assert sorted(path.name for path in outside.iterdir()) == ["file"]


def test_working_directory_outside_is_refused(bundle, outside):
    """CVE-2024-21626: a leaked descriptor of a host directory as working directory."""
    fd = os.open(outside, os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(fd, True)
    try:
        for number in range(3, 30):
            bundle.config["process"]["cwd"] = f"/proc/self/fd/{number}"
            done = bundle.args("ls").run(name=f"n{number}", close_fds=False)
            assert "file" not in done.stdout
    finally:
        os.close(fd)


def test_working_directory_by_a_preserved_descriptor_is_refused(bundle, outside):
    bundle.config["process"]["cwd"] = "/proc/self/fd/3"
    bundle.args("ls").write()
    done = bundle.with_descriptor_3(outside, "run", "-b", bundle.folder, "--preserve-fds", "1", bundle.id())
    assert done.returncode == 1 and "lies outside of the container" in done.stderr


def test_program_file_cannot_be_written_through_proc(bundle, stage):
    """CVE-2019-5736: a program that is axrun itself, by /proc/self/exe, and a second process that writes to it."""
    before = pathlib.Path(stage.program("axrun")).read_bytes()
    bundle.config["root"]["readonly"] = False
    bundle.args("/proc/self/exe", "exec", "--help")
    done = bundle.run()  # axrun inside of the container
    assert "Usage" in done.stdout or done.returncode != 0
    (bundle.root / "attack").write_text("#!/proc/self/exe\n")
    (bundle.root / "attack").chmod(0o755)
    script = """for i in $(busybox seq 300); do
        for p in /proc/[0-9]*; do
            [ "$p" = /proc/$$ ] || { exec 7< $p/exe; } 2>/dev/null && { echo x >> /proc/self/fd/7; } 2>/dev/null && echo written
        done
    done"""
    bundle.shell(script)
    one = bundle.create(name="attacker")
    bundle.axrun_run("start", one)
    for _ in range(20):
        bundle.axrun_run("exec", one, "/attack")
    bundle.axrun_run("kill", one, "KILL")
    bundle.wait_for(one, "stopped")
    assert "written" not in bundle.printed()
    assert pathlib.Path(stage.program("axrun")).read_bytes() == before


def test_console_of_an_image_is_not_trusted(bundle):
    """CVE-2025-52565: without a devpts on /dev/pts a terminal is refused, whatever lies there."""
    bundle.config["mounts"] = [one for one in bundle.config["mounts"] if one["destination"] not in ("/dev", "/dev/pts")]
    (bundle.root / "dev/pts").mkdir()
    (bundle.root / "dev/pts/ptmx").write_text("planted")
    bundle.config["process"]["terminal"] = True
    done = bundle.args("true").run()
    assert done.returncode == 1 and "expected the terminal multiplexer of a devpts" in done.stderr


def test_terminal(bundle, make_terminal):
    bundle.config["process"]["terminal"] = True
    bundle.config["process"]["consoleSize"] = {"height": 30, "width": 100}
    bundle.args("sh", "-c", "tty; test -t 0 && echo terminal; stat -c %t /dev/console").write()
    terminal = make_terminal(bundle.command("run", "-b", bundle.folder, bundle.id()), os.environ)
    assert terminal.end() == 0
    assert "/dev/pts/0" in terminal.text and "terminal" in terminal.text and "88" in terminal.text  # 0x88: pts


def test_read_only_root(bundle):
    done = bundle.args("touch", "/x").run()
    assert "Read-only file system" in done.stderr
