/*
 * check_decide.c - who wins: the rules of decide.h one by one, and the laws of the join on a small domain in full.
 *
 * The named cases tell short stories: what the endpoints show, decide(), write_all(), what is agreed. A row is
 * written "ann Ann Elm Rome": mail (the key), name, street, city; times are seconds after some moment.
 */
#include "model/decide.h"
#include "model/doubt.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "base/arena.h"
#include "model/record.h"

enum { A, B, C, ENDPOINTS };		/* in the order of their priority */
enum { MAIL, NAME, STREET, CITY, FIELDS };
enum { NOW = 1000, MAX_AHEAD = 60 };

/* Of the exhaustive part the sanitizers, which have nothing to say about laws, look at a part. */
#ifdef WITH_SANITIZERS
enum { EVERY = 7 };
#else
enum { EVERY = 1 };
#endif

#define US INT64_C(1000000)
#define T(s) ((INT64_C(1767225600) + (s)) * US)
#define MASK(f) (UINT64_C(1) << (f))
#define EVERY_FIELD (MASK(FIELDS) - 1)

static struct arena arena;
static struct digest_key key;
static struct field_def fields[FIELDS];
static struct entity_def entity;
static struct decide_endpoint endpoints[ENDPOINTS];
static struct decide_policy policy;
static uint8_t in_order[FIELDS_MAX];

static struct observation now[ENDPOINTS];
static struct vector *base;
static struct decision d;

/* ---- telling a story ----------------------------------------------------------------------------------- */

static void setup_fields(size_t n)
{
	memset(fields, 0, sizeof fields);
	for (size_t f = 0; f < n; f++)
		in_order[f] = (uint8_t)f;
	for (size_t f = 0; f < n; f++)
		fields[f] = (struct field_def){ .type = FIELD_TEXT, .rule = RULE_LAST_WRITER_WINS, .group = -1 };
	entity = (struct entity_def){ .fields = fields, .n_fields = n, .rule = RULE_LAST_WRITER_WINS,
		.deletes = DELETES_UPDATE_WINS };
	for (size_t e = 0; e < ENDPOINTS_MAX; e++)
		entity.rank[e] = (uint8_t)e;
}

static void setup(void)
{
	arena_fini(&arena);		/* of a story told before in the same test */
	arena_init(&arena);
	for (size_t i = 0; i < sizeof key.secret; i++)
		key.secret[i] = (unsigned char)(i * 131 + 7);
	setup_fields(FIELDS);
	fields[MAIL].is_key = true;
	entity.key[0] = MAIL;
	entity.n_key = 1;
	for (size_t e = 0; e < ENDPOINTS; e++)
		endpoints[e] = (struct decide_endpoint){ .mapped = true, .votes = true, .writable = true };
	policy = (struct decide_policy){ .entity = &entity, .endpoints = endpoints, .n_endpoints = 2, .key = &key, .row_order = in_order,
		.now_us = T(NOW), .max_ahead_us = MAX_AHEAD * US, .quantum_us = US };
	memset(now, 0, sizeof now);
	base = NULL;
}

static void teardown(void)
{
	arena_fini(&arena);
}

static void rule_for_all(enum rule rule)
{
	entity.rule = rule;
	for (size_t f = 0; f < entity.n_fields; f++)
		fields[f].rule = rule;
}

static void group_the_address(void)
{
	fields[STREET].group = fields[CITY].group = 0;
	entity.n_groups = 1;
}

static struct value word(const char **text)
{
	size_t n = strcspn(*text, " ");
	struct value v = { *text, (int32_t)n };

	*text += n + strspn(*text + n, " ");
	return v;
}

static struct value first_id(size_t e)
{
	static const char *const ids[ENDPOINTS] = { "a1", "b1", "c1" };

	return value_of(ids[e]);
}

static struct observation row_of(const char *text, int64_t stamp, struct value id)
{
	struct value *values = arena_alloc(&arena, FIELDS * sizeof *values);
	uint64_t *digests = arena_alloc(&arena, FIELDS * sizeof *digests);

	for (size_t f = 0; f < FIELDS; f++) {
		values[f] = word(&text);
		digests[f] = value_digest(&key, fields[f].type, values[f]);
	}
	return (struct observation){ .what = OBSERVED_ROW, .stamp = stamp, .id = id, .values = values,
		.digests = digests, .row = row_digest(&key, digests, FIELDS, in_order) };
}

static void shows(size_t e, int64_t seconds, const char *text)
{
	now[e] = row_of(text, T(seconds), first_id(e));
}

/* Deleted and entered once more: the same key, another local id. */
static void shows_another_row(size_t e, int64_t seconds, const char *text)
{
	now[e] = row_of(text, T(seconds), value_of("another"));
}

/* The value gets another one's short digest, as happens by chance once in 2^24. */
static void collides(size_t e, size_t f, const char *with)
{
	uint64_t digests[FIELDS];

	memcpy(digests, now[e].digests, sizeof digests);
	digests[f] = value_digest(&key, FIELD_TEXT, value_of(with)) ^ MASK(50);
	now[e].digests = memcpy(arena_alloc(&arena, sizeof digests), digests, sizeof digests);
	now[e].row = row_digest(&key, digests, FIELDS, in_order);
}

static void is_silent(size_t e)
{
	now[e] = (struct observation){ .what = OBSERVED_NOTHING, .stamp = STAMP_NONE };
}

static void is_missing(size_t e)
{
	now[e] = (struct observation){ .what = OBSERVED_ABSENT, .stamp = STAMP_NONE };
}

static void deletes(size_t e, int64_t seconds)
{
	now[e] = (struct observation){ .what = OBSERVED_ABSENT, .evidence = true, .stamp = T(seconds) };
}

static void decide(void)
{
	decide_record(&policy, base, now, &arena, &d);
	base = d.next;
}

/* Carries out one endpoint's order as its database would, and shows the result from now on. */
static void write_to(size_t e)
{
	struct value id = d.orders[e].action == ACTION_INSERT ? value_of("new") : now[e].id;
	struct value *values;
	uint64_t *digests;

	switch (d.orders[e].action) {
	case ACTION_NONE:
		return;
	case ACTION_DELETE:
		is_missing(e);
		break;
	case ACTION_INSERT:
	case ACTION_UPDATE:
		values = arena_alloc(&arena, FIELDS * sizeof *values);
		digests = arena_alloc(&arena, FIELDS * sizeof *digests);
		for (size_t f = 0; f < FIELDS; f++) {
			bool sent = d.orders[e].fields & MASK(f);

			ck_assert(!sent || (d.have & MASK(f)));
			values[f] = sent ? d.values[f] : now[e].values[f];
			digests[f] = sent ? d.digests[f] : now[e].digests[f];
		}
		now[e] = (struct observation){ .what = OBSERVED_ROW, .stamp = STAMP_NONE, .id = id, .values = values,
			.digests = digests, .row = row_digest(&key, digests, FIELDS, in_order) };
		break;
	}
	decide_applied(&policy, &d, e, NULL, id, &arena);
}

static void write_all(void)
{
	for (size_t e = 0; e < policy.n_endpoints; e++)
		write_to(e);
}

/* Everybody shows this row, at second 0, and it is agreed. */
static void all_know(const char *text)
{
	for (size_t e = 0; e < policy.n_endpoints; e++)
		shows(e, 0, text);
	decide();
}

static void expect_agreed(const char *text)
{
	ck_assert(!base->dead);
	for (size_t f = 0; f < FIELDS; f++)
		ck_assert_msg(base->fields[f].digest == digest_field(value_digest(&key, FIELD_TEXT, word(&text))),
			      "field %zu is another one", f);
}

static void expect_order(size_t e, enum action action, uint64_t mask)
{
	ck_assert_int_eq(d.orders[e].action, action);
	ck_assert_uint_eq(d.orders[e].fields, mask);
}

static bool is_owed_any(void)
{
	for (size_t e = 0; e < policy.n_endpoints; e++)
		if (base->seen[e].owed)
			return true;
	return false;
}

static void expect_nothing_to_do(void)
{
	for (size_t e = 0; e < policy.n_endpoints; e++)
		expect_order(e, ACTION_NONE, 0);
	ck_assert(!is_owed_any());
}

/* Looking again finds no edit, loses nothing and writes nothing. */
static void expect_quiet(void)
{
	for (size_t e = 0; e < policy.n_endpoints; e++)
		ck_assert(vector_shows(base, e, &now[e]));
	decide();
	expect_nothing_to_do();
	ck_assert_uint_eq(d.edited, 0);
	ck_assert_uint_eq(d.n_lost, 0);
}

static const struct lost_edit *only_lost(enum lost_kind kind, size_t loser, size_t winner)
{
	ck_assert_uint_eq(d.n_lost, 1);
	ck_assert_int_eq(d.lost[0].kind, kind);
	ck_assert_uint_eq(d.lost[0].loser, loser);
	ck_assert_uint_eq(d.lost[0].winner, winner);
	return &d.lost[0];
}

/* ---- edits ----------------------------------------------------------------------------------------------- */

START_TEST(an_echo_is_nothing)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	ck_assert_uint_eq(d.edited, MASK(A));
	ck_assert_int_eq(d.oldest_edit_us, T(10));
	ck_assert(!vector_shows(base, B, &(struct observation){ .what = OBSERVED_ABSENT }));
	write_all();
	now[B].stamp = T(20);	/* our write, as the capture reports it */
	expect_quiet();
	expect_agreed("ann Eve Elm Rome");
	ck_assert_uint_eq(base->fields[NAME].key.origin, A);
}
END_TEST

START_TEST(edits_of_different_fields_both_stay)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	shows(B, 12, "ann Ann Elm Oslo");
	decide();
	expect_agreed("ann Eve Elm Oslo");
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	ck_assert_uint_eq(d.edited, MASK(A) | MASK(B));
	ck_assert_uint_eq(d.n_lost, 0);
	write_all();
	expect_quiet();
}
END_TEST

/* A and B edit the name; observed in either order, or together. */
static void both_edit(int order, int64_t stamp_a, int64_t stamp_b)
{
	all_know("ann Ann Elm Rome");
	for (int step = 0; step < 2; step++) {
		is_silent(A);
		is_silent(B);
		if (order == 2 || order == step)
			shows(A, stamp_a, "ann Eve Elm Rome");
		if (order == 2 || order != step)
			shows(B, stamp_b, "ann Joe Elm Rome");
		decide();
		if (order == 2)
			return;
	}
}

START_TEST(the_later_stamp_wins)
{
	both_edit(_i, 10, 11);
	expect_agreed("ann Joe Elm Rome");
	ck_assert_str_eq(only_lost(LOST_CONFLICT, A, B)->tie_break, "stamp");
	ck_assert_uint_eq(d.lost[0].field, NAME);
	setup();
	both_edit(_i, 11, 10);
	expect_agreed("ann Eve Elm Rome");
	only_lost(LOST_CONFLICT, B, A);
}
END_TEST

START_TEST(equal_stamps_go_to_the_higher_priority_whoever_is_observed_first)
{
	both_edit(_i, 10, 10);
	expect_agreed("ann Eve Elm Rome");
	ck_assert_str_eq(only_lost(LOST_CONFLICT, B, A)->tie_break, "priority");
	setup();
	entity.rank[A] = 1;
	entity.rank[B] = 0;
	both_edit(_i, 10, 10);
	expect_agreed("ann Joe Elm Rome");
	only_lost(LOST_CONFLICT, A, B);
}
END_TEST

START_TEST(stamps_within_one_quantum_are_equal)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	shows(B, 10, "ann Joe Elm Rome");
	now[B].stamp += US - 1;
	decide();
	expect_agreed("ann Eve Elm Rome");
	ck_assert_str_eq(only_lost(LOST_CONFLICT, B, A)->tie_break, "priority");
}
END_TEST

START_TEST(source_priority_beats_the_stamp_on_the_same_base)
{
	rule_for_all(RULE_SOURCE_PRIORITY);
	both_edit(_i, 10, 500);
	expect_agreed("ann Eve Elm Rome");
	ck_assert_str_eq(only_lost(LOST_CONFLICT, B, A)->tie_break, "priority");
}
END_TEST

