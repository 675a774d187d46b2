#include "base/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buf.h"
#include "base/mem.h"

enum { PIECE = 64 * 1024, DIGEST_BYTES = 16, MARK_BYTES = 8, COUNTS_BYTES = 8 * SEAL_NUMBERS + 8, STOP_BYTES = 4 + MARK_BYTES, WHY_MOST = 500 };

static const char mark[MARK_BYTES] = { 'c', 'r', 'm', 's', 'S', 'E', 'A', 'L' };
static const char stop[MARK_BYTES] = { 'c', 'r', 'm', 's', 'S', 'T', 'O', 'P' };

struct seal {
	XXH3_state_t *state;
	uint64_t body;
};

struct seal *seal_new(void)
{
	struct seal *s = xcalloc(1, sizeof *s);

	s->state = XXH3_createState();
	if (s->state == NULL)
		abort();
	XXH3_128bits_reset(s->state);
	return s;
}

void seal_free(struct seal **sp)
{
	if (*sp == NULL)
		return;
	XXH3_freeState((*sp)->state);
	free(*sp);
	*sp = NULL;
}

void seal_add(struct seal *s, const void *p, size_t n)
{
	XXH3_128bits_update(s->state, p, n);
	s->body += n;
}

static void digest_of(const struct seal *s, unsigned char out[DIGEST_BYTES])
{
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(s->state));
	memcpy(out, c.digest, DIGEST_BYTES);
}

void seal_close(struct seal *s, const uint64_t numbers[SEAL_NUMBERS], struct buf *out)
{
	unsigned char digest[DIGEST_BYTES];
	uint64_t body = s->body;
	size_t at = out->len;

	for (size_t i = 0; i < SEAL_NUMBERS; i++)
		buf_be64(out, numbers[i]);
	buf_be64(out, body);
	seal_add(s, out->p + at, out->len - at);
	digest_of(s, digest);
	buf_add(out, digest, sizeof digest);
	buf_add(out, mark, sizeof mark);
}

void seal_break_off(const char *why, struct buf *out)
{
	size_t n = strnlen(why, WHY_MOST);

	buf_add(out, why, n);
	buf_be32(out, (uint32_t)n);
	buf_add(out, stop, sizeof stop);
}

/* ---- checking ---------------------------------------------------------------------------------------- */

static bool unreadable(const char *name, struct err *e)
{
	return err_set(e, ERR_CONFIG, strerrorname_np(errno), "%s cannot be read: %s", name, strerror(errno));
}

static bool read_at(int fd, void *p, size_t n, off_t at, const char *name, struct err *e)
{
	for (char *to = p; n > 0;) {
		ssize_t got = pread(fd, to, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return unreadable(name, e);
		if (got == 0)
			return err_set(e, ERR_CONFIG, "damaged", "%s became shorter while it was read", name);
		to += got;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

static bool add_file(struct seal *s, int fd, uint64_t n, const char *name, struct err *e)
{
	char *piece = xmalloc(PIECE);
	bool ok = true;

	for (uint64_t at = 0; ok && at < n;) {
		size_t part = n - at < PIECE ? (size_t)(n - at) : PIECE;

		ok = read_at(fd, piece, part, (off_t)at, name, e);
		if (ok)
			seal_add(s, piece, part);
		at += part;
	}
	free(piece);
	return ok;
}

static bool digest_fits(int fd, uint64_t n, const void *digest, const char *name, struct err *e)
{
	unsigned char real[DIGEST_BYTES];
	struct seal *s = seal_new();
	bool ok = add_file(s, fd, n, name, e);

	digest_of(s, real);
	seal_free(&s);
	if (!ok)
		return false;
	return memcmp(real, digest, sizeof real) == 0 ||
	       err_set(e, ERR_CONFIG, "damaged", "%s is damaged: its checksum is not that of its content", name);
}

/* True: there is no such word, or none that can be read. */
static bool goes_to_its_end(int fd, off_t size, const char *name, struct err *e)
{
	char end[STOP_BYTES], why[WHY_MOST];
	struct cut c = cut_of(end, sizeof end);
	uint32_t n;

	if (size < STOP_BYTES || !read_at(fd, end, sizeof end, size - STOP_BYTES, name, NULL))
		return true;
	n = cut_be32(&c);
	if (memcmp(cut_bytes(&c, MARK_BYTES), stop, sizeof stop) != 0 || n > WHY_MOST || n > size - STOP_BYTES ||
	    !read_at(fd, why, n, size - STOP_BYTES - n, name, NULL))
		return true;
	return err_set(e, ERR_CONFIG, SEAL_BROKEN_OFF, "%s was broken off: %.*s", name, (int)n, why);
}

bool seal_check(int fd, const char *name, struct sealed *out, struct err *e)
{
	unsigned char end[SEAL_BYTES];
	struct cut c = cut_of(end, sizeof end);
	struct stat st;
	const void *digest;

	if (fstat(fd, &st) != 0)
		return unreadable(name, e);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_CONFIG, "not-a-file", "%s is not a regular file", name);
	if (!goes_to_its_end(fd, st.st_size, name, e))
		return false;
	if (st.st_size < SEAL_BYTES)
		return err_set(e, ERR_CONFIG, "damaged", "%s is not complete: it has only %lld bytes", name, (long long)st.st_size);
	if (!read_at(fd, end, sizeof end, st.st_size - SEAL_BYTES, name, e))
		return false;
	for (size_t i = 0; i < SEAL_NUMBERS; i++)
		out->numbers[i] = cut_be64(&c);
	out->body = cut_be64(&c);
	digest = cut_bytes(&c, DIGEST_BYTES);
	if (memcmp(cut_bytes(&c, MARK_BYTES), mark, sizeof mark) != 0 || out->body != (uint64_t)(st.st_size - SEAL_BYTES))
		return err_set(e, ERR_CONFIG, "damaged", "%s is not complete: its end is missing, or it is another kind of file", name);
	return digest_fits(fd, out->body + COUNTS_BYTES, digest, name, e);
}
