/*
 * verify_keep.c - what a verification has read so far, for the case that it is interrupted.
 *
 * Two files in journal.directory: the census, and beside it how far the sides have been read, which is written anew every few ranges. Who
 * begins the same verification after a kill, a restart or a lost connection goes on there. Nothing is lost by doing so but news of
 * rows that were read before; what differs is looked at again in any case. So it is done only for a while: that is MINUTES where somebody
 * asks and wants to know how it is now, and a day where it is done by the clock.
 *
 * Nothing is synced to the disk: after a crash of the machine the digest at the end, or the census, tells that it is worth nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "sync/census.h"
#include "sync/verify.h"

#define MINUTE_US INT64_C(60000000)
#define ASKED_MOST_US (10 * MINUTE_US)
#define GENTLY_MOST_US (24 * 60 * MINUTE_US)
#define PREFIX "verify-"

enum { SAVE_RANGES = 16, SAVE_US = 1000000,	/* pages of a list; sums take longer, and each is saved */
	HEAD_BYTES = 8 + 1 + 8 + 8, FILE_MOST = 64 * 1024 * 1024 };

static char *path_of(const struct sync *s, const char *entity, const char *suffix)
{
	return xasprintf("%s/" PREFIX "%s%s", s->topology->journal.directory, entity, suffix);
}

/* Of all that what was read depends on: another one, and it is begun anew. */
static uint64_t identity_of(const struct sync_verify *v)
{
	const struct topology *t = v->sync->topology;
	struct buf text = { 0 };
	uint64_t digest;

	buf_addf(&text, "%s %s %d\n", PACKAGE_VERSION, v->flow->def->name, (int)v->depth);
	for (size_t e = 0; e < t->n_endpoints; e++)
		if (verify_compares(v, e))
			buf_addf(&text, "%s %s\n", t->endpoints[e].name, v->flow->sides[e]->link->schema_mark);
	topology_print(t, &text);
	digest = digest64(&v->sync->store->key, text.p, text.len);
	buf_fini(&text);
	return digest;
}

/* ---- saving ------------------------------------------------------------------------------------------ */

static void put_text(struct buf *out, const char *text)
{
	buf_be32(out, text != NULL ? (uint32_t)strlen(text) : UINT32_MAX);
	if (text != NULL)
		buf_adds(out, text);
}

static void put_side(struct buf *out, const struct verify_side *s)
{
	buf_be64(out, (uint64_t)s->done);
	buf_be64(out, (uint64_t)s->expected);
	buf_addc(out, (char)s->over);
	buf_be64(out, s->range);
	put_text(out, s->after);
	buf_be64(out, s->n_ends);
	for (size_t i = 0; i < s->n_ends; i++)
		put_text(out, s->ends[i]);
	buf_addc(out, s->parts != NULL);
	for (size_t p = 0; s->parts != NULL && p < SUM_PARTS; p++) {
		buf_be64(out, (uint64_t)s->parts[p].rows);
		buf_be64(out, s->parts[p].hash);
		buf_addc(out, (char)s->parts[p].unclear);
	}
}

/* HEAD_BYTES come first: what is to be known of it without the rest. */
static void put_order(struct buf *out, const struct sync_verify *v)
{
	buf_be64(out, identity_of(v));
	buf_addc(out, (char)v->gently);
	buf_be64(out, (uint64_t)v->sums.since_us);
	buf_be64(out, (uint64_t)clock_wall_us());
	buf_addc(out, (char)v->phase);
	buf_be64(out, (uint64_t)v->sums.compared);
	buf_be64(out, (uint64_t)v->sums.matching);
	buf_be64(out, (uint64_t)v->sums.invalid);
	buf_be64(out, (uint64_t)v->sums.bytes);
	buf_be64(out, (uint64_t)v->seeds.part);
	buf_be64(out, (uint64_t)v->seeds.row);
	for (size_t i = 0; i < SUM_PARTS / 64; i++)
		buf_be64(out, v->differing.bits[i]);
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		if (verify_compares(v, e))
			put_side(out, &v->sides[e]);
}

static bool write_file(const char *path, const struct buf *content)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, content->p, content->len) == (ssize_t)content->len;

	if (fd >= 0)
		close(fd);
	return ok;
}

