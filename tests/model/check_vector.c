/*
 * check_vector.c - the binary form of the last-seen vector: what goes in comes out, and nothing else is believed.
 */
#include "model/vector.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"

static uint64_t state = 1;

static uint32_t below(uint32_t n)
{
	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(state >> 33) % n;
}

static struct vector_layout layout_of(size_t fields, size_t endpoints)
{
	struct vector_layout l = { .n_fields = fields, .n_endpoints = endpoints, .fields_stored = (uint8_t)fields };

	for (size_t f = 0; f < fields; f++)
		l.field_number[f] = (uint8_t)f;
	for (size_t e = 0; e < endpoints; e++)
		l.endpoint_number[e] = (uint8_t)e;
	return l;
}

static struct edit_key some_key(size_t endpoints)
{
	struct edit_key k = { .eff = 0, .n = below(12), .origin = (uint8_t)below((uint32_t)endpoints) };

	switch (below(4)) {
	case 0:
		k.eff = EFF_UNKNOWN;
		break;
	case 1:
		k.eff = INT64_C(1767225600000000) + below(1000000);
		break;
	case 2:
		k.eff = -(int64_t)below(1000000000) * 1000000;
		break;
	case 3:
		k.eff = INT64_MAX - below(1000);
		break;
	}
	if (below(8) == 0)
		k.origin = ORIGIN_NONE;
	if (below(8) == 0)
		k.n = UINT32_MAX - below(5);
	return k;
}

static struct value some_id(struct arena *a)
{
	static const char *const ids[] = { "0", "1", "17", "007", "-5", "999999999999999999", "9999999999999999999", "",
		"a-b-c", "00000000-0000-0000-0000-000000000001", "1 ", "x\ny" };
	const char *s = ids[below(sizeof ids / sizeof *ids)];

	return (struct value){ arena_dup(a, s, strlen(s)), (int32_t)strlen(s) };
}

static struct vdeviation *some_list(struct arena *a, size_t *n, size_t fields, size_t endpoints)
{
	struct vdeviation *list = arena_zalloc(a, fields * sizeof *list);

	*n = 0;
	for (size_t f = 0; f < fields; f++)
		if (below(2) == 0)
			list[(*n)++] = (struct vdeviation){ (uint8_t)f, digest_field(below(1u << 24)), some_key(endpoints) };
	return list;
}

/* That of a row is known where all its fields are. */
static uint64_t some_row(const struct vector *v)
{
	for (size_t f = 0; f < v->n_fields; f++)
		if (v->fields[f].digest == 0)
			return 0;
	return digest_row(((uint64_t)below(1u << 30) << 12) + below(4096));
}

static void some_seen(struct arena *a, struct vseen *s, const struct vector *v, size_t endpoints)
{
	*s = (struct vseen){ .known = below(5) > 0 };
	s->owed = below(3) == 0;
	if (!s->known)
		return;		/* perhaps owed a row, with nobody knowing whether it has one */
	s->parked = s->owed && below(2) == 0;
	s->uncertain = below(6) == 0;
	if (s->uncertain && v->n_fields < 10 && endpoints < 10)
		s->intended = some_list(a, &s->n_intended, v->n_fields, endpoints);
	s->present = below(4) > 0;
	s->detached = !s->present && below(4) == 0;
	s->former = s->present && below(8) == 0;
	if (s->uncertain && !s->present && below(2) == 0)
		s->tried_key = value_of("ann@example.org");
	if (!s->present)
		return;
	s->id = some_id(a);
	s->same = below(2) == 0;
	if (s->same)
		return;
	s->row = some_row(v);
	s->deviations = some_list(a, &s->n_deviations, v->n_fields, endpoints);
}

static struct vector *some_vector(struct arena *a, size_t fields, size_t endpoints)
{
	struct vector *v = vector_new(a, fields, endpoints);
	struct edit_key one = some_key(endpoints);
	bool several = below(2) == 0;

	v->generation = below(3) == 0 ? 1 + below(1000000) : 1;
	v->newborn = below(4) == 0;
	v->dead = below(5) == 0;
	if (v->dead)
		v->deleted = some_key(endpoints);
	for (size_t f = 0; f < fields; f++) {
		v->fields[f].digest = below(8) == 0 ? 0 : digest_field(below(1u << 24));
		if (v->fields[f].digest != 0)
			v->fields[f].key = several ? some_key(endpoints) : one;
	}
	v->row = below(6) == 0 ? 0 : some_row(v);
	for (size_t e = 0; e < endpoints; e++)
		some_seen(a, &v->seen[e], v, endpoints);
	return v;
}

