/*
 * log.h - one event a line, to stderr: key=value text or JSON.
 *
 *	log_warn("endpoint down", LOG_S("endpoint", name), LOG_ERR(&e));
 *	-> 2026-03-01T12:00:00.123Z warn endpoint down endpoint=sales code=57P01 reason="..."
 *
 * Never row values, never secrets. Strings are escaped (control characters, invalid UTF-8, bidi
 * controls) and cut at 1,000 bytes. Where stderr is the journal of systemd (JOURNAL_STREAM) lines begin with an sd-daemon
 * priority, which the journal takes off, and text lines have no time. All are counted by level, also those that are not
 * written: log_count().
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG, LOG_LEVELS };

struct log_kv {
	const char *key;	/* NULL ends the list */
	enum log_kv_type { LOG_KV_STRING, LOG_KV_INT, LOG_KV_REAL, LOG_KV_ERR } type;
	union {
		const char *s;
		int64_t i;
		double d;
		const struct err *e;
	} v;
};

#define LOG_S(k, x)	{ .key = (k), .type = LOG_KV_STRING, .v.s = (x) }
#define LOG_I(k, x)	{ .key = (k), .type = LOG_KV_INT, .v.i = (int64_t)(x) }
#define LOG_D(k, x)	{ .key = (k), .type = LOG_KV_REAL, .v.d = (x) }
#define LOG_ERR(x)	{ .key = "reason", .type = LOG_KV_ERR, .v.e = (x) }

void log_setup(enum log_level level, bool json);
bool log_level_parse(const char *name, enum log_level *out);
bool log_begin(enum log_level level);			/* counts a message; true: it is to be written */
void log_emit(enum log_level level, const char *event, const struct log_kv *kv);
uint64_t log_count(enum log_level level);

/* Failures in a row of one kind: the first is logged, the others are counted, the end says how many they were. Starts as zeros. */
struct log_streak {
	uint64_t n;
	int64_t since_us;	/* monotonic */
};
bool log_streak_begins(struct log_streak *);		/* one more failure; true: it is the first, log it */
void log_streak_ends(struct log_streak *, const char *event);	/* "event failures=3 seconds=4.5", or nothing when there was none */

#define log_at(level, event, ...) \
	do { \
		if (log_begin(level)) \
			log_emit(level, event, (const struct log_kv[]){ __VA_ARGS__ __VA_OPT__(,) { .key = 0 } }); \
	} while (0)
#define log_error(event, ...)	log_at(LOG_LEVEL_ERROR, event __VA_OPT__(,) __VA_ARGS__)
#define log_warn(event, ...)	log_at(LOG_LEVEL_WARN, event __VA_OPT__(,) __VA_ARGS__)
#define log_info(event, ...)	log_at(LOG_LEVEL_INFO, event __VA_OPT__(,) __VA_ARGS__)
#define log_debug(event, ...)	log_at(LOG_LEVEL_DEBUG, event __VA_OPT__(,) __VA_ARGS__)

#endif
