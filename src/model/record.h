/*
 * record.h - how a record is identified: by its canonical key, wherever it lives. Pure.
 *
 * The one place that knows identity (doc/identity.md): matching rules for records that share no key
 * would come here. A record id is 80 bits of a keyed digest of the entity and the encoded key; at 100
 * million records the chance that any two collide is below 1e-8.
 */
#ifndef MODEL_RECORD_H
#define MODEL_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/digest.h"
#include "model/entity.h"

struct arena;
struct buf;

enum { RID_BYTES = 10 };
struct rid {
	unsigned char b[RID_BYTES];
};
static inline bool rid_equal(const struct rid *a, const struct rid *b) { return memcmp(a->b, b->b, RID_BYTES) == 0; }

/*
 * The key fields' canonical values as one counted value: a single field as it is, several joined with
 * length prefixes. This is also the canonical form of a reference to that record.
 */
struct value record_key_encode(const struct value *key_values, size_t n, struct arena *arena);
/* The other way: out[n]. False when the text is not such an encoding. */
bool record_key_decode(struct value encoded, size_t n, struct value *out);
/* Picks the key fields out of a record's canonical values and encodes them. */
struct value record_key(const struct entity_def *entity, const struct value *values, struct arena *arena);
/* For people: "ann@example.org", "DE / 4711"; of several parts those are told apart by writing / and \ in them with a \ before. */
void record_key_print(struct buf *out, struct value encoded, size_t n);

struct rid rid_of(const struct digest_key *key, const struct entity_def *entity, struct value encoded_key);

/* Keyed digest of one canonical value (type tag, NULL apart from empty). */
uint64_t value_digest(const struct digest_key *key, enum field_type type, struct value v);
/* And of a whole row: of those of its n fields, by index, taken in that order of indexes. */
uint64_t row_digest(const struct digest_key *key, const uint64_t *field_digests, size_t n, const uint8_t *order);

#endif
