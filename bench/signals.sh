#!/bin/sh
# signals.sh: what axsignald is to hold (README.md says what and why), measured. Needs root (a private mount namespace).
# SIGNAL_ROUNDS=N (default 20000) rounds of each latency. AXLE_VSS: the folder of the official catalogues. Run by `make bench`.
set -eu
cd "$(dirname "$0")/.."
build=${BUILD:-build}
stage=$(realpath "${AXLE_STAGE:-$build/stage}")
rounds=${SIGNAL_ROUNDS:-20000}
vss=${AXLE_VSS:-../shared/vss}
if [ "${1:-}" != --inside ]; then
	exec unshare -m --propagation private "$0" --inside
fi
work=$(mktemp -d /tmp/axle-bench-signals.XXXXXX)
mkdir "$work/files" "$work/state"
daemon=
end_daemon() {
	[ -z "$daemon" ] || kill "$daemon" 2>/dev/null || true
	[ -z "$daemon" ] || wait "$daemon" || true
	daemon=
}
trap 'end_daemon; rm -rf --one-file-system "$work"' EXIT INT TERM
start_daemon() { # PREFIX..., --, CATALOGUE...
	prefix=
	while [ "$1" != -- ]; do prefix="$prefix $1"; shift; done
	shift
	catalogues=
	for file in "$@"; do catalogues="$catalogues --catalogue $file"; done
	rm -f "$work/socket"
	$prefix "$stage/bin/axsignald" $catalogues --mount "$work/files" --state "$work/state" --socket "$work/socket" \
		--log-level error &
	daemon=$!
	tries=0
	until [ -e "$work/files/Vehicle" ] && [ -S "$work/socket" ]; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || { echo "signals.sh: axsignald does not come up" >&2; exit 1; }
		sleep 0.05
	done
}
measure() { # WHAT NUMBER
	"$build/bench/signals" "$1" "$work/socket" "$work/files" "$daemon" "$2"
}
demo=$stage/share/axle/signals/demo.json

printf '\naxsignald: one caller, in turns with a ping-pong over a UNIX socket\n'
# the other end of the ping-pong runs on the second processor, and so does the daemon
start_daemon taskset -c 1 -- "$demo"
[ "$rounds" = 0 ] || measure latency "$rounds"
end_daemon

printf '\naxsignald: load, on two processors\n'
/usr/bin/python3 bench/signals/catalogue.py >"$work/load.json"
start_daemon -- "$demo" "$work/load.json"
measure fan-out 5
measure stalled 150
end_daemon
for way in 0 1; do # sockets, then @stream: each with a daemon of its own
	start_daemon -- "$demo" "$work/load.json"
	measure subscribers $way
	end_daemon
done

printf '\naxsignald: at rest\n'
if [ -r "$vss/vss_release_6.0.json" ]; then
	start_daemon -- "$vss/vss_release_6.0.json"
	measure start 0
else
	printf 'the official catalogue of VSS 6.0 is not in %s (AXLE_VSS): left out\n' "$vss"
	start_daemon -- "$demo"
fi
measure rest 0
end_daemon
