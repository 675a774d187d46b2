#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config.h"

enum { CHUNK_BYTES = 256 * 1024 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t used, size;
	char bytes[] __attribute__((aligned(16)));
};

void arena_init(struct arena *a)
{
	memset(a, 0, sizeof *a);
}

static void free_chunks(struct arena_chunk *c)
{
	while (c != NULL) {
		struct arena_chunk *next = c->next;

		free(c);
		c = next;
	}
}

void arena_fini(struct arena *a)
{
	free_chunks(a->chunks);
	memset(a, 0, sizeof *a);
}

void arena_reset(struct arena *a)
{
#ifndef WITH_SANITIZERS
	if (a->chunks != NULL && a->chunks->size == CHUNK_BYTES) {
		free_chunks(a->chunks->next);
		a->chunks->next = NULL;
		a->chunks->used = 0;
		a->bytes = 0;
		return;
	}
#endif
	arena_fini(a);
}

static struct arena_chunk *add_chunk(struct arena *a, size_t size)
{
	struct arena_chunk *c = xmalloc(sizeof *c + size);

	c->size = size;
	c->used = 0;
	/* An oversized piece goes behind the current chunk, which may still have room for small ones. */
	if (a->chunks != NULL && size > CHUNK_BYTES) {
		c->next = a->chunks->next;
		a->chunks->next = c;
	} else {
		c->next = a->chunks;
		a->chunks = c;
	}
	return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_chunk *c = a->chunks;
	void *p;

	size = (size + 7) & ~(size_t)7;
	a->bytes += size;
#ifdef WITH_SANITIZERS
	c = add_chunk(a, size);
#else
	if (c == NULL || c->size - c->used < size)
		c = add_chunk(a, size > CHUNK_BYTES / 4 ? (size > CHUNK_BYTES ? size : size + CHUNK_BYTES) : CHUNK_BYTES);
#endif
	p = c->bytes + c->used;
	c->used += size;
	return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
	return memset(arena_alloc(a, size), 0, size);
}

char *arena_dup(struct arena *a, const void *p, size_t len)
{
	char *copy = arena_alloc(a, len + 1);

	if (len > 0)
		memcpy(copy, p, len);
	copy[len] = '\0';
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	int n;
	char *p;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}
