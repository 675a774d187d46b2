/*
 * decide.c - see decide.h.
 *
 *   follow     references to records that have got another key                 decide_follow(), in decide_follow.c
 *   unclear    what may be news or none shows what it did                        decide_leave_unclear(), in decide_follow.c
 *   changed?   per endpoint: which fields are not what it last showed           find_edits()
 *   stamp      one key per observation                                         stamp_edits()
 *   join       per field: the greatest key among agreed and edited               decide_join_fields()
 *   life       deletes against edits, new generations                           decide_life(), in decide_life.c
 *   write      what differs from the agreed row at whom                         decide_give_orders(), in decide_orders.c
 */
#include "model/decide.h"

#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "model/decide_work.h"
#include "model/record.h"

/* ---- order of edits ---------------------------------------------------------------------------------- */

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

int edit_key_compare(const struct entity_def *d, enum rule rule, const struct edit_key *a, uint32_t digest_a,
		     const struct edit_key *b, uint32_t digest_b)
{
	int by_time = (a->eff > b->eff) - (a->eff < b->eff);
	int by_rank = (int)rank_of(d, b->origin) - (int)rank_of(d, a->origin);

	if (by_time == 0 && fault("f07-a-tie-keeps-who-was-first"))
		return 0;
	if (rule == RULE_MIRROR && is_mirrored(d, a) != is_mirrored(d, b))
		return is_mirrored(d, a) ? 1 : -1;
	if (rule == RULE_SOURCE_PRIORITY) {
		if (a->n != b->n)
			return a->n > b->n ? 1 : -1;
		if (by_rank != 0)
			return by_rank;
		if (by_time != 0)
			return by_time;
	} else {
		if (by_time != 0)
			return by_time;
		if (by_rank != 0)
			return by_rank;
		if (a->n != b->n)
			return a->n > b->n ? 1 : -1;
	}
	return compare_u64(digest_a, digest_b);
}

/* Of a base that nobody shows only the short digest is known; of everything else the whole one. */
bool decide_is_digest_of(uint64_t digest, uint64_t whole)
{
	return digest > 0xffffff ? digest == whole : digest == digest_field(whole);
}

bool decide_is_blank(const struct work *w, size_t f, uint64_t digest)
{
	enum field_type type = w->entity->fields[f].type;

	return decide_is_digest_of(digest, value_digest(w->policy->key, type, VALUE_NULL)) ||
	       (type == FIELD_TEXT && decide_is_digest_of(digest, value_digest(w->policy->key, type, value_of(""))));
}

int decide_compare(const struct work *w, size_t f, const struct edit_key *a, uint64_t digest_a,
		   const struct edit_key *b, uint64_t digest_b)
{
	enum rule rule = w->entity->fields[f].rule;

	if (rule == RULE_NEWEST_FILLED) {
		bool blank_a = decide_is_blank(w, f, digest_a), blank_b = decide_is_blank(w, f, digest_b);

		if (blank_a != blank_b)
			return blank_b ? 1 : -1;
	}
	if (is_extreme(rule)) {
		int by_value = decide_extreme_compare(w, f, digest_a, digest_b);

		if (by_value != 0)
			return by_value;
	}
	return edit_key_compare(w->entity, rule, a, digest_field(digest_a), b, digest_field(digest_b));
}

/* ---- what an endpoint showed, and what is new -------------------------------------------------------- */

/*
 * The key of the value that the endpoint shows. A group is as old there as the member that deviates: the
 * others may have the same value as what is agreed now and yet not come from that edit.
 */
struct edit_key decide_shown_key(const struct work *w, size_t e, size_t f)
{
	const struct vseen *seen = &w->base->seen[e];
	const struct vdeviation *dev = seen->same ? NULL : vseen_deviation(seen, f);

	for (size_t i = 0; dev == NULL && w->unit[f] != BIT(f) && !seen->same && i < seen->n_deviations; i++)
		if (w->unit[f] & BIT(seen->deviations[i].field))
			dev = &seen->deviations[i];
	return dev != NULL ? dev->key : w->base->fields[f].key;
}

