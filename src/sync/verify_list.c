/*
 * verify_list.c - every row of every side into the census, and the census compared, part by part.
 *
 * All sides are read at once, a page of each. Where their rows were added up before (verify_sums.c), only those in the parts that differ
 * are read, range by range.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "sync/census.h"
#include "sync/feed.h"
#include "sync/verify.h"

enum { DOUBTS_MOST = 200000 };		/* more of them are counted as the census shows them */

/* ---- LIST -------------------------------------------------------------------------------------------- */

/* False: it cannot be taken as it is; it is parked, or will be. */
static bool entry_of(struct sync_verify *v, const struct side *side, const struct row *row, struct arena *arena, struct census_entry *out)
{
	const struct field_def *field;
	struct observation o;
	struct row whole = *row;
	struct err e = { 0 };

	whole.outside = false;
	if (!observe_row(v->flow, side, &whole, arena, &v->counts, &o, &field, &e))
		return false;
	*out = (struct census_entry){ .side = (uint8_t)side->endpoint, .outside = row->outside, .digest = o.row, .id = row->id };
	out->rid = rid_of(&v->sync->store->key, v->flow->def, record_key(v->flow->def, o.values, arena));
	return true;
}

static bool count_rows(struct sync_verify *v, size_t e, const struct rowset *rows, struct err *why)
{
	const struct side *side = v->flow->sides[e];
	struct census_entry entry;
	struct arena arena;
	bool ok = true;

	arena_init(&arena);
	for (size_t i = 0; ok && i < rows->n; i++) {
		const struct row *row = &rows->rows[i];

		if (i % 64 == 0)
			arena_reset(&arena);
		if (row->gone)
			continue;
		if (entry_of(v, side, row, &arena, &entry))
			ok = census_add(v->census, &entry, why);
		else if (!row->outside)
			v->sums.invalid++;
	}
	arena_fini(&arena);
	return ok;
}

/* The next range, where there are ranges; else that was all. */
static void range_over(struct verify_side *s)
{
	if (s->range < s->n_ends) {
		free(s->after);
		s->after = s->ends[s->range] != NULL ? xstrdup(s->ends[s->range]) : NULL;
		s->range++;
	}
	s->over = s->range == s->n_ends;
}

static void take_page(struct sync_verify *v, size_t e, const struct rowset *rows)
{
	struct verify_side *s = &v->sides[e];
	struct err why = { 0 };

	s->done += (int64_t)rows->n;
	job_more(&v->job, (int64_t)rows->n, clock_mono_us());
	v->sums.bytes += (int64_t)rows->bytes;
	if (!count_rows(v, e, rows, &why)) {
		v->spoiled = true;	/* a part of the page is in it */
		verify_fail(v, &why, "keeping what was read");
	} else if (rows->n < batch_rows(v->flow) && !rows->cut) {
		range_over(s);
	} else {
		const struct row *last = &rows->rows[rows->n - 1];

		free(s->after);
		s->after = xstrndup(last->id.data, (size_t)last->id.len);
	}
}

static void on_page(void *arg, struct rowset *rows, const struct err *e)
{
	struct verify_asked page = verify_answered(arg);
	struct sync_verify *v = page.verify;

	if (e != NULL)
		verify_fail(v, e, "listing rows");
	else if (!v->ended)
		take_page(v, page.endpoint, rows);
	if (e == NULL)
		rowset_free(&rows);
	verify_range_done(v);
}

static void ask_page(struct sync_verify *v, size_t e)
{
	struct link *link = v->flow->sides[e]->link;
	struct verify_side *s = &v->sides[e];
	struct verify_asked *page = verify_ask(v, e);

	if (s->n_ends > 0)
		link->ops->list_parts(link, s->after, s->ends[s->range], &v->differing, batch_rows(v->flow), on_page, page);
	else
		link->ops->list(link, s->after, NULL, batch_rows(v->flow), on_page, page);
}

