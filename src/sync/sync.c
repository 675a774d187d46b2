/*
 * sync.c - birth and death, events of endpoints and store, orders, views.
 */
#include "sync/sync.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/state.h"
#include "sync/migrate.h"
#include "sync/undo.h"

enum {
	TICK_MS = 250,
	IDLE_US = 5000000, COUNT_AGAIN_US = 30000000,
};

/* ---- every moment ------------------------------------------------------------------------------------- */

static void side_tick(struct side *side, int64_t now)
{
	/* While one is under way no other is due: the interval begins anew at its end, or a large table would be swept without a break. */
	if (side->next_sweep_us != 0 && now >= side->next_sweep_us && side->surveyed && side->listing.state == LISTING_IDLE) {
		side->next_sweep_us = now + side->mapping->endpoint->sweep_us;
		side->sweep_due = true;
	}
	watermark_look(side);
}

static bool owes_somebody_usable(const struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && flow->sides[e]->owed > 0 && side_usable(flow->sides[e]))
			return true;
	return false;
}

/*
 * A debt is in somebody's work, waits for a back-off or is parked. When none of that is so it was forgotten, or the count is
 * wrong: whatever the reason, the state is gone through once more, which finds the one and mends the other.
 */
static void flow_audit(struct flow *flow, int64_t now)
{
	bool idle = flow->counted && !flow->paused && flow->n_rounds == 0 && flow->again == NULL && flow->later == NULL &&
		    flow->scan.kind == SCAN_NONE && !flow->settle_wanted;

	if (!idle || !owes_somebody_usable(flow)) {
		flow->idle_since_us = 0;
		return;
	}
	if (flow->idle_since_us == 0)
		flow->idle_since_us = now;
	if (now - flow->idle_since_us < IDLE_US || now < flow->next_count_us)
		return;
	log_info("something is owed and nobody is at work on it: the state is gone through again", LOG_S("entity", flow->def->name));
	flow->next_count_us = now + COUNT_AGAIN_US;
	flow->idle_since_us = 0;
	flow->counted = false;
	flow->audited = true;
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL)
			side_owes_nothing(flow->sides[e]);
}

static void on_tick(void *arg)
{
	struct sync *s = arg;
	int64_t now = clock_mono_us();

	loop_timer_set(s->tick, TICK_MS);
	meters_look(s);
	meters_keep(s);
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (s->flows[i].sides[e] != NULL)
				side_tick(s->flows[i].sides[e], now);
		flow_audit(&s->flows[i], now);
		flow_pump(&s->flows[i]);
	}
	rebase_step(s);
	if (s->store->ready && !s->recovered && s->rebase == NULL)
		flow_recover(s);
	epoch_look(s);
	verify_tick(s);
	undos_tick(s);
	migrate_tick(s);
	waits_check(s);
}

/* ---- events ------------------------------------------------------------------------------------------ */

static void each_side(struct sync *s, size_t e, void (*fn)(struct side *))
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].sides[e] != NULL)
			fn(s->flows[i].sides[e]);
}

static void on_endpoint_state(void *arg, struct endpoint *e)
{
	struct sync *s = arg;

	if (!s->closing)
		meters_look(s);
	if (e->state != ENDPOINT_UP)
		epoch_forget(s, e->conf->index);
	epoch_look(s);
	if (!s->closing)
		each_side(s, e->conf->index, side_changed);
	waits_check(s);
}

static void wake_side(struct side *side)
{
	side->wanted = true;
	flow_pump(side->flow);
}

static void on_endpoint_wake(void *arg, struct endpoint *e)
{
	struct sync *s = arg;

	if (!s->closing)
		each_side(s, e->conf->index, wake_side);
}

/* The first failure and each of a new kind, as the store reports them; whoever stands by has no trouble. */
static void tell_store_down(struct sync *s, const struct err *e)
{
	if (strcmp(e->code, STORE_STANDBY) == 0)
		log_info("stands by: another crmsyncd does the work");
	else
		log_warn("Redis cannot be used; nothing is applied meanwhile", LOG_ERR(e));
	if (s->store_away_us == 0)
		s->store_away_us = clock_mono_us();
}

