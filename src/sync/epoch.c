/*
 * epoch.c - is this still the database, and is that still the Redis, that we knew? (doc/epoch.md; SEMANTICS section 1, 6.4)
 *
 *   an endpoint is up and the store is ready  ->  GREET  ->  JUDGE  ->  the endpoint may be used
 *
 * Two numbers in Redis and one in the database move in turn: `intent` in Redis before, `epoch` there with each acknowledgement, `acked` in
 * Redis after. Either of the two that is put back is behind the other at the next greeting:
 *
 *	acked <= epoch <= intent	nothing happened
 *	epoch > intent			Redis lost what was acknowledged: its vectors are not believed, all is as after its loss
 *	epoch < acked, no row, another server, an older timeline
 *					the database was put back or replaced: rebase.c
 *	a mark of a restore		Redis was filled from a backup: its vectors are old, and believed as such: rebase.c
 *	a later timeline		a copy took its place: as before, unless there was something that no number had followed yet
 *
 * A number is never behind the clock, so that the one that a database shows also tells the time to which it was put back. What only moved by
 * a write of ours or by a poll is followed by a beat of its own, a second later at most; the first one comes before
 * anything else. A greeting also raises the fencing number there: nothing is written before that, and nothing by anybody else after.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "sync/state.h"

enum { BEAT_US = 1000000, AGAIN_US = 1000000 };

static struct shake *shake_of(struct sync *s, size_t e)
{
	return &s->shakes[e];
}

static const char *name_of(const struct sync *s, size_t e)
{
	return s->topology->endpoints[e].name;
}

static void recognise(struct sync *s, size_t e, const char *what)
{
	struct shake *k = shake_of(s, e);

	snprintf(k->recognised, sizeof k->recognised, "%s", what);
	k->recognised_us = clock_wall_us();
	log_warn("recognised", LOG_S("endpoint", name_of(s, e)), LOG_S("what", what));
}

/* ---- the mark in Redis ------------------------------------------------------------------------------- */

void epoch_name_mark(const struct sync *s, size_t e, char out[EPOCH_TEXT])
{
	snprintf(out, EPOCH_TEXT, "epoch/%s", name_of(s, e));
}

/*
 * Both numbers, which database it was, when it was last heard of, up to when its rows are of the past (0: none are), and of which time
 * these are.
 */
void epoch_mark_text(const struct shake *k, char out[EPOCH_TEXT])
{
	snprintf(out, EPOCH_TEXT, "%lld %lld %s %lld %lld %lld %lld", (long long)k->intent, (long long)k->acked, k->system[0] != '\0' ? k->system : "-",
		 (long long)k->timeline, (long long)k->heard_us, (long long)k->past_us, (long long)k->back_us);
}

void epoch_mark_read(struct sync *s, size_t e, struct value text)
{
	struct shake *k = shake_of(s, e);
	char copy[EPOCH_TEXT];
	long long intent, acked, timeline, heard, past, back = 0;

	k->marked = false;
	if (text.len <= 0 || (size_t)text.len >= sizeof copy)
		return;
	memcpy(copy, text.data, (size_t)text.len);
	copy[text.len] = '\0';
	if (sscanf(copy, "%lld %lld %23s %lld %lld %lld %lld", &intent, &acked, k->system, &timeline, &heard, &past, &back) < 6)
		return;
	k->intent = intent;
	k->acked = acked;
	k->timeline = timeline;
	k->heard_us = heard;
	k->past_us = past;
	k->back_us = back;
	k->marked = true;
	k->dirty = true;	/* for all we know */
}

/* ---- acknowledgements and beats ---------------------------------------------------------------------- */

int64_t epoch_next(struct sync *s, size_t e)
{
	struct shake *k = shake_of(s, e);
	int64_t now = clock_wall_us();

	if (s->endpoints[e]->fence == 0)
		return 0;
	k->intent = now > k->intent ? now : k->intent + 1;
	return k->intent;
}

void epoch_acked(struct sync *s, size_t e, int64_t epoch)
{
	struct shake *k = shake_of(s, e);

	if (epoch > k->acked)
		k->acked = epoch;
	k->heard_us = clock_wall_us();
	k->dirty = true;
}

