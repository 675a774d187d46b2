#include "journal/journal_images.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/mem.h"
#include "journal/journal_db.h"
#include "journal/room.h"

enum {
	LEVEL = 1,			/* measured on updates of contacts: 3 is slower, and its result larger */
	BODY_MOST = 256 * 1024 * 1024,	/* more than any batch has: what says more is damaged */
	KEY_BYTES = 4,			/* of a key's digest, to find the batches that may have it */
	EXPIRED_BATCHES = 500,	/* a call: more a minute than a daemon at work makes */
};

enum image_query { Q_RUN, Q_RUN_IS_KNOWN, Q_SOURCE_IS_KNOWN, Q_KEEP, Q_FAILED, Q_DROP, Q_DROP_RUNS, Q_DROP_ITEMS, Q_SUMS, Q_ADD, Q_GET, Q_UNDO_OF, Q_SET, Q_MOVE, Q_KEY_NOW,
		   Q_KEY_THEN, IMAGE_QUERIES };

struct images {
	sqlite3_stmt *stmts[IMAGE_QUERIES];
	ZSTD_CCtx *packer;
	ZSTD_DCtx *unpacker;
	struct buf packed;
	struct sums {
		int64_t images, bytes;
		bool known;
	} sums;
};

static const char *const queries[IMAGE_QUERIES] = {
	[Q_RUN] = "INSERT INTO image_run (source, time_us) VALUES (?1, ?2)",
	[Q_RUN_IS_KNOWN] = "SELECT EXISTS (SELECT 1 FROM image_run WHERE id = ?1)",
	[Q_SOURCE_IS_KNOWN] = "SELECT EXISTS (SELECT 1 FROM image_run WHERE source = ?1)",
	[Q_KEEP] = "INSERT INTO image_batch (run, entity, time_us, images, raw_bytes, keys, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[Q_FAILED] = "INSERT OR IGNORE INTO image_failed (batch, n) VALUES (?1, ?2)",
	[Q_DROP] = "DELETE FROM image_batch WHERE id IN (SELECT id FROM image_batch WHERE time_us < ?1 ORDER BY time_us LIMIT ?2)",
	[Q_DROP_RUNS] = "DELETE FROM image_run WHERE time_us < ?1 AND NOT EXISTS (SELECT 1 FROM image_batch WHERE image_batch.run = image_run.id)"
			" AND NOT EXISTS (SELECT 1 FROM undo_item WHERE undo_item.run = image_run.id AND state < 2)",
	[Q_DROP_ITEMS] = "DELETE FROM undo_item WHERE state >= 2 AND run NOT IN (SELECT id FROM image_run)",
	[Q_SUMS] = "SELECT coalesce(sum(images), 0), coalesce(sum(length(keys) + length(body)), 0) FROM image_batch",
	[Q_ADD] = "INSERT INTO undo_item (run, entity, key, code, what, print, wanted, state, fields, code_word, cause, n_restored, n_skipped)"
		  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
	[Q_GET] = "SELECT id, run, entity, key, code, what, print, wanted, state FROM undo_item WHERE id = ?1",
	[Q_UNDO_OF] = "SELECT coalesce(max(run), 0) FROM undo_item WHERE entity = ?1 AND key = ?2 AND state BETWEEN 1 AND 3"	/* begun, restored, partly */
		      " AND (?3 = '' OR instr(',' || fields || ',', ',' || ?3 || ',') = 0)",
	[Q_SET] = "UPDATE undo_item SET state = ?2, fields = ?3, code_word = ?4, cause = ?5, n_restored = ?6, n_skipped = ?7,"
		  " wanted = CASE WHEN ?2 >= 2 THEN x'' ELSE wanted END WHERE id = ?1",
	[Q_MOVE] = "UPDATE undo_item SET key = ?2, was = coalesce(was, code), code = ?3 WHERE id = ?1",
	[Q_KEY_NOW] = "SELECT code FROM undo_item WHERE run = ?1 AND entity = ?2 AND was = ?3",
	[Q_KEY_THEN] = "SELECT was FROM undo_item WHERE run = ?1 AND entity = ?2 AND code = ?3 AND was IS NOT NULL",
};

/* ---- opening ----------------------------------------------------------------------------------------- */

