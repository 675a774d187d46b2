/*
 * check_own.c - what we wrote lately: against a list of all that was written.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "sync/state.h"

enum { IDS = 20000, STEPS = 60000, KEPT = 8192 };

static struct store store;
static struct sync sync_ = { .store = &store };
static struct flow flow = { .sync = &sync_, .quantum_us = 10 };
static struct side side = { .flow = &flow };

static struct value id_of(uint32_t i, char text[16])
{
	return (struct value){ text, (int32_t)snprintf(text, 16, "%u", i) };
}

static void note(uint32_t i, uint64_t row, int64_t eff, bool inserted)
{
	struct vfield field = { .key = { .eff = eff } };
	char text[16];
	struct vseen seen = { .present = true, .same = true, .id = id_of(i, text) };
	struct vector v = { .row = row, .fields = &field, .n_fields = 1, .seen = &seen, .n_endpoints = 1 };

	own_note(&side, &v, row, inserted);
}

static struct observation look(uint32_t i, uint64_t row)
{
	static char text[16];
	struct observation o = { .what = OBSERVED_ROW, .id = id_of(i, text), .row = row, .stamp = INT64_MAX };

	own_recognise(&side, &o);
	return o;
}

/* Rows are written anew by some of the steps: what counts then is their last write, and that one of them inserted it. */
START_TEST(the_last_writes_are_known_and_no_others)
{
	static struct { uint32_t at; bool inserted; } last[IDS];
	uint64_t state = 1;

	memset(last, 0, sizeof last);
	for (uint32_t step = 1; step <= STEPS; step++) {
		uint32_t i = (state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407)) >> 33;
		bool inserted = step % 3 == 0;

		i %= step % 2 == 0 ? IDS : 300;
		last[i].inserted = inserted || (last[i].at + KEPT >= step && last[i].at > 0 && last[i].inserted);
		last[i].at = step;
		note(i, step, step, inserted);
	}
	for (uint32_t i = 0; i < IDS; i++) {
		bool known = last[i].at > 0 && last[i].at + KEPT > STEPS;
		struct observation o = look(i, last[i].at), other = look(i, STEPS + 1);

		ck_assert_msg(o.stamp == (known ? last[i].at : INT64_MAX), "row %u", i);
		ck_assert_msg(o.ours == (known && last[i].inserted), "row %u", i);
		ck_assert(other.stamp == INT64_MAX && other.ours == o.ours);	/* somebody has edited it since */
	}
	own_free(&side);
}
END_TEST

static int64_t stamp_of(uint32_t i, uint64_t row, int64_t stamp)
{
	char text[16];
	struct observation o = { .what = OBSERVED_ROW, .id = id_of(i, text), .row = row, .stamp = stamp };

	own_recognise(&side, &o);
	return o.stamp;
}

START_TEST(what_is_on_top_is_younger_by_a_tick)
{
	note(1, 7, 500, false);
	ck_assert_int_eq(stamp_of(1, 7, STAMP_NONE), 500);
	ck_assert_int_eq(stamp_of(1, 7, 400), 500);
	ck_assert_int_eq(stamp_of(1, 8, STAMP_NONE), 510);
	ck_assert_int_eq(stamp_of(1, 8, 505), 510);	/* which is cut down to whole ticks: the same as that below it */
	ck_assert_int_eq(stamp_of(1, 8, 510), 510);
	ck_assert_int_eq(stamp_of(1, 8, 600), 600);
	own_free(&side);
}
END_TEST

START_TEST(of_what_is_not_known_nothing_is_told)
{
	note(1, 0, 500, false);
	ck_assert_int_eq(stamp_of(1, 8, 400), 400);
	note(1, 7, EFF_UNKNOWN, false);
	ck_assert_int_eq(stamp_of(1, 7, 400), STAMP_NONE);
	ck_assert_int_eq(stamp_of(1, 8, 400), 400);
	ck_assert_int_eq(stamp_of(1, 8, STAMP_NONE), STAMP_NONE);
	ck_assert_int_eq(stamp_of(2, 8, 400), 400);
	own_free(&side);
}
END_TEST

/* The second field is one that the side has yet to get, or has alone. */
START_TEST(a_row_in_part_is_as_old_as_what_it_lacks)
{
	struct vfield fields[] = { { 1, { .eff = 900, .origin = 1 } }, { 2, { .eff = 900, .origin = 1 } } };
	struct vdeviation dev = { .field = 1, .digest = 3, .key = { .eff = 500 } };
	char text[16];
	struct vseen seen = { .present = true, .id = id_of(1, text), .deviations = &dev, .n_deviations = 1 };
	struct vector v = { .row = 9, .fields = fields, .n_fields = 2, .seen = &seen, .n_endpoints = 1 };

	own_note(&side, &v, 7, false);
	ck_assert_int_eq(stamp_of(1, 7, 1000), 500);
	fields[0].key = (struct edit_key){ .eff = 700, .origin = 0 };	/* edited there */
	own_note(&side, &v, 7, false);
	ck_assert_int_eq(stamp_of(1, 7, 1000), 700);
	own_free(&side);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("own");
	TCase *t = tcase_create("own");
	SRunner *sr;
	int failed;

	digest_key_random(&store.key);
	tcase_add_test(t, the_last_writes_are_known_and_no_others);
	tcase_add_test(t, what_is_on_top_is_younger_by_a_tick);
	tcase_add_test(t, of_what_is_not_known_nothing_is_told);
	tcase_add_test(t, a_row_in_part_is_as_old_as_what_it_lacks);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed > 0;
}
