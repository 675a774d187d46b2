/*
 * pg_write_tangle.c - updates whose unique value another row still has.
 *
 * They wait until no update and no delete of the batch is left that could make room. Then they are tried again, row by row, while that
 * helps; those still waiting then go in one transaction (SEMANTICS F14): a cycle. How they let go of their values in it is tried in
 * several ways (pg_write_cycle.c); when none of them does, what was said first is the reason.
 *
 *   CYCLE -> the rows as they are then
 *          | refused: the next way -> CYCLE; there is none: who has what they want? -> HOLDERS
 *          | a row was not what it was: LOOK which -> all of them are to be decided again
 *   HOLDERS -> those that wait for rows outside of all cycles are parked, the others go on -> CYCLE
 *          | none does: then all of them are parked, with the reason
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_hset.h"
#include "endpoint/postgres/pg_write.h"

enum { TRIES = 8 };			/* row by row */

static bool send_cycle(struct task *t);
static bool ask_holders(struct task *t);

static struct write *tangled(const struct task *t, size_t i)
{
	return &t->batch->list[t->order[t->tangled[i]]];
}

static void blame_tangled(struct task *t)
{
	if (t->between.kind != 0)
		pg_row_refused(t->pl->pg);
	for (size_t i = 0; i < t->n_tangled; i++) {
		const struct err *first = tangled(t, i)->err;
		struct err why = *first;

		if (t->between.kind != 0 && !fault("f14-only-the-first-reason-is-told"))
			err_set(&why, first->kind, first->code, "%s; and none could stand there in between: %s", first->text, t->between.text);
		pg_write_blame(t, tangled(t, i), &why);
	}
	t->n_tangled = 0;
}

static void cycle_done(struct task *t, const PGresult *res)
{
	struct pg_hset at = { 0 };

	for (int i = 0; i < PQntuples(res); i++)
		pg_hset_put(&at, pg_value_hash(pg_cell(res, i, 0)), (uint32_t)i);
	for (size_t i = 0; i < t->n_tangled; i++) {
		struct write *w = tangled(t, i);
		uint32_t r;

		w->outcome = WRITE_DONE;
		w->err = NULL;
		t->batch->bytes += pg_write_bytes(w);
		if (pg_hset_get(&at, pg_value_hash(w->id), &r) && value_equal(pg_cell(res, (int)r, 0), w->id))
			pg_write_read_back(t, w, pg_cell(res, (int)r, 1));
		else	/* a trigger has taken it away */
			w->outcome = WRITE_REFUSED;
	}
	pg_hset_fini(&at);
	t->answered += t->n_tangled;
	t->n_tangled = 0;
	pg_write_run(t);
}

/* ---- a row was not what it was ----------------------------------------------------------------------- */

static bool is_as_before(const PGresult *res, struct pg_hset *at, const struct write *w)
{
	uint32_t r;

	return pg_hset_get(at, pg_value_hash(w->id), &r) && value_equal(pg_cell(res, (int)r, 0), w->id) &&
	       value_equal(pg_cell(res, (int)r, 1), w->version);
}

/* One row that somebody else was at makes another circle of it, or none. */
static void on_looked(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;
	struct pg_hset at = { 0 };
	bool all_as_before = e == NULL;

	for (int i = 0; res != NULL && i < PQntuples(res); i++)
		pg_hset_put(&at, pg_value_hash(pg_cell(res, i, 0)), (uint32_t)i);
	for (size_t i = 0; all_as_before && i < t->n_tangled; i++)
		all_as_before = is_as_before(res, &at, tangled(t, i));
	pg_hset_fini(&at);
	PQclear(res);
	if (e != NULL) {
		pg_write_all_failed(t, e);
		return;
	}
	if (all_as_before)	/* then it was the target itself */
		blame_tangled(t);
	for (size_t i = 0; i < t->n_tangled; i++)
		tangled(t, i)->outcome = WRITE_REFUSED;
	t->answered += t->n_tangled;
	t->n_tangled = 0;
	pg_write_run(t);
}

static void look(struct task *t)
{
	struct pg_write_set set = { t->batch->list, t->missed, t->n_tangled };

	if (pg_mark_table(t->pl, &t->mark) == NULL) {
		pg_write_run(t);
		return;
	}
	pg_stmt_again(&t->st);
	pg_write_look_sql(&t->st, t->pl, &set);
	pg_stmt_call(&t->st, t->pl->pg, on_looked, t);
}

/* ---- a cycle ----------------------------------------------------------------------------------------- */

/* The first reason that is of the values' own, for people: not that another row has one, nor what we found ourselves. */
static void note_refusal(struct task *t, const struct err *e)
{
	if (t->between.kind == 0 && strcmp(e->code, "23505") != 0 && strcmp(e->code, PG_WRITE_FOLLOWED) != 0)
		t->between = *e;
}

static void next_way(struct task *t)
{
	t->way++;
	if (pg_mark_table(t->pl, &t->mark) != NULL) {
		if (send_cycle(t) || ask_holders(t))
			return;
		blame_tangled(t);
	}
	pg_write_run(t);
}

static void on_cycle(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;

	if (e == NULL) {
		cycle_done(t, res);
	} else if (e->kind == ERR_ROW && strcmp(e->code, PG_WRITE_UNKNOWN_ROW) == 0) {
		look(t);
	} else if (e->kind == ERR_ROW) {
		note_refusal(t, e);
		next_way(t);
	} else if (pg_is_answer(e) && strcmp(e->code, PG_FENCED) != 0) {	/* the others may go on */
		if (e->kind == ERR_ENDPOINT)
			pg_catalog_stale(t->pl->pg);
		for (size_t i = 0; i < t->n_tangled; i++)
			pg_write_set_error(t, tangled(t, i), e);
		t->answered += t->n_tangled;
		t->n_tangled = 0;
		pg_write_run(t);
	} else {
		pg_write_all_failed(t, e);
	}
	PQclear(res);
}

