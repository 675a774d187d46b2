/*
 * feed.c - what there is to do next for an entity, and room for it.
 *
 * In this order: records to look at again; then by turns the news of each endpoint and, as one more of them, what goes through a
 * whole table: the scan for records that are owed something (scan.c), else surveys (the first full listing of an endpoint)
 * and sweeps (listing.c), else a portion of what is parked and may go through by now (retry.c). News without end would keep these
 * waiting for ever, where there is room for one round. At most `limits.rounds` rounds are in flight, so memory is bounded and a slow
 * target holds back its sources.
 */
#include "sync/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/migrate.h"
#include "sync/undo.h"

enum { LATER_MAX = 50000 };

/* What came from before the store was away has no place in the count of debts that is made after. */
bool flow_takes_news(const struct flow *flow)
{
	return ready(flow) && flow->counted;
}

bool side_usable(const struct side *side)
{
	return side->link->usable && side->link->endpoint->state == ENDPOINT_UP && !side->link->endpoint->silent && !side->paused &&
		side->flow->sync->shakes[side->endpoint].greeted;
}

static size_t in_work(const struct flow *flow)
{
	size_t n = flow->n_rounds + flow->scan.asking + migrate_asking(flow);

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL)
			n += (size_t)flow->sides[e]->capturing + flow->sides[e]->listing_open;
	return n;
}

static bool has_room(const struct flow *flow)
{
	return in_work(flow) < (size_t)flow->sync->topology->limits.rounds;
}

/* ---- records to look at again ------------------------------------------------------------------------ */

/* The same rows are missing since they were first found so: a record that is edited all the time is not to wait for ever. */
static void add_missing(struct missing *m, const struct missing *more)
{
	if (more->at == 0)
		return;
	if (m->at == 0 || (m->at == more->at) == (more->since_us < m->since_us))
		m->since_us = more->since_us;
	m->at |= more->at;
}

static struct again *add_again(struct again **table, const struct again *more)
{
	struct again *a;

	HASH_FIND(hh, *table, &more->rid, sizeof more->rid, a);
	if (a == NULL) {
		a = xcalloc(1, sizeof *a);
		a->rid = more->rid;
		HASH_ADD(hh, *table, rid, sizeof a->rid, a);
	}
	a->evidence |= more->evidence;
	if (more->tries > a->tries)
		a->tries = more->tries;
	add_missing(&a->missing, &more->missing);
	if (more->alone_us != 0 && (a->alone_us == 0 || more->alone_us < a->alone_us))
		a->alone_us = more->alone_us;
	a->gently = false;
	return a;
}

static void free_again(struct again **table)
{
	struct again *a, *tmp;

	HASH_ITER(hh, *table, a, tmp) {
		HASH_DEL(*table, a);
		free(a);
	}
}

uint64_t flow_endpoints(const struct flow *flow)
{
	uint64_t mapped = 0;

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		mapped |= flow->sides[e] != NULL ? BIT(e) : 0;
	return mapped;
}

void flow_look_again(struct flow *flow, const struct rid *rid, uint64_t evidence)
{
	add_again(&flow->again, &(struct again){ .rid = *rid, .evidence = evidence });
}

void flow_look_gently(struct flow *flow, const struct rid *rid)
{
	struct again *a;

	HASH_FIND(hh, flow->again, rid, sizeof *rid, a);
	if (a == NULL)
		add_again(&flow->again, &(struct again){ .rid = *rid })->gently = true;
}

static unsigned worst_failures(const struct flow *flow, uint64_t at)
{
	unsigned worst = 0;

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (at & BIT(e) && flow->sides[e] != NULL && flow->sides[e]->failures > worst)
			worst = flow->sides[e]->failures;
	return worst;
}

/* When the first of them is due. */
static void wait_until(struct flow *flow, int64_t due_us, int64_t now)
{
	if (loop_timer_pending(flow->later_timer) && flow->later_due_us <= due_us)
		return;
	flow->later_due_us = due_us;
	loop_timer_set(flow->later_timer, due_us > now ? (due_us - now + 999) / 1000 : 0);
}

void flow_look_later(struct flow *flow, const struct again *what, uint64_t failed_at)
{
	int64_t now = clock_mono_us(), due_us = now + loop_backoff_ms(worst_failures(flow, failed_at), 100, 30000) * 1000;
	struct again *a;

	if (HASH_COUNT(flow->later) >= LATER_MAX) {
		flow->settle_wanted = true;
	} else {
		a = add_again(&flow->later, what);
		if (a->due_us == 0 || due_us < a->due_us)
			a->due_us = due_us;
	}
	wait_until(flow, due_us, now);
}

