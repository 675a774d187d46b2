#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"

enum { STRING_CAP = 1000 };

static const char *const level_names[LOG_LEVELS] = { "error", "warn", "info", "debug" };
static const int priorities[LOG_LEVELS] = { 3, 4, 6, 7 };

static enum log_level threshold = LOG_LEVEL_INFO;
static bool as_json, in_journal;
static uint64_t counts[LOG_LEVELS];
static struct buf line;

/* JOURNAL_STREAM names the device and inode of the journal's stream (systemd.exec(5)); stderr may have been sent elsewhere. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(2, &st) == 0 &&
	       st.st_dev == device && st.st_ino == inode;
}

void log_setup(enum log_level level, bool json)
{
	threshold = level;
	as_json = json;
	in_journal = stderr_is_journal();
}

bool log_level_parse(const char *name, enum log_level *out)
{
	for (int i = 0; i < LOG_LEVELS; i++)
		if (strcmp(name, level_names[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

bool log_begin(enum log_level level)
{
	counts[level]++;
	return level <= threshold;
}

uint64_t log_count(enum log_level level)
{
	return counts[level];
}

static bool is_plain(const char *s)
{
	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || strchr("\"\\=", *s) != NULL)
			return false;
	return true;
}

static void add_string(const char *key, const char *s)
{
	size_t n = strlen(s);

	if (as_json) {
		buf_addf(&line, ",\"%s\":", key);
		text_json(&line, s, n > STRING_CAP ? STRING_CAP : n);
		return;
	}
	buf_addf(&line, " %s=", key);
	if (n <= STRING_CAP && is_plain(s)) {
		buf_adds(&line, s);
		return;
	}
	buf_addc(&line, '"');
	text_escape(&line, s, n, '"', STRING_CAP);
	buf_addc(&line, '"');
}

static void add_pair(const struct log_kv *kv)
{
	switch (kv->type) {
	case LOG_KV_STRING:
		add_string(kv->key, kv->v.s != NULL ? kv->v.s : "");
		break;
	case LOG_KV_INT:
		buf_addf(&line, as_json ? ",\"%s\":%lld" : " %s=%lld", kv->key, (long long)kv->v.i);
		break;
	case LOG_KV_REAL:
		if (isfinite(kv->v.d))
			buf_addf(&line, as_json ? ",\"%s\":%.6g" : " %s=%.6g", kv->key, kv->v.d);
		break;
	case LOG_KV_ERR:
		if (kv->v.e->code[0] != '\0')
			add_string("code", kv->v.e->code);
		add_string(kv->key, kv->v.e->text);
		break;
	}
}

void log_emit(enum log_level level, const char *event, const struct log_kv *kv)
{
	char when[32];

	time_print(clock_wall_us(), when);
	buf_clear(&line);
	if (in_journal)
		buf_addf(&line, "<%d>", priorities[level]);
	if (as_json) {
		buf_addf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":", when, level_names[level]);
		text_json(&line, event, strlen(event));
	} else if (in_journal) {
		buf_adds(&line, event);
	} else {
		buf_addf(&line, "%.23sZ %s %s", when, level_names[level], event);
	}
	for (; kv->key != NULL; kv++)
		add_pair(kv);
	buf_adds(&line, as_json ? "}\n" : "\n");
	/* One write a line: lines of several processes on one pipe do not mix. A full disk must not stop the daemon. */
	if (write(2, line.p, line.len) < 0)
		return;
}

bool log_streak_begins(struct log_streak *k)
{
	if (k->n++ > 0)
		return false;
	k->since_us = clock_mono_us();
	return true;
}

void log_streak_ends(struct log_streak *k, const char *event)
{
	if (k->n == 0)
		return;
	log_info(event, LOG_I("failures", k->n), LOG_D("seconds", (double)(clock_mono_us() - k->since_us) / 1e6));
	k->n = 0;
}
