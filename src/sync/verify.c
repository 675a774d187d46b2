/*
 * verify.c - do the endpoints show the same? Found out from their rows, not from what we believe of them; and mending what does not.
 *
 *   LIST      every row of every side goes into a census: whose row, with which digest
 *   COMPARE   the census, part by part: records that all sides show alike match, the others are in doubt
 *   SETTLE    until everything that happened before is captured and written, or for some seconds
 *   LOOK      those in doubt are read again and judged (verify_look.c). Whoever moves meanwhile is looked at again, after another SETTLE
 *   MEND      repair: rows go to rounds as a sweep's rows do, and so through the entity's own rules; rows that are gone are evidence
 *             as a sweep's are, and the mass-delete guard counts them. Then SETTLE and LOOK tell what became of it. Or
 *             (--dry-run) a plan of just these records tells what would be written
 *
 * Others go on meanwhile. Disk is taken for the census (in journal.directory), memory only for what is in doubt.
 */
#include "sync/verify.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/census.h"
#include "sync/feed.h"

enum {
	SETTLE_US = 20 * 1000 * 1000,
	LOOKS_MOST = 5,			/* who still moves then is called open */
	LOOK_RECORDS = 500,
	REST_MS = 20,
	RETRY_US = 10 * 1000 * 1000,	/* it was time for it, and it could not begin */
	DOUBTS_MOST = 200000,		/* more of them are counted as the census shows them */
};

enum verify_phase { VERIFY_LIST, VERIFY_COMPARE, VERIFY_SETTLE, VERIFY_LOOK, VERIFY_MEND, VERIFY_OVER };

struct sync_verify {
	struct sync *sync;
	struct flow *flow;
	struct sync_verify_taker taker;
	enum sync_verify_mode mode;
	bool gently;			/* by the clock: it rests as long as it reads */
	int64_t asked_us;		/* monotonic: when the last page was asked for */
	uint64_t losses;		/* of the state before it began */
	bool ended;			/* it has told its end, or nobody wants to know */
	bool stepping;
	size_t open;			/* questions under way */
	int64_t settling_us;		/* SETTLE: since when, monotonic */
	bool settled;			/* and it has come to rest */
	struct sync_plan *plan;		/* under way; NULL: none */
	enum verify_phase phase;
	struct job job;
	struct sync_verify_sums sums;
	struct meter_entity counts;	/* of what was cleaned and rejected: not of what is captured, so nobody is told */
	/* LIST */
	struct census *census;
	size_t endpoint;
	char *after;			/* owned; last local id seen */
	bool estimated;
	/* COMPARE, LOOK, MEND */
	size_t part;
	struct arena arena;		/* of the doubts */
	struct doubtful **doubts;	/* owned list */
	size_t n_doubts, cap_doubts;
	size_t at, looks;		/* of them looked at in this look; looks so far */
	struct doubtful *batch[LOOK_RECORDS];
	size_t n_batch;
	bool mended;
	struct loop_timer *timer;	/* a turn between two parts */
};

static void verify_go_on(struct sync_verify *v);

/* ---- the end ----------------------------------------------------------------------------------------- */

static void verify_release(struct sync_verify *v)
{
	v->sync->verify = NULL;
	job_end(&v->sync->jobs, &v->job);
	census_free(&v->census);
	arena_fini(&v->arena);
	loop_timer_free(&v->timer);
	free(v->doubts);
	free(v->after);
	free(v);
}

static void stop_plan(struct sync_verify *v)
{
	if (v->plan != NULL)
		sync_plan_cancel(v->plan);
	v->plan = NULL;
}

