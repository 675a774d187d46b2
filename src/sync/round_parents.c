/*
 * round_parents.c - references on their way out: each is written as the local id that the record it means has at the endpoint.
 *
 *	PARENTS		vectors of the records that are to be pointed to. Where one has no row yet, or not by its key, whoever points to it waits.
 *			So does whoever was told of it by a row that points to another record's, which has that key there and nowhere else yet
 *	APPLY		the local ids go into the rows; what reads back otherwise is astray
 */
#include "sync/round.h"

#include "base/fault.h"
#include "sync/undo.h"

static struct rid parent_rid(const struct round *r, const struct field_def *field, struct value v)
{
	return rid_of(&sync_of(r)->store->key, field->refers, v);
}

static struct parent *find_parent(struct round *r, const struct rid *rid)
{
	struct parent *p;

	HASH_FIND(hh, r->parents, rid, sizeof *rid, p);
	return p;
}

static void want_parent(struct round *r, const struct field_def *field, struct value v)
{
	struct rid rid = parent_rid(r, field, v);
	struct parent *p = find_parent(r, &rid);

	if (p != NULL)
		return;
	p = arena_zalloc(&r->arena, sizeof *p);
	p->rid = rid;
	p->flow = &sync_of(r)->flows[field->refers->index];
	p->arrivals = p->flow->arrivals;
	HASH_ADD(hh, r->parents, rid, sizeof p->rid, p);
}

static const struct parent *parent_of(struct round *r, const struct subject *s, size_t f)
{
	struct rid rid = parent_rid(r, &r->flow->def->fields[f], s->d.values[f]);

	return find_parent(r, &rid);
}

static bool writes_field(const struct subject *s, size_t e, size_t f)
{
	return (s->d.orders[e].action == ACTION_INSERT || s->d.orders[e].action == ACTION_UPDATE) && (s->d.orders[e].fields & BIT(f)) &&
	       !value_is_null(s->d.values[f]);
}

static bool is_written(const struct round *r, const struct subject *s, size_t f)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (writes_field(s, e, f))
			return true;
	return false;
}

/* ---- whose row is it that has that key there? ---------------------------------------------------------- */

bool round_points_to(const struct subject *s, size_t e, size_t f, const struct vector *v)
{
	const struct observation *o = &s->seen[e];

	return v != NULL && v->seen[e].present && o->points_to != NULL && value_equal(v->seen[e].id, o->points_to[f]);
}

struct pointing {			/* the n-th local id is what that subject's row points to */
	struct round *round;
	struct subject **subjects;
	const struct parent **parents;
	uint8_t *fields;
	struct value *ids;
	size_t n;
};

static void on_pointed_to(void *arg, const struct rid *rids, const bool *found, size_t n, const struct err *e)
{
	struct pointing *t = arg;

	round_give_up(t->round, e);
	for (size_t i = 0; e == NULL && i < n; i++)
		if (found[i] && !rid_equal(&rids[i], &t->parents[i]->rid) && !fault("f13-whoever-shows-a-key-has-it"))
			t->subjects[i]->misled |= BIT(t->fields[i]);
	round_answered(t->round);
}

/* It shows what is agreed, by a row that is not known as that record's. */
static bool is_suspect(const struct subject *s, size_t e, size_t f, const struct parent *p)
{
	const struct observation *o = &s->seen[e];

	return o->what == OBSERVED_ROW && o->points_to != NULL && o->digests[f] == s->d.digests[f] &&
	       !round_points_to(s, e, f, p->vector);
}

static void look_up_suspects(struct round *r, struct flow *parents, size_t e)
{
	const struct entity_def *def = r->flow->def;
	struct pointing *t = NULL;

	for (size_t i = 0; i < r->n; i++)
		for (size_t f = 0; is_live(&r->subjects[i]) && f < def->n_fields; f++) {
			struct subject *s = &r->subjects[i];
			const struct parent *p;

			if (def->fields[f].refers != parents->def || !is_written(r, s, f))
				continue;
			p = parent_of(r, s, f);
			if (!is_suspect(s, e, f, p))
				continue;
			if (t == NULL) {
				size_t most = r->n * def->n_fields;

				t = arena_alloc(&r->arena, sizeof *t);
				*t = (struct pointing){ r, arena_alloc(&r->arena, most * sizeof *t->subjects),
							arena_alloc(&r->arena, most * sizeof *t->parents), arena_alloc(&r->arena, most),
							arena_alloc(&r->arena, most * sizeof *t->ids), 0 };
			}
			t->subjects[t->n] = s;
			t->parents[t->n] = p;
			t->fields[t->n] = (uint8_t)f;
			t->ids[t->n++] = s->seen[e].points_to[f];
		}
	if (t == NULL)
		return;
	r->waiting++;
	sync_of(r)->store->ops->lookup(sync_of(r)->store, parents->index, (uint8_t)e, t->ids, t->n, on_pointed_to, t);
}

