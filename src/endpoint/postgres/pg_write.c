/*
 * pg_write.c - insert, update, delete: a batch becomes a few statements, and each write an outcome.
 *
 *   PIECE: one statement -> LOOK after the rows that did not answer -> next piece
 *          | a row-class error: two halves, down to the single row that is to blame
 *          | a lock, a deadlock: REST on the server, then the piece again, leaving locked rows aside
 *          | another error, or these for ever: the same WITHOUT ROWS -> it is taken: two halves, as above
 *                                                                  | it is not: the whole batch answers "not now"
 *   Many inserts: [IDS ->] WAIT for other COPYs into the table -> COPY, where the table allows that (pg_write_copy.c)
 *   Updates whose unique value another row still has WAIT for room (pg_write_tangle.c)
 *
 * A piece is some writes of one operation and one set of fields (pg_write_sql.h); each statement is its own
 * transaction, so that one bad row costs nobody else's. A row that reads otherwise than it was sent is read back by the statement itself. After
 * the commit somebody may have edited it, and nobody could tell any more what is his and what the target has made of ours.
 */
#include "endpoint/postgres/pg_write.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/text.h"
#include "endpoint/postgres/pg_hset.h"
#include "endpoint/postgres/pg_sql.h"

enum {
	TRIES = 3,		/* of a piece that met a lock or a deadlock */
	DRAWN_COPIES = 64,	/* so many COPYs draw their ids before, when others have been seen to draw some too */
	WAITS = 12,		/* for locks and timeouts while a batch is narrowed down: enough to find one row among 4,000 */
	SUSPICIOUS_BATCH = 20,	/* so many writes failing all in the same way are no accident of their rows */
	SUSPICIOUS_SINGLES = 64,/* ... and so many singly are enough to know it */
};

/* ---- outcomes ---------------------------------------------------------------------------------------- */

/* Why it did not go, so far. */
static void note_error(struct task *t, struct write *w, const struct err *e)
{
	if (w->err == NULL)
		w->err = arena_alloc(t->batch->arena, sizeof *w->err);
	*w->err = *e;
}

void pg_write_set_error(struct task *t, struct write *w, const struct err *e)
{
	w->outcome = fault("f16-what-is-refused-counts-as-written") ? WRITE_DONE : WRITE_ERROR;
	w->unanswered = e->kind != ERR_ROW && !pg_is_answer(e);
	note_error(t, w, e);
}

/* Waiting for the parent, refused before, or the answer to a question that was asked on purpose: says nothing about the mapping. */
static bool is_expected(const struct write *w)
{
	return w->retried || strcmp(w->err->code, "23503") == 0 || (w->op == WRITE_INSERT && w->version.data != NULL);
}

/* Every write failed in the same way: a wrong mapping, or a function that always fails, not so many bad rows. */
static void judge_batch(struct task *t)
{
	struct write_batch *b = t->batch;

	if (t->answered > 0 || t->mixed || t->failed < b->n || b->n < SUSPICIOUS_BATCH)
		return;
	for (size_t i = 0; i < b->n; i++)
		if (is_expected(&b->list[i]))
			return;
	for (size_t i = 0; i < b->n; i++) {
		b->list[i].err->kind = ERR_ENDPOINT;
		b->list[i].alone = false;
		err_while(b->list[i].err, "every row of a batch failed in the same way");
	}
}

static void end(struct task *t)
{
	struct write_batch *b = t->batch;

	judge_batch(t);
	t->done(t->arg, b);
	pg_stmt_fini(&t->st);
	free(t->order);
	free(t->stack);
	free(t->missed);
	free(t->tangled);
	free(t);
}

static void on_soon(void *arg, PGresult *res, const struct err *e)
{
	PQclear(res);
	end(arg);
}

static void finish(struct task *t)
{
	if (t->in_call)
		pg_soon(t->pl->pg, on_soon, t);
	else
		end(t);
}

/* Not about any row: everything without an outcome gets this one. */
static void give_up(struct task *t, const struct err *e)
{
	for (size_t i = 0; i < t->batch->n; i++)
		if (t->batch->list[i].outcome == WRITE_PENDING)
			pg_write_set_error(t, &t->batch->list[i], e);
	finish(t);
}

static struct write *piece_write(struct task *t, size_t i)
{
	return &t->batch->list[t->order[t->now.first + i]];
}

/* ---- pieces ------------------------------------------------------------------------------------------ */

