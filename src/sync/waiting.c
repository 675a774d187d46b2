/*
 * waiting.c - fields that wait for a person (rule manual): the queue, and carrying out what was decided.
 *
 *   queue     a line in the journal for each field that waits, with every side's value, written before the round applies
 *             anything. The vector knows of the same by itself (model/decide_manual.c): the line is what people see, and
 *             what a verdict hangs on.
 *   verdict   a side or a value, written to the line. The record is looked at again, and every decision about it is given the
 *             verdict until it is carried out: a value that was given is nowhere else until some endpoint shows it.
 *   over      the field waits no more: settled, closed by itself, or its record is gone. A verdict on something that has
 *             changed since is void, and the line waits on with what there is now.
 *   released  the topology has another rule for the field by now: that one decides.
 *   left      one of those that differ is not in the topology any more: what the others say waits anew, or closes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "model/clean.h"
#include "model/decide.h"
#include "model/record.h"
#include "sync/feed.h"
#include "sync/round.h"

/* ---- the queue, from the journal --------------------------------------------------------------------- */

static bool count_lines(struct flow *flow, struct err *e)
{
	int64_t waiting = journal_waiting_count(flow->sync->journal, flow->def->name, false);
	int64_t verdicts = waiting > 0 ? journal_waiting_count(flow->sync->journal, flow->def->name, true) : waiting;

	if (waiting < 0 || verdicts < 0)
		return err_set(e, ERR_TRANSIENT, "unread", "what waits for a person cannot be counted");
	flow->waiting = waiting;
	flow->verdicts = verdicts;
	return true;
}

/* After a change of ours. */
static void count_again(struct flow *flow)
{
	struct err e = { 0 };

	if (!count_lines(flow, &e))
		log_error("what waits for a person is not read", LOG_S("entity", flow->def->name), LOG_ERR(&e));
}

static size_t field_of_line(const struct flow *flow, const struct journal_waiting *w)
{
	size_t f = 0;

	while (f < flow->def->n_fields && strcmp(flow->def->fields[f].name, w->field) != 0)
		f++;
	return f;
}

static bool is_released(const struct flow *flow, const struct journal_waiting *w)
{
	size_t f = field_of_line(flow, w);

	return f == flow->def->n_fields || flow->def->fields[f].rule != RULE_MANUAL;
}

static const char *side_that_left(const struct flow *flow, const struct journal_waiting *w)
{
	for (size_t i = 0; i < w->n_sides; i++)
		if (w->sides[i].competed && side_named(flow->sync, flow->def->name, w->sides[i].endpoint) == NULL)
			return w->sides[i].endpoint;
	return NULL;
}

/* Nobody differs any more from the only one who is left: it closes as soon as that one can be asked. */
static bool is_lonely(const struct flow *flow, const struct journal_waiting *w)
{
	size_t words = 0;

	for (size_t i = 0; i < w->n_sides; i++)
		words += w->sides[i].competed;
	return (words < 2 || side_that_left(flow, w) != NULL) && !fault("f12-who-has-left-is-still-waited-for");
}

/* Else the record could not even be named. */
static bool can_be_asked(const struct flow *flow, const struct journal_waiting *w)
{
	for (size_t i = 0; i < w->n_sides; i++) {
		const struct side *side = w->sides[i].competed ? side_named(flow->sync, flow->def->name, w->sides[i].endpoint) : NULL;

		if (side != NULL && !side_usable(side))
			return false;
	}
	return true;
}

static bool find_outdated(void *arg, const struct journal_waiting *w)
{
	struct flow *flow = arg;

	flow->released |= is_released(flow, w);
	flow->lonely |= is_lonely(flow, w);
	return !flow->released || !flow->lonely;
}

bool waiting_load(struct sync *s, struct err *e)
{
	for (size_t i = 0; i < s->topology->n_entities; i++) {
		struct flow *flow = &s->flows[i];

		if (!count_lines(flow, e) ||
		    (flow->waiting > 0 && !journal_waiting_each(s->journal, flow->def->name, NULL, NULL, 0, 0, find_outdated, flow, e)))
			return false;
		flow->verdicts_wanted = flow->verdicts > 0 || flow->released || flow->lonely;
	}
	return true;
}

/* From the first line on, also where a look is half through: what it has passed may have waited for this. */
void waiting_look_again(struct flow *flow)
{
	if (flow->verdicts == 0 && !flow->lonely)
		return;
	flow->verdicts_wanted = true;
	flow->verdicts_after = 0;
}

void waiting_look_at_all(struct flow *flow)
{
	if (flow->waiting == 0)
		return;
	flow->verdicts_wanted = flow->verdicts_all = true;
	flow->verdicts_after = 0;
}