bool journal_images_open(struct journal *j, struct err *e)
{
	j->images = xcalloc(1, sizeof *j->images);
	for (int q = 0; q < IMAGE_QUERIES; q++) {
		int rc = sqlite3_prepare_v3(j->db, queries[q], -1, SQLITE_PREPARE_PERSISTENT, &j->images->stmts[q], NULL);

		if (rc != SQLITE_OK)
			return journal_db_error(j->path, rc, e);
	}
	j->images->packer = ZSTD_createCCtx();
	j->images->unpacker = ZSTD_createDCtx();
	if (j->images->packer == NULL || j->images->unpacker == NULL)
		return err_set(e, ERR_TRANSIENT, "memory", "out of memory");
	return true;
}

void journal_images_close(struct journal *j)
{
	if (j->images == NULL)
		return;
	for (int q = 0; q < IMAGE_QUERIES; q++)
		sqlite3_finalize(j->images->stmts[q]);
	ZSTD_freeCCtx(j->images->packer);
	ZSTD_freeDCtx(j->images->unpacker);
	buf_fini(&j->images->packed);
	free(j->images);
	j->images = NULL;
}

/* ---- a batch in the making --------------------------------------------------------------------------- */

/*
 * names: varint n, (text) * n, in front of the images when it is kept. An image: u8 op | created << 4 | former << 5, endpoint, key, code,
 * [former], then of an insert [u64 print]; of an update or delete [rule], varint n, (field, rule, u8 agreed, before, [after]) * n.
 * endpoint, field, rule: varint number of a name. text: varint length + 3; 0: several, 1: not kept, 2: NULL.
 */
static void add_text(struct buf *b, struct image_text t)
{
	buf_varint(b, (uint64_t)(t.len + 3));
	if (t.len > 0)
		buf_add(b, t.p, (size_t)t.len);
}

static void add_words(struct buf *b, const char *s)
{
	add_text(b, (struct image_text){ s, (int32_t)strlen(s) });
}

/* The same name is the same pointer: they are the topology's. */
static void add_name(struct image_batch *b, const char *name)
{
	size_t i = 0;

	while (i < b->n_names && b->names[i] != name)
		i++;
	if (i == b->n_names) {
		assert(i < IMAGE_NAMES_MAX);
		b->names[b->n_names++] = name;
	}
	buf_varint(&b->body, i);
}

static uint32_t key_digest(const struct journal *j, const char *key)
{
	return (uint32_t)digest64(&j->key, key, strlen(key));
}

uint32_t image_batch_add(struct image_batch *b, const struct journal *j, const struct journal_image *image)
{
	bool moved = image->former.len >= 0;

	buf_addc(&b->body, (char)((unsigned)image->op | (unsigned)image->created << 4 | (unsigned)moved << 5));
	add_name(b, image->endpoint);
	add_words(&b->body, image->key);
	add_text(&b->body, image->code);
	if (moved)
		add_text(&b->body, image->former);
	buf_be32(&b->keys, key_digest(j, image->key));
	if (image->created)
		buf_be64(&b->body, image->print);
	if (image->op == IMAGE_DELETE)
		add_name(b, image->rule);
	if (image->op != IMAGE_INSERT)
		buf_varint(&b->body, image->n_values);
	for (size_t i = 0; image->op != IMAGE_INSERT && i < image->n_values; i++) {
		const struct image_value *v = &image->values[i];

		add_name(b, v->field);
		add_name(b, v->rule);
		buf_addc(&b->body, v->agreed);
		add_text(&b->body, v->before);
		if (image->op == IMAGE_UPDATE)
			add_text(&b->body, v->after);
	}
	return b->n++;
}

void image_batch_fini(struct image_batch *b)
{
	buf_fini(&b->body);
	buf_fini(&b->keys);
	b->n = 0;
	b->n_names = 0;
}

uint64_t journal_image_print(const struct journal *j, const struct image_text *values, size_t n)
{
	struct buf all = { 0 };
	uint64_t print;

	for (size_t i = 0; i < n; i++)
		add_text(&all, values[i]);
	print = digest64(&j->key, all.p, all.len);
	buf_fini(&all);
	return print;
}

/* ---- keeping ----------------------------------------------------------------------------------------- */

struct new_run {
	const char *source;
	int64_t time_us;
};

