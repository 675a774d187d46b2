/*
 * pg_conn.c - one connection: look up, connect, set up, then statement after statement.
 *
 *   START -> LOOKUP -> CONNECT -> SETUP -> READY        any failure -> DEAD, told once
 *
 * START and every failure that is found while the caller is still in a call of ours wait for the `soon` timer, so that
 * nothing calls back before its call has returned.
 */
#include "endpoint/postgres/pg_conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fault.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_resolve.h"
#include "endpoint/postgres/pg_sessions.h"
#include "loop/loop.h"

enum { CONNECT_MS = 10000, OLDEST_SERVER = 130000,
	FEED_BYTES = 64 * 1024,		/* of a COPY, given to libpq at a time: it moves the rest down after each partial write */
};

enum pg_conn_state { PG_CONN_START, PG_CONN_LOOKUP, PG_CONN_CONNECT, PG_CONN_SETUP, PG_CONN_READY, PG_CONN_DEAD };

struct pg_conn {
	struct loop *loop;
	const struct endpoint_conf *conf;
	const char *writer, *channel;
	struct pg_conn_events events;
	enum pg_conn_state state;
	bool was_opened;		/* `opened` was called without error */
	struct loop_timer *soon;	/* START, and failures found inside a call of ours */
	struct loop_timer *deadline;	/* of connecting, or of the statement in flight */
	struct loop_watch *watch;
	struct pg_resolve *resolve;
	PGconn *pq;
	/* the statement in flight; done NULL: none */
	pg_result_fn *done;
	void *arg;
	PGresult *result;		/* what has come so far: the last good one, or the first error */
	int64_t timeout_ms;
	const struct buf *copy;		/* for its COPY ... FROM STDIN; NULL: none, or libpq has all of it */
	size_t fed;			/* so much of it libpq has */
	bool feeding;			/* the server takes it: no results before all is sent */
	/* how it ends */
	struct err failure;		/* kind 0: none; found, to be told by `soon` */
	struct err last_words;		/* what the server said before it closed: 57P01 and the like */
	int version;			/* 150020 */
	char server[64], role[64], session[32];
	char *search_path;
	unsigned entered;		/* frames of ours on the stack */
	bool freed;			/* pg_conn_free() was called meanwhile */
};

/* ---- ends -------------------------------------------------------------------------------------------- */

static void release(struct pg_conn *c)
{
	loop_timer_free(&c->soon);
	loop_timer_free(&c->deadline);
	free(c->search_path);
	free(c);
}

static void leave(struct pg_conn *c)
{
	assert(c->entered > 0);
	if (--c->entered == 0 && c->freed)
		release(c);
}

/* Lets go of all that is open; says nothing. */
static void close_all(struct pg_conn *c)
{
	c->state = PG_CONN_DEAD;
	loop_timer_stop(c->soon);
	loop_timer_stop(c->deadline);
	pg_resolve_free(&c->resolve);
	loop_watch_free(&c->watch);	/* before PQfinish(): the descriptor's number may be used again at once */
	PQclear(c->result);
	c->result = NULL;
	PQfinish(c->pq);
	c->pq = NULL;
}

void pg_conn_free(struct pg_conn **cp)
{
	struct pg_conn *c = *cp;

	if (c == NULL)
		return;
	close_all(c);
	c->freed = true;
	c->done = NULL;
	if (c->entered == 0)
		release(c);
	*cp = NULL;
}

/* The end of the connection, whatever the reason: answers the statement in flight, then tells the owner. Loop context only. */
static void die(struct pg_conn *c, const struct err *why)
{
	pg_result_fn *done = c->done;
	struct err e = *why, unanswered;

	if (c->state == PG_CONN_DEAD)
		return;
	if (c->result != NULL && PQresultStatus(c->result) == PGRES_FATAL_ERROR) {
		struct err said = { 0 };

		pg_error(c->result, &said);
		if (said.code[0] != '\0')
			c->last_words = said;
	}
	if (c->last_words.kind != 0)
		e = c->last_words;
	if (e.kind == ERR_ROW)
		e.kind = ERR_TRANSIENT;
	unanswered = e;
	pg_unanswered(&unanswered);
	c->entered++;
	close_all(c);
	c->done = NULL;
	if (done != NULL)
		done(c->arg, NULL, &unanswered);
	if (!c->freed && c->was_opened)
		c->events.lost(c->events.arg, &e);
	else if (!c->freed)
		c->events.opened(c->events.arg, &e);
	leave(c);
}

