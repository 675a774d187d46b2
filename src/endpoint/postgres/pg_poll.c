/*
 * pg_poll.c - capture: poll. Changed rows by keyset on (modified, id), under a safe bound (SEMANTICS 7).
 *
 *   BOUND -> PAGE of (id, version, modified)  ->  rows are read  ->  answer          a full page: PAGE again
 *
 * A cursor that is too low costs, one that is too high loses. `now()` is the start of a transaction, so a
 * row may appear with a stamp as old as the oldest transaction that was open when we looked: nothing can appear
 * any more below `low`, which is that start (or, where we may not see the others' starts, the overlap before now) with
 * a margin. The position moves behind the last row read as long as that row is below `low`; else it stays at `low`,
 * and what lies above is looked at again by the next run. Rows that were settled with this very version are then
 * skipped by a digest of (id, version). The bound belongs to a run, not to a page: rows that appear behind the pages
 * already read are found by the next run only if the position still lies below them.
 *
 * A prepared transaction does not show when it began: while there is one the position stays.
 * Where the column shows local time, a clock that is put back shows an hour again: from three hours before that on, the bound is the
 * least that will still be shown.
 * What poll cannot see: rows whose `modified` is NULL or was set back, and rows that are gone. The sweep finds those.
 *
 * Position, printable: "1 MOMENT ID e" (behind that row) or "1 MOMENT - i" (from that moment on); MOMENT and ID are
 * the database's text with everything unusual as %XX.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_bytes.h"
#include "endpoint/postgres/pg_capture.h"
#include "endpoint/postgres/pg_endpoint.h"
#include "endpoint/postgres/pg_moment.h"
#include "endpoint/postgres/pg_sessions.h"
#include "endpoint/postgres/pg_zone.h"

enum { SETTLED_MAX = 200000 };	/* (id, version) remembered at most; beyond that rows are read again, which only costs */

static const int64_t OVERLAP_LEAST_US = 300 * 1000000LL;	/* where the bound is a guess */
static const char BEGINNING[] = "-infinity";

/* ---- positions --------------------------------------------------------------------------------------- */

static void add_escaped(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++)
		if (isalnum((unsigned char)*s) || strchr(":.+_", *s) != NULL || (*s == '-' && out->p[out->len - 1] != ' '))
			buf_addc(out, *s);
		else
			buf_addf(out, "%%%02X", (unsigned char)*s);
}

static char *position_print(const char *at, const char *id)
{
	struct buf b = { 0 };

	if (id != NULL && *id == '\0')
		id = NULL;	/* an empty word would not be found again; from that moment on is only more */
	buf_adds(&b, "1 ");
	add_escaped(&b, at);
	buf_addc(&b, ' ');
	if (id != NULL)
		add_escaped(&b, id);
	else
		buf_addc(&b, '-');
	buf_adds(&b, id != NULL ? " e" : " i");
	return buf_take(&b);
}

/* In place. False: not what add_escaped() writes. */
static bool unescape(char *s)
{
	char *to = s;
	unsigned byte;

	for (; *s != '\0'; s++)
		if (*s != '%')
			*to++ = *s;
		else if (isxdigit((unsigned char)s[1]) && isxdigit((unsigned char)s[2]) && sscanf(s + 1, "%2x", &byte) == 1 && byte != 0)
			*to++ = (char)byte, s += 2;
		else
			return false;
	*to = '\0';
	return true;
}

