#include "control/pages.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/topology.h"
#include "config.h"
#include "endpoint/endpoint.h"
#include "journal/journal.h"
#include "loop/loop.h"
#include "meter/meter.h"
#include "sync/sync.h"

/* ---- what a sample can be about ---------------------------------------------------------------------- */

struct process {			/* of /proc/self, read once a page */
	double cpu_seconds, start_seconds, resident, virtual, fds, max_fds, threads;
};

/* One sample's subject. A getter looks only at the members that its row's scope sets. */
struct subject {
	const struct pages *pages;
	const struct process *process;
	int64_t now_us;
	struct sync_service_view service;	/* always */
	struct sync_endpoint_view endpoint;
	struct sync_entity_view entity;
	struct sync_link_view link;
	unsigned variant;			/* index into the scope's values */
};

enum scope {
	ONCE, PER_VERSION, PER_LEVEL, PER_ENDPOINT, PER_DIRECTION, PER_ENTITY, PER_RULE, PER_OUTCOME, PER_SETTLED, PER_OPEN, PER_LINK, PER_OP,
	PER_WINDOW, PER_ENDPOINT_WINDOW, PER_LINK_WINDOW,
};

static const char *const versions[] = { PACKAGE_VERSION, NULL };
static const char *const levels[] = { "error", "warn", "info", "debug", NULL };
static const char *const directions[] = { "read", "written", NULL };
static const char *const outcomes[] = { "equal", "merged", "copied", NULL };
static const char *const settled_as[] = { "applied", "unchanged", "lost", "merged", NULL };
static const char *const open_as[] = { "pending", "parked", "waiting", "held", NULL };
static const char *const operations[] = { "insert", "update", "delete", NULL };
static const char *rules[RULES + 1];		/* filled by walk(): model/ has the names */

static const struct {
	bool entity, endpoint;			/* a sample for each; for both: for each link */
	const char *variant;			/* the last label, and its values */
	const char *const *values;
} scopes[] = {
	[ONCE]		= { false, false, NULL, NULL },
	[PER_VERSION]	= { false, false, "version", versions },
	[PER_LEVEL]	= { false, false, "level", levels },
	[PER_ENDPOINT]	= { false, true, NULL, NULL },
	[PER_DIRECTION]	= { false, true, "direction", directions },
	[PER_ENTITY]	= { true, false, NULL, NULL },
	[PER_RULE]	= { true, false, "rule", rules },
	[PER_OUTCOME]	= { true, false, "outcome", outcomes },
	[PER_SETTLED]	= { true, false, "outcome", settled_as },
	[PER_OPEN]	= { true, false, "state", open_as },
	[PER_LINK]	= { true, true, NULL, NULL },
	[PER_OP]	= { true, true, "operation", operations },
	[PER_WINDOW]	= { false, false, "window", window_names },
	[PER_ENDPOINT_WINDOW] = { false, true, "window", window_names },
	[PER_LINK_WINDOW] = { true, true, "window", window_names },
};

struct metric {
	const char *name;
	enum metric_type { GAUGE, COUNTER, HISTOGRAM, INFO } type;	/* INFO: a gauge that is 1, what it says is in the label */
	enum scope scope;
	double (*get)(const struct subject *);
	const struct histogram *(*histogram)(const struct subject *);
	const char *help;
};

/* ---- getters ----------------------------------------------------------------------------------------- */

/* A counter shows what is kept: it must not go back when the process is killed. */
static double kept(const struct timeline *t, enum meter_state state)
{
	return spent_seconds(timeline_kept(t), state);
}

static double kept_bad(const struct timeline *t)
{
	return spent_bad_seconds(timeline_kept(t));
}

static struct ratio total_ratio(const struct timeline *t, enum ratio_kind kind)
{
	struct spent total = timeline_total(t);

	return ratio_of(&total, kind);
}

static struct ratio window_ratio(const struct timeline *t, enum ratio_kind kind, const struct subject *s)
{
	struct spent spent = timeline_window(t, (enum window)s->variant);

	return ratio_of(&spent, kind);
}

#define GETTER(name, expression) \
	static double name(const struct subject *s) { return (double)(expression); }

