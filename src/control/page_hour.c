#include "control/page_hour.h"

#include <math.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/html.h"
#include "base/mem.h"
#include "base/words.h"

/* In the units of the drawing, which the style stretches to the room there is. */
enum { MINUTES = 60, STEP = 4, BAR = 3, HEIGHT = 20, LEAST = 5 };
#define WHOLE_S 59.9		/* the second that is not settled yet is no hole */

struct minute {
	double good, young, late, paused;	/* seconds */
};

const struct hour_words hour_of_availability = {
	.good_seconds = "up_seconds", .bad_seconds = "down_seconds", .not_good = "not wholly up", .late = "down",
};
const struct hour_words hour_of_consistency = {
	.good_seconds = "consistent_seconds", .bad_seconds = "inconsistent_seconds", .late_seconds = "late_seconds",
	.not_good = "not wholly in step", .young = "behind by less than 5 s", .late = "behind, or with records set aside",
};

static double seconds_of(const json_t *minutes, const char *part, size_t minute)
{
	const json_t *j = json_array_get(json_object_get(minutes, part), minute);

	return json_is_number(j) ? fmin(fmax(json_number_value(j), 0), 60) : 0;
}

static struct minute minute_of(const json_t *minutes, size_t i, const struct hour_words *words)
{
	double bad = seconds_of(minutes, words->bad_seconds, i);
	double late = words->late_seconds != NULL ? fmin(seconds_of(minutes, words->late_seconds, i), bad) : bad;

	return (struct minute){ .good = seconds_of(minutes, words->good_seconds, i), .young = bad - late, .late = late,
				.paused = seconds_of(minutes, "paused_seconds", i) };
}

static bool is_trouble(const struct minute *m)
{
	return m->young > 0 || m->late > 0;
}

/* A second of trouble would be a third of a unit: what was not well is drawn so that it is seen. */
static double height_of(double seconds)
{
	return seconds > 0 ? fmax(seconds / 60 * HEIGHT, LEAST) : 0;
}

static void add_bar(struct buf *out, const char *class, size_t minute, double bottom, double height)
{
	if (height > 0)
		buf_addf(out, "<rect class=\"%s\" x=\"%zu\" y=\"%.4g\" width=\"%d\" height=\"%.4g\"/>", class, minute * STEP,
			 HEIGHT - bottom - height, BAR, height);
}

static void add_seconds(struct buf *out, const char *word, double seconds)
{
	if (seconds <= 0)
		return;
	buf_adds(out, ", ");
	age_add(out, seconds);
	html_add(out, " %s", word);
}

/* From the bottom: late, young, good. A pointer that rests on it is told what it was. */
static void add_trouble(struct buf *out, size_t i, const struct minute *m, const struct hour_words *words)
{
	double late = height_of(m->late), young = fmin(height_of(m->young), HEIGHT - late);

	buf_addf(out, "<g><title>%zu min ago", MINUTES - 1 - i);
	add_seconds(out, words->late, m->late);
	add_seconds(out, words->young, m->young);
	buf_adds(out, "</title>");
	add_bar(out, "late", i, 0, late);
	add_bar(out, "young", i, late, young);
	add_bar(out, "good", i, late + young, fmin(m->good / 60 * HEIGHT, HEIGHT - late - young));
	buf_adds(out, "</g>");
}

/* Whole bars side by side are one thick line, which the style dashes: most hours are little else. */
static void add_runs(struct buf *out, const char *class, const double heights[MINUTES])
{
	struct buf runs = { 0 };
	size_t n;

	for (size_t i = 0; i < MINUTES; i += n + 1) {
		for (n = 0; i + n < MINUTES && heights[i + n] >= HEIGHT; n++)
			;
		if (n > 0)
			buf_addf(&runs, "M%zu %dh%zu", i * STEP, HEIGHT / 2, n * STEP - (STEP - BAR));
	}
	if (runs.len > 0)
		buf_addf(out, "<path class=\"%s run\" d=\"%s\"/>", class, runs.p);
	buf_fini(&runs);
}

static void add_parts(struct buf *out, const char *class, const double heights[MINUTES])
{
	for (size_t i = 0; i < MINUTES; i++)
		if (heights[i] < HEIGHT)
			add_bar(out, class, i, 0, heights[i]);
}

static void add_minutes(struct buf *out, size_t n, const char *what)
{
	count_add(out, (double)n);
	html_add(out, " minute%s %s", n == 1 ? "" : "s", what);
}

void page_hour_add(struct buf *out, const char *name, const struct hour_words *words, const json_t *minutes)
{
	double well[MINUTES], paused[MINUTES];
	struct buf bars = { 0 };
	size_t troubled = 0, unseen = 0;

	buf_adds(&bars, "");
	for (size_t i = 0; i < MINUTES; i++) {
		struct minute m = minute_of(minutes, i, words);

		well[i] = is_trouble(&m) ? 0 : m.good / 60 * HEIGHT;
		paused[i] = is_trouble(&m) ? 0 : m.paused / 60 * HEIGHT;
		unseen += m.good + m.young + m.late + m.paused < WHOLE_S;
		if (is_trouble(&m)) {
			troubled++;
			add_trouble(&bars, i, &m, words);
		}
	}
	buf_adds(out, "<svg role=\"img\" viewBox=\"0 0 239 20\" preserveAspectRatio=\"none\" aria-label=\"");
	html_add(out, "%s in the last hour: ", name);	/* for those who do not see it */
	add_minutes(out, troubled, words->not_good);
	buf_adds(out, ", ");
	add_minutes(out, unseen, "not wholly observed");
	buf_adds(out, "\">");
	buf_addf(out, "<path class=\"void run\" d=\"M0 %dh%d\"/>", HEIGHT / 2, MINUTES * STEP - (STEP - BAR));
	add_runs(out, "paused", paused);
	add_parts(out, "paused", paused);
	add_runs(out, "good", well);
	add_parts(out, "good", well);
	buf_adds(out, bars.p);
	buf_adds(out, "</svg>");
	buf_fini(&bars);
}
