/* check_base.c - text, buffers, arenas, errors, the log and the clock of src/base/. */
#include <check.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/words.h"

/* ck_assert() tells its parent of every success, a system call each: too slow for what runs a million times. */
#define must(condition, ...) do { \
		if (!(condition)) \
			ck_abort_msg(__VA_ARGS__); \
	} while (0)

static struct buf out;

static void setup(void)
{
	memset(&out, 0, sizeof out);
	buf_room(&out, 1);
	buf_clear(&out);
}

static void teardown(void)
{
	buf_fini(&out);
	clock_real();
}

static uint64_t seed = 20260303;

static uint64_t rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------------ */

/* The definition, written out: which bytes may stand where (Unicode, table 3-7). */
static size_t slow_step(const unsigned char *p, size_t n)
{
	static const struct { unsigned char low[4], high[4], len; } rows[] = {
		{ { 0x00 }, { 0x7f }, 1 },
		{ { 0xc2, 0x80 }, { 0xdf, 0xbf }, 2 },
		{ { 0xe0, 0xa0, 0x80 }, { 0xe0, 0xbf, 0xbf }, 3 },
		{ { 0xe1, 0x80, 0x80 }, { 0xec, 0xbf, 0xbf }, 3 },
		{ { 0xed, 0x80, 0x80 }, { 0xed, 0x9f, 0xbf }, 3 },
		{ { 0xee, 0x80, 0x80 }, { 0xef, 0xbf, 0xbf }, 3 },
		{ { 0xf0, 0x90, 0x80, 0x80 }, { 0xf0, 0xbf, 0xbf, 0xbf }, 4 },
		{ { 0xf1, 0x80, 0x80, 0x80 }, { 0xf3, 0xbf, 0xbf, 0xbf }, 4 },
		{ { 0xf4, 0x80, 0x80, 0x80 }, { 0xf4, 0x8f, 0xbf, 0xbf }, 4 },
	};

	for (size_t i = 0; i < countof(rows); i++) {
		size_t k = 0;

		while (k < rows[i].len && k < n && p[k] >= rows[i].low[k] && p[k] <= rows[i].high[k])
			k++;
		if (k == rows[i].len)
			return k;
	}
	return 0;
}

START_TEST(utf8_is_what_the_definition_says)
{
	for (uint32_t head = 0; head < 0x10000; head++)
		for (int tail = 0; tail < 16; tail++) {
			static const unsigned char edges[] = { 0x00, 0x7f, 0x80, 0x8f, 0x9f, 0xa0, 0xbf, 0xc0 };
			unsigned char text[4] = { (unsigned char)(head >> 8), (unsigned char)head, edges[tail % 8], edges[tail / 2] };
			uint32_t code;

			for (size_t n = 0; n <= 4; n++)
				must(utf8_step((char *)text, n, &code) == slow_step(text, n), "%02x %02x %02x %02x, %zu bytes", text[0],
				     text[1], text[2], text[3], n);
		}
}
END_TEST

START_TEST(code_points_are_decoded)
{
	static const struct { const char *text; uint32_t code; } rows[] = {
		{ "A", 0x41 }, { "\x7f", 0x7f }, { "\xc2\x80", 0x80 }, { "\xdf\xbf", 0x7ff }, { "\xe0\xa0\x80", 0x800 },
		{ "\xef\xbf\xbf", 0xffff }, { "\xf0\x90\x80\x80", 0x10000 }, { "\xf4\x8f\xbf\xbf", 0x10ffff },
	};

	for (size_t i = 0; i < countof(rows); i++) {
		uint32_t code = 0;

		ck_assert_uint_eq(utf8_step(rows[i].text, strlen(rows[i].text), &code), strlen(rows[i].text));
		ck_assert_uint_eq(code, rows[i].code);
	}
	ck_assert_uint_eq(utf8_count("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x98", 10), 4);
	ck_assert_uint_eq(utf8_count("a\xff\xc3", 3), 3);
	ck_assert_uint_eq(utf8_count("", 0), 0);
}
END_TEST

START_TEST(validity_does_not_depend_on_where_a_byte_stands)
{
	for (size_t n = 1; n < 40; n++)
		for (size_t at = 0; at < n; at++) {
			char text[48];

			memset(text, 'a', n);
			must(utf8_valid(text, n), "%zu letters", n);
			text[at] = (char)0xff;
			must(!utf8_valid(text, n), "0xff at %zu of %zu", at, n);
			text[at] = (char)0xc3;
			must(!utf8_valid(text, n), "half a character at %zu of %zu", at, n);
			if (at + 1 < n) {
				text[at + 1] = (char)0xa9;
				must(utf8_valid(text, n), "a character at %zu of %zu", at, n);
			}
		}
	ck_assert(utf8_valid("a\0b", 3));
	ck_assert(utf8_valid("", 0));
}
END_TEST

