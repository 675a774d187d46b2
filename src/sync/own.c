/*
 * own.c - what we wrote lately at each side, for the day that the state in Redis is lost.
 *
 * A row that we wrote is stamped by its database when we wrote it, which is later than the edit that it carries (SEMANTICS
 * I6). The vector knows that; without it, a row that carries an old edit would beat an edit made elsewhere between that edit and
 * our write. So the process remembers the rows of its last writes with the stamps of the edits they carry: what looks
 * exactly so is no younger than that.
 *
 * And when the store failed between our insert and its mark, the row is known here by its local id, whatever people have made of it.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "sync/state.h"

enum { OWN_MAX = 8192 };		/* of a side: more than all rounds have in work */

struct own_write {
	uint64_t id;			/* digest of the local id */
	uint64_t row;			/* digest_row() */
	int64_t eff;			/* of the youngest edit in it */
	bool inserted;			/* by us */
	UT_hash_handle hh;		/* in the order of the writes */
};

static struct own_write *find(const struct side *side, struct value id, uint64_t *digest)
{
	struct own_write *o;

	*digest = digest64(&side->flow->sync->store->key, id.data, (size_t)id.len);
	HASH_FIND_BYHASHVALUE(hh, side->own, digest, sizeof *digest, (unsigned)*digest, o);
	return o;
}

/* Where the next write is noted: the row's own place, an empty one, or that of the oldest. Nothing is ever taken out besides. */
static struct own_write *place_for(struct side *side, struct own_write *own)
{
	if (side->own_places == NULL)
		side->own_places = xcalloc(OWN_MAX, sizeof *side->own_places);
	if (own == NULL && HASH_COUNT(side->own) < OWN_MAX)
		return &side->own_places[HASH_COUNT(side->own)];
	if (own == NULL)
		own = side->own;
	HASH_DEL(side->own, own);
	return own;
}

void own_note(struct side *side, const struct vector *v, bool inserted)
{
	const struct vseen *seen = &v->seen[side->endpoint];
	uint64_t digest;
	struct own_write *o;

	if (!seen->present)
		return;
	o = find(side, seen->id, &digest);
	inserted |= o != NULL && o->inserted;
	o = place_for(side, o);
	o->id = digest;
	o->row = seen->same ? v->row : seen->row;
	o->inserted = inserted;
	o->eff = v->fields[0].key.eff;
	for (size_t f = 1; f < v->n_fields; f++)
		if (v->fields[f].key.eff > o->eff)
			o->eff = v->fields[f].key.eff;
	HASH_ADD_BYHASHVALUE(hh, side->own, id, sizeof o->id, (unsigned)o->id, o);
}

void own_recognise(const struct side *side, struct observation *now)
{
	const struct own_write *o;
	uint64_t digest;

	if (side->own == NULL || now->what != OBSERVED_ROW)
		return;
	o = find(side, now->id, &digest);
	if (o == NULL)
		return;
	now->ours = o->inserted;
	if (now->stamp != STAMP_NONE && o->row == digest_row(now->row) && o->eff < now->stamp)
		now->stamp = o->eff;
}

void own_free(struct side *side)
{
	HASH_CLEAR(hh, side->own);
	free(side->own_places);
	side->own_places = NULL;
}
