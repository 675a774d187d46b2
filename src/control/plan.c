/*
 * plan.c - POST /v1/plan: what a full reconcile would write, as lines while it is found out, and a sum at the end.
 *
 * Every line is an object of its own: {"progress": ...} twice a second; one for each thing that is planned, where `lines` are
 * wanted, with an `action`; and at the end the sum, with `complete`. Whoever takes lines slowly slows the planning down.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "control/room.h"
#include "endpoint/endpoint.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "sync/sync.h"

enum {
	PROGRESS_MS = 500,
	OUT_MOST = 256 * 1024,			/* lines not taken yet, before the planning rests */
	EXAMPLES = 3,
};

struct tally {					/* of an endpoint */
	int64_t inserts, updates, deletes, held, parked, already, after_parent, again;
	int64_t fields[FIELDS_MAX];		/* of updates */
	json_t *causes;				/* code -> {parked, cause, examples}; owned */
	json_t *examples;			/* action -> keys; owned */
};

struct planning {
	struct control *control;
	struct http_stream *stream;		/* NULL: not begun yet */
	struct sync_plan *plan;			/* NULL: it has ended */
	const struct entity_conf *entity;	/* valid while there is a plan */
	struct loop_timer *timer;
	struct buf out;
	bool lines, resting;
	int64_t began_us;
	struct tally *tallies;			/* by endpoint */
	size_t n;
	json_t *conflicts;			/* rule -> {decisions, winners, examples}; owned */
	int64_t n_conflicts, n_waiting;
};

/* ---- counting ---------------------------------------------------------------------------------------- */

static void count(json_t *counts, const char *name)
{
	json_object_set_new(counts, name, json_integer(json_integer_value(json_object_get(counts, name)) + 1));
}

/* The object of that name, which is made when it is not there. */
static json_t *sub(json_t *object, const char *name)
{
	if (json_object_get(object, name) == NULL)
		json_object_set_new(object, name, json_object());
	return json_object_get(object, name);
}

static void add_example(json_t *examples, const char *name, const char *key)
{
	if (json_object_get(examples, name) == NULL)
		json_object_set_new(examples, name, json_array());
	if (json_array_size(json_object_get(examples, name)) < EXAMPLES)
		json_array_append_new(json_object_get(examples, name), control_text(key));
}

static void tally_parked(struct tally *t, const struct sync_planned *w)
{
	json_t *cause = sub(t->causes, w->code);

	t->parked++;
	t->already += w->already;
	count(cause, "parked");
	if (json_object_get(cause, "cause") == NULL)
		json_object_set_new(cause, "cause", control_text(w->cause));
	add_example(cause, "examples", w->key[0] != '\0' ? w->key : w->local_id);
}

static const char *action_name(enum sync_planned_what what)
{
	switch (what) {
	case PLANNED_INSERT:	return "insert";
	case PLANNED_UPDATE:	return "update";
	case PLANNED_DELETE:	return "delete";
	case PLANNED_HELD:	return "hold";
	case PLANNED_PARKED:	return "park";
	case PLANNED_DECISION:	return "conflict";
	}
	return "";
}

static void tally_decision(struct planning *p, const struct sync_planned *w)
{
	const struct journal_decision *d = w->decision;
	json_t *rule = sub(p->conflicts, d->rule);
	char *what = d->field[0] != '\0' ? xasprintf("%s %s", d->key, d->field) : xstrdup(d->key);

	p->n_conflicts++;
	p->n_waiting += d->winner[0] == '\0';
	count(rule, "decisions");
	if (d->winner[0] != '\0')
		count(sub(rule, "winners"), d->winner);
	add_example(rule, "examples", what);
	free(what);
}

static void tally(struct planning *p, const struct sync_planned *w)
{
	struct tally *t = &p->tallies[w->endpoint];

	switch (w->what) {
	case PLANNED_INSERT:
		t->inserts++;
		break;
	case PLANNED_UPDATE:
		t->updates++;
		for (size_t f = 0; f < p->entity->def.n_fields; f++)
			t->fields[f] += (w->fields >> f) & 1;
		break;
	case PLANNED_DELETE:
		t->deletes++;
		break;
	case PLANNED_HELD:
		t->held++;
		break;
	case PLANNED_PARKED:
		tally_parked(t, w);
		return;
	case PLANNED_DECISION:
		tally_decision(p, w);
		return;
	}
	t->after_parent += w->after_parent;
	t->again += w->already;
	add_example(t->examples, action_name(w->what), w->key);
}

/* ---- a line a thing ---------------------------------------------------------------------------------- */

static const char *endpoint_name(const struct sync *sync, size_t e)
{
	struct sync_endpoint_view v;

	sync_endpoint_view(sync, e, &v);
	return v.conf->name;
}

json_t *names_of_endpoints(const struct sync *sync, uint64_t mask)
{
	json_t *list = json_array();

	for (size_t e = 0; e < sync_endpoints(sync); e++)
		if ((mask >> e) & 1)
			json_array_append_new(list, control_text(endpoint_name(sync, e)));
	return list;
}