static void tell_store_up(struct sync *s)
{
	log_info("Redis can be used", LOG_S("server", s->store->server), LOG_I("tries", s->store->tries + 1),
		 LOG_D("down_seconds", s->store_away_us == 0 ? 0.0 : (double)(clock_mono_us() - s->store_away_us) / 1e6));
	s->store_away_us = 0;
}

static void on_store_up(void *arg)
{
	struct sync *s = arg;

	tell_store_up(s);
	s->store_tried = true;
	meters_look(s);
	s->recovered = false;
	epoch_forget_all(s);
	flow_recover(s);
}

static void on_store_down(void *arg, const struct err *e)
{
	struct sync *s = arg;

	s->store_tried = true;
	if (!s->closing)
		meters_look(s);
	s->recovered = false;
	epoch_forget_all(s);
	backup_break(s, "Redis went away");
	if (e->kind == ERR_CONFIG && !s->refused && s->seams.refused != NULL) {
		s->refused = true;
		s->seams.refused(s->seams.arg, e);
	} else {
		tell_store_down(s, e);
	}
}

static void on_store_lost(void *arg)
{
	struct sync *s = arg;

	if (fault("f22-a-lost-state-is-gone-on-with"))
		return;
	s->renewed = s->renewing;	/* by our own will, or by somebody else's */
	s->renewing = false;
	log_error("the state in Redis was lost: every table is listed again; nothing is deleted, differing rows are merged");
	s->recovered = false;
	s->losses++;
	epoch_forget_all(s);
	for (size_t e = 0; e < s->topology->n_endpoints; e++) {
		s->shakes[e].marked = false;
		s->shakes[e].restored_us = 0;
	}
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		s->flows[i].counted = s->flows[i].estimated = s->flows[i].audited = false;
		s->flows[i].scan = (struct scan){ .kind = SCAN_NONE };
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (s->flows[i].sides[e] != NULL)
				side_forget(s->flows[i].sides[e]);
		waiting_forget(&s->flows[i], NULL);	/* also of those that have left, */
		owed_forget(&s->flows[i], NULL);	/* and what they are owed */
	}
}

/* ---- birth and death --------------------------------------------------------------------------------- */

struct sync *sync_new(struct loop *loop, const struct topology *topology, struct journal *journal, const struct sync_seams *seams)
{
	struct sync *s = xcalloc(1, sizeof *s);
	struct endpoint_events ends = { on_endpoint_state, on_endpoint_wake, s };
	struct store_events store = { on_store_up, on_store_down, on_store_lost, s };

	s->loop = loop;
	s->topology = topology;
	s->journal = journal;
	s->seams = *seams;
	s->started_us = clock_wall_us();
	s->life = (uint64_t)s->started_us;
	s->endpoints = xcalloc(topology->n_endpoints, sizeof(struct endpoint *));
	s->endpoint_paused = xcalloc(topology->n_endpoints, sizeof *s->endpoint_paused);
	s->shakes = xcalloc(topology->n_endpoints, sizeof *s->shakes);
	s->meters = xcalloc(topology->n_endpoints, sizeof *s->meters);
	s->flows = xcalloc(topology->n_entities, sizeof *s->flows);
	undos_init(s);
	s->store = seams->store_new(seams->arg, loop, topology, &store);
	for (size_t e = 0; e < topology->n_endpoints; e++)
		s->endpoints[e] = seams->endpoint_new(seams->arg, loop, topology, &topology->endpoints[e], &ends);
	for (size_t i = 0; i < topology->n_entities; i++)
		flow_init(&s->flows[i], s, i);
	lines_read(s);			/* else they are when work begins */
	verify_keep_tidy(s);
	meters_load(s);
	s->tick = loop_timer_new(loop, on_tick, s);
	on_tick(s);
	for (size_t e = 0; e < topology->n_endpoints; e++)
		s->endpoints[e]->ops->start(s->endpoints[e]);
	return s;
}

static bool any_rounds(const struct sync *s)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].n_rounds > 0)
			return true;
	return false;
}

static void on_finishing(void *arg)
{
	struct sync *s = arg;

	if (any_rounds(s) && clock_mono_us() < s->finish.until_us) {
		loop_timer_set(s->finish.timer, 10);
		return;
	}
	meters_end(s);
	s->finish.done(s->finish.arg);	/* which may free the sync */
}

