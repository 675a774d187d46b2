/*
 * check.c - the oracle and the checkers C1 to C5. Shares no code with the merge: it works from the history alone.
 *
 * Who may win: an edit made on top of another one always beats it. Between concurrent edits the effective stamps decide
 * (or the depth and the priority), and of each stamp the oracle only knows an interval: what the daemon was told while it
 * might still have been making up its mind (SEMANTICS 9.5.2). Within that uncertainty either may win; nothing else may.
 * Under max and min only values decide: no edit that nobody replaced may be greater (less) than what stands. Under add nobody wins:
 * what stands is what the record began with and the differences of all edits.
 */
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "model/record.h"
#include "model/vector.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "endpoint/endpoint.h"
#include "journal/journal.h"

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
	if (field_of(w, a)->rule == RULE_SOURCE_PRIORITY) {
		if (a->n_high != b->n_low)
			return a->n_high > b->n_low;
		return first;
	}
	return a->high > b->low || (a->high == b->low && first);
}

/* ---- what stands at the end ------------------------------------------------------------------------------------- */

struct final {
	const struct db_row *rows[SIM_ENDPOINTS];	/* NULL: not there */
	bool equal, alive;
	bool parked;					/* somewhere, and the journal says so */
};

struct parked_scan {
	struct world *world;
	struct final *finals;	/* by record */
};

static char *printed_key(const struct world *w, const struct sim_record *r)
{
	const struct entity_def *d = &w->topology->entities[r->entity].def;
	struct value parts[KEY_FIELDS_MAX];
	char *copy = xstrdup(r->key), *save = NULL, *p = copy;
	struct buf b = { 0 };
	struct arena a;

	arena_init(&a);
	for (size_t k = 0; k < d->n_key; k++, p = NULL)
		parts[k] = value_of(strtok_r(p, "\x1f", &save));
	record_key_print(&b, record_key_encode(parts, d->n_key, &a), d->n_key);
	arena_fini(&a);
	free(copy);
	return buf_take(&b);
}

static bool on_parked(void *arg, const struct journal_parked *p)
{
	struct parked_scan *s = arg;
	struct world *w = s->world;

	world_trace(w, "parked: %s at %s key '%s' id '%s' %s %s: %s", p->entity, p->endpoint, p->key, p->local_id,
		    p->capture ? "capture" : "write", p->code, p->cause);
	w->sometimes->parked++;
	for (size_t i = 0; i < w->n_records; i++) {
		struct sim_record *r = &w->records[i];
		bool named = strcmp(w->topology->entities[r->entity].def.name, p->entity) == 0;
		char *key;

		if (!named)
			continue;
		key = printed_key(w, r);
		named = strcmp(key, p->key) == 0;
		free(key);
		for (size_t e = 0; e < w->plan.n_endpoints && !named; e++)
			named = strcmp(w->dbs[e].name, p->endpoint) == 0 && s->finals[i].rows[e] != NULL &&
				s->finals[i].rows[e]->id == atoll(p->local_id);
		for (size_t j = 0; named && j < w->n_records; j++)
			if (w->records[j].lineage == r->lineage)
				s->finals[j].parked = true;
	}
	return true;
}

static void final_of(const struct world *w, uint32_t record, struct final *out)
{
	const struct sim_record *r = &w->records[record];
	char *first = NULL;
	size_t there = 0;

	out->equal = true;
	for (size_t e = 0; e < w->plan.n_endpoints; e++) {
		char *row;

		out->rows[e] = db_row_by_key(&w->dbs[e], r->entity, r->key);
		if (out->rows[e] == NULL)
			continue;
		there++;
		row = db_canonical_row(&w->dbs[e], out->rows[e], r->entity);
		if (first == NULL) {
			first = row;
			continue;
		}
		out->equal &= strcmp(first, row) == 0;
		free(row);
	}
	free(first);
	out->alive = there > 0;
	out->equal &= there == 0 || there == w->plan.n_endpoints;
}

