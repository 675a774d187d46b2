#include "store/redis_fresh.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	BITS_PER_RECORD = 16, PROBES = 4,	/* one record in 400 is asked for in vain */
	BITS_LEAST = 1 << 13, BITS_MOST = 1 << 25,	/* 1 KiB, 4 MiB */
	BITS_FULL = 6,				/* with fewer for a record it is of little use */
};

struct fresh {
	uint64_t mask, notes;
	uint64_t *bits;
};

struct fresh *fresh_new(int64_t records)
{
	struct fresh *f = xcalloc(1, sizeof *f);
	uint64_t bits = BITS_LEAST;

	while (bits < BITS_MOST && (int64_t)(bits / BITS_PER_RECORD) < records)
		bits *= 2;
	f->mask = bits - 1;
	f->bits = xcalloc(bits / 64, sizeof *f->bits);
	return f;
}

void fresh_free(struct fresh **fp)
{
	if (*fp == NULL)
		return;
	free((*fp)->bits);
	free(*fp);
	*fp = NULL;
}

/* A record id is a keyed digest: its own bytes are as good as two hashes (Kirsch, Mitzenmacher 2006). */
static uint64_t probe(const struct fresh *f, const struct rid *rid, unsigned i)
{
	uint64_t a;
	uint32_t b;

	memcpy(&a, rid->b, sizeof a);
	memcpy(&b, rid->b + RID_BYTES - sizeof b, sizeof b);
	return (a + i * ((uint64_t)b << 1 | 1)) & f->mask;
}

bool fresh_note(struct fresh *f, const struct rid *rid)
{
	for (unsigned i = 0; i < PROBES; i++) {
		uint64_t at = probe(f, rid, i);

		f->bits[at / 64] |= UINT64_C(1) << at % 64;
	}
	return ++f->notes <= f->mask / BITS_FULL;
}

bool fresh_lacks(const struct fresh *f, const struct rid *rid)
{
	for (unsigned i = 0; i < PROBES; i++) {
		uint64_t at = probe(f, rid, i);

		if (!(f->bits[at / 64] >> at % 64 & 1))
			return true;
	}
	return false;
}
