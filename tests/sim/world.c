#include "world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "sync/sync.h"

#define START_MONO INT64_C(1000000000)
#define START_WALL INT64_C(1767225600000000)	/* 2026-01-01 */

const char *const mutation_names[MUTATIONS] = {
	[MUTATE_NOTHING] = "nothing",
	[MUTATE_ACK_BY_MAX] = "ack-by-max",
	[MUTATE_FORGET_INTENTS] = "forget-intents",
	[MUTATE_FORGET_WRITES] = "forget-writes",
	[MUTATE_NO_GUARD] = "no-guard",
	[MUTATE_CURSOR_BY_TIME] = "cursor-by-time",
	[MUTATE_WRITE_TWICE] = "write-twice",
	[MUTATE_WRONG_STAMP] = "wrong-stamp",
	[MUTATE_NO_JOURNAL] = "no-journal",
	[MUTATE_MIX_VALUES] = "mix-values",
};

/* ---- what is said ------------------------------------------------------------------------------------ */

static void stamp_print(const struct world *w, FILE *to)
{
	int64_t t = world_now(w) - START_MONO;

	fprintf(to, "%6" PRId64 ".%06" PRId64 "  ", t / SECOND, t % SECOND);
}

void world_trace(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (w->trace == NULL)
		return;
	stamp_print(w, w->trace);
	va_start(ap, fmt);
	vfprintf(w->trace, fmt, ap);
	va_end(ap);
	fputc('\n', w->trace);
}

void world_fail(struct world *w, const char *check, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (w->trace != NULL) {
		stamp_print(w, w->trace);
		fprintf(w->trace, "FAIL %s ", check);
		va_start(ap, fmt);
		vfprintf(w->trace, fmt, ap);
		va_end(ap);
		fputc('\n', w->trace);
	}
	if (w->failed)
		return;
	w->failed = true;
	n = snprintf(w->why, sizeof w->why, "%s ", check);
	va_start(ap, fmt);
	vsnprintf(w->why + n, sizeof w->why - (size_t)n, fmt, ap);
	va_end(ap);
}

/* ---- events: a heap ------------------------------------------------------------------------------------ */

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at != b->at ? a->at < b->at : a->tie < b->tie;
}

static void swap(struct event *a, struct event *b)
{
	struct event t = *a;

	*a = *b;
	*b = t;
}

