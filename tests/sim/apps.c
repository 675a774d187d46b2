/*
 * apps.c - people and programs that edit the databases, without knowing of each other or of the daemon.
 */
#include "world.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "endpoint/endpoint.h"

/* ---- values ------------------------------------------------------------------------------------------------ */

/* A value that nobody ever wrote before, so that it names its edit. */
static char *fresh(struct world *w, struct db *db, size_t entity, size_t field)
{
	const struct field_def *f = &w->topology->entities[entity].def.fields[field];
	const char *form = "v%u";
	char text[64];

	if (f->type == FIELD_INTEGER)
		form = "%u";
	else if (f->n_clean > 0 && rng_chance(&w->rng, 40))
		form = rng_chance(&w->rng, 50) ? " V%u" : "v%u  ";
	else if (w->plan.invalid && rng_chance(&w->rng, 10))
		form = "v%u-is-much-too-long";
	do {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"	/* one of the four above */
		snprintf(text, sizeof text, form, ++w->tokens);
#pragma GCC diagnostic pop
	} while (db_value_poison(db, entity, field, text));
	return xstrdup(text);
}

static char *some_parent(struct world *w, struct db *db, size_t entity)
{
	const struct db_table *t = &db->tables[entity];
	const struct db_row *r;

	if (t->n == 0 || rng_chance(&w->rng, 15))
		return NULL;
	r = t->rows[rng_below(&w->rng, (uint32_t)t->n)];
	return r->locked_by == 0 ? xasprintf("%lld", (long long)r->id) : NULL;
}

/* What somebody once wrote there, by its edit; NULL pointer: nothing found. */
static char *old_value(struct world *w, const struct db_row *row, size_t entity, size_t field)
{
	int8_t unit = w->unit_of[entity][field];
	uint32_t fields = w->unit_fields[entity][unit];
	char *found = NULL;

	if ((fields & (fields - 1)) != 0)
		return NULL;
	for (size_t i = 1; i < w->n_edits; i++)
		if (w->edits[i].record == row->record && !w->edits[i].is_delete && w->edits[i].unit == unit &&
		    strcmp(w->edits[i].tuple, "\\N") != 0 && rng_chance(&w->rng, 40)) {
			free(found);
			found = xstrdup(w->edits[i].tuple);
		}
	return found;
}

static char *any_text(struct world *w, struct db *db, const struct db_row *row, size_t entity, size_t field)
{
	const struct field_def *f = &w->topology->entities[entity].def.fields[field];
	char *old;

	if (f->type == FIELD_REFERENCE)
		return some_parent(w, db, f->refers->index);
	if (f->rule == RULE_NEWEST_FILLED && rng_chance(&w->rng, 20))
		return f->type == FIELD_TEXT && rng_chance(&w->rng, 30) ? xstrdup("") : NULL;
	if (w->plan.reverts && row != NULL && rng_chance(&w->rng, 30)) {
		old = old_value(w, row, entity, field);
		if (old != NULL && !db_value_poison(db, entity, field, old))
			return old;
		free(old);
		if (rng_chance(&w->rng, 30))
			return NULL;
	}
	return fresh(w, db, entity, field);
}

static char *new_text(struct world *w, struct db *db, const struct db_row *row, size_t entity, size_t field)
{
	char *text;

	if (w->unique[entity] != (int8_t)field)
		return any_text(w, db, row, entity, field);
	text = rng_chance(&w->rng, 15) ? unique_from_elsewhere(w, db, entity) : NULL;
	if (text == NULL)
		text = any_text(w, db, row, entity, field);
	/* The statement would be refused: they think of something else. */
	if (text != NULL && (unique_holder(db, entity, text, row) != NULL || unique_pending(db, entity, text, row))) {
		free(text);
		text = fresh(w, db, entity, field);
	}
	return text;
}

static char *key_of(const struct world *w, size_t entity, char *const text[])
{
	struct buf b = { 0 };

	for (size_t k = 0; k < w->topology->entities[entity].def.n_key; k++) {
		if (k > 0)
			buf_addc(&b, '\x1f');
		buf_adds(&b, text[k]);
	}
	return buf_take(&b);
}

