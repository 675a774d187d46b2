/*
 * fake_endpoint.c - the seam of endpoint.h over a simulated database.
 *
 * Every operation is a small conversation of steps, each an event of its own after a random delay: reading the log,
 * reading the rows, one statement per kind of write, the answer. Operations overtake each other. When the endpoint goes
 * away or the daemon dies, what was already sent may still take effect, at any moment until the next greeting is answered, with nobody
 * to tell.
 */
#include "world.h"

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

enum { LOCK_WAIT_US = 2 * SECOND, OVERLAP_US = 5 * SECOND, ORPHAN_LATE_US = 8 * SECOND };

struct ack {
	struct ack *next;
	struct fake_link *link;
	int64_t *entries;
	size_t n_entries;
	struct told *told;
	size_t n_told;
};

struct given { int64_t id; uint64_t version; };	/* poll: what was captured already, so that the overlap is not given twice */

struct fake_link {
	struct link link;		/* first member */
	struct fake_endpoint *face;
	size_t entity;
	struct given *given;
	size_t n_given;
};

struct fake_endpoint {
	struct endpoint endpoint;	/* first member */
	struct world *world;
	struct db *db;
	struct fake_link links[SIM_ENTITIES];
	struct fake_op *ops;
	struct ack *acks;		/* handed out, not returned yet */
	uint32_t incarnation;
	int64_t offset_error_us;
	bool started, freeing;
};

enum op_kind { OP_CAPTURE, OP_ACK, OP_LIST, OP_READ, OP_READ_KEY, OP_STAMPS, OP_WRITE, OP_POSITION, OP_ESTIMATE, OP_SCHEMA, OP_GREET, OP_BEAT };

struct fake_write {			/* a copy: the caller's batch may be gone when it takes effect */
	enum write_op op;
	int64_t id;
	uint64_t version, fields;
	char *values[SIM_FIELDS];
	bool forced;			/* insert: an equal row is an error, and says what it is */
	bool tangled;			/* update: another row has its value; it waits for that to go */
	enum write_outcome outcome;
	struct err err;
};

struct fake_op {
	struct fake_op *next, **link_to;
	struct world *world;
	struct db *db;
	struct fake_link *link;		/* NULL once nobody waits for it */
	size_t entity;
	enum op_kind kind;
	unsigned step, steps;
	bool fails, effect_first;	/* an error at the end; with the effect before it or not */
	int64_t deadline_us;		/* of a lock */
	bool orphan;			/* counted among the database's */
	int64_t late_us;		/* the next step waits for so long */
	int64_t fence, epoch;		/* under which it writes, and which it leaves */
	uint32_t asked_in;		/* epoch of the world: a round that asked before one is over */
	uint32_t life;			/* of the database */
	struct greeting greeting;
	/* asked */
	int64_t position, after, until, began_us, *ids;
	bool has_position;
	size_t max, n;
	char **keys;
	struct ack *ack;
	struct fake_write *writes;
	enum write_op order[3];
	struct write_batch *batch;
	/* to answer */
	struct captured *got;
	struct rowset *rows;
	struct told *told;
	size_t n_told;
	struct stamps *stamps;
	union {
		captured_fn *captured;
		rowset_fn *rowset;
		stamps_fn *stamps;
		written_fn *written;
		done_fn *done;
		greeted_fn *greeted;
		void (*position)(void *, const char *, const struct err *);
		void (*estimate)(void *, int64_t, const struct err *);
	} answer;
	void *arg;
};

static void op_step(struct world *w, void *arg);

/* ---- rows going out ------------------------------------------------------------------------------------------ */

static void tell(struct fake_op *op, const struct db_row *r, int64_t other)
{
	op->told = xrealloc(op->told, (op->n_told + 1) * sizeof *op->told);
	op->told[op->n_told++] = (struct told){ r->id, r->version, r->modified, other };
}

