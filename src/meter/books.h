/*
 * books.h - the books of an entity: of every change that was captured, what became of it. Pure arithmetic.
 *
 *   captured = applied + unchanged + lost + merged + pending + parked + waiting + held
 *
 * holds whenever it is asked. On the left and in the first four on the right are flows: they count since the daemon began and only
 * ever rise. The other four are the stock: changes that are still open, counted where they lie (in the vectors, in the journal), not
 * where they are booked; so a change that is dropped without a word, or settled twice, shows as a difference.
 *
 * A change is what one look found of one record at one endpoint: a row that a capture brought, or an edit or delete that a survey,
 * a sweep or the reading of the other sides found. Several edits between two looks are one change, as they are for the rest of the
 * daemon. It is in the books from the moment on that what was decided of it is durable; a round that is given up has booked
 * nothing, and its changes come again, since they were not acknowledged. A change that comes again after it was booked (the
 * acknowledgement was lost, or it was found elsewhere before) counts once more, as captured and as unchanged.
 *
 *   unchanged	there was nothing to do: an echo of our own write, or values that were agreed already
 *   applied	what it said, or the merge that took it up, has reached every other side
 *   lost	nothing of it is left, a rule has decided so, and the conflict journal tells of it
 *   merged	it met another change of the same record that was still open, and both went on as one; also what was open and is
 *		not any more without having been decided: a parked row that was let go, what the state that is read anew does not have
 *   pending	some side that can take it, or will when it is there again, has yet to get it
 *   parked	a row that cannot be taken, or a write that some side will not take: it stands aside with its cause
 *   waiting	a person has to decide (rule manual)
 *   held	a delete that the guard against mass deletes has held
 *
 * One record has one open change in its vector, besides parked rows and held deletes, which have their own lines. What is open
 * already when the daemon begins, or when the state is read anew because Redis was away, is carried over: it counts as captured.
 */
#ifndef METER_BOOKS_H
#define METER_BOOKS_H

#include <stdbool.h>
#include <stdint.h>

enum books_outcome {
	BOOKS_UNTOLD,			/* whoever dropped it did not say why: the books will not balance */
	BOOKS_UNCHANGED, BOOKS_APPLIED, BOOKS_LOST, BOOKS_MERGED
};

/* Of a record, as its vector tells. */
enum books_state { BOOKS_SETTLED, BOOKS_PENDING, BOOKS_PARKED, BOOKS_WAITING, BOOKS_STATES };

struct books {
	uint64_t captured, applied, unchanged, lost, merged;
	int64_t records[BOOKS_STATES];	/* open ones; BOOKS_SETTLED is not counted */
	int64_t parked_rows;		/* that cannot be taken */
	int64_t held;			/* deletes; put in by whoever shows the books, as the guards count them */
};

void books_outcome(struct books *, enum books_outcome);		/* of a change that was captured, or was open */
void books_came(struct books *, enum books_outcome);		/* captured, and settled at once */
void books_record(struct books *, enum books_state before, enum books_state after);	/* the record's open change */
/* Open changes that others have counted: so many more than the books knew of, or fewer. */
void books_carry(struct books *, int64_t more);
/* The vectors were gone through. again: only to look, and what differs is a fault and stays to be seen. */
void books_recount(struct books *, const int64_t records[BOOKS_STATES], bool again);

int64_t books_parked(const struct books *);
bool books_balance(const struct books *);

#endif