static void key_split(const struct world *w, size_t entity, const char *key, char *text[])
{
	char *copy = xstrdup(key), *save = NULL, *p = copy;

	for (size_t k = 0; k < w->topology->entities[entity].def.n_key; k++, p = NULL)
		text[k] = xstrdup(strtok_r(p, "\x1f", &save));
	free(copy);
}

static char *fresh_key(struct world *w, size_t entity)
{
	return w->topology->entities[entity].def.n_key == 1 ? xasprintf("k%u", ++w->tokens) :
	       xasprintf("k%u\x1fz%u", ++w->tokens, rng_below(&w->rng, 3));
}

/* A key that is known somewhere but not here; NULL when there is none. */
static const char *missing_key(struct world *w, struct db *db, size_t entity, bool dead_only)
{
	for (unsigned tries = 0; tries < 8 && w->n_records > 0; tries++) {
		const struct sim_record *r = &w->records[rng_below(&w->rng, (uint32_t)w->n_records)];
		bool alive = false;

		if (r->entity != entity || db_row_by_key(db, entity, r->key) != NULL || db_key_pending(db, entity, r->key))
			continue;
		for (size_t e = 0; e < w->plan.n_endpoints; e++)
			alive |= db_row_by_key(&w->dbs[e], entity, r->key) != NULL;
		if (!dead_only || !alive)
			return r->key;
	}
	return NULL;
}

/* ---- applying --------------------------------------------------------------------------------------------------- */

/* Values that are handed on come back: such a value does not name its edit. */
static void flag_repeated(struct world *w, struct edit *e)
{
	for (size_t i = 1; w->plan.uniques && i < w->n_edits; i++) {
		struct edit *other = &w->edits[i];

		if (other == e || other->is_delete || other->unit != e->unit || strcmp(other->tuple, e->tuple) != 0 ||
		    w->records[other->record].lineage != w->records[e->record].lineage)
			continue;
		other->ambiguous = e->ambiguous = true;
	}
}

static void flag_value(struct world *w, const struct db *db, const struct db_row *row, size_t entity, size_t unit, struct edit *e)
{
	for (size_t f = 0; f < SIM_FIELDS; f++) {
		char *s;

		if (!(w->unit_fields[entity][unit] & UINT32_C(1) << f))
			continue;
		s = db_canon(db, row, entity, f);
		e->ambiguous |= s == NULL || *s == '\0' || w->plan.reverts ||
				w->topology->entities[entity].def.fields[f].type == FIELD_REFERENCE;
		if (db_value_invalid(w, entity, f, s)) {
			e->invalid = true;
			w->records[row->record].invalid = w->records[row->record].complex = true;
		}
		free(s);
	}
	flag_repeated(w, e);
}

static void apply_insert(struct world *w, struct db *db, struct app_op *op)
{
	struct db_row *row = db_row_add(db, op->entity);
	char *key = key_of(w, op->entity, op->text);

	memcpy(row->text, op->text, sizeof row->text);
	memset(op->text, 0, sizeof op->text);
	row->record = record_find(w, op->entity, key);
	w->records[row->record].massed = false;
	for (size_t i = 1; i < w->n_edits; i++)
		if (w->edits[i].record == row->record) {
			w->records[row->record].complex |= w->edits[i].is_delete;
			w->sometimes->reinserted += w->edits[i].is_delete && !w->edits[i].covered;
			w->edits[i].covered |= w->edits[i].is_delete;
			if (w->edits[i].endpoint != db->index)
				w->sometimes->same_insert++;
		}
	op->row = row;
	free(key);
}

