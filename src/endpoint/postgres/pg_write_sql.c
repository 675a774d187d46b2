#include "endpoint/postgres/pg_write_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_path.h"
#include "endpoint/postgres/pg_zone.h"

static bool has(const struct write *w, size_t field)
{
	return (w->fields >> field & 1) != 0;
}

static const struct write *nth(const struct pg_write_set *set, size_t i)
{
	return &set->list[set->order[i]];
}

static bool is_mapped(const struct pg_column *c)	/* and so may be written: pg_catalog.c saw to that */
{
	return c->quoted != NULL;
}

static size_t n_fields(const struct pg_link *pl)
{
	return pl->link.mapping->entity->n_fields;
}

/* One text[] for that field of all writes. */
static void add_field_values(struct pg_stmt *st, const struct pg_write_set *set, size_t field)
{
	pg_stmt_array(st, set->n);
	for (size_t i = 0; i < set->n; i++)
		pg_stmt_add(st, nth(set, i)->values[field]);
}

static void add_ids_and_versions(struct pg_stmt *st, const struct pg_write_set *set)
{
	pg_stmt_array(st, set->n);
	for (size_t i = 0; i < set->n; i++)
		pg_stmt_add(st, nth(set, i)->id);
	pg_stmt_array(st, set->n);
	for (size_t i = 0; i < set->n; i++)
		pg_stmt_add(st, nth(set, i)->version);
}

/*
 * Text-like columns get text, so that assignment complains about what is too long: an explicit cast
 * to varchar(n) would cut it silently. Other types are cast without precision, and assignment applies it.
 */
void pg_write_add_sent(struct buf *sql, const struct pg_column *c, const char *from)
{
	char *moment;

	if (c->zone != NULL) {
		moment = xasprintf("%s::pg_catalog.timestamptz", from);
		pg_zone_local(sql, c, moment);
		free(moment);
		return;
	}
	buf_adds(sql, from);
	if (!pg_is_text(c))
		buf_addf(sql, "::%s", pg_cast_type(c));
}

/* stored = sent, exactly; `equals` is "=", which finds a row, or "IS NOT DISTINCT FROM", which says that it reads as it was sent */
static void add_same_as_sent(struct buf *sql, const struct pg_column *c, const char *stored, const char *equals, const char *sent)
{
	if (c->zone != NULL) {	/* the second of two moments with one local time reads back as the first */
		pg_zone_moment(sql, c, stored);
		buf_addf(sql, " %s %s::pg_catalog.timestamptz", equals, sent);
		return;
	}
	if (strcmp(equals, "=") != 0 && pg_output(c) != NULL) {
		buf_addf(sql, "pg_catalog.textin(%s(%s)) %s %s COLLATE pg_catalog.\"C\"", pg_output(c), stored, equals, sent);
		return;
	}
	switch (pg_same_how(c)) {
	case PG_SAME_CHAR:
	case PG_SAME_TEXT:
	case PG_SAME_JSON:
		buf_addf(sql, "%s::pg_catalog.text %s %s COLLATE pg_catalog.\"C\"", stored, equals, sent);
		break;
	case PG_SAME_VALUE:
		buf_addf(sql, "%s %s %s::%s", stored, equals, sent, pg_cast_type(c));
		break;
	case PG_SAME_PRINT:
		buf_addf(sql, "%s::pg_catalog.text %s %s::%s::pg_catalog.text COLLATE pg_catalog.\"C\"", stored, equals, sent, pg_cast_type(c));
		break;
	}
}

static void add_same_as_before(struct buf *sql, const struct pg_column *c, const char *now, const char *before)
{
	if (pg_same_how(c) == PG_SAME_VALUE)
		buf_addf(sql, "%s IS NOT DISTINCT FROM %s", now, before);
	else
		buf_addf(sql, "%s::pg_catalog.text IS NOT DISTINCT FROM %s::pg_catalog.text COLLATE pg_catalog.\"C\"", now, before);
}

