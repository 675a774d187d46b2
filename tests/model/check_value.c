/* check_value.c - the canonical forms of src/model/value.h, with the hard cases of doc/canonical.md. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/value.h"

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

/* ---- helpers ---------------------------------------------------------------------------------------------- */

struct pair {
	const char *raw, *canonical;	/* canonical: NULL means refused; "=" means the same pointer comes back */
};

/* A copy of exactly these bytes: a reader that goes one too far is caught by the sanitizers. */
static struct value exact(const char *s, size_t n)
{
	char *p = xmalloc(n > 0 ? n : 1);

	memcpy(p, s, n);
	return (struct value){ p, (int32_t)n };
}

static bool canon(enum field_type type, const char *s, size_t n, struct value *out, struct err *e)
{
	struct value raw = exact(s, n);
	bool ok = value_canon(type, raw, &arena, out, e);

	if (ok && out->data == raw.data)
		out->data = arena_dup(&arena, raw.data, (size_t)raw.len);
	free((char *)(uintptr_t)raw.data);
	return ok;
}

static void expect_pair(enum field_type type, const struct pair *pair)
{
	struct err e = { 0 };
	struct value out = VALUE_NULL, raw = value_of(pair->raw), again;
	bool ok = canon(type, pair->raw, strlen(pair->raw), &out, &e);
	const char *want = pair->canonical != NULL && strcmp(pair->canonical, "=") == 0 ? pair->raw : pair->canonical;

	if (want == NULL) {
		ck_assert_msg(!ok, "%s '%s' was taken for '%.*s'", field_type_name(type), pair->raw, out.len, out.data);
		ck_assert_int_eq(e.kind, ERR_ROW);
		ck_assert_msg(strncmp(e.code, "bad-", 4) == 0, "code %s", e.code);
		return;
	}
	ck_assert_msg(ok, "%s '%s' was refused: %s", field_type_name(type), pair->raw, e.text);
	ck_assert_msg(value_equal(out, value_of(want)), "%s '%s' became '%.*s', not '%s'", field_type_name(type), pair->raw,
		      out.len, out.data, want);
	ck_assert(value_canon(type, out, &arena, &again, &e));
	ck_assert_msg(again.data == out.data && again.len == out.len, "'%s': a canonical value was copied", want);
	if (want == pair->raw) {
		ck_assert(value_canon(type, raw, &arena, &again, &e));
		ck_assert_ptr_eq(again.data, raw.data);
	}
}

static void expect_pairs(enum field_type type, const struct pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		expect_pair(type, &pairs[i]);
}
#define EXPECT(type, ...) do { \
		const struct pair list[] = { __VA_ARGS__ }; \
		expect_pairs(type, list, countof(list)); \
	} while (0)

static char *repeat(char c, size_t n, const char *tail)
{
	char *s = arena_alloc(&arena, n + strlen(tail) + 1);

	memset(s, c, n);
	memcpy(s + n, tail, strlen(tail) + 1);
	return s;
}

/* ---- one type after the other --------------------------------------------------------------------------------- */

START_TEST(null_stays_null_in_every_type)
{
	for (int type = 0; type < FIELD_REFERENCE; type++) {
		struct value out = value_of("x");

		ck_assert(value_canon((enum field_type)type, VALUE_NULL, &arena, &out, NULL));
		ck_assert(value_is_null(out));
	}
}
END_TEST

START_TEST(empty_text_is_a_value_and_nothing_in_other_types)
{
	EXPECT(FIELD_TEXT, { "", "=" });
	for (int type = 1; type < FIELD_REFERENCE; type++)
		EXPECT((enum field_type)type, { "", NULL }, { "  ", NULL });
}
END_TEST

START_TEST(text_is_kept_as_it_is)
{
	EXPECT(FIELD_TEXT, { "plain", "=" }, { "  a \t b ", "=" }, { "M\xc3\xbcller", "=" }, { "\xe6\x9d\xb1\xe4\xba\xac", "=" },
	       { "\xf0\x9f\x90\x98\xf0\x9f\x90\x98", "=" }, { "e\xcc\x81", "=" }, { "\xef\xbf\xbf\xf4\x8f\xbf\xbf", "=" });
}
END_TEST

START_TEST(broken_utf8_is_refused_wherever_it_stands)
{
	static const char *const broken[] = {
		"\x80", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80",
		"\xff", "\xe6\x9d", "\xf0\x9f\x90",
	};

	for (size_t i = 0; i < countof(broken); i++)
		for (int before = 0; before < 20; before++)
			for (int after = 0; after < 20; after += 19) {
				char *s = arena_printf(&arena, "%.*s%s%.*s", before, "aaaaaaaaaaaaaaaaaaaa", broken[i], after,
						       "aaaaaaaaaaaaaaaaaaaa");

				EXPECT(FIELD_TEXT, { s, NULL });
			}
}
END_TEST

