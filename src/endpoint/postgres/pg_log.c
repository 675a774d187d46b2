/*
 * pg_log.c - capture: listen. The change log is drained by presence (SEMANTICS 6.2): what is there is news.
 *
 *   FETCH entries, in order of id, without those in our hands  ->  PICK up to max local ids  ->  rows are read
 *
 * There is no cursor: an entry that commits late simply appears in a later fetch. Entries are left out and
 * deleted by their exact ids, never up to the largest (I2). The rows are read by a later statement than the
 * one that saw the entries (I1). A fetch takes more entries than one answer needs, so that a burst does not cost
 * a query with a growing exclusion list per answer; what was fetched and not handed out waits in the queue.
 *
 * What was not logged is missed without a trace: while a trigger was gone or off, or in a log that was emptied. So each fetch also tells
 * which log it is and what fills it, by what the catalog changes with any such event, even when it is undone at once. That is the position.
 *
 * A row that got another id, and one more before it was read, is left for the next fetch, which brings both changes: they are one.
 *
 * An id that is in the caller's hands is not given again before that is settled: its entries are held back.
 * "Nothing" is only ever answered from a fetch that was sent after the question.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_bytes.h"
#include "endpoint/postgres/pg_capture.h"
#include "endpoint/postgres/pg_install.h"

enum {
	COALESCE = 4,		/* entries looked at for one answer, times max */
	READ_AHEAD = 5,		/* entries fetched at once, times max */
	LOOKS = 10,		/* for where a row went that got another id, and another one before it was read */
};

/* Of a fetch. */
enum { FETCH_LOG, FETCH_ID, FETCH_OP, FETCH_PK, FETCH_OLD_PK, FETCH_AT, FETCH_BYTES };

static void chunk_release(struct log_chunk *chunk)
{
	if (--chunk->refs > 0)
		return;
	PQclear(chunk->res);
	free(chunk);
}

void pg_log_release(struct asked *a)
{
	for (size_t i = 0; i < a->n_taken; i++)
		chunk_release(a->taken[i].chunk);
	a->n_taken = 0;
}

static void forget_queue(struct pg_log *log)
{
	for (size_t i = 0; i < log->n; i++)
		chunk_release(log->queue[i].chunk);
	log->n = 0;
}

void pg_log_fini(struct pg_log *log)
{
	forget_queue(log);
	pg_hset_fini(&log->waits);
	free(log->queue);
	memset(log, 0, sizeof *log);
}

/* ---- pick -------------------------------------------------------------------------------------------- */

/* One pass over the queue. */
struct picking {
	struct asked *a;
	struct pg_hset held;		/* ids in the caller's hands, and those that have to keep behind one */
	struct pg_hset picked;		/* index into a->picks */
};

/* May this id be in the answer? *found: its pick, or -1 when it is not there yet. */
static bool may_pick(const struct picking *p, struct value id, ptrdiff_t *found)
{
	uint64_t hash = pg_value_hash(id);
	uint32_t at;

	*found = -1;
	if (pg_hset_get(&p->held, hash, NULL))
		return false;
	if (!pg_hset_get(&p->picked, hash, &at))
		return true;
	*found = (ptrdiff_t)at;
	return value_equal(p->a->picks[at].id, id);	/* two ids, one digest: the other one comes next time */
}

/* The id's pick, made when it has none yet; news of that moment. */
static struct pick *pick_id(struct picking *p, struct value id, ptrdiff_t found, int64_t at)
{
	struct asked *a = p->a;
	struct pick *pick = &a->picks[found >= 0 ? (size_t)found : a->n_picks];

	if (found < 0) {
		uint64_t hash = pg_value_hash(id);

		pg_hset_put(&p->picked, hash, (uint32_t)a->n_picks++);
		pg_ack_add_hash(a->ack, hash);
		*pick = (struct pick){ .id = { arena_dup(&a->mem, id.data, (size_t)id.len), id.len },
				       .old_id = VALUE_NULL, .stamp = STAMP_UNKNOWN };
	}
	if (at > pick->stamp)
		pick->stamp = at;
	return pick;
}

