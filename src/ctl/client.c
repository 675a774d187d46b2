#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ctl.h"

enum { PIECE = 16 * 1024, LINE_MAX_BYTES = 16 * 1024 * 1024 };

struct wire {
	int fd;
	const struct exchange *exchange;
	struct err *why;
	struct buf in;			/* bytes not looked at yet, from `at` on */
	size_t at;
	struct buf line;		/* of the body, growing */
	bool stopped;			/* the reader wants no more */
	int status;
};

static int fail(struct wire *w, int code, const char *word, const char *text)
{
	err_set(w->why, ERR_TRANSIENT, word, "%s", text);
	return code;
}

/* ---- bytes ------------------------------------------------------------------------------------------- */

static int await(struct wire *w, short events)
{
	struct pollfd p = { .fd = w->fd, .events = events };
	int64_t until_us = clock_mono_us() + w->exchange->silence_us;

	for (;;) {
		int64_t left_us = until_us - clock_mono_us();
		int rc;

		if (ctl_interrupted)
			return fail(w, CTL_INTERRUPTED, "EINTR", "interrupted");
		if (left_us <= 0)
			return fail(w, CTL_AGAIN, "ETIMEDOUT", "the daemon did not answer in time; --timeout waits longer");
		rc = poll(&p, 1, (int)(left_us / 1000 > 60000 ? 60000 : left_us / 1000 + 1));
		if (rc > 0)
			return CTL_OK;
		if (rc < 0 && errno != EINTR)
			return fail(w, CTL_TROUBLE, strerrorname_np(errno), "poll failed");
	}
}

