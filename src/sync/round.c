/*
 * round.c - one round of one entity: what was captured or listed is decided, written elsewhere, marked, acknowledged.
 *
 *   RECALL -> LOOKUP -> RECALL_OLD -> READ -> READ_KEYS -> OWNERS -> MEANT -> FOLLOW -> FORMS
 *      ^      -> STAMPS -> REFERRED -> KEYS -> PARENTS -> INTEND -> APPLY -> MARK -> ACK
 *      |                                                                              |
 *      +--------------- REST <--- records that another round had in work -------------+
 *
 *   RECALL      vectors of the records, by key                 READ_KEYS  rows whose insert may have happened before
 *   LOOKUP      records of local ids that the vectors do not   OWNERS     are these rows another record's?
 *               confirm (deletes, changed keys)                STAMPS     when uncaptured changes were made
 *                                                              KEYS       is a changed key free? (decided by now)
 *   RECALL_OLD  vectors of these                               PARENTS    local ids for references
 *   READ        rows and row versions at the other endpoints   INTEND     what is agreed and who is owed, before any write
 *   MEANT       which records do references mean whose keys are shown in another form?
 *   FOLLOW      do references mean what they meant, by another key?
 *   FORMS       what does a target make of what a write in doubt was to write?
 *   REFERRED    does a record that stays refer to one that an undo is to end?
 *
 * A round that only plans goes from PARENTS to PLAN, where it tells what it would write, and no further (plan.c).
 *
 * A step with nothing to ask is passed over. When the store fails the round is given up and its feed
 * begins again; when an endpoint fails its records are owed to it and the round goes on.
 */
#include "sync/round.h"

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/migrate.h"
#include "sync/undo.h"

enum { JOURNAL_REST_US = 1000000 };	/* a disk that is full now is not much later */

static void round_run(struct round *r);

/* ---- small things ------------------------------------------------------------------------------------ */

void round_keep_rows(struct round *r, struct rowset *rows)
{
	if (r->n_reads == r->cap_reads) {
		r->cap_reads = r->cap_reads > 0 ? 2 * r->cap_reads : 8;
		r->reads = xrealloc(r->reads, r->cap_reads * sizeof *r->reads);
	}
	r->reads[r->n_reads++] = rows;
}

void round_count_read(const struct round *r, size_t e, size_t bytes, int64_t asked_us)
{
	meter_read(&sync_of(r)->meters[e].volume, bytes, asked_us, clock_mono_us());
}

/* An answer came; when it was the last, go on. */
void round_answered(struct round *r)
{
	assert(r->waiting > 0);
	if (--r->waiting == 0 && !r->running)
		round_run(r);
}

bool round_observe(struct round *r, const struct side *side, const struct row *row, struct observation *out, const struct field_def **bad,
		   struct err *e)
{
	return observe_row(r->flow, side, row, &r->arena, r->plan != NULL ? plan_counts(r->plan) : &r->flow->meter, out, bad, e);
}

void round_park(struct round *r, struct side *side, bool capture, const struct rid *rid, struct value key, struct value local_id,
		const char *field, int64_t stamp, const struct err *cause)
{
	if (r->plan != NULL)
		plan_note_parked(r, side, capture, rid, key, local_id, field, cause);
	else if (!park_record(side, capture, rid, key, local_id, field, stamp, cause))
		round_give_up(r, cause);
}

/* Of the round's side: a row without news. */
void round_count_echo(struct round *r)
{
	r->side->meter.echoes += r->plan == NULL;
}

void round_give_up(struct round *r, const struct err *e)
{
	if (e != NULL && r->why.kind == 0) {
		r->why = *e;
		if (r->why.kind == 0)
			r->why.kind = ERR_TRANSIENT;
	}
}

/* ---- REST: records that another round had in work ---------------------------------------------------- */

static bool any_busy(const struct round *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->subjects[i].fate == FATE_BUSY)
			return true;
	return false;
}