static bool find_any(void *arg, const struct journal_waiting *w)
{
	*(bool *)arg = true;
	return false;
}

bool waiting_is_listed(const struct flow *flow, const struct rid *rid)
{
	char text[2 * RID_BYTES + 1];
	struct err e = { 0 };
	bool found = false;

	if (flow->waiting == 0)
		return false;
	rid_print(rid, text);
	return !journal_waiting_each(flow->sync->journal, flow->def->name, text, NULL, 0, 0, find_any, &found, &e) || found;
}

/* All of it where the state was lost: lines go by the record's digest, and the key of the digests is a new one. */
void waiting_forget(struct flow *flow, const char *endpoint)
{
	struct err e = { 0 };

	if (flow->waiting == 0)
		return;
	if (!journal_wait_forget(flow->sync->journal, flow->def->name, endpoint, &e))
		log_error("what waits for a person is not taken out of the journal", LOG_S("entity", flow->def->name), LOG_ERR(&e));
	count_again(flow);
}

/* ---- carrying out ------------------------------------------------------------------------------------ */

static bool look_at(void *arg, const struct journal_waiting *w)
{
	struct flow *flow = arg;
	struct rid rid;

	flow->verdicts_after = w->id;
	flow->verdicts_page++;
	if ((flow->verdicts_all || w->verdict != VERDICT_NONE || is_released(flow, w) || (is_lonely(flow, w) && can_be_asked(flow, w))) && rid_parse(w->rid, &rid))
		flow_look_again(flow, &rid, 0);
	return true;
}

bool feed_verdicts(struct flow *flow)
{
	struct err e = { 0 };

	if (!flow->verdicts_wanted || !flow->counted || HASH_COUNT(flow->again) >= batch_rows(flow))
		return false;
	flow->verdicts_page = 0;
	if (!journal_waiting_each(flow->sync->journal, flow->def->name, NULL, NULL, flow->verdicts_after, batch_rows(flow), look_at, flow, &e))
		log_error("what waits for a person is not read", LOG_S("entity", flow->def->name), LOG_ERR(&e));
	if (flow->verdicts_page < batch_rows(flow)) {
		flow->verdicts_wanted = flow->verdicts_all = false;
		flow->verdicts_after = 0;
	}
	return true;
}

/* ---- in a round: what was decided -------------------------------------------------------------------- */

struct gathering {
	struct round *r;
	struct settlement *list;
	size_t n;
};

static ptrdiff_t endpoint_named(const struct round *r, const char *name)
{
	for (size_t e = 0; e < n_endpoints(r); e++)
		if (strcmp(sync_of(r)->topology->endpoints[e].name, name) == 0)
			return (ptrdiff_t)e;
	return -1;
}

static struct value chosen_value(struct round *r, const struct journal_waiting *w)
{
	if (w->chosen == NULL)
		return VALUE_NULL;
	return (struct value){ arena_dup(&r->arena, w->chosen, strlen(w->chosen)), (int32_t)strlen(w->chosen) };
}

static bool gather(void *arg, const struct journal_waiting *w)
{
	struct gathering *g = arg;
	struct round *r = g->r;
	size_t f = field_of_line(r->flow, w);
	struct settlement *s = &g->list[g->n];
	ptrdiff_t e = w->verdict == VERDICT_SIDE ? endpoint_named(r, w->chosen) : -1;

	if (f == r->flow->def->n_fields || g->n == FIELDS_MAX)
		return true;
	*s = (struct settlement){ .field = (uint8_t)f, .mark = w->mark, .value = VALUE_NULL };
	if (w->verdict == VERDICT_VALUE) {
		s->given = true;
		s->value = chosen_value(r, w);
		s->digest = value_digest(&sync_of(r)->store->key, r->flow->def->fields[f].type, s->value);
	} else if (e >= 0 && r->flow->sides[e] != NULL) {
		s->endpoint = (uint8_t)e;
	} else if (!is_released(r->flow, w)) {
		return true;
	}
	g->n++;
	return true;
}

static void rid_of_line(const struct subject *s, char out[2 * RID_BYTES + 1])
{
	rid_print(s->moved ? &s->old_rid : &s->rid, out);
}

void round_add_settlements(struct round *r, const struct subject *s, struct decide_policy *p)
{
	struct gathering g = { .r = r };
	char rid[2 * RID_BYTES + 1];
	struct err e = { 0 };

	p->settlements = NULL;
	p->n_settlements = 0;
	if (r->flow->waiting == 0 || (r->flow->verdicts == 0 && !r->flow->released))
		return;
	g.list = arena_alloc(&r->arena, (FIELDS_MAX + 1) * sizeof *g.list);
	rid_of_line(s, rid);
	if (!journal_waiting_each(sync_of(r)->journal, r->flow->def->name, rid, NULL, 0, 0, gather, &g, &e))
		round_give_up(r, &e);
	p->settlements = g.list;
	p->n_settlements = g.n;
}