static void die_soon(struct pg_conn *c, const struct err *why)
{
	if (c->failure.kind == 0)
		c->failure = *why;
	loop_timer_set(c->soon, 0);
}

static void on_deadline(void *arg)
{
	struct pg_conn *c = arg;
	struct err e = { 0 };

	/*
	 * The server's own statement_timeout comes first; whoever still does not answer is not reachable, and a cancel request
	 * would go the same way (and PQcancel() blocks). So the connection is closed and nothing is sent.
	 */
	if (c->state == PG_CONN_READY)
		err_set(&e, ERR_TRANSIENT, "ETIMEDOUT", "no answer for %.3g s", (double)c->timeout_ms / 1000);
	else
		err_set(&e, ERR_TRANSIENT, "ETIMEDOUT", "not connected after %d s (%s)", CONNECT_MS / 1000,
			c->state == PG_CONN_LOOKUP ? "looking up the host name" :
			c->state == PG_CONN_SETUP ? "setting the session up" : "waiting for the server");
	die(c, &e);
}

/* ---- statements -------------------------------------------------------------------------------------- */

static void on_ready(void *arg, unsigned what);

static void watch_for(struct pg_conn *c, unsigned what)
{
	if (c->watch == NULL)
		c->watch = loop_watch_new(c->loop, PQsocket(c->pq), on_ready, c);
	loop_watch_set(c->watch, what);
}

static bool send_statement(struct pg_conn *c, const char *sql, const struct pg_params *p)
{
	int sent = p == NULL || p->several || p->copy != NULL ? PQsendQuery(c->pq, sql) :
		PQsendQueryParams(c->pq, sql, p->n, NULL, p->values, p->lengths, p->formats, 0);
	int unsent = sent == 1 ? PQflush(c->pq) : -1;

	if (unsent < 0)
		return false;
	/* While something is unsent wait for reading too: a server busy sending to us does not read. */
	watch_for(c, LOOP_READ | (unsent ? LOOP_WRITE : 0));
	return true;
}

static void start_statement(struct pg_conn *c, const char *sql, const struct pg_params *p, int64_t timeout_ms,
			    pg_result_fn *done, void *arg)
{
	struct err e = { 0 };

	c->done = done;
	c->arg = arg;
	c->timeout_ms = timeout_ms;
	c->copy = p != NULL ? p->copy : NULL;
	c->fed = 0;
	c->feeding = false;
	loop_timer_set(c->deadline, timeout_ms);
	if (!send_statement(c, sql, p)) {
		err_set(&e, ERR_TRANSIENT, "", "cannot send to the server");
		die_soon(c, &e);
	}
}

bool pg_conn_ready(const struct pg_conn *c)
{
	return c->state == PG_CONN_READY && c->done == NULL && c->failure.kind == 0;
}

void pg_conn_query(struct pg_conn *c, const char *sql, const struct pg_params *params, int64_t timeout_ms,
		   pg_result_fn *done, void *arg)
{
	assert(pg_conn_ready(c));
	start_statement(c, sql, params, timeout_ms, done, arg);
}

/* Keeps the first error, else the last result that has rows, else the last. */
static void keep_result(struct pg_conn *c, PGresult *res)
{
	ExecStatusType kept = PQresultStatus(c->result), status = PQresultStatus(res);

	if (c->result != NULL && (kept == PGRES_FATAL_ERROR || (kept == PGRES_TUPLES_OK && status == PGRES_COMMAND_OK))) {
		PQclear(res);
		return;
	}
	PQclear(c->result);
	c->result = res;
}

/* The statement in flight is complete. */
static void answer(struct pg_conn *c)
{
	pg_result_fn *done = c->done;
	PGresult *res = c->result;
	struct err e = { 0 };

	if (done == NULL || PQstatus(c->pq) == CONNECTION_BAD)
		return;		/* bad: die() answers */
	c->done = NULL;
	c->result = NULL;
	if (c->state == PG_CONN_READY)
		loop_timer_stop(c->deadline);
	switch (PQresultStatus(res)) {
	case PGRES_TUPLES_OK:
	case PGRES_COMMAND_OK:
	case PGRES_EMPTY_QUERY:
		done(c->arg, res, NULL);
		return;
	default:
		pg_error(res, &e);
		PQclear(res);
		done(c->arg, NULL, &e);
	}
}

