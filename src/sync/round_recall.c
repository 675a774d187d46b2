/*
 * round_recall.c - claims and recall: which records are these, and what was last seen of them?
 */
#include "sync/round.h"
#include "sync/feed.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/migrate.h"
#include "sync/round_ahead.h"
#include "sync/undo.h"

/* ---- claims: a record is in work in one round at a time ---------------------------------------------- */

/* NULL: it is ours now; else the round that has it in work (maybe this one, for another subject). */
static const struct round *claim(struct round *r, const struct rid *rid, bool *mine)
{
	const struct round *holder = claims_take(&r->flow->claims, rid, r);

	if (holder == NULL)
		*mine = true;
	else if (holder != r)
		r->expects = true;
	return holder;
}

static void unclaim(struct round *r, const struct rid *rid, bool *mine)
{
	if (*mine)
		claims_let_go(&r->flow->claims, rid, r);
	*mine = false;
}

static void unclaim_subject(struct round *r, struct subject *s)
{
	unclaim(r, &s->rid, &s->claimed);
	unclaim(r, &s->old_rid, &s->claimed_old);
	unclaim(r, &s->next_rid, &s->claimed_next);
	while (s->n_also > 0)
		unclaim(r, &s->also[--s->n_also], &(bool){ true });
}

/* Claims are fetched so many records before their own turn: of a large round none is in the cache. */
static ONLY_PREFETCHES void expect_claim(const struct round *r, size_t i)
{
	if (i < r->n && r->subjects[i].has_rid)
		claims_expect(&r->flow->claims, &r->subjects[i].rid);
}

static ONLY_PREFETCHES void expect_claims_also(const struct round *r, size_t i)
{
	for (size_t k = 0; i < r->n && k < r->subjects[i].n_also; k++)
		claims_expect(&r->flow->claims, &r->subjects[i].also[k]);
	if (i + ROUND_AHEAD < r->n)
		__builtin_prefetch(r->subjects[i + ROUND_AHEAD].also);
}

void round_unclaim_all(struct round *r)
{
	for (size_t i = 0; i < r->n; i++) {
		expect_claim(r, i + ROUND_AHEAD);
		expect_claims_also(r, i + ROUND_AHEAD);
		unclaim_subject(r, &r->subjects[i]);
	}
}

enum { ALSO_MAX = 3 };		/* of an endpoint: a key, the row that the news is of, another one found or inserted there */

/* False: another round has it in work, or this one for another subject. */
static bool claim_also(struct round *r, struct subject *s, const struct rid *rid)
{
	bool mine = false;

	claim(r, rid, &mine);
	if (!mine)
		return false;
	if (s->also == NULL)
		s->also = arena_alloc(&r->arena, ALSO_MAX * n_endpoints(r) * sizeof *s->also);
	assert(s->n_also < ALSO_MAX * n_endpoints(r));
	s->also[s->n_also++] = *rid;
	return true;
}

static bool has_claimed(const struct subject *s, const struct rid *rid)
{
	for (size_t i = 0; i < s->n_also; i++)
		if (rid_equal(&s->also[i], rid))
			return true;
	return rid_equal(rid, &s->rid) || (s->has_old && rid_equal(rid, &s->old_rid));
}

/* Where its vector goes. Perhaps it is a key with which an insert of it was tried, and has been claimed as that. */
bool round_claim_next(struct round *r, struct subject *s)
{
	return has_claimed(s, &s->next_rid) || claim(r, &s->next_rid, &s->claimed_next) == NULL;
}

/*
 * A row that the map does not know, or not for long, is in work as one record only: people may change its key meanwhile, and then
 * nothing but its local id tells that the next news of it is of the same record. Claimed like a record, under an id of its own.
 */
struct rid round_rid_of_row(const struct round *r, size_t e, struct value id)
{
	uint64_t digest = digest64(&sync_of(r)->store->key, id.data, (size_t)id.len);
	struct rid rid = { .b = { [sizeof digest] = (unsigned char)e } };

