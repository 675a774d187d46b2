/*
 * db.c - a database as the outside sees it: rows with versions, a change log whose numbers are given when the statement
 * runs and appear when it commits, row locks, its own clock.
 */
#include "world.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "endpoint/endpoint.h"

int64_t db_clock(const struct db *db)
{
	return clock_wall_us() + db->skew_us;
}

int64_t db_quantised(const struct db *db, int64_t stamp)
{
	return stamp - stamp % db->quantum_us;
}

struct db_row *db_row_by_id(const struct db *db, size_t entity, int64_t id)
{
	const struct db_table *t = &db->tables[entity];

	for (size_t i = 0; i < t->n; i++)
		if (t->rows[i]->id == id)
			return t->rows[i];
	return NULL;
}

struct db_row *db_row_by_key(const struct db *db, size_t entity, const char *key)
{
	const struct db_table *t = &db->tables[entity];

	for (size_t i = 0; i < t->n; i++)
		if (strcmp(db->world->records[t->rows[i]->record].key, key) == 0)
			return t->rows[i];
	return NULL;
}

struct db_row *db_row_add(struct db *db, size_t entity)
{
	struct db_table *t = &db->tables[entity];
	struct db_row *r = xcalloc(1, sizeof *r);

	r->id = t->next_id++;
	r->modified = STAMP_UNKNOWN;
	t->rows = xrealloc(t->rows, (t->n + 1) * sizeof *t->rows);
	t->rows[t->n++] = r;
	return r;
}

static void row_free(struct db_row *r)
{
	for (size_t f = 0; f < SIM_FIELDS; f++)
		free(r->text[f]);
	free(r->open);
	free(r);
}

void db_row_drop(struct db *db, size_t entity, struct db_row *r)
{
	struct db_table *t = &db->tables[entity];
	size_t i = 0;

	while (t->rows[i] != r)
		i++;
	memmove(&t->rows[i], &t->rows[i + 1], (t->n - i - 1) * sizeof *t->rows);
	t->n--;
	row_free(r);
}

/* The log is kept in the order of its numbers, which is not the order of the commits. */
void db_log_add(struct db *db, size_t entity, int64_t entry, int64_t local, int64_t at, bool gone)
{
	struct db_table *t = &db->tables[entity];
	size_t i = t->n_log;

	if (!db->listen)
		return;
	t->log = xrealloc(t->log, (t->n_log + 1) * sizeof *t->log);
	if (i > 0 && t->log[i - 1].id > entry && t->log[i - 1].taken != 0)
		db->world->sometimes->late_commit++;
	while (i > 0 && t->log[i - 1].id > entry) {
		t->log[i] = t->log[i - 1];
		i--;
	}
	t->log[i] = (struct db_entry){ .id = entry, .local = local, .at = at, .gone = gone };
	t->n_log++;
}

bool db_key_pending(const struct db *db, size_t entity, const char *key)
{
	for (size_t x = 0; x < SIM_TXS; x++) {
		const struct db_tx *tx = &db->txs[x];

		for (size_t o = 0; tx->open && o < tx->n; o++) {
			const struct app_op *op = &tx->ops[o];
			const struct entity_def *d = &db->world->topology->entities[op->entity].def;
			bool same = op->entity == entity;
			const char *at = key;

			if (op->kind != OP_INSERT && op->kind != OP_RENAME)
				continue;
			for (size_t k = 0; same && k < d->n_key; k++) {
				size_t n = strlen(op->text[k]);

				same = strncmp(at, op->text[k], n) == 0 && at[n] == (k + 1 < d->n_key ? '\x1f' : '\0');
				at += same ? n + 1 : 0;
			}
			if (same)
				return true;
		}
	}
	return false;
}

/* Open transactions hold their references, too: a foreign key check would wait for them. */
bool db_has_children(const struct db *db, size_t entity, int64_t id)
{
	const struct topology *t = db->world->topology;

	for (size_t i = 0; i < t->n_entities; i++)
		for (size_t f = 0; f < t->entities[i].def.n_fields; f++) {
			if (t->entities[i].def.fields[f].refers != &t->entities[entity].def)
				continue;
			for (size_t r = 0; r < db->tables[i].n; r++)
				if (db->tables[i].rows[r]->text[f] != NULL && atoll(db->tables[i].rows[r]->text[f]) == id)
					return true;
			for (size_t x = 0; x < SIM_TXS; x++)
				for (size_t o = 0; db->txs[x].open && o < db->txs[x].n; o++)
					if (db->txs[x].ops[o].entity == i && db->txs[x].ops[o].text[f] != NULL &&
					    atoll(db->txs[x].ops[o].text[f]) == id)
						return true;
		}
	return false;
}

int64_t db_oldest_open_us(const struct db *db)
{
	int64_t oldest = world_now(db->world);

	for (size_t x = 0; x < SIM_TXS; x++)
		if (db->txs[x].open && db->txs[x].begun_us < oldest)
			oldest = db->txs[x].begun_us;
	return oldest;
}

/* ---- what a row means ----------------------------------------------------------------------------------------- */

static bool cleans(const struct field_def *f)
{
	return f->n_clean > 0;		/* plan.c knows one cleaning: trim, lower */
}