START_TEST(a_zero_character_is_refused_wherever_it_stands)
{
	for (size_t n = 1; n < 40; n++)
		for (size_t at = 0; at < n; at++) {
			char *s = repeat('a', n, "");
			struct value out;
			struct err e;

			s[at] = '\0';
			ck_assert(!canon(FIELD_TEXT, s, n, &out, &e));
			ck_assert_str_eq(e.code, "bad-text");
		}
}
END_TEST

START_TEST(integers)
{
	EXPECT(FIELD_INTEGER, { "0", "=" }, { "5", "=" }, { "-5", "=" }, { "+5", "5" }, { "007", "7" }, { "-007", "-7" }, { "-0", "0" },
	       { "+0", "0" }, { "000", "0" }, { " 42 ", "42" }, { "\t-1\n", "-1" }, { "9223372036854775807", "=" },
	       { "-9223372036854775808", "=" }, { "+00009223372036854775807", "9223372036854775807" }, { "5.00", "5" },
	       { "-0.0", "0" }, { "7.", "7" });
	EXPECT(FIELD_INTEGER, { "9223372036854775808", NULL }, { "-9223372036854775809", NULL }, { "10000000000000000000", NULL },
	       { "99999999999999999999999", NULL }, { "5.5", NULL }, { "1e3", NULL }, { "0x10", NULL }, { "1 2", NULL },
	       { "--1", NULL }, { "+-1", NULL }, { "-", NULL }, { "+", NULL }, { ".", NULL }, { ".0", NULL }, { "1,000", NULL },
	       { "5.0x", NULL }, { "\xd9\xa3", NULL });
}
END_TEST

START_TEST(decimals)
{
	EXPECT(FIELD_DECIMAL, { "0", "=" }, { "1.5", "=" }, { "-1.5", "=" }, { "0.001", "=" }, { "-0.001", "=" }, { "100", "=" },
	       { "1.50", "1.5" }, { "1.000", "1" }, { "-0.00", "0" }, { "-0", "0" }, { "+1.5", "1.5" }, { "007.10", "7.1" },
	       { ".5", "0.5" }, { ".50", "0.5" }, { "-.5", "-0.5" }, { "5.", "5" }, { "00.5", "0.5" }, { " 1.5 ", "1.5" },
	       { "12345678901234567890123456789.123456789012345678901234567890001", "=" });
	EXPECT(FIELD_DECIMAL, { "1e2", "100" }, { "1E+20", "100000000000000000000" }, { "1.5e-07", "0.00000015" },
	       { "-1.25e1", "-12.5" }, { "1.25e2", "125" }, { "1.25e3", "1250" }, { "100e-2", "1" }, { "0e999999999999", "0" },
	       { "0.000e-99999999999999999999", "0" }, { "120e-1", "12" }, { "0.05e1", "0.5" }, { "0.05e2", "5" },
	       { "00120.00e-00002", "1.2" });
	EXPECT(FIELD_DECIMAL, { "NaN", "=" }, { "nan", "NaN" }, { "Infinity", "=" }, { "-Infinity", "=" }, { "inf", "Infinity" },
	       { "+INF", "Infinity" }, { "-inf", "-Infinity" });
	EXPECT(FIELD_DECIMAL, { ".", NULL }, { "-", NULL }, { "1e", NULL }, { "1e+", NULL }, { "e5", NULL }, { "1.2.3", NULL },
	       { "1,5", NULL }, { "1e1.5", NULL }, { "-NaN", NULL }, { "0x1p3", NULL }, { "1 e2", NULL }, { "$5", NULL },
	       { "infinit", NULL });
}
END_TEST

START_TEST(decimals_end_where_postgresql_ends)
{
	char *most = repeat('9', 131072, ""), *too_many = repeat('9', 131073, "");
	char *tiny = arena_printf(&arena, "0.%s", repeat('0', 16382, "1")), *too_tiny = arena_printf(&arena, "0.%s", repeat('0', 16383, "1"));

	EXPECT(FIELD_DECIMAL, { most, "=" }, { too_many, NULL }, { "1e131071", repeat('1', 1, repeat('0', 131071, "")) },
	       { "1e131072", NULL }, { "1e999999999", NULL }, { "1e99999999999999999999999", NULL }, { "1e18446744073709551616", NULL }, { tiny, "=" }, { too_tiny, NULL },
	       { "1e-16383", tiny }, { "1e-16384", NULL }, { "1e-999999999", NULL });
}
END_TEST

