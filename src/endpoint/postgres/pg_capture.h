/*
 * pg_capture.h - inside capture: what pg_capture.c, pg_log.c (listen) and pg_poll.c (poll) share.
 *
 *   asked:   step -> find (log entries, or a page of changed rows) -> pick ids -> read their rows -> answer
 *
 * One capture of a link is worked on at a time; others wait in line. A step never answers the caller of the
 * operation that caused it: it runs from the loop.
 */
#ifndef ENDPOINT_POSTGRES_PG_CAPTURE_H
#define ENDPOINT_POSTGRES_PG_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "endpoint/postgres/pg.h"
#include "endpoint/postgres/pg_hset.h"
#include "endpoint/postgres/pg_sql.h"

/* A local id with news, before its row was read. */
struct pick {
	struct value id, old_id;	/* in asked.mem */
	bool ended;			/* listen: the row that had the id was deleted, or got another one */
	bool deleted;			/* listen: it was deleted, and had not got another one before */
	int64_t stamp;
};

/* What was taken with one capture, until it is acked or dropped. */
struct ack {
	struct pg_capture *home;	/* NULL: the capture went away; nothing is left to do */
	struct pg_link *pl;
	struct ack *next;		/* in pl->acks */
	bool settling;			/* acked, being deleted: its ids are still to be left out, its rows are free again */
	int64_t *ids;			/* listen: log entries */
	size_t n_ids, cap_ids;
	uint64_t *hashes;		/* listen: digests of the local ids; poll: of (id, version) to be skipped when seen again */
	size_t n_hashes, cap_hashes;
	char *position;			/* poll: what the caller will give next */
	bool page_full;			/* poll: the run goes on behind it */
	struct pg_stmt st;
	done_fn *done;
	void *arg;
};
struct ack *pg_ack_new(struct pg_capture *home);
void pg_ack_free(struct ack *k);			/* NULL is fine; nothing of it was settled */
void pg_ack_add_id(struct ack *k, int64_t id);
void pg_ack_add_hash(struct ack *k, uint64_t hash);

/* One call of capture. */
struct asked {
	struct asked *next;
	struct pg_capture *home;	/* NULL: was answered because the capture went away */
	char *position;			/* as given; NULL: none */
	size_t max;
	captured_fn *done;
	void *arg;
	struct pg_stmt st;
	struct arena mem;
	struct pick *picks;
	size_t n_picks;
	int64_t bytes;			/* listen: of the rows that were picked, as far as is known */
	struct ack *ack;		/* owned until handed out */
	size_t entries;
	bool more, truncated;
	int64_t began_us;
	char *next_position;
	char *gap;			/* listen: as in struct captured */
	struct log_entry *taken;	/* listen: what the picks are made of */
	size_t n_taken;
	bool held_back;			/* listen: some of it, until the log tells where a row went */
	/* poll */
	bool fresh;			/* the run it reads began within this call */
	bool keep_versions;		/* its rows may be seen again: remember their versions when acked */
};

/* listen: entries fetched and not handed out yet */
struct log_chunk {
	PGresult *res;
	size_t refs;			/* entries that point into it */
};
struct log_entry {
	int64_t id, at;
	int64_t bytes;			/* of the row, when the entry was fetched; 0: there was none, or it is short */
	struct value pk, old_pk;
	char op;
	struct log_chunk *chunk;
};
struct pg_log {
	struct log_entry *queue;	/* in order of id */
	size_t n;
	bool more;			/* the last fetch was full */
	char name[32];			/* what the log was at the last fetch */
	int64_t fetched_us;		/* before it was sent */
	struct pg_hset waits;		/* so often the log was fetched again for where a row with that id went */
};

/* poll: a run reads from the position up to the newest row, page by page, under one bound */
struct pg_poll {
	bool running;			/* goes on behind (at, id) */
	char *at, *id;
	char *expected, *alias;		/* position that continues the run; and one that means the same */
	char *start, *low;		/* the run's first moment; below `low` nothing can appear any more */
	bool advance;			/* low > start */
	bool known;			/* the caller holds a position that is not to be replaced without need */
	int64_t began_us;
	struct pg_hset before, now;	/* settled (id, version) seen in the last run and in this one */
};

struct pg_capture {
	struct pg_link *pl;
	struct asked *first, *last;
	bool busy;			/* a statement for `first` is under way */
	struct loop_timer *turn;	/* owned; set: a step is due */
	struct pg_log log;
	struct pg_poll poll;
};

/* pg_capture.c */
void pg_asked_forget(struct asked *a);			/* picks and what belongs to them: to start over */
void pg_capture_read(struct asked *a);			/* reads the rows of the picks, then answers */
void pg_capture_answer(struct asked *a, struct rowset *rows);	/* rows NULL: nothing was found */
void pg_capture_fail(struct asked *a, const struct err *e);	/* counts a schema error against the catalog */
/* For results: true when the capture went away meanwhile; then a is gone too. */
bool pg_asked_orphan(struct asked *a, PGresult *res);

/* pg_log.c */
void pg_log_step(struct asked *a);
/* True: what became of some of the rows is told later in the log; it is captured anew without them, and this news is not to be given. */
bool pg_log_goes_on(struct asked *a, const struct news *news);
void pg_log_release(struct asked *a);			/* what was taken for it */
void pg_log_ack(struct ack *k, pg_result_fn *done);
void pg_log_fini(struct pg_log *log);
/* One row: what the log is now, as a position; NULL: what fills it is not there. */
void pg_log_position_sql(struct pg_stmt *st, const struct pg_link *pl);
void pg_log_stamps_sql(struct pg_stmt *st, const struct pg_link *pl, const struct value *ids, size_t n);

/* pg_poll.c */
void pg_poll_step(struct asked *a);
void pg_poll_read(struct asked *a, const struct rowset *rows);		/* the rows of the picks, about to be answered */
void pg_poll_settled(struct pg_poll *poll, const struct ack *k);
void pg_poll_dropped(struct pg_poll *poll);
void pg_poll_fini(struct pg_poll *poll);
/* The safe bound of now. at NULL: start a little before now. */
void pg_poll_bound_sql(struct pg_stmt *st, const struct pg_link *pl, const char *at);
char *pg_poll_position_of(const PGresult *bound);		/* the bound as a position; caller frees */

#endif