/* A parked parent keeps its children waiting: they count as parked with it. */
static void park_children(struct world *w, struct final *finals)
{
	for (size_t i = 0; i < w->n_records; i++) {
		const struct entity_def *d = &w->topology->entities[w->records[i].entity].def;

		for (size_t e = 0; e < w->plan.n_endpoints; e++)
			for (size_t f = 0; finals[i].rows[e] != NULL && f < d->n_fields; f++) {
				const struct db_row *parent;

				if (d->fields[f].type != FIELD_REFERENCE || finals[i].rows[e]->text[f] == NULL)
					continue;
				parent = db_row_by_id(&w->dbs[e], d->fields[f].refers->index, atoll(finals[i].rows[e]->text[f]));
				finals[i].parked |= parent != NULL && finals[parent->record].parked;
			}
	}
}

/* ---- the journal ---------------------------------------------------------------------------------------------------- */

struct note {				/* one side of a decision */
	const char *entity, *endpoint;
	char *key, *value;		/* value NULL: NULL, or not at hand: then the digest names it */
	uint32_t digest;
	bool deleted, about_delete;
};
struct notes {
	struct world *world;
	struct note *list;
	size_t n;
};

static bool on_decision(void *arg, const struct journal_decision *d)
{
	struct notes *all = arg;

	if (d->n_sides >= 2)
		world_trace(all->world, "decision: %s/%s.%s %s by %s: %s <%s> %" PRId64 " won against %s <%s> %" PRId64 "%s", d->entity,
			    d->key, d->field, d->kind, d->tie_break, d->sides[0].endpoint,
			    d->sides[0].value != NULL ? d->sides[0].value : "", d->sides[0].stamp_us, d->sides[1].endpoint,
			    d->sides[1].value != NULL ? d->sides[1].value : "", d->sides[1].stamp_us,
			    d->sides[1].deleted ? " (delete)" : "");
	for (size_t i = 0; i < d->n_sides; i++) {
		if (!d->sides[i].competed)
			continue;
		all->list = xrealloc(all->list, (all->n + 1) * sizeof *all->list);
		all->list[all->n++] = (struct note){
			.entity = xstrdup(d->entity), .endpoint = xstrdup(d->sides[i].endpoint), .key = xstrdup(d->key),
			.value = d->sides[i].value != NULL ? xstrdup(d->sides[i].value) : NULL, .deleted = d->sides[i].deleted,
			.about_delete = strcmp(d->kind, "delete-update") == 0,
			.digest = d->sides[i].digest != NULL ? (uint32_t)(strtoull(d->sides[i].digest, NULL, 16) & 0xffffff) : 0,
		};
	}
	return true;
}

static void notes_read(struct world *w, struct notes *all)
{
	struct err e;

	if (!journal_decisions_each(w->journal, NULL, 0, 1000000, on_decision, all, &e))
		world_fail(w, "journal", "%s", e.text);
	w->sometimes->conflict += all->n > 0;
}

static void notes_free(struct notes *all)
{
	for (size_t i = 0; i < all->n; i++) {
		free((char *)all->list[i].entity);
		free((char *)all->list[i].endpoint);
		free(all->list[i].key);
		free(all->list[i].value);
	}
	free(all->list);
}

static bool note_about(const struct world *w, const struct note *n, uint32_t record)
{
	if (strcmp(n->entity, w->topology->entities[w->records[record].entity].def.name) != 0)
		return false;
	for (size_t i = 0; i < w->n_records; i++) {
		char *key;
		bool same;

		if (w->records[i].lineage != w->records[record].lineage)
			continue;
		key = printed_key(w, &w->records[i]);
		same = strcmp(key, n->key) == 0;
		free(key);
		if (same)
			return true;
	}
	return false;
}

static bool names_row(const struct world *w, const struct note *n, int64_t id, size_t endpoint)
{
	char *name = xasprintf("id %" PRId64 " at %s", id, w->dbs[endpoint].name);
	bool same = strcmp(name, n->key) == 0;

	free(name);
	return same;
}

/* The key was not at hand: the line names a row by its local id. Somebody edited that row, the daemon brought it, or it is there still. */
static bool note_names_row(const struct world *w, const struct note *n, uint32_t record)
{
	const struct sim_record *r = &w->records[record];

	for (size_t i = 1; i < w->n_edits; i++)
		if (w->records[w->edits[i].record].lineage == r->lineage && names_row(w, n, w->edits[i].row, w->edits[i].endpoint))
			return true;
	for (size_t i = 0; i < w->n_records; i++)
		for (size_t b = 0; w->records[i].lineage == r->lineage && b < w->records[i].n_brought; b++)
			if (names_row(w, n, w->records[i].brought[b].id, w->records[i].brought[b].endpoint))
				return true;
	for (size_t e = 0; e < w->plan.n_endpoints; e++) {
		const struct db_row *row = db_row_by_key(&w->dbs[e], r->entity, r->key);

		if (row != NULL && names_row(w, n, row->id, e))
			return true;
	}
	return false;
}

