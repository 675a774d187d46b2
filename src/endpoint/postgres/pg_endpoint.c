/*
 * pg_endpoint.c - one PostgreSQL database: its pool of connections, and what state it is in.
 *
 *	start -> CONNECTING -> PREPARING (probe, catalog, install) -> SERVING
 *	           ^   any connection fails: all are closed, everything asked is answered with the reason
 *	           +---- RESTING (back-off) <---+
 *
 * The first connection is the listening one and carries the endpoint; a second one is opened when it is up, the others when there is
 * more to do than the open ones can take. While there are others the first is kept free: for notifications, and for the probe that
 * tells a slow statement from a server that is silent (pg_silence.c). What has to be answered or told while a caller may still be inside a
 * call of ours waits for the `soon` timer.
 */
#include "endpoint/postgres/pg_endpoint.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_moment.h"
#include "endpoint/postgres/pg_sessions.h"
#include "loop/loop.h"

#define REFUSED_US (INT64_C(3600) * 1000000)	/* so long after it did not take a row a table is looked at more often */

enum {
	RETRY_FIRST_MS = 200, RETRY_MOST_MS = 2000,	/* it counts as down until it is tried again */
	RETRY_UNMENDED_MS = 30000,
	ANSWER_EXTRA_MS = 5000,			/* beyond statement_timeout */
	CATALOG_EVERY_MS = 60000,		/* triggers dropped behind our back make no statement fail */
	CATALOG_UNFIT_MS = 10000,		/* while a table does not fit, or did not take a row: somebody may be mending it */
	CATALOG_STALE_MS = 1000,
	INSTALL_FIRST_MS = 3000, INSTALL_MOST_MS = 300000,	/* each try makes writers wait for a moment: not often */
	CROWD_MS = 50,				/* somebody has waited that long: a connection more. It costs the server a process */
	EXTRA_RETRY_MS = 10000,			/* a further connection was refused */
};

static void connect_now(void *arg);
static void read_catalog(struct postgres *pg);
static void got_catalog(void *arg, const struct err *e);

/* ---- requests ---------------------------------------------------------------------------------------- */

void pg_requests_init(struct pg_requests *q)
{
	q->first = NULL;
	q->last = &q->first;
}

void pg_requests_add(struct pg_requests *q, struct pg_request *r)
{
	r->next = NULL;
	*q->last = r;
	q->last = &r->next;
}

struct pg_request *pg_requests_take(struct pg_requests *q)
{
	struct pg_request *r = q->first;

	if (r != NULL) {
		q->first = r->next;
		if (q->first == NULL)
			q->last = &q->first;
	}
	return r;
}

static void release(struct postgres *pg);

void pg_enter(struct postgres *pg)
{
	pg->entered++;
}

void pg_leave(struct postgres *pg)
{
	assert(pg->entered > 0);
	if (--pg->entered == 0 && pg->freed)
		release(pg);
}

void pg_refuse(struct postgres *pg, struct pg_request *r, const struct err *why)
{
	r->why = *why;
	pg_requests_add(&pg->refused, r);
	if (!pg->freed)
		loop_timer_set(pg->soon, 0);
}

static void answer_refused(struct postgres *pg)
{
	struct pg_request *r, *last = NULL;

	/* What is refused from inside these answers waits for the next turn. One by one: an answer may free us, which empties the list. */
	for (r = pg->refused.first; r != NULL; r = r->next)
		last = r;
	while (last != NULL && (r = pg_requests_take(&pg->refused)) != NULL) {
		if (r == last)
			last = NULL;
		r->done(r->arg, NULL, &r->why);
		free(r);
	}
}

static void on_soon(void *arg)
{
	struct postgres *pg = arg;

	pg_enter(pg);
	answer_refused(pg);
	if (pg->tell && !pg->freed) {
		pg->tell = false;
		pg->ep.events.state(pg->ep.events.arg, &pg->ep);
	}
	pg_leave(pg);
}

void pg_tell(struct postgres *pg)
{
	pg->tell = true;
	loop_timer_set(pg->soon, 0);
}