/* "unnest($1::text[], ...) WITH ORDINALITY AS u(id, v, c0, ..., n)" over the first n parameters */
static void add_unnest(struct buf *sql, size_t n, bool with_id, const struct write *like, size_t n_list)
{
	buf_adds(sql, "unnest(");
	for (size_t i = 1; i <= n; i++)
		buf_addf(sql, "%s$%zu::pg_catalog.text[]", i > 1 ? ", " : "", i);
	buf_addf(sql, ") WITH ORDINALITY AS u(%s", with_id ? "id, v, " : "");
	for (size_t f = 0; f < n_list; f++)
		if (has(like, f))
			buf_addf(sql, "c%zu, ", f);
	buf_adds(sql, "n)");
}

/* ---- update ------------------------------------------------------------------------------------------ */

void pg_write_add_revival(struct buf *sql, const struct pg_link *pl)
{
	const struct pg_table *t = pl->table;

	if (t->gone != NULL)
		buf_addf(sql, ", %s = CASE WHEN %s THEN %s ELSE t.%s END", t->deleted.quoted, t->gone, t->there, t->deleted.quoted);
}

/*
 * The guarded rows as `s`: found by id under the version they had, and then reached by their place (ctid), which is gone
 * when somebody else was faster. That also gives the other columns as they were: a trigger that changes a second
 * field while we write the first is seen here and nowhere else. Partitions each have their own places: by id again.
 */
static void add_guarded_rows(struct buf *sql, const struct pg_link *pl, const struct write *like, uint64_t others, bool skip_locked)
{
	const struct pg_table *t = pl->table;
	size_t n = n_fields(pl), n_params = 2;

	for (size_t f = 0; like != NULL && f < n; f++)
		n_params += has(like, f);
	buf_addf(sql, "SELECT o.tableoid AS part, o.ctid AS place, o.%s AS local, ", t->id.quoted);
	for (size_t f = 0; f < n; f++)
		if ((others >> f & 1) != 0 && is_mapped(&t->fields[f]))
			buf_addf(sql, "o.%s AS o%zu, ", t->fields[f].quoted, f);
	buf_adds(sql, "u.* FROM ");
	add_unnest(sql, n_params, true, like, like != NULL ? n : 0);
	buf_addf(sql, " JOIN %s AS o ON o.%s ", t->quoted, t->id.quoted);
	pg_add_operator(sql, &t->id, "=");
	buf_addf(sql, " u.id::%s AND o.xmin = u.v::pg_catalog.xid%s", pg_cast_type(&t->id), skip_locked ? " FOR UPDATE OF o SKIP LOCKED" : "");
}

static void add_at_their_place(struct buf *sql, const struct pg_table *t)
{
	if (t->partitioned) {
		buf_addf(sql, " WHERE t.%s ", t->id.quoted);
		pg_add_operator(sql, &t->id, "=");
		buf_adds(sql, " s.local AND t.xmin = s.v::pg_catalog.xid");
	} else {
		buf_adds(sql, " WHERE t.ctid = s.place");
	}
	buf_adds(sql, " AND t.tableoid = s.part");
}

static void add_guarded(struct buf *sql, const struct pg_link *pl, const struct write *like, uint64_t others, bool skip_locked)
{
	buf_addc(sql, '(');
	add_guarded_rows(sql, pl, like, others, skip_locked);
	buf_adds(sql, ") AS s");
	add_at_their_place(sql, pl->table);
}

static void add_update_mark(struct buf *sql, const struct pg_link *pl, const struct write *like)
{
	const struct pg_table *t = pl->table;
	const char *glue = "";

	buf_adds(sql, "CASE WHEN ");
	for (size_t f = 0; f < n_fields(pl); f++) {
		char now[160], other[32];

		if (!is_mapped(&t->fields[f]))
			continue;
		snprintf(now, sizeof now, "t.%s", t->fields[f].quoted);
		snprintf(other, sizeof other, has(like, f) ? "s.c%zu" : "s.o%zu", f);
		buf_adds(sql, glue);
		if (has(like, f))
			add_same_as_sent(sql, &t->fields[f], now, "IS NOT DISTINCT FROM", other);
		else
			add_same_as_before(sql, &t->fields[f], now, other);
		glue = " AND ";
	}
	buf_addf(sql, " THEN NULL ELSE %s END", t->image);
}

