/*
 * park.c - records that stand aside: parked with a cause (durable, in the journal), and orphans that wait
 * for their parent's row (in memory; the vector's `owed` mark is what survives a restart).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/state.h"
#include "sync/undo.h"

enum { ORPHANS_MAX = 200000 };

void rid_print(const struct rid *rid, char out[2 * RID_BYTES + 1])
{
	for (size_t i = 0; i < RID_BYTES; i++)
		snprintf(out + 2 * i, 3, "%02x", rid->b[i]);
}

/* Identity of a parked thing. Captures are known by the local id, writes by the record. Not secret: any fixed key will do. */
static uint64_t mark_of(const char *entity, const char *endpoint, bool capture, const char *rid, const char *local_id)
{
	static const struct digest_key fixed = { { 1 } };
	struct buf b = { 0 };
	uint64_t id;

	buf_addf(&b, "%s/%s/%d/%s", entity, endpoint, capture, capture ? local_id : rid);
	id = digest64(&fixed, b.p, b.len);
	buf_fini(&b);
	return id;
}

static struct parked_mark *mark_find(struct sync *s, uint64_t id)
{
	struct parked_mark *m;

	HASH_FIND(hh, s->parked, &id, sizeof id, m);
	return m;
}

/* Another row has its key, or a value that must be unique (SQLSTATE). */
bool park_says_taken(const char *code)
{
	return strcmp(code, "key-taken") == 0 || strcmp(code, "23505") == 0 || strcmp(code, "23P01") == 0;
}

static bool says_orphan(const char *code)
{
	return strcmp(code, "waits-for-parent") == 0 || strcmp(code, FOREIGN_KEY) == 0;
}

/* What a write waits for; "": it is none, or waits no more. */
static void mark_cause(struct side *side, struct parked_mark *m, const char *code)
{
	bool taken = park_says_taken(code), orphan = says_orphan(code);

	side->taken += taken - m->taken;
	side->orphans += orphan - m->orphan;
	m->taken = taken;
	m->orphan = orphan;
}

static void count_mark(struct side *side, const struct parked_mark *m, int64_t by)
{
	side->parked += m->discarded ? 0 : by;
	side->parked_rows += m->discarded || !m->capture ? 0 : by;
	side->discarded += m->discarded ? by : 0;
}

static void mark_add(struct side *side, uint64_t id, bool capture, bool discarded)
{
	struct parked_mark *m = xcalloc(1, sizeof *m);

	m->id = id;
	m->discarded = discarded;
	m->capture = capture;
	m->stamp = STAMP_NONE;
	HASH_ADD(hh, side->flow->sync->parked, id, sizeof m->id, m);
	count_mark(side, m, 1);
	if (capture) {
		side->flow->books.captured++;
		side->flow->books.parked_rows++;
	}
}

static void mark_discarded(struct side *side, struct parked_mark *m, bool discarded)
{
	count_mark(side, m, -1);
	m->discarded = discarded;
	count_mark(side, m, 1);
}

static void mark_remove(struct side *side, struct parked_mark *m)
{
	HASH_DEL(side->flow->sync->parked, m);
	count_mark(side, m, -1);
	mark_cause(side, m, "");
	if (m->capture) {		/* what is found in its place is a change of its own */
		side->flow->books.parked_rows--;
		books_outcome(&side->flow->books, BOOKS_MERGED);
	}
	free(m);
}

static bool any_marks(const struct side *side)
{
	return side->parked + side->discarded > 0;
}

struct flow *flow_named(struct sync *s, const char *entity)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (strcmp(s->flows[i].def->name, entity) == 0)
			return &s->flows[i];
	return NULL;
}

struct side *side_named(struct sync *s, const char *entity, const char *endpoint)
{
	struct flow *flow = flow_named(s, entity);

	for (size_t e = 0; flow != NULL && e < s->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL && strcmp(s->topology->endpoints[e].name, endpoint) == 0)
			return flow->sides[e];
	return NULL;
}