struct edit_key decide_key_now(const struct work *w, size_t e, size_t f)
{
	return w->edits[e].changed & BIT(f) ? w->edits[e].keys[f] : decide_shown_key(w, e, f);
}

/*
 * Under these rules an edit may lose to the very value that it was made on top of: a lesser one, a blank, one of what is another side's.
 * So that it does is no sign that its writer had not seen that; and two edits one after the other, by somebody who had not, are none that
 * he had. By time and by rank all is said about who beats whom, so that n is free to tell it: one more than that of what was
 * agreed then is an edit by somebody who had not seen it; two more, or further up, one by somebody who had.
 */
static bool may_lose_to_what_it_saw(enum rule rule)
{
	return is_extreme(rule) || rule == RULE_MIRROR || rule == RULE_NEWEST_FILLED;
}

bool decide_had_seen(const struct work *w, size_t e, size_t f)
{
	const struct edit_key *agreed = &w->base->fields[f].key;
	struct edit_key shown;

	if (!base_knows(w, e) || ((w->edits[e].no_base | w->edits[e].guessed) & BIT(f)))
		return false;
	shown = decide_shown_key(w, e, f);
	return same_key(&shown, agreed) || (may_lose_to_what_it_saw(w->entity->fields[f].rule) && shown.n > agreed->n + 1);
}

static bool same_id(const struct vector *v, size_t e, const struct observation *o)
{
	return v->seen[e].present && value_equal(v->seen[e].id, o->id);
}

static uint64_t differing_fields(const struct vector *v, size_t e, const struct observation *o)
{
	uint64_t mask = 0;

	for (size_t f = 0; f < v->n_fields; f++)
		if (shown_digest(v, e, f) != digest_field(o->digests[f]))
			mask |= BIT(f);
	return mask;
}

bool vector_shows(const struct vector *v, size_t e, const struct observation *o)
{
	uint64_t row;

	if (o->what == OBSERVED_ABSENT)
		return v->seen[e].known && !v->seen[e].present;
	if (o->what != OBSERVED_ROW || !same_id(v, e, o))
		return false;
	row = shown_row(v, e);
	if (row != 0)
		return row == digest_row(o->row) && differing_fields(v, e, o) == 0;
	return differing_fields(v, e, o) == 0;
}

/* Short digests may collide: compare in full with an endpoint that shows exactly the agreed row. */
static uint64_t collided_fields(const struct work *w, size_t e, uint64_t changed)
{
	const struct vector *v = w->base;
	uint64_t mask = 0;
	bool compared = false;

	for (size_t o = 0; o < v->n_endpoints; o++) {
		if (o == e || w->seen[o].what != OBSERVED_ROW || w->seen[o].unclear != 0 || !v->seen[o].same || v->row != digest_row(w->seen[o].row))
			continue;
		compared = true;
		for (size_t f = 0; f < v->n_fields; f++)
			if (vseen_deviation(&v->seen[e], f) == NULL && w->seen[e].digests[f] != w->seen[o].digests[f])
				mask |= BIT(f);
		break;
	}
	if (changed == 0 && mask == 0 && !compared)
		return all_fields(w->entity);	/* something changed and nothing says what: the whole row is news */
	return mask & ~changed;
}

static uint64_t widen_to_units(const struct work *w, uint64_t mask)
{
	uint64_t wide = mask;

	for (size_t f = 0; f < w->entity->n_fields; f++)
		if (mask & BIT(f))
			wide |= w->unit[f];
	return wide;
}

/* Another row took the place of the one that deviated: what it has in common with that was entered anew all the same. */
static uint64_t entered_anew(const struct vector *v, size_t e, const struct observation *o)
{
	uint64_t mask = 0;

	for (size_t i = 0; !same_id(v, e, o) && i < v->seen[e].n_deviations; i++) {
		size_t f = v->seen[e].deviations[i].field;

		if (digest_field(o->digests[f]) != v->fields[f].digest)
			mask |= BIT(f);
	}
	return mask;
}

