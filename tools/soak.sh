#!/bin/bash
# soak.sh [TARGET...]: fuzzes each target (all, or those named, such as image-tar) with libFuzzer for SOAK_SECONDS altogether
# (default 1800), from the corpus in the tree. What crashes is left in build-fuzz/findings/TARGET/ and the exit code is 1.
# Inputs that reach new code stay in build-fuzz/corpus/TARGET/, so that the next soak goes on from there.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}-fuzz
seconds=${SOAK_SECONDS:-1800}

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

passed=0 failed=0
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
