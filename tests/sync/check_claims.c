/*
 * check_claims.c - which round has a record in work: against a list that is searched from end to end.
 */
#include "sync/claims.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { IDS = 3000, STEPS = 200000, ROUNDS = 6 };

static char rounds[ROUNDS];	/* only their addresses matter */

static const struct round *round_at(size_t i)
{
	return (const struct round *)&rounds[i];
}

static uint64_t state;

static uint32_t below(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

/* Many have the same home, or homes side by side at the end of the table, so that they stand in each other's way. */
static struct rid id_of(uint32_t i, bool crowded)
{
	struct rid rid = { { 0 } };
	uint64_t hash = crowded ? UINT64_MAX - i % 40 : i * UINT64_C(0x9e3779b97f4a7c15);

	memcpy(rid.b, &hash, sizeof hash);
	memcpy(rid.b + sizeof hash, &(uint16_t){ (uint16_t)i }, sizeof(uint16_t));
	return rid;
}

START_TEST(it_knows_what_a_list_knows)
{
	static const struct round *holders[IDS];
	uint32_t ids = _i == 0 ? IDS : 300, busy = 0;
	struct claims t = { 0 };

	state = (uint64_t)_i + 1;
	memset(holders, 0, sizeof holders);
	for (uint32_t step = 0; step < STEPS; step++) {
		bool filling = step / (8 * ids) % 2 == 0;	/* by turns nearly full and nearly empty */
		uint32_t i = below(ids);
		struct rid rid = id_of(i, _i == 1);

		if (holders[i] == NULL || below(4) > (filling ? 0u : 2u)) {
			const struct round *r = round_at(below(ROUNDS));

			ck_assert_ptr_eq(claims_take(&t, &rid, r), holders[i]);
			busy += holders[i] == NULL;
			holders[i] = holders[i] == NULL ? r : holders[i];
		} else {
			claims_let_go(&t, &rid, holders[i]);
			holders[i] = NULL;
			busy--;
		}
		ck_assert_uint_eq(t.n, busy);
	}
	for (uint32_t i = 0; i < ids; i++) {
		struct rid rid = id_of(i, _i == 1);

		if (holders[i] != NULL)
			claims_let_go(&t, &rid, holders[i]);
	}
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_le(t.size, 4096);
	claims_free(&t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("claims");
	TCase *t = tcase_create("claims");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, it_knows_what_a_list_knows, 0, 2);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
