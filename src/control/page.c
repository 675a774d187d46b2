/*
 * page.c - the status page: what status_json() holds, for people with a browser. Pure: the object in, HTML out.
 *
 * One document that needs nothing else: style and script are in it, and the policy that goes with it lets a browser run no
 * other. Without the script the page is as whole, and stands still. Each section is one function, in the order of the page.
 */
#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/html.h"
#include "base/mem.h"
#include "base/object.h"
#include "base/text.h"
#include "base/words.h"
#include "control/page_hour.h"
#include "control/page_text.h"
#include "control/pages.h"

static bool is(const json_t *object, const char *name, const char *word)
{
	return strcmp(str(object, name), word) == 0;
}

/* ---- how it is: good, care or bad -------------------------------------------------------------------- */

enum { LAG_CARE_S = 10, CLOCK_CARE_S = 1 };

static const char *lag_tone(double seconds)
{
	return isnan(seconds) ? "dim" : seconds >= LAG_CARE_S ? "care" : "";
}

static const char *endpoint_tone(const json_t *endpoint)
{
	if (is(endpoint, "state", "up"))
		return "good";
	if (is(endpoint, "state", "down"))
		return "bad";
	return is(endpoint, "state", "paused") ? "care" : "dim";
}

static const char *link_tone(const json_t *link)
{
	if (is(link, "state", "consistent"))
		return "good";
	return is(link, "state", "inconsistent") ? "care" : "dim";
}

/* Does this entity want somebody's attention? A change that is on its way does not. */
static bool wants_care(const json_t *entity)
{
	const json_t *link;
	size_t i;

	if (num(entity, "parked") > 0 || num(entity, "held") > 0 || num(entity, "waiting") > 0 ||
	    num(sub(entity, "verify"), "different") > 0 || json_is_false(sub(sub(entity, "books"), "balanced")))
		return true;
	json_array_foreach(sub(entity, "links"), i, link)
		if (is(link, "state", "unknown") || json_is_false(sub(link, "usable")) || num(link, "lag_seconds") >= LAG_CARE_S)
			return true;
	return false;
}

static const char *tone_of_all(const json_t *status)
{
	bool all_up = true;
	const json_t *j;
	size_t i;

	if (!is(sub(status, "redis"), "state", "up") || !is(sub(status, "journal"), "state", "up"))
		return "bad";
	json_array_foreach(sub(status, "endpoints"), i, j) {
		if (is(j, "state", "down"))
			return "bad";
		all_up &= is(j, "state", "up");		/* else paused, lest it is forgotten, or not tried yet */
	}
	if (!all_up || json_is_true(sub(status, "standby")) || json_is_false(sub(status, "last_reload_successful")))
		return "care";
	json_array_foreach(sub(status, "entities"), i, j)
		if (wants_care(j))
			return "care";
	return "good";
}

/* ---- cells ------------------------------------------------------------------------------------------- */

static void cell_text(struct html_table *t, const char *tone, const char *text)
{
	html_cell_begin(t, tone);
	html_add(t->out, "%s", text);
	html_cell_end(t);
}

static void cell_state(struct html_table *t, const char *tone, const char *word)
{
	html_cell_begin(t, "");
	html_add(t->out, "<span class=\"state %s\">%s</span>", tone, word);
	html_cell_end(t);
}

/* tone: if there are any. */
static void cell_count(struct html_table *t, double n, const char *tone)
{
	html_cell_begin(t, n > 0 ? tone : "dim");
	count_add(t->out, n);
	html_cell_end(t);
}

/* A ratio is never said without the share of the time for which it speaks, and what the rest of it allows. */
static void add_ratio(struct buf *out, const json_t *of)
{
	double coverage = num(of, "coverage");

	share_add(out, num(of, "ratio"));
	if (isnan(coverage))
		return;
	if (coverage < 1) {
		buf_adds(out, " <small>");
		bounds_add(out, num(of, "lower"), num(of, "upper"));
		buf_adds(out, "</small>");
	}
	buf_adds(out, " <small>");
	share_add(out, coverage);
	buf_adds(out, " seen</small>");
}

static const json_t *window_of(const json_t *ratios, const char *window)
{
	return sub(sub(ratios, "windows"), window);
}

static void cell_ratio(struct html_table *t, const json_t *of)
{
	html_cell_begin(t, isnan(num(of, "ratio")) ? "dim" : "");
	add_ratio(t->out, of);
	html_cell_end(t);
}

