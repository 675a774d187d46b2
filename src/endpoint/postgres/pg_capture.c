/*
 * pg_capture.c - capture, ack, drop: the line of captures of a link, and what both modes share.
 */
#include "endpoint/postgres/pg_capture.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop/loop.h"

static bool listens(const struct pg_capture *c)
{
	return c->pl->link.mapping->endpoint->capture == CAPTURE_LISTEN;
}

/* ---- the line ---------------------------------------------------------------------------------------- */

static void on_turn(void *arg)
{
	struct pg_capture *c = arg;
	struct err why = { 0 };

	if (c->busy || c->first == NULL)
		return;
	if (c->pl->table == NULL) {
		pg_no_table(c->pl, &why);
		pg_capture_fail(c->first, &why);
	} else if (listens(c)) {
		pg_log_step(c->first);
	} else {
		pg_poll_step(c->first);
	}
}

static void schedule(struct pg_capture *c)
{
	if (c->first != NULL)
		loop_timer_set(c->turn, 0);
}

static struct pg_capture *capture_of(struct pg_link *pl)
{
	if (pl->capture == NULL) {
		pl->capture = xcalloc(1, sizeof *pl->capture);
		pl->capture->pl = pl;
		pl->capture->turn = loop_timer_new(pg_loop(pl->pg), on_turn, pl->capture);
	}
	return pl->capture;
}

void pg_capture_op(struct link *l, const char *position, size_t max, captured_fn *done, void *arg)
{
	struct pg_capture *c = capture_of((struct pg_link *)l);
	struct asked *a = xcalloc(1, sizeof *a);

	a->home = c;
	a->position = position != NULL ? xstrdup(position) : NULL;
	a->max = max > 0 ? max : 1;
	a->done = done;
	a->arg = arg;
	arena_init(&a->mem);
	pg_stmt_init(&a->st);
	if (c->first == NULL)
		c->first = a;
	else
		c->last->next = a;
	c->last = a;
	schedule(c);
}

struct ack *pg_ack_new(struct pg_capture *home)
{
	struct ack *k = xcalloc(1, sizeof *k);

	k->home = home;
	k->pl = home->pl;
	k->next = k->pl->acks;
	k->pl->acks = k;
	return k;
}

void pg_ack_free(struct ack *k)
{
	if (k == NULL)
		return;
	for (struct ack **at = &k->pl->acks; *at != NULL; at = &(*at)->next)
		if (*at == k) {
			*at = k->next;
			break;
		}
	pg_stmt_fini(&k->st);
	free(k->ids);
	free(k->hashes);
	free(k->position);
	free(k);
}

void pg_asked_forget(struct asked *a)
{
	pg_log_release(a);
	arena_reset(&a->mem);
	a->picks = NULL;
	a->n_picks = a->entries = 0;
	a->bytes = 0;
	a->more = a->truncated = a->keep_versions = false;
	pg_ack_free(a->ack);
	a->ack = NULL;
	free(a->next_position);
	a->next_position = NULL;
	free(a->gap);
	a->gap = NULL;
}

static void asked_free(struct asked *a)
{
	pg_asked_forget(a);
	arena_fini(&a->mem);
	pg_stmt_fini(&a->st);
	free(a->position);
	free(a);
}

bool pg_asked_orphan(struct asked *a, PGresult *res)
{
	if (a->home != NULL)
		return false;
	PQclear(res);
	asked_free(a);
	return true;
}

/* Out of the line; the next one's step is due. */
static void asked_leave(struct asked *a)
{
	struct pg_capture *c = a->home;

	c->first = a->next;
	if (c->first == NULL)
		c->last = NULL;
	c->busy = false;
	schedule(c);
}

void pg_capture_fail(struct asked *a, const struct err *e)
{
	struct err why = *e;

	err_while(&why, "capturing changes");
	if (why.kind == ERR_ENDPOINT && strncmp(why.code, "42", 2) == 0)
		pg_catalog_stale(a->home->pl->pg);
	asked_leave(a);
	a->done(a->arg, NULL, &why);
	asked_free(a);
}

/* ---- from picks to an answer ------------------------------------------------------------------------- */

/* The news as one block, ids behind the array, so that captured_free() knows how. */
static struct news *news_of(const struct asked *a)
{
	size_t bytes = 0;
	struct news *news;
	char *p;

	for (size_t i = 0; i < a->n_picks; i++)
		bytes += (size_t)a->picks[i].id.len + 1 + (size_t)(a->picks[i].old_id.len + 1);
	news = xcalloc(1, a->n_picks * sizeof *news + bytes + 1);
	p = (char *)(news + a->n_picks);
	for (size_t i = 0; i < a->n_picks; i++) {
		const struct pick *pick = &a->picks[i];

		news[i] = (struct news){ .id = { p, pick->id.len }, .old_id = VALUE_NULL, .stamp = pick->stamp, .row = -1,
					 .ended = pick->ended || !listens(a->home), .deleted = pick->deleted };
		memcpy(p, pick->id.data, (size_t)pick->id.len);
		p += pick->id.len + 1;
		if (!value_is_null(pick->old_id)) {
			news[i].old_id = (struct value){ p, pick->old_id.len };
			memcpy(p, pick->old_id.data, (size_t)pick->old_id.len);
			p += pick->old_id.len + 1;
		}
	}
	return news;
}