START_TEST(booleans)
{
	EXPECT(FIELD_BOOLEAN, { "t", "=" }, { "f", "=" }, { "true", "t" }, { "FALSE", "f" }, { "1", "t" }, { "0", "f" }, { "yes", "t" },
	       { "No", "f" }, { "on", "t" }, { "OFF", "f" }, { "y", "t" }, { "n", "f" }, { "T", "t" }, { " true ", "t" });
	EXPECT(FIELD_BOOLEAN, { "2", NULL }, { "tr", NULL }, { "truee", NULL }, { "00", NULL }, { "ja", NULL }, { "-1", NULL });
}
END_TEST

START_TEST(timestamps)
{
	EXPECT(FIELD_TIMESTAMP, { "2026-03-01 12:00:00+00", "=" }, { "2026-03-01 12:00:00.5+00", "=" },
	       { "2026-03-01 12:00:00.123456+00", "=" }, { "2026-03-01 12:00:00.000001+00", "=" },
	       { "2026-03-01 12:00:00.500000+00", "2026-03-01 12:00:00.5+00" }, { "2026-03-01 12:00:00.0+00", "2026-03-01 12:00:00+00" },
	       { "2026-03-01 12:00:00", "2026-03-01 12:00:00+00" }, { "2026-03-01T12:00:00Z", "2026-03-01 12:00:00+00" },
	       { "2026-03-01t12:00:00.25z", "2026-03-01 12:00:00.25+00" }, { "2026-03-01", "2026-03-01 00:00:00+00" },
	       { "2026-03-01 12:30", "2026-03-01 12:30:00+00" }, { " 2026-03-01 12:00:00+00 ", "2026-03-01 12:00:00+00" });
	EXPECT(FIELD_TIMESTAMP, { "2026-03-01 12:00:00+05:30", "2026-03-01 06:30:00+00" },
	       { "2026-03-01 12:00:00+0530", "2026-03-01 06:30:00+00" }, { "2026-03-01 12:00:00 +0530", "2026-03-01 06:30:00+00" },
	       { "2026-03-01 12:00:00-03:30:00", "2026-03-01 15:30:00+00" }, { "2026-03-01 12:00:00-03:30:15", "2026-03-01 15:30:15+00" },
	       { "2026-03-01 00:30:00+01", "2026-02-28 23:30:00+00" }, { "2024-02-28 23:30:00-01", "2024-02-29 00:30:00+00" },
	       { "2025-12-31 23:59:59.999999-15:59", "2026-01-01 15:58:59.999999+00" },
	       { "0001-01-01 00:30:00+01", "0001-12-31 23:30:00+00 BC" }, { "0001-12-31 23:30:00-01 BC", "0001-01-01 00:30:00+00" });
	EXPECT(FIELD_TIMESTAMP, { "0044-03-15 12:00:00+00 BC", "=" }, { "0044-03-15 12:00:00 bc", "0044-03-15 12:00:00+00 BC" },
	       { "0044-03-15 BC", "0044-03-15 00:00:00+00 BC" }, { "4714-11-24 00:00:00+00 BC", "=" },
	       { "4714-11-23 23:59:59+00 BC", NULL }, { "0005-02-29 00:00:00+00 BC", "=" }, { "0004-02-29 00:00:00+00 BC", NULL },
	       { "10000-01-01 00:00:00+00", "=" }, { "294276-12-31 23:59:59.999999+00", "=" }, { "294277-01-01 00:00:00+00", NULL },
	       { "infinity", "=" }, { "-infinity", "=" }, { "Infinity", "infinity" }, { "-INFINITY", "-infinity" });
}
END_TEST

START_TEST(timestamps_round_to_microseconds_like_postgresql)
{
	EXPECT(FIELD_TIMESTAMP, { "2026-03-01 12:00:00.1234564+00", "2026-03-01 12:00:00.123456+00" },
	       { "2026-03-01 12:00:00.1234565+00", "2026-03-01 12:00:00.123456+00" },
	       { "2026-03-01 12:00:00.1635635+00", "2026-03-01 12:00:00.163564+00" },
	       { "2026-03-01 12:00:00.98516850+00", "2026-03-01 12:00:00.985168+00" },
	       { "2026-03-01 12:00:00.9851685000001+00", "2026-03-01 12:00:00.985169+00" },
	       { "2026-03-01 12:00:00.123456499999+00", "2026-03-01 12:00:00.123456+00" },
	       { "2026-03-01 12:00:00.999999999Z", "2026-03-01 12:00:01+00" },
	       { "2025-12-31 23:59:59.9999995Z", "2026-01-01 00:00:00+00" },
	       { "2016-12-31 23:59:60Z", "2017-01-01 00:00:00+00" }, { "2016-12-31 23:59:60+00", "2017-01-01 00:00:00+00" },
	       { "2026-03-01 24:00:00+00", "2026-03-02 00:00:00+00" }, { "2026-03-01 24:00:00", "2026-03-02 00:00:00+00" });
}
END_TEST

