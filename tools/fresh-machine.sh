#!/bin/bash
# fresh-machine.sh [COMMAND...]: tries the README's two commands (make run, make test; or those given) on a machine that has
# nothing of this one: a Debian 12 of debootstrap's smallest kind, entered by pivot_root in mount, pid, network, ipc, uts and
# cgroup namespaces of its own, with a /dev, /proc and /sys of its own, and a clone of the last commit. Root only.
#
# The network inside is loopback alone: what apt will want is downloaded beforehand, by the host's apt with the host's sources,
# into the apt cache of the new machine. The tree lies in build-fresh/ and is made anew each time; downloads are kept.
# FRESH_SHELL=1: a shell there instead.
set -eu -o pipefail
cd "$(dirname "$0")/.."
work=$PWD/build-fresh
tree=$work/tree
debs=$work/debs
suite=bookworm
name=fresh$$
place=/srv/$name # where the clone lies in there

if [ "$(id -u)" -ne 0 ]; then
	echo "fresh-machine.sh: needs root (namespaces, debootstrap)" >&2
	exit 1
fi
command -v debootstrap >/dev/null || apt-get install -qq -y --no-install-recommends debootstrap

# Where Debian comes from: the first source of the suite that apt knows here.
mirror() {
	apt-get indextargets --format '$(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
		awk -v suite="$suite" '$1 == suite && !/security/ {print $2; exit}'
}

# The smallest Debian with make in it, as on a machine whose owner is about to type `make`.
make_base() {
	[ -f "$work/base.tar" ] && return
	rm -rf "$work/base"
	debootstrap --variant=minbase --include=make,ca-certificates "$suite" "$work/base" "$(mirror)" \
		>"$work/debootstrap.log" 2>&1 || {
		tail -n 20 "$work/debootstrap.log" >&2
		exit 1
	}
	tar -C "$work/base" --one-file-system -cf "$work/base.tar.new" .
	mv "$work/base.tar.new" "$work/base.tar"
	rm -rf --one-file-system "$work/base"
}

unpack_base() {
	# Nothing is mounted in the tree outside of the namespaces below; a last look all the same before anything is removed.
	if grep -q " $tree" /proc/self/mountinfo; then
		echo "fresh-machine.sh: something is mounted below $tree" >&2
		exit 1
	fi
	rm -rf --one-file-system "$tree"
	mkdir -p "$tree"
	tar -C "$tree" -xf "$work/base.tar"
}

# The lists and packages that `make` will ask apt for; where they come from is the host's business.
fill_apt_cache() {
	mkdir -p "$debs/partial"
	rm -rf "$tree/etc/apt/sources.list" "$tree/etc/apt/sources.list.d" "$tree/var/lib/apt/lists"
	cp -a /etc/apt/sources.list.d "$tree/etc/apt/"
	[ ! -f /etc/apt/sources.list ] || cp -a /etc/apt/sources.list "$tree/etc/apt/"
	find "$tree/etc/apt/sources.list.d" -type f ! -name 'debian*' -delete
	[ -n "$(ls /var/lib/apt/lists/*Packages* 2>/dev/null)" ] || apt-get update -qq
	cp -a /var/lib/apt/lists "$tree/var/lib/apt/"
	# shellcheck disable=SC2046 # one word for each package
	apt-get install -qq -y --download-only --no-install-recommends -o Dir::State::status="$tree/var/lib/dpkg/status" \
		-o Dir::Cache::archives="$debs" -o Debug::NoLocking=1 \
		$(tools/deps.sh build run test --list) >"$work/download.log" 2>&1 || {
		tail -n 20 "$work/download.log" >&2
		exit 1
	}
	ln -f "$debs"/*.deb "$tree/var/cache/apt/archives/" 2>/dev/null || cp "$debs"/*.deb "$tree/var/cache/apt/archives/"
	# A minbase removes what it installed; here that would only cost time.
	rm -f "$tree/etc/apt/apt.conf.d/docker-clean"
}

clone_tree() {
	git clone -q --no-hardlinks "file://$PWD" "$tree$place"
	tools/cross-arm64.sh --download >"$work/download-arm64.log" 2>&1
	mkdir "$tree$place/build-arm64"
	cp -a build-arm64/apt "$tree$place/build-arm64/"
	echo "fresh" >"$tree/etc/hostname"
	printf '127.0.0.1 localhost fresh\n' >"$tree/etc/hosts"
	: >"$tree/etc/resolv.conf"
}

# A group of its own in every hierarchy, so that the cgroup namespace below has a root that is not the host's.
join_groups() {
	local hierarchy
	for hierarchy in $(awk '$(NF-2) ~ /^cgroup2?$/ {print $5}' /proc/self/mountinfo); do
		mkdir "$hierarchy/$name"
		if [ -f "$hierarchy/cpuset.cpus" ]; then # empty ones take no process (cgroup v1, cpusets)
			cat "$hierarchy/cpuset.cpus" >"$hierarchy/$name/cpuset.cpus"
			cat "$hierarchy/cpuset.mems" >"$hierarchy/$name/cpuset.mems"
		fi
		echo $$ >"$hierarchy/$name/cgroup.procs"
	done
}

# Runs outside again, when everything inside has ended with its pid namespace: the groups are empty, deepest first.
leave_groups() {
	local hierarchy
	for hierarchy in $(awk '$(NF-2) ~ /^cgroup2?$/ {print $5}' /proc/self/mountinfo); do
		[ -d "$hierarchy/$name" ] || continue
		echo $$ >"$hierarchy/cgroup.procs" 2>/dev/null || true
		find "$hierarchy/$name" -depth -type d -exec rmdir {} + 2>/dev/null || echo "left behind: $hierarchy/$name" >&2
	done
}

mkdir -p "$work"
echo "a fresh Debian 12 in build-fresh/tree ..."
make_base
unpack_base
fill_apt_cache
clone_tree
[ $# -gt 0 ] || set -- "make run" "make test"
[ -z "${FRESH_SHELL:-}" ] || set -- bash

trap leave_groups EXIT
join_groups
unshare --mount --propagation slave --pid --fork --kill-child --net --ipc --uts --cgroup \
	tools/lib/enter-fresh-machine.sh "$tree" "$place" "$@"
