/* Capture on a real server: nothing missed, nothing acknowledged that was not read. */
#include <check.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "rig.h"

static struct pg_server *server;
static struct rig r;

static void start_server(void) { server = pg_server_new(); }
static void stop_server(void) { pg_server_free(&server); }
static void open_listen(void) { rig_open(&r, server, CAPTURE_LISTEN, NULL); }
static void open_poll(void) { rig_open(&r, server, CAPTURE_POLL, NULL); }
static void close_rig(void) { rig_close(&r); }

/* A session of an application, for transactions that stay open. */
static PGconn *session(void)
{
	char *info = pg_server_conninfo(server, NULL, r.db);
	PGconn *c = PQconnectdb(info);

	ck_assert_int_eq(PQstatus(c), CONNECTION_OK);
	free(info);
	return c;
}

static void run(PGconn *c, const char *sql)
{
	PGresult *res = PQexec(c, sql);

	ck_assert_msg(PQresultStatus(res) == PGRES_COMMAND_OK || PQresultStatus(res) == PGRES_TUPLES_OK, "%s", PQerrorMessage(c));
	PQclear(res);
}

#define ck_news(got, text) ck_assert_str_eq(rig_news(&r, got), text)

static void expect_nothing(struct link *l, const char *position)
{
	struct captured *got = rig_capture(&r, l, position, 100, NULL);

	ck_news(got, "");
	ck_assert_ptr_null(got->ack);
	ck_assert(!got->more);
	rig_ack(&r, l, &got);
}

/* Captures, checks, acks. */
static void expect_news(struct link *l, const char *text)
{
	struct captured *got = rig_capture(&r, l, NULL, 100, NULL);

	ck_news(got, text);
	rig_ack(&r, l, &got);
}

/* ---- listen -------------------------------------------------------------------------------------- */

START_TEST(a_change_is_news_until_it_is_acked)
{
	struct captured *got;

	expect_nothing(r.companies, NULL);
	rig_sql(&r, "INSERT INTO company (number, title) VALUES ('1', 'One')");
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_news(got, "1");
	ck_assert_int_eq(got->entries, 1);
	ck_assert_int_ne(got->news[0].stamp, STAMP_UNKNOWN);
	ck_assert(value_equal(got->rows->rows[0].columns[COMPANY_NAME], value_of("One")));
	rig_drop(r.companies, &got);
	expect_news(r.companies, "1");
	expect_nothing(r.companies, NULL);
	ck_assert_str_eq(rig_ask(&r, "SELECT count(*) FROM crmsync.changelog"), "0");
}
END_TEST

START_TEST(what_is_captured_is_not_given_again)
{
	struct captured *first, *second;

	rig_sql(&r, "INSERT INTO company (number) VALUES ('1'), ('2')");
	first = rig_capture(&r, r.companies, NULL, 1, NULL);
	ck_news(first, "1");
	ck_assert(first->more);
	second = rig_capture(&r, r.companies, NULL, 1, NULL);
	ck_news(second, "2");
	expect_nothing(r.companies, NULL);
	rig_ack(&r, r.companies, &second);
	rig_ack(&r, r.companies, &first);
	expect_nothing(r.companies, NULL);
}
END_TEST

START_TEST(a_transaction_that_commits_late_is_not_missed)
{
	PGconn *slow = session();
	struct captured *got;

	run(slow, "BEGIN; INSERT INTO company (number) VALUES ('early')");	/* takes the smaller number in the log */
	rig_sql(&r, "INSERT INTO company (number) VALUES ('late')");
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_news(got, "2");
	run(slow, "COMMIT");
	expect_news(r.companies, "1");		/* also while the later one is still in hand */
	rig_ack(&r, r.companies, &got);
	expect_nothing(r.companies, NULL);
	PQfinish(slow);
}
END_TEST

static void on_ack_answer(void *arg, const struct err *e)
{
	struct err *to = arg;

	*to = e != NULL ? *e : (struct err){ 0 };
	loop_stop(r.loop);
}

