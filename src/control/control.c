#include "control/control.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/topology.h"
#include "control/room.h"
#include "loop/loop.h"

bool control_pages(const struct control *c, struct pages *p)
{
	*p = (struct pages){ .sync = c->sync, .loop = c->loop, .started_us = c->started_us, .reload_ok = c->reload_ok };
	return c->sync != NULL;
}

/* ---- answers ----------------------------------------------------------------------------------------- */

json_t *control_object(void)
{
	json_t *j = json_object();

	json_object_set_new(j, "schema", json_integer(1));
	return j;
}

json_t *control_text(const char *s)
{
	struct buf out = { 0 };
	json_t *j;

	if (s == NULL)
		return json_null();
	if (utf8_valid(s, strlen(s)))
		return json_string(s);
	text_json(&out, s, strlen(s));		/* replaces what is not UTF-8 */
	j = json_loadb(out.p, out.len, JSON_DECODE_ANY, NULL);
	buf_fini(&out);
	return j != NULL ? j : json_string("");
}

json_t *control_time(int64_t wall_us)
{
	char out[32];

	if (wall_us == 0)
		return json_null();
	time_print(wall_us, out);
	return json_string(out);
}

void control_answer(struct http_exchange *x, int status, json_t *object)
{
	char *body = json_dumps(object, JSON_REAL_PRECISION(15));
	struct buf out = { 0 };

	buf_addf(&out, "%s\n", body);
	http_reply(x, status, CONTROL_JSON, NULL, out.p, out.len);
	buf_fini(&out);
	free(body);
	json_decref(object);
}

static json_t *verror(enum control_exit code_exit, const char *code, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));
static json_t *verror(enum control_exit code_exit, const char *code, const char *fmt, va_list ap)
{
	json_t *j = control_object(), *error = json_object();
	char said[1024];

	vsnprintf(said, sizeof said, fmt, ap);
	json_object_set_new(error, "code", control_text(code));
	json_object_set_new(error, "text", control_text(said));
	json_object_set_new(error, "exit", json_integer(code_exit));
	json_object_set_new(j, "error", error);
	return j;
}

json_t *control_error(enum control_exit code_exit, const char *code, const char *fmt, ...)
{
	va_list ap;
	json_t *j;

	va_start(ap, fmt);
	j = verror(code_exit, code, fmt, ap);
	va_end(ap);
	return j;
}

static int status_of(enum control_exit code_exit)
{
	switch (code_exit) {
	case EXIT_OK:
	case EXIT_DIFFERENT:		return 200;
	case EXIT_TROUBLE:		return 500;
	case EXIT_USAGE:		return 400;
	case EXIT_UNAVAILABLE:		return 503;
	case EXIT_AGAIN:		return 504;
	case EXIT_NOT_PERMITTED:	return 403;
	case EXIT_CONFIGURATION:	return 422;
	}
	return 500;
}

void control_refuse(struct http_exchange *x, enum control_exit code_exit, const char *code, const char *fmt, ...)
{
	va_list ap;
	json_t *j;

	va_start(ap, fmt);
	j = verror(code_exit, code, fmt, ap);
	va_end(ap);
	control_answer(x, status_of(code_exit), j);
}

static void answer_text(struct http_exchange *x, int status, const char *extra, struct buf *body)
{
	http_reply(x, status, CONTROL_TEXT, extra, body->len > 0 ? body->p : "", body->len);
	buf_fini(body);
}

/* ---- the read-only pages ----------------------------------------------------------------------------- */

static const char starting[] = "the daemon is starting or stopping";

void control_sentence(const struct control *c, struct buf *out)
{
	struct pages p;

	if (control_pages(c, &p))
		summary_add(&p, out);
	else
		buf_adds(out, starting);
}

static void page_metrics(struct control *c, struct http_exchange *x, const struct http_request *rq)
{
	int open_weight = http_accept_weight(rq->accept, "application/openmetrics-text");
	bool open = open_weight > 0 && open_weight >= http_accept_weight(rq->accept, "text/plain");
	struct buf body = { 0 };
	struct pages p;

	if (!control_pages(c, &p)) {
		buf_addf(&body, "# %s\n", starting);
		answer_text(x, 503, NULL, &body);
		return;
	}
	if (open)
		metrics_openmetrics(&p, &body);
	else
		metrics_text(&p, &body);
	http_reply(x, 200, open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" :
		   "text/plain; version=0.0.4; charset=utf-8", "Vary: Accept\r\n", body.p, body.len);
	buf_fini(&body);
}

