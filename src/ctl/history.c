/*
 * history.c - `crmsyncctl history`: what was there before our writes, a line for each, or the runs as a table; and `crmsyncctl undo`.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ctl/asking.h"

enum { LINES_MOST = 1000, UNCUT = 100000, VALUE_MOST = 200 };

static void print_line(struct buf *line)
{
	struct buf out = { 0 };

	progress_wipe();
	wrap_add(&out, line->p, 0, SIZE_MAX);
	say(&out);
	buf_fini(&out);
}

/* ---- the images -------------------------------------------------------------------------------------- */

static void add_values(struct buf *line, const json_t *fields, const char *before, const char *after)
{
	const char *name, *separator = ": ";
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)fields, name, v) {
		bool hidden = json_is_true(json_object_get(v, "private"));

		buf_addf(line, "%s%s was ", separator, name);
		add_value(line, json_object_get(v, before), hidden, VALUE_MOST);
		if (json_object_get(v, after) != NULL) {
			buf_adds(line, ", now ");
			add_value(line, json_object_get(v, after), hidden, VALUE_MOST);
		}
		separator = "; ";
	}
}

/* 2026-03-01 12:00:00 run 17, of sales: contact ann@example.org updated at support: phone was "1", now "2" */
static void show_image(struct asking *a, const json_t *j)
{
	struct buf line = { 0 };
	const char *op = str(j, "operation");

	add_time(&line, str(j, "time"));
	buf_addf(&line, " run %lld, of %s: %s %s", (long long)number(j, "run"), str(j, "source"), str(j, "entity"), str(j, "key"));
	buf_addf(&line, " %s at %s", strcmp(op, "insert") == 0 ? "inserted" : strcmp(op, "update") == 0 ? "updated" : "deleted", str(j, "endpoint"));
	add_values(&line, json_object_get(j, "fields"), "before", "after");
	if (json_is_true(json_object_get(j, "failed")))
		buf_adds(&line, " (refused there: not written)");
	print_line(&line);
	buf_fini(&line);
}

/* ---- the runs ---------------------------------------------------------------------------------------- */

static const struct table_column columns[] = {
	{ "RUN", .right = true }, { "SOURCE" }, { "FROM" }, { "TO" }, { "WRITES", .right = true }, { "BYTES", .right = true },
	{ "ENTITIES", .elastic = true },
};
static struct table runs = { .columns = columns, .n_columns = countof(columns) };

static void take_run(struct asking *a, const json_t *j)
{
	struct buf from = { 0 }, to = { 0 };

	add_time(&from, str(j, "first"));
	add_time(&to, str(j, "last"));
	table_cell(&runs, BOLD, "%lld", (long long)number(j, "run"));
	table_cell(&runs, PLAIN, "%s", str(j, "source"));
	table_cell(&runs, PLAIN, "%s", from.p != NULL ? from.p : "");
	table_cell(&runs, PLAIN, "%s", to.p != NULL ? to.p : "");
	table_cell(&runs, PLAIN, "%lld", (long long)number(j, "writes"));
	table_cell(&runs, PLAIN, "%lld", (long long)number(j, "bytes"));
	table_cell(&runs, PLAIN, "%s", str(j, "entities"));
	buf_fini(&from);
	buf_fini(&to);
}

/* ---- asking ------------------------------------------------------------------------------------------ */

static bool set_filter(const struct ctl *c, json_t *params)
{
	char *end;

	set_text(params, "entity", c->entity);
	set_text(params, "key", c->key);
	set_text(params, "since", c->since);
	set_text(params, "until", c->until);
	set_text(params, "source", c->source);
	set_text(params, "endpoint", c->endpoint);
	if (c->run == NULL)
		return true;
	json_object_set_new(params, "run", json_integer(strtoll(c->run, &end, 10)));
	if (*c->run >= '1' && *c->run <= '9' && *end == '\0')
		return true;
	complain("--run: '%s' is not the number of a run; see crmsyncctl history --runs", c->run);
	return false;
}

int run_history(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = c->runs ? take_run : show_image };
	json_t *params = json_object();
	struct buf out = { 0 };
	int rc;

	if (!set_filter(c, params)) {
		json_decref(params);
		return CTL_USAGE;
	}
	if (c->runs)
		json_object_set_new(params, "runs", json_true());
	rc = order(&a, "history", params, patience(c, SILENCE_US));
	if (!c->json && runs.n_cells > 0) {
		table_print(&runs, &out, isatty(STDOUT_FILENO) ? screen(false) : UNCUT, c->color);
		say(&out);
		buf_fini(&out);
	}
	if (!c->runs && a.lines == LINES_MOST && c->key == NULL && c->run == NULL && c->since == NULL)
		complain("these are the newest %d; there may be older ones: --since, --run or --key shows them", LINES_MOST);
	return rc;
}

