/*
 * restore.c - see restore.h.
 *
 *   LOOK at all of the file -> lease -> FILL the vectors, and the new journal beside the old one
 *	-> COUNT them, and note where their rows are -> POSITIONS -> JOURNAL in its place -> FINISH: it is a state like any other
 *
 * Until FINISH the state says that it is being restored, and whoever opens it leaves it alone (store/redis_copy.c).
 */
#include "daemon/restore.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backup/backup.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/describe.h"
#include "conf/topology.h"
#include "daemon/daemon.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "store/store.h"
#include "sync/restore.h"

enum {
	LEASE_MS = 5000,		/* longer than that of a daemon that was killed lasts */
	FILL_RECORDS = 2000, FILL_BYTES = 1 << 20,	/* of one write */
	TURN_ITEMS = 4000,		/* then the lease gets its turn */
	LINE = 200,
};

/* What is done when that which is under way has been answered. */
enum restore_state { RESTORE_NOTHING, RESTORE_SIZE, RESTORE_FILL, RESTORE_COUNT, RESTORE_POSITIONS, RESTORE_JOURNAL, RESTORE_LEAVE };

struct source_entity {			/* of the file */
	ptrdiff_t entity;		/* here; -1: there is none of that name */
	int64_t records;		/* items; more than records, where some are there twice */
};

struct restore {
	struct topology *topology;	/* owned */
	const struct restore_choice *choice;
	struct loop *loop;
	struct loop_timer *deadline;
	struct backup_reader *file;
	struct store *store;
	struct store_restore facts;
	struct store_fact *positions;
	size_t n_positions;
	struct source_entity sources[256];
	size_t n_sources;
	struct arena keep;		/* texts of the facts */
	int64_t made_us;
	enum restore_state state;
	size_t entity;			/* SIZE: of the file; COUNT: of the topology: whose turn it is */
	uint64_t from;			/* COUNT: next page */
	/* FILL: of one write */
	struct arena arena;
	struct buf bytes;
	struct store_put *puts;
	size_t n;
	ptrdiff_t filling;
	struct backup_item item;	/* read last; it waits when it is of another entity */
	bool item_waits;
	struct loop_timer *next;
	struct journal_install *journal;
	char aside[4096];
	int64_t records, began_us;
	int exit_code;
	struct err why;
};

static void step(struct restore *r);

static int exit_of(const struct err *e)
{
	if (strcmp(e->code, STORE_STANDBY) == 0)
		return EXIT_TEMPFAIL;
	if (strcmp(e->code, "EACCES") == 0 || strcmp(e->code, "EPERM") == 0)
		return EXIT_NOPERM;
	return e->kind == ERR_CONFIG ? EXIT_CONFIGURATION : EXIT_UNAVAILABLE;
}

static void fail(struct restore *r, const struct err *e)
{
	if (r->why.kind != 0)
		return;
	r->why = *e;
	r->exit_code = exit_of(e);
	loop_stop(r->loop);
}

/* ---- LOOK: nothing has been touched ------------------------------------------------------------------ */

static struct value keep_value(struct restore *r, const void *p, size_t n)
{
	return (struct value){ arena_dup(&r->keep, p, n), (int32_t)n };
}

static bool look_fact(struct restore *r, const struct backup_item *item, struct store_fact **list, size_t *n, struct err *e)
{
	const char *nul = memchr(item->p, '\0', item->n);
	size_t name;

	if (nul == NULL)
		return err_set(e, ERR_CONFIG, "damaged", "a name has no end");
	name = (size_t)(nul - (const char *)item->p);
	*list = xrealloc(*list, (*n + 1) * sizeof **list);
	(*list)[(*n)++] = (struct store_fact){ .name = keep_value(r, item->p, name), .text = keep_value(r, nul + 1, item->n - name - 1) };
	return true;
}

static bool look_entity(struct restore *r, const struct backup_item *item, struct err *e)
{
	struct source_entity *s = &r->sources[r->n_sources];

	if (r->n_sources++ == countof(r->sources))
		return err_set(e, ERR_CONFIG, "damaged", "it has too many entities");
	s->entity = -1;
	for (size_t i = 0; i < r->topology->n_entities; i++)
		if (strlen(r->topology->entities[i].def.name) == item->n && memcmp(r->topology->entities[i].def.name, item->p, item->n) == 0)
			s->entity = (ptrdiff_t)i;
	return true;
}

