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

static struct edit_key key_of(struct choices *c)
{
	return (struct edit_key){ .eff = (int64_t)choose(c, 3) * 1000000, .n = choose(c, 12), .origin = (uint8_t)choose(c, 3) };
}

/* Some deviate each in its own way, or all are as agreed: but for the key of one, perhaps. */
static struct vdeviation *list_of(struct choices *c, const struct vector *v, size_t *n, struct arena *arena)
{
	struct vdeviation *list = arena_zalloc(arena, v->n_fields * sizeof *list);
	bool agreed = choose(c, 3) == 0;

	*n = agreed ? v->n_fields : choose(c, 3);
	for (size_t i = 0; i < *n; i++)
		list[i] = (struct vdeviation){ (uint8_t)i, agreed ? v->fields[i].digest : 1 + choose(c, 9), agreed ? v->fields[i].key : key_of(c) };
	if (agreed && choose(c, 2))
		list[0].key = key_of(c);
	return list;
}

static struct vseen seen_of(struct choices *c, const struct vector *v, struct arena *arena)
{
	static const char *const ids[] = { "7", "007", "a-b", "123456789012345678" };
	struct vseen s = { .known = choose(c, 4) > 0, .owed = choose(c, 2), .parked = choose(c, 4) == 0, .uncertain = choose(c, 3) == 0, .id = VALUE_NULL };

	s.present = s.known && choose(c, 3) > 0;
	s.detached = !s.present && choose(c, 4) == 0;
	s.former = s.present && choose(c, 3) == 0;
	s.same = s.present && choose(c, 2);
	if (s.present)
		s.id = value_of(ids[choose(c, 4)]);
	if (s.present && !s.same) {
		s.row = 1 + choose(c, 9);
		s.deviations = list_of(c, v, &s.n_deviations, arena);
	}
	if (s.uncertain)
		s.intended = list_of(c, v, &s.n_intended, arena);
	if (s.uncertain && !s.present && choose(c, 2))
		s.tried_key = value_of("ann@example.org");
	return s;
}

/* A vector as the daemon makes them: by pure chance the fuller forms would hardly ever come. */
static struct vector *made_of(struct choices *c, const struct vector_layout *l, struct arena *arena)
{
	struct vector *v = vector_new(arena, l->n_fields, l->n_endpoints);

	v->generation = 1 + choose(c, 3);
	v->newborn = choose(c, 4) == 0;
	v->dead = choose(c, 4) == 0;
	if (v->dead)
		v->deleted = key_of(c);
	v->row = choose(c, 3);
	for (size_t f = 0; f < l->n_fields; f++)
		v->fields[f] = (struct vfield){ 1 + choose(c, 3), key_of(c) };
	v->n_amounts = choose(c, 3);
	v->amounts = arena_zalloc(arena, 3 * sizeof *v->amounts);
	for (size_t i = 0; i < v->n_amounts; i++)
		v->amounts[i] = (struct vamount){ (uint8_t)choose(c, 3), 1 + choose(c, 9), value_of(choose(c, 2) ? "1.5" : "-20") };
	v->reference = choose(c, 3);
	v->n_former = choose(c, 3);
	v->former = arena_zalloc(arena, 3 * sizeof *v->former);
	for (size_t i = 0; i < v->n_former; i++)
		v->former[i] = (struct vformer){ 1 + choose(c, 9), { { (unsigned char)choose(c, 256) } } };
	for (size_t e = 0; e < l->n_endpoints; e++)
		v->seen[e] = seen_of(c, v, arena);
	return v;
}

static bool same_list(const struct vdeviation *a, size_t n, const struct vdeviation *b, size_t m)
{
	bool same = n == m;

	for (size_t i = 0; same && i < n; i++)
		same = a[i].field == b[i].field && a[i].digest == b[i].digest && same_key(&a[i].key, &b[i].key);
	return same;
}

static void check_seen(const struct vseen *i, const struct vseen *s, size_t e)
{
	fuzz_check(i->known == s->known && i->present == s->present && i->owed == s->owed && i->parked == s->parked &&
		   i->uncertain == s->uncertain && i->detached == s->detached && i->former == s->former && i->same == s->same,
		   "endpoint %zu is another", e);
	fuzz_check(i->row == s->row && (!s->present || value_equal(i->id, s->id)), "endpoint %zu shows something else", e);
	fuzz_check(same_list(i->deviations, i->n_deviations, s->deviations, s->n_deviations), "endpoint %zu deviates in another way", e);
	fuzz_check(same_list(i->intended, i->n_intended, s->intended, s->n_intended), "endpoint %zu is to get something else", e);
	fuzz_check(s->tried_key.len <= 0 ? i->tried_key.len <= 0 : value_equal(i->tried_key, s->tried_key), "endpoint %zu: another key was tried", e);
}

static void check_made(const struct vector_layout *layout, const uint8_t *data, size_t size)
{
	struct choices c = { data, data + size };
	struct arena arena;
	struct buf b = { 0 };
	struct vector *v, *is = NULL;

	arena_init(&arena);
	v = made_of(&c, layout, &arena);
	vector_encode(v, layout, &b);
	fuzz_check(vector_decode(b.p, b.len, layout, &arena, &is, NULL), "what was made cannot be read");
	fuzz_check(is->newborn == v->newborn && is->dead == v->dead && is->generation == v->generation && is->row == v->row && same_key(&is->deleted, &v->deleted), "another life");
	for (size_t f = 0; f < layout->n_fields; f++)
		fuzz_check(is->fields[f].digest == v->fields[f].digest && same_key(&is->fields[f].key, &v->fields[f].key), "another field %zu", f);
	fuzz_check(is->n_amounts == v->n_amounts, "%zu amounts of %zu", is->n_amounts, v->n_amounts);
	for (size_t i = 0; i < v->n_amounts; i++)
		fuzz_check(is->amounts[i].field == v->amounts[i].field && is->amounts[i].digest == v->amounts[i].digest &&
			   value_equal(is->amounts[i].value, v->amounts[i].value), "another amount %zu", i);
	fuzz_check(is->reference == v->reference && is->n_former == v->n_former, "%zu keys that it had of %zu", is->n_former, v->n_former);
	for (size_t i = 0; i < v->n_former; i++)
		fuzz_check(is->former[i].digest == v->former[i].digest && rid_equal(&is->former[i].rid, &v->former[i].rid), "another key %zu", i);
	for (size_t e = 0; e < layout->n_endpoints; e++)
		check_seen(&is->seen[e], &v->seen[e], e);
	arena_fini(&arena);
	buf_fini(&b);
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
		fuzz_check(v->newborn == again->newborn && v->dead == again->dead && v->generation == again->generation && vector_spent(v) == vector_spent(again), "another life");
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
	check_made(&layout, data, size);
	soften(data, size, &soft);
	check(&layout, soft.p, soft.len);
	buf_fini(&soft);
	return 0;
}
