/*
 * vector.h - the last-seen vector of one record: what was agreed, who showed what, who is owed. Pure.
 *
 * Per field: a short digest of the agreed value (24 bits: *which* field changed) and the key of the edit that
 * made it. For the whole row: 40 more bits (*that* something changed): an edit of one field goes unseen
 * with a chance of 2^-64. Where several fields changed and one of them collides, decide.c finds it by
 * comparing rows in full, which it has to read in any case before it writes.
 * Per endpoint: whether it shows the agreed row or deviates (then its own row digest and the deviating
 * fields), its local id, whether it is still owed something.
 *
 * The binary form (vector_encode) is versioned and length-checked:
 *
 *   u8  version | newborn | dead | several keys | generation given | row unknown
 *   version 2 only: u8 amounts, (u8 field, u24, varint length, text) * amounts; one without amounts is written as version 1;
 *	a key that the record had stands among them as field 255, with the id that goes with it for a text; the one that it has with none
 *   varint generation (when given); u8 fields; u24 digest * fields (0: no base); u40 row digest (when known)
 *   one key, or u8 keys, key * keys, u8 key index * fields;   dead: the key of the delete
 *   per endpoint: u8 (number | form << 5 | 0x80 on the last, which ends the vector), then by form; where none is known,
 *   a filler of number 31 ends it
 *	FORM_INT   same, settled:   varint id        FORM_TEXT  same, settled:  varint length, id
 *	FORM_GONE  no row, settled                   FORM_FULL  u8 flags, [list intended], [u40 row, list deviations], [id or tried key]
 *   list: u8 n, (u8 field, u24, u8 key) * n; n 255: every field as it is agreed
 *							intended: when uncertain; row and deviations: a row that is not the agreed one
 *   key: varint zigzag(stamp - EPOCH), u8 (origin | n << 5), varint n when it is 7 or more
 *
 * Fields and endpoints are named by numbers that the store hands out once per name and keeps, so that a
 * topology may add, drop or reorder them. A field without a number in a vector has no base (SEMANTICS I8). Digests of rows take
 * fields in the order of their numbers, and are of one set of them: with another one they are not known, and the fields decide.
 * What an endpoint showed that is not in the topology now is carried along under its number: should it come back, what was
 * edited there since is told from that (doc/store.md).
 */
#ifndef MODEL_VECTOR_H
#define MODEL_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "model/entity.h"
#include "model/record.h"
#include "model/value.h"

struct arena;
struct buf;

/* The key of an edit. How two are compared depends on the rule: edit_key_compare() in decide.h. */
struct edit_key {
	int64_t eff;		/* effective stamp, microseconds since 1970; EFF_UNKNOWN: nobody knows how old */
	uint32_t n;		/* edits on top of each other: base n + 1 */
	uint8_t origin;		/* endpoint index; ORIGIN_NONE: an endpoint that is no longer in the topology */
};
#define EFF_UNKNOWN INT64_C(0)
#define EFF_EMPTY (EFF_UNKNOWN - 1)	/* of a field new to the topology, where its column is empty */
enum { ORIGIN_NONE = 255 };

static inline bool same_key(const struct edit_key *a, const struct edit_key *b)
{
	return a->eff == b->eff && a->origin == b->origin && a->n == b->n;
}

/* Digests as the vector keeps them; never 0. */
static inline uint32_t digest_field(uint64_t d) { return (d & 0xffffff) != 0 ? (uint32_t)(d & 0xffffff) : 1; }
static inline uint64_t digest_row(uint64_t d) { return (d & 0xffffffffff) != 0 ? d & 0xffffffffff : 1; }

struct vfield {
	uint32_t digest;	/* 0: no base for this field */
	struct edit_key key;
};

struct vdeviation {
	uint8_t field;
	uint32_t digest;
	struct edit_key key;	/* of that value */
};

/* The value behind a digest, where the rule of the field needs it (add, max, min); of what is agreed, deviates or is intended. */
struct vamount {
	uint8_t field;
	uint32_t digest;
	struct value value;
};

struct vseen {
	bool known;		/* we know whether a row is there */
	bool present;		/* it is */
	bool same;		/* it shows exactly the agreed row */
	bool owed;		/* it has yet to get the agreed state (or the delete) */
	bool parked;		/* owed, but tried again only when something changed */
	bool uncertain;		/* a write of ours may have happened: without a row an insert (look by key before the
				 * next), with one an update or, when nothing is intended, a delete */
	bool detached;		/* no row: it left the mapping's `where`, or went away under `delete: ignore`; not brought back */
	bool former;		/* a row: of the life before the record was inserted again elsewhere; its delete is that life's */
	uint64_t row;		/* digest of what it shows, when present and not same */
	struct vdeviation *deviations;
	size_t n_deviations;
	struct vdeviation *intended;	/* uncertain: what such writes would show; a field may be there more than once */
	size_t n_intended;
	struct value id;	/* when present */
	struct value tried_key;	/* no row, uncertain: the record key of the insert; empty: not known */
};

