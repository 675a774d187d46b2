/*
 * jobs.c - the long work that is under way, as objects: of /status all of it, and of a command its own, twice a second.
 */
#include <math.h>

#include "base/clock.h"
#include "control/room.h"
#include "meter/jobs.h"
#include "sync/sync.h"

static const char *by_name(enum job_by by)
{
	switch (by) {
	case JOB_DAEMON:	return "daemon";
	case JOB_SCHEDULE:	return "schedule";
	case JOB_OPERATOR:	return "operator";
	}
	return "";
}

static json_t *count(int64_t n)
{
	return n >= 0 ? json_integer(n) : json_null();
}

static json_t *name(const char *s)
{
	return s != NULL ? control_text(s) : json_null();
}

/* pace: as far as the work knows better than the job. */
static json_t *one_json(const struct job *j, const struct job_pace *pace)
{
	int64_t past = clock_mono_us() - j->began_us;
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string(j->kind));
	json_object_set_new(o, "entity", name(j->entity));
	json_object_set_new(o, "endpoint", name(j->endpoint));
	json_object_set_new(o, "asked_by", json_string(by_name(j->by)));
	json_object_set_new(o, "since", control_time(clock_wall_us() - past));
	json_object_set_new(o, "seconds", json_real((double)past / 1e6));
	json_object_set_new(o, "phase", json_string(j->phase));
	json_object_set_new(o, "done", json_integer(j->done));
	json_object_set_new(o, "expected", count(j->expected));
	json_object_set_new(o, "unit", name(j->unit));
	json_object_set_new(o, "per_second", j->unit != NULL ? control_number(pace->per_second) : json_null());
	json_object_set_new(o, "share", control_number(pace->share));
	json_object_set_new(o, "seconds_left", control_number(pace->seconds_left));
	json_object_set_new(o, "throttle", json_string(j->waits));
	return o;
}

json_t *job_json(const struct job *j)
{
	struct job_pace pace = job_pace(j, clock_mono_us());

	return one_json(j, &pace);
}

static json_t *listing_json(const struct sync_link_view *v)
{
	struct job j = { .kind = v->phase == SYNC_PHASE_SURVEY ? "survey" : "sweep", .entity = v->mapping->entity->name, .by = v->listing_by,
			 .began_us = v->listing_us, .phase = v->second_half ? "scan" : "list", .endpoint = v->mapping->endpoint->name,
			 .unit = v->second_half ? "records" : "rows", .done = v->rows_done, .expected = v->rows_expected };
	struct job_pace pace = { v->share, v->rows_per_second, v->seconds_left };

	return one_json(&j, &pace);
}

/* Those that have lasted longest first. */
static void add(json_t *list, json_t *job)
{
	double seconds = json_real_value(json_object_get(job, "seconds"));
	size_t i = 0;

	while (i < json_array_size(list) && json_real_value(json_object_get(json_array_get(list, i), "seconds")) >= seconds)
		i++;
	json_array_insert_new(list, i, job);
}

json_t *jobs_json(struct sync *sync)
{
	json_t *list = json_array();
	struct sync_link_view v;

	for (const struct job *j = sync_jobs(sync)->list; j != NULL; j = j->next)
		add(list, job_json(j));
	for (size_t e = 0; e < sync_entities(sync); e++)
		for (size_t p = 0; p < sync_endpoints(sync); p++)
			if (sync_link_view(sync, e, p, &v) && v.listing_us != 0)
				add(list, listing_json(&v));
	return list;
}
