/*
 * pg_rows.c - reading rows: list, list_at, list_parts, read, read_by_key, read_referring, sum, count, stamps, estimate, split,
 * position_now.
 *
 * Each operation is one statement and one answer (sum: two, one after the other); struct ask carries it from the call to the answer.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_bytes.h"
#include "endpoint/postgres/pg_capture.h"
#include "endpoint/postgres/pg_install.h"
#include "endpoint/postgres/pg_moment.h"
#include "endpoint/postgres/pg_sql.h"
#include "endpoint/postgres/pg_sums.h"
#include "endpoint/postgres/pg_zone.h"
#include "model/record.h"

typedef void number_fn(void *arg, int64_t rows, const struct err *e);
typedef void position_fn(void *arg, const char *position, const struct err *e);

struct ask {
	struct pg_link *pl;
	struct pg_mark mark;
	struct pg_stmt st;
	const char *what;		/* for the error's story */
	void (*answer)(struct ask *, PGresult *res, const struct err *e);	/* res: still to be cleared by it */
	union {
		rowset_fn *rowset;
		stamps_fn *stamps;
		number_fn *number;
		position_fn *position;
		summed_fn *summed;
		ids_fn *ids;
	} done;
	void *arg;
	struct err refusal;		/* kind 0: there is just nothing to answer */
	char *after, *until;		/* list, sum: owned; NULL: from the beginning, to the end */
	char *import;			/* list: owned; what makes the statements see a moment; NULL: they see what is there now */
	struct part_set *parts;		/* list: owned; of these only; NULL: of all */
	struct sum_seeds seeds;		/* sum */
	size_t max;
	bool counted;			/* list: the bytes were asked for, too */
};

static struct ask *ask_new(struct link *l, const char *what, void (*answer)(struct ask *, PGresult *, const struct err *),
			   void *arg)
{
	struct ask *a = xcalloc(1, sizeof *a);

	a->pl = (struct pg_link *)l;
	a->mark = pg_mark_take(a->pl);
	a->what = what;
	a->answer = answer;
	a->arg = arg;
	pg_stmt_init(&a->st);
	a->st.params.reads = true;
	return a;
}

static void ask_end(struct ask *a)
{
	pg_stmt_fini(&a->st);
	free(a->after);
	free(a->until);
	free(a->import);
	free(a->parts);
	free(a);
}

static void ask_refused(void *arg, PGresult *res, const struct err *e)
{
	struct ask *a = arg;

	PQclear(res);
	if (e != NULL)
		a->refusal = *e;
	a->answer(a, NULL, a->refusal.kind != 0 ? &a->refusal : NULL);
	ask_end(a);
}

/* True when there is no table to ask: the answer comes soon. */
static bool ask_refuses(struct ask *a)
{
	if (a->pl->table != NULL)
		return false;
	pg_no_table(a->pl, &a->refusal);
	pg_soon(a->pl->pg, ask_refused, a);
	return true;
}

static void on_result(void *arg, PGresult *res, const struct err *e)
{
	struct ask *a = arg;
	struct err why;

	if (e != NULL && a->import != NULL && pg_moment_is_lost(e)) {
		err_set(&why, ERR_TRANSIENT, MOMENT_LOST, "the moment of the table that was listed cannot be seen any more");
	} else if (e != NULL) {
		why = *e;
		err_while(&why, "%s", a->what);
	} else if (pg_mark_table(a->pl, &a->mark) == NULL) {
		pg_table_changed(&why);
	} else {
		a->answer(a, res, NULL);
		ask_end(a);
		return;
	}
	PQclear(res);
	if (why.kind == ERR_ENDPOINT && strncmp(why.code, "42", 2) == 0)
		pg_catalog_stale(a->pl->pg);
	a->answer(a, NULL, &why);
	ask_end(a);
}

static void ask_send(struct ask *a)
{
	pg_stmt_call(&a->st, a->pl->pg, on_result, a);
}

/* ---- rows -------------------------------------------------------------------------------------------- */

static void answer_rowset(struct ask *a, PGresult *res, const struct err *e)
{
	struct rowset *rows = e == NULL ? pg_rowset_take(a->pl->table, res) : NULL;

	pg_note_bytes(a->pl, rows);
	a->done.rowset(a->arg, rows, e);
}

static void list_send(struct ask *a, bool counted);

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
		on_result(arg, res, e);
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
	buf_addf(sql, " ORDER BY t.%s LIMIT %zu", t->id.quoted, a->max);
	if (a->counted)
		pg_add_bytes_end(sql, pg_batch_bytes(a->pl, t));
	pg_stmt_call(&a->st, a->pl->pg, counted ? on_result : on_short_list, a);
}