GETTER(endpoint_up, s->endpoint.endpoint->state == ENDPOINT_UP && !s->endpoint.endpoint->silent)
GETTER(endpoint_availability, total_ratio(&s->endpoint.meter->availability, RATIO_GOOD).value)
GETTER(endpoint_coverage, total_ratio(&s->endpoint.meter->availability, RATIO_GOOD).coverage)
GETTER(endpoint_window, window_ratio(&s->endpoint.meter->availability, RATIO_GOOD, s).value)
GETTER(endpoint_window_coverage, window_ratio(&s->endpoint.meter->availability, RATIO_GOOD, s).coverage)
GETTER(endpoint_up_seconds, kept(&s->endpoint.meter->availability, METER_GOOD))
GETTER(endpoint_down_seconds, kept(&s->endpoint.meter->availability, METER_BAD))
GETTER(endpoint_unknown_seconds, kept(&s->endpoint.meter->availability, METER_UNKNOWN))
GETTER(endpoint_paused_seconds, kept(&s->endpoint.meter->availability, METER_PAUSED))
GETTER(endpoint_clock_offset, s->endpoint.endpoint->server[0] != '\0' ? s->endpoint.endpoint->clock_offset_s : NAN)
GETTER(endpoint_log_bytes, s->endpoint.endpoint->log.known ? (double)s->endpoint.endpoint->log.bytes : NAN)
GETTER(endpoint_log_oldest, s->endpoint.endpoint->log.known ? s->endpoint.endpoint->log.oldest_s : NAN)
GETTER(endpoint_failures, s->endpoint.endpoint->tries)
GETTER(endpoint_last_capture, (double)s->endpoint.endpoint->last_capture_us / 1e6)
GETTER(data_volume, s->variant == 0 ? s->endpoint.meter->volume.read : s->endpoint.meter->volume.written)
GETTER(data_rate, meter_data_rate(&s->endpoint.meter->volume, s->now_us))
GETTER(throughput, meter_throughput(&s->endpoint.meter->volume, s->now_us))

GETTER(link_availability, total_ratio(&s->link.meter->availability, RATIO_GOOD).value)
GETTER(link_availability_coverage, total_ratio(&s->link.meter->availability, RATIO_GOOD).coverage)
GETTER(link_availability_window, window_ratio(&s->link.meter->availability, RATIO_GOOD, s).value)
GETTER(link_availability_window_coverage, window_ratio(&s->link.meter->availability, RATIO_GOOD, s).coverage)
GETTER(link_available_seconds, kept(&s->link.meter->availability, METER_GOOD))
GETTER(link_unavailable_seconds, kept(&s->link.meter->availability, METER_BAD))
GETTER(link_unobserved_seconds, kept(&s->link.meter->availability, METER_UNKNOWN))
GETTER(link_consistency, total_ratio(&s->link.meter->consistency, RATIO_GOOD).value)
GETTER(link_timely, total_ratio(&s->link.meter->consistency, RATIO_TIMELY).value)
GETTER(link_coverage, total_ratio(&s->link.meter->consistency, RATIO_GOOD).coverage)
GETTER(link_window, window_ratio(&s->link.meter->consistency, RATIO_GOOD, s).value)
GETTER(link_timely_window, window_ratio(&s->link.meter->consistency, RATIO_TIMELY, s).value)
GETTER(link_window_coverage, window_ratio(&s->link.meter->consistency, RATIO_GOOD, s).coverage)
GETTER(link_lag, s->link.lag_seconds)
GETTER(link_usable, s->link.link->usable)
GETTER(link_consistent_seconds, kept(&s->link.meter->consistency, METER_GOOD))
GETTER(link_inconsistent_seconds, kept_bad(&s->link.meter->consistency))
GETTER(link_late_seconds, kept_bad(&s->link.meter->consistency) - kept(&s->link.meter->consistency, METER_BAD))
GETTER(link_aside_seconds, kept(&s->link.meter->consistency, METER_ASIDE))
GETTER(link_unknown_seconds, kept(&s->link.meter->consistency, METER_UNKNOWN))
GETTER(link_paused_seconds, kept(&s->link.meter->consistency, METER_PAUSED))
GETTER(link_owed, s->link.owed)
GETTER(link_held, s->link.held_deletes)
GETTER(link_last_sweep, (double)s->link.last_sweep_us / 1e6)
GETTER(captured, s->link.meter->captured)
GETTER(applied, s->link.meter->applied)
GETTER(echoes, s->link.meter->echoes)
GETTER(failures, s->link.meter->failures)
GETTER(refused, s->link.meter->refused)

GETTER(conflicts, s->entity.meter->conflicts[s->variant])
GETTER(parked, s->entity.parked)
GETTER(waiting, s->entity.waiting)
GETTER(pending, s->entity.pending)
GETTER(tracked, s->entity.records)
GETTER(cleaned, s->entity.meter->cleaned)
GETTER(rejected, s->entity.meter->rejected)
GETTER(verified, s->entity.meter->verified)
GETTER(verified_different, s->entity.meter->verified_different)
GETTER(last_verify, (double)s->entity.meter->last_verify.ended_us / 1e6)
GETTER(books_captured, s->entity.books.captured)
GETTER(books_balanced, books_balance(&s->entity.books))

