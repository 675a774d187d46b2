/*
 * verify.h - inside verify: its two files.
 *
 *   verify.c       every row of every side, counted and compared; then what is in doubt, look after look; mending
 *   verify_look.c  one look at some records: what do the sides show now, what is known of it?
 */
#ifndef SYNC_VERIFY_H
#define SYNC_VERIFY_H

#include "sync/state.h"

enum verdict {
	VERDICT_DOUBT,		/* the sides differ, and another look has to tell */
	VERDICT_MATCH,
	VERDICT_OWN_FORM,	/* they differ as they are known to: a side keeps a form of its own, or is not written to */
	VERDICT_OPEN,		/* something is still to be done about it: owed, parked, held, waiting for a person */
	VERDICT_NOWHERE,	/* no side has it any more */
	VERDICT_DIFFERENT,
	VERDICT_MISSING,	/* the first of the sides compared has it, another one that should does not */
	VERDICT_EXTRA,		/* the first one does not have it */
};

struct doubtful {			/* a record that the sides did not show alike */
	struct rid rid;
	enum verdict verdict, found;	/* found: before it was mended */
	uint64_t there, outside;	/* as it was at the last look: by endpoint */
	uint64_t twice;			/* endpoints that list several rows of it */
	uint64_t held;			/* endpoints where its row is gone, and that is not believed */
	uint64_t news, known;		/* endpoints that show what is not known of them; that are known to have a row */
	uint64_t fields;		/* which differ; by field index */
	struct doubtful_row {
		uint64_t digest;
		struct value id;	/* NULL value: it never had one there */
	} *rows;			/* by endpoint */
	char *key;			/* for people; NULL: no row was read again yet */
};

struct look;
typedef void look_fn(void *arg, const struct err *e);	/* e NULL: the verdicts are in */

/*
 * Reads those records again at these endpoints and judges each. `compared` are the endpoints that count. The list must outlive it; what it
 * adds to it lies in the arena. `done` is not called before this has returned.
 */
void look_at(struct flow *, uint64_t compared, struct doubtful **list, size_t n, struct arena *, look_fn *done, void *arg);

/* Which endpoints ought to have every record: they are written to. */
bool verify_expects(const struct flow *, size_t e);

#endif
