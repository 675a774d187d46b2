/*
 * sim.c - the daemon's core under a seeded scheduler: random edits, delays, failures and deaths, then quiet, then checks.
 *
 *	sim [--seeds A..B] [--seconds S] [--quiet]	runs seeds until one fails; prints "N passed, N failed"
 *	sim --seed N --verbose				one seed with a readable trace
 *	sim ... --without crashes,deletes		leaves kinds of events out, to find the least that fails
 *	sim ... --with put_backs			passes over the seeds that have none of these
 *	sim --seeds A..B --all-happens			fails, and names them, where rare things that it counts never happened
 *	sim --mutate NAME [--seeds A..B]		with a fault put in on purpose: fails unless some seed catches it
 *
 * Safety: people edit, things break. Liveness: nothing breaks any more; then all must be equal, and stay untouched.
 */
#include "world.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "sync/sync.h"

enum {
	OPERATED_US = 60 * SECOND, OPERATE_MOST = 50, UNDO_AT_END = 3,
	LIVENESS_US = 300 * SECOND,	/* three sweeps and the longest rest */
	STILL_US = 200 * SECOND,	/* and two more sweeps of each table in which nothing may be written */
	STILL_SWEEPS = 5,		/* or more; each that finds the row of a parked record tries it again */
};

static volatile sig_atomic_t running_now;
static uint64_t running_seed;

/* ---- the daemon's lives --------------------------------------------------------------------------------------- */

static void daemon_start(struct world *w, void *arg)
{
	struct sync_seams seams = { .endpoint_new = fake_endpoint_new, .store_new = fake_store_new, .arg = w };

	if (w->sync != NULL)
		return;
	world_trace(w, "the daemon starts");
	w->mass_windows++;
	w->loop = loop_new_virtual();
	w->sync = sync_new(w->loop, w->topology, w->journal, &seams);
}

static bool any_open(const struct world *w)
{
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		for (size_t x = 0; x < SIM_TXS; x++)
			if (w->dbs[e].txs[x].open)
				return true;
	return false;
}

void daemon_kill(struct world *w)
{
	struct sometimes *s = w->sometimes;

	w->kill = false;
	if (w->sync == NULL)
		return;
	world_trace(w, "the daemon dies%s", w->intended ? w->applied ? " between apply and mark" : " between intend and apply" : "");
	s->crash++;
	s->crash_intended += w->intended && !w->applied;
	s->crash_applied += w->intended && w->applied;
	s->crash_marked += w->marked;
	s->open_at_crash += any_open(w);
	w->intended = w->applied = w->marked = false;
	history_forgot(w);
	saving_end(w);
	sync_free(&w->sync);
	loop_free(&w->loop);
	world_after(w, rng_span(&w->rng, 1000, 5 * SECOND), daemon_start, NULL);
}

static void nothing_happens(struct world *w, void *arg)
{
	(void)w;
	(void)arg;
}

/* Dying waits for the end of an event, and there may be none any more. */
static void finished(void *arg)
{
	struct world *w = arg;

	w->kill = true;
	if (w->n_events == 0)
		world_after(w, 0, nothing_happens, NULL);
}

/* ---- what goes wrong -------------------------------------------------------------------------------------------- */

static void fate(struct world *w, void *arg);

static void fate_again(struct world *w)
{
	world_after(w, rng_span(&w->rng, SECOND / 4, 8 * SECOND), fate, NULL);
}

static void endpoint_back(struct world *w, void *arg)
{
	if (((struct db *)arg)->away)
		fake_endpoint_away(arg, false);
}

static void store_back(struct world *w, void *arg)
{
	if (w->keys.away)
		fake_store_away(w, false);
}

