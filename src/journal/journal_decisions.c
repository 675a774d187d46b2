/*
 * journal_decisions.c - decisions between edits: every side of each, and where the winner has been written.
 */
#include "journal/journal.h"

#include <assert.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "journal/journal_images.h"
#include "journal/room.h"

static const char list_decisions[] =
	"SELECT d.id, d.entity, d.key, d.field, d.rule, d.kind, d.winner, d.tie_break, d.time_us, d.base_digest, d.round,"
	" s.endpoint, s.value, s.deleted, s.stamp_us, s.digest, s.competed, s.written, d.base"
	" FROM (SELECT * FROM decision WHERE time_us >= ?2 AND (?1 IS NULL OR entity = ?1) AND (?4 IS NULL OR key = ?4)"
	"  ORDER BY time_us DESC, id DESC LIMIT ?3) d LEFT JOIN side s ON s.decision = d.id"
	" ORDER BY d.time_us, d.id, s.n";

/* A word and its end, so that "ab" "c" and "a" "bc" are two things. */
static void add_word(struct buf *b, const char *s)
{
	buf_add(b, s != NULL ? s : "", s != NULL ? strlen(s) + 1 : 1);
}

/* What makes a decision this decision: not when it was made, in which round or by which rule. */
static void print_of(struct journal *j, const struct journal_decision *d, unsigned char print[16])
{
	const char *const words[] = { d->entity, d->key, d->field, d->kind, d->base_digest };
	struct buf *b = &j->scratch;

	buf_clear(b);
	for (size_t i = 0; i < countof(words); i++)
		add_word(b, words[i]);
	for (size_t i = 0; i < d->n_sides; i++) {
		if (!d->sides[i].competed)
			continue;
		add_word(b, d->sides[i].endpoint);
		add_word(b, d->sides[i].digest);
		buf_addc(b, d->sides[i].deleted ? 'd' : 'v');
		buf_be64(b, d->sides[i].given ? 0 : (uint64_t)d->sides[i].stamp_us);
	}
	digest128(&j->key, b->p, b->len, print);
}

static bool write_side(struct journal *j, int64_t decision, const struct journal_side *s, int n, struct err *e)
{
	sqlite3_stmt *stmt = j->stmts[Q_SIDE];

	sqlite3_bind_int64(stmt, 1, decision);
	sqlite3_bind_int(stmt, 2, n);
	journal_bind_word(stmt, 3, s->endpoint);
	journal_bind_text(stmt, 4, s->value);
	sqlite3_bind_int(stmt, 5, s->deleted);
	sqlite3_bind_int64(stmt, 6, s->stamp_us);
	journal_bind_word(stmt, 7, s->digest);
	sqlite3_bind_int(stmt, 8, s->competed);
	sqlite3_bind_int(stmt, 9, s->written);
	j->owed += s->written == JOURNAL_OWED;
	return journal_finish(j, stmt, e);
}

static bool write_decision(struct journal *j, const void *what, struct err *e)
{
	const struct journal_decision *d = what;
	sqlite3_stmt *stmt = j->stmts[Q_DECIDE];
	unsigned char print[16];
	int64_t id;

	print_of(j, d, print);
	sqlite3_bind_blob(stmt, 1, print, sizeof print, SQLITE_STATIC);
	journal_bind_word(stmt, 2, d->entity);
	journal_bind_word(stmt, 3, d->key);
	journal_bind_word(stmt, 4, d->field);
	journal_bind_word(stmt, 5, d->rule);
	journal_bind_word(stmt, 6, d->kind);
	journal_bind_word(stmt, 7, d->winner);
	journal_bind_word(stmt, 8, d->tie_break);
	sqlite3_bind_int64(stmt, 9, d->time_us);
	journal_bind_word(stmt, 10, d->base_digest);
	sqlite3_bind_int64(stmt, 11, (sqlite3_int64)d->round);
	journal_bind_text(stmt, 12, d->base);
	journal_bind_word(stmt, 13, d->rid);
	if (!journal_finish(j, stmt, e))
		return false;
	if (sqlite3_changes(j->db) == 0)
		return true;	/* known already */
	id = sqlite3_last_insert_rowid(j->db);
	for (size_t i = 0; i < d->n_sides; i++)
		if (!write_side(j, id, &d->sides[i], (int)i, e))
			return false;
	return true;
}

