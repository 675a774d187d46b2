/*
 * timeline.h - how long something was in which state: since ever, and over the last hour, day and month.
 *
 * Pure arithmetic over given times. Times are microseconds on one axis that never goes back and goes on while the process does
 * not run (sync/meters_keep.c makes it); 0 is no time. Memory is fixed: finished time lies in slots of a minute, of 15 minutes and of 6
 * hours, so a window is the slot that runs and the whole slots before it: between 60 and 61 minutes for the hour.
 *
 * What is known now may prove wrong: a change is heard of after it was made, a failure after the last answer. So the newest stretch
 * is provisional: timeline_set() says what is from now on, timeline_worsen() what turned out about the past, and timeline_settle()
 * up to when nothing more can turn out. Only settled time is shown by the readers below; so counters never go back, and time
 * that was not proven good is never shown as good. timeline_expire() ends the wait for a proof: good becomes unknown.
 *
 * One clock that is shown to people:
 *
 *	const struct timeline *t = &view->meter->availability;	// of an endpoint; of a link also ->consistency
 *	struct spent hour = timeline_window(t, WINDOW_HOUR);
 *	struct ratio a = ratio_of(&hour, RATIO_GOOD);	// a.value, never without a.coverage; NAN where nothing was observed
 *
 * A chart of the last hour: timeline_minute(t, 59) .. timeline_minute(t, 0), each through ratio_of().
 */
#ifndef METER_TIMELINE_H
#define METER_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum meter_state {
	METER_UNKNOWN,		/* not observed */
	METER_GOOD,		/* up, available; consistent */
	METER_BAD,		/* down, not available; inconsistent, and the oldest difference is young (below METER_LATE_US) */
	METER_LATE,		/* inconsistent, and the oldest difference is older */
	METER_ASIDE,		/* the same, but by records alone that wait for a person: parked, held, undecided */
	METER_PAUSED,		/* by the operator */
	METER_STATES
};
enum { METER_LATE_US = 5000000 };	/* the g of K(g) */

/* ---- what came of it: for readers -------------------------------------------------------------------- */

struct spent {
	int64_t us[METER_STATES];
};
double spent_seconds(const struct spent *, enum meter_state);
double spent_bad_seconds(const struct spent *);		/* METER_BAD, METER_LATE and METER_ASIDE */
double spent_all_seconds(const struct spent *);

/*
 * value	good / (good + bad), of the time that was observed; NAN when none was
 * coverage	(good + bad) / (all - paused): the share of the time for which value speaks; NAN when there was no time
 * lower	good / (all - paused): if all unknown time was bad
 * upper	(good + unknown) / (all - paused): if all of it was good
 */
struct ratio {
	double value, lower, upper, coverage;
};
enum ratio_kind {
	RATIO_GOOD,		/* availability; consistency K */
	RATIO_TIMELY,		/* K(5 s): a difference that is still young counts as good */
};
struct ratio ratio_of(const struct spent *, enum ratio_kind);

enum window { WINDOW_HOUR, WINDOW_DAY, WINDOW_MONTH, WINDOWS };
extern const char *const window_names[WINDOWS + 1];	/* "1h", "24h", "30d", NULL */

struct timeline;
struct spent timeline_total(const struct timeline *);	/* since timeline->since_us */
struct spent timeline_window(const struct timeline *, enum window);
/* The minute that ended so many minutes ago, up to 59; 0: the one that runs, as far as it is settled. */
struct spent timeline_minute(const struct timeline *, unsigned ago);

/* ---- the clock itself -------------------------------------------------------------------------------- */

enum {
	TIMELINE_MINUTES = 61, TIMELINE_QUARTERS = 97, TIMELINE_SIXTHS = 121,
	TIMELINE_SLOTS = TIMELINE_MINUTES + TIMELINE_QUARTERS + TIMELINE_SIXTHS,
	TIMELINE_PIECES = 128,
};

struct timeline {
	int64_t since_us;		/* when counting began; 0: it has not */
	int64_t settled_us;		/* everything before is settled */
	int64_t now_us;			/* the newest time it was told */
	int64_t good_us;		/* end of the newest settled good time, of an earlier life to a minute or so; 0: none */
	struct piece {			/* provisional, each up to the next one's begin, the last up to now_us */
		int64_t from_us;
		enum meter_state state;
	} pieces[TIMELINE_PIECES];
	size_t n_pieces;		/* at least one once it was started */
	struct spent total, kept;
	int64_t kept_us;		/* settled_us when it was last kept */
	int64_t newest[WINDOWS];	/* number of the newest slot of each ring: time / width of a slot */
	struct spent slots[TIMELINE_SLOTS];
};

enum meter_state timeline_state(const struct timeline *);	/* as it was told last; unknown before that */
/* From now on it is in `state`; the first call starts the clock. */
void timeline_set(struct timeline *, enum meter_state, int64_t now_us);
/*
 * It was (also) in `state` from `from_us` to `to_us`, as far as that is not settled yet: the worse of two states stands. Worse is,
 * in this order: good, unknown, bad, aside, late, paused; a young difference beside one that stands aside makes late.
 * Time that it was not told of yet is, for the rest, as what went before.
 */
void timeline_worsen(struct timeline *, enum meter_state, int64_t from_us, int64_t to_us);
/* Nobody looked: what is not settled of that time is unknown (or paused), whatever it seemed to be. */
void timeline_unseen(struct timeline *, int64_t from_us, int64_t to_us);
void timeline_settle(struct timeline *, int64_t until_us);
void timeline_expire(struct timeline *, int64_t until_us);

/* ---- keeping it while the process does not run ------------------------------------------------------- */

/* One row to be kept; ring -1 is the total, since start_us. */
struct timeline_row {
	int ring;
	int64_t start_us;
	struct spent spent;
};
/*
 * What has changed since this was last asked, at most TIMELINE_ROWS. Provisional time is kept as it would stand if nothing more
 * turned out. If the rows could not be written: timeline_lost(), and all are given again.
 */
enum { TIMELINE_ROWS = TIMELINE_SLOTS + 1 };
size_t timeline_keep(struct timeline *, struct timeline_row *rows);
void timeline_lost(struct timeline *);
/* The total as it was settled when it was last kept: what a counter may show that must not go back when the process is killed. */
const struct spent *timeline_kept(const struct timeline *);
/* Into a clock of zeros, in any order; rows that are too old by now are passed over. Then timeline_resume() once. */
void timeline_restore(struct timeline *, const struct timeline_row *, int64_t now_us);
/* From the end of what was kept to now it is unknown, and settled. */
void timeline_resume(struct timeline *, int64_t now_us);

/* Rows of that ring that begin before are too old for it. */
int64_t timeline_oldest_us(enum window ring, int64_t now_us);

#endif
