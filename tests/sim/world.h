/*
 * world.h - the simulated world: clocks, databases, the store's state, people who edit, and what goes wrong.
 *
 * One world is one seed. The databases, the store's keys and the journal outlive the daemon (struct sync), which is
 * killed and born again in between. Time is virtual; everything that happens is an event of the world's own queue or
 * a timer of the daemon's loop. Nothing here shares code with the merge: the history of edits is kept apart, and
 * the oracle works from it alone.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/topology.h"
#include "model/record.h"
#include "rng.h"
#include "store/store.h"

struct endpoint_conf;
struct endpoint_events;
struct journal;
struct loop;
struct sync;
struct world;

enum {
	SIM_ENDPOINTS = 3, SIM_ENTITIES = 2, SIM_FIELDS = 6, SIM_UNITS = 6, SIM_TXS = 6, SIM_TX_OPS = 4,
	SECOND = 1000000,
};

/* ---- events ------------------------------------------------------------------------------------- */

typedef void event_fn(struct world *, void *arg);
struct event {
	int64_t at;		/* virtual monotonic microseconds */
	uint64_t tie;		/* random: what falls on the same moment happens in any order */
	event_fn *fn;
	void *arg;
};

/* ---- mutations: faults put in on purpose, to see that the checkers can fail --------------------------- */

enum mutation {
	MUTATE_NOTHING,
	MUTATE_ACK_BY_MAX,		/* acknowledges every entry up to the largest id instead of exactly those */
	MUTATE_FORGET_INTENTS,		/* the store answers "fine" to intents and keeps nothing */
	MUTATE_FORGET_WRITES,		/* the store now and then keeps nothing of a write */
	MUTATE_NO_GUARD,		/* updates and deletes ignore the row version */
	MUTATE_CURSOR_BY_TIME,		/* poll: the position ignores open transactions, and there is no sweep to find them */
	MUTATE_WRITE_TWICE,		/* a database that changes each value behind the daemon's back */
	MUTATE_WRONG_STAMP,		/* an endpoint's stamps are reported one hour off */
	MUTATE_NO_JOURNAL,		/* decisions are not looked at by the checker: every lost edit shows */
	MUTATE_MIX_VALUES,		/* a database that stores one record's value in another */
	MUTATIONS
};
extern const char *const mutation_names[MUTATIONS];

/* ---- the plan of one seed --------------------------------------------------------------------------- */

struct plan {
	size_t n_endpoints, n_entities;
	size_t records;			/* keys to begin with */
	int64_t edit_us;		/* how long people edit */
	int64_t edit_gap_us;		/* mean time between edits */
	bool renames, deletes, reverts, groups, references, invalid, poison;
	bool crashes, outages, store_outages, flushes, lost_replies, long_transactions;
	bool collisions;		/* a rename may meet a record of that key elsewhere */
	bool exchanges;			/* rows exchange their keys */
	bool undos;			/* the operator undoes */
	bool uniques;			/* a column besides the key has to be unique */
	bool roll_backs;		/* the store comes back as it was some seconds ago */
	bool put_backs;			/* databases come back as they were some seconds ago */
	bool restores;			/* the state is lost, and what was backed up some seconds ago is put back */
	bool masses;			/* somebody deletes most of a table, and there is a guard */
	bool parted;			/* each record is edited on one side only: there its last edit stands, also when the state is lost */
	int64_t quantum_us;		/* coarsest precision among the endpoints */
};

/* Kinds of events by name: a run can leave some out, to find the least that makes a seed fail. */
#define PLAN_PARTS(X) \
	X(renames) X(deletes) X(reverts) X(groups) X(references) X(invalid) X(poison) X(crashes) X(outages) \
	X(store_outages) X(flushes) X(lost_replies) X(long_transactions) X(collisions) X(exchanges) X(put_backs) X(restores) X(masses) \
	X(roll_backs) X(uniques) X(undos) X(parted)

struct told {				/* a row that goes along with an answer */
	int64_t id;
	uint64_t version;
	int64_t stamp, other;
};