static bool connected(const struct postgres *pg)
{
	return pg->phase == PG_PREPARING || pg->phase == PG_SERVING;
}

void pg_call(struct postgres *pg, const char *sql, const struct pg_params *params, pg_result_fn *done, void *arg)
{
	struct pg_request *r = xcalloc(1, sizeof *r);
	struct err why = pg->ep.why;

	r->sql = sql;
	r->simple = params == NULL;
	if (params != NULL)
		r->params = *params;
	r->done = done;
	r->arg = arg;
	r->asked_us = clock_mono_us();
	if (connected(pg) && !pg->freed && !(pg->ep.silent && r->params.reads)) {
		pg_requests_add(&pg->waiting, r);
		pg_pump(pg);
		return;
	}
	if (why.kind == 0)
		err_set(&why, ERR_TRANSIENT, "", "not connected");
	pg_refuse(pg, r, &why);
}

/* ---- state ------------------------------------------------------------------------------------------- */

static void set_state(struct postgres *pg, enum endpoint_state state)
{
	if (pg->ep.state != state) {
		pg->ep.state = state;
		pg->ep.state_since_us = clock_wall_us();
	}
	pg_links_settle(pg, state == ENDPOINT_UP, &pg->install_failure);
	pg_tell(pg);
}

static void close_slot(struct postgres *pg, struct pg_slot *s, const struct err *why)
{
	struct pg_request *r = s->request;
	struct err unanswered = *why;

	pg_unanswered(&unanswered);
	s->request = NULL;
	/* What was sent before it came up reads the catalog or installs: no row of anybody's hangs on it. */
	pg_session_end(&s->session, (r != NULL || s->unanswered) && pg->ep.state == ENDPOINT_UP);
	s->open = s->probing = s->unanswered = false;
	pg_conn_free(&s->conn);
	if (r != NULL)
		pg_refuse(pg, r, &unanswered);
}

/* The one way in which all connections end: down, paused or freed. */
static void close_all(struct postgres *pg, const struct err *why)
{
	struct pg_request *r;

	loop_timer_stop(pg->retry);
	loop_timer_stop(pg->probe);
	loop_timer_stop(pg->silence);
	pg->ep.silent = false;
	loop_timer_stop(pg->catalog);
	loop_timer_stop(pg->crowd);
	for (size_t i = 0; i < pg->n_slots; i++)
		close_slot(pg, &pg->slots[i], why);
	pg_moments_lose(pg, why);
	while ((r = pg_requests_take(&pg->waiting)) != NULL)
		pg_refuse(pg, r, why);
	pg->n_probes = 0;
	pg->ep.log.there = pg->ep.log.known = false;
}

static void log_down(struct postgres *pg)
{
	const struct err *e = &pg->ep.why;

	/* The first failure and each for another reason; not every try. */
	if (pg->down_since_us != 0 && err_same(&pg->logged, e))
		return;
	if (pg->down_since_us == 0)
		pg->down_since_us = clock_wall_us();
	pg->logged = *e;
	log_warn("endpoint down", LOG_S("endpoint", pg->ep.conf->name), LOG_ERR(e), LOG_I("tries", pg->ep.tries));
}

static void down(struct postgres *pg, const struct err *why)
{
	int64_t ms;

	pg->phase = PG_RESTING;
	pg->ep.why = *why;
	pg->ep.tries++;
	/* What the operator has to mend does not mend itself in a second. */
	ms = why->kind == ERR_TRANSIENT ? loop_backoff_ms(pg->ep.tries - 1, RETRY_FIRST_MS, RETRY_MOST_MS) : RETRY_UNMENDED_MS;
	pg->ep.next_try_us = clock_mono_us() + ms * 1000;
	close_all(pg, why);
	loop_timer_set(pg->retry, ms);
	log_down(pg);
	set_state(pg, ENDPOINT_DOWN);
}

