/*
 * verify.c - POST /v1/verify and /v1/repair: do the endpoints show the same, as lines while it is found out, and a sum at the end.
 *
 * Every line is an object of its own: {"progress": ...} twice a second; one a record that differs, with a `difference`; of a dry run one a
 * planned write, as of a plan, with an `action`; and at the end the sum over the entities, with `complete`. The entities are gone through one after the other.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "control/room.h"
#include "loop/loop.h"
#include "sync/sync.h"

enum {
	PROGRESS_MS = 500,
	OUT_MOST = 256 * 1024,			/* lines not taken yet: nothing more is said of progress */
};

struct verifying {
	struct control *control;
	struct http_stream *stream;		/* NULL: not begun yet */
	struct sync_verify *verify;		/* NULL: between two entities, or it has ended */
	struct loop_timer *timer, *next;
	struct buf out;
	enum sync_verify_mode mode;
	enum sync_verify_depth depth;
	bool one, ended;
	char *from;				/* owned; whose rows are imposed; NULL: nobody's */
	bool open_too;				/* what is open is told record by record as well */
	size_t entity;				/* index of the one being verified */
	int64_t began_us;
	struct sync_verify_sums sums;		/* over those that are done */
	json_t *entities;			/* owned; what came of each */
	bool complete;
};

static void begin_entity(struct verifying *v);

static const struct entity_conf *entity_of(const struct verifying *v)
{
	struct sync_entity_view view;

	sync_entity_view(v->control->sync, v->entity, &view);
	return view.conf;
}

static void say_line(struct verifying *v, json_t *j)
{
	control_add_line(&v->out, j);
	if (v->stream != NULL)
		http_stream_more(v->stream);
}

/* ---- what differs ------------------------------------------------------------------------------------ */

static const char *kind_name(enum sync_difference what)
{
	switch (what) {
	case DIFFERENCE_VALUES:		return "different";
	case DIFFERENCE_MISSING:	return "missing";
	case DIFFERENCE_EXTRA:		return "extra";
	case DIFFERENCE_OPEN:		break;
	}
	return "";
}

static bool key_is_private(const struct entity_def *def)
{
	for (size_t i = 0; i < def->n_key; i++)
		if (def->fields[def->key[i]].private_value)
			return true;
	return false;
}

static json_t *ids_json(const struct verifying *v, const struct sync_different *d)
{
	struct sync_endpoint_view view;
	json_t *ids = json_object();

	for (size_t e = 0; e < sync_endpoints(v->control->sync); e++) {
		if (!(d->there >> e & 1))
			continue;
		sync_endpoint_view(v->control->sync, e, &view);
		json_object_set_new(ids, view.conf->name, control_text(value_is_null(d->ids[e]) ? NULL : d->ids[e].data));
	}
	return ids;
}

static void on_difference(void *arg, const struct sync_different *d)
{
	struct verifying *v = arg;
	const struct entity_def *def = &entity_of(v)->def;
	json_t *j, *fields;

	if (d->what == DIFFERENCE_OPEN && !v->open_too)
		return;
	j = control_object();
	fields = json_array();
	for (size_t f = 0; f < def->n_fields; f++)
		if (d->fields >> f & 1)
			json_array_append_new(fields, control_text(def->fields[f].name));
	if (d->what == DIFFERENCE_OPEN)
		json_object_set_new(j, "open", json_true());
	else
		json_object_set_new(j, "difference", json_string(kind_name(d->what)));
	json_object_set_new(j, "entity", control_text(def->name));
	json_object_set_new(j, "key", control_text(d->key));
	json_object_set_new(j, "private", json_boolean(key_is_private(def)));
	json_object_set_new(j, "ids", ids_json(v, d));
	json_object_set_new(j, "fields", fields);
	json_object_set_new(j, "there", names_of_endpoints(v->control->sync, d->there));
	json_object_set_new(j, "absent", names_of_endpoints(v->control->sync, d->absent));
	if (v->mode == VERIFY_REPAIR && d->what != DIFFERENCE_OPEN)
		json_object_set_new(j, "outcome", json_string(d->mended ? "agrees" : d->waits ? "waits" : "differs"));
	say_line(v, j);
}

static void on_planned(void *arg, const struct sync_planned *planned)
{
	struct verifying *v = arg;

	json_t *j = planned_json(v->control->sync, &entity_of(v)->def, planned), *from = json_array();

	json_array_append_new(from, control_text(v->from));
	if (v->from != NULL && json_object_get(j, "why") != NULL) {
		json_object_set_new(j, "why", json_string("imposed"));
		json_object_set(j, "from", from);
	}
	json_decref(from);
	say_line(v, j);
}

/* ---- progress ---------------------------------------------------------------------------------------- */

