/*
 * undo_referred.c - what an undo is to end, and a record that stays refers to: it does not end before that is gone, or refers to another one.
 *
 * The end of a record is agreed at once. Sides whose rows refer to it refuse the delete; but one that was away and has no row of it would never
 * get one, nor then what refers to it: the sides would differ for as long as that stays. So before it is decided whoever can be
 * reached is asked which rows refer to those that he has. What the same undo ends, of other entities, is gone by then. Of its own entity
 * it may be in this very round: then what refers to it and ends with it does not count, unless something keeps that, too.
 *
 * Rows that are no record's are not asked for: whether they are in the way the database tells when it is to delete.
 */
#include "base/fault.h"
#include "sync/round.h"
#include "sync/undo.h"

enum { REFERRING_MOST = 400 };		/* rows of an answer: it is not bounded in bytes */

struct ending {				/* in this round */
	struct subject *subject;
	struct tie *ties;		/* what refers to it, and may end with it; a list */
};

struct tie {
	struct rid child;
	struct tie *next;
};

struct referring {			/* all that is asked of a round */
	struct round *round;
	struct ending *list;
	size_t n;
};

struct question {			/* one of one side: which rows have one of these in that reference? */
	struct referring *all;
	struct side *side;		/* of those who refer */
	size_t field;
	struct ending **whose;		/* the n-th id is of the n-th one's row */
	struct value *ids;
	size_t n;
};

/* ---- one row that refers to one of them ---------------------------------------------------------------- */

/* The database may compare them otherwise than by their bytes: then it tells only of one that is asked for alone. */
static size_t find_id(const struct question *q, struct value id)
{
	size_t i = 0;

	while (i < q->n && q->n > 1 && !value_equal(q->ids[i], id))
		i++;
	return i;
}

static void keep(struct ending *x)
{
	x->subject->referred = true;
}

/* NULL value: it cannot be told whose row it is. */
static struct value key_of(const struct question *q, const struct row *row)
{
	struct round *r = q->all->round;
	struct meter_entity counted = { 0 };		/* with the round that takes it */
	const struct field_def *field;
	struct observation o;
	struct err e = { 0 };

	return observe_row(q->side->flow, q->side, row, &r->arena, &counted, &o, &field, &e) ? record_key(q->side->flow->def, o.values, &r->arena)
											     : VALUE_NULL;
}

static void note_row(const struct question *q, const struct row *row, struct ending *x)
{
	struct round *r = q->all->round;
	bool own_kind = q->side->flow == r->flow;
	struct value key = own_kind ? key_of(q, row) : VALUE_NULL;
	struct tie *tie;

	if (own_kind && value_equal(row->id, x->subject->seen[q->side->endpoint].id))
		return;
	tie = arena_zalloc(&r->arena, sizeof *tie);
	if (!value_is_null(key))
		tie->child = rid_of(&sync_of(r)->store->key, r->flow->def, key);
	if (value_is_null(key) || !undo_is_to_end(r->flow, &tie->child)) {
		keep(x);
		return;
	}
	tie->next = x->ties;
	x->ties = tie;
}

/* ---- asking ------------------------------------------------------------------------------------------ */

static void ask(struct question *q);

/* False: there may be more than the answer holds, or it cannot be told to which of them a row refers. */
static bool take_rows(const struct question *q, const struct rowset *rows)
{
	bool all = rows->n < REFERRING_MOST || fault("f15-some-who-refer-are-all");

	for (size_t i = 0; i < rows->n; i++) {
		const struct row *row = &rows->rows[i];
		size_t n = find_id(q, row->columns[q->side->flow->first_column[q->field]]);

		if (n == q->n)
			all = fault("f15-who-refers-in-other-letters-does-not-count") && all;
		else if (!row->outside)
			note_row(q, row, q->whose[n]);
	}
	return all;
}

/* What is to stay already needs no answer. */
static void ask_half(const struct question *q, size_t from, size_t n)
{
	struct question *half = arena_alloc(&q->all->round->arena, sizeof *half);

	*half = *q;
	half->whose += from;
	half->ids += from;
	half->n = 0;
	for (size_t i = from; i < from + n; i++)
		if (!q->whose[i]->subject->referred) {
			half->whose[half->n] = q->whose[i];
			half->ids[half->n++] = q->ids[i];
		}
	if (half->n > 0)
		ask(half);
}

