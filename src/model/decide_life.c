/*
 * decide_life.c - does the record live, and what lost: deletes against edits, new generations, agreed values that
 * nobody shows any more.
 */
#include "model/decide_work.h"

#include <string.h>

#include "base/arena.h"
#include "model/record.h"

/* ---- what lost, for the journal ---------------------------------------------------------------------- */

static struct lost_edit *add_lost(struct work *w)
{
	struct decision *d = w->out;

	if (d->lost == NULL)
		d->lost = arena_zalloc(w->arena, (w->entity->n_fields + 1) * w->policy->n_endpoints * 2 * sizeof *d->lost);
	return &d->lost[d->n_lost++];
}

static const char *tie_break(const struct work *w, const struct lost_edit *l)
{
	const struct edit_key *a = &l->winner_key, *b = &l->loser_key;
	size_t f = leader_of(w, l->field);
	enum rule rule = w->entity->fields[f].rule;

	if ((w->out->settled | w->imposed) & BIT(l->field))
		return "operator";
	if (rule == RULE_NEWEST_FILLED && decide_is_blank(w, f, l->winner_digest) != decide_is_blank(w, f, l->loser_digest))
		return "value";
	if (is_extreme(rule))
		return "value";
	if (rule == RULE_MIRROR && is_mirrored(w->entity, a) != is_mirrored(w->entity, b))
		return "priority";
	if (rule == RULE_SOURCE_PRIORITY)
		return a->n != b->n ? "stamp" : rank_of(w->entity, a->origin) != rank_of(w->entity, b->origin) ? "priority" : "stamp";
	if (a->eff != b->eff)
		return "stamp";
	return a->origin != b->origin ? "priority" : "value";
}

/* Of a value that nobody shows the vector has the digest; and the value itself where the rule compares by it. */
static void complete(const struct work *w, size_t f, struct value *value, uint64_t *digest)
{
	const struct value *known = is_extreme(w->entity->fields[f].rule) && *digest <= 0xffffff ? decide_extreme_known(w, f, *digest) : NULL;

	if (known == NULL)
		return;
	*value = *known;
	*digest = value_digest(w->policy->key, w->entity->fields[f].type, *known);
}

static uint64_t base_digest(const struct work *w, size_t e, size_t f)
{
	return base_knows(w, e) ? shown_digest(w->base, e, f) : 0;
}

/*
 * Its difference counts, and nobody knows whether it was made on top of a write of ours in doubt or on what was there before:
 * the sum may be off by that write, which people have to be told.
 */
static void note_guessed(struct work *w, size_t e, size_t f)
{
	struct lost_edit *l;

	if (!(w->edits[e].guessed & w->edits[e].changed & BIT(f)))
		return;
	l = add_lost(w);
	*l = (struct lost_edit){ .kind = LOST_CONFLICT, .field = (uint8_t)f, .loser = (uint8_t)e, .winner = ORIGIN_NONE,
		.loser_key = w->edits[e].keys[f], .winner_key = w->out->next->fields[f].key, .loser_value = w->seen[e].values[f],
		.winner_value = w->out->values[f], .loser_digest = w->seen[e].digests[f], .winner_digest = w->out->digests[f],
		.base_digest = base_digest(w, e, f), .tie_break = "doubt" };
}

/* What waits, where nothing is agreed yet. */
static uint8_t first_word(const struct work *w, size_t f)
{
	return w->out->waits & BIT(f) ? (uint8_t)__builtin_ctzll(w->out->words[f]) : ORIGIN_NONE;
}

/* A person decided against its word, which cannot be asked for now: the vector tells of it. */
static bool is_word_away(const struct work *w, size_t e, size_t f)
{
	return w->seen[e].what == OBSERVED_NOTHING && (w->out->settled & w->edits[e].spoke & BIT(f));
}

/* Under max and min: it may yet stand. When that is decided it is known what it was, also where nobody shows it then. */
static bool is_undecided(const struct work *w, size_t e, size_t f)
{
	return is_extreme(w->entity->fields[f].rule) && !w->out->next->dead && decide_extreme_waits(w, f, e) && decide_extreme_keeps(w, f, e);
}

