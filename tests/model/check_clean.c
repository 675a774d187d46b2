/* check_clean.c - cleaning and checks of src/model/clean.h. */
#include <check.h>
#include <locale.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/clean.h"

static struct arena arena;

static void setup(void)
{
	arena_init(&arena);
}

static void teardown(void)
{
	arena_fini(&arena);
}

/* ck_assert() tells its parent of every success, a system call each: too slow for what runs a million times. */
#define must(condition, ...) do { \
		if (!(condition)) \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

#define STEP(k)		{ .kind = (k) }
#define STEPS(...)	.clean = (struct clean_step[]){ __VA_ARGS__ }, \
			.n_clean = sizeof (struct clean_step[]){ __VA_ARGS__ } / sizeof(struct clean_step)
#define CHECKS_OF(...)	.checks = (struct check_step[]){ __VA_ARGS__ }, \
			.n_checks = sizeof (struct check_step[]){ __VA_ARGS__ } / sizeof(struct check_step)
#define WORDS(...)	.words = (char *[]){ __VA_ARGS__ }, .n = sizeof (char *[]){ __VA_ARGS__ } / sizeof(char *)

static char name[] = "nickname";

static void becomes(const struct field_def *f, const char *raw, const char *want, bool cleaned)
{
	struct value in = raw != NULL ? value_of(raw) : VALUE_NULL, wanted = want != NULL ? value_of(want) : VALUE_NULL, out, again;
	struct clean_note note;
	struct err e = { 0 };

	ck_assert_msg(clean_field(f, in, &arena, &out, &note, &e), "'%s' was refused: %s", raw, e.text);
	ck_assert_msg(value_equal(out, wanted), "'%s' became '%.*s'", raw, out.len, out.data);
	ck_assert_msg(note.cleaned == cleaned, "'%s' cleaned: %d", raw, note.cleaned);
	ck_assert(!note.nulled && !note.flagged);
	if (value_equal(in, wanted))
		ck_assert_ptr_eq(out.data, in.data);
	ck_assert(clean_field(f, out, &arena, &again, &note, &e));
	ck_assert(value_equal(out, again) && !note.cleaned);
}

static void refused(const struct field_def *f, const char *raw, const char *code)
{
	struct value in = raw != NULL ? value_of(raw) : VALUE_NULL, out;
	struct clean_note note;
	struct err e = { 0 };

	ck_assert_msg(!clean_field(f, in, &arena, &out, &note, &e), "'%s' was taken", raw);
	ck_assert_int_eq(e.kind, ERR_ROW);
	ck_assert_str_eq(e.code, code);
	ck_assert_msg(strncmp(e.text, "field nickname: ", 16) == 0, "%s", e.text);
	if (raw != NULL && strlen(raw) > 3)
		ck_assert_ptr_null(strstr(e.text, raw));
}

/* ---- steps ------------------------------------------------------------------------------------------------ */

START_TEST(without_steps_only_the_form_changes)
{
	struct field_def text = { .name = name, .type = FIELD_TEXT }, number = { .name = name, .type = FIELD_INTEGER };

	becomes(&text, " A  b ", " A  b ", false);
	becomes(&text, NULL, NULL, false);
	becomes(&number, "007", "7", false);
	refused(&number, "seven", "bad-integer");
	refused(&text, "geheim\xff", "bad-utf8");
}
END_TEST

START_TEST(trim_takes_all_white_space_off_both_ends)
{
	struct field_def f = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_TRIM)) };

	becomes(&f, "plain", "plain", false);
	becomes(&f, "", "", false);
	becomes(&f, "  a  b \t\r\n\v\f", "a  b", true);
	becomes(&f, " \t ", "", true);
	becomes(&f, "\xc2\xa0" "a\xe3\x80\x80", "a", true);
	becomes(&f, "\xe2\x80\x8a\xc2\x85\xe1\x9a\x80" "a\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaf\xe2\x81\x9f", "a", true);
	becomes(&f, "\xef\xbb\xbf" "a\xe2\x80\x8b\xe2\x81\xa0", "a", true);
	becomes(&f, "\xc3\xa9", "\xc3\xa9", false);
	becomes(&f, "a\xe2\x80\x8d", "a\xe2\x80\x8d", false);	/* a joiner shapes the letter before it */
	refused(&f, " a\xff ", "bad-utf8");
	refused(&f, "\xa0", "bad-utf8");
	refused(&f, " a\xe3\x80", "bad-utf8");
}
END_TEST

