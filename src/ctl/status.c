#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "base/words.h"
#include "ctl/asking.h"

/* ---- cells: the words of base/words.h, painted -------------------------------------------------------- */

static void cell(struct table *t, enum paint paint, struct buf *words)
{
	table_cell(t, paint, "%s", words->p);
	buf_fini(words);
}

static void cell_count(struct table *t, double n, enum paint paint)
{
	struct buf words = { 0 };

	count_add(&words, n);
	cell(t, isnan(n) ? DIM : n > 0 ? paint : PLAIN, &words);
}

static void cell_rate(struct table *t, double bytes)
{
	struct buf words = { 0 };

	byte_rate_add(&words, bytes);
	cell(t, isnan(bytes) ? DIM : PLAIN, &words);
}

static void cell_lag(struct table *t, double seconds)
{
	struct buf words = { 0 };

	lag_add(&words, seconds);
	cell(t, isnan(seconds) ? DIM : seconds < 10 ? PLAIN : YELLOW, &words);
}

static void cell_delay(struct table *t, double seconds)
{
	struct buf words = { 0 };

	if (isnan(seconds))
		buf_adds(&words, "-");		/* nothing has travelled yet */
	else
		age_add(&words, seconds);
	cell(t, isnan(seconds) ? DIM : PLAIN, &words);
}

static void cell_offset(struct table *t, double seconds)
{
	struct buf words = { 0 };

	offset_add(&words, seconds);
	cell(t, isnan(seconds) ? DIM : fabs(seconds) < 1 ? PLAIN : YELLOW, &words);
}

