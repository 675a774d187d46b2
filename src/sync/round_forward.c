/*
 * round_forward.c - the row of an insert in doubt, whose record has got another key since.
 *
 * Whether the insert happened is found out when its record is looked at again. But the endpoint may come back first with the row as
 * news, under the key with which it was tried; and nobody would know that key: it would pass for a new record, and the one that people
 * have renamed would be there twice. So as long as the doubt lasts, a forward stands in the store in that key's place and says where the record is.
 *
 *	moves away from a key with a doubt	forward instead of no vector (round_forward_mark)
 *	news of a row under a key with a forward	is taken for that record (round_forward_follow), if it shows what was
 *					inserted (round_forward_judge); else it is what it seems: somebody else's
 *	the doubt is resolved		no forward any more
 *
 * A record that is given such a key by people takes the place; the row is then its own, as any row with its key is.
 */
#include "sync/round.h"

#include "base/buf.h"
#include "model/doubt.h"

/* Where an insert there was tried that is in doubt. False: none is. */
static bool tried_at(const struct sync *s, const struct flow *flow, const struct vector *v, size_t e, struct rid *out)
{
	const struct vseen *seen = &v->seen[e];

	if (!seen->uncertain || seen->present || seen->tried_key.len <= 0)
		return false;
	*out = rid_of(&s->store->key, flow->def, seen->tried_key);
	return true;
}

static bool is_wanted(const struct round *r, const struct vector *v, const struct rid *at)
{
	struct rid tried;

	for (size_t e = 0; e < n_endpoints(r); e++)
		if (tried_at(sync_of(r), r->flow, v, e, &tried) && rid_equal(&tried, at))
			return true;
	return false;
}

/* ---- following one ----------------------------------------------------------------------------------- */

void round_forward_follow(struct round *r, struct subject *s, struct value blob)
{
	struct rid to;

	if (r->side == NULL || value_is_null(s->source_id) || s->own_way || !vector_decode_forward(blob, &to))
		return;
	s->old_rid = to;
	s->has_old = true;
}

bool round_forward_leads(const struct round *r, const struct subject *s, const struct vector *v)
{
	struct rid tried;

	return s->has_rid && tried_at(sync_of(r), r->flow, v, r->side->endpoint, &tried) && rid_equal(&tried, &s->rid);
}

bool round_is_our_insert(struct round *r, const struct subject *s, size_t e, const struct observation *o)
{
	struct vseen shown;
	uint64_t guessed, suspect;

	return doubt_resolve(s->base, r->flow->def, e, o, &r->arena, &shown, &guessed, &suspect) == DOUBT_HAPPENED;
}

void round_forward_judge(struct round *r, struct subject *s)
{
	struct observation *o = &s->seen[r->side->endpoint];
	struct rid tried;

	if (!s->forwarded || o->what != OBSERVED_ROW || round_is_our_insert(r, s, r->side->endpoint, o))
		return;
	s->own_way = true;
	if (tried_at(sync_of(r), r->flow, s->base, r->side->endpoint, &tried)) {
		round_put_off(r, s);
		s->rid = tried;
	}
}

/* ---- which there are --------------------------------------------------------------------------------- */

struct looking {			/* the n-th answer is of that subject's doubt at that endpoint */
	struct round *round;
	struct subject **list;
	uint8_t *endpoints;
};

static void on_forwards(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct looking *l = arg;

	round_give_up(l->round, e);
	for (size_t i = 0; e == NULL && i < n; i++) {
		struct subject *s = l->list[i];
		struct rid to;

		if (!value_is_null(blobs[i]) && vector_decode_forward(blobs[i], &to) && rid_equal(&to, s->moved ? &s->old_rid : &s->rid))
			s->forwards |= BIT(l->endpoints[i]);
	}
	round_answered(l->round);
}

