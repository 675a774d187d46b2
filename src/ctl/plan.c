/*
 * plan.c - `crmsyncctl plan`: what a full reconcile would write, with its progress on a terminal.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "ctl/asking.h"

/* ---- progress ---------------------------------------------------------------------------------------- */

static void show_progress(struct asking *a, const json_t *progress)
{
	struct buf line = { 0 };

	job_add(&line, progress);
	if (number(progress, "pass") > 1)
		buf_addf(&line, " (pass %lld)", (long long)number(progress, "pass"));
	progress_draw(line.p);
	buf_fini(&line);
}

/* ---- the sum ----------------------------------------------------------------------------------------- */

static void add_count(struct buf *out, json_int_t n, const char *what)
{
	if (n > 0)
		buf_addf(out, "%s%lld %s%s", out->len > 0 ? ", " : "", (long long)n, what, n == 1 ? "" : "s");
}

static void show_headline(const json_t *sum, struct buf *out, size_t width)
{
	struct buf line = { 0 }, counts = { 0 };

	add_count(&counts, number(sum, "inserts"), "insert");
	add_count(&counts, number(sum, "updates"), "update");
	add_count(&counts, number(sum, "deletes"), "delete");
	buf_addf(&line, "A full reconcile of %s would write %s", str(sum, "entity"), counts.len > 0 ? counts.p : "nothing");
	if (number(sum, "held") > 0)
		buf_addf(&line, "; %lld deletes would be held", (long long)number(sum, "held"));
	if (number(sum, "parked") > 0)
		buf_addf(&line, "; %lld would be parked", (long long)number(sum, "parked"));
	buf_adds(&line, ". Nothing was written now.");
	wrap_add(out, line.p, 0, width);
	buf_fini(&line);
	buf_fini(&counts);
}

static void cell(struct table *t, json_int_t n, enum paint paint)
{
	table_cell(t, n > 0 ? paint : PLAIN, "%lld", (long long)n);
}

static void show_table(const json_t *endpoints, struct buf *out, size_t width, bool color)
{
	static const struct table_column columns[] = {
		{ "ENDPOINT", .elastic = true }, { "INSERT", .right = true }, { "UPDATE", .right = true }, { "DELETE", .right = true },
		{ "HOLD", .right = true }, { "PARK", .right = true }, { "" },
	};
	struct table t = { .columns = columns, .n_columns = 7 };
	const json_t *p;
	size_t i;

	json_array_foreach(endpoints, i, p) {
		table_cell(&t, PLAIN, "%s", str(p, "endpoint"));
		cell(&t, number(p, "inserts"), PLAIN);
		cell(&t, number(p, "updates"), PLAIN);
		cell(&t, number(p, "deletes"), YELLOW);
		cell(&t, number(p, "held"), RED);
		cell(&t, number(p, "parked"), RED);
		table_cell(&t, YELLOW, "%s", json_is_false(json_object_get(p, "looked_at")) ? "not looked at" : "");
	}
	table_print(&t, out, width, color);
}

/* "ann@example.org, bob@example.org" */
static void add_keys(struct buf *line, const json_t *keys)
{
	const json_t *key;
	size_t i;

	json_array_foreach(keys, i, key)
		buf_addf(line, "%s%s", i > 0 ? ", " : "", json_string_value(key) != NULL ? json_string_value(key) : "");
}

static void show_fields(const json_t *p, struct buf *out, size_t width)
{
	struct buf line = { 0 };
	const char *field;
	json_t *n;

	json_object_foreach((json_t *)(uintptr_t)json_object_get(p, "fields"), field, n)
		buf_addf(&line, "%s%s %lld", line.len > 0 ? ", " : "", field, (long long)json_integer_value(n));
	if (line.len > 0) {
		struct buf whole = { 0 };

		buf_addf(&whole, "%s: fields updated: %s", str(p, "endpoint"), line.p);
		wrap_add(out, whole.p, 2, width);
		buf_fini(&whole);
	}
	buf_fini(&line);
}

