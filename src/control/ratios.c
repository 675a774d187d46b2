/*
 * ratios.c - ratios over time in the status object: never without how much of the time they speak for, and what the rest allows.
 */
#include <math.h>

#include "control/room.h"
#include "meter/timeline.h"
#include "sync/sync.h"

json_t *control_number(double v)
{
	return isfinite(v) ? json_real(v) : json_null();
}

static void add_number(json_t *j, const char *name, double v)
{
	json_object_set_new(j, name, control_number(v));
}

static void add_ratio(json_t *j, const struct spent *s, enum ratio_kind kind)
{
	struct ratio r = ratio_of(s, kind);

	add_number(j, "ratio", r.value);
	add_number(j, "lower", r.lower);
	add_number(j, "upper", r.upper);
	add_number(j, "coverage", r.coverage);
}

/* The time spent in some states, as it is called in the object. */
struct part {
	const char *name;
	unsigned states;
};
#define IN(state) (1u << METER_##state)
static const struct part availability_parts[] = {
	{ "up_seconds", IN(GOOD) }, { "down_seconds", IN(BAD) | IN(LATE) | IN(ASIDE) }, { "unknown_seconds", IN(UNKNOWN) },
	{ "paused_seconds", IN(PAUSED) }, { NULL, 0 },
};
static const struct part consistency_parts[] = {
	{ "consistent_seconds", IN(GOOD) }, { "inconsistent_seconds", IN(BAD) | IN(LATE) | IN(ASIDE) },
	{ "late_seconds", IN(LATE) | IN(ASIDE) }, { "aside_seconds", IN(ASIDE) }, { "unknown_seconds", IN(UNKNOWN) },
	{ "paused_seconds", IN(PAUSED) }, { NULL, 0 },
};

static double part_seconds(const struct spent *s, const struct part *part)
{
	double seconds = 0;

	for (int state = 0; state < METER_STATES; state++)
		if (part->states & (1u << state))
			seconds += spent_seconds(s, (enum meter_state)state);
	return seconds;
}

static void add_parts(json_t *j, const struct spent *s, const struct part *parts)
{
	for (; parts->name != NULL; parts++)
		add_number(j, parts->name, part_seconds(s, parts));
}

/*
 * For a chart: the parts of each of the last 60 minutes, the oldest first, the last one as far as it is settled. What there was
 * nothing of in the whole hour is left out, which is most of it.
 */
static json_t *minutes_json(const struct timeline *t, const struct part *parts)
{
	json_t *j = json_object();

	for (; parts->name != NULL; parts++) {
		json_t *list = json_array();
		double sum = 0;

		for (unsigned ago = 60; ago-- > 0;) {
			struct spent s = timeline_minute(t, ago);
			double seconds = part_seconds(&s, parts);

			json_array_append_new(list, json_real(round(seconds * 1000) / 1000));
			sum += seconds;
		}
		if (sum > 0)
			json_object_set(j, parts->name, list);
		json_decref(list);
	}
	return j;
}

static void fill_availability(json_t *j, const struct spent *s)
{
	add_ratio(j, s, RATIO_GOOD);
	add_parts(j, s, availability_parts);
}

static void fill_consistency(json_t *j, const struct spent *s)
{
	json_t *within = json_object();

	add_ratio(j, s, RATIO_GOOD);
	add_ratio(within, s, RATIO_TIMELY);
	json_object_set_new(j, "within_5s", within);
	add_parts(j, s, consistency_parts);
}

static json_t *timeline_json(const struct sync *sync, const struct timeline *t, void (*fill)(json_t *, const struct spent *),
			     const struct part *parts)
{
	json_t *j = json_object(), *windows = json_object();
	struct spent s = timeline_total(t);

	json_object_set_new(j, "since", t->since_us == 0 ? json_null() : control_time(sync_timeline_wall(sync, t->since_us)));
	fill(j, &s);
	for (int w = 0; w < WINDOWS; w++) {
		json_t *window = json_object();

		s = timeline_window(t, (enum window)w);
		fill(window, &s);
		json_object_set_new(windows, window_names[w], window);
	}
	json_object_set_new(j, "windows", windows);
	json_object_set_new(j, "minutes", minutes_json(t, parts));
	return j;
}

static void add_total(json_t *j, const char *ratio, const char *coverage, const struct timeline *t)
{
	struct spent s = timeline_total(t);
	struct ratio r = ratio_of(&s, RATIO_GOOD);

	add_number(j, ratio, r.value);
	add_number(j, coverage, r.coverage);
}

void ratios_add_availability(json_t *j, const struct sync *sync, const struct timeline *t)
{
	add_total(j, "availability_ratio", "availability_coverage_ratio", t);
	json_object_set_new(j, "availability", timeline_json(sync, t, fill_availability, availability_parts));
}

void ratios_add_consistency(json_t *j, const struct sync *sync, const struct timeline *t)
{
	add_total(j, "consistency_ratio", "consistency_coverage_ratio", t);
	json_object_set_new(j, "consistency", timeline_json(sync, t, fill_consistency, consistency_parts));
}
