/*
 * journal_spent.c - how long what was in which state, kept for the next life of the process.
 */
#include "journal/journal.h"

#include <assert.h>

#include "journal/room.h"

static const char list_spent[] = "SELECT subject, ring, start_us, us0, us1, us2, us3, us4, us5 FROM spent";
static const char read_clocks[] = "SELECT axis_us, boot_us, wall_us FROM clocks";

static bool keep_row(struct journal *j, const struct journal_spent *row, struct err *e)
{
	sqlite3_stmt *stmt = j->stmts[Q_KEEP_SPENT];

	journal_bind_word(stmt, 1, row->subject);
	sqlite3_bind_int(stmt, 2, row->ring);
	sqlite3_bind_int64(stmt, 3, row->start_us);
	for (int i = 0; i < JOURNAL_STATES; i++)
		sqlite3_bind_int64(stmt, 4 + i, row->us[i]);
	return journal_finish(j, stmt, e);
}

static bool drop_old(struct journal *j, const int64_t drop_us[JOURNAL_RINGS], struct err *e)
{
	int64_t least = drop_us[0];

	for (int ring = 0; ring < JOURNAL_RINGS; ring++) {
		if (drop_us[ring] < least)
			least = drop_us[ring];
		sqlite3_bind_int(j->stmts[Q_DROP_SPENT], 1, ring);
		sqlite3_bind_int64(j->stmts[Q_DROP_SPENT], 2, drop_us[ring]);
		if (!journal_run(j, Q_DROP_SPENT, e))
			return false;
	}
	sqlite3_bind_int64(j->stmts[Q_DROP_WHOLE], 1, least);
	return journal_run(j, Q_DROP_WHOLE, e);
}

static bool keep_clocks(struct journal *j, const struct journal_clocks *c, struct err *e)
{
	sqlite3_bind_int64(j->stmts[Q_KEEP_CLOCKS], 1, c->axis_us);
	sqlite3_bind_int64(j->stmts[Q_KEEP_CLOCKS], 2, c->boot_us);
	sqlite3_bind_int64(j->stmts[Q_KEEP_CLOCKS], 3, c->wall_us);
	return journal_run(j, Q_KEEP_CLOCKS, e);
}

static bool keep_all(struct journal *j, const struct journal_clocks *c, const struct journal_spent *rows, size_t n,
		     const int64_t drop_us[JOURNAL_RINGS], struct err *e)
{
	if (!journal_run(j, Q_BEGIN, e))
		return false;
	for (size_t i = 0; i < n; i++)
		if (!keep_row(j, &rows[i], e))
			return false;
	return drop_old(j, drop_us, e) && keep_clocks(j, c, e) && journal_run(j, Q_COMMIT, e);
}

/*
 * Every few seconds, for numbers of which some seconds may be lost: not worth to hold up the loop until the disk has them. What is
 * decided next is waited for as ever, and these rows with it.
 */
bool journal_spent_keep(struct journal *j, const struct journal_clocks *c, const struct journal_spent *rows, size_t n,
			const int64_t drop_us[JOURNAL_RINGS], struct err *e)
{
	bool ok;

	assert(!j->grouped);
	sqlite3_exec(j->db, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL);
	ok = keep_all(j, c, rows, n, drop_us, e);
	if (!ok)
		journal_roll_back(j);
	sqlite3_exec(j->db, "PRAGMA synchronous = FULL", NULL, NULL, NULL);
	return ok || err_while(e, "journal");
}

bool journal_clocks(struct journal *j, struct journal_clocks *c)
{
	sqlite3_stmt *stmt = NULL;
	bool there = sqlite3_prepare_v2(j->db, read_clocks, -1, &stmt, NULL) == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW;

	if (there)
		*c = (struct journal_clocks){ sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1), sqlite3_column_int64(stmt, 2) };
	sqlite3_finalize(stmt);
	return there;
}

bool journal_spent_each(struct journal *j, bool (*fn)(void *arg, const struct journal_spent *), void *arg, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(j->db, list_spent, -1, &stmt, NULL);
	bool go_on = rc == SQLITE_OK;

	while (go_on && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct journal_spent row = { (const char *)sqlite3_column_text(stmt, 0), sqlite3_column_int(stmt, 1),
					     sqlite3_column_int64(stmt, 2), { 0 } };

		for (int i = 0; i < JOURNAL_STATES; i++)
			row.us[i] = sqlite3_column_int64(stmt, 3 + i);
		go_on = fn(arg, &row);
	}
	return journal_end_list(j, stmt, rc, "journal", e);
}