static bool part_of(const char *tuple, const char *value)
{
	size_t n = strlen(value != NULL ? value : "\\N");

	for (const char *p = tuple; p != NULL; p = strchr(p, '\x1f'), p = p != NULL ? p + 1 : NULL)
		if (strncmp(p, value != NULL ? value : "\\N", n) == 0 && (p[n] == '\0' || p[n] == '\x1f'))
			return true;
	return false;
}

/* The loser could not be read when it lost: the line has the digest of its value, which nobody could make up. (The key of
 * the digests changes with a flush.) */
static bool digest_of_part(const struct world *w, const struct edit *e, uint32_t digest)
{
	const struct entity_def *d = &w->topology->entities[w->records[e->record].entity].def;
	const char *p = e->tuple;

	for (size_t f = 0; p != NULL && f < d->n_fields; f++) {
		size_t n = strcspn(p, "\x1f");
		struct value v = n == 2 && strncmp(p, "\\N", 2) == 0 ? VALUE_NULL : (struct value){ p, (int32_t)n };

		if (!(w->unit_fields[d->index][e->unit] & UINT32_C(1) << f))
			continue;
		if (digest_field(value_digest(&w->keys.key, d->fields[f].type, v)) == digest)
			return true;
		p = p[n] != '\0' ? p + n + 1 : NULL;
	}
	return false;
}

static bool is_reference_unit(const struct world *w, const struct edit *e)
{
	const struct entity_def *d = &w->topology->entities[w->records[e->record].entity].def;

	for (size_t f = 0; f < d->n_fields; f++)
		if (w->unit_fields[d->index][e->unit] & UINT32_C(1) << f && d->fields[f].type == FIELD_REFERENCE)
			return true;
	return false;
}

/* A delete of what was dead already says nothing new: the line names the first. */
static bool deleted_twice(const struct world *w, const struct edit *e)
{
	for (size_t i = 1; i < w->n_edits; i++)
		if (w->edits[i].is_delete && &w->edits[i] != e && w->edits[i].record == e->record)
			return true;
	return false;
}

static bool journaled(const struct world *w, const struct notes *all, const struct edit *e)
{
	if (w->mutation == MUTATE_NO_JOURNAL)
		return false;
	for (size_t i = 0; i < all->n; i++) {
		const struct note *n = &all->list[i];

		/* The same value written on two sides is one value: the line may name either; at first contact, and after a flush,
		 * whoever shows it. */
		if (strcmp(n->endpoint, w->dbs[e->endpoint].name) != 0 && !e->shared && !e->ambiguous &&
		    w->flushed_us == 0 && !(n->value != NULL && part_of(e->tuple, n->value)) && !(e->is_delete && deleted_twice(w, e)))
			continue;
		if (!note_about(w, n, e->record) && !note_names_row(w, n, e->record))
			continue;
		if (e->is_delete ? n->deleted || n->about_delete :
		    n->about_delete || part_of(e->tuple, n->value) || is_reference_unit(w, e) ||
		    (n->value == NULL && (w->flushed_us != 0 || digest_of_part(w, e, n->digest))))
			return true;
	}
	return false;
}

/* ---- C1 ------------------------------------------------------------------------------------------------------------- */

static bool shown_anywhere(const struct world *w, const struct final *finals, const struct edit *e)
{
	size_t entity = w->records[e->record].entity;
	const char *before = e->parent != 0 ? w->edits[e->parent].tuple : NULL;

	for (size_t i = 0; i < w->n_records; i++)
		for (size_t d = 0; w->records[i].lineage == w->records[e->record].lineage && d < w->plan.n_endpoints; d++) {
			char *tuple = finals[i].rows[d] != NULL ? db_tuple(&w->dbs[d], finals[i].rows[d], entity, e->unit) : NULL;
			bool same = tuple != NULL && tuple_shows(tuple, e->tuple, before);

			free(tuple);
			if (same)
				return true;
		}
	return false;
}