static void fate(struct world *w, void *arg)
{
	struct db *db = &w->dbs[rng_below(&w->rng, (uint32_t)w->plan.n_endpoints)];
	uint32_t dice = rng_below(&w->rng, 100);

	if (w->quiet)
		return;
	if (dice < 30 && w->plan.outages && !db->away) {
		fake_endpoint_away(db, true);
		world_after(w, rng_span(&w->rng, SECOND / 10, 20 * SECOND), endpoint_back, db);
	} else if (dice < 50 && w->plan.store_outages && !w->keys.away) {
		fake_store_away(w, true);
		world_after(w, rng_span(&w->rng, SECOND / 10, 8 * SECOND), store_back, NULL);
	} else if (dice < 60 && w->plan.flushes) {
		fake_store_flush(w);
	} else if (dice < 75 && w->plan.crashes) {
		w->kill = true;
	} else if (dice < 80 && w->plan.crashes && w->sync != NULL) {
		world_trace(w, "the daemon is asked to finish");
		sync_finish(w->sync, 5000, finished, w);
	} else if (dice >= 85 && w->plan.store_outages) {
		fake_store_refuse(w, world_now(w) + rng_span(&w->rng, SECOND / 10, 2 * SECOND));
	}
	fate_again(w);
}

/* Deaths at the steps that matter are too rare when left to the clock alone. */
static void strike(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	if (w->plan.crashes && (w->intended || w->marked) && rng_chance(&w->rng, 4))
		w->kill = true;
	world_after(w, rng_span(&w->rng, 500, 30000), strike, NULL);
}

/* ---- databases that are put back ------------------------------------------------------------------------------------- */

static void copy_then_put_back(struct world *w, void *arg);

static void next_put_back(struct world *w)
{
	world_after(w, rng_span(&w->nemesis, SECOND, 10 * SECOND), copy_then_put_back, &w->dbs[rng_below(&w->nemesis, (uint32_t)w->plan.n_endpoints)]);
}

/*
 * It can be told when it had acknowledged something since, and only then: what is lost otherwise is among the limits that README names.
 * A backup that was taken before the daemon had greeted it for the first time is a database that is not known yet.
 */
static void put_back(struct world *w, void *arg)
{
	struct db *db = arg;
	int64_t taken_us;

	if (w->quiet)
		return;
	if (db->copy->epoch == 0 || store_keys_acked(&w->keys, db) <= db->copy->epoch) {
		next_put_back(w);
		return;
	}
	world_trace(w, "%s is put back to what it was at %.6f", db->name, (double)(db->copy->taken_us - 1000 * (int64_t)SECOND) / SECOND);
	w->sometimes->put_back++;
	apps_abort(w, db);
	if (!db->away)
		fake_endpoint_away(db, true);
	taken_us = db->copy->taken_us;
	db_copy_restore(db);
	history_put_back(w, db, taken_us);
	world_after(w, rng_span(&w->nemesis, SECOND / 10, 4 * SECOND), endpoint_back, db);
	next_put_back(w);
}

static void copy_then_put_back(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	db_copy_take(arg);
	world_after(w, rng_span(&w->nemesis, 2 * SECOND, 12 * SECOND), put_back, arg);
}

/* ---- the state is lost but for a backup ------------------------------------------------------------------------------ */

static void back_up(struct world *w, void *arg);

static void restore(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	world_trace(w, "the state is lost, and the backup of %.6f is put back", (double)(w->backup_us - 1000 * (int64_t)SECOND) / SECOND);
	w->kill = true;
	w->restore_comes = false;
	fake_store_restore(w);
}

static void backed_up(struct world *w, void *arg)
{
	w->restore_comes = true;
	world_after(w, rng_span(&w->nemesis, SECOND, 12 * SECOND), restore, NULL);
}

/* It may not be able to, or not come to an end: then another one is made. */
static void back_up(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	if (!w->restore_comes)
		saving_begin(w, backed_up);
	world_after(w, rng_span(&w->nemesis, SECOND, 4 * SECOND), back_up, NULL);
}

/* ---- somebody deletes most of a table --------------------------------------------------------------------------------- */

static void delete_many(struct world *w, void *arg)
{
	if (!w->quiet)
		apps_delete_many(w, arg, rng_below(&w->nemesis, (uint32_t)w->plan.n_entities));
}

/* ---- the operator: decides what waits, by one of the sides ---------------------------------------------------------- */

struct picked {				/* a line of the list, and a side of it */
	char *entity, *key, *field, *rid, *endpoint;
};

