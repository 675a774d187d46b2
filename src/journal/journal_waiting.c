/*
 * journal_waiting.c - fields that wait for a person (rule manual): one line each, with every side's value and, once given, the verdict.
 */
#include "journal/journal.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "journal/room.h"

static const char list_waiting[] =
	"SELECT w.id, w.entity, w.rid, w.key, w.field, w.since_us, w.mark, w.base_digest, w.base, w.verdict, w.chosen,"
	" s.endpoint, s.value, s.stamp_us, s.digest, s.competed"
	" FROM (SELECT * FROM waiting WHERE id > ?4 AND (?1 IS NULL OR entity = ?1) AND (?2 IS NULL OR rid = ?2) AND (?3 IS NULL OR key = ?3)"
	"  ORDER BY id LIMIT ?5) w LEFT JOIN waiting_side s ON s.waiting = w.id ORDER BY w.id, s.n";

static void bind_waiting(sqlite3_stmt *stmt, const struct journal_waiting *w)
{
	journal_bind_word(stmt, 1, w->entity);
	journal_bind_word(stmt, 2, w->rid);
	journal_bind_word(stmt, 3, w->field);
}

static bool write_waiting_side(struct journal *j, const struct journal_waiting *w, size_t n, struct err *e)
{
	const struct journal_side *s = &w->sides[n];
	sqlite3_stmt *stmt = j->stmts[Q_WAIT_SIDE];

	bind_waiting(stmt, w);
	sqlite3_bind_int(stmt, 4, (int)n);
	journal_bind_word(stmt, 5, s->endpoint);
	journal_bind_text(stmt, 6, s->value);
	sqlite3_bind_int64(stmt, 7, s->stamp_us);
	journal_bind_word(stmt, 8, s->digest);
	sqlite3_bind_int(stmt, 9, s->competed);
	return journal_finish(j, stmt, e);
}

static bool write_waiting_sides(struct journal *j, const void *what, struct err *e)
{
	const struct journal_waiting *w = what;
	bool ok;

	bind_waiting(j->stmts[Q_WAIT_SIDES], w);
	ok = journal_run(j, Q_WAIT_SIDES, e);
	for (size_t n = 0; ok && n < w->n_sides; n++)
		ok = write_waiting_side(j, w, n, e);
	return ok;
}

static bool write_waiting(struct journal *j, const void *what, struct err *e)
{
	const struct journal_waiting *w = what;
	sqlite3_stmt *stmt = j->stmts[Q_WAIT];

	bind_waiting(stmt, w);
	sqlite3_bind_int64(stmt, 4, (sqlite3_int64)w->mark);
	journal_bind_word(stmt, 5, w->key);
	sqlite3_bind_int64(stmt, 6, w->since_us);
	journal_bind_word(stmt, 7, w->base_digest);
	journal_bind_text(stmt, 8, w->base);
	return journal_finish(j, stmt, e) && write_waiting_sides(j, w, e);
}

bool journal_is_unseen(const struct journal_side *s)
{
	return s->competed && s->value == NULL && strtoull(s->digest, NULL, 16) <= 0xffffff;
}

static int64_t unseen_sides(const struct journal_waiting *w)
{
	int64_t n = 0;

	for (size_t i = 0; i < w->n_sides; i++)
		n += journal_is_unseen(&w->sides[i]);
	return n;
}

/* The line is about the same, and there is a value at hand that was not when it was written. */
static bool knows_more(struct journal *j, const struct journal_waiting *w)
{
	bind_waiting(j->stmts[Q_WAIT_UNSEEN], w);
	return journal_count(j, Q_WAIT_UNSEEN) > unseen_sides(w);
}

bool journal_wait(struct journal *j, const struct journal_waiting *w, bool *fresh, struct err *e)
{
	bind_waiting(j->stmts[Q_WAITS], w);
	sqlite3_bind_int64(j->stmts[Q_WAITS], 4, (sqlite3_int64)w->mark);
	*fresh = journal_count(j, Q_WAITS) != 1;
	if (*fresh)
		return journal_change(j, write_waiting, w, e);
	return !knows_more(j, w) || journal_change(j, write_waiting_sides, w, e);
}

static bool write_wait_end(struct journal *j, const void *what, struct err *e)
{
	const int64_t *id = what;

	sqlite3_bind_int64(j->stmts[Q_WAIT_END], 1, *id);
	return journal_run(j, Q_WAIT_END, e);
}

bool journal_wait_end(struct journal *j, int64_t id, struct err *e)
{
	return journal_change(j, write_wait_end, &id, e);
}

struct forgetting {
	const char *entity, *endpoint;
};

static bool write_wait_forget(struct journal *j, const void *what, struct err *e)
{
	const struct forgetting *f = what;

	journal_bind_word(j->stmts[Q_WAIT_FORGET], 1, f->entity);
	journal_bind_text(j->stmts[Q_WAIT_FORGET], 2, f->endpoint);
	return journal_run(j, Q_WAIT_FORGET, e);
}