static bool lineage_alive(const struct world *w, const struct final *finals, uint32_t record)
{
	for (size_t i = 0; i < w->n_records; i++)
		if (w->records[i].lineage == w->records[record].lineage && finals[i].alive)
			return true;
	return false;
}

/* What is there now was inserted after that delete. */
static bool inserted_since(const struct world *w, const struct edit *d)
{
	for (size_t i = (size_t)(d - w->edits) + 1; i < w->n_edits; i++)
		if (w->edits[i].record == d->record && !w->edits[i].is_delete && w->edits[i].parent == 0 && !is_reference_unit(w, &w->edits[i]))
			return true;
	return false;
}

/* What that row showed before the edits of its own of which the daemon was never told. */
static uint32_t last_told(const struct world *w, const struct edit *deletion, size_t unit)
{
	uint32_t id = deletion->seen[unit];

	while (id != 0 && w->edits[id].told_us == 0 && w->edits[id].endpoint == deletion->endpoint && w->edits[id].row == deletion->row)
		id = w->edits[id].parent;
	return id;
}

static bool same_value(const struct world *w, uint32_t id, const struct edit *e)
{
	return id != 0 && strcmp(w->edits[id].tuple, e->tuple) == 0;
}

/*
 * Somebody deleted the row while it showed that very value, or had shown it when it was last heard of: it was put back elsewhere, and went
 * with the record. Had the delete lost, the value would be shown, or a line would name the delete.
 */
static bool seen_by_deleter(const struct world *w, const struct edit *e, bool alive)
{
	for (size_t i = 1; i < w->n_edits && !e->is_delete; i++) {
		const struct edit *d = &w->edits[i];

		if (d->is_delete && d->record == e->record && (!alive || inserted_since(w, d)) &&
		    (same_value(w, d->seen[e->unit], e) || same_value(w, last_told(w, d, e->unit), e)))
			return true;
	}
	return false;
}

static bool given_again(const struct world *w, const struct edit *e)
{
	const struct sim_record *r = &w->records[e->record];

	for (size_t i = (size_t)(e - w->edits) + 1; i < w->n_edits; i++)
		if (w->edits[i].record == e->record && w->edits[i].endpoint == e->endpoint && w->edits[i].row != e->row)
			return true;
	return r->complex && w->plan.renames;
}

/* What the one row showed was what the other one showed, or made on top of that. */
static bool had_seen(const struct world *w, uint32_t id, uint32_t other)
{
	while (id != other && id != 0 && other != 0)
		id = w->edits[id].parent;
	return id == other;
}

/* What it goes back to: what an insert put there, or what the row began with. */
static uint32_t root_of(const struct world *w, uint32_t id)
{
	while (w->edits[id].parent != 0)
		id = w->edits[id].parent;
	return id;
}

/* Of that unit the one had seen what the other one's row showed, but for edits that went with it unheard of. */
static bool had_seen_unit(const struct world *w, const struct edit *d, const struct edit *e, size_t u)
{
	return had_seen(w, d->seen[u], e->seen[u]) || had_seen(w, d->seen[u], last_told(w, e, u)) ||
	       oracle_adds(w, w->records[e->record].entity, u);
}

/* The one delete ended what the other one's row was of: by its rule all that there was then, else what it had seen. */
static bool ended_life_of(const struct world *w, const struct edit *d, const struct edit *e)
{
	size_t entity = w->records[e->record].entity, u, units = w->n_units[entity];
	uint32_t when = (uint32_t)(d - w->edits);

	for (u = 0; u < units && had_seen_unit(w, d, e, u); u++)
		;
	if (u == units || w->topology->entities[entity].def.deletes != DELETES_DELETE_WINS)
		return u == units;
	for (u = 0; u < units && root_of(w, e->seen[u]) < when; u++)
		;
	return u == units;
}

/* That life had ended already, and what was inserted since is another one, of which the deleter knew nothing (SEMANTICS F11). */
static bool life_had_ended(const struct world *w, const struct edit *e)
{
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *d = &w->edits[i];

		if (d->is_delete && d->record == e->record && d->endpoint != e->endpoint && d < e && !d->renamed && ended_life_of(w, d, e))
			return true;
	}
	return false;
}

