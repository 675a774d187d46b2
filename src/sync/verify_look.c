/*
 * verify_look.c - one look at some records.
 *
 *   KNOWN    what was last seen of them: that tells local ids, and whether anything is still to be done
 *   ROWS     their rows by local id
 *   BY_KEY   where there is none, by the key that another side's row shows
 *   OWNERS   whose rows are these, as far as is known? A key that was changed is not changed everywhere at once
 *   OTHERS   what is known of those records, where they are others
 *   AGAIN    what is known of these by now: it must not be older than the rows
 *
 * A difference counts when it is there at two looks in a row with everything captured in between, and nothing was to be done about it
 * at either (SEMANTICS 10).
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/mem.h"
#include "sync/feed.h"
#include "sync/verify.h"

enum look_step { LOOK_KNOWN, LOOK_ROWS, LOOK_BY_KEY, LOOK_OWNERS, LOOK_OTHERS, LOOK_AGAIN, LOOK_OVER };

struct shown {
	bool there, outside, invalid;
	struct value id;		/* in the look's arena; NULL value: none known */
	struct observation o;		/* when it is there */
	bool owned;			/* a record is known to have that row */
	struct rid owner;		/* which */
	const struct vector *other;	/* of it, when it is not this one */
};

struct looked {				/* at one record */
	struct doubtful *of;
	const struct vector *before, *after;
	struct value key;		/* encoded; NULL value: no row shows it */
	struct shown *shown;		/* by endpoint */
};

struct look {
	struct flow *flow;
	uint64_t compared;
	struct looked *list;
	size_t n;
	struct arena arena, *keeps;
	struct rowset **rowsets;
	size_t n_rowsets;
	enum look_step step;
	size_t waiting;
	bool asking;			/* inside a step: answers of this turn do not begin the next */
	struct err why;			/* kind 0: fine so far */
	struct meter_entity counts;	/* told to nobody */
	look_fn *done;
	void *arg;
};

struct asked {				/* rows of one side */
	struct look *look;
	size_t endpoint;
	struct looked **records;
	struct value *ids;		/* of LOOK_ROWS */
	size_t n;
};

static void look_go_on(struct look *l);

bool verify_expects(const struct flow *flow, size_t e)
{
	return flow->sides[e] != NULL && flow->sides[e]->mapping->role != ROLE_SOURCE;
}

static size_t n_endpoints_of(const struct look *l)
{
	return l->flow->sync->topology->n_endpoints;
}

static bool counts(const struct look *l, size_t e)
{
	return l->compared & BIT(e);
}

static void answered(struct look *l, const struct err *e)
{
	if (e != NULL && l->why.kind == 0) {
		l->why = *e;
		if (l->why.kind == 0)
			l->why.kind = ERR_TRANSIENT;
	}
	l->waiting--;
	look_go_on(l);
}

/* ---- what is known ----------------------------------------------------------------------------------- */

static const struct vector *vector_of(struct look *l, struct value blob)
{
	const struct sync *s = l->flow->sync;
	struct vector *v;

	if (value_is_null(blob))
		return NULL;
	if (!vector_decode(arena_dup(&l->arena, blob.data, (size_t)blob.len), (size_t)blob.len, &s->store->layouts[l->flow->index], &l->arena,
			   &v, NULL))
		return NULL;
	feed_tell_newcomers(l->flow, v);
	return v;
}

static void on_recalled(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct look *l = arg;

	for (size_t i = 0; e == NULL && i < n; i++) {
		if (l->step == LOOK_KNOWN)
			l->list[i].before = vector_of(l, blobs[i]);
		else
			l->list[i].after = vector_of(l, blobs[i]);
	}
	answered(l, e);
}

static void recall(struct look *l)
{
	const struct sync *s = l->flow->sync;
	struct rid *rids = arena_alloc(&l->arena, l->n * sizeof *rids);

	for (size_t i = 0; i < l->n; i++)
		rids[i] = l->list[i].of->rid;
	l->waiting++;
	s->store->ops->recall(s->store, l->flow->index, rids, l->n, on_recalled, l);
}

/* ---- whose rows are these? --------------------------------------------------------------------------- */

struct owning {				/* rows of one side, or (endpoint of no meaning) the vectors of those whose they are */
	struct look *look;
	struct shown **rows;
	size_t n;
};

static struct owning *owning_new(struct look *l, size_t most)
{
	struct owning *o = arena_zalloc(&l->arena, sizeof *o);

