#!/bin/sh
# signals.sh: axsignald against a ping-pong over a UNIX socket, both pinned alike. Needs root (a private mount namespace).
# SIGNAL_ROUNDS=N (default 20000) measured rounds. Run by `make bench`.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
stage=$(realpath "${AXLE_STAGE:-$build/stage}")
rounds=${SIGNAL_ROUNDS:-20000}
if [ "${1:-}" != --inside ]; then
	exec unshare -m --propagation private "$0" --inside
fi
work=$(mktemp -d /tmp/axle-bench-signals.XXXXXX)
mkdir "$work/files" "$work/state"
# the other end of the ping-pong runs on the second processor, and so does the daemon
taskset -c 1 "$stage/bin/axsignald" --catalogue "$stage/share/axle/signals/demo.json" --mount "$work/files" \
	--state "$work/state" --socket "$work/socket" --log-level error &
daemon=$!
trap 'kill $daemon 2>/dev/null || true; wait $daemon || true; rm -rf --one-file-system "$work"' EXIT INT TERM
tries=0
until [ -e "$work/files/Vehicle" ] && [ -S "$work/socket" ]; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || { echo "signals.sh: axsignald does not come up" >&2; exit 1; }
	sleep 0.05
done
printf '\naxsignald: ratios to a ping-pong between two processes over a UNIX socket\n'
"$build/bench/signals" "$work/socket" "$work/files" "$rounds"