bool verify_keep_save(struct sync_verify *v)
{
	char *path = path_of(v->sync, v->flow->def->name, ""), *fresh = path_of(v->sync, v->flow->def->name, ".new");
	struct buf out = { 0 };
	struct err e = { 0 };
	bool ok;

	v->saved_us = clock_mono_us();
	v->unsaved = 0;
	put_order(&out, v);
	ok = census_save(v->census, &out, &e);
	buf_be64(&out, digest64(&v->sync->store->key, out.p, out.len));
	ok = ok && write_file(fresh, &out) && rename(fresh, path) == 0;
	if (!ok)
		log_debug("how far a verification has come is not kept", LOG_S("entity", v->flow->def->name));
	buf_fini(&out);
	free(fresh);
	free(path);
	return ok;
}

void verify_keep_range(struct sync_verify *v)
{
	if (v->phase == VERIFY_SUM || ++v->unsaved >= SAVE_RANGES || clock_mono_us() - v->saved_us > SAVE_US)
		verify_keep_save(v);
}

void verify_keep_drop(const struct sync_verify *v)
{
	static const char *const suffixes[] = { "", ".new", ".census" };

	for (size_t i = 0; i < countof(suffixes); i++) {
		char *path = path_of(v->sync, v->flow->def->name, suffixes[i]);

		unlink(path);
		free(path);
	}
}

/* ---- loading ----------------------------------------------------------------------------------------- */

struct reading_in {
	const unsigned char *p, *end;
	bool ok;
};

static uint64_t get(struct reading_in *r, size_t bytes)
{
	uint64_t n = 0;

	r->ok = r->ok && (size_t)(r->end - r->p) >= bytes;
	for (; r->ok && bytes > 0; bytes--)
		n = n << 8 | *r->p++;
	return n;
}

static char *get_text(struct reading_in *r)
{
	uint32_t len = (uint32_t)get(r, 4);
	char *text;

	if (!r->ok || len == UINT32_MAX)
		return NULL;
	r->ok = (size_t)(r->end - r->p) >= len;
	if (!r->ok)
		return NULL;
	text = xstrndup((const char *)r->p, len);
	r->p += len;
	return text;
}

static void get_side(struct reading_in *r, struct verify_side *s)
{
	s->done = (int64_t)get(r, 8);
	s->expected = (int64_t)get(r, 8);
	s->over = get(r, 1) != 0;
	s->range = get(r, 8);
	s->after = get_text(r);
	s->cap_ends = get(r, 8);
	r->ok = r->ok && s->cap_ends <= (size_t)(r->end - r->p);
	s->ends = xcalloc(r->ok ? s->cap_ends + 1 : 1, sizeof(char *));
	while (r->ok && s->n_ends < s->cap_ends)
		s->ends[s->n_ends++] = get_text(r);
	r->ok = r->ok && s->range <= s->n_ends;
	if (get(r, 1) == 0)
		return;
	s->parts = xcalloc(SUM_PARTS, sizeof *s->parts);
	for (size_t p = 0; p < SUM_PARTS; p++)
		s->parts[p] = (struct part_sum){ (int64_t)get(r, 8), get(r, 8), get(r, 1) != 0 };
}

static void get_order(struct reading_in *r, struct sync_verify *v)
{
	v->phase = (enum verify_phase)get(r, 1);
	r->ok = r->ok && (v->phase == VERIFY_SUM || v->phase == VERIFY_LIST);
	v->sums.compared = (int64_t)get(r, 8);
	v->sums.matching = (int64_t)get(r, 8);
	v->sums.invalid = (int64_t)get(r, 8);
	v->sums.bytes = (int64_t)get(r, 8);
	v->seeds.part = v->differing.seed = (int64_t)get(r, 8);
	v->seeds.row = (int64_t)get(r, 8);
	for (size_t i = 0; i < SUM_PARTS / 64; i++)
		v->differing.bits[i] = get(r, 8);
	for (size_t e = 0; r->ok && e < v->sync->topology->n_endpoints; e++)
		if (verify_compares(v, e))
			get_side(r, &v->sides[e]);
}