struct looking {
	struct world *w;
	struct picked list[20];
	size_t n;
};

static bool pick_side(void *arg, const struct journal_waiting *line)
{
	struct looking *l = arg;
	const struct journal_side *sides[SIM_ENDPOINTS];
	uint32_t n = 0;

	for (size_t i = 0; i < line->n_sides; i++)
		if (line->sides[i].competed)
			sides[n++] = &line->sides[i];
	if (n > 0 && line->verdict == VERDICT_NONE)
		l->list[l->n++] = (struct picked){ xstrdup(line->entity), xstrdup(line->key), xstrdup(line->field), xstrdup(line->rid),
			xstrdup(sides[rng_below(&l->w->operator, n)]->endpoint) };
	return l->n < countof(l->list);
}

static void judge(struct world *w, const struct picked *p)
{
	struct sync_verdict v = { .entity = p->entity, .key = p->key, .field = p->field, .endpoint = p->endpoint };
	struct err e = { 0 };
	struct rid rid;

	if (w->sync == NULL)
		return;
	for (size_t i = 0; i < RID_BYTES; i++)
		sscanf(p->rid + 2 * i, "%2hhx", &rid.b[i]);
	for (size_t i = 0; i < w->n_records; i++)
		w->records[i].judged |= rid_equal(&w->records[i].rid, &rid);
	world_trace(w, "the operator decides %s/%s.%s: %s", p->entity, p->key, p->field, p->endpoint);
	if (sync_decide(w->sync, &v, &e))
		w->sometimes->judged++;
}

struct sets {				/* of held deletes, about which nobody has decided yet */
	char *names[20];
	int64_t numbers[20];
	size_t n;
};

static bool pick_set(void *arg, const struct journal_held_set *set)
{
	struct sets *s = arg;

	if (set->state != HELD_WAITS || set->deletes == 0)
		return true;
	s->numbers[s->n] = set->number;
	s->names[s->n++] = xasprintf("%s/%s/%" PRId64, set->entity, set->endpoint, set->number);
	return s->n < countof(s->names);
}

static struct sim_record *record_of_rid(struct world *w, const char *text)
{
	struct rid rid;

	for (size_t i = 0; i < RID_BYTES; i++)
		sscanf(text + 2 * i, "%2hhx", &rid.b[i]);
	for (size_t i = 0; i < w->n_records; i++)
		if (rid_equal(&w->records[i].rid, &rid))
			return &w->records[i];
	return NULL;
}

static bool spare(void *arg, const struct journal_held *h)
{
	struct sim_record *r = record_of_rid(arg, h->rid);

	if (r != NULL)
		r->spared = true;
	return true;
}

static void order_set(struct world *w, const char *name, int64_t number)
{
	bool discard = rng_chance(&w->operator, 40);
	struct err e = { 0 };

	if (w->sync == NULL)
		return;
	world_trace(w, "the operator %s the held deletes %s", discard ? "discards" : "releases", name);
	w->mass_ordered = true;
	if (discard)
		journal_held_each(w->journal, number, 0, SIZE_MAX, spare, w, &e);
	w->sometimes->held++;
	w->sometimes->discarded += discard;
	w->sometimes->released += !discard;
	if (!sync_held_order(w->sync, name, discard, &e))
		world_fail(w, "held", "%s: %s", name, e.text);
}

static bool operate_held(struct world *w, unsigned percent)
{
	struct sets s = { .n = 0 };
	struct err e = { 0 };
	bool any = false;

	if (!journal_held_sets_each(w->journal, pick_set, &s, &e))
		world_fail(w, "journal", "%s", e.text);
	for (size_t i = 0; i < s.n; i++) {
		if (rng_chance(&w->operator, percent)) {
			order_set(w, s.names[i], s.numbers[i]);
			any = true;
		}
		free(s.names[i]);
	}
	return any;
}