static void page_status(struct control *c, struct http_exchange *x, const struct http_request *rq)
{
	struct pages p;

	if (control_pages(c, &p))
		control_answer(x, 200, status_json(&p));
	else
		control_refuse(x, EXIT_UNAVAILABLE, "starting", "%s", starting);
}

static void page_healthz(struct control *c, struct http_exchange *x, const struct http_request *rq)
{
	struct buf body = { 0 };

	buf_adds(&body, "ok\n");
	answer_text(x, 200, NULL, &body);
}

static void page_readyz(struct control *c, struct http_exchange *x, const struct http_request *rq)
{
	struct buf body = { 0 };
	struct pages p;
	bool ready = false;

	if (!control_pages(c, &p))
		buf_addf(&body, "%s\n", starting);
	else
		ready = status_ready(&p, &body);
	if (ready)
		buf_adds(&body, "ready\n");
	answer_text(x, ready ? 200 : 503, NULL, &body);
}

/*
 * Nothing but the style and the script that this answer brings, by a number that nobody can know before; and from here only.
 * Whatever may ever slip through the escaping would find nothing that runs it and no place to send anything to.
 */
static const char page_policy[] =
	"Content-Security-Policy: default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; img-src data:; "
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
	"Referrer-Policy: no-referrer\r\n";

static void nonce_make(char out[33])
{
	uint64_t n[2];
	ssize_t got = getrandom(n, sizeof n, 0);	/* so little comes at once */

	assert(got == sizeof n);
	snprintf(out, 33, "%016" PRIx64 "%016" PRIx64, n[0], n[1]);
}

static void page_people(struct control *c, struct http_exchange *x, const struct http_request *rq)
{
	struct buf body = { 0 }, head = { 0 };
	struct pages p;
	bool shown = control_pages(c, &p);
	char nonce[33];

	nonce_make(nonce);
	if (shown) {
		json_t *status = status_json(&p);

		page_html(status, nonce, &body);
		json_decref(status);
	} else {
		page_html_without(starting, nonce, &body);
	}
	buf_addf(&head, page_policy, nonce, nonce);
	http_reply(x, shown ? 200 : 503, CONTROL_HTML, head.p, body.p, body.len);
	buf_fini(&head);
	buf_fini(&body);
}

static const struct page {
	const char *path;
	void (*answer)(struct control *, struct http_exchange *, const struct http_request *);
	const char *help;
} page_table[] = {
	{ "/", page_people, "the status page, for a browser" },
	{ "/metrics", page_metrics, "Prometheus text, or OpenMetrics to whoever asks for it" },
	{ "/status", page_status, "JSON: endpoints, entities, links, in one sentence and in numbers" },
	{ "/healthz", page_healthz, "200 while the event loop turns" },
	{ "/readyz", page_readyz, "200 when Redis and all endpoints answer and the first reconcile is done; else 503 and why" },
};

static const struct page *page_find(const char *path)
{
	for (size_t i = 0; i < countof(page_table); i++)
		if (strcmp(page_table[i].path, path) == 0)
			return &page_table[i];
	return NULL;
}

static void answer_unknown(struct http_exchange *x, bool orders)
{
	struct buf body = { 0 };

	buf_adds(&body, "No such page. There are:\n");
	for (size_t i = 0; i < countof(page_table); i++)
		buf_addf(&body, "GET  %-9s %s\n", page_table[i].path, page_table[i].help);
	if (orders)
		buf_adds(&body, "GET  /v1       the list of commands\nPOST /v1/NAME  a command\n");
	answer_text(x, 404, NULL, &body);
}

static void answer_method(struct http_exchange *x, const char *allow, const char *words)
{
	struct buf body = { 0 };

	buf_addf(&body, "%s\n", words);
	answer_text(x, 405, allow, &body);
}

static bool is_read(const struct http_request *rq)
{
	return rq->method == HTTP_GET || rq->method == HTTP_HEAD;
}

static void on_stats(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	const struct page *page = page_find(rq->path);

	if (!is_read(rq))
		answer_method(x, "Allow: GET, HEAD\r\n", "read only: GET or HEAD");
	else if (page == NULL)
		answer_unknown(x, false);
	else
		page->answer(arg, x, rq);
}

