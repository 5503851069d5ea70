#!/bin/sh
# deps.sh [build] [run] [test] [bench]: installs the Debian packages that a goal needs and that are not there yet.
#   build  compile everything            run  the node and the registry that `make run` shows
#   test   the peers, compilers and checkers that `make test` drives
#   bench  the peers that only `make bench` drives
# Says what it installs. Not root: asks through sudo, or says which command root has to type.
# Nothing missing: one dpkg-query, no output.
set -eu

# One line a purpose, so that a package that is no longer needed is found again.
BUILD="
gcc libc6-dev make meson ninja-build pkg-config
libjansson-dev libyaml-dev
libuv1-dev libnghttp2-dev libprotobuf-c-dev libprotobuf-dev protobuf-c-compiler protobuf-compiler
libcurl4-openssl-dev libssl-dev
libzstd-dev libisal-dev zlib1g-dev
libseccomp-dev libcap-dev
check libarchive-dev
"
RUN="
python3 iproute2
docker-registry skopeo busybox-static
"
TEST="
$RUN
git clang libclang-rt-14-dev gcc-aarch64-linux-gnu
python3-pytest python3-yaml python3-grpcio python3-protobuf
podman crun runc
containernetworking-plugins iptables nftables
mandoc zstd
umoci apache2-utils openssl
procps acl g++ gccgo-12 e2fsprogs
qemu-system-x86 apparmor
"
BENCH="
containerd
"

[ $# -gt 0 ] || set -- build run test bench
wanted=""
for set_name in "$@"; do
	case $set_name in
	build) wanted="$wanted $BUILD" ;;
	run) wanted="$wanted $RUN" ;;
	test) wanted="$wanted $TEST" ;;
	bench) wanted="$wanted $BENCH" ;;
	--list) ;;
	*)
		echo "deps.sh: unknown set \"$set_name\": expected build, run, test or bench" >&2
		exit 2
		;;
	esac
done

case " $* " in
*" --list "*)
	printf '%s\n' $wanted | sort -u
	exit 0
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "deps.sh: this is not Debian: install the equivalents of" $wanted >&2
	exit 0
fi

# A package that dpkg never heard of is missing from the output altogether.
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null | sed -n 's/^installed //p' | tr '\n' ' ')
missing=""
for package in $wanted; do
	case " $installed $missing " in
	*" $package "*) ;;
	*) missing="$missing $package" ;;
	esac
done
[ -n "$missing" ] || exit 0

echo "Axle needs these Debian packages:$missing"
become_root=""
if [ "$(id -u)" -ne 0 ]; then
	if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
		echo "Installing them needs root; sudo may ask for your password."
		become_root="sudo"
	else
		echo "Installing them needs root. Have root type:" >&2
		echo "  apt-get install --no-install-recommends$missing" >&2
		exit 1
	fi
fi

install() {
	DEBIAN_FRONTEND=noninteractive $become_root apt-get install -qq -y --no-install-recommends \
		-o Dpkg::Use-Pty=0 $missing </dev/null
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The lists of a new machine are empty or old: try, then update, then try once more.
if ! install >"$log" 2>&1; then
	$become_root apt-get update -qq </dev/null >"$log" 2>&1 || true
	if ! install >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		echo "deps.sh: apt-get could not install:$missing" >&2
		exit 1
	fi
fi
echo "Installed."
