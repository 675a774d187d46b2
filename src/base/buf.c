#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void buf_fini(struct buf *b)
{
	free(b->p);
	memset(b, 0, sizeof *b);
}

void buf_grow(struct buf *b, size_t need)
{
	size_t cap = b->cap < 64 ? 64 : b->cap;

	while (cap < need)
		cap *= 2;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	char *to = buf_room(b, n);

	if (n > 0)
		memcpy(to, p, n);
	b->len += n;
	b->p[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	buf_room(b, (size_t)n);
	va_start(ap, fmt);
	vsnprintf(b->p + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

void buf_be16(struct buf *b, uint16_t v)
{
	unsigned char x[2] = { (unsigned char)(v >> 8), (unsigned char)v };

	buf_add(b, x, sizeof x);
}

void buf_be32(struct buf *b, uint32_t v)
{
	v = __builtin_bswap32(v);
	buf_add(b, &v, sizeof v);
}

void buf_put_be32(struct buf *b, size_t at, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(b->p + at, &v, sizeof v);
}

void buf_be64(struct buf *b, uint64_t v)
{
	v = __builtin_bswap64(v);
	buf_add(b, &v, sizeof v);
}

void buf_varint(struct buf *b, uint64_t v)
{
	while (v >= 0x80) {
		buf_addc(b, (char)(v | 0x80));
		v >>= 7;
	}
	buf_addc(b, (char)v);
}

char *buf_take(struct buf *b)
{
	char *p;

	buf_room(b, 0);
	b->p[b->len] = '\0';
	p = b->p;
	memset(b, 0, sizeof *b);
	return p;
}

const void *cut_bytes(struct cut *c, size_t n)
{
	const void *p = c->p;

	if (c->bad || cut_left(c) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

uint8_t cut_u8(struct cut *c)
{
	const unsigned char *p = cut_bytes(c, 1);

	return p != NULL ? *p : 0;
}

uint32_t cut_be32(struct cut *c)
{
	const void *p = cut_bytes(c, 4);
	uint32_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap32(v);
}

uint64_t cut_be64(struct cut *c)
{
	const void *p = cut_bytes(c, 8);
	uint64_t v;

	if (p == NULL)
		return 0;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap64(v);
}

uint64_t cut_varint(struct cut *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = cut_u8(c);

		if (c->bad)
			return 0;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0)
			return v;
	}
	c->bad = true;
	return 0;
}