void sync_finish(struct sync *s, int64_t limit_ms, void (*done)(void *), void *arg)
{
	s->finishing = true;
	s->finish.until_us = clock_mono_us() + limit_ms * 1000;
	s->finish.done = done;
	s->finish.arg = arg;
	if (s->finish.timer == NULL)
		s->finish.timer = loop_timer_new(s->loop, on_finishing, s);
	loop_timer_set(s->finish.timer, 0);
}

struct leaving {
	void (*done)(void *arg);
	void *arg;
};

static void on_left(void *arg, const struct err *e)
{
	struct leaving l = *(struct leaving *)arg;

	free(arg);
	l.done(l.arg);		/* also when Redis is away: then the lease ends by itself */
}

void sync_leave(struct sync *s, void (*done)(void *), void *arg)
{
	struct leaving *l = xcalloc(1, sizeof *l);

	*l = (struct leaving){ done, arg };
	meters_end(s);
	s->store->ops->leave(s->store, on_left, l);
}

void sync_free(struct sync **sp)
{
	struct sync *s = *sp;
	struct store *store;

	if (s == NULL)
		return;
	store = s->store;
	s->closing = true;
	s->once.done = NULL;
	waits_cancel_all(s);
	plan_end_with_sync(s);
	verify_end_with_sync(s);
	undo_end_with_sync(s);
	migrate_end_with_sync(s);
	backup_break(s, "the daemon stops, or reads its topology again");
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		for (struct round *r = s->flows[i].rounds; r != NULL; r = round_next(r))
			round_let_go(r);
		for (size_t e = 0; e < s->topology->n_endpoints; e++) {
			struct side *side = s->flows[i].sides[e];

			if (side != NULL && side->truncated != NULL)
				side->link->ops->drop(side->link, side->truncated);
		}
	}
	rebase_free(s);
	/* Both answer everything that is open; the rounds that wait for it end. */
	store_free(&store);
	s->store = NULL;
	for (size_t e = 0; e < s->topology->n_endpoints; e++)
		endpoint_free(&s->endpoints[e]);
	for (size_t i = 0; i < s->topology->n_entities; i++)
		flow_fini(&s->flows[i]);
	plans_free(s);
	verify_free(s);
	undo_free(s);
	migrate_free(s);
	park_free(s);
	loop_timer_free(&s->tick);
	loop_timer_free(&s->finish.timer);
	meters_free(s);
	free(s->endpoints);
	free(s->endpoint_paused);
	free(s->meters);
	free(s->shakes);
	free(s->flows);
	free(s);
	*sp = NULL;
}

/* ---- views ------------------------------------------------------------------------------------------- */

const char *sync_not_at_hand(const struct sync *s)
{
	if (s->closing || s->finishing)
		return "the daemon stops, or reads its topology again; ask again";
	if (!s->store->ready && s->store->why.text[0] != '\0')
		return s->store->why.text;
	if (!s->store->ready || !s->recovered || s->rebase != NULL)
		return "the state in Redis is not at hand yet; try again";
	return NULL;
}

bool sync_stands_by(const struct sync *s)
{
	return !s->store->ready && strcmp(s->store->why.code, STORE_STANDBY) == 0;
}

static bool first_reconcile_done(const struct sync *s)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (s->flows[i].sides[e] != NULL && !s->flows[i].sides[e]->surveyed)
				return false;
	return true;
}

void sync_service_view(const struct sync *s, struct sync_service_view *v)
{
	bool standby = sync_stands_by(s);

	*v = (struct sync_service_view){
		.topology = s->topology, .redis_up = s->store->ready || standby, .standby = standby,
		.redis_tried = s->store_tried || standby,
		.redis_reason = s->store->ready ? "" : s->store->why.text,
		.redis_server = s->store->server, .first_reconcile_done = first_reconcile_done(s), .started_us = s->started_us,
		.rounds = s->rounds, .availability = &s->service,
	};
	for (size_t i = 0; i < s->topology->n_entities; i++)
		v->rounds_in_flight += s->flows[i].n_rounds;
}

