/*
 * plan.c - from a seed to a topology and a plan of what happens.
 *
 * The topology is made by hand, with the shape that conf/ gives it: the simulation needs no file.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static const char *const endpoint_names[SIM_ENDPOINTS] = { "east", "north", "west" };
static const char *const entity_names[SIM_ENTITIES] = { "account", "contact" };
static const char *const field_names[SIM_FIELDS] = { "number", "name", "phone", "city", "score", "account" };

/* ---- fields --------------------------------------------------------------------------------------------- */

static void field_clean(struct field_def *f, enum clean_kind a, enum clean_kind b)
{
	f->clean = xcalloc(2, sizeof *f->clean);
	f->clean[0].kind = a;
	f->clean[1].kind = b;
	f->n_clean = 2;
}

static void field_length(struct field_def *f, int64_t longest)
{
	f->checks = xcalloc(1, sizeof *f->checks);
	f->checks[0] = (struct check_step){ .kind = CHECK_LENGTH, .min_length = 0, .max_length = longest };
	f->n_checks = 1;
}

/* From a chance of its own: whoever refers to whom, the rest of what a seed brings stays as it is. */
static bool refers_to_itself(const struct world *w)
{
	return rng_chance(&(struct rng){ .s = w->seed * 227 }, 30) && w->mutation == MUTATE_NOTHING;
}

static void field_make(struct world *w, struct entity_def *d, size_t i, bool reference)
{
	struct field_def *f = &d->fields[i];

	f->group = -1;
	f->rule = d->rule;
	f->name = xstrdup(reference ? field_names[SIM_FIELDS - 1] : field_names[i]);
	f->type = FIELD_TEXT;
	if (reference) {
		f->type = FIELD_REFERENCE;
		f->refers = refers_to_itself(w) ? d : &w->topology->entities[0].def;
		return;
	}
	f->is_key = i < d->n_key;
	if (f->is_key)
		return;
	if (rng_chance(&w->rng, 25))
		f->type = FIELD_INTEGER;
	else if (rng_chance(&w->rng, 40))
		field_clean(f, CLEAN_TRIM, CLEAN_LOWER);
	if (f->type == FIELD_TEXT && w->plan.invalid)
		field_length(f, 12);
	if (rng_chance(&w->rng, 25))
		f->rule = f->rule == RULE_LAST_WRITER_WINS ? RULE_SOURCE_PRIORITY : RULE_LAST_WRITER_WINS;
}

/* From chances of their own, so that what else a seed brings does not depend on the rules that there are. */
static void rules_vary(struct world *w, struct entity_def *d)
{
	static const enum rule others[] = { RULE_MAX, RULE_MIN, RULE_MANUAL };
	struct rng rng = { .s = w->seed * 31 + d->index }, adds = { .s = w->seed * 37 + d->index };

	for (size_t f = 0; f < d->n_fields; f++) {
		struct field_def *x = &d->fields[f];

		if (!x->is_key && x->type != FIELD_REFERENCE && x->group < 0 && rng_chance(&rng, 30))
			x->rule = others[rng_below(&rng, countof(others))];
		if (!x->is_key && x->type == FIELD_INTEGER && x->group < 0 && rng_chance(&adds, 30))
			x->rule = RULE_ADD;
	}
}

/*
 * Rules of which one side is put back whatever its stamp. From chances of their own, too, and only in some seeds: those that found faults
 * once go on telling the same story.
 */
static void rules_of_rank(struct world *w, struct entity_def *d)
{
	struct rng rng = { .s = w->seed * 163 + d->index };

	if (!rng_chance(&(struct rng){ .s = w->seed * 157 }, 25) || w->mutation != MUTATE_NOTHING)
		return;
	for (size_t f = 0; f < d->n_fields; f++) {
		struct field_def *x = &d->fields[f];

		if (x->is_key || x->type == FIELD_REFERENCE || !rng_chance(&rng, 50))
			continue;
		x->rule = x->group >= 0 || rng_chance(&rng, 50) ? RULE_MIRROR : RULE_NEWEST_FILLED;
		for (size_t g = 0; x->group >= 0 && g < d->n_fields; g++)
			if (d->fields[g].group == x->group)
				d->fields[g].rule = x->rule;
	}
}

