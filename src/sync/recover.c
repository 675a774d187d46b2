/*
 * recover.c - after (re)connecting to the store: intents, positions, marks; then work.
 *
 * An intent that is still there is of a round that was interrupted: what it had agreed on is put back, and settling
 * finds out which of its writes happened. Each side also hears whether it was surveyed and where its capture stood.
 */
#include "sync/feed.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/undo.h"

struct recovery {
	struct sync *sync;
	size_t open;
	bool failed;
};

static void recovery_step(struct recovery *rc)
{
	struct sync *s = rc->sync;

	if (--rc->open > 0)
		return;
	s->recovering = false;
	if (!s->closing && !rc->failed && s->store->ready) {
		s->recovered = true;
		s->open_us = clock_mono_us();
		undos_tick(s);
		epoch_look(s);
		for (size_t i = 0; i < s->topology->n_entities; i++)
			flow_pump(&s->flows[i]);
	}
	free(rc);
	if (!s->closing && !s->recovered && s->store->ready)
		flow_recover(s);	/* went away and came back in between */
}

/* ---- marks and positions ----------------------------------------------------------------------------- */

struct mark_load {
	struct recovery *rc;
	struct side *side;
};

static void on_survey_mark(void *arg, struct value text, const struct err *e)
{
	struct mark_load *m = arg;

	if (e != NULL) {
		m->rc->failed = true;
	} else {
		m->side->surveyed = !value_is_null(text) && survey_holds(m->side, text);
		if (!value_is_null(text) && !m->side->surveyed)
			log_info("the topology says something new of this table: it is listed again",
				 LOG_S("entity", m->side->flow->def->name), LOG_S("endpoint", m->side->mapping->endpoint->name));
		m->side->survey_known = m->side->wanted = true;
	}
	recovery_step(m->rc);
	free(m);
}

static void on_poll_mark(void *arg, struct value text, const struct err *e)
{
	struct mark_load *m = arg;

	if (e != NULL)
		m->rc->failed = true;
	else if (!value_is_null(text)) {
		free(m->side->position);
		m->side->position = xstrndup(text.data, (size_t)text.len);
	}
	recovery_step(m->rc);
	free(m);
}

static void load_mark(struct recovery *rc, struct side *side, const char *kind, store_text_fn *done)
{
	struct mark_load *m = xcalloc(1, sizeof *m);
	char name[200];

	m->rc = rc;
	m->side = side;
	rc->open++;
	side_name_mark(side, kind, name);
	rc->sync->store->ops->position(rc->sync->store, name, done, m);
}

struct epoch_load {
	struct recovery *rc;
	size_t endpoint;
};

static void on_epoch_mark(void *arg, struct value text, const struct err *e)
{
	struct epoch_load *m = arg;

	if (e != NULL)
		m->rc->failed = true;
	else if (!m->rc->sync->shakes[m->endpoint].greeted)	/* else we know better: it is our own */
		epoch_mark_read(m->rc->sync, m->endpoint, text);
	recovery_step(m->rc);
	free(m);
}

static void load_epoch(struct recovery *rc, size_t endpoint)
{
	struct epoch_load *m = xcalloc(1, sizeof *m);
	char name[EPOCH_TEXT];

	m->rc = rc;
	m->endpoint = endpoint;
	rc->open++;
	epoch_name_mark(rc->sync, endpoint, name);
	rc->sync->store->ops->position(rc->sync->store, name, on_epoch_mark, m);
}

/* ---- intents ----------------------------------------------------------------------------------------- */

static void on_intent_restored(void *arg, const struct err *e)
{
	struct recovery *rc = arg;

	rc->failed |= e != NULL;
	recovery_step(rc);
}

static struct flow *flow_of_intent(struct sync *s, struct value name)
{
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		const char *entity = s->flows[i].def->name;
		size_t n = strlen(entity);
		int dots = 0;

		for (int32_t k = (int32_t)n; k < name.len; k++)
			dots += name.data[k] == '.';
		if ((size_t)name.len > n && strncmp(name.data, entity, n) == 0 && name.data[n] == '.' && dots == 3)
			return &s->flows[i];
	}
	return NULL;
}

struct restored {			/* of one intent */
	struct store_put *puts;
	struct store_map_put *maps;
	size_t n_puts, n_maps;
	struct arena arena;
};

