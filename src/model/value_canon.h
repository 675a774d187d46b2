/*
 * value_canon.h - the forms behind value_canon(), one function a type. For src/model/ only.
 *
 * All but text and json get their bytes without the ASCII blanks around them. `raw` in the answer is
 * always the same pointer as came in: callers see by it that nothing had to be copied.
 */
#ifndef MODEL_VALUE_CANON_H
#define MODEL_VALUE_CANON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/value.h"

/*
 * What PostgreSQL's numeric can hold. A bound is needed in any case: "1e999999999" is eleven bytes long
 * and its plain digits a gigabyte.
 */
enum { DECIMAL_WHOLE_MAX = 131072, DECIMAL_FRACTION_MAX = 16383 };

enum { JSON_DEPTH_MAX = 256 };

typedef bool canon_fn(struct value raw, struct arena *arena, struct value *out, struct err *e);

canon_fn canon_text, canon_integer, canon_decimal, canon_boolean, canon_timestamp, canon_date;
canon_fn canon_uuid, canon_json, canon_bytes;

/* `raw` where it is these bytes already, else a copy in the arena. */
struct value canon_keep(struct value raw, const char *p, size_t n, struct arena *arena);

/* ---- decimals, also for the numbers in json ---------------------------------------------------------- */

/* Sign, digits and the place of the point, still in somebody's text. Leading and trailing zeros are out. */
struct decimal {
	bool negative;			/* never for zero */
	const char *whole, *fraction;	/* the digits before and behind the point as written */
	int64_t n_whole;		/* so digit i is whole[i] or fraction[i - n_whole] */
	int64_t first, end;		/* the digits that count */
	int64_t point;			/* how many digits stand before the point, counted from `first`; may be negative */
};

/* [+-] digits [. digits] [e [+-] digits]; at least one digit. False when malformed. */
bool decimal_parse(const char *p, size_t n, struct decimal *d);
bool decimal_fits(const struct decimal *d);
size_t decimal_size(const struct decimal *d);		/* bytes of the plain form; only when it fits */
void decimal_write(const struct decimal *d, char *to);

int decimal_compare(struct value a, struct value b);	/* canonical ones; NaN is the greatest, as in PostgreSQL */

/* ---- times ------------------------------------------------------------------------------------------- */

int time_compare(struct value a, struct value b);	/* canonical timestamps or dates */

/* ---- text -------------------------------------------------------------------------------------------- */

/* Writes the UTF-8 form of a valid code point (1-4 bytes) and says how long it is. */
static inline size_t utf8_put(char *to, uint32_t c)
{
	if (c < 0x80) {
		to[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (char)(0xc0 | c >> 6);
		to[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (char)(0xe0 | c >> 12);
		to[1] = (char)(0x80 | (c >> 6 & 0x3f));
		to[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (char)(0xf0 | c >> 18);
	to[1] = (char)(0x80 | (c >> 12 & 0x3f));
	to[2] = (char)(0x80 | (c >> 6 & 0x3f));
	to[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

#endif