START_TEST(source_priority_yields_to_a_later_edit)
{
	rule_for_all(RULE_SOURCE_PRIORITY);
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	write_all();
	shows(B, 5, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Joe Elm Rome");
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(A, ACTION_UPDATE, MASK(NAME));
}
END_TEST

/* The name that the row tells as empty, in the way of the database. */
static void shows_no_name(size_t e, int64_t seconds, struct value blank)
{
	struct value values[FIELDS];
	uint64_t digests[FIELDS];

	shows(e, seconds, "ann Ann Elm Rome");
	memcpy(values, now[e].values, sizeof values);
	memcpy(digests, now[e].digests, sizeof digests);
	values[NAME] = blank;
	digests[NAME] = value_digest(&key, FIELD_TEXT, blank);
	now[e].values = memcpy(arena_alloc(&arena, sizeof values), values, sizeof values);
	now[e].digests = memcpy(arena_alloc(&arena, sizeof digests), digests, sizeof digests);
	now[e].row = row_digest(&key, digests, FIELDS, in_order);
}

START_TEST(newest_filled_puts_a_value_back_that_was_blanked)
{
	rule_for_all(RULE_NEWEST_FILLED);
	all_know("ann Ann Elm Rome");
	shows_no_name(A, 10, _i == 0 ? VALUE_NULL : value_of(""));
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	ck_assert_str_eq(only_lost(LOST_CONFLICT, A, A)->tie_break, "value");
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(newest_filled_lets_a_value_take_the_place_of_a_later_blank)
{
	rule_for_all(RULE_NEWEST_FILLED);
	all_know("ann Ann Elm Rome");
	shows_no_name(A, 500, VALUE_NULL);
	shows(B, 10, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Joe Elm Rome");
	ck_assert_str_eq(only_lost(LOST_CONFLICT, A, B)->tie_break, "value");
}
END_TEST

START_TEST(newest_filled_is_last_writer_wins_among_values)
{
	rule_for_all(RULE_NEWEST_FILLED);
	both_edit(_i, 10, 11);
	expect_agreed("ann Joe Elm Rome");
	ck_assert_str_eq(only_lost(LOST_CONFLICT, A, B)->tie_break, "stamp");
}
END_TEST

START_TEST(newest_filled_never_writes_what_is_out_of_reach)
{
	rule_for_all(RULE_NEWEST_FILLED);
	all_know("ann Ann Elm Rome");
	shows_no_name(A, 10, VALUE_NULL);
	is_silent(B);
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_NONE, 0);
	ck_assert(base->seen[A].owed);
	shows(B, 0, "ann Ann Elm Rome");
	decide();
	expect_order(A, ACTION_UPDATE, MASK(NAME));
}
END_TEST

START_TEST(max_puts_back_what_was_lowered_and_min_what_was_raised)
{
	fields[NAME].rule = _i == 0 ? RULE_MAX : RULE_MIN;
	all_know("ann Joe Elm Rome");
	shows(A, 500, _i == 0 ? "ann Eve Elm Rome" : "ann Tom Elm Rome");
	decide();
	expect_agreed("ann Joe Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	ck_assert_str_eq(only_lost(LOST_CONFLICT, A, A)->tie_break, "value");
	write_all();
	expect_quiet();
	shows(A, 510, _i == 0 ? "ann Tom Elm Rome" : "ann Eve Elm Rome");
	decide();
	expect_agreed(_i == 0 ? "ann Tom Elm Rome" : "ann Eve Elm Rome");
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	ck_assert_uint_eq(d.n_lost, 0);
}
END_TEST

START_TEST(max_takes_the_greatest_whenever_it_was_written_and_whatever_is_seen_first)
{
	fields[NAME].rule = RULE_MAX;
	both_edit(_i, 500, 10);		/* Eve and Joe, on top of Ann: seen together, nobody shows Ann any more */
	now[A] = row_of("ann Eve Elm Rome", T(500), first_id(A));
	now[B] = row_of("ann Joe Elm Rome", T(10), first_id(B));
	if (_i != 2)
		decide();
	expect_agreed("ann Joe Elm Rome");
	ck_assert_uint_eq(base->fields[NAME].key.origin, B);
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	expect_order(B, ACTION_NONE, 0);
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(max_waits_while_the_agreed_value_is_out_of_reach)
{
	fields[NAME].rule = RULE_MAX;
	all_know("ann Joe Elm Rome");
	shows(A, 10, "ann Tom Elm Oslo");	/* greater, as only B can tell */
	is_silent(B);
	decide();
	expect_agreed("ann Joe Elm Oslo");
	expect_order(A, ACTION_NONE, 0);
	ck_assert(base->seen[A].owed);
	shows(B, 0, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Tom Elm Oslo");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(CITY));
	write_all();
	expect_quiet();
}
END_TEST

/* A has raised what only B shows; then C deletes. 1: and A is away. */
static void delete_of_what_waits(int away)
{
	policy.n_endpoints = 3;
	fields[NAME].rule = RULE_MAX;
	all_know("ann Joe Elm Rome");
	shows(A, 10, "ann Tom Elm Rome");
	is_silent(B);
	is_silent(C);
	decide();
	if (away == 1)
		is_silent(A);
	deletes(C, 20);
	decide();
}

START_TEST(what_waits_for_the_greatest_value_is_an_edit_that_a_deleter_had_not_seen)
{
	delete_of_what_waits(_i);
	ck_assert(!base->dead);
	only_lost(LOST_DELETE, C, A);
}
END_TEST

/* Nobody shows what was agreed any more: the deleter's row is gone, and the other one was lowered. */
START_TEST(what_loses_to_the_greatest_value_keeps_no_record_whoever_shows_that)
{
	fields[NAME].rule = RULE_MAX;
	all_know("ann m Elm Rome");
	if (_i > 0) {		/* seen before the delete, or after it */
		*(_i == 1 ? &now[A] : &now[B]) = (struct observation){ .what = OBSERVED_NOTHING, .stamp = STAMP_NONE };
		if (_i == 1)
			shows(B, 20, "ann c Elm Rome");
		else
			deletes(A, 20);
		decide();
	}
	deletes(A, 20);
	shows(B, 20, "ann c Elm Rome");
	decide();
	ck_assert(base->dead);
	ck_assert_uint_eq(d.n_lost, 1);
	ck_assert_uint_eq(d.lost[0].loser, B);
	ck_assert_uint_eq(d.lost[0].field, NAME);
	ck_assert_uint_eq(d.lost[0].loser_digest, now[B].digests[NAME]);
	ck_assert_uint_eq(base->fields[NAME].digest, digest_field(value_digest(&key, FIELD_TEXT, value_of("m"))));
	expect_order(B, ACTION_DELETE, 0);
}
END_TEST

START_TEST(what_beats_the_greatest_value_keeps_the_record)
{
	fields[NAME].rule = RULE_MAX;
	all_know("ann m Elm Rome");
	deletes(A, 20);
	shows(B, 20, "ann z Elm Rome");
	decide();
	expect_agreed("ann z Elm Rome");
	only_lost(LOST_DELETE, A, B);
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
}
END_TEST

START_TEST(what_waits_for_the_greatest_value_is_lost_to_a_delete_that_wins)
{
	entity.deletes = DELETES_DELETE_WINS;
	delete_of_what_waits(_i);
	ck_assert(base->dead);
	ck_assert_uint_eq(only_lost(LOST_TO_DELETE, A, C)->field, NAME);
}
END_TEST

/* B was to be given Eve, and never was. */
START_TEST(what_is_only_behind_under_max_is_no_edit_that_a_deleter_had_not_seen)
{
	fields[NAME].rule = RULE_MAX;
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	is_missing(A);
	decide();
	expect_order(A, ACTION_NONE, 0);
	ck_assert_uint_eq(d.n_lost, 0);
	deletes(A, 20);
	decide();
	ck_assert(base->dead);
	expect_order(B, ACTION_DELETE, 0);
}
END_TEST

/* A lowers what it knows, and goes before that is put back; or somebody else has raised it meanwhile. */
START_TEST(who_writes_against_max_and_deletes_had_seen_what_stands)
{
	fields[NAME].rule = RULE_MAX;
	all_know("ann Joe Elm Rome");
	if (_i == 1) {
		shows(B, 5, "ann Tom Elm Rome");
		decide();
	}
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	shows(A, 11, "ann Eva Elm Rome");
	decide();
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	deletes(A, 20);
	decide();
	ck_assert_int_eq(base->dead, _i == 0);
	expect_order(A, _i == 0 ? ACTION_NONE : ACTION_INSERT, _i == 0 ? 0 : EVERY_FIELD);
}
END_TEST

/* What B writes cannot stand, though it was made on top of what does: by a mirror, or because it is a blank. */
static void writes_what_cannot_stand(bool mirror, int64_t at, const char *text)
{
	if (mirror)
		shows(B, at, text);
	else
		shows_no_name(B, at, VALUE_NULL);
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME));
}

/* And it goes before that is put back; or somebody else has written meanwhile. */
START_TEST(who_writes_what_cannot_stand_and_deletes_had_seen_what_stands)
{
	bool mirror = _i % 2 == 0, edited = _i / 2 == 1;

	fields[NAME].rule = mirror ? RULE_MIRROR : RULE_NEWEST_FILLED;
	all_know("ann Ann Elm Rome");
	writes_what_cannot_stand(mirror, 10, "ann Joe Elm Rome");
	if (edited) {
		shows(A, 15, "ann Eve Elm Rome");
		decide();
	}
	deletes(B, 20);
	decide();
	ck_assert_int_eq(base->dead, !edited);
	expect_order(B, edited ? ACTION_INSERT : ACTION_NONE, edited ? EVERY_FIELD : 0);
	expect_order(A, edited ? ACTION_NONE : ACTION_DELETE, 0);
}
END_TEST

/* However many edits it made: none of them was on top of what stands. */
START_TEST(who_had_not_seen_what_stands_and_wrote_twice_had_still_not_seen_it)
{
	bool mirror = _i == 0;

	fields[NAME].rule = mirror ? RULE_MIRROR : RULE_NEWEST_FILLED;
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	shows(B, 5, "ann Joe Elm Rome");
	decide();
	writes_what_cannot_stand(mirror, 11, "ann Jim Elm Rome");
	if (!mirror) {
		shows_no_name(B, 12, value_of(""));
		decide();
	}
	deletes(B, 20);
	decide();
	ck_assert(!base->dead);
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
}
END_TEST

START_TEST(null_is_neither_the_greatest_nor_the_least)
{
	fields[NAME].rule = _i == 0 ? RULE_MAX : RULE_MIN;
	all_know("ann Ann Elm Rome");
	shows_no_name(A, 10, VALUE_NULL);
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	setup();
	fields[NAME].rule = _i == 0 ? RULE_MAX : RULE_MIN;
	shows_no_name(A, 10, VALUE_NULL);
	shows(B, 5, "ann Ann Elm Rome");
	decide();
	expect_agreed("ann Ann Elm Rome");
}
END_TEST

START_TEST(the_targets_own_form_of_the_greatest_value_is_not_greater)
{
	fields[NAME].rule = RULE_MAX;
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	now[B] = row_of("ann Evelyn Elm Rome", STAMP_NONE, first_id(B));
	decide_applied(&policy, &d, B, &now[B], first_id(B), &arena);
	shows(A, 20, "ann Eve Elm Oslo");
	decide();
	expect_agreed("ann Eve Elm Oslo");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(CITY));
}
END_TEST

static void quarrel(void)
{
	policy.n_endpoints = 3;
	fields[NAME].rule = RULE_MANUAL;
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Oslo");
	shows(B, 11, "ann Joe Elm Rome");
	decide();
}

static void settle_by(struct settlement *s)
{
	s->field = NAME;
	s->mark = d.marks[NAME];
	policy.settlements = s;
	policy.n_settlements = 1;
	decide();
}

START_TEST(manual_leaves_both_sides_alone_and_lets_the_rest_flow)
{
	quarrel();
	ck_assert_uint_eq(d.waits, MASK(NAME));
	ck_assert_uint_eq(d.words[NAME], MASK(A) | MASK(B));
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(CITY));
	expect_order(C, ACTION_UPDATE, MASK(CITY));
	write_all();
	expect_quiet();
	ck_assert_uint_eq(d.waits, MASK(NAME));
	shows(C, 20, "ann Ann Oak Oslo");
	decide();
	expect_order(A, ACTION_UPDATE, MASK(STREET));
	ck_assert_uint_eq(d.waits, MASK(NAME));
}
END_TEST

START_TEST(manual_writes_the_chosen_side_everywhere)
{
	quarrel();
	write_all();
	settle_by(&(struct settlement){ .endpoint = B });
	expect_agreed("ann Joe Elm Oslo");
	ck_assert_uint_eq(d.waits, 0);
	ck_assert_str_eq(only_lost(LOST_CONFLICT, A, B)->tie_break, "operator");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	expect_order(B, ACTION_NONE, 0);
	expect_order(C, ACTION_UPDATE, MASK(NAME));
	write_all();
	policy.n_settlements = 0;
	expect_quiet();
	shows(C, 20, "ann Tom Elm Oslo");
	decide();
	expect_agreed("ann Tom Elm Oslo");
	ck_assert_uint_eq(d.n_lost, 0);
}
END_TEST

START_TEST(manual_keeps_a_given_value_at_hand_until_it_is_shown)
{
	struct settlement s = { .given = true, .value = value_of("Sue"), .digest = value_digest(&key, FIELD_TEXT, value_of("Sue")) };

	quarrel();
	write_all();
	settle_by(&s);
	expect_agreed("ann Sue Elm Oslo");
	ck_assert_uint_eq(d.n_lost, 2);
	for (size_t e = 0; e < 3; e++)
		expect_order(e, ACTION_UPDATE, MASK(NAME));
	decide();		/* nothing was written */
	expect_agreed("ann Sue Elm Oslo");
	ck_assert_uint_eq(d.n_lost, 0);
	for (size_t e = 0; e < 3; e++)
		expect_order(e, ACTION_UPDATE, MASK(NAME));
	write_all();
	policy.n_settlements = 0;
	expect_quiet();
}
END_TEST

/* While B, which shows the agreed value or has changed it as well, cannot be asked. */
static void edit_alone(size_t e, const char *words)
{
	fields[NAME].rule = RULE_MAX;
	all_know("ann Max Elm Rome");
	is_silent(e == A ? B : A);
	shows(e, 10, words);
	decide();
	ck_assert_uint_eq(d.n_lost, 0);	/* nobody can say yet whether it stands */
}

START_TEST(max_tells_of_what_lost_once_it_is_decided)
{
	const struct lost_edit *l;
	size_t first = _i == 0 ? A : B;

	edit_alone(first, first == A ? "ann Tom Elm Rome" : "ann Sue Elm Rome");
	shows(first == A ? B : A, 11, first == A ? "ann Sue Elm Rome" : "ann Tom Elm Rome");
	decide();
	expect_agreed("ann Tom Elm Rome");
	l = only_lost(LOST_CONFLICT, B, A);
	ck_assert_str_eq(l->tie_break, "value");
	ck_assert(value_equal(l->loser_value, value_of("Sue")));
	ck_assert(value_equal(l->winner_value, value_of("Tom")));
	ck_assert_uint_eq(digest_field(l->base_digest), digest_field(value_digest(&key, FIELD_TEXT, value_of("Max"))));
}
END_TEST

START_TEST(max_tells_of_what_was_lowered_when_the_agreed_value_is_there_again)
{
	edit_alone(A, "ann Ann Elm Rome");
	shows(B, 1, "ann Max Elm Rome");
	decide();
	expect_agreed("ann Max Elm Rome");
	ck_assert_uint_eq(d.n_lost, 1);
	ck_assert(value_equal(d.lost[0].loser_value, value_of("Ann")));
	ck_assert(value_equal(d.lost[0].winner_value, value_of("Max")));
}
END_TEST

START_TEST(max_tells_that_a_value_keeps_no_record)
{
	edit_alone(A, "ann Ann Elm Rome");
	deletes(B, 11);
	decide();
	ck_assert(d.next->dead);
	ck_assert_uint_eq(d.n_lost, 1);
	ck_assert_str_eq(d.lost[0].tie_break, "value");
	ck_assert(value_equal(d.lost[0].loser_value, value_of("Ann")));
}
END_TEST

START_TEST(manual_tells_of_a_word_that_lost_and_cannot_be_asked_for)
{
	struct settlement s = { .given = true, .value = value_of("Sue"), .digest = value_digest(&key, FIELD_TEXT, value_of("Sue")) };
	uint64_t joe = value_digest(&key, FIELD_TEXT, value_of("Joe"));

	quarrel();
	write_all();
	is_silent(A);
	is_silent(B);
	is_silent(C);
	settle_by(&s);
	ck_assert_uint_eq(d.waits, MASK(NAME));	/* nobody could be written to */
	shows(A, 10, "ann Eve Elm Oslo");
	decide();
	expect_agreed("ann Sue Elm Oslo");
	ck_assert_uint_eq(d.n_lost, 2);
	ck_assert_uint_eq(d.lost[1].loser, B);
	ck_assert(value_is_null(d.lost[1].loser_value));
	ck_assert_uint_eq(d.lost[1].loser_digest, digest_field(joe));
	policy.n_settlements = 0;
}
END_TEST

START_TEST(manual_takes_no_verdict_on_what_has_changed_since)
{
	struct settlement s = { .endpoint = B, .field = NAME };

	quarrel();
	write_all();
	s.mark = d.marks[NAME];
	policy.settlements = &s;
	policy.n_settlements = 1;
	shows(B, 30, "ann Sue Elm Oslo");
	decide();
	ck_assert_uint_eq(d.waits, MASK(NAME));
	ck_assert(d.marks[NAME] != s.mark);
	s.mark = d.marks[NAME];
	decide();
	expect_agreed("ann Sue Elm Oslo");
}
END_TEST

static void all_silent(void)
{
	for (size_t e = 0; e < policy.n_endpoints; e++)
		is_silent(e);
}

/* B had not seen what A and C agree on. */
static void late_quarrel(void)
{
	policy.n_endpoints = 3;
	fields[NAME].rule = RULE_MANUAL;
	all_know("ann Ann Elm Rome");
	is_silent(B);
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	write_to(C);
	expect_agreed("ann Eve Elm Rome");
	shows(B, 20, "ann Joe Elm Rome");
	decide();
}

/* The vector alone must tell the same as the decision: status goes by it. */
static void expect_waits(uint64_t words)
{
	uint64_t mapped = 0;

	ck_assert_uint_eq(d.waits, words != 0 ? MASK(NAME) : 0);
	ck_assert_uint_eq(d.words[NAME], words);
	for (size_t e = 0; e < policy.n_endpoints; e++)
		mapped |= endpoints[e].mapped ? MASK(e) : 0;
	ck_assert(decide_waits(&entity, d.next, mapped) == (words != 0));
}

START_TEST(manual_waits_on_where_the_last_word_cannot_be_asked_for)
{
	quarrel();
	write_all();
	endpoints[A].mapped = false;
	all_silent();
	decide();
	expect_waits(MASK(B));
	shows(B, 11, "ann Joe Elm Oslo");
	decide();
	expect_waits(0);
	expect_agreed("ann Joe Elm Oslo");
}
END_TEST

START_TEST(manual_closes_without_anybody_where_the_last_word_is_agreed)
{
	late_quarrel();
	expect_waits(MASK(A) | MASK(B));
	endpoints[B].mapped = false;
	all_silent();
	decide();
	expect_waits(0);
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	expect_agreed("ann Eve Elm Rome");
}
END_TEST

START_TEST(manual_asks_about_an_edit_by_somebody_who_had_not_seen_the_agreed_value)
{
	late_quarrel();
	ck_assert_uint_eq(d.waits, MASK(NAME));
	ck_assert_uint_eq(d.words[NAME], MASK(A) | MASK(B));
	ck_assert_uint_eq(d.n_lost, 0);
	for (size_t e = 0; e < 3; e++)
		expect_order(e, ACTION_NONE, 0);
	shows(A, 30, "ann Sue Elm Rome");	/* a word more: it does not flow */
	decide();
	ck_assert_uint_eq(d.waits, MASK(NAME));
	expect_order(C, ACTION_NONE, 0);
	shows(A, 40, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Joe Elm Rome");
	expect_order(C, ACTION_UPDATE, MASK(NAME));
	ck_assert_uint_eq(d.n_lost, 0);
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(what_waits_is_an_edit_that_a_deleter_had_not_seen)
{
	quarrel();
	write_all();
	deletes(A, 40);
	decide();
	ck_assert(!base->dead);
	expect_agreed("ann Joe Elm Oslo");
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	expect_order(C, ACTION_UPDATE, MASK(NAME));
}
END_TEST

START_TEST(what_waits_brings_back_what_somebody_else_deleted)
{
	quarrel();
	write_all();
	deletes(C, 40);
	decide();
	ck_assert(!base->dead);
	ck_assert_uint_eq(d.waits, MASK(NAME));
	only_lost(LOST_DELETE, C, A);
}
END_TEST

START_TEST(a_delete_that_wins_takes_the_words_that_wait_and_they_are_written_down)
{
	entity.deletes = DELETES_DELETE_WINS;
	quarrel();
	write_all();
	deletes(C, 40);
	if (_i == 1)
		is_silent(B);
	decide();
	ck_assert(base->dead);
	ck_assert_uint_eq(d.n_lost, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(d.lost[i].kind, LOST_TO_DELETE);
		ck_assert_uint_eq(d.lost[i].field, NAME);
		ck_assert_uint_eq(d.lost[i].loser, i == 0 ? A : B);
		ck_assert_uint_eq(d.lost[i].winner, C);
	}
	ck_assert_uint_eq(digest_field(d.lost[1].loser_digest), digest_field(value_digest(&key, FIELD_TEXT, value_of("Joe"))));
}
END_TEST

START_TEST(another_rule_decides_what_waited_under_manual)
{
	struct settlement s = { .field = NAME };

	quarrel();
	write_all();
	fields[NAME].rule = RULE_LAST_WRITER_WINS;
	policy.settlements = &s;
	policy.n_settlements = 1;
	decide();
	expect_agreed("ann Joe Elm Oslo");
	only_lost(LOST_CONFLICT, A, B);
	write_all();
	policy.n_settlements = 0;
	expect_quiet();
}
END_TEST

static void settle_group_by(size_t e)
{
	static struct settlement s;

	s = (struct settlement){ .field = CITY, .endpoint = (uint8_t)e, .mark = d.marks[CITY] };
	policy.settlements = &s;
	policy.n_settlements = 1;
	decide();
}

START_TEST(a_group_waits_and_is_settled_as_a_whole)
{
	policy.n_endpoints = 3;
	group_the_address();
	fields[STREET].rule = fields[CITY].rule = RULE_MANUAL;
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Ann Oak Rome");
	shows(B, 11, "ann Ann Elm Oslo");
	decide();
	ck_assert_uint_eq(d.waits, MASK(STREET) | MASK(CITY));
	expect_quiet();
	settle_group_by(B);
	expect_agreed("ann Ann Elm Oslo");
	expect_order(A, ACTION_UPDATE, MASK(STREET) | MASK(CITY));
	write_all();
	policy.n_settlements = 0;
	expect_quiet();
}
END_TEST

START_TEST(mirror_imposes_the_first_endpoint_whatever_the_stamps_say)
{
	rule_for_all(RULE_MIRROR);
	both_edit(_i, 10, 500);
	expect_agreed("ann Eve Elm Rome");
	if (_i != 1)		/* seen first, it had lost before */
		ck_assert_str_eq(only_lost(LOST_CONFLICT, B, A)->tie_break, "priority");
}
END_TEST

START_TEST(mirror_reverts_an_edit_on_top_of_the_mirrored_value_and_writes_it_down)
{
	rule_for_all(RULE_MIRROR);
	all_know("ann Ann Elm Rome");
	shows(B, 10, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	only_lost(LOST_CONFLICT, B, A);
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(mirror_keeps_and_copies_a_record_made_elsewhere)
{
	rule_for_all(RULE_MIRROR);
	endpoints[A].surveyed = true;
	shows(B, 10, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Joe Elm Rome");
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	expect_order(B, ACTION_NONE, 0);
}
END_TEST

START_TEST(an_edit_on_top_of_a_seen_value_beats_it_whatever_the_clock_says)
{
	all_know("ann Ann Elm Rome");
	shows(A, 100, "ann Eve Elm Rome");
	decide();
	write_all();
	shows(B, -5000, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Joe Elm Rome");
	ck_assert_int_eq(base->fields[NAME].key.eff, T(101));
	ck_assert_uint_eq(d.n_lost, 0);
}
END_TEST

/* B had not seen A's edit and wrote the same later: A's next edit is on top of its own, and not of B's. */
START_TEST(the_same_value_written_once_more_elsewhere_has_not_been_seen)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	is_silent(B);
	decide();
	is_silent(A);
	shows(B, 30, "ann Eve Elm Rome");
	decide();
	is_silent(B);
	shows(A, 20, "ann Ida Elm Rome");
	decide();
	expect_agreed("ann Eve Elm Rome");
	only_lost(LOST_CONFLICT, A, B);
}
END_TEST

START_TEST(a_stamp_of_2099_is_clamped)
{
	all_know("ann Ann Elm Rome");
	shows(A, INT64_C(73) * 365 * 86400, "ann Eve Elm Rome");
	decide();
	ck_assert_int_eq(base->fields[NAME].key.eff, T(NOW + MAX_AHEAD));
	write_all();
	shows(B, NOW, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Joe Elm Rome");
	ck_assert_int_eq(base->fields[NAME].key.eff, T(NOW + MAX_AHEAD + 1));
}
END_TEST

START_TEST(an_edit_without_a_stamp_happened_now)
{
	all_know("ann Ann Elm Rome");
	shows(A, 0, "ann Eve Elm Rome");
	now[A].stamp = STAMP_NONE;
	decide();
	ck_assert_int_eq(base->fields[NAME].key.eff, T(NOW));
	ck_assert_int_eq(d.oldest_edit_us, STAMP_NONE);
}
END_TEST

START_TEST(a_group_moves_as_a_whole)
{
	group_the_address();
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Ann Oak Rome");
	shows(B, 11, "ann Ann Elm Oslo");
	decide();
	expect_agreed("ann Ann Elm Oslo");
	expect_order(A, ACTION_UPDATE, MASK(STREET) | MASK(CITY));
	expect_order(B, ACTION_NONE, 0);
	ck_assert_uint_eq(only_lost(LOST_CONFLICT, A, B)->field, STREET);
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(a_group_observed_one_by_one_moves_as_a_whole_too)
{
	group_the_address();
	all_know("ann Ann Elm Rome");
	is_silent(B);
	shows(A, 10, "ann Ann Oak Rome");
	decide();
	is_silent(A);
	shows(B, 11, "ann Ann Elm Oslo");
	decide();
	expect_agreed("ann Ann Elm Oslo");
	shows(A, 10, "ann Ann Oak Rome");
	decide();
	expect_order(A, ACTION_UPDATE, MASK(STREET) | MASK(CITY));
	write_all();
	expect_quiet();
}
END_TEST

/* ---- colliding digests ------------------------------------------------------------------------------------- */

START_TEST(a_collided_field_is_found_by_comparing_rows)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	collides(A, NAME, "Ann");
	ck_assert(!vector_shows(base, A, &now[A]));
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	ck_assert(value_equal(d.values[NAME], value_of("Eve")));
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(a_collided_field_beside_a_plain_one_is_found_too)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Oslo");
	collides(A, NAME, "Ann");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(CITY));
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(a_collision_with_nobody_to_compare_makes_the_whole_row_news)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	collides(A, NAME, "Ann");
	is_silent(B);
	decide();
	for (size_t f = 0; f < FIELDS; f++)
		ck_assert_int_eq(base->fields[f].key.eff, T(10));
	shows(B, 0, "ann Ann Elm Rome");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	ck_assert(value_equal(d.values[NAME], value_of("Eve")));
}
END_TEST

/* ---- first contact ------------------------------------------------------------------------------------------- */

/* B is of second 5 again: what it shows of what was agreed later is what it lacks. */
static void b_was_put_back(int64_t seconds, const char *text, uint64_t edited)
{
	base->seen[B] = (struct vseen){ .owed = true };
	shows(B, seconds, text);
	now[B].past = ~edited;
}

START_TEST(of_a_row_that_was_put_back_only_what_was_edited_since_counts)
{
	rule_for_all(_i == 0 ? RULE_LAST_WRITER_WINS : RULE_SOURCE_PRIORITY);
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	write_all();
	b_was_put_back(20, "ann Ann Elm Oslo", MASK(CITY));
	shows(A, 15, "ann Eve Fir Rome");
	decide();
	expect_agreed("ann Eve Fir Oslo");
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(STREET));
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	ck_assert_uint_eq(d.n_lost, 3);		/* whatever is written over, for people */
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(a_row_that_was_put_back_loses_to_what_is_agreed_however_late_its_stamp_is)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	write_all();
	b_was_put_back(20, "ann Ann Elm Rome", 0);
	decide();
	expect_agreed("ann Eve Elm Rome");
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	expect_order(A, ACTION_NONE, 0);
}
END_TEST

static void expect_no_delete(void)
{
	for (size_t e = 0; e < policy.n_endpoints; e++)
		ck_assert_int_ne(d.orders[e].action, ACTION_DELETE);
	ck_assert(!base->dead);
}

START_TEST(equal_rows_are_adopted)
{
	all_know("ann Ann Elm Rome");
	ck_assert_int_eq(d.contact, CONTACT_EQUAL);
	ck_assert_uint_eq(base->generation, 1);
	expect_nothing_to_do();
	ck_assert_uint_eq(d.n_lost, 0);
	expect_quiet();
	ck_assert_int_eq(d.contact, CONTACT_NONE);
}
END_TEST

START_TEST(a_one_sided_row_is_copied)
{
	is_missing(A);
	shows(B, 10, "ann Ann Elm Rome");
	decide();
	ck_assert_int_eq(d.contact, CONTACT_COPIED);
	expect_no_delete();
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	expect_order(B, ACTION_NONE, 0);
	write_all();
	expect_agreed("ann Ann Elm Rome");
	expect_quiet();
}
END_TEST

START_TEST(nothing_is_inserted_where_nobody_looked)
{
	is_silent(A);
	shows(B, 10, "ann Ann Elm Rome");
	decide();
	expect_order(A, ACTION_NONE, 0);
	ck_assert(base->seen[A].owed);
	base = NULL;
	endpoints[A].surveyed = true;
	decide();
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
}
END_TEST

START_TEST(differing_rows_compete_and_nothing_is_deleted)
{
	shows(A, 10, "ann Ann Elm Rome");
	shows(B, 11, "ann Eve Elm Rome");
	decide();
	ck_assert_int_eq(d.contact, CONTACT_MERGED);
	expect_no_delete();
	expect_agreed("ann Eve Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	only_lost(LOST_FIRST_CONTACT, A, B);
	ck_assert(value_equal(d.lost[0].loser_value, value_of("Ann")));
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(a_row_without_a_stamp_loses_to_one_that_has_one)
{
	shows(A, 0, "ann Ann Elm Rome");
	now[A].stamp = STAMP_NONE;
	shows(B, 10, "ann Eve Elm Rome");
	decide();
	expect_agreed("ann Eve Elm Rome");
}
END_TEST

/* From here on nobody listens to it. */
static void leaves(size_t e)
{
	endpoints[e].mapped = false;
	is_silent(e);
}

START_TEST(who_comes_back_has_edited_what_it_showed_when_it_left)
{
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Rome");
	leaves(C);
	shows(B, 10, "ann Bea Elm Rome");
	decide();
	write_all();
	ck_assert(!base->seen[C].owed);
	endpoints[C].mapped = true;
	shows(C, 20, "ann Ann Oak Rome");
	decide();
	expect_agreed("ann Bea Oak Rome");
	expect_order(C, ACTION_UPDATE, MASK(NAME));
	expect_order(A, ACTION_UPDATE, MASK(STREET));
	ck_assert_uint_eq(d.n_lost, 0);
}
END_TEST

START_TEST(what_it_said_that_waits_for_a_person_waits_again)
{
	rule_for_all(RULE_MANUAL);
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Bea Elm Rome");
	shows(C, 10, "ann Cleo Elm Rome");
	decide();
	ck_assert_uint_eq(d.waits, MASK(NAME));
	leaves(C);
	decide();
	write_all();
	ck_assert_uint_eq(d.waits, 0);
	expect_agreed("ann Bea Elm Rome");
	shows(B, 20, "ann Zoe Elm Rome");
	decide();
	write_all();
	endpoints[C].mapped = true;
	shows(C, 10, "ann Cleo Elm Rome");
	decide();
	ck_assert_uint_eq(d.waits, MASK(NAME));
	expect_order(C, ACTION_NONE, 0);
}
END_TEST

START_TEST(what_was_deleted_while_it_was_away_it_brings_back)
{
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Rome");
	leaves(C);
	deletes(B, 10);
	decide();
	write_all();
	ck_assert(vector_spent(base));
	endpoints[C].mapped = true;
	shows(C, 0, "ann Ann Elm Rome");
	base = NULL;
	decide();
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	expect_agreed("ann Ann Elm Rome");
}
END_TEST

START_TEST(what_it_alone_had_when_it_left_competes_when_it_is_back)
{
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Rome");
	is_silent(A);
	is_silent(B);
	shows(C, 10, "ann Cleo Elm Rome");
	decide();
	leaves(C);
	shows(A, 0, "ann Ann Elm Rome");
	shows(B, 0, "ann Ann Elm Rome");
	decide();
	expect_agreed("ann Ann Elm Rome");
	endpoints[C].mapped = true;
	shows(C, 10, "ann Cleo Elm Rome");
	decide();
	expect_agreed("ann Cleo Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
}
END_TEST

START_TEST(a_late_comer_competes_with_what_is_agreed)
{
	policy.n_endpoints = ENDPOINTS;
	is_silent(C);
	shows(A, 10, "ann Ann Elm Rome");
	shows(B, 10, "ann Ann Elm Rome");
	decide();
	shows(C, 5, "ann Old Elm Rome");
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(C, ACTION_UPDATE, MASK(NAME));
	only_lost(LOST_FIRST_CONTACT, C, A);
}
END_TEST

START_TEST(a_field_new_to_the_mapping_competes_as_on_first_contact)
{
	all_know("ann Ann Elm Rome");
	base->fields[CITY].digest = 0;
	base->row = 0;
	shows(A, 10, "ann Ann Elm Rome");
	shows(B, 11, "ann Ann Elm Oslo");
	decide();
	expect_agreed("ann Ann Elm Oslo");
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	only_lost(LOST_FIRST_CONTACT, A, B);
}
END_TEST

/* B's column was made for it a moment ago; B's row has no stamp, or a later one. */
static void empty_against_value(int64_t stamp, enum rule rule)
{
	uint64_t digests[FIELDS];
	struct value values[FIELDS];

	rule_for_all(rule);
	all_know("ann Ann Elm Rome");
	base->fields[CITY].digest = 0;
	base->row = 0;
	shows(B, 10, "ann Ann Elm Rome");
	shows(A, 11, "ann Ann Elm Rome");
	memcpy(values, now[A].values, sizeof values);
	memcpy(digests, now[A].digests, sizeof digests);
	values[CITY] = VALUE_NULL;
	digests[CITY] = value_digest(&key, FIELD_TEXT, VALUE_NULL);
	now[A].values = memcpy(arena_alloc(&arena, sizeof values), values, sizeof values);
	now[A].digests = memcpy(arena_alloc(&arena, sizeof digests), digests, sizeof digests);
	now[A].row = row_digest(&key, digests, FIELDS, in_order);
	now[A].stamp = stamp;
}

START_TEST(a_new_field_that_is_empty_loses_to_any_value_and_nothing_is_lost)
{
	empty_against_value(_i & 1 ? T(12) : STAMP_NONE, _i & 2 ? RULE_SOURCE_PRIORITY : RULE_LAST_WRITER_WINS);
	if (_i & 4)
		now[B].stamp = STAMP_NONE;
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	ck_assert_uint_eq(d.n_lost, 0);
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(a_new_field_that_is_empty_at_a_late_comer_loses_too)
{
	struct observation late;

	empty_against_value(STAMP_NONE, RULE_LAST_WRITER_WINS);
	late = now[A];
	is_silent(A);
	decide();
	now[A] = late;
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	ck_assert_uint_eq(d.n_lost, 0);
}
END_TEST

/* The city has come into the topology since; A's row was deleted by then, and B's is met with one. */
static void deleted_before_a_new_field(const char *city_and_others)
{
	all_know("ann Ann Elm Rome");
	base->fields[CITY].digest = 0;
	base->row = 0;
	deletes(A, 500);
	shows(B, 10, city_and_others);
}

/* 0: that B's row is gone too is what is left to do, 1: both are heard of together, 2: B is met first. */
START_TEST(what_stands_in_a_new_field_does_not_bring_the_deleted_back)
{
	deleted_before_a_new_field("ann Ann Elm Rome");
	if (_i != 1)
		is_silent(_i == 0 ? B : A);
	decide();
	if (_i == 0)
		shows(B, 10, "ann Ann Elm Rome");
	if (_i == 2)
		deletes(A, 500);
	decide();
	ck_assert(d.next->dead);
	expect_order(B, ACTION_DELETE, 0);
}
END_TEST

START_TEST(what_was_edited_in_a_new_field_does)
{
	deleted_before_a_new_field("ann Ann Elm Rome");
	is_silent(_i == 0 ? B : A);
	decide();
	if (_i == 0) {
		shows(B, 10, "ann Ann Elm Rome");
		is_silent(A);
		decide();
	}
	shows(B, 20, "ann Ann Elm Oslo");
	decide();
	ck_assert(!d.next->dead);
	deletes(A, 500);
	decide();
	ck_assert(!d.next->dead);
	expect_agreed("ann Ann Elm Oslo");
}
END_TEST

/* ---- deletes --------------------------------------------------------------------------------------------------- */

/* A deletes at 500; B, who had not heard of it, edits at 10. 0: the delete is seen first, 1: the edit, 2: together. */
static void delete_against_edit(int order)
{
	all_know("ann Ann Elm Rome");
	for (int step = 0; step < 2; step++) {
		is_silent(A);
		is_silent(B);
		if (order == 2 || order == step)
			deletes(A, 500);
		if (order == 2 || order != step)
			shows(B, 10, "ann Eve Elm Rome");
		decide();
		if (order == 2)
			break;
	}
}

START_TEST(under_update_wins_an_unseen_edit_saves_the_record)
{
	delete_against_edit(_i);
	expect_agreed("ann Eve Elm Rome");
	ck_assert_uint_eq(only_lost(LOST_DELETE, A, B)->field, FIELDS_MAX);
	ck_assert_str_eq(d.lost[0].tie_break, "policy");
	shows(B, 10, "ann Eve Elm Rome");
	is_missing(A);
	decide();
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	write_all();
	expect_quiet();
	expect_agreed("ann Eve Elm Rome");
}
END_TEST

START_TEST(under_delete_wins_it_is_dead)
{
	entity.deletes = DELETES_DELETE_WINS;
	delete_against_edit(_i);
	ck_assert(base->dead);
	ck_assert_uint_eq(only_lost(LOST_TO_DELETE, B, A)->field, NAME);
	shows(B, 10, "ann Eve Elm Rome");
	decide();
	expect_order(B, ACTION_DELETE, 0);
	write_all();
	is_missing(A);
	expect_quiet();
	ck_assert(vector_spent(base));
}
END_TEST

START_TEST(an_edit_that_the_deleter_had_seen_saves_nothing)
{
	entity.deletes = _i == 0 ? DELETES_UPDATE_WINS : DELETES_DELETE_WINS;
	all_know("ann Ann Elm Rome");
	shows(B, 500, "ann Eve Elm Rome");
	decide();
	write_all();
	deletes(A, 10);
	decide();
	ck_assert(base->dead);
	ck_assert_int_eq(base->deleted.eff, T(501));
	ck_assert_uint_eq(base->deleted.origin, A);
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(B, ACTION_DELETE, 0);
}
END_TEST

START_TEST(a_row_inserted_after_the_delete_is_a_new_generation)
{
	entity.deletes = _i == 0 ? DELETES_UPDATE_WINS : DELETES_DELETE_WINS;
	all_know("ann Ann Elm Rome");
	deletes(A, 100);
	decide();
	write_all();
	ck_assert(base->dead);
	is_missing(A);
	now[B] = row_of("ann New Elm Oslo", T(50), value_of("b2"));	/* its clock is behind */
	decide();
	expect_agreed("ann New Elm Oslo");
	ck_assert_uint_eq(base->generation, 2);
	ck_assert_int_eq(base->fields[NAME].key.eff, T(101));
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	ck_assert_uint_eq(d.n_lost, 0);
	write_all();
	expect_quiet();
}
END_TEST

/* A delete and an insert that were captured together: where the id is the key it is even the same one. */
static void is_replaced(size_t e, int64_t seconds, const char *text, bool same_id)
{
	now[e] = row_of(text, T(seconds), same_id ? first_id(e) : value_of("another"));
	now[e].replaces = true;
}

START_TEST(a_row_in_place_of_a_deleted_one_shows_a_new_life)
{
	entity.deletes = _i % 2 == 0 ? DELETES_UPDATE_WINS : DELETES_DELETE_WINS;
	fields[NAME].rule = RULE_MAX;
	fields[STREET].rule = RULE_MIN;
	fields[CITY].rule = RULE_NEWEST_FILLED;
	all_know("ann Zoe Ash Rome");
	is_replaced(A, 100, "ann Ann Elm ", _i / 2 == 0);
	decide();
	expect_agreed("ann Ann Elm ");
	ck_assert_uint_eq(base->generation, 2);
	ck_assert_uint_eq(d.n_lost, 0);
	ck_assert_uint_eq(d.edited, MASK(A));
	ck_assert_uint_eq(d.stood, MASK(A));
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(STREET) | MASK(CITY));
	write_all();
	expect_quiet();
	ck_assert_uint_eq(base->generation, 2);
}
END_TEST

START_TEST(an_edit_that_whoever_replaced_a_row_had_not_seen_is_judged_as_against_a_delete)
{
	entity.deletes = _i == 0 ? DELETES_UPDATE_WINS : DELETES_DELETE_WINS;
	fields[NAME].rule = RULE_MAX;
	all_know("ann Zoe Elm Rome");
	is_replaced(A, 100, "ann Ann Elm Rome", false);
	shows(B, 50, "ann Zoe Elm Oslo");
	decide();
	expect_agreed(_i == 0 ? "ann Zoe Elm Oslo" : "ann Ann Elm Rome");
	ck_assert_uint_eq(base->generation, _i == 0 ? 1 : 2);
	if (_i == 1)
		ck_assert_uint_eq(only_lost(LOST_TO_DELETE, B, A)->field, CITY);
	write_all();
	expect_quiet();
}
END_TEST

/* The delete of B's old row is the old life's: it was made before B could know of the new one. */
START_TEST(a_late_delete_of_the_old_row_does_not_end_the_new_life)
{
	entity.deletes = _i % 2 == 0 ? DELETES_UPDATE_WINS : DELETES_DELETE_WINS;
	rule_for_all(_i / 2 == 0 ? RULE_LAST_WRITER_WINS : RULE_SOURCE_PRIORITY);
	all_know("ann Ann Elm Rome");
	shows(B, 100, "ann Eve Elm Rome");
	decide();
	write_all();
	is_silent(B);
	deletes(A, 200);
	decide();
	now[A] = row_of("ann New Elm Oslo", T(300), value_of("a2"));
	decide();
	ck_assert(base->seen[B].former);
	deletes(B, 400);
	decide();
	expect_agreed("ann New Elm Oslo");
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
	write_all();
	ck_assert(!base->seen[B].former);
	expect_quiet();
}
END_TEST

/* But who has edited the old row since has a part in the new life, and its delete is one of that. */
START_TEST(a_delete_of_the_old_row_that_was_edited_in_the_new_life_is_judged)
{
	entity.deletes = _i % 2 == 0 ? DELETES_UPDATE_WINS : DELETES_DELETE_WINS;
	all_know("ann Ann Elm Rome");
	is_silent(B);
	deletes(A, 200);
	decide();
	now[A] = row_of("ann New Elm Oslo", T(300), value_of("a2"));
	decide();
	shows(B, 400, "ann Ann Elm Nice");
	decide();
	expect_agreed("ann New Elm Nice");
	write_to(A);
	deletes(B, 500);
	decide();
	if (entity.deletes == DELETES_UPDATE_WINS) {
		only_lost(LOST_DELETE, B, A);	/* it had not seen the new name */
		expect_order(B, ACTION_INSERT, EVERY_FIELD);
	} else {
		ck_assert(base->dead);
		expect_order(A, ACTION_DELETE, 0);
	}
}
END_TEST

/* Of a state that was put back: what A showed then is agreed, its row is not known, and it says of neither value when it was written. */
START_TEST(who_is_met_first_once_more_has_replaced_its_own_value)
{
	static const enum rule rules[] = { RULE_LAST_WRITER_WINS, RULE_SOURCE_PRIORITY, RULE_NEWEST_FILLED };
	static const char *const before[] = { "ann Ann Elm Rome", "ann Zoe Elm Rome", "ann Bob Elm Rome", "ann Eve Elm Rome" };

	fields[NAME].rule = rules[_i % 3];
	now[A] = row_of(before[_i / 3], STAMP_NONE, first_id(A));
	is_missing(B);
	decide();
	write_all();
	base->seen[A] = (struct vseen){ .owed = true };
	now[A] = row_of("ann New Elm Rome", STAMP_NONE, value_of("another"));
	decide();
	expect_agreed("ann New Elm Rome");
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	write_all();
	expect_quiet();
}
END_TEST

/* What B wrote and lost with the old life competes no more, whatever the rule: not by its value, and not as a word that waits. */
START_TEST(what_an_old_row_shows_does_not_count_in_the_new_life)
{
	static const enum rule rules[] = { RULE_LAST_WRITER_WINS, RULE_MANUAL, RULE_MAX, RULE_MIN };
	const char *old = rules[_i] == RULE_MIN ? "ann Abe Elm Rome" : "ann Zoe Elm Rome";

	entity.deletes = DELETES_DELETE_WINS;
	fields[NAME].rule = rules[_i];
	all_know("ann Ann Elm Rome");
	deletes(A, 100);
	decide();
	is_silent(A);
	shows(B, 150, "ann Bob Elm Rome");
	decide();
	shows(B, 160, old);
	decide();
	ck_assert(base->dead);
	is_silent(B);
	now[A] = row_of("ann New Elm Oslo", T(300), value_of("a2"));
	decide();
	shows(B, 160, old);
	decide();
	expect_agreed("ann New Elm Oslo");
	ck_assert_uint_eq(d.waits, 0);
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(CITY));
	write_all();
	expect_quiet();
}
END_TEST

/* B gave the record another key, which A could not be given, and deleted it: whoever refers to it does so by that key. */
START_TEST(a_record_that_ends_keeps_the_key_that_it_had)
{
	all_know("ann Ann Elm Rome");
	shows(B, 10, "eve Ann Elm Rome");
	decide();
	deletes(B, 20);
	decide();
	ck_assert(base->dead);
	ck_assert_uint_eq(base->fields[MAIL].digest, digest_field(value_digest(&key, FIELD_TEXT, value_of("eve"))));
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(A, ACTION_DELETE, 0);
}
END_TEST

START_TEST(missing_without_evidence_never_deletes)
{
	entity.deletes = _i == 0 ? DELETES_UPDATE_WINS : DELETES_DELETE_WINS;
	all_know("ann Ann Elm Rome");
	is_missing(A);
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_NONE, 0);
	ck_assert(base->seen[A].present);
	deletes(A, 100);	/* and the evidence still counts when it comes */
	decide();
	ck_assert(base->dead);
	expect_order(B, ACTION_DELETE, 0);
}
END_TEST

START_TEST(a_missing_row_gets_the_edit_it_has_not_seen_under_update_wins)
{
	all_know("ann Ann Elm Rome");
	is_missing(A);
	shows(B, 10, "ann Eve Elm Rome");
	decide();
	expect_agreed("ann Eve Elm Rome");
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	only_lost(LOST_DELETE, A, B);
}
END_TEST

START_TEST(a_missing_row_of_which_word_is_on_its_way_is_owed_the_edit)
{
	endpoints[A].ignores_deletes = _i == 1;
	all_know("ann Ann Elm Rome");
	is_missing(A);
	now[A].unexplained = true;
	shows(B, 10, "ann Eve Elm Rome");
	decide();
	expect_agreed("ann Eve Elm Rome");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_NONE, 0);
	ck_assert(base->seen[A].present && base->seen[A].owed && !base->seen[A].parked && !base->seen[A].detached);
	ck_assert_uint_eq(d.n_lost, 0);
	shows(A, 12, "eve Ann Elm Rome");	/* it goes on under another key */
	decide();
	expect_agreed("eve Eve Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	expect_order(B, ACTION_UPDATE, MASK(MAIL));
}
END_TEST

START_TEST(a_missing_row_that_was_owed_an_edit_and_is_deleted_comes_back)
{
	all_know("ann Ann Elm Rome");
	is_missing(A);
	now[A].unexplained = true;
	shows(B, 10, "ann Eve Elm Rome");
	decide();
	deletes(A, 12);
	decide();
	expect_agreed("ann Eve Elm Rome");
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	only_lost(LOST_DELETE, A, B);
}
END_TEST

START_TEST(a_row_that_left_the_mapping_is_neither_a_delete_nor_filled)
{
	all_know("ann Ann Elm Rome");
	deletes(A, 10);
	now[A].outside = true;
	shows(B, 10, "ann Eve Elm Rome");
	decide();
	expect_agreed("ann Eve Elm Rome");
	expect_nothing_to_do();
	ck_assert(base->seen[A].detached);
	is_missing(A);		/* and stays so: its row is not looked for any more */
	shows(B, 12, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Joe Elm Rome");
	expect_nothing_to_do();
}
END_TEST

START_TEST(where_a_row_outside_of_the_mapping_has_the_key_the_insert_waits)
{
	all_know("ann Ann Elm Rome");
	base->seen[A] = (struct vseen){ .known = true };
	is_missing(A);
	now[A].outside = true;
	shows(B, 10, "ann Eve Elm Rome");
	decide();
	expect_agreed("ann Eve Elm Rome");
	expect_order(A, ACTION_NONE, 0);
	ck_assert(base->seen[A].owed && base->seen[A].parked && !base->seen[A].detached);
	is_missing(A);
	shows(B, 10, "ann Eve Elm Rome");
	decide();
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
}
END_TEST

START_TEST(where_deletes_are_ignored_they_neither_come_from_nor_go)
{
	endpoints[A].ignores_deletes = true;
	all_know("ann Ann Elm Rome");
	deletes(A, 10);
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_nothing_to_do();
	is_missing(A);
	shows(B, 12, "ann Eve Elm Rome");
	decide();
	expect_nothing_to_do();		/* what went away there is not brought back by an edit */
	setup();
	endpoints[A].ignores_deletes = true;
	all_know("ann Ann Elm Rome");
	deletes(B, 10);
	decide();
	ck_assert(base->dead);
	expect_nothing_to_do();
}
END_TEST

START_TEST(a_key_of_two_parts_is_never_made_of_two_peoples_halves)
{
	entity.n_key = 2;
	entity.key[1] = NAME;
	fields[NAME].is_key = true;
	all_know("ann Ann Elm Rome");
	shows(A, 10, "bea Ann Elm Rome");
	shows(B, 12, "ann Bea Elm Rome");
	decide();
	expect_agreed("ann Bea Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(MAIL) | MASK(NAME));
	write_all();
	expect_quiet();
}
END_TEST

/* C's edit of the address is agreed and can be read nowhere but at C; B has one half of it by chance. */
START_TEST(half_of_a_group_is_never_written)
{
	group_the_address();
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Rome");
	shows(C, 10, "ann Ann Oak Oslo");
	is_silent(A);
	is_silent(B);
	decide();
	is_silent(C);
	shows(A, 0, "ann Ann Elm Rome");
	shows(B, 5, "ann Ann Ash Oslo");
	decide();
	expect_agreed("ann Ann Oak Oslo");
	expect_order(A, ACTION_NONE, 0);
	ck_assert(base->seen[A].owed);
}
END_TEST

/* ---- our own writes --------------------------------------------------------------------------------------------- */

/* A's edit of the city is written to B, which keeps it in capitals. */
static void b_normalises(void)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Ann Elm Oslo");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(CITY));
	now[B] = row_of("ann Ann Elm OSLO", T(10), first_id(B));
	decide_applied(&policy, &d, B, &now[B], now[B].id, &arena);
}

START_TEST(a_normalised_read_back_is_quiet_and_not_sent_again)
{
	b_normalises();
	expect_agreed("ann Ann Elm Oslo");
	expect_quiet();
	expect_agreed("ann Ann Elm Oslo");
	shows(A, 20, "ann Eve Elm Oslo");	/* an edit of another field does not send it either */
	decide();
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	write_all();
	expect_quiet();
	expect_agreed("ann Eve Elm Oslo");
}
END_TEST

/* A trigger of B's makes something of a field that we did not write: somebody's edit, for all we know (SEMANTICS I5). */
START_TEST(what_the_target_made_of_another_field_is_an_edit_there)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	shows(B, 11, "ann EVE Elm Derived");
	decide_applied(&policy, &d, B, &now[B], first_id(B), &arena);
	ck_assert_uint_eq(d.orders[B].edited, MASK(CITY));
	decide();
	expect_agreed("ann Eve Elm Derived");
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	expect_order(B, ACTION_NONE, 0);
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(an_edit_of_a_normalised_field_is_an_edit_on_top)
{
	b_normalises();
	shows(B, 5, "ann Ann Elm BERN");
	decide();
	expect_agreed("ann Ann Elm BERN");
	ck_assert_int_eq(base->fields[CITY].key.eff, T(11));
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(A, ACTION_UPDATE, MASK(CITY));
}
END_TEST

/* The city's new parent was not at B yet and the field not written; the parent that it still has there got another key meanwhile. */
START_TEST(what_was_not_written_and_shows_something_else_is_no_form_of_it)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Oslo");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(CITY));
	d.orders[B].fields = MASK(NAME);
	shows(B, 0, "ann Eve Elm Bonn");
	decide_applied(&policy, &d, B, &now[B], now[B].id, &arena);
	decide();
	expect_agreed("ann Eve Elm Oslo");
	expect_order(B, ACTION_UPDATE, MASK(CITY));
}
END_TEST

START_TEST(a_new_value_is_sent_over_a_normalised_one)
{
	b_normalises();
	shows(A, 20, "ann Ann Elm Bern");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(CITY));
}
END_TEST

/* The order goes out, and nothing is heard of it. */
static void send_in_doubt(size_t e)
{
	ck_assert(d.orders[e].action != ACTION_NONE);
	doubt_add(base, e, &d.orders[e], policy.entity, policy.key, &arena);
}

START_TEST(our_own_write_of_which_we_never_heard_is_not_an_edit)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	send_in_doubt(B);
	is_silent(A);
	shows(B, 300, "ann Eve Elm Rome");
	decide();
	ck_assert_uint_eq(d.edited, 0);
	ck_assert_uint_eq(d.n_lost, 0);
	expect_nothing_to_do();
	ck_assert_uint_eq(base->fields[NAME].key.origin, A);
	ck_assert_int_eq(base->fields[NAME].key.eff, T(10));
	ck_assert(base->seen[B].same);
}
END_TEST

START_TEST(our_own_insert_of_which_we_never_heard_is_not_an_edit)
{
	shows(A, 10, "ann Ann Elm Rome");
	is_missing(B);
	decide();
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
	send_in_doubt(B);
	shows(B, 300, "ann Ann Elm Rome");
	decide();
	ck_assert_uint_eq(d.edited, 0);
	expect_nothing_to_do();
	ck_assert_uint_eq(base->fields[NAME].key.origin, A);
	expect_quiet();
}
END_TEST

/* The row may be there: whoever has not looked must not insert it once more. */
START_TEST(an_insert_in_doubt_is_not_sent_again_to_whom_nobody_looked_at)
{
	shows(A, 10, "ann Ann Elm Rome");
	is_missing(B);
	decide();
	send_in_doubt(B);
	is_silent(B);
	decide();
	expect_order(B, ACTION_NONE, 0);
	ck_assert(base->seen[B].owed && base->seen[B].uncertain);
	is_missing(B);
	decide();
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
}
END_TEST

/* B never heard of Eve; its row shows Ann, as the one before did, because somebody has typed that. */
START_TEST(what_a_row_shows_that_took_the_place_of_another_was_entered_anew)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	is_silent(B);
	decide();
	ck_assert(base->seen[B].owed);
	shows_another_row(B, 20, "ann Ann Elm Rome");
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
}
END_TEST

START_TEST(an_insert_in_doubt_is_looked_for_where_the_record_was_deleted_meanwhile)
{
	shows(A, 10, "ann Ann Elm Rome");
	is_missing(B);
	decide();
	send_in_doubt(B);
	deletes(A, 20);
	is_silent(B);
	decide();
	ck_assert(base->dead && base->seen[B].owed && base->seen[B].uncertain);
	expect_order(B, ACTION_NONE, 0);
	shows(B, 10, "ann Ann Elm Rome");
	is_missing(A);
	decide();
	expect_order(B, ACTION_DELETE, 0);
}
END_TEST

/* Nothing of it is left in the row, but the answer to the insert had come before the store failed: people wrote over it. */
START_TEST(a_row_that_we_are_known_to_have_inserted_is_ours_whatever_it_shows)
{
	shows(A, 10, "ann Ann Elm Rome");
	is_missing(B);
	decide();
	send_in_doubt(B);
	shows(B, 5, "ann Eve Oak Oslo");
	now[B].ours = true;
	decide();
	expect_agreed("ann Eve Oak Oslo");
	ck_assert_uint_eq(d.contact, CONTACT_NONE);
	expect_order(A, ACTION_UPDATE, EVERY_FIELD & ~MASK(MAIL));
}
END_TEST

/* The field is NULL in that row. */
static void shows_without(size_t e, int64_t seconds, const char *text, size_t f)
{
	shows(e, seconds, text);
	((struct value *)now[e].values)[f] = VALUE_NULL;
	((uint64_t *)now[e].digests)[f] = value_digest(&key, FIELD_TEXT, VALUE_NULL);
	now[e].row = row_digest(&key, now[e].digests, FIELDS, in_order);
}

/* The last field refers to a record that has got another key: so it shows there. */
static void shows_followed(size_t e, int64_t seconds, const char *text)
{
	shows(e, seconds, text);
	now[e].followed = MASK(CITY);
}

static void nobody_follows(void)
{
	for (size_t e = 0; e < ENDPOINTS; e++)
		now[e].followed = now[e].moved = 0;
}

START_TEST(a_reference_to_a_record_that_got_another_key_was_not_edited_and_keeps_nothing)
{
	fields[CITY].type = FIELD_REFERENCE;
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Acme");
	shows_followed(A, 10, "ann Ann Elm Ltd");
	deletes(_i == 0 ? C : B, 20);
	decide();
	ck_assert(base->dead);
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(A, ACTION_DELETE, 0);
	expect_order(_i == 0 ? B : C, ACTION_DELETE, 0);
}
END_TEST

START_TEST(a_reference_that_was_edited_beside_keeps_the_record)
{
	fields[CITY].type = FIELD_REFERENCE;
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Acme");
	shows_followed(A, 10, "ann Ann Elm Ltd");
	shows(B, 15, "ann Ann Elm Other");
	deletes(C, 20);
	decide();
	ck_assert(!base->dead);
	only_lost(LOST_DELETE, C, B);
	expect_order(A, ACTION_UPDATE, MASK(CITY));
}
END_TEST

START_TEST(a_reference_that_was_moved_to_who_has_the_former_key_by_now_is_an_edit)
{
	fields[CITY].type = FIELD_REFERENCE;
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Acme");
	shows(A, 10, "ann Ann Elm Acme");
	now[A].moved = MASK(CITY);
	shows_followed(B, 0, "ann Ann Elm Ltd");
	is_silent(C);
	decide();
	nobody_follows();
	ck_assert_uint_eq(base->fields[CITY].digest, digest_field(now[A].digests[CITY]));
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(CITY));
	ck_assert_uint_eq(d.n_lost, 0);
	write_to(B);
	shows(C, 0, "ann Ann Elm Ltd");
	now[C].followed = MASK(CITY);
	decide();
	ck_assert_uint_eq(base->fields[CITY].digest, digest_field(now[A].digests[CITY]));
	expect_order(C, ACTION_UPDATE, MASK(CITY));
}
END_TEST

/* It goes on showing by that name what is agreed, and perhaps another record. */
static void shows_unclear(size_t e, int64_t seconds, const char *text)
{
	shows(e, seconds, text);
	now[e].unclear = MASK(CITY);
}

START_TEST(what_a_reference_means_that_is_unclear_is_left_out_and_the_rest_of_its_row_is_not)
{
	fields[CITY].type = FIELD_REFERENCE;
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Acme");
	shows(B, 10, "ann Ann Elm Bolt");
	decide();
	is_silent(B);
	shows_unclear(A, 20, "ann Eve Elm Bolt");
	decide();
	ck_assert_int_eq(base->fields[NAME].key.eff, T(20));
	ck_assert_int_eq(base->fields[CITY].key.eff, T(10));
	expect_order(A, ACTION_NONE, 0);
	expect_order(C, ACTION_UPDATE, MASK(NAME));
	ck_assert(base->seen[A].owed);
	shows(C, 30, "ann Ida Elm Acme");
	decide();
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	shows(A, 20, "ann Ida Elm Bolt");
	decide_applied(&policy, &d, A, &now[A], now[A].id, &arena);
	ck_assert(base->seen[A].owed);
	now[A].unclear = MASK(CITY);
	decide();
	ck_assert_uint_eq(d.edited, 0);
	expect_order(A, ACTION_NONE, 0);
	shows(A, 40, "ann Ida Elm Bolt");	/* by now it is known to be an edit */
	decide();
	ck_assert_uint_eq(d.edited, MASK(A));
	ck_assert_int_eq(base->fields[CITY].key.eff, T(40));
	ck_assert_uint_eq(d.n_lost, 0);
}
END_TEST

START_TEST(nor_is_a_row_deleted_while_it_is_unclear_whether_it_was_edited)
{
	fields[CITY].type = FIELD_REFERENCE;
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Acme");
	shows(B, 10, "ann Ann Elm Bolt");
	decide();
	deletes(B, 20);
	shows_unclear(A, 15, "ann Ann Elm Bolt");
	decide();
	ck_assert(base->dead);
	expect_order(A, ACTION_NONE, 0);
	expect_order(C, ACTION_DELETE, 0);
	ck_assert(base->seen[A].owed);
	now[A].unclear = 0;
	decide();
	ck_assert(!base->dead);
}
END_TEST

START_TEST(nor_is_one_that_was_moved_before_it_had_followed)
{
	fields[CITY].type = FIELD_REFERENCE;
	all_know("ann Ann Elm Acme");
	shows_followed(A, 10, "ann Ann Elm Ltd");
	is_silent(B);
	decide();
	nobody_follows();
	ck_assert_uint_eq(base->fields[CITY].digest, digest_field(now[A].digests[CITY]));
	shows(B, 20, "ann Ann Elm Acme");
	now[B].moved = MASK(CITY);
	decide();
	ck_assert_uint_eq(base->fields[CITY].digest, digest_field(now[B].digests[CITY]));
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	expect_order(B, ACTION_NONE, 0);
	ck_assert_uint_eq(d.n_lost, 0);
}
END_TEST

/* The target has capitals of that key; perhaps it is owed the street besides. */
START_TEST(a_reference_by_a_key_in_another_form_is_quiet_and_not_written)
{
	fields[CITY].type = FIELD_REFERENCE;
	all_know("ann Ann Elm Acme");
	if (_i == 1) {
		is_silent(B);
		shows(A, 5, "ann Ann Oak Acme");
		decide();
	}
	shows(B, 10, "ann Bea Elm ACME");
	now[B].own_forms = MASK(CITY);
	decide();
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	expect_order(B, _i == 1 ? ACTION_UPDATE : ACTION_NONE, _i == 1 ? MASK(STREET) : 0);
	ck_assert_uint_eq(d.n_lost, 0);
	write_to(A);
	write_to(B);
	now[B].own_forms = 0;
	expect_quiet();
	ck_assert(base->seen[A].same);
}
END_TEST

/* It cannot have the key: a write changes nothing there. */
static void goes_astray(size_t e)
{
	expect_order(e, ACTION_UPDATE, MASK(CITY));
	d.orders[e].astray = MASK(CITY);
	decide_applied(&policy, &d, e, &now[e], first_id(e), &arena);
	ck_assert(base->seen[e].owed);
}

START_TEST(where_a_record_has_its_old_key_yet_the_edit_of_the_reference_is_known)
{
	fields[CITY].type = FIELD_REFERENCE;
	policy.n_endpoints = 3;
	all_know("ann Ann Elm Acme");
	shows_followed(A, 10, "ann Ann Elm Ltd");
	decide();
	ck_assert_uint_eq(d.edited, 0);
	ck_assert_uint_eq(base->fields[CITY].digest, digest_field(now[A].digests[CITY]));
	ck_assert_int_eq(base->fields[CITY].key.eff, T(0));
	expect_order(A, ACTION_NONE, 0);
	goes_astray(B);
	goes_astray(C);
	nobody_follows();
	shows_followed(C, 20, "ann Ann Elm Ltd");	/* there it got the key after all */
	decide();
	ck_assert(base->seen[C].same && !base->seen[C].owed);
	ck_assert_uint_eq(d.edited, 0);
	goes_astray(B);
	nobody_follows();
	if (_i == 0)
		deletes(B, 30);
	else
		shows(B, 30, "ann Ann Elm Other");
	decide();
	ck_assert_uint_eq(d.n_lost, 0);
	ck_assert_int_eq(base->dead, _i == 0);
	expect_order(A, _i == 0 ? ACTION_DELETE : ACTION_UPDATE, _i == 0 ? 0 : MASK(CITY));
	write_all();
	decide();
	expect_nothing_to_do();
}
END_TEST

/* B has yet to get the reference that is agreed; the record that it shows instead gets another key. */
START_TEST(who_is_behind_stays_behind_when_what_it_refers_to_gets_another_key)
{
	fields[CITY].type = FIELD_REFERENCE;
	all_know("ann Ann Elm Acme");
	shows(A, 10, "ann Ann Elm Other");
	decide();
	shows_followed(B, 0, "ann Ann Elm Ltd");
	decide();
	ck_assert_uint_eq(d.edited, 0);
	expect_order(B, ACTION_UPDATE, MASK(CITY));
	write_all();
	expect_quiet();
}
END_TEST

/* Cleaning made small letters of it, and does not any more. B has them, or capitals; it is away meanwhile, or refuses the write. */
START_TEST(what_was_the_same_before_it_was_cleaned_in_another_way_is_written)
{
	enum { SMALL, CAPITALS, AWAY, REFUSES };

	all_know("ann ann Elm Rome");
	shows(A, 0, "ann Ann Elm Rome");
	now[A].followed = MASK(NAME);
	if (_i == CAPITALS) {
		shows(B, 0, "ann ANN Elm Rome");
		now[B].followed = MASK(NAME);
	}
	if (_i == AWAY)
		is_silent(B);
	decide();
	nobody_follows();
	ck_assert(base->seen[B].owed);
	if (_i == AWAY)
		shows(B, 0, "ann ann Elm Rome");
	if (_i == AWAY || _i == REFUSES)
		decide();
	ck_assert_uint_eq(d.edited, 0);
	ck_assert_uint_eq(d.n_lost, 0);
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	write_to(B);
	expect_quiet();
}
END_TEST

/* B is owed the street, and its own form of the city may be why: but not again and again while nobody is there to ask for the street. */
START_TEST(an_own_form_goes_with_what_is_owed_and_not_before_that)
{
	b_normalises();
	shows(A, 20, "ann Ann Oak Oslo");
	is_silent(B);
	decide();
	is_silent(A);
	shows(B, 0, "ann Ann Elm OSLO");
	decide();
	expect_order(B, ACTION_NONE, 0);
	ck_assert(base->seen[B].owed);
	shows(A, 20, "ann Ann Oak Oslo");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(STREET) | MASK(CITY));
	now[B] = row_of("ann Ann Oak OSLO", T(30), first_id(B));
	decide_applied(&policy, &d, B, &now[B], now[B].id, &arena);
	expect_quiet();
	expect_agreed("ann Ann Oak Oslo");
}
END_TEST

/* What it refers to waits for this very record: heard of or not, the blank is nobody's edit, and it is filled in. */
START_TEST(a_reference_that_went_astray_is_no_form_of_what_was_meant_and_is_written_again)
{
	fields[CITY].type = FIELD_REFERENCE;
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Ann Elm Oslo");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(CITY));
	d.orders[B].astray = MASK(CITY);
	now[B] = row_of("ann Ann Elm Bonn", STAMP_NONE, first_id(B));
	decide_applied(&policy, &d, B, &now[B], first_id(B), &arena);
	ck_assert(base->seen[B].owed);
	decide();
	ck_assert_uint_eq(base->fields[CITY].digest, digest_field(now[A].digests[CITY]));
	expect_order(B, ACTION_UPDATE, MASK(CITY));
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(a_field_left_out_of_an_insert_is_no_edit_and_is_filled_in)
{
	bool heard = _i == 0;

	shows(A, 10, "ann Ann Elm Rome");
	is_missing(B);
	decide();
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
	d.orders[B].fields &= ~MASK(CITY);
	if (heard)
		decide_applied(&policy, &d, B, NULL, value_of("b1"), &arena);
	else
		send_in_doubt(B);
	shows_without(B, 300, "ann Ann Elm Rome", CITY);
	shows(A, 10, "ann Ann Elm Rome");
	decide();
	ck_assert_uint_eq(d.edited, 0);
	ck_assert_uint_eq(d.n_lost, 0);
	expect_agreed("ann Ann Elm Rome");
	expect_order(B, ACTION_UPDATE, MASK(CITY));
	write_all();
	decide();
	expect_nothing_to_do();
}
END_TEST

static void shows_the_key_alone(size_t e, int64_t seconds, const char *key_and_any, uint64_t filled)
{
	shows(e, seconds, key_and_any);
	for (size_t f = 0; f < FIELDS; f++)
		if (f != 0 && !(filled & MASK(f))) {
			((struct value *)now[e].values)[f] = VALUE_NULL;
			((uint64_t *)now[e].digests)[f] = value_digest(&key, FIELD_TEXT, VALUE_NULL);
		}
	now[e].row = row_digest(&key, now[e].digests, FIELDS, in_order);
}

/* Nothing but its key and what was left blank: that it is empty there is no edit, however young the row is. And it counts as written. */
START_TEST(an_insert_in_doubt_of_nothing_but_a_key_is_ours_and_is_filled_in)
{
	shows_the_key_alone(A, 10, "ann Ann Elm Rome", MASK(CITY));
	is_missing(B);
	decide();
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
	d.orders[B].fields &= ~MASK(CITY);
	send_in_doubt(B);
	shows_the_key_alone(B, 300, "ann Ann Elm Rome", 0);
	decide();
	ck_assert_uint_eq(d.happened, MASK(B));
	ck_assert_uint_eq(d.edited, 0);
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(CITY));
}
END_TEST

/* The same of a row that does not look like ours, since the target makes something else of what was inserted. */
START_TEST(what_an_insert_in_doubt_left_blank_is_no_edit_whosever_row_it_is)
{
	shows_the_key_alone(A, 10, "ann Ann Elm Rome", MASK(NAME) | MASK(CITY));
	is_missing(B);
	decide();
	d.orders[B].fields &= ~MASK(CITY);
	send_in_doubt(B);
	shows_the_key_alone(B, 300, "ann ANN Elm Rome", MASK(NAME));
	decide();
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	expect_order(B, ACTION_UPDATE, MASK(CITY));
	write_all();
	decide();
	expect_nothing_to_do();
}
END_TEST

/* And one that shows something besides is somebody else's, or was edited. */
START_TEST(a_row_that_shows_more_than_was_inserted_in_doubt_has_an_edit)
{
	shows_the_key_alone(A, 10, "ann Ann Elm Rome", 0);
	is_missing(B);
	decide();
	send_in_doubt(B);
	shows_the_key_alone(B, 300, "ann Ann Elm Rome", MASK(CITY));
	decide();
	ck_assert_uint_eq(d.edited, MASK(B));
	expect_order(A, ACTION_UPDATE, MASK(CITY));
}
END_TEST

/* B got our write and never told; somebody edited another field there since, and the agreed value has moved on elsewhere. */
START_TEST(a_write_in_doubt_does_not_come_back_as_an_edit)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	send_in_doubt(B);
	is_silent(B);
	shows(A, 20, "ann Ida Elm Rome");
	decide();
	is_silent(A);
	shows(B, 300, "ann Eve Elm Oslo");
	decide();
	expect_agreed("ann Ida Elm Oslo");
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(B, ACTION_NONE, 0);	/* Ida is A's to show */
	shows(A, 20, "ann Ida Elm Rome");
	decide();
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	write_all();
	expect_quiet();
}
END_TEST