GETTER(service_availability, total_ratio(s->service.availability, RATIO_GOOD).value)
GETTER(service_coverage, total_ratio(s->service.availability, RATIO_GOOD).coverage)
GETTER(service_window, window_ratio(s->service.availability, RATIO_GOOD, s).value)
GETTER(service_window_coverage, window_ratio(s->service.availability, RATIO_GOOD, s).coverage)
GETTER(service_up_seconds, kept(s->service.availability, METER_GOOD))
GETTER(service_down_seconds, kept(s->service.availability, METER_BAD))
GETTER(service_unknown_seconds, kept(s->service.availability, METER_UNKNOWN))
GETTER(service_paused_seconds, kept(s->service.availability, METER_PAUSED))
GETTER(rounds, s->service.rounds)
GETTER(rounds_in_flight, s->service.rounds_in_flight)
GETTER(redis_up, s->service.redis_up)
GETTER(standby, s->service.standby)
GETTER(journal_writable, journal_trouble(sync_journal(s->pages->sync)) == NULL)
GETTER(loop_lag, (double)loop_lag_us(s->pages->loop) / 1e6)
GETTER(reload_ok, s->pages->reload_ok)
GETTER(reconciled, s->service.first_reconcile_done)
GETTER(log_messages, log_count((enum log_level)s->variant))
GETTER(one, 1)

GETTER(process_cpu, s->process->cpu_seconds)
GETTER(process_start, s->process->start_seconds)
GETTER(process_resident, s->process->resident)
GETTER(process_virtual, s->process->virtual)
GETTER(process_fds, s->process->fds)
GETTER(process_max_fds, s->process->max_fds)
GETTER(process_threads, s->process->threads)

static double first_contact(const struct subject *s)
{
	const struct meter_entity *m = s->entity.meter;
	const uint64_t by[] = { m->first_contact_equal, m->first_contact_merged, m->first_contact_copied };

	return (double)by[s->variant];
}

static double books_settled(const struct subject *s)
{
	const struct books *b = &s->entity.books;
	const uint64_t by[] = { b->applied, b->unchanged, b->lost, b->merged };

	return (double)by[s->variant];
}

static double books_open(const struct subject *s)
{
	const struct books *b = &s->entity.books;
	const int64_t by[] = { b->records[BOOKS_PENDING], books_parked(b), b->records[BOOKS_WAITING], b->held };

	return (double)by[s->variant];
}

static double applied_by_operation(const struct subject *s)
{
	const struct meter_link *m = s->link.meter;
	const uint64_t by[] = { m->inserts, m->updates, m->deletes };

	return (double)by[s->variant];
}

static const struct histogram *propagation(const struct subject *s)
{
	return &s->entity.meter->propagation;
}

/* ---- the table --------------------------------------------------------------------------------------- */

#define OURS "crmsyncd_"

