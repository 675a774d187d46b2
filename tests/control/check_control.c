/* check_control.c - the sockets, the pages and the commands of control/ over a fake sync. */
#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "config.h"
#include "control/control.h"
#include "control/http.h"
#include "control/listen.h"
#include "control/pages.h"
#include "control/room.h"
#include "fake_sync.h"
#include "loop/loop.h"
#include "served.h"

static struct served s;

static void setup(void)
{
	memset(&s, 0, sizeof s);
	fake_sync_share();
}

static void teardown(void)
{
	if (s.pid != 0)
		served_stop(&s);
}

/* ---- parsing ------------------------------------------------------------------------------------------------------ */

static int parse(const char *text, struct http_head *head)
{
	static char copy[HTTP_HEAD_MAX];
	size_t len = strlen(text);
	const char *why;

	ck_assert_uint_eq(http_head_end(text, len), len);
	memcpy(copy, text, len);
	return http_head_parse(copy, len, head, &why);
}

START_TEST(a_head_is_read)
{
	struct http_head h;

	ck_assert_int_eq(parse("POST /v1/wait?a=b HTTP/1.1\r\nHost: x\r\ncontent-length:  12 \r\nExpect: 100-continue\r\n\r\n", &h), 0);
	ck_assert_int_eq(h.method, HTTP_POST);
	ck_assert_str_eq(h.path, "/v1/wait");
	ck_assert_str_eq(h.query, "a=b");
	ck_assert_uint_eq(h.body_len, 12);
	ck_assert(h.http11 && h.keep_alive && h.expect_continue);
	ck_assert_int_eq(parse("GET / HTTP/1.0\n\n", &h), 0);
	ck_assert(!h.http11 && !h.keep_alive);
	ck_assert_str_eq(h.query, "");
	ck_assert_int_eq(parse("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", &h), 0);
	ck_assert(!h.keep_alive);
}
END_TEST

START_TEST(an_accept_weighs_the_type_that_it_names)
{
	static const char prometheus[] = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
					 "text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
	struct http_head h;

	ck_assert_int_eq(http_accept_weight(prometheus, "application/openmetrics-text"), 1000);
	ck_assert_int_eq(http_accept_weight(prometheus, "text/plain"), 500);
	ck_assert_int_eq(http_accept_weight(prometheus, "text/html"), 0);
	ck_assert_int_eq(http_accept_weight("TEXT/Plain ; a=b ; Q=0.125, x/y", "text/plain"), 125);
	ck_assert_int_eq(http_accept_weight("x/y;q=0.9,text/plain;q=0", "text/plain"), 0);
	ck_assert_int_eq(http_accept_weight("text/plainly", "text/plain"), 0);
	ck_assert_int_eq(http_accept_weight("text/plain;q=,", "text/plain"), 1000);
	ck_assert_int_eq(http_accept_weight("text/plain;q", "text/plain"), 1000);
	ck_assert_int_eq(http_accept_weight("*/*", "text/plain"), 0);
	ck_assert_int_eq(http_accept_weight(",,", "text/plain"), 0);
	ck_assert_int_eq(http_accept_weight("", "text/plain"), 0);
	ck_assert_int_eq(parse("GET / HTTP/1.1\r\naccept:  x/y \r\nAccept: z\r\n\r\n", &h), 0);
	ck_assert_str_eq(h.accept, "x/y");
	ck_assert_int_eq(parse("GET / HTTP/1.1\r\n\r\n", &h), 0);
	ck_assert_str_eq(h.accept, "");
}
END_TEST

