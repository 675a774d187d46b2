/*
 * pg_write_sql.h - the statements of pg_write.c.
 *
 * Each writes some writes of one operation and one set of fields at once: one text[] parameter a field, joined with the
 * table through unnest. A result row is (number, mark), of an insert (number, mark, id): number counts the writes of the statement from 1, mark is
 * NULL when what is stored is what was sent, byte for byte, and nothing else of the record changed; else it is the row's image (pg_row_of_image()).
 */
#ifndef ENDPOINT_POSTGRES_PG_WRITE_SQL_H
#define ENDPOINT_POSTGRES_PG_WRITE_SQL_H

#include <stdbool.h>
#include <stddef.h>

#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_sql.h"

/* The writes of one statement: list[order[0..n-1]], all of one op and one set of fields. */
struct pg_write_set {
	const struct write *list;
	const size_t *order;
	size_t n;
};

/* An inserted row whose key is not the one that was sent cannot be told from the others: the statement fails with this. */
#define PG_WRITE_UNKNOWN_ROW "2201G"
/* The column of an update's result that has the local id, where the update writes that. */
#define PG_NEW_ID "new_id"

/* False: there is no column that may be written. */
bool pg_write_update_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool skip_locked);
bool pg_write_insert_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool skip_equal);
/* Can rows inserted by one statement be told apart by their key? If not: one statement a row. */
bool pg_write_insert_joins(const struct pg_link *pl, uint64_t fields);
/*
 * The mark is not NULL when the row is still there: softly deleted, it was not marked; or it is PG_WRITE_REFERRED, since other rows refer to it,
 * which a foreign key would have deleted or changed along with it. False: deletes are ignored there.
 */
#define PG_WRITE_REFERRED "referred"
bool pg_write_delete_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool skip_locked);
/* Deletes there look who refers to a row; then they always leave locked rows aside. */
bool pg_write_keeps_referred(const struct pg_link *pl);
/* (id, version) of the rows of a set that exist. */
void pg_write_look_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set);

/* This transaction's id as xmin shows it: a row read later with this version is still the one we wrote. */
#define PG_OUR_VERSION "(pg_catalog.txid_current() % 4294967296)::pg_catalog.text"
/* What is assigned to the column; `from` is a text. */
void pg_write_add_sent(struct buf *sql, const struct pg_column *c, const char *from);
/* More of a SET list: a row that was deleted softly and is written again is there again. */
void pg_write_add_revival(struct buf *sql, const struct pg_link *pl);

/* ---- a cycle of unique values: pg_write_cycle.c -------------------------------------------------------- */

/*
 * How rows let go of unique values before they take each other's; tried one after the other. From PG_CYCLE_ONE on it is a value in between in
 * that one field (PG_CYCLE_ONE + field), where several could have one.
 */
enum { PG_CYCLE_NULL, PG_CYCLE_MIXED, PG_CYCLE_VALUES, PG_CYCLE_ALIKE, PG_CYCLE_ONE, PG_CYCLE_WAYS = PG_CYCLE_ONE + FIELDS_MAX };
/* The first way from `way` on that may be of use for these; PG_CYCLE_WAYS: there is none. */
unsigned pg_write_cycle_way(const struct pg_link *pl, const struct pg_write_set *set, unsigned way);
/*
 * All of these updates in one transaction, whatever unique values their rows take from each other. Several statements; the result is
 * (id, image) of each row. All or nothing: it fails with PG_WRITE_UNKNOWN_ROW when a row is not what it was, and with
 * PG_WRITE_FOLLOWED when a NULL would go on to rows that refer to one of these. False: it is too much for one. The sets of
 * fields may differ; those of one set stand together.
 */
#define PG_WRITE_FOLLOWED "2201F"
bool pg_write_cycle_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, unsigned way);
/* All of these updates, of one set of fields, and then nothing of it: (id, image) of each row in between. It fails as above. */
void pg_write_attempt_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set);
/*
 * Which rows have now what these are to have: (number in the set, from 0; that row's id; field). Only of columns that have to be unique alone.
 * False: there is none that changes, or it is too much for one.
 */
bool pg_write_holders_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set);

/* ---- many inserts at once by COPY: pg_write_copy.c ---------------------------------------------------- */

/* Condition on a row of pg_trigger: it may change a row before that is stored (for each row, before, insert; not disabled). */
#define PG_CHANGES_INSERTS(alias) alias ".tgtype & 7 = 7 AND " alias ".tgenabled <> 'D'"

size_t pg_write_bytes(const struct write *);	/* of the values that are sent */
/* What such a column stores reads back as it was sent, or the row is refused (pg_copy_fits() asks about each value). */
bool pg_stores_as_sent(const struct pg_column *c);
/* May these inserts go by COPY? */
bool pg_copy_fits(const struct pg_link *pl, const struct pg_write_set *set);
/*
 * The rows of a set, in COPY's text form; `drawn`: the writes have their ids, drawn by pg_copy_ids_sql() (n rows of one id). Else the table
 * draws them, and pg_copy_first_id() tells what they are. Answers how many bytes their values have.
 */
size_t pg_copy_rows(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool drawn);
void pg_copy_ids_sql(struct pg_stmt *st, const struct pg_link *pl, size_t n);
/*
 * The statement for n such rows. Nothing is stored when it fails with PG_WRITE_UNKNOWN_ROW: by now a trigger may have changed the rows;
 * with PG_WRITE_NO_RUN: somebody else drew ids meanwhile, and which are ours cannot be told.
 */
#define PG_WRITE_NO_RUN "2201E"
void pg_copy_sql(struct pg_stmt *st, const struct pg_link *pl, size_t n, bool drawn);
/* Of rows whose ids the table drew: that of the first, and the step to each next one. */
int64_t pg_copy_first_id(const PGresult *res, int64_t *step);

#endif
