/*
 * verify.c - do the endpoints show the same? Found out from their rows, not from what we believe of them; and mending what does not.
 *
 *   BEGIN, COUNT, KNOWN, SUM
 *             what the servers can tell without their rows being read (verify_sums.c)
 *   LIST      every row of every side goes into a census: whose row, with which digest (verify_list.c)
 *   COMPARE   the census, part by part: records that all sides show alike match, the others are in doubt
 *   SETTLE    until everything that happened before is captured and written, or for some seconds
 *   LOOK      those in doubt are read again and judged (verify_look.c). Whoever moves meanwhile is looked at again, after another SETTLE
 *   MEND      repair (verify_mend.c); then SETTLE and LOOK tell what became of it
 *
 * Others go on meanwhile. Disk is taken for the census (in journal.directory), memory only for what is in doubt.
 */
#include "sync/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/census.h"
#include "sync/feed.h"

enum {
	SETTLE_US = 20 * 1000 * 1000,
	HEARD_US = 500 * 1000,	/* so long others may come to rest; then what is older than that has to do */
	LOOKS_MOST = 5,			/* who still moves then is called open */
	RETRY_US = 10 * 1000 * 1000,	/* it was time for it, and it could not begin */
};

/* ---- the end ----------------------------------------------------------------------------------------- */

void verify_side_fini(struct verify_side *s)
{
	for (size_t i = 0; i < s->n_ends; i++)
		free(s->ends[i]);
	free(s->ends);
	free(s->parts);
	free(s->after);
	memset(s, 0, sizeof *s);
}

static void verify_release(struct sync_verify *v)
{
	v->sync->verify = NULL;
	if (!v->kept && v->depth != DEPTH_COUNTS)
		verify_keep_drop(v);
	verify_from_end(v);
	job_end(&v->sync->jobs, &v->job);
	census_free(&v->census);
	arena_fini(&v->arena);
	loop_timer_free(&v->timer);
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		verify_side_fini(&v->sides[e]);
	free(v->sides);
	free(v->doubts);
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

	if (v->depth != DEPTH_COUNTS)	/* equal numbers clear nothing */
		meter_verified(&v->flow->meter, wrong, &now);
	if (now.different > 0)
		log_warn("endpoints differ; see crmsyncctl verify, crmsyncctl repair", LOG_S("entity", v->flow->def->name),
			 LOG_I("compared", s->compared), LOG_I("different", s->different + s->unlooked), LOG_I("missing", s->missing),
			 LOG_I("extra", s->extra), LOG_I("repaired", s->written));
	else
		log_info("endpoints verified", LOG_S("entity", v->flow->def->name), LOG_I("compared", s->compared),
			 LOG_I("open", s->open), LOG_I("repaired", s->written));
}

static void keep_if_interrupted(struct sync_verify *v)
{
	v->kept = !v->spoiled && (v->phase == VERIFY_SUM || v->phase == VERIFY_LIST) && verify_keep_save(v);
}

static void verify_end(struct sync_verify *v, const struct err *e)
{
	if (v->ended)
		return;
	v->ended = true;
	stop_plan(v);
	keep_if_interrupted(v);
	if (e == NULL)
		note_result(v);
	if (v->taker.done != NULL)
		v->taker.done(v->taker.arg, &v->sums, e);
}

void sync_verify_cancel(struct sync_verify *v)
{
	v->ended = true;
	keep_if_interrupted(v);
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

/* Of all sides; -1: unknown, as where only what differs is listed. */
static int64_t expected_rows(const struct sync_verify *v)
{
	int64_t n = 0;

	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++) {
		if (v->sides[e].expected < 0 || (v->phase == VERIFY_LIST && v->sides[e].n_ends > 0))
			return -1;
		n += v->sides[e].expected;
	}
	return n;
}

