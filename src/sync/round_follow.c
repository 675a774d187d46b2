/*
 * round_follow.c - references to records that have got another key.
 *
 * A record that gets another key keeps the former ones in its vector. A row whose reference shows another value than it did shows it because
 * of that, if the value before is a former key of the record that it shows now: then nobody has edited the reference (model/decide_follow.c).
 * Where another record has that key by now, which of the two was meant is told by when that key was given up: a reference that is younger
 * means the other one.
 *
 *	FOLLOW	vectors of the records that changed references show
 *		vectors where a former key would be, where it fits
 *	MARK	who refers to a record that got another key is looked at, so that what it shows by then is compared with the new key: later
 *		another record may have the former one, and whoever is moved to that shows what it showed before
 *
 * Whoever refers to a record of its own entity may be in one round with it, and then comes after it: it is put off to the next pass. In a circle,
 * or where it refers to itself, the record is known by the key that it had when the round began.
 *
 * Somebody may have been moved there already. The row shows the former key at an endpoint where the record itself has the new one: that is an
 * edit (`moved`). It is read once more before that is believed: it may have been read before the record got its key there.
 *
 * References that are part of the record's own key, or of its unit, are not followed: with them the record would move.
 */
#include "sync/round.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/fault.h"
#include "model/doubt.h"
#include "sync/feed.h"

/* ---- asking ------------------------------------------------------------------------------------------ */

struct followed {			/* a reference that shows something else at an endpoint */
	struct subject *subject;
	size_t endpoint, field;
	struct rid rid;			/* of the record that it shows; then of one that has the key of before */
	int64_t until;			/* then: when that was given up */
	uint64_t moved;			/* then: endpoints where the row shows the key of before, and the record does not */
	bool waits;			/* it shows the same as ever, and is to be given what the record shows elsewhere */
};

struct following {			/* those to records of one entity */
	struct round *round;
	struct flow *flow;
	struct followed *list;
	size_t n;
	struct parent_row *rows;	/* while answers are gone through; NULL: nobody has asked yet */
};

static bool is_in_key(const struct entity_def *def, size_t f)
{
	uint64_t unit = decide_unit(def, f);

	for (size_t i = 0; i < def->n_key; i++)
		if (unit & BIT(def->key[i]))
			return true;
	return false;
}

bool round_follows(const struct entity_def *def, size_t f)
{
	return def->fields[f].type == FIELD_REFERENCE && !is_in_key(def, f);
}

/* It is known to have had a row there, or one of ours may be that. */
static bool had_row(const struct vseen *s)
{
	return s->present || (s->uncertain && s->n_intended > 0);
}

static bool shows_another(const struct subject *s, size_t e, size_t f)
{
	const struct observation *o = &s->seen[e];

	return is_live(s) && s->base != NULL && had_row(&s->base->seen[e]) && o->what == OBSERVED_ROW && !value_is_null(o->values[f]) &&
	       digest_field(o->digests[f]) != doubt_expects(s->base, e, f);
}

/* It was followed when others showed the new key, and has the former one still. What they show. */
static bool waits_for_key(const struct round *r, const struct subject *s, size_t e, size_t f, struct value *shown)
{
	const struct vdeviation *dev;

	if (!is_live(s) || s->base == NULL || !s->base->seen[e].present || s->base->seen[e].same || s->seen[e].what != OBSERVED_ROW)
		return false;
	dev = vseen_deviation(&s->base->seen[e], f);
	if (dev == NULL || dev->digest != digest_field(s->seen[e].digests[f]) || dev->digest == s->base->fields[f].digest ||
	    !same_key(&dev->key, &s->base->fields[f].key))
		return false;
	for (size_t other = 0; other < n_endpoints(r); other++)
		if (s->seen[other].what == OBSERVED_ROW && !value_is_null(s->seen[other].values[f]) &&
		    digest_field(s->seen[other].digests[f]) == s->base->fields[f].digest) {
			*shown = s->seen[other].values[f];
			return true;
		}
	return false;
}

/* ---- what is not known yet --------------------------------------------------------------------------- */

struct parent_row {			/* that somebody points to, of the same entity */
	struct rid row;			/* round_rid_of_row() */
	bool in_work;
	bool in_writing;		/* by another round, which waits for nobody any more */
	struct subject *subject;	/* in this round; NULL: in another one */
	UT_hash_handle hh;
};