START_TEST(what_is_not_a_timestamp)
{
	EXPECT(FIELD_TIMESTAMP, { "2026-02-29 00:00:00", NULL }, { "1900-02-29", NULL }, { "2000-02-29", "2000-02-29 00:00:00+00" },
	       { "2026-13-01", NULL }, { "2026-00-01", NULL }, { "2026-01-00", NULL }, { "2026-04-31", NULL }, { "0000-01-01", NULL },
	       { "0000-00-00 00:00:00", NULL }, { "26-01-01", NULL }, { "2026-1-1", NULL }, { "2026-01-01 1:00:00", NULL },
	       { "2026-01-01 24:00:01", NULL }, { "2026-01-01 24:00:00.000001", NULL }, { "2026-01-01 12:60:00", NULL },
	       { "2026-01-01 12:00:61", NULL }, { "2026-01-01 25:00:00", NULL }, { "2026-01-01 12:00:00.", NULL },
	       { "2026-01-01 12:00:00+16", NULL }, { "2026-01-01 12:00:00+1", NULL }, { "2026-01-01 12:00:00+01:60", NULL },
	       { "2026-01-01 12:00:00+01:", NULL }, { "2026-01-01 12:00:00 CET", NULL }, { "2026-01-01 12:00:00+00 AD", NULL },
	       { "2026-01-01 12:00:00+00x", NULL }, { "2026-01-01  12:00:00", NULL }, { "2026-01-01T", NULL }, { "20260101T120000", NULL },
	       { "01/02/2026", NULL }, { "now", NULL }, { "-infinity ish", NULL }, { "99999999-01-01", NULL }, { "-2026-01-01", NULL });
}
END_TEST

START_TEST(dates)
{
	EXPECT(FIELD_DATE, { "2026-03-01", "=" }, { "0044-03-15 BC", "=" }, { "infinity", "=" }, { "-Infinity", "-infinity" },
	       { "5874897-12-31", "=" }, { "5874898-01-01", NULL }, { "4714-11-24 BC", "=" }, { "4714-11-23 BC", NULL },
	       { "2026-03-01 00:00:00", "2026-03-01" }, { "2026-03-01T00:00:00Z", "2026-03-01" },
	       { "2026-03-01 00:00:00+00", "2026-03-01" }, { "2026-03-01 02:00:00+02", "2026-03-01" },
	       { "2026-03-01 00:00:01", NULL }, { "2026-03-01 00:00:00+02", NULL }, { "2026-02-30", NULL }, { "2026-3-1", NULL },
	       { "0000-00-00", NULL }, { "2026-03-01x", NULL });
}
END_TEST

START_TEST(uuids)
{
	const char *c = "0123abcd-4567-89ab-cdef-0123456789ab";

	EXPECT(FIELD_UUID, { c, "=" }, { "0123ABCD-4567-89AB-CDEF-0123456789AB", c }, { "{0123abcd-4567-89ab-cdef-0123456789ab}", c },
	       { "0123abcd456789abcdef0123456789ab", c }, { "{0123abcd456789abcdef0123456789ab}", c },
	       { "0123-abcd-4567-89ab-cdef-0123-4567-89ab", c }, { " 0123abcd-4567-89ab-cdef-0123456789ab ", c });
	EXPECT(FIELD_UUID, { "{0123abcd-4567-89ab-cdef-0123456789ab", NULL }, { "0123abcd-4567-89ab-cdef-0123456789ab}", NULL },
	       { "0123abcd-4567-89ab-cdef-0123456789a", NULL }, { "0123abcd-4567-89ab-cdef-0123456789abc", NULL },
	       { "0123abcd-4567-89ab-cdef-0123456789ag", NULL }, { "0123abcd--4567-89ab-cdef-0123456789ab", NULL },
	       { "0123abcd-4567-89ab-cdef-0123456789ab-", NULL }, { "-0123abcd-4567-89ab-cdef-0123456789ab", NULL },
	       { "012-3abcd-4567-89ab-cdef-0123456789ab", NULL }, { "{}", NULL }, { "{", NULL });
}
END_TEST

START_TEST(bytes)
{
	EXPECT(FIELD_BYTES, { "\\x", "=" }, { "\\x00ff", "=" }, { "\\xDEADbeef", "\\xdeadbeef" }, { "\\xabc", NULL }, { "\\x0g", NULL },
	       { "deadbeef", NULL }, { "\\", NULL }, { "x00", NULL }, { "\\x 00", NULL }, { "\\X00", NULL });
}
END_TEST