	memcpy(rid.b, &digest, sizeof digest);
	return rid;
}

static void expect_row(const struct round *r, size_t e, struct value id)
{
	struct rid rid = round_rid_of_row(r, e, id);

	claims_expect(&r->flow->claims, &rid);
}

bool round_claim_row(struct round *r, struct subject *s, size_t e, struct value id)
{
	struct rid rid = round_rid_of_row(r, e, id);

	return has_claimed(s, &rid) || claim_also(r, s, &rid);
}

static bool is_inserted(const struct write *w)
{
	return w->op == WRITE_INSERT && w->outcome == WRITE_DONE;
}

/* Known by no map before the round has come to its mark, and others may still be writing. */
void round_claim_inserted(struct round *r, size_t e)
{
	const struct write_batch *b = r->batches[e];

	for (size_t i = 0; i < b->n; i++) {
		if (i + ROUND_AHEAD < b->n && is_inserted(&b->list[i + ROUND_AHEAD]))
			expect_row(r, e, b->list[i + ROUND_AHEAD].id);
		if (is_inserted(&b->list[i]))
			round_claim_row(r, b->list[i].subject, e, b->list[i].id);
	}
}

/* The record stays where it is. */
void round_let_go_of_next(struct round *r, struct subject *s)
{
	unclaim(r, &s->next_rid, &s->claimed_next);
}

void round_put_off(struct round *r, struct subject *s)
{
	s->fate = FATE_BUSY;
	unclaim_subject(r, s);
}

void round_expect_news(struct round *r, struct subject *s)
{
	round_put_off(r, s);
	r->expects = true;
}

enum { KEY_PATIENCE = 8 };		/* passes: whoever is not seen together then is, when all are tried once more */

/* For the sweep that comes upon it: it has tries of its own. */
static bool stands_aside_already(const struct round *r, const struct subject *s)
{
	return r->is_page && !value_is_null(s->source_id) && is_parked(r->side, true, NULL, s->source_id);
}

bool round_waits_for_others(struct round *r, struct subject *s)
{
	if (!r->expects || r->pass >= KEY_PATIENCE || r->plan != NULL || stands_aside_already(r, s) ||
	    fault("f13-who-else-was-parked-for-its-key-is-not-asked"))
		return false;
	round_put_off(r, s);
	if (r->side != NULL && !value_is_null(s->source_id) && !value_is_null(s->key))	/* it comes by the key that its row shows, as it did */
		s->rid = rid_of(&sync_of(r)->store->key, r->flow->def, s->key);
	return true;
}

void round_drop_subject(struct round *r, struct subject *s, enum books_outcome outcome)
{
	round_put_off(r, s);
	s->fate = FATE_DROPPED;
	s->outcome = outcome;
}

/* Of a row whose change log said when it was changed: its entries are gone when it is looked at again. */
static int64_t stamp_to_keep(const struct round *r, const struct side *side, const struct subject *s)
{
	if (!side->link->promises.exact)
		return STAMP_NONE;
	if (s->decided)
		return s->seen[side->endpoint].stamp;
	return side == r->side ? s->told : STAMP_NONE;
}

void round_ask_rivals(struct round *r, struct side *side, bool fresh, const struct err *why)
{
	bool of_key = strcmp(why->code, "key-taken") == 0;

	if ((!fresh && (!r->expects || r->is_page)) || r->plan != NULL || !park_says_taken(why->code) ||
	    (of_key && fault("f13-who-else-was-parked-for-its-key-is-not-asked")) ||
	    (!of_key && fault("f14-who-else-was-parked-for-its-value-is-not-asked")))
		return;
	retry_wanted(side, RETRY_KEYS);
}