static void take_notifications(struct pg_conn *c)
{
	PGnotify *n;
	bool any = false;

	while ((n = PQnotifies(c->pq)) != NULL) {
		any = true;
		PQfreemem(n);
	}
	if (any && c->state == PG_CONN_READY)
		c->events.notified(c->events.arg);
}

/* Rows as long as the socket takes them; the rest when it does again. A server that has refused them reads on all the same, and then says so. */
static bool feed_copy(struct pg_conn *c)
{
	int unsent = 0;

	while (c->copy != NULL && unsent == 0) {
		size_t left = c->copy->len - c->fed, n = left < FEED_BYTES ? left : FEED_BYTES;

		if (PQputCopyData(c->pq, c->copy->p + c->fed, (int)n) != 1)
			return false;
		c->fed += n;
		if (c->fed < c->copy->len)
			unsent = PQflush(c->pq);
		else
			c->copy = NULL;
	}
	c->feeding = c->copy != NULL;
	return unsent >= 0 && (c->feeding || PQputCopyEnd(c->pq, NULL) == 1);
}

/* Takes results until there are no more or the server is still busy. False: the connection is gone or not usable. */
static bool take_results(struct pg_conn *c)
{
	while (!c->freed && c->state != PG_CONN_DEAD && c->done != NULL && !c->feeding && !PQisBusy(c->pq)) {
		PGresult *res = PQgetResult(c->pq);
		ExecStatusType status;

		if (res == NULL) {
			if (c->result == NULL)
				return false;
			answer(c);
			return !c->freed && c->state != PG_CONN_DEAD && PQstatus(c->pq) == CONNECTION_OK;
		}
		status = PQresultStatus(res);
		keep_result(c, res);
		if ((status == PGRES_COPY_IN && (c->copy == NULL || !feed_copy(c))) || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
			return false;	/* nobody here asks for these */
	}
	return !c->freed && c->state != PG_CONN_DEAD && PQstatus(c->pq) == CONNECTION_OK;
}

static void transfer(struct pg_conn *c, unsigned what)
{
	struct err e = { 0 };
	int unsent;

	if ((what & LOOP_READ) && !PQconsumeInput(c->pq)) {
		err_set(&e, ERR_TRANSIENT, "", "the server closed the connection");
		/* Its last words may already be here. In the middle of a COPY libpq does not look for any. */
		if (c->feeding)
			PQputCopyEnd(c->pq, NULL);
		if (c->done != NULL && !PQisBusy(c->pq))
			keep_result(c, PQgetResult(c->pq));
		die(c, &e);
		return;
	}
	unsent = PQflush(c->pq);
	if (unsent < 0 || (unsent == 0 && c->feeding && !feed_copy(c))) {
		err_set(&e, ERR_TRANSIENT, "", "cannot send to the server");
		die(c, &e);
		return;
	}
	if (!take_results(c)) {
		err_set(&e, ERR_TRANSIENT, "", "the connection failed");
		if (!c->freed)
			die(c, &e);
		return;
	}
	take_notifications(c);
	if (!c->freed && c->state != PG_CONN_DEAD)
		watch_for(c, LOOP_READ | (c->feeding || PQflush(c->pq) == 1 ? LOOP_WRITE : 0));
}

/* ---- the session ------------------------------------------------------------------------------------- */

static void opened(struct pg_conn *c)
{
	loop_timer_stop(c->deadline);
	c->state = PG_CONN_READY;
	c->was_opened = true;
	c->events.opened(c->events.arg, NULL);
}

static void got_listen(void *arg, PGresult *res, const struct err *e)
{
	struct pg_conn *c = arg;
	struct err why;

	PQclear(res);
	if (e == NULL) {
		opened(c);
		return;
	}
	why = *e;
	err_while(&why, "LISTEN");
	die(c, &why);
}

static void ask_listen(struct pg_conn *c)
{
	char *name = pg_conn_quote_name(c, c->channel);
	char *sql = xasprintf("LISTEN %s", name != NULL ? name : "\"\"");

	start_statement(c, sql, NULL, CONNECT_MS, got_listen, c);
	free(sql);
	free(name);
}

static void got_setup(void *arg, PGresult *res, const struct err *e)
{
	struct pg_conn *c = arg;
	struct err why = { 0 };

	if (e != NULL) {
		why = *e;
		err_while(&why, "setting the session up");
		if (why.kind == ERR_ROW)
			why.kind = ERR_ENDPOINT;
	} else {
		const char *encoding = PQparameterStatus(c->pq, "client_encoding");

		snprintf(c->server, sizeof c->server, "PostgreSQL %.*s", (int)strcspn(PQgetvalue(res, 0, 0), " "),
			 PQgetvalue(res, 0, 0));
		snprintf(c->role, sizeof c->role, "%s", PQgetvalue(res, 0, 1));
		c->search_path = xstrdup(PQgetvalue(res, 0, 3));
		snprintf(c->session, sizeof c->session, "%s", PQgetvalue(res, 0, 4));
		if (strcmp(PQgetvalue(res, 0, 2), "t") == 0)
			err_set(&why, ERR_TRANSIENT, "", "is a standby: connect to the primary");	/* it may be promoted any moment */
		else if (encoding == NULL || strcmp(encoding, "UTF8") != 0)
			err_set(&why, ERR_ENDPOINT, "", "does not speak UTF-8 to us (client_encoding)");
	}
	PQclear(res);
	if (why.kind != 0)
		die(c, &why);
	else if (c->channel != NULL)
		ask_listen(c);
	else
		opened(c);
}

/*
 * All settings in one statement, each by parameter. Fixed output forms: SEMANTICS 4, canonical forms. It is looked up under the path that
 * the server gave us, of which it takes note: so each name says its schema.
 */
static void ask_setup(struct pg_conn *c)
{
	static const char sql[] =
		"SELECT pg_catalog.current_setting('server_version'), current_user, pg_catalog.pg_is_in_recovery(), p.path, "
		"(SELECT " PG_SESSION_NAME("a") " FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a), "
		"pg_catalog.set_config('search_path', '', false), pg_catalog.set_config('row_security', $5, false), "
		"pg_catalog.set_config('TimeZone', 'UTC', false), pg_catalog.set_config('DateStyle', 'ISO, YMD', false), "
		"pg_catalog.set_config('IntervalStyle', 'postgres', false), pg_catalog.set_config('extra_float_digits', '1', false), "
		"pg_catalog.set_config('bytea_output', 'hex', false), pg_catalog.set_config('standard_conforming_strings', 'on', false), "
		"pg_catalog.set_config('xmlbinary', 'base64', false), pg_catalog.set_config('default_transaction_isolation', 'read committed', false), "
		/* Statements are short or in batches with keys: compiling them costs more than it brings. */
		"pg_catalog.set_config('jit', 'off', false), "
		/* Batches by key: at the default of 4 the planner would rather read a whole table than 4,000 rows by index. */
		"pg_catalog.set_config('random_page_cost', '1.1', false), "
		"pg_catalog.set_config('client_min_messages', 'error', false), "
		"pg_catalog.set_config('statement_timeout', $1, false), pg_catalog.set_config('lock_timeout', $2, false), "
		"pg_catalog.set_config('idle_in_transaction_session_timeout', $3, false), pg_catalog.set_config('crmsync.writer', $4, false) "
		"FROM (SELECT coalesce(pg_catalog.string_agg(pg_catalog.quote_ident(s.name), ', ' ORDER BY s.n), '') AS path "
		"FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s(name, n) "
		"WHERE s.name OPERATOR(pg_catalog.<>) 'crmsync') AS p";
	char statement[32], lock[32];
	const char *values[] = { statement, fault("f26-waits-for-locks-without-end") ? "0" : lock, statement, c->writer,
				 fault("f32-rows-may-be-hidden") ? "on" : "off" };
	struct pg_params p = { .n = countof(values), .values = values };

	snprintf(statement, sizeof statement, "%lld", (long long)(c->conf->statement_timeout_us / 1000));
	snprintf(lock, sizeof lock, "%lld", (long long)(c->conf->lock_timeout_us / 1000));
	c->state = PG_CONN_SETUP;
	c->done = got_setup;
	c->arg = c;
	if (!send_statement(c, sql, &p)) {
		struct err e = { 0 };

		err_set(&e, ERR_TRANSIENT, "", "cannot send to the server");
		die_soon(c, &e);
	}
}

/* ---- connecting -------------------------------------------------------------------------------------- */

/* Notices are dropped, but a FATAL that comes while idle is one: the server's last words. */
static void on_notice(void *arg, const PGresult *res)
{
	struct pg_conn *c = arg;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
		pg_error(res, &c->last_words);
}

/* Finds "FATAL:  28P01: " as verbose messages have it, copies the code and cuts it out of the text. */
static void cut_sqlstate(char *text, char code[6])
{
	for (char *p = strstr(text, ":  "); p != NULL; p = strstr(p + 1, ":  "))
		if (strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && strncmp(p + 8, ": ", 2) == 0) {
			memcpy(code, p + 3, 5);
			code[5] = '\0';
			memmove(p + 2, p + 10, strlen(p + 10) + 1);
		}
}

/* libpq's words for a failed connection: the line of each host that was tried; hints and source places left out. */
static void connect_error(PGconn *pq, struct err *e)
{
	struct buf text = { 0 };
	char code[6] = "";
	const char *all = PQerrorMessage(pq);
	size_t head = strcspn(all, " \n");
	enum err_kind kind;

	for (const char *line = all; *line != '\0'; line += strspn(line, "\n")) {
		size_t len = strcspn(line, "\n");

		if (strncmp(line, all, head) == 0) {
			buf_adds(&text, text.len > 0 ? "; " : "");
			buf_add(&text, line, len);
		}
		line += len;
	}
	buf_adds(&text, "");
	cut_sqlstate(text.p, code);
	kind = pg_classify(code);
	if (PQconnectionNeedsPassword(pq)) {
		kind = ERR_ENDPOINT;
		strcpy(code, "28P01");
	}
	err_set(e, kind == ERR_ROW ? ERR_ENDPOINT : kind, code, "%s", text.p);
	buf_fini(&text);
}

static void step_connect(struct pg_conn *c)
{
	PostgresPollingStatusType next;
	struct err e = { 0 };

	/* libpq may go to another address and close this descriptor: the watch must be gone before. */
	loop_watch_free(&c->watch);
	next = PQconnectPoll(c->pq);
	switch (next) {
	case PGRES_POLLING_READING:
		watch_for(c, LOOP_READ);
		return;
	case PGRES_POLLING_WRITING:
		watch_for(c, LOOP_WRITE);
		return;
	case PGRES_POLLING_OK:
		PQsetErrorVerbosity(c->pq, PQERRORS_DEFAULT);
		PQsetnonblocking(c->pq, 1);
		loop_send_room(PQsocket(c->pq));
		c->version = PQserverVersion(c->pq);
		if (c->version >= OLDEST_SERVER) {
			ask_setup(c);
			return;
		}
		err_set(&e, ERR_ENDPOINT, "", "PostgreSQL %d is too old: 13 or newer is needed", c->version / 10000);
		break;
	case PGRES_POLLING_FAILED:
	case PGRES_POLLING_ACTIVE:
		connect_error(c->pq, &e);
		break;
	}
	die(c, &e);
}

static void on_ready(void *arg, unsigned what)
{
	struct pg_conn *c = arg;

	c->entered++;
	if (c->state == PG_CONN_CONNECT)
		step_connect(c);
	else if (c->state != PG_CONN_DEAD)
		transfer(c, what);
	leave(c);
}

/* Joins one member of the addresses to the comma-separated list that libpq takes. */
static char *join(const struct pg_address *list, size_t n, size_t offset)
{
	struct buf b = { 0 };

	for (size_t i = 0; i < n; i++) {
		buf_adds(&b, i > 0 ? "," : "");
		buf_adds(&b, (const char *)&list[i] + offset);
	}
	return buf_take(&b);
}

static void start_connect(struct pg_conn *c, const struct pg_address *list, size_t n, const char *password)
{
	char *hosts = join(list, n, offsetof(struct pg_address, host)), *addrs = join(list, n, offsetof(struct pg_address, addr)),
	     *ports = join(list, n, offsetof(struct pg_address, port));
	/* Later words win over earlier ones; a NULL value is as if the word were not there. */
	const char *words[] = { "fallback_application_name", "dbname", "client_encoding", "password",
				"host", "hostaddr", "port", NULL };
	const char *values[] = { "crmsyncd", c->conf->connection, "UTF8", password,
				 n > 0 ? hosts : NULL, n > 0 ? addrs : NULL, n > 0 ? ports : NULL, NULL };
	struct err e = { 0 };

	c->state = PG_CONN_CONNECT;
	c->pq = fault("f34-waits-where-it-stands") ? PQconnectdbParams(words, values, 1) : PQconnectStartParams(words, values, 1);
	free(hosts);
	free(addrs);
	free(ports);
	if (c->pq != NULL && PQstatus(c->pq) != CONNECTION_BAD) {
		/* Verbose, because only so the text holds the SQLSTATE: libpq has no other way to ask for it. */
		PQsetErrorVerbosity(c->pq, PQERRORS_VERBOSE);
		PQsetNoticeReceiver(c->pq, on_notice, c);
		watch_for(c, LOOP_WRITE);
		return;
	}
	if (c->pq == NULL)
		err_set(&e, ERR_TRANSIENT, "ENOMEM", "libpq: out of memory");
	else
		connect_error(c->pq, &e);
	die(c, &e);
}

static void on_resolved(void *arg, const struct pg_address *list, size_t n, const struct err *e)
{
	struct pg_conn *c = arg;
	struct err why = { 0 };
	char *password = NULL, words[256];

	c->entered++;
	/* The file is read for every attempt, so that a changed password needs no restart. */
	if (e == NULL && c->conf->password_file != NULL) {
		password = conf_read_secret(c->conf->password_file, words, sizeof words);
		if (password == NULL)
			err_set(&why, ERR_ENDPOINT, "", "password_file: %s", words);
	}
	pg_resolve_free(&c->resolve);
	if (e != NULL)
		die(c, e);
	else if (why.kind != 0)
		die(c, &why);
	else
		start_connect(c, list, n, password);
	conf_secret_free(&password);
	leave(c);
}

static const char *option_of(const PQconninfoOption *list, const char *word)
{
	for (const PQconninfoOption *o = list; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, word) == 0)
			return o->val;
	return NULL;
}

