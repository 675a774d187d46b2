/*
 * state.h - inside sync/: who is who.
 *
 *   sync    all of it                            sync.c     birth, events, orders, views
 *   flow    one entity: its rounds and feeds     feed.h     what there is to do next: captures, scans, lists; recovery
 *   side    one entity at one endpoint           round.h    one round, from recall to acknowledge
 *   round   a bounded set of records in work     claims.c   which round has a record in work
 *                                                observe.c  rows to observations: canonical, cleaned, checked
 *                                                epoch.c     database or Redis put back: recognised how
 *                                                rebase.c    a database put back: what was known of it is void
 *                                                watermark.c which rows of a table need not be read
 *                                                own.c      what each side showed last, should the state be lost
 *                                                keys.c     do all sides take the same keys for the same?
 *                                                park.c     records that stand aside, and orphans that wait
 *                                                retry.c    and are tried again
 *                                                held.c     the mass-delete guard
 *                                                wait.c     crmsyncctl wait, --once
 *                                                meters.c   what everything is right now, and how long it has been so
 *                                                plan.c     crmsyncctl plan
 *                                                verify.h   crmsyncctl verify, repair
 *                                                undo.h     before-images; crmsyncctl undo
 *                                                migrate.h  crmsyncctl migrate
 *                                                backup.c   crmsyncctl backup
 *                                                restore.h  what of a backup holds later
 */
#ifndef SYNC_STATE_H
#define SYNC_STATE_H

#include <uthash.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/log.h"
#include "endpoint/endpoint.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "meter/books.h"
#include "meter/debts.h"
#include "meter/meter.h"
#include "model/decide.h"
#include "model/record.h"
#include "store/store.h"
#include "sync/claims.h"
#include "sync/sync.h"

#define BIT(i) (UINT64_C(1) << (i))
#define FOREIGN_KEY "23503"		/* SQLSTATE: the row it points to is missing, or others still point to it */

struct buf;
struct flow;
struct own_writes;
struct part;
struct sync_migration;
struct sync_plan;
struct sync_backup;
struct sync_verify;
struct sync_undo;
struct undo_queue;
struct undo_target;
struct image_run;
struct round;
struct vanishing;

/* ---- one entity at one endpoint ---------------------------------------------------------------------- */

enum listing_state { LISTING_IDLE, LISTING_POSITION, LISTING_ROWS, LISTING_VANISHED };

struct listing {			/* survey or sweep: every row of the table */
	enum listing_state state;
	bool survey;			/* else a sweep */
	bool regular;			/* a sweep that its interval began: nobody waits for its end */
	enum job_by by;
	bool asking, ended, failed;	/* a page is on its way; the last page came; a round of it failed */
	char *after;			/* owned; last local id seen */
	char *watermark;		/* owned; as of when it lists; NULL: that cannot be told */
	char *position;			/* owned; a sweep that fills a gap: where capture stood when it began; NULL: it fills none */
	size_t rounds;			/* rounds made of it that are in flight */
	int64_t asked_us;		/* monotonic: when the newest page was asked for */
	int64_t rows, expected, began_us;
	int64_t looked, half_us;	/* the second half: vectors gone through; when it, or the first, began, monotonic */
	struct rate pace;		/* of this half */
};

struct vanished {			/* rows that a sweep did not find, until it has looked for all */
	struct vanished_row {
		struct rid rid;
		char *id;		/* owned */
	} *rows;
	size_t n, cap;
	bool many;			/* more than the guard lets go: held as they are found */
};

struct guard {				/* against mass deletes there: held.c */
	int64_t began_us, last_us;	/* of the window, wall: its first delete, its last */
	size_t limit;			/* so many records it may end */
	struct admitted *admitted;	/* owned; those that it has ended */
	bool shut;			/* no more: what comes is held */
	int64_t set;			/* in this set; 0: a new one */
	int64_t held, newest_set;	/* how many are held; for people: where */
};

struct side {
	struct flow *flow;
	size_t endpoint;		/* index */
	struct link *link;
	const struct mapping *mapping;
	struct meter_link meter;

