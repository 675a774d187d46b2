/*
 * meters.c - what everything is right now, and how long it has been so (SEMANTICS 10; doc/ratios.md).
 *
 *   endpoint     up to its last answer; down from the last answer before a failure until the next one. An answer that came
 *                later than two probes after the one before leaves the time between them unknown.
 *   link         available while its endpoint's table, Redis and the journal can be used; service: while all links that are not paused are
 *   consistency  of a link: it has everything, as far as its own news and those of somebody else are listened to
 *
 * A difference exists before anybody hears of it. So a link is good only up to when all its sources had been listened to and
 * what came of it was settled; what an edit behind that time made different is booked from when it was made. What is not
 * settled after a while (horizon_us) is unknown.
 */
#include <math.h>

#include "base/clock.h"
#include "sync/round.h"

enum {
	FRESH_US = 10000000,		/* beyond two intervals: so long may a capture take that has much to do */
	HORIZON_US = 60000000,
	STALL_US = 2000000,		/* whoever does not look for so long has not observed anything */
};

static int64_t axis_now(const struct sync *s)
{
	return clock_boot_us() + s->timing.ahead_us;
}

static int64_t axis_of_mono(int64_t mono_us, int64_t now)
{
	return now - (clock_mono_us() - mono_us);
}

static int64_t axis_of_wall(int64_t wall_us, int64_t now)
{
	return now - (clock_wall_us() - wall_us);
}

int64_t sync_timeline_wall(const struct sync *s, int64_t at_us)
{
	return clock_wall_us() - (axis_now(s) - at_us);
}

/* ---- what a link is, right now ----------------------------------------------------------------------- */

static bool is_paused(const struct side *side)
{
	return side->paused || side->flow->paused || side->link->endpoint->state == ENDPOINT_PAUSED;
}

static bool stands_aside(const struct side *side)
{
	return side->parked > 0 || side->guard.held > 0 || side->flow->waiting > 0;
}

/* Of all that it has yet to get, what is in somebody's work included; wall. */
static int64_t oldest_open(const struct side *side)
{
	int64_t oldest = debts_oldest(&side->debts);

	for (const struct round *r = side->flow->rounds; r != NULL; r = r->next)
		if ((r->writing_at & BIT(side->endpoint)) && r->written_for_us[side->endpoint] < oldest)
			oldest = r->written_for_us[side->endpoint];
	return oldest;
}

/* So long ago its last look may be. */
static int64_t promise_us(const struct side *side)
{
	return 2 * side->mapping->endpoint->interval_us + FRESH_US;
}

static bool is_heard(const struct side *side)
{
	return clock_mono_us() - side->captured_us <= promise_us(side);
}

static bool is_source(const struct side *side)
{
	return side != NULL && side->captures && !is_paused(side);
}

/* Somebody else from whom it gets changes is listened to; or there is nobody. */
static bool is_supplied(const struct side *side)
{
	bool any = false;

	for (size_t e = 0; e < side->flow->sync->topology->n_endpoints; e++) {
		const struct side *other = side->flow->sides[e];

		if (other == side || !is_source(other))
			continue;
		if (other->surveyed && side_usable(other) && is_heard(other))
			return true;
		any = true;
	}
	return !any;
}

static bool any_gap(const struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && flow->sides[e]->gap)
			return true;
	return false;
}

const char *side_doubt(const struct side *side)
{
	if (side->gap)
		return "its change log had a gap, so changes may have been missed: all its rows are being compared";
	if (any_gap(side->flow))
		return "the change log of another endpoint had a gap: all rows there are being compared";
	if (side->captures && !is_heard(side))
		return "its news have not been looked for in time";
	return is_supplied(side) ? "" : "no other endpoint is listened to, so nobody knows what this one lacks";
}

/* Without either nothing is captured for good, and nothing is written. */
static bool can_work(const struct sync *s)
{
	return s->store->ready && journal_trouble(s->journal) == NULL;
}

enum sync_link_state side_state(const struct side *side)
{
	if (side->owed > 0 || stands_aside(side) || (side->surveyed && oldest_open(side) != DEBTS_NONE))
		return SYNC_LINK_INCONSISTENT;
	if (!side->surveyed || !side_usable(side) || !can_work(side->flow->sync) || !side->flow->counted)
		return SYNC_LINK_UNKNOWN;
	return side_doubt(side)[0] != '\0' ? SYNC_LINK_UNKNOWN : SYNC_LINK_CONSISTENT;
}

