/*
 * verify.c - `crmsyncctl verify` and `repair`: do the endpoints show the same? What differs, a line each, what would be written, then the
 * sum.
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "ctl/asking.h"
#include "ctl/report.h"

/* ---- progress ---------------------------------------------------------------------------------------- */

static void show_progress(struct asking *a, const json_t *progress)
{
	struct buf line = { 0 };

	buf_addf(&line, "%s: ", str(progress, "entity"));
	job_add(&line, progress);
	progress_draw(line.p);
	buf_fini(&line);
}

/* ---- what differs ------------------------------------------------------------------------------------ */

/* contact ann@example.org: not at support; at sales. It agrees now */
static void show_difference(struct asking *a, const json_t *j)
{
	const char *outcome = str(j, "outcome");
	struct buf line = { 0 }, out = { 0 };

	buf_addf(&line, "%s %s", str(j, "entity"), str(j, "key"));
	if (strcmp(str(j, "difference"), "different") == 0) {
		buf_adds(&line, ": ");
		names_add(&line, json_object_get(j, "fields"));
		buf_adds(&line, json_array_size(json_object_get(j, "fields")) == 1 ? " differs between " : " differ between ");
		names_add(&line, json_object_get(j, "there"));
	} else {
		buf_adds(&line, ": not at ");
		names_add(&line, json_object_get(j, "absent"));
		buf_adds(&line, "; at ");
		names_add(&line, json_object_get(j, "there"));
	}
	if (strcmp(outcome, "agrees") == 0)
		buf_adds(&line, ". It agrees now");
	else if (strcmp(outcome, "waits") == 0)
		buf_adds(&line, ". It waits: see parked, held and conflicts --waiting");
	else if (strcmp(outcome, "differs") == 0)
		buf_adds(&line, ". It differs still");
	progress_wipe();
	wrap_add(&out, line.p, 0, SIZE_MAX);
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

/* ---- the sum ----------------------------------------------------------------------------------------- */

static void add_count(struct buf *out, json_int_t n, const char *one, const char *many)
{
	if (n > 0)
		buf_addf(out, "; %lld %s", (long long)n, n == 1 ? one : many);
}

/* account: 5 rows at sales, 4 at support; 1 is missing at least */
static void add_counts(struct buf *line, const json_t *j)
{
	const char *endpoint, *before = "";
	const json_t *n;

	json_object_foreach((json_t *)json_object_get(j, "counts"), endpoint, n) {
		buf_addf(line, "%s%lld %sat %s", before, (long long)json_integer_value(n), before[0] != '\0' ? "" : json_integer_value(n) == 1 ? "row " : "rows ",
			 endpoint);
		before = ", ";
	}
	add_count(line, number(j, "missing"), "is missing at least", "are missing at least");
	add_count(line, number(j, "extra"), "is extra at least", "are extra at least");
}

static void add_compared(struct buf *line, const json_t *j)
{
	json_int_t n = number(j, "compared");

	buf_addf(line, "%lld record%s compared at ", (long long)n, n == 1 ? "" : "s");
	names_add(line, json_object_get(j, "endpoints"));
	buf_addf(line, ": %lld match", (long long)number(j, "matching"));
	add_count(line, number(j, "different"), "differs", "differ");
	add_count(line, number(j, "missing"), "is missing", "are missing");
	add_count(line, number(j, "extra"), "is extra", "are extra");
}

static void show_entity(struct asking *a, const json_t *j)
{
	struct buf line = { 0 }, out = { 0 };

	buf_addf(&line, "%s: ", str(j, "entity"));
	if (json_array_size(json_object_get(j, "endpoints")) == 0)
		buf_adds(&line, "not compared, since fewer than two of its endpoints can be read");
	else if (json_object_get(j, "counts") != NULL)
		add_counts(&line, j);
	else
		add_compared(&line, j);
	add_count(&line, number(j, "open"), "is still being worked on, or stands aside", "are still being worked on, or stand aside");
	add_count(&line, number(j, "own_form"), "is kept in a form of its own", "are kept in forms of their own");
	add_count(&line, number(j, "invalid"), "row cannot be taken as it is", "rows cannot be taken as they are");
	add_count(&line, number(j, "written"), "agrees now", "agree now");
	add_count(&line, number(j, "skipped"), "does not yet", "do not yet");
	if (json_is_true(json_object_get(j, "resumed"))) {
		buf_adds(&line, "; goes on with what was read since ");
		add_time(&line, str(j, "since"));
	}
	if (json_array_size(json_object_get(j, "left_out")) > 0) {
		buf_adds(&line, "; not read: ");
		names_add(&line, json_object_get(j, "left_out"));
	}
	wrap_add(&out, line.p, 0, screen(false));
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

/* would update contact ann@example.org at support: name, phone */
static void show_planned(struct asking *a, const json_t *j)
{
	const char *action = str(j, "action");
	struct buf line = { 0 }, out = { 0 };

	buf_addf(&line, "would %s %s %s", strcmp(action, "conflict") == 0 ? "decide a conflict of" : action, str(j, "entity"), str(j, "key"));
	if (str(j, "endpoint")[0] != '\0')
		buf_addf(&line, " at %s", str(j, "endpoint"));
	if (json_array_size(json_object_get(j, "fields")) > 0) {
		buf_adds(&line, ": ");
		names_add(&line, json_object_get(j, "fields"));
	}
	if (str(j, "cause")[0] != '\0')
		buf_addf(&line, ": %s", str(j, "cause"));
	progress_wipe();
	wrap_add(&out, line.p, 2, SIZE_MAX);
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

static void show(struct asking *a, const json_t *j)
{
	const json_t *entity;
	size_t i;

	if (json_object_get(j, "action") != NULL) {
		show_planned(a, j);
		return;
	}
	if (json_object_get(j, "difference") != NULL) {
		show_difference(a, j);
		return;
	}
	if (json_is_true(json_object_get(j, "open")))
		return;			/* for the report */
	progress_wipe();
	json_array_foreach(json_object_get(j, "entities"), i, entity)
		show_entity(a, entity);
}

static bool is_different(const json_t *j)
{
	return number(j, "different") + number(j, "missing") + number(j, "extra") > 0;
}

static void judge_verify(struct asking *a, const json_t *j)
{
	if (a->arg != NULL)
		report_take(a->arg, j);
	if (is_different(j))
		a->rc = CTL_DIFFERENT;
	else if (json_is_false(json_object_get(j, "complete")))
		a->rc = CTL_UNAVAILABLE;
}

static void judge_repair(struct asking *a, const json_t *j)
{
	bool planned = json_object_get(j, "skipped") == NULL;

	if (planned ? is_different(j) : number(j, "skipped") + number(j, "not_looked_at_again") > 0)
		a->rc = CTL_DIFFERENT;
	else if (json_is_false(json_object_get(j, "complete")))
		a->rc = CTL_UNAVAILABLE;
}

static int run(struct asking *a, char **args, int n, const char *command)
{
	struct ctl *c = a->c;
	json_t *params = json_object();
	int rc;

	set_text(params, "entity", n > 0 ? args[0] : NULL);
	set_text(params, "from", c->from);
	set_text(params, "depth", c->depth);
	if (c->dry_run)
		json_object_set_new(params, "dry_run", json_true());
	if (c->html != NULL)
		json_object_set_new(params, "open", json_true());
	rc = order(a, command, params, patience(c, SILENCE_US));
	progress_wipe();
	return rc;
}

int run_verify(struct ctl *c, char **args, int n)
{
	int rc = CTL_OK, written = CTL_OK;
	struct report *report = c->html != NULL ? report_new(c->html, &rc) : NULL;
	struct asking a = { .c = c, .show = show, .progress = show_progress, .judge = judge_verify, .arg = report };

	if (rc != CTL_OK)
		return rc;
	rc = run(&a, args, n, "verify");
	if (report != NULL)
		written = report_write(report);
	report_free(&report);
	return written != CTL_OK ? written : rc;
}

int run_repair(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show, .progress = show_progress, .judge = judge_repair };

	return run(&a, args, n, "repair");
}