static void find_row_edits(struct work *w, size_t e)
{
	const struct vector *v = w->base;
	struct edit *x = &w->edits[e];

	x->reborn = v != NULL && v->seen[e].known && !same_id(v, e, &w->seen[e]) && !v->seen[e].uncertain &&
		    (v->dead || (!v->seen[e].present && !v->seen[e].owed)) && !fault("f11-born-again-it-is-the-same-as-before");
	if (!base_knows(w, e)) {
		uint64_t blank = v != NULL ? doubt_left_blank(v, e, &w->seen[e]) : 0;

		x->changed = x->no_base = widen_to_units(w, all_fields(w->entity) & ~blank);
		if (v != NULL && w->seen[e].past != 0)	/* the others were edited on top of what is agreed */
			x->no_base &= w->seen[e].past;
		return;
	}
	if (vector_shows(v, e, &w->seen[e]))
		return;
	x->changed = differing_fields(v, e, &w->seen[e]) | entered_anew(v, e, &w->seen[e]);
	if (shown_row(v, e) == 0 || shown_row(v, e) != digest_row(w->seen[e].row))
		x->changed |= collided_fields(w, e, x->changed);
	x->changed = widen_to_units(w, x->changed & ~w->seen[e].unclear);
	for (size_t f = 0; f < v->n_fields; f++)
		if ((x->changed & BIT(f)) && shown_digest(v, e, f) == 0)
			x->no_base |= BIT(f);
	x->no_base |= widen_to_units(w, x->changed & w->seen[e].moved_columns);
}

/* What a write of ours in doubt made of the row counts as shown before: the base of this decision says so from here on. */
static void resolve_doubts(struct work *w)
{
	struct vector *told = NULL;

	for (size_t e = 0; w->base != NULL && e < w->policy->n_endpoints; e++) {
		struct vseen shown;

		if (!w->policy->endpoints[e].mapped)
			continue;
		w->edits[e].doubt = doubt_resolve(w->base, w->entity, e, &w->seen[e], w->arena, &shown, &w->edits[e].guessed,
						   &w->edits[e].suspect);
		if (w->edits[e].doubt != DOUBT_HAPPENED)
			continue;
		if (told == NULL)
			told = vector_copy(w->arena, w->base);
		told->seen[e] = shown;
	}
	if (told != NULL)
		w->base = told;
}

/* Its absence is our own delete, of which we never heard. */
static bool is_own_delete(const struct vseen *s)
{
	return s->present && s->uncertain && s->n_intended == 0;
}

static bool has_happened(const struct work *w, size_t e)
{
	return w->edits[e].doubt == DOUBT_HAPPENED ||
	       (w->seen[e].what == OBSERVED_ABSENT && !w->seen[e].outside && is_own_delete(&w->base->seen[e]));
}

static void find_edits(struct work *w)
{
	resolve_doubts(w);
	for (size_t e = 0; w->base != NULL && e < w->policy->n_endpoints; e++)
		w->out->happened |= has_happened(w, e) ? BIT(e) : 0;
	decide_follow(w);
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		const struct decide_endpoint *p = &w->policy->endpoints[e];
		struct edit *x = &w->edits[e];

		if (!p->mapped || !p->votes)
			continue;
		if (w->seen[e].what == OBSERVED_ROW)
			find_row_edits(w, e);
		if (w->seen[e].what == OBSERVED_ABSENT && w->base != NULL && w->base->seen[e].present && !w->base->seen[e].former &&
		    !p->ignores_deletes && !w->seen[e].outside) {
			x->removed = w->seen[e].evidence;
			x->missing = !w->seen[e].evidence && !is_own_delete(&w->base->seen[e]);
		}
	}
}

/* ---- stamps ------------------------------------------------------------------------------------------ */

static int64_t floor_to(int64_t us, int64_t quantum)
{
	int64_t rest = us % quantum;

	return us - (rest < 0 ? rest + quantum : rest);
}

int64_t decide_reported_stamp(const struct work *w, size_t e, bool on_a_base)
{
	const struct decide_policy *p = w->policy;
	int64_t reported = w->seen[e].stamp;

	if (reported == STAMP_NONE)
		return on_a_base ? floor_to(p->now_us, p->quantum_us) : EFF_UNKNOWN;
	if (reported > p->now_us + p->max_ahead_us && !fault("f04-stamps-of-the-future-stand"))
		reported = p->now_us + p->max_ahead_us;
	return floor_to(reported, p->quantum_us);
}

