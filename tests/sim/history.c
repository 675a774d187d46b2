/*
 * history.c - who wrote what, on top of what, and when the daemon was told.
 *
 * Written down from what the databases do and what crosses the seams; never from what the daemon thinks.
 */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "endpoint/endpoint.h"

enum { MASS_ALWAYS = 20 };

/* ---- records ---------------------------------------------------------------------------------------------- */

static struct rid rid_make(struct world *w, size_t entity, const char *key)
{
	const struct entity_def *d = &w->topology->entities[entity].def;
	struct value parts[KEY_FIELDS_MAX];
	struct arena a;
	struct rid rid;
	char *copy = xstrdup(key), *save = NULL, *p = copy;

	arena_init(&a);
	for (size_t k = 0; k < d->n_key; k++, p = NULL)
		parts[k] = value_of(strtok_r(p, "\x1f", &save));
	rid = rid_of(&w->keys.key, d, record_key_encode(parts, d->n_key, &a));
	arena_fini(&a);
	free(copy);
	return rid;
}

uint32_t record_find(struct world *w, size_t entity, const char *key)
{
	for (uint32_t i = 0; i < w->n_records; i++)
		if (w->records[i].entity == entity && strcmp(w->records[i].key, key) == 0)
			return i;
	w->records = xrealloc(w->records, (w->n_records + 1) * sizeof *w->records);
	w->records[w->n_records] = (struct sim_record){
		.entity = entity, .key = xstrdup(key), .lineage = (uint32_t)w->n_records, .rid = rid_make(w, entity, key),
	};
	return (uint32_t)w->n_records++;
}

void record_join(struct world *w, uint32_t a, uint32_t b)
{
	uint32_t from = w->records[b].lineage, to = w->records[a].lineage;

	for (size_t i = 0; i < w->n_records; i++) {
		if (w->records[i].lineage == from)
			w->records[i].lineage = to;
		if (w->records[i].lineage == to)
			w->records[i].complex = true;
	}
}

static struct sim_record *by_rid(struct world *w, size_t entity, const struct rid *rid)
{
	for (size_t i = 0; i < w->n_records; i++)
		if (w->records[i].entity == entity && rid_equal(&w->records[i].rid, rid))
			return &w->records[i];
	return NULL;
}

void history_rekey(struct world *w)
{
	for (size_t i = 0; i < w->n_records; i++)
		w->records[i].rid = rid_make(w, w->records[i].entity, w->records[i].key);
}

/* ---- edits -------------------------------------------------------------------------------------------------- */

static struct edit *edit_new(struct world *w, const struct db *db, const struct db_row *row, int64_t at)
{
	struct edit *e;

	if (w->n_edits >= w->room_edits) {
		w->room_edits = w->room_edits * 2 + 256;
		w->edits = xrealloc(w->edits, w->room_edits * sizeof *w->edits);
	}
	e = &w->edits[w->n_edits++];
	*e = (struct edit){
		.record = row->record, .row = row->id, .endpoint = (uint8_t)db->index, .at = at, .modified = STAMP_UNKNOWN, .commit_us = world_now(w),
		.told_low = INT64_MAX, .told_high = INT64_MIN,
	};
	return e;
}

static bool same_unit(const struct world *w, const struct edit *a, const struct edit *b)
{
	return !a->is_delete && !b->is_delete && a->unit == b->unit &&
	       w->records[a->record].lineage == w->records[b->record].lineage;
}

/* Of a group only what the edit changed: a member that it left as it was is another's word. */
bool tuple_shows(const char *shown, const char *tuple, const char *before)
{
	while (true) {
		size_t n = strcspn(tuple, "\x1f"), m = strcspn(shown, "\x1f"), b = before != NULL ? strcspn(before, "\x1f") : 0;
		bool changed = before == NULL || n != b || strncmp(tuple, before, n) != 0;

		if (changed && (n != m || strncmp(tuple, shown, n) != 0))
			return false;
		if (tuple[n] == '\0' || shown[m] == '\0' || (before != NULL && before[b] == '\0'))
			return tuple[n] == shown[m];
		tuple += n + 1;
		shown += m + 1;
		before = before != NULL ? before + b + 1 : NULL;
	}
}

