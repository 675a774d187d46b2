/*
 * jobs.h - the long work that is under way: what, of which entity, who wanted it, since when, how far, how fast, and how much longer.
 *
 * Whoever does long work has a struct job among his own things, zeroed, and says of it (times are monotonic microseconds)
 *
 *	job_begin(jobs, &m->job, "verify", entity, JOB_OPERATOR, now);		once, with the list: sync_jobs() outside of sync/
 *	job_phase(&m->job, "list", "sales", "rows", expected, now);		for each thing after the other
 *	job_more(&m->job, n, now);						as it gets on: n more are done
 *	job_waits(&m->job, "as fast as --rate allows");				why it is not faster; "": nothing holds it
 *	job_end(jobs, &m->job);						before its memory goes; also of one that never began
 *
 * and /status, crmsyncctl and the page show it. Names are not copied: they must outlive the job, or the phase. What a phase is called
 * in words for people stands in base/words.c (phase_words).
 *
 * Share, pace and estimate are of the phase alone: what comes after it is not known well enough to be promised. Pure.
 */
#ifndef METER_JOBS_H
#define METER_JOBS_H

#include <stddef.h>
#include <stdint.h>

#include "meter/meter.h"

enum job_by { JOB_DAEMON, JOB_SCHEDULE, JOB_OPERATOR };		/* DAEMON: it found by itself that this is to be done */

struct job {
	const char *kind;		/* "verify"; NULL: not under way */
	const char *entity;		/* NULL: several */
	enum job_by by;
	int64_t began_us;
	const char *phase;
	const char *endpoint;		/* where; NULL: at several */
	const char *unit;		/* what is counted: "rows"; NULL: parts that mean nothing to people */
	int64_t done, expected;		/* expected -1: unknown */
	int64_t phase_us;		/* when the phase began */
	struct rate pace;		/* of the phase */
	char waits[160];		/* what holds it back; "": nothing does */
	struct job *prev, *next;
};
struct jobs {
	struct job *list;		/* oldest first */
};

void job_begin(struct jobs *, struct job *, const char *kind, const char *entity, enum job_by, int64_t now_us);
void job_phase(struct job *, const char *phase, const char *endpoint, const char *unit, int64_t expected, int64_t now_us);
void job_expect(struct job *, int64_t expected);	/* it is known only now */
void job_more(struct job *, int64_t n, int64_t now_us);
void job_had(struct job *, int64_t n);	/* so much was done before, by one that was interrupted: no part of the pace */
void job_waits(struct job *, const char *why);	/* copied */
void job_end(struct jobs *, struct job *);

/* How far a phase is; where nothing can be said it is NAN. */
struct job_pace {
	double share, per_second, seconds_left;
};
/* The arithmetic alone: so much of so much (-1: unknown) is done since then, at this rate. */
struct job_pace pace_of(int64_t done, int64_t expected, const struct rate *, int64_t since_us, int64_t now_us);
struct job_pace job_pace(const struct job *, int64_t now_us);

#endif