static bool is_told_lost(const struct work *w, size_t f, size_t e)
{
	for (size_t i = 0; i < w->out->n_lost; i++)
		if (w->out->lost[i].kind == LOST_TO_DELETE && w->out->lost[i].field == f && w->out->lost[i].loser == e)
			return true;
	return false;
}

/* So it was until now, also if the record ends now. What was told of it before, the journal knows. */
static bool was_undecided(const struct work *w, size_t e, size_t f)
{
	return is_extreme(w->entity->fields[f].rule) && (w->out->have & BIT(f)) && decide_extreme_waited(w, f, e) && !is_told_lost(w, f, e);
}

/* No news there, and nothing that waits or is in doubt; or that is what is agreed. So it is with most, and it is quickly told. */
static bool cannot_be_lost(const struct work *w, size_t e, size_t f)
{
	const struct edit *x = &w->edits[e];

	if (w->winner[f] == e)
		return !(w->added & BIT(f));
	return !((x->changed | x->spoke | x->suspect) & BIT(f)) && !is_extreme(w->entity->fields[f].rule);
}

static void lost_edit_of(struct work *w, size_t e, size_t f)
{
	const struct edit *x = &w->edits[e];
	const struct vfield *now = &w->out->next->fields[f];
	bool at_hand = w->seen[e].what == OBSERVED_ROW, waited, known;
	struct lost_edit *l;

	if (cannot_be_lost(w, e, f))
		return;
	waited = was_undecided(w, e, f);
	known = !((x->changed | x->spoke) & BIT(f)) && !waited;		/* no edit, as far as we can tell */
	if (w->added & BIT(f)) {
		note_guessed(w, e, f);
		return;
	}
	if (keeps_word(w, e, f) || (!waited && is_undecided(w, e, f)) || !(at_hand || waited || is_word_away(w, e, f)))
		return;		/* nothing is decided about it, or what it shows is not at hand */
	if ((known && !(x->suspect & BIT(f))) || digest_field(digest_now(w, e, f)) == now->digest)
		return;
	if (is_new_field(w, e, f) && value_is_null(w->seen[e].values[f]))
		return;		/* nothing was there that could be lost */
	/* A group's member that was only drawn along by its neighbour had not been edited itself. */
	if ((x->changed & BIT(f)) && base_digest(w, e, f) == digest_field(w->seen[e].digests[f]))
		return;
	l = add_lost(w);
	l->kind = x->no_base & BIT(f) ? LOST_FIRST_CONTACT : LOST_CONFLICT;
	l->field = (uint8_t)f;
	l->loser = (uint8_t)e;
	l->winner = now->digest != 0 ? now->key.origin : first_word(w, f);
	l->loser_key = decide_key_now(w, e, f);
	l->winner_key = now->key;
	l->loser_value = at_hand ? w->seen[e].values[f] : VALUE_NULL;
	l->loser_digest = digest_now(w, e, f);
	complete(w, f, &l->loser_value, &l->loser_digest);
	l->winner_value = w->out->have & BIT(f) ? w->out->values[f] : VALUE_NULL;
	l->winner_digest = w->out->have & BIT(f) ? w->out->digests[f] : now->digest;
	complete(w, f, &l->winner_value, &l->winner_digest);
	/* A word that was kept: what it was before is what all knew. */
	l->base_digest = x->changed & BIT(f) ? base_digest(w, e, f) : w->base->fields[f].digest;
	l->tie_break = tie_break(w, l);
}