/* Stamps may tell of long ago (a row that was imported, a clock): it was in step since, so no difference is older than that. */
static int64_t open_since(const struct side *side, int64_t now)
{
	const struct timeline *t = &side->meter.consistency;
	int64_t oldest = oldest_open(side), since, least = t->good_us != 0 ? t->good_us : t->since_us;

	if (oldest == DEBTS_NONE)
		return DEBTS_NONE;
	since = axis_of_wall(oldest, now);
	return since < least ? least : since > now ? now : since;
}

double side_lag(const struct side *side)
{
	int64_t now = axis_now(side->flow->sync), since;

	if (!side->surveyed)
		return (double)NAN;
	since = open_since(side, now);
	return since == DEBTS_NONE ? 0 : (double)(now - since) / 1e6;
}

/* ---- what a link has yet to get ---------------------------------------------------------------------- */

void side_owes(struct side *side, int64_t since_us)
{
	side->owed++;
	debts_add(&side->debts, since_us);
}

void side_pays(struct side *side, int64_t since_us)
{
	if (side->owed > 0)
		side->owed--;
	if (side->owed == 0)
		debts_clear(&side->debts);
	else
		debts_remove(&side->debts, since_us);
}

void side_owes_nothing(struct side *side)
{
	side->owed = 0;
	debts_clear(&side->debts);
}

/* ---- consistency ------------------------------------------------------------------------------------- */

static enum meter_state inconsistency(const struct side *side, int64_t since, int64_t now)
{
	bool old_aside = side->aside_us != 0 && now - side->aside_us >= METER_LATE_US;

	if (since == DEBTS_NONE)
		return old_aside ? METER_ASIDE : METER_BAD;
	return old_aside || now - since >= METER_LATE_US ? METER_LATE : METER_BAD;
}

static enum meter_state consistency_state(const struct side *side, int64_t since, int64_t now)
{
	if (is_paused(side))
		return METER_PAUSED;
	switch (side_state(side)) {
	case SYNC_LINK_UNKNOWN:		return METER_UNKNOWN;
	case SYNC_LINK_CONSISTENT:	return METER_GOOD;
	case SYNC_LINK_INCONSISTENT:	return inconsistency(side, since, now);
	}
	return METER_UNKNOWN;
}

/* It was behind from then on: at first a little, then late. */
static void was_behind(struct timeline *t, int64_t since, int64_t now)
{
	timeline_worsen(t, METER_BAD, since, now);
	timeline_worsen(t, METER_LATE, since + METER_LATE_US, now);
}

void side_got(struct side *side, int64_t since_us)
{
	int64_t now = axis_now(side->flow->sync);

	if (side->surveyed)
		was_behind(&side->meter.consistency, axis_of_wall(since_us, now), now);
}

int64_t side_settled_us(const struct side *side)
{
	int64_t until = side->heard_us;

	for (const struct round *r = side->flow->rounds; r != NULL; r = r->next)
		if (r->side == side && r->captured != NULL && r->news_from_us < until)
			until = r->news_from_us;
	return until;
}

/* Of all that are listened to. Whoever is not, is not waited for: its own link shows that nothing is known of it. */
static int64_t settled_flow(const struct flow *flow, int64_t now)
{
	int64_t until = INT64_MAX;

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		const struct side *side = flow->sides[e];

		if (is_source(side) && side->surveyed && is_heard(side) && side_settled_us(side) < until)
			until = side_settled_us(side);
	}
	return until == INT64_MAX ? 0 : axis_of_mono(until, now);
}

/* Whoever is asked rarely is waited for longer. */
static int64_t horizon_us(const struct flow *flow)
{
	int64_t longest = HORIZON_US;

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (is_source(flow->sides[e]) && promise_us(flow->sides[e]) > longest)
			longest = promise_us(flow->sides[e]);
	return longest;
}

static void look_at_consistency(struct side *side, int64_t settled, int64_t now)
{
	struct timeline *t = &side->meter.consistency;
	int64_t since = open_since(side, now);

	if (!stands_aside(side))
		side->aside_us = 0;
	else if (side->aside_us == 0)
		side->aside_us = now;
	timeline_set(t, consistency_state(side, since, now), now);
	if (since != DEBTS_NONE && side->surveyed)
		was_behind(t, since, now);
	timeline_settle(t, settled);
	timeline_expire(t, now - horizon_us(side->flow));
}

/* ---- availability ------------------------------------------------------------------------------------ */

