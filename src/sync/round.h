/*
 * round.h - inside a round: its parts, and what its files call of each other.
 *
 *   round.c         the table of steps, running it, birth and end
 *   round_recall.c  claims; which records are these, and what was last seen of them?
 *   round_read.c    what do the endpoints show now, and whose rows are these?
 *   round_write.c   decide, intent, writes
 *   round_parents.c local ids for references
 *   round_journal.c what was decided, for people
 *   round_mark.c    what everybody shows now goes into the store
 *   round_meant.c   references to records whose key an endpoint keeps in a form of its own
 *   round_forms.c   is it what a target made of a write in doubt?
 *   round_follow.c  references to records that have got another key
 *   round_forward.c the row of an insert in doubt, whose record has got another key since
 *   round_exchange.c rows that have exchanged their keys
 *   images.c        what is written over, into the journal before
 *   undo_round.c    what is to be put back
 *   undo_referred.c what is to end by an undo, and others refer to
 *   verify_from.c   what one side shows, imposed
 *   plan.c          what a round would do, when it only plans
 *   migrate_round.c what is different when it is a part of a migration
 *   round_books.c   and what became of each change into the books
 *   round_ahead.h   what a step will look at soon
 *
 * A `round_ask_` function sends and raises `waiting` by what it waits for; the `round_got_` one runs when everything is here.
 */
#ifndef SYNC_ROUND_H
#define SYNC_ROUND_H

#include "sync/state.h"

enum round_state {
	ROUND_RECALL, ROUND_LOOKUP, ROUND_RECALL_OLD, ROUND_READ, ROUND_READ_KEYS, ROUND_OWNERS, ROUND_MEANT, ROUND_FOLLOW, ROUND_FORMS, ROUND_STAMPS,
	ROUND_REFERRED, ROUND_KEYS, ROUND_PARENTS, ROUND_INTEND, ROUND_APPLY, ROUND_MARK, ROUND_ACK, ROUND_PLAN, ROUND_REST, ROUND_OVER
};

enum fate {
	FATE_LIVE,
	FATE_DROPPED,	/* nothing to do, or parked */
	FATE_BUSY,	/* another round has it in work: once more, after that */
};

