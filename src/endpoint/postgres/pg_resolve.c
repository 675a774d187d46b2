#include "endpoint/postgres/pg_resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/loop.h"

/* What the thread and the loop share; the last of the two to let go frees it. */
struct lookup {
	atomic_int holders;
	int fd;				/* the thread writes it once, when the rest is final */
	struct pg_address asked[PG_ADDRESSES_MAX];
	size_t n_asked;
	struct pg_address found[PG_ADDRESSES_MAX];
	size_t n_found;
	int failure;			/* EAI_*, of the last name that failed */
	char failed_host[256];
};

struct pg_resolve {
	struct lookup *lookup;
	struct loop_watch *watch;	/* on lookup->fd */
	pg_resolved_fn *done;
	void *arg;
};

static void let_go(struct lookup *l)
{
	if (atomic_fetch_sub(&l->holders, 1) != 1)
		return;
	close(l->fd);
	free(l);
}

static void tell(struct lookup *l)
{
	uint64_t one = 1;

	if (write(l->fd, &one, sizeof one) != sizeof one)
		abort();	/* an eventfd of our own takes eight bytes */
}

/* ---- the thread -------------------------------------------------------------------------------------- */

static void add_found(struct lookup *l, const struct pg_address *asked, const char *addr)
{
	if (l->n_found == PG_ADDRESSES_MAX)
		return;
	l->found[l->n_found] = *asked;
	snprintf(l->found[l->n_found].addr, sizeof l->found[0].addr, "%s", addr);
	l->n_found++;
}

static void look_up(struct lookup *l, const struct pg_address *asked)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *list;
	int r = getaddrinfo(asked->host, NULL, &hints, &list);

	if (r != 0) {
		l->failure = r;
		snprintf(l->failed_host, sizeof l->failed_host, "%s", asked->host);
		return;
	}
	for (struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		char addr[64];

		if (getnameinfo(ai->ai_addr, ai->ai_addrlen, addr, sizeof addr, NULL, 0, NI_NUMERICHOST) == 0)
			add_found(l, asked, addr);
	}
	freeaddrinfo(list);
}

static bool needs_lookup(const struct pg_address *a)
{
	unsigned char bytes[sizeof(struct in6_addr)];

	/* '/' and '@' begin unix sockets; an IPv6 address with a zone is numeric too. */
	return a->addr[0] == '\0' && a->host[0] != '\0' && a->host[0] != '/' && a->host[0] != '@' &&
	       strchr(a->host, '%') == NULL && inet_pton(AF_INET, a->host, bytes) != 1 &&
	       inet_pton(AF_INET6, a->host, bytes) != 1;
}

static void *run(void *arg)
{
	struct lookup *l = arg;

	for (size_t i = 0; i < l->n_asked; i++) {
		if (needs_lookup(&l->asked[i]))
			look_up(l, &l->asked[i]);
		else
			add_found(l, &l->asked[i], l->asked[i].addr);
	}
	tell(l);
	let_go(l);
	return NULL;
}

/* ---- the loop's side --------------------------------------------------------------------------------- */

static void on_told(void *arg, unsigned what)
{
	struct pg_resolve *r = arg;
	struct lookup *l = r->lookup;
	struct err e = { 0 };

	loop_watch_free(&r->watch);
	if (l->n_found == 0 && l->n_asked > 0)
		err_set(&e, ERR_TRANSIENT, l->failure == EAI_NONAME ? "ENOENT" : "EAGAIN", "host name '%s': %s",
			l->failed_host, gai_strerror(l->failure));
	/* The lookup is held over the call: `done` may free us. */
	r->lookup = NULL;
	r->done(r->arg, l->found, l->n_found, e.kind != 0 ? &e : NULL);
	let_go(l);
}

/* The i-th item of a comma-separated list, "" behind its end. */
static void list_item(const char *list, size_t i, char *out, size_t size)
{
	size_t len;

	while (i-- > 0 && list != NULL) {
		list = strchr(list, ',');
		if (list != NULL)
			list++;
	}
	len = list != NULL ? strcspn(list, ",") : 0;
	snprintf(out, size, "%.*s", (int)len, list != NULL ? list : "");
}

static size_t list_length(const char *list)
{
	size_t n = list != NULL && list[0] != '\0';

	for (; n > 0 && (list = strchr(list, ',')) != NULL; list++)
		n++;
	return n;
}

static void ask(struct lookup *l, const char *hosts, const char *hostaddrs, const char *ports)
{
	size_t n = list_length(hostaddrs) > list_length(hosts) ? list_length(hostaddrs) : list_length(hosts);
	bool one_port = list_length(ports) == 1;

	l->n_asked = n < PG_ADDRESSES_MAX ? n : PG_ADDRESSES_MAX;
	for (size_t i = 0; i < l->n_asked; i++) {
		list_item(hosts, i, l->asked[i].host, sizeof l->asked[i].host);
		list_item(hostaddrs, i, l->asked[i].addr, sizeof l->asked[i].addr);
		list_item(ports, one_port ? 0 : i, l->asked[i].port, sizeof l->asked[i].port);
	}
}

static bool start_thread(struct lookup *l)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	/* Signals belong to the loop's thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ok = pthread_create(&thread, &attr, run, l) == 0;
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ok;
}

struct pg_resolve *pg_resolve_new(struct loop *loop, const char *hosts, const char *hostaddrs, const char *ports,
				  pg_resolved_fn *done, void *arg, struct err *e)
{
	struct pg_resolve *r;
	struct lookup *l = xcalloc(1, sizeof *l);
	bool any = false;

	l->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->fd < 0) {
		free(l);
		err_set(e, ERR_TRANSIENT, "EMFILE", "cannot look up host names: %s", strerror(errno));
		return NULL;
	}
	ask(l, hosts, hostaddrs, ports);
	for (size_t i = 0; i < l->n_asked; i++)
		any |= needs_lookup(&l->asked[i]);
	atomic_init(&l->holders, 2);
	if (!any) {
		run(l);		/* only copies */
	} else if (!start_thread(l)) {
		let_go(l);
		let_go(l);
		err_set(e, ERR_TRANSIENT, "EAGAIN", "cannot look up host names: no thread to be had");
		return NULL;
	}
	r = xcalloc(1, sizeof *r);
	*r = (struct pg_resolve){ .lookup = l, .done = done, .arg = arg };
	r->watch = loop_watch_new(loop, l->fd, on_told, r);
	loop_watch_set(r->watch, LOOP_READ);
	return r;
}

void pg_resolve_free(struct pg_resolve **rp)
{
	struct pg_resolve *r = *rp;

	if (r == NULL)
		return;
	loop_watch_free(&r->watch);
	if (r->lookup != NULL)
		let_go(r->lookup);
	free(r);
	*rp = NULL;
}
