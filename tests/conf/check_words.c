/*
 * check_words.c - the names of cleaners and checks (model/entity.c) are the words of the topology.
 */
#include <check.h>
#include <string.h>

#include "base/mem.h"
#include "model/entity.h"

START_TEST(every_cleaning_step_is_found_by_its_name)
{
	enum clean_kind k = CLEAN_KINDS;

	for (size_t i = 0; i < CLEAN_KINDS; i++) {
		ck_assert(clean_kind_parse(clean_kind_name((enum clean_kind)i), &k));
		ck_assert_int_eq(k, i);
	}
	ck_assert(!clean_kind_parse("Trim", &k));
	ck_assert_str_eq(clean_kind_name(CLEAN_EMPTY_TO_NULL), "empty-to-null");
}
END_TEST

START_TEST(every_check_is_found_by_its_name)
{
	enum check_kind k = CHECK_KINDS;

	for (size_t i = 0; i < CHECK_KINDS; i++) {
		ck_assert(check_kind_parse(check_kind_name((enum check_kind)i), &k));
		ck_assert_int_eq(k, i);
	}
	ck_assert(!check_kind_parse("one_of", &k));
	ck_assert_str_eq(check_kind_name(CHECK_ONE_OF), "one-of");
}
END_TEST

START_TEST(what_is_built_is_what_the_manual_says)
{
	static const bool rules[RULES] = { [RULE_LAST_WRITER_WINS] = true, [RULE_SOURCE_PRIORITY] = true,
		[RULE_MIRROR] = true, [RULE_NEWEST_FILLED] = true, [RULE_MAX] = true, [RULE_MIN] = true,
		[RULE_MANUAL] = true, [RULE_ADD] = true };
	static const bool cleans[CLEAN_KINDS] = {
		[CLEAN_TRIM] = true, [CLEAN_SQUEEZE] = true, [CLEAN_LOWER] = true, [CLEAN_UPPER] = true,
		[CLEAN_EMPTY_TO_NULL] = true, [CLEAN_MAP] = true, [CLEAN_DEFAULT] = true,
	};
	static const bool checks[CHECK_KINDS] = {
		[CHECK_REQUIRED] = true, [CHECK_LENGTH] = true, [CHECK_RANGE] = true, [CHECK_ONE_OF] = true,
	};

	for (size_t i = 0; i < RULES; i++)
		ck_assert_msg(rule_is_built((enum rule)i) == rules[i], "%s", rule_name((enum rule)i));
	for (size_t i = 0; i < CLEAN_KINDS; i++)
		ck_assert_msg(clean_kind_is_built((enum clean_kind)i) == cleans[i], "%s", clean_kind_name((enum clean_kind)i));
	for (size_t i = 0; i < CHECK_KINDS; i++)
		ck_assert_msg(check_kind_is_built((enum check_kind)i) == checks[i], "%s", check_kind_name((enum check_kind)i));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("words");
	TCase *words = tcase_create("words");
	SRunner *runner;
	int failed;

	tcase_add_test(words, every_cleaning_step_is_found_by_its_name);
	tcase_add_test(words, every_check_is_found_by_its_name);
	tcase_add_test(words, what_is_built_is_what_the_manual_says);
	suite_add_tcase(suite, words);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
