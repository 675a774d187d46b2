#include "endpoint/postgres/pg_hset.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void pg_hset_fini(struct pg_hset *set)
{
	free(set->slots);
	memset(set, 0, sizeof *set);
}

/* The slot of that hash, or the free one where it belongs. */
static struct pg_hset_slot *slot_of(const struct pg_hset *set, uint64_t hash)
{
	size_t at = (size_t)hash & (set->cap - 1);

	while (set->slots[at].used && set->slots[at].hash != hash)
		at = (at + 1) & (set->cap - 1);
	return &set->slots[at];
}

static void grow(struct pg_hset *set)
{
	struct pg_hset old = *set;

	set->cap = old.cap > 0 ? old.cap * 2 : 64;
	set->slots = xcalloc(set->cap, sizeof *set->slots);
	for (size_t i = 0; i < old.cap; i++)
		if (old.slots[i].used)
			*slot_of(set, old.slots[i].hash) = old.slots[i];
	free(old.slots);
}

void pg_hset_put(struct pg_hset *set, uint64_t hash, uint32_t number)
{
	struct pg_hset_slot *slot;

	if ((set->n + 1) * 4 > set->cap * 3)
		grow(set);
	slot = slot_of(set, hash);
	if (!slot->used)
		set->n++;
	*slot = (struct pg_hset_slot){ hash, number, true };
}

bool pg_hset_get(const struct pg_hset *set, uint64_t hash, uint32_t *number)
{
	const struct pg_hset_slot *slot;

	if (set->n == 0)
		return false;
	slot = slot_of(set, hash);
	if (slot->used && number != NULL)
		*number = slot->number;
	return slot->used;
}
