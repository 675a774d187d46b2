/*
 * journal.c - the open journal: its statements, transactions, and how it is. What it keeps is in files of their own.
 */
#include "journal/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/journal_db.h"
#include "journal/journal_images.h"
#include "journal/room.h"

/* The same order of parameters in Q_PARK and Q_UNPARK, see bind_identity() (journal_parked.c). */
#define IDENT "CASE WHEN ?4 <> '' THEN 'r' || ?4 ELSE 'l' || ?5 END"

static const char *const queries[QUERIES] = {
	[Q_BEGIN] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_PARK] = "INSERT INTO parked (entity, endpoint, capture, ident, rid, local_id, key, code, cause, field, since_us, last_us, tries,"
		   " stamp_us)"
		   " VALUES (?1, ?2, ?3, " IDENT ", ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, max(?12, 1), nullif(?13, 0))"
		   " ON CONFLICT (entity, endpoint, capture, ident) DO UPDATE SET local_id = excluded.local_id,"
		   " key = excluded.key, code = excluded.code, cause = excluded.cause, field = excluded.field,"
		   " last_us = excluded.last_us, tries = tries + 1, stamp_us = coalesce(excluded.stamp_us, stamp_us),"
		   " discarded = discarded AND capture AND code = excluded.code AND field = excluded.field",
	[Q_UNPARK] = "DELETE FROM parked WHERE entity = ?1 AND endpoint = ?2 AND capture = ?3 AND ident = " IDENT,
	[Q_DISCARD] = "UPDATE parked SET discarded = 1 WHERE id = ?1 AND NOT discarded",
	[Q_IS_DISCARDED] = "SELECT discarded FROM parked WHERE entity = ?1 AND endpoint = ?2 AND capture = ?3 AND ident = " IDENT,
	[Q_COUNT_PARKED] = "SELECT count(*) FROM parked WHERE entity = ?1 AND NOT discarded AND (?2 IS NULL OR endpoint = ?2)",
	[Q_DECIDE] = "INSERT INTO decision (print, entity, key, field, rule, kind, winner, tie_break, time_us, base_digest, round, base,"
		     " rid) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT (print) DO NOTHING",
	[Q_SIDE] = "INSERT INTO side (decision, n, endpoint, value, deleted, stamp_us, digest, competed, written)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	/* In two steps: who takes over the key of another that has a new one, too, is not to be taken for that. */
	[Q_RENAME] = "UPDATE decision SET rid = '>' || ?3 WHERE rid = ?2 AND entity = ?1",
	[Q_RENAMED] = "UPDATE decision SET rid = substr(rid, 2) WHERE rid > '>' AND rid < '?'",
	[Q_OVERTAKEN] = "UPDATE side SET written = 0 WHERE written = 2 AND decision IN"
			" (SELECT d.id FROM decision d JOIN side winner ON winner.decision = d.id AND winner.n = 0 WHERE d.rid = ?2 AND d.entity = ?1"
			" AND (winner.deleted <> ?5 OR (NOT winner.deleted AND d.field = ?3 AND substr(winner.digest, -6) <> substr(?4, -6))))",
	[Q_WRITTEN] = "UPDATE side SET written = ?5 WHERE written = 2 AND endpoint = ?4 AND decision IN"
		      " (SELECT id FROM decision WHERE rid = ?2 AND entity = ?1 AND (?3 IS NULL OR field = ?3))",
	[Q_OWED_FORGET] = "UPDATE side SET written = 0 WHERE written = 2 AND (?2 IS NULL OR endpoint = ?2)"
			  " AND decision IN (SELECT id FROM decision WHERE entity = ?1)",
	[Q_SEEN] = "UPDATE side SET value = ?5, digest = ?6 WHERE written = 2 AND endpoint = ?4 AND competed AND value IS NULL"
		   " AND digest = '0000000000' || substr(?6, -6) AND decision IN"
		   " (SELECT id FROM decision WHERE rid = ?2 AND entity = ?1 AND field = ?3)",
	[Q_COUNT_OWED] = "SELECT count(*) FROM side WHERE written = 2",
	[Q_COUNT_DECISIONS] = "SELECT count(*) FROM decision WHERE entity = ?1",
	[Q_TRY] = "UPDATE about SET topology = topology",
	[Q_VERSION] = "PRAGMA data_version",
	[Q_EXPIRE] = "DELETE FROM decision WHERE id IN (SELECT id FROM decision WHERE time_us < ?1 ORDER BY time_us LIMIT 1000)",
	[Q_NEW_SET] = "INSERT INTO held_set (entity, endpoint) VALUES (?1, ?2)",
	[Q_HOLD] = "INSERT INTO held (held_set, entity, endpoint, rid, key, time_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		   " ON CONFLICT (entity, rid, endpoint) DO NOTHING",
	[Q_HELD_STATE] = "SELECT s.state FROM held h JOIN held_set s ON s.number = h.held_set"
			 " WHERE h.entity = ?1 AND h.endpoint = ?2 AND h.rid = ?3",
	[Q_END_HELD] = "DELETE FROM held WHERE entity = ?1 AND endpoint = ?2 AND (?3 IS NULL OR rid = ?3)",
	[Q_END_SETS] = "DELETE FROM held_set WHERE entity = ?1 AND endpoint = ?2"
		       " AND NOT EXISTS (SELECT 1 FROM held WHERE held.held_set = held_set.number)",
	[Q_MOVE_HELD] = "UPDATE OR REPLACE held SET rid = ?3 WHERE entity = ?1 AND rid = ?2",
	[Q_WAITS] = "SELECT count(*) FROM waiting WHERE entity = ?1 AND rid = ?2 AND field = ?3 AND mark = ?4",
	[Q_WAIT_UNSEEN] = "SELECT count(*) FROM waiting_side WHERE waiting ="
			  " (SELECT id FROM waiting WHERE entity = ?1 AND rid = ?2 AND field = ?3)"
			  " AND competed AND value IS NULL AND digest <= '0000000000ffffff'",
	[Q_WAIT] = "INSERT INTO waiting (entity, rid, field, mark, key, since_us, base_digest, base) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
		   " ON CONFLICT (entity, rid, field) DO UPDATE SET mark = excluded.mark, key = excluded.key,"
		   " base_digest = excluded.base_digest, base = excluded.base, verdict = 0, chosen = NULL",
	[Q_WAIT_SIDES] = "DELETE FROM waiting_side WHERE waiting = (SELECT id FROM waiting WHERE entity = ?1 AND rid = ?2 AND field = ?3)",
	[Q_WAIT_SIDE] = "INSERT INTO waiting_side (waiting, n, endpoint, value, stamp_us, digest, competed)"
			" SELECT id, ?4, ?5, ?6, ?7, ?8, ?9 FROM waiting WHERE entity = ?1 AND rid = ?2 AND field = ?3",
	[Q_WAIT_END] = "DELETE FROM waiting WHERE id = ?1",
	[Q_WAIT_FORGET] = "DELETE FROM waiting WHERE entity = ?1 AND"
			  " (?2 IS NULL OR id IN (SELECT waiting FROM waiting_side WHERE endpoint = ?2 AND competed))",
	[Q_WAIT_COPY] = "INSERT OR REPLACE INTO waiting (entity, rid, key, field, since_us, mark, base_digest, base, verdict, chosen)"
		" SELECT entity, ?3, ?4, field, since_us, mark, base_digest, base, verdict, chosen FROM waiting WHERE entity = ?1 AND rid = ?2",
	[Q_WAIT_COPY_SIDES] = "INSERT INTO waiting_side (waiting, n, endpoint, value, stamp_us, digest, competed)"
		" SELECT copy.id, s.n, s.endpoint, s.value, s.stamp_us, s.digest, s.competed FROM waiting w JOIN waiting_side s ON s.waiting = w.id"
		" JOIN waiting copy ON copy.entity = w.entity AND copy.rid = ?3 AND copy.field = w.field WHERE w.entity = ?1 AND w.rid = ?2",
	[Q_VERDICT] = "UPDATE waiting SET verdict = ?2, chosen = ?3 WHERE id = ?1",
	[Q_COUNT_WAITING] = "SELECT count(*) FROM waiting WHERE entity = ?1 AND (verdict <> 0 OR NOT ?2)",
	[Q_KEEP_SPENT] = "INSERT OR REPLACE INTO spent (subject, ring, start_us, us0, us1, us2, us3, us4, us5)"
			 " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[Q_DROP_SPENT] = "DELETE FROM spent WHERE ring = ?1 AND start_us < ?2",
	[Q_DROP_WHOLE] = "DELETE FROM spent WHERE ring = -1 AND start_us + us0 + us1 + us2 + us3 + us4 + us5 < ?1",
	[Q_KEEP_CLOCKS] = "INSERT OR REPLACE INTO clocks (one, axis_us, boot_us, wall_us) VALUES (1, ?1, ?2, ?3)",
	[Q_ORDER_SET] = "UPDATE held_set SET state = ?4 WHERE number = ?1 AND entity = ?2 AND endpoint = ?3",
};

