#!/bin/sh
# The simulation's short form: a fixed range of seeds within half a minute, in which all happens that ought to happen sometimes, some more
# that found a fault once and find it again when it is put back, then a few faults put in on purpose, each of which some seed has to catch:
# a checker that cannot fail proves nothing.
# The sanitizers have nothing to say about the checkers: there the faults, which would take two minutes, are left to the plain build.
set -eu
sim=tests/sim/sim
"$sim" --seeds 1..600 --seconds 30 --all-happens
# What a long sweep keeps waiting; news of a row that took another one's place, put off; the retries of what is parked; held deletes that
# were decided about while Redis was away; deletes that were owed to a database when it was put back; a round that had written references
# when the state was lost with its digest key. A delete that was lost to a row written after its database had been put back; writes that
# waited for a key (99) and for a unique value (261) long after these had become free; undone groups that came back by halves (of a deleted
# record, of two targets); a record that was put back and not counted. A quarrel that nobody was told of after a backup had been put back.
# A write that stood aside, and whose record was then given another key. What waited for a person, taken along by a round that never ended.
# A parked row that was forgotten when another side's row of its record had no news. An edit that was lost to a value that went with its record.
# A quarrel whose last words were all the same, and nobody who said them could be asked (1829).
# An edit that a mirror had yet to take back, and whose writer then deleted the row (966). A database that was put back while Redis took no
# writes, which was forgotten before it had been dealt with (2639). A row that a slow capture had read before a migration did (5221).
# What a row of a former life showed, which was taken for a word in the new one (244). Who waited for each other in step (6006, 43, 8416).
# Two values of one key, of a state that was put back (90). A tree whose rows were deleted one by one, each after a pause for another endpoint's
# failures of long before (216).
for seed in 216 90 244 6006 43 8416 966 2639 5221 1829 3963 4297 9433 8948 10499 2620 1403 734 1109 99 261 358 1027 7 1128 449 472 32 49; do
	"$sim" --seed "$seed"
done
if grep -q '^#define WITH_SANITIZERS' config.h; then
	exit 0
fi
# It stops at the first seed that catches the fault.
for fault in ack-by-max no-guard mix-values no-journal; do
	"$sim" --mutate "$fault" --seeds 1..600
done
