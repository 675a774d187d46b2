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
#include "meter/jobs.h"
#include "meter/meter.h"

struct buf;
struct journal;
struct journal_decision;
struct loop;
struct sync_migration;
struct sync_plan;
struct sync_verify;
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
	const struct timeline *availability;	/* of all links that are not paused, together */
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
	/* pending: at least so many; of those that are owed and of those that are in line, whichever are more: mostly they are the same */
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
	/* Progress of a survey, or of either half of a sweep: rows are listed, then those that are known are looked for. */
	int64_t listing_us;		/* monotonic: when it began; 0: there is none */
	enum job_by listing_by;
	bool second_half;
	int64_t rows_done, rows_expected;	/* of this half; expected -1: unknown */
	double rows_per_second;			/* in the last minute of this half */
	double share;				/* done of this half; NAN: unknown, or the estimate was wrong */
	double seconds_left;			/* to the end of all of it; NAN: nothing that one could go by */
	int64_t last_sweep_us;		/* wall; 0 never */
};
void sync_service_view(const struct sync *, struct sync_service_view *);
size_t sync_endpoints(const struct sync *);
void sync_endpoint_view(const struct sync *, size_t endpoint, struct sync_endpoint_view *);
size_t sync_entities(const struct sync *);
void sync_entity_view(const struct sync *, size_t entity, struct sync_entity_view *);
/* False: the entity is not mapped there. */
bool sync_link_view(const struct sync *, size_t entity, size_t endpoint, struct sync_link_view *);
/* What the wall clock shows for a time of a timeline. */
int64_t sync_timeline_wall(const struct sync *, int64_t at_us);
/*
 * Keeps what the timelines hold, unless that was done within the last second. Call it before timeline_kept() is shown to somebody who
 * may come again after the process was killed.
 */
void sync_keep(struct sync *);
struct journal *sync_journal(const struct sync *);
/* The long work that is under way, but for surveys and sweeps: those are in the views of their links. It goes with the sync. */
struct jobs *sync_jobs(struct sync *);

/* ---- orders ------------------------------------------------------------------------------------------ */

struct sync_wait;
/* See crmsyncctl wait. done: e NULL when all is settled; pending says what is not, one per line. `parked`: how many stand aside. */
struct sync_wait *sync_wait(struct sync *, int64_t timeout_us,
			    void (*done)(void *arg, bool settled, const char *pending, int64_t parked), void *arg);
void sync_wait_cancel(struct sync_wait *);	/* the asker went away; done is not called */

/* What a full reconcile of an entity would write, found out without writing anything anywhere: plan.c. */
enum sync_planned_what { PLANNED_INSERT, PLANNED_UPDATE, PLANNED_DELETE, PLANNED_HELD, PLANNED_PARKED, PLANNED_DECISION };
struct sync_planned {			/* one thing; all of it is valid during the call */
	enum sync_planned_what what;
	size_t endpoint;		/* where; not of a decision */
	const char *key;		/* as it is printed */
	uint64_t fields;		/* insert, update: by field index */
	uint64_t from;			/* a write: endpoints that have news of the record; 0: it was owed before */
	bool first_contact;		/* nothing was known of the record */
	bool after_parent;		/* the row it points to is not there yet, and comes first */
	const char *field, *code, *cause, *local_id;	/* parked; "": none */
	bool already;			/* parked: it is; a write: it is parked, and would be tried again */
	const struct journal_decision *decision;	/* of a conflict: who would win; winner "": a person has to say */
};
struct sync_plan_taker {
	void (*planned)(void *arg, const struct sync_planned *);
	bool (*is_full)(void *arg);	/* asked before a batch is decided; after a `true` the plan rests until sync_plan_go_on() */
	void (*done)(void *arg, const struct err *e);	/* e NULL: complete. The plan is gone then */
	void *arg;
};
struct sync_plan_view {
	const struct job *job;		/* its phases: list, scan, decide */
	unsigned pass;			/* from 1: more than one where there is more to decide than memory takes */
	uint64_t left_out;		/* endpoints that could not be looked at */
};
/* NULL: not now, e says why. One at a time; done is not called before this has returned. */
struct sync_plan *sync_plan(struct sync *, const char *entity, const struct sync_plan_taker *, struct err *e);
void sync_plan_go_on(struct sync_plan *);
void sync_plan_cancel(struct sync_plan *);	/* the asker went away; done is not called */
void sync_plan_view(const struct sync_plan *, struct sync_plan_view *);

