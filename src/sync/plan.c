/*
 * plan.c - what a full reconcile of an entity would write, found out without writing anything anywhere.
 *
 *   LIST     every row of every side, as a sweep lists them. Rounds that end before anything is decided tell which rows have
 *            news, or are of records that nobody knows: these records are candidates.
 *   SCAN     every vector, as the second half of a sweep goes through them: whose row is gone, and who is owed something?
 *            These are candidates too, and the mass-delete guard is asked about as a sweep would ask it.
 *   DECIDE   the candidates, record by record, each once: recalled, read and decided by rounds like any other, which go to PLAN
 *            where others go to INTEND, and tell what they would have written.
 *
 * So there is one decide, and what differs is what is not known yet: a reconcile of records that nobody knows lists one side after the
 * other and remembers each in the store; here the sides meet in the list of candidates. That list has a bound. When it is full, the
 * upper half of the record ids is put off to another pass, which lists and scans again.
 *
 * It works for an entity that is paused, and others go on meanwhile: a record is decided as it is when its turn comes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"
#include "sync/round.h"
#include "sync/undo.h"

enum { BUCKETS = 1024 };	/* by the first ten bits of the record id: a digest, so they fill evenly */

enum candidate_kind { CANDIDATE_ROW, CANDIDATE_GONE, CANDIDATE_OWED };

struct candidate {
	struct rid rid;
	enum candidate_kind kind;
	size_t endpoint;
	struct value id;			/* CANDIDATE_ROW: of a row that its vector does not know; else empty */
	size_t place;				/* in its bucket: what was listed first goes first */
};

struct noted {				/* a row that the listing told of as parked for its key */
	uint64_t id;
	UT_hash_handle hh;
};

enum plan_phase { PLAN_LIST, PLAN_SCAN, PLAN_DECIDE };

struct sync_plan {
	struct sync *sync;
	struct flow *flow;
	struct sync_plan_taker taker;
	struct job job;				/* begun where it is one of its own, not a part of another */
	uint64_t losses;			/* of the state before it began */
	bool ended;				/* it has told its end, or nobody wants to know */
	bool resting;				/* whoever takes it has enough for now */
	bool stepping;
	size_t open;				/* questions and rounds under way */
	enum plan_phase phase;
	unsigned pass;				/* from 1 */
	uint64_t looked_at, left_out;		/* endpoints */
	struct meter_entity counts;		/* of what is cleaned and rejected; told to nobody */
	struct noted *noted;			/* owned */
	struct undo_target **undos;		/* the dry run of an undo: what it would put back; NULL: another plan */
	struct arena *keeps;			/* the undo's */
	/* LIST */
	size_t endpoint;
	bool estimated;
	char *after;				/* owned; last local id seen */
	bool listed_all;
	int64_t asked_us;
	/* SCAN */
	uint64_t scan_at;
	size_t gone[ENDPOINTS_MAX];		/* rows that are not there any more */
	size_t room[ENDPOINTS_MAX];		/* so many more records a source may end */
	/* candidates: buckets from `low` to below `high` are of this pass */
	struct buf buckets[BUCKETS];
	bool of_some;			/* the caller has bounded the list */
	size_t low, high, bytes;
	/* DECIDE */
	struct arena arena;			/* of `records` */
	struct planned_record *records;
	size_t n_records, sent, bucket;
};

static void plan_go_on(struct sync_plan *p);

/* ---- the end ----------------------------------------------------------------------------------------- */

static void plan_release(struct sync_plan *p)
{
	p->sync->plan = NULL;
	job_end(&p->sync->jobs, &p->job);
	for (size_t b = 0; b < BUCKETS; b++)
		buf_fini(&p->buckets[b]);
	while (p->noted != NULL) {
		struct noted *n = p->noted;

		HASH_DEL(p->noted, n);
		free(n);
	}
	arena_fini(&p->arena);
	free(p->after);
	free(p);
}

