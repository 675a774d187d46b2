/*
 * arena.h - memory of one batch: taken piece by piece, given back all at once.
 *
 * arena_init() takes nothing yet. Pieces are aligned to 8 bytes and live until arena_fini() or
 * arena_reset() (which keeps one chunk). Under the sanitizers every piece is a malloc of its own, so
 * that overruns show.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
	struct arena_chunk *chunks;	/* newest first */
	size_t bytes;			/* handed out since init or reset */
};

void arena_init(struct arena *a);
void arena_fini(struct arena *a);
void arena_reset(struct arena *a);
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
void *arena_zalloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
/* A copy with a NUL behind it (not counted in len). */
char *arena_dup(struct arena *a, const void *p, size_t len) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3), returns_nonnull));

#endif