/* Do the endpoints show the same? From their rows, not from what we believe of them. verify.c. */
enum sync_difference { DIFFERENCE_VALUES, DIFFERENCE_MISSING, DIFFERENCE_EXTRA, DIFFERENCE_OPEN };	/* OPEN: known, no difference yet */
struct sync_different {			/* one record; all of it is valid during the call */
	enum sync_difference what;
	const char *key;		/* as it is printed */
	uint64_t fields;		/* that differ among those that have it; by field index */
	uint64_t there, absent;		/* by endpoint */
	const struct value *ids;	/* by endpoint, where it is there: local id */
	bool mended, waits;		/* of a repair: it agrees now; it does not yet: it is parked, held or waits for something else */
};
struct sync_verify_sums {
	uint64_t compared_at, left_out;	/* endpoints; left out: they cannot be read now */
	int64_t compared;		/* records; the sum of the next seven numbers */
	int64_t matching, own_form, different, missing, extra;
	int64_t open;			/* something is still to be done about them */
	int64_t unlooked;		/* they differ too; there were too many to look at them again */
	int64_t invalid;		/* rows that cannot be taken as they are: no records yet */
	int64_t written, skipped;	/* of a repair: records that agree now, that do not */
	int64_t bytes;			/* read */
	bool resumed;			/* another one was interrupted, and what it had read was not read again */
	int64_t since_us;		/* wall: its rows were read since then */
	int64_t counts[ENDPOINTS_MAX];	/* depth counts: rows, by endpoint; missing and extra: at least so many */
};
enum sync_verify_mode { VERIFY_ONLY, VERIFY_REPAIR, VERIFY_PLAN };	/* PLAN: what a repair would write, and nothing is written */
/* What is looked at: the numbers of rows; all rows, those in parts that the servers find the same only by their hashes; each row. */
enum sync_verify_depth { DEPTH_ROWS, DEPTH_RANGES, DEPTH_COUNTS };
struct sync_verify_order {
	const char *entity;
	enum sync_verify_depth depth;	/* of a repair: not counts */
	enum sync_verify_mode mode;
	const char *from;		/* of a repair: what this endpoint shows is imposed on the others; NULL: the entity's own rules */
};
struct sync_verify_taker {
	void (*difference)(void *arg, const struct sync_different *);
	void (*planned)(void *arg, const struct sync_planned *);	/* VERIFY_PLAN only */
	void (*done)(void *arg, const struct sync_verify_sums *, const struct err *e);	/* e NULL: complete. It is gone then */
	void *arg;
};
/* Endpoints whose rows of the entity cannot be read now. */
uint64_t sync_unreadable(const struct sync *, size_t entity);
/* NULL: not now, e says why. One at a time; nothing is called before this has returned. taker NULL: nobody waits for it; it reads gently. */
struct sync_verify *sync_verify(struct sync *, const struct sync_verify_order *, const struct sync_verify_taker *, struct err *e);
void sync_verify_cancel(struct sync_verify *);	/* the asker went away; nothing is called any more */
const struct job *sync_verify_job(const struct sync_verify *);	/* its phases: begin, count, known, sum, list, compare, settle, look, mend */

/* Puts back what we wrote, where nobody has touched it since: undo.c. */
struct undo_item;
struct sync_undo;
struct sync_undo_order {		/* NULL, 0: any. A key alone: the last run that wrote it */
	const char *entity, *key;	/* key as it is printed */
	const char *source, *endpoint, *rule;	/* whose edits; written to whom; by which rule */
	int64_t run, since_us, until_us;	/* wall */
	bool dry_run;
};
struct sync_undone {			/* one record; all of it is valid during the call */
	const char *entity, *key;
	const struct undo_item *item;	/* its values: of a dry run only */
	bool restored, partly, waits;	/* none: skipped. Of a dry run: it would be */
	const char *fields, *code, *cause;	/* what was skipped (comma-separated; "": all of it), and why */
	uint64_t at;			/* of a dry run: endpoints that would be written */
};
struct sync_undo_sums {
	int64_t restored, skipped;	/* records; skipped: something of it was not put back, */
	int64_t partly, waiting;	/* but something was; it is not yet */
	int64_t values_restored, values_skipped;
	int64_t run;			/* by which it can be undone; 0: of a dry run */
};
struct sync_undo_taker {
	void (*undone)(void *arg, const struct sync_undone *);	/* of a dry run every record, else those that were not restored */
	void (*done)(void *arg, const struct sync_undo_sums *, const struct err *e);	/* e NULL: complete. It is gone then */
	void *arg;
};
/* NULL: not now, e says why. One at a time; nothing is called before this has returned. What is begun is carried out whatever becomes of it. */
struct sync_undo *sync_undo(struct sync *, const struct sync_undo_order *, const struct sync_undo_taker *, struct err *e);
void sync_undo_cancel(struct sync_undo *);	/* the asker went away; nothing is called any more */
const struct job *sync_undo_job(const struct sync_undo *);		/* its phases: fold, decide, put-back */

/* The state and the journal of one moment, as a file (backup/backup.h): backup.c. Work goes on meanwhile. */
struct sync_backup;
struct sync_backup_taker {
	void (*more)(void *arg);	/* sync_backup_more() has something again */
	void *arg;
};
/* NULL: not now, e says why. One at a time; `more` is not called before this has returned. */
struct sync_backup *sync_backup(struct sync *, const struct sync_backup_taker *, struct err *e);
/* The next piece, or nothing yet. False: that was the last. Of a backup that could not be made whole the end is missing, and the log says why. */
bool sync_backup_more(struct sync_backup *, struct buf *out);
void sync_backup_free(struct sync_backup **);	/* also when it is not over */

