/*
 * doubt.h - writes of ours of which nobody knows whether they happened. Pure.
 *
 * The daemon or its connection may end between a write and its answer. What such a write would show is kept with what
 * the endpoint showed before (struct vseen: uncertain, intended), and the next look at the row tells which of the two
 * it is; otherwise our own value, when something newer is agreed by then, would pass for somebody's edit. A statement is
 * atomic: when one of its fields shows what was intended, all of them did. Somebody may have edited on top
 * of either; where every field that was to be written shows a third value, the write most likely happened first. Where one shows
 * what was intended and another one what was there before, one of the two was edited to a value that we know: nobody
 * can tell which, and an old value under a fresh stamp would beat what is newer; both count as known, neither as an edit.
 * What the endpoint makes of what was intended (it rounds it, say) is as good as that, where it could be asked; where it may be that and
 * nobody can tell, it is suspect.
 * Nor can be told whether all of a row with our insert's key is ours when only some of its fields fit. Such fields are suspect:
 * known, but when they are overwritten the journal says so. Where nothing but empty fields was inserted besides the key, a row with that
 * key and nothing else is ours.
 */
#ifndef MODEL_DOUBT_H
#define MODEL_DOUBT_H

#include <stdint.h>

#include "model/decide.h"

struct digest_key;

/* That order was given, and nobody knows what came of it: `next` is told. Lists live in the arena. key: of the digests. */
void doubt_add(struct vector *next, size_t endpoint, const struct order *, const struct entity_def *, const struct digest_key *key,
	       struct arena *);

enum doubt_verdict {
	DOUBT_NONE,		/* nothing was in doubt, or nothing of it can be told from this look */
	DOUBT_BEFORE,		/* it did not happen, or not yet */
	DOUBT_HAPPENED,		/* *shown is what the endpoint showed because of it */
};

/* *guessed: fields whose value tells neither; they count as edited on top of the write (DOUBT_BEFORE: of what was there), but what
 * they replace goes into the journal. *suspect: see above. *shown shares what `base` has. */
enum doubt_verdict doubt_resolve(const struct vector *base, const struct entity_def *, size_t endpoint, const struct observation *now,
				 struct arena *, struct vseen *shown, uint64_t *guessed, uint64_t *suspect);

/* What the row there shows unless somebody has edited it: what it was inserted with, where that is in doubt; else what it showed. */
uint32_t doubt_expects(const struct vector *base, size_t endpoint, size_t field);

/* That field tells neither: is it the endpoint's own form of what was intended? (now->made, now->maybe) *meant: the digest of that. */
bool doubt_unclear(const struct vector *base, const struct entity_def *, size_t endpoint, size_t field, const struct observation *now, uint32_t *meant);

/*
 * Fields that are as empty there as an insert in doubt was to leave them (it pointed to a row that had yet to come). Whosever row it is, that
 * it is empty says nothing: taken for an edit it would empty what is agreed.
 */
uint64_t doubt_left_blank(const struct vector *base, size_t endpoint, const struct observation *now);

#endif
