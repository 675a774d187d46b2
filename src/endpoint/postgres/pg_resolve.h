/*
 * pg_resolve.h - host names to addresses, off the loop.
 *
 * libpq resolves names inside PQconnectStart() and PQconnectPoll() and blocks while it does; so names are resolved here
 * first and handed to it as hostaddr. A thread per look-up, not evdns: getaddrinfo() knows nsswitch.conf (files, mDNS,
 * directories), evdns knows only DNS, and a look-up in evdns cannot be abandoned safely while its base is freed.
 * A thread that hangs in a dead name server is left to end by itself; it owns what it touches.
 */
#ifndef ENDPOINT_POSTGRES_PG_RESOLVE_H
#define ENDPOINT_POSTGRES_PG_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct loop;
struct pg_resolve;

enum { PG_ADDRESSES_MAX = 16 };
struct pg_address {
	char host[256], port[16];
	char addr[64];		/* numeric; "" when host is a path or an address already: libpq takes it as it is */
};

/*
 * hosts, hostaddrs and ports are lists as in a connection string ("a,b"; NULL or "" allowed; a single port serves all hosts).
 * `done` is called once from the loop, never from inside the call, with at most PG_ADDRESSES_MAX addresses (none at all: connect
 * without a host, libpq's default socket), or with an error (ERR_TRANSIENT: no name could be resolved).
 * NULL with an error when the look-up cannot even begin (no descriptor, no thread).
 */
typedef void pg_resolved_fn(void *arg, const struct pg_address *list, size_t n, const struct err *e);
struct pg_resolve *pg_resolve_new(struct loop *, const char *hosts, const char *hostaddrs, const char *ports,
				  pg_resolved_fn *done, void *arg, struct err *e);
void pg_resolve_free(struct pg_resolve **);	/* gives up; `done` is not called; from inside `done` allowed */

#endif
