/*
 * pg_rowset.c - a result as rows, without copying a value: they point into the PGresult, which lives as long.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

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
		row->stamp = PQgetisnull(res, r, ROW_STAMP) ? STAMP_UNKNOWN : strtoll(PQgetvalue(res, r, ROW_STAMP), NULL, 10);
		row->gone = PQgetvalue(res, r, ROW_ABSENCE)[0] == 'g';
		row->outside = PQgetvalue(res, r, ROW_ABSENCE)[0] == 'o';
		row->large = PQgetvalue(res, r, ROW_ABSENCE)[0] == 'l';
		row->columns = values;
		p->rs.bytes += (size_t)row->id.len;
		for (size_t c = 0; c < t->n_columns; c++) {
			values[c] = value_at(res, r, (int)(ROW_COLUMNS + c));
			p->rs.bytes += values[c].len > 0 ? (size_t)values[c].len : 0;
		}
	}
	return &p->rs;
}
