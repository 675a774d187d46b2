/*
 * migrate.c - POST /v1/migrate: brings an entity over, as lines while that is done: {"progress": ...} twice a second, and at the end the sum.
 *
 * Who ordered it keeps it going: when the client leaves, it stops, and the same order goes on where it was.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "control/room.h"
#include "loop/loop.h"
#include "sync/sync.h"

enum {
	PROGRESS_MS = 500,
	OUT_MOST = 64 * 1024,			/* lines not taken yet: nothing more is said of progress */
	JOBS_MOST = 16, JOBS_USUAL = 4,
	LOAD_USUAL = 25,			/* sessions */
	LAG_USUAL_US = 10 * 1000 * 1000,
};

static const char *const strategies[] = {
	[MIGRATE_FULL] = "full", [MIGRATE_INCREMENTAL] = "incremental", [MIGRATE_PARALLEL] = "parallel", NULL
};

struct migrating {
	struct http_stream *stream;		/* NULL: not begun yet */
	struct sync_migration *migration;	/* NULL: it has ended */
	struct loop_timer *timer;
	struct buf out;
	char *entity, *from, *to;		/* owned */
	enum sync_migrate_strategy strategy;
	bool ended;
};

static void say_line(struct migrating *g, json_t *j)
{
	control_add_line(&g->out, j);
	if (g->stream != NULL)
		http_stream_more(g->stream);
}

/* ---- progress ---------------------------------------------------------------------------------------- */

static json_t *target_json(const struct endpoint_load *load)
{
	json_t *j = json_object();

	json_object_set_new(j, "active_sessions", load->sessions >= 0 ? json_integer(load->sessions) : json_null());
	json_object_set_new(j, "standby_lag_seconds", control_number(load->lag_s));
	json_object_set_new(j, "standby", load->standby[0] != '\0' ? control_text(load->standby) : json_null());
	return j;
}