/* ---- in a round: what ends --------------------------------------------------------------------------- */

struct ending {
	const struct round *r;
	const struct subject *s;
	bool left;			/* there is no record under that key any more */
	int64_t ids[FIELDS_MAX];
	size_t n;
};

/* The agreed value was given, and no endpoint shows it yet. */
static bool is_still_needed(const struct ending *x, const struct journal_waiting *w, size_t f)
{
	const struct vector *v = x->s->d.next;
	struct value given = { w->chosen, w->chosen != NULL ? (int32_t)strlen(w->chosen) : -1 };
	uint64_t digest = value_digest(&sync_of(x->r)->store->key, x->r->flow->def->fields[f].type, given);

	if (w->verdict != VERDICT_VALUE || v->dead || digest_field(digest) != v->fields[f].digest)
		return false;
	for (size_t e = 0; e < v->n_endpoints; e++)
		if (v->seen[e].present && !v->seen[e].uncertain && vseen_deviation(&v->seen[e], f) == NULL)
			return false;
	return true;
}

static bool find_over(void *arg, const struct journal_waiting *w)
{
	struct ending *x = arg;
	size_t f = field_of_line(x->r->flow, w), n_fields = x->r->flow->def->n_fields;
	bool waits = !x->left && f < n_fields && (x->s->d.waits & BIT(f));

	if (!waits && (x->left || f == n_fields || !is_still_needed(x, w, f)))
		x->ids[x->n++] = w->id;
	return x->n < FIELDS_MAX;
}

static bool end_lines(struct round *r, struct subject *s, const struct rid *of, size_t *ended, struct err *e)
{
	struct ending x = { .r = r, .s = s, .left = of != &s->next_rid };
	char rid[2 * RID_BYTES + 1];
	bool ok;

	rid_print(of, rid);
	ok = journal_waiting_each(sync_of(r)->journal, r->flow->def->name, rid, NULL, 0, 0, find_over, &x, e);
	for (size_t i = 0; ok && i < x.n; i++)
		ok = journal_wait_end(sync_of(r)->journal, x.ids[i], e);
	*ended += x.n;
	return ok;
}

/* The chosen side may be one that was away when rows were read and is there by now: when it came up, this round had the record. */
static bool missed_a_side(const struct round *r)
{
	bool waits = false;

	for (size_t i = 0; i < r->n; i++)
		waits |= is_live(&r->subjects[i]) && r->subjects[i].decided && r->subjects[i].d.waits != 0;
	for (size_t e = 0; waits && e < n_endpoints(r); e++)
		if (r->flow->sides[e] != NULL && (r->unasked & BIT(e)) && side_usable(r->flow->sides[e]))
			return true;
	return false;
}

/* Rows that exchange their keys stand aside for as long as a field of one of them waits; with a verdict it waits no more. */
static void free_exchanges(struct flow *flow)
{
	for (size_t e = 0; e < flow->sync->topology->n_endpoints; e++)
		if (flow->sides[e] != NULL)
			retry_wanted(flow->sides[e], RETRY_KEYS);
}

/* Nothing was decided now. What the vector does not tell of any more was over before, and the daemon ended before its line did. */
static bool still_waits(const struct round *r, const struct subject *s)
{
	return decide_waits(r->flow->def, s->d.next, flow_endpoints(r->flow));
}

/* After the vectors are marked: a line that is gone must not be needed again. */
void round_settle_waiting(struct round *r)
{
	struct err e = { 0 };
	size_t ended = 0;
	bool ok = true;

	if (r->flow->waiting == 0)
		return;
	journal_begin(sync_of(r)->journal);
	for (size_t i = 0; ok && i < r->n; i++) {
		struct subject *s = &r->subjects[i];

		if (is_nobody(r, s))
			ok = end_lines(r, s, &s->rid, &ended, &e);
		if (!is_live(s) || !s->decided || (s->aside && still_waits(r, s)))
			continue;
		ok = (round_leaves(s) == NULL || end_lines(r, s, round_leaves(s), &ended, &e)) &&
		     end_lines(r, s, &s->next_rid, &ended, &e);
	}
	if (!journal_commit(sync_of(r)->journal, &e) || !ok)
		log_error("what waits for a person is not up to date in the journal", LOG_S("entity", r->flow->def->name), LOG_ERR(&e));
	count_again(r->flow);
	if (ended > 0)
		free_exchanges(r->flow);
	if (missed_a_side(r))
		waiting_look_again(r->flow);
}

