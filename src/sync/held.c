/*
 * held.c - the mass-delete guard: at most limits.mass_delete of an entity's records end at one source at once, the rest waits.
 *
 *   window    the deletes of one source within a minute, by the source's own clock, from the first of them. It may end
 *             max(20, limits.mass_delete of the records there were then) records.
 *   shut      one more, and the guard shuts: that delete and those behind it are held, until the source has deleted nothing
 *             for a minute, or the operator has decided about the set. Each time it shuts begins a set.
 *   held      a line in the journal, written before the log entry is acknowledged, so nothing else has to remember it. The
 *             vector goes on to say that the row is there: absence without evidence, which ends nothing, and which an edit
 *             made elsewhere still may beat. A sweep that misses more rows than a window may end holds all of them.
 *   released  its records are looked at again, with evidence: a row that is back by now is not deleted.
 *   discarded its records are looked at again, and their rows are owed to the source as if it had never had them.
 *
 * A line goes when its row is back, its record has ended, or its row is owed; a set goes with its last line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "sync/feed.h"
#include "sync/round.h"

enum { DELETES_ALWAYS = 20, WINDOW_US = 60 * 1000 * 1000 };

struct admitted {			/* a record that this window has let go */
	struct rid rid;
	UT_hash_handle hh;
};

/* ---- the window -------------------------------------------------------------------------------------- */

static void window_clear(struct guard *g)
{
	struct admitted *a, *tmp;

	HASH_ITER(hh, g->admitted, a, tmp) {
		HASH_DEL(g->admitted, a);
		free(a);
	}
	g->shut = false;
	g->set = 0;
}

/* 100 % is no guard. */
static bool is_guarded(const struct flow *flow)
{
	return flow->def->mass_delete < 1;
}

size_t held_limit(const struct flow *flow)
{
	double share = flow->def->mass_delete * (double)flow->sync->store->records[flow->index];

	return !is_guarded(flow) ? SIZE_MAX : share > DELETES_ALWAYS ? (size_t)share : DELETES_ALWAYS;
}

/*
 * Another journal was in use, and somebody may have been told of deletes that it held. They look like any that a sweep finds, and nobody has
 * released them.
 */
size_t held_limit_of_sweep(const struct side *side)
{
	bool may_be_held = is_guarded(side->flow) && side->unaccounted && !fault("f31-what-another-journal-held-was-released");

	return may_be_held ? 0 : held_limit(side->flow);
}

void held_begin_set(struct side *side, const char *why)
{
	side->guard.set = 0;
	log_error("deletes held; see crmsyncctl held list", LOG_S("entity", side->flow->def->name),
		  LOG_S("endpoint", side->mapping->endpoint->name), LOG_S("reason", why));
}

static void shut(struct side *side)
{
	side->guard.shut = true;
	held_begin_set(side, "more than limits.mass_delete allows at once");
}

/* May a delete of that moment end the record? The same record may be asked about again: rounds are repeated. */
static bool window_admits(struct side *side, const struct rid *rid, int64_t when_us)
{
	struct guard *g = &side->guard;
	struct admitted *a;

	if (when_us > (g->shut ? g->last_us : g->began_us) + WINDOW_US) {
		window_clear(g);
		g->began_us = g->last_us = when_us;
		g->limit = held_limit(side->flow);
	}
	HASH_FIND(hh, g->admitted, rid, sizeof *rid, a);
	if (a != NULL)
		return true;
	if (when_us > g->last_us)
		g->last_us = when_us;
	if (!g->shut && HASH_COUNT(g->admitted) >= g->limit)
		shut(side);
	if (g->shut)
		return false;
	a = xcalloc(1, sizeof *a);
	a->rid = *rid;
	HASH_ADD(hh, g->admitted, rid, sizeof a->rid, a);
	return true;
}

void held_free(struct side *side)
{
	window_clear(&side->guard);
}

/* How many more records the source may end now. */
size_t held_room(const struct side *side)
{
	const struct guard *g = &side->guard;
	size_t limit = held_limit(side->flow), ended = HASH_COUNT(g->admitted);

	if (clock_wall_us() > (g->shut ? g->last_us : g->began_us) + WINDOW_US)
		return limit;
	return g->shut || ended >= limit ? 0 : limit - ended;
}

