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

static void blame_tangled(struct task *t)
{
	for (size_t i = 0; i < t->n_tangled; i++) {
		struct write *w = &t->batch->list[t->order[t->tangled[i]]];
		struct err why = *w->err;

		pg_write_blame(t, w, &why);
	}
	t->n_tangled = 0;
}

static void cycle_done(struct task *t, struct value version)
{
	char *kept = arena_dup(t->batch->arena, version.data, (size_t)version.len);

	t->n_back = 0;
	for (size_t i = 0; i < t->n_tangled; i++) {
		struct write *w = &t->batch->list[t->order[t->tangled[i]]];

		w->outcome = WRITE_DONE;
		w->err = NULL;
		t->batch->bytes += pg_write_bytes(w);
		t->back_version[t->n_back] = (struct value){ kept, version.len };
		t->back[t->n_back++] = t->order[t->tangled[i]];
	}
	t->answered += t->n_tangled;
	t->n_tangled = 0;
	if (pg_mark_table(t->pl, &t->mark) != NULL)
		pg_write_read_back(t);
	else
		pg_write_on_read_back(t, NULL, NULL);
}

static void on_cycle(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;

	if (e == NULL) {
		cycle_done(t, pg_cell(res, 0, 0));
	} else if (e->kind == ERR_ROW) {	/* not by this way either: then what was said first is the reason */
		blame_tangled(t);
		pg_write_run(t);
	} else if (e->kind == ERR_TRANSIENT && pg_write_passes(e->code)) {
		for (size_t i = 0; i < t->n_tangled; i++)
			pg_write_set_error(t, &t->batch->list[t->order[t->tangled[i]]], e);
		t->answered += t->n_tangled;
		t->n_tangled = 0;
		pg_write_run(t);
	} else {
		pg_write_all_failed(t, e);
	}
	PQclear(res);
}

static int compare_place(const void *a, const void *b)
{
	return (*(const size_t *)a > *(const size_t *)b) - (*(const size_t *)a < *(const size_t *)b);
}

static bool send_cycle(struct task *t)
{
	struct pg_write_set set = { t->batch->list, t->missed, t->n_tangled };

	if (t->n_tangled < 2 || fault("f14-a-cycle-is-not-broken"))
		return false;
	for (size_t i = 0; i < t->n_tangled; i++)
		t->missed[i] = t->order[t->tangled[i]];
	pg_stmt_again(&t->st);
	if (!pg_write_cycle_sql(&t->st, t->pl, &set))
		return false;
	pg_call(t->pl->pg, t->st.sql.p, NULL, on_cycle, t);
	return true;
}

/* From the last to the first, and the other way next time: a chain that goes up or down is done at once. */
static void again_singly(struct task *t)
{
	bool backwards = t->tangled_tries % 2 == 1;

	for (size_t i = 0; i < t->n_tangled; i++)
		pg_write_push(t, (struct piece){ .first = t->tangled[backwards ? i : t->n_tangled - 1 - i], .n = 1 });
	t->n_tangled = 0;
}

/* Is nothing left that could make room for those that wait? Inserts can only take. */
static bool all_room_is_made(const struct task *t)
{
	return t->n_stack == 0 || t->batch->list[t->order[t->stack[t->n_stack - 1].first]].op == WRITE_INSERT;
}

bool pg_write_untangle(struct task *t)
{
	if (t->n_tangled == 0 || !all_room_is_made(t) || pg_mark_table(t->pl, &t->mark) == NULL)
		return false;
	qsort(t->tangled, t->n_tangled, sizeof *t->tangled, compare_place);
	if (t->answered > t->answered_then && !fault("f14-a-chain-is-tried-once") && t->tangled_tries++ < TRIES) {
		again_singly(t);
		return false;
	}
	if (send_cycle(t))
		return true;
	blame_tangled(t);
	return false;
}