START_TEST(json_has_one_form)
{
	EXPECT(FIELD_JSON, { "{}", "=" }, { "[]", "=" }, { "null", "=" }, { " true ", "true" }, { "\"a\"", "=" }, { "{ \"b\" : 1 , \"a\" : [ ] }",
	       "{\"a\":[],\"b\":1}" }, { "{\"id\": 1, \"name\": \"x\", \"a_longer\": 2}", "{\"a_longer\":2,\"id\":1,\"name\":\"x\"}" },
	       { "[1,2,3]", "=" }, { "[ 1 ,\n2\t,\r3 ]", "[1,2,3]" }, { "{\"b\":{\"d\":1,\"c\":2},\"a\":{\"z\":[{\"y\":1,\"x\":2}]}}",
	       "{\"a\":{\"z\":[{\"x\":2,\"y\":1}]},\"b\":{\"c\":2,\"d\":1}}" }, { "{\"\":1,\"a\":2}", "=" },
	       { "{\"ab\":1,\"a\":2}", "{\"a\":2,\"ab\":1}" });
}
END_TEST

START_TEST(json_numbers_lose_nothing)
{
	EXPECT(FIELD_JSON, { "1.0", "1" }, { "1e2", "100" }, { "-0", "0" }, { "-0.0e5", "0" }, { "0.1", "=" }, { "1E-2", "0.01" },
	       { "123456789012345678901234567890", "=" }, { "0.1000000000000000055511151231257827", "=" },
	       { "9007199254740993", "=" }, { "[1.50,2.0]", "[1.5,2]" });
	EXPECT(FIELD_JSON, { "01", NULL }, { "+1", NULL }, { ".5", NULL }, { "5.", NULL }, { "-", NULL }, { "1e", NULL }, { "1e+", NULL },
	       { "NaN", NULL }, { "Infinity", NULL }, { "0x1", NULL }, { "1e999999999", NULL }, { "1e-999999999", NULL });
}
END_TEST

START_TEST(json_exponents_cannot_fill_the_memory)
{
	struct buf b = { 0 };

	buf_addc(&b, '[');
	for (int i = 0; i < 7; i++)
		buf_adds(&b, "1e131071,");
	buf_adds(&b, "0]");
	{
		struct value out;

		ck_assert(canon(FIELD_JSON, b.p, b.len, &out, NULL));
		ck_assert_int_eq(out.len, 7 * 131073 + 3);
	}
	b.len -= 2;
	buf_adds(&b, "1e131071,1e131071]");
	EXPECT(FIELD_JSON, { b.p, NULL });
	buf_fini(&b);
}
END_TEST

START_TEST(json_strings_have_the_shortest_escapes)
{
	EXPECT(FIELD_JSON, { "\"\\u0041\\u00e9\\u20ac\"", "\"A\xc3\xa9\xe2\x82\xac\"" }, { "\"\\ud83d\\uDC18\"", "\"\xf0\x9f\x90\x98\"" },
	       { "\"\\/\"", "\"/\"" }, { "\"\\u0022\\u005c\"", "\"\\\"\\\\\"" }, { "\"\\b\\f\\n\\r\\t\"", "=" },
	       { "\"\\u0008\\u000c\\u000a\\u000D\\u0009\"", "\"\\b\\f\\n\\r\\t\"" }, { "\"\\u001F\\u000B\"", "\"\\u001f\\u000b\"" },
	       { "\"\\u007f\"", "\"\x7f\"" }, { "{\"\\u0061\":1}", "{\"a\":1}" });
	EXPECT(FIELD_JSON, { "\"\\u0000\"", NULL }, { "\"\\ud83d\"", NULL }, { "\"\\udc18\"", NULL }, { "\"\\ud83d\\u0041\"", NULL },
	       { "\"\\ud83dx\"", NULL }, { "\"\\u12\"", NULL }, { "\"\\u12g4\"", NULL }, { "\"\\u@123\"", NULL }, { "\"\\x41\"", NULL },
	       { "\"a", NULL }, { "\"\\", NULL }, { "\"\\u", NULL }, { "\"a\nb\"", NULL }, { "\"\x01\"", NULL }, { "\"\xc3\"", NULL },
	       { "'a'", NULL });
	{
		struct value out;

		ck_assert(!canon(FIELD_JSON, "\"a\0b\"", 5, &out, NULL));
		ck_assert(!canon(FIELD_JSON, "\"\\\0\"", 4, &out, NULL));
		ck_assert(!canon(FIELD_JSON, "\"\\u00\0" "1\"", 8, &out, NULL));
		ck_assert(!canon(FIELD_JSON, "1\0", 2, &out, NULL));
	}
}
END_TEST

