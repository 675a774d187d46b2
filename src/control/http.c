#include "control/http.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "loop/loop.h"

/*
 * One connection:
 *
 *   READING -> (handler) -> THINKING -> WRITING -> READING ...       any failure or deadline -> conn_end()
 *
 * Only conn_on_io(), conn_on_deadline() and http_server_free() end a connection. Answers are queued and
 * written by the loop, so a handler can never pull the connection from under the code that called it.
 */
enum conn_state { READING, THINKING, WRITING };

enum {
	READ_BYTES = 16 * 1024,			/* one turn takes so much of one connection, then yields */
	IN_MAX = HTTP_HEAD_MAX + HTTP_BODY_MAX,	/* more than a request can have is left in the kernel */
	OUT_LOW = 64 * 1024,			/* a stream is asked for more below this */
	ACCEPT_REST_MS = 1000,			/* after running out of descriptors */
	WARN_EVERY_US = 60 * 1000 * 1000,	/* whoever keeps knocking must not fill the log */
};

struct http_listener {
	struct http_server *server;
	int fd;				/* -1: closed */
	bool own_peers_only;
	http_fn *fn;
	void *arg;
	struct loop_watch *watch;
	struct loop_timer *rest;
	int64_t warned_us;		/* monotonic; 0: never */
	unsigned unsaid;		/* turned away since, without a word */
	unsigned conns;			/* open ones; the memory lives as long as one is */
};

struct conn {
	struct conn *prev, *next;
	struct http_server *server;
	struct http_listener *from;
	int fd;
	enum conn_state state;
	struct loop_watch *watch;
	struct loop_timer *deadline;
	struct buf in;			/* not parsed yet */
	struct buf out;
	size_t sent;			/* of out */
	bool eof;			/* the client sends no more */
	bool keep_alive, head_only, http11, chunked, continued;
	struct http_exchange *exchange;	/* THINKING */
	struct http_producer producer;	/* WRITING a stream: more is not NULL until it said it was done */
	bool streaming;
	bool dry;			/* the stream has nothing now */
};

struct http_exchange {
	struct conn *conn;		/* NULL: the client has left */
	void (*gone)(void *arg);
	void *gone_arg;
};

struct http_server {
	struct loop *loop;
	struct conn *conns;
	int64_t idle_ms;
};

static void conn_on_io(void *arg, unsigned what);

/* ---- the end of things ------------------------------------------------------------------------------- */

static void listener_release(struct http_listener *l)
{
	if (l->conns == 0 && l->fd < 0)
		free(l);
}

static void stream_end(struct conn *c)
{
	if (!c->streaming)
		return;
	c->streaming = false;
	c->producer.end(c->producer.arg);
}

static void conn_unlink(struct conn *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		c->server->conns = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->from->conns--;
	listener_release(c->from);
}

