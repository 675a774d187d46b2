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

/* ---- LOOKUP ------------------------------------------------------------------------------------------ */

/* Its row is another record's: that one's, which is in this round as well, by the key that it had. */
static bool may_trade(const struct subject *s)
{
	return is_live(s) && s->has_rid && s->has_old && !s->confirmed && s->base != NULL;
}

static struct subject *with_rid(struct subject *const *list, size_t n, const struct rid *rid)
{
	for (size_t i = 0; i < n; i++)
		if (rid_equal(&list[i]->rid, rid))
			return list[i];
	return NULL;
}

/* The vector of the record that its row is of; NULL: it is not here. */
static struct vector *vector_of_row(const struct round *r, const struct subject *s, struct subject *const *list, size_t n)
{
	const struct subject *other = with_rid(list, n, &s->old_rid);
	size_t e = r->side->endpoint;

	if (other == NULL || !other->base->seen[e].present || !value_equal(other->base->seen[e].id, s->source_id))
		return NULL;
	return other->base;
}

/* Those whose record is here as somebody else; of them again, until they are only circles. */
static size_t keep_circles(const struct round *r, struct subject **list, struct vector **theirs, size_t n)
{
	size_t before;

	do {
		before = n;
		n = 0;
		for (size_t i = 0; i < before; i++)
			if (vector_of_row(r, list[i], list, before) != NULL)
				list[n++] = list[i];
	} while (n < before);
	for (size_t i = 0; i < n; i++)
		theirs[i] = vector_of_row(r, list[i], list, n);
	return n;
}

/* Claimed they are already, each by another one. */
void round_trade_places(struct round *r)
{
	struct subject **list = NULL;
	struct vector **theirs;
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (may_trade(&r->subjects[i])) {
			if (list == NULL)
				list = arena_alloc(&r->arena, r->n * sizeof *list);
			list[n++] = &r->subjects[i];
		}
	if (n < 2 || fault("f13-rows-that-exchange-their-keys-are-not-known"))
		return;
	theirs = arena_alloc(&r->arena, n * sizeof *theirs);
	n = keep_circles(r, list, theirs, n);
	for (size_t i = 0; i < n; i++) {
		list[i]->rid = list[i]->old_rid;
		list[i]->base = theirs[i];
		list[i]->has_old = false;
		list[i]->confirmed = true;
	}
}

/* ---- KEYS -------------------------------------------------------------------------------------------- */

/* An endpoint's local id that is the key as well: there is no other row by which it could be known that it was renamed. */
static bool is_known_by_key(struct round *r, const struct subject *s, size_t e)
{
	const struct observation *o = &s->seen[e];

	return o->what == OBSERVED_ROW && value_equal(o->id, record_key(r->flow->def, o->values, &r->arena));
}

static bool may_exchange(struct round *r, const struct subject *s)
{
	if (s->base == NULL || s->moved || s->undo != NULL || s->d.waits != 0 || s->d.next->dead)
		return false;
	for (size_t e = 0; e < n_endpoints(r); e++) {
		const struct side *side = r->flow->sides[e];

		if (s->base->seen[e].uncertain || is_known_by_key(r, s, e) || (side != NULL && side->guard.held > 0 && held_is(side, &s->rid)))
			return false;
	}
	return true;
}

/* Whose place it takes; NULL: nobody's who moves, too. */
static struct subject *next_of(const struct subject *s, struct subject *const *list, size_t n)
{
	return with_rid(list, n, &s->next_rid);
}

static bool is_circle(struct round *r, const struct subject *s, struct subject *const *list, size_t n)
{
	const struct subject *at = s;

	for (size_t i = 0; i < n; i++) {
		if (!may_exchange(r, at))
			return false;
		at = next_of(at, list, n);
		if (at == NULL || at == s)
			return at == s;
	}
	return false;
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
	if (n < 2)
		return;
	for (size_t i = 0; i < n; i++)
		movers[i]->exchanges = is_circle(r, movers[i], movers, n);
	for (size_t i = 0; i < n; i++)
		if (movers[i]->exchanges)
			forget_refusals(r, movers[i]);
}
