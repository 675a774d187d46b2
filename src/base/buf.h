/*
 * buf.h - bytes that grow, and a reader that cannot run past the end.
 *
 * A buf owns its bytes until buf_fini(). There is always a NUL behind buf.len bytes once something
 * was added, so text may be used in place. Multi-byte integers are big-endian unless said otherwise.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	char *p;
	size_t len, cap;
};

void buf_fini(struct buf *b);			/* also right for a zeroed one */
static inline void buf_clear(struct buf *b) { b->len = 0; if (b->p != NULL) b->p[0] = '\0'; }
void buf_grow(struct buf *b, size_t need);	/* buf_room()'s own */

/* Room for n more; does not move len. */
static inline char *buf_room(struct buf *b, size_t n)
{
	if (b->len + n + 1 > b->cap)
		buf_grow(b, b->len + n + 1);
	return b->p + b->len;
}

static inline void buf_addc(struct buf *b, char c)
{
	char *to = buf_room(b, 1);

	to[0] = c;
	to[1] = '\0';
	b->len++;
}

void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_be16(struct buf *b, uint16_t v);
void buf_be32(struct buf *b, uint32_t v);
void buf_put_be32(struct buf *b, size_t at, uint32_t v);	/* over four bytes that are there */
void buf_be64(struct buf *b, uint64_t v);
void buf_varint(struct buf *b, uint64_t v);	/* LEB128 */
char *buf_take(struct buf *b);			/* the bytes are yours (free); never NULL */

/* A reader over somebody's bytes. After the first failed read, `bad` stays set and reads give zeros. */
struct cut {
	const unsigned char *p, *end;
	bool bad;
};

static inline struct cut cut_of(const void *p, size_t n)
{
	return (struct cut){ .p = p, .end = (const unsigned char *)p + n };
}
static inline size_t cut_left(const struct cut *c) { return (size_t)(c->end - c->p); }
const void *cut_bytes(struct cut *c, size_t n);	/* NULL when fewer are left */
uint8_t cut_u8(struct cut *c);
uint32_t cut_be32(struct cut *c);
uint64_t cut_be64(struct cut *c);
uint64_t cut_varint(struct cut *c);

static inline uint64_t zigzag(int64_t v) { return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63); }
static inline int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

#endif
