/*
 * meter.h - what is counted and timed. Pure arithmetic over given times.
 *
 * Plain structs of numbers which their owner (sync/) changes in place and control/ reads. A ratio clock
 * divides observed time between states; time in METER_UNKNOWN is never counted as good.
 */
#ifndef METER_METER_H
#define METER_METER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum meter_state { METER_UNKNOWN, METER_GOOD, METER_BAD, METER_PAUSED, METER_STATES };

struct ratio_clock {
	enum meter_state state;
	int64_t since_us;		/* monotonic, when `state` began; 0: not started */
	int64_t spent_us[METER_STATES];	/* finished pieces */
};
void ratio_clock_set(struct ratio_clock *, enum meter_state, int64_t now_us);
/* Books the current state from `from_us` on, retroactively (a failure counts from the last success). Never before the state before it began. */
void ratio_clock_set_from(struct ratio_clock *, enum meter_state, int64_t from_us, int64_t now_us);
double ratio_clock_seconds(const struct ratio_clock *, enum meter_state, int64_t now_us);
/* good / (good + bad); NAN while neither was observed. */
double ratio_clock_ratio(const struct ratio_clock *, int64_t now_us);

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

struct meter_endpoint {
	struct ratio_clock availability;
	uint64_t bytes_read, bytes_written;
	struct rate volume;		/* bytes, for data rate */
	struct rate busy;		/* microseconds spent waiting for its answers, for throughput */
};
struct meter_link {
	struct ratio_clock consistency;
	uint64_t captured, applied, echoes, failures;
	uint64_t inserts, updates, deletes;	/* of applied */
	uint64_t refused;			/* guard refusals: decided again */
};
struct meter_entity {
	uint64_t conflicts[16];		/* by enum rule */
	uint64_t cleaned, rejected;
	uint64_t first_contact_equal, first_contact_merged, first_contact_copied;
	struct histogram propagation;
	uint64_t verified, verified_different;		/* records: compared by verify, and found to differ without a reason */
	int64_t verified_us;				/* wall; when the last one ended; 0: none has */
};

#endif
