/*
 * undo.c - crmsyncctl undo: what we wrote is put back where nobody has touched it since.
 *
 *   FOLD     the images that are asked for, from the newest to the oldest, make an item for each record (undo_fold.c)
 *   PLAN     of a dry run: rounds that only plan judge the items
 *   QUEUE    the items go into the journal, as a run of their own. From here on the order is carried out whatever happens to us
 *   RUN      rounds take the items up, stage by stage: entity after entity values and records that come back, parents before their
 *            children; then, the other way round, records that end. A stage in which nothing moves any more is left behind
 *   TELL     what came of each. It is over where all have it who can be reached (undo_round.c): whatever else is going on is not waited for
 *   HELD     and which deletes are held. Nothing was written of them, so no image tells of them
 *
 * An undo is an edit by the operator: it gets a new key, above that of every edit that anybody shows, and goes to every side, the one that
 * made the edit that is undone among them. What its own writes replace is journalled as ever: so it can be undone.
 */
#include "sync/undo.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"

enum {
	FOLD_BATCHES = 8,			/* a turn of the loop */
	ITEMS_MOST = 200000,
	FOLD_BYTES = 128 * 1024 * 1024,
	PLAN_RECORDS = 4000,			/* a plan: they have room there whatever the limits are */
	LOOK_MS = 20,
	RUN_EDGE_US = 60 * 1000 * 1000,		/* a held delete so near to a run of its source is one of its edits */
};

enum undo_phase { UNDO_FOLD, UNDO_PLAN, UNDO_QUEUE, UNDO_RUN, UNDO_TELL, UNDO_HELD, UNDO_OVER };

/* ---- the order --------------------------------------------------------------------------------------- */

struct sync_undo {
	struct sync *sync;
	struct sync_undo_taker taker;
	struct image_filter filter;	/* its texts are in the arena, as are */
	const char *rule, *endpoint;
	bool dry_run, newest_run;
	bool ended, busy;		/* busy: a plan is under way */
	enum undo_phase phase;
	struct job job;
	struct arena arena;
	struct fold *fold;		/* owned */
	int64_t before;			/* FOLD: where to go on; 0: that was all */
	bool begun;
	struct undo_target **planned;	/* PLAN: by entity */
	size_t entity;
	const struct undo_target *next;	/* of them: not planned yet */
	int64_t run, after;		/* after: the item, or held delete, that was told last */
	int64_t held_set;		/* HELD: that it is at */
	const char *run_source;		/* of the run that is undone; in the arena, */
	int64_t run_first_us, run_last_us;	/* and when it was */
	struct sync_undo_sums sums;
	struct loop_timer *timer;
	struct err why;			/* of QUEUE, HELD */
};

static void undo_release(struct sync_undo *u)
{
	u->sync->undo = NULL;
	job_end(&u->sync->jobs, &u->job);
	for (size_t i = 0; u->planned != NULL && i < u->sync->topology->n_entities; i++)
		undo_targets_free(&u->planned[i]);
	free(u->planned);
	fold_free(&u->fold);
	arena_fini(&u->arena);
	loop_timer_free(&u->timer);
	free(u);
}

static void undo_end(struct sync_undo *u, const struct err *e)
{
	if (u->ended)
		return;
	u->ended = true;
	if (e == NULL && !u->dry_run)
		log_info("undone by the operator", LOG_I("run", u->run), LOG_I("restored", u->sums.restored), LOG_I("skipped", u->sums.skipped));
	u->taker.done(u->taker.arg, &u->sums, e);
}

/* Once it is written down it goes on without us, and whoever asks again then has just that undone. */
static void undo_break(struct sync_undo *u, const char *code, const char *why)
{
	struct err e = { 0 };

	if (u->run != 0)
		err_set(&e, ERR_TRANSIENT, code, "%s; it is begun, as run %lld, and goes on by itself: do not ask for it again", why, (long long)u->run);
	else
		err_set(&e, ERR_TRANSIENT, code, "%s; nothing of it is begun: ask again", why);
	undo_end(u, &e);
}

void undo_end_with_sync(struct sync *s)
{
	if (s->undo != NULL)
		undo_break(s->undo, "stopping", "the daemon stops, or reads its topology again");
}

void undo_free(struct sync *s)
{
	if (s->undo != NULL)
		undo_release(s->undo);
	undos_free(s);
}

