/*
 * pg_fit.c - does a table fit its mapping? Judges what the catalog said; asks the server nothing.
 */
#include "endpoint/postgres/pg_fit.h"
#include "endpoint/postgres/pg_bytes.h"
#include "endpoint/postgres/pg_spare.h"
#include "endpoint/postgres/pg_write_sql.h"
#include "endpoint/postgres/pg_zone.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"

/* Of the server's base types, which never change. */
enum {
	T_BOOL = 16, T_BYTEA = 17, T_INT8 = 20, T_INT2 = 21, T_INT4 = 23, T_TEXT = 25, T_JSON = 114, T_FLOAT4 = 700, T_FLOAT8 = 701,
	T_VARCHAR = 1043, T_DATE = 1082, T_TIMESTAMP = 1114, T_TIMESTAMPTZ = 1184, T_NUMERIC = 1700, T_UUID = 2950, T_JSONB = 3802,
};

void fit_problem(struct candidate *c, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (c->problems.len > 0)
		buf_adds(&c->problems, "; ");
	buf_adds(&c->problems, text);
}

static bool reads_changes(const struct candidate *c)
{
	return c->pl->link.mapping->role != ROLE_TARGET;
}

static bool is_written(const struct candidate *c)
{
	return c->pl->link.mapping->role != ROLE_SOURCE;
}

/* ---- names ------------------------------------------------------------------------------------------- */

void fit_split_table(struct candidate *c, const char *text)
{
	if (!table_name_split(text, &c->schema, &c->name))
		fit_problem(c, "'%s' is not a table's name", text);
}

/* A name as one would write it in SQL, for the words to the operator; not for statements of ours. */
static const char *shown(const struct pg_table *t)
{
	return t->quoted;
}

/* ---- columns and types ------------------------------------------------------------------------------- */

int fit_column_row(const struct reading *r, const struct candidate *c, const char *name)
{
	for (size_t i = c->first_column; i < c->first_column + c->n_columns; i++)
		if (strcmp(PQgetvalue(r->columns, (int)i, COL_NAME), name) == 0)
			return (int)i;
	return -1;
}

static void no_such_column(const struct reading *r, struct candidate *c, const char *name, const char *what)
{
	const char **names = xcalloc(c->n_columns + 1, sizeof *names);
	const char *near;

	for (size_t i = 0; i < c->n_columns; i++)
		names[i] = PQgetvalue(r->columns, (int)(c->first_column + i), COL_NAME);
	near = text_nearest(name, names);
	fit_problem(c, "%s: there is no column \"%s\"%s%s%s; name another one in the topology, or bring it back", what, name,
		near != NULL ? " (did you mean \"" : "", near != NULL ? near : "", near != NULL ? "\"?)" : "");
	free(names);
}

static bool take_column(const struct reading *r, struct candidate *c, const char *name, const char *what, struct pg_column *col)
{
	const char *zone = mapping_zone(c->pl->link.mapping);
	int row = fit_column_row(r, c, name);

	if (row < 0) {
		no_such_column(r, c, name, what);
		return false;
	}
	col->name = xstrdup(name);
	col->quoted = pg_quote_name(r->pg, name);
	if (col->quoted == NULL) {
		fit_problem(c, "%s: the name of column \"%s\" cannot be quoted", what, name);
		return false;
	}
	col->type = xstrdup(PQgetvalue(r->columns, row, COL_TYPE));
	col->oid = (Oid)strtoul(PQgetvalue(r->columns, row, COL_BASE), NULL, 10);
	col->typmod = (int32_t)strtol(PQgetvalue(r->columns, row, COL_TYPMOD), NULL, 10);
	col->category = PQgetvalue(r->columns, row, COL_CATEGORY)[0];
	col->not_null = is_true(r->columns, row, COL_NOT_NULL);
	col->generated = is_true(r->columns, row, COL_GENERATED);
	col->identity_always = is_true(r->columns, row, COL_IDENTITY);
	col->lets_go = !col->not_null && is_true(r->columns, row, COL_UNIQUE);
	col->steps_aside = is_true(r->columns, row, COL_ASIDE) && pg_has_spare(col);
	col->collated = !PQgetisnull(r->columns, row, COL_COLLATION);
	if (col->category == 'S' && (col->collated || (col->oid != T_TEXT && col->oid != T_VARCHAR)))
		col->loose = xasprintf("%s[]%s%s", PQgetvalue(r->columns, row, COL_BASE_TYPE), col->collated ? " COLLATE " : "",
				       PQgetvalue(r->columns, row, COL_COLLATION));
	if (col->oid == T_TIMESTAMP && zone != NULL && strcasecmp(zone, "UTC") != 0)
		col->zone = pg_quote_text(r->pg, zone);
	return true;
}

