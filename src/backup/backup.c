#include "backup/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/seal.h"

enum {
	VERSION = 1,
	LEVEL = 3,
	MARK_BYTES = 8,
	FRONT_BYTES = MARK_BYTES + 4 + 4,
	ITEM_HEAD = 5,
	PIECE = 64 * 1024,
};

static const char mark[MARK_BYTES] = { 'c', 'r', 'm', 's', 'B', 'A', 'C', 'K' };

/* ---- writing ----------------------------------------------------------------------------------------- */

struct backup_writer {
	ZSTD_CStream *zstd;
	struct seal *seal;
	uint64_t items;
};

struct backup_writer *backup_writer_new(const char *head, struct buf *out)
{
	struct backup_writer *w = xcalloc(1, sizeof *w);
	size_t at = out->len;

	w->zstd = ZSTD_createCStream();
	if (w->zstd == NULL)
		abort();
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
	w->seal = seal_new();
	buf_add(out, mark, sizeof mark);
	buf_be32(out, VERSION);
	buf_be32(out, (uint32_t)strlen(head));
	buf_adds(out, head);
	seal_add(w->seal, out->p + at, out->len - at);
	return w;
}

void backup_writer_free(struct backup_writer **wp)
{
	if (*wp == NULL)
		return;
	ZSTD_freeCStream((*wp)->zstd);
	seal_free(&(*wp)->seal);
	free(*wp);
	*wp = NULL;
}

/* Into a growing buffer nothing can fail but memory. */
static void compress(struct backup_writer *w, const void *p, size_t n, ZSTD_EndDirective what, struct buf *out)
{
	ZSTD_inBuffer in = { p, n, 0 };
	size_t at = out->len, left;

	do {
		ZSTD_outBuffer to = { buf_room(out, PIECE), PIECE, 0 };

		left = ZSTD_compressStream2(w->zstd, &to, &in, what);
		if (ZSTD_isError(left))
			abort();
		out->len += to.pos;
	} while (what == ZSTD_e_end ? left > 0 : in.pos < in.size);
	seal_add(w->seal, out->p + at, out->len - at);
}

void backup_write(struct backup_writer *w, enum backup_kind kind, const void *p1, size_t n1, const void *p2, size_t n2, struct buf *out)
{
	uint32_t n = (uint32_t)(n1 + n2);
	const unsigned char head[ITEM_HEAD] = { (unsigned char)kind, (unsigned char)(n >> 24), (unsigned char)(n >> 16),
						(unsigned char)(n >> 8), (unsigned char)n };

	w->items++;
	compress(w, head, sizeof head, ZSTD_e_continue, out);
	if (n1 > 0)
		compress(w, p1, n1, ZSTD_e_continue, out);
	if (n2 > 0)
		compress(w, p2, n2, ZSTD_e_continue, out);
}

void backup_write_end(struct backup_writer *w, const struct backup_sums *sums, struct buf *out)
{
	const uint64_t numbers[SEAL_NUMBERS] = { sums->records, sums->journal_bytes };
	struct buf items = { 0 };

	buf_be64(&items, w->items);
	backup_write(w, BACKUP_END, items.p, items.len, NULL, 0, out);
	buf_fini(&items);
	compress(w, "", 0, ZSTD_e_end, out);
	seal_close(w->seal, numbers, out);
}

void backup_write_broken(const char *why, struct buf *out)
{
	seal_break_off(why, out);
}

/* ---- reading ----------------------------------------------------------------------------------------- */

struct backup_reader {
	char *path;
	int fd;
	struct sealed sealed;
	char *head;
	ZSTD_DStream *zstd;
	uint64_t at, items;		/* of the file, read so far; items given out */
	char *piece;
	ZSTD_inBuffer in;
	bool ended;			/* BACKUP_END was given out */
	struct buf item;
};

static bool nonsense(const struct backup_reader *r, const char *what, struct err *e)
{
	return err_set(e, ERR_CONFIG, "damaged", "%s is whole, but cannot be understood: %s", r->path, what);
}

/* The next compressed bytes; none at the end of the body. */
static bool fill(struct backup_reader *r, struct err *e)
{
	uint64_t left = r->sealed.body - r->at;
	size_t n = left < PIECE ? (size_t)left : PIECE;
	ssize_t got;

	do
		got = pread(r->fd, r->piece, n, (off_t)r->at);
	while (got < 0 && errno == EINTR);
	if (got < 0 || (got == 0 && n > 0))
		return err_set(e, ERR_CONFIG, "damaged", "%s cannot be read any more: %s", r->path, got < 0 ? strerror(errno) : "it became shorter");
	r->at += (uint64_t)got;
	r->in = (ZSTD_inBuffer){ r->piece, (size_t)got, 0 };
	return true;
}

