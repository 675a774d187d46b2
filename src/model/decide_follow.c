/*
 * decide_follow.c - references whose record has got another key.
 *
 * Canonically a reference is the key of the record that it means. When that gets another key, every row that points to it shows another
 * value, at each endpoint from the moment on when the new key is there: nobody has edited it. So before anything is
 * compared the base is told what such a row shows, under the edit that it showed before. The others show the same edit by the key of
 * before: who deletes there has seen it. They are owed the new key all the same. Where that is not written yet, or never will be, the reference is right
 * and writing it changes nothing; but the row that it points to may become another record's, and then it has to move.
 *
 * A row that was moved to the record that has the former key by now shows what it showed before, and was edited all the same: it is left to
 * differ from what is agreed.
 *
 * Of some nobody can tell yet whether they show that or an edit. They count as what they showed: whatever else is edited in that row is news all the
 * same, and goes where it belongs; but they are not written, nor does their row hold what is agreed.
 *
 * So it is with a field that is cleaned in another way now. What that made one value of may be two from then on: then the new form at one side is
 * agreed, and the others, which show another one by the key of before, are owed it.
 *
 * A row may also show the agreed record by a key in a form of that endpoint's own (sync/round_meant.c). That is as quiet as any other such form.
 */
#include "model/decide_work.h"

#include <string.h>

#include "base/arena.h"

/* That field of it deviates so from now on; or not at all any more, where that is what is agreed. */
static void show(struct work *w, struct vector *told, size_t e, const struct vdeviation *dev)
{
	struct vseen *s = &told->seen[e];
	const struct vfield *agreed = &told->fields[dev->field];
	struct vdeviation *list = arena_alloc(w->arena, (s->n_deviations + 1) * sizeof *list);
	size_t n = 0;

	for (size_t i = 0; !s->same && i < s->n_deviations; i++)
		if (s->deviations[i].field != dev->field)
			list[n++] = s->deviations[i];
	if (dev->digest != agreed->digest || !same_key(&dev->key, &agreed->key))
		list[n++] = *dev;
	s->same = n == 0;
	s->deviations = list;
	s->n_deviations = n;
}

/* What is agreed goes by another key; whoever showed it shows it by the key of before. */
static void agree(struct work *w, struct vector *told, size_t f, uint32_t digest)
{
	struct vdeviation before = { (uint8_t)f, told->fields[f].digest, told->fields[f].key };

	told->fields[f].digest = w->out->next->fields[f].digest = digest;
	for (size_t e = 0; e < told->n_seen; e++) {
		struct vseen *s = &told->seen[e];

		if (!s->present || (!s->same && vseen_deviation(s, f) != NULL))
			continue;
		if (s->same)
			s->row = told->row;
		show(w, told, e, &before);
		s->owed = w->out->next->seen[e].owed = true;
	}
	told->row = w->out->next->row = 0;	/* nobody has seen it whole yet */
}

static void follow(struct work *w, struct vector *told, size_t e, size_t f)
{
	const struct vdeviation *dev = told->seen[e].same ? NULL : vseen_deviation(&told->seen[e], f);
	struct vdeviation now = { (uint8_t)f, digest_field(w->seen[e].digests[f]), dev != NULL ? dev->key : told->fields[f].key };

	if (dev == NULL)
		agree(w, told, f, now.digest);
	show(w, told, e, &now);
	told->seen[e].row = 0;
}

/* What is agreed, by the key that its row has there. */
static void keep_form(struct work *w, struct vector *told, size_t e, size_t f)
{
	show(w, told, e, &(struct vdeviation){ (uint8_t)f, digest_field(w->seen[e].digests[f]), told->fields[f].key });
	told->seen[e].row = 0;
}

/* As if it had shown what is agreed. */
static void leave(struct work *w, struct vector *told, size_t e, size_t f)
{
	show(w, told, e, &(struct vdeviation){ (uint8_t)f, told->fields[f].digest, told->fields[f].key });
	told->seen[e].row = 0;
}