/* For the metrics, and for those who read the log in the morning. */
static void note_result(struct sync_verify *v)
{
	const struct sync_verify_sums *s = &v->sums;
	int64_t wrong = s->different + s->missing + s->extra + s->unlooked;
	struct meter_verify now = { clock_wall_us(), s->compared, wrong - s->written, s->compared_at };

	meter_verified(&v->flow->meter, wrong, &now);
	if (now.different > 0)
		log_warn("endpoints differ; see crmsyncctl verify, crmsyncctl repair", LOG_S("entity", v->flow->def->name),
			 LOG_I("compared", s->compared), LOG_I("different", s->different + s->unlooked), LOG_I("missing", s->missing),
			 LOG_I("extra", s->extra), LOG_I("repaired", s->written));
	else
		log_info("endpoints verified", LOG_S("entity", v->flow->def->name), LOG_I("compared", s->compared),
			 LOG_I("open", s->open), LOG_I("repaired", s->written));
}

static void verify_end(struct sync_verify *v, const struct err *e)
{
	if (v->ended)
		return;
	v->ended = true;
	stop_plan(v);
	if (e == NULL)
		note_result(v);
	if (v->taker.done != NULL)
		v->taker.done(v->taker.arg, &v->sums, e);
}

void sync_verify_cancel(struct sync_verify *v)
{
	v->ended = true;
	stop_plan(v);
	verify_go_on(v);
}

void verify_end_with_sync(struct sync *s)
{
	struct err e = { 0 };

	if (s->verify == NULL)
		return;
	err_set(&e, ERR_TRANSIENT, "stopping", "the daemon stops, or reads its topology again; ask again");
	verify_end(s->verify, &e);
}

void verify_free(struct sync *s)
{
	if (s->verify != NULL)
		verify_release(s->verify);
}

static void verify_fail(struct sync_verify *v, const struct err *e, const char *doing)
{
	struct err why = *e;

	if (why.kind == 0)
		why.kind = ERR_TRANSIENT;
	err_while(&why, "verifying %s, %s", v->flow->def->name, doing);
	verify_end(v, &why);
}

static void enter(struct sync_verify *v, enum verify_phase phase, const char *name, const char *unit, int64_t expected)
{
	v->phase = phase;
	job_phase(&v->job, name, NULL, unit, expected, clock_mono_us());
}

static void rest(struct sync_verify *v, int64_t ms)
{
	v->open++;
	loop_timer_set(v->timer, ms);
}

/* ---- LIST -------------------------------------------------------------------------------------------- */

static bool compares(const struct sync_verify *v, size_t e)
{
	return v->sums.compared_at & BIT(e);
}

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

static bool count_rows(struct sync_verify *v, const struct rowset *rows, struct err *e)
{
	const struct side *side = v->flow->sides[v->endpoint];
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
			ok = census_add(v->census, &entry, e);
		else if (!row->outside)
			v->sums.invalid++;
	}
	arena_fini(&arena);
	return ok;
}

static void take_page(struct sync_verify *v, const struct rowset *rows)
{
	struct err e = { 0 };

	job_more(&v->job, (int64_t)rows->n, clock_mono_us());
	v->sums.bytes += (int64_t)rows->bytes;
	if (!count_rows(v, rows, &e)) {
		verify_fail(v, &e, "keeping what was read");
		return;
	}
	free(v->after);
	v->after = NULL;
	if (rows->n < batch_rows(v->flow) && !rows->cut) {
		v->endpoint++;
		v->estimated = false;
	} else {
		const struct row *last = &rows->rows[rows->n - 1];

		v->after = xstrndup(last->id.data, (size_t)last->id.len);
	}
}

static void on_page(void *arg, struct rowset *rows, const struct err *e)
{
	struct sync_verify *v = arg;

	v->open--;
	if (e != NULL)
		verify_fail(v, e, "listing rows");
	else if (!v->ended)
		take_page(v, rows);
	if (e == NULL)
		rowset_free(&rows);
	if (v->gently && !v->ended)
		rest(v, (clock_mono_us() - v->asked_us) / 1000 + 1);
	verify_go_on(v);
}

static void on_estimate(void *arg, int64_t rows, const struct err *e)
{
	struct sync_verify *v = arg;

	v->open--;
	job_expect(&v->job, e == NULL ? rows : -1);
	verify_go_on(v);
}

