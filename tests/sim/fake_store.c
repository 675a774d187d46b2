/*
 * fake_store.c - the seam of store.h over keys in memory.
 *
 * One connection: commands take effect in the order of the calls and are answered in that order, each after a
 * random delay. When it breaks, a prefix of what was sent has happened; a write is a transaction, all or nothing.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "sync/restore.h"

enum cmd_kind { CMD_RECALL, CMD_LOOKUP, CMD_INTEND, CMD_INTENTS, CMD_WRITE, CMD_POSITION, CMD_SCAN, CMD_PRESIZE, CMD_BURIED, CMD_FACTS, CMD_LEAVE };

struct cmd_write {			/* a deep copy of store_write */
	struct kept_vector *puts;
	struct kept_map *maps;
	bool *map_gone;
	struct kept_text *positions;
	bool *unburied;			/* of the puts */
	size_t n_puts, n_maps, n_positions;
	char *intent_done;
	int64_t added;
};

struct cmd {
	struct cmd *next;		/* in the order of the calls */
	struct fake_store *face;
	enum cmd_kind kind;
	size_t entity, n;
	bool served, fails;
	uint64_t born;			/* of the keys for which it was meant: in others it finds nothing and leaves nothing */
	struct rid *rids;
	bool *found;
	struct value *blobs, *names;
	char **ids;
	uint8_t endpoint;
	char *name;
	struct value text;
	uint64_t from, next_page;
	struct cmd_write write;
	union {
		store_vectors_fn *vectors;
		store_rids_fn *rids;
		store_done_fn *done;
		store_text_fn *text;
		store_scan_fn *scan;
		store_intents_fn *intents;
		store_facts_fn *facts;
	} answer;
	void *arg;
};

struct fake_store {
	struct store store;		/* first member */
	struct world *world;
	struct cmd *first, **last;
	int64_t served_us, answered_us;	/* when the newest command is served and answered */
	uint64_t born;			/* of the keys it last saw */
	bool key_known;			/* and theirs for digests */
	int64_t refuses_until_us;
	int64_t floor;			/* the fencing number has to be above it */
	bool freeing;
};

/* ---- the keys ------------------------------------------------------------------------------------------------- */

static void numbers_deal(struct rng *r, uint8_t *to, size_t n, uint8_t from)
{
	for (size_t i = 0; i < n; i++)
		to[i] = (uint8_t)(from + i);
	for (size_t i = n; i > 1; i--) {
		size_t j = rng_below(r, (uint32_t)i);
		uint8_t t = to[i - 1];

		to[i - 1] = to[j];
		to[j] = t;
	}
}

void store_keys_init(struct world *w)
{
	struct store_keys *k = &w->keys;

	k->born = rng_next(&w->rng);
	for (size_t i = 0; i < DIGEST_KEY_BYTES; i++)
		k->key.secret[i] = (unsigned char)rng_next(&w->rng);
	numbers_deal(&w->rng, k->endpoint_number, w->plan.n_endpoints, 0);
	for (size_t i = 0; i < w->plan.n_entities; i++)
		numbers_deal(&w->rng, k->field_number[i], w->topology->entities[i].def.n_fields, 0);
}

void store_keys_drop(struct store_keys *k)
{
	for (size_t i = 0; i < SIM_ENTITIES; i++) {
		for (size_t j = 0; j < k->n_vectors[i]; j++)
			free(k->vectors[i][j].p);
		for (size_t j = 0; j < k->n_maps[i]; j++)
			free(k->maps[i][j].id);
		free(k->vectors[i]);
		free(k->maps[i]);
		free(k->gone[i]);
	}
	for (size_t j = 0; j < k->n_positions; j++) {
		free(k->positions[j].name);
		free(k->positions[j].p);
	}
	for (size_t j = 0; j < k->n_intents; j++) {
		free(k->intents[j].name);
		free(k->intents[j].p);
	}
	free(k->positions);
	free(k->intents);
}

void store_keys_fini(struct world *w)
{
	store_keys_drop(&w->keys);
	w->keys = (struct store_keys){ .away = w->keys.away, .face = w->keys.face };
}

static struct kept_vector *vector_find(struct store_keys *k, size_t entity, const struct rid *rid)
{
	for (size_t i = 0; i < k->n_vectors[entity]; i++)
		if (rid_equal(&k->vectors[entity][i].rid, rid))
			return &k->vectors[entity][i];
	return NULL;
}

