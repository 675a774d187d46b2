/*
 * failpoint.h - moments at which a test may end the process. Builds with --enable-failpoints only; else nothing is left of it.
 *
 * CRMSYNCD_FAILPOINTS=PLACE[:N],...   the process ends as by kill -9 when it comes to that place for the Nth time (1).
 *
 * Places: "round/STEP/MOMENT" with the steps of sync/round.c and the moments `before` its questions are sent, `sent`, and
 * `answered`. "verify/range/done": a verification has read a range of a side's rows (or a page of them).
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include "config.h"

#ifdef WITH_FAILPOINTS
void failpoint(const char *room, const char *step, const char *moment);
#else
#define failpoint(room, step, moment) ((void)0)
#endif

#endif