static void up(struct postgres *pg)
{
	if (pg->ep.state != ENDPOINT_UP) {
		log_info("endpoint up", LOG_S("endpoint", pg->ep.conf->name), LOG_S("server", pg->ep.server),
			 LOG_I("tries", pg->ep.tries + 1),
			 LOG_D("down_seconds", pg->down_since_us == 0 ? 0.0 :
			       (double)(clock_wall_us() - pg->down_since_us) / 1e6));
		pg->down_since_us = 0;
		err_clear(&pg->logged);
	}
	pg->phase = PG_SERVING;
	err_clear(&pg->ep.why);
	pg->ep.tries = 0;
	pg->ep.next_try_us = 0;
	set_state(pg, ENDPOINT_UP);
	pg_open_another(pg);		/* there is work from now on, and the first one is to be kept free */
}

void pg_refuse_op(struct link *l, const struct err *why)
{
	struct pg_link *pl = (struct pg_link *)l;

	if (why != NULL)
		pl->refusal = *why;
	else
		err_clear(&pl->refusal);
	if (why != NULL && pl->pg->phase == PG_SERVING && !pl->pg->reading && !pl->pg->stale)
		loop_timer_set(pl->pg->catalog, CATALOG_UNFIT_MS);
	if (pg_links_settle(pl->pg, pl->pg->ep.state == ENDPOINT_UP, &pl->pg->install_failure))
		pg_tell(pl->pg);
}

/* ---- the pool ---------------------------------------------------------------------------------------- */

static void got_answer(void *arg, PGresult *res, const struct err *e)
{
	struct pg_slot *s = arg;
	struct postgres *pg = s->pg;
	struct pg_request *r = s->request;

	s->request = NULL;
	s->unanswered = !pg_conn_ready(s->conn);	/* the connection is gone: that is all the answer says */
	pg_note_answer(pg, e);
	pg_enter(pg);
	if (r != NULL)
		r->done(r->arg, res, e);
	else
		PQclear(res);
	free(r);
	if (!pg->freed)
		pg_pump(pg);
	pg_leave(pg);
}

static void on_opened(void *arg, const struct err *e);
static void on_lost(void *arg, const struct err *e);
static void on_notified(void *arg);

static void open_slot(struct postgres *pg, struct pg_slot *s)
{
	const struct endpoint_conf *conf = pg->ep.conf;
	struct pg_conn_events events = { .opened = on_opened, .lost = on_lost, .notified = on_notified, .arg = s };
	bool listens = s == &pg->slots[0] && conf->capture == CAPTURE_LISTEN && conf->notify;

	s->asked_us = clock_mono_us();
	s->conn = pg_conn_new(pg->loop, conf, pg->topology->name, listens ? pg->channel : NULL, &events);
}

void pg_open_another(struct postgres *pg)
{
	struct pg_slot *closed = NULL;

	for (size_t i = 1; i < pg->n_slots; i++) {
		if (pg->slots[i].conn == NULL)
			closed = &pg->slots[i];
		else if (!pg->slots[i].open)
			return;		/* one is on its way */
	}
	if (closed != NULL && clock_mono_us() >= pg->extra_not_before_us)
		open_slot(pg, closed);
}

/* The listening connection only when there is no other: a long statement there would hold notifications back, and probes. */
static struct pg_slot *idle_slot(struct postgres *pg)
{
	bool others = false;

	for (size_t i = pg->n_slots; i-- > 1;) {
		if (pg->slots[i].open && pg_conn_ready(pg->slots[i].conn))
			return &pg->slots[i];
		others |= pg->slots[i].open;
	}
	return !others && pg->slots[0].open && pg_conn_ready(pg->slots[0].conn) ? &pg->slots[0] : NULL;
}

/* One connection does a burst sooner than another one is made; not what goes on, nor what a lock holds up. */
static void relieve(struct postgres *pg)
{
	int64_t waits_ms;

	if (pg->waiting.first == NULL || pg->phase != PG_SERVING)
		return;
	waits_ms = (clock_mono_us() - pg->waiting.first->asked_us) / 1000;
	if (waits_ms >= CROWD_MS)
		pg_open_another(pg);
	else
		loop_timer_set(pg->crowd, CROWD_MS - waits_ms);
}

static void on_crowd_time(void *arg)
{
	relieve(arg);
}