static void vector_put(struct store_keys *k, size_t entity, const struct kept_vector *put)
{
	struct kept_vector *v = vector_find(k, entity, &put->rid);

	if (v != NULL)
		free(v->p);
	if (put->len < 0) {
		if (v != NULL)
			*v = k->vectors[entity][--k->n_vectors[entity]];
		return;
	}
	if (v == NULL) {
		k->vectors[entity] = xrealloc(k->vectors[entity], (k->n_vectors[entity] + 1) * sizeof *v);
		v = &k->vectors[entity][k->n_vectors[entity]++];
	}
	*v = (struct kept_vector){ .rid = put->rid, .p = xmalloc((size_t)put->len + 1), .len = put->len };
	memcpy(v->p, put->p, (size_t)put->len);
}

static bool is_gone(const struct store_keys *k, size_t entity, const struct rid *rid)
{
	for (size_t i = 0; i < k->n_gone[entity]; i++)
		if (rid_equal(&k->gone[entity][i], rid))
			return vector_find((struct store_keys *)k, entity, rid) == NULL;
	return false;
}

static void bury(struct store_keys *k, size_t entity, const struct rid *rid)
{
	if (is_gone(k, entity, rid))
		return;
	k->gone[entity] = xrealloc(k->gone[entity], (k->n_gone[entity] + 1) * sizeof *rid);
	k->gone[entity][k->n_gone[entity]++] = *rid;
}

static struct kept_map *map_find(struct store_keys *k, size_t entity, uint8_t endpoint, const char *id)
{
	for (size_t i = 0; i < k->n_maps[entity]; i++)
		if (k->maps[entity][i].endpoint == endpoint && strcmp(k->maps[entity][i].id, id) == 0)
			return &k->maps[entity][i];
	return NULL;
}

static void map_put(struct store_keys *k, size_t entity, const struct kept_map *put, bool gone)
{
	struct kept_map *m = map_find(k, entity, put->endpoint, put->id);

	if (gone) {
		if (m != NULL) {
			free(m->id);
			*m = k->maps[entity][--k->n_maps[entity]];
		}
		return;
	}
	if (m == NULL) {
		k->maps[entity] = xrealloc(k->maps[entity], (k->n_maps[entity] + 1) * sizeof *m);
		m = &k->maps[entity][k->n_maps[entity]++];
		*m = (struct kept_map){ .endpoint = put->endpoint, .id = xstrdup(put->id) };
	}
	m->rid = put->rid;
}

/* Positions and intents: text by name; p NULL deletes. */
static void text_put(struct kept_text **list, size_t *n, const char *name, const char *p, size_t len)
{
	size_t i = 0;

	while (i < *n && strcmp((*list)[i].name, name) != 0)
		i++;
	if (i < *n)
		free((*list)[i].p);
	if (p == NULL) {
		if (i < *n) {
			free((*list)[i].name);
			(*list)[i] = (*list)[--*n];
		}
		return;
	}
	if (i == *n) {
		*list = xrealloc(*list, (*n + 1) * sizeof **list);
		(*list)[(*n)++].name = xstrdup(name);
	}
	(*list)[i].p = xmalloc(len + 1);
	(*list)[i].len = len;
	memcpy((*list)[i].p, p, len);
	(*list)[i].p[len] = '\0';
}

/* ---- serving a command ------------------------------------------------------------------------------------------- */

static struct value keep(const char *p, size_t len)
{
	char *copy = xmalloc(len + 1);

	memcpy(copy, p, len);
	copy[len] = '\0';
	return (struct value){ copy, (int32_t)len };
}

static void serve_recall(struct cmd *c, struct store_keys *k)
{
	c->blobs = xcalloc(c->n + 1, sizeof *c->blobs);
	for (size_t i = 0; i < c->n; i++) {
		const struct kept_vector *v = vector_find(k, c->entity, &c->rids[i]);

		c->blobs[i] = v != NULL ? keep(v->p, (size_t)v->len) : VALUE_NULL;
	}
}

static void serve_lookup(struct cmd *c, struct store_keys *k)
{
	c->rids = xcalloc(c->n + 1, sizeof *c->rids);
	c->found = xcalloc(c->n + 1, sizeof *c->found);
	for (size_t i = 0; i < c->n; i++) {
		const struct kept_map *m = map_find(k, c->entity, c->endpoint, c->ids[i]);

		c->found[i] = m != NULL;
		if (m != NULL)
			c->rids[i] = m->rid;
	}
}

