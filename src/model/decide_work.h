/*
 * decide_work.h - inside a decision: its parts, and what its files call of each other.
 *
 *   decide.c         which edits there are, their stamps, the join; putting it together
 *   decide_extreme.c max and min: by value, not by key
 *   decide_add.c     add: by differences
 *   decide_manual.c  manual: what waits for a person
 *   decide_follow.c  references to records that have got another key
 *   decide_imposed.c what a person puts back or imposes
 *   decide_life.c    deletes against edits, new generations; what lost, for the journal
 *   decide_orders.c  what everybody shows now, and what has to be written where
 */
#ifndef MODEL_DECIDE_WORK_H
#define MODEL_DECIDE_WORK_H

#include "base/fault.h"
#include "model/decide.h"
#include "model/doubt.h"

#define BIT(i) (UINT64_C(1) << (i))

struct edit {			/* of one endpoint in this observation */
	uint64_t changed;	/* fields that are news from there */
	uint64_t no_base;	/* of these: fields for which nobody knows what it showed before */
	struct edit_key *keys;	/* by field index */
	bool removed;		/* its row is gone, with evidence */
	bool missing;		/* its row is gone, without */
	bool reborn;		/* a row where the vector knows there was none */
	enum doubt_verdict doubt;
	uint64_t guessed;	/* fields that may or may not have been edited on top of a write of ours in doubt */
	uint64_t spoke;		/* RULE_MANUAL: fields where its word was among those that do not wait any more */
	uint64_t suspect;	/* fields that show what we know, and may be somebody's edit all the same */
};

struct work {
	const struct decide_policy *policy;
	const struct entity_def *entity;
	const struct vector *base;
	const struct observation *seen;
	struct arena *arena;
	struct decision *out;
	struct edit *edits;
	uint8_t *winner;	/* by field: endpoint whose edit of this observation won; 255: the base stands */
	uint64_t added;		/* RULE_ADD: fields whose differences were added up */
	uint64_t vanished;	/* max and min: fields whose agreed value is shown nowhere any more */
	uint64_t replaced;	/* fields where another value took the place of such a one, under its key */
	uint64_t late;		/* RULE_MANUAL: fields where somebody edited who had not seen the agreed value */
	uint64_t imposed, drawn;	/* fields that a person puts back now; with those of their units */
	bool ended;			/* by a person, now; and the key of that: */
	struct edit_key ended_key;
	/* By field, set as far as there are any: to clear the rest would take as long as deciding about a simple record. */
	uint64_t unit[FIELDS_MAX];	/* those that win or lose with it, itself among them */
	uint32_t word_n[FIELDS_MAX];	/* RULE_MANUAL: a word has a greater n */
	struct edit_key word_key[FIELDS_MAX];	/* RULE_MANUAL, by unit: of what is agreed where words were heard; n 0: none were */
};

static inline uint64_t all_fields(const struct entity_def *d)
{
	return d->n_fields == 64 ? ~UINT64_C(0) : BIT(d->n_fields) - 1;
}

static inline unsigned rank_of(const struct entity_def *d, uint8_t origin)
{
	return origin < ENDPOINTS_MAX ? d->rank[origin] : 255;
}

static inline uint64_t shown_row(const struct vector *v, size_t e)
{
	return v->seen[e].same ? v->row : v->seen[e].row;
}

static inline bool base_knows(const struct work *w, size_t e)
{
	return w->base != NULL && w->base->seen[e].present && !w->edits[e].reborn;
}

/* The record is known, this field is new to the topology; or its column is new to that endpoint. */
static inline bool is_new_field(const struct work *w, size_t e, size_t f)
{
	return base_knows(w, e) && (w->edits[e].no_base & BIT(f)) && (w->entity->fields[f].group < 0 || w->base->fields[f].digest != 0);
}

/* An edit that the deleter had not seen brings the record back. */
static inline bool update_wins(const struct work *w)
{
	return (w->entity->deletes == DELETES_UPDATE_WINS && !fault("f10-whoever-deletes-wins")) || fault("f10-whoever-edits-wins");
}

/* A group is compared by its leader, the first of its fields, so that no two of them can take different sides. */
static inline size_t leader_of(const struct work *w, size_t f)
{
	return (size_t)__builtin_ctzll(w->unit[f]);
}

/* RULE_MIRROR: it is the mirrored endpoint's own. */
static inline bool is_mirrored(const struct entity_def *d, const struct edit_key *key)
{
	return rank_of(d, key->origin) == 0;
}

static inline bool is_extreme(enum rule rule)
{
	return rule == RULE_MAX || rule == RULE_MIN;
}

/* decide.c */
/* Total order of two edits of one field, by its rule; for a unit that of its leader. A digest below 2^24 is a short one. */
int decide_compare(const struct work *w, size_t f, const struct edit_key *a, uint64_t digest_a,
		   const struct edit_key *b, uint64_t digest_b);