/* Any value will do but a sum, which nobody chose; what is cleaned may be unique here and not there. */
static void unique_choose(struct world *w, const struct entity_def *d)
{
	w->unique[d->index] = -1;
	for (size_t f = d->n_fields; w->plan.uniques && f-- > d->n_key;)
		if (d->fields[f].type != FIELD_REFERENCE && d->fields[f].rule != RULE_ADD && d->fields[f].n_clean == 0)
			w->unique[d->index] = (int8_t)f;
}

/* The first two fields that are neither key nor reference become a group, with one rule. */
static void group_make(struct entity_def *d)
{
	size_t a = d->n_key, b = d->n_key + 1;

	if (b >= d->n_fields || d->fields[b].type == FIELD_REFERENCE)
		return;
	d->n_groups = 1;
	d->fields[a].group = d->fields[b].group = 0;
	d->fields[b].rule = d->fields[a].rule;
}

static void units_make(struct world *w, size_t entity)
{
	const struct entity_def *d = &w->topology->entities[entity].def;
	int group_unit = -1;

	for (size_t f = 0; f < d->n_fields; f++) {
		size_t u;

		w->unit_of[entity][f] = -1;
		if (d->fields[f].is_key)
			continue;
		if (d->fields[f].group >= 0 && group_unit >= 0) {
			u = (size_t)group_unit;
		} else {
			u = w->n_units[entity]++;
			if (d->fields[f].group >= 0)
				group_unit = (int)u;
		}
		w->unit_fields[entity][u] |= UINT32_C(1) << f;
		w->unit_of[entity][f] = (int8_t)u;
	}
}

static void ranks_make(struct world *w, struct entity_def *d)
{
	size_t n = w->plan.n_endpoints, turn = rng_below(&w->rng, (uint32_t)n);

	for (size_t e = 0; e < ENDPOINTS_MAX; e++)
		d->rank[e] = (uint8_t)e;
	for (size_t e = 0; e < n; e++)
		d->rank[e] = (uint8_t)((e + turn) % n);
	if (n == 3 && rng_chance(&w->rng, 50)) {
		uint8_t t = d->rank[0];

		d->rank[0] = d->rank[1];
		d->rank[1] = t;
	}
}

static void entity_make(struct world *w, size_t i)
{
	struct entity_def *d = &w->topology->entities[i].def;
	bool reference = i == 1 && w->plan.references;

	d->name = xstrdup(entity_names[i]);
	d->index = i;
	d->n_key = rng_chance(&w->rng, 20) ? 2 : 1;
	for (size_t k = 0; k < d->n_key; k++)
		d->key[k] = (uint8_t)k;
	d->n_fields = d->n_key + 2 + rng_below(&w->rng, 2) + (reference ? 1 : 0);
	d->fields = xcalloc(d->n_fields, sizeof *d->fields);
	d->rule = rng_chance(&w->rng, 60) ? RULE_LAST_WRITER_WINS : RULE_SOURCE_PRIORITY;
	d->deletes = rng_chance(&w->rng, 50) ? DELETES_UPDATE_WINS : DELETES_DELETE_WINS;
	d->mass_delete = w->plan.masses ? 0.1 : 1;
	ranks_make(w, d);
	for (size_t f = 0; f < d->n_fields; f++)
		field_make(w, d, f, reference && f == d->n_fields - 1);
	if (w->plan.groups)
		group_make(d);
	rules_vary(w, d);
	rules_of_rank(w, d);
	unique_choose(w, d);
	units_make(w, i);
}

static void mappings_make(struct world *w, struct entity_conf *ec)
{
	for (size_t e = 0; e < w->plan.n_endpoints; e++) {
		struct mapping *m = xcalloc(1, sizeof *m);

		m->entity = &ec->def;
		m->endpoint = &w->topology->endpoints[e];
		m->table = xstrdup(ec->def.name);
		m->role = ROLE_BOTH;
		m->id = xstrdup("id");
		m->modified = w->dbs[e].has_modified ? xstrdup("modified") : NULL;
		m->columns = xcalloc(ec->def.n_fields, sizeof *m->columns);
		for (size_t f = 0; f < ec->def.n_fields; f++)
			m->columns[f] = xstrdup(ec->def.fields[f].name);
		m->delete_mode = DELETE_HARD;
		ec->mapping[e] = m;
	}
}