void pg_pump(struct postgres *pg)
{
	int64_t ms = pg->ep.conf->statement_timeout_us / 1000;
	struct pg_slot *s;

	if (!connected(pg))
		return;
	while (pg->waiting.first != NULL && (s = idle_slot(pg)) != NULL) {
		struct pg_request *r = pg_requests_take(&pg->waiting);

		s->request = r;
		r->sent_us = clock_mono_us();
		pg_note_asked(pg);
		pg_conn_query(s->conn, r->sql, r->simple ? NULL : &r->params, (ms > 0 ? ms : 60000) + ANSWER_EXTRA_MS, got_answer, s);
	}
	relieve(pg);
}

/* It is not a further connection that cannot be had: since it was asked for, nobody there has answered anything. */
static bool is_silent(const struct postgres *pg, const struct pg_slot *s, const struct err *e)
{
	return strcmp(e->code, "ETIMEDOUT") == 0 && pg->ep.last_success_us < s->asked_us;
}

static void on_opened(void *arg, const struct err *e)
{
	struct pg_slot *s = arg;
	struct postgres *pg = s->pg;

	if (e == NULL || s != &pg->slots[0])
		pg_note_answer(pg, e);
	if (e != NULL && (s == &pg->slots[0] || is_silent(pg, s, e))) {
		down(pg, e);
		return;
	}
	if (e != NULL) {
		/* The others still serve; the server may have no room for more of us. */
		log_warn("no further connection", LOG_S("endpoint", pg->ep.conf->name), LOG_ERR(e));
		pg_conn_free(&s->conn);
		pg->extra_not_before_us = clock_mono_us() + EXTRA_RETRY_MS * 1000;
		return;
	}
	s->open = true;
	s->session = pg_session_new(pg->ep.conf->name, pg_conn_session(s->conn));
	if (s == &pg->slots[0]) {
		pg->phase = PG_PREPARING;
		snprintf(pg->ep.server, sizeof pg->ep.server, "%s", pg_conn_server(s->conn));
		pg_on_probe_time(pg);
		read_catalog(pg);
	}
	pg_pump(pg);
}

static void on_lost(void *arg, const struct err *e)
{
	struct pg_slot *s = arg;

	pg_note_answer(s->pg, e);
	down(s->pg, e);
}

static void on_notified(void *arg)
{
	struct pg_slot *s = arg;
	struct postgres *pg = s->pg;

	if (pg->phase != PG_SERVING)
		return;		/* a first capture follows anyway */
	pg_enter(pg);
	pg->ep.events.wake(pg->ep.events.arg, &pg->ep);
	pg_leave(pg);
}

static void connect_now(void *arg)
{
	struct postgres *pg = arg;

	pg->phase = PG_CONNECTING;
	pg->ep.next_try_us = 0;
	open_slot(pg, &pg->slots[0]);
}

/* ---- catalog and install ----------------------------------------------------------------------------- */

static bool all_fit(const struct postgres *pg)
{
	for (size_t i = 0; i < countof(pg->ep.links); i++)
		if (pg->ep.links[i] != NULL && !pg->ep.links[i]->usable)
			return false;
	return true;
}

static int64_t catalog_due_ms(const struct postgres *pg)
{
	bool refused = pg->refused_us != 0 && clock_mono_us() - pg->refused_us < REFUSED_US;

	if (pg->again)
		return CATALOG_STALE_MS;
	return all_fit(pg) && !refused ? CATALOG_EVERY_MS : CATALOG_UNFIT_MS;
}

static void prepared(struct postgres *pg)
{
	bool kept = pg->told_state;

	pg->told_state = pg->ep.keeps_state;
	if (pg->phase == PG_PREPARING)
		up(pg);
	else if (pg_links_settle(pg, true, &pg->install_failure) || kept != pg->ep.keeps_state)
		pg_tell(pg);
	loop_timer_set(pg->catalog, catalog_due_ms(pg));
	pg->again = false;
}

