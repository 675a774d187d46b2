#include "loop/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum { SEND_ROOM = 1 << 20 };	/* bytes; a batch of records is a third of it */

struct deferred {
	struct deferred *next;
	loop_fn *fn;
	void *arg;
};

struct loop_timer {
	struct loop *loop;
	loop_fn *fn;
	void *arg;
	struct event *event;		/* NULL on a virtual loop */
	int64_t due_us;			/* meaningful while pending */
	uint64_t order;			/* virtual: equal times fire in the order they were set */
	bool pending, dead;
	struct loop_timer *prev, *next;	/* all timers (virtual), or the graveyard */
};

struct loop_watch {
	struct loop *loop;
	loop_watch_fn *fn;
	void *arg;
	struct event *event;
	int fd;
	unsigned what;
	bool dead;
	struct loop_watch *next;	/* graveyard */
};

struct loop_signal_slot {
	struct loop_signal_slot *next;
	struct event *event;
	loop_fn *fn;
	void *arg;
};

struct loop {
	struct event_base *base;	/* NULL: virtual */
	struct event *turn;		/* fires while there is something deferred or dead */
	struct deferred *first, **last;
	struct loop_timer *timers;	/* virtual only */
	struct loop_timer *dead_timers;
	struct loop_watch *dead_watches;
	struct loop_signal_slot *signals;
	uint64_t orders;
	int64_t lag_us;
	bool stopping;
};

/* ---- the turn ---------------------------------------------------------------------------------------- */

static void bury(struct loop *l)
{
	while (l->dead_timers != NULL) {
		struct loop_timer *t = l->dead_timers;

		l->dead_timers = t->next;
		if (t->event != NULL)
			event_free(t->event);
		free(t);
	}
	while (l->dead_watches != NULL) {
		struct loop_watch *w = l->dead_watches;

		l->dead_watches = w->next;
		event_free(w->event);
		free(w);
	}
}

/* What is deferred meanwhile waits for the next turn: a chain of deferrals cannot starve descriptors. */
static void run_deferred(struct loop *l)
{
	struct deferred *d = l->first;

	l->first = NULL;
	l->last = &l->first;
	while (d != NULL) {
		struct deferred *next = d->next;

		d->fn(d->arg);
		free(d);
		d = next;
	}
	bury(l);
}

static void want_turn(struct loop *l)
{
	if (l->base != NULL)
		event_active(l->turn, EV_TIMEOUT, 0);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	run_deferred(arg);
}

void loop_defer(struct loop *l, loop_fn *fn, void *arg)
{
	struct deferred *d = xcalloc(1, sizeof *d);

	d->fn = fn;
	d->arg = arg;
	if (l->first == NULL)
		want_turn(l);
	*l->last = d;
	l->last = &d->next;
}

/* ---- birth and death --------------------------------------------------------------------------------- */

static struct loop *loop_bare(void)
{
	struct loop *l = xcalloc(1, sizeof *l);

	l->last = &l->first;
	return l;
}

/* By itself libevent writes to stderr, in a form of its own. */
static void on_said(int severity, const char *text)
{
	if (severity == EVENT_LOG_ERR)
		log_error("libevent", LOG_S("reason", text));
	else if (severity == EVENT_LOG_WARN)
		log_warn("libevent", LOG_S("reason", text));
	else
		log_debug("libevent", LOG_S("reason", text));
}

struct loop *loop_new(void)
{
	struct loop *l = loop_bare();

	event_set_log_callback(on_said);
	l->base = event_base_new();
	assert(l->base != NULL);
	l->turn = event_new(l->base, -1, EV_PERSIST, on_turn, l);
	assert(l->turn != NULL);
	return l;
}

struct loop *loop_new_virtual(void)
{
	return loop_bare();
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (l == NULL)
		return;
	while (l->first != NULL) {
		struct deferred *d = l->first;

		l->first = d->next;
		free(d);
	}
	while (l->signals != NULL) {
		struct loop_signal_slot *s = l->signals;

		l->signals = s->next;
		event_free(s->event);
		free(s);
	}
	bury(l);
	if (l->base != NULL) {
		event_free(l->turn);
		event_base_free(l->base);
	}
	free(l);
	*lp = NULL;
}

struct event_base *loop_base(struct loop *l)
{
	return l->base;
}

int64_t loop_lag_us(const struct loop *l)
{
	return l->lag_us;
}

/* ---- timers ------------------------------------------------------------------------------------------ */

static void fire(struct loop_timer *t)
{
	int64_t late = clock_mono_us() - t->due_us;

	t->pending = false;
	t->loop->lag_us = late > 0 ? late : 0;
	t->fn(t->arg);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop_timer *t = arg;

	if (!t->dead)
		fire(t);
}

struct loop_timer *loop_timer_new(struct loop *l, loop_fn *fn, void *arg)
{
	struct loop_timer *t = xcalloc(1, sizeof *t);

	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	if (l->base != NULL) {
		t->event = event_new(l->base, -1, 0, on_timer, t);
		assert(t->event != NULL);
		return t;
	}
	t->next = l->timers;
	if (t->next != NULL)
		t->next->prev = t;
	l->timers = t;
	return t;
}

