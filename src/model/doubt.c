#include "model/doubt.h"

#include <string.h>

#include "base/arena.h"
#include "base/fault.h"
#include "model/decide_work.h"

enum { INTENDED_MAX = 128 };	/* of one endpoint: the oldest go first */

static bool same_entry(const struct vdeviation *a, const struct vdeviation *b)
{
	return a->field == b->field && a->digest == b->digest && same_key(&a->key, &b->key);
}

void doubt_add(struct vector *next, size_t e, const struct order *o, const struct entity_def *def, const struct digest_key *key,
	       struct arena *arena)
{
	struct vseen *s = &next->seen[e];
	struct vdeviation list[INTENDED_MAX + FIELDS_MAX];
	size_t n = s->uncertain && o->action != ACTION_DELETE ? s->n_intended : 0;
	size_t skip = n > INTENDED_MAX ? n - INTENDED_MAX : 0, first, before;

	s->uncertain = true;
	s->n_intended = 0;
	if (o->action == ACTION_DELETE)
		return;
	n -= skip;		/* what the store gave back may be longer than what we ever put there */
	if (n > 0)
		memcpy(list, s->intended + skip, n * sizeof *list);
	before = n;
	for (size_t f = 0; f < next->n_fields; f++) {
		struct vdeviation x = { (uint8_t)f, next->fields[f].digest, next->fields[f].key };
		bool known = o->action == ACTION_UPDATE && !(o->fields & BIT(f));

		if (o->action == ACTION_INSERT && !(o->fields & BIT(f)))
			x = decide_left_blank(key, def, f);
		for (size_t i = 0; i < before && !known; i++)
			known = same_entry(&list[i], &x);
		if (!known)
			list[n++] = x;
	}
	first = n > INTENDED_MAX ? n - INTENDED_MAX : 0;
	s->n_intended = n - first;
	s->intended = arena_alloc(arena, (s->n_intended + 1) * sizeof *s->intended);
	memcpy(s->intended, list + first, s->n_intended * sizeof *s->intended);
}

/* The newest intention for that field; with a digest, the newest that has it. */
static const struct vdeviation *intention(const struct vseen *s, size_t f, const uint32_t *digest)
{
	for (size_t i = s->n_intended; i-- > 0;)
		if (s->intended[i].field == f && (digest == NULL || s->intended[i].digest == *digest))
			return &s->intended[i];
	return NULL;
}

uint32_t doubt_expects(const struct vector *v, size_t e, size_t f)
{
	const struct vseen *s = &v->seen[e];
	const struct vdeviation *x = s->uncertain && !s->present ? intention(s, f, NULL) : NULL;

	return x != NULL ? x->digest : shown_digest(v, e, f);
}

/* Fields that show what was intended in a form of that endpoint's own; or, of a record that was to be referred to, the key that it got since. */
static uint64_t forms(const struct vseen *s, const struct observation *now)
{
	return now->made | now->maybe | (s->present || fault("f13-a-row-in-doubt-follows-nobody") ? 0 : now->followed);
}

static const struct vdeviation *fitting(const struct vseen *s, size_t f, const struct observation *now)
{
	uint32_t digest = digest_field(now->digests[f]);

	return intention(s, f, forms(s, now) & BIT(f) ? NULL : &digest);
}

static bool shows_before(const struct vector *v, size_t e, size_t f, const struct observation *now)
{
	return v->seen[e].present && digest_field(now->digests[f]) == shown_digest(v, e, f);
}

struct look {			/* of the fields that were to be written, how many show */
	size_t fit, before, neither;
};

/* That a field is empty, as it was to be, tells nothing of whose insert it is; that all of them are, and none is another, does. */
static bool is_as_inserted(const struct look *l)
{
	return l->neither == 0 && !fault("f30-what-we-left-blank-was-emptied");
}

/* The key tells nothing of an insert: a row that somebody else inserted has the same. */
static struct look look_at(const struct vector *v, const struct entity_def *d, size_t e, const struct observation *now)
{
	const struct vseen *s = &v->seen[e];
	struct look l = { 0 };

	for (size_t f = 0; f < v->n_fields; f++) {
		if (intention(s, f, NULL) == NULL || (!s->present && d->fields[f].is_key))
			continue;
		if (shows_before(v, e, f, now))
			l.before += fitting(s, f, now) == NULL;
		else if (fitting(s, f, now) == NULL)
			l.neither++;
		else if (s->present || !value_is_null(now->values[f]))
			l.fit++;
	}
	return l;
}

