/*
 * fake_endpoint.c - the seam of endpoint.h over a simulated database.
 *
 * Every operation is a small conversation of steps, each an event of its own after a random delay: reading the log,
 * reading the rows, one statement per kind of write, the answer. Operations overtake each other. When the endpoint goes
 * away or the daemon dies, what was already sent may still take effect, at any moment until the next greeting is answered, with nobody
 * to tell.
 */
#include "fake_op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "endpoint/endpoint.h"
#include "fake_rows.h"

enum { ORPHAN_LATE_US = 8 * SECOND };

static void op_step(struct world *w, void *arg);

/* ---- answers ----------------------------------------------------------------------------------------------------------- */

/* What the row showed when the statement had run; only while nobody changed it since. */
static const struct row *readback(struct fake_op *op, const struct fake_write *x)
{
	const struct db_row *r = db_row_by_id(op->db, op->entity, x->id);
	struct row *row;

	if (r == NULL || r->version != x->version)
		return NULL;
	row = arena_alloc(op->batch->arena, sizeof *row);
	fake_row_fill(op->db, r, op->entity, op->batch->arena, row);
	return row;
}

static void answer_write(struct fake_op *op, const struct err *e)
{
	struct write_batch *b = op->batch;

	for (size_t i = 0; i < op->n; i++) {
		struct fake_write *x = &op->writes[i];
		struct db_row *r;

		b->list[i].outcome = e != NULL ? WRITE_ERROR : x->outcome;
		b->list[i].unanswered = e != NULL;
		b->list[i].err = arena_alloc(b->arena, sizeof *b->list[i].err);
		*b->list[i].err = e != NULL ? *e : x->err;
		if (e == NULL && (r = db_row_by_id(op->db, op->entity, x->id)) != NULL)
			r->learned_in = op->asked_in;
		if (e != NULL || x->outcome != WRITE_DONE)
			continue;
		if (x->op == WRITE_INSERT)
			b->list[i].id = fake_number(b->arena, x->id);
		if (x->op != WRITE_DELETE && rng_chance(&op->world->rng, 25))
			b->list[i].readback = readback(op, x);
	}
	b->bytes = 50 * op->n;
	op->answer.written(op->arg, b);
}

static void tell_all(struct fake_op *op)
{
	for (size_t i = 0; i < op->n_told; i++)
		history_told(op->world, op->db, op->entity, &op->told[i], op->kind == OP_CAPTURE);
}

static void answer_capture(struct fake_op *op, const struct err *e)
{
	struct captured *got = op->got;

	op->got = NULL;
	if (e != NULL) {
		if (op->ack != NULL)
			fake_ack_release(op->ack);
		op->ack = NULL;
		captured_free(&got);
		op->answer.captured(op->arg, NULL, e);
		return;
	}
	op->link->face->endpoint.last_capture_us = clock_wall_us();
	op->ack = NULL;
	op->answer.captured(op->arg, got, NULL);
}

static void answer_rows(struct fake_op *op, const struct err *e)
{
	struct rowset *rows = op->rows;

	op->rows = NULL;
	if (e != NULL)
		rowset_free(&rows);
	op->answer.rowset(op->arg, rows, e);
}

static void answer_ack(struct fake_op *op, const struct err *e)
{
	/* After an error nobody knows whether the entries are gone: what is left of them is given again. */
	if (e != NULL)
		fake_ack_release(op->ack);
	else
		fake_ack_free(op->ack);
	op->ack = NULL;
	op->answer.done(op->arg, e);
}

static const char *const op_names[] = {
	[OP_CAPTURE] = "capture", [OP_ACK] = "ack", [OP_LIST] = "list", [OP_READ] = "read", [OP_READ_KEY] = "read by key", [OP_READ_REFERRING] = "read referring",
	[OP_STAMPS] = "stamps", [OP_WRITE] = "write", [OP_ATTEMPT] = "attempt", [OP_POSITION] = "position", [OP_ESTIMATE] = "estimate", [OP_SCHEMA] = "schema",
	[OP_GREET] = "greet", [OP_BEAT] = "beat",
};