static struct parent_row *find_row(const struct following *c, size_t e, struct value id)
{
	struct rid row = round_rid_of_row(c->round, e, id);
	struct parent_row *p;

	HASH_FIND(hh, c->rows, &row, sizeof row, p);
	return p;
}

static void add_rows_of(struct following *c, const struct subject *s, size_t f)
{
	for (size_t e = 0; e < n_endpoints(c->round); e++) {
		const struct observation *o = &s->seen[e];
		struct parent_row *p;

		if (o->what != OBSERVED_ROW || value_is_null(o->points_to[f]) || find_row(c, e, o->points_to[f]) != NULL)
			continue;
		p = arena_zalloc(&c->round->arena, sizeof *p);
		p->row = round_rid_of_row(c->round, e, o->points_to[f]);
		HASH_ADD(hh, c->rows, row, sizeof p->row, p);
	}
}

static void note_in_work(struct following *c, const struct round *r)
{
	for (size_t i = 0; i < r->n; i++)
		for (size_t e = 0; r->subjects[i].fate != FATE_DROPPED && e < n_endpoints(r); e++) {
			struct subject *s = &r->subjects[i];
			bool is_news = r->side != NULL && r->side->endpoint == e && !value_is_null(s->source_id);
			struct parent_row *p = s->seen[e].what == OBSERVED_ROW ? find_row(c, e, s->seen[e].id) :
					       is_news ? find_row(c, e, s->source_id) : NULL;

			if (p == NULL || p->in_work)
				continue;
			p->in_work = true;
			p->in_writing = r != c->round && r->state >= ROUND_INTEND && r->state <= ROUND_MARK;
			p->subject = r == c->round ? s : NULL;
		}
}

/* Who has the row in work that x points to; NULL: nobody, or it is another entity's. */
static const struct parent_row *parent_in_work(struct following *c, const struct followed *x)
{
	const struct parent_row *p;

	if (c->flow != c->round->flow)
		return NULL;
	if (c->rows == NULL) {
		for (size_t i = 0; i < c->n; i++)
			add_rows_of(c, c->list[i].subject, c->list[i].field);
		note_in_work(c, c->round);
		for (const struct round *other = c->flow->rounds; other != NULL; other = round_next(other))
			if (other != c->round && !round_is_plan(other))
				note_in_work(c, other);
	}
	p = find_row(c, x->endpoint, x->subject->seen[x->endpoint].points_to[x->field]);
	return p != NULL && p->in_work ? p : NULL;
}

/* Itself, or others that wait for one another: none of them would be known by its new key before. */
static bool waits_for(const struct subject *s, const struct subject *whom)
{
	while (s != NULL && s != whom)
		s = s->waits_for;
	return s == whom;
}

static bool meant(const struct subject *parent, const struct followed *x)
{
	return parent->base != NULL && parent->base->reference == doubt_expects(x->subject->base, x->endpoint, x->field);
}

bool round_has_agreed_key(const struct vector *v, const struct entity_def *def, size_t e)
{
	const struct vseen *seen = &v->seen[e];

	for (size_t k = 0; seen->present && !seen->same && k < def->n_key; k++)
		if (vseen_deviation(seen, def->key[k]) != NULL)
			return false;
	return seen->present && !seen->uncertain && !v->dead;
}

/* Whoever has that key there is another one yet. */
static bool is_owed_its_key(const struct vector *v, const struct entity_def *def, size_t e)
{
	return v != NULL && v->seen[e].owed && !v->seen[e].parked && !round_has_agreed_key(v, def, e);
}

static bool has_patience(const struct round *r, bool is_on_its_way)
{
	return r->plan == NULL && r->pass < (is_on_its_way ? OWED_PATIENCE : ROUND_PATIENCE);
}

/*
 * A record that nobody knows, or that is known to be another row there: news of it is on its way, in a round or in a look that begins from now
 * on, or nobody will know it. Until then it may be the one that the reference has always meant, and an edit of it would keep a record that
 * somebody deletes.
 */
