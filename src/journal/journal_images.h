/*
 * journal_images.h - before-images: what a target showed before a write of ours, and what was put there instead.
 *
 * The images of a round that come of one run are one batch: one row, compressed, written before the round writes anything. A run
 * is what people undo: all that came of one source's edits in one go (sync/images.c says when it ends). An update tells both values of
 * each field that it writes, a delete all that was there, an insert that there was nothing.
 *
 * What an undo is still to put back is kept here too, so that it goes on after a crash: an item for each record. All calls as in
 * journal.h: alone or part of the open group.
 */
#ifndef JOURNAL_JOURNAL_IMAGES_H
#define JOURNAL_JOURNAL_IMAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct arena;
struct journal;

/* ---- images ------------------------------------------------------------------------------------------ */

struct image_text {
	const char *p;
	int32_t len;			/* or one of these */
};
/* Not kept: the field is private. Several: of an undo, several values were there before, and none of them was what was agreed on. */
enum { IMAGE_NULL = -1, IMAGE_NOT_KEPT = -2, IMAGE_SEVERAL = -3 };

static inline bool image_text_equal(struct image_text a, struct image_text b)
{
	return a.len == b.len && (a.len <= 0 || __builtin_memcmp(a.p, b.p, (size_t)a.len) == 0);
}

enum image_op { IMAGE_INSERT, IMAGE_UPDATE, IMAGE_DELETE };	/* as in the file */
enum { IMAGE_VALUES_MAX = 64 };

struct journal_image {
	enum image_op op;
	bool created;			/* insert: nobody had had the record before */
	const char *endpoint;		/* the target */
	const char *key;		/* printed */
	struct image_text code;		/* the key as records are found by it */
	struct image_text former;	/* the one that the record had before this write; NULL: the same */
	const char *rule;		/* delete: the policy; else "" */
	uint64_t print;			/* created: journal_image_print() of what was inserted */
	size_t n_values;
	struct image_value {
		const char *field, *rule;
		bool agreed;		/* before: it was what was agreed on, not left behind or a form of the target's own */
		struct image_text before, after;	/* after: of updates */
	} values[IMAGE_VALUES_MAX];
	/* answers */
	const char *entity, *source;
	int64_t run, batch, time_us;
	uint32_t n;			/* in its batch */
	bool failed;			/* the target refused it, or it had to wait: it was not written */
};

/* In the making; zeroed it is empty. Names (entity, field, endpoint, rule) must live until it is kept. */
enum { IMAGE_NAMES_MAX = 256 };
struct image_batch {
	struct buf body, keys;
	const char *names[IMAGE_NAMES_MAX];
	size_t n_names;
	uint32_t n;
};
/* Its number in the batch. */
uint32_t image_batch_add(struct image_batch *, const struct journal *, const struct journal_image *);
void image_batch_fini(struct image_batch *);
/* Digest of a whole record's values, in the order of its fields. */
uint64_t journal_image_print(const struct journal *, const struct image_text *values, size_t n);

/* A new run of that source; its number, or 0. */
int64_t journal_run_new(struct journal *, const char *source, int64_t time_us, struct err *e);
bool journal_run_is_known(struct journal *, int64_t number, bool *known, struct err *e);
bool journal_source_is_known(struct journal *, const char *source, bool *known, struct err *e);	/* there is a run of it */
/* Keeps it; *id: its number. */
bool journal_images_keep(struct journal *, struct image_batch *, const char *entity, int64_t run, int64_t time_us, int64_t *id, struct err *e);
/* That image is of a write that was not carried out. */
bool journal_image_failed(struct journal *, int64_t batch, uint32_t n, struct err *e);

struct image_filter {			/* NULL, 0: any */
	const char *entity, *key, *source;	/* key as it is printed */
	int64_t run, since_us, until_us;
};
/*
 * Those of the newest `batches` batches below *before (0: from the newest), newest batch first; *before is then where to go on, 0: that
 * was all. fn returns false to stop. What it is shown lives until it returns.
 */
