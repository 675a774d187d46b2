#include "meter/meter.h"

#include <math.h>
#include <string.h>

enum { SECOND_US = 1000000, RATE_SLOTS = 60 };

/* ---- histograms -------------------------------------------------------------------------------------- */

/* From one turn of the loop to the longest wait that is still a delay and not an outage. */
const double histogram_bounds[HISTOGRAM_BOUNDS] = {
	0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300,
};

void histogram_add(struct histogram *h, double seconds)
{
	size_t i = 0;

	if (!isfinite(seconds))
		return;
	if (seconds < 0)	/* two clocks: an arrival may seem to come before its departure */
		seconds = 0;
	while (i < HISTOGRAM_BOUNDS && seconds > histogram_bounds[i])
		i++;
	h->counts[i]++;
	h->sum += seconds;
}

uint64_t histogram_total(const struct histogram *h)
{
	uint64_t total = 0;

	for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++)
		total += h->counts[i];
	return total;
}

double histogram_quantile(const struct histogram *h, double q)
{
	uint64_t total = histogram_total(h);
	double rank = (double)total * (q < 0 ? 0 : q > 1 ? 1 : q), below = 0;

	if (total == 0)
		return (double)NAN;
	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		double low = i > 0 ? histogram_bounds[i - 1] : 0, count = (double)h->counts[i];

		if (count > 0 && below + count >= rank)
			return low + (histogram_bounds[i] - low) * (rank - below) / count;
		below += count;
	}
	return histogram_bounds[HISTOGRAM_BOUNDS - 1];	/* beyond the last bound nothing is known */
}

/* ---- rates ------------------------------------------------------------------------------------------- */

/* Empties the slots of the seconds that went by since the newest one. */
static void rate_advance(struct rate *r, int64_t second)
{
	if (second - r->second >= RATE_SLOTS)
		memset(r->slots, 0, sizeof r->slots);
	else
		for (int64_t s = r->second + 1; s <= second; s++)
			r->slots[s % RATE_SLOTS] = 0;
	if (second > r->second)
		r->second = second;
}

void rate_add(struct rate *r, uint64_t amount, int64_t now_us)
{
	rate_advance(r, now_us / SECOND_US);
	r->slots[r->second % RATE_SLOTS] += amount;
}

double rate_per_second(const struct rate *r, int64_t now_us)
{
	int64_t oldest = now_us / SECOND_US - RATE_SLOTS;	/* this one is over a minute old already */
	uint64_t sum = 0;

	for (int64_t s = r->second; s > oldest && s > r->second - RATE_SLOTS; s--)
		sum += r->slots[(s % RATE_SLOTS + RATE_SLOTS) % RATE_SLOTS];
	return (double)sum / RATE_SLOTS;
}

/* ---- volume, and the rates of it --------------------------------------------------------------------- */

/* A statement that carried nothing is no part of it: polls that find nothing would make the fastest endpoint look slow. */
static void move_bytes(struct meter_volume *v, uint64_t bytes, int64_t asked, int64_t now)
{
	if (bytes == 0)
		return;
	rate_add(&v->bytes, bytes, now);
	rate_add(&v->waited, now > asked ? (uint64_t)(now - asked) : 0, now);
}

void meter_read(struct meter_volume *v, uint64_t bytes, int64_t asked, int64_t now)
{
	v->read += bytes;
	move_bytes(v, bytes, asked, now);
}

void meter_written(struct meter_volume *v, uint64_t bytes, int64_t asked, int64_t now)
{
	v->written += bytes;
	move_bytes(v, bytes, asked, now);
}

double meter_data_rate(const struct meter_volume *v, int64_t now)
{
	return rate_per_second(&v->bytes, now);
}

double meter_throughput(const struct meter_volume *v, int64_t now)
{
	double waited = rate_per_second(&v->waited, now) / SECOND_US;	/* seconds waited, a second */

	return waited > 0 ? meter_data_rate(v, now) / waited : 0;
}

void meter_verified(struct meter_entity *m, int64_t found, const struct meter_verify *now)
{
	struct meter_verify before = m->last_verify;

	m->verified += (uint64_t)now->compared;
	m->verified_different += (uint64_t)found;
	m->last_verify = *now;
	if ((before.at & ~now->at) == 0 || before.different == 0)
		return;
	m->last_verify.at = before.at | now->at;
	if (m->last_verify.different < before.different)
		m->last_verify.different = before.different;
}