/* The agreed value itself loses to an edit made by somebody who had not seen it. */
static void lost_agreement(struct work *w, size_t f)
{
	const struct vector *v = w->base;
	uint8_t e = w->winner[f], holder;
	struct edit_key shown;
	struct lost_edit *l;

	if ((w->added & BIT(f)) || (w->entity->fields[f].rule == RULE_MANUAL && !(w->late & BIT(f))))
		return;		/* it is in the sum; whose word it was lost with that */
	if (v == NULL || e == 255 || v->fields[f].digest == 0 || v->fields[f].digest == w->out->next->fields[f].digest)
		return;
	if (base_knows(w, e)) {
		shown = decide_shown_key(w, e, f);
		if ((same_key(&shown, &v->fields[f].key) && !(w->edits[e].guessed & BIT(f))) ||
		    (!(w->edits[e].changed & BIT(f)) && decide_had_seen(w, e, f)))
			return;		/* it had seen it: a plain later edit, be it made known before */
	}
	l = add_lost(w);
	holder = decide_find_holder(w, f);
	l->kind = base_knows(w, e) ? LOST_CONFLICT : LOST_FIRST_CONTACT;
	l->field = (uint8_t)f;
	l->loser = v->fields[f].key.origin;
	l->winner = e;
	l->loser_key = v->fields[f].key;
	l->winner_key = decide_key_now(w, e, f);
	l->loser_value = holder != 255 ? w->seen[holder].values[f] : VALUE_NULL;
	l->loser_digest = holder != 255 ? w->seen[holder].digests[f] : v->fields[f].digest;
	complete(w, f, &l->loser_value, &l->loser_digest);
	l->winner_value = w->seen[e].values[f];
	l->winner_digest = w->seen[e].digests[f];
	l->base_digest = base_digest(w, e, f);
	l->tie_break = tie_break(w, l);
}

static void note_lost_edits(struct work *w)
{
	for (size_t f = 0; f < w->entity->n_fields; f++) {
		lost_agreement(w, f);
		for (size_t e = 0; e < w->policy->n_endpoints; e++)
			lost_edit_of(w, e, f);
	}
}

static void note_lost_record(struct work *w, enum lost_kind kind, size_t loser, size_t winner,
			     const struct edit_key *loser_key, const struct edit_key *winner_key)
{
	struct lost_edit *l = add_lost(w);

	l->kind = kind;
	l->field = FIELDS_MAX;
	l->loser = (uint8_t)loser;
	l->winner = (uint8_t)winner;
	l->loser_key = *loser_key;
	l->winner_key = *winner_key;
	l->loser_value = l->winner_value = VALUE_NULL;
	/* An edit that lost to a value keeps no record, and that is all that update-wins lets be taken along. */
	l->tie_break = kind == LOST_TO_DELETE && update_wins(w) ? "value" : "policy";
}

/* A delete takes this field's edit with it. */
static void note_lost_field(struct work *w, size_t f, size_t winner, const struct edit_key *winner_key)
{
	const struct vfield *lost = &w->out->next->fields[f];
	struct lost_edit *l;

	note_lost_record(w, LOST_TO_DELETE, lost->key.origin, winner, &lost->key, winner_key);
	l = &w->out->lost[w->out->n_lost - 1];
	l->field = (uint8_t)f;
	l->loser_digest = lost->digest;
	if (w->out->have & BIT(f)) {
		l->loser_value = w->out->values[f];
		l->loser_digest = w->out->digests[f];
	}
}

/*
 * An edit there is neither agreed nor lost: a word that waits for a person, or what waits for a value that is out of reach. And the deleter
 * showed something else; nobody (ORIGIN_NONE) has seen any word.
 */
static bool is_open(const struct work *w, size_t f, size_t e, size_t deleter)
{
	if (is_extreme(w->entity->fields[f].rule))
		return deleter != ORIGIN_NONE && e != deleter && decide_extreme_waits(w, f, e);
	return decide_word_unseen(w, f, e, deleter);
}

/* And it may keep the record. */
static bool is_open_unseen(const struct work *w, size_t f, size_t e, size_t deleter)
{
	return is_open(w, f, e, deleter) && !(is_extreme(w->entity->fields[f].rule) && decide_extreme_beaten(w, e, f));
}

static struct edit_key open_key(const struct work *w, size_t e, size_t f)
{
	return is_extreme(w->entity->fields[f].rule) ? decide_key_now(w, e, f) : decide_word_key(w, e, f);
}