/* What was read before the other round wrote is stale: everything is read again, also at the source. */
static void reset_subject(struct round *r, struct subject *s)
{
	struct subject fresh = { .fate = FATE_LIVE, .rid = s->rid, .has_rid = s->has_rid, .source_id = s->source_id, .former_id = s->former_id,
				 .evidence = s->evidence, .tries = s->tries, .alone_us = s->alone_us, .missing = s->missing, .asked_us = s->asked_us,
				 .moved_once = s->moved_once, .by_rows = s->by_rows, .gently = s->gently, .key = s->key, .rival = VALUE_NULL,
				 .deleted_id = s->deleted_id, .found = s->found, .own_way = s->own_way, .held_back = s->held_back, .set_aside_now = s->set_aside_now, .told = s->told };
	bool gone = r->side != NULL && !value_is_null(s->source_id) && s->seen[r->side->endpoint].what == OBSERVED_ABSENT;
	const struct observation *before = gone ? &s->seen[r->side->endpoint] : NULL;

	fresh.seen = arena_zalloc(&r->arena, n_endpoints(r) * sizeof *fresh.seen);
	fresh.versions = arena_zalloc(&r->arena, n_endpoints(r) * sizeof *fresh.versions);
	if (s->twin) {	/* its row is not the one that was written: it still shows what was read */
		fresh.seen[r->side->endpoint] = s->seen[r->side->endpoint];
		fresh.versions[r->side->endpoint] = s->versions[r->side->endpoint];
	}
	if (gone) {	/* until it is read again; and the record may have another row by now, so it is looked for by this one's id */
		fresh.seen[r->side->endpoint] = (struct observation){ .what = OBSERVED_ABSENT, .evidence = before->evidence,
								      .outside = before->outside, .stamp = before->stamp };
		fresh.has_rid = false;
	}
	*s = fresh;
}

static void on_rested(void *arg)
{
	struct round *r = arg;

	r->waiting--;
	round_run(r);
}

static void ask_rest(struct round *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		if (r->subjects[i].fate == FATE_BUSY) {
			r->subjects[n] = r->subjects[i];
			reset_subject(r, &r->subjects[n++]);
		}
	r->n = n;
	r->pass++;
	r->expects = false;
	HASH_CLEAR(hh, r->parents);
	r->waiting++;
	/* Not in step with one that waits for this one. */
	loop_timer_set(r->timer, r->pass < 4 ? 2 : (r->pass < 10 ? 2 : 50) + (int64_t)(r->number % 8));
}

/* ---- ACK --------------------------------------------------------------------------------------------- */

/* News that was given back is to be had again: that a look meanwhile found nothing besides proves nothing. */
static void side_news_again(struct side *side, int64_t news_from_us)
{
	side->wanted = true;
	side->clean_us = 0;
	if (news_from_us < side->heard_us)
		side->heard_us = news_from_us;
}

static void on_acked(void *arg, const struct err *e)
{
	struct round *r = arg;

	/* Not acknowledged is read again and found to be nothing new: only work. */
	if (e == NULL && r->epoch != 0 && !sync_of(r)->closing)
		epoch_acked(sync_of(r), r->side->endpoint, r->epoch);
	round_answered(r);
}

static void ask_ack(struct round *r)
{
	struct ack *ack = r->captured != NULL ? r->captured->ack : NULL;

	if (ack == NULL)
		return;
	r->captured->ack = NULL;
	if (!side_usable(r->side)) {	/* it came back, and may be another one: its epoch must not move before it was asked */
		r->side->link->ops->drop(r->side->link, ack);
		side_news_again(r->side, r->news_from_us);
		return;
	}
	if (r->epoch > r->side->link->endpoint->epoch)
		r->side->link->endpoint->epoch = r->epoch;
	r->waiting++;
	r->side->link->ops->ack(r->side->link, ack, on_acked, r);
}

/* ---- the table, and running it ----------------------------------------------------------------------- */