/* Where a database was put back, a row that somebody wrote since is not of the past, and lives, although it had been deleted. */
static bool written_after_put_back(const struct world *w, const struct edit *e)
{
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct db *db = &w->dbs[w->edits[i].endpoint];

		if (w->edits[i].record == e->record && !w->edits[i].is_delete && db->put_back_us != 0 &&
		    w->edits[i].commit_us >= db->put_back_us && e->commit_us <= w->edits[i].commit_us)
			return true;
	}
	return false;
}

static void check_lost(struct world *w, const struct final *finals, const struct notes *all)
{
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *e = &w->edits[i];
		const struct sim_record *r = &w->records[e->record];

		if (e->covered || e->covered_by_delete || e->unseen_change || e->renamed || e->gone_with_db)
			continue;
		if (!e->is_delete && oracle_adds(w, r->entity, e->unit))
			continue;	/* it is in the sum: check_sum() */
		if (seen_by_deleter(w, e, finals[e->record].alive))
			continue;
		/* The key is another row's since: inserted again, or renamed. */
		if (e->is_delete && given_again(w, e))
			continue;
		if (e->is_delete && life_had_ended(w, e))
			continue;
		if (e->is_delete && written_after_put_back(w, e))
			continue;
		if (e->is_delete && r->spared)
			continue;
		/* Nobody can tell any more of which record the deleted row was: nothing is deleted (SEMANTICS I8). */
		if (e->is_delete && (e->commit_us <= w->flushed_us || e->commit_us <= w->dbs[e->endpoint].put_back_us))
			continue;
		/* A delete that cannot be carried out (children point to the row) is parked, not lost. */
		if (e->is_delete ? !finals[e->record].alive || e->no_base || finals[e->record].parked : shown_anywhere(w, finals, e))
			continue;
		/* A reference follows its parent: when that is renamed or gone, so is the value. */
		if (!e->is_delete && is_reference_unit(w, e) &&
		    (w->plan.renames || (w->plan.deletes && lineage_alive(w, finals, e->record))))
			continue;
		if (!journaled(w, all, e))
			world_fail(w, "C1", "%s/%s: %s %zu of %s (unit %u, <%s>) is gone and no decision names it",
				   w->topology->entities[r->entity].def.name, r->key, e->is_delete ? "delete" : "edit", i,
				   w->dbs[e->endpoint].name, e->unit, e->tuple);
	}
}

/* ---- C2 ------------------------------------------------------------------------------------------------------------- */

static void check_equal(struct world *w, const struct final *finals)
{
	for (size_t i = 0; i < w->n_records; i++) {
		const struct sim_record *r = &w->records[i];

		if (finals[i].equal || finals[i].parked)
			continue;
		for (size_t e = 0; e < w->plan.n_endpoints; e++) {
			char *row = finals[i].rows[e] != NULL ? db_canonical_row(&w->dbs[e], finals[i].rows[e], r->entity) : NULL;

			world_trace(w, "  %s: %s", w->dbs[e].name, row != NULL ? row : "(none)");
			free(row);
		}
		world_fail(w, "C2", "%s/%s is not the same everywhere", w->topology->entities[r->entity].def.name, r->key);
	}
}

/* ---- C4 ------------------------------------------------------------------------------------------------------------- */

static const struct edit *writer_of(const struct world *w, uint32_t record, size_t unit, const char *tuple)
{
	for (size_t i = 1; i < w->n_edits; i++)
		if (w->edits[i].record == record && !w->edits[i].is_delete && w->edits[i].unit == unit &&
		    strcmp(w->edits[i].tuple, tuple) == 0)
			return &w->edits[i];
	return NULL;
}

/* Made and deleted again, perhaps before it was seen or carried anywhere: where the delete loses, it may be out of reach. */
static bool maybe_unseen(const struct edit *e)
{
	return e->covered_by_delete;
}

static bool any_maybe_unseen(const struct world *w, uint32_t record, size_t unit)
{
	for (size_t i = 1; i < w->n_edits; i++)
		if (w->edits[i].record == record && w->edits[i].unit == unit && maybe_unseen(&w->edits[i]))
			return true;
	return false;
}