/* And with it those that are open there. */
static void note_lost_open(struct work *w, size_t f, size_t deleter, const struct edit_key *winner_key)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		struct edit_key key = { 0 };
		struct lost_edit *l;

		if (!is_open(w, f, e, deleter) || is_told_lost(w, f, e))
			continue;
		key = open_key(w, e, f);
		note_lost_record(w, LOST_TO_DELETE, e, winner_key->origin, &key, winner_key);
		l = &w->out->lost[w->out->n_lost - 1];
		l->field = (uint8_t)f;
		l->loser_digest = digest_now(w, e, f);
		if (w->seen[e].what == OBSERVED_ROW)
			l->loser_value = w->seen[e].values[f];
	}
}

/* No field of the life before survives; an edit of it that comes now is lost as any other. */
static void note_lost_to_rebirth(struct work *w)
{
	for (size_t f = 0; f < w->entity->n_fields; f++)
		for (size_t e = 0; e < w->policy->n_endpoints; e++)
			lost_edit_of(w, e, f);
}

/* ---- what is shown nowhere any more ------------------------------------------------------------------ */

bool decide_all_observed(const struct work *w)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->policy->endpoints[e].mapped && (w->seen[e].what == OBSERVED_NOTHING || w->seen[e].unclear != 0))
			return false;
	return true;
}

/* Among the rows there are: whose value of that unit was written last, by its rule? 255: there is no row. */
static uint8_t next_best(const struct work *w, size_t f)
{
	struct edit_key best = { 0 }, key;
	uint64_t digest = 0;
	uint8_t found = 255;

	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		if (w->seen[e].what != OBSERVED_ROW || !(base_knows(w, e) || (w->edits[e].changed & BIT(f))))
			continue;
		key = decide_key_now(w, e, f);
		if (found != 255 && decide_compare(w, f, &key, w->seen[e].digests[f], &best, digest) <= 0)
			continue;
		best = key;
		digest = w->seen[e].digests[f];
		found = (uint8_t)e;
	}
	return found;
}

static uint64_t vanished_fields(const struct work *w)
{
	uint64_t gone = all_fields(w->entity) & ~w->out->have & ~w->out->waits;

	if (w->base == NULL || w->base->dead || gone == 0 || !decide_all_observed(w))
		return 0;
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->edits[e].missing)
			return 0;	/* first it has to be proven whether its writer wanted the record gone */
	return gone;
}

/*
 * The agreed value is shown nowhere any more: its writer's row was deleted before it had been carried anywhere.
 * Nobody can bring it back; the best of what is left takes its place, under its key, so that what lost to it stays beaten.
 */
static void replace_vanished(struct work *w, uint64_t gone)
{
	struct decision *d = w->out;

	if (gone == 0)
		return;
	for (size_t f = 0; f < w->entity->n_fields; f++) {
		uint8_t e = gone & w->unit[f] ? next_best(w, leader_of(w, f)) : 255;
		struct vfield *now = &d->next->fields[f];

		if (e == 255)
			continue;
		w->replaced |= now->digest != digest_field(w->seen[e].digests[f]) ? BIT(f) : 0;
		now->digest = digest_field(w->seen[e].digests[f]);
		d->values[f] = w->seen[e].values[f];
		d->digests[f] = w->seen[e].digests[f];
		d->have |= BIT(f);
	}
	d->next->row = d->have == all_fields(w->entity) ?
		digest_row(row_digest(w->policy->key, d->digests, w->entity->n_fields, w->policy->row_order)) : 0;
}

static void note_vanished(struct work *w, uint64_t gone, const struct vfield *agreed)
{
	for (size_t f = 0; f < w->entity->n_fields; f++) {
		uint8_t e = gone & BIT(f) ? next_best(w, leader_of(w, f)) : 255;
		const struct vfield *was = &agreed[f];

		if (e != 255)
			*add_lost(w) = (struct lost_edit){ .kind = LOST_CONFLICT, .field = (uint8_t)f, .loser = was->key.origin, .winner = e,
				.loser_key = was->key, .winner_key = was->key, .loser_value = VALUE_NULL, .loser_digest = was->digest,
				.winner_value = w->seen[e].values[f], .winner_digest = w->seen[e].digests[f], .tie_break = "value" };
	}
}

