/* check_meter.c - the arithmetic of src/meter/meter.h. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "meter/debts.h"
#include "meter/meter.h"

#define S INT64_C(1000000)

/* ---- timelines: what came of it ------------------------------------------------------------------------------ */

static struct timeline t;

static void fresh(void)
{
	memset(&t, 0, sizeof t);
}

static void spent_is(struct spent s, double unknown, double good, double bad, double late, double aside, double paused)
{
	ck_assert_double_eq_tol(spent_seconds(&s, METER_UNKNOWN), unknown, 1e-9);
	ck_assert_double_eq_tol(spent_seconds(&s, METER_GOOD), good, 1e-9);
	ck_assert_double_eq_tol(spent_seconds(&s, METER_BAD), bad, 1e-9);
	ck_assert_double_eq_tol(spent_seconds(&s, METER_LATE), late, 1e-9);
	ck_assert_double_eq_tol(spent_seconds(&s, METER_ASIDE), aside, 1e-9);
	ck_assert_double_eq_tol(spent_seconds(&s, METER_PAUSED), paused, 1e-9);
}

static void total_is(double unknown, double good, double bad, double late, double aside, double paused)
{
	spent_is(timeline_total(&t), unknown, good, bad, late, aside, paused);
}

START_TEST(no_ratio_where_nothing_was_observed)
{
	struct spent none = { { 0 } }, only_unknown = { { [METER_UNKNOWN] = 10 * S, [METER_PAUSED] = 10 * S } };

	ck_assert(isnan(ratio_of(&none, RATIO_GOOD).value) && isnan(ratio_of(&none, RATIO_GOOD).coverage));
	ck_assert(isnan(ratio_of(&only_unknown, RATIO_GOOD).value));
	ck_assert_double_eq(ratio_of(&only_unknown, RATIO_GOOD).coverage, 0);
	ck_assert_double_eq(ratio_of(&only_unknown, RATIO_GOOD).lower, 0);
	ck_assert_double_eq(ratio_of(&only_unknown, RATIO_GOOD).upper, 1);
}
END_TEST

START_TEST(a_ratio_lies_between_its_bounds_and_paused_time_is_no_part_of_it)
{
	struct spent s = { { [METER_UNKNOWN] = 20 * S, [METER_GOOD] = 60 * S, [METER_BAD] = 10 * S, [METER_LATE] = 6 * S, [METER_ASIDE] = 4 * S,
			     [METER_PAUSED] = 900 * S } };
	struct ratio k = ratio_of(&s, RATIO_GOOD), timely = ratio_of(&s, RATIO_TIMELY);

	ck_assert_double_eq_tol(k.value, 0.75, 1e-9);
	ck_assert_double_eq_tol(k.coverage, 0.8, 1e-9);
	ck_assert_double_eq_tol(k.lower, 0.6, 1e-9);
	ck_assert_double_eq_tol(k.upper, 0.8, 1e-9);
	ck_assert_double_eq_tol(timely.value, 0.875, 1e-9);
	ck_assert_double_eq_tol(timely.coverage, k.coverage, 1e-9);
	/* the manual says that the bounds follow from these two */
	ck_assert_double_eq_tol(k.value * k.coverage, k.lower, 1e-9);
	ck_assert_double_eq_tol(k.value * k.coverage + 1 - k.coverage, k.upper, 1e-9);
}
END_TEST

/* ---- timelines: provisional, settled ------------------------------------------------------------------------- */

START_TEST(only_settled_time_is_shown)
{
	fresh();
	timeline_set(&t, METER_GOOD, 100 * S);
	timeline_set(&t, METER_GOOD, 110 * S);
	total_is(0, 0, 0, 0, 0, 0);
	timeline_settle(&t, 107 * S);
	total_is(0, 7, 0, 0, 0, 0);
	timeline_settle(&t, 103 * S);			/* never back */
	timeline_settle(&t, 500 * S);			/* nor ahead */
	total_is(0, 10, 0, 0, 0, 0);
}
END_TEST

START_TEST(every_second_is_booked_once)
{
	fresh();
	timeline_set(&t, METER_UNKNOWN, 100 * S);
	timeline_set(&t, METER_GOOD, 105 * S);
	timeline_set(&t, METER_GOOD, 110 * S);
	timeline_set(&t, METER_BAD, 125 * S);
	timeline_set(&t, METER_PAUSED, 130 * S);
	timeline_set(&t, METER_GOOD, 1000 * S);
	timeline_set(&t, METER_GOOD, 1000 * S);
	timeline_settle(&t, 1000 * S);
	total_is(5, 20, 5, 0, 0, 870);
}
END_TEST

