/*
 * restore.h - what of a backup still holds when it is put back later. Pure.
 *
 * The databases have gone on since it was made, and their change logs do not tell of it any more: what was captured then has been
 * acknowledged. So a restored vector is what was agreed and shown once. It stays a base: a field that differs from it at one side only is that
 * side's news, and edits of different fields of one record both survive. But nothing else is inferred from it:
 *
 *   deletes   that a row was there once is no evidence that somebody deleted it. What is gone is forgotten before anything else is
 *             done at an endpoint (rebase.c), unless the change log there still tells that it was deleted; a delete that was still owed is
 *             not carried out; who had no row yet may have one by now.
 *   amounts   of fields that add up (rule add): all sides may show an edit that was counted long ago, and it must not count twice.
 *   position  every table is listed anew (surveys), from the rows themselves.
 *
 * Each endpoint has a mark until that has been done there: a restart in between begins again.
 */
#ifndef SYNC_RESTORE_H
#define SYNC_RESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/value.h"
#include "store/store.h"

struct arena;
struct buf;

enum { RESTORE_MARK = 200 };

void restore_name_mark(const char *endpoint, char out[RESTORE_MARK]);
int64_t restore_mark_read(struct value text);		/* when the backup was made, wall; 0: there is no such mark */
bool restore_keeps_position(struct value name);
/* Appends the vector as it holds now. False: nothing of it does. */
bool restore_vector(const struct vector_layout *, struct value blob, struct arena *, struct buf *out);
/* Where its rows were, as such a vector tells; maps has room for n_endpoints. Answers how many. */
size_t restore_maps(const struct vector_layout *, const struct rid *, struct value blob, struct arena *, struct store_map_put *maps);

#endif