START_TEST(a_malformed_head_is_refused)
{
	static const struct { int status; const char *text; } bad[] = {
		{ 400, "GET\r\n\r\n" }, { 400, "GET /\r\n\r\n" }, { 400, " / HTTP/1.1\r\n\r\n" }, { 400, "\r\n\r\n" },
		{ 400, "GET http://x/ HTTP/1.1\r\n\r\n" }, { 505, "GET / HTTP/2.0\r\n\r\n" }, { 505, "GET / x HTTP/1.1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nno colon\r\n\r\n" }, { 400, "GET / HTTP/1.1\r\nA: b\r\n folded: x\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\n: x\r\n\r\n" }, { 400, "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n" },
		{ 400, "GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n" }, { 400, "GET / HTTP/1.1\r\nContent-Length:\r\n\r\n" },
		{ 400, "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" },
		{ 413, "POST / HTTP/1.1\r\nContent-Length: 65537\r\n\r\n" },
		{ 413, "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n" },
		{ 501, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" },
	};
	struct http_head h;

	for (size_t i = 0; i < countof(bad); i++)
		ck_assert_msg(parse(bad[i].text, &h) == bad[i].status, "%s", bad[i].text);
}
END_TEST

START_TEST(a_head_has_an_end_only_at_an_empty_line)
{
	ck_assert_uint_eq(http_head_end("GET / HTTP/1.1\r\nA: b\r\n", 22), 0);
	ck_assert_uint_eq(http_head_end("GET / HTTP/1.1\r\n\r\nrest", 22), 18);
	ck_assert_uint_eq(http_head_end("GET / HTTP/1.1\n\nrest", 20), 16);
	ck_assert_uint_eq(http_head_end("", 0), 0);
}
END_TEST

/* ---- sockets -------------------------------------------------------------------------------------------------------- */

static mode_t mode_of(const char *path)
{
	struct stat st;

	ck_assert_msg(lstat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return st.st_mode & 07777;
}

START_TEST(sockets_have_their_modes_and_go_with_the_daemon)
{
	served_start(&s);
	ck_assert_int_eq(mode_of(s.control), 0600);
	ck_assert_int_eq(mode_of(s.stats), 0660);
	served_stop(&s);			/* fails when the directory is not empty */
	s.pid = 0;
}
END_TEST

START_TEST(a_stale_socket_of_our_own_is_replaced)
{
	served_start(&s);
	kill(s.pid, SIGKILL);
	ck_assert_int_eq(waitpid(s.pid, NULL, 0), s.pid);
	s.pid = 0;
	{
		struct listen_path where;
		struct err e = { 0 };
		int fd = listen_unix(s.control, 0600, &where, &e);

		ck_assert_msg(fd >= 0, "%s", e.text);
		close(dial(s.control));
		listen_unix_remove(s.control, &where);
		ck_assert_int_ne(access(s.control, F_OK), 0);
		close(fd);
	}
	unlink(s.stats);
	rmdir(s.dir);
}
END_TEST

START_TEST(a_socket_that_answers_is_left_alone)
{
	struct listen_path where;
	struct err e = { 0 };

	served_start(&s);
	ck_assert_int_eq(listen_unix(s.control, 0600, &where, &e), -1);
	ck_assert_int_eq(e.kind, ERR_CONFIG);
	ck_assert_msg(strstr(e.text, "another daemon") != NULL, "%s", e.text);
	close(dial(s.control));
}
END_TEST

static void refused(const char *path, const char *word)
{
	struct listen_path where;
	struct err e = { 0 };
	struct stat before, after;

	ck_assert_int_eq(lstat(path, &before), 0);
	ck_assert_int_eq(listen_unix(path, 0600, &where, &e), -1);
	ck_assert_msg(strstr(e.text, word) != NULL, "%s", e.text);
	ck_assert_int_eq(lstat(path, &after), 0);
	ck_assert_uint_eq(before.st_ino, after.st_ino);
}

START_TEST(foreign_files_at_the_path_are_refused_and_stay)
{
	char dir[] = "/tmp/crmsync-listen-XXXXXX", path[64], target[64], inner[64];
	struct listen_path where;
	struct err e = { 0 };
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/it", dir);
	snprintf(target, sizeof target, "%s/target", dir);
	snprintf(inner, sizeof inner, "%s/new/s", dir);
	fclose(fopen(path, "w"));
	refused(path, "not a socket");
	unlink(path);
	fd = listen_unix(target, 0600, &where, &e);
	close(fd);				/* stale now: but reached through a link */
	ck_assert_int_eq(symlink(target, path), 0);
	refused(path, "not a socket");
	if (geteuid() == 0) {
		ck_assert_int_eq(lchown(target, 65534, 65534), 0);
		refused(target, "another user");
	}
	unlink(path);
	unlink(target);
	fd = listen_unix(inner, 0600, &where, &e);
	ck_assert_msg(fd >= 0, "the last directory is made: %s", e.text);
	snprintf(target, sizeof target, "%s/new", dir);
	ck_assert_int_eq(mode_of(target), 0700);
	listen_unix_remove(inner, &where);
	close(fd);
	rmdir(target);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(a_file_that_took_the_sockets_place_is_not_removed)
{
	char dir[] = "/tmp/crmsync-listen-XXXXXX", path[64];
	struct listen_path where, other;
	int fd, fd2;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/s", dir);
	fd = listen_unix(path, 0600, &where, NULL);
	ck_assert_int_ge(fd, 0);
	unlink(path);
	fd2 = listen_unix(path, 0600, &other, NULL);
	ck_assert_int_ge(fd2, 0);
	if (where.ino != other.ino) {		/* a file system may give the number again at once */
		listen_unix_remove(path, &where);
		ck_assert_int_eq(access(path, F_OK), 0);
	}
	listen_unix_remove(path, &other);
	ck_assert_int_ne(access(path, F_OK), 0);
	close(fd);
	close(fd2);
	rmdir(dir);
}
END_TEST

START_TEST(too_long_a_path_and_a_missing_directory_are_said)
{
	struct listen_path where;
	struct err e = { 0 };
	char path[200];

	memset(path, 'a', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	ck_assert_int_eq(listen_unix(path, 0600, &where, &e), -1);
	ck_assert_str_eq(e.code, "ENAMETOOLONG");
	ck_assert_int_eq(listen_unix("/nonexistent/deeper/s", 0600, &where, &e), -1);
	ck_assert_str_eq(e.code, "ENOENT");
}
END_TEST

START_TEST(tcp_addresses_are_numeric)
{
	static const char *const bad[] = { "9899", "localhost", "example.org:9899", "::1:9899", "127.0.0.1:", ":80", "127.0.0.1:http" };
	struct err e;
	int fd;

	for (size_t i = 0; i < countof(bad); i++)
		ck_assert_msg(listen_tcp(bad[i], &e) == -1, "%s", bad[i]);
	fd = listen_tcp("localhost:0", &e);
	ck_assert_msg(fd >= 0, "%s", e.text);
	close(fd);
}
END_TEST

START_TEST(strangers_are_turned_away_at_the_control_socket)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		return;				/* only root can be somebody else */
	served_start(&s);
	ck_assert_int_eq(chmod(s.dir, 0755), 0);
	ck_assert_int_eq(chmod(s.control, 0666), 0);	/* as if the file modes had failed us */
	ck_assert_int_eq(chmod(s.stats, 0666), 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct answer a;

		if (setresuid(65534, 65534, 65534) != 0)
			_exit(9);
		a = ask(s.control, "POST", "/v1/status", "");
		if (a.status != 403 || strstr(a.body, "\"exit\": 77") == NULL)
			_exit(1);
		a = ask(s.stats, "GET", "/healthz", "");
		_exit(a.status == 200 ? 0 : 2);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the stranger ended with %x", (unsigned)status);
}
END_TEST

/* ---- HTTP -------------------------------------------------------------------------------------------------------------- */

static void expect(const char *path, const char *method, const char *target, int status, const char *word)
{
	struct answer a = ask(path, method, target, "");

	ck_assert_msg(a.status == status, "%s %s: %d, not %d", method, target, a.status, status);
	ck_assert_msg(strstr(a.all, word) != NULL, "%s %s: no '%s' in %s", method, target, word, a.all);
	answer_fini(&a);
}

START_TEST(stats_are_read_only)
{
	served_start(&s);
	expect(s.stats, "GET", "/healthz", 200, "ok\n");
	expect(s.stats, "GET", "/healthz?x=1", 200, "Content-Type: text/plain; charset=utf-8\r\n");
	expect(s.stats, "HEAD", "/healthz", 200, "Content-Length: 3\r\n");
	expect(s.stats, "POST", "/status", 405, "Allow: GET, HEAD\r\n");
	expect(s.stats, "DELETE", "/metrics", 405, "read only");
	expect(s.stats, "POST", "/v1/reload", 405, "read only");
	expect(s.stats, "GET", "/v1/reload", 404, "/metrics");
	expect(s.stats, "GET", "/nothing", 404, "/readyz");
	ck_assert_int_eq(fake->reloads, 0);
	expect(s.control, "GET", "/v1/reload", 405, "Allow: POST\r\n");
	expect(s.control, "GET", "/healthz", 200, "ok\n");
	expect(s.control, "GET", "/v1", 200, "parked/retry");
	expect(s.control, "GET", "/nothing", 404, "/v1/NAME");
}
END_TEST

START_TEST(head_is_answered_without_a_body)
{
	struct answer a;

	served_start(&s);
	a = ask(s.stats, "HEAD", "/metrics", "");
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.body, "");
	answer_fini(&a);
}
END_TEST

START_TEST(requests_in_a_row_on_one_connection)
{
	char *heard;
	int fd;

	served_start(&s);
	fd = dial(s.stats);
	say(fd, "GET /healthz HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\nGET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
	heard = hear(fd, 5000);
	ck_assert_ptr_nonnull(heard);
	ck_assert_ptr_nonnull(strstr(heard, "404 Not Found"));
	ck_assert_ptr_nonnull(strstr(strstr(heard, "404 Not Found"), "ok\n"));
	free(heard);
	close(fd);
}
END_TEST

START_TEST(a_body_belongs_to_its_request)
{
	char *heard, *second;
	int fd;

	served_start(&s);
	fd = dial(s.control);
	say(fd, "POST /v1/pause HTTP/1.1\r\nContent-Length: 19\r\n\r\n{\"name\": \"support\"}"
	    "POST /v1/resume HTTP/1.1\r\nConnection: close\r\nContent-Length: 17\r\n\r\n{\"name\": \"sales\"}");
	heard = hear(fd, 5000);
	ck_assert_ptr_nonnull(heard);
	second = strstr(heard + 1, "HTTP/1.1 200 OK");
	ck_assert_msg(second != NULL, "two answers: %s", heard);
	ck_assert_str_eq(fake->resumed, "sales");
	free(heard);
	close(fd);
}
END_TEST

START_TEST(a_request_may_come_in_pieces)
{
	static const char *const pieces[] = { "GE", "T /heal", "thz HTTP/1.1\r\nConnec", "tion: close\r\n\r", "\n" };
	struct answer a;
	int fd;

	served_start(&s);
	fd = dial(s.stats);
	for (size_t i = 0; i < countof(pieces); i++) {
		say(fd, pieces[i]);
		expect(s.stats, "GET", "/healthz", 200, "ok");	/* the loop turned in between */
	}
	a = answer_read(fd);
	ck_assert_int_eq(a.status, 200);
	answer_fini(&a);
}
END_TEST

START_TEST(a_client_that_says_expect_is_told_to_go_on)
{
	char *heard;
	int fd;

	served_start(&s);
	fd = dial(s.control);
	say(fd, "POST /v1/kick HTTP/1.1\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
	{
		char line[26] = "";

		ck_assert_int_eq(recv(fd, line, 25, MSG_WAITALL), 25);
		ck_assert_str_eq(line, "HTTP/1.1 100 Continue\r\n\r\n");
	}
	say(fd, "{}");
	heard = hear(fd, 5000);
	ck_assert_ptr_nonnull(strstr(heard, "200 OK"));
	free(heard);
	close(fd);
}
END_TEST

START_TEST(too_much_is_refused)
{
	char *big = xmalloc(70000);
	struct answer a;
	int fd;

	served_start(&s);
	memset(big, 'x', 69999);
	big[69999] = '\0';
	a = ask(s.control, "POST", "/v1/kick", big);
	ck_assert_int_eq(a.status, 413);
	answer_fini(&a);
	fd = dial(s.stats);
	big[HTTP_HEAD_MAX + 1] = '\0';
	say(fd, big);
	a = answer_read(fd);
	ck_assert_int_eq(a.status, 431);
	answer_fini(&a);
	fd = dial(s.stats);
	say(fd, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 70; i++)
		say(fd, "A: b\r\n");
	say(fd, "\r\n");
	a = answer_read(fd);
	ck_assert_int_eq(a.status, 431);
	answer_fini(&a);
	free(big);
}
END_TEST

START_TEST(whoever_keeps_us_waiting_is_cut_off)
{
	char *heard;
	int fd;

	s.idle_ms = 200;
	served_start(&s);
	fd = dial(s.stats);
	say(fd, "GET /healthz HTTP/1.1\r\n");
	heard = hear(fd, 5000);
	ck_assert_msg(heard != NULL, "the connection was closed");
	ck_assert_str_eq(heard, "");
	free(heard);
	close(fd);
}
END_TEST

START_TEST(connections_have_a_cap_which_leaves_the_other_socket_alone)
{
	int fds[HTTP_CONNECTIONS_MAX];
	struct answer a;
	int fd;

	served_start(&s);
	for (size_t i = 0; i < countof(fds); i++)
		fds[i] = dial(s.stats);
	a = answer_read(dial(s.stats));
	ck_assert_int_eq(a.status, 503);
	ck_assert_ptr_nonnull(strstr(a.body, "\"exit\": 75"));
	answer_fini(&a);
	expect(s.control, "GET", "/healthz", 200, "ok");
	close(fds[0]);
	for (int tries = 0; ; tries++) {	/* as soon as the daemon saw it go */
		fd = dial(s.stats);
		say(fd, "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n");
		a = answer_read(fd);
		if (a.status == 200)
			break;
		ck_assert_int_lt(tries, 1000);
		answer_fini(&a);
	}
	answer_fini(&a);
	for (size_t i = 1; i < countof(fds); i++)
		close(fds[i]);
}
END_TEST

START_TEST(the_same_over_tcp)
{
	s.listen_tcp = true;
	served_start(&s);
	expect(s.listen, "GET", "/healthz", 200, "ok");
	expect(s.listen, "POST", "/v1/reload", 405, "read only");
}
END_TEST

/* ---- pages ---------------------------------------------------------------------------------------------------------------- */

/* CONTRACT, section 4. */
static const char *const contract_metrics[] = {
	"endpoint_up", "endpoint_availability_ratio", "endpoint_up_seconds_total", "endpoint_down_seconds_total",
	"endpoint_unknown_seconds_total", "endpoint_clock_offset_seconds", "link_consistency_ratio", "link_lag_seconds",
	"link_consistent_seconds_total", "link_inconsistent_seconds_total", "link_unknown_seconds_total",
	"changes_captured_total", "changes_applied_total", "echoes_total", "apply_failures_total", "conflicts_total",
	"parked_records", "pending_records", "tracked_records", "cleaned_values_total", "rejected_records_total",
	"data_volume_bytes_total", "data_rate_bytes_per_second", "throughput_bytes_per_second", "propagation_delay_seconds",
	"verify_records_checked_total", "verify_records_different_total", "verify_last_timestamp_seconds",
	"redis_up", "event_loop_lag_seconds", "build_info", "config_last_reload_successful",
};

static void has_line(const char *text, const char *line);

/* The stand-in's clocks: three seconds unknown, then six, then three; support down in the last ones, contact not in step in the six. */
static void says_ratios(const char *text)
{
	has_line(text, "crmsyncd_endpoint_availability_coverage_ratio{endpoint=\"support\"} 0.75");
	has_line(text, "crmsyncd_endpoint_availability_window_ratio{endpoint=\"sales\",window=\"24h\"} 1");
	has_line(text, "crmsyncd_endpoint_availability_window_coverage_ratio{endpoint=\"sales\",window=\"30d\"} 0.75");
	has_line(text, "crmsyncd_endpoint_down_seconds_total{endpoint=\"support\"} 3");
	has_line(text, "crmsyncd_endpoint_unknown_seconds_total{endpoint=\"support\"} 3");
	has_line(text, "crmsyncd_link_consistency_window_ratio{entity=\"account\",endpoint=\"sales\",window=\"1h\"} NaN");
	has_line(text, "crmsyncd_link_consistency_5s_ratio{entity=\"contact\",endpoint=\"sales\"} 1");
	has_line(text, "crmsyncd_link_inconsistent_seconds_total{entity=\"contact\",endpoint=\"billing\"} 6");
	has_line(text, "crmsyncd_link_late_seconds_total{entity=\"contact\",endpoint=\"billing\"} 0");
	has_line(text, "crmsyncd_service_up_seconds_total 6");
	has_line(text, "crmsyncd_service_down_seconds_total 3");
	has_line(text, "crmsyncd_service_availability_window_coverage_ratio{window=\"1h\"} 0.75");
}

static void has_line(const char *text, const char *line)
{
	char *wanted = xasprintf("\n%s\n", line);

	ck_assert_msg(strstr(text, wanted) != NULL, "no line '%s' in\n%.2000s", line, text);
	free(wanted);
}

START_TEST(every_metric_of_the_contract_is_there_from_the_start)
{
	struct answer a;

	served_start(&s);
	a = ask(s.stats, "GET", "/metrics", "");
	ck_assert_int_eq(a.status, 200);
	ck_assert_ptr_nonnull(strstr(a.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	for (size_t i = 0; i < countof(contract_metrics); i++) {
		char *type = xasprintf("\n# TYPE crmsyncd_%s ", contract_metrics[i]);
		char *sample = xasprintf("\ncrmsyncd_%s%s", contract_metrics[i],
					 strcmp(contract_metrics[i], "propagation_delay_seconds") == 0 ? "_bucket" : "");

		ck_assert_msg(strstr(a.body, type) != NULL || strncmp(a.body, type + 1, strlen(type + 1)) == 0, "%s", type);
		ck_assert_msg(strstr(a.body, sample) != NULL, "no sample of %s", contract_metrics[i]);
		free(type);
		free(sample);
	}
	has_line(a.body, "crmsyncd_endpoint_up{endpoint=\"billing\"} 1");
	has_line(a.body, "crmsyncd_data_volume_bytes_total{endpoint=\"support\",direction=\"read\"} 2000");
	has_line(a.body, "crmsyncd_changes_applied_total{entity=\"contact\",endpoint=\"support\"} 101");
	has_line(a.body, "crmsyncd_conflicts_total{entity=\"contact\",rule=\"last-writer-wins\"} 5");
	has_line(a.body, "crmsyncd_conflicts_total{entity=\"account\",rule=\"manual\"} 0");
	has_line(a.body, "crmsyncd_books_captured_total{entity=\"contact\"} 45");
	has_line(a.body, "crmsyncd_books_settled_total{entity=\"contact\",outcome=\"merged\"} 6");
	has_line(a.body, "crmsyncd_books_open_changes{entity=\"contact\",state=\"parked\"} 5");
	has_line(a.body, "crmsyncd_books_balanced{entity=\"contact\"} 1");
	has_line(a.body, "crmsyncd_operations_applied_total{entity=\"contact\",endpoint=\"sales\",operation=\"update\"} 7");
	has_line(a.body, "crmsyncd_tracked_records{entity=\"contact\"} 4000");
	has_line(a.body, "crmsyncd_propagation_delay_seconds_bucket{entity=\"contact\",le=\"+Inf\"} 2");
	has_line(a.body, "crmsyncd_propagation_delay_seconds_count{entity=\"contact\"} 2");
	has_line(a.body, "crmsyncd_endpoint_clock_offset_seconds{endpoint=\"sales\"} 0.25");
	has_line(a.body, "crmsyncd_link_consistency_ratio{entity=\"account\",endpoint=\"sales\"} NaN");
	has_line(a.body, "process_threads 1");
	says_ratios(a.body);
	ck_assert_msg(strstr(a.body, "entity=\"account\",endpoint=\"billing\"") == NULL, "account does not live on billing");
	answer_fini(&a);
}
END_TEST

/* The metric a sample belongs to, by its name up to the suffix of a histogram. */
static bool belongs(const char *sample, const char *metric)
{
	size_t n = strlen(metric);

	if (strncmp(sample, metric, n) != 0)
		return false;
	sample += n;
	return *sample == ' ' || *sample == '{' || strncmp(sample, "_bucket{", 8) == 0 || strncmp(sample, "_sum", 4) == 0 ||
	       strncmp(sample, "_count", 6) == 0;
}

START_TEST(every_sample_stands_under_its_help_and_type)
{
	char name[100] = "", help[100] = "";
	struct answer a;
	int samples = 0;

	served_start(&s);
	a = ask(s.stats, "GET", "/metrics", "");
	for (char *line = strtok(a.body, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		if (sscanf(line, "# HELP %99s", help) == 1) {
			ck_assert_msg(line[strlen(line) - 1] == '.', "a sentence of help: %s", line);
			continue;
		}
		if (sscanf(line, "# TYPE %99s", name) == 1) {
			ck_assert_str_eq(name, help);
			continue;
		}
		ck_assert_msg(belongs(line, name), "'%s' stands under %s", line, name);
		samples++;
	}
	ck_assert_int_gt(samples, 150);
	answer_fini(&a);
}
END_TEST

static struct answer ask_accepting(const char *accept)
{
	char *text = xasprintf("GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: %s\r\nConnection: close\r\n\r\n", accept);
	int fd = dial(s.stats);
	struct answer a;

	say(fd, text);
	a = answer_read(fd);
	close(fd);
	free(text);
	return a;
}

/* What stands between "# TYPE " and the family's type, or NULL. */
static const char *type_in_openmetrics(const char *body, const char *family)
{
	char *line = xasprintf("# TYPE %s ", family);
	const char *at = strstr(body, line);

	at = at != NULL ? at + strlen(line) : NULL;
	free(line);
	return at;
}

START_TEST(openmetrics_is_for_whoever_wants_it_most)
{
	static const char type[] = "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n";
	static const struct { const char *family, *type; } families[] = {
		{ "crmsyncd_rounds", "counter\n" }, { "crmsyncd_endpoint_up", "gauge\n" }, { "crmsyncd_build", "info\n" },
		{ "crmsyncd_propagation_delay_seconds", "histogram\n" }, { "process_cpu_seconds", "counter\n" },
	};
	struct answer a;

	served_start(&s);
	a = ask_accepting("text/plain;q=0.5, application/openmetrics-text;version=1.0.0;q=0.6");
	ck_assert_ptr_nonnull(strstr(a.head, type));
	ck_assert_str_eq(a.body + strlen(a.body) - 7, "\n# EOF\n");
	for (size_t i = 0; i < countof(families); i++) {
		const char *at = type_in_openmetrics(a.body, families[i].family);

		ck_assert_msg(at != NULL && strncmp(at, families[i].type, strlen(families[i].type)) == 0, "%s", families[i].family);
	}
	ck_assert_ptr_null(strstr(a.body, "_total counter"));
	has_line(a.body, "crmsyncd_build_info{version=\"" PACKAGE_VERSION "\"} 1");
	has_line(a.body, "crmsyncd_propagation_delay_seconds_bucket{entity=\"contact\",le=\"1.0\"} 1");
	has_line(a.body, "crmsyncd_changes_applied_total{entity=\"contact\",endpoint=\"support\"} 101");
	answer_fini(&a);
	a = ask_accepting("text/plain, application/openmetrics-text;q=0.6");
	ck_assert_ptr_nonnull(strstr(a.head, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
	ck_assert_ptr_null(strstr(a.body, "# EOF"));
	has_line(a.body, "crmsyncd_propagation_delay_seconds_bucket{entity=\"contact\",le=\"1.0\"} 1");
	answer_fini(&a);
}
END_TEST

START_TEST(label_values_are_escaped)
{
	struct answer a;
	json_t *j;

	s.odd_names = true;
	served_start(&s);
	a = ask(s.stats, "GET", "/metrics", "");
	has_line(a.body, "crmsyncd_endpoint_up{endpoint=\"bil\\\"ling\\\\\"} 1");
	answer_fini(&a);
	a = ask(s.stats, "GET", "/status", "");
	j = json_loads(a.body, 0, NULL);
	ck_assert_ptr_nonnull(j);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(j, "endpoints"), 2), "name")), "bil\"ling\\");
	json_decref(j);
	answer_fini(&a);
}
END_TEST

static void has_members(const json_t *object, const char *const *names)
{
	for (; *names != NULL; names++)
		ck_assert_msg(json_object_get(object, *names) != NULL, "no member %s", *names);
}

static void is_told(const json_t *j, double ratio, double lower, double upper, double coverage)
{
	ck_assert_double_eq_tol(json_number_value(json_object_get(j, "ratio")), ratio, 1e-9);
	ck_assert_double_eq_tol(json_number_value(json_object_get(j, "lower")), lower, 1e-9);
	ck_assert_double_eq_tol(json_number_value(json_object_get(j, "upper")), upper, 1e-9);
	ck_assert_double_eq_tol(json_number_value(json_object_get(j, "coverage")), coverage, 1e-9);
}

START_TEST(status_holds_what_the_contract_says)
{
	static const char *const top[] = { "summary", "schema", "topology", "version", "uptime_seconds", "endpoints", "entities", NULL };
	static const char *const endpoint[] = { "name", "driver", "state", "reason", "availability_ratio", "clock_offset_seconds",
						"last_capture", NULL };
	static const char *const entity[] = { "name", "records", "pending", "parked", "conflicts", "links", NULL };
	static const char *const link[] = { "endpoint", "state", "consistency_ratio", "lag_seconds", "owed", "phase", "promises", NULL };
	static const char *const books[] = { "captured", "applied", "unchanged", "lost", "merged", "pending", "parked", "waiting", "held",
					     "balanced", NULL };
	json_t *j, *contact, *support, *account, *consistency, *down, *verify;
	double seconds;
	struct answer a;

	fake->support_down = true;
	fake->differed[1] = 3;
	fake->surveying = true;
	served_start(&s);
	a = ask(s.stats, "GET", "/status", "");
	ck_assert_int_eq(a.status, 200);
	ck_assert_ptr_nonnull(strstr(a.head, "Content-Type: application/json\r\n"));
	ck_assert_msg(strncmp(a.body, "{\"summary\": ", 12) == 0, "the sentence comes first: %.40s", a.body);
	j = json_loads(a.body, 0, NULL);
	ck_assert_ptr_nonnull(j);
	has_members(j, top);
	support = json_array_get(json_object_get(j, "endpoints"), 1);
	has_members(support, endpoint);
	ck_assert_str_eq(json_string_value(json_object_get(support, "state")), "down");
	ck_assert_str_eq(json_string_value(json_object_get(support, "reason")), "the server is shutting down");
	ck_assert_double_eq_tol(json_number_value(json_object_get(support, "availability_ratio")), 6.0 / 9.0, 0.05);
	is_told(json_object_get(support, "availability"), 6.0 / 9, 6.0 / 12, 9.0 / 12, 9.0 / 12);
	is_told(json_object_get(json_object_get(json_object_get(support, "availability"), "windows"), "1h"), 6.0 / 9, 6.0 / 12, 9.0 / 12, 9.0 / 12);
	is_told(json_object_get(json_object_get(j, "service"), "availability"), 6.0 / 9, 6.0 / 12, 9.0 / 12, 9.0 / 12);
	down = json_object_get(json_object_get(json_object_get(support, "availability"), "minutes"), "down_seconds");
	ck_assert_uint_eq(json_array_size(down), 60);
	seconds = json_number_value(json_array_get(down, 58)) + json_number_value(json_array_get(down, 59));
	ck_assert_double_eq_tol(seconds, 3, 0.1);
	contact = json_array_get(json_object_get(j, "entities"), 1);
	has_members(contact, entity);
	ck_assert_int_eq(json_array_size(json_object_get(contact, "links")), 3);
	has_members(json_array_get(json_object_get(contact, "links"), 1), link);
	consistency = json_object_get(json_array_get(json_object_get(contact, "links"), 1), "consistency");
	is_told(consistency, 3.0 / 9, 3.0 / 12, 6.0 / 12, 9.0 / 12);
	is_told(json_object_get(consistency, "within_5s"), 1, 9.0 / 12, 1, 9.0 / 12);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(contact, "links"), 2), "phase")), "survey");
	has_members(json_object_get(contact, "books"), books);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(contact, "books"), "parked")), 5);
	ck_assert(json_is_true(json_object_get(json_object_get(contact, "books"), "balanced")));
	verify = json_object_get(contact, "verify");
	ck_assert_ptr_nonnull(json_string_value(json_object_get(verify, "last")));
	ck_assert_int_eq(json_integer_value(json_object_get(verify, "compared")), 2000);
	ck_assert_int_eq(json_integer_value(json_object_get(verify, "different")), 3);
	account = json_array_get(json_object_get(j, "entities"), 0);
	ck_assert_msg(json_is_null(json_object_get(json_object_get(account, "verify"), "last")), "account was never verified");
	ck_assert_int_eq(json_array_size(json_object_get(account, "links")), 2);
	ck_assert_msg(json_is_null(json_object_get(json_array_get(json_object_get(account, "links"), 1), "lag_seconds")),
		      "what is not known is null");
	json_decref(j);
	answer_fini(&a);
}
END_TEST

