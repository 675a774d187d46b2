/*
 * decide.h - who wins: three-way per field against the last-seen vector. Pure: no I/O, clock, log or global.
 *
 * Given what was agreed (the vector) and what every endpoint shows now, decide_record() says what is agreed from
 * now on, what has to be written where, and which edits lost. It is a join: the agreed state of a field is
 * the maximum, over all edits ever observed, of a totally ordered key, so order and repetition of
 * observations do not matter (SEMANTICS 9). Rules:
 *
 *   An edit is a field whose value differs from what that endpoint last showed. All fields changed in one
 *   observation get one key; a unit (decide_unit) counts as changed when any of its fields is.
 *   stamp   eff = max(floor(min(reported, now + max_ahead), quantum), base eff + quantum)          (9.3)
 *   order   last-writer-wins: (eff, rank of the writer, n, digest); source-priority: (n, rank, eff, digest), n = base n + 1
 *           newest-filled: what is blank (NULL, empty text) loses to any value, then as last-writer-wins.
 *           max, min: by the values themselves, then as last-writer-wins; a value out of reach stands (decide_extreme.c).
 *           mirror: what the endpoint of rank 0 wrote beats what others wrote, then as last-writer-wins.
 *           add: the differences of all edits are added up (decide_add.c).
 *           manual: different values wait until a person has decided (decide_manual.c).
 *   delete  needs evidence. update-wins: the record lives when some field holds an edit that the deleter had not
 *           seen, whatever the clocks say; delete-wins: it is dead. A new row after the delete is a new generation.
 *           A row that is known to have been inserted after that is both: a delete decided first, and a new row decided upon what that left.
 *   follow  a reference is the key of the record it means. Where that has got another key it shows that, which is no edit (decide_follow.c).
 *   new     a field that is new to the topology competes as on first contact; an empty column loses to any value. What stands there
 *           before somebody edits it keeps no record alive. One that has got another column competes so at that endpoint.
 *   no base equal rows are adopted, one-sided rows copied, differing fields compete as concurrent edits; nothing is deleted (I8).
 *
 * `update-wins` deliberately asks "had the deleter seen it?" and not "which stamp is larger?": an admin
 * who writes it means that no edit made elsewhere is thrown away by a delete that did not know of it.
 */
#ifndef MODEL_DECIDE_H
#define MODEL_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "model/entity.h"
#include "model/vector.h"

struct arena;

#define STAMP_NONE INT64_MIN
#define EFF_PAST INT64_C(-1000000000)	/* before every stamp that any edit has, known or not */

enum observed { OBSERVED_NOTHING, OBSERVED_ROW, OBSERVED_ABSENT };

/* What one endpoint shows now. Values are canonical and cleaned. */
struct observation {
	enum observed what;
	bool evidence;			/* ABSENT: proven to be a delete (log entry, confirmed sweep) */
	bool unexplained;		/* word is on its way: of what became of a row that is ABSENT, or whose one is that is not taken (NOTHING) */
	bool outside;			/* ABSENT: a row outside of the mapping's `where`: the record's, then no delete, or one that has its key */
	bool looked_for;		/* ABSENT: by its key, too, with which an insert in doubt would show */
	bool ours;			/* ROW: its local id is one that our insert gave back */
	bool replaces;			/* ROW: the one that the vector knows there is proven to have been deleted before this one was inserted */
	int64_t stamp;			/* when, corrected to our clock, microseconds; STAMP_NONE */
	uint64_t past;			/* ROW: fields that are of before its database was put back: older than any edit */
	uint64_t moved_columns;		/* ROW: fields that are of another column than what it showed before */
	uint64_t followed;		/* ROW: references that only show that the record they mean has got another key; fields whose form is another one now */
	uint64_t own_forms;		/* ROW: references to what is agreed, whose key it shows in a form of its own */
	uint64_t made;			/* ROW: fields that show what the endpoint makes of what a write in doubt was to write there */
	uint64_t maybe;			/* ROW: fields that may be that: nobody shows any more what it was to write */
	uint64_t moved;			/* ROW: references that show the same key as before, of another record than before */
	uint64_t unclear;		/* ROW: whole units of which nobody can tell yet whether they show news: as if they showed what they did */
	struct value id;		/* ROW: local id */
	const struct value *values;	/* ROW: by field index */
	const uint64_t *digests;	/* ROW: value_digest() of each */
	const struct value *points_to;	/* ROW: local ids of the rows that its references point to, by field index; NULL: it has none */
	uint64_t row;			/* ROW: row_digest() of these */
};

struct decide_endpoint {		/* what an endpoint may do for this entity */
	bool mapped;
	bool votes;			/* its edits count (role is not target) */
	bool writable;			/* it is written (role is not source) */
	bool surveyed;			/* its rows were listed completely: an unknown row is absent */
	bool ignores_deletes;		/* deletes neither come from nor go there */
};

/* What a person decided about a field that waits; also where its value is at hand until somebody shows it. */
struct settlement {
	uint8_t field;
	uint8_t endpoint;		/* that side's value; or, with `given`, */
	bool given;
	struct value value;		/* this one, canonical and cleaned */
	uint64_t digest;
	uint64_t mark;			/* of what waited when it was decided: nothing else is settled by it */
};

