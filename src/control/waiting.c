/*
 * waiting.c - what waits for a person (rule manual): the list, read page by page like parked records, and the verdict.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "control/room.h"
#include "journal/journal.h"
#include "sync/sync.h"

enum { PAGE_LINES = 200 };

struct listing {
	struct control *control;
	char *entity, *key;		/* owned; NULL: any */
	int64_t after;
	size_t seen;			/* in this page */
	struct buf *out;		/* during a page */
};

/* ---- the list ---------------------------------------------------------------------------------------- */

/* Takes the object over. */
static void add_line(struct buf *out, json_t *j)
{
	char *line = json_dumps(j, 0);

	buf_addf(out, "%s\n", line);
	free(line);
	json_decref(j);
}

/* The words of a decision, so that whoever reads the one can read the other. */
static json_t *waiting_json(const struct sync *sync, const struct journal_waiting *w)
{
	json_t *j = control_object(), *values = json_object(), *stamps = json_object(), *between = json_array();
	bool is_private = is_private_field(sync, w->entity, w->field);

	for (size_t i = 0; i < w->n_sides; i++) {
		const struct journal_side *s = &w->sides[i];

		if (is_private || !journal_is_unseen(s))
			json_object_set_new(values, s->endpoint, value_json(sync, w->entity, w->field, s->value));
		json_object_set_new(stamps, s->endpoint, stamp_json(s->stamp_us));
		if (s->competed)
			json_array_append_new(between, control_text(s->endpoint));
	}
	json_object_set_new(j, "time", control_time(w->since_us));
	json_object_set_new(j, "entity", control_text(w->entity));
	json_object_set_new(j, "key", control_text(w->key));
	json_object_set_new(j, "field", control_text(w->field));
	json_object_set_new(j, "rule", json_string("manual"));
	json_object_set_new(j, "winner", json_null());
	json_object_set_new(j, "base", value_json(sync, w->entity, w->field, w->base));
	json_object_set_new(j, "values", values);
	json_object_set_new(j, "stamps", stamps);
	json_object_set_new(j, "between", between);
	json_object_set_new(j, "decided", json_boolean(w->verdict != VERDICT_NONE));
	json_object_set_new(j, "private", json_boolean(is_private));
	return j;
}

static bool on_waiting(void *arg, const struct journal_waiting *w)
{
	struct listing *l = arg;

	l->seen++;
	l->after = w->id;
	add_line(l->out, waiting_json(l->control->sync, w));
	return true;
}

static bool more_waiting(void *arg, struct buf *out)
{
	struct listing *l = arg;
	struct err e = { 0 };

	l->out = out;
	l->seen = 0;
	if (l->control->sync == NULL)
		add_line(out, control_error(EXIT_AGAIN, "stopping", "the daemon is starting or stopping; ask again"));
	else if (!journal_waiting_each(sync_journal(l->control->sync), l->entity, NULL, l->key, l->after, PAGE_LINES, on_waiting, l, &e))
		add_line(out, control_error(EXIT_TROUBLE, "journal", "%s", e.text));
	return l->seen == PAGE_LINES;
}

static void listing_free(void *arg)
{
	struct listing *l = arg;

	free(l->entity);
	free(l->key);
	free(l);
}

static char *copy_of(const char *s)
{
	return s != NULL ? xstrdup(s) : NULL;
}

void list_waiting(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct http_producer producer = { .more = more_waiting, .end = listing_free };
	struct listing *l = xcalloc(1, sizeof *l);

	l->control = c;
	l->entity = copy_of(param_text(params, "entity"));
	l->key = copy_of(param_text(params, "key"));
	producer.arg = l;
	http_stream(x, CONTROL_LINES, &producer);
}

/* ---- the verdict ------------------------------------------------------------------------------------- */

void decide_waiting(struct control *c, struct http_exchange *x, const json_t *params)
{
	bool null = json_is_true(json_object_get(params, "null"));
	struct sync_verdict v = {
		.entity = param_text(params, "entity"), .key = param_text(params, "key"), .field = param_text(params, "field"),
		.endpoint = param_text(params, "endpoint"), .value = param_text(params, "value"),
	};
	struct err e = { 0 };
	json_t *j;

	if ((v.endpoint != NULL) + (v.value != NULL) + null != 1) {
		control_refuse(x, EXIT_USAGE, "usage", "decide: one of endpoint, value and null says what stands");
		return;
	}
	if (!entity_is_known(c, x, v.entity) || !endpoint_is_known(c, x, v.endpoint))
		return;
	if (!sync_decide(c->sync, &v, &e)) {
		if (e.kind == ERR_ROW)		/* what was ordered, not how it went */
			control_refuse(x, EXIT_USAGE, e.code, "%s", e.text);
		else
			control_refuse_err(x, &e);
		return;
	}
	j = control_object();
	json_object_set_new(j, "entity", control_text(v.entity));
	json_object_set_new(j, "key", control_text(v.key));
	json_object_set_new(j, "field", control_text(v.field));
	json_object_set_new(j, "winner", v.endpoint != NULL ? control_text(v.endpoint) : json_null());
	json_object_set_new(j, "decided", json_true());
	control_answer(x, 200, j);
}