static void on_progress(void *arg)
{
	struct verifying *v = arg;
	json_t *j;

	loop_timer_set(v->timer, PROGRESS_MS);
	if (v->verify == NULL || v->out.len > OUT_MOST)
		return;
	j = control_object();
	json_object_set_new(j, "progress", job_json(sync_verify_job(v->verify)));
	say_line(v, j);
}

/* ---- sums -------------------------------------------------------------------------------------------- */

static void add_sums(const struct verifying *v, json_t *j, const struct sync_verify_sums *s)
{
	json_object_set_new(j, "compared", json_integer(s->compared));
	json_object_set_new(j, "matching", json_integer(s->matching));
	json_object_set_new(j, "own_form", json_integer(s->own_form));
	json_object_set_new(j, "different", json_integer(s->different + s->unlooked));
	json_object_set_new(j, "missing", json_integer(s->missing));
	json_object_set_new(j, "extra", json_integer(s->extra));
	json_object_set_new(j, "open", json_integer(s->open));
	json_object_set_new(j, "invalid", json_integer(s->invalid));
	json_object_set_new(j, "not_looked_at_again", json_integer(s->unlooked));
	json_object_set_new(j, "bytes", json_integer(s->bytes));
	if (v->mode == VERIFY_REPAIR) {
		json_object_set_new(j, "written", json_integer(s->written));
		json_object_set_new(j, "skipped", json_integer(s->skipped));
	}
}

static json_t *counts_json(const struct verifying *v, const struct sync_verify_sums *s)
{
	struct sync_endpoint_view view;
	json_t *j = json_object();

	for (size_t e = 0; e < sync_endpoints(v->control->sync); e++)
		if (s->compared_at >> e & 1) {
			sync_endpoint_view(v->control->sync, e, &view);
			json_object_set_new(j, view.conf->name, json_integer(s->counts[e]));
		}
	return j;
}

static void sum_up(struct verifying *v, const struct sync_verify_sums *s)
{
	json_t *j = json_object();

	json_object_set_new(j, "entity", control_text(entity_of(v)->def.name));
	json_object_set_new(j, "endpoints", names_of_endpoints(v->control->sync, s->compared_at));
	json_object_set_new(j, "left_out", names_of_endpoints(v->control->sync, s->left_out));
	add_sums(v, j, s);
	if (v->depth == DEPTH_COUNTS)
		json_object_set_new(j, "counts", counts_json(v, s));
	json_object_set_new(j, "since", s->since_us != 0 ? control_time(s->since_us) : json_null());
	json_object_set_new(j, "resumed", json_boolean(s->resumed));
	json_array_append_new(v->entities, j);
	v->complete &= s->left_out == 0;
	v->sums.compared += s->compared;
	v->sums.matching += s->matching;
	v->sums.own_form += s->own_form;
	v->sums.different += s->different;
	v->sums.missing += s->missing;
	v->sums.extra += s->extra;
	v->sums.open += s->open;
	v->sums.invalid += s->invalid;
	v->sums.unlooked += s->unlooked;
	v->sums.written += s->written;
	v->sums.skipped += s->skipped;
	v->sums.bytes += s->bytes;
}

static const char *const depths[] = { [DEPTH_ROWS] = "rows", [DEPTH_RANGES] = "ranges", [DEPTH_COUNTS] = "counts", NULL };

static void say_sum(struct verifying *v)
{
	json_t *j = control_object();
	struct sync_service_view service;

	json_object_set_new(j, "complete", json_boolean(v->complete));
	sync_service_view(v->control->sync, &service);
	json_object_set_new(j, "depth", json_string(depths[v->depth]));
	json_object_set_new(j, "topology", control_text(service.topology->name));
	json_object_set_new(j, "time", control_time(clock_wall_us()));
	json_object_set_new(j, "seconds", json_real((double)(clock_mono_us() - v->began_us) / 1e6));
	add_sums(v, j, &v->sums);
	json_object_set(j, "entities", v->entities);
	v->ended = true;
	say_line(v, j);
}

static void say_failure(struct verifying *v, const struct err *e)
{
	enum control_exit code_exit = strcmp(e->code, "mass-delete") == 0 ? EXIT_DIFFERENT : e->kind == ERR_CONFIG ? EXIT_USAGE :
		e->kind == ERR_ENDPOINT ? EXIT_UNAVAILABLE : EXIT_AGAIN;

	v->ended = true;
	say_line(v, control_error(code_exit, e->code[0] != '\0' ? e->code : "verify-broken", "%s", e->text));
}

static void next_entity(struct verifying *v)
{
	if (v->one || ++v->entity == sync_entities(v->control->sync))
		say_sum(v);
	else
		loop_timer_set(v->next, 0);	/* the one that ends now is still in the way of another */
}

