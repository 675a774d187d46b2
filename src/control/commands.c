#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/topology.h"
#include "control/room.h"
#include "sync/sync.h"

enum { PARAMS_MAX = 10 };

struct command {
	const char *name;			/* what stands behind /v1/ */
	void (*run)(struct control *, struct http_exchange *, const json_t *params);
	bool without_sync;			/* works also while there is nothing to give orders to */
	struct param {
		const char *name;
		enum param_type { PARAM_TEXT = 1, PARAM_NUMBER, PARAM_FLAG } type;
		bool required;
	} params[PARAMS_MAX];
	const char *help;
};

/* ---- parameters -------------------------------------------------------------------------------------- */

const char *param_text(const json_t *params, const char *name)
{
	return json_string_value(json_object_get(params, name));
}

int param_word(struct http_exchange *x, const json_t *params, const char *name, const char *const *words)
{
	const char *word = param_text(params, name);
	struct buf all = { 0 };

	for (int i = 0; words[i] != NULL; i++)
		if (word == NULL || strcmp(word, words[i]) == 0)
			return i;
	for (int i = 0; words[i] != NULL; i++)
		buf_addf(&all, "%s%s", i == 0 ? "" : words[i + 1] != NULL ? ", " : " or ", words[i]);
	control_refuse(x, EXIT_USAGE, "usage", "%s: '%s' is not %s", name, word, all.p);
	buf_fini(&all);
	return -1;
}

static bool param_flag(const json_t *params, const char *name)
{
	return json_is_true(json_object_get(params, name));
}

/* Names of entities or endpoints, NULL-terminated, for text_nearest(); free() the list. */
static const char **entity_names(const struct sync *sync)
{
	size_t n = sync_entities(sync);
	const char **names = xcalloc(n + 1, sizeof *names);

	for (size_t i = 0; i < n; i++) {
		struct sync_entity_view v;

		sync_entity_view(sync, i, &v);
		names[i] = v.conf->def.name;
	}
	return names;
}

static const char **endpoint_names(const struct sync *sync)
{
	size_t n = sync_endpoints(sync);
	const char **names = xcalloc(n + 1, sizeof *names);

	for (size_t i = 0; i < n; i++) {
		struct sync_endpoint_view v;

		sync_endpoint_view(sync, i, &v);
		names[i] = v.conf->name;
	}
	return names;
}

static bool is_known(struct http_exchange *x, const char *what, const char *name, const char **names)
{
	const char *near;

	for (size_t i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], name) == 0) {
			free(names);
			return true;
		}
	near = text_nearest(name, names);
	control_refuse(x, EXIT_USAGE, "unknown", "there is no %s '%s'%s%s%s", what, name,
		       near != NULL ? "; did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
	free(names);
	return false;
}

bool entity_is_known(struct control *c, struct http_exchange *x, const char *entity)
{
	return entity == NULL || is_known(x, "entity", entity, entity_names(c->sync));
}

const struct entity_conf *entity_named(const struct sync *sync, const char *name)
{
	struct sync_entity_view v;

	for (size_t i = 0; i < sync_entities(sync); i++) {
		sync_entity_view(sync, i, &v);
		if (strcmp(v.conf->def.name, name) == 0)
			return v.conf;
	}
	return NULL;
}

bool endpoint_is_known(struct control *c, struct http_exchange *x, const char *endpoint)
{
	return endpoint == NULL || is_known(x, "endpoint", endpoint, endpoint_names(c->sync));
}

/* ---- status, metrics, kick, reload ------------------------------------------------------------------- */

static void run_status(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct pages p;

	control_pages(c, &p);
	control_answer(x, 200, status_json(&p));
}

static void run_metrics(struct control *c, struct http_exchange *x, const json_t *params)
{
	struct buf out = { 0 };
	struct pages p;

	control_pages(c, &p);
	metrics_json(&p, &out);
	http_reply(x, 200, CONTROL_LINES, NULL, out.p, out.len);
	buf_fini(&out);
}

static void run_kick(struct control *c, struct http_exchange *x, const json_t *params)
{
	json_t *j = control_object();

	sync_kick(c->sync, param_flag(params, "sweep"));
	json_object_set_new(j, "kicked", json_true());
	json_object_set_new(j, "sweep", json_boolean(param_flag(params, "sweep")));
	control_answer(x, 200, j);
}

