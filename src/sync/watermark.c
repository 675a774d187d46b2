/*
 * watermark.c - which rows of a table need not be read, because nobody has written them since all of them were listed.
 *
 *   a listing begins: a watermark (endpoint.h)  ->  every row is listed and settled  ->  nothing of the entity is in work: it is kept
 *
 * What was written before it has been seen by a listing that began after it, and what came of that is marked in the vectors: so a row that
 * was not written since shows what its vector says. Kept in the store behind these, with all that a row's values follow from elsewhere; and
 * forgotten with the mark of the survey. It is believed only at an endpoint that has our state row: by that it is known whether the database
 * was put back since (epoch.c), and with it numbers of transactions that are given once more. Where rows stand aside because they cannot be
 * taken, no vector tells of them: there every row is read.
 *
 * Sweeps read every row all the same: they are there to find out that something of this is wrong.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"

/* ---- asked for ---------------------------------------------------------------------------------------- */

struct question {
	struct side *side;
	char *then;			/* owned; NULL: nothing was kept, or it is not wanted */
	watermarked_fn *done;
	void *arg;
};

/* What a row's values follow from, and which database it is: else a watermark says nothing. Ends with a blank. */
static char *circumstances(const struct side *side)
{
	const struct shake *k = &side->flow->sync->shakes[side->endpoint];
	const char *zone = mapping_zone(side->mapping);

	return xasprintf("1 %016" PRIx64 " %s %" PRId64 " %s %" PRId64 " ", listing_shape(side), zone != NULL ? zone : "-",
			 side->flow->sync->topology->limits.value_bytes, k->system, k->timeline);
}

bool watermark_is_there(const struct side *side)
{
	return side->flow->sync->endpoints[side->endpoint]->fence != 0 && side->link->ops->watermark != NULL && side->captures;
}

static void answer(struct question *q, const char *now, const char *since)
{
	q->done(q->arg, now, since);
	free(q->then);
	free(q);
}

static void on_watermark(void *arg, const char *now, bool holds, const struct err *e)
{
	struct question *q = arg;
	bool all_known = q->side->parked_rows == 0 || fault("f05-rows-that-stand-aside-are-known");
	char *known = circumstances(q->side), *text = now != NULL ? xasprintf("%s%s", known, now) : NULL;

	if (e != NULL)
		log_debug("it is not known which rows are written from here on", LOG_S("entity", q->side->flow->def->name),
			  LOG_S("endpoint", q->side->mapping->endpoint->name), LOG_ERR(e));
	answer(q, text, holds && all_known ? q->then : NULL);
	free(known);
	free(text);
}

static void ask(struct question *q)
{
	q->side->link->ops->watermark(q->side->link, q->then, on_watermark, q);
}

static void on_kept(void *arg, struct value text, const struct err *e)
{
	struct question *q = arg;
	char *now = circumstances(q->side);
	size_t n = strlen(now);

	if (e == NULL && text.len > (int32_t)n && (memcmp(text.data, now, n) == 0 || fault("f05-rows-are-read-as-ever")))
		q->then = xstrndup(text.data + n, (size_t)text.len - n);
	free(now);
	if (watermark_is_there(q->side))
		ask(q);
	else
		answer(q, NULL, NULL);
}

void watermark_ask(struct side *side, bool since, watermarked_fn *done, void *arg)
{
	struct sync *s = side->flow->sync;
	struct question *q = xcalloc(1, sizeof *q);
	char name[200];

	*q = (struct question){ .side = side, .done = done, .arg = arg };
	side_name_mark(side, "watermark", name);
	if (since && side->surveyed)
		s->store->ops->position(s->store, name, on_kept, q);
	else
		ask(q);
}

/* ---- kept --------------------------------------------------------------------------------------------- */

void watermark_settled(struct side *side, const char *watermark)
{
	if (watermark == NULL)
		return;
	free(side->watermark);
	side->watermark = xstrdup(watermark);
}

char *watermark_to_keep(struct side *side, char name[200])
{
	char *text = side->surveyed && flow_is_quiet(side->flow) ? side->watermark : NULL;

	if (text != NULL)
		side->watermark = NULL;
	side_name_mark(side, "watermark", name);
	return text;
}

static void on_written(void *arg, const struct err *e)
{
	/* Not kept, more rows are read than need be. */
}

void watermark_look(struct side *side)
{
	struct store *store = side->flow->sync->store;
	char name[200], *text;
	struct store_position p = { .name = name };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	if (side->watermark == NULL || !store->ready)
		return;
	p.text = text = watermark_to_keep(side, name);
	if (text != NULL)
		store->ops->write(store, side->flow->index, &w, on_written, NULL);
	free(text);
}