/* ---- endpoints ------------------------------------------------------------------------------------------- */

static void endpoint_make(struct world *w, size_t i)
{
	struct endpoint_conf *c = &w->topology->endpoints[i];
	struct db *db = &w->dbs[i];

	db->world = w;
	db->index = i;
	db->name = endpoint_names[i];
	db->listen = rng_chance(&w->rng, 60);
	db->has_modified = !db->listen || rng_chance(&w->rng, 60);
	db->touches = rng_chance(&w->rng, 60);
	db->echoes = rng_chance(&w->rng, 70);
	db->sees_open = rng_chance(&w->rng, 75) || w->mutation == MUTATE_CURSOR_BY_TIME;
	db->quantum_us = rng_chance(&w->rng, 15) ? SECOND : 1;
	db->skew_us = rng_chance(&w->rng, 30) ? 0 : rng_span(&w->rng, -90 * (int64_t)SECOND, 90 * (int64_t)SECOND);
	for (size_t t = 0; t < SIM_ENTITIES; t++)
		db->tables[t].next_id = rng_chance(&w->rng, 50) ? 1 : 1000 * (int64_t)(i + 1);
	if (db->quantum_us > w->plan.quantum_us)
		w->plan.quantum_us = db->quantum_us;
	c->name = xstrdup(db->name);
	c->index = i;
	c->driver = DRIVER_POSTGRES;
	c->connection = xstrdup("sim");
	c->capture = db->listen ? CAPTURE_LISTEN : CAPTURE_POLL;
	c->notify = rng_chance(&w->rng, 80);
	c->interval_us = rng_span(&w->rng, 1, 4) * SECOND;
	c->sweep_us = rng_span(&w->rng, 40, 90) * SECOND;
	c->install_auto = true;
	c->connections = rng_span(&w->rng, 1, 4);
	c->overlap_us = 5 * (int64_t)SECOND;
	c->statement_timeout_us = 30 * (int64_t)SECOND;
	c->lock_timeout_us = 2 * (int64_t)SECOND;
}

/* ---- the whole --------------------------------------------------------------------------------------------- */

static void dice(struct world *w)
{
	struct plan *p = &w->plan;
	struct rng *r = &w->rng;

	p->n_endpoints = rng_chance(r, 55) ? 2 : 3;
	p->n_entities = rng_chance(r, 50) ? 1 : 2;
	p->records = 2 + rng_below(r, rng_chance(r, 25) ? 38 : 8);
	p->edit_us = rng_span(r, 10, 60) * SECOND;
	p->edit_gap_us = rng_span(r, 20, 600) * 1000;
	p->references = p->n_entities == 2 && rng_chance(r, 70);
	p->groups = rng_chance(r, 35);
	p->deletes = rng_chance(r, 50);
	p->renames = rng_chance(r, 20);
	p->collisions = p->renames && rng_chance(r, 30);
	p->reverts = rng_chance(r, 25);
	p->invalid = rng_chance(r, 15);
	p->poison = rng_chance(r, 12);
	p->crashes = rng_chance(r, 60);
	p->outages = rng_chance(r, 45);
	p->store_outages = rng_chance(r, 30);
	p->lost_replies = rng_chance(r, 40);
	p->flushes = rng_chance(r, 8);
	p->long_transactions = rng_chance(r, 50);
	p->quantum_us = 1;
}

/* A mutation is shown on plans where nothing else could explain the failure, and where it can bite. */
static void dice_for_mutation(struct world *w)
{
	struct plan *p = &w->plan;

	if (w->mutation == MUTATE_NOTHING)
		return;
	p->deletes = p->renames = p->collisions = p->invalid = p->poison = p->flushes = p->reverts = false;
	p->long_transactions = true;
	p->edit_gap_us = 40000;
	p->records = 5;
	if (w->mutation == MUTATE_FORGET_INTENTS)
		p->crashes = true;
}

