"""What pods with a user namespace of their own need of axrun: joining what others made, and owning what they are given."""
import os
import subprocess

MAPS = [{"containerID": 0, "hostID": 100000, "size": 65536}]


def own(bundle):
    os.chmod(bundle.folder, 0o755)
    for path in [bundle.root, *bundle.root.rglob("*")]:
        os.chown(path, 100000, 100000, follow_symlinks=False)
    bundle.config["linux"]["uidMappings"] = bundle.config["linux"]["gidMappings"] = MAPS


def test_joined_user_and_pid_namespace_tells_the_hosts_pid(bundle, make_bundle):
    holder = make_bundle()
    own(holder)
    holder.namespace("user").args("sleep", "100")
    own(bundle)
    first = holder.create()
    pid = holder.status(first)["pid"]
    bundle.namespace("user", f"/proc/{pid}/ns/user").namespace("pid", f"/proc/{pid}/ns/pid").args("sleep", "100")
    second = bundle.create()
    told = bundle.status(second)["pid"]
    assert os.readlink(f"/proc/{told}/ns/pid") == os.readlink(f"/proc/{pid}/ns/pid")
    with open(f"/proc/{told}/status", encoding="utf-8") as file:
        numbers = next(line for line in file if line.startswith("NSpid:")).split()[1:]
    assert numbers[0] == str(told) and numbers[-1] != "1"


def test_standard_descriptors_belong_to_the_user(bundle):
    """echo >/dev/stdout in an image that logs so: the pipe is opened anew, by somebody who is nobody on the host."""
    own(bundle)
    bundle.namespace("user")
    bundle.config["process"]["user"] = {"uid": 1000, "gid": 1000}
    bundle.shell("stat -L -c %u:%g /proc/self/fd/1; echo again > /proc/self/fd/1")
    assert bundle.output() == "1000:1000\nagain\n"


def test_idmapped_bind_mount_in_a_joined_namespace(bundle, make_bundle, folder):
    holder = make_bundle()
    own(holder)
    holder.namespace("user").args("sleep", "100")
    first = holder.create()
    pid = holder.status(first)["pid"]
    volume = folder / "volume"
    volume.mkdir()
    os.chown(volume, 5, 6)
    own(bundle)
    bundle.namespace("user", f"/proc/{pid}/ns/user")
    bundle.config["mounts"].append({"destination": "/mapped", "type": "bind", "source": str(volume), "options": ["bind", "ro"],
                                    "uidMappings": MAPS, "gidMappings": MAPS})
    assert bundle.shell("stat -c %u:%g /mapped; touch /mapped/x 2>/dev/null || echo read-only").output() == "5:6\nread-only\n"
    assert subprocess.run(["stat", "-c", "%u:%g", str(volume)], capture_output=True, text=True, check=True).stdout == "5:6\n"