	o->look = l;
	o->rows = arena_alloc(&l->arena, (most + 1) * sizeof(struct shown *));
	return o;
}

static void on_owners(void *arg, const struct rid *rids, const bool *found, size_t n, const struct err *e)
{
	struct owning *o = arg;

	for (size_t i = 0; e == NULL && i < n; i++)
		if (found[i]) {
			o->rows[i]->owned = true;
			o->rows[i]->owner = rids[i];
		}
	answered(o->look, e);
}

static void ask_owners(struct look *l, size_t e)
{
	struct store *store = l->flow->sync->store;
	struct owning *o = owning_new(l, l->n);
	struct value *ids = arena_alloc(&l->arena, l->n * sizeof *ids);

	for (size_t i = 0; i < l->n; i++)
		if (l->list[i].shown[e].there) {
			o->rows[o->n] = &l->list[i].shown[e];
			ids[o->n++] = l->list[i].shown[e].id;
		}
	if (o->n == 0)
		return;
	l->waiting++;
	store->ops->lookup(store, l->flow->index, (uint8_t)e, ids, o->n, on_owners, o);
}

static void on_others(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct owning *o = arg;

	for (size_t i = 0; e == NULL && i < n; i++)
		o->rows[i]->other = vector_of(o->look, blobs[i]);
	answered(o->look, e);
}

static bool is_anothers(const struct looked *r, size_t e)
{
	return r->shown[e].owned && !rid_equal(&r->shown[e].owner, &r->of->rid);
}

static void ask_others(struct look *l)
{
	struct store *store = l->flow->sync->store;
	struct owning *o = owning_new(l, l->n * n_endpoints_of(l));
	struct rid *rids = arena_alloc(&l->arena, (l->n * n_endpoints_of(l) + 1) * sizeof *rids);

	for (size_t i = 0; i < l->n; i++)
		for (size_t e = 0; e < n_endpoints_of(l); e++)
			if (is_anothers(&l->list[i], e)) {
				o->rows[o->n] = &l->list[i].shown[e];
				rids[o->n++] = l->list[i].shown[e].owner;
			}
	if (o->n == 0)
		return;
	l->waiting++;
	store->ops->recall(store, l->flow->index, rids, o->n, on_others, o);
}

/* ---- rows -------------------------------------------------------------------------------------------- */

static struct value row_key(struct look *l, const struct side *side, const struct row *row, struct shown *shown, struct err *e)
{
	struct row whole = *row;
	const struct field_def *field;

	whole.gone = whole.outside = false;
	*shown = (struct shown){ .there = true, .outside = row->outside,
				 .id = { arena_dup(&l->arena, row->id.data, (size_t)row->id.len), row->id.len } };
	if (!observe_row(l->flow, side, &whole, &l->arena, &l->counts, &shown->o, &field, e))
		return VALUE_NULL;
	return record_key(l->flow->def, shown->o.values, &l->arena);
}

/* It is that record's row, and has its key in a form of that side's own. */
static bool shows_own_key(const struct look *l, size_t e, const struct shown *shown, const struct vector *v)
{
	const struct entity_def *def = l->flow->def;

	if (v == NULL || !v->seen[e].present || !value_equal(v->seen[e].id, shown->id) || !decide_has_own_key(def, v, e) ||
	    fault("f09-a-row-is-whose-key-it-shows"))
		return false;
	for (size_t k = 0; k < def->n_key; k++)
		if (shown_digest(v, e, def->key[k]) != digest_field(shown->o.digests[def->key[k]]))
			return false;
	return true;
}

static void take_row(struct look *l, size_t e, const struct row *row, struct looked *wanted)
{
	struct shown shown;
	struct err why = { 0 };
	struct value key;
	struct rid rid;

	if (row->gone)
		return;
	key = row_key(l, l->flow->sides[e], row, &shown, &why);
	if (value_is_null(key)) {
		wanted->shown[e].invalid = true;
		return;
	}
	rid = rid_of(&l->flow->sync->store->key, l->flow->def, key);
	if (rid_equal(&rid, &wanted->of->rid)) {
		if (value_is_null(wanted->key))
			wanted->key = key;
	} else if (!shows_own_key(l, e, &shown, wanted->before)) {
		return;			/* its key is another one by now */
	}
	wanted->shown[e] = shown;
}

/* Two may have asked for it: the record that it is known to be, and the one whose key it shows. */
static void take_row_by_id(struct look *l, const struct asked *a, const struct row *row)
{
	for (size_t i = 0; i < a->n; i++)
		if (value_equal(a->ids[i], row->id))
			take_row(l, a->endpoint, row, a->records[i]);
}