/*
 * Our write to B never happened, and by chance somebody there gave the street the value that we had intended. The name is still
 * the one from before: that is no edit, and must not beat what A has made of it since.
 */
START_TEST(a_field_that_was_edited_to_what_was_intended_does_not_make_an_edit_of_the_others)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Oak Rome");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(STREET));
	send_in_doubt(B);
	is_silent(B);
	shows(A, 20, "ann Ida Oak Rome");
	decide();
	shows(A, 20, "ann Ida Oak Rome");
	shows(B, 300, "ann Ann Oak Oslo");
	decide();
	expect_agreed("ann Ida Oak Oslo");
	only_lost(LOST_CONFLICT, B, A);		/* the name, should somebody have put it back there */
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(a_write_in_doubt_that_did_not_happen_is_sent_again)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	send_in_doubt(B);
	shows(B, 12, "ann Ann Elm Oslo");
	decide();
	expect_agreed("ann Eve Elm Oslo");
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	write_all();
	ck_assert(!base->seen[B].uncertain);
	expect_quiet();
}
END_TEST

/* Whether it was made on top of our write or instead of it, nobody can tell: it wins, and the journal says over what. */
START_TEST(an_edit_over_a_write_in_doubt_wins_and_is_written_down)
{
	rule_for_all(_i == 0 ? RULE_LAST_WRITER_WINS : RULE_SOURCE_PRIORITY);
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	send_in_doubt(B);
	shows(B, 5, "ann Ida Elm Rome");	/* its clock is behind */
	decide();
	expect_agreed("ann Ida Elm Rome");
	only_lost(LOST_CONFLICT, A, B);
	expect_order(A, ACTION_UPDATE, MASK(NAME));
}
END_TEST

