#include "journal/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/journal_db.h"
#include "journal/journal_images.h"
#include "journal/room.h"

/* The same order of parameters in Q_PARK and Q_UNPARK, see bind_identity(). */
#define IDENT "CASE WHEN ?4 <> '' THEN 'r' || ?4 ELSE 'l' || ?5 END"

static const char *const queries[QUERIES] = {
	[Q_BEGIN] = "BEGIN IMMEDIATE",
	[Q_COMMIT] = "COMMIT",
	[Q_ROLLBACK] = "ROLLBACK",
	[Q_PARK] = "INSERT INTO parked (entity, endpoint, capture, ident, rid, local_id, key, code, cause, field, since_us, last_us, tries)"
		   " VALUES (?1, ?2, ?3, " IDENT ", ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, max(?12, 1))"
		   " ON CONFLICT (entity, endpoint, capture, ident) DO UPDATE SET local_id = excluded.local_id,"
		   " key = excluded.key, code = excluded.code, cause = excluded.cause, field = excluded.field,"
		   " last_us = excluded.last_us, tries = tries + 1,"
		   " discarded = discarded AND capture AND code = excluded.code AND field = excluded.field",
	[Q_UNPARK] = "DELETE FROM parked WHERE entity = ?1 AND endpoint = ?2 AND capture = ?3 AND ident = " IDENT,
	[Q_DISCARD] = "UPDATE parked SET discarded = 1 WHERE id = ?1 AND NOT discarded",
	[Q_IS_DISCARDED] = "SELECT discarded FROM parked WHERE entity = ?1 AND endpoint = ?2 AND capture = ?3 AND ident = " IDENT,
	[Q_COUNT_PARKED] = "SELECT count(*) FROM parked WHERE entity = ?1 AND NOT discarded AND (?2 IS NULL OR endpoint = ?2)",
	[Q_DECIDE] = "INSERT INTO decision (print, entity, key, field, rule, kind, winner, tie_break, time_us, base_digest, round, base)"
		     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (print) DO NOTHING",
	[Q_SIDE] = "INSERT INTO side (decision, n, endpoint, value, deleted, stamp_us, digest, competed, written)"
		   " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
	[Q_WRITTEN] = "UPDATE side SET written = 1 WHERE written = 2 AND endpoint = ?4 AND decision IN"
		      " (SELECT id FROM decision WHERE key = ?2 AND entity = ?1 AND (?3 IS NULL OR field = ?3))",
	[Q_COUNT_OWED] = "SELECT count(*) FROM side WHERE written = 2",
	[Q_COUNT_DECISIONS] = "SELECT count(*) FROM decision WHERE entity = ?1",
	[Q_TRY] = "UPDATE about SET topology = topology",
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
	[Q_WAIT_FORGET] = "DELETE FROM waiting WHERE entity = ?1",
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

static const char list_sets[] =
	"SELECT s.number, s.entity, s.endpoint, s.state, count(h.id), coalesce(min(h.time_us), 0), coalesce(max(h.time_us), 0)"
	" FROM held_set s LEFT JOIN held h ON h.held_set = s.number GROUP BY s.number ORDER BY s.number";

static const char list_held[] =
	"SELECT id, held_set, entity, endpoint, rid, key, time_us FROM held WHERE held_set = ?1 AND id > ?2 ORDER BY id LIMIT ?3";

static const char list_parked[] =
	"SELECT id, entity, endpoint, capture, key, local_id, rid, code, cause, field, since_us, last_us, tries,"
	" discarded FROM parked WHERE id > ?3 AND (?1 IS NULL OR entity = ?1) AND (?2 IS NULL OR endpoint = ?2) ORDER BY id LIMIT ?4";

static const char list_decisions[] =
	"SELECT d.id, d.entity, d.key, d.field, d.rule, d.kind, d.winner, d.tie_break, d.time_us, d.base_digest, d.round,"
	" s.endpoint, s.value, s.deleted, s.stamp_us, s.digest, s.competed, s.written, d.base"
	" FROM (SELECT * FROM decision WHERE time_us >= ?2 AND (?1 IS NULL OR entity = ?1) AND (?4 IS NULL OR key = ?4)"
	"  ORDER BY time_us DESC, id DESC LIMIT ?3) d LEFT JOIN side s ON s.decision = d.id"
	" ORDER BY d.time_us, d.id, s.n";

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

static const char *journal_column(sqlite3_stmt *stmt, int at)
{
	return (const char *)sqlite3_column_text(stmt, at);
}

int64_t journal_count(struct journal *j, enum query q)
{
	sqlite3_stmt *stmt = j->stmts[q];
	int64_t n = sqlite3_step(stmt) == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : -1;

	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	return n;
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
	j->owed = journal_count(j, Q_COUNT_OWED);
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

bool journal_is_new(const struct journal *j)
{
	return j->is_new;
}

void journal_is_caught_up(struct journal *j)
{
	j->is_new = false;
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
	j->owed = journal_count(j, Q_COUNT_OWED);
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

/* ---- parked records ---------------------------------------------------------------------------------- */

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
	};
}

sqlite3_int64 journal_limit(size_t limit)
{
	return limit > 0 && limit < INT64_MAX ? (sqlite3_int64)limit : -1;
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
	sqlite3_finalize(stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return true;
	journal_db_error(j->path, rc, e);
	return err_while(e, "journal");
}

/* ---- decisions --------------------------------------------------------------------------------------- */

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
		buf_be64(b, (uint64_t)d->sides[i].stamp_us);
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

struct writing {
	const char *entity, *key, *field, *endpoint;
};

static bool write_written(struct journal *j, const void *what, struct err *e)
{
	const struct writing *w = what;
	sqlite3_stmt *stmt = j->stmts[Q_WRITTEN];

	journal_bind_word(stmt, 1, w->entity);
	journal_bind_word(stmt, 2, w->key);
	journal_bind_text(stmt, 3, w->field);
	journal_bind_word(stmt, 4, w->endpoint);
	if (!journal_run(j, Q_WRITTEN, e))
		return false;
	j->owed -= sqlite3_changes(j->db);
	return true;
}

bool journal_written(struct journal *j, const char *entity, const char *key, const char *field, const char *endpoint, struct err *e)
{
	struct writing w = { entity, key, field, endpoint };

	return journal_change(j, write_written, &w, e);
}

const char *journal_column_dup(struct arena *arena, sqlite3_stmt *row, int at)
{
	const char *s = journal_column(row, at);

	return s != NULL ? arena_dup(arena, s, (size_t)sqlite3_column_bytes(row, at)) : NULL;
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
	sqlite3_finalize(stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return true;
	journal_db_error(j->path, rc, e);
	return err_while(e, "journal");
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

/* ---- held deletes ------------------------------------------------------------------------------------ */

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
	sqlite3_finalize(stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return true;
	journal_db_error(j->path, rc, e);
	return err_while(e, "journal");
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
	sqlite3_finalize(stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return true;
	journal_db_error(j->path, rc, e);
	return err_while(e, "journal");
}