static void apply_rename(struct world *w, struct db *db, struct app_op *op)
{
	size_t n_key = w->topology->entities[op->entity].def.n_key;
	uint32_t old = op->row->record;
	char *key = key_of(w, op->entity, op->text);

	history_delete(w, db, op->row, op->at, true);
	for (size_t k = 0; k < n_key; k++) {
		free(op->row->text[k]);
		op->row->text[k] = op->text[k];
		op->text[k] = NULL;
	}
	op->row->record = record_find(w, op->entity, key);
	record_join(w, op->row->record, old);
	world_trace(w, "%s %s/%s #%lld: renamed to %s", db->name, w->topology->entities[op->entity].def.name,
		    w->records[old].key, (long long)op->row->id, key);
	w->sometimes->renamed++;
	free(key);
}

static void apply_fields(struct world *w, struct db *db, struct app_op *op)
{
	struct db_row *row = op->row;

	for (size_t u = 0; u < w->n_units[op->entity]; u++) {
		char *before = db_tuple(db, row, op->entity, u), *after;

		for (size_t f = 0; op->kind == OP_UPDATE && f < SIM_FIELDS; f++)
			if (op->fields & w->unit_fields[op->entity][u] & UINT32_C(1) << f) {
				free(row->text[f]);
				row->text[f] = op->text[f];
				op->text[f] = NULL;
			}
		after = db_tuple(db, row, op->entity, u);
		if (op->kind == OP_INSERT || strcmp(before, after) != 0)
			flag_value(w, db, row, op->entity, u, history_edit(w, db, row, u, op->at));
		free(before);
		free(after);
	}
}

static void apply(struct world *w, struct db *db, const struct db_tx *tx, struct app_op *op, uint64_t version)
{
	int64_t local;

	if (op->kind == OP_INSERT)
		apply_insert(w, db, op);
	local = op->row->id;
	op->row->locked_by = 0;
	op->row->version = version;
	if (db->has_modified)
		/* now() of PostgreSQL: when the transaction began, however late it commits. */
		op->row->modified = db_quantised(db, clock_wall_us() - (world_now(w) - tx->begun_us) + db->skew_us);
	switch (op->kind) {
	case OP_INSERT:
	case OP_UPDATE:
	case OP_TOUCH:
		apply_fields(w, db, op);
		break;
	case OP_RENAME:
		apply_rename(w, db, op);
		break;
	case OP_DELETE:
		history_delete(w, db, op->row, op->at, false);
		db_row_drop(db, op->entity, op->row);
		break;
	}
	db_log_add(db, op->entity, op->entry, local, db_quantised(db, op->at), op->kind == OP_DELETE);
	for (size_t f = 0; f < SIM_FIELDS; f++)
		free(op->text[f]);
}

static void tx_end(struct world *w, struct db *db, struct db_tx *tx, bool commit)
{
	uint64_t version = ++db->versions;

	if (!commit)
		w->sometimes->aborted++;
	for (size_t o = 0; o < tx->n; o++) {
		struct app_op *op = &tx->ops[o];

		if (commit) {
			apply(w, db, tx, op, version);
			continue;
		}
		if (op->row != NULL)
			op->row->locked_by = 0;
		for (size_t f = 0; f < SIM_FIELDS; f++)
			free(op->text[f]);
	}
	memset(tx, 0, sizeof *tx);
	fake_endpoint_wake(db);
}

/* ---- statements -------------------------------------------------------------------------------------------------- */

static struct db_row *free_row(struct world *w, struct db *db, size_t entity)
{
	const struct db_table *t = &db->tables[entity];

	for (unsigned tries = 0; tries < 5 && t->n > 0; tries++) {
		struct db_row *r = t->rows[rng_below(&w->rng, (uint32_t)t->n)];

		if (r->locked_by == 0 && (!w->plan.parted || r->record % w->plan.n_endpoints == db->index))
			return r;
	}
	return NULL;
}

static bool op_insert(struct world *w, struct db *db, struct app_op *op)
{
	const char *known = !w->plan.parted && rng_chance(&w->rng, 40) ? missing_key(w, db, op->entity, rng_chance(&w->rng, 50)) : NULL;
	char *key = known != NULL ? xstrdup(known) : fresh_key(w, op->entity);
	const struct entity_def *d = &w->topology->entities[op->entity].def;

	key_split(w, op->entity, key, op->text);
	for (size_t f = d->n_key; f < d->n_fields; f++)
		op->text[f] = new_text(w, db, NULL, op->entity, f);
	free(key);
	return true;
}

