/*
 * pg_write.h - inside a write: its two files.
 *
 *   pg_write.c         a batch, piece after piece, until each write has an outcome
 *   pg_write_tangle.c  updates whose unique value another row still has
 */
#ifndef ENDPOINT_POSTGRES_PG_WRITE_H
#define ENDPOINT_POSTGRES_PG_WRITE_H

#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_sql.h"
#include "endpoint/postgres/pg_write_sql.h"

struct piece {
	size_t first, n;	/* in order[] */
	unsigned tries;
	bool singly;		/* row by row */
	bool aside;		/* leave locked rows aside */
	bool equals;		/* insert: there are rows with an equal key; leave those out */
	bool no_copy;		/* insert: not by COPY (any more) */
	bool draws;		/* COPY: its ids are drawn before */
};

struct task {			/* a batch that is being written */
	struct pg_link *pl;
	struct pg_mark mark;
	struct write_batch *batch;
	written_fn *done;
	void *arg;
	bool in_call;			/* still inside pg_write_op(): no answers yet */
	size_t *order;			/* the writes, piece after piece */
	struct piece *stack;		/* pieces still to do, the next one last */
	size_t n_stack, cap_stack;
	struct piece now;
	struct pg_stmt st;
	bool copying;			/* the piece goes by COPY */
	size_t copied;			/* bytes of its values */
	struct task *next;		/* in the line of those that wait for their turn to COPY */
	size_t *missed, n_missed;	/* of this piece: no answer from the statement */
	size_t *tangled, n_tangled;	/* places in order[]: updates that wait for a unique value; each keeps its error */
	size_t answered_then;		/* answered, when the last of them was put there */
	unsigned tangled_tries;
	unsigned way;			/* how they are made to let go of their values */
	struct err between;		/* why none may stand in between; kind 0: nothing said so */
	struct err why;			/* of the piece that is tried without its rows */
	unsigned waits;			/* narrowed down for a lock or a timeout */
	size_t answered, failed;	/* writes that found their outcome otherwise than by an error of their own; by one */
	char code[sizeof ((struct err *)0)->code];	/* of the first of these */
	bool mixed;			/* another one had another code */
};

/* ---- pg_write.c -------------------------------------------------------------------------------------- */

void pg_write_run(struct task *t);		/* pieces until one has been sent, or none is left */
void pg_write_push(struct task *t, struct piece piece);
void pg_write_read_back(struct task *t, struct write *w, struct value image);	/* pg_row_of_image(): the row reads otherwise than it was sent */
void pg_write_set_error(struct task *t, struct write *w, const struct err *e);
void pg_write_blame(struct task *t, struct write *w, const struct err *e);		/* an error that is of one row, and whose it is */
void pg_write_all_failed(struct task *t, const struct err *e);				/* it is not about any row */
bool pg_write_passes(const char *code);		/* a lock, a deadlock, a timeout */

/* ---- pg_write_tangle.c ------------------------------------------------------------------------------- */

bool pg_write_untangle(struct task *t);		/* true: something was sent */

#endif