	bool surveyed;			/* its rows were listed completely since the state began */
	uint64_t moved_columns;		/* fields that had another column here when it was surveyed last, ... */
	uint64_t reformed;		/* ... or another type or cleaning; until it is surveyed again */
	bool survey_known;		/* the store said whether */
	bool unaccounted;		/* another journal was in use: what that one knew here is looked for, until a sweep has seen everything (recover.c) */
	bool joined;			/* it was not in the topology before, or not for a while: what is known of its rows is of then (rebase.c) */
	char *position;			/* of capture: owned */
	bool gap;			/* capture may have missed something there: until a sweep that began since is over */
	bool captures;			/* it is captured at all (role is not target) */
	bool strangers;			/* rows may be there that no vector tells of: a target's own, outside of `where`, softly deleted */
	bool capturing, wanted, paused;
	struct loop_timer *timer;	/* next look */
	int64_t clean_us;		/* began of the last capture that found nothing, monotonic; 0: never */
	int64_t captured_us;		/* last answer of a capture, monotonic */
	int64_t heard_us;		/* monotonic: what was committed there before has been captured; 0: not known */
	unsigned capture_failures;	/* in a row */
	unsigned failures;		/* of writes, in a row */
	size_t writing;			/* batches of ours on their way there */
	int64_t written_us;		/* monotonic: when the last one was answered */
	int64_t carried_us[WRITE_OPS];	/* the same, when a write of that kind was last carried out */
	int64_t read_us;		/* the same, of questions for rows */
	struct own_writes *own;		/* owned; the last of them; NULL: there were none */

	struct listing listing;
	char *watermark;		/* owned; of the last listing that is over, until it is kept; NULL: it is */
	bool listing_open;		/* a question for a listing is out; maybe of one that was given up since */
	bool sweep_wanted, sweep_due;	/* somebody wants to know; its interval is over */
	enum job_by sweep_by;		/* who wants to know */
	struct ack *truncated;			/* owned: log entries of a TRUNCATE, acknowledged when a sweep has looked */
	int64_t next_sweep_us, last_sweep_us;	/* monotonic; wall */
	double look_seconds;			/* what a vector took in the second half of the last sweep; 0: not known */
	int64_t swept_us;			/* began of the last complete survey or sweep, monotonic */
	struct vanished vanished;
	struct guard guard;

	int64_t owed, parked;		/* records */
	int64_t parked_rows;		/* of those that are parked: rows of it that cannot be taken */
	int64_t discarded;		/* parked ones that stay different by the operator's will */
	struct retry {			/* of what is parked: retry.c */
		unsigned causes, again;	/* why there is this pass through it, and why there has to be another one */
		int64_t after;		/* where it stands: line of the journal; 0: at the beginning */
		bool at_writes;		/* in the second half, which is of writes; the first one is of rows */
		bool for_keys;		/* the portion in work looks for keys and values that may be free */
		size_t open;		/* questions and rounds of the portion in work */
		int64_t began_us;	/* that one; monotonic */
		struct loop_timer *timer;	/* pending: no portion before */
		struct loop_timer *later;	/* pending: then there is cause to try what waits for keys and values */
	} retry;
	int64_t taken;			/* writes among both that wait for a key or value that another row has */
	int64_t orphans;		/* of the writes: that wait for a row that they point to */
	int64_t freed_us;		/* monotonic: when those that are taken were last tried because a row had changed */
	struct debts debts;		/* since when these are owed, wall */
	int64_t aside_us;		/* timelines: since when something stands aside; 0: nothing does */
	char schema_mark[20];
	bool unlike;			/* refused: another side tells keys apart that are the same to this one */
	bool was_usable;
	char *stopped;			/* owned; why it cannot be used although its endpoint is up, as the log was told; NULL: it can */
	struct err why;			/* why writing there failed last; empty when fine */
};

/* ---- one entity -------------------------------------------------------------------------------------- */

struct missing {			/* rows of a record that are not there, or are nobody's, and nothing has said why */
	uint64_t at;			/* endpoints */
	int64_t since_us;		/* when the last of them was first found so, monotonic */
};

struct again {				/* a record to look at again */
	struct rid rid;
	uint64_t evidence;		/* endpoints where a sweep found its row gone */
	unsigned tries;			/* writes of it refused because of another entity's rows, or for no reason of a row's */
	int64_t alone_us;		/* since when it has been the only one that is refused like that, monotonic; 0: it has not */
	struct missing missing;
	bool gently;			/* without another try of writes that are parked */
	int64_t due_us;			/* among those for later: when, monotonic */
	UT_hash_handle hh;
};

