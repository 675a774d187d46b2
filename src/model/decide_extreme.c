/*
 * decide_extreme.c - the rules max and min: what stands is the greatest (least) value that anybody shows.
 *
 * They compare values, and a vector has only digests: a value is at hand as long as somebody shows it. While nobody
 * who can be asked shows the agreed one it stands, and whoever deviates stays as it is; so every row that deviates competes
 * whenever it is looked at, under the key that it has, and not only when it was edited. Where everybody was asked and nobody
 * shows the agreed value any more, it is the extreme of nothing, and the best of what is there stands.
 *
 * A key does not tell here who beats whom; its n tells who had seen what is agreed (decide.c), and of a row that deviates without
 * an edit, whose n is at most that of what is agreed, that it is only behind.
 *
 * Whether an edit keeps a record that somebody deletes must not depend on who is there to show the agreed value: one that is known to
 * lose to that keeps nothing. So the vector keeps these values as it does for sums (decide_add.c), and by them it is told who lives.
 * What a private field showed is kept nowhere: there an edit that cannot be compared keeps the record, and so it is with values of more than 200 bytes.
 */
#include "model/decide_work.h"

#include "model/record.h"

static const struct value null_value = { NULL, -1 };

static const struct value *value_at_hand(const struct work *w, size_t f, uint64_t digest)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->seen[e].what == OBSERVED_ROW && decide_is_digest_of(digest, w->seen[e].digests[f]))
			return &w->seen[e].values[f];
	if (decide_is_digest_of(digest, value_digest(w->policy->key, w->entity->fields[f].type, VALUE_NULL)))
		return &null_value;
	return NULL;
}

const struct value *decide_extreme_known(const struct work *w, size_t f, uint64_t digest)
{
	const struct value *shown = value_at_hand(w, f, digest);

	return shown != NULL || w->base == NULL ? shown : vector_amount(w->base, f, digest_field(digest));
}

static int compare_values(const struct work *w, size_t f, struct value a, struct value b)
{
	int order;

	if (value_is_null(a) || value_is_null(b))
		return value_is_null(b) - value_is_null(a);
	order = value_compare(w->entity->fields[f].type, a, b);
	return w->entity->fields[f].rule == RULE_MAX ? order : -order;
}

int decide_extreme_compare(const struct work *w, size_t f, uint64_t digest_a, uint64_t digest_b)
{
	const struct value *a = value_at_hand(w, f, digest_a), *b = value_at_hand(w, f, digest_b);

	return a != NULL && b != NULL ? compare_values(w, f, *a, *b) : 0;
}

/* The same, also of values that nobody shows. Of such a one that is not NULL: it stands against NULL. */
static int compare_known(const struct work *w, size_t f, uint64_t digest_a, uint64_t digest_b)
{
	const struct value *a = decide_extreme_known(w, f, digest_a), *b = decide_extreme_known(w, f, digest_b);

	if ((a == NULL && b == &null_value) || (a == &null_value && b == NULL))
		return a == NULL ? 1 : -1;
	return a != NULL && b != NULL ? compare_values(w, f, *a, *b) : 0;
}

bool decide_extreme_beaten(const struct work *w, size_t e, size_t f)
{
	return w->base != NULL && w->base->fields[f].digest != 0 && compare_known(w, f, digest_now(w, e, f), w->base->fields[f].digest) < 0;
}

/* Whoever is missing may have it; and nobody knows yet whether its row is to come back. */
static bool is_shown_nowhere(const struct work *w)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->edits[e].missing)
			return false;
	return decide_all_observed(w);
}

static bool anybody_edited(const struct work *w, size_t f)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->edits[e].changed & BIT(f))
			return true;
	return false;
}

/* Somebody has put the agreed value back: what it was put in the place of is only behind, however great. */
static bool was_replaced(const struct work *w, size_t f, const struct edit_key *shown)
{
	const struct edit_key *agreed = &w->base->fields[f].key;

	return agreed->origin == ORIGIN_NONE && shown->n <= agreed->n && shown->eff <= agreed->eff;
}

