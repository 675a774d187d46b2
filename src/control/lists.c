/*
 * lists.c - commands that answer with many lines out of the journal.
 *
 * The parked records are read page by page as the client takes them: their number costs neither memory nor a
 * long turn of the loop. What changes meanwhile may be in the list or not; what stays is in it once.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "control/room.h"
#include "journal/journal.h"
#include "model/decide.h"
#include "model/record.h"
#include "sync/sync.h"

enum {
	PAGE_LINES = 200,
	DECISIONS_MOST = 1000,		/* the journal gives the newest, and gives them at once: this bounds the turn */
};

struct list {
	struct control *control;
	char *entity, *endpoint, *key;		/* NULL: any */
	struct buf *out;			/* during a page */
	size_t seen;				/* in this page */
	int64_t after_id;			/* parked: where the page begins */
	int64_t since_us;			/* decisions */
};

static char *copy(const char *s)
{
	return s != NULL ? xstrdup(s) : NULL;
}

static struct list *list_new(struct control *c, const json_t *params)
{
	struct list *l = xcalloc(1, sizeof *l);

	l->control = c;
	l->entity = copy(param_text(params, "entity"));
	l->endpoint = copy(param_text(params, "endpoint"));
	l->key = copy(param_text(params, "key"));
	return l;
}

static void list_free(void *arg)
{
	struct list *l = arg;

	free(l->entity);
	free(l->endpoint);
	free(l->key);
	free(l);
}

void control_add_line(struct buf *out, json_t *j)
{
	char *line = json_dumps(j, JSON_REAL_PRECISION(15));

	buf_addf(out, "%s\n", line);
	free(line);
	json_decref(j);
}

/* The list broke off: said in a last line, for the head of the answer is gone already. */
static bool list_broken(struct list *l, const struct err *e)
{
	control_add_line(l->out, control_error(EXIT_TROUBLE, "journal", "%s", e->text));
	return false;
}

/* NULL: the sync went away while the client was reading. */
static struct journal *list_journal(const struct list *l)
{
	return l->control->sync != NULL ? sync_journal(l->control->sync) : NULL;
}

static bool list_cut_short(struct list *l)
{
	control_add_line(l->out, control_error(EXIT_AGAIN, "stopping", "the daemon is starting or stopping; ask again"));
	return false;
}

/* ---- parked ------------------------------------------------------------------------------------------ */

static json_t *parked_json(const struct journal_parked *p)
{
	json_t *j = control_object();

	json_object_set_new(j, "id", json_integer(p->id));
	json_object_set_new(j, "entity", control_text(p->entity));
	json_object_set_new(j, "key", control_text(p->key));
	json_object_set_new(j, "endpoint", control_text(p->endpoint));
	json_object_set_new(j, "code", control_text(p->code));
	json_object_set_new(j, "cause", control_text(p->cause));
	json_object_set_new(j, "field", p->field[0] != '\0' ? control_text(p->field) : json_null());
	json_object_set_new(j, "direction", json_string(p->capture ? "capture" : "apply"));
	json_object_set_new(j, "local_id", p->local_id[0] != '\0' ? control_text(p->local_id) : json_null());
	json_object_set_new(j, "since", control_time(p->since_us));
	json_object_set_new(j, "last", control_time(p->last_us));
	json_object_set_new(j, "tries", json_integer(p->tries));
	return j;
}

static bool on_parked(void *arg, const struct journal_parked *p)
{
	struct list *l = arg;

	l->seen++;
	l->after_id = p->id;
	if (!p->discarded && (l->key == NULL || strcmp(l->key, p->key) == 0))
		control_add_line(l->out, parked_json(p));
	return true;
}

static bool more_parked(void *arg, struct buf *out)
{
	struct list *l = arg;
	struct journal *journal = list_journal(l);
	struct err e = { 0 };

	l->out = out;
	l->seen = 0;
	if (journal == NULL)
		return list_cut_short(l);
	if (!journal_parked_each(journal, l->entity, l->endpoint, l->after_id, PAGE_LINES, on_parked, l, &e))
		return list_broken(l, &e);
	return l->seen == PAGE_LINES;
}