/* percent: of what waits, so much is decided. True: something was. */
static bool operate(struct world *w, unsigned percent)
{
	struct looking l = { .w = w };
	bool any = w->plan.masses && operate_held(w, percent);

	journal_waiting_each(w->journal, NULL, NULL, NULL, 0, 0, pick_side, &l, NULL);
	for (size_t i = 0; i < l.n; i++) {
		struct picked *p = &l.list[i];

		if (rng_chance(&w->operator, percent)) {
			judge(w, p);
			any = true;
		}
		free(p->entity);
		free(p->key);
		free(p->field);
		free(p->rid);
		free(p->endpoint);
	}
	return any;
}

/* Where nothing can, a seed's story is what it was before there was an operator. */
static bool anything_can_wait(const struct world *w)
{
	if (w->plan.masses)
		return true;
	for (size_t i = 0; i < w->topology->n_entities; i++)
		for (size_t f = 0; f < w->topology->entities[i].def.n_fields; f++)
			if (w->topology->entities[i].def.fields[f].rule == RULE_MANUAL)
				return true;
	return false;
}

static void operator_looks(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	operate(w, 30);
	world_after(w, rng_span(&w->operator, SECOND, 6 * SECOND), operator_looks, NULL);
}

static void on_planned(void *arg, const struct sync_planned *p)
{
	struct world *w = arg;

	w->planned += !p->already && p->what != PLANNED_HELD && p->what != PLANNED_PARKED;
	world_trace(w, "planned: %d at %zu of %s", (int)p->what, p->endpoint, p->key);
}

static bool on_asked_if_full(void *arg)
{
	return false;
}

static void on_plan_done(void *arg, const struct err *e)
{
	struct world *w = arg;

	w->asked_plan = NULL;
	w->sometimes->planned += e == NULL;
	w->sometimes->plan_found += e == NULL && w->planned > 0;
	w->sometimes->plan_broken += e != NULL;
	world_trace(w, "the plan ends: %s", e != NULL ? e->text : "complete");
}

static void ask_plan(struct world *w, size_t entity)
{
	struct sync_plan_taker taker = { on_planned, on_asked_if_full, on_plan_done, w };
	struct err e = { 0 };

	w->planned = 0;
	w->asked_plan = sync_plan(w->sync, w->topology->entities[entity].def.name, &taker, &e);
}

/* In the midst of everything: it has to leave no trace in what the others are held to, however it ends. */
static void somebody_plans(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	world_after(w, 13 * (int64_t)SECOND / 10, somebody_plans, NULL);
	if (w->sync == NULL)
		return;
	if (w->asked_plan == NULL) {
		ask_plan(w, w->plans++ % w->topology->n_entities);
	} else if (w->plans % 2 == 0) {
		sync_plan_cancel(w->asked_plan);
		w->asked_plan = NULL;
		w->sometimes->plan_broken++;
	}
}

static void go_on_with(struct world *w)
{
	if (w->paused != NULL && w->sync != NULL)
		sync_resume(w->sync, w->paused, NULL);
	w->paused = NULL;
}

static void on_migrated(void *arg, const struct sync_migrate_sums *s, const struct err *e)
{
	struct world *w = arg;

	w->migration = NULL;
	w->sometimes->migrated += e == NULL;
	w->sometimes->migrated_at_rest += e == NULL && w->paused != NULL;
	w->sometimes->migration_broken += e != NULL;
	world_trace(w, "the migration ends: %s", e != NULL ? e->text : "complete");
	go_on_with(w);
}

static bool has_resumed(const struct sync_migration *m)
{
	struct sync_migrate_view v;

	sync_migrate_view(m, &v);
	return v.resumed;
}

/* The same pair again, until it is complete; every other time while the entity rests. */
static void ask_migration(struct world *w)
{
	unsigned n = w->migrations++ / 4;
	const struct entity_conf *entity = &w->topology->entities[n % w->topology->n_entities];
	size_t from = n % w->plan.n_endpoints, to = (n + 1) % w->plan.n_endpoints;
	struct sync_migrate_taker taker = { on_migrated, w };
	struct sync_migrate_order order = { .entity = entity->def.name, .from = w->topology->endpoints[from].name,
					    .to = w->topology->endpoints[to].name, .jobs = 1, .onto = ONTO_MERGE,
					    .strategy = n % 3 == 0 ? MIGRATE_INCREMENTAL : MIGRATE_FULL };
	struct err e = { 0 };

	if (n % 2 == 0 && sync_pause(w->sync, entity->def.name, &e))
		w->paused = entity->def.name;
	w->migration = sync_migrate(w->sync, &order, &taker, &e);
	world_trace(w, "a migration of %s from %s to %s: %s", order.entity, order.from, order.to, w->migration != NULL ? "begins" : e.text);
	if (w->migration == NULL)
		go_on_with(w);
}

