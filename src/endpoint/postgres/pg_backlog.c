/*
 * pg_backlog.c - how large the change log is, and how old its oldest entry (SEMANTICS F21).
 *
 * The log grows as long as somebody writes and nobody drains it: a table is stopped, an entity paused, Redis away, or it is kept for
 * another topology whose daemon is gone for good. Then it fills the application's disk, and its people have to be told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_sql.h"

/* The head of the primary key: cheap however long it is. */
static const char look_sql[] =
	"SELECT pg_total_relation_size('crmsync.changelog'), extract(epoch FROM clock_timestamp() - c.at), c.consumer "
	"FROM (SELECT) AS one LEFT JOIN (SELECT at, consumer FROM crmsync.changelog ORDER BY id LIMIT 1) AS c ON true";

struct look {
	struct postgres *pg;
	done_fn *done;			/* NULL: nobody waits */
	void *arg;
};

static void got_look(void *arg, PGresult *res, const struct err *e)
{
	struct look *l = arg;
	struct endpoint_log *log = &pg_endpoint(l->pg)->log;

	log->asking = false;
	/* Else it was dropped meanwhile, or a right was taken away: the catalog will tell. */
	log->known = e == NULL && !fault("f21-the-log-is-not-measured");
	if (log->known) {
		log->bytes = pg_cell_int(res, 0, 0, 0);
		log->oldest_s = PQgetisnull(res, 0, 1) ? 0 : strtod(PQgetvalue(res, 0, 1), NULL);
		snprintf(log->oldest_of, sizeof log->oldest_of, "%s", PQgetvalue(res, 0, 2));
	}
	PQclear(res);
	if (l->done != NULL)
		l->done(l->arg, e);
	free(l);
}

bool pg_backlog_look(struct postgres *pg, done_fn *done, void *arg)
{
	struct endpoint_log *log = &pg_endpoint(pg)->log;
	struct look *l;

	if (!log->there || log->asking)
		return false;
	log->asking = true;
	l = xcalloc(1, sizeof *l);
	*l = (struct look){ pg, done, arg };
	pg_call(pg, look_sql, NULL, got_look, l);
	return true;
}
