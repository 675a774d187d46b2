#include "endpoint/postgres/pg_alike.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_sql.h"

/* What lies beyond ASCII can be asked only of a database in Unicode, and matters only under a collation. */
static const struct {
	uint32_t alike;
	bool collated;
	const char *one, *other;
} examples[] = {
	{ KEY_ALIKE_CASE, false, "'a'", "'A'" },
	{ KEY_ALIKE_BLANKS, false, "'a'", "'a '" },
	{ KEY_ALIKE_FORMS, true, "U&'\\00e9'", "U&'e\\0301'" },
	{ KEY_ALIKE_ACCENTS, true, "U&'e'", "U&'\\00e9'" },
};

static const struct pg_column *loose_key(const struct pg_table *t, const struct entity_def *def, size_t k)
{
	const struct pg_column *c = &t->fields[def->key[k]];

	return def->fields[def->key[k]].type == FIELD_TEXT && c->loose != NULL ? c : NULL;
}

/* Arrays compare as their elements' type and collation do by themselves; "=" is looked up by name, and the search path is empty. */
static void add_column(struct buf *sql, const struct pg_column *c)
{
	buf_adds(sql, sql->len > 0 ? ", 0" : "SELECT 0");
	for (size_t i = 0; i < countof(examples); i++)
		if (!examples[i].collated || c->collated)
			buf_addf(sql, " + %u * ((ARRAY[%s]::%s) = (ARRAY[%s]::%s))::pg_catalog.int4", examples[i].alike,
				 examples[i].one, c->loose, examples[i].other, c->loose);
}

char *pg_alike_sql(const struct pg_table *t, const struct entity_def *def)
{
	struct buf sql = { 0 };

	for (size_t k = 0; k < def->n_key; k++)
		if (loose_key(t, def, k) != NULL)
			add_column(&sql, loose_key(t, def, k));
	return sql.len > 0 ? buf_take(&sql) : NULL;
}

/* What format_type() has without a length is not filled up. A typmod counts the four bytes of a length word. */
static uint32_t char_width(const struct pg_column *c)
{
	return c->typmod > 4 ? (uint32_t)c->typmod - 4 : 0;
}

void pg_alike_take(struct pg_table *t, const struct entity_def *def, const PGresult *res)
{
	int column = 0;

	for (size_t k = 0; k < def->n_key; k++) {
		const struct pg_column *c = loose_key(t, def, k);

		if (c == NULL)
			continue;
		t->alike[k] = (uint32_t)strtoul(PQgetvalue(res, 0, column++), NULL, 10);
		if (pg_same_how(c) == PG_SAME_CHAR)
			t->alike[k] |= KEY_ALIKE_WIDTH * char_width(c);
	}
}
