/*
 * migrate.c - the order: what is listed next, how far it is, where it goes on.
 *
 * It has no pump of its own: the entity's asks migrate_feed() for as long as there is room (feed.c), also while it is paused.
 */
#include "sync/migrate.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"

enum {
	SETTLE_US = 10000000,		/* so long is waited for what was put off, when others are at work on the entity, too */
	LOOKS_MOST = 3,			/* so often it is looked for what the target is still owed */
};

/* ---- the end ----------------------------------------------------------------------------------------- */

static void migration_release(struct sync_migration *m)
{
	m->sync->migration = NULL;
	m->flow->migration = NULL;
	job_end(&m->sync->jobs, &m->job);
	migrate_stretches_clear(m);
	moment_free(&m->moment);
	free(m->watermark);
	free(m->since);
	free(m);
}

/* In a paused entity nobody but a resume remembers what the others are owed. */
static void leave_debts(struct sync_migration *m)
{
	for (size_t e = 0; e < m->sync->topology->n_endpoints; e++)
		m->flow->settle_wanted |= m->flow->sides[e] != NULL && m->flow->sides[e]->owed > 0;
}

static void migration_end(struct sync_migration *m, const struct err *e)
{
	if (m->ended)
		return;
	m->ended = true;
	m->sums.us = m->before_us + clock_mono_us() - m->job.began_us;
	m->sums.waiting = m->to->owed;
	m->sums.rejected = migrate_rejected(m);
	leave_debts(m);
	if (e == NULL)
		log_info("migrated", LOG_S("entity", m->flow->def->name), LOG_S("from", m->from->mapping->endpoint->name),
			 LOG_S("to", m->to->mapping->endpoint->name), LOG_I("rows", m->sums.rows), LOG_I("rejected", m->sums.rejected),
			 LOG_D("seconds", (double)m->sums.us / 1e6));
	else
		log_info("migration broken off", LOG_S("entity", m->flow->def->name), LOG_S("to", m->to->mapping->endpoint->name),
			 LOG_ERR(e));
	m->taker.done(m->taker.arg, &m->sums, e);
}

static void migration_fail(struct sync_migration *m, const struct err *e)
{
	struct err why = *e;

	if (why.kind == 0 || why.kind == ERR_ROW)
		why.kind = ERR_TRANSIENT;
	err_while(&why, "migrating %s; the same command goes on where it stopped", m->flow->def->name);
	migration_end(m, &why);
}

bool migrate_answered(struct sync_migration *m, const struct err *e)
{
	m->open--;
	if (e != NULL && !m->ended)
		migration_fail(m, e);
	if (!m->ended)
		return true;
	if (m->open == 0)
		migration_release(m);
	return false;
}

/* One that only owes answers for a while is waited for. */
static bool is_away(const struct side *side, struct err *e)
{
	if (side_usable(side) || side->link->endpoint->silent)
		return false;
	err_set(e, ERR_ENDPOINT, "endpoint-away", "%s cannot be used now: %s", side->mapping->endpoint->name,
		side->link->endpoint->why.text[0] != '\0' ? side->link->endpoint->why.text :
		side->link->why.text[0] != '\0' ? side->link->why.text : "it is paused, or has not answered yet");
	return true;
}

/* True: something that it needs has gone. */
static bool is_broken(const struct sync_migration *m, struct err *e)
{
	const char *why = sync_not_at_hand(m->sync);

	if (why != NULL)
		err_set(e, ERR_TRANSIENT, "not-ready", "%s", why);
	else if (m->losses != m->sync->losses)
		err_set(e, ERR_TRANSIENT, "state-lost", "the state in Redis was lost meanwhile");
	else if (m->past_us[0] != m->sync->shakes[m->from->endpoint].past_us || m->past_us[1] != m->sync->shakes[m->to->endpoint].past_us)
		err_set(e, ERR_TRANSIENT, "put-back", "one of the two databases was put back meanwhile");
	return e->kind != 0 || is_away(m->from, e) || is_away(m->to, e);
}

bool migrate_still_answered(struct sync_migration *m, const struct err *e)
{
	struct err why = { 0 };

	return migrate_answered(m, e == NULL && !m->ended && is_broken(m, &why) ? &why : e);
}

void migrate_go_on(struct sync_migration *m)
{
	if (!m->sync->closing)
		flow_pump(m->flow);
}

void sync_migrate_cancel(struct sync_migration *m)
{
	m->ended = true;
	leave_debts(m);
	log_info("migration left by whoever ordered it", LOG_S("entity", m->flow->def->name), LOG_I("rows", m->sums.rows));
	m->open++;
	migrate_answered(m, NULL);
}

