/*
 * undo.h - inside undo: its files, and what a round calls of them.
 *
 *   undo.c        the order: what is to be undone, in which order, what came of it
 *   undo_queue.c  what is still to be put back, in this life of the process or the next, and when rounds take it up
 *   undo_fold.c   many images of a record make one item: what it showed before the first of them
 *   undo_round.c  an item in a round: it is judged there, and carried out by the same decide and apply as everything else
 *   undo_referred.c  what is to end, and others refer to
 *   images.c      the before-images that it goes by
 *
 * Targets belong to the table that they are in: that of a flow (items of the journal, until they are over; flow_fini() frees what is left) or
 * of an order's dry run, which also owns their items and whatever a plan tells of them, in its arena. What a round makes of a target
 * (struct undoing, with a copy of the item; struct image_ref) lies in the round's arena and goes with it: a target may be gone by then.
 */
#ifndef SYNC_UNDO_H
#define SYNC_UNDO_H

#include "journal/journal_images.h"
#include "sync/state.h"

struct round;
struct subject;

enum { UNDO_PAGE = 500 };			/* items of the journal that are read at once */

struct undo_target {			/* a record with something to be put back */
	struct rid rid;
	int64_t id, run;		/* of its item in the journal, and of the undo that it is of; or */
	const struct undo_item *item;	/* of a dry run: here; the order's */
	enum undo_what what;
	bool key_taken;			/* the key that it had is another record's by now: what else there is is put back without it */
	bool referred;			/* it is to end, and waits for who refers to it */
	/* of a dry run: what came of it; texts are constant, or the order's */
	enum undo_state state;
	const char *fields, *code, *cause;
	int64_t n_restored, n_skipped;
	uint64_t at;			/* endpoints that would be written */
	UT_hash_handle hh;
};

struct undoing {			/* in a round */
	struct undo_item *item;
	struct rid rid;			/* by which its target is found */
	int64_t run;			/* of the undo */
	struct imposition imposed;
	const char *code, *cause;	/* why nothing of it can be put back; NULL: it can */
	bool key_taken;			/* as its target's */
	bool refused;			/* by a side, or to wait for its parent, in this round; the item says why */
};

struct image_run {			/* the one that is open, of a source */
	int64_t number, began_us, last_us;
	int64_t kept_number, kept_began_us;	/* as it was when the group of writes of the journal began that is open */
};

struct image_ref {			/* an image that was kept */
	int64_t batch;
	uint32_t n;
	uint8_t endpoint;
	bool waits;			/* of an insert that cannot be tried yet */
	struct image_ref *next, *next_of_subject;
};

/* images.c */
void image_runs_begin_group(struct sync *s);
void round_note_newborn(struct round *r);			/* what is decided of it: nobody but its source has had the record */
bool round_keep_images(struct round *r, struct err *e);		/* durable with the group that is open: then the writes may go out */
void image_runs_roll_back(struct sync *s);			/* that group was not kept */
void round_note_failed(struct round *r, const struct subject *s, size_t e);

/* undo_round.c */
bool undo_revive(struct round *r, struct subject *s);		/* true: a record that is nowhere is to be put back: it has a base now */
bool undo_finds_taken(struct round *r, struct subject *s);	/* true: but a row with its key is there */
void undo_impose(struct round *r, struct subject *s, struct decide_policy *p);
/* What it is to be again is another record's key by now. True: it is put off, and goes back without; false: it was without that already. */
bool undo_key_taken(struct round *r, struct subject *s);
bool undo_is_to_end(const struct flow *, const struct rid *);
bool undo_ends(struct round *r, const struct subject *s);	/* it is still what was inserted, and nothing else keeps it */
bool undo_note_begun(struct round *r, struct err *e);		/* in the group that is open */
bool undo_leaves(const struct subject *s);			/* it has an item, which has to be found by another key from here on */
void undo_follow(struct round *r);				/* that intent is written: so they are */
bool undo_rename(struct flow *, struct undo_item *, struct value code, struct arena *, struct err *e);	/* in the journal */
struct value undo_key_wanted(const struct flow *, const struct undo_item *, struct arena *);	/* NULL value: it does not say all of it */
void undo_note_refused(struct round *r, struct subject *s, const struct err *why);	/* told as long as it waits */
void round_settle_undos(struct round *r);
void undo_note_planned(struct round *r);
void undo_targets_free(struct undo_target **);			/* and empties the table */

/* undo_referred.c: a step of the round */
void round_ask_referred(struct round *r);
void round_got_referred(struct round *r);

/* undo_fold.c */
struct fold;
struct fold *fold_new(struct arena *);				/* what it keeps lies there: the arena must outlive it */
/* The next one, from the newest to the oldest. */
void fold_add(struct fold *, const struct journal_image *, const struct entity_def *def, const char *rule);
size_t fold_count(const struct fold *);
void fold_each(struct fold *, void (*fn)(void *arg, const struct undo_item *), void *arg);	/* the item is valid during the call */
void fold_free(struct fold **);

/* undo_queue.c */
void undos_init(struct sync *);			/* once, when all else of the sync is there */
void undos_free(struct sync *);
void undos_tick(struct sync *);			/* takes up what is still to be put back, stage after stage */
/*
 * The record goes from one id to another: so does what is to be put back of it. Of an intent that is put back (in the group that is open) the
 * journal may not know yet.
 */
void undos_move(struct flow *, const struct rid *from, const struct rid *to);
bool undos_recover(struct flow *, const struct rid *from, const struct rid *to);	/* false: the journal cannot be read */
void undos_read_again(struct sync *);		/* that group was not kept, or another daemon has been at work with this journal */
void undos_take_up(struct sync *);		/* an entity goes on, or a side is there again: what waits need not wait for the next time */
void undos_release(struct flow *parent);	/* who may have referred to its records went, or points elsewhere: soon it is seen who goes, too */
bool undos_under_way(const struct sync *);
void undos_settled(struct sync *);		/* one more is over */
/* What the journal holds is added to what is there; false: it cannot be read, which has been logged. */
bool undo_queue_load(struct sync *);
void undo_queue_start(struct sync *);		/* from its first stage */
bool undo_queue_has(const struct sync *, int64_t run);		/* anything of that undo */
int64_t undo_queue_records(const struct sync *);
void undo_queue_follow(struct job *, const struct sync *);	/* its progress; another undo may add to the queue meanwhile */
struct rid undo_rid(const struct flow *, struct image_text code);	/* of the record with that key, encoded */
/* That item of the journal is over, for that reason (constant texts). False: it cannot be written down. */
bool undo_skip(struct sync *, int64_t id, const char *code, const char *cause);

/* undo.c */
void undo_end_with_sync(struct sync *);		/* tells whoever asked */
void undo_free(struct sync *);

#endif