static bool write_run(struct journal *j, const void *what, struct err *e)
{
	const struct new_run *r = what;
	sqlite3_stmt *stmt = j->images->stmts[Q_RUN];

	journal_bind_word(stmt, 1, r->source);
	sqlite3_bind_int64(stmt, 2, r->time_us);
	return journal_finish(j, stmt, e);
}

int64_t journal_run_new(struct journal *j, const char *source, int64_t time_us, struct err *e)
{
	struct new_run r = { source, time_us };

	return journal_change(j, write_run, &r, e) ? sqlite3_last_insert_rowid(j->db) : 0;
}

/* With a row, which has been read, or with none. */
static bool was_answered(struct journal *j, sqlite3_stmt *stmt, int rc, struct err *e)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return true;
	journal_db_error(j->path, rc, e);
	return err_while(e, "what is to be put back");
}

static bool ask_number(struct journal *j, sqlite3_stmt *stmt, const char *what, int64_t *number, struct err *e)
{
	int rc = sqlite3_step(stmt);

	*number = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
	if (rc == SQLITE_ROW)
		return true;
	journal_db_error(j->path, rc, e);
	return err_while(e, "%s", what);
}

static bool ask_whether(struct journal *j, sqlite3_stmt *stmt, const char *what, bool *yes, struct err *e)
{
	int64_t number;
	bool ok = ask_number(j, stmt, what, &number, e);

	*yes = number != 0;
	return ok;
}

bool journal_run_is_known(struct journal *j, int64_t number, bool *known, struct err *e)
{
	sqlite3_stmt *stmt = j->images->stmts[Q_RUN_IS_KNOWN];

	sqlite3_bind_int64(stmt, 1, number);
	return ask_whether(j, stmt, "runs", known, e);
}

bool journal_source_is_known(struct journal *j, const char *source, bool *known, struct err *e)
{
	sqlite3_stmt *stmt = j->images->stmts[Q_SOURCE_IS_KNOWN];

	journal_bind_text(stmt, 1, source);
	return ask_whether(j, stmt, "runs", known, e);
}

struct keeping {
	struct image_batch *batch;
	const char *entity;
	int64_t run, time_us;
};

static bool pack(struct journal *j, const struct image_batch *b, size_t *raw, struct err *e)
{
	struct images *im = j->images;
	struct buf whole = { 0 };
	size_t room, n;

	buf_varint(&whole, b->n_names);
	for (size_t i = 0; i < b->n_names; i++)
		add_words(&whole, b->names[i]);
	buf_add(&whole, b->body.p, b->body.len);
	*raw = whole.len;
	room = ZSTD_compressBound(whole.len);
	buf_clear(&im->packed);
	n = ZSTD_compressCCtx(im->packer, buf_room(&im->packed, room), room, whole.p, whole.len, LEVEL);
	buf_fini(&whole);
	if (ZSTD_isError(n))
		return err_set(e, ERR_TRANSIENT, "zstd", "before-images could not be compressed: %s", ZSTD_getErrorName(n));
	im->packed.len = n;
	return true;
}

static bool write_batch(struct journal *j, const void *what, struct err *e)
{
	const struct keeping *k = what;
	sqlite3_stmt *stmt = j->images->stmts[Q_KEEP];
	size_t raw;

	if (!pack(j, k->batch, &raw, e))
		return false;
	sqlite3_bind_int64(stmt, 1, k->run);
	journal_bind_word(stmt, 2, k->entity);
	sqlite3_bind_int64(stmt, 3, k->time_us);
	sqlite3_bind_int64(stmt, 4, k->batch->n);
	sqlite3_bind_int64(stmt, 5, (sqlite3_int64)raw);
	sqlite3_bind_blob64(stmt, 6, k->batch->keys.p, k->batch->keys.len, SQLITE_STATIC);
	sqlite3_bind_blob64(stmt, 7, j->images->packed.p, j->images->packed.len, SQLITE_STATIC);
	if (!journal_finish(j, stmt, e))
		return false;
	j->images->sums.images += k->batch->n;
	j->images->sums.bytes += (int64_t)(k->batch->keys.len + j->images->packed.len);
	return true;
}