/*
 * Fewer at a time, so that it comes to an end whatever the answers are. One alone stays if so many refer to it: those of them that are to end go
 * first, and then it is looked at again.
 */
static void ask_again(const struct question *q)
{
	if (q->n == 1) {
		keep(q->whose[0]);
		return;
	}
	ask_half(q, 0, q->n / 2);
	ask_half(q, q->n / 2, q->n - q->n / 2);
}

/* Who does not answer is as one that is away. */
static void on_rows(void *arg, struct rowset *rows, const struct err *e)
{
	struct question *q = arg;
	struct round *r = q->all->round;

	if (e == NULL) {
		bool all = take_rows(q, rows);

		rowset_free(&rows);
		if (!all)
			ask_again(q);
	}
	round_answered(r);
}

static void ask(struct question *q)
{
	q->all->round->waiting++;
	q->side->link->ops->read_referring(q->side->link, q->field, q->ids, q->n, REFERRING_MOST, on_rows, q);
}

static void ask_side(struct referring *all, struct side *side, size_t field)
{
	struct round *r = all->round;
	struct question *q;

	if (side == NULL || !side_usable(side) || side->link->mapping->columns[field] == NULL)
		return;
	q = arena_alloc(&r->arena, sizeof *q);
	*q = (struct question){ .all = all, .side = side, .field = field, .whose = arena_alloc(&r->arena, all->n * sizeof(struct ending *)),
				.ids = arena_alloc(&r->arena, all->n * sizeof(struct value)) };
	for (size_t i = 0; i < all->n; i++) {
		const struct observation *o = &all->list[i].subject->seen[side->endpoint];

		if (o->what != OBSERVED_ROW)
			continue;
		q->whose[q->n] = &all->list[i];
		q->ids[q->n++] = o->id;
	}
	if (q->n > 0)
		ask(q);
}

void round_ask_referred(struct round *r)
{
	struct referring *all;

	if (r->flow->undos == NULL || r->plan != NULL || fault("f15-what-an-undo-ends-nobody-refers-to"))
		return;
	all = r->referring = arena_zalloc(&r->arena, sizeof *all);
	all->round = r;
	all->list = arena_zalloc(&r->arena, (r->n + 1) * sizeof *all->list);
	for (size_t i = 0; i < r->n; i++)
		if (is_live(&r->subjects[i]) && undo_ends(r, &r->subjects[i]))
			all->list[all->n++].subject = &r->subjects[i];
	for (size_t i = 0; all->n > 0 && i < sync_of(r)->topology->n_entities; i++) {
		struct flow *children = &sync_of(r)->flows[i];

		for (size_t f = 0; f < children->def->n_fields; f++)
			for (size_t e = 0; children->def->fields[f].refers == r->flow->def && e < n_endpoints(r); e++)
				ask_side(all, children->sides[e], f);
	}
}

/* ---- what came of it --------------------------------------------------------------------------------- */

/* It was looked at in this round, and does not end. Another round's may end yet; where it does not, the database refuses. */
static bool stays(const struct round *r, const struct referring *all, const struct rid *child)
{
	for (size_t i = 0; i < all->n; i++)
		if (rid_equal(&all->list[i].subject->rid, child))
			return all->list[i].subject->referred;
	for (size_t i = 0; i < r->n; i++)
		if (is_live(&r->subjects[i]) && rid_equal(&r->subjects[i].rid, child))
			return true;
	return false;
}

static bool keep_those_of(const struct round *r, struct referring *all, struct ending *x)
{
	for (const struct tie *t = x->ties; t != NULL && !x->subject->referred; t = t->next)
		if (stays(r, all, &t->child)) {
			keep(x);
			return true;
		}
	return false;
}

void round_got_referred(struct round *r)
{
	struct referring *all = r->referring;
	bool more = all != NULL;

	while (more) {
		more = false;
		for (size_t i = 0; i < all->n; i++)
			more |= keep_those_of(r, all, &all->list[i]);
	}
	r->referring = NULL;
}