static bool says_the_same(const struct world *w, const struct edit *e, const struct edit *shown)
{
	return tuple_shows(shown->tuple, e->tuple, e->parent != 0 ? w->edits[e->parent].tuple : NULL);
}

/* The row shows something else from now on. */
static void leave(struct world *w, const struct db_row *row, size_t unit, size_t entity)
{
	uint32_t id = row->shown[unit];

	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		for (size_t i = 0; i < w->dbs[e].tables[entity].n; i++) {
			const struct db_row *other = w->dbs[e].tables[entity].rows[i];

			if (other != row && other->shown[unit] == id)
				return;
		}
	w->edits[id].vanished = true;
}

/* Something was done on top of it: equal values written elsewhere are covered with it, but where each difference counts. */
static void cover(struct world *w, uint32_t id, bool by_delete)
{
	for (size_t i = 1; id != 0 && i < w->n_edits; i++) {
		struct edit *e = &w->edits[i];

		if (i != id && (!same_unit(w, e, &w->edits[id]) || !says_the_same(w, e, &w->edits[id]) ||
				oracle_adds(w, w->records[e->record].entity, e->unit)))
			continue;
		e->covered |= !by_delete;
		e->covered_by_delete |= by_delete;
	}
}

/* Back to what the daemon knew before it looked again: nobody can tell that from no edit at all. Of what it was never told it knows
 * nothing: that somebody was there before and came back to it changes nothing for it. */
static bool put_back(const struct world *w, const struct edit *e)
{
	for (uint32_t p = e->parent; p != 0; p = w->edits[p].parent) {
		if (strcmp(w->edits[p].tuple, e->tuple) == 0 && w->edits[p].told_us != 0)
			return true;
		if (w->edits[p].settled_us != 0 && !w->edits[p].invalid)	/* what is invalid is never taken */
			return false;
	}
	return false;
}

/* Back to a value that the record had once: while a write there is in doubt, that looks as if the write had not happened. */
static bool is_back(const struct world *w, const struct edit *e)
{
	for (size_t i = 1; i < w->n_edits; i++)
		if (&w->edits[i] != e && same_unit(w, &w->edits[i], e) && strcmp(w->edits[i].tuple, e->tuple) == 0)
			return true;
	return false;
}

/* At first contact nobody can tell that an edit was made on top of what another endpoint still shows (SEMANTICS I8). */
static bool is_known(const struct world *w, size_t endpoint, size_t entity, const struct db_row *row)
{
	return row->known && w->dbs[endpoint].tables[entity].surveyed;
}

static bool unknown_elsewhere(const struct world *w, const struct db_row *row, size_t entity)
{
	for (size_t e = 0; e < w->plan.n_endpoints; e++) {
		const struct db_row *other = db_row_by_key(&w->dbs[e], entity, w->records[row->record].key);

		if (other != NULL && !is_known(w, e, entity, other))
			return true;
	}
	return false;
}

static void row_open(struct db_row *row, uint32_t id)
{
	row->open = xrealloc(row->open, (row->n_open + 1) * sizeof *row->open);
	row->open[row->n_open++] = id;
}

/* Rule add: the row shows another amount; by how much more? */
static int64_t take_amount(struct world *w, struct db_row *row, size_t entity, size_t unit, const char *tuple)
{
	int64_t before = row->amount[unit];

	if (oracle_adds(w, entity, unit))
		row->amount[unit] = atoll(tuple);	/* NULL counts as zero */
	return row->amount[unit] - before;
}

struct edit *history_edit(struct world *w, struct db *db, struct db_row *row, size_t unit, int64_t at)
{
	uint32_t id = (uint32_t)w->n_edits;
	size_t entity = w->records[row->record].entity;
	struct edit *e;

