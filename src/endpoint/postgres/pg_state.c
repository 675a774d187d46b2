/*
 * pg_state.c - our row in crmsync.state: the fencing number and the epoch (SEMANTICS I10 and the handshake of section 1).
 *
 *   greet   which database is this, how far had it got, and: from here on only that fencing number writes
 *   guard   every write and every acknowledgement asks for that number in the statement itself
 *   beat    the epoch moves on, so that a database that is put back shows
 *
 * The guard is an expression that fails, not one more condition: a row that a condition leaves out looks like a row that
 * somebody else was faster to change. LIMIT refuses -1 with a code that nothing else here can have.
 *
 *   FACTS -> RAISE -> LOOK -> nobody is left: answered
 *                      ^  |
 *                      +-END <- somebody is
 *
 * The number refuses what begins after it was raised. What began before may commit yet, and so may, under a number that did not change,
 * whatever a lost connection of this process had sent: the server goes on without us, or has it before it unread. A look at the row
 * would find that it did not happen, and then it does. So a greeting is answered only when none of that is left there:
 *
 *   lost sessions (pg_sessions.h) are ended at once: nobody waits for what they do
 *   transactions that were open when the number had been raised, in sessions that are like ours (role, database, application_name),
 *   may be a predecessor's. They are waited for, since they may also be another topology's; each ends by its statement_timeout, and is
 *   ended by us when ours is over. After a few seconds also the one that waits for its client: it has none any more
 *
 * An open transaction is known by its virtual id, which it has before its snapshot and until its end is visible, and which
 * needs no clock. Sessions of this process, also those of other endpoints in the same database, are no former life.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_sessions.h"
#include "endpoint/postgres/pg_sql.h"

enum { PATIENCE_US = 5000000 };

/* One when `condition` holds for exactly one row of `from`, else an error. */
#define ONE_OR_FAIL "(SELECT true LIMIT (SELECT 2 * count(*) - 1 FROM "

static int number(struct pg_stmt *st, int64_t n)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)n);
	return pg_stmt_value(st, value_of(text));
}

void pg_state_guard(struct pg_stmt *st, const struct pg_link *pl)
{
	const struct endpoint *ep = pg_endpoint(pl->pg);

	if (ep->fence == 0 || fault("f31-writes-under-any-number"))
		return;
	buf_addf(&st->sql, ", " ONE_OR_FAIL "crmsync.state AS z WHERE z.consumer = $%d", pg_stmt_value(st, value_of(pg_consumer(pl->pg))));
	buf_addf(&st->sql, " AND z.fence = $%d::pg_catalog.int8))", number(st, ep->fence));
}

/* For a statement without parameters. */
void pg_state_guard_plain(struct pg_stmt *st, const struct pg_link *pl)
{
	const struct endpoint *ep = pg_endpoint(pl->pg);
	char *consumer;

	if (ep->fence == 0)
		return;
	consumer = pg_quote_text(pl->pg, pg_consumer(pl->pg));
	buf_addf(&st->sql, ", " ONE_OR_FAIL "crmsync.state AS z WHERE z.consumer = %s AND z.fence = %lld))",
		 consumer != NULL ? consumer : "NULL", (long long)ep->fence);
	free(consumer);
}

/* An UPDATE of our row that answers it when the number is still ours. */
static void add_beat(struct pg_stmt *st, struct postgres *pg, int64_t epoch)
{
	buf_addf(&st->sql, "UPDATE crmsync.state AS z SET epoch = greatest(z.epoch, $%d::pg_catalog.int8)", number(st, epoch));
	buf_addf(&st->sql, " WHERE z.consumer = $%d", pg_stmt_value(st, value_of(pg_consumer(pg))));
	buf_addf(&st->sql, " AND z.fence = $%d::pg_catalog.int8 RETURNING 1", number(st, pg_endpoint(pg)->fence));
}

void pg_state_with_epoch(struct pg_stmt *st, struct postgres *pg)
{
	if (pg_endpoint(pg)->fence == 0)
		return;
	buf_adds(&st->sql, "WITH beat AS (");
	add_beat(st, pg, pg_endpoint(pg)->epoch);
	buf_adds(&st->sql, ") ");
}

void pg_state_returning(struct pg_stmt *st, struct postgres *pg)
{
	if (pg_endpoint(pg)->fence != 0)
		buf_adds(&st->sql, " RETURNING " ONE_OR_FAIL "beat))");
}

/* ---- beat -------------------------------------------------------------------------------------------- */

struct beating {
	struct pg_stmt st;
	done_fn *done;
	void *arg;
};

static void on_beaten(void *arg, PGresult *res, const struct err *e)
{
	struct beating *b = arg;
	struct err fenced = { 0 };

	if (e == NULL && PQntuples(res) == 0) {
		err_set(&fenced, ERR_ENDPOINT, PG_FENCED, PG_FENCED_WORDS);
		e = &fenced;
	}
	b->done(b->arg, e);
	PQclear(res);
	pg_stmt_fini(&b->st);
	free(b);
}

