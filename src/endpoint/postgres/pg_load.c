/*
 * pg_load.c - how busy the server is with others: sessions that execute something, and how far its standbys are behind.
 *
 * All sessions of the server count, whatever their database: they share its processors and disks. One that waits for a lock counts, too.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_sessions.h"
#include "endpoint/postgres/pg_sql.h"

struct looking {
	struct pg_stmt st;
	loaded_fn *done;
	void *arg;
};

static void take(const PGresult *res, struct endpoint_load *load)
{
	bool sees = pg_cell_true(res, 0, 0);

	*load = (struct endpoint_load){ .sessions = sees ? pg_cell_int(res, 0, 1, 0) : -1, .lag_s = sees ? 0 : NAN };
	if (!sees || PQgetisnull(res, 0, 2))
		return;
	load->lag_s = strtod(PQgetvalue(res, 0, 2), NULL);
	snprintf(load->standby, sizeof load->standby, "%s", PQgetvalue(res, 0, 3));
}

static void on_looked(void *arg, PGresult *res, const struct err *e)
{
	struct looking *l = arg;
	struct endpoint_load load;

	if (e == NULL)
		take(res, &load);
	l->done(l->arg, e == NULL ? &load : NULL, e);
	PQclear(res);
	pg_stmt_fini(&l->st);
	free(l);
}

void pg_load_op(struct endpoint *ep, loaded_fn *done, void *arg)
{
	struct looking *l = xcalloc(1, sizeof *l);

	l->done = done;
	l->arg = arg;
	pg_stmt_init(&l->st);
	l->st.params.reads = true;
	buf_addf(&l->st.sql, "SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), (SELECT count(*) FROM pg_stat_activity AS a "
		 "CROSS JOIN LATERAL (SELECT " PG_SESSION_NAME("a") ") AS s(name) WHERE a.state = 'active' AND a.backend_type = 'client backend' "
		 "AND s.name <> ALL ($%d)), r.lag, r.application_name", pg_sessions_open(&l->st));
	buf_adds(&l->st.sql, " FROM (SELECT) AS one LEFT JOIN (SELECT extract(epoch FROM replay_lag) AS lag, application_name "
		 "FROM pg_stat_replication WHERE replay_lag IS NOT NULL ORDER BY replay_lag DESC LIMIT 1) AS r ON true");
	pg_stmt_call(&l->st, pg_of(ep), on_looked, l);
}
