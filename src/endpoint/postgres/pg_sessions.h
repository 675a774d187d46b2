/*
 * pg_sessions.h - the server's sessions that are ours, of the whole process: those that are open, and those that are lost.
 *
 * Lost is one that was closed while a statement was on its way, and of which nobody has seen yet that it is gone there: the server
 * may be executing that statement, or have it unread before it, and commits it whenever it gets to it. One that had answered everything
 * is done with. Kept by the endpoint's name, not by its connections: a reload replaces these, and its own may be lost with them.
 */
#ifndef ENDPOINT_POSTGRES_PG_SESSIONS_H
#define ENDPOINT_POSTGRES_PG_SESSIONS_H

#include <stdbool.h>

#include "endpoint/postgres/pg.h"

struct pg_session;
struct pg_stmt;

/*
 * What a row `a` of pg_stat_activity is called: when it began and its process id, as log_line_prefix has it (%c). A process id alone
 * is given again. Needs no search_path.
 */
#define PG_SESSION_NAME(a) \
	"pg_catalog.concat(pg_catalog.to_hex(pg_catalog.trunc(extract(epoch FROM " a ".backend_start))::pg_catalog.int8), '.', " \
	"pg_catalog.to_hex(" a ".pid))"

struct pg_session *pg_session_new(const char *endpoint, const char *name);
/* Closed; unanswered: it is lost. NULL is fine; clears the caller's pointer. */
void pg_session_end(struct pg_session **, bool unanswered);

/* Names as a parameter, text[]; its number. */
int pg_sessions_open(struct pg_stmt *);				/* of all endpoints */
int pg_sessions_lost(struct pg_stmt *, const char *endpoint);
/* Of those just asked for only the ones that `column` of res names are still there; the others are forgotten. */
void pg_sessions_seen(const char *endpoint, const PGresult *res, int column);

#endif
