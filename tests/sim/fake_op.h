/*
 * fake_op.h - what the files of the simulated endpoint share: an operation on its way, and what each kind of it does to the database.
 *
 *   fake_endpoint.c  the seam of endpoint.h, the steps of an operation and its answer
 *   fake_capture.c   reading: news, their acknowledgement, lists, rows by id or key, stamps
 *   fake_write.c     writing: guards, constraints, locks
 */
#ifndef SIM_FAKE_OP_H
#define SIM_FAKE_OP_H

#include "endpoint/endpoint.h"
#include "world.h"

/* What was handed out and is not returned yet. */
struct ack {
	struct ack *next;
	struct fake_link *link;
	int64_t *entries;
	size_t n_entries;
	struct told *told;
	size_t n_told;
};

struct given { int64_t id; uint64_t version; };	/* poll: what was captured already, so that the overlap is not given twice */

struct fake_link {
	struct link link;		/* first member */
	struct fake_endpoint *face;
	size_t entity;
	struct given *given;
	size_t n_given;
};

struct fake_endpoint {
	struct endpoint endpoint;	/* first member */
	struct world *world;
	struct db *db;
	struct fake_link links[SIM_ENTITIES];
	struct fake_op *ops;
	struct ack *acks;		/* handed out, not returned yet */
	uint32_t incarnation;
	int64_t offset_error_us;
	bool started, freeing;
};

enum op_kind { OP_CAPTURE, OP_ACK, OP_LIST, OP_READ, OP_READ_KEY, OP_READ_REFERRING, OP_STAMPS, OP_WRITE, OP_ATTEMPT, OP_POSITION, OP_ESTIMATE, OP_SCHEMA, OP_GREET, OP_BEAT };

struct fake_write {			/* a copy: the caller's batch may be gone when it takes effect */
	enum write_op op;
	int64_t id;
	uint64_t version, fields;
	char *values[SIM_FIELDS];
	bool forced;			/* insert: an equal row is an error, and says what it is */
	bool tangled;			/* update: another row has its value; it waits for that to go */
	enum write_outcome outcome;
	struct err err;
};

struct fake_op {
	struct fake_op *next, **link_to;
	struct world *world;
	struct db *db;
	struct fake_link *link;		/* NULL once nobody waits for it */
	size_t entity;
	enum op_kind kind;
	unsigned step, steps;
	bool fails, effect_first;	/* an error at the end; with the effect before it or not */
	int64_t deadline_us;		/* of a lock */
	bool orphan;			/* counted among the database's */
	int64_t late_us;		/* the next step waits for so long */
	int64_t fence, epoch;		/* under which it writes, and which it leaves */
	uint32_t asked_in;		/* epoch of the world: a round that asked before one is over */
	uint32_t life;			/* of the database */
	struct greeting greeting;
	/* asked */
	int64_t position, after, until, began_us, *ids;
	bool has_position;
	size_t max, n, field;
	char **keys;
	struct ack *ack;
	struct fake_write *writes;
	enum write_op order[3];
	struct write_batch *batch;
	/* to answer */
	struct captured *got;
	struct rowset *rows;
	struct told *told;
	size_t n_told;
	struct stamps *stamps;
	union {
		captured_fn *captured;
		rowset_fn *rowset;
		stamps_fn *stamps;
		written_fn *written;
		done_fn *done;
		greeted_fn *greeted;
		void (*position)(void *, const char *, const struct err *);
		void (*estimate)(void *, int64_t, const struct err *);
	} answer;
	void *arg;
};

/* fake_capture.c. Of two steps the first looks at the log, the second at the rows. */
void op_capture(struct fake_op *);
void op_list(struct fake_op *);
void op_read(struct fake_op *);
void op_stamps(struct fake_op *);
int64_t fake_safe_bound(const struct fake_op *);		/* INT64_MAX: none */
void fake_ack_effect(struct db *, size_t entity, const struct ack *);
void fake_ack_release(struct ack *);			/* what it has is given again; frees it */
void fake_ack_free(struct ack *);

/* fake_write.c. One statement: all rows of one kind of write. False: it waits for a lock. */
bool op_write(struct fake_op *);

#endif