/* Which records an intent is about: id; u8 flags, and the id that it leaves when the lowest is set; u32 length, vector. */
static void tell_intended(struct world *w, const struct cmd *c)
{
	struct cut x = cut_of(c->text.data, (size_t)c->text.len);

	while (!x.bad && cut_left(&x) > 0) {
		struct rid rid = { 0 };
		const void *id = cut_bytes(&x, RID_BYTES);

		if (cut_u8(&x) & 1)
			cut_bytes(&x, RID_BYTES);
		cut_bytes(&x, cut_be32(&x));
		if (x.bad)
			return;
		memcpy(rid.b, id, RID_BYTES);
		for (size_t i = 0; i < w->plan.n_entities; i++)
			history_intended(w, i, &rid);
	}
}

static void serve_intents(struct cmd *c, struct store_keys *k)
{
	c->n = k->n_intents;
	c->names = xcalloc(c->n + 1, sizeof *c->names);
	c->blobs = xcalloc(c->n + 1, sizeof *c->blobs);
	for (size_t i = 0; i < c->n; i++) {
		c->names[i] = keep(k->intents[i].name, strlen(k->intents[i].name));
		c->blobs[i] = keep(k->intents[i].p, k->intents[i].len);
	}
}

static void serve_scan(struct cmd *c, struct store_keys *k)
{
	size_t room = k->n_vectors[c->entity] + 1;

	c->rids = xcalloc(room, sizeof *c->rids);
	c->blobs = xcalloc(room, sizeof *c->blobs);
	/* In the order of the ids, so that a record that stays is seen once wherever others come and go. */
	for (uint64_t bucket = c->from; bucket < 256; bucket++) {
		for (size_t i = 0; i < k->n_vectors[c->entity]; i++) {
			const struct kept_vector *v = &k->vectors[c->entity][i];

			if (v->rid.b[0] != bucket)
				continue;
			c->rids[c->n] = v->rid;
			c->blobs[c->n++] = keep(v->p, (size_t)v->len);
		}
		c->next_page = bucket + 1;
		if (c->n >= 8)
			break;
	}
	if (c->next_page >= 256)
		c->next_page = 0;
}

/* One transaction: all of it or nothing. */
static void serve_write(struct cmd *c, struct store_keys *k)
{
	struct world *w = c->face->world;
	const struct cmd_write *x = &c->write;

	for (size_t i = 0; i < x->n_puts; i++) {
		if (w->mutation != MUTATE_FORGET_WRITES || rng_chance(&w->rng, 80))
			vector_put(k, c->entity, &x->puts[i]);
		if (x->puts[i].len < 0 && !x->unburied[i])
			bury(k, c->entity, &x->puts[i].rid);
		history_put(w, c->entity, &x->puts[i].rid);
	}
	for (size_t i = 0; i < x->n_maps; i++)
		map_put(k, c->entity, &x->maps[i], x->map_gone[i]);
	for (size_t i = 0; i < x->n_positions; i++) {
		text_put(&k->positions, &k->n_positions, x->positions[i].name, x->positions[i].p, x->positions[i].len);
		history_position(w, x->positions[i].name, x->positions[i].p == NULL);
	}
	k->records[c->entity] += x->added;
	if (x->intent_done != NULL)
		text_put(&k->intents, &k->n_intents, x->intent_done, NULL, 0);
	w->intended = false;
	w->marked = w->applied;
	w->applied = false;
}

static void serve(struct cmd *c)
{
	struct world *w = c->face->world;
	struct store_keys *k = &w->keys;

	c->served = true;
	switch (c->kind) {
	case CMD_RECALL:
		serve_recall(c, k);
		break;
	case CMD_LOOKUP:
		serve_lookup(c, k);
		break;
	case CMD_INTEND:
		if (w->mutation != MUTATE_FORGET_INTENTS)
			text_put(&k->intents, &k->n_intents, c->name, c->text.data, (size_t)c->text.len);
		tell_intended(w, c);
		w->intended = true;
		w->applied = w->marked = false;
		break;
	case CMD_INTENTS:
		serve_intents(c, k);
		break;
	case CMD_WRITE:
		serve_write(c, k);
		break;
	case CMD_POSITION:
		for (size_t i = 0; i < k->n_positions; i++)
			if (strcmp(k->positions[i].name, c->name) == 0)
				c->text = keep(k->positions[i].p, k->positions[i].len);
		break;
	case CMD_SCAN:
		serve_scan(c, k);
		break;
	case CMD_PRESIZE:
	case CMD_LEAVE:
		break;
	case CMD_FACTS:
		fake_store_backup(c->face->world);
		break;
	case CMD_BURIED:
		c->found = xcalloc(c->n + 1, sizeof *c->found);
		for (size_t i = 0; i < c->n; i++) {
			c->found[i] = is_gone(k, c->entity, &c->rids[i]);
			w->sometimes->buried += c->found[i];
		}
		break;
	}
}