static const struct round_step {
	const char *name;
	void (*ask)(struct round *);	/* sends; whatever it waits for raises `waiting` */
	void (*got)(struct round *);	/* everything is here; may be NULL */
	enum round_state next;
} steps[] = {
	[ROUND_RECALL]	   = { "recall",     round_ask_recall,     round_got_recall,     ROUND_LOOKUP },
	[ROUND_LOOKUP]	   = { "lookup",     round_ask_lookup,     round_got_lookup,     ROUND_RECALL_OLD },
	[ROUND_RECALL_OLD] = { "recall old", round_ask_recall_old, round_got_recall_old, ROUND_READ },
	[ROUND_READ]	   = { "read",	     round_ask_read,	     round_got_read,	     ROUND_READ_KEYS },
	[ROUND_READ_KEYS]  = { "read keys",  round_ask_read_keys,  NULL,	     ROUND_OWNERS },
	[ROUND_OWNERS]	   = { "owners",     round_ask_owners,     NULL,	     ROUND_MEANT },
	[ROUND_MEANT]	   = { "meant",      round_ask_meant,      NULL,	     ROUND_FOLLOW },
	[ROUND_FOLLOW]	   = { "follow",     round_ask_follow,     NULL,	     ROUND_FORMS },
	[ROUND_FORMS]	   = { "forms",	     round_ask_forms,	   NULL,	     ROUND_STAMPS },
	[ROUND_STAMPS]	   = { "stamps",     round_ask_stamps,     round_got_stamps,   ROUND_REFERRED },
	[ROUND_REFERRED]   = { "referred",   round_ask_referred,   round_got_referred,   ROUND_KEYS },
	[ROUND_KEYS]	   = { "keys",	     round_ask_keys,	     NULL,	     ROUND_PARENTS },
	[ROUND_PARENTS]	   = { "parents",    round_ask_parents,    round_got_parents,    ROUND_INTEND },
	[ROUND_INTEND]	   = { "intend",     round_ask_intend,     undo_follow,	     ROUND_APPLY },
	[ROUND_APPLY]	   = { "apply",	     round_ask_apply,	     round_got_apply,	     ROUND_MARK },
	[ROUND_MARK]	   = { "mark",	     round_ask_mark,	     round_got_mark,	     ROUND_ACK },
	[ROUND_ACK]	   = { "ack",	     ask_ack,	     NULL,	     ROUND_OVER },
	[ROUND_PLAN]	   = { "plan",	     round_tell_plan,	     NULL,	     ROUND_OVER },
	[ROUND_REST]	   = { "rest",	     ask_rest,	     NULL,	     ROUND_RECALL },
};

static void round_free(struct round *r)
{
	round_unclaim_all(r);
	HASH_CLEAR(hh, r->parents);
	for (size_t i = 0; i < r->n_reads; i++)
		rowset_free(&r->reads[i]);
	free(r->reads);
	captured_free(&r->captured);
	rowset_free(&r->listed);
	arena_fini(&r->arena);
	loop_timer_free(&r->timer);
	free(r);
}

static void unlink_round(struct round *r)
{
	struct round **at = &r->flow->rounds;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	r->flow->n_rounds -= r->plan == NULL;
}

static void plan_round_end(struct round *r)
{
	struct sync_plan *plan = r->plan;
	struct err why = r->why;

	unlink_round(r);
	round_free(r);
	plan_round_over(plan, why.kind != 0 ? &why : NULL);
}

/* One end for every round: settled, or given up (`why` is set). */
static void round_end(struct round *r)
{
	struct flow *flow = r->flow;
	struct side *side = r->side;
	bool ok = r->why.kind == 0;
	struct side *retried = r->retried;
	bool captured = r->captured != NULL, page = r->is_page;
	struct sync_migration *migration = r->migration;
	struct part *part = r->part;
	bool counting = r->counting;
	struct err why = r->why;
	int64_t news_from_us = r->news_from_us;
	char *position = ok && captured && r->captured->position != NULL ? xstrdup(r->captured->position) : NULL;

	if (!ok && captured && r->captured->ack != NULL && !fault("f34-what-was-given-up-does-not-come-again")) {
		side->link->ops->drop(side->link, r->captured->ack);
		r->captured->ack = NULL;
	}
	if (!ok && journal_trouble(flow->sync->journal) != NULL)
		flow->sync->rest_until_us = clock_mono_us() + JOURNAL_REST_US;
	if (!ok)
		log_debug("round given up", LOG_S("entity", flow->def->name), LOG_I("round", r->number),
			  LOG_S("step", steps[r->state].name), LOG_ERR(&r->why));
	if (!ok && r->state == ROUND_APPLY && !flow->sync->closing)
		round_note_own(r);
	if (!ok && r->intent[0] != '\0')	/* what it agreed on is put back before anybody decides about these records again */
		flow->sync->recovered = false;
	for (size_t i = 0; !ok && side == NULL && i < r->n; i++)
		if (r->subjects[i].fate != FATE_DROPPED)
			flow_look_again(flow, &r->subjects[i].rid, r->subjects[i].evidence);
	unlink_round(r);
	round_free(r);
	if (captured && ok)
		capture_settled(side, position);
	else if (captured)
		side_news_again(side, news_from_us);
	else if (page)
		listing_round_done(side, ok);
	if (retried != NULL)
		retry_part_over(retried);
	if (migration != NULL)
		migrate_leave(migration, part, counting, ok ? NULL : &why);
	free(position);
	if (!flow->sync->closing)
		meters_look_at(flow);
	flow_pump(flow);
	waits_check(flow->sync);
}

