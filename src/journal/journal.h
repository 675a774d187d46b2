/*
 * journal.h - what was decided and what could not be done, on local disk (SQLite, WAL).
 *
 * Synchronous: a batch of rows is one short transaction; the caller groups with journal_begin/commit.
 * A record is parked before it is acknowledged, a decision is written before it is applied.
 * Directory "" keeps everything in memory (tests, the simulation).
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct journal;

struct journal_parked {
	int64_t id;			/* answers: its number */
	const char *entity, *endpoint;
	const char *key;		/* printed record key, or "" when it has none */
	const char *local_id;		/* local id at `endpoint`, or "" */
	const char *rid;		/* 20 hex digits, or "" */
	bool capture;			/* true: could not be taken from `endpoint`; false: could not be written there */
	const char *code;		/* SQLSTATE or the check's name */
	const char *cause;		/* one sentence, no values */
	const char *field;		/* "" when not about one field */
	int64_t since_us, last_us, tries;
	int64_t stamp_us;		/* when its row was changed, as the change log told; 0: it did not, and what it told before holds */
	bool discarded;			/* answers: it stays different by the operator's will, and is not counted */
};

struct journal_decision {
	const char *entity, *key, *field, *rule;
	const char *rid;		/* 20 hex digits: of the record while any of it is owed; not in answers */
	const char *kind;		/* conflict | delete-update | first-contact */
	const char *winner;		/* endpoint; "": nobody yet, it waits */
	const char *tie_break;		/* stamp | priority | value | policy | operator | doubt | put-back; "" while it waits */
	int64_t time_us;
	const char *base_digest;	/* hex, "" when there was no base */
	const char *base;		/* NULL: NULL, not kept when private, or shown by nobody any more: then only its digest is known */
	struct journal_side {
		const char *endpoint;
		const char *value;	/* NULL: NULL, or not kept when private */
		bool deleted;
		int64_t stamp_us;	/* effective */
		const char *digest;	/* 16 hex digits; of a value that is not at hand only the last six tell */
		bool given;		/* by a person with this decision, and as old as that; not kept */
		bool competed;		/* won or lost; else it only showed that, or has no row yet (then digest is 0) */
		enum journal_written { JOURNAL_NOT_WRITTEN, JOURNAL_WRITTEN, JOURNAL_OWED } written;	/* as in the file */
	} sides[32];			/* the winner first */
	size_t n_sides;
	uint64_t round;
};

/* Deletes held by the mass-delete guard, in sets: one for each time that it had to step in at an endpoint. */
enum journal_held_state { HELD_NOT, HELD_WAITS, HELD_RELEASED, HELD_DISCARDED };	/* as in the file: append only */

struct journal_held {
	int64_t id, set;		/* answers: its number; the number of its set */
	const char *entity, *endpoint;	/* whose row it was, and where it is gone */
	const char *rid;		/* 20 hex digits */
	const char *key;		/* printed record key, or "" */
	int64_t time_us;		/* when its row went, as far as is known */
};

struct journal_held_set {
	int64_t number;
	const char *entity, *endpoint;
	enum journal_held_state state;
	int64_t deletes, first_us, last_us;
};

/* A field that waits for a person (rule manual), with every side's value. */
struct journal_waiting {
	int64_t id;			/* answers: its number */
	const char *entity, *rid;	/* 20 hex digits */
	const char *key, *field;
	int64_t since_us;
	uint64_t mark;			/* of what waits: a verdict is about nothing else */
	const char *base_digest, *base;	/* as of a decision */
	struct journal_side sides[32];	/* competed: one of those that differ */
	size_t n_sides;
	enum journal_verdict { VERDICT_NONE, VERDICT_SIDE, VERDICT_VALUE } verdict;	/* answers; as in the file */
	const char *chosen;		/* answers: the side; or the value, NULL: NULL */
};

/*
 * How long something was in which state, for a stretch of time; what the numbers mean is the caller's. A row is known by its
 * subject, ring and begin.
 */
enum { JOURNAL_STATES = 6, JOURNAL_RINGS = 3 };
struct journal_spent {
	const char *subject;
	int ring;			/* -1: the whole time since start_us; from 0: one stretch of many */
	int64_t start_us;
	int64_t us[JOURNAL_STATES];
};
/* The clocks when they were kept: the one that the rows are counted by, and two to tell how far it has gone on since. */
struct journal_clocks {
	int64_t axis_us, boot_us, wall_us;
};

/* "NAME built with X, runs on Y", for --version; into the caller's room. */
const char *journal_library(char *out, size_t size);
/*
 * NULL on error: ERR_CONFIG, except for a full disk or a file that somebody holds. The directory is made (0700) when its
 * parent is there; the file is the daemon's alone (0600). One journal belongs to one topology.
 */
struct journal *journal_open(const char *directory, const char *topology, struct err *e);
void journal_close(struct journal **);		/* an open group is not kept */

