/*
 * pg_moment.h - exported snapshots: what lists, polls and the endpoint ask of pg_moment.c.
 */
#ifndef ENDPOINT_POSTGRES_PG_MOMENT_H
#define ENDPOINT_POSTGRES_PG_MOMENT_H

#include <stdbool.h>

#include "endpoint/postgres/pg.h"

void pg_moment_op(struct link *, moment_fn *done, void *arg);
/* What a query of several statements begins with, to look from there. Lives as long as the moment. */
const char *pg_moment_import(const struct moment *);
bool pg_moment_is_lost(const struct err *);	/* of such a query */
/* " AND name <> ..." for each session that holds one: it writes nothing, and whoever waits for those that may write need not wait for it. */
void pg_moments_pass_over(struct buf *sql, const struct postgres *, const char *name);
/* For the endpoint: its connections end; it is freed. */
void pg_moments_lose(struct postgres *, const struct err *why);
void pg_moments_leave(struct postgres *);

#endif
