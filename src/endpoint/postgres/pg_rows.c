/*
 * pg_rows.c - reading rows: read, read_by_key, read_referring, sum, count, stamps, estimate, split, position_now; and the table of a
 * link's operations. Lists are in pg_list.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_ask.h"
#include "endpoint/postgres/pg_bytes.h"
#include "endpoint/postgres/pg_capture.h"
#include "endpoint/postgres/pg_install.h"
#include "endpoint/postgres/pg_moment.h"
#include "endpoint/postgres/pg_sql.h"
#include "endpoint/postgres/pg_sums.h"
#include "endpoint/postgres/pg_zone.h"
#include "model/record.h"

/* ---- rows -------------------------------------------------------------------------------------------- */

static void answer_rowset(struct ask *a, PGresult *res, const struct err *e)
{
	struct rowset *rows = e == NULL ? pg_rowset_take(a->pl->table, res) : NULL;

	pg_note_bytes(a->pl, rows);
	a->done.rowset(a->arg, rows, e);
}

static void pg_read(struct link *l, const struct value *ids, size_t n, rowset_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "reading rows", answer_rowset, arg);
	const struct pg_table *t = a->pl->table;

	a->done.rowset = done;
	if (pg_ask_refuses(a))
		return;
	buf_addf(&a->st.sql, "SELECT %s %s WHERE t.%s ", t->select_list, t->from_clause, t->id.quoted);
	pg_add_operator(&a->st.sql, &t->id, "=");
	buf_addf(&a->st.sql, " ANY ($%d::pg_catalog.text[]::%s[])", pg_stmt_values(&a->st, ids, n, 1), pg_cast_type(&t->id));
	pg_ask_send(a);
}

static void pg_read_referring(struct link *l, size_t field, const struct value *ids, size_t n, size_t max, rowset_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "reading rows that refer to others", answer_rowset, arg);
	const struct pg_table *t = a->pl->table;
	const struct pg_column *c;

	a->done.rowset = done;
	if (pg_ask_refuses(a))
		return;
	c = &t->fields[field];
	buf_addf(&a->st.sql, "SELECT %s %s WHERE t.%s ", t->select_list, t->from_clause, c->quoted);
	pg_add_operator(&a->st.sql, c, "=");
	buf_addf(&a->st.sql, " ANY ($%d::pg_catalog.text[]::%s[])", pg_stmt_values(&a->st, ids, n, 1), pg_cast_type(c));
	if (t->gone != NULL)
		buf_addf(&a->st.sql, " AND NOT (%s)", t->gone);
	buf_addf(&a->st.sql, " LIMIT %zu", max);
	pg_ask_send(a);
}

/* A canonical key value that its column's type may refuse has to be compared as text: better slow than an error for all. */
static void add_key_match(struct buf *sql, const char *column, const struct pg_column *c, enum field_type type, const char *value)
{
	if (pg_is_text(c)) {
		buf_addf(sql, "%s ", column);
		pg_add_operator(sql, c, "=");
		buf_addf(sql, " %s::%s", value, pg_cast_type(c));
	} else if (c->zone != NULL) {
		char *moment = xasprintf("%s::pg_catalog.timestamptz", value);

		buf_addf(sql, "%s = ", column);
		pg_zone_local(sql, c, moment);
		free(moment);
	} else if (type == FIELD_INTEGER && c->category == 'N') {
		buf_addf(sql, "%s = %s::pg_catalog.int8", column, value);
	} else if (type == FIELD_DECIMAL && c->category == 'N') {
		buf_addf(sql, "%s = %s::pg_catalog.numeric", column, value);
	} else if (type == FIELD_TEXT || type == FIELD_REFERENCE || pg_same_how(c) == PG_SAME_JSON) {
		buf_addf(sql, "%s::pg_catalog.text = %s", column, value);
	} else {
		buf_addf(sql, "%s = %s::%s", column, value, pg_cast_type(c));
	}
}