/* What the daemon is told: rows as local id @ version. */
static void trace_answer(const struct fake_op *op, const struct err *e)
{
	struct buf b = { 0 };

	if (op->world->trace == NULL)
		return;
	for (size_t i = 0; i < op->n_told && e == NULL; i++)
		buf_addf(&b, " #%" PRId64 "@%" PRIu64, op->told[i].id, op->told[i].version);
	for (size_t i = 0; op->kind == OP_WRITE && e == NULL && i < op->n; i++)
		buf_addf(&b, " %s #%" PRId64 "%s", op->writes[i].op == WRITE_INSERT ? "insert" : op->writes[i].op == WRITE_UPDATE ?
			 "update" : "delete", op->writes[i].id, op->writes[i].outcome == WRITE_DONE ? "" :
			 op->writes[i].outcome == WRITE_REFUSED ? " refused" : " failed");
	if (b.len > 0 || e != NULL)
		world_trace(op->world, "%s.%s %s%s:%s", op->db->name, op->world->topology->entities[op->entity].def.name,
			    op_names[op->kind], e != NULL ? " failed" : "", b.p != NULL ? b.p : "");
	buf_fini(&b);
}

static void answer(struct fake_op *op, const struct err *e)
{
	char text[32];

	trace_answer(op, e);
	if (e == NULL) {
		op->link->face->endpoint.last_success_us = clock_mono_us();
		tell_all(op);
	}
	switch (op->kind) {
	case OP_CAPTURE:
		answer_capture(op, e);
		break;
	case OP_LIST:
	case OP_READ:
	case OP_READ_KEY:
	case OP_READ_REFERRING:
		answer_rows(op, e);
		break;
	case OP_STAMPS:
		op->answer.stamps(op->arg, op->stamps, e == NULL ? op->n : 0, e);
		break;
	case OP_WRITE:
		answer_write(op, e);
		break;
	case OP_ATTEMPT:
		op->answer.written(op->arg, op->batch);
		break;
	case OP_ACK:
		answer_ack(op, e);
		break;
	case OP_POSITION:
		snprintf(text, sizeof text, "%" PRId64, op->after);
		op->answer.position(op->arg, e == NULL ? text : NULL, e);
		break;
	case OP_ESTIMATE:
		op->answer.estimate(op->arg, e == NULL ? (int64_t)op->db->tables[op->entity].n : -1, e);
		break;
	case OP_SCHEMA:
	case OP_BEAT:
		op->answer.done(op->arg, e);
		break;
	case OP_GREET:
		op->answer.greeted(op->arg, &op->greeting, e);
		break;
	}
}

static void op_free(struct fake_op *op)
{
	op->db->orphans -= op->orphan;
	if (op->got != NULL)
		captured_free(&op->got);
	rowset_free(&op->rows);
	for (size_t i = 0; op->keys != NULL && op->keys[i] != NULL; i++)
		free(op->keys[i]);
	for (size_t i = 0; op->writes != NULL && i < op->n; i++)
		for (size_t f = 0; f < SIM_FIELDS; f++)
			free(op->writes[i].values[f]);
	free(op->keys);
	free(op->ids);
	free(op->writes);
	free(op->stamps);
	free(op->told);
	free(op);
}

static void op_unlink(struct fake_op *op)
{
	*op->link_to = op->next;
	if (op->next != NULL)
		op->next->link_to = op->link_to;
}

/* ---- the conversation ---------------------------------------------------------------------------------------------------- */

/* The row as it was, and the fencing number raised. False: writes of before are still on their way. */
static bool do_greet(struct fake_op *op)
{
	struct db *db = op->db;

	if (op->greeting.kept) {		/* that was done, and waits */
		op->world->sometimes->greeting_waited++;
		return db->orphans == 0;
	}
	op->greeting = (struct greeting){ .kept = true, .there = db->greeted, .epoch = db->epoch, .fence = db->fence,
					  .raised = db->fence <= op->fence, .system = "1", .timeline = 1 };
	db->greeted = true;
	if (op->greeting.raised)
		db->fence = op->fence;
	return db->orphans == 0 || !op->greeting.raised;
}

/* Of a daemon that another one has overtaken: nothing happens. */
static bool is_fenced(const struct fake_op *op)
{
	return (op->kind == OP_WRITE || op->kind == OP_ACK || op->kind == OP_BEAT) && op->fence != op->db->fence;
}

