/*
 * redis_store.h - inside the store: what its files share.
 *
 *   redis_link.c     the connection: pipelines, deadlines, reconnecting
 *   redis_open.c     the introduction after connecting: password, fitness, meta, names, counters
 *   redis_lease.c    the lease and the fencing number, and what refuses a write under an older one
 *   redis_tx.c       such writes, together in one transaction
 *   redis_store.c    the store's operations table, calls, positions, intents
 *   redis_vectors.c  recall, the vectors of a write, scan; pieces
 *   redis_map.c      local id -> record: lookup, the map entries of a write
 *   redis_past.c     records that were deleted, states that were given up
 *   redis_buckets.c  which bucket; splitting and sizing
 *   redis_fresh.c    which records cannot have a vector yet
 *   redis_copy.c     what a backup takes along besides vectors; a state that is filled from one
 *
 * A call is one operation of store.h under way. Its last command always reads meta's `born`: when that is not
 * what we know, the state was emptied or replaced at some moment before, none of the call's replies can be
 * believed, and the connection ends with code "state-lost".
 */
#ifndef STORE_REDIS_STORE_H
#define STORE_REDIS_STORE_H

#include "store/redis_fresh.h"
#include "store/redis_link.h"
#include "store/store.h"

enum {
	BORN_CHARS = 32,
	GENERATION_CHARS = 6,		/* of born, in the names of keys: what an emptied state left or still gets is never seen */
	RECORDS_PER_BUCKET = 32,	/* measured: doc/store.md */
	PIECE_BYTES = 64,		/* a longer value would turn a bucket from listpack into a table */
	PIECES_MOST = 255,
	PIECES_COUNTED = 8,
};

struct call;

/* The keys of one endpoint's local ids: families, to be followed by a bucket's number. */
struct map_keys {
	char *pages, *dense, *texts;
	size_t len;			/* of each */
	uint8_t endpoint_number;
	uint64_t least, most;		/* ids in pages that were written since the entity was empty; while ->fresh is there */
};

struct redis_entity {
	uint32_t number;
	uint64_t buckets;		/* as the next command will find them */
	int64_t expected;		/* records, with those that are being written */
	bool fixed;			/* was refused another size; do not ask again */
	unsigned pieces_most;		/* any vector ever had; kept in meta */
	uint32_t pieces_seen[PIECES_COUNTED + 1];	/* lately, by number of pieces; [0] the total */
	bool texts[256], dense[256];	/* by endpoint number: ids in buckets by hash, dense pages exist; kept in meta */
	struct fresh *fresh;		/* owned; what was written since the entity was empty. NULL: nothing is known of that */
	bool fresh_proven;		/* Redis has said by now that it was */
	char *vectors;			/* key family */
	size_t vectors_len;
	struct map_keys *maps;		/* by endpoint index */
};

struct redis_store {
	struct store store;		/* first member */
	struct loop *loop;
	const struct topology *topology;
	struct redis_where where;
	struct redis_link *link;
	struct opening *opening;	/* redis_open.c's own */
	struct tx *tx;			/* redis_tx.c's own: the transaction that writes may still be added to; NULL: none */
	struct redis_entity *entities;	/* by index; valid when ready */
	char *meta, *names, *lease, *fence;	/* keys */
	char *prefix;			/* of the keys of this generation: crmsync:TOPOLOGY:GENERATION: */
	char *positions, *intents;	/* such keys */
	char born[BORN_CHARS + 1];	/* "": not known yet */
	struct loop_timer *renew;	/* of the lease */
	int64_t lease_asked_us, lease_until_us;	/* monotonic */
	bool renewing;			/* was asked for */
	int64_t floor;			/* the fencing number has to be above it */
	const struct store_restore *restore;	/* the caller's; NULL: a state like any other */
	bool restoring;			/* that was begun: by another connection it goes no further */
	bool key_known;
	bool told_down;			/* events.down was called for store.why */
	bool dying;			/* no events any more */
};

struct call {
	struct redis_ask ask;		/* first member */
	struct redis_store *s;
	size_t commands;		/* without the check of born */
	/* The i-th command's answer; a guarded call gets the answers of all of its commands as one array. NULL: not interested */
	bool (*reply)(struct call *, size_t i, const struct reply *, struct err *e);
	void (*answer)(struct call *, const struct err *e);	/* tells who asked and releases the call */
	/* redis_tx.c's own */
	struct call *next;
	size_t at;			/* where its commands begin */
};

/* ---- redis_store.c ----------------------------------------------------------------------------------- */
/* A call of that size (struct call first), zeroed. */
void *call_new(struct redis_store *, size_t size, bool (*reply)(struct call *, size_t, const struct reply *, struct err *),
	       void (*answer)(struct call *, const struct err *));
/* False: the store is not ready; the call was refused and will be answered so. Else write commands to the link. */
bool call_begin(struct call *);
void call_send(struct call *, size_t commands);
/* Of that entity. None, and it is proven that there is nothing to know: a first load has better to do than wait for Redis to say nothing. */
void call_send_questions(struct call *, const struct redis_entity *, size_t commands);
/* An answer that needs no telling: releases the call. */
void call_forget(struct call *, const struct err *e);
void call_append_born(const struct redis_store *, struct buf *out);	/* one command */
bool call_check_born(const struct redis_store *, const struct reply *, struct err *e);	/* its answer */
void call_count_bytes(struct redis_store *);

