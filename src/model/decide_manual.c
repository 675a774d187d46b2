/*
 * decide_manual.c - the rule manual: what two sides changed to different values waits until a person has decided.
 *
 *   word      what an endpoint says of its own: an edit, or a value that it was left with. In a vector it is a deviation whose
 *             n is above that of the agreed key; what is only behind, or the target's own form, never has that.
 *   contender the agreed value itself, when somebody edits who had not seen it: whoever shows it says it from then on as a word
 *             of its own.
 *   waits     there are words with different values. The agreed value stands, nobody's word is written over, and what is behind
 *             gets the agreed value as ever.
 *   closes    all words say the same (one was put back, or both were changed to one value): that is agreed, and nothing was lost.
 *             Where it was not agreed before, whoever says it has to be at hand.
 *   settled   a person chose a side or gave a value, and the words are still those that were looked at (`mark`).
 *
 * A word of an endpoint that has left the topology is not heard; it waits again when that is back (decide_orders.c).
 *
 * Words are counted for a unit: the fields of a group wait, close and are settled together.
 */
#include "model/decide_work.h"

#include "base/arena.h"
#include "model/record.h"

struct words {
	uint64_t endpoints;
	uint32_t n;		/* the greatest */
	int64_t eff;
	bool differ;
	uint64_t mark;
};

/* A word that the vector tells of: none of a life before this one. */
static bool kept_word(const struct vector *v, uint64_t unit, size_t e)
{
	const struct vseen *s = &v->seen[e];

	if (!s->present || s->same || v->dead || s->former)
		return false;
	for (size_t i = 0; i < s->n_deviations; i++)
		if ((unit & BIT(s->deviations[i].field)) && s->deviations[i].key.n > v->fields[s->deviations[i].field].key.n)
			return true;
	return false;
}

bool decide_waits(const struct entity_def *def, const struct vector *v, uint64_t mapped)
{
	for (size_t f = 0; f < def->n_fields; f++)
		for (size_t e = 0; def->fields[f].rule == RULE_MANUAL && e < v->n_endpoints; e++)
			if ((mapped & BIT(e)) && kept_word(v, BIT(f), e))
				return true;
	return false;
}

bool decide_had_word(const struct work *w, size_t e, size_t f)
{
	return w->entity->fields[f].rule == RULE_MANUAL && kept_word(w->base, w->unit[f], e);
}

static bool has_base(const struct work *w, size_t f, bool new_life)
{
	return w->base != NULL && !new_life && w->base->fields[f].digest != 0;
}

/* A row of a database that was put back says nothing of its own, nor does a column that is new and still empty. */
static bool says_new_word(const struct work *w, size_t e, size_t f, bool new_life)
{
	const struct edit *x = &w->edits[e];

	return (x->changed & BIT(f)) && (!new_life || x->reborn) && x->keys[f].eff >= EFF_EMPTY &&
	       !(is_new_field(w, e, f) && value_is_null(w->seen[e].values[f]));
}

static bool says_word(const struct work *w, size_t e, size_t f, bool new_life)
{
	if (!w->policy->endpoints[e].mapped)
		return false;
	if (says_new_word(w, e, f, new_life))
		return true;
	return !new_life && w->base != NULL && w->seen[e].what != OBSERVED_ABSENT && !(w->edits[e].changed & BIT(f)) &&
	       (w->seen[e].what != OBSERVED_ROW || base_knows(w, e)) && kept_word(w->base, w->unit[f], e);
}

/* It was made by somebody who had not seen what is agreed, and is not one word more of a quarrel that there is already. */
static bool is_late(const struct work *w, size_t e, size_t f)
{
	struct edit_key shown;

	if (!(w->edits[e].changed & BIT(f)))
		return false;
	/* Also where it may have been made over a write of ours that never happened. */
	if (!base_knows(w, e) || ((w->edits[e].no_base | w->edits[e].guessed) & BIT(f)))
		return true;
	shown = decide_shown_key(w, e, f);
	return shown.n <= w->base->fields[f].key.n && !same_key(&shown, &w->base->fields[f].key);
}

/* As far as is known what it shows, in the whole unit, is what was agreed. */
static bool equals_agreed(const struct work *w, size_t e, size_t f)
{
	for (uint64_t rest = w->unit[f]; rest != 0; rest &= rest - 1) {
		size_t g = (size_t)__builtin_ctzll(rest);

		if (digest_field(digest_now(w, e, g)) != w->base->fields[g].digest)
			return false;
	}
	return true;
}