/* As on first contact nobody knows when it was written; and a column that is still empty must not empty those that are not. */
static struct edit_key key_of_new_field(const struct work *w, size_t e, size_t f)
{
	if (value_is_null(w->seen[e].values[f]))
		return (struct edit_key){ .eff = EFF_EMPTY, .n = 0, .origin = (uint8_t)e };
	return (struct edit_key){ .eff = decide_reported_stamp(w, e, false), .n = 1, .origin = (uint8_t)e };
}

/* What was met empty counts as one, so that an edit on top of it is told from what was only met (decide_life.c). */
static uint32_t edits_below(const struct edit_key *base)
{
	return base->eff == EFF_EMPTY && base->origin != ORIGIN_NONE && base->n == 0 ? 1 : base->n;
}

/*
 * What is agreed is what it showed when it was met first, and by now it is met first with something else: no key is that of two values. And one that
 * replaced its own is the later one.
 */
static bool is_own_once_more(const struct work *w, size_t e, size_t f)
{
	const struct vfield *agreed = w->base != NULL ? &w->base->fields[f] : NULL;

	return agreed != NULL && agreed->digest != 0 && agreed->digest != digest_field(w->seen[e].digests[f]) &&
	       same_key(&agreed->key, &w->edits[e].keys[f]);
}

static void stamp_edits(struct work *w, size_t e)
{
	struct edit *x = &w->edits[e];
	bool on_a_base = base_knows(w, e);
	int64_t eff = decide_reported_stamp(w, e, on_a_base);
	struct edit_key base;

	if (x->changed == 0)
		return;
	x->keys = arena_zalloc(w->arena, w->entity->n_fields * sizeof *x->keys);
	if (x->reborn && w->base->dead && eff <= w->base->deleted.eff)
		eff = w->base->deleted.eff + w->policy->quantum_us;
	for (size_t f = 0; f < w->entity->n_fields; f++) {
		if (!(x->changed & ~x->no_base & BIT(f)))
			continue;
		base = decide_shown_key(w, e, f);
		if (base.eff + w->policy->quantum_us > eff && !fault("f06-an-edit-may-be-older-than-what-it-changed"))
			eff = base.eff + w->policy->quantum_us;
	}
	for (size_t f = 0; f < w->entity->n_fields; f++) {
		base = (struct edit_key){ .n = x->reborn ? w->base->fields[f].key.n : 0, .origin = ORIGIN_NONE };	/* on top of the life before */
		if (!(x->no_base & BIT(f)))
			base = decide_shown_key(w, e, f);
		x->keys[f] = is_new_field(w, e, f) ? key_of_new_field(w, e, f) :
			     (struct edit_key){ .eff = w->seen[e].past & BIT(f) ? EFF_PAST : eff, .n = edits_below(&base) + 1, .origin = (uint8_t)e };
		x->keys[f].n += is_own_once_more(w, e, f);
	}
}

/* Its members were stamped together, so their n must agree too. */
static void level_units(struct work *w, size_t e)
{
	struct edit *x = &w->edits[e];

	for (size_t f = 0; x->changed != 0 && f < w->entity->n_fields; f++)
		for (uint64_t rest = w->unit[f] & ~BIT(f); rest != 0; rest &= rest - 1) {
			size_t g = (size_t)__builtin_ctzll(rest);

			if (x->keys[g].n > x->keys[f].n)
				x->keys[f].n = x->keys[g].n;
		}
}

static void tell_who_had_seen(struct work *w, size_t e)
{
	for (size_t f = 0; f < w->entity->n_fields; f++)
		if ((w->edits[e].changed & BIT(f)) && w->base != NULL && w->base->fields[f].digest != 0 && !w->edits[e].reborn &&
		    may_lose_to_what_it_saw(w->entity->fields[f].rule))
			w->edits[e].keys[f].n = w->base->fields[f].key.n + (decide_had_seen(w, e, f) ? 2 : 1);
}

/* ---- the join ---------------------------------------------------------------------------------------- */