START_TEST(squeeze_makes_one_blank_of_every_run)
{
	struct field_def f = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_SQUEEZE)) };

	becomes(&f, "a b c", "a b c", false);
	becomes(&f, "a  b", "a b", true);
	becomes(&f, "a\tb", "a b", true);
	becomes(&f, "  a \t\n b  ", " a b ", true);
	becomes(&f, "a \xc2\xa0 b", "a b", true);
	becomes(&f, "a\xc2\xa0" "b c\xe3\x80\x80\xe3\x80\x80" "d", "a b c d", true);
	becomes(&f, "a\xe2\x80\x8b" "b", "a\xe2\x80\x8b" "b", false);	/* not white space: it has no width to squeeze */
	refused(&f, "a  \xff", "bad-utf8");
}
END_TEST

START_TEST(case_does_not_depend_on_the_environment)
{
	static const char *const locales[] = { "C", "C.UTF-8", "POSIX" };
	struct field_def lower = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_LOWER)) };
	struct field_def upper = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_UPPER)) };

	setenv("LC_ALL", "C", 1);
	for (size_t i = 0; i < countof(locales); i++) {
		ck_assert_ptr_nonnull(setlocale(LC_ALL, locales[i]));
		becomes(&lower, "ann@example.org", "ann@example.org", false);
		becomes(&lower, "Ann@EXAMPLE.Org [\\]^_`{|}", "ann@example.org [\\]^_`{|}", true);
		becomes(&lower, "M\xc3\x9cLLER \xce\xa3\xce\xa9 \xd0\x96", "m\xc3\xbcller \xcf\x83\xcf\x89 \xd0\xb6", true);
		becomes(&upper, "stra\xc3\x9f" "e \xc3\xbf", "STRA\xc3\x9f" "E \xc5\xb8", true);
		becomes(&lower, "\xe2\x84\xaa", "k", true);			/* the Kelvin sign: three bytes become one */
		becomes(&lower, "\xc8\xba", "\xe2\xb1\xa5", true);		/* two bytes become three */
		becomes(&lower, "\xf0\x90\x90\x80", "\xf0\x90\x90\xa8", true);	/* beyond 16 bits */
		becomes(&lower, "\xe6\x9d\xb1", "\xe6\x9d\xb1", false);
	}
	refused(&lower, "A\xff" "A", "bad-utf8");
}
END_TEST

START_TEST(empty_becomes_null_and_null_gets_the_default)
{
	struct field_def f = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_TRIM), STEP(CLEAN_EMPTY_TO_NULL)) };
	struct field_def g = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_TRIM), STEP(CLEAN_EMPTY_TO_NULL),
		{ .kind = CLEAN_DEFAULT, .to = (char *[]){ (char []){ "unknown" } }, .n = 1 }) };
	struct field_def number = { .name = name, .type = FIELD_INTEGER, STEPS(STEP(CLEAN_EMPTY_TO_NULL)) };

	becomes(&f, "  ", NULL, true);
	becomes(&f, "", NULL, true);
	becomes(&f, NULL, NULL, false);
	becomes(&g, " ", "unknown", true);
	becomes(&g, NULL, "unknown", true);
	becomes(&g, "x", "x", false);
	becomes(&number, "", NULL, true);
	becomes(&number, "5", "5", false);
}
END_TEST

START_TEST(a_map_replaces_whole_values)
{
	char *from[] = { (char []){ "M" }, (char []){ "-" }, (char []){ "J" } }, *to[] = { (char []){ "male" }, NULL, (char []){ "yes" } };
	struct field_def f = { .name = name, .type = FIELD_TEXT, STEPS({ .kind = CLEAN_MAP, .from = from, .to = to, .n = 3 }) };
	struct field_def flag = { .name = name, .type = FIELD_BOOLEAN, STEPS({ .kind = CLEAN_MAP, .from = from, .to = to, .n = 3 }) };

	becomes(&f, "M", "male", true);
	becomes(&f, "Mr", "Mr", false);
	becomes(&f, "-", NULL, true);
	becomes(&flag, "J", "t", true);
	becomes(&flag, "f", "f", false);
	becomes(&flag, "no", "f", false);
}
END_TEST

