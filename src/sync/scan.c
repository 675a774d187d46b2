/*
 * scan.c - scans over the vectors of an entity, page by page; one at a time.
 *
 *   settle     which records are owed something, or wait for a person who has not heard of it? The first one after (re)connecting
 *              counts the debts.
 *   vanished   the second half of a sweep: every vector that knows a row at that endpoint, is the row still there?
 *              Those that are not are deletes, once the scan has ended: too many at once are not believed (held.c).
 */
#include "sync/feed.h"
#include "sync/migrate.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"

/* ---- the end of a scan ------------------------------------------------------------------------------- */

void vanished_clear(struct side *side)
{
	while (side->vanished.n > 0)
		free(side->vanished.rows[--side->vanished.n].id);
	side->vanished.many = false;
}

static bool hold_vanished(struct side *side)
{
	struct vanished *v = &side->vanished;
	int64_t now = clock_wall_us();
	struct err e = { 0 };

	journal_begin(side->flow->sync->journal);
	for (size_t i = 0; i < v->n; i++) {
		char *key = xasprintf("id %s at %s", v->rows[i].id, side->mapping->endpoint->name);
		bool fresh;

		held_add(side, &v->rows[i].rid, key, now, &fresh, NULL);
		free(key);
	}
	if (!journal_commit(side->flow->sync->journal, &e)) {
		log_error("vanished rows cannot be held", LOG_S("entity", side->flow->def->name), LOG_ERR(&e));
		held_read_again(side->flow->sync);
		return false;
	}
	vanished_clear(side);
	v->many = true;
	return true;
}

/* Many deletes at once are more often a mistake or a restored database than a wish. False: they could not be held. */
static bool judge_vanished(struct side *side)
{
	struct vanished *v = &side->vanished;

	if (!v->many && v->n > held_limit_of_sweep(side)) {
		held_begin_set(side, v->n > held_limit(side->flow) ? "more rows vanished than limits.mass_delete allows" :
			       "rows are gone, and another journal that was in use may have held that");
		v->many = true;
	}
	return !v->many || hold_vanished(side);
}

static void let_vanished_go(struct side *side)
{
	for (size_t i = 0; i < side->vanished.n; i++)
		flow_look_again(side->flow, &side->vanished.rows[i].rid, BIT(side->endpoint));
	vanished_clear(side);
}

static void counted(struct flow *flow, const int64_t records[BOOKS_STATES])
{
	flow->counted = true;
	books_recount(&flow->books, records, flow->audited);
	flow->audited = false;
}

static void scan_end(struct flow *flow, bool ok)
{
	struct scan was = flow->scan;

	flow->scan = (struct scan){ .kind = SCAN_NONE };
	if (was.kind == SCAN_SETTLE) {
		if (ok && was.counting)
			counted(flow, was.records);
		else if (!ok && !was.counting)
			flow->settle_wanted = true;
	} else if (was.kind == SCAN_VANISHED) {
		struct side *side = flow->sides[was.endpoint];

		if (ok) {
			let_vanished_go(side);
			sweep_done(side);
		} else {
			sweep_again(side);
			listing_over(side);
		}
	}
}

static void scan_continue(struct flow *flow, uint64_t next)
{
	flow->scan.at = next;
	if (next == 0)
		scan_end(flow, true);
	flow_pump(flow);
}

/* ---- settling: who is owed something? ---------------------------------------------------------------- */

static struct side *side_at(const struct flow *flow, size_t e)
{
	return flow->sides[e];
}

static void count_owed(struct flow *flow, const struct vector *v)
{
	for (size_t e = 0; e < v->n_endpoints; e++) {
		struct side *side = side_at(flow, e);

		if (side == NULL || !v->seen[e].owed || v->seen[e].parked)
			continue;
		side_owes(side, vector_owed_since(v, e));
	}
}

/* Either what is owed to it is parked, or a row with which it stands aside. */
static bool is_listed(const struct flow *flow, const struct rid *rid, const struct vector *v, size_t e)
{
	if (is_parked(flow->sides[e], false, rid, VALUE_NULL))
		return true;
	for (size_t o = 0; o < v->n_endpoints; o++)
		if (flow->sides[o] != NULL && v->seen[o].present && is_parked(flow->sides[o], true, NULL, v->seen[o].id))
			return true;
	return false;
}

/* The journal was lost: as soon as such a side is there the write is tried again, and listed when it is refused. */
static void note_unlisted(struct flow *flow, const struct rid *rid, const struct vector *v)
{
	for (size_t e = 0; e < v->n_endpoints; e++)
		if (v->seen[e].owed && v->seen[e].parked && flow->sides[e] != NULL && !side_usable(flow->sides[e]) && !is_listed(flow, rid, v, e))
			flow->unheard = true;
}

