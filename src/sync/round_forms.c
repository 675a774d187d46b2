/*
 * round_forms.c - FORMS: of a write in doubt some fields show neither what was there before nor what was intended.
 *
 * Either somebody has edited them since, or the target has made something of what was written: rounded it, or its trigger did (SEMANTICS F9). What
 * the write read back has gone with its answer, and the row does not tell. So the target is asked what it makes of what was intended, as long as
 * somebody shows that: where this is what the row shows, it is our write, else an edit.
 *
 * Where nobody does, something newer has taken its place, and it is asked what it makes of that. Where it makes something else of it, what the
 * row shows is suspect: it stands aside for the newer value as our write would, and the journal says so. As an edit it would be as young as
 * whatever was edited in that row.
 */
#include "sync/round.h"

#include "base/fault.h"
#include "model/doubt.h"

struct attempting {
	struct round *round;
	size_t endpoint;
	uint64_t *newer;		/* by write: fields for which it is the newer value that is tried */
};

/* Whose row shows it; NULL: nobody's. */
static const struct observation *holder_of(const struct round *r, const struct subject *s, size_t f, uint32_t digest)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (s->seen[e].what == OBSERVED_ROW && digest_field(s->seen[e].digests[f]) == digest)
			return &s->seen[e];
	return NULL;
}

/* Who showed it when last seen is not there to be asked. */
static bool is_away(const struct round *r, const struct subject *s, size_t f, uint32_t digest)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (r->flow->sides[e] != NULL && s->base->seen[e].present && s->seen[e].what == OBSERVED_NOTHING &&
		    shown_digest(s->base, e, f) == digest)
			return true;
	return false;
}

static const struct observation *newer_of(const struct round *r, const struct subject *s, size_t target)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (e != target && s->seen[e].what == OBSERVED_ROW)
			return &s->seen[e];
	return NULL;
}

/* What to try in that field; NULL: nothing. */
static const struct value *value_to_try(struct round *r, struct subject *s, size_t e, size_t f, uint64_t *newer)
{
	const struct observation *holder;
	uint32_t meant;

	if (!doubt_unclear(s->base, r->flow->def, e, f, &s->seen[e], &meant))
		return NULL;
	holder = holder_of(r, s, f, meant);
	if (holder != NULL)
		return &holder->values[f];
	if (is_away(r, s, f, meant)) {	/* as at a start: it is there in a moment, and an edit that is none would be had at once */
		if (r->pass < ROUND_PATIENCE)
			round_put_off(r, s);
		return NULL;
	}
	*newer |= BIT(f);
	holder = newer_of(r, s, e);
	return holder != NULL ? &holder->values[f] : NULL;
}

/* False: there is nothing to ask. A reference is told by the row that it points to (round_meant.c). */
static bool fill_attempt(struct round *r, struct subject *s, size_t e, struct write *w, uint64_t *newer)
{
	const struct entity_def *def = r->flow->def;
	struct value *values;

	if (!is_live(s) || s->base == NULL || !s->base->seen[e].uncertain || fault("f30-what-the-target-made-of-it-is-an-edit"))
		return false;
	values = arena_zalloc(&r->arena, def->n_fields * sizeof *values);
	*w = (struct write){ .op = WRITE_UPDATE, .id = s->seen[e].id, .version = s->versions[e], .values = values, .subject = s };
	*newer = 0;
	for (size_t f = 0; is_live(s) && f < def->n_fields; f++) {
		const struct value *v = def->fields[f].type != FIELD_REFERENCE ? value_to_try(r, s, e, f, newer) : NULL;

		if (v == NULL)
			continue;
		values[f] = *v;
		w->fields |= BIT(f);
	}
	return is_live(s) && w->fields != 0;
}

static void take_form(struct round *r, size_t e, const struct write *w, uint64_t newer)
{
	const struct entity_def *def = r->flow->def;
	struct observation *seen = &((struct subject *)w->subject)->seen[e], made;
	struct meter_entity counted = { 0 };		/* nobody has that row */
	const struct field_def *field;
	struct err bad = { 0 };

	if (w->readback == NULL || !observe_row(r->flow, r->flow->sides[e], w->readback, &r->arena, &counted, &made, &field, &bad) ||
	    made.what != OBSERVED_ROW)
		return;
	for (size_t f = 0; f < def->n_fields; f++) {
		if (!(w->fields & BIT(f)))
			continue;
		if (!(newer & BIT(f)))
			seen->made |= made.digests[f] == seen->digests[f] || fault("f30-whatever-a-target-shows-is-what-it-made-of-it") ? BIT(f) : 0;
		else if (made.digests[f] != value_digest(&sync_of(r)->store->key, def->fields[f].type, w->values[f]))
			seen->maybe |= BIT(f);
	}
}

static void on_attempted(void *arg, struct write_batch *batch)
{
	struct attempting *a = arg;

	for (size_t i = 0; i < batch->n; i++)
		take_form(a->round, a->endpoint, &batch->list[i], a->newer[i]);
	round_answered(a->round);
}

static void attempt_at(struct round *r, size_t e)
{
	struct link *link = r->flow->sides[e]->link;
	struct write_batch *b = arena_zalloc(&r->arena, sizeof *b);
	struct attempting *a = arena_alloc(&r->arena, sizeof *a);

	*a = (struct attempting){ r, e, arena_alloc(&r->arena, r->n * sizeof *a->newer) };
	b->arena = &r->arena;
	b->list = arena_alloc(&r->arena, r->n * sizeof *b->list);
	for (size_t i = 0; i < r->n; i++)
		b->n += fill_attempt(r, &r->subjects[i], e, &b->list[b->n], &a->newer[b->n]);
	if (b->n == 0)
		return;
	r->waiting++;
	link->ops->attempt(link, b, on_attempted, a);
}

static bool is_any_in_doubt(const struct round *r, size_t e)
{
	for (size_t i = 0; i < r->n; i++)
		if (is_live(&r->subjects[i]) && r->subjects[i].base != NULL && r->subjects[i].base->seen[e].uncertain)
			return true;
	return false;
}

void round_ask_forms(struct round *r)
{
	for (size_t e = 0; r->plan == NULL && e < n_endpoints(r); e++)
		if (reachable(r, e) && is_any_in_doubt(r, e))
			attempt_at(r, e);
}
