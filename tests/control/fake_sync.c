#include "fake_sync.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backup/backup.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/journal_images.h"
#include "loop/loop.h"
#include "sync/sync.h"

enum { ENDPOINTS = 3, ENTITIES = 2 };

static struct fake own;
struct fake *fake = &own;

struct sync {
	struct loop *loop;
	const struct topology *topology;
	struct journal *journal;
	struct endpoint endpoints[ENDPOINTS];
	struct link links[ENTITIES][ENDPOINTS];
	struct meter_endpoint meter_endpoints[ENDPOINTS];
	struct meter_entity meter_entities[ENTITIES];
	struct timeline service;
	struct meter_link meter_links[ENTITIES][ENDPOINTS];
	struct jobs jobs;
	struct job verifying;
};

void fake_sync_share(void)
{
	fake = mmap(NULL, sizeof *fake, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fake_sync_reset();
}

void fake_sync_reset(void)
{
	memset(fake, 0, sizeof *fake);
}

/* ---- the topology: contact lives everywhere, account not on billing ------------------------------------------ */

static struct endpoint_conf confs[ENDPOINTS];
static struct entity_conf entities[ENTITIES];
static struct mapping mappings[ENTITIES][ENDPOINTS];
static struct topology topology;

static void name_endpoint(size_t i, const char *name)
{
	confs[i] = (struct endpoint_conf){ .name = (char *)(uintptr_t)name, .index = i, .driver = DRIVER_POSTGRES,
					   .capture = i == 0 ? CAPTURE_LISTEN : CAPTURE_POLL };
}

struct topology *fake_topology(const char *stats, const char *listen, const char *control)
{
	static const char *const tables[ENTITIES][ENDPOINTS] = { { "crm.accounts", "companies", NULL },
								  { "crm.contacts", "people", "payers" } };

	name_endpoint(0, "sales");
	name_endpoint(1, "support");
	name_endpoint(2, "billing");
	entities[0].def = (struct entity_def){ .name = (char *)(uintptr_t)"account", .index = 0 };
	entities[1].def = (struct entity_def){ .name = (char *)(uintptr_t)"contact", .index = 1 };
	for (size_t e = 0; e < ENTITIES; e++)
		for (size_t p = 0; p < ENDPOINTS; p++) {
			mappings[e][p] = (struct mapping){ .entity = &entities[e].def, .endpoint = &confs[p],
							   .table = (char *)(uintptr_t)tables[e][p] };
			entities[e].mapping[p] = tables[e][p] != NULL ? &mappings[e][p] : NULL;
		}
	topology = (struct topology){ .name = (char *)(uintptr_t)"acme", .endpoints = confs, .n_endpoints = ENDPOINTS,
				      .entities = entities, .n_entities = ENTITIES };
	topology.stats.socket = (char *)(uintptr_t)stats;
	topology.stats.listen = (char *)(uintptr_t)listen;
	topology.control.socket = (char *)(uintptr_t)control;
	return &topology;
}

void fake_odd_names(struct topology *t)
{
	name_endpoint(2, "bil\"ling\\");
}

/* ---- birth ------------------------------------------------------------------------------------------------------ */

/* Three seconds of nothing known, six in `first`, three in `last`. */
static void fill_timeline(struct timeline *t, enum meter_state first, enum meter_state last, int64_t now)
{
	struct timeline_row rows[TIMELINE_ROWS];

	timeline_set(t, METER_UNKNOWN, now - 12000000);
	timeline_set(t, first, now - 9000000);
	timeline_set(t, last, now - 3000000);
	timeline_set(t, last, now);
	timeline_settle(t, now);
	timeline_keep(t, rows);
}

struct sync *fake_sync_new(struct loop *loop, const struct topology *t, struct journal *journal)
{
	struct sync *s = xcalloc(1, sizeof *s);
	int64_t now = clock_wall_us();

	s->loop = loop;
	s->topology = t;
	s->journal = journal;
	fill_timeline(&s->service, METER_GOOD, METER_BAD, now);
	for (size_t p = 0; p < ENDPOINTS; p++) {
		s->endpoints[p].conf = &t->endpoints[p];
		strcpy(s->endpoints[p].server, "PostgreSQL 15.18");
		s->endpoints[p].clock_offset_s = 0.25;
		s->endpoints[p].last_capture_us = clock_wall_us() - 2000000;
		s->meter_endpoints[p].volume.read = 1000 * (p + 1);
		s->meter_endpoints[p].volume.written = 10;
		fill_timeline(&s->meter_endpoints[p].availability, METER_GOOD, p == 1 ? METER_BAD : METER_GOOD, now);
	}
	for (size_t e = 0; e < ENTITIES; e++) {
		s->meter_entities[e].conflicts[RULE_LAST_WRITER_WINS] = 5 * e;
		histogram_add(&s->meter_entities[e].propagation, 0.004);
		histogram_add(&s->meter_entities[e].propagation, 1e6);
		for (size_t p = 0; p < ENDPOINTS; p++) {
			s->links[e][p] = (struct link){ .endpoint = &s->endpoints[p], .mapping = t->entities[e].mapping[p], .usable = true };
			s->links[e][p].promises.words = "deletes are found by the sweep";
			if (e == 1)
				fill_timeline(&s->meter_links[e][p].consistency, METER_BAD, METER_GOOD, now);
			s->meter_links[e][p].applied = 100 * e + p;
			s->meter_links[e][p].updates = 7;
		}
	}
	return s;
}

void fake_sync_free(struct sync **sp)
{
	free(*sp);
	*sp = NULL;
}

/* ---- views -------------------------------------------------------------------------------------------------------- */

void sync_service_view(const struct sync *s, struct sync_service_view *v)
{
	*v = (struct sync_service_view){ .topology = s->topology, .redis_up = !fake->redis_down,
					 .redis_reason = fake->redis_down ? "Connection refused" : "",
					 .redis_server = "Redis 7.0.15", .standby = fake->standby, .first_reconcile_done = !fake->reconciling,
					 .started_us = clock_wall_us() - 60000000, .rounds = 12,
					 .availability = &s->service };
}

int64_t sync_timeline_wall(const struct sync *s, int64_t at_us)
{
	return at_us;
}

void sync_keep(struct sync *s)
{
}

size_t sync_endpoints(const struct sync *s)
{
	return ENDPOINTS;
}

void sync_endpoint_view(const struct sync *s, size_t i, struct sync_endpoint_view *v)
{
	struct endpoint *p = &((struct sync *)(uintptr_t)s)->endpoints[i];	/* a view; the knob shows here */
	bool down = i == 1 && fake->support_down;

	p->state = down ? ENDPOINT_DOWN : ENDPOINT_UP;
	p->tries = down ? 3 : 0;
	p->next_try_us = down ? clock_mono_us() + 24000000 : 0;
	strcpy(p->why.code, down ? "57P01" : "");
	strcpy(p->why.text, down ? "the server is shutting down" : "");
	*v = (struct sync_endpoint_view){ .conf = &s->topology->endpoints[i], .endpoint = p, .meter = &s->meter_endpoints[i],
					  .guarded = true, .recognised = i == 0 && fake->put_back ? "the database was put back" : "",
					  .recognised_us = i == 0 && fake->put_back ? clock_wall_us() - 60000000 : 0,
					  .paused = strcmp(fake->paused, s->topology->endpoints[i].name) == 0 };
}

size_t sync_entities(const struct sync *s)
{
	return ENTITIES;
}

void sync_entity_view(const struct sync *s, size_t i, struct sync_entity_view *v)
{
	struct meter_entity *m = &((struct sync *)(uintptr_t)s)->meter_entities[i];	/* a view; the knob shows here */

	m->last_verify = (struct meter_verify){ .ended_us = fake->differed[i] > 0 ? clock_wall_us() - 60000000 : 0,
						.compared = fake->differed[i] > 0 ? 2000 : 0, .different = fake->differed[i] };
	*v = (struct sync_entity_view){ .conf = &s->topology->entities[i], .meter = m,
					.records = 2000 * ((int64_t)i + 1), .pending = i == 1 ? fake->pending : 0,
					.parked = i == 1 ? fake->parked : 0, .held = i == 1 ? 2 : 0,
					.conflicts = 5 * (int64_t)i };
	v->books = (struct books){ .captured = 45, .applied = 9, .unchanged = 8, .lost = 7, .merged = 6, .parked_rows = 1, .held = 2,
				   .records = { [BOOKS_PENDING] = 5, [BOOKS_PARKED] = 4, [BOOKS_WAITING] = 3 } };
	v->books.captured += i == 1 ? fake->unbalanced : fake->all_unbalanced;
}

bool sync_link_view(const struct sync *s, size_t e, size_t p, struct sync_link_view *v)
{
	bool down = p == 1 && fake->support_down;

	if (s->topology->entities[e].mapping[p] == NULL)
		return false;
	*v = (struct sync_link_view){ .mapping = s->topology->entities[e].mapping[p], .link = &s->links[e][p],
				      .meter = &s->meter_links[e][p], .reason = "", .rows_expected = -1, .share = NAN, .seconds_left = NAN };
	v->phase = SYNC_PHASE_FOLLOW;
	v->state = down ? SYNC_LINK_INCONSISTENT : SYNC_LINK_CONSISTENT;
	v->reason = down ? "the endpoint is down" : "";
	v->lag_seconds = !down ? 0 : e == 1 && !fake->owes_nothing ? 14.2 : NAN;
	v->owed = down ? 12 : 0;
	v->parked = e == 1 && p == 1 ? fake->parked : 0;
	if (fake->surveying && e == 1 && p == 2) {
		v->phase = SYNC_PHASE_SURVEY;
		v->state = SYNC_LINK_UNKNOWN;
		v->reason = "the first comparison is not done";
		v->listing_us = clock_mono_us() - 4300000;
		v->listing_by = JOB_DAEMON;
		v->rows_done = 430;
		v->rows_expected = 1000;
		v->rows_per_second = 100;
		v->share = 0.43;
		v->seconds_left = 5.7;
	}
	return true;
}

/* A verify of contact has read 600 of 1000 rows in ten seconds. */
struct jobs *sync_jobs(struct sync *s)
{
	int64_t now = clock_mono_us();

	job_end(&s->jobs, &s->verifying);
	if (fake->verifying) {
		job_begin(&s->jobs, &s->verifying, "verify", "contact", JOB_SCHEDULE, now - 10000000);
		job_phase(&s->verifying, "list", "sales", "rows", 1000, now - 10000000);
		job_more(&s->verifying, 600, now);
	}
	return &s->jobs;
}

struct journal *sync_journal(const struct sync *s)
{
	return s->journal;
}

/* ---- orders -------------------------------------------------------------------------------------------------------- */

struct sync_wait {
	struct loop_timer *timer;
	bool settled;
	void (*done)(void *arg, bool settled, const char *pending, int64_t parked);
	void *arg;
};

static void on_wait(void *arg)
{
	struct sync_wait w = *(struct sync_wait *)arg;

	free(arg);
	loop_timer_free(&w.timer);
	w.done(w.arg, w.settled, w.settled ? "" : "contact: 12 records owed to support\nsupport is down\n", fake->parked);
}

struct sync_wait *sync_wait(struct sync *s, int64_t timeout_us, void (*done)(void *, bool, const char *, int64_t), void *arg)
{
	struct sync_wait *w = xcalloc(1, sizeof *w);

	fake->waits++;
	w->settled = fake->settle_ms >= 0 && fake->settle_ms * 1000 < timeout_us;
	w->done = done;
	w->arg = arg;
	w->timer = loop_timer_new(s->loop, on_wait, w);
	loop_timer_set(w->timer, w->settled ? fake->settle_ms : timeout_us / 1000);
	return w;
}

struct sync_plan {
	struct loop_timer *timer;
	struct sync_plan_taker taker;
};

/* Two things, then the end, each in a turn of its own. */
static void on_planning(void *arg)
{
	struct sync_plan *p = arg;
	struct sync_plan_taker taker = p->taker;

	if (fake->plan_left == 0) {
		taker.done(taker.arg, NULL);
		loop_timer_free(&p->timer);
		free(p);
		return;
	}
	loop_timer_set(p->timer, 1);
	fake->plan_left--;
	taker.planned(taker.arg, &(struct sync_planned){ .what = PLANNED_UPDATE, .endpoint = 1, .key = "ann@example.org", .fields = 2, .from = 1 });
}

struct sync_plan *sync_plan(struct sync *s, const char *entity, const struct sync_plan_taker *taker, struct err *e)
{
	struct sync_plan *p = xcalloc(1, sizeof *p);

	p->taker = *taker;
	p->timer = loop_timer_new(s->loop, on_planning, p);
	loop_timer_set(p->timer, 1);
	return p;
}

void sync_plan_go_on(struct sync_plan *p)
{
}

void sync_plan_cancel(struct sync_plan *p)
{
	fake->plan_cancels++;
	loop_timer_free(&p->timer);
	free(p);
}

static const struct job half_done = { .kind = "plan", .entity = "contact", .by = JOB_OPERATOR, .phase = "list", .endpoint = "support",
				      .unit = "rows", .done = 50, .expected = 100 };

void sync_plan_view(const struct sync_plan *p, struct sync_plan_view *v)
{
	*v = (struct sync_plan_view){ .job = &half_done, .pass = 1 };
}

struct sync_verify {
	struct loop_timer *timer;
	struct sync_verify_taker taker;
	bool repair;
};

/* Three records are compared, and as many differ as the test says. */
static void on_verifying(void *arg)
{
	struct sync_verify *v = arg;
	struct sync_verify_taker taker = v->taker;
	struct sync_verify_sums sums = { .compared_at = 3, .compared = 3, .matching = 3 - fake->differ, .different = fake->differ };
	struct value ids[ENDPOINTS_MAX] = { { "17", 2 }, { "4", 1 } };
	bool repair = v->repair;

	loop_timer_free(&v->timer);
	free(v);
	for (int64_t i = 0; i < fake->differ; i++)
		taker.difference(taker.arg, &(struct sync_different){ .what = DIFFERENCE_VALUES, .key = "ann@example.org", .fields = 2, .there = 3,
								      .ids = ids, .mended = repair });
	sums.written = repair ? fake->differ : 0;
	taker.done(taker.arg, &sums, NULL);
}

uint64_t sync_unreadable(const struct sync *s, size_t entity)
{
	return 0;
}

struct sync_verify *sync_verify(struct sync *s, const struct sync_verify_order *order, const struct sync_verify_taker *taker, struct err *e)
{
	struct sync_verify *v = xcalloc(1, sizeof *v);

	v->taker = *taker;
	v->repair = order->mode == VERIFY_REPAIR;
	v->timer = loop_timer_new(s->loop, on_verifying, v);
	loop_timer_set(v->timer, 1);
	return v;
}

void sync_verify_cancel(struct sync_verify *v)
{
	loop_timer_free(&v->timer);
	free(v);
}

const struct job *sync_verify_job(const struct sync_verify *v)
{
	return &half_done;
}

struct sync_undo {
	struct loop_timer *timer;
	struct sync_undo_taker taker;
	int64_t run;
};

/* One record is put back; of a run of an even number another one is not. */
static void on_undoing(void *arg)
{
	struct sync_undo *u = arg;
	struct sync_undo_taker taker = u->taker;
	struct sync_undo_sums sums = { .restored = 1, .skipped = u->run % 2 == 0, .values_restored = 2, .run = 18 };
	const struct undo_item item = { .what = UNDO_VALUES };

	loop_timer_free(&u->timer);
	free(u);
	if (sums.skipped > 0)
		taker.undone(taker.arg, &(struct sync_undone){ .entity = "contact", .key = "ann@example.org", .item = &item, .fields = "phone",
							       .code = "changed-since", .cause = "it was changed since" });
	taker.done(taker.arg, &sums, NULL);
}

struct sync_undo *sync_undo(struct sync *s, const struct sync_undo_order *order, const struct sync_undo_taker *taker, struct err *e)
{
	struct sync_undo *u = xcalloc(1, sizeof *u);

	u->taker = *taker;
	u->run = order->run;
	u->timer = loop_timer_new(s->loop, on_undoing, u);
	loop_timer_set(u->timer, 1);
	return u;
}

void sync_undo_cancel(struct sync_undo *u)
{
	loop_timer_free(&u->timer);
	free(u);
}

const struct job *sync_undo_job(const struct sync_undo *u)
{
	return &half_done;
}

struct sync_backup {
	struct loop_timer *timer;
	struct sync_backup_taker taker;
	struct backup_writer *writer;
	int pieces;
};

static void on_backup_more(void *arg)
{
	struct sync_backup *b = arg;

	b->taker.more(b->taker.arg);
}

struct sync_backup *sync_backup(struct sync *s, const struct sync_backup_taker *taker, struct err *e)
{
	struct sync_backup *b;

	if (fake->redis_down) {
		err_set(e, ERR_TRANSIENT, "not-ready", "the state in Redis is not at hand just now; ask again");
		return NULL;
	}
	b = xcalloc(1, sizeof *b);
	b->taker = *taker;
	b->timer = loop_timer_new(s->loop, on_backup_more, b);
	return b;
}

/* A piece, nothing, a piece, the end. */
bool sync_backup_more(struct sync_backup *b, struct buf *out)
{
	loop_timer_set(b->timer, 1);
	switch (b->pieces++) {
	case 0:
		b->writer = backup_writer_new("made 2026-03-01T12:00:00.000000Z\n\ntopology acme\n", out);
		return true;
	case 1:
		return true;
	case 2:
		backup_write(b->writer, BACKUP_JOURNAL, "\n\nSQLite", 8, NULL, 0, out);
		return true;
	default:
		if (!fake->break_backup)
			backup_write_end(b->writer, &(struct backup_sums){ 7, 8 }, out);
		return false;
	}
}

void sync_backup_free(struct sync_backup **bp)
{
	loop_timer_free(&(*bp)->timer);
	backup_writer_free(&(*bp)->writer);
	free(*bp);
	*bp = NULL;
}

struct sync_migration {
	struct loop_timer *timer;
	struct sync_migrate_taker taker;
	struct sync_migrate_order order;
};

/* Two rows a job, one of them cleaned; onto replace there is one that is rejected. */
static void on_migrating(void *arg)
{
	struct sync_migration *m = arg;
	struct sync_migrate_taker taker = m->taker;
	bool replaces = m->order.onto == ONTO_REPLACE;
	struct sync_migrate_sums sums = { .rows = 2 * (int64_t)m->order.jobs, .read = 1000, .written = 1048, .inserted = 1, .cleaned = 1,
					  .rejected = replaces, .extra_kept = replaces, .waited_us = 500000, .us = 2000000 };

	sync_migrate_cancel(m);
	taker.done(taker.arg, &sums, NULL);
}

struct sync_migration *sync_migrate(struct sync *s, const struct sync_migrate_order *order, const struct sync_migrate_taker *taker, struct err *e)
{
	struct sync_migration *m;

	if (strcmp(order->entity, "account") == 0)
		return err_set(e, ERR_CONFIG, "not-empty", "account at %s is not empty", order->to), NULL;
	m = xcalloc(1, sizeof *m);
	m->taker = *taker;
	m->order = *order;
	m->timer = loop_timer_new(s->loop, on_migrating, m);
	loop_timer_set(m->timer, order->rows_per_second > 0 ? 700 : 1);		/* slowly: progress is told in between */
	return m;
}

void sync_migrate_cancel(struct sync_migration *m)
{
	loop_timer_free(&m->timer);
	free(m);
}

/* 600 of 1200 rows, ten a second in the last minute; in parallel the second part is done. */
void sync_migrate_view(const struct sync_migration *m, struct sync_migrate_view *v)
{
	static const struct endpoint_load load = { .sessions = 9, .lag_s = 1.5, .standby = "far" };
	static struct job job;
	int64_t now = clock_mono_us();

	job = (struct job){ .kind = "migrate", .entity = "contact", .by = JOB_OPERATOR };
	job_phase(&job, "source", "support", "rows", 1200, now - 100000000);
	job_more(&job, 600, now);
	job_waits(&job, m->order.sessions_most == 7 && m->order.lag_most_us == 500000 ? "support is busy" : "as fast as --rate allows");
	*v = (struct sync_migrate_view){ .job = &job, .one_moment = true, .bytes_per_second = 2048, .sums = { .rows = 600, .read = 5000 },
					 .target = &load, .n_workers = m->order.strategy == MIGRATE_PARALLEL ? 2 : 0 };
}

void sync_migrate_worker(const struct sync_migration *m, size_t i, struct sync_migrate_worker *w)
{
	*w = i == 0 ? (struct sync_migrate_worker){ .state = WORKER_WRITES, .done = 100, .share = 0.25, .per_second = 5 } :
		      (struct sync_migrate_worker){ .state = WORKER_DONE, .done = 500, .share = 1, .per_second = NAN };
}

void sync_wait_cancel(struct sync_wait *w)
{
	fake->cancels++;
	loop_timer_free(&w->timer);
	free(w);
}

bool sync_pause(struct sync *s, const char *name, struct err *e)
{
	strncpy(fake->paused, name, sizeof fake->paused - 1);
	return true;
}

bool sync_resume(struct sync *s, const char *name, struct err *e)
{
	strncpy(fake->resumed, name, sizeof fake->resumed - 1);
	fake->paused[0] = '\0';
	return true;
}

struct later {
	done_fn *done;
	void (*printed)(void *arg, const char *text, const struct err *e);
	void *arg;
};

static void on_later(void *arg)
{
	struct later l = *(struct later *)arg;
	struct err e = { .kind = ERR_CONFIG, .code = "42501", .text = "permission denied for database crm" };

	free(arg);
	if (l.printed != NULL)
		l.printed(l.arg, fake->refuse_install ? NULL : "CREATE SCHEMA crmsync;\nSELECT 'a \\ \"quote\"';\n",
			  fake->refuse_install ? &e : NULL);
	else
		l.done(l.arg, fake->refuse_install ? &e : NULL);
}

static bool later(struct sync *s, struct later l)
{
	struct later *copy = xcalloc(1, sizeof *copy);

	*copy = l;
	loop_defer(s->loop, on_later, copy);
	return true;
}

bool sync_install(struct sync *s, const char *endpoint, done_fn *done, void *arg, struct err *e)
{
	fake->installs++;
	return later(s, (struct later){ .done = done, .arg = arg });
}

bool sync_uninstall(struct sync *s, const char *endpoint, done_fn *done, void *arg, struct err *e)
{
	fake->uninstalls++;
	return later(s, (struct later){ .done = done, .arg = arg });
}

bool sync_install_print(struct sync *s, const char *endpoint, void (*done)(void *, const char *, const struct err *), void *arg,
			struct err *e)
{
	return later(s, (struct later){ .printed = done, .arg = arg });
}

int64_t sync_parked_retry(struct sync *s, const char *entity, int64_t id, int64_t *resting, struct err *e)
{
	int64_t all = journal_parked_count(s->journal, entity != NULL ? entity : "contact", NULL);

	*resting = id == 3 ? 1 : 0;
	return id == 0 ? all : id <= all;
}

bool sync_held_order(struct sync *s, const char *set, bool discard, struct err *e)
{
	fake->releases += !discard;
	fake->discards += discard;
	return strcmp(set, "contact/support/1") == 0 ||
	       err_set(e, ERR_ROW, "no-such-set", "there are no held deletes %s", set);
}

bool sync_decide(struct sync *s, const struct sync_verdict *v, struct err *e)
{
	snprintf(fake->decided, sizeof fake->decided, "%s/%s/%s: %s %s", v->entity, v->key, v->field,
		 v->endpoint != NULL ? v->endpoint : "-", v->value != NULL ? v->value : "-");
	return strncmp(v->key, "ann", 3) == 0 ||
	       err_set(e, ERR_ROW, "no-such-conflict", "nothing waits in %s %s, %s", v->entity, v->key, v->field);
}

bool sync_parked_discard(struct sync *s, int64_t id, struct err *e)
{
	return journal_discard(s->journal, id, e);
}

void sync_kick(struct sync *s, bool sweep)
{
	fake->kicks++;
	fake->sweeps += sweep;
}
