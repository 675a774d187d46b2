#include "meter/jobs.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

#define SECOND_US 1000000.0

enum { PACE_US = 2000000 };		/* so long a phase must have lasted before its pace tells when it will end */

void job_begin(struct jobs *jobs, struct job *j, const char *kind, const char *entity, enum job_by by, int64_t now)
{
	assert(j->kind == NULL);
	*j = (struct job){ .kind = kind, .entity = entity, .by = by, .began_us = now, .phase = "", .expected = -1, .phase_us = now };
	DL_APPEND(jobs->list, j);
}

void job_phase(struct job *j, const char *phase, const char *endpoint, const char *unit, int64_t expected, int64_t now)
{
	j->phase = phase;
	j->endpoint = endpoint;
	j->unit = unit;
	j->done = 0;
	j->expected = expected;
	j->phase_us = now;
	memset(&j->pace, 0, sizeof j->pace);
	j->waits[0] = '\0';
}

void job_expect(struct job *j, int64_t expected)
{
	j->expected = expected;
}

void job_more(struct job *j, int64_t n, int64_t now)
{
	j->done += n;
	rate_add(&j->pace, (uint64_t)n, now);
}

void job_had(struct job *j, int64_t n)
{
	j->done += n;
}

void job_waits(struct job *j, const char *why)
{
	snprintf(j->waits, sizeof j->waits, "%s", why);
}

void job_end(struct jobs *jobs, struct job *j)
{
	if (j->kind == NULL)
		return;
	DL_DELETE(jobs->list, j);
	j->kind = NULL;
}

/* Of a phase that is younger than a minute the rate of the last minute is that of its life. */
static double per_second(const struct rate *rate, int64_t since, int64_t now)
{
	double seconds = (double)(now - since) / SECOND_US;

	return seconds > 0 ? rate_per_second(rate, now) * 60 / fmin(60, fmax(1, seconds)) : 0;
}

struct job_pace pace_of(int64_t done, int64_t expected, const struct rate *rate, int64_t since, int64_t now)
{
	struct job_pace p = { .share = NAN, .per_second = per_second(rate, since, now), .seconds_left = NAN };

	if (expected <= 0 || done > expected)
		return p;		/* what was expected was a guess, and a wrong one: then nothing is known */
	p.share = (double)done / (double)expected;
	if (now - since >= PACE_US && p.per_second > 0)
		p.seconds_left = (double)(expected - done) / p.per_second;
	return p;
}

struct job_pace job_pace(const struct job *j, int64_t now)
{
	return pace_of(j->done, j->expected, &j->pace, j->phase_us, now);
}