/* ---- PARENTS ------------------------------------------------------------------------------------------- */

struct parents_read {
	struct round *round;
	struct flow *flow;
	struct parent **list;
};

static void on_parents(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	struct parents_read *c = arg;
	struct round *r = c->round;

	round_give_up(r, e);
	for (size_t i = 0; e == NULL && i < n; i++)
		c->list[i]->vector = round_vector(r, c->flow, blobs[i]);
	for (size_t k = 0; e == NULL && k < n_endpoints(r); k++)
		look_up_suspects(r, c->flow, k);
	round_answered(r);
}

static void recall_parents_of(struct round *r, struct flow *flow)
{
	struct parents_read *c = arena_alloc(&r->arena, sizeof *c);
	size_t n = 0, most = HASH_COUNT(r->parents);
	struct rid *rids = arena_alloc(&r->arena, most * sizeof *rids);
	struct parent *p, *tmp;

	*c = (struct parents_read){ .round = r, .flow = flow, .list = arena_alloc(&r->arena, most * sizeof *c->list) };
	HASH_ITER(hh, r->parents, p, tmp) {
		if (p->flow != flow)
			continue;
		rids[n] = p->rid;
		c->list[n++] = p;
	}
	if (n == 0)
		return;
	r->waiting++;
	sync_of(r)->store->ops->recall(sync_of(r)->store, flow->index, rids, n, on_parents, c);
}

void round_ask_parents(struct round *r)
{
	const struct entity_def *def = r->flow->def;

	for (size_t f = 0; f < def->n_fields; f++) {
		if (def->fields[f].type != FIELD_REFERENCE)
			continue;
		for (size_t i = 0; i < r->n; i++)
			for (size_t e = 0; is_live(&r->subjects[i]) && e < n_endpoints(r); e++)
				if (writes_field(&r->subjects[i], e, f))
					want_parent(r, &def->fields[f], r->subjects[i].d.values[f]);
	}
	if (r->parents == NULL)
		return;
	for (size_t i = 0; i < sync_of(r)->topology->n_entities; i++)
		recall_parents_of(r, &sync_of(r)->flows[i]);
}

/* Of records that wait for each other one has to go first, without the reference; its key it cannot do without. */
static bool goes_first(const struct round *r, const struct subject *s, size_t f, const struct parent *p)
{
	uint64_t unit = decide_unit(r->flow->def, f);

	for (size_t i = 0; i < r->flow->def->n_key; i++)
		if (unit & BIT(r->flow->def->key[i]))
			return false;
	return orphans_wait_for(r->flow, &s->next_rid, p->flow, &p->rid);
}

/* A reconcile has the parents first: where nothing is known yet against it, the parent's row is there by then. */
static bool will_come(const struct parent *p, size_t e)
{
	const struct side *side = p->flow->sides[e];

	if (side == NULL || side->mapping->role == ROLE_SOURCE)
		return false;
	return p->vector == NULL || (p->vector->seen[e].owed && !p->vector->seen[e].parked) || !p->vector->seen[e].known;
}

/* It has a key that is not the agreed one: a reference to it would read back as another record's, as an edit that nobody made. */
static bool has_another_key(const struct vector *v, size_t e, const struct entity_def *def)
{
	bool another = false;

	for (size_t i = 0; i < def->n_key; i++)
		another |= !v->seen[e].same && vseen_deviation(&v->seen[e], def->key[i]) != NULL;
	return another && !decide_has_own_key(def, v, e) && !fault("f13-a-row-is-pointed-to-by-whatever-key");
}

static const char *why_held(const struct subject *s, size_t e, size_t f, const struct parent *p)
{
	if (s->misled & BIT(f))
		return "has this key where it was seen, and is known by another one yet";
	return p->vector != NULL && p->vector->seen[e].present ? "has another key there" : "is not there yet";
}

/*
 * For the record with that key, and for the rows that it points to where nobody knows yet whose they are: who has that key now may be renamed
 * before it is ever met, and then comes by another one.
 */
static void wait_for_parent(struct round *r, struct subject *s, size_t f, const struct parent *p)
{
	orphan_wait(p->flow, &p->rid, r->flow, &s->next_rid);
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (is_suspect(s, e, f, p) && !(s->misled & BIT(f)) && !fault("f15-a-parent-renamed-before-it-was-met-never-comes")) {
			struct rid row = round_rid_of_row(r, e, s->seen[e].points_to[f]);

			orphan_wait(p->flow, &row, r->flow, &s->next_rid);
		}
}

