/* check_record.c - identity and digests of src/model/record.h. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "model/record.h"

static struct arena arena;
static struct digest_key key;
static char contact_name[] = "contact", account_name[] = "account";

static void setup(void)
{
	arena_init(&arena);
	for (size_t i = 0; i < sizeof key.secret; i++)	/* fixed, and nothing a real key would look like */
		key.secret[i] = (unsigned char)(i * 131 + 7);
}

static void teardown(void)
{
	arena_fini(&arena);
}

static struct value encode(const char *a, const char *b)
{
	const struct value parts[] = { a != NULL ? value_of(a) : VALUE_NULL, b != NULL ? value_of(b) : VALUE_NULL };

	return record_key_encode(parts, 2, &arena);
}

START_TEST(a_single_key_field_is_the_key_itself)
{
	struct value v = value_of("ann@example.org"), out;

	ck_assert_ptr_eq(record_key_encode(&v, 1, &arena).data, v.data);
	ck_assert(record_key_decode(v, 1, &out));
	ck_assert(value_equal(v, out));
}
END_TEST

START_TEST(several_key_fields_keep_their_borders)
{
	struct value out[2], joined = encode("DE", "4711");

	ck_assert(value_equal(joined, value_of("2:DE4:4711")));
	ck_assert(record_key_decode(joined, 2, out));
	ck_assert(value_equal(out[0], value_of("DE")) && value_equal(out[1], value_of("4711")));
	ck_assert(!value_equal(encode("ab", "c"), encode("a", "bc")));
	ck_assert(!value_equal(encode("1:", ""), encode("", "1:")));
	ck_assert(record_key_decode(encode("", ""), 2, out));
	ck_assert(value_equal(out[0], value_of("")) && value_equal(out[1], value_of("")));
}
END_TEST

START_TEST(a_key_with_a_missing_part_is_no_key)
{
	struct value none = VALUE_NULL;

	ck_assert(value_is_null(encode("DE", NULL)));
	ck_assert(value_is_null(encode(NULL, "1")));
	ck_assert(value_is_null(record_key_encode(&none, 1, &arena)));
	ck_assert(!record_key_decode(VALUE_NULL, 1, &none));
	ck_assert(!record_key_decode(VALUE_NULL, 2, &none));
}
END_TEST

START_TEST(only_what_was_encoded_decodes)
{
	static const char *const bad[] = {
		"", "2:DE", "2:DE4:471", "2:DE4:47110", "02:DE4:4711", "2DE4:4711", ":DE4:4711", "-2:DE4:4711", "+2:DE4:4711", " 2:DE4:4711",
		"99999999999999999999:DE4:4711", "4294967298:DE4:4711", "2:DE4", "2:DE4:4711x", "2:DE00:",
	};
	struct value out[2];

	for (size_t i = 0; i < countof(bad); i++)
		ck_assert_msg(!record_key_decode(value_of(bad[i]), 2, out), "'%s'", bad[i]);
}
END_TEST

START_TEST(the_key_is_picked_in_the_order_of_the_topology)
{
	struct entity_def entity = { .name = contact_name, .key = { 2, 0 }, .n_key = 2 };
	const struct value values[] = { value_of("4711"), value_of("other"), value_of("DE") };

	ck_assert(value_equal(record_key(&entity, values, &arena), value_of("2:DE4:4711")));
}
END_TEST

START_TEST(keys_that_differ_are_printed_differently)
{
	static const char *const keys[][2] = {
		{ "a / b", "c" }, { "a", "b / c" }, { "a /", "c" }, { "a", "/ c" }, { "a\\", "c" }, { "a\\ /", "c" }, { "", "a / c" }, { "", "" },
	};
	struct buf b[sizeof keys / sizeof *keys] = { { 0 } };

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		record_key_print(&b[i], encode(keys[i][0], keys[i][1]), 2);
		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(b[i].p, b[k].p);
	}
	ck_assert_str_eq(b[0].p, "a \\/ b / c");
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		buf_fini(&b[i]);
}
END_TEST

START_TEST(keys_are_printed_for_people)
{
	struct buf b = { 0 };

	record_key_print(&b, value_of("ann/o@example.org"), 1);
	ck_assert_str_eq(b.p, "ann/o@example.org");
	buf_clear(&b);
	record_key_print(&b, encode("DE", "4711"), 2);
	ck_assert_str_eq(b.p, "DE / 4711");
	buf_clear(&b);
	record_key_print(&b, value_of("damaged"), 2);
	ck_assert_str_eq(b.p, "damaged");
	buf_clear(&b);
	record_key_print(&b, VALUE_NULL, 2);
	ck_assert_str_eq(b.p, "");
	buf_fini(&b);
}
END_TEST

START_TEST(a_record_id_depends_on_entity_key_and_secret)
{
	struct entity_def contact = { .name = contact_name }, account = { .name = account_name };
	struct rid a = rid_of(&key, &contact, value_of("ann")), b;
	char *longest = arena_alloc(&arena, 100000);
	struct value wide = { longest, 100000 };

	b = rid_of(&key, &contact, value_of("ann"));
	ck_assert(rid_equal(&a, &b));
	b = rid_of(&key, &contact, value_of("anna"));
	ck_assert(!rid_equal(&a, &b));
	b = rid_of(&key, &account, value_of("ann"));
	ck_assert(!rid_equal(&a, &b));
	memset(longest, 'x', 100000);
	a = rid_of(&key, &contact, wide);
	longest[99999] = 'y';
	b = rid_of(&key, &contact, wide);
	ck_assert(!rid_equal(&a, &b));
	a = rid_of(&key, &contact, value_of("ann"));
	for (size_t i = 0; i < sizeof key.secret; i++)
		key.secret[i] = (unsigned char)(i * 37 + 1);
	b = rid_of(&key, &contact, value_of("ann"));
	ck_assert(!rid_equal(&a, &b));
}
END_TEST

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, RID_BYTES);
}

