#include "served.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/topology.h"
#include "control/control.h"
#include "control/room.h"
#include "fake_sync.h"
#include "journal/journal.h"
#include "journal/journal_images.h"
#include "loop/loop.h"

enum { PATIENCE_S = 10, RUNS = 17 };

/* ---- the daemon ------------------------------------------------------------------------------------------------ */

struct daemon {
	struct loop *loop;
	struct topology *topology;
	struct journal *journal;
	struct control *control;
	struct sync *sync;
};

static enum reload_begun on_reload(void *arg, char **text)
{
	struct daemon *d = arg;

	if (fake->busy_reload)
		return RELOAD_BUSY;
	fake->reloads++;
	if (fake->refuse_reload) {
		control_reloaded(d->control, false, NULL);
		*text = xstrdup("acme.yaml:3:1: endpoints: missing\nacme.yaml:9:2: entities.contcat: unknown key\n");
		return RELOAD_REFUSED;
	}
	if (fake->slow_reload)
		return RELOAD_COMING;	/* SIGUSR1 ends it */
	control_show(d->control, d->sync, d->topology);
	control_reloaded(d->control, true, fake->reloads == 1 ? "" : "journal.keep: 30d -> 10d\n+ stats.listen: localhost:1\n");
	return RELOAD_COMING;
}

static void on_term(void *arg)
{
	struct daemon *d = arg;

	loop_stop(d->loop);
}

static void on_usr1(void *arg)
{
	struct daemon *d = arg;
	struct sync *next = fake_sync_new(d->loop, d->topology, d->journal);

	control_show(d->control, NULL, d->topology);
	fake_sync_free(&d->sync);
	d->sync = next;
	control_show(d->control, d->sync, d->topology);
	control_reloaded(d->control, true, "");
}

static void fill_parked(struct journal *j, int n)
{
	for (int i = 1; i <= n; i++) {
		char key[40], rid[24];
		struct journal_parked p = {
			.entity = "contact", .endpoint = i % 3 == 0 ? "billing" : "support", .key = key, .local_id = "", .rid = rid,
			.code = "23514", .cause = "the check \"people_phone_check\" of the database refuses the row; it wants a "
			"phone number with a country code in front", .field = i == 1 ? "phone" : "",
			.since_us = 1772366400000000 + i, .last_us = 1772366400000000 + i,
		};

		snprintf(key, sizeof key, "p%d@example.org", i);
		snprintf(rid, sizeof rid, "%020d", i);
		ck_assert(journal_park(j, &p, NULL));
	}
}

static void fill_decisions(struct journal *j, int n)
{
	for (int i = 1; i <= n; i++) {
		char key[40], digest[20];
		struct journal_decision d = {
			.entity = "contact", .key = key, .field = "phone", .rule = "last-writer-wins", .kind = "conflict",
			.winner = "sales", .tie_break = "stamp", .time_us = 1772366400000000 + i / 10, .base_digest = i == 1 ? "" : "00ff",
			.base = i == 1 ? NULL : "+49 0",
			.round = (uint64_t)i, .n_sides = 2,
			.sides = { { .endpoint = "sales", .value = "+49 1 \"x\"", .stamp_us = 1772366400000000, .digest = digest,
				     .competed = true },
				   { .endpoint = "support", .value = NULL, .deleted = true, .stamp_us = 1772366300000000, .digest = "0a",
				     .competed = true, .written = JOURNAL_WRITTEN } },
		};

		snprintf(key, sizeof key, "p%d@example.org", i);
		snprintf(digest, sizeof digest, "%08x", i);
		ck_assert(journal_decided(j, &d, NULL));
	}
}

static void fill_waiting(struct journal *j)
{
	struct journal_waiting w = {
		.entity = "contact", .rid = "00112233445566778899", .key = "ann@example.org", .field = "phone", .since_us = 1000000,
		.mark = 7, .base_digest = "0000ab", .base = "+1",
		.sides = { { .endpoint = "sales", .value = "+2", .stamp_us = 1000000, .digest = "2", .competed = true },
			   { .endpoint = "support", .value = "+3", .stamp_us = 2000000, .digest = "3", .competed = true },
			   { .endpoint = "billing", .value = "+1", .digest = "1" } }, .n_sides = 3 };
	bool fresh;

	ck_assert(journal_wait(j, &w, &fresh, NULL) && fresh);
}

static void serve(const struct served *s, int ready)
{
	struct control_hooks hooks = { .reload = on_reload };
	struct daemon d = { 0 };
	struct err e = { 0 };

	log_setup(LOG_LEVEL_ERROR, false);
	hooks.arg = &d;
	d.loop = loop_new();
	d.topology = fake_topology(s->stats, s->listen_tcp ? s->listen : NULL, s->control);
	if (s->odd_names)
		fake_odd_names(d.topology);
	d.journal = journal_open("", "acme", &e);
	journal_begin(d.journal);
	fill_parked(d.journal, s->parked);
	fill_decisions(d.journal, s->decisions);
	if (s->waiting > 0)
		fill_waiting(d.journal);
	for (int run = 1; run <= RUNS; run++)
		journal_run_new(d.journal, "sales", 1, &e);
	if (!journal_commit(d.journal, &e))
		exit(3);
	d.control = control_new(d.loop, d.topology, &hooks, &e);
	if (d.control == NULL) {
		fprintf(stderr, "%s\n", e.text);
		exit(4);
	}
	if (s->idle_ms != 0)
		http_server_idle_ms(d.control->http, s->idle_ms);
	d.sync = fake_sync_new(d.loop, d.topology, d.journal);
	if (!s->without_sync)
		control_show(d.control, d.sync, d.topology);
	loop_signal(d.loop, SIGTERM, on_term, &d);
	loop_signal(d.loop, SIGUSR1, on_usr1, &d);
	if (write(ready, "", 1) != 1)
		exit(5);
	loop_run(d.loop);
	control_free(&d.control);
	fake_sync_free(&d.sync);
	journal_close(&d.journal);
	loop_free(&d.loop);
}

