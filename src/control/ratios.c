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

static void fill_availability(json_t *j, const struct spent *s)
{
	add_ratio(j, s, RATIO_GOOD);
	add_number(j, "up_seconds", spent_seconds(s, METER_GOOD));
	add_number(j, "down_seconds", spent_bad_seconds(s));
	add_number(j, "unknown_seconds", spent_seconds(s, METER_UNKNOWN));
	add_number(j, "paused_seconds", spent_seconds(s, METER_PAUSED));
}

static void fill_consistency(json_t *j, const struct spent *s)
{
	json_t *within = json_object();

	add_ratio(j, s, RATIO_GOOD);
	add_ratio(within, s, RATIO_TIMELY);
	json_object_set_new(j, "within_5s", within);
	add_number(j, "consistent_seconds", spent_seconds(s, METER_GOOD));
	add_number(j, "inconsistent_seconds", spent_bad_seconds(s));
	add_number(j, "late_seconds", spent_seconds(s, METER_LATE) + spent_seconds(s, METER_ASIDE));
	add_number(j, "aside_seconds", spent_seconds(s, METER_ASIDE));
	add_number(j, "unknown_seconds", spent_seconds(s, METER_UNKNOWN));
	add_number(j, "paused_seconds", spent_seconds(s, METER_PAUSED));
}

static json_t *timeline_json(const struct sync *sync, const struct timeline *t, void (*fill)(json_t *, const struct spent *))
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
	json_object_set_new(j, "availability", timeline_json(sync, t, fill_availability));
}

void ratios_add_consistency(json_t *j, const struct sync *sync, const struct timeline *t)
{
	add_total(j, "consistency_ratio", "consistency_coverage_ratio", t);
	json_object_set_new(j, "consistency", timeline_json(sync, t, fill_consistency));
}