static const struct metric metrics[] = {
	{ OURS "endpoint_up", GAUGE, PER_ENDPOINT, endpoint_up, NULL, "1 while the endpoint answers, else 0." },
	{ OURS "endpoint_availability_ratio", GAUGE, PER_ENDPOINT, endpoint_availability, NULL,
	  "Time up / time observed (up or down); NaN before anything was observed." },
	{ OURS "endpoint_availability_coverage_ratio", GAUGE, PER_ENDPOINT, endpoint_coverage, NULL,
	  "Time observed / time not paused: for so much of the time the availability ratio speaks." },
	{ OURS "endpoint_availability_window_ratio", GAUGE, PER_ENDPOINT_WINDOW, endpoint_window, NULL,
	  "The availability ratio over the last hour, day and 30 days." },
	{ OURS "endpoint_availability_window_coverage_ratio", GAUGE, PER_ENDPOINT_WINDOW, endpoint_window_coverage, NULL,
	  "For how much of that time it speaks." },
	{ OURS "endpoint_up_seconds_total", COUNTER, PER_ENDPOINT, endpoint_up_seconds, NULL, "Time the endpoint answered." },
	{ OURS "endpoint_down_seconds_total", COUNTER, PER_ENDPOINT, endpoint_down_seconds, NULL,
	  "Time the endpoint did not answer, from the last success before a failure on." },
	{ OURS "endpoint_unknown_seconds_total", COUNTER, PER_ENDPOINT, endpoint_unknown_seconds, NULL,
	  "Time the endpoint was not observed; never counted as up." },
	{ OURS "endpoint_paused_seconds_total", COUNTER, PER_ENDPOINT, endpoint_paused_seconds, NULL,
	  "Time the endpoint was paused by the operator." },
	{ OURS "endpoint_clock_offset_seconds", GAUGE, PER_ENDPOINT, endpoint_clock_offset, NULL,
	  "The endpoint's clock minus the daemon's; NaN before it was asked." },
	{ OURS "endpoint_change_log_bytes", GAUGE, PER_ENDPOINT, endpoint_log_bytes, NULL,
	  "Disk that the change log there takes, with its indexes; NaN where there is none." },
	{ OURS "endpoint_change_log_oldest_seconds", GAUGE, PER_ENDPOINT, endpoint_log_oldest, NULL,
	  "Age of the oldest entry that no daemon has taken from the change log; 0 when it is empty, NaN where there is none." },
	{ OURS "endpoint_failed_attempts", GAUGE, PER_ENDPOINT, endpoint_failures, NULL,
	  "Failed attempts to connect in a row; 0 while up." },
	{ OURS "endpoint_last_capture_timestamp_seconds", GAUGE, PER_ENDPOINT, endpoint_last_capture, NULL,
	  "When the endpoint was last asked for news with success, Unix time; 0 never." },
	{ OURS "data_volume_bytes_total", COUNTER, PER_DIRECTION, data_volume, NULL, "Row data read from and written to the endpoint." },
	{ OURS "data_rate_bytes_per_second", GAUGE, PER_ENDPOINT, data_rate, NULL,
	  "Row data read and written, volume / time over the last minute." },
	{ OURS "throughput_bytes_per_second", GAUGE, PER_ENDPOINT, throughput, NULL,
	  "Row data read and written, volume / latency over the last minute: per second spent waiting for the endpoint." },

	{ OURS "link_availability_ratio", GAUGE, PER_LINK, link_availability, NULL,
	  "Time the endpoint, its table and Redis could be used / time observed; NaN before anything was observed." },
	{ OURS "link_availability_coverage_ratio", GAUGE, PER_LINK, link_availability_coverage, NULL,
	  "Time observed / time not paused: for so much of the time the ratio speaks." },
	{ OURS "link_availability_window_ratio", GAUGE, PER_LINK_WINDOW, link_availability_window, NULL,
	  "The same ratio over the last hour, day and 30 days." },
	{ OURS "link_availability_window_coverage_ratio", GAUGE, PER_LINK_WINDOW, link_availability_window_coverage, NULL,
	  "For how much of that time it speaks." },
	{ OURS "link_available_seconds_total", COUNTER, PER_LINK, link_available_seconds, NULL,
	  "Time the endpoint, its table and Redis could be used." },
	{ OURS "link_unavailable_seconds_total", COUNTER, PER_LINK, link_unavailable_seconds, NULL,
	  "Time one of them could not be used, from the last time on that all could." },
	{ OURS "link_unobserved_seconds_total", COUNTER, PER_LINK, link_unobserved_seconds, NULL,
	  "Time nobody knows whether they could be used; never counted as available." },
	{ OURS "link_consistency_ratio", GAUGE, PER_LINK, link_consistency, NULL,
	  "K: time consistent / time observed (consistent or inconsistent); NaN before anything was observed." },
	{ OURS "link_consistency_5s_ratio", GAUGE, PER_LINK, link_timely, NULL,
	  "K(5 s): time without a difference older than 5 seconds / time observed." },
	{ OURS "link_consistency_coverage_ratio", GAUGE, PER_LINK, link_coverage, NULL,
	  "Time observed / time not paused: for so much of the time K and K(5 s) speak." },
	{ OURS "link_consistency_window_ratio", GAUGE, PER_LINK_WINDOW, link_window, NULL, "K over the last hour, day and 30 days." },
	{ OURS "link_consistency_5s_window_ratio", GAUGE, PER_LINK_WINDOW, link_timely_window, NULL,
	  "K(5 s) over the last hour, day and 30 days." },
	{ OURS "link_consistency_window_coverage_ratio", GAUGE, PER_LINK_WINDOW, link_window_coverage, NULL,
	  "For how much of that time K and K(5 s) speak." },
	{ OURS "link_lag_seconds", GAUGE, PER_LINK, link_lag, NULL,
	  "Age of the oldest change that this link has yet to settle; 0 when there is none, NaN when unknown." },
	{ OURS "link_usable", GAUGE, PER_LINK, link_usable, NULL, "1 while the endpoint is up and the table fits its mapping, else 0." },
	{ OURS "link_consistent_seconds_total", COUNTER, PER_LINK, link_consistent_seconds, NULL, "Time the link was consistent." },
	{ OURS "link_inconsistent_seconds_total", COUNTER, PER_LINK, link_inconsistent_seconds, NULL,
	  "Time something was pending, held, in conflict or parked on the link, from the edit on." },
	{ OURS "link_late_seconds_total", COUNTER, PER_LINK, link_late_seconds, NULL,
	  "The part of the inconsistent time in which the oldest difference was older than 5 seconds." },
	{ OURS "link_aside_seconds_total", COUNTER, PER_LINK, link_aside_seconds, NULL,
	  "The part of the late time that is due to records alone that wait for a person: parked, held or undecided." },
	{ OURS "link_unknown_seconds_total", COUNTER, PER_LINK, link_unknown_seconds, NULL,
	  "Time the link was not observed; never counted as consistent." },
	{ OURS "link_paused_seconds_total", COUNTER, PER_LINK, link_paused_seconds, NULL, "Time the link was paused by the operator." },
	{ OURS "link_owed_records", GAUGE, PER_LINK, link_owed, NULL, "Records whose agreed state the endpoint has yet to get." },
	{ OURS "link_held_deletes", GAUGE, PER_LINK, link_held, NULL, "Deletes held back by the mass-delete limit." },
	{ OURS "link_last_sweep_timestamp_seconds", GAUGE, PER_LINK, link_last_sweep, NULL,
	  "When a full compare last ended, Unix time; 0 never." },
	{ OURS "changes_captured_total", COUNTER, PER_LINK, captured, NULL, "Changed rows read from the endpoint." },
	{ OURS "changes_applied_total", COUNTER, PER_LINK, applied, NULL, "Rows written to the endpoint." },
	{ OURS "operations_applied_total", COUNTER, PER_OP, applied_by_operation, NULL, "Rows written to the endpoint, by operation." },
	{ OURS "echoes_total", COUNTER, PER_LINK, echoes, NULL, "Captured rows that showed only what was known already." },
	{ OURS "apply_failures_total", COUNTER, PER_LINK, failures, NULL, "Rows that the endpoint would not take." },
	{ OURS "apply_refusals_total", COUNTER, PER_LINK, refused, NULL,
	  "Rows that had changed under our hands and were decided again." },

	{ OURS "conflicts_total", COUNTER, PER_RULE, conflicts, NULL, "Concurrent edits decided, by the rule that decided." },
	{ OURS "waiting_conflicts", GAUGE, PER_ENTITY, waiting, NULL, "Fields that wait for a person's decision (rule manual)." },
	{ OURS "parked_records", GAUGE, PER_ENTITY, parked, NULL, "Records that could not be read or applied and stand aside." },
	{ OURS "pending_records", GAUGE, PER_ENTITY, pending, NULL, "Captured records that are not settled everywhere." },
	{ OURS "tracked_records", GAUGE, PER_ENTITY, tracked, NULL, "Records with a last-seen vector." },
	{ OURS "cleaned_values_total", COUNTER, PER_ENTITY, cleaned, NULL, "Values that cleaning changed." },
	{ OURS "rejected_records_total", COUNTER, PER_ENTITY, rejected, NULL, "Records that failed a check." },
	{ OURS "first_contact_records_total", COUNTER, PER_OUTCOME, first_contact, NULL,
	  "Records met without a last-seen vector: equal everywhere, merged, or copied from the one side that had them." },
	{ OURS "books_captured_total", COUNTER, PER_ENTITY, books_captured, NULL, "Changes captured, with those that were open already." },
	{ OURS "books_settled_total", COUNTER, PER_SETTLED, books_settled, NULL, "Of these: settled, by what became of them." },
	{ OURS "books_open_changes", GAUGE, PER_OPEN, books_open, NULL, "Of these: still open, by why." },
	{ OURS "books_balanced", GAUGE, PER_ENTITY, books_balanced, NULL,
	  "1 while captured is the sum of all that is settled and all that is open, else 0." },
	{ OURS "propagation_delay_seconds", HISTOGRAM, PER_ENTITY, NULL, propagation, "From source commit to target commit." },
	{ OURS "verify_records_checked_total", COUNTER, PER_ENTITY, verified, NULL, "Records compared by verify and repair, since the start." },
	{ OURS "verify_records_different_total", COUNTER, PER_ENTITY, verified_different, NULL,
	  "Of these, records found to differ without a known reason: this is the number that must not rise." },
	{ OURS "verify_last_timestamp_seconds", GAUGE, PER_ENTITY, last_verify, NULL, "When verify last ended, Unix time; 0: not since the start." },

	{ OURS "redis_up", GAUGE, ONCE, redis_up, NULL, "1 while Redis answers and is fit for use, else 0." },
	{ OURS "journal_writable", GAUGE, ONCE, journal_writable, NULL,
	  "1 while the journal can be written, else 0; then nothing is applied that needs it." },
	{ OURS "standby", GAUGE, ONCE, standby, NULL, "1 while another crmsyncd holds the lease and this one only waits." },
	{ OURS "first_reconcile_done", GAUGE, ONCE, reconciled, NULL, "1 once every enabled endpoint was surveyed." },
	{ OURS "service_availability_ratio", GAUGE, ONCE, service_availability, NULL,
	  "Time all links that are not paused were available / time observed; NaN before anything was observed." },
	{ OURS "service_availability_coverage_ratio", GAUGE, ONCE, service_coverage, NULL,
	  "Time observed / time not paused: for so much of the time the ratio speaks." },
	{ OURS "service_availability_window_ratio", GAUGE, PER_WINDOW, service_window, NULL,
	  "The same ratio over the last hour, day and 30 days." },
	{ OURS "service_availability_window_coverage_ratio", GAUGE, PER_WINDOW, service_window_coverage, NULL,
	  "For how much of that time it speaks." },
	{ OURS "service_up_seconds_total", COUNTER, ONCE, service_up_seconds, NULL, "Time all links that are not paused were available." },
	{ OURS "service_down_seconds_total", COUNTER, ONCE, service_down_seconds, NULL, "Time at least one of them was not." },
	{ OURS "service_unknown_seconds_total", COUNTER, ONCE, service_unknown_seconds, NULL,
	  "Time nobody knows, also that in which the daemon did not run; never counted as up." },
	{ OURS "service_paused_seconds_total", COUNTER, ONCE, service_paused_seconds, NULL,
	  "Time all links were paused by the operator." },
	{ OURS "rounds_total", COUNTER, ONCE, rounds, NULL, "Rounds begun." },
	{ OURS "rounds_in_flight", GAUGE, ONCE, rounds_in_flight, NULL, "Rounds under way." },
	{ OURS "event_loop_lag_seconds", GAUGE, ONCE, loop_lag, NULL, "How late the last timer fired." },
	{ OURS "config_last_reload_successful", GAUGE, ONCE, reload_ok, NULL, "0 after a reload that was refused, else 1." },
	{ OURS "log_messages_total", COUNTER, PER_LEVEL, log_messages, NULL, "Log messages, also those below the level that is written." },
	{ OURS "build_info", INFO, PER_VERSION, one, NULL, "Always 1; the version is in the label." },

	{ "process_cpu_seconds_total", COUNTER, ONCE, process_cpu, NULL, "Processor time used, user and system." },
	{ "process_start_time_seconds", GAUGE, ONCE, process_start, NULL, "When the process started, Unix time." },
	{ "process_resident_memory_bytes", GAUGE, ONCE, process_resident, NULL, "Memory in use." },
	{ "process_virtual_memory_bytes", GAUGE, ONCE, process_virtual, NULL, "Address space in use." },
	{ "process_open_fds", GAUGE, ONCE, process_fds, NULL, "Open file descriptors." },
	{ "process_max_fds", GAUGE, ONCE, process_max_fds, NULL, "How many file descriptors may be open." },
	{ "process_threads", GAUGE, ONCE, process_threads, NULL, "Threads." },
};

