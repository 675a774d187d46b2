/*
 * listing.c - surveys and sweeps: every row of a table, by local id.
 *
 *   survey   position_now, then every row by local id; when it has ended the endpoint is `surveyed`: a
 *            record without a row there is known to be absent. The smallest table goes first, so that the
 *            largest is copied while it is listed.
 *   sweep    every row again, then every vector: whose row has vanished? (scan.c)
 *   both     first of all a watermark is asked for (watermark.c)
 *   gap      a sweep that begins with position_now; once it is over, capture stands there, and only then the store says so
 *
 * That a survey has ended stands in the store as a mark, with the shape of what it listed: a topology that says
 * something new of the table makes it void.
 */
#include "sync/feed.h"
#include "sync/migrate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	FIRST_ANSWERS_US = 3000000,	/* so long a survey waits for endpoints that are still connecting */
};

/* ---- the end of a listing ---------------------------------------------------------------------------- */

void listing_over(struct side *side)
{
	free(side->listing.after);
	free(side->listing.position);
	free(side->listing.watermark);
	side->listing = (struct listing){ .state = LISTING_IDLE, .expected = side->listing.expected };
}

static void listing_ask(struct side *side)
{
	side->listing.asking = side->listing_open = true;
}

/* False: the listing that asked was given up meanwhile, and what is answered must not pass for news of another one. */
static bool listing_answered(struct side *side)
{
	bool ours = side->listing.asking;

	side->listing.asking = side->listing_open = false;
	return ours;
}

static void on_truncation_acked(void *arg, const struct err *e)
{
	/* Not acknowledged, it comes again, and another sweep finds nothing more. */
}

void sweep_order(struct side *side, enum job_by by)
{
	side->sweep_wanted = true;
	side->sweep_by = by;
}

void sweep_again(struct side *side)
{
	if (side->listing.regular)
		side->sweep_due = true;
	else
		sweep_order(side, side->listing.by);
}

/* ---- gaps of capture ---------------------------------------------------------------------------------- */

bool log_is_as_left(const struct side *side, const char *now)
{
	return side->mapping->endpoint->capture == CAPTURE_LISTEN && side->position != NULL &&
	       (strcmp(side->position, now) == 0 || fault("f08-another-log-tells-that-nobody-has-edited"));
}

void gap_found(struct side *side, const char *now)
{
	struct listing *l = &side->listing;

	if (l->position != NULL ? strcmp(l->position, now) == 0 : side->gap && l->state == LISTING_POSITION)
		return;		/* the sweep that is under way began since */
	if (!side->gap || l->position != NULL)
		log_warn(side->position != NULL ? "the change log is not as it was left: changes may be missing in it, so all rows are compared" :
			 "what the change log has missed is not known: all rows are compared", LOG_S("entity", side->flow->def->name),
			 LOG_S("endpoint", side->mapping->endpoint->name));
	free(l->position);
	l->position = NULL;
	side->gap = true;
	sweep_order(side, JOB_DAEMON);
}

static void on_gap_filled(void *arg, const struct err *e)
{
	struct side *side = arg;

	if (side->flow->sync->closing)
		return;
	if (e != NULL)
		sweep_order(side, JOB_DAEMON);
	side->gap = side->sweep_wanted;		/* another one may have come */
	side->wanted = true;
	flow_pump(side->flow);
	waits_check(side->flow->sync);
}

static void save_position(struct side *side, done_fn *done)
{
	char name[200];
	struct store_position p = { name, side->position };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	side_name_mark(side, "poll", name);
	side->flow->sync->store->ops->write(side->flow->sync->store, side->flow->index, &w, done, side);
}

static void fill_gap(struct side *side)
{
	if (side->listing.position == NULL)
		return;
	capture_settled(side, side->listing.position);
	save_position(side, on_gap_filled);
}

static void on_accounted(void *arg, const struct err *e)
{
	/* Not written, all of it is looked for once more after the next start: what was deleted meanwhile may be held then. */
}

/* A survey has not looked for rows that are gone: the sweep behind it does. */
static void account_for(struct side *side)
{
	char name[200];
	struct store_position p = { name, NULL };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	if (!side->unaccounted || (side->listing.survey && !fault("f31-a-survey-finds-what-is-gone")))
		return;
	side->unaccounted = false;
	side_name_mark(side, "unaccounted", name);
	failpoint("listing", "accounted", "before");
	side->flow->sync->store->ops->write(side->flow->sync->store, side->flow->index, &w, on_accounted, side);
}