static bool look_record(struct restore *r, const struct backup_item *item, struct err *e)
{
	const unsigned char *p = item->p;

	if (item->n < 1 + RID_BYTES || p[0] >= r->n_sources || (item->kind == BACKUP_GONE && item->n != 1 + RID_BYTES))
		return err_set(e, ERR_CONFIG, "damaged", "a record has no form that is known");
	r->sources[p[0]].records += item->kind == BACKUP_RECORD;
	return true;
}

static bool look_at(struct restore *r, const struct backup_item *item, struct err *e)
{
	switch (item->kind) {
	case BACKUP_KEY:
		if (item->n != sizeof r->facts.key.secret)
			return err_set(e, ERR_CONFIG, "damaged", "its key has another length");
		memcpy(r->facts.key.secret, item->p, item->n);
		return true;
	case BACKUP_NAME:
		return look_fact(r, item, (struct store_fact **)&r->facts.names, &r->facts.n_names, e);
	case BACKUP_POSITION:
		return look_fact(r, item, &r->positions, &r->n_positions, e);
	case BACKUP_ENTITY:
		return look_entity(r, item, e);
	case BACKUP_RECORD:
	case BACKUP_GONE:
		return look_record(r, item, e);
	case BACKUP_JOURNAL:
	case BACKUP_END:
		return true;
	}
	return err_set(e, ERR_CONFIG, "damaged", "it holds something that is not known");
}

static bool topology_fits(const struct restore *r, struct err *e)
{
	char was[LINE], is[LINE];
	struct buf here = { 0 };
	bool differ;

	buf_adds(&here, "\n\n");
	topology_describe(r->topology, &here);
	differ = backup_heads_differ(backup_head(r->file), here.p, was, is, sizeof was);
	buf_fini(&here);
	if (!differ || r->choice->other_topology)
		return true;
	return err_set(e, ERR_CONFIG, "other-topology", "%s is a backup of another topology: it says '%s', and %s '%s'. --other-topology takes it all the same",
		       r->choice->file, was, r->topology->file, is);
}

static bool read_made(struct restore *r, struct err *e)
{
	char when[40];

	return (sscanf(backup_head(r->file), "made %39s", when) == 1 && time_parse(when, &r->made_us)) ||
	       err_set(e, ERR_CONFIG, "damaged", "%s does not say when it was made", r->choice->file);
}

static bool look(struct restore *r, struct err *e)
{
	struct backup_item item = { .kind = BACKUP_KEY };

	r->file = backup_open(r->choice->file, e);
	if (r->file == NULL || !topology_fits(r, e) || !read_made(r, e))
		return false;
	while (item.kind != BACKUP_END) {
		if (!backup_next(r->file, &item, e))
			return false;
		if (!look_at(r, &item, e))
			return err_while(e, "%s", r->choice->file);
	}
	return backup_rewind(r->file, e);
}

/* ---- FILL -------------------------------------------------------------------------------------------- */

/* The bytes move while they grow: offsets until the write. */
static void fill_record(struct restore *r)
{
	const char *p = r->item.p;
	struct store_put *put = &r->puts[r->n++];
	struct value blob = { p + 1 + RID_BYTES, (int32_t)(r->item.n - 1 - RID_BYTES) };
	size_t at = r->bytes.len;

	*put = (struct store_put){ .blob = VALUE_NULL, .unburied = true };
	memcpy(put->rid.b, p + 1, RID_BYTES);
	if (r->item.kind == BACKUP_RECORD && restore_vector(&r->store->layouts[r->filling], blob, &r->arena, &r->bytes))
		put->blob = (struct value){ (const char *)(uintptr_t)at, (int32_t)(r->bytes.len - at) };
}