static void on_orders(void *arg, struct http_exchange *x, const struct http_request *rq)
{
	struct control *c = arg;

	if (strncmp(rq->path, "/v1/", 4) == 0 && rq->path[4] != '\0') {
		if (rq->method == HTTP_POST)
			commands_run(c, x, rq->path + 4, rq);
		else
			answer_method(x, "Allow: POST\r\n", "commands are sent with POST");
	} else if ((strcmp(rq->path, "/v1") == 0 || strcmp(rq->path, "/v1/") == 0) && is_read(rq)) {
		commands_list(x);
	} else if (is_read(rq) && page_find(rq->path) == NULL) {
		answer_unknown(x, true);
	} else {
		on_stats(c, x, rq);
	}
}

/* ---- sockets ----------------------------------------------------------------------------------------- */

struct socket_kind {
	const char *name;
	bool tcp, own_peers_only;
	mode_t mode;
	http_fn *fn;
};
/* The stats socket is for the daemon's group too, so that a monitoring agent can be let in by adding it to that group. */
static const struct socket_kind kind_stats = { "stats.socket", false, false, 0660, on_stats };
static const struct socket_kind kind_tcp = { "stats.listen", true, false, 0, on_stats };
static const struct socket_kind kind_orders = { "control.socket", false, true, 0600, on_orders };

static void socket_close(struct control_socket *s)
{
	/* The file first: between the two a client may find the socket gone, but never one that does not answer. */
	if (s->address != NULL && s->where.ino != 0)
		listen_unix_remove(s->address, &s->where);
	http_listener_close(&s->listener);
	free(s->address);
	memset(s, 0, sizeof *s);
}

static bool socket_open(struct control *c, struct control_socket *s, const struct socket_kind *kind, const char *address,
			struct err *e)
{
	int fd;

	memset(s, 0, sizeof *s);
	if (address == NULL)
		return true;
	fd = kind->tcp ? listen_tcp(address, e) : listen_unix(address, kind->mode, &s->where, e);
	if (fd < 0)
		return err_while(e, "%s", kind->name);
	s->address = xstrdup(address);
	s->listener = http_listener_new(c->http, fd, kind->own_peers_only, kind->fn, c);
	return true;
}

/* The old one stays when the new address cannot be had: a reload must not cost the operator the way in. */
static void socket_move(struct control *c, struct control_socket *s, const struct socket_kind *kind, const char *address)
{
	struct control_socket next;
	struct err e = { 0 };

	if (address == s->address || (address != NULL && s->address != NULL && strcmp(address, s->address) == 0))
		return;
	if (!socket_open(c, &next, kind, address, &e)) {
		log_error("socket not moved, the old one stays", LOG_ERR(&e));
		buf_addf(&c->kept, "%s; the old one stays\n", e.text);
		return;
	}
	socket_close(s);
	*s = next;
}

/* ---- the room ---------------------------------------------------------------------------------------- */

struct control *control_new(struct loop *loop, const struct topology *t, const struct control_hooks *hooks, struct err *e)
{
	struct control *c = xcalloc(1, sizeof *c);

	c->loop = loop;
	c->http = http_server_new(loop);
	c->hooks = *hooks;
	c->started_us = clock_mono_us();
	c->reload_ok = true;
	if (socket_open(c, &c->orders, &kind_orders, t->control.socket, e) &&
	    socket_open(c, &c->stats, &kind_stats, t->stats.socket, e) &&
	    socket_open(c, &c->tcp, &kind_tcp, t->stats.listen, e))
		return c;
	control_free(&c);
	return NULL;
}

void control_show(struct control *c, struct sync *sync, const struct topology *t)
{
	if (sync != c->sync)
		commands_move_waits(c, sync);
	c->sync = sync;
	buf_clear(&c->kept);
	socket_move(c, &c->orders, &kind_orders, t->control.socket);
	socket_move(c, &c->stats, &kind_stats, t->stats.socket);
	socket_move(c, &c->tcp, &kind_tcp, t->stats.listen);
}

void control_reloaded(struct control *c, bool successful, const char *changes)
{
	c->reload_ok = successful;
	if (successful)
		commands_reloaded(c, changes);
}

void control_free(struct control **cp)
{
	struct control *c = *cp;

	if (c == NULL)
		return;
	socket_close(&c->orders);
	socket_close(&c->stats);
	socket_close(&c->tcp);
	commands_end(c);
	http_server_free(&c->http);
	buf_fini(&c->kept);
	free(c);
	*cp = NULL;
}

const char *control_library(char *out, size_t size)
{
	snprintf(out, size, "jansson built with %s, runs on %s", JANSSON_VERSION, jansson_version_str());
	return out;
}
