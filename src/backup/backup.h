/*
 * backup.h - the file that holds a backup of the daemon's own state: its form, written and read piece by piece.
 *
 *   "crmsBACK"  u32 version  u32 length, head: lines of text, to be read with head(1)
 *   items, compressed (one zstd frame):  u8 kind  u32 length  bytes
 *   seal (base/seal.h)
 *
 * Which items there are and what they mean is said at enum backup_kind; nothing here knows of Redis or SQLite. Later items of a
 * record replace earlier ones: the file is what was read while work went on, together with what was written meanwhile.
 * Neither side keeps more than an item and zstd's window in memory.
 */
#ifndef BACKUP_BACKUP_H
#define BACKUP_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf;
struct backup_reader;
struct backup_writer;

enum backup_kind {
	BACKUP_KEY = 'K',		/* secret of the digests */
	BACKUP_NAME = 'N',		/* name, NUL, its number as text */
	BACKUP_POSITION = 'P',		/* name, NUL, text */
	BACKUP_ENTITY = 'E',		/* name; they count from 0 in the order of these items */
	BACKUP_RECORD = 'V',		/* u8 entity, record id, vector */
	BACKUP_GONE = 'D',		/* u8 entity, record id: it has no vector any more */
	BACKUP_JOURNAL = 'J',		/* the next bytes of the journal's file */
	BACKUP_END = 'Z',		/* u64 items before it; the last one */
};

enum { BACKUP_ITEM_MOST = 1 << 20, BACKUP_HEAD_MOST = 1 << 20 };	/* bytes */

/* How much is in it; also in its seal, so that it can be told without reading it. */
struct backup_sums {
	uint64_t records, journal_bytes;
};

/* ---- writing ----------------------------------------------------------------------------------------- */

/* Each call appends to `out` what is ready; nothing, often. Writing cannot fail: only memory is written to. */
struct backup_writer *backup_writer_new(const char *head, struct buf *out);
void backup_writer_free(struct backup_writer **);		/* NULL is fine */
/* An item of two pieces; either may be empty. */
void backup_write(struct backup_writer *, enum backup_kind, const void *p1, size_t n1, const void *p2, size_t n2, struct buf *out);
void backup_write_end(struct backup_writer *, const struct backup_sums *, struct buf *out);
/* Instead, at any place: there is no more, and why. */
void backup_write_broken(const char *why, struct buf *out);

/* ---- reading ----------------------------------------------------------------------------------------- */

struct backup_item {
	enum backup_kind kind;
	const void *p;			/* valid until the next one is read */
	size_t n;
};

/* NULL: it cannot be read, is damaged or cut off (all of it was looked at), or of a newer version; always an ERR_CONFIG: another file is needed. */
struct backup_reader *backup_open(const char *path, struct err *e);
void backup_close(struct backup_reader **);			/* NULL is fine */
const char *backup_head(const struct backup_reader *);	/* the reader's own; until it is closed */
void backup_sums(const struct backup_reader *, struct backup_sums *);
/* The next item; from the first one after backup_rewind(). BACKUP_END is the last. False: what is compressed there makes no sense. */
bool backup_next(struct backup_reader *, struct backup_item *, struct err *e);
bool backup_rewind(struct backup_reader *, struct err *e);

/* The first line in which two heads differ in what has to be the same (all lines behind the empty one): into the caller's room. */
bool backup_heads_differ(const char *was, const char *is, char *was_line, char *is_line, size_t size);

#endif