static void plan_end(struct sync_plan *p, const struct err *e)
{
	if (p->ended)
		return;
	p->ended = true;
	if (e != NULL)
		log_debug("plan given up", LOG_S("entity", p->flow->def->name), LOG_ERR(e));
	p->taker.done(p->taker.arg, e);
}

void sync_plan_cancel(struct sync_plan *p)
{
	p->ended = true;
	plan_go_on(p);
}

void sync_plan_go_on(struct sync_plan *p)
{
	p->resting = false;
	plan_go_on(p);
}

void plan_end_with_sync(struct sync *s)
{
	struct err e = { 0 };

	if (s->plan == NULL)
		return;
	err_set(&e, ERR_TRANSIENT, "stopping", "the daemon stops, or reads its topology again; ask again");
	plan_end(s->plan, &e);
}

void plans_free(struct sync *s)
{
	if (s->plan != NULL)
		plan_release(s->plan);
}

static void plan_fail(struct sync_plan *p, const struct err *e, const char *doing)
{
	struct err why = *e;

	if (why.kind == 0)
		why.kind = ERR_TRANSIENT;
	err_while(&why, "planning %s, %s", p->flow->def->name, doing);
	plan_end(p, &why);
}

/* ---- candidates -------------------------------------------------------------------------------------- */

static size_t bucket_of(const struct rid *rid)
{
	return (size_t)rid->b[0] << 2 | rid->b[1] >> 6;
}

static bool is_of_this_pass(const struct sync_plan *p, const struct rid *rid)
{
	return bucket_of(rid) >= p->low && bucket_of(rid) < p->high;
}

static void bucket_drop(struct sync_plan *p, size_t b)
{
	p->bytes -= p->buckets[b].len;
	buf_fini(&p->buckets[b]);
}

/* What all rounds of an entity may hold: by default room for a third of a million records that two sides have and nobody knows. */
static size_t candidates_most(const struct sync_plan *p)
{
	const struct topology *t = p->sync->topology;

	return (size_t)t->limits.batch_bytes * (size_t)t->limits.rounds;
}

static void put_off_half(struct sync_plan *p)
{
	p->high = p->low + (p->high - p->low + 1) / 2;
	for (size_t b = p->high; b < BUCKETS; b++)
		bucket_drop(p, b);
}

static void candidate_add(struct sync_plan *p, const struct rid *rid, enum candidate_kind kind, size_t endpoint, struct value id)
{
	struct buf *bucket = &p->buckets[bucket_of(rid)];
	size_t before = bucket->len;

	if (!is_of_this_pass(p, rid))
		return;
	buf_add(bucket, rid->b, RID_BYTES);
	buf_addc(bucket, (char)kind);
	buf_addc(bucket, (char)endpoint);
	buf_varint(bucket, (uint64_t)id.len);
	buf_add(bucket, id.data, (size_t)id.len);
	p->bytes += bucket->len - before;
	while (!p->of_some && p->bytes > candidates_most(p) && p->high > p->low + 1)
		put_off_half(p);
}

static const struct value no_id = { "", 0 };

void plan_note_news(struct round *r, struct subject *s)
{
	const struct rid *rid = s->moved ? &s->old_rid : &s->rid;
	bool known = s->confirmed || s->moved || s->seen[r->side->endpoint].what != OBSERVED_ROW;

	candidate_add(r->plan, rid, CANDIDATE_ROW, r->side->endpoint, known ? no_id : s->source_id);
	round_drop_subject(r, s, BOOKS_UNTOLD);
}

static int by_record(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	int order = memcmp(x->rid.b, y->rid.b, RID_BYTES);

	return order != 0 ? order : x->place < y->place ? -1 : 1;
}

