/* check_notify.c - what the service manager hears (src/base/notify.h). */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"

static char dir[] = "/tmp/crmsync-notify-XXXXXX";
static struct sockaddr_un address;
static int manager;

static void listen_at(const char *name, socklen_t len)
{
	manager = socket(AF_UNIX, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, len), 0);
	ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(dir));
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof address.sun_path, "%s/n", dir);
	listen_at(address.sun_path, sizeof address);
}

static void teardown(void)
{
	close(manager);
	unlink(address.sun_path);
	rmdir(dir);
}

static const char *heard(void)
{
	static char text[600];
	ssize_t n = recv(manager, text, sizeof text - 1, MSG_DONTWAIT);

	ck_assert_msg(n >= 0, "nothing was said");
	text[n] = '\0';
	return text;
}

START_TEST(each_message_is_one_datagram)
{
	long long us;

	ck_assert(notify_ready());
	ck_assert_str_eq(heard(), "READY=1");
	ck_assert(notify_status("2 of %d endpoints up\nREADY=0", 3));
	ck_assert_str_eq(heard(), "STATUS=2 of 3 endpoints up");
	ck_assert(notify_status("%0499d\xc3\xa4\xc3\xa4\xc3\xa4", 0));	/* the last one is cut in half by the room for it */
	ck_assert_uint_eq(strlen(heard()), strlen("STATUS=") + 499 + 4);
	ck_assert(notify_watchdog());
	ck_assert_str_eq(heard(), "WATCHDOG=1");
	ck_assert(notify_stopping());
	ck_assert_str_eq(heard(), "STOPPING=1");
	ck_assert(notify_reloading());
	ck_assert_int_eq(sscanf(heard(), "RELOADING=1\nMONOTONIC_USEC=%lld", &us), 1);
	ck_assert(us > 0);
}
END_TEST

START_TEST(abstract_names_are_understood)
{
	char name[sizeof address.sun_path];

	close(manager);
	unlink(address.sun_path);
	snprintf(name, sizeof name, "@crmsync-notify-%d", (int)getpid());
	memset(&address, 0, sizeof address);
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path + 1, name + 1, strlen(name) - 1);
	listen_at(name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name)));
	ck_assert(notify_ready());
	ck_assert_str_eq(heard(), "READY=1");
}
END_TEST

START_TEST(without_a_manager_nothing_happens)
{
	unsetenv("NOTIFY_SOCKET");
	ck_assert(!notify_ready());
	setenv("NOTIFY_SOCKET", "vsock:2:1", 1);
	ck_assert(!notify_ready());
	setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
	ck_assert(!notify_ready());
}
END_TEST

START_TEST(a_manager_that_does_not_listen_cannot_stop_us)
{
	for (int i = 0; i < 10000; i++)
		if (!notify_ready())
			return;		/* its queue is full, and we are still here */
	ck_abort_msg("the queue never filled");
}
END_TEST

START_TEST(the_watchdog_is_ours_only_by_pid)
{
	char pid[20];

	ck_assert_int_eq(notify_watchdog_us(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	ck_assert_int_eq(notify_watchdog_us(), 30000000);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_int_eq(notify_watchdog_us(), 0);
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_int_eq(notify_watchdog_us(), 30000000);
	setenv("WATCHDOG_USEC", "soon", 1);
	ck_assert_int_eq(notify_watchdog_us(), 0);
}
END_TEST

int main(void)
{
	Suite *all = suite_create("notify");
	TCase *t = tcase_create("notify");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, each_message_is_one_datagram);
	tcase_add_test(t, abstract_names_are_understood);
	tcase_add_test(t, without_a_manager_nothing_happens);
	tcase_add_test(t, a_manager_that_does_not_listen_cannot_stop_us);
	tcase_add_test(t, the_watchdog_is_ours_only_by_pid);
	suite_add_tcase(all, t);
	runner = srunner_create(all);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