struct orphan {				/* a child record that waits for a parent's row */
	struct rid parent, child;
	struct flow *child_flow;
	struct orphan *next;		/* same parent */
	UT_hash_handle hh;
};

enum scan_kind { SCAN_NONE, SCAN_SETTLE, SCAN_VANISHED };
struct scan {
	enum scan_kind kind;
	size_t endpoint;		/* SCAN_VANISHED */
	const struct vanishing *page;	/* whose rows are being read; NULL: none */
	bool asking;
	uint64_t at;
	bool counting;			/* the first one since the start: counts what is owed */
	int64_t records[BOOKS_STATES];	/* counting: those that are open */
};

struct flow {
	struct sync *sync;
	size_t index;
	const struct entity_conf *conf;
	const struct entity_def *def;
	size_t *first_column;		/* of each field in struct row */
	struct side *sides[ENDPOINTS_MAX];	/* NULL: not mapped there */
	struct meter_entity meter;
	struct books books;
	int64_t quantum_us;		/* of its coarsest side: times within one are equal */
	struct claims claims;		/* records in work */
	struct again *again;
	struct again *later;		/* the same, after a back-off */
	struct loop_timer *later_timer;
	int64_t later_due_us;		/* when that is set: monotonic */
	struct orphan *orphans;		/* by parent; parents of this entity */
	uint64_t arrivals;		/* times that a record of this entity got a row somewhere */
	struct round *rounds;		/* in flight, newest first */
	size_t n_rounds;
	struct scan scan;
	bool settle_wanted;		/* some record is owed something and nobody remembers which */
	bool held_wanted;		/* the operator has decided about held deletes: they are carried out */
	struct {
		int64_t set, after;	/* where that stands; set 0: at the beginning */
		bool release;
		bool all;		/* also those about which nothing was decided: are they still held? */
		size_t page;
	} held;
	int64_t waiting, verdicts;	/* fields that wait for a person; those decided, and not yet carried out */
	bool verdicts_wanted;		/* these are looked at again, from */
	bool verdicts_all;		/* and also those that are not decided: do they still wait? */
	int64_t verdicts_after;
	size_t verdicts_page;
	struct undo_target *undos;	/* owned; records with something that is still to be put back */
	bool undos_referred;		/* some of them wait for who refers to them */
	bool undos_let_go;		/* and of those some went away, or point elsewhere */
	int64_t undos_released_us;	/* monotonic: when they were looked at for that last; 0: never */
	bool released;			/* some waited under a topology that had another rule for them */
	bool lonely;			/* some wait, perhaps, with nobody left to differ from: they close when their side can be asked */
	bool unheard;			/* some wait or stand aside without a line in the journal, until those are there who can tell */
	bool let_go;			/* a row is parked no more: what stood aside with it is looked at after the next sweep */
	struct sync_migration *migration;	/* the sync's, when it is about this entity; NULL: it is not */
	bool counted, paused, pumping;
	bool audited;			/* it is counted again only to find a debt that was forgotten */
	int64_t last_write_us;		/* monotonic: end of the last round that wrote */
	int64_t idle_since_us;		/* monotonic: something is owed and nothing is under way; 0: not so */
	int64_t next_verify_us;		/* monotonic; 0: not planned yet */
	int64_t next_count_us;		/* monotonic: not counted again before */
	size_t next_turn;		/* which endpoint is captured next; behind the last: scans and listings */
	bool estimating, estimated;
	size_t swept;			/* endpoint: the last that was swept */
	int64_t estimates[ENDPOINTS_MAX];
	size_t estimates_open;
	uint64_t decisions;		/* conflicts journalled since the start, and before */
};

/* ---- an endpoint and Redis, each about the other ----------------------------------------------------- */

enum { EPOCH_TEXT = 200 };