/* The row goes on under another id. Which one it had before all this: a batch may hold several steps of it, or of others that follow it. */
static void pass_on(struct pick *from, struct pick *to)
{
	struct value before = !value_is_null(from->old_id) ? from->old_id : from->ended ? VALUE_NULL : from->id;
	bool none = value_is_null(before) || value_equal(before, to->id) || fault("f13-another-id-is-another-row");

	from->old_id = VALUE_NULL;
	from->ended = true;
	to->old_id = none ? VALUE_NULL : before;
}

/* No room for n more rows? One row is always taken, or it never would be. */
static bool is_full(const struct asked *a, const struct log_entry *entry, int n)
{
	int64_t most = pg_topology(a->home->pl->pg)->limits.batch_bytes;

	return a->n_picks > 0 && n > 0 && (a->n_picks + (size_t)n > a->max || (most > 0 && a->bytes + entry->bytes > most));
}

/* Takes the entry, or holds it and everything behind it that names the same ids. */
static bool take(struct picking *p, const struct log_entry *entry)
{
	struct asked *a = p->a;
	bool renamed = !value_is_null(entry->old_pk) && !value_equal(entry->old_pk, entry->pk) && !fault("f13-the-old-id-is-not-told");
	ptrdiff_t at = -1, old_at = -1;

	if (entry->op == 'T' || value_is_null(entry->pk)) {
		a->truncated = true;	/* or the trigger could not tell the id: what changed is for the sweep to find */
	} else {
		if (!may_pick(p, entry->pk, &at) || (renamed && !may_pick(p, entry->old_pk, &old_at)) ||
		    is_full(a, entry, (at < 0) + (renamed && old_at < 0))) {
			pg_hset_put(&p->held, pg_value_hash(entry->pk), 0);
			if (renamed)
				pg_hset_put(&p->held, pg_value_hash(entry->old_pk), 0);
			return false;
		}
		struct pick *pick = pick_id(p, entry->pk, at, entry->at);

		a->bytes += at < 0 ? entry->bytes : 0;
		if (renamed)
			pass_on(pick_id(p, entry->old_pk, old_at, entry->at), pick);
		if (entry->op == 'D') {
			pick->old_id = VALUE_NULL;
			pick->deleted |= !pick->ended;
			pick->ended = true;
		}
	}
	pg_ack_add_id(a->ack, entry->id);
	a->entries++;
	return true;
}

static bool pick(struct asked *a)
{
	struct pg_capture *c = a->home;
	struct pg_log *log = &c->log;
	struct picking p = { .a = a };
	size_t n = log->n < a->max * COALESCE ? log->n : a->max * COALESCE, kept = 0;

	if (log->n == 0)
		return false;
	for (const struct ack *k = c->pl->acks; k != NULL; k = k->next)
		for (size_t i = 0; k->home == c && !k->settling && i < k->n_hashes; i++)
			pg_hset_put(&p.held, k->hashes[i], 0);
	a->ack = pg_ack_new(c);
	a->picks = arena_alloc(&a->mem, (a->max + 2) * sizeof *a->picks);	/* a change of id may make it two at once */
	a->taken = arena_alloc(&a->mem, n * sizeof *a->taken);
	for (size_t i = 0; i < n; i++) {
		struct log_entry *entry = &log->queue[i];

		if (take(&p, entry))
			a->taken[a->n_taken++] = *entry;
		else
			log->queue[kept++] = *entry;
	}
	memmove(&log->queue[kept], &log->queue[n], (log->n - n) * sizeof *log->queue);
	log->n -= n - kept;
	pg_hset_fini(&p.held);
	pg_hset_fini(&p.picked);
	a->more = log->n > 0 || log->more;
	a->began_us = log->fetched_us;
	if (a->entries == 0)
		pg_asked_forget(a);
	return a->entries > 0;
}