START_TEST(what_turns_out_is_booked_from_when_it_was_so)
{
	fresh();
	timeline_set(&t, METER_GOOD, 100 * S);
	timeline_settle(&t, 120 * S);
	timeline_set(&t, METER_GOOD, 140 * S);
	timeline_settle(&t, 120 * S);
	timeline_worsen(&t, METER_BAD, 110 * S, 135 * S);	/* but not in what is settled */
	timeline_worsen(&t, METER_LATE, 130 * S, 135 * S);
	timeline_settle(&t, 140 * S);
	total_is(0, 25, 10, 5, 0, 0);
}
END_TEST

START_TEST(the_worse_of_two_states_stands_and_what_is_now_stays)
{
	fresh();
	timeline_set(&t, METER_GOOD, 100 * S);
	timeline_worsen(&t, METER_BAD, 100 * S, 104 * S);
	timeline_worsen(&t, METER_UNKNOWN, 102 * S, 106 * S);
	timeline_worsen(&t, METER_BAD, 103 * S, 105 * S);
	timeline_set(&t, METER_GOOD, 110 * S);
	timeline_settle(&t, 110 * S);
	total_is(1, 4, 5, 0, 0, 0);
	timeline_set(&t, METER_PAUSED, 110 * S);
	timeline_set(&t, METER_PAUSED, 120 * S);
	timeline_worsen(&t, METER_LATE, 110 * S, 120 * S);
	timeline_settle(&t, 120 * S);
	total_is(1, 4, 5, 0, 0, 10);
}
END_TEST

START_TEST(a_young_difference_beside_one_that_stands_aside_is_late)
{
	fresh();
	timeline_set(&t, METER_ASIDE, 100 * S);
	timeline_worsen(&t, METER_BAD, 102 * S, 105 * S);
	timeline_set(&t, METER_BAD, 110 * S);
	timeline_set(&t, METER_BAD, 120 * S);
	timeline_worsen(&t, METER_ASIDE, 115 * S, 118 * S);
	timeline_settle(&t, 120 * S);
	total_is(0, 0, 7, 6, 7, 0);
}
END_TEST

START_TEST(what_nobody_looked_at_is_unknown_whatever_it_seemed)
{
	fresh();
	timeline_set(&t, METER_BAD, 100 * S);
	timeline_set(&t, METER_GOOD, 110 * S);
	timeline_set(&t, METER_PAUSED, 150 * S);
	timeline_set(&t, METER_PAUSED, 160 * S);
	timeline_unseen(&t, 105 * S, 155 * S);
	timeline_settle(&t, 160 * S);
	total_is(45, 0, 5, 0, 0, 10);
}
END_TEST

START_TEST(good_that_was_not_proven_in_time_is_unknown_and_bad_is_bad)
{
	fresh();
	timeline_set(&t, METER_GOOD, 100 * S);
	timeline_set(&t, METER_BAD, 130 * S);
	timeline_set(&t, METER_GOOD, 140 * S);
	timeline_set(&t, METER_GOOD, 150 * S);
	timeline_settle(&t, 110 * S);
	timeline_expire(&t, 145 * S);
	total_is(25, 10, 10, 0, 0, 0);
	timeline_settle(&t, 150 * S);
	total_is(25, 15, 10, 0, 0, 0);
	ck_assert_int_eq(t.good_us, 150 * S);
}
END_TEST

/* More pieces than there is room for: nothing is lost, and nothing becomes better than it was. */
START_TEST(what_cannot_be_told_apart_counts_against_us)
{
	struct spent s;

	fresh();
	timeline_set(&t, METER_GOOD, 1000 * S);
	for (int i = 0; i < 1000; i++)
		timeline_worsen(&t, METER_BAD, (1000 + 3 * i) * S, (1001 + 3 * i) * S);
	timeline_set(&t, METER_GOOD, 4000 * S);
	timeline_settle(&t, 4000 * S);
	s = timeline_total(&t);
	ck_assert_double_eq_tol(spent_all_seconds(&s), 3000, 1e-9);
	ck_assert_double_ge(spent_bad_seconds(&s), 1000);
	ck_assert_double_ge(spent_seconds(&s, METER_GOOD), 100);
}
END_TEST

