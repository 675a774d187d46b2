/*
 * round_exchange.c - rows that have exchanged their record keys: two of them, or any circle.
 *
 * Each of these records goes where another one's vector stands, which goes on as well. So all of them are decided in one round, and are intended and
 * marked together or not at all: a key is not free as long as somebody may come back to it.
 *
 *	LOOKUP	news comes by the key that a row shows, and that is another one's here: each row is given the record that it is of
 *	KEYS	what was decided is a circle, and nothing stands against it: none of them needs a key that is free
 *
 * What stands against it is in doc/identity.md. Then, and where not all of them are in this round, each of them finds its key taken
 * (round_write.c, round_recall.c) and is parked; all that are parked are looked at in one round as soon as another one is.
 */
#include "sync/round.h"

#include "base/fault.h"

/* ---- who takes whose place --------------------------------------------------------------------------- */

#define NOWHERE SIZE_MAX

struct place {
	struct rid rid;
	size_t who;
	UT_hash_handle hh;
};

/* Of n, each of which is at a place and goes to another's or nowhere. A batch may be one long chain: nobody is looked at twice. */
struct circles {
	size_t n;
	struct place *places, *table;
	size_t *next;			/* to whose; NOWHERE */
	size_t *walk;			/* the first way on which it was come upon, from 1; 0: none yet */
	bool *in_one;			/* it is part of a circle */
};

/* In the round's arena, but for the index: circles_fini(). */
static void circles_init(struct circles *c, struct round *r, size_t n)
{
	*c = (struct circles){ .n = n, .places = arena_zalloc(&r->arena, n * sizeof *c->places), .next = arena_alloc(&r->arena, n * sizeof *c->next),
			       .walk = arena_zalloc(&r->arena, n * sizeof *c->walk), .in_one = arena_zalloc(&r->arena, n * sizeof *c->in_one) };
}

static void circles_fini(struct circles *c)
{
	HASH_CLEAR(hh, c->table);
}

static void circles_add(struct circles *c, size_t i, const struct rid *rid)
{
	c->places[i].rid = *rid;
	c->places[i].who = i;
	HASH_ADD(hh, c->table, rid, sizeof c->places[i].rid, &c->places[i]);
}

static size_t circles_at(const struct circles *c, const struct rid *rid)
{
	struct place *p;

	HASH_FIND(hh, c->table, rid, sizeof *rid, p);
	return p != NULL ? p->who : NOWHERE;
}

static void circles_find(struct circles *c)
{
	for (size_t from = 0; from < c->n; from++) {
		size_t at = from;

		while (at != NOWHERE && c->walk[at] == 0) {
			c->walk[at] = from + 1;
			at = c->next[at];
		}
		if (at == NOWHERE || c->walk[at] != from + 1)
			continue;
		for (; !c->in_one[at]; at = c->next[at])
			c->in_one[at] = true;
	}
}

/* ---- LOOKUP ------------------------------------------------------------------------------------------ */

/* Its row is another record's: that one's, which is in this round as well, by the key that it had. */
static bool may_trade(const struct subject *s)
{
	return is_live(s) && s->has_rid && s->has_old && !s->confirmed && s->base != NULL;
}

/* The vector of the record that its row is of, when that is the one in `other`; NULL: it is not. */
static struct vector *vector_of_row(const struct round *r, const struct subject *s, const struct subject *other)
{
	size_t e = r->side->endpoint;

	if (!other->base->seen[e].present || !value_equal(other->base->seen[e].id, s->source_id))
		return NULL;
	return other->base;
}

/* Claimed they are already, each by another one. */
void round_trade_places(struct round *r)
{
	struct subject **list = NULL;
	struct vector **theirs;
	struct circles c;
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (may_trade(&r->subjects[i])) {
			if (list == NULL)
				list = arena_alloc(&r->arena, r->n * sizeof *list);
			list[n++] = &r->subjects[i];
		}
	if (n < 2 || fault("f13-rows-that-exchange-their-keys-are-not-known"))
		return;
	circles_init(&c, r, n);
	for (size_t i = 0; i < n; i++)
		circles_add(&c, i, &list[i]->rid);
	for (size_t i = 0; i < n; i++)
		c.next[i] = circles_at(&c, &list[i]->old_rid);
	theirs = arena_zalloc(&r->arena, n * sizeof *theirs);
	for (size_t i = 0; i < n; i++)
		theirs[i] = c.next[i] < n ? vector_of_row(r, list[i], list[c.next[i]]) : NULL;
	for (size_t i = 0; i < n; i++)
		c.next[i] = theirs[i] != NULL ? c.next[i] : NOWHERE;
	circles_find(&c);
	circles_fini(&c);
	for (size_t i = 0; i < n; i++) {
		if (!c.in_one[i])
			continue;
		list[i]->rid = list[i]->old_rid;
		list[i]->base = theirs[i];
		list[i]->has_old = false;
		list[i]->confirmed = true;
	}
}

/* ---- KEYS -------------------------------------------------------------------------------------------- */

/* An endpoint's local id that is the key as well: there is no other row by which it could be known that it was renamed. */
bool round_is_known_by_key(struct round *r, const struct observation *o)
{
	return o->what == OBSERVED_ROW && value_equal(o->id, record_key(r->flow->def, o->values, &r->arena));
}

static bool may_exchange(struct round *r, const struct subject *s)
{
	if (s->base == NULL || s->moved || s->undo != NULL || s->d.waits != 0 || s->d.next->dead)
		return false;
	for (size_t e = 0; e < n_endpoints(r); e++) {
		const struct side *side = r->flow->sides[e];

		if (s->d.next->seen[e].uncertain || round_is_known_by_key(r, &s->seen[e]) || (side != NULL && side->guard.held > 0 && held_is(side, &s->rid)))
			return false;
	}
	return true;
}

/* What was refused of it under its former key is another write now, and that key another record's. */
static void forget_refusals(struct round *r, const struct subject *s)
{
	for (size_t e = 0; r->plan == NULL && e < n_endpoints(r); e++)
		if (r->flow->sides[e] != NULL)
			unpark_record(r->flow->sides[e], false, &s->rid, VALUE_NULL);
}

void round_find_exchanges(struct round *r, struct subject **movers, size_t n)
{
	struct circles c;

	if (n < 2)
		return;
	circles_init(&c, r, n);
	for (size_t i = 0; i < n; i++)
		circles_add(&c, i, &movers[i]->rid);
	for (size_t i = 0; i < n; i++)		/* one that may not is no way on for the others */
		c.next[i] = may_exchange(r, movers[i]) ? circles_at(&c, &movers[i]->next_rid) : NOWHERE;
	circles_find(&c);
	for (size_t i = 0; i < n; i++) {
		movers[i]->exchanges = c.in_one[i];
		if (c.in_one[i])
			forget_refusals(r, movers[i]);
	}
	circles_fini(&c);
}
