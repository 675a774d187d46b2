/*
 * pg_spare.h - a value that nobody has: what stands in a column for a moment, between two statements of one transaction.
 *
 * By chance: it is made on the server, anew for each row. It is of the column's type and length. Nobody could take
 * it for a person's: an address ends in .invalid (RFC 2606), a day is in the fifth millennium.
 */
#ifndef ENDPOINT_POSTGRES_PG_SPARE_H
#define ENDPOINT_POSTGRES_PG_SPARE_H

#include <stdbool.h>

struct buf;
struct pg_column;

bool pg_has_spare(const struct pg_column *c);		/* true or false, an enum: no */
/*
 * The expression. alike: one that is rather like what the column of row "t" has now, as many digits, or a day of the past: where a check
 * constraint refuses the other one.
 */
void pg_spare_value(struct buf *sql, const struct pg_column *c, bool alike);

#endif