static json_t *lines_of(const char *text)
{
	json_t *list = json_array();

	while (*text != '\0') {
		size_t len = strcspn(text, "\n");
		char *line = xstrndup(text, len);

		if (len > 0)
			json_array_append_new(list, control_text(line));
		free(line);
		text += len + (text[len] == '\n');
	}
	return list;
}

static void answer_reloaded(const struct control *c, struct http_exchange *x, const char *changes)
{
	json_t *j = control_object();

	json_object_set_new(j, "reloaded", json_true());
	json_object_set_new(j, "changes", lines_of(changes));
	json_object_set_new(j, "kept", lines_of(c->kept.len > 0 ? c->kept.p : ""));
	control_answer(x, 200, j);
}

static void refuse_reload(struct http_exchange *x, const char *problems)
{
	json_t *j = control_error(EXIT_CONFIGURATION, "config", "the topology was refused; the old one stays in force");

	json_object_set_new(j, "problems", lines_of(problems));
	control_answer(x, 422, j);
}

/*
 * A good topology comes into force once the rounds of the old one are finished: the daemon then calls
 * control_reloaded(), and only that is the answer. So whoever asked may rely on the new one.
 */
static void run_reload(struct control *c, struct http_exchange *x, const json_t *params)
{
	enum reload_begun begun = RELOAD_BUSY;
	bool first = c->reloading == NULL;
	char *problems = NULL;

	if (first) {
		c->reloading = x;
		begun = c->hooks.reload(c->hooks.arg, &problems);
	}
	if (begun == RELOAD_REFUSED)
		refuse_reload(x, problems != NULL ? problems : "");
	else if (begun == RELOAD_BUSY)
		control_refuse(x, EXIT_AGAIN, "busy", "a reload is under way; try again");
	if (first && begun != RELOAD_COMING)
		c->reloading = NULL;
	free(problems);
}

void commands_reloaded(struct control *c, const char *changes)
{
	struct http_exchange *x = c->reloading;

	c->reloading = NULL;
	if (x != NULL)
		answer_reloaded(c, x, changes);
}

/* ---- wait -------------------------------------------------------------------------------------------- */

struct waiting {
	struct waiting *prev, *next;
	struct control *control;
	struct http_exchange *x;
	struct sync_wait *wait;		/* NULL while there is no sync */
	int64_t began_us, until_us;	/* monotonic */
};

enum { WAIT_DEFAULT_US = 30 * 1000 * 1000, WAIT_ONCE_US = 1000 * 1000 };

static void waiting_free(struct waiting *w)
{
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		w->control->waits = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	free(w);
}

/* What stands aside everywhere. */
static void add_aside(json_t *j, const struct sync *sync)
{
	int64_t held = 0, waiting = 0;

	for (size_t i = 0; i < sync_entities(sync); i++) {
		struct sync_entity_view v;

		sync_entity_view(sync, i, &v);
		held += v.held;
		waiting += v.waiting;
	}
	json_object_set_new(j, "held", json_integer(held));
	json_object_set_new(j, "waiting", json_integer(waiting));
}

static void on_settled(void *arg, bool settled, const char *pending, int64_t parked)
{
	struct waiting *w = arg;
	json_t *j = settled ? control_object() : control_error(EXIT_AGAIN, "timeout", "not settled in time");

	json_object_set_new(j, "settled", json_boolean(settled));
	json_object_set_new(j, "seconds", json_real((double)(clock_mono_us() - w->began_us) / 1e6));
	json_object_set_new(j, "parked", json_integer(parked));
	add_aside(j, w->control->sync);
	json_object_set_new(j, "pending", lines_of(pending != NULL ? pending : ""));
	control_answer(w->x, settled ? 200 : 504, j);
	waiting_free(w);
}

static void on_asker_gone(void *arg)
{
	struct waiting *w = arg;

	if (w->wait != NULL)
		sync_wait_cancel(w->wait);
	http_forget(w->x);
	waiting_free(w);
}

static void run_wait(struct control *c, struct http_exchange *x, const json_t *params)
{
	const char *timeout = param_text(params, "timeout");
	int64_t timeout_us = WAIT_DEFAULT_US;
	struct waiting *w;

	if (timeout != NULL && !duration_parse(timeout, &timeout_us)) {
		control_refuse(x, EXIT_USAGE, "usage", "timeout: '%s' is not a duration such as 500ms, 30s or 10m", timeout);
		return;
	}
	w = xcalloc(1, sizeof *w);
	w->control = c;
	w->x = x;
	w->began_us = clock_mono_us();
	if (timeout_us == 0)		/* "is it?": that takes one look at every endpoint, and no more */
		timeout_us = WAIT_ONCE_US;
	w->until_us = w->began_us + timeout_us;
	w->next = c->waits;
	if (w->next != NULL)
		w->next->prev = w;
	c->waits = w;
	http_on_gone(x, on_asker_gone, w);
	w->wait = sync_wait(c->sync, timeout_us, on_settled, w);
}