/* Made on top of it, and the daemon could know that. */
static bool surely_covered(const struct world *w, const struct edit *f)
{
	for (size_t i = 1; f->covered && i < w->n_edits; i++) {
		const struct edit *m = &w->edits[i];

		if (m->parent == (uint32_t)(f - w->edits) && is_doubtful(w, m))
			return false;
	}
	return f->covered;
}

/*
 * What a record began with and all differences since. False: nobody can say so exactly. Rows that met for the first time
 * competed; a delete may have taken edits along, unheard of or not; and where a write of the daemon's was in doubt it cannot tell on top of
 * what an edit was made.
 */
static bool expected_sum(const struct world *w, uint32_t record, size_t unit, int64_t *sum)
{
	size_t begun = 0;

	*sum = 0;
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *e = &w->edits[i];

		if (e->record != record || (!e->is_delete && e->unit != unit))
			continue;
		if (e->is_delete || e->row_doubtful)
			return false;
		begun += e->parent == 0;
		*sum += e->difference;
	}
	return begun == 1;
}

static void check_sum(struct world *w, uint32_t record, size_t unit, const struct db *db, const struct db_row *row)
{
	char *tuple = db_tuple(db, row, w->records[record].entity, unit);
	int64_t sum;

	if (expected_sum(w, record, unit, &sum)) {
		w->sometimes->sums++;
		if (atoll(tuple) != sum)
			world_fail(w, "C4", "%s/%s unit %zu ends as <%s>, and all differences come to %" PRId64,
				   w->topology->entities[w->records[record].entity].def.name, w->records[record].key, unit, tuple, sum);
	}
	free(tuple);
}

static void check_unit(struct world *w, uint32_t record, size_t unit, const struct db *db, const struct db_row *row)
{
	const struct sim_record *r = &w->records[record];
	const char *entity = w->topology->entities[r->entity].def.name;
	char *tuple = db_tuple(db, row, r->entity, unit);
	const struct edit *f = writer_of(w, record, unit, tuple);

	if (f == NULL) {
		if (!w->plan.references)
			world_fail(w, "C5", "%s/%s unit %zu ends as <%s>, which nobody wrote", entity, r->key, unit, tuple);
		goto out;
	}
	if (f->ambiguous)
		goto out;
	/* Where values or people decide, one may come back that somebody had replaced: others had been given it. */
	if (!oracle_by_value(w, f) && !(oracle_waits(w, f) && r->judged) && surely_covered(w, f) && !any_maybe_unseen(w, record, unit))
		world_fail(w, "C4", "%s/%s unit %zu ends as <%s> (edit %zu), though somebody edited on top of it",
			   entity, r->key, unit, tuple, (size_t)(f - w->edits));
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *m = &w->edits[i];

		if (m == f || m->record != record || m->is_delete || m->unit != unit || m->covered || m->put_back || maybe_unseen(m) ||
		    oracle_may_win(w, f, m))
			continue;
		world_fail(w, "C4", "%s/%s unit %zu: edit %zu of %s [%" PRId64 " %" PRId64 "] n %" PRId64 "-%" PRId64
			   " won against %zu of %s [%" PRId64 " %" PRId64 "] n %" PRId64 "-%" PRId64, entity, r->key, unit,
			   (size_t)(f - w->edits), w->dbs[f->endpoint].name, f->low, f->high, f->n_low, f->n_high,
			   i, w->dbs[m->endpoint].name, m->low, m->high, m->n_low, m->n_high);
	}
out:
	free(tuple);
}

/* An edit that no deleter had seen, and that surely had not lost to something a deleter had seen. */
static bool surely_unseen(struct world *w, const struct edit *e)
{
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *m = &w->edits[i];

		if (m != e && m->record == e->record && !m->is_delete && m->unit == e->unit && oracle_may_win(w, m, e))
			return false;
	}
	return true;
}

/* The deleter's row showed the same because somebody had written it there, too; of that the daemon had not heard when the row went. */
static bool seen_unbeknown(const struct world *w, const struct edit *e)
{
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *d = &w->edits[i], *g = &w->edits[d->seen[e->unit]];

		if (d->is_delete && d->record == e->record && d->endpoint != e->endpoint && d->seen[e->unit] != 0 && g->endpoint == d->endpoint &&
		    (g->settled_us == 0 || g->settled_us > d->commit_us) && strcmp(g->tuple, e->tuple) == 0)
			return true;
	}
	return false;
}

