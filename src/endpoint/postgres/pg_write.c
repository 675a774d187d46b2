/*
 * pg_write.c - insert, update, delete: a batch becomes a few statements, and each write an outcome.
 *
 *   PIECE: one statement -> LOOK after the rows that did not answer -> READ BACK those that read otherwise -> next piece
 *          | a row-class error: two halves, down to the single row that is to blame
 *          | a lock, a deadlock: REST on the server, then the piece again, leaving locked rows aside
 *          | anything else: the whole batch answers "not now"
 *   Many inserts: [IDS ->] WAIT for other COPYs into the table -> COPY, where the table allows that (pg_write_copy.c)
 *   Updates whose unique value another row still has WAIT for room (pg_write_tangle.c)
 *
 * A piece is some writes of one operation and one set of fields (pg_write_sql.h); each statement is its own
 * transaction, so that one bad row costs nobody else's. Read-back happens after the commit: a row counts as read back
 * only while its version is the one of our transaction, else it is "refused", which makes the caller look again.
 */
#include "endpoint/postgres/pg_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_hset.h"
#include "endpoint/postgres/pg_sql.h"

enum {
	TOGETHER_BYTES = 1 << 20,	/* of one COPY for several batches; the last of them may go beyond */
	TRIES = 3,		/* of a piece that met a lock or a deadlock */
	DRAWN_COPIES = 64,	/* so many COPYs draw their ids before, when others have been seen to draw some too */
	SUSPICIOUS_BATCH = 20,	/* so many writes failing all in the same way are no accident of their rows */
	SUSPICIOUS_SINGLES = 64,/* ... and so many singly are enough to know it */
};

/* ---- outcomes ---------------------------------------------------------------------------------------- */

void pg_write_set_error(struct write *w, const struct err *e)
{
	w->outcome = fault("f16-what-is-refused-counts-as-written") ? WRITE_DONE : WRITE_ERROR;
	w->err = *e;
}

/* Waiting for the parent, or the answer to a question that was asked on purpose: says nothing about the mapping. */
static bool is_expected(const struct write *w)
{
	return strcmp(w->err.code, "23503") == 0 || (w->op == WRITE_INSERT && w->version.data != NULL);
}

/* Every write failed in the same row-class way: a wrong mapping, not so many bad rows. */
static void judge_batch(struct job *j)
{
	struct write_batch *b = j->batch;

	if (j->answered > 0 || j->mixed || j->failed < b->n || b->n < SUSPICIOUS_BATCH)
		return;
	for (size_t i = 0; i < b->n; i++)
		if (is_expected(&b->list[i]))
			return;
	for (size_t i = 0; i < b->n; i++) {
		b->list[i].err.kind = ERR_ENDPOINT;
		err_while(&b->list[i].err, "every row of a batch failed in the same way");
	}
}

static size_t bytes_of(const struct write *w)
{
	size_t bytes = 0;

	for (uint64_t rest = w->fields; rest != 0; rest &= rest - 1) {
		struct value v = w->values[__builtin_ctzll(rest)];

		bytes += v.len > 0 ? (size_t)v.len : 0;
	}
	return bytes;
}

static void end(struct job *j)
{
	struct write_batch *b = j->batch;

	judge_batch(j);
	for (size_t i = 0; i < b->n; i++)
		if (b->list[i].outcome == WRITE_DONE && b->list[i].op != WRITE_DELETE)
			b->bytes += bytes_of(&b->list[i]);
	j->done(j->arg, b);
	pg_stmt_fini(&j->st);
	free(j->order);
	free(j->stack);
	free(j->missed);
	free(j->tangled);
	free(j->back);
	free(j->back_version);
	free(j);
}

static void on_soon(void *arg, PGresult *res, const struct err *e)
{
	PQclear(res);
	end(arg);
}

static void finish(struct job *j)
{
	if (j->in_call)
		pg_soon(j->pl->pg, on_soon, j);
	else
		end(j);
}

/* Not about any row: everything without an outcome gets this one. */
static void give_up(struct job *j, const struct err *e)
{
	for (size_t i = 0; i < j->batch->n; i++)
		if (j->batch->list[i].outcome == WRITE_PENDING)
			pg_write_set_error(&j->batch->list[i], e);
	finish(j);
}

static struct write *piece_write(struct job *j, size_t i)
{
	return &j->batch->list[j->order[j->now.first + i]];
}