void pg_write_push(struct task *t, struct piece piece)
{
	if (t->n_stack == t->cap_stack) {
		t->cap_stack = t->cap_stack > 0 ? t->cap_stack * 2 : 16;
		t->stack = xrealloc(t->stack, t->cap_stack * sizeof *t->stack);
	}
	t->stack[t->n_stack++] = piece;
}

static bool is_forced(const struct write *w)
{
	return w->op == WRITE_INSERT && w->version.data != NULL;
}

/* Deletes first: they make room for values that have to be unique. */
static int op_rank(enum write_op op)
{
	switch (op) {
	case WRITE_DELETE:	return 0;
	case WRITE_UPDATE:	return 1;
	case WRITE_INSERT:	return 2;
	}
	return 3;
}

static int compare_shape(const struct write *a, const struct write *b)
{
	uint64_t fa = a->op == WRITE_DELETE ? 0 : a->fields, fb = b->op == WRITE_DELETE ? 0 : b->fields;

	if (a->op != b->op)
		return op_rank(a->op) - op_rank(b->op);
	if (fa != fb)
		return fa < fb ? -1 : 1;
	return is_forced(a) - is_forced(b);
}

static int compare_order(const void *pa, const void *pb, void *list)
{
	size_t a = *(const size_t *)pa, b = *(const size_t *)pb;
	int c = compare_shape((const struct write *)list + a, (const struct write *)list + b);

	return c != 0 ? c : (a > b) - (a < b);
}

static void cut_pieces(struct task *t)
{
	struct write *list = t->batch->list;
	size_t n = t->batch->n, end = n;

	for (size_t i = 0; i < n; i++)
		t->order[i] = i;
	qsort_r(t->order, n, sizeof *t->order, compare_order, list);
	for (size_t first = n; first-- > 0;)	/* from the end: the stack gives the last pushed first */
		if (first == 0 || compare_shape(&list[t->order[first - 1]], &list[t->order[first]]) != 0) {
			const struct write *like = &list[t->order[first]];

			/* Inserts hope that there is no equal row: ON CONFLICT DO NOTHING costs twice the plain statement. */
			pg_write_push(t, (struct piece){ .first = first, .n = end - first,
							 .singly = like->op == WRITE_INSERT && !pg_write_insert_joins(t->pl, like->fields) });
			end = first;
		}
}

/* The next piece into j->now; of one that goes row by row the first row. */
static bool next_piece(struct task *t)
{
	if (t->n_stack == 0)
		return false;
	t->now = t->stack[--t->n_stack];
	if (t->now.singly && t->now.n > 1) {
		struct piece rest = t->now;

		rest.first++;
		rest.n--;
		pg_write_push(t, rest);
		t->now.n = 1;
	}
	t->n_missed = 0;
	return true;
}

/* ---- rows that did not answer ------------------------------------------------------------------------ */

/* Still there under the version we asked for: then it was not somebody else, but the target itself. */
static void miss(struct task *t, struct write *w, bool same_version)
{
	static const struct err locked = { ERR_TRANSIENT, "55P03", "the row is locked" };

	if (!same_version)
		w->outcome = WRITE_REFUSED;
	else if (t->now.aside)
		pg_write_set_error(t, w, &locked);
	else
		w->outcome = fault("f33-silence-means-done") ? WRITE_DONE : WRITE_SILENT;
}

static void on_looked(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;
	struct pg_hset at = { 0 };

	for (int i = 0; res != NULL && i < PQntuples(res); i++)
		pg_hset_put(&at, pg_value_hash(pg_cell(res, i, 0)), (uint32_t)i);
	for (size_t i = 0; i < t->n_missed; i++) {
		struct write *w = &t->batch->list[t->missed[i]];
		uint32_t r = 0;
		bool there = pg_hset_get(&at, pg_value_hash(w->id), &r) && value_equal(pg_cell(res, (int)r, 0), w->id);

		miss(t, w, there && value_equal(pg_cell(res, (int)r, 1), w->version));
	}
	pg_hset_fini(&at);
	PQclear(res);
	if (e != NULL && e->kind != ERR_ROW)
		give_up(t, e);
	else
		pg_write_run(t);
}

static void look(struct task *t)
{
	struct pg_write_set set = { t->batch->list, t->missed, t->n_missed };

	if (t->n_missed == 0) {
		pg_write_run(t);
		return;
	}
	pg_stmt_again(&t->st);
	pg_write_look_sql(&t->st, t->pl, &set);
	pg_stmt_call(&t->st, t->pl->pg, on_looked, t);
}

