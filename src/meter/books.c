#include "meter/books.h"

void books_outcome(struct books *b, enum books_outcome outcome)
{
	switch (outcome) {
	case BOOKS_UNTOLD:
		break;
	case BOOKS_UNCHANGED:
		b->unchanged++;
		break;
	case BOOKS_APPLIED:
		b->applied++;
		break;
	case BOOKS_LOST:
		b->lost++;
		break;
	case BOOKS_MERGED:
		b->merged++;
		break;
	}
}

void books_came(struct books *b, enum books_outcome outcome)
{
	b->captured++;
	books_outcome(b, outcome);
}

void books_record(struct books *b, enum books_state before, enum books_state after)
{
	if (before != BOOKS_SETTLED)
		b->records[before]--;
	if (after != BOOKS_SETTLED)
		b->records[after]++;
}

void books_carry(struct books *b, int64_t more)
{
	if (more > 0)
		b->captured += (uint64_t)more;
	else
		b->merged += (uint64_t)-more;
}

static int64_t open_records(const int64_t records[BOOKS_STATES])
{
	return records[BOOKS_PENDING] + records[BOOKS_PARKED] + records[BOOKS_WAITING];
}

void books_recount(struct books *b, const int64_t records[BOOKS_STATES], bool again)
{
	if (!again)
		books_carry(b, open_records(records) - open_records(b->records));
	for (int state = BOOKS_PENDING; state < BOOKS_STATES; state++)
		b->records[state] = records[state];
}

int64_t books_parked(const struct books *b)
{
	return b->records[BOOKS_PARKED] + b->parked_rows;
}

bool books_balance(const struct books *b)
{
	int64_t settled = (int64_t)(b->applied + b->unchanged + b->lost + b->merged);

	return (int64_t)b->captured == settled + open_records(b->records) + b->parked_rows + b->held;
}
