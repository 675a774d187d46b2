/*
 * meters_keep.c - the timelines outlive the process: they are kept in the journal, and resumed.
 *
 * In the journal and not in Redis: that Redis is away is part of what is counted, and whoever empties it does not mean these. Some
 * seconds are lost when the process is killed; they are unknown then, as is the time until the next one runs.
 *
 * Timelines are counted by a clock of their own. It goes on with the clock of the boot, which also counts while the machine
 * sleeps; after another boot, by the wall clock's difference, and never back.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/state.h"

enum {
	KEEP_US = 2000000, KEEP_AGAIN_US = 1000000,
	SAME_BOOT_US = 60000000,	/* the two clocks went on alike, so it is the same boot (or no matter) */
};

static_assert((int)JOURNAL_STATES == (int)METER_STATES && (int)JOURNAL_RINGS == (int)WINDOWS,
	      "the journal has room for what a timeline is");

/* ---- going on ---------------------------------------------------------------------------------------- */

static void add_timed(struct sync *s, struct timeline *t, char *subject)
{
	struct timed *timed = xcalloc(1, sizeof *timed);

	*timed = (struct timed){ .subject = subject, .timeline = t };
	HASH_ADD_KEYPTR(hh, s->timing.all, timed->subject, (unsigned)strlen(timed->subject), timed);
}

static void add_links(struct sync *s, struct flow *flow)
{
	for (size_t e = 0; e < s->topology->n_endpoints; e++) {
		const char *endpoint = s->topology->endpoints[e].name;

		if (flow->sides[e] == NULL)
			continue;
		add_timed(s, &flow->sides[e]->meter.availability, xasprintf("available/%s/%s", flow->def->name, endpoint));
		add_timed(s, &flow->sides[e]->meter.consistency, xasprintf("consistent/%s/%s", flow->def->name, endpoint));
	}
}

/* How long the process did not run. */
static int64_t gap_since(const struct journal_clocks *c)
{
	int64_t boot = clock_boot_us() - c->boot_us, wall = clock_wall_us() - c->wall_us;

	if (boot >= 0 && llabs(boot - wall) <= SAME_BOOT_US)
		return boot;
	return wall > 0 ? wall : 0;
}

struct restoring {
	struct sync *sync;
	int64_t now;
};

static bool restore_row(void *arg, const struct journal_spent *row)
{
	const struct restoring *to = arg;
	struct timeline_row r = { .ring = row->ring, .start_us = row->start_us };
	struct timed *timed;

	HASH_FIND(hh, to->sync->timing.all, row->subject, (unsigned)strlen(row->subject), timed);
	if (timed == NULL)
		return true;		/* an endpoint or an entity that is not in the topology now */
	memcpy(r.spent.us, row->us, sizeof r.spent.us);
	timeline_restore(timed->timeline, &r, to->now);
	return true;
}

/* What has been open for longer than this process knows is not young. */
static void note_aside(struct flow *flow, int64_t now)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && (flow->sides[e]->parked > 0 || flow->sides[e]->guard.held > 0 || flow->waiting > 0))
			flow->sides[e]->aside_us = now - METER_LATE_US;
}

void meters_load(struct sync *s)
{
	struct journal_clocks clocks;
	bool kept = journal_clocks(s->journal, &clocks);
	struct restoring to = { s, kept ? clocks.axis_us + gap_since(&clocks) : clock_wall_us() };
	struct timed *timed, *tmp;
	struct err e = { 0 };

	s->timing.ahead_us = to.now - clock_boot_us();
	s->timing.kept_us = to.now;
	add_timed(s, &s->service, xstrdup("service"));
	for (size_t i = 0; i < s->topology->n_endpoints; i++)
		add_timed(s, &s->meters[i].availability, xasprintf("endpoint/%s", s->topology->endpoints[i].name));
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		add_links(s, &s->flows[i]);
		note_aside(&s->flows[i], to.now);
	}
	if (!journal_spent_each(s->journal, restore_row, &to, &e))
		log_warn("how long everything was up and in step before is not known", LOG_ERR(&e));
	HASH_ITER(hh, s->timing.all, timed, tmp)
		timeline_resume(timed->timeline, to.now);
}

void meters_free(struct sync *s)
{
	struct timed *timed, *tmp;

	HASH_ITER(hh, s->timing.all, timed, tmp) {
		HASH_DEL(s->timing.all, timed);
		free(timed->subject);
		free(timed);
	}
}

/* ---- keeping ----------------------------------------------------------------------------------------- */

struct kept_rows {
	struct journal_spent *list;	/* owned */
	size_t n, cap;
};

static void add_rows(struct kept_rows *out, const struct timed *timed)
{
	struct timeline_row rows[TIMELINE_ROWS];
	size_t n = timeline_keep(timed->timeline, rows);

	if (out->n + n > out->cap) {
		out->cap = 2 * (out->n + n);
		out->list = xrealloc(out->list, out->cap * sizeof *out->list);
	}
	for (size_t i = 0; i < n; i++) {
		struct journal_spent *row = &out->list[out->n++];

		*row = (struct journal_spent){ .subject = timed->subject, .ring = rows[i].ring, .start_us = rows[i].start_us };
		memcpy(row->us, rows[i].spent.us, sizeof row->us);
	}
}

static bool keep_rows(struct sync *s, int64_t now, struct err *e)
{
	struct journal_clocks clocks = { now, clock_boot_us(), clock_wall_us() };
	struct kept_rows rows = { 0 };
	int64_t drop[WINDOWS];
	struct timed *timed, *tmp;
	bool ok;

	for (int ring = 0; ring < WINDOWS; ring++)
		drop[ring] = timeline_oldest_us((enum window)ring, now);
	HASH_ITER(hh, s->timing.all, timed, tmp)
		add_rows(&rows, timed);
	ok = journal_spent_keep(s->journal, &clocks, rows.list, rows.n, drop, e);
	free(rows.list);
	return ok;
}

static void keep(struct sync *s, int64_t now)
{
	struct timed *timed, *tmp;
	struct err e = { 0 };

	s->timing.kept_us = now;
	if (keep_rows(s, now, &e)) {
		log_streak_ends(&s->timing.not_kept, "how long everything is up and in step is kept again");
		return;
	}
	HASH_ITER(hh, s->timing.all, timed, tmp)
		timeline_lost(timed->timeline);
	if (log_streak_begins(&s->timing.not_kept))
		log_warn("how long everything is up and in step cannot be kept; it is unknown after a restart", LOG_ERR(&e));
}

static int64_t since_kept(const struct sync *s, int64_t *now)
{
	*now = clock_boot_us() + s->timing.ahead_us;
	return *now - s->timing.kept_us;
}

void meters_keep(struct sync *s)
{
	int64_t now;

	if (since_kept(s, &now) >= KEEP_US)
		keep(s, now);
}

void meters_end(struct sync *s)
{
	meters_look(s);
	keep(s, s->timing.looked_us);
}

void sync_keep(struct sync *s)
{
	int64_t now;

	if (since_kept(s, &now) >= KEEP_AGAIN_US)
		keep(s, now);
}
