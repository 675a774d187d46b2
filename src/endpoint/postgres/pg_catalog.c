/*
 * pg_catalog.c - reads the catalog in a few statements for all tables at once, and publishes what came of it.
 *
 *   TABLES -> COLUMNS -> INDEXES -> TAKERS -> TRIGGERS -> LOG -> pg_fit.c judges -> one "SELECT ... LIMIT 0" a table, and where its key columns
 *   may compare loosely, how -> a look at how long the log is -> publish
 *
 * Names travel as parameters and come back from the catalog before they are quoted into SQL. Everything wrong with a table
 * is said at once, each thing with what to do. One table that does not fit does not stop the others.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/text.h"
#include "endpoint/postgres/pg_alike.h"
#include "endpoint/postgres/pg_fit.h"
#include "endpoint/postgres/pg_install.h"
#include "endpoint/postgres/pg_write_sql.h"

static const char tables_sql[] =
	"SELECT w.n, c.oid, s.nspname, c.relname, c.relkind, has_schema_privilege(s.oid, 'USAGE'), "
	"has_column_privilege(c.oid, (-2)::smallint, 'SELECT'), has_table_privilege(c.oid, 'DELETE'), "
	"row_security_active(c.oid), "
	"EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.ev_type <> '1'), "
	"c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid), "
	"EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = c.oid AND " PG_CHANGES_INSERTS("g") "), "
	"CASE WHEN c.oid IS NULL THEN (SELECT string_agg(o.name, ', ') FROM (SELECT format('%I.%I', os.nspname, oc.relname) AS name "
	"  FROM pg_class oc JOIN pg_namespace os ON os.oid = oc.relnamespace "
	"  WHERE lower(oc.relname) = lower(w.v->>1) AND oc.relkind IN ('r', 'p', 'v', 'm', 'f') "
	"  AND os.nspname !~ '^pg_' AND os.nspname <> 'information_schema' ORDER BY 1 LIMIT 4) o) END, c.reltoastrelid, "
	/* What may refuse a write, as it is now: so that what was refused is tried again when that changes. */
	"(SELECT string_agg(o.what, ' ' ORDER BY o.what) FROM ("
	"  SELECT k.oid || '/' || k.xmin FROM pg_constraint k WHERE c.oid IN (k.conrelid, k.confrelid) "
	"  UNION ALL SELECT i.indexrelid || '/' || i.xmin FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique "
	"  UNION ALL SELECT g.oid || '/' || g.xmin || '/' || p.xmin FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid "
	"    WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND p.pronamespace IS DISTINCT FROM to_regnamespace('crmsync')) AS o(what)), "
	/* by what it and its partitions are, such as "LIST (zone)" */
	"(SELECT string_agg(DISTINCT pg_get_partkeydef(p.relid), ', ') FROM pg_partition_tree(c.oid) p WHERE NOT p.isleaf) "
	"FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS w(v, n) "
	"LEFT JOIN pg_namespace s ON s.nspname = coalesce(w.v->>0, 'public') "
	"LEFT JOIN pg_class c ON c.relnamespace = s.oid AND c.relname = w.v->>1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') "
	"ORDER BY w.n";

#define IS_KEY_OF(index) "a.attnum = ANY ((" index ".indkey::int2[])[0:" index ".indnkeyatts - 1]) "
#define LOOKED_AT(index) "ELSE EXISTS (SELECT FROM pg_depend p WHERE p.classid = 'pg_class'::regclass AND p.objid = " index ".indexrelid " \
	"AND p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum)"