/* ---- answering ------------------------------------------------------------------------------------------------------ */

static void cmd_free(struct cmd *c)
{
	for (size_t i = 0; c->blobs != NULL && i < c->n; i++)
		free((char *)c->blobs[i].data);
	for (size_t i = 0; c->names != NULL && i < c->n; i++)
		free((char *)c->names[i].data);
	for (size_t i = 0; c->ids != NULL && i < c->n; i++)
		free(c->ids[i]);
	for (size_t i = 0; i < c->write.n_puts; i++)
		free(c->write.puts[i].p);
	for (size_t i = 0; i < c->write.n_maps; i++)
		free(c->write.maps[i].id);
	for (size_t i = 0; i < c->write.n_positions; i++) {
		free(c->write.positions[i].name);
		free(c->write.positions[i].p);
	}
	free(c->write.puts);
	free(c->write.unburied);
	free(c->write.maps);
	free(c->write.map_gone);
	free(c->write.positions);
	free(c->write.intent_done);
	free(c->blobs);
	free(c->names);
	free(c->ids);
	free(c->rids);
	free(c->found);
	free(c->name);
	free((char *)c->text.data);
	free(c);
}

static void answer_facts(struct cmd *c, const struct err *e)
{
	struct store_keys *k = &c->face->world->backup;
	struct store_fact *facts = xcalloc(k->n_positions + 1, sizeof *facts);

	for (size_t i = 0; i < k->n_positions; i++)
		facts[i] = (struct store_fact){ FACT_POSITION, value_of(k->positions[i].name),
						{ k->positions[i].p, (int32_t)k->positions[i].len } };
	c->answer.facts(c->arg, facts, e == NULL ? k->n_positions : 0, e);
	free(facts);
}

/* Before whoever wrote hears of it. */
static void tell_tap(const struct cmd *c)
{
	const struct store_tap *tap = &c->face->store.tap;
	struct store_put *puts = xcalloc(c->write.n_puts + 1, sizeof *puts);

	for (size_t i = 0; i < c->write.n_puts; i++)
		puts[i] = (struct store_put){ .rid = c->write.puts[i].rid, .blob = { c->write.puts[i].p, c->write.puts[i].len } };
	if (tap->written != NULL)
		tap->written(tap->arg, c->entity, puts, c->write.n_puts);
	free(puts);
}

static void answer(struct cmd *c, const struct err *e)
{
	switch (c->kind) {
	case CMD_RECALL:
		c->answer.vectors(c->arg, e == NULL ? c->blobs : NULL, e == NULL ? c->n : 0, e);
		break;
	case CMD_LOOKUP:
	case CMD_BURIED:
		c->answer.rids(c->arg, e == NULL ? c->rids : NULL, e == NULL ? c->found : NULL, e == NULL ? c->n : 0, e);
		break;
	case CMD_FACTS:
		answer_facts(c, e);
		break;
	case CMD_WRITE:
		if (e == NULL)
			tell_tap(c);
		c->answer.done(c->arg, e);
		break;
	case CMD_INTEND:
	case CMD_PRESIZE:
	case CMD_LEAVE:
		c->answer.done(c->arg, e);
		break;
	case CMD_INTENTS:
		c->answer.intents(c->arg, e == NULL ? c->names : NULL, e == NULL ? c->blobs : NULL, e == NULL ? c->n : 0, e);
		break;
	case CMD_POSITION:
		c->answer.text(c->arg, e == NULL ? c->text : VALUE_NULL, e);
		break;
	case CMD_SCAN:
		c->answer.scan(c->arg, e == NULL ? c->rids : NULL, e == NULL ? c->blobs : NULL, e == NULL ? c->n : 0,
			       e == NULL ? c->next_page : 0, e);
		break;
	}
}

/* Takes the keys as they are now: name numbers and the digest key, as after connecting. True: they are not those it knew. */
static bool keys_learn(struct fake_store *face)
{
	struct world *w = face->world;
	bool replaced = face->born != 0 && face->born != w->keys.born;

	face->born = w->keys.born;
	face->store.key = w->keys.key;
	face->key_known = true;
	for (size_t i = 0; i < w->plan.n_entities; i++) {
		struct vector_layout *l = &face->store.layouts[i];

		l->n_fields = w->topology->entities[i].def.n_fields;
		l->n_endpoints = w->plan.n_endpoints;
		l->fields_stored = (uint8_t)l->n_fields;
		memcpy(l->field_number, w->keys.field_number[i], l->n_fields);
		vector_layout_order(l);
		memcpy(l->endpoint_number, w->keys.endpoint_number, l->n_endpoints);
		face->store.records[i] = w->keys.records[i];
	}
	return replaced;
}