/* The local id is a field's column, too: then the row has another one from now on. */
static bool writes_id(const struct pg_link *pl, const struct write *like)
{
	for (size_t f = 0; f < n_fields(pl); f++)
		if (has(like, f) && is_mapped(&pl->table->fields[f]) && strcmp(pl->table->fields[f].quoted, pl->table->id.quoted) == 0)
			return true;
	return false;
}

bool pg_write_update_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool skip_locked)
{
	const struct pg_table *t = pl->table;
	const struct write *like = nth(set, 0);
	struct buf *sql = &st->sql;
	const char *glue = "";

	add_ids_and_versions(st, set);
	pg_path_begin(st);
	buf_addf(sql, "UPDATE %s AS t SET ", t->quoted);
	for (size_t f = 0; f < n_fields(pl); f++) {
		char from[32];

		if (!has(like, f))
			continue;
		add_field_values(st, set, f);
		if (!is_mapped(&t->fields[f]))
			continue;
		snprintf(from, sizeof from, "s.c%zu", f);
		buf_addf(sql, "%s%s = ", glue, t->fields[f].quoted);
		pg_write_add_sent(sql, &t->fields[f], from);
		glue = ", ";
	}
	if (*glue == '\0')
		return false;
	pg_write_add_revival(sql, pl);
	buf_adds(sql, " FROM ");
	add_guarded(sql, pl, like, ~like->fields, skip_locked);
	buf_adds(sql, " RETURNING s.n, ");
	add_update_mark(sql, pl, like);
	if (writes_id(pl, like) && !fault("f13-a-local-id-is-never-written"))
		buf_addf(sql, ", t.%s::pg_catalog.text AS " PG_NEW_ID, t->id.quoted);
	pg_state_guard(st, pl);
	pg_path_end(st, pl->pg);
	return true;
}

/* ---- insert ------------------------------------------------------------------------------------------ */

/* A new row has to lie inside of `where`, or it would be there and not be seen. */
static void add_where_columns(struct buf *sql, struct pg_stmt *st, const struct pg_link *pl, bool values)
{
	const struct mapping *m = pl->link.mapping;

	for (size_t i = 0; i < m->n_where; i++) {
		bool mapped = false;

		for (size_t f = 0; f < m->entity->n_fields; f++)
			mapped = mapped || (m->columns[f] != NULL && strcmp(m->columns[f], m->where[i].column) == 0);
		if (mapped)
			continue;
		buf_adds(sql, ", ");
		if (!values)
			pg_sql_name(sql, m->where[i].column);
		else	/* no cast: the column says the type */
			buf_addf(sql, "$%d", pg_stmt_value(st, m->where[i].value != NULL ? value_of(m->where[i].value) : VALUE_NULL));
	}
}

static bool add_insert_columns(struct buf *sql, const struct pg_link *pl, const struct write *like)
{
	const struct pg_table *t = pl->table;
	const char *glue = "";

	buf_addf(sql, "INSERT INTO %s AS t (", t->quoted);
	for (size_t f = 0; f < n_fields(pl); f++)
		if (has(like, f) && is_mapped(&t->fields[f])) {
			buf_addf(sql, "%s%s", glue, t->fields[f].quoted);
			glue = ", ";
		}
	add_where_columns(sql, NULL, pl, false);
	buf_addc(sql, ')');
	return *glue != '\0';
}

/* Where field f of the sent row stands: a parameter of its own, or a column of s. */
static void sent_name(char out[32], size_t field, int param)
{
	if (param > 0)
		snprintf(out, 32, "$%d::pg_catalog.text", param);
	else
		snprintf(out, 32, "s.c%zu", field);
}

