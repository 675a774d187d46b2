#include "store/redis_fresh.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
	BITS_PER_RECORD = 16, PROBES = 4,	/* one record in 370 is asked for in vain, by the formula for such lines */
	BITS_LEAST = 1 << 13, BITS_MOST = 1 << 25,	/* 1 KiB, 4 MiB */
	BITS_FULL = 6,				/* with fewer for a record it is of little use */
	LINE_BITS = 512,			/* 2^9: nine bits of the record id for a probe */
};

struct fresh {
	uint64_t mask, notes;
	uint64_t *bits;			/* begins at a line of the cache */
	void *memory;			/* owned; they are in it */
};

struct fresh *fresh_new(int64_t records)
{
	struct fresh *f = xcalloc(1, sizeof *f);
	uint64_t bits = BITS_LEAST;

	while (bits < BITS_MOST && (int64_t)(bits / BITS_PER_RECORD) < records)
		bits *= 2;
	f->mask = bits - 1;
	f->memory = xcalloc((bits + LINE_BITS) / 8, 1);
	f->bits = (uint64_t *)(((uintptr_t)f->memory + LINE_BITS / 8 - 1) / (LINE_BITS / 8) * (LINE_BITS / 8));
	return f;
}

void fresh_free(struct fresh **fp)
{
	if (*fp == NULL)
		return;
	free((*fp)->memory);
	free(*fp);
	*fp = NULL;
}

/*
 * A record id is a keyed digest: its own bytes are the hashes. The probes of a record stay in one line of the processor's cache (Putze,
 * Sanders, Singler 2007: blocked Bloom filters).
 */
static uint64_t *line_of(const struct fresh *f, const struct rid *rid)
{
	uint64_t a;

	memcpy(&a, rid->b, sizeof a);
	return f->bits + (a & f->mask) / LINE_BITS * (LINE_BITS / 64);
}

static unsigned probe(const struct rid *rid, unsigned i)
{
	uint64_t b;

	memcpy(&b, rid->b + RID_BYTES - sizeof b, sizeof b);	/* from the other end */
	return b >> (64 - 9 * (i + 1)) & (LINE_BITS - 1);
}

void fresh_expect(const struct fresh *f, const struct rid *rid)
{
	__builtin_prefetch(line_of(f, rid), 1);
}

bool fresh_note(struct fresh *f, const struct rid *rid)
{
	uint64_t *line = line_of(f, rid);

	for (unsigned i = 0; i < PROBES; i++)
		line[probe(rid, i) / 64] |= UINT64_C(1) << probe(rid, i) % 64;
	return ++f->notes <= f->mask / BITS_FULL;
}

bool fresh_lacks(const struct fresh *f, const struct rid *rid)
{
	const uint64_t *line = line_of(f, rid);

	for (unsigned i = 0; i < PROBES; i++)
		if (!(line[probe(rid, i) / 64] >> probe(rid, i) % 64 & 1))
			return true;
	return false;
}
