#!/bin/bash
# cross-arm64.sh: compiles everything for arm64 with Debian's cross compiler, against a sysroot unpacked from Debian's
# arm64 packages. Nothing of the host changes: apt runs with state and caches of its own below build-arm64/.
# With --download: fetches the packages, and no more.
set -eu -o pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build}-arm64
sysroot=$PWD/$build/sysroot
apt_state=$PWD/$build/apt
triplet=aarch64-linux-gnu

# Headers and libraries that meson.build asks for; apt adds what they depend on.
PACKAGES="
libc6-dev linux-libc-dev libgcc-12-dev
libjansson-dev libyaml-dev libuv1-dev libnghttp2-dev libprotobuf-c-dev
libcurl4-openssl-dev libssl-dev libzstd-dev libisal-dev zlib1g-dev libseccomp-dev libcap-dev
"

say() {
	printf '%s\n' "$*"
}

# apt with its own state: it knows of arm64, the host's dpkg does not.
apt_arm64() {
	local tool=$1
	shift
	"$tool" -q -o APT::Architecture=arm64 -o APT::Architectures::=arm64 \
		-o Dir::State="$apt_state/state" -o Dir::State::status="$apt_state/status" \
		-o Dir::Cache="$apt_state/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=root "$@"
}

download_packages() {
	# shellcheck disable=SC2086 # one word for each package
	apt_arm64 apt-get install -y --download-only --no-install-recommends $PACKAGES
}

# Lists that are there already may be enough; what they name may also have moved on.
fetch_packages() {
	mkdir -p "$apt_state/state/lists/partial" "$apt_state/cache/archives/partial"
	: >"$apt_state/status"
	download_packages || {
		apt_arm64 apt-get update
		download_packages
	}
}

# Absolute links of the packages (libfoo.so -> /lib/...) would lead into the host: make them lead into the sysroot.
relink_inside() {
	find "$sysroot" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
		ln -sfn "$(realpath -m --relative-to="$(dirname "$link")" "$sysroot$(readlink "$link")")" "$link"
	done
}

unpack_packages() {
	local package
	rm -rf "$sysroot.new"
	# Debian 12 has /lib as a link into /usr; packages still ship files below /lib.
	mkdir -p "$sysroot.new/usr/lib" "$sysroot.new/usr/bin" "$sysroot.new/usr/sbin"
	ln -s usr/lib usr/bin usr/sbin "$sysroot.new/"
	for package in "$apt_state"/cache/archives/*.deb; do
		# tar, not dpkg -x: it keeps the links that were made above.
		dpkg-deb --fsys-tarfile "$package" | tar -x -C "$sysroot.new" --keep-directory-symlink --no-same-owner
	done
	mv "$sysroot.new" "$sysroot"
	relink_inside
}

write_cross_file() {
	cat >"$build/cross.ini" <<-INI
		[binaries]
		c = $compiler
		ar = '$triplet-ar'
		strip = '$triplet-strip'
		pkgconfig = 'pkg-config'
		[properties]
		sys_root = '$sysroot'
		pkg_config_libdir = ['$sysroot/usr/lib/$triplet/pkgconfig', '$sysroot/usr/share/pkgconfig']
		[built-in options]
		c_args = ['--sysroot=$sysroot', '-isystem', '$sysroot/usr/include/$triplet']
		c_link_args = ['--sysroot=$sysroot', '-L$sysroot/usr/lib/$triplet', '-B$sysroot/usr/lib/$triplet']
		[host_machine]
		system = 'linux'
		cpu_family = 'aarch64'
		cpu = 'aarch64'
		endian = 'little'
	INI
}

mkdir -p "$build"
if [ "${1:-}" = --download ]; then # for a machine that will have no network (tools/fresh-machine.sh)
	fetch_packages
	exit
fi
# The list is part of the stamp: a package more, and the sysroot is made anew.
stamp=$(printf '%s' "$PACKAGES" | sha256sum | cut -c1-16)
if [ "$(cat "$build/sysroot.stamp" 2>/dev/null)" != "$stamp" ]; then
	say "unpacking Debian's arm64 packages into $build/sysroot"
	rm -rf "$sysroot"
	fetch_packages
	unpack_packages
	printf '%s' "$stamp" >"$build/sysroot.stamp"
fi

compiler="'$triplet-gcc'"
! command -v ccache >/dev/null || compiler="['ccache', '$triplet-gcc']"
write_cross_file
if [ ! -f "$build/tree/build.ninja" ]; then
	meson setup "$build/tree" --cross-file "$build/cross.ini" --prefix=/usr --sysconfdir=/etc
fi
ninja -C "$build/tree"

# What came out is what was asked for: at least one program, all of them for arm64.
DESTDIR=$PWD/$build/dest meson install -C "$build/tree" --no-rebuild --quiet >/dev/null
mkdir -p "$build/dest"
programs=$(find "$build/dest" -type f -perm -u+x \( -path '*/bin/*' -o -path '*/libexec/*' \) | sort)
for program in $programs; do
	"$triplet-readelf" -h "$program" | grep -q 'Machine: *AArch64' || {
		say "$program is not an arm64 program"
		exit 1
	}
	say "arm64: ${program#"$build/dest/"} $(stat -c %s "$program") bytes"
done