START_TEST(pieces_without_good_ones_make_room_too)
{
	struct spent s;

	fresh();
	timeline_set(&t, METER_BAD, 1000 * S);
	for (int i = 0; i < 1000; i++)
		timeline_set(&t, i % 2 ? METER_BAD : METER_UNKNOWN, (1001 + i) * S);
	timeline_settle(&t, 2000 * S);
	s = timeline_total(&t);
	ck_assert_double_eq_tol(spent_all_seconds(&s), 1000, 1e-9);
	ck_assert_double_eq_tol(spent_bad_seconds(&s), 500, 1e-9);
}
END_TEST

/* ---- timelines: windows -------------------------------------------------------------------------------------- */

#define HOUR (INT64_C(3600) * S)

static void go_on(enum meter_state state, int64_t from, int64_t to)
{
	timeline_set(&t, state, from);
	timeline_set(&t, state, to);
	timeline_settle(&t, to);
}

START_TEST(a_window_holds_the_time_that_it_is_named_for)
{
	int64_t begin = 1000 * 24 * HOUR, now = begin + 40 * 24 * HOUR;

	fresh();
	go_on(METER_BAD, begin, now - 25 * HOUR);
	go_on(METER_UNKNOWN, now - 25 * HOUR, now - 2 * HOUR);
	go_on(METER_GOOD, now - 2 * HOUR, now);
	spent_is(timeline_window(&t, WINDOW_HOUR), 0, 3600, 0, 0, 0, 0);
	spent_is(timeline_window(&t, WINDOW_DAY), 22 * 3600.0, 2 * 3600, 0, 0, 0, 0);
	spent_is(timeline_window(&t, WINDOW_MONTH), 23 * 3600.0, 2 * 3600, (30 * 24 - 25) * 3600.0, 0, 0, 0);
	total_is(23 * 3600.0, 2 * 3600, (40 * 24 - 25) * 3600.0, 0, 0, 0);
	for (unsigned ago = 1; ago < 60; ago++)
		spent_is(timeline_minute(&t, ago), 0, 60, 0, 0, 0, 0);
	spent_is(timeline_minute(&t, 0), 0, 0, 0, 0, 0, 0);
}
END_TEST

START_TEST(a_window_goes_on_while_nothing_is_settled)
{
	int64_t begin = 1000 * HOUR;

	fresh();
	go_on(METER_GOOD, begin, begin + 90 * S);
	timeline_set(&t, METER_GOOD, begin + 150 * S);
	spent_is(timeline_window(&t, WINDOW_HOUR), 0, 90, 0, 0, 0, 0);
	spent_is(timeline_minute(&t, 0), 0, 0, 0, 0, 0, 0);
	spent_is(timeline_minute(&t, 1), 0, 30, 0, 0, 0, 0);
	spent_is(timeline_minute(&t, 2), 0, 60, 0, 0, 0, 0);
	timeline_set(&t, METER_GOOD, begin + 2 * HOUR);
	spent_is(timeline_window(&t, WINDOW_HOUR), 0, 0, 0, 0, 0, 0);
	spent_is(timeline_window(&t, WINDOW_DAY), 0, 90, 0, 0, 0, 0);
}
END_TEST

/* ---- timelines: over the end of the process ------------------------------------------------------------------ */

static struct timeline_row rows[TIMELINE_ROWS];

static void live_again(const struct timeline_row *kept, size_t n, int64_t now)
{
	fresh();
	for (size_t i = n; i-- > 0;)
		timeline_restore(&t, &kept[i], now);
	timeline_resume(&t, now);
}

START_TEST(what_was_kept_goes_on_and_the_gap_is_unknown)
{
	int64_t begin = 1000 * HOUR;
	size_t n;

	fresh();
	go_on(METER_GOOD, begin, begin + 100 * S);
	go_on(METER_BAD, begin + 100 * S, begin + 130 * S);
	n = timeline_keep(&t, rows);
	timeline_set(&t, METER_GOOD, begin + 140 * S);	/* this is lost */
	live_again(rows, n, begin + 200 * S);
	ck_assert_int_eq(t.since_us, begin);
	total_is(70, 100, 30, 0, 0, 0);
	spent_is(timeline_window(&t, WINDOW_HOUR), 70, 100, 30, 0, 0, 0);
	spent_is(timeline_window(&t, WINDOW_MONTH), 70, 100, 30, 0, 0, 0);
	spent_is(timeline_minute(&t, 1), 50, 0, 10, 0, 0, 0);
	timeline_worsen(&t, METER_BAD, begin, begin + 200 * S);	/* nobody looked: not even what turns out later changes it */
	go_on(METER_GOOD, begin + 200 * S, begin + 210 * S);
	total_is(70, 110, 30, 0, 0, 0);
}
END_TEST