static void cut_off(struct fake_store *face);
static void come_up(struct world *w, void *arg);

/* The connection is given up with everything that was under way on it, and the keys are learned anew. */
static void notice_flush(struct fake_store *face)
{
	struct world *w = face->world;

	world_trace(w, "store: the keys are not those that were known");
	face->born = 0;
	face->store.ready = false;
	err_set(&face->store.why, ERR_TRANSIENT, "state-lost", "the state was emptied or replaced");
	history_forgot(w);
	face->store.events.lost(face->store.events.arg);
	face->store.events.down(face->store.events.arg, &face->store.why);
	cut_off(face);
	world_after(w, world_delay(w), come_up, NULL);
}

static void cmd_answer(struct cmd *c)
{
	struct fake_store *face = c->face;
	struct err e = { 0 };

	face->first = c->next;
	if (face->first == NULL)
		face->last = &face->first;
	if (face->born != face->world->keys.born && face->store.ready) {
		c->fails = true;
		notice_flush(face);
	}
	if (c->served)
		for (size_t i = 0; i < face->world->plan.n_entities; i++)
			face->store.records[i] = face->world->keys.records[i];
	err_set(&e, ERR_TRANSIENT, "", "the store is away");
	answer(c, c->served && !c->fails ? NULL : &e);
	c->face = NULL;
}

/* The commands in one queue, the events each with its own command: an event finds it done, or does it. */
static void serve_event(struct world *w, void *arg)
{
	struct cmd *c = arg;

	if (c->face != NULL && !c->fails && c->born == w->keys.born)
		serve(c);
	else
		c->fails = true;
}

static void answer_event(struct world *w, void *arg)
{
	struct cmd *c = arg;

	if (c->face != NULL)
		cmd_answer(c);
	cmd_free(c);
}

bool fake_store_drop(const struct event *e)
{
	if (e->fn == answer_event)	/* a command has two events; this is the later one */
		cmd_free(e->arg);
	return e->fn == answer_event || e->fn == serve_event;
}

static struct cmd *cmd_new(struct store *store, enum cmd_kind kind, size_t entity, void *arg)
{
	struct fake_store *face = (struct fake_store *)store;
	struct world *w = face->world;
	struct cmd *c = xcalloc(1, sizeof *c);
	int64_t now = world_now(w);

	if (face->freeing)
		world_fail(w, "seam", "a command was sent to the store while it is being freed");
	c->face = face;
	c->kind = kind;
	c->entity = entity;
	c->arg = arg;
	c->text = VALUE_NULL;
	c->fails = !store->ready || now < face->refuses_until_us;
	c->born = face->born;
	*face->last = c;
	face->last = &c->next;
	face->served_us = (face->served_us > now ? face->served_us : now) + rng_span(&w->rng, 1, 400);
	if (rng_chance(&w->rng, 3))
		face->served_us += world_delay(w);
	face->answered_us = (face->answered_us > face->served_us ? face->answered_us : face->served_us) + rng_span(&w->rng, 1, 400);
	world_at(w, face->served_us, serve_event, c);
	world_at(w, face->answered_us, answer_event, c);
	return c;
}

/* ---- the rows of the operation table ------------------------------------------------------------------------------------ */

static void fake_recall(struct store *s, size_t entity, const struct rid *rids, size_t n, store_vectors_fn *fn, void *arg)
{
	struct cmd *c = cmd_new(s, CMD_RECALL, entity, arg);

	c->answer.vectors = fn;
	c->n = n;
	c->rids = xmalloc((n + 1) * sizeof *rids);
	if (n > 0)
		memcpy(c->rids, rids, n * sizeof *rids);
	for (size_t i = 0; i < n; i++)
		history_recalled(c->face->world, entity, &rids[i]);
}

static void fake_lookup(struct store *s, size_t entity, uint8_t endpoint, const struct value *ids, size_t n, store_rids_fn *fn, void *arg)
{
	struct cmd *c = cmd_new(s, CMD_LOOKUP, entity, arg);

	c->answer.rids = fn;
	c->n = n;
	c->endpoint = endpoint;
	c->ids = xcalloc(n + 1, sizeof *c->ids);
	for (size_t i = 0; i < n; i++)
		c->ids[i] = xstrndup(ids[i].data, (size_t)ids[i].len);
}

