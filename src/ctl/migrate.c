/*
 * migrate.c - `crmsyncctl migrate`: brings an entity over, says how far it is, then what came of it.
 *
 * On a terminal lines that are redrawn, else the same on stderr every few seconds.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/words.h"
#include "ctl/asking.h"

/* ---- progress ---------------------------------------------------------------------------------------- */

static void add_worker(struct buf *lines, const json_t *w)
{
	const char *state = str(w, "state");

	buf_addf(lines, "\n  part %lld: ", (long long)number(w, "worker"));
	if (strcmp(state, "done") != 0)
		doing_add(lines, state, "", "rows", num(w, "rows"), num(w, "share"), num(w, "per_second"), NAN);
	else
		buf_addf(lines, "done, %lld rows", (long long)number(w, "rows"));
}

/*
 * contact: fills the table at support: 41 %, 16 s left, 38,000 rows/s, 5.1 MiB/s
 *   part 1: reads: 44 %, 20,000 rows/s
 */
static void show_progress(struct asking *a, const json_t *p)
{
	double bytes = num(p, "bytes_per_second");
	struct buf lines = { 0 };
	json_t *worker;
	size_t i;

	buf_addf(&lines, "%s: ", str(p, "entity"));
	if (bytes >= 1) {
		byte_rate_add(&lines, bytes);
		buf_adds(&lines, ", ");
	}
	job_add(&lines, p);
	throttle_add(&lines, str(p, "throttle"));
	json_array_foreach(sub(p, "workers"), i, worker)
		add_worker(&lines, worker);
	progress_tell(lines.p);
	buf_fini(&lines);
}

/* ---- the sum ----------------------------------------------------------------------------------------- */

static void add_count(struct buf *out, const json_t *j, const char *name, const char *words)
{
	if (number(j, name) > 0)
		buf_addf(out, ", %lld %s", (long long)number(j, name), words);
}

static void add_rate(struct buf *out, const json_t *j, const char *name, const char *words)
{
	if (!json_is_number(json_object_get(j, name)))
		return;
	buf_addf(out, "; %s ", words);
	byte_rate_add(out, num(j, name));
}

static void show(struct asking *a, const json_t *j)
{
	struct buf line = { 0 }, out = { 0 };

	progress_wipe();
	buf_addf(&line, "%s: %lld rows of %s looked at", str(j, "entity"), (long long)number(j, "rows"), str(j, "from"));
	if (number(j, "unread") > 0)
		buf_addf(&line, " (%lld of them not read: nobody has written them since all were listed last)", (long long)number(j, "unread"));
	add_count(&line, j, "inserted", "inserted");
	add_count(&line, j, "updated", "updated");
	add_count(&line, j, "deleted", "deleted");
	buf_addf(&line, " at %s, %lld rejected, %lld values cleaned", str(j, "to"), (long long)number(j, "rejected"), (long long)number(j, "cleaned"));
	add_count(&line, j, "waiting", "still to come");
	buf_addf(&line, "; in %.1f s, data volume ", json_number_value(json_object_get(j, "seconds")));
	bytes_add(&line, (double)number(j, "bytes"));
	add_rate(&line, j, "data_rate_bytes_per_second", "data rate");
	add_rate(&line, j, "throughput_bytes_per_second", "throughput");
	if (json_is_true(json_object_get(j, "extra_kept")))
		buf_addf(&line, ". Rows that only %s has were left there: some of %s cannot be taken, and may be the same", str(j, "to"), str(j, "from"));
	wrap_add(&out, line.p, 0, screen(false));
	say(&out);
	buf_fini(&line);
	buf_fini(&out);
}

static void judge(struct asking *a, const json_t *j)
{
	if (number(j, "rejected") + number(j, "waiting") > 0 || json_is_true(json_object_get(j, "extra_kept")))
		a->rc = CTL_DIFFERENT;
}

/* ---- the order --------------------------------------------------------------------------------------- */

static bool set_number(json_t *params, const char *option, const char *name, const char *text, long long least)
{
	char *end;
	long long n;

	if (text == NULL)
		return true;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || n < least) {
		complain("--%s: '%s' is not a whole number from %lld", option, text, least);
		return false;
	}
	json_object_set_new(params, name, json_integer(n));
	return true;
}

int run_migrate(struct ctl *c, char **args, int n)
{
	struct asking a = { .c = c, .show = show, .progress = c->json ? NULL : show_progress, .judge = judge };
	json_t *params = json_object();
	int rc;

	if (c->from == NULL || c->to == NULL) {
		complain("from where to where? --from ENDPOINT --to ENDPOINT");
		json_decref(params);
		return CTL_USAGE;
	}
	if (!set_number(params, "jobs", "jobs", c->jobs, 1) || !set_number(params, "rate", "rate", c->rate, 1) ||
	    !set_number(params, "max-load", "max_load", c->max_load, 0)) {
		json_decref(params);
		return CTL_USAGE;
	}
	set_text(params, "entity", args[0]);
	set_text(params, "from", c->from);
	set_text(params, "to", c->to);
	set_text(params, "strategy", c->strategy);
	set_text(params, "onto", c->onto);
	set_text(params, "max_lag", c->max_lag);
	rc = order(&a, "migrate", params, patience(c, SILENCE_US));
	progress_wipe();
	return rc;
}