/* Which columns can hold a field: base types by number, or whole categories of types (S text-like, E enum, I network). */
static const struct {
	Oid oids[7];
	const char *categories, *needed;
} fits[FIELD_TYPES] = {
	[FIELD_TEXT] = { { 0 }, "SEI", "a text, varchar, char, citext, enum or network address column" },
	[FIELD_INTEGER] = { { T_INT2, T_INT4, T_INT8, T_NUMERIC }, "", "an integer or numeric column" },
	[FIELD_DECIMAL] = { { T_INT2, T_INT4, T_INT8, T_NUMERIC, T_FLOAT4, T_FLOAT8 }, "", "a numeric, integer or float column" },
	[FIELD_BOOLEAN] = { { T_BOOL }, "", "a boolean column" },
	[FIELD_TIMESTAMP] = { { T_TIMESTAMPTZ, T_TIMESTAMP }, "", "a timestamptz or timestamp column" },
	[FIELD_DATE] = { { T_DATE }, "", "a date column" },
	[FIELD_UUID] = { { T_UUID }, "S", "a uuid or text column" },
	[FIELD_JSON] = { { T_JSON, T_JSONB }, "S", "a json, jsonb or text column" },
	[FIELD_BYTES] = { { T_BYTEA }, "", "a bytea column" },
	[FIELD_REFERENCE] = { { 0 }, "", "" },		/* like the parent's id: see judge_reference() */
};

static bool type_fits(enum field_type type, const struct pg_column *col)
{
	for (size_t i = 0; i < countof(fits[type].oids) && fits[type].oids[i] != 0; i++)
		if (fits[type].oids[i] == col->oid)
			return true;
	return col->category != '\0' && strchr(fits[type].categories, col->category) != NULL;
}

/* May the two be compared with = and hold each other's values? */
static bool same_family(const struct pg_column *a, const struct pg_column *b)
{
	bool a_int = a->oid == T_INT2 || a->oid == T_INT4 || a->oid == T_INT8,
	     b_int = b->oid == T_INT2 || b->oid == T_INT4 || b->oid == T_INT8;

	return a->oid == b->oid || (a_int && b_int) || (a->category == 'S' && b->category == 'S');
}

/* ---- judging one table ------------------------------------------------------------------------------- */

void fit_kind(const struct reading *r, struct candidate *c)
{
	const char *text = c->pl->link.mapping->table;
	const char *others = PQgetvalue(r->tables, c->row, TAB_OTHERS);
	char kind = PQgetvalue(r->tables, c->row, TAB_KIND)[0];

	if (PQgetisnull(r->tables, c->row, TAB_OID)) {
		fit_problem(c, "there is no table %s%s%s%s%s", text, c->schema == NULL ? " in schema public" : "",
			others[0] != '\0' ? "; there is " : "", others,
			others[0] != '\0' ? ": write the schema and the name exactly" : "");
		return;
	}
	switch (kind) {
	case 'v':
		fit_problem(c, "%s is a view: it has no row versions and no triggers to follow; map the table behind it", text);
		return;
	case 'm':
		fit_problem(c, "%s is a materialized view: it cannot be written or followed; map the table behind it", text);
		return;
	case 'f':
		fit_problem(c, "%s is a foreign table: make an endpoint of the database where it lives", text);
		return;
	}
	if (is_true(r->tables, c->row, TAB_CHILDREN))
		fit_problem(c, "%s has child tables (INHERITS), which are not built yet in this version", text);
	if (is_true(r->tables, c->row, TAB_RLS))
		fit_problem(c, "row-level security on %s hides rows from role %s, which would look like deletions: "
			"ALTER ROLE %s BYPASSRLS, or a role that the policies leave out", text, pg_role(r->pg), pg_role(r->pg));
	c->table = xcalloc(1, sizeof *c->table);
	c->table->partitioned = kind == 'p';
	c->table->has_rules = is_true(r->tables, c->row, TAB_RULES);
	c->table->oid = (Oid)strtoul(PQgetvalue(r->tables, c->row, TAB_OID), NULL, 10);
	c->table->toast = (Oid)strtoul(PQgetvalue(r->tables, c->row, TAB_TOAST), NULL, 10);
	c->table->schema = xstrdup(PQgetvalue(r->tables, c->row, TAB_SCHEMA));
	c->table->name = xstrdup(PQgetvalue(r->tables, c->row, TAB_NAME));
}

