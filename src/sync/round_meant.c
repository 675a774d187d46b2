/*
 * round_meant.c - references to records whose key an endpoint keeps in a form of its own (SEMANTICS F9).
 *
 * A trigger there makes capitals of each key, say. A row that refers to such a record shows the key in that form, by which nobody knows a record.
 * Which one it means is told by the row that it points to. Where that is the one that is agreed, nobody has edited the reference, and what it
 * shows is that endpoint's own form of it. Else somebody has moved it there, and from here on it says so by the key that others know: that
 * is what is agreed on, and what others show when they have got it.
 *
 * Where all keys are the same nobody is asked: it begins when a reference has led to nobody, in FOLLOW or in PARENTS. Then the record that has it is
 * put off, once, and in the next pass
 *
 *	MEANT	records by the local ids that its references point to
 *		vectors of those that are not known by the key that is shown
 *		of those with a form of their own, and not agreed yet: a row that shows the agreed key
 */
#include "sync/round.h"

#include <string.h>

#include "base/fault.h"

struct meant {				/* a reference */
	struct subject *subject;
	struct rid rid;			/* of the record whose row it points to */
	const struct vector *vector;	/* of that */
};

struct meaning {			/* those that one field shows at one endpoint */
	struct round *round;
	struct flow *parents;
	size_t endpoint, field;
	struct meant *list;
	size_t n;
};

struct telling {			/* and what they mean is told by a row at this side */
	struct meaning *of;
	const struct side *side;
};

bool round_goes_by_rows(struct round *r, struct subject *s)
{
	if (s->by_rows || fault("f09-who-leads-to-nobody-is-not-asked-for-the-row") || fault("f13-what-a-reference-means-is-known-at-once"))
		return false;
	s->by_rows = true;
	round_put_off(r, s);
	return true;
}

/* ---- the agreed key ---------------------------------------------------------------------------------- */

/* What is agreed, the base says; and so it does of what was seen there last. */
static bool is_agreed(const struct meaning *c, const struct subject *s, uint32_t reference)
{
	return s->base != NULL && !s->base->dead && s->base->seen[c->endpoint].present && reference == s->base->fields[c->field].digest;
}

static bool is_news(const struct meaning *c, const struct subject *s, uint32_t reference)
{
	return s->base == NULL || !s->base->seen[c->endpoint].present || reference != shown_digest(s->base, c->endpoint, c->field);
}

static void say_by_key(const struct meaning *c, struct subject *s, struct value key, uint64_t digest)
{
	const struct entity_def *def = c->round->flow->def;
	struct observation *o = &s->seen[c->endpoint];
	struct value *values = arena_alloc(&c->round->arena, def->n_fields * sizeof *values);
	uint64_t *digests = arena_alloc(&c->round->arena, def->n_fields * sizeof *digests);

	memcpy(values, o->values, def->n_fields * sizeof *values);
	memcpy(digests, o->digests, def->n_fields * sizeof *digests);
	values[c->field] = key;
	digests[c->field] = digest;
	o->values = values;
	o->digests = digests;
	o->row = row_digest(&sync_of(c->round)->store->key, digests, def->n_fields, round_row_order(c->round));
}

static void take_key(const struct meaning *c, struct subject *s, struct value key)
{
	uint64_t digest = value_digest(&sync_of(c->round)->store->key, FIELD_REFERENCE, key);

	if (is_agreed(c, s, digest_field(digest))) {
		s->seen[c->endpoint].own_forms |= BIT(c->field);
		return;
	}
	say_by_key(c, s, key, digest);
	s->again |= is_news(c, s, digest_field(digest));	/* of what is agreed by then the next look finds the form */
}

static void take_keys_of(const struct telling *t, const struct row *row)
{
	const struct meaning *c = t->of;
	struct round *r = c->round;
	const struct entity_def *def = c->parents->def;
	struct meter_entity counted = { 0 };		/* with a round of its own */
	const struct field_def *bad;
	struct observation o;
	struct err e = { 0 };
	struct value key;
	struct rid rid;

	if (!observe_row(c->parents, t->side, row, &r->arena, &counted, &o, &bad, &e) || o.what != OBSERVED_ROW)
		return;
	key = record_key(def, o.values, &r->arena);
	if (value_is_null(key))
		return;
	rid = rid_of(&sync_of(r)->store->key, def, key);
	for (size_t i = 0; i < c->n; i++)
		if (rid_equal(&rid, &c->list[i].rid))
			take_key(c, c->list[i].subject, key);
}

/* A side that fails tells nothing: the reference is taken as it is shown, and looked at again when it is to be written there. */
static void on_told(void *arg, struct rowset *rows, const struct err *e)
{
	struct telling *t = arg;

	if (e == NULL) {
		round_keep_rows(t->of->round, rows);
		for (size_t i = 0; i < rows->n; i++)
			take_keys_of(t, &rows->rows[i]);
	}
	round_answered(t->of->round);
}

