/*
 * roll_back.c - Redis comes back as it was some seconds ago: what it was told since is gone, and it has the same mark of birth.
 *
 * The databases tell, by their epochs, as soon as one of them has been greeted that acknowledged something since. That is what is done
 * here: what is lost otherwise cannot be told by anybody (doc/epoch.md).
 */
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- an older state ------------------------------------------------------------------------------------------ */

static void *copy_of(const void *p, size_t n)
{
	char *copy = xmalloc(n + 1);

	if (n > 0)
		memcpy(copy, p, n);
	copy[n] = '\0';
	return copy;
}

static struct kept_text *texts_copy(const struct kept_text *from, size_t n)
{
	struct kept_text *to = xcalloc(n + 1, sizeof *to);

	for (size_t i = 0; i < n; i++)
		to[i] = (struct kept_text){ xstrdup(from[i].name), copy_of(from[i].p, from[i].len), from[i].len };
	return to;
}

/* What is connected to it, and whether it is there, is not part of what it holds. */
static void keys_copy(struct store_keys *to, const struct store_keys *from)
{
	*to = *from;
	to->away = false;
	to->face = NULL;
	for (size_t i = 0; i < SIM_ENTITIES; i++) {
		to->vectors[i] = copy_of(from->vectors[i], from->n_vectors[i] * sizeof *from->vectors[i]);
		to->maps[i] = copy_of(from->maps[i], from->n_maps[i] * sizeof *from->maps[i]);
		to->gone[i] = copy_of(from->gone[i], from->n_gone[i] * sizeof *from->gone[i]);
		for (size_t j = 0; j < from->n_vectors[i]; j++)
			to->vectors[i][j].p = copy_of(from->vectors[i][j].p, (size_t)from->vectors[i][j].len);
		for (size_t j = 0; j < from->n_maps[i]; j++)
			to->maps[i][j].id = xstrdup(from->maps[i][j].id);
	}
	to->positions = texts_copy(from->positions, from->n_positions);
	to->intents = texts_copy(from->intents, from->n_intents);
}

static bool mark_of(const struct store_keys *k, const struct db *db, long long *intent, long long *acked)
{
	for (size_t i = 0; i < k->n_positions; i++)
		if (strncmp(k->positions[i].name, "epoch/", 6) == 0 && strcmp(k->positions[i].name + 6, db->name) == 0)
			return sscanf(k->positions[i].p, "%lld %lld", intent, acked) == 2;
	return false;
}

int64_t store_keys_acked(const struct store_keys *k, const struct db *db)
{
	long long intent, acked;

	return mark_of(k, db, &intent, &acked) ? acked : 0;
}

/* A database has gone further than that state would have let it. */
static bool can_be_told(const struct world *w)
{
	long long intent, acked;

	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		if (mark_of(w->older, &w->dbs[e], &intent, &acked) && w->dbs[e].epoch > intent)
			return true;
	return false;
}

/* ---- when ---------------------------------------------------------------------------------------------------- */

static void copy_then_roll_back(struct world *w, void *arg);

void roll_back_soon(struct world *w)
{
	world_after(w, rng_span(&w->nemesis, SECOND, 8 * SECOND), copy_then_roll_back, NULL);
}

static void store_back(struct world *w, void *arg)
{
	if (w->keys.away)
		fake_store_away(w, false);
}

static void roll_back(struct world *w, void *arg)
{
	struct fake_store *face = w->keys.face;

	if (w->quiet)
		return;
	if (w->older->born == w->keys.born && !w->keys.away && can_be_told(w)) {
		world_trace(w, "the store is put back to what it was at %.6f", (double)(w->older_us - 1000 * (int64_t)SECOND) / SECOND);
		w->sometimes->rolled_back++;
		fake_store_away(w, true);
		store_keys_fini(w);
		keys_copy(&w->keys, w->older);
		w->keys.away = true;
		w->keys.face = face;
		w->unrecognised = true;
		history_flushed(w);
		world_after(w, rng_span(&w->nemesis, SECOND / 10, 4 * SECOND), store_back, NULL);
	}
	roll_back_soon(w);
}

static void copy_then_roll_back(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	roll_back_drop(w);
	w->older = xcalloc(1, sizeof *w->older);
	keys_copy(w->older, &w->keys);
	w->older_us = world_now(w);
	world_after(w, rng_span(&w->nemesis, 2 * SECOND, 12 * SECOND), roll_back, NULL);
}

void roll_back_drop(struct world *w)
{
	if (w->older != NULL)
		store_keys_drop(w->older);
	free(w->older);
	w->older = NULL;
}