static void got_installed(void *arg, const struct err *e)
{
	struct postgres *pg = arg;

	if (!connected(pg)) {
		pg->reading = false;
		return;
	}
	if (e == NULL) {
		err_clear(&pg->install_failure);
		pg->install_tries = 0;
		log_info("installed what crmsyncd keeps there", LOG_S("endpoint", pg->ep.conf->name));
		/* Should the catalog still miss something, it is not tried again at once. */
		pg->install_not_before_us = clock_mono_us() + INSTALL_FIRST_MS * 1000;
		pg_catalog_read(pg, got_catalog, pg);
		return;
	}
	if (strcmp(pg->install_failure.text, e->text) != 0 && !pg_links_need_install(pg))
		log_info("no place for our state row: a second daemon, or a database that is put back, would not be noticed there",
			 LOG_S("endpoint", pg->ep.conf->name), LOG_ERR(e));
	else if (strcmp(pg->install_failure.text, e->text) != 0)
		log_warn("cannot install the change log", LOG_S("endpoint", pg->ep.conf->name), LOG_ERR(e));
	pg->install_failure = *e;
	pg->install_not_before_us = clock_mono_us() +
		loop_backoff_ms(pg->install_tries++, INSTALL_FIRST_MS, INSTALL_MOST_MS) * 1000;
	pg->reading = false;
	prepared(pg);
}

static void got_catalog(void *arg, const struct err *e)
{
	struct postgres *pg = arg;

	pg->reading = false;
	pg->ep.keeps_state &= !pg->hands_off;	/* another topology's table may be there all the same */
	if (!connected(pg))
		return;		/* it failed because we went down meanwhile */
	if (e != NULL && pg->phase == PG_SERVING) {
		/* A lock or a timeout, with everything else working: what was read before still holds. */
		loop_timer_set(pg->catalog, CATALOG_UNFIT_MS);
		return;
	}
	if (e != NULL) {
		down(pg, e);
		return;
	}
	if (pg->ep.conf->install_auto && !pg->hands_off && clock_mono_us() >= pg->install_not_before_us &&
	    (pg_links_need_install(pg) || !pg->ep.keeps_state)) {
		pg->reading = true;
		pg_install_op(&pg->ep, got_installed, pg);
		return;
	}
	prepared(pg);
}

static bool is_quiet(const struct postgres *pg)
{
	for (size_t i = 0; i < pg->n_slots; i++)
		if (pg->slots[i].request != NULL)
			return false;
	return pg->waiting.first == NULL && pg->refused.first == NULL;
}

static void free_retired(struct postgres *pg)
{
	while (pg->retired != NULL) {
		struct pg_table *t = pg->retired;

		pg->retired = t->next;
		pg_table_free(&t);
	}
}

void pg_retire(struct postgres *pg, struct pg_table *t)
{
	if (t == NULL)
		return;
	t->next = pg->retired;
	pg->retired = t;
}

static void read_catalog(struct postgres *pg)
{
	if (pg->reading) {
		pg->again = true;
		return;
	}
	if (is_quiet(pg))
		free_retired(pg);
	pg->reading = true;
	pg->stale = false;
	pg_catalog_read(pg, got_catalog, pg);
}

static void on_catalog_time(void *arg)
{
	struct postgres *pg = arg;

	if (connected(pg))
		read_catalog(pg);
}

void pg_catalog_stale(struct postgres *pg)
{
	if (pg->reading) {
		pg->again = true;
	} else if (connected(pg) && !pg->stale && !fault("f25-tables-stay-as-they-were")) {
		pg->stale = true;	/* once: a stream of failing statements must not push it ahead */
		loop_timer_set(pg->catalog, CATALOG_STALE_MS);
	}
}

/* By the definition that it has now: parked rows are tried again when it is another one. */
void pg_row_refused(struct postgres *pg)
{
	pg->refused_us = clock_mono_us();
	pg_catalog_stale(pg);
}

/* ---- orders ------------------------------------------------------------------------------------------ */

static void op_start(struct endpoint *ep)
{
	struct postgres *pg = pg_of(ep);

	if (pg->phase == PG_IDLE && ep->state != ENDPOINT_PAUSED)
		connect_now(pg);
	else if (pg->phase == PG_RESTING)
		loop_timer_set(pg->retry, 0);
}