static void cell_hour(struct html_table *t, const char *name, const struct hour_words *words, const json_t *ratios)
{
	html_cell_begin(t, "");
	page_hour_add(t->out, name, words, sub(ratios, "minutes"));
	html_cell_end(t);
}

static void cell_lag(struct html_table *t, double seconds)
{
	html_cell_begin(t, lag_tone(seconds));
	lag_add(t->out, seconds);
	html_cell_end(t);
}

static void cell_delay(struct html_table *t, double seconds)
{
	html_cell_begin(t, isnan(seconds) ? "dim" : "");
	if (isnan(seconds))
		buf_adds(t->out, "-");		/* nothing has travelled yet */
	else
		age_add(t->out, seconds);
	html_cell_end(t);
}

/* ---- what a person has to do ------------------------------------------------------------------------- */

/* "3 records of contact" */
static void add_how_many(struct buf *out, double n, const char *what, const char *entity)
{
	count_add(out, n);
	html_add(out, " %s%s of <b>%s</b> ", what, n == 1 ? "" : "s", entity);
}

/* What ought never to be. */
static void add_faults_of(struct buf *out, const json_t *entity)
{
	double different = num(sub(entity, "verify"), "different");
	const char *name = str(entity, "name");

	if (different > 0) {
		buf_adds(out, "<li>");
		add_how_many(out, different, "record", name);
		html_add(out, "%s from endpoint to endpoint, as the last verify found: <code>crmsyncctl repair %s</code></li>\n",
			 different == 1 ? "differs" : "differ", name);
	}
	if (json_is_false(sub(sub(entity, "books"), "balanced")))
		html_add(out, "<li>The books of <b>%s</b> do not balance; please report it, with what this says: "
			 "<code>crmsyncctl status</code></li>\n", name);
}

static void add_tasks_of(struct buf *out, const json_t *entity)
{
	double parked = num(entity, "parked"), held = num(entity, "held"), waiting = num(entity, "waiting");
	const char *name = str(entity, "name");

	if (parked > 0) {
		buf_adds(out, "<li>");
		add_how_many(out, parked, "record", name);
		html_add(out, "%s aside, since an endpoint would not take or give them: <code>crmsyncctl parked list --entity %s</code></li>\n",
			 parked == 1 ? "stands" : "stand", name);
	}
	if (held > 0) {
		buf_adds(out, "<li>");
		add_how_many(out, held, "delete", name);
		html_add(out, "%s held back, being too many at once: <code>crmsyncctl held list --entity %s</code></li>\n",
			 held == 1 ? "is" : "are", name);
	}
	if (waiting > 0) {
		buf_adds(out, "<li>");
		add_how_many(out, waiting, "value", name);
		html_add(out, "%s for a decision: <code>crmsyncctl conflicts --waiting --entity %s</code></li>\n",
			 waiting == 1 ? "waits" : "wait", name);
	}
}

static void add_tasks(struct buf *out, const json_t *status)
{
	struct buf tasks = { 0 };
	const json_t *entity;
	size_t i;

	json_array_foreach(sub(status, "entities"), i, entity) {
		add_faults_of(&tasks, entity);
		add_tasks_of(&tasks, entity);
	}
	if (json_is_false(sub(status, "last_reload_successful")))
		buf_adds(&tasks, "<li>The last reload was refused and the topology from before is in force: "
			 "<code>crmsyncctl reload</code> says why</li>\n");
	if (tasks.len > 0)
		buf_addf(out, "<ul>\n%s</ul>\n", tasks.p);
	buf_fini(&tasks);
}

/* 2026-03-01T12:00:00.123456Z as people write it. */
static void add_time(struct buf *out, const char *time)
{
	char day[11] = "", clock[9] = "";

	if (strlen(time) < 20)
		return;
	memcpy(day, time, 10);
	memcpy(clock, time + 11, 8);
	html_add(out, "<time datetime=\"%s\">%s %s UTC</time>", time, day, clock);
}

