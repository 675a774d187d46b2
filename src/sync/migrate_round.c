/*
 * migrate_round.c - what is different in a round of a migration: who has a say, what is known, where nothing is written.
 */
#include "model/decide.h"
#include "sync/migrate.h"
#include "sync/round.h"

/* ---- its rounds -------------------------------------------------------------------------------------- */

void migrate_join(struct round *r)
{
	r->migration = r->flow->migration;
	r->migration->open++;
	r->at_rest = r->flow->paused;
}

void migrate_taken(struct part *part, uint64_t cleaned, uint64_t rejected)
{
	part->sums.cleaned += (int64_t)cleaned;
	part->sums.rejected += (int64_t)rejected;
}

bool migrate_forbids(const struct round *r, size_t e)
{
	return r->at_rest && e != r->migration->to->endpoint;
}

bool migrate_looks_anew(const struct round *r)
{
	return r->part != NULL && r->migration->phase == MIGRATE_SOURCE && r->migration->strategy != MIGRATE_INCREMENTAL;
}

/* It writes over nothing, and nothing of it can be taken back: it must not wait for a disk. */
bool migrate_is_first_load(const struct round *r)
{
	return r->part != NULL && r->migration->was_empty;
}

bool migrate_shows_past(const struct round *r, const struct subject *s)
{
	size_t e = r->migration != NULL ? r->migration->from->endpoint : 0;

	return r->part != NULL && r->part->past && s->base != NULL && (s->base->dead || s->base->seen[e].known) &&
	       !vector_shows(s->base, e, &s->seen[e]);
}

/* ---- onto replace: the target has no say ------------------------------------------------------------- */

static bool replaces(const struct round *r)
{
	return r->migration != NULL && r->migration->onto == ONTO_REPLACE;
}

/* But while it is listed: what it has is to be known afterwards, also where its role is `target`. */
void migrate_shape(const struct round *r, struct decide_endpoint *ends)
{
	if (replaces(r))
		ends[r->migration->to->endpoint].votes = r->migration->phase == MIGRATE_TARGET;
}

static bool is_nowhere_but_at(const struct vector *v, size_t e)
{
	for (size_t o = 0; o < v->n_endpoints; o++)
		if (o != e && (v->seen[o].present || v->seen[o].uncertain))
			return false;
	return true;
}

bool migrate_is_extra(const struct sync_migration *m, const struct vector *v)
{
	return !v->dead && v->seen[m->to->endpoint].present && is_nowhere_but_at(v, m->to->endpoint);
}

/* ---- what is known of a record ----------------------------------------------------------------------- */

/* Its row was deleted by somebody, or the table was emptied: by this order it comes back. */
static bool comes_back(const struct round *r, const struct subject *s)
{
	size_t e = r->migration->to->endpoint;

	return ((r->migration->was_empty && r->migration->onto == ONTO_EMPTY) || r->migration->onto == ONTO_REPLACE) && s->base->seen[e].present &&
		s->seen[e].what == OBSERVED_ABSENT && !s->seen[e].outside;
}

const struct vector *migrate_base_of(struct round *r, const struct subject *s, const struct vector *base)
{
	struct vector *told;
	size_t e;

	if (r->part == NULL || r->migration->phase != MIGRATE_SOURCE || base == NULL || base->dead ||
	    s->seen[r->migration->from->endpoint].what != OBSERVED_ROW)
		return base;
	e = r->migration->to->endpoint;
	if (replaces(r) && is_nowhere_but_at(base, e))
		return NULL;		/* what was agreed there alone was nobody's but the target's */
	if (!comes_back(r, s))
		return base;
	told = vector_copy(&r->arena, base);
	told->seen[e] = (struct vseen){ .known = true, .owed = true };
	return told;
}

void migrate_impose(struct round *r, struct subject *s, struct decide_policy *p)
{
	static const struct imposition end = { .what = IMPOSE_END };

	if (r->part == NULL || r->migration->phase != MIGRATE_EXTRA || s->base == NULL || !migrate_is_extra(r->migration, s->base))
		return;
	if (s->seen[r->migration->to->endpoint].what == OBSERVED_ROW)
		p->imposed = &end;
}

/* ---- what was written -------------------------------------------------------------------------------- */

static struct sync_migrate_sums *sums_of(const struct round *r)
{
	return r->part != NULL ? &r->part->sums : &r->migration->sums;
}

void migrate_note_written(const struct round *r, size_t e, size_t bytes, int64_t us)
{
	if (r->migration == NULL || e != r->migration->to->endpoint)
		return;
	sums_of(r)->written += (int64_t)bytes;
	sums_of(r)->waited_us += us;
}

void migrate_note_done(const struct round *r, size_t e, enum action action)
{
	if (r->migration == NULL || e != r->migration->to->endpoint)
		return;
	sums_of(r)->inserted += action == ACTION_INSERT;
	sums_of(r)->updated += action == ACTION_UPDATE;
	sums_of(r)->deleted += action == ACTION_DELETE;
}