/* ---- escaping ------------------------------------------------------------------------------------------------ */

static void escapes_to(const char *raw, size_t n, char quote, size_t cap, const char *want)
{
	buf_clear(&out);
	text_escape(&out, raw, n, quote, cap);
	ck_assert_str_eq(out.p, want);
}

static void tamed_is(const char *raw, size_t n, const char *want)
{
	buf_clear(&out);
	text_tame(&out, raw, n);
	ck_assert_str_eq(out.p != NULL ? out.p : "", want);
}

START_TEST(tamed_text_can_be_copied_and_stays_on_its_line)
{
	tamed_is("", 0, "");
	tamed_is("AC\\/DC / \"1\"", 12, "AC\\/DC / \"1\"");
	tamed_is("a\nb\tc\r\x1b[31m\xff\xe2\x80\xae", 15, "a\\nb\\tc\\r\\u001b[31m\\xff\\u202e");
	tamed_is("a\\nb\\u001b", 10, "a\\nb\\u001b");
}
END_TEST

START_TEST(escaped_text_stays_on_its_line)
{
	escapes_to("plain M\xc3\xbcller", 13, '"', 100, "plain M\xc3\xbcller");
	escapes_to("a\nb\tc\rd", 7, '"', 100, "a\\nb\\tc\\rd");
	escapes_to("a\"b'c\\d", 7, '"', 100, "a\\\"b'c\\\\d");
	escapes_to("a\"b'c", 5, '\'', 100, "a\"b\\'c");
	escapes_to("a\"b", 3, '\0', 100, "a\"b");
	escapes_to("\0\x1b[31m\x7f\xc2\x85", 9, '"', 100, "\\u0000\\u001b[31m\\u007f\\u0085");
	escapes_to("\xff\xc3", 2, '"', 100, "\\xff\\xc3");
	escapes_to("\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8", 9, '"', 100, "\\u202e\\u2066\\u2028");
	escapes_to("abcdef", 6, '"', 3, "abc...");
	escapes_to("ab\xc3\xa9" "def", 7, '"', 3, "ab\xc3\xa9...");
}
END_TEST

START_TEST(json_strings_are_json)
{
	text_json(&out, "a\"\\\n\0\xc3\xa9\xff\xe2\x80\xa8", 11);
	ck_assert_str_eq(out.p, "\"a\\\"\\\\\\u000a\\u0000\xc3\xa9\xef\xbf\xbd\\u2028\"");
	buf_clear(&out);
	text_json(&out, "", 0);
	ck_assert_str_eq(out.p, "\"\"");
}
END_TEST

/* ---- durations and sizes --------------------------------------------------------------------------------------- */

START_TEST(durations_and_sizes_are_read_and_printed)
{
	static const struct { const char *text; int64_t us; const char *back; } durations[] = {
		{ "500ms", 500000, "500ms" }, { "5s", 5000000, "5s" }, { "10m", 600000000, "10m" }, { "1h", 3600000000, "1h" },
		{ "30d", 2592000000000, "30d" }, { "60s", 60000000, "1m" }, { "24h", 86400000000, "1d" }, { "0s", 0, "0s" }, { "90s", 90000000, "90s" },
	};
	static const struct { const char *text; int64_t bytes; const char *back; } sizes[] = {
		{ "512", 512, "512" }, { "64KiB", 65536, "64KiB" }, { "8MiB", 8388608, "8MiB" }, { "1GiB", 1073741824, "1GiB" },
		{ "1024", 1024, "1KiB" }, { "0", 0, "0" },
	};
	int64_t v;

	for (size_t i = 0; i < countof(durations); i++) {
		ck_assert_msg(duration_parse(durations[i].text, &v) && v == durations[i].us, "%s", durations[i].text);
		buf_clear(&out);
		duration_print(&out, v);
		ck_assert_str_eq(out.p, durations[i].back);
	}
	for (size_t i = 0; i < countof(sizes); i++) {
		ck_assert_msg(size_parse(sizes[i].text, &v) && v == sizes[i].bytes, "%s", sizes[i].text);
		buf_clear(&out);
		size_print(&out, v);
		ck_assert_str_eq(out.p, sizes[i].back);
	}
}
END_TEST

START_TEST(durations_and_sizes_that_are_none)
{
	static const char *const bad_durations[] = {
		"", "5", "s", "-5s", "+5s", " 5s", "5 s", "5s ", "1.5s", "5sec", "5S", "5m5s", "0x5s", "99999999999999999999s", "999999999999d",
	};
	static const char *const bad_sizes[] = { "", "KiB", "5K", "5kib", "5 KiB", "-5", "1.5MiB", "5TB", "99999999999999999999", "9999999999999GiB" };
	int64_t v;

	for (size_t i = 0; i < countof(bad_durations); i++)
		ck_assert_msg(!duration_parse(bad_durations[i], &v), "%s", bad_durations[i]);
	for (size_t i = 0; i < countof(bad_sizes); i++)
		ck_assert_msg(!size_parse(bad_sizes[i], &v), "%s", bad_sizes[i]);
}
END_TEST