static const char columns_sql[] =
	"SELECT a.attrelid, a.attname, format_type(a.atttypid, -1), b.oid, b.typmod, b.typcategory, a.attnotnull, "
	"a.attgenerated <> '', a.attidentity = 'a', has_column_privilege(a.attrelid, a.attnum, 'SELECT'), "
	"has_column_privilege(a.attrelid, a.attnum, 'INSERT'), has_column_privilege(a.attrelid, a.attnum, 'UPDATE'), "
	/* a serial's sequence that we may not use: inserting would fail; an identity column's needs no right */
	"(SELECT format('%I.%I', sn.nspname, s.relname) FROM pg_depend p JOIN pg_class s ON s.oid = p.objid "
	"  JOIN pg_namespace sn ON sn.oid = s.relnamespace WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass "
	"  AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'a' "
	"  AND CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE') END "
	"  LIMIT 1), "
	/* the sequence that its values come from, when we may draw from it ourselves */
	"(SELECT CASE WHEN has_sequence_privilege(s.oid, 'USAGE') THEN format('%I.%I', sn.nspname, s.relname) END "
	"  FROM pg_class s JOIN pg_namespace sn ON sn.oid = s.relnamespace WHERE s.relkind = 'S' AND s.oid IN ("
	"  SELECT p.objid FROM pg_depend p WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass "
	"  AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'i' "
	"  UNION ALL SELECT p.refobjid FROM pg_attrdef f JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = f.oid "
	"  AND p.refclassid = 'pg_class'::regclass WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum "
	"  AND pg_get_expr(f.adbin, f.adrelid) = format('nextval(%L::regclass)', p.refobjid::regclass::text)) LIMIT 1), "
	"(SELECT pg_get_expr(f.adbin, f.adrelid) FROM pg_attrdef f WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum), "
	"format_type(b.oid, -1), "
	"(SELECT format('%I.%I', ln.nspname, l.collname) FROM pg_collation l JOIN pg_namespace ln ON ln.oid = l.collnamespace "
	"  WHERE l.oid = a.attcollation AND NOT l.collisdeterministic), "
	/* a unique index that is checked row by row looks at it: as a key column, inside of an expression, or in the condition of a partial one */
	"EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid AND i.indimmediate AND CASE "
	"  WHEN i.indpred IS NULL AND i.indexprs IS NULL THEN " IS_KEY_OF("i") LOOKED_AT("i") " END), "
	/* ... and not by its condition alone; nor has its value to be that of another row, from the first moment on */
	"EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid AND i.indimmediate AND CASE "
	"  WHEN i.indexprs IS NULL THEN " IS_KEY_OF("i") LOOKED_AT("i") " END) AND NOT EXISTS (SELECT FROM pg_constraint k "
	"  WHERE k.conrelid = a.attrelid AND k.contype = 'f' AND a.attnum = ANY (k.conkey) AND NOT k.condeferrable) "
	"FROM pg_attribute a CROSS JOIN LATERAL (WITH RECURSIVE d AS ("
	"  SELECT t.oid, t.typtype, t.typcategory, t.typbasetype, t.typtypmod, a.atttypmod AS typmod "
	"  FROM pg_type t WHERE t.oid = a.atttypid "
	"  UNION ALL SELECT t.oid, t.typtype, t.typcategory, t.typbasetype, t.typtypmod, d.typtypmod "
	"  FROM d JOIN pg_type t ON t.oid = d.typbasetype WHERE d.typtype = 'd') "
	"  SELECT oid, typcategory, typmod FROM d WHERE typtype <> 'd') b "
	"WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum";

/* Whole unique indexes, a row a key column. */
static const char indexes_sql[] =
	"SELECT i.indrelid, i.indexrelid, i.indisprimary, i.indimmediate, a.attname "
	"FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, n) "
	"JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
	"WHERE i.indrelid = ANY ($1::oid[]) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL "
	"AND k.n <= i.indnkeyatts ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid, k.n";

/*
 * Foreign keys between the tables that take a row along, or change it, when the one that it refers to is deleted; a row a column. One
 * that is made so later is known when the catalog is read the next time.
 */
static const char takers_sql[] =
	"SELECT p.oid, c.oid, a.attname FROM pg_constraint k "
	"JOIN unnest($1::oid[]) AS p(oid) ON p.oid IN (k.confrelid, pg_partition_root(k.confrelid)) "
	"JOIN unnest($1::oid[]) AS c(oid) ON c.oid IN (k.conrelid, pg_partition_root(k.conrelid)) "
	"JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) "
	"WHERE k.contype = 'f' AND k.confdeltype IN ('c', 'n', 'd')";

enum { TRG_TABLE, TRG_NAME, TRG_MARK };
static const char triggers_sql[] =
	"SELECT t.tgrelid, t.tgname, obj_description(p.oid, 'pg_proc') FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
	"JOIN pg_namespace s ON s.oid = p.pronamespace "
	"WHERE s.nspname = 'crmsync' AND NOT t.tgisinternal AND t.tgenabled = 'A' AND t.tgparentid = 0";

enum { LOG_VERSION, LOG_USAGE, LOG_RIGHTS, LOG_STATE };
static const char log_sql[] =
	"SELECT obj_description(c.oid, 'pg_class'), has_schema_privilege(n.oid, 'USAGE'), "
	"has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'DELETE'), "
	"has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(s.oid, 'SELECT') AND has_table_privilege(s.oid, 'INSERT') "
	"AND has_table_privilege(s.oid, 'UPDATE') "
	"FROM (SELECT) one LEFT JOIN pg_namespace n ON n.nspname = 'crmsync' "
	"LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'changelog' AND c.relkind = 'r' "
	"LEFT JOIN pg_class s ON s.relnamespace = n.oid AND s.relname = 'state' AND s.relkind = 'r'";

