/*
 * secret.c - passwords: read from their files, and kept out of whatever is shown.
 */
#include "conf/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { SECRET_MAX = 4096 };

/* ---- reading ----------------------------------------------------------------------------------------- */

/* systemd may grant its credentials by an access list, which shows as a group right; the directory is ours alone. */
static bool is_credential(const char *file)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t n = dir != NULL ? strlen(dir) : 0;

	return n > 1 && strncmp(file, dir, n) == 0 && file[n] == '/' && strstr(file + n, "/../") == NULL;
}

static const char by_name[] = "$CREDENTIALS_DIRECTORY/";

bool conf_secret_is_credential(const char *file)
{
	return strncmp(file, by_name, strlen(by_name)) == 0;
}

static char *refuse(char *why, size_t why_size, const char *text)
{
	snprintf(why, why_size, "%s", text);
	return NULL;
}

static ssize_t read_all(int fd, char *p, size_t n)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = read(fd, p + have, n - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static char *secret_take(char *p, size_t n, char *why, size_t why_size)
{
	if (n > SECRET_MAX)
		return refuse(why, why_size, "longer than 4096 bytes");
	if (n > 0 && p[n - 1] == '\n')
		n--;
	if (n == 0)
		return refuse(why, why_size, "is empty");
	if (memchr(p, '\0', n) != NULL)
		return refuse(why, why_size, "holds a NUL byte");
	return xstrndup(p, n);
}

/* Where the file is; to be freed. The directory of the credentials is known only to a process that systemd has started. */
static char *find(const char *file, char *why, size_t why_size)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");

	if (!conf_secret_is_credential(file))
		return xstrdup(file);
	if (dir == NULL || dir[0] != '/')
		return refuse(why, why_size, "CREDENTIALS_DIRECTORY is not set: systemd does that, for a unit with LoadCredential=. "
			      "By hand, set it to the directory with the secret");
	return xasprintf("%s/%s", dir, file + strlen(by_name));
}

static char *read_secret(const char *file, char *why, size_t why_size)
{
	/* O_NONBLOCK: opening a FIFO nobody writes to must not hang the daemon */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char bytes[SECRET_MAX + 2], *secret = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		refuse(why, why_size, strerror(errno));
	} else if (!S_ISREG(st.st_mode)) {
		refuse(why, why_size, "is not a file");
	} else if ((st.st_mode & 077) != 0 && !is_credential(file)) {
		snprintf(why, why_size, "group or others have rights on it (mode %04o): chmod 600", (unsigned)st.st_mode & 07777);
	} else {
		n = read_all(fd, bytes, sizeof bytes);
		secret = n < 0 ? refuse(why, why_size, strerror(errno)) : secret_take(bytes, (size_t)n, why, why_size);
		explicit_bzero(bytes, sizeof bytes);
	}
	if (fd >= 0)
		close(fd);
	return secret;
}

char *conf_read_secret(const char *file, char *why, size_t why_size)
{
	char *path = find(file, why, why_size), *secret = NULL;

	if (path != NULL)
		secret = read_secret(path, why, why_size);
	free(path);
	return secret;
}

void conf_secret_free(char **secret)
{
	if (*secret != NULL)
		explicit_bzero(*secret, strlen(*secret));
	free(*secret);
	*secret = NULL;
}

/* ---- hiding ------------------------------------------------------------------------------------------ */

/* A name that is spelled with %-escapes is hidden too: libpq would read it. */
static bool is_secret_name(const char *p, size_t n)
{
	return (n == 8 && strncasecmp(p, "password", n) == 0) || (n == 11 && strncasecmp(p, "sslpassword", n) == 0) ||
	       memchr(p, '%', n) != NULL;
}

static void redact_query(struct buf *out, const char *p)
{
	while (*p != '\0') {
		size_t part = strcspn(p, "&"), name = strcspn(p, "=&");

		if (name < part && is_secret_name(p, name)) {
			buf_add(out, p, name);
			buf_adds(out, "=***");
		} else {
			buf_add(out, p, part);
		}
		p += part;
		if (*p == '&')
			buf_addc(out, *p++);
	}
}

/* host:port,[v6]:port,... without a user before them? */
static bool is_hosts(const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t end = i + strcspn(p + i, ",/"), port = i + (p[i] == '[' ? strcspn(p + i, "]/") : strcspn(p + i, ":,/"));

		port += p[port] == ']';
		if (port < end && (p[port] != ':' || strspn(p + port + 1, "0123456789") != end - port - 1))
			return false;
		i = end + 1;
	}
	return true;
}

/*
 * The end of user:password@, or 0. As libpq sees it that is an '@' before any '/'; but a password with a bare '@' or '/'
 * in it, which libpq will misread, must not be shown either. Only an '@' among the parameters is no business of ours, when
 * what stands in front is plainly hosts and ports.
 */
static size_t userinfo(const char *p)
{
	size_t head = strcspn(p, "/"), at = 0, end = head;

	if (memchr(p, '@', head) == NULL)
		end = is_hosts(p, head) ? strcspn(p, "?") : strlen(p);
	for (size_t i = 0; i < end; i++)
		if (p[i] == '@')
			at = i + 1;
	return at;
}

static void redact_uri(struct buf *out, const char *p, const char *authority)
{
	size_t info = userinfo(authority), colon = strcspn(authority, ":"), query;

	buf_add(out, p, (size_t)(authority - p));
	if (info > 0 && colon < info) {
		buf_add(out, authority, colon);
		buf_adds(out, ":***@");
		authority += info;
	}
	query = strcspn(authority, "?");
	buf_add(out, authority, query);
	authority += query;
	if (*authority == '?') {
		buf_addc(out, *authority++);
		redact_query(out, authority);
	}
}

/* The end of a keyword's value: quoted or up to a blank, a backslash takes the next character along. */
static const char *value_end(const char *p)
{
	bool in_quotes = *p == '\'';

	for (p += in_quotes; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0')
			p++;
		else if (in_quotes ? *p == '\'' : strchr(" \t\r\n\f\v", *p) != NULL)
			return p + in_quotes;
	}
	return p;
}

static void redact_keywords(struct buf *out, const char *p)
{
	static const char blanks[] = " \t\r\n\f\v";

	while (*p != '\0') {
		size_t skip = strspn(p, blanks), name, equals;
		const char *end;

		buf_add(out, p, skip);
		p += skip;
		if (*p == '\0')
			break;
		name = strcspn(p, "= \t\r\n\f\v");
		equals = name + strspn(p + name, blanks);
		if (p[equals] != '=') {
			buf_adds(out, "***");	/* libpq will refuse it; what it was meant to be, nobody knows */
			return;
		}
		equals++;
		equals += strspn(p + equals, blanks);
		end = value_end(p + equals);
		if (is_secret_name(p, name)) {
			buf_add(out, p, name);
			buf_adds(out, "=***");
		} else {
			buf_add(out, p, (size_t)(end - p));
		}
		p = end;
	}
}

void conf_redact(struct buf *out, const char *connection)
{
	const char *scheme = strstr(connection, "://");

	if (scheme != NULL && strspn(connection, "abcdefghijklmnopqrstuvwxyz+") == (size_t)(scheme - connection))
		redact_uri(out, connection, scheme + 3);
	else
		redact_keywords(out, connection);
	buf_adds(out, "");	/* an empty one is "", too */
}
