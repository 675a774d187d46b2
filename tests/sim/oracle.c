/*
 * oracle.c - who may win, told from the history alone. Shares no code with the merge.
 *
 * An edit made on top of another one always beats it. Between concurrent edits the effective stamps decide
 * (or the depth and the priority), and of each stamp the oracle only knows an interval: what the daemon was told while it
 * might still have been making up its mind (SEMANTICS 9.5.2). Within that uncertainty either may win; nothing else may.
 * Under max and min only values decide: no edit that nobody replaced may be greater (less) than what stands. Under mirror and newest-filled
 * some edits are put back, on top of whatever they were made. Under add nobody wins: what stands is what the record began with and the
 * differences of all edits.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "endpoint/endpoint.h"

#define FOREVER (INT64_MAX / 4)
#define ROUNDING 2		/* offsets cross the seam as a floating point number of seconds */

/* ---- the oracle: intervals ----------------------------------------------------------------------------------- */

/* The precision of an endpoint counts once it is connected: before, stamps may be finer. So only lower bounds are floored. */
static int64_t floor_quantum(const struct world *w, int64_t t)
{
	return t - t % w->plan.quantum_us;
}

/* Inserted here and elsewhere: when the daemon was interrupted it may take this row for the one that it was about to insert. */
static bool inserted_twice(const struct world *w, const struct edit *e)
{
	const struct plan *p = &w->plan;

	if (e->parent != 0 || e->initial || !(p->crashes || p->outages || p->store_outages || p->lost_replies))
		return false;
	for (size_t i = 1; i < w->n_edits; i++)
		if (w->edits[i].record == e->record && w->edits[i].endpoint != e->endpoint)
			return true;
	return false;
}

static bool is_doubtful(const struct world *w, const struct edit *e)
{
	return e->row_doubtful || inserted_twice(w, e);
}

static bool parent_sure(const struct world *w, const struct edit *e)
{
	const struct edit *p = &w->edits[e->parent];

	return e->parent != 0 && (e->parent_brought ? !e->row_doubtful :
		!p->shared && p->settled_us != 0 && p->settled_us <= e->commit_us);
}

static bool parent_told_apart(const struct world *w, const struct edit *e)
{
	const struct edit *p = &w->edits[e->parent];

	return e->parent_brought || (p->told_us != 0 && (e->told_us == 0 || p->told_us < e->told_us));
}

static int64_t own_low(const struct world *w, const struct edit *e)
{
	int64_t low = e->told_low, commit = world_wall(w, e->commit_us);

	if (e->told_unknown || low == INT64_MAX) {	/* without a stamp it counts from when it was seen */
		if (e->parent == 0 || e->no_base || e->row_doubtful)
			return 0;
		low = low < commit ? low : commit;
	}
	if (low > commit + w->topology->limits.max_ahead_us)
		low = commit + w->topology->limits.max_ahead_us;
	return floor_quantum(w, low - ROUNDING);
}

static int64_t own_high(const struct world *w, const struct edit *e)
{
	int64_t high = e->told_high;

	if (e->told_us == 0)
		return FOREVER;
	if (e->told_unknown || high == INT64_MIN)
		high = e->settled_us != 0 ? world_wall(w, e->settled_us) : FOREVER;
	if (e->told_high > high)
		high = e->told_high;
	return high + ROUNDING;
}

static bool is_together(const struct edit *e, uint32_t id)
{
	for (size_t i = 0; i < e->n_together; i++)
		if (e->together[i] == id)
			return true;
	return false;
}

static void work_out(struct world *w, struct edit *e);

/* One observation has one stamp: what was seen together may have been lifted together. */
static int64_t high_of(struct world *w, struct edit *e)
{
	uint32_t self = (uint32_t)(e - w->edits);
	int64_t high = own_high(w, e);

	for (size_t i = 0; i <= e->n_together; i++) {
		uint32_t id = i < e->n_together ? e->together[i] : self;
		struct edit *g = &w->edits[id];
		int64_t h = own_high(w, g);

		if (h > high)
			high = h;
		if (g->parent == 0 || g->parent == self || is_together(e, g->parent))
			continue;
		work_out(w, &w->edits[g->parent]);
		h = w->edits[g->parent].high >= FOREVER ? FOREVER : w->edits[g->parent].high + w->plan.quantum_us;
		if (h > high)
			high = h;
	}
	return high >= FOREVER ? FOREVER : high + (int64_t)e->n_together * w->plan.quantum_us;
}