/* The daemon may have to begin with no state, or with one that is not the last. */
static inline bool plan_loses_state(const struct plan *p) { return p->flushes || p->roll_backs || p->put_backs || p->restores; }

/* ---- databases ---------------------------------------------------------------------------------------- */

struct db_row {
	int64_t id;
	uint64_t version;		/* like xmin */
	int64_t modified;		/* that database's clock; STAMP_UNKNOWN when it has no such column */
	uint32_t locked_by;		/* transaction number + 1; 0: free */
	uint32_t record;		/* of its key */
	char *text[SIM_FIELDS];		/* as the database shows it; NULL: NULL. References: the local foreign key */
	uint32_t shown[SIM_UNITS];	/* the edit behind what each unit shows; 0: none known */
	int64_t brought[SIM_UNITS];	/* when the daemon brought it; 0: somebody here wrote it */
	int64_t amount[SIM_UNITS];	/* rule add: what it shows */
	bool doubtful;			/* the daemon sends or sent it a write, and its vector does not know yet what came of it */
	uint32_t learned_in;		/* the epoch in which it was asked what it learned */
	uint32_t told_in;		/* and in which it was last told of the row */
	int64_t told_us;		/* the daemon was last told of it; 0: not yet */
	bool known;			/* and keeps a vector that says so */
	uint32_t *open;			/* edits which the daemon may not have settled yet */
	size_t n_open;
};

struct db_entry {			/* a line of the change log */
	int64_t id, local, at;
	uint32_t taken;			/* incarnation of the endpoint that captured it and has not acknowledged yet */
	bool gone;			/* the row was deleted */
};

struct db_table {
	struct db_row **rows;
	size_t n;
	int64_t next_id;
	struct db_entry *log;
	size_t n_log;
	bool surveyed;			/* the daemon says that it has listed it all */
};

enum app_op_kind { OP_INSERT, OP_UPDATE, OP_TOUCH, OP_DELETE, OP_RENAME };
struct app_op {
	enum app_op_kind kind;
	size_t entity;
	struct db_row *row;		/* locked; NULL: insert */
	char *text[SIM_FIELDS];
	uint32_t fields;		/* those it sets */
	int64_t entry;			/* number in the change log, taken when the statement ran */
	int64_t at;			/* that database's clock */
};

struct db_tx {
	bool open;
	int64_t begun_us;		/* world time */
	struct app_op ops[SIM_TX_OPS];
	size_t n, planned;
};

struct db_copy {			/* a backup */
	struct db_table tables[SIM_ENTITIES];
	int64_t epoch, fence, taken_us;
	bool greeted;
};

struct db {
	struct world *world;
	size_t index;
	const char *name;
	int64_t skew_us;		/* its clock minus the daemon's */
	int64_t quantum_us;
	bool listen, has_modified, touches, echoes;	/* touches: our writes set modified; echoes: and reach the log */
	bool sees_open;			/* poll: the start of open transactions is visible: an exact bound */
	struct db_table tables[SIM_ENTITIES];
	struct db_tx txs[SIM_TXS];
	uint64_t versions;
	int64_t next_entry;
	uint64_t written;		/* rows that the daemon changed */
	uint64_t attempted;		/* writes it tried */
	uint64_t reads;			/* times it read rows by id or key */
	struct fake_endpoint *face;	/* of the living daemon; NULL between lives */
	bool away;
	unsigned orphans;		/* writes on their way whose connection was lost */
	bool greeted;			/* its state row is there */
	int64_t epoch, fence;		/* ... and says */
	struct db_copy *copy;		/* NULL: none */
	uint32_t life;			/* rises when it is put back: what was under way to it before is gone */
	int64_t put_back_us;		/* world time, last; 0: never */
	bool unrecognised;		/* the daemon has not noticed that yet */
};

/* ---- history -------------------------------------------------------------------------------------------- */

struct brought_row {
	size_t endpoint;
	int64_t id;
};

