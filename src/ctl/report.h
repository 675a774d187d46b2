/*
 * report.h - the report of a verification as an HTML file that needs nothing else.
 */
#ifndef CTL_REPORT_H
#define CTL_REPORT_H

#include <jansson.h>

struct report;

/*
 * NULL: there cannot be such a file, as has been said, and *rc is the exit code. It is there when report_write() says so, whole, and not before.
 * The name must outlive it.
 */
struct report *report_new(const char *file, int *rc);
void report_free(struct report **);		/* NULL is fine */
/* A line of the daemon's answer: a record, or the sum. */
void report_take(struct report *, const json_t *line);
/* An exit code; whatever went wrong has been said. Without a sum there is no report. */
int report_write(struct report *);

#endif
