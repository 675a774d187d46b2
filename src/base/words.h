/*
 * words.h - what is measured, in words for people. Pure.
 *
 * crmsyncctl and the status page say the same thing alike because both say it here. The words of a number are letters, digits,
 * blanks and ":,.-+%/?": they need no escaping anywhere.
 */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H

#include <stdint.h>

struct buf;

/* "350 ms", "1.4 s", "14 s", "3 min", "2 h", "5 days" */
void age_add(struct buf *out, double seconds);
/* How long before now an RFC 3339 time was, "14 s ago"; "-" for what is none (NULL, never). */
void ago_add(struct buf *out, const char *time, int64_t now_us);
/* "1,234,567"; NAN: "?" */
void count_add(struct buf *out, double n);
/* "99.9 %", rounded down: 100 % is said only when it is; NAN, nothing observed: "-" */
void share_add(struct buf *out, double share);
/* What is known of a share at least, "96.2 to 97.3 %". */
void bounds_add(struct buf *out, double lower, double upper);
/* What is outstanding; nothing is: "-", nobody knows (NAN): "?" */
void lag_add(struct buf *out, double seconds);
/* "1.4 MiB", "12 B" */
void bytes_add(struct buf *out, double bytes);
/* "1.4 MiB/s"; none: "-", NAN: "?" */
void byte_rate_add(struct buf *out, double bytes_per_second);
/* A clock's difference, "+0.250 s"; NAN: "?" */
void offset_add(struct buf *out, double seconds);
/*
 * "survey 43 %, 5.7 s left, 1,200 rows/s", "sweep 1 of 2: 120 rows", "follow". doing: "list", or "look" in the second half of a sweep;
 * what is not known is NAN.
 */
void progress_add(struct buf *out, const char *phase, const char *doing, double rows_done, double share, double rows_per_second,
		  double seconds_left);

/* The same of a job, "reads the rows at sales: 43 %, 5.7 s left, 1,200 rows/s". endpoint, unit: "" where there is none. */
void doing_add(struct buf *out, const char *phase, const char *endpoint, const char *unit, double done, double share, double per_second,
	       double seconds_left);
/* What holds it back, behind that: " (waits: as fast as --rate allows)"; "": nothing. */
void throttle_add(struct buf *out, const char *why);
/* What a phase of a job is called; one without a name here as it is. */
const char *phase_words(const char *phase);

/* Of an endpoint that cannot be reached, "; attempts failed: 3, next in 24 s"; nothing while there are none. */
void attempts_add(struct buf *out, double failed, double next_seconds);

/* A link's state: "in step", "differs"; another one as it is. */
const char *link_word(const char *state);
/* Of an endpoint that is up and has no place for the daemon's row. */
extern const char unguarded_words[];

#endif