static struct ask *list_new(struct link *l, const char *after, const char *until, size_t max, rowset_fn *done, void *arg)
{
	struct ask *a = ask_new(l, "listing rows", answer_list, arg);

	a->done.rowset = done;
	a->after = after != NULL ? xstrdup(after) : NULL;
	a->until = until != NULL ? xstrdup(until) : NULL;
	a->max = max;
	return a;
}

static void list_begin(struct ask *a)
{
	if (!ask_refuses(a))
		list_send(a, pg_batch_bytes(a->pl, a->pl->table) == 0 || !pg_may_be_short(a->pl, a->pl->table));
}

static void pg_list(struct link *l, const char *after, const char *until, size_t max, rowset_fn *done, void *arg)
{
	list_begin(list_new(l, after, until, max, done, arg));
}

static void pg_list_at(struct link *l, const struct moment *moment, const char *after, const char *until, size_t max, rowset_fn *done, void *arg)
{
	struct ask *a = list_new(l, after, until, max, done, arg);

	a->import = xstrdup(pg_moment_import(moment));
	list_begin(a);
}

static void pg_list_parts(struct link *l, const char *after, const char *until, const struct part_set *parts, size_t max, rowset_fn *done, void *arg)
{
	struct ask *a = list_new(l, after, until, max, done, arg);

	a->parts = xcalloc(1, sizeof *a->parts);
	*a->parts = *parts;
	list_begin(a);
}

static void pg_read(struct link *l, const struct value *ids, size_t n, rowset_fn *done, void *arg)
{
	struct ask *a = ask_new(l, "reading rows", answer_rowset, arg);
	const struct pg_table *t = a->pl->table;

	a->done.rowset = done;
	if (ask_refuses(a))
		return;
	buf_addf(&a->st.sql, "SELECT %s %s WHERE t.%s ", t->select_list, t->from_clause, t->id.quoted);
	pg_add_operator(&a->st.sql, &t->id, "=");
	buf_addf(&a->st.sql, " ANY ($%d::pg_catalog.text[]::%s[])", pg_stmt_values(&a->st, ids, n, 1), pg_cast_type(&t->id));
	ask_send(a);
}

static void pg_read_referring(struct link *l, size_t field, const struct value *ids, size_t n, size_t max, rowset_fn *done, void *arg)
{
	struct ask *a = ask_new(l, "reading rows that refer to others", answer_rowset, arg);
	const struct pg_table *t = a->pl->table;
	const struct pg_column *c;

	a->done.rowset = done;
	if (ask_refuses(a))
		return;
	c = &t->fields[field];
	buf_addf(&a->st.sql, "SELECT %s %s WHERE t.%s ", t->select_list, t->from_clause, c->quoted);
	pg_add_operator(&a->st.sql, c, "=");
	buf_addf(&a->st.sql, " ANY ($%d::pg_catalog.text[]::%s[]) LIMIT %zu", pg_stmt_values(&a->st, ids, n, 1), pg_cast_type(c), max);
	ask_send(a);
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
	struct ask *a = ask_new(l, "reading rows by key", answer_rowset, arg);
	const struct entity_def *def = l->mapping->entity;
	const struct pg_table *t = a->pl->table;
	struct buf *sql = &a->st.sql;
	struct buf on = { 0 };
	size_t column = 0;

	a->done.rowset = done;
	if (ask_refuses(a))
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
	ask_send(a);
}

/* ---- what the change log and the planner know -------------------------------------------------------- */

static void answer_stamps(struct ask *a, PGresult *res, const struct err *e)
{
	int n = res != NULL ? PQntuples(res) : 0;
	struct stamps *list = xcalloc((size_t)n + 1, sizeof *list);

	for (int i = 0; i < n; i++) {
		list[i].id = pg_cell(res, i, 0);
		list[i].stamp = pg_cell_int(res, i, 1, STAMP_UNKNOWN);
	}
	a->done.stamps(a->arg, list, (size_t)n, e);
	free(list);
	PQclear(res);
}

