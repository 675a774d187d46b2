/*
 * undo.c - the operator puts records back to what they were before the daemon last wrote them, in the midst of everything.
 *
 * What an undo is asked to put back it may: that is no lost edit. Whatever else was edited meanwhile has to stand, all sides have to show the
 * same, and nothing may come of it that nobody ever wrote.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sync/sync.h"

/* Records that a rename has brought together since: each keeps what had been undone of its own. */
static void mark(struct world *w, uint32_t record)
{
	for (size_t i = 0; i < w->n_records; i++) {
		struct sim_record *r = &w->records[i];

		r->undone_before_us = r->undone_us;
		if (r->lineage == w->records[record].lineage)
			r->undone_us = world_now(w);
	}
}

static void take_back_mark(struct world *w)
{
	for (size_t i = 0; i < w->n_records; i++)
		if (w->records[i].undone_us == w->undo_asked_us)
			w->records[i].undone_us = w->records[i].undone_before_us;
}

/* An edit that came to light when a row was to be written stands; by then other rows may have had their value back. */
static void on_undone(void *arg, const struct sync_undone *u)
{
	struct world *w = arg;

	w->undo_begun |= u->code != NULL && strcmp(u->code, "changed-since") == 0;
	world_trace(arg, "undo: %s/%s %s: %s %s", u->entity, u->key, u->restored ? "restored" : u->partly ? "partly" : u->waits ? "waits" : "skipped",
		    u->code != NULL ? u->code : "", u->fields != NULL ? u->fields : "");
}

static void on_done(void *arg, const struct sync_undo_sums *s, const struct err *e)
{
	struct world *w = arg;

	w->undoing = false;
	if (e != NULL) {		/* it goes on when the daemon is there again */
		world_trace(w, "undo: %s", e->text);
		return;
	}
	world_trace(w, "undo: %lld restored, %lld skipped", (long long)s->restored, (long long)s->skipped);
	w->sometimes->undo_restored += s->restored > 0;
	w->sometimes->undo_skipped += s->skipped > 0;
	if (s->restored + s->partly + s->waiting == 0 && !w->undo_begun)
		take_back_mark(w);
}

void undo_something(struct world *w)
{
	struct sync_undo_taker taker = { on_undone, on_done, w };
	struct sync_undo_order order = { 0 };
	struct err e = { 0 };
	uint32_t record = rng_below(&w->operator, (uint32_t)w->n_records);
	char *key;

	if (w->sync == NULL || w->undoing || w->n_records == 0)
		return;
	key = record_printed(w, &w->records[record]);
	order.entity = w->topology->entities[w->records[record].entity].def.name;
	order.key = key;
	if (sync_undo(w->sync, &order, &taker, &e) != NULL) {
		world_trace(w, "the operator undoes what was last written of %s/%s", order.entity, key);
		w->undoing = true;
		w->undo_begun = false;
		w->undo_asked_us = world_now(w);
		mark(w, record);
		w->sometimes->undo_asked++;
	}
	free(key);
}

static void operator_undoes(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	undo_something(w);
	world_after(w, rng_span(&w->operator, SECOND / 2, 4 * SECOND), operator_undoes, NULL);
}

void undo_soon(struct world *w)
{
	world_after(w, rng_span(&w->operator, SECOND, 6 * SECOND), operator_undoes, NULL);
}