START_TEST(cleaning_settles_whatever_the_order_of_its_steps)
{
	char *from[] = { (char []){ "b" } }, *to[] = { (char []){ "C " } };
	struct field_def f = { .name = name, .type = FIELD_TEXT,
			       STEPS({ .kind = CLEAN_MAP, .from = from, .to = to, .n = 1 }, STEP(CLEAN_LOWER), STEP(CLEAN_TRIM)) };
	char *one[] = { (char []){ "1" } }, *two[] = { (char []){ "2" } };
	struct field_def number = { .name = name, .type = FIELD_INTEGER,
				    STEPS({ .kind = CLEAN_MAP, .from = one, .to = two, .n = 1 }) };

	becomes(&f, "B", "c", true);
	becomes(&number, "01", "2", true);
}
END_TEST

START_TEST(a_map_that_leads_in_a_circle_is_refused)
{
	char *from[] = { (char []){ "a" }, (char []){ "b" } }, *to[] = { (char []){ "b" }, (char []){ "a" } };
	struct field_def f = { .name = name, .type = FIELD_TEXT, STEPS({ .kind = CLEAN_MAP, .from = from, .to = to, .n = 2 }) };

	refused(&f, "a", "clean-circle");
	becomes(&f, "c", "c", false);
}
END_TEST

START_TEST(text_steps_leave_other_types_alone)
{
	struct field_def f = { .name = name, .type = FIELD_JSON,
			       STEPS(STEP(CLEAN_LOWER), STEP(CLEAN_SQUEEZE), STEP(CLEAN_TRIM), STEP(CLEAN_UPPER)) };

	becomes(&f, "{\"A\":\"x  Y \"}", "{\"A\":\"x  Y \"}", false);
}
END_TEST

START_TEST(steps_that_undo_each_other_do_not_count_as_cleaning)
{
	struct field_def f = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_LOWER), STEP(CLEAN_UPPER)) };

	becomes(&f, "ABC", "ABC", false);
	becomes(&f, "abc", "ABC", true);
}
END_TEST

/* ---- checks ----------------------------------------------------------------------------------------------- */

START_TEST(required_wants_something)
{
	struct field_def f = { .name = name, .type = FIELD_TEXT, CHECKS_OF({ .kind = CHECK_REQUIRED }) };

	becomes(&f, "x", "x", false);
	refused(&f, NULL, "required");
	refused(&f, "", "required");
}
END_TEST

START_TEST(a_key_is_never_null)
{
	struct field_def f = { .name = name, .type = FIELD_TEXT, .is_key = true, STEPS(STEP(CLEAN_EMPTY_TO_NULL)) };

	refused(&f, NULL, "required");
	refused(&f, "", "required");
	f.on_invalid = INVALID_NULL;
	refused(&f, NULL, "required");
	f.on_invalid = INVALID_FLAG;
	refused(&f, "", "required");
	becomes(&f, "x", "x", false);
}
END_TEST

START_TEST(length_counts_characters)
{
	struct field_def f = { .name = name, .type = FIELD_TEXT, CHECKS_OF({ .kind = CHECK_LENGTH, .min_length = 2, .max_length = 4 }) };
	struct field_def b = { .name = name, .type = FIELD_BYTES, CHECKS_OF({ .kind = CHECK_LENGTH, .min_length = 2, .max_length = 4 }) };

	refused(&f, "a", "length");
	becomes(&f, "ab", "ab", false);
	becomes(&f, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", false);
	refused(&f, "abcde", "length");
	becomes(&f, NULL, NULL, false);
	refused(&b, "\\x00", "length");
	becomes(&b, "\\x00010203", "\\x00010203", false);
	refused(&b, "\\x0001020304", "length");
}
END_TEST

START_TEST(range_compares_by_meaning)
{
	struct field_def f = { .name = name, .type = FIELD_DECIMAL,
			       CHECKS_OF({ .kind = CHECK_RANGE, .low = (char []){ "-0.5" }, .high = (char []){ "100" } }) };
	struct field_def d = { .name = name, .type = FIELD_DATE, CHECKS_OF({ .kind = CHECK_RANGE, .low = (char []){ "1900-01-01" } }) };

	becomes(&f, "9.5", "9.5", false);
	becomes(&f, "-0.50", "-0.5", false);
	becomes(&f, "100.0", "100", false);
	refused(&f, "-0.51", "range");
	refused(&f, "100.01", "range");
	refused(&f, "1e3", "range");
	refused(&f, "NaN", "range");
	becomes(&f, NULL, NULL, false);
	becomes(&d, "10000-01-01", "10000-01-01", false);
	refused(&d, "1899-12-31", "range");
	refused(&d, "0044-03-15 BC", "range");
}
END_TEST

START_TEST(one_of_knows_its_words)
{
	struct field_def f = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_LOWER)),
			       CHECKS_OF({ .kind = CHECK_ONE_OF, WORDS((char []){ "lead" }, (char []){ "customer" }) }) };

	becomes(&f, "lead", "lead", false);
	becomes(&f, "CUSTOMER", "customer", true);
	refused(&f, "leader", "one-of");
	refused(&f, "", "one-of");
	becomes(&f, NULL, NULL, false);
}
END_TEST