/*
 * The street shows what it was, so the write most likely did not happen, and the difference is five. But it may have, and the street been
 * put back: then it is two. People have to be told.
 */
/*
 * B shows half of a group that was agreed, by a write in doubt. The other half is shown nowhere any more, so what C says takes the place
 * of all of it: what B shows is no form of that, though it goes by the same key.
 */
START_TEST(a_form_of_what_nobody_shows_any_more_is_written_over)
{
	policy.n_endpoints = 3;
	rule_for_all(RULE_MIRROR);
	fields[NAME].rule = RULE_LAST_WRITER_WINS;
	group_the_address();
	is_missing(A);
	shows(B, 0, "ann Ann Elm Rome");
	is_missing(C);
	decide();
	write_all();
	shows(A, 20, "ann Ann Oak Oslo");
	decide();
	send_in_doubt(B);
	deletes(A, 30);
	shows(B, 25, "ann Ann Elm Oslo");
	now[C] = row_of("ann Bob Fir Rome", T(25), now[C].id);
	decide();
	expect_agreed("ann Bob Fir Rome");
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(STREET) | MASK(CITY));
	write_to(A);
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(STREET) | MASK(CITY));
	write_all();
	decide();
	expect_nothing_to_do();
}
END_TEST

START_TEST(a_sum_that_may_be_off_by_a_write_in_doubt_is_written_down)
{
	fields[NAME].type = FIELD_INTEGER;
	fields[NAME].rule = RULE_ADD;
	all_know("ann 10 Elm Rome");
	shows(A, 10, "ann 13 Oak Rome");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(STREET));
	send_in_doubt(B);
	shows(B, 20, "ann 15 Elm Rome");
	decide();
	ck_assert_int_eq(value_compare(FIELD_INTEGER, d.values[NAME], value_of("18")), 0);
	ck_assert_str_eq(only_lost(LOST_CONFLICT, B, ORIGIN_NONE)->tie_break, "doubt");
	ck_assert_uint_eq(d.lost[0].field, NAME);
}
END_TEST

