/*
 * store.h - the last-seen state in Redis: vectors, local-id map, positions, intents, names.
 *
 * Asynchronous and pipelined on one connection; commands run in the order of the calls. While Redis is
 * away every call is answered with ERR_TRANSIENT and the caller rests. Layout (PREFIX is crmsync:TOPOLOGY):
 *
 *   PREFIX:meta            hash: format ("restoring" while a backup is put back), born (random), key (digest secret), and per
 *                          entity e<N>:buckets, e<N>:records,
 *                          e<N>:pieces (the most of any vector), e<N>:texts:<P>, e<N>:dense:<P> (endpoint P has such ids)
 *   PREFIX:lease           hash: holder, until: the one process that writes
 *   PREFIX:fence           hash: n, the fencing number: rises when the lease changes hands
 *   PREFIX:names           hash: "endpoint/NAME", "entity/NAME", "field/ENTITY/NAME" -> number, given once, never reused
 *   PREFIX:G:v:E:B         hash bucket B of entity E: record id -> vector, in pieces of at most 64 bytes
 *                          ("id", "id\1", ...), so that buckets stay listpack-encoded at Redis's default settings
 *   PREFIX:G:m:E:P:B       loose page B of local ids of endpoint P that count up: hash, place in the page -> record id
 *   PREFIX:G:d:E:P:B       dense page B of such ids: the record ids as one string
 *   PREFIX:G:t:E:P:B       bucket B of any other local ids of endpoint P: id -> record id, hash of the id
 *   PREFIX:G:gone:E        sorted set: record ids whose vector went, by when: what a database that is put back must not revive
 *   PREFIX:G:pos           hash: positions and marks by name
 *   PREFIX:G:intents       hash: intents by name
 *
 * N, E and P are numbers given in PREFIX:names, B is hexadecimal. G, the generation, is the beginning of born:
 * what is left of a state that was lost, or is still written into it by a command under way, is never seen again.
 *
 * Buckets split one at a time (linear hashing: Litwin 1980), so that a bucket holds about 32 records.
 * The state may be lost at any time (FLUSHALL): each call reads the `born` mark behind its other commands, and
 * so does a store of which nothing is asked, every few seconds; a change of it reaches events.lost, and everything is rebuilt
 * from the databases.
 *
 * Ready means: we hold the lease. Another process that asks stands by (why.code "standby") until the lease is given up or not
 * renewed; a write of whoever held it before does nothing from then on (redis_lease.c, SEMANTICS I10).
 *
 * No call is answered before it has returned, and each is answered once: those that are outstanding when the
 * store is freed are answered by store_free(). The process must ignore SIGPIPE.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "conf/topology.h"
#include "model/record.h"
#include "model/vector.h"

struct loop;
struct store;

struct store_events {
	void (*up)(void *arg);				/* connected, checked, names and key known: ready */
	void (*down)(void *arg, const struct err *e);	/* e->kind ERR_CONFIG: refused for good until the operator acts (eviction, auth) */
	/* The state was emptied or replaced under us: whatever was asked before is answered with an error. */
	void (*lost)(void *arg);
	void *arg;
};

/* value.len < 0: no such vector / mapping. Bytes are valid during the call. */
typedef void store_vectors_fn(void *arg, const struct value *blobs, size_t n, const struct err *e);
typedef void store_rids_fn(void *arg, const struct rid *rids, const bool *found, size_t n, const struct err *e);
typedef void store_done_fn(void *arg, const struct err *e);
typedef void store_text_fn(void *arg, struct value text, const struct err *e);
/* A page of a scan; `next` 0 when the end is reached. */
typedef void store_scan_fn(void *arg, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next, const struct err *e);
/* Of the numbers given to names, and of the positions. */
struct store_fact {
	enum { FACT_NAME, FACT_POSITION } what;
	struct value name, text;
};
typedef void store_facts_fn(void *arg, const struct store_fact *facts, size_t n, const struct err *e);
typedef void store_intents_fn(void *arg, const struct value *names, const struct value *blobs, size_t n, const struct err *e);