static void rowset_add(struct fake_op *op, struct rowset *rs, const struct db_row *r, int64_t other)
{
	rs->rows = xrealloc(rs->rows, (rs->n + 1) * sizeof *rs->rows);
	fake_row_fill(op->db, r, op->entity, fake_rowset_arena(rs), &rs->rows[rs->n++]);
	rs->bytes += 100;
	tell(op, r, other);
}

/* ---- acknowledging --------------------------------------------------------------------------------------------- */

static struct ack *ack_new(struct fake_link *l)
{
	struct ack *a = xcalloc(1, sizeof *a);

	a->link = l;
	a->next = l->face->acks;
	l->face->acks = a;
	return a;
}

static void ack_free(struct ack *a)
{
	struct ack **p = &a->link->face->acks;

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	free(a->entries);
	free(a->told);
	free(a);
}

static bool ack_has(const struct ack *a, int64_t entry)
{
	for (size_t i = 0; i < a->n_entries; i++)
		if (a->entries[i] == entry)
			return true;
	return false;
}

static void ack_release(struct ack *a)
{
	struct fake_link *l = a->link;
	struct db_table *t = &l->face->db->tables[l->entity];

	for (size_t i = 0; i < t->n_log; i++)
		if (ack_has(a, t->log[i].id))
			t->log[i].taken = 0;
	for (size_t i = 0; i < a->n_told; i++)
		for (size_t g = 0; g < l->n_given; g++)
			if (l->given[g].id == a->told[i].id)
				l->given[g].version = 0;
	ack_free(a);
}

static void ack_effect(struct db *db, size_t entity, const struct ack *a)
{
	struct db_table *t = &db->tables[entity];
	int64_t max = INT64_MIN;
	size_t kept = 0;

	for (size_t i = 0; i < a->n_entries; i++)
		if (a->entries[i] > max)
			max = a->entries[i];
	for (size_t i = 0; i < t->n_log; i++) {
		bool done = db->world->mutation == MUTATE_ACK_BY_MAX ? t->log[i].id <= max : ack_has(a, t->log[i].id);

		if (!done)
			t->log[kept++] = t->log[i];
	}
	t->n_log = kept;
	for (size_t i = 0; i < a->n_told; i++)
		history_acked(db->world, db, entity, a->told[i].id, a->told[i].version);
}

/* ---- capture ------------------------------------------------------------------------------------------------------ */

static bool news_add(struct captured *c, struct arena *a, int64_t id, int64_t stamp, size_t max)
{
	for (size_t i = 0; i < c->n; i++)
		if (atoll(c->news[i].id.data) == id) {
			c->news[i].stamp = stamp;
			return true;
		}
	if (c->n == max)
		return false;
	c->news = xrealloc(c->news, (c->n + 1) * sizeof *c->news);
	c->news[c->n++] = (struct news){ .id = fake_number(a, id), .old_id = VALUE_NULL, .stamp = stamp, .row = -1 };
	return true;
}

static void capture_log(struct fake_op *op)
{
	struct db_table *t = &op->db->tables[op->entity];
	struct arena *arena = fake_rowset_arena(op->got->rows);
	struct ack *a = op->ack = ack_new(op->link);

	for (size_t i = 0; i < t->n_log; i++) {
		if (t->log[i].taken == op->link->face->incarnation)
			continue;
		if (!news_add(op->got, arena, t->log[i].local, fake_stamp(op->db, t->log[i].at), op->max)) {
			op->got->more = true;
			break;
		}
		t->log[i].taken = op->link->face->incarnation;
		a->entries = xrealloc(a->entries, (a->n_entries + 1) * sizeof *a->entries);
		a->entries[a->n_entries++] = t->log[i].id;
	}
	op->got->entries = a->n_entries;
}

static void capture_log_rows(struct fake_op *op)
{
	struct captured *c = op->got;

	for (size_t i = 0; i < c->n; i++) {
		struct db_row *r = db_row_by_id(op->db, op->entity, atoll(c->news[i].id.data));

		if (r == NULL)
			continue;
		c->news[i].row = (ptrdiff_t)c->rows->n;
		rowset_add(op, c->rows, r, c->news[i].stamp);
	}
}