void pg_beat_op(struct endpoint *ep, int64_t epoch, done_fn *done, void *arg)
{
	struct beating *b = xcalloc(1, sizeof *b);

	b->done = done;
	b->arg = arg;
	pg_stmt_init(&b->st);
	add_beat(&b->st, pg_of(ep), epoch);
	pg_stmt_call(&b->st, pg_of(ep), on_beaten, b);
}

/* ---- greet ------------------------------------------------------------------------------------------- */

struct pg_greeting {
	struct endpoint *ep;
	struct pg_stmt st;
	struct greeting g;
	int64_t fence;
	bool late;			/* another one was asked for meanwhile */
	int64_t looked_us;		/* monotonic: when the first look was asked for; 0: not yet */
	PGresult *left;			/* who was there at the last look; NULL: none had come */
	bool told;			/* ... for a while */
	bool refused;			/* we may not end them */
	greeted_fn *done;
	void *arg;
};

/* Of a look. */
enum { LEFT_SESSION, LEFT_PID, LEFT_TRANSACTION, LEFT_IS_LOST, LEFT_HAS_NO_CLIENT };

static void greeting_end(struct pg_greeting *j, const struct err *e)
{
	struct err why = { 0 };

	if (e != NULL) {
		why = *e;
		err_while(&why, "asking which database this is");
		if (why.kind == ERR_ROW)
			why.kind = ERR_ENDPOINT;
	}
	if (!j->late) {
		*pg_greeting(pg_of(j->ep)) = NULL;
		j->ep->waits_for = 0;
	}
	j->done(j->arg, &j->g, e != NULL ? &why : NULL);
	PQclear(j->left);
	pg_stmt_fini(&j->st);
	free(j);
}

/* ---- what former lives still do there -------------------------------------------------------------------- */

static void look(struct pg_greeting *j);

static bool is_over(const struct pg_greeting *j, int64_t limit_us)
{
	return clock_mono_us() - j->looked_us >= limit_us;
}

/* Sessions like ours: `a` is one, `me` our own. */
#define SESSIONS_LIKE_OURS "pg_catalog.pg_stat_activity AS a JOIN pg_catalog.pg_stat_activity AS me " \
	"ON me.pid = pg_catalog.pg_backend_pid() AND a.usesysid = me.usesysid AND a.datid = me.datid AND a.backend_type = 'client backend' " \
	"CROSS JOIN LATERAL (SELECT " PG_SESSION_NAME("a") ") AS s(name) "

/* The session's name when it is to be ended; else NULL, which is nobody's. */
static struct value ended(const struct pg_greeting *j, int row)
{
	int64_t own_us = pg_conf(pg_of(j->ep))->statement_timeout_us;
	bool over = pg_cell_true(j->left, row, LEFT_IS_LOST) ||
		(pg_cell_true(j->left, row, LEFT_HAS_NO_CLIENT) && is_over(j, PATIENCE_US)) ||
		is_over(j, PATIENCE_US + (own_us > 0 ? own_us : 60000000));

	return over && !j->refused ? pg_cell(j->left, row, LEFT_SESSION) : VALUE_NULL;
}

static void on_ended(void *arg, PGresult *res, const struct err *e)
{
	struct pg_greeting *j = arg;

	PQclear(res);
	/* They are ours, so we may; should it be refused all the same, waiting for them is left. */
	if (e != NULL && strcmp(e->code, "42501") == 0)
		j->refused = true;
	else if (e != NULL) {
		greeting_end(j, e);
		return;
	}
	look(j);
}

/* Those whose time is over, often none; then a moment's rest, which must not come before. */
static void end(struct pg_greeting *j)
{
	struct pg_stmt *st = &j->st;
	int n = PQntuples(j->left);

	pg_stmt_again(st);
	buf_addf(&st->sql, "SELECT pg_catalog.pg_sleep(0.1) FROM (SELECT pg_catalog.count(pg_catalog.pg_terminate_backend(a.pid)) FROM "
		 SESSIONS_LIKE_OURS "WHERE s.name = ANY ($%d)) AS ended(n) WHERE ended.n >= 0", pg_stmt_array(st, (size_t)n));
	for (int i = 0; i < n; i++)
		pg_stmt_add(st, ended(j, i));
	pg_stmt_call(st, pg_of(j->ep), on_ended, j);
}

static void tell(struct pg_greeting *j)
{
	j->ep->waits_for = pg_cell_int(j->left, 0, LEFT_PID, 0);
	if (j->told || !is_over(j, PATIENCE_US))
		return;
	j->told = true;
	log_warn("nothing is written there yet: a former connection of crmsyncd is still at work", LOG_S("endpoint", j->ep->conf->name),
		 LOG_I("backend", j->ep->waits_for));
}