struct sim_record {
	size_t entity;
	char *key;
	uint32_t lineage;		/* records joined by renames share it */
	bool complex;			/* deleted and inserted again, renamed, invalid: the strict oracle does not apply */
	int64_t undone_us;		/* world time: what was written before may have been undone; 0: nothing */
	int64_t undone_before_us;	/* the same, before the undo that is under way */
	bool judged;			/* the operator has decided about a field of it */
	bool invalid;			/* some endpoint showed a value that the checks refuse */
	bool massed, carried;		/* deleted with many others; and that was carried to another endpoint */
	bool spared;			/* the operator did not want that */
	struct brought_row *brought;	/* rows that the daemon inserted */
	size_t n_brought;
	struct rid rid;
	bool intended;			/* the daemon is about to write to it, or has, and did not mark it yet */
	int64_t recalled_us, recalled_before_us;	/* the daemon last asked for its vector, and the time before */
};

struct edit {
	uint32_t record;
	uint8_t endpoint, unit;
	int64_t row;			/* its local id there */
	bool is_delete, renamed, ambiguous, invalid, initial;
	bool covered, covered_by_delete;	/* something was done on top of it */
	bool shared, no_base;		/* several endpoints began with it; made before the daemon knew the row */
	bool put_back;			/* max and min: the daemon wrote what beats it in its place */
	bool beaten;			/* the daemon wrote a value in its place */
	bool vanished;			/* for a moment nobody showed it any more */
	bool unseen_change;		/* put back what the daemon had last been given: it cannot be noticed */
	bool gone_with_db;		/* its database was put back to a time before it */
	uint32_t parent;		/* the edit that the row showed; 0: none */
	bool parent_brought;		/* and the daemon had brought it here */
	bool row_doubtful;		/* made while the daemon was not sure what the row showed */
	char *tuple;			/* canonical values of the unit's fields, joined */
	int64_t difference;		/* rule add: to what the row showed before */
	uint32_t seen[SIM_UNITS];	/* deletes: what the deleter's row showed */
	int64_t at, modified;		/* that database's clock */
	int64_t commit_us;		/* world time */
	uint64_t version;		/* of the row that it made */
	int64_t told_us, told_last_us, settled_us;	/* world time: told to the daemon, surely digested by it; 0: not yet */
	int64_t told_low, told_high;	/* stamps that went along */
	uint32_t told_in;		/* the epoch of that */
	bool told_captured;		/* as news, last */
	bool told_unknown;		/* a row went without any stamp */
	uint32_t *together;		/* other edits of the row told in the same answer */
	size_t n_together;
	int64_t low, high;		/* the oracle's: effective stamp lies between */
	int64_t n_low, n_high;		/* and the depth */
	uint8_t mark;			/* the oracle's: 1 being worked out, 2 done */
};

/* ---- the store's keys ------------------------------------------------------------------------------------- */

struct kept_vector { struct rid rid; char *p; int32_t len; };
struct kept_map { uint8_t endpoint; char *id; struct rid rid; };
struct kept_text { char *name; char *p; size_t len; };
struct store_keys {
	uint64_t born;
	struct digest_key key;
	uint8_t field_number[SIM_ENTITIES][SIM_FIELDS], endpoint_number[SIM_ENDPOINTS];
	struct kept_vector *vectors[SIM_ENTITIES];
	size_t n_vectors[SIM_ENTITIES];
	struct kept_map *maps[SIM_ENTITIES];
	size_t n_maps[SIM_ENTITIES];
	struct kept_text *positions, *intents;
	size_t n_positions, n_intents;
	int64_t records[SIM_ENTITIES];
	struct rid *gone[SIM_ENTITIES];	/* whose vectors went with a delete, and were not written again */
	size_t n_gone[SIM_ENTITIES];
	int64_t fence;			/* rises with every daemon that comes; gone with the rest */
	bool away;
	struct fake_store *face;
};

/* ---- rare things that ought to happen at least sometimes ------------------------------------------------------- */