void sweep_done(struct side *side)
{
	fill_gap(side);
	account_for(side);
	if (side->truncated != NULL)
		side->link->ops->ack(side->link, side->truncated, on_truncation_acked, side);
	side->truncated = NULL;
	side->last_sweep_us = clock_wall_us();
	side->swept_us = side->listing.began_us;
	if (side->mapping->endpoint->sweep_us > 0)
		side->next_sweep_us = clock_mono_us() + side->mapping->endpoint->sweep_us;
	if (side->listing.looked > 0)
		side->look_seconds = (double)(clock_mono_us() - side->listing.half_us) / 1e6 / (double)side->listing.looked;
	log_info(side->listing.survey ? "survey done" : "sweep done", LOG_S("entity", side->flow->def->name),
		 LOG_S("endpoint", side->mapping->endpoint->name), LOG_I("rows", side->listing.rows),
		 LOG_D("seconds", (double)(clock_mono_us() - side->listing.began_us) / 1e6));
	watermark_settled(side, side->listing.watermark);
	listing_over(side);
	side->flow->settle_wanted |= side->flow->let_go;
	side->flow->let_go = false;
	retry_wanted(side, RETRY_ROWS);
}

/* ---- survey marks ------------------------------------------------------------------------------------ */

const char *const side_marks[SIDE_MARKS] = { "survey", "poll", "watermark", "unaccounted" };

void side_name_mark(const struct side *side, const char *kind, char out[200])
{
	snprintf(out, 200, "%s/%s/%s", kind, side->flow->def->name, side->mapping->endpoint->name);
}

static const struct digest_key shape_key = { { 1 } };

static void add_cleaning(const struct field_def *field, struct buf *out)
{
	for (size_t c = 0; c < field->n_clean; c++) {
		buf_addf(out, "%d\n", (int)field->clean[c].kind);
		for (size_t i = 0; i < field->clean[c].n; i++)
			buf_addf(out, "%s %s\n", field->clean[c].from != NULL && field->clean[c].from[i] != NULL ?
				 field->clean[c].from[i] : "", field->clean[c].to[i] != NULL ? field->clean[c].to[i] : "");
	}
}

/* What a row's values follow from, here. When that is another than the survey saw, old rows have news that no capture brings. */
uint64_t listing_shape(const struct side *side)
{
	const struct entity_def *def = side->flow->def;
	struct buf b = { 0 };
	uint64_t shape;

	buf_addf(&b, "%s\n", side->mapping->table);
	for (size_t f = 0; f < def->n_fields; f++) {
		const struct field_def *field = &def->fields[f];

		buf_addf(&b, "%s %d %s %s\n", field->name, (int)field->type, field->refers != NULL ? field->refers->name : "",
			 side->mapping->columns[f]);
		add_cleaning(field, &b);
	}
	for (size_t i = 0; i < side->mapping->n_where; i++)
		buf_addf(&b, "%s %s\n", side->mapping->where[i].column,
			 side->mapping->where[i].value != NULL ? side->mapping->where[i].value : "");
	shape = digest64(&shape_key, b.p, b.len);
	buf_fini(&b);
	return shape;
}

/* The mark: when, how precise its stamps are, and of what shape. A line for each field says which column it had, and what form. */
bool survey_holds(const struct side *side, struct value mark)
{
	const char *end = memchr(mark.data, '\n', (size_t)mark.len);
	int len = end != NULL ? (int)(end - mark.data) : mark.len;
	char shape[24];
	int n = snprintf(shape, sizeof shape, " %016llx", (unsigned long long)listing_shape(side));

	return len > n && memcmp(mark.data + len - n, shape, (size_t)n) == 0;
}

int64_t survey_quantum_us(struct value mark)
{
	const char *first = memchr(mark.data, ' ', (size_t)mark.len);
	const char *second = first != NULL ? memchr(first + 1, ' ', (size_t)(mark.data + mark.len - first - 1)) : NULL;

	return second != NULL ? strtoll(first + 1, NULL, 10) : 1;	/* earlier versions did not say */
}

