/*
 * verify_sums.c - what can be told of the rows without reading them: how many there are, and whether parts of them are the same.
 *
 *   BEGIN   about how many rows are there?
 *   COUNT   (depth counts) how many really? Numbers that differ are counted once more when everything is settled. What is known to be open
 *           may explain as many
 *   KNOWN   where they differ still, the vectors are gone through: records that are known to be at some sides only, and stay so, explain
 *           as many
 *   SUM     (depth ranges) range by range, each server adds up hashes of its rows, by parts of their keys (endpoint.h). Of parts with the
 *           same sums at every side all rows match; only the others are listed then, and compared as ever. Where most of them
 *           differ, or a side's driver has no sums, everything is
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "model/vector.h"
#include "store/store.h"
#include "sync/feed.h"
#include "sync/verify.h"

enum { SUM_ROWS = 50000 };		/* a range: well within any statement_timeout, and so little is done again after a crash */

/* ---- BEGIN ------------------------------------------------------------------------------------------- */

static void on_estimate(void *arg, int64_t rows, const struct err *e)
{
	struct verify_asked a = verify_answered(arg);

	a.verify->sides[a.endpoint].expected = e == NULL ? rows : -1;
	job_expect(&a.verify->job, verify_expected(a.verify));
	verify_go_on(a.verify);
}

static bool have_sums(const struct sync_verify *v)
{
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (verify_compares(v, e) && v->flow->sides[e]->link->ops->sum == NULL)
			return false;
	return true;
}

static enum verify_phase first_phase(const struct sync_verify *v)
{
	switch (v->depth) {
	case DEPTH_COUNTS:	return VERIFY_COUNT;
	case DEPTH_RANGES:	return have_sums(v) ? VERIFY_SUM : VERIFY_LIST;
	case DEPTH_ROWS:	break;
	}
	return VERIFY_LIST;
}

static void draw_seeds(struct sum_seeds *seeds)
{
	struct digest_key key;

	digest_key_random(&key);
	memcpy(seeds, key.secret, sizeof *seeds);
}

void verify_begin(struct sync_verify *v)
{
	verify_enter(v, first_phase(v));
	draw_seeds(&v->seeds);
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (verify_compares(v, e)) {
			struct link *link = v->flow->sides[e]->link;

			link->ops->estimate(link, on_estimate, verify_ask(v, e));
		}
}

/* ---- COUNT ------------------------------------------------------------------------------------------- */

static void on_count(void *arg, int64_t rows, const struct err *e)
{
	struct verify_asked a = verify_answered(arg);

	if (e != NULL)
		verify_fail(a.verify, e, "counting rows");
	else
		a.verify->sums.counts[a.endpoint] = rows;
	verify_go_on(a.verify);
}

static void count_all(struct sync_verify *v)
{
	v->counted = true;
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (verify_compares(v, e)) {
			struct link *link = v->flow->sides[e]->link;

			link->ops->count(link, on_count, verify_ask(v, e));
		}
}

/* At least so many are missing: the first side has more than another one that should have all; extra: another one has more than the first. */
static void judge_counts(struct sync_verify *v)
{
	struct sync_verify_sums *s = &v->sums;
	int64_t first = -1, most = 0;

	s->missing = s->extra = 0;
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++) {
		if (!verify_compares(v, e))
			continue;
		first = first < 0 ? s->counts[e] : first;
		most = s->counts[e] > most ? s->counts[e] : most;
	}
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++) {
		int64_t here = s->counts[e], extra = most - (here > first ? here : first);

		if (!verify_compares(v, e) || !verify_expects(v->flow, e))
			continue;
		s->missing = first - here > s->missing ? first - here : s->missing;
		s->extra = extra > s->extra ? extra : s->extra;
	}
}

static int64_t known_open(const struct sync_verify *v)
{
	int64_t n = held_count(v->flow);

	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (v->flow->sides[e] != NULL)
			n += v->flow->sides[e]->owed + v->flow->sides[e]->parked + v->flow->sides[e]->discarded;
	return n;
}

static void take_open(int64_t *different, int64_t *explained, int64_t *open)
{
	int64_t n = *different < *open ? *different : *open;

	*different -= n;
	*open -= n;
	*explained += n;
}

static void counts_over(struct sync_verify *v)
{
	int64_t open = v->settled ? known_open(v) : INT64_MAX;

	take_open(&v->sums.missing, &v->sums.open, &open);
	take_open(&v->sums.extra, &v->sums.open, &open);
	verify_enter(v, v->sums.missing + v->sums.extra > 0 ? VERIFY_KNOWN : VERIFY_OVER);
}

void verify_count(struct sync_verify *v)
{
	if (!v->counted) {
		count_all(v);
		return;
	}
	judge_counts(v);
	if (v->sums.missing + v->sums.extra == 0) {
		verify_enter(v, VERIFY_OVER);
	} else if (v->recounted) {
		counts_over(v);
	} else {
		v->recounted = true;
		v->counted = false;
		v->settling_us = clock_mono_us();
		verify_enter(v, VERIFY_SETTLE);
	}
}

/* ---- KNOWN ------------------------------------------------------------------------------------------- */

static bool is_owed_somewhere(const struct vector *vector)
{
	for (size_t e = 0; e < vector->n_endpoints; e++)
		if (vector->seen[e].owed)
			return true;
	return false;
}