START_TEST(an_ack_moves_the_epoch_or_does_nothing)
{
	struct captured *got;
	struct err answer = { 0 };

	rig_sql(&r, "INSERT INTO crmsync.state (consumer, fence) VALUES ('%s', 7)", r.topology.name);
	rig_sql(&r, "INSERT INTO company (number) VALUES ('one')");
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	r.ep->fence = 6;
	r.ep->epoch = 5;
	r.companies->ops->ack(r.companies, got->ack, on_ack_answer, &answer);
	got->ack = NULL;
	captured_free(&got);
	rig_wait(&r);
	ck_assert_str_eq(answer.code, "2201W");
	ck_assert_str_eq(rig_ask(&r, "SELECT epoch || ' ' || (SELECT count(*) FROM crmsync.changelog) FROM crmsync.state"), "0 1");
	r.ep->fence = 7;
	expect_news(r.companies, "1");
	ck_assert_str_eq(rig_ask(&r, "SELECT epoch || ' ' || (SELECT count(*) FROM crmsync.changelog) FROM crmsync.state"), "5 0");
	rig_sql(&r, "DELETE FROM crmsync.state");
}
END_TEST

START_TEST(an_ack_leaves_what_was_not_captured)
{
	PGconn *slow = session();
	struct captured *got;

	run(slow, "BEGIN; INSERT INTO company (number) VALUES ('early')");
	rig_sql(&r, "INSERT INTO company (number) VALUES ('late')");
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_news(got, "2");
	run(slow, "COMMIT");
	rig_ack(&r, r.companies, &got);
	expect_news(r.companies, "1");
	expect_nothing(r.companies, NULL);
	PQfinish(slow);
}
END_TEST

START_TEST(an_entry_that_commits_between_capture_and_ack_survives_the_ack)
{
	struct captured *got;

	rig_sql(&r, "INSERT INTO company (number, title) VALUES ('1', 'One')");
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	rig_sql(&r, "UPDATE company SET title = 'Two'");
	rig_ack(&r, r.companies, &got);
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_news(got, "1");
	ck_assert(value_equal(got->rows->rows[0].columns[COMPANY_NAME], value_of("Two")));
	rig_ack(&r, r.companies, &got);
}
END_TEST

static void came_early(void *arg, struct captured *got, const struct err *e)
{
	struct captured **to = arg;

	ck_assert_ptr_null(e);
	*to = got;
	loop_stop(r.loop);
}

START_TEST(a_row_in_hand_is_held_back_until_it_is_settled)
{
	struct captured *first, *second = NULL;

	rig_sql(&r, "INSERT INTO company (number) VALUES ('1'), ('2')");
	first = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_news(first, "1 2");
	rig_sql(&r, "UPDATE company SET title = 'x' WHERE id = 1; INSERT INTO company (number) VALUES ('3')");
	second = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_news(second, "3");		/* 1 is still in hand */
	rig_ack(&r, r.companies, &second);
	/* Only what is held back is left: "nothing" would be a lie, so the answer waits. */
	r.companies->ops->capture(r.companies, NULL, 100, came_early, &second);
	expect_news(r.people, "");
	ck_assert_ptr_null(second);
	rig_ack(&r, r.companies, &first);
	if (second == NULL)
		rig_wait(&r);
	ck_news(second, "1");
	rig_ack(&r, r.companies, &second);
	expect_nothing(r.companies, NULL);
}
END_TEST

START_TEST(many_changes_of_a_row_are_one_news)
{
	struct captured *got;

	rig_sql(&r, "INSERT INTO company (number) VALUES ('1'), ('2')");
	for (int i = 0; i < 9; i++)
		rig_sql(&r, "UPDATE company SET title = 'v%d' WHERE id = 1", i);
	got = rig_capture(&r, r.companies, NULL, 5, NULL);
	ck_news(got, "1 2");
	ck_assert_int_eq(got->entries, 11);
	ck_assert_int_eq(got->news[0].stamp, strtoll(rig_ask(&r, "SELECT (extract(epoch FROM max(at)) * 1000000)::bigint"
		" FROM crmsync.changelog WHERE pk #>> '{}' = '1'"), NULL, 10));
	rig_ack(&r, r.companies, &got);
	ck_assert_str_eq(rig_ask(&r, "SELECT count(*) FROM crmsync.changelog"), "0");
}
END_TEST

