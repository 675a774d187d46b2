/*
 * retry.c - parked records are tried again: in portions, at a bounded rate, by turns with whatever is newer.
 *
 * A column that was altered, a key that became free or an order of the operator may concern everything that a side has parked, be it
 * 100,000 records. Whoever finds such a cause only says so; the pump comes here by turns with the news of each side (feed.c). One portion of a
 * side is in work at a time, and it rests after each for as long as that took: news never waits for more than one, and
 * the target is never busy with nothing but what it has refused before.
 *
 *   line after line of the journal: a row that could not be taken is read again, and then a write that was refused is decided again
 *
 * Who waits for a key may have exchanged it with others who wait, at other sides as well: of an entity they are looked at by one side at a time,
 * rows before writes, or each would find the others in somebody else's hands.
 *
 * A cause that comes up in the middle of a pass makes another pass: the lines behind us may be its own.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"

enum {
	PORTION = 500,		/* records */
	LINES_MOST = 5000,	/* looked at for one */
	REST_MS = 100,		/* at least; so it is 5,000 records a second at most */
	REST_MOST_MS = 5000,
};

struct portion {
	struct side *side;
	struct arena arena;
	unsigned causes;
	size_t lines;			/* of the journal */
	int64_t last;			/* the number of the last one */
	int64_t asked_us;		/* monotonic */
	struct value rows[PORTION];	/* local ids */
	struct again records[PORTION];
	size_t n_rows, n_records;
};

/* ---- why, and whether it is over ----------------------------------------------------------------------- */

void retry_wanted(struct side *side, unsigned causes)
{
	struct retry *t = &side->retry;

	if (side->parked + side->discarded == 0)
		return;
	if (t->after == 0 && !t->at_writes)
		t->causes |= causes;
	else
		t->again |= causes;
}

static void half_over(struct retry *t)
{
	t->after = 0;
	t->at_writes = !t->at_writes;
	if (t->at_writes)
		return;
	t->causes = t->again;
	t->again = 0;
}

bool retries_under_way(const struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		const struct side *side = flow->sides[e];

		if (side != NULL && (side->retry.open > 0 || (side->retry.causes != 0 && side_usable(side))))
			return true;
	}
	return false;
}

static void on_rested(void *arg)
{
	struct side *side = arg;

	flow_pump(side->flow);
}

void retry_part_over(struct side *side)
{
	struct retry *t = &side->retry;
	int64_t took_ms = (clock_mono_us() - t->began_us) / 1000;

	failpoint("retry", "part", "done");
	if (--t->open > 0)
		return;
	loop_timer_set(t->timer, took_ms < REST_MS ? REST_MS : took_ms > REST_MOST_MS ? REST_MOST_MS : took_ms);
}

static void on_time(void *arg)
{
	struct side *side = arg;

	side->freed_us = clock_mono_us();
	retry_wanted(side, RETRY_KEYS);
	flow_pump(side->flow);
}

void retry_keys_in(struct side *side, int64_t ms)
{
	loop_timer_set(side->retry.later, ms);
}

bool retry_comes(const struct side *side)
{
	return loop_timer_pending(side->retry.later);
}

void retry_init(struct side *side)
{
	side->retry.timer = loop_timer_new(side->flow->sync->loop, on_rested, side);
	side->retry.later = loop_timer_new(side->flow->sync->loop, on_time, side);
}

void retry_fini(struct side *side)
{
	loop_timer_free(&side->retry.timer);
	loop_timer_free(&side->retry.later);
}

/* ---- rows that could not be taken ------------------------------------------------------------------------ */

static void portion_free(struct portion *p)
{
	arena_fini(&p->arena);
	free(p);
}

static void let_go(void *arg, size_t i)
{
	const struct portion *p = arg;

	unpark_record(p->side, true, NULL, p->rows[i]);
}

static void on_rows(void *arg, struct rowset *rows, const struct err *e)
{
	struct portion *p = arg;
	struct side *side = p->side;

	failpoint("retry", "rows", "answered");
	if (e == NULL)
		scan_each_missing(rows, p->rows, p->n_rows, &p->arena, let_go, p);
	if (e == NULL && rows->n > 0 && flow_takes_news(side->flow)) {
		side->retry.open++;
		round_of_listing(side, rows, p->asked_us, LISTED_PARKED);
	} else {
		if (e != NULL || rows->n > 0)
			retry_wanted(side, p->causes);
		if (e == NULL)
			rowset_free(&rows);
	}
	portion_free(p);
	retry_part_over(side);
}

