/* check_loop.c - src/loop/loop.h, on descriptors and in virtual time. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "loop/loop.h"

static struct loop *loop;
static char trace[256];		/* what happened, one letter each */

static void note(const char *what)
{
	ck_assert_uint_lt(strlen(trace) + strlen(what), sizeof trace);
	strcat(trace, what);
}

static void setup_real(void)
{
	trace[0] = '\0';
	loop = loop_new();
}

static void setup_virtual(void)
{
	trace[0] = '\0';
	clock_fake(1000000, 5000000);
	loop = loop_new_virtual();
}

static void teardown(void)
{
	loop_free(&loop);
	ck_assert_ptr_null(loop);
	loop_free(&loop);
	clock_real();
}

static void say(void *arg)
{
	note(arg);
}

static void stop(void *arg)
{
	note("!");
	loop_stop(loop);
}

/* String literals as callback arguments, which are not const. */
static char A[] = "a", B[] = "b", C[] = "c", D[] = "d";

/* ---- both kinds -------------------------------------------------------------------------------------------- */

static void defer_b_then_stop(void *arg)
{
	note(arg);
	loop_defer(loop, say, B);
	loop_defer(loop, stop, NULL);
	note("-");
}

START_TEST(deferred_calls_come_in_order_and_not_at_once)
{
	loop_defer(loop, say, A);
	loop_defer(loop, defer_b_then_stop, C);
	loop_defer(loop, say, D);
	ck_assert_str_eq(trace, "");
	loop_run(loop);
	ck_assert_str_eq(trace, "ac-db!");
}
END_TEST

START_TEST(timers_fire_once_and_in_order)
{
	struct loop_timer *a = loop_timer_new(loop, say, A), *b = loop_timer_new(loop, say, B), *end = loop_timer_new(loop, stop, NULL);

	ck_assert(!loop_timer_pending(a));
	loop_timer_set(end, 30);
	loop_timer_set(b, 20);
	loop_timer_set(a, 10);
	ck_assert(loop_timer_pending(a));
	loop_run(loop);
	ck_assert_str_eq(trace, "ab!");
	ck_assert(!loop_timer_pending(a) && !loop_timer_pending(end));
	loop_timer_free(&a);
	loop_timer_free(&b);
	loop_timer_free(&end);
	ck_assert_ptr_null(a);
	loop_timer_free(&a);
}
END_TEST

START_TEST(a_timer_that_is_set_again_moves)
{
	struct loop_timer *a = loop_timer_new(loop, say, A), *b = loop_timer_new(loop, say, B), *c = loop_timer_new(loop, say, C),
			  *end = loop_timer_new(loop, stop, NULL);

	loop_timer_set(a, 5);
	loop_timer_set(b, 10);
	loop_timer_set(c, 1);
	loop_timer_set(end, 30);
	loop_timer_set(a, 20);
	loop_timer_stop(c);
	ck_assert(!loop_timer_pending(c));
	loop_run(loop);
	ck_assert_str_eq(trace, "ba!");
	loop_timer_free(&a);
	loop_timer_free(&b);
	loop_timer_free(&c);
	loop_timer_free(&end);
}
END_TEST

static struct loop_timer *self, *other;

static void free_both(void *arg)
{
	note(arg);
	loop_timer_free(&self);
	loop_timer_free(&other);
}

START_TEST(a_timer_may_free_itself_and_others_in_its_callback)
{
	struct loop_timer *end = loop_timer_new(loop, stop, NULL);

	self = loop_timer_new(loop, free_both, A);
	other = loop_timer_new(loop, say, B);
	loop_timer_set(self, 0);
	loop_timer_set(other, 0);
	loop_timer_set(end, 10);
	loop_run(loop);
	ck_assert_str_eq(trace, "a!");
	loop_timer_free(&end);
}
END_TEST

static void again(void *arg)
{
	note(arg);
	if (strlen(trace) < 5)
		loop_timer_set(self, 1);
	else
		loop_stop(loop);
}

START_TEST(a_timer_may_set_itself_in_its_callback)
{
	self = loop_timer_new(loop, again, A);
	loop_timer_set(self, -5);	/* the past is now */
	loop_run(loop);
	ck_assert_str_eq(trace, "aaaaa");
	loop_timer_free(&self);
}
END_TEST

START_TEST(what_was_deferred_and_never_ran_is_released)
{
	loop_defer(loop, say, A);
	self = loop_timer_new(loop, say, B);
	loop_timer_set(self, 0);
	loop_timer_free(&self);
	loop_free(&loop);
	ck_assert_str_eq(trace, "");
	loop = loop_new();
}
END_TEST

/* ---- virtual time --------------------------------------------------------------------------------------------- */

static int64_t seen_mono, seen_wall;

static void look_at_clock(void *arg)
{
	seen_mono = clock_mono_us();
	seen_wall = clock_wall_us();
}