/* One write of a round: a transaction, done as a whole or not at all, answered once. Pointers need live only during the call. */
struct store_put {
	struct rid rid;
	struct value blob;		/* len < 0: delete */
	bool unburied;			/* such a delete is not for the record's own: see buried */
};
struct store_map_put { uint8_t endpoint; struct value id; struct rid rid; bool gone; };	/* endpoint: topology index */
struct store_position { const char *name; const char *text; };	/* text NULL: delete */
struct store_write {
	const struct store_put *puts;
	size_t n_puts;
	const struct store_map_put *maps;
	size_t n_maps;
	const struct store_position *positions;
	size_t n_positions;
	const char *intent_done;	/* name of the intent to drop, last in the pipeline; NULL: none */
	int64_t records_added;		/* change of the number of tracked records */
};

struct store_ops {
	void (*recall)(struct store *, size_t entity, const struct rid *rids, size_t n, store_vectors_fn *, void *arg);
	void (*lookup)(struct store *, size_t entity, uint8_t endpoint, const struct value *ids, size_t n, store_rids_fn *, void *arg);
	void (*intend)(struct store *, const char *name, const void *blob, size_t len, store_done_fn *, void *arg);
	void (*intents)(struct store *, store_intents_fn *, void *arg);
	void (*write)(struct store *, size_t entity, const struct store_write *, store_done_fn *, void *arg);
	void (*position)(struct store *, const char *name, store_text_fn *, void *arg);
	/* Vectors page by page in bucket order: from 0, then from `next`. Sees every record that stays; a record written meanwhile may be seen or not. */
	void (*scan)(struct store *, size_t entity, uint64_t from, store_scan_fn *, void *arg);
	/* Room for that many records, when the entity has none yet: avoids splitting while loading. */
	void (*presize)(struct store *, size_t entity, int64_t records, store_done_fn *, void *arg);
	/* Whose vector went lately, and was not written again since? The last half million of an entity are remembered. */
	void (*buried)(struct store *, size_t entity, const struct rid *rids, size_t n, store_rids_fn *, void *arg);
	/* Nothing in it is believed any more: as if it had been emptied. Reaches events.lost. */
	void (*renew)(struct store *);
	/* A database has seen that fencing number: take a higher one. The store goes down and comes up with it. */
	void (*outrank)(struct store *, int64_t fence);
	/* All that is known but for vectors and what follows from them. */
	void (*facts)(struct store *, store_facts_fn *, void *arg);
	/* Of a store that restores: all of it is there; from now on it is a state like any other. */
	void (*restored)(struct store *, store_done_fn *, void *arg);
	/* Gives the lease up, so that another process can go on at once. The last call before store_free(). */
	void (*leave)(struct store *, store_done_fn *, void *arg);
	void (*free)(struct store *);
};

#define STORE_STANDBY "standby"		/* why.code while another process holds the lease */

/*
 * Who copies the vectors while they are written to: told of the puts of each write when it has been done, among the answers of its own calls
 * in the order in which all of that happened.
 */
struct store_tap {
	void (*written)(void *arg, size_t entity, const struct store_put *, size_t n);	/* NULL: nobody */
	void *arg;
};

struct store {
	const struct store_ops *ops;
	struct store_events events;
	struct store_tap tap;		/* the caller's */
	bool ready;
	struct err why;			/* when not ready */
	unsigned tries;			/* failed attempts in a row; when ready, those before it was */
	int64_t proven_us;		/* monotonic: it could be written to, and we held the lease; 0: never */
	int64_t fence;			/* valid when ready */
	struct digest_key key;		/* valid when ready */
	struct vector_layout *layouts;	/* by entity index; valid when ready */
	int64_t *records;		/* tracked, by entity index */
	char server[64];		/* "Redis 7.0.15" */
	int64_t bytes_sent, bytes_received;
};

/* Starts connecting; the topology must outlive the store. */
struct store *redis_store_new(struct loop *, const struct topology *, const struct store_events *);
/*
 * A state that is about to be filled from a backup: it is given that key and those names, and nothing else. One with records is refused,
 * unless `replace`: then they are given up. Until ops->restored no other store believes what is in it. All pointers must outlive the store.
 */
struct store_restore {
	struct digest_key key;
	const struct store_fact *names;
	size_t n_names;
	bool replace;
};
struct store *redis_store_restoring(struct loop *, const struct topology *, const struct store_events *, const struct store_restore *);
void store_free(struct store **);		/* NULL is fine; allowed inside any callback; no events any more */
/* "hiredis built with X", for --version; into the caller's room. hiredis does not tell what version runs. */
const char *redis_library(char *out, size_t size);

#endif
