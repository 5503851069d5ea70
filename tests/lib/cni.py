"""Networks of a test's own: a folder of CNI configurations, leases below the test's folder, Debian's plugins, and plugins that do
what a test wants. The test run has a network namespace to itself (sandbox.py): it is the host here."""
import ipaddress
import json
import os
import re
import socket
import struct
import subprocess

DEBIAN = "/usr/lib/cni"
NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES, NFT_MSG_GETRULE = 12, 10, 7
NLM_F_REQUEST, NLM_F_DUMP, NLMSG_ERROR, NLMSG_DONE = 1, 0x300, 2, 3
NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_HANDLE = 1, 2, 3

# Notes each call beside itself (NAME.calls: a line each; NAME.COMMAND.json: the last input; NAME.COMMAND.env), holds a lease for
# each pod (NAME.lease.ID), and does what files beside it say: NAME.COMMAND.sleep (seconds), NAME.COMMAND.fail (its answer),
# NAME.COMMAND.answer, NAME.COMMAND.sh (run by it).
FAKE = r"""#!/bin/sh
me=$0
note() { echo "$CNI_COMMAND $CNI_CONTAINERID" >>"$me.calls"; }
cat >"$me.$CNI_COMMAND.json"
env >"$me.$CNI_COMMAND.env"
note
case $CNI_COMMAND in
ADD) echo "$CNI_NETNS" >"$me.lease.$CNI_CONTAINERID" ;;
GC)
	for lease in "$me".lease.*; do
		grep -q "${lease##*.}" "$me.GC.json" || rm -f "$lease"
	done ;;
esac
[ ! -f "$me.$CNI_COMMAND.sh" ] || . "$me.$CNI_COMMAND.sh"
[ ! -f "$me.$CNI_COMMAND.sleep" ] || sleep "$(cat "$me.$CNI_COMMAND.sleep")"
if [ -f "$me.$CNI_COMMAND.fail" ]; then
	cat "$me.$CNI_COMMAND.fail"
	exit 1
fi
case $CNI_COMMAND in
DEL) rm -f "$me.lease.$CNI_CONTAINERID" ;;
esac
[ ! -f "$me.$CNI_COMMAND.answer" ] || exec cat "$me.$CNI_COMMAND.answer"
case $CNI_COMMAND in
ADD) echo '{"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": "'"$CNI_NETNS"'"}], "ips":
	[{"address": "10.9.8.7/24", "interface": 0}, {"address": "fd09::7/64", "interface": 0}], "dns": {}}' ;;
VERSION) echo '{"cniVersion": "1.0.0", "supportedVersions": ["0.4.0", "1.0.0"]}' ;;
esac
"""
VERSIONS_1_1 = {"cniVersion": "1.1.0", "supportedVersions": ["0.4.0", "1.0.0", "1.1.0"]}


class Fake:
    """A plugin as above."""

    def __init__(self, folder, name):
        self.name, self.path = name, os.path.join(folder, name)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(FAKE)
        os.chmod(self.path, 0o755)

    def set(self, command, what, text):
        with open(f"{self.path}.{command}.{what}", "w", encoding="utf-8") as file:
            file.write(text if isinstance(text, str) else json.dumps(text))

    def unset(self, command, what):
        os.unlink(f"{self.path}.{command}.{what}")

    def calls(self):
        """[(command, container id)] in their order."""
        try:
            with open(self.path + ".calls", encoding="utf-8") as file:
                return [tuple(line.rstrip("\n").split(" ")) for line in file]
        except FileNotFoundError:
            return []

    def commands(self):
        return [command for command, _ in self.calls()]

    def input(self, command):
        with open(f"{self.path}.{command}.json", encoding="utf-8") as file:
            return json.load(file)

    def environment(self, command):
        with open(f"{self.path}.{command}.env", encoding="utf-8") as file:
            return dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)

    def leases(self):
        folder, prefix = os.path.dirname(self.path), self.name + ".lease."
        return {name[len(prefix):] for name in os.listdir(folder) if name.startswith(prefix)}