static bool is_asked(const struct value *ids, size_t n, struct value id)
{
	for (size_t i = 0; i < n; i++)
		if (value_equal(ids[i], id))
			return true;
	return false;
}

/* Each of them is asked for at the first side that shows its key. */
static void ask_keys_at(struct meaning *c, size_t e)
{
	struct round *r = c->round;
	struct side *side = c->parents->sides[e];
	struct telling *t = arena_alloc(&r->arena, sizeof *t);
	struct value *ids = arena_alloc(&r->arena, c->n * sizeof *ids);
	size_t n = 0;

	for (size_t i = 0; i < c->n; i++) {
		const struct vector *v = c->list[i].vector;

		if (v == NULL || !round_has_agreed_key(v, c->parents->def, e))
			continue;
		if (!is_asked(ids, n, v->seen[e].id))
			ids[n++] = v->seen[e].id;
		c->list[i].vector = NULL;
	}
	if (n == 0)
		return;
	*t = (struct telling){ c, side };
	r->waiting++;
	side->link->ops->read(side->link, ids, n, on_told, t);
}

/* ---- which record is it? ----------------------------------------------------------------------------- */

static void on_vectors(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct meaning *c = arg;
	size_t moved = 0;

	round_give_up(c->round, e);
	for (size_t i = 0; e == NULL && i < n; i++) {
		struct meant m = c->list[i];

		m.vector = round_vector(c->round, c->parents, blobs[i]);
		if (!round_points_to(m.subject, c->endpoint, c->field, m.vector) || !decide_has_own_key(c->parents->def, m.vector, c->endpoint))
			continue;
		if (is_agreed(c, m.subject, m.vector->reference))
			m.subject->seen[c->endpoint].own_forms |= BIT(c->field);
		else
			c->list[moved++] = m;
	}
	c->n = moved;
	for (size_t k = 0; c->n > 0 && k < n_endpoints(c->round); k++)
		if (c->parents->sides[k] != NULL && side_usable(c->parents->sides[k]))
			ask_keys_at(c, k);
	round_answered(c->round);
}

static void on_pointed_to(void *arg, const struct rid *rids, const bool *found, size_t n, const struct err *e)
{
	struct meaning *c = arg;
	struct store *store = sync_of(c->round)->store;
	struct rid *others = arena_alloc(&c->round->arena, (n + 1) * sizeof *others);
	size_t kept = 0;

	round_give_up(c->round, e);
	for (size_t i = 0; e == NULL && i < n; i++) {
		struct subject *s = c->list[i].subject;
		struct rid shown = rid_of(&store->key, c->parents->def, s->seen[c->endpoint].values[c->field]);

		if (!found[i] || rid_equal(&rids[i], &shown) || fault("f09-a-key-in-another-form-is-another-record"))
			continue;
		others[kept] = rids[i];
		c->list[kept++] = (struct meant){ s, rids[i], NULL };
	}
	c->n = kept;
	if (kept > 0) {
		c->round->waiting++;
		store->ops->recall(store, c->parents->index, others, kept, on_vectors, c);
	}
	round_answered(c->round);
}

static bool is_to_be_told(const struct subject *s, size_t e, size_t f)
{
	const struct observation *o = &s->seen[e];

	return s->by_rows && is_live(s) && o->what == OBSERVED_ROW && !value_is_null(o->values[f]);
}

static void ask_meant(struct round *r, size_t e, size_t f)
{
	struct meaning *c;
	struct value *ids;
	size_t most = 0, n = 0;

	for (size_t i = 0; i < r->n; i++)
		most += is_to_be_told(&r->subjects[i], e, f);
	if (most == 0)
		return;
	c = arena_alloc(&r->arena, sizeof *c);
	ids = arena_alloc(&r->arena, most * sizeof *ids);
	*c = (struct meaning){ r, &sync_of(r)->flows[r->flow->def->fields[f].refers->index], e, f,
			       arena_alloc(&r->arena, most * sizeof *c->list), 0 };
	for (size_t i = 0; i < r->n; i++)
		if (is_to_be_told(&r->subjects[i], e, f)) {
			c->list[n].subject = &r->subjects[i];
			ids[n++] = r->subjects[i].seen[e].points_to[f];
		}
	r->waiting++;
	sync_of(r)->store->ops->lookup(sync_of(r)->store, c->parents->index, (uint8_t)e, ids, n, on_pointed_to, c);
}

void round_ask_meant(struct round *r)
{
	const struct entity_def *def = r->flow->def;

	for (size_t f = 0; f < def->n_fields; f++)
		for (size_t e = 0; round_follows(def, f) && e < n_endpoints(r); e++)
			ask_meant(r, e, f);
}
