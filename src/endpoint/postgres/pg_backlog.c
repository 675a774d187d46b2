/*
 * pg_backlog.c - how large the change log is, and how old its oldest entry (SEMANTICS F21).
 *
 * The log grows as long as somebody writes and nobody drains it: a table is stopped, an entity paused, Redis away, or it is kept for
 * another topology whose daemon is gone for good. Then it fills the application's disk, and its people have to be told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_sql.h"

/* The head of the primary key: cheap however long it is. */
static const char look_sql[] =
	"SELECT pg_total_relation_size('crmsync.changelog'), extract(epoch FROM clock_timestamp() - c.at), c.consumer "
	"FROM (SELECT) AS one LEFT JOIN (SELECT at, consumer FROM crmsync.changelog ORDER BY id LIMIT 1) AS c ON true";

static void got_look(void *arg, PGresult *res, const struct err *e)
{
	struct endpoint_log *log = &pg_endpoint(arg)->log;

	log->asking = false;
	log->known = e == NULL;
	if (e != NULL)		/* dropped meanwhile, or a right was taken away: the catalog will tell */
		return;
	log->bytes = pg_cell_int(res, 0, 0, 0);
	log->oldest_s = PQgetisnull(res, 0, 1) ? 0 : strtod(PQgetvalue(res, 0, 1), NULL);
	snprintf(log->oldest_of, sizeof log->oldest_of, "%s", PQgetvalue(res, 0, 2));
	PQclear(res);
}

void pg_backlog_look(struct postgres *pg)
{
	struct endpoint_log *log = &pg_endpoint(pg)->log;

	if (!log->there || log->asking)
		return;
	log->asking = true;
	pg_call(pg, look_sql, NULL, got_look, pg);
}