	cover(w, row->shown[unit], false);
	leave(w, row, unit, entity);
	e = edit_new(w, db, row, at);
	e->unit = (uint8_t)unit;
	e->tuple = db_tuple(db, row, entity, unit);
	e->difference = take_amount(w, row, entity, unit, e->tuple);
	e->modified = row->modified;
	e->version = row->version;
	e->parent = row->shown[unit];
	e->parent_brought = row->brought[unit] != 0;
	e->row_doubtful = row->doubtful;
	/* A row that the daemon does not know, or not as one of that record: what it shows of what is agreed is no news, whoever wrote it
	 * there once more. */
	e->unseen_change = put_back(w, e) ||
		((row->doubtful || !row->known || (w->plan.renames && w->records[row->record].complex)) && is_back(w, e));
	e->no_base = !is_known(w, db->index, entity, row) && !e->parent_brought;
	if (w->edits[e->parent].shared && (e->no_base || unknown_elsewhere(w, row, entity)))
		w->records[row->record].complex = true;
	w->sometimes->unseen += e->unseen_change;
	row->shown[unit] = id;
	row->brought[unit] = 0;
	row_open(row, id);
	world_trace(w, "%s %s/%s #%lld unit %zu: edit %u <%s> on top of %u", db->name, w->topology->entities[entity].def.name,
		    w->records[row->record].key, (long long)row->id, unit, id, e->tuple, e->parent);
	return e;
}

void history_share(struct world *w, struct db_row *row, size_t unit, uint32_t id)
{
	w->edits[id].shared = true;
	take_amount(w, row, w->records[row->record].entity, unit, w->edits[id].tuple);
	row->shown[unit] = id;
	row_open(row, id);
}

/* A row that the checks refuse is not taken: nobody knows its record. */
static bool is_invalid(const struct world *w, const struct db *db, const struct db_row *row, size_t entity)
{
	bool invalid = false;

	for (size_t f = 0; f < w->topology->entities[entity].def.n_fields; f++) {
		char *canonical = db_canon(db, row, entity, f);

		invalid |= db_value_invalid(w, entity, f, canonical);
		free(canonical);
	}
	return invalid;
}

void history_delete(struct world *w, struct db *db, struct db_row *row, int64_t at, bool renamed)
{
	uint32_t id = (uint32_t)w->n_edits;
	size_t entity = w->records[row->record].entity;
	struct edit *e;

	if (!renamed)
		for (size_t u = 0; u < w->n_units[entity]; u++)
			cover(w, row->shown[u], true);
	for (size_t u = 0; u < w->n_units[entity]; u++)
		leave(w, row, u, entity);
	e = edit_new(w, db, row, at);
	e->is_delete = true;
	e->renamed = renamed;
	e->row_doubtful = row->doubtful;
	e->no_base = unknown_elsewhere(w, row, entity) || is_invalid(w, db, row, entity);
	if (e->no_base && !renamed)
		w->records[row->record].complex = true;
	e->tuple = xstrdup("");
	memcpy(e->seen, row->shown, sizeof e->seen);
	world_trace(w, "%s %s/%s #%lld: %s %u", db->name, w->topology->entities[entity].def.name, w->records[row->record].key,
		    (long long)row->id, renamed ? "key taken away" : "deleted", id);
}

/* ---- what the daemon was told ------------------------------------------------------------------------------------ */

static void told_stamp(struct edit *e, int64_t stamp)
{
	if (stamp == STAMP_UNKNOWN)
		return;
	if (stamp < e->told_low)
		e->told_low = stamp;
	if (stamp > e->told_high)
		e->told_high = stamp;
}

static void told_together(struct edit *e, uint32_t other)
{
	for (size_t i = 0; i < e->n_together; i++)
		if (e->together[i] == other)
			return;
	e->together = xrealloc(e->together, (e->n_together + 1) * sizeof *e->together);
	e->together[e->n_together++] = other;
}