static void add_header(struct buf *out, const json_t *status)
{
	double uptime = num(status, "uptime_seconds");

	html_add(out, "<header class=\"%s\">\n<p>Topology <b>%s</b>, as of ", tone_of_all(status), str(status, "topology"));
	add_time(out, str(status, "time"));
	html_add(out, "</p>\n<h1>%s</h1>\n<p>crmsyncd %s", str(status, "summary"), str(status, "version"));
	if (!isnan(uptime)) {
		buf_adds(out, ", up ");
		age_add(out, uptime);
	}
	buf_adds(out, "</p>\n");
	add_tasks(out, status);
	buf_adds(out, "</header>\n");
}

/* ---- endpoints --------------------------------------------------------------------------------------- */

static void add_down(struct buf *out, const json_t *p)
{
	if (str(p, "reason")[0] == '\0')
		return;
	html_add(out, "<p class=\"%s\">%s", is(p, "state", "down") ? "bad" : "", str(p, "reason"));
	if (str(p, "code")[0] != '\0')
		html_add(out, " (%s)", str(p, "code"));
	attempts_add(out, num(p, "failed_attempts"), num(p, "next_attempt_seconds"));
	buf_adds(out, "</p>");
}

/* What its capture can and cannot promise, in the driver's own words; further ones with the entity that they are said of. */
static void add_promises(struct buf *out, const json_t *status, const json_t *p)
{
	const char *said = "";
	const json_t *e, *link;
	size_t i, k;

	json_array_foreach(sub(status, "entities"), i, e)
		json_array_foreach(sub(e, "links"), k, link) {
			const char *words = str(sub(link, "promises"), "words");

			if (strcmp(str(link, "endpoint"), str(p, "name")) != 0 || words[0] == '\0' || strcmp(words, said) == 0)
				continue;
			html_add(out, "<p>%s%s%s</p>", said[0] != '\0' ? str(e, "name") : "", said[0] != '\0' ? ": " : "", words);
			said = words;
		}
}

static void add_endpoint_note(struct html_table *t, const json_t *status, const json_t *p, int64_t now_us)
{
	html_note_begin(t);
	add_down(t->out, p);
	if (str(p, "recognised")[0] != '\0') {
		html_add(t->out, "<p class=\"care\">%s, ", str(p, "recognised"));
		ago_add(t->out, str(p, "recognised_time"), now_us);
		buf_adds(t->out, "</p>");
	}
	if (json_is_false(sub(p, "guarded")) && is(p, "state", "up"))
		html_add(t->out, "<p class=\"care\">%s</p>", unguarded_words);
	add_promises(t->out, status, p);
	html_note_end(t);
}

static void add_endpoint(struct html_table *t, const json_t *p, int64_t now_us)
{
	const json_t *availability = sub(p, "availability");
	double offset = num(p, "clock_offset_seconds");

	html_row_begin(t);
	html_head_begin(t);
	html_add(t->out, "%s <small>%s</small><small>%s</small>", str(p, "name"), str(p, "capture"),
		 str(p, "server")[0] != '\0' ? str(p, "server") : str(p, "driver"));
	html_head_end(t);
	cell_state(t, endpoint_tone(p), str(p, "state"));
	cell_hour(t, str(p, "name"), &hour_of_availability, availability);
	cell_ratio(t, window_of(availability, "1h"));
	cell_ratio(t, window_of(availability, "24h"));
	cell_ratio(t, window_of(availability, "30d"));
	html_cell_begin(t, "");
	ago_add(t->out, str(p, "last_capture"), now_us);
	html_cell_end(t);
	html_cell_begin(t, isnan(offset) ? "dim" : fabs(offset) < CLOCK_CARE_S ? "" : "care");
	offset_add(t->out, offset);
	html_cell_end(t);
	html_cell_begin(t, "");
	byte_rate_add(t->out, num(p, "data_rate_bytes_per_second"));
	html_cell_end(t);
	html_row_end(t);
}

static void add_endpoints(struct buf *out, const json_t *status)
{
	static const struct html_column columns[] = {
		{ "Endpoint", "" }, { "State", "" }, { "Last hour", "hour" }, { "Up, 1 h", "n" }, { "24 h", "n" }, { "30 d", "n" },
		{ "Looked", "n" }, { "Clock", "n" }, { "Data rate", "n" },
	};
	struct html_table t;
	const json_t *p;
	int64_t now_us = 0;
	size_t i;

	time_parse(str(status, "time"), &now_us);
	buf_adds(out, "<section>\n<h2 id=\"endpoints\">Endpoints</h2>\n"
		 "<p class=\"legend\">The last hour, a bar a minute: <span class=\"good\">up</span> <span class=\"late\">down</span> "
		 "<span class=\"void\">not observed</span></p>\n");
	html_table_begin(&t, out, "endpoints", columns, countof(columns));
	json_array_foreach(sub(status, "endpoints"), i, p) {
		add_endpoint(&t, p, now_us);
		add_endpoint_note(&t, status, p, now_us);
	}
	html_table_end(&t);
	buf_adds(out, "</section>\n");
}

