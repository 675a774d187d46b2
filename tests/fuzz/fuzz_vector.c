/*
 * fuzz_vector.c - vectors as Redis gives them back: any bytes are either a whole vector or none, and one that is written again is the same.
 */
#include "fuzz.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "model/vector.h"

const char *const fuzz_examples[] = { NULL };

/* Versions, counts and lengths are small numbers where they make sense: pure chance would hardly ever get beyond the first. */
static void soften(const uint8_t *data, size_t size, struct buf *out)
{
	struct choices c = { data, data + size };

	buf_add(out, "", 0);
	while (c.p < c.end)
		switch (choose(&c, 4)) {
		case 0:
			buf_addc(out, (char)choose(&c, 256));
			break;
		case 1:
			buf_addc(out, (char)choose(&c, 4));
			break;
		case 2:
			buf_addc(out, (char)(choose(&c, 3) | choose(&c, 4) << 5 | choose(&c, 2) << 7));
			break;
		default:
			buf_varint(out, choose(&c, 16));
			break;
		}
}

static void check(const struct vector_layout *layout, const char *p, size_t len)
{
	struct arena arena;
	struct buf once = { 0 }, twice = { 0 };
	struct vector *v = NULL, *again = NULL;
	struct err e = { 0 };

	arena_init(&arena);
	if (!vector_decode(p, len, layout, &arena, &v, &e)) {
		fuzz_check(strcmp(e.code, "bad-vector") == 0, "it is refused as '%s'", e.code);
	} else {
		vector_encode(v, layout, &once);
		fuzz_check(vector_decode(once.p, once.len, layout, &arena, &again, &e), "what was read is written so that nobody can read it");
		vector_encode(again, layout, &twice);
		fuzz_check(once.len == twice.len && memcmp(once.p, twice.p, once.len) == 0, "written twice it is different");
		fuzz_check(v->dead == again->dead && v->generation == again->generation && vector_spent(v) == vector_spent(again), "another life");
		for (size_t n = 0; n < v->n_endpoints; n++)
			fuzz_check(vector_owed_since(v, n) == vector_owed_since(again, n), "owed since another moment");
	}
	arena_fini(&arena);
	buf_fini(&once);
	buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vector_layout layout = { .n_fields = 3, .n_endpoints = 3, .field_number = { 2, 0, 1 }, .endpoint_number = { 1, 0, 4 },
					.fields_stored = 3 };
	struct buf soft = { 0 };

	check(&layout, (const char *)data, size);
	soften(data, size, &soft);
	check(&layout, soft.p, soft.len);
	buf_fini(&soft);
	return 0;
}
