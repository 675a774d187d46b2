/*
 * fuzz_values.c - values of every type: what is canonical stays as it is, and what is read back means the same.
 */
#include "fuzz.h"

#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "model/record.h"
#include "model/value.h"

/* The first byte is the type, or that and FIELD_REFERENCE: an example has no NUL. */
const char *const fuzz_examples[] = {
	"\001-00042", "\0029.90e+3", "\002-0.000", "\002NaN", "\002-Infinity", "\003true", "\003f", "\0042026-03-29 02:30:00.120000+01:30",
	"\004infinity", "\0040044-03-15 12:00:00 BC", "\0042026-03-29 02:30:00 skipped", "\0042026-03-29 24:00:00+00", "\0042026-03-29 02:30:60+00",
	"\0052026-02-28", "\0050001-01-01 BC",
	"\006A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "\006{a0eebc999c0b4ef8bb6d6bb9bd380a11}", "\007{\"b\": [1e2, -0, null], \"a\": \"\\u00e9\\n\"}",
	"\007[[[[{}]]], \"\\ud83d\\ude00\"]", "\010\\xDEADbeef", "\011Z\xc3\xbcrich  ", NULL
};

static void check_canonical(enum field_type type, struct value raw, struct arena *a)
{
	struct value once, twice;
	struct err e = { 0 };

	if (!value_canon(type, raw, a, &once, &e)) {
		fuzz_check(e.kind == ERR_ROW && e.code[0] != '\0', "a value is refused as %d '%s'", (int)e.kind, e.code);
		return;
	}
	fuzz_check(value_canon(type, once, a, &twice, &e), "%s: its canonical form is refused: %s", field_type_name(type), e.text);
	fuzz_check(value_equal(once, twice), "%s: the canonical form has another", field_type_name(type));
	fuzz_check(utf8_valid(once.data, (size_t)once.len), "%s: not UTF-8", field_type_name(type));
}

static bool is_ordered(enum field_type type)
{
	return type == FIELD_TEXT || type == FIELD_INTEGER || type == FIELD_DECIMAL || type == FIELD_TIMESTAMP || type == FIELD_DATE;
}

/* Asked in another way: which is greater? 0 also where there is no answer. */
static int order_by_distance(enum field_type type, struct value a, struct value b, struct arena *arena)
{
	struct value distance;
	int64_t at_a, at_b;

	if (type == FIELD_DECIMAL && value_sum(type, a, b, true, arena, &distance))
		return distance.data[0] == '-' ? -1 : distance.len != 1 || distance.data[0] != '0';
	if (type == FIELD_TIMESTAMP && value_to_time(a, &at_a) && value_to_time(b, &at_b))
		return (at_a > at_b) - (at_a < at_b);
	return 0;
}

/* Two halves of the input: order and sums. */
static void check_pair(enum field_type type, struct value a, struct value b, struct arena *arena)
{
	struct value sum, back;
	struct err e = { 0 };

	if (!value_canon(type, a, arena, &a, &e) || !value_canon(type, b, arena, &b, &e))
		return;
	if (is_ordered(type)) {
		int ab = value_compare(type, a, b), ba = value_compare(type, b, a), other = order_by_distance(type, a, b, arena);

		fuzz_check((ab > 0) == (ba < 0) && (ab == 0) == (ba == 0), "%s: order depends on who is asked first", field_type_name(type));
		fuzz_check((ab == 0) == value_equal(a, b), "%s: equal in order and not in bytes", field_type_name(type));
		fuzz_check(other == 0 || (other > 0) == (ab > 0), "%s: the greater one comes first", field_type_name(type));
	}
	if ((type != FIELD_INTEGER && type != FIELD_DECIMAL) || !value_sum(type, a, b, false, arena, &sum))
		return;
	fuzz_check(value_sum(type, sum, b, true, arena, &back) && value_equal(back, a), "%s: a + b - b is not a", field_type_name(type));
	check_canonical(type, sum, arena);
}

static void check_time(struct value raw, struct arena *a)
{
	struct value canonical;
	struct err e = { 0 };
	int64_t us;

	if (value_canon(FIELD_TIMESTAMP, raw, a, &canonical, &e) && value_to_time(canonical, &us))
		fuzz_check(value_equal(value_from_time(us, a), canonical), "a time that is read and printed is another");
}

static void check_key(struct value a, struct value b, struct arena *arena)
{
	struct value parts[2] = { a, b }, got[2], code = record_key_encode(parts, 2, arena);

	fuzz_check(record_key_decode(code, 2, got) && value_equal(got[0], a) && value_equal(got[1], b), "a key that is put together is another");
	if (record_key_decode(a, 2, got))	/* any bytes */
		fuzz_check(value_equal(record_key_encode(got, 2, arena), a), "a key has two codes");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena;
	enum field_type type;
	struct value raw, first, second;

	if (size == 0)
		return 0;
	type = (enum field_type)(data[0] % FIELD_REFERENCE);
	raw = (struct value){ (const char *)data + 1, (int32_t)size - 1 };
	first = (struct value){ raw.data, raw.len / 2 };
	second = (struct value){ raw.data + first.len, raw.len - first.len };
	arena_init(&arena);
	check_canonical(type, raw, &arena);
	check_pair(type, first, second, &arena);
	check_pair(type, raw, first, &arena);
	check_time(raw, &arena);
	check_key(first, second, &arena);
	arena_fini(&arena);
	return 0;
}
