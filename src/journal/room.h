/*
 * room.h - inside journal/: the open journal, and how its files step through statements.
 */
#ifndef JOURNAL_ROOM_H
#define JOURNAL_ROOM_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/log.h"

struct arena;
struct images;

enum query {
	Q_BEGIN, Q_COMMIT, Q_ROLLBACK,
	Q_PARK, Q_UNPARK, Q_DISCARD, Q_IS_DISCARDED, Q_COUNT_PARKED,
	Q_DECIDE, Q_SIDE, Q_RENAME, Q_RENAMED, Q_OVERTAKEN, Q_WRITTEN, Q_OWED_FORGET, Q_SEEN, Q_COUNT_OWED, Q_COUNT_DECISIONS, Q_EXPIRE, Q_TRY, Q_VERSION,
	Q_NEW_SET, Q_HOLD, Q_HELD_STATE, Q_END_HELD, Q_END_SETS, Q_MOVE_HELD, Q_ORDER_SET,
	Q_WAITS, Q_WAIT_UNSEEN, Q_WAIT, Q_WAIT_SIDES, Q_WAIT_SIDE, Q_WAIT_END, Q_WAIT_FORGET, Q_WAIT_COPY, Q_WAIT_COPY_SIDES, Q_VERDICT, Q_COUNT_WAITING,
	Q_KEEP_SPENT, Q_DROP_SPENT, Q_DROP_WHOLE, Q_KEEP_CLOCKS,
	QUERIES
};

struct journal {
	sqlite3 *db;
	char *path;			/* for errors */
	sqlite3_stmt *stmts[QUERIES];	/* prepared once */
	bool is_new;			/* made by this opening */
	bool grouped;			/* between journal_begin() and journal_commit() */
	/*
	 * The first failure since journal_begin(). After some of them SQLite has rolled back by itself: what came
	 * behind would be written on its own, so nothing more is written until journal_commit() has reported it.
	 */
	struct err failed;
	struct err trouble;		/* of the last group that had something to write; empty: none */
	struct log_streak failing;	/* the same, for the log */
	int64_t changes;		/* before this group */
	int64_t owed;			/* sides of decisions that are still to be written; -1: not known */
	struct digest_key key;
	struct images *images;		/* owned; journal_images.c */
	struct buf scratch;
};

/* A step is also the end of the statement: none is left open, which would hold a transaction. */
bool journal_finish(struct journal *, sqlite3_stmt *, struct err *e);
bool journal_run(struct journal *, enum query, struct err *e);
void journal_roll_back(struct journal *);			/* what is open; nothing when SQLite did it by itself */
int64_t journal_count(struct journal *, enum query);		/* -1 when the journal cannot be read */
/* Texts are the caller's until journal_finish(). NULL is NULL; as a word it is "": nothing to say and not known are the same to most columns. */
void journal_bind_text(sqlite3_stmt *, int at, const char *s);
void journal_bind_word(sqlite3_stmt *, int at, const char *s);
const char *journal_column(sqlite3_stmt *row, int at);		/* until the next step; NULL: NULL */
const char *journal_column_dup(struct arena *, sqlite3_stmt *row, int at);	/* NULL: NULL */
sqlite3_int64 journal_limit(size_t limit);			/* as LIMIT takes it; 0: all */
/* Frees a statement of one's own (NULL is fine). rc: of its last step, or why it could not be prepared: true after a row or the last one. */
bool journal_end_list(struct journal *, sqlite3_stmt *, int rc, const char *what, struct err *e);

/* Every change is one `write`: on its own, or a part of the group that is open. */
typedef bool journal_write_fn(struct journal *, const void *what, struct err *e);
bool journal_change(struct journal *, journal_write_fn *write, const void *what, struct err *e);

#endif