struct shake {
	bool greeted;			/* it may be used */
	bool greeting, beating;		/* under way */
	bool kept;			/* keeps_state, as it was when it was greeted */
	bool dirty;			/* something was written or read there since the last beat */
	unsigned turn;			/* answers to questions of before are void */
	int64_t beat_us, not_before_us;	/* monotonic */
	/* as it stands in Redis */
	bool marked;
	int64_t intent, acked, timeline;
	char system[24];
	int64_t heard_us;		/* wall: when it was last known to be the one we know */
	int64_t past_us;		/* wall: rows written there before are of the past; 0: none are */
	int64_t restored_us;		/* wall: what is known of it is that of a backup made then, and was not compared yet; 0: it is not */
	int64_t back_us;		/* wall: and that is the time of which they are; 0: nobody knows */
	/* for people */
	char recognised[200];
	int64_t recognised_us;		/* wall */
};

/* ---- all of it --------------------------------------------------------------------------------------- */

struct parked_mark {			/* what is parked, by identity; the words are in the journal */
	uint64_t id;			/* digest of entity, endpoint, direction, rid or local id */
	bool capture;			/* a row that cannot be taken; else a write */
	bool discarded;
	bool taken;			/* a write: another row has its key, or a value that must be unique */
	bool orphan;			/* a write: a row that it points to is not there */
	bool once_more;			/* it is tried again at the next look */
	int64_t stamp;			/* a row: when it was changed, as the change log told; STAMP_NONE */
	UT_hash_handle hh;
};

struct timed {				/* a timeline, and the name under which it is kept */
	char *subject;			/* owned */
	struct timeline *timeline;
	UT_hash_handle hh;
};

struct sync {
	struct loop *loop;
	const struct topology *topology;
	struct journal *journal;
	struct sync_seams seams;
	struct store *store;
	struct endpoint **endpoints;
	struct meter_endpoint *meters;
	struct timeline service;	/* all links that are not paused can be used */
	struct {
		struct timed *all;	/* owned; by subject */
		int64_t ahead_us;	/* of the clock of timelines before that of the boot */
		int64_t looked_us, kept_us;	/* by that clock: when last */
		struct log_streak not_kept;
	} timing;
	struct flow *flows;
	struct parked_mark *parked;
	struct shake *shakes;		/* by endpoint */
	struct rebase *rebase;		/* under way; NULL: none */
	bool renewing, renewed;		/* we give the vectors up ourselves; that is how they were lost last */
	struct sync_wait *waits;
	struct sync_plan *plan;		/* under way; NULL: none */
	struct sync_verify *verify;	/* the same */
	struct sync_undo *undo;		/* the same */
	struct sync_migration *migration;	/* the same */
	struct sync_backup *backup;	/* the same */
	struct undo_queue *undos;	/* owned; what is still to be put back */
	struct jobs jobs;
	struct image_run *runs;		/* owned; by endpoint, then of people's decisions: the one that is open; the same of first listings */
	struct loop_timer *tick;
	bool recovering, recovered;	/* intents of an earlier life are being put back, are */
	bool finishing, closing;
	struct {
		void (*done)(void *arg);
		void *arg;
		int64_t until_us;	/* monotonic */
		struct loop_timer *timer;
	} finish;
	uint64_t rounds, life;		/* numbers of rounds; a mark of this life for intent names */
	int64_t rest_until_us;		/* monotonic: the journal cannot be written, and nothing is begun before */
	int64_t read_version;		/* of the journal when its lines were read last; 0: they are to be read */
	struct log_streak unread;	/* they could not be read */
	uint64_t losses;		/* of the state in the store: what was recalled before one is void */
	int64_t started_us;		/* wall */
	int64_t open_us;		/* monotonic: when the state was at hand and work could begin */
	bool *endpoint_paused;
	bool store_tried;		/* it was up, or said why it is not */
	int64_t store_away_us;		/* monotonic, since when; 0: it is there */
	bool refused;			/* the store told us so once */
	struct {
		void (*done)(void *arg, int exit_code);		/* NULL: not asked for */
		void *arg;
		int64_t began_us;
	} once;
};

/* ---- feed.c ------------------------------------------------------------------------------------------ */

