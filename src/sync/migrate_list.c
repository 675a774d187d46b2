/*
 * migrate_list.c - TARGET, SOURCE and EXTRA: a table page after page, in one stretch or in several at once, until all of them are over.
 *
 * Before the first page it is noted what is written from here on (watermark.c), where a poll is to go on, about how many rows there are, and
 * where the table is parted. Stretches of an
 * entity that rests are listed as of one moment, which is taken last: whatever is edited after it is news to the capture. In one that is
 * followed the capture may have brought newer rows by the time the page comes; so there each page shows what is there when it is asked for.
 */
#include "sync/migrate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"

enum {
	PRESIZE_FROM = 1000,		/* rows */
	MOMENTS_MOST = 10,		/* so often one that is lost is replaced */
};

/* ---- stretches and their parts ----------------------------------------------------------------------- */

void migrate_stretches_clear(struct sync_migration *m)
{
	for (size_t i = 0; i < STRETCHES_MAX; i++) {
		struct stretch *t = &m->stretches[i];

		while (t->first != NULL) {
			struct part *part = t->first;

			t->first = part->next;
			free(part->last);
			free(part);
		}
		free(t->until);
		free(t->settled);
		free(t->after);
		*t = (struct stretch){ .migration = m };
	}
	m->n_stretches = 1;
}

/* ---- before the first page ---------------------------------------------------------------------------- */

static void on_positioned(void *arg, const struct err *e)
{
	struct sync_migration *m = arg;

	if (!migrate_answered(m, e))
		return;
	m->positioned = true;
	migrate_go_on(m);
}

static void on_position_now(void *arg, const char *position, const struct err *e)
{
	struct sync_migration *m = arg;
	struct side *side = migrate_side_listed(m);
	char name[200];
	struct store_position p = { name, position };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	if (!migrate_answered(m, e))
		return;
	capture_settled(side, position);
	side_name_mark(side, "poll", name);
	m->open++;
	m->sync->store->ops->write(m->sync->store, m->flow->index, &w, on_positioned, m);
}

/* Some of its rows are settled already. */
static bool is_begun(const struct sync_migration *m)
{
	for (size_t i = 0; i < m->n_stretches; i++)
		if (m->stretches[i].settled != NULL)
			return true;
	return false;
}

/* Where capture is to go on when this is over; of a listing that goes on, it stands where it began. */
static bool needs_position(const struct sync_migration *m)
{
	const struct side *side = migrate_side_listed(m);

	return !side->surveyed && side->captures && !is_begun(m);
}

static void on_presized(void *arg, const struct err *e)
{
	/* Only a saving of work; the buckets grow by themselves. */
}

static void on_estimated(void *arg, int64_t rows, const struct err *e)
{
	struct sync_migration *m = arg;
	struct store *store = m->sync->store;

	if (!migrate_answered(m, NULL))
		return;
	job_expect(&m->job, e == NULL ? rows : -1);
	m->estimated = true;
	if (store->ready && store->records[m->flow->index] == 0 && m->job.expected > PRESIZE_FROM)
		store->ops->presize(store, m->flow->index, m->job.expected, on_presized, NULL);
	migrate_go_on(m);
}

static void on_watermark(void *arg, const char *now, const char *since)
{
	struct sync_migration *m = arg;

	m->marked = true;
	m->since = since != NULL ? xstrdup(since) : NULL;
	if (m->watermark == NULL && now != NULL && !is_begun(m))	/* else what is settled was listed before */
		m->watermark = xstrdup(now);
	if (migrate_answered(m, NULL))
		migrate_go_on(m);
}

static void ask_watermark(struct sync_migration *m)
{
	free(m->since);
	m->since = NULL;
	watermark_ask(m->from, m->strategy == MIGRATE_INCREMENTAL && m->onto != ONTO_REPLACE, on_watermark, m);
}