/* Nothing can be done for a side of which nobody knows yet whether it has the row: its survey comes first. */
static bool owed_to_somebody_reachable(const struct flow *flow, const struct rid *rid, const struct vector *v)
{
	for (size_t e = 0; e < v->n_endpoints; e++) {
		const struct side *side = side_at(flow, e);

		if (!v->seen[e].owed || side == NULL || !side_usable(side) || migrate_rests_at(flow, e) || !(side->surveyed || v->seen[e].known))
			continue;
		/* Parked without a line of its own: it stands aside with a row that was parked, and which may be well again. */
		if (!v->seen[e].parked || !is_parked(side, false, rid, VALUE_NULL))
			return true;
	}
	return false;
}

/*
 * The journal was lost, or tells of a later time than vectors out of a backup: a person has to hear of it again, from all who have a row.
 */
static bool waits_unheard(struct flow *flow, const struct rid *rid, const struct vector *v)
{
	if (!decide_waits(flow->def, v, flow_endpoints(flow)) || waiting_is_listed(flow, rid))
		return false;
	for (size_t e = 0; e < v->n_endpoints; e++)
		if (v->seen[e].present && flow->sides[e] != NULL && !side_usable(flow->sides[e])) {
			flow->unheard = true;
			return false;
		}
	return true;
}

static void settle_page(struct flow *flow, const struct rid *rids, const struct value *blobs, size_t n)
{
	struct arena arena;

	arena_init(&arena);
	for (size_t i = 0; i < n; i++) {
		struct vector *v;

		if (!vector_decode(blobs[i].data, (size_t)blobs[i].len, &flow->sync->store->layouts[flow->index], &arena, &v, NULL))
			continue;
		feed_tell_newcomers(flow, v);
		if (flow->scan.counting) {
			count_owed(flow, v);
			flow->scan.records[flow_state_of(flow, v)]++;
		}
		note_unlisted(flow, &rids[i], v);
		if (!owed_to_somebody_reachable(flow, &rids[i], v) && !waits_unheard(flow, &rids[i], v))
			continue;
		if (!flow->scan.counting || HASH_COUNT(flow->again) < 2 * batch_rows(flow))
			flow_look_gently(flow, &rids[i]);
		else
			flow->settle_wanted = true;	/* while counting nothing is worked off yet: the next scan finds it */
	}
	arena_fini(&arena);
}

/* ---- vanished: whose row is not there any more? ------------------------------------------------------ */

struct vanishing {			/* one page: are these rows still there? */
	struct flow *flow;
	struct side *side;
	struct arena arena;
	struct rid *rids;
	struct value *ids;
	size_t n;
};

static void note_vanished(struct side *side, const struct rid *rid, struct value id)
{
	struct vanished *v = &side->vanished;

	if (held_is(side, rid))
		return;
	if (v->n == v->cap) {
		v->cap = v->cap > 0 ? 2 * v->cap : 64;
		v->rows = xrealloc(v->rows, v->cap * sizeof *v->rows);
	}
	v->rows[v->n++] = (struct vanished_row){ *rid, xstrndup(id.data, (size_t)id.len) };
}

static void note_missing(void *arg, size_t i)
{
	const struct vanishing *v = arg;

	note_vanished(v->side, &v->rids[i], v->ids[i]);
}

void ids_each_missing(const struct value *there, size_t n_there, const struct value *ids, size_t n, struct arena *arena,
		      void (*fn)(void *arg, size_t i), void *arg)
{
	struct { struct value id; UT_hash_handle hh; } *slots, *table = NULL, *slot;

	slots = arena_zalloc(arena, (n_there + 1) * sizeof *slots);
	for (size_t i = 0; i < n_there; i++) {
		slots[i].id = there[i];
		HASH_ADD_KEYPTR(hh, table, slots[i].id.data, (unsigned)slots[i].id.len, &slots[i]);
	}
	for (size_t i = 0; i < n; i++) {
		HASH_FIND(hh, table, ids[i].data, (unsigned)ids[i].len, slot);
		if (slot == NULL)
			fn(arg, i);
	}
	HASH_CLEAR(hh, table);
}

void scan_each_missing(const struct rowset *rows, const struct value *ids, size_t n, struct arena *arena, void (*fn)(void *arg, size_t i), void *arg)
{
	struct value *there = arena_alloc(arena, (rows->n + 1) * sizeof *there);

	for (size_t i = 0; i < rows->n; i++)
		there[i] = rows->rows[i].id;
	ids_each_missing(there, rows->n, ids, n, arena, fn, arg);
}