/* ---- the lines --------------------------------------------------------------------------------------- */

static struct journal *journal_of(const struct side *side)
{
	return side->flow->sync->journal;
}

static enum journal_held_state state_of(const struct side *side, const struct rid *rid)
{
	char text[2 * RID_BYTES + 1];

	if (side == NULL || side->guard.held == 0)
		return HELD_NOT;
	rid_print(rid, text);
	return journal_held_state(journal_of(side), side->flow->def->name, side->mapping->endpoint->name, text);
}

bool held_is(const struct side *side, const struct rid *rid)
{
	return state_of(side, rid) != HELD_NOT;
}

bool held_add(struct side *side, const struct rid *rid, const char *key, int64_t when_us, bool *fresh, struct err *e)
{
	struct guard *g = &side->guard;
	char text[2 * RID_BYTES + 1];
	struct journal_held h = { .entity = side->flow->def->name, .endpoint = side->mapping->endpoint->name, .rid = text, .key = key,
				  .time_us = when_us };

	rid_print(rid, text);
	if (g->set == 0)
		g->set = g->newest_set = journal_held_set_new(journal_of(side), h.entity, h.endpoint, e);
	h.set = g->set;
	if (h.set == 0 || !journal_hold(journal_of(side), &h, fresh, e))
		return false;
	g->held += *fresh;
	side->flow->books.captured += *fresh;
	return true;
}

/* True: there was one. */
static bool end_line(struct side *side, const struct rid *rid)
{
	char text[2 * RID_BYTES + 1];
	struct err e = { 0 };
	int64_t n = 0;

	rid_print(rid, text);
	if (!journal_held_end(journal_of(side), side->flow->def->name, side->mapping->endpoint->name, text, &n, &e))
		log_error("held delete not taken out of the journal", LOG_S("entity", side->flow->def->name), LOG_ERR(&e));
	side->guard.held -= n;
	return n > 0;
}

/* The state was lost: nothing is deleted then, and the rows come back from where they are. */
void held_forget(struct side *side)
{
	struct err e = { 0 };
	int64_t n = 0;

	window_clear(&side->guard);
	if (side->guard.held > 0 &&
	    !journal_held_end(journal_of(side), side->flow->def->name, side->mapping->endpoint->name, NULL, &n, &e))
		log_error("held deletes not taken out of the journal", LOG_S("entity", side->flow->def->name), LOG_ERR(&e));
	books_carry(&side->flow->books, -side->guard.held);
	side->guard.held = 0;
}

/* ---- the sets, from the journal ---------------------------------------------------------------------- */

struct loading {
	struct sync *sync;
	int64_t gone;			/* held deletes of tables that are not in the topology any more */
};

/* Should that table come back, what is gone there by then says nothing (recover.c), and its rows are put back. */
static void let_go(struct loading *l, const struct journal_held_set *set)
{
	struct err e = { 0 };
	int64_t n = 0;

	if (fault("f12-who-has-left-still-holds-deletes"))
		return;
	if (!journal_held_end(l->sync->journal, set->entity, set->endpoint, NULL, &n, &e))
		log_error("held deletes not taken out of the journal", LOG_S("entity", set->entity), LOG_ERR(&e));
	l->gone += n;
}

static bool load_set(void *arg, const struct journal_held_set *set)
{
	struct loading *l = arg;
	struct side *side = side_named(l->sync, set->entity, set->endpoint);
	struct guard *g;

	if (side == NULL) {
		let_go(l, set);
		return true;
	}
	g = &side->guard;
	g->held += set->deletes;
	g->newest_set = set->number;
	if (set->state != HELD_WAITS) {
		side->flow->held_wanted = true;
	} else if (set->deletes > 0) {		/* what was going on when we stopped may still be */
		g->shut = true;
		g->set = set->number;
		g->last_us = set->last_us;
	}
	return true;
}

int64_t held_count(const struct flow *flow)
{
	int64_t n = 0;

	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL)
			n += flow->sides[e]->guard.held;
	return n;
}