/* ---- the status page ------------------------------------------------------------------------------------------------ */

/* What style and script are let in by; it is another one each time. */
static char *nonce_of(const struct answer *a)
{
	const char *policy = strstr(a->head, "\r\nContent-Security-Policy: default-src 'none'; style-src 'nonce-");
	char *nonce, *own;

	ck_assert_msg(policy != NULL, "no policy: %s", a->head);
	nonce = xstrndup(strstr(policy, "nonce-") + strlen("nonce-"), 32);
	own = xasprintf("<script nonce=\"%s\">", nonce);
	ck_assert_ptr_nonnull(strstr(a->body, own));
	free(own);
	return nonce;
}

START_TEST(the_status_page_is_for_a_browser)
{
	struct answer a, b;
	char *first, *second;

	s.listen_tcp = s.odd_names = true;
	fake->support_down = true;
	fake->parked = 3;
	served_start(&s);
	a = ask(s.listen, "GET", "/", "");
	b = ask(s.listen, "GET", "/?again", "");
	ck_assert_int_eq(a.status, 200);
	ck_assert_ptr_nonnull(strstr(a.head, "Content-Type: text/html; charset=utf-8\r\n"));
	ck_assert_ptr_nonnull(strstr(a.head, "Cache-Control: no-store\r\n"));
	ck_assert_ptr_null(strcasestr(a.head, "set-cookie"));
	ck_assert_ptr_nonnull(strstr(a.body, "<h1>2 of 3 endpoints up; contact is 14 s behind on support; 3 records parked</h1>"));
	ck_assert_ptr_nonnull(strstr(a.body, "bil&quot;ling\\"));
	ck_assert_ptr_null(strstr(a.body, "bil\"ling"));
	first = nonce_of(&a);
	second = nonce_of(&b);
	ck_assert_str_ne(first, second);
	free(first);
	free(second);
	answer_fini(&a);
	answer_fini(&b);
	a = ask(s.listen, "HEAD", "/", "");
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.body, "");
	answer_fini(&a);
}
END_TEST

