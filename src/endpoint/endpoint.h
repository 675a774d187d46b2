/*
 * endpoint.h - the seam: what every driver can do.
 *
 * An endpoint is one database; a link is one entity's table on it. The driver owns connections,
 * reconnecting with back-off, probes, catalog checks and SQL; it knows nothing of vectors, merging or
 * the other endpoints. Everything is asynchronous on the loop: an operation is answered by exactly one call
 * of its `done`, never before the call has returned, also when the endpoint goes down or is freed (then
 * with an error of kind ERR_TRANSIENT or ERR_ENDPOINT). Every operation but greet has a deadline.
 *
 * Several operations may be started on a link at once; the driver queues what its connections cannot take.
 *
 * Values cross the seam as the database's own text in the fixed session forms of the driver (model/value.h
 * turns them into canonical form); values going in are canonical.
 */
#ifndef ENDPOINT_ENDPOINT_H
#define ENDPOINT_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"
#include "conf/topology.h"
#include "model/value.h"

struct buf;
struct endpoint;
struct link;
struct loop;

#define STAMP_UNKNOWN INT64_MIN

/* ---- rows -------------------------------------------------------------------------------------------- */

/*
 * Columns of a row, in order: for each field of the entity its own text; a reference field takes
 * 1 + n_key columns: the local foreign key, then the key fields of the row it points to (all NULL when
 * the foreign key is NULL or points to nothing). link_column() gives the first column of a field.
 */
struct row {
	struct value id;		/* local primary key as text */
	struct value version;		/* row version for the guard */
	int64_t stamp;			/* modified column, microseconds UTC by that database's clock; STAMP_UNKNOWN */
	bool gone;			/* soft-deleted there */
	bool outside;			/* not in the mapping's `where`: neither a row nor a delete */
	bool large;			/* a value is above limits.value_bytes: it was not fetched, its column is NULL here */
	const struct value *columns;	/* n_columns */
};

/* Owned by who received it; values live until rowset_free(). */
struct rowset {
	struct row *rows;
	size_t n;
	size_t bytes;			/* data volume read */
	bool cut;			/* of a list: it ends here because limits.batch_bytes is reached */
	void (*release)(struct rowset *);
};
static inline void rowset_free(struct rowset **rs)
{
	if (*rs != NULL)
		(*rs)->release(*rs);
	*rs = NULL;
}

/*
 * The table as it was at one moment, for several lists of it at once. It keeps a transaction open on the server, which clears away nothing
 * that is newer for as long as it lasts: not for longer than is needed. Yours; it may be given back also when the endpoint is gone.
 */
struct moment {
	void (*release)(struct moment *);
};
static inline void moment_free(struct moment **m)
{
	if (*m != NULL)
		(*m)->release(*m);
	*m = NULL;
}
#define MOMENT_LOST "moment-lost"	/* an error's code: that moment cannot be seen any more */

/* ---- sums of rows ------------------------------------------------------------------------------------ */

/*
 * Of what many rows show, made where they are: rows are parted by their key's text, and of each part there are the number of rows and the sum
 * of their hashes. Parts of equal sums at two endpoints hold rows of equal texts, and so of equal meaning. Parts of unequal sums may
 * do so, too: one meaning has several forms.
 */
enum { SUM_PARTS = 4096 };
struct part_sum {
	int64_t rows;			/* neither outside nor gone */
	uint64_t hash;			/* to be added up, with overflow */
	bool unclear;			/* a row of it has no hash: equal sums say nothing */
};
struct sum_seeds { int64_t part, row; };	/* the same for all that is to be compared, and nobody can know them before */
struct part_set {
	int64_t seed;			/* sum_seeds.part */
	uint64_t bits[SUM_PARTS / 64];
};

/* ---- capture ----------------------------------------------------------------------------------------- */