START_TEST(json_that_is_none)
{
	EXPECT(FIELD_JSON, { "{\"a\":1,\"a\":2}", NULL }, { "{\"a\":1,\"\\u0061\":1}", NULL }, { "[{\"b\":1,\"a\":1,\"b\":1}]", NULL },
	       { "{\"a\":1,}", NULL }, { "[1,]", NULL }, { "[,1]", NULL }, { "{,}", NULL }, { "{\"a\"}", NULL }, { "{\"a\":}", NULL },
	       { "{a:1}", NULL }, { "{1:1}", NULL }, { "[1 2]", NULL }, { "[1", NULL }, { "{\"a\":1", NULL }, { "1 2", NULL }, { "]", NULL },
	       { "nul", NULL }, { "nulll", NULL }, { "True", NULL }, { "// x\n1", NULL }, { "\xef\xbb\xbf{}", NULL });
}
END_TEST

START_TEST(json_depth_has_a_bound)
{
	char *deepest = arena_printf(&arena, "%s%s", repeat('[', 256, ""), repeat(']', 256, ""));
	char *too_deep = arena_printf(&arena, "%s%s", repeat('[', 257, ""), repeat(']', 257, ""));

	struct buf flat = { 0 };

	buf_addc(&flat, '[');
	for (int i = 0; i < 300; i++)
		buf_adds(&flat, "[],");
	buf_adds(&flat, "0]");
	EXPECT(FIELD_JSON, { deepest, "=" }, { flat.p, "=" }, { too_deep, NULL }, { repeat('[', 1000000, ""), NULL });
	buf_fini(&flat);
}
END_TEST

START_TEST(errors_never_show_the_value)
{
	for (int type = 0; type < FIELD_REFERENCE; type++) {
		struct err e = { 0 };
		struct value out;

		if (!canon((enum field_type)type, "geheim\xff", 7, &out, &e)) {
			ck_assert_ptr_null(strstr(e.text, "geheim"));
			ck_assert_uint_gt(strlen(e.text), 0);
		}
	}
}
END_TEST

/* ---- times and order ---------------------------------------------------------------------------------------------- */

static uint64_t seed = 20260301;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

START_TEST(times_read_back_as_they_were_printed)
{
	static const int64_t edges[] = { 0, 1, -1, 999999, -999999, INT64_MAX, INT64_MIN, INT64_MAX - 1, INT64_MIN + 1,
					 -62135596800000000, -62135596800000001, 253402300800000000 };

	for (int i = 0; i < 200000; i++) {
		int64_t us = (size_t)i < countof(edges) ? edges[i] : (int64_t)rnd() >> rnd() % 63, back = 42;
		struct value text = value_from_time(us, &arena), out;

		must(value_to_time(text, &back), "%s", __func__);
		must(back == us, "%" PRId64 " came back as %" PRId64 " from %s", us, back, text.data);
		if (us > -210866803200000000)
			must(value_canon(FIELD_TIMESTAMP, text, &arena, &out, NULL) && out.data == text.data, "%s", __func__);
		if (i % 1000 == 0)
			arena_reset(&arena);
	}
}
END_TEST

START_TEST(times_beyond_64_bits_and_infinities_have_no_number)
{
	int64_t us;

	ck_assert(!value_to_time(value_of("infinity"), &us));
	ck_assert(!value_to_time(value_of("-infinity"), &us));
	ck_assert(!value_to_time(VALUE_NULL, &us));
	ck_assert(!value_to_time(value_of("294276-12-31 00:00:00+00"), &us));
	ck_assert(value_to_time(value_of("294247-01-10 04:00:54.775807+00"), &us));
	ck_assert_int_eq(us, INT64_MAX);
	ck_assert(value_to_time(value_of("2026-03-01 12:00:00.5+00"), &us));
	ck_assert_int_eq(us, 1772366400500000);
}
END_TEST

/* Against the C library, day by day over the years it can do. */
START_TEST(timestamps_agree_with_the_c_library)
{
	for (int64_t day = -719162; day < 2932896; day += 3) {
		time_t t = (time_t)(day * 86400 + (int64_t)(rnd() % 86400));
		char text[64];
		struct tm tm;
		int64_t us;

		gmtime_r(&t, &tm);
		snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d+00", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
			 tm.tm_min, tm.tm_sec);
		must(value_to_time(value_of(text), &us), "%s", __func__);
		must(us == (int64_t)t * 1000000, "%s", text);
	}
}
END_TEST