static void list_step(struct sync_verify *v)
{
	struct link *link;

	while (v->endpoint < v->sync->topology->n_endpoints && !compares(v, v->endpoint))
		v->endpoint++;
	if (v->endpoint == v->sync->topology->n_endpoints) {
		enter(v, VERIFY_COMPARE, "compare", NULL, CENSUS_PARTS);
		return;
	}
	link = v->flow->sides[v->endpoint]->link;
	v->open++;
	if (!v->estimated) {
		v->estimated = true;
		job_phase(&v->job, "list", v->flow->sides[v->endpoint]->mapping->endpoint->name, "rows", -1, clock_mono_us());
		link->ops->estimate(link, on_estimate, v);
	} else {
		v->asked_us = clock_mono_us();
		link->ops->list(link, v->after, batch_rows(v->flow), on_page, v);
	}
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
		if (compares(v, e) && verify_expects(v->flow, e) && !(there & BIT(e)))
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

static void begin_settling(struct sync_verify *v)
{
	enter(v, v->n_doubts > 0 ? VERIFY_SETTLE : VERIFY_OVER, "settle", NULL, -1);
	v->settling_us = clock_mono_us();
	v->at = 0;
}

/* A part a turn: others have their share of the loop. */
static void compare_step(struct sync_verify *v)
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
		begin_settling(v);
	} else {
		rest(v, 0);
	}
}

static void on_turn(void *arg)
{
	struct sync_verify *v = arg;

	v->open--;
	verify_go_on(v);
}

/* ---- SETTLE ------------------------------------------------------------------------------------------ */

static void settle_step(struct sync_verify *v)
{
	bool settled = flow_settled_at(v->flow, v->sums.compared_at, v->settling_us);

	if (!settled && !v->flow->paused && clock_mono_us() - v->settling_us < SETTLE_US) {
		rest(v, REST_MS);
		return;
	}
	v->settled = settled;
	enter(v, VERIFY_LOOK, "look", "records", (int64_t)v->n_doubts);
}

/* ---- LOOK -------------------------------------------------------------------------------------------- */

static bool is_wrong(const struct doubtful *d)
{
	return d->verdict == VERDICT_DIFFERENT || d->verdict == VERDICT_MISSING || d->verdict == VERDICT_EXTRA;
}

/* What may not have been captured yet, or written, is looked at again. */
static void doubt_what_is_not_settled(struct sync_verify *v)
{
	for (size_t i = 0; !v->settled && i < v->n_batch; i++)
		if (is_wrong(v->batch[i]))
			v->batch[i]->verdict = VERDICT_DOUBT;
}

static void on_looked(void *arg, const struct err *e)
{
	struct sync_verify *v = arg;

	v->open--;
	doubt_what_is_not_settled(v);
	job_more(&v->job, (int64_t)v->at - v->job.done, clock_mono_us());
	if (e != NULL)
		verify_fail(v, e, "looking again");
	verify_go_on(v);
}

static bool any_in_doubt(const struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++)
		if (v->doubts[i]->verdict == VERDICT_DOUBT)
			return true;
	return false;
}

static bool any_wrong(const struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++)
		if (is_wrong(v->doubts[i]))
			return true;
	return false;
}

static void sum_up(struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++)
		switch (v->doubts[i]->verdict) {
		case VERDICT_MATCH:	v->sums.matching++; break;
		case VERDICT_OWN_FORM:	v->sums.own_form++; break;
		case VERDICT_DOUBT:
		case VERDICT_OPEN:	v->sums.open++; break;
		case VERDICT_NOWHERE:	v->sums.compared--; break;
		case VERDICT_DIFFERENT:	v->sums.different++; break;
		case VERDICT_MISSING:	v->sums.missing++; break;
		case VERDICT_EXTRA:	v->sums.extra++; break;
		}
}

static enum sync_difference kind_of(enum verdict wrong)
{
	return wrong == VERDICT_MISSING ? DIFFERENCE_MISSING : wrong == VERDICT_EXTRA ? DIFFERENCE_EXTRA : DIFFERENCE_VALUES;
}

