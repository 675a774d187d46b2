/*
 * pg_state.c - our row in crmsync.state: the fencing number and the epoch (SEMANTICS I10 and the handshake of section 1).
 *
 *   greet   which database is this, how far had it got, and: from here on only that fencing number writes
 *   guard   every write and every acknowledgement asks for that number in the statement itself
 *   beat    the epoch moves on, so that a database that is put back shows
 *
 * The guard is an expression that fails, not one more condition: a row that a condition leaves out looks like a row that
 * somebody else was faster to change. LIMIT refuses -1 with a code that nothing else here can have. A statement that began just before the
 * number was raised may still commit; the row versions of the next daemon's writes catch what it did (SEMANTICS 9.6).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_sql.h"

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

	if (ep->fence == 0)
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

struct greeting_job {
	struct endpoint *ep;
	struct pg_stmt st;
	struct greeting g;
	int64_t fence;
	greeted_fn *done;
	void *arg;
};

static void greeting_end(struct greeting_job *j, const struct err *e)
{
	struct err why = { 0 };

	if (e != NULL) {
		why = *e;
		err_while(&why, "asking which database this is");
		if (why.kind == ERR_ROW)
			why.kind = ERR_ENDPOINT;
	}
	j->done(j->arg, &j->g, e != NULL ? &why : NULL);
	pg_stmt_fini(&j->st);
	free(j);
}

static void on_raised(void *arg, PGresult *res, const struct err *e)
{
	struct greeting_job *j = arg;

	if (e == NULL) {
		j->g.there = !PQgetisnull(res, 0, 0);
		j->g.epoch = pg_cell_int(res, 0, 0, 0);
		j->g.fence = pg_cell_int(res, 0, 1, 0);
		j->g.raised = pg_cell_true(res, 0, 2);
	}
	PQclear(res);
	greeting_end(j, e);
}

/* The row as it was, and the number raised: in one statement, which sees what was there before it. */
static void raise(struct greeting_job *j)
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
	struct greeting_job *j = arg;

	if (e == NULL) {
		snprintf(j->g.system, sizeof j->g.system, "%s", PQgetvalue(res, 0, 0));
		j->g.timeline = strtoll(PQgetvalue(res, 0, 1), NULL, 16);
	}
	PQclear(res);
	j->g.kept = j->ep->keeps_state;
	if (e == NULL && j->g.kept)
		raise(j);
	else
		greeting_end(j, e);
}

void pg_greet_op(struct endpoint *ep, int64_t fence, greeted_fn *done, void *arg)
{
	struct greeting_job *j = xcalloc(1, sizeof *j);

	*j = (struct greeting_job){ .ep = ep, .fence = fence, .done = done, .arg = arg };
	pg_stmt_init(&j->st);
	buf_adds(&j->st.sql, "SELECT c.system_identifier, pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8) "
		 "FROM pg_catalog.pg_control_system() AS c");
	pg_stmt_call(&j->st, pg_of(ep), on_facts, j);
}
