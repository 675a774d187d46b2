#include "store/redis_store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "loop/loop.h"
#include "store/resp.h"

/* ---- calls ------------------------------------------------------------------------------------------- */

bool call_check_born(const struct redis_store *s, const struct reply *r, struct err *e)
{
	if (r->type == REPLY_STRING && r->len == BORN_CHARS && memcmp(r->str, s->born, BORN_CHARS) == 0)
		return true;
	return err_set(e, ERR_TRANSIENT, "state-lost", "the state in Redis was emptied or replaced");
}

static bool on_reply(struct redis_ask *ask, size_t i, const struct reply *r, struct err *e)
{
	struct call *call = (struct call *)ask;

	if (i == call->commands)
		return call_check_born(call->s, r, e);
	return call->reply == NULL || call->reply(call, i, r, e);
}

void call_count_bytes(struct redis_store *s)
{
	s->store.bytes_sent = redis_link_bytes_sent(s->link);
	s->store.bytes_received = redis_link_bytes_received(s->link);
}

static void on_done(struct redis_ask *ask, const struct err *e)
{
	struct call *call = (struct call *)ask;

	call_count_bytes(call->s);
	call->answer(call, e);
}

void *call_new(struct redis_store *s, size_t size, bool (*reply)(struct call *, size_t, const struct reply *, struct err *),
	       void (*answer)(struct call *, const struct err *))
{
	struct call *call = xcalloc(1, size);

	call->s = s;
	call->reply = reply;
	call->answer = answer;
	call->ask.reply = on_reply;
	call->ask.done = on_done;
	return call;
}

static void call_refuse(struct call *call, const struct err *e)
{
	redis_link_refuse(call->s->link, &call->ask, e);
}

bool call_begin(struct call *call)
{
	struct err over = { 0 };

	if (call->s->store.ready && !lease_is_over(call->s))
		return true;
	/* Still ready: the process was stopped, or stalled, and the timer that says so is yet to come. */
	if (call->s->store.ready)
		err_set(&over, ERR_TRANSIENT, "lease-over", "the lease could not be renewed in time");
	call_refuse(call, call->s->store.ready ? &over : &call->s->store.why);
	return false;
}

void call_append_born(const struct redis_store *s, struct buf *out)
{
	resp_command(out, 3);
	resp_word(out, "HGET");
	resp_word(out, s->meta);
	resp_word(out, "born");
}

void call_send(struct call *call, size_t commands)
{
	call->commands = commands;
	call_append_born(call->s, redis_link_out(call->s->link));
	redis_link_send(call->s->link, &call->ask, commands + 1);
	if (call->ask.barrier)
		call->s->tx = NULL;	/* what is written behind counts on it */
}

void call_send_questions(struct call *call, const struct redis_entity *ent, size_t commands)
{
	if (commands == 0 && ent->fresh_proven)
		redis_link_spare(call->s->link, &call->ask);
	else
		call_send(call, commands);
}

void call_forget(struct call *call, const struct err *e)
{
	free(call);
}

/* ---- calls that only tell whether it was done -------------------------------------------------------- */

struct done_call {
	struct call call;
	store_done_fn *done;
	void *arg;
};

static void done_answer(struct call *call, const struct err *e)
{
	struct done_call *d = (struct done_call *)call;

	d->done(d->arg, e);
	free(d);
}

static bool intend_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	return r->element[0].type != REPLY_ERROR || redis_reply_err(&r->element[0], e);
}

static void redis_intend(struct store *store, const char *name, const void *blob, size_t len, store_done_fn *done, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct done_call *d = call_new(s, sizeof *d, intend_reply, done_answer);
	struct buf *out;

	d->done = done;
	d->arg = arg;
	if (!call_begin(&d->call))
		return;
	out = redis_link_out(s->link);
	call_begin_guarded(&d->call);
	resp_command(out, 4);
	resp_word(out, "HSET");
	resp_word(out, s->intents);
	resp_word(out, name);
	resp_bytes(out, blob, len);
	call_send_guarded(&d->call, 1);
}

