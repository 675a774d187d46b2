#include "endpoint/postgres/pg_path.h"

#include <stdlib.h>

void pg_path_begin(struct pg_stmt *st)
{
	buf_adds(&st->sql, "WITH w AS (");
}

void pg_path_end(struct pg_stmt *st, struct postgres *pg)
{
	buf_adds(&st->sql, ") SELECT w.* FROM w WHERE ");
	pg_path_condition(st, pg);
}

/* A sub-select that depends on nothing is a one-time filter: the plan below it is not even started before it is true. */
void pg_path_condition(struct pg_stmt *st, struct postgres *pg)
{
	buf_addf(&st->sql, "(SELECT pg_catalog.set_config('search_path', $%d, true)) IS NOT NULL",
		 pg_stmt_value(st, value_of(pg_search_path(pg))));
}

void pg_path_plain_set(struct pg_stmt *st, struct postgres *pg)
{
	char *path = pg_quote_text(pg, pg_search_path(pg));

	buf_addf(&st->sql, "pg_catalog.set_config('search_path', %s, true)", path != NULL ? path : "''");
	free(path);
}

void pg_path_plain_condition(struct pg_stmt *st, struct postgres *pg)
{
	buf_adds(&st->sql, "(SELECT ");
	pg_path_plain_set(st, pg);
	buf_adds(&st->sql, ") IS NOT NULL");
}

void pg_path_plain_back(struct pg_stmt *st)
{
	buf_adds(&st->sql, "; SELECT pg_catalog.set_config('search_path', '', true); ");
}