static void show_examples(const json_t *p, struct buf *out, size_t width)
{
	const char *action;
	json_t *keys;

	json_object_foreach((json_t *)(uintptr_t)json_object_get(p, "examples"), action, keys) {
		struct buf line = { 0 };

		buf_addf(&line, "%s: %s for example ", str(p, "endpoint"), action);
		add_keys(&line, keys);
		wrap_add(out, line.p, 2, width);
		buf_fini(&line);
	}
}

static void show_causes(const json_t *p, struct buf *out, size_t width)
{
	const char *code;
	json_t *cause;

	json_object_foreach((json_t *)(uintptr_t)json_object_get(p, "causes"), code, cause) {
		struct buf line = { 0 };

		buf_addf(&line, "%s: park %lld by %s: %s; for example ", str(p, "endpoint"), (long long)number(cause, "parked"), code,
			 str(cause, "cause"));
		add_keys(&line, json_object_get(cause, "examples"));
		wrap_add(out, line.p, 2, width);
		buf_fini(&line);
	}
}

static void show_notes(const json_t *p, struct buf *out, size_t width)
{
	struct buf line = { 0 };

	if (json_is_false(json_object_get(p, "looked_at")))
		buf_addf(&line, "%s: not looked at: what it has, and what it would get, is not in this plan (%s)", str(p, "endpoint"),
			 str(p, "reason")[0] != '\0' ? str(p, "reason") : "it cannot be used now");
	else if (number(p, "after_parent") > 0)
		buf_addf(&line, "%s: %lld of these point to rows that are not there yet; these come first", str(p, "endpoint"),
			 (long long)number(p, "after_parent"));
	if (line.len > 0)
		wrap_add(out, line.p, 2, width);
	buf_clear(&line);
	if (number(p, "parked_now") > 0) {
		buf_addf(&line, "%s: %lld of these were refused there before and are parked; they would be tried again", str(p, "endpoint"),
			 (long long)number(p, "parked_now"));
		wrap_add(out, line.p, 2, width);
	}
	buf_fini(&line);
}

static void show_conflicts(const json_t *rules, struct buf *out, size_t width)
{
	const char *rule, *endpoint;
	json_t *r, *n;

	json_object_foreach((json_t *)(uintptr_t)rules, rule, r) {
		struct buf line = { 0 };

		buf_addf(&line, "conflicts: %lld by %s", (long long)number(r, "decisions"), rule);
		json_object_foreach(json_object_get(r, "winners"), endpoint, n)
			buf_addf(&line, ", %s would win %lld", endpoint, (long long)json_integer_value(n));
		buf_adds(&line, "; for example ");
		add_keys(&line, json_object_get(r, "examples"));
		wrap_add(out, line.p, 2, width);
		buf_fini(&line);
	}
}

static void show_sum(struct asking *a, const json_t *sum)
{
	const json_t *endpoints = json_object_get(sum, "endpoints"), *p;
	size_t width = screen(false), i;
	struct buf out = { 0 };

	progress_wipe();
	show_headline(sum, &out, width);
	buf_addc(&out, '\n');
	show_table(endpoints, &out, width, a->c->color);
	json_array_foreach(endpoints, i, p) {
		show_notes(p, &out, width);
		show_fields(p, &out, width);
		show_examples(p, &out, width);
		show_causes(p, &out, width);
	}
	show_conflicts(json_object_get(sum, "conflicts_by_rule"), &out, width);
	say(&out);
	buf_fini(&out);
}

int run_plan(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show_sum, .progress = show_progress };
	json_t *params = json_object();
	int rc;

	set_text(params, "entity", args[0]);
	if (c->json)
		json_object_set_new(params, "lines", json_true());
	rc = order(&a, "plan", params, patience(c, SILENCE_US));
	progress_wipe();
	return rc;
}