static const char *type_name(enum metric_type type)
{
	switch (type) {
	case GAUGE:	return "gauge";
	case COUNTER:	return "counter";
	case HISTOGRAM:	return "histogram";
	case INFO:	return "gauge";
	}
	return "untyped";
}

/* ---- walking: every sample of a metric --------------------------------------------------------------- */

enum { LABELS_MAX = 3 };
struct label {
	const char *name, *value;
};
struct labels {
	struct label list[LABELS_MAX];
	size_t n;
};

static void label_add(struct labels *l, const char *name, const char *value)
{
	l->list[l->n].name = name;
	l->list[l->n++].value = value;
}

/* How a page writes samples down. */
struct sink {
	struct buf *out;
	void (*head)(struct sink *, const struct metric *);
	void (*sample)(struct sink *, const struct metric *, const char *suffix, const struct labels *, double value);
};

/* As OpenMetrics wants a number in a label, in every format: a series is the same one whichever was asked for. */
static void print_bound(char *out, size_t size, double bound)
{
	snprintf(out, size, "%.9g%s", bound, bound == floor(bound) ? ".0" : "");
}

static void walk_histogram(struct sink *k, const struct metric *m, const struct subject *s, struct labels l)
{
	const struct histogram *h = m->histogram(s);
	struct labels bucket = l;
	uint64_t sum = 0;
	char bound[32];

	label_add(&bucket, "le", bound);
	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
		sum += h->counts[i];
		if (i < HISTOGRAM_BOUNDS)
			print_bound(bound, sizeof bound, histogram_bounds[i]);
		else
			snprintf(bound, sizeof bound, "+Inf");
		k->sample(k, m, "_bucket", &bucket, (double)sum);
	}
	k->sample(k, m, "_sum", &l, h->sum);
	k->sample(k, m, "_count", &l, (double)sum);
}