static bool shows_agreed(const struct work *w, size_t e, size_t f)
{
	return w->policy->endpoints[e].mapped && w->seen[e].what != OBSERVED_ABSENT && base_knows(w, e) && !(w->edits[e].changed & BIT(f)) &&
	       equals_agreed(w, e, f);
}

/* Who says the agreed value: its writer, or the first who shows it; 255: nobody does any more. */
static uint8_t contender(const struct work *w, size_t f)
{
	uint8_t writer = w->base->fields[f].key.origin;

	if (writer < w->policy->n_endpoints && shows_agreed(w, writer, f))
		return writer;
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (shows_agreed(w, e, f))
			return (uint8_t)e;
	return 255;
}

static uint32_t base_n(const struct work *w, size_t f, bool new_life)
{
	return has_base(w, f, new_life) ? w->base->fields[f].key.n : 0;
}

struct edit_key decide_word_key(const struct work *w, size_t e, size_t f)
{
	struct edit_key key = decide_key_now(w, e, f);

	if (key.n <= w->word_n[f])
		key.n = w->word_n[f] + 1;
	return key;
}

static bool same_word(const struct work *w, size_t a, size_t b, size_t f)
{
	for (uint64_t rest = w->unit[f]; rest != 0; rest &= rest - 1) {
		size_t g = (size_t)__builtin_ctzll(rest);
		uint64_t of_a = digest_now(w, a, g), of_b = digest_now(w, b, g);

		if (of_a > 0xffffff && of_b > 0xffffff ? of_a != of_b : digest_field(of_a) != digest_field(of_b))
			return false;
	}
	return true;
}

static uint64_t mix(uint64_t mark, uint64_t x)
{
	mark = (mark ^ x) * UINT64_C(0x9e3779b97f4a7c15);
	return mark ^ (mark >> 29);
}

static uint64_t mark_word(const struct work *w, uint64_t mark, size_t e, size_t f)
{
	mark = mix(mark, e + 1);
	for (uint64_t rest = w->unit[f]; rest != 0; rest &= rest - 1)
		mark = mix(mark, digest_field(digest_now(w, e, (size_t)__builtin_ctzll(rest))));
	return mix(mark, decide_word_key(w, e, f).n);
}

static struct words find_words(struct work *w, size_t f, bool new_life)
{
	struct words all = { .mark = 1 };
	uint64_t late = 0;
	size_t first = SIZE_MAX;
	uint8_t c;

	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		if (!says_word(w, e, f, new_life))
			continue;
		all.endpoints |= BIT(e);
		if (has_base(w, f, new_life) && !w->base->dead && is_late(w, e, f))
			late |= BIT(e);
	}
	c = late != 0 ? contender(w, f) : 255;
	if (c != 255)
		all.endpoints |= BIT(c);
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		struct edit_key key;

		if (!(all.endpoints & BIT(e)))
			continue;
		key = decide_word_key(w, e, f);
		all.n = key.n > all.n ? key.n : all.n;
		all.eff = key.eff > all.eff ? key.eff : all.eff;
		all.mark = mark_word(w, all.mark, e, f);
		if (first == SIZE_MAX)
			first = e;
		all.differ |= !same_word(w, first, e, f);
	}
	w->late |= late != 0 ? w->unit[f] : 0;
	return all;
}

/* All say the same: the newest of them is agreed, and whoever shows it has the value; 255: nobody who can be asked. */
static uint8_t close_words(struct work *w, size_t f, const struct words *words)
{
	struct edit_key best = { 0 };
	bool found = false;
	uint8_t holder = 255;

	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		struct edit_key key;

		if (!(words->endpoints & BIT(e)))
			continue;
		key = decide_key_now(w, e, f);
		if (!found || edit_key_compare(w->entity, RULE_LAST_WRITER_WINS, &key, 0, &best, 0) > 0)
			best = key;
		found = true;
		if (holder == 255 && w->seen[e].what == OBSERVED_ROW)
			holder = (uint8_t)e;
	}
	best.n = words->n;
	w->word_key[f] = best;
	return holder;
}