static int64_t safe_bound(const struct fake_op *op)
{
	const struct db *db = op->db;

	if (db->world->mutation == MUTATE_CURSOR_BY_TIME)
		return INT64_MAX;
	if (!db->sees_open)
		return db_clock(db) - OVERLAP_US;
	return db_clock(db) - (world_now(db->world) - db_oldest_open_us(db)) - SECOND;
}

static struct given *given_of(struct fake_link *l, int64_t id)
{
	for (size_t i = 0; i < l->n_given; i++)
		if (l->given[i].id == id)
			return &l->given[i];
	l->given = xrealloc(l->given, (l->n_given + 1) * sizeof *l->given);
	l->given[l->n_given] = (struct given){ id, 0 };
	return &l->given[l->n_given++];
}

static const struct db_row *poll_next(const struct db_table *t, const struct db_row *last, int64_t from)
{
	const struct db_row *best = NULL;

	for (size_t i = 0; i < t->n; i++) {
		const struct db_row *r = t->rows[i];

		if (r->modified < from || (last != NULL && (r->modified < last->modified ||
							    (r->modified == last->modified && r->id <= last->id))))
			continue;
		if (best == NULL || r->modified < best->modified || (r->modified == best->modified && r->id < best->id))
			best = r;
	}
	return best;
}

static void capture_poll(struct fake_op *op, int64_t bound)
{
	const struct db_table *t = &op->db->tables[op->entity];
	struct captured *c = op->got;
	struct arena *arena = fake_rowset_arena(c->rows);
	int64_t reached = op->position;

	op->ack = ack_new(op->link);
	for (const struct db_row *r = NULL; (r = poll_next(t, r, op->position)) != NULL;) {
		struct given *g = given_of(op->link, r->id);

		if (g->version == r->version) {
			reached = r->modified;
			continue;
		}
		if (!news_add(c, arena, r->id, fake_stamp(op->db, r->modified), op->max)) {
			c->more = true;
			break;
		}
		reached = r->modified;
		g->version = r->version;
		c->news[c->n - 1].row = (ptrdiff_t)c->rows->n;
		rowset_add(op, c->rows, r, STAMP_UNKNOWN);
	}
	c->entries = c->n;
	if (reached > bound)
		reached = bound > op->position ? bound : op->position;
	if (reached != op->position || !op->has_position)
		c->position = xasprintf("%" PRId64, reached);
}

static void do_capture(struct fake_op *op)
{
	if (op->step == 0) {
		op->got->began_us = world_now(op->world);
		if (op->db->listen)
			capture_log(op);
		else
			op->after = safe_bound(op);
		return;
	}
	if (op->db->listen) {
		capture_log_rows(op);
	} else if (op->has_position) {
		capture_poll(op, op->after);
	} else {
		op->ack = ack_new(op->link);
		op->got->position = xasprintf("%" PRId64, op->after == INT64_MAX ? db_clock(op->db) : op->after);
	}
	op->ack->told = xcalloc(op->n_told + 1, sizeof *op->told);
	for (size_t i = 0; i < op->n_told; i++)
		op->ack->told[i] = op->told[i];
	op->ack->n_told = op->n_told;
	op->got->ack = op->ack;
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	int64_t x = (*(struct db_row *const *)a)->id, y = (*(struct db_row *const *)b)->id;

	return (x > y) - (x < y);
}

static void do_list(struct fake_op *op)
{
	struct db_table *t = &op->db->tables[op->entity];

	if (t->n > 0)
		qsort(t->rows, t->n, sizeof(struct db_row *), by_id);
	for (size_t i = 0; i < t->n && op->rows->n < op->max; i++)
		if ((!op->has_position || t->rows[i]->id > op->after) && t->rows[i]->id <= op->until)
			rowset_add(op, op->rows, t->rows[i], STAMP_UNKNOWN);
}