int64_t verify_expected(const struct sync_verify *v)
{
	switch (v->phase) {
	case VERIFY_SUM:
	case VERIFY_LIST:	return expected_rows(v);
	case VERIFY_KNOWN:	return v->sync->store->records[v->flow->index];
	case VERIFY_COMPARE:	return CENSUS_PARTS;
	case VERIFY_LOOK:
	case VERIFY_MEND:	return (int64_t)v->n_doubts;
	case VERIFY_BEGIN:
	case VERIFY_COUNT:
	case VERIFY_SETTLE:
	case VERIFY_OVER:	break;
	}
	return -1;
}

void verify_enter(struct sync_verify *v, enum verify_phase phase)
{
	static const struct {
		const char *name, *unit;
	} phases[] = {
		[VERIFY_BEGIN] = { "begin" }, [VERIFY_COUNT] = { "count" }, [VERIFY_KNOWN] = { "known", "records" },
		[VERIFY_SUM] = { "sum", "rows" }, [VERIFY_LIST] = { "list", "rows" },
		[VERIFY_COMPARE] = { "compare" }, [VERIFY_SETTLE] = { "settle" }, [VERIFY_LOOK] = { "look", "records" },
		[VERIFY_MEND] = { "mend", "records" }, [VERIFY_OVER] = { "over" },
	};

	v->phase = phase;
	job_phase(&v->job, phases[phase].name, NULL, phases[phase].unit, verify_expected(v), clock_mono_us());
}

void verify_rest(struct sync_verify *v, int64_t ms)
{
	v->open++;
	loop_timer_set(v->timer, ms);
}

struct verify_asked *verify_ask(struct sync_verify *v, size_t e)
{
	struct verify_asked *a = xcalloc(1, sizeof *a);

	*a = (struct verify_asked){ v, e };
	v->open++;
	return a;
}

struct verify_asked verify_answered(void *arg)
{
	struct verify_asked a = *(struct verify_asked *)arg;

	free(arg);
	a.verify->open--;
	return a;
}

void verify_range_done(struct sync_verify *v)
{
	if (!v->ended)
		verify_keep_range(v);
	failpoint("verify", "range", "done");
	if (v->gently && !v->ended && v->open == 0)	/* half of the time is others' */
		verify_rest(v, (clock_mono_us() - v->asked_us) / 1000 + 1);
	verify_go_on(v);
}

bool verify_compares(const struct sync_verify *v, size_t e)
{
	return v->sums.compared_at & BIT(e);
}

void verify_settle(struct sync_verify *v)
{
	verify_enter(v, v->n_doubts > 0 ? VERIFY_SETTLE : VERIFY_OVER);
	v->settling_us = clock_mono_us();
	v->settling_round = 0;
	v->at = 0;
}

static void on_turn(void *arg)
{
	struct sync_verify *v = arg;

	v->open--;
	verify_go_on(v);
}

/* ---- SETTLE ------------------------------------------------------------------------------------------ */

static bool are_rounds_over(struct sync_verify *v)
{
	const struct round *r = v->flow->rounds;

	if (v->settling_round == 0 && v->flow->again == NULL)
		v->settling_round = v->sync->rounds;
	while (r != NULL && (round_is_plan(r) || round_number(r) > v->settling_round))
		r = round_next(r);
	return v->settling_round != 0 && r == NULL;
}

/*
 * Where people never stop nothing ever comes to rest. It need not: of a record that shows the same as at the last look everything was
 * committed before then, and that has been captured by now, and whoever had it in work is done with it.
 */
static bool is_heard(struct sync_verify *v)
{
	bool heard = are_rounds_over(v);

	for (size_t e = 0; heard && e < v->sync->topology->n_endpoints; e++) {
		const struct side *side = v->flow->sides[e];

		if (verify_compares(v, e) && (!side->surveyed || (side->captures && side_settled_us(side) < v->settling_us)))
			heard = false;
	}
	return heard;
}