void verify_list(struct sync_verify *v)
{
	size_t asked = 0;

	v->asked_us = clock_mono_us();
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (verify_compares(v, e) && !v->sides[e].over) {
			ask_page(v, e);
			asked++;
		}
	if (asked == 0)
		verify_enter(v, VERIFY_COMPARE);
}

/* ---- COMPARE ----------------------------------------------------------------------------------------- */

static struct doubtful *doubt_add(struct sync_verify *v, const struct rid *rid)
{
	size_t n = v->sync->topology->n_endpoints;
	struct doubtful *d = arena_zalloc(&v->arena, sizeof *d);

	d->rid = *rid;
	d->rows = arena_zalloc(&v->arena, n * sizeof *d->rows);
	for (size_t e = 0; e < n; e++)
		d->rows[e].id = VALUE_NULL;
	if (v->n_doubts == v->cap_doubts) {
		v->cap_doubts = v->cap_doubts > 0 ? 2 * v->cap_doubts : 64;
		v->doubts = xrealloc(v->doubts, v->cap_doubts * sizeof(struct doubtful *));
	}
	v->doubts[v->n_doubts++] = d;
	return d;
}

static bool all_alike(const struct sync_verify *v, const struct census_entry *list, size_t n)
{
	const struct census_entry *first = NULL;
	uint64_t there = 0;

	for (size_t i = 0; i < n; i++) {
		if (there & BIT(list[i].side))
			return false;
		there |= BIT(list[i].side);
		if (list[i].outside)
			continue;
		if (first != NULL && list[i].digest != first->digest)
			return false;
		first = &list[i];
	}
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (verify_compares(v, e) && verify_expects(v->flow, e) && !(there & BIT(e)))
			return false;
	return true;
}

static void keep_doubt(struct sync_verify *v, const struct census_entry *list, size_t n)
{
	struct doubtful *d = doubt_add(v, &list[0].rid);

	for (size_t i = 0; i < n; i++) {
		struct doubtful_row *row = &d->rows[list[i].side];

		d->twice |= d->there & BIT(list[i].side);
		d->there |= BIT(list[i].side);
		d->outside |= list[i].outside ? BIT(list[i].side) : 0;
		row->digest = list[i].digest;
		row->id = (struct value){ arena_dup(&v->arena, list[i].id.data, (size_t)list[i].id.len), list[i].id.len };
	}
}

/* Entries of one record; it may be outside wherever it is, and then it does not count. */
static void compare_record(struct sync_verify *v, const struct census_entry *list, size_t n)
{
	bool inside = false;

	for (size_t i = 0; i < n; i++)
		inside |= !list[i].outside;
	if (!inside)
		return;
	v->sums.compared++;
	if (all_alike(v, list, n))
		v->sums.matching++;
	else if (v->n_doubts < DOUBTS_MOST)
		keep_doubt(v, list, n);
	else
		v->sums.unlooked++;
}

static bool compare_part(struct sync_verify *v, struct err *e)
{
	struct census_entry *list;
	struct arena arena;
	size_t n, first = 0;
	bool ok;

	arena_init(&arena);
	ok = census_part(v->census, v->part, &arena, &list, &n, e);
	for (size_t i = 1; ok && i <= n; i++)
		if (i == n || !rid_equal(&list[i].rid, &list[first].rid)) {
			compare_record(v, &list[first], i - first);
			first = i;
		}
	arena_fini(&arena);
	return ok;
}

/* A part a turn: others have their share of the loop. */
void verify_compare(struct sync_verify *v)
{
	struct err e = { 0 };

	if (!compare_part(v, &e)) {
		verify_fail(v, &e, "comparing");
		return;
	}
	v->part++;
	job_more(&v->job, 1, clock_mono_us());
	if (v->part == CENSUS_PARTS) {
		census_free(&v->census);
		verify_settle(v);
	} else {
		verify_rest(v, 0);
	}
}
