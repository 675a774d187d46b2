/* Connecting, losing, finding again: one endpoint against a private server, and against what only looks like one. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg_rig.h"
#include "pg_server.h"

static struct pg_server *server;

static void start_server(void)
{
	server = pg_server_new();
	pg_server_sql(server, NULL, "CREATE ROLE crm LOGIN; CREATE ROLE secret LOGIN PASSWORD 'open sesame';");
}

static void stop_server(void)
{
	pg_server_free(&server);
}

static struct rig *rig_here(void)
{
	return rig_new(pg_server_conninfo(server, NULL, NULL));
}

START_TEST(comes_up_and_answers)
{
	struct rig *rig = rig_here();
	char *v;

	rig_start(rig);
	ck_assert_int_eq(rig->ep->state, ENDPOINT_UNKNOWN);
	rig_wait_up(rig);
	ck_assert_int_eq(strncmp(rig->ep->server, "PostgreSQL 1", 12), 0);
	rig_wait(rig, rig->states >= 1);
	v = rig_ask(rig, "SELECT 1 + 1");
	ck_assert_str_eq(v, "2");
	free(v);
	ck_assert(rig->ep->last_success_us > 0);
	ck_assert(rig->ep->why.kind == 0);
	rig_free(&rig);
}
END_TEST

START_TEST(the_session_has_its_fixed_settings)
{
	static const char *const wanted[][2] = {
		{ "search_path", "" }, { "row_security", "off" }, { "TimeZone", "UTC" }, { "DateStyle", "ISO, YMD" },
		{ "IntervalStyle", "postgres" }, { "bytea_output", "hex" }, { "extra_float_digits", "1" }, { "jit", "off" },
		{ "statement_timeout", "10s" }, { "lock_timeout", "2s" }, { "idle_in_transaction_session_timeout", "10s" },
		{ "crmsync.writer", "acme" }, { "client_encoding", "UTF8" }, { "application_name", "crmsyncd" },
		{ "session_replication_role", "origin" }, { "default_transaction_isolation", "read committed" },
	};
	struct rig *rig = rig_here();

	pg_server_sql(server, NULL, "ALTER ROLE postgres SET DateStyle = 'German'; ALTER ROLE postgres SET TimeZone = 'Asia/Tokyo'");
	rig_start(rig);
	rig_wait_up(rig);
	for (size_t i = 0; i < countof(wanted); i++) {
		char *sql = xasprintf("SHOW %s", wanted[i][0]), *v = rig_ask(rig, sql);

		ck_assert_msg(strcmp(v, wanted[i][1]) == 0, "%s is %s", wanted[i][0], v);
		free(v);
		free(sql);
	}
	rig_free(&rig);
	pg_server_sql(server, NULL, "ALTER ROLE postgres RESET ALL");
}
END_TEST

START_TEST(nobody_there_is_transient_and_retried)
{
	struct rig *rig = rig_new(xstrdup("host=127.0.0.1 port=1 dbname=x user=y"));

	rig_start(rig);
	rig_wait(rig, rig->ep->tries >= 3);
	ck_assert_int_eq(rig->ep->state, ENDPOINT_DOWN);
	ck_assert_int_eq(rig->ep->why.kind, ERR_TRANSIENT);
	ck_assert_ptr_nonnull(strstr(rig->ep->why.text, "127.0.0.1"));
	ck_assert_ptr_null(strchr(rig->ep->why.text, '\n'));
	ck_assert(rig->ep->next_try_us > 0);
	rig_free(&rig);
}
END_TEST

/* what, connection, kind, code, words */
static const struct refusal {
	const char *user, *dbname, *extra, *code, *words;
} refusals[] = {
	{ "nobody_here", "postgres", "", "28000", "nobody_here" },
	{ "crm", "no_such_db", "", "3D000", "no_such_db" },
	{ "secret", "postgres", " password=guess", "28P01", "secret" },
	{ "secret", "postgres", "", "28P01", "password" },
};

