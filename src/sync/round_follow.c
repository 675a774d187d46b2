/*
 * round_follow.c - references to records that have got another key.
 *
 * A record that gets another key keeps the former ones in its vector. A row whose reference shows another value than it did shows it because
 * of that, if the value before is a former key of the record that it shows now: then nobody has edited the reference (model/decide_follow.c).
 * Unless another record has that key by now: it may well be the one that was meant.
 *
 *	FOLLOW	vectors of the records that changed references show
 *		vectors where a former key would be, where it fits
 *
 * References that are part of the record's own key, or of its unit, are not followed: with them the record would move.
 */
#include "sync/round.h"

#include "base/clock.h"
#include "base/fault.h"

/* ---- asking ------------------------------------------------------------------------------------------ */

struct followed {			/* a reference that shows something else at an endpoint */
	struct subject *subject;
	size_t endpoint, field;
	struct rid rid;			/* of the record that it shows; then of one that has the key of before */
};

struct following {			/* those to records of one entity */
	struct round *round;
	struct flow *flow;
	struct followed *list;
	size_t n;
};

static bool is_in_key(const struct entity_def *def, size_t f)
{
	uint64_t unit = decide_unit(def, f);

	for (size_t i = 0; i < def->n_key; i++)
		if (unit & BIT(def->key[i]))
			return true;
	return false;
}

static bool shows_another(const struct subject *s, size_t e, size_t f)
{
	const struct observation *o = &s->seen[e];

	return is_live(s) && s->base != NULL && s->base->seen[e].present && o->what == OBSERVED_ROW && !value_is_null(o->values[f]) &&
	       digest_field(o->digests[f]) != shown_digest(s->base, e, f);
}

enum { PASSES = 30 };		/* about a second */

/*
 * A record that nobody knows: news of it is on its way, in a round or in a look that begins from now on, or nobody will know it. Until then it
 * may be the one that the reference has always meant, and an edit of it would keep a record that somebody deletes.
 */
static bool is_too_early(const struct following *c, const struct followed *x)
{
	const struct round *r = c->round;
	struct side *side = c->flow->sides[x->endpoint];

	if (r->plan != NULL || r->pass >= PASSES || c->flow == r->flow || side == NULL || !side_usable(side) || !side->captures ||
	    fault("f13-what-a-reference-means-is-known-at-once"))
		return false;
	if (x->subject->asked_us == 0)
		x->subject->asked_us = clock_mono_us();
	if (side->clean_us >= x->subject->asked_us)
		return c->flow->n_rounds > 0;
	side->wanted |= !side->capturing;
	flow_pump(c->flow);
	return true;
}

static void on_taken(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct following *c = arg;
	struct rid to;

	round_give_up(c->round, e);
	for (size_t i = 0; e == NULL && i < n; i++)
		if (value_is_null(blobs[i]) || vector_decode_forward(blobs[i], &to) || fault("f13-who-has-the-former-key-now-does-not-matter"))
			c->list[i].subject->seen[c->list[i].endpoint].followed |= BIT(c->list[i].field);
	round_answered(c->round);
}

static void recall(struct following *c, store_vectors_fn *done)
{
	struct rid *rids = arena_alloc(&c->round->arena, (c->n + 1) * sizeof *rids);

	for (size_t i = 0; i < c->n; i++)
		rids[i] = c->list[i].rid;
	if (c->n == 0)
		return;
	c->round->waiting++;
	sync_of(c->round)->store->ops->recall(sync_of(c->round)->store, c->flow->index, rids, c->n, done, c);
}

static void on_shown(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct following *c = arg;
	size_t found = 0;

	round_give_up(c->round, e);
	for (size_t i = 0; e == NULL && i < n; i++) {
		struct followed x = c->list[i];
		const struct vector *v = round_vector(c->round, c->flow, blobs[i]);
		const struct vformer *former = v != NULL ? vector_former(v, shown_digest(x.subject->base, x.endpoint, x.field)) : NULL;

		if (former != NULL && !fault("f13-a-parent-with-another-key-is-another-one")) {
			x.rid = former->rid;
			c->list[found++] = x;
		} else if (v == NULL && is_live(x.subject) && is_too_early(c, &x)) {
			round_put_off(c->round, x.subject);
		}
	}
	c->n = found;
	recall(c, on_taken);
	round_answered(c->round);
}

