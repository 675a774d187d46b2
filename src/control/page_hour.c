#include "control/page_hour.h"

#include <math.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/words.h"
#include "control/html.h"

/* In the units of the drawing, which the style stretches to the room there is. */
enum { MINUTES = 60, STEP = 4, BAR = 3, HEIGHT = 20, LEAST = 5 };

struct minute {
	double good, bad, late, paused;	/* seconds; late: also what stands aside */
};

static double seconds_of(const json_t *hour, const char *state, size_t minute)
{
	const json_t *j = json_array_get(json_object_get(hour, state), minute);

	return json_is_number(j) ? fmin(fmax(json_number_value(j), 0), 60) : 0;
}

static struct minute minute_of(const json_t *hour, size_t i, const struct hour_words *words)
{
	double bad = seconds_of(hour, "bad", i);

	return (struct minute){ .good = seconds_of(hour, "good", i), .bad = words->bad != NULL ? bad : 0,
				.late = seconds_of(hour, "late", i) + seconds_of(hour, "aside", i) + (words->bad != NULL ? 0 : bad),
				.paused = seconds_of(hour, "paused", i) };
}

static bool is_trouble(const struct minute *m)
{
	return m->bad > 0 || m->late > 0;
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

/* From the bottom: late, bad, good. A pointer that rests on it is told what it was. */
static void add_trouble(struct buf *out, size_t i, const struct minute *m, const struct hour_words *words)
{
	double late = height_of(m->late), bad = fmin(height_of(m->bad), HEIGHT - late);

	buf_addf(out, "<g><title>%zu min ago", MINUTES - 1 - i);
	add_seconds(out, words->late, m->late);
	add_seconds(out, words->bad, m->bad);
	buf_adds(out, "</title>");
	add_bar(out, "late", i, 0, late);
	add_bar(out, "bad", i, late, bad);
	add_bar(out, "good", i, late + bad, fmin(m->good / 60 * HEIGHT, HEIGHT - late - bad));
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

/* What the chart shows, for those who do not see it. */
static void add_label(struct buf *out, const char *name, const struct hour_words *words, size_t troubled, double good, double observed)
{
	html_add(out, "%s in the last hour: ", name);
	if (observed <= 0) {
		buf_adds(out, "not observed");
		return;
	}
	share_add(out, good / observed);
	html_add(out, " %s, ", words->good);
	count_add(out, (double)troubled);
	html_add(out, " minutes not wholly so, not observed ");
	share_add(out, 1 - observed / (60 * MINUTES));
}

void page_hour_add(struct buf *out, const char *name, const struct hour_words *words, const json_t *hour)
{
	double well[MINUTES], paused[MINUTES], good = 0, observed = 0;
	struct buf bars = { 0 };
	size_t troubled = 0;

	buf_adds(&bars, "");
	for (size_t i = 0; i < MINUTES; i++) {
		struct minute m = minute_of(hour, i, words);

		well[i] = is_trouble(&m) ? 0 : m.good / 60 * HEIGHT;
		paused[i] = is_trouble(&m) ? 0 : m.paused / 60 * HEIGHT;
		good += m.good;
		observed += m.good + m.bad + m.late;
		if (is_trouble(&m)) {
			troubled++;
			add_trouble(&bars, i, &m, words);
		}
	}
	buf_adds(out, "<svg role=\"img\" viewBox=\"0 0 239 20\" preserveAspectRatio=\"none\" aria-label=\"");
	add_label(out, name, words, troubled, good, observed);
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