/* What several endpoints began with is news once from each of them. */
static bool told_by(const struct world *w, const struct db_row *row, uint32_t id, uint64_t version)
{
	const struct edit *e = &w->edits[id];

	return e->shared ? !row->known : (e->settled_us == 0 || row->doubtful) && e->version <= version;
}

/* As it was then, which the row may not be any more: what the checks refuse is told and not taken, and nothing else of the row with it. */
static bool was_invalid(const struct world *w, const struct db *db, const struct db_row *row, size_t entity, uint64_t version)
{
	uint32_t invalid = 0;

	if (!w->records[row->record].invalid)
		return false;
	if (row->version == version)
		return is_invalid(w, db, row, entity);
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *e = &w->edits[i];

		if (e->endpoint != db->index || e->row != row->id || e->is_delete || w->records[e->record].entity != entity || e->version > version)
			continue;
		invalid &= ~(UINT32_C(1) << e->unit);
		invalid |= (uint32_t)e->invalid << e->unit;
	}
	return invalid != 0;
}

void history_told(struct world *w, struct db *db, size_t entity, const struct told *told, bool captured)
{
	int64_t stamp = told->stamp, other_stamp = told->other;
	uint64_t version = told->version;
	struct db_row *row = db_row_by_id(db, entity, told->id);

	if (row == NULL)
		return;
	if (was_invalid(w, db, row, entity, version)) {
		w->sometimes->invalid++;
		return;
	}
	row->told_in = w->epoch;
	row->told_us = world_now(w);
	for (size_t i = 0; i < row->n_open; i++) {
		struct edit *e = &w->edits[row->open[i]];

		if (!told_by(w, row, row->open[i], version))
			continue;
		if (e->told_us == 0)
			e->told_us = world_now(w);
		e->told_last_us = world_now(w);
		e->told_in = w->epoch;
		e->told_captured = captured;
		/* Skews are taken out here: the oracle compares in the daemon's time. */
		told_stamp(e, stamp == STAMP_UNKNOWN ? stamp : stamp - db->skew_us);
		told_stamp(e, other_stamp == STAMP_UNKNOWN ? other_stamp : other_stamp - db->skew_us);
		e->told_unknown |= stamp == STAMP_UNKNOWN && other_stamp == STAMP_UNKNOWN;
		for (size_t j = 0; j < row->n_open; j++)
			if (j != i && told_by(w, row, row->open[j], version))
				told_together(e, row->open[j]);
	}
}

void history_doubt(struct db_row *row)
{
	row->doubtful = true;
	row->learned_in = UINT32_MAX;
}

void history_sent(struct world *w, struct db *db, size_t entity, int64_t id, uint64_t version)
{
	struct db_row *row = db_row_by_id(db, entity, id);

	if (row == NULL)
		return;
	history_doubt(row);
	for (size_t i = 0; i < row->n_open; i++)
		w->edits[row->open[i]].row_doubtful |= w->edits[row->open[i]].version > version;
}

void history_away(struct db *db)
{
	for (size_t t = 0; t < SIM_ENTITIES; t++)
		for (size_t i = 0; i < db->tables[t].n; i++)
			db->tables[t].rows[i]->told_in = UINT32_MAX;
}

/* Somebody has inserted it while the daemon was about to: what of it looks like the daemon's insert passes for that. */
static void take_for_ours(struct world *w, const struct db_row *row)
{
	for (size_t i = 0; i < row->n_open; i++) {
		struct edit *e = &w->edits[row->open[i]];

		e->unseen_change |= e->settled_us == 0 && is_back(w, e);
	}
}

void history_intended(struct world *w, size_t entity, const struct rid *rid)
{
	struct sim_record *r = by_rid(w, entity, rid);

	if (r == NULL)
		return;
	r->intended = true;
	for (size_t e = 0; e < w->plan.n_endpoints; e++) {
		const struct db_row *row = db_row_by_key(&w->dbs[e], entity, r->key);

		if (row != NULL && !row->known)
			take_for_ours(w, row);
	}
}

