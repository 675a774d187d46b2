/*
 * wait.c - "is everything settled?", for crmsyncctl wait and for --once.
 *
 * Settled: of every captured link a capture that began after the question (and after our own last write)
 * found nothing more, no round is in flight, nothing is queued, nobody is owed anything. Parked and held
 * records stand aside. A sweep that somebody has ordered is waited for; a regular one only where it has found something, since
 * that of a large table may be under way most of the time.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "sync/state.h"

struct sync_wait {
	struct sync *sync;
	struct sync_wait *next;
	int64_t asked_us;
	struct loop_timer *timer;
	void (*done)(void *arg, bool settled, const char *pending, int64_t parked);
	void *arg;
};

static int64_t last_write(const struct sync *s)
{
	int64_t last = 0;

	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].last_write_us > last)
			last = s->flows[i].last_write_us;
	return last;
}

/* True when nothing is to be done for that side, as far as is known. Says why not in `out` (may be NULL). */
static bool side_rests(const struct side *side, struct buf *out)
{
	const char *entity = side->flow->def->name, *endpoint = side->mapping->endpoint->name;

	if (!side_usable(side)) {
		char waits[200];

		if (out != NULL)
			buf_addf(out, "%s on %s: %s\n", entity, endpoint,
				 side->paused || side->link->endpoint->state == ENDPOINT_PAUSED ? "paused" :
				 side->link->endpoint->state != ENDPOINT_UP ? "the endpoint is not up" :
				 !side->link->usable ? side->link->why.text :
				 epoch_waits(side->flow->sync, side->endpoint, waits, sizeof waits));
		return false;
	}
	if (!side->surveyed) {
		if (out != NULL)
			buf_addf(out, "%s on %s: the first listing is not complete\n", entity, endpoint);
		return false;
	}
	if (side->gap) {
		if (out != NULL)
			buf_addf(out, "%s on %s: %s\n", entity, endpoint, side_doubt(side));
		return false;
	}
	if (side->owed > 0) {
		if (out != NULL)
			buf_addf(out, "%s on %s: %lld record%s still to be written%s%s\n", entity, endpoint, (long long)side->owed, side->owed == 1 ? "" : "s",
				 side->why.kind != 0 ? "; " : "", side->why.text);
		return false;
	}
	return true;
}

/* True when a capture that began since then found nothing. Else it is made to look, when `now`. */
static bool side_looked(struct side *side, int64_t since_us, bool now, struct buf *out)
{
	if (!side->captures || side->clean_us >= since_us)
		return true;
	if (now && !side->capturing)
		side->wanted = true;
	if (out != NULL)
		buf_addf(out, "%s on %s: still looking for changes\n", side->flow->def->name, side->mapping->endpoint->name);
	return false;
}

static bool flow_rests(const struct flow *flow, bool without_away, struct buf *out)
{
	bool rests = true;

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && !(without_away && !side_usable(flow->sides[e])))
			rests &= side_rests(flow->sides[e], out);
	for (const struct round *r = flow->rounds; out != NULL && r != NULL; r = round_next(r))
		if (!round_is_plan(r) && !round_is_looking(r))
			round_describe(r, out);
	if (out != NULL && HASH_COUNT(flow->again) + HASH_COUNT(flow->later) > 0)
		buf_addf(out, "%s: %u records in line to be looked at again\n", flow->def->name,
			 HASH_COUNT(flow->again) + HASH_COUNT(flow->later));
	if (out != NULL && retries_under_way(flow))
		buf_addf(out, "%s: parked records are being tried again\n", flow->def->name);
	if (without_away)
		return rests && flow->counted && flow->n_rounds == 0 && flow->again == NULL && flow->scan.kind == SCAN_NONE &&
		       !flow->settle_wanted && !flow->held_wanted && !flow->verdicts_wanted && !retries_under_way(flow);
	return rests && flow_settled(flow);
}

/*
 * Nobody is made to look before all is at rest: what is written meanwhile would make every such look void,
 * and a million records are written in a thousand rounds.
 */
static bool all_settled(struct sync *s, int64_t asked_us, bool without_away, struct buf *out)
{
	int64_t since = last_write(s) > asked_us ? last_write(s) : asked_us;
	bool rest = true, looked = true;

	if (!s->store->ready || !s->recovered) {
		if (out != NULL)
			buf_addf(out, "redis: %s\n", !s->store->ready && s->store->why.text[0] != '\0' ? s->store->why.text : "not ready yet");
		return false;
	}
	if (out != NULL && journal_trouble(s->journal) != NULL)
		buf_addf(out, "journal: %s\n", journal_trouble(s->journal)->text);
	for (size_t i = 0; i < s->topology->n_entities; i++)
		rest &= flow_rests(&s->flows[i], without_away, out);
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		struct flow *flow = &s->flows[i];

		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (flow->sides[e] != NULL && !(without_away && !side_usable(flow->sides[e])))
				looked &= side_looked(flow->sides[e], since, rest, out);
		flow_pump(flow);
	}
	return rest && looked;
}