/* A plan has rounds under way that look at what is ours: then its end is the end. */
void sync_undo_cancel(struct sync_undo *u)
{
	u->ended = true;
	loop_timer_set(u->timer, 0);
}

static void undo_fail(struct sync_undo *u, const struct err *e)
{
	struct err why = *e;

	if (why.kind == 0)
		why.kind = ERR_TRANSIENT;
	undo_end(u, &why);
}

/* ---- FOLD -------------------------------------------------------------------------------------------- */

static bool is_too_much(const struct sync_undo *u)
{
	return fold_count(u->fold) > ITEMS_MOST || u->arena.bytes > FOLD_BYTES;
}

static bool fold_image(void *arg, const struct journal_image *image)
{
	struct sync_undo *u = arg;
	const struct flow *flow = flow_named(u->sync, image->entity);

	if ((u->endpoint != NULL && strcmp(image->endpoint, u->endpoint) != 0) || flow == NULL)
		return true;
	if (u->newest_run && u->filter.run == 0)
		u->filter.run = image->run;
	if (u->filter.run == 0 || u->filter.run == image->run)
		fold_add(u->fold, image, flow->def, u->rule);
	return !is_too_much(u);
}

static void fold_step(struct sync_undo *u)
{
	struct err e = { 0 };

	if (!journal_images_each(u->sync->journal, &u->filter, &u->before, FOLD_BATCHES, fold_image, u, &e)) {
		undo_fail(u, &e);
	} else if (is_too_much(u)) {
		err_set(&e, ERR_CONFIG, "too-many", "these are more than %d records, or more than %d MiB: undo them in parts, by entity, run or time",
			ITEMS_MOST, FOLD_BYTES >> 20);
		undo_fail(u, &e);
	} else if (u->before == 0) {
		u->phase = u->dry_run ? UNDO_PLAN : UNDO_QUEUE;
	}
	job_more(&u->job, (int64_t)fold_count(u->fold) - u->job.done, clock_mono_us());
}

/* ---- PLAN -------------------------------------------------------------------------------------------- */

/* Nothing of it can be put back, whatever it shows now. */
static void judge_nothing(struct undo_item *item)
{
	item->state = UNDO_SKIPPED;
	item->fields = "";
	item->n_skipped = 1;
	if (item->code_word != NULL)
		return;
	item->code_word = item->print != 0 ? "already" : "copied";
	item->cause = item->print != 0 ? "it was not there before, and is not there now" :
		"it was copied from a side that had it before; delete it where it is not wanted";
}

static void plan_item(void *arg, const struct undo_item *item)
{
	struct sync_undo *u = arg;
	struct flow *flow = flow_named(u->sync, item->entity);
	struct undo_item *copy = arena_alloc(&u->arena, undo_item_size(item));
	struct undo_target *t = xcalloc(1, sizeof *t);

	memcpy(copy, item, undo_item_size(item));
	if (item->what == UNDO_NOTHING)
		judge_nothing(copy);
	*t = (struct undo_target){ .rid = undo_rid(flow, item->code), .item = copy, .what = item->what, .state = copy->state,
				   .fields = "", .code = copy->code_word, .cause = copy->cause, .n_skipped = copy->n_skipped };
	HASH_ADD(hh, u->planned[flow->index], rid, sizeof t->rid, t);
}

static void tell_one(struct sync_undo *u, const struct undo_item *item, enum undo_state state, const char *fields, const char *code, const char *cause,
		     uint64_t at)
{
	if (!u->ended)
		u->taker.undone(u->taker.arg, &(struct sync_undone){
			.entity = item->entity, .key = item->key, .item = item, .restored = state == UNDO_RESTORED, .partly = state == UNDO_PARTLY,
			.waits = state == UNDO_WAITS || state == UNDO_BEGUN, .fields = fields, .code = code, .cause = cause, .at = at });
}

static void count(struct sync_undo *u, enum undo_state state, int64_t restored, int64_t skipped)
{
	u->sums.restored += state == UNDO_RESTORED;
	u->sums.skipped += state != UNDO_RESTORED;
	u->sums.partly += state == UNDO_PARTLY;
	u->sums.waiting += state == UNDO_WAITS || state == UNDO_BEGUN;
	u->sums.values_restored += restored;
	u->sums.values_skipped += skipped;
}