/* What it was about to write it may have written, or not. */
static void doubt_all_rows(struct world *w, const struct sim_record *r)
{
	for (size_t e = 0; e < w->plan.n_endpoints; e++) {
		struct db_row *row = db_row_by_key(&w->dbs[e], r->entity, r->key);

		if (row == NULL)
			continue;
		history_doubt(row);
		for (size_t i = 0; i < row->n_open; i++)
			w->edits[row->open[i]].row_doubtful |= w->edits[row->open[i]].settled_us == 0;
	}
}

void history_forgot(struct world *w)
{
	w->epoch++;
	for (size_t i = 0; i < w->n_records; i++) {
		if (w->records[i].intended)
			doubt_all_rows(w, &w->records[i]);
		w->records[i].intended = false;
	}
}

static void settle(struct world *w, uint32_t id)
{
	struct edit *e = &w->edits[id];

	if (e->settled_us == 0 && e->told_us != 0)
		e->settled_us = world_now(w);
}

void history_acked(struct world *w, struct db *db, size_t entity, int64_t id, uint64_t version)
{
	struct db_row *row = db_row_by_id(db, entity, id);

	for (size_t i = 0; row != NULL && i < row->n_open; i++)
		if (w->edits[row->open[i]].version <= version)
			settle(w, row->open[i]);
}

/* "survey/ENTITY/ENDPOINT": from now on every row of that table has been looked at; or they are all of the past. */
void history_position(struct world *w, const char *name, bool gone)
{
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		for (size_t i = 0; i < w->plan.n_entities; i++) {
			char *mark = xasprintf("survey/%s/%s", w->topology->entities[i].def.name, w->dbs[e].name);

			if (strcmp(mark, name) == 0) {
				w->dbs[e].tables[i].surveyed = !gone;
				w->sometimes->rebased += gone && w->dbs[e].unrecognised;
				w->dbs[e].unrecognised &= !gone;
			}
			free(mark);
		}
}

void history_recalled(struct world *w, size_t entity, const struct rid *rid)
{
	struct sim_record *r = by_rid(w, entity, rid);

	if (r == NULL)
		return;
	r->recalled_before_us = r->recalled_us;
	r->recalled_us = world_now(w);
}

void history_flushed(struct world *w)
{
	w->flushed_us = world_now(w);
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		for (size_t i = 0; i < w->plan.n_entities; i++) {
			struct db_table *t = &w->dbs[e].tables[i];

			t->surveyed = false;
			for (size_t r = 0; r < t->n; r++) {
				t->rows[r]->known = false;
				t->rows[r]->told_us = 0;
			}
		}
}

void history_put_back(struct world *w, struct db *db, int64_t to_us)
{
	for (size_t i = 1; i < w->n_edits; i++)
		w->edits[i].gone_with_db |= w->edits[i].endpoint == db->index && w->edits[i].commit_us > to_us;
	for (size_t i = 0; i < w->plan.n_entities; i++) {
		struct db_table *t = &db->tables[i];

		t->surveyed = false;
		for (size_t r = 0; r < t->n; r++) {
			t->rows[r]->known = false;
			t->rows[r]->told_us = 0;
		}
	}
}

/* A window may end so many (held.c), and each life of the daemon begins one. */
void history_carried(struct world *w, uint32_t record)
{
	struct sim_record *r = &w->records[record];
	double share = w->topology->entities[r->entity].def.mass_delete * (double)w->n_records;
	uint64_t most = share > MASS_ALWAYS ? (uint64_t)share : MASS_ALWAYS;

	if (!r->massed || r->carried || w->mass_ordered)
		return;
	for (size_t i = 1; i < w->n_edits; i++)
		if (w->edits[i].is_delete && w->edits[i].record == record && w->edits[i].endpoint != w->mass_at)
			return;		/* somebody else's, perhaps */
	r->carried = true;
	w->mass_carried++;
	if (w->mass_carried > most * w->mass_windows)
		world_fail(w, "C4", "%llu deletes of many at once were carried elsewhere, and nobody was asked", (unsigned long long)w->mass_carried);
}

