/*
 * pg_watermark.h - which rows were written since, by the transaction that wrote them.
 *
 *   XMIN OID ALTERED
 *
 * XMIN is the oldest transaction that was under way when the watermark was taken (pg_snapshot_xmin, 64 bits). All before it had ended, so
 * a row of one of them was there for everybody to see, and whoever writes it now leaves his own, later number on it. Prepared
 * transactions count as under way; the number of a subtransaction is greater than that of its own. Freezing keeps a row's number since 9.4.
 * A row's number has 32 bits. Those of 2^31 transactions ago pass for new ones, which costs a look; a watermark so old does not hold any more.
 *
 * What changes rows, or makes them appear, without writing them alters the table: another one under its name (OID), policies, parents,
 * columns added with a default. ALTERED is the transaction that wrote its line in pg_class last; VACUUM and ANALYZE write that in place.
 *
 * It tells nothing of a table that has row level security, partitions or children, of columns whose types are no part of PostgreSQL (the label of an
 * enum can be renamed), and of a row that shows keys of others, which may be given new ones.
 */
#ifndef ENDPOINT_POSTGRES_PG_WATERMARK_H
#define ENDPOINT_POSTGRES_PG_WATERMARK_H

#include "endpoint/postgres/pg.h"

struct pg_stmt;

/* The mapping allows for one. */
bool pg_watermark_may_be(const struct pg_link *pl);
void pg_watermark_sql(struct pg_stmt *st, const struct pg_link *pl);
/* The answer to that; NULL: the table tells nothing. Caller frees. */
char *pg_watermark_take(const PGresult *res);
/* Does `then` still hold, now that this is the one? */
bool pg_watermark_holds(const char *then, const char *now);
/* " AND ..." for a row "t": written since; or of another table, which has taken the place of this one meanwhile. */
void pg_add_written_since(struct pg_stmt *st, const char *watermark);

#endif