/* True: the step is done. */
static bool op_effect(struct fake_op *op)
{
	if (is_fenced(op)) {
		op->fails = true;
		op->effect_first = false;
		return true;
	}
	if ((op->kind == OP_ACK || op->kind == OP_BEAT) && op->epoch > op->db->epoch)
		op->db->epoch = op->epoch;
	switch (op->kind) {
	case OP_CAPTURE:
		op_capture(op);
		break;
	case OP_LIST:
		op_list(op);
		break;
	case OP_READ:
	case OP_READ_KEY:
	case OP_READ_REFERRING:
		op_read(op);
		break;
	case OP_STAMPS:
		op_stamps(op);
		break;
	case OP_WRITE:
		return op_write(op);
	case OP_ACK:
		fake_ack_effect(op->db, op->entity, op->ack);
		break;
	case OP_POSITION:
		op->after = fake_safe_bound(op) == INT64_MAX ? db_clock(op->db) : fake_safe_bound(op);
		break;
	case OP_GREET:
		return do_greet(op);
	case OP_ATTEMPT:
	case OP_ESTIMATE:
	case OP_SCHEMA:
	case OP_BEAT:
		break;
	}
	return true;
}

static void op_fail(struct fake_op *op, enum err_kind kind, const char *code, const char *text)
{
	struct err e = { 0 };

	err_set(&e, kind, code, "%s", text);
	op_unlink(op);
	answer(op, &e);
	op->link = NULL;
}

/* The last step of everything: somebody is told, if there is still somebody. */
static void op_end(struct fake_op *op)
{
	if (op->link != NULL && op->fails) {
		op->world->sometimes->reply_lost += op->kind == OP_WRITE && op->effect_first;
		op_fail(op, ERR_TRANSIENT, "08006", "connection lost");
	} else if (op->link != NULL) {
		op_unlink(op);
		answer(op, NULL);
	}
	op_free(op);
}

static void op_step(struct world *w, void *arg)
{
	struct fake_op *op = arg;

	if (op->step >= op->steps) {
		op_end(op);
		return;
	}
	if (op->late_us > 0) {
		world_after(w, op->late_us, op_step, op);
		op->late_us = 0;
		return;
	}
	if ((op->fails && !op->effect_first) || op->life != op->db->life)
		op->step = op->steps;
	else if (op_effect(op))
		op->step++;
	world_after(w, world_delay(w), op_step, op);
}

static struct fake_op *op_new(struct link *link, enum op_kind kind, void *arg)
{
	struct fake_link *l = (struct fake_link *)link;
	struct fake_endpoint *face = l->face;
	struct world *w = face->world;
	struct fake_op *op = xcalloc(1, sizeof *op);

	if (face->freeing)
		world_fail(w, "seam", "an operation was started on %s while it is being freed", face->db->name);
	op->world = w;
	op->db = face->db;
	op->link = l;
	op->entity = l->entity;
	op->kind = kind;
	op->steps = kind == OP_CAPTURE ? 2 : 1;
	op->arg = arg;
	op->fails = face->endpoint.state != ENDPOINT_UP;
	op->fence = face->endpoint.fence;
	op->epoch = face->endpoint.epoch;
	op->asked_in = w->epoch;
	op->life = face->db->life;
	op->db->reads += kind == OP_READ || kind == OP_READ_KEY || kind == OP_READ_REFERRING || kind == OP_STAMPS;
	if (!op->fails && !w->quiet && w->plan.lost_replies && rng_chance(&w->rng, 3)) {
		op->fails = true;
		op->effect_first = rng_chance(&w->rng, 50);
	}
	op->next = face->ops;
	if (op->next != NULL)
		op->next->link_to = &op->next;
	op->link_to = &face->ops;
	face->ops = op;
	world_after(w, world_delay(w), op_step, op);
	return op;
}

/* ---- the rows of the operation table ------------------------------------------------------------------------------------- */

static void op_ids(struct fake_op *op, const struct value *ids, size_t n)
{
	op->ids = xcalloc(n + 1, sizeof *op->ids);
	op->n = n;
	for (size_t i = 0; i < n; i++) {
		char *s = xstrndup(ids[i].data, (size_t)ids[i].len);

		op->ids[i] = atoll(s);
		free(s);
	}
}