START_TEST(every_duration_and_size_reads_back)
{
	for (int i = 0; i < 100000; i++) {
		int64_t v = (int64_t)(rnd() >> (1 + rnd() % 62)), back = -1;

		buf_clear(&out);
		duration_print(&out, v);
		must(duration_parse(out.p, &back) && back == v, "%" PRId64 " as %s", v, out.p);
		buf_clear(&out);
		size_print(&out, v);
		must(size_parse(out.p, &back) && back == v, "%" PRId64 " as %s", v, out.p);
	}
}
END_TEST

/* ---- near names --------------------------------------------------------------------------------------------------- */

START_TEST(slips_find_the_name_that_was_meant)
{
	static const char *const names[] = { "endpoints", "entities", "interval", "poll", "capture", "id", NULL };

	ck_assert_str_eq(text_nearest("endpionts", names), "endpoints");
	ck_assert_str_eq(text_nearest("entitys", names), "entities");
	ck_assert_str_eq(text_nearest("intervall", names), "interval");
	ck_assert_str_eq(text_nearest("captur", names), "capture");
	ck_assert_str_eq(text_nearest("pol", names), "poll");
	ck_assert_str_eq(text_nearest("opll", names), "poll");
	ck_assert_str_eq(text_nearest("id", names), "id");
	ck_assert_str_eq(text_nearest("di", names), "id");	/* swapped letters are one slip, not two */
	ck_assert_ptr_null(text_nearest("password", names));
	ck_assert_ptr_null(text_nearest("", names));
	ck_assert_ptr_null(text_nearest("xyz", names));
	ck_assert_ptr_null(text_nearest("endpointsendpointsendpointsendpointsendpointsendpointsendpointsendpoints", names));
}
END_TEST

START_TEST(html_has_no_markup_but_ours)
{
	static const char odd[] = "<script>alert(\"1\")</script> & 'x'\n\x01\xff\xe2\x80\xae caf\xc3\xa9";

	buf_clear(&out);
	text_html(&out, odd, sizeof odd - 1);
	ck_assert_str_eq(out.p, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39; "
			 "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd caf\xc3\xa9");
}
END_TEST

/* ---- words ---------------------------------------------------------------------------------------------------------- */

#define SAYS(call, wanted) do { buf_clear(&out); call; ck_assert_str_eq(out.p, wanted); } while (0)

START_TEST(ages_are_short)
{
	SAYS(age_add(&out, 0.0001), "1 ms");
	SAYS(age_add(&out, 0.35), "350 ms");
	SAYS(age_add(&out, 9.51), "9.5 s");
	SAYS(age_add(&out, 14.2), "14 s");
	SAYS(age_add(&out, 600), "10 min");
	SAYS(age_add(&out, 86400), "24 h");
	SAYS(age_add(&out, 864000), "10 days");
	SAYS(ago_add(&out, "1970-01-01T00:00:10Z", 24200000), "14 s ago");
	SAYS(ago_add(&out, "1970-01-01T00:00:10Z", 9000000), "1 ms ago");
	SAYS(ago_add(&out, NULL, 1), "-");
}
END_TEST

START_TEST(what_is_not_known_is_not_nothing)
{
	SAYS(count_add(&out, 0), "0");
	SAYS(count_add(&out, 999), "999");
	SAYS(count_add(&out, 1234567), "1,234,567");
	SAYS(count_add(&out, NAN), "?");
	SAYS(lag_add(&out, 0), "-");
	SAYS(lag_add(&out, 61), "61 s");
	SAYS(lag_add(&out, NAN), "?");
	SAYS(byte_rate_add(&out, 0), "-");
	SAYS(byte_rate_add(&out, 1000), "1000 B/s");
	SAYS(byte_rate_add(&out, 1500000), "1.4 MiB/s");
	SAYS(bytes_add(&out, 12), "12 B");
	SAYS(bytes_add(&out, 5.5 * (1 << 30)), "5.5 GiB");
	SAYS(byte_rate_add(&out, NAN), "?");
	SAYS(offset_add(&out, -0.25), "-0.250 s");
	SAYS(offset_add(&out, NAN), "?");
	SAYS(share_add(&out, NAN), "-");
}
END_TEST

