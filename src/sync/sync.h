/*
 * sync.h - keeps the endpoints in step: rounds, scheduling, back-off, parking.
 *
 * Owns the endpoints, the store connection and the journal handed to it. control/ reads it through the
 * views below and gives it orders; it knows nothing of sockets or JSON. All calls return at once; those
 * with a `done` answer later, never before they have returned, exactly once.
 */
#ifndef SYNC_SYNC_H
#define SYNC_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/topology.h"
#include "endpoint/endpoint.h"
#include "meter/books.h"
#include "meter/meter.h"

struct journal;
struct loop;
struct store;
struct store_events;
struct sync;

/* How sync gets its seams: the daemon passes the real ones, the simulation its own. */
struct sync_seams {
	struct endpoint *(*endpoint_new)(void *arg, struct loop *, const struct topology *, const struct endpoint_conf *,
					 const struct endpoint_events *);
	struct store *(*store_new)(void *arg, struct loop *, const struct topology *, const struct store_events *);
	/* The state cannot be used until the operator acts (Redis may evict keys, wrong password). May be NULL. */
	void (*refused)(void *arg, const struct err *why);
	void *arg;
};

/* The topology stays the caller's and must outlive the sync; the journal too. Starts at once. */
struct sync *sync_new(struct loop *, const struct topology *, struct journal *, const struct sync_seams *);
/* Finishes the rounds in flight (no new ones), then calls done; at most `limit_ms`. */
void sync_finish(struct sync *, int64_t limit_ms, void (*done)(void *arg), void *arg);
/* After that: lets another process write at once, then calls done. */
void sync_leave(struct sync *, void (*done)(void *arg), void *arg);
void sync_free(struct sync **);

/* --once: sweep everything until nothing is pending; `done` gets 0, 1 (parked or held) or 69 (an endpoint or Redis stayed away). */
void sync_once(struct sync *, void (*done)(void *arg, int exit_code), void *arg);

/* ---- views: a snapshot by value; strings are valid until the loop turns ------------------------------ */

struct sync_service_view {
	const struct topology *topology;
	bool redis_up;
	bool redis_tried;		/* it was reached, or could not be, since the start */
	bool standby;			/* another process holds the lease: Redis is up, and nothing is written */
	const char *redis_reason;	/* "" when up and not standing by */
	const char *redis_server;
	bool first_reconcile_done;	/* every enabled endpoint surveyed */
	int64_t started_us;		/* wall */
	uint64_t rounds;
	size_t rounds_in_flight;
};
struct sync_endpoint_view {
	const struct endpoint_conf *conf;
	const struct endpoint *endpoint;	/* state, why, offset, server ... */
	const struct meter_endpoint *meter;
	bool paused;
	bool guarded;			/* a second daemon, and a database that is put back, would be noticed there */
	const char *recognised;		/* "" or what was recognised last: the database, or Redis, was put back or replaced */
	int64_t recognised_us;		/* wall */
};
struct sync_entity_view {
	const struct entity_conf *conf;
	const struct meter_entity *meter;
	int64_t records, pending, parked, held, conflicts;
	int64_t waiting;		/* fields that wait for a person (rule manual) */
	struct books books;
	bool paused;
};
enum sync_link_state { SYNC_LINK_UNKNOWN, SYNC_LINK_CONSISTENT, SYNC_LINK_INCONSISTENT };
enum sync_phase { SYNC_PHASE_WAITING, SYNC_PHASE_SURVEY, SYNC_PHASE_FOLLOW, SYNC_PHASE_SWEEP, SYNC_PHASE_STOPPED };
struct sync_link_view {
	const struct mapping *mapping;
	const struct link *link;	/* promises, usable, why */
	const struct meter_link *meter;
	enum sync_link_state state;
	enum sync_phase phase;
	const char *reason;		/* "" or why it is not consistent, in plain words */
	double lag_seconds;		/* age of the oldest thing not settled; 0 when none; NAN unknown */
	int64_t owed, parked, held_deletes;
	/* progress of a survey or sweep */
	int64_t rows_done, rows_expected;	/* expected -1: unknown */
	double rows_per_second;
	int64_t last_sweep_us;		/* wall; 0 never */
};
void sync_service_view(const struct sync *, struct sync_service_view *);
size_t sync_endpoints(const struct sync *);
void sync_endpoint_view(const struct sync *, size_t endpoint, struct sync_endpoint_view *);
size_t sync_entities(const struct sync *);
void sync_entity_view(const struct sync *, size_t entity, struct sync_entity_view *);
/* False: the entity is not mapped there. */
bool sync_link_view(const struct sync *, size_t entity, size_t endpoint, struct sync_link_view *);
struct journal *sync_journal(const struct sync *);

/* ---- orders ------------------------------------------------------------------------------------------ */

struct sync_wait;
/* See crmsyncctl wait. done: e NULL when all is settled; pending says what is not, one per line. `parked`: how many stand aside. */
struct sync_wait *sync_wait(struct sync *, int64_t timeout_us,
			    void (*done)(void *arg, bool settled, const char *pending, int64_t parked), void *arg);
void sync_wait_cancel(struct sync_wait *);	/* the asker went away; done is not called */

/* name is an endpoint or an entity; false: no such name. */
bool sync_pause(struct sync *, const char *name, struct err *e);
bool sync_resume(struct sync *, const char *name, struct err *e);
bool sync_install(struct sync *, const char *endpoint, done_fn *done, void *arg, struct err *e);
bool sync_uninstall(struct sync *, const char *endpoint, done_fn *done, void *arg, struct err *e);
bool sync_install_print(struct sync *, const char *endpoint, void (*done)(void *arg, const char *text, const struct err *e),
			void *arg, struct err *e);
/* Tries parked records again: all (id 0), of an entity (may be NULL), or one. Answers how many were put in line. */
int64_t sync_parked_retry(struct sync *, const char *entity, int64_t id, struct err *e);
/* That record stays different and counts as settled: a row until something else is wrong with it, a write until it is tried again. */
bool sync_parked_discard(struct sync *, int64_t id, struct err *e);
/* Carries out a set of held deletes (contact/sales/17; rows that are back by now stay), or brings their rows back. */
bool sync_held_order(struct sync *, const char *set, bool discard, struct err *e);
/* What waits in a field is settled: by an endpoint's value, or (endpoint NULL) by this one, NULL: NULL. */
struct sync_verdict {
	const char *entity, *key, *field;	/* key as it is printed */
	const char *endpoint, *value;
};
bool sync_decide(struct sync *, const struct sync_verdict *, struct err *e);
/* Looks at every endpoint now instead of at its next interval; with `sweep` compares everything. */
void sync_kick(struct sync *, bool sweep);

#endif
