/*
 * redis_fresh.h - inside the store: records that cannot have a vector yet.
 *
 * A first load asks for the vector of every record and finds none: a million questions that cost Redis a third of its work.
 * An entity that was proven empty by this connection holds nothing but what this connection has written since; a
 * Bloom filter (Bloom 1970) of that answers nearly all of them. It errs to one side only: it may say "ask". It ends with the
 * connection, and when it has become too full to be of use.
 */
#ifndef STORE_REDIS_FRESH_H
#define STORE_REDIS_FRESH_H

#include <stdbool.h>
#include <stdint.h>

#include "model/record.h"

struct fresh;

/* For an entity without any vector, which may get about so many. */
struct fresh *fresh_new(int64_t records);
void fresh_free(struct fresh **);		/* NULL is fine */
/* It will be noted or asked for soon: the memory for that is fetched meanwhile. */
void fresh_expect(const struct fresh *, const struct rid *);
/* Its vector is about to be written. False: it is too full now; free it. */
bool fresh_note(struct fresh *, const struct rid *);
/* Surely not written: need not be asked for. */
bool fresh_lacks(const struct fresh *, const struct rid *);

#endif