/* ---- is our log there? ------------------------------------------------------------------------------- */

static size_t triggers_in_place(const struct reading *r, const struct candidate *c, const char *mark)
{
	size_t n = 0;

	for (int i = 0; i < PQntuples(r->triggers); i++)
		n += strtoul(PQgetvalue(r->triggers, i, TRG_TABLE), NULL, 10) == c->table->oid &&
			strcmp(PQgetvalue(r->triggers, i, TRG_MARK), mark) == 0 &&
			pg_install_is_ours(c->pl, PQgetvalue(r->triggers, i, TRG_NAME));
	return n;
}

static bool is_stray(const struct reading *r, int row)
{
	for (size_t k = 0; k < r->n; k++) {
		const struct candidate *c = &r->list[k];

		if (pg_install_wanted(c->pl) && pg_install_is_ours(c->pl, PQgetvalue(r->triggers, row, TRG_NAME)) &&
		    strtoul(PQgetvalue(r->triggers, row, TRG_TABLE), NULL, 10) == c->table->oid)
			return false;
	}
	return true;
}

/* Triggers of this topology where nothing is captured any more: they fill a log that nobody reads. */
static bool has_strays(const struct reading *r)
{
	char *head = pg_install_mark_head(r->pg);
	bool found = false;

	for (size_t k = 0; k < r->n; k++)
		if (r->list[k].table == NULL || r->list[k].problems.len > 0)
			goto out;	/* whose triggers these are is not known: installing would leave them too */
	for (int i = 0; i < PQntuples(r->triggers) && !found; i++)
		found = strncmp(PQgetvalue(r->triggers, i, TRG_MARK), head, strlen(head)) == 0 && is_stray(r, i);
out:
	free(head);
	return found;
}

static void judge_log(struct reading *r, struct candidate *c)
{
	struct err *why = &c->pl->log_problem;
	const char *name = pg_conf(r->pg)->name;
	char *mark;
	size_t wanted;

	err_clear(why);
	if (c->table == NULL || c->problems.len > 0 || !pg_install_wanted(c->pl))
		return;
	wanted = pg_install_mark(c->pl, c->table, &mark);
	c->pl->log_missing = strcmp(PQgetvalue(r->log, 0, LOG_VERSION), PG_INSTALL_VERSION) != 0 ||
		triggers_in_place(r, c, mark) != wanted || has_strays(r);
	free(mark);
	c->table->installed = !c->pl->log_missing && is_true(r->log, 0, LOG_USAGE) && is_true(r->log, 0, LOG_RIGHTS) &&
		is_true(r->log, 0, LOG_STATE);
	if (c->pl->log_missing)
		err_set(why, ERR_ENDPOINT, "", "the change log is not installed there or not up to date: run crmsyncctl install %s "
			"(or give the output of crmsyncctl install %s --print to the database's owner)", name, name);
	else if (!c->table->installed)
		err_set(why, ERR_ENDPOINT, "42501", "role %s may not use the change log: run the GRANT lines of "
			"crmsyncctl install %s --print as its owner", pg_role(r->pg), name);
}

/* ---- publishing -------------------------------------------------------------------------------------- */

static void publish(struct reading *r, struct candidate *c)
{
	struct pg_link *pl = c->pl;

	err_clear(&pl->misfit);
	if (c->problems.len > 0) {
		err_set(&pl->misfit, ERR_ENDPOINT, "", "table %s: %s", pl->link.mapping->table, c->problems.p);
		pg_table_free(&c->table);
	}
	if (c->table != NULL && memcmp(pl->link.alike, c->table->alike, sizeof pl->link.alike) != 0) {
		memcpy(pl->link.alike, c->table->alike, sizeof pl->link.alike);
		pl->untold = true;
	}
	if (pl->table != NULL && c->table != NULL && strcmp(pl->link.schema_mark, c->mark) == 0) {
		pl->table->installed = c->table->installed;
		pl->table->toast = c->table->toast;
		return;		/* as it was: whoever holds the old one may keep it */
	}
	pg_capture_free(&pl->capture);
	pg_retire(r->pg, pl->table);
	pl->table = c->table;
	c->table = NULL;
	snprintf(pl->link.schema_mark, sizeof pl->link.schema_mark, "%s", c->mark);
	pl->link.quantum_us = pl->table != NULL ? fit_quantum_us(&pl->table->modified) : 1;
}