/* Its rows are found by their local ids: those of a new record, or of one whose key changes, are not there yet. */
static void restore_maps(struct restored *x, const struct vector_layout *layout, const struct rid *rid, struct value blob)
{
	struct vector *v;

	if (!vector_decode(blob.data, (size_t)blob.len, layout, &x->arena, &v, NULL))
		return;
	x->maps = xrealloc(x->maps, (x->n_maps + v->n_endpoints) * sizeof *x->maps);
	for (size_t e = 0; e < v->n_endpoints; e++)
		if (v->seen[e].present)
			x->maps[x->n_maps++] = (struct store_map_put){ (uint8_t)e, v->seen[e].id, *rid, false };
}

static void restore_records(struct restored *x, const struct vector_layout *layout, struct value blob)
{
	struct cut c = cut_of(blob.data, (size_t)blob.len);

	while (!c.bad && cut_left(&c) > 0) {
		const void *rid = cut_bytes(&c, RID_BYTES);
		const void *old = cut_u8(&c) != 0 ? cut_bytes(&c, RID_BYTES) : NULL;
		uint32_t len = cut_be32(&c);
		struct value vector = { cut_bytes(&c, len), (int32_t)len };

		if (c.bad)
			break;
		if (old != NULL) {
			memcpy(&x->puts[x->n_puts].rid, old, RID_BYTES);
			x->puts[x->n_puts++].blob = VALUE_NULL;
		}
		memcpy(&x->puts[x->n_puts].rid, rid, RID_BYTES);
		x->puts[x->n_puts].blob = vector;
		restore_maps(x, layout, &x->puts[x->n_puts].rid, vector);
		x->n_puts++;
	}
}

/* What was agreed before the writes of that round; whether they happened is found out by settling. */
static void restore_intent(struct recovery *rc, struct value name, struct value blob)
{
	struct sync *s = rc->sync;
	struct flow *flow = flow_of_intent(s, name);
	size_t most = (size_t)blob.len / (RID_BYTES + 5) + 1;
	struct restored x = { .puts = xcalloc(2 * most, sizeof *x.puts) };
	char *intent = xstrndup(name.data, (size_t)name.len);
	struct store_write w = { .intent_done = intent };

	arena_init(&x.arena);
	if (flow != NULL)
		restore_records(&x, &s->store->layouts[flow->index], blob);
	w.puts = x.puts;
	w.n_puts = x.n_puts;
	w.maps = x.maps;
	w.n_maps = x.n_maps;
	rc->open++;
	log_info("intent of an interrupted round put back", LOG_S("intent", intent), LOG_I("records", x.n_puts));
	s->store->ops->write(s->store, flow != NULL ? flow->index : 0, &w, on_intent_restored, rc);
	arena_fini(&x.arena);
	free(x.puts);
	free(x.maps);
	free(intent);
}

/* ---- one after the other ----------------------------------------------------------------------------- */

static void on_intents(void *arg, const struct value *names, const struct value *blobs, size_t n, const struct err *e)
{
	struct recovery *rc = arg;
	struct sync *s = rc->sync;

	if (e != NULL) {
		rc->failed = true;
		recovery_step(rc);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (!value_is_null(blobs[i]))
			restore_intent(rc, names[i], blobs[i]);
	for (size_t k = 0; k < s->topology->n_endpoints; k++)
		load_epoch(rc, k);
	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t k = 0; k < s->topology->n_endpoints; k++)
			if (s->flows[i].sides[k] != NULL) {
				load_mark(rc, s->flows[i].sides[k], "survey", on_survey_mark);
				load_mark(rc, s->flows[i].sides[k], "poll", on_poll_mark);
			}
	recovery_step(rc);
}

void flow_recover(struct sync *s)
{
	struct recovery *rc;

	if (s->recovering)
		return;
	/* Rounds of before must be over: their intents are about to be put back. */
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].n_rounds > 0)
			return;
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		struct flow *flow = &s->flows[i];

		flow->counted = flow->settle_wanted = false;
		flow->scan = (struct scan){ .kind = SCAN_NONE };
		for (size_t e = 0; e < s->topology->n_endpoints; e++)
			if (flow->sides[e] != NULL) {
				flow->sides[e]->owed = flow->sides[e]->owed_since_us = 0;
				listing_over(flow->sides[e]);
			}
	}
	rc = xcalloc(1, sizeof *rc);
	rc->sync = s;
	rc->open = 1;
	s->recovering = true;
	s->store->ops->intents(s->store, on_intents, rc);
}