static void on_split(void *arg, const struct value *ids, size_t n, const struct err *e)
{
	struct sync_migration *m = arg;

	if (!migrate_answered(m, e))
		return;
	for (size_t i = 0; i < n && i + 1 < STRETCHES_MAX; i++) {
		m->stretches[i].until = xstrndup(ids[i].data, (size_t)ids[i].len);
		m->stretches[i + 1].settled = xstrdup(m->stretches[i].until);
		m->stretches[i + 1].after = xstrdup(m->stretches[i].until);
		m->n_stretches = i + 2;
	}
	m->parted = true;
	migrate_save(m);
	migrate_go_on(m);
}

/* Only the source; what goes on has been parted before. */
static bool needs_parts(const struct sync_migration *m)
{
	return m->phase == MIGRATE_SOURCE && m->jobs > 1 && m->n_stretches == 1 && m->stretches[0].settled == NULL;
}

/* True: it is ready for the next page, as far as it can be said before. */
static bool is_prepared(struct sync_migration *m)
{
	struct side *side = migrate_side_listed(m);

	if (m->marked && m->positioned && m->estimated && m->parted)
		return true;
	if (m->open > 0)
		return false;
	m->marked = m->marked || m->phase != MIGRATE_SOURCE || !watermark_is_there(side);
	m->positioned = m->positioned || !needs_position(m);
	m->parted = m->parted || !needs_parts(m);
	if (m->marked && m->positioned && m->estimated && m->parted)
		return true;
	m->open++;
	if (!m->marked)
		ask_watermark(m);
	else if (!m->positioned)
		side->link->ops->position_now(side->link, on_position_now, m);
	else if (!m->estimated)
		side->link->ops->estimate(side->link, on_estimated, m);
	else
		side->link->ops->split(side->link, m->jobs, m->job.expected, on_split, m);
	return false;
}

/* ---- SOURCE: all stretches as of one moment ---------------------------------------------------------- */

/* Without one the pages show what is there when they are asked for, and the capture brings together what does not agree. */
static void on_moment(void *arg, struct moment *moment, const struct err *e)
{
	struct sync_migration *m = arg;

	m->asking_moment = false;
	m->moment = moment;
	m->moments++;
	m->no_moment = e != NULL;
	if (e != NULL)
		log_warn("the parts of a table cannot be listed as of one moment: what is edited meanwhile shows in some and not in others",
			 LOG_S("entity", m->flow->def->name), LOG_S("endpoint", m->from->mapping->endpoint->name), LOG_ERR(e));
	if (migrate_answered(m, NULL))
		migrate_go_on(m);
}

static bool may_hold_moment(const struct sync_migration *m)
{
	return m->phase == MIGRATE_SOURCE && m->strategy == MIGRATE_PARALLEL && m->flow->paused && m->from->link->ops->moment != NULL;
}

/* True: the next page can be asked for, as of the moment or as it is now. */
static bool has_moment(struct sync_migration *m)
{
	if (!may_hold_moment(m))
		moment_free(&m->moment);
	if (m->moment != NULL || m->no_moment || m->moments == MOMENTS_MOST || !may_hold_moment(m))
		return true;
	if (!m->asking_moment) {
		m->asking_moment = true;
		m->open++;
		m->from->link->ops->moment(m->from->link, on_moment, m);
	}
	return false;
}

static bool is_lost(const struct err *e)
{
	return e != NULL && strcmp(e->code, MOMENT_LOST) == 0;
}

/* It was asked for as of a moment that is over: the page is asked for again. The entity is followed by now: then the capture may know better. */
static bool is_of_the_past(const struct stretch *t, const struct err *e)
{
	const struct sync_migration *m = t->migration;

	return t->moment != 0 && (is_lost(e) || m->moment == NULL || t->moment != m->moments || !m->flow->paused);
}

/* ---- pages -------------------------------------------------------------------------------------------- */

/* What was looked at. */
static void add_sums(struct sync_migrate_sums *to, const struct sync_migrate_sums *more)
{
	to->rows += more->rows;
	to->unread += more->unread;
	to->read += more->read;
	to->cleaned += more->cleaned;
	to->waited_us += more->waited_us;
}

