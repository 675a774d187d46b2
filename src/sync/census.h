/*
 * census.h - which rows does each of several sides show? For more of them than memory takes.
 *
 * One entry a row: record id, digest, side, local id. Entries are parted by record id, which is a digest and so fills the parts
 * evenly, and go to a file, a block at a time; then the parts are read back one after the other, each
 * sorted by record id and side. What was added up to a census_save() can be had again by another process: of the file, and of what that call
 * said of it. The file is the caller's to remove. A million rows at each of two sides take some 60 MB of disk, 2 MB of memory while they are added, and a
 * part of them afterwards. (A hash join in parts, as Kitsuregawa, Tanaka and Moto-oka described it in 1983.)
 */
#ifndef SYNC_CENSUS_H
#define SYNC_CENSUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/record.h"
#include "model/value.h"

struct arena;
struct buf;
struct census;

enum { CENSUS_PARTS = 256 };

struct census_entry {
	struct rid rid;
	uint8_t side;
	bool outside;			/* it is not in the side's filter: neither there nor missing */
	uint64_t digest;		/* of the whole row */
	struct value id;		/* local id there */
};

/* NULL: that file cannot be made. One that was there is emptied. */
struct census *census_new(const char *path, struct err *e);
void census_free(struct census **);		/* NULL is fine */
/* Adds to `out` what census_reopen() needs. */
bool census_save(struct census *, struct buf *out, struct err *e) __attribute__((warn_unused_result));
/* NULL: it is not there, or not what was saved. *p moves on behind what was saved. */
struct census *census_reopen(const char *path, const unsigned char **p, const unsigned char *end, struct err *e);
/* False: it cannot be kept (the disk is full); the census is worth nothing then. */
bool census_add(struct census *, const struct census_entry *, struct err *e) __attribute__((warn_unused_result));
/* In the arena. Every part is asked for when nothing is added any more. */
bool census_part(struct census *, size_t part, struct arena *, struct census_entry **list, size_t *n, struct err *e)
	__attribute__((warn_unused_result));

#endif