static bool quote_table(struct reading *r, struct pg_table *t)
{
	char *schema = pg_quote_name(r->pg, t->schema), *name = pg_quote_name(r->pg, t->name);
	bool ok = schema != NULL && name != NULL;

	if (ok)
		t->quoted = xasprintf("%s.%s", schema, name);
	free(schema);
	free(name);
	return ok;
}

/* A unique index as a run of rows [first, end) of reading.indexes. Returns the first row behind it. */
static int index_end(const struct reading *r, int first)
{
	int end = first;

	while (end < PQntuples(r->indexes) &&
	       strcmp(PQgetvalue(r->indexes, end, IDX_OID), PQgetvalue(r->indexes, first, IDX_OID)) == 0)
		end++;
	return end;
}

static bool index_has(const struct reading *r, int first, int end, const char *column)
{
	for (int i = first; i < end; i++)
		if (strcmp(PQgetvalue(r->indexes, i, IDX_COLUMN), column) == 0)
			return true;
	return false;
}

/* Is there a whole unique index on exactly these columns? */
static bool unique_on(const struct reading *r, const struct pg_table *t, const char *const *columns, size_t n, bool immediate)
{
	for (int i = 0, end; i < PQntuples(r->indexes); i = end) {
		bool all = true;

		end = index_end(r, i);
		if (strtoul(PQgetvalue(r->indexes, i, IDX_TABLE), NULL, 10) != t->oid || (size_t)(end - i) != n ||
		    (immediate && !is_true(r->indexes, i, IDX_IMMEDIATE)))
			continue;
		for (size_t k = 0; k < n; k++)
			all &= index_has(r, i, end, columns[k]);
		if (all)
			return true;
	}
	return false;
}

/* The single column of the primary key; NULL after saying what is wrong. */
static const char *primary_key(const struct reading *r, struct candidate *c)
{
	for (int i = 0, end; i < PQntuples(r->indexes); i = end) {
		end = index_end(r, i);
		if (strtoul(PQgetvalue(r->indexes, i, IDX_TABLE), NULL, 10) != c->table->oid || !is_true(r->indexes, i, IDX_PRIMARY))
			continue;
		if (end - i == 1)
			return PQgetvalue(r->indexes, i, IDX_COLUMN);
		fit_problem(c, "the primary key has %d columns, which is not built yet in this version: set id: to a single "
			"unique NOT NULL column", end - i);
		return NULL;
	}
	fit_problem(c, "the table has no primary key: set id: to a unique NOT NULL column");
	return NULL;
}

/* "RANGE (id)", and no more than that. */
static bool parted_by_id_alone(const char *parted_by, const struct pg_column *id)
{
	const char *key = strchr(parted_by, '(');
	size_t len = key != NULL ? strlen(key + 1) : 0;

	return len > 0 && ((strncmp(key + 1, id->name, len - 1) == 0 && id->name[len - 1] == '\0') ||
			   (strncmp(key + 1, id->quoted, len - 1) == 0 && id->quoted[len - 1] == '\0'));
}

/*
 * PostgreSQL wants what a table is partitioned by in each of its unique indexes. An index for each partition would not do: the id has to tell
 * a row from all others of the table, and two partitions may have the same.
 */
static void ask_for_unique_id(const struct reading *r, struct candidate *c)
{
	const struct pg_column *id = &c->table->id;
	const char *parted_by = PQgetvalue(r->tables, c->row, TAB_PARTED_BY);

	if (!c->table->partitioned || parted_by_id_alone(parted_by, id))
		fit_problem(c, "id: column \"%s\" has no unique index: CREATE UNIQUE INDEX ON %s (%s)", id->name, shown(c->table), id->quoted);
	else
		fit_problem(c, "id: column \"%s\" has no unique index, and cannot get one while %s is partitioned by %s: partition it by %s alone, "
			"or map a table that is not partitioned", id->name, shown(c->table), parted_by, id->quoted);
}