static uint8_t pick_winner(struct work *w, size_t f, bool new_life)
{
	const struct vector *v = w->base;
	bool has_base = v != NULL && !new_life && v->fields[f].digest != 0;
	struct edit_key best = { 0 };
	uint64_t digest = 0;
	uint8_t winner = 255;

	if (is_extreme(w->entity->fields[f].rule))
		return decide_extreme_winner(w, f, new_life);
	if (w->entity->fields[f].rule == RULE_MANUAL && decide_manual_winner(w, f, new_life, &winner))
		return winner;
	if (has_base) {
		uint8_t holder = w->entity->fields[f].rule == RULE_NEWEST_FILLED ? decide_find_holder(w, f) : 255;

		best = v->fields[f].key;
		digest = holder != 255 ? w->seen[holder].digests[f] : v->fields[f].digest;
	}
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		const struct edit *x = &w->edits[e];

		if (!(x->changed & BIT(f)) || (new_life && !x->reborn))
			continue;
		if ((winner == 255 && !has_base) || decide_compare(w, f, &x->keys[f], w->seen[e].digests[f], &best, digest) > 0) {
			best = x->keys[f];
			digest = w->seen[e].digests[f];
			winner = (uint8_t)e;
		}
	}
	return winner;
}

/* Who shows the agreed value of a field that the base decided? Best one whose whole row is known to be the agreed one. */
uint8_t decide_find_holder(const struct work *w, size_t f)
{
	const struct vector *v = w->base;
	uint8_t maybe = 255;

	for (size_t e = 0; v != NULL && e < w->policy->n_endpoints; e++) {
		if (w->seen[e].what != OBSERVED_ROW || (w->seen[e].unclear & BIT(f)) || digest_field(w->seen[e].digests[f]) != v->fields[f].digest)
			continue;
		if (v->row != 0 && digest_row(w->seen[e].row) == v->row)
			return (uint8_t)e;
		if (maybe == 255 || (v->seen[e].present && vseen_deviation(&v->seen[e], f) == NULL))
			maybe = (uint8_t)e;
	}
	return maybe;
}

static struct edit_key winning_key(const struct work *w, size_t e, size_t f)
{
	const struct edit_key *word = &w->word_key[leader_of(w, f)];

	return word->n != 0 ? *word : decide_key_now(w, e, f);
}

static void agree_on(struct work *w, size_t f, bool new_life)
{
	struct decision *d = w->out;
	uint8_t winner, holder;
	const struct settlement *given;

	w->winner[f] = 255;
	if (decide_impose(w, f))
		return;
	if (w->entity->fields[f].rule == RULE_ADD && decide_add_up(w, f, new_life))
		return;
	winner = w->winner[f] = pick_winner(w, leader_of(w, f), new_life);
	if (winner != 255)
		d->next->fields[f] = (struct vfield){ digest_field(w->seen[winner].digests[f]), winning_key(w, winner, f) };
	else if (new_life && (d->waits & BIT(f)))
		d->next->fields[f] = (struct vfield){ 0 };	/* nothing is agreed in this life yet */
	given = decide_given_value(w, f);
	holder = winner != 255 ? winner : decide_find_holder(w, f);
	if (given != NULL) {
		d->values[f] = given->value;
		d->digests[f] = given->digest;
		d->have |= BIT(f);
	} else if (holder != 255) {
		d->values[f] = w->seen[holder].values[f];
		d->digests[f] = w->seen[holder].digests[f];
		d->have |= BIT(f);
	} else {
		decide_add_at_hand(w, f);
	}
}

void decide_join_fields(struct work *w, bool new_life)
{
	struct decision *d = w->out;

	d->have = d->waits = d->settled = 0;
	for (size_t f = 0; f < w->entity->n_fields; f++)
		agree_on(w, f, new_life);
	if (d->have == all_fields(w->entity))
		d->next->row = digest_row(row_digest(w->policy->key, d->digests, w->entity->n_fields, w->policy->row_order));
	else if (w->base == NULL || new_life)
		d->next->row = 0;
	for (size_t f = 0; f < w->entity->n_fields; f++)
		if ((w->winner[f] != 255 || ((w->added | w->imposed) & BIT(f))) && d->have != all_fields(w->entity))
			d->next->row = 0;	/* part of the agreed row is out of reach: fields decide until it is seen whole */
}

