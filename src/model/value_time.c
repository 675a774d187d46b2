#include <assert.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/text.h"
#include "model/value_canon.h"

#define DAY_US INT64_C(86400000000)

/* What PostgreSQL can hold: from 4714-11-24 BC on (Julian day 0), years 294276 and 5874897 the last ones. */
enum { FIRST_DAY = -2440588, LAST_TIMESTAMP_DAY = 106762939, LAST_DATE_DAY = 2145042905 };

enum { TIME_TEXT_MAX = 48 };

/*
 * A moment as days since 1970 and microseconds of that day. Not microseconds since 1970: PostgreSQL's
 * last years lie beyond 64 bits of them.
 */
struct moment {
	int64_t days, us;		/* us: 0 <= us < DAY_US */
};

/* ---- reading ----------------------------------------------------------------------------------------- */

struct scan {
	const char *p, *end;
};

static bool skip(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

static bool at_digit(const struct scan *s)
{
	return s->p < s->end && *s->p >= '0' && *s->p <= '9';
}

/* Between `least` and `most` digits; more of them are left where they are. */
static bool number(struct scan *s, int least, int most, int64_t *out)
{
	int n = 0;

	*out = 0;
	for (; n < most && at_digit(s); n++)
		*out = *out * 10 + (*s->p++ - '0');
	return n >= least;
}

static bool is_leap(int64_t y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static bool civil_valid(int64_t y, int64_t m, int64_t d)
{
	static const char lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return m >= 1 && m <= 12 && d >= 1 && d <= lengths[m - 1] + (m == 2 && is_leap(y));
}

/*
 * Microseconds of .123456, at the first digit. More digits are rounded with PostgreSQL's own arithmetic, so that a text
 * which goes to a database another way as well is the same moment there.
 */
static int64_t fraction_us(struct scan *s)
{
	int64_t digits = 0, scale = 1;

	for (int n = 0; at_digit(s); n++, s->p++)
		if (n < 15) {		/* as many as a double holds exactly */
			digits = digits * 10 + (*s->p - '0');
			scale *= 10;
		}
	if (scale <= 1000000)
		return digits * (1000000 / scale);
	return (int64_t)rint((double)digits / (double)scale * 1000000);
}

/* HH:MM[:SS[.f]]; 24:00:00 and a leap second run over into what follows, as in PostgreSQL. */
static bool clock_time(struct scan *s, int64_t *us)
{
	int64_t h, m, sec = 0, fraction = 0;

	if (!number(s, 2, 2, &h) || !skip(s, ':') || !number(s, 2, 2, &m))
		return false;
	if (skip(s, ':')) {
		if (!number(s, 2, 2, &sec))
			return false;
		if (skip(s, '.')) {
			if (!at_digit(s))
				return false;
			fraction = fraction_us(s);
		}
	}
	*us = ((h * 60 + m) * 60 + sec) * 1000000 + fraction;
	return h <= 24 && m <= 59 && sec <= 60 && (h < 24 || *us == DAY_US);
}

/* Z, +00, +0530, +05:30, -03:30:00; none at all is UTC. */
static bool zone(struct scan *s, int64_t *offset_us)
{
	int64_t h, m = 0, sec = 0, sign = 1;

	*offset_us = 0;
	if (skip(s, 'Z') || skip(s, 'z'))
		return true;
	if (skip(s, '-'))
		sign = -1;
	else if (!skip(s, '+'))
		return true;
	if (!number(s, 2, 2, &h))
		return false;
	if (skip(s, ':') || at_digit(s)) {
		if (!number(s, 2, 2, &m))
			return false;
		if ((skip(s, ':') || at_digit(s)) && !number(s, 2, 2, &sec))
			return false;
	}
	*offset_us = sign * ((h * 60 + m) * 60 + sec) * 1000000;
	return h <= 15 && m <= 59 && sec <= 59;
}

/* The letter T, or a blank with a digit behind it: " BC" may follow a date as well. */
static bool skip_to_clock(struct scan *s)
{
	if (skip(s, 'T') || skip(s, 't'))
		return true;
	if (s->end - s->p < 2 || s->p[0] != ' ' || s->p[1] < '0' || s->p[1] > '9')
		return false;
	s->p++;
	return true;
}

/* DATE[(T| )CLOCK[ ][ZONE]][ BC] */
static bool moment_parse(const char *p, size_t n, struct moment *out)
{
	struct scan s = { p, p + n };
	int64_t y, m, d, offset = 0;

	out->us = 0;
	if (!number(&s, 4, 7, &y) || !skip(&s, '-') || !number(&s, 2, 2, &m) || !skip(&s, '-') || !number(&s, 2, 2, &d))
		return false;
	if (skip_to_clock(&s)) {
		if (!clock_time(&s, &out->us))
			return false;
		if (s.end - s.p >= 2 && s.p[0] == ' ' && (s.p[1] == '+' || s.p[1] == '-'))
			s.p++;
		if (!zone(&s, &offset))
			return false;
	}
	if (y == 0)
		return false;	/* 1 BC comes before year 1; nobody agrees on what 0000 would be */
	if (s.end - s.p == 3 && strncasecmp(s.p, " BC", 3) == 0)
		y = 1 - y, s.p = s.end;
	if (s.p != s.end || !civil_valid(y, m, d))
		return false;
	out->days = days_from_civil(y, (unsigned)m, (unsigned)d);
	out->us -= offset;
	while (out->us < 0)
		out->us += DAY_US, out->days--;
	while (out->us >= DAY_US)
		out->us -= DAY_US, out->days++;
	return true;
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static char *put_number(char *to, int64_t v, int width)
{
	char digits[20];
	int n = 0;

	for (; v > 0 || n < width; v /= 10)
		digits[n++] = (char)('0' + v % 10);
	while (n > 0)
		*to++ = digits[--n];
	return to;
}

static char *put_date(char *to, int64_t days, bool *before_christ)
{
	int64_t y;
	unsigned m, d;

	civil_from_days(days, &y, &m, &d);
	*before_christ = y < 1;
	to = put_number(to, y < 1 ? 1 - y : y, 4);
	*to++ = '-';
	to = put_number(to, m, 2);
	*to++ = '-';
	return put_number(to, d, 2);
}

static size_t put_end(char *to, const char *start, bool before_christ)
{
	if (before_christ) {
		memcpy(to, " BC", 3);
		to += 3;
	}
	return (size_t)(to - start);
}

static size_t timestamp_write(const struct moment *t, char text[TIME_TEXT_MAX])
{
	int64_t seconds = t->us / 1000000, fraction = t->us % 1000000;
	bool before_christ;
	char *to = put_date(text, t->days, &before_christ);

	*to++ = ' ';
	to = put_number(to, seconds / 3600, 2);
	*to++ = ':';
	to = put_number(to, seconds / 60 % 60, 2);
	*to++ = ':';
	to = put_number(to, seconds % 60, 2);
	if (fraction > 0) {
		int width = 6;

		for (; fraction % 10 == 0; fraction /= 10)
			width--;
		*to++ = '.';
		to = put_number(to, fraction, width);
	}
	memcpy(to, "+00", 3);
	return put_end(to + 3, text, before_christ);
}

/*
 * Whether a valid text of the years 1 to 9999 has the very form that we write. Nearly every value has, straight from
 * PostgreSQL, and need not be written again to see it.
 */
static bool has_shape(const char *p, const char *shape)
{
	for (; *shape != '\0'; shape++, p++)
		if (*shape == 'd' ? *p < '0' || *p > '9' : *p != *shape)
			return false;
	return true;
}

static bool is_usual_timestamp(struct value v)
{
	int32_t fraction = v.len - 22;		/* the point and its digits */

	if (fraction < 0 || !has_shape(v.data, "dddd-dd-dd dd:dd:dd") || !has_shape(v.data + v.len - 3, "+00"))
		return false;
	if (fraction > 0 && (fraction > 7 || v.data[19] != '.' || v.data[v.len - 4] < '1' || v.data[v.len - 4] > '9'))
		return false;
	/* These are valid, but run over into the next day or minute. */
	return memcmp(v.data + 11, "24", 2) != 0 && memcmp(v.data + 17, "60", 2) != 0;
}

/* ---- the forms --------------------------------------------------------------------------------------- */

/* -1, 1: an infinity; 0: something else */
static int infinity_sign(struct value v)
{
	if (v.len == 8 && strncasecmp(v.data, "infinity", 8) == 0)
		return 1;
	return v.len == 9 && strncasecmp(v.data, "-infinity", 9) == 0 ? -1 : 0;
}

static bool canon_infinity(struct value raw, struct arena *arena, struct value *out)
{
	int sign = infinity_sign(raw);

	if (sign != 0)
		*out = sign > 0 ? canon_keep(raw, "infinity", 8, arena) : canon_keep(raw, "-infinity", 9, arena);
	return sign != 0;
}

static bool is_skipped(struct value v)
{
	static const char word[] = " " TIMESTAMP_SKIPPED;
	int32_t n = sizeof word - 1;

	return v.len > n && memcmp(v.data + v.len - n, word, (size_t)n) == 0;
}

bool canon_timestamp(struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	char text[TIME_TEXT_MAX];
	struct moment t;

	if (canon_infinity(raw, arena, out))
		return true;
	if (is_skipped(raw))
		return err_set(e, ERR_ROW, "skipped-time", "a local time that its time zone skips or cannot hold");
	if (!moment_parse(raw.data, (size_t)raw.len, &t))
		return err_set(e, ERR_ROW, "bad-timestamp", "not a timestamp");
	if (t.days < FIRST_DAY || t.days > LAST_TIMESTAMP_DAY)
		return err_set(e, ERR_ROW, "bad-timestamp", "a timestamp before 4714-11-24 BC or after the year 294276");
	*out = is_usual_timestamp(raw) ? raw : canon_keep(raw, text, timestamp_write(&t, text), arena);
	return true;
}

bool canon_date(struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	char text[TIME_TEXT_MAX], *to;
	struct moment t;
	bool before_christ;

	if (canon_infinity(raw, arena, out))
		return true;
	if (!moment_parse(raw.data, (size_t)raw.len, &t))
		return err_set(e, ERR_ROW, "bad-date", "not a date");
	/* A date kept in a timestamp column has midnight; anything else would lose the time of day. */
	if (t.us != 0)
		return err_set(e, ERR_ROW, "bad-date", "a date with a time of day");
	if (t.days < FIRST_DAY || t.days > LAST_DATE_DAY)
		return err_set(e, ERR_ROW, "bad-date", "a date before 4714-11-24 BC or after the year 5874897");
	*out = raw;
	if (raw.len == 10)	/* YYYY-MM-DD: nothing else that is valid is so short */
		return true;
	to = put_date(text, t.days, &before_christ);
	*out = canon_keep(raw, text, put_end(to, text, before_christ), arena);
	return true;
}

bool value_to_time(struct value canonical, int64_t *us)
{
	struct moment t;
	__int128 wide;

	if (canonical.len < 0 || !moment_parse(canonical.data, (size_t)canonical.len, &t))
		return false;
	wide = (__int128)t.days * DAY_US + t.us;
	*us = (int64_t)wide;
	return *us == wide;
}

struct value value_from_time(int64_t us, struct arena *arena)
{
	struct moment t = { us / DAY_US, us % DAY_US };
	char text[TIME_TEXT_MAX];
	size_t n;

	if (t.us < 0)
		t.us += DAY_US, t.days--;
	n = timestamp_write(&t, text);
	return (struct value){ arena_dup(arena, text, n), (int32_t)n };
}

int time_compare(struct value a, struct value b)
{
	int sign_a = infinity_sign(a), sign_b = infinity_sign(b);
	struct moment x, y;
	bool canonical;

	if (sign_a != 0 || sign_b != 0)
		return sign_a - sign_b;
	canonical = moment_parse(a.data, (size_t)a.len, &x) && moment_parse(b.data, (size_t)b.len, &y);
	assert(canonical);
	if (x.days != y.days)
		return x.days > y.days ? 1 : -1;
	return (x.us > y.us) - (x.us < y.us);
}