/* One of another entity than those before it waits for the next write. */
static void fill_record_of(struct restore *r)
{
	ptrdiff_t entity = r->sources[*(const unsigned char *)r->item.p].entity;

	if (entity < 0)
		return;
	r->item_waits = r->n > 0 && entity != r->filling;
	if (r->item_waits)
		return;
	r->filling = entity;
	fill_record(r);
}

static bool fill_item(struct restore *r, struct err *e)
{
	if (r->item.kind == BACKUP_JOURNAL)
		return journal_install_add(r->journal, r->item.p, r->item.n, e);
	if (r->item.kind == BACKUP_RECORD || r->item.kind == BACKUP_GONE)
		fill_record_of(r);
	return true;
}

static void on_step_done(void *arg, const struct err *e);

static void fill_write(struct restore *r)
{
	struct store_write w = { .puts = r->puts, .n_puts = r->n };

	for (size_t i = 0; i < r->n; i++)
		if (!value_is_null(r->puts[i].blob))
			r->puts[i].blob.data = r->bytes.p + (uintptr_t)r->puts[i].blob.data;
	r->store->ops->write(r->store, (size_t)r->filling, &w, on_step_done, r);
	r->n = 0;
	buf_clear(&r->bytes);
	arena_reset(&r->arena);
}

static bool is_filled(const struct restore *r)
{
	return r->item_waits || r->item.kind == BACKUP_END || r->n == FILL_RECORDS || r->bytes.len >= FILL_BYTES;
}

static bool fill_items(struct restore *r, struct err *e)
{
	if (r->item_waits) {
		r->item_waits = false;
		fill_record_of(r);
	}
	for (size_t i = 0; i < TURN_ITEMS && !is_filled(r); i++)
		if (!backup_next(r->file, &r->item, e) || !fill_item(r, e))
			return false;
	return true;
}

static void fill(struct restore *r)
{
	struct err e = { 0 };

	if (!fill_items(r, &e)) {
		fail(r, &e);
	} else if (r->n > 0) {
		fill_write(r);
	} else if (r->item.kind != BACKUP_END) {
		loop_timer_set(r->next, 0);
	} else {
		r->state = RESTORE_COUNT;
		r->entity = 0;
		step(r);
	}
}

/* ---- SIZE, COUNT: entity by entity ------------------------------------------------------------------- */

static void size(struct restore *r)
{
	size_t i = r->entity;

	while (i < r->n_sources && (r->sources[i].entity < 0 || r->sources[i].records == 0))
		i++;
	r->entity = i + 1;
	if (i < r->n_sources) {
		r->store->ops->presize(r->store, (size_t)r->sources[i].entity, r->sources[i].records, on_step_done, r);
		return;
	}
	r->state = RESTORE_FILL;
	step(r);
}

/* Where the rows are, of what is there in the end: of a record that is twice in the file only the last word counts. */
static void on_counted(void *arg, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next, const struct err *e)
{
	struct restore *r = arg;
	const struct vector_layout *layout;
	struct store_map_put *maps;
	struct store_write w = { .records_added = (int64_t)n };

	if (e != NULL) {
		fail(r, e);
		return;
	}
	layout = &r->store->layouts[r->entity];
	maps = xcalloc(n * layout->n_endpoints + 1, sizeof *maps);
	for (size_t i = 0; i < n; i++)
		w.n_maps += restore_maps(layout, &rids[i], blobs[i], &r->arena, maps + w.n_maps);
	w.maps = maps;
	r->records += (int64_t)n;
	r->from = next;
	r->store->ops->write(r->store, r->entity, &w, on_step_done, r);
	if (next == 0)
		r->entity++;
	arena_reset(&r->arena);
	free(maps);
}

static void count(struct restore *r)
{
	if (r->entity < r->topology->n_entities) {
		r->store->ops->scan(r->store, r->entity, r->from, on_counted, r);
		return;
	}
	r->state = RESTORE_POSITIONS;
	step(r);
}

/* ---- POSITIONS, JOURNAL, FINISH ---------------------------------------------------------------------- */