static void fake_capture(struct link *link, const char *position, size_t max, captured_fn *done, void *arg)
{
	struct fake_op *op = op_new(link, OP_CAPTURE, arg);

	op->answer.captured = done;
	op->max = max;
	op->has_position = position != NULL;
	op->position = position != NULL ? atoll(position) : INT64_MIN;
	op->got = xcalloc(1, sizeof *op->got);
	op->got->rows = fake_rowset_new();
}

static void fake_ack(struct link *link, struct ack *ack, done_fn *done, void *arg)
{
	struct fake_op *op = op_new(link, OP_ACK, arg);

	op->ack = ack;
	op->answer.done = done;
}

static void fake_drop(struct link *link, struct ack *ack)
{
	fake_ack_release(ack);
}

static void fake_list(struct link *link, const char *after, const char *until, size_t max, rowset_fn *done, void *arg)
{
	struct fake_op *op = op_new(link, OP_LIST, arg);

	op->answer.rowset = done;
	op->has_position = after != NULL;
	op->after = after != NULL ? atoll(after) : 0;
	op->until = until != NULL ? atoll(until) : INT64_MAX;
	op->max = max;
	op->rows = fake_rowset_new();
}

static void fake_read(struct link *link, const struct value *ids, size_t n, rowset_fn *done, void *arg)
{
	struct fake_op *op = op_new(link, OP_READ, arg);

	op->answer.rowset = done;
	op->rows = fake_rowset_new();
	op_ids(op, ids, n);
}

static void fake_read_by_key(struct link *link, const struct value *keys, size_t n, rowset_fn *done, void *arg)
{
	struct fake_op *op = op_new(link, OP_READ_KEY, arg);
	size_t n_key = op->world->topology->entities[op->entity].def.n_key;

	op->answer.rowset = done;
	op->rows = fake_rowset_new();
	op->keys = xcalloc(n * n_key + 1, sizeof *op->keys);
	for (size_t i = 0; i < n * n_key; i++)
		op->keys[i] = xstrndup(keys[i].data, (size_t)keys[i].len);
	op->n = n;
}

static void fake_read_referring(struct link *link, size_t field, const struct value *ids, size_t n, size_t max, rowset_fn *done, void *arg)
{
	struct fake_op *op = op_new(link, OP_READ_REFERRING, arg);

	op->answer.rowset = done;
	op->rows = fake_rowset_new();
	op->field = field;
	op->max = max;
	op_ids(op, ids, n);
}

static void fake_stamps(struct link *link, const struct value *ids, size_t n, stamps_fn *done, void *arg)
{
	struct fake_op *op = op_new(link, OP_STAMPS, arg);

	op->answer.stamps = done;
	op->rows = fake_rowset_new();
	op_ids(op, ids, n);
}

static void write_copy(const struct entity_def *d, const struct write *from, struct fake_write *to)
{
	*to = (struct fake_write){ .op = from->op, .fields = from->fields, .forced = from->op == WRITE_INSERT && from->version.len > 0 };
	if (from->op != WRITE_INSERT) {
		char *id = xstrndup(from->id.data, (size_t)from->id.len);
		char *version = xstrndup(from->version.data, (size_t)from->version.len);

		to->id = atoll(id);
		to->version = (uint64_t)atoll(version);
		free(id);
		free(version);
	}
	for (size_t f = 0; from->op != WRITE_DELETE && f < d->n_fields; f++)
		if (from->fields & UINT64_C(1) << f && !value_is_null(from->values[f]))
			to->values[f] = xstrndup(from->values[f].data, (size_t)from->values[f].len);
}

static void fake_write(struct link *link, struct write_batch *batch, written_fn *done, void *arg)
{
	struct fake_op *op = op_new(link, OP_WRITE, arg);
	const struct entity_def *d = &op->world->topology->entities[op->entity].def;

	op->answer.written = done;
	op->batch = batch;
	op->n = batch->n;
	op->steps = 3;
	op->writes = xcalloc(batch->n + 1, sizeof *op->writes);
	op->order[0] = rng_chance(&op->world->rng, 50) ? WRITE_DELETE : WRITE_INSERT;
	op->order[1] = WRITE_UPDATE;
	op->order[2] = op->order[0] == WRITE_DELETE ? WRITE_INSERT : WRITE_DELETE;
	for (size_t i = 0; i < batch->n; i++) {
		write_copy(d, &batch->list[i], &op->writes[i]);
		history_sent(op->world, op->db, op->entity, op->writes[i].id, op->writes[i].version);
		if (batch->list[i].op == WRITE_INSERT && op->writes[i].values[0] == NULL)
			world_fail(op->world, "seam", "an insert without its key");
	}
	op->db->attempted += batch->n;
	for (size_t i = 0; i < batch->n; i++)
		world_trace(op->world, "%s.%s: the daemon sends %s #%" PRId64 "@%" PRIu64, op->db->name, d->name,
			    batch->list[i].op == WRITE_INSERT ? "insert" : batch->list[i].op == WRITE_UPDATE ? "update" : "delete",
			    op->writes[i].id, op->writes[i].version);
}