/* What vectors tell of a field is of the column and the form that it had then. Lines begin with their ends, so that a field's is found. */
static void add_column(const struct side *side, size_t f, struct buf *out)
{
	const char *column = side->mapping->columns[f];

	buf_addf(out, "\n%s %016llx ", side->flow->def->fields[f].name, (unsigned long long)digest64(&shape_key, column, strlen(column)));
}

static void add_field(const struct side *side, size_t f, struct buf *out)
{
	struct buf form = { 0 };

	add_column(side, f, out);
	buf_addf(&form, "%d\n", (int)side->flow->def->fields[f].type);
	add_cleaning(&side->flow->def->fields[f], &form);
	buf_addf(out, "%016llx\n", (unsigned long long)digest64(&shape_key, form.p, form.len));
	buf_fini(&form);
}

static void compare_field(struct side *side, size_t f, const char *mark)
{
	struct buf name = { 0 }, column = { 0 }, whole = { 0 };

	buf_addf(&name, "\n%s ", side->flow->def->fields[f].name);
	add_column(side, f, &column);
	add_field(side, f, &whole);
	/* One without a line is new; or nothing is said of any, as by earlier versions. */
	if (strstr(mark, name.p) != NULL && strstr(mark, column.p) == NULL)
		side->moved_columns |= UINT64_C(1) << f;
	else if (strstr(mark, name.p) != NULL && strstr(mark, whole.p) == NULL)
		side->reformed |= UINT64_C(1) << f;
	buf_fini(&name);
	buf_fini(&column);
	buf_fini(&whole);
}

void survey_compare(struct side *side, struct value mark)
{
	char *text = xstrndup(mark.data, (size_t)mark.len);

	for (size_t f = 0; f < side->flow->def->n_fields; f++)
		compare_field(side, f, text);
	if (fault("f08-another-column-shows-what-was-edited"))
		side->moved_columns = 0;
	if (fault("f08-what-is-cleaned-in-another-way-was-edited"))
		side->reformed = 0;
	free(text);
}

static void on_survey_marked(void *arg, const struct err *e)
{
	struct side *side = arg;
	struct flow *flow = side->flow;

	failpoint("listing", "mark", "answered");
	if (flow->sync->closing)
		return;
	if (e != NULL) {
		listing_over(side);
	} else {
		side->surveyed = side->wanted = true;
		side->moved_columns = side->reformed = 0;
		sweep_done(side);
		for (size_t o = 0; o < flow->sync->topology->n_endpoints; o++)
			flow->settle_wanted |= flow->sides[o] != NULL && flow->sides[o]->owed > 0;
	}
	for (size_t i = 0; i < flow->sync->topology->n_entities; i++)
		flow_pump(&flow->sync->flows[i]);	/* children may have waited for us */
	waits_check(flow->sync);
}

static void mark_surveyed(struct side *side, done_fn *done, void *arg)
{
	char name[200];
	struct buf mark = { 0 };
	struct store_position p = { name, NULL };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	side_name_mark(side, "survey", name);
	buf_addf(&mark, "%lld %lld %016llx", (long long)(clock_wall_us() / 1000000), (long long)side->link->quantum_us,
		 (unsigned long long)listing_shape(side));
	for (size_t f = 0; f < side->flow->def->n_fields; f++)
		add_field(side, f, &mark);
	p.text = mark.p;
	failpoint("listing", "mark", "before");
	side->flow->sync->store->ops->write(side->flow->sync->store, side->flow->index, &w, done, arg);
	failpoint("listing", "mark", "sent");
	buf_fini(&mark);
}

struct ordered {			/* somebody else has listed all of it */
	struct side *side;
	done_fn *done;
	void *arg;
};

static void on_ordered_marked(void *arg, const struct err *e)
{
	struct ordered o = *(struct ordered *)arg;

	free(arg);
	on_survey_marked(o.side, e);
	o.done(o.arg, e);
}

void listing_survey_done(struct side *side, int64_t rows, int64_t began_us, done_fn *done, void *arg)
{
	struct ordered *o = xcalloc(1, sizeof *o);

	*o = (struct ordered){ side, done, arg };
	side->listing = (struct listing){ .state = LISTING_VANISHED, .survey = true, .rows = rows, .began_us = began_us };
	mark_surveyed(side, on_ordered_marked, o);
}

/* ---- pages ------------------------------------------------------------------------------------------- */

