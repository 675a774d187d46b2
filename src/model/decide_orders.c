/*
 * decide_orders.c - what every endpoint shows, told against what is agreed now, and what has to be written there; before
 * the writes and, in decide_applied(), after one of them.
 */
#include "model/decide_work.h"

#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "model/record.h"

/* ---- what it shows ----------------------------------------------------------------------------------- */

static void keep_deviations(struct vseen *s, const struct vdeviation *list, size_t n, struct arena *arena)
{
	s->n_deviations = n;
	s->deviations = n > 0 ? arena_alloc(arena, n * sizeof *list) : NULL;
	if (n > 0)
		memcpy(s->deviations, list, n * sizeof *list);
}

/* Older than anything agreed: what shows it is no form of what was meant, and is written as soon as that is possible. */
static const struct edit_key nobodys_key = { .eff = EFF_EMPTY, .origin = ORIGIN_NONE };

/* Somebody wrote where nobody has a say. */
static bool is_overwritten(const struct work *w, size_t e, size_t f)
{
	return !w->policy->endpoints[e].votes && base_knows(w, e) && shown_digest(w->base, e, f) != digest_field(w->seen[e].digests[f]);
}

/* What is agreed now comes from an edit of this observation, made on top of something else. */
static bool was_edited(const struct work *w, size_t f)
{
	uint8_t e = w->winner[f];

	return (w->added & BIT(f)) || (e != 255 && !(w->edits[e].no_base & BIT(f)));
}

/*
 * It shows the agreed value by chance: of an earlier edit, put back or written once more elsewhere by an edit that it has not
 * seen. A later edit there counts from what it had seen.
 */
static bool shows_older_edit(const struct work *w, size_t e, size_t f, const struct edit_key *key)
{
	const struct vfield *now = &w->out->next->fields[f];

	return !same_key(key, &now->key) &&
	       (w->base->fields[f].digest != now->digest || was_edited(w, f) || vseen_deviation(&w->base->seen[e], f) != NULL);
}

/* What nobody can tell yet shows the edit that it showed before. */
static bool shows_agreed(const struct work *w, size_t e, size_t f)
{
	const struct observation *o = &w->seen[e];
	struct edit_key key;

	if (keeps_word(w, e, f) || digest_field(o->digests[f]) != w->out->next->fields[f].digest)
		return false;
	if (!(o->unclear & BIT(f)))
		return !(w->out->have & BIT(f)) || o->digests[f] == w->out->digests[f];
	key = decide_shown_key(w, e, f);
	return !shows_older_edit(w, e, f, &key);
}

/* 0: part of it is what it showed before, and the rest is not. */
static uint64_t row_now(const struct work *w, size_t e)
{
	return w->seen[e].unclear != 0 ? w->seen[e].row : digest_row(w->seen[e].row);
}

/* What the endpoint shows now, told against the newly agreed row. */
static void show_now(struct work *w, size_t e)
{
	const struct observation *o = &w->seen[e];
	struct vector *next = w->out->next;
	struct vseen *s = &next->seen[e];
	struct vdeviation list[FIELDS_MAX];
	size_t n = 0;

	for (size_t f = 0; f < next->n_fields; f++) {
		const struct edit *x = &w->edits[e];
		uint32_t digest = digest_field(o->digests[f]);

		if (shows_agreed(w, e, f) && !fault("f08-writes-what-is-there-already"))
			continue;
		list[n] = (struct vdeviation){ .field = (uint8_t)f, .digest = digest };
		if (keeps_word(w, e, f))
			list[n].key = decide_word_key(w, e, f);
		else if (x->changed & BIT(f))
			list[n].key = x->keys[f];
		else if (is_overwritten(w, e, f))
			list[n].key = nobodys_key;
		else if (base_knows(w, e))
			list[n].key = decide_shown_key(w, e, f);
		else
			list[n].key = nobodys_key;	/* nobody has a say there, or an insert of ours has left it blank */
		if ((w->replaced & BIT(f)) && same_key(&list[n].key, &next->fields[f].key))
			list[n].key = nobodys_key;	/* a form of what is not agreed any more */
		n++;
	}
	/* Who edits it takes part in the present life with it, and may end that. */
	s->former = base_knows(w, e) && ((w->base->seen[e].former && w->edits[e].changed == 0) || w->base->generation != next->generation);
	s->known = s->present = true;
	s->detached = s->parked = false;
	s->uncertain = false;	/* what did not happen until here cannot any more: an endpoint is not looked at before (doc/own-writes.md) */
	s->id = base_knows(w, e) && fault("f11-a-record-keeps-its-first-row") ? w->base->seen[e].id : o->id;
	s->same = n == 0 && (next->row == 0 || next->row == row_now(w, e));
	s->row = s->same ? 0 : row_now(w, e);
	keep_deviations(s, list, n, w->arena);
}

