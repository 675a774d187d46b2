/*
 * check_algebra.c - every rule in full on a small domain: three endpoints, each of which edits one field or not, to one of
 * three values (NULL among them) at one of two moments. Whatever the order of the observations, and whatever is seen
 * together, the same value is agreed under the same key, and looking again changes nothing. And where some of them delete the record
 * instead, it lives or not by what was done alone: also where one who did nothing is not there.
 */
#include "config.h"

#include "model/decide.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "model/record.h"

enum { ENDPOINTS = 3, VALUES = 3, STAMPS = 2, EDITS = 1 + VALUES * STAMPS, ACTS = EDITS + STAMPS, WAYS = 27 };

/* The sanitizers, which have nothing to say about the algebra, look at a part of it. */
#ifdef WITH_SANITIZERS
enum { EVERY = 7 };
#else
enum { EVERY = 1 };
#endif

#define US INT64_C(1000000)
#define T(s) ((INT64_C(1767225600) + (s)) * US)

static const enum rule rules[] = { RULE_LAST_WRITER_WINS, RULE_SOURCE_PRIORITY, RULE_MIRROR, RULE_NEWEST_FILLED, RULE_MAX, RULE_MIN,
	RULE_MANUAL, RULE_ADD };
enum { N_RULES = sizeof rules / sizeof *rules, N_RULES_BUT_ADD = N_RULES - 1, BASES = 3 };	/* agreed: a value, nothing; a first contact */

static struct arena arena;
static struct digest_key key;
static struct field_def field = { .type = FIELD_TEXT, .group = -1 };
static struct entity_def entity = { .fields = &field, .n_fields = 1, .deletes = DELETES_UPDATE_WINS };
static struct decide_endpoint endpoints[ENDPOINTS];
static const uint8_t in_order[] = { 0 };
static struct decide_policy policy = { .entity = &entity, .endpoints = endpoints, .n_endpoints = ENDPOINTS, .key = &key, .row_order = in_order,
	.now_us = T(1000), .max_ahead_us = 60 * US, .quantum_us = US };

static struct observation row_of(struct value v, int64_t stamp)
{
	struct value *value = arena_alloc(&arena, sizeof *value);
	uint64_t *digest = arena_alloc(&arena, sizeof *digest);

	*value = v;
	*digest = value_digest(&key, field.type, v);
	return (struct observation){ .what = OBSERVED_ROW, .stamp = stamp, .id = value_of("1"), .values = value, .digests = digest,
		.row = row_digest(&key, digest, 1, in_order) };
}

/* Number 0 is no edit: it shows what all began with. */
static struct observation edit_of(size_t number, struct value first)
{
	const struct value texts[VALUES] = { VALUE_NULL, value_of("x"), value_of("y") };
	const struct value numbers[VALUES] = { VALUE_NULL, value_of("7"), value_of("-2") };
	const struct value *values = field.type == FIELD_INTEGER ? numbers : texts;

	return number == 0 ? row_of(first, T(0)) : row_of(values[(number - 1) % VALUES], T(10 + (int64_t)(number - 1) / VALUES));
}

/* What is no edit is a delete. */
static struct observation act_of(size_t number, struct value first)
{
	if (number < EDITS)
		return edit_of(number, first);
	return (struct observation){ .what = OBSERVED_ABSENT, .evidence = true, .stamp = T(10 + (int64_t)(number - EDITS)) };
}

static struct vector *look(const struct vector *base, const struct observation *seen)
{
	struct decision d;

	decide_record(&policy, base, seen, &arena, &d);
	return d.next;
}

/* A way names for every endpoint the step at which it is seen first; at the end all are seen, twice. */
static struct vector *watched(const struct vector *base, const struct observation *rows, size_t way)
{
	size_t step_of[ENDPOINTS] = { way % 3, way / 3 % 3, way / 9 };
	struct vector *once, *twice;

	for (size_t step = 0; step < 3; step++) {
		struct observation seen[ENDPOINTS];
		bool any = false;

		for (size_t e = 0; e < policy.n_endpoints; e++) {
			seen[e] = step_of[e] == step ? rows[e] : (struct observation){ .what = OBSERVED_NOTHING, .stamp = STAMP_NONE };
			any |= step_of[e] == step;
		}
		if (any)
			base = look(base, seen);
	}
	once = look(base, rows);
	twice = look(once, rows);
	ck_assert_uint_eq(once->fields[0].digest, twice->fields[0].digest);
	ck_assert(once->fields[0].key.eff == twice->fields[0].key.eff);
	ck_assert_uint_eq(once->fields[0].key.origin, twice->fields[0].key.origin);
	return once;
}