static void leave_migration(struct world *w)
{
	if (w->migration == NULL)
		return;
	sync_migrate_cancel(w->migration);
	w->migration = NULL;
	w->sometimes->migration_broken++;
	go_on_with(w);
}

/* In the midst of everything, too: onto merge it writes nothing but what the rules have to say, so all that holds without it holds with it. */
static void somebody_migrates(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	world_after(w, 9 * (int64_t)SECOND / 10, somebody_migrates, NULL);
	if (w->sync == NULL)
		return;
	if (w->migration == NULL)
		ask_migration(w);
	else if (has_resumed(w->migration))
		w->sometimes->migration_resumed++;
	else
		leave_migration(w);
}

static void mend(struct world *w)
{
	w->quiet = true;
	leave_migration(w);
	apps_settle(w);
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		if (w->dbs[e].away)
			fake_endpoint_away(&w->dbs[e], false);
	if (w->keys.away)
		fake_store_away(w, false);
	world_trace(w, "quiet: no more edits, nothing breaks");
}

/* ---- one seed ----------------------------------------------------------------------------------------------------- */

struct waited {
	bool done, settled;
	char pending[512];
};

static void waited(void *arg, bool settled, const char *pending, int64_t parked)
{
	struct waited *x = arg;

	x->done = true;
	x->settled = settled;
	snprintf(x->pending, sizeof x->pending, "%s", pending != NULL ? pending : "");
}

/* The daemon's own word: `wait` answers "settled", and the views show nothing pending. */
static void check_words(struct world *w)
{
	struct waited x = { 0 };

	if (w->failed)
		return;
	sync_wait(w->sync, 60 * (int64_t)SECOND, waited, &x);
	world_run_until(w, world_now(w) + 70 * (int64_t)SECOND);
	if (!w->failed && (!x.done || !x.settled))
		world_fail(w, "wait", "after quiet, wait says: %s", x.done ? x.pending : "nothing");
	for (size_t i = 0; i < sync_entities(w->sync); i++) {
		struct sync_entity_view v;

		sync_entity_view(w->sync, i, &v);
		if (v.pending != 0)
			world_fail(w, "wait", "%s: %" PRId64 " pending after quiet", v.conf->def.name, v.pending);
	}
}

/*
 * When all is settled a reconcile would write nothing, and a plan says so. But where several rows want each other's keys, rounds come
 * upon one of them at a time and let it stand aside; a plan sees all of them at once, and may see a way out.
 */
static void check_plans(struct world *w)
{
	for (size_t i = 0; !w->failed && i < w->topology->n_entities; i++) {
		uint64_t made = w->sometimes->planned;

		ask_plan(w, i);
		for (unsigned times = 0; w->asked_plan != NULL && times < 20; times++)	/* where batches are of one record it takes long */
			world_run_until(w, world_now(w) + 60 * (int64_t)SECOND);
		if (w->plan.renames && world_parked(w) > 0)
			w->planned = 0;
		if (!w->failed && (w->sometimes->planned == made || w->planned > 0))
			world_fail(w, "plan", "%s: after quiet a plan %s (%" PRIu64 ")", w->topology->entities[i].def.name,
				   w->sometimes->planned == made ? "is not made" : "finds something to write", w->planned);
	}
}

static void on_different(void *arg, const struct sync_different *d)
{
	world_trace(arg, "verify: %d of %s, there %" PRIx64 ", absent %" PRIx64 ", fields %" PRIx64, (int)d->what, d->key, d->there, d->absent,
		    d->fields);
}