void epoch_touched(struct sync *s, size_t e)
{
	shake_of(s, e)->dirty = true;
}

struct beat {
	struct sync *sync;
	size_t endpoint;
	unsigned turn;
	int64_t epoch;
};

static bool is_late(const struct beat *b)
{
	return b->sync->closing || b->turn != b->sync->shakes[b->endpoint].turn;
}

static void write_mark(struct sync *s, size_t e, store_done_fn *done, void *arg)
{
	char name[EPOCH_TEXT], text[EPOCH_TEXT];
	struct store_position p = { name, text };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	epoch_name_mark(s, e, name);
	epoch_mark_text(shake_of(s, e), text);
	s->store->ops->write(s->store, 0, &w, done, arg);
}

static void beat_over(struct beat *b)
{
	if (!is_late(b))
		shake_of(b->sync, b->endpoint)->beating = false;
	free(b);
}

static void may_be_used(struct sync *s, size_t e)
{
	shake_of(s, e)->greeted = true;
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].sides[e] != NULL)
			side_changed(s->flows[i].sides[e]);
	meters_look(s);
	for (size_t i = 0; i < s->topology->n_entities; i++)
		flow_pump(&s->flows[i]);
}

static void on_acked_marked(void *arg, const struct err *e)
{
	struct beat *b = arg;
	struct shake *k = shake_of(b->sync, b->endpoint);
	bool first = !is_late(b) && !k->greeted;

	failpoint("epoch", "acked", "answered");
	if (first)
		k->greeting = false;
	if (first && e == NULL)
		may_be_used(b->sync, b->endpoint);
	beat_over(b);		/* not told is told again with the next one: acked may be behind */
}

static void on_beaten(void *arg, const struct err *e)
{
	struct beat *b = arg;
	struct sync *s = b->sync;
	struct shake *k = shake_of(s, b->endpoint);

	failpoint("epoch", "beat", "answered");
	if (is_late(b) || e != NULL) {
		if (!is_late(b)) {
			k->dirty = true;
			epoch_forget(s, b->endpoint);	/* fenced, or gone: greeting it tells */
		}
		beat_over(b);
		return;
	}
	if (b->epoch > k->acked)
		k->acked = b->epoch;
	k->heard_us = clock_wall_us();
	failpoint("epoch", "acked", "before");
	write_mark(s, b->endpoint, on_acked_marked, b);
	failpoint("epoch", "acked", "sent");
}

static void on_intent_marked(void *arg, const struct err *e)
{
	struct beat *b = arg;
	struct endpoint *ep = b->sync->endpoints[b->endpoint];

	failpoint("epoch", "intent", "answered");
	if (is_late(b)) {
		beat_over(b);
	} else if (e != NULL || ep->state != ENDPOINT_UP) {
		if (!shake_of(b->sync, b->endpoint)->greeted)
			epoch_forget(b->sync, b->endpoint);
		beat_over(b);
	} else {
		failpoint("epoch", "beat", "before");
		ep->ops->beat(ep, b->epoch, on_beaten, b);
		failpoint("epoch", "beat", "sent");
	}
}

static void beat(struct sync *s, size_t e)
{
	struct shake *k = shake_of(s, e);
	struct beat *b = xcalloc(1, sizeof *b);

	k->beating = true;
	k->dirty = false;
	k->beat_us = clock_mono_us();
	*b = (struct beat){ .sync = s, .endpoint = e, .turn = k->turn, .epoch = epoch_next(s, e) };
	failpoint("epoch", "intent", "before");
	write_mark(s, e, on_intent_marked, b);
	failpoint("epoch", "intent", "sent");
}

static void on_unknown_marked(void *arg, const struct err *e)
{
	/* Not written, the next install looks like a database that was replaced: its tables are listed again. */
}

void epoch_uninstalled(struct sync *s, size_t e)
{
	struct shake *k = shake_of(s, e);

	k->intent = k->acked = 0;
	s->endpoints[e]->fence = s->endpoints[e]->epoch = 0;
	epoch_forget(s, e);
	write_mark(s, e, on_unknown_marked, NULL);
}

