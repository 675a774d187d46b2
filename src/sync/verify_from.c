/*
 * verify_from.c - repair --from: what one side shows is imposed on the others. And, without it, rows that only a target has.
 *
 * A target has no say, so by the rules there is no such record, and none that a delete would be of: that it is nowhere else is imposed, as
 * if by one of the others. Not while any of them is not compared, has such a row outside of its `where`, or cannot have it read.
 *
 * The rounds are those of any repair; here they get what is imposed (model/decide_imposed.c), and that holds only where every side
 * still shows what the verification saw. Where one does not, somebody has edited it meanwhile, and the entity's rules decide.
 *
 * Left alone: records whose row at that side is outside of its `where`, for nobody knows then what it is to be elsewhere; and those of
 * which a side has several rows.
 */
#include "base/log.h"
#include "sync/round.h"
#include "sync/verify.h"

static bool can_be_imposed(const struct sync_verify *v, const struct doubtful *d)
{
	return verify_is_wrong(d) && d->twice == 0 && !(d->outside & BIT(v->from->endpoint));
}

static void add(struct sync_verify *v, struct doubtful *d, size_t side)
{
	size_t n = v->sync->topology->n_endpoints;

	d->side = side;
	d->told_there = d->there & ~d->outside;
	d->told = arena_alloc(&v->arena, n * sizeof *d->told);
	for (size_t e = 0; e < n; e++)
		d->told[e] = d->rows[e].digest;
	HASH_ADD(hh, v->imposed, rid, sizeof d->rid, d);
}

/* An endpoint that has a say; n_endpoints: there is none, or one of them is not compared. */
static size_t who_has_a_say(const struct sync_verify *v)
{
	size_t n = v->sync->topology->n_endpoints, found = n;

	for (size_t e = 0; e < n; e++) {
		const struct side *side = v->flow->sides[e];

		if (side == NULL || side->mapping->role == ROLE_TARGET)
			continue;
		if (!verify_compares(v, e))
			return n;
		found = e;
	}
	return found;
}

static bool is_only_at_targets(const struct sync_verify *v, const struct doubtful *d)
{
	if (!verify_is_wrong(d) || d->known != 0 || d->twice != 0 || d->outside != 0 || d->held != 0)
		return false;
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if ((d->there & BIT(e)) && v->flow->sides[e]->mapping->role != ROLE_TARGET)
			return false;
	return true;
}

void verify_from_others(struct sync_verify *v)
{
	size_t side = who_has_a_say(v), limit = held_limit(v->flow), n = 0;

	if (side == v->sync->topology->n_endpoints)
		return;
	for (size_t i = 0; i < v->n_doubts; i++)
		n += is_only_at_targets(v, v->doubts[i]);
	if (n > limit) {
		log_error("rows that only a target has are left there: more than limits.mass_delete allows to be deleted",
			  LOG_S("entity", v->flow->def->name), LOG_I("rows", (int64_t)n), LOG_I("limit", (int64_t)limit));
		return;
	}
	for (size_t i = 0; i < v->n_doubts; i++)
		if (is_only_at_targets(v, v->doubts[i]))
			add(v, v->doubts[i], side);
}

bool verify_from_choose(struct sync_verify *v, struct err *e)
{
	size_t limit = held_limit(v->flow), deletes = 0;

	for (size_t i = 0; i < v->n_doubts; i++) {
		struct doubtful *d = v->doubts[i];

		if (!can_be_imposed(v, d))
			continue;
		deletes += (d->there & BIT(v->from->endpoint)) == 0;
		add(v, d, v->from->endpoint);
	}
	if (deletes <= limit)
		return true;
	return err_set(e, ERR_CONFIG, "mass-delete", "nothing was written: %s does not have %zu of these records, and so many deletes are more than "
		       "limits.mass_delete allows (%zu)", v->from->mapping->endpoint->name, deletes, limit);
}

static struct doubtful *find(const struct sync_verify *v, const struct rid *rid)
{
	struct doubtful *d;

	HASH_FIND(hh, v->imposed, rid, sizeof *rid, d);
	return d;
}

bool verify_from_has(const struct sync_verify *v, const struct doubtful *d)
{
	return find(v, &d->rid) != NULL;
}

void verify_from_end(struct sync_verify *v)
{
	HASH_CLEAR(hh, v->imposed);
}

/* A dry run is for its own plan, and other plans are about the rules. */
static bool is_for(const struct sync_verify *v, const struct round *r)
{
	return v != NULL && v->imposed != NULL && !v->ended && v->flow == r->flow &&
	       (v->mode == VERIFY_PLAN ? r->plan != NULL && r->plan == v->plan : r->plan == NULL);
}

void verify_impose(struct round *r, const struct subject *s, struct decide_policy *p)
{
	const struct sync_verify *v = sync_of(r)->verify;
	struct doubtful *d = is_for(v, r) && !s->moved ? find(v, &s->rid) : NULL;
	struct imposition *i;
	uint64_t *rows;

	if (d == NULL)
		return;
	i = arena_zalloc(&r->arena, sizeof *i);
	rows = arena_alloc(&r->arena, n_endpoints(r) * sizeof *rows);	/* the round may outlive the verification */
	memcpy(rows, d->told, n_endpoints(r) * sizeof *rows);
	*i = (struct imposition){ .what = IMPOSE_SIDE, .fields = UINT64_MAX, .side = d->side, .looked_at = v->sums.compared_at,
				  .there = d->told_there, .rows = rows };
	p->imposed = i;
}