/* *at and *id (NULL: from that moment on) are the caller's to free, also when it is false: not a position. */
static bool position_parse(const char *text, char **at, char **id)
{
	char *copy = xstrdup(text), *save, *word[5];
	bool good;
	int n = 0;

	for (char *p = strtok_r(copy, " ", &save); p != NULL && n < 5; p = strtok_r(NULL, " ", &save))
		word[n++] = p;
	good = n == 4 && strcmp(word[0], "1") == 0 && (strcmp(word[3], "e") == 0 || strcmp(word[3], "i") == 0) &&
	       unescape(word[1]) && unescape(word[2]);
	*at = good ? xstrdup(word[1]) : NULL;
	*id = good && word[3][0] == 'e' ? xstrdup(word[2]) : NULL;
	free(copy);
	return good;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void set_text(char **to, const char *text)
{
	char *copy = text != NULL ? xstrdup(text) : NULL;	/* first: text may be the old one */

	free(*to);
	*to = copy;
}

void pg_poll_fini(struct pg_poll *poll)
{
	free(poll->at);
	free(poll->id);
	free(poll->expected);
	free(poll->alias);
	free(poll->start);
	free(poll->low);
	pg_hset_fini(&poll->before);
	pg_hset_fini(&poll->now);
	memset(poll, 0, sizeof *poll);
}

/* ---- the bound --------------------------------------------------------------------------------------- */

/* A moment as the column shows it. least: the least that it shows from then on. */
static void add_shown(struct buf *sql, const struct pg_column *c, bool least, const char *moment)
{
	if (c->zone == NULL)
		buf_addf(sql, "(%s)::%s", moment, pg_cast_type(c));
	else if (least)
		pg_zone_least_local(sql, c, moment);
	else
		pg_zone_local(sql, c, moment);
}

void pg_poll_bound_sql(struct pg_stmt *st, const struct pg_link *pl, const char *at)
{
	const struct pg_column *c = &pl->table->modified;
	long long overlap = pl->link.mapping->endpoint->overlap_us, quantum = pl->link.quantum_us > 0 ? pl->link.quantum_us : 1;
	int start = pg_stmt_value(st, at != NULL ? value_of(at) : VALUE_NULL);
	struct buf *sql = &st->sql;

	if (overlap < OVERLAP_LEAST_US)
		overlap = OVERLAP_LEAST_US;
	/* now(), not clock_timestamp(): a transaction that began after the look at pg_stat_activity began after it. One
	 * second covers those that took their start time and have not shown it yet; one quantum what rounding takes away. */
	buf_adds(sql,
		 "WITH f AS (SELECT now() AS at, (SELECT min(xact_start) FROM pg_catalog.pg_stat_activity AS a"
		 " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type IS DISTINCT FROM 'autovacuum worker'");
	pg_moments_pass_over(sql, pl->pg, PG_SESSION_NAME("a"));
	buf_addf(sql,
		 ") AS oldest, EXISTS (SELECT FROM pg_catalog.pg_prepared_xacts WHERE database = current_database()) AS prepared,"
		 " pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees),"
		 " l AS (SELECT at, prepared, at - interval '%lld microseconds' AS back,"
		 " CASE WHEN sees THEN %s - interval '1 second' - interval '%lld microseconds'"
		 " ELSE at - interval '%lld microseconds' END AS low FROM f),"
		 " g AS (SELECT ", overlap, fault("f02-everybody-has-committed-by-now") ? "at" : "least(at, oldest)", quantum, overlap);
	add_shown(sql, c, false, "at");
	buf_addf(sql, " AS at, prepared, coalesce($%d::%s, ", start, pg_cast_type(c));
	add_shown(sql, c, true, "back");
	buf_adds(sql, ") AS start, ");
	add_shown(sql, c, true, "low");
	buf_addf(sql, " AS low FROM l),"
		 " h AS (SELECT at, start, CASE WHEN %s THEN start ELSE low END AS low FROM g)"
		 " SELECT start::pg_catalog.text, low::pg_catalog.text, low > start, start > at FROM h",
		 fault("f35-the-prepared-do-not-count") ? "false" : "prepared");
}

char *pg_poll_position_of(const PGresult *bound)
{
	return position_print(PQgetvalue(bound, 0, 1), NULL);
}

/* ---- a run ------------------------------------------------------------------------------------------- */

static void ask_bound(struct asked *a, bool from_beginning);
static void ask_page(struct asked *a);

/* The position is not one, or is of another database or a clock that was set back: everything is news. */
static bool is_bad_position(const struct asked *a, const struct err *e)
{
	return a->position != NULL && a->home->poll.known && strncmp(e->code, "22", 2) == 0;
}

static void on_bound(void *arg, PGresult *res, const struct err *e)
{
	struct asked *a = arg;
	struct pg_poll *poll;

	if (pg_asked_orphan(a, res))
		return;
	poll = &a->home->poll;
	if (e != NULL && is_bad_position(a, e)) {
		ask_bound(a, true);
	} else if (e != NULL) {
		pg_capture_fail(a, e);
	} else if (pg_cell_true(res, 0, 3) && !fault("f04-the-cursor-follows-any-stamp")) {
		ask_bound(a, true);
	} else {
		set_text(&poll->start, PQgetvalue(res, 0, 0));
		set_text(&poll->low, PQgetvalue(res, 0, 1));
		poll->advance = pg_cell_true(res, 0, 2);
		if (poll->at == NULL)
			set_text(&poll->at, poll->start);
		ask_page(a);
	}
	PQclear(res);
}

static void ask_bound(struct asked *a, bool from_beginning)
{
	struct pg_poll *poll = &a->home->poll;

	set_text(&poll->at, NULL);
	set_text(&poll->id, NULL);
	poll->known = a->position != NULL && !from_beginning;
	if (poll->known && !position_parse(a->position, &poll->at, &poll->id)) {
		from_beginning = true;
		poll->known = false;
	}
	if (from_beginning)
		set_text(&poll->at, BEGINNING);
	/* What this run does not meet again is not in reach any more: only what was seen since the last run is kept. */
	pg_hset_fini(&poll->before);
	poll->before = poll->now;
	poll->now = (struct pg_hset){ 0 };
	a->fresh = true;
	a->home->busy = true;
	poll->began_us = clock_mono_us();
	pg_stmt_again(&a->st);
	pg_poll_bound_sql(&a->st, a->home->pl, poll->at);
	pg_stmt_call(&a->st, a->home->pl->pg, on_bound, a);
}

static uint64_t version_hash(struct value id, struct value version)
{
	uint64_t both[2] = { pg_value_hash(id), pg_value_hash(version) };

	return pg_value_hash((struct value){ (const char *)both, sizeof both });
}

static void remember(struct pg_poll *poll, uint64_t hash)
{
	if (poll->now.n < SETTLED_MAX)
		pg_hset_put(&poll->now, hash, 0);
}

/* The rows of the page that are not known to be settled. */
static void pick_rows(struct asked *a, const PGresult *res)
{
	struct pg_capture *c = a->home;
	int n = PQntuples(res);

	a->picks = arena_alloc(&a->mem, (size_t)(n + 1) * sizeof *a->picks);
	for (int i = 0; i < n; i++) {
		struct value id = pg_cell(res, i, 0);
		uint64_t hash = version_hash(id, pg_cell(res, i, 1));

		if (pg_hset_get(&c->poll.before, hash, NULL) || pg_hset_get(&c->poll.now, hash, NULL))
			remember(&c->poll, hash);
		else
			a->picks[a->n_picks++] = (struct pick){ .id = { arena_dup(&a->mem, id.data, (size_t)id.len), id.len },
								.old_id = VALUE_NULL, .stamp = STAMP_UNKNOWN };
	}
	a->entries = a->n_picks;
}

/* Where to go on once this page is settled; NULL: where the caller is already. */
static char *next_position(const struct asked *a, const PGresult *res, bool open)
{
	const struct pg_poll *poll = &a->home->poll;
	int last = PQntuples(res) - 1;

	if (last >= 0 && (!open || fault("f04-the-cursor-follows-any-stamp")))
		return position_print(PQgetvalue(res, last, 2), PQgetvalue(res, last, 0));
	if (poll->known && (last < 0 || !poll->advance))
		return NULL;
	return position_print(poll->advance ? poll->low : poll->start, NULL);
}

/* Nothing of this page is news. */
static void page_is_settled(struct asked *a)
{
	struct pg_poll *poll = &a->home->poll;

	if (a->more) {
		a->more = false;
		ask_page(a);
		return;
	}
	poll->running = false;
	if (!a->fresh) {	/* the end of a run that began before the question: look again, that is what was asked */
		if (a->next_position != NULL)
			set_text(&a->position, a->next_position);
		pg_asked_forget(a);
		ask_bound(a, false);
		return;
	}
	if (a->next_position != NULL) {		/* the caller may keep the old one, since there is nothing to acknowledge */
		set_text(&poll->alias, a->position);
		set_text(&poll->expected, a->next_position);
	}
	pg_capture_answer(a, NULL);
}

static void on_page(void *arg, PGresult *res, const struct err *e)
{
	struct asked *a = arg;
	struct pg_poll *poll;
	int last;

	if (pg_asked_orphan(a, res))
		return;
	poll = &a->home->poll;
	if (e != NULL) {
		if (is_bad_position(a, e))
			ask_bound(a, true);
		else
			pg_capture_fail(a, e);
		PQclear(res);
		return;
	}
	last = PQntuples(res) - 1;
	pg_asked_forget(a);
	pick_rows(a, res);
	a->more = (size_t)(last + 1) == a->max || pg_was_cut(res, pg_batch_bytes(a->home->pl, a->home->pl->table));
	a->began_us = poll->began_us;
	a->keep_versions = last >= 0 && pg_cell_true(res, last, 3);
	a->next_position = next_position(a, res, a->keep_versions);
	if (last >= 0) {
		set_text(&poll->at, PQgetvalue(res, last, 2));
		set_text(&poll->id, PQgetvalue(res, last, 0));
	}
	PQclear(res);
	if (a->n_picks > 0)
		pg_capture_read(a);
	else
		page_is_settled(a);
}

/* "(modified, id) > (at, id)", as one comparison where the index can be had for it. */
static void add_behind(struct pg_stmt *st, const struct pg_table *t, int at, int id)
{
	const char *moment = pg_cast_type(&t->modified), *type = pg_cast_type(&t->id);

	if (!pg_has_own_operators(&t->id)) {
		buf_addf(&st->sql, "(t.%s, t.%s) > ($%d::%s, $%d::%s)", t->modified.quoted, t->id.quoted, at, moment, id, type);
		return;
	}
	buf_addf(&st->sql, "t.%s >= $%d::%s AND (t.%s > $%d::%s OR t.%s ", t->modified.quoted, at, moment,
		 t->modified.quoted, at, moment, t->id.quoted);
	pg_add_operator(&st->sql, &t->id, ">");
	buf_addf(&st->sql, " $%d::%s)", id, type);
}

static void add_bytes_by_moment(struct buf *sql, const struct pg_table *t)
{
	char *order = xasprintf("t.%s, t.%s", t->modified.quoted, t->id.quoted);

	pg_add_bytes_columns(sql, t, order);
	free(order);
}

static void ask_page(struct asked *a)
{
	struct pg_capture *c = a->home;
	const struct pg_table *t = c->pl->table;
	const char *moment = pg_cast_type(&t->modified);
	const struct pg_poll *poll = &c->poll;
	struct buf *sql = &a->st.sql;
	int64_t bytes = pg_batch_bytes(c->pl, t);
	int at;

	pg_stmt_again(&a->st);
	at = pg_stmt_value(&a->st, value_of(poll->at));
	buf_addf(sql, "%sSELECT t.%s::pg_catalog.text, t.xmin::pg_catalog.text, t.%s::pg_catalog.text, t.%s >= $%d::%s",
		 bytes > 0 ? PG_BYTES_BEGIN : "", t->id.quoted, t->modified.quoted, t->modified.quoted,
		 pg_stmt_value(&a->st, value_of(poll->low)), moment);
	if (bytes > 0)
		add_bytes_by_moment(sql, t);
	buf_addf(sql, " FROM %s AS t WHERE ", t->quoted);
	if (poll->id != NULL && fault("f03-a-page-begins-behind-a-moment"))
		buf_addf(sql, "t.%s > $%d::%s", t->modified.quoted, at, moment);
	else if (poll->id != NULL)
		add_behind(&a->st, t, at, pg_stmt_value(&a->st, value_of(poll->id)));
	else
		buf_addf(sql, "t.%s >= $%d::%s", t->modified.quoted, at, moment);
	buf_addf(sql, " ORDER BY t.%s, t.%s LIMIT %zu", t->modified.quoted, t->id.quoted, a->max);
	if (bytes > 0)
		pg_add_bytes_end(sql, bytes);
	c->busy = true;
	pg_stmt_call(&a->st, c->pl->pg, on_page, a);
}

void pg_poll_step(struct asked *a)
{
	struct pg_capture *c = a->home;
	struct pg_poll *poll = &c->poll;

	for (const struct ack *k = c->pl->acks; k != NULL; k = k->next)
		if (k->home == c && !k->settling)
			return;		/* one at a time: the position behind it is not known before it is settled */
	if (poll->alias != NULL && same_text(a->position, poll->alias))
		set_text(&a->position, poll->expected);
	if (poll->running && same_text(a->position, poll->expected)) {
		ask_page(a);
		return;
	}
	poll->running = false;
	ask_bound(a, false);
}

void pg_poll_read(struct asked *a, const struct rowset *rows)
{
	struct ack *k = a->ack = pg_ack_new(a->home);

	k->page_full = a->more;
	set_text(&k->position, a->next_position != NULL ? a->next_position : a->position);
	for (size_t i = 0; a->keep_versions && i < rows->n; i++)
		pg_ack_add_hash(k, version_hash(rows->rows[i].id, rows->rows[i].version));
}

void pg_poll_settled(struct pg_poll *poll, const struct ack *k)
{
	for (size_t i = 0; i < k->n_hashes; i++)
		remember(poll, k->hashes[i]);
	poll->running = k->page_full;
	set_text(&poll->expected, k->position);
	set_text(&poll->alias, NULL);
	poll->known = poll->known || k->position != NULL;
}

void pg_poll_dropped(struct pg_poll *poll)
{
	poll->running = false;
	set_text(&poll->alias, NULL);
}