/*
 * Which hosts does the connection string mean, with service file, environment and defaults? libpq says so itself when asked
 * to connect with an impossible sslmode: it fills in everything, then gives up before it looks up or opens anything.
 */
static void start_lookup(struct pg_conn *c)
{
	const char *words[] = { "dbname", "sslmode", NULL }, *values[] = { c->conf->connection, "!", NULL };
	PQconninfoOption *all = NULL;
	PGconn *asked = NULL;
	struct err e = { 0 };
	char wrong[200];

	if (!postgres_connection_check(c->conf->connection, wrong, sizeof wrong)) {
		err_set(&e, ERR_CONFIG, "", "connection: %s", wrong);
	} else {
		asked = PQconnectStartParams(words, values, 1);
		all = asked != NULL ? PQconninfo(asked) : NULL;
		c->state = PG_CONN_LOOKUP;
		c->resolve = pg_resolve_new(c->loop, option_of(all, "host"), option_of(all, "hostaddr"), option_of(all, "port"),
					    on_resolved, c, &e);
	}
	PQconninfoFree(all);
	PQfinish(asked);
	if (e.kind != 0)
		die(c, &e);
}

static void on_soon(void *arg)
{
	struct pg_conn *c = arg;

	c->entered++;
	if (c->failure.kind != 0)
		die(c, &c->failure);
	else
		start_lookup(c);
	leave(c);
}