void loop_timer_set(struct loop_timer *t, int64_t ms)
{
	if (ms < 0)
		ms = 0;
	t->due_us = clock_mono_us() + ms * 1000;
	t->order = ++t->loop->orders;
	t->pending = true;
	if (t->event != NULL) {
		struct timeval tv = { .tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000) };

		event_add(t->event, &tv);
	}
}

void loop_timer_stop(struct loop_timer *t)
{
	t->pending = false;
	if (t->event != NULL)
		event_del(t->event);
}

bool loop_timer_pending(const struct loop_timer *t)
{
	return t->pending;
}

void loop_timer_free(struct loop_timer **tp)
{
	struct loop_timer *t = *tp;

	if (t == NULL)
		return;
	loop_timer_stop(t);
	t->dead = true;
	if (t->loop->base == NULL) {
		if (t->prev != NULL)
			t->prev->next = t->next;
		else
			t->loop->timers = t->next;
		if (t->next != NULL)
			t->next->prev = t->prev;
	}
	t->next = t->loop->dead_timers;
	t->loop->dead_timers = t;
	want_turn(t->loop);
	*tp = NULL;
}

/* ---- descriptors and signals ------------------------------------------------------------------------- */

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct loop_watch *w = arg;

	if (!w->dead)
		w->fn(w->arg, ((what & EV_READ) ? LOOP_READ : 0u) | ((what & EV_WRITE) ? LOOP_WRITE : 0u));
}

struct loop_watch *loop_watch_new(struct loop *l, int fd, loop_watch_fn *fn, void *arg)
{
	struct loop_watch *w = xcalloc(1, sizeof *w);

	assert(l->base != NULL);
	w->loop = l;
	w->fn = fn;
	w->arg = arg;
	w->fd = fd;
	w->event = event_new(l->base, fd, EV_PERSIST, on_ready, w);
	assert(w->event != NULL);
	return w;
}

void loop_send_room(int fd)
{
	int bytes = SEND_ROOM, family = 0;
	socklen_t size = sizeof family;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && family == AF_UNIX)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);	/* a wish: what comes of it is all the same */
}

void loop_watch_set(struct loop_watch *w, unsigned what)
{
	if (what == w->what)
		return;
	w->what = what;
	event_del(w->event);
	if (what == 0)
		return;
	event_assign(w->event, w->loop->base, w->fd,
		     (short)(EV_PERSIST | ((what & LOOP_READ) ? EV_READ : 0) | ((what & LOOP_WRITE) ? EV_WRITE : 0)), on_ready, w);
	event_add(w->event, NULL);
}

void loop_watch_free(struct loop_watch **wp)
{
	struct loop_watch *w = *wp;

	if (w == NULL)
		return;
	w->dead = true;
	event_del(w->event);
	w->next = w->loop->dead_watches;
	w->loop->dead_watches = w;
	want_turn(w->loop);
	*wp = NULL;
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct loop_signal_slot *s = arg;

	s->fn(s->arg);
}

void loop_signal(struct loop *l, int signo, loop_fn *fn, void *arg)
{
	struct loop_signal_slot *s = xcalloc(1, sizeof *s);

	assert(l->base != NULL);
	s->fn = fn;
	s->arg = arg;
	s->event = evsignal_new(l->base, signo, on_signal, s);
	assert(s->event != NULL);
	event_add(s->event, NULL);
	s->next = l->signals;
	l->signals = s;
}

/* ---- running ----------------------------------------------------------------------------------------- */

static struct loop_timer *next_timer(const struct loop *l)
{
	struct loop_timer *best = NULL;

	for (struct loop_timer *t = l->timers; t != NULL; t = t->next)
		if (t->pending && (best == NULL || t->due_us < best->due_us ||
				   (t->due_us == best->due_us && t->order < best->order)))
			best = t;
	return best;
}

static void jump_to(int64_t mono_us)
{
	int64_t now = clock_mono_us();

	if (mono_us > now)
		clock_fake(mono_us, clock_wall_us() + (mono_us - now));
}

void loop_run_until(struct loop *l, int64_t mono_us)
{
	assert(l->base == NULL);
	l->stopping = false;
	while (!l->stopping) {
		struct loop_timer *t;

		if (l->first != NULL || l->dead_timers != NULL) {
			run_deferred(l);
			continue;
		}
		t = next_timer(l);
		if (t == NULL || t->due_us > mono_us)
			break;
		jump_to(t->due_us);
		fire(t);
	}
	if (!l->stopping && mono_us != INT64_MAX)
		jump_to(mono_us);
}

void loop_run(struct loop *l)
{
	if (l->base == NULL)
		loop_run_until(l, INT64_MAX);
	else
		event_base_loop(l->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
	if (l->base != NULL)
		event_base_loopbreak(l->base);
}

int64_t loop_backoff_ms(unsigned tries, int64_t first, int64_t most)
{
	int64_t ms = first;

	while (tries-- > 0 && ms < most)
		ms *= 2;
	if (ms > most)
		ms = most;
	/* Jitter from the clock: after a common failure the callers must not all come back in step. */
	return ms - ms / 3 + (ms > 2 ? clock_mono_us() % (ms / 3 + 1) : 0);
}

const char *loop_library(char *out, size_t size)
{
	snprintf(out, size, "libevent built with %s, runs on %s", LIBEVENT_VERSION, event_get_version());
	return out;
}