START_TEST(virtual_time_jumps_to_the_next_timer)
{
	struct loop_timer *t = loop_timer_new(loop, look_at_clock, NULL);

	loop_timer_set(t, 3600 * 1000);
	loop_run(loop);		/* ends by itself: nothing is left */
	ck_assert_int_eq(seen_mono, 3601000000);
	ck_assert_int_eq(seen_wall, 3605000000);
	ck_assert_int_eq(loop_lag_us(loop), 0);
	ck_assert_ptr_null(loop_base(loop));
	loop_timer_free(&t);
}
END_TEST

START_TEST(virtual_time_stops_where_it_should)
{
	struct loop_timer *a = loop_timer_new(loop, say, A), *b = loop_timer_new(loop, say, B);

	loop_timer_set(a, 10);
	loop_timer_set(b, 11);
	loop_run_until(loop, 1010000);
	ck_assert_str_eq(trace, "a");
	ck_assert_int_eq(clock_mono_us(), 1010000);
	ck_assert(loop_timer_pending(b));
	loop_run_until(loop, 1010500);
	ck_assert_str_eq(trace, "a");
	ck_assert_int_eq(clock_mono_us(), 1010500);
	loop_run_until(loop, 2000000);
	ck_assert_str_eq(trace, "ab");
	ck_assert_int_eq(clock_mono_us(), 2000000);
	loop_timer_free(&a);
	loop_timer_free(&b);
}
END_TEST

START_TEST(equal_virtual_times_fire_in_the_order_they_were_set)
{
	struct loop_timer *a = loop_timer_new(loop, say, A), *b = loop_timer_new(loop, say, B), *c = loop_timer_new(loop, say, C);

	loop_timer_set(c, 10);
	loop_timer_set(a, 10);
	loop_timer_set(b, 10);
	loop_timer_set(c, 10);
	loop_run(loop);
	ck_assert_str_eq(trace, "abc");
	loop_timer_free(&a);
	loop_timer_free(&b);
	loop_timer_free(&c);
}
END_TEST

static void defer_c(void *arg)
{
	note(arg);
	loop_defer(loop, say, C);
}

START_TEST(virtual_deferred_calls_come_before_the_next_timer)
{
	struct loop_timer *a = loop_timer_new(loop, defer_c, A), *b = loop_timer_new(loop, say, B);

	loop_timer_set(a, 10);
	loop_timer_set(b, 10);
	loop_run(loop);
	ck_assert_str_eq(trace, "acb");
	loop_timer_free(&a);
	loop_timer_free(&b);
}
END_TEST

/* ---- descriptors and signals ------------------------------------------------------------------------------------ */

static int pair[2];
static struct loop_watch *watch, *other_watch;

static void setup_pair(void)
{
	setup_real();
	ck_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
}

static void teardown_pair(void)
{
	close(pair[0]);
	close(pair[1]);
	teardown();
}

static void on_ready(void *arg, unsigned what)
{
	char c;

	note(what == LOOP_READ ? "r" : what == LOOP_WRITE ? "w" : "rw");
	if (what & LOOP_READ)
		ck_assert(read(pair[0], &c, 1) == 1);
	loop_watch_set(watch, 0);
	loop_stop(loop);
}

START_TEST(a_watch_sees_what_it_was_set_to)
{
	struct loop_timer *t = loop_timer_new(loop, stop, NULL);

	watch = loop_watch_new(loop, pair[0], on_ready, NULL);
	loop_timer_set(t, 1);
	loop_run(loop);			/* nothing is watched yet, though one could write */
	ck_assert_str_eq(trace, "!");
	loop_watch_set(watch, LOOP_WRITE);
	loop_run(loop);
	ck_assert_str_eq(trace, "!w");
	loop_watch_set(watch, LOOP_READ);
	loop_timer_set(t, 1);
	loop_run(loop);			/* nothing to read */
	ck_assert_str_eq(trace, "!w!");
	ck_assert(write(pair[1], "x", 1) == 1);
	loop_run(loop);
	ck_assert_str_eq(trace, "!w!r");
	ck_assert(write(pair[1], "x", 1) == 1);
	loop_watch_set(watch, LOOP_READ | LOOP_WRITE);
	loop_run(loop);
	ck_assert_str_eq(trace, "!w!rrw");
	loop_watch_free(&watch);
	ck_assert_ptr_null(watch);
	loop_watch_free(&watch);
	ck_assert(write(pair[0], "x", 1) == 1);		/* the descriptor is still open */
	loop_timer_free(&t);
}
END_TEST

static void free_watches(void *arg, unsigned what)
{
	note(arg);
	loop_watch_free(&watch);
	loop_watch_free(&other_watch);
	loop_defer(loop, stop, NULL);
}

START_TEST(a_watch_may_free_itself_and_others_in_its_callback)
{
	watch = loop_watch_new(loop, pair[0], free_watches, A);
	other_watch = loop_watch_new(loop, pair[1], free_watches, A);
	loop_watch_set(watch, LOOP_WRITE);
	loop_watch_set(other_watch, LOOP_WRITE);
	loop_run(loop);
	ck_assert_str_eq(trace, "a!");
}
END_TEST