/* row: 0 where the rest is another one as well. */
static void leave_out(struct work *w, size_t e, struct observation *o)
{
	uint64_t *digests = arena_alloc(w->arena, w->base->n_fields * sizeof *digests);
	bool same = true;

	for (size_t f = 0; f < w->base->n_fields; f++) {
		digests[f] = o->unclear & BIT(f) ? shown_digest(w->base, e, f) : o->digests[f];
		same &= digest_field(digests[f]) == shown_digest(w->base, e, f);
	}
	o->digests = digests;
	o->row = same ? shown_row(w->base, e) : 0;
	o->followed &= ~o->unclear;
	o->own_forms &= ~o->unclear;
	o->moved &= ~o->unclear;
}

static bool is_any_manual(const struct work *w, uint64_t mask)
{
	for (; mask != 0; mask &= mask - 1)
		if (w->entity->fields[__builtin_ctzll(mask)].rule == RULE_MANUAL)
			return true;
	return false;
}

/* What a write in doubt has done is told from the row as a whole; and to a person who decides it would pass for what the row says. */
static bool hides_row(const struct work *w, size_t e)
{
	return !base_knows(w, e) || w->base->seen[e].uncertain || is_any_manual(w, w->seen[e].unclear) ||
	       fault("f13-what-is-unclear-hides-its-row");
}

void decide_leave_unclear(struct work *w)
{
	struct observation *seen = NULL;

	for (size_t e = 0; e < w->policy->n_endpoints; e++) {
		if (w->seen[e].what != OBSERVED_ROW || w->seen[e].unclear == 0)
			continue;
		if (seen == NULL) {
			seen = arena_alloc(w->arena, w->policy->n_endpoints * sizeof *seen);
			memcpy(seen, w->seen, w->policy->n_endpoints * sizeof *seen);
			w->seen = seen;
		}
		if (hides_row(w, e))
			seen[e] = (struct observation){ .what = OBSERVED_NOTHING, .stamp = STAMP_NONE };
		else
			leave_out(w, e, &seen[e]);
	}
}

/* Not where a write in doubt has told already what the row shows: it was followed from what the vector knew before that (w->out->next yet). */
static bool is_to_follow(const struct work *w, size_t e, size_t f)
{
	if (w->edits[e].doubt != DOUBT_HAPPENED)
		return true;
	return w->out->next->seen[e].present && shown_digest(w->base, e, f) == shown_digest(w->out->next, e, f) &&
	       shown_digest(w->base, e, f) != digest_field(w->seen[e].digests[f]) && !fault("f13-a-row-in-doubt-follows-nobody");
}

void decide_follow(struct work *w)
{
	struct vector *told = NULL;

	for (size_t e = 0; w->base != NULL && e < w->policy->n_endpoints; e++) {
		const struct observation *o = &w->seen[e];

		if (o->what != OBSERVED_ROW || o->followed == 0 || !w->base->seen[e].present)
			continue;
		if (told == NULL)
			told = vector_copy(w->arena, w->base);
		for (uint64_t rest = o->followed; rest != 0; rest &= rest - 1)
			if (is_to_follow(w, e, (size_t)__builtin_ctzll(rest)))
				follow(w, told, e, (size_t)__builtin_ctzll(rest));
	}
	for (size_t e = 0; w->base != NULL && e < w->policy->n_endpoints; e++) {
		const struct observation *o = &w->seen[e];

		if (o->what != OBSERVED_ROW || (o->moved | o->own_forms) == 0 || !w->base->seen[e].present)
			continue;
		if (told == NULL)
			told = vector_copy(w->arena, w->base);
		for (uint64_t rest = o->own_forms; rest != 0; rest &= rest - 1)
			keep_form(w, told, e, (size_t)__builtin_ctzll(rest));
		for (uint64_t rest = o->moved; rest != 0; rest &= rest - 1)
			leave(w, told, e, (size_t)__builtin_ctzll(rest));
	}
	if (told != NULL)
		w->base = told;
}