static void keys_equal(const struct edit_key *a, const struct edit_key *b)
{
	ck_assert_int_eq(a->eff, b->eff);
	ck_assert_uint_eq(a->n, b->n);
	ck_assert_uint_eq(a->origin, b->origin);
}

static void lists_equal(const struct vdeviation *a, size_t na, const struct vdeviation *b, size_t nb)
{
	ck_assert_uint_eq(na, nb);
	for (size_t i = 0; i < na; i++) {
		ck_assert_uint_eq(a[i].field, b[i].field);
		ck_assert_uint_eq(a[i].digest, b[i].digest);
		keys_equal(&a[i].key, &b[i].key);
	}
}

static void seen_equal(const struct vseen *a, const struct vseen *b)
{
	ck_assert_int_eq(a->known, b->known);
	ck_assert_int_eq(a->present, b->present);
	ck_assert_int_eq(a->owed, b->owed);
	ck_assert_int_eq(a->parked, b->parked);
	ck_assert_int_eq(a->uncertain, b->uncertain);
	ck_assert_int_eq(a->tried_key.len, b->tried_key.len);
	ck_assert(a->tried_key.len == 0 || value_equal(a->tried_key, b->tried_key));
	ck_assert_int_eq(a->detached, b->detached);
	ck_assert_int_eq(a->former, b->former);
	lists_equal(a->intended, a->n_intended, b->intended, b->n_intended);
	if (!a->present)
		return;
	ck_assert_int_eq(a->same, b->same);
	ck_assert(value_equal(a->id, b->id));
	if (a->same)
		return;
	ck_assert_uint_eq(a->row, b->row);
	lists_equal(a->deviations, a->n_deviations, b->deviations, b->n_deviations);
}

static void vectors_equal(const struct vector *a, const struct vector *b)
{
	ck_assert_uint_eq(a->generation, b->generation);
	ck_assert_int_eq(a->newborn, b->newborn);
	ck_assert_int_eq(a->dead, b->dead);
	if (a->dead)
		keys_equal(&a->deleted, &b->deleted);
	ck_assert_uint_eq(a->row, b->row);
	ck_assert_uint_eq(a->n_fields, b->n_fields);
	ck_assert_uint_eq(a->n_endpoints, b->n_endpoints);
	for (size_t f = 0; f < a->n_fields; f++) {
		ck_assert_uint_eq(a->fields[f].digest, b->fields[f].digest);
		if (a->fields[f].digest != 0)
			keys_equal(&a->fields[f].key, &b->fields[f].key);
	}
	for (size_t e = 0; e < a->n_endpoints; e++)
		seen_equal(&a->seen[e], &b->seen[e]);
	for (size_t e = 0; e < a->n_endpoints; e++)
		ck_assert_int_eq(vector_owed_since(a, e), vector_owed_since(b, e));
}

START_TEST(what_goes_in_comes_out)
{
	for (unsigned i = 0; i < 5000; i++) {
		/* Wide ones now and then; not wider than 250 different keys, which is what the form can name. */
		size_t fields = 1 + below(i % 50 == 0 ? 40 : 6), endpoints = 1 + below(i % 50 == 1 ? 31 : 4);
		struct vector_layout l = layout_of(fields, endpoints);
		struct buf b = { 0 };
		struct vector *v, *back;
		struct arena a;
		struct err e;

		arena_init(&a);
		v = some_vector(&a, fields, endpoints);
		vector_encode(v, &l, &b);
		ck_assert_msg(vector_decode(b.p, b.len, &l, &a, &back, &e), "%s", e.text);
		vectors_equal(v, back);
		buf_fini(&b);
		arena_fini(&a);
	}
}
END_TEST

/* A copy on the heap, so that the sanitizer sees a read behind the end. */
static bool decodes(const void *p, size_t len, const struct vector_layout *l)
{
	char *copy = malloc(len > 0 ? len : 1);
	struct vector *v;
	struct arena a;
	struct err e = { 0 };
	bool ok;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, p, len);
	arena_init(&a);
	ok = vector_decode(copy, len, l, &a, &v, &e);
	if (!ok) {
		ck_assert_int_eq(e.kind, ERR_ROW);
		ck_assert_str_eq(e.code, "bad-vector");
	}
	arena_fini(&a);
	free(copy);
	return ok;
}

