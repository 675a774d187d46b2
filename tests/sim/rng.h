/*
 * rng.h - the one source of chance of a simulation: the same seed gives the same run. (splitmix64)
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stdint.h>

struct rng {
	uint64_t s;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t z = (r->s += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline uint32_t rng_below(struct rng *r, uint32_t n) { return n > 0 ? (uint32_t)(rng_next(r) % n) : 0; }
static inline bool rng_chance(struct rng *r, unsigned percent) { return rng_below(r, 100) < percent; }
/* From lo to hi, both included. */
static inline int64_t rng_span(struct rng *r, int64_t lo, int64_t hi)
{
	return lo + (int64_t)(rng_next(r) % (uint64_t)(hi - lo + 1));
}

#endif