/* A verify of contact, and the survey of contact at billing, which began later. */
START_TEST(long_work_is_told_with_who_asked_how_far_it_is_and_how_much_longer_the_longest_first)
{
	static const char *const members[] = { "kind", "entity", "endpoint", "asked_by", "since", "seconds", "phase", "done", "expected", "unit",
					       "per_second", "share", "seconds_left", "throttle", NULL };
	json_t *j, *jobs, *verify, *survey;
	struct answer a;

	fake->verifying = fake->surveying = true;
	served_start(&s);
	a = ask(s.stats, "GET", "/status", "");
	j = json_loads(a.body, 0, NULL);
	jobs = json_object_get(j, "jobs");
	ck_assert_uint_eq(json_array_size(jobs), 2);
	verify = json_array_get(jobs, 0);
	survey = json_array_get(jobs, 1);
	has_members(verify, members);
	ck_assert_str_eq(json_string_value(json_object_get(verify, "kind")), "verify");
	ck_assert_str_eq(json_string_value(json_object_get(verify, "asked_by")), "schedule");
	ck_assert_double_eq_tol(json_number_value(json_object_get(verify, "seconds")), 10, 0.5);
	ck_assert_double_eq_tol(json_number_value(json_object_get(verify, "share")), 0.6, 1e-9);
	ck_assert_double_eq_tol(json_number_value(json_object_get(verify, "per_second")), 60, 3);
	ck_assert_double_eq_tol(json_number_value(json_object_get(verify, "seconds_left")), 6.7, 0.4);
	ck_assert_str_eq(json_string_value(json_object_get(survey, "kind")), "survey");
	ck_assert_str_eq(json_string_value(json_object_get(survey, "endpoint")), "billing");
	ck_assert_str_eq(json_string_value(json_object_get(survey, "asked_by")), "daemon");
	json_decref(j);
	answer_fini(&a);
	a = ask(s.stats, "GET", "/", "");
	ck_assert_ptr_nonnull(strstr(a.body, "reads the rows at sales: 60 %, "));
	ck_assert_ptr_nonnull(strstr(a.body, "reads the rows at billing: 43 %, 5.7 s left, 100 rows/s"));
	answer_fini(&a);
}
END_TEST