static void tell(struct sync_verify *v, const struct doubtful *d)
{
	if (!v->ended && v->taker.difference != NULL)
		v->taker.difference(v->taker.arg, &(struct sync_different){
			.what = kind_of(d->found), .key = d->key != NULL ? d->key : "", .fields = d->fields, .there = d->there & ~d->outside,
			.absent = v->sums.compared_at & ~d->there, .mended = v->mended && !is_wrong(d) && d->verdict != VERDICT_DOUBT &&
			d->verdict != VERDICT_OPEN, .waits = v->mended && d->verdict == VERDICT_OPEN });
}

static void tell_all(struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++)
		if (v->doubts[i]->found != VERDICT_DOUBT)
			tell(v, v->doubts[i]);
}

static void keep_found(struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++)
		if (is_wrong(v->doubts[i]))
			v->doubts[i]->found = v->doubts[i]->verdict;
}

static void count_mended(struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++) {
		const struct doubtful *d = v->doubts[i];

		if (d->found == VERDICT_DOUBT)
			continue;
		if (is_wrong(d) || d->verdict == VERDICT_DOUBT || d->verdict == VERDICT_OPEN)
			v->sums.skipped++;
		else
			v->sums.written++;
	}
}

static void looks_over(struct sync_verify *v)
{
	bool mend = v->mode != VERIFY_ONLY && !v->mended && any_wrong(v);

	if (v->mended) {
		count_mended(v);
	} else {
		sum_up(v);
		keep_found(v);
	}
	enter(v, mend ? VERIFY_MEND : VERIFY_OVER, "mend", "records", (int64_t)v->n_doubts);
	v->at = 0;
	v->looks = 0;
	if (!mend || v->mode == VERIFY_PLAN)
		tell_all(v);
}

static size_t gather(struct sync_verify *v, bool (*wanted)(const struct doubtful *))
{
	size_t n = 0;

	while (v->at < v->n_doubts && n < LOOK_RECORDS) {
		struct doubtful *d = v->doubts[v->at++];

		if (wanted(d))
			v->batch[n++] = d;
	}
	return n;
}

static bool is_in_doubt(const struct doubtful *d)
{
	return d->verdict == VERDICT_DOUBT;
}

static void look_step(struct sync_verify *v)
{
	size_t n = gather(v, is_in_doubt);

	v->n_batch = n;
	if (n > 0) {
		v->open++;
		look_at(v->flow, v->sums.compared_at, v->batch, n, &v->arena, on_looked, v);
	} else if (any_in_doubt(v) && !v->flow->paused && ++v->looks < LOOKS_MOST) {
		begin_settling(v);
	} else {
		looks_over(v);
	}
}

/* ---- MEND -------------------------------------------------------------------------------------------- */

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
		round_of_listing(m->side, rows, m->asked_us, false);
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

/* A row that is known and gone is evidence, as when a sweep does not find it. */
static void mend_gone(struct sync_verify *v, const struct doubtful *d)
{
	uint64_t gone = v->sums.compared_at & d->known & ~d->there & ~d->held;

	if (gone != 0)
		flow_look_again(v->flow, &d->rid, gone);
}

static bool is_to_mend(const struct doubtful *d)
{
	return is_wrong(d);
}

static void mending_sent(struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++)
		if (is_wrong(v->doubts[i]))
			v->doubts[i]->verdict = VERDICT_DOUBT;
	v->mended = true;
	begin_settling(v);
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
	v->phase = VERIFY_OVER;
	if (e != NULL)
		verify_fail(v, e, "planning the repair");
	verify_go_on(v);
}

/* As mending would: the same rows, the same evidence. */
static void plan_of(struct sync_verify *v, const struct doubtful *d)
{
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++) {
		if (!compares(v, e))
			continue;
		if (d->there & d->news & BIT(e))
			plan_add_row(v->plan, &d->rid, e, d->known & BIT(e) ? VALUE_NULL : d->rows[e].id);
		if (d->known & ~d->there & BIT(e))
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
		if (is_wrong(v->doubts[i]))
			plan_of(v, v->doubts[i]);
	plan_begin(v->plan);
}

