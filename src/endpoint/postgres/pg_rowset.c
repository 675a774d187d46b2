/*
 * pg_rowset.c - a result as rows, without copying a value: they point into the PGresult, which lives as long.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "endpoint/postgres/pg.h"

struct pg_rowset {
	struct rowset rs;		/* first member */
	PGresult *res;
	struct value *values;
};

static void release(struct rowset *rs)
{
	struct pg_rowset *p = (struct pg_rowset *)rs;

	PQclear(p->res);
	free(p->values);
	free(p->rs.rows);
	free(p);
}

static struct value value_at(const PGresult *res, int row, int column)
{
	int len = PQgetlength(res, row, column);

	if (len == 0 && PQgetisnull(res, row, column))
		return VALUE_NULL;
	return (struct value){ PQgetvalue(res, row, column), len };
}

enum { ROW_ID, ROW_VERSION, ROW_STAMP, ROW_ABSENCE, ROW_COLUMNS };

static void take_head(struct row *row, const char *stamp, const char *absence)
{
	row->stamp = stamp == NULL ? STAMP_UNKNOWN : strtoll(stamp, NULL, 10);
	row->gone = absence[0] == 'g';
	row->outside = absence[0] == 'o';
	row->large = absence[0] == 'l';
}

struct rowset *pg_rowset_take(const struct pg_table *t, PGresult *res)
{
	struct pg_rowset *p = xcalloc(1, sizeof *p);
	size_t n = (size_t)PQntuples(res);

	assert((size_t)PQnfields(res) >= ROW_COLUMNS + t->n_columns);
	p->res = res;
	p->rs.release = release;
	p->rs.n = n;
	p->rs.rows = xcalloc(n, sizeof *p->rs.rows);
	p->values = xcalloc(n * t->n_columns, sizeof *p->values);
	for (size_t i = 0; i < n; i++) {
		struct row *row = &p->rs.rows[i];
		struct value *values = p->values + i * t->n_columns;
		int r = (int)i;

		row->id = value_at(res, r, ROW_ID);
		row->version = value_at(res, r, ROW_VERSION);
		take_head(row, PQgetisnull(res, r, ROW_STAMP) ? NULL : PQgetvalue(res, r, ROW_STAMP), PQgetvalue(res, r, ROW_ABSENCE));
		row->columns = values;
		p->rs.bytes += (size_t)row->id.len;
		for (size_t c = 0; c < t->n_columns; c++) {
			values[c] = value_at(res, r, (int)(ROW_COLUMNS + c));
			p->rs.bytes += values[c].len > 0 ? (size_t)values[c].len : 0;
		}
	}
	return &p->rs;
}

/* ---- images ------------------------------------------------------------------------------------------ */

/* The next part of a record's text: in quotes, where a quote and a backslash stand twice; plain; or nothing, which is NULL. */
static struct value next_part(const char **at, const char *end, char **out)
{
	bool quoted = *at < end && **at == '"';
	const char *p = *at + quoted;
	char *part = *out;

	while (p < end && (quoted ? *p != '"' || (p + 1 < end && p[1] == '"') : *p != ',' && *p != ')')) {
		p += quoted && (*p == '"' || *p == '\\');
		*(*out)++ = *p++;
	}
	*at = p + quoted + 1;
	*(*out)++ = '\0';
	return quoted || *out - part > 1 ? (struct value){ part, (int32_t)(*out - part - 1) } : VALUE_NULL;
}

const struct row *pg_row_of_image(const struct pg_table *t, struct value image, struct arena *arena)
{
	size_t n = ROW_COLUMNS + t->n_columns;
	struct row *row = arena_zalloc(arena, sizeof *row);
	struct value *parts = arena_alloc(arena, n * sizeof *parts);
	char *out = arena_alloc(arena, (size_t)image.len + n);
	const char *at = image.data + 1, *end = image.data + image.len;		/* behind the first bracket */

	for (size_t i = 0; i < n; i++)
		parts[i] = next_part(&at, end, &out);
	row->id = parts[ROW_ID];
	row->version = parts[ROW_VERSION];
	take_head(row, parts[ROW_STAMP].data, parts[ROW_ABSENCE].data != NULL ? parts[ROW_ABSENCE].data : "");
	row->columns = parts + ROW_COLUMNS;
	return row;
}