void migrate_end_with_sync(struct sync *s)
{
	struct err e = { 0 };

	if (s->migration == NULL || s->migration->ended)
		return;
	err_set(&e, ERR_TRANSIENT, "stopping", "the daemon stops, or reads its topology again");
	migration_fail(s->migration, &e);
}

void migrate_free(struct sync *s)
{
	if (s->migration != NULL)
		migration_release(s->migration);
}

/* ---- how far it is: kept ----------------------------------------------------------------------------- */

static void on_saved(void *arg, const struct err *e)
{
	struct sync_migration *m = arg;

	m->saving = false;
	if (m->unsaved && e == NULL && migrate_counts(m))
		migrate_save(m);
	if (migrate_answered(m, e))
		migrate_go_on(m);
}

/* One at a time, and what came meanwhile in the next. */
void migrate_save(struct sync_migration *m)
{
	char name[200], *text;
	struct store_position p = { .name = name };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	m->unsaved = m->saving;
	if (m->saving)
		return;
	m->saving = true;
	migrate_name_mark(m, name);
	p.text = text = migrate_mark_text(m);
	m->open++;
	m->sync->store->ops->write(m->sync->store, m->flow->index, &w, on_saved, m);
	free(text);
}

/* had: so much of the phase was done in an earlier life. */
static void tell_phase(struct sync_migration *m, int64_t had)
{
	static const struct {
		const char *name, *unit;
	} phases[] = {
		[MIGRATE_BEGIN] = { "begin" }, [MIGRATE_TARGET] = { "target", "rows" }, [MIGRATE_SOURCE] = { "source", "rows" },
		[MIGRATE_EXTRA] = { "extra", "rows" }, [MIGRATE_SETTLE] = { "settle" }, [MIGRATE_OVER] = { "over" },
	};

	job_phase(&m->job, phases[m->phase].name, m->to->mapping->endpoint->name, phases[m->phase].unit, -1, clock_mono_us());
	job_had(&m->job, had);
	memset(&m->bytes, 0, sizeof m->bytes);
}

void migrate_enter(struct sync_migration *m, enum migrate_phase phase)
{
	m->phase = phase;
	m->positioned = m->estimated = m->parted = m->marked = m->marking = false;
	tell_phase(m, 0);
	migrate_stretches_clear(m);
	moment_free(&m->moment);
	if (phase == MIGRATE_TARGET || phase == MIGRATE_SOURCE)
		migrate_side_listed(m)->strangers &= migrate_side_listed(m)->surveyed;
	migrate_save(m);
}

/* ---- BEGIN ------------------------------------------------------------------------------------------- */

static void on_mark(void *arg, struct value text, const struct err *e)
{
	struct sync_migration *m = arg;

	if (!migrate_answered(m, e))
		return;
	m->loaded = true;
	m->resumed = !value_is_null(text) && migrate_mark_read(m, text);
	m->other = !value_is_null(text) && !m->resumed;
	if (m->resumed) {
		tell_phase(m, m->job.done);
		log_info("migration goes on where it stopped", LOG_S("entity", m->flow->def->name),
			 LOG_S("to", m->to->mapping->endpoint->name), LOG_I("rows", m->sums.rows));
	}
	migrate_go_on(m);
}

static void refuse_rows(struct sync_migration *m)
{
	struct err e = { 0 };

	err_set(&e, ERR_CONFIG, "not-empty", "%s at %s is not empty. --onto merge: the entity's rules decide about what both have; "
		"--onto replace: it becomes equal to %s, and rows that only it has are deleted%s", m->flow->def->name,
		m->to->mapping->endpoint->name, m->from->mapping->endpoint->name,
		m->other ? ". (A migration with other options was broken off there: with these it goes on)" : "");
	migration_end(m, &e);
}

/* What differs from the last-seen state is told by that state, where there is one. */
static bool may_hold_rows(const struct sync_migration *m)
{
	return m->onto != ONTO_EMPTY || (m->strategy == MIGRATE_INCREMENTAL && m->to->surveyed);
}

static void on_looked(void *arg, struct rowset *rows, const struct err *e)
{
	struct sync_migration *m = arg;
	bool empty = e == NULL && rows->n == 0;

	if (e == NULL)
		rowset_free(&rows);
	if (!migrate_answered(m, e))
		return;
	m->looked = true;
	m->was_empty = empty;
	if (!empty && !may_hold_rows(m)) {
		m->open++;
		refuse_rows(m);
		migrate_answered(m, NULL);
		return;
	}
	migrate_go_on(m);
}