/* How many edits lie beneath it. By the line of parents only: edits seen together refer to each other. */
static void work_out_depth(const struct world *w, struct edit *e)
{
	struct edit *p = &w->edits[e->parent];

	if (e->n_low != 0)
		return;
	e->n_low = e->n_high = 1;
	if (e->parent != 0) {
		work_out_depth(w, p);
		e->n_low = e->no_base || e->row_doubtful ? 1 : p->n_low + (parent_sure(w, e) ? 1 : 0);
		e->n_high = p->n_high >= FOREVER ? FOREVER : p->n_high + (parent_told_apart(w, e) ? 1 : 0);
	}
	if (is_doubtful(w, e))		/* it may pass for an edit made on top of a write that never happened */
		e->n_high = FOREVER;
}

static void work_out(struct world *w, struct edit *e)
{
	if (e->mark != 0)
		return;
	e->mark = 1;
	e->low = own_low(w, e);
	e->high = own_high(w, e);
	work_out_depth(w, e);
	if (e->parent != 0) {
		struct edit *p = &w->edits[e->parent];

		work_out(w, p);
		if (parent_sure(w, e) && p->low + 1 > e->low)
			e->low = p->low + 1;
	}
	e->high = is_doubtful(w, e) ? FOREVER : high_of(w, e);
	e->mark = 2;
}

/* The first of the unit's fields; all of them have its rule. */
static const struct field_def *first_of_unit(const struct world *w, size_t entity, size_t unit)
{
	size_t f = 0;

	while (!(w->unit_fields[entity][unit] & UINT32_C(1) << f))
		f++;
	return &w->topology->entities[entity].def.fields[f];
}

static const struct field_def *field_of(const struct world *w, const struct edit *e)
{
	return first_of_unit(w, w->records[e->record].entity, e->unit);
}

bool oracle_adds(const struct world *w, size_t entity, size_t unit)
{
	return first_of_unit(w, entity, unit)->rule == RULE_ADD;
}

bool oracle_by_value(const struct world *w, const struct edit *e)
{
	return field_of(w, e)->rule == RULE_MAX || field_of(w, e)->rule == RULE_MIN;
}

bool oracle_waits(const struct world *w, const struct edit *e)
{
	return field_of(w, e)->rule == RULE_MANUAL;
}

bool oracle_ruled(const struct world *w, const struct edit *e)
{
	return field_of(w, e)->rule != RULE_LAST_WRITER_WINS;
}

/* Order of two single values; NULL comes before all. */
static int compare_values(const struct field_def *f, const char *a, const char *b)
{
	bool null_a = strcmp(a, "\\N") == 0, null_b = strcmp(b, "\\N") == 0;

	if (null_a || null_b)
		return (int)null_b - (int)null_a;
	if (f->type == FIELD_INTEGER)
		return (atoll(a) > atoll(b)) - (atoll(a) < atoll(b));
	return strcmp(a, b);
}

static bool value_may_win(const struct world *w, const struct edit *a, const struct edit *b)
{
	int order = compare_values(field_of(w, a), a->tuple, b->tuple);

	if (strcmp(a->tuple, "\\N") == 0 || strcmp(b->tuple, "\\N") == 0 || field_of(w, a)->rule == RULE_MAX)
		return order >= 0;
	return order <= 0;
}

/* Rule newest-filled, which is for single fields: NULL or an empty text. */
bool oracle_is_blank(const struct world *w, const struct edit *e)
{
	return field_of(w, e)->rule == RULE_NEWEST_FILLED && (strcmp(e->tuple, "\\N") == 0 || e->tuple[0] == '\0');
}

static bool is_mirrored(const struct world *w, const struct edit *e)
{
	return w->topology->entities[w->records[e->record].entity].def.rank[e->endpoint] == 0;
}

/* Whenever the two were made: a value against a blank, the mirrored endpoint's own against anybody else's. */
bool oracle_outranks(const struct world *w, const struct edit *a, const struct edit *b)
{
	if (field_of(w, a)->rule == RULE_MIRROR)
		return !a->shared && !b->shared && is_mirrored(w, a) && !is_mirrored(w, b);
	return field_of(w, a)->rule == RULE_NEWEST_FILLED && !oracle_is_blank(w, a) && oracle_is_blank(w, b);
}