/* All parts up to here are over. */
static void settle_parts(struct stretch *t)
{
	struct sync_migration *m = t->migration;
	int64_t now = clock_mono_us();
	bool any = false;

	while (t->first != NULL && t->first->over) {
		struct part *part = t->first;

		t->first = part->next;
		job_more(&m->job, part->listed, now);
		t->done += part->listed;
		rate_add(&t->pace, (uint64_t)part->listed, now);
		if (m->phase == MIGRATE_SOURCE) {		/* what is reported is what was brought over */
			add_sums(&m->sums, &part->sums);
			m->untaken += part->untaken;
		}
		free(t->settled);
		t->settled = part->last;
		free(part);
		any = true;
	}
	if (any)
		migrate_save(m);
}

void migrate_leave(struct sync_migration *m, struct part *part, bool counting, const struct err *why)
{
	m->unsure |= counting && why != NULL;
	if (part == NULL && !counting)		/* what it had to look at comes again */
		why = NULL;
	if (part != NULL && why == NULL && migrate_counts(m)) {
		part->over = true;
		settle_parts(part->stretch);
	}
	if (migrate_answered(m, why))
		migrate_go_on(m);
}

static struct part *part_new(struct stretch *t)
{
	struct part *part = xcalloc(1, sizeof *part);

	part->migration = t->migration;
	part->stretch = t;
	if (t->first == NULL)
		t->first = t->last = part;
	else
		t->last = t->last->next = part;
	return part;
}

/* last: up to there it goes; NULL: to the end. looked_at: so many rows there are. */
static void take_page(struct stretch *t, struct rowset *rows, const char *last, int64_t looked_at)
{
	struct sync_migration *m = t->migration;
	struct side *side = migrate_side_listed(m);
	struct part *part = part_new(t);
	int64_t now = clock_mono_us();

	if (last != NULL || t->after != NULL)
		part->last = xstrdup(last != NULL ? last : t->after);
	part->listed = looked_at;
	part->sums = (struct sync_migrate_sums){ .rows = looked_at, .unread = looked_at - (int64_t)rows->n, .read = (int64_t)rows->bytes,
						 .waited_us = now - t->asked_us };
	free(t->after);
	t->after = part->last != NULL ? xstrdup(part->last) : NULL;
	part->past = t->moment != 0;
	rate_add(&m->bytes, rows->bytes, now);
	if (rows->n > 0) {
		round_of_migration(side, rows, t->asked_us, part);
		return;
	}
	rowset_free(&rows);
	part->over = true;
	settle_parts(t);
}

/* True: it is to be worked on; else it is not there any more. */
static bool is_welcome(struct stretch *t, struct rowset *rows, const struct err *e)
{
	struct sync_migration *m = t->migration;
	bool past = is_of_the_past(t, e), on;

	t->asking = false;
	if (is_lost(e) && t->moment == m->moments)
		moment_free(&m->moment);
	on = migrate_still_answered(m, past ? NULL : e);
	if (on && !past)
		return true;
	if (e == NULL)
		rowset_free(&rows);
	if (on)
		migrate_go_on(m);
	return false;
}

static void on_page(void *arg, struct rowset *rows, const struct err *e)
{
	struct stretch *t = arg;
	struct sync_migration *m = t->migration;
	struct side *side = migrate_side_listed(m);
	char *last;

	if (!is_welcome(t, rows, e))
		return;
	t->listed = rows->n < t->asked_rows && !rows->cut;
	migrate_note_listed(m, t->asked_rows, rows->n);
	if (!side->surveyed)
		side->strangers = side->strangers || listing_has_strangers(side, rows);
	if (rows->n > 0) {
		last = xstrndup(rows->rows[rows->n - 1].id.data, (size_t)rows->rows[rows->n - 1].id.len);
		take_page(t, rows, last, (int64_t)rows->n);
		free(last);
	} else {
		rowset_free(&rows);
	}
	migrate_go_on(m);
}