/* ---- fetch ------------------------------------------------------------------------------------------- */

/* A fetch of nothing is one row that tells of the log only. */
static size_t entries_of(const PGresult *res)
{
	return PQgetisnull(res, 0, FETCH_ID) ? 0 : (size_t)PQntuples(res);
}

static void take_name(struct asked *a, const PGresult *res)
{
	struct pg_capture *c = a->home;
	const char *now = PQgetisnull(res, 0, FETCH_LOG) ? "" : PQgetvalue(res, 0, FETCH_LOG);

	free(a->gap);
	a->gap = NULL;
	if (a->position != NULL && strcmp(a->position, now) == 0)
		return;
	a->gap = xstrdup(now);
	if (a->position != NULL && strcmp(c->log.name, now) != 0)
		pg_catalog_stale(c->pl->pg);	/* what is missing there is put back, or said */
	snprintf(c->log.name, sizeof c->log.name, "%s", now);
}

static void take_chunk(struct pg_log *log, PGresult *res)
{
	size_t n = entries_of(res);
	struct log_chunk *chunk;

	if (n == 0) {
		PQclear(res);
		return;
	}
	chunk = xcalloc(1, sizeof *chunk);
	*chunk = (struct log_chunk){ .res = res, .refs = n };
	log->queue = xrealloc(log->queue, (log->n + n) * sizeof *log->queue);
	for (int i = 0; i < (int)n; i++)
		log->queue[log->n++] = (struct log_entry){
			.id = pg_cell_int(res, i, FETCH_ID, 0), .op = PQgetvalue(res, i, FETCH_OP)[0], .pk = pg_cell(res, i, FETCH_PK),
			.old_pk = pg_cell(res, i, FETCH_OLD_PK), .at = pg_cell_int(res, i, FETCH_AT, STAMP_UNKNOWN),
			.bytes = pg_cell_int(res, i, FETCH_BYTES, 0),
			.chunk = chunk };
}

static void on_fetched(void *arg, PGresult *res, const struct err *e)
{
	struct asked *a = arg;
	struct pg_capture *c = a->home;

	if (pg_asked_orphan(a, res))
		return;
	if (e != NULL) {
		PQclear(res);
		pg_capture_fail(a, e);
		return;
	}
	c->busy = false;
	take_name(a, res);
	c->log.more = entries_of(res) == a->max * READ_AHEAD;
	take_chunk(&c->log, res);
	if (pick(a))
		pg_capture_read(a);
	else if (c->log.n == 0)
		pg_capture_answer(a, NULL);
	/* else: all there is waits for something in the caller's hands; ack and drop make us look again. An answer of
	 * "nothing" would be a lie, and one of "more" a busy loop. */
}

/*
 * The log, and the triggers that call our function, also those of partitions. The row of one that was switched off and on again, or made
 * anew, is another one; so is the file of a log that was truncated.
 */
void pg_log_position_sql(struct pg_stmt *st, const struct pg_link *pl)
{
	char *function = pg_install_capture_name(pl);

	buf_adds(&st->sql, "SELECT (SELECT 'log ' || pg_catalog.hashtextextended(pg_catalog.concat_ws(' ', l.oid, l.relfilenode, p.oid, p.xmin, "
		 "(SELECT pg_catalog.string_agg(pg_catalog.concat_ws('/', g.oid, g.xmin), ' ' ORDER BY g.oid) FROM pg_catalog.pg_depend AS d "
		 "JOIN pg_catalog.pg_trigger AS g ON g.oid = d.objid WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass "
		 "AND d.refobjid = p.oid AND d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass)), 0) "
		 "FROM pg_catalog.pg_class AS l CROSS JOIN pg_catalog.pg_proc AS p WHERE l.oid = 'crmsync.changelog'::pg_catalog.regclass ");
	buf_addf(&st->sql, "AND p.pronamespace = l.relnamespace AND p.proname = $%d)", pg_stmt_value(st, value_of(function)));
	free(function);
}

