/*
 * migrate.h - moving an entity from one endpoint to another by order: its files, and what a round asks of them.
 *
 *   migrate.c        the order: which phase is next, where it goes on, how it ends
 *   migrate_list.c   a table page after page, also in several stretches at once
 *   migrate_load.c   what holds it back: --rate, and how busy the target is with others
 *   migrate_mark.c   how far it is, in the store
 *   migrate_round.c  what is different in a round of it
 *
 *   BEGIN    where did it stop last time? is the target empty?
 *   TARGET   every row of the target, unless it was surveyed before: then it is known what is there, and which records are absent
 *   SOURCE   every row of the source: recalled, decided, written, marked by rounds like any other, several at a time
 *   EXTRA    onto replace: every row of the target as it is now, and records that only the target has are ended there
 *   SETTLE   what a busy row or a guard has put off
 *
 * It is a listing by order, and otherwise the survey: the poll position is saved before the first page, and a table of which all pages
 * are settled is marked as surveyed. So whatever people edit meanwhile is captured as soon as the entity is followed (nobody has to
 * list it again for that), and there is no moment that neither side has seen.
 *
 * It works for an entity that is paused, as with --paused: then nothing is written anywhere but at the target, and what others ought to
 * get stays owed to them until the entity is resumed. It works for one that is followed, too: there its rounds are some among others, and
 * what they decide goes wherever it belongs. Only while the first contact of a followed entity is under way there is no room for it: that
 * does the same.
 *
 *   full         every row of the source is compared with what the target shows. What is missing there comes back, if it had to be empty
 *                when this began or is to be replaced; else a row that somebody deleted there is for the capture to tell of
 *   incremental  a row that is as it was last seen says nothing, as in a sweep; and one that nobody has written since all were listed last is
 *                not even read, where that can be told (watermark.c)
 *   parallel     full, with the table parted by local ids, each part listed on its own. In an entity that is paused all of them list the
 *                table as it was at one moment (doc/migrate.md); what was edited after that moment is for the capture to tell of
 *
 *   onto merge     the entity's rules decide about every record that both have, as at first contact
 *   onto replace   the target has no say, as if its role were `target`, and what it has said before is taken back where the source shows
 *                  something else: so each row of the source is compared, whatever the strategy. Before-images keep what is written over or
 *                  deleted. What other endpoints have said, and the source has yet to get, stays
 *
 * How far it is stands in the store beside the vectors that it has made, in one line behind them: who loses the one has lost the other.
 * A part is over when its round has marked what came of it; the mark names the last row before which all parts are. What was in work when
 * the process was killed is listed again, and found to be done, in doubt (doubt.h), or not begun.
 *
 * What it has brought over is counted with the vectors that tell of it: the sums of each round go into the store in one piece with what the round
 * marks. A write that was in doubt counts when it turns out to have been carried out. So a row counts once, however often it was broken off.
 * What was looked at (rows, bytes read, cleaned values) counts when its part is over: what is listed again has not counted yet.
 */
#ifndef SYNC_MIGRATE_H
#define SYNC_MIGRATE_H

#include "meter/jobs.h"
#include "sync/state.h"

struct round;
struct subject;

enum { STRETCHES_MAX = 16 };

struct part {				/* a page in work */
	struct sync_migration *migration;
	struct stretch *stretch;
	char *last;			/* owned; local id of its last row */
	int64_t listed;			/* rows of the table */
	struct sync_migrate_sums sums;	/* of what was looked at */
	int64_t untaken;		/* of its rows: cannot be taken */
	bool past;			/* its rows are as they were at the moment that all stretches are listed as of */
	bool over;
	struct part *next;		/* of that stretch */
};