/* Which one it is, for as long as there is the file: one that was made in its place is another one. */
enum { JOURNAL_IDENTITY = 17 };
void journal_identity(const struct journal *, char out[JOURNAL_IDENTITY]);
bool journal_is_new(const struct journal *);	/* it was made by this opening */

/*
 * Another process may have opened the same one. It has written to it where this is not the same as before (-1: the journal cannot be read): what
 * was read of it until then is out of date, and what it counts itself is to be counted anew.
 */
int64_t journal_version(struct journal *);
void journal_count_anew(struct journal *);

/*
 * A group is kept as a whole or not at all. Groups do not nest. After a failed call everything up to the commit fails
 * with the same error, and so does the commit. Outside of a group each call is a group of its own.
 */
void journal_begin(struct journal *);
bool journal_commit(struct journal *, struct err *e) __attribute__((warn_unused_result));

/* A decision that is there already (same record, field, kind, base and competitors: a round repeated after a crash) stays one. */
bool journal_decided(struct journal *, const struct journal_decision *, struct err *e);
/* May any decision be owed to somebody? */
bool journal_owes(const struct journal *);
/*
 * Whom something is owed goes by the record, as it is known now: a decision keeps the key that it was made under, which the record may have no
 * more. Those with another key now, all of a round at once, since they may have exchanged them:
 */
struct journal_rename {
	const char *from_rid, *to_rid;
};
bool journal_renamed(struct journal *, const char *entity, const struct journal_rename *list, size_t n, struct err *e);
/* What stands now: of that field that digest (16 hex digits, of which the last six tell), or, field NULL, that the record lives or does not. */
struct journal_standing {
	const char *entity, *rid, *field;
	const char *digest;		/* NULL with field NULL */
	bool dead;
};
/* What was decided otherwise is owed to nobody any more: nobody will ever get it. */
bool journal_overtaken(struct journal *, const struct journal_standing *, struct err *e);
/* That endpoint has got what was decided of that field (NULL: of the whole record). */
bool journal_written(struct journal *, const char *entity, const char *rid, const char *field, const char *endpoint, struct err *e);
/* That endpoint has yet to get nothing of what was decided of the record, whether or not any of it was written there. */
bool journal_owed_no_more(struct journal *, const char *entity, const char *rid, const char *endpoint, struct err *e);
/* Nor has it of any record; endpoint NULL: nor has anybody. */
bool journal_owed_forget(struct journal *, const char *entity, const char *endpoint, struct err *e);

/* What it has there is seen before it gets that: decisions that could not ask for it know it from now on. */
struct journal_seen {
	const char *entity, *rid, *field, *endpoint;
	const char *value, *digest;	/* as of a side; 16 hex digits that all tell */
};
bool journal_seen(struct journal *, const struct journal_seen *, struct err *e);

/*
 * Adds, or renews (tries + 1) the one with the same entity, endpoint, direction and rid (or local id when rid is ""). One
 * that was discarded counts again, unless it is a row that still cannot be taken for the same cause.
 */
bool journal_park(struct journal *, const struct journal_parked *, struct err *e);
/* By the same identity; true also when there was none. */
bool journal_unpark(struct journal *, const struct journal_parked *, struct err *e);
bool journal_discard(struct journal *, int64_t id, struct err *e);	/* ERR_ROW, no-such-record: there is none */
bool journal_is_discarded(struct journal *, const struct journal_parked *);
/* Without the discarded ones. endpoint NULL: all. -1 when the journal cannot be read. */
int64_t journal_parked_count(struct journal *, const char *entity, const char *endpoint);

/* A new set, still empty; its number, or 0. */
int64_t journal_held_set_new(struct journal *, const char *entity, const char *endpoint, struct err *e);
/* *fresh: it was not held yet. One that is held already stays in its set. */
bool journal_hold(struct journal *, const struct journal_held *, bool *fresh, struct err *e);
/* HELD_NOT when it is not held; HELD_WAITS also when the journal cannot be read: what is held stays held. */
enum journal_held_state journal_held_state(struct journal *, const char *entity, const char *endpoint, const char *rid);
/* Holds it no more; rid NULL: all of that endpoint. *n: how many that were. Sets that are empty then are gone. */
bool journal_held_end(struct journal *, const char *entity, const char *endpoint, const char *rid, int64_t *n, struct err *e);
bool journal_held_move(struct journal *, const char *entity, const char *from_rid, const char *to_rid, struct err *e);
/* ERR_ROW, no-such-set: there is none of that entity and endpoint. */
bool journal_held_order(struct journal *, const struct journal_held_set *, struct err *e);