/* ---- a piece's answer -------------------------------------------------------------------------------- */

static void blame_referred(struct task *t, struct write *w)
{
	struct err why;

	err_set(&why, ERR_ROW, "23503", "other rows still refer to it there, and their foreign key would delete or change them along with it");
	pg_write_blame(t, w, &why);
}

void pg_write_read_back(struct task *t, struct write *w, struct value image)
{
	struct err changed = { 0 };

	if (fault("f09-what-is-edited-at-once-is-not-told-from-what-was-written")) {
		w->outcome = WRITE_REFUSED;
		return;
	}
	if (pg_mark_table(t->pl, &t->mark) != NULL) {
		w->readback = pg_row_of_image(t->pl->table, image, t->batch->arena);
		return;
	}
	pg_table_changed(&changed);	/* it was written, and which column is which nobody knows any more */
	pg_write_set_error(t, w, &changed);
}

static void take_answer(struct task *t, PGresult *res, int row)
{
	int64_t n = pg_cell_int(res, row, 0, 0);
	struct arena *arena = t->batch->arena;
	struct write *w;
	int id_at;

	if (n < 1 || (size_t)n > t->now.n)
		return;
	w = piece_write(t, (size_t)n - 1);
	if (w->op == WRITE_DELETE && strcmp(PQgetvalue(res, row, 1), PG_WRITE_REFERRED) == 0) {
		blame_referred(t, w);
		return;
	}
	w->outcome = WRITE_DONE;
	t->answered++;
	t->batch->bytes += w->op != WRITE_DELETE ? pg_write_bytes(w) : 0;
	id_at = w->op == WRITE_INSERT ? 2 : PQfnumber(res, PG_NEW_ID);
	if (id_at >= 0) {
		struct value id = pg_cell(res, row, id_at);

		w->id = (struct value){ arena_dup(arena, id.data, (size_t)id.len), id.len };
	}
	if (PQgetisnull(res, row, 1) || fault("f09-reads-nothing-back"))
		return;
	if (w->op == WRITE_DELETE)	/* a soft delete that left the row there */
		w->outcome = WRITE_SILENT;
	else
		pg_write_read_back(t, w, pg_cell(res, row, 1));
}

static void piece_done(struct task *t, PGresult *res)
{
	for (int i = 0; i < PQntuples(res); i++)
		take_answer(t, res, i);
	for (size_t i = 0; i < t->now.n; i++) {
		struct write *w = piece_write(t, i);

		if (w->outcome != WRITE_PENDING)
			continue;
		if (w->op == WRITE_INSERT)
			w->outcome = is_forced(w) ? WRITE_SILENT : WRITE_REFUSED;
		else
			t->missed[t->n_missed++] = t->order[t->now.first + i];
		t->answered++;
	}
	if (pg_mark_table(t->pl, &t->mark) != NULL) {
		look(t);
		return;
	}
	for (size_t i = 0; i < t->n_missed; i++)	/* the table changed under us: what could not be asked is asked again */
		t->batch->list[t->missed[i]].outcome = WRITE_REFUSED;
	pg_write_run(t);
}

/* An insert met a row that is equal where it must not be; for one that was forced that is the answer. */
static bool is_equal_row(struct task *t, const struct err *e)
{
	const struct write *w = piece_write(t, 0);

	return w->op == WRITE_INSERT && !is_forced(w) && !t->now.equals &&
	       (strcmp(e->code, "23505") == 0 || strcmp(e->code, "23P01") == 0);
}

static bool waits_for_value(const struct write *w, const struct err *e)
{
	return w->op == WRITE_UPDATE && strcmp(e->code, "23505") == 0;
}

/* Not for what other rows hold, or the server lacks for now, which no other definition would change. */
static bool is_misfit(const struct err *e)
{
	return e->kind != ERR_TRANSIENT && strcmp(e->code, "23503") != 0 && strcmp(e->code, "23505") != 0 && strcmp(e->code, "23P01") != 0;
}

void pg_write_blame(struct task *t, struct write *w, const struct err *e)
{
	pg_write_set_error(t, w, e);
	if (is_misfit(e))
		pg_row_refused(t->pl->pg);
	if (t->failed++ == 0)
		memcpy(t->code, e->code, sizeof t->code);
	t->mixed = t->mixed || strcmp(t->code, e->code) != 0;
}

