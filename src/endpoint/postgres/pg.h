/*
 * pg.h - inside the PostgreSQL driver: connections below, conversations above.
 *
 *   pg_resolve.c   host names to addresses, off the loop
 *   pg_connection.c  is it a connection string?
 *   pg_conn.c      one libpq connection on the loop, non-blocking throughout
 *   pg_error.c     what a SQLSTATE means, and in which words
 *   pg_endpoint.c  the endpoint: pool, reconnecting, probes, clock offset, LISTEN, state; implements endpoint_ops
 *   pg_promises.c  what a link can promise, and whether it can be used now
 *   pg_rowset.c    a result as rows
 *   pg_catalog.c   reads the catalog, publishes what it found
 *   pg_fit.c       does every mapped table and column exist and fit? -> struct pg_table; the parts of its statements in pg_fit_parts.c
 *   pg_install.c   install, uninstall, install --print
 *   pg_ask.c       an operation that reads, from the call to the answer
 *   pg_list.c      list, list_at, list_parts, list_written
 *   pg_rows.c      read, read_by_key, read_referring, sum, count, stamps, estimate, split, position_now
 *   pg_watermark.c which rows were written since
 *   pg_moment.c    a table as it was at one moment, for several connections
 *   pg_sums.c      hashes of rows, made and added up by the server
 *   pg_capture.c   capture, ack, drop: the line of captures; pg_log.c for listen, pg_poll.c for poll
 *   pg_write.c     insert, update, delete: set-based, guarded, read back, bisected; statements in pg_write_sql.c,
 *                  many inserts by COPY: pg_write_copy.c; unique values that change hands: pg_write_tangle.c, pg_write_cycle.c
 *   pg_attempt.c   what an update would make of a row
 *   pg_spare.c     a value that nobody has
 *   pg_state.c     our row there: the fencing number under which all is written, and the epoch; and a greeting's wait for what
 *                  former lives of ours still do there, with pg_sessions.c, which knows our sessions
 *   pg_load.c      how busy the server is with others
 *   pg_bytes.c     how much a row brings, and where to stop
 *   pg_zone.c      timestamps without time zone as moments
 *   pg_path.c      the search_path that what our writes set off runs under
 *   pg_sql.c       a statement and its parameters, types, comparisons
 *
 * This is the only room that includes libpq-fe.h.
 */
#ifndef ENDPOINT_POSTGRES_PG_H
#define ENDPOINT_POSTGRES_PG_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "endpoint/endpoint.h"

struct arena;
struct buf;
struct postgres;		/* struct endpoint is its first member */
struct pg_link;

/*
 * One statement, its own transaction, on the next free connection of the pool (in order of the calls).
 * `done` is called once, never before pg_call() has returned: with the result (PGRES_TUPLES_OK or PGRES_COMMAND_OK;
 * yours: PQclear) or with an error (classified by SQLSTATE: pg_classify). sql and parameters must live
 * until then. Text results. formats NULL: all text. params NULL: the simple protocol, sql may hold several statements
 * (one transaction, if it has no BEGIN of its own) and the last one's result is given. The deadline (statement_timeout + 5 s,
 * from when the statement is sent) closes the connection. Not connected: answered next turn with why.
 */
typedef void pg_result_fn(void *arg, PGresult *res, const struct err *e);
struct pg_params {
	int n;
	const char *const *values;	/* NULL entry: NULL */
	const int *lengths, *formats;	/* may both be NULL when all are text */
	bool reads;			/* it writes nothing: whoever asked can do without an answer when the server is silent */
	bool several;			/* no values then: the simple protocol, and sql may hold several statements, as without params */
	const struct buf *copy;		/* no values then: the simple protocol, and this is what a COPY ... FROM STDIN in sql gets */
};
void pg_call(struct postgres *, const char *sql, const struct pg_params *, pg_result_fn *done, void *arg);

/* What a SQLSTATE means to the caller (SEMANTICS 4, error classes); NULL or "" (no connection) is transient. */
enum err_kind pg_classify(const char *sqlstate);
bool pg_is_answer(const struct err *);		/* the server said so to the statement, which is undone; else it may have happened */
void pg_unanswered(struct err *);		/* why a connection ended becomes what its statement is told */
/* Fills e from a failed result: code, kind, and words without DETAIL or values; those of a function or trigger are not taken over. */
void pg_error(const PGresult *res, struct err *e);