static void conn_end(struct conn *c, const char *why)
{
	struct http_exchange *x = c->exchange;

	log_debug("connection ended", LOG_S("reason", why));
	conn_unlink(c);
	stream_end(c);
	if (x != NULL) {
		x->conn = NULL;
		if (x->gone != NULL)
			x->gone(x->gone_arg);
	}
	loop_watch_free(&c->watch);
	loop_timer_free(&c->deadline);
	close(c->fd);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

/* ---- what a connection waits for --------------------------------------------------------------------- */

/* Nothing to write until the stream has more; meanwhile we read on, to notice that the client leaves. */
static bool is_dry(const struct conn *c)
{
	return c->dry && c->sent == c->out.len;
}

static void conn_watch(struct conn *c)
{
	unsigned what = 0;

	/* While thinking we read on, to notice that the client leaves. */
	if (!c->eof && c->in.len < IN_MAX)
		what |= LOOP_READ;
	if (c->state == WRITING && !is_dry(c))
		what |= LOOP_WRITE;
	loop_watch_set(c->watch, what);
}

static void conn_enter(struct conn *c, enum conn_state state)
{
	c->state = state;
	if (state == THINKING)
		loop_timer_stop(c->deadline);	/* whoever thinks has deadlines of its own */
	else
		loop_timer_set(c->deadline, c->server->idle_ms);
	conn_watch(c);
}

static void conn_on_deadline(void *arg)
{
	conn_end(arg, "the client kept us waiting");
}

/* ---- answers ----------------------------------------------------------------------------------------- */

static void add_head(struct conn *c, int status, const char *type, const char *extra)
{
	buf_addf(&c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nCache-Control: no-store\r\n"
		 "X-Content-Type-Options: nosniff\r\nConnection: %s\r\n%s",
		 status, http_status_words(status), type, c->keep_alive ? "keep-alive" : "close",
		 extra != NULL ? extra : "");
}

static void add_whole(struct conn *c, int status, const char *type, const char *extra, const char *body, size_t len)
{
	add_head(c, status, type, extra);
	buf_addf(&c->out, "Content-Length: %zu\r\n\r\n", len);
	if (!c->head_only)
		buf_add(&c->out, body, len);
	conn_enter(c, WRITING);
}

/* Parts the exchange from its connection; NULL when the client has left. */
static struct conn *exchange_take_conn(struct http_exchange *x)
{
	struct conn *c = x->conn;

	if (c != NULL)
		c->exchange = NULL;
	free(x);
	return c;
}

void http_reply(struct http_exchange *x, int status, const char *type, const char *extra, const char *body, size_t len)
{
	struct conn *c = exchange_take_conn(x);

	if (c != NULL)
		add_whole(c, status, type, extra, body, len);
}

struct http_stream *http_stream(struct http_exchange *x, const char *type, const struct http_producer *producer)
{
	struct conn *c = exchange_take_conn(x);

	if (c == NULL) {
		producer->end(producer->arg);
		return NULL;
	}
	c->producer = *producer;
	c->streaming = true;
	c->chunked = c->http11;
	if (!c->chunked)
		c->keep_alive = false;		/* HTTP/1.0: the end of the body is the end of the connection */
	add_head(c, 200, type, c->chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
	if (c->head_only)
		stream_end(c);
	conn_enter(c, WRITING);
	return c->streaming ? (struct http_stream *)c : NULL;
}

void http_stream_more(struct http_stream *stream)
{
	struct conn *c = (struct conn *)stream;

	if (!c->dry)
		return;
	c->dry = false;
	conn_enter(c, WRITING);
}

void http_forget(struct http_exchange *x)
{
	struct conn *c = exchange_take_conn(x);

	if (c == NULL)
		return;
	c->keep_alive = false;
	conn_enter(c, WRITING);			/* nothing to write: the loop closes it */
}

void http_on_gone(struct http_exchange *x, void (*fn)(void *arg), void *arg)
{
	x->gone = fn;
	x->gone_arg = arg;
}

/* Takes the next piece of a stream into `out`. */
static void stream_pull(struct conn *c)
{
	struct buf piece = { 0 };
	bool more = c->producer.more(c->producer.arg, &piece);

	if (piece.len > 0) {
		if (c->chunked)
			buf_addf(&c->out, "%zx\r\n", piece.len);
		buf_add(&c->out, piece.p, piece.len);
		if (c->chunked)
			buf_adds(&c->out, "\r\n");
	}
	c->dry = c->producer.waits && more && piece.len == 0;
	if (!more) {
		if (c->chunked)
			buf_adds(&c->out, "0\r\n\r\n");
		stream_end(c);
	}
	buf_fini(&piece);
}

/* ---- requests ---------------------------------------------------------------------------------------- */

static void refuse(struct conn *c, int status, const char *why)
{
	struct buf body = { 0 };

	c->keep_alive = false;			/* we no longer know where the next request begins */
	buf_addf(&body, "%s\n", why);
	add_whole(c, status, "text/plain; charset=utf-8", NULL, body.p, body.len);
	buf_fini(&body);
}

static void in_consume(struct conn *c, size_t n)
{
	memmove(c->in.p, c->in.p + n, c->in.len - n);
	c->in.len -= n;
	c->in.p[c->in.len] = '\0';
}

static void hand_over(struct conn *c, const struct http_head *head, const char *body)
{
	struct http_exchange *x = xcalloc(1, sizeof *x);
	struct http_request rq = {
		.method = head->method, .path = head->path, .query = head->query, .accept = head->accept,
		.body = body, .body_len = head->body_len,
	};

	x->conn = c;
	c->exchange = x;
	c->keep_alive = head->keep_alive;
	c->http11 = head->http11;
	c->head_only = head->method == HTTP_HEAD;
	c->continued = false;
	conn_enter(c, THINKING);
	c->from->fn(c->from->arg, x, &rq);
}

/* Answers the request at the front of `in` when it is whole. */
static void conn_parse(struct conn *c)
{
	size_t head_len = http_head_end(c->in.p, c->in.len), whole;
	struct http_head head;
	const char *why;
	char *text;
	int status;

	if (head_len > HTTP_HEAD_MAX || (head_len == 0 && c->in.len > HTTP_HEAD_MAX)) {
		refuse(c, 431, "the head of the request is larger than 16 KiB");
		return;
	}
	if (head_len == 0)
		return;
	text = xmalloc(head_len);
	memcpy(text, c->in.p, head_len);	/* a copy: it is parsed again should the body not be there yet */
	status = http_head_parse(text, head_len, &head, &why);
	whole = head_len + head.body_len;
	if (status != 0) {
		refuse(c, status, why);
	} else if (c->in.len >= whole) {
		char *body = xstrndup(c->in.p + head_len, head.body_len);

		in_consume(c, whole);
		hand_over(c, &head, body);
		free(body);
	} else if (head.expect_continue && !c->continued) {
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

		c->continued = true;
		/* Nothing else is on its way, so these bytes fit; if not, the client sends after a second anyway. */
		(void)!send(c->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	free(text);
}

/* ---- bytes ------------------------------------------------------------------------------------------- */

static bool conn_read(struct conn *c)
{
	char *room = buf_room(&c->in, READ_BYTES);
	ssize_t n = recv(c->fd, room, READ_BYTES, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		c->eof = true;
	c->in.len += (size_t)n;
	c->in.p[c->in.len] = '\0';
	return true;
}

static bool conn_write(struct conn *c)
{
	ssize_t n;

	if (c->streaming && !c->dry && c->out.len - c->sent < OUT_LOW)
		stream_pull(c);
	if (c->sent == c->out.len) {
		if (c->dry)
			loop_timer_stop(c->deadline);	/* it is not the client who keeps us waiting */
		return true;
	}
	n = send(c->fd, c->out.p + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	c->sent += (size_t)n;
	if (c->sent == c->out.len) {
		buf_clear(&c->out);
		c->sent = 0;
	}
	if (is_dry(c))
		loop_timer_stop(c->deadline);
	else
		loop_timer_set(c->deadline, c->server->idle_ms);
	return true;
}

static bool all_written(const struct conn *c)
{
	return c->state == WRITING && !c->streaming && c->sent == c->out.len;
}

static void conn_on_io(void *arg, unsigned what)
{
	struct conn *c = arg;

	if ((what & LOOP_READ) && !conn_read(c)) {
		conn_end(c, "read failed");
		return;
	}
	if ((what & LOOP_WRITE) && c->state == WRITING) {
		if (!conn_write(c)) {
			conn_end(c, "write failed");
			return;
		}
		if (all_written(c)) {
			if (!c->keep_alive) {
				conn_end(c, "answered");
				return;
			}
			conn_enter(c, READING);
		}
	}
	if (c->state == READING && c->in.len > 0)
		conn_parse(c);
	/* A client that sends no more and waits for no answer that is under way is gone. */
	if (c->eof && (c->state != WRITING || is_dry(c))) {
		conn_end(c, "the client left");
		return;
	}
	conn_watch(c);
}

/* ---- accepting --------------------------------------------------------------------------------------- */

static bool peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

/* Says why and hangs up. The client may be writing still: whatever does not fit is not worth waiting for. */
static void turn_away(int fd, int status, int exit_code, const char *code, const char *text)
{
	struct buf out = { 0 }, body = { 0 };

	buf_addf(&body, "{\"schema\": 1, \"error\": {\"code\": \"%s\", \"text\": \"%s\", \"exit\": %d}}\n", code, text, exit_code);
	buf_addf(&out, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
		 status, http_status_words(status), body.len, body.p);
	(void)!send(fd, out.p, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	buf_fini(&out);
	buf_fini(&body);
}

static void listener_warn(struct http_listener *l, const char *text)
{
	int64_t now = clock_mono_us();

	if (l->warned_us != 0 && now - l->warned_us < WARN_EVERY_US) {
		l->unsaid++;
		return;
	}
	log_warn("connection turned away", LOG_S("reason", text), LOG_I("and_before", l->unsaid));
	l->warned_us = now;
	l->unsaid = 0;
}

static void conn_new(struct http_listener *l, int fd)
{
	struct conn *c = xcalloc(1, sizeof *c);

	c->server = l->server;
	c->from = l;
	l->conns++;
	c->fd = fd;
	c->next = l->server->conns;
	if (c->next != NULL)
		c->next->prev = c;
	l->server->conns = c;
	c->watch = loop_watch_new(l->server->loop, fd, conn_on_io, c);
	c->deadline = loop_timer_new(l->server->loop, conn_on_deadline, c);
	conn_enter(c, READING);
}

static void listener_on_rested(void *arg)
{
	struct http_listener *l = arg;

	loop_watch_set(l->watch, LOOP_READ);
}

/* Out of descriptors the socket stays readable: without a rest the loop would spin. */
static void accept_failed(struct http_listener *l, int error)
{
	if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
		return;			/* the client left again, or the next turn tries anew */
	listener_warn(l, "out of descriptors or memory");
	loop_watch_set(l->watch, 0);
	loop_timer_set(l->rest, ACCEPT_REST_MS);
}

static void listener_on_ready(void *arg, unsigned what)
{
	static const char stranger[] = "only root and the daemon's own user may give orders here";
	static const char busy[] = "too many connections are open; try again";
	struct http_listener *l = arg;
	int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		accept_failed(l, errno);
	} else if (l->own_peers_only && !peer_allowed(fd)) {
		turn_away(fd, 403, 77, "not-permitted", stranger);
		listener_warn(l, stranger);
	} else if (l->conns >= HTTP_CONNECTIONS_MAX) {
		turn_away(fd, 503, 75, "busy", busy);
		listener_warn(l, busy);
	} else {
		conn_new(l, fd);
	}
}

struct http_listener *http_listener_new(struct http_server *server, int fd, bool own_peers_only, http_fn *fn, void *arg)
{
	struct http_listener *l = xcalloc(1, sizeof *l);

	l->server = server;
	l->fd = fd;
	l->own_peers_only = own_peers_only;
	l->fn = fn;
	l->arg = arg;
	l->rest = loop_timer_new(server->loop, listener_on_rested, l);
	l->watch = loop_watch_new(server->loop, fd, listener_on_ready, l);
	loop_watch_set(l->watch, LOOP_READ);
	return l;
}

void http_listener_close(struct http_listener **lp)
{
	struct http_listener *l = *lp;

	if (l == NULL)
		return;
	*lp = NULL;
	loop_watch_free(&l->watch);
	loop_timer_free(&l->rest);
	close(l->fd);
	l->fd = -1;
	listener_release(l);
}

struct http_server *http_server_new(struct loop *loop)
{
	struct http_server *s = xcalloc(1, sizeof *s);

	s->loop = loop;
	s->idle_ms = HTTP_IDLE_MS;
	return s;
}

void http_server_idle_ms(struct http_server *s, int64_t ms)
{
	s->idle_ms = ms;
}

void http_server_free(struct http_server **sp)
{
	if (*sp == NULL)
		return;
	while ((*sp)->conns != NULL) {
		struct conn *c = (*sp)->conns;

		/* Last words, such as an answer to those who wait: one try, without waiting. */
		if (c->state == WRITING)
			(void)!conn_write(c);
		conn_end(c, "the daemon stops");
	}
	free(*sp);
	*sp = NULL;
}