static size_t gone_at(const struct sync_verify *v, size_t e)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_doubts; i++)
		n += is_wrong(v->doubts[i]) && (v->doubts[i]->known & ~v->doubts[i]->there & BIT(e));
	return n;
}

static bool hold_all_at(struct sync_verify *v, size_t e, struct err *why)
{
	struct side *side = v->flow->sides[e];
	bool fresh, ok = true;

	journal_begin(v->sync->journal);
	for (size_t i = 0; i < v->n_doubts; i++) {
		struct doubtful *d = v->doubts[i];

		if (!is_wrong(d) || !(d->known & ~d->there & BIT(e)))
			continue;
		ok &= held_add(side, &d->rid, d->key != NULL ? d->key : "", clock_wall_us(), &fresh, why);
		d->held |= BIT(e);
	}
	ok &= journal_commit(v->sync->journal, why);
	if (!ok)
		held_load(v->sync);
	return ok;
}

/* Where a sweep would not believe that so many rows are gone, nor do we. False: they could not be held. */
static bool hold_masses(struct sync_verify *v)
{
	struct err e = { 0 };

	for (size_t k = 0; v->at == 0 && k < v->sync->topology->n_endpoints; k++) {
		if (!compares(v, k) || gone_at(v, k) <= held_limit(v->flow))
			continue;
		v->flow->sides[k]->guard.set = 0;
		log_error("deletes held: more rows vanished than limits.mass_delete allows; see crmsyncctl held list",
			  LOG_S("entity", v->flow->def->name), LOG_S("endpoint", v->flow->sides[k]->mapping->endpoint->name));
		if (!hold_all_at(v, k, &e)) {
			verify_fail(v, &e, "holding deletes");
			return false;
		}
	}
	return true;
}

static void mend_step(struct sync_verify *v)
{
	struct err why = { 0 };
	size_t n;

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
		rest(v, REST_MS);
		return;
	}
	if (!hold_masses(v))
		return;
	n = gather(v, is_to_mend);
	if (n == 0) {
		mending_sent(v);
		return;
	}
	job_more(&v->job, (int64_t)v->at - v->job.done, clock_mono_us());
	for (size_t i = 0; i < n; i++)
		mend_gone(v, v->batch[i]);
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (compares(v, e))
			mend_rows(v, e, n);
	flow_pump(v->flow);
}

/* ---- going on ---------------------------------------------------------------------------------------- */

static void over_step(struct sync_verify *v)
{
	verify_end(v, NULL);
}

static void (*const steps[])(struct sync_verify *) = {
	[VERIFY_LIST] = list_step, [VERIFY_COMPARE] = compare_step, [VERIFY_SETTLE] = settle_step, [VERIFY_LOOK] = look_step,
	[VERIFY_MEND] = mend_step, [VERIFY_OVER] = over_step,
};

/* NULL: fine. What was read under another state, or of a side that has gone since, proves nothing any more. */
static const char *why_not(const struct sync_verify *v, const struct sync *s)
{
	if (s->closing || s->finishing)
		return "the daemon stops, or reads its topology again; ask again";
	if (!s->store->ready || !s->recovered || s->rebase != NULL)
		return s->store->why.text[0] != '\0' ? s->store->why.text : "the state in Redis is not at hand; try again";
	if (v != NULL && v->losses != s->losses)
		return "the state in Redis was lost meanwhile; ask again";
	for (size_t e = 0; v != NULL && e < s->topology->n_endpoints; e++)
		if (compares(v, e) && !side_usable(v->flow->sides[e]))
			return "an endpoint went away meanwhile; ask again";
	return NULL;
}

