/*
 * undo_queue.c - what is still to be put back: the journal's items as targets of their flows, and in which order rounds take them up.
 *
 * The queue outlives the order: what is not over is taken up again by the next life of the process, and now and then in this one.
 */
#include "sync/undo.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"

enum {
	STUCK_US = 10 * 1000 * 1000,
	AGAIN_US = 60 * 1000 * 1000,
	IN_VAIN_US = 10 * 1000 * 1000,
};

struct undo_queue {
	struct job job;			/* while it runs without an order: that has one of its own */
	bool loaded, running;
	bool again;			/* nobody waits for it any more */
	uint64_t losses;		/* of the state when it was loaded */
	size_t stage;			/* an entity's index; behind the last, entities from the last to the first */
	int64_t moved_us;		/* monotonic: when something was over last */
};

struct rid undo_rid(const struct flow *flow, struct image_text code)
{
	return rid_of(&flow->sync->store->key, flow->def, (struct value){ code.p, code.len });
}

bool undo_skip(struct sync *s, int64_t id, const char *code, const char *cause)
{
	const struct undo_item over = { .id = id, .state = UNDO_SKIPPED, .fields = "", .code_word = code, .cause = cause, .n_skipped = 1 };

	return journal_undo_set(s->journal, &over, NULL);
}

/* A later undo takes the place of one that has not got to that record yet. */
static void replace_item(struct sync *s, struct undo_target *t, const struct undo_item *item)
{
	if (t->id == item->id || !undo_skip(s, t->id, "replaced", "a later undo is about it"))
		return;
	t->id = item->id;
	t->run = item->run;
	t->what = item->what;
}

static void target_add(struct flow *flow, const struct undo_item *item)
{
	struct rid rid = undo_rid(flow, item->code);
	struct undo_target *t;

	HASH_FIND(hh, flow->undos, &rid, sizeof rid, t);
	if (t != NULL) {
		replace_item(flow->sync, t, item);
		return;
	}
	t = xcalloc(1, sizeof *t);
	t->rid = rid;
	t->id = item->id;
	t->run = item->run;
	t->what = item->what;
	HASH_ADD(hh, flow->undos, rid, sizeof t->rid, t);
}

struct loading {
	struct sync *sync;
	struct arena arena;		/* of the page */
	struct undo_item *page[UNDO_PAGE];
	size_t n;
};

static bool load_item(void *arg, const struct undo_item *item)
{
	struct loading *l = arg;
	struct undo_item *copy = arena_alloc(&l->arena, undo_item_size(item));

	memcpy(copy, item, undo_item_size(item));
	copy->entity = arena_dup(&l->arena, item->entity, strlen(item->entity));
	copy->code.p = arena_dup(&l->arena, item->code.p != NULL ? item->code.p : "", (size_t)item->code.len);
	l->page[l->n++] = copy;
	return true;
}

bool undo_queue_load(struct sync *s)
{
	struct loading *l = xcalloc(1, sizeof *l);
	struct err e = { 0 };
	int64_t after = 0;
	bool ok = true;

	l->sync = s;
	arena_init(&l->arena);
	do {
		l->n = 0;
		arena_reset(&l->arena);
		ok = journal_undo_each(s->journal, 0, false, after, UNDO_PAGE, load_item, l, &e);
		for (size_t i = 0; ok && i < l->n; i++) {
			struct flow *flow = flow_named(s, l->page[i]->entity);

			after = l->page[i]->id;
			if (flow != NULL)
				target_add(flow, l->page[i]);
		}
	} while (ok && l->n == UNDO_PAGE);
	if (!ok)
		log_error("what is still to be put back is not read", LOG_ERR(&e));
	arena_fini(&l->arena);
	free(l);
	return ok;
}

static void queue_forget(struct sync *s)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		undo_targets_free(&s->flows[i].undos);
}

static struct flow *flow_of_stage(const struct sync *s, size_t stage)
{
	size_t n = s->topology->n_entities;

	return stage < n ? &s->flows[stage] : stage < 2 * n ? &s->flows[2 * n - 1 - stage] : NULL;
}