static bool is_too_early(struct following *c, const struct followed *x, const struct vector *shown)
{
	const struct round *r = c->round;
	struct side *side = c->flow->sides[x->endpoint];
	const struct parent_row *p = parent_in_work(c, x);
	bool is_on_its_way = is_owed_its_key(shown, c->flow->def, x->endpoint) ||
			     (p != NULL && p->in_writing && !fault("f13-what-is-written-for-long-is-not-waited-for"));

	if (!has_patience(r, is_on_its_way) || side == NULL || !side_usable(side) || !side->captures || fault("f13-what-a-reference-means-is-known-at-once"))
		return false;
	if (x->subject->asked_us == 0)
		x->subject->asked_us = clock_mono_us();
	if (is_on_its_way)
		return true;
	if (side->clean_us >= x->subject->asked_us)
		return c->flow == r->flow ? p != NULL : c->flow->n_rounds > 0;
	side_look_now(side);
	return true;
}

/* Nobody knows yet whose row it points to. In a circle somebody has to go first: its record is told by what it was. */
static void wait_for_parent(struct following *c, const struct followed *x, const struct vector *shown)
{
	const struct parent_row *p = parent_in_work(c, x);
	struct subject *s = x->subject, *parent = p != NULL ? p->subject : NULL;

	if (waits_for(parent, s)) {
		if (meant(parent, x) && !fault("f13-a-circle-of-references-waits-for-itself"))
			s->seen[x->endpoint].followed |= BIT(x->field);
	} else if (is_too_early(c, x, shown)) {
		s->waits_for = parent;
		if (parent == NULL)
			round_expect_news(c->round, s);
		else
			round_put_off(c->round, s);
	}
}

/* Of the edit that it shows there. */
static int64_t shown_since(const struct vector *v, size_t e, size_t f)
{
	const struct vdeviation *dev = v->seen[e].same ? NULL : vseen_deviation(&v->seen[e], f);

	return dev != NULL ? dev->key.eff : v->fields[f].key.eff;
}

/* The key of before is another record's, or nobody's as far as is known. */
static void take(struct following *c, struct followed *x, bool taken)
{
	struct subject *s = x->subject;
	bool means_this = !taken || (shown_since(s->base, x->endpoint, x->field) <= x->until && !fault("f13-a-new-owner-of-the-key-was-meant")) ||
			  fault("f13-who-has-the-former-key-now-does-not-matter");

	if (x->moved != 0 && means_this && !fault("f13-a-move-to-the-former-key-is-none")) {
		struct followed there = { .subject = s, .endpoint = (size_t)__builtin_ctzll(x->moved), .field = x->field };
		bool read_again = s->moved_once || c->round->plan != NULL;

		s->moved_once = true;
		if (!read_again || (!taken && is_too_early(c, &there, NULL))) {
			round_expect_news(c->round, s);
			return;
		}
		for (uint64_t rest = x->moved; rest != 0; rest &= rest - 1)
			s->seen[__builtin_ctzll(rest)].moved |= BIT(x->field);
	}
	if (means_this && !x->waits)
		s->seen[x->endpoint].followed |= BIT(x->field);
}

