/*
 * journal_parked.c - records that stand aside, each with its cause, until they are tried again or discarded.
 */
#include "journal/journal.h"

#include "journal/room.h"

static const char list_parked[] =
	"SELECT id, entity, endpoint, capture, key, local_id, rid, code, cause, field, since_us, last_us, tries,"
	" discarded, stamp_us FROM parked WHERE id > ?3 AND (?1 IS NULL OR entity = ?1) AND (?2 IS NULL OR endpoint = ?2) ORDER BY id LIMIT ?4";

static void bind_identity(sqlite3_stmt *stmt, const struct journal_parked *p)
{
	journal_bind_word(stmt, 1, p->entity);
	journal_bind_word(stmt, 2, p->endpoint);
	sqlite3_bind_int(stmt, 3, p->capture);
	journal_bind_word(stmt, 4, p->rid);
	journal_bind_word(stmt, 5, p->local_id);
}

static bool write_parked(struct journal *j, const void *what, struct err *e)
{
	const struct journal_parked *p = what;
	sqlite3_stmt *stmt = j->stmts[Q_PARK];

	bind_identity(stmt, p);
	journal_bind_word(stmt, 6, p->key);
	journal_bind_word(stmt, 7, p->code);
	journal_bind_word(stmt, 8, p->cause);
	journal_bind_word(stmt, 9, p->field);
	sqlite3_bind_int64(stmt, 10, p->since_us);
	sqlite3_bind_int64(stmt, 11, p->last_us);
	sqlite3_bind_int64(stmt, 12, p->tries);
	sqlite3_bind_int64(stmt, 13, p->stamp_us);
	return journal_finish(j, stmt, e);
}

static bool write_unparked(struct journal *j, const void *what, struct err *e)
{
	bind_identity(j->stmts[Q_UNPARK], what);
	return journal_run(j, Q_UNPARK, e);
}

static bool write_discarded(struct journal *j, const void *what, struct err *e)
{
	const int64_t *id = what;

	sqlite3_bind_int64(j->stmts[Q_DISCARD], 1, *id);
	return journal_run(j, Q_DISCARD, e);
}

bool journal_park(struct journal *j, const struct journal_parked *p, struct err *e)
{
	return journal_change(j, write_parked, p, e);
}

bool journal_unpark(struct journal *j, const struct journal_parked *p, struct err *e)
{
	return journal_change(j, write_unparked, p, e);
}

bool journal_discard(struct journal *j, int64_t id, struct err *e)
{
	if (!journal_change(j, write_discarded, &id, e))
		return false;
	return sqlite3_changes(j->db) > 0 ||
	       err_set(e, ERR_ROW, "no-such-record", "there is no parked record %lld", (long long)id);
}

bool journal_is_discarded(struct journal *j, const struct journal_parked *p)
{
	bind_identity(j->stmts[Q_IS_DISCARDED], p);
	return journal_count(j, Q_IS_DISCARDED) > 0;
}

int64_t journal_parked_count(struct journal *j, const char *entity, const char *endpoint)
{
	journal_bind_text(j->stmts[Q_COUNT_PARKED], 1, entity);
	journal_bind_text(j->stmts[Q_COUNT_PARKED], 2, endpoint);
	return journal_count(j, Q_COUNT_PARKED);
}

static struct journal_parked read_parked(sqlite3_stmt *row)
{
	return (struct journal_parked){
		.id = sqlite3_column_int64(row, 0),
		.entity = journal_column(row, 1),
		.endpoint = journal_column(row, 2),
		.capture = sqlite3_column_int(row, 3) != 0,
		.key = journal_column(row, 4),
		.local_id = journal_column(row, 5),
		.rid = journal_column(row, 6),
		.code = journal_column(row, 7),
		.cause = journal_column(row, 8),
		.field = journal_column(row, 9),
		.since_us = sqlite3_column_int64(row, 10),
		.last_us = sqlite3_column_int64(row, 11),
		.tries = sqlite3_column_int64(row, 12),
		.discarded = sqlite3_column_int(row, 13) != 0,
		.stamp_us = sqlite3_column_int64(row, 14),
	};
}

/* Lists have a statement of their own each time: a callback may list again, or change what is listed. */
bool journal_parked_each(struct journal *j, const char *entity, const char *endpoint, int64_t after_id, size_t limit,
			 bool (*fn)(void *arg, const struct journal_parked *), void *arg, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(j->db, list_parked, -1, &stmt, NULL);
	bool go_on = rc == SQLITE_OK;

	if (go_on) {
		journal_bind_text(stmt, 1, entity);
		journal_bind_text(stmt, 2, endpoint);
		sqlite3_bind_int64(stmt, 3, after_id);
		sqlite3_bind_int64(stmt, 4, journal_limit(limit));
	}
	while (go_on && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct journal_parked p = read_parked(stmt);

		go_on = fn(arg, &p);
	}
	return journal_end_list(j, stmt, rc, "journal", e);
}