/* Points into the bucket. */
static struct candidate *bucket_read(const struct buf *bucket, struct arena *arena, size_t *n)
{
	struct cut c = cut_of(bucket->p, bucket->len);
	struct candidate *list = arena_alloc(arena, (bucket->len / (RID_BYTES + 3) + 1) * sizeof *list);

	for (*n = 0; cut_left(&c) > 0; (*n)++) {
		struct candidate *k = &list[*n];

		memcpy(k->rid.b, cut_bytes(&c, RID_BYTES), RID_BYTES);
		k->kind = (enum candidate_kind)cut_u8(&c);
		k->endpoint = cut_u8(&c);
		k->id.len = (int32_t)cut_varint(&c);
		k->id.data = cut_bytes(&c, (size_t)k->id.len);
		k->place = *n;
	}
	qsort(list, *n, sizeof *list, by_record);
	return list;
}

/* ---- what is told ------------------------------------------------------------------------------------ */

static void tell(struct sync_plan *p, const struct sync_planned *planned)
{
	if (!p->ended)
		p->taker.planned(p->taker.arg, planned);
}

struct line_wanted {
	const char *field;
	bool found;
};

static bool find_line(void *arg, const struct journal_waiting *w)
{
	struct line_wanted *l = arg;

	l->found = strcmp(w->field, l->field) == 0;
	return !l->found;
}

/* It stands in the queue, and would be no new decision. */
static bool waits_already(const struct sync_plan *p, const struct journal_decision *d)
{
	struct line_wanted l = { .field = d->field };
	struct err e = { 0 };

	if (d->winner[0] != '\0' || p->flow->waiting == 0)
		return false;
	return journal_waiting_each(p->sync->journal, d->entity, NULL, d->key, 0, 0, find_line, &l, &e) && l.found;
}

void plan_note_decision(struct sync_plan *p, const struct journal_decision *d)
{
	if (waits_already(p, d))
		return;
	tell(p, &(struct sync_planned){ .what = PLANNED_DECISION, .key = d->key, .decision = d });
}

static void note_parked(struct sync_plan *p, struct side *side, bool already, const char *key, const char *local_id, const char *field,
			const struct err *cause)
{
	tell(p, &(struct sync_planned){ .what = PLANNED_PARKED, .endpoint = side->endpoint, .key = key, .local_id = local_id,
					.field = field != NULL ? field : "", .code = cause->code, .cause = cause->text, .already = already });
}

/* False: it was already. Both a listing and a decision may come upon a key that another record has. */
static bool note_key_taken(struct sync_plan *p, const struct side *side, struct value local_id)
{
	uint64_t id = digest64(&p->sync->store->key, local_id.data, (size_t)local_id.len) + side->endpoint;
	struct noted *n;

	HASH_FIND(hh, p->noted, &id, sizeof id, n);
	if (n != NULL)
		return false;
	n = xcalloc(1, sizeof *n);
	n->id = id;
	HASH_ADD(hh, p->noted, id, sizeof n->id, n);
	return true;
}

/* Rows that cannot be taken are told of once, by the first listing that comes upon them. */
static bool is_news(const struct round *r, const struct side *side, bool capture, struct value local_id, const char *code)
{
	if (capture && strcmp(code, "key-taken") == 0)
		return note_key_taken(r->plan, side, local_id);
	return r->side != NULL ? r->plan->pass == 1 : !capture;
}

void plan_note_parked(struct round *r, struct side *side, bool capture, const struct rid *rid, struct value key, struct value local_id,
		      const char *field, const struct err *cause)
{
	struct sync_plan *p = r->plan;
	struct buf printed = { 0 };
	char *id;

	if (!is_news(r, side, capture, local_id, cause->code))
		return;
	buf_adds(&printed, "");
	if (!value_is_null(key))
		record_key_print(&printed, key, r->flow->def->n_key);
	id = value_is_null(local_id) ? xstrdup("") : xstrndup(local_id.data, (size_t)local_id.len);
	note_parked(p, side, is_parked(side, capture, rid, local_id), printed.p, id, field, cause);
	buf_fini(&printed);
	free(id);
}