static bool is_of_stage(const struct sync *s, size_t stage, const struct undo_target *t)
{
	return (t->what == UNDO_END) == (stage >= s->topology->n_entities);
}

static bool stage_is_open(const struct sync *s, size_t stage)
{
	const struct flow *flow = flow_of_stage(s, stage);

	for (const struct undo_target *t = flow != NULL ? flow->undos : NULL; t != NULL; t = t->hh.next)
		if (is_of_stage(s, stage, t))
			return true;
	return false;
}

static void stage_begin(struct sync *s, size_t stage)
{
	struct flow *flow = flow_of_stage(s, stage);

	s->undos->moved_us = clock_mono_us();
	for (const struct undo_target *t = flow->undos; t != NULL; t = t->hh.next)
		if (is_of_stage(s, stage, t))
			flow_look_again(flow, &t->rid, 0);
	flow_pump(flow);
}

static void queue_begin(struct sync *s, bool again)
{
	s->undos->running = true;
	s->undos->again = again;
	s->undos->stage = 0;
	s->undos->moved_us = 0;
}

static bool stage_may_move(const struct sync *s, size_t stage)
{
	return stage_is_open(s, stage) && !flow_of_stage(s, stage)->paused && clock_mono_us() - s->undos->moved_us < STUCK_US;
}

static void queue_step(struct sync *s)
{
	struct undo_queue *q = s->undos;
	size_t stages = 2 * s->topology->n_entities;

	if (q->moved_us != 0 && stage_may_move(s, q->stage))
		return;
	if (q->moved_us != 0)
		q->stage++;
	while (q->stage < stages && !stage_is_open(s, q->stage))
		q->stage++;
	if (q->stage < stages) {
		stage_begin(s, q->stage);
		return;
	}
	q->running = false;
	q->moved_us = clock_mono_us();
}

void undo_queue_start(struct sync *s)
{
	queue_begin(s, false);
	queue_step(s);
}

static bool anything_open(const struct sync *s)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].undos != NULL)
			return true;
	return false;
}

/* Once for each life of the process, and of the state: records have other ids in a new one; and where another daemon has been at work (recover.c). */
static void queue_keep(struct sync *s)
{
	struct undo_queue *q = s->undos;

	if (q->loaded && q->losses != s->losses) {
		queue_forget(s);
		q->loaded = false;
	}
	if (q->loaded)
		return;
	q->loaded = undo_queue_load(s);
	q->losses = s->losses;
	if (anything_open(s))
		queue_begin(s, false);
}

bool undo_queue_has(const struct sync *s, int64_t run)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (const struct undo_target *t = s->flows[i].undos; t != NULL; t = t->hh.next)
			if (t->run == run)
				return true;
	return false;
}

int64_t undo_queue_records(const struct sync *s)
{
	int64_t n = 0;

	for (size_t i = 0; i < s->topology->n_entities; i++)
		n += (int64_t)HASH_COUNT(s->flows[i].undos);
	return n;
}

void undo_queue_follow(struct job *j, const struct sync *s)
{
	int64_t open = undo_queue_records(s), more = j->expected - j->done - open;

	if (more >= 0)
		job_more(j, more, clock_mono_us());
	else
		job_expect(j, j->done + open);
}

static void queue_show(struct sync *s)
{
	struct undo_queue *q = s->undos;

	if (!q->running || s->undo != NULL) {
		job_end(&s->jobs, &q->job);
		return;
	}
	if (q->job.kind == NULL) {
		job_begin(&s->jobs, &q->job, "undo", NULL, JOB_DAEMON, clock_mono_us());
		job_phase(&q->job, "put-back", NULL, "records", undo_queue_records(s), clock_mono_us());
	}
	undo_queue_follow(&q->job, s);
}

/* Nothing has come to its end since they were looked at. */
static bool was_in_vain(const struct flow *parent)
{
	return parent->undos_released_us != 0 && parent->sync->undos->moved_us <= parent->undos_released_us;
}