static void on_looked(void *arg, PGresult *res, const struct err *e)
{
	struct pg_greeting *j = arg;
	struct err late = { 0 };

	if (e == NULL && j->late) {
		err_set(&late, ERR_TRANSIENT, "", "it was asked again meanwhile");
		e = &late;
	}
	PQclear(j->left);
	j->left = res;
	if (e != NULL) {
		greeting_end(j, e);
		return;
	}
	pg_sessions_seen(j->ep->conf->name, res, LEFT_SESSION);
	if (PQntuples(res) == 0) {
		greeting_end(j, NULL);
		return;
	}
	tell(j);
	end(j);
}

/* Those that the last look found: only these are of before. */
static int transactions_left(struct pg_greeting *j)
{
	int n = PQntuples(j->left), param = pg_stmt_array(&j->st, (size_t)n);

	for (int i = 0; i < n; i++)
		pg_stmt_add(&j->st, pg_cell(j->left, i, LEFT_TRANSACTION));
	return param;
}

static void look(struct pg_greeting *j)
{
	struct pg_stmt *st = &j->st;
	int lost, open;

	if (j->looked_us == 0)
		j->looked_us = clock_mono_us();
	pg_stmt_again(st);
	lost = pg_sessions_lost(st, j->ep->conf->name);
	open = pg_sessions_open(st);
	buf_addf(&st->sql, "SELECT s.name, a.pid, l.virtualtransaction, s.name = ANY ($%d), coalesce(a.wait_event_type = 'Client', false) FROM "
		 SESSIONS_LIKE_OURS, lost);
	buf_adds(&st->sql, "LEFT JOIN pg_catalog.pg_locks AS l ON l.pid = a.pid AND l.locktype = 'virtualxid' AND l.virtualxid = l.virtualtransaction ");
	buf_addf(&st->sql, "WHERE s.name = ANY ($%d) OR (s.name <> ALL ($%d) AND a.application_name = me.application_name ", lost, open);
	if (j->left == NULL)
		buf_adds(&st->sql, "AND l.virtualtransaction IS NOT NULL)");
	else
		buf_addf(&st->sql, "AND l.virtualtransaction = ANY ($%d))", transactions_left(j));
	pg_stmt_call(st, pg_of(j->ep), on_looked, j);
}

/* ---- the steps before -------------------------------------------------------------------------------- */

static void on_raised(void *arg, PGresult *res, const struct err *e)
{
	struct pg_greeting *j = arg;

	if (e == NULL) {
		j->g.there = !PQgetisnull(res, 0, 0);
		j->g.epoch = pg_cell_int(res, 0, 0, 0);
		j->g.fence = pg_cell_int(res, 0, 1, 0);
		j->g.raised = pg_cell_true(res, 0, 2);
	}
	PQclear(res);
	if (e == NULL && j->g.raised)
		look(j);
	else
		greeting_end(j, e);
}

/* The row as it was, and the number raised: in one statement, which sees what was there before it. */
static void raise(struct pg_greeting *j)
{
	struct pg_stmt *st = &j->st;
	int consumer, fence;

	pg_stmt_again(st);
	consumer = pg_stmt_value(st, value_of(pg_consumer(pg_of(j->ep))));
	fence = number(st, j->fence);
	buf_addf(&st->sql, "WITH old AS (SELECT z.epoch, z.fence FROM crmsync.state AS z WHERE z.consumer = $%d), "
		 "new AS (INSERT INTO crmsync.state AS z (consumer, fence) VALUES ($%d, $%d::pg_catalog.int8) "
		 "ON CONFLICT (consumer) DO UPDATE SET fence = EXCLUDED.fence WHERE z.fence <= EXCLUDED.fence RETURNING 1) "
		 "SELECT (SELECT epoch FROM old), (SELECT fence FROM old), EXISTS (SELECT FROM new)", consumer, consumer, fence);
	pg_stmt_call(st, pg_of(j->ep), on_raised, j);
}

static void on_facts(void *arg, PGresult *res, const struct err *e)
{
	struct pg_greeting *j = arg;

	if (e == NULL) {
		snprintf(j->g.system, sizeof j->g.system, "%s", PQgetvalue(res, 0, 0));
		j->g.timeline = strtoll(PQgetvalue(res, 0, 1), NULL, 16);
	}
	PQclear(res);
	j->g.kept = j->ep->keeps_state;
	if (e != NULL)
		greeting_end(j, e);
	else if (j->g.kept)
		raise(j);
	else
		look(j);
}

void pg_greet_op(struct endpoint *ep, int64_t fence, greeted_fn *done, void *arg)
{
	struct pg_greeting *j = xcalloc(1, sizeof *j);

	*j = (struct pg_greeting){ .ep = ep, .fence = fence, .done = done, .arg = arg };
	if (*pg_greeting(pg_of(ep)) != NULL)
		(*pg_greeting(pg_of(ep)))->late = true;
	*pg_greeting(pg_of(ep)) = j;
	ep->waits_for = 0;
	pg_stmt_init(&j->st);
	buf_adds(&j->st.sql, "SELECT c.system_identifier, pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) "
		 "FROM pg_catalog.pg_control_system() AS c");
	pg_stmt_call(&j->st, pg_of(ep), on_facts, j);
}