struct stretch {			/* of the table that is being listed: all of it, or one of several */
	struct sync_migration *migration;
	char *until;			/* owned; its last row; NULL: it goes to the end of the table */
	char *settled;			/* owned; all rows up to this one are done with; NULL: none are */
	char *after;			/* owned; listed up to there */
	bool asking, listed;
	int64_t asked_us;		/* the last time; 0: never */
	size_t asked_rows;
	unsigned moment;		/* asked for with that one; 0: as it is now */
	int64_t done;			/* rows that are done with, in all lives */
	struct rate pace;
	struct part *first, *last;	/* in work, in the order of the table */
};

enum migrate_phase { MIGRATE_BEGIN, MIGRATE_TARGET, MIGRATE_SOURCE, MIGRATE_EXTRA, MIGRATE_SETTLE, MIGRATE_OVER };

struct sync_migration {
	struct sync *sync;
	struct flow *flow;
	struct side *from, *to;
	enum sync_migrate_strategy strategy;
	enum sync_migrate_onto onto;
	size_t jobs;
	int64_t rows_per_second, sessions_most, lag_most_us;
	struct sync_migrate_taker taker;
	uint64_t losses;		/* of the state before it began */
	int64_t past_us[2];		/* of source and target then: when they were put back last */
	bool ended;			/* it has told its end, or nobody wants to know */
	bool unsure;			/* a round's mark was not answered: nobody knows whether the store has its sums, and no others may follow */
	size_t open;			/* questions and rounds under way */
	enum migrate_phase phase;
	struct job job;			/* of this life; done: kept in the mark, as the sums are */
	/* BEGIN */
	bool loaded, resumed, other;	/* other: one with other words was broken off */
	bool looked, was_empty;		/* the target, when it began */
	/* TARGET, SOURCE, EXTRA */
	bool positioned, estimated, parted, marked, marking;
	char *watermark;		/* owned; SOURCE: of before its first page; NULL: it has none */
	char *since;			/* owned; SOURCE: rows written since only; NULL: all of them */
	bool asking_moment, no_moment;	/* no_moment: there cannot be one */
	struct moment *moment;		/* owned; all stretches are listed as of then; NULL: as it is now */
	unsigned moments;		/* the number of that one, or of the last */
	struct stretch stretches[STRETCHES_MAX];
	size_t n_stretches;
	/* SETTLE */
	int64_t settling_us;
	unsigned looks;
	int64_t orphans_after;		/* up to that line of the journal those were tried once more; 0: a new pass is next */
	int64_t orphans_left;		/* so many there were when the last pass began */
	bool forgetting;		/* the mark is being removed */
	/* all of it */
	struct sync_migrate_sums sums;
	int64_t before_us;		/* so long it was at work in earlier lives */
	int64_t untaken;		/* rows of the source that cannot be taken */
	double credit;			/* so many rows --rate lets it list now */
	int64_t credit_us;		/* as of then, monotonic */
	bool asking_load, load_known;
	int64_t load_us;		/* when it was asked for last, monotonic; 0: not yet */
	struct endpoint_load load;	/* of the target */
	struct rate bytes;		/* of the rows listed in this phase */
	bool saving, unsaved;
};

/* ---- migrate_mark.c ---------------------------------------------------------------------------------- */

void migrate_name_mark(const struct sync_migration *, char out[200]);
/* The caller frees. */
char *migrate_mark_text(const struct sync_migration *);
/* True: that is where this one goes on. */
bool migrate_mark_read(struct sync_migration *, struct value text);

/* ---- migrate.c --------------------------------------------------------------------------------------- */

bool migrate_is_at_work(const struct flow *);	/* a flow that is paused has that much to do */
bool migrate_rests_at(const struct flow *, size_t e);	/* nothing is written there while it is at work */
bool migrate_feed(struct flow *);
bool migrate_knows_its_sums(const struct flow *);	/* else no round of a flow that is paused may begin */
void migrate_tick(struct sync *);
void migrate_end_with_sync(struct sync *);	/* tells whoever asked */
void migrate_free(struct sync *);		/* nothing it asked for is open any more */