static void listing_check(struct side *side)
{
	struct listing *l = &side->listing;

	if (l->state != LISTING_ROWS || l->asking || l->rounds > 0 || !(l->ended || l->failed))
		return;
	if (l->failed) {
		if (!l->survey)
			sweep_again(side);
		listing_over(side);
	} else if (l->survey) {
		l->state = LISTING_VANISHED;	/* nothing can have vanished yet: just mark it */
		mark_surveyed(side, on_survey_marked, side);
	} else {
		l->state = LISTING_VANISHED;
		l->half_us = clock_mono_us();
		l->pace = (struct rate){ .second = 0 };
		vanished_clear(side);
	}
}

void listing_round_done(struct side *side, bool ok)
{
	if (side->listing.rounds > 0)
		side->listing.rounds--;
	if (!ok)
		side->listing.failed = true;
	listing_check(side);
}

/* Such rows keep their key, and a record with that key is not to be inserted beside them: round_read.c looks for them. */
bool listing_has_strangers(const struct side *side, const struct rowset *rows)
{
	if (side->mapping->role == ROLE_TARGET)
		return rows->n > 0;
	for (size_t i = 0; i < rows->n; i++)
		if (rows->rows[i].outside || rows->rows[i].gone)
			return true;
	return false;
}

static void on_listed(void *arg, struct rowset *rows, const struct err *e)
{
	struct side *side = arg;
	struct flow *flow = side->flow;
	struct listing *l = &side->listing;
	const struct row *last;

	failpoint("listing", "rows", "answered");
	if (!listing_answered(side)) {
		if (e == NULL)
			rowset_free(&rows);
	} else if (e != NULL || flow->sync->closing || !ready(flow) || l->state != LISTING_ROWS) {
		if (e == NULL)
			rowset_free(&rows);
		l->failed = true;
	} else {
		l->rows += (int64_t)rows->n;
		rate_add(&l->pace, rows->n, clock_mono_us());
		side->strangers = side->strangers || listing_has_strangers(side, rows);
		l->ended = rows->n < batch_rows(flow) && !rows->cut;
		if (rows->n > 0 && (l->survey || !fault("f05-a-sweep-looks-for-keys-only"))) {
			last = &rows->rows[rows->n - 1];
			free(l->after);
			l->after = xstrndup(last->id.data, (size_t)last->id.len);
			l->rounds++;
			round_of_listing(side, rows, l->asked_us, LISTED_PAGE);
		} else {
			rowset_free(&rows);
		}
	}
	if (flow->sync->closing)
		return;
	listing_check(side);
	flow_pump(flow);
}

/* ---- the beginning ----------------------------------------------------------------------------------- */

static void on_position_saved(void *arg, const struct err *e)
{
	struct side *side = arg;
	bool ours = listing_answered(side);

	if (ours && e != NULL)
		listing_over(side);
	else if (ours)
		side->listing.state = LISTING_ROWS;
	if (!side->flow->sync->closing)
		flow_pump(side->flow);
}

static void on_position_now(void *arg, const char *position, const struct err *e)
{
	struct side *side = arg;
	struct listing *l = &side->listing;

	if (!listing_answered(side) || side->flow->sync->closing)
		return;
	if (e != NULL) {
		if (!l->survey)
			sweep_again(side);
		listing_over(side);
	} else if (l->survey) {
		if (!log_is_as_left(side, position))
			side->reformed = 0;	/* any of it may have been edited */
		listing_ask(side);
		capture_settled(side, position);
		save_position(side, on_position_saved);
	} else {
		l->position = xstrdup(position);
		l->state = LISTING_ROWS;
		flow_pump(side->flow);
	}
}

static void on_presized(void *arg, const struct err *e)
{
	/* Only a saving of work; the buckets grow by themselves. */
}

/* Where does capture stand? Only then the rows. */
static void ask_position(struct side *side)
{
	side->listing.state = LISTING_ROWS;
	if (!side->captures || !(side->listing.survey || side->gap))
		return;
	side->listing.state = LISTING_POSITION;
	listing_ask(side);
	side->link->ops->position_now(side->link, on_position_now, side);
}

static void on_watermark(void *arg, const char *now, const char *since)
{
	struct side *side = arg;

	if (!listing_answered(side) || side->flow->sync->closing)
		return;
	side->listing.watermark = now != NULL ? xstrdup(now) : NULL;
	ask_position(side);
	flow_pump(side->flow);
}

