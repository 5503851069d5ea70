#!/bin/sh
# guest-kernel.sh DIR: Debian's own kernel for an emulated machine: DIR/vmlinuz, and the modules that tests need below
# DIR/lib/modules. The package is unpacked, not installed: this machine's boot is not touched. Nothing to do where it is there.
set -eu

[ $# -eq 1 ] || {
	echo "guest-kernel.sh: expected one argument, a folder" >&2
	exit 2
}
mkdir -p "$1"
cd "$1"
if [ -e vmlinuz ]; then
	exit 0
fi

# The metapackage depends on the newest kernel.
package() {
	apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1
}
download() {
	name=$(package)
	[ -n "$name" ] && apt-get download -qq -o APT::Sandbox::User=root "$name" >download.log 2>&1
}
download || {
	apt-get update -qq </dev/null >update.log 2>&1 || true
	download || {
		cat update.log download.log >&2
		echo "guest-kernel.sh: apt-get could not download linux-image-amd64" >&2
		exit 1
	}
}

dpkg-deb --fsys-tarfile ./"$name"_*.deb | tar -x --wildcards './boot/vmlinuz-*' './lib/modules/*/modules.*' \
	'*/kernel/fs/9p/*' '*/kernel/fs/fscache/*' '*/kernel/fs/netfs/*' '*/kernel/fs/overlayfs/*' '*/kernel/fs/fuse/*' \
	'*/kernel/fs/erofs/*' '*/kernel/fs/ext4/*' '*/kernel/fs/jbd2/*' '*/kernel/fs/mbcache.ko' '*/kernel/drivers/virtio/*' \
	'*/kernel/drivers/block/loop.ko' '*/kernel/drivers/net/*.ko' '*/kernel/drivers/net/can/*' '*/kernel/net/9p/*' \
	'*/kernel/net/802/*' '*/kernel/net/bridge/*' '*/kernel/net/can/*' '*/kernel/net/ipv4/*' '*/kernel/net/ipv6/*' \
	'*/kernel/net/llc/*' '*/kernel/net/netfilter/*' '*/kernel/net/sched/*' '*/kernel/net/core/*' '*/kernel/crypto/*' '*/kernel/lib/*'
rm ./*.deb
busybox depmod -b "$PWD" "$(ls lib/modules)" >depmod.log 2>&1
mv boot/vmlinuz-* vmlinuz # last: what is named here is whole