#define SOMETIMES(X) \
	X(refused, "guard refused a write") \
	X(planned, "a plan was made to its end") \
	X(plan_found, "a plan found something to write") \
	X(plan_broken, "a plan was broken off, by its asker or by what happened") \
	X(migrated, "a migration was complete") \
	X(migrated_at_rest, "a migration of an entity that was paused was complete") \
	X(migration_resumed, "a migration went on where it had been broken off") \
	X(migration_broken, "a migration was broken off, by its asker or by what happened") \
	X(verified, "the sides were compared by their rows") \
	X(verified_open, "verify found something that stands aside") \
	X(crash, "daemon killed") \
	X(crash_intended, "killed between intend and apply") \
	X(crash_applied, "killed between apply and mark") \
	X(crash_marked, "killed between mark and acknowledge") \
	X(effect_after_death, "a write took effect after the daemon died") \
	X(reply_lost, "reply lost after the write was done") \
	X(outage, "endpoint away") \
	X(outage_writing, "endpoint went away with writes under way") \
	X(greeting_waited, "a greeting waited for a write of before") \
	X(store_outage, "store away") \
	X(store_outage_cut, "store went away inside a pipeline") \
	X(store_refused, "store took nothing for a while, and was there") \
	X(flush, "store flushed") \
	X(parted, "an edit that nobody else had made one beside was held against what was there before, after a flush") \
	X(backed_up, "a backup was made to its end while people were at work") \
	X(backup_broken, "a backup was broken off") \
	X(restored, "a backup of the state put back") \
	X(late_commit, "transaction committed after a later one was captured") \
	X(aborted, "transaction rolled back") \
	X(lock_wait, "a write of ours waited for a lock") \
	X(lock_timeout, "and gave up") \
	X(conflict, "concurrent edits of one field") \
	X(resurrected, "record brought back by update-wins") \
	X(deleted, "delete carried to another endpoint") \
	X(reinserted, "key inserted again after its delete") \
	X(renamed, "key changed") \
	X(collided, "key changed to one that exists elsewhere") \
	X(exchanged, "rows exchanged their keys") \
	X(turned, "and the daemon turned them in one transaction") \
	X(orphan, "write waited for its parent") \
	X(children, "delete refused because of children") \
	X(poison, "row refused by the target's check") \
	X(invalid, "invalid value captured") \
	X(parked, "record parked at the end") \
	X(judged, "the operator decided what waited") \
	X(books_lost, "change booked as lost") \
	X(books_merged, "change booked as merged into an open one") \
	X(sums, "a sum of all differences held against the oracle's") \
	X(unseen, "change and change back between two looks") \
	X(echo, "our own write came back as news") \
	X(same_insert, "same key inserted on two sides") \
	X(truncated_wake, "wake-up lost") \
	X(open_at_crash, "killed while a transaction was open") \
	X(undo_asked, "the operator undid something") \
	X(undo_restored, "and it was put back") \
	X(undo_skipped, "and it could not be put back any more") \
	X(swapped, "rows handed their unique values on") \
	X(taken_twice, "a value that must be unique was taken on two sides") \
	X(collided_value, "a write ran into another row's unique value") \
	X(untangled, "and was done when that had gone") \
	X(cycle, "rows took their values from each other in one transaction") \
	X(mirrored, "an edit was put back because another endpoint is mirrored") \
	X(filled, "a blank was put back because a value is there") \
	X(rolled_back, "store put back to an older state") \
	X(renewed, "and was recognised as that") \
	X(put_back, "database put back to an older state") \
	X(rebased, "and was recognised as that") \
	X(forgotten, "a record that only it had was forgotten") \
	X(buried, "a row of before was of a record deleted since") \
	X(massed, "most of a table was deleted") \
	X(held, "deletes held") \
	X(released, "held deletes released") \
	X(discarded, "held deletes discarded")

struct sometimes {
#define X(name, words) uint64_t name;
	SOMETIMES(X)
#undef X
};

/* ---- the world ---------------------------------------------------------------------------------------------- */