bool journal_images_keep(struct journal *j, struct image_batch *b, const char *entity, int64_t run, int64_t time_us, int64_t *id, struct err *e)
{
	struct keeping k = { b, entity, run, time_us };

	if (!journal_change(j, write_batch, &k, e))
		return false;
	*id = sqlite3_last_insert_rowid(j->db);
	return true;
}

struct failing {
	int64_t batch;
	uint32_t n;
};

static bool write_failed(struct journal *j, const void *what, struct err *e)
{
	const struct failing *f = what;

	sqlite3_bind_int64(j->images->stmts[Q_FAILED], 1, f->batch);
	sqlite3_bind_int64(j->images->stmts[Q_FAILED], 2, f->n);
	return journal_finish(j, j->images->stmts[Q_FAILED], e);
}

bool journal_image_failed(struct journal *j, int64_t batch, uint32_t n, struct err *e)
{
	struct failing f = { batch, n };

	return journal_change(j, write_failed, &f, e);
}

bool journal_images_expire(struct journal *j, int64_t before_us, struct err *e)
{
	sqlite3_stmt *drop = j->images->stmts[Q_DROP], *runs = j->images->stmts[Q_DROP_RUNS];

	sqlite3_bind_int64(drop, 1, before_us);
	sqlite3_bind_int(drop, 2, EXPIRED_BATCHES);
	if (!journal_finish(j, drop, e))
		return false;
	if (sqlite3_changes(j->db) > 0)
		j->images->sums.known = false;
	sqlite3_bind_int64(runs, 1, before_us);
	return journal_finish(j, runs, e) && journal_finish(j, j->images->stmts[Q_DROP_ITEMS], e);
}

/* ---- reading ----------------------------------------------------------------------------------------- */

struct unpacking {			/* one batch */
	struct cut in;
	struct arena *arena;
	const char **names;
	size_t n_names;
};

static struct image_text cut_text(struct unpacking *u)
{
	uint64_t n = cut_varint(&u->in);
	const char *p;

	if (n < 3)
		return (struct image_text){ NULL, (int32_t)n - 3 };
	if (n - 3 > cut_left(&u->in)) {
		u->in.bad = true;
		return (struct image_text){ NULL, IMAGE_NOT_KEPT };
	}
	p = cut_bytes(&u->in, (size_t)(n - 3));
	return (struct image_text){ p != NULL ? p : "", (int32_t)(n - 3) };
}

static const char *cut_words(struct unpacking *u)
{
	struct image_text t = cut_text(u);

	return t.len < 0 ? "" : arena_dup(u->arena, t.p, (size_t)t.len);
}

static const char *cut_name(struct unpacking *u)
{
	uint64_t i = cut_varint(&u->in);

	u->in.bad |= i >= u->n_names;
	return u->in.bad ? "" : u->names[i];
}

static void cut_names(struct unpacking *u)
{
	uint64_t n = cut_varint(&u->in);

	u->in.bad |= n > IMAGE_NAMES_MAX;
	u->n_names = u->in.bad ? 0 : (size_t)n;
	u->names = arena_alloc(u->arena, (u->n_names + 1) * sizeof(const char *));
	for (size_t i = 0; i < u->n_names; i++)
		u->names[i] = cut_words(u);
}

static void cut_values(struct unpacking *u, struct journal_image *image)
{
	uint64_t n = cut_varint(&u->in);

	u->in.bad |= n > IMAGE_VALUES_MAX;
	image->n_values = u->in.bad ? 0 : (size_t)n;
	for (size_t i = 0; i < image->n_values; i++) {
		struct image_value *v = &image->values[i];

		v->field = cut_name(u);
		v->rule = cut_name(u);
		v->agreed = cut_u8(&u->in) != 0;
		v->before = cut_text(u);
		v->after = image->op == IMAGE_UPDATE ? cut_text(u) : (struct image_text){ NULL, IMAGE_NULL };
	}
}

static void cut_image(struct unpacking *u, struct journal_image *image)
{
	uint8_t head = cut_u8(&u->in);

	u->in.bad |= (head & 0xf) > IMAGE_DELETE;
	image->op = (enum image_op)(head & 0xf);
	image->created = head & 0x10;
	image->endpoint = cut_name(u);
	image->key = cut_words(u);
	image->code = cut_text(u);
	image->former = head & 0x20 ? cut_text(u) : (struct image_text){ NULL, IMAGE_NULL };
	image->print = image->created ? cut_be64(&u->in) : 0;
	image->rule = image->op == IMAGE_DELETE ? cut_name(u) : "";
	image->n_values = 0;
	if (image->op != IMAGE_INSERT)
		cut_values(u, image);
}