static void judge_id(const struct reading *r, struct candidate *c)
{
	const char *name = c->pl->link.mapping->id;
	bool given = name != NULL;

	if (!given)
		name = primary_key(r, c);
	if (name == NULL || !take_column(r, c, name, "id", &c->table->id))
		return;
	if (!c->table->id.not_null)
		fit_problem(c, "id: column \"%s\" may be NULL: ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", name, shown(c->table),
			c->table->id.quoted);
	if (given && !unique_on(r, c->table, &name, 1, false))
		ask_for_unique_id(r, c);
}

static void judge_modified(const struct reading *r, struct candidate *c)
{
	const char *name = c->pl->link.mapping->modified;
	struct pg_column *col = &c->table->modified;

	if (name == NULL) {
		if (pg_conf(r->pg)->capture == CAPTURE_POLL && reads_changes(c))
			fit_problem(c, "capture: poll needs modified: the column that says when a row last changed");
		return;
	}
	if (take_column(r, c, name, "modified", col) && col->oid != T_TIMESTAMPTZ && col->oid != T_TIMESTAMP && col->oid != T_DATE)
		fit_problem(c, "modified: column \"%s\" is %s; a timestamptz, timestamp or date column is needed", name, col->type);
}

static void judge_fields(const struct reading *r, struct candidate *c)
{
	const struct entity_def *def = fit_entity(c);

	for (size_t i = 0; i < def->n_fields; i++) {
		const struct field_def *f = &def->fields[i];
		const char *name = c->pl->link.mapping->columns[i];
		struct pg_column *col = &c->table->fields[i];
		char what[160];

		snprintf(what, sizeof what, "field %s", f->name);
		if (name == NULL || !take_column(r, c, name, what, col))
			continue;
		if (f->type != FIELD_REFERENCE && !type_fits(f->type, col))
			fit_problem(c, "field %s is %s, but column \"%s\" is %s; %s is needed", f->name, field_type_name(f->type), name,
				col->type, fits[f->type].needed);
		if (is_written(c) && (col->generated || col->identity_always))
			fit_problem(c, "field %s: column \"%s\" is generated by the database and cannot be written: "
				"use role: source here, or leave the field out", f->name, name);
	}
}

/*
 * A time that is there, or a flag that is true, says deleted. With a value of one's own that value alone does: the column may well be
 * one that has something to say of every row, such as a status, or a flag the other way round.
 */
static void judge_soft_delete(const struct reading *r, struct candidate *c)
{
	struct pg_table *t = c->table;
	const char *set = c->pl->link.mapping->delete_set, *column = t->deleted.quoted;
	int row = fit_column_row(r, c, t->deleted.name);
	char *value;

	t->soft_delete_is_flag = t->deleted.oid == T_BOOL;
	t->soft_delete_has_value = set != NULL && strcmp(set, "now") != 0;
	if (!t->soft_delete_has_value) {
		t->gone = xasprintf("t.%s %s", column, t->soft_delete_is_flag ? "IS TRUE" : "IS NOT NULL");
		t->there = xstrdup(t->soft_delete_is_flag ? "false" : "NULL");
		return;
	}
	value = pg_quote_text(r->pg, set);
	if (value == NULL) {
		fit_problem(c, "delete: cannot be put into a statement");
		return;
	}
	t->gone = xasprintf("t.%s IS NOT DISTINCT FROM CAST(%s AS %s)", column, value, t->deleted.type);
	t->there = t->soft_delete_is_flag ? xasprintf("NOT CAST(%s AS %s)", value, t->deleted.type) :
		xstrdup(PQgetisnull(r->columns, row, COL_DEFAULT) ? "NULL" : PQgetvalue(r->columns, row, COL_DEFAULT));
	free(value);
}

static void judge_deletes(const struct reading *r, struct candidate *c)
{
	const struct mapping *m = c->pl->link.mapping;

	if (m->delete_mode == DELETE_SOFT && m->delete_column != NULL &&
	    take_column(r, c, m->delete_column, "delete", &c->table->deleted))
		judge_soft_delete(r, c);
	for (size_t i = 0; i < m->n_where; i++)
		if (fit_column_row(r, c, m->where[i].column) < 0)
			no_such_column(r, c, m->where[i].column, "where");
}

