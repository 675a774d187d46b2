#include "endpoint/postgres/pg_sums.h"

#include <inttypes.h>
#include <string.h>

#include "endpoint/postgres/pg_bytes.h"
#include "endpoint/postgres/pg_sql.h"

/* Columns of the inner query, in the order of pg_table.select_list, which they follow. */
#define INNER "x(id, version, stamp, absence"

static const struct entity_def *entity_of(const struct pg_link *pl)
{
	return pl->link.mapping->entity;
}

static void add_text(struct pg_stmt *st, const char *text, const char *type)
{
	buf_addf(&st->sql, " $%d::%s", pg_stmt_value(st, value_of(text)), type);
}

void pg_add_range(struct pg_stmt *st, const struct pg_table *t, const char *after, const char *last)
{
	if (after != NULL) {
		buf_addf(&st->sql, " AND t.%s ", t->id.quoted);
		pg_add_operator(&st->sql, &t->id, ">");
		add_text(st, after, pg_cast_type(&t->id));
	}
	if (last != NULL) {
		buf_addf(&st->sql, " AND t.%s ", t->id.quoted);
		pg_add_operator(&st->sql, &t->id, "<=");
		add_text(st, last, pg_cast_type(&t->id));
	}
}

static int add_seed(struct pg_stmt *st, int64_t seed)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, seed);
	return pg_stmt_value(st, value_of(text));
}

void pg_add_part(struct buf *sql, const struct pg_link *pl, int seed)
{
	const struct entity_def *def = entity_of(pl);
	const struct pg_table *t = pl->table;

	buf_adds(sql, "(pg_catalog.hashtextextended(pg_catalog.concat_ws(','");
	for (size_t k = 0; k < def->n_key; k++) {
		const struct pg_parent *parent = &t->parents[def->key[k]];

		if (parent->quoted == NULL)
			buf_addf(sql, ", t.%s", t->fields[def->key[k]].quoted);
		for (size_t i = 0; parent->quoted != NULL && i < parent->n_keys; i++)
			buf_addf(sql, ", p%u.%s", (unsigned)def->key[k], parent->keys[i]);
	}
	buf_addf(sql, ") COLLATE pg_catalog.\"C\", $%d::pg_catalog.int8) & %d)", seed, SUM_PARTS - 1);
}

void pg_range_end_sql(struct pg_stmt *st, const struct pg_link *pl, const char *after, size_t max)
{
	const struct pg_table *t = pl->table;

	buf_addf(&st->sql, "SELECT (SELECT t.%s::pg_catalog.text FROM %s AS t WHERE true", t->id.quoted, t->quoted);
	pg_add_range(st, t, after, NULL);
	buf_addf(&st->sql, " ORDER BY t.%s OFFSET %zu LIMIT 1), ", t->id.quoted, max - 1);
	if (pg_may_be_short(pl, t))
		pg_add_keeps_long(&st->sql, t);
	else
		buf_adds(&st->sql, "true");
}

/* The columns of struct row, named one by one. */
static void add_inner_names(struct buf *sql, const struct pg_table *t)
{
	buf_adds(sql, INNER);
	for (size_t i = 0; i < t->n_columns; i++)
		buf_addf(sql, ", c%zu", i);
	buf_adds(sql, ", part)");
}

static void add_shown(struct buf *sql, const struct pg_link *pl)
{
	const struct entity_def *def = entity_of(pl);
	size_t column = 0;

	buf_adds(sql, "ROW(");
	for (size_t f = 0; f < def->n_fields; f++) {
		buf_addf(sql, "%sx.c%zu%s", f > 0 ? ", " : "", column, def->fields[f].type == FIELD_REFERENCE ? " IS NULL" : "");
		column++;
		for (size_t k = 0; k < pl->table->parents[f].n_keys; k++)
			buf_addf(sql, ", x.c%zu", column++);
	}
	buf_adds(sql, ")::pg_catalog.text COLLATE pg_catalog.\"C\"");
}

void pg_sums_sql(struct pg_stmt *st, const struct pg_link *pl, const char *after, const char *last, const struct sum_seeds *seeds, bool keeps_long)
{
	const struct pg_table *t = pl->table;
	struct buf *sql = &st->sql;
	int part = add_seed(st, seeds->part), row = add_seed(st, seeds->row);

	buf_adds(sql, "SELECT x.part, pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(");
	add_shown(sql, pl);
	buf_addf(sql, ", $%d::pg_catalog.int8)), pg_catalog.bool_or(x.absence IS NOT NULL) FROM (SELECT %s, ", row,
		 keeps_long ? t->select_list : t->short_list);
	pg_add_part(sql, pl, part);
	buf_addf(sql, " %s WHERE true", t->from_clause);
	pg_add_range(st, t, after, last);
	buf_adds(sql, ") AS ");
	add_inner_names(sql, t);
	buf_adds(sql, " WHERE x.absence IS NULL OR x.absence = 'large' GROUP BY x.part");
}

/* The sum is exact there, and longer than 64 bits. */
static uint64_t low_bits(const char *digits)
{
	bool minus = *digits == '-';
	uint64_t n = 0;

	for (digits += minus; *digits != '\0'; digits++)
		n = n * 10 + (uint64_t)(*digits - '0');
	return minus ? -n : n;
}

void pg_sums_take(const PGresult *res, struct part_sum *parts)
{
	memset(parts, 0, SUM_PARTS * sizeof *parts);
	for (int i = 0; i < PQntuples(res); i++) {
		struct part_sum *p = &parts[pg_cell_int(res, i, 0, 0) & (SUM_PARTS - 1)];

		p->rows = pg_cell_int(res, i, 1, 0);
		p->hash = low_bits(PQgetvalue(res, i, 2));
		p->unclear = PQgetvalue(res, i, 3)[0] == 't';
	}
}

void pg_count_sql(struct pg_stmt *st, const struct pg_link *pl)
{
	const struct pg_table *t = pl->table;

	buf_addf(&st->sql, "SELECT pg_catalog.count(*) FROM (SELECT %s, 0 %s) AS ", t->select_list, t->from_clause);
	add_inner_names(&st->sql, t);
	buf_adds(&st->sql, " WHERE x.absence IS NULL OR x.absence = 'large'");
}
