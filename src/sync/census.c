#include "sync/census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
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

struct census *census_new(const char *directory, struct err *e)
{
	char *name = xasprintf("%s/census.XXXXXX", directory);
	int fd = mkstemp(name);
	struct census *c = NULL;

	if (fd < 0) {
		file_error(e, "made");
	} else {
		unlink(name);		/* nobody finds it, and a kill leaves nothing */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		c = xcalloc(1, sizeof *c);
		c->fd = fd;
	}
	free(name);
	return c;
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

static bool write_block(struct census *c, struct part *p, struct err *e)
{
	if (pwrite(c->fd, p->last, BLOCK, (off_t)c->blocks * BLOCK) != BLOCK)
		return file_error(e, "written");
	if (p->n == p->cap) {
		p->cap = p->cap > 0 ? 2 * p->cap : 8;
		p->blocks = xrealloc(p->blocks, p->cap * sizeof *p->blocks);
	}
	p->blocks[p->n++] = c->blocks++;
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

/* Entries of one block, behind those that are in the list. The local ids stay where the block is. */
static size_t take_block(const unsigned char *block, struct census_entry *list)
{
	const unsigned char *at = block + 2, *end = at + used(block);
	size_t n = 0;

	while (at < end) {
		struct census_entry *entry = &list[n++];
		uint16_t len;

		memcpy(entry->rid.b, at, RID_BYTES);
		entry->side = at[RID_BYTES];
		entry->outside = at[RID_BYTES + 1] != 0;
		memcpy(&entry->digest, at + RID_BYTES + 2, 8);
		memcpy(&len, at + RID_BYTES + 10, 2);
		entry->id = (struct value){ (const char *)at + HEAD, len };
		at += HEAD + len;
	}
	return n;
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
		*n += take_block(block, *list + *n);
	}
	if (p->last != NULL)
		*n += take_block(p->last, *list + *n);
	qsort(*list, *n, sizeof **list, compare);
	return true;
}