static int send_all(struct wire *w, const char *p, size_t n)
{
	while (n > 0) {
		int rc = await(w, POLLOUT);
		ssize_t sent;

		if (rc != CTL_OK)
			return rc;
		sent = send(w->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return CTL_OK;		/* turned away while speaking: the answer says why */
		p += sent > 0 ? sent : 0;
		n -= sent > 0 ? (size_t)sent : 0;
	}
	return CTL_OK;
}

/* More bytes into `in`. *end: there are no more. */
static int fill(struct wire *w, bool *end)
{
	int rc = await(w, POLLIN);
	ssize_t n;

	if (rc != CTL_OK)
		return rc;
	if (w->at > 0) {
		memmove(w->in.p, w->in.p + w->at, w->in.len - w->at);
		w->in.len -= w->at;
		w->at = 0;
	}
	n = recv(w->fd, buf_room(&w->in, PIECE), PIECE, MSG_DONTWAIT);
	*end = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
	if (n > 0)
		w->in.len += (size_t)n;
	w->in.p[w->in.len] = '\0';
	return CTL_OK;
}

static size_t left(const struct wire *w)
{
	return w->in.len - w->at;
}

/* The next line of head or chunk size, without its end; points into `in`. */
static int head_line(struct wire *w, char **line)
{
	for (;;) {
		char *start = left(w) > 0 ? w->in.p + w->at : NULL;
		char *nl = start != NULL ? memchr(start, '\n', left(w)) : NULL;
		bool end;
		int rc;

		if (nl != NULL) {
			w->at += (size_t)(nl + 1 - start);
			*nl = '\0';
			if (nl > start && nl[-1] == '\r')
				nl[-1] = '\0';
			*line = start;
			return CTL_OK;
		}
		if (left(w) > PIECE)
			return fail(w, CTL_TROUBLE, "", "the answer is not HTTP");
		rc = fill(w, &end);
		if (rc != CTL_OK)
			return rc;
		if (end)
			return fail(w, CTL_UNAVAILABLE, "ECONNRESET", "the daemon hung up before it had answered");
	}
}

/* ---- the body, line by line -------------------------------------------------------------------------- */

static bool deliver_line(struct wire *w)
{
	bool go_on = w->exchange->line(w->exchange->arg, w->status, w->line.len > 0 ? w->line.p : "");

	buf_clear(&w->line);
	return go_on;
}

static int take_body(struct wire *w, const char *p, size_t n)
{
	if (w->exchange->bytes != NULL && w->status == 200) {
		w->stopped = n > 0 && !w->exchange->bytes(w->exchange->arg, p, n);
		return CTL_OK;
	}
	while (n > 0 && !w->stopped) {
		const char *nl = memchr(p, '\n', n);
		size_t part = nl != NULL ? (size_t)(nl - p) : n;

		if (w->line.len + part > LINE_MAX_BYTES)
			return fail(w, CTL_TROUBLE, "", "a line of the answer is too long");
		buf_add(&w->line, p, part);
		if (nl == NULL)
			break;
		w->stopped = !deliver_line(w);
		p = nl + 1;
		n -= part + 1;
	}
	return CTL_OK;
}

/* `n` bytes of body (SIZE_MAX: all until the end of the connection). */
static int body_bytes(struct wire *w, size_t n)
{
	while (n > 0 && !w->stopped) {
		size_t part = left(w) < n ? left(w) : n;
		bool end = false;
		int rc = take_body(w, part > 0 ? w->in.p + w->at : "", part);

		if (rc != CTL_OK)
			return rc;
		w->at += part;
		n -= n == SIZE_MAX ? 0 : part;
		if (n == 0)
			break;
		rc = fill(w, &end);
		if (rc != CTL_OK)
			return rc;
		if (end && left(w) == 0)
			return n == SIZE_MAX ? CTL_OK : fail(w, CTL_UNAVAILABLE, "ECONNRESET", "the daemon hung up in the middle of its answer");
	}
	return CTL_OK;
}

static int body_chunks(struct wire *w)
{
	while (!w->stopped) {
		char *line, *end;
		unsigned long n;
		int rc = head_line(w, &line);

		if (rc != CTL_OK)
			return rc;
		errno = 0;
		n = strtoul(line, &end, 16);
		if (end == line || errno != 0 || (*end != '\0' && *end != ';'))
			return fail(w, CTL_TROUBLE, "", "the answer's chunks are malformed");
		if (n == 0)
			return CTL_OK;
		rc = body_bytes(w, n);
		if (rc == CTL_OK && !w->stopped)
			rc = head_line(w, &line);	/* the line end behind the chunk */
		if (rc != CTL_OK)
			return rc;
	}
	return CTL_OK;
}

/* ---- one exchange ------------------------------------------------------------------------------------ */

static int read_answer(struct wire *w)
{
	size_t length = SIZE_MAX;
	bool chunked = false;
	char *line;
	int rc = head_line(w, &line);

	if (rc != CTL_OK)
		return rc;
	if (sscanf(line, "HTTP/1.%*d %d", &w->status) != 1)
		return fail(w, CTL_TROUBLE, "", "the answer is not HTTP");
	while ((rc = head_line(w, &line)) == CTL_OK && line[0] != '\0') {
		if (strncasecmp(line, "Content-Length:", 15) == 0)
			length = strtoul(line + 15, NULL, 10);
		if (strncasecmp(line, "Transfer-Encoding:", 18) == 0)
			chunked = strstr(line, "chunked") != NULL;
	}
	if (rc == CTL_OK)
		rc = chunked ? body_chunks(w) : body_bytes(w, length);
	if (rc == CTL_OK && w->line.len > 0 && !w->stopped)
		deliver_line(w);		/* a last line without an end */
	return rc;
}

static int dial(struct wire *w)
{
	const char *path = w->exchange->path;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int error;

	if (strlen(path) >= sizeof address.sun_path)
		return fail(w, CTL_USAGE, "ENAMETOOLONG", "the path of the socket is too long");
	strcpy(address.sun_path, path);
	w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (w->fd >= 0 && connect(w->fd, (struct sockaddr *)&address, sizeof address) == 0)
		return CTL_OK;
	error = errno;
	if (error == EACCES || error == EPERM) {
		err_set(w->why, ERR_TRANSIENT, "EACCES", "not permitted to use %s: run as root or as the daemon's own user", path);
		return CTL_NOT_PERMITTED;
	}
	err_set(w->why, ERR_TRANSIENT, strerrorname_np(error),
		"no daemon answers at %s (%s): is crmsyncd running (systemctl status crmsyncd)? -s or -c names another socket",
		path, strerror(error));
	return CTL_UNAVAILABLE;
}

int exchange_run(const struct exchange *x, struct err *why)
{
	struct wire w = { .fd = -1, .exchange = x, .why = why };
	char *request = xasprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
				  x->method, x->target, strlen(x->body), x->body);
	int rc = dial(&w);

	if (rc == CTL_OK)
		rc = send_all(&w, request, strlen(request));
	if (rc == CTL_OK)
		rc = read_answer(&w);
	if (w.fd >= 0)
		close(w.fd);
	buf_fini(&w.in);
	buf_fini(&w.line);
	free(request);
	return rc;
}