static bool begin_step(struct sync_migration *m)
{
	char name[200];

	if (m->open > 0)
		return false;
	if (!m->loaded) {
		m->open++;
		migrate_name_mark(m, name);
		m->sync->store->ops->position(m->sync->store, name, on_mark, m);
		return false;
	}
	if (!m->looked && !m->resumed) {
		m->open++;
		m->to->link->ops->list(m->to->link, NULL, NULL, 1, on_looked, m);
		return false;
	}
	migrate_enter(m, m->to->surveyed ? MIGRATE_SOURCE : MIGRATE_TARGET);
	return true;
}

/* ---- SETTLE ------------------------------------------------------------------------------------------ */

static void on_forgotten(void *arg, const struct err *e)
{
	struct sync_migration *m = arg;

	if (!migrate_answered(m, e))
		return;
	m->phase = MIGRATE_OVER;
	m->open++;
	migration_end(m, NULL);
	migrate_answered(m, NULL);
}

static void forget_mark(struct sync_migration *m)
{
	char name[200], kept[200], *watermark;
	struct store_position p[2] = { { .name = name }, { .name = kept } };
	struct store_write w = { .positions = p, .n_positions = 1 };

	m->forgetting = true;
	migrate_name_mark(m, name);
	watermark_settled(m->from, m->watermark);
	p[1].text = watermark = watermark_to_keep(m->from, kept);
	w.n_positions += watermark != NULL;
	m->open++;
	m->sync->store->ops->write(m->sync->store, m->flow->index, &w, on_forgotten, m);
	free(watermark);
}

/*
 * Who waits for whom is only in memory: of what was parked before a restart for want of a row that has come since, nobody would tell. So
 * these are tried until that changes nothing any more. Of an entity that is followed retry.c does that.
 */
static bool try_orphans(struct sync_migration *m)
{
	if (!m->flow->paused || (m->orphans_after == 0 && m->orphans_left == m->to->orphans) || fault("f15-who-waited-before-a-restart-is-forgotten"))
		return false;
	if (m->orphans_after == 0)
		m->orphans_left = m->to->orphans;
	m->orphans_after = retry_orphans(m->to, m->orphans_after);
	return true;
}

static bool is_quiet(const struct sync_migration *m)
{
	return flow_is_quiet(m->flow) && (m->flow->paused || !retries_under_way(m->flow));
}

static bool settle_step(struct sync_migration *m)
{
	int64_t now = clock_mono_us();

	if (m->forgetting || m->saving || m->asking_load)	/* whoever hears of its end may order the next one at once */
		return false;
	if (m->settling_us == 0)
		m->settling_us = now;
	if (!is_quiet(m) && (m->flow->paused || now - m->settling_us < SETTLE_US))
		return false;
	if (try_orphans(m))
		return true;
	if (m->to->owed > 0 && m->looks++ < LOOKS_MOST) {
		m->flow->settle_wanted = true;
		return m->flow->paused;
	}
	forget_mark(m);
	return false;
}

/* ---- going on ---------------------------------------------------------------------------------------- */

static bool over_step(struct sync_migration *m)
{
	return false;
}

static bool (*const steps[])(struct sync_migration *) = {
	[MIGRATE_BEGIN] = begin_step, [MIGRATE_TARGET] = migrate_list_step, [MIGRATE_SOURCE] = migrate_list_step,
	[MIGRATE_EXTRA] = migrate_list_step, [MIGRATE_SETTLE] = settle_step, [MIGRATE_OVER] = over_step,
};

bool migrate_is_at_work(const struct flow *flow)
{
	return flow->migration != NULL && !flow->migration->ended;
}

bool migrate_rests_at(const struct flow *flow, size_t e)
{
	return flow->paused && flow->migration != NULL && e != flow->migration->to->endpoint;
}

bool migrate_knows_its_sums(const struct flow *flow)
{
	return flow->migration != NULL && flow->migration->loaded;
}

bool migrate_feed(struct flow *flow)
{
	struct sync_migration *m = flow->migration;

	return migrate_is_at_work(flow) && flow->counted && !migrate_waits_for(m->from) && !migrate_waits_for(m->to) && steps[m->phase](m);
}

void migrate_tick(struct sync *s)
{
	struct sync_migration *m = s->migration;
	struct err e = { 0 };

	if (m == NULL || m->ended)
		return;
	if (!is_broken(m, &e)) {
		migrate_look_at_load(m);
		return;
	}
	m->open++;
	migrate_answered(m, &e);
}