static json_t *workers_json(const struct migrating *g, size_t n)
{
	static const char *const states[] = {
		[WORKER_READS] = "reads", [WORKER_WRITES] = "writes", [WORKER_WAITS] = "waits", [WORKER_DONE] = "done"
	};
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++) {
		struct sync_migrate_worker w;
		json_t *j = json_object();

		sync_migrate_worker(g->migration, i, &w);
		json_object_set_new(j, "worker", json_integer((json_int_t)i + 1));
		json_object_set_new(j, "state", json_string(states[w.state]));
		json_object_set_new(j, "rows", json_integer(w.done));
		json_object_set_new(j, "share", control_number(w.share));
		json_object_set_new(j, "per_second", control_number(w.per_second));
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *progress_json(const struct migrating *g)
{
	struct sync_migrate_view v;
	json_t *j;

	sync_migrate_view(g->migration, &v);
	j = job_json(v.job);
	json_object_set(j, "rows_per_second", json_object_get(j, "per_second"));
	json_object_set_new(j, "bytes_per_second", control_number(v.bytes_per_second));
	json_object_set_new(j, "resumed", json_boolean(v.resumed));
	json_object_set_new(j, "snapshot", json_boolean(v.one_moment));
	json_object_set_new(j, "rows", json_integer(v.sums.rows));
	json_object_set_new(j, "bytes", json_integer(v.sums.read + v.sums.written));
	json_object_set_new(j, "target", v.target != NULL ? target_json(v.target) : json_null());
	json_object_set_new(j, "workers", workers_json(g, v.n_workers));
	return j;
}

static void on_progress(void *arg)
{
	struct migrating *g = arg;
	json_t *j;

	loop_timer_set(g->timer, PROGRESS_MS);
	if (g->migration == NULL || g->out.len > OUT_MOST)
		return;
	j = control_object();
	json_object_set_new(j, "progress", progress_json(g));
	say_line(g, j);
}

/* ---- the sum ----------------------------------------------------------------------------------------- */

static double per_second(int64_t bytes, int64_t us)
{
	return us > 0 ? (double)bytes * 1e6 / (double)us : NAN;
}

static json_t *sum_json(const struct migrating *g, const struct sync_migrate_sums *s)
{
	json_t *j = control_object();
	int64_t bytes = s->read + s->written;

	json_object_set_new(j, "entity", control_text(g->entity));
	json_object_set_new(j, "from", control_text(g->from));
	json_object_set_new(j, "to", control_text(g->to));
	json_object_set_new(j, "strategy", json_string(strategies[g->strategy]));
	json_object_set_new(j, "rows", json_integer(s->rows));
	json_object_set_new(j, "unread", json_integer(s->unread));
	json_object_set_new(j, "bytes", json_integer(bytes));
	json_object_set_new(j, "read_bytes", json_integer(s->read));
	json_object_set_new(j, "written_bytes", json_integer(s->written));
	json_object_set_new(j, "inserted", json_integer(s->inserted));
	json_object_set_new(j, "updated", json_integer(s->updated));
	json_object_set_new(j, "deleted", json_integer(s->deleted));
	json_object_set_new(j, "rejected", json_integer(s->rejected));
	json_object_set_new(j, "cleaned", json_integer(s->cleaned));
	json_object_set_new(j, "waiting", json_integer(s->waiting));
	json_object_set_new(j, "extra_kept", json_boolean(s->extra_kept));
	json_object_set_new(j, "seconds", json_real((double)s->us / 1e6));
	json_object_set_new(j, "data_rate_bytes_per_second", control_number(per_second(bytes, s->us)));
	json_object_set_new(j, "throughput_bytes_per_second", control_number(per_second(bytes, s->waited_us)));
	return j;
}

static enum control_exit exit_of(const struct err *e)
{
	return e->kind == ERR_CONFIG ? EXIT_USAGE : e->kind == ERR_ENDPOINT ? EXIT_UNAVAILABLE : EXIT_AGAIN;
}

static void on_done(void *arg, const struct sync_migrate_sums *sums, const struct err *e)
{
	struct migrating *g = arg;

	g->migration = NULL;
	g->ended = true;
	say_line(g, e == NULL ? sum_json(g, sums) :
		 control_error(exit_of(e), e->code[0] != '\0' ? e->code : "migration-broken", "%s", e->text));
}

/* ---- the stream -------------------------------------------------------------------------------------- */

static bool more_lines(void *arg, struct buf *out)
{
	struct migrating *g = arg;

	buf_add(out, g->out.len > 0 ? g->out.p : "", g->out.len);
	buf_clear(&g->out);
	return !g->ended;
}

static void migrating_free(void *arg)
{
	struct migrating *g = arg;

	if (g->migration != NULL)
		sync_migrate_cancel(g->migration);
	loop_timer_free(&g->timer);
	free(g->entity);
	free(g->from);
	free(g->to);
	buf_fini(&g->out);
	free(g);
}

/* ---- the order --------------------------------------------------------------------------------------- */

static bool take_numbers(struct http_exchange *x, const json_t *params, struct sync_migrate_order *o)
{
	const json_t *jobs = json_object_get(params, "jobs"), *rate = json_object_get(params, "rate"), *load = json_object_get(params, "max_load");
	const char *lag = param_text(params, "max_lag");

	o->jobs = jobs != NULL ? (size_t)json_integer_value(jobs) : o->strategy == MIGRATE_PARALLEL ? JOBS_USUAL : 1;
	o->rows_per_second = json_integer_value(rate);
	o->sessions_most = load != NULL ? json_integer_value(load) : LOAD_USUAL;
	o->lag_most_us = LAG_USUAL_US;
	if (jobs != NULL && (json_integer_value(jobs) < 1 || json_integer_value(jobs) > JOBS_MOST))
		control_refuse(x, EXIT_USAGE, "usage", "jobs: from 1 to %d", JOBS_MOST);
	else if (jobs != NULL && o->strategy != MIGRATE_PARALLEL)
		control_refuse(x, EXIT_USAGE, "usage", "jobs belongs to the strategy parallel");
	else if (rate != NULL && json_integer_value(rate) < 1)
		control_refuse(x, EXIT_USAGE, "usage", "rate: rows a second, from 1");
	else if (o->sessions_most < 0)
		control_refuse(x, EXIT_USAGE, "usage", "max_load: sessions; 0 for however many");
	else if (lag != NULL && !duration_parse(lag, &o->lag_most_us))
		control_refuse(x, EXIT_USAGE, "usage", "max_lag: '%s' is not a duration such as 500ms, 10s or 5m; 0s for however long", lag);
	else
		return true;
	return false;
}

/* False: it was refused. What it points to is the parameters'. */
static bool take_order(struct control *c, struct http_exchange *x, const json_t *params, struct sync_migrate_order *o)
{
	static const char *const ontos[] = { "merge", "replace", NULL };
	int strategy, onto;

	*o = (struct sync_migrate_order){ .entity = param_text(params, "entity"), .from = param_text(params, "from"), .to = param_text(params, "to") };
	if (!entity_is_known(c, x, o->entity) || !endpoint_is_known(c, x, o->from) || !endpoint_is_known(c, x, o->to))
		return false;
	strategy = param_word(x, params, "strategy", strategies);
	onto = strategy >= 0 ? param_word(x, params, "onto", ontos) : -1;
	if (onto < 0)
		return false;
	o->strategy = (enum sync_migrate_strategy)strategy;
	o->onto = param_text(params, "onto") == NULL ? ONTO_EMPTY : onto == 0 ? ONTO_MERGE : ONTO_REPLACE;
	return take_numbers(x, params, o);
}

void run_migrate(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct http_producer producer = { .more = more_lines, .end = migrating_free, .waits = true };
	struct sync_migrate_taker taker = { .done = on_done };
	struct sync_migrate_order order;
	struct err e = { 0 };
	struct migrating *g;

	if (!take_order(c, x, params, &order))
		return;
	g = xcalloc(1, sizeof *g);
	g->entity = xstrdup(order.entity);
	g->from = xstrdup(order.from);
	g->to = xstrdup(order.to);
	g->strategy = order.strategy;
	g->timer = loop_timer_new(c->loop, on_progress, g);
	loop_timer_set(g->timer, PROGRESS_MS);
	producer.arg = taker.arg = g;
	g->stream = http_stream(x, CONTROL_LINES, &producer);
	if (g->stream == NULL)
		return;			/* it has been freed: the client left already */
	g->migration = sync_migrate(c->sync, &order, &taker, &e);
	if (g->migration == NULL)
		on_done(g, NULL, &e);
}