START_TEST(nothing_is_said_of_jobs_while_there_are_none)
{
	struct answer a;

	served_start(&s);
	a = ask(s.stats, "GET", "/status", "");
	ck_assert_ptr_nonnull(strstr(a.body, "\"jobs\": []"));
	answer_fini(&a);
	a = ask(s.stats, "GET", "/", "");
	ck_assert_ptr_null(strstr(a.body, "<h2 id=\"jobs\">"));
	answer_fini(&a);
}
END_TEST

START_TEST(the_status_page_says_how_far_a_survey_is_and_how_fast)
{
	struct answer a;

	fake->surveying = true;
	served_start(&s);
	a = ask(s.stats, "GET", "/", "");
	ck_assert_ptr_nonnull(strstr(a.body, "<small>survey 43 %, 5.7 s left, 100 rows/s</small>"));
	answer_fini(&a);
}
END_TEST

static char *summary(void)
{
	struct answer a = ask(s.stats, "GET", "/status", "");
	json_t *j = json_loads(a.body, 0, NULL);
	char *text = xstrdup(json_string_value(json_object_get(j, "summary")));

	json_decref(j);
	answer_fini(&a);
	return text;
}

#define SUMMARY(wanted) do { char *got = summary(); ck_assert_str_eq(got, wanted); free(got); } while (0)

START_TEST(the_sentence_says_what_matters)
{
	served_start(&s);
	SUMMARY("3 of 3 endpoints up; everything is in step");
	fake->pending = 1;
	SUMMARY("3 of 3 endpoints up; 1 record under way");
	fake->pending = 0;
	fake->support_down = true;
	fake->parked = 3;
	SUMMARY("2 of 3 endpoints up; contact is 14 s behind on support; 3 records parked");
	fake->owes_nothing = true;
	SUMMARY("2 of 3 endpoints up; support is down; 3 records parked");
	fake->support_down = false;
	fake->parked = 0;
	fake->surveying = true;
	SUMMARY("3 of 3 endpoints up; surveying contact on billing (43 %)");
	fake->surveying = false;
	fake->differed[1] = 3;
	fake->parked = 1;
	SUMMARY("3 of 3 endpoints up; contact: verify found 3 records that differ (crmsyncctl repair contact); 1 record parked");
	fake->parked = 0;
	fake->differed[0] = 4;
	SUMMARY("3 of 3 endpoints up; account: verify found 4 records that differ (crmsyncctl repair account), and some of 1 more entity");
	fake->differed[0] = 0;
	fake->differed[1] = 1;
	SUMMARY("3 of 3 endpoints up; contact: verify found 1 record that differs (crmsyncctl repair contact)");
	fake->differed[1] = 0;
	fake->unbalanced = true;
	SUMMARY("3 of 3 endpoints up; the books of contact do not balance");
	fake->all_unbalanced = true;
	SUMMARY("3 of 3 endpoints up; the books of account and 1 more entity do not balance");
	fake->unbalanced = fake->all_unbalanced = false;
	fake->redis_down = true;
	SUMMARY("Redis is away, so nothing is applied (Connection refused); 3 of 3 endpoints up");
}
END_TEST

START_TEST(readyz_gives_its_reasons)
{
	struct answer a;

	served_start(&s);
	expect(s.stats, "GET", "/readyz", 200, "ready");
	fake->support_down = fake->redis_down = fake->reconciling = true;
	a = ask(s.stats, "GET", "/readyz", "");
	ck_assert_int_eq(a.status, 503);
	ck_assert_str_eq(a.body, "redis: Connection refused\nendpoint support: down: the server is shutting down\n"
			 "reconcile: the first one is not done yet\n");
	answer_fini(&a);
	fake->redis_down = fake->reconciling = false;
	strcpy(fake->paused, "support");
	expect(s.stats, "GET", "/readyz", 200, "ready");
}
END_TEST