/*
 * The first write, of the street, did not happen, and A has put the street back. The second, of the name alone, did, and somebody added
 * to it. That the street shows what it was tells nothing of a write that left it alone: the difference is two.
 */
START_TEST(a_write_that_did_not_happen_does_not_speak_for_the_next)
{
	fields[NAME].type = FIELD_INTEGER;
	fields[NAME].rule = RULE_ADD;
	all_know("ann 10 Elm Rome");
	shows(A, 10, "ann 10 Oak Rome");
	decide();
	send_in_doubt(B);
	shows(A, 20, "ann 13 Elm Rome");
	shows(B, 0, "ann 10 Elm Rome");
	decide();
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	send_in_doubt(B);
	shows(B, 30, "ann 15 Elm Rome");
	decide();
	ck_assert_int_eq(value_compare(FIELD_INTEGER, d.values[NAME], value_of("15")), 0);
	ck_assert_str_eq(only_lost(LOST_CONFLICT, B, ORIGIN_NONE)->tie_break, "doubt");
}
END_TEST

/* A went back to what B had shown before; B may show what it was to get in between. Whoever deletes that row may not have seen the last word. */
START_TEST(a_delete_of_a_row_with_a_write_in_doubt_may_not_have_seen_what_was_put_back_since)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	send_in_doubt(B);
	is_silent(B);
	shows(A, 20, "ann Ann Elm Rome");
	decide();
	deletes(B, 30);
	decide();
	expect_agreed("ann Ann Elm Rome");
	only_lost(LOST_DELETE, B, A);
	expect_order(A, ACTION_NONE, 0);
}
END_TEST