/* ---- jobs -------------------------------------------------------------------------------------------- */

static void add_job(struct html_table *t, const json_t *job)
{
	struct buf doing = { 0 };

	doing_add(&doing, str(job, "phase"), str(job, "endpoint"), str(job, "unit"), num(job, "done"), num(job, "share"),
		  num(job, "per_second"), num(job, "seconds_left"));
	throttle_add(&doing, str(job, "throttle"));
	html_row_begin(t);
	html_head_begin(t);
	html_add(t->out, "%s %s", str(job, "kind"), str(job, "entity"));
	html_head_end(t);
	cell_text(t, "", str(job, "asked_by"));
	cell_delay(t, num(job, "seconds"));
	cell_text(t, "", doing.p);
	html_row_end(t);
	buf_fini(&doing);
}

static void add_jobs(struct buf *out, const json_t *status)
{
	static const struct html_column columns[] = { { "Job", "" }, { "Asked by", "" }, { "For", "n" }, { "Doing", "wide" } };
	struct html_table t;
	const json_t *job;
	size_t i;

	if (json_array_size(sub(status, "jobs")) == 0)
		return;
	buf_adds(out, "<section>\n<h2 id=\"jobs\">Jobs</h2>\n");
	html_table_begin(&t, out, "jobs", columns, countof(columns));
	json_array_foreach(sub(status, "jobs"), i, job)
		add_job(&t, job);
	html_table_end(&t);
	buf_adds(out, "</section>\n");
}

/* ---- links ------------------------------------------------------------------------------------------- */

/* What it is now, and what is being done about it. */
static void cell_now(struct html_table *t, const json_t *link)
{
	const json_t *progress = sub(link, "progress");
	struct buf doing = { 0 };

	progress_add(&doing, str(link, "phase"), str(progress, "doing"), num(progress, "rows_done"), num(progress, "share"),
		     num(progress, "rows_per_second"), num(progress, "seconds_left"));
	html_cell_begin(t, "");
	html_add(t->out, "<span class=\"state %s\">%s</span><small>%s</small>", link_tone(link), link_word(str(link, "state")), doing.p);
	html_cell_end(t);
	buf_fini(&doing);
}

static bool is_up(const json_t *status, const char *endpoint)
{
	const json_t *p;
	size_t i;

	json_array_foreach(sub(status, "endpoints"), i, p)
		if (is(p, "name", endpoint))
			return is(p, "state", "up");
	return false;
}

static void add_link(struct html_table *t, const json_t *entity, const json_t *link)
{
	const json_t *consistency = sub(link, "consistency"), *hour = window_of(consistency, "1h");
	struct buf name = { 0 };

	buf_addf(&name, "%s on %s", str(entity, "name"), str(link, "endpoint"));
	html_row_begin(t);
	html_head_begin(t);
	html_add(t->out, "%s <small>%s</small>", name.p, str(link, "table"));
	html_head_end(t);
	cell_now(t, link);
	cell_hour(t, name.p, &hour_of_consistency, consistency);
	cell_ratio(t, hour);
	cell_ratio(t, sub(hour, "within_5s"));
	cell_ratio(t, window_of(sub(link, "availability"), "1h"));
	cell_lag(t, num(link, "lag_seconds"));
	cell_count(t, num(link, "owed"), "");
	cell_count(t, num(link, "parked"), "bad");
	cell_count(t, num(link, "held_deletes"), "care");
	html_row_end(t);
	buf_fini(&name);
}

/* Why it is not in step; where its endpoint is not up, the endpoint's own reason, above, says it. */
static void add_link_note(struct html_table *t, const json_t *status, const json_t *link)
{
	if (str(link, "reason")[0] == '\0' || !is_up(status, str(link, "endpoint")))
		return;
	html_note_begin(t);
	html_add(t->out, "<p>%s</p>", str(link, "reason"));
	html_note_end(t);
}

