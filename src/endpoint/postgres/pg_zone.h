/*
 * pg_zone.h - columns without time zone whose zone the topology declares, as moments.
 *
 * The server does the conversion, so the rules are those of its own time zone database; only which of two moments is meant, and
 * that there may be none, is said here. A column's `zone` is set where that is needed: elsewhere, and with UTC, the text of
 * a timestamp without time zone is taken as it is (model/value.h). Sessions are in UTC: "1 day" is 24 hours.
 */
#ifndef ENDPOINT_POSTGRES_PG_ZONE_H
#define ENDPOINT_POSTGRES_PG_ZONE_H

#include "base/buf.h"
#include "endpoint/postgres/pg.h"

/* The moment that a stored local time is, as timestamptz: of an hour that exists twice the first; NULL where its zone skips it. */
void pg_zone_moment(struct buf *sql, const struct pg_column *c, const char *stored);
/* The same as text for the canonical form; a time that its zone skips keeps its digits, with a word behind them that parks it. */
void pg_zone_text(struct buf *sql, const struct pg_column *c, const char *stored);
/* What is stored for a moment. */
void pg_zone_local(struct buf *sql, const struct pg_column *c, const char *moment);
/* The least that a local clock shows from that moment on: clocks that are about to be put back show less soon. */
void pg_zone_least_local(struct buf *sql, const struct pg_column *c, const char *moment);

#endif
