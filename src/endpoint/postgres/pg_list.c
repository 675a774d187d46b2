/*
 * pg_list.c - rows by local id: list, list_at, list_parts; list_written, of those only that were written since a watermark.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "endpoint/postgres/pg_ask.h"
#include "endpoint/postgres/pg_bytes.h"
#include "endpoint/postgres/pg_moment.h"
#include "endpoint/postgres/pg_sums.h"
#include "endpoint/postgres/pg_watermark.h"

static void list_send(struct ask *a, bool counted);
static void on_written(void *arg, PGresult *res, const struct err *e);

static void answer_list(struct ask *a, PGresult *res, const struct err *e)
{
	bool cut = e == NULL && a->counted && pg_was_cut(res, pg_batch_bytes(a->pl, a->pl->table));
	struct rowset *rows = e == NULL ? pg_rowset_take(a->pl->table, res) : NULL;

	if (rows != NULL)
		rows->cut = cut;
	pg_note_bytes(a->pl, rows);
	a->done.rowset(a->arg, rows, e);
}

static void add_bytes_by_id(struct buf *sql, const struct pg_table *t)
{
	char *order = xasprintf("t.%s", t->id.quoted);

	pg_add_bytes_columns(sql, t, order);
	free(order);
}

/* No row: the end of the table, or a table that keeps long values. */
static void on_short_list(void *arg, PGresult *res, const struct err *e)
{
	struct ask *a = arg;

	if (e != NULL || PQntuples(res) > 0 || pg_mark_table(a->pl, &a->mark) == NULL) {
		pg_ask_result(arg, res, e);
		return;
	}
	PQclear(res);
	pg_stmt_again(&a->st);
	list_send(a, true);
}

static void add_parts(struct ask *a)
{
	int64_t list[SUM_PARTS];
	char seed[24];
	size_t n = 0;

	for (size_t p = 0; p < SUM_PARTS; p++)
		if (a->parts->bits[p / 64] >> (p % 64) & 1)
			list[n++] = (int64_t)p;
	snprintf(seed, sizeof seed, "%" PRId64, a->parts->seed);
	buf_adds(&a->st.sql, " AND ");
	pg_add_part(&a->st.sql, a->pl, pg_stmt_value(&a->st, value_of(seed)));
	buf_addf(&a->st.sql, " = ANY ($%d::pg_catalog.int8[])", pg_stmt_int8s(&a->st, list, n));
}

/* Several statements have no parameters. */
static void add_id(struct ask *a, const char *id)
{
	char *quoted;

	if (a->import == NULL) {
		buf_addf(&a->st.sql, "$%d", pg_stmt_value(&a->st, value_of(id)));
		return;
	}
	quoted = pg_quote_text(a->pl->pg, id);
	buf_adds(&a->st.sql, quoted != NULL ? quoted : "?");	/* rather an error than no rows */
	free(quoted);
}

static void add_bound(struct ask *a, const char *op, const char *id)
{
	const struct pg_table *t = a->pl->table;

	if (id == NULL)
		return;
	buf_addf(&a->st.sql, " AND t.%s ", t->id.quoted);
	pg_add_operator(&a->st.sql, &t->id, op);
	buf_addc(&a->st.sql, ' ');
	add_id(a, id);
	buf_addf(&a->st.sql, "::%s", pg_cast_type(&t->id));
}

static void list_send(struct ask *a, bool counted)
{
	const struct pg_table *t = a->pl->table;
	struct buf *sql = &a->st.sql;

	a->counted = counted && pg_batch_bytes(a->pl, t) > 0;
	a->st.several = a->import != NULL;
	buf_adds(sql, a->import != NULL ? a->import : "");
	buf_addf(sql, "%sSELECT %s", a->counted ? PG_BYTES_BEGIN : "", counted ? t->select_list : t->short_list);
	if (a->counted)
		add_bytes_by_id(sql, t);
	buf_addf(sql, " %s WHERE true", t->from_clause);
	if (!counted) {
		buf_adds(sql, " AND NOT ");
		pg_add_keeps_long(sql, t);
	}
	add_bound(a, ">", a->after);
	add_bound(a, "<=", a->until);
	if (a->parts != NULL)
		add_parts(a);
	if (a->since != NULL)
		pg_add_written_since(&a->st, a->since);
	buf_addf(sql, " ORDER BY t.%s LIMIT %zu", t->id.quoted, a->max);
	if (a->counted)
		pg_add_bytes_end(sql, pg_batch_bytes(a->pl, t));
	pg_stmt_call(&a->st, a->pl->pg, a->since != NULL ? on_written : counted ? pg_ask_result : on_short_list, a);
}

static struct ask *list_new(struct link *l, const char *after, const char *until, size_t max, rowset_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "listing rows", answer_list, arg);

	a->done.rowset = done;
	a->after = after != NULL ? xstrdup(after) : NULL;
	a->until = until != NULL ? xstrdup(until) : NULL;
	a->max = max;
	return a;
}

