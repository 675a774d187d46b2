/*
 * pg_ask.h - an operation that reads, from the call to the answer: one statement, or several one after the other.
 */
#ifndef ENDPOINT_POSTGRES_PG_ASK_H
#define ENDPOINT_POSTGRES_PG_ASK_H

#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_sql.h"

typedef void number_fn(void *arg, int64_t rows, const struct err *e);
typedef void position_fn(void *arg, const char *position, const struct err *e);

struct ask {
	struct pg_link *pl;
	struct pg_mark mark;
	struct pg_stmt st;
	const char *what;		/* for the error's story */
	void (*answer)(struct ask *, PGresult *res, const struct err *e);	/* res: still to be cleared by it */
	union {
		rowset_fn *rowset;
		stamps_fn *stamps;
		number_fn *number;
		position_fn *position;
		summed_fn *summed;
		ids_fn *ids;
		watermark_fn *watermark;
		written_rows_fn *written;
	} done;
	void *arg;
	struct err refusal;		/* kind 0: there is just nothing to answer */
	char *after, *until;		/* list, sum: owned; NULL: from the beginning, to the end */
	char *since;			/* list_written: owned; a watermark. watermark: the one before */
	char *import;			/* list: owned; what makes the statements see a moment; NULL: they see what is there now */
	struct part_set *parts;		/* list: owned; of these only; NULL: of all */
	struct sum_seeds seeds;		/* sum */
	size_t max;
	bool counted;			/* list: the bytes were asked for, too */
	int64_t looked_at;		/* list_written: so many rows */
	struct rowset *rows;		/* list_written: owned; of which it is asked how many lie between them */
};

/*
 * It belongs to whoever makes it until it is sent, or refused; then it frees itself when it has answered. what: for the error's story. answer:
 * called once, never before the call that sends it has returned; res is for it to clear, NULL where there is an error (e says which), or just
 * nothing to answer (e NULL).
 */
struct ask *pg_ask_new(struct link *, const char *what, void (*answer)(struct ask *, PGresult *res, const struct err *), void *arg);
/* True when there is no table to ask: the answer comes soon. */
bool pg_ask_refuses(struct ask *);
void pg_ask_nothing(struct ask *);		/* there is nothing to answer, which is said soon */
void pg_ask_send(struct ask *);			/* its statement, whose result is what it is answered with */
/* A result to be answered with, or not; for operations of several statements. True: an error, or the table is another one: it was answered. */
bool pg_ask_fails(struct ask *, PGresult *res, const struct err *e);
void pg_ask_result(void *ask, PGresult *res, const struct err *e);
void pg_ask_end(struct ask *);			/* frees it: it was answered otherwise */

/* pg_list.c: rows of the operation table. */
void pg_list(struct link *, const char *after, const char *until, size_t max, rowset_fn *done, void *arg);
void pg_list_at(struct link *, const struct moment *, const char *after, const char *until, size_t max, rowset_fn *done, void *arg);
void pg_list_parts(struct link *, const char *after, const char *until, const struct part_set *, size_t max, rowset_fn *done, void *arg);
void pg_list_written(struct link *, const char *since, const char *after, size_t max, written_rows_fn *done, void *arg);
void pg_watermark(struct link *, const char *then, watermark_fn *done, void *arg);

#endif
