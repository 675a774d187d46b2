#include "config.h"

#include "redis_server.h"

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGS_MOST = 40, START_MS = 10000 };

static void die(const char *what)
{
	fprintf(stderr, "private redis-server: %s: %s\n", what, strerror(errno));
	abort();
}

bool redis_server_here(void)
{
	return system("redis-server --version > /dev/null 2>&1") == 0;
}

void redis_server_make(struct redis_server *s)
{
	const char *scratch = getenv("TMPDIR");

	memset(s, 0, sizeof *s);
	snprintf(s->dir, sizeof s->dir, "%s/crmsync-redis-XXXXXX", scratch != NULL ? scratch : "/tmp");
	if (mkdtemp(s->dir) == NULL)
		die("mkdtemp");
	snprintf(s->socket, sizeof s->socket, "%s/s", s->dir);
}

static void run(const struct redis_server *s, const char *const *args)
{
	const char *argv[ARGS_MOST + 1] = {
		"redis-server", "--port", "0", "--unixsocket", s->socket, "--dir", s->dir, "--save", "", "--appendonly", "no",
		"--daemonize", "no", "--logfile", "log",
	};
	size_t n = 15;

	while (args != NULL && *args != NULL && n < ARGS_MOST)
		argv[n++] = *args++;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static bool answers(const struct redis_server *s)
{
	redisContext *c = redisConnectUnix(s->socket);
	redisReply *r = c != NULL && c->err == 0 ? redisCommand(c, "PING") : NULL;
	bool up = r != NULL && (r->type == REDIS_REPLY_STATUS || strncmp(r->str, "NOAUTH", 6) == 0);

	if (r != NULL)
		freeReplyObject(r);
	if (c != NULL)
		redisFree(c);
	return up;
}

void redis_server_start(struct redis_server *s, const char *const *args)
{
	const struct timespec nap = { .tv_nsec = 5 * 1000000 };

	s->pid = fork();
	if (s->pid < 0)
		die("fork");
	if (s->pid == 0)
		run(s, args);
	for (int i = 0; !answers(s); i++) {
		if (i > START_MS / 5 || waitpid(s->pid, NULL, WNOHANG) != 0)
			die("does not start");
		nanosleep(&nap, NULL);
	}
}

void redis_server_kill(struct redis_server *s)
{
	if (s->pid == 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
	unlink(s->socket);
}

void redis_server_remove(struct redis_server *s)
{
	char command[128];

	redis_server_kill(s);
	snprintf(command, sizeof command, "rm -rf '%s'", s->dir);
	if (system(command) != 0)
		die("rm");
}

static redisReply *do_command(const struct redis_server *s, const char *fmt, va_list ap)
{
	redisContext *c = redisConnectUnix(s->socket);
	redisReply *r;

	if (c == NULL || c->err != 0)
		die("connect");
	r = redisvCommand(c, fmt, ap);
	redisFree(c);
	if (r == NULL)
		die("command");
	return r;
}

long long redis_server_do(const struct redis_server *s, const char *fmt, ...)
{
	redisReply *r;
	long long v;
	va_list ap;

	va_start(ap, fmt);
	r = do_command(s, fmt, ap);
	va_end(ap);
	v = r->type == REDIS_REPLY_INTEGER ? r->integer : -1;
	freeReplyObject(r);
	return v;
}

char *redis_server_text(const struct redis_server *s, const char *fmt, ...)
{
	redisReply *r;
	char *text;
	va_list ap;

	va_start(ap, fmt);
	r = do_command(s, fmt, ap);
	va_end(ap);
	text = r->str != NULL ? strndup(r->str, r->len) : NULL;
	freeReplyObject(r);
	return text;
}