static void take_row_by_key(struct look *l, const struct asked *a, const struct row *row)
{
	struct shown shown;
	struct err why = { 0 };
	struct value key = row_key(l, l->flow->sides[a->endpoint], row, &shown, &why);
	struct rid rid;

	if (value_is_null(key))
		return;
	rid = rid_of(&l->flow->sync->store->key, l->flow->def, key);
	for (size_t i = 0; i < a->n; i++)
		if (rid_equal(&rid, &a->records[i]->of->rid)) {
			take_row(l, a->endpoint, row, a->records[i]);
			return;
		}
}

static void on_rows(void *arg, struct rowset *rows, const struct err *e)
{
	struct asked *a = arg;
	struct look *l = a->look;

	if (e == NULL) {
		l->rowsets[l->n_rowsets++] = rows;
		for (size_t i = 0; i < rows->n; i++)
			(a->ids != NULL ? take_row_by_id : take_row_by_key)(l, a, &rows->rows[i]);
	}
	answered(l, e);
}

static struct asked *asked_new(struct look *l, size_t e)
{
	struct asked *a = arena_zalloc(&l->arena, sizeof *a);

	a->look = l;
	a->endpoint = e;
	a->records = arena_alloc(&l->arena, l->n * sizeof(struct looked *));
	return a;
}

static struct value known_id(const struct looked *r, size_t e)
{
	if (!value_is_null(r->of->rows[e].id))
		return r->of->rows[e].id;
	return r->before != NULL && r->before->seen[e].present ? r->before->seen[e].id : VALUE_NULL;
}

static void ask_rows(struct look *l, size_t e)
{
	struct link *link = l->flow->sides[e]->link;
	struct asked *a = asked_new(l, e);

	a->ids = arena_alloc(&l->arena, l->n * sizeof *a->ids);
	for (size_t i = 0; i < l->n; i++) {
		struct value id = known_id(&l->list[i], e);

		if (value_is_null(id))
			continue;
		a->records[a->n] = &l->list[i];
		a->ids[a->n++] = id;
	}
	if (a->n == 0)
		return;
	l->waiting++;
	link->ops->read(link, a->ids, a->n, on_rows, a);
}

static void ask_by_key(struct look *l, size_t e)
{
	const struct entity_def *def = l->flow->def;
	struct link *link = l->flow->sides[e]->link;
	struct asked *a = asked_new(l, e);
	struct value *keys = arena_alloc(&l->arena, l->n * def->n_key * sizeof *keys);

	for (size_t i = 0; i < l->n; i++) {
		struct looked *r = &l->list[i];

		if (r->shown[e].there || r->shown[e].invalid || value_is_null(r->key) ||
		    !record_key_decode(r->key, def->n_key, &keys[a->n * def->n_key]))
			continue;
		a->records[a->n++] = r;
	}
	if (a->n == 0)
		return;
	l->waiting++;
	link->ops->read_by_key(link, keys, a->n, on_rows, a);
}

/* A key that holds a reference is not one that a side's columns show as it is. */
static bool key_is_plain(const struct entity_def *def)
{
	for (size_t i = 0; i < def->n_key; i++)
		if (def->fields[def->key[i]].type == FIELD_REFERENCE)
			return false;
	return true;
}

/* ---- the verdict ------------------------------------------------------------------------------------- */

static bool is_open_by(const struct vector *v)
{
	for (size_t e = 0; v != NULL && e < v->n_endpoints; e++)
		if (v->seen[e].owed || v->seen[e].parked || v->seen[e].uncertain)
			return true;
	return false;
}

static bool is_aside(const struct look *l, const struct looked *r, size_t e)
{
	const struct side *side = l->flow->sides[e];
	struct value id = known_id(r, e);

	return r->shown[e].invalid || held_is(side, &r->of->rid) || is_parked(side, false, &r->of->rid, VALUE_NULL) ||
	       (!value_is_null(id) && is_parked(side, true, NULL, id));
}

/* Its reference shows a key that is not agreed on: the row that it points to stands aside with that. */
static bool points_to_parked(const struct look *l, const struct shown *s, size_t e, size_t f)
{
	const struct entity_def *parent = l->flow->def->fields[f].refers;
	const struct side *side = parent != NULL ? l->flow->sync->flows[parent->index].sides[e] : NULL;

	return side != NULL && s->there && s->o.points_to != NULL && is_parked(side, true, NULL, s->o.points_to[f]);
}