class Networks:
    """The folders of one node: .config is what axled.toml says of them."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.conf, self.plugins = os.path.join(self.folder, "net.d"), os.path.join(self.folder, "plugins")
        self.data = os.path.join(self.folder, "leases")
        for path in (self.conf, self.plugins, self.data):
            os.makedirs(path)
        self.bridges = set()

    def config(self, **more):
        lines = [f"{key.replace('_', '-')} = {json.dumps(value)}" for key, value in more.items()]
        return (f"\n[cni]\nconf-dir = \"{self.conf}\"\nplugin-dirs = [\"{self.plugins}\", \"{DEBIAN}\"]\n" + "\n".join(lines) + "\n")

    def write(self, name, content):
        path = os.path.join(self.conf, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        os.rename(path + ".new", path)

    def write_list(self, *plugins, name="test", version="1.0.0", file="10-test.conflist", **more):
        self.write(file, {"cniVersion": version, "name": name, "plugins": list(plugins), **more})

    def ipam(self, *subnets):
        """host-local over these; an address of each."""
        return {"type": "host-local", "dataDir": self.data, "ranges": [[{"subnet": subnet}] for subnet in subnets],
                "routes": [{"dst": "::/0" if ":" in subnet else "0.0.0.0/0"} for subnet in subnets]}

    def bridge(self, *subnets, name="axbr0", **more):
        self.bridges.add(name)
        return {"type": "bridge", "bridge": name, "isGateway": True, "ipMasq": True, "hairpinMode": True,
                "ipam": self.ipam(*subnets), **more}

    def fake(self, name="fake"):
        return Fake(self.plugins, name)

    def leases(self):
        """The addresses that host-local holds."""
        found = set()
        for _, _, names in os.walk(self.data):
            found |= {name for name in names if is_address(name)}
        return found

    def clean(self):
        """Takes away what plugins leave by intent, the bridge and their own chains; says what of pods was left."""
        left = [f"lease of {address}" for address in sorted(self.leases())]
        left += [f"rule {rule}" for rule in sorted(pod_rules())]
        for name in self.bridges:
            subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
        subprocess.run(["nft", "flush", "ruleset"], check=True)
        return left


def is_address(text):
    try:
        ipaddress.ip_address(text)
        return True
    except ValueError:
        return False


# The ruleset, by netlink: a program for each snapshot would cost every test of the suite a hundredth of a second.

def attributes(data):
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            break
        found[kind & 0x3fff] = data[at + 4:at + length]
        at += (length + 3) & ~3
    return found


def rules():
    """(table, chain, handle) of each nftables rule of this network namespace."""
    request = struct.pack("=IHHII", 20, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETRULE, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + bytes(4)
    found = set()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as netlink:
        netlink.sendto(request, (0, 0))
        while True:
            data, at = netlink.recv(1 << 20), 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return found
                rule = attributes(data[at + 20:at + length])
                handle = struct.unpack(">Q", rule[NFTA_RULE_HANDLE])[0]
                found.add((rule[NFTA_RULE_TABLE].rstrip(b"\0").decode(), rule[NFTA_RULE_CHAIN].rstrip(b"\0").decode(), handle))
                at += (length + 3) & ~3


def pod_rules():
    """Rules of iptables that speak of one pod: its addresses, its chains, its id. (The plugins' own chains stay, as they must.)"""
    found = set()
    for program in ("iptables-save", "ip6tables-save"):
        text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        for line in text.splitlines():
            own = re.search(r"CNI-(DN-)?[0-9a-f]{16,}", line) or re.search(r"[0-9a-f]{64}", line) or \
                re.search(r"-[sd] [0-9a-f.:]+/(32|128) .*CNI|-[sd] (?!127)[0-9.]+/32 -j|-[sd] (?!::1)[0-9a-f:]+/128 -j", line)
            if own and line.startswith(("-A", ":")):
                found.add(line)
    return found


def in_namespace(pin, *command, **options):
    """Runs a program in the network namespace at @pin."""
    return subprocess.run(["nsenter", f"--net={pin}", *command], text=True, capture_output=True, check=False, **options)


# Traffic. The far end is a process in the other namespace; the near end is the caller, or a process too.

ECHO = """
import socket, sys
family, address, kind = int(sys.argv[1]), sys.argv[2], sys.argv[3]
kinds = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "sctp": (socket.SOCK_STREAM, 132)}
server = socket.socket(family, *kinds[kind])
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((address, 80))
if kind != "udp":
    server.listen()
print("up", flush=True)
while True:
    if kind == "udp":
        data, peer = server.recvfrom(65536)
        server.sendto(data, peer)
        continue
    connection, _ = server.accept()
    mode = connection.recv(1)
    if mode == b"e":  # echo one line
        connection.sendall(connection.recv(100))
    elif mode == b"s":  # swallow, then answer
        while connection.recv(1 << 20):
            pass
        connection.sendall(b"k")
    elif mode == b"g":  # give
        connection.sendall(bytes(int(connection.recv(100))))
    connection.close()
"""

ASK = """
import socket, sys, time
family, address, port, kind = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
kinds = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0), "sctp": (socket.SOCK_STREAM, 132)}
end = time.monotonic() + float(sys.argv[5])
while time.monotonic() < end:  # anew each time: a gateway's address of IPv6 may still be tentative
    with socket.socket(family, *kinds[kind]) as client:
        client.settimeout(min(1, max(0.1, end - time.monotonic())))
        try:
            client.connect((address, port))
            client.sendall(b"epong" if kind != "udp" else b"pong")
            print(client.recv(100).decode())
            break
        except OSError:
            time.sleep(0.05)
"""


def family(address):
    return str(int(socket.AF_INET6 if ":" in address else socket.AF_INET))


class Server:
    """Something on port 80 of an address in the network namespace at @pin (None: here)."""

    def __init__(self, pin, address="0.0.0.0", kind="tcp"):
        enter = ["nsenter", f"--net={pin}"] if pin else []
        self.process = subprocess.Popen([*enter, "/usr/bin/python3", "-c", ECHO, family(address), address, kind],
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "up\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def ask(pin, address, port=80, kind="tcp", seconds=10):
    """Does the server there answer to somebody in the namespace at @pin (None: here)?"""
    enter = ["nsenter", f"--net={pin}"] if pin else []
    done = subprocess.run([*enter, "/usr/bin/python3", "-c", ASK, family(address), address, str(port), kind, str(seconds)],
                          capture_output=True, text=True, check=False)
    return done.stdout == "pong\n"


def sh(*lines):
    for line in lines:
        done = subprocess.run(line.split(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (line, done.stdout, done.stderr)


class Outside:
    """Another machine: a network namespace with a link to this one, 192.0.2.1 and 2001:db8::1 here, .2 and ::2 there."""

    def __init__(self):
        self.process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo up; exec sleep 100000"], stdout=subprocess.PIPE,
                                        text=True)
        assert self.process.stdout.readline() == "up\n"
        self.pin = f"/proc/{self.process.pid}/ns/net"
        sh(f"ip link add axout0 type veth peer name eth0 netns {self.process.pid}",
           "ip addr add 192.0.2.1/24 dev axout0", "ip addr add 2001:db8::1/64 dev axout0 nodad", "ip link set axout0 up")
        self.sh("ip addr add 192.0.2.2/24 dev eth0", "ip addr add 2001:db8::2/64 dev eth0 nodad", "ip link set lo up",
                "ip link set eth0 up", "ip route add default via 192.0.2.1", "ip route add default via 2001:db8::1")

    def sh(self, *lines):
        sh(*(f"nsenter --net={self.pin} {line}" for line in lines))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "del", "axout0"], check=False, capture_output=True)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