/*
 * The first write, of name and street, did not happen: somebody changed the street instead. The second, of the name alone, did, and
 * somebody edited on top of it. That the street still shows what it was tells nothing of a write which left it alone.
 */
START_TEST(an_older_write_in_doubt_does_not_speak_for_a_newer_one)
{
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Oak Rome");
	decide();
	send_in_doubt(B);
	shows(B, 12, "ann Ann Ash Rome");
	decide();
	expect_agreed("ann Eve Ash Rome");
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	send_in_doubt(B);
	is_silent(A);
	shows(B, 5, "ann Ida Ash Rome");	/* its clock is behind */
	decide();
	expect_agreed("ann Ida Ash Rome");
	only_lost(LOST_CONFLICT, A, B);
}
END_TEST

/* The store may hand back more than was ever put there. */
START_TEST(a_list_of_intentions_that_is_too_long_is_cut)
{
	struct vdeviation *many = arena_zalloc(&arena, 255 * sizeof *many);

	all_know("ann Ann Elm Rome");
	for (size_t i = 0; i < 255; i++)
		many[i] = (struct vdeviation){ NAME, (uint32_t)i + 1, { .eff = T(i), .n = 1, .origin = A } };
	base->seen[B].uncertain = true;
	base->seen[B].intended = many;
	base->seen[B].n_intended = 255;
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	send_in_doubt(B);
	ck_assert_uint_le(base->seen[B].n_intended, 128);
	ck_assert_uint_eq(base->seen[B].intended[base->seen[B].n_intended - 1].digest, base->fields[NAME].digest);
}
END_TEST

START_TEST(our_own_delete_of_which_we_never_heard_is_nobodys_delete)
{
	all_know("ann Ann Elm Rome");
	deletes(A, 10);
	decide();
	expect_order(B, ACTION_DELETE, 0);
	send_in_doubt(B);
	is_silent(B);
	now[A] = row_of("ann New Elm Oslo", T(20), value_of("a2"));
	decide();
	is_missing(B);
	decide();
	expect_agreed("ann New Elm Oslo");
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
	write_all();
	expect_quiet();
}
END_TEST

/* It was to be brought back to A from B's row, which is not there any more either: nobody could ever be given it. */
START_TEST(a_record_that_has_no_row_anywhere_is_dead)
{
	all_know("ann Ann Elm Rome");
	base->seen[A] = base->seen[B] = (struct vseen){ .known = true, .owed = true };
	is_missing(A);
	is_missing(B);
	decide();
	ck_assert(base->dead);
	ck_assert(!base->seen[A].owed && !base->seen[B].owed);
	ck_assert_int_gt(base->deleted.eff, base->fields[NAME].key.eff);
	expect_nothing_to_do();
}
END_TEST

/* Part of it is out of reach: it is still what was agreed, and whoever shows it next is known by it. */
START_TEST(an_agreed_row_that_nobody_shows_stays_known)
{
	uint64_t row;

	all_know("ann Ann Elm Rome");
	row = base->row;
	ck_assert_uint_ne(row, 0);
	is_silent(A);
	is_silent(B);
	decide();
	ck_assert_uint_eq(base->row, row);
}
END_TEST

/* ---- roles -------------------------------------------------------------------------------------------------------- */

START_TEST(a_source_is_read_and_never_written)
{
	endpoints[A].writable = false;
	all_know("ann Ann Elm Rome");
	shows(A, 10, "ann Eve Elm Rome");
	shows(B, 10, "ann Ann Elm Oslo");
	decide();
	expect_agreed("ann Eve Elm Oslo");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	ck_assert(!base->seen[A].owed);
	deletes(B, 900);
	decide();
	shows(A, 10, "ann Eve Elm Rome");
	decide();
	expect_order(A, ACTION_NONE, 0);
}
END_TEST

START_TEST(a_source_gets_no_inserts)
{
	endpoints[A].writable = false;
	is_missing(A);
	shows(B, 10, "ann Ann Elm Rome");
	decide();
	expect_nothing_to_do();
}
END_TEST

START_TEST(a_target_is_put_right_and_has_no_say)
{
	endpoints[B].votes = false;
	all_know("ann Ann Elm Rome");
	shows(B, 500, "ann Eve Elm Rome");
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	ck_assert_uint_eq(d.edited, 0);
	write_all();
	expect_quiet();
	deletes(B, 600);
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
}
END_TEST

START_TEST(a_target_that_could_not_be_put_right_at_once_is_put_right_later)
{
	endpoints[B].votes = false;
	all_know("ann Ann Elm Rome");
	shows(B, 500, "ann Eve Elm Rome");
	decide();
	decide();		/* the write was refused, or its endpoint went away */
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	ck_assert(base->seen[B].owed);
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(an_endpoint_without_a_mapping_is_left_alone)
{
	policy.n_endpoints = ENDPOINTS;
	endpoints[C].mapped = false;
	shows(A, 0, "ann Ann Elm Rome");
	shows(B, 1, "ann Eve Elm Rome");
	is_silent(C);
	decide();
	expect_order(C, ACTION_NONE, 0);
	ck_assert(!base->seen[C].owed);
}
END_TEST

/* ---- what a person puts back ------------------------------------------------------------------------- */

/* The name: `want` for `expect`. */
static void put_back(const char *want, const char *expect, bool begun)
{
	struct imposition *i = arena_zalloc(&arena, sizeof *i);
	struct value *values = arena_zalloc(&arena, FIELDS * sizeof *values);
	uint64_t *digests = arena_zalloc(&arena, FIELDS * sizeof *digests), *expected = arena_zalloc(&arena, FIELDS * sizeof *expected);

	values[NAME] = value_of(want);
	digests[NAME] = value_digest(&key, FIELD_TEXT, values[NAME]);
	expected[NAME] = value_digest(&key, FIELD_TEXT, value_of(expect));
	*i = (struct imposition){ .what = IMPOSE_VALUES, .fields = MASK(NAME), .values = values, .digests = digests, .expected = expected,
		.begun = begun };
	policy.imposed = i;
}

/* A makes Ann something that wins by that rule, and B has it. */
static const char *bad_edit(enum rule rule)
{
	const char *bad = rule == RULE_MIN ? "Abe" : "Eve";
	char text[40];

	rule_for_all(rule);
	all_know("ann Ann Elm Rome");
	snprintf(text, sizeof text, "ann %s Elm Rome", bad);
	shows(A, 10, arena_dup(&arena, text, strlen(text)));
	decide();
	write_all();
	expect_quiet();
	return bad;
}

START_TEST(what_is_put_back_goes_to_all_whatever_the_rule)
{
	const char *bad = bad_edit((enum rule)_i);

	put_back("Ann", bad, false);
	decide();
	expect_agreed("ann Ann Elm Rome");
	ck_assert_uint_eq(d.put_back, MASK(NAME));
	ck_assert_uint_eq(d.n_lost, 0);
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	expect_order(B, ACTION_UPDATE, MASK(NAME));
	write_all();
	policy.imposed = NULL;
	expect_quiet();
	shows(B, 2000, "ann Zoe Elm Rome");	/* and the next edit goes as ever */
	decide();
	if (_i != RULE_MIN)
		expect_agreed("ann Zoe Elm Rome");
}
END_TEST

START_TEST(who_was_away_when_it_was_put_back_is_behind_and_makes_no_edit)
{
	const char *bad = bad_edit((enum rule)_i);
	struct observation away = now[A];

	put_back("Ann", bad, false);
	is_silent(A);
	decide();
	write_all();
	ck_assert(base->seen[A].owed);
	policy.imposed = NULL;
	now[A] = away;
	decide();
	ck_assert_uint_eq(d.edited, 0);
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	write_all();
	expect_quiet();
}
END_TEST

START_TEST(what_somebody_has_touched_since_is_not_put_back)
{
	bad_edit(RULE_LAST_WRITER_WINS);
	shows(B, 20, "ann Joe Elm Rome");
	put_back("Ann", "Eve", false);
	decide();			/* seen for the first time in this very decision */
	ck_assert_uint_eq(d.put_back, 0);
	expect_agreed("ann Joe Elm Rome");
	write_all();
	decide();			/* and when it is known */
	ck_assert_uint_eq(d.put_back | d.already, 0);
	expect_agreed("ann Joe Elm Rome");
	deletes(A, 30);
	put_back("Ann", "Joe", false);
	decide();
	ck_assert_uint_eq(d.put_back, 0);
	ck_assert(base->dead);
}
END_TEST

/* Its transaction was open when the rows were read: the write there was refused, and it is older than the undo. */
START_TEST(an_edit_that_comes_to_light_when_it_is_put_back_stands)
{
	const char *bad = bad_edit((enum rule)_i);

	put_back("Ann", bad, false);
	decide();
	write_to(A);
	shows(B, 20, _i == RULE_MIN ? "ann Aaa Elm Rome" : "ann Zoe Elm Rome");
	put_back("Ann", bad, true);
	decide();
	ck_assert_uint_eq(d.put_back | d.already, 0);
	if (_i == RULE_MANUAL) {
		ck_assert_uint_eq(d.waits, MASK(NAME));
		return;
	}
	expect_agreed(_i == RULE_MIN ? "ann Aaa Elm Rome" : "ann Zoe Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	expect_order(B, ACTION_NONE, 0);
	write_all();
	policy.imposed = NULL;
	expect_quiet();
}
END_TEST

/* Another field of the record was written since, which is none of its business. */
START_TEST(what_is_put_back_is_as_late_as_its_own_field_asks_for)
{
	bad_edit(RULE_LAST_WRITER_WINS);
	shows(A, 500, "ann Eve Elm Oslo");
	decide();
	write_all();
	put_back("Ann", "Eve", false);
	decide();
	write_to(A);
	shows(B, 20, "ann Zoe Elm Oslo");
	put_back("Ann", "Eve", true);
	decide();
	expect_agreed("ann Zoe Elm Oslo");
}
END_TEST

START_TEST(what_is_put_back_is_brought_along_until_somebody_shows_it)
{
	bad_edit(RULE_LAST_WRITER_WINS);
	put_back("Ann", "Eve", false);
	decide();			/* agreed on, and then nobody could be written */
	put_back("Ann", "Eve", true);
	decide();
	ck_assert_uint_eq(d.put_back, MASK(NAME));
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_UPDATE, MASK(NAME));
	write_all();
	policy.imposed = NULL;
	expect_quiet();
	put_back("Ann", "Eve", false);
	decide();
	ck_assert_uint_eq(d.put_back, 0);
	ck_assert_uint_eq(d.already, MASK(NAME));
}
END_TEST

/* That field is as it was written with the name. */
static void is_witness(size_t f, const char *value)
{
	struct imposition *i = (struct imposition *)(uintptr_t)policy.imposed;

	i->fields |= MASK(f);
	((struct value *)(uintptr_t)i->values)[f] = value_of(value);
	((uint64_t *)(uintptr_t)i->digests)[f] = ((uint64_t *)(uintptr_t)i->expected)[f] = value_digest(&key, FIELD_TEXT, value_of(value));
}

START_TEST(a_group_is_put_back_only_when_nobody_touched_any_of_it)
{
	fields[NAME].group = fields[CITY].group = 0;
	entity.n_groups = 1;
	bad_edit(RULE_LAST_WRITER_WINS);
	shows(B, 20, "ann Eve Elm Oslo");
	put_back("Ann", "Eve", false);
	decide();
	ck_assert_uint_eq(d.put_back, 0);
	write_all();
	is_witness(CITY, "Rome");
	decide();			/* when it is known, too */
	ck_assert_uint_eq(d.put_back, 0);
	expect_agreed("ann Eve Elm Oslo");
	is_witness(CITY, "Oslo");
	decide();
	expect_agreed("ann Ann Elm Oslo");
	ck_assert(same_key(&base->fields[NAME].key, &base->fields[CITY].key));
}
END_TEST

/* What that side shows, where all show what they show now. */
static void impose_side(size_t side)
{
	struct imposition *i = arena_zalloc(&arena, sizeof *i);
	uint64_t *rows = arena_zalloc(&arena, ENDPOINTS_MAX * sizeof *rows);

	*i = (struct imposition){ .what = IMPOSE_SIDE, .fields = UINT64_MAX, .side = side, .looked_at = MASK(A) | MASK(B), .rows = rows };
	for (size_t e = A; e <= B; e++) {
		i->there |= now[e].what == OBSERVED_ROW ? MASK(e) : 0;
		rows[e] = now[e].row;
	}
	policy.imposed = i;
}

START_TEST(a_side_is_imposed_on_what_another_one_has_edited_whatever_the_rule)
{
	rule_for_all((enum rule)_i);
	all_know("ann Ann Elm Rome");
	shows(B, 10, "ann Zoe Elm Oslo");
	impose_side(A);
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_NONE, 0);
	expect_order(B, ACTION_UPDATE, MASK(NAME) | MASK(CITY));
	ck_assert_uint_eq(d.n_lost, 2);
	ck_assert_str_eq(d.lost[0].tie_break, "operator");
	write_all();
	policy.imposed = NULL;
	expect_quiet();
	shows(B, 20, "ann Zoe Elm Rome");	/* and the next edit goes as ever, also one that was made at the same time */
	decide();
	if (_i != RULE_MIN)
		expect_agreed("ann Zoe Elm Rome");
}
END_TEST

