/*
 * failpoint.h - moments at which a test may end the process. Builds with --enable-failpoints only; else nothing is left of it.
 *
 * CRMSYNCD_FAILPOINTS=PLACE[:N],...   the process ends as by kill -9 when it comes to that place for the Nth time (1).
 *
 * Places, where a moment is `before` a question is sent, `sent`, or `answered`:
 *
 *	round/STEP/MOMENT	the steps of sync/round.c
 *	epoch/STEP/MOMENT	`greet`, and the three of a beat: `intent`, `beat`, `acked` (sync/epoch.c)
 *	rebase/STEP/MOMENT	`page` of the vectors, `marks` (sync/rebase.c)
 *	listing/STEP/MOMENT	`rows`, `vanished` of a survey or sweep, `mark` of a survey (sync/listing.c, scan.c)
 *	held/STEP/MOMENT	`order` of the operator, `look` at a page of the set, `settle` one of them (sync/held.c)
 *	restore/STEP/answered	`size`, `fill`, `count`, `positions`, `journal`, `finish` of a backup that is put back (daemon/restore.c)
 *	verify/range/done	a verification has read a range of a side's rows, or a page of them
 *	retry/STEP/MOMENT	`lines` of the journal, `rows` that could not be taken, a `part` of these that is `done` (sync/retry.c)
 *	undo/move/MOMENT	the journal is told that a record with something to be put back has another key (sync/undo_round.c)
 *	verify/N, plan/N, undo/N, backup/N	before a step of the phase with that number (sync/verify.h, plan.c, undo.c, backup.c)
 *	migrate/N		before it is written down how far a migration is, in that phase (sync/migrate.h)
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include "config.h"

#ifdef WITH_FAILPOINTS
void failpoint(const char *room, const char *step, const char *moment);
void failpoint_phase(const char *room, int phase);
#else
#define failpoint(room, step, moment) ((void)(room), (void)(step), (void)(moment))
#define failpoint_phase(room, phase) ((void)(room), (void)(phase))
#endif

#endif