/* ---- putting it together ----------------------------------------------------------------------------- */

static void note_contact(struct work *w)
{
	struct decision *d = w->out;
	size_t fresh = 0, rows = 0;
	bool inserts = false;

	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		rows += w->seen[e].what == OBSERVED_ROW;
		fresh += w->edits[e].no_base == all_fields(w->entity) && !w->edits[e].reborn;
		inserts |= d->orders[e].action == ACTION_INSERT;
	}
	if (fresh == 0)
		return;
	if (rows + (w->base != NULL) > 1 || (w->base != NULL && !w->base->dead))
		d->contact = CONTACT_EQUAL;
	for (size_t i = 0; i < d->n_lost; i++)
		if (d->lost[i].kind == LOST_FIRST_CONTACT)
			d->contact = CONTACT_MERGED;
	if (d->waits != 0)
		d->contact = CONTACT_MERGED;
	if (d->contact == CONTACT_NONE && inserts)
		d->contact = CONTACT_COPIED;
}

/* Something of its edit is agreed now that was not before, or waits for a person. */
static bool made_a_difference(const struct work *w, size_t e)
{
	const struct vector *base = w->base, *next = w->out->next;
	bool new_life = base == NULL || base->dead;

	if (w->edits[e].removed)
		return next->dead && !new_life;
	for (size_t f = 0; f < w->entity->n_fields && !next->dead; f++) {
		if (!(w->edits[e].changed & BIT(f)))
			continue;
		if ((w->added & BIT(f)) || keeps_word(w, e, f) ||
		    (w->winner[f] == e && (new_life || base->fields[f].digest != next->fields[f].digest)))
			return true;
	}
	return false;
}

static void note_edits(struct work *w)
{
	struct decision *d = w->out;

	d->oldest_edit_us = STAMP_NONE;
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		if (w->edits[e].changed == 0 && !w->edits[e].removed)
			continue;
		d->edited |= BIT(e);
		d->stood |= made_a_difference(w, e) ? BIT(e) : 0;
		if (w->seen[e].stamp != STAMP_NONE && (d->oldest_edit_us == STAMP_NONE || w->seen[e].stamp < d->oldest_edit_us))
			d->oldest_edit_us = w->seen[e].stamp;
	}
}

uint64_t decide_unit(const struct entity_def *d, size_t f)
{
	uint64_t key = 0, group = 0;

	for (size_t i = 0; i < d->n_key; i++)
		key |= BIT(d->key[i]);
	for (size_t g = 0; g < d->n_fields; g++)
		if (d->fields[f].group >= 0 && d->fields[g].group == d->fields[f].group)
			group |= BIT(g);
	for (size_t g = 0; g < d->n_fields && (key & (group | BIT(f))); g++)	/* groups of the key's parts are part of its unit */
		for (size_t i = 0; i < d->n_key; i++)
			if (d->fields[g].group >= 0 && d->fields[g].group == d->fields[d->key[i]].group)
				key |= BIT(g);
	return key & (group | BIT(f)) ? key | group : group | BIT(f);
}

static void map_units(struct work *w)
{
	bool single = w->entity->n_groups == 0 && w->entity->n_key <= 1;

	for (size_t f = 0; f < w->entity->n_fields; f++)
		w->unit[f] = single ? BIT(f) : decide_unit(w->entity, f);
}

static void work_init(struct work *w, const struct decide_policy *policy, struct arena *arena)
{
	size_t n_fields = policy->entity->n_fields;

	memset(w, 0, offsetof(struct work, unit));
	memset(w->word_n, 0, n_fields * sizeof *w->word_n);
	memset(w->word_key, 0, n_fields * sizeof *w->word_key);
	w->policy = policy;
	w->entity = policy->entity;
	w->arena = arena;
	w->edits = arena_zalloc(arena, policy->n_endpoints * sizeof *w->edits);
	w->winner = arena_alloc(arena, n_fields);
	map_units(w);
}