static void on_verified(void *arg, const struct sync_verify_sums *s, const struct err *e)
{
	struct world *w = arg;

	w->sometimes->verified += e == NULL;
	w->sometimes->verified_open += s->open > 0;
	if (e != NULL)
		world_fail(w, "verify", "is not done: %s", e->text);
	else if (s->different + s->missing + s->extra > 0)
		world_fail(w, "verify", "after quiet %" PRId64 " differ, %" PRId64 " are missing, %" PRId64 " are extra", s->different, s->missing,
			   s->extra);
	else if (s->compared != s->matching + s->own_form + s->open)
		world_fail(w, "verify", "%" PRId64 " records, and %" PRId64 " verdicts", s->compared, s->matching + s->own_form + s->open);
}

/* When all is settled what the sides show is what is known of them. */
static void check_verify(struct world *w)
{
	struct sync_verify_taker taker = { on_different, NULL, on_verified, w };

	for (size_t i = 0; !w->failed && i < w->topology->n_entities; i++) {
		struct sync_verify_order order = { .entity = w->topology->entities[i].def.name };
		struct err e = { 0 };
		uint64_t done = w->sometimes->verified;

		if (sync_verify(w->sync, &order, &taker, &e) == NULL)
			world_fail(w, "verify", "does not begin: %s", e.text);
		for (unsigned times = 0; !w->failed && w->sometimes->verified == done && times < 20; times++)
			world_run_until(w, world_now(w) + 60 * (int64_t)SECOND);
		if (!w->failed && w->sometimes->verified == done)
			world_fail(w, "verify", "does not end");
	}
}

/* Where batches are of one record, so long may not be enough for all that was edited; it has to become less. */
static void work_off(struct world *w)
{
	uint64_t before;

	do {
		before = world_backlog(w);
		world_run_until(w, world_now(w) + LIVENESS_US);
	} while (!w->failed && world_backlog(w) > 0 && world_backlog(w) < before);
}

static void run(struct world *w)
{
	uint64_t before, attempts, may, reads, rows;

	apps_populate(w);
	daemon_start(w, NULL);
	apps_start(w);
	fate_again(w);
	strike(w, NULL);
	if (anything_can_wait(w))
		operator_looks(w, NULL);
	if (w->seed % 8 == 0)
		somebody_plans(w, NULL);
	if (w->seed % 8 == 5)
		somebody_migrates(w, NULL);
	if (w->plan.put_backs)
		next_put_back(w);
	if (w->plan.undos)
		undo_soon(w);
	if (w->plan.roll_backs)
		roll_back_soon(w);
	if (w->plan.restores)
		world_after(w, rng_span(&w->nemesis, SECOND, 10 * SECOND), back_up, NULL);
	if (w->plan.masses)
		world_after(w, rng_span(&w->nemesis, 3 * SECOND, w->plan.edit_us), delete_many,
			    &w->dbs[rng_below(&w->nemesis, (uint32_t)w->plan.n_endpoints)]);
	world_run_until(w, world_now(w) + w->plan.edit_us);
	mend(w);
	work_off(w);
	for (unsigned times = 0; !w->failed && operate(w, 100); times++) {
		if (times == OPERATE_MOST)
			world_fail(w, "manual", "what the operator decides waits all the same");
		world_run_until(w, world_now(w) + OPERATED_US);
	}
	for (unsigned times = 0; !w->failed && w->plan.undos && times < UNDO_AT_END; times++) {
		undo_something(w);
		world_run_until(w, world_now(w) + OPERATED_US);
		if (w->undoing)
			world_fail(w, "undo", "is not over a minute after everything was quiet");
	}
	if (w->failed)
		return;
	before = world_written(w);
	attempts = world_attempted(w);
	reads = world_reads(w);
	world_trace(w, "from here on nothing may be written");
	world_run_until(w, world_now(w) + STILL_US);
	if (world_written(w) != before)
		world_fail(w, "C3", "%" PRIu64 " writes after quiet", world_written(w) - before);
	may = STILL_SWEEPS * world_parked(w);
	attempts = world_attempted(w) - attempts;
	if (attempts > may)
		world_fail(w, "C3", "%" PRIu64 " writes were tried after quiet, %" PRIu64 " may be", attempts, may);
	/* Sweeps read what stands aside, and each row a few times; whoever reads more turns in circles. */
	reads = world_reads(w) - reads;
	rows = world_rows(w);
	if (reads > 200 + 20 * rows)
		world_fail(w, "C3", "%" PRIu64 " reads of %" PRIu64 " rows while nothing happens", reads, rows);
	check_all(w);
	check_words(w);
	if (!w->failed)
		check_books_stock(w);
	check_plans(w);
	check_verify(w);
}