static void on_later(void *arg)
{
	struct flow *flow = arg;
	struct again *a, *tmp;
	int64_t now = clock_mono_us();

	HASH_ITER(hh, flow->later, a, tmp) {
		if (a->due_us > now) {
			wait_until(flow, a->due_us, now);
			continue;
		}
		add_again(&flow->again, a);
		HASH_DEL(flow->later, a);
		free(a);
	}
	flow_pump(flow);
}

static bool feed_again(struct flow *flow)
{
	size_t n = 0, most = batch_rows(flow);
	struct again **list, *a, *tmp;

	if (flow->again == NULL || !flow->counted)
		return false;
	if (HASH_COUNT(flow->again) < most)
		most = HASH_COUNT(flow->again);
	list = xcalloc(most, sizeof(struct again *));
	HASH_ITER(hh, flow->again, a, tmp) {
		if (n == most)
			break;
		HASH_DEL(flow->again, a);
		list[n++] = a;
	}
	round_of_records(flow, (const struct again *const *)list, n, NULL);
	while (n > 0)
		free(list[--n]);
	free(list);
	return true;
}

void feed_tell_newcomers(const struct flow *flow, struct vector *v)
{
	for (size_t e = 0; !v->dead && e < v->n_endpoints; e++)
		if (flow->sides[e] != NULL && !v->seen[e].known && flow->sides[e]->mapping->role != ROLE_SOURCE)
			v->seen[e].owed = true;
}

/* ---- news -------------------------------------------------------------------------------------------- */

static void look_in(struct side *side, int64_t ms)
{
	loop_timer_set(side->timer, ms);
}

static void on_look(void *arg)
{
	struct side *side = arg;

	side->wanted = true;
	flow_pump(side->flow);
}

static void take_news(struct side *side, struct captured *got)
{
	int64_t news_from_us;

	side->capture_failures = 0;
	side->captured_us = clock_mono_us();
	side->link->endpoint->last_capture_us = clock_wall_us();
	look_in(side, side->mapping->endpoint->interval_us / 1000);
	if (got->truncated)
		sweep_order(side, JOB_DAEMON);
	if (got->gap != NULL)
		gap_found(side, got->gap);
	news_from_us = side->heard_us;
	if (!got->more && !side->gap)
		side->heard_us = got->began_us;
	if (got->n > 0) {
		side->wanted = true;		/* there may be more behind it */
		round_of_capture(side->flow, side, got, news_from_us);
		return;
	}
	if (!got->more && !got->truncated)
		side->clean_us = got->began_us;
	side->wanted = got->more;
	if (got->ack != NULL && got->truncated && side->truncated == NULL)
		side->truncated = got->ack;
	else if (got->ack != NULL)
		side->link->ops->drop(side->link, got->ack);
	got->ack = NULL;
	captured_free(&got);
}

static void on_captured(void *arg, struct captured *got, const struct err *e)
{
	struct side *side = arg;
	struct sync *s = side->flow->sync;

	side->capturing = false;
	if (e != NULL) {
		side->capture_failures++;
		look_in(side, loop_backoff_ms(side->capture_failures, 200, 30000));
	} else if (!flow_takes_news(side->flow) || !side->surveyed) {
		if (got->ack != NULL)
			side->link->ops->drop(side->link, got->ack);
		got->ack = NULL;
		captured_free(&got);
		side->wanted = true;
	} else {
		take_news(side, got);
	}
	if (!s->closing) {
		flow_pump(side->flow);
		waits_check(s);
	}
}

static bool feed_news(struct flow *flow, struct side *side)
{
	if (side == NULL || !flow->counted || !side->captures || !side->surveyed || !side->wanted || side->capturing || !side_usable(side))
		return false;
	side->capturing = true;
	side->wanted = false;
	side->link->ops->capture(side->link, side->listing.position != NULL ? side->listing.position : side->position, batch_rows(flow),
				 on_captured, side);
	return true;
}

static bool feed_long_work(struct flow *flow)
{
	return feed_scan(flow) || migrate_feed(flow) || feed_listing(flow) || feed_retry(flow);
}