static void do_read(struct fake_op *op)
{
	const struct entity_def *d = &op->world->topology->entities[op->entity].def;
	const struct db_table *t = &op->db->tables[op->entity];

	for (size_t i = 0; i < t->n; i++)
		for (size_t j = 0; j < op->n; j++) {
			bool same = op->kind == OP_READ ? t->rows[i]->id == op->ids[j] : true;

			for (size_t k = 0; op->kind == OP_READ_KEY && k < d->n_key; k++)
				same &= strcmp(t->rows[i]->text[k], op->keys[j * d->n_key + k]) == 0;
			if (!same)
				continue;
			rowset_add(op, op->rows, t->rows[i], STAMP_UNKNOWN);
			break;
		}
}

static void do_stamps(struct fake_op *op)
{
	const struct db_table *t = &op->db->tables[op->entity];
	struct arena *arena = fake_rowset_arena(op->rows);
	size_t found = 0;

	op->stamps = xcalloc(op->n + 1, sizeof *op->stamps);
	for (size_t j = 0; j < op->n; j++) {
		int64_t stamp = STAMP_UNKNOWN;
		const struct db_row *r = db_row_by_id(op->db, op->entity, op->ids[j]);

		for (size_t i = 0; i < t->n_log; i++)
			if (t->log[i].local == op->ids[j])
				stamp = fake_stamp(op->db, t->log[i].at);
		if (stamp == STAMP_UNKNOWN)
			continue;
		op->stamps[found++] = (struct stamps){ fake_number(arena, op->ids[j]), stamp };
		if (r != NULL)
			tell(op, r, stamp);
	}
	op->n = found;
}

/* ---- writing --------------------------------------------------------------------------------------------------------- */

static bool write_error(struct fake_write *x, enum err_kind kind, const char *code, const char *text)
{
	x->outcome = WRITE_ERROR;
	return err_set(&x->err, kind, code, "%s", text);
}

/* The key that the row has after it; r NULL: an insert. What an update leaves alone is the row's. */
static char *key_after(const struct entity_def *d, const struct fake_write *x, const struct db_row *r)
{
	const char *part[2] = { NULL };

	for (size_t k = 0; k < d->n_key; k++)
		part[k] = r == NULL || (x->fields & UINT64_C(1) << k) ? x->values[k] : r->text[k];
	return d->n_key == 1 ? xstrdup(part[0]) : xasprintf("%s\x1f%s", part[0], part[1]);
}

static bool writes_key(const struct entity_def *d, const struct fake_write *x)
{
	return x->op != WRITE_DELETE && (x->fields & ((UINT64_C(1) << d->n_key) - 1)) != 0;
}

/* What it puts where values have to be unique; NULL: nothing. */
static const char *unique_value(const struct fake_op *op, const struct fake_write *x)
{
	int8_t f = op->world->unique[op->entity];

	return f >= 0 && x->op != WRITE_DELETE && (x->fields & UINT64_C(1) << f) ? x->values[f] : NULL;
}

/* Would a real server wait for somebody else's transaction here? */
static bool write_blocked(const struct fake_op *op, const struct fake_write *x)
{
	const struct entity_def *d = &op->world->topology->entities[op->entity].def;
	const struct db_row *r = x->op != WRITE_INSERT ? db_row_by_id(op->db, op->entity, x->id) : NULL;

	if (r != NULL && r->locked_by != 0)
		return true;
	for (size_t f = 0; x->op != WRITE_DELETE && f < d->n_fields; f++) {
		const struct db_row *parent;

		if (d->fields[f].type != FIELD_REFERENCE || !(x->fields & UINT64_C(1) << f) || x->values[f] == NULL)
			continue;
		parent = db_row_by_id(op->db, d->fields[f].refers->index, atoll(x->values[f]));
		if (parent != NULL && parent->locked_by != 0)
			return true;
	}
	if (unique_value(op, x) != NULL && unique_pending(op->db, op->entity, unique_value(op, x), r))
		return true;
	if (writes_key(d, x) && (r != NULL || x->op == WRITE_INSERT)) {
		char *key = key_after(d, x, r);
		bool pending = db_key_pending(op->db, op->entity, key);

		free(key);
		return pending;
	}
	return false;
}