static int turns;

static void defer_for_ever(void *arg)
{
	turns++;
	if (strchr(trace, 'r') == NULL && turns < 100000)
		loop_defer(loop, defer_for_ever, arg);
}

START_TEST(a_chain_of_deferred_calls_does_not_starve_descriptors)
{
	watch = loop_watch_new(loop, pair[0], on_ready, NULL);
	loop_watch_set(watch, LOOP_READ);
	ck_assert(write(pair[1], "x", 1) == 1);
	turns = 0;
	loop_defer(loop, defer_for_ever, NULL);
	loop_run(loop);
	ck_assert_str_eq(trace, "r");
	ck_assert_int_lt(turns, 1000);
	loop_watch_free(&watch);
}
END_TEST

static void on_signal(void *arg)
{
	note(arg);
	loop_stop(loop);
}

START_TEST(signals_arrive_in_the_loop)
{
	loop_signal(loop, SIGUSR1, on_signal, A);
	loop_signal(loop, SIGHUP, on_signal, B);
	raise(SIGHUP);
	ck_assert_str_eq(trace, "");
	loop_run(loop);
	raise(SIGUSR1);
	loop_run(loop);
	ck_assert_str_eq(trace, "ba");
}
END_TEST

static void be_slow(void *arg)
{
	int64_t until = clock_mono_us() + 30000;

	while (clock_mono_us() < until)
		continue;
}

START_TEST(lag_is_how_late_a_timer_fired)
{
	struct loop_timer *late = loop_timer_new(loop, stop, NULL);

	loop_timer_set(late, 5);
	loop_defer(loop, be_slow, NULL);
	loop_run(loop);
	ck_assert_int_ge(loop_lag_us(loop), 20000);
	loop_timer_free(&late);
}
END_TEST

/* ---- back-off ------------------------------------------------------------------------------------------------------- */

START_TEST(back_off_grows_within_its_bounds_and_is_jittered)
{
	int64_t low[12], high[12];

	for (unsigned tries = 0; tries < countof(low); tries++) {
		int64_t full = tries < 6 ? INT64_C(1000) << tries : 60000;

		low[tries] = INT64_MAX, high[tries] = 0;
		for (int i = 0; i < 2000; i++) {
			int64_t ms;

			clock_fake(1000003 * (int64_t)i, 0);
			ms = loop_backoff_ms(tries, 1000, 60000);
			if (ms < full - full / 3 || ms > full)
				ck_abort_msg("try %u: %lld", tries, (long long)ms);
			low[tries] = ms < low[tries] ? ms : low[tries];
			high[tries] = ms > high[tries] ? ms : high[tries];
		}
		ck_assert_int_gt(high[tries] - low[tries], full / 4);
	}
	ck_assert_int_le(loop_backoff_ms(1000000, 1, 5), 5);
	ck_assert_int_ge(loop_backoff_ms(1000000, 1, 5), 4);	/* as many doublings as that would overflow */
	ck_assert_int_ge(loop_backoff_ms(0, 1, 5), 1);
	clock_real();
}
END_TEST

static void add_common(TCase *c)
{
	tcase_add_test(c, deferred_calls_come_in_order_and_not_at_once);
	tcase_add_test(c, timers_fire_once_and_in_order);
	tcase_add_test(c, a_timer_that_is_set_again_moves);
	tcase_add_test(c, a_timer_may_free_itself_and_others_in_its_callback);
	tcase_add_test(c, a_timer_may_set_itself_in_its_callback);
	tcase_add_test(c, what_was_deferred_and_never_ran_is_released);
}

int main(void)
{
	Suite *s = suite_create("loop");
	TCase *real = tcase_create("real"), *virtual = tcase_create("virtual"), *sockets = tcase_create("sockets");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(real, setup_real, teardown);
	add_common(real);
	tcase_add_test(real, signals_arrive_in_the_loop);
	tcase_add_test(real, lag_is_how_late_a_timer_fired);
	tcase_add_test(real, back_off_grows_within_its_bounds_and_is_jittered);
	tcase_add_checked_fixture(virtual, setup_virtual, teardown);
	add_common(virtual);
	tcase_add_test(virtual, virtual_time_jumps_to_the_next_timer);
	tcase_add_test(virtual, virtual_time_stops_where_it_should);
	tcase_add_test(virtual, equal_virtual_times_fire_in_the_order_they_were_set);
	tcase_add_test(virtual, virtual_deferred_calls_come_before_the_next_timer);
	tcase_add_checked_fixture(sockets, setup_pair, teardown_pair);
	tcase_add_test(sockets, a_watch_sees_what_it_was_set_to);
	tcase_add_test(sockets, a_watch_may_free_itself_and_others_in_its_callback);
	tcase_add_test(sockets, a_chain_of_deferred_calls_does_not_starve_descriptors);
	suite_add_tcase(s, real);
	suite_add_tcase(s, virtual);
	suite_add_tcase(s, sockets);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