START_TEST(a_piece_is_refused_wherever_it_is_cut)
{
	for (unsigned i = 0; i < 300; i++) {
		size_t fields = 1 + below(6), endpoints = 1 + below(4);
		struct vector_layout l = layout_of(fields, endpoints);
		struct buf b = { 0 };
		struct arena a;

		arena_init(&a);
		vector_encode(some_vector(&a, fields, endpoints), &l, &b);
		for (size_t n = 0; n < b.len; n++)
			ck_assert_msg(!decodes(b.p, n, &l), "vector %u: %zu of %zu bytes were taken for the whole", i, n, b.len);
		buf_fini(&b);
		arena_fini(&a);
	}
}
END_TEST

START_TEST(more_than_a_vector_is_refused)
{
	for (unsigned i = 0; i < 500; i++) {
		struct vector_layout l = layout_of(3, 2);
		struct buf b = { 0 };
		struct arena a;

		arena_init(&a);
		vector_encode(some_vector(&a, 3, 2), &l, &b);
		buf_addc(&b, (char)below(256));
		ck_assert(!decodes(b.p, b.len, &l));
		buf_fini(&b);
		arena_fini(&a);
	}
}
END_TEST

START_TEST(another_version_is_refused)
{
	struct vector_layout l = layout_of(3, 2);
	struct buf b = { 0 };
	struct arena a;

	arena_init(&a);
	vector_encode(some_vector(&a, 3, 2), &l, &b);
	for (unsigned version = 0; version < 8; version++) {
		b.p[0] = (char)((b.p[0] & 0xf8) | (int)version);
		if (version != 2)	/* the same with amounts in front */
			ck_assert_int_eq(decodes(b.p, b.len, &l), version == 1);
	}
	buf_fini(&b);
	arena_fini(&a);
}
END_TEST

START_TEST(amounts_come_back_with_the_vector)
{
	struct vector_layout l = layout_of(3, 2);
	struct vamount amounts[] = { { 0, 0x123456, value_of("10.25") }, { 2, 7, value_of("-3") }, { 2, 9, value_of("0") } };
	struct vector *v, *back;
	struct buf b = { 0 };
	struct arena a;

	arena_init(&a);
	v = some_vector(&a, 3, 2);
	v->amounts = amounts;
	v->n_amounts = 3;
	vector_encode(v, &l, &b);
	ck_assert(vector_decode(b.p, b.len, &l, &a, &back, NULL));
	ck_assert_uint_eq(back->n_amounts, 3);
	ck_assert(value_equal(*vector_amount(back, 0, 0x123456), value_of("10.25")));
	ck_assert(value_equal(*vector_amount(back, 2, 9), value_of("0")));
	ck_assert(vector_amount(back, 2, 8) == NULL);
	for (size_t len = 0; len < b.len; len++)
		ck_assert(!decodes(b.p, len, &l));
	buf_fini(&b);
	arena_fini(&a);
}
END_TEST

START_TEST(the_keys_that_it_had_come_back_with_the_vector)
{
	struct vector_layout l = layout_of(3, 2);
	struct vamount amount = { 2, 7, value_of("-3") };
	struct vformer former[] = { { 0x123456, { "0123456789" }, INT64_C(1767225600123456) }, { 7, { { 0 } }, INT64_MIN } };
	struct vector *v, *back;
	struct buf b = { 0 };
	struct arena a;

	arena_init(&a);
	v = some_vector(&a, 3, 2);
	v->amounts = &amount;
	v->n_amounts = _i & 1;
	v->former = former;
	v->n_former = _i & 2 ? 2 : 0;
	v->reference = 99;
	vector_encode(v, &l, &b);
	ck_assert(vector_decode(b.p, b.len, &l, &a, &back, NULL));
	ck_assert_uint_eq(back->n_amounts, v->n_amounts);
	ck_assert_uint_eq(back->n_former, v->n_former);
	ck_assert_uint_eq(back->reference, 99);
	for (size_t i = 0; i < v->n_former; i++) {
		ck_assert(rid_equal(&vector_former(back, former[i].digest)->rid, &former[i].rid));
		ck_assert_int_eq(vector_former(back, former[i].digest)->until, former[i].until);
	}
	ck_assert(vector_former(back, 99) == NULL);	/* that is the one that it has */
	for (size_t len = 0; len < b.len; len++)
		ck_assert(!decodes(b.p, len, &l));
	buf_fini(&b);
	arena_fini(&a);
}
END_TEST

