/* A greeting is answered when nothing of a former life can happen there any more, and holds up nobody else. */
#include <check.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg_rig.h"
#include "pg_server.h"

static struct pg_server *server;

static void start_server(void)
{
	server = pg_server_new();
	pg_server_sql(server, NULL, "CREATE ROLE crm LOGIN; CREATE ROLE other LOGIN; GRANT CREATE ON DATABASE postgres TO crm; "
		      "CREATE TABLE public.rows (n int); GRANT ALL ON public.rows TO PUBLIC;");
}

static void stop_server(void)
{
	pg_server_free(&server);
}

static struct rig *rig_up(const char *endpoint, bool keeps_state)
{
	struct rig *rig = rig_new(pg_server_conninfo(server, "crm", NULL));

	free(rig->conf->name);
	rig->conf->name = xstrdup(endpoint);
	rig->conf->install_auto = keeps_state;
	rig->conf->connections = 1;
	if (!keeps_state)
		pg_server_sql(server, NULL, "SET client_min_messages = warning; DROP SCHEMA IF EXISTS crmsync CASCADE");
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert_int_eq(rig->ep->keeps_state, keeps_state);
	return rig;
}

/* ---- greeting ------------------------------------------------------------------------------------------ */

struct greeted {
	unsigned calls;
	struct greeting g;
	struct err e;
};

static void on_greeted(void *arg, const struct greeting *g, const struct err *e)
{
	struct greeted *t = arg;

	t->calls++;
	t->g = *g;
	if (e != NULL)
		t->e = *e;
}

static void greet(struct rig *rig, struct greeted *t)
{
	*t = (struct greeted){ 0 };
	rig->ep->ops->greet(rig->ep, 1, on_greeted, t);
}

static void answered(struct rig *rig, struct greeted *t)
{
	rig_wait(rig, t->calls > 0);
	ck_assert_msg(t->e.kind == 0, "%s %s", t->e.code, t->e.text);
	ck_assert_int_eq(rig->ep->waits_for, 0);
}

/* It is told for whom, and goes on to be so. */
static void waits(struct rig *rig, struct greeted *t, int64_t backend)
{
	int64_t until = clock_mono_us() + 500000;

	rig_wait(rig, t->calls > 0 || rig->ep->waits_for == backend);
	while (clock_mono_us() < until)
		rig_turn(rig);
	ck_assert_uint_eq(t->calls, 0);
	ck_assert_int_eq(rig->ep->waits_for, backend);
}