/* ---- life and death ---------------------------------------------------------------------------------- */

/* What is agreed is no news to somebody who had seen what was: it is that, or what is left of the time before it went away, or lost to it. */
static bool is_no_news(const struct work *w, size_t f)
{
	const struct edit_key *was = &w->base->fields[f].key, *now = &w->out->next->fields[f].key;
	uint8_t e = w->winner[f];

	return same_key(now, was) ||
	       ((w->vanished & BIT(f)) && e != 255 && (decide_extreme_beaten(w, e, f) || (!(w->edits[e].changed & BIT(f)) && now->n <= was->n)));
}

/*
 * The field has come into the topology since, and the deleter's row was gone by then: of a value that was only met there, and has not been edited
 * on top of that, nobody can say that the deleter had not seen it.
 */
static bool is_only_met(const struct vfield *now, uint32_t shown)
{
	return shown == 0 && now->key.n <= 1 && !fault("f10-what-a-new-field-shows-is-an-edit");
}

/* It showed something that is not what is agreed, nor lost to that knowingly. */
static bool is_news_to(const struct work *w, size_t deleter, size_t f, const struct edit_key *shown, uint32_t digest)
{
	const struct vfield *now = &w->out->next->fields[f];
	enum rule rule = w->entity->fields[f].rule;

	/* Under one key it is the deleter's own edit, in another form or with what took its place. */
	if (now->digest == digest || same_key(&now->key, shown) || is_only_met(now, digest))
		return false;
	if (decide_had_seen(w, deleter, f) && is_no_news(w, f))
		return false;
	/* By value, by a sum or by a person it is told whether an edit stands, not whether it was seen. */
	return is_extreme(rule) || rule == RULE_ADD || rule == RULE_MANUAL || decide_compare(w, f, &now->key, now->digest, shown, digest) > 0;
}

/* The agreed value is an edit which the deleter had not seen; or may not have: a write of ours in doubt had put something else there. */
static bool is_agreed_unseen(const struct work *w, size_t deleter, size_t f)
{
	const struct vseen *seen = &w->base->seen[deleter];
	struct edit_key shown = decide_shown_key(w, deleter, f);

	if (is_news_to(w, deleter, f, &shown, shown_digest(w->base, deleter, f)))
		return true;
	for (size_t i = 0; seen->uncertain && i < seen->n_intended; i++)
		if (seen->intended[i].field == f && is_news_to(w, deleter, f, &seen->intended[i].key, seen->intended[i].digest))
			return true;
	return false;
}

/* The field holds an edit which the deleter had not seen. */
static bool is_unseen(const struct work *w, size_t deleter, size_t f)
{
	if (is_agreed_unseen(w, deleter, f))
		return true;
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (is_open_unseen(w, f, e, deleter))
			return true;
	return false;
}

/* The key of that edit. */
static struct edit_key unseen_key(const struct work *w, size_t deleter, size_t f)
{
	for (size_t e = 0; !is_agreed_unseen(w, deleter, f) && e < w->policy->n_endpoints; e++)
		if (is_open_unseen(w, f, e, deleter))
			return open_key(w, e, f);
	return w->out->next->fields[f].key;
}

/* The first such field; -1: it had seen everything. */
ptrdiff_t decide_unseen_edit(const struct work *w, size_t deleter)
{
	for (size_t f = 0; f < w->entity->n_fields; f++)
		if (is_unseen(w, deleter, f))
			return (ptrdiff_t)f;
	return -1;
}

static struct edit_key delete_key(const struct work *w, size_t e)
{
	struct edit_key key = { .eff = decide_reported_stamp(w, e, true), .n = 1, .origin = (uint8_t)e }, shown;

	for (size_t f = 0; f < w->base->n_fields; f++) {
		shown = decide_shown_key(w, e, f);
		if (shown.eff + w->policy->quantum_us > key.eff)
			key.eff = shown.eff + w->policy->quantum_us;
	}
	return key;
}