START_TEST(garbage_does_no_harm)
{
	struct vector_layout l = layout_of(5, 3);
	unsigned char bytes[96];

	for (unsigned i = 0; i < 50000; i++) {
		size_t n = below(sizeof bytes + 1);

		for (size_t j = 0; j < n; j++)
			bytes[j] = (unsigned char)below(256);
		if (n > 0 && i % 2 == 0)
			bytes[0] = (unsigned char)((bytes[0] & 0xf0) | (i % 4 == 0 ? 2 : 1));
		decodes(bytes, n, &l);
	}
}
END_TEST

START_TEST(changed_bytes_do_no_harm)
{
	struct vector_layout l = layout_of(5, 3);

	for (unsigned i = 0; i < 500; i++) {
		struct buf b = { 0 };
		struct arena a;

		arena_init(&a);
		vector_encode(some_vector(&a, 5, 3), &l, &b);
		for (unsigned j = 0; j < 20; j++) {
			size_t at = below((uint32_t)b.len);
			char was = b.p[at];

			b.p[at] = (char)below(256);
			decodes(b.p, b.len, &l);
			b.p[at] = was;
		}
		buf_fini(&b);
		arena_fini(&a);
	}
}
END_TEST

/* A topology that dropped a field, added one and turned the order round still finds its own. */
START_TEST(names_are_found_again_by_number)
{
	struct vector_layout before = layout_of(3, 2), after = layout_of(3, 2);
	struct vector *v, *back;
	struct buf b = { 0 };
	struct arena a;
	struct err e;

	after.fields_stored = 4;
	after.field_number[0] = 2;	/* was the third */
	after.field_number[1] = 3;	/* new */
	after.field_number[2] = 0;	/* was the first */
	after.endpoint_number[0] = 1;
	after.endpoint_number[1] = 5;	/* new */
	arena_init(&a);
	v = vector_new(&a, 3, 2);
	for (size_t f = 0; f < 3; f++)
		v->fields[f] = (struct vfield){ .digest = 100 + (uint32_t)f, .key = { 1000 * ((int64_t)f + 1), 1, (uint8_t)(f % 2) } };
	v->seen[0] = (struct vseen){ .known = true, .present = true, .same = true, .id = value_of("11") };
	v->seen[1] = (struct vseen){ .known = true, .present = true, .same = true, .id = value_of("22") };
	vector_encode(v, &before, &b);
	ck_assert_msg(vector_decode(b.p, b.len, &after, &a, &back, &e), "%s", e.text);
	ck_assert_uint_eq(back->fields[0].digest, 102);
	ck_assert_int_eq(back->fields[0].key.eff, 3000);
	ck_assert_uint_eq(back->fields[1].digest, 0);
	ck_assert_uint_eq(back->fields[2].digest, 100);
	ck_assert_uint_eq(back->fields[2].key.origin, ORIGIN_NONE);
	ck_assert(back->seen[0].present && value_equal(back->seen[0].id, value_of("22")));
	ck_assert(!back->seen[1].known);
	buf_fini(&b);
	arena_fini(&a);
}
END_TEST

static struct vector *agreed_on(struct arena *a, size_t fields)
{
	struct vector *v = vector_new(a, fields, 2);

	for (size_t f = 0; f < fields; f++)
		v->fields[f] = (struct vfield){ .digest = 100 + (uint32_t)f, .key = { 1000, 1, 0 } };
	v->row = 4711;
	v->seen[0] = (struct vseen){ .known = true, .present = true, .same = true, .id = value_of("11") };
	v->seen[1] = (struct vseen){ .known = true, .present = true, .row = 4712, .id = value_of("22") };
	return v;
}