struct pg_conn *pg_conn_new(struct loop *loop, const struct endpoint_conf *conf, const char *writer, const char *channel,
			    const struct pg_conn_events *events)
{
	struct pg_conn *c = xcalloc(1, sizeof *c);

	c->loop = loop;
	c->conf = conf;
	c->writer = writer;
	c->channel = channel;
	c->events = *events;
	c->soon = loop_timer_new(loop, on_soon, c);
	c->deadline = loop_timer_new(loop, on_deadline, c);
	loop_timer_set(c->soon, 0);
	loop_timer_set(c->deadline, CONNECT_MS);
	return c;
}

/* ---- small answers ----------------------------------------------------------------------------------- */

const char *pg_conn_server(const struct pg_conn *c)
{
	return c->server;
}

int pg_conn_version(const struct pg_conn *c)
{
	return c->version;
}

const char *pg_conn_role(const struct pg_conn *c)
{
	return c->role;
}

const char *pg_conn_session(const struct pg_conn *c)
{
	return c->session;
}

const char *pg_conn_search_path(const struct pg_conn *c)
{
	return c->search_path;
}

static char *own(char *from_libpq)
{
	char *copy = from_libpq != NULL ? xstrdup(from_libpq) : NULL;

	PQfreemem(from_libpq);
	return copy;
}

char *pg_conn_quote_name(struct pg_conn *c, const char *name)
{
	return c->pq != NULL ? own(PQescapeIdentifier(c->pq, name, strlen(name))) : NULL;
}

char *pg_conn_quote_text(struct pg_conn *c, const char *text)
{
	return c->pq != NULL ? own(PQescapeLiteral(c->pq, text, strlen(text))) : NULL;
}

const char *postgres_library(char *out, size_t size)
{
	snprintf(out, size, "libpq runs on %d.%d", PQlibVersion() / 10000, PQlibVersion() % 10000);
	return out;
}