START_TEST(what_was_provisional_is_kept_as_far_as_it_was_known)
{
	int64_t begin = 1000 * HOUR;
	size_t n;

	fresh();
	go_on(METER_GOOD, begin, begin + 100 * S);
	timeline_set(&t, METER_BAD, begin + 110 * S);
	timeline_set(&t, METER_BAD, begin + 120 * S);
	n = timeline_keep(&t, rows);
	spent_is(*timeline_kept(&t), 0, 100, 0, 0, 0, 0);	/* what a counter shows stays below what the next life begins with */
	timeline_settle(&t, begin + 120 * S);
	total_is(0, 110, 10, 0, 0, 0);
	live_again(rows, n, begin + 120 * S);
	total_is(10, 100, 10, 0, 0, 0);
	spent_is(*timeline_kept(&t), 10, 100, 10, 0, 0, 0);
}
END_TEST

START_TEST(only_what_changed_is_kept_again_and_all_of_it_when_it_was_lost)
{
	int64_t begin = 1000 * HOUR;
	size_t all, some;

	fresh();
	go_on(METER_GOOD, begin, begin + 20 * 60 * S);
	all = timeline_keep(&t, rows);
	ck_assert_uint_eq(all, 1 + 20 + 1);		/* the first quarter is over, the second and the six hours are not */
	go_on(METER_GOOD, begin + 20 * 60 * S, begin + 20 * 60 * S + 10 * S);
	some = timeline_keep(&t, rows);
	ck_assert_uint_eq(some, 1 + 1);
	timeline_lost(&t);
	ck_assert_uint_eq(timeline_keep(&t, rows), 1 + 21 + 1);
}
END_TEST

START_TEST(rows_in_pieces_are_the_same_as_rows_at_once)
{
	static struct timeline_row table[20 * TIMELINE_ROWS];
	int64_t begin = 1000 * HOUR, now = begin;
	struct spent hour, month;
	size_t n = 0;

	fresh();
	for (int i = 0; i < 20; i++, now += 417 * S) {
		size_t more;

		go_on(i % 3 == 0 ? METER_BAD : METER_GOOD, now, now + 417 * S);
		more = timeline_keep(&t, rows);
		for (size_t k = 0; k < more; k++) {	/* a table: the newer row of a name replaces the older one */
			size_t at = 0;

			while (at < n && (table[at].ring != rows[k].ring || table[at].start_us != rows[k].start_us))
				at++;
			table[at] = rows[k];
			n = at == n ? n + 1 : n;
		}
	}
	hour = timeline_window(&t, WINDOW_HOUR);
	month = timeline_window(&t, WINDOW_MONTH);
	live_again(table, n, now);
	ck_assert_mem_eq(timeline_window(&t, WINDOW_HOUR).us, hour.us, sizeof hour.us);
	ck_assert_mem_eq(timeline_window(&t, WINDOW_MONTH).us, month.us, sizeof month.us);
	for (size_t i = 0; i < n; i++)
		if (table[i].ring == WINDOW_HOUR && table[i].start_us < timeline_oldest_us(WINDOW_HOUR, now))
			table[i].spent.us[METER_BAD] = 1;	/* too old: nobody sees it */
	live_again(table, n, now);
	ck_assert_mem_eq(timeline_window(&t, WINDOW_HOUR).us, hour.us, sizeof hour.us);
}
END_TEST

START_TEST(rows_from_the_future_or_of_unknown_rings_do_no_harm)
{
	struct timeline_row odd[] = {
		{ -1, 1000 * HOUR, { { [METER_GOOD] = 100 * S } } },
		{ WINDOW_HOUR, 5000 * HOUR, { { [METER_GOOD] = 60 * S } } },
		{ WINDOW_HOUR, -60 * S, { { [METER_GOOD] = 60 * S } } },
		{ WINDOWS, 1000 * HOUR, { { [METER_GOOD] = 60 * S } } },
	};

	live_again(odd, 4, 1001 * HOUR);
	total_is(3500, 100, 0, 0, 0, 0);
	spent_is(timeline_window(&t, WINDOW_HOUR), 3500, 0, 0, 0, 0, 0);
	live_again(odd, 1, 999 * HOUR);		/* a clock that was put back: no time went by */
	total_is(0, 100, 0, 0, 0, 0);
	go_on(METER_GOOD, 999 * HOUR, 999 * HOUR + 5 * S);
	total_is(0, 105, 0, 0, 0, 0);
}
END_TEST