static void walk_one(struct sink *k, const struct metric *m, const struct subject *s, const struct labels *l)
{
	if (m->type == HISTOGRAM)
		walk_histogram(k, m, s, *l);
	else
		k->sample(k, m, "", l, m->get(s));
}

/* The labels of the subject itself are set; what is left are the variants. */
static void walk_subject(struct sink *k, const struct metric *m, struct subject *s, struct labels l)
{
	const char *const *values = scopes[m->scope].values;

	if (values == NULL) {
		walk_one(k, m, s, &l);
		return;
	}
	label_add(&l, scopes[m->scope].variant, "");
	for (s->variant = 0; values[s->variant] != NULL; s->variant++) {
		l.list[l.n - 1].value = values[s->variant];
		walk_one(k, m, s, &l);
	}
}

static void walk_endpoints(struct sink *k, const struct metric *m, struct subject *s, const struct labels *base, size_t entity)
{
	struct sync *sync = s->pages->sync;

	for (size_t p = 0; p < sync_endpoints(sync); p++) {
		struct labels l = *base;

		if (scopes[m->scope].entity && !sync_link_view(sync, entity, p, &s->link))
			continue;
		sync_endpoint_view(sync, p, &s->endpoint);
		label_add(&l, "endpoint", s->endpoint.conf->name);
		walk_subject(k, m, s, l);
	}
}

