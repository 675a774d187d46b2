/*
 * verify.h - inside verify: its files.
 *
 *   verify.c       the order, step by step; what is in doubt, look after look
 *   verify_sums.c  numbers and sums of rows, found out by the servers
 *   verify_list.c  every row of every side, counted and compared
 *   verify_keep.c  how far that has come, for the case that it is interrupted
 *   verify_look.c  one look at some records: what do the sides show now, what is known of it?
 *   verify_mend.c  what differs is mended, or planned
 *   verify_from.c  ... by what one side shows
 */
#ifndef SYNC_VERIFY_H
#define SYNC_VERIFY_H

#include "sync/state.h"

enum verify_phase {			/* SUM and LIST are kept in a file by their numbers */
	VERIFY_BEGIN, VERIFY_COUNT, VERIFY_SUM, VERIFY_LIST, VERIFY_COMPARE, VERIFY_SETTLE, VERIFY_LOOK, VERIFY_MEND, VERIFY_KNOWN, VERIFY_OVER
};

enum verdict {
	VERDICT_DOUBT,		/* the sides differ, and another look has to tell */
	VERDICT_MATCH,
	VERDICT_OWN_FORM,	/* they differ as they are known to: a side keeps a form of its own, or is not written to */
	VERDICT_OPEN,		/* something is still to be done about it: owed, parked, held, waiting for a person */
	VERDICT_NOWHERE,	/* no side has it any more */
	VERDICT_DIFFERENT,
	VERDICT_MISSING,	/* the first of the sides compared has it, another one that should does not */
	VERDICT_EXTRA,		/* the first one does not have it */
};

struct doubtful {			/* a record that the sides did not show alike */
	struct rid rid;
	enum verdict verdict, found;	/* found: before it was mended */
	uint64_t found_fields, found_there, found_absent;	/* what differed then, where it was, where not */
	uint64_t there, outside;	/* as it was at the last look: by endpoint */
	uint64_t twice;			/* endpoints that list several rows of it */
	uint64_t held;			/* endpoints where its row is gone, and that is not believed */
	uint64_t news, known;		/* endpoints that show what is not known of them; that are known to have a row */
	uint64_t fields;		/* which differ; by field index */
	struct doubtful_row {
		uint64_t digest;
		struct value id;	/* NULL value: it never had one there */
	} *rows;			/* by endpoint */
	char *key;			/* for people; NULL: no row was read again yet */
	/* imposed: */
	size_t side;			/* what that endpoint shows */
	uint64_t told_there, *told;	/* as it was when it was found: by endpoint, inside; digests */
	UT_hash_handle hh;
};

struct verify_side {			/* what has been read of it */
	char *after;			/* owned; last local id seen */
	bool over;
	int64_t done, expected;		/* rows, in this phase; -1: unknown */
	struct part_sum *parts;		/* owned; SUM */
	char **ends;			/* owned list: last local ids of the ranges; the last one NULL */
	size_t n_ends, cap_ends;
	size_t range;			/* LIST: of these, where there are any; only rows in parts that differ are listed then */
};

enum {
	VERIFY_RECORDS = 500,		/* looked at, or mended, at once */
	VERIFY_REST_MS = 20,
};

