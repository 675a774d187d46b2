/*
 * pg_conn.h - one PostgreSQL connection on the event loop, non-blocking throughout.
 *
 *   new -> look up names -> connect (TLS, password) -> set the session up -> [LISTEN] -> ready <-> busy -> dead
 *
 * Connecting has 10 s for all of it. One statement is in flight at a time; each pg_conn_query() is answered by exactly one call
 * of its callback, never before the call has returned and never after pg_conn_free(). When the connection fails, a
 * statement in flight is answered first, then `lost` is called. Freeing from inside any callback is allowed.
 */
#ifndef ENDPOINT_POSTGRES_PG_CONN_H
#define ENDPOINT_POSTGRES_PG_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "endpoint/postgres/pg.h"

struct pg_conn;

struct pg_conn_events {
	void (*opened)(void *arg, const struct err *e);	/* once; NULL: ready. After an error the connection is dead */
	void (*lost)(void *arg, const struct err *e);	/* once, some time after opened without error: it is dead */
	void (*notified)(void *arg);			/* one or more notifications came in */
	void *arg;
};

/*
 * Starts connecting. `writer` is the topology's name, which the capture triggers compare (crmsync.writer); `channel` is
 * listened to (NULL: none). conf and the strings must outlive the connection.
 */
struct pg_conn *pg_conn_new(struct loop *, const struct endpoint_conf *, const char *writer, const char *channel,
			    const struct pg_conn_events *);
void pg_conn_free(struct pg_conn **);		/* NULL is fine */

bool pg_conn_ready(const struct pg_conn *);	/* open, and no statement in flight */
/* Only when ready. params NULL: simple protocol, see pg_call(). No answer within timeout_ms kills the connection. */
void pg_conn_query(struct pg_conn *, const char *sql, const struct pg_params *, int64_t timeout_ms, pg_result_fn *done, void *arg);

/* Valid once opened. */
const char *pg_conn_server(const struct pg_conn *);	/* "PostgreSQL 15.8" */
int pg_conn_version(const struct pg_conn *);		/* 150008 */
const char *pg_conn_role(const struct pg_conn *);	/* current_user */
const char *pg_conn_session(const struct pg_conn *);	/* what pg_sessions.h calls it */
const char *pg_conn_search_path(const struct pg_conn *);	/* as the server gave it, without our own schema */
/* Quoted by libpq's rule for this connection; caller frees. NULL: not valid UTF-8, or the connection is dead. */
char *pg_conn_quote_name(struct pg_conn *, const char *name);
char *pg_conn_quote_text(struct pg_conn *, const char *text);

#endif
