#!/bin/bash
# soak.sh [NAME...]: fuzzes each target (all, or those named, such as image-tar) with libFuzzer for SOAK_SECONDS altogether
# (default 1800), from the corpus in the tree. What crashes is left in build-fuzz/findings/TARGET/ and the exit code is 1.
# Inputs that reach new code stay in build-fuzz/corpus/TARGET/, so that the next soak goes on from there.
# Before them (or where named) the sweeps: system tests that are short in `make test` and long here (SWEEPS below).
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}-fuzz
seconds=${SOAK_SECONDS:-1800}

# NAME, how long, which test
SWEEPS="signal-kills AXLE_SIGNAL_KILLS=1000 tests/signals/test_signal_sweep.py
"
passed=0 failed=0

# run_sweep NAME SETTING TEST
run_sweep() {
	local log=${BUILD:-build}/soak-$1.log stage=$PWD/${BUILD:-build}/stage
	if env "$2" AXLE_STAGE="$stage" /usr/bin/python3 -m pytest -q -s "$3" >"$log" 2>&1; then
		passed=$((passed + 1))
		printf '%-24s %s\n' "$1" "$(grep -m 1 -E '^[0-9]+ ' "$log")"
	else
		failed=$((failed + 1))
		printf '%-24s FAILED: %s\n' "$1" "$log"
		tail -n 20 "$log"
	fi
}

targets="" sweeps=""
for word in "$@"; do
	if printf '%s' "$SWEEPS" | grep -q "^$word "; then sweeps="$sweeps $word"; else targets="$targets $word"; fi
done
[ $# -gt 0 ] || sweeps=$(printf '%s' "$SWEEPS" | cut -d ' ' -f 1)
for sweep in $sweeps; do
	# shellcheck disable=SC2046 # three words
	run_sweep $(printf '%s' "$SWEEPS" | grep "^$sweep ")
done
if [ $# -gt 0 ] && [ -z "$targets" ]; then
	echo "$passed passed, $failed failed"
	[ "$failed" -eq 0 ]
	exit
fi
# shellcheck disable=SC2086 # one word for each target
set -- $targets

if [ ! -f "$build/build.ninja" ]; then
	CC=clang meson setup "$build" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
		>"$build-setup.log" 2>&1 || {
		cat "$build-setup.log" >&2
		exit 1
	}
	rm -f "$build-setup.log"
fi
if ! ninja -C "$build" >"$build/build.log" 2>&1; then
	tail -n 40 "$build/build.log" >&2
	exit 1
fi

if [ $# -eq 0 ]; then
	# shellcheck disable=SC2046 # one word for each target
	set -- $(find "$build/tests" -maxdepth 1 -type f -name 'fuzz_*' -perm -u+x -printf '%f\n' | sed 's/^fuzz_//' | sort)
fi
[ $# -gt 0 ] || {
	echo "soak.sh: there is no fuzz target" >&2
	exit 1
}
each=$((seconds / $#))
[ "$each" -gt 0 ] || each=1

for target in "$@"; do
	[ -x "$build/tests/fuzz_$target" ] || {
		echo "soak.sh: there is no fuzz target $target" >&2
		exit 2
	}
	grown=$build/corpus/$target findings=$build/findings/$target
	mkdir -p "$grown" "$findings"
	seeds=$(cat "$build/tests/fuzz_$target.corpus")
	if UBSAN_OPTIONS=halt_on_error=1 "$build/tests/fuzz_$target" -max_total_time="$each" -timeout=10 -rss_limit_mb=2048 \
		-print_final_stats=1 -artifact_prefix="$findings/" "$grown" "$seeds" >"$build/$target.log" 2>&1; then
		passed=$((passed + 1))
		printf '%-24s %10s inputs in %s s\n' "$target" \
			"$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log")" "$each"
	else
		failed=$((failed + 1))
		printf '%-24s FAILED: %s\n' "$target" "$(ls "$findings" | tail -n 1)"
		grep -m 3 -E 'ERROR|runtime error|SUMMARY' "$build/$target.log"
	fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
