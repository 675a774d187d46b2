/*
 * pg_moment.c - a table as it was at one moment, for several connections: an exported snapshot.
 *
 *   new -> its own connection -> TABLES -> EXPORT -> held -> released, or lost
 *
 * The connection that exports stays in its transaction for as long as somebody lists; it is none of the pool, and that it is lost is no failure
 * of the endpoint. A list imports the snapshot into a transaction of its own (pg_rows.c).
 *
 * A table that was emptied or built anew after a snapshot looks empty from there. To lock it all the while, as pg_dump does, would make
 * whoever alters it wait, and everybody else behind him. So it is noted in which files its rows lie, before the moment; each list looks, with the
 * tables locked for itself, whether they are still these, and fails when they are not.
 */
#include "endpoint/postgres/pg_moment.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_endpoint.h"
#include "endpoint/postgres/pg_sessions.h"
#include "endpoint/postgres/pg_sql.h"

enum { ANSWER_MS = 10000 };

struct pg_moment {
	struct moment moment;		/* first member */
	struct postgres *pg;		/* NULL: it is gone */
	struct pg_moment *next;		/* of the endpoint */
	struct pg_conn *conn;		/* NULL: lost */
	struct pg_session *session;
	struct buf tables;		/* a text[] of them */
	struct buf touch;		/* a statement that locks them for its transaction, and needs no more rights than a list does */
	struct buf sql;			/* in flight */
	char *files;			/* where their rows lie, quoted */
	char *import;			/* statements; NULL: nothing was exported yet */
	moment_fn *done;		/* NULL: answered */
	void *arg;
};

/* ---- the end ----------------------------------------------------------------------------------------- */

static void disconnect(struct pg_moment *m)
{
	pg_session_end(&m->session, false);	/* it only reads: nobody has to know whether its last statement was carried out */
	pg_conn_free(&m->conn);
}

static void release(struct moment *moment)
{
	struct pg_moment *m = (struct pg_moment *)moment;

	for (struct pg_moment **at = m->pg != NULL ? &m->pg->moments : NULL; at != NULL && *at != NULL; at = &(*at)->next)
		if (*at == m) {
			*at = m->next;
			break;
		}
	disconnect(m);
	buf_fini(&m->tables);
	buf_fini(&m->touch);
	buf_fini(&m->sql);
	free(m->files);
	free(m->import);
	free(m);
}

static void answer_failure(struct pg_moment *m, const struct err *e)
{
	moment_fn *done = m->done;
	void *arg = m->arg;
	struct err why = *e;

	err_while(&why, "holding a moment of the table");
	release(&m->moment);
	done(arg, NULL, &why);
}

static void on_refused(void *arg, PGresult *res, const struct err *e)
{
	PQclear(res);
	answer_failure(arg, e);
}

/* Its connection ends with those of the pool; whoever waits for it is told like everybody who waits there. */
static void lose(struct pg_moment *m, const struct err *why)
{
	struct pg_request *r;
	bool asked = m->conn != NULL && m->done != NULL;

	disconnect(m);
	if (!asked)
		return;
	r = xcalloc(1, sizeof *r);
	r->done = on_refused;
	r->arg = m;
	pg_refuse(m->pg, r, why);
}

void pg_moments_lose(struct postgres *pg, const struct err *why)
{
	for (struct pg_moment *m = pg->moments; m != NULL; m = m->next)
		lose(m, why);
}

void pg_moments_leave(struct postgres *pg)
{
	for (struct pg_moment *m = pg->moments; m != NULL; m = m->next)
		m->pg = NULL;
	pg->moments = NULL;
}

/* ---- TABLES ------------------------------------------------------------------------------------------ */

static void add_table(struct pg_moment *m, const char *quoted)
{
	char *text = pg_quote_text(m->pg, quoted);

	buf_addf(&m->tables, "%s%s", m->tables.len == 0 ? "ARRAY[" : ", ", text != NULL ? text : "NULL");
	buf_addf(&m->touch, "%s%s AS t%zu", m->touch.len == 0 ? "SELECT FROM " : ", ", quoted, m->touch.len);
	free(text);
}

/* The table, and those from which it takes the keys of what it points to. */
static void list_tables(struct pg_moment *m, const struct pg_table *t)
{
	add_table(m, t->quoted);
	for (size_t f = 0; f < t->n_fields; f++)
		if (t->parents[f].quoted != NULL)
			add_table(m, t->parents[f].quoted);
	buf_adds(&m->tables, "]");
	buf_adds(&m->touch, " LIMIT 0");
}

