/*
 * pg_bytes.h - how much a row brings, asked of the server before any of it is fetched.
 *
 * What may be long is measured where it lies: of a text or bytea the server knows the length without unpacking it. A value above
 * limits.value_bytes never leaves the server (SEMANTICS F27); and what is listed or captured at once ends with the row that
 * reaches limits.batch_bytes.
 */
#ifndef ENDPOINT_POSTGRES_PG_BYTES_H
#define ENDPOINT_POSTGRES_PG_BYTES_H

#include <stdbool.h>

#include "base/buf.h"
#include "endpoint/postgres/pg.h"

/* May its values be long? All others count as nothing beside what every row counts. */
bool pg_is_wide(const struct pg_column *c);
/* A condition: the value is more than `most` bytes as text. */
void pg_add_too_large(struct buf *sql, const struct pg_column *c, const char *stored, int64_t most);
/* About how many bytes the row "t" brings, as an expression; NULL when no column of it may be long. Caller frees. */
char *pg_bytes_of(const struct pg_table *t);
/* limits.batch_bytes; 0: no bound, or nothing there that it could be needed for. */
int64_t pg_batch_bytes(const struct pg_link *pl, const struct pg_table *t);
/* ", bytes up to and with this row, bytes of this row" for the list of a SELECT over "t" in that order. */
void pg_add_bytes_columns(struct buf *sql, const struct pg_table *t, const char *order);
/* Around that SELECT, all of its columns having come as x: rows up to the one that reaches `most`, in their order. */
#define PG_BYTES_BEGIN "SELECT x.* FROM ("
void pg_add_bytes_end(struct buf *sql, int64_t most);
/* Was it cut? The last two columns of the last row say so. */
bool pg_was_cut(const PGresult *res, int64_t most);

#endif
