#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* ---- UTF-8 ------------------------------------------------------------------------------------------- */

size_t utf8_step(const char *text, size_t n, uint32_t *code)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t len;
	uint32_t c;

	if (n == 0)
		return 0;
	if (p[0] < 0x80) {
		*code = p[0];
		return 1;
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2, c = p[0] & 0x1f;
	else if ((p[0] & 0xf0) == 0xe0)
		len = 3, c = p[0] & 0x0f;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4, c = p[0] & 0x07;
	else
		return 0;
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return len;
}

static size_t ascii_run(const char *p, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t w;

		memcpy(&w, p + i, 8);
		if (w & 0x8080808080808080u)
			break;
	}
	while (i < n && (unsigned char)p[i] < 0x80)
		i++;
	return i;
}

bool utf8_valid(const char *p, size_t n)
{
	uint32_t code;

	for (size_t i = ascii_run(p, n); i < n; i += ascii_run(p + i, n - i)) {
		size_t step = utf8_step(p + i, n - i, &code);

		if (step == 0)
			return false;
		i += step;
	}
	return true;
}

size_t utf8_count(const char *p, size_t n)
{
	size_t count = 0;
	uint32_t code;

	for (size_t i = 0; i < n; count++) {
		size_t step = utf8_step(p + i, n - i, &code);

		i += step > 0 ? step : 1;
	}
	return count;
}

/* ---- escaping ---------------------------------------------------------------------------------------- */

static bool is_bidi_control(uint32_t c)
{
	return c == 0x061c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static bool breaks_lines(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 || is_bidi_control(c);
}

/* The character c of `step` bytes at p, or the byte there that begins none (step 0), in a way that keeps it on its line. */
static void add_tame(struct buf *out, const char *p, size_t step, uint32_t c)
{
	if (step == 0)
		buf_addf(out, "\\x%02x", (unsigned char)*p);
	else if (c == '\n' || c == '\t' || c == '\r')
		buf_adds(out, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
	else if (breaks_lines(c))
		buf_addf(out, "\\u%04x", c);
	else
		buf_add(out, p, step);
}

void text_escape(struct buf *out, const char *p, size_t n, char quote, size_t cap)
{
	size_t end = n < cap ? n : cap;
	uint32_t c;

	for (size_t i = 0; i < end;) {
		size_t step = utf8_step(p + i, n - i, &c);

		if (step == 0) {
			add_tame(out, p + i, 0, 0);
			step = 1;
		} else if (c == '\\' || (quote != '\0' && c == (unsigned char)quote)) {
			buf_addc(out, '\\');
			buf_addc(out, (char)c);
		} else {
			add_tame(out, p + i, step, c);
		}
		i += step;
	}
	if (end < n)
		buf_adds(out, "...");
}

void text_tame(struct buf *out, const char *p, size_t n)
{
	uint32_t c;

	for (size_t i = 0; i < n;) {
		size_t step = utf8_step(p + i, n - i, &c);

		add_tame(out, p + i, step, c);
		i += step > 0 ? step : 1;
	}
}

void text_json(struct buf *out, const char *p, size_t n)
{
	uint32_t c;

	buf_addc(out, '"');
	for (size_t i = 0; i < n;) {
		size_t step = utf8_step(p + i, n - i, &c);

		if (step == 0) {
			buf_adds(out, "\xef\xbf\xbd");
			step = 1;
		} else if (c == '"' || c == '\\') {
			buf_addc(out, '\\');
			buf_addc(out, (char)c);
		} else if (breaks_lines(c)) {
			buf_addf(out, "\\u%04x", c);
		} else {
			buf_add(out, p + i, step);
		}
		i += step;
	}
	buf_addc(out, '"');
}

static const char *html_entity(uint32_t c)
{
	switch (c) {
	case '&':	return "&amp;";
	case '<':	return "&lt;";
	case '>':	return "&gt;";
	case '"':	return "&quot;";
	case '\'':	return "&#39;";
	case '\n':
	case '\r':
	case '\t':	return " ";
	}
	return NULL;
}

void text_html(struct buf *out, const char *p, size_t n)
{
	uint32_t c;

	for (size_t i = 0; i < n;) {
		size_t step = utf8_step(p + i, n - i, &c);
		const char *entity = step > 0 ? html_entity(c) : NULL;

		if (entity != NULL)
			buf_adds(out, entity);
		else if (step == 0 || breaks_lines(c))
			buf_adds(out, "\xef\xbf\xbd");
		else
			buf_add(out, p + i, step);
		i += step > 0 ? step : 1;
	}
}

/* ---- durations and sizes ----------------------------------------------------------------------------- */

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{ "d", 86400000000 }, { "h", 3600000000 }, { "m", 60000000 }, { "s", 1000000 }, { "ms", 1000 }, { "us", 1 },
};
static const struct unit sizes[] = {
	{ "GiB", 1 << 30 }, { "MiB", 1 << 20 }, { "KiB", 1 << 10 }, { "", 1 },
};

static bool unit_parse(const char *s, const struct unit *units, size_t n, int64_t *out)
{
	int64_t number = 0;
	const char *p = s;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *p - '0', &number))
			return false;
	if (p == s)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strcmp(p, units[i].name) == 0)
			return !__builtin_mul_overflow(number, units[i].factor, out);
	return false;
}

static void unit_print(struct buf *out, const struct unit *units, size_t n, int64_t value)
{
	for (size_t i = 0; i < n; i++)
		if (value % units[i].factor == 0 && (value != 0 || units[i].factor == 1000000 || i + 1 == n)) {
			buf_addf(out, "%lld%s", (long long)(value / units[i].factor), units[i].name);
			return;
		}
}