void commands_move_waits(struct control *c, struct sync *next)
{
	for (struct waiting *w = c->waits; w != NULL; w = w->next) {
		int64_t left_us = w->until_us - clock_mono_us();

		if (w->wait != NULL)
			sync_wait_cancel(w->wait);
		w->wait = next != NULL ? sync_wait(next, left_us > 0 ? left_us : 1, on_settled, w) : NULL;
	}
}

void commands_end(struct control *c)
{
	if (c->reloading != NULL)
		control_refuse(c->reloading, EXIT_UNAVAILABLE, "stopping", "the daemon stops");
	c->reloading = NULL;
	while (c->waits != NULL) {
		struct waiting *w = c->waits;

		if (w->wait != NULL)
			sync_wait_cancel(w->wait);
		control_refuse(w->x, EXIT_UNAVAILABLE, "stopping", "the daemon stops");
		waiting_free(w);
	}
}

/* ---- install, uninstall ------------------------------------------------------------------------------ */

/* An order that an endpoint carries out; outlives its asker and, should the daemon stop, the room. */
struct order {
	struct http_exchange *x;
	char *endpoint;
	const char *done_word;
};

static struct order *order_new(struct http_exchange *x, const char *endpoint, const char *done_word)
{
	struct order *o = xcalloc(1, sizeof *o);

	o->x = x;
	o->endpoint = xstrdup(endpoint);
	o->done_word = done_word;
	return o;
}

static void order_free(struct order *o)
{
	free(o->endpoint);
	free(o);
}

static enum control_exit exit_of(const struct err *e)
{
	if (strcmp(e->code, "42501") == 0 || strncmp(e->code, "28", 2) == 0)	/* no privilege; login refused */
		return EXIT_NOT_PERMITTED;
	if (strncmp(e->code, "no-such-", 8) == 0)
		return EXIT_USAGE;
	switch (e->kind) {
	case ERR_CONFIG:	return EXIT_CONFIGURATION;
	case ERR_TRANSIENT:
	case ERR_ENDPOINT:	return EXIT_UNAVAILABLE;
	case ERR_ROW:		return EXIT_TROUBLE;
	}
	return EXIT_TROUBLE;
}

void control_refuse_err(struct http_exchange *x, const struct err *e)
{
	control_refuse(x, exit_of(e), e->code[0] != '\0' ? e->code : err_kind_name(e->kind), "%s", e->text);
}

static void on_order_done(void *arg, const struct err *e)
{
	struct order *o = arg;

	if (e != NULL) {
		control_refuse_err(o->x, e);
	} else {
		json_t *j = control_object();

		json_object_set_new(j, "endpoint", control_text(o->endpoint));
		json_object_set_new(j, o->done_word, json_true());
		control_answer(o->x, 200, j);
	}
	order_free(o);
}

static void on_print_done(void *arg, const char *text, const struct err *e)
{
	struct order *o = arg;

	if (e != NULL) {
		control_refuse_err(o->x, e);
	} else {
		json_t *j = control_object();

		json_object_set_new(j, "endpoint", control_text(o->endpoint));
		json_object_set_new(j, "sql", control_text(text));
		control_answer(o->x, 200, j);
	}
	order_free(o);
}

static void order_refused(struct order *o, const struct err *e)
{
	control_refuse_err(o->x, e);
	order_free(o);
}

static void run_install(struct control *c, struct http_exchange *x, const json_t *params)
{
	const char *endpoint = param_text(params, "endpoint");
	bool print = param_flag(params, "print");
	struct err e = { 0 };
	struct order *o;

	if (!endpoint_is_known(c, x, endpoint))
		return;
	o = order_new(x, endpoint, "installed");
	if (!(print ? sync_install_print(c->sync, endpoint, on_print_done, o, &e) :
		      sync_install(c->sync, endpoint, on_order_done, o, &e)))
		order_refused(o, &e);
}