struct sync_verify {
	struct sync *sync;
	struct flow *flow;
	struct sync_verify_taker taker;
	enum sync_verify_mode mode;
	const struct side *from;	/* whose rows are imposed on the others; NULL: nobody's */
	bool chosen;			/* what is imposed: */
	struct doubtful *imposed;	/* by record; on these */
	bool gently;			/* by the clock: it rests as long as it reads */
	int64_t asked_us;		/* monotonic: when the last page was asked for */
	uint64_t losses;		/* of the state before it began */
	bool ended;			/* it has told its end, or nobody wants to know */
	bool stepping;
	size_t open;			/* questions under way */
	int64_t settling_us;		/* SETTLE: since when, monotonic */
	uint64_t settling_round;	/* the rounds up to this one are waited for; 0: not known yet, records are in line for one */
	bool settled;			/* and it has come to rest */
	bool heard;			/* or others are at work, but whatever was there before is done with */
	struct sync_plan *plan;		/* under way; NULL: none */
	enum verify_phase phase;
	struct job job;
	struct sync_verify_sums sums;
	struct meter_entity counts;	/* of what was cleaned and rejected: not of what is captured, so nobody is told */
	enum sync_verify_depth depth;
	/* COUNT */
	struct verify_side *sides;	/* owned; by endpoint */
	bool counted, recounted;
	/* KNOWN */
	uint64_t known_at;		/* where the next page of vectors begins */
	bool all_known;
	int64_t apart_missing, apart_extra;	/* records of which that is known, and right */
	/* SUM, LIST */
	struct sum_seeds seeds;
	struct part_set differing;
	struct census *census;
	unsigned unsaved;		/* ranges read since it was saved how far it is: */
	int64_t saved_us;		/* when, monotonic */
	bool spoiled;			/* the census is worth nothing */
	bool kept;			/* somebody may go on with it */
	/* COMPARE, LOOK, MEND */
	size_t part;
	struct arena arena;		/* of the doubts */
	struct doubtful **doubts;	/* owned list */
	size_t n_doubts, cap_doubts;
	size_t at, looks;		/* of them looked at in this look; looks so far */
	struct doubtful *batch[VERIFY_RECORDS];
	size_t n_batch;
	bool mended;
	struct loop_timer *timer;	/* a turn between two parts */
};

struct look;
typedef void look_fn(void *arg, const struct err *e);	/* e NULL: the verdicts are in */

/*
 * Reads those records again at these endpoints and judges each. `compared` are the endpoints that count. The list must outlive it; what it
 * adds to it lies in the arena. `done` is not called before this has returned.
 */
void look_at(struct flow *, uint64_t compared, struct doubtful **list, size_t n, struct arena *, look_fn *done, void *arg);

/* Which endpoints ought to have every record: they are written to. */
bool verify_expects(const struct flow *, size_t e);

/* verify_sums.c, verify_list.c: steps */
void verify_begin(struct sync_verify *);
void verify_count(struct sync_verify *);
void verify_known(struct sync_verify *);
void verify_sum(struct sync_verify *);
void verify_list(struct sync_verify *);
void verify_compare(struct sync_verify *);

/* verify.c, for the others */
struct verify_asked { struct sync_verify *verify; size_t endpoint; };	/* whom something is asked of: with each question */
struct verify_asked *verify_ask(struct sync_verify *, size_t endpoint);	/* a question more is under way; released by: */
struct verify_asked verify_answered(void *asked);
void verify_range_done(struct sync_verify *);			/* a side has answered; when all have, it goes on, or rests first */
void verify_go_on(struct sync_verify *);
void verify_enter(struct sync_verify *, enum verify_phase);
int64_t verify_expected(const struct sync_verify *);		/* how much there is to do in its phase; -1: unknown */
void verify_rest(struct sync_verify *, int64_t ms);		/* it goes on by itself after that */
void verify_fail(struct sync_verify *, const struct err *, const char *doing);
bool verify_compares(const struct sync_verify *, size_t e);
bool verify_is_wrong(const struct doubtful *);
size_t verify_gather(struct sync_verify *, bool (*wanted)(const struct sync_verify *, const struct doubtful *));	/* the next ones into `batch` */
void verify_settle(struct sync_verify *);			/* then those in doubt are looked at; nobody is: it is over */

/* verify_keep.c */
/* Goes on where an interrupted one has come to, or begins: with a census in any case. False: there cannot be one. */
bool verify_keep_load(struct sync_verify *, struct err *e);
bool verify_keep_save(struct sync_verify *);			/* false: nobody can go on */
void verify_keep_range(struct sync_verify *);			/* a range more; saves now and then */
void verify_keep_drop(const struct sync_verify *);		/* it is over */
bool verify_keep_waits(const struct flow *);			/* one that the clock began was interrupted */
void verify_side_fini(struct verify_side *);

/* verify_mend.c */
void verify_mend(struct sync_verify *);

/* verify_from.c */
/* Which of those that are wrong are to be as that side shows them. False: it would delete too many. */
bool verify_from_choose(struct sync_verify *, struct err *e);
/* Without such a side: rows that only a target has, which are to go. */
void verify_from_others(struct sync_verify *v);
bool verify_from_has(const struct sync_verify *, const struct doubtful *);
void verify_from_end(struct sync_verify *);

#endif