static void finish(struct reading *r)
{
	bool ok = r->e.kind == 0;

	if (ok)
		pg_endpoint(r->pg)->keeps_state = is_true(r->log, 0, LOG_STATE);
	for (size_t i = 0; i < r->n; i++) {
		struct candidate *c = &r->list[i];

		if (ok)
			publish(r, c);
		pg_table_free(&c->table);
		buf_fini(&c->problems);
		free(c->schema);
		free(c->name);
		free(c->check);
	}
	PQclear(r->tables);
	PQclear(r->columns);
	PQclear(r->indexes);
	PQclear(r->takers);
	PQclear(r->triggers);
	PQclear(r->log);
	free(r->param);
	r->done(r->arg, ok ? NULL : &r->e);
	free(r);
}

/* ---- the steps --------------------------------------------------------------------------------------- */

static void fail(struct reading *r, const struct err *e)
{
	r->e = *e;
	err_while(&r->e, "reading the catalog");
	finish(r);
}

static void check_next(struct reading *r);

static void looked(void *arg, const struct err *e)
{
	if (e != NULL && (e->kind == ERR_TRANSIENT || e->code[0] == '\0'))
		fail(arg, e);
	else
		finish(arg);
}

/* The first column whose zone was declared; NULL: none. */
static const char *zone_of(const struct pg_table *t)
{
	for (size_t i = 0; i < t->n_fields; i++)
		if (t->fields[i].zone != NULL)
			return t->fields[i].zone;
	return t->modified.zone;
}

/* With a constant that is converted, for the name of the zone is looked up when the statement is planned. */
static char *check_statement(const struct pg_table *t)
{
	const char *zone = zone_of(t);
	char *more = zone != NULL ? xasprintf(", pg_catalog.timezone(%s, '2000-01-01'::pg_catalog.timestamp)", zone) : xstrdup("");
	char *sql = xasprintf("SELECT %s%s %s LIMIT 0", t->select_list, more, t->from_clause);

	free(more);
	return sql;
}

static void got_alike(void *arg, PGresult *res, const struct err *e)
{
	struct reading *r = arg;
	struct candidate *c = &r->list[r->checking];

	if (e != NULL && (e->kind == ERR_TRANSIENT || e->code[0] == '\0')) {
		fail(r, e);
		return;
	}
	if (e != NULL)
		fit_problem(c, "asking how its key columns compare fails (%s): %s", e->code, e->text);
	else
		pg_alike_take(c->table, c->pl->link.mapping->entity, res);
	PQclear(res);
	r->checking++;
	check_next(r);
}

static bool ask_alike(struct reading *r)
{
	struct candidate *c = &r->list[r->checking];

	free(c->check);
	c->check = pg_alike_sql(c->table, c->pl->link.mapping->entity);
	if (c->check != NULL)
		pg_call(r->pg, c->check, NULL, got_alike, r);
	return c->check != NULL;
}

static void got_check(void *arg, PGresult *res, const struct err *e)
{
	struct reading *r = arg;
	struct candidate *c = &r->list[r->checking];

	PQclear(res);
	if (e != NULL && (e->kind == ERR_TRANSIENT || e->code[0] == '\0')) {
		fail(r, e);
		return;
	}
	if (e != NULL && strcmp(e->code, "22023") == 0 && zone_of(c->table) != NULL)
		fit_problem(c, "zone: the database knows no time zone '%s'; pg_timezone_names there lists them",
			    mapping_zone(c->pl->link.mapping));
	else if (e != NULL)
		fit_problem(c, "reading from it fails (%s): %s", e->code, e->text);
	else if (ask_alike(r))
		return;
	r->checking++;
	check_next(r);
}

/* The server itself says whether the statement works: rights on parents, operators, literals of `where`. */
static void check_next(struct reading *r)
{
	while (r->checking < r->n && (r->list[r->checking].table == NULL || r->list[r->checking].problems.len > 0))
		r->checking++;
	if (r->checking < r->n) {
		struct candidate *c = &r->list[r->checking];

		c->check = check_statement(c->table);
		pg_call(r->pg, c->check, NULL, got_check, r);
		return;
	}
	for (size_t i = 0; i < r->n; i++)
		judge_log(r, &r->list[i]);
	pg_endpoint(r->pg)->log.there = is_true(r->log, 0, LOG_USAGE) && is_true(r->log, 0, LOG_RIGHTS);
	if (!pg_backlog_look(r->pg, looked, r))
		finish(r);
}

static void got_log(void *arg, PGresult *res, const struct err *e)
{
	struct reading *r = arg;

	r->log = res;
	if (e != NULL) {
		fail(r, e);
		return;
	}
	fit_all(r);
	check_next(r);
}