/* Finds each row's news. False: a row that nothing asked for, so that an absence would prove nothing. */
static bool match_rows(const struct asked *a, struct news *news, const struct rowset *rows)
{
	struct pg_hset ids = { 0 };
	bool all = true;

	for (size_t i = 0; i < a->n_picks; i++)
		pg_hset_put(&ids, pg_value_hash(news[i].id), (uint32_t)i);
	for (size_t r = 0; r < rows->n && all; r++) {
		const struct row *row = &rows->rows[r];
		uint32_t i;

		all = pg_hset_get(&ids, pg_value_hash(row->id), &i) &&
		      value_equal(news[i].id, row->id);
		if (!all)
			break;
		news[i].row = (ptrdiff_t)r;
		if (news[i].stamp == STAMP_UNKNOWN)
			news[i].stamp = row->stamp;
	}
	pg_hset_fini(&ids);
	return all;
}

void pg_capture_answer(struct asked *a, struct rowset *rows)
{
	struct pg_capture *c = a->home;
	struct captured *got = xcalloc(1, sizeof *got);

	got->news = news_of(a);
	got->n = a->n_picks;
	if (rows != NULL && !match_rows(a, got->news, rows)) {
		struct err why;

		got->rows = rows;
		captured_free(&got);
		err_set(&why, ERR_ENDPOINT, "bad-id", "a local id does not read back as it was logged");
		pg_capture_fail(a, &why);
		return;
	}
	got->rows = rows;
	if (rows != NULL && listens(c) && pg_log_goes_on(a, got->news)) {
		captured_free(&got);
		return;
	}
	got->entries = a->entries;
	got->position = a->next_position;
	a->next_position = NULL;
	got->gap = a->gap;
	a->gap = NULL;
	got->more = a->more;
	got->truncated = a->truncated;
	got->began_us = a->began_us;
	got->ack = a->ack;
	a->ack = NULL;
	c->pl->link.endpoint->last_capture_us = clock_wall_us();
	asked_leave(a);
	a->done(a->arg, got, NULL);
	asked_free(a);
}

static void on_rows(void *arg, struct rowset *rows, const struct err *e)
{
	struct asked *a = arg;

	if (a->home == NULL) {
		rowset_free(&rows);
		asked_free(a);
	} else if (e != NULL) {
		pg_capture_fail(a, e);
	} else {
		if (!listens(a->home))
			pg_poll_read(a, rows);
		pg_capture_answer(a, rows);
	}
}

void pg_capture_read(struct asked *a)
{
	struct link *l = &a->home->pl->link;
	struct value *ids = arena_alloc(&a->mem, (a->n_picks + 1) * sizeof *ids);

	for (size_t i = 0; i < a->n_picks; i++)
		ids[i] = a->picks[i].id;
	a->home->busy = true;
	l->ops->read(l, ids, a->n_picks, on_rows, a);
}

/* ---- what becomes of it ------------------------------------------------------------------------------ */

static void *grown(void *list, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return list;
	*cap = *cap > 0 ? *cap * 2 : 16;
	return xrealloc(list, *cap * size);
}

void pg_ack_add_id(struct ack *k, int64_t id)
{
	k->ids = grown(k->ids, k->n_ids, &k->cap_ids, sizeof *k->ids);
	k->ids[k->n_ids++] = id;
}

void pg_ack_add_hash(struct ack *k, uint64_t hash)
{
	k->hashes = grown(k->hashes, k->n_hashes, &k->cap_hashes, sizeof *k->hashes);
	k->hashes[k->n_hashes++] = hash;
}

static void on_acked(void *arg, PGresult *res, const struct err *e)
{
	struct ack *k = arg;
	struct err why;

	PQclear(res);
	if (e != NULL) {
		why = *e;
		err_while(&why, "acknowledging changes");
	}
	/* Also when that failed: the entries are still there then, and come again as news that is none. */
	k->done(k->arg, e != NULL ? &why : NULL);
	pg_ack_free(k);
}

static void ack_nothing(void *arg, PGresult *res, const struct err *e)
{
	on_acked(arg, res, NULL);	/* nothing was asked of the server */
}

void pg_ack_op(struct link *l, struct ack *k, done_fn *done, void *arg)
{
	struct pg_capture *c = k->home;

	k->done = done;
	k->arg = arg;
	if (c != NULL && listens(c)) {
		k->settling = true;
		pg_log_ack(k, on_acked);
	} else {
		if (c != NULL)
			pg_poll_settled(&c->poll, k);
		k->settling = true;
		pg_soon(k->pl->pg, ack_nothing, k);
	}
	if (c != NULL)
		schedule(c);
}

void pg_drop_op(struct link *l, struct ack *k)
{
	struct pg_capture *c = k->home;

	pg_ack_free(k);
	if (c == NULL)
		return;
	if (!listens(c))
		pg_poll_dropped(&c->poll);
	schedule(c);
}

void pg_acks_free(struct pg_link *pl)
{
	while (pl->acks != NULL)
		pg_ack_free(pl->acks);
}

void pg_capture_free(struct pg_capture **cp)
{
	struct pg_capture *c = *cp;
	struct asked *a, *next;
	struct err why;

	if (c == NULL)
		return;
	*cp = NULL;	/* an answer below may ask for the next capture, with a new struct */
	loop_timer_free(&c->turn);
	for (struct ack *k = c->pl->acks; k != NULL; k = k->next)
		k->home = NULL;
	for (a = c->first; a != NULL; a = a->next)
		a->home = NULL;
	pg_table_changed(&why);
	for (a = c->first; a != NULL; a = next) {
		bool busy = a == c->first && c->busy;

		next = a->next;
		a->done(a->arg, NULL, &why);
		if (!busy)
			asked_free(a);
	}
	pg_log_fini(&c->log);
	pg_poll_fini(&c->poll);
	free(c);
}