/* What a person wants against the rules (decide_imposed.c): values, a whole record; the record's end; or what one side shows, be it nothing. */
struct imposition {
	enum impose { IMPOSE_VALUES, IMPOSE_RECORD, IMPOSE_END, IMPOSE_SIDE } what;
	uint64_t fields;		/* VALUES, SIDE */
	const struct value *values;	/* by field index */
	const uint64_t *digests;	/* of these; by field index, as */
	const uint64_t *expected;	/* VALUES: of what has to be agreed there now; the same: a witness for others of its group */
	bool begun;			/* it may be agreed on already, with nobody to show it yet */
	/* SIDE: only where all that were looked at show what they showed then */
	size_t side;
	uint64_t looked_at, there;	/* by endpoint */
	const uint64_t *rows;		/* by endpoint, where it is there: row_digest() */
};

struct decide_policy {
	const struct entity_def *entity;
	const struct decide_endpoint *endpoints;	/* by endpoint index */
	size_t n_endpoints;
	const struct digest_key *key;
	const uint8_t *row_order;			/* for row_digest() */
	int64_t now_us, max_ahead_us, quantum_us;
	const struct settlement *settlements;		/* of this record */
	size_t n_settlements;
	const struct imposition *imposed;		/* on this record; NULL: nothing */
};

enum action { ACTION_NONE, ACTION_INSERT, ACTION_UPDATE, ACTION_DELETE };

struct order {				/* what to do at one endpoint */
	enum action action;
	uint64_t fields;		/* insert, update */
	uint64_t unclear;		/* update: what is not written, and not taken for known by what comes back either (struct observation) */
	/* When it was carried out: */
	uint64_t astray;		/* references that came to mean another record than they should */
	uint64_t edited;		/* update: fields that were not written, and that the target changed all the same */
};

struct lost_edit {			/* for the journal */
	enum lost_kind { LOST_CONFLICT, LOST_FIRST_CONTACT, LOST_DELETE, LOST_TO_DELETE } kind;
	uint8_t field;			/* FIELDS_MAX: the record as a whole (deletes) */
	uint8_t loser, winner;		/* endpoint indexes; ORIGIN_NONE as winner: nobody's value, a person gave it or it is a sum */
	struct edit_key loser_key, winner_key;
	struct value loser_value, winner_value;
	uint64_t loser_digest, winner_digest, base_digest;	/* 0: not known */
	const char *tie_break;		/* stamp | priority | value | policy | operator | doubt | put-back (sync/) */
};

enum contact { CONTACT_NONE, CONTACT_EQUAL, CONTACT_MERGED, CONTACT_COPIED };

struct decision {
	struct vector *next;		/* the new agreed state; `seen` as shown now, owed where an order stands or is due later */
	struct order *orders;		/* by endpoint index */
	struct value *values;		/* the agreed values by field index; valid where `have` says so */
	uint64_t *digests;		/* their digests, likewise */
	uint64_t have;			/* fields whose agreed value is at hand */
	struct lost_edit *lost;
	size_t n_lost;
	enum contact contact;		/* whether this was a first contact, and what came of it */
	uint64_t happened;		/* endpoints where a write of ours that was in doubt turns out to have been carried out */
	uint64_t edited;		/* endpoints with an edit, insert or delete of their own in this observation */
	uint64_t stood;			/* of these: whose something became part of what is agreed, or waits */
	int64_t oldest_edit_us;		/* smallest reported stamp among them; STAMP_NONE */
	uint64_t waits;			/* fields that wait for a person */
	uint64_t settled;		/* fields that a person has decided in this decision */
	uint64_t put_back, already;	/* fields that are agreed as imposed; that were so without it (of an IMPOSE_END: all or none) */
	uint64_t *words;		/* of what waits, by field index: endpoints whose values differ there ... */
	uint64_t *marks;		/* ... and what these are, for a settlement */
};

/* True when the endpoint shows exactly what the vector says it last showed: an echo, or nothing new. */
bool vector_shows(const struct vector *, size_t endpoint, const struct observation *);

/* Some field of it waits for a person (rule manual), as the vector alone tells. */
bool decide_waits(const struct entity_def *, const struct vector *, uint64_t mapped);	/* endpoints */

/* That endpoint is known to show the record's agreed key in a form of its own. */
bool decide_has_own_key(const struct entity_def *, const struct vector *, size_t endpoint);

/* base NULL: nothing is known of the record. `observed` by endpoint index. All results live in the arena and share its inputs. */
void decide_record(const struct decide_policy *, const struct vector *base, const struct observation *observed,
		   struct arena *, struct decision *out);

/* After a successful write to that endpoint: it shows the agreed state, or `readback` where the target changed what was
 * written (those fields count as normalised and are not sent again; but those astray are). What it made of others is an edit there, as
 * if somebody had made it (SEMANTICS I5): the next look finds it. readback NULL: as sent. id: its local id (after an insert). */
void decide_applied(const struct decide_policy *, struct decision *, size_t endpoint, const struct observation *readback,
		    struct value id, struct arena *);

/* The fields that win or lose together with f, itself among them: its group; the parts of a key, with their groups. (A key
 * made of two people's halves would be one that nobody gave.) */
uint64_t decide_unit(const struct entity_def *, size_t f);

/* Total order of two edits of one field under its rule: <0, 0, >0. Digests break what keys leave equal. What the rule makes
 * of the values themselves (newest-filled) comes before it, in decide_compare(). */
int edit_key_compare(const struct entity_def *, enum rule, const struct edit_key *a, uint32_t digest_a,
		     const struct edit_key *b, uint32_t digest_b);

#endif
