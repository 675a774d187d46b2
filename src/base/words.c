#include "base/words.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"

void age_add(struct buf *out, double seconds)
{
	if (seconds < 1)
		buf_addf(out, "%.0f ms", fmax(1, seconds * 1000));
	else if (seconds < 10)
		buf_addf(out, "%.1f s", seconds);
	else if (seconds < 120)
		buf_addf(out, "%.0f s", seconds);
	else if (seconds < 7200)
		buf_addf(out, "%.0f min", seconds / 60);
	else if (seconds < 172800)
		buf_addf(out, "%.0f h", seconds / 3600);
	else
		buf_addf(out, "%.0f days", seconds / 86400);
}

void ago_add(struct buf *out, const char *time, int64_t now_us)
{
	int64_t us;

	if (time == NULL || !time_parse(time, &us)) {
		buf_adds(out, "-");
		return;
	}
	age_add(out, (double)(now_us > us ? now_us - us : 0) / 1e6);
	buf_adds(out, " ago");
}

void count_add(struct buf *out, double n)
{
	char digits[32];
	size_t len;

	if (isnan(n)) {
		buf_adds(out, "?");
		return;
	}
	len = (size_t)snprintf(digits, sizeof digits, "%.0f", fmin(fmax(n, 0), 1e15));
	for (size_t i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf_addc(out, ',');
		buf_addc(out, digits[i]);
	}
}

void share_add(struct buf *out, double share)
{
	if (isnan(share))
		buf_adds(out, "-");
	else if (share >= 1)
		buf_adds(out, "100 %");
	else
		buf_addf(out, "%.1f %%", floor(share * 1000) / 10);
}

void bounds_add(struct buf *out, double lower, double upper)
{
	if (isnan(lower) || isnan(upper))
		buf_adds(out, "-");
	else
		buf_addf(out, "%.4g to %.4g %%", floor(lower * 1000) / 10, ceil(upper * 1000) / 10);
}

void lag_add(struct buf *out, double seconds)
{
	if (isnan(seconds))
		buf_adds(out, "?");
	else if (seconds <= 0)
		buf_adds(out, "-");
	else
		age_add(out, seconds);
}

void bytes_add(struct buf *out, double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t u = 0;

	for (; bytes >= 1024 && u + 1 < sizeof units / sizeof units[0]; u++)
		bytes /= 1024;
	buf_addf(out, "%.*f %s", u > 0 ? 1 : 0, bytes, units[u]);
}

void byte_rate_add(struct buf *out, double bytes_per_second)
{
	if (isnan(bytes_per_second)) {
		buf_adds(out, "?");
	} else if (bytes_per_second < 1) {
		buf_adds(out, "-");
	} else {
		bytes_add(out, bytes_per_second);
		buf_adds(out, "/s");
	}
}

void offset_add(struct buf *out, double seconds)
{
	if (isnan(seconds))
		buf_adds(out, "?");
	else
		buf_addf(out, "%+.3f s", seconds);
}

static void amount_add(struct buf *out, const char *unit, double n)
{
	buf_addc(out, ' ');
	if (strcmp(unit, "bytes") == 0)
		bytes_add(out, n);
	else
		buf_addf(out, "%.0f %s", n, unit);
}

static void pace_add(struct buf *out, const char *unit, double per_second)
{
	buf_adds(out, ", ");
	if (strcmp(unit, "bytes") == 0) {
		byte_rate_add(out, per_second);
		return;
	}
	count_add(out, per_second);
	buf_addf(out, " %s/s", unit);
}

static void how_far_add(struct buf *out, const char *unit, double done, double share, double per_second, double seconds_left)
{
	if (!isnan(share))
		buf_addf(out, " %.0f %%", floor(100 * share));
	else if (done > 0)
		amount_add(out, unit, done);
	if (!isnan(seconds_left)) {
		buf_adds(out, ", ");
		age_add(out, seconds_left);
		buf_adds(out, " left");
	}
	/* Last: it is what a narrow screen can best do without. */
	if (per_second >= 1)
		pace_add(out, unit, per_second);
}

void progress_add(struct buf *out, const char *phase, const char *doing, double rows_done, double share, double rows_per_second,
		  double seconds_left)
{
	buf_adds(out, phase);
	if (strcmp(phase, "sweep") == 0)
		buf_adds(out, strcmp(doing, "look") == 0 ? " 2 of 2:" : " 1 of 2:");
	how_far_add(out, "rows", rows_done, share, rows_per_second, seconds_left);
}

const char *phase_words(const char *phase)
{
	static const char *const words[][2] = {
		{ "begin", "begins" }, { "count", "counts the rows" }, { "sum", "lets the servers add up their rows" },
		{ "list", "reads the rows" }, { "scan", "looks for rows that are gone" }, { "decide", "decides" }, { "compare", "compares" },
		{ "settle", "waits until what was captured is settled" }, { "known", "goes through what is known" },
		{ "look", "looks again at what differs" }, { "mend", "mends" },
		{ "fold", "looks for what is to be undone" }, { "put-back", "puts back" }, { "target", "reads what is there" },
		{ "source", "fills the table" }, { "extra", "looks for rows that are only" }, { "vectors", "copies what was last seen of the records" },
		{ "copy", "copies the journal" }, { "journal", "hands the copy of the journal out" },
	};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
		if (strcmp(words[i][0], phase) == 0)
			return words[i][1];
	return phase;
}

void doing_add(struct buf *out, const char *phase, const char *endpoint, const char *unit, double done, double share, double per_second,
	       double seconds_left)
{
	struct buf far = { 0 };

	buf_adds(out, phase_words(phase));
	if (endpoint[0] != '\0')
		buf_addf(out, " at %s", endpoint);
	how_far_add(&far, unit, unit[0] != '\0' ? done : 0, share, unit[0] != '\0' ? per_second : 0, seconds_left);
	if (far.len > 0)
		buf_addf(out, ":%s", far.p);
	buf_fini(&far);
}

void throttle_add(struct buf *out, const char *why)
{
	if (why[0] != '\0')
		buf_addf(out, " (waits: %s)", why);
}

void attempts_add(struct buf *out, double failed, double next_seconds)
{
	if (failed > 0) {
		buf_adds(out, "; attempts failed: ");
		count_add(out, failed);
	}
	if (next_seconds > 0) {
		buf_adds(out, ", next in ");
		age_add(out, next_seconds);
	}
}

const char *link_word(const char *state)
{
	if (strcmp(state, "consistent") == 0)
		return "in step";
	return strcmp(state, "inconsistent") == 0 ? "differs" : state;
}

const char unguarded_words[] =
	"has no place for our state row (see crmsyncctl install): a second daemon, or a database that is put back, would not be noticed there";