static bool uncompressed(struct backup_reader *r, void *p, size_t n, struct err *e)
{
	ZSTD_outBuffer to = { p, n, 0 };

	while (to.pos < to.size) {
		size_t rc, before = to.pos;

		if (r->in.pos == r->in.size && r->at < r->sealed.body && !fill(r, e))
			return false;
		rc = ZSTD_decompressStream(r->zstd, &to, &r->in);
		if (ZSTD_isError(rc))
			return nonsense(r, ZSTD_getErrorName(rc), e);
		if (to.pos == before && r->in.pos == r->in.size && r->at == r->sealed.body)
			return nonsense(r, "it ends in the middle of an item", e);
	}
	return true;
}

bool backup_next(struct backup_reader *r, struct backup_item *item, struct err *e)
{
	unsigned char head[ITEM_HEAD];
	struct cut c = cut_of(head, sizeof head);
	uint32_t n;

	if (r->ended)
		return nonsense(r, "something was expected behind its last item", e);
	if (!uncompressed(r, head, sizeof head, e))
		return false;
	item->kind = (enum backup_kind)cut_u8(&c);
	n = cut_be32(&c);
	if (n > BACKUP_ITEM_MOST)
		return nonsense(r, "an item is too long", e);
	buf_clear(&r->item);
	if (!uncompressed(r, buf_room(&r->item, n), n, e))
		return false;
	item->p = r->item.p;
	item->n = n;
	r->ended = item->kind == BACKUP_END;
	c = cut_of(item->p, item->n);
	if (r->ended && cut_be64(&c) != r->items)
		return nonsense(r, "the number of its items is another", e);
	r->items++;
	return true;
}

bool backup_rewind(struct backup_reader *r, struct err *e)
{
	size_t rc = ZSTD_initDStream(r->zstd);

	if (ZSTD_isError(rc))
		return nonsense(r, ZSTD_getErrorName(rc), e);
	r->at = FRONT_BYTES + strlen(r->head);
	r->in = (ZSTD_inBuffer){ r->piece, 0, 0 };
	r->items = 0;
	r->ended = false;
	return true;
}

static bool read_head(struct backup_reader *r, struct err *e)
{
	unsigned char front[FRONT_BYTES];
	struct cut c = cut_of(front, sizeof front);
	uint32_t version, n;

	if (r->sealed.body < sizeof front || pread(r->fd, front, sizeof front, 0) != (ssize_t)sizeof front ||
	    memcmp(cut_bytes(&c, MARK_BYTES), mark, sizeof mark) != 0)
		return err_set(e, ERR_CONFIG, "damaged", "%s is no backup of crmsyncd", r->path);
	version = cut_be32(&c);
	n = cut_be32(&c);
	if (version > VERSION)
		return err_set(e, ERR_CONFIG, "newer", "%s has version %u, this program knows %d: it was made by a newer crmsyncd", r->path, version,
			       VERSION);
	if (version == 0 || n > BACKUP_HEAD_MOST || n > r->sealed.body - sizeof front)
		return nonsense(r, "its head", e);
	r->head = xcalloc(1, n + 1);
	if (pread(r->fd, r->head, n, sizeof front) != (ssize_t)n || strlen(r->head) != n)
		return nonsense(r, "its head", e);
	return backup_rewind(r, e);
}

struct backup_reader *backup_open(const char *path, struct err *e)
{
	struct backup_reader *r = xcalloc(1, sizeof *r);

	r->path = xstrdup(path);
	r->piece = xmalloc(PIECE);
	r->zstd = ZSTD_createDStream();
	if (r->zstd == NULL)
		abort();
	r->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		err_set(e, ERR_CONFIG, strerrorname_np(errno), "%s cannot be opened: %s", path, strerror(errno));
	else if (seal_check(r->fd, path, &r->sealed, e) && read_head(r, e))
		return r;
	backup_close(&r);
	return NULL;
}

void backup_close(struct backup_reader **rp)
{
	struct backup_reader *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	if (r->fd >= 0)
		close(r->fd);
	ZSTD_freeDStream(r->zstd);
	buf_fini(&r->item);
	free(r->piece);
	free(r->head);
	free(r->path);
	free(r);
}

const char *backup_head(const struct backup_reader *r)
{
	return r->head;
}

void backup_sums(const struct backup_reader *r, struct backup_sums *sums)
{
	*sums = (struct backup_sums){ r->sealed.numbers[0], r->sealed.numbers[1] };
}

/* ---- heads ------------------------------------------------------------------------------------------- */

static const char *what_must_agree(const char *head)
{
	const char *empty = strstr(head, "\n\n");

	return empty != NULL ? empty + 2 : head;
}

bool backup_heads_differ(const char *was, const char *is, char *was_line, char *is_line, size_t size)
{
	was = what_must_agree(was);
	is = what_must_agree(is);
	while (*was != '\0' || *is != '\0') {
		size_t n = strcspn(was, "\n"), m = strcspn(is, "\n");

		if (n != m || strncmp(was, is, n) != 0) {
			snprintf(was_line, size, "%.*s", (int)n, was);
			snprintf(is_line, size, "%.*s", (int)m, is);
			return true;
		}
		was += n + (was[n] == '\n');
		is += m + (is[m] == '\n');
	}
	return false;
}
