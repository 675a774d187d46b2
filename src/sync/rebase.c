/*
 * rebase.c - a database was put back to an older state, or replaced: what we knew of its rows is void (doc/epoch.md).
 *
 *   WAIT for the rounds in flight  ->  every vector, page by page: forget what that endpoint showed  ->  marks  ->  recover.c
 *
 * Then its tables are listed as at first contact, with one difference: its rows are of the past (side_is_past()). A row of
 * which others know a newer state is overwritten, and the journal keeps what it had; one whose record was deleted
 * meanwhile is deleted (round_recall.c asks who is buried); what nobody knows is copied. Nothing is deleted elsewhere.
 *
 * A row that was written since is both: fields that were agreed on before the time to which the database went back, and differ, have been
 * edited there since, and that edit counts; what was agreed on later is what the row lacks (fields_past()).
 *
 * The same, more gently, where not the database but our state was put back from a backup: what a vector says of a row that is still there
 * is what it showed once, and what has changed there since is an edit, whoever made it; what it says of a row that is not there is forgotten,
 * so that nothing is taken for deleted (restore.h), but where the change log tells that it was.
 *
 * So it is, too, for the tables of an endpoint that were not in the topology for a while: nobody has listened to them meanwhile. Vectors have
 * carried along what they showed when they left; by now such a row may be another record's, and has yet to get what was agreed since.
 *
 * Until the mark is written, the last step, a restart finds the same and begins again: every step may be repeated.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"
#include "sync/restore.h"

struct rebase {
	struct sync *sync;
	size_t endpoint;
	enum rebase_how how;
	struct greeting greeting;
	struct shake then;		/* what is known of it once the marks are written, and not before: till then it is to be found put back again */
	uint64_t losses;
	size_t entity;
	bool begun;
	uint64_t next;			/* page of the scan behind the one that is being written */
	int64_t forgotten;
};

static void next_page(struct rebase *rb, uint64_t from);

/* The store went away: greeting it again finds the same. */
static void give_up(struct rebase *rb)
{
	struct sync *s = rb->sync;

	s->rebase = NULL;
	epoch_forget(s, rb->endpoint);
	free(rb);
}

static bool is_over(const struct rebase *rb, const struct err *e)
{
	return e != NULL || rb->sync->closing || rb->losses != rb->sync->losses;
}

static bool is_concerned(const struct rebase *rb, size_t entity)
{
	const struct side *side = rb->sync->flows[entity].sides[rb->endpoint];

	return side != NULL && (rb->how != REBASE_JOINED || side->joined);
}

/* ---- the marks: last --------------------------------------------------------------------------------- */

static void take_over(struct sync *s, size_t e, const struct shake *then)
{
	struct shake *k = &s->shakes[e];

	k->intent = then->intent;
	k->acked = then->acked;
	k->past_us = then->past_us;
	k->back_us = then->back_us;
	k->restored_us = then->restored_us;
}

static void on_marks_written(void *arg, const struct err *e)
{
	struct rebase *rb = arg;
	struct sync *s = rb->sync;
	struct greeting g = rb->greeting;
	size_t endpoint = rb->endpoint;
	void (*list_anew)(struct side *) = rb->how == REBASE_FORGET ? side_forget : side_list_anew;

	failpoint("rebase", "marks", "answered");
	if (is_over(rb, e)) {
		give_up(rb);
		return;
	}
	log_info(rb->how == REBASE_FORGET ? "what was known of its rows is forgotten; its tables are listed again" :
		 "rows that were known once and that are gone are forgotten; its tables are listed again",
		 LOG_S("endpoint", s->topology->endpoints[endpoint].name), LOG_I("records", rb->forgotten));
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (is_concerned(rb, i)) {
			list_anew(s->flows[i].sides[endpoint]);
			own_free(s->flows[i].sides[endpoint]);	/* another row may be one of before, and no edit on top of it */
			s->flows[i].sides[endpoint]->joined = false;
		}
	take_over(s, endpoint, &rb->then);
	s->rebase = NULL;
	free(rb);
	s->recovered = false;
	epoch_accept(s, endpoint, &g);
	flow_recover(s);
}

