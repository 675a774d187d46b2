/*
 * fake_write.c - what is written to a simulated database: guards by row version, keys and unique values, references, locks, and its own triggers.
 */
#include "fake_op.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { LOCK_WAIT_US = 2 * SECOND };

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
		db_log_add(db, op->entity, ++db->next_entry, local, db_quantised(db, db_clock(db)), x->op == WRITE_DELETE);
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
		db_log_add(op->db, op->entity, ++op->db->next_entry, r->id, db_clock(op->db), false);
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
		x->tangled = true;
	} else if (unique_holder(op->db, op->entity, unique_value(op, x), r) != NULL) {
		op->world->sometimes->collided_value += !x->tangled;
		x->tangled = true;
	} else {
		update_row(op, x, r, key);
	}
	free(key);
}

/* As the real driver does it: those that wait are tried again as long as that helps, and then those in a circle in one transaction. */
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

static void write_cycle(struct fake_op *op, size_t left)
{
	const struct entity_def *d = &op->world->topology->entities[op->entity].def;
	struct db_row **rows = xcalloc(left + 1, sizeof(struct db_row *));
	const char **texts = xcalloc(left + 1, sizeof *texts);
	char **keys = xcalloc(left + 1, sizeof *keys);
	struct fake_write **writes = xcalloc(left + 1, sizeof(struct fake_write *));
	bool *stuck = xcalloc(left + 1, sizeof *stuck);
	size_t n = 0;

	for (size_t i = 0; i < op->n; i++)
		if (op->writes[i].tangled && op->writes[i].outcome == WRITE_PENDING) {
			writes[n] = &op->writes[i];
			rows[n] = db_row_by_id(op->db, op->entity, op->writes[i].id);
			keys[n] = key_after(d, writes[n], rows[n]);
			texts[n++] = unique_value(op, &op->writes[i]);
		}
	op->world->sometimes->cycle += unique_cycle(op->db, op->entity, rows, (const char *const *)keys, texts, n, stuck) > 0;
	for (size_t i = 0; i < n; i++) {
		op->world->sometimes->turned += !stuck[i] && writes_key(d, writes[i]) && db_row_by_key(op->db, op->entity, keys[i]) != NULL;
		if (!stuck[i])
			update_row(op, writes[i], rows[i], keys[i]);
		free(keys[i]);
	}
	free(keys);
	free(rows);
	free(texts);
	free(writes);
	free(stuck);
}

static void untangle(struct fake_op *op)
{
	size_t left = tangled_left(op);

	if (left > 0)
		write_cycle(op, left);
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

bool op_write(struct fake_op *op)
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
