#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "ctl/ctl.h"

/* ---- reading the object: a newer or older daemon may leave things out -------------------------------- */

static const char *str(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s != NULL ? s : "";
}

/* NAN when there is none or it is null. */
static double num(const json_t *object, const char *name)
{
	const json_t *j = json_object_get(object, name);

	return json_is_number(j) ? json_number_value(j) : NAN;
}

static const json_t *sub(const json_t *object, const char *name)
{
	return json_object_get(object, name);
}

/* ---- numbers in words -------------------------------------------------------------------------------- */

void age_add(struct buf *out, double seconds)
{
	if (seconds < 1)
		buf_addf(out, "%.0f ms", fmax(1, seconds * 1000));
	else if (seconds < 10)
		buf_addf(out, "%.1f s", seconds);
	else if (seconds < 120)
		buf_addf(out, "%.0f s", seconds);
	else if (seconds < 7200)
		buf_addf(out, "%.0f min", seconds / 60);
	else if (seconds < 172800)
		buf_addf(out, "%.0f h", seconds / 3600);
	else
		buf_addf(out, "%.0f days", seconds / 86400);
}

/* With commas: 1,234,567. */
static void cell_count(struct table *t, double n, enum paint paint)
{
	char digits[32], out[48];
	size_t len, at = 0;

	if (isnan(n)) {
		table_cell(t, DIM, "?");
		return;
	}
	len = (size_t)snprintf(digits, sizeof digits, "%.0f", fmin(fmax(n, 0), 1e15));
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	table_cell(t, n > 0 ? paint : PLAIN, "%.*s", (int)at, out);
}

/* Rounded down: 100 % is said only when it is. */
static void cell_ratio(struct table *t, double ratio)
{
	if (isnan(ratio))
		table_cell(t, DIM, "-");
	else if (ratio >= 1)
		table_cell(t, PLAIN, "100 %%");
	else
		table_cell(t, PLAIN, "%.1f %%", floor(ratio * 1000) / 10);
}

static void cell_age(struct table *t, double seconds, enum paint paint)
{
	struct buf words = { 0 };

	age_add(&words, seconds);
	table_cell(t, paint, "%s", words.p);
	buf_fini(&words);
}

/* Nothing outstanding and "nobody knows" are two things. */
static void cell_lag(struct table *t, double seconds)
{
	if (isnan(seconds))
		table_cell(t, DIM, "?");
	else if (seconds <= 0)
		table_cell(t, PLAIN, "-");
	else
		cell_age(t, seconds, seconds < 10 ? PLAIN : YELLOW);
}

static void cell_delay(struct table *t, double seconds)
{
	if (isnan(seconds))
		table_cell(t, DIM, "-");		/* nothing has travelled yet */
	else
		cell_age(t, seconds, PLAIN);
}

/* How long before the daemon's own `now` that was; never: "-". */
static void cell_ago(struct table *t, const char *time, int64_t now_us)
{
	struct buf words = { 0 };
	int64_t us;

	if (!time_parse(time, &us)) {
		table_cell(t, DIM, "-");
		return;
	}
	age_add(&words, (double)(now_us > us ? now_us - us : 0) / 1e6);
	table_cell(t, PLAIN, "%s ago", words.p);
	buf_fini(&words);
}

/* A link's state in plain words; the object has the exact ones. */
static const char *link_word(const char *state)
{
	if (strcmp(state, "consistent") == 0)
		return "in step";
	return strcmp(state, "inconsistent") == 0 ? "differs" : state;
}

static enum paint state_paint(const char *state)
{
	if (strcmp(state, "up") == 0 || strcmp(state, "consistent") == 0)
		return GREEN;
	if (strcmp(state, "down") == 0)
		return RED;
	if (strcmp(state, "inconsistent") == 0 || strcmp(state, "paused") == 0)
		return YELLOW;
	return PLAIN;
}

/* ---- the tables -------------------------------------------------------------------------------------- */

static void add_reason(struct buf *out, size_t width, const char *who, const char *where, const char *reason)
{
	struct buf line = { 0 };

	if (reason[0] == '\0')
		return;
	buf_addf(&line, "%s%s%s: %s", who, where[0] != '\0' ? " on " : "", where, reason);
	wrap_add(out, line.p, 2, width);
	buf_fini(&line);
}

static void add_recognised(struct buf *out, size_t width, const json_t *p, int64_t now_us)
{
	struct buf line = { 0 };
	int64_t then_us;

	if (str(p, "recognised")[0] == '\0' || !time_parse(str(p, "recognised_time"), &then_us))
		return;
	buf_adds(&line, str(p, "recognised"));
	buf_adds(&line, " (");
	age_add(&line, (double)(now_us - then_us) / 1e6);
	buf_adds(&line, " ago)");
	add_reason(out, width, str(p, "name"), "", line.p);
	buf_fini(&line);
}

