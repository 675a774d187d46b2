/*
 * http.h - a small HTTP/1.1 server on the loop: listeners, connections, exchanges.
 *
 * Not evhttp: libevent 2.1 gives no hold of an accepted connection before its first request is read, so
 * neither the peer's uid nor the number of connections can be checked at accept; and its chunked replies
 * have no back-pressure, so a long list would pile up in memory behind a slow reader.
 *
 * A listener belongs to its maker. A connection keeps its listener's memory alive until it ends, so a
 * listener may be closed while answers are on their way. An exchange is one request: its handler is called
 * once and answers exactly once, at once or later, with http_reply(), http_stream() or http_forget(); after that
 * the exchange is gone. When the client leaves first, `gone` (if set) is called and the answer still has to
 * be given; it then goes nowhere. So a handler that waits for something needs no special case.
 *
 * Bounds: 16 KiB and 64 lines of head, 64 KiB of body, 30 s for a request to arrive and for each piece of
 * an answer to be taken, 32 connections a listener. None of it is configurable.
 */
#ifndef CONTROL_HTTP_H
#define CONTROL_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "control/http_parse.h"

struct buf;
struct http_exchange;
struct http_listener;
struct http_server;
struct loop;

struct http_request {
	enum http_method method;
	const char *path, *query, *accept;
	const char *body;		/* a NUL stands behind it */
	size_t body_len;
};

/* rq lives during the call. */
typedef void http_fn(void *arg, struct http_exchange *x, const struct http_request *rq);

enum { HTTP_CONNECTIONS_MAX = 32, HTTP_IDLE_MS = 30000 };

struct http_server *http_server_new(struct loop *);
/* Ends all connections; listeners must be closed before. Exchanges still open may be answered later. */
void http_server_free(struct http_server **);
/* For the tests: how long a client may keep us waiting instead of HTTP_IDLE_MS. */
void http_server_idle_ms(struct http_server *, int64_t ms);

/* Serves a listening, non-blocking socket, which it owns from now on. own_peers_only: root and our own uid, by SO_PEERCRED. */
struct http_listener *http_listener_new(struct http_server *, int fd, bool own_peers_only, http_fn *fn, void *arg);
void http_listener_close(struct http_listener **);

/* ---- answering --------------------------------------------------------------------------------------- */

/* extra: further header lines, each with CRLF, or NULL. The body is copied; none is sent to HEAD. */
void http_reply(struct http_exchange *, int status, const char *type, const char *extra, const char *body, size_t len);

struct http_producer {
	/* Adds the next piece to `out` (some kilobytes); false when that was the last. Called as the client takes them. */
	bool (*more)(void *arg, struct buf *out);
	void (*end)(void *arg);		/* once, in any case: all sent, or the client left */
	void *arg;
	bool waits;			/* after a piece of nothing it is not called before http_stream_more() */
};
/* Status 200, chunked. `more` is not called before http_stream() has returned. The stream lives until `end`; NULL: it was called. */
struct http_stream *http_stream(struct http_exchange *, const char *type, const struct http_producer *);
void http_stream_more(struct http_stream *);	/* there is something again */
void http_forget(struct http_exchange *);	/* closes the connection without an answer */

/* fn is called when the client leaves before the answer was given; replaces an earlier one. */
void http_on_gone(struct http_exchange *, void (*fn)(void *arg), void *arg);

#endif