/* The parent's row is not there yet, or not by its key: leave that field with its group (or the whole insert) until it is. */
static void hold_for_parent(struct round *r, struct subject *s, size_t e, size_t f, const struct parent *p)
{
	struct order *o = &s->d.orders[e];
	struct err why;

	if (r->plan != NULL && will_come(p, e)) {
		s->after_parent |= BIT(e);
		return;
	}
	s->orphaned |= BIT(e);
	o->fields &= ~decide_unit(r->flow->def, f);
	if (o->fields == 0 || (o->action == ACTION_INSERT && !goes_first(r, s, f, p)))
		o->action = ACTION_NONE;
	if (r->plan == NULL)
		wait_for_parent(r, s, f, p);
	if (p->flow->arrivals != p->arrivals)
		s->later = true;	/* it may have come since its vector was asked for: then nobody will tell us */
	err_set(&why, ERR_ROW, "waits-for-parent", "the %s it points to %s; it follows by itself", p->flow->def->name, why_held(s, e, f, p));
	undo_note_refused(r, s, &why);
	round_park(r, r->flow->sides[e], false, &s->next_rid, s->key, VALUE_NULL, r->flow->def->fields[f].name, STAMP_NONE, &why);
	s->d.next->seen[e].parked = true;
}

/* Nobody is known by a key that it shows, but the row that it points to is: once more, and that tells what it means. */
static bool leads_to_row(struct round *r, struct subject *s)
{
	const struct entity_def *def = r->flow->def;

	for (uint64_t rest = s->misled; rest != 0; rest &= rest - 1) {
		size_t f = (size_t)__builtin_ctzll(rest);

		if (round_follows(def, f) && parent_of(r, s, f)->vector == NULL && round_goes_by_rows(r, s))
			return true;
	}
	return false;
}

static void look_at_parent(struct round *r, struct subject *s, size_t e, size_t f)
{
	const struct parent *p = parent_of(r, s, f);

	if (p->vector == NULL || !p->vector->seen[e].present || has_another_key(p->vector, e, p->flow->def) || s->misled & BIT(f))
		hold_for_parent(r, s, e, f, p);
	else if (decide_has_own_key(p->flow->def, p->vector, e) && round_follows(r->flow->def, f))
		s->own_keys |= BIT(e);
}

void round_got_parents(struct round *r)
{
	const struct entity_def *def = r->flow->def;
	struct err failed = { 0 };

	if (r->parents == NULL)
		return;
	if (r->plan == NULL)
		journal_begin(sync_of(r)->journal);
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (!is_live(s) || leads_to_row(r, s))
			continue;
		for (size_t e = 0; e < n_endpoints(r); e++)
			for (size_t f = 0; f < def->n_fields; f++)
				if (def->fields[f].type == FIELD_REFERENCE && writes_field(s, e, f))
					look_at_parent(r, s, e, f);
	}
	if (r->plan == NULL && !journal_commit(sync_of(r)->journal, &failed))
		round_give_up(r, &failed);
}

/* ---- writing ----------------------------------------------------------------------------------------- */

const struct value *round_values_with_parents(struct round *r, const struct subject *s, size_t e)
{
	const struct entity_def *def = r->flow->def;
	struct value *own = NULL;

	for (size_t f = 0; f < def->n_fields; f++) {
		struct rid rid;

		if (def->fields[f].type != FIELD_REFERENCE || !writes_field(s, e, f))
			continue;
		if (own == NULL) {
			own = arena_alloc(&r->arena, def->n_fields * sizeof *own);
			memcpy(own, s->d.values, def->n_fields * sizeof *own);
		}
		rid = parent_rid(r, &def->fields[f], s->d.values[f]);
		own[f] = find_parent(r, &rid)->vector->seen[e].id;
	}
	return own != NULL ? own : s->d.values;
}

void round_wait_for_parents(struct round *r, struct subject *s, size_t e)
{
	const struct entity_def *def = r->flow->def;

	for (size_t f = 0; f < def->n_fields; f++) {
		struct rid rid;

		if (def->fields[f].type != FIELD_REFERENCE || !writes_field(s, e, f))
			continue;
		rid = parent_rid(r, &def->fields[f], s->d.values[f]);
		orphan_wait(&sync_of(r)->flows[def->fields[f].refers->index], &rid, r->flow, &s->next_rid);
	}
}

/*
 * A reference is written as the local id of the record that it means. Where that row has another key (its new one is still owed
 * there, and will perhaps never be its) the reference reads back as another record, which is no form of what was meant.
 */
uint64_t round_find_astray(struct round *r, const struct subject *s, size_t e, const struct observation *readback)
{
	const struct entity_def *def = r->flow->def;
	uint64_t astray = 0;

	for (size_t f = 0; readback != NULL && f < def->n_fields; f++) {
		struct rid rid;
		struct parent *p;

		if (def->fields[f].type != FIELD_REFERENCE || !writes_field(s, e, f) || readback->digests[f] == s->d.digests[f])
			continue;
		rid = parent_rid(r, &def->fields[f], s->d.values[f]);
		p = find_parent(r, &rid);	/* NULL: the state was lost meanwhile and has another digest key; the round is given up */
		if (p != NULL && !decide_has_own_key(def->fields[f].refers, p->vector, e))
			astray |= BIT(f);
	}
	return astray;
}