/* ---- birth ------------------------------------------------------------------------------------------- */

static struct side *side_wanted(struct sync *s, const struct flow *flow, const char *endpoint, struct err *e)
{
	struct side *side = side_named(s, flow->def->name, endpoint);

	if (side == NULL)
		err_set(e, ERR_CONFIG, "unknown-name", "%s has no mapping at an endpoint '%s'", flow->def->name, endpoint);
	return side;
}

static bool roles_fit(const struct side *from, const struct side *to, struct err *e)
{
	if (from == to)
		return err_set(e, ERR_CONFIG, "same-endpoint", "--from and --to are the same endpoint");
	if (!from->captures)
		return err_set(e, ERR_CONFIG, "role", "%s has the role `target` there: its rows have no say", from->mapping->endpoint->name);
	if (to->mapping->role == ROLE_SOURCE)
		return err_set(e, ERR_CONFIG, "role", "%s has the role `source` there: it is not written to", to->mapping->endpoint->name);
	return true;
}

/* It does the same, and there would be two of it. */
static bool is_met_first(const struct flow *flow, const struct side *from, const struct side *to, struct err *e)
{
	if (flow->paused || (from->surveyed && to->surveyed))
		return false;
	err_set(e, ERR_TRANSIENT, "first-contact", "the first contact of %s is under way, which brings over what is missing as well: "
		"crmsyncctl wait waits for its end; crmsyncctl pause %s, and a migration takes its place", flow->def->name, flow->def->name);
	return true;
}

static bool points_back(const struct entity_def *def, const struct entity_def *to)
{
	for (size_t f = 0; f < def->n_fields; f++)
		if (def->fields[f].refers == to)
			return true;
	return false;
}

/* Where the rows that it points to are not known to be, each of its own would only wait for them. */
static bool parents_are_there(const struct flow *flow, const struct side *to, struct err *e)
{
	for (size_t f = 0; f < flow->def->n_fields; f++) {
		const struct entity_def *parent = flow->def->fields[f].refers;
		const struct side *side = parent != NULL ? flow->sync->flows[parent->index].sides[to->endpoint] : NULL;

		if (side == NULL || parent == flow->def || side->surveyed || points_back(parent, flow->def))
			continue;
		return err_set(e, ERR_CONFIG, "parents-first", "%s points to %s, which %s has not been given yet: migrate %s first",
			       flow->def->name, parent->name, to->mapping->endpoint->name, parent->name);
	}
	return true;
}

struct sync_migration *sync_migrate(struct sync *s, const struct sync_migrate_order *order, const struct sync_migrate_taker *taker,
				    struct err *e)
{
	struct flow *flow = flow_named(s, order->entity);
	struct side *from, *to;
	struct sync_migration *m;

	if (flow == NULL)
		return err_set(e, ERR_CONFIG, "unknown-name", "there is no entity '%s'", order->entity), NULL;
	from = side_wanted(s, flow, order->from, e);
	to = from != NULL ? side_wanted(s, flow, order->to, e) : NULL;
	if (to == NULL || !roles_fit(from, to, e))
		return NULL;
	if (s->migration != NULL)
		return err_set(e, ERR_TRANSIENT, "busy", "a migration is under way, or about to end; try again"), NULL;
	if (sync_not_at_hand(s) != NULL)
		return err_set(e, ERR_TRANSIENT, "not-ready", "%s", sync_not_at_hand(s)), NULL;
	if (is_away(from, e) || is_away(to, e) || is_met_first(flow, from, to, e) || !parents_are_there(flow, to, e))
		return NULL;
	m = xcalloc(1, sizeof *m);
	*m = (struct sync_migration){ .sync = s, .flow = flow, .from = from, .to = to, .strategy = order->strategy, .onto = order->onto,
				      .jobs = order->jobs, .rows_per_second = order->rows_per_second, .sessions_most = order->sessions_most,
				      .lag_most_us = order->lag_most_us, .taker = *taker, .losses = s->losses, .credit_us = clock_mono_us() };
	job_begin(&s->jobs, &m->job, "migrate", flow->def->name, JOB_OPERATOR, clock_mono_us());
	tell_phase(m, 0);
	m->past_us[0] = s->shakes[from->endpoint].past_us;
	m->past_us[1] = s->shakes[to->endpoint].past_us;
	migrate_stretches_clear(m);
	s->migration = flow->migration = m;
	log_info("migration begins", LOG_S("entity", flow->def->name), LOG_S("from", from->mapping->endpoint->name),
		 LOG_S("to", to->mapping->endpoint->name));
	flow_pump(flow);
	return m;
}