static void listing_begin(struct side *side, bool survey)
{
	struct flow *flow = side->flow;
	struct listing *l = &side->listing;
	int64_t most = 0;

	for (size_t e = 0; e < ENDPOINTS_MAX; e++)
		most = flow->estimates[e] > most ? flow->estimates[e] : most;
	*l = (struct listing){ .state = LISTING_POSITION, .survey = survey, .expected = flow->estimates[side->endpoint],
			       .began_us = clock_mono_us(), .half_us = clock_mono_us() };
	side->strangers = side->strangers && !survey;
	log_info(survey ? "survey begins" : "sweep begins", LOG_S("entity", flow->def->name),
		 LOG_S("endpoint", side->mapping->endpoint->name), LOG_I("rows_expected", l->expected));
	if (survey && flow->sync->store->records[flow->index] == 0 && most > 1000)
		flow->sync->store->ops->presize(flow->sync->store, flow->index, most, on_presized, NULL);
	if (!watermark_is_there(side)) {
		ask_position(side);
		return;
	}
	listing_ask(side);
	watermark_ask(side, false, on_watermark, side);
}

/* ---- estimates: the smallest table goes first -------------------------------------------------------- */

static void on_estimate(void *arg, int64_t rows, const struct err *e)
{
	struct side *side = arg;
	struct flow *flow = side->flow;

	flow->estimates[side->endpoint] = e == NULL ? rows : -1;
	if (--flow->estimates_open == 0) {
		flow->estimating = false;
		flow->estimated = true;
		if (!flow->sync->closing)
			flow_pump(flow);
	}
}

static bool ask_estimates(struct flow *flow)
{
	if (flow->estimating)
		return false;
	flow->estimating = true;
	flow->estimates_open = 1;
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		flow->estimates[e] = -1;
		if (flow->sides[e] == NULL || !side_usable(flow->sides[e]))
			continue;
		flow->estimates_open++;
		flow->sides[e]->link->ops->estimate(flow->sides[e]->link, on_estimate, flow->sides[e]);
	}
	flow->estimates_open--;
	return false;
}

/* ---- how far it is ----------------------------------------------------------------------------------- */

/* A sweep that lists has its second half still before it: without one before it nothing says how long that will take. */
static double left_of_the_rest(const struct side *side, bool second_half)
{
	if (side->listing.survey || second_half)
		return 0;
	return side->look_seconds > 0 ? side->look_seconds * (double)side->flow->sync->store->records[side->flow->index] : NAN;
}

void listing_progress(const struct side *side, struct sync_link_view *v)
{
	const struct listing *l = &side->listing;
	struct job_pace pace;

	v->rows_expected = -1;
	v->share = v->seconds_left = NAN;
	if (l->state == LISTING_IDLE || side->flow->sync->store->records == NULL)
		return;
	v->second_half = l->state == LISTING_VANISHED && !l->survey;
	v->rows_done = v->second_half ? l->looked : l->rows;
	v->rows_expected = v->second_half ? side->flow->sync->store->records[side->flow->index] : l->expected;
	pace = pace_of(v->rows_done, v->rows_expected, &l->pace, l->half_us, clock_mono_us());
	v->rows_per_second = pace.per_second;
	v->share = pace.share;
	v->seconds_left = pace.seconds_left + left_of_the_rest(side, v->second_half);
	v->listing_us = l->began_us;
	v->listing_by = l->by;
}

/* ---- which one is next ------------------------------------------------------------------------------- */

/* Parents first: a child copied before its parent would only wait for it. */
static bool parents_pending(const struct flow *flow)
{
	for (size_t f = 0; f < flow->def->n_fields; f++) {
		const struct entity_def *parent = flow->def->fields[f].refers;
		const struct flow *p;

		if (parent == NULL || parent == flow->def)
			continue;
		p = &flow->sync->flows[parent->index];
		if (p->paused)
			continue;
		if (!p->counted || p->settle_wanted || p->again != NULL || p->scan.kind == SCAN_SETTLE)
			return true;
		for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
			if (p->sides[e] != NULL && side_usable(p->sides[e]) && !p->sides[e]->surveyed)
				return true;
	}
	return false;
}

/* A target's rows have no say: they are met by the records of the others, which have to be known by then. An empty one is filled. */
static bool has_to_be_last(const struct side *side)
{
	return side->mapping->role == ROLE_TARGET && side->flow->estimates[side->endpoint] != 0;
}

