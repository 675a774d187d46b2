#include "sync/claims.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { SIZE_LEAST = 64, SIZE_KEPT = 4096 };	/* a larger table is given back when it is empty */

/* A record id is a keyed digest: its own bytes are the hash. */
static size_t home_of(const struct claims *t, const struct rid *rid)
{
	uint64_t hash;

	memcpy(&hash, rid->b, sizeof hash);
	return hash & (t->size - 1);
}

/* Where it is, or the empty place where it would go. */
static size_t place_of(const struct claims *t, const struct rid *rid)
{
	size_t at = home_of(t, rid);

	while (t->places[at].round != NULL && !rid_equal(&t->places[at].rid, rid))
		at = (at + 1) & (t->size - 1);
	return at;
}

static void resize(struct claims *t, size_t size)
{
	struct claims old = *t;

	t->places = xcalloc(size, sizeof *t->places);
	t->size = size;
	for (size_t i = 0; i < old.size; i++)
		if (old.places[i].round != NULL)
			t->places[place_of(t, &old.places[i].rid)] = old.places[i];
	free(old.places);
}

void claims_expect(const struct claims *t, const struct rid *rid)
{
	if (t->size > 0)
		__builtin_prefetch(&t->places[home_of(t, rid)], 1);
}

const struct round *claims_take(struct claims *t, const struct rid *rid, const struct round *round)
{
	size_t at;

	if (2 * (t->n + 1) > t->size)
		resize(t, t->size > 0 ? 2 * t->size : SIZE_LEAST);
	at = place_of(t, rid);
	if (t->places[at].round != NULL)
		return t->places[at].round;
	t->places[at] = (struct claim){ *rid, round };
	t->n++;
	return NULL;
}

/* Moves what would not be found behind an empty place any more. */
static void close_gap(struct claims *t, size_t gap)
{
	size_t mask = t->size - 1;

	for (size_t at = (gap + 1) & mask; t->places[at].round != NULL; at = (at + 1) & mask) {
		size_t home = home_of(t, &t->places[at].rid);

		if (((at - home) & mask) < ((at - gap) & mask))
			continue;	/* its home is behind the gap */
		t->places[gap] = t->places[at];
		gap = at;
	}
	t->places[gap].round = NULL;
}

void claims_let_go(struct claims *t, const struct rid *rid, const struct round *round)
{
	size_t at;

	assert(t->n > 0);
	at = place_of(t, rid);
	assert(t->places[at].round == round);
	(void)round;
	close_gap(t, at);
	if (--t->n == 0 && t->size > SIZE_KEPT)
		claims_free(t);
}

void claims_free(struct claims *t)
{
	free(t->places);
	*t = (struct claims){ 0 };
}