/* One local id with news. The row was read after the entry that announced it was seen (SEMANTICS I1). */
struct news {
	struct value id;
	struct value old_id;		/* the local id that its row had before all this news, when that was another one; else NULL value */
	int64_t stamp;			/* best knowledge of when, database clock; STAMP_UNKNOWN */
	ptrdiff_t row;			/* index into rows; -1: the row is not there */
	bool ended;			/* that is evidence of the end of the one that was: it was deleted, or got another id. Else news of it will come */
	bool deleted;			/* listen: the one that had the id before all this was deleted; one that is there was inserted after that */
};

struct captured {
	struct news *news;
	size_t n;
	struct rowset *rows;
	size_t entries;			/* log entries or rows behind the news, before coalescing */
	char *position;			/* poll: where to go on once this is settled; NULL: unchanged. Opaque, printable */
	char *gap;			/* listen: what happened since the position that was given may be missing; the one of now. NULL: none is */
	bool more;			/* there is more right now */
	bool truncated;			/* the table was truncated: sweep for deletes */
	int64_t began_us;		/* clock_mono_us() when the capture began to look */
	struct ack *ack;		/* hand to link->ack or link->drop, exactly once; NULL: nothing to acknowledge */
};
/* Does not ack. news is one malloc (ids that do not live in `rows` stand behind the array in the same block); so are position and gap. */
void captured_free(struct captured **);

/* ---- writes ------------------------------------------------------------------------------------------ */

enum write_op { WRITE_INSERT, WRITE_UPDATE, WRITE_DELETE };
enum { WRITE_OPS = WRITE_DELETE + 1 };	/* how many there are */
enum write_outcome {
	WRITE_PENDING,
	WRITE_DONE,
	WRITE_REFUSED,		/* guard: the row changed, vanished, or an equal one exists; read and decide again */
	WRITE_SILENT,		/* the target did not do it and gave no reason (trigger, policy): row unchanged */
	WRITE_ERROR,		/* err says: ERR_ROW concerns this row only, other kinds mean "not now" */
};

struct write {
	enum write_op op;
	struct value id;		/* update, delete; after an insert, or an update that has changed it: the new local id (in the batch's arena) */
	struct value version;		/* guard for update, delete */
	uint64_t fields;		/* which of values[] to write (bit = field index) */
	const struct value *values;	/* by field index, canonical; a reference: the local foreign key's text */
	void *subject;			/* the caller's */
	bool retried;			/* it was refused before: that it is once more says nothing about the mapping */
	/* answers */
	enum write_outcome outcome;
	const struct row *readback;	/* NULL: reads back exactly as sent; else what the row was by it (batch's memory) */
	struct err *err;		/* of WRITE_ERROR (batch's memory); there are many writes and few of these */
	bool unanswered;		/* err is no answer of the database's: it may have been done all the same */
	bool alone;			/* err is no row's, but this write fails with it by itself: the same statement without it is taken */
};

struct write_batch {
	struct write *list;
	size_t n;
	/* answers */
	size_t bytes;			/* data volume written */
	struct arena *arena;		/* the caller's; the driver puts ids and read-backs there */
};

/* ---- operations -------------------------------------------------------------------------------------- */

typedef void captured_fn(void *arg, struct captured *got, const struct err *e);	/* got is yours; NULL on error */
typedef void rowset_fn(void *arg, struct rowset *got, const struct err *e);	/* got is yours; NULL on error */
typedef void written_fn(void *arg, struct write_batch *batch);			/* every write has an outcome */
typedef void done_fn(void *arg, const struct err *e);				/* e is NULL when fine */
struct stamps { struct value id; int64_t stamp; bool deleted; };
/* parts: SUM_PARTS of them; last: the last local id of the range, NULL: the table ends with it. Valid during the call. */
typedef void summed_fn(void *arg, const struct part_sum *parts, const char *last, const struct err *e);
typedef void moment_fn(void *arg, struct moment *, const struct err *e);		/* it is yours; NULL on error */
/* now: the one of now, NULL: the table's rows do not tell; holds: what was written since the one that was given can be told. Valid during the call. */
typedef void watermark_fn(void *arg, const char *now, bool holds, const struct err *e);
/* got is yours; last: so far it was looked, NULL: to the end, valid during the call; looked_at: so many rows. NULL, 0 on error. */
typedef void written_rows_fn(void *arg, struct rowset *got, const char *last, int64_t looked_at, const struct err *e);
typedef void ids_fn(void *arg, const struct value *ids, size_t n, const struct err *e);	/* valid during the call */
typedef void stamps_fn(void *arg, const struct stamps *list, size_t n, const struct err *e);	/* valid during the call */