START_TEST(without_a_sync_the_pages_answer_503)
{
	json_t *j;

	s.without_sync = true;
	served_start(&s);
	expect(s.stats, "GET", "/", 503, "<h1>the daemon is starting or stopping</h1>");
	expect(s.stats, "GET", "/metrics", 503, "starting");
	expect(s.stats, "GET", "/status", 503, "starting");
	expect(s.stats, "GET", "/readyz", 503, "starting");
	expect(s.stats, "GET", "/healthz", 200, "ok");
	j = order(&s, "wait", "", 503);
	ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(j, "error"), "exit")), 69);
	json_decref(j);
}
END_TEST

/* ---- commands ---------------------------------------------------------------------------------------------------------------- */

static void error_is(json_t *j, int code_exit, const char *word)
{
	const json_t *error = json_object_get(j, "error");
	const char *text = json_string_value(json_object_get(error, "text"));

	ck_assert_msg(text != NULL, "no error text");
	ck_assert_msg(strstr(text, word) != NULL, "no '%s' in: %s", word, text);
	ck_assert_int_eq(json_integer_value(json_object_get(error, "exit")), code_exit);
	json_decref(j);
}

static bool flag_of(json_t *j, const char *name)
{
	bool on = json_is_true(json_object_get(j, name));

	json_decref(j);
	return on;
}

START_TEST(what_waits_is_listed_and_decided)
{
	json_t *j;

	s.waiting = 1;
	served_start(&s);
	j = order(&s, "conflicts", "{\"waiting\": true, \"entity\": \"contact\"}", 200);
	ck_assert_str_eq(json_string_value(json_object_get(j, "key")), "ann@example.org");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(j, "values"), "support")), "+3");
	ck_assert_uint_eq(json_array_size(json_object_get(j, "between")), 2);
	ck_assert(json_is_null(json_object_get(j, "winner")) && json_is_false(json_object_get(j, "decided")));
	json_decref(j);
	ck_assert(flag_of(order(&s, "decide", "{\"entity\": \"contact\", \"key\": \"ann@example.org\", \"field\": \"phone\","
				" \"endpoint\": \"support\"}", 200), "decided"));
	ck_assert_str_eq(fake->decided, "contact/ann@example.org/phone: support -");
	ck_assert(flag_of(order(&s, "decide", "{\"entity\": \"contact\", \"key\": \"ann@example.org\", \"field\": \"phone\","
				" \"value\": \"+4\"}", 200), "decided"));
	ck_assert_str_eq(fake->decided, "contact/ann@example.org/phone: - +4");
}
END_TEST

START_TEST(a_verdict_says_one_thing_about_what_waits)
{
	served_start(&s);
	error_is(order(&s, "decide", "{\"entity\": \"contact\", \"key\": \"k\", \"field\": \"phone\"}", 400), 64, "one of endpoint");
	error_is(order(&s, "decide", "{\"entity\": \"contact\", \"key\": \"k\", \"field\": \"phone\", \"null\": true,"
		       " \"value\": \"x\"}", 400), 64, "one of endpoint");
	error_is(order(&s, "decide", "{\"entity\": \"contact\", \"key\": \"k\", \"field\": \"phone\", \"endpoint\": \"suport\"}", 400),
		 64, "did you mean 'support'");
	error_is(order(&s, "decide", "{\"entity\": \"contact\", \"key\": \"k\", \"field\": \"phone\", \"null\": true}", 400),
		 64, "nothing waits");
	error_is(order(&s, "decide", "{\"entity\": \"contact\"}", 400), 64, "key is missing");
}
END_TEST

START_TEST(wait_answers_when_settled)
{
	json_t *j;

	fake->settle_ms = 20;
	fake->parked = 3;
	served_start(&s);
	j = order(&s, "wait", "{\"timeout\": \"5s\"}", 200);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "parked")), 3);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "held")), 2);
	ck_assert(flag_of(j, "settled"));
}
END_TEST

START_TEST(wait_says_what_is_pending_when_time_is_up)
{
	json_t *j;

	fake->settle_ms = -1;
	served_start(&s);
	j = order(&s, "wait", "{\"timeout\": \"50ms\"}", 504);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(j, "pending"), 1)), "support is down");
	error_is(j, 75, "not settled");
	error_is(order(&s, "wait", "{\"timeout\": \"soon\"}", 400), 64, "duration");
}
END_TEST

static int begin_wait(void)
{
	int fd = dial(s.control);

	say(fd, "POST /v1/wait HTTP/1.1\r\nConnection: close\r\nContent-Length: 18\r\n\r\n{\"timeout\": \"60s\"}");
	await(&fake->waits, 1);
	return fd;
}

START_TEST(a_wait_ends_when_the_asker_leaves)
{
	fake->settle_ms = -1;
	served_start(&s);
	close(begin_wait());
	await(&fake->cancels, 1);
}
END_TEST

START_TEST(a_wait_outlives_a_reload)
{
	struct answer a;
	int fd;

	fake->settle_ms = -1;
	served_start(&s);
	fd = begin_wait();
	fake->settle_ms = 10;
	served_swap(&s);
	a = answer_read(fd);
	ck_assert_int_eq(a.status, 200);
	ck_assert_int_eq(fake->waits, 2);
	ck_assert_int_eq(fake->cancels, 1);
	answer_fini(&a);
}
END_TEST

START_TEST(a_wait_longer_than_the_idle_time_is_not_cut)
{
	s.idle_ms = 50;
	fake->settle_ms = 400;
	served_start(&s);
	ck_assert(flag_of(order(&s, "wait", "", 200), "settled"));
}
END_TEST

static int begin_plan(const char *params)
{
	int fd = dial(s.control);
	char *request = xasprintf("POST /v1/plan HTTP/1.1\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", strlen(params), params);

	say(fd, request);
	free(request);
	return fd;
}

START_TEST(a_plan_is_a_line_a_thing_and_a_sum)
{
	const json_t *support;
	struct answer a;
	char *last;
	json_t *j;

	fake->plan_left = 3;
	served_start(&s);
	a = answer_read(begin_plan("{\"entity\": \"contact\", \"lines\": true}"));
	ck_assert_ptr_nonnull(strstr(a.body, "\"action\": \"update\", \"entity\": \"contact\", \"endpoint\": \"support\", \"key\": \"ann@example.org\""));
	last = strstr(a.body, "{\"schema\": 1, \"complete\"");
	ck_assert_ptr_nonnull(last);
	j = json_loads(last, 0, NULL);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "updates")), 3);
	support = json_array_get(json_object_get(j, "endpoints"), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(support, "updates")), 3);
	ck_assert_int_eq(json_array_size(json_object_get(json_object_get(support, "examples"), "update")), 3);
	json_decref(j);
	answer_fini(&a);
}
END_TEST

START_TEST(a_plan_is_not_cut_while_it_has_nothing_to_say_and_ends_when_its_asker_leaves)
{
	char seen[4096] = "";
	size_t n = 0;
	int fd;

	s.idle_ms = 50;
	fake->plan_left = INT64_MAX;
	served_start(&s);
	fd = begin_plan("{\"entity\": \"contact\"}");
	while (strstr(seen, "\"progress\"") == NULL) {		/* comes after half a second */
		ssize_t got = read(fd, seen + n, sizeof seen - 1 - n);

		ck_assert_int_gt(got, 0);
		n += (size_t)got;
	}
	close(fd);
	await(&fake->plan_cancels, 1);
}
END_TEST

START_TEST(those_who_wait_are_told_when_the_daemon_stops)
{
	struct answer a;
	int fd;

	fake->settle_ms = -1;
	served_start(&s);
	fd = begin_wait();
	served_stop(&s);
	s.pid = 0;
	a = answer_read(fd);
	ck_assert_int_eq(a.status, 503);
	ck_assert_int_eq(fake->cancels, 1);
	answer_fini(&a);
}
END_TEST

