/*
 * table_name.c - a table's name as it stands in the topology, in its parts.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/topology.h"

enum { PART_MAX = 63 };		/* of the server; it would cut a longer one and find another table, or none */

/* Up to the quote that ends it; "" is a quote. NULL: malformed. */
static char *take_quoted(const char **text)
{
	const char *p = *text + 1;
	struct buf b = { 0 };

	for (; *p != '\0' && (*p != '"' || p[1] == '"'); p++) {
		p += *p == '"';
		buf_addc(&b, *p);
	}
	if (*p != '"' || b.len == 0) {
		buf_fini(&b);
		return NULL;
	}
	*text = p + 1;
	return buf_take(&b);
}

static char *take_plain(const char **text)
{
	const char *p = *text;
	size_t len = strcspn(p, ".\"");

	*text = p + len;
	return len > 0 && p[len] != '"' ? xstrndup(p, len) : NULL;
}

static char *take_part(const char **text)
{
	char *part = **text == '"' ? take_quoted(text) : take_plain(text);

	if (part != NULL && strlen(part) <= PART_MAX)
		return part;
	free(part);
	return NULL;
}

bool table_name_split(const char *text, char **schema, char **name)
{
	*schema = NULL;
	*name = take_part(&text);
	if (*name != NULL && *text == '.') {
		text++;
		*schema = *name;
		*name = take_part(&text);
	}
	if (*name != NULL && *text == '\0')
		return true;
	free(*schema);
	free(*name);
	*schema = *name = NULL;
	return false;
}
