#!/bin/sh
# Every fuzz target for a moment, always with the same inputs to begin with; `make fuzz SECONDS=` runs them long.
set -eu
for target in rules values vector text http topology; do
	if ! "tests/fuzz/fuzz_$target" -help=1 2>/dev/null | grep -q libFuzzer; then
		"tests/fuzz/fuzz_$target" --seconds 1 --seed 1
	else
		"tests/fuzz/fuzz_$target" -max_total_time=1 -seed=1 2>&1 | tail -1
	fi
done