void round_park_row(struct round *r, struct side *side, struct subject *s, struct value id, const struct field_def *field, const struct err *why)
{
	bool fresh = !is_parked(side, true, NULL, id);

	round_park(r, side, true, NULL, s->key, id, field != NULL ? field->name : NULL, stamp_to_keep(r, side, s), why);
	s->set_aside |= BIT(side->endpoint);
	if (fresh)
		s->set_aside_now |= BIT(side->endpoint);
	round_ask_rivals(r, side, fresh, why);
}

/* ---- RECALL: vectors by key -------------------------------------------------------------------------- */

struct vector *round_vector(struct round *r, const struct flow *flow, struct value blob)
{
	struct err e = { 0 };
	struct vector *v = NULL;
	struct rid to;

	if (value_is_null(blob) || vector_decode_forward(blob, &to))
		return NULL;
	/* What it points to must last as long as the round; the store's answer does not. */
	if (!vector_decode(arena_dup(&r->arena, blob.data, (size_t)blob.len), (size_t)blob.len,
			   &sync_of(r)->store->layouts[flow->index], &r->arena, &v, &e)) {
		log_error("vector not readable", LOG_S("entity", flow->def->name), LOG_ERR(&e));
		return NULL;	/* no base, no inference: it is merged as at first contact */
	}
	feed_tell_newcomers(flow, v);
	return v;
}

static void got_vectors(struct round *r, struct subject **list, const struct value *blobs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		list[i]->base = round_vector(r, r->flow, blobs[i]);
}

struct recalling *round_recalling_new(struct round *r)
{
	struct recalling *c = arena_alloc(&r->arena, sizeof *c);

	c->round = r;
	c->list = arena_alloc(&r->arena, (r->n + 1) * sizeof *c->list);
	return c;
}

static void on_recalled(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct recalling *c = arg;

	round_give_up(c->round, e);
	if (e == NULL)
		got_vectors(c->round, c->list, blobs, n);
	for (size_t i = 0; e == NULL && i < n; i++)
		round_forward_follow(c->round, c->list[i], blobs[i]);
	round_answered(c->round);
}

static void on_buried(void *arg, const struct rid *rids, const bool *found, size_t n, const struct err *e)
{
	struct recalling *c = arg;

	round_give_up(c->round, e);
	for (size_t i = 0; i < n; i++)
		c->list[i]->buried = found[i];
	round_answered(c->round);
}

void round_ask_recall(struct round *r)
{
	struct recalling *c = round_recalling_new(r);
	struct rid *rids = arena_alloc(&r->arena, (r->n + 1) * sizeof *rids);
	const struct round *holder;
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		expect_claim(r, i + ROUND_AHEAD);
		if (!is_live(s) || !s->has_rid)
			continue;
		holder = claim(r, &s->rid, &s->claimed);
		if (holder != NULL) {
			round_put_off(r, s);
			s->twin = holder == r;
			continue;
		}
		rids[n] = s->rid;
		c->list[n++] = s;
	}
	if (n == 0)
		return;
	r->waiting++;
	sync_of(r)->store->ops->recall(sync_of(r)->store, r->flow->index, rids, n, on_recalled, c);
	if (r->side == NULL || !side_is_past(r->side))
		return;
	r->waiting++;
	sync_of(r)->store->ops->buried(sync_of(r)->store, r->flow->index, rids, n, on_buried, c);
}

/*
 * A row of before its database was put back, of a record that was deleted since: the delete is what was agreed on, and is
 * still to be carried out there.
 */
static struct vector *vector_of_buried(struct round *r, const struct observation *o)
{
	struct vector *v = vector_new(&r->arena, r->flow->def->n_fields, n_endpoints(r));

	v->dead = true;
	v->deleted = (struct edit_key){ .eff = clock_wall_us(), .n = 1, .origin = ORIGIN_NONE };
	v->row = digest_row(o->row);
	for (size_t f = 0; f < v->n_fields; f++)
		v->fields[f] = (struct vfield){ digest_field(o->digests[f]), { .eff = EFF_UNKNOWN, .n = 1, .origin = ORIGIN_NONE } };
	for (size_t e = 0; e < v->n_endpoints; e++)
		v->seen[e].known = true;
	v->seen[r->side->endpoint] = (struct vseen){ .known = true, .present = true, .same = true, .owed = true, .id = o->id };
	return v;
}

