/*
 * history.c - `history`: the before-images, or the runs that they belong to, newest first; and `undo`: a line for each record, then the sum.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "control/room.h"
#include "journal/journal_images.h"
#include "loop/loop.h"
#include "model/entity.h"
#include "sync/sync.h"

enum { LINES_MOST = 1000, PAGE_RUNS = 50, PROGRESS_MS = 500 };

/* ---- what is asked for ------------------------------------------------------------------------------- */

struct wanted {				/* texts are the owner's */
	char *entity, *key, *source, *endpoint, *rule;
	int64_t run, since_us, until_us;
};

static char *copy(const char *s)
{
	return s != NULL ? xstrdup(s) : NULL;
}

static void wanted_fini(struct wanted *w)
{
	free(w->entity);
	free(w->key);
	free(w->source);
	free(w->endpoint);
	free(w->rule);
}

static bool take_moment(struct http_exchange *x, const json_t *params, const char *name, int64_t *us)
{
	const char *text = param_text(params, name);

	if (text == NULL || since_parse(text, us))
		return true;
	control_refuse(x, EXIT_USAGE, "usage", "%s: '%s' is neither a time like 2026-03-01T12:00:00Z nor a duration like 15m", name, text);
	return false;
}

static bool run_is_known(struct control *c, struct http_exchange *x, int64_t run)
{
	struct err e = { 0 };
	bool known;

	if (run == 0)
		return true;
	if (!journal_run_is_known(sync_journal(c->sync), run, &known, &e))
		control_refuse(x, EXIT_TROUBLE, "journal", "%s", e.text);
	else if (!known)
		control_refuse(x, EXIT_USAGE, "usage", "there is no run %lld; crmsyncctl history --runs lists them", (long long)run);
	else
		return true;
	return false;
}

static void refuse_name(struct http_exchange *x, const char *what, const char *name, const char *const *names, size_t n)
{
	struct buf list = { 0 };

	for (size_t i = 0; i < n; i++)
		buf_addf(&list, "%s%s", i > 0 ? ", " : "", names[i]);
	control_refuse(x, EXIT_USAGE, "unknown", "there is no %s '%s'; there are %s", what, name, list.p);
	buf_fini(&list);
}