static void expect_ascending(enum field_type type, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			int order = value_compare(type, value_of(list[i]), value_of(list[k]));

			ck_assert_msg((order > 0) - (order < 0) == (i > k) - (i < k), "%s against %s: %d", list[i], list[k], order);
		}
}
#define ASCENDING(type, ...) do { \
		static const char *const list[] = { __VA_ARGS__ }; \
		expect_ascending(type, list, countof(list)); \
	} while (0)

START_TEST(values_are_ordered_by_meaning)
{
	ASCENDING(FIELD_INTEGER, "-9223372036854775808", "-100", "-99", "-10", "-9", "-1", "0", "1", "9", "10", "99", "100",
		  "9223372036854775807");
	ASCENDING(FIELD_DECIMAL, "-Infinity", "-100", "-10.5", "-10.25", "-10", "-0.5", "-0.05", "0", "0.05", "0.5", "0.55", "1", "9.99",
		  "10", "10.25", "10.5", "100", "Infinity", "NaN");
	ASCENDING(FIELD_TIMESTAMP, "-infinity", "0044-03-15 12:00:00+00 BC", "0043-03-15 12:00:00+00 BC", "0001-01-01 00:00:00+00",
		  "2026-03-01 12:00:00+00", "2026-03-01 12:00:00.5+00", "2026-03-01 12:00:00.51+00", "2026-03-01 12:00:01+00",
		  "10000-01-01 00:00:00+00", "infinity");
	ASCENDING(FIELD_DATE, "-infinity", "0044-03-15 BC", "2026-03-01", "2026-03-02", "10000-01-01", "infinity");
	ASCENDING(FIELD_TEXT, "", "A", "B", "a", "aa", "ab", "b", "\xc3\xa9");
	ASCENDING(FIELD_BOOLEAN, "f", "t");
}
END_TEST

/* ---- properties --------------------------------------------------------------------------------------------------- */

/* Texts made of the pieces that the parsers look at, so that many are nearly right. */
static void nearly(struct buf *out)
{
	static const char *const pieces[] = {
		"0", "1", "7", "9", "00", "12", "2026", "-", "+", ".", ":", " ", "e", "E", "T", "Z", " BC", "-03-", "-01", "12:30", ":59",
		"+05:30", "0x", "\\x", "ab", "AB", "{", "}", "[", "]", ",", "\"", "\\u00", "\\u0041", "\"a\":", "\"b\":", "true", "null", "t",
		"no", "infinity", "NaN", "\xc3\xa9", "\xe2\x82\xac", "\xff", "0123abcd", "1e5", "1.50",
	};

	buf_clear(out);
	for (uint64_t n = rnd() % 8 + 1; n > 0; n--)
		buf_adds(out, pieces[rnd() % countof(pieces)]);
}

START_TEST(canon_of_canon_is_canon)
{
	struct buf b = { 0 };
	size_t taken[FIELD_TYPES] = { 0 };

	for (int i = 0; i < 600000; i++) {
		struct value once, twice;

		nearly(&b);
		for (int type = 0; type < FIELD_REFERENCE; type++) {
			if (!canon((enum field_type)type, b.p, b.len, &once, NULL))
				continue;
			taken[type]++;
			must(value_canon((enum field_type)type, once, &arena, &twice, NULL), "'%.*s' of '%s'", once.len, once.data, b.p);
			must(twice.data == once.data && twice.len == once.len, "'%.*s' of '%s'", once.len, once.data, b.p);
			must(value_compare((enum field_type)type, once, twice) == 0, "'%.*s'", once.len, once.data);
		}
		if (i % 1000 == 0)
			arena_reset(&arena);
	}
	buf_fini(&b);
	/* Dates and uuids are rarely hit by chance; the lists above have them. */
	ck_assert_uint_gt(taken[FIELD_TEXT], 1000);
	ck_assert_uint_gt(taken[FIELD_INTEGER], 1000);
	ck_assert_uint_gt(taken[FIELD_DECIMAL], 1000);
	ck_assert_uint_gt(taken[FIELD_JSON], 1000);
}
END_TEST