/* No round has tried it yet, or none could. */
static const char *why_it_waits(const struct sync *s, const struct flow *flow, const char **cause)
{
	if (flow == NULL)
		return *cause = "the topology does not have that entity any more", "no-such-entity";
	if (flow->paused)
		return *cause = "the entity is paused: crmsyncctl resume", "paused";
	for (size_t e = 0; e < s->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && !side_usable(flow->sides[e]))
			return *cause = "an endpoint is away or paused: crmsyncctl status says which", "away";
	return *cause = "its turn has not come, with all that the entity has to do", "busy";
}

static void tell_planned(struct sync_undo *u)
{
	for (const struct undo_target *t = u->planned[u->entity]; t != NULL; t = t->hh.next) {
		const char *cause = t->cause, *code = t->code;

		if (t->state < UNDO_RESTORED && code == NULL)
			code = why_it_waits(u->sync, &u->sync->flows[u->entity], &cause);
		count(u, t->state, t->n_restored, t->n_skipped);
		tell_one(u, t->item, t->state, t->fields, code, cause, t->at);
	}
}

static void on_planned(void *arg, const struct sync_planned *planned)
{
}

static bool is_never_full(void *arg)
{
	return false;
}

static void on_plan_done(void *arg, const struct err *e)
{
	struct sync_undo *u = arg;

	u->busy = false;
	if (e != NULL)
		undo_fail(u, e);
	loop_timer_set(u->timer, 0);
}

/* The next portion of this entity's. */
static void plan_some(struct sync_undo *u)
{
	const struct sync_plan_taker taker = { on_planned, is_never_full, on_plan_done, u };
	struct err e = { 0 };
	struct sync_plan *p = plan_new(&u->sync->flows[u->entity], &taker, &e);

	if (p == NULL) {
		undo_fail(u, &e);
		return;
	}
	u->busy = true;
	plan_put_back(p, &u->planned[u->entity], &u->arena);
	for (size_t n = 0; u->next != NULL && n < PLAN_RECORDS; n++, u->next = u->next->hh.next) {
		plan_add_row(p, &u->next->rid, 0, VALUE_NULL);
		job_more(&u->job, 1, clock_mono_us());
	}
	plan_begin(p);
}

static void plan_step(struct sync_undo *u)
{
	size_t n = u->sync->topology->n_entities;

	if (u->planned == NULL) {
		u->planned = xcalloc(n, sizeof(struct undo_target *));
		job_phase(&u->job, "decide", NULL, "records", (int64_t)fold_count(u->fold), clock_mono_us());
		fold_each(u->fold, plan_item, u);
		u->next = u->planned[0];
	}
	while (u->entity < n && u->next == NULL) {
		tell_planned(u);
		u->entity++;
		u->next = u->entity < n ? u->planned[u->entity] : NULL;
	}
	if (u->entity == n)
		u->phase = UNDO_HELD;
	else
		plan_some(u);
}

/* ---- QUEUE, RUN -------------------------------------------------------------------------------------- */

static void queue_item(void *arg, const struct undo_item *item)
{
	struct sync_undo *u = arg;
	struct undo_item *copy = xcalloc(1, sizeof *copy);

	*copy = *item;
	copy->run = u->run;
	if (item->what == UNDO_NOTHING)
		judge_nothing(copy);
	journal_undo_add(u->sync->journal, copy, &u->why);
	free(copy);
}

/* What an undo has not got to yet is not to come once that undo is undone, as a whole or of an entity: no image tells of it. */
static bool is_called_off(const struct sync_undo *u, const struct flow *flow, const struct undo_target *t)
{
	const struct image_filter *f = &u->filter;

	return f->run != 0 && t->run == f->run && (f->entity == NULL || strcmp(f->entity, flow->def->name) == 0) && f->key == NULL &&
	       f->source == NULL && f->since_us == 0 && f->until_us == 0 && u->rule == NULL && u->endpoint == NULL &&
	       !fault("f13-what-an-undone-undo-has-not-got-to-comes-later");
}

static void call_off(struct sync_undo *u, void (*fn)(struct flow *, struct undo_target *))
{
	struct undo_target *t, *tmp;

	for (size_t i = 0; i < u->sync->topology->n_entities; i++)
		HASH_ITER(hh, u->sync->flows[i].undos, t, tmp)
			if (is_called_off(u, &u->sync->flows[i], t))
				fn(&u->sync->flows[i], t);
}

