#include <check.h>
#include <stdlib.h>

#include "base/mem.h"
#include "endpoint/postgres/pg.h"

START_TEST(classes_are_those_of_the_semantics)
{
	static const struct {
		const char *code;
		enum err_kind kind;
	} cases[] = {
		{ NULL, ERR_TRANSIENT }, { "", ERR_TRANSIENT }, { "08006", ERR_TRANSIENT }, { "53300", ERR_TRANSIENT },
		{ "57P01", ERR_TRANSIENT }, { "57014", ERR_TRANSIENT }, { "40001", ERR_TRANSIENT }, { "40P01", ERR_TRANSIENT },
		{ "55P03", ERR_TRANSIENT }, { "25P03", ERR_TRANSIENT },
		{ "22001", ERR_ROW }, { "22P02", ERR_ROW }, { "23505", ERR_ROW }, { "23503", ERR_ROW }, { "23514", ERR_ROW },
		{ "P0001", ERR_ROW }, { "44000", ERR_ROW }, { "ZZ123", ERR_ROW }, { "54000", ERR_ROW },
		{ "28P01", ERR_ENDPOINT }, { "28000", ERR_ENDPOINT }, { "3D000", ERR_ENDPOINT }, { "42P01", ERR_ENDPOINT },
		{ "42703", ERR_ENDPOINT }, { "42501", ERR_ENDPOINT }, { "25006", ERR_ENDPOINT }, { "0A000", ERR_ENDPOINT },
		{ "XX000", ERR_ENDPOINT }, { "55000", ERR_ENDPOINT },
	};

	ck_assert_msg(pg_classify(cases[_i].code) == cases[_i].kind, "%s is %s", cases[_i].code != NULL ? cases[_i].code : "NULL",
		      err_kind_name(pg_classify(cases[_i].code)));
}
END_TEST

/* A write that may have happened is never sent again unseen: that its connection ended shows, whatever was said last. */
START_TEST(a_statement_without_an_answer_is_told_from_one_that_was_undone)
{
	static const struct {
		enum err_kind kind;
		const char *code;
		bool answer;
	} cases[] = {
		{ ERR_ROW, "23505", true }, { ERR_ENDPOINT, "XX000", true }, { ERR_TRANSIENT, "40001", true }, { ERR_ENDPOINT, "57P01", true },
		{ ERR_TRANSIENT, "57P01", false }, { ERR_TRANSIENT, "08006", false }, { ERR_TRANSIENT, "", false }, { ERR_ENDPOINT, "", false },
		{ ERR_TRANSIENT, "ETIMEDOUT", false },
	};
	struct err e;

	err_set(&e, cases[_i].kind, cases[_i].code, "why");
	ck_assert_int_eq(pg_is_answer(&e), cases[_i].answer);
	pg_unanswered(&e);
	ck_assert(!pg_is_answer(&e));
	ck_assert_int_eq(e.kind, ERR_TRANSIENT);
}
END_TEST

static const struct { const char *connection, *words; } strings[] = {
	{ "host=/run/pg dbname=sales user=crmsync password='a b' port=1,65535,", NULL },
	{ "postgresql://crmsync:x@127.0.0.1:5433,[::1]/support?sslmode=require", NULL },
	{ "", NULL },
	{ "hst=/run/pg", "not a connection string that libpq understands: invalid connection option \"hst\"" },
	{ "host='/run", "not a connection string that libpq understands: unterminated quoted string in connection info string" },
	{ "postgresql://[::1/x", "not a connection string that libpq understands: end of string reached when looking for matching \"]\" in IPv6 host "
				 "address in URI: \"postgresql://[::1/x\"" },
	{ "postgresql://crmsync@h/x?ssl_mode=x", "not a connection string that libpq understands: invalid URI query parameter: \"ssl_mode\"" },
	{ "host=a port=5432,abc", "port: wants a number from 1 to 65535" },
	{ "postgresql://h:65536/x", "port: wants a number from 1 to 65535" },
	{ "host=a sslmode=bogus", "sslmode: wants disable, allow, prefer, require, verify-ca or verify-full" },
	/* libpq's own words would quote the secret */
	{ "host=a password=two secrets", "not a connection string that libpq understands: keyword=value pairs, or a URI postgresql://..." },
	{ "postgres:/u:secret@h/x", "not a connection string that libpq understands: keyword=value pairs, or a URI postgresql://..." },
	{ "postgresql://u:secret@[h/x", "not a connection string that libpq understands: keyword=value pairs, or a URI postgresql://..." },
};

START_TEST(a_connection_string_is_judged_without_a_secret)
{
	char why[200] = "";
	bool ok = postgres_connection_check(strings[_i].connection, why, sizeof why);

	ck_assert_msg(ok == (strings[_i].words == NULL), "%s: %s", strings[_i].connection, why);
	ck_assert_str_eq(why, ok ? "" : strings[_i].words);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pg_error");
	TCase *tc = tcase_create("classes");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, classes_are_those_of_the_semantics, 0, 29);
	tcase_add_loop_test(tc, a_statement_without_an_answer_is_told_from_one_that_was_undone, 0, 9);
	tcase_add_loop_test(tc, a_connection_string_is_judged_without_a_secret, 0, countof(strings));
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