START_TEST(a_share_is_whole_only_when_it_is)
{
	SAYS(share_add(&out, 1), "100 %");
	SAYS(share_add(&out, 0.99999), "99.9 %");
	SAYS(share_add(&out, 0.993), "99.3 %");
	SAYS(share_add(&out, 0), "0.0 %");
	SAYS(bounds_add(&out, 0.96299, 0.98001), "96.2 to 98.1 %");
	SAYS(bounds_add(&out, 0, 1), "0 to 100 %");
	SAYS(bounds_add(&out, NAN, NAN), "-");
}
END_TEST

START_TEST(progress_says_what_is_known_of_it)
{
	SAYS(progress_add(&out, "follow", "", NAN, NAN, NAN, NAN), "follow");
	SAYS(progress_add(&out, "survey", "list", 430, 0.439, 1200.4, 5.7), "survey 43 %, 5.7 s left, 1,200 rows/s");
	SAYS(progress_add(&out, "survey", "list", 120, NAN, 60, NAN), "survey 120 rows, 60 rows/s");
	SAYS(progress_add(&out, "sweep", "list", 0, NAN, 0, NAN), "sweep 1 of 2:");
	SAYS(progress_add(&out, "sweep", "list", 120, NAN, 0.4, NAN), "sweep 1 of 2: 120 rows");
	SAYS(progress_add(&out, "sweep", "look", 120, 0.5, NAN, NAN), "sweep 2 of 2: 50 %");
}
END_TEST

/* ---- time ---------------------------------------------------------------------------------------------------------- */

START_TEST(times_are_rfc_3339)
{
	char text[32];
	int64_t us;

	time_print(1772366400123456, text);
	ck_assert_str_eq(text, "2026-03-01T12:00:00.123456Z");
	time_print(0, text);
	ck_assert_str_eq(text, "1970-01-01T00:00:00.000000Z");
	time_print(-1, text);
	ck_assert_str_eq(text, "1969-12-31T23:59:59.999999Z");
	ck_assert(time_parse("2026-03-01T13:00:00.123456+01:00", &us));
	ck_assert_int_eq(us, 1772366400123456);
	ck_assert(time_parse("2026-03-01 08:30:00-0330", &us));
	ck_assert_int_eq(us, 1772366400000000);
	ck_assert(time_parse("2024-02-29t00:00:00z", &us));
	ck_assert(time_parse("2026-03-01T12:00:00.1234569Z", &us));
	ck_assert_int_eq(us, 1772366400123456);
}
END_TEST

START_TEST(times_that_are_none)
{
	static const char *const bad[] = {
		"", "2026", "2026-03-01", "2026-03-01T12:00:00", "2026-13-01T12:00:00Z", "2026-00-01T12:00:00Z", "2026-02-29T12:00:00Z",
		"2026-04-31T12:00:00Z", "2026-01-00T12:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T12:60:00Z", "2026-03-01T12:00:61Z",
		"2026-03-01T12:00:00+1:00", "2026-03-01T12:00:00+24:00", "2026-03-01T12:00:00Zulu", "2026-03-01T12:00Z", "26-03-01T12:00:00Z",
		"1900-02-29T00:00:00Z", " 2026-03-01T12:00:00Z",
	};
	int64_t us;

	for (size_t i = 0; i < countof(bad); i++)
		ck_assert_msg(!time_parse(bad[i], &us), "%s", bad[i]);
}
END_TEST

START_TEST(times_read_back_and_any_number_prints)
{
	static const int64_t edges[] = { INT64_MIN, INT64_MIN + 1, INT64_MAX, -62135596800000000, 253402300799999999 };
	char text[32];
	int64_t back;

	for (size_t i = 0; i < countof(edges); i++) {
		memset(text, 'x', sizeof text);
		time_print(edges[i], text);
		ck_assert_ptr_nonnull(memchr(text, '\0', sizeof text));
	}
	for (int i = 0; i < 100000; i++) {
		int64_t us = (int64_t)(rnd() % 315537897600000000) - 62135596800000000;	/* the years 1 to 9999 */

		time_print(us, text);
		must(time_parse(text, &back) && back == us, "%s", text);
	}
}
END_TEST

START_TEST(civil_days_agree_with_the_c_library)
{
	for (int64_t day = -719162; day < 2932896; day++) {
		time_t t = (time_t)(day * 86400);
		struct tm tm;
		int64_t y;
		unsigned m, d;

		gmtime_r(&t, &tm);
		civil_from_days(day, &y, &m, &d);
		must(y == tm.tm_year + 1900 && m == (unsigned)tm.tm_mon + 1 && d == (unsigned)tm.tm_mday, "day %" PRId64, day);
		must(days_from_civil(y, m, d) == day, "day %" PRId64, day);
	}
}
END_TEST

/* ---- buffers --------------------------------------------------------------------------------------------------------- */