void flow_init(struct flow *, struct sync *, size_t entity);
void flow_fini(struct flow *);
/* Starts whatever there is to do and room for. Cheap; call after anything changed. */
void flow_pump(struct flow *);
bool flow_takes_news(const struct flow *);
uint64_t flow_endpoints(const struct flow *);	/* where it is mapped */
void flow_look_again(struct flow *, const struct rid *, uint64_t evidence);
void flow_look_gently(struct flow *, const struct rid *);	/* without another try of writes that are parked */
bool side_usable(const struct side *);
void side_changed(struct side *);		/* its link's usability or schema changed */
void side_forget(struct side *);		/* what is known of its rows is void: survey again */
void side_list_anew(struct side *);		/* the same, but what waits for a person waits on */
/* A write failed for now, an endpoint did not answer, or has yet to say why a row is missing: again after a back-off. */
void flow_look_later(struct flow *, const struct again *, uint64_t failed_at);	/* endpoints that are to blame, if any */
void flow_note_quantum(struct flow *, int64_t us);	/* so coarse are the stamps of one side */
bool flow_is_quiet(const struct flow *);	/* no record is in work or in line */
bool flow_idle(const struct flow *);		/* nothing in work, nothing queued; whatever is owed to those that are away */
bool flow_settled(const struct flow *);		/* nothing in work, nothing queued; a regular sweep that has found nothing is no work */
void capture_settled(struct side *, const char *position);
static inline void side_note_read(struct side *side) { side->read_us = clock_mono_us(); }	/* rows came from there, which go into a round */

/* ---- epoch.c ----------------------------------------------------------------------------------------- */

/* Greets who is up, and beats where something happened. Cheap; call often. */
void epoch_look(struct sync *);
/* Why an endpoint that is up is not used yet; into the caller's room. */
const char *epoch_waits(const struct sync *, size_t endpoint, char *text, size_t size);
void epoch_forget(struct sync *, size_t endpoint);	/* it went away: greet it again before it is used */
void epoch_forget_all(struct sync *);
int64_t epoch_next(struct sync *, size_t endpoint);	/* the next number, to be written as its mark; 0: it keeps none */
void epoch_acked(struct sync *, size_t endpoint, int64_t epoch);
void epoch_touched(struct sync *, size_t endpoint);
void epoch_uninstalled(struct sync *, size_t endpoint);	/* by order: it does not know us any more, and that is no news */
void epoch_name_mark(const struct sync *, size_t endpoint, char out[EPOCH_TEXT]);
void epoch_mark_text(const struct shake *, char out[EPOCH_TEXT]);
void epoch_mark_read(struct sync *, size_t endpoint, struct value text);	/* NULL value: there is none */
void epoch_accept(struct sync *, size_t endpoint, const struct greeting *);

/* ---- rebase.c ---------------------------------------------------------------------------------------- */

/* Forget: nothing that was known of its rows holds. Compare: it did once; what is gone since is forgotten. */
enum rebase_how { REBASE_FORGET, REBASE_COMPARE, REBASE_JOINED };
void rebase_begin(struct sync *, size_t endpoint, const struct greeting *, enum rebase_how);
void rebase_step(struct sync *);		/* begins when no round is in flight any more */
void rebase_free(struct sync *);
/* Its rows are of before it was put back, until they were listed again; and this row was not written since. */
bool side_is_past(const struct side *);
bool row_is_past(const struct side *, const struct observation *);
/* The fields of this row, of a record of which that is agreed, that show nothing but the past. */
uint64_t fields_past(const struct side *, const struct vector *agreed, const struct observation *);

/* ---- keys.c ------------------------------------------------------------------------------------------ */

void keys_compare(struct flow *);	/* refuses sides that cannot hold the keys of another one */

/* ---- listing.c --------------------------------------------------------------------------------------- */

void listing_round_done(struct side *, bool ok);
void listing_progress(const struct side *, struct sync_link_view *);
/* For whoever lists all of a side himself: may rows be there that no vector tells of? It is surveyed now; answered when that is durable. */
bool listing_has_strangers(const struct side *, const struct rowset *);
uint64_t listing_shape(const struct side *);	/* of what the topology says a row's values follow from */
void listing_survey_done(struct side *, int64_t rows, int64_t began_us, done_fn *done, void *arg);
void sweep_order(struct side *, enum job_by);	/* a sweep, and somebody waits for its end */

/* ---- watermark.c ------------------------------------------------------------------------------------- */