START_TEST(a_side_is_imposed_on_the_fields_that_were_told_alone)
{
	struct imposition some;

	all_know("ann Ann Elm Rome");
	shows(B, 10, "ann Zoe Elm Oslo");
	impose_side(A);
	some = *policy.imposed;
	some.fields = MASK(NAME);
	policy.imposed = &some;
	decide();
	expect_agreed("ann Ann Elm Oslo");
	expect_order(A, ACTION_UPDATE, MASK(CITY));
	expect_order(B, ACTION_UPDATE, MASK(NAME));
}
END_TEST

START_TEST(a_side_is_not_imposed_on_what_was_not_seen)
{
	all_know("ann Ann Elm Rome");
	shows(B, 10, "ann Eve Elm Rome");
	impose_side(A);
	shows(B, 11, "ann Joe Elm Rome");
	decide();
	expect_agreed("ann Joe Elm Rome");
	expect_order(B, ACTION_NONE, 0);
}
END_TEST

START_TEST(a_side_without_a_row_ends_the_record_known_or_not)
{
	if (_i == 0)
		all_know("ann Ann Elm Rome");
	shows(B, 10, "ann Eve Elm Rome");
	is_missing(A);
	impose_side(A);
	decide();
	ck_assert(base->dead);
	expect_order(B, ACTION_DELETE, 0);
	write_all();
	policy.imposed = NULL;
	expect_quiet();
}
END_TEST

START_TEST(a_row_that_is_gone_where_a_side_is_imposed_comes_back)
{
	all_know("ann Ann Elm Rome");
	deletes(B, 10);
	impose_side(A);
	decide();
	ck_assert(!base->dead);
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
	write_all();
	policy.imposed = NULL;
	expect_quiet();
}
END_TEST

static void impose_all(enum impose what, const char *row)
{
	struct imposition *i = arena_zalloc(&arena, sizeof *i);
	struct observation o = row_of(row, T(0), value_of("none"));

	*i = (struct imposition){ .what = what, .fields = EVERY_FIELD, .values = o.values, .digests = o.digests, .expected = o.digests };
	policy.imposed = i;
}

START_TEST(a_record_is_ended_and_comes_back)
{
	bad_edit(RULE_LAST_WRITER_WINS);
	impose_all(IMPOSE_END, "ann Eve Elm Rome");
	decide();
	ck_assert(base->dead);
	expect_order(A, ACTION_DELETE, 0);
	expect_order(B, ACTION_DELETE, 0);
	write_all();
	impose_all(IMPOSE_RECORD, "ann Ann Elm Rome");
	decide();
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
	ck_assert_uint_eq(base->generation, 2);
	write_all();
	policy.imposed = NULL;
	expect_quiet();
}
END_TEST

/* Its writes had to wait, for a record that it points to. */
START_TEST(a_record_that_comes_back_is_not_gone_because_nobody_shows_it_yet)
{
	bad_edit(RULE_LAST_WRITER_WINS);
	impose_all(IMPOSE_END, "ann Eve Elm Rome");
	decide();
	write_all();
	impose_all(IMPOSE_RECORD, "ann Ann Elm Rome");
	decide();
	((struct imposition *)(uintptr_t)policy.imposed)->begun = true;
	decide();
	ck_assert(!base->dead);
	ck_assert_uint_eq(d.put_back, EVERY_FIELD);
	expect_agreed("ann Ann Elm Rome");
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	expect_order(B, ACTION_INSERT, EVERY_FIELD);
	write_all();
	policy.imposed = NULL;
	expect_quiet();
}
END_TEST

START_TEST(a_record_that_somebody_edits_just_now_is_not_ended)
{
	bad_edit(RULE_LAST_WRITER_WINS);
	shows(B, 20, "ann Joe Elm Rome");
	impose_all(IMPOSE_END, "ann Eve Elm Rome");
	decide();
	ck_assert(!base->dead);
	ck_assert_uint_eq(d.put_back, 0);
	expect_agreed("ann Joe Elm Rome");
}
END_TEST

START_TEST(an_edit_that_comes_to_light_when_a_record_is_ended_keeps_it_whatever_the_policy)
{
	entity.deletes = _i == 0 ? DELETES_UPDATE_WINS : DELETES_DELETE_WINS;
	bad_edit(RULE_LAST_WRITER_WINS);
	impose_all(IMPOSE_END, "ann Eve Elm Rome");
	decide();
	write_to(A);
	shows(B, 20, "ann Joe Elm Rome");
	((struct imposition *)(uintptr_t)policy.imposed)->begun = true;
	decide();
	ck_assert(!base->dead);
	expect_agreed("ann Joe Elm Rome");
	expect_order(A, ACTION_INSERT, EVERY_FIELD);
	expect_order(B, ACTION_NONE, 0);
}
END_TEST

START_TEST(who_enters_it_anew_when_a_record_comes_back_stands)
{
	bad_edit(RULE_LAST_WRITER_WINS);
	impose_all(IMPOSE_END, "ann Eve Elm Rome");
	decide();
	write_all();
	impose_all(IMPOSE_RECORD, "ann Ann Elm Rome");
	decide();
	write_to(A);
	shows(B, 20, "ann New Elm Oslo");
	((struct imposition *)(uintptr_t)policy.imposed)->begun = true;
	decide();
	ck_assert_uint_eq(d.put_back, 0);
	expect_agreed("ann New Elm Oslo");
	expect_order(A, ACTION_UPDATE, MASK(NAME) | MASK(CITY));
}
END_TEST

/* ---- the laws, in full on a small domain -------------------------------------------------------------------------- */

/* ck_assert() tells its parent of every step, which is too slow for millions of them. */
static void must(bool holds, const char *what)
{
	if (!holds)
		ck_abort_msg("%s", what);
}

START_TEST(the_order_of_edits_is_total)
{
	enum { KEYS = 3 * 3 * 3 * 2 };
	enum rule rule = _i == 0 ? RULE_LAST_WRITER_WINS : RULE_SOURCE_PRIORITY;
	struct edit_key k[KEYS];
	uint32_t digest[KEYS];

	for (int i = 0; i < KEYS; i++) {
		k[i] = (struct edit_key){ .eff = i % 3, .n = (uint32_t)(i / 3 % 3), .origin = (uint8_t)(i / 9 % 3) };
		digest[i] = (uint32_t)(i / 27 + 1);
	}
	for (int a = 0; a < KEYS; a++)
		for (int b = 0; b < KEYS; b++) {
			int ab = edit_key_compare(&entity, rule, &k[a], digest[a], &k[b], digest[b]);

			must(ab == -edit_key_compare(&entity, rule, &k[b], digest[b], &k[a], digest[a]), "not antisymmetric");
			must((ab == 0) == (a == b), "different keys are equal");
			for (int c = 0; c < KEYS && ab > 0; c++)
				if (edit_key_compare(&entity, rule, &k[b], digest[b], &k[c], digest[c]) > 0)
					must(edit_key_compare(&entity, rule, &k[a], digest[a], &k[c], digest[c]) > 0, "not transitive");
		}
}
END_TEST

enum { SMALL_FIELDS = 2, SMALL_VALUES = 3, AGREED_AT = 10 };
static const int64_t stamps[] = { 3, 11, 12 };	/* the first is older than what it was made on top of */
enum { STAMPS = sizeof stamps / sizeof *stamps };

struct small_row {		/* what an endpoint's database holds */
	bool present;
	uint8_t value[SMALL_FIELDS];
	int64_t stamp;
	bool unheard;		/* edited, and not observed since */
};

struct domain {
	size_t endpoints, fields, values;
	bool with_deletes;
};

/* How a set of edits is observed: endpoint e in step[e]. */
struct watching {
	size_t step[ENDPOINTS], steps;
	bool write_between;	/* orders are carried out after each step; where an edit is unheard the guard refuses them */
	bool look_again;	/* those observed before are observed again in each step */
};

struct outcome {
	bool dead;
	struct vfield fields[SMALL_FIELDS];
};

static struct value small_value[SMALL_VALUES];
static uint64_t small_digest[SMALL_VALUES];
static const struct domain *domain;

static void setup_domain(const struct domain *dom)
{
	static const char *const text[SMALL_VALUES] = { "zero", "one", "two" };

	domain = dom;
	setup_fields(dom->fields);
	policy.n_endpoints = dom->endpoints;
	for (size_t i = 0; i < SMALL_VALUES; i++) {
		small_value[i] = value_of(text[i]);
		small_digest[i] = value_digest(&key, FIELD_TEXT, small_value[i]);
	}
}

static size_t rows_of_domain(void)
{
	return domain->fields == 2 ? domain->values * domain->values : domain->values;
}

/* Edit number 0 is none, the last ones are the deletes. */
static size_t edits_of_domain(void)
{
	return 1 + (rows_of_domain() - 1) * STAMPS + (domain->with_deletes ? STAMPS : 0);
}

static struct small_row small_edit(size_t number)
{
	struct small_row r = { .present = true, .stamp = AGREED_AT };
	size_t row;

	if (number == 0)
		return r;
	r.unheard = true;
	r.stamp = stamps[(number - 1) % STAMPS];
	row = 1 + (number - 1) / STAMPS;
	if (row == rows_of_domain())
		r.present = false;
	r.value[0] = (uint8_t)(row % domain->values);
	r.value[1] = (uint8_t)(row / domain->values);
	return r;
}

static struct observation look_at(const struct small_row *r, size_t e)
{
	struct value *values;
	uint64_t *digests;

	if (!r->present)
		return (struct observation){ .what = OBSERVED_ABSENT, .evidence = r->unheard, .stamp = T(r->stamp) };
	values = arena_alloc(&arena, sizeof small_value);
	digests = arena_alloc(&arena, sizeof small_digest);
	for (size_t f = 0; f < domain->fields; f++) {
		values[f] = small_value[r->value[f]];
		digests[f] = small_digest[r->value[f]];
	}
	return (struct observation){ .what = OBSERVED_ROW, .stamp = T(r->stamp), .id = first_id(e), .values = values,
		.digests = digests, .row = row_digest(&key, digests, domain->fields, in_order) };
}

static void carry_out(struct small_row *rows, size_t e)
{
	if (d.orders[e].action == ACTION_NONE || rows[e].unheard)
		return;
	if (d.orders[e].action == ACTION_INSERT)
		rows[e] = (struct small_row){ .present = true };
	rows[e].stamp = 100;
	if (d.orders[e].action == ACTION_DELETE)
		rows[e].present = false;
	for (size_t f = 0; f < domain->fields; f++)
		for (uint8_t i = 0; d.orders[e].fields & MASK(f) && i < SMALL_VALUES; i++)
			if (small_digest[i] == d.digests[f])
				rows[e].value[f] = i;
	decide_applied(&policy, &d, e, NULL, first_id(e), &arena);
}

static void observe_step(struct small_row *rows, const struct watching *w, size_t step, struct outcome *out)
{
	for (size_t e = 0; e < policy.n_endpoints; e++) {
		is_silent(e);
		if (w->step[e] == step || (w->look_again && w->step[e] < step))
			now[e] = look_at(&rows[e], e);
		if (now[e].what != OBSERVED_NOTHING)
			rows[e].unheard = false;
	}
	decide();
	for (size_t e = 0; w->write_between && e < policy.n_endpoints; e++)
		carry_out(rows, e);
}

/* Everybody is looked at and written to until nothing is left to do; then all show what is agreed. */
static void settle(struct small_row *rows)
{
	const struct watching all = { .write_between = true };
	struct outcome unused = { 0 };

	for (int round = 0; round < 4; round++)
		observe_step(rows, &all, 0, &unused);
	must(!is_owed_any() && d.edited == 0, "it never comes to rest");
	for (size_t e = 0; e < policy.n_endpoints; e++) {
		must(d.orders[e].action == ACTION_NONE, "something is written for ever");
		must(rows[e].present == !base->dead, "not alive or dead everywhere");
		for (size_t f = 0; f < domain->fields && !base->dead; f++)
			must(digest_field(small_digest[rows[e].value[f]]) == base->fields[f].digest, "not the same everywhere");
	}
}

static struct outcome keep_outcome(struct outcome so_far)
{
	so_far.dead = base->dead;
	for (size_t f = 0; f < domain->fields && !base->dead; f++)
		so_far.fields[f] = base->fields[f];
	return so_far;
}

static bool same_outcome(const struct outcome *a, const struct outcome *b)
{
	for (size_t f = 0; f < domain->fields && !a->dead; f++)
		if (a->fields[f].digest != b->fields[f].digest || a->fields[f].key.eff != b->fields[f].key.eff ||
		    a->fields[f].key.n != b->fields[f].key.n || a->fields[f].key.origin != b->fields[f].key.origin)
			return false;
	return a->dead == b->dead;
}

static struct outcome watch(const struct small_row *edits, const struct watching *w)
{
	struct small_row rows[ENDPOINTS];
	struct outcome out = { 0 };
	const struct small_row agreed = small_edit(0);

	arena_reset(&arena);
	base = NULL;
	for (size_t e = 0; e < policy.n_endpoints; e++)
		now[e] = look_at(&agreed, e);
	decide();
	memcpy(rows, edits, sizeof rows);
	for (size_t step = 0; step < w->steps; step++)
		observe_step(rows, w, step, &out);
	out = keep_outcome(out);
	settle(rows);
	return out;
}

/* In a group, and on a tie of whole rows, what is agreed was written by one hand. */
static void expect_not_mixed(const struct small_row *edits, const struct outcome *o)
{
	bool one_hand = entity.n_groups > 0 || domain->fields == 1, whole = true, tie = true, found = false;
	int64_t stamp = -1;

	for (size_t e = 0; e < policy.n_endpoints; e++) {
		if (!edits[e].unheard || !edits[e].present)
			continue;
		whole &= edits[e].value[0] != 0 && edits[e].value[1] != 0;
		tie &= stamp < 0 || stamp == edits[e].stamp;
		stamp = edits[e].stamp;
	}
	if (o->dead || stamp < 0 || !(one_hand || (whole && tie)))
		return;
	for (size_t e = 0; e < policy.n_endpoints; e++) {
		bool his = edits[e].unheard && edits[e].present;

		for (size_t f = 0; his && f < domain->fields; f++)
			his &= o->fields[f].digest == digest_field(small_digest[edits[e].value[f]]) && o->fields[f].key.origin == e;
		found |= his;
	}
	must(found, "a row that nobody wrote");
}

/* Number -> an ordered partition of the endpoints; false: this number is none. */
static bool nth_watching(size_t number, struct watching *w)
{
	size_t used = 0;

	memset(w, 0, sizeof *w);
	w->write_between = number & 1;
	w->look_again = number & 2;
	number >>= 2;
	for (size_t e = 0; e < policy.n_endpoints; e++) {
		w->step[e] = number % policy.n_endpoints;
		number /= policy.n_endpoints;
		used |= MASK(w->step[e]);
	}
	w->steps = (size_t)__builtin_popcountll(used);
	return number == 0 && used == MASK(w->steps) - 1;
}

/* All ways to observe one set of edits. */
static void watch_all_ways(const struct small_row *edits)
{
	const struct watching together = { .steps = 1 };
	struct outcome first = watch(edits, &together), other;
	size_t ways = policy.n_endpoints == 2 ? 4 * 4 : 4 * 27;
	struct watching w;

	expect_not_mixed(edits, &first);
	for (size_t i = 0; i < ways; i++) {
		if (!nth_watching(i, &w))
			continue;
		other = watch(edits, &w);
		if (!same_outcome(&first, &other))
			ck_abort_msg("another way to look (%zu) makes another winner", i);
	}
}

static void check_laws(const struct domain *dom, int variant)
{
	size_t n, sets = 1;
	struct small_row edits[ENDPOINTS] = { 0 };

	setup_domain(dom);
	rule_for_all(variant & 1 ? RULE_SOURCE_PRIORITY : RULE_LAST_WRITER_WINS);
	entity.deletes = variant & 2 ? DELETES_DELETE_WINS : DELETES_UPDATE_WINS;
	for (size_t f = 0; f < dom->fields; f++)
		fields[f].group = variant & 4 ? 0 : -1;
	entity.n_groups = variant & 4 ? 1 : 0;
	n = edits_of_domain();
	for (size_t e = 0; e < dom->endpoints; e++)
		sets *= n;
	for (size_t set = 0; set < sets; set += EVERY) {
		size_t rest = set;

		for (size_t e = 0; e < dom->endpoints; e++, rest /= n)
			edits[e] = small_edit(rest % n);
		watch_all_ways(edits);
	}
}