/* From chances of their own, too. What a flush forgets could not be told from what a put-back has to find. */
static void dice_for_rare_days(struct world *w)
{
	struct rng rng = { .s = w->seed * 41 };

	w->plan.masses = rng_chance(&(struct rng){ .s = w->seed * 43 }, 6) && w->mutation == MUTATE_NOTHING;
	if (w->plan.masses)
		w->plan.records = 100;
	w->plan.put_backs = rng_chance(&rng, 8) && w->mutation == MUTATE_NOTHING && !w->plan.flushes;
	w->plan.restores = rng_chance(&(struct rng){ .s = w->seed * 47 }, 8) && w->mutation == MUTATE_NOTHING && !w->plan.flushes &&
			   !w->plan.put_backs;
	/* Whether a value is as it was then, or was made so again, nobody can tell (SEMANTICS 9.5). */
	w->plan.reverts &= !w->plan.restores;
	w->plan.undos = rng_chance(&(struct rng){ .s = w->seed * 223 }, 12) && w->mutation == MUTATE_NOTHING;
	w->plan.uniques = rng_chance(&(struct rng){ .s = w->seed * 197 }, 15) && w->mutation == MUTATE_NOTHING;
	w->plan.exchanges = w->plan.renames && rng_chance(&(struct rng){ .s = w->seed * 239 }, 50) && w->mutation == MUTATE_NOTHING;
	w->plan.roll_backs = rng_chance(&(struct rng){ .s = w->seed * 71 }, 8) && w->mutation == MUTATE_NOTHING && !w->plan.flushes &&
			     !w->plan.put_backs && !w->plan.restores;
}

/* What else makes a former value come back is left out: only the state may be lost, while the daemon lives on and remembers. */
static void dice_for_parted(struct world *w)
{
	struct plan *p = &w->plan;

	p->parted = rng_chance(&(struct rng){ .s = w->seed * 233 }, 6) && w->mutation == MUTATE_NOTHING;
	if (!p->parted)
		return;
	p->flushes = true;
	p->deletes = p->renames = p->collisions = p->exchanges = p->reverts = p->invalid = p->poison = p->crashes = p->uniques = p->undos = false;
	p->put_backs = p->restores = p->roll_backs = p->masses = p->lost_replies = p->outages = false;
	p->records = p->records < 40 ? p->records : 40;
	p->edit_gap_us = p->edit_gap_us < 100000 ? p->edit_gap_us : 100000;
}

static char directory[] = "/tmp/sim.XXXXXX";

static void remove_directory(void)
{
	rmdir(directory);
}

/* Of this process. */
static const char *own_directory(void)
{
	static bool made;

	if (!made && mkdtemp(directory) != NULL)
		made = atexit(remove_directory) == 0;
	return directory;
}

static void leave_out(struct world *w)
{
	uint32_t part = 0;

#define X(name) w->plan.name &= !(w->left_out & UINT32_C(1) << part++);
	PLAN_PARTS(X)
#undef X
}