/* 3 MB each, which do not compress. */
static void expect_one_by_one(void)
{
	rig_sql(&r, "UPDATE company SET title = (SELECT string_agg(md5(number || n || clock_timestamp()), '') FROM generate_series(1, 100000) n)");
	expect_news(r.companies, "1");
	expect_news(r.companies, "2");
	expect_news(r.companies, "3");
	expect_nothing(r.companies, NULL);
}

/* That makes another place for what does not fit into a row, before the catalog is looked at again. */
START_TEST(long_rows_end_a_capture_also_in_a_table_that_was_rewritten)
{
	r.topology.limits.batch_bytes = 4 << 20;
	rig_sql(&r, "INSERT INTO company (number) VALUES ('1'), ('2'), ('3')");
	expect_news(r.companies, "1 2 3");
	expect_one_by_one();
	rig_sql(&r, "ALTER TABLE company ALTER title TYPE char(9) USING 'short', ALTER number TYPE varchar(9)");
	rig_sql(&r, "ALTER TABLE company ALTER title TYPE text, ALTER number TYPE text");
	expect_one_by_one();
}
END_TEST

START_TEST(a_changed_id_names_both)
{
	rig_sql(&r, "INSERT INTO company (number) VALUES ('1')");
	expect_news(r.companies, "1");
	rig_sql(&r, "UPDATE company SET id = 7");
	expect_news(r.companies, "1>7 -1");
	rig_sql(&r, "UPDATE company SET id = 8; UPDATE company SET id = 9");
	expect_news(r.companies, "-8 -7 7>9");
}
END_TEST

struct waiting_reader { PGconn *application; struct captured *got; struct loop_timer *look; };

static void on_captured_late(void *arg, struct captured *got, const struct err *e)
{
	struct waiting_reader *w = arg;

	ck_assert_ptr_null(e);
	w->got = got;
	loop_stop(r.loop);
}

/* When the capture waits for the table, with the log read. */
static void look_for_waiter(void *arg)
{
	struct waiting_reader *w = arg;

	if (strcmp(rig_ask(&r, "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'company'::regclass"), "0") == 0) {
		loop_timer_set(w->look, 1);
		return;
	}
	run(w->application, "UPDATE company SET id = 3 WHERE id = 2; COMMIT");
}

START_TEST(an_id_that_changes_again_before_the_row_is_read_is_one_news)
{
	struct waiting_reader w = { .application = session() };

	rig_sql(&r, "INSERT INTO company (number) VALUES ('1')");
	expect_news(r.companies, "1");
	rig_sql(&r, "UPDATE company SET id = 2");
	run(w.application, "BEGIN; LOCK TABLE company");
	w.look = loop_timer_new(r.loop, look_for_waiter, &w);
	loop_timer_set(w.look, 0);
	r.companies->ops->capture(r.companies, NULL, 100, on_captured_late, &w);
	rig_wait(&r);
	ck_news(w.got, "-2 -1 1>3");
	rig_ack(&r, r.companies, &w.got);
	loop_timer_free(&w.look);
	PQfinish(w.application);
}
END_TEST

START_TEST(a_deleted_row_is_named_without_a_row)
{
	rig_sql(&r, "INSERT INTO company (number) VALUES ('1'), ('2'); DELETE FROM company WHERE id = 1");
	expect_news(r.companies, "-1 2");
	rig_sql(&r, "DELETE FROM company; INSERT INTO company (id, number) VALUES (2, 'again')");
	expect_news(r.companies, "2");
}
END_TEST

START_TEST(truncate_is_told)
{
	struct captured *got;

	rig_sql(&r, "INSERT INTO company (number) VALUES ('1'); TRUNCATE company CASCADE");
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_assert(got->truncated);
	ck_news(got, "-1");
	rig_ack(&r, r.companies, &got);
	rig_sql(&r, "TRUNCATE company CASCADE");
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_assert(got->truncated);
	ck_assert_int_eq(got->n, 0);
	rig_ack(&r, r.companies, &got);
	expect_nothing(r.companies, NULL);
}
END_TEST

