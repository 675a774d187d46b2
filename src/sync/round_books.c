/*
 * round_books.c - what became of each change goes into the books (meter/books.h), once the round is marked.
 *
 * A subject brings the news that it was made for, and the edits that were found at other endpoints when they were read. Its record
 * has at most one open change in its vector: what comes while that is open joins it, what settles the record settles it.
 */
#include "sync/round.h"

enum books_state flow_state_of(const struct flow *flow, const struct vector *v)
{
	bool owed = false;

	for (size_t e = 0; e < v->n_endpoints; e++) {
		if (flow->sides[e] == NULL || !v->seen[e].owed)
			continue;
		if (!v->seen[e].parked)
			return BOOKS_PENDING;
		owed = true;
	}
	if (decide_waits(flow->def, v, flow_endpoints(flow)))
		return BOOKS_WAITING;
	return owed ? BOOKS_PARKED : BOOKS_SETTLED;
}

static enum books_state state_before(const struct round *r, const struct subject *s)
{
	return s->base != NULL && !s->buried && !s->revived ? flow_state_of(r->flow, s->base) : BOOKS_SETTLED;
}

static enum books_state state_after(const struct round *r, const struct subject *s)
{
	return vector_spent(s->d.next) ? BOOKS_SETTLED : flow_state_of(r->flow, s->d.next);
}

static bool is_decided(const struct subject *s)
{
	return is_live(s) && s->decided;
}

/* That line is about what was agreed, which was in the books before this round. */
static bool is_about_agreement(const struct subject *s, const struct lost_edit *l)
{
	if (s->base == NULL || s->buried || s->revived)
		return false;
	return same_key(&l->loser_key, l->kind == LOST_DELETE ? &s->base->deleted : &s->base->fields[l->field].key);
}

static bool has_lost(const struct subject *s, size_t e)
{
	for (size_t i = 0; i < s->d.n_lost; i++)
		if (s->d.lost[i].loser == e && !is_about_agreement(s, &s->d.lost[i]))
			return true;
	return false;
}

/* Of the change there: BOOKS_APPLIED is what it comes to when its record is settled. */
static enum books_outcome outcome_at(const struct subject *s, size_t e)
{
	if (!is_decided(s))
		return s->outcome;
	if (s->aside || (s->not_ours & BIT(e)))
		return BOOKS_MERGED;	/* nothing was decided: it goes on with the row that is parked, or with the record that the row is of */
	if (s->d.stood & BIT(e))
		return BOOKS_APPLIED;
	return has_lost(s, e) ? BOOKS_LOST : BOOKS_UNCHANGED;
}

static uint64_t owed_fields(const struct vector *v)
{
	uint64_t mask = 0;

	for (size_t e = 0; e < v->n_endpoints; e++) {
		const struct vseen *seen = &v->seen[e];

		for (size_t f = 0; seen->owed && !seen->present && f < v->n_fields; f++)
			mask |= BIT(f);
		for (size_t i = 0; seen->owed && seen->present && i < seen->n_deviations; i++)
			mask |= BIT(seen->deviations[i].field);
	}
	return mask;
}

/* The open change is settled because all of it that others had yet to get has lost. */
static bool agreement_lost(const struct subject *s)
{
	uint64_t owed = s->base->dead ? 1 : owed_fields(s->base), left = owed;

	for (size_t i = 0; i < s->d.n_lost; i++)
		if (is_about_agreement(s, &s->d.lost[i]))
			left &= s->d.lost[i].kind == LOST_DELETE ? 0 : ~BIT(s->d.lost[i].field);
	return owed != 0 && left == 0;
}

struct booking {
	struct books *books;
	enum books_state before, after;
	bool opened;			/* the record's open change is one of this subject's */
};

static void book_change(struct booking *b, enum books_outcome outcome, bool captured_before)
{
	bool one_is_open = b->before != BOOKS_SETTLED || b->opened;

	if (outcome == BOOKS_APPLIED && b->after != BOOKS_SETTLED && !one_is_open) {
		b->opened = true;
		b->books->captured += !captured_before;
		return;
	}
	if (outcome == BOOKS_APPLIED && one_is_open)
		outcome = BOOKS_MERGED;
	if (captured_before)
		books_outcome(b->books, outcome);
	else
		books_came(b->books, outcome);
}

static void book_at(struct round *r, const struct subject *s, struct booking *b, size_t e)
{
	bool here = r->side != NULL && r->side->endpoint == e;
	bool news = here && r->captured != NULL;	/* a row that a survey or sweep only looked at is no change */
	bool edited = is_decided(s) && (s->d.edited & BIT(e));
	enum books_outcome outcome = outcome_at(s, e);

	if (s->set_aside & BIT(e)) {	/* it has a line of its own, which is in the books; or came once more to that */
		if (s->let_go & BIT(e))		/* the delete that was held there; its row is back, and stands aside instead */
			books_outcome(b->books, BOOKS_MERGED);
		if (news && !(s->set_aside_now & BIT(e)))
			books_came(b->books, BOOKS_MERGED);
	} else if (s->let_go & BIT(e)) {	/* captured when it was held */
		book_change(b, edited ? outcome : BOOKS_MERGED, true);
	} else if (news || ((edited || here) && outcome != BOOKS_UNCHANGED && outcome != BOOKS_MERGED)) {
		book_change(b, outcome, false);
	}
}

void round_book(struct round *r, const struct subject *s)
{
	struct booking b = { .books = &r->flow->books, .before = state_before(r, s) };

	b.after = is_decided(s) ? state_after(r, s) : b.before;
	for (size_t e = 0; e < n_endpoints(r); e++)
		book_at(r, s, &b, e);
	if (b.before == BOOKS_SETTLED && b.after != BOOKS_SETTLED && !b.opened)
		b.books->captured++;	/* nobody changed anything: a difference that was found, and has to be evened out */
	if (b.before != BOOKS_SETTLED && b.after == BOOKS_SETTLED)
		books_outcome(b.books, agreement_lost(s) ? BOOKS_LOST : BOOKS_APPLIED);
	books_record(b.books, b.before, b.after);
}
