#include "sync/census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"

enum {
	BLOCK = 8192,
	HEAD = RID_BYTES + 1 + 1 + 8 + 2,	/* record id, side, outside, digest, length of the local id */
	ID_MOST = BLOCK - 2 - HEAD,
};

struct part {
	uint32_t *blocks;		/* owned: where in the file, in blocks */
	size_t n, cap;
	size_t entries;
	unsigned char *last;		/* owned: the block that is being filled; NULL: none. u16 bytes in use, then entries */
	bool placed;			/* it has a place in the file already: */
	uint32_t place;
};

struct census {
	int fd;
	uint32_t blocks;
	struct part parts[CENSUS_PARTS];
};

static bool file_error(struct err *e, const char *what)
{
	return err_set(e, ERR_TRANSIENT, errno == ENOSPC ? "ENOSPC" : "EIO", "a temporary file in journal.directory cannot be %s: %s", what,
		       strerror(errno));
}

static struct census *open_file(const char *path, int flags, struct err *e)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
	struct census *c;

	if (fd < 0)
		return file_error(e, "made"), NULL;
	c = xcalloc(1, sizeof *c);
	c->fd = fd;
	return c;
}

struct census *census_new(const char *path, struct err *e)
{
	return open_file(path, O_CREAT | O_TRUNC, e);
}

void census_free(struct census **cp)
{
	struct census *c = *cp;

	if (c == NULL)
		return;
	for (size_t i = 0; i < CENSUS_PARTS; i++) {
		free(c->parts[i].blocks);
		free(c->parts[i].last);
	}
	close(c->fd);
	free(c);
	*cp = NULL;
}

static uint16_t used(const unsigned char *block)
{
	uint16_t n;

	memcpy(&n, block, sizeof n);
	return n;
}

static void set_used(unsigned char *block, size_t n)
{
	uint16_t short_n = (uint16_t)n;

	memcpy(block, &short_n, sizeof short_n);
}

static bool write_last(struct census *c, struct part *p, struct err *e)
{
	if (!p->placed)
		p->place = c->blocks++;
	p->placed = true;
	return pwrite(c->fd, p->last, BLOCK, (off_t)p->place * BLOCK) == BLOCK || file_error(e, "written");
}

static void add_block(struct part *p, uint32_t place)
{
	if (p->n == p->cap) {
		p->cap = p->cap > 0 ? 2 * p->cap : 8;
		p->blocks = xrealloc(p->blocks, p->cap * sizeof *p->blocks);
	}
	p->blocks[p->n++] = place;
}

static bool write_block(struct census *c, struct part *p, struct err *e)
{
	if (!write_last(c, p, e))
		return false;
	add_block(p, p->place);
	p->placed = false;
	set_used(p->last, 0);
	return true;
}

bool census_add(struct census *c, const struct census_entry *entry, struct err *e)
{
	struct part *p = &c->parts[entry->rid.b[0]];
	size_t len = (size_t)entry->id.len;
	uint16_t id_len = (uint16_t)len;
	unsigned char *at;

	if (len > ID_MOST)
		return err_set(e, ERR_ENDPOINT, "id-too-long", "a local id is longer than %d bytes", (int)ID_MOST);
	if (p->last == NULL)
		p->last = xcalloc(1, BLOCK);
	if (2u + used(p->last) + HEAD + len > BLOCK && !write_block(c, p, e))
		return false;
	at = p->last + 2 + used(p->last);
	memcpy(at, entry->rid.b, RID_BYTES);
	at[RID_BYTES] = entry->side;
	at[RID_BYTES + 1] = entry->outside;
	memcpy(at + RID_BYTES + 2, &entry->digest, 8);
	memcpy(at + RID_BYTES + 10, &id_len, 2);
	memcpy(at + HEAD, entry->id.data, len);
	set_used(p->last, used(p->last) + HEAD + len);
	p->entries++;
	return true;
}