void list_parked(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct http_producer producer = { .more = more_parked, .end = list_free };

	if (!entity_is_known(c, x, param_text(params, "entity")) || !endpoint_is_known(c, x, param_text(params, "endpoint")))
		return;
	producer.arg = list_new(c, params);
	http_stream(x, CONTROL_LINES, &producer);
}

struct one_parked {
	int64_t id;
	json_t *found;
};

static bool on_one_parked(void *arg, const struct journal_parked *p)
{
	struct one_parked *one = arg;

	if (p->id == one->id && !p->discarded)
		one->found = parked_json(p);
	return false;
}

void show_parked(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct one_parked one = { .id = json_integer_value(json_object_get(params, "id")) };
	struct err e = { 0 };

	if (!journal_parked_each(sync_journal(c->sync), NULL, NULL, one.id - 1, 1, on_one_parked, &one, &e))
		control_refuse(x, EXIT_TROUBLE, "journal", "%s", e.text);
	else if (one.found == NULL)
		control_refuse(x, EXIT_USAGE, "unknown", "no record is parked under number %lld", (long long)one.id);
	else
		control_answer(x, 200, one.found);
}

/* ---- decisions --------------------------------------------------------------------------------------- */

/* Nobody knows how old the first rows are that are seen of a record. */
json_t *stamp_json(int64_t stamp_us)
{
	return stamp_us > 0 ? control_time(stamp_us) : json_null();
}

/* Its side was away when that was decided, and has not shown it since. */
static bool is_unknown(const struct journal_decision *d, const struct journal_side *s)
{
	return d->field[0] != '\0' && !s->deleted && journal_is_unseen(s);
}

static const struct field_def *field_of(const struct sync *sync, const char *entity, const char *field)
{
	const struct entity_conf *conf = entity_named(sync, entity);

	for (size_t f = 0; conf != NULL && f < conf->def.n_fields; f++)
		if (strcmp(conf->def.fields[f].name, field) == 0)
			return &conf->def.fields[f];
	return NULL;
}

bool is_private_field(const struct sync *sync, const char *entity, const char *field)
{
	const struct field_def *def = field_of(sync, entity, field);

	return def != NULL && def->private_value;
}

json_t *value_json(const struct sync *sync, const char *entity, const char *field, const char *value)
{
	const struct field_def *def = value != NULL ? field_of(sync, entity, field) : NULL;
	struct buf key = { 0 };
	json_t *j;

	if (def == NULL || def->refers == NULL)
		return control_text(value);
	record_key_print(&key, value_of(value), def->refers->n_key);
	j = control_text(key.len > 0 ? key.p : "");
	buf_fini(&key);
	return j;
}

static json_t *lost_json(const struct sync *sync, const struct journal_decision *d, const struct journal_side *s)
{
	json_t *j = json_object();

	json_object_set_new(j, "endpoint", control_text(s->endpoint));
	json_object_set_new(j, "value", value_json(sync, d->entity, d->field, s->value));
	json_object_set_new(j, "known", json_boolean(!is_unknown(d, s)));
	json_object_set_new(j, "digest", control_text(s->digest));
	json_object_set_new(j, "stamp", stamp_json(s->stamp_us));
	json_object_set_new(j, "deleted", json_boolean(s->deleted));
	return j;
}

/* An endpoint that has no row yet shows nothing: it only is owed. */
static bool shows_something(const struct journal_side *s)
{
	return s->competed || strtoull(s->digest, NULL, 16) != 0;
}

static void add_sides(json_t *j, const struct sync *sync, const struct journal_decision *d)
{
	json_t *values = json_object(), *digests = json_object(), *stamps = json_object();
	json_t *deleted = json_array(), *lost = json_array(), *written = json_array(), *owed = json_array();

	for (size_t i = 0; i < d->n_sides; i++) {
		const struct journal_side *s = &d->sides[i];

		if (s->written != JOURNAL_NOT_WRITTEN)
			json_array_append_new(s->written == JOURNAL_WRITTEN ? written : owed, control_text(s->endpoint));
		if (i > 0 && s->competed && d->winner[0] != '\0')
			json_array_append_new(lost, lost_json(sync, d, s));
		if (s->deleted)
			json_array_append_new(deleted, control_text(s->endpoint));
		if (!shows_something(s) || json_object_get(digests, s->endpoint) != NULL)
			continue;	/* of one that won and lost, what won */
		if (!is_unknown(d, s))
			json_object_set_new(values, s->endpoint, value_json(sync, d->entity, d->field, s->value));
		json_object_set_new(digests, s->endpoint, control_text(s->digest));
		json_object_set_new(stamps, s->endpoint, stamp_json(s->stamp_us));
	}
	json_object_set_new(j, "values", values);
	json_object_set_new(j, "lost", lost);
	json_object_set_new(j, "deleted", deleted);
	json_object_set_new(j, "stamps", stamps);
	json_object_set_new(j, "digests", digests);
	json_object_set_new(j, "written", written);
	json_object_set_new(j, "owed", owed);
}

