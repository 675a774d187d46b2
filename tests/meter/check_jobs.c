#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "meter/jobs.h"

#define S INT64_C(1000000)

static struct jobs jobs;
static struct job copy, check;

static void fresh(void)
{
	jobs = (struct jobs){ 0 };
	copy = check = (struct job){ 0 };
}

START_TEST(jobs_stand_in_the_order_in_which_they_began_until_they_end)
{
	fresh();
	job_begin(&jobs, &copy, "copy", "contact", JOB_OPERATOR, 100 * S);
	job_begin(&jobs, &check, "check", NULL, JOB_SCHEDULE, 101 * S);
	ck_assert_ptr_eq(jobs.list, &copy);
	ck_assert_ptr_eq(jobs.list->next, &check);
	job_end(&jobs, &copy);
	ck_assert_ptr_eq(jobs.list, &check);
	ck_assert_ptr_null(jobs.list->next);
	job_end(&jobs, &copy);			/* once more does no harm */
	job_end(&jobs, &check);
	ck_assert_ptr_null(jobs.list);
	job_begin(&jobs, &copy, "copy", "contact", JOB_OPERATOR, 200 * S);
	ck_assert_ptr_eq(jobs.list, &copy);
}
END_TEST

START_TEST(a_phase_tells_its_share_its_pace_and_when_it_will_end)
{
	struct job_pace p;

	fresh();
	job_begin(&jobs, &copy, "copy", "contact", JOB_OPERATOR, 100 * S);
	job_phase(&copy, "rows", "sales", "rows", 1000, 100 * S);
	for (int i = 1; i <= 10; i++)
		job_more(&copy, 25, (100 + i) * S);
	p = job_pace(&copy, 110 * S);
	ck_assert_double_eq_tol(p.share, 0.25, 1e-9);
	ck_assert_double_eq_tol(p.per_second, 25, 1e-9);
	ck_assert_double_eq_tol(p.seconds_left, 30, 1e-9);
	job_phase(&copy, "rest", NULL, NULL, -1, 120 * S);		/* nothing of it belongs to the next */
	p = job_pace(&copy, 121 * S);
	ck_assert_double_eq_tol(p.per_second, 0, 1e-9);
	ck_assert(isnan(p.share) && isnan(p.seconds_left));
}
END_TEST

START_TEST(nothing_is_foretold_from_a_moment_a_standstill_or_a_wrong_guess)
{
	fresh();
	job_begin(&jobs, &copy, "copy", "contact", JOB_OPERATOR, 100 * S);
	job_phase(&copy, "rows", "sales", "rows", 1000, 100 * S);
	job_more(&copy, 500, 101 * S);
	ck_assert_double_eq_tol(job_pace(&copy, 101 * S).share, 0.5, 1e-9);
	ck_assert(isnan(job_pace(&copy, 101 * S).seconds_left));
	ck_assert(!isnan(job_pace(&copy, 103 * S).seconds_left));
	ck_assert(isnan(job_pace(&copy, 103 * S + 60 * S).seconds_left));	/* for a minute it has not moved */
	job_more(&copy, 501, 200 * S);
	ck_assert(isnan(job_pace(&copy, 200 * S).share));
	ck_assert(isnan(job_pace(&copy, 200 * S).seconds_left));
	job_expect(&copy, 2002);
	ck_assert_double_eq_tol(job_pace(&copy, 200 * S).share, 0.5, 1e-9);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("jobs");
	TCase *c = tcase_create("jobs");
	SRunner *r;
	int failed;

	tcase_add_test(c, jobs_stand_in_the_order_in_which_they_began_until_they_end);
	tcase_add_test(c, a_phase_tells_its_share_its_pace_and_when_it_will_end);
	tcase_add_test(c, nothing_is_foretold_from_a_moment_a_standstill_or_a_wrong_guess);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