/* Of two words that wait, who deletes a row that shows the one has not seen the other. */
static bool some_deleter_showed_another(const struct world *w, const struct edit *e)
{
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *d = &w->edits[i];

		if (d->is_delete && d->record == e->record && d->seen[e->unit] != 0 && !same_value(w, d->seen[e->unit], e))
			return true;
	}
	return false;
}

static void check_life(struct world *w, uint32_t record, bool alive)
{
	const struct sim_record *r = &w->records[record];
	const struct entity_def *d = &w->topology->entities[r->entity].def;
	bool deleted = false, unseen = false, sure = false, doubtful = false;

	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *e = &w->edits[i];

		if (e->record != record)
			continue;
		deleted |= e->is_delete;
		/* The daemon could not tell whether the deleter had seen what it was about to write there. */
		doubtful |= e->is_delete && e->row_doubtful;
		unseen |= !e->is_delete && !e->covered && e->covered_by_delete && seen_unbeknown(w, e);
		/* Where a person decides, what may have been replaced without having been seen waits like any other word. */
		unseen |= !e->is_delete && oracle_waits(w, e) && e->covered && !surely_covered(w, e);
		unseen |= !e->is_delete && oracle_waits(w, e) && !e->covered && e->covered_by_delete && some_deleter_showed_another(w, e);
		if (e->is_delete || e->covered || e->covered_by_delete)
			continue;
		unseen = true;
		if (e->unseen_change || oracle_adds(w, r->entity, e->unit))
			continue;	/* it put back what the deleter may have seen; perhaps it is in a sum that the deleter's row showed */
		sure |= !e->ambiguous && surely_unseen(w, e);
	}
	if (!deleted && !alive)
		world_fail(w, "C4", "%s/%s is gone and nobody deleted it", d->name, r->key);
	/* A parent that got another key changed the reference: an edit that only the child's history does not show. */
	unseen |= (w->plan.renames && w->plan.references) || doubtful;
	if (deleted && alive && !r->spared && (d->deletes == DELETES_DELETE_WINS || !unseen))
		world_fail(w, "C4", "%s/%s was deleted%s and lives", d->name, r->key, unseen ? ", delete wins," : " with all seen");
	if (deleted && !alive && d->deletes == DELETES_UPDATE_WINS && sure)
		world_fail(w, "C4", "%s/%s is gone though an edit was made that no deleter had seen", d->name, r->key);
}

static void check_winners(struct world *w, const struct final *finals)
{
	for (uint32_t i = 0; i < w->n_records; i++) {
		const struct sim_record *r = &w->records[i];

		/* A plan is told of edits, too, long before anybody decides about them: who must win is not known then. */
		if (r->complex || finals[i].parked || !finals[i].equal || w->plan.flushes || w->plan.put_backs || w->plan.restores || w->plans > 0)
			continue;
		if (writer_of(w, i, 0, "") == NULL && !finals[i].alive && w->n_edits == 1)
			continue;
		check_life(w, i, finals[i].alive);
		for (size_t u = 0; finals[i].alive && u < w->n_units[r->entity]; u++)
			if (oracle_adds(w, r->entity, u))
				check_sum(w, i, u, &w->dbs[0], finals[i].rows[0]);
			else
				check_unit(w, i, u, &w->dbs[0], finals[i].rows[0]);
	}
}

/* ---- all ------------------------------------------------------------------------------------------------------------ */

static void check_recognised(struct world *w)
{
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		if (w->dbs[e].unrecognised)
			world_fail(w, "epoch", "nobody noticed that %s was put back", w->dbs[e].name);
}

void check_all(struct world *w)
{
	struct final *finals = xcalloc(w->n_records + 1, sizeof *finals);
	struct parked_scan scan = { w, finals };
	struct notes notes = { .world = w };
	struct err e;

	for (uint32_t i = 0; i < w->n_records; i++)
		final_of(w, i, &finals[i]);
	if (!journal_parked_each(w->journal, NULL, NULL, 0, 100000, on_parked, &scan, &e))
		world_fail(w, "journal", "%s", e.text);
	park_children(w, finals);
	notes_read(w, &notes);
	check_equal(w, finals);
	check_lost(w, finals, &notes);
	check_winners(w, finals);
	check_recognised(w);
	notes_free(&notes);
	free(finals);
}