bool duration_parse(const char *s, int64_t *us)
{
	return unit_parse(s, durations, sizeof durations / sizeof durations[0], us);
}

void duration_print(struct buf *out, int64_t us)
{
	unit_print(out, durations, sizeof durations / sizeof durations[0], us);
}

bool size_parse(const char *s, int64_t *bytes)
{
	return unit_parse(s, sizes, sizeof sizes / sizeof sizes[0], bytes);
}

void size_print(struct buf *out, int64_t bytes)
{
	unit_print(out, sizes, sizeof sizes / sizeof sizes[0], bytes);
}

/* ---- near names -------------------------------------------------------------------------------------- */

enum { NAME_CAP = 64 };

/* Optimal string alignment distance: swapped neighbours are the commonest slip of the fingers. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
	size_t row[3][NAME_CAP + 1];

	for (size_t j = 0; j <= nb; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t *now = row[i % 3], *before = row[(i + 2) % 3], *two = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t best = before[j - 1] + (a[i - 1] != b[j - 1]);

			if (before[j] + 1 < best)
				best = before[j] + 1;
			if (now[j - 1] + 1 < best)
				best = now[j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two[j - 2] + 1 < best)
				best = two[j - 2] + 1;
			now[j] = best;
		}
	}
	return row[na % 3][nb];
}

const char *text_nearest(const char *s, const char *const *names)
{
	size_t n = strlen(s), best = SIZE_MAX;
	const char *nearest = NULL;

	if (n == 0 || n > NAME_CAP)
		return NULL;
	for (; *names != NULL; names++) {
		size_t m = strlen(*names), d;

		if (m > NAME_CAP)
			continue;
		d = distance(s, n, *names, m);
		if (d < best && d <= (n + 2) / 3) {
			best = d;
			nearest = *names;
		}
	}
	return nearest;
}

/* ---- time -------------------------------------------------------------------------------------------- */

/* Howard Hinnant, "chrono-compatible low-level date algorithms": exact for the proleptic Gregorian calendar. */
int64_t days_from_civil(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned yoe, doy, doe;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m + (m > 2 ? -3u : 9u)) + 2) / 5 + d - 1;
	doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + (int64_t)doe - 719468;
}

void civil_from_days(int64_t days, int64_t *y, unsigned *m, unsigned *d)
{
	int64_t era;
	unsigned doe, yoe, doy, mp;

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	doe = (unsigned)(days - era * 146097);
	yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	mp = (5 * doy + 2) / 153;
	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp < 10 ? mp + 3 : mp - 9;
	*y = (int64_t)yoe + era * 400 + (*m <= 2);
}

void time_print(int64_t us, char out[32])
{
	int64_t days = us / 86400000000, rest = us % 86400000000, y;
	unsigned m, d, s;

	if (rest < 0) {
		days--;
		rest += 86400000000;
	}
	s = (unsigned)(rest / 1000000);
	civil_from_days(days, &y, &m, &d);
	if (y < -9999 || y > 99999)
		y = y < 0 ? -9999 : 99999;
	snprintf(out, 32, "%04d-%02u-%02uT%02u:%02u:%02u.%06uZ", (int)y % 100000, m % 100, d % 100,
		 s / 3600 % 24, s / 60 % 60, s % 60, (unsigned)(rest % 1000000));
}

static bool digits(const char **p, int n, unsigned *out)
{
	*out = 0;
	for (; n > 0; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*out = *out * 10 + (unsigned)(**p - '0');
	}
	return true;
}

static bool one_of(const char **p, const char *set)
{
	if (**p == '\0' || strchr(set, **p) == NULL)
		return false;
	(*p)++;
	return true;
}

static bool zone_parse(const char *p, int64_t *offset_s)
{
	unsigned h, m;
	int sign = *p == '-' ? -1 : 1;

	*offset_s = 0;
	if ((*p == 'Z' || *p == 'z') && p[1] == '\0')
		return true;
	if (!one_of(&p, "+-") || !digits(&p, 2, &h))
		return false;
	if (*p == ':')
		p++;
	if (!digits(&p, 2, &m) || *p != '\0' || h > 23 || m > 59)
		return false;
	*offset_s = sign * (int64_t)(h * 3600 + m * 60);
	return true;
}

bool time_parse(const char *s, int64_t *us)
{
	static const unsigned lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	unsigned y, m, d, hh, mm, ss, fraction = 0, scale = 100000;
	int64_t zone;
	const char *p = s;

	if (!digits(&p, 4, &y) || !one_of(&p, "-") || !digits(&p, 2, &m) || !one_of(&p, "-") || !digits(&p, 2, &d) ||
	    !one_of(&p, "Tt ") || !digits(&p, 2, &hh) || !one_of(&p, ":") || !digits(&p, 2, &mm) || !one_of(&p, ":") ||
	    !digits(&p, 2, &ss))
		return false;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
			fraction += (unsigned)(*p - '0') * scale;
	if (!zone_parse(p, &zone) || m < 1 || m > 12 || d < 1 || d > lengths[m - 1] || hh > 23 || mm > 59 || ss > 60)
		return false;
	if (m == 2 && d == 29 && (y % 4 != 0 || (y % 100 == 0 && y % 400 != 0)))
		return false;
	*us = ((days_from_civil(y, m, d) * 86400 + hh * 3600 + mm * 60 + ss) - zone) * 1000000 + fraction;
	return true;
}