static void fake_intend(struct store *s, const char *name, const void *blob, size_t len, store_done_fn *fn, void *arg)
{
	struct cmd *c = cmd_new(s, CMD_INTEND, 0, arg);

	c->answer.done = fn;
	c->name = xstrdup(name);
	c->text = keep(blob, len);
}

static void fake_intents(struct store *s, store_intents_fn *fn, void *arg)
{
	cmd_new(s, CMD_INTENTS, 0, arg)->answer.intents = fn;
}

static void fake_write(struct store *s, size_t entity, const struct store_write *x, store_done_fn *fn, void *arg)
{
	struct cmd *c = cmd_new(s, CMD_WRITE, entity, arg);
	struct cmd_write *to = &c->write;
	struct world *w = c->face->world;

	c->answer.done = fn;
	to->puts = xcalloc(x->n_puts + 1, sizeof *to->puts);
	to->unburied = xcalloc(x->n_puts + 1, sizeof *to->unburied);
	to->maps = xcalloc(x->n_maps + 1, sizeof *to->maps);
	to->map_gone = xcalloc(x->n_maps + 1, sizeof *to->map_gone);
	to->positions = xcalloc(x->n_positions + 1, sizeof *to->positions);
	to->n_puts = x->n_puts;
	to->n_maps = x->n_maps;
	to->n_positions = x->n_positions;
	for (size_t i = 0; i < x->n_puts; i++) {
		struct value blob = x->puts[i].blob;

		to->puts[i] = (struct kept_vector){ .rid = x->puts[i].rid, .len = blob.len };
		to->unburied[i] = x->puts[i].unburied;
		w->sometimes->forgotten += x->puts[i].unburied;
		if (blob.len >= 0)
			to->puts[i].p = (char *)keep(blob.data, (size_t)blob.len).data;
	}
	for (size_t i = 0; i < x->n_maps; i++) {
		to->maps[i] = (struct kept_map){ .endpoint = x->maps[i].endpoint, .rid = x->maps[i].rid };
		to->maps[i].id = xstrndup(x->maps[i].id.data, (size_t)x->maps[i].id.len);
		to->map_gone[i] = x->maps[i].gone;
	}
	for (size_t i = 0; i < x->n_positions; i++) {
		to->positions[i].name = xstrdup(x->positions[i].name);
		to->positions[i].p = x->positions[i].text != NULL ? xstrdup(x->positions[i].text) : NULL;
		to->positions[i].len = x->positions[i].text != NULL ? strlen(x->positions[i].text) : 0;
	}
	to->intent_done = x->intent_done != NULL ? xstrdup(x->intent_done) : NULL;
	to->added = x->records_added;
}

static void fake_position(struct store *s, const char *name, store_text_fn *fn, void *arg)
{
	struct cmd *c = cmd_new(s, CMD_POSITION, 0, arg);

	c->answer.text = fn;
	c->name = xstrdup(name);
}

static void fake_scan(struct store *s, size_t entity, uint64_t from, store_scan_fn *fn, void *arg)
{
	struct cmd *c = cmd_new(s, CMD_SCAN, entity, arg);

	c->answer.scan = fn;
	c->from = from;
}

static void fake_presize(struct store *s, size_t entity, int64_t records, store_done_fn *fn, void *arg)
{
	cmd_new(s, CMD_PRESIZE, entity, arg)->answer.done = fn;
}

static void fake_buried(struct store *s, size_t entity, const struct rid *rids, size_t n, store_rids_fn *fn, void *arg)
{
	struct cmd *c = cmd_new(s, CMD_BURIED, entity, arg);

	c->answer.rids = fn;
	c->n = n;
	c->rids = xcalloc(n + 1, sizeof *rids);
	if (n > 0)
		memcpy(c->rids, rids, n * sizeof *rids);
}

static void fake_leave(struct store *s, store_done_fn *fn, void *arg)
{
	cmd_new(s, CMD_LEAVE, 0, arg)->answer.done = fn;
}

/* ---- up, down, gone ------------------------------------------------------------------------------------------------------- */

/* The connection is gone: a prefix of what was sent has happened. */
static void cut_off(struct fake_store *face)
{
	struct world *w = face->world;
	bool still = true;

	for (struct cmd *c = face->first; c != NULL; c = c->next) {
		if (c->served || c->fails)
			continue;
		still = still && c->born == w->keys.born && rng_chance(&w->rng, 50);
		if (still)
			serve(c);
		w->sometimes->store_outage_cut += still && c->next != NULL;
	}
	while (face->first != NULL) {
		face->first->fails = true;
		cmd_answer(face->first);
	}
}

