/*
 * pg_sums.h - what many rows show, hashed by the server and added up.
 *
 * A row's hash is of the very texts that a read of it would give, in their order, as one composite value (ROW(...)::text tells NULL from
 * empty and one column from the next). So rows of equal hashes show equal texts, at whatever server of ours, and canonical and cleaned
 * forms made of equal texts are equal: equal sums never hide a difference that reading would show, but for a collision in 64 bits, as
 * of any digest of a row here, under a seed that is drawn anew each time. Unequal sums prove nothing: 1.50 and 1.5 are the same number.
 *
 * Left out of a row's texts is a foreign key's own value, which is a local matter, but for whether there is one. A row with a value that is
 * too large to be fetched has no hash; its part says so.
 */
#ifndef ENDPOINT_POSTGRES_PG_SUMS_H
#define ENDPOINT_POSTGRES_PG_SUMS_H

#include "base/buf.h"
#include "endpoint/postgres/pg.h"

struct pg_stmt;

/* The part of the key that row "t" is in, as an expression; seed: the number of a parameter. */
void pg_add_part(struct buf *sql, const struct pg_link *pl, int seed);
/* " AND ..." for a row "t": its local id is behind `after` (NULL: any) and no greater than `last` (NULL: any). */
void pg_add_range(struct pg_stmt *st, const struct pg_table *t, const char *after, const char *last);
/*
 * One row: the local id at which a range of `max` rows behind `after` (NULL: the beginning) ends, NULL: the table does before; and whether the
 * table keeps values outside of its rows. Where it does not, none is above limits.value_bytes, and none has to be measured.
 */
void pg_range_end_sql(struct pg_stmt *st, const struct pg_link *pl, const char *after, size_t max);
/* The sums of the rows behind `after` up to `last` (NULL: the end). A value that came outside meanwhile is hashed as it is. */
void pg_sums_sql(struct pg_stmt *st, const struct pg_link *pl, const char *after, const char *last, const struct sum_seeds *seeds,
		 bool keeps_long);
/* The answer to that: SUM_PARTS of them, zero where nothing is. */
void pg_sums_take(const PGresult *res, struct part_sum *parts);
/* How many rows there are, neither outside of the filter nor deleted softly. */
void pg_count_sql(struct pg_stmt *st, const struct pg_link *pl);

#endif