static void on_written_page(void *arg, struct rowset *rows, const char *last, int64_t looked_at, const struct err *e)
{
	struct stretch *t = arg;
	struct sync_migration *m = t->migration;

	if (!is_welcome(t, rows, e))
		return;
	t->listed = last == NULL;
	migrate_note_listed(m, t->asked_rows, rows->n);
	take_page(t, rows, last, looked_at);
	migrate_go_on(m);
}

/* The one that was asked for the longest time ago: where --rate allows few pages, all get on. */
static struct stretch *next_to_ask(struct sync_migration *m)
{
	struct stretch *next = NULL;

	for (size_t i = 0; i < m->n_stretches; i++) {
		struct stretch *t = &m->stretches[i];

		if (!t->asking && !t->listed && (next == NULL || t->asked_us < next->asked_us))
			next = t;
	}
	return next;
}

static bool ask_page(struct sync_migration *m)
{
	struct side *side = migrate_side_listed(m);
	struct stretch *t = migrate_is_held(m) ? NULL : next_to_ask(m);

	if (t == NULL)
		return false;
	t->asking = true;
	t->asked_us = clock_mono_us();
	t->asked_rows = migrate_page_rows(m);
	t->moment = m->moment != NULL ? m->moments : 0;
	migrate_note_asked(m, t->asked_rows);
	m->open++;
	if (m->moment != NULL)
		side->link->ops->list_at(side->link, m->moment, t->after, t->until, t->asked_rows, on_page, t);
	else if (m->phase == MIGRATE_SOURCE && m->since != NULL)
		side->link->ops->list_written(side->link, m->since, t->after, t->asked_rows, on_written_page, t);
	else
		side->link->ops->list(side->link, t->after, t->until, t->asked_rows, on_page, t);
	return true;
}

static bool is_listed(const struct sync_migration *m)
{
	for (size_t i = 0; i < m->n_stretches; i++)
		if (!m->stretches[i].listed || m->stretches[i].first != NULL)
			return false;
	return true;
}

/* A row that cannot be taken has no record, and may be what the target has: then nobody knows what only that has. */
static bool may_end_extra(struct sync_migration *m)
{
	m->sums.extra_kept = m->onto == ONTO_REPLACE && m->untaken > 0;
	if (m->sums.extra_kept)
		log_warn("rows of the source cannot be taken: what only the target has is left there", LOG_S("entity", m->flow->def->name),
			 LOG_S("to", m->to->mapping->endpoint->name), LOG_I("rejected", m->untaken));
	return m->onto == ONTO_REPLACE && !m->sums.extra_kept;
}

static void next_phase(struct sync_migration *m)
{
	if (m->phase == MIGRATE_TARGET)
		migrate_enter(m, MIGRATE_SOURCE);
	else
		migrate_enter(m, m->phase == MIGRATE_SOURCE && may_end_extra(m) ? MIGRATE_EXTRA : MIGRATE_SETTLE);
}

static void on_surveyed(void *arg, const struct err *e)
{
	struct sync_migration *m = arg;

	if (!migrate_answered(m, e))
		return;
	next_phase(m);
	migrate_go_on(m);
}

bool migrate_list_step(struct sync_migration *m)
{
	struct side *side = migrate_side_listed(m);

	if (m->marking || !is_prepared(m) || !has_moment(m))
		return false;
	if (ask_page(m))
		return true;
	if (!is_listed(m) || m->saving)
		return false;
	if (side->surveyed) {
		next_phase(m);
		return true;
	}
	m->marking = true;
	m->open++;
	listing_survey_done(side, m->job.done, m->job.began_us, on_surveyed, m);
	return false;
}

size_t migrate_asking(const struct flow *flow)
{
	size_t n = 0;

	for (size_t i = 0; flow->migration != NULL && i < flow->migration->n_stretches; i++)
		n += flow->migration->stretches[i].asking;
	return n;
}
