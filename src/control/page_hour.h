/*
 * page_hour.h - the last hour as a small chart: a bar a minute. Pure: a part of the object of /status in, inline SVG out.
 *
 * hour: an object of arrays, seconds of each of the last 60 minutes, the oldest first: "good", "bad", "late", "aside", "paused".
 * What a minute has besides was not observed: its bar is not full.
 */
#ifndef CONTROL_PAGE_HOUR_H
#define CONTROL_PAGE_HOUR_H

#include <jansson.h>

struct buf;

/* What they are called, as in "up", "down". bad NULL: there is no such half-way, what is bad is as late. */
struct hour_words {
	const char *good, *bad, *late;
};
/* name: whose hour it is. */
void page_hour_add(struct buf *out, const char *name, const struct hour_words *words, const json_t *hour);

#endif
