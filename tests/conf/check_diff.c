/* check_diff.c - what is different between two topologies, in words. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/topology.h"

/* A file with places for settings at the top, of an endpoint, for further fields, and of the entity. */
#define FILE_OF(top, endpoint, fields, rest) \
	"version: 1\ntopology: acme\n" top \
	"endpoints:\n" \
	"  sales: {driver: postgres, connection: " endpoint "}\n" \
	"  support: {driver: postgres, connection: host=b}\n" \
	"entities:\n" \
	"  contact:\n" \
	"    key: [mail]\n" \
	"    fields: {mail: {type: text}, name: {type: text}" fields "}\n" \
	"    mappings:\n" \
	"      sales: {table: ta}\n" \
	"      support: {table: tb}\n" rest

static struct topology *parse(const char *text)
{
	struct conf_problems problems;
	struct topology *t = topology_parse("t.yaml", text, strlen(text), &problems);

	conf_problems_print(&problems, "t.yaml", stderr);
	ck_assert_ptr_nonnull(t);
	conf_problems_fini(&problems);
	return t;
}

/* What differs from one text to the other; the number has to be that of the lines. */
static char *diff(const char *was, const char *is)
{
	struct topology *a = parse(was), *b = parse(is);
	struct buf out = { 0 };
	size_t n, lines = 0;

	buf_adds(&out, "");
	n = topology_diff(a, b, &out);
	for (const char *p = out.p; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	ck_assert_uint_eq(n, lines);
	topology_free(&a);
	topology_free(&b);
	return buf_take(&out);
}

static void differs(const char *was, const char *is, const char *wanted)
{
	char *got = diff(was, is);

	ck_assert_str_eq(got, wanted);
	free(got);
}

START_TEST(defaults_written_out_and_another_order_are_no_difference)
{
	differs(FILE_OF("", "host=a", "", ""), FILE_OF("", "host=a", "", ""), "");
	differs(FILE_OF("journal: {keep: 30d}\n", "host=a", "", ""),
		FILE_OF("stats: {socket: /run/crmsyncd/stats.sock}\n", "host=a, interval: 1000ms", "", ""), "");
	differs(FILE_OF("", "host=a", "", ""), FILE_OF("", "host=a", ", ", ""), "");
}
END_TEST

START_TEST(a_setting_has_an_old_and_a_new_value)
{
	differs(FILE_OF("", "host=a", "", ""), FILE_OF("journal: {keep: 10d}\n", "host=c, interval: 5s", "", ""),
		"journal.keep: 30d -> 10d\n"
		"endpoints.sales.connection: host=a -> host=c\n"
		"endpoints.sales.interval: 1s -> 5s\n");
	differs(FILE_OF("", "host=a", "", ""), FILE_OF("", "host=a", "", "    conflict: {priority: [support, sales]}\n"),
		"entities.contact.conflict.priority: [sales, support] -> [support, sales]\n");
}
END_TEST

START_TEST(what_comes_and_goes_is_marked)
{
	static const char was[] = FILE_OF("", "host=a", "", ""), is[] = FILE_OF("stats: {listen: 127.0.0.1:9}\n", "host=a", ", score: {type: integer}", "");
	char *got = diff(was, is);

	ck_assert_ptr_nonnull(strstr(got, "+ stats.listen: 127.0.0.1:9\n"));
	ck_assert_ptr_nonnull(strstr(got, "+ entities.contact.fields.score: {type: integer, "));
	ck_assert_ptr_nonnull(strstr(got, "+ entities.contact.mappings.sales.columns.score: score\n"));
	free(got);
	got = diff(is, was);
	ck_assert_ptr_nonnull(strstr(got, "- stats.listen: 127.0.0.1:9\n"));
	ck_assert_ptr_nonnull(strstr(got, "- entities.contact.fields.score: {"));
	free(got);
}
END_TEST

START_TEST(secrets_differ_without_being_shown)
{
	char *got = diff(FILE_OF("state: {redis: \"redis://u:alpha@h/0\"}\n", "host=a password=beta", "", ""),
			 FILE_OF("state: {redis: \"redis://u:gamma@h/0\"}\n", "host=a password=delta", "", ""));

	ck_assert_str_eq(got, "state.redis: another password\nendpoints.sales.connection: another password\n");
	free(got);
	differs(FILE_OF("", "host=a password=beta", "", ""), FILE_OF("", "host=c password=delta", "", ""),
		"endpoints.sales.connection: host=a password=*** -> host=c password=***\n");
}
END_TEST

START_TEST(a_value_stays_on_its_line)
{
	char *got = diff(FILE_OF("", "host=a", "", ""), FILE_OF("", "\"host=a\\noptions=b\"", "", ""));

	ck_assert_str_eq(got, "endpoints.sales.connection: host=a -> host=a\\noptions=b\n");
	free(got);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("diff");
	TCase *t = tcase_create("diff");
	SRunner *runner;
	int failed;

	tcase_add_test(t, defaults_written_out_and_another_order_are_no_difference);
	tcase_add_test(t, a_setting_has_an_old_and_a_new_value);
	tcase_add_test(t, what_comes_and_goes_is_marked);
	tcase_add_test(t, secrets_differ_without_being_shown);
	tcase_add_test(t, a_value_stays_on_its_line);
	suite_add_tcase(all, t);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
