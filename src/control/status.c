#include "control/pages.h"

#include <math.h>

#include "base/buf.h"
#include "base/clock.h"
#include "conf/topology.h"
#include "config.h"
#include "control/room.h"
#include "endpoint/endpoint.h"
#include "journal/journal.h"
#include "journal/journal_images.h"
#include "meter/meter.h"
#include "sync/sync.h"

/* ---- values ------------------------------------------------------------------------------------------ */

static const char *phase_name(enum sync_phase phase)
{
	switch (phase) {
	case SYNC_PHASE_WAITING:	return "waiting";
	case SYNC_PHASE_SURVEY:		return "survey";
	case SYNC_PHASE_FOLLOW:		return "follow";
	case SYNC_PHASE_SWEEP:		return "sweep";
	case SYNC_PHASE_STOPPED:	return "stopped";
	}
	return "";
}

static const char *link_state_name(enum sync_link_state state)
{
	switch (state) {
	case SYNC_LINK_UNKNOWN:		return "unknown";
	case SYNC_LINK_CONSISTENT:	return "consistent";
	case SYNC_LINK_INCONSISTENT:	return "inconsistent";
	}
	return "";
}

/* ---- endpoints --------------------------------------------------------------------------------------- */

/* null where none is, or before it was looked at. */
static json_t *log_json(const struct endpoint_log *log)
{
	json_t *j;

	if (!log->known)
		return json_null();
	j = json_object();
	json_object_set_new(j, "bytes", json_integer(log->bytes));
	json_object_set_new(j, "oldest_seconds", control_number(log->oldest_s));
	json_object_set_new(j, "oldest_of", log->oldest_of[0] != '\0' ? control_text(log->oldest_of) : json_null());
	return j;
}

static json_t *endpoint_json(const struct sync *sync, const struct sync_endpoint_view *v)
{
	const struct endpoint *p = v->endpoint;
	int64_t now = clock_mono_us();
	bool met = p->server[0] != '\0';	/* else its clock was never asked either */
	json_t *j = json_object();

	json_object_set_new(j, "name", control_text(v->conf->name));
	json_object_set_new(j, "driver", json_string(driver_name(v->conf->driver)));
	json_object_set_new(j, "capture", json_string(capture_name(v->conf->capture)));
	json_object_set_new(j, "state", json_string(v->paused ? "paused" : endpoint_state_name(p->state)));
	json_object_set_new(j, "reason", control_text(p->why.text));
	json_object_set_new(j, "code", control_text(p->why.code));
	json_object_set_new(j, "server", control_text(p->server));
	json_object_set_new(j, "since", control_time(p->state_since_us));
	ratios_add_availability(j, sync, &v->meter->availability);
	json_object_set_new(j, "clock_offset_seconds", control_number(met ? p->clock_offset_s : NAN));
	json_object_set_new(j, "clock_error_seconds", control_number(met ? p->clock_error_s : NAN));
	json_object_set_new(j, "last_capture", control_time(p->last_capture_us));
	json_object_set_new(j, "failed_attempts", json_integer(p->tries));
	json_object_set_new(j, "next_attempt_seconds",
			    p->next_try_us == 0 ? json_null() : control_number(fmax(0, (double)(p->next_try_us - now) / 1e6)));
	json_object_set_new(j, "change_log", log_json(&p->log));
	json_object_set_new(j, "guarded", json_boolean(v->guarded));
	json_object_set_new(j, "recognised", v->recognised_us == 0 ? json_null() : control_text(v->recognised));
	json_object_set_new(j, "recognised_time", control_time(v->recognised_us));
	json_object_set_new(j, "bytes_read", json_integer((json_int_t)v->meter->volume.read));
	json_object_set_new(j, "bytes_written", json_integer((json_int_t)v->meter->volume.written));
	json_object_set_new(j, "data_rate_bytes_per_second", control_number(meter_data_rate(&v->meter->volume, now)));
	json_object_set_new(j, "throughput_bytes_per_second", control_number(meter_throughput(&v->meter->volume, now)));
	return j;
}

/* ---- entities and their links ------------------------------------------------------------------------ */

static json_t *progress_json(const struct sync_link_view *v)
{
	json_t *j;

	if (v->phase != SYNC_PHASE_SURVEY && v->phase != SYNC_PHASE_SWEEP)
		return json_null();
	j = json_object();
	json_object_set_new(j, "doing", json_string(v->second_half ? "look" : "list"));
	json_object_set_new(j, "rows_done", json_integer(v->rows_done));
	json_object_set_new(j, "rows_expected", v->rows_expected < 0 ? json_null() : json_integer(v->rows_expected));
	json_object_set_new(j, "rows_per_second", control_number(v->rows_per_second));
	json_object_set_new(j, "share", control_number(v->share));
	json_object_set_new(j, "seconds_left", control_number(v->seconds_left));
	return j;
}

