/*
 * verify_mend.c - what verify found different is mended, or (--dry-run) planned.
 *
 * Rows go to rounds as a sweep's rows do, and so through the entity's own rules; rows that are gone are evidence as a sweep's are, and
 * the mass-delete guard counts them. A dry run is a plan of just these records. What one side shows may be imposed on the others instead
 * (verify_from.c).
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"
#include "sync/verify.h"

struct mending {			/* rows of one side, on their way to a round */
	struct sync_verify *verify;
	struct side *side;
	struct value *ids;		/* owned */
	int64_t asked_us;
};

static void on_mending_rows(void *arg, struct rowset *rows, const struct err *e)
{
	struct mending *m = arg;
	struct sync_verify *v = m->verify;

	v->open--;
	if (e != NULL)
		verify_fail(v, e, "reading what to mend");
	else if (!v->ended && rows->n > 0 && ready(v->flow))
		round_of_listing(m->side, rows, m->asked_us, LISTED_ALONE);
	else
		rowset_free(&rows);
	free(m->ids);
	free(m);
	verify_go_on(v);
}

/* What is not known of a side is news, as on a page of a sweep. */
static void mend_rows(struct sync_verify *v, size_t e, size_t n)
{
	struct mending *m = xcalloc(1, sizeof *m);
	size_t n_ids = 0;

	m->verify = v;
	m->side = v->flow->sides[e];
	m->ids = xcalloc(n, sizeof *m->ids);
	m->asked_us = clock_mono_us();
	for (size_t i = 0; i < n; i++)
		if (v->batch[i]->there & v->batch[i]->news & BIT(e))
			m->ids[n_ids++] = v->batch[i]->rows[e].id;
	if (n_ids == 0) {
		free(m->ids);
		free(m);
		return;
	}
	v->open++;
	m->side->link->ops->read(m->side->link, m->ids, n_ids, on_mending_rows, m);
}

/* A row that is known and gone is evidence, as when a sweep does not find it; where a side is imposed it is not asked for. */
static void mend_gone(struct sync_verify *v, const struct doubtful *d)
{
	uint64_t gone = v->sums.compared_at & d->known & ~d->there & ~d->held;

	if (gone != 0)
		flow_look_again(v->flow, &d->rid, v->from != NULL ? 0 : gone);
}

static bool is_to_mend(const struct sync_verify *v, const struct doubtful *d)
{
	return verify_is_wrong(d) && (v->from == NULL || verify_from_has(v, d));
}

static void mending_sent(struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++)
		if (verify_is_wrong(v->doubts[i]))
			v->doubts[i]->verdict = VERDICT_DOUBT;
	v->mended = true;
	verify_settle(v);
}

static void on_planned(void *arg, const struct sync_planned *planned)
{
	struct sync_verify *v = arg;

	v->taker.planned(v->taker.arg, planned);
}

static bool on_asked_if_full(void *arg)
{
	return false;			/* there are not so many */
}

static void on_plan_done(void *arg, const struct err *e)
{
	struct sync_verify *v = arg;

	v->plan = NULL;
	verify_enter(v, VERIFY_OVER);
	if (e != NULL)
		verify_fail(v, e, "planning the repair");
	verify_go_on(v);
}

/* As mending would: the same rows, the same evidence. */
static void plan_of(struct sync_verify *v, const struct doubtful *d)
{
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++) {
		if (!verify_compares(v, e))
			continue;
		if (d->there & d->news & BIT(e))
			plan_add_row(v->plan, &d->rid, e, d->known & BIT(e) ? VALUE_NULL : d->rows[e].id);
		if (d->known & ~d->there & BIT(e) && v->from != NULL)
			plan_add_row(v->plan, &d->rid, e, VALUE_NULL);
		else if (d->known & ~d->there & BIT(e))
			plan_add_gone(v->plan, &d->rid, e);
	}
}

static void plan_step(struct sync_verify *v)
{
	struct sync_plan_taker taker = { on_planned, on_asked_if_full, on_plan_done, v };
	struct err e = { 0 };

	v->plan = plan_new(v->flow, &taker, &e);
	if (v->plan == NULL) {
		verify_fail(v, &e, "planning the repair");
		return;
	}
	for (size_t i = 0; i < v->n_doubts; i++)
		if (is_to_mend(v, v->doubts[i]))
			plan_of(v, v->doubts[i]);
	plan_begin(v->plan);
}

static size_t gone_at(const struct sync_verify *v, size_t e)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_doubts; i++)
		n += verify_is_wrong(v->doubts[i]) && (v->doubts[i]->known & ~v->doubts[i]->there & BIT(e));
	return n;
}

static bool hold_all_at(struct sync_verify *v, size_t e, struct err *why)
{
	struct side *side = v->flow->sides[e];
	bool fresh, ok = true;

	journal_begin(v->sync->journal);
	for (size_t i = 0; i < v->n_doubts; i++) {
		struct doubtful *d = v->doubts[i];

		if (!verify_is_wrong(d) || !(d->known & ~d->there & BIT(e)))
			continue;
		ok &= held_add(side, &d->rid, d->key != NULL ? d->key : "", clock_wall_us(), &fresh, why);
		d->held |= BIT(e);
	}
	ok &= journal_commit(v->sync->journal, why);
	if (!ok)
		held_read_again(v->sync);
	return ok;
}

/* Where a sweep would not believe that so many rows are gone, nor do we. False: they could not be held. */
static bool hold_masses(struct sync_verify *v)
{
	struct err e = { 0 };

	for (size_t k = 0; v->from == NULL && v->at == 0 && k < v->sync->topology->n_endpoints; k++) {
		if (!verify_compares(v, k) || gone_at(v, k) <= held_limit(v->flow))
			continue;
		held_begin_set(v->flow->sides[k], "more rows vanished than limits.mass_delete allows");
		if (!hold_all_at(v, k, &e)) {
			verify_fail(v, &e, "holding deletes");
			return false;
		}
	}
	return true;
}

/* Once. */
static bool choose_imposed(struct sync_verify *v, struct err *why)
{
	bool first = !v->chosen;

	v->chosen = true;
	if (first && v->from == NULL)
		verify_from_others(v);
	return !first || v->from == NULL || verify_from_choose(v, why);
}

void verify_mend(struct sync_verify *v)
{
	struct err why = { 0 };
	size_t n;

	if (!choose_imposed(v, &why)) {
		verify_fail(v, &why, "mending");
		return;
	}
	if (v->mode == VERIFY_PLAN) {
		plan_step(v);
		return;
	}
	if (v->flow->paused) {
		err_set(&why, ERR_TRANSIENT, "paused", "the entity is paused; resume it, and ask again");
		verify_fail(v, &why, "mending");
		return;
	}
	if (!flow_takes_news(v->flow) || v->flow->n_rounds >= (size_t)v->sync->topology->limits.rounds) {
		verify_rest(v, VERIFY_REST_MS);
		return;
	}
	if (!hold_masses(v))
		return;
	n = verify_gather(v, is_to_mend);
	if (n == 0) {
		mending_sent(v);
		return;
	}
	job_more(&v->job, (int64_t)v->at - v->job.done, clock_mono_us());
	for (size_t i = 0; i < n; i++)
		mend_gone(v, v->batch[i]);
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (verify_compares(v, e))
			mend_rows(v, e, n);
	flow_pump(v->flow);
}
