/*
 * decide_imposed.c - what a person puts back or imposes, against the rules: it becomes what is agreed, and everybody gets it.
 *
 *   expected  it is put back only where what was agreed since is still what it is to replace, and nobody shows an edit of his own
 *             there. Else somebody has touched it, and the rules decide as ever.
 *   key       just above every edit of the unit that is known, and no higher: whoever still shows what is replaced is behind, and that is no
 *             edit; but an edit that nobody knew of yet, made on top of what is replaced, stands against it, however long its
 *             transaction had been open, or its side away. Nobody's origin: the rules have nothing to say about it, the next edit has.
 *   side      what one side shows, whatever edits others have made: only where everybody still shows what the person was told. An edit that
 *             falls to it goes to the journal as one that lost. A field that shows nothing that we do not know is left alone: a
 *             side's own form of what is agreed must not become what is agreed.
 *   at hand   the value is nowhere until somebody has been written; so whoever decides has to bring it along until then.
 */
#include "model/decide_work.h"

static bool is_waiting(const struct work *w, uint64_t unit)
{
	for (uint64_t rest = unit; rest != 0; rest &= rest - 1) {
		size_t f = (size_t)__builtin_ctzll(rest);

		for (size_t e = 0; w->entity->fields[f].rule == RULE_MANUAL && e < w->policy->n_endpoints; e++) {
			const struct vdeviation *dev = w->base->seen[e].same ? NULL : vseen_deviation(&w->base->seen[e], f);

			if (dev != NULL && dev->key.n > w->base->fields[f].key.n)
				return true;
		}
	}
	return false;
}

static bool is_touched(const struct work *w, uint64_t unit)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if ((w->edits[e].changed & unit) || w->edits[e].removed || w->edits[e].missing)
			return true;
	return is_waiting(w, unit);
}

/* By the whole digest where somebody shows it. */
static bool is_agreed(const struct work *w, size_t f, uint64_t digest)
{
	uint8_t holder;

	if (w->base->fields[f].digest != digest_field(digest))
		return false;
	holder = decide_find_holder(w, f);
	return holder == 255 || w->seen[holder].digests[f] == digest;
}

static void raise_key(struct edit_key *key, const struct edit_key *above, int64_t quantum_us)
{
	if (above->eff + quantum_us > key->eff)
		key->eff = above->eff + quantum_us;
	if (above->n + 1 > key->n)
		key->n = above->n + 1;
}

/* What it shows now; of whom nothing is known, only what it says itself. */
static void raise_above_shown(const struct work *w, struct edit_key *key, size_t e, size_t f)
{
	struct edit_key shown;

	if (!base_knows(w, e) && !(w->edits[e].changed & BIT(f)))
		return;
	shown = decide_key_now(w, e, f);
	raise_key(key, &shown, w->policy->quantum_us);
}

/* Just above anything that is known of these fields. */
static struct edit_key key_above(const struct work *w, uint64_t fields)
{
	int64_t q = w->policy->quantum_us;
	struct edit_key key = { .eff = EFF_UNKNOWN, .n = 1, .origin = ORIGIN_NONE };

	for (uint64_t rest = fields; rest != 0; rest &= rest - 1) {
		size_t f = (size_t)__builtin_ctzll(rest);

		if (w->base != NULL && w->base->fields[f].digest != 0)
			raise_key(&key, &w->base->fields[f].key, q);
		for (size_t e = 0; e < w->policy->n_endpoints; e++)
			raise_above_shown(w, &key, e, f);
	}
	if (w->base != NULL && w->base->dead)
		raise_key(&key, &w->base->deleted, q);
	return key;
}

/* Half of a unit would be a value that nobody wrote. */
static uint64_t touched_units(const struct work *w)
{
	const struct imposition *i = w->policy->imposed;
	uint64_t touched = 0;

	for (uint64_t rest = i->fields; rest != 0; rest &= rest - 1) {
		size_t f = (size_t)__builtin_ctzll(rest);

		if (is_touched(w, w->unit[f]) || (!is_agreed(w, f, i->digests[f]) && !is_agreed(w, f, i->expected[f])))
			touched |= w->unit[f];
	}
	return touched;
}

static void find_values(struct work *w)
{
	const struct imposition *i = w->policy->imposed;
	uint64_t left = w->base->dead ? 0 : i->fields & ~touched_units(w);

	for (uint64_t rest = left; rest != 0; rest &= rest - 1) {
		size_t f = (size_t)__builtin_ctzll(rest);

		if (i->digests[f] == i->expected[f])	/* only a witness for the others of its unit */
			w->out->put_back |= BIT(f);
		else if (is_agreed(w, f, i->digests[f]))
			*(i->begun ? &w->out->put_back : &w->out->already) |= BIT(f);
		else
			w->imposed |= BIT(f);
	}
}