static void op_pause(struct endpoint *ep)
{
	struct postgres *pg = pg_of(ep);
	struct err why = { 0 };

	if (ep->state == ENDPOINT_PAUSED)
		return;
	err_set(&why, ERR_TRANSIENT, "", "endpoint %s is paused", ep->conf->name);
	pg->phase = PG_IDLE;
	ep->why = why;
	ep->tries = 0;
	ep->next_try_us = 0;
	close_all(pg, &why);
	pg->down_since_us = 0;
	log_info("endpoint paused", LOG_S("endpoint", ep->conf->name));
	set_state(pg, ENDPOINT_PAUSED);
}

static void op_resume(struct endpoint *ep)
{
	struct postgres *pg = pg_of(ep);

	if (ep->state != ENDPOINT_PAUSED)
		return;
	err_clear(&ep->why);
	log_info("endpoint resumed", LOG_S("endpoint", ep->conf->name));
	set_state(pg, ENDPOINT_UNKNOWN);
	connect_now(pg);
}

/* An order from outside, and what follows from it for us. */
struct order {
	struct postgres *pg;
	bool hands_off;
	done_fn *done;
	void *arg;
};

static void got_order(void *arg, const struct err *e)
{
	struct order *o = arg;
	struct postgres *pg = o->pg;

	pg_enter(pg);
	if (e == NULL)
		pg->hands_off = o->hands_off;
	pg->ep.keeps_state &= !pg->hands_off;
	if (!pg->freed && connected(pg))
		read_catalog(pg);	/* usable or not follows from what is there now */
	o->done(o->arg, e);
	free(o);
	pg_leave(pg);
}

static struct order *order_new(struct postgres *pg, bool hands_off, done_fn *done, void *arg)
{
	struct order *o = xcalloc(1, sizeof *o);

	*o = (struct order){ .pg = pg, .hands_off = hands_off, .done = done, .arg = arg };
	return o;
}

static void op_install(struct endpoint *ep, done_fn *done, void *arg)
{
	pg_install_op(ep, got_order, order_new(pg_of(ep), false, done, arg));
}

static void op_uninstall(struct endpoint *ep, done_fn *done, void *arg)
{
	pg_uninstall_op(ep, got_order, order_new(pg_of(ep), true, done, arg));
}

/* ---- birth and death --------------------------------------------------------------------------------- */

static void free_links(struct postgres *pg)
{
	for (size_t i = 0; i < countof(pg->ep.links); i++) {
		struct pg_link *pl = (struct pg_link *)pg->ep.links[i];

		if (pl == NULL)
			continue;
		pg_capture_free(&pl->capture);
		pg_acks_free(pl);
		pg_table_free(&pl->table);
		free(pl);
	}
}

static void release(struct postgres *pg)
{
	pg_moments_leave(pg);
	free_links(pg);
	free_retired(pg);
	loop_timer_free(&pg->soon);
	loop_timer_free(&pg->retry);
	loop_timer_free(&pg->probe);
	loop_timer_free(&pg->silence);
	loop_timer_free(&pg->catalog);
	loop_timer_free(&pg->crowd);
	free(pg->slots);
	free(pg->channel);
	free(pg);
}

static void op_free(struct endpoint *ep)
{
	struct postgres *pg = pg_of(ep);
	struct err why = { 0 };

	pg_enter(pg);
	pg->freed = true;
	pg->phase = PG_IDLE;
	err_set(&why, ERR_TRANSIENT, "", "endpoint %s is being closed", ep->conf->name);
	ep->why = why;
	close_all(pg, &why);
	/* All answers come before this returns, also those of captures that wait for their turn, and of what answers ask for. */
	do {
		answer_refused(pg);
		for (size_t i = 0; i < countof(ep->links); i++)
			if (ep->links[i] != NULL)
				pg_capture_free(&((struct pg_link *)ep->links[i])->capture);
	} while (pg->refused.first != NULL);
	loop_timer_stop(pg->soon);
	pg_leave(pg);
}

