#!/bin/sh
# parts.sh: what is switched off is not missed. The signal service builds, runs and serves alone; the rest builds without it, and
# `axle signal` says why it is not there. Each in a build folder of its own ($BUILD-alone, $BUILD-without).
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1

alone=$build-alone
[ -f "$alone/build.ninja" ] || meson setup "$alone" -Druntime=false -Dimage=false -Dmanager=false
BUILD=$alone tools/build.sh
# shellcheck disable=SC2046 # one word for each test
meson test -C "$alone" --no-rebuild --print-errorlogs $(meson test -C "$alone" --list | sed -n 's,.*/ \(signals\?-.*\),\1,p')
AXLE_STAGE="$PWD/$alone/stage" /usr/bin/python3 -m pytest -q tests/signals/test_signal_files.py tests/signals/test_signal_line.py
for program in axrun axmon axled; do
	[ -z "$(find "$alone" -type f -name "$program")" ] || {
		echo "parts.sh: $program was built although its part is switched off" >&2
		exit 1
	}
done

without=$build-without
[ -f "$without/build.ninja" ] || meson setup "$without" -Dsignals=false
ninja -C "$without" cli/axle manager/axled
said=$("$without/cli/axle" signal ls 2>&1) && status=0 || status=$?
[ "$status" = 125 ] && [ "$said" = "axle: axle signal: Axle was built without the signal service" ] || {
	echo "parts.sh: axle signal without the service: $status, $said" >&2
	exit 1
}
