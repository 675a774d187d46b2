/*
 * round_forms.c - FORMS: of a write in doubt some fields show neither what was there before nor what was intended.
 *
 * Either somebody has edited them since, or the target has made something of what was written: rounded it, or its trigger did (SEMANTICS F9). What
 * the write read back has gone with its answer, and the row does not tell. So the target is asked what it makes of what was intended, as long as
 * somebody shows that: where this is what the row shows, it is our write. Where it is not, or cannot be told, it is an edit.
 */
#include "sync/round.h"

#include "base/fault.h"
#include "model/doubt.h"

struct attempting {
	struct round *round;
	size_t endpoint;
};

/* Whose row has what is agreed there; NULL: nobody's. */
static const struct observation *holder_of(const struct round *r, const struct subject *s, size_t f)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (s->seen[e].what == OBSERVED_ROW && digest_field(s->seen[e].digests[f]) == s->base->fields[f].digest)
			return &s->seen[e];
	return NULL;
}

/* Who could tell what was intended is not there yet, as at a start: an edit that is none would be had at once, and that one in a moment. */
static bool is_to_come(const struct round *r, const struct subject *s)
{
	if (r->pass >= ROUND_PATIENCE)
		return false;
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (r->flow->sides[e] != NULL && s->base->seen[e].present && s->seen[e].what == OBSERVED_NOTHING)
			return true;
	return false;
}

/* False: there is nothing to ask. A reference is told by the row that it points to (round_meant.c). */
static bool fill_attempt(struct round *r, struct subject *s, size_t e, struct write *w)
{
	const struct entity_def *def = r->flow->def;
	uint64_t unclear = is_live(s) && s->base != NULL ? doubt_unclear(s->base, def, e, &s->seen[e]) : 0;
	struct value *values;

	*w = (struct write){ .op = WRITE_UPDATE, .id = s->seen[e].id, .version = s->versions[e], .subject = s };
	if (unclear == 0 || fault("f30-what-the-target-made-of-it-is-an-edit"))
		return false;
	values = arena_zalloc(&r->arena, def->n_fields * sizeof *values);
	for (size_t f = 0; f < def->n_fields; f++) {
		const struct observation *holder;

		if (!(unclear & BIT(f)) || def->fields[f].type == FIELD_REFERENCE)
			continue;
		holder = holder_of(r, s, f);
		if (holder == NULL && is_to_come(r, s)) {
			round_put_off(r, s);
			return false;
		}
		if (holder == NULL)
			continue;
		values[f] = holder->values[f];
		w->fields |= BIT(f);
	}
	w->values = values;
	return w->fields != 0;
}

static void take_form(struct round *r, size_t e, const struct write *w)
{
	struct subject *s = w->subject;
	struct observation made;
	const struct field_def *field;
	struct err bad = { 0 };

	if (w->readback == NULL || !round_observe(r, r->flow->sides[e], w->readback, &made, &field, &bad) || made.what != OBSERVED_ROW)
		return;
	for (size_t f = 0; f < r->flow->def->n_fields; f++)
		if (w->fields & BIT(f) && made.digests[f] == s->seen[e].digests[f])
			s->seen[e].made |= BIT(f);
}

static void on_attempted(void *arg, struct write_batch *batch)
{
	struct attempting *a = arg;

	for (size_t i = 0; i < batch->n; i++)
		take_form(a->round, a->endpoint, &batch->list[i]);
	round_answered(a->round);
}

static void attempt_at(struct round *r, size_t e)
{
	struct link *link = r->flow->sides[e]->link;
	struct write_batch *b = arena_zalloc(&r->arena, sizeof *b);
	struct attempting *a = arena_alloc(&r->arena, sizeof *a);

	*a = (struct attempting){ r, e };
	b->arena = &r->arena;
	b->list = arena_alloc(&r->arena, r->n * sizeof *b->list);
	for (size_t i = 0; i < r->n; i++)
		b->n += fill_attempt(r, &r->subjects[i], e, &b->list[b->n]);
	if (b->n == 0)
		return;
	r->waiting++;
	link->ops->attempt(link, b, on_attempted, a);
}

void round_ask_forms(struct round *r)
{
	for (size_t e = 0; r->plan == NULL && r->n > 0 && e < n_endpoints(r); e++)
		if (reachable(r, e) && r->flow->sides[e]->mapping->role != ROLE_SOURCE)
			attempt_at(r, e);
}