/* With a mark for each endpoint: what is known of it is that of a backup. */
static void write_positions(struct restore *r)
{
	const struct topology *t = r->topology;
	struct store_position *p = xcalloc(r->n_positions + t->n_endpoints, sizeof *p);
	char (*marks)[RESTORE_MARK] = xcalloc(t->n_endpoints, sizeof *marks);
	struct store_write w = { .positions = p };
	char made[24];

	snprintf(made, sizeof made, "%lld", (long long)r->made_us);
	for (size_t i = 0; i < r->n_positions; i++)
		if (restore_keeps_position(r->positions[i].name))
			p[w.n_positions++] = (struct store_position){ r->positions[i].name.data, r->positions[i].text.data };
	for (size_t e = 0; e < t->n_endpoints; e++) {
		restore_name_mark(t->endpoints[e].name, marks[e]);
		p[w.n_positions++] = (struct store_position){ marks[e], made };
	}
	r->state = RESTORE_JOURNAL;
	r->store->ops->write(r->store, 0, &w, on_step_done, r);
	free(marks);
	free(p);
}

static void finish(struct restore *r)
{
	struct backup_sums sums;
	struct err e = { 0 };

	backup_sums(r->file, &sums);
	if (sums.journal_bytes > 0 &&
	    !journal_install_finish(r->journal, r->topology->name, r->aside, sizeof r->aside, &e)) {
		fail(r, &e);
		return;
	}
	failpoint("restore", "journal", "answered");
	r->state = RESTORE_LEAVE;
	r->store->ops->restored(r->store, on_step_done, r);
}

static void on_left(void *arg, const struct err *e)
{
	struct restore *r = arg;

	loop_stop(r->loop);	/* not told, the lease ends by itself */
}

/* ---- one after the other ----------------------------------------------------------------------------- */

static void step(struct restore *r)
{
	switch (r->state) {
	case RESTORE_NOTHING:
		break;
	case RESTORE_SIZE:
		size(r);
		break;
	case RESTORE_FILL:
		fill(r);
		break;
	case RESTORE_COUNT:
		count(r);
		break;
	case RESTORE_POSITIONS:
		write_positions(r);
		break;
	case RESTORE_JOURNAL:
		finish(r);
		break;
	case RESTORE_LEAVE:
		r->exit_code = EXIT_FINE;
		r->store->ops->leave(r->store, on_left, r);
		break;
	}
}

static void on_step_done(void *arg, const struct err *e)
{
	static const char *const names[] = {
		[RESTORE_SIZE] = "size", [RESTORE_FILL] = "fill", [RESTORE_COUNT] = "count", [RESTORE_JOURNAL] = "positions",
		[RESTORE_LEAVE] = "finish",
	};
	struct restore *r = arg;

	failpoint("restore", names[r->state], "answered");
	if (e != NULL)
		fail(r, e);
	else
		step(r);
}

static void on_next(void *arg)
{
	step(arg);
}

static void on_up(void *arg)
{
	struct restore *r = arg;
	struct err e = { 0 };

	loop_timer_stop(r->deadline);
	r->journal = journal_install_new(r->topology->journal.directory, &e);
	if (r->journal == NULL) {
		fail(r, &e);
		return;
	}
	r->state = RESTORE_SIZE;
	step(r);
}

/* A daemon that was killed has the lease for a while. */
static void on_down(void *arg, const struct err *e)
{
	if (strcmp(e->code, STORE_STANDBY) != 0)
		fail(arg, e);
}

static void on_deadline(void *arg)
{
	struct restore *r = arg;
	struct err e = { 0 };

	if (strcmp(r->store->why.code, STORE_STANDBY) == 0)
		err_set(&e, ERR_TRANSIENT, STORE_STANDBY, "a crmsyncd is at work: it holds the lease. Stop it first");
	else
		err_set(&e, ERR_TRANSIENT, "ETIMEDOUT", "Redis does not answer");
	fail(r, &e);
}

static void on_signal(void *arg)
{
	struct restore *r = arg;
	struct err e = { 0 };

	err_set(&e, ERR_TRANSIENT, "EINTR", "interrupted");
	fail(r, &e);
	r->exit_code = EXIT_INTERRUPTED;
}

/* ---- a run of it ------------------------------------------------------------------------------------- */