static void look_at_endpoint(struct sync *s, size_t e, int64_t now)
{
	static const enum meter_state states[] = {
		[ENDPOINT_UNKNOWN] = METER_UNKNOWN, [ENDPOINT_UP] = METER_GOOD, [ENDPOINT_DOWN] = METER_BAD, [ENDPOINT_PAUSED] = METER_PAUSED,
	};
	const struct endpoint *p = s->endpoints[e];
	struct timeline *t = &s->meters[e].availability;
	int64_t answered = axis_of_mono(p->last_success_us, now);

	timeline_set(t, states[p->state], now);
	if (p->state == ENDPOINT_UP && p->probe_us > 0 && answered - t->settled_us > 2 * p->probe_us)
		timeline_expire(t, answered);
	timeline_settle(t, answered);
	if (p->state == ENDPOINT_DOWN && p->last_success_us > 0)
		timeline_worsen(t, METER_BAD, answered, now);
	if (p->state != ENDPOINT_UP)
		timeline_expire(t, now);
}

/* Up, and not used yet: it is greeted, which takes a moment, unless it waits for somebody else's statements. */
static bool is_met(const struct side *side)
{
	return side->link->usable && !side->flow->sync->shakes[side->endpoint].greeted && side->link->endpoint->waits_for == 0;
}

static enum meter_state availability_state(const struct side *side)
{
	const struct sync *s = side->flow->sync;

	if (is_paused(side))
		return METER_PAUSED;
	if (side->link->endpoint->state == ENDPOINT_UNKNOWN || !s->store_tried || sync_stands_by(s))
		return METER_UNKNOWN;
	if (is_met(side) && timeline_state(&side->meter.availability) == METER_UNKNOWN)
		return METER_UNKNOWN;
	return can_work(s) && side_usable(side) ? METER_GOOD : METER_BAD;
}

/* When both that it hangs on last answered. */
static int64_t last_proof(const struct side *side, int64_t now)
{
	int64_t endpoint = side->link->endpoint->last_success_us, store = side->flow->sync->store->proven_us;

	return axis_of_mono(endpoint < store ? endpoint : store, now);
}

static enum meter_state look_at_availability(struct side *side, int64_t now)
{
	struct timeline *t = &side->meter.availability;
	enum meter_state state = availability_state(side);
	int64_t proof = last_proof(side, now);

	timeline_set(t, state, now);
	timeline_settle(t, proof);
	if (state == METER_BAD)
		timeline_worsen(t, METER_BAD, proof, now);
	if (state != METER_GOOD)
		timeline_expire(t, now);
	return state;
}

/* The whole is what the worst of its parts is, and as well known as the least known one. */
struct whole {
	enum meter_state worst;
	int64_t settled, failed;	/* failed: since when, as far as it turns out now */
};

static void add_part(struct whole *w, enum meter_state state, const struct side *side, int64_t now)
{
	if (state == METER_PAUSED)
		return;
	if (w->worst == METER_PAUSED || state == METER_BAD || (state == METER_UNKNOWN && w->worst == METER_GOOD))
		w->worst = state;
	if (side->meter.availability.settled_us < w->settled)
		w->settled = side->meter.availability.settled_us;
	if (state == METER_BAD && last_proof(side, now) < w->failed)
		w->failed = last_proof(side, now);
}

static void look_at_service(struct sync *s, const struct whole *w, int64_t now)
{
	timeline_set(&s->service, w->worst, now);
	if (w->worst == METER_BAD)
		timeline_worsen(&s->service, METER_BAD, w->failed, now);
	timeline_settle(&s->service, w->settled);
}

/* ---- looking ----------------------------------------------------------------------------------------- */

/* The process was stopped, the machine slept, the loop stood still. */
static void look_for_a_gap(struct sync *s, int64_t now)
{
	struct timed *timed, *tmp;

	if (now - s->timing.looked_us > STALL_US && s->timing.looked_us != 0)
		HASH_ITER(hh, s->timing.all, timed, tmp) {
			timeline_unseen(timed->timeline, s->timing.looked_us, now);
			timeline_expire(timed->timeline, now);
		}
	s->timing.looked_us = now;
}

void meters_look_at(struct flow *flow)
{
	int64_t now = axis_now(flow->sync), settled = settled_flow(flow, now);

	look_for_a_gap(flow->sync, now);
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL)
			look_at_consistency(flow->sides[e], settled, now);
}

void meters_look(struct sync *s)
{
	int64_t now = axis_now(s);
	struct whole whole = { .worst = METER_PAUSED, .settled = now, .failed = now };

	look_for_a_gap(s, now);
	for (size_t e = 0; e < s->topology->n_endpoints; e++)
		look_at_endpoint(s, e, now);
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		meters_look_at(&s->flows[i]);
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (s->flows[i].sides[e] != NULL)
				add_part(&whole, look_at_availability(s->flows[i].sides[e], now), s->flows[i].sides[e], now);
	}
	look_at_service(s, &whole, now);
}