/* 0: a field was dropped, 1: one was added, 2: one was added under a number that a dropped one had left free. */
START_TEST(a_row_of_other_fields_says_nothing)
{
	struct vector_layout of[] = { layout_of(2, 2), layout_of(3, 2), layout_of(3, 2) }, all = layout_of(3, 2), two = layout_of(2, 2);
	struct vector *v, *back;
	struct buf b = { 0 };
	struct arena a;
	struct err e;

	arena_init(&a);
	two.fields_stored = _i == 2 ? 3 : 2;
	v = agreed_on(&a, _i == 0 ? 3 : 2);
	vector_encode(v, _i == 0 ? &all : &two, &b);
	ck_assert_msg(vector_decode(b.p, b.len, _i == 0 ? &all : &two, &a, &back, &e), "%s", e.text);
	ck_assert(back->row == v->row && back->seen[1].row == v->seen[1].row);
	ck_assert_msg(vector_decode(b.p, b.len, &of[_i], &a, &back, &e), "%s", e.text);
	ck_assert(back->row == 0 && back->seen[1].row == 0);
	ck_assert(back->seen[0].same && !back->seen[1].same);
	ck_assert_uint_eq(back->fields[1].digest, 101);
	buf_fini(&b);
	arena_fini(&a);
}
END_TEST

/* Whose edits they are is forgotten with the endpoint; what it showed is not. */
static void carried(const struct vseen *a, const struct vseen *b)
{
	ck_assert(a->known == b->known && a->present == b->present && a->same == b->same && a->owed == b->owed && a->parked == b->parked);
	ck_assert(a->uncertain == b->uncertain && a->detached == b->detached && a->former == b->former);
	ck_assert(value_equal(a->id, b->id) && value_equal(a->tried_key, b->tried_key));
	ck_assert_uint_eq(a->row, b->row);
	ck_assert_uint_eq(a->n_deviations, b->n_deviations);
	ck_assert_uint_eq(a->n_intended, b->n_intended);
	for (size_t i = 0; i < a->n_deviations; i++) {
		ck_assert_uint_eq(a->deviations[i].digest, b->deviations[i].digest);
		ck_assert_int_eq(a->deviations[i].key.eff, b->deviations[i].key.eff);
	}
}

START_TEST(what_an_endpoint_showed_that_has_left_is_carried_along)
{
	struct vector_layout whole = layout_of(3, 4), left = layout_of(3, 2);

	left.endpoint_number[0] = 3;
	left.endpoint_number[1] = 1;
	for (unsigned i = 0; i < 1000; i++) {
		struct vector *v, *without, *back;
		struct buf b = { 0 }, again = { 0 };
		struct arena a;
		struct err e;

		arena_init(&a);
		v = some_vector(&a, 3, 4);
		vector_encode(v, &whole, &b);
		ck_assert_msg(vector_decode(b.p, b.len, &left, &a, &without, &e), "%s", e.text);
		ck_assert_uint_eq(without->n_endpoints, 2);
		vector_encode(vector_copy(&a, without), &left, &again);
		ck_assert_msg(vector_decode(again.p, again.len, &whole, &a, &back, &e), "%s", e.text);
		ck_assert_uint_eq(back->n_seen, 4);
		ck_assert(vector_spent(v) == vector_spent(without) && vector_spent(v) == vector_spent(back));
		for (size_t n = 0; n < 4; n++)
			carried(&v->seen[n], &back->seen[n]);
		buf_fini(&b);
		buf_fini(&again);
		arena_fini(&a);
	}
}
END_TEST

START_TEST(a_usual_vector_is_small)
{
	struct vector_layout l = layout_of(10, 2);
	struct vector *v;
	struct buf b = { 0 };
	struct arena a;

	arena_init(&a);
	v = vector_new(&a, 10, 2);
	v->row = digest_row(12345);
	for (size_t f = 0; f < 10; f++)
		v->fields[f] = (struct vfield){ .digest = 1000 + (uint32_t)f, .key = { INT64_C(1767225600000000), 1, 0 } };
	for (size_t e = 0; e < 2; e++)
		v->seen[e] = (struct vseen){ .known = true, .present = true, .same = true, .id = value_of("1234567") };
	vector_encode(v, &l, &b);
	ck_assert_uint_le(b.len, 64);	/* one piece in the store's hash buckets */
	buf_fini(&b);
	arena_fini(&a);
}
END_TEST