/* The fields that win or lose together with it, itself among them; null: it stands alone. */
static json_t *unit_json(const struct sync *sync, const char *entity, const char *field)
{
	const struct entity_conf *conf = entity_named(sync, entity);
	uint64_t unit = 0;
	json_t *names;

	for (size_t f = 0; conf != NULL && f < conf->def.n_fields; f++)
		if (strcmp(conf->def.fields[f].name, field) == 0)
			unit = decide_unit(&conf->def, f);
	if ((unit & (unit - 1)) == 0)
		return json_null();
	names = json_array();
	for (uint64_t rest = unit; rest != 0; rest &= rest - 1)
		json_array_append_new(names, control_text(conf->def.fields[__builtin_ctzll(rest)].name));
	return names;
}

json_t *decision_json(const struct sync *sync, const struct journal_decision *d)
{
	bool has_base = d->base_digest != NULL && d->base_digest[0] != '\0';
	json_t *j = control_object();

	json_object_set_new(j, "time", control_time(d->time_us));
	json_object_set_new(j, "entity", control_text(d->entity));
	json_object_set_new(j, "key", control_text(d->key));
	json_object_set_new(j, "field", control_text(d->field));
	json_object_set_new(j, "group", unit_json(sync, d->entity, d->field));
	json_object_set_new(j, "kind", control_text(d->kind));
	json_object_set_new(j, "rule", control_text(d->rule));
	json_object_set_new(j, "tie_break", control_text(d->tie_break));
	json_object_set_new(j, "winner", d->winner[0] != '\0' ? control_text(d->winner) : json_null());
	json_object_set_new(j, "base", value_json(sync, d->entity, d->field, d->base));
	json_object_set_new(j, "base_digest", has_base ? control_text(d->base_digest) : json_null());
	add_sides(j, sync, d);
	json_object_set_new(j, "private", json_boolean(is_private_field(sync, d->entity, d->field)));
	json_object_set_new(j, "round", json_integer((json_int_t)d->round));
	return j;
}

static bool on_decision(void *arg, const struct journal_decision *d)
{
	struct list *l = arg;

	control_add_line(l->out, decision_json(l->control->sync, d));
	return true;
}

static bool more_decisions(void *arg, struct buf *out)
{
	struct list *l = arg;
	struct journal *journal = list_journal(l);
	struct err e = { 0 };

	l->out = out;
	if (journal == NULL)
		return list_cut_short(l);
	if (!journal_story_each(journal, l->entity, l->key, l->since_us, DECISIONS_MOST, on_decision, l, &e))
		return list_broken(l, &e);
	return false;
}

bool since_parse(const char *text, int64_t *us)
{
	int64_t back_us;

	if (time_parse(text, us))
		return true;
	if (!duration_parse(text, &back_us))
		return false;
	*us = clock_wall_us() - back_us;
	return true;
}

void list_conflicts(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct http_producer producer = { .more = more_decisions, .end = list_free };
	const char *since = param_text(params, "since");
	int64_t since_us = 0;
	struct list *l;

	if (!entity_is_known(c, x, param_text(params, "entity")))
		return;
	if (json_is_true(json_object_get(params, "waiting"))) {
		list_waiting(c, x, params);
		return;
	}
	if (since != NULL && !since_parse(since, &since_us)) {
		control_refuse(x, EXIT_USAGE, "usage", "since: '%s' is neither a time like 2026-03-01T12:00:00Z nor a duration like 15m", since);
		return;
	}
	l = list_new(c, params);
	l->since_us = since_us;
	producer.arg = l;
	http_stream(x, CONTROL_LINES, &producer);
}
