/*
 * pg_hset.h - a set of 64-bit digests, each with a small number. Open addressing, grows by doubling.
 *
 * For sets of up to some hundred thousand members that are built, asked and thrown away as a whole; nothing
 * is taken out singly. A zeroed struct is an empty set.
 */
#ifndef ENDPOINT_POSTGRES_PG_HSET_H
#define ENDPOINT_POSTGRES_PG_HSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_hset {
	struct pg_hset_slot {
		uint64_t hash;
		uint32_t number;
		bool used;
	} *slots;
	size_t n, cap;
};

void pg_hset_fini(struct pg_hset *set);
void pg_hset_put(struct pg_hset *set, uint64_t hash, uint32_t number);	/* replaces */
bool pg_hset_get(const struct pg_hset *set, uint64_t hash, uint32_t *number);	/* number may be NULL */

#endif