/* now: of a listing that begins; NULL: it has none. since: what was not written since that one is known already; NULL: nothing is. Valid during the call. */
typedef void watermarked_fn(void *arg, const char *now, const char *since);
bool watermark_is_there(const struct side *);	/* else there is none to be had */
/* since: whether it is wanted. Answered once, never before it has returned; an endpoint or a store that gives no answer counts as having none. */
void watermark_ask(struct side *, bool since, watermarked_fn *done, void *arg);
/* A listing that had that one is over, and all of its rows were looked at; NULL: it had none. */
void watermark_settled(struct side *, const char *watermark);
/* Once nothing of the entity is in work: to be written under that name. NULL: there is nothing to keep, or not yet. Caller frees. */
char *watermark_to_keep(struct side *, char name[200]);
void watermark_look(struct side *);		/* keeps it then: each tick */

/* ---- recover.c --------------------------------------------------------------------------------------- */

/* An intent, record by record: id, u8 flags, [the id that it leaves], u32 length, vector. */
enum {
	INTENT_LEAVES = 1,	/* it was under another id */
	INTENT_NEW = 2,		/* there was no vector of it */
	INTENT_FORWARDS = 4,	/* where its inserts in doubt were tried there is nobody else: forwards may stand there */
};
/* Of a vector that is put back: where forwards to it stand (round_forward.c). `left`: NULL, or the id that it leaves. */
size_t forward_restore(const struct sync *, const struct flow *, const struct vector *, const struct rid *rid, const struct rid *left, bool complete,
		       struct rid out[ENDPOINTS_MAX]);
void flow_recover(struct sync *);		/* put back the intents, then go */
/* What the journal says of records that stand aside is known: unless another process has written to it since, it was read already. */
bool lines_read(struct sync *);

/* ---- round.c ----------------------------------------------------------------------------------------- */

/* Each takes over what it is given and starts; the flow has room. */
/* news_from_us: what was committed there before is not among them, monotonic. */
void round_of_capture(struct flow *, struct side *, struct captured *, int64_t news_from_us);
/* What rows that were asked for are: a page of the side's listing; of parked records; neither. The first two are told of the round's end. */
enum listed { LISTED_PAGE, LISTED_PARKED, LISTED_ALONE };
/* asked_us: when the rows were asked for, monotonic. */
void round_of_listing(struct side *, struct rowset *, int64_t asked_us, enum listed);
/* retried: records that are parked there, which is told of the round's end; NULL: they are not. */
void round_of_records(struct flow *, const struct again *const *list, size_t n, struct side *retried);
/* Of a migration: a page of its own. The part is told of the end. */
void round_of_migration(struct side *, struct rowset *, int64_t asked_us, struct part *);
/* Of a plan: which rows of a page have news; and what would be done about those records. The plan is told of the end. */
struct planned_record {
	struct rid rid;
	uint64_t evidence;		/* endpoints where its row is gone */
	uint64_t held_back;		/* those of them whose deletes would be held */
	bool gently;			/* nothing new of it: something is owed */
	struct value *rows;		/* by endpoint: found under its key, copied here; NULL value: none */
};
void round_of_plan_page(struct sync_plan *, struct side *, struct rowset *, int64_t asked_us);
void round_of_plan(struct sync_plan *, struct flow *, const struct planned_record *list, size_t n);
bool round_is_plan(const struct round *);
bool round_is_of_records(const struct round *);	/* that are looked at again */
bool round_is_looking(const struct round *);	/* a page of a regular sweep, of which nothing has been found yet */
/* For the end of a sync: hands back what its endpoint lent it; then, when all are answered, ends it. */
void round_let_go(struct round *);
void round_describe(const struct round *, struct buf *out);	/* one line for people */
enum books_state flow_state_of(const struct flow *, const struct vector *);
struct round *round_next(const struct round *);
uint64_t round_number(const struct round *);	/* they count up, over all entities */
void round_abandon(struct round **);

/* ---- observe.c --------------------------------------------------------------------------------------- */

/* false: the row is invalid; e says why (code, words), *field which (may be NULL). counts: of what was cleaned and rejected. */
bool observe_row(const struct flow *, const struct side *, const struct row *, struct arena *, struct meter_entity *counts,
		 struct observation *out, const struct field_def **field, struct err *e);

/* ---- own.c ------------------------------------------------------------------------------------------- */