static bool op_update(struct world *w, struct db *db, struct app_op *op)
{
	const struct entity_def *d = &w->topology->entities[op->entity].def;
	unsigned n = rng_chance(&w->rng, 70) ? 1 : 2;

	while (n-- > 0) {
		size_t f = d->n_key + rng_below(&w->rng, (uint32_t)(d->n_fields - d->n_key));

		if (op->fields & UINT32_C(1) << f)
			continue;
		op->fields |= UINT32_C(1) << f;
		op->text[f] = new_text(w, db, op->row, op->entity, f);
	}
	return true;
}

static bool op_rename(struct world *w, struct db *db, struct app_op *op)
{
	const char *known = w->plan.collisions ? missing_key(w, db, op->entity, false) : NULL;
	char *key = known != NULL ? xstrdup(known) : fresh_key(w, op->entity);

	w->sometimes->collided += known != NULL;
	key_split(w, op->entity, key, op->text);
	free(key);
	return true;
}

static enum app_op_kind some_kind(struct world *w)
{
	uint32_t dice = rng_below(&w->rng, 100);

	if (dice < 14)
		return OP_INSERT;
	if (dice < 24 && w->plan.deletes)
		return OP_DELETE;
	if (dice < 32 && w->plan.renames)
		return OP_RENAME;
	return dice < 36 ? OP_TOUCH : OP_UPDATE;
}

/* A deleted parent would be refused while children point to it: people move the children first, or leave it. */
static bool op_fill(struct world *w, struct db *db, struct app_op *op)
{
	switch (op->kind) {
	case OP_INSERT:
		return op_insert(w, db, op);
	case OP_UPDATE:
		return op_update(w, db, op);
	case OP_RENAME:
		return op_rename(w, db, op);
	case OP_DELETE:
		return !db_has_children(db, op->entity, op->row->id);
	case OP_TOUCH:
		return true;
	}
	return false;
}

static void statement(struct world *w, struct db *db, struct db_tx *tx)
{
	struct app_op op = { .kind = some_kind(w), .entity = rng_below(&w->rng, (uint32_t)w->plan.n_entities) };

	if (op.kind != OP_INSERT) {
		op.row = free_row(w, db, op.entity);
		if (op.row == NULL)
			return;
	}
	if (!op_fill(w, db, &op))
		return;
	op.at = db_clock(db);
	op.entry = ++db->next_entry;
	if (op.row != NULL)
		op.row->locked_by = (uint32_t)(tx - db->txs) + 1;
	tx->ops[tx->n++] = op;
}

/* ---- transactions --------------------------------------------------------------------------------------------------- */

static void tx_step(struct world *w, void *arg)
{
	struct db_tx *tx = arg;
	struct db *db = NULL;

	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		if (tx >= w->dbs[e].txs && tx < w->dbs[e].txs + SIM_TXS)
			db = &w->dbs[e];
	if (!tx->open || db == NULL)
		return;
	if (tx->planned > 0) {
		tx->planned--;
		statement(w, db, tx);
		world_after(w, rng_span(&w->rng, 1000, 4 * SECOND), tx_step, tx);
		return;
	}
	tx_end(w, db, tx, rng_chance(&w->rng, 85));
}

static void hand_on(struct world *w, struct db *db, size_t entity)
{
	struct db_tx tx = { .begun_us = world_now(w) };
	struct db_row *rows[3];
	char *texts[3];
	size_t n = unique_hand_on(w, db, entity, rows, texts);

	for (size_t i = 0; i < n; i++) {
		struct app_op *op = &tx.ops[tx.n++];

		*op = (struct app_op){ .kind = OP_UPDATE, .entity = entity, .row = rows[i], .fields = UINT32_C(1) << w->unique[entity],
				       .at = db_clock(db), .entry = ++db->next_entry };
		op->text[w->unique[entity]] = texts[i];
	}
	if (n > 0)
		tx_end(w, db, &tx, true);
}