/* The record's row there is the one that the news is of, by the id that this has or had. From then on the vector has it by the new one. */
static bool knows_row(const struct round *r, struct subject *s, struct vector *v)
{
	struct vseen *seen = &v->seen[r->side->endpoint];

	if (seen->present && !value_is_null(s->former_id) && value_equal(seen->id, s->former_id)) {
		seen->id = s->source_id;
		s->renumbered = true;
	}
	return seen->present && value_equal(seen->id, s->source_id);
}

struct deleted {			/* local ids of rows that were, in order */
	struct value *ids;
	size_t n;
};

static int by_id(const void *a, const void *b)
{
	const struct value *x = a, *y = b;

	return x->len != y->len ? x->len - y->len : memcmp(x->data, y->data, (size_t)x->len);
}

static struct deleted list_deleted(struct round *r)
{
	struct deleted d = { arena_alloc(&r->arena, (r->n + 1) * sizeof *d.ids), 0 };

	for (size_t i = 0; i < r->n; i++)
		if (!value_is_null(r->subjects[i].deleted_id))
			d.ids[d.n++] = r->subjects[i].deleted_id;
	qsort(d.ids, d.n, sizeof *d.ids, by_id);
	return d;
}

/* The row that the vector knows there was deleted: that news is in this round, and this row the one that took its place. */
static void look_for_deleted(const struct round *r, struct subject *s, const struct deleted *d)
{
	const struct vseen *known = &s->base->seen[r->side->endpoint];

	if (known->present && !s->confirmed && bsearch(&known->id, d->ids, d->n, sizeof *d->ids, by_id) != NULL)
		s->deleted_id = known->id;
}

void round_got_recall(struct round *r)
{
	size_t e = r->side != NULL ? r->side->endpoint : 0;
	struct deleted deleted = list_deleted(r);

	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (!is_live(s) || !s->has_rid)
			continue;
		s->buried = s->buried && s->base == NULL;
		s->dug_up = s->buried && s->seen[e].what == OBSERVED_ROW && !row_is_past(r->side, &s->seen[e]);
		s->buried = s->buried && row_is_past(r->side, &s->seen[e]);
		if (s->buried)
			s->base = vector_of_buried(r, &s->seen[e]);
		if (value_is_null(s->source_id)) {
			if (s->base == NULL && !undo_revive(r, s) && s->found == NULL)
				round_drop_subject(r, s, BOOKS_UNCHANGED);
			continue;
		}
		s->confirmed = s->base != NULL && knows_row(r, s, s->base);
		if (s->base != NULL && s->seen[e].what == OBSERVED_ROW)
			look_for_deleted(r, s, &deleted);
	}
}

/* ---- LOOKUP: records by local id --------------------------------------------------------------------- */

static void on_looked_up(void *arg, const struct rid *rids, const bool *found, size_t n, const struct err *e)
{
	struct recalling *c = arg;

	round_give_up(c->round, e);
	for (size_t i = 0; e == NULL && i < n; i++) {
		struct subject *s = c->list[i];

		if (!found[i] || (s->has_rid && rid_equal(&s->rid, &rids[i])))
			continue;
		s->old_rid = rids[i];
		s->has_old = true;
	}
	round_answered(c->round);
}