bool rid_parse(const char *text, struct rid *rid)
{
	if (strlen(text) != 2 * RID_BYTES)
		return false;
	for (size_t i = 0; i < RID_BYTES; i++) {
		unsigned byte;

		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		rid->b[i] = (unsigned char)byte;
	}
	return true;
}

struct loading {
	struct sync *sync;
	int64_t gone;			/* lines of tables that are not in the topology any more */
};

static bool load_one(void *arg, const struct journal_parked *p)
{
	struct loading *l = arg;
	struct sync *s = l->sync;
	struct err e = { 0 };
	struct side *side = side_named(s, p->entity, p->endpoint);
	uint64_t id = mark_of(p->entity, p->endpoint, p->capture, p->rid, p->local_id);

	/* Should that table come back it is listed anew, and what stands aside then gets a line of then (scan.c). */
	if (side == NULL && !fault("f12-who-has-left-is-still-waited-for")) {
		l->gone++;
		if (!journal_unpark(s->journal, p, &e))
			log_error("parked record not taken out of the journal", LOG_S("entity", p->entity), LOG_ERR(&e));
	}
	if (side == NULL || mark_find(s, id) != NULL)
		return true;
	mark_add(side, id, p->capture, p->discarded);
	if (p->stamp_us != 0)
		mark_find(s, id)->stamp = p->stamp_us;
	mark_cause(side, mark_find(s, id), p->capture ? "" : p->code);
	/* Who waited for whom was only in memory: they are tried again, and wait again if need be. */
	if (says_orphan(p->code))
		retry_wanted(side, RETRY_ORPHANS);
	return true;
}

void park_free(struct sync *s)
{
	struct parked_mark *m, *tmp;

	HASH_ITER(hh, s->parked, m, tmp) {
		HASH_DEL(s->parked, m);
		free(m);
	}
}

static void forget(struct sync *s)
{
	park_free(s);
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		struct flow *flow = &s->flows[i];

		books_carry(&flow->books, -flow->books.parked_rows);
		flow->books.parked_rows = 0;
		for (size_t e = 0; e < s->topology->n_endpoints; e++) {
			struct side *side = flow->sides[e];

			if (side != NULL)
				side->parked = side->parked_rows = side->discarded = side->taken = side->orphans = 0;
		}
	}
}

bool park_load(struct sync *s, struct err *e)
{
	struct loading l = { .sync = s };
	bool read;

	forget(s);
	journal_begin(s->journal);
	read = journal_parked_each(s->journal, NULL, NULL, 0, SIZE_MAX, load_one, &l, e);
	if (!journal_commit(s->journal, read ? e : NULL) || !read)
		return false;
	if (l.gone > 0)
		log_info("parked records are let go: their tables are not in the topology any more", LOG_I("records", l.gone));
	return true;
}

struct parked_text {
	char rid[2 * RID_BYTES + 1];
	char *local_id;
	struct journal_parked p;
	uint64_t mark;
};

static void describe(struct parked_text *t, const struct side *side, bool capture, const struct rid *rid, struct value local_id)
{
	memset(t, 0, sizeof *t);
	if (rid != NULL)
		rid_print(rid, t->rid);
	t->local_id = value_is_null(local_id) ? xstrdup("") : xstrndup(local_id.data, (size_t)local_id.len);
	t->p.entity = side->flow->def->name;
	t->p.endpoint = side->mapping->endpoint->name;
	t->p.capture = capture;
	t->p.rid = capture ? "" : t->rid;
	t->p.local_id = t->local_id;
	t->p.key = t->p.field = "";
	t->mark = mark_of(t->p.entity, t->p.endpoint, capture, t->p.rid, t->p.local_id);
}

static struct parked_mark *mark_at(const struct side *side, bool capture, const struct rid *rid, struct value local_id)
{
	struct parked_text t;
	struct parked_mark *m;

	if (!any_marks(side))
		return NULL;
	describe(&t, side, capture, rid, local_id);
	m = mark_find(side->flow->sync, t.mark);
	free(t.local_id);
	return m;
}