static void list_begin(struct ask *a)
{
	if (!pg_ask_refuses(a))
		list_send(a, pg_batch_bytes(a->pl, a->pl->table) == 0 || !pg_may_be_short(a->pl, a->pl->table));
}

void pg_list(struct link *l, const char *after, const char *until, size_t max, rowset_fn *done, void *arg)
{
	list_begin(list_new(l, after, until, max, done, arg));
}

void pg_list_at(struct link *l, const struct moment *moment, const char *after, const char *until, size_t max, rowset_fn *done, void *arg)
{
	struct ask *a = list_new(l, after, until, max, done, arg);

	a->import = xstrdup(pg_moment_import(moment));
	list_begin(a);
}

void pg_list_parts(struct link *l, const char *after, const char *until, const struct part_set *parts, size_t max, rowset_fn *done, void *arg)
{
	struct ask *a = list_new(l, after, until, max, done, arg);

	a->parts = xcalloc(1, sizeof *a->parts);
	*a->parts = *parts;
	list_begin(a);
}

/* ---- rows written since ------------------------------------------------------------------------------- */

static void answer_watermark(struct ask *a, PGresult *res, const struct err *e)
{
	char *now = res != NULL ? pg_watermark_take(res) : NULL;

	PQclear(res);
	a->done.watermark(a->arg, now, now != NULL && a->since != NULL && pg_watermark_holds(a->since, now), e);
	free(now);
}

void pg_watermark(struct link *l, const char *then, watermark_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "asking what was written since", answer_watermark, arg);

	a->done.watermark = done;
	a->since = then != NULL ? xstrdup(then) : NULL;
	if (pg_ask_refuses(a))
		return;
	if (!pg_watermark_may_be(a->pl)) {
		pg_ask_nothing(a);
		return;
	}
	pg_watermark_sql(&a->st, a->pl);
	pg_ask_send(a);
}

/* Most rows have not been written: so many times what is asked for are looked at. */
enum { LOOKED_AT = 16 };

static void tell_written(struct ask *a, const struct err *e)
{
	struct rowset *rows = e == NULL ? a->rows : NULL;

	a->rows = e == NULL ? NULL : a->rows;
	a->done.written(a->arg, rows, e == NULL ? a->until : NULL, e == NULL ? a->looked_at : 0, e);
}

/* How many rows lie between those that it was cut to. */
static void answer_written(struct ask *a, PGresult *res, const struct err *e)
{
	if (e == NULL && a->rows != NULL)
		a->looked_at = pg_cell_int(res, 0, 0, 0);
	PQclear(res);
	tell_written(a, e);
}

static void on_written(void *arg, PGresult *res, const struct err *e)
{
	struct ask *a = arg;
	const struct pg_table *t = a->pl->table;
	bool cut;

	if (pg_ask_fails(a, res, e))
		return;
	cut = PQntuples(res) > 0 && ((size_t)PQntuples(res) == a->max || (a->counted && pg_was_cut(res, pg_batch_bytes(a->pl, t))));
	a->rows = pg_rowset_take(t, res);
	pg_note_bytes(a->pl, a->rows);
	if (!cut) {
		tell_written(a, NULL);
		pg_ask_end(a);
		return;
	}
	free(a->until);
	a->until = xstrndup(a->rows->rows[a->rows->n - 1].id.data, (size_t)a->rows->rows[a->rows->n - 1].id.len);
	pg_stmt_again(&a->st);
	buf_addf(&a->st.sql, "SELECT pg_catalog.count(*) FROM %s AS t WHERE true", t->quoted);
	pg_add_range(&a->st, t, a->after, a->until);
	pg_ask_send(a);
}

static void on_end_known(void *arg, PGresult *res, const struct err *e)
{
	struct ask *a = arg;

	if (pg_ask_fails(a, res, e))
		return;
	if (!PQgetisnull(res, 0, 0))
		a->until = xstrdup(PQgetvalue(res, 0, 0));
	a->looked_at = pg_cell_int(res, 0, 2, 0);
	PQclear(res);
	pg_stmt_again(&a->st);
	list_send(a, true);
}

void pg_list_written(struct link *l, const char *since, const char *after, size_t max, written_rows_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "listing rows written since", answer_written, arg);
	const struct pg_table *t = a->pl->table;

	a->done.written = done;
	a->since = xstrdup(since);
	a->after = after != NULL ? xstrdup(after) : NULL;
	a->max = max;
	if (pg_ask_refuses(a))
		return;
	pg_range_end_sql(&a->st, a->pl, after, max * LOOKED_AT);
	buf_addf(&a->st.sql, ", (SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS t WHERE true", t->quoted);
	pg_add_range(&a->st, t, after, NULL);
	buf_addf(&a->st.sql, " ORDER BY t.%s LIMIT %zu) AS n)", t->id.quoted, max * LOOKED_AT);
	pg_stmt_call(&a->st, a->pl->pg, on_end_known, a);
}