static void cell_ago(struct table *t, const char *time, int64_t now_us)
{
	struct buf words = { 0 };

	ago_add(&words, time, now_us);
	cell(t, strcmp(words.p, "-") == 0 ? DIM : PLAIN, &words);
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

static void add_down(struct buf *out, size_t width, const json_t *p)
{
	struct buf line = { 0 };

	if (str(p, "reason")[0] == '\0')
		return;
	buf_adds(&line, str(p, "reason"));
	if (str(p, "code")[0] != '\0')
		buf_addf(&line, " (%s)", str(p, "code"));
	attempts_add(&line, num(p, "failed_attempts"), num(p, "next_attempt_seconds"));
	add_reason(out, width, str(p, "name"), "", line.p);
	buf_fini(&line);
}

static void add_recognised(struct buf *out, size_t width, const json_t *p, int64_t now_us)
{
	struct buf line = { 0 };

	if (str(p, "recognised")[0] == '\0')
		return;
	buf_addf(&line, "%s (", str(p, "recognised"));
	ago_add(&line, str(p, "recognised_time"), now_us);
	buf_addc(&line, ')');
	add_reason(out, width, str(p, "name"), "", line.p);
	buf_fini(&line);
}

enum { LOG_OLD_S = 300 };		/* many transactions take longer than a moment, few longer than that */

static void add_old_log(struct buf *out, size_t width, const json_t *status, const json_t *p)
{
	const json_t *log = sub(p, "change_log");
	const char *of = str(log, "oldest_of");
	struct buf line = { 0 };

	if (!(num(log, "oldest_seconds") >= LOG_OLD_S))
		return;
	buf_adds(&line, "the oldest entry in its change log has waited for ");
	age_add(&line, num(log, "oldest_seconds"));
	buf_addf(&line, ", and the log takes %.1f MiB there: ", num(log, "bytes") / 1048576);
	if (strcmp(of, str(status, "topology")) == 0)
		buf_adds(&line, "what holds it up is said below");
	else
		buf_addf(&line, "it is for the topology %s, whose crmsyncd does not take it", of);
	add_reason(out, width, str(p, "name"), "", line.p);
	buf_fini(&line);
}

static void show_endpoints(const json_t *status, struct buf *out, size_t width, bool color)
{
	static const struct table_column columns[] = {
		{ "ENDPOINT", .elastic = true }, { "STATE" }, { "CLOCK", .right = true }, { "LOOKED", .right = true },
		{ "DATA RATE", .right = true }, { "SERVER", .elastic = true },
	};
	struct table t = { .columns = columns, .n_columns = 6 };
	const json_t *list = sub(status, "endpoints"), *p;
	int64_t now_us = 0;
	size_t i;

	time_parse(str(status, "time"), &now_us);
	json_array_foreach(list, i, p) {
		table_cell(&t, PLAIN, "%s", str(p, "name"));
		table_cell(&t, state_paint(str(p, "state")), "%s", str(p, "state"));
		cell_offset(&t, num(p, "clock_offset_seconds"));
		cell_ago(&t, str(p, "last_capture"), now_us);
		cell_rate(&t, num(p, "data_rate_bytes_per_second"));
		table_cell(&t, PLAIN, "%s", str(p, "server"));
	}
	table_print(&t, out, width, color);
	json_array_foreach(list, i, p)
		add_down(out, width, p);
	json_array_foreach(list, i, p)
		add_recognised(out, width, p, now_us);
	json_array_foreach(list, i, p)
		add_old_log(out, width, status, p);
	json_array_foreach(list, i, p)
		if (json_is_false(sub(p, "guarded")) && strcmp(str(p, "state"), "up") == 0)
			add_reason(out, width, str(p, "name"), "", unguarded_words);
}

static void cell_doing(struct table *t, const json_t *link)
{
	const json_t *progress = sub(link, "progress");
	struct buf words = { 0 };

	progress_add(&words, str(link, "phase"), str(progress, "doing"), num(progress, "rows_done"), num(progress, "share"),
		     num(progress, "rows_per_second"), num(progress, "seconds_left"));
	cell(t, PLAIN, &words);
}

static void add_link(struct table *t, const json_t *entity, const json_t *link, bool first)
{
	table_cell(t, PLAIN, "%s", first ? str(entity, "name") : "");
	table_cell(t, PLAIN, "%s", str(link, "endpoint"));
	table_cell(t, state_paint(str(link, "state")), "%s", link_word(str(link, "state")));
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
		{ "ENTITY", .elastic = true }, { "ENDPOINT", .elastic = true }, { "NOW" },
		{ "LAG", .right = true }, { "OWED", .right = true }, { "PARKED", .right = true }, { "DOING", .elastic = true },
	};
	struct table t = { .columns = columns, .n_columns = 7 };
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

/* Those that last longest come first; of many the others are left to the page and --json. */
enum { JOBS_SHOWN = 10 };

static void add_job(struct table *t, const json_t *job)
{
	struct buf words = { 0 };

	table_cell(t, PLAIN, "%s%s%s", str(job, "kind"), str(job, "entity")[0] != '\0' ? " " : "", str(job, "entity"));
	table_cell(t, PLAIN, "%s", str(job, "asked_by"));
	cell_delay(t, num(job, "seconds"));
	job_add(&words, job);
	cell(t, PLAIN, &words);
}

/* A line of its own: in the table it would be cut. */
static void show_throttle(const json_t *job, struct buf *out, size_t width)
{
	struct buf line = { 0 };

	if (str(job, "throttle")[0] == '\0')
		return;
	buf_addf(&line, "%s %s waits: %s", str(job, "kind"), str(job, "entity"), str(job, "throttle"));
	wrap_add(out, line.p, 2, width);
	buf_fini(&line);
}

static void show_jobs(const json_t *jobs, struct buf *out, size_t width, bool color)
{
	static const struct table_column columns[] = {
		{ "JOB", .elastic = true }, { "ASKED BY" }, { "FOR", .right = true }, { "DOING", .elastic = true },
	};
	struct table t = { .columns = columns, .n_columns = 4 };
	size_t n = json_array_size(jobs);

	if (n == 0)
		return;
	for (size_t i = 0; i < n && i < JOBS_SHOWN; i++)
		add_job(&t, json_array_get(jobs, i));
	table_print(&t, out, width, color);
	for (size_t i = 0; i < n && i < JOBS_SHOWN; i++)
		show_throttle(json_array_get(jobs, i), out, width);
	if (n > JOBS_SHOWN)
		buf_addf(out, "  and %zu more\n", n - JOBS_SHOWN);
	buf_addc(out, '\n');
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

/* Only of what differs still. */
static void show_verify(const json_t *entities, struct buf *out, size_t width, int64_t now_us)
{
	const json_t *e, *verify;
	size_t i;

	json_array_foreach(entities, i, e) {
		struct buf line = { 0 };

		verify = sub(e, "verify");
		if (!(num(verify, "different") > 0))
			continue;
		buf_addf(&line, "%.0f of ", num(verify, "different"));
		count_add(&line, num(verify, "compared"));
		buf_adds(&line, " records differ, as verify found ");
		ago_add(&line, str(verify, "last"), now_us);
		buf_addf(&line, "; crmsyncctl repair %s mends them", str(e, "name"));
		add_reason(out, width, str(e, "name"), "", line.p);
		buf_fini(&line);
	}
}

/* Only of a fault of ours: as long as they balance there is nothing to say. */
static void show_books(const json_t *entities, struct buf *out, size_t width)
{
	const json_t *e, *books;
	size_t i;

	json_array_foreach(entities, i, e) {
		struct buf line = { 0 };

		books = sub(e, "books");
		if (!json_is_false(sub(books, "balanced")))
			continue;
		buf_addf(&line, "the books of %s do not balance: of %.0f captured changes %.0f are settled and %.0f open; please report it",
			 str(e, "name"), num(books, "captured"), num(books, "applied") + num(books, "unchanged") + num(books, "lost") + num(books, "merged"),
			 num(books, "pending") + num(books, "parked") + num(books, "waiting") + num(books, "held"));
		wrap_add(out, line.p, 2, width);
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

static void show_service(const json_t *status, struct buf *out, size_t width)
{
	const json_t *redis = sub(status, "redis"), *journal = sub(status, "journal");
	double uptime = num(status, "uptime_seconds");
	struct buf line = { 0 };

	buf_addf(&line, "topology %s, crmsyncd %s, up ", str(status, "topology"), str(status, "version"));
	age_add(&line, isnan(uptime) ? 0 : uptime);
	buf_addf(&line, "; %s %s", str(redis, "server")[0] != '\0' ? str(redis, "server") : "Redis", str(redis, "state"));
	if (num(journal, "bytes") > 0) {
		buf_adds(&line, "; journal ");
		bytes_add(&line, num(journal, "bytes"));
		buf_adds(&line, ", of it before-images of ");
		count_add(&line, num(journal, "images"));
		buf_adds(&line, " writes ");
		bytes_add(&line, num(journal, "images_bytes"));
	}
	wrap_add(out, line.p, 0, width);
	buf_fini(&line);
}

void status_show(const json_t *status, struct buf *out, size_t width, bool color)
{
	const json_t *entities = sub(status, "entities");
	struct buf sentence = { 0 };
	int64_t now_us = 0;

	time_parse(str(status, "time"), &now_us);
	buf_adds(&sentence, "");
	wrap_add(&sentence, str(status, "summary"), 0, width);
	paint_add(out, color, BOLD, sentence.p);
	buf_fini(&sentence);
	show_service(status, out, width);
	buf_addc(out, '\n');
	show_jobs(sub(status, "jobs"), out, width, color);
	show_endpoints(status, out, width, color);
	buf_addc(out, '\n');
	show_links(status, out, width, color);
	buf_addc(out, '\n');
	show_entities(entities, out, width, color);
	show_conflicts(entities, out, width);
	show_verify(entities, out, width, now_us);
	show_books(entities, out, width);
	buf_addc(out, '\n');
	show_promises(status, out, width);
	buf_addc(out, '\n');
	ratios_show(status, out, width, color);
}