/* What a database says of itself when it is met. */
struct greeting {
	bool kept;		/* it keeps our state row; else the rest is unknown, but for which database it is */
	bool there;		/* the row was there before */
	int64_t epoch, fence;	/* as it stood before */
	bool raised;		/* the fencing number there is the one that was asked for now; else it is higher */
	char system[24];	/* one for each installation of a server; copies share it */
	int64_t timeline;	/* rises with each promotion of a copy and each restore to a moment */
};
/* g is valid during the call. */
typedef void greeted_fn(void *arg, const struct greeting *g, const struct err *e);

struct link_ops {
	/* News since `position` (NULL: from the beginning of what the log holds, or from now on for poll). At most max rows,
	 * and none behind that with which limits.batch_bytes is reached. A log has no places: its position is a name of the log and of
	 * what fills it, as they are, and another one than was given means that something may be missing (captured.gap).
	 * What was captured and not yet acked or dropped is not given again. */
	void (*capture)(struct link *, const char *position, size_t max, captured_fn *done, void *arg);
	/* Settled: forget those entries, exactly those. */
	void (*ack)(struct link *, struct ack *, done_fn *done, void *arg);
	/* Not settled (round failed): give them again at the next capture. */
	void (*drop)(struct link *, struct ack *);
	/*
	 * All rows by local id, after `after` (NULL: from the start) and up to `until` (NULL: to the end), at most max; fewer than max rows,
	 * and not cut: these were the last.
	 */
	void (*list)(struct link *, const char *after, const char *until, size_t max, rowset_fn *done, void *arg);
	/* A moment between the call and the answer. NULL: the driver has none. */
	void (*moment)(struct link *, moment_fn *done, void *arg);
	/*
	 * list, as it was at that moment of this link; it need not last until the answer. MOMENT_LOST: its session has ended, or the table has been
	 * emptied or built anew since, and looks empty from there.
	 */
	void (*list_at)(struct link *, const struct moment *, const char *after, const char *until, size_t max, rowset_fn *done, void *arg);
	/* list, of rows in those parts. */
	void (*list_parts)(struct link *, const char *after, const char *until, const struct part_set *, size_t max, rowset_fn *done, void *arg);
	/*
	 * A watermark: what stands before it was committed before it was taken, and can be told from what was written since. One that was taken
	 * before (NULL: none) holds as long as the table has not been altered since in a way by which rows change, or come and go, without being
	 * written. That the database was not put back or replaced meanwhile is for the caller to know. NULL: the driver's rows tell nothing.
	 * A watermark is one line of printable text, for the caller to keep. NULL without an error: this table tells nothing.
	 */
	void (*watermark)(struct link *, const char *then, watermark_fn *done, void *arg);
	/* list, of rows written since that watermark, which holds; it looks at more than max rows at once, and gives no more than that. */
	void (*list_written)(struct link *, const char *since, const char *after, size_t max, written_rows_fn *done, void *arg);
	/* The sums of the next `max` rows or so by local id, after `after` (NULL: from the start). NULL: the driver's rows have none. */
	void (*sum)(struct link *, const char *after, size_t max, const struct sum_seeds *, summed_fn *done, void *arg);
	/* How many rows there are, neither outside nor gone. */
	void (*count)(struct link *, void (*done)(void *arg, int64_t rows, const struct err *e), void *arg);
	/* Local ids that part the table into n about equal pieces: in order, n - 1 or fewer. rows: it has about so many; -1: nobody knows. */
	void (*split)(struct link *, size_t n, int64_t rows, ids_fn *done, void *arg);
	/* Those rows that exist, in any order. */
	void (*read)(struct link *, const struct value *ids, size_t n, rowset_fn *done, void *arg);
	/* Rows whose key columns equal these canonical key values as they are; keys: n times n_key values. */
	void (*read_by_key)(struct link *, const struct value *keys, size_t n, rowset_fn *done, void *arg);
	/* Rows, none of them gone, of which this reference field has one of these local ids as its database compares them; at most max, in any order. */
	void (*read_referring)(struct link *, size_t field, const struct value *ids, size_t n, size_t max, rowset_fn *done, void *arg);
	/* When these rows last changed, and whether they were deleted once, by what the change log still holds; ids without an entry are left out. */
	void (*stamps)(struct link *, const struct value *ids, size_t n, stamps_fn *done, void *arg);
	/* One record is all or nothing; a row-class error takes out that row only. */
	void (*write)(struct link *, struct write_batch *batch, written_fn *done, void *arg);
	/*
	 * What these updates would make of their rows: carried out, read back and undone, so that nobody sees any of it. readback NULL: it cannot be
	 * told. No other answer is given.
	 */
	void (*attempt)(struct link *, struct write_batch *batch, written_fn *done, void *arg);
	/* A position that names now: what commits later is found from there. */
	void (*position_now)(struct link *, void (*done)(void *arg, const char *position, const struct err *e), void *arg);
	/* About how many rows (planner's estimate is fine). */
	void (*estimate)(struct link *, void (*done)(void *arg, int64_t rows, const struct err *e), void *arg);
	/* The caller will not use it, although it fits; NULL: it will again. Shows in `usable` and `why`, and is told by events.state. */
	void (*refuse)(struct link *, const struct err *why);
};