static enum round_state next_state(const struct round *r)
{
	if (r->state == ROUND_PARENTS && r->plan != NULL)
		return ROUND_PLAN;
	if ((r->state == ROUND_MARK || r->state == ROUND_PLAN) && any_busy(r))
		return ROUND_REST;
	return steps[r->state].next;
}

/*
 * Of a round that was interrupted the store does not know yet what it had agreed on. Whoever looks a record up before that is put back
 * would take its rows for nobody's. What was looked up before goes on: these records were not that round's.
 */
static bool must_not_look(const struct round *r)
{
	return r->plan == NULL && !sync_of(r)->recovered && (r->state < ROUND_INTEND || r->state == ROUND_REST);
}

static void round_run(struct round *r)
{
	r->running = true;
	while (r->waiting == 0) {
		if (sync_of(r)->closing)
			err_set(&r->why, ERR_TRANSIENT, "closing", "the daemon stops");
		if (r->losses != sync_of(r)->losses && r->why.kind == 0)
			err_set(&r->why, ERR_TRANSIENT, "state-lost", "the state in the store was lost");
		if (must_not_look(r) && r->why.kind == 0)
			err_set(&r->why, ERR_TRANSIENT, "interrupted", "what another round had agreed on is put back first");
		if (r->why.kind != 0 || r->state == ROUND_OVER)
			break;
		if (r->asked) {
			r->asked = false;
			failpoint("round", steps[r->state].name, "answered");
			if (steps[r->state].got != NULL)
				steps[r->state].got(r);
			r->state = next_state(r);
			continue;
		}
		r->asked = true;
		if (r->state == ROUND_RECALL && fault("f29-what-was-in-work-is-forgotten"))
			ask_ack(r);
		failpoint("round", steps[r->state].name, "before");
		steps[r->state].ask(r);
		failpoint("round", steps[r->state].name, "sent");
	}
	r->running = false;
	if (r->waiting == 0 && r->plan != NULL)
		plan_round_end(r);
	else if (r->waiting == 0)
		round_end(r);
}

/* ---- birth ------------------------------------------------------------------------------------------- */

/* Those of a plan are no work that anybody waits for, and take no other round's room. */
static struct round *round_new(struct flow *flow, struct side *side, size_t n, struct sync_plan *plan)
{
	struct round *r = xcalloc(1, sizeof *r);

	r->flow = flow;
	r->side = side;
	r->plan = plan;
	r->number = ++flow->sync->rounds;
	r->losses = flow->sync->losses;
	arena_init(&r->arena);
	r->timer = loop_timer_new(flow->sync->loop, on_rested, r);
	r->subjects = arena_zalloc(&r->arena, (n + 1) * sizeof *r->subjects);
	r->next = flow->rounds;
	flow->rounds = r;
	flow->n_rounds += plan == NULL;
	if (plan == NULL && flow->paused && flow->migration != NULL)
		migrate_join(r);
	return r;
}

static struct subject *add_subject(struct round *r)
{
	struct subject *s = &r->subjects[r->n++];