/* Nothing else differs. */
static bool waits_for_parents(const struct look *l, const struct looked *r)
{
	uint64_t unexplained = r->of->fields;

	for (size_t e = 0; e < n_endpoints_of(l); e++)
		for (size_t f = 0; f < l->flow->def->n_fields; f++)
			if (unexplained & BIT(f) && points_to_parked(l, &r->shown[e], e, f))
				unexplained &= ~BIT(f);
	return r->of->fields != 0 && unexplained == 0 && !fault("f13-who-refers-to-a-parked-row-differs");
}

static bool is_open(const struct look *l, const struct looked *r)
{
	if (waits_for_parents(l, r))
		return true;
	if (is_open_by(r->before) || is_open_by(r->after))
		return true;
	for (size_t e = 0; e < n_endpoints_of(l); e++)
		if (l->flow->sides[e] != NULL && (is_aside(l, r, e) || (is_anothers(r, e) && is_open_by(r->shown[e].other))))
			return true;
	return false;
}

/* That side shows what it is known to show. */
static bool is_as_known(const struct look *l, const struct looked *r, size_t e)
{
	const struct vector *v = r->after;
	const struct shown *shown = &r->shown[e];

	if (v == NULL || shown->there != v->seen[e].present)
		return false;
	for (size_t f = 0; shown->there && f < l->flow->def->n_fields; f++)
		if (digest_field(shown->o.digests[f]) != shown_digest(v, e, f))
			return false;
	return true;
}

static bool waits_for_a_person(const struct look *l, const struct doubtful *d)
{
	for (size_t f = 0; f < l->flow->def->n_fields; f++)
		if (d->fields & BIT(f) && l->flow->def->fields[f].rule == RULE_MANUAL)
			return true;
	return false;
}

static uint64_t fields_that_differ(const struct look *l, const struct looked *r)
{
	const struct shown *first = NULL;
	uint64_t fields = 0;

	for (size_t e = 0; e < n_endpoints_of(l); e++) {
		const struct shown *s = &r->shown[e];

		if (!counts(l, e) || !s->there || s->outside)
			continue;
		if (first == NULL)
			first = s;
		for (size_t f = 0; f < l->flow->def->n_fields; f++)
			if (s->o.digests[f] != first->o.digests[f])
				fields |= BIT(f);
	}
	return fields;
}

/* What the sides show, without a thought of why. */
static enum verdict compare_sides(const struct look *l, const struct looked *r)
{
	bool first = true, first_has_it = false, any = false, missing = false;

	for (size_t e = 0; e < n_endpoints_of(l); e++) {
		const struct shown *s = &r->shown[e];

		if (!counts(l, e) || s->outside)
			continue;
		if (first)
			first_has_it = s->there;
		first = false;
		any |= s->there;
		missing |= !s->there && verify_expects(l->flow, e);
	}
	if (!any)
		return VERDICT_NOWHERE;
	if (!missing)
		return fields_that_differ(l, r) == 0 ? VERDICT_MATCH : VERDICT_DIFFERENT;
	return first_has_it ? VERDICT_MISSING : VERDICT_EXTRA;
}

/* It is as it was at the last look. */
static bool is_unmoved(const struct look *l, const struct looked *r)
{
	for (size_t e = 0; e < n_endpoints_of(l); e++) {
		const struct shown *s = &r->shown[e];

		if (counts(l, e) && (s->there != ((r->of->there >> e & 1) != 0) || (s->there && s->o.row != r->of->rows[e].digest)))
			return false;
	}
	return true;
}

static bool all_as_known(const struct look *l, const struct looked *r)
{
	for (size_t e = 0; e < n_endpoints_of(l); e++)
		if (counts(l, e) && !r->shown[e].outside && !is_as_known(l, r, e))
			return false;
	return true;
}

static void keep_look(struct look *l, struct looked *r)
{
	struct doubtful *d = r->of;

	d->there = d->outside = d->news = d->known = 0;
	for (size_t e = 0; e < n_endpoints_of(l); e++) {
		const struct shown *s = &r->shown[e];

		if (r->after != NULL && r->after->seen[e].present)
			d->known |= BIT(e);
		if (counts(l, e) && !is_as_known(l, r, e))
			d->news |= BIT(e);
		if (!s->there)
			continue;
		d->there |= BIT(e);
		d->outside |= s->outside ? BIT(e) : 0;
		d->rows[e].digest = s->o.row;
		if (d->rows[e].id.len != s->id.len || memcmp(d->rows[e].id.data, s->id.data, (size_t)s->id.len) != 0)
			d->rows[e].id = (struct value){ arena_dup(l->keeps, s->id.data, (size_t)s->id.len), s->id.len };
	}
	d->fields = fields_that_differ(l, r);
	if (d->key == NULL && !value_is_null(r->key)) {
		struct buf key = { 0 };

		record_key_print(&key, r->key, l->flow->def->n_key);
		d->key = arena_dup(l->keeps, key.p, key.len);
		buf_fini(&key);
	}
}

