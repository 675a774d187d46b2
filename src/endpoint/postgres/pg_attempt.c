/*
 * pg_attempt.c - what would the table make of these updates? Each is carried out, looked at and undone, in one transaction.
 *
 * The application's triggers run in it as in any write; what they do outside of the database stays, but it has been done before: such a write is
 * one that may have happened. Few rows are asked about, and each by itself: one that is refused says nothing about the others.
 */
#include "endpoint/postgres/pg_write_sql.h"

#include <stdlib.h>

#include "base/mem.h"

struct attempt {
	struct pg_link *pl;
	struct pg_mark mark;
	struct write_batch *batch;
	size_t at;
	struct pg_stmt st;
	written_fn *done;
	void *arg;
};

static void on_attempted(void *arg, PGresult *res, const struct err *e);

static void end(struct attempt *a)
{
	a->done(a->arg, a->batch);
	pg_stmt_fini(&a->st);
	free(a);
}

static void go_on(struct attempt *a)
{
	struct pg_write_set set = { a->batch->list, &a->at, 1 };

	if (a->at == a->batch->n || pg_mark_table(a->pl, &a->mark) == NULL) {
		end(a);
		return;
	}
	pg_stmt_again(&a->st);
	pg_write_attempt_sql(&a->st, a->pl, &set);
	pg_call(a->pl->pg, a->st.sql.p, NULL, on_attempted, a);
}

static void on_attempted(void *arg, PGresult *res, const struct err *e)
{
	struct attempt *a = arg;
	struct write *w = &a->batch->list[a->at];

	if (e == NULL && PQntuples(res) == 1 && pg_mark_table(a->pl, &a->mark) != NULL)
		w->readback = pg_row_of_image(a->pl->table, pg_cell(res, 0, 1), a->batch->arena);
	PQclear(res);
	a->at = e != NULL && !pg_is_answer(e) ? a->batch->n : a->at + 1;
	go_on(a);
}

static void on_soon(void *arg, PGresult *res, const struct err *e)
{
	PQclear(res);
	go_on(arg);
}

void pg_attempt_op(struct link *l, struct write_batch *batch, written_fn *done, void *arg)
{
	struct attempt *a = xcalloc(1, sizeof *a);

	*a = (struct attempt){ .pl = (struct pg_link *)l, .batch = batch, .done = done, .arg = arg };
	a->mark = pg_mark_take(a->pl);
	pg_stmt_init(&a->st);
	for (size_t i = 0; i < batch->n; i++)
		batch->list[i].readback = NULL;
	pg_soon(a->pl->pg, on_soon, a);
}
