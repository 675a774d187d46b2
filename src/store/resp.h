/*
 * resp.h - writes commands in Redis's protocol to the end of a buffer.
 *
 * A command is an array of counted strings: resp_command(b, 3), then three resp_...() of any kind. No
 * copies but into the buffer and no format strings: a first load writes some millions of these.
 */
#ifndef STORE_RESP_H
#define STORE_RESP_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

static inline char *resp_hex(char *to, uint64_t v)
{
	int shift = v == 0 ? 0 : (63 - __builtin_clzll(v)) & ~3;

	for (; shift >= 0; shift -= 4)
		*to++ = "0123456789abcdef"[(v >> shift) & 15];
	return to;
}

static inline char *resp_head(char *to, char kind, uint64_t n)
{
	*to++ = kind;
	to = digits_put(to, n);
	*to++ = '\r';
	*to++ = '\n';
	return to;
}

static inline void resp_command(struct buf *b, size_t words)
{
	char *p = buf_room(b, 24);

	b->len += (size_t)(resp_head(p, '*', words) - p);
}

/* One word made of two pieces; either may be empty. */
static inline void resp_joined(struct buf *b, const void *p1, size_t n1, const void *p2, size_t n2)
{
	char *start = buf_room(b, n1 + n2 + 32), *p = resp_head(start, '$', n1 + n2);

	if (n1 > 0)
		memcpy(p, p1, n1);
	if (n2 > 0)
		memcpy(p + n1, p2, n2);
	p += n1 + n2;
	*p++ = '\r';
	*p++ = '\n';
	b->len += (size_t)(p - start);
}

static inline void resp_bytes(struct buf *b, const void *p, size_t n)
{
	resp_joined(b, p, n, NULL, 0);
}

static inline void resp_word(struct buf *b, const char *s)
{
	resp_joined(b, s, strlen(s), NULL, 0);
}

static inline void resp_number(struct buf *b, int64_t v)
{
	char text[21];

	resp_joined(b, text, (size_t)(number_put(text, v) - text), NULL, 0);
}

/* A key: what is common to a family of keys, then the bucket's number. */
static inline void resp_key(struct buf *b, const char *family, size_t len, uint64_t bucket)
{
	char hex[16];

	resp_joined(b, family, len, hex, (size_t)(resp_hex(hex, bucket) - hex));
}

#endif
