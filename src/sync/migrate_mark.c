/*
 * migrate_mark.c - how far a migration is, as a line in the store: what it is, in which phase, its sums, and up to where each stretch of
 * the table is done with.
 *
 *   2 FROM TO STRATEGY ONTO PAST PAST PHASE EMPTY done rows read ... N, then for each of N stretches LENGTH:SETTLED LENGTH:UNTIL (-: none), then how
 *   many rows of each are done, how many were not read, LENGTH:WATERMARK (-: none)
 *
 * It is taken up by the same command only, and only while neither database was put back meanwhile: what such a one has forgotten is before the
 * place where the mark would go on. Under another topology it is taken up as what has filled the target, and lists from the beginning.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "sync/migrate.h"

void migrate_name_mark(const struct sync_migration *m, char out[200])
{
	snprintf(out, 200, "migrate/%s/%s", m->flow->def->name, m->to->mapping->endpoint->name);
}

/* What has to be the same for it to go on. */
static void add_identity(const struct sync_migration *m, struct buf *out)
{
	static const char *const strategies[] = {
		[MIGRATE_FULL] = "full", [MIGRATE_INCREMENTAL] = "incremental", [MIGRATE_PARALLEL] = "parallel",
	};
	static const char *const ontos[] = { [ONTO_EMPTY] = "empty", [ONTO_MERGE] = "merge", [ONTO_REPLACE] = "replace" };

	buf_addf(out, "2 %s %s %s %s %" PRId64 " %" PRId64 " ", m->from->mapping->endpoint->name, m->to->mapping->endpoint->name,
		 strategies[m->strategy], ontos[m->onto], m->past_us[0], m->past_us[1]);
}

/* In this order, in the mark. */
static int64_t *counts_of(struct sync_migration *m, size_t i)
{
	struct sync_migrate_sums *s = &m->sums;
	int64_t *const all[] = {
		&m->job.done, &m->untaken, &s->rows, &s->read, &s->written, &s->inserted, &s->updated, &s->deleted,
		&s->cleaned, &s->waited_us, &s->us,
	};

	return i < sizeof all / sizeof all[0] ? all[i] : NULL;
}

static void add_id(struct buf *out, const char *id)
{
	if (id == NULL)
		buf_adds(out, " -:");
	else
		buf_addf(out, " %zu:%s", strlen(id), id);
}

char *migrate_mark_text(const struct sync_migration *now)
{
	struct sync_migration m = *now;
	struct buf out = { 0 };

	failpoint_phase("migrate", (int)m.phase);
	m.sums.us = m.before_us + clock_mono_us() - m.job.began_us;
	add_identity(&m, &out);
	buf_addf(&out, "%d %d", (int)m.phase, m.was_empty);
	for (size_t i = 0; counts_of(&m, i) != NULL; i++)
		buf_addf(&out, " %" PRId64, *counts_of(&m, i));
	buf_addf(&out, " %zu", m.n_stretches);
	for (size_t i = 0; i < m.n_stretches; i++) {
		add_id(&out, m.stretches[i].settled);
		add_id(&out, m.stretches[i].until);
	}
	for (size_t i = 0; i < m.n_stretches; i++)
		buf_addf(&out, " %" PRId64, m.stretches[i].done);
	buf_addf(&out, " %" PRId64, m.sums.unread);
	add_id(&out, m.watermark);
	return out.p;
}

static bool read_number(const char **at, int64_t *out)
{
	char *end;

	*out = strtoll(*at, &end, 10);
	if (end == *at)
		return false;
	*at = end;
	return true;
}

static bool read_id(const char **at, char **out)
{
	int64_t len;

	*out = NULL;
	if (strncmp(*at, " -:", 3) == 0) {
		*at += 3;
		return true;
	}
	if (!read_number(at, &len) || **at != ':' || len < 0 || (size_t)len > strlen(*at + 1))
		return false;
	*out = xstrndup(*at + 1, (size_t)len);
	*at += 1 + len;
	return true;
}

static bool read_all(struct sync_migration *m, const char *at)
{
	int64_t phase, empty, n;
	bool ok = read_number(&at, &phase) && read_number(&at, &empty);

	for (size_t i = 0; ok && counts_of(m, i) != NULL; i++)
		ok = read_number(&at, counts_of(m, i));
	ok = ok && read_number(&at, &n) && n >= 1 && n <= STRETCHES_MAX && phase > MIGRATE_BEGIN && phase < MIGRATE_OVER;
	if (!ok)
		return false;
	m->phase = (enum migrate_phase)phase;
	m->was_empty = empty != 0;
	m->n_stretches = (size_t)n;
	for (size_t i = 0; ok && i < m->n_stretches; i++) {
		ok = read_id(&at, &m->stretches[i].settled) && read_id(&at, &m->stretches[i].until);
		if (m->stretches[i].settled != NULL)
			m->stretches[i].after = xstrdup(m->stretches[i].settled);
	}
	for (size_t i = 0; ok && i < m->n_stretches; i++)
		read_number(&at, &m->stretches[i].done);	/* earlier versions did not say, nor what follows */
	if (ok && read_number(&at, &m->sums.unread))
		read_id(&at, &m->watermark);
	return ok;
}

/* Each phase builds on the one before, by the topology as it is now. */
static bool holds(const struct sync_migration *m)
{
	return (m->phase == MIGRATE_TARGET || m->to->surveyed) && (m->phase <= MIGRATE_SOURCE || m->from->surveyed);
}

/* The topology says something new of a table: all of it is listed again. What was written counts, what was looked at does not. */
static void begin_listing_anew(struct sync_migration *m)
{
	m->phase = m->to->surveyed ? MIGRATE_SOURCE : MIGRATE_TARGET;
	m->sums.rows = m->sums.unread = m->sums.read = m->sums.cleaned = 0;
	m->job.done = m->untaken = 0;
	free(m->watermark);
	m->watermark = NULL;
	migrate_stretches_clear(m);
}

/* It is none, after all. */
static void read_nothing(struct sync_migration *m)
{
	begin_listing_anew(m);
	m->phase = MIGRATE_BEGIN;
	m->sums = (struct sync_migrate_sums){ .rows = 0 };
	m->was_empty = false;
}

bool migrate_mark_read(struct sync_migration *m, struct value text)
{
	char *copy = xstrndup(text.data, (size_t)text.len);
	struct buf identity = { 0 };
	bool ok;

	add_identity(m, &identity);
	ok = strncmp(copy, identity.p, identity.len) == 0 && read_all(m, copy + identity.len);
	if (!ok)
		read_nothing(m);
	else if (!holds(m))
		begin_listing_anew(m);
	m->before_us = ok ? m->sums.us : 0;
	buf_fini(&identity);
	free(copy);
	return ok;
}