static bool unpack(struct journal *j, sqlite3_stmt *row, struct arena *arena, struct unpacking *u)
{
	size_t raw = (size_t)sqlite3_column_int64(row, 5), n;
	char *body;

	if (raw > BODY_MOST)
		return false;
	body = arena_alloc(arena, raw + 1);
	n = ZSTD_decompressDCtx(j->images->unpacker, body, raw, sqlite3_column_blob(row, 7), (size_t)sqlite3_column_bytes(row, 7));
	*u = (struct unpacking){ .in = cut_of(body, raw), .arena = arena };
	if (ZSTD_isError(n) || n != raw)
		return false;
	cut_names(u);
	return !u->in.bad;
}

static bool may_have_key(struct journal *j, sqlite3_stmt *row, const char *key)
{
	uint32_t wanted = key_digest(j, key);
	struct cut c = cut_of(sqlite3_column_blob(row, 6), (size_t)sqlite3_column_bytes(row, 6));

	while (cut_left(&c) >= KEY_BYTES)
		if (cut_be32(&c) == wanted)
			return true;
	return false;
}

static const char list_failed[] = "SELECT n FROM image_failed WHERE batch = ?1";

static bool *read_failed(struct journal *j, int64_t batch, size_t n, struct arena *arena)
{
	bool *failed = arena_zalloc(arena, n + 1);
	sqlite3_stmt *stmt = NULL;

	if (sqlite3_prepare_v2(j->db, list_failed, -1, &stmt, NULL) == SQLITE_OK) {
		sqlite3_bind_int64(stmt, 1, batch);
		while (sqlite3_step(stmt) == SQLITE_ROW)
			if (sqlite3_column_int64(stmt, 0) < (sqlite3_int64)n)
				failed[sqlite3_column_int64(stmt, 0)] = true;
	}
	sqlite3_finalize(stmt);
	return failed;
}

struct each {
	const struct image_filter *filter;
	bool (*fn)(void *arg, const struct journal_image *);
	void *arg;
};

/* *go_on: fn wants more. False: that batch is damaged. */
static bool each_of_batch(struct journal *j, sqlite3_stmt *row, const struct each *x, bool *go_on)
{
	struct journal_image *image;
	struct unpacking u;
	struct arena arena;
	size_t n = (size_t)sqlite3_column_int64(row, 4);
	bool *failed, ok;

	if (x->filter->key != NULL && !may_have_key(j, row, x->filter->key))
		return true;
	arena_init(&arena);
	image = arena_zalloc(&arena, sizeof *image);
	ok = unpack(j, row, &arena, &u);
	failed = read_failed(j, sqlite3_column_int64(row, 0), n, &arena);
	image->batch = sqlite3_column_int64(row, 0);
	image->run = sqlite3_column_int64(row, 1);
	image->entity = (const char *)sqlite3_column_text(row, 2);
	image->time_us = sqlite3_column_int64(row, 3);
	image->source = (const char *)sqlite3_column_text(row, 8);
	for (size_t i = 0; ok && *go_on && i < n; i++) {
		cut_image(&u, image);
		image->n = (uint32_t)i;
		image->failed = failed[i];
		ok = !u.in.bad;
		if (ok && (x->filter->key == NULL || strcmp(x->filter->key, image->key) == 0))
			*go_on = x->fn(x->arg, image);
	}
	arena_fini(&arena);
	return ok;
}

static const char list_batches[] =
	"SELECT b.id, b.run, b.entity, b.time_us, b.images, b.raw_bytes, b.keys, b.body, r.source FROM image_batch b JOIN image_run r ON r.id = b.run"
	" WHERE (?1 = 0 OR b.id < ?1) AND (?2 IS NULL OR b.entity = ?2) AND (?3 = 0 OR b.run = ?3) AND b.time_us >= ?4"
	" AND (?5 = 0 OR b.time_us <= ?5) AND (?6 IS NULL OR r.source = ?6) ORDER BY b.id DESC LIMIT ?7";