/* For its other files: */
/* What comes to its end is kept, also after it was left or broken off: until its mark is gone, or the state of which that tells. */
static inline bool migrate_counts(const struct sync_migration *m)
{
	return m->phase != MIGRATE_BEGIN && !m->forgetting && !m->unsure && m->losses == m->sync->losses && !m->sync->closing;
}
/* Something that it had asked for has been answered. False: it is over, and maybe gone. */
bool migrate_answered(struct sync_migration *, const struct err *);
/* The same, of what rounds are made of: what was asked for before something went is not worked on after it. */
bool migrate_still_answered(struct sync_migration *, const struct err *);
void migrate_go_on(struct sync_migration *);
void migrate_save(struct sync_migration *);
void migrate_enter(struct sync_migration *, enum migrate_phase);
static inline struct side *migrate_side_listed(const struct sync_migration *m)
{
	return m->phase == MIGRATE_SOURCE ? m->from : m->to;
}
/* One that only owes answers for a while is waited for. */
static inline bool migrate_waits_for(const struct side *side)
{
	return side->link->endpoint->silent;
}

/* ---- migrate_list.c ---------------------------------------------------------------------------------- */

bool migrate_list_step(struct sync_migration *);
void migrate_stretches_clear(struct sync_migration *);
size_t migrate_asking(const struct flow *);	/* pages on their way */

/* ---- migrate_load.c ---------------------------------------------------------------------------------- */

bool migrate_is_held(struct sync_migration *);			/* nothing may be listed now: the next tick asks again */
size_t migrate_page_rows(const struct sync_migration *);	/* the most that is asked for at once */
void migrate_note_asked(struct sync_migration *, size_t rows);
void migrate_note_listed(struct sync_migration *, size_t asked, size_t rows);	/* so many of them came */
void migrate_look_at_load(struct sync_migration *);		/* each tick */
int64_t migrate_rejected(const struct sync_migration *);	/* that is parked now, whenever it was */

/* ---- migrate_round.c --------------------------------------------------------------------------------- */

/* A round is born that belongs to it: one of its pages, or any of a flow that is paused. */
void migrate_join(struct round *);
/* Its end. counting: its mark, with the sums, was not answered yet. why NULL: fine. */
void migrate_leave(struct sync_migration *, struct part *, bool counting, const struct err *why);
/* The rows of its page were looked at. foreign: these are none of the entity's (outside of `where`, or deleted softly). */
void migrate_taken(struct part *, uint64_t cleaned, uint64_t untaken, int64_t foreign);
bool migrate_forbids(const struct round *, size_t e);			/* nothing is written there */
bool migrate_looks_anew(const struct round *);				/* a row without news is not over with that */
bool migrate_meets_strangers(const struct round *, size_t e);		/* there may be rows that no vector tells of */
bool migrate_is_first_load(const struct round *);
/* Its row is of a moment before, and not what was last seen there: it may have been seen since. */
bool migrate_shows_past(const struct round *, const struct subject *);
/* Who has a say; what is known of a record; what is to become of it. */
void migrate_shape(const struct round *, struct decide_endpoint *ends);
const struct vector *migrate_base_of(struct round *, const struct subject *, const struct vector *base);
bool migrate_spares(const struct round *, const struct subject *);	/* it is listed with the target, and others have it, too */
void migrate_impose(struct round *, const struct subject *, struct decide_policy *);
/* It has been decided, and not as the source shows it: true: now that is imposed, and it is to be decided again. */
bool migrate_overrules(struct round *, const struct subject *, struct decide_policy *);
void migrate_note_written(struct round *, size_t e, size_t bytes, int64_t us);
void migrate_note_done(struct round *, size_t e, enum action);
/* MARK: what this pass has brought is in the sums now. False: it must not be marked, for nobody knows the sums any more. */
bool migrate_count_brought(struct round *);
/* Then: the line to be written in one piece with its vectors; the caller frees. NULL: nothing has changed. */
char *migrate_mark_brought(struct round *, char name[200]);

#endif