/* Not observed: it still shows what it last showed, now perhaps behind the agreed row. */
static void show_before(struct work *w, size_t e)
{
	const struct vector *base = w->base;
	struct vector *next = w->out->next;
	struct vseen *s = &next->seen[e];
	struct vdeviation list[FIELDS_MAX];
	size_t n = 0;

	if (base == NULL || !base->seen[e].present)
		return;
	for (size_t f = 0; f < next->n_fields; f++) {
		uint32_t digest = shown_digest(base, e, f);
		struct edit_key key = decide_shown_key(w, e, f);

		if (keeps_word(w, e, f))
			key = decide_word_key(w, e, f);
		if (keeps_word(w, e, f) || digest != next->fields[f].digest || shows_older_edit(w, e, f, &key))
			list[n++] = (struct vdeviation){ (uint8_t)f, digest, key };
	}
	s->former |= base->generation != next->generation;
	s->row = shown_row(base, e);
	s->same = n == 0 && s->row == next->row;
	keep_deviations(s, list, n, w->arena);
	if (s->same)
		s->row = 0;
}

/* ---- orders ------------------------------------------------------------------------------------------ */

/* Some field it shows is not a form of what is agreed now. */
static bool is_behind(const struct work *w, size_t e)
{
	const struct vector *v = w->out->next;

	for (size_t i = 0; i < v->seen[e].n_deviations; i++) {
		const struct vdeviation *dev = &v->seen[e].deviations[i];
		const struct vfield *now = &v->fields[dev->field];

		if (!keeps_word(w, e, dev->field) && dev->digest != now->digest && !same_key(&dev->key, &now->key))
			return true;
	}
	return false;
}

/* A field that shows the target's own form of the agreed value is left alone (SEMANTICS F9). Of a reference it is one if nothing is owed. */
static bool is_normalised(const struct work *w, size_t e, size_t f)
{
	const struct vdeviation *dev;
	const struct vfield *now = &w->out->next->fields[f];

	if (w->base == NULL || !w->base->seen[e].present || ((w->edits[e].changed | w->replaced) & BIT(f)))
		return false;
	if (w->entity->fields[f].type == FIELD_REFERENCE && w->base->seen[e].owed && !(w->seen[e].own_forms & BIT(f)))
		return false;
	dev = vseen_deviation(&w->base->seen[e], f);
	return dev != NULL && dev->digest == digest_field(w->seen[e].digests[f]) && same_key(&dev->key, &now->key);
}

/* Of the very edit that is agreed. */
bool decide_has_own_key(const struct entity_def *def, const struct vector *v, size_t e)
{
	for (size_t i = 0; i < def->n_key; i++) {
		const struct vdeviation *dev = v->seen[e].same ? NULL : vseen_deviation(&v->seen[e], def->key[i]);

		if (dev != NULL && edit_key_compare(def, RULE_LAST_WRITER_WINS, &dev->key, 0, &v->fields[def->key[i]].key, 0) == 0)
			return true;
	}
	return false;
}

/*
 * Where something is owed it may be this: a form that is not what is agreed any more (decide_follow.c), at a row that was away or refused it. It is
 * written once more, and what was the target's own form comes back.
 */
static bool may_be_behind(const struct work *w, size_t e, size_t f)
{
	return w->base->seen[e].owed && !(w->seen[e].own_forms & BIT(f)) && !fault("f08-what-was-cleaned-in-another-way-stays-as-it-is");
}