/* The side shows what the vector says: we wrote it, or have heard of it. row: digest_row() of that; 0: not known. inserted: by us. */
void own_note(struct side *, const struct vector *, uint64_t row, bool inserted);
/* A row of which no vector tells what it showed before: its stamp is that of its edits when it is one of these, and no older than these
 * when it was one; and whether it is ours. */
void own_recognise(const struct side *, struct observation *now);
void own_free(struct side *);

/* ---- park.c ------------------------------------------------------------------------------------------ */

bool park_load(struct sync *, struct err *e);	/* what was known before is forgotten */
void park_free(struct sync *);
/* A write that ran into a row which has its key, or a value that must be unique. */
bool park_says_taken(const char *code);
void park_once_more(struct side *, const struct rid *);	/* that write is not held back when its record is looked at next */
/*
 * Durable when it returns true. key may be a NULL value; rid may be NULL when capture. stamp: when its row was changed, as the change
 * log told; STAMP_NONE: it did not, and what it told before holds.
 */
bool park_record(struct side *, bool capture, const struct rid *, struct value key, struct value local_id,
		 const char *field, int64_t stamp, const struct err *cause);
int64_t parked_stamp(const struct side *, struct value local_id);	/* of a row that is parked: as above */
bool unpark_record(struct side *, bool capture, const struct rid *, struct value local_id);	/* false: it was not */
bool is_parked(const struct side *, bool capture, const struct rid *, struct value local_id);
/* A write: it is parked, and nothing has changed that would let it through. */
bool stays_parked(const struct side *, const struct rid *);
/* Rows of that entity went away or point elsewhere: deletes of what they pointed to may go through now. */
void blocked_release(struct flow *child);
/* parent_rid: of the record, or of a row that nobody knows yet (round_rid_of_row()). */
void orphan_wait(struct flow *parent, const struct rid *parent_rid, struct flow *child, const struct rid *child_rid);
/* Does that child wait for that parent, itself or through others that wait, or is it the parent? (As far as a thousand steps tell.) */
bool orphans_wait_for(struct flow *parent, const struct rid *parent_rid, const struct flow *child, const struct rid *child_rid);
void orphans_release(struct flow *parent, const struct rid *parent_rid);
void orphans_free(struct flow *flow);

/* ---- retry.c ----------------------------------------------------------------------------------------- */

enum {				/* why something that is parked may go through by now */
	RETRY_ALL = 1,		/* the table was altered, or somebody has ordered it */
	RETRY_ROWS = 2,		/* rows, after a sweep; those that are gone are let go */
	RETRY_KEYS = 4,		/* a key has become free there */
	RETRY_BLOCKED = 8,	/* a row that pointed to others went away, or points elsewhere */
	RETRY_ORPHANS = 16,	/* nobody remembers for whom they wait */
};
void retry_wanted(struct side *, unsigned causes);	/* by and by; costs nothing where nothing is parked */
void retry_keys_in(struct side *, int64_t ms);		/* RETRY_KEYS, then */
bool retry_comes(const struct side *);			/* that was asked for, and is still to come */
void retry_all(struct flow *);			/* RETRY_ALL of all its sides */
/*
 * A portion of what is parked there for want of a row that it points to is decided again now, also while the entity rests: of the lines
 * behind that one (0: of all). Answers up to which one it has come; 0: there are no more.
 */
int64_t retry_orphans(struct side *, int64_t after);
bool retries_under_way(const struct flow *);
void retry_part_over(struct side *);			/* a round of them has ended */

struct flow *flow_named(struct sync *s, const char *entity);	/* NULL: there is none */
struct side *side_named(struct sync *s, const char *entity, const char *endpoint);	/* NULL: not mapped there (any more) */
void rid_print(const struct rid *rid, char out[2 * RID_BYTES + 1]);
bool rid_parse(const char *text, struct rid *rid);

/* ---- waiting.c --------------------------------------------------------------------------------------- */

bool waiting_load(struct sync *, struct err *e);
void waiting_look_again(struct flow *);	/* at what was decided, if anything was */
void waiting_look_at_all(struct flow *);	/* at each line: does it still wait? */
/* The journal has a line of the record, or cannot be read. */
bool waiting_is_listed(const struct flow *, const struct rid *);
/* What is known of it (NULL: of anybody) is void: what it still differs in waits anew. */
void waiting_forget(struct flow *, const char *endpoint);