struct pg_column {
	char *name;		/* as configured */
	char *quoted;		/* by the server's rule (PQescapeIdentifier) */
	char *type;		/* format_type(atttypid, -1), schema-qualified when needed: what a cast names; char(n) is "bpchar" */
	Oid oid;		/* base type of a domain */
	int32_t typmod;
	char category;		/* pg_type.typcategory of the base type */
	char *zone;		/* a literal: the zone of a timestamp without one; NULL: none is needed */
	bool not_null, generated, identity_always;
	/* the ways out of a cycle of unique values, where an index that is checked row by row looks at it */
	bool lets_go;		/* it may be NULL, which holds no value */
	bool steps_aside;	/* it may be given a value that nobody has */
	bool unique;		/* a unique index is on it alone: who has a value can be asked */
	char *loose;		/* texts that differ may be the same there: what to cast an array to, to have them compared so; else NULL */
	bool collated;		/* ... by its collation */
};

/*
 * A mapped table as the catalog has it. Immutable (`installed` and `toast` apart). Replaced as a whole when its definition changed; the old
 * one lives on as long as statements are under way, so do not keep a pointer across a timer: ask link->table again.
 */
struct pg_table {
	Oid oid;
	Oid toast;			/* where it keeps values that do not fit into a row; 0: it has no such place of its own */
	char *schema, *name;
	char *quoted;			/* "crm"."contacts" */
	struct pg_column id;
	struct pg_column modified;	/* quoted NULL: none */
	struct pg_column deleted;	/* delete: soft: its column; quoted NULL: none */
	size_t n_fields;
	struct pg_column *fields;	/* by field index; quoted NULL: not mapped here */
	/* reference fields: the parent's table, id and key columns on this endpoint; by field index, quoted NULL elsewhere */
	struct pg_parent {
		char *quoted;		/* parent table */
		char *id;		/* quoted id column */
		char **keys;		/* quoted key columns, in the parent entity's key order */
		size_t n_keys;
	} *parents;
	/* who refers to its rows by a foreign key that deletes or changes them along with what they refer to */
	struct pg_referrer {
		char *table, *column;	/* quoted */
		char *gone;		/* as `gone` here, of their table */
		bool is_own;		/* they are rows of this table, by field: */
		size_t field;
	} *referrers;
	size_t n_referrers;
	bool key_unique;		/* a unique index covers exactly the key columns */
	uint32_t alike[KEY_FIELDS_MAX];	/* as in struct link */
	bool waits;			/* a unique constraint is DEFERRABLE: it may wait for the commit */
	bool partitioned;
	bool soft_delete_is_flag;	/* `deleted` is boolean */
	bool soft_delete_has_value;	/* it is set to a value of one's own, not to the time or true */
	char *gone, *there;		/* condition on a row "t": it was deleted softly; what takes it back. NULL: no such thing here */
	bool has_rules;			/* rewrite rules: our own writes cannot be told apart by trigger depth */
	bool installed;			/* our triggers are in place and current */
	char *sequence;			/* quoted; ids may be drawn from it for rows sent by COPY. NULL: not for this table (pg_write_copy.c) */
	char *select_list;		/* id::text, xmin::text, stamp, gone, then the columns of struct row; "t" is the table's alias */
	char *short_list;		/* the same, for rows outside of which nothing lies: no value is measured */
	char *bytes;			/* about how much a row "t" brings; NULL: no column may be long */
	char *from_clause;		/* FROM quoted AS t LEFT JOIN parents ... */
	char *written;			/* the columns of "t" that `image` needs, each by its own name */
	char *image;			/* of a row "t" that this very transaction has written: what select_list gives, as one text */
	size_t n_columns;		/* of struct row */
	struct pg_table *next;		/* among the retired */
};

struct pg_link {
	struct link link;		/* first member */
	struct postgres *pg;
	struct pg_table *table;		/* NULL until the catalog was read and fits */
	bool wide;			/* its rows were larger than expected: their bytes are always asked for */
	struct pg_capture *capture;	/* pg_capture.c's own; NULL until first used */
	struct ack *acks;		/* pg_capture.c's own: handed out and not settled yet */
	struct pg_copies {		/* pg_write.c's own: one COPY into the table at a time */
		struct task *at_work, *first, **last;	/* and those that wait for it; last NULL: nobody has yet */
		unsigned draw;			/* the next so many draw their ids before */
	} copies;
	char told_mark[20];		/* pg_promises.c's own: the definition that was told of last */
	/* written by pg_catalog.c, read by pg_endpoint.c */
	bool untold;			/* link.alike changed since the caller was told of anything */
	struct err refusal;		/* why the caller will not use it; kind 0: it will */
	struct err misfit;		/* what does not fit; kind 0: nothing */
	struct err log_problem;		/* why the change log cannot be used; kind 0: it can, or is not needed */
	bool log_missing;		/* ... and installing would mend it */
};

