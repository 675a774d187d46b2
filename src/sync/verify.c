/*
 * verify.c - do the endpoints show the same? Found out from their rows, not from what we believe of them; and mending what does not.
 *
 *   LIST      every row of every side goes into a census: whose row, with which digest
 *   COMPARE   the census, part by part: records that all sides show alike match, the others are in doubt
 *   SETTLE    until everything that happened before is captured and written, or for some seconds
 *   LOOK      those in doubt are read again and judged (verify_look.c). Whoever moves meanwhile is looked at again, after another SETTLE
 *   MEND      repair (verify_mend.c); then SETTLE and LOOK tell what became of it
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
	RETRY_US = 10 * 1000 * 1000,	/* it was time for it, and it could not begin */
	DOUBTS_MOST = 200000,		/* more of them are counted as the census shows them */
};

/* ---- the end ----------------------------------------------------------------------------------------- */

static void verify_release(struct sync_verify *v)
{
	v->sync->verify = NULL;
	verify_from_end(v);
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

void verify_fail(struct sync_verify *v, const struct err *e, const char *doing)
{
	struct err why = *e;

	if (why.kind == 0)
		why.kind = ERR_TRANSIENT;
	err_while(&why, "verifying %s, %s", v->flow->def->name, doing);
	verify_end(v, &why);
}

void verify_rest(struct sync_verify *v, int64_t ms)
{
	v->open++;
	loop_timer_set(v->timer, ms);
}

/* ---- LIST -------------------------------------------------------------------------------------------- */

bool verify_compares(const struct sync_verify *v, size_t e)
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

	v->done += (int64_t)rows->n;
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
		v->done = 0;
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
	if (v->gently && !v->ended) {
		verify_rest(v, (clock_mono_us() - v->asked_us) / 1000 + 1);
	}
	verify_go_on(v);
}

static void on_estimate(void *arg, int64_t rows, const struct err *e)
{
	struct sync_verify *v = arg;

	v->open--;
	v->expected = e == NULL ? rows : -1;
	verify_go_on(v);
}

