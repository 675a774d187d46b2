/*
 * round_ahead.h - inside a round: what a step will look at soon, fetched meanwhile.
 *
 * A large round does not fit into the processor's cache, and each step goes over all of its records once: a first load spent a tenth of the
 * daemon's time waiting for memory of which it had long been known that it would be looked at.
 */
#ifndef SYNC_ROUND_AHEAD_H
#define SYNC_ROUND_AHEAD_H

#include "base/mem.h"
#include "sync/round.h"

enum { ROUND_AHEAD = 8 };	/* so many records before its own turn */

/* What was decided about the records behind the i-th subject. */
static ONLY_PREFETCHES void ahead_of_subject(const struct round *r, size_t i)
{
	if (i + 2 * ROUND_AHEAD < r->n)
		__builtin_prefetch(&r->subjects[i + 2 * ROUND_AHEAD].d);
	if (i + ROUND_AHEAD < r->n)
		vector_expect(r->subjects[i + ROUND_AHEAD].d.next);
	if (i + ROUND_AHEAD / 2 < r->n)
		vector_expect_ids(r->subjects[i + ROUND_AHEAD / 2].d.next);
}

static inline const struct subject *written_subject(const struct write_batch *b, size_t i)
{
	return b->list[i].subject;
}

/* The same behind the i-th write. */
static ONLY_PREFETCHES void ahead_of_write(const struct write_batch *b, size_t i)
{
	if (i + 2 * ROUND_AHEAD < b->n)
		__builtin_prefetch(&written_subject(b, i + 2 * ROUND_AHEAD)->d);
	if (i + ROUND_AHEAD < b->n)
		vector_expect(written_subject(b, i + ROUND_AHEAD)->d.next);
}

#endif
