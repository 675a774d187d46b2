/*
 * page_hour.h - the last hour as a small chart: a bar a minute. Pure: the "minutes" of the object of /status in, inline SVG out.
 *
 * What a minute has besides what is drawn was not observed: its bar is not full.
 */
#ifndef CONTROL_PAGE_HOUR_H
#define CONTROL_PAGE_HOUR_H

#include <jansson.h>

struct buf;

/*
 * What the parts of a minute are called: in the object, and what a pointer that rests on its bar is told. young: bad, but not yet
 * late; the object's bad_seconds have the late ones in them. NULL: all that is bad is late.
 */
struct hour_words {
	const char *good_seconds, *bad_seconds, *late_seconds;
	const char *not_good, *young, *late;
};
extern const struct hour_words hour_of_availability, hour_of_consistency;

/* name: whose hour it is. */
void page_hour_add(struct buf *out, const char *name, const struct hour_words *words, const json_t *minutes);

#endif
