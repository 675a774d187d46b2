/*
 * check.c - the checkers C1 to C5. Share no code with the merge: they work from the history alone, and from what oracle.c makes of it.
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

/* ---- what stands at the end ------------------------------------------------------------------------------------- */

struct final {
	const struct db_row *rows[SIM_ENDPOINTS];	/* NULL: not there */
	bool equal, alive;
	bool parked;					/* somewhere, and the journal says so */
	bool row_parked;				/* a row of it, not only a write */
};

struct parked_scan {
	struct world *world;
	struct final *finals;	/* by record */
};

char *record_printed(const struct world *w, const struct sim_record *r)
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
		key = record_printed(w, r);
		named = strcmp(key, p->key) == 0;
		free(key);
		for (size_t e = 0; e < w->plan.n_endpoints && !named; e++)
			named = strcmp(w->dbs[e].name, p->endpoint) == 0 && s->finals[i].rows[e] != NULL &&
				s->finals[i].rows[e]->id == atoll(p->local_id);
		for (size_t j = 0; named && j < w->n_records; j++)
			if (w->records[j].lineage == r->lineage) {
				s->finals[j].parked = true;
				s->finals[j].row_parked |= p->capture;
			}
	}
	return true;
}

/*
 * Because another row there has its key, or its unique value: is that so? (Where a row of the record is parked itself, what stands may be
 * shown nowhere, and nothing is written.)
 */