static void add_links(struct buf *out, const json_t *status)
{
	static const struct html_column columns[] = {
		{ "Link", "" }, { "Now", "" }, { "Last hour", "hour" }, { "In step, 1 h", "n" }, { "Within 5 s", "n" },
		{ "Available", "n" }, { "Behind", "n few" }, { "Owed", "n few" }, { "Parked", "n few" },
		{ "Held", "n few" },
	};
	struct html_table t;
	const json_t *e, *link;
	size_t i, k;

	buf_adds(out, "<section>\n<h2 id=\"links\">Links</h2>\n"
		 "<p class=\"legend\">The last hour, a bar a minute: <span class=\"good\">in step</span> <span class=\"young\">less than 5 s "
		 "behind</span> <span class=\"late\">more, or records set aside</span> <span class=\"void\">not observed</span></p>\n");
	html_table_begin(&t, out, "links", columns, countof(columns));
	json_array_foreach(sub(status, "entities"), i, e)
		json_array_foreach(sub(e, "links"), k, link) {
			add_link(&t, e, link);
			add_link_note(&t, status, link);
		}
	html_table_end(&t);
	buf_adds(out, "</section>\n");
}

/* ---- entities ---------------------------------------------------------------------------------------- */

static void add_entity(struct html_table *t, const json_t *e)
{
	html_row_begin(t);
	html_head_begin(t);
	html_add(t->out, "%s", str(e, "name"));
	if (json_is_true(sub(e, "paused")))
		buf_adds(t->out, " <span class=\"state care\">paused</span>");
	html_head_end(t);
	cell_count(t, num(e, "records"), "");
	cell_count(t, num(e, "pending"), "");
	cell_count(t, num(e, "parked"), "bad");
	cell_count(t, num(e, "held"), "care");
	cell_count(t, num(e, "waiting"), "care");
	cell_delay(t, num(e, "propagation_p50_seconds"));
	cell_delay(t, num(e, "propagation_p99_seconds"));
	cell_count(t, num(e, "cleaned"), "");
	cell_count(t, num(e, "rejected"), "");
	html_row_end(t);
}

static void add_entities(struct buf *out, const json_t *status)
{
	static const struct html_column columns[] = {
		{ "Entity", "" }, { "Records", "n few" }, { "Pending", "n few" }, { "Parked", "n few" }, { "Held", "n few" },
		{ "To decide", "n few" }, { "Delay p50", "n few" }, { "Delay p99", "n few" }, { "Cleaned", "n few" }, { "Rejected", "n few" },
	};
	struct html_table t;
	const json_t *e;
	size_t i;

	buf_adds(out, "<section>\n<h2 id=\"entities\">Entities</h2>\n");
	html_table_begin(&t, out, "entities", columns, countof(columns));
	json_array_foreach(sub(status, "entities"), i, e)
		add_entity(&t, e);
	html_table_end(&t);
	buf_adds(out, "</section>\n");
}

/* ---- conflicts --------------------------------------------------------------------------------------- */

static void add_conflicts_of(struct html_table *t, const json_t *entity)
{
	const char *rule;
	json_t *n;

	/* The macro wants an object that it could change. */
	json_object_foreach((json_t *)(uintptr_t)sub(entity, "conflicts_by_rule"), rule, n) {
		html_row_begin(t);
		html_head_begin(t);
		html_add(t->out, "%s", rule);
		html_head_end(t);
		cell_text(t, "", str(entity, "name"));
		cell_count(t, json_number_value(n), "");
		html_row_end(t);
	}
}

static void add_conflicts(struct buf *out, const json_t *status)
{
	static const struct html_column columns[] = { { "Rule", "" }, { "Entity", "" }, { "Decided", "n" } };
	struct html_table t;
	const json_t *e;
	bool any = false;
	size_t i;

	json_array_foreach(sub(status, "entities"), i, e)
		any |= json_object_size(sub(e, "conflicts_by_rule")) > 0;
	buf_adds(out, "<section>\n<h2 id=\"conflicts\">Conflicts by rule</h2>\n");
	if (any) {
		html_table_begin(&t, out, "conflicts", columns, countof(columns));
		json_array_foreach(sub(status, "entities"), i, e)
			add_conflicts_of(&t, e);
		html_table_end(&t);
	} else {
		buf_adds(out, "<p>No two sides changed the same field at the same time since the daemon started or read its topology again.</p>\n");
	}
	buf_adds(out, "</section>\n");
}