/* True if some of them are out of reach. */
static bool order_fields(struct work *w, struct order *o, uint64_t wanted)
{
	bool short_of_values = false;

	for (uint64_t rest = wanted; rest != 0; rest &= rest - 1) {
		size_t f = (size_t)__builtin_ctzll(rest);

		if (w->out->waits & w->unit[f] & ~w->out->have)
			continue;	/* nobody has it: it comes when a person has decided */
		if (wanted & w->unit[f] & ~w->out->have)	/* half of it would be a value that nobody wrote */
			short_of_values = true;
		else
			o->fields |= BIT(f);
	}
	return short_of_values;
}

static void order_row(struct work *w, size_t e)
{
	struct order *o = &w->out->orders[e];
	struct vseen *s = &w->out->next->seen[e];
	uint64_t wanted = 0, forms = 0, unclear = w->seen[e].unclear;
	bool short_of_values;

	for (size_t i = 0; i < s->n_deviations; i++) {
		size_t f = s->deviations[i].field;

		if (keeps_word(w, e, f))
			continue;
		if (!is_normalised(w, e, f))
			wanted |= BIT(f);
		else if (may_be_behind(w, e, f))
			forms |= BIT(f);
	}
	short_of_values = order_fields(w, o, wanted & ~unclear);
	if (!short_of_values)	/* else it stays owed: they wait, lest they be written again at every look */
		short_of_values = order_fields(w, o, forms & ~unclear);
	if (o->fields != 0)
		o->action = ACTION_UPDATE;
	else
		s->uncertain = s->former = false;
	o->unclear = unclear;
	s->owed = o->fields != 0 || short_of_values || (wanted & unclear) != 0;
	/* Who had it has been asked: it is not to be looked for again and again until there is news of it. */
	s->parked = o->fields == 0 && short_of_values && decide_all_observed(w) && !fault("f12-what-nobody-has-is-looked-for-for-ever");
}

static void order_missing(struct work *w, size_t e, bool absent)
{
	struct order *o = &w->out->orders[e];
	struct vseen *s = &w->out->next->seen[e];

	s->owed = true;
	if (w->out->waits & ~w->out->have)
		s->parked = true;	/* not before a person has decided */
	if (!absent || w->out->have != all_fields(w->entity))
		return;
	o->action = ACTION_INSERT;
	o->fields = all_fields(w->entity);
}

/* An insert in doubt stays so, except where that is known to be over. What has gone its own way goes on doing so. */
static void forget_row(struct vseen *s, bool over)
{
	if (s->present || over)
		*s = (struct vseen){ .known = true, .detached = s->detached };
	else
		*s = (struct vseen){ .known = true, .uncertain = s->uncertain, .intended = s->intended, .n_intended = s->n_intended,
				     .tried_key = s->tried_key, .detached = s->detached };
}

/* A row outside of `where` is there: only where the record had a row it is that one, which left it. Another one has its key. */
static void order_outside(struct work *w, size_t e, bool was_present, bool writable)
{
	struct vseen *s = &w->out->next->seen[e];

	forget_row(s, w->seen[e].evidence);
	s->detached |= was_present || fault("f13-who-is-outside-is-the-record");
	s->owed = s->parked = writable && !s->detached;
}

static void order_alive(struct work *w, size_t e, const struct decide_endpoint *p)
{
	struct vseen *s = &w->out->next->seen[e];
	bool was_present = w->base != NULL && w->base->seen[e].present;

	switch (w->seen[e].what) {
	case OBSERVED_ROW:
		show_now(w, e);
		if (p->writable)
			order_row(w, e);
		else
			s->owed = false;
		return;
	case OBSERVED_ABSENT:
		if (w->seen[e].outside) {
			order_outside(w, e, was_present, p->writable);
			return;
		}
		if (was_present && p->ignores_deletes && !w->seen[e].unexplained) {
			forget_row(s, w->seen[e].evidence);
			s->detached = true;
			return;
		}
		if (was_present && w->edits[e].missing && !update_wins(w)) {
			show_before(w, e);	/* without evidence and with delete-wins: wait for the evidence, */
			s->owed = s->parked = true;	/* and do not look again and again until it comes */
			return;
		}
		if (was_present && w->edits[e].missing && decide_unseen_edit(w, e) < 0) {
			show_before(w, e);	/* nothing to tell it, and no evidence: leave everything as it was, */
			s->parked |= s->owed && !fault("f12-what-nobody-has-is-looked-for-for-ever");	/* and owe nothing to nowhere */
			return;
		}
		if (was_present && w->seen[e].unexplained) {
			show_before(w, e);	/* deleted it is brought back, and renamed it is the row that is owed all this */
			s->owed = true;
			return;
		}
		if (was_present && w->edits[e].missing)
			decide_note_lost_delete(w, e);
		forget_row(s, w->seen[e].evidence);
		break;
	case OBSERVED_NOTHING:
		show_before(w, e);
		if (was_present) {
			s->owed = p->writable && (s->owed || is_behind(w, e)) && !fault("f24-who-is-away-is-owed-nothing");
			return;
		}
		break;
	}
	/* An insert in doubt is sent again only to whom was looked at. */
	if (p->writable && !s->detached)
		order_missing(w, e, w->seen[e].what == OBSERVED_ABSENT || (!s->uncertain && (s->known || p->surveyed)));
}