static void on_taken(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct following *c = arg;
	struct rid to;

	round_give_up(c->round, e);
	for (size_t i = 0; e == NULL && i < n; i++)
		if (is_live(c->list[i].subject))
			take(c, &c->list[i], !value_is_null(blobs[i]) && !vector_decode_forward(blobs[i], &to));
	HASH_CLEAR(hh, c->rows);
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

/* The record has another key there, or the row points to another one: also while the write that gave it that key has yet to be marked. */
static bool cannot_mean(const struct following *c, const struct followed *x, const struct vector *v, size_t e)
{
	return round_has_agreed_key(v, c->flow->def, e) ||
	       (v->seen[e].present && !round_points_to(x->subject, e, x->field, v));
}

/* Where the row shows the former key as before, and yet cannot mean the record. */
static uint64_t moved_at(const struct following *c, const struct followed *x, const struct vector *v, uint32_t former)
{
	const struct subject *s = x->subject;
	uint64_t moved = 0;

	for (size_t e = 0; e < n_endpoints(c->round); e++)
		if (s->seen[e].what == OBSERVED_ROW && s->base->seen[e].present && digest_field(s->seen[e].digests[x->field]) == former &&
		    shown_digest(s->base, e, x->field) == former && cannot_mean(c, x, v, e))
			moved |= BIT(e);
	return moved;
}

/* What has that key by now is not what the row points to: it was read before they exchanged theirs, or shows what is not known yet. */
static bool shows_another_row(const struct followed *x, const struct vector *v)
{
	return !x->waits && v->seen[x->endpoint].present && !round_points_to(x->subject, x->endpoint, x->field, v) &&
	       !fault("f13-whatever-row-has-that-key-is-meant");
}

/* ---- the same key, and another record ---------------------------------------------------------------- */

/* What is agreed is what it shows there, by the key that the record had at that time. */
static bool shows_agreed(const struct subject *s, size_t e, size_t f)
{
	const struct vseen *seen = &s->base->seen[e];

	return seen->present && (seen->same || vseen_deviation(seen, f) == NULL);
}

static bool shows_same(const struct followed *x, size_t e)
{
	const struct subject *s = x->subject;

	return s->seen[e].what == OBSERVED_ROW && s->seen[e].digests[x->field] == s->seen[x->endpoint].digests[x->field];
}

/*
 * Elsewhere that key is agreed, or comes as news, by a row that is another record's: of one that had the key until now, and has yet to get its new
 * one there, or has got that since the row was read. Taken for what this row has come to show, the one who was moved there would be moved back.
 */
static bool means_another_there(const struct followed *x, const struct vector *v, size_t e)
{
	const struct subject *s = x->subject;

	return e != x->endpoint && shows_same(x, e) && s->base->seen[e].present && (shows_agreed(s, e, x->field) || shows_another(s, e, x->field)) &&
	       v->seen[e].present && !round_points_to(s, e, x->field, v);
}

/* What it has come to show is by name what is agreed, from another edit; and of those who show that nobody was read, to tell by its row whom it means. */
static bool nobody_tells(const struct following *c, const struct followed *x)
{
	const struct subject *s = x->subject;
	const struct vfield *agreed = &s->base->fields[x->field];
	const struct vdeviation *dev = s->base->seen[x->endpoint].same ? NULL : vseen_deviation(&s->base->seen[x->endpoint], x->field);
	bool unread = false;

	if (dev == NULL || same_key(&dev->key, &agreed->key) || digest_field(s->seen[x->endpoint].digests[x->field]) != agreed->digest)
		return false;
	for (size_t e = 0; e < n_endpoints(c->round); e++) {
		if (shows_agreed(s, e, x->field) && s->seen[e].what != OBSERVED_NOTHING)
			return false;
		unread |= shows_agreed(s, e, x->field);
	}
	return unread;
}

/*
 * True: it is put off, to be read again: so long as a row shows the key that the record is known to have there, and is another one. While the
 * record has yet to get it there, or nobody tells, what this reference shows at this endpoint is left out. It goes on being owed what is agreed: it
 * may be what is to be moved.
 */
static bool waits_for_others(struct following *c, const struct followed *x, const struct vector *v)
{
	struct subject *s = x->subject;
	bool unclear = nobody_tells(c, x);

	if (x->waits || fault("f13-who-shows-the-same-key-means-the-same"))
		return false;
	for (size_t e = 0; e < n_endpoints(c->round); e++) {
		if (!means_another_there(x, v, e))
			continue;
		if (!round_has_agreed_key(v, c->flow->def, e)) {
			unclear = true;
		} else if (has_patience(c->round, false)) {
			round_expect_news(c->round, s);
			return true;
		}
	}
	s->seen[x->endpoint].unclear |= unclear ? decide_unit(c->round->flow->def, x->field) : 0;
	return false;
}

static void on_shown(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct following *c = arg;
	size_t found = 0;

	round_give_up(c->round, e);
	for (size_t i = 0; e == NULL && i < n; i++) {
		struct followed x = c->list[i];
		const struct vector *v = round_vector(c->round, c->flow, blobs[i]);
		const struct vformer *former = v != NULL ? vector_former(v, doubt_expects(x.subject->base, x.endpoint, x.field)) : NULL;

		if (former != NULL && !shows_another_row(&x, v) && !fault("f13-a-parent-with-another-key-is-another-one")) {
			if (waits_for_others(c, &x, v))
				continue;
			x.rid = former->rid;
			x.until = former->until;
			x.moved = moved_at(c, &x, v, former->digest);
			if (!x.waits || x.moved != 0)
				c->list[found++] = x;
		} else if (!x.waits && is_live(x.subject) && !round_points_to(x.subject, x.endpoint, x.field, v) &&
			   !round_goes_by_rows(c->round, x.subject)) {
			wait_for_parent(c, &x, v);
		}
	}
	HASH_CLEAR(hh, c->rows);
	c->n = found;
	recall(c, on_taken);
	round_answered(c->round);
}

/* What has to be looked up; false: nothing. */
static bool looks_up(const struct round *r, struct subject *s, size_t e, size_t f, struct followed *out, struct value *shown)
{
	*out = (struct followed){ .subject = s, .endpoint = e, .field = f };
	if (shows_another(s, e, f)) {
		*shown = s->seen[e].values[f];
		return true;
	}
	out->waits = true;
	return waits_for_key(r, s, e, f, shown);
}

static size_t count_changed(const struct round *r, size_t f)
{
	struct followed x;
	struct value shown;
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		for (size_t e = 0; e < n_endpoints(r); e++)
			n += looks_up(r, &r->subjects[i], e, f, &x, &shown);
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
	*c = (struct following){ r, &sync_of(r)->flows[parent->index], arena_alloc(&r->arena, (n + 1) * sizeof *c->list), 0, NULL };
	for (size_t i = 0; i < r->n; i++)
		for (size_t e = 0; e < n_endpoints(r); e++) {
			struct value shown;

			if (looks_up(r, &r->subjects[i], e, f, &c->list[c->n], &shown))
				c->list[c->n++].rid = rid_of(&sync_of(r)->store->key, parent, shown);
		}
	recall(c, on_shown);
}

void round_ask_follow(struct round *r)
{
	const struct entity_def *def = r->flow->def;

	for (size_t f = 0; f < def->n_fields; f++)
		if (round_follows(def, f))
			follow_field(r, f);
}

/* ---- keeping ----------------------------------------------------------------------------------------- */

static bool is_referred_to(const struct round *r)
{
	const struct sync *s = sync_of(r);

	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t f = 0; f < s->flows[i].def->n_fields; f++)
			if (s->flows[i].def->fields[f].refers == r->flow->def)
				return true;
	return false;
}