static const enum sync_planned_what planned_of[] = {
	[ACTION_INSERT] = PLANNED_INSERT, [ACTION_UPDATE] = PLANNED_UPDATE, [ACTION_DELETE] = PLANNED_DELETE,
};

static void tell_subject(struct round *r, const struct subject *s, const char *key)
{
	uint64_t from = s->d.edited;

	if (s->d.next->dead && s->d.next->deleted.origin < n_endpoints(r))
		from = BIT(s->d.next->deleted.origin);
	for (size_t e = 0; e < n_endpoints(r); e++) {
		const struct order *o = &s->d.orders[e];

		if (s->held_back & BIT(e) && s->seen[e].what == OBSERVED_ABSENT)
			tell(r->plan, &(struct sync_planned){ .what = PLANNED_HELD, .endpoint = e, .key = key });
		if (o->action != ACTION_NONE)
			tell(r->plan, &(struct sync_planned){
				.what = planned_of[o->action], .endpoint = e, .key = key, .fields = o->fields,
				.from = from & ~BIT(e) & flow_endpoints(r->flow), .first_contact = s->base == NULL,
				.after_parent = s->after_parent & BIT(e),
				.already = is_parked(r->flow->sides[e], false, &s->rid, VALUE_NULL) });
	}
}

void round_tell_plan(struct round *r)
{
	struct buf key = { 0 };
	struct err e = { 0 };

	if ((r->away | r->unasked) & r->plan->looked_at) {
		err_set(&e, ERR_TRANSIENT, "plan-broken", "an endpoint did not answer; ask again");
		round_give_up(r, &e);
		round_unclaim_all(r);
		return;
	}
	for (size_t i = 0; i < r->n; i++) {
		const struct subject *s = &r->subjects[i];

		if (!is_live(s) || !s->decided)
			continue;
		buf_clear(&key);
		round_print_key(r, s, &key);
		tell_subject(r, s, key.p);
	}
	if (!round_journal_all(r, &e))
		round_give_up(r, &e);
	undo_note_planned(r);
	buf_fini(&key);
	round_unclaim_all(r);
}

/* ---- LIST -------------------------------------------------------------------------------------------- */

bool plan_has_listed(const struct sync_plan *p, size_t e)
{
	return p->looked_at & BIT(e);
}

struct meter_entity *plan_counts(struct sync_plan *p)
{
	return &p->counts;
}

static struct side *side_listed(const struct sync_plan *p)
{
	return p->flow->sides[p->endpoint];
}

static void next_side(struct sync_plan *p)
{
	p->endpoint++;
	p->estimated = p->listed_all = false;
	free(p->after);
	p->after = NULL;
}

static void on_page(void *arg, struct rowset *rows, const struct err *e)
{
	struct sync_plan *p = arg;
	struct side *side = side_listed(p);
	const struct row *last;

	p->open--;
	if (e != NULL) {
		plan_fail(p, e, "listing its rows");
	} else if (p->ended || rows->n == 0) {
		p->listed_all = true;
		rowset_free(&rows);
	} else {
		job_more(&p->job, (int64_t)rows->n, clock_mono_us());
		p->listed_all = rows->n < batch_rows(p->flow) && !rows->cut;
		last = &rows->rows[rows->n - 1];
		free(p->after);
		p->after = xstrndup(last->id.data, (size_t)last->id.len);
		p->open++;
		p->stepping = true;		/* the round may be over at once, and must not end the plan under us */
		round_of_plan_page(p, side, rows, p->asked_us);
		p->stepping = false;
	}
	plan_go_on(p);
}

static void on_estimated(void *arg, int64_t rows, const struct err *e)
{
	struct sync_plan *p = arg;

	p->open--;
	job_expect(&p->job, e == NULL ? rows : -1);
	plan_go_on(p);
}

