#include "sync/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "model/vector.h"

void restore_name_mark(const char *endpoint, char out[RESTORE_MARK])
{
	snprintf(out, RESTORE_MARK, "restored/%s", endpoint);
}

int64_t restore_mark_read(struct value text)
{
	char copy[24];

	if (text.len <= 0 || (size_t)text.len >= sizeof copy)
		return 0;
	memcpy(copy, text.data, (size_t)text.len);
	copy[text.len] = '\0';
	return strtoll(copy, NULL, 10);
}

/* Both numbers of an endpoint, and at which endpoints an entity was mapped; not how far somebody had read. */
bool restore_keeps_position(struct value name)
{
	static const char *const kept[] = { "epoch/", "members/" };

	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if ((size_t)name.len > strlen(kept[i]) && memcmp(name.data, kept[i], strlen(kept[i])) == 0)
			return true;
	return false;
}

/* A delete of ours whose answer never came has happened, or would be repeated. */
static bool is_doubtful_delete(const struct vseen *s)
{
	return s->present && s->uncertain && s->n_intended == 0;
}

static void restore_seen(struct vseen *s)
{
	if ((!s->present && !s->detached) || is_doubtful_delete(s))
		*s = (struct vseen){ .owed = s->owed };
}

bool restore_vector(const struct vector_layout *layout, struct value blob, struct arena *arena, struct buf *out)
{
	struct vector *v;
	bool shown = false;

	if (!vector_decode(blob.data, (size_t)blob.len, layout, arena, &v, NULL) || v->dead)
		return false;
	v->n_amounts = 0;
	for (size_t e = 0; e < v->n_seen; e++) {
		restore_seen(&v->seen[e]);
		shown |= e < v->n_endpoints && v->seen[e].present;
	}
	if (shown)
		vector_encode(v, layout, out);
	return shown;
}

size_t restore_maps(const struct vector_layout *layout, const struct rid *rid, struct value blob, struct arena *arena, struct store_map_put *maps)
{
	struct vector *v;
	size_t n = 0;

	if (!vector_decode(blob.data, (size_t)blob.len, layout, arena, &v, NULL))
		return 0;
	for (size_t e = 0; e < v->n_endpoints; e++)
		if (v->seen[e].present)
			maps[n++] = (struct store_map_put){ (uint8_t)e, v->seen[e].id, *rid, false };
	return n;
}
