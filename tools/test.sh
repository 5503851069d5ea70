#!/bin/bash
# test.sh [SUITE...]: runs every check and test, or the suites named; prints one line a suite and, last, the sum of all.
# Exits 0 only where something ran and nothing failed.
#
#   checks  what the tree itself must keep to (tools/check/): floors, rings, threats with tests, man pages ...
#   unit    the unit tests beside the modules, and the fuzz corpora, as built
#   clang   the other compiler, warnings as errors
#   asan    unit tests and fuzz corpora under the address and undefined-behaviour sanitizers
#   arm64   the cross build
#   parts   the signal service alone, and the rest without it
#   system  tests/: the installed programs, driven as a user would
#   machine what of tests/ is marked so, in an emulated machine: an older kernel with cgroup v2 alone, AppArmor, virtual CAN
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
logs=$build/test-logs
mkdir -p "$logs"
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1

total_passed=0 total_failed=0 total_skipped=0

# report SUITE PASSED FAILED SKIPPED SECONDS LOG
report() {
	total_passed=$((total_passed + $2))
	total_failed=$((total_failed + $3))
	total_skipped=$((total_skipped + $4))
	if [ "$3" -gt 0 ] || [ $(($2 + $3)) -eq 0 ]; then
		printf -- '---- %s: the end of %s\n' "$1" "$6"
		tail -n "${TEST_LOG_LINES:-120}" "$6"
		printf -- '----\n'
	fi
	printf '%-8s %5d passed %4d failed %4d skipped %5d s\n' "$1" "$2" "$3" "$4" "$5"
}

# A suite that is one yes or no: run_one SUITE COMMAND...
run_one() {
	local suite=$1 start=$SECONDS
	shift
	if "$@" >"$logs/$suite.log" 2>&1; then
		report "$suite" 1 0 0 $((SECONDS - start)) "$logs/$suite.log"
	else
		report "$suite" 0 1 0 $((SECONDS - start)) "$logs/$suite.log"
	fi
}

# A suite that meson runs in a build directory: run_meson SUITE DIRECTORY ARGUMENT...
run_meson() {
	local suite=$1 dir=$2 start=$SECONDS counts
	shift 2
	rm -f "$dir/meson-logs/$suite.json"
	meson test -C "$dir" --no-rebuild --print-errorlogs --num-processes "$(nproc)" --logbase "$suite" "$@" \
		>"$logs/$suite.log" 2>&1
	counts=$(/usr/bin/python3 tools/lib/count.py meson "$dir/meson-logs/$suite.json") || counts="0 1 0"
	# shellcheck disable=SC2086 # three words
	report "$suite" $counts $((SECONDS - start)) "$logs/$suite.log"
}

# setup_and_build DIRECTORY MESON_OPTION...
setup_and_build() {
	local dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		meson setup "$dir" "$@" || return 1
	fi
	ninja -C "$dir"
}

suite_checks() {
	local start=$SECONDS counts
	/usr/bin/python3 tools/check/run.py >"$logs/checks.log" 2>&1
	counts=$(awk '/^ok /{ok++} /^FAILED /{bad++} END{print ok + 0, bad + 0, 0}' "$logs/checks.log")
	# shellcheck disable=SC2086
	report checks $counts $((SECONDS - start)) "$logs/checks.log"
}

suite_unit() {
	run_meson unit "$build" --suite unit --suite fuzz
}

suite_clang() {
	CC=clang run_one clang setup_and_build "$build-clang"
}

suite_asan() {
	local start=$SECONDS
	# Static programs have no sanitizer runtime: meson.build links them dynamically here. Warnings are the business of the
	# other builds: what the sanitizers add makes gcc warn of conversions that nobody wrote.
	if ! setup_and_build "$build-asan" -Dwerror=false -Db_sanitize=address,undefined -Db_lundef=false >"$logs/asan-build.log" 2>&1; then
		report asan 0 1 0 $((SECONDS - start)) "$logs/asan-build.log"
		return
	fi
	ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
		run_meson asan "$build-asan" --timeout-multiplier 4 --suite unit --suite fuzz
}

suite_arm64() {
	run_one arm64 tools/cross-arm64.sh
}

suite_parts() {
	run_one parts tools/parts.sh
}

# run_pytest REPORT LOG ARGUMENT...: prints "PASSED FAILED SKIPPED".
run_pytest() {
	local report_file=$1 log=$2
	shift 2
	rm -f "$report_file"
	AXLE_STAGE=$PWD/$build/stage /usr/bin/python3 -m pytest -q -o cache_dir="$PWD/$logs/pytest-cache" --junitxml="$report_file" \
		"$@" tests >"$log" 2>&1
	/usr/bin/python3 tools/lib/count.py junit "$report_file" 2>/dev/null || echo "0 1 0"
}

# A few failures are tried once more, by themselves: the machine is shared, and a test that needs it quiet is told from a fault
# that stays. What only passed the second time is named: it wants mending.
suite_system() {
	local start=$SECONDS passed failed skipped again_passed again_failed
	read -r passed failed skipped <<<"$(run_pytest "$logs/system.xml" "$logs/system.log")"
	if [ "$failed" -gt 0 ] && [ "$failed" -le 5 ]; then
		read -r again_passed again_failed _ <<<"$(run_pytest "$logs/system-again.xml" "$logs/system-again.log" --last-failed)"
		if [ "$again_failed" -eq 0 ] && [ "$again_passed" -gt 0 ]; then
			sed -n 's/^\(FAILED\|ERROR\) \([^ ]*\).*/passed only when run again: \2/p' "$logs/system.log"
			passed=$((passed + again_passed)) failed=0
		else
			printf -- '---- system: the failures, tried once more: the end of %s\n' "$logs/system-again.log"
			tail -n "${TEST_LOG_LINES:-120}" "$logs/system-again.log"
		fi
	fi
	report system "$passed" "$failed" "$skipped" $((SECONDS - start)) "$logs/system.log"
}

suite_machine() {
	local start=$SECONDS counts=""
	rm -f "$logs/machine.xml"
	if tools/guest-kernel.sh "$build/guest-kernel" >"$logs/machine.log" 2>&1; then
		AXLE_STAGE=$PWD/$build/stage /usr/bin/python3 tests/lib/machine.py "$build/guest-kernel" "$logs/machine.xml" tests \
			>"$logs/machine.log" 2>&1
		counts=$(/usr/bin/python3 tools/lib/count.py junit "$logs/machine.xml" 2>/dev/null)
	fi
	# shellcheck disable=SC2086 # three words
	report machine ${counts:-0 1 0} $((SECONDS - start)) "$logs/machine.log"
}

[ $# -gt 0 ] || set -- checks unit clang asan arm64 parts system machine
for suite in "$@"; do
	if ! declare -F "suite_$suite" >/dev/null; then
		echo "test.sh: unknown suite \"$suite\": expected checks, unit, clang, asan, arm64, parts, system or machine" >&2
		exit 2
	fi
	"suite_$suite"
done

echo
skipped=""
[ "$total_skipped" -eq 0 ] || skipped=", $total_skipped skipped"
echo "$total_passed passed, $total_failed failed$skipped"
[ "$total_failed" -eq 0 ] && [ "$total_passed" -gt 0 ]