/* The same number written in another way has the same canonical form. */
START_TEST(decimals_are_equal_when_the_numbers_are)
{
	for (int i = 0; i < 100000; i++) {
		long long digits = (long long)(rnd() % 2000000000) - 1000000000;
		int places = (int)(rnd() % 12), shift = (int)(rnd() % 30) - 15;
		char plain[64], other[96];
		struct value a, b;

		snprintf(other, sizeof other, "%s%0*lld000.00e%d", digits < 0 ? "-" : "+", (int)(rnd() % 20), digits < 0 ? -digits : digits,
			 shift - places - 3);
		snprintf(plain, sizeof plain, "%llde%d", digits, shift - places);
		must(canon(FIELD_DECIMAL, plain, strlen(plain), &a, NULL), "%s", __func__);
		must(canon(FIELD_DECIMAL, other, strlen(other), &b, NULL), "%s", __func__);
		must(value_equal(a, b), "%s: %s; %s: %s", plain, a.data, other, b.data);
		must(strtod(a.data, NULL) == strtod(plain, NULL), "%s: %s", plain, a.data);
		if (i % 1000 == 0)
			arena_reset(&arena);
	}
}
END_TEST

START_TEST(sums_are_exact)
{
	static const struct {
		enum field_type type;
		const char *a, *b;
		bool minus;
		const char *sum;	/* NULL: there is none */
	} rows[] = {
		{ FIELD_INTEGER, "10", "3", false, "13" }, { FIELD_INTEGER, "10", "13", true, "-3" }, { FIELD_INTEGER, "-5", "5", false, "0" },
		{ FIELD_INTEGER, "999", "1", false, "1000" }, { FIELD_INTEGER, "-1", "-999", true, "998" },
		{ FIELD_INTEGER, "9223372036854775806", "1", false, "9223372036854775807" },
		{ FIELD_INTEGER, "9223372036854775807", "1", false, NULL },
		{ FIELD_DECIMAL, "0.1", "0.2", false, "0.3" }, { FIELD_DECIMAL, "1", "0.0000000000000000001", true, "0.9999999999999999999" },
		{ FIELD_DECIMAL, "123456789012345678901234567890.5", "0.5", false, "123456789012345678901234567891" },
		{ FIELD_DECIMAL, "-0.25", "1.5", false, "1.25" }, { FIELD_DECIMAL, "2.50", "2.5", true, "0" },
		{ FIELD_DECIMAL, "NaN", "1", false, NULL }, { FIELD_DECIMAL, "1", "-Infinity", true, NULL },
	};
	struct arena a;
	struct value sum;

	arena_init(&a);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		bool ok = value_sum(rows[i].type, value_of(rows[i].a), value_of(rows[i].b), rows[i].minus, &a, &sum);

		ck_assert_msg(ok == (rows[i].sum != NULL), "%s and %s", rows[i].a, rows[i].b);
		ck_assert_msg(!ok || value_equal(sum, value_of(rows[i].sum)), "%s and %s: %.*s", rows[i].a, rows[i].b, (int)sum.len, sum.data);
	}
	arena_fini(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("value");
	TCase *forms = tcase_create("forms"), *properties = tcase_create("properties");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(forms, setup, teardown);
	tcase_add_test(forms, sums_are_exact);
	tcase_add_test(forms, null_stays_null_in_every_type);
	tcase_add_test(forms, empty_text_is_a_value_and_nothing_in_other_types);
	tcase_add_test(forms, text_is_kept_as_it_is);
	tcase_add_test(forms, broken_utf8_is_refused_wherever_it_stands);
	tcase_add_test(forms, a_zero_character_is_refused_wherever_it_stands);
	tcase_add_test(forms, integers);
	tcase_add_test(forms, decimals);
	tcase_add_test(forms, decimals_end_where_postgresql_ends);
	tcase_add_test(forms, booleans);
	tcase_add_test(forms, timestamps);
	tcase_add_test(forms, timestamps_round_to_microseconds_like_postgresql);
	tcase_add_test(forms, what_is_not_a_timestamp);
	tcase_add_test(forms, dates);
	tcase_add_test(forms, uuids);
	tcase_add_test(forms, bytes);
	tcase_add_test(forms, json_has_one_form);
	tcase_add_test(forms, json_numbers_lose_nothing);
	tcase_add_test(forms, json_exponents_cannot_fill_the_memory);
	tcase_add_test(forms, json_strings_have_the_shortest_escapes);
	tcase_add_test(forms, json_that_is_none);
	tcase_add_test(forms, json_depth_has_a_bound);
	tcase_add_test(forms, errors_never_show_the_value);
	tcase_add_checked_fixture(properties, setup, teardown);
	tcase_set_timeout(properties, 120);
	tcase_add_test(properties, times_read_back_as_they_were_printed);
	tcase_add_test(properties, times_beyond_64_bits_and_infinities_have_no_number);
	tcase_add_test(properties, timestamps_agree_with_the_c_library);
	tcase_add_test(properties, values_are_ordered_by_meaning);
	tcase_add_test(properties, canon_of_canon_is_canon);
	tcase_add_test(properties, decimals_are_equal_when_the_numbers_are);
	suite_add_tcase(s, forms);
	suite_add_tcase(s, properties);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