static void run_uninstall(struct control *c, struct http_exchange *x, const json_t *params)
{
	const char *endpoint = param_text(params, "endpoint");
	struct err e = { 0 };
	struct order *o;

	if (!endpoint_is_known(c, x, endpoint))
		return;
	o = order_new(x, endpoint, "uninstalled");
	if (!sync_uninstall(c->sync, endpoint, on_order_done, o, &e))
		order_refused(o, &e);
}

/* ---- pause, resume ----------------------------------------------------------------------------------- */

/* An endpoint or an entity. */
static bool name_is_known(struct control *c, struct http_exchange *x, const char *name)
{
	size_t entities = sync_entities(c->sync), endpoints = sync_endpoints(c->sync);
	const char **names = xcalloc(entities + endpoints + 1, sizeof *names);
	const char **of_entities = entity_names(c->sync), **of_endpoints = endpoint_names(c->sync);

	memcpy(names, of_entities, entities * sizeof *names);
	memcpy(names + entities, of_endpoints, endpoints * sizeof *names);
	free(of_entities);
	free(of_endpoints);
	return is_known(x, "endpoint or entity", name, names);
}

static void pause_or_resume(struct control *c, struct http_exchange *x, const json_t *params,
			    bool (*act)(struct sync *, const char *, struct err *), bool paused)
{
	const char *name = param_text(params, "name");
	struct err e = { 0 };
	json_t *j;

	if (!name_is_known(c, x, name))
		return;
	if (!act(c->sync, name, &e)) {
		control_refuse_err(x, &e);
		return;
	}
	j = control_object();
	json_object_set_new(j, "name", control_text(name));
	json_object_set_new(j, "paused", json_boolean(paused));
	control_answer(x, 200, j);
}

static void run_pause(struct control *c, struct http_exchange *x, const json_t *params)
{
	pause_or_resume(c, x, params, sync_pause, true);
}

static void run_resume(struct control *c, struct http_exchange *x, const json_t *params)
{
	pause_or_resume(c, x, params, sync_resume, false);
}

/* ---- parked: retry, discard (list and show: lists.c) ------------------------------------------------- */

static void run_parked_retry(struct control *c, struct http_exchange *x, const json_t *params)
{
	const char *entity = param_text(params, "entity");
	int64_t id = json_integer_value(json_object_get(params, "id"));
	struct err e = { 0 };
	int64_t retried, resting = 0;
	json_t *j;

	if (!entity_is_known(c, x, entity))
		return;
	retried = sync_parked_retry(c->sync, entity, id, &resting, &e);
	if (e.kind != 0) {
		control_refuse_err(x, &e);
		return;
	}
	if (id != 0 && retried == 0) {
		control_refuse(x, EXIT_USAGE, "unknown", "no record is parked under number %lld", (long long)id);
		return;
	}
	j = control_object();
	json_object_set_new(j, "retried", json_integer(retried));
	json_object_set_new(j, "resting", json_integer(resting));
	control_answer(x, 200, j);
}

static void run_parked_discard(struct control *c, struct http_exchange *x, const json_t *params)
{
	int64_t id = json_integer_value(json_object_get(params, "id"));
	struct err e = { 0 };
	json_t *j;

	if (!sync_parked_discard(c->sync, id, &e)) {
		control_refuse_err(x, &e);
		return;
	}
	j = control_object();
	json_object_set_new(j, "id", json_integer(id));
	json_object_set_new(j, "discarded", json_true());
	control_answer(x, 200, j);
}

/* ---- the table --------------------------------------------------------------------------------------- */