/* An id as the rows print it: types whose json form differs are read back through the type. */
static void add_log_id(struct buf *sql, const struct pg_table *t, const char *column)
{
	switch (t->id.oid) {
	case 20: case 21: case 23: case 25: case 1043: case 2950:	/* integers, text, varchar, uuid */
		buf_addf(sql, "c.%s #>> '{}'", column);
		break;
	default:
		buf_addf(sql, "(c.%s #>> '{}')::%s::pg_catalog.text", column, pg_cast_type(&t->id));
		break;
	}
}

/* How much the row that an entry names would bring. */
static void add_row_bytes(struct buf *sql, const struct pg_link *pl)
{
	const struct pg_table *t = pl->table;

	if (pg_batch_bytes(pl, t) == 0) {
		buf_addc(sql, '0');
		return;
	}
	if (pg_may_be_short(pl, t)) {
		buf_adds(sql, "CASE WHEN ");
		pg_add_keeps_long(sql, t);
		buf_adds(sql, " THEN ");
	}
	buf_addf(sql, "(SELECT %s FROM %s AS t WHERE t.%s ", t->bytes, t->quoted, t->id.quoted);
	pg_add_operator(sql, &t->id, "=");
	buf_adds(sql, " CASE WHEN c.op <> 'T' THEN (");
	add_log_id(sql, t, "pk");
	buf_addf(sql, ")::%s END)%s", pg_cast_type(&t->id), pg_may_be_short(pl, t) ? " ELSE 0 END" : "");
}

static void fetch(struct asked *a)
{
	struct pg_capture *c = a->home;
	const struct pg_table *t = c->pl->table;
	struct buf *sql = &a->st.sql;
	int64_t *mine;
	size_t n = c->log.n;

	for (const struct ack *k = c->pl->acks; k != NULL; k = k->next)
		n += k->home == c ? k->n_ids : 0;
	mine = xcalloc(n + 1, sizeof *mine);
	n = 0;
	for (const struct ack *k = c->pl->acks; k != NULL; k = k->next)
		for (size_t i = 0; k->home == c && i < k->n_ids; i++)
			mine[n++] = k->ids[i];
	for (size_t i = 0; i < c->log.n; i++)
		mine[n++] = c->log.queue[i].id;
	pg_stmt_again(&a->st);
	pg_log_position_sql(&a->st, c->pl);
	buf_adds(sql, ", c.* FROM (SELECT) AS one LEFT JOIN LATERAL (SELECT c.id, c.op, CASE WHEN c.op <> 'T' THEN ");
	add_log_id(sql, t, "pk");
	buf_adds(sql, " END, CASE WHEN c.op <> 'T' THEN ");
	add_log_id(sql, t, "old_pk");
	buf_adds(sql, " END, (extract(epoch FROM c.at) * 1000000)::pg_catalog.int8, ");
	add_row_bytes(sql, c->pl);
	buf_addf(sql, " FROM crmsync.changelog AS c"
		 " WHERE c.consumer = $%d AND c.tab = $%d", pg_stmt_value(&a->st, value_of(pg_consumer(c->pl->pg))),
		 pg_stmt_value(&a->st, value_of(pg_log_name(c->pl))));
	if (n > 0)
		buf_addf(sql, " AND c.id <> ALL ($%d::pg_catalog.int8[])", pg_stmt_int8s(&a->st, mine, n));
	buf_addf(sql, " ORDER BY c.id LIMIT %zu) AS c ON true ORDER BY c.id", a->max * READ_AHEAD);
	free(mine);
	c->busy = true;
	a->began_us = c->log.fetched_us = clock_mono_us();
	pg_stmt_call(&a->st, c->pl->pg, on_fetched, a);
}

void pg_log_step(struct asked *a)
{
	if (pick(a))
		pg_capture_read(a);
	else
		fetch(a);
}

