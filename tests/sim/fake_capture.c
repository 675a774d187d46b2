/*
 * fake_capture.c - what is read of a simulated database: news by its log or by its modified column, and their acknowledgement; lists, rows, stamps.
 */
#include "fake_op.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "fake_rows.h"

enum { OVERLAP_US = 5 * SECOND };

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

void fake_ack_free(struct ack *a)
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

void fake_ack_release(struct ack *a)
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
	fake_ack_free(a);
}

void fake_ack_effect(struct db *db, size_t entity, const struct ack *a)
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

static bool news_add(struct captured *c, struct arena *a, int64_t id, int64_t stamp, bool gone, size_t max)
{
	for (size_t i = 0; i < c->n; i++)
		if (atoll(c->news[i].id.data) == id) {
			c->news[i].stamp = stamp;
			c->news[i].ended |= gone;
			c->news[i].deleted |= gone;
			return true;
		}
	if (c->n == max)
		return false;
	c->news = xrealloc(c->news, (c->n + 1) * sizeof *c->news);
	c->news[c->n++] = (struct news){ .id = fake_number(a, id), .old_id = VALUE_NULL, .stamp = stamp, .row = -1, .ended = gone, .deleted = gone };
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
		if (!news_add(op->got, arena, t->log[i].local, fake_stamp(op->db, t->log[i].at), t->log[i].gone, op->max)) {
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

int64_t fake_safe_bound(const struct fake_op *op)
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
		if (!news_add(c, arena, r->id, fake_stamp(op->db, r->modified), false, op->max)) {
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

void op_capture(struct fake_op *op)
{
	if (op->step == 0) {
		op->got->began_us = world_now(op->world);
		if (op->db->listen)
			capture_log(op);
		else
			op->after = fake_safe_bound(op);
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

void op_list(struct fake_op *op)
{
	struct db_table *t = &op->db->tables[op->entity];

	if (t->n > 0)
		qsort(t->rows, t->n, sizeof(struct db_row *), by_id);
	for (size_t i = 0; i < t->n && op->rows->n < op->max; i++)
		if ((!op->has_position || t->rows[i]->id > op->after) && t->rows[i]->id <= op->until)
			rowset_add(op, op->rows, t->rows[i], STAMP_UNKNOWN);
}

void op_read(struct fake_op *op)
{
	const struct entity_def *d = &op->world->topology->entities[op->entity].def;
	const struct db_table *t = &op->db->tables[op->entity];

	for (size_t i = 0; i < t->n && (op->kind != OP_READ_REFERRING || op->rows->n < op->max); i++)
		for (size_t j = 0; j < op->n; j++) {
			const char *parent = op->kind == OP_READ_REFERRING ? t->rows[i]->text[op->field] : NULL;
			bool same = op->kind == OP_READ ? t->rows[i]->id == op->ids[j] : op->kind == OP_READ_KEY || parent != NULL;

			if (parent != NULL)
				same = atoll(parent) == op->ids[j];

			for (size_t k = 0; op->kind == OP_READ_KEY && k < d->n_key; k++)
				same &= strcmp(t->rows[i]->text[k], op->keys[j * d->n_key + k]) == 0;
			if (!same)
				continue;
			rowset_add(op, op->rows, t->rows[i], STAMP_UNKNOWN);
			break;
		}
}

void op_stamps(struct fake_op *op)
{
	const struct db_table *t = &op->db->tables[op->entity];
	struct arena *arena = fake_rowset_arena(op->rows);
	size_t found = 0;

	op->stamps = xcalloc(op->n + 1, sizeof *op->stamps);
	for (size_t j = 0; j < op->n; j++) {
		int64_t stamp = STAMP_UNKNOWN;
		const struct db_row *r = db_row_by_id(op->db, op->entity, op->ids[j]);
		bool deleted = false;

		for (size_t i = 0; i < t->n_log; i++)
			if (t->log[i].local == op->ids[j]) {
				stamp = fake_stamp(op->db, t->log[i].at);
				deleted |= t->log[i].gone;
			}
		if (stamp == STAMP_UNKNOWN)
			continue;
		op->stamps[found++] = (struct stamps){ fake_number(arena, op->ids[j]), stamp, deleted };
		if (r != NULL)
			tell(op, r, stamp);
	}
	op->n = found;
}