/* Rows that only show such a key in a form of their own are looked at as those of the record that they are known to be. */
static void leave_to_owners(const struct look *l, struct looked *r)
{
	for (size_t e = 0; e < n_endpoints_of(l); e++)
		if (r->shown[e].there && is_anothers(r, e) && shows_own_key(l, e, &r->shown[e], r->shown[e].other))
			r->shown[e].there = false;
}

static void judge(struct look *l, struct looked *r)
{
	enum verdict v;
	bool unmoved;

	leave_to_owners(l, r);
	v = compare_sides(l, r);
	unmoved = is_unmoved(l, r);
	keep_look(l, r);
	if (v == VERDICT_MATCH) {
		if (r->of->twice != 0 && !fault("f16-a-second-row-that-is-not-looked-at-is-none"))
			v = VERDICT_OPEN;	/* another row there stands aside, parked */
	} else if (v != VERDICT_NOWHERE) {
		if (is_open(l, r))
			v = VERDICT_OPEN;
		else if (all_as_known(l, r))
			v = waits_for_a_person(l, r->of) ? VERDICT_OPEN : VERDICT_OWN_FORM;
		else if (!unmoved)
			v = VERDICT_DOUBT;
	}
	r->of->verdict = v;
}

/* ---- going on ---------------------------------------------------------------------------------------- */

static void ask_sides(struct look *l, void (*ask)(struct look *l, size_t e))
{
	for (size_t e = 0; e < n_endpoints_of(l); e++)
		if (counts(l, e))
			ask(l, e);
}

static void ask_step(struct look *l)
{
	switch (l->step) {
	case LOOK_KNOWN:
	case LOOK_AGAIN:
		recall(l);
		break;
	case LOOK_ROWS:
		ask_sides(l, ask_rows);
		break;
	case LOOK_BY_KEY:
		if (key_is_plain(l->flow->def))
			ask_sides(l, ask_by_key);
		break;
	case LOOK_OWNERS:
		ask_sides(l, ask_owners);
		break;
	case LOOK_OTHERS:
		ask_others(l);
		break;
	case LOOK_OVER:
		break;
	}
}

static void look_end(struct look *l)
{
	struct look gone = *l;

	for (size_t i = 0; l->why.kind == 0 && i < l->n; i++)
		judge(l, &l->list[i]);
	for (size_t i = 0; i < l->n_rowsets; i++)
		rowset_free(&l->rowsets[i]);
	arena_fini(&l->arena);
	free(l);
	gone.done(gone.arg, gone.why.kind != 0 ? &gone.why : NULL);
}

static void look_go_on(struct look *l)
{
	if (l->asking || l->waiting > 0)
		return;
	while (l->waiting == 0 && l->step != LOOK_OVER && l->why.kind == 0) {
		l->step++;
		l->asking = true;
		ask_step(l);
		l->asking = false;
	}
	if (l->waiting == 0)
		look_end(l);
}

void look_at(struct flow *flow, uint64_t compared, struct doubtful **list, size_t n, struct arena *keeps, look_fn *done, void *arg)
{
	size_t n_endpoints = flow->sync->topology->n_endpoints;
	struct look *l = xcalloc(1, sizeof *l);

	l->flow = flow;
	l->compared = compared;
	l->keeps = keeps;
	l->n = n;
	l->done = done;
	l->arg = arg;
	arena_init(&l->arena);
	l->list = arena_zalloc(&l->arena, n * sizeof *l->list);
	l->rowsets = arena_alloc(&l->arena, 2 * n_endpoints * sizeof(struct rowset *));
	for (size_t i = 0; i < n; i++) {
		l->list[i].of = list[i];
		l->list[i].key = VALUE_NULL;
		l->list[i].shown = arena_zalloc(&l->arena, n_endpoints * sizeof *l->list[i].shown);
		for (size_t e = 0; e < n_endpoints; e++)
			l->list[i].shown[e].id = VALUE_NULL;
	}
	recall(l);
}