static bool feed_in_turn(struct flow *flow)
{
	size_t n = flow->sync->topology->n_endpoints;

	for (size_t i = 0; i <= n; i++) {
		size_t turn = (flow->next_turn + i) % (n + 1);

		if (turn < n ? feed_news(flow, flow->sides[turn]) : feed_long_work(flow)) {
			flow->next_turn = (turn + 1) % (n + 1);
			return true;
		}
	}
	return false;
}

void capture_settled(struct side *side, const char *position)
{
	if (position == NULL)
		return;
	free(side->position);
	side->position = xstrdup(position);
}

/* ---- the pump ---------------------------------------------------------------------------------------- */

/* Of an entity that is paused: what a migration needs, and nothing else. */
static bool feed_at_rest(struct flow *flow)
{
	return (migrate_knows_its_sums(flow) && feed_again(flow)) || feed_scan(flow) || migrate_feed(flow);
}

static bool feed_all(struct flow *flow)
{
	return feed_again(flow) || feed_held(flow) || feed_verdicts(flow) || feed_in_turn(flow);
}

void flow_pump(struct flow *flow)
{
	if (flow->pumping || !is_at_hand(flow) || (flow->paused && !migrate_is_at_work(flow)))
		return;
	flow->pumping = true;
	while (has_room(flow) && (flow->paused ? feed_at_rest(flow) : feed_all(flow)))
		;
	flow->pumping = false;
}

void side_look_now(struct side *side)
{
	struct flow *flow = side->flow;

	side->wanted |= !side->capturing;
	flow_pump(flow);
	if (ready(flow) && in_work(flow) == (size_t)flow->sync->topology->limits.rounds &&
	    !fault("f13-who-waits-for-news-holds-the-room-for-it"))
		feed_news(flow, side);
}

static bool any_work(const struct flow *flow)
{
	for (const struct round *r = flow->rounds; r != NULL; r = round_next(r))
		if (!round_is_plan(r) && !round_is_looking(r))
			return true;
	return flow->scan.kind == SCAN_SETTLE || (flow->scan.kind == SCAN_VANISHED && !flow->sides[flow->scan.endpoint]->listing.regular);
}

bool flow_is_quiet(const struct flow *flow)
{
	return flow->n_rounds == 0 && flow->again == NULL && flow->later == NULL && !flow->settle_wanted && flow->scan.kind != SCAN_SETTLE;
}

bool flow_idle(const struct flow *flow)
{
	return flow->counted && !any_work(flow) && flow->again == NULL && flow->later == NULL && !flow->settle_wanted &&
	       !flow->held_wanted && !flow->verdicts_wanted && !retries_under_way(flow);
}

bool flow_settled(const struct flow *flow)
{
	if (!flow_idle(flow) || undos_under_way(flow->sync))
		return false;
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		const struct side *side = flow->sides[e];

		if (side == NULL)
			continue;
		if (!side->surveyed || side->gap || side->sweep_wanted || side->owed > 0)
			return false;
		if (side->listing.state != LISTING_IDLE && !side->listing.regular)
			return false;
	}
	return true;
}

/* ---- what happens to a side -------------------------------------------------------------------------- */

/* One table that cannot be used does not show in the state of its endpoint: the log says it once, and its end. */
static void tell_stopped(struct side *side)
{
	const struct err *why = &side->link->why;

	if (side->link->endpoint->state != ENDPOINT_UP || (!side->link->usable && why->kind == 0))
		return;
	if (side->link->usable && side->stopped != NULL)
		log_info("table can be used again", LOG_S("entity", side->flow->def->name),
			 LOG_S("endpoint", side->mapping->endpoint->name), LOG_S("table", side->mapping->table));
	else if (!side->link->usable && (side->stopped == NULL || strcmp(side->stopped, why->text) != 0))
		log_warn("table cannot be used; the others go on", LOG_S("entity", side->flow->def->name),
			 LOG_S("endpoint", side->mapping->endpoint->name), LOG_S("table", side->mapping->table), LOG_ERR(why));
	free(side->stopped);
	side->stopped = side->link->usable ? NULL : xstrdup(why->text);
}

void flow_note_quantum(struct flow *flow, int64_t us)
{
	if (us > flow->quantum_us)
		flow->quantum_us = us;
}

/* Another journal was in use since: what our lines are about may be over, and then they end when it is looked at. */
static void doubt_lines(struct side *side)
{
	if (fault("f31-what-a-journal-says-is-true-for-ever"))
		return;
	retry_wanted(side, RETRY_ALL | RETRY_ROWS);
	held_look_at_all(side->flow);
	waiting_look_at_all(side->flow);
}