	s->source_id = s->former_id = s->rival = s->deleted_id = s->key = VALUE_NULL;
	s->told = STAMP_NONE;
	s->seen = arena_zalloc(&r->arena, n_endpoints(r) * sizeof *s->seen);
	s->versions = arena_zalloc(&r->arena, n_endpoints(r) * sizeof *s->versions);
	for (size_t e = 0; e < n_endpoints(r); e++)
		s->seen[e].stamp = STAMP_NONE;
	return s;
}

/* A row that was captured or listed becomes a subject, or is parked for being invalid. */
static struct subject *add_row(struct round *r, const struct row *row, int64_t stamp)
{
	struct subject *s = add_subject(r);
	struct observation *o = &s->seen[r->side->endpoint];

	s->source_id = row->id;
	if (stamp != STAMP_UNKNOWN)
		s->told = stamp - endpoint_offset_us(r->side->link->endpoint);
	round_take_row(r, r->side, s, row);
	if (s->invalid != 0) {
		s->fate = FATE_DROPPED;
		return s;
	}
	if (s->told != STAMP_NONE)
		o->stamp = s->told;
	if (o->what == OBSERVED_ROW) {
		s->rid = rid_of(&sync_of(r)->store->key, r->flow->def, s->key);
		s->has_rid = true;
	}
	return s;
}

static void add_news(struct round *r, const struct news *n)
{
	struct subject *s = add_row(r, &r->captured->rows->rows[n->row], n->stamp);

	s->former_id = n->old_id;
	if (n->deleted && value_is_null(n->old_id))	/* where its id is the key, that is the one that was before it */
		s->deleted_id = s->source_id;
}

static void add_deleted(struct round *r, const struct news *n)
{
	struct subject *s = add_subject(r);
	int64_t offset = endpoint_offset_us(r->side->link->endpoint);

	s->source_id = n->id;
	s->deleted_id = n->deleted ? n->id : VALUE_NULL;
	s->seen[r->side->endpoint] = (struct observation){
		.what = OBSERVED_ABSENT, .evidence = true, .stamp = n->stamp == STAMP_UNKNOWN ? STAMP_NONE : n->stamp - offset };
	if (is_parked(r->side, true, NULL, n->id))
		unpark_record(r->side, true, NULL, n->id);
	if (!n->ended && !fault("f13-a-row-that-is-not-there-was-deleted"))	/* that it has another id by now, say, comes as news of its own */
		round_drop_subject(r, s, BOOKS_MERGED);
}

/*
 * A row that was read before a write of ours, or before another look at it that came to its end first, and is compared with the vector after
 * that looks like somebody putting the old value back. Such rows are read again while the record is claimed: then nobody of us writes to
 * it, and whatever was seen before has been marked.
 */
static bool may_be_stale(struct side *side, int64_t asked_us)
{
	bool overtaken = side->read_us >= asked_us;

	side_note_read(side);
	return side->writing > 0 || side->written_us >= asked_us || overtaken;
}

void round_of_capture(struct flow *flow, struct side *side, struct captured *captured, int64_t news_from_us)
{
	struct round *r = round_new(flow, side, captured->n, NULL);

	r->captured = captured;
	r->news_from_us = news_from_us;
	r->touched = BIT(side->endpoint);
	r->stale = may_be_stale(side, captured->began_us);
	if (captured->rows != NULL)
		round_count_read(r, side->endpoint, captured->rows->bytes, captured->began_us);
	for (size_t i = 0; i < captured->n; i++) {
		const struct news *n = &captured->news[i];

		if (n->row >= 0)
			add_news(r, n);
		else
			add_deleted(r, n);
		r->renumbers |= !value_is_null(n->old_id);
	}
	round_run(r);
}

static struct round *of_rows(struct side *side, struct rowset *rows, int64_t asked_us, struct sync_plan *plan)
{
	struct round *r = round_new(side->flow, side, rows->n, plan);

	r->listed = rows;
	r->touched = BIT(side->endpoint);
	r->stale = may_be_stale(side, asked_us);
	round_count_read(r, side->endpoint, rows->bytes, asked_us);
	for (size_t i = 0; i < rows->n; i++)
		add_row(r, &rows->rows[i], STAMP_UNKNOWN);
	return r;
}

