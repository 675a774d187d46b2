/* check_books.c - the arithmetic of src/meter/books.h. */
#include <check.h>
#include <stdlib.h>

#include "meter/books.h"

START_TEST(empty_books_balance)
{
	struct books b = { 0 };

	ck_assert(books_balance(&b));
}
END_TEST

START_TEST(every_outcome_has_its_account)
{
	struct books b = { 0 };

	books_came(&b, BOOKS_APPLIED);
	books_came(&b, BOOKS_UNCHANGED);
	books_came(&b, BOOKS_LOST);
	books_came(&b, BOOKS_MERGED);
	ck_assert_uint_eq(b.captured, 4);
	ck_assert_uint_eq(b.applied, 1);
	ck_assert_uint_eq(b.unchanged, 1);
	ck_assert_uint_eq(b.lost, 1);
	ck_assert_uint_eq(b.merged, 1);
	ck_assert(books_balance(&b));
}
END_TEST

START_TEST(a_change_of_which_nobody_says_what_became_of_it_shows)
{
	struct books b = { 0 };

	books_came(&b, BOOKS_UNTOLD);
	ck_assert(!books_balance(&b));
}
END_TEST

START_TEST(an_open_change_stays_in_the_books_until_it_is_settled)
{
	struct books b = { .captured = 1 };

	books_record(&b, BOOKS_SETTLED, BOOKS_PENDING);
	ck_assert(books_balance(&b));
	books_record(&b, BOOKS_PENDING, BOOKS_PARKED);
	ck_assert(books_balance(&b));
	ck_assert_int_eq(books_parked(&b), 1);
	books_record(&b, BOOKS_PARKED, BOOKS_WAITING);
	ck_assert(books_balance(&b));
	books_record(&b, BOOKS_WAITING, BOOKS_SETTLED);
	ck_assert_msg(!books_balance(&b), "settled, and not booked");
	books_outcome(&b, BOOKS_APPLIED);
	ck_assert(books_balance(&b));
}
END_TEST

START_TEST(parked_rows_and_held_deletes_are_open)
{
	struct books b = { .captured = 3, .parked_rows = 2, .held = 1 };

	ck_assert(books_balance(&b));
	ck_assert_int_eq(books_parked(&b), 2);
	b.held = 0;
	ck_assert(!books_balance(&b));
}
END_TEST

START_TEST(what_is_open_at_the_start_is_carried_over)
{
	const int64_t found[BOOKS_STATES] = { [BOOKS_PENDING] = 3, [BOOKS_PARKED] = 2, [BOOKS_WAITING] = 1 };
	struct books b = { 0 };

	books_recount(&b, found, false);
	ck_assert_uint_eq(b.captured, 6);
	ck_assert_int_eq(b.records[BOOKS_PARKED], 2);
	ck_assert(books_balance(&b));
}
END_TEST

START_TEST(what_is_open_no_more_when_the_state_is_read_anew_is_not_open)
{
	const int64_t found[BOOKS_STATES] = { [BOOKS_PENDING] = 1 };
	struct books b = { .captured = 3, .records = { [BOOKS_PENDING] = 3 } };

	books_recount(&b, found, false);
	ck_assert_uint_eq(b.captured, 3);
	ck_assert_uint_eq(b.merged, 2);
	ck_assert(books_balance(&b));
}
END_TEST

START_TEST(a_count_that_is_made_to_look_hides_nothing)
{
	const int64_t found[BOOKS_STATES] = { [BOOKS_PENDING] = 1 };
	struct books b = { .captured = 3, .records = { [BOOKS_PENDING] = 3 } };

	books_recount(&b, found, true);
	ck_assert(!books_balance(&b));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("books");
	TCase *t = tcase_create("books");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, empty_books_balance);
	tcase_add_test(t, every_outcome_has_its_account);
	tcase_add_test(t, a_change_of_which_nobody_says_what_became_of_it_shows);
	tcase_add_test(t, an_open_change_stays_in_the_books_until_it_is_settled);
	tcase_add_test(t, parked_rows_and_held_deletes_are_open);
	tcase_add_test(t, what_is_open_at_the_start_is_carried_over);
	tcase_add_test(t, what_is_open_no_more_when_the_state_is_read_anew_is_not_open);
	tcase_add_test(t, a_count_that_is_made_to_look_hides_nothing);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
