/*
 * pages.h - what the read-only pages say, made from the views of sync/. No sockets here.
 *
 *   metrics.c   /metrics: one table of all metrics, rendered as Prometheus text, OpenMetrics or JSON lines
 *   status.c    /status: the JSON object; /readyz: the reasons
 *   page.c      /: that object as HTML
 *   summary.c   the sentence that matters
 */
#ifndef CONTROL_PAGES_H
#define CONTROL_PAGES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct loop;
struct sync;

/* All pages show one moment. `sync` is never NULL here. */
struct pages {
	struct sync *sync;
	const struct loop *loop;
	int64_t started_us;		/* monotonic, of the daemon */
	bool reload_ok;			/* the last reload was taken (or there was none) */
};

/* Adds one sentence without full stop: "2 of 3 endpoints up; contact is 14 s behind on support; 3 records parked". */
void summary_add(const struct pages *, struct buf *out);

/* The object of GET /status. The caller's: json_decref(). */
json_t *status_json(const struct pages *);
/* True when ready; else adds the reasons, a line each. */
bool status_ready(const struct pages *, struct buf *reasons);

/* The document of /, of the object of /status. nonce: what the page's policy lets style and script in by. */
void page_html(const json_t *status, const char *nonce, struct buf *out);
/* The same while there is no such object. */
void page_html_without(const char *why, const char *nonce, struct buf *out);

/* Prometheus text exposition 0.0.4, and OpenMetrics 1.0: the same samples. */
void metrics_text(const struct pages *, struct buf *out);
void metrics_openmetrics(const struct pages *, struct buf *out);
/* {"schema": 1, "name", "type", "labels": {}, "value"} a line a sample; what is not a number becomes null. */
void metrics_json(const struct pages *, struct buf *out);
/* Every row of the table, for tests and the manual page; `labels` is "entity, endpoint" or "". */
void metrics_each(void (*fn)(void *arg, const char *name, const char *type, const char *labels, const char *help), void *arg);

#endif