size_t sync_endpoints(const struct sync *s)
{
	return s->topology->n_endpoints;
}

void sync_endpoint_view(const struct sync *s, size_t e, struct sync_endpoint_view *v)
{
	*v = (struct sync_endpoint_view){ .conf = &s->topology->endpoints[e], .endpoint = s->endpoints[e],
					  .meter = &s->meters[e], .paused = s->endpoint_paused[e],
					  .guarded = s->endpoints[e]->keeps_state, .recognised = s->shakes[e].recognised,
					  .recognised_us = s->shakes[e].recognised_us };
}

size_t sync_entities(const struct sync *s)
{
	return s->topology->n_entities;
}

void sync_entity_view(const struct sync *s, size_t entity, struct sync_entity_view *v)
{
	const struct flow *flow = &s->flows[entity];

	*v = (struct sync_entity_view){ .conf = flow->conf, .meter = &flow->meter, .paused = flow->paused, .waiting = flow->waiting,
					.records = s->store->records != NULL ? s->store->records[entity] : 0,
					.conflicts = (int64_t)flow->decisions };
	for (size_t e = 0; e < s->topology->n_endpoints; e++) {
		const struct side *side = flow->sides[e];

		if (side == NULL)
			continue;
		v->pending += side->owed;
		v->parked += side->parked;
		v->held += side->guard.held;
	}
	if (v->pending < (int64_t)(HASH_COUNT(flow->again) + HASH_COUNT(flow->later)))	/* mostly these are the same records */
		v->pending = HASH_COUNT(flow->again) + HASH_COUNT(flow->later);
	v->books = flow->books;
	v->books.held = held_count(flow);
}

static enum sync_phase phase_of(const struct side *side)
{
	if (side->link->endpoint->state == ENDPOINT_UP && !side->link->usable)
		return SYNC_PHASE_STOPPED;
	if (!side_usable(side) || !side->flow->sync->recovered)
		return SYNC_PHASE_WAITING;
	if (side->listing.state != LISTING_IDLE)
		return side->listing.survey ? SYNC_PHASE_SURVEY : SYNC_PHASE_SWEEP;
	return side->surveyed ? SYNC_PHASE_FOLLOW : SYNC_PHASE_WAITING;
}

static const char *reason_of(const struct side *side)
{
	static char text[600];

	if (side->link->endpoint->state == ENDPOINT_DOWN)
		return side->link->endpoint->why.text;
	if (side->paused || side->link->endpoint->state == ENDPOINT_PAUSED)
		return "paused by the operator";
	if (side->flow->paused)
		return "the entity is paused by the operator";
	if (side->link->endpoint->state == ENDPOINT_UP && !side->link->usable)
		return side->link->why.text;
	if (sync_stands_by(side->flow->sync))
		return "stands by: another crmsyncd does the work";
	if (!side->flow->sync->store->ready)
		return "Redis is away: nothing is applied, nothing is lost";
	if (journal_trouble(side->flow->sync->journal) != NULL)
		return "the journal cannot be written: nothing is applied, nothing is lost";
	if (side->link->endpoint->silent)
		return "the endpoint has not answered for a while; the others do not wait for it";
	if (side->link->endpoint->state == ENDPOINT_UP && !side->flow->sync->shakes[side->endpoint].greeted)
		return epoch_waits(side->flow->sync, side->endpoint, text, sizeof text);
	if (side->guard.held > 0) {
		snprintf(text, sizeof text, "%lld deletes held, the newest in %s/%s/%lld; see crmsyncctl held list", (long long)side->guard.held,
			 side->flow->def->name, side->mapping->endpoint->name, (long long)side->guard.newest_set);
		return text;
	}
	if (side->owed > 0)
		return side->why.text[0] != '\0' ? side->why.text : "records are still to be written";
	if (side->parked > 0)
		return "records are parked; see crmsyncctl parked list";
	if (side->flow->waiting > 0)
		return "values wait for a person's decision; see crmsyncctl conflicts --waiting";
	return side->surveyed ? side_doubt(side) : "the first listing is not complete";
}

