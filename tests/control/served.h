/*
 * served.h - a daemon of nothing but control/ over the fake sync, in a process of its own, and a client for it.
 *
 * Sockets live in a new directory that served_stop() removes. All calls abort the test when they fail.
 */
#ifndef TESTS_CONTROL_SERVED_H
#define TESTS_CONTROL_SERVED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct served {
	/* set before served_start(), all may stay zero */
	bool without_sync, odd_names, listen_tcp;
	int64_t idle_ms;
	int parked, decisions, waiting;		/* lines in the journal */
	/* answers */
	char dir[64], stats[96], control[96], listen[32];
	pid_t pid;
};

void served_start(struct served *);
void served_stop(struct served *);		/* ends it in good order; fails the test when it did not end with 0 */
void served_swap(struct served *);		/* SIGUSR1: the daemon shows another sync, as after a reload */

/* A connection that gives up after 10 s. */
int dial(const char *path);
int dial_tcp(const char *address);
void say(int fd, const char *text);
/* Everything until the other side closes; free it. NULL when it stays open for `ms` without a byte. */
char *hear(int fd, int ms);

struct answer {
	int status;
	char *head, *body;			/* chunks are put together */
	char *all;
};
struct answer ask(const char *path, const char *method, const char *target, const char *body);
void answer_fini(struct answer *);
struct answer answer_read(int fd);
/* POST /v1/COMMAND at the control socket. */
json_t *order(const struct served *, const char *command, const char *body, int status);

/* Waits until *number is `wanted`, at most 10 s. */
void await(const volatile int *number, int wanted);

#endif