static void read_rows(struct portion *p)
{
	struct link *link = p->side->link;

	p->asked_us = clock_mono_us();
	link->ops->read(link, p->rows, p->n_rows, on_rows, p);
	failpoint("retry", "rows", "sent");
}

/* ---- a portion ------------------------------------------------------------------------------------------- */

static bool is_code(const struct journal_parked *line, const char *code)
{
	return strcmp(line->code, code) == 0;
}

static bool wants_row(unsigned causes, const struct journal_parked *line)
{
	return (causes & RETRY_ROWS) || ((causes & RETRY_ALL) && !line->discarded) ||
		((causes & RETRY_KEYS) && (is_code(line, "duplicate-key") || park_says_taken(line->code)));
}

static bool wants_write(unsigned causes, const struct journal_parked *line)
{
	return ((causes & RETRY_ALL) && !line->discarded) ||
		((causes & (RETRY_BLOCKED | RETRY_ORPHANS)) && is_code(line, FOREIGN_KEY)) ||
		((causes & RETRY_ORPHANS) && is_code(line, "waits-for-parent"));
}

static void add_row(struct portion *p, const struct journal_parked *line)
{
	size_t len = strlen(line->local_id);

	if (len > 0)
		p->rows[p->n_rows++] = (struct value){ arena_dup(&p->arena, line->local_id, len), (int32_t)len };
}

static void add_record(struct portion *p, const struct journal_parked *line, bool gently)
{
	struct again *a = &p->records[p->n_records];

	a->gently = gently;
	p->n_records += rid_parse(line->rid, &a->rid);
}

/* By now the key may be free, or the value: only the database knows. */
static void add_taken(struct portion *p, const struct journal_parked *line)
{
	size_t n = p->n_records;

	add_record(p, line, true);
	if (p->n_records > n)
		park_once_more(p->side, &p->records[n].rid);
}

static bool take_line(void *arg, const struct journal_parked *line)
{
	struct portion *p = arg;

	p->last = line->id;
	p->lines++;
	if (line->capture == p->side->retry.at_writes)
		return true;
	if (line->capture && wants_row(p->causes, line))
		add_row(p, line);
	else if (!line->capture && wants_write(p->causes, line))
		add_record(p, line, false);
	else if (!line->capture && !line->discarded && (p->causes & (RETRY_ROWS | RETRY_KEYS)) && park_says_taken(line->code))
		add_taken(p, line);
	return p->n_rows < PORTION && p->n_records < PORTION;
}

/* retried: as round_of_records() takes it. */
static void decide_records(struct portion *p, struct side *retried)
{
	const struct again *list[PORTION];

	for (size_t i = 0; i < p->n_records; i++)
		list[i] = &p->records[i];
	round_of_records(p->side->flow, list, p->n_records, retried);
}

/* From that one on. */
static void each_line(struct portion *p, int64_t after, bool (*fn)(void *arg, const struct journal_parked *))
{
	const struct side *side = p->side;
	struct err e = { 0 };

	p->lines = 0;
	p->last = after;
	if (!journal_parked_each(side->flow->sync->journal, side->flow->def->name, side->mapping->endpoint->name, after, LINES_MOST, fn, p, &e))
		log_error("parked records not read", LOG_ERR(&e));
}

/* There may be more lines behind those that were looked at. */
static bool was_cut(const struct portion *p)
{
	return p->lines == LINES_MOST || p->n_rows == PORTION || p->n_records == PORTION;
}

static void fill_portion(struct portion *p)
{
	struct retry *t = &p->side->retry;

	each_line(p, t->after, take_line);
	t->after = p->last;
	if (!was_cut(p))
		half_over(t);
}

static struct portion *portion_new(struct side *side, unsigned causes)
{
	struct portion *p = xcalloc(1, sizeof *p);

	p->side = side;
	p->causes = causes;
	arena_init(&p->arena);
	return p;
}