static char *canon_text(const struct field_def *f, const char *text)
{
	char *s, *p;
	size_t n;

	if (!cleans(f))
		return xstrdup(text);
	while (*text == ' ')
		text++;
	n = strlen(text);
	while (n > 0 && text[n - 1] == ' ')
		n--;
	s = xstrndup(text, n);
	for (p = s; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return s;
}

char *db_canon(const struct db *db, const struct db_row *r, size_t entity, size_t field)
{
	const struct entity_def *d = &db->world->topology->entities[entity].def;
	const struct field_def *f = &d->fields[field];
	const struct db_row *parent;

	if (r->text[field] == NULL)
		return NULL;
	if (f->type != FIELD_REFERENCE)
		return canon_text(f, r->text[field]);
	parent = db_row_by_id(db, f->refers->index, atoll(r->text[field]));
	return parent != NULL ? xstrdup(db->world->records[parent->record].key) : NULL;
}

static void tuple_add(struct buf *b, const struct db *db, const struct db_row *r, size_t entity, size_t field)
{
	char *s = db_canon(db, r, entity, field);

	if (b->len > 0)
		buf_addc(b, '\x1f');
	buf_adds(b, s != NULL ? s : "\\N");
	free(s);
}

char *db_tuple(const struct db *db, const struct db_row *r, size_t entity, size_t unit)
{
	struct buf b = { 0 };

	for (size_t f = 0; f < SIM_FIELDS; f++)
		if (db->world->unit_fields[entity][unit] & UINT32_C(1) << f)
			tuple_add(&b, db, r, entity, f);
	return buf_take(&b);
}

char *db_canonical_row(const struct db *db, const struct db_row *r, size_t entity)
{
	struct buf b = { 0 };

	for (size_t f = 0; f < db->world->topology->entities[entity].def.n_fields; f++)
		tuple_add(&b, db, r, entity, f);
	return buf_take(&b);
}

bool db_value_invalid(const struct world *w, size_t entity, size_t field, const char *canonical)
{
	const struct field_def *f = &w->topology->entities[entity].def.fields[field];

	return canonical != NULL && f->n_checks > 0 && (int64_t)strlen(canonical) > f->checks[0].max_length;
}

/* The last endpoint's table has a check that no topology knows of. */
bool db_value_poison(const struct db *db, size_t entity, size_t field, const char *canonical)
{
	const struct world *w = db->world;
	const char *p = canonical;

	if (!w->plan.poison || canonical == NULL || db->index != w->plan.n_endpoints - 1 || entity != 0 ||
	    w->unit_of[entity][field] != 0)
		return false;
	while (*p != '\0' && !isdigit((unsigned char)*p))
		p++;
	return *p != '\0' && atoll(p) % 11 == 0;
}

/* ---- backups ----------------------------------------------------------------------------------------------------- */

static struct db_row *row_copy(const struct db_row *r)
{
	struct db_row *c = xmalloc(sizeof *c);

	*c = *r;
	c->locked_by = 0;
	for (size_t f = 0; f < SIM_FIELDS; f++)
		c->text[f] = r->text[f] != NULL ? xstrdup(r->text[f]) : NULL;
	c->open = xcalloc(r->n_open + 1, sizeof *c->open);
	for (size_t i = 0; i < r->n_open; i++)
		c->open[i] = r->open[i];
	return c;
}

static void table_copy(struct db_table *to, const struct db_table *from)
{
	*to = (struct db_table){ .n = from->n, .next_id = from->next_id, .n_log = from->n_log };
	to->rows = xcalloc(from->n + 1, sizeof(struct db_row *));
	for (size_t i = 0; i < from->n; i++)
		to->rows[i] = row_copy(from->rows[i]);
	to->log = xcalloc(from->n_log + 1, sizeof *to->log);
	for (size_t i = 0; i < from->n_log; i++) {
		to->log[i] = from->log[i];
		to->log[i].taken = 0;
	}
}

static void table_fini(struct db_table *t)
{
	for (size_t i = 0; i < t->n; i++)
		row_free(t->rows[i]);
	free(t->rows);
	free(t->log);
}

static void copy_free(struct db *db)
{
	for (size_t t = 0; db->copy != NULL && t < SIM_ENTITIES; t++)
		table_fini(&db->copy->tables[t]);
	free(db->copy);
	db->copy = NULL;
}

void db_copy_take(struct db *db)
{
	copy_free(db);
	db->copy = xcalloc(1, sizeof *db->copy);
	for (size_t t = 0; t < SIM_ENTITIES; t++)
		table_copy(&db->copy->tables[t], &db->tables[t]);
	db->copy->epoch = db->epoch;
	db->copy->fence = db->fence;
	db->copy->greeted = db->greeted;
	db->copy->taken_us = world_now(db->world);
}

/* Row versions and numbers of the log go on: by these the history tells what it was when. */
void db_copy_restore(struct db *db)
{
	struct db_copy *c = db->copy;

	for (size_t t = 0; t < SIM_ENTITIES; t++) {
		table_fini(&db->tables[t]);
		db->tables[t] = c->tables[t];
	}
	db->epoch = c->epoch;
	db->fence = c->fence;
	db->greeted = c->greeted;
	db->life++;
	db->put_back_us = world_now(db->world);
	db->unrecognised = true;
	free(c);
	db->copy = NULL;
}

void db_fini(struct db *db)
{
	copy_free(db);
	for (size_t t = 0; t < SIM_ENTITIES; t++)
		table_fini(&db->tables[t]);
	for (size_t x = 0; x < SIM_TXS; x++)
		for (size_t o = 0; db->txs[x].open && o < db->txs[x].n; o++)
			for (size_t f = 0; f < SIM_FIELDS; f++)
				free(db->txs[x].ops[o].text[f]);
}