/* False: what all say is not agreed, and nobody who says it can be asked for the value now. */
static bool closes(struct work *w, size_t f, const struct words *words, bool new_life, uint8_t *winner)
{
	if (words->differ)
		return false;
	*winner = close_words(w, f, words);
	if (*winner != 255)
		return true;
	if (!has_base(w, f, new_life) || !equals_agreed(w, (size_t)__builtin_ctzll(words->endpoints), f))
		return false;		/* else nobody has to be asked for it */
	for (uint64_t rest = w->unit[f]; rest != 0; rest &= rest - 1)
		w->out->next->fields[__builtin_ctzll(rest)].key = w->word_key[f];
	return true;
}

static const struct settlement *settlement_of(const struct work *w, size_t f)
{
	for (size_t i = 0; i < w->policy->n_settlements; i++)
		if (w->unit[f] & BIT(w->policy->settlements[i].field))
			return &w->policy->settlements[i];
	return NULL;
}

const struct settlement *decide_given_value(const struct work *w, size_t f)
{
	const struct settlement *s = w->entity->fields[f].rule == RULE_MANUAL ? settlement_of(w, f) : NULL;

	return s != NULL && s->given && s->field == f && digest_field(s->digest) == w->out->next->fields[f].digest ? s : NULL;
}

/* Else nothing can be written now, and nobody can say by which key people know the record. */
static bool anybody_at_hand(const struct work *w)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->seen[e].what == OBSERVED_ROW)
			return true;
	return false;
}

/* What a person decided, where it can be carried out now. True: nothing waits any more. */
static bool settle(struct work *w, size_t f, const struct words *words, uint8_t *winner)
{
	const struct settlement *s = settlement_of(w, f);

	if (s == NULL || s->mark != words->mark)
		return false;
	if (s->given ? !anybody_at_hand(w) : w->seen[s->endpoint].what != OBSERVED_ROW)
		return false;		/* when it is there again */
	w->out->settled |= w->unit[f];
	/* Above every word, so that all of them have been heard. */
	w->word_key[f] = (struct edit_key){ .eff = words->eff + w->policy->quantum_us, .n = words->n + 1,
		.origin = s->given ? ORIGIN_NONE : s->endpoint };
	*winner = s->given ? 255 : s->endpoint;
	if (s->given)
		w->out->next->fields[f] = (struct vfield){ digest_field(s->digest), w->word_key[f] };
	return true;
}

/* The field has another rule by now: what waited under the old one competes under this. */
void decide_release_words(struct work *w, size_t e)
{
	struct edit *x = &w->edits[e];

	for (size_t i = 0; w->base != NULL && i < w->policy->n_settlements; i++) {
		size_t f = w->policy->settlements[i].field;

		if (w->entity->fields[f].rule == RULE_MANUAL || w->seen[e].what != OBSERVED_ROW || !base_knows(w, e) ||
		    (x->changed & BIT(f)) || !w->policy->endpoints[e].votes || !kept_word(w->base, w->unit[f], e))
			continue;
		if (x->keys == NULL)
			x->keys = arena_zalloc(w->arena, w->entity->n_fields * sizeof *x->keys);
		for (uint64_t rest = w->unit[f]; rest != 0; rest &= rest - 1) {
			size_t g = (size_t)__builtin_ctzll(rest);

			x->changed |= BIT(g);
			x->keys[g] = decide_shown_key(w, e, g);
		}
	}
}

bool decide_manual_winner(struct work *w, size_t f, bool new_life, uint8_t *winner)
{
	struct words words;

	w->word_n[f] = base_n(w, f, new_life);
	words = find_words(w, f, new_life);
	if (words.endpoints == 0)
		return false;		/* as last-writer-wins: there is nothing to ask anybody about */
	*winner = 255;
	if (!closes(w, f, &words, new_life, winner) && !settle(w, f, &words, winner)) {
		w->out->waits |= w->unit[f];
		for (uint64_t rest = w->unit[f]; rest != 0; rest &= rest - 1) {
			size_t g = (size_t)__builtin_ctzll(rest);

			w->word_n[g] = w->word_n[f];
			w->out->words[g] = words.endpoints;
			w->out->marks[g] = words.mark;
		}
		return true;
	}
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (words.endpoints & BIT(e))
			w->edits[e].spoke |= w->unit[f];
	return true;
}

bool decide_word_unseen(const struct work *w, size_t f, size_t e, size_t deleter)
{
	return keeps_word(w, e, f) && e != deleter &&
	       (deleter == ORIGIN_NONE || digest_field(digest_now(w, e, f)) != shown_digest(w->base, deleter, f));
}