/* Told to the round that asked for the vector last; an earlier one may have been given up, and what it was told with it. */
static bool told_for_this(const struct world *w, const struct sim_record *r, int64_t told_us, uint32_t told_in)
{
	return told_in == w->epoch && told_us > r->recalled_before_us && told_us <= r->recalled_us;
}

/* A vector was written that was asked for after the rows had been told: it holds them. (But a round that had captured them may still
 * wait for the one that wrote it, and will look anew: of these the acknowledgement tells.) */
void history_put(struct world *w, size_t entity, const struct rid *rid)
{
	struct sim_record *r = by_rid(w, entity, rid);
	uint32_t index;

	if (r == NULL || r->recalled_us == 0)
		return;
	index = (uint32_t)(r - w->records);
	r->intended = false;
	for (size_t i = 1; i < w->n_edits; i++)
		if (w->edits[i].record == index && !w->edits[i].told_captured && told_for_this(w, r, w->edits[i].told_last_us, w->edits[i].told_in))
			settle(w, (uint32_t)i);
	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		for (size_t i = 0; i < w->dbs[e].tables[entity].n; i++) {
			struct db_row *row = w->dbs[e].tables[entity].rows[i];
			bool told;

			if (row->record != index)
				continue;
			told = told_for_this(w, r, row->told_us, row->told_in);
			row->known |= told;
			if (told || row->learned_in == w->epoch) {
				row->known |= row->doubtful;
				row->doubtful = false;
			}
		}
}

/* ---- what the daemon wrote ------------------------------------------------------------------------------------------ */

static uint32_t find_writer(struct world *w, const struct db_row *row, size_t unit, const char *tuple)
{
	uint32_t lineage = w->records[row->record].lineage, found = 0;

	for (uint32_t i = 1; i < w->n_edits; i++)
		if (!w->edits[i].is_delete && w->edits[i].unit == unit && w->records[w->edits[i].record].lineage == lineage &&
		    strcmp(w->edits[i].tuple, tuple) == 0) {
			found = i;
			settle(w, i);
		}
	return found;
}

static bool has_reference(const struct world *w, size_t entity, size_t unit)
{
	const struct entity_def *d = &w->topology->entities[entity].def;

	for (size_t f = 0; f < d->n_fields; f++)
		if (w->unit_fields[entity][unit] & UINT32_C(1) << f && d->fields[f].type == FIELD_REFERENCE)
			return true;
	return false;
}

static bool is_empty(const char *tuple)
{
	for (; *tuple != '\0'; tuple += 2 + (tuple[2] == '\x1f'))
		if (tuple[0] != '\\' || tuple[1] != 'N')
			return false;
	return true;
}

/* Where values decide, no row is given what is beaten by the value that it shows. */
static void put_back_by_value(struct world *w, struct db *db, const struct db_row *row, size_t u, uint32_t writer)
{
	struct edit *was = &w->edits[row->shown[u]];

	if (row->shown[u] == 0 || writer == 0 || writer == row->shown[u] || !oracle_by_value(w, was))
		return;
	was->put_back = true;
	if (!w->records[row->record].complex && w->records[row->record].undone_us == 0 && !plan_loses_state(&w->plan) && !oracle_may_win(w, &w->edits[writer], was))
		world_fail(w, "C4", "%s %s: <%s> was put in the place of <%s>, which beats it", db->name, w->records[row->record].key,
			   w->edits[writer].tuple, was->tuple);
}

