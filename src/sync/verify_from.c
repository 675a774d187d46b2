/*
 * verify_from.c - repair --from: what one side shows is imposed on the others.
 *
 * The rounds are those of any repair; here they get what is imposed (model/decide_imposed.c), and that holds only where every side
 * still shows what the verification saw. Where one does not, somebody has edited it meanwhile, and the entity's rules decide.
 *
 * Left alone: records whose row at that side is outside of its `where`, for nobody knows then what it is to be elsewhere; and those of
 * which a side has several rows.
 */
#include "sync/round.h"
#include "sync/verify.h"

static bool can_be_imposed(const struct sync_verify *v, const struct doubtful *d)
{
	return verify_is_wrong(d) && d->twice == 0 && !(d->outside & BIT(v->from->endpoint));
}

static void add(struct sync_verify *v, struct doubtful *d)
{
	size_t n = v->sync->topology->n_endpoints;

	d->told_there = d->there & ~d->outside;
	d->told = arena_alloc(&v->arena, n * sizeof *d->told);
	for (size_t e = 0; e < n; e++)
		d->told[e] = d->rows[e].digest;
	HASH_ADD(hh, v->imposed, rid, sizeof d->rid, d);
}

bool verify_from_choose(struct sync_verify *v, struct err *e)
{
	size_t limit = held_limit(v->flow), deletes = 0;

	for (size_t i = 0; i < v->n_doubts; i++) {
		struct doubtful *d = v->doubts[i];

		if (!can_be_imposed(v, d))
			continue;
		deletes += (d->there & BIT(v->from->endpoint)) == 0;
		add(v, d);
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
	*i = (struct imposition){ .what = IMPOSE_SIDE, .side = v->from->endpoint, .looked_at = v->sums.compared_at,
				  .there = d->told_there, .rows = rows };
	p->imposed = i;
}
