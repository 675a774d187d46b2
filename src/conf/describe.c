#include "conf/describe.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/topology.h"
#include "model/value.h"

static char *entity_line(const struct entity_def *def)
{
	struct buf b = { 0 };

	buf_addf(&b, "entity %s key", def->name);
	for (size_t k = 0; k < def->n_key; k++)
		buf_addf(&b, " %s", def->fields[def->key[k]].name);
	return buf_take(&b);
}

static char *field_line(const struct entity_def *def, const struct field_def *field)
{
	return xasprintf("field %s.%s %s%s%s", def->name, field->name, field_type_name(field->type), field->refers != NULL ? " " : "",
			 field->refers != NULL ? field->refers->name : "");
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void topology_describe(const struct topology *t, struct buf *out)
{
	size_t most = t->n_endpoints, n = 0;
	char **lines;

	for (size_t i = 0; i < t->n_entities; i++)
		most += 1 + t->entities[i].def.n_fields;
	lines = xcalloc(most + 1, sizeof *lines);
	for (size_t i = 0; i < t->n_endpoints; i++)
		lines[n++] = xasprintf("endpoint %s %s", t->endpoints[i].name, driver_name(t->endpoints[i].driver));
	for (size_t i = 0; i < t->n_entities; i++) {
		const struct entity_def *def = &t->entities[i].def;

		lines[n++] = entity_line(def);
		for (size_t f = 0; f < def->n_fields; f++)
			lines[n++] = field_line(def, &def->fields[f]);
	}
	qsort(lines, n, sizeof *lines, by_text);
	buf_addf(out, "topology %s\n", t->name);
	for (size_t i = 0; i < n; i++) {
		buf_addf(out, "%s\n", lines[i]);
		free(lines[i]);
	}
	free(lines);
}
