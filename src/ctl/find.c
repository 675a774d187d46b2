#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "ctl/ctl.h"

#define DEFAULT_CONFIG SYSCONFDIR "/crmsyncd/crmsyncd.yaml"
#define DEFAULT_SOCKET "/run/crmsyncd/control.sock"

enum { FILE_MAX = 1024 * 1024 };	/* the daemon reads no more either */

/* ---- the scanner ------------------------------------------------------------------------------------- */

/* A plain or quoted scalar at s; a comment behind it is none of it. NULL when nothing is there. */
static char *scalar(const char *s, const char *stop)
{
	const char *end;

	s += strspn(s, " \t");
	if (*s == '\'' || *s == '"') {
		end = strchr(s + 1, *s);
		return end != NULL && end > s + 1 ? xstrndup(s + 1, (size_t)(end - s - 1)) : NULL;
	}
	end = s + strcspn(s, stop);
	for (const char *p = s; p < end; p++)
		if (*p == '#' && (p == s || p[-1] == ' ' || p[-1] == '\t'))
			end = p;
	while (end > s && strchr(" \t\r", end[-1]) != NULL)
		end--;
	return end > s ? xstrndup(s, (size_t)(end - s)) : NULL;
}

/* What stands behind `key:` at s, or NULL when something else stands there. */
static const char *behind_key(const char *s, const char *key)
{
	size_t n = strlen(key);

	if (strncmp(s, key, n) != 0)
		return NULL;
	s += n;
	s += strspn(s, " \t");
	return *s == ':' && strchr(" \t\r\n", s[1]) != NULL ? s + 1 : NULL;
}

/* control: {socket: PATH} */
static char *in_flow(const char *s)
{
	const char *line_end = s + strcspn(s, "\n");

	for (s += strspn(s, " \t"); (*s == '{' || *s == ',') && s < line_end; s += strcspn(s, ",}\n")) {
		const char *value;

		s += 1 + strspn(s + 1, " \t");
		value = behind_key(s, "socket");
		if (value != NULL)
			return scalar(value, ",}\n");
	}
	return NULL;
}

char *find_in_topology(const char *text)
{
	bool inside = false;

	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		size_t indent = strspn(line, " ");
		const char *value;

		if (strchr("#\r\n", line[indent]) != NULL)
			continue;		/* an empty line or a comment ends nothing */
		if (indent == 0) {
			value = behind_key(line, "control");
			inside = value != NULL;
			if (inside && value[strspn(value, " \t")] == '{')
				return in_flow(value);
		} else if (inside && (value = behind_key(line + indent, "socket")) != NULL) {
			return scalar(value, "\n");
		}
	}
	return NULL;
}

/* ---- the file ---------------------------------------------------------------------------------------- */

static char *read_file(const char *file)
{
	struct buf text = { 0 };
	FILE *f = fopen(file, "re");
	size_t n;

	if (f == NULL)
		return NULL;
	n = fread(buf_room(&text, FILE_MAX), 1, FILE_MAX, f);
	text.len = n;
	fclose(f);
	return buf_take(&text);
}

int find_socket(struct ctl *c)
{
	const char *file = c->config != NULL ? c->config : DEFAULT_CONFIG;
	char *text;

	if (c->socket != NULL) {
		c->path = xstrdup(c->socket);
		return CTL_OK;
	}
	text = read_file(file);
	if (text == NULL && c->config != NULL) {
		int error = errno;

		complain("cannot read %s: %s", file, strerror(error));
		return error == EACCES ? CTL_NOT_PERMITTED : CTL_CONFIGURATION;
	}
	/* The default file may be there for the daemon's user only; the socket then is where it usually is. */
	c->path = text != NULL ? find_in_topology(text) : NULL;
	if (c->path == NULL)
		c->path = xstrdup(DEFAULT_SOCKET);
	free(text);
	return CTL_OK;
}