static const struct command commands[] = {
	{ "status", run_status, false, { { 0 } }, "The object of GET /status." },
	{ "wait", run_wait, false, { { "timeout", PARAM_TEXT } }, "Answers once everything captured is settled everywhere." },
	{ "install", run_install, false, { { "endpoint", PARAM_TEXT, true }, { "print", PARAM_FLAG } },
	  "Creates, or prints, the objects that capture needs on the endpoint." },
	{ "uninstall", run_uninstall, false, { { "endpoint", PARAM_TEXT, true } }, "Removes these objects." },
	{ "parked/list", list_parked, false, { { "entity", PARAM_TEXT }, { "endpoint", PARAM_TEXT }, { "key", PARAM_TEXT } },
	  "The parked records, a line each." },
	{ "parked/show", show_parked, false, { { "id", PARAM_NUMBER, true } }, "One parked record." },
	{ "parked/retry", run_parked_retry, false, { { "id", PARAM_NUMBER }, { "entity", PARAM_TEXT } },
	  "Tries one, an entity's or all parked records again." },
	{ "parked/discard", run_parked_discard, false, { { "id", PARAM_NUMBER, true } }, "Leaves a parked record different until it changes." },
	{ "held/list", held_list, false, { { "entity", PARAM_TEXT } }, "The sets of deletes that limits.mass_delete holds, a line each." },
	{ "held/show", held_show, false, { { "set", PARAM_TEXT, true } }, "The records of a set, a line each." },
	{ "held/release", held_release, false, { { "set", PARAM_TEXT, true } }, "Carries the deletes of a set out." },
	{ "held/discard", held_discard, false, { { "set", PARAM_TEXT, true } }, "Brings the rows back where they are gone." },
	{ "conflicts", list_conflicts, false,
	  { { "entity", PARAM_TEXT }, { "since", PARAM_TEXT }, { "key", PARAM_TEXT }, { "waiting", PARAM_FLAG } },
	  "The newest thousand decisions, oldest first, a line each; with waiting, all that waits for one by a person." },
	{ "decide", decide_waiting, false,
	  { { "entity", PARAM_TEXT, true }, { "key", PARAM_TEXT, true }, { "field", PARAM_TEXT, true }, { "endpoint", PARAM_TEXT },
	    { "value", PARAM_TEXT }, { "null", PARAM_FLAG } },
	  "Settles what waits: by an endpoint's value, by this one or by NULL." },
	{ "plan", run_plan, false, { { "entity", PARAM_TEXT, true }, { "lines", PARAM_FLAG } },
	  "What a full reconcile of the entity would write; with lines, each write." },
	{ "pause", run_pause, false, { { "name", PARAM_TEXT, true } }, "Stops an endpoint or an entity." },
	{ "resume", run_resume, false, { { "name", PARAM_TEXT, true } }, "Lets it go on." },
	{ "kick", run_kick, false, { { "sweep", PARAM_FLAG } }, "Looks at every endpoint now, tries those that are down; with sweep, compares everything." },
	{ "reload", run_reload, true, { { 0 } }, "Reads the topology again: all of it or nothing." },
	{ "metrics", run_metrics, false, { { 0 } }, "The metrics, a line each." },

	{ "backup", run_backup, false, { { 0 } }, "The state and the journal as a file: its bytes, no JSON. One without its seal is not whole." },

	{ "migrate", run_migrate, false,
	  { { "entity", PARAM_TEXT, true }, { "from", PARAM_TEXT, true }, { "to", PARAM_TEXT, true }, { "strategy", PARAM_TEXT },
	    { "jobs", PARAM_NUMBER }, { "onto", PARAM_TEXT }, { "rate", PARAM_NUMBER },
	    { "max_load", PARAM_NUMBER }, { "max_lag", PARAM_TEXT } },
	  "Brings an entity's rows from one endpoint to another: how far it is, a line each, then the sum. It stops when the client leaves, and goes on when asked again." },
	{ "verify", run_verify, false, { { "entity", PARAM_TEXT }, { "depth", PARAM_TEXT }, { "open", PARAM_FLAG } },
	  "Compares the real rows of the endpoints: what differs (and with open what is open), a line each, then the sum." },
	{ "repair", run_repair, false, { { "entity", PARAM_TEXT }, { "from", PARAM_TEXT }, { "dry_run", PARAM_FLAG } },
	  "The same, and makes the differing rows agree by the entity's own rules or as an endpoint shows them, or tells what it would write." },
	{ "history", run_history, false,
	  { { "entity", PARAM_TEXT }, { "key", PARAM_TEXT }, { "run", PARAM_NUMBER }, { "since", PARAM_TEXT }, { "until", PARAM_TEXT },
	    { "source", PARAM_TEXT }, { "endpoint", PARAM_TEXT }, { "runs", PARAM_FLAG } },
	  "What our writes wrote over, newest first, a line each; without key, run and since the newest thousand. With runs, these." },
	{ "undo", run_undo, false,
	  { { "entity", PARAM_TEXT }, { "key", PARAM_TEXT }, { "run", PARAM_NUMBER }, { "since", PARAM_TEXT }, { "until", PARAM_TEXT },
	    { "source", PARAM_TEXT }, { "endpoint", PARAM_TEXT }, { "rule", PARAM_TEXT }, { "dry_run", PARAM_FLAG } },
	  "Puts that back, where nobody has touched it since: what was skipped, a line each, then the sum. With dry_run, what would be." },
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < countof(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static void refuse_unknown(struct http_exchange *x, const char *name)
{
	const char *names[countof(commands) + 1], *near;
	json_t *j;

	for (size_t i = 0; i < countof(commands); i++)
		names[i] = commands[i].name;
	names[countof(commands)] = NULL;
	near = text_nearest(name, names);
	j = control_error(EXIT_USAGE, "unknown", "there is no command '%s'%s%s%s", name,
			  near != NULL ? "; did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
	control_answer(x, 404, j);
}

static const char *type_word(enum param_type type)
{
	switch (type) {
	case PARAM_TEXT:	return "a string";
	case PARAM_NUMBER:	return "a whole number";
	case PARAM_FLAG:	return "true or false";
	}
	return "";
}

static bool type_fits(enum param_type type, const json_t *value)
{
	switch (type) {
	case PARAM_TEXT:	return json_is_string(value);
	case PARAM_NUMBER:	return json_is_integer(value);
	case PARAM_FLAG:	return json_is_boolean(value);
	}
	return false;
}

static const struct param *param_find(const struct command *command, const char *name)
{
	for (size_t i = 0; i < PARAMS_MAX && command->params[i].name != NULL; i++)
		if (strcmp(command->params[i].name, name) == 0)
			return &command->params[i];
	return NULL;
}

static bool params_fit(const struct command *command, struct http_exchange *x, json_t *params)
{
	const char *name;
	json_t *value;

	json_object_foreach(params, name, value) {
		const struct param *p = param_find(command, name);

		if (p == NULL) {
			control_refuse(x, EXIT_USAGE, "usage", "%s takes no parameter '%s'", command->name, name);
			return false;
		}
		if (!type_fits(p->type, value)) {
			control_refuse(x, EXIT_USAGE, "usage", "%s: %s must be %s", command->name, name, type_word(p->type));
			return false;
		}
	}
	for (size_t i = 0; i < PARAMS_MAX && command->params[i].name != NULL; i++) {
		const struct param *p = &command->params[i];

		if (p->required && json_object_get(params, p->name) == NULL) {
			control_refuse(x, EXIT_USAGE, "usage", "%s: %s is missing", command->name, p->name);
			return false;
		}
	}
	return true;
}

static void run_with(struct control *c, struct http_exchange *x, const struct command *command, json_t *params)
{
	if (!params_fit(command, x, params))
		return;
	if (c->sync == NULL && !command->without_sync) {
		control_refuse(x, EXIT_UNAVAILABLE, "starting", "the daemon is starting or stopping");
		return;
	}
	log_debug("command", LOG_S("name", command->name));
	command->run(c, x, params);
}

void commands_run(struct control *c, struct http_exchange *x, const char *name, const struct http_request *rq)
{
	const struct command *command = command_find(name);
	json_error_t where;
	json_t *params;

	if (command == NULL) {
		refuse_unknown(x, name);
		return;
	}
	params = rq->body_len == 0 ? json_object() : json_loadb(rq->body, rq->body_len, JSON_REJECT_DUPLICATES, &where);
	if (params == NULL)
		control_refuse(x, EXIT_USAGE, "usage", "the body is not JSON: line %d, column %d", where.line, where.column);
	else if (!json_is_object(params))
		control_refuse(x, EXIT_USAGE, "usage", "the body is not a JSON object");
	else
		run_with(c, x, command, params);
	json_decref(params);
}

static json_t *command_json(const struct command *command)
{
	json_t *j = json_object(), *params = json_object();

	json_object_set_new(j, "name", json_string(command->name));
	json_object_set_new(j, "help", json_string(command->help));
	for (size_t i = 0; i < PARAMS_MAX && command->params[i].name != NULL; i++)
		json_object_set_new(params, command->params[i].name, json_string(type_word(command->params[i].type)));
	json_object_set_new(j, "params", params);
	return j;
}

void commands_list(struct http_exchange *x)
{
	json_t *j = control_object(), *list = json_array();

	for (size_t i = 0; i < countof(commands); i++)
		json_array_append_new(list, command_json(&commands[i]));
	json_object_set_new(j, "commands", list);
	control_answer(x, 200, j);
}

void commands_each(void (*fn)(void *arg, const char *name, const char *help), void *arg)
{
	for (size_t i = 0; i < countof(commands); i++)
		fn(arg, commands[i].name, commands[i].help);
}
