/*
 * pg_fit_parts.c - what statements about a table that fits are made of: the lists of what is read of a row, the joins of its parents, and the mark.
 */
#include "endpoint/postgres/pg_fit.h"
#include "endpoint/postgres/pg_bytes.h"
#include "endpoint/postgres/pg_write_sql.h"
#include "endpoint/postgres/pg_zone.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"

/* 0: no value is measured. */
static int64_t value_bytes(const struct reading *r)
{
	return r->unmeasured || fault("f27-values-are-not-measured") ? 0 : pg_topology(r->pg)->limits.value_bytes;
}

/* A row that is gone or outside is so whatever it holds: this comes last. */
static void write_too_large(const struct reading *r, const struct candidate *c, struct buf *b)
{
	const char *glue = "WHEN ";

	for (size_t f = 0; value_bytes(r) > 0 && f < c->table->n_fields; f++) {
		const struct pg_column *col = &c->table->fields[f];
		char *stored;

		if (!pg_is_wide(col))
			continue;
		stored = xasprintf("t.%s", col->quoted);
		buf_adds(b, glue);
		pg_add_too_large(b, col, stored, value_bytes(r));
		free(stored);
		glue = " OR ";
	}
	buf_adds(b, *glue == ' ' ? " THEN 'large' " : "");
}

/* `of_mark`: what the filter asks of the column that marks a deleted row; else what it asks of all others. */
static void write_outside(struct reading *r, struct candidate *c, bool of_mark, struct buf *b)
{
	const struct mapping *m = c->pl->link.mapping;

	for (size_t i = 0; i < m->n_where; i++) {
		int row = fit_column_row(r, c, m->where[i].column);
		char *name, *value;

		if (of_mark != (c->table->gone != NULL && strcmp(m->where[i].column, m->delete_column) == 0))
			continue;
		name = pg_quote_name(r->pg, m->where[i].column);
		value = m->where[i].value != NULL ? pg_quote_text(r->pg, m->where[i].value) : NULL;
		if (row < 0 || name == NULL || (m->where[i].value != NULL && value == NULL))
			fit_problem(c, "where: cannot be put into a statement");
		else if (value == NULL)
			buf_addf(b, "WHEN t.%s IS NOT NULL THEN 'outside' ", name);
		else
			buf_addf(b, "WHEN t.%s IS DISTINCT FROM CAST(%s AS %s) THEN 'outside' ", name, value,
				 PQgetvalue(r->columns, row, COL_TYPE));
		free(value);
		free(name);
	}
}

/*
 * 'outside' of the filter, else 'gone' (soft-deleted), else 'large' (a value is not fetched), else NULL. A filter that leaves out what is
 * marked as deleted must not hide that it was deleted.
 */
static void write_absence(struct reading *r, struct candidate *c, struct buf *b)
{
	const struct pg_table *t = c->table;

	buf_adds(b, "CASE ");
	write_outside(r, c, false, b);
	if (t->gone != NULL)
		buf_addf(b, "WHEN %s THEN 'gone' ", t->gone);
	write_outside(r, c, true, b);
	write_too_large(r, c, b);
	buf_adds(b, "WHEN false THEN '' END");
}

/* An infinite moment, and one that its zone skips, is no stamp. */
static void write_stamp(struct buf *b, const struct pg_table *t)
{
	const struct pg_column *c = &t->modified;
	char *stored;

	if (c->quoted == NULL) {
		buf_adds(b, "NULL::bigint, ");
		return;
	}
	stored = xasprintf("t.%s", c->quoted);
	buf_addf(b, "CASE WHEN isfinite(%s) THEN (extract(epoch FROM ", stored);
	if (c->zone != NULL)
		pg_zone_moment(b, c, stored);
	else
		buf_adds(b, stored);
	buf_adds(b, ") * 1000000)::bigint END, ");
	free(stored);
}

static void write_column(const struct reading *r, struct buf *b, const struct pg_column *c, const char *table)
{
	char *stored = xasprintf("%s.%s", table, c->quoted);

	if (c->zone != NULL) {
		pg_zone_text(b, c, stored);
	} else if (pg_is_wide(c) && value_bytes(r) > 0) {
		buf_adds(b, "CASE WHEN ");
		pg_add_too_large(b, c, stored, value_bytes(r));
		buf_addf(b, " THEN NULL ELSE %s END", stored);
	} else {
		buf_adds(b, stored);
	}
	free(stored);
}

/* The parent's key, for a reference. */
static void write_parent_key(struct reading *r, struct candidate *c, struct buf *b, size_t field)
{
	const struct entity_def *refers = fit_entity(c)->fields[field].refers;
	char alias[24];

	snprintf(alias, sizeof alias, "p%zu", field);
	for (size_t k = 0; k < c->table->parents[field].n_keys; k++) {
		buf_adds(b, ", ");
		write_column(r, b, &fit_candidate_of(r, refers)->table->fields[refers->key[k]], alias);
	}
}

