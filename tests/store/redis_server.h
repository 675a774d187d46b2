/*
 * redis_server.h - a private redis-server for tests: unix socket and files in a temporary directory of its own.
 *
 * The server dies with the process that started it.
 */
#ifndef TESTS_STORE_REDIS_SERVER_H
#define TESTS_STORE_REDIS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct redis_server {
	char dir[64], socket[96];
	pid_t pid;		/* 0: not running */
};

bool redis_server_here(void);		/* is there a redis-server on PATH? */
void redis_server_make(struct redis_server *);		/* the directory */
/* args: further options, NULL at the end, or NULL. Returns when it answers PING (or -NOAUTH). */
void redis_server_start(struct redis_server *, const char *const *args);
void redis_server_kill(struct redis_server *);		/* SIGKILL, waited for */
void redis_server_remove(struct redis_server *);	/* killed if running, files removed */

/* One command by a connection of its own, formatted as by hiredis. The integer of the reply, or -1 for any other type. */
long long redis_server_do(const struct redis_server *, const char *fmt, ...);
/* The same, and the text of the reply; the caller frees. NULL: nil. */
char *redis_server_text(const struct redis_server *, const char *fmt, ...);

#endif