START_TEST(a_log_that_may_have_missed_something_has_another_position)
{
	static const char *const made[] = {
		"ALTER TABLE company DISABLE TRIGGER crmsync_rig_company_u; ALTER TABLE company ENABLE ALWAYS TRIGGER crmsync_rig_company_u",
		"DO $$ DECLARE again text := (SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname = 'crmsync_rig_company_d'); BEGIN "
		"DROP TRIGGER crmsync_rig_company_d ON company; EXECUTE again; ALTER TABLE company ENABLE ALWAYS TRIGGER crmsync_rig_company_d; END $$",
		"TRUNCATE crmsync.changelog",
	};
	struct captured *got;

	for (size_t i = 0; i < sizeof made / sizeof made[0]; i++) {
		char *before = rig_position_now(&r, r.companies), *now;

		expect_nothing(r.companies, before);
		rig_sql(&r, "%s", made[i]);
		got = rig_capture(&r, r.companies, before, 100, NULL);
		now = rig_position_now(&r, r.companies);
		ck_assert_msg(got->gap != NULL && strcmp(got->gap, now) == 0 && strcmp(now, before) != 0, "%s", made[i]);
		captured_free(&got);
		got = rig_capture(&r, r.companies, now, 100, NULL);
		ck_assert_ptr_null(got->gap);
		captured_free(&got);
		free(before);
		free(now);
	}
	got = rig_capture(&r, r.companies, "1 2001-01-01 - i", 100, NULL);
	ck_assert_ptr_nonnull(got->gap);	/* it was polled until now */
	captured_free(&got);
}
END_TEST

START_TEST(a_burst_comes_in_pieces_each_row_once)
{
	enum { ROWS = 5000, PIECE = 300 };
	struct captured *held[ROWS / PIECE + 1];
	bool *seen = calloc(ROWS + 1, sizeof *seen);
	size_t n = 0, rows = 0;

	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(1, %d) i", ROWS);
	do {
		struct captured *got = held[n++] = rig_capture(&r, r.companies, NULL, PIECE, NULL);

		ck_assert_int_le(got->n, PIECE);
		for (size_t i = 0; i < got->n; i++) {
			long id = strtol(got->news[i].id.data, NULL, 10);

			ck_assert(!seen[id]);
			seen[id] = true;
			rows++;
		}
	} while (held[n - 1]->more && n < ROWS / PIECE + 1);
	ck_assert_int_eq(rows, ROWS);
	while (n > 0)
		rig_ack(&r, r.companies, &held[--n]);
	expect_nothing(r.companies, NULL);
	free(seen);
}
END_TEST

START_TEST(a_dropped_capture_comes_again_and_acks_stay_exact)
{
	struct captured *first, *second;

	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(1, 6) i");
	first = rig_capture(&r, r.companies, NULL, 2, NULL);
	second = rig_capture(&r, r.companies, NULL, 2, NULL);
	rig_drop(r.companies, &first);
	rig_ack(&r, r.companies, &second);
	expect_news(r.companies, "5 6");
	expect_news(r.companies, "1 2");
	expect_nothing(r.companies, NULL);
}
END_TEST

START_TEST(stamps_come_from_the_log)
{
	rig_sql(&r, "INSERT INTO company (number) VALUES ('1')");
	ck_assert_int_eq(rig_stamp(&r, r.companies, "1"), strtoll(rig_ask(&r, "SELECT (extract(epoch FROM max(at)) * 1000000)::bigint"
		" FROM crmsync.changelog"), NULL, 10));
	ck_assert_int_eq(rig_stamp(&r, r.companies, "2"), STAMP_UNKNOWN);
}
END_TEST

START_TEST(an_ack_from_before_a_changed_table_does_nothing)
{
	struct captured *got;
	struct err e = { 0 };

	rig_sql(&r, "INSERT INTO company (number, title) VALUES ('1', 'One')");
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_news(got, "1");
	rig_sql(&r, "ALTER TABLE company RENAME title TO caption; INSERT INTO company (number) VALUES ('2')");
	ck_assert_ptr_null(rig_capture(&r, r.companies, NULL, 100, &e));
	ck_assert_int_eq(e.kind, ERR_ENDPOINT);
	while (r.companies->usable)	/* the driver looks at the catalog again by itself */
		rig_wait(&r);
	rig_ack(&r, r.companies, &got);
	ck_assert_str_eq(rig_ask(&r, "SELECT count(*) FROM crmsync.changelog"), "2");
}
END_TEST