/* Brings an entity's rows from one endpoint to another: migrate.h. */
enum sync_migrate_strategy { MIGRATE_FULL, MIGRATE_INCREMENTAL, MIGRATE_PARALLEL };
enum sync_migrate_onto { ONTO_EMPTY, ONTO_MERGE, ONTO_REPLACE };	/* what the target may hold: nothing, else it is refused */
struct sync_migrate_order {
	const char *entity, *from, *to;
	enum sync_migrate_strategy strategy;
	enum sync_migrate_onto onto;
	size_t jobs;			/* MIGRATE_PARALLEL: so many parts of the table at once */
	int64_t rows_per_second;	/* no faster than that; 0: as fast as it goes */
	/* It lists nothing while more sessions of others than that are at work on the target's server, or a standby of that is farther behind. */
	int64_t sessions_most;		/* 0: however many */
	int64_t lag_most_us;		/* 0: however far */
};
struct sync_migrate_sums {		/* of all its lives together */
	int64_t rows;			/* of the entity, at the source: looked at, and what became of them is durable */
	int64_t unread;			/* of these: not read, since nobody has written them after all were listed last */
	int64_t read, written;		/* bytes: of the others; to the target */
	int64_t inserted, updated, deleted;	/* there */
	int64_t rejected, cleaned;	/* rows that stand aside: they cannot be taken, or the target refuses them; values */
	int64_t waiting;		/* records that the target has yet to get */
	bool extra_kept;		/* onto replace: what only the target has was left there */
	int64_t waited_us;		/* so long the statements took that carried these bytes */
	int64_t us;			/* and all of it */
};
struct sync_migrate_taker {
	void (*done)(void *arg, const struct sync_migrate_sums *, const struct err *e);	/* e NULL: complete. It is gone then */
	void *arg;
};
struct sync_migrate_worker {		/* a part of the table */
	enum { WORKER_READS, WORKER_WRITES, WORKER_WAITS, WORKER_DONE } state;
	int64_t done;			/* rows, in all lives */
	double share, per_second;	/* NAN: unknown */
};
struct sync_migrate_view {
	const struct job *job;		/* its phases: begin, target, source, extra, settle */
	bool resumed;
	bool one_moment;		/* the source is read as it was at one moment */
	double bytes_per_second;	/* listed, as the job's pace */
	struct sync_migrate_sums sums;
	const struct endpoint_load *target;	/* how busy its server is; NULL: not known yet */
	size_t n_workers;		/* 0: the table is not parted */
};
/* NULL: not now, or not so: e says why. One at a time; done is not called before this has returned. What was broken off goes on. */
struct sync_migration *sync_migrate(struct sync *, const struct sync_migrate_order *, const struct sync_migrate_taker *, struct err *e);
void sync_migrate_cancel(struct sync_migration *);	/* the asker went away; done is not called */
void sync_migrate_view(const struct sync_migration *, struct sync_migrate_view *);
void sync_migrate_worker(const struct sync_migration *, size_t, struct sync_migrate_worker *);

/* name is an endpoint or an entity; false: no such name. */
bool sync_pause(struct sync *, const char *name, struct err *e);
bool sync_resume(struct sync *, const char *name, struct err *e);
bool sync_install(struct sync *, const char *endpoint, done_fn *done, void *arg, struct err *e);
bool sync_uninstall(struct sync *, const char *endpoint, done_fn *done, void *arg, struct err *e);
bool sync_install_print(struct sync *, const char *endpoint, void (*done)(void *arg, const char *text, const struct err *e),
			void *arg, struct err *e);
/*
 * Tries parked records again: all (id 0), of an entity (may be NULL), or one. Answers how many were put in line; *resting: how many of them wait
 * until their entity or endpoint is resumed.
 */
int64_t sync_parked_retry(struct sync *, const char *entity, int64_t id, int64_t *resting, struct err *e);
/* That record stays different and counts as settled: a row until something else is wrong with it, a write until it is tried again. */
bool sync_parked_discard(struct sync *, int64_t id, struct err *e);
/* Carries out a set of held deletes (contact/sales/17; rows that are back by now stay), or brings their rows back. */
bool sync_held_order(struct sync *, const char *set, bool discard, struct err *e);
/* What waits in a field is settled: by an endpoint's value, or (endpoint NULL) by this one, NULL: NULL. ERR_ROW: such an order is wrong. */
struct sync_verdict {
	const char *entity, *key, *field;	/* key as it is printed */
	const char *endpoint, *value;
};
bool sync_decide(struct sync *, const struct sync_verdict *, struct err *e);
/* Looks at every endpoint now instead of at its next interval, also at those that are down; with `sweep` compares everything. */
void sync_kick(struct sync *, bool sweep);

#endif