static bool write_checks(const struct fake_op *op, struct fake_write *x)
{
	const struct entity_def *d = &op->world->topology->entities[op->entity].def;

	for (size_t f = 0; f < d->n_fields; f++) {
		if (!(x->fields & UINT64_C(1) << f) || x->values[f] == NULL)
			continue;
		if (d->fields[f].type == FIELD_REFERENCE &&
		    db_row_by_id(op->db, d->fields[f].refers->index, atoll(x->values[f])) == NULL) {
			op->world->sometimes->orphan++;
			return write_error(x, ERR_ROW, "23503", "the row it points to is not there");
		}
		if (db_value_poison(op->db, op->entity, f, x->values[f])) {
			op->world->sometimes->poison++;
			return write_error(x, ERR_ROW, "23514", "check constraint");
		}
	}
	return true;
}

static void write_done(struct fake_op *op, struct fake_write *x, struct db_row *r, int64_t local)
{
	struct world *w = op->world;
	struct db *db = op->db;

	x->outcome = WRITE_DONE;
	db->written++;
	w->applied = true;
	w->sometimes->effect_after_death += op->link == NULL && w->loop != NULL;
	if (r != NULL) {
		r->version = x->version = ++db->versions;
		history_doubt(r);
		if (db->has_modified && (db->touches || x->op == WRITE_INSERT))
			r->modified = db_quantised(db, db_clock(db));
	}
	if (db->echoes) {
		w->sometimes->echo += db->listen;
		db_log_add(db, op->entity, ++db->next_entry, local, db_quantised(db, db_clock(db)));
		fake_endpoint_wake(db);
	}
}

static void set_fields(struct fake_op *op, struct fake_write *x, struct db_row *r)
{
	const struct entity_def *d = &op->world->topology->entities[op->entity].def;
	enum mutation m = op->world->mutation;

	for (size_t f = 0; f < d->n_fields; f++) {
		if (!(x->fields & UINT64_C(1) << f))
			continue;
		free(r->text[f]);
		r->text[f] = x->values[f] != NULL ? xstrdup(x->values[f]) : NULL;
		if (m == MUTATE_MIX_VALUES && r->text[f] != NULL && !d->fields[f].is_key && d->fields[f].type == FIELD_TEXT)
			r->text[f][strlen(r->text[f]) - 1] ^= 1;
	}
}

static void write_insert(struct fake_op *op, struct fake_write *x)
{
	struct world *w = op->world;
	const struct entity_def *d = &w->topology->entities[op->entity].def;
	char *key = key_after(d, x, NULL);
	struct db_row *r;

	if (db_row_by_key(op->db, op->entity, key) != NULL || unique_holder(op->db, op->entity, unique_value(op, x), NULL) != NULL) {
		w->sometimes->collided_value += db_row_by_key(op->db, op->entity, key) == NULL;
		x->outcome = WRITE_REFUSED;
		w->sometimes->refused++;
		if (x->forced)
			write_error(x, ERR_ROW, "23505", "unique constraint");
	} else if (write_checks(op, x)) {
		r = db_row_add(op->db, op->entity);
		r->record = record_find(w, op->entity, key);
		set_fields(op, x, r);
		x->id = r->id;
		write_done(op, x, r, r->id);
		for (size_t i = 1; i < w->n_edits; i++)
			w->sometimes->resurrected += w->edits[i].record == r->record && w->edits[i].is_delete &&
						     !w->edits[i].renamed && w->edits[i].endpoint == op->db->index;
		history_inserted(w, op->db, r);
		history_brought(w, op->db, r, op->entity, UINT32_MAX);
	}
	free(key);
}