static void come_up(struct world *w, void *arg)
{
	struct fake_store *face = w->keys.face;

	if (face == NULL || w->keys.away || face->store.ready)
		return;
	if (keys_learn(face))
		face->store.events.lost(face->store.events.arg);
	w->keys.fence = (w->keys.fence > face->floor ? w->keys.fence : face->floor) + 1;
	face->store.fence = w->keys.fence;
	face->store.ready = true;
	err_clear(&face->store.why);
	world_trace(w, "store: up");
	history_forgot(w);	/* and of what was still answered to rounds that had failed already */
	face->store.events.up(face->store.events.arg);
}

/* The process was stopped for too long: its lease is over, and for a moment nothing is sent, though the store is there all the time. */
void fake_store_refuse(struct world *w, int64_t until_us)
{
	if (w->keys.face == NULL || !w->keys.face->store.ready)
		return;
	world_trace(w, "the store takes nothing for a while");
	w->keys.face->refuses_until_us = until_us;
	w->sometimes->store_refused++;
}

void fake_store_away(struct world *w, bool away)
{
	struct fake_store *face = w->keys.face;

	w->keys.away = away;
	world_trace(w, "store %s", away ? "goes away" : "is back");
	if (!away) {
		world_after(w, world_delay(w), come_up, NULL);
		return;
	}
	w->sometimes->store_outage++;
	history_forgot(w);
	if (face == NULL || !face->store.ready)
		return;
	face->store.ready = false;
	err_set(&face->store.why, ERR_TRANSIENT, "", "the store is away");
	face->store.events.down(face->store.events.arg, &face->store.why);
	cut_off(face);
}

/* Comes back under a number above that. */
static void fake_outrank(struct store *s, int64_t fence)
{
	struct fake_store *face = (struct fake_store *)s;

	if (fence > face->floor)
		face->floor = fence;
	face->store.ready = false;
	err_set(&face->store.why, ERR_TRANSIENT, "", "takes a higher fencing number");
	face->store.events.down(face->store.events.arg, &face->store.why);
	cut_off(face);
	world_after(face->world, world_delay(face->world), come_up, NULL);
}

static void notice_event(struct world *w, void *arg)
{
	struct fake_store *face = w->keys.face;

	if (face != NULL && face->store.ready && face->born != w->keys.born)
		notice_flush(face);
}

/*
 * As long as the daemon lives it gives the new state the digests' key and the fields' order that it knows, and tells by them what it has
 * written. Another's may be there first.
 */
static bool keeps_key(const struct world *w)
{
	return w->keys.face != NULL && w->keys.face->key_known && (w->plan.parted || rng_chance(&(struct rng){ .s = w->seed * 259 }, 50));
}

void fake_store_flush(struct world *w)
{
	struct store_keys was = w->keys;
	bool keeps = keeps_key(w);

	world_trace(w, "store flushed");
	history_flushed(w);
	w->sometimes->flush++;
	store_keys_fini(w);
	store_keys_init(w);
	if (keeps) {
		w->keys.key = was.key;
		memcpy(w->keys.field_number, was.field_number, sizeof was.field_number);
	}
	history_rekey(w);
	world_after(w, world_delay(w), notice_event, NULL);
}

static void fake_facts(struct store *s, store_facts_fn *fn, void *arg)
{
	cmd_new(s, CMD_FACTS, 0, arg)->answer.facts = fn;
}

bool fake_store_had(struct world *w, size_t entity, const struct rid *rid, struct value blob)
{
	const struct kept_vector *v = vector_find(&w->backup, entity, rid);

	return v == NULL ? value_is_null(blob) : v->len == blob.len && memcmp(v->p, blob.data, (size_t)blob.len) == 0;
}

/* ---- a backup, and what is left of it later (sync/restore.h) ----------------------------------------------------------- */

void fake_store_backup_free(struct world *w)
{
	store_keys_drop(&w->backup);
	w->backup = (struct store_keys){ 0 };
}

void fake_store_backup(struct world *w)
{
	struct store_keys *from = &w->keys, *to = &w->backup;

	fake_store_backup_free(w);
	w->backup_us = world_now(w);
	to->key = from->key;
	memcpy(to->field_number, from->field_number, sizeof to->field_number);
	memcpy(to->endpoint_number, from->endpoint_number, sizeof to->endpoint_number);
	for (size_t i = 0; i < w->plan.n_entities; i++)
		for (size_t j = 0; j < from->n_vectors[i]; j++)
			vector_put(to, i, &from->vectors[i][j]);
	for (size_t j = 0; j < from->n_positions; j++)
		text_put(&to->positions, &to->n_positions, from->positions[j].name, from->positions[j].p, from->positions[j].len);
}