/* A key field that is itself a reference: its canonical form is the parent's key, so the parent is looked up. */
static void add_parent_match(struct buf *sql, const struct pg_link *pl, uint8_t field, int first_column)
{
	const struct pg_table *t = pl->table;
	const struct pg_parent *parent = &t->parents[field];
	const struct entity_def *refers = pl->link.mapping->entity->fields[field].refers;
	const struct pg_link *up = (const struct pg_link *)endpoint_link(pl->link.endpoint, refers->index);

	buf_addf(sql, "t.%s IN (SELECT p.%s FROM %s AS p WHERE ", t->fields[field].quoted, parent->id, parent->quoted);
	for (size_t i = 0; i < parent->n_keys; i++) {
		char column[160], value[32];
		const struct pg_column *c = up != NULL && up->table != NULL ? &up->table->fields[refers->key[i]] : NULL;

		snprintf(column, sizeof column, "p.%s", parent->keys[i]);
		snprintf(value, sizeof value, "k.c%zu", (size_t)first_column + i);
		buf_adds(sql, i > 0 ? " AND " : "");
		if (c != NULL)
			add_key_match(sql, column, c, refers->fields[refers->key[i]].type, value);
		else
			buf_addf(sql, "%s::pg_catalog.text = %s", column, value);
	}
	buf_addc(sql, ')');
}

/* The columns of one key field: its value, or the parent's key values. Gives how many. */
static size_t add_key_params(struct ask *a, const struct field_def *f, const struct value *keys, size_t n, size_t step)
{
	size_t n_columns = f->refers != NULL ? f->refers->n_key : 1;
	struct value *parts;

	if (f->refers == NULL) {
		pg_stmt_values(&a->st, keys, n, step);
		return 1;
	}
	parts = xcalloc(n * n_columns + 1, sizeof *parts);
	for (size_t i = 0; i < n; i++)
		if (value_is_null(keys[i * step]) || !record_key_decode(keys[i * step], n_columns, &parts[i * n_columns]))
			for (size_t k = 0; k < n_columns; k++)
				parts[i * n_columns + k] = VALUE_NULL;	/* no such parent: equals nothing */
	for (size_t k = 0; k < n_columns; k++)
		pg_stmt_values(&a->st, parts + k, n, n_columns);
	free(parts);
	return n_columns;
}

static void pg_read_by_key(struct link *l, const struct value *keys, size_t n, rowset_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "reading rows by key", answer_rowset, arg);
	const struct entity_def *def = l->mapping->entity;
	const struct pg_table *t = a->pl->table;
	struct buf *sql = &a->st.sql;
	struct buf on = { 0 };
	size_t column = 0;

	a->done.rowset = done;
	if (pg_ask_refuses(a))
		return;
	for (size_t k = 0; k < def->n_key; k++) {
		const struct field_def *f = &def->fields[def->key[k]];
		char name[160], value[32];

		buf_adds(&on, k > 0 ? " AND " : "");
		snprintf(name, sizeof name, "t.%s", t->fields[def->key[k]].quoted);
		snprintf(value, sizeof value, "k.c%zu", column);
		if (f->refers != NULL)
			add_parent_match(&on, a->pl, def->key[k], (int)column);
		else
			add_key_match(&on, name, &t->fields[def->key[k]], f->type, value);
		column += add_key_params(a, f, keys + k, n, def->n_key);
	}
	buf_addf(sql, "SELECT %s %s JOIN unnest(", t->select_list, t->from_clause);
	for (size_t i = 0; i < column; i++)
		buf_addf(sql, "%s$%zu::pg_catalog.text[]", i > 0 ? ", " : "", i + 1);
	buf_adds(sql, ") AS k(");
	for (size_t i = 0; i < column; i++)
		buf_addf(sql, "%sc%zu", i > 0 ? ", " : "", i);
	buf_addf(sql, ") ON %s", on.p);
	buf_fini(&on);
	pg_ask_send(a);
}

/* ---- what the change log and the planner know -------------------------------------------------------- */

