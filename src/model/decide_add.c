/*
 * decide_add.c - the rule add: every edit counts by its difference to what its endpoint showed before.
 *
 *   amounts   the vector keeps the values behind the digests of such a field: of what is agreed, and of what endpoints show
 *             instead or may have been given. So a difference can be told although nobody shows the value before any more.
 *             It does so for max and min, too (decide_extreme.c).
 *   sum       agreed + (shown now - shown before), over all edits of the observation. What an endpoint shows is noted with
 *             the sum in one vector: seen again, it is no edit, so no difference counts twice, however often a round is repeated.
 *   NULL      counts as zero; once there was an edit, a number is agreed.
 *   else      where a difference cannot be told (a first contact, a value before that is not known, NaN, a sum out of range)
 *             the edits compete as under last-writer-wins, and what loses is written down.
 */
#include "model/decide_work.h"

#include <string.h>

#include "base/arena.h"
#include "model/record.h"

static const struct value zero = { "0", 1 };

static const struct value *amount_of(const struct work *w, size_t f, uint32_t digest)
{
	const struct value *known = vector_amount(w->base, f, digest);

	if (known != NULL)
		return known;
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->seen[e].what == OBSERVED_ROW && digest_field(w->seen[e].digests[f]) == digest)
			return value_is_null(w->seen[e].values[f]) ? &zero : &w->seen[e].values[f];
	return digest == digest_field(value_digest(w->policy->key, w->entity->fields[f].type, VALUE_NULL)) ? &zero : NULL;
}

static bool add_difference(const struct work *w, size_t e, size_t f, struct value *sum)
{
	enum field_type type = w->entity->fields[f].type;
	struct value now = w->seen[e].values[f], difference;
	const struct value *before = base_knows(w, e) ? amount_of(w, f, shown_digest(w->base, e, f)) : NULL;

	if (before == NULL || (w->edits[e].no_base & BIT(f)))
		return false;
	return value_sum(type, value_is_null(now) ? zero : now, *before, true, w->arena, &difference) &&
	       value_sum(type, *sum, difference, false, w->arena, sum);
}

bool decide_add_up(struct work *w, size_t f, bool new_life)
{
	struct decision *d = w->out;
	struct edit_key newest, key;
	const struct value *agreed;
	struct value sum;
	uint32_t n;
	bool any = false;

	if (w->base == NULL || new_life || w->base->dead || w->base->fields[f].digest == 0)
		return false;
	agreed = amount_of(w, f, w->base->fields[f].digest);
	if (agreed == NULL)
		return false;
	sum = *agreed;
	newest = w->base->fields[f].key;
	n = newest.n;
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		if (!(w->edits[e].changed & BIT(f)))
			continue;
		if (!add_difference(w, e, f, &sum))
			return false;
		key = w->edits[e].keys[f];
		n = key.n > n ? key.n : n;
		any = true;
		if (edit_key_compare(w->entity, RULE_LAST_WRITER_WINS, &key, 0, &newest, 0) > 0)
			newest = key;
	}
	if (!any)
		return false;
	newest.n = n + 1;	/* nobody's edit: what its endpoints show instead is to be replaced, not another form of it */
	d->values[f] = sum;
	d->digests[f] = value_digest(w->policy->key, w->entity->fields[f].type, sum);
	d->have |= BIT(f);
	d->next->fields[f] = (struct vfield){ digest_field(d->digests[f]), newest };
	w->added |= BIT(f);
	return true;
}

void decide_add_at_hand(struct work *w, size_t f)
{
	const struct value *known = w->base != NULL ? vector_amount(w->base, f, w->out->next->fields[f].digest) : NULL;

	if (w->entity->fields[f].rule != RULE_ADD || known == NULL)
		return;
	w->out->values[f] = *known;
	w->out->digests[f] = value_digest(w->policy->key, w->entity->fields[f].type, *known);
	w->out->have |= BIT(f);
}

/* ---- what the next decision needs to know ------------------------------------------------------------ */

/* Sums are made with them, and by the greatest (least) value it is told whether an edit stands; of what is private it is told where that is shown. */
static bool needs_amounts(const struct field_def *f)
{
	return f->rule == RULE_ADD || (is_extreme(f->rule) && !f->private_value);
}

static void keep_amount(struct vector *next, size_t f, uint32_t digest, const struct value *v)
{
	if (v == NULL || value_is_null(*v) || v->len > AMOUNT_BYTES_MAX || next->n_amounts == AMOUNTS_MAX ||
	    vector_amount(next, f, digest) != NULL)
		return;
	next->amounts[next->n_amounts++] = (struct vamount){ (uint8_t)f, digest, *v };
}

static const struct value *find_amount(const struct work *w, size_t f, uint32_t digest)
{
	if ((w->out->have & BIT(f)) && digest_field(w->out->digests[f]) == digest)
		return &w->out->values[f];
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->seen[e].what == OBSERVED_ROW && digest_field(w->seen[e].digests[f]) == digest)
			return &w->seen[e].values[f];
	return w->base != NULL ? vector_amount(w->base, f, digest) : NULL;
}

static void keep_listed(const struct work *w, const struct vdeviation *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (needs_amounts(&w->entity->fields[list[i].field]))
			keep_amount(w->out->next, list[i].field, list[i].digest, find_amount(w, list[i].field, list[i].digest));
}

void decide_keep_amounts(struct work *w)
{
	struct vector *next = w->out->next;
	size_t most = 0;

	next->n_amounts = 0;
	for (size_t f = 0; f < w->entity->n_fields; f++)
		most += needs_amounts(&w->entity->fields[f]);
	if (most == 0)
		return;
	for (size_t e = 0; e < next->n_seen; e++)
		most += next->seen[e].n_deviations + next->seen[e].n_intended;
	next->amounts = arena_alloc(w->arena, most * sizeof *next->amounts);
	for (size_t f = 0; f < w->entity->n_fields; f++)
		if (needs_amounts(&w->entity->fields[f]))
			keep_amount(next, f, next->fields[f].digest, find_amount(w, f, next->fields[f].digest));
	for (size_t e = 0; e < next->n_seen; e++) {
		keep_listed(w, next->seen[e].deviations, next->seen[e].n_deviations);
		if (next->seen[e].uncertain)
			keep_listed(w, next->seen[e].intended, next->seen[e].n_intended);
	}
}

/* After a write: the target has its own form of it. */
void decide_keep_readback(const struct decide_policy *policy, struct vector *next, const struct vseen *s, const struct observation *readback,
			  struct arena *arena)
{
	struct vamount *old = next->amounts;

	if (next->n_amounts == 0 || readback == NULL)
		return;
	next->amounts = arena_alloc(arena, (next->n_amounts + s->n_deviations) * sizeof *next->amounts);
	memcpy(next->amounts, old, next->n_amounts * sizeof *old);
	for (size_t i = 0; i < s->n_deviations; i++) {
		size_t f = s->deviations[i].field;

		if (needs_amounts(&policy->entity->fields[f]) && digest_field(readback->digests[f]) == s->deviations[i].digest)
			keep_amount(next, f, s->deviations[i].digest, &readback->values[f]);
	}
}