void world_at(struct world *w, int64_t at, event_fn *fn, void *arg)
{
	size_t i = w->n_events++;

	if (w->n_events > w->room_events) {
		w->room_events = w->room_events * 2 + 64;
		w->events = xrealloc(w->events, w->room_events * sizeof *w->events);
	}
	w->events[i] = (struct event){ at, rng_next(&w->rng), fn, arg };
	if (w->loop != NULL && at < w->advancing_to)
		loop_stop(w->loop);	/* the daemon's clock must not run past it */
	for (; i > 0 && earlier(&w->events[i], &w->events[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&w->events[i], &w->events[(i - 1) / 2]);
}

void world_after(struct world *w, int64_t delay, event_fn *fn, void *arg)
{
	world_at(w, world_now(w) + delay, fn, arg);
}

static struct event pop(struct world *w)
{
	struct event first = w->events[0];
	size_t i = 0;

	w->events[0] = w->events[--w->n_events];
	for (;;) {
		size_t least = i;

		for (size_t c = 2 * i + 1; c <= 2 * i + 2 && c < w->n_events; c++)
			if (earlier(&w->events[c], &w->events[least]))
				least = c;
		if (least == i)
			return first;
		swap(&w->events[i], &w->events[least]);
		i = least;
	}
}

int64_t world_delay(struct world *w)
{
	uint32_t dice = rng_below(&w->rng, 100);

	if (dice < 70)
		return rng_span(&w->rng, 50, 3000);
	if (dice < 96)
		return rng_span(&w->rng, 3000, 60000);
	return rng_span(&w->rng, 60000, 1500000);
}

/* ---- running --------------------------------------------------------------------------------------------- */

int64_t world_now(const struct world *w)
{
	(void)w;
	return clock_mono_us();
}

int64_t world_wall(const struct world *w, int64_t mono_us)
{
	(void)w;
	return START_WALL + (mono_us - START_MONO);
}

struct turn {
	struct world *world;
	struct event event;
};

/* Events happen in a turn of the daemon's loop, as the answers of real sockets do. */
static void happen(void *arg)
{
	struct turn *t = arg;

	t->event.fn(t->world, t->event.arg);
}

/* Up to that moment, or to an event that the daemon caused before it. */
static void advance(struct world *w, int64_t at)
{
	int64_t now = clock_mono_us();

	if (w->loop != NULL) {
		w->advancing_to = at;
		loop_run_until(w->loop, at);
		w->advancing_to = 0;
	} else if (at > now) {
		clock_fake(at, clock_wall_us() + (at - now));
	}
}

static void one_event(struct world *w)
{
	struct turn turn = { .world = w, .event = pop(w) };

	if (w->loop != NULL) {
		loop_defer(w->loop, happen, &turn);
		loop_run_until(w->loop, world_now(w));
	} else {
		happen(&turn);
	}
	if (w->kill)
		daemon_kill(w);
}

void world_run_until(struct world *w, int64_t at)
{
	while (!w->failed) {
		int64_t next = w->n_events > 0 && w->events[0].at < at ? w->events[0].at : at;

		if (world_now(w) < next)
			advance(w, next);
		else if (w->n_events > 0 && w->events[0].at <= at)
			one_event(w);
		else
			break;
		check_books(w);
	}
}

/* ---- birth and death --------------------------------------------------------------------------------------- */

struct world *world_new(uint64_t seed, enum mutation mutation, uint32_t left_out, FILE *trace, struct sometimes *sometimes)
{
	struct world *w = xcalloc(1, sizeof *w);
	struct err e;

	w->seed = seed;
	w->rng.s = seed * UINT64_C(0x2545f4914f6cdd1d) + 1;
	w->mutation = mutation;
	w->left_out = left_out;
	w->trace = trace;
	w->sometimes = sometimes;
	w->operator = (struct rng){ .s = seed * 17 + 5 };
	w->nemesis = (struct rng){ .s = seed * 19 + 3 };
	w->n_edits = 1;			/* number 0 is nobody's */
	w->room_edits = 256;
	w->edits = xcalloc(w->room_edits, sizeof *w->edits);
	clock_fake(START_MONO, START_WALL);
	plan_make(w);
	store_keys_init(w);
	w->journal = journal_open("", "sim", &e);
	if (w->journal == NULL)
		world_fail(w, "setup", "journal: %s", e.text);
	return w;
}

void world_free(struct world **wp)
{
	struct world *w = *wp;

	if (w == NULL)
		return;
	for (size_t i = 0; i < w->n_events; i++)
		if (!fake_store_drop(&w->events[i]))
			fake_endpoint_drop(&w->events[i]);
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		db_fini(&w->dbs[e]);
	store_keys_fini(w);
	roll_back_drop(w);
	fake_store_backup_free(w);
	journal_close(&w->journal);
	for (size_t i = 0; i < w->n_records; i++) {
		free(w->records[i].key);
		free(w->records[i].brought);
	}
	for (size_t i = 1; i < w->n_edits; i++) {
		free(w->edits[i].tuple);
		free(w->edits[i].together);
	}
	free(w->records);
	free(w->edits);
	free(w->events);
	plan_free(w);
	free(w);
	*wp = NULL;
}

uint64_t world_written(const struct world *w)
{
	uint64_t n = 0;

	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		n += w->dbs[e].written;
	return n;
}

uint64_t world_attempted(const struct world *w)
{
	uint64_t n = 0;

	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		n += w->dbs[e].attempted;
	return n;
}

uint64_t world_parked(const struct world *w)
{
	uint64_t n = 0;

	for (size_t i = 0; i < w->plan.n_entities; i++)
		n += (uint64_t)journal_parked_count(w->journal, w->topology->entities[i].def.name, NULL);
	return n;
}

uint64_t world_reads(const struct world *w)
{
	uint64_t n = 0;

	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		n += w->dbs[e].reads;
	return n;
}

size_t world_rows(const struct world *w)
{
	size_t n = 0;

	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		for (size_t i = 0; i < w->plan.n_entities; i++)
			n += w->dbs[e].tables[i].n;
	return n;
}

uint64_t world_backlog(const struct world *w)
{
	uint64_t n = 0;

	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		for (size_t i = 0; i < w->plan.n_entities; i++)
			n += w->dbs[e].tables[i].n_log;
	return n;
}