/* ---- statements -------------------------------------------------------------------------------------- */

bool journal_finish(struct journal *j, sqlite3_stmt *stmt, struct err *e)
{
	int rc;

	errno = 0;
	rc = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return rc == SQLITE_DONE || journal_db_error(j->path, rc, e);
}

bool journal_run(struct journal *j, enum query q, struct err *e)
{
	return journal_finish(j, j->stmts[q], e);
}

void journal_bind_text(sqlite3_stmt *stmt, int at, const char *s)
{
	if (s == NULL)
		sqlite3_bind_null(stmt, at);
	else
		sqlite3_bind_text(stmt, at, s, -1, SQLITE_STATIC);	/* the caller's, until finish() */
}

void journal_bind_word(sqlite3_stmt *stmt, int at, const char *s)
{
	journal_bind_text(stmt, at, s != NULL ? s : "");
}

const char *journal_column(sqlite3_stmt *row, int at)
{
	return (const char *)sqlite3_column_text(row, at);
}

const char *journal_column_dup(struct arena *arena, sqlite3_stmt *row, int at)
{
	const char *s = journal_column(row, at);

	return s != NULL ? arena_dup(arena, s, (size_t)sqlite3_column_bytes(row, at)) : NULL;
}

sqlite3_int64 journal_limit(size_t limit)
{
	return limit > 0 && limit < INT64_MAX ? (sqlite3_int64)limit : -1;
}