/* What root makes in the journal's directory the daemon could not write to. */
static bool become_owner(const char *directory, struct err *e)
{
	struct stat st;
	const struct passwd *pw;

	if (geteuid() != 0 || stat(directory, &st) != 0 || st.st_uid == 0)
		return true;
	pw = getpwuid(st.st_uid);
	if ((pw != NULL ? initgroups(pw->pw_name, st.st_gid) : setgroups(0, NULL)) == 0 && setgid(st.st_gid) == 0 && setuid(st.st_uid) == 0)
		return true;
	return err_set(e, ERR_CONFIG, strerrorname_np(errno), "cannot become the user to whom %s belongs: %s", directory, strerror(errno));
}

static void restore_in(struct restore *r)
{
	struct store_events events = { on_up, on_down, NULL, r };

	r->loop = loop_new();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	loop_signal(r->loop, SIGTERM, on_signal, r);
	loop_signal(r->loop, SIGINT, on_signal, r);
	r->deadline = loop_timer_new(r->loop, on_deadline, r);
	loop_timer_set(r->deadline, LEASE_MS);
	r->next = loop_timer_new(r->loop, on_next, r);
	r->puts = xcalloc(FILL_RECORDS, sizeof *r->puts);
	r->store = redis_store_restoring(r->loop, r->topology, &events, &r->facts);
	loop_run(r->loop);
	store_free(&r->store);
	loop_timer_free(&r->deadline);
	loop_timer_free(&r->next);
	loop_free(&r->loop);
}

static void tell(const struct restore *r)
{
	struct backup_sums sums;
	struct buf out = { 0 };
	char made[32];

	backup_sums(r->file, &sums);
	time_print(r->made_us, made);
	buf_addf(&out, "{\"schema\": 1, \"restored\": true, \"made\": \"%s\", \"records\": %lld, \"journal_bytes\": %llu, \"seconds\": %.3f, "
		 "\"journal_before\": ", made, (long long)r->records, (unsigned long long)sums.journal_bytes,
		 (double)(clock_mono_us() - r->began_us) / 1e6);
	if (r->aside[0] != '\0')
		text_json(&out, r->aside, strlen(r->aside));
	else
		buf_adds(&out, "null");
	buf_adds(&out, "}\n");
	fwrite(out.p, 1, out.len, stdout);
	fflush(stdout);
	buf_fini(&out);
}

/* In the log for whoever reads that, and as whoever started us reads what was done. */
static void tell_failure(const struct restore *r)
{
	const char *code = r->why.code[0] != '\0' ? r->why.code : err_kind_name(r->why.kind);
	struct buf out = { 0 };

	log_error("not restored", LOG_ERR(&r->why));
	buf_adds(&out, "{\"schema\": 1, \"error\": {\"code\": ");
	text_json(&out, code, strlen(code));
	buf_adds(&out, ", \"text\": ");
	text_json(&out, r->why.text, strlen(r->why.text));
	buf_addf(&out, ", \"exit\": %d}}\n", r->exit_code);
	fwrite(out.p, 1, out.len, stdout);
	fflush(stdout);
	buf_fini(&out);
}

static void restore_fini(struct restore *r)
{
	journal_install_free(&r->journal);
	backup_close(&r->file);
	arena_fini(&r->arena);
	arena_fini(&r->keep);
	buf_fini(&r->bytes);
	free((void *)r->facts.names);
	free(r->positions);
	free(r->puts);
	topology_free(&r->topology);
}

int restore_run(struct topology *topology, const struct restore_choice *choice)
{
	struct restore r = { .topology = topology, .choice = choice, .exit_code = EXIT_TROUBLE, .began_us = clock_mono_us(), .filling = -1,
			     .item = { .kind = BACKUP_KEY } };

	arena_init(&r.arena);
	arena_init(&r.keep);
	r.facts.replace = choice->replace;
	if (look(&r, &r.why) && become_owner(topology->journal.directory, &r.why))
		restore_in(&r);
	else
		r.exit_code = exit_of(&r.why);
	if (r.why.kind != 0)
		tell_failure(&r);
	else
		tell(&r);
	restore_fini(&r);
	return r.exit_code;
}