/* The intents of a first load are many: what they intend is what is agreed, and need not be said twice. */
/* Three fields, edited at 1, 2 and 3 hours; what endpoint 1 shows of them is from 4 hours where it deviates. */
START_TEST(an_endpoint_is_behind_since_the_oldest_edit_that_it_lacks)
{
	static const int64_t hour = INT64_C(3600000000);
	struct arena a;
	struct vector *v;
	struct vdeviation shown[] = { { 1, 7, { .eff = 1 * hour } }, { 2, 8, { .eff = 4 * hour } } };

	arena_init(&a);
	v = vector_new(&a, 3, 2);
	for (size_t f = 0; f < 3; f++)
		v->fields[f] = (struct vfield){ (uint32_t)f + 1, { .eff = (int64_t)(f + 1) * hour } };
	v->seen[1] = (struct vseen){ .known = true, .owed = true };
	ck_assert_int_eq(vector_owed_since(v, 1), hour);		/* it has nothing of it */
	v->seen[1].present = true;
	v->seen[1].deviations = shown;
	v->seen[1].n_deviations = 2;
	ck_assert_int_eq(vector_owed_since(v, 1), 2 * hour);		/* not the first field's: that one it shows */
	v->seen[1].n_deviations = 1;
	v->seen[1].deviations = &shown[1];
	ck_assert_int_eq(vector_owed_since(v, 1), 4 * hour);		/* its own edit came later, and lost */
	v->fields[2].key.eff = EFF_UNKNOWN;
	shown[1].key.eff = EFF_EMPTY;
	ck_assert_int_le(vector_owed_since(v, 1), EFF_UNKNOWN);
	v->dead = true;
	v->deleted.eff = 5 * hour;
	ck_assert_int_eq(vector_owed_since(v, 1), 5 * hour);
	arena_fini(&a);
}
END_TEST

START_TEST(an_insert_in_doubt_intends_what_is_agreed)
{
	struct vector_layout l = layout_of(10, 2), later = layout_of(11, 2);
	struct vdeviation intended[10];
	struct vector *v, *back;
	struct buf b = { 0 };
	struct arena a;
	struct err e;

	arena_init(&a);
	v = vector_new(&a, 10, 2);
	v->row = digest_row(12345);
	for (size_t f = 0; f < 10; f++) {
		v->fields[f] = (struct vfield){ .digest = 1000 + (uint32_t)f, .key = { INT64_C(1767225600000000) + (int64_t)f % 2, 1, 0 } };
		intended[f] = (struct vdeviation){ (uint8_t)f, v->fields[f].digest, v->fields[f].key };
	}
	v->seen[0] = (struct vseen){ .known = true, .present = true, .same = true, .id = value_of("1234567") };
	v->seen[1] = (struct vseen){ .known = true, .owed = true, .uncertain = true, .intended = intended, .n_intended = 10 };
	vector_encode(v, &l, &b);
	ck_assert_uint_le(b.len, 80);
	ck_assert_msg(vector_decode(b.p, b.len, &later, &a, &back, &e), "%s", e.text);
	lists_equal(back->seen[1].intended, back->seen[1].n_intended, intended, 10);
	buf_clear(&b);
	intended[3].digest++;		/* something else */
	vector_encode(v, &l, &b);
	ck_assert_msg(vector_decode(b.p, b.len, &l, &a, &back, &e), "%s", e.text);
	lists_equal(back->seen[1].intended, back->seen[1].n_intended, intended, 10);
	buf_fini(&b);
	arena_fini(&a);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vector");
	TCase *t = tcase_create("codec");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, what_goes_in_comes_out);
	tcase_add_test(t, a_piece_is_refused_wherever_it_is_cut);
	tcase_add_test(t, more_than_a_vector_is_refused);
	tcase_add_test(t, another_version_is_refused);
	tcase_add_test(t, amounts_come_back_with_the_vector);
	tcase_add_loop_test(t, the_keys_that_it_had_come_back_with_the_vector, 0, 4);
	tcase_add_test(t, garbage_does_no_harm);
	tcase_add_test(t, changed_bytes_do_no_harm);
	tcase_add_test(t, names_are_found_again_by_number);
	tcase_add_loop_test(t, a_row_of_other_fields_says_nothing, 0, 3);
	tcase_add_test(t, what_an_endpoint_showed_that_has_left_is_carried_along);
	tcase_add_test(t, a_usual_vector_is_small);
	tcase_add_test(t, an_endpoint_is_behind_since_the_oldest_edit_that_it_lacks);
	tcase_add_test(t, an_insert_in_doubt_intends_what_is_agreed);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_set_fork_status(r, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