/* Where the rows of these tables lie, and of their partitions. Not as a snapshot has it: as it is. */
static void add_files(struct buf *sql, const struct pg_moment *m)
{
	buf_addf(sql, "(SELECT string_agg(concat(p.id::oid, ' ', pg_relation_filenode(p.id)), ', ' ORDER BY p.id::oid) "
		 "FROM unnest(%s::regclass[]) AS t(id) CROSS JOIN LATERAL (SELECT t.id UNION SELECT relid FROM pg_partition_tree(t.id)) AS p(id))",
		 m->tables.p);
}

static void ask(struct pg_moment *m, pg_result_fn *done)
{
	pg_conn_query(m->conn, m->sql.p, NULL, ANSWER_MS, done, m);
}

static void on_tables(void *arg, PGresult *res, const struct err *e);

static void on_opened(void *arg, const struct err *e)
{
	struct pg_moment *m = arg;

	if (e != NULL) {
		answer_failure(m, e);
		return;
	}
	m->session = pg_session_new(m->pg->ep.conf->name, pg_conn_session(m->conn));
	buf_addf(&m->sql, "%s; SELECT ", m->touch.p);
	add_files(&m->sql, m);
	ask(m, on_tables);
}

/* ---- EXPORT ------------------------------------------------------------------------------------------ */

static void on_exported(void *arg, PGresult *res, const struct err *e)
{
	struct pg_moment *m = arg;
	moment_fn *done = m->done;

	if (e != NULL) {
		answer_failure(m, e);
		return;
	}
	buf_clear(&m->sql);
	buf_addf(&m->sql, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET TRANSACTION SNAPSHOT '%s'; %s; SELECT true OFFSET CASE WHEN ",
		 PQgetvalue(res, 0, 0), m->touch.p);
	add_files(&m->sql, m);
	buf_addf(&m->sql, " = %s THEN 0 ELSE -1 END; ", m->files);
	PQclear(res);
	m->import = buf_take(&m->sql);
	m->done = NULL;
	done(m->arg, &m->moment, NULL);
}

/* An administrator who looks for what keeps a transaction open finds it by its name; by that it is no session like those which write, either. */
static void on_tables(void *arg, PGresult *res, const struct err *e)
{
	static const char export[] =
		"SET application_name = 'crmsyncd snapshot'; BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; "
		"SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout'); "
		"SELECT pg_export_snapshot()";
	struct pg_moment *m = arg;

	if (e != NULL) {
		answer_failure(m, e);
		return;
	}
	m->files = pg_conn_quote_text(m->conn, PQgetvalue(res, 0, 0));
	PQclear(res);
	buf_clear(&m->sql);
	buf_adds(&m->sql, export);
	ask(m, on_exported);
}

/* ---- birth ------------------------------------------------------------------------------------------- */

static void on_lost(void *arg, const struct err *e)
{
	struct pg_moment *m = arg;

	log_info("the session that held a moment of a table was lost", LOG_S("endpoint", m->pg->ep.conf->name), LOG_ERR(e));
	disconnect(m);
}

static void on_notified(void *arg)
{
	/* It listens to nothing. */
}

static void on_no_table(void *arg, PGresult *res, const struct err *e)
{
	struct pg_moment *m = arg;
	struct err none = { 0 };

	PQclear(res);
	err_set(&none, ERR_TRANSIENT, "", "the table cannot be used now");
	answer_failure(m, e != NULL ? e : &none);
}

void pg_moment_op(struct link *l, moment_fn *done, void *arg)
{
	struct pg_link *pl = (struct pg_link *)l;
	struct pg_moment *m = xcalloc(1, sizeof *m);

	*m = (struct pg_moment){ .moment = { release }, .pg = pl->pg, .next = pl->pg->moments, .done = done, .arg = arg };
	pl->pg->moments = m;
	if (pl->table == NULL || pl->pg->phase != PG_SERVING) {
		pg_soon(pl->pg, on_no_table, m);
		return;
	}
	list_tables(m, pl->table);
	m->conn = pg_conn_new(pl->pg->loop, pl->pg->ep.conf, pl->pg->topology->name, NULL,
			      &(struct pg_conn_events){ on_opened, on_lost, on_notified, m });
}

/* ---- what others ask --------------------------------------------------------------------------------- */

const char *pg_moment_import(const struct moment *moment)
{
	return ((const struct pg_moment *)moment)->import;
}

/* 42704, 22023: the snapshot is not there any more, nor the session, in the words of different servers; 2201X: other files. */
bool pg_moment_is_lost(const struct err *e)
{
	return strcmp(e->code, "42704") == 0 || strcmp(e->code, "22023") == 0 || strcmp(e->code, "55000") == 0 || strcmp(e->code, "2201X") == 0;
}

void pg_moments_pass_over(struct buf *sql, const struct postgres *pg, const char *alias)
{
	for (const struct pg_moment *m = pg->moments; m != NULL; m = m->next)
		if (m->session != NULL)
			buf_addf(sql, " AND %s <> '%s'", alias, pg_conn_session(m->conn));
}
