/*
 * migrate_round.c - what is different in a round of a migration: who has a say, what is known, where nothing is written.
 */
#include "base/fault.h"
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

void migrate_taken(struct part *part, uint64_t cleaned, uint64_t untaken, int64_t foreign)
{
	part->sums.rows -= foreign;
	part->sums.cleaned += (int64_t)cleaned;
	part->untaken += (int64_t)untaken;
}

bool migrate_forbids(const struct round *r, size_t e)
{
	return r->at_rest && e != r->migration->to->endpoint;
}

bool migrate_looks_anew(const struct round *r)
{
	const struct sync_migration *m = r->migration;

	return r->part != NULL && m->phase != MIGRATE_TARGET && (m->strategy != MIGRATE_INCREMENTAL || m->onto == ONTO_REPLACE);
}

/* It writes over nothing, and nothing of it can be taken back: it must not wait for a disk. */
bool migrate_is_first_load(const struct round *r)
{
	return r->part != NULL && r->migration->was_empty && r->migration->phase != MIGRATE_EXTRA;
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

/* With a row of the source, which stands. */
static bool is_replacing(const struct round *r)
{
	return replaces(r) && r->part != NULL && r->migration->phase == MIGRATE_SOURCE;
}

bool migrate_meets_strangers(const struct round *r, size_t e)
{
	return is_replacing(r) && e == r->migration->to->endpoint && !r->migration->was_empty;
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

/* As they show it now; who cannot be asked may have it, and a row outside of its `where` may be it. */
static bool is_extra(const struct round *r, const struct subject *s)
{
	const struct sync_migration *m = r->migration;

	for (size_t e = 0; e < r->flow->sync->topology->n_endpoints; e++) {
		const struct observation *o = &s->seen[e];
		bool is_known = s->base != NULL && (s->base->seen[e].present || s->base->seen[e].uncertain);

		if (e == m->to->endpoint || r->flow->sides[e] == NULL)
			continue;
		if (o->what == OBSERVED_ROW || o->outside || (o->what == OBSERVED_NOTHING && (is_known || e == m->from->endpoint)))
			return false;
	}
	return s->seen[m->to->endpoint].what == OBSERVED_ROW;
}

bool migrate_spares(const struct round *r, const struct subject *s)
{
	return r->part != NULL && r->migration->phase == MIGRATE_EXTRA && !is_extra(r, s);
}

static const struct imposition *as_the_source_shows(struct round *r, uint64_t fields)
{
	struct imposition *i = arena_zalloc(&r->arena, sizeof *i);

	*i = (struct imposition){ .what = IMPOSE_SIDE, .side = r->migration->from->endpoint, .fields = fields };
	return i;
}

void migrate_impose(struct round *r, const struct subject *s, struct decide_policy *p)
{
	if (r->part != NULL && r->migration->phase == MIGRATE_EXTRA && is_extra(r, s))
		p->imposed = as_the_source_shows(r, 0);		/* that is nothing */
}

/* Neither of the two between which the order is. */
static bool is_of_others(const struct round *r, const struct edit_key *key)
{
	const struct sync_migration *m = r->migration;

	return key->origin < r->flow->sync->topology->n_endpoints && key->origin != m->from->endpoint && key->origin != m->to->endpoint;
}

static uint64_t overruled_fields(const struct round *r, const struct subject *s)
{
	const struct observation *shown = &s->seen[r->migration->from->endpoint];
	const struct vector *next = s->d.next;
	uint64_t mask = 0;

	for (size_t f = 0; f < next->n_fields; f++)
		if ((next->dead || (s->d.waits & BIT(f)) || next->fields[f].digest != digest_field(shown->digests[f])) &&
		    !is_of_others(r, next->dead ? &next->deleted : &next->fields[f].key))
			mask |= BIT(f);
	return mask;
}

bool migrate_overrules(struct round *r, const struct subject *s, struct decide_policy *p)
{
	uint64_t fields;

	if (!is_replacing(r) || s->seen[r->migration->from->endpoint].what != OBSERVED_ROW)
		return false;
	fields = overruled_fields(r, s);
	if (fields != 0)
		p->imposed = as_the_source_shows(r, fields);
	return fields != 0;
}

/* ---- what was written -------------------------------------------------------------------------------- */

void migrate_note_written(struct round *r, size_t e, size_t bytes, int64_t us)
{
	if (r->migration == NULL || e != r->migration->to->endpoint)
		return;
	r->brought.written += (int64_t)bytes;
	r->brought.waited_us += us;
}

void migrate_note_done(struct round *r, size_t e, enum action action)
{
	if (r->migration == NULL || e != r->migration->to->endpoint)
		return;
	r->brought.inserted += action == ACTION_INSERT;
	r->brought.updated += action == ACTION_UPDATE;
	r->brought.deleted += action == ACTION_DELETE;
}

static bool was_intended(const struct vseen *seen, size_t f)
{
	for (size_t i = 0; i < seen->n_intended; i++)
		if (seen->intended[i].field == f)
			return true;
	return false;
}

/* As they are there by now: what was sent nobody knows any more. A reference was sent as a local id. */
static int64_t bytes_intended(const struct round *r, const struct subject *s, size_t e)
{
	const struct observation *o = &s->seen[e];
	int64_t bytes = 0;

	for (size_t f = 0; f < r->flow->def->n_fields; f++) {
		struct value v = r->flow->def->fields[f].type == FIELD_REFERENCE && o->points_to != NULL ? o->points_to[f] : o->values[f];

		bytes += was_intended(&s->base->seen[e], f) && v.len > 0 ? v.len : 0;
	}
	return bytes;
}

/* A write that was in doubt has been carried out, and nobody has counted it. */
static void note_happened(struct round *r, const struct subject *s)
{
	size_t e = r->migration->to->endpoint;

	if (!is_live(s) || !s->decided || !(s->d.happened & BIT(e)) || fault("f29-what-was-in-doubt-was-never-written"))
		return;
	if (s->seen[e].what != OBSERVED_ROW) {
		r->brought.deleted++;
		return;
	}
	r->brought.inserted += !s->base->seen[e].present;
	r->brought.updated += s->base->seen[e].present;
	r->brought.written += bytes_intended(r, s, e);
}

bool migrate_count_brought(struct round *r)
{
	struct sync_migrate_sums *sums, *more = &r->brought;

	if (r->migration == NULL)
		return true;
	for (size_t i = 0; i < r->n; i++)
		note_happened(r, &r->subjects[i]);
	r->counting = more->inserted + more->updated + more->deleted + more->written + more->waited_us > 0;
	sums = &r->migration->sums;
	sums->written += more->written;
	sums->inserted += more->inserted;
	sums->updated += more->updated;
	sums->deleted += more->deleted;
	sums->waited_us += more->waited_us;
	*more = (struct sync_migrate_sums){ .rows = 0 };
	return !r->migration->unsure;
}

char *migrate_mark_brought(struct round *r, char name[200])
{
	if (!r->counting || !migrate_counts(r->migration) || fault("f29-sums-are-kept-by-and-by"))
		return NULL;
	migrate_name_mark(r->migration, name);
	return migrate_mark_text(r->migration);
}