/* pg_catalog.c: reads the catalog for all links of the endpoint; done when every link has a table or a `why`. */
void pg_catalog_read(struct postgres *, done_fn *done, void *arg);
void pg_table_free(struct pg_table **);
uint64_t pg_plain_digest(const void *p, size_t n);	/* no secret: for marks, the same on every machine */
/* pg_promises.c: puts usable, why and promises of every link in line with what is known now. True: something changed. */
bool pg_links_settle(struct postgres *, bool up, const struct err *install_failure);
bool pg_links_need_install(const struct postgres *);	/* some link waits for its triggers only */
/* A row's id, xmin etc. out of a result that selected select_list; the rowset takes res over. */
struct rowset *pg_rowset_take(const struct pg_table *, PGresult *res);
/* The row that an image tells of, in the arena. */
const struct row *pg_row_of_image(const struct pg_table *, struct value image, struct arena *);

/* pg_list.c, pg_rows.c, pg_capture.c, pg_write.c, pg_attempt.c: the rows of the operation table. */
extern const struct link_ops pg_link_ops;
void pg_capture_op(struct link *, const char *position, size_t max, captured_fn *done, void *arg);
void pg_ack_op(struct link *, struct ack *, done_fn *done, void *arg);
void pg_drop_op(struct link *, struct ack *);
void pg_write_op(struct link *, struct write_batch *batch, written_fn *done, void *arg);
void pg_attempt_op(struct link *, struct write_batch *batch, written_fn *done, void *arg);
void pg_acks_free(struct pg_link *);		/* the last thing before the link: nobody will settle them any more */
void pg_capture_free(struct pg_capture **);	/* on catalog change or free; outstanding acks become no-ops */

/* pg_endpoint.c, for the others */
struct postgres *pg_of(struct endpoint *);
struct endpoint *pg_endpoint(struct postgres *);
const struct topology *pg_topology(const struct postgres *);
const struct endpoint_conf *pg_conf(const struct postgres *);
struct loop *pg_loop(const struct postgres *);
bool pg_sees_all_stats(const struct postgres *);	/* pg_read_all_stats: xact_start of others is visible */
const char *pg_consumer(const struct postgres *);	/* the topology's name: who reads the change log */
const char *pg_channel(const struct postgres *);	/* crmsync_<topology>, as it is NOTIFYed; unquoted */
int pg_server_version(const struct postgres *);		/* 150008; 0: not connected */
const char *pg_role(const struct postgres *);		/* who we are there */
const char *pg_search_path(const struct postgres *);	/* what the server gave us, without our own schema; as SET takes it */
/* Quoted by the server's rules (libpq, for this connection); caller frees. NULL: not connected, or not valid UTF-8. */
char *pg_quote_name(struct postgres *, const char *name);
char *pg_quote_text(struct postgres *, const char *text);
void pg_retire(struct postgres *, struct pg_table *);	/* frees it once no statement is under way; NULL is fine */
void pg_refuse_op(struct link *, const struct err *why);
void pg_catalog_stale(struct postgres *);		/* a statement failed as if the schema had changed: read the catalog again soon */
void pg_row_refused(struct postgres *);			/* a table does not take a row as it is: its definition may be mended */

/* pg_state.c */
#define PG_FENCED "2201W"			/* SQLSTATE of a guard that found another number: nothing happened */
#define PG_FENCED_WORDS "fenced: another crmsyncd took over"
struct pg_stmt;
struct pg_greeting;
struct pg_greeting **pg_greeting(struct postgres *);	/* where the one under way is kept; NULL: none is */
void pg_greet_op(struct endpoint *, int64_t fence, greeted_fn *done, void *arg);
void pg_beat_op(struct endpoint *, int64_t epoch, done_fn *done, void *arg);
/* One more column of a RETURNING list: fails when the fencing number there is not ours. */
void pg_state_guard(struct pg_stmt *, const struct pg_link *);
void pg_state_guard_plain(struct pg_stmt *, const struct pg_link *);	/* ... for a statement without parameters */
/* Before and behind a statement: the epoch moves in the same transaction, or all of it fails. */
void pg_state_with_epoch(struct pg_stmt *, struct postgres *);
void pg_state_returning(struct pg_stmt *, struct postgres *);

/* pg_load.c */
void pg_load_op(struct endpoint *, loaded_fn *done, void *arg);

/* pg_backlog.c */
/* Looks after ep->log; cheap, call it every few seconds. False: there is nothing to look at, or it is looked at already; else done
 * (may be NULL) is called. */
bool pg_backlog_look(struct postgres *, done_fn *done, void *arg);

/* pg_install.c. Object names: schema crmsync; tables changelog, state; function crmsync.capture_<table oid or name>(); triggers crmsync_*. */
void pg_install_op(struct endpoint *, done_fn *done, void *arg);
void pg_uninstall_op(struct endpoint *, done_fn *done, void *arg);
void pg_install_print_op(struct endpoint *, void (*done)(void *arg, const char *text, const struct err *e), void *arg);

#endif