START_TEST(an_invalid_value_becomes_null_when_so_ordered)
{
	struct field_def f = { .name = name, .type = FIELD_INTEGER, .on_invalid = INVALID_NULL,
			       CHECKS_OF({ .kind = CHECK_RANGE, .low = (char []){ "0" } }) };
	struct clean_note note;
	struct value out;
	struct err e = { 0 };

	ck_assert(clean_field(&f, value_of("-1"), &arena, &out, &note, &e));
	ck_assert(value_is_null(out) && note.nulled && !note.flagged);
	ck_assert(clean_field(&f, value_of("what"), &arena, &out, &note, &e));
	ck_assert(value_is_null(out) && note.nulled);
	ck_assert_int_eq(e.kind, 0);
	becomes(&f, "5", "5", false);
}
END_TEST

START_TEST(null_is_no_way_out_where_a_value_is_required)
{
	struct field_def f = { .name = name, .type = FIELD_INTEGER, .on_invalid = INVALID_NULL,
			       CHECKS_OF({ .kind = CHECK_RANGE, .low = (char []){ "0" } }, { .kind = CHECK_REQUIRED }) };
	struct field_def key = { .name = name, .type = FIELD_INTEGER, .on_invalid = INVALID_NULL, .is_key = true };

	refused(&f, "-1", "range");
	refused(&key, "what", "bad-integer");
}
END_TEST

START_TEST(a_flagged_value_passes_but_not_without_a_form)
{
	struct field_def f = { .name = name, .type = FIELD_INTEGER, .on_invalid = INVALID_FLAG,
			       CHECKS_OF({ .kind = CHECK_RANGE, .low = (char []){ "0" } }, { .kind = CHECK_REQUIRED }) };
	struct clean_note note;
	struct value out;
	struct err e = { 0 };

	ck_assert(clean_field(&f, value_of("-01"), &arena, &out, &note, &e));
	ck_assert(value_equal(out, value_of("-1")) && note.flagged && !note.nulled);
	ck_assert(clean_field(&f, VALUE_NULL, &arena, &out, &note, &e));
	ck_assert(value_is_null(out) && note.flagged);
	ck_assert_int_eq(e.kind, 0);
	refused(&f, "what", "bad-integer");
}
END_TEST

/* ---- properties --------------------------------------------------------------------------------------------- */

static uint64_t seed = 20260302;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void random_text(struct buf *out)
{
	static const char *const pieces[] = {
		" ", "  ", "\t", "\n", "\xc2\xa0", "\xe3\x80\x80", "\xe2\x80\x8b", "\xef\xbb\xbf", "a", "B", "\xc3\xa9", "\xc3\x89", "\xc4\xb0",
		"\xc4\xb1", "\xc7\x85", "\xe1\xba\x9e", "\xe2\x84\xaa", "\xc8\xba", "\xf0\x90\x90\x80", "0", "-",
	};

	buf_clear(out);
	buf_room(out, 1);
	for (uint64_t n = rnd() % 10; n > 0; n--)
		buf_adds(out, pieces[rnd() % countof(pieces)]);
}