struct subject {			/* a record in this round */
	enum fate fate;
	struct rid rid;			/* where its vector is */
	struct rid old_rid;		/* where its local id says it was before: the key changed */
	struct rid next_rid;		/* where its vector goes */
	bool has_rid, has_old, claimed, claimed_old, claimed_next;
	struct rid *also;		/* claimed: keys with which inserts of it were tried that are in doubt; rows */
	size_t n_also;
	bool confirmed;			/* its vector knows the source's local id */
	bool moved;			/* `base` came from old_rid */
	bool exchanges;			/* it goes where another one of this round was, and on it goes until one comes where it was */
	bool forwarded;			/* `base` is where a forward led: of the news it is not known yet whether it is that record's */
	bool own_way;			/* it was not: forwards do not concern it */
	uint64_t forwards;		/* endpoints with an insert in doubt: the store has a forward to it where that was tried */
	bool decided, again, later;
	uint64_t failed_at;		/* endpoints where a write of it failed, and is to be tried later */
	bool gently;			/* writes that are parked stay so */
	bool key_taken;			/* its row at the source stands aside for that, and nothing is to be decided */
	bool aside;			/* nothing was decided: a row of it has just been parked */
	unsigned tries;			/* of writes refused because of another entity's rows, or for no reason of a row's */
	int64_t alone_us;		/* since when it has been the only one that is refused like that, monotonic; 0: it has not */
	struct missing missing;		/* what it waits for word of */
	int64_t asked_us;		/* put off until there is no news any more of a record that it points to: since when, monotonic */
	struct subject *waits_for;	/* and that is this one, of this very round */
	bool moved_once;		/* put off once, to be read again, since a reference of it seems to have been moved (round_follow.c) */
	bool by_rows;			/* put off once, since nobody is known by a key that it shows: its rows tell whom it means (round_meant.c) */
	int64_t told;			/* when that row was changed, as the capture brought it with its news; STAMP_NONE: it did not */
	bool reread;			/* its row at the source is not the one that the capture brought */
	bool twin;			/* put off because this very round has the record in work: another row with its key */
	struct vector *base;
	struct value source_id;		/* local id at the round's side; NULL value for records from elsewhere */
	struct value former_id;		/* the one that its row had there before; NULL value: none, or it is not that record's row */
	bool renumbered;		/* and the record was known by that: `base` says the new one already */
	struct value rival;		/* another row there that the vector takes for this record */
	struct value deleted_id;	/* of a row that was there, and is proven to have been deleted before what is there now; NULL value: none */
	uint64_t evidence;		/* endpoints where a missing row is a proven delete */
	uint64_t unlogged;		/* endpoints whose change log has nothing of a row that is not as it was */
	uint64_t invalid;		/* endpoints whose row cannot be taken as it is */
	uint64_t taken;			/* endpoints where another record's row has its key, and it has none */
	uint64_t strange;		/* endpoints where a row has its key that nobody knows by its id, which is the key */
	uint64_t by_key;		/* endpoints whose row was found by its key */
	uint64_t remains;		/* endpoints where a softly deleted row was: instead of another one it is taken back */
	uint64_t not_ours;		/* endpoints where its vector had a row of the record at `owner` */
	struct rid owner;
	bool buried;			/* its row is of before its database was put back, and the record was deleted since */
	bool dug_up;			/* so it is, but it was written after that: it lives */
	enum books_outcome outcome;	/* FATE_DROPPED: what became of its news */
	uint64_t set_aside;		/* endpoints whose change of it has a line of its own: a row that is parked, a delete that is held */
	uint64_t set_aside_now;		/* of these: that have got it in this round, and are in the books with that */
	uint64_t let_go;		/* endpoints whose held delete of it has ended */
	uint64_t orphaned;		/* endpoints that wait for a parent's row */
	uint64_t own_keys;		/* endpoints where a reference that is written shows another key than the agreed one: a form of that endpoint's own */
	uint64_t misled;		/* references that are shown by rows of other records than those that are known by these keys */
	struct observation *seen;	/* by endpoint */
	struct value *versions;		/* by endpoint */
	struct decision d;
	struct value key;		/* encoded, for people and for look-ups by key */
	/* of a plan */
	const struct value *found;	/* by endpoint: the row that a listing found under its key; NULL value: none */
	uint64_t held_back;		/* endpoints whose delete would be held */
	uint64_t after_parent;		/* endpoints where the row it points to comes first */
	/* of an undo */
	struct undoing *undo;		/* something of it is to be put back; NULL: nothing */
	bool revived;			/* it was nowhere: `base` is made up */
	bool referred;			/* it is to end, but what stays refers to it */
	struct image_ref *images;	/* of what this pass writes */
};

struct parent {				/* a referenced record */
	struct rid rid;
	struct flow *flow;
	const struct vector *vector;
	uint64_t arrivals;		/* of its flow, when its vector was asked for */
	UT_hash_handle hh;
};

enum {					/* passes in which something is waited for */
	ROUND_PATIENCE = 30,		/* news that may never come: about a second */
	OWED_PATIENCE = 600,		/* a write that is on its way: half a minute */
};

struct recalling {			/* vectors asked for: the n-th answer is of the n-th subject */
	struct round *round;
	struct subject **list;
};

struct reading {			/* one read on its way */
	struct round *round;
	size_t endpoint;
	struct subject **subjects;	/* the n-th id is of the n-th subject */
	struct value *ids;
	size_t n, n_keys;
	int64_t asked_us;		/* monotonic */
};

