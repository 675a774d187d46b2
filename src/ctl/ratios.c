/*
 * ratios.c - how much of the time everything was up and in step, in one table: never without how much of the time is known.
 */
#include <math.h>

#include "base/buf.h"
#include "base/object.h"
#include "ctl/ctl.h"

static const char *const windows[] = { "1h", "24h", "30d" };
enum { N_WINDOWS = sizeof windows / sizeof windows[0] };

/* Rounded down to a tenth; 100 is said only when it is. */
static void add_percent(struct buf *out, double ratio)
{
	double percent = floor(ratio * 1000 + 1e-9) / 10;

	buf_addf(out, percent == floor(percent) ? "%.0f" : "%.1f", percent);
}

/* "99.1 of 75 (74-99)"; the bounds say no more where everything is known. */
static void cell_share(struct table *t, const json_t *share, double coverage)
{
	double ratio = num(share, "ratio");
	struct buf words = { 0 };

	if (isnan(coverage)) {
		table_cell(t, DIM, "-");
		return;
	}
	if (isnan(ratio))
		buf_adds(&words, "-");
	else
		add_percent(&words, ratio);
	buf_addf(&words, " of %.0f", floor(coverage * 100 + 1e-9));
	if (coverage < 1)
		buf_addf(&words, " (%.0f-%.0f)", floor(num(share, "lower") * 100), ceil(num(share, "upper") * 100));
	table_cell(t, ratio < 1 ? YELLOW : PLAIN, "%s", words.p);
	buf_fini(&words);
}

/* `part` of each window; NULL: the window itself. */
static void add_row(struct table *t, const char *what, const char *of, const json_t *timeline, const char *part)
{
	table_cell(t, PLAIN, "%s%s", what, of);
	for (size_t w = 0; w < N_WINDOWS; w++) {
		const json_t *window = json_object_get(json_object_get(timeline, "windows"), windows[w]);

		cell_share(t, part != NULL ? json_object_get(window, part) : window, num(window, "coverage"));
	}
}

static void add_link(struct table *t, const char *entity, const json_t *link)
{
	const json_t *consistency = json_object_get(link, "consistency");
	struct buf name = { 0 };

	buf_addf(&name, "%s on %s", entity, str(link, "endpoint"));
	add_row(t, name.p, "", consistency, NULL);
	add_row(t, "  within 5 s", "", consistency, "within_5s");
	add_row(t, "  available", "", json_object_get(link, "availability"), NULL);
	buf_fini(&name);
}

static void show_up(const json_t *status, struct buf *out, size_t width, bool color)
{
	static const struct table_column columns[] = {
		{ "UP, %", .elastic = true }, { "LAST HOUR" }, { "24 HOURS" }, { "30 DAYS" },
	};
	struct table t = { .columns = columns, .n_columns = 1 + N_WINDOWS };
	const json_t *p;
	size_t i;

	add_row(&t, "service", "", json_object_get(json_object_get(status, "service"), "availability"), NULL);
	json_array_foreach(json_object_get(status, "endpoints"), i, p)
		add_row(&t, "", str(p, "name"), json_object_get(p, "availability"), NULL);
	table_print(&t, out, width, color);
}

static void show_in_step(const json_t *status, struct buf *out, size_t width, bool color)
{
	static const struct table_column columns[] = {
		{ "IN STEP, %", .elastic = true }, { "LAST HOUR" }, { "24 HOURS" }, { "30 DAYS" },
	};
	struct table t = { .columns = columns, .n_columns = 1 + N_WINDOWS };
	const json_t *e, *link;
	size_t i, k;

	json_array_foreach(json_object_get(status, "entities"), i, e)
		json_array_foreach(json_object_get(e, "links"), k, link)
			add_link(&t, str(e, "name"), link);
	table_print(&t, out, width, color);
}

void ratios_show(const json_t *status, struct buf *out, size_t width, bool color)
{
	const json_t *service = json_object_get(json_object_get(status, "service"), "availability");
	struct buf line = { 0 };

	if (service == NULL)
		return;
	show_up(status, out, width, color);
	buf_addc(out, '\n');
	show_in_step(status, out, width, color);
	buf_adds(&line, "99 of 75 (74-99): 99 % of the time observed, which was 75 % of all but paused time; 74 to 99 % of all, whatever the rest was. "
			"Counted since ");
	buf_addf(&line, "%.10s.", str(service, "since"));
	wrap_add(out, line.p, 2, width);
	buf_fini(&line);
}