START_TEST(clean_of_clean_is_clean)
{
	static const enum clean_kind kinds[] = { CLEAN_TRIM, CLEAN_SQUEEZE, CLEAN_LOWER, CLEAN_UPPER, CLEAN_EMPTY_TO_NULL };
	struct clean_step steps[5];
	struct field_def f = { .name = name, .type = FIELD_TEXT, .clean = steps };
	struct buf b = { 0 };

	for (int i = 0; i < 300000; i++) {
		struct clean_note note;
		struct value once, twice;

		f.n_clean = rnd() % 5 + 1;
		for (size_t k = 0; k < f.n_clean; k++)
			steps[k] = (struct clean_step){ .kind = kinds[rnd() % countof(kinds)] };
		random_text(&b);
		must(clean_field(&f, (struct value){ b.p, (int32_t)b.len }, &arena, &once, &note, NULL), "'%s' refused", b.p);
		must(value_is_null(once) || utf8_valid(once.data, (size_t)once.len), "'%s' broke", b.p);
		must(clean_field(&f, once, &arena, &twice, &note, NULL), "'%s' refused", once.data);
		must(value_equal(once, twice) && twice.data == once.data && !note.cleaned, "'%s' of '%s'", once.data, b.p);
		if (i % 1000 == 0)
			arena_reset(&arena);
	}
	buf_fini(&b);
}
END_TEST

/* Two endpoints whose values are equal when cleaned agree, and stay in agreement when either is written to the other. */
START_TEST(lower_and_upper_settle_for_every_character)
{
	struct field_def lower = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_LOWER)) };
	struct field_def upper = { .name = name, .type = FIELD_TEXT, STEPS(STEP(CLEAN_UPPER)) };

	for (uint32_t c = 1; c < 0x110000; c++) {
		char text[4] = { (char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)), (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63)) };
		struct value raw = { text, 4 }, out;
		struct clean_note note;
		uint32_t back;

		if (c < 0x80)
			text[0] = (char)c, raw.len = 1;
		else if (c < 0x800)
			text[0] = (char)(0xc0 | c >> 6), text[1] = text[3], raw.len = 2;
		else if (c < 0x10000)
			text[0] = (char)(0xe0 | c >> 12), text[1] = text[2], text[2] = text[3], raw.len = 3;
		if (utf8_step(text, (size_t)raw.len, &back) == 0)
			continue;
		must(back == c && clean_field(&lower, raw, &arena, &out, &note, NULL), "U+%04X does not settle", c);
		must(clean_field(&upper, raw, &arena, &out, &note, NULL), "U+%04X does not settle", c);
		must(utf8_valid(out.data, (size_t)out.len) && utf8_count(out.data, (size_t)out.len) == 1, "U+%04X", c);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("clean");
	TCase *steps = tcase_create("steps"), *checks = tcase_create("checks"), *properties = tcase_create("properties");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(steps, setup, teardown);
	tcase_add_test(steps, without_steps_only_the_form_changes);
	tcase_add_test(steps, trim_takes_all_white_space_off_both_ends);
	tcase_add_test(steps, squeeze_makes_one_blank_of_every_run);
	tcase_add_test(steps, case_does_not_depend_on_the_environment);
	tcase_add_test(steps, empty_becomes_null_and_null_gets_the_default);
	tcase_add_test(steps, a_map_replaces_whole_values);
	tcase_add_test(steps, cleaning_settles_whatever_the_order_of_its_steps);
	tcase_add_test(steps, a_map_that_leads_in_a_circle_is_refused);
	tcase_add_test(steps, text_steps_leave_other_types_alone);
	tcase_add_test(steps, steps_that_undo_each_other_do_not_count_as_cleaning);
	tcase_add_checked_fixture(checks, setup, teardown);
	tcase_add_test(checks, required_wants_something);
	tcase_add_test(checks, a_key_is_never_null);
	tcase_add_test(checks, length_counts_characters);
	tcase_add_test(checks, range_compares_by_meaning);
	tcase_add_test(checks, one_of_knows_its_words);
	tcase_add_test(checks, an_invalid_value_becomes_null_when_so_ordered);
	tcase_add_test(checks, null_is_no_way_out_where_a_value_is_required);
	tcase_add_test(checks, a_flagged_value_passes_but_not_without_a_form);
	tcase_add_checked_fixture(properties, setup, teardown);
	tcase_set_timeout(properties, 120);
	tcase_add_test(properties, clean_of_clean_is_clean);
	tcase_add_test(properties, lower_and_upper_settle_for_every_character);
	suite_add_tcase(s, steps);
	suite_add_tcase(s, checks);
	suite_add_tcase(s, properties);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