void round_of_listing(struct side *side, struct rowset *rows, int64_t asked_us, enum listed listed)
{
	struct round *r = of_rows(side, rows, asked_us, NULL);

	r->is_page = listed == LISTED_PAGE;
	r->retried = listed == LISTED_PARKED ? side : NULL;
	round_run(r);
}

void round_of_migration(struct side *side, struct rowset *rows, int64_t asked_us, struct part *part)
{
	uint64_t cleaned = side->flow->meter.cleaned, rejected = side->flow->meter.rejected;
	int64_t foreign = 0;
	struct round *r = of_rows(side, rows, asked_us, NULL);

	if (r->migration == NULL)
		migrate_join(r);
	r->part = part;
	for (size_t i = 0; i < r->n; i++)
		foreign += r->subjects[i].seen[side->endpoint].what == OBSERVED_ABSENT;
	migrate_taken(part, side->flow->meter.cleaned - cleaned, side->flow->meter.rejected - rejected, foreign);
	round_run(r);
}

void round_of_plan_page(struct sync_plan *plan, struct side *side, struct rowset *rows, int64_t asked_us)
{
	round_run(of_rows(side, rows, asked_us, plan));
}

void round_of_plan(struct sync_plan *plan, struct flow *flow, const struct planned_record *list, size_t n)
{
	struct round *r = round_new(flow, NULL, n, plan);

	for (size_t i = 0; i < n; i++) {
		struct subject *s = add_subject(r);
		struct value *found = arena_alloc(&r->arena, n_endpoints(r) * sizeof *found);

		for (size_t e = 0; e < n_endpoints(r); e++)
			found[e] = value_is_null(list[i].rows[e]) ? VALUE_NULL :
				   (struct value){ arena_dup(&r->arena, list[i].rows[e].data, (size_t)list[i].rows[e].len), list[i].rows[e].len };
		s->rid = list[i].rid;
		s->has_rid = true;
		s->found = found;
		s->evidence = list[i].evidence;
		s->held_back = list[i].held_back;
		s->gently = list[i].gently;
	}
	round_run(r);
}

void round_of_records(struct flow *flow, const struct again *const *list, size_t n, struct side *retried)
{
	struct round *r = round_new(flow, NULL, n, NULL);

	r->retried = retried;
	for (size_t i = 0; i < n; i++) {
		struct subject *s = add_subject(r);

		s->rid = list[i]->rid;
		s->has_rid = true;
		s->evidence = list[i]->evidence;
		s->tries = list[i]->tries;
		s->missing = list[i]->missing;
		s->alone_us = list[i]->alone_us;
		s->gently = list[i]->gently;
	}
	round_run(r);
}

void round_let_go(struct round *r)
{
	if (r->captured != NULL && r->captured->ack != NULL)
		r->side->link->ops->drop(r->side->link, r->captured->ack);
	if (r->captured != NULL)
		r->captured->ack = NULL;
}

void round_describe(const struct round *r, struct buf *out)
{
	buf_addf(out, "%s: a round of %zu record%s is at work (%s", r->flow->def->name, r->n, r->n == 1 ? "" : "s", steps[r->state].name);
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (r->writing_at & BIT(e))
			buf_addf(out, ", waits for %s to write", sync_of(r)->topology->endpoints[e].name);
	buf_adds(out, ")\n");
}

bool round_is_looking(const struct round *r)
{
	return r->is_page && r->side->listing.regular && r->pass == 0 && r->state <= ROUND_RECALL_OLD;
}

bool round_is_of_records(const struct round *r)
{
	return r->side == NULL && r->plan == NULL && r->migration == NULL;
}

bool round_is_plan(const struct round *r)
{
	return r->plan != NULL;
}

struct round *round_next(const struct round *r)
{
	return r->next;
}

uint64_t round_number(const struct round *r)
{
	return r->number;
}

void round_abandon(struct round **rp)
{
	struct round *r = *rp;

	*rp = r->next;
	r->flow->n_rounds -= r->plan == NULL;
	round_free(r);
}