static void bind_filter(sqlite3_stmt *stmt, const struct image_filter *f, int64_t before, size_t batches)
{
	sqlite3_bind_int64(stmt, 1, before);
	journal_bind_text(stmt, 2, f->entity);
	sqlite3_bind_int64(stmt, 3, f->run);
	sqlite3_bind_int64(stmt, 4, f->since_us);
	sqlite3_bind_int64(stmt, 5, f->until_us);
	journal_bind_text(stmt, 6, f->source);
	sqlite3_bind_int64(stmt, 7, journal_limit(batches));
}

bool journal_images_each(struct journal *j, const struct image_filter *f, int64_t *before, size_t batches,
			 bool (*fn)(void *arg, const struct journal_image *), void *arg, struct err *e)
{
	struct each x = { f, fn, arg };
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(j->db, list_batches, -1, &stmt, NULL);
	bool go_on = rc == SQLITE_OK, whole = true;
	size_t n = 0;

	if (go_on)
		bind_filter(stmt, f, *before, batches);
	while (go_on && whole && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		n++;
		*before = sqlite3_column_int64(stmt, 0);
		whole = each_of_batch(j, stmt, &x, &go_on);
	}
	sqlite3_finalize(stmt);
	if (!whole)
		rc = SQLITE_CORRUPT;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		journal_db_error(j->path, rc, e);
		return err_while(e, "before-images");
	}
	if (n < batches)
		*before = 0;
	return true;
}

static const char list_runs[] =
	"SELECT r.id, r.source, min(b.time_us), max(b.time_us), sum(b.images), sum(length(b.body) + length(b.keys)), group_concat(DISTINCT b.entity)"
	" FROM image_run r JOIN image_batch b ON b.run = r.id WHERE (?1 = 0 OR r.id < ?1) AND (?2 IS NULL OR r.source = ?2)"
	" GROUP BY r.id ORDER BY r.id DESC LIMIT ?3";

bool journal_runs_each(struct journal *j, const char *source, int64_t before, size_t limit, bool (*fn)(void *arg, const struct journal_run *), void *arg,
		       struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(j->db, list_runs, -1, &stmt, NULL);
	bool go_on = rc == SQLITE_OK;

	if (go_on) {
		sqlite3_bind_int64(stmt, 1, before);
		journal_bind_text(stmt, 2, source);
		sqlite3_bind_int64(stmt, 3, journal_limit(limit));
	}
	while (go_on && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct journal_run r = {
			.number = sqlite3_column_int64(stmt, 0), .source = (const char *)sqlite3_column_text(stmt, 1),
			.first_us = sqlite3_column_int64(stmt, 2), .last_us = sqlite3_column_int64(stmt, 3), .images = sqlite3_column_int64(stmt, 4),
			.bytes = sqlite3_column_int64(stmt, 5), .entities = (const char *)sqlite3_column_text(stmt, 6),
		};

		go_on = fn(arg, &r);
	}
	return journal_end_list(j, stmt, rc, "before-images", e);
}

/* Counted once, for whoever looks at the status every second; then kept up. */
static const struct sums *sums_of(const struct journal *j)
{
	sqlite3_stmt *stmt = j->images->stmts[Q_SUMS];
	struct sums *sums = &j->images->sums;

	if (sums->known)
		return sums;
	*sums = (struct sums){ .known = sqlite3_step(stmt) == SQLITE_ROW };
	if (sums->known)
		*sums = (struct sums){ sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1), true };
	sqlite3_reset(stmt);
	return sums;
}

/* A group was not kept, and what it had counted with it. */
void journal_images_forget(struct journal *j)
{
	j->images->sums.known = false;
}

int64_t journal_images_count(const struct journal *j)
{
	return sums_of(j)->images;
}

int64_t journal_images_bytes(const struct journal *j)
{
	return sums_of(j)->bytes;
}

/* ---- what an undo is to put back --------------------------------------------------------------------- */

static void bind_text_of(sqlite3_stmt *stmt, int at, struct image_text t)
{
	sqlite3_bind_blob64(stmt, at, t.p != NULL ? t.p : "", t.len > 0 ? (sqlite3_uint64)t.len : 0, SQLITE_STATIC);
}