START_TEST(install_prints_makes_and_says_why_not)
{
	json_t *j;

	served_start(&s);
	ck_assert(flag_of(order(&s, "install", "{\"endpoint\": \"sales\"}", 200), "installed"));
	ck_assert_int_eq(fake->installs, 1);
	ck_assert(flag_of(order(&s, "uninstall", "{\"endpoint\": \"sales\"}", 200), "uninstalled"));
	ck_assert_int_eq(fake->uninstalls, 1);
	j = order(&s, "install", "{\"endpoint\": \"sales\", \"print\": true}", 200);
	ck_assert_str_eq(json_string_value(json_object_get(j, "sql")), "CREATE SCHEMA crmsync;\nSELECT 'a \\ \"quote\"';\n");
	json_decref(j);
	ck_assert_int_eq(fake->installs, 1);
	error_is(order(&s, "install", "{\"endpoint\": \"slaes\"}", 400), 64, "did you mean 'sales'?");
	fake->refuse_install = true;
	error_is(order(&s, "install", "{\"endpoint\": \"sales\"}", 403), 77, "permission denied");
}
END_TEST

/* The lines of a streamed answer. */
static json_t *lines(const char *command, const char *body)
{
	char *target = xasprintf("/v1/%s", command);
	struct answer a = ask(s.control, "POST", target, body);
	json_t *list = json_array();

	ck_assert_int_eq(a.status, 200);
	ck_assert_ptr_nonnull(strstr(a.head, "Content-Type: application/x-ndjson\r\n"));
	for (char *line = strtok(a.body, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		json_t *j = json_loads(line, 0, NULL);

		ck_assert_msg(j != NULL, "not JSON: %s", line);
		ck_assert_int_eq(json_integer_value(json_object_get(j, "schema")), 1);
		json_array_append_new(list, j);
	}
	free(target);
	answer_fini(&a);
	return list;
}

START_TEST(parked_records_are_listed_once_each_over_many_pages)
{
	json_t *list, *first;

	s.parked = 450;
	served_start(&s);
	list = lines("parked/list", "");
	ck_assert_int_eq(json_array_size(list), 450);
	for (size_t i = 0; i < 450; i++)
		ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, i), "id")), i + 1);
	first = json_array_get(list, 0);
	ck_assert_str_eq(json_string_value(json_object_get(first, "key")), "p1@example.org");
	ck_assert_str_eq(json_string_value(json_object_get(first, "endpoint")), "support");
	ck_assert_str_eq(json_string_value(json_object_get(first, "code")), "23514");
	ck_assert_str_eq(json_string_value(json_object_get(first, "field")), "phone");
	ck_assert_str_eq(json_string_value(json_object_get(first, "direction")), "apply");
	json_decref(list);
	list = lines("parked/list", "{\"endpoint\": \"billing\"}");
	ck_assert_int_eq(json_array_size(list), 150);
	json_decref(list);
	list = lines("parked/list", "{\"key\": \"p400@example.org\"}");
	ck_assert_int_eq(json_array_size(list), 1);
	json_decref(list);
}
END_TEST

START_TEST(http_1_0_gets_a_list_without_chunks)
{
	struct answer a;
	int fd;

	s.parked = 3;
	served_start(&s);
	fd = dial(s.control);
	say(fd, "POST /v1/parked/list HTTP/1.0\r\n\r\n");
	a = answer_read(fd);
	ck_assert_ptr_null(strstr(a.head, "chunked"));
	ck_assert_msg(strncmp(a.body, "{\"schema\": 1, \"id\": 1,", 22) == 0, "%.60s", a.body);
	answer_fini(&a);
}
END_TEST

START_TEST(a_client_that_leaves_in_the_middle_of_a_list_is_forgotten)
{
	char some[100];
	int fd;

	s.parked = 2000;
	served_start(&s);
	fd = dial(s.control);
	say(fd, "POST /v1/parked/list HTTP/1.1\r\n\r\n");
	ck_assert_int_gt(recv(fd, some, sizeof some, 0), 0);
	close(fd);
	expect(s.control, "GET", "/healthz", 200, "ok");	/* what is left over is found by the leak checker */
}
END_TEST

START_TEST(parked_records_are_shown_retried_discarded)
{
	json_t *j;

	s.parked = 4;
	served_start(&s);
	j = order(&s, "parked/show", "{\"id\": 3}", 200);
	ck_assert_str_eq(json_string_value(json_object_get(j, "key")), "p3@example.org");
	json_decref(j);
	error_is(order(&s, "parked/show", "{\"id\": 99}", 400), 64, "99");
	j = order(&s, "parked/retry", "", 200);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "retried")), 4);
	json_decref(j);
	j = order(&s, "parked/retry", "{\"id\": 2}", 200);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "retried")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "resting")), 0);
	json_decref(j);
	error_is(order(&s, "parked/retry", "{\"id\": 99}", 400), 64, "99");
	error_is(order(&s, "parked/retry", "{\"entity\": \"contacts\"}", 400), 64, "did you mean 'contact'?");
	ck_assert(flag_of(order(&s, "parked/discard", "{\"id\": 3}", 200), "discarded"));
	error_is(order(&s, "parked/show", "{\"id\": 3}", 400), 64, "3");
	error_is(order(&s, "parked/discard", "{\"id\": 3}", 400), 64, "");
}
END_TEST

START_TEST(conflicts_are_listed_with_every_side)
{
	json_t *list, *one;

	s.decisions = 30;
	served_start(&s);
	list = lines("conflicts", "");
	ck_assert_int_eq(json_array_size(list), 30);
	one = json_array_get(list, 1);
	ck_assert_str_eq(json_string_value(json_object_get(one, "entity")), "contact");
	ck_assert_str_eq(json_string_value(json_object_get(one, "winner")), "sales");
	ck_assert_str_eq(json_string_value(json_object_get(one, "base")), "+49 0");
	ck_assert_str_eq(json_string_value(json_object_get(one, "base_digest")), "00ff");
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(one, "written"), 0)), "support");
	ck_assert_int_eq(json_array_size(json_object_get(one, "owed")), 0);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(json_object_get(one, "lost"), 0), "endpoint")), "support");
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(one, "values"), "sales")), "+49 1 \"x\"");
	ck_assert(json_is_null(json_object_get(json_object_get(one, "values"), "support")));
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(one, "deleted"), 0)), "support");
	ck_assert(json_is_null(json_object_get(json_array_get(list, 0), "base")));
	json_decref(list);
	list = lines("conflicts", "{\"key\": \"p7@example.org\", \"entity\": \"contact\"}");
	ck_assert_int_eq(json_array_size(list), 1);
	json_decref(list);
	list = lines("conflicts", "{\"since\": \"2026-03-01T12:00:00.000002Z\"}");
	ck_assert_int_eq(json_array_size(list), 11);
	json_decref(list);
	error_is(order(&s, "conflicts", "{\"since\": \"yesterday\"}", 400), 64, "duration");
	list = lines("conflicts", "{\"since\": \"1s\"}");
	ck_assert_int_eq(json_array_size(list), 0);
	json_decref(list);
}
END_TEST

START_TEST(pause_resume_kick_are_passed_on)
{
	served_start(&s);
	ck_assert(flag_of(order(&s, "pause", "{\"name\": \"contact\"}", 200), "paused"));
	ck_assert_str_eq(fake->paused, "contact");
	ck_assert(!flag_of(order(&s, "resume", "{\"name\": \"support\"}", 200), "paused"));
	ck_assert_str_eq(fake->resumed, "support");
	error_is(order(&s, "pause", "{\"name\": \"suport\"}", 400), 64, "did you mean 'support'?");
	json_decref(order(&s, "kick", "", 200));
	json_decref(order(&s, "kick", "{\"sweep\": true}", 200));
	ck_assert_int_eq(fake->kicks, 2);
	ck_assert_int_eq(fake->sweeps, 1);
}
END_TEST

START_TEST(reload_is_all_or_nothing_and_shows)
{
	json_t *j;

	served_start(&s);
	ck_assert(flag_of(order(&s, "reload", "", 200), "reloaded"));
	expect(s.stats, "GET", "/metrics", 200, "\ncrmsyncd_config_last_reload_successful 1\n");
	fake->refuse_reload = true;
	j = order(&s, "reload", "", 422);
	ck_assert_int_eq(json_array_size(json_object_get(j, "problems")), 2);
	error_is(j, 78, "old one stays");
	expect(s.stats, "GET", "/metrics", 200, "\ncrmsyncd_config_last_reload_successful 0\n");
	fake->busy_reload = true;
	error_is(order(&s, "reload", "", 504), 75, "under way");
	fake->busy_reload = fake->refuse_reload = false;
	j = order(&s, "reload", "", 200);
	ck_assert_uint_eq(json_array_size(json_object_get(j, "changes")), 2);
	ck_assert_str_eq(json_string_value(json_array_get(json_object_get(j, "changes"), 1)), "+ stats.listen: localhost:1");
	ck_assert_uint_eq(json_array_size(json_object_get(j, "kept")), 0);
	json_decref(j);
}
END_TEST

