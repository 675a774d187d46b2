#!/bin/sh
# The simulation's short form: a fixed range of seeds within half a minute, then a few faults put in on purpose, each of
# which some seed has to catch: a checker that cannot fail proves nothing.
set -eu
sim=tests/sim/sim
"$sim" --seeds 1..600 --seconds 30
for fault in ack-by-max no-guard mix-values no-journal; do
	"$sim" --mutate "$fault" --seeds 250..700
done