/* ---- the service ------------------------------------------------------------------------------------- */

static void add_part(struct buf *out, const char *name, const json_t *part, const char *more)
{
	html_add(out, "<dt>%s</dt><dd><span class=\"state %s\">%s</span>", name, is(part, "state", "up") ? "good" : "bad",
		 str(part, "state"));
	html_add(out, " %s", more);
	if (str(part, "reason")[0] != '\0')
		html_add(out, ": %s", str(part, "reason"));
	buf_adds(out, "</dd>\n");
}

/* All links that are not paused, together. */
static void add_whole(struct buf *out, const json_t *availability)
{
	buf_adds(out, "<dt>All links available</dt><dd>");
	page_hour_add(out, "The whole", &hour_of_availability, sub(availability, "minutes"));
	buf_adds(out, "1 h: ");
	add_ratio(out, window_of(availability, "1h"));
	buf_adds(out, "</dd>\n");
}

static void add_service(struct buf *out, const json_t *status)
{
	const json_t *redis = sub(status, "redis"), *journal = sub(status, "journal");
	double bytes = num(journal, "bytes");
	struct buf size = { 0 };

	buf_adds(&size, "");
	if (!isnan(bytes))
		bytes_add(&size, bytes);
	buf_adds(out, "<section>\n<h2>Service</h2>\n<dl>\n");
	add_whole(out, sub(sub(status, "service"), "availability"));
	add_part(out, "Redis", redis, str(redis, "server"));
	add_part(out, "Journal", journal, size.p);
	buf_adds(out, "<dt>Rounds</dt><dd>");
	count_add(out, num(status, "rounds"));
	buf_adds(out, ", under way ");
	count_add(out, num(status, "rounds_in_flight"));
	buf_adds(out, "</dd>\n</dl>\n</section>\n");
	buf_fini(&size);
}

/* ---- the document ------------------------------------------------------------------------------------ */

/* The dot in the browser's tab. */
static const char *icon_colour(const char *tone)
{
	if (strcmp(tone, "good") == 0)
		return "3aa564";
	return strcmp(tone, "care") == 0 ? "d99a00" : "d8433d";
}

static void add_top(struct buf *out, const char *title, const char *tone, const char *nonce)
{
	html_add(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>%s</title>\n", title);
	buf_adds(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
		 "<meta name=\"color-scheme\" content=\"light dark\">\n");
	html_add(out, "<link rel=\"icon\" href=\"data:image/svg+xml,"
		 "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><circle cx='8' cy='8' r='7' fill='%%23%s'/></svg>\">\n",
		 icon_colour(tone));
	html_add(out, "<style nonce=\"%s\">\n", nonce);
	buf_adds(out, html_style);
	buf_adds(out, "</style>\n</head>\n<body>\n<p id=\"silence\" role=\"status\" hidden></p>\n<main class=\"crmsyncd\">\n");
}

static void add_bottom(struct buf *out, const char *nonce)
{
	buf_adds(out, "</main>\n<footer><a href=\"metrics\">/metrics</a> <a href=\"status\">/status</a> "
		 "<a href=\"readyz\">/readyz</a> <a href=\"healthz\">/healthz</a></footer>\n");
	html_add(out, "<script nonce=\"%s\">\n", nonce);
	buf_adds(out, page_script);
	buf_adds(out, "</script>\n</body>\n</html>\n");
}

void page_html(const json_t *status, const char *nonce, struct buf *out)
{
	struct buf title = { 0 };

	buf_addf(&title, "%s: %s", str(status, "topology"), str(status, "summary"));
	add_top(out, title.p, tone_of_all(status), nonce);
	buf_fini(&title);
	add_header(out, status);
	add_jobs(out, status);
	add_endpoints(out, status);
	add_links(out, status);
	add_entities(out, status);
	buf_adds(out, "<div class=\"beside\">\n");
	add_conflicts(out, status);
	add_service(out, status);
	buf_adds(out, "</div>\n");
	add_bottom(out, nonce);
}

void page_html_without(const char *why, const char *nonce, struct buf *out)
{
	add_top(out, "crmsyncd", "care", nonce);
	html_add(out, "<header class=\"care\"><h1>%s</h1></header>\n", why);
	add_bottom(out, nonce);
}
