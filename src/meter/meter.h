/*
 * meter.h - what is counted and timed. Pure arithmetic over given times.
 *
 * Plain structs of numbers which their owner (sync/) changes in place and control/ reads. How long something was in which state is
 * timeline.h; debts.h has since when the oldest of many open things is open.
 */
#ifndef METER_METER_H
#define METER_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "meter/timeline.h"

/* Histogram with fixed bounds, in seconds; counts[n] is +Inf. */
enum { HISTOGRAM_BOUNDS = 16 };
extern const double histogram_bounds[HISTOGRAM_BOUNDS];
struct histogram {
	uint64_t counts[HISTOGRAM_BOUNDS + 1];
	double sum;
};
void histogram_add(struct histogram *, double seconds);
uint64_t histogram_total(const struct histogram *);
double histogram_quantile(const struct histogram *, double q);	/* linear within a bucket; NAN when empty */

/* Rate over the last minute: sixty one-second slots. */
struct rate {
	uint64_t slots[60];
	int64_t second;			/* monotonic second of the newest slot */
};
void rate_add(struct rate *, uint64_t amount, int64_t now_us);
double rate_per_second(const struct rate *, int64_t now_us);

/* Row data that came from there or went there, and how long the statements took that carried it. */
struct meter_volume {
	uint64_t read, written;		/* bytes */
	struct rate bytes;		/* both */
	struct rate waited;		/* microseconds */
};
void meter_read(struct meter_volume *, uint64_t bytes, int64_t asked_us, int64_t now_us);
void meter_written(struct meter_volume *, uint64_t bytes, int64_t asked_us, int64_t now_us);
double meter_data_rate(const struct meter_volume *, int64_t now_us);	/* volume / time of the last minute, bytes per second */
double meter_throughput(const struct meter_volume *, int64_t now_us);	/* volume / latency of the last minute; 0: nothing was moved */

struct meter_endpoint {
	struct timeline availability;
	struct meter_volume volume;
};
struct meter_link {
	struct timeline availability, consistency;
	uint64_t captured, applied, echoes, failures;
	uint64_t inserts, updates, deletes;	/* of applied */
	uint64_t refused;			/* guard refusals: decided again */
};
/* What the last verify found; what a repair mended does not count. */
struct meter_verify {
	int64_t ended_us;		/* wall; 0: none has */
	int64_t compared, different;	/* records; different without a reason, and still so when it ended */
	uint64_t at;			/* endpoints that it read, as bits */
};
struct meter_entity {
	uint64_t conflicts[16];		/* by enum rule */
	uint64_t cleaned, rejected;
	uint64_t first_contact_equal, first_contact_merged, first_contact_copied;
	struct histogram propagation;
	uint64_t verified, verified_different;		/* records: compared by verify, and found to differ without a reason */
	struct meter_verify last_verify;
};
/* A verify has ended: `found` differed, and this is what it leaves. One that read fewer endpoints than the last clears nothing. */
void meter_verified(struct meter_entity *, int64_t found, const struct meter_verify *);

#endif