static void judge_uniqueness(const struct reading *r, struct candidate *c)
{
	struct pg_table *t = c->table;

	for (int i = 0; i < PQntuples(r->indexes); i++)
		t->waits = t->waits || (strtoul(PQgetvalue(r->indexes, i, IDX_TABLE), NULL, 10) == t->oid && !is_true(r->indexes, i, IDX_IMMEDIATE));
	for (size_t f = 0; f < t->n_fields; f++) {
		struct pg_column *col = &t->fields[f];

		col->unique = col->quoted != NULL && unique_on(r, t, (const char *const []){ col->name }, 1, false);
	}
}

static void judge_key(const struct reading *r, struct candidate *c)
{
	const struct entity_def *def = fit_entity(c);
	const char *columns[KEY_FIELDS_MAX];

	for (size_t i = 0; i < def->n_key; i++) {
		columns[i] = c->pl->link.mapping->columns[def->key[i]];
		if (columns[i] == NULL)
			return;
	}
	c->table->key_unique = unique_on(r, c->table, columns, def->n_key, true);
}

/* ---- rights ------------------------------------------------------------------------------------------ */

/* The columns that we read, write at insert, write at update. */
static bool is_used(const struct candidate *c, const char *name, int right)
{
	const struct mapping *m = c->pl->link.mapping;
	bool read = right == COL_SELECT;

	for (size_t i = 0; i < m->entity->n_fields; i++)
		if (m->columns[i] != NULL && strcmp(m->columns[i], name) == 0)
			return true;
	if (m->delete_mode == DELETE_SOFT && m->delete_column != NULL && strcmp(m->delete_column, name) == 0)
		return right != COL_INSERT;
	for (size_t i = 0; i < m->n_where && read; i++)
		if (strcmp(m->where[i].column, name) == 0)
			return true;
	return read && (strcmp(c->table->id.name, name) == 0 ||
			(c->table->modified.name != NULL && strcmp(c->table->modified.name, name) == 0));
}

/* Adds "UPDATE" or "UPDATE (a, b)" to the list of what has to be granted. */
static void missing_right(const struct reading *r, const struct candidate *c, int right, const char *word, struct buf *grants)
{
	struct buf columns = { 0 };
	bool all = true;

	for (size_t i = c->first_column; i < c->first_column + c->n_columns; i++) {
		char *name = PQgetvalue(r->columns, (int)i, COL_NAME), *quoted;

		if (!is_used(c, name, right))
			continue;
		if (is_true(r->columns, (int)i, right)) {
			all = false;
			continue;
		}
		quoted = pg_quote_name(r->pg, name);
		buf_addf(&columns, "%s%s", columns.len > 0 ? ", " : "", quoted != NULL ? quoted : name);
		free(quoted);
	}
	/* The row version is a column too: whoever may read some columns only has to be given xmin by name. */
	if (right == COL_SELECT && !is_true(r->tables, c->row, TAB_XMIN))
		buf_addf(&columns, "%sxmin", columns.len > 0 ? ", " : "");
	if (columns.len > 0)
		buf_addf(grants, "%s%s%s%s%s", grants->len > 0 ? ", " : "", word, all ? "" : " (", all ? "" : columns.p, all ? "" : ")");
	buf_fini(&columns);
}

/* A column that we leave to its default must be able to draw from its sequence. */
static void judge_sequences(const struct reading *r, struct candidate *c, const char *to)
{
	for (size_t i = c->first_column; i < c->first_column + c->n_columns; i++)
		if (!PQgetisnull(r->columns, (int)i, COL_SEQUENCE) && !is_used(c, PQgetvalue(r->columns, (int)i, COL_NAME), COL_INSERT))
			fit_problem(c, "missing rights: GRANT USAGE ON SEQUENCE %s TO %s", PQgetvalue(r->columns, (int)i, COL_SEQUENCE), to);
}

