/*
 * fuzz_text.c - what is printed for people and programs: one line, nothing that moves the cursor, and what was read back is what it was.
 */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

const char *const fuzz_examples[] = {
	"500ms", "1h", "30d", "9223372036854775807d", "64KiB", "8MiB", "2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00+02:00",
	"0000-01-01T00:00:00Z", "a\r\nb\x1b[31m", "\xe2\x80\xaetxt", "\xe2\x81\xa6 x \xe2\x81\xa9", "\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c", "\xe2\x80\xa8", "\xc2\x85", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\"quoted\\\"", "&amp;&", NULL
};

static bool is_bad_code(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x061c || code == 0x200e || code == 0x200f || (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static void check_escaped(const char *p, size_t n, char quote, size_t cap)
{
	struct buf out = { 0 };
	uint32_t code;
	size_t step;

	buf_adds(&out, "");
	text_escape(&out, p, n, quote, cap);
	for (size_t i = 0; i < out.len; i += step) {
		step = utf8_step(out.p + i, out.len - i, &code);
		fuzz_check(step > 0, "escaped text is not UTF-8");
		fuzz_check(!is_bad_code(code), "U+%04X is left in escaped text", (unsigned)code);
		if (code == (uint32_t)(unsigned char)quote && quote != '\0')
			fuzz_check(i > 0 && out.p[i - 1] == '\\', "a quote is left in escaped text");
	}
	buf_fini(&out);
}

/* A JSON reader that is not ours reads `list`, a string in brackets, as p: the whole of it where p is UTF-8. */
static void check_read(const struct buf *list, const char *p, size_t n)
{
	json_error_t e;
	json_t *got = json_loadb(list->p, list->len, JSON_ALLOW_NUL, &e);

	fuzz_check(got != NULL, "not JSON: %s", e.text);
	if (utf8_valid(p, n))
		fuzz_check(json_string_length(json_array_get(got, 0)) == n && (n == 0 || memcmp(json_string_value(json_array_get(got, 0)), p, n) == 0),
			   "another text is read from the JSON");
	json_decref(got);
}

static void check_json(const char *p, size_t n)
{
	struct buf out = { 0 };

	buf_addc(&out, '[');
	text_json(&out, p, n);
	buf_addc(&out, ']');
	check_read(&out, p, n);
	buf_clear(&out);
	if (utf8_valid(p, n)) {		/* what is escaped for people is as unambiguous */
		buf_adds(&out, "[\"");
		text_escape(&out, p, n, '"', n);
		buf_adds(&out, "\"]");
		check_read(&out, p, n);
	}
	buf_fini(&out);
}

static bool is_entity(const char *p)
{
	return strncmp(p, "&amp;", 5) == 0 || strncmp(p, "&lt;", 4) == 0 || strncmp(p, "&gt;", 4) == 0 || strncmp(p, "&quot;", 6) == 0 ||
	       strncmp(p, "&#39;", 5) == 0;
}

static void check_html(const char *p, size_t n)
{
	struct buf out = { 0 };

	buf_adds(&out, "");
	text_html(&out, p, n);
	for (size_t i = 0; i < out.len; i++) {
		fuzz_check(strchr("<>\"'", out.p[i]) == NULL || out.p[i] == '\0', "a '%c' is left in text for a page", out.p[i]);
		fuzz_check(out.p[i] != '&' || is_entity(out.p + i), "a '&' is left in text for a page");
	}
	fuzz_check(utf8_valid(out.p, out.len), "text for a page is not UTF-8");
	buf_fini(&out);
}

static void check_numbers(const char *text)
{
	struct buf out = { 0 };
	char time[32];
	int64_t once, twice;

	if (duration_parse(text, &once)) {
		duration_print(&out, once);
		fuzz_check(duration_parse(out.p, &twice) && once == twice, "a duration that is printed is another: %s", out.p);
	}
	buf_clear(&out);
	if (size_parse(text, &once)) {
		size_print(&out, once);
		fuzz_check(size_parse(out.p, &twice) && once == twice, "a size that is printed is another: %s", out.p);
	}
	if (time_parse(text, &once)) {
		time_print(once, time);
		fuzz_check(time_parse(time, &twice) && once == twice, "a time that is printed is another: %s", time);
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *p = (const char *)data;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	check_escaped(p, size, '"', 1000);
	check_escaped(p, size, '\0', size / 2);
	check_json(p, size);
	check_html(p, size);
	check_numbers(text);
	free(text);
	return 0;
}
