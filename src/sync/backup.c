/*
 * backup.c - the state and the journal of one moment, as a file.
 *
 *   VECTORS  page by page; what is written meanwhile is written down behind   ->  MOMENT  ->  JOURNAL  ->  END
 *
 * Nothing stops for it. The pages are read while rounds go on, so they are of many moments; but only this daemon writes, and each of
 * its writes that Redis has carried out goes into the file behind the page that may not have it. Read from its beginning, the file is the state
 * as it was when the last of them was taken in: that is the moment at which the positions have been read and the journal is held
 * still. (A fuzzy copy and the log of what happened during it: so do databases back themselves up.)
 */
#include <stdlib.h>
#include <string.h>

#include "backup/backup.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/describe.h"
#include "sync/state.h"

enum {
	OUT_FULL = 256 * 1024,		/* not taken yet: the next page waits */
	OUT_MOST = 16 << 20,		/* what is written meanwhile cannot wait: whoever takes so slowly gets no backup */
};

enum backup_state { BACKUP_VECTORS, BACKUP_MOMENT, BACKUP_JOURNAL_PAGES, BACKUP_OVER, BACKUP_BROKEN };

struct sync_backup {
	struct sync *sync;		/* NULL: it has ended */
	struct sync_backup_taker taker;
	enum backup_state state;
	struct backup_writer *writer;
	struct journal_copy *journal;	/* owned; NULL: not yet, not any more */
	struct loop_timer *soon;
	size_t entity;
	uint64_t from;
	bool asking, left;		/* an answer of the store is out; nobody waits for us any more: freed with it */
	struct buf out;
	struct backup_sums sums;
	struct job job;			/* its phases: vectors, copy, journal */
};

static void go_on(struct sync_backup *b);

/* ---- the end ----------------------------------------------------------------------------------------- */

static void let_go(struct sync_backup *b)
{
	struct sync *s = b->sync;

	if (s != NULL && s->store != NULL)
		s->store->tap = (struct store_tap){ NULL, NULL };
	if (s != NULL) {
		s->backup = NULL;
		job_end(&s->jobs, &b->job);
	}
	b->sync = NULL;
	journal_copy_free(&b->journal);
}

static void break_off(struct sync_backup *b, const char *why)
{
	if (b->state >= BACKUP_OVER)
		return;
	log_warn("backup broken off; it has no end and is worth nothing", LOG_S("cause", why));
	b->state = BACKUP_BROKEN;
	let_go(b);
	buf_clear(&b->out);
	backup_write_broken(why, &b->out);
	loop_timer_set(b->soon, 0);
}

void backup_break(struct sync *s, const char *why)
{
	if (s->backup != NULL)
		break_off(s->backup, why);
}

static void release(struct sync_backup *b)
{
	loop_timer_free(&b->soon);
	backup_writer_free(&b->writer);
	buf_fini(&b->out);
	free(b);
}

void sync_backup_free(struct sync_backup **bp)
{
	struct sync_backup *b = *bp;

	*bp = NULL;
	break_off(b, "whoever asked for it went away");
	let_go(b);
	loop_timer_stop(b->soon);	/* nobody is to be told, also while the store owes an answer */
	b->left = true;
	if (!b->asking)
		release(b);
}

/* An answer of the store. False: nothing is done with it any more. */
static bool answered(struct sync_backup *b, const struct err *e)
{
	b->asking = false;
	if (b->left)
		release(b);
	else if (e != NULL)
		break_off(b, e->text);
	else if (b->state < BACKUP_OVER)
		return true;
	return false;
}

/* ---- vectors ----------------------------------------------------------------------------------------- */

static void add_record(struct sync_backup *b, size_t entity, const struct rid *rid, struct value blob)
{
	unsigned char head[1 + RID_BYTES] = { (unsigned char)entity };

	memcpy(head + 1, rid->b, RID_BYTES);
	if (value_is_null(blob))
		backup_write(b->writer, BACKUP_GONE, head, sizeof head, NULL, 0, &b->out);
	else
		backup_write(b->writer, BACKUP_RECORD, head, sizeof head, blob.data, (size_t)blob.len, &b->out);
}

static void on_written(void *arg, size_t entity, const struct store_put *puts, size_t n)
{
	struct sync_backup *b = arg;

	for (size_t i = 0; i < n; i++)
		add_record(b, entity, &puts[i].rid, puts[i].blob);
	if (b->out.len > OUT_MOST)
		break_off(b, "it is taken too slowly while too much is written");
}

static void on_page(void *arg, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next, const struct err *e)
{
	struct sync_backup *b = arg;

	if (!answered(b, e))
		return;
	for (size_t i = 0; i < n; i++)
		add_record(b, b->entity, &rids[i], blobs[i]);
	b->sums.records += n;
	job_more(&b->job, (int64_t)n, clock_mono_us());
	b->from = next;
	if (next == 0 && ++b->entity == b->sync->topology->n_entities)
		b->state = BACKUP_MOMENT;
	go_on(b);
	if (b->out.len > 0)
		b->taker.more(b->taker.arg);
}

/* ---- the moment -------------------------------------------------------------------------------------- */

static void add_fact(struct sync_backup *b, const struct store_fact *fact)
{
	char *name = xstrndup(fact->name.data, (size_t)fact->name.len);	/* with its NUL */

	backup_write(b->writer, fact->what == FACT_NAME ? BACKUP_NAME : BACKUP_POSITION, name, (size_t)fact->name.len + 1,
		     fact->text.data, (size_t)fact->text.len, &b->out);
	free(name);
}