static void write_marks(struct rebase *rb)
{
	struct sync *s = rb->sync;
	struct shake *k = &rb->then;
	struct store_position *p = xcalloc(SIDE_MARKS * s->topology->n_entities + 2, sizeof *p);
	char (*names)[200] = xcalloc(SIDE_MARKS * s->topology->n_entities, sizeof *names);
	char name[EPOCH_TEXT], text[EPOCH_TEXT], restored[RESTORE_MARK];
	struct store_write w = { .positions = p };

	for (size_t i = 0; i < s->topology->n_entities; i++)
		for (size_t kind = 0; is_concerned(rb, i) && kind < SIDE_MARKS; kind++) {
			side_name_mark(s->flows[i].sides[rb->endpoint], side_marks[kind], names[w.n_positions]);
			p[w.n_positions] = (struct store_position){ names[w.n_positions], NULL };
			w.n_positions++;
		}
	*k = s->shakes[rb->endpoint];
	if (rb->how == REBASE_FORGET && k->past_us < k->heard_us)
		k->past_us = k->heard_us;
	k->restored_us = 0;
	if (rb->greeting.epoch > k->intent)
		k->intent = rb->greeting.epoch;
	k->acked = rb->greeting.epoch;
	k->back_us = rb->greeting.there ? rb->greeting.epoch : 0;
	memcpy(k->system, rb->greeting.system, sizeof k->system);
	k->timeline = rb->greeting.timeline;
	epoch_name_mark(s, rb->endpoint, name);
	epoch_mark_text(k, text);
	p[w.n_positions++] = (struct store_position){ name, text };
	restore_name_mark(s->topology->endpoints[rb->endpoint].name, restored);
	p[w.n_positions++] = (struct store_position){ restored, NULL };
	failpoint("rebase", "marks", "before");
	s->store->ops->write(s->store, 0, &w, on_marks_written, rb);
	failpoint("rebase", "marks", "sent");
	free(names);
	free(p);
}

/* ---- the vectors, page by page ----------------------------------------------------------------------- */

struct page {
	struct store_put *puts;
	struct store_map_put *maps;
	size_t n_puts, n_maps;
	int64_t added;
	struct buf bytes;
	struct arena arena;
};

static bool lives_elsewhere(const struct vector *v, size_t e)
{
	for (size_t o = 0; o < v->n_endpoints; o++)
		if (o != e && (v->seen[o].present || v->seen[o].uncertain))
			return true;
	return false;
}

static void put_vector(const struct rebase *rb, struct page *p, const struct rid *rid, const struct vector *v)
{
	struct store_put *put = &p->puts[p->n_puts++];

	*put = (struct store_put){ .rid = *rid, .blob = { (const char *)(uintptr_t)p->bytes.len, 0 } };
	vector_encode(v, &rb->sync->store->layouts[rb->entity], &p->bytes);
	put->blob.len = (int32_t)(p->bytes.len - (uintptr_t)put->blob.data);
}

static void forget_in(struct rebase *rb, struct page *p, const struct rid *rid, struct value blob)
{
	struct sync *s = rb->sync;
	size_t e = rb->endpoint;
	struct side *side = s->flows[rb->entity].sides[e];
	const struct vector_layout *layout = &s->store->layouts[rb->entity];
	struct vector *v;

	if (!vector_decode(blob.data, (size_t)blob.len, layout, &p->arena, &v, NULL) || !v->seen[e].known)
		return;
	if (v->seen[e].present)
		p->maps[p->n_maps++] = (struct store_map_put){ (uint8_t)e, v->seen[e].id, *rid, true };
	v->seen[e] = (struct vseen){ .owed = !v->dead && side->mapping->role != ROLE_SOURCE };
	rb->forgotten++;
	/* Nobody else can say what it was: if its row is there, it is news. But one whose delete was still owed there has been deleted. */
	if (!lives_elsewhere(v, e)) {
		p->puts[p->n_puts++] = (struct store_put){ .rid = *rid, .blob = VALUE_NULL, .unburied = !v->dead };
		p->added--;
		return;
	}
	put_vector(rb, p, rid, v);
}

static void on_page_written(void *arg, const struct err *e)
{
	struct rebase *rb = arg;

	failpoint("rebase", "page", "answered");
	if (is_over(rb, e))
		give_up(rb);
	else
		next_page(rb, rb->next);
}

static void page_init(struct page *p, size_t n)
{
	*p = (struct page){ .puts = xcalloc(n + 1, sizeof *p->puts), .maps = xcalloc(n + 1, sizeof *p->maps) };
	arena_init(&p->arena);
}

static void page_fini(struct page *p)
{
	arena_fini(&p->arena);
	buf_fini(&p->bytes);
	free(p->puts);
	free(p->maps);
}

/* And goes on behind it. */
static void page_write(struct rebase *rb, struct page *p)
{
	struct store_write w = { .puts = p->puts, .n_puts = p->n_puts, .maps = p->maps, .n_maps = p->n_maps, .records_added = p->added };
	bool empty = p->n_puts + p->n_maps == 0;
	size_t entity = rb->entity;

	for (size_t i = 0; i < p->n_puts; i++)
		if (!value_is_null(p->puts[i].blob))
			p->puts[i].blob.data = p->bytes.p + (uintptr_t)p->puts[i].blob.data;
	if (rb->next == 0)
		rb->entity++;
	failpoint("rebase", "page", "before");
	if (!empty)
		rb->sync->store->ops->write(rb->sync->store, entity, &w, on_page_written, rb);
	failpoint("rebase", "page", "sent");
	page_fini(p);
	if (empty)
		next_page(rb, rb->next);
}