static void answer_stamps(struct ask *a, PGresult *res, const struct err *e)
{
	int n = res != NULL ? PQntuples(res) : 0;
	struct stamps *list = xcalloc((size_t)n + 1, sizeof *list);

	for (int i = 0; i < n; i++) {
		list[i].id = pg_cell(res, i, 0);
		list[i].stamp = pg_cell_int(res, i, 1, STAMP_UNKNOWN);
		list[i].deleted = pg_cell_true(res, i, 2);
	}
	a->done.stamps(a->arg, list, (size_t)n, e);
	free(list);
	PQclear(res);
}

static void pg_stamps(struct link *l, const struct value *ids, size_t n, stamps_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "reading change times", answer_stamps, arg);

	a->done.stamps = done;
	if (l->mapping->endpoint->capture != CAPTURE_LISTEN) {	/* no change log: nothing known, and that is no error */
		pg_ask_nothing(a);
		return;
	}
	if (pg_ask_refuses(a))
		return;
	pg_log_stamps_sql(&a->st, a->pl, ids, n);
	pg_ask_send(a);
}

static void answer_sums(struct ask *a, PGresult *res, const struct err *e)
{
	struct part_sum *parts = e == NULL ? xcalloc(SUM_PARTS, sizeof *parts) : NULL;

	if (e == NULL)
		pg_sums_take(res, parts);
	PQclear(res);
	a->done.summed(a->arg, parts, a->until, e);
	free(parts);
}

/* Where the range ends: then what is in it. */
static void on_range_end(void *arg, PGresult *res, const struct err *e)
{
	struct ask *a = arg;
	bool keeps_long;

	if (pg_ask_fails(a, res, e))
		return;
	if (!PQgetisnull(res, 0, 0))
		a->until = xstrdup(PQgetvalue(res, 0, 0));
	keeps_long = PQgetvalue(res, 0, 1)[0] == 't';
	PQclear(res);
	pg_stmt_again(&a->st);
	pg_sums_sql(&a->st, a->pl, a->after, a->until, &a->seeds, keeps_long);
	pg_ask_send(a);
}

static void pg_sum(struct link *l, const char *after, size_t max, const struct sum_seeds *seeds, summed_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "adding up rows", answer_sums, arg);

	a->done.summed = done;
	a->seeds = *seeds;
	a->after = after != NULL ? xstrdup(after) : NULL;
	if (pg_ask_refuses(a))
		return;
	pg_range_end_sql(&a->st, a->pl, a->after, max);
	pg_stmt_call(&a->st, a->pl->pg, on_range_end, a);
}

/* Below this estimate the rows are counted: cheap, and the planner guesses wildly about small, never analysed tables. */
enum { COUNT_BELOW = 50000 };

static void answer_count(struct ask *a, PGresult *res, const struct err *e)
{
	a->done.number(a->arg, e == NULL ? pg_cell_int(res, 0, 0, 0) : 0, e);
	PQclear(res);
}

static void answer_estimate(struct ask *a, PGresult *res, const struct err *e)
{
	const char *rows = e == NULL ? strstr(PQgetvalue(res, 0, 0), "\"Plan Rows\": ") : NULL;
	int64_t n = rows != NULL ? strtoll(rows + strlen("\"Plan Rows\": "), NULL, 10) : 0;
	struct ask *count;

	if (e != NULL || n >= COUNT_BELOW) {
		a->done.number(a->arg, n, e);
		PQclear(res);
		return;
	}
	PQclear(res);
	count = pg_ask_new(&a->pl->link, "counting rows", answer_count, a->arg);
	count->done.number = a->done.number;
	buf_addf(&count->st.sql, "SELECT count(*) FROM %s", a->pl->table->quoted);
	pg_ask_send(count);
}

static void pg_count(struct link *l, number_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "counting rows", answer_count, arg);

	a->done.number = done;
	if (pg_ask_refuses(a))
		return;
	pg_count_sql(&a->st, a->pl);
	pg_ask_send(a);
}

static void pg_estimate(struct link *l, number_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "estimating rows", answer_estimate, arg);

	a->done.number = done;
	if (pg_ask_refuses(a))
		return;
	/* The planner scales its statistics to the table's size of now, and knows partitions. */
	buf_addf(&a->st.sql, "EXPLAIN (FORMAT JSON) SELECT 1 FROM %s", a->pl->table->quoted);
	pg_ask_send(a);
}

