#!/bin/sh
# Fuzzes every fuzz test of the tree, or of the packages given, each for the time
# given, and prints at the end how often each was executed.
#
# Inputs are minimized by a few executions each, not for a time: one that takes a
# millisecond and covers something else each time would leave none for anything new.
#
# Only HeteroAccel's own packages are instrumented, where go test -fuzz instruments
# all: after each execution every counter is read, and Kubernetes' libraries have
# most of a million.
set -eu
duration=$1
shift
[ $# -gt 0 ] || set -- $(git grep -l '^func Fuzz' -- '*_test.go' | xargs -n 1 dirname | sort -u)
# Trees of files are in memory where that is possible.
[ -d /dev/shm ] && export TMPDIR="${TMPDIR:-/dev/shm}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/counts"
failed=
for package in "$@"; do
	package=${package#./}
	go test -c -gcflags='heteroaccel.io/...=-d=libfuzzer' -o "$work/fuzz.test" "./$package"
	for target in $(git grep -ho '^func Fuzz[A-Za-z]*' -- ":(glob)$package/*_test.go" | cut -d ' ' -f 2); do
		(
			cd "$package"
			"$work/fuzz.test" -test.run "^$target\$" -test.fuzz "^$target\$" -test.fuzztime "$duration" -test.fuzzminimizetime 10x \
				-test.fuzzcachedir "$(go env GOCACHE)/fuzz/heteroaccel.io/$package" ${FUZZFLAGS:-}
		) >"$work/log" 2>&1 || {
			# On a busy machine a worker may end after the time given, which the testing
			# package reports as a failure without an input.
			if ! grep -q 'context deadline exceeded' "$work/log" || grep -qE 'Failing input|seed corpus entry' "$work/log"; then
				failed="$failed $package.$target"
				cat "$work/log"
			fi
		}
		sed -n "s|^fuzz: elapsed.*execs: \([0-9]*\) .*(total: \([0-9]*\))|$package.$target \1 \2|p" "$work/log" | tail -n 1 >>"$work/counts"
		tail -n 1 "$work/counts" >&2
	done
done
awk '{ printf "%-60s %12d executions, %5d inputs kept\n", $1, $2, $3; sum += $2 } END { printf "%d targets, %d executions\n", NR, sum }' "$work/counts"
if [ -n "$failed" ]; then
	echo "failed:$failed; the inputs are in testdata/fuzz of their packages" >&2
	exit 1
fi
