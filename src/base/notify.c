#include "base/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

/* A path, or with '@' in front a name in the abstract namespace; whatever else there may be is not for us. */
static bool manager_address(struct sockaddr_un *address, socklen_t *len)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path != NULL ? strlen(path) : 0;

	if (n < 2 || n >= sizeof address->sun_path || (path[0] != '/' && path[0] != '@'))
		return false;
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	memcpy(address->sun_path, path, n);
	if (path[0] == '@')
		address->sun_path[0] = '\0';
	/* The length says where an abstract name ends; for a path it includes the NUL. */
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (path[0] == '/'));
	return true;
}

static bool tell(const char *message)
{
	struct sockaddr_un address;
	socklen_t len;
	ssize_t sent;
	int fd;

	if (!manager_address(&address, &len))
		return false;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	sent = sendto(fd, message, strlen(message), MSG_NOSIGNAL | MSG_DONTWAIT, (struct sockaddr *)&address, len);
	close(fd);
	return sent >= 0;
}

bool notify_ready(void)
{
	return tell("READY=1");
}

/* The manager tells by the time that this is the reload it asked for: so it is the real CLOCK_MONOTONIC, never a faked one. */
bool notify_reloading(void)
{
	char message[80];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(message, sizeof message, "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	return tell(message);
}

bool notify_stopping(void)
{
	return tell("STOPPING=1");
}

/* A second line would be a second assignment; and the manager drops a text that is not UTF-8, such as one cut within a character. */
static void end_line(char *p)
{
	uint32_t code;
	size_t step;

	while (*p != '\0' && *p != '\n' && (step = utf8_step(p, strlen(p), &code)) > 0)
		p += step;
	*p = '\0';
}

bool notify_status(const char *fmt, ...)
{
	char message[512] = "STATUS=";
	size_t head = strlen(message);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message + head, sizeof message - head, fmt, ap);
	va_end(ap);
	end_line(message + head);
	return tell(message);
}

bool notify_watchdog(void)
{
	return tell("WATCHDOG=1");
}

int64_t notify_watchdog_us(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	long long value;

	if (us == NULL || (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()))
		return 0;
	errno = 0;
	value = strtoll(us, &end, 10);
	return errno == 0 && *end == '\0' && value > 0 ? value : 0;
}