/* Two or three rows take the keys of one another. */
static void exchange(struct world *w, struct db *db, size_t entity)
{
	struct db_tx tx = { .begun_us = world_now(w) };
	const struct db_table *t = &db->tables[entity];
	struct db_row *rows[3];
	size_t n = 2 + rng_below(&w->rng, 2), found = 0;

	for (size_t i = rng_below(&w->rng, (uint32_t)t->n + 1); i < t->n && found < n; i++)
		if (t->rows[i]->locked_by == 0)
			rows[found++] = t->rows[i];
	for (size_t i = 0; found >= 2 && i < found; i++) {
		struct app_op *op = &tx.ops[tx.n++];

		*op = (struct app_op){ .kind = OP_RENAME, .entity = entity, .row = rows[i], .at = db_clock(db), .entry = ++db->next_entry };
		key_split(w, entity, w->records[rows[(i + 1) % found]->record].key, op->text);
	}
	w->sometimes->exchanged += tx.n > 0;
	if (tx.n > 0)
		tx_end(w, db, &tx, true);
}

static void tx_begin(struct world *w, struct db *db)
{
	struct db_tx *tx = db->txs;

	if (w->plan.exchanges && rng_chance(&w->rng, 10)) {
		exchange(w, db, rng_below(&w->rng, (uint32_t)w->plan.n_entities));
		return;
	}

	if (w->plan.uniques && rng_chance(&w->rng, 10)) {
		hand_on(w, db, rng_below(&w->rng, (uint32_t)w->plan.n_entities));
		return;
	}

	while (tx < db->txs + SIM_TXS && tx->open)
		tx++;
	if (tx == db->txs + SIM_TXS)
		return;
	tx->open = true;
	tx->begun_us = world_now(w);
	tx->planned = 1 + (rng_chance(&w->rng, 25) ? rng_below(&w->rng, SIM_TX_OPS) : 0);
	if (w->plan.long_transactions && rng_chance(&w->rng, 20)) {
		tx_step(w, tx);
		return;
	}
	while (tx->planned > 0) {
		tx->planned--;
		statement(w, db, tx);
	}
	tx_end(w, db, tx, true);
}

static void tick(struct world *w, void *arg)
{
	if (w->quiet)
		return;
	tx_begin(w, &w->dbs[rng_below(&w->rng, (uint32_t)w->plan.n_endpoints)]);
	/* Now and then two people at once, so that edits meet. */
	if (rng_chance(&w->rng, 15))
		tx_begin(w, &w->dbs[rng_below(&w->rng, (uint32_t)w->plan.n_endpoints)]);
	world_after(w, rng_span(&w->rng, 100, 2 * w->plan.edit_gap_us), tick, NULL);
}

void apps_start(struct world *w)
{
	world_after(w, rng_span(&w->rng, 0, SECOND), tick, NULL);
}

void apps_settle(struct world *w)
{
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		for (size_t x = 0; x < SIM_TXS; x++)
			if (w->dbs[e].txs[x].open)
				tx_end(w, &w->dbs[e], &w->dbs[e].txs[x], rng_chance(&w->rng, 50));
}

/* All at one moment, each in a transaction of its own. */
void apps_delete_many(struct world *w, struct db *db, size_t entity)
{
	struct db_tx tx = { .begun_us = world_now(w) };
	uint64_t before = w->n_edits;

	for (size_t i = db->tables[entity].n; i-- > 0;) {
		struct app_op op = { .kind = OP_DELETE, .entity = entity, .row = db->tables[entity].rows[i], .at = db_clock(db) };

		if (op.row->locked_by != 0 || db_has_children(db, entity, op.row->id) || rng_chance(&w->nemesis, 10))
			continue;
		op.entry = ++db->next_entry;
		w->records[op.row->record].massed = true;
		apply(w, db, &tx, &op, ++db->versions);
	}
	world_trace(w, "%s.%s: %llu rows deleted at once", db->name, w->topology->entities[entity].def.name,
		    (unsigned long long)(w->n_edits - before));
	w->mass_windows = 1;
	w->mass_at = db->index;
	w->sometimes->massed++;
	fake_endpoint_wake(db);
}