/* ---- write: one transaction -------------------------------------------------------------------------- */

struct write_call {
	struct call call;
	store_done_fn *done;
	void *arg;
	size_t entity;
	size_t records_at;		/* which command answers the number of records; SIZE_MAX: none */
	struct shrunks shrunks;
	struct tapped *tapped;		/* owned */
};

static bool write_reply(struct call *call, size_t index, const struct reply *r, struct err *e)
{
	struct write_call *w = (struct write_call *)call;
	struct redis_store *s = call->s;
	size_t kept = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->element[i].type == REPLY_ERROR)
			return redis_reply_err(&r->element[i], e);
	if (w->records_at != SIZE_MAX)
		s->store.records[w->entity] = r->element[w->records_at].integer;
	for (size_t i = 0; i < w->shrunks.n; i++)
		if (r->element[w->shrunks.list[i].command].integer == 1)
			w->shrunks.list[kept++] = w->shrunks.list[i];
	w->shrunks.n = kept;
	return true;
}

static void write_answer(struct call *call, const struct err *e)
{
	struct write_call *w = (struct write_call *)call;

	if (e == NULL)
		for (size_t i = 0; i < w->shrunks.n; i++)
			vectors_trim(call->s, w->entity, &w->shrunks.list[i].rid);
	if (e == NULL && w->tapped != NULL)
		tapped_tell(call->s, w->tapped);
	w->done(w->arg, e);
	tapped_free(&w->tapped);
	free(w->shrunks.list);
	free(w);
}

static size_t append_positions(struct buf *out, const struct redis_store *s, const struct store_write *w)
{
	for (size_t i = 0; i < w->n_positions; i++) {
		const struct store_position *p = &w->positions[i];

		resp_command(out, p->text != NULL ? 4 : 3);
		resp_word(out, p->text != NULL ? "HSET" : "HDEL");
		resp_word(out, s->positions);
		resp_word(out, p->name);
		if (p->text != NULL)
			resp_word(out, p->text);
	}
	return w->n_positions;
}

static size_t append_records(struct buf *out, const struct redis_store *s, struct redis_entity *ent, int64_t added)
{
	if (added == 0)
		return 0;
	ent->expected += added;
	resp_command(out, 4);
	resp_word(out, "HINCRBY");
	resp_word(out, s->meta);
	resp_meta_field(out, ent, "records");
	resp_number(out, added);
	return 1;
}

static size_t append_intent_done(struct buf *out, const struct redis_store *s, const char *name)
{
	if (name == NULL)
		return 0;
	resp_command(out, 3);
	resp_word(out, "HDEL");
	resp_word(out, s->intents);
	resp_word(out, name);
	return 1;
}

static void redis_write(struct store *store, size_t entity, const struct store_write *what, store_done_fn *done, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct write_call *w = call_new(s, sizeof *w, write_reply, write_answer);
	struct redis_entity *ent;
	struct err e = { 0 };
	struct buf *out;
	size_t n;

	w->done = done;
	w->arg = arg;
	w->entity = entity;
	w->records_at = SIZE_MAX;
	if (!vectors_fit(what->puts, what->n_puts, &e)) {
		call_refuse(&w->call, &e);
		return;
	}
	if (!call_begin(&w->call))
		return;
	w->tapped = tapped_new(s, entity, what->puts, what->n_puts);
	ent = &s->entities[entity];
	out = redis_link_out(s->link);
	/* All or nothing: a vector refused for want of memory must not be followed by its position or the end of its intent. */
	call_begin_guarded(&w->call);
	n = vectors_write(s, entity, what->puts, what->n_puts, 0, &w->shrunks);
	n += bury(s, entity, what->puts, what->n_puts);
	n += map_write(s, entity, what->maps, what->n_maps);
	n += append_positions(out, s, what);
	if (what->records_added != 0)
		w->records_at = n;
	n += append_records(out, s, ent, what->records_added);
	n += append_intent_done(out, s, what->intent_done);
	call_send_guarded(&w->call, n);
	buckets_keep_up(s, entity, what->n_puts);
}

