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

enum { PG_INLINE_MOST = 8192 * 256 };	/* of a value that lies within its row, however it is compressed */

/* May its values be long? All others count as nothing beside what every row counts. */
bool pg_is_wide(const struct pg_column *c);
/* A condition: the value is more than `most` bytes as text. */
void pg_add_too_large(struct buf *sql, const struct pg_column *c, const char *stored, int64_t most);
/* About how many bytes the row "t" brings, as an expression; NULL when no column of it may be long. Caller frees. */
char *pg_bytes_of(const struct pg_table *t);
/* limits.batch_bytes; 0: no bound, or nothing there that it could be needed for. */
int64_t pg_batch_bytes(const struct pg_link *pl, const struct pg_table *t);
/*
 * The question itself is not free (a window over a million rows of ten columns: 2.4 s of processor time), and where nothing lies outside
 * of the rows they are short, but for what compresses well. So a statement first asks whether the table keeps anything outside.
 */
/* False: the table cannot tell, or rows of the link have been larger than expected: their bytes are always asked for. */
bool pg_may_be_short(const struct pg_link *pl, const struct pg_table *t);
/* A condition, decided once a statement: the table keeps something outside of its rows. True, too, when its place for that is another
 * one by now (some ALTER TABLEs make a new one, which the next look at the catalog finds). Only where pg_may_be_short(). */
void pg_add_keeps_long(struct buf *sql, const struct pg_table *t);
/* More than limits.batch_bytes came: the link counts as wide from now on. rows NULL: nothing came. */
void pg_note_bytes(struct pg_link *pl, const struct rowset *rows);
/* ", bytes up to and with this row, bytes of this row" for the list of a SELECT over "t" in that order. */
void pg_add_bytes_columns(struct buf *sql, const struct pg_table *t, const char *order);
/* Around that SELECT, all of its columns having come as x: rows up to the one that reaches `most`, in their order. */
#define PG_BYTES_BEGIN "SELECT x.* FROM ("
void pg_add_bytes_end(struct buf *sql, int64_t most);
/* Was it cut? The last two columns of the last row say so. */
bool pg_was_cut(const PGresult *res, int64_t most);

#endif
