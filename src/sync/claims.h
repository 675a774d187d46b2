/*
 * claims.h - which round has a record in work?
 *
 * A table of its own, because of a first load: it claims and lets go of three ids for each record, with some 20,000 of them in work. With
 * open addressing that is one look at memory each; chains with an allocation for every entry took a sixth of the daemon's time.
 * Linear probing; who lets go closes the gap (Knuth, TAOCP 3, 6.4, algorithm R).
 */
#ifndef SYNC_CLAIMS_H
#define SYNC_CLAIMS_H

#include <stddef.h>

#include "model/record.h"

struct round;

struct claims {				/* zeroed: empty */
	struct claim {
		struct rid rid;
		const struct round *round;	/* NULL: an empty place */
	} *places;			/* owned */
	size_t n, size;			/* claims; places, a power of two, at most half of them taken */
};

/* It will be taken or let go soon: its place is fetched meanwhile. */
void claims_expect(const struct claims *, const struct rid *);
/* NULL: `round` has it now; else who has it. */
const struct round *claims_take(struct claims *, const struct rid *, const struct round *round);
/* It must have been taken by that round. */
void claims_let_go(struct claims *, const struct rid *, const struct round *round);
void claims_free(struct claims *);

#endif