/* At most so many bytes of it. False: there is no such file. */
static bool read_file(const char *path, size_t most, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 1;

	while (fd >= 0 && n > 0 && out->len < most) {
		size_t want = most - out->len < 65536 ? most - out->len : 65536;

		n = read(fd, buf_room(out, want), want);
		out->len += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0)
		close(fd);
	return fd >= 0 && n >= 0;
}

static struct reading_in reading_of(const struct buf *b)
{
	return (struct reading_in){ (const unsigned char *)b->p, (const unsigned char *)b->p + b->len, true };
}

/* It is whole, of this order, and not too old. */
static bool is_worth_it(const struct sync_verify *v, const struct buf *file, int64_t *since_us)
{
	struct reading_in r = reading_of(file), tail;
	int64_t age;

	if (file->len < HEAD_BYTES + 8)
		return false;
	tail = (struct reading_in){ r.end - 8, r.end, true };
	if (get(&tail, 8) != digest64(&v->sync->store->key, file->p, file->len - 8) || get(&r, 8) != identity_of(v))
		return false;
	get(&r, 1);
	*since_us = (int64_t)get(&r, 8);
	age = clock_wall_us() - (int64_t)get(&r, 8);
	return age >= 0 && age < (v->gently ? GENTLY_MOST_US : ASKED_MOST_US);
}

static void forget(struct sync_verify *v, const struct sync_verify_sums *sums)
{
	for (size_t e = 0; e < v->sync->topology->n_endpoints; e++)
		verify_side_fini(&v->sides[e]);
	v->phase = VERIFY_BEGIN;
	v->sums = *sums;
	memset(&v->differing, 0, sizeof v->differing);
}

static bool take(struct sync_verify *v, const struct buf *file)
{
	char *path = path_of(v->sync, v->flow->def->name, ".census");
	struct sync_verify_sums before = v->sums;
	struct reading_in r = reading_of(file);
	struct err e = { 0 };

	r.p += HEAD_BYTES;
	r.end -= 8;
	get_order(&r, v);
	if (r.ok)
		v->census = census_reopen(path, &r.p, r.end, &e);
	if (v->census == NULL)
		forget(v, &before);
	free(path);
	return v->census != NULL;
}

bool verify_keep_load(struct sync_verify *v, struct err *e)
{
	char *path = path_of(v->sync, v->flow->def->name, "");
	struct buf file = { 0 };
	int64_t since_us;

	if (read_file(path, FILE_MOST, &file) && is_worth_it(v, &file, &since_us) && take(v, &file)) {
		v->sums.since_us = since_us;
		v->sums.resumed = true;
		log_info("a verification that was interrupted goes on", LOG_S("entity", v->flow->def->name));
	}
	buf_fini(&file);
	free(path);
	if (v->census != NULL)
		return true;
	verify_keep_drop(v);
	path = path_of(v->sync, v->flow->def->name, ".census");
	v->census = census_new(path, e);
	v->sums.since_us = clock_wall_us();
	free(path);
	return v->census != NULL;
}

bool verify_keep_waits(const struct flow *flow)
{
	char *path = path_of(flow->sync, flow->def->name, "");
	struct buf head = { 0 };
	struct reading_in r;
	int64_t age = -1;
	bool gently = false;

	if (read_file(path, HEAD_BYTES, &head) && head.len == HEAD_BYTES) {
		r = reading_of(&head);
		get(&r, 8);
		gently = get(&r, 1) != 0;
		get(&r, 8);
		age = clock_wall_us() - (int64_t)get(&r, 8);
	}
	buf_fini(&head);
	free(path);
	return gently && age >= 0 && age < GENTLY_MOST_US;
}

/* ---- what nobody came back for ----------------------------------------------------------------------- */

void verify_keep_tidy(const struct sync *s)
{
	DIR *d = opendir(s->topology->journal.directory);
	const struct dirent *entry;
	struct stat st;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 && fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    clock_wall_us() / 1000000 - st.st_mtime > GENTLY_MOST_US / 1000000)
			unlinkat(dirfd(d), entry->d_name, 0);
	if (d != NULL)
		closedir(d);
}