static const char *why(const struct sync_planned *w)
{
	if (w->first_contact)
		return "first-contact";
	if (w->from == 0)
		return "owed";
	return w->what == PLANNED_DELETE ? "delete" : "edit";
}

static void add_write(const struct sync *sync, const struct entity_def *def, const struct sync_planned *w, json_t *j)
{
	json_t *fields = json_array();

	for (size_t f = 0; f < def->n_fields; f++)
		if (w->what != PLANNED_DELETE && (w->fields >> f) & 1)
			json_array_append_new(fields, control_text(def->fields[f].name));
	json_object_set_new(j, "fields", fields);
	json_object_set_new(j, "why", json_string(why(w)));
	json_object_set_new(j, "from", names_of_endpoints(sync, w->from));
	json_object_set_new(j, "after_parent", json_boolean(w->after_parent));
	json_object_set_new(j, "parked_now", json_boolean(w->already));
}

static void add_parked(const struct sync_planned *w, json_t *j)
{
	json_object_set_new(j, "code", control_text(w->code));
	json_object_set_new(j, "cause", control_text(w->cause));
	json_object_set_new(j, "field", w->field[0] != '\0' ? control_text(w->field) : json_null());
	json_object_set_new(j, "local_id", w->local_id[0] != '\0' ? control_text(w->local_id) : json_null());
	json_object_set_new(j, "already", json_boolean(w->already));
}

json_t *planned_json(const struct sync *sync, const struct entity_def *def, const struct sync_planned *w)
{
	json_t *j;

	if (w->what == PLANNED_DECISION) {
		j = decision_json(sync, w->decision);
		json_object_set_new(j, "action", json_string(action_name(w->what)));
		return j;
	}
	j = control_object();
	json_object_set_new(j, "action", json_string(action_name(w->what)));
	json_object_set_new(j, "entity", control_text(def->name));
	json_object_set_new(j, "endpoint", control_text(endpoint_name(sync, w->endpoint)));
	json_object_set_new(j, "key", control_text(w->key));
	if (w->what == PLANNED_PARKED)
		add_parked(w, j);
	else if (w->what != PLANNED_HELD)
		add_write(sync, def, w, j);
	return j;
}

static void say_line(struct planning *p, json_t *j)
{
	control_add_line(&p->out, j);
	if (p->stream != NULL)
		http_stream_more(p->stream);
}

static void on_planned(void *arg, const struct sync_planned *w)
{
	struct planning *p = arg;

	tally(p, w);
	if (p->lines)
		say_line(p, planned_json(p->control->sync, &p->entity->def, w));
}

static bool on_asked_if_full(void *arg)
{
	struct planning *p = arg;

	p->resting = p->out.len > OUT_MOST;
	return p->resting;
}

/* ---- progress ---------------------------------------------------------------------------------------- */

static json_t *progress_json(const struct planning *p)
{
	struct sync_plan_view v;
	json_t *j;

	sync_plan_view(p->plan, &v);
	j = job_json(v.job);
	json_object_set_new(j, "pass", json_integer(v.pass));
	return j;
}

static void on_progress(void *arg)
{
	struct planning *p = arg;
	json_t *j;

	loop_timer_set(p->timer, PROGRESS_MS);
	if (p->plan == NULL || p->out.len > OUT_MOST)
		return;
	j = control_object();
	json_object_set_new(j, "progress", progress_json(p));
	say_line(p, j);
}

/* ---- the sum ----------------------------------------------------------------------------------------- */

static json_t *fields_json(const struct planning *p, const struct tally *t)
{
	json_t *j = json_object();

	for (size_t f = 0; f < p->entity->def.n_fields; f++)
		if (t->fields[f] > 0)
			json_object_set_new(j, p->entity->def.fields[f].name, json_integer(t->fields[f]));
	return j;
}

static json_t *tally_json(const struct planning *p, size_t e, const struct sync_link_view *link, bool left_out)
{
	const struct tally *t = &p->tallies[e];
	json_t *j = json_object();

	json_object_set_new(j, "endpoint", control_text(endpoint_name(p->control->sync, e)));
	json_object_set_new(j, "looked_at", json_boolean(!left_out));
	json_object_set_new(j, "reason", left_out ? control_text(link->reason) : json_null());
	json_object_set_new(j, "inserts", json_integer(t->inserts));
	json_object_set_new(j, "updates", json_integer(t->updates));
	json_object_set_new(j, "deletes", json_integer(t->deletes));
	json_object_set_new(j, "held", json_integer(t->held));
	json_object_set_new(j, "parked", json_integer(t->parked));
	json_object_set_new(j, "parked_already", json_integer(t->already));
	json_object_set_new(j, "after_parent", json_integer(t->after_parent));
	json_object_set_new(j, "parked_now", json_integer(t->again));
	json_object_set_new(j, "fields", fields_json(p, t));
	json_object_set(j, "causes", t->causes);
	json_object_set(j, "examples", t->examples);
	return j;
}