/* ---- poll ---------------------------------------------------------------------------------------- */

/* Follows the position as the daemon would. */
static char *at;

static void follow_start(void)
{
	open_poll();
	at = rig_position_now(&r, r.companies);
}

static void follow_end(void)
{
	free(at);
	at = NULL;
	close_rig();
}

static void move_to(const struct captured *got)
{
	if (got->position == NULL)
		return;
	free(at);
	at = strdup(got->position);
}

static void follow(const char *text, size_t max)
{
	struct captured *got = rig_capture(&r, r.companies, at, max, NULL);

	ck_news(got, text);
	move_to(got);
	rig_ack(&r, r.companies, &got);
}

START_TEST(poll_sees_what_changed_and_then_nothing)
{
	follow("", 100);
	rig_sql(&r, "INSERT INTO company (number) VALUES ('1'), ('2')");
	follow("1 2", 100);
	follow("", 100);
	rig_sql(&r, "UPDATE company SET title = 'x', changed = now() WHERE id = 1");
	follow("1", 100);
	follow("", 100);
}
END_TEST

START_TEST(poll_does_not_miss_a_transaction_that_commits_late)
{
	PGconn *slow = session();

	run(slow, "BEGIN; INSERT INTO company (number) VALUES ('early')");
	rig_sql(&r, "INSERT INTO company (number) VALUES ('late')");
	follow("2", 100);
	rig_sql(&r, "INSERT INTO company (number) VALUES ('later')");
	follow("3", 100);
	run(slow, "COMMIT");
	follow("1", 100);
	follow("", 100);
	PQfinish(slow);
}
END_TEST

START_TEST(an_old_position_is_left_behind_at_rest)
{
	rig_sql(&r, "INSERT INTO company (number, changed) VALUES ('1', now() - interval '1 minute'), ('2', now() - interval '30 seconds')");
	free(at);
	at = strdup("1 2000-01-01 - i");
	follow("1 2", 100);
	ck_assert_int_eq(at[strlen(at) - 1], 'e');	/* behind the last row: an idle look reads nothing */
	follow("", 100);
}
END_TEST

START_TEST(poll_pages_do_not_lose_ties)
{
	enum { ROWS = 50 };
	size_t rows = 0;
	bool more = true;

	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(1, %d) i", ROWS);	/* one moment for all */
	for (int i = 0; more && i < ROWS; i++) {
		struct captured *got = rig_capture(&r, r.companies, at, 7, NULL);

		rows += got->n;
		more = got->more;
		move_to(got);
		rig_ack(&r, r.companies, &got);
	}
	ck_assert_int_eq(rows, ROWS);
	follow("", 7);
}
END_TEST

START_TEST(a_dropped_page_comes_again)
{
	struct captured *got;

	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(1, 6) i");
	got = rig_capture(&r, r.companies, at, 2, NULL);
	ck_news(got, "1 2");
	rig_drop(r.companies, &got);
	follow("1 2", 2);
	follow("3 4", 2);
	got = rig_capture(&r, r.companies, at, 2, NULL);
	ck_news(got, "5 6");
	rig_drop(r.companies, &got);
	follow("5 6", 2);
	follow("", 2);
}
END_TEST

START_TEST(poll_waits_while_a_capture_is_not_settled)
{
	struct captured *first, *second = NULL;

	rig_sql(&r, "INSERT INTO company (number) SELECT i FROM generate_series(1, 4) i");
	first = rig_capture(&r, r.companies, at, 2, NULL);
	r.companies->ops->capture(r.companies, at, 2, came_early, &second);
	rig_estimate(&r, r.people);
	ck_assert_ptr_null(second);
	rig_ack(&r, r.companies, &first);
	if (second == NULL)
		rig_wait(&r);
	ck_news(second, "3 4");
	rig_ack(&r, r.companies, &second);
}
END_TEST

START_TEST(two_changes_within_one_second_are_both_seen)
{
	rig_sql(&r, "INSERT INTO company (number, title) VALUES ('1', 'a')");
	follow("1", 100);
	rig_sql(&r, "UPDATE company SET title = 'b', changed = now()");
	follow("1", 100);
	rig_sql(&r, "UPDATE company SET title = 'c', changed = now()");
	follow("1", 100);
	follow("", 100);
}
END_TEST