bool flow_settled_at(struct flow *flow, uint64_t endpoints, int64_t since_us)
{
	int64_t since = flow->last_write_us > since_us ? flow->last_write_us : since_us;
	bool rests = flow_idle(flow), looked = true;

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (endpoints & BIT(e))
			rests &= side_rests(flow->sides[e], NULL);
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (endpoints & BIT(e))
			looked &= side_looked(flow->sides[e], since, rests, NULL);
	flow_pump(flow);
	return rests && looked;
}

static int64_t parked_of(const struct sync *s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (s->flows[i].sides[e] != NULL)
				n += s->flows[i].sides[e]->parked;
	return n;
}

static bool any_held(const struct sync *s)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (s->flows[i].sides[e] != NULL && s->flows[i].sides[e]->guard.held > 0)
				return true;
	return false;
}

static bool any_waiting(const struct sync *s)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].waiting > 0)
			return true;
	return false;
}

static void unlink_wait(struct sync_wait *w)
{
	struct sync_wait **at = &w->sync->waits;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	loop_timer_free(&w->timer);
}

static void wait_end(struct sync_wait *w, bool settled)
{
	struct buf pending = { 0 };
	int64_t parked = parked_of(w->sync);

	unlink_wait(w);
	buf_adds(&pending, "");
	if (!settled)
		all_settled(w->sync, w->asked_us, false, &pending);
	w->done(w->arg, settled, pending.p, parked);
	buf_fini(&pending);
	free(w);
}

static void on_wait_over(void *arg)
{
	wait_end(arg, false);
}

struct sync_wait *sync_wait(struct sync *s, int64_t timeout_us, void (*done)(void *, bool, const char *, int64_t), void *arg)
{
	struct sync_wait *w = xcalloc(1, sizeof *w);

	w->sync = s;
	w->asked_us = clock_mono_us();
	w->done = done;
	w->arg = arg;
	w->timer = loop_timer_new(s->loop, on_wait_over, w);
	loop_timer_set(w->timer, timeout_us / 1000);
	w->next = s->waits;
	s->waits = w;
	all_settled(s, w->asked_us, false, NULL);	/* makes everybody look, when all is at rest */
	return w;
}

void sync_wait_cancel(struct sync_wait *w)
{
	unlink_wait(w);
	free(w);
}

void waits_check(struct sync *s)
{
	struct sync_wait *w, *next;

	if (s->closing)
		return;
	for (w = s->waits; w != NULL; w = next) {
		next = w->next;
		if (all_settled(s, w->asked_us, false, NULL)) {
			wait_end(w, true);
			next = s->waits;	/* its callback may have changed the list */
		}
	}
	once_check(s);
}

void waits_cancel_all(struct sync *s)
{
	while (s->waits != NULL)
		wait_end(s->waits, false);
}

/* ---- --once ------------------------------------------------------------------------------------------ */

static bool given_up(const struct endpoint *e)
{
	return e->state == ENDPOINT_DOWN && (e->why.kind == ERR_ENDPOINT || e->tries >= 5);
}

static bool once_swept(struct sync *s, bool *away)
{
	bool swept = true;

	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t e = 0; e < s->topology->n_endpoints; e++) {
			struct side *side = s->flows[i].sides[e];

			if (side == NULL)
				continue;
			if (given_up(side->link->endpoint) || (side->link->endpoint->state == ENDPOINT_UP && side->link->why.kind != 0)) {
				*away = true;
				continue;
			}
			if (side->swept_us < s->once.began_us || side->listing.state != LISTING_IDLE) {
				swept = false;
				if (side->surveyed && side->listing.state == LISTING_IDLE)
					sweep_order(side, JOB_OPERATOR);
			}
		}
	return swept;
}

void once_check(struct sync *s)
{
	void (*done)(void *, int) = s->once.done;
	bool away = false;

	if (done == NULL || !once_swept(s, &away) || !all_settled(s, s->once.began_us, away, NULL))
		return;
	s->once.done = NULL;
	done(s->once.arg, away ? 69 : parked_of(s) > 0 || any_held(s) || any_waiting(s) ? 1 : 0);
}

void sync_once(struct sync *s, void (*done)(void *, int), void *arg)
{
	s->once.done = done;
	s->once.arg = arg;
	s->once.began_us = clock_mono_us();
}