static void walk_metric(struct sink *k, const struct metric *m, struct subject *s)
{
	struct sync *sync = s->pages->sync;
	struct labels none = { .n = 0 };

	k->head(k, m);
	if (!scopes[m->scope].entity) {
		if (scopes[m->scope].endpoint)
			walk_endpoints(k, m, s, &none, 0);
		else
			walk_subject(k, m, s, none);
		return;
	}
	for (size_t i = 0; i < sync_entities(sync); i++) {
		struct labels l = none;

		sync_entity_view(sync, i, &s->entity);
		label_add(&l, "entity", s->entity.conf->def.name);
		if (scopes[m->scope].endpoint)
			walk_endpoints(k, m, s, &l, i);
		else
			walk_subject(k, m, s, l);
	}
}

/* ---- the process itself ------------------------------------------------------------------------------ */

static double count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	double n = 0;

	if (dir == NULL)
		return NAN;
	for (struct dirent *d; (d = readdir(dir)) != NULL; )
		n += d->d_name[0] != '.';
	closedir(dir);
	return n - 1;			/* the directory itself was open */
}

/* /proc/self/stat from its third field on: the second, the name, may hold anything, also blanks and parentheses. */
static bool read_stat(unsigned long long *field, size_t n)
{
	char text[1024], *p, *word, *save = NULL;
	FILE *f = fopen("/proc/self/stat", "re");
	size_t len;

	if (f == NULL)
		return false;
	len = fread(text, 1, sizeof text - 1, f);
	fclose(f);
	text[len] = '\0';
	p = strrchr(text, ')');
	if (p == NULL)
		return false;
	word = strtok_r(p + 1, " ", &save);
	for (size_t i = 3; i < n; i++, word = strtok_r(NULL, " ", &save)) {
		if (word == NULL)
			return false;
		field[i] = strtoull(word, NULL, 10);
	}
	return true;
}

static double boot_time(void)
{
	return (double)(clock_wall_us() - clock_boot_us()) / 1e6;
}

static void process_read(struct process *p)
{
	/* numbered as in proc(5) */
	enum { UTIME = 14, STIME = 15, NUM_THREADS = 20, STARTTIME = 22, VSIZE = 23, RSS = 24, FIELDS = 25 };
	unsigned long long stat[FIELDS] = { 0 };
	double tick = (double)sysconf(_SC_CLK_TCK);
	struct rlimit files;

	p->cpu_seconds = p->start_seconds = p->resident = p->virtual = p->threads = NAN;
	if (read_stat(stat, FIELDS)) {
		p->cpu_seconds = (double)(stat[UTIME] + stat[STIME]) / tick;
		p->start_seconds = boot_time() + (double)stat[STARTTIME] / tick;
		p->resident = (double)stat[RSS] * (double)sysconf(_SC_PAGESIZE);
		p->virtual = (double)stat[VSIZE];
		p->threads = (double)stat[NUM_THREADS];
	}
	p->fds = count_fds();
	p->max_fds = getrlimit(RLIMIT_NOFILE, &files) != 0 ? NAN :
		     files.rlim_cur == RLIM_INFINITY ? INFINITY : (double)files.rlim_cur;
}

static void walk(struct sink *k, const struct pages *pages)
{
	struct process process;
	struct subject s = { .pages = pages, .process = &process, .now_us = clock_mono_us() };

	sync_keep(pages->sync);
	process_read(&process);
	sync_service_view(pages->sync, &s.service);
	for (unsigned r = 0; r < RULES; r++)
		rules[r] = rule_name((enum rule)r);
	for (size_t i = 0; i < countof(metrics); i++)
		walk_metric(k, &metrics[i], &s);
}