static const struct endpoint_ops ops = {
	.start = op_start, .pause = op_pause, .resume = op_resume,
	.greet = pg_greet_op, .beat = pg_beat_op, .load = pg_load_op,
	.install = op_install, .uninstall = op_uninstall, .install_print = pg_install_print_op,
	.free = op_free,
};

static void add_links(struct postgres *pg)
{
	for (size_t i = 0; i < pg->topology->n_entities && i < countof(pg->ep.links); i++) {
		const struct mapping *m = pg->topology->entities[i].mapping[pg->ep.conf->index];
		struct pg_link *pl;

		if (m == NULL)
			continue;
		pl = xcalloc(1, sizeof *pl);
		pl->link.ops = &pg_link_ops;
		pl->link.endpoint = &pg->ep;
		pl->link.mapping = m;
		pl->pg = pg;
		pg->ep.links[i] = &pl->link;
	}
}

struct endpoint *postgres_endpoint_new(struct loop *loop, const struct topology *topology, const struct endpoint_conf *conf,
				       const struct endpoint_events *events)
{
	struct postgres *pg = xcalloc(1, sizeof *pg);

	pg->ep.ops = &ops;
	pg->ep.conf = conf;
	pg->ep.events = *events;
	pg->ep.state_since_us = clock_wall_us();
	pg->ep.probe_us = PG_PROBE_EVERY_MS * INT64_C(1000);
	pg->loop = loop;
	pg->topology = topology;
	pg->channel = xasprintf("crmsync_%.*s", 50, topology->name);
	pg->n_slots = conf->connections > 0 && !fault("f26-all-wait-in-one-line") ? (size_t)conf->connections : 1;
	pg->slots = xcalloc(pg->n_slots, sizeof *pg->slots);
	for (size_t i = 0; i < pg->n_slots; i++)
		pg->slots[i].pg = pg;
	pg_requests_init(&pg->waiting);
	pg_requests_init(&pg->refused);
	pg->soon = loop_timer_new(loop, on_soon, pg);
	pg->retry = loop_timer_new(loop, connect_now, pg);
	pg->probe = loop_timer_new(loop, pg_on_probe_time, pg);
	pg->silence = loop_timer_new(loop, pg_on_silence_time, pg);
	pg->catalog = loop_timer_new(loop, on_catalog_time, pg);
	pg->crowd = loop_timer_new(loop, on_crowd_time, pg);
	add_links(pg);
	pg_links_settle(pg, false, &pg->install_failure);
	return &pg->ep;
}

/* ---- for the others in the room ---------------------------------------------------------------------- */

struct postgres *pg_of(struct endpoint *ep)
{
	return (struct postgres *)ep;
}

struct endpoint *pg_endpoint(struct postgres *pg)
{
	return &pg->ep;
}

const struct topology *pg_topology(const struct postgres *pg)
{
	return pg->topology;
}

const struct endpoint_conf *pg_conf(const struct postgres *pg)
{
	return pg->ep.conf;
}

struct loop *pg_loop(const struct postgres *pg)
{
	return pg->loop;
}

bool pg_sees_all_stats(const struct postgres *pg)
{
	return pg->sees_all;
}

const char *pg_consumer(const struct postgres *pg)
{
	return pg->topology->name;
}

const char *pg_channel(const struct postgres *pg)
{
	return pg->channel;
}

int pg_server_version(const struct postgres *pg)
{
	return pg->slots[0].open ? pg_conn_version(pg->slots[0].conn) : 0;
}

const char *pg_role(const struct postgres *pg)
{
	return pg->slots[0].open ? pg_conn_role(pg->slots[0].conn) : "";
}

struct pg_greeting **pg_greeting(struct postgres *pg)
{
	return &pg->greeting;
}

const char *pg_search_path(const struct postgres *pg)
{
	return pg->slots[0].open ? pg_conn_search_path(pg->slots[0].conn) : "";
}

char *pg_quote_name(struct postgres *pg, const char *name)
{
	return pg->slots[0].open ? pg_conn_quote_name(pg->slots[0].conn, name) : NULL;
}

char *pg_quote_text(struct postgres *pg, const char *text)
{
	return pg->slots[0].open ? pg_conn_quote_text(pg->slots[0].conn, text) : NULL;
}