/* It is about some row of the piece: two halves, down to the one that is to blame. */
static void narrow(struct task *t, const struct err *e)
{
	struct piece left = t->now, right = t->now;
	struct write *w = piece_write(t, 0);

	if (t->now.n > 1) {
		left.n /= 2;
		right.first += left.n;
		right.n -= left.n;
		pg_write_push(t, right);
		pg_write_push(t, left);
	} else {
		w->alone = e->kind == ERR_ENDPOINT;
		pg_write_blame(t, w, e);
		if (t->failed >= SUSPICIOUS_SINGLES && t->answered == 0 && !t->mixed && !is_expected(w)) {
			for (size_t i = 0; i < t->batch->n; i++)
				if (t->batch->list[i].outcome == WRITE_PENDING)
					pg_write_set_error(t, &t->batch->list[i], e), t->failed++;
			finish(t);
			return;
		}
	}
	pg_write_run(t);
}

static void row_failed(struct task *t, const struct err *e)
{
	struct piece *now = &t->now;

	if (t->copying && strcmp(e->code, PG_WRITE_NO_RUN) == 0) {
		t->pl->copies.draw = DRAWN_COPIES;
		pg_write_push(t, *now);
	} else if (t->copying) {
		now->no_copy = true;
		pg_write_push(t, *now);
	} else if (is_equal_row(t, e)) {
		if (now->n == 1) {
			piece_write(t, 0)->outcome = WRITE_REFUSED;
			t->answered++;
		} else {
			now->equals = true;
			pg_write_push(t, *now);
		}
	} else if (strcmp(e->code, PG_WRITE_UNKNOWN_ROW) == 0 && now->n > 1) {
		now->singly = true;
		pg_write_push(t, *now);
	} else if (now->n == 1 && waits_for_value(piece_write(t, 0), e)) {
		note_error(t, piece_write(t, 0), e);
		t->tangled[t->n_tangled++] = now->first;
		t->answered_then = t->answered;
	} else {
		narrow(t, e);
		return;
	}
	pg_write_run(t);
}

bool pg_write_passes(const char *code)
{
	return strcmp(code, "40001") == 0 || strcmp(code, "40P01") == 0 || strcmp(code, "55P03") == 0 || strcmp(code, "57014") == 0;
}

static void on_rested(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;

	PQclear(res);
	if (e != NULL)
		give_up(t, e);
	else
		pg_write_run(t);
}

/* The piece again in a moment. The server counts the moment: an endpoint that goes away then answers for it, too. */
static void rest(struct task *t)
{
	struct piece again = t->now;

	again.tries++;
	again.aside = true;
	pg_write_push(t, again);
	pg_stmt_again(&t->st);
	buf_adds(&t->st.sql, "SELECT pg_catalog.pg_sleep(0.01 + 0.09 * pg_catalog.random())");
	pg_stmt_call(&t->st, t->pl->pg, on_rested, t);
}

/* The connection is gone, or the table is not what it was. If it was the connection, this piece may have been
 * committed or not; both are told apart by reading, so that is left to the caller (SEMANTICS F30). */
void pg_write_all_failed(struct task *t, const struct err *e)
{
	if (e->kind == ERR_ENDPOINT && strncmp(e->code, "42", 2) == 0)
		pg_catalog_stale(t->pl->pg);
	give_up(t, e);
}

static bool passes(const struct err *e)
{
	return e->kind == ERR_TRANSIENT && pg_write_passes(e->code);
}

static void not_now(struct task *t, const struct err *e)
{
	if (!passes(e)) {
		pg_write_all_failed(t, e);
		return;
	}
	for (size_t i = 0; i < t->now.n; i++)
		pg_write_set_error(t, piece_write(t, i), e);
	t->answered += t->now.n;
	pg_write_run(t);
}

/* Whether it says so or not: a trigger may fail with any code for one row only. */
static bool may_be_of_a_row(struct task *t, const struct err *e)
{
	if (!pg_is_answer(e) || pg_mark_table(t->pl, &t->mark) == NULL || strcmp(e->code, PG_FENCED) == 0 || e->kind == ERR_ROW ||
	    fault("f23-only-what-says-so-is-of-a-row"))
		return false;
	return !passes(e) || (t->now.n > 1 && t->waits++ < WAITS);	/* a row that waits has nothing else to be told */
}

static bool build(struct task *t, size_t n);

static void on_tried_without_rows(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;
	struct err why = t->why;

	PQclear(res);
	if (e == NULL)
		narrow(t, &why);
	else
		not_now(t, &why);
}

