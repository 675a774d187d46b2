/*
 * migrate_load.c - what holds a migration back, and how far it is.
 *
 * Once a second the target's server is asked how busy it is with others. While more of them are at work than was allowed, or a standby is farther
 * behind, nothing more is listed; what is in work is carried through. What cannot be seen holds nothing back.
 */
#include "sync/migrate.h"

#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/words.h"
#include "sync/feed.h"

enum { LOOK_US = 1000000, PAGES_A_SECOND = 4 };

/* ---- --rate ------------------------------------------------------------------------------------------ */

/* Small enough that it can go on at each tick or so, as evenly as others are to be spared. */
size_t migrate_page_rows(const struct sync_migration *m)
{
	size_t rows = (size_t)m->rows_per_second / PAGES_A_SECOND, most = batch_rows(m->flow);

	if (m->rows_per_second == 0 || rows > most)
		return most;
	return rows > 0 ? rows : 1;
}

/* What it was not allowed to list for another reason is not made up for: no more than a second's worth at once. */
static bool is_fast_enough(struct sync_migration *m)
{
	int64_t now = clock_mono_us();
	double most = (double)m->rows_per_second;

	if (m->rows_per_second == 0)
		return false;
	m->credit = fmin(most, m->credit + most * (double)(now - m->credit_us) / 1e6);
	m->credit_us = now;
	return m->credit < (double)migrate_page_rows(m);
}

/* When it is asked for: several pages are on their way before the first has come. */
void migrate_note_asked(struct sync_migration *m, size_t rows)
{
	m->credit -= (double)rows;
}

void migrate_note_listed(struct sync_migration *m, size_t asked, size_t rows)
{
	m->credit += (double)asked - (double)rows;
}

/* ---- how busy the target is -------------------------------------------------------------------------- */

static bool is_listing(const struct sync_migration *m)
{
	return m->phase >= MIGRATE_TARGET && m->phase <= MIGRATE_EXTRA;
}

static bool has_too_many_sessions(const struct sync_migration *m)
{
	return m->load_known && m->sessions_most > 0 && m->load.sessions > m->sessions_most;
}

static bool has_standby_too_late(const struct sync_migration *m)
{
	return m->load_known && m->lag_most_us > 0 && m->load.lag_s * 1e6 > (double)m->lag_most_us;
}

static void on_load(void *arg, const struct endpoint_load *load, const struct err *e)
{
	struct sync_migration *m = arg;

	m->asking_load = false;
	if (!migrate_answered(m, NULL))
		return;
	if (e == NULL && !m->load_known && load->sessions < 0)
		log_info("how busy the target is cannot be seen: its role is no member of pg_read_all_stats",
			 LOG_S("endpoint", m->to->mapping->endpoint->name));
	if (e == NULL) {
		m->load_known = true;
		m->load = *load;
	}
	migrate_go_on(m);
}

static bool is_load_due(const struct sync_migration *m)
{
	return is_listing(m) && m->to->link->endpoint->ops->load != NULL && !m->asking_load && clock_mono_us() - m->load_us >= LOOK_US;
}

static void add_reason(struct sync_migration *m, struct buf *out)
{
	const char *target = m->to->mapping->endpoint->name;

	if (migrate_waits_for(m->from) || migrate_waits_for(m->to)) {
		buf_adds(out, "an endpoint has not answered for a while");
	} else if (has_too_many_sessions(m)) {
		buf_addf(out, "%s is busy: %lld sessions of others are at work there, more than --max-load %lld", target,
			 (long long)m->load.sessions, (long long)m->sessions_most);
	} else if (has_standby_too_late(m)) {
		buf_addf(out, "the standby %.64s of %s is ", m->load.standby, target);
		age_add(out, m->load.lag_s);
		buf_adds(out, " behind, more than --max-lag ");
		age_add(out, (double)m->lag_most_us / 1e6);
	} else if (is_fast_enough(m)) {
		buf_adds(out, "as fast as --rate allows");
	} else if (m->to->writing > 0 && migrate_asking(m->flow) == 0 && m->flow->n_rounds >= (size_t)m->sync->topology->limits.rounds) {
		buf_addf(out, "waits for %s to write", target);		/* all that may be at work is */
	}
}

void migrate_look_at_load(struct sync_migration *m)
{
	struct buf reason = { 0 };

	add_reason(m, &reason);
	job_waits(&m->job, reason.len > 0 ? reason.p : "");
	buf_fini(&reason);
	if (!is_load_due(m))
		return;
	m->asking_load = true;
	m->load_us = clock_mono_us();
	m->open++;
	m->to->link->endpoint->ops->load(m->to->link->endpoint, on_load, m);
}

bool migrate_is_held(struct sync_migration *m)
{
	return is_fast_enough(m) || has_too_many_sessions(m) || has_standby_too_late(m);
}

/* ---- how far it is ----------------------------------------------------------------------------------- */

/* What stands aside, and not what was set aside in this run: a row that was refused before and is again has not arrived either. */
int64_t migrate_rejected(const struct sync_migration *m)
{
	return m->from->parked_rows + m->to->parked;
}

void sync_migrate_view(const struct sync_migration *m, struct sync_migrate_view *v)
{
	int64_t now = clock_mono_us();

	*v = (struct sync_migrate_view){ .job = &m->job, .resumed = m->resumed, .one_moment = m->moment != NULL, .sums = m->sums,
					 .bytes_per_second = pace_of(0, -1, &m->bytes, m->job.phase_us, now).per_second,
					 .target = m->load_known ? &m->load : NULL, .n_workers = m->n_stretches > 1 ? m->n_stretches : 0 };
	v->sums.rejected = migrate_rejected(m);
	v->sums.us = m->before_us + now - m->job.began_us;
}

void sync_migrate_worker(const struct sync_migration *m, size_t i, struct sync_migrate_worker *w)
{
	const struct stretch *t = &m->stretches[i];
	int64_t expected = m->job.expected / (int64_t)m->n_stretches;	/* they are about equal */
	struct job_pace pace = pace_of(t->done, expected, &t->pace, m->job.phase_us, clock_mono_us());

	*w = (struct sync_migrate_worker){ .done = t->done, .per_second = pace.per_second, .share = pace.share };
	w->state = t->asking ? WORKER_READS : t->first != NULL ? WORKER_WRITES : t->listed ? WORKER_DONE : WORKER_WAITS;
	if (w->state == WORKER_DONE)
		w->share = 1;
}
