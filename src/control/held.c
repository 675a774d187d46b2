/*
 * held.c - commands about deletes that the mass-delete guard holds.
 *
 * Of sets there are few; the deletes in one are read page by page, like parked records (lists.c).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "control/room.h"
#include "journal/journal.h"
#include "sync/sync.h"

enum { PAGE_LINES = 200 };

static const char *const state_words[] = {
	[HELD_NOT] = "", [HELD_WAITS] = "held", [HELD_RELEASED] = "released", [HELD_DISCARDED] = "discarded",
};

/* ---- list -------------------------------------------------------------------------------------------- */

struct sets {
	const char *entity;		/* NULL: any */
	struct buf out;
};

static bool on_set(void *arg, const struct journal_held_set *set)
{
	struct sets *sets = arg;
	char *name;
	json_t *j;

	if (sets->entity != NULL && strcmp(sets->entity, set->entity) != 0)
		return true;
	name = xasprintf("%s/%s/%lld", set->entity, set->endpoint, (long long)set->number);
	j = control_object();
	json_object_set_new(j, "set", control_text(name));
	json_object_set_new(j, "entity", control_text(set->entity));
	json_object_set_new(j, "endpoint", control_text(set->endpoint));
	json_object_set_new(j, "state", json_string(state_words[set->state]));
	json_object_set_new(j, "deletes", json_integer(set->deletes));
	json_object_set_new(j, "first", control_time(set->first_us));
	json_object_set_new(j, "last", control_time(set->last_us));
	control_add_line(&sets->out, j);
	free(name);
	return true;
}

void held_list(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct sets sets = { .entity = param_text(params, "entity") };
	struct err e = { 0 };

	if (!entity_is_known(c, x, sets.entity))
		return;
	buf_adds(&sets.out, "");
	if (journal_held_sets_each(sync_journal(c->sync), on_set, &sets, &e))
		http_reply(x, 200, CONTROL_LINES, NULL, sets.out.p, sets.out.len);
	else
		control_refuse(x, EXIT_TROUBLE, "journal", "%s", e.text);
	buf_fini(&sets.out);
}

/* ---- show -------------------------------------------------------------------------------------------- */

struct showing {
	struct control *control;
	int64_t set, after;
	size_t seen;			/* in this page */
	struct buf *out;		/* during a page */
};

static bool on_held(void *arg, const struct journal_held *h)
{
	struct showing *s = arg;
	json_t *j = control_object();

	s->seen++;
	s->after = h->id;
	json_object_set_new(j, "entity", control_text(h->entity));
	json_object_set_new(j, "key", control_text(h->key));
	json_object_set_new(j, "endpoint", control_text(h->endpoint));
	json_object_set_new(j, "time", control_time(h->time_us));
	control_add_line(s->out, j);
	return true;
}

static bool more_held(void *arg, struct buf *out)
{
	struct showing *s = arg;
	struct err e = { 0 };

	s->out = out;
	s->seen = 0;
	if (s->control->sync == NULL)
		control_add_line(out, control_error(EXIT_AGAIN, "stopping", "the daemon is starting or stopping; ask again"));
	else if (!journal_held_each(sync_journal(s->control->sync), s->set, s->after, PAGE_LINES, on_held, s, &e))
		control_add_line(out, control_error(EXIT_TROUBLE, "journal", "%s", e.text));
	return s->seen == PAGE_LINES;
}

struct wanted_set {
	const char *name;
	int64_t number;			/* 0: there is none of that name */
};

static bool find_set(void *arg, const struct journal_held_set *set)
{
	struct wanted_set *w = arg;
	char *name = xasprintf("%s/%s/%lld", set->entity, set->endpoint, (long long)set->number);

	if (strcmp(name, w->name) == 0)
		w->number = set->number;
	free(name);
	return w->number == 0;
}

void held_show(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct http_producer producer = { .more = more_held, .end = free };
	struct wanted_set w = { .name = param_text(params, "set") };
	struct err e = { 0 };
	struct showing *s;

	if (!journal_held_sets_each(sync_journal(c->sync), find_set, &w, &e)) {
		control_refuse(x, EXIT_TROUBLE, "journal", "%s", e.text);
		return;
	}
	if (w.number == 0) {
		control_refuse(x, EXIT_USAGE, "unknown", "there are no held deletes '%s'; crmsyncctl held list shows the sets", w.name);
		return;
	}
	s = xcalloc(1, sizeof *s);
	s->control = c;
	s->set = w.number;
	producer.arg = s;
	http_stream(x, CONTROL_LINES, &producer);
}

/* ---- release, discard -------------------------------------------------------------------------------- */

static void order(struct control *c, struct http_exchange *x, const json_t *params, bool discard)
{
	const char *set = param_text(params, "set");
	struct err e = { 0 };
	json_t *j;

	if (!sync_held_order(c->sync, set, discard, &e)) {
		control_refuse(x, e.kind == ERR_ROW ? EXIT_USAGE : EXIT_TROUBLE, e.code, "%s", e.text);
		return;
	}
	j = control_object();
	json_object_set_new(j, "set", control_text(set));
	json_object_set_new(j, discard ? "discarded" : "released", json_true());
	control_answer(x, 200, j);
}

void held_release(struct control *c, struct http_exchange *x, const json_t *params)
{
	order(c, x, params, false);
}

void held_discard(struct control *c, struct http_exchange *x, const json_t *params)
{
	order(c, x, params, true);
}