START_TEST(when_it_was_last_good_is_known_over_a_restart)
{
	size_t n;

	fresh();
	go_on(METER_GOOD, 1000 * HOUR, 1000 * HOUR + 90 * S);
	go_on(METER_BAD, 1000 * HOUR + 90 * S, 1000 * HOUR + 600 * S);
	n = timeline_keep(&t, rows);
	live_again(rows, n, 1001 * HOUR);
	ck_assert_int_le(t.good_us, 1000 * HOUR + 90 * S);
	ck_assert_int_ge(t.good_us, 1000 * HOUR + 30 * S);
}
END_TEST

/* ---- debts ----------------------------------------------------------------------------------------------------- */

START_TEST(the_oldest_debt_is_told_whatever_is_paid_first)
{
	struct debts d = { 0 };

	ck_assert_int_eq(debts_oldest(&d), DEBTS_NONE);
	debts_add(&d, 20 * S);
	debts_add(&d, 10 * S);
	debts_add(&d, 10 * S);
	debts_add(&d, 30 * S);
	ck_assert_int_eq(debts_oldest(&d), 10 * S);
	debts_remove(&d, 10 * S);
	ck_assert_int_eq(debts_oldest(&d), 10 * S);
	debts_remove(&d, 10 * S);
	ck_assert_int_eq(debts_oldest(&d), 20 * S);
	debts_remove(&d, 30 * S);
	debts_remove(&d, 20 * S);
	ck_assert_int_eq(debts_oldest(&d), DEBTS_NONE);
	debts_clear(&d);
}
END_TEST

/* Steady work: there is always something owed, and never anything old. */
START_TEST(debts_that_come_and_go_do_not_age)
{
	struct debts d = { 0 };

	for (int64_t i = 0; i < 100000; i++) {
		debts_add(&d, i * S);
		if (i >= 3)
			debts_remove(&d, (i - 3) * S);
		ck_assert_int_ge(debts_oldest(&d), (i - 3) * S);
	}
	ck_assert_uint_le(d.n, 4);
	debts_clear(&d);
}
END_TEST

START_TEST(many_debts_take_bounded_room_and_are_never_told_too_young)
{
	struct debts d = { 0 };
	int64_t n = 50000;

	for (int64_t i = 0; i < n; i++)
		debts_add(&d, i * S);
	ck_assert_uint_le(d.n, DEBT_BINS);
	for (int64_t i = 0; i < n; i++) {
		ck_assert_int_le(debts_oldest(&d), i * S);
		ck_assert_int_ge(debts_oldest(&d), (i - n / 100) * S);
		debts_remove(&d, i * S);
	}
	ck_assert_int_eq(debts_oldest(&d), DEBTS_NONE);
	debts_clear(&d);
}
END_TEST