/* In what texts may differ and yet be the same to a key column. */
enum {
	KEY_ALIKE_CASE = 1,
	KEY_ALIKE_FORMS = 2,		/* one character or several that make up the same letter (NFC, NFD) */
	KEY_ALIKE_ACCENTS = 4,
	KEY_ALIKE_BLANKS = 8,		/* blanks at the end */
	KEY_ALIKE_WIDTH = 16,		/* and each is filled up to so many characters: times this */
};

struct link_promises {		/* what this link's capture can and cannot promise; shown in status */
	bool prompt_deletes;	/* deletes are seen without a sweep */
	bool exact;		/* late commits cannot be missed */
	bool pushes;		/* wakes us */
	bool guarded;		/* writes are guarded by row version */
	const char *words;	/* the same in one plain sentence */
};

struct link {
	const struct link_ops *ops;
	struct endpoint *endpoint;
	const struct mapping *mapping;
	struct link_promises promises;
	int64_t quantum_us;		/* precision of its stamps: 1 for microseconds */
	bool usable;			/* endpoint up, catalog fits */
	struct err why;			/* when the table does not fit: what and what to do */
	char schema_mark[20];		/* changes when the table's definition does */
	uint32_t alike[KEY_FIELDS_MAX];	/* KEY_ALIKE_* of each key field; 0: what differs at all is not the same */
	void *owner;			/* sync/'s */
};

enum endpoint_state { ENDPOINT_UNKNOWN, ENDPOINT_UP, ENDPOINT_DOWN, ENDPOINT_PAUSED };

struct endpoint_events {	/* the driver calls these from the loop */
	void (*state)(void *arg, struct endpoint *);		/* state, why or a link's usable changed */
	void (*wake)(void *arg, struct endpoint *);		/* there may be news */
	void *arg;
};

/* How busy a server is with others than us. */
struct endpoint_load {
	int64_t sessions;		/* of others, that execute something just now; -1: our role may not see that */
	double lag_s;			/* of the standby that is farthest behind; 0: of none; NAN: our role may not see that */
	char standby[64];		/* its name */
};
typedef void loaded_fn(void *arg, const struct endpoint_load *, const struct err *e);	/* valid during the call; NULL on error */