/* A row is known there, and no field of a life before this one survives in it. */
static bool is_of_this_life(const struct work *w, size_t e)
{
	return base_knows(w, e) && !w->base->seen[e].former;
}

/* What it shows may stand. With a base to compare with: not its own form of that. */
static bool competes(const struct work *w, size_t e, size_t f, bool has_base)
{
	struct edit_key shown;

	if (w->edits[e].changed & BIT(f))
		return true;
	if (w->seen[e].what != OBSERVED_ROW || !w->policy->endpoints[e].votes || !is_of_this_life(w, e) || w->base->fields[f].digest == 0)
		return false;
	shown = decide_shown_key(w, e, f);
	return !has_base || (!same_key(&shown, &w->base->fields[f].key) && !was_replaced(w, f, &shown));
}

uint8_t decide_extreme_winner(struct work *w, size_t f, bool new_life)
{
	const struct vector *v = w->base;
	bool has_base = v != NULL && !new_life && v->fields[f].digest != 0;
	struct edit_key best = { 0 }, key;
	uint64_t digest = 0;
	uint8_t winner = 255;

	if (has_base && v->dead) {
		if (!anybody_edited(w, f))
			return 255;
		has_base = false;	/* it may live again, with the best of what is left of it */
	} else if (has_base && value_at_hand(w, f, v->fields[f].digest) == NULL) {
		if (!is_shown_nowhere(w))
			return 255;
		w->vanished |= BIT(f);
		has_base = false;
	}
	if (has_base) {
		uint8_t holder = decide_find_holder(w, f);

		best = v->fields[f].key;
		digest = holder != 255 ? w->seen[holder].digests[f] : v->fields[f].digest;
	}
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		if (new_life ? !w->edits[e].reborn || !(w->edits[e].changed & BIT(f)) : !competes(w, e, f, has_base))
			continue;
		key = decide_key_now(w, e, f);
		if ((winner == 255 && !has_base) || decide_compare(w, f, &key, w->seen[e].digests[f], &best, digest) > 0) {
			best = key;
			digest = w->seen[e].digests[f];
			winner = (uint8_t)e;
		}
	}
	return winner;
}

bool decide_extreme_waits(const struct work *w, size_t f, size_t e)
{
	enum observed what = w->seen[e].what;

	if (what == OBSERVED_ROW ? (w->out->have & BIT(f)) || !competes(w, e, f, true) :
	    what == OBSERVED_ABSENT || !is_of_this_life(w, e) || !w->policy->endpoints[e].votes)
		return false;
	return decide_key_now(w, e, f).n > w->base->fields[f].key.n;
}

bool decide_extreme_keeps(const struct work *w, size_t f, size_t e)
{
	if (w->seen[e].what == OBSERVED_ROW)
		return !w->entity->fields[f].private_value && w->seen[e].values[f].len <= AMOUNT_BYTES_MAX;
	return decide_extreme_known(w, f, shown_digest(w->base, e, f)) != NULL;
}

bool decide_extreme_waited(const struct work *w, size_t f, size_t e)
{
	const struct vfield *was;
	struct edit_key shown;
	uint32_t digest;

	if (!is_of_this_life(w, e) || w->base->dead || w->seen[e].what == OBSERVED_ABSENT || !w->policy->endpoints[e].votes ||
	    w->base->fields[f].digest == 0 || (w->edits[e].changed & BIT(f)) || !decide_extreme_keeps(w, f, e))
		return false;
	was = &w->base->fields[f];
	shown = decide_shown_key(w, e, f);
	digest = shown_digest(w->base, e, f);
	if (same_key(&shown, &was->key) || was_replaced(w, f, &shown) || (shown.n <= was->key.n && compare_known(w, f, digest, was->digest) <= 0))
		return false;
	return w->seen[e].what == OBSERVED_ROW || compare_known(w, f, digest, w->out->next->fields[f].digest) < 0;
}
