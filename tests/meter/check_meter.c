/* check_meter.c - the arithmetic of src/meter/meter.h. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "meter/meter.h"

#define S INT64_C(1000000)

static void seconds(const struct ratio_clock *c, int64_t now, double unknown, double good, double bad)
{
	ck_assert_double_eq_tol(ratio_clock_seconds(c, METER_UNKNOWN, now), unknown, 1e-9);
	ck_assert_double_eq_tol(ratio_clock_seconds(c, METER_GOOD, now), good, 1e-9);
	ck_assert_double_eq_tol(ratio_clock_seconds(c, METER_BAD, now), bad, 1e-9);
}

/* ---- ratio clocks -------------------------------------------------------------------------------------------- */

START_TEST(nothing_is_observed_before_the_clock_starts)
{
	struct ratio_clock c = { 0 };

	seconds(&c, 1000 * S, 0, 0, 0);
	ck_assert(isnan(ratio_clock_ratio(&c, 1000 * S)));
	ratio_clock_set(&c, METER_GOOD, 1000 * S);
	seconds(&c, 1000 * S, 0, 0, 0);
	seconds(&c, 1010 * S, 0, 10, 0);
}
END_TEST

START_TEST(a_clock_may_start_at_zero)
{
	struct ratio_clock c = { 0 };

	ratio_clock_set(&c, METER_GOOD, 0);
	ratio_clock_set(&c, METER_BAD, 10 * S);
	ck_assert_double_eq_tol(ratio_clock_seconds(&c, METER_GOOD, 20 * S), 10, 1e-5);
}
END_TEST

START_TEST(every_second_is_booked_once)
{
	struct ratio_clock c = { 0 };

	ratio_clock_set(&c, METER_UNKNOWN, 100 * S);
	ratio_clock_set(&c, METER_GOOD, 105 * S);
	ratio_clock_set(&c, METER_GOOD, 110 * S);	/* still good: nothing begins anew */
	ratio_clock_set(&c, METER_BAD, 125 * S);
	seconds(&c, 130 * S, 5, 20, 5);
	ratio_clock_set(&c, METER_PAUSED, 130 * S);
	ratio_clock_set(&c, METER_GOOD, 1000 * S);
	seconds(&c, 1000 * S, 5, 20, 5);
	ck_assert_double_eq_tol(ratio_clock_seconds(&c, METER_PAUSED, 1000 * S), 870, 1e-9);
	ck_assert_double_eq_tol(ratio_clock_ratio(&c, 1000 * S), 0.8, 1e-9);
}
END_TEST

START_TEST(unknown_and_paused_time_is_never_good)
{
	struct ratio_clock c = { 0 };

	ratio_clock_set(&c, METER_UNKNOWN, 1 * S);
	ck_assert(isnan(ratio_clock_ratio(&c, 100 * S)));
	ratio_clock_set(&c, METER_PAUSED, 100 * S);
	ck_assert(isnan(ratio_clock_ratio(&c, 200 * S)));
	ratio_clock_set(&c, METER_BAD, 200 * S);
	ck_assert_double_eq(ratio_clock_ratio(&c, 201 * S), 0);
	ratio_clock_set(&c, METER_GOOD, 201 * S);
	ck_assert_double_eq_tol(ratio_clock_ratio(&c, 204 * S), 0.75, 1e-9);
}
END_TEST

START_TEST(a_failure_counts_from_the_last_success)
{
	struct ratio_clock c = { 0 };

	ratio_clock_set(&c, METER_GOOD, 100 * S);
	ratio_clock_set_from(&c, METER_BAD, 150 * S, 160 * S);
	seconds(&c, 170 * S, 0, 50, 20);
}
END_TEST

START_TEST(retroactive_never_reaches_before_the_state_it_ends)
{
	struct ratio_clock c = { 0 };

	ratio_clock_set(&c, METER_UNKNOWN, 100 * S);
	ratio_clock_set(&c, METER_GOOD, 140 * S);
	ratio_clock_set_from(&c, METER_BAD, 120 * S, 160 * S);
	seconds(&c, 160 * S, 40, 0, 20);
	ratio_clock_set_from(&c, METER_GOOD, 0, 165 * S);	/* BAD began at 140 */
	seconds(&c, 165 * S, 40, 25, 0);
}
END_TEST

START_TEST(the_future_is_not_booked)
{
	struct ratio_clock c = { 0 };

	ratio_clock_set_from(&c, METER_GOOD, 500 * S, 100 * S);
	ratio_clock_set_from(&c, METER_BAD, 500 * S, 110 * S);
	seconds(&c, 120 * S, 0, 10, 10);
	ck_assert_double_eq(ratio_clock_seconds(&c, METER_BAD, 100 * S), 0);	/* asked about before it began */
}
END_TEST

/* ---- histograms ------------------------------------------------------------------------------------------------ */

START_TEST(bounds_rise_from_a_millisecond_to_five_minutes)
{
	ck_assert_double_eq(histogram_bounds[0], 0.001);
	ck_assert_double_eq(histogram_bounds[HISTOGRAM_BOUNDS - 1], 300);
	for (int i = 1; i < HISTOGRAM_BOUNDS; i++) {
		double step = histogram_bounds[i] / histogram_bounds[i - 1];

		ck_assert(step >= 2 - 1e-9 && step <= 5 + 1e-9);
	}
}
END_TEST