START_TEST(reload_is_answered_once_the_new_topology_is_in_force)
{
	struct answer a;
	char *early;
	int fd;

	fake->slow_reload = true;
	served_start(&s);
	fd = dial(s.control);
	say(fd, "POST /v1/reload HTTP/1.1\r\nConnection: close\r\n\r\n");
	await(&fake->reloads, 1);
	early = hear(fd, 0);
	ck_assert_msg(early == NULL, "answered before it was in force: %s", early);
	error_is(order(&s, "reload", "", 504), 75, "under way");
	served_swap(&s);
	a = answer_read(fd);
	ck_assert_int_eq(a.status, 200);
	answer_fini(&a);
	ck_assert_int_eq(fake->reloads, 1);
	fd = dial(s.control);
	say(fd, "POST /v1/reload HTTP/1.1\r\nConnection: close\r\n\r\n");
	await(&fake->reloads, 2);
	served_stop(&s);
	s.pid = 0;
	a = answer_read(fd);
	ck_assert_int_eq(a.status, 503);
	answer_fini(&a);
}
END_TEST

START_TEST(metrics_come_as_json_too)
{
	json_t *list;
	bool found = false;

	served_start(&s);
	list = lines("metrics", "");
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *j = json_array_get(list, i);

		if (strcmp(json_string_value(json_object_get(j, "name")), "crmsyncd_tracked_records") == 0 &&
		    strcmp(json_string_value(json_object_get(json_object_get(j, "labels"), "entity")), "contact") == 0)
			found = json_number_value(json_object_get(j, "value")) == 4000;
	}
	ck_assert(found);
	json_decref(list);
}
END_TEST

START_TEST(what_does_not_fit_is_refused_with_words)
{
	served_start(&s);
	error_is(order(&s, "migrate", "{\"from\": \"sales\"}", 400), 64, "entity is missing");
	error_is(order(&s, "migrate", "{\"entity\": \"contact\", \"from\": \"sales\", \"to\": \"suport\"}", 400), 64, "did you mean 'support'?");
	error_is(order(&s, "migrate", "{\"entity\": \"contact\", \"from\": \"sales\", \"to\": \"support\", \"strategy\": \"fast\"}", 400), 64,
		 "'fast' is not full, incremental or parallel");
	error_is(order(&s, "migrate", "{\"entity\": \"contact\", \"from\": \"sales\", \"to\": \"support\", \"jobs\": 2}", 400), 64,
		 "jobs belongs to the strategy parallel");
	error_is(order(&s, "pasue", "", 404), 64, "did you mean 'pause'?");
	error_is(order(&s, "pause", "", 400), 64, "name is missing");
	error_is(order(&s, "pause", "{\"name\": 3}", 400), 64, "must be a string");
	error_is(order(&s, "pause", "{\"nmae\": \"x\"}", 400), 64, "no parameter 'nmae'");
	error_is(order(&s, "pause", "[1]", 400), 64, "not a JSON object");
	error_is(order(&s, "pause", "{", 400), 64, "not JSON");
	error_is(order(&s, "pause", "{\"name\": \"a\", \"name\": \"b\"}", 400), 64, "not JSON");
	ck_assert_str_eq(fake->paused, "");
}
END_TEST

static Suite *suite(void)
{
	Suite *all = suite_create("control");
	TCase *t;

	t = tcase_create("parse");
	tcase_add_test(t, a_head_is_read);
	tcase_add_test(t, an_accept_weighs_the_type_that_it_names);
	tcase_add_test(t, a_malformed_head_is_refused);
	tcase_add_test(t, a_head_has_an_end_only_at_an_empty_line);
	suite_add_tcase(all, t);
	t = tcase_create("sockets");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, sockets_have_their_modes_and_go_with_the_daemon);
	tcase_add_test(t, a_stale_socket_of_our_own_is_replaced);
	tcase_add_test(t, a_socket_that_answers_is_left_alone);
	tcase_add_test(t, foreign_files_at_the_path_are_refused_and_stay);
	tcase_add_test(t, a_file_that_took_the_sockets_place_is_not_removed);
	tcase_add_test(t, too_long_a_path_and_a_missing_directory_are_said);
	tcase_add_test(t, tcp_addresses_are_numeric);
	tcase_add_test(t, strangers_are_turned_away_at_the_control_socket);
	suite_add_tcase(all, t);
	t = tcase_create("http");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, stats_are_read_only);
	tcase_add_test(t, head_is_answered_without_a_body);
	tcase_add_test(t, requests_in_a_row_on_one_connection);
	tcase_add_test(t, a_body_belongs_to_its_request);
	tcase_add_test(t, a_request_may_come_in_pieces);
	tcase_add_test(t, a_client_that_says_expect_is_told_to_go_on);
	tcase_add_test(t, too_much_is_refused);
	tcase_add_test(t, whoever_keeps_us_waiting_is_cut_off);
	tcase_add_test(t, connections_have_a_cap_which_leaves_the_other_socket_alone);
	tcase_add_test(t, the_same_over_tcp);
	suite_add_tcase(all, t);
	t = tcase_create("pages");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, every_metric_of_the_contract_is_there_from_the_start);
	tcase_add_test(t, every_sample_stands_under_its_help_and_type);
	tcase_add_test(t, openmetrics_is_for_whoever_wants_it_most);
	tcase_add_test(t, label_values_are_escaped);
	tcase_add_test(t, status_holds_what_the_contract_says);
	tcase_add_test(t, the_status_page_is_for_a_browser);
	tcase_add_test(t, long_work_is_told_with_who_asked_how_far_it_is_and_how_much_longer_the_longest_first);
	tcase_add_test(t, nothing_is_said_of_jobs_while_there_are_none);
	tcase_add_test(t, the_status_page_says_how_far_a_survey_is_and_how_fast);
	tcase_add_test(t, the_sentence_says_what_matters);
	tcase_add_test(t, readyz_gives_its_reasons);
	tcase_add_test(t, without_a_sync_the_pages_answer_503);
	suite_add_tcase(all, t);
	t = tcase_create("commands");
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, what_waits_is_listed_and_decided);
	tcase_add_test(t, a_verdict_says_one_thing_about_what_waits);
	tcase_add_test(t, wait_answers_when_settled);
	tcase_add_test(t, wait_says_what_is_pending_when_time_is_up);
	tcase_add_test(t, a_wait_ends_when_the_asker_leaves);
	tcase_add_test(t, a_wait_outlives_a_reload);
	tcase_add_test(t, a_wait_longer_than_the_idle_time_is_not_cut);
	tcase_add_test(t, a_plan_is_a_line_a_thing_and_a_sum);
	tcase_add_test(t, a_plan_is_not_cut_while_it_has_nothing_to_say_and_ends_when_its_asker_leaves);
	tcase_add_test(t, those_who_wait_are_told_when_the_daemon_stops);
	tcase_add_test(t, install_prints_makes_and_says_why_not);
	tcase_add_test(t, parked_records_are_listed_once_each_over_many_pages);
	tcase_add_test(t, http_1_0_gets_a_list_without_chunks);
	tcase_add_test(t, a_client_that_leaves_in_the_middle_of_a_list_is_forgotten);
	tcase_add_test(t, parked_records_are_shown_retried_discarded);
	tcase_add_test(t, conflicts_are_listed_with_every_side);
	tcase_add_test(t, pause_resume_kick_are_passed_on);
	tcase_add_test(t, reload_is_all_or_nothing_and_shows);
	tcase_add_test(t, reload_is_answered_once_the_new_topology_is_in_force);
	tcase_add_test(t, metrics_come_as_json_too);
	tcase_add_test(t, what_does_not_fit_is_refused_with_words);
	suite_add_tcase(all, t);
	return all;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
