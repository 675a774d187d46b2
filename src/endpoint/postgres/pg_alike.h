/*
 * pg_alike.h - which texts a table's key columns take for the same although they differ (SEMANTICS F19).
 *
 * Only the server knows what its types and collations do, so it is asked, with a few examples.
 */
#ifndef ENDPOINT_POSTGRES_PG_ALIKE_H
#define ENDPOINT_POSTGRES_PG_ALIKE_H

#include "endpoint/postgres/pg.h"

/* The question; to be freed. NULL: there is nothing to ask, all of them compare byte for byte. */
char *pg_alike_sql(const struct pg_table *, const struct entity_def *);
/* Its answer, into `alike`. */
void pg_alike_take(struct pg_table *, const struct entity_def *, const PGresult *);

#endif