static void pg_stamps(struct link *l, const struct value *ids, size_t n, stamps_fn *done, void *arg)
{
	struct ask *a = ask_new(l, "reading change times", answer_stamps, arg);

	a->done.stamps = done;
	if (l->mapping->endpoint->capture != CAPTURE_LISTEN) {	/* no change log: nothing known, and that is no error */
		pg_soon(a->pl->pg, ask_refused, a);
		return;
	}
	if (ask_refuses(a))
		return;
	pg_log_stamps_sql(&a->st, a->pl, ids, n);
	ask_send(a);
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

	if (e != NULL || pg_mark_table(a->pl, &a->mark) == NULL) {
		on_result(arg, res, e);
		return;
	}
	if (!PQgetisnull(res, 0, 0))
		a->until = xstrdup(PQgetvalue(res, 0, 0));
	keeps_long = PQgetvalue(res, 0, 1)[0] == 't';
	PQclear(res);
	pg_stmt_again(&a->st);
	pg_sums_sql(&a->st, a->pl, a->after, a->until, &a->seeds, keeps_long);
	ask_send(a);
}

static void pg_sum(struct link *l, const char *after, size_t max, const struct sum_seeds *seeds, summed_fn *done, void *arg)
{
	struct ask *a = ask_new(l, "adding up rows", answer_sums, arg);

	a->done.summed = done;
	a->seeds = *seeds;
	a->after = after != NULL ? xstrdup(after) : NULL;
	if (ask_refuses(a))
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
	count = ask_new(&a->pl->link, "counting rows", answer_count, a->arg);
	count->done.number = a->done.number;
	buf_addf(&count->st.sql, "SELECT count(*) FROM %s", a->pl->table->quoted);
	ask_send(count);
}

static void pg_count(struct link *l, number_fn *done, void *arg)
{
	struct ask *a = ask_new(l, "counting rows", answer_count, arg);

	a->done.number = done;
	if (ask_refuses(a))
		return;
	pg_count_sql(&a->st, a->pl);
	ask_send(a);
}

static void pg_estimate(struct link *l, number_fn *done, void *arg)
{
	struct ask *a = ask_new(l, "estimating rows", answer_estimate, arg);

	a->done.number = done;
	if (ask_refuses(a))
		return;
	/* The planner scales its statistics to the table's size of now, and knows partitions. */
	buf_addf(&a->st.sql, "EXPLAIN (FORMAT JSON) SELECT 1 FROM %s", a->pl->table->quoted);
	ask_send(a);
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
	struct ask *a = ask_new(l, "parting the table", answer_split, arg);
	const struct pg_table *t = a->pl->table;
	struct buf *sql = &a->st.sql;

	a->done.ids = done;
	if (ask_refuses(a))
		return;
	/* In the order of the ids, which is not that of their texts. */
	buf_adds(sql, "SELECT p.id::text FROM (SELECT DISTINCT u.id FROM unnest((SELECT percentile_disc(ARRAY[");
	for (size_t i = 1; i < n; i++)
		buf_addf(sql, "%s%.17g", i > 1 ? ", " : "", (double)i / (double)n);
	buf_addf(sql, "]::float8[]) WITHIN GROUP (ORDER BY t.%s) FROM %s t", t->id.quoted, t->quoted);
	if (rows > SAMPLE_ROWS)
		buf_addf(sql, " TABLESAMPLE SYSTEM (%.6f)", 100.0 * SAMPLE_ROWS / (double)rows);
	buf_adds(sql, ")) AS u(id) WHERE u.id IS NOT NULL) AS p ORDER BY p.id");
	ask_send(a);
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
	struct ask *a = ask_new(l, "asking which change log it is", answer_log, arg);

	a->done.position = done;
	if (ask_refuses(a))
		return;
	pg_log_position_sql(&a->st, a->pl);
	ask_send(a);
}

static void pg_position_now(struct link *l, position_fn *done, void *arg)
{
	struct ask *a;

	if (pg_install_wanted((const struct pg_link *)l)) {
		log_position_now(l, done, arg);
		return;
	}
	a = ask_new(l, "asking for the position", answer_position, arg);
	a->done.position = done;
	if (ask_refuses(a))
		return;
	pg_poll_bound_sql(&a->st, a->pl, NULL);
	ask_send(a);
}

const struct link_ops pg_link_ops = {
	.capture = pg_capture_op,
	.ack = pg_ack_op,
	.drop = pg_drop_op,
	.list = pg_list,
	.moment = pg_moment_op,
	.list_at = pg_list_at,
	.list_parts = pg_list_parts,
	.sum = pg_sum,
	.count = pg_count,
	.read = pg_read,
	.read_by_key = pg_read_by_key,
	.read_referring = pg_read_referring,
	.stamps = pg_stamps,
	.write = pg_write_op,
	.position_now = pg_position_now,
	.estimate = pg_estimate,
	.split = pg_split,
	.refuse = pg_refuse_op,
};