/* ---- judging ----------------------------------------------------------------------------------------- */

/* Why the rows there are not those that we knew; NULL: they are. */
static const char *put_back(const struct shake *k, const struct greeting *g, char *text, size_t size)
{
	char stands[32], stood[32];

	time_print(g->epoch, stands);
	time_print(k->acked, stood);
	if (!k->marked)
		return NULL;
	if (k->system[0] != '-' && strcmp(k->system, g->system) != 0)
		snprintf(text, size, "the database was replaced by one of another server");
	else if (g->timeline < k->timeline)
		snprintf(text, size, "the database was put back: its timeline is %lld, and was %lld", (long long)g->timeline, (long long)k->timeline);
	else if (!g->kept)
		return NULL;
	else if (!g->there && k->acked > 0)
		snprintf(text, size, "the database was replaced or put back: it does not know us any more");
	else if (g->epoch < k->acked && g->timeline > k->timeline)
		snprintf(text, size, "a copy of the database took its place (timeline %lld, was %lld), and lacks what was committed after %s",
			 (long long)g->timeline, (long long)k->timeline, stands);
	else if (g->epoch < k->acked)
		snprintf(text, size, "the database was put back, or lost commits: it stands at %s, and was at %s", stands, stood);
	else if (g->timeline > k->timeline && k->dirty)
		snprintf(text, size, "a copy of the database took its place (timeline %lld, was %lld), and may lack what was committed after %s",
			 (long long)g->timeline, (long long)k->timeline, stands);
	else
		return NULL;
	return text;
}

static bool any_surveyed(const struct sync *s)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (s->flows[i].sides[e] != NULL && s->flows[i].sides[e]->surveyed)
				return true;
	return false;
}

/*
 * Before the first beat there is nothing by which a database that is replaced would be known again: its rows would pass for deleted. So
 * it comes before anything is read or written there.
 */
void epoch_accept(struct sync *s, size_t e, const struct greeting *g)
{
	struct shake *k = shake_of(s, e);

	snprintf(k->system, sizeof k->system, "%s", g->system[0] != '\0' ? g->system : "-");
	k->timeline = g->timeline;
	if (g->kept && g->epoch > k->intent)
		k->intent = g->epoch;
	k->heard_us = clock_wall_us();
	k->marked = true;
	k->dirty = g->kept;
	s->endpoints[e]->fence = g->kept ? s->store->fence : 0;
	if (g->kept && k->acked == 0) {
		k->greeting = true;
		beat(s, e);
	} else {
		may_be_used(s, e);
	}
}

static bool any_joined(const struct sync *s, size_t e)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].sides[e] != NULL && s->flows[i].sides[e]->joined)
			return true;
	return false;
}

static void judge(struct sync *s, size_t e, const struct greeting *g)
{
	struct shake *k = shake_of(s, e);
	char text[sizeof k->recognised], when[32];

	if (g->kept && !g->raised) {
		s->store->ops->outrank(s->store, g->fence);
		return;
	}
	if (put_back(k, g, text, sizeof text) != NULL) {
		recognise(s, e, text);
		rebase_begin(s, e, g, REBASE_FORGET);
		return;
	}
	if (k->restored_us != 0) {
		time_print(k->restored_us, when);
		snprintf(text, sizeof text, "the state was restored from a backup of %.19sZ: what was done since is found by comparing every row", when);
		recognise(s, e, text);
		rebase_begin(s, e, g, REBASE_COMPARE);
		return;
	}
	if (any_joined(s, e)) {
		rebase_begin(s, e, g, REBASE_JOINED);
		return;
	}
	if (g->kept && g->there && g->epoch > 0 && !fault("f22-epochs-are-not-compared") && (k->marked ? g->epoch > k->intent : !s->renewed)) {
		snprintf(text, sizeof text, "Redis was %s: the database stands at %lld, Redis knew of %lld",
			 k->marked ? "put back to an older state" : "emptied", (long long)g->epoch, (long long)(k->marked ? k->intent : 0));
		recognise(s, e, text);
		if (k->marked || any_surveyed(s)) {
			s->renewing = true;
			s->store->ops->renew(s->store);
			return;
		}
	}
	if (k->marked && g->timeline > k->timeline) {
		snprintf(text, sizeof text, "a copy of the database took its place (timeline %lld, was %lld); nothing acknowledged is missing",
			 (long long)g->timeline, (long long)k->timeline);
		recognise(s, e, text);
	}
	epoch_accept(s, e, g);
}