/* The newest last; none twice. The list is the vector's own. left: it was the record's key until now. */
static void keep(struct vector *v, struct vformer x, bool left)
{
	size_t n = 0;

	for (size_t i = 0; i < v->n_former; i++)
		if (!rid_equal(&v->former[i].rid, &x.rid))
			v->former[n++] = v->former[i];
		else if (!left)
			x.until = v->former[i].until;
	if (n == FORMER_MAX)
		memmove(v->former, v->former + 1, --n * sizeof *v->former);
	v->former[n] = x;
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

/* When it was given the key that it has; one that is put back bears no stamp of that (decide_imposed.c). */
static int64_t key_since(const struct round *r, const struct subject *s)
{
	const struct entity_def *def = r->flow->def;
	int64_t since = INT64_MIN;

	if (s->undo != NULL && (s->d.put_back & BIT(def->key[0])))
		return clock_wall_us();
	for (size_t k = 0; k < def->n_key; k++)
		if (s->d.next->fields[def->key[k]].key.eff > since)
			since = s->d.next->fields[def->key[k]].key.eff;
	return since;
}

/* What it shows there instead of its key; false: nothing else. */
static bool shows_former(struct round *r, const struct subject *s, size_t e, struct vformer *out)
{
	struct value shown = s->seen[e].what == OBSERVED_ROW ? record_key(r->flow->def, s->seen[e].values, &r->arena) : VALUE_NULL;

	if (value_is_null(shown))
		return false;
	*out = (struct vformer){ reference_digest(r, shown), rid_of(&sync_of(r)->store->key, r->flow->def, shown), key_since(r, s) };
	return !rid_equal(&out->rid, &s->next_rid);
}

void round_keep_former(struct round *r, struct subject *s, bool have_key)
{
	struct vector *next = s->d.next;
	struct vformer list[ENDPOINTS_MAX + 1];
	bool leaves = round_leaves(s) != NULL && s->base->reference != 0;
	size_t n = 0;

	if (!is_referred_to(r))
		return;
	if (leaves)
		list[n++] = (struct vformer){ s->base->reference, *round_leaves(s), key_since(r, s) };
	for (size_t e = 0; s->base != NULL && e < n_endpoints(r); e++)
		n += shows_former(r, s, e, &list[n]);
	if (n > 0)
		own_list(r, next);
	for (size_t i = 0; i < n; i++)
		keep(next, list[i], i == 0 && leaves);
	if (have_key)
		next->reference = reference_digest(r, s->key);
	else if (round_leaves(s) != NULL)
		next->reference = 0;
}

/* ---- looking ----------------------------------------------------------------------------------------- */

/*
 * Renamed rows of one round, and rows that refer to them. Of more the table is swept: for each such question it may have to be read as a whole,
 * and the answer is not bounded in bytes.
 */
enum { LOOK_MOST = 400 };

static void look_at(const struct side *side, const struct row *row, struct arena *arena)
{
	struct flow *flow = side->flow;
	struct meter_entity counted = { 0 };		/* with the round that comes */
	const struct field_def *field;
	struct observation o;
	struct err e = { 0 };
	struct value key;
	struct rid rid;

	if (row->outside || !observe_row(flow, side, row, arena, &counted, &o, &field, &e))
		return;
	key = record_key(flow->def, o.values, arena);
	if (value_is_null(key))
		return;
	rid = rid_of(&flow->sync->store->key, flow->def, key);
	flow_look_again(flow, &rid, 0);
}

static void on_referring(void *arg, struct rowset *rows, const struct err *e)
{
	struct side *side = arg;		/* of those who refer */
	struct arena arena;

	arena_init(&arena);
	if (!side->flow->sync->closing && (e != NULL || rows->n == LOOK_MOST))
		sweep_order(side, JOB_DAEMON);
	for (size_t i = 0; e == NULL && !side->flow->sync->closing && i < rows->n; i++)
		look_at(side, &rows->rows[i], &arena);
	if (e == NULL)
		rowset_free(&rows);
	arena_fini(&arena);
	if (!side->flow->sync->closing)
		flow_pump(side->flow);
}

static void look_at_children(struct flow *children, size_t f, size_t e, const struct value *ids, size_t n)
{
	struct side *side = children->sides[e];

	if (side == NULL || side->link->mapping->columns[f] == NULL)
		return;
	if (n > LOOK_MOST || !side_usable(side))
		sweep_order(side, JOB_DAEMON);
	else
		side->link->ops->read_referring(side->link, f, ids, n, LOOK_MOST, on_referring, side);
}

/* Its row has another key, or it has another row: then the former one may be another record's by now. At most two. */
static size_t rows_that_mean_another(const struct round *r, const struct subject *s, size_t e, struct value *ids)
{
	size_t n = 0;

	if (!is_live(s) || !s->decided || s->base == NULL || !s->base->seen[e].present || !s->d.next->seen[e].present)
		return 0;
	if (!value_equal(s->base->seen[e].id, s->d.next->seen[e].id))
		ids[n++] = s->base->seen[e].id;
	if (n > 0 || round_lets_go_of_key(r, s, e))
		ids[n++] = s->d.next->seen[e].id;
	return n;
}

void round_look_at_children(struct round *r)
{
	const struct entity_def *def = r->flow->def;
	struct value *ids = arena_alloc(&r->arena, (2 * r->n + 1) * sizeof *ids);

	if (!is_referred_to(r) || fault("f13-nobody-looks-who-refers-to-a-renamed-record"))
		return;
	for (size_t e = 0; e < n_endpoints(r); e++) {
		size_t n = 0;

		for (size_t i = 0; i < r->n; i++)
			n += rows_that_mean_another(r, &r->subjects[i], e, &ids[n]);
		for (size_t i = 0; n > 0 && i < sync_of(r)->topology->n_entities; i++) {
			struct flow *children = &sync_of(r)->flows[i];

			for (size_t f = 0; f < children->def->n_fields; f++)
				if (children->def->fields[f].refers == def && !is_in_key(children->def, f))
					look_at_children(children, f, e, ids, n);
		}
	}
}
