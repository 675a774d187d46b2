/*
 * loop.h - timers, descriptors, signals and "next turn" on one event loop.
 *
 * One thread, one loop. Callbacks run from loop_run() only, never from inside the call that arms
 * them. Everything may be freed from inside its own callback: it is unlinked at once and released at
 * the end of the turn. Time is base/clock.
 *
 * A virtual loop has no descriptors and no signals: its time is clock_fake() time and jumps to the
 * next timer. The simulation runs the whole daemon on it.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct loop_timer;
struct loop_watch;
struct event_base;

typedef void loop_fn(void *arg);
typedef void loop_watch_fn(void *arg, unsigned what);

struct loop *loop_new(void);
struct loop *loop_new_virtual(void);
void loop_free(struct loop **);
void loop_run(struct loop *);			/* until loop_stop(); a virtual one also when nothing is left */
void loop_stop(struct loop *);
/* Virtual only: runs everything due up to that moment of clock_mono_us(). */
void loop_run_until(struct loop *, int64_t mono_us);
struct event_base *loop_base(struct loop *);	/* for the rooms that bring a libevent client (evhttp); NULL when virtual */

/* Once, next turn, in order. Cannot be cancelled: `arg` must outlive it. */
void loop_defer(struct loop *, loop_fn *fn, void *arg);

/* A timer is idle until set. Setting again moves it. It fires once. */
struct loop_timer *loop_timer_new(struct loop *, loop_fn *fn, void *arg);
void loop_timer_set(struct loop_timer *, int64_t ms);
void loop_timer_stop(struct loop_timer *);
bool loop_timer_pending(const struct loop_timer *);
void loop_timer_free(struct loop_timer **);	/* NULL is fine */

enum { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_watch *loop_watch_new(struct loop *, int fd, loop_watch_fn *fn, void *arg);
void loop_watch_set(struct loop_watch *, unsigned what);	/* 0: nothing */
void loop_watch_free(struct loop_watch **);	/* does not close fd */

/*
 * Room for a whole batch in the descriptor's socket, so that its reader need not wait for our next turn. As much as the system allows;
 * on Unix sockets only: TCP finds its own measure.
 */
void loop_send_room(int fd);

/* fn(arg) in the loop when the process gets that signal. One handler a signal. */
void loop_signal(struct loop *, int signo, loop_fn *fn, void *arg);

/* How late the last timer fired, microseconds: the loop's own health. */
int64_t loop_lag_us(const struct loop *);

/* "NAME built with X, runs on Y", for --version; into the caller's room. */
const char *loop_library(char *out, size_t size);

/* Grows from `first` to `most`, jittered by up to a third; `tries` counts from 0. Milliseconds. */
int64_t loop_backoff_ms(unsigned tries, int64_t first, int64_t most);

#endif