static void judge_rights(const struct reading *r, struct candidate *c)
{
	const struct mapping *m = c->pl->link.mapping;
	struct buf grants = { 0 };
	char *role = pg_quote_name(r->pg, pg_role(r->pg)), *schema = pg_quote_name(r->pg, c->table->schema);
	const char *to = role != NULL ? role : pg_role(r->pg);

	if (!is_true(r->tables, c->row, TAB_USAGE))
		fit_problem(c, "no right to use the schema: GRANT USAGE ON SCHEMA %s TO %s", schema != NULL ? schema : c->table->schema, to);
	missing_right(r, c, COL_SELECT, "SELECT", &grants);
	if (is_written(c)) {
		missing_right(r, c, COL_INSERT, "INSERT", &grants);
		missing_right(r, c, COL_UPDATE, "UPDATE", &grants);
		judge_sequences(r, c, to);
		if (m->delete_mode == DELETE_HARD && !is_true(r->tables, c->row, TAB_DELETE))
			buf_addf(&grants, "%sDELETE", grants.len > 0 ? ", " : "");
	}
	if (grants.len > 0)
		fit_problem(c, "missing rights: GRANT %s ON %s TO %s", grants.p, shown(c->table), to);
	buf_fini(&grants);
	free(schema);
	free(role);
}

/* May rows go there by COPY, under ids that we draw ourselves? What is stored must then be what was sent: pg_write_copy.c. */
static void judge_copy(const struct reading *r, struct candidate *c)
{
	struct pg_table *t = c->table;
	int id = t->id.name != NULL ? fit_column_row(r, c, t->id.name) : -1;

	if (id < 0 || !is_written(c) || t->partitioned || t->has_rules || c->pl->link.mapping->n_where > 0 ||
	    is_true(r->tables, c->row, TAB_CHANGED_INSERTS) || !is_true(r->columns, id, COL_INSERT) ||
	    PQgetisnull(r->columns, id, COL_DRAWS))
		return;
	for (size_t f = 0; f < t->n_fields; f++)
		if (t->fields[f].quoted != NULL && !pg_stores_as_sent(&t->fields[f]))
			return;
	t->sequence = xstrdup(PQgetvalue(r->columns, id, COL_DRAWS));
}

/* ---- references -------------------------------------------------------------------------------------- */

struct candidate *fit_candidate_of(struct reading *r, const struct entity_def *def)
{
	for (size_t i = 0; i < r->n; i++)
		if (fit_entity(&r->list[i]) == def)
			return &r->list[i];
	return NULL;
}

static void judge_reference(struct reading *r, struct candidate *c, size_t field)
{
	const struct field_def *f = &fit_entity(c)->fields[field];
	const struct pg_column *col = &c->table->fields[field];
	struct candidate *parent = fit_candidate_of(r, f->refers);
	struct pg_parent *p = &c->table->parents[field];

	if (col->quoted == NULL)
		return;
	if (parent == NULL || parent->table == NULL || parent->table->id.quoted == NULL) {
		fit_problem(c, "field %s refers to entity %s, whose table on this endpoint %s", f->name, f->refers->name,
			parent == NULL ? "is not mapped" : "does not fit");
		return;
	}
	if (!same_family(col, &parent->table->id)) {
		fit_problem(c, "field %s: column \"%s\" is %s, but the id of %s is %s", f->name, col->name, col->type, f->refers->name,
			parent->table->id.type);
		return;
	}
	p->keys = xcalloc(f->refers->n_key, sizeof *p->keys);
	for (size_t i = 0; i < f->refers->n_key; i++) {
		const struct pg_column *key = &parent->table->fields[f->refers->key[i]];

		if (key->quoted == NULL || f->refers->fields[f->refers->key[i]].type == FIELD_REFERENCE) {
			fit_problem(c, "field %s: the key of entity %s %s", f->name, f->refers->name,
				key->quoted == NULL ? "is not there" : "is itself a reference, which is not built yet in this version");
			return;
		}
		p->keys[p->n_keys++] = xstrdup(key->quoted);
	}
	p->quoted = xstrdup(parent->table->quoted);
	p->id = xstrdup(parent->table->id.quoted);
}

static bool takes_along(const struct reading *r, const struct pg_table *parent, const struct pg_table *child, const struct pg_column *col)
{
	for (int i = 0; i < PQntuples(r->takers); i++)
		if (strtoul(PQgetvalue(r->takers, i, TAKE_PARENT), NULL, 10) == parent->oid &&
		    strtoul(PQgetvalue(r->takers, i, TAKE_CHILD), NULL, 10) == child->oid &&
		    strcmp(PQgetvalue(r->takers, i, TAKE_COLUMN), col->name) == 0)
			return true;
	return false;
}