static void add_totals(const struct planning *p, json_t *j)
{
	struct tally all = { 0 };

	for (size_t e = 0; e < p->n; e++) {
		all.inserts += p->tallies[e].inserts;
		all.updates += p->tallies[e].updates;
		all.deletes += p->tallies[e].deletes;
		all.held += p->tallies[e].held;
		all.parked += p->tallies[e].parked;
	}
	json_object_set_new(j, "inserts", json_integer(all.inserts));
	json_object_set_new(j, "updates", json_integer(all.updates));
	json_object_set_new(j, "deletes", json_integer(all.deletes));
	json_object_set_new(j, "held", json_integer(all.held));
	json_object_set_new(j, "parked", json_integer(all.parked));
}

static json_t *sum_json(const struct planning *p)
{
	json_t *j = control_object(), *endpoints = json_array();
	struct sync_plan_view plan;
	struct sync_link_view link;

	sync_plan_view(p->plan, &plan);
	json_object_set_new(j, "complete", json_boolean(plan.left_out == 0));
	json_object_set_new(j, "entity", control_text(p->entity->def.name));
	json_object_set_new(j, "seconds", json_real((double)(clock_mono_us() - p->began_us) / 1e6));
	json_object_set_new(j, "passes", json_integer(plan.pass));
	add_totals(p, j);
	json_object_set_new(j, "conflicts", json_integer(p->n_conflicts));
	json_object_set_new(j, "waiting", json_integer(p->n_waiting));
	json_object_set(j, "conflicts_by_rule", p->conflicts);
	for (size_t e = 0; e < p->n; e++)
		if (sync_link_view(p->control->sync, p->entity->def.index, e, &link))
			json_array_append_new(endpoints, tally_json(p, e, &link, (plan.left_out >> e) & 1));
	json_object_set_new(j, "endpoints", endpoints);
	return j;
}

static void on_done(void *arg, const struct err *e)
{
	struct planning *p = arg;
	json_t *j = e == NULL ? sum_json(p) : control_error(EXIT_AGAIN, e->code[0] != '\0' ? e->code : "plan-broken", "%s", e->text);

	p->plan = NULL;
	say_line(p, j);
}

/* ---- the stream -------------------------------------------------------------------------------------- */

static bool more_lines(void *arg, struct buf *out)
{
	struct planning *p = arg;

	buf_add(out, p->out.len > 0 ? p->out.p : "", p->out.len);
	buf_clear(&p->out);
	if (p->resting && p->plan != NULL) {
		p->resting = false;
		sync_plan_go_on(p->plan);
	}
	return p->plan != NULL || p->out.len > 0;
}

static void planning_free(void *arg)
{
	struct planning *p = arg;

	if (p->plan != NULL)
		sync_plan_cancel(p->plan);
	loop_timer_free(&p->timer);
	for (size_t e = 0; e < p->n; e++) {
		json_decref(p->tallies[e].causes);
		json_decref(p->tallies[e].examples);
	}
	json_decref(p->conflicts);
	free(p->tallies);
	buf_fini(&p->out);
	free(p);
}

static const struct entity_conf *entity_of(const struct sync *sync, const char *name)
{
	struct sync_entity_view v;
	size_t i = 0;

	do
		sync_entity_view(sync, i++, &v);
	while (strcmp(v.conf->def.name, name) != 0);
	return v.conf;
}

static struct planning *planning_new(struct control *c, const json_t *params)
{
	struct planning *p = xcalloc(1, sizeof *p);

	p->control = c;
	p->entity = entity_of(c->sync, param_text(params, "entity"));
	p->lines = json_is_true(json_object_get(params, "lines"));
	p->began_us = clock_mono_us();
	p->n = sync_endpoints(c->sync);
	p->tallies = xcalloc(p->n, sizeof *p->tallies);
	for (size_t e = 0; e < p->n; e++) {
		p->tallies[e].causes = json_object();
		p->tallies[e].examples = json_object();
	}
	p->conflicts = json_object();
	p->timer = loop_timer_new(c->loop, on_progress, p);
	return p;
}

void run_plan(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct http_producer producer = { .more = more_lines, .end = planning_free, .waits = true };
	struct sync_plan_taker taker = { on_planned, on_asked_if_full, on_done, NULL };
	struct http_stream *stream;
	struct err e = { 0 };
	struct planning *p;

	if (!entity_is_known(c, x, param_text(params, "entity")))
		return;
	p = planning_new(c, params);
	producer.arg = taker.arg = p;
	p->plan = sync_plan(c->sync, param_text(params, "entity"), &taker, &e);
	if (p->plan == NULL) {
		if (strcmp(e.code, "busy") == 0)
			control_refuse(x, EXIT_AGAIN, e.code, "%s", e.text);
		else
			control_refuse_err(x, &e);
		planning_free(p);
		return;
	}
	loop_timer_set(p->timer, PROGRESS_MS);
	stream = http_stream(x, CONTROL_LINES, &producer);
	if (stream != NULL)		/* else it has been freed: the client left already */
		p->stream = stream;
}