/* A key that the record had, or has in some row: who refers to it by that means this record all the same. */
struct vformer {
	uint32_t digest;	/* of such a reference */
	struct rid rid;		/* that of a record with this key */
	int64_t until;		/* when the key that it has instead was given, an edit's stamp; a reference that is younger means another record */
};
enum { FORMER_MAX = 8 };	/* the oldest go first */

struct vector {
	uint32_t generation;		/* from 1; rises when the record is inserted again after a delete */
	bool newborn;			/* nobody but the endpoint that it was entered at has had it, or was to be written it yet */
	bool dead;
	struct edit_key deleted;	/* dead: when and by whom */
	uint64_t row;			/* digest of the agreed row; 0: not known, fields decide */
	struct vfield *fields;		/* by field index */
	size_t n_fields;
	struct vseen *seen;		/* by endpoint index; behind these, endpoints that have left the topology */
	size_t n_endpoints, n_seen;	/* of the topology; with those that have left it */
	uint8_t *left;			/* numbers of the latter */
	struct vamount *amounts;
	size_t n_amounts;
	uint32_t reference;	/* digest of a reference to it, where its entity is referred to; 0: not known */
	struct vformer *former;
	size_t n_former;
};
enum { AMOUNTS_MAX = 255 - FORMER_MAX - 1 };

/* How names map to stored numbers; made by the store. Endpoint numbers are below 31. */
struct vector_layout {
	size_t n_fields, n_endpoints;
	uint8_t field_number[FIELDS_MAX];
	uint8_t endpoint_number[ENDPOINTS_MAX];
	uint8_t fields_stored;		/* highest field number + 1 */
	uint8_t row_order[FIELDS_MAX];	/* fields by their numbers: for row_digest(), whatever the order in which the topology has them */
};
/* From the numbers. */
void vector_layout_order(struct vector_layout *);

struct vector *vector_new(struct arena *, size_t n_fields, size_t n_endpoints);
/* Shares ids and lists of fields with the original, which must live as long. */
struct vector *vector_copy(struct arena *, const struct vector *);
/* True when nothing refers to the record any more: dead, and no endpoint has a row, may have one or is owed anything. */
bool vector_spent(const struct vector *);
/*
 * Since when that endpoint has been behind: the stamp of the oldest edit that it has yet to get. EFF_UNKNOWN or less: nobody knows.
 * Says the same of a vector and of what is read back of it.
 */
int64_t vector_owed_since(const struct vector *, size_t endpoint);
/* NULL: not known. */
const struct value *vector_amount(const struct vector *, size_t field, uint32_t digest);
/* That key among those it had; NULL: it never did, as far as is known. */
const struct vformer *vector_former(const struct vector *, uint32_t digest);
/* The deviation of that endpoint's field, or NULL: it shows what was agreed. */
const struct vdeviation *vseen_deviation(const struct vseen *, size_t field);

/* Of what that endpoint showed last. */
static inline uint32_t shown_digest(const struct vector *v, size_t e, size_t f)
{
	const struct vdeviation *dev = v->seen[e].same ? NULL : vseen_deviation(&v->seen[e], f);

	return dev != NULL ? dev->digest : v->fields[f].digest;
}

/* It will be looked at soon: fetched meanwhile, as far as a vector of ten fields at two endpoints goes. NULL is fine. */
static ONLY_PREFETCHES void vector_expect(const struct vector *v)
{
	enum { LINE = 64, LINES = 8 };

	for (size_t i = 0; v != NULL && i < LINES; i++)
		__builtin_prefetch((const char *)v + i * LINE);
}

/* And the local ids of one that has been fetched. NULL is fine. */
static ONLY_PREFETCHES void vector_expect_ids(const struct vector *v)
{
	for (size_t e = 0; v != NULL && e < v->n_endpoints; e++)
		__builtin_prefetch(v->seen[e].id.data);
}

void vector_encode(const struct vector *, const struct vector_layout *, struct buf *out);
/* ERR_ROW with code bad-vector for anything but a whole, known form; callers then treat the record as without base.
 * ids point into p. */
bool vector_decode(const void *p, size_t len, const struct vector_layout *, struct arena *, struct vector **out, struct err *e);

/*
 * In a vector's place: no record has this key, but a row with it may turn up that belongs to another one (sync/round_forward.c).
 * u8 version 3, id of the record. To vector_decode() it is no vector.
 */
void vector_encode_forward(const struct rid *to, struct buf *out);
bool vector_decode_forward(struct value blob, struct rid *to);

#endif