bool is_parked(const struct side *side, bool capture, const struct rid *rid, struct value local_id)
{
	return mark_at(side, capture, rid, local_id) != NULL;
}

int64_t parked_stamp(const struct side *side, struct value local_id)
{
	const struct parked_mark *m = mark_at(side, true, NULL, local_id);

	return m != NULL ? m->stamp : STAMP_NONE;
}

bool stays_parked(const struct side *side, const struct rid *rid)
{
	const struct parked_mark *m = mark_at(side, false, rid, VALUE_NULL);

	return m != NULL && !m->once_more;
}

bool park_record(struct side *side, bool capture, const struct rid *rid, struct value key, struct value local_id,
		 const char *field, int64_t stamp, const struct err *cause)
{
	struct sync *s = side->flow->sync;
	struct parked_text t;
	struct buf printed = { 0 };
	struct err e = { 0 };
	struct parked_mark *m;
	bool ok, fresh;

	describe(&t, side, capture, rid, local_id);
	if (!value_is_null(key))
		record_key_print(&printed, key, side->flow->def->n_key);
	t.p.key = printed.p != NULL ? printed.p : "";
	t.p.field = field != NULL ? field : "";
	t.p.code = cause->code;
	t.p.cause = cause->text;
	t.p.since_us = t.p.last_us = clock_wall_us();
	t.p.stamp_us = stamp != STAMP_NONE ? stamp : 0;
	m = mark_find(s, t.mark);
	ok = journal_park(s->journal, &t.p, &e);
	if (!ok)
		log_error("cannot park a record", LOG_S("entity", t.p.entity), LOG_ERR(&e));
	fresh = ok && (m == NULL || (m->discarded && !journal_is_discarded(s->journal, &t.p)));
	if (fresh && m == NULL)
		mark_add(side, t.mark, capture, false);
	else if (fresh)
		mark_discarded(side, m, false);
	m = mark_find(s, t.mark);
	if (m != NULL) {
		mark_cause(side, m, capture ? "" : cause->code);
		m->once_more = false;
		if (stamp != STAMP_NONE)
			m->stamp = stamp;
	}
	if (fresh) {
		log_warn("record parked", LOG_S("entity", t.p.entity), LOG_S("endpoint", t.p.endpoint),
			 LOG_S("direction", capture ? "capture" : "apply"), LOG_S("field", t.p.field),
			 LOG_S("code", cause->code), LOG_S("cause", cause->text));
	}
	buf_fini(&printed);
	free(t.local_id);
	return ok;
}

bool unpark_record(struct side *side, bool capture, const struct rid *rid, struct value local_id)
{
	struct sync *s = side->flow->sync;
	struct parked_text t;
	struct parked_mark *m;
	struct err e = { 0 };
	bool there;

	if (!any_marks(side))
		return false;
	describe(&t, side, capture, rid, local_id);
	m = mark_find(s, t.mark);
	there = m != NULL;
	if (there) {
		if (!journal_unpark(s->journal, &t.p, &e))
			log_error("parked record not taken out of the journal", LOG_S("entity", t.p.entity), LOG_ERR(&e));
		mark_remove(side, m);
		side->flow->let_go |= capture;
		if (capture && side->taken > 0 && !fault("f16-a-row-that-was-parked-was-in-nobodys-way"))
			retry_wanted(side, RETRY_KEYS);
		log_info("parked record settled", LOG_S("entity", t.p.entity), LOG_S("endpoint", t.p.endpoint));
	}
	free(t.local_id);
	return there;
}

void park_once_more(struct side *side, const struct rid *rid)
{
	struct parked_mark *m = mark_at(side, false, rid, VALUE_NULL);

	if (m != NULL)
		m->once_more = true;
}

/* ---- discarding --------------------------------------------------------------------------------------- */

struct discard {
	struct sync *sync;
	int64_t id;
};