void round_ask_lookup(struct round *r)
{
	struct recalling *c = arena_alloc(&r->arena, sizeof *c);
	struct value *ids = arena_alloc(&r->arena, (2 * r->n + 1) * sizeof *ids);
	size_t n = 0;

	*c = (struct recalling){ r, arena_alloc(&r->arena, (2 * r->n + 1) * sizeof *c->list) };
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (!is_live(s) || value_is_null(s->source_id) || s->confirmed)
			continue;
		ids[n] = s->source_id;
		c->list[n++] = s;
		if (value_is_null(s->former_id))
			continue;
		ids[n] = s->former_id;		/* the answer to this one counts, where both are known */
		c->list[n++] = s;
	}
	if (n == 0)
		return;
	r->waiting++;
	sync_of(r)->store->ops->lookup(sync_of(r)->store, r->flow->index, (uint8_t)r->side->endpoint, ids, n, on_looked_up, c);
}

static struct subject *subject_of_rid(struct round *r, const struct rid *rid)
{
	for (size_t i = 0; i < r->n; i++)
		if (is_live(&r->subjects[i]) && r->subjects[i].has_rid && rid_equal(&r->subjects[i].rid, rid))
			return &r->subjects[i];
	return NULL;
}

/* An older round may be about to learn that it has inserted such a row: its local id comes with the answer. */
static bool may_be_inserted(const struct round *r)
{
	for (const struct round *o = r->flow->rounds; o != NULL; o = o->next)
		if (o->number < r->number && o->writing_at & BIT(r->side->endpoint))
			return true;
	return false;
}

static bool was_looked_up(const struct subject *s)
{
	return is_live(s) && !value_is_null(s->source_id) && !s->confirmed;
}

/* The row that is gone goes on under another id: that news is in this round, and has yet to find its record. */
static bool has_successor(const struct round *r, const struct subject *s)
{
	if (!r->renumbers || s->seen[r->side->endpoint].what != OBSERVED_ABSENT)
		return false;
	for (size_t i = 0; i < r->n; i++) {
		const struct subject *o = &r->subjects[i];

		if (o->fate != FATE_DROPPED && !value_is_null(o->former_id) && value_equal(o->former_id, s->source_id) &&
		    (o->base == NULL || o->renumbered))
			return true;
	}
	return false;
}

void round_got_lookup(struct round *r)
{
	round_trade_places(r);
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (i + ROUND_AHEAD < r->n && was_looked_up(s + ROUND_AHEAD))
			expect_row(r, r->side->endpoint, s[ROUND_AHEAD].source_id);
		if (!was_looked_up(s))
			continue;
		if (has_successor(r, s) || (!s->has_old && may_be_inserted(r)) || !round_claim_row(r, s, r->side->endpoint, s->source_id)) {
			round_put_off(r, s);
			continue;
		}
		if (s->has_rid && !s->has_old)
			continue;
		if (!s->has_old) {		/* a row that nobody knew is gone: nothing to tell */
			round_drop_subject(r, s, BOOKS_UNCHANGED);
			round_count_echo(r);
			r->makes_room |= r->captured != NULL && !fault("f13-a-row-of-nobodys-is-in-nobodys-way");
			continue;
		}
		if (claim(r, &s->old_rid, &s->claimed_old) == NULL)
			continue;
		/* In this round too, say with the row that replaced this one. When that is read again it may be gone as well, and was never known: then
		 * this is the only news of the record's end. */
		if (!s->has_rid && fault("f10-a-row-that-was-replaced-is-forgotten"))
			round_drop_subject(r, s, BOOKS_MERGED);
		else
			round_put_off(r, s);
	}
}

/* ---- RECALL_OLD: vectors of these -------------------------------------------------------------------- */

struct recalling_old {
	struct round *round;
	struct subject **list;
	struct vector **found;
};

static void on_recalled_old(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct recalling_old *c = arg;
	struct round *r = c->round;

	round_give_up(r, e);
	for (size_t i = 0; e == NULL && i < n; i++) {
		struct vector *own = c->list[i]->base;

		got_vectors(r, &c->list[i], &blobs[i], 1);
		c->found[i] = c->list[i]->base;
		c->list[i]->base = own;
	}
	round_answered(r);
}

