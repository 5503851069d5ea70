#!/bin/sh
# build.sh: compiles everything into $BUILD (default: build) and installs it there once more, as a tree to run from:
# $BUILD/stage/{bin,libexec,...} is what the tests and `make run` use. A second run compiles what changed.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}

# A compiler cache, where there is one, hits across clones: object code does not depend on where the tree lies.
CCACHE_BASEDIR=$PWD
CCACHE_NOHASHDIR=1
export CCACHE_BASEDIR CCACHE_NOHASHDIR

[ -f "$build/build.ninja" ] || meson setup "$build" --prefix=/usr --sysconfdir=/etc >"${build}-setup.log" 2>&1 || {
	cat "${build}-setup.log" >&2
	exit 1
}
rm -f "${build}-setup.log"
# Its output is shown where it fails: a reconfiguration alone prints a page.
if ! ninja --quiet -C "$build" >"$build/build.log" 2>&1; then
	cat "$build/build.log" >&2
	exit 1
fi

# meson installs below the prefix; the stage is that folder, whatever prefix the tree was configured with.
stamp=$build/prefix.stamp
if [ ! -f "$stamp" ] || [ "$build/build.ninja" -nt "$stamp" ]; then
	meson introspect "$build" --buildoptions | /usr/bin/python3 -c '
import json, sys
print(next(option["value"] for option in json.load(sys.stdin) if option["name"] == "prefix"))' >"$stamp"
fi
prefix=$(cat "$stamp")
meson install -C "$build" --no-rebuild --quiet --only-changed --destdir "$PWD/$build/dest" >/dev/null
[ "$(readlink "$build/stage" || true)" = "dest$prefix" ] || ln -sfn "dest$prefix" "$build/stage"