static void begin_portion(struct side *side)
{
	struct retry *t = &side->retry;
	struct portion *p = portion_new(side, t->causes);

	failpoint("retry", "lines", "before");
	t->began_us = clock_mono_us();
	t->open = 1;
	t->for_keys = t->causes & RETRY_KEYS;
	fill_portion(p);
	if (p->n_rows == 0 && t->at_writes && t->after == 0)	/* there is no row */
		fill_portion(p);
	log_debug("parked records are tried again", LOG_S("entity", side->flow->def->name), LOG_S("endpoint", side->mapping->endpoint->name),
		  LOG_I("rows", (int64_t)p->n_rows), LOG_I("writes", (int64_t)p->n_records));
	if (p->n_records > 0) {
		t->open++;
		decide_records(p, side);
	}
	if (p->n_rows > 0) {
		read_rows(p);
	} else {
		portion_free(p);
		retry_part_over(side);
	}
}

static bool others_look_for_keys(const struct side *side)
{
	for (size_t e = 0; (side->retry.causes & RETRY_KEYS) && e < side->flow->sync->topology->n_endpoints; e++) {
		const struct side *other = side->flow->sides[e];

		if (other != NULL && other->retry.open > 0 && other->retry.for_keys)
			return true;
	}
	return false;
}

bool feed_retry(struct flow *flow)
{
	for (size_t e = 0; flow->counted && e < flow->sync->topology->n_endpoints; e++) {
		struct side *side = flow->sides[e];

		if (side != NULL && side->retry.causes != 0 && side->retry.open == 0 && !loop_timer_pending(side->retry.timer) && side_usable(side) &&
		    !others_look_for_keys(side)) {
			begin_portion(side);
			return true;
		}
	}
	return false;
}

/* ---- for a migration ----------------------------------------------------------------------------------------- */

static bool take_orphan(void *arg, const struct journal_parked *line)
{
	struct portion *p = arg;

	p->last = line->id;
	p->lines++;
	if (!line->capture && wants_write(p->causes, line))
		add_record(p, line, false);
	return p->n_records < PORTION;
}

int64_t retry_orphans(struct side *side, int64_t after)
{
	struct portion *p = portion_new(side, RETRY_ORPHANS);
	int64_t last;

	each_line(p, after, take_orphan);
	last = was_cut(p) ? p->last : 0;
	if (p->n_records > 0)
		decide_records(p, NULL);
	portion_free(p);
	return last;
}

/* ---- by order of the operator ------------------------------------------------------------------------------ */

struct only {
	struct sync *sync;
	int64_t id, n, resting;
};

/* Nothing is tried there before it is resumed, or a migration comes to it. */
static bool rests(const struct side *side)
{
	return side->flow->paused || side->paused;
}

static bool retry_line(void *arg, const struct journal_parked *line)
{
	struct only *o = arg;
	struct side *side = side_named(o->sync, line->entity, line->endpoint);
	struct rid rid;

	if (side == NULL || line->id != o->id)
		return true;
	o->n++;
	o->resting += rests(side);
	if (line->capture)
		retry_wanted(side, RETRY_ROWS);
	else if (rid_parse(line->rid, &rid))
		flow_look_again(side->flow, &rid, 0);
	return true;
}

void retry_all(struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL)
			retry_wanted(flow->sides[e], RETRY_ALL);
}

static void count_parked(struct only *o, const struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		const struct side *side = flow->sides[e];

		o->n += side != NULL ? side->parked : 0;
		o->resting += side != NULL && rests(side) ? side->parked : 0;
	}
}

int64_t sync_parked_retry(struct sync *s, const char *entity, int64_t id, int64_t *resting, struct err *e)
{
	struct only only = { .sync = s, .id = id };

	if (id != 0 && !journal_parked_each(s->journal, NULL, NULL, id - 1, 1, retry_line, &only, e))
		return -1;
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		if (id == 0 && (entity == NULL || strcmp(entity, s->flows[i].def->name) == 0)) {
			count_parked(&only, &s->flows[i]);
			retry_all(&s->flows[i]);
		}
		flow_pump(&s->flows[i]);
	}
	*resting = only.resting;
	return only.n;
}