static bool send_cycle(struct task *t)
{
	struct pg_write_set set = { t->batch->list, t->missed, t->n_tangled };

	if (t->n_tangled < 2 || fault("f14-a-cycle-is-not-broken"))
		return false;
	for (size_t i = 0; i < t->n_tangled; i++)
		t->missed[i] = t->order[t->tangled[i]];
	t->way = pg_write_cycle_way(t->pl, &set, t->way);
	if (t->way == PG_CYCLE_WAYS)
		return false;
	pg_stmt_again(&t->st);
	if (!pg_write_cycle_sql(&t->st, t->pl, &set, t->way))
		return false;
	pg_call(t->pl->pg, t->st.sql.p, NULL, on_cycle, t);
	return true;
}

/* ---- who waits for somebody outside ------------------------------------------------------------------ */

/* One waits for what another has, in one column. */
struct wait {
	size_t who;			/* in tangled[] */
	size_t whose;			/* in tangled[]; n_tangled: a row that is none of them */
	int64_t field;
};

static size_t read_waits(const struct task *t, const PGresult *res, struct wait *waits)
{
	struct pg_hset at = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < t->n_tangled; i++)
		pg_hset_put(&at, pg_value_hash(tangled(t, i)->id), (uint32_t)i);
	for (int i = 0; i < PQntuples(res); i++) {
		struct wait w = { .who = (size_t)pg_cell_int(res, i, 0, 0), .field = pg_cell_int(res, i, 2, 0) };
		uint32_t whose;

		w.whose = pg_hset_get(&at, pg_value_hash(pg_cell(res, i, 1)), &whose) && value_equal(pg_cell(res, i, 1), tangled(t, whose)->id) ?
			whose : t->n_tangled;
		if (w.whose != w.who)	/* what it has already it keeps */
			waits[n++] = w;
	}
	pg_hset_fini(&at);
	return n;
}

/* Those that nobody waits for but others like them: they are in no circle. */
static void mark_tails(const struct wait *waits, size_t n, size_t n_rows, bool *tail)
{
	size_t *wanted = xcalloc(n_rows + 1, sizeof *wanted);
	bool more = true;

	for (size_t i = 0; i < n; i++)
		wanted[waits[i].whose]++;
	while (more) {
		more = false;
		for (size_t r = 0; r < n_rows; r++) {
			if (tail[r] || wanted[r] > 0)
				continue;
			more = tail[r] = true;
			for (size_t i = 0; i < n; i++)
				wanted[waits[i].whose] -= waits[i].who == r;
		}
	}
	free(wanted);
}

/* Of two that want one value it goes to the one in a circle; and who waits for somebody who stays where he is stays, too. */
static void mark_stuck(const struct wait *waits, size_t n, const bool *tail, bool *stuck)
{
	bool more = true;

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (waits[k].whose == waits[i].whose && waits[k].field == waits[i].field)
				stuck[tail[waits[i].who] || !tail[waits[k].who] ? waits[i].who : waits[k].who] = true;
	while (more) {
		more = false;
		for (size_t i = 0; i < n; i++)
			if (stuck[waits[i].whose] && !stuck[waits[i].who])
				more = stuck[waits[i].who] = true;
	}
}

/* They keep what was said first. */
static void park_stuck(struct task *t, const bool *stuck)
{
	size_t left = 0, n = t->n_tangled;

	for (size_t i = 0; i < n; i++) {
		if (stuck[i]) {
			struct err why = *tangled(t, i)->err;

			pg_write_blame(t, tangled(t, i), &why);
		} else {
			t->tangled[left++] = t->tangled[i];
		}
	}
	t->n_tangled = left;
}

static void take_holders(struct task *t, const PGresult *res)
{
	size_t n_rows = t->n_tangled, n;
	struct wait *waits = xcalloc((size_t)PQntuples(res) + 1, sizeof *waits);
	bool *stuck = xcalloc(n_rows + 1, sizeof *stuck), *tail = xcalloc(n_rows + 1, sizeof *tail);

	n = read_waits(t, res, waits);
	stuck[n_rows] = true;	/* whoever is none of them */
	mark_tails(waits, n, n_rows, tail);
	mark_stuck(waits, n, tail, stuck);
	park_stuck(t, stuck);
	free(waits);
	free(stuck);
	free(tail);
}

static void on_holders(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;
	size_t n = t->n_tangled;

	if (e != NULL) {
		pg_write_all_failed(t, e);
	} else {
		take_holders(t, res);
		if (t->n_tangled == n)
			blame_tangled(t);
		pg_write_run(t);
	}
	PQclear(res);
}

static bool ask_holders(struct task *t)
{
	struct pg_write_set set = { t->batch->list, t->missed, t->n_tangled };

	pg_stmt_again(&t->st);
	if (fault("f14-one-that-is-stuck-holds-up-all") || !pg_write_holders_sql(&t->st, t->pl, &set))
		return false;
	pg_call(t->pl->pg, t->st.sql.p, NULL, on_holders, t);
	return true;
}

static int compare_place(const void *a, const void *b)
{
	return (*(const size_t *)a > *(const size_t *)b) - (*(const size_t *)a < *(const size_t *)b);
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
	t->way = 0;
	err_clear(&t->between);
	if (send_cycle(t))
		return true;
	if (t->way == PG_CYCLE_WAYS)	/* nothing could be tried */
		err_set(&t->between, ERR_ROW, "", "no column that changes can have a value that nobody has (its type has no others, or a foreign key "
			"is checked at once)");
	blame_tangled(t);
	return false;
}