/* ---- positions and intents --------------------------------------------------------------------------- */

struct text_call {
	struct call call;
	store_text_fn *fn;
	void *arg;
	bool found;
	struct buf text;
};

static bool text_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	struct text_call *t = (struct text_call *)call;

	t->found = r->type == REPLY_STRING;
	if (t->found)
		buf_add(&t->text, r->str, r->len);
	return true;
}

static void text_answer(struct call *call, const struct err *e)
{
	struct text_call *t = (struct text_call *)call;
	struct value text = t->found && e == NULL ? (struct value){ t->text.p, (int32_t)t->text.len } : VALUE_NULL;

	t->fn(t->arg, text, e);
	buf_fini(&t->text);
	free(t);
}

static void redis_position(struct store *store, const char *name, store_text_fn *fn, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct text_call *t = call_new(s, sizeof *t, text_reply, text_answer);
	struct buf *out;

	t->fn = fn;
	t->arg = arg;
	if (!call_begin(&t->call))
		return;
	out = redis_link_out(s->link);
	resp_command(out, 3);
	resp_word(out, "HGET");
	resp_word(out, s->positions);
	resp_word(out, name);
	call_send(&t->call, 1);
}

struct intents_call {
	struct call call;
	store_intents_fn *fn;
	void *arg;
	struct value *values;		/* names, then blobs */
	size_t n;
	struct buf bytes;
};

static bool intents_reply(struct call *call, size_t i, const struct reply *r, struct err *e)
{
	struct intents_call *c = (struct intents_call *)call;
	size_t at = 0;

	if (r->type != REPLY_ARRAY || r->n % 2 != 0)
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered HGETALL in a form that is not known");
	c->n = r->n / 2;
	c->values = xcalloc(r->n, sizeof *c->values);
	for (size_t k = 0; k < r->n; k++)
		buf_add(&c->bytes, r->element[k].str, r->element[k].len);
	for (size_t k = 0; k < r->n; k++) {
		c->values[k / 2 + (k % 2) * c->n] = (struct value){ c->bytes.p + at, (int32_t)r->element[k].len };
		at += r->element[k].len;
	}
	return true;
}

static void intents_answer(struct call *call, const struct err *e)
{
	struct intents_call *c = (struct intents_call *)call;

	if (e == NULL)
		c->fn(c->arg, c->values, c->values + c->n, c->n, NULL);
	else
		c->fn(c->arg, NULL, NULL, 0, e);
	buf_fini(&c->bytes);
	free(c->values);
	free(c);
}

static void redis_intents(struct store *store, store_intents_fn *fn, void *arg)
{
	struct redis_store *s = (struct redis_store *)store;
	struct intents_call *c = call_new(s, sizeof *c, intents_reply, intents_answer);
	struct buf *out;

	c->fn = fn;
	c->arg = arg;
	if (!call_begin(&c->call))
		return;
	out = redis_link_out(s->link);
	resp_command(out, 2);
	resp_word(out, "HGETALL");
	resp_word(out, s->intents);
	call_send(&c->call, 1);
}

/* ---- the link's events ------------------------------------------------------------------------------- */

static void on_opened(void *arg)
{
	struct redis_store *s = arg;

	opening_start(s->opening);
}

/* Told once for each reason: a server that stays away is not told about every ten seconds. */
void redis_tell_down(struct redis_store *s, const struct err *e)
{
	bool same = s->told_down && err_same(&s->store.why, e);

	s->store.why = *e;
	s->store.tries = s->told_down ? s->store.tries + 1 : 1;
	s->told_down = true;
	if (!same && s->store.events.down != NULL)
		s->store.events.down(s->store.events.arg, e);
}