START_TEST(what_the_operator_must_mend_has_its_code_and_is_not_hammered)
{
	const struct refusal *r = &refusals[_i];
	char *base = pg_server_conninfo(server, r->user, r->dbname);
	struct rig *rig = rig_new(xasprintf("%s%s", base, r->extra));

	free(base);
	rig_start(rig);
	rig_wait(rig, rig->ep->state == ENDPOINT_DOWN);
	ck_assert_int_eq(rig->ep->why.kind, ERR_ENDPOINT);
	ck_assert_str_eq(rig->ep->why.code, r->code);
	ck_assert_msg(strstr(rig->ep->why.text, r->words) != NULL, "%s", rig->ep->why.text);
	ck_assert_ptr_null(strstr(rig->ep->why.text, "guess"));
	ck_assert_ptr_null(strstr(rig->ep->why.text, "LOCATION"));
	ck_assert(rig->ep->next_try_us - clock_mono_us() > 10000000);
	rig_free(&rig);
}
END_TEST

START_TEST(a_malformed_connection_string_is_not_quoted)
{
	struct rig *rig = rig_new(xstrdup("host=/tmp password=top secret"));

	rig_start(rig);
	rig_wait(rig, rig->ep->state == ENDPOINT_DOWN);
	ck_assert_int_eq(rig->ep->why.kind, ERR_CONFIG);
	ck_assert_ptr_null(strstr(rig->ep->why.text, "secret"));
	rig_free(&rig);
}
END_TEST

static char *write_secret(const char *text)
{
	char *path = xasprintf("/tmp/crmsync-test-secret-%ld", (long)getpid());
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	chmod(path, 0600);
	return path;
}

START_TEST(the_password_file_is_read_for_every_try)
{
	struct rig *rig = rig_new(pg_server_conninfo(server, "secret", NULL));

	rig->conf->password_file = write_secret("wrong\n");
	rig_start(rig);
	rig_wait(rig, rig->ep->state == ENDPOINT_DOWN);
	ck_assert_str_eq(rig->ep->why.code, "28P01");
	free(write_secret("open sesame\n"));
	rig->ep->ops->pause(rig->ep);
	rig->ep->ops->resume(rig->ep);
	rig_wait_up(rig);
	unlink(rig->conf->password_file);
	rig_free(&rig);
}
END_TEST

START_TEST(a_name_that_does_not_resolve_is_transient)
{
	struct rig *rig = rig_new(xstrdup("host=no-such-host.invalid dbname=x user=y"));

	rig_start(rig);
	rig_wait(rig, rig->ep->state == ENDPOINT_DOWN);
	ck_assert_int_eq(rig->ep->why.kind, ERR_TRANSIENT);
	ck_assert_ptr_nonnull(strstr(rig->ep->why.text, "no-such-host.invalid"));
	rig_free(&rig);
}
END_TEST

START_TEST(of_several_hosts_the_one_that_answers_is_taken)
{
	/* localhost goes through the look-up, the address does not, the directory is a unix socket */
	struct rig *rig = rig_new(xasprintf("host=localhost,127.0.0.1,%s port=1,1,5432 dbname=postgres user=postgres",
					    pg_server_socket_dir(server)));

	rig_start(rig);
	rig_wait_up(rig);
	rig_free(&rig);
}
END_TEST