static bool goes_before(const struct side *a, const struct side *b)
{
	if (has_to_be_last(a) != has_to_be_last(b))
		return has_to_be_last(b);
	return a->flow->estimates[a->endpoint] < b->flow->estimates[b->endpoint];
}

static struct side *next_to_survey(struct flow *flow)
{
	struct side *best = NULL;

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		struct side *side = flow->sides[e];

		if (side == NULL || side->surveyed || !side->survey_known || !side_usable(side) || side->listing_open)
			continue;
		if (best == NULL || goes_before(side, best))
			best = side;
	}
	return best;
}

static struct side *active_listing(const struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && flow->sides[e]->listing.state != LISTING_IDLE)
			return flow->sides[e];
	return NULL;
}

/* Endpoints that have not answered for the first time yet, one way or the other: an empty table among them should go first. */
static bool first_answers_pending(const struct flow *flow)
{
	if (clock_mono_us() - flow->sync->open_us > FIRST_ANSWERS_US)
		return false;
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		const struct side *side = flow->sides[e];
		enum endpoint_state state = side != NULL ? side->link->endpoint->state : ENDPOINT_DOWN;

		/* One that is up has yet to say which database it is (epoch.c). */
		if (state == ENDPOINT_UNKNOWN || (state == ENDPOINT_UP && !flow->sync->shakes[e].greeted))
			return true;
	}
	return false;
}

/* Who took up the last line is through with the lines before it is decided. */
static bool lines_are_in_work(const struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && flow->sides[e]->retry.open > 0)
			return true;
	for (const struct round *r = flow->rounds; r != NULL; r = round_next(r))
		if (round_is_of_records(r))
			return true;
	return flow->again != NULL;
}

/* Whether another journal's time is accounted for stands with the sweep alone: so it comes behind the lines of ours that are in doubt. */
static bool lines_are_in_doubt(const struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++) {
		const struct side *side = flow->sides[e];

		if (side != NULL && side_usable(side) && ((side->retry.causes | side->retry.again) & RETRY_ALL))
			return true;
	}
	return flow->held_wanted || flow->verdicts_wanted || lines_are_in_work(flow);
}

static bool begin_listing(struct flow *flow)
{
	struct side *side = next_to_survey(flow);

	if (!flow->counted || flow->scan.kind != SCAN_NONE || flow->settle_wanted)
		return false;
	if (side != NULL) {
		if (migrate_is_at_work(flow) || parents_pending(flow) || first_answers_pending(flow))
			return false;
		if (!flow->estimated)
			return ask_estimates(flow);
		flow->estimated = false;	/* by the next survey they may be others */
		listing_begin(side, true);
		return true;
	}
	for (size_t i = 0, n = flow->sync->topology->n_endpoints; i < n; i++) {
		side = flow->sides[(flow->swept + 1 + i) % n];		/* one that is wanted again and again lets the others have their turn */
		if (side != NULL && (side->sweep_wanted || side->sweep_due) && side->surveyed && side_usable(side) && !side->listing_open &&
		    !(side->unaccounted && lines_are_in_doubt(flow))) {
			if (!flow->estimated)
				return ask_estimates(flow);
			flow->estimated = false;
			flow->swept = side->endpoint;
			listing_begin(side, false);
			side->listing.regular = !side->sweep_wanted;
			side->listing.by = side->sweep_wanted ? side->sweep_by : JOB_SCHEDULE;
			side->sweep_wanted = side->sweep_due = false;
			return true;
		}
	}
	return false;
}

bool feed_listing(struct flow *flow)
{
	struct side *side = active_listing(flow);
	struct listing *l;

	if (side == NULL)
		return begin_listing(flow);
	l = &side->listing;
	if (l->state == LISTING_VANISHED && !l->survey && flow->scan.kind == SCAN_NONE) {
		flow->scan = (struct scan){ .kind = SCAN_VANISHED, .endpoint = side->endpoint };
		return true;
	}
	if (l->state != LISTING_ROWS || l->asking || l->ended || l->failed)
		return false;
	if (!side_usable(side)) {
		l->failed = true;
		listing_check(side);
		return false;
	}
	listing_ask(side);
	l->asked_us = clock_mono_us();
	failpoint("listing", "rows", "before");
	side->link->ops->list(side->link, l->after, NULL, batch_rows(flow), on_listed, side);
	failpoint("listing", "rows", "sent");
	return true;
}
