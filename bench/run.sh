#!/bin/sh
# run.sh: `make bench`: axrun against crun and runc of Debian, and against a floor. Needs root (private mount namespaces).
# ROUNDS=N (default 200) measured rounds of each table; bench/README.md says what is compared and why it is fair.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
stage=${AXLE_STAGE:-$build/stage}
rounds=${ROUNDS:-200}
axrun=$(realpath "$stage/bin/axrun")
programs=$(realpath "$build/bench")
[ "$(id -u)" = 0 ] || {
	echo "make bench: needs root: namespaces, mounts and cgroups are made" >&2
	exit 1
}
for tool in crun runc busybox; do
	command -v "$tool" >/dev/null || {
		echo "make bench: $tool is missing: run \`make deps\`" >&2
		exit 1
	}
done

work=$(mktemp -d /dev/shm/axle-bench.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT INT TERM
mkdir -p "$work/bundle/rootfs/bin"
for dir in proc dev sys; do mkdir "$work/bundle/rootfs/$dir"; done
cp "$(command -v busybox)" "$work/bundle/rootfs/bin/busybox"
ln -s busybox "$work/bundle/rootfs/bin/true"
(cd "$work/bundle" && "$axrun" spec)
# one configuration for all: Debian's crun and runc know 1.0 of the specification
sed -i -e 's/"ociVersion": "[^"]*"/"ociVersion": "1.0.2"/' -e 's/"terminal": true/"terminal": false/' \
	-e 's/"sh"/"\/bin\/true"/' "$work/bundle/config.json"
cp -r "$work/bundle" "$work/seccomp"
/usr/bin/python3 bench/add_seccomp.py "$work/seccomp/config.json"

show() {
	printf '\n%s\n' "$1"
	shift
	"$@"
}
run_in() { # BUNDLE, then runtime with its options: the words of one contender
	bundle=$1
	shift
	printf '%s run --bundle %s bench-%s-@' "$*" "$bundle" "$$"
}

a=$(run_in "$work/bundle" "$axrun" --root "$work/axrun")
c=$(run_in "$work/bundle" crun --root "$work/crun")
r=$(run_in "$work/bundle" runc --root "$work/runc")
f="$programs/floor $work/bundle/rootfs bench-$$-@"

# crun refuses a machine whose cgroup v2 tree has controllers beside v1 ones: where it takes part, all see the v1
# hierarchies only, the v2 tree being covered in a mount namespace of their own.
compare_v1() {
	unshare -m --propagation private sh -c '
		[ ! -d /sys/fs/cgroup/unified ] || mount -t tmpfs none /sys/fs/cgroup/unified
		exec "$@"' sh "$programs/side_by_side" "$rounds" "$@"
}

show "run /bin/true, cgroups v1, no seccomp" compare_v1 axrun $a -- crun $c -- runc $r -- floor $f
a=$(run_in "$work/bundle" "$axrun" --root "$work/axrun" --cgroup-manager disabled)
c=$(run_in "$work/bundle" crun --root "$work/crun" --cgroup-manager disabled)
show "run /bin/true, cgroups disabled (runc cannot), no seccomp" \
	compare_v1 axrun $a -- crun $c -- floor $f nocgroup
a=$(run_in "$work/seccomp" "$axrun" --root "$work/axrun" --cgroup-manager disabled)
c=$(run_in "$work/seccomp" crun --root "$work/crun" --cgroup-manager disabled)
show "the same with podman's default seccomp profile" \
	compare_v1 axrun $a -- crun $c
a=$(run_in "$work/bundle" "$axrun" --root "$work/axrun")
show "run /bin/true, cgroups as the machine has them" \
	"$programs/side_by_side" "$rounds" axrun $a -- floor $f

[ ! -x "$programs/signals" ] || bench/signals.sh
[ ! -x "$programs/cri" ] || bench/cri.py "${CRI_ROUNDS:-30}"