/* ---- greeting ---------------------------------------------------------------------------------------- */

static void on_greeted(void *arg, const struct greeting *g, const struct err *e)
{
	struct beat *b = arg;
	struct sync *s = b->sync;

	failpoint("epoch", "greet", "answered");
	if (!is_late(b)) {
		struct shake *k = shake_of(s, b->endpoint);

		k->greeting = false;
		k->not_before_us = s->rebase != NULL ? 0 : clock_mono_us() + AGAIN_US;
		/* Two at a time would write each other's vectors as they were. It is greeted again when that one is over. */
		if (e == NULL && s->rebase == NULL)
			judge(s, b->endpoint, g);
		else if (e != NULL)
			log_warn("the database does not say who it is", LOG_S("endpoint", name_of(s, b->endpoint)), LOG_ERR(e));
	}
	free(b);
}

static void greet(struct sync *s, size_t e)
{
	struct shake *k = shake_of(s, e);
	struct beat *b = xcalloc(1, sizeof *b);

	*b = (struct beat){ .sync = s, .endpoint = e, .turn = k->turn };
	k->greeting = true;
	k->kept = s->endpoints[e]->keeps_state;
	failpoint("epoch", "greet", "before");
	s->endpoints[e]->ops->greet(s->endpoints[e], s->store->fence, on_greeted, b);
	failpoint("epoch", "greet", "sent");
}

const char *epoch_waits(const struct sync *s, size_t e, char *text, size_t size)
{
	const struct endpoint *ep = s->endpoints[e];

	if (ep->waits_for != 0)
		snprintf(text, size, "a former connection of crmsyncd is still at work there (backend %lld): nothing is written before it has ended",
			 (long long)ep->waits_for);
	else
		snprintf(text, size, "%s", !s->recovered ? "what Redis holds is still being read" :
			 s->rebase != NULL ? "a database was put back, or the state restored: what was known of it is set right first" :
			 "it has yet to say which database it is");
	return text;
}

void epoch_forget(struct sync *s, size_t e)
{
	struct shake *k = shake_of(s, e);

	k->turn++;
	k->dirty |= k->beating;
	k->greeted = k->greeting = k->beating = false;
}

void epoch_forget_all(struct sync *s)
{
	for (size_t e = 0; e < s->topology->n_endpoints; e++) {
		epoch_forget(s, e);
		s->shakes[e].not_before_us = 0;
	}
}

/* Up to when the rows of that endpoint are of the past: over when all of its tables were listed again. */
static void end_past(struct sync *s, size_t e)
{
	struct shake *k = shake_of(s, e);

	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].sides[e] != NULL && !s->flows[i].sides[e]->surveyed)
			return;
	k->past_us = k->back_us = 0;
	k->dirty = true;
}

void epoch_look(struct sync *s)
{
	int64_t now = clock_mono_us();

	if (s->closing || s->finishing || !s->store->ready || !s->recovered || s->rebase != NULL)
		return;
	for (size_t e = 0; e < s->topology->n_endpoints && s->store->ready && s->rebase == NULL; e++) {
		struct shake *k = shake_of(s, e);

		if (s->endpoints[e]->state != ENDPOINT_UP)
			continue;
		if (k->greeted && k->kept != s->endpoints[e]->keeps_state)
			epoch_forget(s, e);
		if (!k->greeted) {
			if (!k->greeting && now >= k->not_before_us)
				greet(s, e);
			continue;
		}
		if (k->past_us != 0)
			end_past(s, e);
		if (k->dirty && !k->beating && s->endpoints[e]->fence != 0 && now - k->beat_us >= BEAT_US)
			beat(s, e);
	}
}