/* All of select_list behind the id and the version. */
static char *column_list(struct reading *r, struct candidate *c)
{
	struct pg_table *t = c->table;
	struct buf b = { 0 };

	t->n_columns = 0;
	write_stamp(&b, t);
	write_absence(r, c, &b);
	for (size_t i = 0; i < fit_entity(c)->n_fields; i++) {
		buf_adds(&b, ", ");
		if (t->fields[i].quoted == NULL)
			buf_adds(&b, "NULL::text");
		else
			write_column(r, &b, &t->fields[i], "t");
		t->n_columns++;
		write_parent_key(r, c, &b, i);
		t->n_columns += t->parents[i].n_keys;
	}
	return buf_take(&b);
}

static char *parents_clause(const struct candidate *c)
{
	const struct pg_table *t = c->table;
	struct buf b = { 0 };

	buf_adds(&b, "");
	for (size_t i = 0; i < fit_entity(c)->n_fields; i++)
		if (t->parents[i].quoted != NULL)
			buf_addf(&b, " LEFT JOIN %s AS p%zu ON p%zu.%s = t.%s", t->parents[i].quoted, i, i, t->parents[i].id,
				 t->fields[i].quoted);
	return buf_take(&b);
}

static char *select_list(const struct pg_table *t, const char *columns)
{
	return xasprintf("t.%s::text, t.xmin::text, %s", t->id.quoted, columns);
}

/* As a record's text, which is put together only for a row that is asked for; its parents' keys are looked up only then, too. */
static char *image(const struct pg_table *t, const char *columns, const char *parents)
{
	return xasprintf("(SELECT ROW(t.%s::text, %s, %s)::text FROM (SELECT) AS one%s LIMIT 1)", t->id.quoted, PG_OUR_VERSION, columns, parents);
}

static void write_lists(struct reading *r, struct candidate *c)
{
	struct pg_table *t = c->table;
	char *columns = column_list(r, c), *parents = parents_clause(c), *unmeasured;

	r->unmeasured = value_bytes(r) >= PG_INLINE_MOST;
	unmeasured = column_list(r, c);
	r->unmeasured = false;
	t->select_list = select_list(t, columns);
	t->short_list = select_list(t, unmeasured);
	t->from_clause = xasprintf("FROM %s AS t%s", t->quoted, parents);
	t->image = image(t, columns, parents);
	free(columns);
	free(unmeasured);
	free(parents);
}

struct names {
	const char **list;
	size_t n;
};

static void add_name(struct names *names, struct buf *b, const char *quoted)
{
	for (size_t i = 0; i < names->n; i++)
		if (quoted != NULL && strcmp(names->list[i], quoted) == 0)
			return;
	if (quoted == NULL)
		return;
	buf_addf(b, "%st.%s", names->n > 0 ? ", " : "", quoted);
	names->list[names->n++] = quoted;
}

static void write_written(struct reading *r, struct candidate *c)
{
	const struct mapping *m = c->pl->link.mapping;
	struct pg_table *t = c->table;
	char **where = xcalloc(m->n_where + 1, sizeof *where);
	struct names names = { xcalloc(t->n_fields + m->n_where + 3, sizeof *names.list), 0 };
	struct buf b = { 0 };

	add_name(&names, &b, t->id.quoted);
	add_name(&names, &b, t->modified.quoted);
	add_name(&names, &b, t->deleted.quoted);
	for (size_t i = 0; i < t->n_fields; i++)
		add_name(&names, &b, t->fields[i].quoted);
	for (size_t i = 0; i < m->n_where; i++) {
		where[i] = pg_quote_name(r->pg, m->where[i].column);
		add_name(&names, &b, where[i]);
	}
	for (size_t i = 0; i < m->n_where; i++)
		free(where[i]);
	free(where);
	free(names.list);
	t->written = buf_take(&b);
}

static void mark_column(struct buf *b, const struct pg_column *col)
{
	if (col->quoted != NULL)
		buf_addf(b, "|%s %s %d %d%d%d", col->quoted, col->type, (int)col->typmod, col->not_null, col->lets_go, col->steps_aside);
}

/* Changes when the definition does, as far as we depend on it. */
static void write_mark(const struct reading *r, struct candidate *c)
{
	const struct pg_table *t = c->table;
	struct buf b = { 0 };

	buf_addf(&b, "%u|%s|%s|%s|%d%d%d", t->oid, t->select_list, t->from_clause, t->sequence != NULL ? t->sequence : "",
		 t->key_unique, t->partitioned, t->has_rules);
	buf_addf(&b, "|%s", PQgetvalue(r->tables, c->row, TAB_REFUSERS));
	for (size_t i = 0; i < t->n_referrers; i++)
		buf_addf(&b, "|%s %s %s", t->referrers[i].table, t->referrers[i].column, t->referrers[i].gone != NULL ? t->referrers[i].gone : "");
	mark_column(&b, &t->id);
	mark_column(&b, &t->modified);
	mark_column(&b, &t->deleted);
	for (size_t i = 0; i < fit_entity(c)->n_fields; i++)
		mark_column(&b, &t->fields[i]);
	snprintf(c->mark, sizeof c->mark, "%016" PRIx64, pg_plain_digest(b.p, b.len));
	buf_fini(&b);
}

void fit_write_parts(struct reading *r, struct candidate *c)
{
	write_lists(r, c);
	write_written(r, c);
	write_mark(r, c);
}
