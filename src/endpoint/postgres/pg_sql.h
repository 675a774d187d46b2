/*
 * pg_sql.h - one statement being put together: its text, its parameters, its way to pg_call().
 *
 * Values never become part of the text: each is a parameter, and many of one kind are one text[] in
 * PostgreSQL's binary array form (nothing to escape, one parameter for 4,000 values), cast on the server.
 * A statement owns its parameters; it must live until pg_call() has answered.
 */
#ifndef ENDPOINT_POSTGRES_PG_SQL_H
#define ENDPOINT_POSTGRES_PG_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "endpoint/postgres/pg.h"
#include "model/value.h"

enum { PG_STMT_PARAMS = FIELDS_MAX + 16 };

struct pg_stmt {
	struct buf sql;
	int n;
	struct buf data[PG_STMT_PARAMS];
	const char *values[PG_STMT_PARAMS];
	int lengths[PG_STMT_PARAMS], formats[PG_STMT_PARAMS];
	struct pg_params params;
	bool several;			/* sql holds several statements, without parameters, and the last one's result is given */
	struct buf copy;		/* not empty: the data of a COPY ... FROM STDIN in sql, which then has no parameters */
};

void pg_stmt_init(struct pg_stmt *st);
void pg_stmt_fini(struct pg_stmt *st);
void pg_stmt_again(struct pg_stmt *st);		/* empty, ready for the next statement */
/* Each adds a parameter and gives its number, for "$%d". */
int pg_stmt_value(struct pg_stmt *st, struct value v);			/* scalar, as text */
int pg_stmt_values(struct pg_stmt *st, const struct value *list, size_t n, size_t step);	/* text[]: list[0], list[step] ... */
int pg_stmt_int8s(struct pg_stmt *st, const int64_t *list, size_t n);	/* bigint[] */
/* A text[] value by value: exactly n times pg_stmt_add(). */
int pg_stmt_array(struct pg_stmt *st, size_t n);
void pg_stmt_add(struct pg_stmt *st, struct value v);			/* to the array begun last */
void pg_stmt_call(struct pg_stmt *st, struct postgres *pg, pg_result_fn *done, void *arg);

/* The type to cast a parameter to, without its length or precision: these are applied by assignment, which complains. */
const char *pg_cast_type(const struct pg_column *c);

/*
 * A comparison of the column with a value cast to pg_cast_type(): "=" or ">". The search path is empty, and citext brings its
 * own operators: a plain "=" would be that of text, which neither ignores case nor finds citext's index.
 */
void pg_add_operator(struct buf *out, const struct pg_column *c, const char *op);
bool pg_has_own_operators(const struct pg_column *c);

/* How two values of a column's type are compared byte for byte, whatever its collation says. */
enum pg_same {
	PG_SAME_TEXT,		/* text-like: as text, collation "C" */
	PG_SAME_CHAR,		/* char(n): the same, blanks at the end included, as they are read */
	PG_SAME_VALUE,		/* by the type's own equality, which is exact */
	PG_SAME_PRINT,		/* the type's text form: no equality, or one that is not exact */
	PG_SAME_JSON,		/* json keeps its text: compared with the text that was sent */
};
enum pg_same pg_same_how(const struct pg_column *c);
/*
 * The type's output function, where only that shows whether a value reads as it was sent: 16777217 is equal to what a real made of it,
 * a cast drops the blanks of char(n), and that of inet adds a mask. NULL: a comparison as above shows it.
 */
const char *pg_output(const struct pg_column *c);
static inline bool pg_is_text(const struct pg_column *c)
{
	return pg_same_how(c) == PG_SAME_TEXT || pg_same_how(c) == PG_SAME_CHAR;
}

/* A cell of a result; NULL is VALUE_NULL. Lives as long as the result. */
struct value pg_cell(const PGresult *res, int row, int column);
int64_t pg_cell_int(const PGresult *res, int row, int column, int64_t when_null);
static inline bool pg_cell_true(const PGresult *res, int row, int column)
{
	return !PQgetisnull(res, row, column) && PQgetvalue(res, row, column)[0] == 't';
}

/* A digest of a value, keyed anew by each process: for tables of ids. Equal digests still have to be compared. */
uint64_t pg_value_hash(struct value v);

/* A name as a quoted identifier (UTF-8 sessions only: quotes doubled is all there is to it). */
void pg_sql_name(struct buf *out, const char *name);

/*
 * The table as the catalog had it may be replaced while a statement is under way. Take the mark before, ask with it
 * after: NULL when the definition is not the same any more (then answer "not now").
 */
struct pg_mark { char text[20]; };
struct pg_mark pg_mark_take(const struct pg_link *pl);
const struct pg_table *pg_mark_table(const struct pg_link *pl, const struct pg_mark *mark);
/* Why a link without a table cannot be asked. */
void pg_no_table(const struct pg_link *pl, struct err *e);
bool pg_table_changed(struct err *e);		/* false, e says so */

/* Calls back next turn or a little later; like pg_call(), and so also when the endpoint goes away or is freed. */
void pg_soon(struct postgres *pg, pg_result_fn *done, void *arg);

/* What `tab` is in the change log for this link. */
const char *pg_log_name(const struct pg_link *pl);

#endif