static void add_insert_mark(struct buf *sql, const struct pg_link *pl, const struct write *like, const int *params)
{
	const struct pg_table *t = pl->table;
	const char *glue = "";

	buf_adds(sql, "CASE WHEN ");
	for (size_t f = 0; f < n_fields(pl); f++) {
		char stored[160], sent[32];

		if (!is_mapped(&t->fields[f]))
			continue;
		snprintf(stored, sizeof stored, "t.%s", t->fields[f].quoted);
		sent_name(sent, f, params != NULL ? params[f] : 0);
		buf_adds(sql, glue);
		if (has(like, f))
			add_same_as_sent(sql, &t->fields[f], stored, "IS NOT DISTINCT FROM", sent);
		else
			buf_addf(sql, "%s IS NULL", stored);	/* no default, no trigger filled it in */
		glue = " AND ";
	}
	buf_addf(sql, " THEN NULL ELSE %s END", t->image);
}

static bool insert_one_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool skip_equal)
{
	const struct pg_table *t = pl->table;
	const struct write *w = nth(set, 0);
	int params[FIELDS_MAX] = { 0 };
	struct buf *sql = &st->sql;
	const char *glue = "";

	pg_path_begin(st);
	if (!add_insert_columns(sql, pl, w))
		return false;
	buf_adds(sql, " VALUES (");
	for (size_t f = 0; f < n_fields(pl); f++) {
		char sent[32];

		if (!has(w, f))
			continue;
		params[f] = pg_stmt_value(st, w->values[f]);
		if (!is_mapped(&t->fields[f]))
			continue;
		sent_name(sent, f, params[f]);
		buf_adds(sql, glue);
		pg_write_add_sent(sql, &t->fields[f], sent);
		glue = ", ";
	}
	add_where_columns(sql, st, pl, true);
	buf_addf(sql, ")%s RETURNING 1, ", skip_equal ? " ON CONFLICT DO NOTHING" : "");
	add_insert_mark(sql, pl, w, params);
	buf_addf(sql, ", t.%s::pg_catalog.text", t->id.quoted);
	pg_state_guard(st, pl);
	pg_path_end(st, pl->pg);
	return true;
}

bool pg_write_insert_joins(const struct pg_link *pl, uint64_t fields)
{
	const struct entity_def *def = pl->link.mapping->entity;

	for (size_t k = 0; k < def->n_key; k++)
		if ((fields >> def->key[k] & 1) == 0 || !is_mapped(&pl->table->fields[def->key[k]]))
			return false;
	return true;
}

static void add_insert_join(struct buf *sql, const struct pg_link *pl, const struct write *like)
{
	const struct entity_def *def = pl->link.mapping->entity;

	buf_adds(sql, " FROM i AS t LEFT JOIN s ON ");
	if (!pg_write_insert_joins(pl, like->fields)) {		/* without rows: there is nothing to be found */
		buf_adds(sql, "false");
		return;
	}
	for (size_t k = 0; k < def->n_key; k++) {
		char stored[160], sent[32];

		snprintf(stored, sizeof stored, "t.%s", pl->table->fields[def->key[k]].quoted);
		sent_name(sent, def->key[k], 0);
		buf_adds(sql, k > 0 ? " AND " : "");
		add_same_as_sent(sql, &pl->table->fields[def->key[k]], stored, "=", sent);
	}
}

