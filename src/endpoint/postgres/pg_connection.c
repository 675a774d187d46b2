/*
 * pg_connection.c - is it a connection string? Judged by libpq's own parser; asks nobody.
 */
#include "endpoint/postgres/pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/topology.h"

/* Its words quote what it did not understand. Where that may be a password, or a part of one, they are not told: nor of what has an @
 * and is none of its URIs, but was perhaps meant to be. */
static bool may_hold_password(const char *connection)
{
	bool uri = strncmp(connection, "postgresql://", 13) == 0 || strncmp(connection, "postgres://", 11) == 0, may;
	struct buf shown = { 0 };

	conf_redact(&shown, connection);
	may = strcmp(shown.p, connection) != 0 || (!uri && strchr(connection, '@') != NULL);
	buf_fini(&shown);
	return may;
}

static void tell(const char *connection, const char *words, char *why, size_t why_size)
{
	if (words == NULL || may_hold_password(connection))
		snprintf(why, why_size, "not a connection string that libpq understands: keyword=value pairs, or a URI postgresql://...");
	else
		snprintf(why, why_size, "not a connection string that libpq understands: %.*s", (int)strcspn(words, "\n"), words);
}

/* ---- values, which libpq itself judges only when it connects ------------------------------------------ */

static bool is_port(const char *p, size_t n)
{
	char *end;
	long port = strtol(p, &end, 10);

	return n == 0 || (end == p + n && *p >= '0' && *p <= '9' && port >= 1 && port <= 65535);
}

/* One for each host, parted by commas; an empty one is the default. */
static bool are_ports(const char *p)
{
	size_t n = strcspn(p, ",");

	return is_port(p, n) && (p[n] == '\0' || are_ports(p + n + 1));
}

static bool is_sslmode(const char *text)
{
	static const char *const words[] = { "disable", "allow", "prefer", "require", "verify-ca", "verify-full" };

	for (size_t i = 0; i < countof(words); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return text[0] == '\0';		/* the default */
}

static const struct {
	const char *keyword;
	bool (*ok)(const char *);
	const char *words;
} judged[] = {
	{ "port", are_ports, "port: wants a number from 1 to 65535" },
	{ "sslmode", is_sslmode, "sslmode: wants disable, allow, prefer, require, verify-ca or verify-full" },
};

static const char *what_is_wrong(const PQconninfoOption *options)
{
	for (const PQconninfoOption *o = options; o->keyword != NULL; o++)
		for (size_t i = 0; i < countof(judged); i++)
			if (o->val != NULL && strcmp(o->keyword, judged[i].keyword) == 0 && !judged[i].ok(o->val))
				return judged[i].words;
	return NULL;
}

bool postgres_connection_check(const char *connection, char *why, size_t why_size)
{
	char *words = NULL;
	PQconninfoOption *options = PQconninfoParse(connection, &words);
	const char *wrong = options != NULL ? what_is_wrong(options) : NULL;

	if (options == NULL)
		tell(connection, words, why, why_size);
	else if (wrong != NULL)
		snprintf(why, why_size, "%s", wrong);
	PQfreemem(words);
	PQconninfoFree(options);
	return options != NULL && wrong == NULL;
}