/* ---- redis_tx.c -------------------------------------------------------------------------------------- */
/* All or nothing, and nothing under another one's fencing number: begin, then `commands` of them, then send. */
void call_begin_guarded(struct call *);
void call_send_guarded(struct call *, size_t commands);

/* ---- redis_open.c ------------------------------------------------------------------------------------ */
struct opening *opening_new(struct redis_store *);
void opening_free(struct opening **);
void opening_start(struct opening *);		/* the link has opened; ends with events.up, or the link fails */
void redis_entities_free(struct redis_store *);
void born_random(char out[BORN_CHARS]);
void key_to_hex(const struct digest_key *, char out[2 * DIGEST_KEY_BYTES]);

void opening_stop(struct opening *);		/* the link has ended */
/* Why we are not ready, for those who asked and for events.down. */
void redis_tell_down(struct redis_store *, const struct err *e);

/* ---- redis_lease.c ----------------------------------------------------------------------------------- */
enum { GUARD_WATCH = 2 };			/* commands of guard_append_watch(); the last one answers the number */
void lease_append_take(struct redis_store *, struct buf *out);	/* one command */
bool lease_take(struct redis_store *, const struct reply *);	/* its answer; false: another one holds it */
bool lease_is_over(const struct redis_store *);
void lease_keep(struct redis_store *);		/* ready: renews it from here on */
size_t guard_append_watch(struct redis_store *, struct buf *out);
bool guard_is_ours(const struct redis_store *, const struct reply *n);
bool guard_refuse(struct err *e);		/* always false */
void redis_outrank(struct store *, int64_t fence);
void redis_leave(struct store *, store_done_fn *, void *arg);

/* ---- redis_buckets.c --------------------------------------------------------------------------------- */
uint64_t bucket_of(uint32_t hash, uint64_t buckets);
static inline uint32_t rid_hash(const struct rid *rid)
{
	return (uint32_t)rid->b[0] << 24 | (uint32_t)rid->b[1] << 16 | (uint32_t)rid->b[2] << 8 | rid->b[3];
}
/* Splits as many buckets as the records need, a bounded number for so many writes. */
void buckets_keep_up(struct redis_store *, size_t entity, size_t writes);
void redis_presize(struct store *, size_t entity, int64_t records, store_done_fn *, void *arg);
/* Appends `e<N>:WHAT` of meta as a word. */
void resp_meta_field(struct buf *, const struct redis_entity *, const char *what);

/* ---- redis_vectors.c --------------------------------------------------------------------------------- */
void redis_recall(struct store *, size_t entity, const struct rid *, size_t n, store_vectors_fn *, void *arg);
void redis_scan(struct store *, size_t entity, uint64_t from, store_scan_fn *, void *arg);
/* A put that left pieces behind when its command answered 1. */
struct shrunk {
	size_t command;			/* of the transaction */
	struct rid rid;
};
struct shrunks {
	struct shrunk *list;
	size_t n, room;
};
bool vectors_fit(const struct store_put *, size_t n, struct err *e);
/* Appends the commands; answers how many. `first`: number of commands that stand before them. */
size_t vectors_write(struct redis_store *, size_t entity, const struct store_put *, size_t n, size_t first, struct shrunks *);
/* Deletes what stands behind the current pieces of that record. */
void vectors_trim(struct redis_store *, size_t entity, const struct rid *);

/* ---- redis_past.c ------------------------------------------------------------------------------------ */
size_t bury(struct redis_store *s, size_t entity, const struct store_put *puts, size_t n);	/* those that are deleted, but for the unburied */
void redis_buried(struct store *, size_t entity, const struct rid *, size_t n, store_rids_fn *, void *arg);
void redis_renew(struct store *);
void clear_stale(struct redis_store *, const char *stale);	/* removes the keys of that generation, page by page */

/* ---- redis_copy.c ------------------------------------------------------------------------------------ */
#define FORMAT_RESTORING "restoring"
void redis_facts(struct store *, store_facts_fn *, void *arg);
void redis_restored(struct store *, store_done_fn *, void *arg);
size_t restore_append(struct redis_store *, struct buf *out);	/* one command, or none */
bool restore_begun(struct redis_store *, const struct reply *, struct err *e);	/* its answer */
/* Those of a write, for the tap; NULL: nobody listens. */
struct tapped *tapped_new(const struct redis_store *, size_t entity, const struct store_put *, size_t n);
void tapped_tell(struct redis_store *, struct tapped *);
void tapped_free(struct tapped **);			/* NULL is fine */

/* ---- redis_map.c ------------------------------------------------------------------------------------- */
void redis_lookup(struct store *, size_t entity, uint8_t endpoint, const struct value *ids, size_t n, store_rids_fn *, void *arg);
size_t map_write(struct redis_store *, size_t entity, const struct store_map_put *, size_t n);
void maps_begin(struct redis_store *, struct redis_entity *);	/* nothing of that entity has been written */

#endif