bool oracle_may_win(struct world *w, const struct edit *a, const struct edit *b)
{
	const struct entity_def *d = &w->topology->entities[w->records[a->record].entity].def;
	bool first = d->rank[a->endpoint] < d->rank[b->endpoint];

	work_out(w, &w->edits[a - w->edits]);
	work_out(w, &w->edits[b - w->edits]);
	/* What several endpoints began with may count as any one's. */
	first |= a->shared || b->shared || a->endpoint == b->endpoint;
	if (oracle_by_value(w, a))
		return value_may_win(w, a, b);
	if (oracle_waits(w, a))	/* whatever the operator said */
		return true;
	if (field_of(w, a)->rule == RULE_MIRROR && (a->shared || b->shared))
		return true;
	if (oracle_outranks(w, a, b) || oracle_outranks(w, b, a))
		return oracle_outranks(w, a, b);
	if (field_of(w, a)->rule == RULE_SOURCE_PRIORITY) {
		if (a->n_high != b->n_low)
			return a->n_high > b->n_low;
		return first;
	}
	return a->high > b->low || (a->high == b->low && first);
}

/* ---- what was replaced ------------------------------------------------------------------------------------------ */

/* Made on top of it, or of the same value written elsewhere, itself or by way of others. */
static bool is_on_top(const struct world *w, const struct edit *m, const struct edit *e)
{
	for (uint32_t p = m->parent; p != 0; p = w->edits[p].parent)
		if (&w->edits[p] == e || strcmp(w->edits[p].tuple, e->tuple) == 0)
			return true;
	return false;
}

/* The daemon had digested it while it stood there, and does not only know what was put in its place. */
static bool was_seen(const struct world *w, const struct edit *m)
{
	for (size_t i = 1; m->settled_us != 0 && i < w->n_edits; i++)
		if (w->edits[i].parent == (uint32_t)(m - w->edits) && w->edits[i].row == m->row && w->edits[i].endpoint == m->endpoint &&
		    w->edits[i].commit_us <= m->settled_us)
			return false;
	return m->settled_us != 0;
}

static bool is_of_rank(const struct world *w, const struct edit *e)
{
	return !e->is_delete && (field_of(w, e)->rule == RULE_MIRROR || field_of(w, e)->rule == RULE_NEWEST_FILLED);
}

/* `sure`: it did, and the daemon could know that; else it may have. */
static bool replaced(const struct world *w, const struct edit *m, const struct edit *e, bool sure)
{
	if (m == e || m->is_delete || m->unit != e->unit || w->records[m->record].lineage != w->records[e->record].lineage || !is_on_top(w, m, e))
		return false;
	if (sure)	/* of what nobody shows any more the best of what is left takes the place: that may be e */
		return !oracle_outranks(w, e, m) && !is_doubtful(w, m) && was_seen(w, m) && !m->vanished;
	/* What was gone before the daemon had it cannot be put back. */
	return !oracle_outranks(w, e, m) || is_doubtful(w, m) || e->settled_us == 0 || e->settled_us > m->commit_us;
}

static bool replaced_by_any(const struct world *w, const struct edit *e, bool sure)
{
	for (size_t i = 1; i < w->n_edits; i++)
		if (replaced(w, &w->edits[i], e, sure))
			return true;
	return false;
}

/* Something was made on top of it that may stand there. */
bool oracle_covered(const struct world *w, const struct edit *e)
{
	if (!e->covered || e->vanished || !is_of_rank(w, e) || plan_loses_state(&w->plan) || w->records[e->record].complex)
		return e->covered;
	return replaced_by_any(w, e, false);
}

/* And the daemon could know that. What several began with is the mirrored endpoint's own, if that was among them. */
bool oracle_surely_covered(const struct world *w, const struct edit *f)
{
	for (size_t i = 1; f->covered && i < w->n_edits; i++) {
		const struct edit *m = &w->edits[i];

		if (m->parent == (uint32_t)(f - w->edits) && is_doubtful(w, m))
			return false;
	}
	if (f->covered && is_of_rank(w, f))
		return !(f->shared && field_of(w, f)->rule == RULE_MIRROR) && replaced_by_any(w, f, true);
	return f->covered;
}