static bool run_seed(uint64_t seed, enum mutation m, uint32_t left_out, FILE *trace, struct sometimes *sometimes, char why[1024])
{
	struct world *w;
	bool ok;

	running_seed = seed;
	running_now = 1;
	w = world_new(seed, m, left_out, trace, sometimes);
	if (!w->failed)
		run(w);
	ok = !w->failed;
	memcpy(why, w->why, sizeof w->why);
	w->quiet = true;
	saving_end(w);
	sync_free(&w->sync);
	loop_free(&w->loop);
	world_free(&w);
	running_now = 0;
	return ok;
}

/* ---- the program ---------------------------------------------------------------------------------------------------- */

static void on_crash(int signo)
{
	char line[96];
	int n = snprintf(line, sizeof line, "\nsim: signal %d in seed %" PRIu64 "\n", signo, running_seed);

	if (running_now && write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(2);
	signal(signo, SIG_DFL);
	raise(signo);
}

/* The last lines of the failing seed's story, so that a log of a failed build says something. */
static void tell_again(uint64_t seed, enum mutation m, uint32_t left_out)
{
	struct sometimes unused = { 0 };
	char *text = NULL, why[1024];
	size_t size = 0, from;
	FILE *f = open_memstream(&text, &size);
	unsigned lines = 0;

	if (f == NULL)
		return;
	run_seed(seed, m, left_out, f, &unused, why);
	fclose(f);
	for (from = size; from > 0 && lines < 60; from--)
		lines += text[from - 1] == '\n';
	fprintf(stderr, "%s(the whole story: sim --seed %" PRIu64 " --verbose)\n", text + from, seed);
	free(text);
}

static void sometimes_print(const struct sometimes *s)
{
#define X(name, words) printf("%10" PRIu64 "  %s\n", s->name, words);
	SOMETIMES(X)
#undef X
}

/* What never happens is not tested: somebody switched it off, or it became impossible. */
static bool sometimes_all(const struct sometimes *s)
{
	bool all = true;

#define X(name, words) \
	if (s->name == 0) { \
		printf("never happened (%s): %s\n", #name, words); \
		all = false; \
	}
	SOMETIMES(X)
#undef X
	return all;
}

static int64_t real_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

struct options {
	uint64_t first, last;
	int64_t seconds;
	enum mutation mutation;
	uint32_t left_out, wanted;
	bool verbose, keep_going, all_happens;
};

static bool has_parts(uint64_t seed, uint32_t wanted, uint32_t left_out)
{
	struct sometimes unused = { 0 };
	struct world *w = wanted != 0 ? world_new(seed, MUTATE_NOTHING, left_out, NULL, &unused) : NULL;
	uint32_t has = 0, part = 0;

	if (w == NULL)
		return true;
#define X(name) has |= (uint32_t)w->plan.name << part++;
	PLAN_PARTS(X)
#undef X
	world_free(&w);
	return (has & wanted) == wanted;
}

static int run_many(const struct options *o)
{
	struct sometimes sometimes = { 0 };
	uint64_t passed = 0, failed = 0, seed;
	int64_t end = real_seconds() + o->seconds;

	for (seed = o->first; seed <= o->last; seed++) {
		char why[1024];

		if (o->seconds > 0 && real_seconds() >= end)
			break;
		if (!has_parts(seed, o->wanted, o->left_out))
			continue;
		if (run_seed(seed, o->mutation, o->left_out, o->verbose ? stderr : NULL, &sometimes, why)) {
			passed++;
			continue;
		}
		failed++;
		printf("seed %" PRIu64 ": %s\n", seed, why);
		fflush(stdout);
		if (o->mutation != MUTATE_NOTHING)
			break;
		if (!o->verbose && !o->keep_going)
			tell_again(seed, o->mutation, o->left_out);
		if (!o->keep_going)
			break;
	}
	if (o->first != o->last && o->mutation == MUTATE_NOTHING)
		sometimes_print(&sometimes);
	if (o->all_happens && seed <= o->last)
		printf("not all seeds were run: whether everything happens that ought to is not known\n");
	else if (o->all_happens)
		failed += !sometimes_all(&sometimes);
	if (o->mutation == MUTATE_NOTHING) {
		printf("%" PRIu64 " passed, %" PRIu64 " failed\n", passed, failed);
		return failed > 0;
	}
	/* A test of the checkers: they pass when the fault is caught. */
	printf("mutation %s: %s after %" PRIu64 " seeds\n%d passed, %d failed\n", mutation_names[o->mutation],
	       failed > 0 ? "caught" : "NOT CAUGHT", passed + failed, failed > 0, failed == 0);
	return failed == 0;
}

static bool mutation_parse(const char *name, enum mutation *out)
{
	for (int m = 0; m < MUTATIONS; m++)
		if (strcmp(mutation_names[m], name) == 0) {
			*out = (enum mutation)m;
			return true;
		}
	fprintf(stderr, "sim: no such mutation: %s; there are:", name);
	for (int m = 1; m < MUTATIONS; m++)
		fprintf(stderr, " %s", mutation_names[m]);
	fputc('\n', stderr);
	return false;
}

static bool parts_parse(const char *list, uint32_t *out)
{
	static const char *const parts[] = {
#define X(name) #name,
		PLAN_PARTS(X)
#undef X
	};
	char *copy = xstrdup(list), *save = NULL;
	bool known = true;

	for (char *p = strtok_r(copy, ",", &save); p != NULL && known; p = strtok_r(NULL, ",", &save)) {
		size_t i = 0;

		while (i < countof(parts) && strcmp(parts[i], p) != 0)
			i++;
		known = i < countof(parts);
		*out |= UINT32_C(1) << i;
		if (strcmp(p, "all") == 0) {
			known = true;
			*out = UINT32_MAX;
		}
	}
	for (size_t i = 0; !known && i < countof(parts); i++)
		fprintf(stderr, "%s%s", i == 0 ? "sim: kinds of events: all," : ",", parts[i]);
	free(copy);
	return known;
}

static bool options_parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "seed", required_argument, NULL, 'n' }, { "seeds", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' }, { "mutate", required_argument, NULL, 'm' },
		{ "without", required_argument, NULL, 'w' }, { "with", required_argument, NULL, 'p' },
		{ "verbose", no_argument, NULL, 'v' }, { "keep-going", no_argument, NULL, 'k' },
		{ "all-happens", no_argument, NULL, 'a' }, { 0 },
	};
	char *end;
	int c;

	*o = (struct options){ .first = 1, .last = 2000 };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'n':
			o->first = o->last = strtoull(optarg, NULL, 10);
			break;
		case 's':
			o->first = strtoull(optarg, &end, 10);
			o->last = strncmp(end, "..", 2) == 0 ? strtoull(end + 2, NULL, 10) : o->first;
			break;
		case 't':
			o->seconds = strtoll(optarg, NULL, 10);
			break;
		case 'm':
			if (!mutation_parse(optarg, &o->mutation))
				return false;
			break;
		case 'w':
			if (!parts_parse(optarg, &o->left_out))
				return false;
			break;
		case 'p':
			if (!parts_parse(optarg, &o->wanted))
				return false;
			break;
		case 'v':
			o->verbose = true;
			break;
		case 'k':
			o->keep_going = true;
			break;
		case 'a':
			o->all_happens = true;
			break;
		default:
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	struct options o;

	if (!options_parse(argc, argv, &o))
		return 64;
	signal(SIGABRT, on_crash);
	signal(SIGSEGV, on_crash);
	log_setup(o.verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, false);
	return run_many(&o);
}