START_TEST(a_reason_without_a_code_is_known_by_its_words)
{
	struct err a, b;

	err_set(&a, ERR_TRANSIENT, "", "connection refused");
	err_set(&b, ERR_TRANSIENT, "", "connection refused");
	ck_assert(err_same(&a, &b));
	err_set(&b, ERR_TRANSIENT, "", "certificate verify failed");
	ck_assert(!err_same(&a, &b));
	err_set(&a, ERR_TRANSIENT, "57P01", "terminated by one");
	err_set(&b, ERR_TRANSIENT, "57P01", "terminated by another");
	ck_assert(err_same(&a, &b));
	b.kind = ERR_ENDPOINT;
	ck_assert(!err_same(&a, &b));
}
END_TEST

START_TEST(a_buffer_grows_and_ends_with_nul)
{
	struct buf b = { 0 };
	char *mine;

	for (int i = 0; i < 1000; i++) {
		buf_addf(&b, "%d,", i);
		must(b.p[b.len] == '\0' && strlen(b.p) == b.len, "at %d", i);
	}
	ck_assert_uint_eq(b.len, 3890);
	buf_clear(&b);
	ck_assert_str_eq(b.p, "");
	buf_add(&b, "a\0b", 3);
	buf_addc(&b, 'c');
	buf_adds(&b, "");
	buf_add(&b, NULL, 0);
	ck_assert_uint_eq(b.len, 4);
	ck_assert_mem_eq(b.p, "a\0bc", 5);
	mine = buf_take(&b);
	ck_assert_mem_eq(mine, "a\0bc", 5);
	ck_assert(b.p == NULL && b.len == 0);
	free(mine);
	mine = buf_take(&b);
	ck_assert_str_eq(mine, "");
	free(mine);
	buf_fini(&b);
	buf_fini(&b);
}
END_TEST

START_TEST(numbers_written_are_read)
{
	static const uint64_t edges[] = { 0, 1, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t)UINT32_MAX + 1, INT64_MAX, UINT64_MAX };
	struct buf b = { 0 };
	struct cut c;

	buf_be16(&b, 0x1234);
	buf_be32(&b, 0x12345678);
	buf_be64(&b, 0x123456789abcdef0);
	ck_assert_mem_eq(b.p, "\x12\x34\x12\x34\x56\x78\x12\x34\x56\x78\x9a\xbc\xde\xf0", 14);
	for (size_t i = 0; i < countof(edges); i++)
		buf_varint(&b, edges[i]);
	buf_addc(&b, 'x');
	c = cut_of(b.p, b.len);
	ck_assert_mem_eq(cut_bytes(&c, 2), "\x12\x34", 2);
	ck_assert_uint_eq(cut_be32(&c), 0x12345678);
	ck_assert_uint_eq(cut_be64(&c), 0x123456789abcdef0);
	for (size_t i = 0; i < countof(edges); i++)
		ck_assert_uint_eq(cut_varint(&c), edges[i]);
	ck_assert_uint_eq(cut_u8(&c), 'x');
	ck_assert(!c.bad && cut_left(&c) == 0);
	buf_fini(&b);
	ck_assert_int_eq(unzigzag(zigzag(INT64_MIN)), INT64_MIN);
	ck_assert_int_eq(unzigzag(zigzag(-1)), -1);
	ck_assert_uint_eq(zigzag(-1), 1);
	ck_assert_uint_eq(zigzag(1), 2);
}
END_TEST

START_TEST(a_reader_never_runs_past_the_end)
{
	char *bytes = xmalloc(7);
	struct cut c;

	memset(bytes, 0xff, 7);
	c = cut_of(bytes, 7);
	ck_assert_uint_eq(cut_be64(&c), 0);
	ck_assert(c.bad);
	ck_assert_uint_eq(cut_u8(&c), 0);	/* bad stays bad, though seven bytes are there */
	ck_assert_ptr_null(cut_bytes(&c, 1));
	c = cut_of(bytes, 7);
	ck_assert_ptr_eq(cut_bytes(&c, 7), bytes);
	ck_assert_ptr_null(cut_bytes(&c, 1));
	c = cut_of(bytes, 7);
	ck_assert_uint_eq(cut_varint(&c), 0);	/* never ends */
	ck_assert(c.bad);
	c = cut_of(bytes, 3);
	ck_assert_uint_eq(cut_be32(&c), 0);
	c = cut_of(bytes, 2);
	ck_assert_ptr_null(cut_bytes(&c, SIZE_MAX));
	c = cut_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
	ck_assert_uint_eq(cut_varint(&c), 0);	/* longer than 64 bits */
	ck_assert(c.bad);
	free(bytes);
}
END_TEST

/* ---- arenas ------------------------------------------------------------------------------------------------------------ */