static int number(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int number(const char *fmt, ...)
{
	va_list ap;
	char sql[300], *v;
	int n;

	va_start(ap, fmt);
	vsnprintf(sql, sizeof sql, fmt, ap);
	va_end(ap);
	v = pg_server_value(server, NULL, sql);
	n = atoi(v);
	free(v);
	return n;
}

/* ---- lost ---------------------------------------------------------------------------------------------- */

static void lose_by_pause(struct rig **rig)
{
	(*rig)->ep->ops->pause((*rig)->ep);
	(*rig)->ep->ops->resume((*rig)->ep);
	rig_wait_up(*rig);
}

/* As a reload does, which replaces the endpoint. */
static void lose_by_free(struct rig **rig)
{
	rig_free(rig);
	*rig = rig_up("sales", true);
}

static const struct {
	bool unread;			/* stopped before it read the statement; else in the middle of it */
	void (*lose)(struct rig **);
} losses[] = {
	{ true, lose_by_pause }, { false, lose_by_pause }, { true, lose_by_free }, { false, lose_by_free },
};

START_TEST(what_a_lost_connection_had_sent_is_over_before_the_answer)
{
	struct rig *rig = rig_up("sales", true);
	struct greeted t;
	struct answer a = { 0 };
	char *v = rig_ask(rig, "SELECT pg_backend_pid()");
	pid_t backend = (pid_t)atoi(v);

	greet(rig, &t);
	answered(rig, &t);
	if (losses[_i].unread)
		ck_assert_int_eq(kill(backend, SIGSTOP), 0);
	pg_call(pg_of(rig->ep), "INSERT INTO public.rows SELECT 1 FROM pg_sleep(0.5)", NULL, answer_result, &a);
	if (!losses[_i].unread) {
		rig_wait(rig, number("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event = 'PgSleep'", (int)backend) == 1);
		ck_assert_int_eq(kill(backend, SIGSTOP), 0);
	}
	losses[_i].lose(&rig);
	ck_assert_uint_eq(a.calls, 1);
	ck_assert_int_eq(a.e.kind, ERR_TRANSIENT);
	greet(rig, &t);
	waits(rig, &t, backend);
	kill(backend, SIGCONT);
	answered(rig, &t);
	ck_assert_int_eq(number("SELECT count(*) FROM pg_stat_activity WHERE pid = %d", (int)backend), 0);
	free(v);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

START_TEST(a_connection_that_had_answered_everything_is_not_looked_for)
{
	struct rig *rig = rig_up("sales", true);
	char *v = rig_ask(rig, "SELECT pg_backend_pid()");
	pid_t backend = (pid_t)atoi(v);
	struct greeted t;

	ck_assert_int_eq(kill(backend, SIGSTOP), 0);
	lose_by_pause(&rig);
	greet(rig, &t);
	answered(rig, &t);
	kill(backend, SIGCONT);
	free(v);
	rig_free(&rig);
}
END_TEST

START_TEST(a_greeting_that_waits_ends_with_the_endpoint_or_by_the_next_one)
{
	struct rig *rig = rig_up("sales", true);
	char *v = rig_ask(rig, "SELECT pg_backend_pid()");
	pid_t backend = (pid_t)atoi(v);
	struct answer a = { 0 };
	struct greeted t, again;

	ck_assert_int_eq(kill(backend, SIGSTOP), 0);
	pg_call(pg_of(rig->ep), "INSERT INTO public.rows VALUES (1)", NULL, answer_result, &a);
	lose_by_pause(&rig);
	greet(rig, &t);
	waits(rig, &t, backend);
	greet(rig, &again);
	rig_wait(rig, t.calls > 0);
	ck_assert_int_eq(t.e.kind, ERR_TRANSIENT);
	waits(rig, &again, backend);
	lose_by_pause(&rig);
	rig_wait(rig, again.calls > 0);
	ck_assert_int_eq(again.e.kind, ERR_TRANSIENT);
	ck_assert_int_eq(rig->ep->waits_for, 0);
	greet(rig, &t);				/* it is not forgotten by that */
	waits(rig, &t, backend);
	kill(backend, SIGCONT);
	answered(rig, &t);
	free(v);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

/* ---- others -------------------------------------------------------------------------------------------- */

static PGconn *session(const char *user, const char *application, const char *sql)
{
	char *base = pg_server_conninfo(server, user, NULL), *all = xasprintf("%s application_name=%s", base, application);
	PGconn *pq = PQconnectdb(all);

	ck_assert_msg(PQstatus(pq) == CONNECTION_OK, "%s", PQerrorMessage(pq));
	PQclear(PQexec(pq, sql));
	ck_assert_int_eq(PQtransactionStatus(pq), PQTRANS_INTRANS);
	free(base);
	free(all);
	return pq;
}

static bool works(PGconn *pq, const char *sql)
{
	PGresult *res = PQexec(pq, sql);
	bool ok = PQresultStatus(res) == PGRES_COMMAND_OK;

	PQclear(res);
	return ok;
}

START_TEST(a_predecessors_transaction_is_waited_for)
{
	PGconn *before = session("crm", "crmsyncd", "BEGIN; INSERT INTO public.rows VALUES (2)");
	struct rig *rig = rig_up("sales", _i == 1);
	struct greeted t;

	greet(rig, &t);
	waits(rig, &t, PQbackendPID(before));
	ck_assert(works(before, "COMMIT"));
	/* What begins after is refused by the number, where there is one: it is not waited for. */
	ck_assert(works(before, "BEGIN"));
	answered(rig, &t);
	ck_assert(works(before, "INSERT INTO public.rows VALUES (3)"));
	ck_assert_int_eq(number("SELECT count(*) FROM public.rows WHERE n = 2"), 1);
	pg_server_sql(server, NULL, "DELETE FROM public.rows");
	PQfinish(before);
	rig_free(&rig);
}
END_TEST

START_TEST(a_predecessor_that_left_its_transaction_open_is_ended)
{
	PGconn *before = session("crm", "crmsyncd", "BEGIN; INSERT INTO public.rows VALUES (4)");
	struct rig *rig = rig_up("sales", true);
	struct greeted t;
	int64_t began = clock_mono_us();

	greet(rig, &t);
	answered(rig, &t);
	ck_assert_int_ge(clock_mono_us() - began, 4900000);
	ck_assert(!works(before, "COMMIT"));
	ck_assert_int_eq(number("SELECT count(*) FROM public.rows WHERE n = 4"), 0);
	PQfinish(before);
	rig_free(&rig);
}
END_TEST

START_TEST(others_are_neither_waited_for_nor_ended)
{
	static const char at_work[] = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crmsyncd' AND query = 'SELECT pg_sleep(5)' "
		"AND state = 'active'";
	PGconn *psql = session("crm", "psql", "BEGIN; INSERT INTO public.rows VALUES (5)");
	PGconn *other = session("other", "crmsyncd", "BEGIN; INSERT INTO public.rows VALUES (5)");
	struct rig *rig = rig_up("sales", true), *support = rig_up("support", true);	/* the same process, in the same database */
	struct answer a = { 0 };
	struct greeted t;

	pg_call(pg_of(support->ep), "SELECT pg_sleep(5)", NULL, answer_result, &a);
	rig_wait(rig, number("%s", at_work) == 1);
	greet(rig, &t);
	answered(rig, &t);
	ck_assert_int_eq(number("%s", at_work), 1);
	ck_assert(works(psql, "COMMIT"));
	ck_assert(works(other, "COMMIT"));
	PQfinish(psql);
	PQfinish(other);
	rig_wait(support, a.calls > 0);
	ck_assert_int_eq(a.e.kind, 0);
	answer_fini(&a);
	rig_free(&support);
	rig_free(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("greet");
	TCase *tc = tcase_create("one server");
	SRunner *sr;
	int failed;

	if (!pg_server_available())
		return 77;
	log_setup(LOG_LEVEL_ERROR, false);
	sr = srunner_create(s);
	suite_add_tcase(s, tc);
	tcase_add_unchecked_fixture(tc, start_server, stop_server);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, what_a_lost_connection_had_sent_is_over_before_the_answer, 0, (int)countof(losses));
	tcase_add_test(tc, a_connection_that_had_answered_everything_is_not_looked_for);
	tcase_add_test(tc, a_greeting_that_waits_ends_with_the_endpoint_or_by_the_next_one);
	tcase_add_loop_test(tc, a_predecessors_transaction_is_waited_for, 0, 2);
	tcase_add_test(tc, a_predecessor_that_left_its_transaction_open_is_ended);
	tcase_add_test(tc, others_are_neither_waited_for_nor_ended);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