struct round {
	/* given at birth, then constant */
	struct flow *flow;
	struct side *side;		/* where the news came from; NULL: records from everywhere */
	struct captured *captured;	/* owned; or */
	struct rowset *listed;		/* owned; or neither */
	int64_t news_from_us;		/* captured: what was committed at the side before is not in it, monotonic */
	bool renumbers;			/* captured: rows of it have got other local ids */
	bool makes_room;		/* captured: rows of it are no record's, and may have been in the way of one */
	bool is_page;			/* of the side's listing */
	struct side *retried;		/* its records are parked there, and tried again; NULL: not so */
	struct sync_migration *migration;	/* that it belongs to; NULL: to none */
	struct part *part;		/* it is that part of it; NULL: none */
	struct sync_migrate_sums brought;	/* in this pass, to its target: inserted, updated, deleted, written and waited_us */
	bool counting;			/* what it has brought is in the migration's sums; the mark that keeps them is on its way */
	bool at_rest;			/* the entity is paused: only the target is written to */
	struct sync_plan *plan;		/* it only finds out what it would do, and tells that; NULL: it does it */
	bool stale;			/* we wrote to the side since its rows were asked for, or read there: what looks like an edit is read again */
	bool expects;			/* in this pass: another round has one of its records in work, or news of one is on its way */
	uint64_t number;
	uint64_t losses;		/* of the state before it began */
	struct round *next;
	/* where the conversation stands */
	enum round_state state;
	size_t waiting;			/* answers still to come in this state */
	bool running;			/* inside round_run(): answers may not start another */
	struct err why;			/* set: the store failed, the round is given up */
	struct arena arena;
	struct subject *subjects;
	size_t n;
	uint64_t away;			/* endpoints that failed in this round */
	uint64_t same_log;		/* endpoints whose change log is the one that capture left, as far as that was asked */
	uint64_t unasked;		/* endpoints that were not there when rows were read */
	struct rowset **reads;		/* rows that observations point into */
	size_t n_reads, cap_reads;
	struct parent *parents;
	struct referring *referring;	/* between ask_referred() and got_referred() */
	struct write_batch *batches[ENDPOINTS_MAX];
	char intent[48];		/* its name; "" when there is none */
	bool asked;			/* this state's questions are out */
	bool writes_sent;
	int64_t epoch;			/* that its acknowledgement leaves at the side; 0: none */
	uint64_t writing_at;		/* endpoints whose answer to our writes is still to come, by endpoint: */
	int64_t sent_us[ENDPOINTS_MAX];	/* when they were asked, monotonic */
	int64_t written_for_us[ENDPOINTS_MAX];	/* since when they have been behind, wall */
	uint64_t touched;		/* endpoints that it read from or wrote to */
	bool holding;			/* deletes are held by this decision: a group of the journal is open */
	struct recalling_old *old;	/* between ask_recall_old() and got_recall_old() */
	unsigned pass;
	struct loop_timer *timer;
};

static inline struct sync *sync_of(const struct round *r)
{
	return r->flow->sync;
}

/* For row_digest(). */
static inline const uint8_t *round_row_order(const struct round *r)
{
	return sync_of(r)->store->layouts[r->flow->index].row_order;
}

static inline size_t n_endpoints(const struct round *r)
{
	return sync_of(r)->topology->n_endpoints;
}

static inline bool is_live(const struct subject *s)
{
	return s->fate == FATE_LIVE;
}

/* The record is not under that key any more, or is gone: there is no vector. */
static inline bool is_nobody(const struct round *r, const struct subject *s)
{
	return s->fate == FATE_DROPPED && s->has_rid && s->base == NULL && r->side == NULL;
}

static inline bool reachable(const struct round *r, size_t e)
{
	return r->flow->sides[e] != NULL && side_usable(r->flow->sides[e]) && !(r->away & BIT(e));
}

/* round.c */
void round_keep_rows(struct round *r, struct rowset *rows);
void round_count_read(const struct round *r, size_t e, size_t bytes, int64_t asked_us);
void round_answered(struct round *r);
bool round_observe(struct round *r, const struct side *side, const struct row *row, struct observation *out, const struct field_def **bad,
		   struct err *e);
/* Durable, or the round is given up. */
void round_park(struct round *r, struct side *side, bool capture, const struct rid *rid, struct value key, struct value local_id,
		const char *field, int64_t stamp, const struct err *cause);
void round_count_echo(struct round *r);
/* The round ends with this cause, and what it had to look at comes again. e NULL: nothing. */
void round_give_up(struct round *r, const struct err *e);