/*
 * An insert in doubt of a record that has ended: once it was looked for it shows, or has not happened and cannot any more (doc/own-writes.md). While
 * the record lives it stays in doubt all the same, and whoever tries it again is told what is in its way.
 */
static bool is_over(const struct observation *o)
{
	return o->evidence || (o->looked_for && !fault("f12-a-tombstone-stays-for-a-row-that-was-looked-for"));
}

static void order_dead(struct work *w, size_t e, const struct decide_endpoint *p)
{
	struct vseen *s = &w->out->next->seen[e];

	if (w->seen[e].what == OBSERVED_ROW) {
		show_now(w, e);
		s->owed = p->writable && !p->ignores_deletes;
		if (s->owed && w->seen[e].unclear == 0)	/* it may be an edit that brings the record back */
			w->out->orders[e].action = ACTION_DELETE;
	} else if (w->seen[e].what == OBSERVED_ABSENT) {
		forget_row(s, is_over(&w->seen[e]));
		s->detached &= !p->ignores_deletes;	/* should it be born again, then there as well */
	} else {
		show_before(w, e);	/* a row that may be there by an insert in doubt is yet to be looked for */
		s->owed = p->writable && !p->ignores_deletes && (s->present || s->uncertain);
	}
}

/* It alone shows what was agreed, and something else stands in the place of that now, under the same key. */
static bool is_replaced(const struct work *w, const struct vdeviation *dev)
{
	return (w->replaced & BIT(dev->field)) && same_key(&dev->key, &w->out->next->fields[dev->field].key);
}

/*
 * What was not heard because its endpoint had left is said again when that is back: what it shows there then counts as an edit of what is agreed
 * now; or, if it waited for a person, of something older than that, so that it waits again.
 */
static void leave_unheard(struct work *w, size_t e)
{
	struct vseen *s = &w->out->next->seen[e];
	size_t n = 0, had = s->n_deviations;
	bool word = false;

	for (size_t i = 0; i < had; i++) {
		struct vdeviation dev = s->deviations[i];

		if (is_replaced(w, &dev))
			continue;
		if (decide_had_word(w, e, dev.field) && !fault("f12-who-has-left-was-heard")) {
			dev.digest = w->out->next->fields[dev.field].digest;
			dev.key = nobodys_key;
			word = true;
		}
		s->deviations[n++] = dev;
	}
	if (n == had && !word)
		return;
	s->n_deviations = n;
	s->same = n == 0;
	s->row = 0;
}

/*
 * Not in the topology now, or not mapped: nobody listens there. Should it come back, what was edited there since is told from what it showed
 * when it left (sync/rebase.c). But where the record is deleted meanwhile its row is then met as on first contact and brings it back: so no
 * delete waits for who never comes back.
 */
static void order_left(struct work *w, size_t e)
{
	struct vector *next = w->out->next;
	struct vseen *s = &next->seen[e];

	if (w->base == NULL || fault("f12-who-has-left-shows-what-is-agreed"))
		return;
	if (next->dead && !w->base->dead) {
		*s = (struct vseen){ 0 };
		return;
	}
	if (!s->present)
		return;
	show_before(w, e);
	leave_unheard(w, e);
}

