/*
 * journal_held.c - deletes that the mass-delete guard holds, in sets, and what has been ordered about each set.
 */
#include "journal/journal.h"

#include "journal/room.h"

static const char list_sets[] =
	"SELECT s.number, s.entity, s.endpoint, s.state, count(h.id), coalesce(min(h.time_us), 0), coalesce(max(h.time_us), 0)"
	" FROM held_set s LEFT JOIN held h ON h.held_set = s.number GROUP BY s.number ORDER BY s.number";

static const char list_held[] =
	"SELECT id, held_set, entity, endpoint, rid, key, time_us FROM held WHERE held_set = ?1 AND id > ?2 ORDER BY id LIMIT ?3";

static bool write_set(struct journal *j, const void *what, struct err *e)
{
	const struct journal_held_set *set = what;

	journal_bind_word(j->stmts[Q_NEW_SET], 1, set->entity);
	journal_bind_word(j->stmts[Q_NEW_SET], 2, set->endpoint);
	return journal_run(j, Q_NEW_SET, e);
}

int64_t journal_held_set_new(struct journal *j, const char *entity, const char *endpoint, struct err *e)
{
	struct journal_held_set set = { .entity = entity, .endpoint = endpoint };

	return journal_change(j, write_set, &set, e) ? sqlite3_last_insert_rowid(j->db) : 0;
}

static bool write_held(struct journal *j, const void *what, struct err *e)
{
	const struct journal_held *h = what;
	sqlite3_stmt *stmt = j->stmts[Q_HOLD];

	sqlite3_bind_int64(stmt, 1, h->set);
	journal_bind_word(stmt, 2, h->entity);
	journal_bind_word(stmt, 3, h->endpoint);
	journal_bind_word(stmt, 4, h->rid);
	journal_bind_word(stmt, 5, h->key);
	sqlite3_bind_int64(stmt, 6, h->time_us);
	return journal_finish(j, stmt, e);
}

bool journal_hold(struct journal *j, const struct journal_held *h, bool *fresh, struct err *e)
{
	int64_t before = sqlite3_total_changes64(j->db);

	if (!journal_change(j, write_held, h, e))
		return false;
	*fresh = sqlite3_total_changes64(j->db) > before;
	return true;
}

enum journal_held_state journal_held_state(struct journal *j, const char *entity, const char *endpoint, const char *rid)
{
	sqlite3_stmt *stmt = j->stmts[Q_HELD_STATE];
	enum journal_held_state state = HELD_WAITS;
	int rc;

	journal_bind_word(stmt, 1, entity);
	journal_bind_word(stmt, 2, endpoint);
	journal_bind_word(stmt, 3, rid);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_DONE)
		state = HELD_NOT;
	else if (rc == SQLITE_ROW)
		state = (enum journal_held_state)sqlite3_column_int(stmt, 0);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return state;
}

static bool write_end(struct journal *j, const void *what, struct err *e)
{
	const struct journal_held *h = what;

	journal_bind_word(j->stmts[Q_END_HELD], 1, h->entity);
	journal_bind_word(j->stmts[Q_END_HELD], 2, h->endpoint);
	journal_bind_text(j->stmts[Q_END_HELD], 3, h->rid);
	return journal_run(j, Q_END_HELD, e);
}

static bool write_end_sets(struct journal *j, const void *what, struct err *e)
{
	const struct journal_held *h = what;

	journal_bind_word(j->stmts[Q_END_SETS], 1, h->entity);
	journal_bind_word(j->stmts[Q_END_SETS], 2, h->endpoint);
	return journal_run(j, Q_END_SETS, e);
}

bool journal_held_end(struct journal *j, const char *entity, const char *endpoint, const char *rid, int64_t *n, struct err *e)
{
	struct journal_held h = { .entity = entity, .endpoint = endpoint, .rid = rid };
	int64_t before = sqlite3_total_changes64(j->db);

	if (!journal_change(j, write_end, &h, e))
		return false;
	*n = sqlite3_total_changes64(j->db) - before;
	return *n == 0 || journal_change(j, write_end_sets, &h, e);
}

struct moving {
	const char *entity, *from, *to;
};

static bool write_moved(struct journal *j, const void *what, struct err *e)
{
	const struct moving *m = what;

	journal_bind_word(j->stmts[Q_MOVE_HELD], 1, m->entity);
	journal_bind_word(j->stmts[Q_MOVE_HELD], 2, m->from);
	journal_bind_word(j->stmts[Q_MOVE_HELD], 3, m->to);
	return journal_run(j, Q_MOVE_HELD, e);
}

bool journal_held_move(struct journal *j, const char *entity, const char *from_rid, const char *to_rid, struct err *e)
{
	struct moving m = { entity, from_rid, to_rid };

	return journal_change(j, write_moved, &m, e);
}

static bool write_order(struct journal *j, const void *what, struct err *e)
{
	const struct journal_held_set *set = what;
	sqlite3_stmt *stmt = j->stmts[Q_ORDER_SET];

	sqlite3_bind_int64(stmt, 1, set->number);
	journal_bind_word(stmt, 2, set->entity);
	journal_bind_word(stmt, 3, set->endpoint);
	sqlite3_bind_int(stmt, 4, set->state);
	return journal_run(j, Q_ORDER_SET, e);
}

bool journal_held_order(struct journal *j, const struct journal_held_set *set, struct err *e)
{
	int64_t before = sqlite3_total_changes64(j->db);

	if (!journal_change(j, write_order, set, e))
		return false;
	return sqlite3_total_changes64(j->db) > before ||
	       err_set(e, ERR_ROW, "no-such-set", "there are no held deletes %s/%s/%lld", set->entity, set->endpoint, (long long)set->number);
}

bool journal_held_sets_each(struct journal *j, bool (*fn)(void *arg, const struct journal_held_set *), void *arg, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(j->db, list_sets, -1, &stmt, NULL);
	bool go_on = rc == SQLITE_OK;

	while (go_on && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct journal_held_set set = {
			.number = sqlite3_column_int64(stmt, 0), .entity = journal_column(stmt, 1), .endpoint = journal_column(stmt, 2),
			.state = (enum journal_held_state)sqlite3_column_int(stmt, 3), .deletes = sqlite3_column_int64(stmt, 4),
			.first_us = sqlite3_column_int64(stmt, 5), .last_us = sqlite3_column_int64(stmt, 6),
		};

		go_on = fn(arg, &set);
	}
	return journal_end_list(j, stmt, rc, "journal", e);
}

bool journal_held_each(struct journal *j, int64_t set, int64_t after_id, size_t limit,
		       bool (*fn)(void *arg, const struct journal_held *), void *arg, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(j->db, list_held, -1, &stmt, NULL);
	bool go_on = rc == SQLITE_OK;

	if (go_on) {
		sqlite3_bind_int64(stmt, 1, set);
		sqlite3_bind_int64(stmt, 2, after_id);
		sqlite3_bind_int64(stmt, 3, journal_limit(limit));
	}
	while (go_on && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct journal_held h = {
			.id = sqlite3_column_int64(stmt, 0), .set = sqlite3_column_int64(stmt, 1), .entity = journal_column(stmt, 2),
			.endpoint = journal_column(stmt, 3), .rid = journal_column(stmt, 4), .key = journal_column(stmt, 5), .time_us = sqlite3_column_int64(stmt, 6),
		};

		go_on = fn(arg, &h);
	}
	return journal_end_list(j, stmt, rc, "journal", e);
}