static json_t *promises_json(const struct link_promises *p)
{
	json_t *j = json_object();

	json_object_set_new(j, "prompt_deletes", json_boolean(p->prompt_deletes));
	json_object_set_new(j, "exact", json_boolean(p->exact));
	json_object_set_new(j, "pushes", json_boolean(p->pushes));
	json_object_set_new(j, "guarded", json_boolean(p->guarded));
	json_object_set_new(j, "words", control_text(p->words != NULL ? p->words : ""));
	return j;
}

static void add_counts(json_t *j, const struct meter_link *m)
{
	json_object_set_new(j, "captured", json_integer((json_int_t)m->captured));
	json_object_set_new(j, "applied", json_integer((json_int_t)m->applied));
	json_object_set_new(j, "inserts", json_integer((json_int_t)m->inserts));
	json_object_set_new(j, "updates", json_integer((json_int_t)m->updates));
	json_object_set_new(j, "deletes", json_integer((json_int_t)m->deletes));
	json_object_set_new(j, "echoes", json_integer((json_int_t)m->echoes));
	json_object_set_new(j, "failures", json_integer((json_int_t)m->failures));
	json_object_set_new(j, "refused", json_integer((json_int_t)m->refused));
}

static json_t *link_json(const struct sync *sync, const struct sync_link_view *v)
{
	json_t *j = json_object();
	/* A table that does not fit is the reason for everything else that is wrong with the link. */
	const char *reason = !v->link->usable && v->link->why.text[0] != '\0' ? v->link->why.text : v->reason;

	json_object_set_new(j, "endpoint", control_text(v->mapping->endpoint->name));
	json_object_set_new(j, "table", control_text(v->mapping->table));
	json_object_set_new(j, "role", json_string(role_name(v->mapping->role)));
	json_object_set_new(j, "state", json_string(link_state_name(v->state)));
	json_object_set_new(j, "reason", control_text(reason));
	json_object_set_new(j, "usable", json_boolean(v->link->usable));
	ratios_add_availability(j, sync, &v->meter->availability);
	ratios_add_consistency(j, sync, &v->meter->consistency);
	json_object_set_new(j, "lag_seconds", control_number(v->lag_seconds));
	json_object_set_new(j, "owed", json_integer(v->owed));
	json_object_set_new(j, "parked", json_integer(v->parked));
	json_object_set_new(j, "held_deletes", json_integer(v->held_deletes));
	json_object_set_new(j, "phase", json_string(phase_name(v->phase)));
	json_object_set_new(j, "progress", progress_json(v));
	json_object_set_new(j, "last_sweep", control_time(v->last_sweep_us));
	json_object_set_new(j, "promises", promises_json(&v->link->promises));
	add_counts(j, v->meter);
	return j;
}

static json_t *conflicts_by_rule(const struct meter_entity *m)
{
	json_t *j = json_object();

	for (unsigned r = 0; r < RULES; r++)
		if (m->conflicts[r] > 0)
			json_object_set_new(j, rule_name((enum rule)r), json_integer((json_int_t)m->conflicts[r]));
	return j;
}

static json_t *books_json(const struct books *b)
{
	json_t *j = json_object();

	json_object_set_new(j, "captured", json_integer((json_int_t)b->captured));
	json_object_set_new(j, "applied", json_integer((json_int_t)b->applied));
	json_object_set_new(j, "unchanged", json_integer((json_int_t)b->unchanged));
	json_object_set_new(j, "lost", json_integer((json_int_t)b->lost));
	json_object_set_new(j, "merged", json_integer((json_int_t)b->merged));
	json_object_set_new(j, "pending", json_integer(b->records[BOOKS_PENDING]));
	json_object_set_new(j, "parked", json_integer(books_parked(b)));
	json_object_set_new(j, "waiting", json_integer(b->records[BOOKS_WAITING]));
	json_object_set_new(j, "held", json_integer(b->held));
	json_object_set_new(j, "balanced", json_boolean(books_balance(b)));
	return j;
}

static json_t *verify_json(const struct meter_verify *last)
{
	json_t *j = json_object();

	json_object_set_new(j, "last", control_time(last->ended_us));
	json_object_set_new(j, "compared", json_integer(last->compared));
	json_object_set_new(j, "different", json_integer(last->different));
	return j;
}

static json_t *links_json(struct sync *sync, size_t entity)
{
	json_t *list = json_array();
	struct sync_link_view v;

	for (size_t p = 0; p < sync_endpoints(sync); p++)
		if (sync_link_view(sync, entity, p, &v))
			json_array_append_new(list, link_json(sync, &v));
	return list;
}

static json_t *entity_json(struct sync *sync, size_t index)
{
	json_t *j = json_object();
	struct sync_entity_view v;

	sync_entity_view(sync, index, &v);
	json_object_set_new(j, "name", control_text(v.conf->def.name));
	json_object_set_new(j, "records", json_integer(v.records));
	json_object_set_new(j, "pending", json_integer(v.pending));
	json_object_set_new(j, "parked", json_integer(v.parked));
	json_object_set_new(j, "held", json_integer(v.held));
	json_object_set_new(j, "waiting", json_integer(v.waiting));
	json_object_set_new(j, "conflicts", json_integer(v.conflicts));
	json_object_set_new(j, "conflicts_by_rule", conflicts_by_rule(v.meter));
	json_object_set_new(j, "paused", json_boolean(v.paused));
	json_object_set_new(j, "cleaned", json_integer((json_int_t)v.meter->cleaned));
	json_object_set_new(j, "rejected", json_integer((json_int_t)v.meter->rejected));
	json_object_set_new(j, "propagation_p50_seconds", control_number(histogram_quantile(&v.meter->propagation, 0.5)));
	json_object_set_new(j, "propagation_p99_seconds", control_number(histogram_quantile(&v.meter->propagation, 0.99)));
	json_object_set_new(j, "books", books_json(&v.books));
	json_object_set_new(j, "verify", verify_json(&v.meter->last_verify));
	json_object_set_new(j, "links", links_json(sync, index));
	return j;
}