static void show_endpoints(const json_t *status, struct buf *out, size_t width, bool color)
{
	static const struct table_column columns[] = {
		{ "ENDPOINT", .elastic = true }, { "STATE" }, { "AVAILABLE", .right = true }, { "CLOCK", .right = true },
		{ "LOOKED", .right = true }, { "SERVER", .elastic = true },
	};
	struct table t = { .columns = columns, .n_columns = 6 };
	const json_t *list = sub(status, "endpoints"), *p;
	int64_t now_us = 0;
	size_t i;

	time_parse(str(status, "time"), &now_us);
	json_array_foreach(list, i, p) {
		double offset = num(p, "clock_offset_seconds");

		table_cell(&t, PLAIN, "%s", str(p, "name"));
		table_cell(&t, state_paint(str(p, "state")), "%s", str(p, "state"));
		cell_ratio(&t, num(p, "availability_ratio"));
		if (isnan(offset))
			table_cell(&t, DIM, "?");
		else
			table_cell(&t, fabs(offset) < 1 ? PLAIN : YELLOW, "%+.3f s", offset);
		cell_ago(&t, str(p, "last_capture"), now_us);
		table_cell(&t, PLAIN, "%s", str(p, "server"));
	}
	table_print(&t, out, width, color);
	json_array_foreach(list, i, p)
		add_reason(out, width, str(p, "name"), "", str(p, "reason"));
	json_array_foreach(list, i, p)
		add_recognised(out, width, p, now_us);
	json_array_foreach(list, i, p)
		if (json_is_false(sub(p, "guarded")) && strcmp(str(p, "state"), "up") == 0)
			add_reason(out, width, str(p, "name"), "", "has no place for our state row (see crmsyncctl install): a second daemon, "
				   "or a database that is put back, would not be noticed there");
}

static void cell_doing(struct table *t, const json_t *link)
{
	const json_t *progress = sub(link, "progress");
	double done = num(progress, "rows_done"), share = num(progress, "share"), left = num(progress, "seconds_left");
	bool sweeps = strcmp(str(link, "phase"), "sweep") == 0;
	struct buf words = { 0 };

	buf_adds(&words, str(link, "phase"));
	if (sweeps)
		buf_adds(&words, strcmp(str(progress, "doing"), "look") == 0 ? " 2 of 2:" : " 1 of 2:");
	if (!isnan(share))
		buf_addf(&words, " %.0f %%", floor(100 * share));
	else if (done > 0)
		buf_addf(&words, " %.0f rows", done);
	if (!isnan(left)) {
		buf_adds(&words, ", ");
		age_add(&words, left);
		buf_adds(&words, " left");
	}
	table_cell(t, PLAIN, "%s", words.p);
	buf_fini(&words);
}

static void add_link(struct table *t, const json_t *entity, const json_t *link, bool first)
{
	table_cell(t, PLAIN, "%s", first ? str(entity, "name") : "");
	table_cell(t, PLAIN, "%s", str(link, "endpoint"));
	table_cell(t, state_paint(str(link, "state")), "%s", link_word(str(link, "state")));
	cell_ratio(t, num(link, "consistency_ratio"));
	cell_lag(t, num(link, "lag_seconds"));
	cell_count(t, num(link, "owed"), YELLOW);
	cell_count(t, num(link, "parked"), RED);
	cell_doing(t, link);
}

static bool is_up(const json_t *status, const char *endpoint)
{
	const json_t *p;
	size_t i;

	json_array_foreach(sub(status, "endpoints"), i, p)
		if (strcmp(str(p, "name"), endpoint) == 0)
			return strcmp(str(p, "state"), "up") == 0;
	return false;
}

static void show_links(const json_t *status, struct buf *out, size_t width, bool color)
{
	static const struct table_column columns[] = {
		{ "ENTITY", .elastic = true }, { "ENDPOINT", .elastic = true }, { "NOW" }, { "IN STEP", .right = true },
		{ "LAG", .right = true }, { "OWED", .right = true }, { "PARKED", .right = true }, { "DOING", .elastic = true },
	};
	struct table t = { .columns = columns, .n_columns = 8 };
	const json_t *entities = sub(status, "entities"), *e, *link;
	size_t i, k;

	json_array_foreach(entities, i, e)
		json_array_foreach(sub(e, "links"), k, link)
			add_link(&t, e, link, k == 0);
	table_print(&t, out, width, color);
	json_array_foreach(entities, i, e)
		json_array_foreach(sub(e, "links"), k, link)
			if (is_up(status, str(link, "endpoint")))	/* else the endpoint's own reason, above, says it */
				add_reason(out, width, str(e, "name"), str(link, "endpoint"), str(link, "reason"));
}