static void verify_go_on(struct sync_verify *v)
{
	struct err e = { 0 };

	if (v->stepping || v->open > 0)
		return;
	v->stepping = true;
	while (v->open == 0 && v->plan == NULL && !v->ended) {
		const char *why = why_not(v, v->sync);

		if (why != NULL) {
			err_set(&e, ERR_TRANSIENT, "verify-broken", "%s", why);
			verify_end(v, &e);
		} else {
			steps[v->phase](v);
		}
	}
	v->stepping = false;
	if (v->ended && v->open == 0)
		verify_release(v);
}

/* ---- birth ------------------------------------------------------------------------------------------- */

static size_t choose_sides(const struct flow *flow, struct sync_verify_sums *sums)
{
	size_t n = 0;

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		if (flow->sides[e] == NULL)
			continue;
		if (side_usable(flow->sides[e])) {
			sums->compared_at |= BIT(e);
			n++;
		} else {
			sums->left_out |= BIT(e);
		}
	}
	return n;
}

static const char *const kinds[] = { [VERIFY_ONLY] = "verify", [VERIFY_REPAIR] = "repair", [VERIFY_PLAN] = "repair --dry-run" };

struct sync_verify *sync_verify(struct sync *s, const char *entity, enum sync_verify_mode mode, const struct sync_verify_taker *taker,
				struct err *e)
{
	struct flow *flow = flow_named(s, entity);
	struct sync_verify_sums sums = { 0 };
	struct census *census;
	struct sync_verify *v;

	if (flow == NULL)
		return err_set(e, ERR_CONFIG, "unknown-name", "there is no entity '%s'", entity), NULL;
	if (s->verify != NULL)
		return err_set(e, ERR_TRANSIENT, "busy", "something is being verified; try again"), NULL;
	if (why_not(NULL, s) != NULL)
		return err_set(e, ERR_TRANSIENT, "not-ready", "%s", why_not(NULL, s)), NULL;
	if (choose_sides(flow, &sums) < 2)
		return err_set(e, ERR_ENDPOINT, "endpoints-away", "%s: fewer than two of its endpoints can be read now", entity), NULL;
	if (mode == VERIFY_REPAIR && flow->paused)
		return err_set(e, ERR_TRANSIENT, "paused", "%s is paused; resume it, and ask again", entity), NULL;
	census = census_new(s->topology->journal.directory, e);
	if (census == NULL)
		return NULL;
	v = xcalloc(1, sizeof *v);
	v->sync = s;
	v->flow = flow;
	v->mode = mode;
	if (taker != NULL)
		v->taker = *taker;
	v->gently = taker == NULL;
	v->losses = s->losses;
	v->census = census;
	v->sums = sums;
	v->timer = loop_timer_new(s->loop, on_turn, v);
	arena_init(&v->arena);
	s->verify = v;
	job_begin(&s->jobs, &v->job, kinds[mode], flow->def->name, v->gently ? JOB_SCHEDULE : JOB_OPERATOR, clock_mono_us());
	verify_go_on(v);
	return v;
}

static bool is_surveyed(const struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && side_usable(flow->sides[e]) && !flow->sides[e]->surveyed)
			return false;
	return true;
}

/* `verify:` of an entity: one after the other, each in its time. The first one not before everything was surveyed. */
void verify_tick(struct sync *s)
{
	int64_t now = clock_mono_us();
	struct err e = { 0 };

	for (size_t i = 0; i < s->topology->n_entities && s->verify == NULL; i++) {
		struct flow *flow = &s->flows[i];
		int64_t every_us = s->topology->entities[i].verify_us;

		if (every_us == 0 || flow->paused || !is_surveyed(flow))
			continue;
		if (flow->next_verify_us == 0)
			flow->next_verify_us = now + every_us;
		if (now < flow->next_verify_us)
			continue;
		flow->next_verify_us = now + (sync_verify(s, flow->def->name, VERIFY_ONLY, NULL, &e) != NULL ? every_us : RETRY_US);
	}
}

const struct job *sync_verify_job(const struct sync_verify *v)
{
	return &v->job;
}
