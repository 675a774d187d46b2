/*
 * redis.c - the address of the Redis server, taken apart.
 *
 *	unix:/path	unix:///path?db=N	redis://[user:password@]host[:port][/db]
 */
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/mem.h"
#include "conf/read.h"
#include "config.h"

enum { REDIS_PORT = 6379, REDIS_DATABASES = 100000 };

static bool digits_parse(const char *p, size_t n, int64_t max, int64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] < '0' || p[i] > '9' || *out > max)
			return false;
		*out = *out * 10 + (p[i] - '0');
	}
	return n > 0 && *out <= max;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* %XX undone; NULL when malformed or when a NUL would come of it. */
static char *unescape(struct arena *arena, const char *p, size_t n)
{
	char *out = arena_dup(arena, p, n), *to = out;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != '%') {
			*to++ = p[i];
			continue;
		}
		if (i + 2 >= n || hex(p[i + 1]) < 0 || hex(p[i + 2]) < 0 || (p[i + 1] == '0' && p[i + 2] == '0'))
			return NULL;
		*to++ = (char)(hex(p[i + 1]) * 16 + hex(p[i + 2]));
		i += 2;
	}
	*to = '\0';
	return out;
}

static const char *parse_unix(struct reader *r, const char *p)
{
	size_t path;

	if (strncmp(p, "//", 2) == 0)
		p += 2;
	path = strcspn(p, "?");
	if (p[0] != '/')
		return "wants an absolute path after unix:";
	if (path >= sizeof ((struct sockaddr_un *)0)->sun_path)
		return "this path is too long for a socket";
	r->t->state.unix_path = arena_dup(r->arena, p, path);
	p += path;
	if (*p == '\0')
		return NULL;
	if (strncmp(p, "?db=", 4) != 0 || !digits_parse(p + 4, strlen(p + 4), REDIS_DATABASES, &r->t->state.database))
		return "after the path only ?db=NUMBER is understood";
	return NULL;
}

static const char *parse_user(struct reader *r, const char *p, size_t n)
{
	size_t colon = strcspn(p, ":");

	if (colon >= n)
		return "wants user:password@ or :password@ before the host";
	r->t->state.user = colon > 0 ? unescape(r->arena, p, colon) : NULL;
	r->t->state.password = unescape(r->arena, p + colon + 1, n - colon - 1);
	if ((colon > 0 && r->t->state.user == NULL) || r->t->state.password == NULL)
		return "a % in user or password is written %25 and begins two hex digits";
	return r->t->state.password[0] != '\0' ? NULL : "the password is empty";
}

/* host, host:port, [v6], [v6]:port */
static const char *parse_host(struct reader *r, const char *p, size_t n)
{
	size_t host = p[0] == '[' ? strcspn(p, "]") + 1 : strcspn(p, ":/?");
	size_t inner = p[0] == '[' ? 1 : 0;
	int64_t port = REDIS_PORT;

	if (host > n || host <= 2 * inner)
		return "wants a host, or a host:port";
	if (host < n && (p[host] != ':' || !digits_parse(p + host + 1, n - host - 1, 65535, &port) || port == 0))
		return "the port after the host is not 1 to 65535";
	r->t->state.host = arena_dup(r->arena, p + inner, host - 2 * inner);
	r->t->state.port = (uint16_t)port;
	return NULL;
}

static const char *parse_tcp(struct reader *r, const char *p)
{
	size_t at = 0, end;
	const char *why;

	for (size_t i = 0; p[i] != '\0'; i++)
		if (p[i] == '@')
			at = i + 1;
	if (at > 0 && (why = parse_user(r, p, at - 1)) != NULL)
		return why;
	p += at;
	end = strcspn(p, "/");
	why = parse_host(r, p, end);
	if (why != NULL || p[end] == '\0' || p[end + 1] == '\0')
		return why;
	if (!digits_parse(p + end + 1, strlen(p + end + 1), REDIS_DATABASES, &r->t->state.database))
		return "after the host only /NUMBER, the database, is understood";
	return NULL;
}

void read_redis(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	const char *text = text_of(r, node, "a Redis address"), *why, *host;

	if (text == NULL)
		return;
	if (strncmp(text, "rediss://", 9) == 0) {
		why = "rediss:// (Redis by TLS) is not built yet in this version";
	} else if (strncmp(text, "redis://", 8) == 0) {
		why = parse_tcp(r, text + 8);
	} else {
		why = strncmp(text, "unix:", 5) == 0 ? parse_unix(r, text + 5) :
		      "wants unix:/path or redis://host[:port][/db]";
	}
	if (why != NULL) {
		wrong(r, node, "%s", why);	/* never the address itself: it may hold a password */
		return;
	}
	host = strrchr(text, '@');
	if (r->t->state.password != NULL)
		r->t->state.redis = arena_printf(r->arena, "redis://%s:***%s",
			r->t->state.user != NULL ? arena_dup(r->arena, strstr(text, "://") + 3, strcspn(strstr(text, "://") + 3, ":")) : "",
			host);
	else
		r->t->state.redis = arena_dup(r->arena, text, strlen(text));
}

void read_listen(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	const char *text = text_of(r, node, "host:port"), *colon;
	int64_t port;

	if (text == NULL)
		return;
	colon = strrchr(text, ':');
	/* an IPv6 address needs its brackets, or nobody can tell where the port begins */
	if (colon == NULL || colon == text || (text[0] == '[') != (colon[-1] == ']') ||
	    (text[0] != '[' && strchr(text, ':') != colon))
		wrong(r, node, "wants host:port such as 127.0.0.1:9899 or [::1]:9899, has %s", quoted(r, text));
	else if (!digits_parse(colon + 1, strlen(colon + 1), 65535, &port) || port == 0)
		wrong(r, node, "the port is not 1 to 65535");
	else
		r->t->stats.listen = arena_dup(r->arena, text, strlen(text));
}