static void show_entities(const json_t *entities, struct buf *out, size_t width, bool color)
{
	static const struct table_column columns[] = {
		{ "ENTITY", .elastic = true }, { "RECORDS", .right = true }, { "PENDING", .right = true }, { "PARKED", .right = true },
		{ "HELD", .right = true }, { "WAITING", .right = true }, { "CONFLICTS", .right = true }, { "DELAY p50", .right = true },
		{ "p99", .right = true }, { "" },
	};
	struct table t = { .columns = columns, .n_columns = 10 };
	const json_t *e;
	size_t i;

	json_array_foreach(entities, i, e) {
		table_cell(&t, PLAIN, "%s", str(e, "name"));
		cell_count(&t, num(e, "records"), PLAIN);
		cell_count(&t, num(e, "pending"), YELLOW);
		cell_count(&t, num(e, "parked"), RED);
		cell_count(&t, num(e, "held"), RED);
		cell_count(&t, num(e, "waiting"), YELLOW);
		cell_count(&t, num(e, "conflicts"), PLAIN);
		cell_delay(&t, num(e, "propagation_p50_seconds"));
		cell_delay(&t, num(e, "propagation_p99_seconds"));
		table_cell(&t, YELLOW, "%s", json_is_true(sub(e, "paused")) ? "paused" : "");
	}
	table_print(&t, out, width, color);
}

static void show_conflicts(const json_t *entities, struct buf *out, size_t width)
{
	const json_t *e, *n;
	const char *rule;
	size_t i;

	json_array_foreach(entities, i, e) {
		struct buf line = { 0 };

		if (!(num(e, "conflicts") > 0))
			continue;
		json_object_foreach((json_t *)(uintptr_t)sub(e, "conflicts_by_rule"), rule, n)
			buf_addf(&line, "%s%.0f by %s", line.len > 0 ? ", " : "", json_number_value(n), rule);
		if (line.len > 0)
			add_reason(out, width, "conflicts decided", str(e, "name"), line.p);
		buf_fini(&line);
	}
}

/* What a link's way of capturing cannot promise, in the driver's own words; each once an endpoint. */
static void show_promises(const json_t *status, struct buf *out, size_t width)
{
	const json_t *p, *e, *link;
	size_t i, k, l;

	json_array_foreach(sub(status, "endpoints"), i, p) {
		const char *said = "";

		json_array_foreach(sub(status, "entities"), k, e)
			json_array_foreach(sub(e, "links"), l, link) {
				const char *words = str(sub(link, "promises"), "words");

				if (strcmp(str(link, "endpoint"), str(p, "name")) != 0 || strcmp(words, said) == 0)
					continue;
				add_reason(out, width, str(p, "name"), "", words);
				said = words;
			}
	}
}

#define MIB (1024.0 * 1024.0)

static void show_service(const json_t *status, struct buf *out, size_t width)
{
	const json_t *redis = sub(status, "redis"), *journal = sub(status, "journal");
	double uptime = num(status, "uptime_seconds");
	struct buf line = { 0 };

	buf_addf(&line, "topology %s, crmsyncd %s, up ", str(status, "topology"), str(status, "version"));
	age_add(&line, isnan(uptime) ? 0 : uptime);
	buf_addf(&line, "; %s %s", str(redis, "server")[0] != '\0' ? str(redis, "server") : "Redis", str(redis, "state"));
	if (num(journal, "bytes") > 0)
		buf_addf(&line, "; journal %.1f MiB, of it before-images of %.0f writes %.1f MiB", num(journal, "bytes") / MIB, num(journal, "images"),
			 num(journal, "images_bytes") / MIB);
	if (json_is_false(sub(status, "last_reload_successful")))
		buf_adds(&line, "; the last reload was refused");
	wrap_add(out, line.p, 0, width);
	buf_fini(&line);
}

void status_show(const json_t *status, struct buf *out, size_t width, bool color)
{
	const json_t *entities = sub(status, "entities");
	struct buf sentence = { 0 };

	buf_adds(&sentence, "");
	wrap_add(&sentence, str(status, "summary"), 0, width);
	paint_add(out, color, BOLD, sentence.p);
	buf_fini(&sentence);
	show_service(status, out, width);
	buf_addc(out, '\n');
	show_endpoints(status, out, width, color);
	buf_addc(out, '\n');
	show_links(status, out, width, color);
	buf_addc(out, '\n');
	show_entities(entities, out, width, color);
	show_conflicts(entities, out, width);
	buf_addc(out, '\n');
	show_promises(status, out, width);
}