/* ---- the object -------------------------------------------------------------------------------------- */

static json_t *redis_json(const struct sync_service_view *v)
{
	json_t *j = json_object();

	json_object_set_new(j, "state", json_string(v->redis_up ? "up" : "down"));
	json_object_set_new(j, "reason", control_text(v->redis_reason));
	json_object_set_new(j, "server", control_text(v->redis_server));
	return j;
}

static json_t *service_json(const struct sync *sync, const struct sync_service_view *v)
{
	json_t *j = json_object();

	ratios_add_availability(j, sync, v->availability);
	return j;
}

static json_t *journal_json(const struct journal *journal)
{
	const struct err *trouble = journal_trouble(journal);
	json_t *j = json_object();

	json_object_set_new(j, "state", json_string(trouble == NULL ? "up" : "failing"));
	json_object_set_new(j, "reason", control_text(trouble == NULL ? "" : trouble->text));
	json_object_set_new(j, "bytes", json_integer(journal_bytes(journal)));
	json_object_set_new(j, "images", json_integer(journal_images_count(journal)));
	json_object_set_new(j, "images_bytes", json_integer(journal_images_bytes(journal)));
	return j;
}

json_t *status_json(const struct pages *p)
{
	json_t *j = json_object(), *endpoints = json_array(), *entities = json_array();
	struct buf sentence = { 0 };
	struct sync_service_view v;

	sync_service_view(p->sync, &v);
	summary_add(p, &sentence);
	json_object_set_new(j, "summary", control_text(sentence.p));
	buf_fini(&sentence);
	json_object_set_new(j, "schema", json_integer(1));
	json_object_set_new(j, "topology", control_text(v.topology->name));
	json_object_set_new(j, "version", json_string(PACKAGE_VERSION));
	json_object_set_new(j, "uptime_seconds", control_number((double)(clock_mono_us() - p->started_us) / 1e6));
	json_object_set_new(j, "time", control_time(clock_wall_us()));
	json_object_set_new(j, "last_reload_successful", json_boolean(p->reload_ok));
	json_object_set_new(j, "first_reconcile_done", json_boolean(v.first_reconcile_done));
	json_object_set_new(j, "standby", json_boolean(v.standby));
	json_object_set_new(j, "rounds", json_integer((json_int_t)v.rounds));
	json_object_set_new(j, "rounds_in_flight", json_integer((json_int_t)v.rounds_in_flight));
	json_object_set_new(j, "service", service_json(p->sync, &v));
	json_object_set_new(j, "redis", redis_json(&v));
	json_object_set_new(j, "journal", journal_json(sync_journal(p->sync)));
	for (size_t i = 0; i < sync_endpoints(p->sync); i++) {
		struct sync_endpoint_view e;

		sync_endpoint_view(p->sync, i, &e);
		json_array_append_new(endpoints, endpoint_json(p->sync, &e));
	}
	json_object_set_new(j, "endpoints", endpoints);
	for (size_t i = 0; i < sync_entities(p->sync); i++)
		json_array_append_new(entities, entity_json(p->sync, i));
	json_object_set_new(j, "entities", entities);
	json_object_set_new(j, "jobs", jobs_json(p->sync));
	return j;
}

bool status_ready(const struct pages *p, struct buf *reasons)
{
	size_t start = reasons->len;
	struct sync_service_view v;

	sync_service_view(p->sync, &v);
	if (!v.redis_up || v.standby)
		buf_addf(reasons, "redis: %s\n", v.redis_reason[0] != '\0' ? v.redis_reason : "not connected yet");
	if (journal_trouble(sync_journal(p->sync)) != NULL)
		buf_addf(reasons, "journal: %s\n", journal_trouble(sync_journal(p->sync))->text);
	for (size_t i = 0; i < sync_endpoints(p->sync); i++) {
		struct sync_endpoint_view e;

		sync_endpoint_view(p->sync, i, &e);
		if (!e.paused && e.endpoint->state != ENDPOINT_UP)	/* paused is the operator's will, not a fault */
			buf_addf(reasons, "endpoint %s: %s%s%s\n", e.conf->name, endpoint_state_name(e.endpoint->state),
				 e.endpoint->why.text[0] != '\0' ? ": " : "", e.endpoint->why.text);
	}
	if (!v.first_reconcile_done)
		buf_adds(reasons, "reconcile: the first one is not done yet\n");
	return reasons->len == start;
}