void round_say_taken(const struct round *r, struct err *e)
{
	err_set(e, ERR_ROW, "key-taken", "another %s already has the key that it was given; give one of the two another key", r->flow->def->name);
}

static void become(struct round *r, struct subject *s)
{
	unclaim(r, &s->rid, &s->claimed);
	s->rid = s->old_rid;
	s->has_rid = true;
	s->claimed = s->claimed_old;
	s->claimed_old = s->has_old = false;
}

/* Where its row got another id with that key, the record is still to be known by that. */
static void park_taken_key(struct round *r, struct subject *s, struct vector *old)
{
	struct err e = { 0 };

	if (round_waits_for_others(r, s))
		return;
	round_say_taken(r, &e);
	round_park_row(r, r->side, s, s->source_id, NULL, &e);
	if (!s->renumbered) {
		round_drop_subject(r, s, BOOKS_UNTOLD);
		return;
	}
	become(r, s);
	s->base = old;
	s->confirmed = s->key_taken = true;
}

/* It has the key there that it had: another one by now, while its own is still owed. */
bool round_shows_its_key(const struct round *r, const struct vector *v, const struct observation *o)
{
	const struct entity_def *def = r->flow->def;

	for (size_t k = 0; k < def->n_key; k++)
		if (shown_digest(v, r->side->endpoint, def->key[k]) != digest_field(o->digests[def->key[k]]))
			return false;
	return true;
}

static void place_old(struct round *r, struct subject *s, struct vector *old)
{
	size_t e = r->side->endpoint;

	if (old != NULL && round_forward_leads(r, s, old)) {
		become(r, s);
		s->base = old;
		s->forwarded = true;
		return;
	}
	if (s->base != NULL && fault("f16-a-row-that-was-renamed-to-a-key-is-its-owners"))
		s->former_id = VALUE_NULL;
	if (old == NULL || !knows_row(r, s, old)) {
		/* The map was behind: that record has another row by now. */
		unclaim(r, &s->old_rid, &s->claimed_old);
		s->has_old = false;
		if (!s->has_rid)
			round_drop_subject(r, s, BOOKS_UNCHANGED);
		return;
	}
	/* A row that shows nothing new is that record, also while the record's new key is still owed there. One that is
	 * yet to be read again is that record until it is known what it shows. */
	if (s->has_rid && s->seen[e].what == OBSERVED_ROW && !vector_shows(old, e, &s->seen[e]) &&
	    !(s->base != NULL && round_shows_its_key(r, old, &s->seen[e]))) {
		if (s->base != NULL) {	/* also one that is dead: its deletes are still to be carried out */
			park_taken_key(r, s, old);
			return;
		}
		s->moved = true;
	} else {
		become(r, s);
	}
	s->base = old;
	s->confirmed = true;
}

void round_ask_recall_old(struct round *r)
{
	struct recalling_old *c = arena_alloc(&r->arena, sizeof *c);
	struct rid *rids = arena_alloc(&r->arena, (r->n + 1) * sizeof *rids);
	size_t n = 0;

	c->round = r;
	c->list = arena_alloc(&r->arena, (r->n + 1) * sizeof *c->list);
	c->found = arena_zalloc(&r->arena, (r->n + 1) * sizeof *c->found);
	for (size_t i = 0; i < r->n; i++) {
		if (!is_live(&r->subjects[i]) || !r->subjects[i].has_old)
			continue;
		rids[n] = r->subjects[i].old_rid;
		c->list[n++] = &r->subjects[i];
	}
	if (n == 0)
		return;
	c->list[n] = NULL;
	r->waiting++;
	r->old = c;
	sync_of(r)->store->ops->recall(sync_of(r)->store, r->flow->index, rids, n, on_recalled_old, c);
}