void side_changed(struct side *side)
{
	bool usable, altered = strcmp(side->schema_mark, side->link->schema_mark) != 0;

	keys_compare(side->flow);
	usable = side_usable(side);
	if (usable && altered) {
		snprintf(side->schema_mark, sizeof side->schema_mark, "%s", side->link->schema_mark);
		retry_all(side->flow);	/* what did not fit may fit now, and what was to be had from nobody may be had from here */
	}
	if (usable)
		flow_note_quantum(side->flow, side->link->quantum_us);
	if (usable && !side->was_usable) {
		side->wanted = true;
		side->failures = side->capture_failures = 0;
		side->flow->settle_wanted |= side->owed > 0;
		undos_take_up(side->flow->sync);
	}
	if (usable) {	/* also one that has only been greeted anew: what the operator decided may have waited for it */
		side->flow->settle_wanted |= side->flow->unheard;
		if (side->guard.held > 0)
			held_begin(side->flow);
		waiting_look_again(side->flow);
		if (side->unaccounted)
			doubt_lines(side);
	}
	side->was_usable = usable;
	tell_stopped(side);
	flow_pump(side->flow);
}

void side_list_anew(struct side *side)
{
	listing_over(side);
	side->surveyed = side->survey_known = side->gap = false;
	free(side->position);
	side->position = NULL;
	free(side->watermark);
	side->watermark = NULL;
	side->unaccounted = false;
	side_owes_nothing(side);
	side->clean_us = side->swept_us = side->heard_us = 0;
}

void side_forget(struct side *side)
{
	const char *endpoint = side->mapping->endpoint->name;

	side_list_anew(side);
	held_forget(side);
	waiting_forget(side->flow, fault("f22-who-is-put-back-had-a-word-in-all-that-waits") ? NULL : endpoint);
	owed_forget(side->flow, fault("f22-who-is-put-back-was-owed-all-of-it") ? NULL : endpoint);
}

/* ---- birth and death --------------------------------------------------------------------------------- */

static struct side *side_new(struct flow *flow, size_t e)
{
	struct side *side = xcalloc(1, sizeof *side);
	struct sync *s = flow->sync;

	side->flow = flow;
	side->endpoint = e;
	side->mapping = flow->conf->mapping[e];
	side->link = endpoint_link(s->endpoints[e], flow->index);
	side->link->owner = side;
	side->captures = side->mapping->role != ROLE_TARGET;
	side->strangers = true;
	side->timer = loop_timer_new(s->loop, on_look, side);
	retry_init(side);
	if (side->mapping->endpoint->sweep_us > 0)
		side->next_sweep_us = clock_mono_us() + side->mapping->endpoint->sweep_us;
	return side;
}

void flow_init(struct flow *flow, struct sync *s, size_t entity)
{
	size_t column = 0;

	flow->sync = s;
	flow->index = entity;
	flow->conf = &s->topology->entities[entity];
	flow->def = &flow->conf->def;
	flow->quantum_us = 1;
	flow->first_column = xcalloc(flow->def->n_fields, sizeof *flow->first_column);
	for (size_t f = 0; f < flow->def->n_fields; f++) {
		flow->first_column[f] = column;
		column += flow->def->fields[f].type == FIELD_REFERENCE ? 1 + flow->def->fields[f].refers->n_key : 1;
	}
	flow->decisions = (uint64_t)journal_decision_count(s->journal, flow->def->name);
	flow->later_timer = loop_timer_new(s->loop, on_later, flow);
	for (size_t e = 0; e < s->topology->n_endpoints; e++)
		if (flow->conf->mapping[e] != NULL)
			flow->sides[e] = side_new(flow, e);
}

void flow_fini(struct flow *flow)
{
	while (flow->rounds != NULL)
		round_abandon(&flow->rounds);
	free_again(&flow->again);
	free_again(&flow->later);
	orphans_free(flow);
	undo_targets_free(&flow->undos);
	claims_free(&flow->claims);
	loop_timer_free(&flow->later_timer);
	for (size_t e = 0; e < ENDPOINTS_MAX; e++) {
		struct side *side = flow->sides[e];

		if (side == NULL)
			continue;
		listing_over(side);
		loop_timer_free(&side->timer);
		retry_fini(side);
		free(side->position);
		free(side->watermark);
		free(side->stopped);
		debts_clear(&side->debts);
		own_free(side);
		vanished_clear(side);
		free(side->vanished.rows);
		held_free(side);
		free(side);
	}
	free(flow->first_column);
}