bool decide_is_blank(const struct work *w, size_t f, uint64_t digest);	/* NULL or empty text */
struct vdeviation decide_left_blank(const struct digest_key *, const struct entity_def *, size_t f);
struct edit_key decide_shown_key(const struct work *w, size_t e, size_t f);	/* of the value that the base says it shows */
struct edit_key decide_key_now(const struct work *w, size_t e, size_t f);	/* of the value that it shows now */
/* What it showed before this observation is what is agreed, or was written on top of that. By a rule where a later edit wins: the former. */
bool decide_had_seen(const struct work *w, size_t e, size_t f);
bool decide_is_digest_of(uint64_t digest, uint64_t whole);	/* digest: whole, or a short one */
bool decide_all_observed(const struct work *w);	/* whole */
int64_t decide_reported_stamp(const struct work *w, size_t e, bool on_a_base);
uint8_t decide_find_holder(const struct work *w, size_t f);	/* an endpoint that shows the value of the base; 255: none */
void decide_join_fields(struct work *w, bool new_life);

/* decide_extreme.c */
/* Order of two values by an extreme rule: the one that stands is the greater. 0 also where one of them is out of reach. */
int decide_extreme_compare(const struct work *w, size_t f, uint64_t digest_a, uint64_t digest_b);
const struct value *decide_extreme_known(const struct work *w, size_t f, uint64_t digest);	/* shown by somebody, or kept in the state; or NULL */
uint8_t decide_extreme_winner(struct work *w, size_t f, bool new_life);	/* as the winner of any other rule */
/* What it shows is known to lose to what the base has agreed on. */
bool decide_extreme_beaten(const struct work *w, size_t e, size_t f);
/* An edit there waits for a value that is out of reach, be it its own: nobody can say yet whether it stands. */
bool decide_extreme_waits(const struct work *w, size_t f, size_t e);
/* What it shows is known from then on, whoever is there to show it. */
bool decide_extreme_keeps(const struct work *w, size_t f, size_t e);
/* What it showed was an edit that waited; and it does not stand now, or can be asked. */
bool decide_extreme_waited(const struct work *w, size_t f, size_t e);

/* decide_add.c */
enum { AMOUNT_BYTES_MAX = 200 };	/* of a value that the state keeps */
bool decide_add_up(struct work *w, size_t f, bool new_life);	/* false: it is as under last-writer-wins */
void decide_add_at_hand(struct work *w, size_t f);		/* the agreed value, from the vector */
void decide_keep_amounts(struct work *w);
void decide_keep_readback(const struct decide_policy *policy, struct vector *next, const struct vseen *s, const struct observation *readback,
			  struct arena *arena);

/* decide_manual.c */
/* False: nobody says anything of his own there, and it is as last-writer-wins. 255: what is agreed stands, or was given. */
bool decide_manual_winner(struct work *w, size_t f, bool new_life, uint8_t *winner);
void decide_release_words(struct work *w, size_t e);
struct edit_key decide_word_key(const struct work *w, size_t e, size_t f);
bool decide_had_word(const struct work *w, size_t e, size_t f);	/* as the base tells */
const struct settlement *decide_given_value(const struct work *w, size_t f);	/* what was given is what is agreed; NULL: not so */
/* Its word there waits, and the deleter showed something else; nobody (ORIGIN_NONE) has seen any. */
bool decide_word_unseen(const struct work *w, size_t f, size_t e, size_t deleter);

static inline bool keeps_word(const struct work *w, size_t e, size_t f)
{
	return (w->out->waits & BIT(f)) && (w->out->words[f] & BIT(e));
}

/* decide_follow.c */
void decide_follow(struct work *w);	/* from here on the base says what is shown now */
void decide_leave_unclear(struct work *w);	/* and this is what is seen from here on */

/* decide_imposed.c */
void decide_find_imposed(struct work *w);
bool decide_comes_back(const struct work *w);	/* a person brings the record back: nobody need show it yet */
/* A person has ended it as far as nobody had touched it: an edit that turns up brings it back, whatever the policy of deletes. */
bool decide_is_guarded_end(const struct work *w);
bool decide_impose(struct work *w, size_t f);			/* true: it is agreed there, and at hand */

/* decide_life.c */
ptrdiff_t decide_unseen_edit(const struct work *w, size_t deleter);	/* the first field with one; -1: it had seen everything */
void decide_note_lost_delete(struct work *w, size_t e);
void decide_life(struct work *w);

/* decide_orders.c */
void decide_give_orders(struct work *w);

/* What it shows, or showed last: whole, or the short form of which the base knows. */
static inline uint64_t digest_now(const struct work *w, size_t e, size_t f)
{
	return w->seen[e].what == OBSERVED_ROW ? w->seen[e].digests[f] : shown_digest(w->base, e, f);
}

#endif