static struct vfield watch(const struct vector *base, const struct observation *rows, size_t way)
{
	return watched(base, rows, way)->fields[0];
}

static struct vector *begin(struct value first)
{
	struct observation start[ENDPOINTS];

	for (size_t e = 0; e < ENDPOINTS; e++)
		start[e] = row_of(first, T(0));
	return look(NULL, start);
}

/* What the operator is asked, and gets: whether it waits, and then for each side what is agreed when that one is chosen. */
static void ask(const struct vector *base, const struct observation *rows, size_t way, bool *waits, uint32_t chosen[ENDPOINTS])
{
	struct vector *once = watched(base, rows, way);
	struct settlement s = { 0 };
	struct decision d;

	decide_record(&policy, once, rows, &arena, &d);
	*waits = d.waits != 0;
	ck_assert_uint_eq(d.next->fields[0].digest, once->fields[0].digest);
	policy.settlements = &s;
	policy.n_settlements = 1;
	for (size_t e = 0; d.waits != 0 && e < ENDPOINTS; e++) {
		struct decision after;

		s = (struct settlement){ .endpoint = (uint8_t)e, .mark = d.marks[0] };
		decide_record(&policy, once, rows, &arena, &after);
		ck_assert_uint_eq(after.waits, 0);
		chosen[e] = after.next->fields[0].digest;
		ck_assert_uint_eq(chosen[e], digest_field(rows[e].digests[0]));
		for (size_t o = 0; o < ENDPOINTS; o++)
			ck_assert(after.orders[o].action == (rows[o].digests[0] == rows[e].digests[0] ? ACTION_NONE : ACTION_UPDATE));
	}
	policy.n_settlements = 0;
}

/* Under manual the same values wait whatever the order; and nothing waits that all who edited agree on. */
static void all_ways_wait(struct value first, bool known, const size_t *edits)
{
	struct observation rows[ENDPOINTS];
	struct vector *base = known ? begin(first) : NULL;
	bool waits, other_waits;
	uint32_t chosen[ENDPOINTS] = { 0 }, other[ENDPOINTS] = { 0 };
	uint64_t values[ENDPOINTS];
	size_t n = 0;

	for (size_t e = 0; e < ENDPOINTS; e++) {
		rows[e] = edit_of(edits[e], first);
		if (!known || rows[e].digests[0] != value_digest(&key, field.type, first))
			values[n++] = rows[e].digests[0];
	}
	ask(base, rows, 0, &waits, chosen);
	ck_assert_msg(waits == ((n > 1 && values[0] != values[1]) || (n > 2 && values[0] != values[2])),
		      "edits %zu %zu %zu: %s", edits[0], edits[1], edits[2], waits ? "waits" : "does not wait");
	for (size_t way = 1; way < WAYS; way++) {
		ask(base, rows, way, &other_waits, other);
		ck_assert_msg(other_waits == waits && memcmp(chosen, other, sizeof chosen) == 0,
			      "edits %zu %zu %zu, way %zu: waits otherwise", edits[0], edits[1], edits[2], way);
	}
}

/* Under add: what all began with, and each side's difference to that; an empty one counts as nothing. */
static uint32_t sum_of(struct value first, const struct observation *rows)
{
	long long begin = value_is_null(first) ? 0 : atoll(first.data), sum = begin;
	bool any = false;
	char text[24];

	for (size_t e = 0; e < ENDPOINTS; e++) {
		struct value v = rows[e].values[0];

		any |= !value_equal(v, first);
		sum += (value_is_null(v) ? 0 : atoll(v.data)) - begin;
	}
	snprintf(text, sizeof text, "%lld", sum);
	return digest_field(value_digest(&key, field.type, any ? value_of(text) : first));
}

static void all_ways_agree(struct value first, bool known, const size_t *edits)
{
	struct observation rows[ENDPOINTS];
	struct vector *base = known ? begin(first) : NULL;
	struct vfield agreed;

	for (size_t e = 0; e < ENDPOINTS; e++)
		rows[e] = edit_of(edits[e], first);
	agreed = watch(base, rows, 0);
	if (field.rule == RULE_ADD && known)
		ck_assert_msg(agreed.digest == sum_of(first, rows), "edits %zu %zu %zu: not the sum", edits[0], edits[1], edits[2]);
	for (size_t way = 1; way < WAYS; way++) {
		struct vfield other = watch(base, rows, way);

		ck_assert_msg(other.digest == agreed.digest && other.key.origin == agreed.key.origin && other.key.eff == agreed.key.eff,
			      "rule %s, edits %zu %zu %zu, way %zu: another value is agreed", rule_name(field.rule), edits[0], edits[1],
			      edits[2], way);
	}
}