static void ask(struct reading *r, const char *sql, pg_result_fn *then)
{
	struct pg_params p = { .n = 1, .values = r->values };

	r->values[0] = r->param;
	pg_call(r->pg, sql, &p, then, r);
}

static void got_triggers(void *arg, PGresult *res, const struct err *e)
{
	struct reading *r = arg;

	r->triggers = res;
	if (e != NULL)
		fail(r, e);
	else
		pg_call(r->pg, log_sql, NULL, got_log, r);
}

static void got_takers(void *arg, PGresult *res, const struct err *e)
{
	struct reading *r = arg;

	r->takers = res;
	if (e != NULL)
		fail(r, e);
	else
		pg_call(r->pg, triggers_sql, NULL, got_triggers, r);
}

static void got_indexes(void *arg, PGresult *res, const struct err *e)
{
	struct reading *r = arg;

	r->indexes = res;
	if (e != NULL)
		fail(r, e);
	else
		ask(r, takers_sql, got_takers);
}

static void got_columns(void *arg, PGresult *res, const struct err *e)
{
	struct reading *r = arg;

	r->columns = res;
	if (e != NULL)
		fail(r, e);
	else
		ask(r, indexes_sql, got_indexes);
}

static void got_tables(void *arg, PGresult *res, const struct err *e)
{
	struct reading *r = arg;
	struct buf oids = { 0 };
	int row = 0;

	r->tables = res;
	if (e != NULL) {
		fail(r, e);
		return;
	}
	for (size_t i = 0; i < r->n; i++) {
		struct candidate *c = &r->list[i];

		if (c->name == NULL)
			continue;
		c->row = row++;
		fit_kind(r, c);
		if (c->table != NULL)
			buf_addf(&oids, "%c%u", oids.len > 0 ? ',' : '{', c->table->oid);
	}
	buf_adds(&oids, oids.len > 0 ? "}" : "{}");
	free(r->param);
	r->param = buf_take(&oids);
	ask(r, columns_sql, got_columns);
}

static void json_name(struct buf *b, const char *name)
{
	if (name == NULL)
		buf_adds(b, "null");
	else
		text_json(b, name, strlen(name));
}

void pg_catalog_read(struct postgres *pg, done_fn *done, void *arg)
{
	struct endpoint *ep = pg_endpoint(pg);
	struct reading *r = xcalloc(1, sizeof *r);
	struct buf names = { 0 };

	r->pg = pg;
	r->done = done;
	r->arg = arg;
	buf_addc(&names, '[');
	for (size_t i = 0; i < countof(ep->links); i++) {
		struct candidate *c = &r->list[r->n];

		if (ep->links[i] == NULL)
			continue;
		r->n++;
		c->pl = (struct pg_link *)ep->links[i];
		fit_split_table(c, ep->links[i]->mapping->table);
		if (c->name == NULL)
			continue;
		buf_adds(&names, names.len > 1 ? ",[" : "[");
		json_name(&names, c->schema);
		buf_addc(&names, ',');
		json_name(&names, c->name);
		buf_addc(&names, ']');
	}
	buf_addc(&names, ']');
	r->param = buf_take(&names);
	ask(r, tables_sql, got_tables);
}

static void column_fini(struct pg_column *col)
{
	free(col->name);
	free(col->quoted);
	free(col->type);
	free(col->zone);
	free(col->loose);
}

void pg_table_free(struct pg_table **tp)
{
	struct pg_table *t = *tp;

	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n_fields; i++) {
		column_fini(&t->fields[i]);
		for (size_t k = 0; k < t->parents[i].n_keys; k++)
			free(t->parents[i].keys[k]);
		free(t->parents[i].keys);
		free(t->parents[i].quoted);
		free(t->parents[i].id);
	}
	for (size_t i = 0; i < t->n_referrers; i++) {
		free(t->referrers[i].table);
		free(t->referrers[i].column);
		free(t->referrers[i].gone);
	}
	free(t->referrers);
	column_fini(&t->id);
	column_fini(&t->modified);
	column_fini(&t->deleted);
	free(t->fields);
	free(t->parents);
	free(t->schema);
	free(t->name);
	free(t->quoted);
	free(t->gone);
	free(t->there);
	free(t->select_list);
	free(t->short_list);
	free(t->from_clause);
	free(t->written);
	free(t->image);
	free(t->bytes);
	free(t->sequence);
	free(t);
	*tp = NULL;
}

uint64_t pg_plain_digest(const void *p, size_t n)
{
	struct digest_key fixed;

	for (size_t i = 0; i < sizeof fixed.secret; i++)
		fixed.secret[i] = (unsigned char)(i * 167 + 13);
	return digest64(&fixed, p, n);
}