bool held_load(struct sync *s, struct err *e)
{
	int64_t *before = xcalloc(s->topology->n_entities, sizeof *before);
	struct loading l = { .sync = s };
	bool ok;

	for (size_t i = 0; i < s->topology->n_entities; i++) {
		before[i] = held_count(&s->flows[i]);
		for (size_t k = 0; k < s->topology->n_endpoints; k++)
			if (s->flows[i].sides[k] != NULL) {
				s->flows[i].sides[k]->guard.held = 0;
				s->flows[i].sides[k]->guard.set = 0;
			}
	}
	ok = journal_held_sets_each(s->journal, load_set, &l, e);
	if (l.gone > 0)
		log_info("held deletes are let go: their tables are not in the topology any more", LOG_I("deletes", l.gone));
	for (size_t i = 0; i < s->topology->n_entities; i++)
		books_carry(&s->flows[i].books, held_count(&s->flows[i]) - before[i]);
	free(before);
	return ok;
}

void held_read_again(struct sync *s)
{
	struct err e = { 0 };

	if (!held_load(s, &e))
		log_error("held deletes not read", LOG_ERR(&e));
}

/* ---- in a round -------------------------------------------------------------------------------------- */

static uint64_t deleters(const struct round *r, const struct subject *s)
{
	uint64_t mask = 0;

	for (size_t e = 0; e < n_endpoints(r); e++)
		if (r->flow->sides[e] != NULL && s->base->seen[e].present && s->seen[e].what == OBSERVED_ABSENT && s->seen[e].evidence &&
		    !s->seen[e].outside)
			mask |= BIT(e);
	return mask;
}

static bool someone_else_has_it(const struct round *r, const struct subject *s, size_t e)
{
	for (size_t o = 0; o < n_endpoints(r); o++)
		if (o != e && (s->seen[o].what == OBSERVED_ROW || (s->seen[o].what == OBSERVED_NOTHING && s->base->seen[o].present)))
			return true;
	return false;
}

/* Where the operator does not want the delete, that endpoint has no row and is owed one. */
const struct vector *round_base_of(struct round *r, struct subject *s)
{
	struct vector *told = NULL;

	for (size_t e = 0; s->base != NULL && !s->base->dead && e < n_endpoints(r); e++) {
		if (!s->base->seen[e].present || s->seen[e].what != OBSERVED_ABSENT || s->seen[e].outside ||
		    state_of(r->flow->sides[e], &s->rid) != HELD_DISCARDED || !someone_else_has_it(r, s, e))
			continue;
		if (told == NULL)
			told = vector_copy(&r->arena, s->base);
		told->seen[e] = (struct vseen){ .known = true, .owed = true };
	}
	return told != NULL ? told : s->base;
}

static bool may_end(struct round *r, struct subject *s, uint64_t mask, int64_t when_us)
{
	uint8_t origin = s->d.next->deleted.origin;

	for (size_t e = 0; e < n_endpoints(r); e++)
		switch (mask & BIT(e) ? state_of(r->flow->sides[e], &s->rid) : HELD_NOT) {
		case HELD_NOT:
			break;
		case HELD_RELEASED:
			return true;
		case HELD_WAITS:
		case HELD_DISCARDED:
			return false;
		}
	/* Whose endpoint is in the topology no more, or who cannot be named, deletes nothing from now on. */
	if (origin >= n_endpoints(r) || r->flow->sides[origin] == NULL)
		return true;
	return r->plan != NULL ? plan_admits_delete(r->plan, r->flow->sides[origin]) :
	       window_admits(r->flow->sides[origin], &s->rid, when_us);
}

/* A plan knows by that what would be held. */
static void plan_hold(const struct round *r, struct subject *s, uint64_t mask)
{
	for (size_t k = 0; k < n_endpoints(r); k++)
		if (mask & BIT(k))
			s->seen[k].evidence = false;
	s->held_back |= mask;
}