static bool on_taken(void *arg, const struct journal_parked *p)
{
	struct parked_scan *s = arg;
	struct world *w = s->world;
	const struct db *db = NULL;

	for (size_t e = 0; e < w->plan.n_endpoints; e++)
		if (strcmp(w->dbs[e].name, p->endpoint) == 0)
			db = &w->dbs[e];
	for (size_t i = 0; !p->capture && (strcmp(p->code, "23505") == 0 || strcmp(p->code, "key-taken") == 0) && i < w->n_records; i++) {
		const struct sim_record *r = &w->records[i];
		char *key = record_printed(w, r);
		bool named = strcmp(key, p->key) == 0 && strcmp(w->topology->entities[r->entity].def.name, p->entity) == 0;

		free(key);
		if (named && s->finals[i].alive && !s->finals[i].row_parked && db_row_by_key(db, r->entity, r->key) == NULL &&
		    !unique_waits_rightly(w, (uint32_t)i, db))
			world_fail(w, "parked", "%s/%s at %s waits for a key or value that nobody there has", p->entity, p->key, p->endpoint);
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
		key = record_printed(w, &w->records[i]);
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
 * the digests may change with a flush.) */
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

/* A delete of before a database was put back: nobody remembers whose it was. */
static bool is_nobody(const struct note *n)
{
	return strcmp(n->endpoint, "(unknown)") == 0;
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
		    w->flushed_us == 0 && !(n->value != NULL && part_of(e->tuple, n->value)) && !(e->is_delete && deleted_twice(w, e)) &&
		    !(e->is_delete && n->deleted && is_nobody(n)))
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

/* What the one row showed was what the other one showed, or made on top of that. */
static bool had_seen(const struct world *w, uint32_t id, uint32_t other)
{
	while (id != other && id != 0 && other != 0)
		id = w->edits[id].parent;
	return id == other;
}

/*
 * Somebody deleted the row while it showed that very value, or had shown it when it was last heard of: it was put back elsewhere, and went
 * with the record. Or something was made on top of it there, which would have been put back. Had the delete lost, the value would be
 * shown, or a line would name the delete.
 */
static bool seen_by_deleter(const struct world *w, const struct edit *e, bool alive)
{
	for (size_t i = 1; i < w->n_edits && !e->is_delete; i++) {
		const struct edit *d = &w->edits[i];

		if (d->is_delete && d->record == e->record && (!alive || inserted_since(w, d)) &&
		    (same_value(w, d->seen[e->unit], e) || same_value(w, last_told(w, d, e->unit), e) ||
		     (e->covered && had_seen(w, d->seen[e->unit], (uint32_t)(e - w->edits)))))
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

/* The daemon took the same value from elsewhere, and knew of both before it took what is on top of that: to it the two are one. */
static bool is_said_twice(const struct world *w, const struct edit *e)
{
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *p = &w->edits[i];
		bool first = p != e && !p->is_delete && !e->is_delete && p->settled_us != 0 && e->told_us != 0 && p->covered && p->unit == e->unit &&
			     w->records[p->record].lineage == w->records[e->record].lineage && strcmp(p->tuple, e->tuple) == 0;

		for (size_t j = i + 1; first && j < w->n_edits; j++)
			if (w->edits[j].parent == i && w->edits[j].settled_us != 0 && w->edits[j].settled_us < e->told_us)
				first = false;
		if (first)
			return true;
	}
	return false;
}

static void check_lost(struct world *w, const struct final *finals, const struct notes *all)
{
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *e = &w->edits[i];
		const struct sim_record *r = &w->records[e->record];

		if (oracle_covered(w, e) || e->covered_by_delete || e->unseen_change || e->renamed || e->gone_with_db)
			continue;
		if (r->undone_us != 0 && e->commit_us <= r->undone_us)
			continue;
		if (!e->is_delete && oracle_adds(w, r->entity, e->unit))
			continue;	/* it is in the sum: check_sum() */
		if (is_said_twice(w, e))
			continue;
		/* Where the record is gone, a row of it may be left that is parked. */
		if (seen_by_deleter(w, e, finals[e->record].alive && !finals[e->record].parked))
			continue;
		/* The key is another row's since: inserted again, or renamed. */
		if (e->is_delete && given_again(w, e))
			continue;
		if (e->is_delete && life_had_ended(w, e))
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

/*
 * Nobody else edited that record, and the daemon had digested what was there before when the edit was made: whatever it remembers, or does
 * not, that is not to come back.
 */
static void check_former(struct world *w, const struct final *finals)
{
	for (uint32_t i = 1; w->plan.parted && i < w->n_edits; i++) {
		const struct edit *e = &w->edits[i];
		const struct sim_record *r = &w->records[e->record];
		const struct db_row *row = finals[e->record].rows[e->endpoint];
		uint32_t now = row != NULL && !e->is_delete ? row->shown[e->unit] : 0;

		if (now == 0 || e->covered || e->initial || e->unseen_change || e->commit_us > w->flushed_us || r->complex ||
		    r->judged || oracle_ruled(w, e))	/* who decides edits the record, too */
			continue;
		w->sometimes->parted++;
		if (now != i && had_seen(w, i, now) && !same_value(w, now, e) && w->edits[now].settled_us != 0 &&
		    w->edits[now].settled_us <= e->commit_us)
			world_fail(w, "C6", "%s/%s unit %u: edit %u, <%s>, lost to what was there before, <%s> of edit %u",
				   w->topology->entities[r->entity].def.name, r->key, e->unit, i, e->tuple, w->edits[now].tuple, now);
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
	if (f->ambiguous && !oracle_is_blank(w, f))
		goto out;
	/* Where values or people decide, one may come back that somebody had replaced: others had been given it. */
	if (!f->ambiguous && !oracle_by_value(w, f) && !(oracle_waits(w, f) && r->judged) && oracle_surely_covered(w, f) &&
	    !any_maybe_unseen(w, record, unit))
		world_fail(w, "C4", "%s/%s unit %zu ends as <%s> (edit %zu), though somebody edited on top of it",
			   entity, r->key, unit, tuple, (size_t)(f - w->edits));
	for (size_t i = 1; i < w->n_edits; i++) {
		const struct edit *m = &w->edits[i];

		if (m == f || m->record != record || m->is_delete || m->unit != unit || oracle_covered(w, m) || m->put_back || m->unseen_change ||
		    maybe_unseen(m) || (f->ambiguous && (oracle_is_blank(w, m) || m->beaten)) || oracle_may_win(w, f, m))
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
		unseen |= !e->is_delete && oracle_waits(w, e) && e->covered && !oracle_surely_covered(w, e);
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
		if (r->complex || r->undone_us != 0 || finals[i].parked || !finals[i].equal || plan_loses_state(&w->plan) || w->plans > 0)
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
	if (w->unrecognised)
		world_fail(w, "epoch", "nobody noticed that the store was put back");
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
	if (!journal_parked_each(w->journal, NULL, NULL, 0, 100000, on_taken, &scan, &e))
		world_fail(w, "journal", "%s", e.text);
	park_children(w, finals);
	notes_read(w, &notes);
	check_equal(w, finals);
	check_lost(w, finals, &notes);
	check_former(w, finals);
	check_winners(w, finals);
	check_recognised(w);
	notes_free(&notes);
	free(finals);
}