/* Adds it, or renews it (same entity, rid and field): then a verdict is void if something else waits now. *fresh: it was not so before. */
bool journal_wait(struct journal *, const struct journal_waiting *, bool *fresh, struct err *e);
/* It competes, and what it shows could not be asked for when the line was written. */
bool journal_is_unseen(const struct journal_side *);
bool journal_wait_end(struct journal *, int64_t id, struct err *e);
/* All of it in which that endpoint competes; endpoint NULL: all. */
bool journal_wait_forget(struct journal *, const char *entity, const char *endpoint, struct err *e);
/* The record gets another key: what waits does so, with its verdict, under both until journal_wait_end() of the old. */
bool journal_wait_copy(struct journal *, const char *entity, const char *from_rid, const char *to_rid, const char *key, struct err *e);
/* ERR_ROW, no-such-conflict: it waits no more. */
bool journal_verdict(struct journal *, int64_t id, enum journal_verdict, const char *chosen, struct err *e);
int64_t journal_waiting_count(struct journal *, const char *entity, bool decided);	/* decided: only those with a verdict. -1: cannot be read */

/*
 * Renews or adds the rows, drops those of each ring that began before drop_us[ring], and whole times that ended before the least of
 * these. Not a part of any group, and outlives the process, but maybe not the loss of power in the next moment.
 */
bool journal_spent_keep(struct journal *, const struct journal_clocks *, const struct journal_spent *rows, size_t n,
			const int64_t drop_us[JOURNAL_RINGS], struct err *e);
bool journal_clocks(struct journal *, struct journal_clocks *);	/* false: none were kept */

/*
 * fn returns false to stop; what it is shown lives until it returns. entity, endpoint may be NULL: any. limit 0: no limit.
 * Parked records come in the order of their numbers; of the decisions the newest `limit`, oldest first.
 */
bool journal_parked_each(struct journal *, const char *entity, const char *endpoint, int64_t after_id, size_t limit,
			 bool (*fn)(void *arg, const struct journal_parked *), void *arg, struct err *e);
bool journal_decisions_each(struct journal *, const char *entity, int64_t since_us, size_t limit,
			    bool (*fn)(void *arg, const struct journal_decision *), void *arg, struct err *e);
/* Sets in the order of their numbers, those held deletes of a set by theirs. */
bool journal_held_sets_each(struct journal *, bool (*fn)(void *arg, const struct journal_held_set *), void *arg, struct err *e);
bool journal_held_each(struct journal *, int64_t set, int64_t after_id, size_t limit,
		       bool (*fn)(void *arg, const struct journal_held *), void *arg, struct err *e);
/* In the order of their numbers, of one record (rid) or one printed key, or all (NULL). */
bool journal_waiting_each(struct journal *, const char *entity, const char *rid, const char *key, int64_t after_id, size_t limit,
			  bool (*fn)(void *arg, const struct journal_waiting *), void *arg, struct err *e);
/* Those of one record, by its printed key. */
bool journal_story_each(struct journal *, const char *entity, const char *key, int64_t since_us, size_t limit,
			bool (*fn)(void *arg, const struct journal_decision *), void *arg, struct err *e);
/* In any order. */
bool journal_spent_each(struct journal *, bool (*fn)(void *arg, const struct journal_spent *), void *arg, struct err *e);
int64_t journal_decision_count(struct journal *, const char *entity);
/*
 * Why the last group that had something to write was not kept; NULL: it was. So that this is over when the disk is mended
 * although nobody has anything to write, journal_expire() tries.
 */
const struct err *journal_trouble(const struct journal *);
int64_t journal_bytes(const struct journal *);	/* on the disk; 0 when it is in memory */
/* Drops decisions and before-images older than that: a portion a call, so that the loop is not held up for long. Call it every minute. */
bool journal_expire(struct journal *, int64_t before_us, struct err *e);

/* ---- for backups: journal_copy.c ---------------------------------------------------------------------- */

struct journal_copy;
/*
 * The journal as it stands now, whatever is written to it from here on. Kept in a file without a name on the same disk until journal_copy_free();
 * a journal in memory has nothing to give. NULL on error.
 */
struct journal_copy *journal_copy_new(struct journal *, struct err *e);
/* A portion of the work; *n: bytes that it has brought into `into`, which has room for JOURNAL_COPY_PIECE. *over: that were the last. */
enum { JOURNAL_COPY_PIECE = 64 * 1024 };
bool journal_copy_step(struct journal_copy *, void *into, size_t *n, bool *over, struct err *e);
void journal_copy_free(struct journal_copy **);		/* NULL is fine */

struct journal_install;
/* Puts such bytes in the place of the journal in that directory, which is made when it is missing. NULL on error. */
struct journal_install *journal_install_new(const char *directory, struct err *e);
bool journal_install_add(struct journal_install *, const void *p, size_t n, struct err *e);
/*
 * Now, and for that topology. `aside` gets the path to which a journal that was there has been moved, "": there was none. Whatever is
 * there of a journal at any moment is the whole of one.
 */
bool journal_install_finish(struct journal_install *, const char *topology, char *aside, size_t size, struct err *e);
void journal_install_free(struct journal_install **);	/* NULL is fine; not finished, nothing has happened */

#endif