static void hold(struct round *r, struct subject *s, uint64_t mask, int64_t when_us)
{
	struct buf key = { 0 };
	struct err e = { 0 };
	bool fresh = false;

	if (!r->holding)
		journal_begin(sync_of(r)->journal);
	r->holding = true;
	round_print_key(r, s, &key);
	for (size_t k = 0; k < n_endpoints(r); k++) {
		if (!(mask & BIT(k)))
			continue;
		s->seen[k].evidence = false;
		if (!held_add(r->flow->sides[k], &s->rid, key.p != NULL ? key.p : "", when_us, &fresh, &e))
			round_give_up(r, &e);
		s->set_aside |= BIT(k);
		s->set_aside_now |= fresh ? BIT(k) : 0;
	}
	buf_fini(&key);
}

bool round_holds(struct round *r, struct subject *s)
{
	uint64_t mask;
	int64_t when_us, now;

	if (!is_guarded(r->flow) || s->base == NULL || s->base->dead || !s->d.next->dead)
		return false;
	mask = deleters(r, s);
	now = clock_wall_us();
	when_us = s->d.next->deleted.eff < now ? s->d.next->deleted.eff : now;
	if (mask == 0 || may_end(r, s, mask, when_us))
		return false;
	if (r->plan != NULL)
		plan_hold(r, s, mask);
	else
		hold(r, s, mask, when_us);
	return true;
}

/* Is that line still true of the record? */
static bool line_is_over(const struct subject *s, size_t e)
{
	if (s->seen[e].what == OBSERVED_ROW)
		return true;
	if (!is_live(s))
		return s->base == NULL && value_is_null(s->source_id);
	return s->decided && (s->d.next->dead || !s->d.next->seen[e].present || s->d.orders[e].action == ACTION_INSERT);
}

static void move_line(struct round *r, const struct subject *s)
{
	const struct rid *from = is_live(s) && s->decided ? round_leaves(s) : NULL;
	char old[2 * RID_BYTES + 1], new[2 * RID_BYTES + 1];

	if (from == NULL)
		return;
	rid_print(from, old);
	rid_print(&s->next_rid, new);
	journal_held_move(sync_of(r)->journal, r->flow->def->name, old, new, NULL);
}

/* It did not answer this time: what was ordered is still to be done. */
static void try_ordered_later(struct round *r, size_t e, const struct rid *rid)
{
	switch (state_of(r->flow->sides[e], rid)) {
	case HELD_NOT:
	case HELD_WAITS:
		break;
	case HELD_RELEASED:
		flow_look_later(r->flow, &(struct again){ .rid = *rid, .evidence = BIT(e) }, BIT(e));
		break;
	case HELD_DISCARDED:
		flow_look_later(r->flow, &(struct again){ .rid = *rid }, BIT(e));
		break;
	}
}

static bool any_held(const struct round *r)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (r->flow->sides[e] != NULL && r->flow->sides[e]->guard.held > 0)
			return true;
	return false;
}

void round_settle_held(struct round *r)
{
	struct err failed = { 0 };

	if (!any_held(r))
		return;
	journal_begin(sync_of(r)->journal);
	for (size_t i = 0; i < r->n; i++) {
		struct subject *s = &r->subjects[i];
		const struct rid *rid = is_live(s) && s->decided ? &s->next_rid : &s->rid;

		if (s->fate == FATE_BUSY || !s->has_rid)
			continue;
		move_line(r, s);
		for (size_t e = 0; e < n_endpoints(r); e++)
			if (line_is_over(s, e) && held_is(r->flow->sides[e], rid)) {
				failpoint("held", "settle", "before");
				if (end_line(r->flow->sides[e], rid))
					s->let_go |= BIT(e);
			} else if (r->away & BIT(e)) {
				try_ordered_later(r, e, rid);
			}
	}
	if (journal_commit(sync_of(r)->journal, &failed))
		return;
	log_error("held deletes not taken out of the journal", LOG_S("entity", r->flow->def->name), LOG_ERR(&failed));
	held_read_again(sync_of(r));
}

/* ---- carrying out what the operator decided ---------------------------------------------------------- */