bool journal_decided(struct journal *j, const struct journal_decision *d, struct err *e)
{
	assert(d->n_sides <= countof(d->sides));
	return journal_change(j, write_decision, d, e);
}

bool journal_owes(const struct journal *j)
{
	return j->owed != 0;
}

struct renaming {
	const char *entity;
	const struct journal_rename *list;
	size_t n;
};

static bool write_renamed(struct journal *j, const void *what, struct err *e)
{
	const struct renaming *r = what;
	sqlite3_stmt *stmt = j->stmts[Q_RENAME];

	for (size_t i = 0; i < r->n; i++) {
		journal_bind_word(stmt, 1, r->entity);
		journal_bind_word(stmt, 2, r->list[i].from_rid);
		journal_bind_word(stmt, 3, r->list[i].to_rid);
		if (!journal_run(j, Q_RENAME, e))
			return false;
	}
	return journal_run(j, Q_RENAMED, e);
}

bool journal_renamed(struct journal *j, const char *entity, const struct journal_rename *list, size_t n, struct err *e)
{
	struct renaming r = { entity, list, n };

	return journal_change(j, write_renamed, &r, e);
}

/* Bound by the caller; what it changes is owed no more. */
static bool settle_debts(struct journal *j, enum query query, struct err *e)
{
	if (!journal_run(j, query, e))
		return false;
	j->owed -= sqlite3_changes(j->db);
	return true;
}

static bool write_overtaken(struct journal *j, const void *what, struct err *e)
{
	const struct journal_standing *s = what;
	sqlite3_stmt *stmt = j->stmts[Q_OVERTAKEN];

	journal_bind_word(stmt, 1, s->entity);
	journal_bind_word(stmt, 2, s->rid);
	journal_bind_text(stmt, 3, s->field);
	journal_bind_text(stmt, 4, s->digest);
	sqlite3_bind_int(stmt, 5, s->dead);
	return settle_debts(j, Q_OVERTAKEN, e);
}

bool journal_overtaken(struct journal *j, const struct journal_standing *s, struct err *e)
{
	return journal_change(j, write_overtaken, s, e);
}

struct writing {
	const char *entity, *rid, *field, *endpoint;
	enum journal_written now;
};

static bool write_written(struct journal *j, const void *what, struct err *e)
{
	const struct writing *w = what;
	sqlite3_stmt *stmt = j->stmts[Q_WRITTEN];

	journal_bind_word(stmt, 1, w->entity);
	journal_bind_word(stmt, 2, w->rid);
	journal_bind_text(stmt, 3, w->field);
	journal_bind_word(stmt, 4, w->endpoint);
	sqlite3_bind_int(stmt, 5, w->now);
	return settle_debts(j, Q_WRITTEN, e);
}

bool journal_written(struct journal *j, const char *entity, const char *rid, const char *field, const char *endpoint, struct err *e)
{
	struct writing w = { entity, rid, field, endpoint, JOURNAL_WRITTEN };

	return journal_change(j, write_written, &w, e);
}

bool journal_owed_no_more(struct journal *j, const char *entity, const char *rid, const char *endpoint, struct err *e)
{
	struct writing w = { entity, rid, NULL, endpoint, JOURNAL_NOT_WRITTEN };

	return journal_change(j, write_written, &w, e);
}

static bool write_owed_forgotten(struct journal *j, const void *what, struct err *e)
{
	const struct writing *w = what;

	journal_bind_word(j->stmts[Q_OWED_FORGET], 1, w->entity);
	journal_bind_text(j->stmts[Q_OWED_FORGET], 2, w->endpoint);
	return settle_debts(j, Q_OWED_FORGET, e);
}

bool journal_owed_forget(struct journal *j, const char *entity, const char *endpoint, struct err *e)
{
	struct writing w = { .entity = entity, .endpoint = endpoint };

	return j->owed == 0 || journal_change(j, write_owed_forgotten, &w, e);
}

static bool write_seen(struct journal *j, const void *what, struct err *e)
{
	const struct journal_seen *s = what;
	sqlite3_stmt *stmt = j->stmts[Q_SEEN];

	journal_bind_word(stmt, 1, s->entity);
	journal_bind_word(stmt, 2, s->rid);
	journal_bind_word(stmt, 3, s->field);
	journal_bind_word(stmt, 4, s->endpoint);
	journal_bind_text(stmt, 5, s->value);
	journal_bind_word(stmt, 6, s->digest);
	return journal_run(j, Q_SEEN, e);
}