/* ---- REBASE_COMPARE, REBASE_JOINED: are they still there? -------------------------------------------- */

struct compared {			/* a page of vectors that know a row at the endpoint; then those of them whose row is gone */
	struct rebase *rb;
	struct page page;
	struct rid *rids;
	struct value *blobs, *ids;
	struct vector **vectors;
	bool *missing;
	size_t n, n_gone;
};

static struct side *side_of(const struct compared *c)
{
	return c->rb->sync->flows[c->rb->entity].sides[c->rb->endpoint];
}

static void on_row_missing(void *arg, size_t i)
{
	struct compared *c = arg;

	c->missing[i] = true;
}

static void on_row_untold(void *arg, size_t i)
{
	struct compared *c = arg;

	forget_in(c->rb, &c->page, &c->rids[i], c->blobs[i]);
}

/* A record that was renamed meanwhile stands elsewhere than the map of its local ids says. And what deviates by now is looked at. */
static void welcome_row(struct compared *c, size_t i)
{
	struct page *p = &c->page;
	size_t e = c->rb->endpoint;
	struct vseen *seen = &c->vectors[i]->seen[e];

	if (c->rb->how != REBASE_JOINED || fault("f12-who-comes-back-gets-nothing-new"))
		return;
	p->maps[p->n_maps++] = (struct store_map_put){ (uint8_t)e, c->ids[i], c->rids[i], false };
	if (seen->same || seen->owed)
		return;
	seen->owed = true;
	put_vector(c->rb, p, &c->rids[i], c->vectors[i]);
}

/* Whether a delete that is held is carried out or taken back is a person's to say. */
static void sort_rows(struct compared *c)
{
	for (size_t i = 0; i < c->n; i++) {
		if (!c->missing[i]) {
			welcome_row(c, i);
		} else if (!held_is(side_of(c), &c->rids[i])) {
			c->rids[c->n_gone] = c->rids[i];
			c->blobs[c->n_gone] = c->blobs[i];
			c->ids[c->n_gone++] = c->ids[i];
		}
	}
}

static void compared_over(struct compared *c, const struct err *e)
{
	struct rebase *rb = c->rb;
	struct page p = c->page;

	free(c);
	if (is_over(rb, e)) {
		page_fini(&p);
		give_up(rb);
	} else {
		page_write(rb, &p);
	}
}

static void forget_gone(struct compared *c)
{
	for (size_t i = 0; i < c->n_gone; i++)
		on_row_untold(c, i);
	compared_over(c, NULL);
}

/* What the log tells was deleted is no want of a row: the vector stays, and the log is drained when all tables were listed. */
static void on_log_asked(void *arg, const struct stamps *list, size_t n, const struct err *e)
{
	struct compared *c = arg;
	struct value *deleted = arena_alloc(&c->page.arena, (n + 1) * sizeof *deleted);
	size_t n_deleted = 0;

	for (size_t i = 0; i < n; i++)
		if (list[i].deleted && !fault("f22-a-delete-that-only-the-log-tells-is-forgotten"))
			deleted[n_deleted++] = list[i].id;
	if (!is_over(c->rb, e))
		ids_each_missing(deleted, n_deleted, c->ids, c->n_gone, &c->page.arena, on_row_untold, c);
	compared_over(c, e);
}

static void on_rows_read(void *arg, struct rowset *rows, const struct err *e)
{
	struct compared *c = arg;
	struct link *link = side_of(c)->link;

	if (is_over(c->rb, e)) {
		rowset_free(&rows);
		compared_over(c, e);
		return;
	}
	scan_each_missing(rows, c->ids, c->n, &c->page.arena, on_row_missing, c);
	rowset_free(&rows);
	sort_rows(c);
	if (c->n_gone > 0 && c->rb->how == REBASE_COMPARE)
		link->ops->stamps(link, c->ids, c->n_gone, on_log_asked, c);
	else
		forget_gone(c);
}

static void add_compared(struct compared *c, const struct rid *rid, struct value blob)
{
	const struct rebase *rb = c->rb;
	const char *copy = arena_dup(&c->page.arena, blob.data, (size_t)blob.len);
	struct vector *v;

	if (!vector_decode(copy, (size_t)blob.len, &rb->sync->store->layouts[rb->entity], &c->page.arena, &v, NULL) ||
	    !v->seen[rb->endpoint].present)
		return;
	c->rids[c->n] = *rid;
	c->blobs[c->n] = (struct value){ copy, blob.len };
	c->vectors[c->n] = v;
	c->ids[c->n++] = v->seen[rb->endpoint].id;
}

