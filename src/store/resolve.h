/*
 * resolve.h - a host name to addresses, without blocking (libevent's resolver; /etc/hosts is honoured).
 */
#ifndef STORE_RESOLVE_H
#define STORE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

struct loop;
struct resolve;

enum { RESOLVE_MOST = 8, RESOLVE_TEXT = 48 };

/* Literal addresses as text, in the order to be tried; `why` is NULL, or says why there is none. */
typedef void resolve_fn(void *arg, char (*addresses)[RESOLVE_TEXT], size_t n, const char *why);

bool resolve_is_literal(const char *host);
/* fn is called once, never before this call has returned, unless cancelled; the resolve is gone then. */
struct resolve *resolve_start(struct loop *, const char *host, resolve_fn *fn, void *arg);
void resolve_cancel(struct resolve **);		/* NULL is fine */

#endif