/*
 * Who is to blame shows in the same statement without rows: it needs the same table, columns, rights and lock, at a server that takes
 * writes. When it is taken, the rows are what is left.
 */
static void try_without_rows(struct task *t, const struct err *e)
{
	t->why = *e;
	if (t->copying) {
		t->now.no_copy = true;
		pg_write_push(t, t->now);
		pg_write_run(t);
	} else if (build(t, 0)) {
		pg_stmt_call(&t->st, t->pl->pg, on_tried_without_rows, t);
	} else {
		not_now(t, e);
	}
}

static void piece_failed(struct task *t, const struct err *e)
{
	unsigned tries = strcmp(e->code, "57014") == 0 ? 2 : TRIES;	/* a statement_timeout is long: once more is enough */

	if (e->kind == ERR_ROW && !fault("f23-a-bad-row-takes-its-batch-along"))
		row_failed(t, e);
	else if (passes(e) && t->now.tries + 1 < tries)
		rest(t);
	else if (may_be_of_a_row(t, e))
		try_without_rows(t, e);
	else
		not_now(t, e);
}

static void on_written(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;

	if (e == NULL)
		piece_done(t, res);
	else
		piece_failed(t, e);
	PQclear(res);
}

/* ---- many inserts: COPY ------------------------------------------------------------------------------ */

/*
 * One COPY into a table at a time: two or four side by side wait for each other where the table and its indexes grow, and took the server
 * a fifth and a half more processor time for the same million rows. Nor could either tell its ids, where the table draws them. And
 * each batch in a COPY of its own: those that went together came back together, and the server had nothing to do until they had all
 * been on their way through the other steps.
 */
static void on_copied(void *arg, PGresult *res, const struct err *e);

static void copy_send(struct task *t)
{
	pg_copy_sql(&t->st, t->pl, t->now.n, t->now.draws);
	t->pl->copies.at_work = t;
	pg_stmt_call(&t->st, t->pl->pg, on_copied, t);
}

static void copy_in_turn(struct task *t)
{
	struct pg_copies *c = &t->pl->copies;

	t->next = NULL;
	if (c->at_work == NULL) {
		copy_send(t);
		return;
	}
	if (c->first == NULL)
		c->last = &c->first;
	*c->last = t;
	c->last = &t->next;
}

/* The next in the line that can still be sent; those whose table has changed since are told so. */
static struct task *copy_next(struct pg_copies *c)
{
	struct err why;
	struct task *t;

	while ((t = c->first) != NULL) {
		c->first = t->next;
		if (pg_mark_table(t->pl, &t->mark) != NULL)
			return t;
		pg_table_changed(&why);
		give_up(t, &why);
	}
	return NULL;
}

/* The turn of those that wait. e: why there is no connection any more, when there is none. */
static void copy_over(struct pg_link *pl, const struct err *e)
{
	struct pg_copies *c = &pl->copies;
	struct task *t;

	c->at_work = NULL;
	while (e != NULL && pg_server_version(pl->pg) == 0 && (t = c->first) != NULL) {
		c->first = t->next;
		give_up(t, e);
	}
	if (c->at_work == NULL && (t = copy_next(c)) != NULL)
		copy_send(t);
}

static struct value id_of(int64_t number, struct arena *a)
{
	char text[21];
	size_t len = (size_t)(number_put(text, number) - text);

	return (struct value){ arena_dup(a, text, len), (int32_t)len };
}

static void copy_done(struct task *t, const PGresult *res)
{
	int64_t step = 0, next = t->now.draws ? 0 : pg_copy_first_id(res, &step);

	for (size_t i = 0; i < t->now.n; i++) {
		struct write *w = piece_write(t, i);

		w->outcome = WRITE_DONE;
		if (t->now.draws)
			continue;
		w->id = id_of(next, t->batch->arena);
		next += step;
	}
	t->answered += t->now.n;
	t->batch->bytes += t->copied;
	pg_write_run(t);
}

static void on_copied(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;

	copy_over(t->pl, e);
	if (e != NULL && strcmp(e->code, PG_WRITE_UNKNOWN_ROW) == 0)
		pg_catalog_stale(t->pl->pg);	/* a trigger that was not there when we looked */
	if (e == NULL)
		copy_done(t, res);
	else
		piece_failed(t, e);
	PQclear(res);
}