static void find_record(struct work *w)
{
	const struct imposition *i = w->policy->imposed;
	uint64_t all = all_fields(w->entity);
	bool same = !w->base->dead;

	for (size_t f = 0; same && f < w->entity->n_fields; f++)
		same = is_agreed(w, f, i->digests[f]);
	if (is_touched(w, all))
		return;
	if (w->base->dead)
		w->imposed = all;
	else if (same)
		*(i->begun ? &w->out->put_back : &w->out->already) = all;
}

/* ---- one side ---------------------------------------------------------------------------------------- */

static bool shows_as_told(const struct work *w, const struct imposition *i)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		const struct observation *o = &w->seen[e];

		if (!(i->looked_at & BIT(e)))
			continue;
		if (o->what == OBSERVED_NOTHING || (o->what == OBSERVED_ROW) != ((i->there & BIT(e)) != 0))
			return false;
		if (o->what == OBSERVED_ROW && o->row != i->rows[e])
			return false;
	}
	return true;
}

/* It shows what we know of it there, and that is what is agreed or its own form of it. */
static bool is_as_known(const struct work *w, size_t e, size_t f)
{
	const struct vdeviation *dev = base_knows(w, e) && !w->base->seen[e].same ? vseen_deviation(&w->base->seen[e], f) : NULL;

	return base_knows(w, e) && shown_digest(w->base, e, f) == digest_field(w->seen[e].digests[f]) &&
	       (dev == NULL || same_key(&dev->key, &w->base->fields[f].key));
}

static bool all_as_known(const struct work *w, size_t f)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->seen[e].what == OBSERVED_ROW && (!is_as_known(w, e, f) || (w->edits[e].changed & BIT(f))))
			return false;
	return w->base != NULL && !w->base->dead;
}

static void find_side(struct work *w, const struct imposition *i)
{
	if (!shows_as_told(w, i))
		return;
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		w->edits[e].removed = w->edits[e].missing = false;	/* whether it is to be gone is what is decided here */
	w->ended = w->seen[i->side].what != OBSERVED_ROW;
	for (size_t f = 0; !w->ended && f < w->entity->n_fields; f++)
		if ((i->fields & BIT(f)) && !all_as_known(w, f))
			w->imposed |= w->unit[f];
	if (w->ended)
		w->ended_key = key_above(w, all_fields(w->entity));
}

void decide_find_imposed(struct work *w)
{
	if (w->policy->imposed == NULL || (w->base == NULL && w->policy->imposed->what != IMPOSE_SIDE))
		return;
	switch (w->policy->imposed->what) {
	case IMPOSE_VALUES:
		find_values(w);
		break;
	case IMPOSE_RECORD:
		find_record(w);
		break;
	case IMPOSE_END:
		w->ended = !w->base->dead && !is_touched(w, all_fields(w->entity));
		w->out->put_back = w->ended || (w->base->dead && w->policy->imposed->begun) ? all_fields(w->entity) : 0;
		w->out->already = w->base->dead && !w->policy->imposed->begun ? all_fields(w->entity) : 0;
		w->ended_key = key_above(w, all_fields(w->entity));
		return;
	case IMPOSE_SIDE:
		find_side(w, w->policy->imposed);
		break;
	}
	if (w->ended)
		return;
	for (uint64_t rest = w->imposed; rest != 0; rest &= rest - 1)
		w->drawn |= w->unit[__builtin_ctzll(rest)];
	w->out->put_back |= w->imposed;
}

bool decide_is_guarded_end(const struct work *w)
{
	const struct imposition *i = w->policy->imposed;

	return i != NULL && i->what == IMPOSE_END && i->begun && w->base->dead;
}

bool decide_comes_back(const struct work *w)
{
	return w->policy->imposed != NULL && w->policy->imposed->what == IMPOSE_RECORD && w->out->put_back != 0;
}

bool decide_impose(struct work *w, size_t f)
{
	const struct imposition *i = w->policy->imposed;
	struct decision *d = w->out;

	if (w->drawn & BIT(f))		/* the whole unit is as old as its youngest part */
		d->next->fields[f].key = key_above(w, w->unit[f]);
	if (i == NULL || i->what == IMPOSE_END || !(d->put_back & BIT(f)))
		return false;
	d->values[f] = i->what == IMPOSE_SIDE ? w->seen[i->side].values[f] : i->values[f];
	d->digests[f] = i->what == IMPOSE_SIDE ? w->seen[i->side].digests[f] : i->digests[f];
	d->have |= BIT(f);
	d->next->fields[f].digest = digest_field(d->digests[f]);
	return true;
}