static void list_step(struct sync_plan *p)
{
	struct side *side;

	while (p->endpoint < p->sync->topology->n_endpoints && (p->listed_all || !plan_has_listed(p, p->endpoint)))
		next_side(p);
	if (p->endpoint == p->sync->topology->n_endpoints) {
		p->phase = PLAN_SCAN;
		p->scan_at = 0;
		job_phase(&p->job, "scan", NULL, "records", p->sync->store->records[p->flow->index], clock_mono_us());
		return;
	}
	side = side_listed(p);
	p->open++;
	if (!p->estimated) {
		p->estimated = true;
		job_phase(&p->job, "list", side->mapping->endpoint->name, "rows", -1, clock_mono_us());
		side->link->ops->estimate(side->link, on_estimated, p);
		return;
	}
	p->asked_us = clock_mono_us();
	side->link->ops->list(side->link, p->after, NULL, batch_rows(p->flow), on_page, p);
}

/* ---- SCAN -------------------------------------------------------------------------------------------- */

struct looking {			/* for rows that vectors of one page know at one side */
	struct sync_plan *plan;
	struct side *side;
	struct arena arena;
	struct rid *rids;
	struct value *ids;
	size_t n;
};

static void note_gone(void *arg, size_t i)
{
	const struct looking *l = arg;
	struct sync_plan *p = l->plan;

	if (held_is(l->side, &l->rids[i]))
		return;
	p->gone[l->side->endpoint] += p->pass == 1;
	candidate_add(p, &l->rids[i], CANDIDATE_GONE, l->side->endpoint, no_id);
}

static void on_looked(void *arg, struct rowset *rows, const struct err *e)
{
	struct looking *l = arg;
	struct sync_plan *p = l->plan;

	p->open--;
	if (e != NULL)
		plan_fail(p, e, "looking for rows that are gone");
	else if (!p->ended)
		scan_each_missing(rows, l->ids, l->n, &l->arena, note_gone, l);
	if (e == NULL)
		rowset_free(&rows);
	arena_fini(&l->arena);
	free(l);
	plan_go_on(p);
}

/* Whom the first pass counts, the others need not look for but within their own range. */
static bool is_looked_for(const struct sync_plan *p, const struct rid *rid)
{
	return p->pass == 1 || is_of_this_pass(p, rid);
}

static void look_at_side(struct sync_plan *p, size_t e, const struct rid *rids, struct vector *const *vectors, size_t n)
{
	struct looking *l = xcalloc(1, sizeof *l);

	l->plan = p;
	l->side = p->flow->sides[e];
	arena_init(&l->arena);
	l->rids = arena_alloc(&l->arena, (n + 1) * sizeof *l->rids);
	l->ids = arena_alloc(&l->arena, (n + 1) * sizeof *l->ids);
	for (size_t i = 0; i < n; i++) {
		const struct vseen *seen = vectors[i] != NULL ? &vectors[i]->seen[e] : NULL;

		if (seen == NULL || !seen->present || !is_looked_for(p, &rids[i]))
			continue;
		l->rids[l->n] = rids[i];
		l->ids[l->n++] = (struct value){ arena_dup(&l->arena, seen->id.data, (size_t)seen->id.len), seen->id.len };
	}
	if (l->n == 0) {
		arena_fini(&l->arena);
		free(l);
		return;
	}
	p->open++;
	l->side->link->ops->read(l->side->link, l->ids, l->n, on_looked, l);
}

/* What the second half of a sweep would look at again, and what is owed and not parked: that is in line, or waits for its endpoint. */
static void note_debts(struct sync_plan *p, const struct rid *rid, const struct vector *v)
{
	for (size_t e = 0; e < v->n_endpoints; e++) {
		if (!plan_has_listed(p, e))
			continue;
		if (v->dead && v->seen[e].uncertain && !v->seen[e].present)
			candidate_add(p, rid, CANDIDATE_GONE, e, no_id);
		if (v->seen[e].owed && !v->seen[e].parked)
			candidate_add(p, rid, CANDIDATE_OWED, e, no_id);
	}
}