struct world {
	uint64_t seed;
	struct rng rng;
	struct rng operator;		/* of its own, as the rules are: see plan.c */
	struct rng nemesis;		/* likewise: when databases are put back, and tables emptied */
	uint64_t mass_carried, mass_windows;	/* deletes of many that were carried elsewhere; lives of the daemon that could let some go */
	size_t mass_at;			/* the endpoint where they were deleted */
	bool mass_ordered;		/* the operator has decided about held deletes */
	enum mutation mutation;
	uint32_t left_out;		/* bit = place in PLAN_PARTS */
	struct plan plan;
	struct topology *topology;
	size_t n_units[SIM_ENTITIES];
	uint32_t unit_fields[SIM_ENTITIES][SIM_UNITS];	/* bit = field */
	int8_t unit_of[SIM_ENTITIES][SIM_FIELDS];	/* -1: key field */
	int8_t unique[SIM_ENTITIES];	/* field whose values must be unique in a table; -1: only the key's */

	int64_t advancing_to;		/* while the daemon's own timers run */
	struct event *events;		/* heap */
	size_t n_events, room_events;
	struct db dbs[SIM_ENDPOINTS];
	struct store_keys keys;
	struct store_keys backup;	/* what was in them at the moment of the last backup; its vectors, positions and names only */
	int64_t backup_us;		/* world time; 0: none */
	struct saving *saving;		/* one that is being made; NULL: none */
	bool restore_comes;		/* of the last one */
	struct journal *journal;
	struct sim_record *records;
	size_t n_records;
	struct edit *edits;		/* from 1 */
	size_t n_edits, room_edits;
	uint32_t tokens;		/* values ever made */

	struct loop *loop;		/* of the living daemon */
	struct sync *sync;
	struct sync_plan *asked_plan;	/* under way */
	unsigned plans;			/* asked for */
	struct sync_migration *migration;	/* under way */
	unsigned migrations;		/* asked for */
	const char *paused;		/* an entity that rests for it; NULL: none */
	uint64_t planned;		/* writes and decisions, by the last one */
	bool undoing;			/* an undo is under way */
	bool undo_begun;		/* and may have written something, though it told of nothing that was restored */
	int64_t undo_asked_us;		/* world time: when it was asked for */
	uint32_t incarnation;
	uint32_t epoch;			/* rises when what rounds have learned is lost: the daemon died, the store went away */
	int64_t flushed_us;		/* world time: the store last forgot everything, or was put back; 0: never */
	struct store_keys *older;	/* what it may be put back to; NULL: nothing */
	int64_t older_us;		/* world time: of that */
	bool unrecognised;		/* it was put back, and the daemon has not noticed that yet */
	bool quiet;			/* no more edits and faults */
	bool kill;			/* the daemon dies after this event */
	FILE *trace;			/* where a verbose run is told */
	/* where the daemon is, as far as the outside can see: for the counters */
	bool intended, applied, marked;

	struct sometimes *sometimes;
	bool failed;
	char why[1024];
};