/* ---- pieces ------------------------------------------------------------------------------------------ */

void pg_write_push(struct job *j, struct piece piece)
{
	if (j->n_stack == j->cap_stack) {
		j->cap_stack = j->cap_stack > 0 ? j->cap_stack * 2 : 16;
		j->stack = xrealloc(j->stack, j->cap_stack * sizeof *j->stack);
	}
	j->stack[j->n_stack++] = piece;
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

static void cut_pieces(struct job *j)
{
	struct write *list = j->batch->list;
	size_t n = j->batch->n, end = n;

	for (size_t i = 0; i < n; i++)
		j->order[i] = i;
	qsort_r(j->order, n, sizeof *j->order, compare_order, list);
	for (size_t first = n; first-- > 0;)	/* from the end: the stack gives the last pushed first */
		if (first == 0 || compare_shape(&list[j->order[first - 1]], &list[j->order[first]]) != 0) {
			const struct write *like = &list[j->order[first]];

			/* Inserts hope that there is no equal row: ON CONFLICT DO NOTHING costs twice the plain statement. */
			pg_write_push(j, (struct piece){ .first = first, .n = end - first,
							 .singly = like->op == WRITE_INSERT && !pg_write_insert_joins(j->pl, like->fields) });
			end = first;
		}
}

/* The next piece into j->now; of one that goes row by row the first row. */
static bool next_piece(struct job *j)
{
	if (j->n_stack == 0)
		return false;
	j->now = j->stack[--j->n_stack];
	if (j->now.singly && j->now.n > 1) {
		struct piece rest = j->now;

		rest.first++;
		rest.n--;
		pg_write_push(j, rest);
		j->now.n = 1;
	}
	j->n_missed = j->n_back = 0;
	return true;
}

/* ---- read back --------------------------------------------------------------------------------------- */

static const struct row *copy_row(struct arena *arena, const struct row *from, size_t n_columns)
{
	struct row *to = arena_alloc(arena, sizeof *to);
	struct value *columns = arena_alloc(arena, (n_columns + 1) * sizeof *columns);

	*to = *from;
	to->id.data = arena_dup(arena, from->id.data, (size_t)from->id.len);
	to->version.data = arena_dup(arena, from->version.data, (size_t)from->version.len);
	to->columns = columns;
	for (size_t i = 0; i < n_columns; i++) {
		columns[i] = from->columns[i];
		if (columns[i].len >= 0)
			columns[i].data = arena_dup(arena, from->columns[i].data, (size_t)from->columns[i].len);
	}
	return to;
}

void pg_write_on_read_back(void *arg, struct rowset *rows, const struct err *e)
{
	struct job *j = arg;
	struct pg_hset at = { 0 };

	for (size_t i = 0; rows != NULL && i < rows->n; i++)
		pg_hset_put(&at, pg_value_hash(rows->rows[i].id), (uint32_t)i);
	for (size_t i = 0; i < j->n_back; i++) {
		struct write *w = &j->batch->list[j->back[i]];
		uint32_t r;

		/* Not found, or not ours any more: somebody was there since. It was written, and it is to be looked at again. */
		if (pg_hset_get(&at, pg_value_hash(w->id), &r) && value_equal(rows->rows[r].id, w->id) &&
		    value_equal(rows->rows[r].version, j->back_version[i]))
			w->readback = copy_row(j->batch->arena, &rows->rows[r], j->pl->table->n_columns);
		else
			w->outcome = WRITE_REFUSED;
	}
	pg_hset_fini(&at);
	rowset_free(&rows);
	if (e != NULL && e->kind != ERR_ROW)
		give_up(j, e);
	else
		pg_write_run(j);
}

void pg_write_read_back(struct job *j)
{
	struct value *ids;

	if (j->n_back == 0) {
		pg_write_run(j);
		return;
	}
	ids = xcalloc(j->n_back, sizeof *ids);
	for (size_t i = 0; i < j->n_back; i++)
		ids[i] = j->batch->list[j->back[i]].id;
	j->pl->link.ops->read(&j->pl->link, ids, j->n_back, pg_write_on_read_back, j);
	free(ids);
}

/* ---- rows that did not answer ------------------------------------------------------------------------ */

/* Still there under the version we asked for: then it was not somebody else, but the target itself. */
static void miss(struct job *j, struct write *w, bool same_version)
{
	static const struct err locked = { ERR_TRANSIENT, "55P03", "the row is locked" };

	if (!same_version)
		w->outcome = WRITE_REFUSED;
	else if (j->now.aside)
		pg_write_set_error(w, &locked);
	else
		w->outcome = fault("f33-silence-means-done") ? WRITE_DONE : WRITE_SILENT;
}

static void on_looked(void *arg, PGresult *res, const struct err *e)
{
	struct job *j = arg;
	struct pg_hset at = { 0 };

	for (int i = 0; res != NULL && i < PQntuples(res); i++)
		pg_hset_put(&at, pg_value_hash(pg_cell(res, i, 0)), (uint32_t)i);
	for (size_t i = 0; i < j->n_missed; i++) {
		struct write *w = &j->batch->list[j->missed[i]];
		uint32_t r = 0;
		bool there = pg_hset_get(&at, pg_value_hash(w->id), &r) && value_equal(pg_cell(res, (int)r, 0), w->id);

		miss(j, w, there && value_equal(pg_cell(res, (int)r, 1), w->version));
	}
	pg_hset_fini(&at);
	PQclear(res);
	if (e == NULL && pg_mark_table(j->pl, &j->mark) != NULL)
		pg_write_read_back(j);
	else
		pg_write_on_read_back(j, NULL, e);
}

static void look(struct job *j)
{
	struct pg_write_set set = { j->batch->list, j->missed, j->n_missed };

	if (j->n_missed == 0) {
		pg_write_read_back(j);
		return;
	}
	pg_stmt_again(&j->st);
	pg_write_look_sql(&j->st, j->pl, &set);
	pg_stmt_call(&j->st, j->pl->pg, on_looked, j);
}

/* ---- a piece's answer -------------------------------------------------------------------------------- */

static void take_answer(struct job *j, PGresult *res, int row)
{
	int64_t n = pg_cell_int(res, row, 0, 0);
	struct arena *arena = j->batch->arena;
	struct write *w;

	if (n < 1 || (size_t)n > j->now.n)
		return;
	w = piece_write(j, (size_t)n - 1);
	w->outcome = WRITE_DONE;
	if (w->op == WRITE_INSERT) {
		struct value id = pg_cell(res, row, 2);

		w->id = (struct value){ arena_dup(arena, id.data, (size_t)id.len), id.len };
	}
	if (PQgetisnull(res, row, 1) || fault("f09-reads-nothing-back"))
		return;
	if (w->op == WRITE_DELETE) {	/* a soft delete that left the row there */
		w->outcome = WRITE_SILENT;
		return;
	}
	j->back_version[j->n_back] = (struct value){ arena_dup(arena, PQgetvalue(res, row, 1), (size_t)PQgetlength(res, row, 1)),
						     PQgetlength(res, row, 1) };
	j->back[j->n_back++] = j->order[j->now.first + (size_t)n - 1];
}

static void piece_done(struct job *j, PGresult *res)
{
	for (int i = 0; i < PQntuples(res); i++)
		take_answer(j, res, i);
	for (size_t i = 0; i < j->now.n; i++) {
		struct write *w = piece_write(j, i);

		if (w->outcome != WRITE_PENDING)
			continue;
		if (w->op == WRITE_INSERT)
			w->outcome = is_forced(w) ? WRITE_SILENT : WRITE_REFUSED;
		else
			j->missed[j->n_missed++] = j->order[j->now.first + i];
	}
	j->answered += j->now.n;
	if (pg_mark_table(j->pl, &j->mark) != NULL) {
		look(j);
		return;
	}
	for (size_t i = 0; i < j->n_missed; i++)	/* the table changed under us: what could not be asked is asked again */
		j->batch->list[j->missed[i]].outcome = WRITE_REFUSED;
	pg_write_on_read_back(j, NULL, NULL);
}

/* An insert met a row that is equal where it must not be; for one that was forced that is the answer. */
static bool is_equal_row(struct job *j, const struct err *e)
{
	const struct write *w = piece_write(j, 0);

	return w->op == WRITE_INSERT && !is_forced(w) && !j->now.equals &&
	       (strcmp(e->code, "23505") == 0 || strcmp(e->code, "23P01") == 0);
}

static bool waits_for_value(const struct write *w, const struct err *e)
{
	return w->op == WRITE_UPDATE && strcmp(e->code, "23505") == 0;
}

/* Not for what other rows hold, which no other definition would change. */
static bool is_misfit(const struct err *e)
{
	return e->kind == ERR_ROW && strcmp(e->code, "23503") != 0 && strcmp(e->code, "23505") != 0 && strcmp(e->code, "23P01") != 0;
}

void pg_write_blame(struct job *j, struct write *w, const struct err *e)
{
	pg_write_set_error(w, e);
	if (is_misfit(e))
		pg_row_refused(j->pl->pg);
	if (j->failed++ == 0)
		memcpy(j->code, e->code, sizeof j->code);
	j->mixed = j->mixed || strcmp(j->code, e->code) != 0;
}

static void row_failed(struct job *j, const struct err *e)
{
	struct piece *now = &j->now;
	size_t half = now->n / 2;

	if (j->copying && strcmp(e->code, PG_WRITE_NO_RUN) == 0) {
		j->pl->copies.draw = DRAWN_COPIES;
		pg_write_push(j, *now);
	} else if (j->copying) {
		now->no_copy = true;
		pg_write_push(j, *now);
	} else if (is_equal_row(j, e)) {
		if (now->n == 1) {
			piece_write(j, 0)->outcome = WRITE_REFUSED;
			j->answered++;
		} else {
			now->equals = true;
			pg_write_push(j, *now);
		}
	} else if (strcmp(e->code, PG_WRITE_UNKNOWN_ROW) == 0 && now->n > 1) {
		now->singly = true;
		pg_write_push(j, *now);
	} else if (now->n == 1 && waits_for_value(piece_write(j, 0), e)) {
		piece_write(j, 0)->err = *e;
		j->tangled[j->n_tangled++] = now->first;
		j->answered_then = j->answered;
	} else if (now->n > 1) {
		struct piece right = *now;

		right.first += half;
		right.n -= half;
		pg_write_push(j, right);
		now->n = half;
		pg_write_push(j, *now);
	} else {
		pg_write_blame(j, piece_write(j, 0), e);
		if (j->failed >= SUSPICIOUS_SINGLES && j->answered == 0 && !j->mixed && !is_expected(piece_write(j, 0))) {
			for (size_t i = 0; i < j->batch->n; i++)
				if (j->batch->list[i].outcome == WRITE_PENDING)
					pg_write_set_error(&j->batch->list[i], e), j->failed++;
			finish(j);
			return;
		}
	}
	pg_write_run(j);
}

bool pg_write_passes(const char *code)
{
	return strcmp(code, "40001") == 0 || strcmp(code, "40P01") == 0 || strcmp(code, "55P03") == 0 || strcmp(code, "57014") == 0;
}

static void on_rested(void *arg, PGresult *res, const struct err *e)
{
	struct job *j = arg;

	PQclear(res);
	if (e != NULL)
		give_up(j, e);
	else
		pg_write_run(j);
}

/* The piece again in a moment. The server counts the moment: an endpoint that goes away then answers for it, too. */
static void rest(struct job *j)
{
	struct piece again = j->now;

	again.tries++;
	again.aside = true;
	pg_write_push(j, again);
	pg_stmt_again(&j->st);
	buf_adds(&j->st.sql, "SELECT pg_catalog.pg_sleep(0.01 + 0.09 * pg_catalog.random())");
	pg_stmt_call(&j->st, j->pl->pg, on_rested, j);
}

/* The connection is gone, or the table is not what it was. If it was the connection, this piece may have been
 * committed or not; both are told apart by reading, so that is left to the caller (SEMANTICS F30). */
void pg_write_all_failed(struct job *j, const struct err *e)
{
	if (e->kind == ERR_ENDPOINT && strncmp(e->code, "42", 2) == 0)
		pg_catalog_stale(j->pl->pg);
	give_up(j, e);
}

static void piece_failed(struct job *j, const struct err *e)
{
	unsigned tries = strcmp(e->code, "57014") == 0 ? 2 : TRIES;	/* a statement_timeout is long: once more is enough */

	if (e->kind == ERR_ROW && !fault("f23-a-bad-row-takes-its-batch-along")) {
		row_failed(j, e);
	} else if (e->kind == ERR_TRANSIENT && pg_write_passes(e->code) && j->now.tries + 1 < tries) {
		rest(j);
	} else if (e->kind == ERR_TRANSIENT && pg_write_passes(e->code)) {
		for (size_t i = 0; i < j->now.n; i++)
			pg_write_set_error(piece_write(j, i), e);
		j->answered += j->now.n;
		pg_write_run(j);
	} else {
		pg_write_all_failed(j, e);
	}
}

static void on_written(void *arg, PGresult *res, const struct err *e)
{
	struct job *j = arg;

	if (e == NULL)
		piece_done(j, res);
	else
		piece_failed(j, e);
	PQclear(res);
}

/* ---- many inserts: COPY ------------------------------------------------------------------------------ */

/*
 * One COPY into a table at a time, and what waits for it goes together in the next: two or four side by side wait for each other where
 * the table and its indexes grow, and took the server a fifth and a half more processor time for the same million rows. Nor could either
 * tell its ids, where the table draws them.
 */
static void on_copied(void *arg, PGresult *res, const struct err *e);

static void copy_send(struct job *j)
{
	size_t n = 0;

	for (const struct job *with = j; with != NULL; with = with->with)
		n += with->now.n;
	pg_copy_sql(&j->st, j->pl, n, j->now.draws);
	j->pl->copies.at_work = j;
	pg_stmt_call(&j->st, j->pl->pg, on_copied, j);
}

static void copy_in_turn(struct job *j)
{
	struct pg_copies *c = &j->pl->copies;

	j->next = j->with = NULL;
	if (c->at_work == NULL) {
		copy_send(j);
		return;
	}
	if (c->first == NULL)
		c->last = &c->first;
	*c->last = j;
	c->last = &j->next;
}

/* The next in the line that can still be sent; those whose table has changed since are told so. */
static struct job *copy_next(struct pg_copies *c)
{
	struct err why;
	struct job *j;

	while ((j = c->first) != NULL && pg_mark_table(j->pl, &j->mark) == NULL) {
		c->first = j->next;
		pg_table_changed(&why);
		give_up(j, &why);
	}
	return j;
}

/* The turn of those that wait. e: why there is no connection any more, when there is none. */
static void copy_over(struct pg_link *pl, const struct err *e)
{
	struct pg_copies *c = &pl->copies;
	struct job *j, *more, **with;

	c->at_work = NULL;
	while (e != NULL && pg_server_version(pl->pg) == 0 && (j = c->first) != NULL) {
		c->first = j->next;
		give_up(j, e);
	}
	j = c->at_work == NULL ? copy_next(c) : NULL;
	if (j == NULL)
		return;
	c->first = j->next;
	for (with = &j->with; j->st.copy.len < TOGETHER_BYTES && (more = copy_next(c)) != NULL && more->now.draws == j->now.draws;
	     with = &more->with) {
		c->first = more->next;
		buf_add(&j->st.copy, more->st.copy.p, more->st.copy.len);
		*with = more;
	}
	copy_send(j);
}

/* next: the id of the first row, where the table drew them; moves on. */
static void copy_done(struct job *j, int64_t *next, int64_t step)
{
	char text[24];

	for (size_t i = 0; i < j->now.n; i++) {
		struct write *w = piece_write(j, i);

		w->outcome = WRITE_DONE;
		if (j->now.draws)
			continue;
		w->id.len = snprintf(text, sizeof text, "%" PRId64, *next);
		w->id.data = arena_dup(j->batch->arena, text, (size_t)w->id.len);
		*next += step;
	}
	j->answered += j->now.n;
	pg_write_run(j);
}

static void on_copied(void *arg, PGresult *res, const struct err *e)
{
	struct job *j = arg, *with;
	int64_t next = 0, step = 0;

	if (e == NULL && !j->now.draws)
		next = pg_copy_first_id(res, &step);
	PQclear(res);
	copy_over(j->pl, e);
	if (e != NULL && strcmp(e->code, PG_WRITE_UNKNOWN_ROW) == 0)
		pg_catalog_stale(j->pl->pg);	/* a trigger that was not there when we looked */
	for (; j != NULL; j = with) {
		with = j->with;
		if (e == NULL)
			copy_done(j, &next, step);
		else
			piece_failed(j, e);
	}
}

static void copy_rows(struct job *j)
{
	struct pg_write_set set = { j->batch->list, j->order + j->now.first, j->now.n };

	pg_stmt_again(&j->st);
	pg_copy_rows(&j->st, j->pl, &set, j->now.draws);
	copy_in_turn(j);
}

static void on_ids(void *arg, PGresult *res, const struct err *e)
{
	struct job *j = arg;
	struct err why;

	if (e == NULL && pg_mark_table(j->pl, &j->mark) == NULL) {
		pg_table_changed(&why);
		give_up(j, &why);
	} else if (e != NULL) {
		piece_failed(j, e);
	} else {
		for (size_t i = 0; i < j->now.n; i++) {
			struct value id = pg_cell(res, (int)i, 0);

			piece_write(j, i)->id = (struct value){ arena_dup(j->batch->arena, id.data, (size_t)id.len), id.len };
		}
		copy_rows(j);
	}
	PQclear(res);
}

/* ---- sending ----------------------------------------------------------------------------------------- */

static bool may_copy(const struct job *j)
{
	struct pg_write_set set = { j->batch->list, j->order + j->now.first, j->now.n };
	const struct write *like = &set.list[set.order[0]];

	return like->op == WRITE_INSERT && !is_forced(like) && !j->now.equals && !j->now.no_copy && !j->now.singly &&
	       pg_copy_fits(j->pl, &set);
}

static void copy(struct job *j)
{
	struct pg_copies *c = &j->pl->copies;

	j->now.draws = c->draw > 0;
	if (!j->now.draws) {
		copy_rows(j);
		return;
	}
	c->draw--;
	pg_stmt_again(&j->st);
	pg_copy_ids_sql(&j->st, j->pl, j->now.n);
	pg_stmt_call(&j->st, j->pl->pg, on_ids, j);
}

static bool build(struct job *j)
{
	struct pg_write_set set = { j->batch->list, j->order + j->now.first, j->now.n };
	const struct write *like = piece_write(j, 0);

	pg_stmt_again(&j->st);
	switch (like->op) {
	case WRITE_INSERT:
		return pg_write_insert_sql(&j->st, j->pl, &set, j->now.equals);
	case WRITE_UPDATE:
		return pg_write_update_sql(&j->st, j->pl, &set, j->now.aside);
	case WRITE_DELETE:
		return pg_write_delete_sql(&j->st, j->pl, &set, j->now.aside);
	}
	return false;
}

/* Pieces until one has been sent, or none is left. */
void pg_write_run(struct job *j)
{
	struct err why;

	while (!pg_write_untangle(j)) {
		if (!next_piece(j) && j->n_tangled == 0) {
			finish(j);
			return;
		}
		if (pg_mark_table(j->pl, &j->mark) == NULL) {
			pg_table_changed(&why);
			give_up(j, &why);
			return;
		}
		j->copying = may_copy(j);
		if (j->copying) {
			copy(j);
			return;
		}
		if (build(j)) {
			pg_stmt_call(&j->st, j->pl->pg, on_written, j);
			return;
		}
		for (size_t i = 0; i < j->now.n; i++)	/* nothing that could be written: the target does not do it */
			piece_write(j, i)->outcome = WRITE_SILENT;
		j->answered += j->now.n;
	}
}

void pg_write_op(struct link *l, struct write_batch *batch, written_fn *done, void *arg)
{
	struct job *j = xcalloc(1, sizeof *j);
	struct err why;

	j->pl = (struct pg_link *)l;
	j->mark = pg_mark_take(j->pl);
	j->batch = batch;
	j->done = done;
	j->arg = arg;
	j->in_call = true;
	j->order = xcalloc(batch->n + 1, sizeof *j->order);
	j->missed = xcalloc(batch->n + 1, sizeof *j->missed);
	j->tangled = xcalloc(batch->n + 1, sizeof *j->tangled);
	j->back = xcalloc(batch->n + 1, sizeof *j->back);
	j->back_version = xcalloc(batch->n + 1, sizeof *j->back_version);
	pg_stmt_init(&j->st);
	batch->bytes = 0;
	for (size_t i = 0; i < batch->n; i++) {
		batch->list[i].outcome = WRITE_PENDING;
		batch->list[i].readback = NULL;
		err_clear(&batch->list[i].err);
	}
	if (j->pl->table == NULL) {
		pg_no_table(j->pl, &why);
		give_up(j, &why);
	} else {
		cut_pieces(j);
		pg_write_run(j);
	}
	j->in_call = false;
}