/* It is not told for which of them: so many may wait that to look at all for each that goes would be all that is done. */
static void release(struct flow *parent)
{
	int64_t now = clock_mono_us();

	if (!parent->undos_let_go ||
	    (was_in_vain(parent) && now - parent->undos_released_us < IN_VAIN_US && !fault("f15-who-waits-is-looked-at-for-each-that-goes")))
		return;
	parent->undos_let_go = parent->undos_referred = false;
	parent->undos_released_us = now;
	for (struct undo_target *t = parent->undos; t != NULL; t = t->hh.next)
		if (t->referred) {
			t->referred = false;
			flow_look_again(parent, &t->rid, 0);
		}
}

void undos_release(struct flow *parent)
{
	parent->undos_let_go |= parent->undos_referred;
	release(parent);
}

void undos_tick(struct sync *s)
{
	struct undo_queue *q = s->undos;

	if (!s->recovered || !s->store->ready || s->closing)
		return;
	queue_keep(s);
	if (!q->running && anything_open(s) && clock_mono_us() - q->moved_us > AGAIN_US)
		queue_begin(s, true);
	if (q->running)
		queue_step(s);
	for (size_t i = 0; i < s->topology->n_entities; i++)
		release(&s->flows[i]);
	queue_show(s);
}

void undos_move(struct flow *flow, const struct rid *from, const struct rid *to)
{
	struct undo_target *t, *there;

	HASH_FIND(hh, flow->undos, from, sizeof *from, t);
	HASH_FIND(hh, flow->undos, to, sizeof *to, there);
	if (t == NULL)
		return;
	if (there != NULL) {	/* of a record that had this key, and is nowhere */
		undo_skip(flow->sync, there->id, "there-again", "a record with its key is there again");
		HASH_DEL(flow->undos, there);
		free(there);
	}
	HASH_DEL(flow->undos, t);
	t->rid = *to;
	HASH_ADD(hh, flow->undos, rid, sizeof t->rid, t);
}

/* Renamed by somebody else, while its item waited: then the key is not known by which that would be found. */
static bool follow_item(struct flow *flow, int64_t id, const struct rid *from, const struct rid *to, struct arena *arena)
{
	struct undo_item *item = NULL;
	struct value code;
	struct rid wanted;
	struct err e = { 0 };

	if (!journal_undo_get(flow->sync->journal, id, arena, &item, &e)) {
		log_error("what is still to be put back is not read", LOG_ERR(&e));
		return false;
	}
	code = item != NULL ? undo_key_wanted(flow, item, arena) : VALUE_NULL;
	if (value_is_null(code))
		return true;
	wanted = rid_of(&flow->sync->store->key, flow->def, code);
	if (!rid_equal(&wanted, to) || fault("f29-what-is-put-back-is-looked-for-by-its-former-key"))
		return true;
	undo_rename(flow, item, code, arena, NULL);
	undos_move(flow, from, to);
	return true;
}

bool undos_recover(struct flow *flow, const struct rid *from, const struct rid *to)
{
	const struct undo_target *t;
	struct arena arena;
	bool ok;

	queue_keep(flow->sync);
	if (!flow->sync->undos->loaded)
		return false;
	HASH_FIND(hh, flow->undos, from, sizeof *from, t);
	if (t == NULL)
		return true;
	arena_init(&arena);
	ok = follow_item(flow, t->id, from, to, &arena);
	arena_fini(&arena);
	return ok;
}

void undos_read_again(struct sync *s)
{
	queue_forget(s);
	s->undos->loaded = false;
}

void undos_take_up(struct sync *s)
{
	if (anything_open(s))
		queue_begin(s, false);
}

bool undos_under_way(const struct sync *s)
{
	return s->undos->running && !s->undos->again;
}

void undos_settled(struct sync *s)
{
	s->undos->moved_us = clock_mono_us();
}

void undos_init(struct sync *s)
{
	s->undos = xcalloc(1, sizeof *s->undos);
	s->runs = xcalloc(2 * (s->topology->n_endpoints + 1), sizeof *s->runs);
}

void undos_free(struct sync *s)
{
	job_end(&s->jobs, &s->undos->job);
	free(s->undos);
	free(s->runs);
}