bool pg_write_insert_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool skip_equal)
{
	const struct pg_table *t = pl->table;
	const struct write *like = nth(set, 0);
	struct buf *sql = &st->sql;
	const char *glue = "";

	if (set->n == 1)
		return insert_one_sql(st, pl, set, skip_equal);
	for (size_t f = 0; f < n_fields(pl); f++)
		if (has(like, f))
			add_field_values(st, set, f);
	buf_adds(sql, "WITH s AS (SELECT u.* FROM ");
	add_unnest(sql, (size_t)st->n, false, like, n_fields(pl));
	buf_adds(sql, "), i AS (");
	if (!add_insert_columns(sql, pl, like))
		return false;
	buf_adds(sql, " SELECT ");
	for (size_t f = 0; f < n_fields(pl); f++) {
		char sent[32];

		if (!has(like, f) || !is_mapped(&t->fields[f]))
			continue;
		sent_name(sent, f, 0);
		buf_adds(sql, glue);
		pg_write_add_sent(sql, &t->fields[f], sent);
		glue = ", ";
	}
	add_where_columns(sql, st, pl, true);
	buf_addf(sql, " FROM s%s RETURNING %s", skip_equal ? " ON CONFLICT DO NOTHING" : "", t->written);
	/* width_bucket() refuses zero buckets, with a code that nothing else has: the row cannot be told, nothing may stay. */
	buf_adds(sql, ") SELECT s.n, ");
	add_insert_mark(sql, pl, like, NULL);
	buf_addf(sql, ", t.%s::pg_catalog.text, pg_catalog.width_bucket(1, 0, 2, (s.n IS NOT NULL)::pg_catalog.int4)", t->id.quoted);
	pg_state_guard(st, pl);
	add_insert_join(sql, pl, like);
	buf_adds(sql, " WHERE ");
	pg_path_condition(st, pl->pg);
	return true;
}

/* ---- delete ------------------------------------------------------------------------------------------ */

static void add_soft_delete(struct pg_stmt *st, const struct pg_link *pl)
{
	const struct pg_table *t = pl->table;

	buf_addf(&st->sql, "UPDATE %s AS t SET %s = ", t->quoted, t->deleted.quoted);
	if (t->soft_delete_has_value)
		buf_addf(&st->sql, "$%d::%s", pg_stmt_value(st, value_of(pl->link.mapping->delete_set)), pg_cast_type(&t->deleted));
	else if (t->soft_delete_is_flag)
		buf_adds(&st->sql, "true");
	else if (t->deleted.zone != NULL)
		pg_zone_local(&st->sql, &t->deleted, "pg_catalog.now()");
	else
		buf_adds(&st->sql, "pg_catalog.now()");
	buf_adds(&st->sql, " FROM ");
}

/* ---- delete: not what others still refer to ------------------------------------------------------------ */

static void add_same_id(struct buf *sql, const struct pg_table *t, const char *a, const char *b)
{
	buf_addf(sql, "%s ", a);
	pg_add_operator(sql, &t->id, "=");
	buf_addf(sql, " %s", b);
}

static void add_referred(struct buf *sql, const struct pg_table *t, const struct pg_referrer *by)
{
	char *reference = xasprintf("t.%s", by->column), *id = xasprintf("t.%s", t->id.quoted);

	buf_addf(sql, "SELECT s.n FROM s WHERE EXISTS (SELECT FROM %s AS t WHERE ", by->table);
	add_same_id(sql, t, reference, "s.local");
	if (by->gone != NULL)
		buf_addf(sql, " AND NOT (%s)", by->gone);
	if (by->is_own) {
		buf_adds(sql, " AND NOT EXISTS (SELECT FROM s AS x WHERE ");
		add_same_id(sql, t, "x.local", id);
		buf_addc(sql, ')');
	}
	buf_addc(sql, ')');
	free(reference);
	free(id);
}

/*
 * Which of the rows refer to which. False: their table has no references to itself. Kept, for it is joined once for each level of a tree:
 * as a part of that join each row was compared with each other one, which took 13 s for 4,000.
 */
static bool add_references(struct buf *sql, const struct pg_table *t)
{
	const char *glue = ", e(child, parent) AS MATERIALIZED (";

	for (size_t i = 0; i < t->n_referrers; i++) {
		char reference[32];

		if (!t->referrers[i].is_own)
			continue;
		snprintf(reference, sizeof reference, "c.o%zu", t->referrers[i].field);
		buf_addf(sql, "%sSELECT c.n, p.n FROM s AS c JOIN s AS p ON ", glue);
		add_same_id(sql, t, "p.local", reference);
		glue = " UNION ALL ";
	}
	if (*glue == ',')
		return false;
	buf_addc(sql, ')');
	return true;
}