/* ---- orders ------------------------------------------------------------------------------------------ */

struct choosing {
	struct flow *flow;
	const struct sync_verdict *verdict;
	struct arena *arena;
	struct value value;		/* canonical */
	/* Of one record there is one line. Another of its name is of a key that it had, and ends when it is looked at. */
	struct {
		int64_t id;
		struct rid rid;
	} lines[8];
	size_t n;
	struct err why;
};

static const struct journal_side *side_of_line(const struct journal_waiting *w, const char *endpoint)
{
	for (size_t i = 0; i < w->n_sides; i++)
		if (strcmp(w->sides[i].endpoint, endpoint) == 0)
			return &w->sides[i];
	return NULL;
}

/* A person's value is cleaned and checked as one of a row. A reference is what no person can write. */
static bool take_value(struct choosing *c, size_t f)
{
	const struct field_def *field = &c->flow->def->fields[f];
	const char *text = c->verdict->value;
	struct value raw = { text, text != NULL ? (int32_t)strlen(text) : -1 };
	struct clean_note note;

	if (decide_unit(c->flow->def, f) != BIT(f))
		return err_set(&c->why, ERR_ROW, "not-a-value", "%s is in a group, which is settled as a whole: choose an endpoint", field->name);
	if (field->type == FIELD_REFERENCE)
		return err_set(&c->why, ERR_ROW, "not-a-value", "%s is a reference: choose an endpoint", field->name);
	return clean_field(field, raw, c->arena, &c->value, &note, &c->why);
}

static bool choose(void *arg, const struct journal_waiting *w)
{
	struct choosing *c = arg;
	size_t f = field_of_line(c->flow, w);

	if (strcmp(w->field, c->verdict->field) != 0 || is_released(c->flow, w) || !rid_parse(w->rid, &c->lines[c->n].rid))
		return true;
	c->lines[c->n++].id = w->id;
	if (side_that_left(c->flow, w) != NULL)
		err_set(&c->why, ERR_ROW, "no-such-conflict", "%s, which differed there, has left the topology; what the others show is looked at first",
			side_that_left(c->flow, w));
	else if (c->verdict->endpoint != NULL && side_of_line(w, c->verdict->endpoint) == NULL)
		err_set(&c->why, ERR_ROW, "no-such-side", "%s shows no value of it; crmsyncctl conflicts --waiting shows who does", c->verdict->endpoint);
	else if (c->verdict->endpoint == NULL)
		take_value(c, f);
	return c->why.kind == 0 && c->n < countof(c->lines);
}

static bool carry_out(struct choosing *c, struct err *e)
{
	const struct sync_verdict *v = c->verdict;
	struct journal *journal = c->flow->sync->journal;
	const char *value = value_is_null(c->value) ? NULL : arena_dup(c->arena, c->value.data, (size_t)c->value.len);

	if (c->n == 0)
		return err_set(e, ERR_ROW, "no-such-conflict", "nothing waits in %s %s, %s; crmsyncctl conflicts --waiting shows what does",
			       v->entity, v->key, v->field);
	if (c->why.kind != 0) {
		*e = c->why;
		return false;
	}
	journal_begin(journal);
	for (size_t i = 0; i < c->n; i++)
		journal_verdict(journal, c->lines[i].id, v->endpoint != NULL ? VERDICT_SIDE : VERDICT_VALUE,
				v->endpoint != NULL ? v->endpoint : value, NULL);
	if (!journal_commit(journal, e))
		return false;
	log_info("conflict decided by the operator", LOG_S("entity", v->entity), LOG_S("field", v->field));
	count_again(c->flow);
	for (size_t i = 0; i < c->n; i++)
		flow_look_again(c->flow, &c->lines[i].rid, 0);
	free_exchanges(c->flow);
	flow_pump(c->flow);
	return true;
}

bool sync_decide(struct sync *s, const struct sync_verdict *v, struct err *e)
{
	struct choosing c = { .verdict = v, .value = VALUE_NULL };
	struct arena arena;
	bool ok;

	c.flow = flow_named(s, v->entity);
	if (c.flow == NULL)
		return err_set(e, ERR_ROW, "no-such-conflict", "there is no entity '%s'", v->entity);
	arena_init(&arena);
	c.arena = &arena;
	ok = journal_waiting_each(s->journal, v->entity, NULL, v->key, 0, 0, choose, &c, e) && carry_out(&c, e);
	arena_fini(&arena);
	return ok;
}