static bool find_ordered(void *arg, const struct journal_held_set *set)
{
	struct flow *flow = arg;

	if ((set->state == HELD_WAITS && !flow->held.all) || set->number <= flow->held.set || strcmp(set->entity, flow->def->name) != 0)
		return true;
	flow->held.set = set->number;
	flow->held.after = 0;
	flow->held.release = set->state == HELD_RELEASED;
	return false;
}

static bool next_ordered(struct flow *flow)
{
	int64_t before = flow->held.set;
	struct err e = { 0 };

	if (!journal_held_sets_each(flow->sync->journal, find_ordered, flow, &e))
		log_error("held deletes not read", LOG_ERR(&e));
	return flow->held.set != before;
}

static bool look_at(void *arg, const struct journal_held *h)
{
	struct flow *flow = arg;
	struct side *side = side_named(flow->sync, h->entity, h->endpoint);
	struct rid rid;

	flow->held.after = h->id;
	flow->held.page++;
	if (side != NULL && rid_parse(h->rid, &rid))
		flow_look_again(flow, &rid, flow->held.release ? BIT(side->endpoint) : 0);
	return true;
}

void held_begin(struct flow *flow)
{
	flow->held_wanted = true;
	flow->held.set = 0;
}

void held_look_at_all(struct flow *flow)
{
	held_begin(flow);
	flow->held.all = true;
}

static void held_end(struct flow *flow)
{
	flow->held_wanted = flow->held.all = false;
	flow->held.set = 0;
}

bool feed_held(struct flow *flow)
{
	struct err e = { 0 };

	if (!flow->held_wanted || !flow->counted || HASH_COUNT(flow->again) >= batch_rows(flow))
		return false;
	if (flow->held.set == 0 && !next_ordered(flow)) {
		held_end(flow);
		return true;
	}
	flow->held.page = 0;
	failpoint("held", "look", "before");
	if (!journal_held_each(flow->sync->journal, flow->held.set, flow->held.after, batch_rows(flow), look_at, flow, &e))
		log_error("held deletes not read", LOG_ERR(&e));
	failpoint("held", "look", "answered");
	if (flow->held.page < batch_rows(flow) && !next_ordered(flow))
		held_end(flow);
	return true;
}

/* "contact/sales/17" */
static bool parse_set(char *name, struct journal_held_set *set)
{
	char *number = strrchr(name, '/'), *endpoint, *end;

	if (number == NULL)
		return false;
	*number++ = '\0';
	endpoint = strrchr(name, '/');
	if (endpoint == NULL)
		return false;
	*endpoint++ = '\0';
	set->entity = name;
	set->endpoint = endpoint;
	set->number = strtoll(number, &end, 10);
	return *number >= '0' && *number <= '9' && *end == '\0';
}

static bool order_set(struct sync *s, const struct journal_held_set *set, struct err *e)
{
	struct side *side = side_named(s, set->entity, set->endpoint);

	if (side == NULL)
		return err_set(e, ERR_ROW, "no-such-set", "there are no held deletes %s/%s/%lld", set->entity, set->endpoint,
			       (long long)set->number);
	if (set->state == HELD_DISCARDED && side->mapping->role == ROLE_SOURCE)
		return err_set(e, ERR_ROW, "not-writable", "%s is only a source of %s: rows cannot be brought back there", set->endpoint,
			       set->entity);
	failpoint("held", "order", "before");
	if (!journal_held_order(s->journal, set, e))
		return false;
	failpoint("held", "order", "answered");
	log_info(set->state == HELD_RELEASED ? "held deletes released" : "held deletes discarded", LOG_S("entity", set->entity),
		 LOG_S("endpoint", set->endpoint), LOG_I("set", set->number));
	window_clear(&side->guard);
	held_begin(side->flow);
	flow_pump(side->flow);
	return true;
}

bool sync_held_order(struct sync *s, const char *name, bool discard, struct err *e)
{
	struct journal_held_set set = { .state = discard ? HELD_DISCARDED : HELD_RELEASED };
	char *copy = xstrdup(name);
	bool ok = parse_set(copy, &set) ? order_set(s, &set, e) :
		  err_set(e, ERR_ROW, "no-such-set", "'%s' is not the name of a set such as contact/sales/17", name);

	free(copy);
	return ok;
}
