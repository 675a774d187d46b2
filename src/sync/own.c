/*
 * own.c - what each side showed last, for the day that the state in Redis is lost: the rows that we wrote there lately, and the edits that
 * we took from there.
 *
 * A row that we wrote is stamped by its database when we wrote it, which is later than the edit that it carries (SEMANTICS
 * I6). The vector knows that; without it, a row that carries an old edit would beat an edit made elsewhere between that edit and
 * our write. So the process remembers these rows with the stamps of the edits they carry: what looks exactly so is as old as that.
 *
 * And what does not look so any more was edited on top of that, so it is younger, whatever its own stamp says (9.3). Stamps are only known
 * to lie between two looks, or are one more than those of former values: by its own alone an edit could lose to what it replaced.
 *
 * And when the store failed between our insert and its mark, the row is known here by its local id, whatever people have made of it.
 */
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "sync/state.h"

enum { OWN_MAX = 8192, PLACES = 2 * OWN_MAX };		/* of a side: more than all rounds have in work */

/*
 * Written once a row by a first load: a ring, in the order of the writes, and where in it a row is, by open addressing (who is taken out
 * closes the gap: claims.c). A table with chains took a twentieth of the daemon's time.
 */
struct own_writes {
	struct own_write {
		uint64_t id;		/* digest of the local id */
		uint64_t row;		/* digest_row(); 0: not known */
		int64_t eff;		/* of the youngest edit in it; EFF_UNKNOWN */
		bool inserted;		/* by us */
	} ring[OWN_MAX];
	struct own_place {
		uint16_t at;		/* in the ring, plus one; 0: none */
		uint16_t tag;		/* of its id, so that looking past it costs no look at the ring */
	} places[PLACES];
	size_t next;			/* in the ring: the oldest, or nothing yet */
};

/* Where it is, or the empty place where it would go. A digest: its own bits are the hash. */
static size_t place_of(const struct own_writes *own, uint64_t id)
{
	size_t at = id % PLACES;

	while (own->places[at].at != 0 && (own->places[at].tag != (uint16_t)id || own->ring[own->places[at].at - 1].id != id))
		at = (at + 1) % PLACES;
	return at;
}

static void take_out(struct own_writes *own, size_t gap)
{
	for (size_t at = (gap + 1) % PLACES; own->places[at].at != 0; at = (at + 1) % PLACES) {
		size_t home = own->places[at].tag % PLACES;

		if ((at - home) % PLACES < (at - gap) % PLACES)
			continue;	/* its home is behind the gap */
		own->places[gap] = own->places[at];
		gap = at;
	}
	own->places[gap].at = 0;
}

static uint64_t digest_of(const struct side *side, struct value id)
{
	return digest64(&side->flow->sync->store->key, id.data, (size_t)id.len);
}

static const struct own_write *find(const struct own_writes *own, uint64_t id)
{
	size_t at = place_of(own, id);

	return own->places[at].at != 0 ? &own->ring[own->places[at].at - 1] : NULL;
}

static bool was_inserted(const struct own_writes *own, uint64_t id)
{
	const struct own_write *before = find(own, id);

	return before != NULL && before->inserted;
}

enum { AHEAD = 8 };		/* so many writes before its own turn an entry of the ring is fetched, and half as many before where it was found */

static ONLY_PREFETCHES void expect_next(const struct own_writes *own)
{
	const struct own_write *soon = &own->ring[(own->next + AHEAD / 2) % OWN_MAX];

	__builtin_prefetch(&own->ring[(own->next + AHEAD) % OWN_MAX], 1);
	__builtin_prefetch(&own->places[soon->id % PLACES], 1);
}

static void remember(struct own_writes *own, const struct own_write *w)
{
	size_t at = place_of(own, own->ring[own->next].id);

	expect_next(own);
	if (own->places[at].at == own->next + 1)	/* else the row has been written again since */
		take_out(own, at);
	own->ring[own->next] = *w;
	own->places[place_of(own, w->id)] = (struct own_place){ (uint16_t)(own->next + 1), (uint16_t)w->id };
	own->next = (own->next + 1) % OWN_MAX;
}

/*
 * A row that is not the agreed one is as old as what it has alone, and what was edited there: what it has in common with that, or was given of
 * it, must not make it as young as what is still missing.
 */
static int64_t youngest_shown(const struct vector *v, size_t e)
{
	const struct vseen *seen = &v->seen[e];
	int64_t eff = EFF_UNKNOWN;

	for (size_t f = 0; f < v->n_fields; f++) {
		const struct vdeviation *dev = seen->same ? NULL : vseen_deviation(seen, f);
		const struct edit_key *key = dev != NULL ? &dev->key : &v->fields[f].key;

		if (key->eff > eff && (seen->same || dev != NULL || key->origin == e))
			eff = key->eff;
	}
	return eff;
}

void own_note(struct side *side, const struct vector *v, uint64_t row, bool inserted)
{
	const struct vseen *seen = &v->seen[side->endpoint];
	struct own_write w;

	if (!seen->present)
		return;
	if (side->own == NULL)
		side->own = xcalloc(1, sizeof *side->own);
	w.id = digest_of(side, seen->id);
	w.inserted = inserted || was_inserted(side->own, w.id);
	w.row = row;
	w.eff = youngest_shown(v, side->endpoint);
	remember(side->own, &w);
}

void own_recognise(const struct side *side, struct observation *now)
{
	const struct own_write *o;
	int64_t above;

	if (side->own == NULL || now->what != OBSERVED_ROW)
		return;
	o = find(side->own, digest_of(side, now->id));
	if (o == NULL)
		return;
	now->ours = o->inserted;
	above = o->eff + side->flow->quantum_us;
	if (o->row == digest_row(now->row))
		now->stamp = o->eff != EFF_UNKNOWN ? o->eff : STAMP_NONE;
	else if (o->row != 0 && o->eff != EFF_UNKNOWN && now->stamp < above && !fault("f22-what-is-on-top-may-be-older"))
		now->stamp = above;
}

void own_free(struct side *side)
{
	free(side->own);
	side->own = NULL;
}