static bool is_among(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* "(undo)" and "(operator)" are sources too, and so may be endpoints that the topology does not have any more. */
static bool source_is_known(struct control *c, struct http_exchange *x, const char *source)
{
	const char *names[ENDPOINTS_MAX + 2];
	size_t n = sync_endpoints(c->sync);
	struct err e = { 0 };
	bool known;

	for (size_t i = 0; i < n; i++) {
		struct sync_endpoint_view view;

		sync_endpoint_view(c->sync, i, &view);
		names[i] = view.conf->name;
	}
	names[n++] = "(undo)";
	names[n++] = "(operator)";
	if (source == NULL || is_among(source, names, n))
		return true;
	if (!journal_source_is_known(sync_journal(c->sync), source, &known, &e))
		control_refuse(x, EXIT_TROUBLE, "journal", "%s", e.text);
	else if (!known)
		refuse_name(x, "source", source, names, n);
	else
		return true;
	return false;
}

static bool rule_is_known(struct http_exchange *x, const char *rule)
{
	const char *names[RULES + 2];
	size_t n = 0;

	while (n < RULES) {
		names[n] = rule_name((enum rule)n);
		n++;
	}
	names[n++] = "update-wins";
	names[n++] = "delete-wins";
	if (rule == NULL || is_among(rule, names, n))
		return true;
	refuse_name(x, "rule", rule, names, n);
	return false;
}

static bool take_wanted(struct control *c, struct http_exchange *x, const json_t *params, struct wanted *w)
{
	*w = (struct wanted){ .run = json_integer_value(json_object_get(params, "run")) };
	if (!entity_is_known(c, x, param_text(params, "entity")) || !endpoint_is_known(c, x, param_text(params, "endpoint")) ||
	    !source_is_known(c, x, param_text(params, "source")) || !rule_is_known(x, param_text(params, "rule")) ||
	    !run_is_known(c, x, w->run) || !take_moment(x, params, "since", &w->since_us) || !take_moment(x, params, "until", &w->until_us))
		return false;
	w->entity = copy(param_text(params, "entity"));
	w->key = copy(param_text(params, "key"));
	w->source = copy(param_text(params, "source"));
	w->endpoint = copy(param_text(params, "endpoint"));
	w->rule = copy(param_text(params, "rule"));
	return true;
}

/* ---- history ----------------------------------------------------------------------------------------- */

struct history {
	struct control *control;
	struct wanted wanted;
	struct buf *out;		/* during a page */
	int64_t before;			/* where the page begins */
	size_t lines, most;		/* most 0: all */
	size_t seen;			/* in this page */
};

static json_t *text_json(const struct sync *sync, const char *entity, const char *field, struct image_text t)
{
	char *s;
	json_t *j;

	if (t.len < 0)
		return json_null();
	s = xstrndup(t.p, (size_t)t.len);
	j = value_json(sync, entity, field, s);
	free(s);
	return j;
}

static json_t *values_json(const struct sync *sync, const struct journal_image *image)
{
	json_t *values = json_object();

	for (size_t i = 0; i < image->n_values; i++) {
		const struct image_value *v = &image->values[i];
		json_t *j;

		if (image->op == IMAGE_UPDATE && v->before.len != IMAGE_NOT_KEPT && image_text_equal(v->before, v->after))
			continue;	/* only a witness for the others of its group */
		j = json_object();
		json_object_set_new(j, "before", text_json(sync, image->entity, v->field, v->before));
		if (image->op == IMAGE_UPDATE)
			json_object_set_new(j, "after", text_json(sync, image->entity, v->field, v->after));
		json_object_set_new(j, "rule", control_text(v->rule));
		if (v->before.len == IMAGE_NOT_KEPT)
			json_object_set_new(j, "private", json_true());
		json_object_set_new(values, v->field, j);
	}
	return values;
}

static json_t *image_json(const struct sync *sync, const struct journal_image *image)
{
	static const char *const ops[] = { [IMAGE_INSERT] = "insert", [IMAGE_UPDATE] = "update", [IMAGE_DELETE] = "delete" };
	json_t *j = control_object();

	json_object_set_new(j, "run", json_integer(image->run));
	json_object_set_new(j, "time", control_time(image->time_us));
	json_object_set_new(j, "entity", control_text(image->entity));
	json_object_set_new(j, "key", control_text(image->key));
	json_object_set_new(j, "endpoint", control_text(image->endpoint));
	json_object_set_new(j, "source", control_text(image->source));
	json_object_set_new(j, "operation", json_string(ops[image->op]));
	if (image->op == IMAGE_DELETE)
		json_object_set_new(j, "rule", control_text(image->rule));
	if (image->op == IMAGE_INSERT)
		json_object_set_new(j, "created", json_boolean(image->created));
	json_object_set_new(j, "failed", json_boolean(image->failed));
	json_object_set_new(j, "fields", values_json(sync, image));
	return j;
}

static bool on_image(void *arg, const struct journal_image *image)
{
	struct history *h = arg;

	if (h->wanted.endpoint != NULL && strcmp(h->wanted.endpoint, image->endpoint) != 0)
		return true;
	control_add_line(h->out, image_json(h->control->sync, image));
	return h->most == 0 || ++h->lines < h->most;
}

static bool on_run(void *arg, const struct journal_run *r)
{
	struct history *h = arg;
	json_t *j = control_object();

	h->seen++;
	h->before = r->number;
	json_object_set_new(j, "run", json_integer(r->number));
	json_object_set_new(j, "source", control_text(r->source));
	json_object_set_new(j, "first", control_time(r->first_us));
	json_object_set_new(j, "last", control_time(r->last_us));
	json_object_set_new(j, "writes", json_integer(r->images));
	json_object_set_new(j, "bytes", json_integer(r->bytes));
	json_object_set_new(j, "entities", control_text(r->entities));
	control_add_line(h->out, j);
	return true;
}

static bool broken(struct history *h, const struct err *e)
{
	if (e->kind != 0)
		control_add_line(h->out, control_error(EXIT_TROUBLE, "journal", "%s", e->text));
	else
		control_add_line(h->out, control_error(EXIT_AGAIN, "stopping", "the daemon is starting or stopping; ask again"));
	return false;
}

/* A batch a turn: it may be some thousand lines. */
static bool more_images(void *arg, struct buf *out)
{
	struct history *h = arg;
	struct image_filter f = { h->wanted.entity, h->wanted.key, h->wanted.source, h->wanted.run, h->wanted.since_us, h->wanted.until_us };
	struct err e = { 0 };

	h->out = out;
	if (h->control->sync == NULL || !journal_images_each(sync_journal(h->control->sync), &f, &h->before, 1, on_image, h, &e))
		return broken(h, &e);
	return h->before != 0 && (h->most == 0 || h->lines < h->most);
}

static bool more_runs(void *arg, struct buf *out)
{
	struct history *h = arg;
	struct err e = { 0 };

	h->out = out;
	h->seen = 0;
	if (h->control->sync == NULL ||
	    !journal_runs_each(sync_journal(h->control->sync), h->wanted.source, h->before, PAGE_RUNS, on_run, h, &e))
		return broken(h, &e);
	return h->seen == PAGE_RUNS;
}

static void history_free(void *arg)
{
	struct history *h = arg;

	wanted_fini(&h->wanted);
	free(h);
}

void run_history(struct control *c, struct http_exchange *x, const json_t *params)
{
	bool runs = json_is_true(json_object_get(params, "runs"));
	struct http_producer producer = { .more = runs ? more_runs : more_images, .end = history_free };
	struct wanted w;
	struct history *h;

	if (!take_wanted(c, x, params, &w))
		return;
	h = xcalloc(1, sizeof *h);
	h->control = c;
	h->wanted = w;
	h->most = w.key != NULL || w.run != 0 || w.since_us != 0 ? 0 : LINES_MOST;
	producer.arg = h;
	http_stream(x, CONTROL_LINES, &producer);
}

/* ---- undo -------------------------------------------------------------------------------------------- */

struct undoing {
	struct control *control;
	struct http_stream *stream;	/* NULL: not begun yet */
	struct sync_undo *undo;		/* NULL: it has ended */
	struct loop_timer *timer;
	struct buf out;
	bool dry_run, ended;
};

static void say_line(struct undoing *u, json_t *j)
{
	control_add_line(&u->out, j);
	if (u->stream != NULL)
		http_stream_more(u->stream);
}

static json_t *names_of(const struct undoing *u, uint64_t mask)
{
	json_t *list = json_array();

	for (size_t e = 0; e < sync_endpoints(u->control->sync); e++) {
		struct sync_endpoint_view view;

		sync_endpoint_view(u->control->sync, e, &view);
		if (mask >> e & 1)
			json_array_append_new(list, control_text(view.conf->name));
	}
	return list;
}

static json_t *words(const char *comma_separated)
{
	json_t *list = json_array();
	char *all = xstrdup(comma_separated), *rest = all, *word;

	while ((word = strsep(&rest, ",")) != NULL)
		if (word[0] != '\0')
			json_array_append_new(list, control_text(word));
	free(all);
	return list;
}

/* Of a dry run: what would be there instead of what. */
static json_t *wanted_json(const struct sync *sync, const struct undo_item *item)
{
	json_t *values = json_object();

	for (size_t i = 0; i < item->n_values; i++) {
		const struct undo_value *v = &item->values[i];
		json_t *j;

		if (item->what == UNDO_VALUES && image_text_equal(v->want, v->expect))
			continue;
		j = json_object();
		if (item->what == UNDO_VALUES)
			json_object_set_new(j, "now", text_json(sync, item->entity, v->field, v->expect));
		json_object_set_new(j, "restored", text_json(sync, item->entity, v->field, v->want));
		json_object_set_new(values, v->field, j);
	}
	return values;
}

static void on_undone(void *arg, const struct sync_undone *d)
{
	static const char *const acts[] = {
		[UNDO_VALUES] = "values", [UNDO_RECORD] = "record", [UNDO_END] = "delete", [UNDO_NOTHING] = "nothing", [UNDO_AGAIN] = "again",
	};
	struct undoing *u = arg;
	json_t *j = control_object();

	json_object_set_new(j, "entity", control_text(d->entity));
	json_object_set_new(j, "key", control_text(d->key));
	json_object_set_new(j, "outcome", json_string(d->restored ? "restored" : d->partly ? "partly" : d->waits ? "waits" : "skipped"));
	json_object_set_new(j, "puts_back", json_string(acts[d->item->what]));
	if (!d->restored) {
		json_object_set_new(j, "skipped_fields", words(d->fields != NULL ? d->fields : ""));
		json_object_set_new(j, "code", control_text(d->code));
		json_object_set_new(j, "reason", control_text(d->cause));
	}
	if (u->dry_run) {
		json_object_set_new(j, "endpoints", names_of(u, d->at));
		json_object_set_new(j, "fields", wanted_json(u->control->sync, d->item));
	}
	say_line(u, j);
}

/* One that is begun goes on by itself: whoever tries it again has just that undone. s NULL: it did not come to that. */
static int exit_of(const struct sync_undo_sums *s, const struct err *e)
{
	if (e->kind == ERR_CONFIG)
		return EXIT_USAGE;
	return s != NULL && s->run != 0 ? EXIT_DIFFERENT : EXIT_AGAIN;
}

static void on_done(void *arg, const struct sync_undo_sums *s, const struct err *e)
{
	struct undoing *u = arg;
	json_t *j;

	u->undo = NULL;
	u->ended = true;
	if (e != NULL) {
		say_line(u, control_error(exit_of(s, e), e->code[0] != '\0' ? e->code : "undo-broken", "%s", e->text));
		return;
	}
	j = control_object();
	json_object_set_new(j, "restored", json_integer(s->restored));
	json_object_set_new(j, "skipped", json_integer(s->skipped));
	json_object_set_new(j, "partly", json_integer(s->partly));
	json_object_set_new(j, "waiting", json_integer(s->waiting));
	json_object_set_new(j, "values_restored", json_integer(s->values_restored));
	json_object_set_new(j, "values_skipped", json_integer(s->values_skipped));
	json_object_set_new(j, "dry_run", json_boolean(u->dry_run));
	json_object_set_new(j, "run", s->run != 0 ? json_integer(s->run) : json_null());
	say_line(u, j);
}

static void on_progress(void *arg)
{
	struct undoing *u = arg;
	json_t *j;

	loop_timer_set(u->timer, PROGRESS_MS);
	if (u->undo == NULL)
		return;
	j = control_object();
	json_object_set_new(j, "progress", job_json(sync_undo_job(u->undo)));
	say_line(u, j);
}

static bool more_lines(void *arg, struct buf *out)
{
	struct undoing *u = arg;

	buf_add(out, u->out.len > 0 ? u->out.p : "", u->out.len);
	buf_clear(&u->out);
	return !u->ended;
}

static void undoing_free(void *arg)
{
	struct undoing *u = arg;

	if (u->undo != NULL)
		sync_undo_cancel(u->undo);
	loop_timer_free(&u->timer);
	buf_fini(&u->out);
	free(u);
}

static void begin(struct undoing *u, const struct wanted *w)
{
	const struct sync_undo_order order = { .entity = w->entity, .key = w->key, .source = w->source, .endpoint = w->endpoint, .rule = w->rule,
		.run = w->run, .since_us = w->since_us, .until_us = w->until_us, .dry_run = u->dry_run };
	const struct sync_undo_taker taker = { on_undone, on_done, u };
	struct err e = { 0 };

	u->undo = sync_undo(u->control->sync, &order, &taker, &e);
	if (u->undo == NULL)
		on_done(u, NULL, &e);
}

/* All that was ever written is nothing that anybody means. */
static bool says_what(struct http_exchange *x, const struct wanted *w)
{
	if (w->run != 0 || w->since_us != 0 || (w->entity != NULL && w->key != NULL))
		return true;
	control_refuse(x, EXIT_USAGE, "usage", "undo what? A run (see history --runs), what was written since a time, or one record: "
		       "--run ID, --since T, or --entity E --key K");
	return false;
}

void run_undo(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct http_producer producer = { .more = more_lines, .end = undoing_free };
	struct http_stream *stream;
	struct undoing *u;
	struct wanted w;

	if (!take_wanted(c, x, params, &w))
		return;
	if (!says_what(x, &w)) {
		wanted_fini(&w);
		return;
	}
	u = xcalloc(1, sizeof *u);
	u->control = c;
	u->dry_run = json_is_true(json_object_get(params, "dry_run"));
	u->timer = loop_timer_new(c->loop, on_progress, u);
	loop_timer_set(u->timer, PROGRESS_MS);
	producer.arg = u;
	stream = http_stream(x, CONTROL_LINES, &producer);
	if (stream != NULL) {		/* else it has been freed: the client left already */
		u->stream = stream;
		begin(u, &w);
	}
	wanted_fini(&w);
}