/* Rows outside of the filter count: they may be of records, and come into it again. Those that are deleted softly may go. */
static void add_referrer(struct pg_table *t, const struct candidate *child, size_t field)
{
	struct pg_referrer *to;

	t->referrers = xrealloc(t->referrers, (t->n_referrers + 1) * sizeof *t->referrers);
	to = &t->referrers[t->n_referrers++];
	*to = (struct pg_referrer){
		.table = xstrdup(child->table->quoted), .column = xstrdup(child->table->fields[field].quoted),
		.gone = child->table->gone != NULL ? xstrdup(child->table->gone) : NULL, .is_own = child->table == t, .field = field };
}

static bool may_read(const struct reading *r, const struct candidate *c, const struct pg_column *col)
{
	int row = col->quoted != NULL ? fit_column_row(r, c, col->name) : -1;

	return row >= 0 && is_true(r->columns, row, COL_SELECT);
}

/* Its records are there also when it does not fit. */
static bool may_be_asked(const struct reading *r, const struct candidate *c)
{
	return c->table != NULL && c->table->quoted != NULL && is_true(r->tables, c->row, TAB_USAGE) && !is_true(r->tables, c->row, TAB_RLS) &&
	       (c->table->gone == NULL || may_read(r, c, &c->table->deleted));
}

static void judge_referrers(const struct reading *r, struct candidate *c)
{
	for (size_t i = 0; i < r->n; i++) {
		const struct candidate *child = &r->list[i];
		const struct pg_table *t = child->table;

		if (!may_be_asked(r, child))
			continue;
		for (size_t f = 0; f < t->n_fields; f++)
			if (fit_entity(child)->fields[f].refers == fit_entity(c) && may_read(r, child, &t->fields[f]) &&
			    same_family(&t->fields[f], &c->table->id) && takes_along(r, c->table, t, &t->fields[f]))
				add_referrer(c->table, child, f);
	}
}

/* ---- judging all ------------------------------------------------------------------------------------- */

static void find_columns(const struct reading *r, struct candidate *c)
{
	int i = 0, n = PQntuples(r->columns);

	while (i < n && strtoul(PQgetvalue(r->columns, i, COL_TABLE), NULL, 10) != c->table->oid)
		i++;
	c->first_column = (size_t)i;
	while (i < n && strtoul(PQgetvalue(r->columns, i, COL_TABLE), NULL, 10) == c->table->oid)
		i++;
	c->n_columns = (size_t)i - c->first_column;
}

static void judge(struct reading *r, struct candidate *c)
{
	size_t n = fit_entity(c)->n_fields;

	if (c->table == NULL)
		return;
	c->table->fields = xcalloc(n, sizeof *c->table->fields);
	c->table->parents = xcalloc(n, sizeof *c->table->parents);
	c->table->n_fields = n;
	if (!quote_table(r, c->table)) {
		fit_problem(c, "its name cannot be quoted");
		return;
	}
	find_columns(r, c);
	judge_id(r, c);
	judge_modified(r, c);
	judge_fields(r, c);
	judge_deletes(r, c);
	judge_key(r, c);
	if (c->table->id.quoted != NULL)
		judge_rights(r, c);
	judge_copy(r, c);
	judge_uniqueness(r, c);
}

void fit_all(struct reading *r)
{
	for (size_t i = 0; i < r->n; i++)
		judge(r, &r->list[i]);
	for (size_t i = 0; i < r->n; i++) {
		struct candidate *c = &r->list[i];

		for (size_t f = 0; c->table != NULL && c->table->quoted != NULL && f < c->table->n_fields; f++)
			if (fit_entity(c)->fields[f].type == FIELD_REFERENCE)
				judge_reference(r, c, f);
		if (c->table == NULL || c->problems.len > 0)
			continue;
		judge_referrers(r, c);
		c->table->bytes = pg_bytes_of(c->table);
		fit_write_parts(r, c);
	}
}

int64_t fit_quantum_us(const struct pg_column *modified)
{
	int64_t us = 1;

	if (modified->quoted == NULL)
		return 1;
	if (modified->oid == T_DATE)
		return INT64_C(86400000000);
	for (int digits = modified->typmod; digits >= 0 && digits < 6; digits++)
		us *= 10;
	return us;
}