static void decide_once(const struct decide_policy *policy, const struct vector *base, const struct observation *observed,
			struct arena *arena, struct decision *out)
{
	size_t n_fields = policy->entity->n_fields, n_endpoints = policy->n_endpoints;
	struct work w;

	work_init(&w, policy, arena);
	w.base = base;
	w.seen = observed;
	w.out = out;
	memset(out, 0, sizeof *out);
	out->next = base != NULL ? vector_copy(arena, base) : vector_new(arena, n_fields, n_endpoints);
	out->orders = arena_zalloc(arena, n_endpoints * sizeof *out->orders);
	out->values = arena_alloc(arena, n_fields * sizeof *out->values);
	out->digests = arena_alloc(arena, n_fields * sizeof *out->digests);
	out->words = arena_zalloc(arena, n_fields * sizeof *out->words);
	out->marks = arena_zalloc(arena, n_fields * sizeof *out->marks);
	decide_leave_unclear(&w);
	find_edits(&w);
	for (size_t e = 0; e < n_endpoints; e++) {
		stamp_edits(&w, e);
		level_units(&w, e);
		tell_who_had_seen(&w, e);
		decide_release_words(&w, e);
	}
	decide_find_imposed(&w);
	decide_life(&w);
	decide_give_orders(&w);
	decide_keep_amounts(&w);
	note_contact(&w);
	note_edits(&w);
}

/* ---- a delete and an insert seen as one -------------------------------------------------------------- */

/* One that shows what the vector knows is that one by now: the news came a second time. */
static bool replaces_a_row(const struct decide_policy *policy, const struct vector *base, const struct observation *o, size_t e)
{
	return policy->endpoints[e].mapped && o->what == OBSERVED_ROW && o->replaces && base->seen[e].present && !base->seen[e].former &&
	       !vector_shows(base, e, o);
}

/* What the deletes of rows that were replaced leave of the record. NULL: there are none, or it outlives them. */
static const struct vector *end_of_replaced(const struct decide_policy *policy, const struct vector *base, const struct observation *observed,
					    struct arena *arena, struct decision *end)
{
	struct observation *before = NULL;

	/* Where a person imposes something that is decided upon what there is. */
	for (size_t e = 0; base != NULL && !base->dead && policy->imposed == NULL && e < policy->n_endpoints; e++) {
		if (!replaces_a_row(policy, base, &observed[e], e) || fault("f11-a-row-in-place-of-another-is-that-one-edited"))
			continue;
		if (before == NULL) {
			before = arena_alloc(arena, policy->n_endpoints * sizeof *before);
			memcpy(before, observed, policy->n_endpoints * sizeof *before);
		}
		before[e] = (struct observation){ .what = OBSERVED_ABSENT, .evidence = true, .stamp = observed[e].stamp };
	}
	if (before == NULL)
		return NULL;
	decide_once(policy, base, before, arena, end);
	return end->next->dead ? end->next : NULL;
}

/* What was told of the end is told of both. */
static void add_end(struct decision *d, const struct decision *end, struct arena *arena)
{
	struct lost_edit *all = arena_alloc(arena, (end->n_lost + d->n_lost + 1) * sizeof *all);

	if (end->n_lost > 0)
		memcpy(all, end->lost, end->n_lost * sizeof *all);
	if (d->n_lost > 0)
		memcpy(all + end->n_lost, d->lost, d->n_lost * sizeof *all);
	d->lost = all;
	d->n_lost += end->n_lost;
	d->happened |= end->happened;
	d->edited |= end->edited;
	d->stood |= end->stood;
	if (end->oldest_edit_us != STAMP_NONE && (d->oldest_edit_us == STAMP_NONE || end->oldest_edit_us < d->oldest_edit_us))
		d->oldest_edit_us = end->oldest_edit_us;
}

void decide_record(const struct decide_policy *policy, const struct vector *base, const struct observation *observed,
		   struct arena *arena, struct decision *out)
{
	struct decision end;
	const struct vector *ended = end_of_replaced(policy, base, observed, arena, &end);

	decide_once(policy, ended != NULL ? ended : base, observed, arena, out);
	if (ended != NULL)
		add_end(out, &end, arena);
}