static void skip_target(struct flow *flow, struct undo_target *t)
{
	undo_skip(flow->sync, t->id, "replaced", "its undo was undone");
}

static void drop_target(struct flow *flow, struct undo_target *t)
{
	HASH_DEL(flow->undos, t);
	free(t);
}

static void queue_step_of(struct sync_undo *u)
{
	struct sync *s = u->sync;
	struct err e = { 0 };
	bool ok;

	journal_begin(s->journal);
	u->run = u->sums.run = journal_run_new(s->journal, "(undo)", clock_wall_us(), &u->why);
	fold_each(u->fold, queue_item, u);
	call_off(u, skip_target);
	ok = journal_commit(s->journal, &e);
	if (ok)
		call_off(u, drop_target);
	if (!ok || !undo_queue_load(s)) {
		u->run = u->sums.run = 0;
		undo_fail(u, &e);
		return;
	}
	fold_free(&u->fold);
	undo_queue_start(s);
	u->phase = UNDO_RUN;
	job_phase(&u->job, "put-back", NULL, "records", undo_queue_records(s), clock_mono_us());
}

static void run_step(struct sync_undo *u)
{
	undos_tick(u->sync);
	undo_queue_follow(&u->job, u->sync);
	if (!undos_under_way(u->sync) || !undo_queue_has(u->sync, u->run))
		u->phase = UNDO_TELL;
}

/* ---- TELL, HELD -------------------------------------------------------------------------------------- */

static bool tell_item(void *arg, const struct undo_item *item)
{
	struct sync_undo *u = arg;
	const char *code = item->code_word, *cause = item->cause;

	u->after = item->id;
	if (item->state < UNDO_RESTORED && code[0] == '\0')
		code = why_it_waits(u->sync, flow_named(u->sync, item->entity), &cause);
	count(u, item->state, item->n_restored, item->n_skipped);
	if (item->state != UNDO_RESTORED)
		tell_one(u, item, item->state, item->fields, code, cause, 0);
	return true;
}

/* Those that are over, then those that are not. */
static void tell_step(struct sync_undo *u)
{
	int64_t from = u->after;
	struct err e = { 0 };
	bool over = !u->begun;

	if (!journal_undo_each(u->sync->journal, u->run, over, u->after, UNDO_PAGE, tell_item, u, &e)) {
		undo_fail(u, &e);
	} else if (u->after == from && over) {
		u->begun = true;
		u->after = 0;
	} else if (u->after == from) {
		u->phase = UNDO_HELD;
	}
}

static bool take_run(void *arg, const struct journal_run *run)
{
	struct sync_undo *u = arg;

	if (run->number != u->filter.run)
		return false;
	u->run_source = arena_dup(&u->arena, run->source, strlen(run->source));
	u->run_first_us = run->first_us - RUN_EDGE_US;
	u->run_last_us = run->last_us + RUN_EDGE_US;
	return false;
}

static bool is_of_run(const struct sync_undo *u, const char *source, int64_t time_us)
{
	return u->run_source != NULL && strcmp(u->run_source, source) == 0 && time_us >= u->run_first_us && time_us <= u->run_last_us;
}

/* To whom it would be written is decided when it is released: to any but its own. */
static bool is_asked_for(const struct sync_undo *u, const struct journal_held *held)
{
	const struct image_filter *f = &u->filter;
	const struct flow *flow = flow_named(u->sync, held->entity);

	return flow != NULL && (f->entity == NULL || strcmp(f->entity, held->entity) == 0) && (f->key == NULL || strcmp(f->key, held->key) == 0) &&
	       (f->source == NULL || strcmp(f->source, held->endpoint) == 0) && (u->endpoint == NULL || strcmp(u->endpoint, held->endpoint) != 0) &&
	       (u->rule == NULL || strcmp(u->rule, flow->def->deletes == DELETES_UPDATE_WINS ? "update-wins" : "delete-wins") == 0) &&
	       (f->run == 0 || u->newest_run || is_of_run(u, held->endpoint, held->time_us)) &&
	       held->time_us >= f->since_us && (f->until_us == 0 || held->time_us <= f->until_us);
}