/* Entries of one block, behind those that are in the list. The local ids stay where the block is. False: this is no block of ours. */
static bool take_block(const unsigned char *block, struct census_entry *list, size_t *n, size_t most)
{
	const unsigned char *at = block + 2, *end = at + used(block);

	if (used(block) > BLOCK - 2)
		return false;
	while (at < end) {
		struct census_entry *entry = &list[*n];
		uint16_t len;

		if (*n == most || end - at < HEAD)
			return false;
		memcpy(entry->rid.b, at, RID_BYTES);
		entry->side = at[RID_BYTES];
		entry->outside = at[RID_BYTES + 1] != 0;
		memcpy(&entry->digest, at + RID_BYTES + 2, 8);
		memcpy(&len, at + RID_BYTES + 10, 2);
		if (end - at < HEAD + len)
			return false;
		entry->id = (struct value){ (const char *)at + HEAD, len };
		at += HEAD + len;
		++*n;
	}
	return true;
}

static bool is_damaged(struct err *e)
{
	return err_set(e, ERR_TRANSIENT, "bad-census", "a temporary file in journal.directory is damaged");
}

static int compare(const void *a, const void *b)
{
	const struct census_entry *x = a, *y = b;
	int c = memcmp(x->rid.b, y->rid.b, RID_BYTES);

	return c != 0 ? c : x->side - y->side;
}

bool census_part(struct census *c, size_t part, struct arena *arena, struct census_entry **list, size_t *n, struct err *e)
{
	struct part *p = &c->parts[part];

	*list = arena_alloc(arena, (p->entries + 1) * sizeof **list);
	*n = 0;
	for (size_t i = 0; i < p->n; i++) {
		unsigned char *block = arena_alloc(arena, BLOCK);

		if (pread(c->fd, block, BLOCK, (off_t)p->blocks[i] * BLOCK) != BLOCK)
			return file_error(e, "read");
		if (!take_block(block, *list, n, p->entries))
			return is_damaged(e);
	}
	if ((p->last != NULL && !take_block(p->last, *list, n, p->entries)) || *n != p->entries)
		return is_damaged(e);
	qsort(*list, *n, sizeof **list, compare);
	return true;
}

/* ---- for another process ----------------------------------------------------------------------------- */

/*
 * A block that is being filled is written where it will stay, and goes on being filled: its entries up to here stay as they are, so how
 * much of it counts is all that has to be known.
 */
bool census_save(struct census *c, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < CENSUS_PARTS; i++) {
		struct part *p = &c->parts[i];
		uint16_t n_used = p->last != NULL ? used(p->last) : 0;

		if (n_used > 0 && !write_last(c, p, e))
			return false;
		buf_be32(out, (uint32_t)p->entries);
		buf_be16(out, n_used);
		buf_be32(out, n_used > 0 ? p->place : 0);
		buf_be32(out, (uint32_t)p->n);
		for (size_t k = 0; k < p->n; k++)
			buf_be32(out, p->blocks[k]);
	}
	buf_be32(out, c->blocks);
	return true;
}

static bool get(const unsigned char **p, const unsigned char *end, size_t bytes, uint32_t *n)
{
	if ((size_t)(end - *p) < bytes)
		return false;
	for (*n = 0; bytes > 0; bytes--)
		*n = *n << 8 | *(*p)++;
	return true;
}

static bool reopen_part(struct census *c, struct part *part, const unsigned char **p, const unsigned char *end)
{
	uint32_t entries, n_used, place, n, block;

	if (!get(p, end, 4, &entries) || !get(p, end, 2, &n_used) || !get(p, end, 4, &place) || !get(p, end, 4, &n) || n_used > BLOCK - 2)
		return false;
	part->entries = entries;
	for (uint32_t i = 0; i < n; i++) {
		if (!get(p, end, 4, &block))
			return false;
		add_block(part, block);
	}
	if (n_used == 0)
		return true;
	part->last = xcalloc(1, BLOCK);
	part->placed = true;
	part->place = place;
	if (pread(c->fd, part->last, BLOCK, (off_t)place * BLOCK) != BLOCK || used(part->last) < n_used)
		return false;
	set_used(part->last, n_used);
	return true;
}

struct census *census_reopen(const char *path, const unsigned char **p, const unsigned char *end, struct err *e)
{
	struct census *c = open_file(path, 0, e);
	bool ok = c != NULL;

	for (size_t i = 0; ok && i < CENSUS_PARTS; i++)
		ok = reopen_part(c, &c->parts[i], p, end);
	if (ok && get(p, end, 4, &c->blocks))
		return c;
	if (c != NULL)
		err_set(e, ERR_TRANSIENT, "bad-census", "%s is not what was saved", path);
	census_free(&c);
	return NULL;
}