static bool write_guard(struct fake_op *op, struct fake_write *x, struct db_row *r)
{
	if (r != NULL && (r->version == x->version || op->world->mutation == MUTATE_NO_GUARD))
		return true;
	x->outcome = WRITE_REFUSED;
	op->world->sometimes->refused++;
	return false;
}

static void update_row(struct fake_op *op, struct fake_write *x, struct db_row *r, const char *key)
{
	struct world *w = op->world;
	uint32_t record = record_find(w, op->entity, key);

	if (w->records[record].lineage != w->records[r->record].lineage)
		world_fail(w, "C5", "%s #%lld: the daemon gave %s the key %s", op->db->name, (long long)r->id,
			   w->records[r->record].key, key);
	w->sometimes->untangled += x->tangled;
	x->tangled = false;
	err_clear(&x->err);
	r->record = record;
	set_fields(op, x, r);
	write_done(op, x, r, r->id);
	history_brought(w, op->db, r, op->entity, (uint32_t)x->fields);
	if (w->mutation == MUTATE_WRITE_TWICE && !op->db->echoes)
		db_log_add(op->db, op->entity, ++op->db->next_entry, r->id, db_clock(op->db));
}

static void write_update(struct fake_op *op, struct fake_write *x)
{
	const struct entity_def *d = &op->world->topology->entities[op->entity].def;
	struct db_row *r = db_row_by_id(op->db, op->entity, x->id), *other;
	char *key;

	if (!write_guard(op, x, r) || !write_checks(op, x))
		return;
	key = key_after(d, x, r);
	other = db_row_by_key(op->db, op->entity, key);
	if (other != NULL && other != r) {
		write_error(x, ERR_ROW, "23505", "unique constraint");
	} else if (unique_holder(op->db, op->entity, unique_value(op, x), r) != NULL) {
		op->world->sometimes->collided_value += !x->tangled;
		x->tangled = true;
	} else {
		update_row(op, x, r, key);
	}
	free(key);
}

/* As the real driver does it: those that wait are tried again as long as that helps, and then all in one transaction. */
static size_t tangled_left(struct fake_op *op)
{
	size_t before, left = 0;

	do {
		before = left;
		left = 0;
		for (size_t i = 0; i < op->n; i++) {
			if (op->writes[i].tangled && op->writes[i].outcome == WRITE_PENDING)
				write_update(op, &op->writes[i]);
			left += op->writes[i].tangled && op->writes[i].outcome == WRITE_PENDING;
		}
	} while (left > 0 && left != before);
	return left;
}

static bool write_cycle(struct fake_op *op, size_t left)
{
	const struct entity_def *d = &op->world->topology->entities[op->entity].def;
	struct db_row **rows = xcalloc(left + 1, sizeof(struct db_row *));
	const char **texts = xcalloc(left + 1, sizeof *texts);
	struct fake_write **writes = xcalloc(left + 1, sizeof(struct fake_write *));
	size_t n = 0;
	bool closes;

	for (size_t i = 0; i < op->n; i++)
		if (op->writes[i].tangled && op->writes[i].outcome == WRITE_PENDING) {
			writes[n] = &op->writes[i];
			rows[n] = db_row_by_id(op->db, op->entity, op->writes[i].id);
			texts[n++] = unique_value(op, &op->writes[i]);
		}
	closes = n > 1 && unique_cycle_closes(op->db, op->entity, rows, texts, n);
	op->world->sometimes->cycle += closes;
	for (size_t i = 0; closes && i < n; i++) {
		char *key = key_after(d, writes[i], rows[i]);

		update_row(op, writes[i], rows[i], key);
		free(key);
	}
	free(rows);
	free(texts);
	free(writes);
	return closes;
}

static void untangle(struct fake_op *op)
{
	size_t left = tangled_left(op);

	if (left == 0 || write_cycle(op, left))
		return;
	for (size_t i = 0; i < op->n; i++)
		if (op->writes[i].tangled && op->writes[i].outcome == WRITE_PENDING)
			write_error(&op->writes[i], ERR_ROW, "23505", "unique constraint");
}