/* Where one side is put back whatever its stamp. */
static void count_put_back(struct world *w, const struct db_row *row, size_t u, uint32_t writer)
{
	const struct edit *was = &w->edits[row->shown[u]], *now = &w->edits[writer];

	if (row->shown[u] == 0 || writer == 0 || row->brought[u] != 0 || !oracle_outranks(w, now, was))
		return;
	w->sometimes->filled += oracle_is_blank(w, was);
	w->sometimes->mirrored += !oracle_is_blank(w, was);
}

/* Where a person decides, nobody's edit is written over before. */
static void keep_until_judged(struct world *w, struct db *db, const struct db_row *row, size_t u, uint32_t writer)
{
	const struct edit *was = &w->edits[row->shown[u]], *now = &w->edits[writer];
	const struct sim_record *r = &w->records[row->record];

	if (row->shown[u] == 0 || writer == 0 || writer == row->shown[u] || !oracle_waits(w, was) || says_the_same(w, was, now))
		return;
	if (r->judged || r->complex || r->undone_us != 0 || plan_loses_state(&w->plan) || was->covered || was->covered_by_delete || was->unseen_change ||
	    was->row_doubtful || was->no_base)
		return;
	world_fail(w, "C4", "%s %s: <%s> was put in the place of <%s>, and nobody has decided", db->name, r->key, now->tuple, was->tuple);
}

/* A sum has no writer. It was brought on top of whatever was there; on a new row, of what the record began with. */
static void brought_sum(struct world *w, struct db_row *row, size_t entity, size_t unit, const char *tuple)
{
	take_amount(w, row, entity, unit, tuple);
	for (uint32_t i = 1; row->shown[unit] == 0 && i < w->n_edits; i++)
		if (!w->edits[i].is_delete && w->edits[i].unit == unit &&
		    w->records[w->edits[i].record].lineage == w->records[row->record].lineage)
			row->shown[unit] = i;
}

void history_inserted(struct world *w, const struct db *db, const struct db_row *row)
{
	struct sim_record *r = &w->records[row->record];

	r->brought = xrealloc(r->brought, (r->n_brought + 1) * sizeof *r->brought);
	r->brought[r->n_brought++] = (struct brought_row){ db->index, row->id };
}

void history_brought(struct world *w, struct db *db, struct db_row *row, size_t entity, uint32_t fields)
{
	for (size_t u = 0; u < w->n_units[entity]; u++) {
		char *tuple;
		uint32_t writer;

		if ((fields & w->unit_fields[entity][u]) == 0)
			continue;
		tuple = db_tuple(db, row, entity, u);
		if (oracle_adds(w, entity, u)) {
			world_trace(w, "%s %s/%s #%lld unit %zu: brought %s", db->name, w->topology->entities[entity].def.name,
				    w->records[row->record].key, (long long)row->id, u, tuple);
			brought_sum(w, row, entity, u, tuple);
			row->brought[u] = world_now(w);
			free(tuple);
			continue;
		}
		writer = find_writer(w, row, u, tuple);
		/* A reference follows its parent's key; a row may come before its parent, with nothing there yet. */
		if (writer == 0 && !has_reference(w, entity, u) && !is_empty(tuple))
			world_fail(w, "C5", "%s %s/%s unit %zu shows <%s>, which nobody wrote", db->name,
				   w->topology->entities[entity].def.name, w->records[row->record].key, u, tuple);
		if (w->trace != NULL)
			world_trace(w, "%s %s/%s #%lld unit %zu: brought <%s> of edit %u", db->name,
				    w->topology->entities[entity].def.name, w->records[row->record].key,
				    (long long)row->id, u, tuple, writer);
		put_back_by_value(w, db, row, u, writer);
		keep_until_judged(w, db, row, u, writer);
		count_put_back(w, row, u, writer);
		w->edits[row->shown[u]].beaten |= writer != row->shown[u] && !is_empty(tuple) && tuple[0] != '\0';
		row->shown[u] = writer;
		row->brought[u] = world_now(w);
		free(tuple);
	}
}