/* trace NULL: silent. */
struct world *world_new(uint64_t seed, enum mutation, uint32_t left_out, FILE *trace, struct sometimes *);
void world_free(struct world **);
int64_t world_now(const struct world *);		/* virtual monotonic microseconds */
void world_at(struct world *, int64_t at, event_fn *fn, void *arg);
void world_after(struct world *, int64_t delay, event_fn *fn, void *arg);
int64_t world_delay(struct world *);			/* how long something takes this time */
/* Runs daemon and world up to that moment, or until a check failed. */
void world_run_until(struct world *, int64_t at);
/* Remembers the first failure; `check` is C1 .. C5 or what broke. */
void world_fail(struct world *, const char *check, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void world_trace(struct world *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* saving.c: backups made by the daemon itself */
void saving_begin(struct world *, event_fn *done);	/* done: when it is whole */
void saving_end(struct world *);			/* the daemon dies; before its loop goes */

/* plan.c */
void plan_make(struct world *);
void plan_free(struct world *);

/* db.c */
int64_t db_clock(const struct db *);
struct db_row *db_row_by_id(const struct db *, size_t entity, int64_t id);
struct db_row *db_row_by_key(const struct db *, size_t entity, const char *key);
struct db_row *db_row_add(struct db *, size_t entity);
void db_row_drop(struct db *, size_t entity, struct db_row *);
void db_log_add(struct db *, size_t entity, int64_t entry, int64_t local, int64_t at, bool gone);
bool db_key_pending(const struct db *, size_t entity, const char *key);
bool db_has_children(const struct db *, size_t entity, int64_t id);
int64_t db_oldest_open_us(const struct db *);		/* world time; now when none */
int64_t db_quantised(const struct db *, int64_t stamp);
/* Canonical text of a field as this sim understands it (arena-free: yours to free; NULL is NULL). */
char *db_canon(const struct db *, const struct db_row *, size_t entity, size_t field);
char *db_tuple(const struct db *, const struct db_row *, size_t entity, size_t unit);
/* The whole row in canonical text, key included; yours. */
char *db_canonical_row(const struct db *, const struct db_row *, size_t entity);
bool db_value_invalid(const struct world *, size_t entity, size_t field, const char *canonical);
bool db_value_poison(const struct db *, size_t entity, size_t field, const char *canonical);
/* A backup is taken; the database becomes what it says, and it is used up. */
void db_copy_take(struct db *);
void db_copy_restore(struct db *);
void db_fini(struct db *);

/* unique.c */
const struct db_row *unique_holder(const struct db *, size_t entity, const char *text, const struct db_row *but);	/* NULL: nobody */
bool unique_pending(const struct db *, size_t entity, const char *text, const struct db_row *but);
size_t unique_cycle(const struct db *, size_t entity, struct db_row *const *rows, const char *const *keys, const char *const *texts, size_t n, bool *stuck);
char *unique_from_elsewhere(struct world *, const struct db *, size_t entity);
size_t unique_hand_on(struct world *, struct db *, size_t entity, struct db_row *rows[3], char *texts[3]);
bool unique_waits_rightly(const struct world *, uint32_t record, const struct db *);

/* apps.c */
void apps_populate(struct world *);
void apps_start(struct world *);
void apps_settle(struct world *);			/* commits or rolls back what is open */
void apps_delete_many(struct world *, struct db *, size_t entity);
void apps_abort(struct world *, struct db *);		/* the database ends: what is open there never happened */

/* history.c */
uint32_t record_find(struct world *, size_t entity, const char *key);	/* made when new */
void record_join(struct world *, uint32_t a, uint32_t b);
struct edit *history_edit(struct world *, struct db *, struct db_row *, size_t unit, int64_t at);
/* True when a unit that shows `shown` has what an edit from `before` (may be NULL) to `tuple` changed. */
bool tuple_shows(const char *shown, const char *tuple, const char *before);
/* The same initial content on another endpoint is the same edit. */
void history_share(struct world *, struct db_row *, size_t unit, uint32_t edit);
/* The digest key changed: record ids with it. */
void history_rekey(struct world *);
/* Somebody removed the row, or took its key away (renamed). */
void history_delete(struct world *, struct db *, struct db_row *, int64_t at, bool renamed);
/* The daemon was answered with that version of a row and those stamps. */
void history_told(struct world *, struct db *, size_t entity, const struct told *, bool captured);
/* Until the answer has come and is in a vector, the daemon cannot be sure of that row. */
void history_doubt(struct db_row *);
/* The daemon sends it a write, knowing that version. */
void history_sent(struct world *, struct db *, size_t entity, int64_t id, uint64_t version);
/* The database is away: what it was told there it may have to read again. */
void history_away(struct db *);
/* It is about to write to that record. */
void history_intended(struct world *, size_t entity, const struct rid *);
/* Its rounds are given up: what they had learned is lost. */
void history_forgot(struct world *);
/* And acknowledged it. */
void history_acked(struct world *, struct db *, size_t entity, int64_t id, uint64_t version);
void history_recalled(struct world *, size_t entity, const struct rid *);
/* The store forgot everything. */
void history_flushed(struct world *);
/* The database shows what it showed at that moment, and the daemon will know nothing of its rows. */
void history_put_back(struct world *, struct db *, int64_t to_us);
void history_position(struct world *, const char *name, bool gone);
void history_put(struct world *, size_t entity, const struct rid *);
/* The daemon inserted it. */
void history_inserted(struct world *, const struct db *, const struct db_row *row);
/* The daemon changed those fields of a row (already in place): who wrote that? Fails C5 when nobody did. */
void history_brought(struct world *, struct db *, struct db_row *, size_t entity, uint32_t fields);

/* The daemon has carried out a delete of that record; the guard lets only so many of a mass go (C4). */
void history_carried(struct world *, uint32_t record);

/* sim.c: outside of any turn of the loop */
void daemon_kill(struct world *);

/* oracle.c */
bool oracle_may_win(struct world *, const struct edit *winner, const struct edit *loser);
bool oracle_by_value(const struct world *, const struct edit *);	/* its rule is max or min */
bool oracle_waits(const struct world *, const struct edit *);	/* it is manual */
bool oracle_ruled(const struct world *, const struct edit *);	/* by anything else than who wrote last */
bool oracle_adds(const struct world *, size_t entity, size_t unit);	/* it is add */
bool oracle_is_blank(const struct world *, const struct edit *);	/* it is newest-filled, and this has nothing to say */
bool oracle_outranks(const struct world *, const struct edit *a, const struct edit *b);	/* whenever the two were made */
bool oracle_covered(const struct world *, const struct edit *);		/* something that may stand was made on top of it */
bool oracle_surely_covered(const struct world *, const struct edit *);	/* and the daemon could know that */
/* check.c */
void check_all(struct world *);
char *record_printed(const struct world *, const struct sim_record *);	/* its key, as it is printed; yours */
/* check_books.c */
void check_books(struct world *);		/* whenever nothing is in the middle of happening */
void check_books_stock(struct world *);		/* when it is quiet */
int64_t world_wall(const struct world *, int64_t mono_us);
uint64_t world_written(const struct world *);
uint64_t world_attempted(const struct world *);	/* writes that were tried, whatever became of them */
uint64_t world_parked(const struct world *);
uint64_t world_reads(const struct world *);
size_t world_rows(const struct world *);
uint64_t world_backlog(const struct world *);	/* changes that were not acknowledged yet */

/* fakes */
struct endpoint *fake_endpoint_new(void *arg, struct loop *, const struct topology *, const struct endpoint_conf *,
				   const struct endpoint_events *);
struct store *fake_store_new(void *arg, struct loop *, const struct topology *, const struct store_events *);
void fake_endpoint_wake(struct db *);
bool fake_store_drop(const struct event *);	/* true: it was one of the store's; what it holds is released */
void fake_endpoint_drop(const struct event *);
void fake_endpoint_away(struct db *, bool away);
void fake_store_away(struct world *, bool away);
void fake_store_refuse(struct world *, int64_t until_us);
void fake_store_flush(struct world *);
void fake_store_backup(struct world *);		/* a look at all of the keys, when a backup has its moment */
bool fake_store_had(struct world *, size_t entity, const struct rid *, struct value blob);	/* in that look; blob NULL: had it not */
void fake_store_restore(struct world *);	/* no daemon may be at work: it dies first */
void fake_store_backup_free(struct world *);
void store_keys_init(struct world *);
void store_keys_fini(struct world *);
void store_keys_drop(struct store_keys *);		/* what it holds */

/* undo.c */
void undo_soon(struct world *);
void undo_something(struct world *);

/* roll_back.c */
int64_t store_keys_acked(const struct store_keys *, const struct db *);	/* the epoch that they know to stand there; 0: none */
void roll_back_soon(struct world *);
void roll_back_drop(struct world *);			/* the older state that is kept */

#endif