static void list_step(struct sync_verify *v)
{
	struct link *link;

	while (v->endpoint < v->sync->topology->n_endpoints && !verify_compares(v, v->endpoint))
		v->endpoint++;
	if (v->endpoint == v->sync->topology->n_endpoints) {
		v->phase = VERIFY_COMPARE;
		v->done = 0;
		v->expected = CENSUS_PARTS;
		return;
	}
	link = v->flow->sides[v->endpoint]->link;
	v->open++;
	if (!v->estimated) {
		v->estimated = true;
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

void verify_settle(struct sync_verify *v)
{
	v->phase = v->n_doubts > 0 ? VERIFY_SETTLE : VERIFY_OVER;
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
	v->done = (int64_t)++v->part;
	if (v->part == CENSUS_PARTS) {
		census_free(&v->census);
		verify_settle(v);
	} else {
		verify_rest(v, 0);
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
		verify_rest(v, VERIFY_REST_MS);
		return;
	}
	v->settled = settled;
	v->phase = VERIFY_LOOK;
	v->done = 0;
	v->expected = (int64_t)v->n_doubts;
}

/* ---- LOOK -------------------------------------------------------------------------------------------- */

bool verify_is_wrong(const struct doubtful *d)
{
	return d->verdict == VERDICT_DIFFERENT || d->verdict == VERDICT_MISSING || d->verdict == VERDICT_EXTRA;
}

/* What may not have been captured yet, or written, is looked at again. */
static void doubt_what_is_not_settled(struct sync_verify *v)
{
	for (size_t i = 0; !v->settled && i < v->n_batch; i++)
		if (verify_is_wrong(v->batch[i]))
			v->batch[i]->verdict = VERDICT_DOUBT;
}

static void on_looked(void *arg, const struct err *e)
{
	struct sync_verify *v = arg;

	v->open--;
	doubt_what_is_not_settled(v);
	v->done = (int64_t)v->at;
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
		if (verify_is_wrong(v->doubts[i]))
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

static enum sync_difference kind_of(const struct doubtful *d)
{
	switch (d->found) {
	case VERDICT_DIFFERENT:	return DIFFERENCE_VALUES;
	case VERDICT_MISSING:	return DIFFERENCE_MISSING;
	case VERDICT_EXTRA:	return DIFFERENCE_EXTRA;
	case VERDICT_DOUBT:
	case VERDICT_MATCH:
	case VERDICT_OWN_FORM:
	case VERDICT_OPEN:
	case VERDICT_NOWHERE:	break;		/* of these only what is open is told */
	}
	return DIFFERENCE_OPEN;
}

static bool is_open(const struct doubtful *d)
{
	return d->verdict == VERDICT_DOUBT || d->verdict == VERDICT_OPEN;
}

static void tell(struct sync_verify *v, const struct doubtful *d)
{
	struct value ids[ENDPOINTS_MAX];

	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		ids[e] = d->rows[e].id;
	v->taker.difference(v->taker.arg, &(struct sync_different){
		.what = kind_of(d), .key = d->key != NULL ? d->key : "", .fields = d->fields, .there = d->there & ~d->outside,
		.absent = v->sums.compared_at & ~d->there, .ids = ids, .mended = v->mended && !verify_is_wrong(d) && !is_open(d),
		.waits = v->mended && d->verdict == VERDICT_OPEN });
}

static void tell_all(struct sync_verify *v)
{
	for (size_t i = 0; !v->ended && v->taker.difference != NULL && i < v->n_doubts; i++)
		if (v->doubts[i]->found != VERDICT_DOUBT || is_open(v->doubts[i]))
			tell(v, v->doubts[i]);
}

static void keep_found(struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++)
		if (verify_is_wrong(v->doubts[i]))
			v->doubts[i]->found = v->doubts[i]->verdict;
}

static void count_mended(struct sync_verify *v)
{
	for (size_t i = 0; i < v->n_doubts; i++) {
		const struct doubtful *d = v->doubts[i];

		if (d->found == VERDICT_DOUBT)
			continue;
		if (verify_is_wrong(d) || is_open(d))
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
	v->phase = mend ? VERIFY_MEND : VERIFY_OVER;
	v->at = 0;
	v->looks = 0;
	if (!mend || v->mode == VERIFY_PLAN)
		tell_all(v);
}

size_t verify_gather(struct sync_verify *v, bool (*wanted)(const struct sync_verify *, const struct doubtful *))
{
	size_t n = 0;

	while (v->at < v->n_doubts && n < VERIFY_RECORDS) {
		struct doubtful *d = v->doubts[v->at++];

		if (wanted(v, d))
			v->batch[n++] = d;
	}
	return n;
}

static bool is_in_doubt(const struct sync_verify *v, const struct doubtful *d)
{
	return d->verdict == VERDICT_DOUBT;
}

static void look_step(struct sync_verify *v)
{
	size_t n = verify_gather(v, is_in_doubt);

	v->n_batch = n;
	if (n > 0) {
		v->open++;
		look_at(v->flow, v->sums.compared_at, v->batch, n, &v->arena, on_looked, v);
	} else if (any_in_doubt(v) && !v->flow->paused && ++v->looks < LOOKS_MOST) {
		verify_settle(v);
	} else {
		looks_over(v);
	}
}

/* ---- going on ---------------------------------------------------------------------------------------- */

static void over_step(struct sync_verify *v)
{
	verify_end(v, NULL);
}

static void (*const steps[])(struct sync_verify *) = {
	[VERIFY_LIST] = list_step, [VERIFY_COMPARE] = compare_step, [VERIFY_SETTLE] = settle_step, [VERIFY_LOOK] = look_step,
	[VERIFY_MEND] = verify_mend, [VERIFY_OVER] = over_step,
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
		if (verify_compares(v, e) && !side_usable(v->flow->sides[e]))
			return "an endpoint went away meanwhile; ask again";
	return NULL;
}

void verify_go_on(struct sync_verify *v)
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

/* False: that side's rows cannot be imposed now. */
static bool choose_from(struct sync *s, const struct sync_verify_order *order, const struct sync_verify_sums *sums, const struct side **from,
			struct err *e)
{
	*from = order->from != NULL ? side_named(s, order->entity, order->from) : NULL;
	if (order->from == NULL || (*from != NULL && sums->compared_at & BIT((*from)->endpoint)))
		return true;
	return err_set(e, ERR_ENDPOINT, "endpoint-away", "%s: %s cannot be read now", order->entity, order->from);
}

struct sync_verify *sync_verify(struct sync *s, const struct sync_verify_order *order, const struct sync_verify_taker *taker, struct err *e)
{
	const char *entity = order->entity;
	struct flow *flow = flow_named(s, entity);
	const struct side *from;
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
	if (!choose_from(s, order, &sums, &from, e))
		return NULL;
	if (order->mode == VERIFY_REPAIR && flow->paused)
		return err_set(e, ERR_TRANSIENT, "paused", "%s is paused; resume it, and ask again", entity), NULL;
	census = census_new(s->topology->journal.directory, e);
	if (census == NULL)
		return NULL;
	v = xcalloc(1, sizeof *v);
	v->sync = s;
	v->flow = flow;
	v->mode = order->mode;
	v->from = from;
	if (taker != NULL)
		v->taker = *taker;
	v->gently = taker == NULL;
	v->losses = s->losses;
	v->census = census;
	v->sums = sums;
	v->expected = -1;
	v->timer = loop_timer_new(s->loop, on_turn, v);
	arena_init(&v->arena);
	s->verify = v;
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
		struct sync_verify_order order = { .entity = flow->def->name };
		int64_t every_us = s->topology->entities[i].verify_us;

		if (every_us == 0 || flow->paused || !is_surveyed(flow))
			continue;
		if (flow->next_verify_us == 0)
			flow->next_verify_us = now + every_us;
		if (now < flow->next_verify_us)
			continue;
		flow->next_verify_us = now + (sync_verify(s, &order, NULL, &e) != NULL ? every_us : RETRY_US);
	}
}

void sync_verify_view(const struct sync_verify *v, struct sync_verify_view *out)
{
	*out = (struct sync_verify_view){ .phase = v->phase, .endpoint = v->endpoint, .done = v->done, .expected = v->expected, .sums = v->sums };
}
