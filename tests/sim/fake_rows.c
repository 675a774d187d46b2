/*
 * fake_rows.c - rows of a simulated database as the seam has them.
 */
#include "fake_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"

struct fake_rowset {
	struct rowset rowset;
	struct arena arena;
};

static void rowset_release(struct rowset *rs)
{
	struct fake_rowset *f = (struct fake_rowset *)rs;

	free(rs->rows);
	arena_fini(&f->arena);
	free(f);
}

struct rowset *fake_rowset_new(void)
{
	struct fake_rowset *f = xcalloc(1, sizeof *f);

	arena_init(&f->arena);
	f->rowset.release = rowset_release;
	return &f->rowset;
}

static struct value text_value(struct arena *a, const char *s)
{
	return s != NULL ? (struct value){ arena_dup(a, s, strlen(s)), (int32_t)strlen(s) } : VALUE_NULL;
}

struct value fake_number(struct arena *a, int64_t n)
{
	return value_of(arena_printf(a, "%" PRId64, n));
}

int64_t fake_stamp(const struct db *db, int64_t stamp)
{
	return stamp != STAMP_UNKNOWN && db->world->mutation == MUTATE_WRONG_STAMP && db->index == 0 ?
	       stamp + 3600 * (int64_t)SECOND : stamp;
}

static const struct value *columns_of(struct db *db, const struct db_row *r, size_t entity, struct arena *a)
{
	const struct entity_def *d = &db->world->topology->entities[entity].def;
	struct value *v = arena_zalloc(a, (SIM_FIELDS + KEY_FIELDS_MAX) * sizeof *v);
	size_t c = 0;

	for (size_t f = 0; f < d->n_fields; f++) {
		const struct db_row *parent;

		v[c++] = text_value(a, r->text[f]);
		if (d->fields[f].type != FIELD_REFERENCE)
			continue;
		parent = r->text[f] != NULL ? db_row_by_id(db, d->fields[f].refers->index, atoll(r->text[f])) : NULL;
		for (size_t k = 0; k < d->fields[f].refers->n_key; k++)
			v[c++] = parent != NULL ? text_value(a, parent->text[k]) : VALUE_NULL;
	}
	return v;
}

void fake_row_fill(struct db *db, const struct db_row *r, size_t entity, struct arena *a, struct row *out)
{
	*out = (struct row){
		.id = fake_number(a, r->id), .version = fake_number(a, (int64_t)r->version),
		.stamp = fake_stamp(db, r->modified), .columns = columns_of(db, r, entity, a),
	};
}

struct arena *fake_rowset_arena(struct rowset *rs)
{
	return &((struct fake_rowset *)rs)->arena;
}
