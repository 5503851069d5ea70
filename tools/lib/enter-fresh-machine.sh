#!/bin/bash
# enter-fresh-machine.sh TREE PLACE COMMAND...: the inner half of tools/fresh-machine.sh, the first process of its pid namespace.
# Gives the tree what a kernel and an init would, makes it the root, and runs each command in PLACE; the first
# failure ends it.
set -eu -o pipefail
tree=$1 place=$2
shift 2

ip link set lo up
mount --bind "$tree" "$tree"
cd "$tree"

mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o nosuid,mode=755 dev dev
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0"; do
	# shellcheck disable=SC2086 # name, major, minor
	set -- $node "$@"
	mknod -m 666 "dev/$1" c "$2" "$3"
	shift 3
done
[ ! -e /dev/fuse ] || mknod -m 666 dev/fuse c 10 229
mkdir dev/pts dev/shm dev/mqueue dev/net
[ ! -e /dev/net/tun ] || mknod -m 666 dev/net/tun c 10 200
mount -t devpts -o newinstance,ptmxmode=666,mode=620 devpts dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 shm dev/shm
mount -t mqueue mqueue dev/mqueue
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mount -t tmpfs -o nosuid,nodev,mode=755 run run
mount -t tmpfs -o nosuid,nodev tmp tmp

# The hierarchies that the host has, each with the group that this machine was given as its root.
mount -t tmpfs -o nosuid,nodev,noexec,mode=755 cgroup sys/fs/cgroup
awk '$(NF-2) ~ /^cgroup2?$/ {print $(NF-2), $5, $NF}' /proc/self/mountinfo | while read -r kind point options; do
	target=sys/fs/cgroup/${point##*/}
	mkdir "$target"
	if [ "$kind" = cgroup2 ]; then
		mount -t cgroup2 cgroup2 "$target"
	else
		mount -t cgroup -o "${options#rw,}" cgroup "$target"
	fi
done

hostname fresh
mkdir -p mnt/host
pivot_root . mnt/host
umount -l /mnt/host

export HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=${TERM:-dumb} DEBIAN_FRONTEND=noninteractive
cd "$place"
if [ "$1" = bash ]; then
	bash
	exit
fi
for command in "$@"; do
	echo "fresh\$ $command"
	start=$SECONDS
	env -i HOME="$HOME" PATH="$PATH" LANG="$LANG" TERM="$TERM" bash -c "$command" </dev/null || {
		echo "fresh-machine.sh: \"$command\" ended with $? after $((SECONDS - start)) s" >&2
		exit 1
	}
	echo "ended with 0 after $((SECONDS - start)) s"
done