/* round_recall.c */
bool round_claim_next(struct round *r, struct subject *s);	/* false: in work elsewhere, or as another subject */
/* By which a row there is claimed. */
struct rid round_rid_of_row(const struct round *r, size_t e, struct value id);
bool round_claim_row(struct round *r, struct subject *s, size_t e, struct value id);	/* false: in work elsewhere */
void round_claim_inserted(struct round *r, size_t e);
void round_unclaim_all(struct round *r);
void round_let_go_of_next(struct round *r, struct subject *s);
void round_put_off(struct round *r, struct subject *s);
void round_expect_news(struct round *r, struct subject *s);	/* of what it refers to: it is put off until then */
/* Its key is taken by a record with which it may have exchanged it, and that may be one that was put off: so is it (true), to be looked at with that. */
bool round_waits_for_others(struct round *r, struct subject *s);
void round_drop_subject(struct round *r, struct subject *s, enum books_outcome outcome);
/* The row cannot be taken: its news stands aside. */
void round_park_row(struct round *r, struct side *side, struct subject *s, struct value id, const struct field_def *field, const struct err *why);
void round_say_taken(const struct round *r, struct err *e);	/* fills e: key-taken, in words for the operator */
/* At the round's side the row shows the key that the record of v is known to have there, be it the agreed one or not. */
bool round_shows_its_key(const struct round *r, const struct vector *v, const struct observation *o);
/*
 * A key or value was taken. Whoever has it may be one with which it was exchanged: that is parked already, or that another round has in work.
 * All that wait for one there are tried together once more. fresh: it was not parked for that before.
 */
void round_ask_rivals(struct round *r, struct side *side, bool fresh, const struct err *why);
/* In the round's arena; NULL: there is none, or none that can be read. */
struct vector *round_vector(struct round *r, const struct flow *flow, struct value blob);
struct recalling *round_recalling_new(struct round *r);
void round_ask_recall(struct round *r);
void round_got_recall(struct round *r);
void round_ask_lookup(struct round *r);
void round_got_lookup(struct round *r);
void round_ask_recall_old(struct round *r);
void round_let_go_of_parked(struct round *r, const struct subject *s);
bool round_drop_echo(struct round *r, struct subject *s);
void round_got_recall_old(struct round *r);

/* round_forward.c */
/* What stands in the store where its row's key would be. */
void round_forward_follow(struct round *r, struct subject *s, struct value blob);
/* That is where the news belongs, for all that is known. */
bool round_forward_leads(const struct round *r, const struct subject *s, const struct vector *v);
/* Its row was read: puts it off if it is not that record's after all. */
void round_forward_judge(struct round *r, struct subject *s);
/* A row with the key of an insert in doubt, which is not the record's key any more: is it what we inserted, or somebody else's? */
bool round_is_our_insert(struct round *r, const struct subject *s, size_t e, const struct observation *o);
void round_ask_forwards(struct round *r);
/* What to write besides its vector; in the round's arena. */
size_t round_forward_mark(struct round *r, const struct subject *s, struct store_put **out);
/* All of them may be written when the intention is put back. */
bool round_forward_complete(const struct round *r, const struct subject *s, const struct vector *intended);

/* round_parents.c */
/* Its row there points to the row that this vector knows. */
bool round_points_to(const struct subject *s, size_t e, size_t f, const struct vector *v);
void round_ask_parents(struct round *r);
void round_got_parents(struct round *r);
/* As they are written there: a reference as the local id of its parent. The round's. */
const struct value *round_values_with_parents(struct round *r, const struct subject *s, size_t e);
/* It is told when one of those that it points to arrives. */
void round_wait_for_parents(struct round *r, struct subject *s, size_t e);
/* References that read back as another record's; readback NULL: none. */
uint64_t round_find_astray(struct round *r, const struct subject *s, size_t e, const struct observation *readback);

/* round_meant.c */
/* Nobody is known by a key that it shows. True: it is put off, and its rows tell. False: they have been asked. */
bool round_goes_by_rows(struct round *r, struct subject *s);
void round_ask_meant(struct round *r);

/* round_forms.c */
void round_ask_forms(struct round *r);