static void on_vanish_read(void *arg, struct rowset *rows, const struct err *e)
{
	struct vanishing *v = arg;
	struct flow *flow = v->flow;
	bool ours = flow->scan.page == v, fine = e == NULL;	/* ours: else that scan was given up meanwhile */

	failpoint("listing", "vanished", "answered");
	if (ours) {
		flow->scan.asking = false;
		flow->scan.page = NULL;
	}
	if (e == NULL && !ours)
		rowset_free(&rows);
	if (e == NULL && ours) {
		scan_each_missing(rows, v->ids, v->n, &v->arena, note_missing, v);
		rowset_free(&rows);
		fine = judge_vanished(v->side);
	}
	arena_fini(&v->arena);
	free(v);
	if (flow->sync->closing || !ours)
		return;
	if (fine) {
		scan_continue(flow, flow->scan.at);
		return;
	}
	scan_end(flow, false);
	flow_pump(flow);
}

static void vanish_page(struct flow *flow, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next)
{
	struct side *side = flow->sides[flow->scan.endpoint];
	struct vanishing *v = xcalloc(1, sizeof *v);

	v->flow = flow;
	v->side = side;
	arena_init(&v->arena);
	v->rids = arena_alloc(&v->arena, (n + 1) * sizeof *v->rids);
	v->ids = arena_alloc(&v->arena, (n + 1) * sizeof *v->ids);
	for (size_t i = 0; i < n; i++) {
		const char *copy = arena_dup(&v->arena, blobs[i].data, (size_t)blobs[i].len);
		struct vector *vector;

		if (!vector_decode(copy, (size_t)blobs[i].len, &flow->sync->store->layouts[flow->index], &v->arena, &vector, NULL))
			continue;
		if (vector->dead && vector->seen[side->endpoint].uncertain && !vector->seen[side->endpoint].present)
			flow_look_again(flow, &rids[i], BIT(side->endpoint));	/* an insert in doubt: it did not show */
		if (!vector->seen[side->endpoint].present)
			continue;
		v->rids[v->n] = rids[i];
		v->ids[v->n++] = vector->seen[side->endpoint].id;
	}
	side->listing.looked += (int64_t)n;
	rate_add(&side->listing.pace, n, clock_mono_us());
	flow->scan.at = next;
	if (v->n == 0) {
		arena_fini(&v->arena);
		free(v);
		scan_continue(flow, next);
		return;
	}
	flow->scan.asking = true;
	flow->scan.page = v;
	failpoint("listing", "vanished", "before");
	side->link->ops->read(side->link, v->ids, v->n, on_vanish_read, v);
	failpoint("listing", "vanished", "sent");
}

/* ---- page by page ------------------------------------------------------------------------------------ */

static void on_scanned(void *arg, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next, const struct err *e)
{
	struct flow *flow = arg;

	flow->scan.asking = false;
	if (flow->sync->closing)
		return;
	if (e != NULL || flow->scan.kind == SCAN_NONE) {
		if (flow->scan.kind != SCAN_NONE)
			scan_end(flow, false);
	} else if (flow->scan.kind == SCAN_VANISHED) {
		vanish_page(flow, rids, blobs, n, next);
		return;
	} else {
		settle_page(flow, rids, blobs, n);
		scan_continue(flow, next);
		return;
	}
	flow_pump(flow);
}

static void settle_begin(struct flow *flow, bool counting)
{
	flow->settle_wanted &= counting;
	flow->unheard = false;
	flow->scan = (struct scan){ .kind = SCAN_SETTLE, .counting = counting };
}

bool feed_scan(struct flow *flow)
{
	if (flow->scan.kind == SCAN_NONE && !flow->counted) {
		if (flow->sync->store->records[flow->index] == 0) {
			counted(flow, (const int64_t[BOOKS_STATES]){ 0 });
			return true;
		}
		settle_begin(flow, true);
	} else if (flow->scan.kind == SCAN_NONE && flow->settle_wanted) {
		settle_begin(flow, false);
	}
	if (flow->scan.kind == SCAN_NONE || flow->scan.asking)
		return false;
	/* What a settling scan found is worked on before it looks for more: bounded memory. */
	if (HASH_COUNT(flow->again) >= batch_rows(flow) && flow->counted)
		return false;
	if (flow->scan.kind == SCAN_VANISHED && !side_usable(flow->sides[flow->scan.endpoint])) {
		scan_end(flow, false);
		return true;
	}
	flow->scan.asking = true;
	flow->sync->store->ops->scan(flow->sync->store, flow->index, flow->scan.at, on_scanned, flow);
	return true;
}