START_TEST(two_endpoints_two_fields_three_values)
{
	check_laws(&(struct domain){ .endpoints = 2, .fields = 2, .values = 3, .with_deletes = true }, _i);
}
END_TEST

START_TEST(three_endpoints_one_field_three_values)
{
	check_laws(&(struct domain){ .endpoints = 3, .fields = 1, .values = 3, .with_deletes = true }, _i);
}
END_TEST

START_TEST(three_endpoints_two_fields_two_values)
{
	check_laws(&(struct domain){ .endpoints = 3, .fields = 2, .values = 2, .with_deletes = true }, _i);
}
END_TEST

/* ---- main ----------------------------------------------------------------------------------------------------------- */

static TCase *new_case(Suite *s, const char *name)
{
	TCase *t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 300);
	suite_add_tcase(s, t);
	return t;
}

static void add_edits(TCase *t)
{
	tcase_add_test(t, an_echo_is_nothing);
	tcase_add_test(t, edits_of_different_fields_both_stay);
	tcase_add_loop_test(t, the_later_stamp_wins, 0, 3);
	tcase_add_loop_test(t, equal_stamps_go_to_the_higher_priority_whoever_is_observed_first, 0, 3);
	tcase_add_test(t, stamps_within_one_quantum_are_equal);
	tcase_add_loop_test(t, source_priority_beats_the_stamp_on_the_same_base, 0, 3);
	tcase_add_test(t, source_priority_yields_to_a_later_edit);
	tcase_add_loop_test(t, newest_filled_puts_a_value_back_that_was_blanked, 0, 2);
	tcase_add_test(t, newest_filled_lets_a_value_take_the_place_of_a_later_blank);
	tcase_add_loop_test(t, newest_filled_is_last_writer_wins_among_values, 0, 3);
	tcase_add_test(t, newest_filled_never_writes_what_is_out_of_reach);
	tcase_add_loop_test(t, max_puts_back_what_was_lowered_and_min_what_was_raised, 0, 2);
	tcase_add_loop_test(t, max_takes_the_greatest_whenever_it_was_written_and_whatever_is_seen_first, 0, 3);
	tcase_add_test(t, manual_leaves_both_sides_alone_and_lets_the_rest_flow);
	tcase_add_test(t, manual_writes_the_chosen_side_everywhere);
	tcase_add_test(t, manual_keeps_a_given_value_at_hand_until_it_is_shown);
	tcase_add_test(t, manual_tells_of_a_word_that_lost_and_cannot_be_asked_for);
	tcase_add_loop_test(t, max_tells_of_what_lost_once_it_is_decided, 0, 2);
	tcase_add_test(t, max_tells_of_what_was_lowered_when_the_agreed_value_is_there_again);
	tcase_add_test(t, max_tells_that_a_value_keeps_no_record);
	tcase_add_test(t, manual_takes_no_verdict_on_what_has_changed_since);
	tcase_add_test(t, manual_asks_about_an_edit_by_somebody_who_had_not_seen_the_agreed_value);
	tcase_add_test(t, manual_waits_on_where_the_last_word_cannot_be_asked_for);
	tcase_add_test(t, manual_closes_without_anybody_where_the_last_word_is_agreed);
	tcase_add_test(t, what_waits_is_an_edit_that_a_deleter_had_not_seen);
	tcase_add_test(t, what_waits_brings_back_what_somebody_else_deleted);
	tcase_add_loop_test(t, a_delete_that_wins_takes_the_words_that_wait_and_they_are_written_down, 0, 2);
	tcase_add_test(t, another_rule_decides_what_waited_under_manual);
	tcase_add_test(t, a_group_waits_and_is_settled_as_a_whole);
	tcase_add_test(t, max_waits_while_the_agreed_value_is_out_of_reach);
	tcase_add_loop_test(t, what_waits_for_the_greatest_value_is_an_edit_that_a_deleter_had_not_seen, 0, 2);
	tcase_add_loop_test(t, what_loses_to_the_greatest_value_keeps_no_record_whoever_shows_that, 0, 3);
	tcase_add_test(t, what_beats_the_greatest_value_keeps_the_record);
	tcase_add_loop_test(t, what_waits_for_the_greatest_value_is_lost_to_a_delete_that_wins, 0, 2);
	tcase_add_test(t, what_is_only_behind_under_max_is_no_edit_that_a_deleter_had_not_seen);
	tcase_add_loop_test(t, who_writes_against_max_and_deletes_had_seen_what_stands, 0, 2);
	tcase_add_loop_test(t, who_writes_what_cannot_stand_and_deletes_had_seen_what_stands, 0, 4);
	tcase_add_loop_test(t, who_had_not_seen_what_stands_and_wrote_twice_had_still_not_seen_it, 0, 2);
	tcase_add_loop_test(t, null_is_neither_the_greatest_nor_the_least, 0, 2);
	tcase_add_test(t, the_targets_own_form_of_the_greatest_value_is_not_greater);
	tcase_add_loop_test(t, mirror_imposes_the_first_endpoint_whatever_the_stamps_say, 0, 3);
	tcase_add_test(t, mirror_reverts_an_edit_on_top_of_the_mirrored_value_and_writes_it_down);
	tcase_add_test(t, mirror_keeps_and_copies_a_record_made_elsewhere);
	tcase_add_test(t, an_edit_on_top_of_a_seen_value_beats_it_whatever_the_clock_says);
	tcase_add_test(t, the_same_value_written_once_more_elsewhere_has_not_been_seen);
	tcase_add_test(t, a_stamp_of_2099_is_clamped);
	tcase_add_test(t, an_edit_without_a_stamp_happened_now);
	tcase_add_test(t, a_group_moves_as_a_whole);
	tcase_add_test(t, a_group_observed_one_by_one_moves_as_a_whole_too);
	tcase_add_test(t, a_collided_field_is_found_by_comparing_rows);
	tcase_add_test(t, a_collided_field_beside_a_plain_one_is_found_too);
	tcase_add_test(t, a_collision_with_nobody_to_compare_makes_the_whole_row_news);
}

static void add_contacts_and_deletes(TCase *t)
{
	tcase_add_loop_test(t, of_a_row_that_was_put_back_only_what_was_edited_since_counts, 0, 2);
	tcase_add_test(t, a_row_that_was_put_back_loses_to_what_is_agreed_however_late_its_stamp_is);
	tcase_add_test(t, equal_rows_are_adopted);
	tcase_add_test(t, a_one_sided_row_is_copied);
	tcase_add_test(t, nothing_is_inserted_where_nobody_looked);
	tcase_add_test(t, differing_rows_compete_and_nothing_is_deleted);
	tcase_add_test(t, a_row_without_a_stamp_loses_to_one_that_has_one);
	tcase_add_test(t, who_comes_back_has_edited_what_it_showed_when_it_left);
	tcase_add_test(t, what_it_said_that_waits_for_a_person_waits_again);
	tcase_add_test(t, what_was_deleted_while_it_was_away_it_brings_back);
	tcase_add_test(t, what_it_alone_had_when_it_left_competes_when_it_is_back);
	tcase_add_test(t, a_late_comer_competes_with_what_is_agreed);
	tcase_add_test(t, a_field_new_to_the_mapping_competes_as_on_first_contact);
	tcase_add_loop_test(t, a_new_field_that_is_empty_loses_to_any_value_and_nothing_is_lost, 0, 8);
	tcase_add_test(t, a_new_field_that_is_empty_at_a_late_comer_loses_too);
	tcase_add_loop_test(t, what_stands_in_a_new_field_does_not_bring_the_deleted_back, 0, 3);
	tcase_add_loop_test(t, what_was_edited_in_a_new_field_does, 0, 2);
	tcase_add_loop_test(t, under_update_wins_an_unseen_edit_saves_the_record, 0, 3);
	tcase_add_loop_test(t, under_delete_wins_it_is_dead, 0, 3);
	tcase_add_loop_test(t, an_edit_that_the_deleter_had_seen_saves_nothing, 0, 2);
	tcase_add_loop_test(t, a_row_in_place_of_a_deleted_one_shows_a_new_life, 0, 4);
	tcase_add_loop_test(t, an_edit_that_whoever_replaced_a_row_had_not_seen_is_judged_as_against_a_delete, 0, 2);
	tcase_add_loop_test(t, a_late_delete_of_the_old_row_does_not_end_the_new_life, 0, 4);
	tcase_add_loop_test(t, a_delete_of_the_old_row_that_was_edited_in_the_new_life_is_judged, 0, 2);
	tcase_add_loop_test(t, what_an_old_row_shows_does_not_count_in_the_new_life, 0, 4);
	tcase_add_loop_test(t, who_is_met_first_once_more_has_replaced_its_own_value, 0, 12);
	tcase_add_loop_test(t, a_row_inserted_after_the_delete_is_a_new_generation, 0, 2);
	tcase_add_test(t, a_record_that_ends_keeps_the_key_that_it_had);
	tcase_add_loop_test(t, missing_without_evidence_never_deletes, 0, 2);
	tcase_add_test(t, a_missing_row_gets_the_edit_it_has_not_seen_under_update_wins);
	tcase_add_loop_test(t, a_missing_row_of_which_word_is_on_its_way_is_owed_the_edit, 0, 2);
	tcase_add_test(t, a_missing_row_that_was_owed_an_edit_and_is_deleted_comes_back);
	tcase_add_test(t, a_row_that_left_the_mapping_is_neither_a_delete_nor_filled);
	tcase_add_test(t, where_a_row_outside_of_the_mapping_has_the_key_the_insert_waits);
	tcase_add_test(t, where_deletes_are_ignored_they_neither_come_from_nor_go);
}

static void add_writes_and_roles(TCase *t)
{
	tcase_add_test(t, a_normalised_read_back_is_quiet_and_not_sent_again);
	tcase_add_test(t, what_the_target_made_of_another_field_is_an_edit_there);
	tcase_add_test(t, an_edit_of_a_normalised_field_is_an_edit_on_top);
	tcase_add_test(t, a_new_value_is_sent_over_a_normalised_one);
	tcase_add_test(t, what_was_not_written_and_shows_something_else_is_no_form_of_it);
	tcase_add_test(t, a_key_of_two_parts_is_never_made_of_two_peoples_halves);
	tcase_add_test(t, half_of_a_group_is_never_written);
	tcase_add_test(t, our_own_write_of_which_we_never_heard_is_not_an_edit);
	tcase_add_test(t, our_own_insert_of_which_we_never_heard_is_not_an_edit);
	tcase_add_test(t, an_insert_in_doubt_is_not_sent_again_to_whom_nobody_looked_at);
	tcase_add_test(t, what_a_row_shows_that_took_the_place_of_another_was_entered_anew);
	tcase_add_test(t, an_insert_in_doubt_is_looked_for_where_the_record_was_deleted_meanwhile);
	tcase_add_test(t, a_row_that_we_are_known_to_have_inserted_is_ours_whatever_it_shows);
	tcase_add_loop_test(t, a_reference_to_a_record_that_got_another_key_was_not_edited_and_keeps_nothing, 0, 2);
	tcase_add_test(t, a_reference_that_was_edited_beside_keeps_the_record);
	tcase_add_test(t, a_reference_that_was_moved_to_who_has_the_former_key_by_now_is_an_edit);
	tcase_add_test(t, what_a_reference_means_that_is_unclear_is_left_out_and_the_rest_of_its_row_is_not);
	tcase_add_test(t, nor_is_a_row_deleted_while_it_is_unclear_whether_it_was_edited);
	tcase_add_test(t, nor_is_one_that_was_moved_before_it_had_followed);
	tcase_add_loop_test(t, a_reference_by_a_key_in_another_form_is_quiet_and_not_written, 0, 2);
	tcase_add_loop_test(t, where_a_record_has_its_old_key_yet_the_edit_of_the_reference_is_known, 0, 2);
	tcase_add_test(t, who_is_behind_stays_behind_when_what_it_refers_to_gets_another_key);
	tcase_add_loop_test(t, what_was_the_same_before_it_was_cleaned_in_another_way_is_written, 0, 4);
	tcase_add_test(t, an_own_form_goes_with_what_is_owed_and_not_before_that);
	tcase_add_test(t, a_reference_that_went_astray_is_no_form_of_what_was_meant_and_is_written_again);
	tcase_add_loop_test(t, a_field_left_out_of_an_insert_is_no_edit_and_is_filled_in, 0, 2);
	tcase_add_test(t, an_insert_in_doubt_of_nothing_but_a_key_is_ours_and_is_filled_in);
	tcase_add_test(t, what_an_insert_in_doubt_left_blank_is_no_edit_whosever_row_it_is);
	tcase_add_test(t, a_row_that_shows_more_than_was_inserted_in_doubt_has_an_edit);
	tcase_add_test(t, a_write_in_doubt_does_not_come_back_as_an_edit);
	tcase_add_test(t, a_field_that_was_edited_to_what_was_intended_does_not_make_an_edit_of_the_others);
	tcase_add_test(t, a_write_in_doubt_that_did_not_happen_is_sent_again);
	tcase_add_test(t, a_record_that_has_no_row_anywhere_is_dead);
	tcase_add_test(t, an_agreed_row_that_nobody_shows_stays_known);
	tcase_add_loop_test(t, an_edit_over_a_write_in_doubt_wins_and_is_written_down, 0, 2);
	tcase_add_test(t, a_form_of_what_nobody_shows_any_more_is_written_over);
	tcase_add_test(t, a_sum_that_may_be_off_by_a_write_in_doubt_is_written_down);
	tcase_add_test(t, a_write_that_did_not_happen_does_not_speak_for_the_next);
	tcase_add_test(t, a_delete_of_a_row_with_a_write_in_doubt_may_not_have_seen_what_was_put_back_since);
	tcase_add_test(t, an_older_write_in_doubt_does_not_speak_for_a_newer_one);
	tcase_add_test(t, a_list_of_intentions_that_is_too_long_is_cut);
	tcase_add_test(t, our_own_delete_of_which_we_never_heard_is_nobodys_delete);
	tcase_add_test(t, a_source_is_read_and_never_written);
	tcase_add_test(t, a_source_gets_no_inserts);
	tcase_add_test(t, a_target_is_put_right_and_has_no_say);
	tcase_add_test(t, a_target_that_could_not_be_put_right_at_once_is_put_right_later);
	tcase_add_test(t, an_endpoint_without_a_mapping_is_left_alone);
}

static void add_what_is_put_back(TCase *t)
{
	static const enum rule rules[] = { RULE_LAST_WRITER_WINS, RULE_SOURCE_PRIORITY, RULE_MIRROR, RULE_NEWEST_FILLED, RULE_MAX, RULE_MIN, RULE_MANUAL };

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
		tcase_add_loop_test(t, what_is_put_back_goes_to_all_whatever_the_rule, (int)rules[i], (int)rules[i] + 1);
		tcase_add_loop_test(t, a_side_is_imposed_on_what_another_one_has_edited_whatever_the_rule, (int)rules[i], (int)rules[i] + 1);
		tcase_add_loop_test(t, who_was_away_when_it_was_put_back_is_behind_and_makes_no_edit, (int)rules[i], (int)rules[i] + 1);
	}
	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		tcase_add_loop_test(t, an_edit_that_comes_to_light_when_it_is_put_back_stands, (int)rules[i], (int)rules[i] + 1);
	tcase_add_test(t, what_is_put_back_is_as_late_as_its_own_field_asks_for);
	tcase_add_loop_test(t, an_edit_that_comes_to_light_when_a_record_is_ended_keeps_it_whatever_the_policy, 0, 2);
	tcase_add_test(t, who_enters_it_anew_when_a_record_comes_back_stands);
	tcase_add_test(t, what_somebody_has_touched_since_is_not_put_back);
	tcase_add_test(t, what_is_put_back_is_brought_along_until_somebody_shows_it);
	tcase_add_test(t, a_group_is_put_back_only_when_nobody_touched_any_of_it);
	tcase_add_test(t, a_record_is_ended_and_comes_back);
	tcase_add_test(t, a_record_that_comes_back_is_not_gone_because_nobody_shows_it_yet);
	tcase_add_test(t, a_side_is_imposed_on_the_fields_that_were_told_alone);
	tcase_add_test(t, a_side_is_not_imposed_on_what_was_not_seen);
	tcase_add_loop_test(t, a_side_without_a_row_ends_the_record_known_or_not, 0, 2);
	tcase_add_test(t, a_row_that_is_gone_where_a_side_is_imposed_comes_back);
	tcase_add_test(t, a_record_that_somebody_edits_just_now_is_not_ended);
}

int main(void)
{
	Suite *s = suite_create("decide");
	TCase *laws;
	SRunner *r;
	int failed;

	add_edits(new_case(s, "edits"));
	add_contacts_and_deletes(new_case(s, "first contact and deletes"));
	add_writes_and_roles(new_case(s, "own writes and roles"));
	add_what_is_put_back(new_case(s, "what a person puts back"));
	laws = new_case(s, "laws");
	tcase_add_loop_test(laws, the_order_of_edits_is_total, 0, 2);
	tcase_add_loop_test(laws, two_endpoints_two_fields_three_values, 0, 8);
	tcase_add_loop_test(laws, three_endpoints_one_field_three_values, 0, 4);
	tcase_add_loop_test(laws, three_endpoints_two_fields_two_values, 0, 8);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