/* It did not happen, as far as can be told; but it may have, and another field been put back since. What shows neither is guessed. */
static uint64_t guess_before(const struct vector *v, size_t e, const struct observation *now)
{
	uint64_t mask = 0;

	for (size_t f = 0; v->seen[e].present && f < v->n_fields; f++)
		if (intention(&v->seen[e], f, NULL) != NULL && fitting(&v->seen[e], f, now) == NULL && !shows_before(v, e, f, now))
			mask |= BIT(f);
	return mask;
}

/* What it was looked at for is in doubt, and this row is the one. */
static bool may_tell(const struct vseen *s, const struct observation *now)
{
	return s->uncertain && s->n_intended > 0 && now->what == OBSERVED_ROW && (!s->present || value_equal(s->id, now->id));
}

bool doubt_unclear(const struct vector *v, const struct entity_def *d, size_t e, size_t f, const struct observation *now, uint32_t *meant)
{
	const struct vseen *s = &v->seen[e];
	const struct vdeviation *x = may_tell(s, now) ? intention(s, f, NULL) : NULL;

	if (x == NULL || (!s->present && d->fields[f].is_key) || fitting(s, f, now) != NULL || shows_before(v, e, f, now))
		return false;
	*meant = x->digest;
	return true;
}

enum doubt_verdict doubt_resolve(const struct vector *v, const struct entity_def *d, size_t e, const struct observation *now,
				 struct arena *arena, struct vseen *shown, uint64_t *guessed, uint64_t *suspect)
{
	const struct vseen *s = &v->seen[e];
	struct vdeviation list[FIELDS_MAX];
	struct look l;
	bool news = false;
	size_t n = 0;

	*guessed = *suspect = 0;
	if (!may_tell(s, now) || fault("f30-what-we-wrote-ourselves-is-an-edit"))
		return DOUBT_NONE;
	l = look_at(v, d, e, now);
	if (l.fit == 0 && !(s->present ? l.before == 0 && l.neither > 0 : now->ours || is_as_inserted(&l))) {
		*guessed = guess_before(v, e, now);
		return DOUBT_BEFORE;
	}
	for (size_t f = 0; f < v->n_fields; f++) {
		const struct vdeviation *is = fitting(s, f, now), *before = s->same ? NULL : vseen_deviation(s, f);

		/* Where others fit: put back since, or the others were changed to what was intended. Known, either way. */
		if (is == NULL && !(l.before > 0 && shows_before(v, e, f, now)) && (is = intention(s, f, NULL)) != NULL) {
			*guessed |= BIT(f);
			news = true;
		} else if ((now->maybe & BIT(f)) || (intention(s, f, NULL) != NULL && !(now->made & BIT(f)) &&
						     (s->present ? l.before > 0 : l.neither > 0 && !now->ours))) {
			*suspect |= BIT(f);
		}
		if (is == NULL)
			is = before;
		if (is != NULL)
			list[n++] = *is;
		if (is != NULL && forms(s, now) & BIT(f))
			list[n - 1].digest = digest_field(now->digests[f]);
		news |= digest_field(now->digests[f]) != (is != NULL ? list[n - 1].digest : v->fields[f].digest);
	}
	*shown = (struct vseen){ .known = true, .present = true, .id = now->id, .row = news ? 0 : digest_row(now->row), .owed = s->owed };
	shown->n_deviations = n;
	shown->deviations = arena_alloc(arena, (n + 1) * sizeof *list);
	memcpy(shown->deviations, list, n * sizeof *list);
	return DOUBT_HAPPENED;
}

uint64_t doubt_left_blank(const struct vector *v, size_t e, const struct observation *now)
{
	const struct vseen *s = &v->seen[e];
	uint64_t mask = 0;

	for (size_t f = 0; s->uncertain && !s->present && f < v->n_fields; f++) {
		const struct vdeviation *is = value_is_null(now->values[f]) ? fitting(s, f, now) : NULL;

		if (is != NULL && is->key.origin == ORIGIN_NONE)
			mask |= BIT(f);
	}
	return fault("f30-what-we-left-blank-was-emptied") ? 0 : mask;
}