/* A row that is brought back before its delete was proven: the delete loses all the same, and is written down. */
void decide_note_lost_delete(struct work *w, size_t e)
{
	struct edit_key key = delete_key(w, e), winner = unseen_key(w, e, (size_t)decide_unseen_edit(w, e));

	note_lost_record(w, LOST_DELETE, e, winner.origin, &key, &winner);
}

/* The deleters of this observation: does any of them end the record? */
static bool killed_now(struct work *w)
{
	bool dead = false;

	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		struct edit_key key;

		if (!w->edits[e].removed)
			continue;
		key = delete_key(w, e);
		if (decide_unseen_edit(w, e) >= 0 && update_wins(w)) {
			decide_note_lost_delete(w, e);
			continue;
		}
		for (size_t i = 0; i < w->entity->n_fields; i++) {
			if (is_agreed_unseen(w, e, i))
				note_lost_field(w, i, e, &key);
			note_lost_open(w, i, e, &key);
		}
		if (!dead || edit_key_compare(w->entity, RULE_LAST_WRITER_WINS, &key, 0, &w->out->next->deleted, 0) > 0)
			w->out->next->deleted = key;
		dead = true;
	}
	return dead;
}

/* The column may have shown that all the time. */
static bool is_met(const struct work *w, size_t e, size_t f)
{
	return is_new_field(w, e, f) && !fault("f10-what-a-new-field-shows-is-an-edit");
}

/* An edit by somebody, of a value that may stand against the one that was agreed. */
static bool stands_against(const struct work *w, size_t e, size_t f)
{
	return (w->edits[e].changed & BIT(f)) && !is_met(w, e, f) && !decide_extreme_beaten(w, e, f);
}

/* Whose edit there would revive a record that was dead; 255: nobody's. */
static uint8_t reviver(const struct work *w, size_t f)
{
	uint8_t e = w->out->waits & BIT(f) ? (uint8_t)__builtin_ctzll(w->out->words[f]) : w->winner[f];

	if (e == 255 || !(is_extreme(w->entity->fields[f].rule) || is_met(w, e, f)) || stands_against(w, e, f))
		return e;
	for (e = 0; e < w->policy->n_endpoints; e++)	/* the best of what is left is no edit, or none that stands */
		if (stands_against(w, e, f))
			return e;
	return 255;
}

/* The record was dead: an edit that the deleter had not seen may revive it. */
static bool stays_dead(struct work *w)
{
	for (size_t f = 0; (update_wins(w) || decide_is_guarded_end(w)) && f < w->entity->n_fields; f++) {
		uint8_t e = reviver(w, f);
		struct edit_key key;

		if (e == 255)
			continue;
		key = decide_key_now(w, e, f);
		note_lost_record(w, LOST_DELETE, w->base->deleted.origin, e, &w->base->deleted, &key);
		return false;
	}
	for (size_t f = 0; f < w->entity->n_fields; f++) {
		note_lost_open(w, f, ORIGIN_NONE, &w->base->deleted);
		if (w->winner[f] != 255 && (w->edits[w->winner[f]].changed & BIT(f)))
			note_lost_field(w, f, w->base->deleted.origin, &w->base->deleted);
	}
	return true;
}

static bool reborn_any(const struct work *w)
{
	for (size_t e = 0; e < w->policy->n_endpoints; e++)
		if (w->edits[e].reborn)
			return true;
	return false;
}

/* The newest edit of any field: what a death counts from that nobody in particular has brought about. */
static struct edit_key newest_edit(const struct work *w)
{
	struct edit_key newest = w->base->fields[0].key;

	for (size_t f = 1; f < w->base->n_fields; f++)
		if (edit_key_compare(w->entity, RULE_LAST_WRITER_WINS, &w->base->fields[f].key, 0, &newest, 0) > 0)
			newest = w->base->fields[f].key;
	newest.eff += w->policy->quantum_us;
	return newest;
}

/*
 * Every endpoint's row is gone, proven or not: there is nothing left that could be kept, and nothing is deleted by saying so.
 * Also when it was gone before: a row that was to be brought back from one that is not there any more.
 */
