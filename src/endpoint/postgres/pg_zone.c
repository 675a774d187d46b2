#include "endpoint/postgres/pg_zone.h"

#include <stdlib.h>

#include "base/mem.h"
#include "model/value.h"

/*
 * Of two moments with one local time the server takes the later, of a time that is skipped it makes one an hour off. So: the first
 * answer counts only when it leads back, and what the offset of a day before gives goes before it when that leads back too.
 */
void pg_zone_moment(struct buf *sql, const struct pg_column *c, const char *stored)
{
	char *later = xasprintf("pg_catalog.timezone(%s, %s)", c->zone, stored);
	char *first = xasprintf("(pg_catalog.timezone(%s, %s - '1 day'::pg_catalog.interval) + '1 day'::pg_catalog.interval)", c->zone, stored);

	buf_addf(sql, "CASE WHEN NOT pg_catalog.isfinite(%s) THEN %s::pg_catalog.timestamptz", stored, stored);
	/* There a day or an offset may lead out of the type's range: an error for all rows of the statement. */
	buf_addf(sql, " WHEN %s < '4713-01-01 BC'::pg_catalog.timestamp OR %s > '294276-01-01'::pg_catalog.timestamp THEN NULL", stored, stored);
	buf_addf(sql, " WHEN pg_catalog.timezone(%s, %s) = %s THEN LEAST(%s, CASE WHEN pg_catalog.timezone(%s, %s) = %s THEN %s END) END",
		 c->zone, later, stored, later, c->zone, first, stored, first);
	free(later);
	free(first);
}

void pg_zone_text(struct buf *sql, const struct pg_column *c, const char *stored)
{
	buf_adds(sql, "COALESCE((");
	pg_zone_moment(sql, c, stored);
	buf_addf(sql, ")::pg_catalog.text, %s::pg_catalog.text || ' " TIMESTAMP_SKIPPED "')", stored);
}

void pg_zone_local(struct buf *sql, const struct pg_column *c, const char *moment)
{
	buf_addf(sql, "pg_catalog.timezone(%s, %s)", c->zone, moment);
}

/* A clock is put back by at most three hours, and the offset behind that shows within as many. */
void pg_zone_least_local(struct buf *sql, const struct pg_column *c, const char *moment)
{
	buf_addf(sql, "LEAST(pg_catalog.timezone(%s, %s), pg_catalog.timezone(%s, %s + '3 hours'::pg_catalog.interval)"
		 " - '3 hours'::pg_catalog.interval)", c->zone, moment, c->zone, moment);
}