START_TEST(record_ids_do_not_meet)
{
	enum { MANY = 200000 };
	struct entity_def contact = { .name = contact_name };
	struct rid *all = xcalloc(MANY, sizeof *all);
	char text[32];

	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof text, "person%d@example.org", i);
		all[i] = rid_of(&key, &contact, value_of(text));
	}
	qsort(all, MANY, sizeof *all, by_bytes);
	for (int i = 1; i < MANY; i++)
		if (rid_equal(&all[i - 1], &all[i]))
			ck_abort_msg("two of %d", MANY);
	free(all);
}
END_TEST

START_TEST(digests_tell_values_types_and_null_apart)
{
	uint64_t text = value_digest(&key, FIELD_TEXT, value_of("1"));

	ck_assert_uint_eq(text, value_digest(&key, FIELD_TEXT, value_of("1")));
	ck_assert_uint_ne(text, value_digest(&key, FIELD_TEXT, value_of("2")));
	ck_assert_uint_ne(text, value_digest(&key, FIELD_INTEGER, value_of("1")));
	ck_assert_uint_ne(value_digest(&key, FIELD_TEXT, VALUE_NULL), value_digest(&key, FIELD_TEXT, value_of("")));
	ck_assert_uint_ne(value_digest(&key, FIELD_TEXT, VALUE_NULL), value_digest(&key, FIELD_DATE, VALUE_NULL));
}
END_TEST

/* Lengths around every border: the scratch memory, and the ways XXH3 has for short and long inputs. */
START_TEST(digests_see_every_byte)
{
	for (int32_t n = 1; n < 1200; n++) {
		char *p = arena_alloc(&arena, (size_t)n);
		uint64_t whole;

		memset(p, 'a', (size_t)n);
		whole = value_digest(&key, FIELD_TEXT, (struct value){ p, n });
		for (int32_t i = n > 40 ? n - 40 : 0; i < n; i++) {
			p[i] = 'b';
			if (value_digest(&key, FIELD_TEXT, (struct value){ p, n }) == whole)
				ck_abort_msg("byte %d of %d", i, n);
			p[i] = 'a';
		}
	}
}
END_TEST

START_TEST(a_row_digest_depends_on_which_field_has_which_value)
{
	const uint64_t row[] = { 1, 2, 3 }, swapped[] = { 2, 1, 3 };
	const uint8_t order[] = { 0, 1, 2 }, other[] = { 1, 0, 2 };

	ck_assert_uint_eq(row_digest(&key, row, 3, order), row_digest(&key, row, 3, order));
	ck_assert_uint_ne(row_digest(&key, row, 3, order), row_digest(&key, swapped, 3, order));
	ck_assert_uint_eq(row_digest(&key, row, 3, order), row_digest(&key, swapped, 3, other));
	ck_assert_uint_ne(row_digest(&key, row, 3, order), row_digest(&key, row, 2, order));
}
END_TEST

/* They are kept in Redis: a build that computes others would take every record for changed. */
START_TEST(digests_stay_what_they_are)
{
	struct entity_def contact = { .name = contact_name };
	const uint64_t row[] = { 1, 2, 3 };
	const uint8_t order[] = { 0, 1, 2 };
	struct rid rid = rid_of(&key, &contact, value_of("ann@example.org"));
	struct buf b = { 0 };

	for (int i = 0; i < RID_BYTES; i++)
		buf_addf(&b, "%02x", rid.b[i]);
	ck_assert_str_eq(b.p, "5da3e6ccbb18a7ffcce0");
	ck_assert_uint_eq(value_digest(&key, FIELD_TEXT, value_of("Ann")), UINT64_C(0x7d979909fa3589e8));
	ck_assert_uint_eq(value_digest(&key, FIELD_TEXT, VALUE_NULL), UINT64_C(0xcaf1905eb0271311));
	ck_assert_uint_eq(row_digest(&key, row, 3, order), UINT64_C(0x5460d168ac3c18cd));
	buf_fini(&b);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("record");
	TCase *c = tcase_create("record");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_single_key_field_is_the_key_itself);
	tcase_add_test(c, several_key_fields_keep_their_borders);
	tcase_add_test(c, a_key_with_a_missing_part_is_no_key);
	tcase_add_test(c, only_what_was_encoded_decodes);
	tcase_add_test(c, the_key_is_picked_in_the_order_of_the_topology);
	tcase_add_test(c, keys_are_printed_for_people);
	tcase_add_test(c, keys_that_differ_are_printed_differently);
	tcase_add_test(c, a_record_id_depends_on_entity_key_and_secret);
	tcase_add_test(c, record_ids_do_not_meet);
	tcase_add_test(c, digests_tell_values_types_and_null_apart);
	tcase_add_test(c, digests_see_every_byte);
	tcase_add_test(c, a_row_digest_depends_on_which_field_has_which_value);
	tcase_add_test(c, digests_stay_what_they_are);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