static size_t count_changed(const struct round *r, size_t f)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		for (size_t e = 0; e < n_endpoints(r); e++)
			n += shows_another(&r->subjects[i], e, f);
	return n;
}

static void follow_field(struct round *r, size_t f)
{
	const struct entity_def *parent = r->flow->def->fields[f].refers;
	size_t n = count_changed(r, f);
	struct following *c;

	if (n == 0)
		return;
	c = arena_alloc(&r->arena, sizeof *c);
	*c = (struct following){ r, &sync_of(r)->flows[parent->index], arena_alloc(&r->arena, n * sizeof *c->list), 0 };
	for (size_t i = 0; i < r->n; i++)
		for (size_t e = 0; e < n_endpoints(r); e++)
			if (shows_another(&r->subjects[i], e, f))
				c->list[c->n++] = (struct followed){ &r->subjects[i], e, f,
								     rid_of(&sync_of(r)->store->key, parent, r->subjects[i].seen[e].values[f]) };
	recall(c, on_shown);
}

void round_ask_follow(struct round *r)
{
	const struct entity_def *def = r->flow->def;

	for (size_t f = 0; f < def->n_fields; f++)
		if (def->fields[f].type == FIELD_REFERENCE && !is_in_key(def, f))
			follow_field(r, f);
}

/* ---- keeping ----------------------------------------------------------------------------------------- */

static bool is_referred_to(const struct sync *s, const struct entity_def *def)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t f = 0; f < s->flows[i].def->n_fields; f++)
			if (s->flows[i].def->fields[f].refers == def)
				return true;
	return false;
}

/* The newest last; none twice. The list is the vector's own. */
static void keep(struct vector *v, const struct vformer *x)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_former; i++)
		if (!rid_equal(&v->former[i].rid, &x->rid))
			v->former[n++] = v->former[i];
	if (n == FORMER_MAX)
		memmove(v->former, v->former + 1, --n * sizeof *v->former);
	v->former[n] = *x;
	v->n_former = n + 1;
}

static void own_list(struct round *r, struct vector *v)
{
	struct vformer *list = arena_alloc(&r->arena, FORMER_MAX * sizeof *list);

	if (v->n_former > 0)
		memcpy(list, v->former, v->n_former * sizeof *list);
	v->former = list;
}

static uint32_t reference_digest(const struct round *r, struct value key)
{
	return digest_field(value_digest(&sync_of(r)->store->key, FIELD_REFERENCE, key));
}

/* What it shows there instead of its key; false: nothing else. */
static bool shows_former(struct round *r, const struct subject *s, size_t e, struct vformer *out)
{
	struct value shown = s->seen[e].what == OBSERVED_ROW ? record_key(r->flow->def, s->seen[e].values, &r->arena) : VALUE_NULL;

	if (value_is_null(shown))
		return false;
	*out = (struct vformer){ reference_digest(r, shown), rid_of(&sync_of(r)->store->key, r->flow->def, shown) };
	return !rid_equal(&out->rid, &s->next_rid);
}

void round_keep_former(struct round *r, struct subject *s, bool have_key)
{
	struct vector *next = s->d.next;
	struct vformer list[ENDPOINTS_MAX + 1];
	size_t n = 0;

	if (!is_referred_to(sync_of(r), r->flow->def))
		return;
	if (round_leaves(s) != NULL && s->base->reference != 0)
		list[n++] = (struct vformer){ s->base->reference, *round_leaves(s) };
	for (size_t e = 0; s->base != NULL && e < n_endpoints(r); e++)
		n += shows_former(r, s, e, &list[n]);
	if (n > 0)
		own_list(r, next);
	for (size_t i = 0; i < n; i++)
		keep(next, &list[i]);
	if (have_key)
		next->reference = reference_digest(r, s->key);
	else if (round_leaves(s) != NULL)
		next->reference = 0;
}
