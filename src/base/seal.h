/*
 * seal.h - the end of a file that tells whether the file is whole.
 *
 *   the body   SEAL_NUMBERS u64 of the writer's   u64 length of the body   XXH3-128 of all before   "crmsSEAL"
 *   a part of it   why there is no more   u32 length of that   "crmsSTOP"
 *
 * It is found from the end of the file, so whatever is cut off, added or changed shows before the first byte of the
 * body is believed. Against damage, not against a forger: the digest has no key.
 */
#ifndef BASE_SEAL_H
#define BASE_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;
struct seal;

enum { SEAL_NUMBERS = 2, SEAL_BYTES = 8 * SEAL_NUMBERS + 8 + 16 + 8 };

struct seal *seal_new(void);
void seal_free(struct seal **);			/* NULL is fine */
void seal_add(struct seal *, const void *p, size_t n);		/* the next bytes of the body */
/* Appends the seal. */
void seal_close(struct seal *, const uint64_t numbers[SEAL_NUMBERS], struct buf *out);
/* Appends what stands in its place where the body was broken off. */
void seal_break_off(const char *why, struct buf *out);

struct sealed {
	uint64_t body;			/* bytes */
	uint64_t numbers[SEAL_NUMBERS];
};
#define SEAL_BROKEN_OFF "broken-off"	/* an error's code: whoever wrote it could not go on, and has said why */
/* Reads all of the file. False: it is not whole, or cannot be read; `name` is for the words. */
bool seal_check(int fd, const char *name, struct sealed *, struct err *e);

#endif