static bool all_gone(struct work *w)
{
	struct edit_key key;
	bool known = false;

	if (decide_comes_back(w))
		return false;
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		const struct decide_endpoint *p = &w->policy->endpoints[e];

		if (p->mapped && (w->seen[e].what != OBSERVED_ABSENT || p->ignores_deletes || w->seen[e].outside))
			return false;
	}
	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		if (!w->edits[e].removed && !w->edits[e].missing)
			continue;
		key = delete_key(w, e);
		if (!known || edit_key_compare(w->entity, RULE_LAST_WRITER_WINS, &key, 0, &w->out->next->deleted, 0) > 0)
			w->out->next->deleted = key;
		known = true;
	}
	if (!known)
		w->out->next->deleted = newest_edit(w);
	return true;
}

/* An edit that is no news, and of which nothing was said yet because nobody showed what it lost to. */
static void note_beaten(struct work *w, size_t e, size_t f)
{
	const struct vfield *was = &w->base->fields[f];
	struct edit_key key = decide_key_now(w, e, f);
	struct lost_edit *l;

	if (w->seen[e].what != OBSERVED_ROW || (w->edits[e].changed & BIT(f)) || key.n <= was->key.n)
		return;
	l = add_lost(w);
	*l = (struct lost_edit){ .kind = LOST_CONFLICT, .field = (uint8_t)f, .loser = (uint8_t)e, .winner = was->key.origin,
		.loser_key = key, .winner_key = was->key, .loser_value = w->seen[e].values[f], .winner_value = VALUE_NULL,
		.loser_digest = w->seen[e].digests[f], .winner_digest = was->digest, .base_digest = was->digest, .tie_break = "value" };
	complete(w, f, &l->winner_value, &l->winner_digest);
}

/* Of what nobody shows any more: an edit that took its place, and would have lost to it, is written down as one that did. */
static void put_back_beaten(struct work *w, struct vfield *agreed, uint64_t *have)
{
	for (size_t f = 0; f < w->entity->n_fields; f++) {
		if (!(w->vanished & BIT(f)) || w->winner[f] == 255 || !decide_extreme_beaten(w, w->winner[f], f))
			continue;
		for (size_t e = 0; e < w->policy->n_endpoints; e++)
			note_beaten(w, e, f);
		agreed[f] = w->base->fields[f];
		w->winner[f] = 255;
		*have &= ~BIT(f);
		w->out->next->row = 0;
	}
}

void decide_life(struct work *w)
{
	struct vector *next = w->out->next;
	const struct vector *base = w->base;
	struct vfield agreed[FIELDS_MAX];
	bool was_dead = base != NULL && base->dead;
	uint64_t have, gone;

	if (w->ended || (was_dead && w->imposed != 0)) {
		next->generation += was_dead;
		next->dead = w->ended;
		if (w->ended)
			next->deleted = w->ended_key;
		decide_join_fields(w, !w->ended);
		return;
	}
	if (was_dead && reborn_any(w)) {
		next->generation = base->generation + 1;
		next->dead = false;
		decide_join_fields(w, true);
		note_lost_to_rebirth(w);
		return;
	}
	decide_join_fields(w, false);
	memcpy(agreed, next->fields, next->n_fields * sizeof *agreed);
	have = w->out->have;
	gone = vanished_fields(w);
	replace_vanished(w, gone);
	next->dead = base != NULL && (was_dead ? stays_dead(w) : all_gone(w) || killed_now(w));
	if (next->dead && !was_dead)
		put_back_beaten(w, agreed, &have);
	if (next->dead) {	/* then nothing takes a place, and whoever refers to the record still finds it by the key that it had */
		memcpy(next->fields, agreed, next->n_fields * sizeof *agreed);
		w->out->have = have;
	}
	note_lost_edits(w);
	if (!next->dead) {
		note_vanished(w, gone, agreed);
		return;
	}
	if (was_dead)		/* edits that lost to the delete leave no trace: the tombstone keeps what the deleter saw */
		memcpy(next->fields, base->fields, next->n_fields * sizeof *agreed);
	w->out->waits = 0;	/* nobody is asked about what is gone */
}