/* ---- rows that went on ------------------------------------------------------------------------------- */

/* So often the next fetch is waited for: of what a switched off trigger did not log there is nothing to come. */
static bool may_wait(struct pg_log *log, struct value id)
{
	uint64_t hash = pg_value_hash(id);
	uint32_t looks = 0;

	pg_hset_get(&log->waits, hash, &looks);
	pg_hset_put(&log->waits, hash, looks + 1);
	return looks < LOOKS;
}

/* What was taken, but for what is held. */
static void take_again(struct picking *p)
{
	struct asked *a = p->a;
	size_t kept = 0;

	pg_ack_free(a->ack);
	a->ack = pg_ack_new(a->home);
	a->n_picks = a->entries = 0;
	a->bytes = 0;
	a->truncated = false;
	for (size_t i = 0; i < a->n_taken; i++)
		if (take(p, &a->taken[i]))
			a->taken[kept++] = a->taken[i];
		else
			chunk_release(a->taken[i].chunk);
	a->n_taken = kept;
	a->more = true;
}

/*
 * A row that got another id and is not there by that has got one more, or was deleted, before it was read. What tells of that is in the
 * log by now, and the next fetch brings it together with this: from the first id to the last. Taken apart, the second would be of a row
 * that nobody knows.
 */
bool pg_log_goes_on(struct asked *a, const struct news *news)
{
	struct pg_log *log = &a->home->log;
	struct picking p = { .a = a };
	bool waits = false;

	for (size_t i = 0; i < a->n_picks; i++)
		if (news[i].row < 0 && !news[i].ended && !value_is_null(news[i].old_id) &&
		    !fault("f13-a-second-new-id-is-news-of-its-own") && may_wait(log, news[i].id)) {
			pg_hset_put(&p.held, pg_value_hash(news[i].id), 0);
			waits = true;
		}
	if (waits) {
		a->held_back = true;
		take_again(&p);
		forget_queue(log);	/* behind what is left in the log now, and fetched again in its order */
		if (a->entries > 0) {
			pg_capture_read(a);
		} else {
			pg_asked_forget(a);
			fetch(a);
		}
	} else if (!a->held_back) {	/* else it is about the rest of it */
		pg_hset_fini(&log->waits);
	}
	pg_hset_fini(&p.held);
	pg_hset_fini(&p.picked);
	return waits;
}

/* ---- what becomes of them ---------------------------------------------------------------------------- */

void pg_log_ack(struct ack *k, pg_result_fn *done)
{
	pg_stmt_init(&k->st);
	pg_state_with_epoch(&k->st, k->pl->pg);
	buf_addf(&k->st.sql, "DELETE FROM crmsync.changelog WHERE id %s ANY ($%d::pg_catalog.int8[])",
		 fault("f01-acknowledges-up-to-the-largest") ? "<=" : "=", pg_stmt_int8s(&k->st, k->ids, k->n_ids));
	pg_state_returning(&k->st, k->pl->pg);
	pg_stmt_call(&k->st, k->pl->pg, done, k);
}

void pg_log_stamps_sql(struct pg_stmt *st, const struct pg_link *pl, const struct value *ids, size_t n)
{
	buf_adds(&st->sql, "SELECT ");
	add_log_id(&st->sql, pl->table, "pk");
	buf_addf(&st->sql, ", max((extract(epoch FROM c.at) * 1000000)::pg_catalog.int8), pg_catalog.bool_or(c.op = 'D')"
		 " FROM crmsync.changelog AS c WHERE c.consumer = $%d AND c.tab = $%d AND c.op <> 'T' AND c.pk #>> '{}' = ANY ($%d::pg_catalog.text[])"
		 " GROUP BY c.pk", pg_stmt_value(st, value_of(pg_consumer(pl->pg))),
		 pg_stmt_value(st, value_of(pg_log_name(pl))), pg_stmt_values(st, ids, n, 1));
}