void decide_give_orders(struct work *w)
{
	for (size_t e = 0; e < w->out->next->n_seen; e++) {
		const struct decide_endpoint *p = e < w->policy->n_endpoints ? &w->policy->endpoints[e] : NULL;

		if (p == NULL || !p->mapped)
			order_left(w, e);
		else if (w->out->next->dead)
			order_dead(w, e, p);
		else
			order_alive(w, e, p);
	}
}

/*
 * What the row of an insert shows in a field that was left out, because the record that it refers to waits for this very one. It is
 * nobody's edit.
 */
struct vdeviation decide_left_blank(const struct digest_key *key, const struct entity_def *def, size_t f)
{
	return (struct vdeviation){ .field = (uint8_t)f, .digest = digest_field(value_digest(key, def->fields[f].type, VALUE_NULL)),
				    .key = nobodys_key };
}

/* ---- after the write --------------------------------------------------------------------------------- */

void decide_applied(const struct decide_policy *policy, struct decision *d, size_t e, const struct observation *readback,
		    struct value id, struct arena *arena)
{
	struct vector *next = d->next;
	struct vseen *s = &next->seen[e];
	struct vdeviation list[FIELDS_MAX];
	uint64_t astray = d->orders[e].astray, unclear = d->orders[e].unclear;
	bool owed = astray != 0;
	size_t n = 0;

	if (d->orders[e].action == ACTION_DELETE) {
		*s = (struct vseen){ .known = true };
		return;
	}
	for (size_t f = 0; f < next->n_fields; f++) {
		const struct vdeviation *old = d->orders[e].action == ACTION_UPDATE ? vseen_deviation(s, f) : NULL;

		bool word = old != NULL && (d->waits & BIT(f)) && old->key.n > next->fields[f].key.n;

		if (unclear & BIT(f)) {
			if (old != NULL)
				list[n++] = *old;
			owed |= old != NULL;
		} else if (d->orders[e].action == ACTION_INSERT && !(d->orders[e].fields & BIT(f))) {
			struct vdeviation blank = decide_left_blank(policy->key, policy->entity, f);

			if (readback != NULL)
				blank.digest = digest_field(readback->digests[f]);
			if (blank.digest != next->fields[f].digest)
				list[n++] = blank;
		} else if (readback != NULL && word) {
			list[n++] = (struct vdeviation){ (uint8_t)f, digest_field(readback->digests[f]), old->key };
		} else if (readback != NULL && (astray & BIT(f))) {
			list[n++] = (struct vdeviation){ (uint8_t)f, digest_field(readback->digests[f]), next->fields[f].key };
		} else if (readback != NULL) {
			uint32_t digest = digest_field(readback->digests[f]);

			if ((d->have & BIT(f)) ? readback->digests[f] == d->digests[f] : digest == next->fields[f].digest)
				continue;
			/* What was not written (its parent is not there yet) is not the target's own form of it; where it shows
			 * something else by now (the parent it has got another key), the next look finds that. */
			if (old != NULL && !(d->orders[e].fields & BIT(f)) &&
			    (old->digest == digest || !same_key(&old->key, &next->fields[f].key)))
				list[n++] = *old;
			else if (old == NULL && d->orders[e].action == ACTION_UPDATE && !(d->orders[e].fields & BIT(f)) &&
				 !fault("f09-a-second-field-is-a-form-of-its-own"))
				d->orders[e].edited |= BIT(f);
			else
				list[n++] = (struct vdeviation){ (uint8_t)f, digest, next->fields[f].key };
		} else if (old != NULL && !(d->orders[e].fields & BIT(f))) {
			list[n++] = *old;	/* a normalised field that was not written, or one whose value was out of reach */
		}
	}
	s->known = s->present = true;
	s->parked = s->uncertain = s->detached = s->former = false;
	s->n_intended = 0;
	s->id = id;
	s->same = n == 0;
	keep_deviations(s, list, n, arena);
	decide_keep_readback(policy, next, s, readback, arena);
	s->owed = owed;
	s->row = 0;
	if (n > 0 && readback != NULL && d->orders[e].edited == 0 && unclear == 0)
		s->row = digest_row(readback->row);
	for (size_t i = 0; i < n; i++)
		if (!((d->have | d->waits) & BIT(list[i].field)))
			s->owed = true;
}