START_TEST(pieces_of_an_arena_do_not_touch)
{
	static const size_t sizes[] = { 0, 1, 7, 8, 9, 100, 4096, 65536, 65537, 262144, 262145, 1000000 };
	enum { PIECES = 600 };
	struct { unsigned char *p; size_t n; } pieces[PIECES];
	struct arena a;

	arena_init(&a);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < PIECES; i++) {
			pieces[i].n = i % 50 == 0 ? sizes[rnd() % countof(sizes)] : rnd() % 200;
			pieces[i].p = arena_alloc(&a, pieces[i].n);
			must((uintptr_t)pieces[i].p % 8 == 0, "piece %d is not aligned", i);
			memset(pieces[i].p, i, pieces[i].n);
		}
		for (int i = 0; i < PIECES; i++)
			for (size_t k = 0; k < pieces[i].n; k++)
				must(pieces[i].p[k] == (unsigned char)i, "piece %d was overwritten", i);
		ck_assert_uint_gt(a.bytes, 0);
		arena_reset(&a);
		ck_assert_uint_eq(a.bytes, 0);
	}
	arena_fini(&a);
	arena_fini(&a);
}
END_TEST

START_TEST(arena_copies_end_with_nul)
{
	struct arena a;
	unsigned char *zero;

	arena_init(&a);
	memset(arena_alloc(&a, 1000), 0xff, 1000);
	arena_reset(&a);
	ck_assert_str_eq(arena_dup(&a, "abcdef", 3), "abc");
	zero = arena_zalloc(&a, 900);
	for (int i = 0; i < 900; i++)
		must(zero[i] == 0, "byte %d", i);
	ck_assert_str_eq(arena_dup(&a, NULL, 0), "");
	ck_assert_str_eq(arena_printf(&a, "%s-%d", "x", 5), "x-5");
	arena_fini(&a);
}
END_TEST

/* ---- errors ------------------------------------------------------------------------------------------------------------- */

START_TEST(an_error_tells_its_story)
{
	struct err e = { 0 };

	ck_assert(!err_set(&e, ERR_ROW, "23505", "'%s' is not a log position", "16/ZZ"));
	ck_assert(!err_while(&e, "saved position of %s", "crm_emea"));
	ck_assert(!err_while(&e, "round %d", 7));
	ck_assert_str_eq(e.text, "round 7: saved position of crm_emea: '16/ZZ' is not a log position");
	ck_assert_str_eq(e.code, "23505");
	ck_assert_int_eq(e.kind, ERR_ROW);
	err_clear(&e);
	ck_assert(e.kind == 0 && e.text[0] == '\0' && e.code[0] == '\0');
	ck_assert(!err_set(NULL, ERR_ROW, NULL, "nobody listens") && !err_while(NULL, "nobody"));
	err_clear(NULL);
	ck_assert(!err_set(&e, ERR_CONFIG, NULL, "x"));
	ck_assert_str_eq(e.code, "");
	ck_assert_str_eq(err_kind_name(ERR_CONFIG), "config");
	ck_assert_str_eq(err_kind_name(ERR_ENDPOINT), "endpoint");
}
END_TEST

START_TEST(too_long_an_error_is_cut)
{
	struct err e = { 0 };
	char text[2000];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	err_set(&e, ERR_ROW, text, "%s", text);
	ck_assert_uint_eq(strlen(e.text), sizeof e.text - 1);
	ck_assert_uint_eq(strlen(e.code), sizeof e.code - 1);
	for (int i = 0; i < 10; i++)
		err_while(&e, "%s", text);
	ck_assert_uint_eq(strlen(e.text), sizeof e.text - 1);
	err_set(&e, ERR_ROW, "", "the core");
	err_while(&e, "%s", text);
	ck_assert_ptr_nonnull(strstr(e.text, "the core"));	/* a long "while" does not push out what happened */
}
END_TEST

/* ---- the log -------------------------------------------------------------------------------------------------------------- */

static int stderr_was, captured;

static void capture_start(void)
{
	char name[] = "/tmp/check_base.XXXXXX";

	captured = mkstemp(name);
	ck_assert_int_ge(captured, 0);
	unlink(name);
	stderr_was = dup(2);
	dup2(captured, 2);
}

/* What was logged since capture_start(), in `out`. */
static const char *capture_end(void)
{
	char text[8192];
	ssize_t n;

	dup2(stderr_was, 2);
	close(stderr_was);
	n = pread(captured, text, sizeof text, 0);
	close(captured);
	ck_assert_int_ge(n, 0);
	buf_clear(&out);
	buf_add(&out, text, (size_t)n);
	return out.p;
}

static void log_fresh(enum log_level level, bool json)
{
	unsetenv("JOURNAL_STREAM");
	log_setup(level, json);
	clock_fake(5, 1772366400123456);
}