static void write_delete(struct fake_op *op, struct fake_write *x)
{
	struct db_row *r = db_row_by_id(op->db, op->entity, x->id);

	if (!write_guard(op, x, r))
		return;
	if (db_has_children(op->db, op->entity, r->id)) {
		op->world->sometimes->children++;
		write_error(x, ERR_ROW, "23503", "other rows point to it");
		return;
	}
	world_trace(op->world, "%s #%lld of %s: the daemon deletes it", op->db->name, (long long)r->id,
		    op->world->records[r->record].key);
	op->world->sometimes->deleted++;
	history_carried(op->world, r->record);
	db_row_drop(op->db, op->entity, r);
	write_done(op, x, NULL, x->id);
}

static bool statement_blocked(const struct fake_op *op, enum write_op kind)
{
	for (size_t i = 0; i < op->n; i++)
		if (op->writes[i].op == kind && op->writes[i].outcome == WRITE_PENDING && write_blocked(op, &op->writes[i]))
			return true;
	return false;
}

/* One statement: all rows of one kind of write. False: it waits for a lock. */
static bool do_write(struct fake_op *op)
{
	enum write_op kind = op->order[op->step];
	bool blocked = statement_blocked(op, kind);

	if (blocked && op->deadline_us == 0) {
		op->world->sometimes->lock_wait++;
		op->deadline_us = world_now(op->world) + LOCK_WAIT_US;
	}
	if (blocked && world_now(op->world) < op->deadline_us)
		return false;
	op->world->sometimes->lock_timeout += blocked;
	op->deadline_us = 0;
	for (size_t i = 0; i < op->n; i++) {
		struct fake_write *x = &op->writes[i];

		if (x->op != kind)
			continue;
		if (blocked)
			write_error(x, ERR_TRANSIENT, "55P03", "lock timeout");
		else if (kind == WRITE_INSERT)
			write_insert(op, x);
		else if (kind == WRITE_UPDATE)
			write_update(op, x);
		else
			write_delete(op, x);
	}
	if (kind == WRITE_UPDATE)
		untangle(op);
	return true;
}

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
			ack_release(op->ack);
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
		ack_release(op->ack);
	else
		ack_free(op->ack);
	op->ack = NULL;
	op->answer.done(op->arg, e);
}

static const char *const op_names[] = {
	[OP_CAPTURE] = "capture", [OP_ACK] = "ack", [OP_LIST] = "list", [OP_READ] = "read", [OP_READ_KEY] = "read by key",
	[OP_STAMPS] = "stamps", [OP_WRITE] = "write", [OP_POSITION] = "position", [OP_ESTIMATE] = "estimate", [OP_SCHEMA] = "schema",
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
		answer_rows(op, e);
		break;
	case OP_STAMPS:
		op->answer.stamps(op->arg, op->stamps, e == NULL ? op->n : 0, e);
		break;
	case OP_WRITE:
		answer_write(op, e);
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
		do_capture(op);
		break;
	case OP_LIST:
		do_list(op);
		break;
	case OP_READ:
	case OP_READ_KEY:
		do_read(op);
		break;
	case OP_STAMPS:
		do_stamps(op);
		break;
	case OP_WRITE:
		return do_write(op);
	case OP_ACK:
		ack_effect(op->db, op->entity, op->ack);
		break;
	case OP_POSITION:
		op->after = safe_bound(op) == INT64_MAX ? db_clock(op->db) : safe_bound(op);
		break;
	case OP_GREET:
		return do_greet(op);
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
	op->db->reads += kind == OP_READ || kind == OP_READ_KEY || kind == OP_STAMPS;
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
	ack_release(ack);
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
	.read_by_key = fake_read_by_key, .stamps = fake_stamps, .write = fake_write,
	.position_now = fake_position_now, .estimate = fake_estimate,
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
		ack_release(face->acks);
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