bool journal_wait_forget(struct journal *j, const char *entity, const char *endpoint, struct err *e)
{
	struct forgetting f = { entity, endpoint };

	return journal_change(j, write_wait_forget, &f, e);
}

struct copying {
	const char *entity, *from, *to, *key;
};

static void bind_copying(sqlite3_stmt *stmt, const struct copying *c)
{
	journal_bind_word(stmt, 1, c->entity);
	journal_bind_word(stmt, 2, c->from);
	journal_bind_word(stmt, 3, c->to);
}

static bool write_wait_copy(struct journal *j, const void *what, struct err *e)
{
	const struct copying *c = what;

	bind_copying(j->stmts[Q_WAIT_COPY], c);
	journal_bind_word(j->stmts[Q_WAIT_COPY], 4, c->key);
	if (!journal_run(j, Q_WAIT_COPY, e))
		return false;
	bind_copying(j->stmts[Q_WAIT_COPY_SIDES], c);
	return journal_run(j, Q_WAIT_COPY_SIDES, e);
}

bool journal_wait_copy(struct journal *j, const char *entity, const char *from_rid, const char *to_rid, const char *key, struct err *e)
{
	struct copying c = { entity, from_rid, to_rid, key };

	return journal_change(j, write_wait_copy, &c, e);
}

static bool write_verdict(struct journal *j, const void *what, struct err *e)
{
	const struct journal_waiting *w = what;
	sqlite3_stmt *stmt = j->stmts[Q_VERDICT];

	sqlite3_bind_int64(stmt, 1, w->id);
	sqlite3_bind_int(stmt, 2, w->verdict);
	journal_bind_text(stmt, 3, w->chosen);
	return journal_finish(j, stmt, e);
}

bool journal_verdict(struct journal *j, int64_t id, enum journal_verdict verdict, const char *chosen, struct err *e)
{
	struct journal_waiting w = { .id = id, .verdict = verdict, .chosen = chosen };
	int64_t before = sqlite3_total_changes64(j->db);

	if (!journal_change(j, write_verdict, &w, e))
		return false;
	return sqlite3_total_changes64(j->db) > before || err_set(e, ERR_ROW, "no-such-conflict", "it does not wait any more");
}

int64_t journal_waiting_count(struct journal *j, const char *entity, bool decided)
{
	journal_bind_word(j->stmts[Q_COUNT_WAITING], 1, entity);
	sqlite3_bind_int(j->stmts[Q_COUNT_WAITING], 2, decided);
	return journal_count(j, Q_COUNT_WAITING);
}

/* Into the arena: one is made of several rows. */
static void read_waiting(sqlite3_stmt *row, struct arena *a, struct journal_waiting *w)
{
	*w = (struct journal_waiting){
		.id = sqlite3_column_int64(row, 0), .entity = journal_column_dup(a, row, 1), .rid = journal_column_dup(a, row, 2), .key = journal_column_dup(a, row, 3),
		.field = journal_column_dup(a, row, 4), .since_us = sqlite3_column_int64(row, 5), .mark = (uint64_t)sqlite3_column_int64(row, 6),
		.base_digest = journal_column_dup(a, row, 7), .base = journal_column_dup(a, row, 8),
		.verdict = (enum journal_verdict)sqlite3_column_int(row, 9), .chosen = journal_column_dup(a, row, 10),
	};
}

static void read_waiting_side(sqlite3_stmt *row, struct arena *a, struct journal_waiting *w)
{
	if (sqlite3_column_type(row, 11) == SQLITE_NULL || w->n_sides == countof(w->sides))
		return;
	w->sides[w->n_sides++] = (struct journal_side){ .endpoint = journal_column_dup(a, row, 11), .value = journal_column_dup(a, row, 12),
		.stamp_us = sqlite3_column_int64(row, 13), .digest = journal_column_dup(a, row, 14), .competed = sqlite3_column_int(row, 15) != 0 };
}

bool journal_waiting_each(struct journal *j, const char *entity, const char *rid, const char *key, int64_t after_id, size_t limit,
			  bool (*fn)(void *arg, const struct journal_waiting *), void *arg, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(j->db, list_waiting, -1, &stmt, NULL);
	bool go_on = rc == SQLITE_OK;
	struct journal_waiting w = { 0 };
	struct arena a;

	arena_init(&a);
	if (go_on) {
		journal_bind_text(stmt, 1, entity);
		journal_bind_text(stmt, 2, rid);
		journal_bind_text(stmt, 3, key);
		sqlite3_bind_int64(stmt, 4, after_id);
		sqlite3_bind_int64(stmt, 5, journal_limit(limit));
	}
	while (go_on && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (w.id != sqlite3_column_int64(stmt, 0)) {
			go_on = w.id == 0 || fn(arg, &w);
			arena_reset(&a);
			read_waiting(stmt, &a, &w);
		}
		read_waiting_side(stmt, &a, &w);
	}
	if (go_on && rc == SQLITE_DONE && w.id != 0)
		fn(arg, &w);
	arena_fini(&a);
	return journal_end_list(j, stmt, rc, "journal", e);
}