int64_t journal_count(struct journal *j, enum query q)
{
	sqlite3_stmt *stmt = j->stmts[q];
	int64_t n = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return n;
}

bool journal_end_list(struct journal *j, sqlite3_stmt *stmt, int rc, const char *what, struct err *e)
{
	sqlite3_finalize(stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return true;
	journal_db_error(j->path, rc, e);
	return err_while(e, "%s", what);
}

/* ---- opening and closing ----------------------------------------------------------------------------- */

struct journal *journal_open(const char *directory, const char *topology, struct err *e)
{
	struct journal *j = xcalloc(1, sizeof *j);

	j->db = journal_db_open(directory, topology, &j->path, &j->key, &j->is_new, e);
	if (j->db == NULL)
		goto failed;
	for (int q = 0; q < QUERIES; q++) {
		int rc = sqlite3_prepare_v3(j->db, queries[q], -1, SQLITE_PREPARE_PERSISTENT, &j->stmts[q], NULL);

		if (rc != SQLITE_OK) {
			journal_db_error(j->path, rc, e);
			goto failed;
		}
	}
	if (!journal_images_open(j, e))
		goto failed;
	journal_count_anew(j);
	return j;
failed:
	err_while(e, "journal");
	journal_close(&j);
	return NULL;
}

/* What was begun and not committed is not kept. */
void journal_close(struct journal **jp)
{
	struct journal *j = *jp;

	if (j == NULL)
		return;
	for (int q = 0; q < QUERIES; q++)
		sqlite3_finalize(j->stmts[q]);
	journal_images_close(j);
	sqlite3_close(j->db);
	buf_fini(&j->scratch);
	free(j->path);
	free(j);
	*jp = NULL;
}

void journal_identity(const struct journal *j, char out[JOURNAL_IDENTITY])
{
	static const char of[] = "journal";

	snprintf(out, JOURNAL_IDENTITY, "%016llx", (unsigned long long)digest64(&j->key, of, sizeof of - 1));
}

bool journal_is_new(const struct journal *j)
{
	return j->is_new;
}

int64_t journal_version(struct journal *j)
{
	return journal_count(j, Q_VERSION);
}

void journal_count_anew(struct journal *j)
{
	j->owed = journal_count(j, Q_COUNT_OWED);
}

/* ---- transactions ------------------------------------------------------------------------------------ */

void journal_begin(struct journal *j)
{
	assert(!j->grouped);
	j->grouped = true;
	err_clear(&j->failed);
	j->changes = sqlite3_total_changes64(j->db);
	journal_run(j, Q_BEGIN, &j->failed);
}

void journal_roll_back(struct journal *j)
{
	if (sqlite3_get_autocommit(j->db) == 0)
		journal_run(j, Q_ROLLBACK, NULL);
}

static void wrote(struct journal *j)
{
	err_clear(&j->trouble);
	log_streak_ends(&j->failing, "the journal can be written again");
}

/* Whoever wanted to write comes again every second. */
static void failed_to_write(struct journal *j)
{
	j->trouble = j->failed;
	if (log_streak_begins(&j->failing))
		log_error("the journal cannot be written; what needs it is not applied", LOG_S("file", j->path), LOG_ERR(&j->failed));
}

bool journal_commit(struct journal *j, struct err *e)
{
	assert(j->grouped);
	j->grouped = false;
	if (j->failed.kind == 0 && journal_run(j, Q_COMMIT, &j->failed)) {
		if (sqlite3_total_changes64(j->db) != j->changes)
			wrote(j);
		return true;
	}
	journal_roll_back(j);
	journal_images_forget(j);
	failed_to_write(j);
	journal_count_anew(j);
	if (e != NULL)
		*e = j->failed;
	return err_while(e, "journal");
}

bool journal_change(struct journal *j, journal_write_fn *write, const void *what, struct err *e)
{
	bool alone = !j->grouped;

	if (alone)
		journal_begin(j);
	if (j->failed.kind == 0)
		write(j, what, &j->failed);
	if (alone)
		return journal_commit(j, e);
	if (j->failed.kind == 0)
		return true;
	if (e != NULL)
		*e = j->failed;
	return err_while(e, "journal");
}

/* ---- how it is --------------------------------------------------------------------------------------- */

const struct err *journal_trouble(const struct journal *j)
{
	return j->trouble.kind != 0 ? &j->trouble : NULL;
}

static int64_t file_bytes(const char *path, const char *suffix)
{
	char *name = xasprintf("%s%s", path, suffix);
	struct stat st;
	int64_t n = stat(name, &st) == 0 ? (int64_t)st.st_size : 0;

	free(name);
	return n;
}

int64_t journal_bytes(const struct journal *j)
{
	return file_bytes(j->path, "") + file_bytes(j->path, "-wal");
}