bool journal_seen(struct journal *j, const struct journal_seen *s, struct err *e)
{
	return journal_change(j, write_seen, s, e);
}

static void read_decision(sqlite3_stmt *row, struct arena *arena, struct journal_decision *d)
{
	*d = (struct journal_decision){
		.entity = journal_column_dup(arena, row, 1),
		.key = journal_column_dup(arena, row, 2),
		.field = journal_column_dup(arena, row, 3),
		.rule = journal_column_dup(arena, row, 4),
		.kind = journal_column_dup(arena, row, 5),
		.winner = journal_column_dup(arena, row, 6),
		.tie_break = journal_column_dup(arena, row, 7),
		.time_us = sqlite3_column_int64(row, 8),
		.base_digest = journal_column_dup(arena, row, 9),
		.round = (uint64_t)sqlite3_column_int64(row, 10),
		.base = journal_column_dup(arena, row, 18),
	};
}

/* A decision without sides has one row, with NULL in their place. */
static void read_side(sqlite3_stmt *row, struct arena *arena, struct journal_decision *d)
{
	if (sqlite3_column_type(row, 11) == SQLITE_NULL || d->n_sides == countof(d->sides))
		return;
	d->sides[d->n_sides++] = (struct journal_side){
		.endpoint = journal_column_dup(arena, row, 11),
		.value = journal_column_dup(arena, row, 12),
		.deleted = sqlite3_column_int(row, 13) != 0,
		.stamp_us = sqlite3_column_int64(row, 14),
		.digest = journal_column_dup(arena, row, 15),
		.competed = sqlite3_column_int(row, 16) != 0,
		.written = (enum journal_written)sqlite3_column_int(row, 17),
	};
}

/* One row is one side; a decision is whole when the next one begins. */
static int each_decision(sqlite3_stmt *stmt, bool (*fn)(void *arg, const struct journal_decision *), void *arg)
{
	struct journal_decision d;
	struct arena arena;
	int64_t id = 0;
	bool go_on = true;
	int rc;

	arena_init(&arena);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		int64_t row_id = sqlite3_column_int64(stmt, 0);

		if (row_id != id) {
			if (id != 0 && !(go_on = fn(arg, &d)))
				break;
			arena_reset(&arena);
			read_decision(stmt, &arena, &d);
			id = row_id;
		}
		read_side(stmt, &arena, &d);
	}
	if (rc == SQLITE_DONE && id != 0 && go_on)
		fn(arg, &d);
	arena_fini(&arena);
	return rc;
}

bool journal_story_each(struct journal *j, const char *entity, const char *key, int64_t since_us, size_t limit,
			bool (*fn)(void *arg, const struct journal_decision *), void *arg, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(j->db, list_decisions, -1, &stmt, NULL);

	if (rc == SQLITE_OK) {
		journal_bind_text(stmt, 1, entity);
		sqlite3_bind_int64(stmt, 2, since_us);
		sqlite3_bind_int64(stmt, 3, journal_limit(limit));
		journal_bind_text(stmt, 4, key);
		rc = each_decision(stmt, fn, arg);
	}
	return journal_end_list(j, stmt, rc, "journal", e);
}

bool journal_decisions_each(struct journal *j, const char *entity, int64_t since_us, size_t limit,
			    bool (*fn)(void *arg, const struct journal_decision *), void *arg, struct err *e)
{
	return journal_story_each(j, entity, NULL, since_us, limit, fn, arg, e);
}

int64_t journal_decision_count(struct journal *j, const char *entity)
{
	journal_bind_text(j->stmts[Q_COUNT_DECISIONS], 1, entity);
	return journal_count(j, Q_COUNT_DECISIONS);
}

static bool write_expired(struct journal *j, const void *what, struct err *e)
{
	const int64_t *before_us = what;

	if (j->trouble.kind != 0 && !journal_run(j, Q_TRY, e))
		return false;
	sqlite3_bind_int64(j->stmts[Q_EXPIRE], 1, *before_us);
	return journal_run(j, Q_EXPIRE, e) && journal_images_expire(j, *before_us, e);
}

bool journal_expire(struct journal *j, int64_t before_us, struct err *e)
{
	return journal_change(j, write_expired, &before_us, e);
}