void plan_make(struct world *w)
{
	struct topology *t = w->topology = xcalloc(1, sizeof *t);

	dice(w);
	dice_for_mutation(w);
	dice_for_rare_days(w);
	dice_for_parted(w);
	leave_out(w);
	t->file = xstrdup("sim");
	t->name = xstrdup("sim");
	t->state.redis = xstrdup("sim");
	t->limits.batch_rows = rng_chance(&w->rng, 40) ? rng_span(&w->rng, 1, 6) : 500;
	t->limits.batch_bytes = 1 << 20;
	t->limits.rounds = rng_span(&w->rng, 1, 4);
	t->limits.max_ahead_us = 60 * (int64_t)SECOND;
	t->journal.directory = xstrdup(own_directory());	/* verify counts rows in a file there */
	t->journal.keep_us = INT64_C(30) * 86400 * SECOND;
	t->n_endpoints = w->plan.n_endpoints;
	t->endpoints = xcalloc(t->n_endpoints, sizeof *t->endpoints);
	t->n_entities = w->plan.n_entities;
	t->entities = xcalloc(t->n_entities, sizeof *t->entities);
	for (size_t e = 0; e < t->n_endpoints; e++)
		endpoint_make(w, e);
	for (size_t i = 0; i < t->n_entities; i++) {
		entity_make(w, i);
		mappings_make(w, &t->entities[i]);
	}
	if (w->mutation == MUTATE_CURSOR_BY_TIME || w->mutation == MUTATE_ACK_BY_MAX)	/* a sweep heals what these lose */
		for (size_t e = 0; e < t->n_endpoints; e++)
			t->endpoints[e].sweep_us = 0;
	world_trace(w, "seed %llu: %zu endpoints, %zu entities, %zu records%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s%s", (unsigned long long)w->seed,
		    w->plan.n_endpoints, w->plan.n_entities, w->plan.records,
		    w->plan.references ? " references" : "", w->plan.groups ? " groups" : "",
		    w->plan.deletes ? " deletes" : "", w->plan.renames ? " renames" : "", w->plan.reverts ? " reverts" : "",
		    w->plan.invalid ? " invalid" : "", w->plan.poison ? " poison" : "", w->plan.crashes ? " crashes" : "",
		    w->plan.outages ? " outages" : "", w->plan.store_outages ? " store-outages" : "",
		    w->plan.lost_replies ? " lost-replies" : "", w->plan.flushes ? " flushes" : "", w->plan.masses ? " masses" : "",
		    w->plan.put_backs ? " put-backs" : "", w->plan.restores ? " restores" : "", w->plan.roll_backs ? " roll-backs" : "",
		    w->plan.uniques ? " uniques" : "", w->plan.undos ? " undos" : "", w->plan.parted ? " parted" : "",
		    w->plan.exchanges ? " exchanges" : "");
	for (size_t e = 0; e < t->n_endpoints; e++)
		world_trace(w, "  %s: %s, skew %+.3f s, precision %lld us%s%s%s, interval %lld s, sweep %lld s", w->dbs[e].name,
			    w->dbs[e].listen ? "listen" : "poll", (double)w->dbs[e].skew_us / SECOND,
			    (long long)w->dbs[e].quantum_us, w->dbs[e].has_modified ? ", modified" : "",
			    w->dbs[e].touches ? ", touches" : "", w->dbs[e].echoes ? ", echoes" : "",
			    (long long)(t->endpoints[e].interval_us / SECOND), (long long)(t->endpoints[e].sweep_us / SECOND));
	for (size_t i = 0; i < t->n_entities; i++)
		for (size_t f = 0; f < t->entities[i].def.n_fields; f++) {
			const struct entity_def *d = &t->entities[i].def;

			world_trace(w, "  %s.%s: %s%s%s%s%s", d->name, d->fields[f].name, d->fields[f].is_key ? "key" :
				    rule_name(d->fields[f].rule),
				    d->fields[f].group >= 0 ? ", group" : "", d->fields[f].type == FIELD_INTEGER ? ", integer" : "",
				    f == 0 ? (d->deletes == DELETES_UPDATE_WINS ? ", update wins" : ", delete wins") : "",
				    f == 0 && d->rank[0] == 0 ? ", east first" : f == 0 && d->rank[1] == 0 ? ", north first" : "");
		}
}

static void entity_free(struct entity_conf *ec)
{
	for (size_t f = 0; f < ec->def.n_fields; f++) {
		free(ec->def.fields[f].name);
		free(ec->def.fields[f].clean);
		free(ec->def.fields[f].checks);
	}
	for (size_t e = 0; e < ENDPOINTS_MAX; e++) {
		struct mapping *m = ec->mapping[e];

		if (m == NULL)
			continue;
		for (size_t f = 0; f < ec->def.n_fields; f++)
			free(m->columns[f]);
		free(m->columns);
		free(m->table);
		free(m->id);
		free(m->modified);
		free(m);
	}
	free(ec->def.fields);
	free(ec->def.name);
}

void plan_free(struct world *w)
{
	struct topology *t = w->topology;

	for (size_t i = 0; i < t->n_entities; i++)
		entity_free(&t->entities[i]);
	for (size_t e = 0; e < t->n_endpoints; e++) {
		free(t->endpoints[e].name);
		free(t->endpoints[e].connection);
	}
	free(t->entities);
	free(t->endpoints);
	free(t->journal.directory);
	free(t->file);
	free(t->name);
	free(t->state.redis);
	free(t);
	w->topology = NULL;
}