static struct vector_layout layout_of(const struct world *w, const struct store_keys *k, size_t entity)
{
	struct vector_layout l = { .n_fields = w->topology->entities[entity].def.n_fields, .n_endpoints = w->plan.n_endpoints };

	l.fields_stored = (uint8_t)l.n_fields;
	memcpy(l.field_number, k->field_number[entity], l.n_fields);
	memcpy(l.endpoint_number, k->endpoint_number, l.n_endpoints);
	return l;
}

static void restore_one(struct world *w, size_t entity, const struct kept_vector *v, struct arena *arena)
{
	struct vector_layout layout = layout_of(w, &w->keys, entity);
	struct store_map_put maps[SIM_ENDPOINTS];
	struct kept_vector put = { .rid = v->rid };
	struct buf out = { 0 };
	size_t n;

	if (restore_vector(&layout, (struct value){ v->p, v->len }, arena, &out)) {
		put.p = out.p;
		put.len = (int32_t)out.len;
		vector_put(&w->keys, entity, &put);
		w->keys.records[entity]++;
		n = restore_maps(&layout, &v->rid, (struct value){ out.p, put.len }, arena, maps);
		for (size_t i = 0; i < n; i++) {
			struct kept_map map = { .endpoint = maps[i].endpoint, .id = xstrndup(maps[i].id.data, (size_t)maps[i].id.len), .rid = v->rid };

			map_put(&w->keys, entity, &map, false);
			free(map.id);
		}
	}
	buf_fini(&out);
}

static void restore_positions(struct world *w)
{
	char mark[RESTORE_MARK], made[24];

	for (size_t j = 0; j < w->backup.n_positions; j++) {
		const struct kept_text *t = &w->backup.positions[j];

		if (restore_keeps_position(value_of(t->name)))
			text_put(&w->keys.positions, &w->keys.n_positions, t->name, t->p, t->len);
	}
	for (size_t e = 0; e < w->plan.n_endpoints; e++) {
		restore_name_mark(w->topology->endpoints[e].name, mark);
		snprintf(made, sizeof made, "%lld", (long long)w->backup_us);
		text_put(&w->keys.positions, &w->keys.n_positions, mark, made, strlen(made));
	}
}

void fake_store_restore(struct world *w)
{
	struct arena arena;

	history_flushed(w);
	w->sometimes->restored++;
	store_keys_fini(w);
	store_keys_init(w);
	w->keys.key = w->backup.key;
	memcpy(w->keys.field_number, w->backup.field_number, sizeof w->keys.field_number);
	memcpy(w->keys.endpoint_number, w->backup.endpoint_number, sizeof w->keys.endpoint_number);
	history_rekey(w);
	arena_init(&arena);
	for (size_t i = 0; i < w->plan.n_entities; i++)
		for (size_t j = 0; j < w->backup.n_vectors[i]; j++)
			restore_one(w, i, &w->backup.vectors[i][j], &arena);
	arena_fini(&arena);
	restore_positions(w);
}

/* As a flush, but of our own will. */
static void fake_renew(struct store *s)
{
	struct world *w = ((struct fake_store *)s)->world;

	w->sometimes->renewed += w->unrecognised;
	w->unrecognised = false;
	fake_store_flush(w);
}

static void fake_free(struct store *s)
{
	struct fake_store *face = (struct fake_store *)s;

	face->freeing = true;
	cut_off(face);
	face->world->keys.face = NULL;
	free(face->store.layouts);
	free(face->store.records);
	free(face);
}

static const struct store_ops store_ops = {
	.recall = fake_recall, .lookup = fake_lookup, .intend = fake_intend, .intents = fake_intents, .write = fake_write,
	.position = fake_position, .scan = fake_scan, .presize = fake_presize, .buried = fake_buried, .facts = fake_facts,
	.renew = fake_renew, .outrank = fake_outrank, .leave = fake_leave, .free = fake_free,
};

struct store *fake_store_new(void *arg, struct loop *loop, const struct topology *t, const struct store_events *events)
{
	struct world *w = arg;
	struct fake_store *face = xcalloc(1, sizeof *face);

	face->world = w;
	face->last = &face->first;
	face->store.ops = &store_ops;
	face->store.events = *events;
	face->store.layouts = xcalloc(w->plan.n_entities, sizeof *face->store.layouts);
	face->store.records = xcalloc(w->plan.n_entities, sizeof *face->store.records);
	snprintf(face->store.server, sizeof face->store.server, "Simulated 1");
	w->keys.face = face;
	world_after(w, world_delay(w), come_up, NULL);
	return &face->store;
}