/* It left `where` at one side, or outlived a delete there: nobody brings the sides together. */
static void count_apart(struct sync_verify *v, const struct vector *vector)
{
	const struct vseen *first = NULL;
	bool missing = false, there = false;

	if (is_owed_somewhere(vector))
		return;			/* that is counted already */
	for (size_t e = 0; e < vector->n_endpoints; e++) {
		const struct vseen *seen = &vector->seen[e];

		if (!verify_compares(v, e))
			continue;
		first = first == NULL ? seen : first;
		missing |= !seen->present && (seen->detached || vector->dead);
		there |= seen->present;
	}
	v->apart_missing += first->present && missing;
	v->apart_extra += !first->present && (first->detached || vector->dead) && there;
}

static void on_known(void *arg, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next, const struct err *e)
{
	struct sync_verify *v = arg;
	const struct vector_layout *layout = &v->sync->store->layouts[v->flow->index];
	struct vector *vector;
	struct arena arena;

	v->open--;
	if (e != NULL)
		verify_fail(v, e, "going through what is known");
	arena_init(&arena);
	for (size_t i = 0; e == NULL && i < n; i++)
		if (vector_decode(blobs[i].data, (size_t)blobs[i].len, layout, &arena, &vector, NULL))
			count_apart(v, vector);
	arena_fini(&arena);
	v->known_at = next;
	v->all_known = next == 0;
	job_more(&v->job, (int64_t)n, clock_mono_us());
	verify_go_on(v);
}

void verify_known(struct sync_verify *v)
{
	if (!v->all_known) {
		v->open++;
		v->sync->store->ops->scan(v->sync->store, v->flow->index, v->known_at, on_known, v);
		return;
	}
	take_open(&v->sums.missing, &v->sums.open, &v->apart_missing);
	take_open(&v->sums.extra, &v->sums.open, &v->apart_extra);
	verify_enter(v, VERIFY_OVER);
}

/* ---- SUM --------------------------------------------------------------------------------------------- */

/* How many rows it has. */
static int64_t add_range(struct verify_side *s, const struct part_sum *parts, const char *last)
{
	int64_t rows = 0;

	for (size_t p = 0; p < SUM_PARTS; p++) {
		s->parts[p].rows += parts[p].rows;
		s->parts[p].hash += parts[p].hash;
		s->parts[p].unclear |= parts[p].unclear;
		rows += parts[p].rows;
	}
	if (s->n_ends == s->cap_ends) {
		s->cap_ends = s->cap_ends > 0 ? 2 * s->cap_ends : 16;
		s->ends = xrealloc(s->ends, s->cap_ends * sizeof(char *));
	}
	s->ends[s->n_ends++] = last != NULL ? xstrdup(last) : NULL;
	free(s->after);
	s->after = last != NULL ? xstrdup(last) : NULL;
	s->over = last == NULL;
	s->done += rows;
	return rows;
}

static void on_summed(void *arg, const struct part_sum *parts, const char *last, const struct err *e)
{
	struct verify_asked a = verify_answered(arg);

	if (e != NULL)
		verify_fail(a.verify, e, "adding up rows");
	else if (!a.verify->ended)
		job_more(&a.verify->job, add_range(&a.verify->sides[a.endpoint], parts, last), clock_mono_us());
	verify_range_done(a.verify);
}

static bool same_sums(const struct part_sum *a, const struct part_sum *b)
{
	return a->rows == b->rows && a->hash == b->hash && !a->unclear && !b->unclear;
}

/* At every side that is compared: then its rows match. */
static bool part_matches(const struct sync_verify *v, size_t p, int64_t *rows)
{
	const struct part_sum *first = NULL;

	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++) {
		const struct part_sum *here = &v->sides[e].parts[p];

		if (!verify_compares(v, e))
			continue;
		if (first != NULL && !same_sums(first, here))
			return false;
		first = here;
	}
	*rows = first->rows;
	return true;
}

static void start_anew(struct verify_side *s, bool keep_ranges)
{
	free(s->after);
	s->after = NULL;
	s->over = false;
	s->done = 0;
	for (size_t i = 0; !keep_ranges && i < s->n_ends; i++)
		free(s->ends[i]);
	s->n_ends = keep_ranges ? s->n_ends : 0;
}

static void sums_over(struct sync_verify *v)
{
	size_t differing = 0;
	int64_t rows, matching = 0;

	v->differing.seed = v->seeds.part;
	for (size_t p = 0; p < SUM_PARTS; p++) {
		if (part_matches(v, p, &rows)) {
			matching += rows;
			continue;
		}
		v->differing.bits[p / 64] |= UINT64_C(1) << (p % 64);
		differing++;
	}
	if (differing <= SUM_PARTS / 2)
		v->sums.compared = v->sums.matching = matching;
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (verify_compares(v, e))
			start_anew(&v->sides[e], differing <= SUM_PARTS / 2);
	if (differing == 0)
		verify_settle(v);	/* nothing is in doubt */
	else
		verify_enter(v, VERIFY_LIST);
}

void verify_sum(struct sync_verify *v)
{
	size_t asked = 0;

	v->asked_us = clock_mono_us();
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++) {
		struct verify_side *s = &v->sides[e];

		if (!verify_compares(v, e) || s->over)
			continue;
		if (s->parts == NULL)
			s->parts = xcalloc(SUM_PARTS, sizeof *s->parts);
		v->flow->sides[e]->link->ops->sum(v->flow->sides[e]->link, s->after, SUM_ROWS, &v->seeds, on_summed, verify_ask(v, e));
		asked++;
	}
	if (asked == 0)
		sums_over(v);
}