/* A port that was free a moment ago. */
static void pick_port(char *out, size_t size)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	close(fd);
	snprintf(out, size, "127.0.0.1:%d", ntohs(a.sin_port));
}

void served_start(struct served *s)
{
	int ready[2];
	char c;

	strcpy(s->dir, "/tmp/crmsync-control-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(s->dir));
	snprintf(s->stats, sizeof s->stats, "%s/stats.sock", s->dir);
	snprintf(s->control, sizeof s->control, "%s/control.sock", s->dir);
	pick_port(s->listen, sizeof s->listen);
	ck_assert_int_eq(pipe(ready), 0);
	fflush(NULL);
	s->pid = fork();
	ck_assert_int_ge(s->pid, 0);
	if (s->pid == 0) {
		close(ready[0]);
		serve(s, ready[1]);
		exit(0);
	}
	close(ready[1]);
	ck_assert_msg(read(ready[0], &c, 1) == 1, "the daemon did not start");
	close(ready[0]);
}

void served_stop(struct served *s)
{
	int status;

	kill(s->pid, SIGTERM);
	ck_assert_int_eq(waitpid(s->pid, &status, 0), s->pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the daemon ended with status %x", (unsigned)status);
	unlink(s->stats);
	unlink(s->control);
	ck_assert_int_eq(rmdir(s->dir), 0);
}

void served_swap(struct served *s)
{
	kill(s->pid, SIGUSR1);
}

/* ---- the client -------------------------------------------------------------------------------------------------- */

static void be_patient(int fd)
{
	struct timeval tv = { .tv_sec = PATIENCE_S };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
}

int dial(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
	ck_assert_msg(connect(fd, (struct sockaddr *)&a, sizeof a) == 0, "connect %s: %s", path, strerror(errno));
	be_patient(fd);
	return fd;
}

int dial_tcp(const char *address)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	ck_assert_msg(connect(fd, (struct sockaddr *)&a, sizeof a) == 0, "connect %s: %s", address, strerror(errno));
	be_patient(fd);
	return fd;
}

void say(int fd, const char *text)
{
	size_t len = strlen(text);

	while (len > 0) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;			/* turned away while speaking: what was heard counts */
		text += n;
		len -= (size_t)n;
	}
}

char *hear(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct buf all = { 0 };

	buf_adds(&all, "");
	while (poll(&p, 1, ms) == 1) {
		char piece[4096];
		ssize_t n = recv(fd, piece, sizeof piece, 0);

		if (n <= 0)
			return buf_take(&all);
		buf_add(&all, piece, (size_t)n);
	}
	buf_fini(&all);
	return NULL;
}

static char *join_chunks(const char *p)
{
	struct buf out = { 0 };
	char *end;

	buf_adds(&out, "");
	for (;;) {
		unsigned long n = strtoul(p, &end, 16);

		ck_assert_msg(end > p && strncmp(end, "\r\n", 2) == 0, "a chunk's length is missing at '%.20s'", p);
		if (n == 0)
			break;
		ck_assert_msg(strlen(end + 2) >= n, "a chunk is cut short");
		buf_add(&out, end + 2, n);
		p = end + 2 + n;
		ck_assert_msg(strncmp(p, "\r\n", 2) == 0, "a chunk has no end");
		p += 2;
	}
	ck_assert_str_eq(end, "\r\n\r\n");
	return buf_take(&out);
}

struct answer answer_read(int fd)
{
	struct answer a = { .all = hear(fd, PATIENCE_S * 1000) };
	char *end;

	ck_assert_msg(a.all != NULL, "no answer");
	close(fd);
	ck_assert_msg(sscanf(a.all, "HTTP/1.1 %d ", &a.status) == 1, "not an answer: '%.100s'", a.all);
	end = strstr(a.all, "\r\n\r\n");
	ck_assert_msg(end != NULL, "the head has no end");
	a.head = xstrndup(a.all, (size_t)(end + 2 - a.all));
	a.body = strstr(a.head, "Transfer-Encoding: chunked\r\n") != NULL ? join_chunks(end + 4) : xstrdup(end + 4);
	return a;
}

struct answer ask(const char *path, const char *method, const char *target, const char *body)
{
	int fd = path[0] == '/' ? dial(path) : dial_tcp(path);
	char *request = xasprintf("%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
				  method, target, strlen(body), body);

	say(fd, request);
	free(request);
	return answer_read(fd);
}

void answer_fini(struct answer *a)
{
	free(a->head);
	free(a->body);
	free(a->all);
	memset(a, 0, sizeof *a);
}

json_t *order(const struct served *s, const char *command, const char *body, int status)
{
	char *target = xasprintf("/v1/%s", command);
	struct answer a = ask(s->control, "POST", target, body);
	json_t *j = json_loads(a.body, 0, NULL);

	ck_assert_msg(a.status == status, "%s %s: status %d, not %d: %s", command, body, a.status, status, a.body);
	ck_assert_msg(j != NULL, "%s: not one JSON object: %s", command, a.body);
	ck_assert_int_eq(json_integer_value(json_object_get(j, "schema")), 1);
	free(target);
	answer_fini(&a);
	return j;
}

void await(const volatile int *number, int wanted)
{
	for (int i = 0; i < PATIENCE_S * 100; i++) {
		struct timespec moment = { .tv_nsec = 10000000 };

		if (*number == wanted)
			return;
		nanosleep(&moment, NULL);
	}
	ck_abort_msg("waited for %d, it is %d", wanted, *number);
}