static void answer_split(struct ask *a, PGresult *res, const struct err *e)
{
	int n = e == NULL ? PQntuples(res) : 0;
	struct value *ids = xcalloc((size_t)n + 1, sizeof *ids);

	for (int i = 0; i < n; i++)
		ids[i] = pg_cell(res, i, 0);
	a->done.ids(a->arg, ids, (size_t)n, e);
	free(ids);
	PQclear(res);
}

/* Of a large table a sample tells as well, and takes no time. */
enum { SAMPLE_ROWS = 100000 };

static void pg_split(struct link *l, size_t n, int64_t rows, ids_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "parting the table", answer_split, arg);
	const struct pg_table *t = a->pl->table;
	struct buf *sql = &a->st.sql;

	a->done.ids = done;
	if (pg_ask_refuses(a))
		return;
	/* In the order of the ids, which is not that of their texts. */
	buf_adds(sql, "SELECT p.id::text FROM (SELECT DISTINCT u.id FROM unnest((SELECT percentile_disc(ARRAY[");
	for (size_t i = 1; i < n; i++)
		buf_addf(sql, "%s%.17g", i > 1 ? ", " : "", (double)i / (double)n);
	buf_addf(sql, "]::float8[]) WITHIN GROUP (ORDER BY t.%s) FROM %s t", t->id.quoted, t->quoted);
	if (rows > SAMPLE_ROWS)
		buf_addf(sql, " TABLESAMPLE SYSTEM (%.6f)", 100.0 * SAMPLE_ROWS / (double)rows);
	buf_adds(sql, ")) AS u(id) WHERE u.id IS NOT NULL) AS p ORDER BY p.id");
	pg_ask_send(a);
}

static void answer_position(struct ask *a, PGresult *res, const struct err *e)
{
	char *position = res != NULL ? pg_poll_position_of(res) : NULL;

	PQclear(res);
	a->done.position(a->arg, position, e);
	free(position);
}

static void answer_log(struct ask *a, PGresult *res, const struct err *e)
{
	struct err gone;

	if (e == NULL && PQgetisnull(res, 0, 0)) {
		err_set(&gone, ERR_TRANSIENT, "", "what fills the change log is not there");
		e = &gone;
		pg_catalog_stale(a->pl->pg);
	}
	a->done.position(a->arg, e == NULL ? PQgetvalue(res, 0, 0) : NULL, e);
	PQclear(res);
}

static void log_position_now(struct link *l, position_fn *done, void *arg)
{
	struct ask *a = pg_ask_new(l, "asking which change log it is", answer_log, arg);

	a->done.position = done;
	if (pg_ask_refuses(a))
		return;
	pg_log_position_sql(&a->st, a->pl);
	pg_ask_send(a);
}

static void pg_position_now(struct link *l, position_fn *done, void *arg)
{
	struct ask *a;

	if (pg_install_wanted((const struct pg_link *)l)) {
		log_position_now(l, done, arg);
		return;
	}
	a = pg_ask_new(l, "asking for the position", answer_position, arg);
	a->done.position = done;
	if (pg_ask_refuses(a))
		return;
	pg_poll_bound_sql(&a->st, a->pl, NULL);
	pg_ask_send(a);
}

const struct link_ops pg_link_ops = {
	.capture = pg_capture_op,
	.ack = pg_ack_op,
	.drop = pg_drop_op,
	.list = pg_list,
	.moment = pg_moment_op,
	.list_at = pg_list_at,
	.list_parts = pg_list_parts,
	.watermark = pg_watermark,
	.list_written = pg_list_written,
	.sum = pg_sum,
	.count = pg_count,
	.read = pg_read,
	.read_by_key = pg_read_by_key,
	.read_referring = pg_read_referring,
	.stamps = pg_stamps,
	.write = pg_write_op,
	.attempt = pg_attempt_op,
	.position_now = pg_position_now,
	.estimate = pg_estimate,
	.split = pg_split,
	.refuse = pg_refuse_op,
};