void round_ask_forwards(struct round *r)
{
	struct looking *l = NULL;
	struct rid *rids = NULL, tried;
	size_t n = 0;

	for (size_t i = 0; r->plan == NULL && i < r->n; i++)
		for (size_t e = 0; is_live(&r->subjects[i]) && r->subjects[i].base != NULL && e < n_endpoints(r); e++) {
			if (!tried_at(sync_of(r), r->flow, r->subjects[i].base, e, &tried))
				continue;
			if (l == NULL) {
				l = arena_alloc(&r->arena, sizeof *l);
				*l = (struct looking){ r, arena_alloc(&r->arena, r->n * n_endpoints(r) * sizeof *l->list),
						       arena_alloc(&r->arena, r->n * n_endpoints(r)) };
				rids = arena_alloc(&r->arena, r->n * n_endpoints(r) * sizeof *rids);
			}
			rids[n] = tried;
			l->list[n] = &r->subjects[i];
			l->endpoints[n++] = (uint8_t)e;
		}
	if (n == 0)
		return;
	r->waiting++;
	sync_of(r)->store->ops->recall(sync_of(r)->store, r->flow->index, rids, n, on_forwards, l);
}

/* ---- writing them ------------------------------------------------------------------------------------ */

/* Only where there is one, or the record's own vector was: another record may be there. */
static bool may_stand(const struct subject *s, size_t e, const struct rid *at)
{
	const struct rid *from = round_leaves(s);

	return s->forwards & BIT(e) || (from != NULL && rid_equal(from, at));
}

static void put(struct round *r, struct store_put *puts, size_t *n, const struct rid *at, const struct rid *to)
{
	struct buf blob = { 0 };

	for (size_t i = 0; i < *n; i++)
		if (rid_equal(&puts[i].rid, at))
			return;
	puts[*n] = (struct store_put){ .rid = *at, .blob = VALUE_NULL };
	if (to != NULL) {
		vector_encode_forward(to, &blob);
		puts[*n].blob = (struct value){ arena_dup(&r->arena, blob.p, blob.len), (int32_t)blob.len };
		buf_fini(&blob);
	}
	++*n;
}

size_t round_forward_mark(struct round *r, const struct subject *s, struct store_put **out)
{
	const struct vector *next = s->d.next;
	struct rid at;
	size_t n = 0;

	*out = NULL;
	if (s->base == NULL)
		return 0;
	for (size_t e = 0; e < n_endpoints(r); e++) {
		bool had = s->forwards & BIT(e) && tried_at(sync_of(r), r->flow, s->base, e, &at) && !rid_equal(&at, &s->next_rid);

		if (!had && !tried_at(sync_of(r), r->flow, next, e, &at))
			continue;
		if (*out == NULL)
			*out = arena_alloc(&r->arena, 2 * n_endpoints(r) * sizeof **out);
		if (had && !is_wanted(r, next, &at))
			put(r, *out, &n, &at, NULL);
		if (tried_at(sync_of(r), r->flow, next, e, &at) && !rid_equal(&at, &s->next_rid) && may_stand(s, e, &at))
			put(r, *out, &n, &at, &s->next_rid);
	}
	return n;
}

bool round_forward_complete(const struct round *r, const struct subject *s, const struct vector *intended)
{
	struct rid at;

	for (size_t e = 0; e < n_endpoints(r); e++)
		if (tried_at(sync_of(r), r->flow, intended, e, &at) && !rid_equal(&at, &s->next_rid) && !may_stand(s, e, &at))
			return false;
	return true;
}

size_t forward_restore(const struct sync *s, const struct flow *flow, const struct vector *v, const struct rid *rid, const struct rid *left, bool complete,
		       struct rid out[ENDPOINTS_MAX])
{
	size_t n = 0;

	for (size_t e = 0; e < v->n_endpoints; e++)
		if (tried_at(s, flow, v, e, &out[n]) && !rid_equal(&out[n], rid) && (complete || (left != NULL && rid_equal(&out[n], left))))
			n++;
	return n;
}
