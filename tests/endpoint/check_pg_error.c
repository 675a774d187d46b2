#include <check.h>
#include <stdlib.h>

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

int main(void)
{
	Suite *s = suite_create("pg_error");
	TCase *tc = tcase_create("classes");
	SRunner *sr = srunner_create(s);
	int failed;

	suite_add_tcase(s, tc);
	tcase_add_loop_test(tc, classes_are_those_of_the_semantics, 0, 29);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