bool sync_link_view(const struct sync *s, size_t entity, size_t e, struct sync_link_view *v)
{
	const struct side *side = s->flows[entity].sides[e];

	if (side == NULL)
		return false;
	*v = (struct sync_link_view){
		.mapping = side->mapping, .link = side->link, .meter = &side->meter, .state = side_state(side),
		.phase = phase_of(side), .reason = reason_of(side), .lag_seconds = side_lag(side), .owed = side->owed,
		.parked = side->parked, .held_deletes = side->guard.held,
		.last_sweep_us = side->last_sweep_us,
	};
	listing_progress(side, v);
	return true;
}

struct jobs *sync_jobs(struct sync *s)
{
	return &s->jobs;
}

struct journal *sync_journal(const struct sync *s)
{
	return s->journal;
}

/* ---- orders ------------------------------------------------------------------------------------------ */

static struct endpoint *endpoint_named(const struct sync *s, const char *name, struct err *e)
{
	for (size_t i = 0; i < s->topology->n_endpoints; i++)
		if (strcmp(s->topology->endpoints[i].name, name) == 0)
			return s->endpoints[i];
	err_set(e, ERR_CONFIG, "unknown-name", "there is no endpoint '%s'", name);
	return NULL;
}

static bool set_paused(struct sync *s, const char *name, bool paused, struct err *e)
{
	struct endpoint *endpoint = endpoint_named(s, name, e);
	struct flow *flow;

	if (endpoint != NULL) {
		size_t i = endpoint->conf->index;

		if (s->endpoint_paused[i] == paused)
			return true;
		s->endpoint_paused[i] = paused;
		if (paused)
			endpoint->ops->pause(endpoint);
		else
			endpoint->ops->resume(endpoint);
		return true;
	}
	flow = flow_named(s, name);
	if (flow == NULL)
		return err_set(e, ERR_CONFIG, "unknown-name", "there is no endpoint or entity '%s'", name);
	flow->paused = paused;
	flow_pump(flow);
	if (!paused)
		undos_take_up(s);
	return true;
}

bool sync_pause(struct sync *s, const char *name, struct err *e)
{
	return set_paused(s, name, true, e);
}

bool sync_resume(struct sync *s, const char *name, struct err *e)
{
	return set_paused(s, name, false, e);
}

bool sync_install(struct sync *s, const char *name, done_fn *done, void *arg, struct err *e)
{
	struct endpoint *endpoint = endpoint_named(s, name, e);

	if (endpoint != NULL)
		endpoint->ops->install(endpoint, done, arg);
	return endpoint != NULL;
}

struct uninstalling {
	struct sync *sync;
	size_t endpoint;
	done_fn *done;
	void *arg;
};

static void on_uninstalled(void *arg, const struct err *e)
{
	struct uninstalling u = *(struct uninstalling *)arg;

	free(arg);
	if (e == NULL && !u.sync->closing)
		epoch_uninstalled(u.sync, u.endpoint);
	u.done(u.arg, e);
}

bool sync_uninstall(struct sync *s, const char *name, done_fn *done, void *arg, struct err *e)
{
	struct endpoint *endpoint = endpoint_named(s, name, e);
	struct uninstalling *u;

	if (endpoint == NULL)
		return false;
	u = xcalloc(1, sizeof *u);
	*u = (struct uninstalling){ s, endpoint->conf->index, done, arg };
	endpoint->ops->uninstall(endpoint, on_uninstalled, u);
	return true;
}

bool sync_install_print(struct sync *s, const char *name, void (*done)(void *, const char *, const struct err *), void *arg,
			struct err *e)
{
	struct endpoint *endpoint = endpoint_named(s, name, e);

	if (endpoint != NULL)
		endpoint->ops->install_print(endpoint, done, arg);
	return endpoint != NULL;
}

void sync_kick(struct sync *s, bool sweep)
{
	for (size_t e = 0; e < s->topology->n_endpoints; e++)
		if (!s->endpoint_paused[e])
			s->endpoints[e]->ops->start(s->endpoints[e]);
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (s->flows[i].sides[e] != NULL) {
				s->flows[i].sides[e]->wanted = true;
				if (sweep)
					sweep_order(s->flows[i].sides[e], JOB_OPERATOR);
			}
		flow_pump(&s->flows[i]);
	}
}