/* ---- round_journal.c --------------------------------------------------------------------------------- */

void owed_forget(struct flow *, const char *endpoint);	/* what is to be written there (NULL: anywhere) is decided anew */

/* ---- held.c ------------------------------------------------------------------------------------------ */

bool held_load(struct sync *, struct err *e);
void held_read_again(struct sync *);		/* that group was not kept: the journal's word counts */
size_t held_room(const struct side *);
size_t held_limit(const struct flow *);		/* so many deletes of one source at once are believed */
size_t held_limit_of_sweep(const struct side *);	/* the same, of those that a sweep finds */
bool held_is(const struct side *, const struct rid *);
void held_begin_set(struct side *, const char *why);	/* what is held from now on; tells the log */
/* Durable when it returns true, or with the group that is open. */
bool held_add(struct side *, const struct rid *, const char *key, int64_t when_us, bool *fresh, struct err *e);
int64_t held_count(const struct flow *);
void held_forget(struct side *);		/* the state was lost */
void held_begin(struct flow *);			/* what the operator has decided about is carried out, from the first set on */
void held_look_at_all(struct flow *);		/* and each other line is looked at: is it still held? */
void held_free(struct side *);

/* ---- meters.c ---------------------------------------------------------------------------------------- */

void meters_load(struct sync *);		/* goes on with what was kept; the time since then is unknown */
void meters_look(struct sync *);		/* books what everything is now; call it on each change and every moment */
void meters_look_at(struct flow *);		/* only the links of one entity */
void meters_keep(struct sync *);		/* unless that was done a moment ago */
void meters_end(struct sync *);			/* looks a last time, and keeps it */
void meters_free(struct sync *);
const char *sync_not_at_hand(const struct sync *);	/* why long work cannot be done now; NULL: it can */
bool sync_stands_by(const struct sync *);	/* another process holds the lease */
const char *side_doubt(const struct side *);	/* "" or why nobody knows whether it is in step, although it can be used */
enum sync_link_state side_state(const struct side *);
double side_lag(const struct side *);		/* age of the oldest thing that it has yet to get; 0 none, NAN unknown */
/* Writes that it had to get since then, wall, have just been carried out (or refused). */
void side_got(struct side *, int64_t since_us);
/* Everything that was committed there before has been captured, and what came of it is settled; monotonic. */
int64_t side_settled_us(const struct side *);
void side_owes(struct side *, int64_t since_us);
void side_pays(struct side *, int64_t since_us);
void side_owes_nothing(struct side *);

/* ---- wait.c ------------------------------------------------------------------------------------------ */

void waits_check(struct sync *);
/* The same of one entity at some endpoints: looked at since then, and nothing to be done. Makes them look. */
bool flow_settled_at(struct flow *, uint64_t endpoints, int64_t since_us);
void once_check(struct sync *);
void waits_cancel_all(struct sync *);

/* ---- verify.c ---------------------------------------------------------------------------------------- */

void verify_tick(struct sync *s);		/* begins those whose time has come */
void verify_end_with_sync(struct sync *s);	/* tells whoever asked */
void verify_keep_tidy(const struct sync *);	/* removes what an interrupted one has left, and nobody came back for */
void verify_free(struct sync *s);		/* nothing it asked for is open any more */

/* ---- backup.c ---------------------------------------------------------------------------------------- */

void backup_break(struct sync *s, const char *why);	/* one that is under way has no end */

/* ---- plan.c ------------------------------------------------------------------------------------------ */

/* A plan of some records only: made, told of them, then begun. NULL: not now. */
struct sync_plan *plan_new(struct flow *, const struct sync_plan_taker *, struct err *e);
void plan_add_row(struct sync_plan *, const struct rid *, size_t endpoint, struct value id);	/* id NULL: its vector knows the row */
void plan_add_gone(struct sync_plan *, const struct rid *, size_t endpoint);
/* It judges these items of an undo, instead of all that is new of the records. They and `keeps` must outlive it. */
void plan_put_back(struct sync_plan *, struct undo_target **, struct arena *keeps);
void plan_begin(struct sync_plan *);
void plan_end_with_sync(struct sync *s);	/* tells whoever asked */
void plans_free(struct sync *s);		/* nothing that it asked for is open any more */

#endif
