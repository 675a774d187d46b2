/*
 * text.h - small things about text: UTF-8, durations, sizes, near names, times. Pure.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* Length in bytes of the valid UTF-8 sequence at p (1-4), 0 when there is none. NUL is a character. */
size_t utf8_step(const char *p, size_t n, uint32_t *code);
bool utf8_valid(const char *p, size_t n);
size_t utf8_count(const char *p, size_t n);	/* characters; invalid bytes count one each */

/* Escaped for one line: control characters, invalid UTF-8, bidi controls; `quote` and \ too. At most `cap` source bytes. */
void text_escape(struct buf *out, const char *p, size_t n, char quote, size_t cap);
/* The same for a terminal, but \ and quotes as they are: what is to be copied from it is right, and what is escaped already stays. */
void text_tame(struct buf *out, const char *p, size_t n);
/* A JSON string literal with its quotes; invalid UTF-8 becomes U+FFFD. */
void text_json(struct buf *out, const char *p, size_t n);
/* Text of HTML, between tags or in a quoted attribute. Line ends become blanks, and what must not stand there U+FFFD. */
void text_html(struct buf *out, const char *p, size_t n);

/* Its digits, without NUL; returns the place behind them. `to` has room for 20. */
static inline char *digits_put(char *to, uint64_t v)
{
	char backwards[20];
	size_t n = 0;

	do
		backwards[n++] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	while (n > 0)
		*to++ = backwards[--n];
	return to;
}

/* The same of a signed one: `to` has room for 21. */
static inline char *number_put(char *to, int64_t v)
{
	if (v < 0)
		*to++ = '-';
	return digits_put(to, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

bool duration_parse(const char *s, int64_t *us);	/* 500ms 5s 10m 1h 30d; false when malformed or too large */
void duration_print(struct buf *out, int64_t us);	/* the shortest form that duration_parse() reads back */
bool size_parse(const char *s, int64_t *bytes);		/* 512 64KiB 8MiB 1GiB */
void size_print(struct buf *out, int64_t bytes);

/* The name in the NULL-terminated list nearest to s when it is near enough to be meant, else NULL. */
const char *text_nearest(const char *s, const char *const *names);

/* RFC 3339 in UTC with microseconds, e.g. 2026-03-01T12:00:00.123456Z; out has room for 32 bytes. */
void time_print(int64_t us, char out[32]);
bool time_parse(const char *s, int64_t *us);		/* RFC 3339 with zone */
/* Days since 1970-01-01 in the proleptic Gregorian calendar, and back. */
int64_t days_from_civil(int64_t y, unsigned m, unsigned d);
void civil_from_days(int64_t days, int64_t *y, unsigned *m, unsigned *d);

#endif
