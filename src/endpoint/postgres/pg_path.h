/*
 * pg_path.h - what our writes set off runs under the application's own search_path.
 *
 * Our sessions have an empty search_path, so that nothing another user made in some schema can stand in for a function or an operator
 * of ours (SEMANTICS 12). But the application's triggers, and the functions in its constraints, defaults and generated columns, run
 * inside our writes, and were made for the path that it has. Names in a statement are looked up before any of it is carried out: so
 * each write is looked up under the empty path, and the first thing it does is to set the other one, up to the end of
 * its transaction. That path is what the server gives our role there (ALTER ROLE, ALTER DATABASE, options= in the
 * connection), without our own schema, which "$user" may name.
 */
#ifndef ENDPOINT_POSTGRES_PG_PATH_H
#define ENDPOINT_POSTGRES_PG_PATH_H

#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_sql.h"

/* Around one data-modifying statement with RETURNING: answers its rows. */
void pg_path_begin(struct pg_stmt *st);
void pg_path_end(struct pg_stmt *st, struct postgres *pg);
/* A condition for the top of a statement that writes in a WITH: true, once the path is set, and before anything below is begun. */
void pg_path_condition(struct pg_stmt *st, struct postgres *pg);
/* For several statements in one transaction, without parameters. */
void pg_path_plain_condition(struct pg_stmt *st, struct postgres *pg);
void pg_path_plain_set(struct pg_stmt *st, struct postgres *pg);	/* the call alone, for a SELECT's list */
void pg_path_plain_back(struct pg_stmt *st);	/* ends a statement, and the path: before the next one is looked up */

#endif