static void look_at_page(struct sync_plan *p, const struct rid *rids, const struct value *blobs, size_t n)
{
	struct arena arena;
	struct vector **vectors;

	arena_init(&arena);
	vectors = arena_zalloc(&arena, (n + 1) * sizeof(struct vector *));
	for (size_t i = 0; i < n; i++)
		if (vector_decode(blobs[i].data, (size_t)blobs[i].len, &p->sync->store->layouts[p->flow->index], &arena, &vectors[i], NULL))
			note_debts(p, &rids[i], vectors[i]);
		else
			vectors[i] = NULL;
	for (size_t e = 0; e < p->sync->topology->n_endpoints; e++)
		if (plan_has_listed(p, e))
			look_at_side(p, e, rids, vectors, n);
	arena_fini(&arena);
}

static void begin_deciding(struct sync_plan *p)
{
	p->phase = PLAN_DECIDE;
	p->bucket = p->low;
	job_phase(&p->job, "decide", NULL, NULL, -1, clock_mono_us());		/* counted when the last rows were looked for */
}

static void on_scanned(void *arg, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next, const struct err *e)
{
	struct sync_plan *p = arg;

	p->open--;
	p->scan_at = next;
	job_more(&p->job, (int64_t)n, clock_mono_us());
	if (e != NULL)
		plan_fail(p, e, "going through its records");
	else if (!p->ended)
		look_at_page(p, rids, blobs, n);
	if (!p->ended && next == 0)
		begin_deciding(p);
	plan_go_on(p);
}

static void scan_step(struct sync_plan *p)
{
	p->open++;
	p->sync->store->ops->scan(p->sync->store, p->flow->index, p->scan_at, on_scanned, p);
}

/* ---- DECIDE ------------------------------------------------------------------------------------------ */

bool plan_admits_delete(struct sync_plan *p, struct side *source)
{
	if (p->room[source->endpoint] == 0)
		return false;
	p->room[source->endpoint]--;
	return true;
}

/* A sweep that misses more rows than it may holds all of them. */
static bool too_many_gone(const struct sync_plan *p, size_t e)
{
	return p->gone[e] > held_limit(p->flow);
}

/* A second row with the same key: the first one that is listed is the record's. */
static void note_duplicate(struct sync_plan *p, const struct candidate *k)
{
	struct side *side = p->flow->sides[k->endpoint];
	char *id = xstrndup(k->id.data, (size_t)k->id.len), *key = xasprintf("id %s at %s", id, side->mapping->endpoint->name);
	struct err e = { 0 };

	err_set(&e, ERR_ROW, "duplicate-key", "another row of this table has the same key; remove or change one of the two");
	note_parked(p, side, is_parked(side, true, NULL, k->id), key, id, NULL, &e);
	free(key);
	free(id);
}

static void add_to_record(struct sync_plan *p, struct planned_record *record, const struct candidate *k)
{
	switch (k->kind) {
	case CANDIDATE_ROW:
		record->gently = false;
		if (k->id.len > 0 && value_is_null(record->rows[k->endpoint]))
			record->rows[k->endpoint] = (struct value){ arena_dup(&p->arena, k->id.data, (size_t)k->id.len), k->id.len };
		else if (k->id.len > 0)
			note_duplicate(p, k);
		break;
	case CANDIDATE_GONE:
		record->gently = false;
		if (too_many_gone(p, k->endpoint))
			record->held_back |= BIT(k->endpoint);
		else
			record->evidence |= BIT(k->endpoint);
		break;
	case CANDIDATE_OWED:
		break;
	}
}