/* Of several: this one cannot be compared now, or lives at one endpoint only. */
static void skip_entity(struct verifying *v)
{
	struct sync_verify_sums none = { .left_out = sync_unreadable(v->control->sync, v->entity) };
	struct sync_link_view link;
	size_t mapped = 0;

	for (size_t e = 0; e < sync_endpoints(v->control->sync); e++)
		mapped += sync_link_view(v->control->sync, v->entity, e, &link);
	if (mapped > 1)
		sum_up(v, &none);
	next_entity(v);
}

static void on_done(void *arg, const struct sync_verify_sums *sums, const struct err *e)
{
	struct verifying *v = arg;

	v->verify = NULL;
	if (e != NULL) {
		say_failure(v, e);
		return;
	}
	sum_up(v, sums);
	next_entity(v);
}

static void on_next(void *arg)
{
	begin_entity(arg);
}

/* What lives elsewhere only cannot be had from there. */
static bool is_passed_over(const struct verifying *v)
{
	struct sync_endpoint_view view;
	struct sync_link_view link;

	for (size_t e = 0; v->from != NULL && !v->one && e < sync_endpoints(v->control->sync); e++) {
		sync_endpoint_view(v->control->sync, e, &view);
		if (strcmp(view.conf->name, v->from) == 0)
			return !sync_link_view(v->control->sync, v->entity, e, &link);
	}
	return false;
}

static void begin_entity(struct verifying *v)
{
	struct sync_verify_order order = { .mode = v->mode, .from = v->from, .depth = v->depth };
	struct sync_verify_taker taker = { on_difference, on_planned, on_done, v };
	struct err e = { 0 };

	if (v->control->sync != NULL && v->entity < sync_entities(v->control->sync)) {
		if (is_passed_over(v)) {
			next_entity(v);
			return;
		}
		order.entity = entity_of(v)->def.name;
		v->verify = sync_verify(v->control->sync, &order, &taker, &e);
	} else
		err_set(&e, ERR_TRANSIENT, "stopping", "the daemon is starting or stopping; ask again");
	if (v->verify != NULL)
		return;
	if (v->one || e.kind != ERR_ENDPOINT)
		say_failure(v, &e);
	else
		skip_entity(v);
}

/* ---- the stream -------------------------------------------------------------------------------------- */

static bool more_lines(void *arg, struct buf *out)
{
	struct verifying *v = arg;

	buf_add(out, v->out.len > 0 ? v->out.p : "", v->out.len);
	buf_clear(&v->out);
	return !v->ended;
}

static void verifying_free(void *arg)
{
	struct verifying *v = arg;

	if (v->verify != NULL)
		sync_verify_cancel(v->verify);
	loop_timer_free(&v->timer);
	loop_timer_free(&v->next);
	json_decref(v->entities);
	free(v->from);
	buf_fini(&v->out);
	free(v);
}

static void run(struct control *c, struct http_exchange *x, const json_t *params, enum sync_verify_mode mode)
{
	struct http_producer producer = { .more = more_lines, .end = verifying_free, .waits = true };
	const char *entity = param_text(params, "entity"), *from = param_text(params, "from");
	struct http_stream *stream;
	struct verifying *v;
	int depth;

	if (!entity_is_known(c, x, entity) || !endpoint_is_known(c, x, from) || (depth = param_word(x, params, "depth", depths)) < 0)
		return;
	v = xcalloc(1, sizeof *v);
	v->control = c;
	v->mode = mode;
	v->depth = (enum sync_verify_depth)depth;
	v->one = entity != NULL;
	v->from = from != NULL ? xstrdup(from) : NULL;
	v->open_too = json_is_true(json_object_get(params, "open"));
	v->complete = true;
	v->began_us = clock_mono_us();
	v->entities = json_array();
	v->timer = loop_timer_new(c->loop, on_progress, v);
	v->next = loop_timer_new(c->loop, on_next, v);
	v->entity = entity != NULL ? entity_named(c->sync, entity)->def.index : 0;
	loop_timer_set(v->timer, PROGRESS_MS);
	producer.arg = v;
	stream = http_stream(x, CONTROL_LINES, &producer);
	if (stream == NULL)
		return;			/* it has been freed: the client left already */
	v->stream = stream;
	begin_entity(v);
}

void run_verify(struct control *c, struct http_exchange *x, const json_t *params)
{
	run(c, x, params, VERIFY_ONLY);
}

void run_repair(struct control *c, struct http_exchange *x, const json_t *params)
{
	run(c, x, params, json_is_true(json_object_get(params, "dry_run")) ? VERIFY_PLAN : VERIFY_REPAIR);
}