START_TEST(a_log_line_is_one_line_of_pairs)
{
	struct err e = { 0 };

	log_fresh(LOG_LEVEL_INFO, false);
	err_set(&e, ERR_ENDPOINT, "57P01", "went \"away\"\nnow");
	capture_start();
	log_warn("endpoint down", LOG_S("endpoint", "sales"), LOG_I("tries", -3), LOG_D("lag", 0.25), LOG_ERR(&e));
	log_info("plain");
	log_debug("not wanted", LOG_S("x", "y"));
	log_error("odd", LOG_S("empty", ""), LOG_S("none", NULL), LOG_S("blank", "a b"), LOG_S("pair", "a=b"), LOG_S("red", "\x1b[31m"));
	ck_assert_str_eq(capture_end(),
		"2026-03-01T12:00:00.123Z warn endpoint down endpoint=sales tries=-3 lag=0.25 code=57P01 reason=\"went \\\"away\\\"\\nnow\"\n"
		"2026-03-01T12:00:00.123Z info plain\n"
		"2026-03-01T12:00:00.123Z error odd empty=\"\" none=\"\" blank=\"a b\" pair=\"a=b\" red=\"\\u001b[31m\"\n");
}
END_TEST

START_TEST(a_log_line_may_be_json)
{
	struct err e = { 0 };

	log_fresh(LOG_LEVEL_DEBUG, true);
	err_set(&e, ERR_ROW, "", "no \"code\"");
	capture_start();
	log_debug("endpoint \"down\"", LOG_S("endpoint", "sa\nles\xff"), LOG_I("tries", 3), LOG_D("lag", 0.25), LOG_ERR(&e));
	ck_assert_str_eq(capture_end(),
		"{\"time\":\"2026-03-01T12:00:00.123456Z\",\"level\":\"debug\",\"event\":\"endpoint \\\"down\\\"\","
		"\"endpoint\":\"sa\\u000ales\xef\xbf\xbd\",\"tries\":3,\"lag\":0.25,\"reason\":\"no \\\"code\\\"\"}\n");
}
END_TEST

START_TEST(the_journal_of_systemd_gets_priorities_and_no_time)
{
	struct stat st;
	char stream[64];

	capture_start();
	ck_assert_int_eq(fstat(2, &st), 0);
	snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_setup(LOG_LEVEL_DEBUG, false);
	log_error("a");
	log_warn("b", LOG_I("n", 1));
	log_info("c");
	log_debug("d");
	clock_fake(5, 1772366400123456);
	log_setup(LOG_LEVEL_DEBUG, true);
	log_error("a");
	ck_assert_str_eq(capture_end(), "<3>a\n<4>b n=1\n<6>c\n<7>d\n"
		"<3>{\"time\":\"2026-03-01T12:00:00.123456Z\",\"level\":\"error\",\"event\":\"a\"}\n");
	unsetenv("JOURNAL_STREAM");
}
END_TEST

START_TEST(somebody_elses_journal_stream_gets_the_time)
{
	setenv("JOURNAL_STREAM", "8:1234", 1);
	log_setup(LOG_LEVEL_DEBUG, false);
	clock_fake(5, 1772366400123456);
	capture_start();
	log_error("a");
	ck_assert_str_eq(capture_end(), "2026-03-01T12:00:00.123Z error a\n");
	unsetenv("JOURNAL_STREAM");
}
END_TEST

START_TEST(long_strings_are_cut)
{
	char text[3000];

	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	log_fresh(LOG_LEVEL_INFO, false);
	capture_start();
	log_info("e", LOG_S("k", text));
	ck_assert_uint_eq(strlen(capture_end()), strlen("2026-03-01T12:00:00.123Z info e k=\"\"\n") + 1000 + 3);
	log_fresh(LOG_LEVEL_INFO, true);
	capture_start();
	log_info("e", LOG_S("k", text));
	ck_assert_uint_lt(strlen(capture_end()), 1100);
}
END_TEST