static void on_closed(void *arg, const struct err *e)
{
	struct redis_store *s = arg;
	bool lost = strcmp(e->code, "state-lost") == 0;

	call_count_bytes(s);
	s->store.ready = false;
	opening_stop(s->opening);
	if (s->dying)
		return;
	if (lost) {
		s->born[0] = '\0';	/* told now, so not again when the new one is read */
		s->store.why = *e;
		if (s->store.events.lost != NULL)
			s->store.events.lost(s->store.events.arg);
	}
	if (!s->dying)
		redis_tell_down(s, e);
}

/* A call without commands: the check of born alone. A state that was emptied is noticed when nothing else is asked for, too. */
static void on_idle(void *arg)
{
	struct redis_store *s = arg;
	struct call *call = call_new(s, sizeof *call, NULL, call_forget);

	if (call_begin(call))
		call_send(call, 0);
}

static void on_released(void *arg)
{
	struct redis_store *s = arg;

	redis_entities_free(s);
	opening_free(&s->opening);
	free(s->store.layouts);
	free(s->store.records);
	free(s->meta);
	free(s->names);
	free(s->lease);
	free(s->fence);
	loop_timer_free(&s->renew);
	free(s);
}

/* ---- birth and death --------------------------------------------------------------------------------- */

static void redis_free(struct store *store)
{
	struct redis_store *s = (struct redis_store *)store;
	struct redis_link *link = s->link;

	s->dying = true;
	s->store.ready = false;
	err_set(&s->store.why, ERR_TRANSIENT, "closed", "the connection to Redis is being closed");
	redis_link_free(&link);
}

static const struct store_ops redis_ops = {
	.recall = redis_recall,
	.lookup = redis_lookup,
	.intend = redis_intend,
	.intents = redis_intents,
	.write = redis_write,
	.position = redis_position,
	.scan = redis_scan,
	.presize = redis_presize,
	.buried = redis_buried,
	.renew = redis_renew,
	.outrank = redis_outrank,
	.facts = redis_facts,
	.restored = redis_restored,
	.leave = redis_leave,
	.free = redis_free,
};

struct store *redis_store_new(struct loop *loop, const struct topology *topology, const struct store_events *events)
{
	struct redis_store *s = xcalloc(1, sizeof *s);
	struct redis_link_events link_events = { .opened = on_opened, .closed = on_closed, .idle = on_idle, .released = on_released, .arg = s };

	s->store.ops = &redis_ops;
	s->store.events = *events;
	s->store.layouts = xcalloc(topology->n_entities, sizeof *s->store.layouts);
	for (size_t i = 0; i < topology->n_entities; i++)
		for (size_t f = 0; f < topology->entities[i].def.n_fields; f++)
			s->store.layouts[i].row_order[f] = (uint8_t)f;
	s->store.records = xcalloc(topology->n_entities, sizeof *s->store.records);
	err_set(&s->store.why, ERR_TRANSIENT, "connecting", "the connection to Redis is being made");
	s->loop = loop;
	s->topology = topology;
	s->where = (struct redis_where){ .unix_path = topology->state.unix_path, .host = topology->state.host, .port = topology->state.port };
	s->meta = xasprintf("crmsync:%s:meta", topology->name);
	s->names = xasprintf("crmsync:%s:names", topology->name);
	s->lease = xasprintf("crmsync:%s:lease", topology->name);
	s->fence = xasprintf("crmsync:%s:fence", topology->name);
	s->opening = opening_new(s);
	s->link = redis_link_new(loop, &s->where, &link_events);
	return &s->store;
}

struct store *redis_store_restoring(struct loop *loop, const struct topology *topology, const struct store_events *events,
				    const struct store_restore *restore)
{
	struct store *store = redis_store_new(loop, topology, events);

	((struct redis_store *)store)->restore = restore;	/* nothing is asked before the loop turns */
	return store;
}

void store_free(struct store **storep)
{
	struct store *store = *storep;

	if (store == NULL)
		return;
	*storep = NULL;
	store->ops->free(store);
}
