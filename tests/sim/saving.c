/*
 * saving.c - backups that the daemon makes while people are at work: each must be what was in the store at its moment, to the byte.
 *
 * The moment is that of the question for the positions (fake_store.c looks at all keys then). Of the file the last word about each record counts.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backup/backup.h"
#include "base/buf.h"
#include "base/mem.h"
#include "sync/sync.h"

struct saving {
	struct world *world;
	struct sync_backup *backup;
	struct buf bytes;
	event_fn *done;
};

/* ---- reading it -------------------------------------------------------------------------------------------------- */

struct last_word {
	size_t entity;
	struct rid rid;
	char *blob;			/* owned; NULL: it is gone */
	size_t len;
};

struct words {
	struct last_word *list;
	size_t n, positions;
};

static void take_word(struct words *words, const struct backup_item *item)
{
	const unsigned char *p = item->p;
	struct last_word word = { .entity = p[0] }, *at = words->list;

	memcpy(word.rid.b, p + 1, RID_BYTES);
	for (; at < words->list + words->n; at++)
		if (at->entity == word.entity && rid_equal(&at->rid, &word.rid))
			break;
	if (at == words->list + words->n) {
		words->list = xrealloc(words->list, (words->n + 1) * sizeof *words->list);
		at = &words->list[words->n++];
		*at = (struct last_word){ .blob = NULL };
	}
	free(at->blob);
	if (item->kind == BACKUP_RECORD) {
		word.len = item->n - 1 - RID_BYTES;
		word.blob = xstrndup("", 0);
		word.blob = xrealloc(word.blob, word.len + 1);
		memcpy(word.blob, p + 1 + RID_BYTES, word.len);
	}
	*at = word;
}

static void read_words(struct world *w, struct backup_reader *r, struct words *words)
{
	struct backup_item item = { .kind = BACKUP_KEY };
	struct err e = { 0 };

	while (item.kind != BACKUP_END) {
		if (!backup_next(r, &item, &e)) {
			world_fail(w, "backup", "%s", e.text);
			return;
		}
		if (item.kind == BACKUP_RECORD || item.kind == BACKUP_GONE)
			take_word(words, &item);
		words->positions += item.kind == BACKUP_POSITION;
	}
}

static void compare(struct world *w, const struct words *words)
{
	size_t there[SIM_ENTITIES] = { 0 };

	for (size_t i = 0; i < words->n; i++) {
		const struct last_word *x = &words->list[i];
		struct value blob = x->blob != NULL ? (struct value){ x->blob, (int32_t)x->len } : VALUE_NULL;

		there[x->entity] += x->blob != NULL;
		if (!fake_store_had(w, x->entity, &x->rid, blob))
			world_fail(w, "backup", "a record is not what it was at the moment of the backup");
	}
	for (size_t i = 0; i < w->plan.n_entities; i++)
		if (there[i] != w->backup.n_vectors[i])
			world_fail(w, "backup", "it has %zu records of %zu", there[i], w->backup.n_vectors[i]);
	if (words->positions != w->backup.n_positions)
		world_fail(w, "backup", "it has %zu positions of %zu", words->positions, w->backup.n_positions);
}

static void check_whole(struct world *w, const struct buf *bytes)
{
	int fd = memfd_create("backup", MFD_CLOEXEC);
	struct words words = { 0 };
	struct backup_reader *r;
	struct err e = { 0 };
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	if (fd < 0 || pwrite(fd, bytes->p, bytes->len, 0) != (ssize_t)bytes->len)
		abort();
	r = backup_open(path, &e);
	if (r == NULL)
		world_fail(w, "backup", "%s", e.text);
	else
		read_words(w, r, &words);
	compare(w, &words);
	for (size_t i = 0; i < words.n; i++)
		free(words.list[i].blob);
	free(words.list);
	backup_close(&r);
	close(fd);
}

/* ---- making it --------------------------------------------------------------------------------------------------- */

void saving_end(struct world *w)
{
	struct saving *s = w->saving;

	if (s == NULL)
		return;
	w->saving = NULL;
	w->sometimes->backup_broken += s->done != NULL;
	sync_backup_free(&s->backup);
	buf_fini(&s->bytes);
	free(s);
}

/* One that was broken off has no seal. */
static bool is_whole(const struct buf *b)
{
	return b->len > 8 && memcmp(b->p + b->len - 8, "crmsSEAL", 8) == 0;
}

static void on_more(void *arg)
{
	struct saving *s = arg;
	struct world *w = s->world;

	if (sync_backup_more(s->backup, &s->bytes))
		return;
	if (is_whole(&s->bytes)) {
		world_trace(w, "a backup is made");
		w->sometimes->backed_up++;
		check_whole(w, &s->bytes);
		world_after(w, 0, s->done, NULL);
		s->done = NULL;
	}
	saving_end(w);
}

void saving_begin(struct world *w, event_fn *done)
{
	struct sync_backup_taker taker = { .more = on_more };
	struct saving *s;
	struct err e = { 0 };

	if (w->sync == NULL || w->saving != NULL)
		return;
	s = taker.arg = xcalloc(1, sizeof *s);
	*s = (struct saving){ .world = w, .done = done };
	s->backup = sync_backup(w->sync, &taker, &e);
	if (s->backup == NULL)
		free(s);
	else
		w->saving = s;
}