static void add_wanted(struct buf *b, const struct undo_item *item)
{
	buf_varint(b, item->n_values);
	for (size_t i = 0; i < item->n_values; i++) {
		add_words(b, item->values[i].field);
		add_text(b, item->values[i].want);
		add_text(b, item->values[i].expect);
		if (item->what == UNDO_AGAIN)
			add_text(b, item->values[i].inserted);
	}
}

static void bind_state(sqlite3_stmt *stmt, int at, const struct undo_item *item)
{
	sqlite3_bind_int(stmt, at, item->state);
	journal_bind_word(stmt, at + 1, item->fields);
	journal_bind_word(stmt, at + 2, item->code_word);
	journal_bind_word(stmt, at + 3, item->cause);
	sqlite3_bind_int64(stmt, at + 4, item->n_restored);
	sqlite3_bind_int64(stmt, at + 5, item->n_skipped);
}

static bool write_item(struct journal *j, const void *what, struct err *e)
{
	const struct undo_item *item = what;
	sqlite3_stmt *stmt = j->images->stmts[Q_ADD];
	struct buf wanted = { 0 };
	bool ok;

	add_wanted(&wanted, item);
	sqlite3_bind_int64(stmt, 1, item->run);
	journal_bind_word(stmt, 2, item->entity);
	journal_bind_word(stmt, 3, item->key);
	bind_text_of(stmt, 4, item->code);
	sqlite3_bind_int(stmt, 5, item->what);
	sqlite3_bind_int64(stmt, 6, (sqlite3_int64)item->print);
	sqlite3_bind_blob64(stmt, 7, wanted.p, wanted.len, SQLITE_STATIC);
	bind_state(stmt, 8, item);
	ok = journal_finish(j, stmt, e);
	buf_fini(&wanted);
	return ok;
}

bool journal_undo_add(struct journal *j, const struct undo_item *item, struct err *e)
{
	return journal_change(j, write_item, item, e);
}

static struct undo_item *read_item(sqlite3_stmt *row, struct arena *arena)
{
	struct undo_item *item = arena_zalloc(arena, sizeof *item);
	size_t len = (size_t)sqlite3_column_bytes(row, 4), n_wanted = (size_t)sqlite3_column_bytes(row, 7);
	struct unpacking u = { .in = cut_of(arena_dup(arena, sqlite3_column_blob(row, 7), n_wanted), n_wanted), .arena = arena };
	uint64_t n = n_wanted > 0 ? cut_varint(&u.in) : 0;

	item->id = sqlite3_column_int64(row, 0);
	item->run = sqlite3_column_int64(row, 1);
	item->entity = journal_column_dup(arena, row, 2);
	item->key = journal_column_dup(arena, row, 3);
	item->code = (struct image_text){ arena_dup(arena, len > 0 ? sqlite3_column_blob(row, 4) : "", len), (int32_t)len };
	item->what = (enum undo_what)sqlite3_column_int(row, 5);
	item->print = (uint64_t)sqlite3_column_int64(row, 6);
	item->state = (enum undo_state)sqlite3_column_int(row, 8);
	for (size_t i = 0; i < n && i < IMAGE_VALUES_MAX && !u.in.bad; i++) {
		struct undo_value *v = &item->values[item->n_values++];

		v->field = cut_words(&u);
		v->want = cut_text(&u);
		v->expect = cut_text(&u);
		v->inserted = item->what == UNDO_AGAIN ? cut_text(&u) : (struct image_text){ NULL, IMAGE_NOT_KEPT };
	}
	return u.in.bad ? NULL : item;
}

bool journal_undo_get(struct journal *j, int64_t id, struct arena *arena, struct undo_item **out, struct err *e)
{
	sqlite3_stmt *stmt = j->images->stmts[Q_GET];
	int rc;

	sqlite3_bind_int64(stmt, 1, id);
	rc = sqlite3_step(stmt);
	*out = rc == SQLITE_ROW ? read_item(stmt, arena) : NULL;
	if (rc == SQLITE_ROW && *out == NULL)
		rc = SQLITE_CORRUPT;
	return was_answered(j, stmt, rc, e);
}