bool journal_images_each(struct journal *, const struct image_filter *, int64_t *before, size_t batches,
			 bool (*fn)(void *arg, const struct journal_image *), void *arg, struct err *e);

struct journal_run {
	int64_t number, first_us, last_us, images, bytes;
	const char *source, *entities;	/* entities: comma-separated */
};
/* Newest first, those below `before` (0: all), of that source (NULL: any). */
bool journal_runs_each(struct journal *, const char *source, int64_t before, size_t limit, bool (*fn)(void *arg, const struct journal_run *), void *arg,
		       struct err *e);
int64_t journal_images_bytes(const struct journal *);		/* as they are kept: compressed */
int64_t journal_images_count(const struct journal *);

/* ---- what an undo is to put back --------------------------------------------------------------------- */

/* As in the file: put values, a record back; end one that was inserted; nothing that can be put back; what one had that was inserted anew. */
enum undo_what { UNDO_VALUES, UNDO_RECORD, UNDO_END, UNDO_NOTHING, UNDO_AGAIN };
enum undo_state { UNDO_WAITS, UNDO_BEGUN, UNDO_RESTORED, UNDO_PARTLY, UNDO_SKIPPED };	/* as in the file */

struct undo_item {
	int64_t id;			/* answers */
	int64_t run;			/* of the undo itself */
	const char *entity, *key;	/* key printed */
	struct image_text code;		/* the record's key now */
	enum undo_what what;
	uint64_t print;			/* UNDO_END, UNDO_AGAIN: of what was inserted */
	enum undo_state state;
	const char *fields, *code_word, *cause;	/* what was not put back (comma-separated), and why */
	int64_t n_restored, n_skipped;	/* values */
	size_t n_values;
	struct undo_value {
		const char *field;
		struct image_text want, expect;		/* expect: what we wrote; not kept: nothing is expected */
		struct image_text inserted;		/* UNDO_AGAIN: what is expected took the place of; not kept: of nothing */
	} values[IMAGE_VALUES_MAX];	/* last: there may be room for n_values only */
};

/* As much of it as there is. */
static inline size_t undo_item_size(const struct undo_item *item)
{
	return offsetof(struct undo_item, values) + item->n_values * sizeof item->values[0];
}

bool journal_undo_add(struct journal *, const struct undo_item *, struct err *e);
/* In the arena; *out NULL: it is there no more. */
bool journal_undo_get(struct journal *, int64_t id, struct arena *, struct undo_item **out, struct err *e);
/* The run of the last undo that the journal knows by which something of that record (field "": as a whole) was put back; 0: there is none. */
bool journal_undo_of(struct journal *, const char *entity, const char *key, const char *field, int64_t *run, struct err *e);
/* Its record has another key from here on: key, code. */
bool journal_undo_rename(struct journal *, const struct undo_item *, struct err *e);
/*
 * *key, which a record of that entity had when that undo was ordered, becomes the one that it has since; `then`: the other way round. Left as
 * it is where the undo has none of that record, or the key is as it was. In the arena.
 */
bool journal_undo_key(struct journal *, int64_t run, const char *entity, bool then, struct arena *, struct image_text *key, struct err *e);
/* State, fields, code_word, cause, n_restored, n_skipped. */
bool journal_undo_set(struct journal *, const struct undo_item *, struct err *e);
/* Those of that run (0: all) above `after` that are (or are not) over; key, state and what came of them, without values. */
bool journal_undo_each(struct journal *, int64_t run, bool over, int64_t after, size_t limit, bool (*fn)(void *arg, const struct undo_item *),
		       void *arg, struct err *e);

/* ---- for journal.c ----------------------------------------------------------------------------------- */

bool journal_images_open(struct journal *, struct err *e);
void journal_images_close(struct journal *);
void journal_images_forget(struct journal *);
bool journal_images_expire(struct journal *, int64_t before_us, struct err *e);	/* inside a group; a portion a call */

/* For --version; into the caller's room. */
const char *journal_images_library(char *out, size_t size);

#endif