static bool end_alike(const struct vector *a, const struct vector *b)
{
	return a->dead == b->dead && (a->dead || field.rule == RULE_MANUAL || a->fields[0].digest == b->fields[0].digest);
}

static void all_ways_end_alike(struct value first, const size_t *acts)
{
	struct observation rows[ENDPOINTS];
	struct vector *base = begin(first), *end;

	for (size_t e = 0; e < ENDPOINTS; e++)
		rows[e] = act_of(acts[e], first);
	end = watched(base, rows, 0);
	for (size_t way = 1; way < WAYS; way++)
		ck_assert_msg(end_alike(watched(base, rows, way), end), "rule %s, acts %zu %zu %zu: by way %zu it ends otherwise",
			      rule_name(field.rule), acts[0], acts[1], acts[2], way);
	if (acts[2] != 0)
		return;
	policy.n_endpoints = ENDPOINTS - 1;
	base = begin(first);
	for (size_t way = 0; way < WAYS / 3; way++)
		ck_assert_msg(end_alike(watched(base, rows, way), end), "rule %s, acts %zu %zu, way %zu: without the third one it ends otherwise",
			      rule_name(field.rule), acts[0], acts[1], way);
	policy.n_endpoints = ENDPOINTS;
}

static void all_may_edit(void)
{
	for (size_t e = 0; e < ENDPOINTS; e++)
		endpoints[e] = (struct decide_endpoint){ .mapped = true, .votes = true, .writable = true };
	memset(key.secret, 7, sizeof key.secret);
}

/* But for add: what is added to a record that is gone has nothing to be added to. */
START_TEST(who_deletes_and_who_edits_alone_say_whether_the_record_lives)
{
	struct value first = _i % 2 == 1 ? VALUE_NULL : value_of("xx");	/* some of the values are greater, some less */

	field.type = FIELD_TEXT;
	entity.rule = field.rule = rules[_i / 4];
	entity.deletes = _i / 2 % 2 == 1 ? DELETES_DELETE_WINS : DELETES_UPDATE_WINS;
	all_may_edit();
	for (size_t e = 0; e < ENDPOINTS; e++)
		entity.rank[e] = (const uint8_t[]){ 1, 0, 2 }[e];
	for (size_t set = 0; set < ACTS * ACTS * ACTS; set += EVERY) {
		size_t acts[] = { set % ACTS, set / ACTS % ACTS, set / ACTS / ACTS };

		if (acts[0] < EDITS && acts[1] < EDITS && acts[2] < EDITS)
			continue;
		arena_init(&arena);
		all_ways_end_alike(first, acts);
		arena_fini(&arena);
	}
}
END_TEST

START_TEST(whatever_the_order_and_whatever_is_seen_together_the_same_value_is_agreed)
{
	bool adds = rules[_i / BASES] == RULE_ADD;
	struct value first = _i % BASES == 1 ? VALUE_NULL : value_of(adds ? "10" : "first");

	field.type = adds ? FIELD_INTEGER : FIELD_TEXT;
	entity.rule = field.rule = rules[_i / BASES];
	all_may_edit();
	for (size_t e = 0; e < ENDPOINTS; e++)
		entity.rank[e] = (uint8_t)((e + 1) % ENDPOINTS);	/* not the order of the file */
	for (size_t set = 0; set < EDITS * EDITS * EDITS; set++) {
		arena_init(&arena);
		(field.rule == RULE_MANUAL ? all_ways_wait : all_ways_agree)(first, _i % BASES != 2, (const size_t[]){ set % EDITS, set / EDITS % EDITS, set / EDITS / EDITS });
		arena_fini(&arena);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("algebra");
	TCase *t = tcase_create("rules");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 300);
	tcase_add_loop_test(t, whatever_the_order_and_whatever_is_seen_together_the_same_value_is_agreed, 0, N_RULES * BASES);
	tcase_add_loop_test(t, who_deletes_and_who_edits_alone_say_whether_the_record_lives, 0, 4 * N_RULES_BUT_ADD);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