static void on_facts(void *arg, const struct store_fact *facts, size_t n, const struct err *e)
{
	struct sync_backup *b = arg;
	struct err why = { 0 };

	if (!answered(b, e))
		return;
	for (size_t i = 0; i < n; i++)
		add_fact(b, &facts[i]);
	b->sync->store->tap = (struct store_tap){ NULL, NULL };
	b->journal = journal_copy_new(b->sync->journal, &why);
	if (b->journal == NULL) {
		break_off(b, why.text);
		return;
	}
	b->state = BACKUP_JOURNAL_PAGES;
	job_phase(&b->job, "copy", NULL, NULL, -1, clock_mono_us());
	b->taker.more(b->taker.arg);
}

/* ---- the journal, and the end ------------------------------------------------------------------------ */

static void finish(struct sync_backup *b)
{
	backup_write_end(b->writer, &b->sums, &b->out);
	b->state = BACKUP_OVER;
	log_info("backup made", LOG_I("records", b->sums.records), LOG_I("journal_bytes", b->sums.journal_bytes),
		 LOG_D("seconds", (double)(clock_mono_us() - b->job.began_us) / 1e6));
	let_go(b);
}

/* It is copied first, and then given out. */
static void tell_given(struct sync_backup *b, size_t n)
{
	if (b->job.unit == NULL)
		job_phase(&b->job, "journal", NULL, "bytes", journal_bytes(b->sync->journal), clock_mono_us());
	job_more(&b->job, (int64_t)n, clock_mono_us());
}

/* A portion a turn of the loop, as it is taken. */
static void copy_journal(struct sync_backup *b)
{
	char piece[JOURNAL_COPY_PIECE];
	struct err e = { 0 };
	bool over;
	size_t n;

	failpoint_phase("backup", (int)b->state);
	if (!journal_copy_step(b->journal, piece, &n, &over, &e)) {
		break_off(b, e.text);
		return;
	}
	b->sums.journal_bytes += n;
	if (n > 0) {
		tell_given(b, n);
		backup_write(b->writer, BACKUP_JOURNAL, piece, n, NULL, 0, &b->out);
	}
	if (over)
		finish(b);
}

/* ---- one after the other ----------------------------------------------------------------------------- */

static void go_on(struct sync_backup *b)
{
	struct store *store = b->sync->store;

	if (b->asking || b->out.len > OUT_FULL)
		return;
	failpoint_phase("backup", (int)b->state);
	if (b->state == BACKUP_VECTORS) {
		b->asking = true;
		store->ops->scan(store, b->entity, b->from, on_page, b);
	} else if (b->state == BACKUP_MOMENT) {
		b->asking = true;
		store->ops->facts(store, on_facts, b);
	}
}

static void on_soon(void *arg)
{
	struct sync_backup *b = arg;

	b->taker.more(b->taker.arg);
}

bool sync_backup_more(struct sync_backup *b, struct buf *out)
{
	if (b->state == BACKUP_JOURNAL_PAGES)
		copy_journal(b);
	buf_add(out, b->out.len > 0 ? b->out.p : "", b->out.len);
	buf_clear(&b->out);
	if (b->state >= BACKUP_OVER)
		return false;
	if (b->state == BACKUP_JOURNAL_PAGES)
		loop_timer_set(b->soon, 0);	/* nothing else would tell that there is more */
	else
		go_on(b);
	return true;
}

static bool can_begin(const struct sync *s, struct err *e)
{
	if (s->backup != NULL)
		return err_set(e, ERR_TRANSIENT, "busy", "a backup is being made already; one at a time");
	if (sync_not_at_hand(s) != NULL)
		return err_set(e, ERR_TRANSIENT, "not-ready", "%s", sync_not_at_hand(s));
	return true;
}

static void begin(struct sync_backup *b)
{
	const struct sync *s = b->sync;
	struct buf head = { 0 };
	int64_t expected = 0;
	char when[32];

	time_print(clock_wall_us(), when);
	buf_addf(&head, "made %s\n\n", when);
	topology_describe(s->topology, &head);
	b->writer = backup_writer_new(head.p, &b->out);
	buf_fini(&head);
	backup_write(b->writer, BACKUP_KEY, s->store->key.secret, sizeof s->store->key.secret, NULL, 0, &b->out);
	for (size_t i = 0; i < s->topology->n_entities; i++)
		expected += s->store->records[i];
	job_phase(&b->job, "vectors", NULL, "records", expected, clock_mono_us());
	for (size_t i = 0; i < s->topology->n_entities; i++)
		backup_write(b->writer, BACKUP_ENTITY, s->flows[i].def->name, strlen(s->flows[i].def->name), NULL, 0, &b->out);
}

struct sync_backup *sync_backup(struct sync *s, const struct sync_backup_taker *taker, struct err *e)
{
	struct sync_backup *b;

	if (!can_begin(s, e))
		return NULL;
	b = xcalloc(1, sizeof *b);
	*b = (struct sync_backup){ .sync = s, .taker = *taker };
	job_begin(&s->jobs, &b->job, "backup", NULL, JOB_OPERATOR, clock_mono_us());
	b->soon = loop_timer_new(s->loop, on_soon, b);
	s->backup = b;
	s->store->tap = (struct store_tap){ on_written, b };
	begin(b);
	go_on(b);
	return b;
}
