#!/bin/sh
# install.sh: installs below $DESTDIR$PREFIX. The programs find each other relative to themselves, so that the tree may be
# moved afterwards; configuration is read from /etc/axle whatever the prefix is.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
prefix=${PREFIX:-/usr/local}

case $prefix in
/*) ;;
*)
	echo "install.sh: PREFIX is \"$prefix\": expected an absolute path" >&2
	exit 2
	;;
esac
case ${DESTDIR:-/} in
/*) destdir=${DESTDIR:-} ;;
*) destdir=$PWD/$DESTDIR ;;
esac

# A build tree has one prefix; to change it compiles nothing anew.
if [ "$(cat "$build/prefix.stamp" 2>/dev/null)" != "$prefix" ]; then
	meson configure "$build" -Dprefix="$prefix" -Dsysconfdir=/etc
	tools/build.sh
fi
meson install -C "$build" --no-rebuild --quiet --destdir "$destdir" >/dev/null
echo "Axle $("$build/stage/bin/axle" --version 2>/dev/null | sed 's/.* //') is installed below $destdir$prefix."
