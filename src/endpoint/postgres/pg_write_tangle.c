/*
 * pg_write_tangle.c - updates whose unique value another row still has.
 *
 * They wait until no update and no delete of the batch is left that could make room. Then they are tried again, row by row, while that
 * helps; those still waiting then go in one transaction by way of NULL: a cycle (SEMANTICS F14).
 */
#include <stdlib.h>

#include "base/arena.h"
#include "base/fault.h"
#include "endpoint/postgres/pg_write.h"

enum { TRIES = 8 };			/* row by row */

static void blame_tangled(struct job *j)
{
	for (size_t i = 0; i < j->n_tangled; i++) {
		struct write *w = &j->batch->list[j->order[j->tangled[i]]];
		struct err why = w->err;

		pg_write_blame(j, w, &why);
	}
	j->n_tangled = 0;
}

static void cycle_done(struct job *j, struct value version)
{
	char *kept = arena_dup(j->batch->arena, version.data, (size_t)version.len);

	j->n_back = 0;
	for (size_t i = 0; i < j->n_tangled; i++) {
		struct write *w = &j->batch->list[j->order[j->tangled[i]]];

		w->outcome = WRITE_DONE;
		err_clear(&w->err);
		j->back_version[j->n_back] = (struct value){ kept, version.len };
		j->back[j->n_back++] = j->order[j->tangled[i]];
	}
	j->answered += j->n_tangled;
	j->n_tangled = 0;
	if (pg_mark_table(j->pl, &j->mark) != NULL)
		pg_write_read_back(j);
	else
		pg_write_on_read_back(j, NULL, NULL);
}

static void on_cycle(void *arg, PGresult *res, const struct err *e)
{
	struct job *j = arg;

	if (e == NULL) {
		cycle_done(j, pg_cell(res, 0, 0));
	} else if (e->kind == ERR_ROW) {	/* not by this way either: then what was said first is the reason */
		blame_tangled(j);
		pg_write_run(j);
	} else if (e->kind == ERR_TRANSIENT && pg_write_passes(e->code)) {
		for (size_t i = 0; i < j->n_tangled; i++)
			pg_write_set_error(&j->batch->list[j->order[j->tangled[i]]], e);
		j->answered += j->n_tangled;
		j->n_tangled = 0;
		pg_write_run(j);
	} else {
		pg_write_all_failed(j, e);
	}
	PQclear(res);
}

static int compare_place(const void *a, const void *b)
{
	return (*(const size_t *)a > *(const size_t *)b) - (*(const size_t *)a < *(const size_t *)b);
}

static bool send_cycle(struct job *j)
{
	struct pg_write_set set = { j->batch->list, j->missed, j->n_tangled };

	if (j->n_tangled < 2 || fault("f14-a-cycle-is-not-broken"))
		return false;
	for (size_t i = 0; i < j->n_tangled; i++)
		j->missed[i] = j->order[j->tangled[i]];
	pg_stmt_again(&j->st);
	if (!pg_write_cycle_sql(&j->st, j->pl, &set))
		return false;
	pg_call(j->pl->pg, j->st.sql.p, NULL, on_cycle, j);
	return true;
}

/* From the last to the first, and the other way next time: a chain that goes up or down is done at once. */
static void again_singly(struct job *j)
{
	bool backwards = j->tangled_tries % 2 == 1;

	for (size_t i = 0; i < j->n_tangled; i++)
		pg_write_push(j, (struct piece){ .first = j->tangled[backwards ? i : j->n_tangled - 1 - i], .n = 1 });
	j->n_tangled = 0;
}

/* Is nothing left that could make room for those that wait? Inserts can only take. */
static bool all_room_is_made(const struct job *j)
{
	return j->n_stack == 0 || j->batch->list[j->order[j->stack[j->n_stack - 1].first]].op == WRITE_INSERT;
}

bool pg_write_untangle(struct job *j)
{
	if (j->n_tangled == 0 || !all_room_is_made(j) || pg_mark_table(j->pl, &j->mark) == NULL)
		return false;
	qsort(j->tangled, j->n_tangled, sizeof *j->tangled, compare_place);
	if (j->answered > j->answered_then && !fault("f14-a-chain-is-tried-once") && j->tangled_tries++ < TRIES) {
		again_singly(j);
		return false;
	}
	if (send_cycle(j))
		return true;
	blame_tangled(j);
	return false;
}
