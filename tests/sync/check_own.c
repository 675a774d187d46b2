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
static struct flow flow = { .sync = &sync_ };
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

	own_note(&side, &v, inserted);
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

int main(void)
{
	Suite *s = suite_create("own");
	TCase *t = tcase_create("own");
	SRunner *sr;
	int failed;

	digest_key_random(&store.key);
	tcase_add_test(t, the_last_writes_are_known_and_no_others);
	suite_add_tcase(s, t);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed > 0;
}