/* It keeps what it is sent: whatever else a row shows is somebody's. */
static void fake_attempt(struct link *link, struct write_batch *batch, written_fn *done, void *arg)
{
	struct fake_op *op = op_new(link, OP_ATTEMPT, arg);

	op->answer.written = done;
	op->batch = batch;
}

static void fake_position_now(struct link *link, void (*done)(void *, const char *, const struct err *), void *arg)
{
	op_new(link, OP_POSITION, arg)->answer.position = done;
}

static void fake_estimate(struct link *link, void (*done)(void *, int64_t, const struct err *), void *arg)
{
	op_new(link, OP_ESTIMATE, arg)->answer.estimate = done;
}

static const struct link_ops link_ops = {
	.capture = fake_capture, .ack = fake_ack, .drop = fake_drop, .list = fake_list, .read = fake_read,
	.read_by_key = fake_read_by_key, .read_referring = fake_read_referring, .stamps = fake_stamps, .write = fake_write,
	.attempt = fake_attempt, .position_now = fake_position_now, .estimate = fake_estimate,
};

/* ---- up and down ----------------------------------------------------------------------------------------------------------- */

static void state_set(struct fake_endpoint *face, enum endpoint_state state)
{
	struct endpoint *ep = &face->endpoint;

	if (ep->state == state)
		return;
	ep->state = state;
	ep->state_since_us = clock_wall_us();
	if (state == ENDPOINT_UP)
		err_clear(&ep->why);
	else
		err_set(&ep->why, ERR_ENDPOINT, "08006", "not reachable");
	for (size_t i = 0; i < face->world->plan.n_entities; i++)
		face->links[i].link.usable = state == ENDPOINT_UP;
	world_trace(face->world, "%s: %s", face->db->name, endpoint_state_name(state));
	ep->events.state(ep->events.arg, ep);
}

/* Whoever waits gets an error; what was sent may still happen. */
static void ops_orphan(struct fake_endpoint *face)
{
	struct world *w = face->world;

	while (face->ops != NULL) {
		struct fake_op *op = face->ops;
		bool pending = op->kind == OP_WRITE && op->step < op->steps && !(op->fails && !op->effect_first);

		w->sometimes->outage_writing += pending;
		op_fail(op, ERR_TRANSIENT, "08006", "connection lost");
		if (!pending || rng_chance(&w->rng, 50)) {
			op->step = op->steps;
			continue;
		}
		op->orphan = true;
		op->db->orphans++;
		op->late_us = rng_span(&w->rng, 0, ORPHAN_LATE_US);
	}
}

static void come_up(struct world *w, void *arg)
{
	struct db *db = arg;

	if (db->face != NULL && db->face->started)
		state_set(db->face, db->away ? ENDPOINT_DOWN : ENDPOINT_UP);
}

static void fake_start(struct endpoint *ep)
{
	struct fake_endpoint *face = (struct fake_endpoint *)ep;

	face->started = true;
	world_after(face->world, world_delay(face->world), come_up, face->db);
}

static void fake_pause(struct endpoint *ep)
{
	struct fake_endpoint *face = (struct fake_endpoint *)ep;

	face->started = false;
	ops_orphan(face);
	state_set(face, ENDPOINT_PAUSED);
}