static void open_whole_seconds(void)
{
	rig_open(&r, server, CAPTURE_POLL, "ALTER TABLE company ALTER changed TYPE timestamptz(0)");
	at = rig_position_now(&r, r.companies);
}

static void open_without_zone(void)
{
	rig_open(&r, server, CAPTURE_POLL, "ALTER TABLE company ALTER changed TYPE timestamp(3); SET timezone = 'Asia/Tokyo'");
	at = rig_position_now(&r, r.companies);
}

START_TEST(a_bad_position_or_one_of_the_future_starts_over)
{
	static const char *const bad[] = { "", "rubbish", "2 x y z", "1 nonsense - i", "1 2001-01-01 x%zz e", "1 2001-01-01 word e",
					   "1 2999-01-01T00:00:00%2B00 - i" };

	rig_sql(&r, "INSERT INTO company (number, changed) VALUES ('1', '1999-12-31'), ('2', '-infinity'), ('3', NULL)");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct captured *got = rig_capture(&r, r.companies, bad[i], 100, NULL);

		ck_assert_msg(strcmp(rig_news(&r, got), "2 1") == 0, "%s: %s", bad[i], rig_news(&r, got));
		ck_assert_ptr_nonnull(got->position);
		rig_drop(r.companies, &got);
	}
}
END_TEST

START_TEST(without_a_position_poll_begins_a_little_before_now)
{
	struct captured *got;

	rig_sql(&r, "INSERT INTO company (number, changed) VALUES ('1', now() - interval '1 hour'), ('2', now() - interval '10 seconds')");
	got = rig_capture(&r, r.companies, NULL, 100, NULL);
	ck_news(got, "2");
	ck_assert_ptr_nonnull(got->position);
	rig_ack(&r, r.companies, &got);
}
END_TEST

START_TEST(a_prepared_transaction_holds_the_position)
{
	PGconn *c = session();
	char *before = strdup(at);

	run(c, "BEGIN; INSERT INTO company (number) VALUES ('early'); PREPARE TRANSACTION 'rig'");
	rig_sql(&r, "INSERT INTO company (number) VALUES ('2')");
	follow("2", 100);
	follow("", 100);	/* seen again and known */
	ck_assert_str_eq(at, before);
	run(c, "COMMIT PREPARED 'rig'");
	follow("1", 100);
	follow("", 100);
	PQfinish(c);
	free(before);
}
END_TEST

START_TEST(a_stamp_of_the_future_does_not_move_the_position)
{
	rig_sql(&r, "INSERT INTO company (number, changed) VALUES ('1', now() + interval '1 year'), ('2', 'infinity')");
	follow("1 2", 100);
	follow("", 100);
	rig_sql(&r, "INSERT INTO company (number) VALUES ('3')");
	follow("3", 100);
	follow("", 100);
}
END_TEST

static void open_narrow(void)
{
	rig_prepare(&r, server, CAPTURE_POLL,
		    "CREATE ROLE narrow LOGIN; GRANT USAGE ON SCHEMA crm TO narrow; GRANT ALL ON ALL TABLES IN SCHEMA public, crm TO narrow;"
		    "GRANT ALL ON ALL SEQUENCES IN SCHEMA public, crm TO narrow");
	free(r.conf.connection);
	r.conf.connection = pg_server_conninfo(server, "narrow", r.db);
	rig_start(&r);
	at = rig_position_now(&r, r.companies);
}

static void close_narrow(void)
{
	follow_end();
	pg_server_sql(server, NULL, "DROP ROLE narrow");
}

START_TEST(without_sight_of_others_an_overlap_is_read_again)
{
	PGconn *slow = session();

	run(slow, "BEGIN; INSERT INTO company (number) VALUES ('early')");
	rig_sql(&r, "INSERT INTO company (number) VALUES ('late')");
	follow("2", 100);
	run(slow, "COMMIT");
	follow("1", 100);
	follow("", 100);
	ck_assert_int_eq(at[strlen(at) - 1], 'i');
	PQfinish(slow);
}
END_TEST