static bool tell_held(void *arg, const struct journal_held *held)
{
	struct sync_undo *u = arg;
	const struct undo_item item = { .entity = held->entity, .key = held->key, .what = UNDO_NOTHING };
	struct buf cause = { 0 };

	u->after = held->id;
	if (!is_asked_for(u, held))
		return true;
	buf_addf(&cause, "its delete at %s is held: crmsyncctl held discard %s/%s/%lld brings it back there", held->endpoint, held->entity,
		 held->endpoint, (long long)held->set);
	count(u, UNDO_SKIPPED, 0, 1);
	tell_one(u, &item, UNDO_SKIPPED, "", "held", cause.p, 0);
	buf_fini(&cause);
	return true;
}

static bool take_next_set(void *arg, const struct journal_held_set *set)
{
	struct sync_undo *u = arg;

	if (set->number <= u->held_set)
		return true;
	u->held_set = set->number;
	return false;
}

/* A page of a set, or on to the next one. */
static void held_step(struct sync_undo *u)
{
	struct journal *j = u->sync->journal;
	int64_t set = u->held_set, from = u->after;
	bool ok;

	if (set == 0)
		ok = u->filter.run == 0 || journal_runs_each(j, NULL, u->filter.run + 1, 1, take_run, u, &u->why);
	else
		ok = journal_held_each(j, set, u->after, UNDO_PAGE, tell_held, u, &u->why);
	if (ok && (set == 0 || u->after == from)) {
		ok = journal_held_sets_each(j, take_next_set, u, &u->why);
		u->after = 0;
		if (ok && u->held_set == set)
			u->phase = UNDO_OVER;
	}
	if (!ok)
		undo_fail(u, &u->why);
}

/* ---- going on ---------------------------------------------------------------------------------------- */

static void undo_step(struct sync_undo *u)
{
	failpoint_phase("undo", (int)u->phase);
	switch (u->phase) {
	case UNDO_FOLD:		fold_step(u); break;
	case UNDO_PLAN:		plan_step(u); break;
	case UNDO_QUEUE:	queue_step_of(u); break;
	case UNDO_RUN:		run_step(u); break;
	case UNDO_TELL:		tell_step(u); break;
	case UNDO_HELD:		held_step(u); break;
	case UNDO_OVER:		undo_end(u, NULL); break;
	}
}

static void on_turn(void *arg)
{
	struct sync_undo *u = arg;
	const char *why = sync_not_at_hand(u->sync);

	if (u->busy)
		return;			/* its plan tells us when it is over */
	if (why != NULL && !u->ended)
		undo_break(u, "undo-broken", why);
	if (!u->ended)
		undo_step(u);
	if (u->ended && !u->busy)
		undo_release(u);
	else if (!u->busy)
		loop_timer_set(u->timer, u->phase == UNDO_RUN ? LOOK_MS : 0);
}

/* ---- birth ------------------------------------------------------------------------------------------- */

static const char *kept(struct sync_undo *u, const char *text)
{
	return text != NULL ? arena_dup(&u->arena, text, strlen(text)) : NULL;
}

struct sync_undo *sync_undo(struct sync *s, const struct sync_undo_order *order, const struct sync_undo_taker *taker, struct err *e)
{
	struct sync_undo *u;

	if (s->undo != NULL)
		return err_set(e, ERR_TRANSIENT, "busy", "something is being undone; try again"), NULL;
	if (sync_not_at_hand(s) != NULL)
		return err_set(e, ERR_TRANSIENT, "not-ready", "%s", sync_not_at_hand(s)), NULL;
	u = xcalloc(1, sizeof *u);
	u->sync = s;
	u->taker = *taker;
	u->dry_run = order->dry_run;
	arena_init(&u->arena);
	u->filter = (struct image_filter){ .entity = kept(u, order->entity), .key = kept(u, order->key), .source = kept(u, order->source),
					   .run = order->run, .since_us = order->since_us, .until_us = order->until_us };
	u->rule = kept(u, order->rule);
	u->endpoint = kept(u, order->endpoint);
	u->newest_run = order->key != NULL && order->run == 0 && order->since_us == 0;
	u->fold = fold_new(&u->arena);
	u->timer = loop_timer_new(s->loop, on_turn, u);
	s->undo = u;
	job_begin(&s->jobs, &u->job, u->dry_run ? "undo --dry-run" : "undo", u->filter.entity, JOB_OPERATOR, clock_mono_us());
	job_phase(&u->job, "fold", NULL, "records", -1, clock_mono_us());
	loop_timer_set(u->timer, 0);
	return u;
}

const struct job *sync_undo_job(const struct sync_undo *u)
{
	return &u->job;
}