/* A table that does not fit its mapping cannot be asked: what was known of it is believed no more. */
static void compare_page(struct rebase *rb, const struct rid *rids, const struct value *blobs, size_t n)
{
	struct compared *c = xcalloc(1, sizeof *c);
	struct link *link;

	c->rb = rb;
	link = side_of(c)->link;
	page_init(&c->page, n);
	c->rids = arena_alloc(&c->page.arena, (n + 1) * sizeof *c->rids);
	c->blobs = arena_alloc(&c->page.arena, (n + 1) * sizeof *c->blobs);
	c->ids = arena_alloc(&c->page.arena, (n + 1) * sizeof *c->ids);
	c->vectors = arena_alloc(&c->page.arena, (n + 1) * sizeof *c->vectors);
	c->missing = arena_zalloc(&c->page.arena, (n + 1) * sizeof *c->missing);
	for (size_t i = 0; i < n; i++)
		add_compared(c, &rids[i], blobs[i]);
	if (c->n > 0 && link->usable) {
		link->ops->read(link, c->ids, c->n, on_rows_read, c);
		return;
	}
	memset(c->missing, true, n);
	sort_rows(c);
	forget_gone(c);
}

/* ---- page by page ------------------------------------------------------------------------------------ */

static void on_page(void *arg, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next, const struct err *e)
{
	struct rebase *rb = arg;
	struct page p;

	if (is_over(rb, e)) {
		give_up(rb);
		return;
	}
	rb->next = next;
	if (rb->how != REBASE_FORGET) {
		compare_page(rb, rids, blobs, n);
		return;
	}
	page_init(&p, n);
	for (size_t i = 0; i < n; i++)
		forget_in(rb, &p, &rids[i], blobs[i]);
	page_write(rb, &p);
}

static void next_page(struct rebase *rb, uint64_t from)
{
	struct sync *s = rb->sync;

	while (from == 0 && rb->entity < s->topology->n_entities && !is_concerned(rb, rb->entity))
		rb->entity++;
	if (rb->entity == s->topology->n_entities)
		write_marks(rb);
	else
		s->store->ops->scan(s->store, rb->entity, from, on_page, rb);
}

/* ---- the beginning ----------------------------------------------------------------------------------- */

void rebase_begin(struct sync *s, size_t e, const struct greeting *g, enum rebase_how how)
{
	struct rebase *rb = xcalloc(1, sizeof *rb);

	*rb = (struct rebase){ .sync = s, .endpoint = e, .how = how, .greeting = *g, .losses = s->losses };
	s->rebase = rb;
	rebase_step(s);
}

static bool is_at_work(const struct sync *s)
{
	for (size_t i = 0; i < s->topology->n_entities; i++)
		if (s->flows[i].n_rounds > 0 || s->flows[i].scan.asking)
			return true;
	return false;
}

/* Vectors that a round has in work would be written back as they were. */
void rebase_step(struct sync *s)
{
	struct rebase *rb = s->rebase;

	if (rb == NULL || rb->begun)
		return;
	/* Intents that are still to be put back would tell of it what is to be forgotten. */
	if (!s->store->ready || !s->recovered || rb->losses != s->losses) {
		give_up(rb);
	} else if (!is_at_work(s)) {
		rb->begun = true;
		next_page(rb, 0);
	}
}

void rebase_free(struct sync *s)
{
	if (s->rebase != NULL && !s->rebase->begun)
		give_up(s->rebase);
}

bool side_is_past(const struct side *side)
{
	return side->flow->sync->shakes[side->endpoint].past_us != 0 && !side->surveyed;
}

bool row_is_past(const struct side *side, const struct observation *o)
{
	return side_is_past(side) && o->what == OBSERVED_ROW &&
		(o->stamp == STAMP_NONE || o->stamp <= side->flow->sync->shakes[side->endpoint].past_us);
}

/* An edit may be brought to a side long after it was made there, as after an outage: the state to which the side went back may lack it. */
enum { LATE_US = 60 * 1000 * 1000 };

uint64_t fields_past(const struct side *side, const struct vector *agreed, const struct observation *o)
{
	const struct entity_def *def = side->flow->def;
	int64_t back_us = side->flow->sync->shakes[side->endpoint].back_us - LATE_US;
	uint64_t edited = 0, later = 0;

	if (!side_is_past(side))
		return 0;
	for (size_t f = 0; !agreed->dead && !row_is_past(side, o) && f < def->n_fields; f++) {
		if (digest_field(o->digests[f]) != agreed->fields[f].digest)
			edited |= decide_unit(def, f);
		if (agreed->fields[f].key.eff >= back_us)
			later |= decide_unit(def, f);
	}
	return ~(edited & ~later);
}