static Suite *capture_suite(void)
{
	Suite *s = suite_create("capture");
	TCase *listen = tcase_create("listen"), *poll = tcase_create("poll"), *seconds = tcase_create("whole seconds"),
	      *local = tcase_create("without zone"), *narrow = tcase_create("narrow");

	tcase_add_unchecked_fixture(listen, start_server, stop_server);
	tcase_add_checked_fixture(listen, open_listen, close_rig);
	tcase_add_test(listen, a_change_is_news_until_it_is_acked);
	tcase_add_test(listen, what_is_captured_is_not_given_again);
	tcase_add_test(listen, a_transaction_that_commits_late_is_not_missed);
	tcase_add_test(listen, an_ack_moves_the_epoch_or_does_nothing);
	tcase_add_test(listen, an_ack_leaves_what_was_not_captured);
	tcase_add_test(listen, an_entry_that_commits_between_capture_and_ack_survives_the_ack);
	tcase_add_test(listen, a_row_in_hand_is_held_back_until_it_is_settled);
	tcase_add_test(listen, many_changes_of_a_row_are_one_news);
	tcase_add_test(listen, long_rows_end_a_capture_also_in_a_table_that_was_rewritten);
	tcase_add_test(listen, a_changed_id_names_both);
	tcase_add_test(listen, an_id_that_changes_again_before_the_row_is_read_is_one_news);
	tcase_add_test(listen, a_deleted_row_is_named_without_a_row);
	tcase_add_test(listen, truncate_is_told);
	tcase_add_test(listen, a_log_that_may_have_missed_something_has_another_position);
	tcase_add_test(listen, a_burst_comes_in_pieces_each_row_once);
	tcase_add_test(listen, a_dropped_capture_comes_again_and_acks_stay_exact);
	tcase_add_test(listen, stamps_come_from_the_log);
	tcase_add_test(listen, an_ack_from_before_a_changed_table_does_nothing);
	suite_add_tcase(s, listen);
	tcase_add_unchecked_fixture(poll, start_server, stop_server);
	tcase_add_checked_fixture(poll, follow_start, follow_end);
	tcase_add_test(poll, poll_sees_what_changed_and_then_nothing);
	tcase_add_test(poll, poll_does_not_miss_a_transaction_that_commits_late);
	tcase_add_test(poll, an_old_position_is_left_behind_at_rest);
	tcase_add_test(poll, poll_pages_do_not_lose_ties);
	tcase_add_test(poll, a_dropped_page_comes_again);
	tcase_add_test(poll, poll_waits_while_a_capture_is_not_settled);
	tcase_add_test(poll, two_changes_within_one_second_are_both_seen);
	tcase_add_test(poll, a_bad_position_or_one_of_the_future_starts_over);
	tcase_add_test(poll, without_a_position_poll_begins_a_little_before_now);
	tcase_add_test(poll, a_prepared_transaction_holds_the_position);
	tcase_add_test(poll, a_stamp_of_the_future_does_not_move_the_position);
	suite_add_tcase(s, poll);
	tcase_add_unchecked_fixture(seconds, start_server, stop_server);
	tcase_add_checked_fixture(seconds, open_whole_seconds, follow_end);
	tcase_add_test(seconds, two_changes_within_one_second_are_both_seen);
	tcase_add_test(seconds, poll_does_not_miss_a_transaction_that_commits_late);
	tcase_add_test(seconds, poll_pages_do_not_lose_ties);
	suite_add_tcase(s, seconds);
	tcase_add_unchecked_fixture(local, start_server, stop_server);
	tcase_add_checked_fixture(local, open_without_zone, follow_end);
	tcase_add_test(local, poll_sees_what_changed_and_then_nothing);
	suite_add_tcase(s, local);
	tcase_add_unchecked_fixture(narrow, start_server, stop_server);
	tcase_add_checked_fixture(narrow, open_narrow, close_narrow);
	tcase_add_test(narrow, without_sight_of_others_an_overlap_is_read_again);
	suite_add_tcase(s, narrow);
	return s;
}

int main(void)
{
	SRunner *sr;
	int failed;

	if (!pg_server_available())
		return 77;
	sr = srunner_create(capture_suite());
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
