#include "control/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"

enum { BACKLOG = 64 };

static bool fail(struct err *e, const char *what, const char *path)
{
	int error = errno;

	return err_set(e, ERR_CONFIG, strerrorname_np(error), "cannot %s %s: %s", what, path, strerror(error));
}

static bool make_parent(const char *path, struct err *e)
{
	const char *slash = strrchr(path, '/');
	char *parent;
	bool ok = true;

	if (slash == NULL || slash == path)
		return true;
	parent = xstrndup(path, (size_t)(slash - path));
	if (mkdir(parent, 0700) != 0 && errno != EEXIST)
		ok = fail(e, "create directory", parent);
	free(parent);
	return ok;
}

/* Does somebody listen there? On doubt yes: a socket in use must not be taken away. */
static bool answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool refused;

	if (fd < 0)
		return true;
	refused = connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 && errno == ECONNREFUSED;
	close(fd);
	return !refused;
}

/* Makes the path free, if what is there is our own and stale. */
static bool clear_path(const struct sockaddr_un *address, struct err *e)
{
	const char *path = address->sun_path;
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? true : fail(e, "look at", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(e, ERR_CONFIG, "", "%s is there and is not a socket; remove it or name another path", path);
	if (st.st_uid != geteuid())
		return err_set(e, ERR_CONFIG, "", "the socket %s belongs to another user; remove it or name another path", path);
	if (answers(address))
		return err_set(e, ERR_CONFIG, "EADDRINUSE", "somebody listens on %s already: is another daemon running?", path);
	if (unlink(path) != 0 && errno != ENOENT)
		return fail(e, "remove the stale socket", path);
	return true;
}

static bool bind_closed(int fd, const struct sockaddr_un *address)
{
	/* Nobody else may connect between bind and chmod: the file is born closed. (The umask is the process's; there is one thread.) */
	mode_t before = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)address, sizeof *address);
	int error = errno;

	umask(before);
	errno = error;
	return rc == 0;
}

static bool open_up(int fd, const char *path, mode_t mode, struct listen_path *where, struct err *e)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return fail(e, "look at", path);
	where->dev = st.st_dev;
	where->ino = st.st_ino;
	if ((st.st_mode & 0777) != mode && chmod(path, mode) != 0)
		return fail(e, "set the mode of", path);
	return listen(fd, BACKLOG) == 0 ? true : fail(e, "listen on", path);
}

int listen_unix(const char *path, mode_t mode, struct listen_path *where, struct err *e)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd;

	memset(where, 0, sizeof *where);
	if (len >= sizeof address.sun_path) {
		err_set(e, ERR_CONFIG, "ENAMETOOLONG", "the socket path %s has %zu bytes; at most %zu are possible",
			path, len, sizeof address.sun_path - 1);
		return -1;
	}
	memcpy(address.sun_path, path, len);
	if (!make_parent(path, e) || !clear_path(&address, e))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		fail(e, "make a socket for", path);
		return -1;
	}
	if (!bind_closed(fd, &address)) {
		fail(e, "bind", path);
		close(fd);
		return -1;
	}
	if (!open_up(fd, path, mode, where, e)) {
		listen_unix_remove(path, where);
		close(fd);
		return -1;
	}
	return fd;
}

void listen_unix_remove(const char *path, const struct listen_path *where)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == where->dev && st.st_ino == where->ino)
		unlink(path);
}

/* ---- TCP --------------------------------------------------------------------------------------------- */

/* "host:port" or "[v6]:port"; both parts are the caller's. */
static bool split(const char *address, char **host, char **port, struct err *e)
{
	const char *colon = strrchr(address, ':'), *start = address, *end = colon;

	if (colon == NULL || colon == address || colon[1] == '\0')
		return err_set(e, ERR_CONFIG, "", "the address %s is not HOST:PORT", address);
	if (address[0] == '[' && colon[-1] == ']') {
		start++;
		end--;
	} else if (memchr(address, ':', (size_t)(colon - address)) != NULL) {
		return err_set(e, ERR_CONFIG, "", "the address %s needs brackets: [HOST]:PORT", address);
	}
	*host = xstrndup(start, (size_t)(end - start));
	*port = xstrdup(colon + 1);
	return true;
}

static int listen_on(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol), yes = 1, error;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);	/* restart while old connections linger */
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int listen_tcp(const char *address, struct err *e)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM,
				  .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV };
	struct addrinfo *list = NULL;
	char *host = NULL, *port = NULL;
	const char *node;
	int fd = -1;

	if (!split(address, &host, &port, e))
		return -1;
	node = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	if (getaddrinfo(strcmp(node, "*") == 0 ? NULL : node, port, &hints, &list) != 0) {
		err_set(e, ERR_CONFIG, "", "the address %s is not a numeric HOST:PORT", address);
	} else {
		fd = listen_on(list);
		if (fd < 0)
			fail(e, "listen on", address);
		freeaddrinfo(list);
	}
	free(host);
	free(port);
	return fd;
}
