/* Local times as moments, and the bound of a local clock that is put back, as the server works them out. */
#include <check.h>
#include <stdlib.h>

#include "base/buf.h"
#include "endpoint/postgres/pg_zone.h"
#include "rig.h"

static struct pg_server *server;
static struct rig r;

static void start_server(void) { server = pg_server_new(); }
static void stop_server(void) { pg_server_free(&server); }
static void open_rig(void) { rig_open(&r, server, CAPTURE_POLL, NULL); }
static void close_rig(void) { rig_close(&r); }

/* zone, what is stored, what that is */
static const char *const moments[][3] = {
	{ "'Europe/Berlin'", "2026-10-25 01:59:59.999999", "2026-10-24 23:59:59.999999+00" },
	{ "'Europe/Berlin'", "2026-10-25 02:00:00", "2026-10-25 00:00:00+00" },		/* the first of two */
	{ "'Europe/Berlin'", "2026-10-25 02:59:59.999999", "2026-10-25 00:59:59.999999+00" },
	{ "'Europe/Berlin'", "2026-10-25 03:00:00", "2026-10-25 02:00:00+00" },
	{ "'Europe/Berlin'", "2026-03-29 02:00:00", NULL },				/* there is none */
	{ "'Europe/Berlin'", "2026-03-29 02:59:59.999999", NULL },
	{ "'Europe/Berlin'", "2026-03-29 03:00:00", "2026-03-29 01:00:00+00" },
	{ "'Australia/Lord_Howe'", "2026-04-05 01:45:00", "2026-04-04 14:45:00+00" },	/* half an hour is put back */
	{ "'Pacific/Apia'", "2011-12-30 12:00:00", NULL },				/* a day that was left out */
	{ "'Europe/Moscow'", "2014-10-26 01:30:00", "2014-10-25 21:30:00+00" },		/* put back for good */
	{ "'Europe/Berlin'", "infinity", "infinity" },
	{ "'America/New_York'", "294276-12-31 23:59:59", NULL },
	{ "'Asia/Tokyo'", "4714-11-24 00:00:00 BC", NULL },
};

START_TEST(a_local_time_is_the_first_moment_at_which_the_clock_shows_it)
{
	struct pg_column c = { .zone = (char *)moments[_i][0] };
	struct buf sql = { 0 };

	pg_zone_moment(&sql, &c, "s.v");
	const char *got = rig_ask(&r, "SELECT coalesce((%s)::text, '') FROM (VALUES ('%s'::timestamp)) AS s(v)", sql.p, moments[_i][1]);
	ck_assert_str_eq(got, moments[_i][2] != NULL ? moments[_i][2] : "");
	buf_fini(&sql);
}
END_TEST

START_TEST(from_the_bound_on_the_clock_shows_nothing_less)
{
	struct pg_column c = { .zone = (char *)moments[_i][0] };
	struct buf least = { 0 }, shown = { 0 };

	pg_zone_least_local(&least, &c, "m.t");
	pg_zone_local(&shown, &c, "n.t");
	/* Every quarter of an hour for three days around the change, against all that follow. */
	ck_assert_str_eq(rig_ask(&r, "WITH t AS (SELECT g AS t FROM generate_series('%s'::timestamptz - interval '36 hours', "
		"'%s'::timestamptz + interval '36 hours', interval '15 minutes') AS g) "
		"SELECT count(*) || ' ' || count(*) FILTER (WHERE %s < %s) FROM t AS m JOIN t AS n ON n.t >= m.t",
		moments[_i][1], moments[_i][1], shown.p, least.p), "41905 0");
	buf_fini(&least);
	buf_fini(&shown);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("zone");
	TCase *tc = tcase_create("zone");
	SRunner *sr;
	int failed;

	if (!pg_server_available())
		return 77;
	tcase_add_unchecked_fixture(tc, start_server, stop_server);
	tcase_add_checked_fixture(tc, open_rig, close_rig);
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, a_local_time_is_the_first_moment_at_which_the_clock_shows_it, 0, sizeof moments / sizeof moments[0]);
	tcase_add_loop_test(tc, from_the_bound_on_the_clock_shows_nothing_less, 0, 10);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed > 0;
}