void apps_abort(struct world *w, struct db *db)
{
	for (size_t x = 0; x < SIM_TXS; x++)
		if (db->txs[x].open)
			tx_end(w, db, &db->txs[x], false);
}

/* ---- the beginning --------------------------------------------------------------------------------------------------- */

static char *parent_of_key(struct db *db, size_t entity, const char *key)
{
	const struct db_row *r = key != NULL ? db_row_by_key(db, entity, key) : NULL;

	return r != NULL ? xasprintf("%lld", (long long)r->id) : NULL;
}

struct model_row {			/* what the first endpoint got, for the others to share */
	char *text[SIM_FIELDS];
	uint32_t edit[SIM_UNITS];
};

static void initial_unit(struct world *w, struct db *db, struct db_row *row, size_t entity, size_t unit, struct model_row *model)
{
	bool share = rng_chance(&w->rng, 75);
	char *parent_key = NULL;
	struct edit *e;

	for (size_t f = 0; f < SIM_FIELDS; f++) {
		const struct field_def *d = &w->topology->entities[entity].def.fields[f];

		if (!(w->unit_fields[entity][unit] & UINT32_C(1) << f))
			continue;
		if (d->type == FIELD_REFERENCE) {
			parent_key = model->edit[unit] != 0 ? w->edits[model->edit[unit]].tuple : NULL;
			row->text[f] = share && parent_key != NULL ? parent_of_key(db, d->refers->index, parent_key) :
				       some_parent(w, db, d->refers->index);
		} else if (share && model->edit[unit] != 0) {
			row->text[f] = xstrdup(model->text[f]);
		} else {
			row->text[f] = fresh(w, db, entity, f);
		}
	}
	if (share && model->edit[unit] != 0 && parent_key == NULL) {
		history_share(w, row, unit, model->edit[unit]);
		return;
	}
	e = history_edit(w, db, row, unit, row->modified);
	e->initial = true;
	flag_value(w, db, row, entity, unit, e);
	model->edit[unit] = (uint32_t)(e - w->edits);
	for (size_t f = 0; f < SIM_FIELDS; f++)
		if (w->unit_fields[entity][unit] & UINT32_C(1) << f) {
			free(model->text[f]);
			model->text[f] = row->text[f] != NULL ? xstrdup(row->text[f]) : NULL;
		}
}

static void initial_record(struct world *w, size_t entity)
{
	char *key = fresh_key(w, entity);
	struct model_row model = { 0 };
	uint32_t there = 1 + rng_below(&w->rng, (1u << w->plan.n_endpoints) - 1);

	for (size_t e = 0; e < w->plan.n_endpoints; e++) {
		struct db *db = &w->dbs[e];
		struct db_row *row;

		if (!(there & 1u << e))
			continue;
		row = db_row_add(db, entity);
		row->record = record_find(w, entity, key);
		row->version = ++db->versions;
		if (db->has_modified)
			row->modified = db_quantised(db, db_clock(db) - rng_span(&w->rng, 10, 3000) * SECOND);
		key_split(w, entity, key, row->text);
		for (size_t u = 0; u < w->n_units[entity]; u++)
			initial_unit(w, db, row, entity, u, &model);
	}
	for (size_t f = 0; f < SIM_FIELDS; f++)
		free(model.text[f]);
	free(key);
}

void apps_populate(struct world *w)
{
	for (size_t i = 0; i < w->plan.n_entities; i++)
		for (size_t n = rng_below(&w->rng, (uint32_t)w->plan.records + 1); n > 0; n--)
			initial_record(w, i);
}