/* A row that can be taken is no longer parked, and who points to its record may know by now that it does. */
static void let_go_of_row(struct round *r, struct side *side, const struct rid *rid, struct value id)
{
	if (unpark_record(side, true, NULL, id) && !fault("f15-who-waits-for-a-parent-is-not-told"))
		orphans_release(r->flow, rid);
}

/* Mostly nothing is parked: then the record is not even looked at. */
void round_let_go_of_parked(struct round *r, const struct subject *s)
{
	for (size_t e = 0; e < n_endpoints(r); e++) {
		struct side *side = r->flow->sides[e];

		if (side != NULL && side->parked + side->discarded > 0 && s->seen[e].what == OBSERVED_ROW)
			let_go_of_row(r, side, &s->next_rid, s->seen[e].id);
	}
}

/* Nothing new there, and nobody who can be reached is owed anything. */
static bool is_echo(const struct round *r, const struct subject *s)
{
	bool was_parked = is_parked(r->side, true, NULL, s->source_id);

	if (s->base == NULL || s->moved || s->renumbered || !vector_shows(s->base, r->side->endpoint, &s->seen[r->side->endpoint]))
		return false;
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (s->base->seen[e].owed && reachable(r, e) &&
		    (!s->base->seen[e].parked || was_parked || (e == r->side->endpoint && !is_parked(r->side, false, &s->rid, VALUE_NULL))))
			return false;	/* what stood in the way stood here: this row was not there, or could not be taken */
	return true;
}

/* True when that subject is over: its row at the source has nothing to say. */
bool round_drop_echo(struct round *r, struct subject *s)
{
	if (migrate_looks_anew(r) || !is_echo(r, s))
		return false;
	if (r->plan == NULL)	/* that row alone: nothing was decided about those that others show */
		let_go_of_row(r, r->side, &s->rid, s->source_id);
	round_count_echo(r);
	round_drop_subject(r, s, BOOKS_UNCHANGED);
	return true;
}

/* A row with this key may be one that we inserted for `s`: who comes with such a row looks again when `s` is settled. */
static bool claim_tried(struct round *r, struct subject *s, const struct rid *rid)
{
	struct subject *other = subject_of_rid(r, rid);

	if (other != NULL && other->base == NULL)
		round_put_off(r, other);
	return claim_also(r, s, rid);
}

/* Inserts in doubt whose record has got another key since. */
static void claim_all_tried(struct round *r, struct subject *s)
{
	for (size_t e = 0; e < n_endpoints(r); e++) {
		const struct vseen *seen = &s->base->seen[e];
		struct rid rid;

		if (!seen->uncertain || seen->present || seen->tried_key.len <= 0)
			continue;
		rid = rid_of(&sync_of(r)->store->key, r->flow->def, seen->tried_key);
		if (!has_claimed(s, &rid) && !claim_tried(r, s, &rid)) {
			round_put_off(r, s);
			return;
		}
	}
}

void round_got_recall_old(struct round *r)
{
	struct recalling_old *c = r->old;

	r->old = NULL;
	for (size_t i = 0; c != NULL && c->list[i] != NULL; i++)
		if (is_live(c->list[i]))
			place_old(r, c->list[i], c->found[i]);
	for (size_t i = 0; i < r->n; i++)
		if (is_live(&r->subjects[i]) && r->subjects[i].base != NULL)
			claim_all_tried(r, &r->subjects[i]);
	if (r->side == NULL)
		return;
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];
		size_t e = r->side->endpoint;

		expect_claim(r, i + ROUND_AHEAD);	/* an echo lets go of it */
		if (!is_live(s) || value_is_null(s->source_id))
			continue;
		if (round_drop_echo(r, s))
			continue;
		if (r->captured != NULL)
			r->side->meter.captured++;
		if (s->seen[e].what != OBSERVED_ABSENT && s->base != NULL && s->base->seen[e].present && !s->confirmed)
			s->rival = s->base->seen[e].id;
		if (r->plan != NULL && value_is_null(s->rival))
			plan_note_news(r, s);
	}
}