/* ---- Prometheus text --------------------------------------------------------------------------------- */

static void add_escaped(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n')
			buf_adds(out, "\\n");
		else if (*s == '\\' || *s == '"')
			buf_addf(out, "\\%c", *s);
		else
			buf_addc(out, *s);
	}
}

/* The fewest digits that read back as the same number: 0.1, not 0.10000000000000001. */
static void add_shortest(struct buf *out, double v)
{
	char text[32];

	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_adds(out, text);
}

static void add_number(struct buf *out, double v)
{
	if (isnan(v))
		buf_adds(out, "NaN");
	else if (isinf(v))
		buf_adds(out, v > 0 ? "+Inf" : "-Inf");
	else if (v == floor(v) && fabs(v) < 1e15)
		buf_addf(out, "%.0f", v);		/* counts read better as counts */
	else
		add_shortest(out, v);
}

static void text_head(struct sink *k, const struct metric *m)
{
	buf_addf(k->out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->help, m->name, type_name(m->type));
}

static void text_sample(struct sink *k, const struct metric *m, const char *suffix, const struct labels *l, double value)
{
	buf_addf(k->out, "%s%s", m->name, suffix);
	for (size_t i = 0; i < l->n; i++) {
		buf_addf(k->out, "%c%s=\"", i == 0 ? '{' : ',', l->list[i].name);
		add_escaped(k->out, l->list[i].value);
		buf_addc(k->out, '"');
	}
	buf_adds(k->out, l->n > 0 ? "} " : " ");
	add_number(k->out, value);
	buf_addc(k->out, '\n');
}

void metrics_text(const struct pages *pages, struct buf *out)
{
	struct sink k = { .out = out, .head = text_head, .sample = text_sample };

	walk(&k, pages);
}

/* ---- OpenMetrics ------------------------------------------------------------------------------------- */

/* There a family has the name of its samples without what their type adds. */
static void open_head(struct sink *k, const struct metric *m)
{
	const char *added = m->type == COUNTER ? "_total" : m->type == INFO ? "_info" : "";
	int n = (int)(strlen(m->name) - strlen(added));

	buf_addf(k->out, "# TYPE %.*s %s\n# HELP %.*s %s\n", n, m->name, m->type == INFO ? "info" : type_name(m->type), n, m->name,
		 m->help);
}

void metrics_openmetrics(const struct pages *pages, struct buf *out)
{
	struct sink k = { .out = out, .head = open_head, .sample = text_sample };

	walk(&k, pages);
	buf_adds(out, "# EOF\n");
}

/* ---- JSON lines -------------------------------------------------------------------------------------- */

static void json_head(struct sink *k, const struct metric *m)
{
}

static void json_sample(struct sink *k, const struct metric *m, const char *suffix, const struct labels *l, double value)
{
	buf_addf(k->out, "{\"schema\": 1, \"name\": \"%s%s\", \"type\": \"%s\", \"labels\": {", m->name, suffix, type_name(m->type));
	for (size_t i = 0; i < l->n; i++) {
		buf_addf(k->out, "%s\"%s\": ", i == 0 ? "" : ", ", l->list[i].name);
		text_json(k->out, l->list[i].value, strlen(l->list[i].value));
	}
	buf_adds(k->out, "}, \"value\": ");
	if (isfinite(value))
		add_number(k->out, value);
	else
		buf_adds(k->out, "null");
	buf_adds(k->out, "}\n");
}

void metrics_json(const struct pages *pages, struct buf *out)
{
	struct sink k = { .out = out, .head = json_head, .sample = json_sample };

	walk(&k, pages);
}

/* ---- for tests and the manual ------------------------------------------------------------------------ */

static void add_label_names(struct buf *out, enum scope scope)
{
	const char *names[] = { scopes[scope].entity ? "entity" : NULL, scopes[scope].endpoint ? "endpoint" : NULL,
				scopes[scope].variant };

	buf_adds(out, "");
	for (size_t i = 0; i < countof(names); i++)
		if (names[i] != NULL)
			buf_addf(out, "%s%s", out->len > 0 ? ", " : "", names[i]);
}

void metrics_each(void (*fn)(void *arg, const char *name, const char *type, const char *labels, const char *help), void *arg)
{
	struct buf labels = { 0 };

	for (size_t i = 0; i < countof(metrics); i++) {
		buf_clear(&labels);
		add_label_names(&labels, metrics[i].scope);
		fn(arg, metrics[i].name, type_name(metrics[i].type), labels.p, metrics[i].help);
	}
	buf_fini(&labels);
}