void fake_endpoint_away(struct db *db, bool away)
{
	db->away = away;
	world_trace(db->world, "%s %s", db->name, away ? "goes away" : "is back");
	if (!away) {
		world_after(db->world, world_delay(db->world), come_up, db);
		return;
	}
	db->world->sometimes->outage++;
	history_away(db);
	if (db->face == NULL || db->face->endpoint.state != ENDPOINT_UP)
		return;
	db->face->endpoint.tries++;
	for (size_t i = 0; i < db->world->plan.n_entities; i++)
		db->face->links[i].link.usable = false;
	ops_orphan(db->face);
	state_set(db->face, ENDPOINT_DOWN);
}

static void wake(struct world *w, void *arg)
{
	struct db *db = arg;

	if (db->face != NULL && db->face->endpoint.state == ENDPOINT_UP)
		db->face->endpoint.events.wake(db->face->endpoint.events.arg, &db->face->endpoint);
}

/* The world ends: what was still under way. */
void fake_endpoint_drop(const struct event *e)
{
	if (e->fn == op_step)
		op_free(e->arg);
}

/* A wake-up is a hint: some are lost, and then the safety poll has to find the news. */
void fake_endpoint_wake(struct db *db)
{
	if (!db->listen || db->face == NULL || !db->face->endpoint.conf->notify)
		return;
	if (rng_chance(&db->world->rng, 5))
		db->world->sometimes->truncated_wake++;
	else
		world_after(db->world, world_delay(db->world), wake, db);
}

static void fake_schema(struct endpoint *ep, done_fn *done, void *arg)
{
	op_new(&((struct fake_endpoint *)ep)->links[0].link, OP_SCHEMA, arg)->answer.done = done;
}

static void fake_greet(struct endpoint *ep, int64_t fence, greeted_fn *done, void *arg)
{
	struct fake_op *op = op_new(&((struct fake_endpoint *)ep)->links[0].link, OP_GREET, arg);

	op->answer.greeted = done;
	op->fence = fence;
}

static void fake_beat(struct endpoint *ep, int64_t epoch, done_fn *done, void *arg)
{
	struct fake_op *op = op_new(&((struct fake_endpoint *)ep)->links[0].link, OP_BEAT, arg);

	op->answer.done = done;
	op->epoch = epoch;
}

static void fake_free(struct endpoint *ep)
{
	struct fake_endpoint *face = (struct fake_endpoint *)ep;

	face->freeing = true;
	ops_orphan(face);
	face->db->face = NULL;
	while (face->acks != NULL)
		fake_ack_release(face->acks);
	for (size_t i = 0; i < SIM_ENTITIES; i++)
		free(face->links[i].given);
	free(face);
}

static const struct endpoint_ops endpoint_ops = {
	.start = fake_start, .pause = fake_pause, .resume = fake_start,
	.greet = fake_greet, .beat = fake_beat,
	.install = fake_schema, .uninstall = fake_schema, .free = fake_free,
};

static void link_init(struct fake_endpoint *face, size_t entity)
{
	struct fake_link *l = &face->links[entity];

	l->face = face;
	l->entity = entity;
	l->link = (struct link){
		.ops = &link_ops, .endpoint = &face->endpoint, .quantum_us = face->db->quantum_us,
		.mapping = face->world->topology->entities[entity].mapping[face->db->index],
		.promises = { .prompt_deletes = face->db->listen, .exact = face->db->listen || face->db->sees_open,
			      .pushes = face->db->listen, .guarded = true, .words = "simulated" },
		.schema_mark = "1",
	};
	face->endpoint.links[entity] = &l->link;
}

struct endpoint *fake_endpoint_new(void *arg, struct loop *loop, const struct topology *t, const struct endpoint_conf *conf,
				   const struct endpoint_events *events)
{
	struct world *w = arg;
	struct fake_endpoint *face = xcalloc(1, sizeof *face);

	face->world = w;
	face->db = &w->dbs[conf->index];
	face->db->face = face;
	face->incarnation = ++w->incarnation;
	face->endpoint.ops = &endpoint_ops;
	face->endpoint.conf = conf;
	face->endpoint.events = *events;
	face->endpoint.state = ENDPOINT_UNKNOWN;
	face->endpoint.keeps_state = true;
	face->endpoint.clock_offset_s = (double)face->db->skew_us / SECOND;
	snprintf(face->endpoint.server, sizeof face->endpoint.server, "Simulated 1");
	for (size_t i = 0; i < w->plan.n_entities; i++)
		link_init(face, i);
	return &face->endpoint;
}
