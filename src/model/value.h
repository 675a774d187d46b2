/*
 * value.h - one field's value and its canonical form. Pure.
 *
 * A value is a counted piece of somebody's memory; length -1 is NULL. Canonical forms (one per logical
 * type, so that equal meaning is equal bytes) are those of doc/canonical.md:
 *
 *   text       the UTF-8 bytes as they are; U+0000 and invalid UTF-8 are refused
 *   integer    [-]digits, no leading zeros, no "-0", within 64 bits
 *   decimal    plain digits, no exponent, no trailing zeros of the fraction, no "-0"; NaN, Infinity, -Infinity
 *   boolean    t or f
 *   timestamp  YYYY-MM-DD HH:MM:SS[.ffffff]+00, UTC, no trailing zeros in the fraction; infinity, -infinity
 *              years below 1 end in " BC"; a text without zone is taken as UTC
 *   date       YYYY-MM-DD (years below 1 end in " BC"); infinity, -infinity
 *   uuid       lower case with hyphens
 *   json       sorted keys, no insignificant blanks, numbers in decimal form, shortest escapes; duplicate keys refused
 *   bytes      \x and lower-case hex pairs
 *   reference  the referenced record's key: see record_key_encode() in model/record.h
 */
#ifndef MODEL_VALUE_H
#define MODEL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct arena;

enum field_type {
	FIELD_TEXT, FIELD_INTEGER, FIELD_DECIMAL, FIELD_BOOLEAN, FIELD_TIMESTAMP, FIELD_DATE,
	FIELD_UUID, FIELD_JSON, FIELD_BYTES, FIELD_REFERENCE,
	FIELD_TYPES
};

struct value {
	const char *data;
	int32_t len;		/* -1: NULL */
};

/* Behind a local time (and a blank): there is no such moment in its zone. Refused with the code skipped-time. */
#define TIMESTAMP_SKIPPED "skipped"

#define VALUE_NULL ((struct value){ NULL, -1 })
static inline struct value value_of(const char *s) { return (struct value){ s, (int32_t)strlen(s) }; }
static inline bool value_is_null(struct value v) { return v.len < 0; }
static inline bool value_equal(struct value a, struct value b)
{
	return a.len == b.len && (a.len <= 0 || memcmp(a.data, b.data, (size_t)a.len) == 0);
}

const char *field_type_name(enum field_type type);

/*
 * The canonical form of a database's or file's text of a value. *out either is `raw` itself (already
 * canonical: nothing is copied) or lives in the arena. NULL stays NULL. What cannot be represented is
 * ERR_ROW with a short code (bad-integer, bad-utf8, ...); the text never contains the value. FIELD_REFERENCE is not
 * for this call. canon(canon(x)) = canon(x).
 */
bool value_canon(enum field_type type, struct value raw, struct arena *arena, struct value *out, struct err *e);

/* A canonical timestamp as microseconds since 1970 UTC and back; infinities are false. */
bool value_to_time(struct value canonical, int64_t *us);
struct value value_from_time(int64_t us, struct arena *arena);

/* a + b, or a - b, of two canonical integers or decimals, exactly. False where one is not finite or the result is out of range. */
bool value_sum(enum field_type type, struct value a, struct value b, bool minus, struct arena *arena, struct value *out);

/* Order of two canonical, non-NULL values of an orderable type (integer, decimal, timestamp, date, text bytewise): <0, 0, >0. */
int value_compare(enum field_type type, struct value a, struct value b);

#endif