/* ---- undo -------------------------------------------------------------------------------------------- */

static void show_progress(struct asking *a, const json_t *progress)
{
	struct buf line = { 0 };

	job_add(&line, progress);
	progress_draw(line.p);
	buf_fini(&line);
}

static void add_restored(struct buf *line, const json_t *j)
{
	const char *what = str(j, "puts_back");

	buf_adds(line, strcmp(what, "delete") == 0 ? ": would be deleted" : strcmp(what, "record") == 0 ? ": would be inserted again" : ": would be put back");
	if (json_array_size(json_object_get(j, "endpoints")) > 0)
		buf_adds(line, " at ");
	names_add(line, json_object_get(j, "endpoints"));
	if (strcmp(what, "values") == 0)
		add_values(line, json_object_get(j, "fields"), "now", "restored");
}

/* contact ann@example.org: phone is left alone: it was changed since */
static void show_undone(struct asking *a, const json_t *j)
{
	const char *outcome = str(j, "outcome");
	const json_t *fields = json_object_get(j, "skipped_fields");
	struct buf line = { 0 };

	buf_addf(&line, "%s %s", str(j, "entity"), str(j, "key"));
	if (strcmp(outcome, "restored") == 0) {
		add_restored(&line, j);
	} else if (strcmp(outcome, "waits") == 0) {
		buf_adds(&line, ": is put back as soon as that is possible");
		if (str(j, "reason")[0] != '\0')
			buf_addf(&line, "; until now it was not: %s", str(j, "reason"));
	} else {
		buf_adds(&line, ": ");
		names_add(&line, fields);
		buf_addf(&line, "%sleft alone: %s", json_array_size(fields) > 1 ? " are " : json_array_size(fields) == 1 ? " is " : "", str(j, "reason"));
		if (strcmp(outcome, "partly") == 0)
			buf_adds(&line, "; the rest is put back");
	}
	print_line(&line);
	buf_fini(&line);
}

static void show(struct asking *a, const json_t *j)
{
	bool dry = json_is_true(json_object_get(j, "dry_run"));
	struct buf line = { 0 };

	if (json_object_get(j, "outcome") != NULL) {
		show_undone(a, j);
		return;
	}
	buf_addf(&line, "%lld record%s %s, %lld left alone", (long long)number(j, "restored"), number(j, "restored") == 1 ? "" : "s",
		 dry ? "would be restored" : "restored", (long long)number(j, "skipped"));
	if (number(j, "partly") > 0)
		buf_addf(&line, " (%lld of them in part)", (long long)number(j, "partly"));
	if (number(j, "waiting") > 0)
		buf_addf(&line, " (%lld of them wait)", (long long)number(j, "waiting"));
	if (!dry && number(j, "restored") + number(j, "partly") + number(j, "waiting") > 0)
		buf_addf(&line, "; crmsyncctl undo --run %lld undoes that%s", (long long)number(j, "run"),
			 number(j, "waiting") > 0 ? ", as far as it is carried out by then" : "");
	print_line(&line);
	buf_fini(&line);
}

static void judge(struct asking *a, const json_t *j)
{
	if (json_object_get(j, "outcome") == NULL && number(j, "skipped") > 0)
		a->rc = CTL_DIFFERENT;
}

/* The daemon says so, too; but wrong words are wrong without one. */
static bool says_what(const struct ctl *c)
{
	if (c->run != NULL || c->since != NULL || (c->entity != NULL && c->key != NULL))
		return true;
	complain("undo what? A run (see history --runs), what was written since a time, or one record: --run ID, --since T, or --entity E --key K");
	return false;
}

int run_undo(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show, .progress = show_progress, .judge = judge };
	json_t *params = json_object();
	int rc;

	if (!says_what(c) || !set_filter(c, params)) {
		json_decref(params);
		return CTL_USAGE;
	}
	set_text(params, "rule", c->rule);
	if (c->dry_run)
		json_object_set_new(params, "dry_run", json_true());
	rc = order(&a, "undo", params, patience(c, SILENCE_US));
	progress_wipe();
	return rc;
}
