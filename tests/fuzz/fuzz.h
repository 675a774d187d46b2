/*
 * fuzz.h - what every fuzz target has: bytes to make choices from, and a way to say what is wrong.
 *
 * A target is a file with LLVMFuzzerTestOneInput(): it is linked with driver.c, or with libFuzzer where configure found one
 * (--enable-fuzzing). It must not keep anything from one input to the next.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the driver begins with besides random bytes; NULL ends it. Targets with a structure of their own have none. */
extern const char *const fuzz_examples[];

struct choices {
	const uint8_t *p, *end;
};

/* Below n; 0 when the bytes have come to their end. */
static inline unsigned choose(struct choices *c, unsigned n)
{
	return c->p < c->end && n > 1 ? *c->p++ % n : 0;
}

#define fuzz_check(what, ...) \
	do { \
		if (!(what)) { \
			fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #what); \
			fprintf(stderr, __VA_ARGS__); \
			fputc('\n', stderr); \
			abort(); \
		} \
	} while (0)

#endif