struct endpoint_ops {
	void (*start)(struct endpoint *);		/* connects; while it rests after a failure it tries again at once */
	void (*pause)(struct endpoint *);		/* closes connections; state becomes paused */
	void (*resume)(struct endpoint *);
	/*
	 * From here on only that fencing number writes there. Tells how it stood before. Answered when no statement can commit
	 * there any more that a former connection had sent, of this process or of its predecessor; that has no deadline, `waits_for` tells of it.
	 * Of several under way only the last one can be answered without an error.
	 */
	void (*greet)(struct endpoint *, int64_t fence, greeted_fn *done, void *arg);
	/* Puts the epoch there, under the fencing number in `fence`; an error when it is not the one there any more. */
	void (*beat)(struct endpoint *, int64_t epoch, done_fn *done, void *arg);
	/* Cheap: once a second does no harm. NULL: the driver cannot tell. */
	void (*load)(struct endpoint *, loaded_fn *done, void *arg);
	/* Creates / removes what `listen` capture needs. Idempotent. */
	void (*install)(struct endpoint *, done_fn *done, void *arg);
	void (*uninstall)(struct endpoint *, done_fn *done, void *arg);
	/* The statements of install, for an admin to read and run: needs a connection to know key types. `text` valid during the call. */
	void (*install_print)(struct endpoint *, void (*done)(void *arg, const char *text, const struct err *e), void *arg);
	void (*free)(struct endpoint *);		/* answers what is open, closes */
};

/* The change log there, of all topologies that listen to this database. Nobody but us makes it shorter. */
struct endpoint_log {
	bool there, asking;		/* the driver's: we may read it; are about to */
	bool known;			/* it was looked at lately: the rest holds */
	int64_t bytes;			/* on disk */
	double oldest_s;		/* how old its oldest entry is; 0: it is empty */
	char oldest_of[64];		/* the topology that has yet to take that one */
};

struct endpoint {
	const struct endpoint_ops *ops;
	const struct endpoint_conf *conf;
	struct endpoint_events events;
	enum endpoint_state state;
	bool silent;			/* up, and owes answers for a while: better not wait for it. No state of its own: it passes, or it is down */
	int64_t waits_for;		/* the server's process that a greeting waits for; 0: none */
	bool keeps_state;		/* it has a place for our state row, and we may use it */
	int64_t fence;			/* the caller's: what every write and acknowledgement must find there; 0: nothing */
	int64_t epoch;			/* the caller's: what acknowledgements leave there */
	struct err why;			/* of the last failure; empty when up */
	unsigned tries;			/* failed attempts in a row */
	int64_t next_try_us;		/* clock_mono_us() of the next attempt, 0: none planned */
	int64_t state_since_us;		/* clock_wall_us() */
	int64_t last_success_us;	/* clock_mono_us() of the last answer */
	int64_t probe_us;		/* while up it is asked whether it lives so often; 0: by no rule */
	int64_t last_capture_us;	/* clock_wall_us(); 0: never */
	double clock_offset_s, clock_error_s;	/* database minus ours, and how wrong that may be */
	struct endpoint_log log;
	char server[96];		/* "PostgreSQL 15.18", for status */
	struct link *links[64];		/* by entity index; NULL: not mapped here */
};

struct link *endpoint_link(const struct endpoint *, size_t entity);
const char *endpoint_state_name(enum endpoint_state);
/* How far its clock is ahead of ours. 0 when the measurement cannot tell it from none: noise must not order edits. */
int64_t endpoint_offset_us(const struct endpoint *);

/* A driver's constructor. `wanted` has one mapping per entity that lives here. Nothing is connected before start. */
struct endpoint *postgres_endpoint_new(struct loop *, const struct topology *, const struct endpoint_conf *,
				       const struct endpoint_events *);
/* Is this a connection string? Judged without network; false: `why` says why not, without what may be a secret. */
bool postgres_connection_check(const char *connection, char *why, size_t why_size);
/* "NAME built with X, runs on Y", for --version; into the caller's room. */
const char *postgres_library(char *out, size_t size);
void endpoint_free(struct endpoint **);

#endif