static void settle_step(struct sync_verify *v)
{
	int64_t waited_us = clock_mono_us() - v->settling_us;

	v->settled = flow_settled_at(v->flow, v->sums.compared_at, v->settling_us);
	v->heard = v->depth != DEPTH_COUNTS && is_heard(v);	/* numbers of rows that come and go are never equal */
	if (!v->settled && !v->flow->paused && waited_us < (v->heard ? HEARD_US : SETTLE_US)) {
		verify_rest(v, VERIFY_REST_MS);
		return;
	}
	verify_enter(v, v->depth == DEPTH_COUNTS ? VERIFY_COUNT : VERIFY_LOOK);
}

/* ---- LOOK -------------------------------------------------------------------------------------------- */

bool verify_is_wrong(const struct doubtful *d)
{
	return d->verdict == VERDICT_DIFFERENT || d->verdict == VERDICT_MISSING || d->verdict == VERDICT_EXTRA;
}

/* What may not have been captured yet is looked at again, and what may only not have been written yet. */
static void doubt_what_is_not_settled(struct sync_verify *v)
{
	for (size_t i = 0; !v->settled && i < v->n_batch; i++) {
		struct doubtful *d = v->batch[i];

		if (d->verdict == VERDICT_OPEN || (verify_is_wrong(d) && !v->heard))
			d->verdict = VERDICT_DOUBT;
	}
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

/* What was found, also where it is mended by now: whoever asks for a repair wants to know what there was to repair. */
static void tell(struct sync_verify *v, const struct doubtful *d)
{
	struct value ids[ENDPOINTS_MAX];
	bool found = d->found != VERDICT_DOUBT;

	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		ids[e] = d->rows[e].id;
	v->taker.difference(v->taker.arg, &(struct sync_different){
		.what = kind_of(d), .key = d->key != NULL ? d->key : "", .fields = found ? d->found_fields : d->fields,
		.there = found ? d->found_there : d->there & ~d->outside,
		.absent = found ? d->found_absent : v->sums.compared_at & ~d->there, .ids = ids,
		.mended = v->mended && !verify_is_wrong(d) && !is_open(d),
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
	for (size_t i = 0; i < v->n_doubts; i++) {
		struct doubtful *d = v->doubts[i];

		if (!verify_is_wrong(d))
			continue;
		d->found = d->verdict;
		d->found_fields = d->fields;
		d->found_there = d->there & ~d->outside;
		d->found_absent = v->sums.compared_at & ~d->there;
	}
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
	verify_enter(v, mend ? VERIFY_MEND : VERIFY_OVER);
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
	size_t n = v->n_batch = verify_gather(v, is_in_doubt);

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
	[VERIFY_BEGIN] = verify_begin, [VERIFY_COUNT] = verify_count, [VERIFY_KNOWN] = verify_known, [VERIFY_SUM] = verify_sum, [VERIFY_LIST] = verify_list,
	[VERIFY_COMPARE] = verify_compare, [VERIFY_SETTLE] = settle_step, [VERIFY_LOOK] = look_step, [VERIFY_MEND] = verify_mend,
	[VERIFY_OVER] = over_step,
};

/* NULL: fine. What was read under another state, or of a side that has gone since, proves nothing any more. */
static const char *why_not(const struct sync_verify *v, const struct sync *s)
{
	const char *why = sync_not_at_hand(s);

	if (why != NULL)
		return why;
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
			failpoint_phase("verify", (int)v->phase);
			steps[v->phase](v);
		}
	}
	v->stepping = false;
	if (v->ended && v->open == 0)
		verify_release(v);
}

/* ---- birth ------------------------------------------------------------------------------------------- */

uint64_t sync_unreadable(const struct sync *s, size_t entity)
{
	uint64_t away = 0;

	for (size_t e = 0; e < s->topology->n_endpoints; e++)
		if (s->flows[entity].sides[e] != NULL && !side_usable(s->flows[entity].sides[e]))
			away |= BIT(e);
	return away;
}

static bool refuse_few(const struct flow *flow, uint64_t away, struct err *e)
{
	struct buf names = { 0 };

	buf_adds(&names, "");
	for (size_t i = 0; i < flow->sync->topology->n_endpoints; i++)
		if (away & BIT(i))
			buf_addf(&names, "%s%s", names.len > 0 ? ", " : "; not ", flow->sync->topology->endpoints[i].name);
	err_set(e, ERR_ENDPOINT, "endpoints-away", "%s: fewer than two of its endpoints can be read now%s", flow->def->name, names.p);
	buf_fini(&names);
	return false;
}

static bool choose_sides(const struct flow *flow, struct sync_verify_sums *sums, struct err *e)
{
	sums->left_out = sync_unreadable(flow->sync, flow->def->index);
	for (size_t i = 0; i < flow->sync->topology->n_endpoints; i++)
		if (flow->sides[i] != NULL && !(sums->left_out & BIT(i)))
			sums->compared_at |= BIT(i);
	return __builtin_popcountll(sums->compared_at) >= 2 || refuse_few(flow, sums->left_out, e);
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

static const char *const kinds[] = { [VERIFY_ONLY] = "verify", [VERIFY_REPAIR] = "repair", [VERIFY_PLAN] = "repair --dry-run" };

static void announce(struct sync_verify *v)
{
	job_begin(&v->sync->jobs, &v->job, kinds[v->mode], v->flow->def->name, v->gently ? JOB_SCHEDULE : JOB_OPERATOR, clock_mono_us());
	verify_enter(v, v->phase);
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		job_had(&v->job, v->sides[e].done);
}

struct sync_verify *sync_verify(struct sync *s, const struct sync_verify_order *order, const struct sync_verify_taker *taker, struct err *e)
{
	const char *entity = order->entity;
	struct flow *flow = flow_named(s, entity);
	const struct side *from;
	struct sync_verify_sums sums = { 0 };
	struct sync_verify *v;

	if (flow == NULL)
		return err_set(e, ERR_CONFIG, "unknown-name", "there is no entity '%s'", entity), NULL;
	if (s->verify != NULL)
		return err_set(e, ERR_TRANSIENT, "busy", "something is being verified; try again"), NULL;
	if (why_not(NULL, s) != NULL)
		return err_set(e, ERR_TRANSIENT, "not-ready", "%s", why_not(NULL, s)), NULL;
	if (!choose_sides(flow, &sums, e) || !choose_from(s, order, &sums, &from, e))
		return NULL;
	if (order->mode == VERIFY_REPAIR && flow->paused)
		return err_set(e, ERR_TRANSIENT, "paused", "%s is paused; resume it, and ask again", entity), NULL;
	v = xcalloc(1, sizeof *v);
	v->sync = s;
	v->flow = flow;
	v->mode = order->mode;
	v->depth = order->depth;
	v->sides = xcalloc(s->topology->n_endpoints, sizeof *v->sides);
	v->from = from;
	if (taker != NULL)
		v->taker = *taker;
	v->gently = taker == NULL;
	v->losses = s->losses;
	v->sums = sums;
	v->timer = loop_timer_new(s->loop, on_turn, v);
	arena_init(&v->arena);
	s->verify = v;
	if (v->depth != DEPTH_COUNTS && !verify_keep_load(v, e)) {
		verify_release(v);
		return NULL;
	}
	announce(v);
	verify_rest(v, 0);	/* what goes on may be over at once; nobody hears of it before this has returned */
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
			flow->next_verify_us = verify_keep_waits(flow) ? now : now + every_us;
		if (now < flow->next_verify_us)
			continue;
		flow->next_verify_us = now + (sync_verify(s, &order, NULL, &e) != NULL ? every_us : RETRY_US);
	}
}

const struct job *sync_verify_job(const struct sync_verify *v)
{
	return &v->job;
}