bool journal_undo_of(struct journal *j, const char *entity, const char *key, const char *field, int64_t *run, struct err *e)
{
	sqlite3_stmt *stmt = j->images->stmts[Q_UNDO_OF];

	journal_bind_text(stmt, 1, entity);
	journal_bind_text(stmt, 2, key);
	journal_bind_text(stmt, 3, field);
	return ask_number(j, stmt, "what was put back", run, e);
}

static bool write_name(struct journal *j, const void *what, struct err *e)
{
	const struct undo_item *item = what;
	sqlite3_stmt *stmt = j->images->stmts[Q_MOVE];

	sqlite3_bind_int64(stmt, 1, item->id);
	journal_bind_word(stmt, 2, item->key);
	bind_text_of(stmt, 3, item->code);
	return journal_finish(j, stmt, e);
}

bool journal_undo_rename(struct journal *j, const struct undo_item *item, struct err *e)
{
	return journal_change(j, write_name, item, e);
}

bool journal_undo_key(struct journal *j, int64_t run, const char *entity, bool then, struct arena *arena, struct image_text *key, struct err *e)
{
	sqlite3_stmt *stmt = j->images->stmts[then ? Q_KEY_THEN : Q_KEY_NOW];
	int rc;

	sqlite3_bind_int64(stmt, 1, run);
	journal_bind_text(stmt, 2, entity);
	bind_text_of(stmt, 3, *key);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		size_t len = (size_t)sqlite3_column_bytes(stmt, 0);

		*key = (struct image_text){ arena_dup(arena, len > 0 ? sqlite3_column_blob(stmt, 0) : "", len), (int32_t)len };
	}
	return was_answered(j, stmt, rc, e);
}

static bool write_state(struct journal *j, const void *what, struct err *e)
{
	const struct undo_item *item = what;
	sqlite3_stmt *stmt = j->images->stmts[Q_SET];

	sqlite3_bind_int64(stmt, 1, item->id);
	bind_state(stmt, 2, item);
	return journal_finish(j, stmt, e);
}

bool journal_undo_set(struct journal *j, const struct undo_item *item, struct err *e)
{
	return journal_change(j, write_state, item, e);
}

#define LIST_ITEMS(state) \
	"SELECT id, run, entity, key, code, what, print, state, fields, code_word, cause, n_restored, n_skipped FROM undo_item" \
	" WHERE id > ?1 AND (?2 = 0 OR run = ?2) AND " state " ORDER BY id LIMIT ?3"

bool journal_undo_each(struct journal *j, int64_t run, bool over, int64_t after, size_t limit, bool (*fn)(void *arg, const struct undo_item *),
		       void *arg, struct err *e)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(j->db, over ? LIST_ITEMS("state >= 2") : LIST_ITEMS("state < 2"), -1, &stmt, NULL);
	bool go_on = rc == SQLITE_OK;

	if (go_on) {
		sqlite3_bind_int64(stmt, 1, after);
		sqlite3_bind_int64(stmt, 2, run);
		sqlite3_bind_int64(stmt, 3, journal_limit(limit));
	}
	while (go_on && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		struct undo_item item = {
			.id = sqlite3_column_int64(stmt, 0), .run = sqlite3_column_int64(stmt, 1), .entity = (const char *)sqlite3_column_text(stmt, 2),
			.key = (const char *)sqlite3_column_text(stmt, 3), .what = (enum undo_what)sqlite3_column_int(stmt, 5),
			.code = { sqlite3_column_blob(stmt, 4), sqlite3_column_bytes(stmt, 4) }, .print = (uint64_t)sqlite3_column_int64(stmt, 6),
			.state = (enum undo_state)sqlite3_column_int(stmt, 7), .fields = (const char *)sqlite3_column_text(stmt, 8),
			.code_word = (const char *)sqlite3_column_text(stmt, 9), .cause = (const char *)sqlite3_column_text(stmt, 10),
			.n_restored = sqlite3_column_int64(stmt, 11), .n_skipped = sqlite3_column_int64(stmt, 12),
		};

		go_on = fn(arg, &item);
	}
	return journal_end_list(j, stmt, rc, "what is to be put back", e);
}

const char *journal_images_library(char *out, size_t size)
{
	snprintf(out, size, "zstd built with %s, runs on %s", ZSTD_VERSION_STRING, ZSTD_versionString());
	return out;
}
