#include "store/resolve.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "loop/loop.h"

struct resolve {
	struct loop *loop;
	struct evdns_base *dns;
	struct evdns_getaddrinfo_request *request;
	resolve_fn *fn;			/* NULL: cancelled */
	void *arg;
	char addresses[RESOLVE_MOST][RESOLVE_TEXT];
	size_t n;
	char why[128];
};

bool resolve_is_literal(const char *host)
{
	unsigned char bytes[16];

	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* A turn later: libevent forbids freeing the resolver inside its own callback, and may have called back at once. */
static void finish(void *arg)
{
	struct resolve *r = arg;

	evdns_base_free(r->dns, 0);
	if (r->fn != NULL)
		r->fn(r->arg, r->addresses, r->n, r->why[0] != '\0' ? r->why : NULL);
	free(r);
}

static void on_addresses(int result, struct evutil_addrinfo *list, void *arg)
{
	struct resolve *r = arg;

	r->request = NULL;
	for (struct evutil_addrinfo *a = list; a != NULL && r->n < RESOLVE_MOST; a = a->ai_next) {
		const void *at = a->ai_family == AF_INET6 ? (void *)&((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_addr
							  : (void *)&((struct sockaddr_in *)(void *)a->ai_addr)->sin_addr;

		if (inet_ntop(a->ai_family, at, r->addresses[r->n], RESOLVE_TEXT) != NULL)
			r->n++;
	}
	if (list != NULL)
		evutil_freeaddrinfo(list);
	if (result != 0)
		snprintf(r->why, sizeof r->why, "%s", evutil_gai_strerror(result));
	else if (r->n == 0)
		snprintf(r->why, sizeof r->why, "the name has no address");
	loop_defer(r->loop, finish, r);
}

struct resolve *resolve_start(struct loop *loop, const char *host, resolve_fn *fn, void *arg)
{
	struct evutil_addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = EVUTIL_AI_ADDRCONFIG };
	struct resolve *r = xcalloc(1, sizeof *r);

	r->loop = loop;
	r->fn = fn;
	r->arg = arg;
	/* Made anew for each name: that also picks up what the administrator has changed meanwhile. */
	r->dns = evdns_base_new(loop_base(loop), EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (r->dns == NULL)
		abort();	/* out of memory */
	/* Fails without the file, and then has taken the default server: what is wanted. */
	evdns_base_resolv_conf_parse(r->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
	r->request = evdns_getaddrinfo(r->dns, host, NULL, &hints, on_addresses, r);
	return r;
}

void resolve_cancel(struct resolve **rp)
{
	struct resolve *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	r->fn = NULL;
	if (r->request != NULL)
		evdns_getaddrinfo_cancel(r->request);	/* on_addresses() comes yet, and finish() */
}