START_TEST(levels_are_named_and_counted)
{
	enum log_level level = LOG_LEVELS;
	uint64_t before, unwritten = log_count(LOG_LEVEL_INFO);

	ck_assert(log_level_parse("warn", &level) && level == LOG_LEVEL_WARN);
	ck_assert(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
	ck_assert(!log_level_parse("WARN", &level) && !log_level_parse("", &level));
	log_fresh(LOG_LEVEL_WARN, false);
	ck_assert(log_begin(LOG_LEVEL_ERROR) && log_begin(LOG_LEVEL_WARN) && !log_begin(LOG_LEVEL_INFO));
	before = log_count(LOG_LEVEL_WARN);
	capture_start();
	log_warn("x");
	log_info("x");
	ck_assert_str_eq(capture_end(), "2026-03-01T12:00:00.123Z warn x\n");
	ck_assert_uint_eq(log_count(LOG_LEVEL_WARN), before + 1);
	ck_assert_uint_eq(log_count(LOG_LEVEL_INFO), unwritten + 2);
}
END_TEST

START_TEST(failures_in_a_row_are_told_once_and_counted)
{
	struct log_streak k = { 0 };

	log_fresh(LOG_LEVEL_INFO, false);
	capture_start();
	log_streak_ends(&k, "never began");
	ck_assert(log_streak_begins(&k));
	ck_assert(!log_streak_begins(&k));
	clock_fake(5 + 2500000, 1772366400123456);
	ck_assert(!log_streak_begins(&k));
	log_streak_ends(&k, "can be used again");
	log_streak_ends(&k, "twice");
	ck_assert(log_streak_begins(&k));
	ck_assert_str_eq(capture_end(), "2026-03-01T12:00:00.123Z info can be used again failures=3 seconds=2.5\n");
}
END_TEST

/* ---- clock, digests --------------------------------------------------------------------------------------------------------- */

START_TEST(a_faked_clock_stands_still)
{
	int64_t before = clock_mono_us();

	ck_assert_int_ge(clock_mono_us(), before);
	clock_fake(42, 43);
	ck_assert(clock_mono_us() == 42 && clock_wall_us() == 43 && clock_boot_us() == 42);
	clock_real();
	ck_assert_int_ge(clock_mono_us(), before);
	ck_assert_int_gt(clock_wall_us(), 1700000000000000);
}
END_TEST

START_TEST(digests_depend_on_the_key)
{
	struct digest_key a, b;
	unsigned char x[16], y[16];

	digest_key_random(&a);
	digest_key_random(&b);
	ck_assert_mem_ne(a.secret, b.secret, sizeof a.secret);
	ck_assert_uint_eq(digest64(&a, "ann", 3), digest64(&a, "ann", 3));
	ck_assert_uint_ne(digest64(&a, "ann", 3), digest64(&b, "ann", 3));
	ck_assert_uint_ne(digest64(&a, "ann", 3), digest64(&a, "anna", 4));
	digest128(&a, "ann", 3, x);
	digest128(&b, "ann", 3, y);
	ck_assert_mem_ne(x, y, 16);
}
END_TEST

static void add_text(Suite *s)
{
	TCase *c = tcase_create("text");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_set_timeout(c, 120);
	tcase_add_test(c, utf8_is_what_the_definition_says);
	tcase_add_test(c, code_points_are_decoded);
	tcase_add_test(c, validity_does_not_depend_on_where_a_byte_stands);
	tcase_add_test(c, escaped_text_stays_on_its_line);
	tcase_add_test(c, tamed_text_can_be_copied_and_stays_on_its_line);
	tcase_add_test(c, json_strings_are_json);
	tcase_add_test(c, html_has_no_markup_but_ours);
	tcase_add_test(c, durations_and_sizes_are_read_and_printed);
	tcase_add_test(c, durations_and_sizes_that_are_none);
	tcase_add_test(c, every_duration_and_size_reads_back);
	tcase_add_test(c, slips_find_the_name_that_was_meant);
	tcase_add_test(c, ages_are_short);
	tcase_add_test(c, what_is_not_known_is_not_nothing);
	tcase_add_test(c, a_share_is_whole_only_when_it_is);
	tcase_add_test(c, progress_says_what_is_known_of_it);
	tcase_add_test(c, times_are_rfc_3339);
	tcase_add_test(c, times_that_are_none);
	tcase_add_test(c, times_read_back_and_any_number_prints);
	tcase_add_test(c, civil_days_agree_with_the_c_library);
	suite_add_tcase(s, c);
}

static void add_rest(Suite *s)
{
	TCase *c = tcase_create("rest");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, a_reason_without_a_code_is_known_by_its_words);
	tcase_add_test(c, a_buffer_grows_and_ends_with_nul);
	tcase_add_test(c, numbers_written_are_read);
	tcase_add_test(c, a_reader_never_runs_past_the_end);
	tcase_add_test(c, pieces_of_an_arena_do_not_touch);
	tcase_add_test(c, arena_copies_end_with_nul);
	tcase_add_test(c, an_error_tells_its_story);
	tcase_add_test(c, too_long_an_error_is_cut);
	tcase_add_test(c, a_log_line_is_one_line_of_pairs);
	tcase_add_test(c, a_log_line_may_be_json);
	tcase_add_test(c, the_journal_of_systemd_gets_priorities_and_no_time);
	tcase_add_test(c, somebody_elses_journal_stream_gets_the_time);
	tcase_add_test(c, long_strings_are_cut);
	tcase_add_test(c, levels_are_named_and_counted);
	tcase_add_test(c, failures_in_a_row_are_told_once_and_counted);
	tcase_add_test(c, a_faked_clock_stands_still);
	tcase_add_test(c, digests_depend_on_the_key);
	suite_add_tcase(s, c);
}

int main(void)
{
	Suite *s = suite_create("base");
	SRunner *r;
	int failed;

	add_text(s);
	add_rest(s);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