START_TEST(a_bound_belongs_to_its_bucket)
{
	struct histogram h = { 0 };

	histogram_add(&h, 0.001);
	histogram_add(&h, 0.0010001);
	histogram_add(&h, 300);
	histogram_add(&h, 301);
	ck_assert_uint_eq(h.counts[0], 1);
	ck_assert_uint_eq(h.counts[1], 1);
	ck_assert_uint_eq(h.counts[HISTOGRAM_BOUNDS - 1], 1);
	ck_assert_uint_eq(h.counts[HISTOGRAM_BOUNDS], 1);
	ck_assert_uint_eq(histogram_total(&h), 4);
	ck_assert_double_eq_tol(h.sum, 601.0020001, 1e-9);
}
END_TEST

START_TEST(impossible_delays_do_no_harm)
{
	struct histogram h = { 0 };

	histogram_add(&h, -5);
	histogram_add(&h, (double)NAN);
	histogram_add(&h, (double)INFINITY);
	ck_assert_uint_eq(histogram_total(&h), 1);
	ck_assert_double_eq(h.sum, 0);
}
END_TEST

START_TEST(quantiles_lie_on_a_line_within_a_bucket)
{
	struct histogram h = { 0 };

	ck_assert(isnan(histogram_quantile(&h, 0.5)));
	for (int i = 0; i < 100; i++)
		histogram_add(&h, 0.015);	/* bucket 0.01 to 0.02 */
	ck_assert_double_eq_tol(histogram_quantile(&h, 0.5), 0.015, 1e-9);
	ck_assert_double_eq_tol(histogram_quantile(&h, 0), 0.01, 1e-9);
	ck_assert_double_eq_tol(histogram_quantile(&h, 1), 0.02, 1e-9);
	for (int i = 0; i < 300; i++)
		histogram_add(&h, 0.7);		/* bucket 0.5 to 1 */
	ck_assert_double_eq_tol(histogram_quantile(&h, 0.25), 0.02, 1e-9);
	ck_assert_double_eq_tol(histogram_quantile(&h, 0.625), 0.75, 1e-9);
	ck_assert_double_eq_tol(histogram_quantile(&h, 7), 1, 1e-9);
	for (int i = 0; i < 600; i++)
		histogram_add(&h, 1e6);
	ck_assert_double_eq(histogram_quantile(&h, 0.99), 300);
}
END_TEST

/* ---- rates ------------------------------------------------------------------------------------------------------- */

START_TEST(a_rate_is_the_last_minute)
{
	struct rate r = { 0 };

	ck_assert_double_eq(rate_per_second(&r, 1000 * S), 0);
	rate_add(&r, 60, 1000 * S);
	rate_add(&r, 60, 1000 * S + 999999);
	ck_assert_double_eq(rate_per_second(&r, 1001 * S), 2);
	ck_assert_double_eq(rate_per_second(&r, 1059 * S), 2);
	ck_assert_double_eq(rate_per_second(&r, 1060 * S), 0);
	rate_add(&r, 120, 1030 * S);
	ck_assert_double_eq(rate_per_second(&r, 1059 * S), 4);
	ck_assert_double_eq(rate_per_second(&r, 1060 * S), 2);
	rate_add(&r, 180, 1060 * S);
	ck_assert_double_eq(rate_per_second(&r, 1060 * S), 5);
	ck_assert_double_eq(rate_per_second(&r, 1090 * S), 3);
	ck_assert_double_eq(rate_per_second(&r, 999999 * S), 0);
}
END_TEST

START_TEST(old_slots_are_not_counted_again)
{
	struct rate r = { 0 };

	for (int64_t second = 1; second < 1000; second++) {
		rate_add(&r, 6, second * S);
		ck_assert_double_eq_tol(rate_per_second(&r, second * S), second < 60 ? (double)second / 10 : 6, 1e-9);
	}
	rate_add(&r, 60, 100000 * S);
	ck_assert_double_eq(rate_per_second(&r, 100000 * S), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("meter");
	TCase *c = tcase_create("meter");
	SRunner *r;
	int failed;

	tcase_add_test(c, nothing_is_observed_before_the_clock_starts);
	tcase_add_test(c, a_clock_may_start_at_zero);
	tcase_add_test(c, every_second_is_booked_once);
	tcase_add_test(c, unknown_and_paused_time_is_never_good);
	tcase_add_test(c, a_failure_counts_from_the_last_success);
	tcase_add_test(c, retroactive_never_reaches_before_the_state_it_ends);
	tcase_add_test(c, the_future_is_not_booked);
	tcase_add_test(c, bounds_rise_from_a_millisecond_to_five_minutes);
	tcase_add_test(c, a_bound_belongs_to_its_bucket);
	tcase_add_test(c, impossible_delays_do_no_harm);
	tcase_add_test(c, quantiles_lie_on_a_line_within_a_bucket);
	tcase_add_test(c, a_rate_is_the_last_minute);
	tcase_add_test(c, old_slots_are_not_counted_again);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