static struct planned_record *record_add(struct sync_plan *p, const struct rid *rid)
{
	struct planned_record *record = &p->records[p->n_records++];
	size_t n = p->sync->topology->n_endpoints;

	*record = (struct planned_record){ .rid = *rid, .gently = true, .rows = arena_alloc(&p->arena, n * sizeof *record->rows) };
	for (size_t e = 0; e < n; e++)
		record->rows[e] = VALUE_NULL;
	return record;
}

static void take_bucket(struct sync_plan *p, size_t b)
{
	struct arena arena;
	struct candidate *list;
	struct planned_record *records, *record = NULL;
	size_t n;

	if (p->buckets[b].len == 0)
		return;
	arena_init(&arena);
	list = bucket_read(&p->buckets[b], &arena, &n);
	records = arena_alloc(&p->arena, (p->n_records + n) * sizeof *records);
	if (p->n_records > 0)
		memcpy(records, p->records, p->n_records * sizeof *records);
	p->records = records;
	for (size_t i = 0; i < n; i++) {
		if (record == NULL || !rid_equal(&record->rid, &list[i].rid))
			record = record_add(p, &list[i].rid);
		add_to_record(p, record, &list[i]);
	}
	arena_fini(&arena);
	job_more(&p->job, (int64_t)p->buckets[b].len, clock_mono_us());
	bucket_drop(p, b);
}

static void gather(struct sync_plan *p)
{
	if (p->job.expected < 0)
		job_expect(&p->job, (int64_t)p->bytes);
	arena_reset(&p->arena);
	p->n_records = p->sent = 0;
	while (p->bucket < p->high && p->n_records < batch_rows(p->flow))
		take_bucket(p, p->bucket++);
}

static void begin_pass(struct sync_plan *p)
{
	p->pass++;
	p->phase = PLAN_LIST;
	p->endpoint = 0;
	p->estimated = p->listed_all = false;
}

/* What was put off. As much of it as this pass had: that much is known to have room. */
static void next_pass(struct sync_plan *p)
{
	size_t width = p->high - p->low;

	p->low = p->high;
	p->high = p->low + width < BUCKETS ? p->low + width : BUCKETS;
	begin_pass(p);
}

static void decide_step(struct sync_plan *p)
{
	size_t n;

	if (p->sent == p->n_records)
		gather(p);
	n = p->n_records - p->sent < batch_rows(p->flow) ? p->n_records - p->sent : batch_rows(p->flow);
	if (n == 0) {
		if (p->high < BUCKETS)
			next_pass(p);
		else
			plan_end(p, NULL);
		return;
	}
	p->resting = p->taker.is_full(p->taker.arg);
	if (p->resting)
		return;
	p->open++;
	p->sent += n;
	round_of_plan(p, p->flow, p->records + p->sent - n, n);
}

void plan_round_over(struct sync_plan *p, const struct err *why)
{
	p->open--;
	if (why != NULL)
		plan_fail(p, why, "deciding");
	plan_go_on(p);
}

/* ---- going on ---------------------------------------------------------------------------------------- */

static void (*const steps[])(struct sync_plan *) = {
	[PLAN_LIST] = list_step, [PLAN_SCAN] = scan_step, [PLAN_DECIDE] = decide_step,
};

/* NULL: fine. What was listed under another state, or of a side that has gone since, is no plan any more. */
static const char *why_not(const struct sync_plan *p, const struct sync *s)
{
	const char *why = sync_not_at_hand(s);

	if (why != NULL)
		return why;
	if (p != NULL && p->losses != s->losses)
		return "the state in Redis was lost meanwhile; ask again";
	for (size_t e = 0; p != NULL && e < s->topology->n_endpoints; e++)
		if (plan_has_listed(p, e) && !side_usable(p->flow->sides[e]))
			return "an endpoint went away meanwhile; ask again";
	return NULL;
}