/* round_follow.c */
/* A reference, and no part of its record's own key or of its unit. */
bool round_follows(const struct entity_def *def, size_t f);
/* The record is there, under the key that it has by now. */
bool round_has_agreed_key(const struct vector *v, const struct entity_def *def, size_t e);
void round_ask_follow(struct round *r);
/* By which key others refer to it, and by which they did or may do. have_key: s->key is the one that is agreed now. */
void round_keep_former(struct round *r, struct subject *s, bool have_key);
/* MARK: whoever refers to a record that has got another key somewhere. */
void round_look_at_children(struct round *r);

/* round_exchange.c */
/* LOOKUP: rows that come by the keys of one another are given their records. */
void round_trade_places(struct round *r);
/* A row whose local id is its key: renamed it is another row to whoever knows it by that. */
bool round_is_known_by_key(struct round *r, const struct observation *o);
/* KEYS: which of those that were given another key exchange theirs? */
void round_find_exchanges(struct round *r, struct subject **movers, size_t n);

/* round_read.c */
void round_take_row(struct round *r, struct side *side, struct subject *s, const struct row *row);
bool round_has_listed(const struct round *r, size_t e);
void round_ask_read(struct round *r);
void round_got_read(struct round *r);
void round_got_stamps(struct round *r);
void round_ask_read_keys(struct round *r);
void round_ask_owners(struct round *r);
void round_ask_stamps(struct round *r);

/* round_write.c */
bool round_has_orders(const struct round *r, const struct subject *s);
void round_ask_keys(struct round *r);
const struct rid *round_leaves(const struct subject *s);
void round_ask_intend(struct round *r);
void round_ask_apply(struct round *r);
void round_got_apply(struct round *r);
/* The round is given up, and its writes were answered: they must not pass for edits should the state be gone (own.c). */
void round_note_own(struct round *r);

/* round_journal.c */
void round_print_key(const struct round *r, const struct subject *s, struct buf *out);
bool round_journal_all(struct round *r, struct err *e);		/* durable when true: then what lost may go */
void round_note_agreed(struct round *);	/* before what was written is noted: what is owed goes by the new key, and what was overtaken is owed no more */
void round_note_paid(struct round *, const struct subject *);	/* after its writes: decisions that are owed to nobody any more */
void round_note_written(struct round *r, const struct subject *s, size_t e);

/* held.c */
const struct vector *round_base_of(struct round *r, struct subject *s);	/* what the decision is made upon */
bool round_holds(struct round *r, struct subject *s);	/* true: its delete is held; decide again without that evidence */
void round_settle_held(struct round *r);

/* waiting.c */
void round_add_settlements(struct round *r, const struct subject *s, struct decide_policy *p);
void round_settle_waiting(struct round *r);

/* plan.c */
void round_tell_plan(struct round *r);
void plan_note_parked(struct round *r, struct side *side, bool capture, const struct rid *rid, struct value key, struct value local_id,
		      const char *field, const struct err *cause);
void plan_note_decision(struct sync_plan *, const struct journal_decision *);
void plan_note_news(struct round *r, struct subject *s);	/* of a page: that record is to be decided; here it is over */
bool plan_has_listed(const struct sync_plan *, size_t endpoint);
bool plan_admits_delete(struct sync_plan *, struct side *source);	/* false: the guard would hold it */
void plan_round_over(struct sync_plan *, const struct err *why);	/* why NULL: fine */
struct meter_entity *plan_counts(struct sync_plan *);
struct undo_target **plan_undos(struct sync_plan *);		/* of a dry run of an undo; NULL: it is another plan */
const char *plan_keep(struct sync_plan *, const char *text);	/* as long as that undo lasts */
/* verify_from.c */
void verify_impose(struct round *r, const struct subject *s, struct decide_policy *p);	/* what a side shows, where a repair wants that */

/* round_books.c */
void round_book(struct round *r, const struct subject *s);	/* when its round has been marked */

/* round_mark.c */
void round_ask_mark(struct round *r);
void round_got_mark(struct round *r);
bool round_lets_go_of_key(const struct round *r, const struct subject *s, size_t e);

#endif