static void copy_rows(struct task *t)
{
	struct pg_write_set set = { t->batch->list, t->order + t->now.first, t->now.n };

	pg_stmt_again(&t->st);
	t->copied = pg_copy_rows(&t->st, t->pl, &set, t->now.draws);
	copy_in_turn(t);
}

static void on_ids(void *arg, PGresult *res, const struct err *e)
{
	struct task *t = arg;
	struct err why;

	if (e == NULL && pg_mark_table(t->pl, &t->mark) == NULL) {
		pg_table_changed(&why);
		give_up(t, &why);
	} else if (e != NULL) {
		piece_failed(t, e);
	} else {
		for (size_t i = 0; i < t->now.n; i++) {
			struct value id = pg_cell(res, (int)i, 0);

			piece_write(t, i)->id = (struct value){ arena_dup(t->batch->arena, id.data, (size_t)id.len), id.len };
		}
		copy_rows(t);
	}
	PQclear(res);
}

/* ---- sending ----------------------------------------------------------------------------------------- */

static bool may_copy(const struct task *t)
{
	struct pg_write_set set = { t->batch->list, t->order + t->now.first, t->now.n };
	const struct write *like = &set.list[set.order[0]];

	return like->op == WRITE_INSERT && !is_forced(like) && !t->now.equals && !t->now.no_copy && !t->now.singly &&
	       pg_copy_fits(t->pl, &set);
}

static void copy(struct task *t)
{
	struct pg_copies *c = &t->pl->copies;

	t->now.draws = c->draw > 0;
	if (!t->now.draws) {
		copy_rows(t);
		return;
	}
	c->draw--;
	pg_stmt_again(&t->st);
	pg_copy_ids_sql(&t->st, t->pl, t->now.n);
	pg_stmt_call(&t->st, t->pl->pg, on_ids, t);
}

/* Its first n rows. */
static bool build(struct task *t, size_t n)
{
	struct pg_write_set set = { t->batch->list, t->order + t->now.first, n };
	const struct write *like = piece_write(t, 0);

	pg_stmt_again(&t->st);
	switch (like->op) {
	case WRITE_INSERT:
		return pg_write_insert_sql(&t->st, t->pl, &set, t->now.equals);
	case WRITE_UPDATE:
		return pg_write_update_sql(&t->st, t->pl, &set, t->now.aside);
	case WRITE_DELETE:
		t->now.aside |= pg_write_keeps_referred(t->pl);
		return pg_write_delete_sql(&t->st, t->pl, &set, t->now.aside);
	}
	return false;
}

/* Pieces until one has been sent, or none is left. */
void pg_write_run(struct task *t)
{
	struct err why;

	while (!pg_write_untangle(t)) {
		if (!next_piece(t) && t->n_tangled == 0) {
			finish(t);
			return;
		}
		if (pg_mark_table(t->pl, &t->mark) == NULL) {
			pg_table_changed(&why);
			give_up(t, &why);
			return;
		}
		t->copying = may_copy(t);
		if (t->copying) {
			copy(t);
			return;
		}
		if (build(t, t->now.n)) {
			pg_stmt_call(&t->st, t->pl->pg, on_written, t);
			return;
		}
		for (size_t i = 0; i < t->now.n; i++)	/* nothing that could be written: the target does not do it */
			piece_write(t, i)->outcome = WRITE_SILENT;
		t->answered += t->now.n;
	}
}

void pg_write_op(struct link *l, struct write_batch *batch, written_fn *done, void *arg)
{
	struct task *t = xcalloc(1, sizeof *t);
	struct err why;

	t->pl = (struct pg_link *)l;
	t->mark = pg_mark_take(t->pl);
	t->batch = batch;
	t->done = done;
	t->arg = arg;
	t->in_call = true;
	t->order = xcalloc(batch->n + 1, sizeof *t->order);
	t->missed = xcalloc(batch->n + 1, sizeof *t->missed);
	t->tangled = xcalloc(batch->n + 1, sizeof *t->tangled);
	pg_stmt_init(&t->st);
	batch->bytes = 0;
	for (size_t i = 0; i < batch->n; i++) {
		batch->list[i].outcome = WRITE_PENDING;
		batch->list[i].readback = NULL;
		batch->list[i].err = NULL;
		batch->list[i].unanswered = batch->list[i].alone = false;
	}
	if (t->pl->table == NULL) {
		pg_no_table(t->pl, &why);
		give_up(t, &why);
	} else {
		cut_pieces(t);
		pg_write_run(t);
	}
	t->in_call = false;
}
