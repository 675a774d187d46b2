/*
 * unique.c - a column besides the key whose values must be unique in each table: who has a value, people who hand theirs on, and who is
 * kept waiting for one.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

const struct db_row *unique_holder(const struct db *db, size_t entity, const char *text, const struct db_row *but)
{
	const struct db_table *t = &db->tables[entity];
	int8_t f = db->world->unique[entity];

	for (size_t i = 0; f >= 0 && i < t->n; i++)
		if (t->rows[i] != but && same_text(t->rows[i]->text[f], text))
			return t->rows[i];
	return NULL;
}

/* Somebody's transaction takes it, or lets go of it, and is open yet. */
bool unique_pending(const struct db *db, size_t entity, const char *text, const struct db_row *but)
{
	const struct db_row *holder = unique_holder(db, entity, text, but);
	int8_t f = db->world->unique[entity];

	if (f < 0)
		return false;
	if (holder != NULL && holder->locked_by != 0)
		return true;
	for (size_t x = 0; x < SIM_TXS; x++)
		for (size_t o = 0; db->txs[x].open && o < db->txs[x].n; o++) {
			const struct app_op *op = &db->txs[x].ops[o];

			if (op->entity == entity && op->row != but && same_text(op->text[f], text))
				return true;
		}
	return false;
}

struct holders {			/* NULL: nobody */
	const struct db_row *of_key, *of_value;
};

static bool waited_for(struct db_row *const *rows, const struct holders *holders, const bool *stuck, size_t n, const struct db_row *row)
{
	for (size_t i = 0; i < n; i++)
		if (!stuck[i] && (holders[i].of_key == row || holders[i].of_value == row) && rows[i] != row)
			return true;
	return false;
}

static bool moves(struct db_row *const *rows, const bool *stuck, size_t n, const struct db_row *holder)
{
	for (size_t j = 0; holder != NULL && j < n; j++)
		if (!stuck[j] && rows[j] == holder)
			return true;
	return holder == NULL;
}

/* Does it have to stay where it is, as far as is known of the others? */
static bool is_stuck(struct db_row *const *rows, const struct holders *holders, const bool *stuck, size_t n, size_t i)
{
	const struct holders *h = &holders[i];
	bool waits = h->of_key != NULL || h->of_value != NULL;

	return !moves(rows, stuck, n, h->of_key) || !moves(rows, stuck, n, h->of_value) ||
	       (waits && !waited_for(rows, holders, stuck, n, rows[i]));
}

/*
 * Of the writes that wait for each other's keys or values: which could be done in one transaction? Those in a circle: each waits for one that
 * moves, and is waited for. stuck[] says which not; returns how many.
 */
size_t unique_cycle(const struct db *db, size_t entity, struct db_row *const *rows, const char *const *keys, const char *const *texts, size_t n,
		    bool *stuck)
{
	struct holders *holders = xcalloc(n + 1, sizeof *holders);
	size_t left = n;
	bool more = true;

	for (size_t i = 0; i < n; i++) {
		const struct db_row *holder = db_row_by_key(db, entity, keys[i]);

		holders[i] = (struct holders){ holder != rows[i] ? holder : NULL, unique_holder(db, entity, texts[i], rows[i]) };
	}
	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++)
			if (!stuck[i] && is_stuck(rows, holders, stuck, n, i)) {
				more = stuck[i] = true;
				left--;
			}
	}
	free(holders);
	return left;
}

/* ---- people ---------------------------------------------------------------------------------------------------- */

/* A value that a record has elsewhere and nobody here; NULL: none found. */
char *unique_from_elsewhere(struct world *w, const struct db *db, size_t entity)
{
	const struct db *other = &w->dbs[rng_below(&w->rng, (uint32_t)w->plan.n_endpoints)];
	const struct db_table *t = &other->tables[entity];
	const char *text = t->n > 0 ? t->rows[rng_below(&w->rng, (uint32_t)t->n)]->text[w->unique[entity]] : NULL;

	if (text == NULL || unique_holder(db, entity, text, NULL) != NULL || unique_pending(db, entity, text, NULL) ||
	    db_value_poison(db, entity, (size_t)w->unique[entity], text))
		return NULL;
	w->sometimes->taken_twice++;
	return xstrdup(text);
}

/* Two or three rows hand their values on, in one transaction that checks at its end. Returns how many; 0: not now. */
size_t unique_hand_on(struct world *w, struct db *db, size_t entity, struct db_row *rows[3], char *texts[3])
{
	struct db_table *t = &db->tables[entity];
	size_t n = 2 + rng_below(&w->rng, 2), found = 0;
	int8_t f = w->unique[entity];

	if (f < 0)
		return 0;
	for (size_t i = rng_below(&w->rng, (uint32_t)t->n + 1); i < t->n && found < n; i++)
		if (t->rows[i]->locked_by == 0 && t->rows[i]->text[f] != NULL)
			rows[found++] = t->rows[i];
	for (size_t i = 0; found >= 2 && i < found; i++)
		if (db_value_poison(db, entity, (size_t)f, rows[i]->text[f]))
			return 0;
	if (found < 2)
		return 0;
	for (size_t i = 0; i < found; i++)
		texts[i] = xstrdup(rows[(i + 1) % found]->text[f]);
	w->sometimes->swapped++;
	return found;
}

/* ---- at the end ------------------------------------------------------------------------------------------------ */

/* What waits because another row has its value waits for a row that has it. */
bool unique_waits_rightly(const struct world *w, uint32_t record, const struct db *db)
{
	const struct sim_record *r = &w->records[record];
	int8_t f = w->unique[r->entity];

	for (size_t e = 0; f >= 0 && e < w->plan.n_endpoints; e++) {
		const struct db_row *row = db_row_by_key(&w->dbs[e], r->entity, r->key);

		if (row != NULL && row->text[f] != NULL &&
		    unique_holder(db, r->entity, row->text[f], db_row_by_key(db, r->entity, r->key)) != NULL)
			return true;
	}
	return false;
}