START_TEST(paying_what_was_never_owed_leaves_nothing_behind)
{
	struct debts d = { 0 };

	debts_remove(&d, 5 * S);
	debts_add(&d, 10 * S);
	debts_add(&d, -20 * S);
	debts_remove(&d, 11 * S);	/* the nearest older one */
	ck_assert_int_eq(debts_oldest(&d), -20 * S);
	debts_remove(&d, -30 * S);
	ck_assert_int_eq(debts_oldest(&d), DEBTS_NONE);
	debts_clear(&d);
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

/* ---- volume ------------------------------------------------------------------------------------------------------ */

START_TEST(throughput_is_volume_by_latency_and_data_rate_volume_by_time)
{
	struct meter_volume v = { 0 };

	ck_assert_double_eq(meter_throughput(&v, 1000 * S), 0);
	meter_read(&v, 3000, 1000 * S, 1000 * S + S / 2);
	meter_written(&v, 3000, 1001 * S, 1002 * S);
	meter_read(&v, 0, 1002 * S, 1012 * S);		/* nothing was found: no part of it */
	ck_assert_uint_eq(v.read, 3000);
	ck_assert_uint_eq(v.written, 3000);
	ck_assert_double_eq_tol(meter_data_rate(&v, 1012 * S), 6000.0 / 60, 1e-9);
	ck_assert_double_eq_tol(meter_throughput(&v, 1012 * S), 6000 / 1.5, 1e-6);
	ck_assert_double_eq(meter_throughput(&v, 1100 * S), 0);
	meter_read(&v, 10, 1200 * S, 1199 * S);		/* a clock that went back costs no time */
	ck_assert_double_eq(meter_throughput(&v, 1199 * S), 0);
}
END_TEST

/* ---- verify ------------------------------------------------------------------------------------------ */

static void ends(struct meter_entity *m, int64_t us, uint64_t at, int64_t found, int64_t left)
{
	meter_verified(m, found, &(struct meter_verify){ .ended_us = us, .compared = 100, .different = left, .at = at });
	ck_assert_int_eq(m->last_verify.ended_us, us);
}

START_TEST(what_a_verify_found_stands_until_one_clears_it_that_read_as_much)
{
	struct meter_entity m = { 0 };

	ends(&m, 1, 7, 3, 3);
	ck_assert_int_eq(m.last_verify.different, 3);
	ends(&m, 2, 3, 0, 0);			/* the third endpoint was away: it may be the one that differs */
	ck_assert_int_eq(m.last_verify.different, 3);
	ends(&m, 3, 3, 5, 5);
	ck_assert_int_eq(m.last_verify.different, 5);
	ends(&m, 4, 3, 0, 0);
	ck_assert_int_eq(m.last_verify.different, 5);
	ends(&m, 5, 7, 5, 1);			/* a repair, and one would not be mended */
	ck_assert_int_eq(m.last_verify.different, 1);
	ends(&m, 6, 15, 0, 0);
	ck_assert_int_eq(m.last_verify.different, 0);
	ends(&m, 7, 3, 2, 2);			/* nothing stood that only the others could clear */
	ends(&m, 8, 3, 0, 0);
	ck_assert_int_eq(m.last_verify.different, 0);
	ck_assert_uint_eq(m.verified, 800);
	ck_assert_uint_eq(m.verified_different, 15);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("meter");
	TCase *c = tcase_create("meter");
	SRunner *r;
	int failed;

	tcase_add_test(c, no_ratio_where_nothing_was_observed);
	tcase_add_test(c, a_ratio_lies_between_its_bounds_and_paused_time_is_no_part_of_it);
	tcase_add_test(c, only_settled_time_is_shown);
	tcase_add_test(c, every_second_is_booked_once);
	tcase_add_test(c, what_turns_out_is_booked_from_when_it_was_so);
	tcase_add_test(c, the_worse_of_two_states_stands_and_what_is_now_stays);
	tcase_add_test(c, a_young_difference_beside_one_that_stands_aside_is_late);
	tcase_add_test(c, what_nobody_looked_at_is_unknown_whatever_it_seemed);
	tcase_add_test(c, good_that_was_not_proven_in_time_is_unknown_and_bad_is_bad);
	tcase_add_test(c, what_cannot_be_told_apart_counts_against_us);
	tcase_add_test(c, pieces_without_good_ones_make_room_too);
	tcase_add_test(c, a_window_holds_the_time_that_it_is_named_for);
	tcase_add_test(c, a_window_goes_on_while_nothing_is_settled);
	tcase_add_test(c, what_was_kept_goes_on_and_the_gap_is_unknown);
	tcase_add_test(c, what_was_provisional_is_kept_as_far_as_it_was_known);
	tcase_add_test(c, only_what_changed_is_kept_again_and_all_of_it_when_it_was_lost);
	tcase_add_test(c, rows_in_pieces_are_the_same_as_rows_at_once);
	tcase_add_test(c, rows_from_the_future_or_of_unknown_rings_do_no_harm);
	tcase_add_test(c, when_it_was_last_good_is_known_over_a_restart);
	tcase_add_test(c, the_oldest_debt_is_told_whatever_is_paid_first);
	tcase_add_test(c, debts_that_come_and_go_do_not_age);
	tcase_add_test(c, many_debts_take_bounded_room_and_are_never_told_too_young);
	tcase_add_test(c, paying_what_was_never_owed_leaves_nothing_behind);
	tcase_add_test(c, bounds_rise_from_a_millisecond_to_five_minutes);
	tcase_add_test(c, a_bound_belongs_to_its_bucket);
	tcase_add_test(c, impossible_delays_do_no_harm);
	tcase_add_test(c, quantiles_lie_on_a_line_within_a_bucket);
	tcase_add_test(c, a_rate_is_the_last_minute);
	tcase_add_test(c, old_slots_are_not_counted_again);
	tcase_add_test(c, throughput_is_volume_by_latency_and_data_rate_volume_by_time);
	tcase_add_test(c, what_a_verify_found_stands_until_one_clears_it_that_read_as_much);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
