#!/bin/sh
# The simulation's short form: a fixed range of seeds within half a minute, then a few faults put in on purpose, each of
# which some seed has to catch: a checker that cannot fail proves nothing. The sanitizers have nothing to say about the checkers: there
# the faults, which would take two minutes, are left to the plain build.
set -eu
sim=tests/sim/sim
"$sim" --seeds 1..600 --seconds 30
if grep -q '^#define WITH_SANITIZERS' config.h; then
	exit 0
fi
# It stops at the first seed that catches the fault.
for fault in ack-by-max no-guard mix-values no-journal; do
	"$sim" --mutate "$fault" --seeds 1..600
done