static bool discard_one(void *arg, const struct journal_parked *p)
{
	struct discard *d = arg;
	struct side *side;
	struct parked_mark *m;

	if (p->id != d->id)
		return true;
	side = side_named(d->sync, p->entity, p->endpoint);
	m = mark_find(d->sync, mark_of(p->entity, p->endpoint, p->capture, p->rid, p->local_id));
	if (m != NULL && side != NULL)
		mark_discarded(side, m, true);
	return false;
}

bool sync_parked_discard(struct sync *s, int64_t id, struct err *e)
{
	struct discard d = { s, id };

	if (!journal_discard(s->journal, id, e) ||
	    !journal_parked_each(s->journal, NULL, NULL, id - 1, 1, discard_one, &d, e))
		return false;
	log_info("parked record discarded", LOG_I("number", id));
	return true;
}

/* ---- deletes that other rows are in the way of --------------------------------------------------------- */

void blocked_release(struct flow *child)
{
	for (size_t f = 0; f < child->def->n_fields; f++) {
		const struct entity_def *parent = child->def->fields[f].refers;

		for (size_t e = 0; parent != NULL && e < child->sync->topology->n_endpoints; e++)
			if (child->sync->flows[parent->index].sides[e] != NULL)
				retry_wanted(child->sync->flows[parent->index].sides[e], RETRY_BLOCKED);
		if (parent != NULL)
			undos_release(&child->sync->flows[parent->index]);
	}
}

/* ---- orphans ----------------------------------------------------------------------------------------- */

void orphan_wait(struct flow *parent, const struct rid *parent_rid, struct flow *child, const struct rid *child_rid)
{
	struct orphan *head, *o;

	/* Beyond the bound they are found again by the next settling scan. */
	if (HASH_COUNT(parent->orphans) >= ORPHANS_MAX)
		return;
	HASH_FIND(hh, parent->orphans, parent_rid, sizeof *parent_rid, head);
	for (o = head; o != NULL; o = o->next)
		if (rid_equal(&o->child, child_rid) && o->child_flow == child)
			return;
	o = xcalloc(1, sizeof *o);
	o->parent = *parent_rid;
	o->child = *child_rid;
	o->child_flow = child;
	if (head != NULL) {
		o->next = head->next;
		head->next = o;
	} else {
		HASH_ADD(hh, parent->orphans, parent, sizeof o->parent, o);
	}
}

enum { CIRCLE_STEPS = 1000 };

static bool leads_to(struct flow *parent, const struct rid *parent_rid, const struct flow *child, const struct rid *child_rid, int *steps)
{
	struct orphan *o;

	if (parent == child && rid_equal(parent_rid, child_rid))
		return true;
	HASH_FIND(hh, parent->orphans, parent_rid, sizeof *parent_rid, o);
	for (; o != NULL && (*steps)-- > 0; o = o->next)
		if (leads_to(o->child_flow, &o->child, child, child_rid, steps))
			return true;
	return false;
}

bool orphans_wait_for(struct flow *parent, const struct rid *parent_rid, const struct flow *child, const struct rid *child_rid)
{
	int steps = CIRCLE_STEPS;

	return leads_to(parent, parent_rid, child, child_rid, &steps);
}

static void free_chain(struct orphan *o)
{
	while (o != NULL) {
		struct orphan *next = o->next;

		free(o);
		o = next;
	}
}

void orphans_release(struct flow *parent, const struct rid *parent_rid)
{
	struct orphan *head;

	parent->arrivals++;
	if (parent->orphans == NULL)
		return;
	HASH_FIND(hh, parent->orphans, parent_rid, sizeof *parent_rid, head);
	if (head == NULL)
		return;
	HASH_DEL(parent->orphans, head);
	for (struct orphan *o = head; o != NULL; o = o->next)
		flow_look_again(o->child_flow, &o->child, 0);
	free_chain(head);
}

void orphans_free(struct flow *flow)
{
	struct orphan *o, *tmp;

	HASH_ITER(hh, flow->orphans, o, tmp) {
		HASH_DEL(flow->orphans, o);
		free_chain(o);
	}
}