static int listen_somewhere(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

START_TEST(a_name_leads_to_its_address)
{
	uint16_t port;
	int fd = listen_somewhere(&port), got = -1;
	struct rig *rig = rig_new(xasprintf("host=localhost port=%u dbname=x user=y", port));

	fcntl(fd, F_SETFL, O_NONBLOCK);
	rig_start(rig);
	rig_wait(rig, (got = accept(fd, NULL, NULL)) >= 0);
	rig_free(&rig);
	close(got);
	close(fd);
}
END_TEST

START_TEST(a_black_hole_is_given_up_and_blocks_nobody)
{
	uint16_t port;
	int fd = listen_somewhere(&port);
	struct rig *hole = rig_new(xasprintf("host=127.0.0.1 port=%u dbname=x user=y", port));
	int64_t began = clock_mono_us(), longest = 0;

	rig_start(hole);
	while (hole->ep->state != ENDPOINT_DOWN && clock_mono_us() < began + 14000000) {
		int64_t turn = clock_mono_us();

		rig_turn(hole);
		if (clock_mono_us() - turn > longest)
			longest = clock_mono_us() - turn;
	}
	ck_assert_int_eq(hole->ep->state, ENDPOINT_DOWN);
	ck_assert_str_eq(hole->ep->why.code, "ETIMEDOUT");
	ck_assert(clock_mono_us() - began > 9000000);
	ck_assert_msg(longest < 1000000, "a turn took %lld us", (long long)longest);
	rig_free(&hole);
	close(fd);
}
END_TEST

START_TEST(calls_while_down_are_answered_later_with_the_reason)
{
	struct rig *rig = rig_new(xstrdup("host=127.0.0.1 port=1 dbname=x user=y"));
	struct answer a = { .rig = rig };

	rig_start(rig);
	rig_wait(rig, rig->ep->state == ENDPOINT_DOWN);
	pg_call(pg_of(rig->ep), "SELECT 1", NULL, answer_result, &a);
	ck_assert_uint_eq(a.calls, 0);
	rig_wait(rig, a.calls == 1);
	ck_assert_int_eq(a.e.kind, ERR_TRANSIENT);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

START_TEST(each_call_is_answered_once_in_order_over_the_pool)
{
	enum { CALLS = 200 };
	static const char count[] = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'of_the_pool'";
	char *base = pg_server_conninfo(server, NULL, NULL);
	struct rig *rig = rig_new(xasprintf("%s application_name=of_the_pool", base));
	struct answer a = { .rig = rig };
	char *v;

	free(base);
	rig->conf->connections = 3;
	rig_start(rig);
	rig_wait_up(rig);
	/* Asked for from outside: a question of ours beside a probe would need a second one. */
	v = pg_server_value(server, NULL, count);
	ck_assert_str_eq(v, "1");		/* the others open when they are needed */
	free(v);
	for (int i = 0; i < CALLS; i++)
		pg_call(pg_of(rig->ep), "SELECT pg_sleep(0.002)", NULL, answer_result, &a);
	rig_wait(rig, a.calls == CALLS);
	ck_assert_int_eq(a.e.kind, 0);
	v = rig_ask(rig, count);
	ck_assert_str_eq(v, "3");
	free(v);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

START_TEST(an_error_of_a_statement_leaves_the_connection_alone)
{
	struct rig *rig = rig_here();
	struct answer a = { .rig = rig };
	char *before, *after;

	rig->conf->connections = 1;		/* or another of the pool may answer the second time */
	rig_start(rig);
	rig_wait_up(rig);
	before = rig_ask(rig, "SELECT pg_backend_pid()");
	pg_call(pg_of(rig->ep), "SELECT 'secret value'::integer", NULL, answer_result, &a);
	rig_wait(rig, a.calls == 1);
	ck_assert_int_eq(a.e.kind, ERR_ROW);
	ck_assert_str_eq(a.e.code, "22P02");
	ck_assert_ptr_null(strstr(a.e.text, "secret"));
	pg_call(pg_of(rig->ep), "SELECT no_such_column", NULL, answer_result, &a);
	rig_wait(rig, a.calls == 2);
	ck_assert_int_eq(a.e.kind, ERR_ENDPOINT);
	ck_assert_ptr_nonnull(strstr(a.e.text, "no_such_column"));
	after = rig_ask(rig, "SELECT pg_backend_pid()");
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

START_TEST(several_statements_without_parameters_are_one_transaction)
{
	struct rig *rig = rig_here();
	struct answer a = { .rig = rig };
	char *v;

	rig_start(rig);
	rig_wait_up(rig);
	pg_call(pg_of(rig->ep), "CREATE TABLE public.half (a int); SELECT 1/0", NULL, answer_result, &a);
	rig_wait(rig, a.calls == 1);
	ck_assert_str_eq(a.e.code, "22012");
	v = rig_ask(rig, "CREATE TABLE public.half (a int); DROP TABLE public.half; SELECT 'last'");
	ck_assert_str_eq(v, "last");
	free(v);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

START_TEST(large_parameters_and_results_pass_both_ways)
{
	enum { SIZE = 24 << 20 };
	struct rig *rig = rig_here();
	struct answer a = { .rig = rig };
	char *big = xmalloc(SIZE + 1);
	const char *values[] = { big };
	struct pg_params p = { .n = 1, .values = values };

	memset(big, 'x', SIZE);
	big[SIZE] = '\0';
	rig_start(rig);
	rig_wait_up(rig);
	pg_call(pg_of(rig->ep), "SELECT $1::text", &p, answer_result, &a);
	rig_wait(rig, a.calls == 1);
	ck_assert_int_eq(a.e.kind, 0);
	ck_assert(strcmp(a.text, big) == 0);
	free(big);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

/* Backends at work on our long query; one that an earlier test left behind and that is still going is not among them. */
#define SLEEPERS "FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(30)'"

static int sleepers(void)
{
	char *n = pg_server_value(server, NULL, "SELECT count(*) " SLEEPERS);
	int value = atoi(n);

	free(n);
	return value;
}

START_TEST(a_backend_that_is_ended_takes_us_down_and_up_again)
{
	struct rig *rig = rig_here();
	struct answer a = { .rig = rig };

	rig_start(rig);
	rig_wait_up(rig);
	pg_call(pg_of(rig->ep), "SELECT pg_sleep(30)", NULL, answer_result, &a);
	pg_call(pg_of(rig->ep), "SELECT pg_sleep(30)", NULL, answer_result, &a);
	pg_call(pg_of(rig->ep), "SELECT pg_sleep(30)", NULL, answer_result, &a);
	rig_wait(rig, sleepers() > 0);
	pg_server_sql(server, NULL, "SELECT pg_terminate_backend(pid) " SLEEPERS " LIMIT 1");
	rig_wait(rig, a.calls == 3);
	ck_assert_int_eq(a.e.kind, ERR_TRANSIENT);
	ck_assert(!pg_is_answer(&a.e));
	ck_assert_int_eq(rig->ep->state, ENDPOINT_DOWN);
	ck_assert_str_eq(rig->ep->why.code, "57P01");
	rig_wait_up(rig);
	ck_assert_uint_eq(rig->ep->tries, 0);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

START_TEST(an_idle_connection_notices_the_end_at_once)
{
	struct rig *rig = rig_here();
	int64_t began;

	rig_start(rig);
	rig_wait_up(rig);
	began = clock_mono_us();
	pg_server_sql(server, NULL, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'crmsyncd'");
	rig_wait(rig, rig->ep->state == ENDPOINT_DOWN);
	ck_assert(clock_mono_us() - began < 2000000);
	ck_assert_str_eq(rig->ep->why.code, "57P01");
	rig_free(&rig);
}
END_TEST

START_TEST(a_connection_that_falls_silent_is_given_up)
{
	struct rig *rig = rig_here();
	char *v;
	pid_t backend;

	rig_start(rig);
	rig_wait_up(rig);
	v = rig_ask(rig, "SELECT pg_backend_pid()");
	backend = (pid_t)atoi(v);
	ck_assert_int_eq(kill(backend, SIGSTOP), 0);
	rig_wait(rig, rig->ep->state == ENDPOINT_DOWN);
	ck_assert_str_eq(rig->ep->why.code, "ETIMEDOUT");
	ck_assert_int_eq(rig->ep->why.kind, ERR_TRANSIENT);
	rig_wait_up(rig);		/* a new connection works */
	kill(backend, SIGCONT);
	free(v);
	rig_free(&rig);
}
END_TEST

START_TEST(the_server_may_stop_and_start_again)
{
	struct rig *rig;
	struct answer a = { 0 };

	start_server();
	rig = rig_here();
	a.rig = rig;
	rig_start(rig);
	rig_wait_up(rig);
	pg_server_stop(server);
	rig_wait(rig, rig->ep->state == ENDPOINT_DOWN && rig->ep->tries >= 3);
	ck_assert_int_eq(rig->ep->why.kind, ERR_TRANSIENT);
	pg_call(pg_of(rig->ep), "SELECT 1", NULL, answer_result, &a);
	rig_wait(rig, a.calls == 1);
	ck_assert_int_eq(a.e.kind, ERR_TRANSIENT);
	pg_server_start(server);
	rig_wait_up(rig);
	free(rig_ask(rig, "SELECT 1"));
	rig_free(&rig);
	answer_fini(&a);
	stop_server();
}
END_TEST

START_TEST(a_standby_is_refused)
{
	struct rig *rig;
	char *touch;

	start_server();
	pg_server_stop(server);
	touch = xasprintf("touch %s/data/standby.signal", pg_server_socket_dir(server));
	ck_assert_int_eq(system(touch), 0);
	free(touch);
	pg_server_start(server);
	rig = rig_here();
	rig_start(rig);
	rig_wait(rig, rig->ep->state == ENDPOINT_DOWN);
	ck_assert_int_eq(rig->ep->why.kind, ERR_TRANSIENT);	/* it is promoted any moment */
	ck_assert_ptr_nonnull(strstr(rig->ep->why.text, "standby"));
	rig_free(&rig);
	stop_server();
}
END_TEST

START_TEST(pause_closes_and_resume_opens)
{
	struct rig *rig = rig_here();
	struct answer a = { .rig = rig };
	char *n;

	rig_start(rig);
	rig_wait_up(rig);
	pg_call(pg_of(rig->ep), "SELECT pg_sleep(30)", NULL, answer_result, &a);
	rig_turn(rig);
	rig->ep->ops->pause(rig->ep);
	ck_assert_int_eq(rig->ep->state, ENDPOINT_PAUSED);
	ck_assert_uint_eq(a.calls, 0);		/* not from inside pause() */
	rig_wait(rig, a.calls == 1);
	ck_assert_int_eq(a.e.kind, ERR_TRANSIENT);
	do {
		n = pg_server_value(server, NULL, "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crmsyncd' "
				    "AND query NOT LIKE '%pg_sleep%'");
		rig_turn(rig);
	} while (strcmp(n, "0") != 0 && (free(n), true));
	free(n);
	ck_assert_int_eq(rig->ep->state, ENDPOINT_PAUSED);
	rig->ep->ops->resume(rig->ep);
	rig_wait_up(rig);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

static void free_in_answer(void *arg, PGresult *res, const struct err *e)
{
	struct rig *rig = arg;

	PQclear(res);
	endpoint_free(&rig->ep);
	loop_stop(rig->loop);
}

START_TEST(free_answers_what_is_open_and_may_come_from_an_answer)
{
	struct rig *rig = rig_here();
	struct answer a = { 0 };

	rig_start(rig);
	rig_wait_up(rig);
	pg_call(pg_of(rig->ep), "SELECT 1", NULL, free_in_answer, rig);
	for (int i = 0; i < 5; i++)
		pg_call(pg_of(rig->ep), "SELECT pg_sleep(30)", NULL, answer_result, &a);
	rig_wait(rig, rig->ep == NULL);
	ck_assert_uint_eq(a.calls, 5);
	ck_assert_int_eq(a.e.kind, ERR_TRANSIENT);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

static void free_in_state(void *arg, struct endpoint *ep)
{
	struct rig *rig = arg;

	endpoint_free(&rig->ep);
	loop_stop(rig->loop);
}

START_TEST(free_may_come_from_an_event)
{
	struct rig *rig = rig_here();
	struct endpoint_events events = { .state = free_in_state, .arg = rig };

	rig->ep = postgres_endpoint_new(rig->loop, &rig->topology, rig->conf, &events);
	rig->ep->ops->start(rig->ep);
	rig_wait(rig, rig->ep == NULL);
	rig_free(&rig);
}
END_TEST

START_TEST(free_at_any_moment_of_connecting_leaves_nothing)
{
	/* turns of connecting, by number; the sanitizers look for what is left or used again */
	for (int turns = 0; turns < 12; turns++) {
		struct rig *rig = rig_new(xasprintf("host=localhost,%s port=1,5432 dbname=postgres user=postgres",
						    pg_server_socket_dir(server)));

		rig_start(rig);
		for (int i = 0; i < turns; i++)
			rig_turn(rig);
		rig_free(&rig);
	}
}
END_TEST

START_TEST(notifications_wake_us)
{
	struct rig *rig = rig_here();

	rig_start(rig);
	rig_wait_up(rig);
	pg_server_sql(server, NULL, "NOTIFY crmsync_other");
	pg_server_sql(server, NULL, "NOTIFY crmsync_acme");
	rig_wait(rig, rig->wakes == 1);
	rig_free(&rig);
}
END_TEST

START_TEST(the_clock_offset_is_measured)
{
	struct rig *rig = rig_here();

	rig_start(rig);
	rig_wait(rig, rig->ep->clock_error_s > 0);
	ck_assert(rig->ep->clock_offset_s < 0.5 && rig->ep->clock_offset_s > -0.5);
	ck_assert(rig->ep->clock_error_s < 0.5);
	rig_free(&rig);
}
END_TEST

START_TEST(a_clock_offset_within_its_own_error_counts_as_none)
{
	struct endpoint ep = { .clock_offset_s = -0.0004, .clock_error_s = 0.0005 };

	ck_assert_int_eq(endpoint_offset_us(&ep), 0);
	ep.clock_offset_s = 0.75;
	ck_assert_int_eq(endpoint_offset_us(&ep), 750000);
	ep.clock_offset_s = -0.75;
	ck_assert_int_eq(endpoint_offset_us(&ep), -750000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pg_endpoint");
	TCase *tc = tcase_create("one server"), *own = tcase_create("own server");
	SRunner *sr;
	int failed;

	if (!pg_server_available())
		return 77;
	log_setup(LOG_LEVEL_ERROR, false);
	sr = srunner_create(s);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, own);
	tcase_add_unchecked_fixture(tc, start_server, stop_server);
	tcase_set_timeout(tc, 40);
	tcase_set_timeout(own, 60);
	tcase_add_test(tc, comes_up_and_answers);
	tcase_add_test(tc, the_session_has_its_fixed_settings);
	tcase_add_test(tc, nobody_there_is_transient_and_retried);
	tcase_add_loop_test(tc, what_the_operator_must_mend_has_its_code_and_is_not_hammered, 0, (int)countof(refusals));
	tcase_add_test(tc, a_malformed_connection_string_is_not_quoted);
	tcase_add_test(tc, the_password_file_is_read_for_every_try);
	tcase_add_test(tc, a_name_that_does_not_resolve_is_transient);
	tcase_add_test(tc, of_several_hosts_the_one_that_answers_is_taken);
	tcase_add_test(tc, a_name_leads_to_its_address);
	tcase_add_test(tc, a_black_hole_is_given_up_and_blocks_nobody);
	tcase_add_test(tc, calls_while_down_are_answered_later_with_the_reason);
	tcase_add_test(tc, each_call_is_answered_once_in_order_over_the_pool);
	tcase_add_test(tc, an_error_of_a_statement_leaves_the_connection_alone);
	tcase_add_test(tc, several_statements_without_parameters_are_one_transaction);
	tcase_add_test(tc, large_parameters_and_results_pass_both_ways);
	tcase_add_test(tc, a_backend_that_is_ended_takes_us_down_and_up_again);
	tcase_add_test(tc, an_idle_connection_notices_the_end_at_once);
	tcase_add_test(tc, a_connection_that_falls_silent_is_given_up);
	tcase_add_test(tc, pause_closes_and_resume_opens);
	tcase_add_test(tc, free_answers_what_is_open_and_may_come_from_an_answer);
	tcase_add_test(tc, free_may_come_from_an_event);
	tcase_add_test(tc, free_at_any_moment_of_connecting_leaves_nothing);
	tcase_add_test(tc, notifications_wake_us);
	tcase_add_test(tc, the_clock_offset_is_measured);
	tcase_add_test(tc, a_clock_offset_within_its_own_error_counts_as_none);
	tcase_add_test(own, the_server_may_stop_and_start_again);
	tcase_add_test(own, a_standby_is_refused);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
