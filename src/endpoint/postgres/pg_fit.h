/*
 * pg_fit.h - inside the catalog check: what was read, and the judgement on each table.
 *
 * pg_catalog.c asks the server and publishes; pg_fit.c only looks at the results and builds struct pg_table, with the parts of
 * statements that pg_fit_parts.c writes. A problem is a sentence with what to do; a candidate without problems fits.
 */
#ifndef ENDPOINT_POSTGRES_PG_FIT_H
#define ENDPOINT_POSTGRES_PG_FIT_H

#include "base/buf.h"
#include "endpoint/postgres/pg.h"

/* One link's table, on trial. */
struct candidate {
	struct pg_link *pl;
	char *schema, *name;		/* as written; schema NULL: not given */
	struct pg_table *table;		/* in the making; NULL: there is none */
	struct buf problems;
	size_t first_column, n_columns;	/* rows of reading.columns */
	int row;			/* of reading.tables */
	char mark[20];
	char *check;			/* the statement that proves it */
};

/* One reading of the catalog, for all links. */
struct reading {
	struct postgres *pg;
	done_fn *done;
	void *arg;
	bool unmeasured;		/* pg_fit_parts.c's own: the list that is being written measures no values */
	struct candidate list[64];
	size_t n, checking;
	char *param;
	const char *values[1];
	PGresult *tables, *columns, *indexes, *takers, *triggers, *log;
	struct err e;
};

/* Columns of the results; the statements are in pg_catalog.c. */
enum { TAB_N, TAB_OID, TAB_SCHEMA, TAB_NAME, TAB_KIND, TAB_USAGE, TAB_XMIN, TAB_DELETE, TAB_RLS, TAB_RULES, TAB_CHILDREN,
       TAB_CHANGED_INSERTS, TAB_OTHERS, TAB_TOAST, TAB_REFUSERS, TAB_PARTED_BY };
enum { COL_TABLE, COL_NAME, COL_TYPE, COL_BASE, COL_TYPMOD, COL_CATEGORY, COL_NOT_NULL, COL_GENERATED, COL_IDENTITY,
       COL_SELECT, COL_INSERT, COL_UPDATE, COL_SEQUENCE, COL_DRAWS, COL_DEFAULT, COL_BASE_TYPE, COL_COLLATION, COL_UNIQUE, COL_ASIDE };
enum { TAKE_PARENT, TAKE_CHILD, TAKE_COLUMN };
enum { IDX_TABLE, IDX_OID, IDX_PRIMARY, IDX_IMMEDIATE, IDX_COLUMN };

static inline bool is_true(const PGresult *res, int row, int column)
{
	return PQgetvalue(res, row, column)[0] == 't';
}

static inline const struct entity_def *fit_entity(const struct candidate *c)
{
	return c->pl->link.mapping->entity;
}

/* pg_fit.c */
void fit_problem(struct candidate *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "[schema.]table" into c->schema and c->name; name NULL: malformed, and said so. */
void fit_split_table(struct candidate *, const char *text);
/* The row of reading.tables: makes c->table, or says why there can be none. */
void fit_kind(const struct reading *, struct candidate *);
/* All the rest, once all results are there. A candidate that fits then has select_list, image and so on, and mark. */
void fit_all(struct reading *);
struct candidate *fit_candidate_of(struct reading *, const struct entity_def *);	/* of the same endpoint; NULL: it has no table there */
int fit_column_row(const struct reading *, const struct candidate *, const char *name);	/* of reading.columns; -1: there is none */
/* The precision of a modified column's stamps. */
int64_t fit_quantum_us(const struct pg_column *modified);

/* pg_fit_parts.c */
void fit_write_parts(struct reading *, struct candidate *);	/* of one that fits, as do those that it refers to: select_list, image and so on, and mark */

#endif