static void plan_go_on(struct sync_plan *p)
{
	struct err e = { 0 };

	if (p->stepping || p->open > 0)
		return;
	p->stepping = true;
	while (p->open == 0 && !p->ended && !p->resting) {
		const char *why = why_not(p, p->sync);

		if (why != NULL) {
			err_set(&e, ERR_TRANSIENT, "plan-broken", "%s", why);
			plan_end(p, &e);
		} else {
			failpoint_phase("plan", (int)p->phase);
			steps[p->phase](p);
		}
	}
	p->stepping = false;
	if (p->ended && p->open == 0)
		plan_release(p);
}

/* ---- birth ------------------------------------------------------------------------------------------- */

static void choose_sides(struct sync_plan *p)
{
	for (size_t e = 0; e < p->sync->topology->n_endpoints; e++) {
		if (p->flow->sides[e] == NULL)
			continue;
		if (side_usable(p->flow->sides[e]))
			p->looked_at |= BIT(e);
		else
			p->left_out |= BIT(e);
		p->room[e] = held_room(p->flow->sides[e]);
	}
}

struct sync_plan *plan_new(struct flow *flow, const struct sync_plan_taker *taker, struct err *e)
{
	struct sync *s = flow->sync;
	struct sync_plan *p;

	if (s->plan != NULL)
		return err_set(e, ERR_TRANSIENT, "busy", "another plan is being made; try again"), NULL;
	if (why_not(NULL, s) != NULL)
		return err_set(e, ERR_TRANSIENT, "not-ready", "%s", why_not(NULL, s)), NULL;
	p = xcalloc(1, sizeof *p);
	p->sync = s;
	p->flow = flow;
	p->taker = *taker;
	p->losses = s->losses;
	p->high = BUCKETS;
	arena_init(&p->arena);
	choose_sides(p);
	s->plan = p;
	return p;
}

struct sync_plan *sync_plan(struct sync *s, const char *entity, const struct sync_plan_taker *taker, struct err *e)
{
	struct sync_plan *p;
	struct flow *flow = flow_named(s, entity);

	if (flow == NULL)
		return err_set(e, ERR_CONFIG, "unknown-name", "there is no entity '%s'", entity), NULL;
	p = plan_new(flow, taker, e);
	if (p != NULL && p->looked_at == 0) {
		plan_release(p);
		return err_set(e, ERR_TRANSIENT, "not-ready", "none of its endpoints can be used now"), NULL;
	}
	if (p == NULL)
		return NULL;
	job_begin(&s->jobs, &p->job, "plan", flow->def->name, JOB_OPERATOR, clock_mono_us());
	begin_pass(p);
	plan_go_on(p);
	return p;
}

/* ---- of some records only ---------------------------------------------------------------------------- */

void plan_add_row(struct sync_plan *p, const struct rid *rid, size_t endpoint, struct value id)
{
	p->of_some = true;
	candidate_add(p, rid, CANDIDATE_ROW, endpoint, value_is_null(id) ? no_id : id);
}

void plan_add_gone(struct sync_plan *p, const struct rid *rid, size_t endpoint)
{
	p->of_some = true;
	p->gone[endpoint]++;
	candidate_add(p, rid, CANDIDATE_GONE, endpoint, no_id);
}

void plan_put_back(struct sync_plan *p, struct undo_target **targets, struct arena *keeps)
{
	p->undos = targets;
	p->keeps = keeps;
}

struct undo_target **plan_undos(struct sync_plan *p)
{
	return p->undos;
}

const char *plan_keep(struct sync_plan *p, const char *text)
{
	return arena_dup(p->keeps, text, strlen(text));
}

void plan_begin(struct sync_plan *p)
{
	p->pass = 1;
	begin_deciding(p);
	plan_go_on(p);
}

void sync_plan_view(const struct sync_plan *p, struct sync_plan_view *v)
{
	*v = (struct sync_plan_view){ .job = &p->job, .pass = p->pass, .left_out = p->left_out };
}