static void add_kept(struct buf *sql, const struct pg_table *t)
{
	bool within = add_references(sql, t);

	buf_adds(sql, ", k(n) AS ((");
	for (size_t i = 0; i < t->n_referrers; i++) {
		buf_adds(sql, i > 0 ? " UNION " : "");
		add_referred(sql, t, &t->referrers[i]);
	}
	buf_addf(sql, ")%s)", within ? " UNION SELECT e.parent FROM k JOIN e ON e.child = k.n" : "");
}

bool pg_write_keeps_referred(const struct pg_link *pl)
{
	return pl->link.mapping->delete_mode == DELETE_HARD && pl->table->n_referrers > 0 && !fault("f15-others-go-along-with-a-parent");
}

/*
 * A foreign key that deletes or changes what refers to a deleted row (CASCADE, SET NULL, SET DEFAULT) would end records that nobody has
 * decided about. So it is asked here what one that refuses would ask: `k` are those of the rows to which others refer that do not go
 * with this very statement, and those to which such a one refers: what is left of a tree keeps all that it hangs on, while the rest of
 * it goes, circles too. They are left there, and answered.
 *
 * Whoever is just inserting a row that refers to one of them has that one locked until the commit. It is left aside, and never waited
 * for: the row that was waited for would be there then, and not be seen by this statement, which sees what was committed
 * when it began. What remains is a row that is committed between that moment and the lock.
 */
static void add_delete_of_unreferred(struct pg_stmt *st, const struct pg_link *pl)
{
	const struct pg_table *t = pl->table;
	struct buf *sql = &st->sql;
	uint64_t references = 0;

	for (size_t i = 0; i < t->n_referrers; i++)
		if (t->referrers[i].is_own)
			references |= UINT64_C(1) << t->referrers[i].field;
	buf_adds(sql, "WITH RECURSIVE s AS MATERIALIZED (");
	add_guarded_rows(sql, pl, NULL, references, true);
	buf_addc(sql, ')');
	add_kept(sql, t);
	buf_addf(sql, ", d AS (DELETE FROM %s AS t USING s", t->quoted);
	add_at_their_place(sql, t);
	buf_adds(sql, " AND s.n NOT IN (SELECT k.n FROM k) RETURNING s.n");
	pg_state_guard(st, pl);
	buf_adds(sql, "), w AS (SELECT d.n, NULL::pg_catalog.text FROM d UNION ALL SELECT k.n, '" PG_WRITE_REFERRED "' FROM k");
	pg_path_end(st, pl->pg);
}

bool pg_write_delete_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool skip_locked)
{
	const struct pg_table *t = pl->table;
	enum delete_mode mode = pl->link.mapping->delete_mode;

	if (mode == DELETE_IGNORE || (mode == DELETE_SOFT && t->gone == NULL))
		return false;
	add_ids_and_versions(st, set);
	if (pg_write_keeps_referred(pl)) {
		add_delete_of_unreferred(st, pl);
		return true;
	}
	pg_path_begin(st);
	if (mode == DELETE_SOFT)
		add_soft_delete(st, pl);
	else
		buf_addf(&st->sql, "DELETE FROM %s AS t USING ", t->quoted);
	add_guarded(&st->sql, pl, NULL, 0, skip_locked);
	buf_adds(&st->sql, " RETURNING s.n, ");
	if (mode == DELETE_SOFT)
		buf_addf(&st->sql, "CASE WHEN %s THEN NULL ELSE 'there' END", t->gone);
	else
		buf_adds(&st->sql, "NULL");
	pg_state_guard(st, pl);
	pg_path_end(st, pl->pg);
	return true;
}

void pg_write_look_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set)
{
	const struct pg_table *t = pl->table;

	pg_stmt_array(st, set->n);
	for (size_t i = 0; i < set->n; i++)
		pg_stmt_add(st, nth(set, i)->id);
	buf_addf(&st->sql, "SELECT t.%s::pg_catalog.text, t.xmin::pg_catalog.text FROM %s AS t WHERE t.%s ",
		 t->id.quoted, t->quoted, t->id.quoted);
	pg_add_operator(&st->sql, &t->id, "=");
	buf_addf(&st->sql, " ANY ($1::pg_catalog.text[]::%s[])", pg_cast_type(&t->id));
}
