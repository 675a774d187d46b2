#include "model/vector.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/text.h"

enum {
	VERSION_PLAIN = 1, VERSION_AMOUNTS = 2, VERSION_FORWARD = 3, VERSION_MASK = 0x07,
	HEAD_NEWBORN = 0x08, HEAD_DEAD = 0x10, HEAD_KEYS = 0x20, HEAD_GENERATION = 0x40, HEAD_NO_ROW = 0x80,
	FORM_INT = 0, FORM_TEXT = 1, FORM_GONE = 2, FORM_FULL = 3, FORM_MASK = 0x3, FORM_LAST = 0x80,
	FULL_PRESENT = 0x01, FULL_SAME = 0x02, FULL_OWED = 0x04, FULL_PARKED = 0x08, FULL_UNCERTAIN = 0x10,
	FULL_TRIED_KEY = 0x02 /* without a row */,
	FULL_DETACHED = 0x20 /* with a row: FULL_FORMER */, FULL_FORMER = 0x20, FULL_INT = 0x40, FULL_UNKNOWN = 0x80,
	NUMBER_MASK = 0x1f, NUMBER_NONE = 31, KEYS_MAX = 250,
	KEYS_BYTES_MAX = 1 + KEYS_MAX * 16 + 256 + 16,	/* a key: a varint of 10, a byte, one of 5 */
	LIST_AGREED = 255, FIELD_FORMER = 255, FORMER_BYTES = RID_BYTES + 8,
};
/* 2024-01-01: stamps of today take seven bytes. */
#define EPOCH_US INT64_C(1704067200000000)

void vector_layout_order(struct vector_layout *l)
{
	for (size_t f = 0; f < l->n_fields; f++) {
		size_t place = 0;

		for (size_t g = 0; g < l->n_fields; g++)
			place += fault("f08-rows-are-of-fields-as-the-topology-has-them") ? g < f : l->field_number[g] < l->field_number[f];
		l->row_order[place] = (uint8_t)f;
	}
}

static size_t size_of(size_t n_fields, size_t n_seen)
{
	return sizeof(struct vector) + n_fields * sizeof(struct vfield) + n_seen * sizeof(struct vseen);
}

static void find_parts(struct vector *v)
{
	v->seen = (struct vseen *)(v + 1);
	v->fields = (struct vfield *)(v->seen + v->n_seen);
}

struct vector *vector_new(struct arena *a, size_t n_fields, size_t n_endpoints)
{
	struct vector *v = arena_zalloc(a, size_of(n_fields, n_endpoints));

	v->generation = 1;
	v->n_fields = n_fields;
	v->n_endpoints = v->n_seen = n_endpoints;
	find_parts(v);
	return v;
}

struct vector *vector_copy(struct arena *a, const struct vector *from)
{
	struct vector *v = arena_alloc(a, size_of(from->n_fields, from->n_seen));

	*v = *from;
	find_parts(v);
	memcpy(v->fields, from->fields, from->n_fields * sizeof *v->fields);
	memcpy(v->seen, from->seen, from->n_seen * sizeof *v->seen);
	return v;
}

bool vector_spent(const struct vector *v)
{
	if (!v->dead)
		return false;
	for (size_t e = 0; e < v->n_seen; e++)
		if (v->seen[e].present || v->seen[e].owed || v->seen[e].uncertain)
			return fault("f12-the-dead-are-forgotten-at-once");
	return true;
}

/* The difference in a field began with the later one of the two edits that disagree. */
static int64_t differs_since(const struct vector *v, const struct vseen *seen, size_t f)
{
	const struct vdeviation *dev = seen->present ? vseen_deviation(seen, f) : NULL;

	return dev != NULL && dev->key.eff > v->fields[f].key.eff ? dev->key.eff : v->fields[f].key.eff;
}

int64_t vector_owed_since(const struct vector *v, size_t e)
{
	const struct vseen *seen = &v->seen[e];
	bool some = seen->present && !seen->same && seen->n_deviations > 0;
	int64_t oldest = INT64_MAX;

	if (v->dead)
		return v->deleted.eff;
	for (size_t f = 0; f < v->n_fields; f++) {
		int64_t since = differs_since(v, seen, f);

		if (some && vseen_deviation(seen, f) == NULL)
			continue;
		if (since < oldest)
			oldest = since;
	}
	return oldest != INT64_MAX ? oldest : EFF_UNKNOWN;
}

const struct value *vector_amount(const struct vector *v, size_t field, uint32_t digest)
{
	for (size_t i = 0; i < v->n_amounts; i++)
		if (v->amounts[i].field == field && v->amounts[i].digest == digest)
			return &v->amounts[i].value;
	return NULL;
}

const struct vformer *vector_former(const struct vector *v, uint32_t digest)
{
	for (size_t i = 0; i < v->n_former; i++)
		if (v->former[i].digest == digest)
			return &v->former[i];
	return NULL;
}

const struct vdeviation *vseen_deviation(const struct vseen *s, size_t field)
{
	for (size_t i = 0; i < s->n_deviations; i++)
		if (s->deviations[i].field == field)
			return &s->deviations[i];
	return NULL;
}

/* ---- encoding ---------------------------------------------------------------------------------------- */

struct key_table {
	struct edit_key keys[KEYS_MAX];
	size_t n;
};

static uint8_t key_index(struct key_table *t, const struct edit_key *k)
{
	size_t i;

	for (i = t->n; i-- > 0;)
		if (same_key(&t->keys[i], k))
			return (uint8_t)i;
	if (t->n == KEYS_MAX)
		return KEYS_MAX - 1;	/* at most FIELDS_MAX + deviations: out of reach, but never past the end */
	t->keys[t->n] = *k;
	return (uint8_t)t->n++;
}

static void put_u24(struct buf *b, uint32_t v)
{
	unsigned char x[3] = { (unsigned char)(v >> 16), (unsigned char)(v >> 8), (unsigned char)v };

	buf_add(b, x, sizeof x);
}

static void put_u40(struct buf *b, uint64_t v)
{
	buf_addc(b, (char)(v >> 32));
	buf_be32(b, (uint32_t)v);
}

static void put_key(struct buf *b, const struct edit_key *k, const struct vector_layout *l)
{
	unsigned origin = k->origin < l->n_endpoints ? l->endpoint_number[k->origin] : NUMBER_NONE;

	buf_varint(b, zigzag(k->eff - EPOCH_US));
	buf_addc(b, (char)(origin | (k->n < 7 ? k->n : 7u) << 5));
	if (k->n >= 7)
		buf_varint(b, k->n);
}

/* A local id that prints back from an integer as it was is stored as one. */
static bool id_as_int(struct value id, uint64_t *out)
{
	uint64_t v = 0;

	if (id.len < 1 || id.len > 18 || (id.data[0] == '0' && id.len > 1))
		return false;
	for (int32_t i = 0; i < id.len; i++) {
		if (id.data[i] < '0' || id.data[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(id.data[i] - '0');
	}
	*out = v;
	return true;
}

static void put_text_id(struct buf *b, struct value id)
{
	buf_varint(b, (uint64_t)id.len);
	buf_add(b, id.data, (size_t)id.len);
}

static bool has_amounts(const struct vector *v)
{
	return v->n_amounts + v->n_former > 0 || v->reference != 0;
}

/* Builds that know nothing of these pass them over. */
static void put_former(struct buf *b, uint32_t digest, const void *rid, int32_t len)
{
	buf_addc(b, (char)FIELD_FORMER);
	put_u24(b, digest);
	put_text_id(b, (struct value){ rid, len });
}

static void put_amounts(struct buf *b, const struct vector *v, const struct vector_layout *l)
{
	buf_addc(b, (char)(v->n_amounts + v->n_former + (v->reference != 0)));
	for (size_t i = 0; i < v->n_amounts; i++) {
		buf_addc(b, (char)l->field_number[v->amounts[i].field]);
		put_u24(b, v->amounts[i].digest);
		put_text_id(b, v->amounts[i].value);
	}
	for (size_t i = 0; i < v->n_former; i++) {
		unsigned char x[FORMER_BYTES];

		memcpy(x, v->former[i].rid.b, RID_BYTES);
		for (size_t k = 0; k < 8; k++)
			x[RID_BYTES + k] = (unsigned char)((uint64_t)v->former[i].until >> (56 - 8 * k));
		put_former(b, v->former[i].digest, x, sizeof x);
	}
	if (v->reference != 0)
		put_former(b, v->reference, NULL, 0);
}

static void put_list(struct buf *b, const struct vdeviation *list, size_t n, const struct vector_layout *l, struct key_table *keys)
{
	buf_addc(b, (char)n);
	for (size_t i = 0; i < n; i++) {
		buf_addc(b, (char)l->field_number[list[i].field]);
		put_u24(b, list[i].digest);
		buf_addc(b, (char)key_index(keys, &list[i].key));
	}
}

/* Every field as it is agreed, in order: what an insert intends. */
static bool intends_agreed(const struct vector *v, const struct vseen *s)
{
	bool agreed = s->n_intended == v->n_fields;

	for (size_t f = 0; agreed && f < v->n_fields; f++)
		agreed = s->intended[f].field == f && v->fields[f].digest != 0 && s->intended[f].digest == v->fields[f].digest &&
			 same_key(&s->intended[f].key, &v->fields[f].key);
	return agreed;
}

static void put_full(struct buf *b, const struct vector *v, const struct vseen *s, unsigned number, const struct vector_layout *l,
		     struct key_table *keys)
{
	uint64_t as_int = 0;
	bool is_int = s->present && id_as_int(s->id, &as_int), tried = !s->present && s->uncertain && s->tried_key.len > 0;

	buf_addc(b, (char)(number | FORM_FULL << 5));
	buf_addc(b, (char)((s->present ? FULL_PRESENT : 0) | (s->present && s->same ? FULL_SAME : 0) | (tried ? FULL_TRIED_KEY : 0) | (s->owed ? FULL_OWED : 0) |
			   (s->parked ? FULL_PARKED : 0) | (s->uncertain ? FULL_UNCERTAIN : 0) |
			   (s->detached ? FULL_DETACHED : 0) | (s->former ? FULL_FORMER : 0) | (is_int ? FULL_INT : 0) |
			   (s->known ? 0 : FULL_UNKNOWN)));
	if (s->uncertain && intends_agreed(v, s))
		buf_addc(b, (char)LIST_AGREED);
	else if (s->uncertain)
		put_list(b, s->intended, s->n_intended, l, keys);
	if (tried)
		put_text_id(b, s->tried_key);
	if (!s->present)
		return;
	if (!s->same) {
		put_u40(b, s->row);
		put_list(b, s->deviations, s->n_deviations, l, keys);
	}
	if (is_int)
		buf_varint(b, as_int);
	else
		put_text_id(b, s->id);
}

static void put_endpoint(struct buf *b, const struct vector *v, const struct vseen *s, unsigned number, const struct vector_layout *l,
			 struct key_table *keys)
{
	bool settled = !s->owed && !s->parked && !s->uncertain && !s->detached && !s->former;
	uint64_t as_int;

	if (!s->known && settled)
		return;
	if (settled && !s->present) {
		buf_addc(b, (char)(number | FORM_GONE << 5));
	} else if (settled && s->same && id_as_int(s->id, &as_int)) {
		buf_addc(b, (char)(number | FORM_INT << 5));
		buf_varint(b, as_int);
	} else if (settled && s->same) {
		buf_addc(b, (char)(number | FORM_TEXT << 5));
		put_text_id(b, s->id);
	} else {
		put_full(b, v, s, number, l, keys);
	}
}

/*
 * The last endpoint says that it is the last: the form ends nowhere else, so a piece of a vector is never
 * taken for the whole (a lost piece of a split value, a cut reply). Where no endpoint is known, a filler says it.
 */
static void put_endpoints(const struct vector *v, const struct vector_layout *l, struct buf *b, struct key_table *keys)
{
	size_t last = SIZE_MAX;

	for (size_t e = 0; e < v->n_seen; e++) {
		size_t at = b->len;

		put_endpoint(b, v, &v->seen[e], e < v->n_endpoints ? l->endpoint_number[e] : v->left[e - v->n_endpoints], l, keys);
		if (b->len > at)
			last = at;
	}
	if (last == SIZE_MAX) {
		last = b->len;
		buf_addc(b, NUMBER_NONE | FORM_GONE << 5);
	}
	b->p[last] = (char)((unsigned char)b->p[last] | FORM_LAST);
}

static void put_fields(const struct vector *v, const struct vector_layout *l, struct buf *b,
		       struct key_table *keys, uint8_t index[FIELDS_MAX])
{
	uint32_t digests[256];
	char *to;

	memset(digests, 0, l->fields_stored * sizeof *digests);
	memset(index, 0, FIELDS_MAX);
	for (size_t f = 0; f < v->n_fields; f++) {
		uint8_t number = l->field_number[f];

		digests[number] = v->fields[f].digest;
		if (v->fields[f].digest != 0)
			index[f] = key_index(keys, &v->fields[f].key);
	}
	buf_addc(b, (char)l->fields_stored);
	to = buf_room(b, 3 * (size_t)l->fields_stored);
	for (size_t i = 0; i < l->fields_stored; i++) {
		*to++ = (char)(digests[i] >> 16);
		*to++ = (char)(digests[i] >> 8);
		*to++ = (char)digests[i];
	}
	b->len += 3 * (size_t)l->fields_stored;
	if (v->row != 0)
		put_u40(b, v->row);
}

static void put_keys(const struct vector *v, const struct vector_layout *l, struct buf *b, const struct key_table *keys,
		     const uint8_t index[FIELDS_MAX])
{
	uint8_t stored[256] = { 0 };

	if (keys->n == 1) {
		put_key(b, &keys->keys[0], l);
	} else {
		buf_addc(b, (char)keys->n);
		for (size_t i = 0; i < keys->n; i++)
			put_key(b, &keys->keys[i], l);
		for (size_t f = 0; f < v->n_fields; f++)
			stored[l->field_number[f]] = index[f];
		buf_add(b, stored, l->fields_stored);
	}
	if (v->dead)
		put_key(b, &v->deleted, l);
}

/* The keys stand in front of the endpoints, which say what keys there are. */
static void swap_tails(struct buf *b, size_t first, size_t second)
{
	char keys[KEYS_BYTES_MAX];
	size_t len = b->len - second;

	memcpy(keys, b->p + second, len);
	memmove(b->p + first + len, b->p + first, second - first);
	memcpy(b->p + first, keys, len);
}

void vector_encode(const struct vector *v, const struct vector_layout *l, struct buf *out)
{
	struct key_table keys;
	uint8_t index[FIELDS_MAX];
	size_t head_at = out->len, endpoints_at, keys_at;

	keys.n = 0;
	buf_addc(out, 0);
	if (has_amounts(v))
		put_amounts(out, v, l);
	if (v->generation != 1)
		buf_varint(out, v->generation);
	put_fields(v, l, out, &keys, index);
	endpoints_at = out->len;
	put_endpoints(v, l, out, &keys);
	keys_at = out->len;
	put_keys(v, l, out, &keys, index);
	swap_tails(out, endpoints_at, keys_at);
	out->p[head_at] = (char)((has_amounts(v) ? VERSION_AMOUNTS : VERSION_PLAIN) | (v->newborn ? HEAD_NEWBORN : 0) | (v->dead ? HEAD_DEAD : 0) |
				 (keys.n != 1 ? HEAD_KEYS : 0) | (v->generation != 1 ? HEAD_GENERATION : 0) | (v->row == 0 ? HEAD_NO_ROW : 0));
}

/* ---- decoding ---------------------------------------------------------------------------------------- */

struct reverse {		/* stored number -> index in this topology; 255: not in it */
	uint8_t field[256];
	uint8_t endpoint[32];
};

static void reverse_layout(const struct vector_layout *l, struct reverse *r)
{
	memset(r, 255, sizeof *r);
	for (size_t f = 0; f < l->n_fields; f++)
		r->field[l->field_number[f]] = (uint8_t)f;
	for (size_t e = 0; e < l->n_endpoints; e++)
		r->endpoint[l->endpoint_number[e] & NUMBER_MASK] = (uint8_t)e;
}

static uint32_t get_u24(struct cut *c)
{
	const unsigned char *p = cut_bytes(c, 3);

	return p != NULL ? (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2] : 0;
}

static uint64_t get_u40(struct cut *c)
{
	uint64_t high = cut_u8(c);

	return high << 32 | cut_be32(c);
}

static struct edit_key get_key(struct cut *c, const struct reverse *r)
{
	struct edit_key k;
	uint8_t packed;
	uint64_t n;

	k.eff = (int64_t)((uint64_t)unzigzag(cut_varint(c)) + (uint64_t)EPOCH_US);
	packed = cut_u8(c);
	k.origin = r->endpoint[packed & NUMBER_MASK];
	n = packed >> 5;
	if (n == 7)
		n = cut_varint(c);
	if (n > UINT32_MAX)
		c->bad = true;
	k.n = (uint32_t)n;
	return k;
}

static struct value get_text_id(struct cut *c)
{
	uint64_t len = cut_varint(c);
	const char *p;

	if (len > cut_left(c) || len > INT32_MAX) {
		c->bad = true;
		return VALUE_NULL;
	}
	p = cut_bytes(c, len);
	return (struct value){ p, p != NULL ? (int32_t)len : -1 };
}

static struct value get_int_id(struct cut *c, struct arena *a)
{
	char text[20];
	size_t len = (size_t)(digits_put(text, cut_varint(c)) - text);

	return (struct value){ arena_dup(a, text, len), (int32_t)len };
}

struct keys_read {
	const struct edit_key *list;
	size_t n;
};

static struct vdeviation *list_agreed(const struct vector *v, size_t *out, struct arena *a)
{
	struct vdeviation *list = arena_alloc(a, (v->n_fields + 1) * sizeof *list);

	for (size_t f = 0; f < v->n_fields; f++)
		if (v->fields[f].digest != 0)	/* else the field is younger than the list */
			list[(*out)++] = (struct vdeviation){ (uint8_t)f, v->fields[f].digest, v->fields[f].key };
	return list;
}

static struct vdeviation *get_list(struct cut *c, size_t *out, const struct reverse *r, const struct keys_read *keys, struct arena *a)
{
	size_t n = cut_u8(c);
	struct vdeviation *list = arena_alloc(a, (n + 1) * sizeof *list);

	for (size_t i = 0; i < n && !c->bad; i++) {
		uint8_t field = r->field[cut_u8(c)];
		uint32_t digest = get_u24(c);
		uint8_t key = cut_u8(c);

		if (key >= keys->n)
			c->bad = true;
		else if (field != 255)
			list[(*out)++] = (struct vdeviation){ field, digest, keys->list[key] };
	}
	return list;
}

static struct vdeviation *get_intended(struct cut *c, const struct vector *v, size_t *out, const struct reverse *r,
				       const struct keys_read *keys, struct arena *a)
{
	if (cut_left(c) == 0 || *c->p != LIST_AGREED)
		return get_list(c, out, r, keys, a);
	cut_u8(c);
	return list_agreed(v, out, a);
}

static void get_full(struct cut *c, const struct vector *v, struct vseen *s, const struct reverse *r, const struct keys_read *keys,
		     struct arena *a)
{
	uint8_t flags = cut_u8(c);

	s->known = !(flags & FULL_UNKNOWN);
	s->present = flags & FULL_PRESENT;
	s->same = s->present && (flags & FULL_SAME);
	s->owed = flags & FULL_OWED;
	s->parked = flags & FULL_PARKED;
	s->uncertain = flags & FULL_UNCERTAIN;
	s->detached = !s->present && (flags & FULL_DETACHED);
	s->former = s->present && (flags & FULL_FORMER);
	if (s->uncertain)
		s->intended = get_intended(c, v, &s->n_intended, r, keys, a);
	if (!s->present && (flags & FULL_TRIED_KEY))
		s->tried_key = get_text_id(c);
	if (!s->present)
		return;
	if (!s->same) {
		s->row = get_u40(c);
		s->deviations = get_list(c, &s->n_deviations, r, keys, a);
	}
	s->id = flags & FULL_INT ? get_int_id(c, a) : get_text_id(c);
}

struct left {			/* what is known of endpoints that are not in the topology */
	size_t n;
	uint8_t numbers[NUMBER_NONE];
	struct vseen seen[NUMBER_NONE];
};

static void keep_left(struct left *left, uint8_t number, const struct vseen *s)
{
	size_t i = 0;

	while (i < left->n && left->numbers[i] != number)
		i++;
	if (number == NUMBER_NONE || fault("f12-who-has-left-is-forgotten"))
		return;
	left->n += i == left->n;
	left->numbers[i] = number;
	left->seen[i] = *s;
}

static struct vector *with_left(struct arena *a, const struct vector *from, const struct left *left)
{
	struct vector *v = arena_alloc(a, size_of(from->n_fields, from->n_endpoints + left->n));

	*v = *from;
	v->n_seen = from->n_endpoints + left->n;
	v->left = (uint8_t *)arena_dup(a, left->numbers, left->n);
	find_parts(v);
	memcpy(v->fields, from->fields, from->n_fields * sizeof *v->fields);
	memcpy(v->seen, from->seen, from->n_endpoints * sizeof *v->seen);
	memcpy(v->seen + v->n_endpoints, left->seen, left->n * sizeof *v->seen);
	return v;
}

/* False after the last one. */
static bool get_endpoint(struct cut *c, struct vector *v, struct left *left, const struct reverse *r, const struct keys_read *keys, struct arena *a)
{
	uint8_t head = cut_u8(c);
	uint8_t e = r->endpoint[head & NUMBER_MASK];
	struct vseen s = { .known = true };

	switch (head >> 5 & FORM_MASK) {
	case FORM_INT:
		s.present = s.same = true;
		s.id = get_int_id(c, a);
		break;
	case FORM_TEXT:
		s.present = s.same = true;
		s.id = get_text_id(c);
		break;
	case FORM_GONE:
		break;
	case FORM_FULL:
		get_full(c, v, &s, r, keys, a);
		break;
	}
	if (e != 255)
		v->seen[e] = s;
	else
		keep_left(left, head & NUMBER_MASK, &s);
	return !(head & FORM_LAST) && !c->bad;
}

/* False: the fields that are known are not just those of the topology. */
static bool get_fields(struct cut *c, struct vector *v, const struct reverse *r, size_t n, uint8_t numbers[256])
{
	size_t known = 0, strange = 0;

	for (size_t i = 0; i < n; i++) {
		uint32_t digest = get_u24(c);

		numbers[i] = r->field[i];
		if (numbers[i] != 255)
			v->fields[numbers[i]].digest = digest;
		known += digest != 0 && numbers[i] != 255;
		strange += digest != 0 && numbers[i] == 255;
	}
	return known == v->n_fields && strange == 0;
}

/*
 * Digests of rows are of all the fields that the topology had then. By those of another set of fields every row would look as if something in
 * it had been edited; without them the fields decide.
 */
static void forget_rows(struct vector *v)
{
	v->row = 0;
	for (size_t e = 0; e < v->n_seen; e++)
		v->seen[e].row = 0;
}

/* Builds of before 2026-12 kept no moment: then it is long ago. */
static void get_former(struct vector *v, uint32_t digest, struct value x)
{
	struct vformer *former;
	uint64_t until = 0;

	if (x.len == 0)
		v->reference = digest;
	if ((x.len != RID_BYTES && x.len != FORMER_BYTES) || v->n_former == FORMER_MAX)
		return;
	former = &v->former[v->n_former++];
	for (int32_t k = RID_BYTES; k < x.len; k++)
		until = until << 8 | (unsigned char)x.data[k];
	former->digest = digest;
	memcpy(former->rid.b, x.data, RID_BYTES);
	former->until = x.len == FORMER_BYTES ? (int64_t)until : INT64_MIN;
}

static void get_amounts(struct cut *c, struct vector *v, const struct reverse *r, struct arena *a)
{
	size_t n = cut_u8(c);

	v->amounts = arena_alloc(a, (n + 1) * sizeof *v->amounts);
	v->former = arena_alloc(a, FORMER_MAX * sizeof *v->former);
	for (size_t i = 0; i < n && !c->bad; i++) {
		uint8_t number = cut_u8(c);
		struct vamount x = { .field = r->field[number] };

		x.digest = get_u24(c);
		x.value = get_text_id(c);
		if (c->bad)
			return;
		if (number == FIELD_FORMER)
			get_former(v, x.digest, x.value);
		else if (x.field != 255 && v->n_amounts < AMOUNTS_MAX)
			v->amounts[v->n_amounts++] = x;
	}
}

bool vector_decode(const void *p, size_t len, const struct vector_layout *l, struct arena *a, struct vector **out, struct err *e)
{
	struct cut c = cut_of(p, len);
	struct reverse r;
	struct edit_key table[KEYS_MAX];
	struct keys_read keys = { table, 1 };
	uint8_t head = cut_u8(&c), numbers[256];
	struct vector *v = vector_new(a, l->n_fields, l->n_endpoints);
	struct left left;
	bool whole;
	size_t n;

	left.n = 0;
	if ((head & VERSION_MASK) != VERSION_PLAIN && (head & VERSION_MASK) != VERSION_AMOUNTS)
		return err_set(e, ERR_ROW, "bad-vector", "vector of version %u, this build knows %u", head & VERSION_MASK, VERSION_AMOUNTS);
	reverse_layout(l, &r);
	if ((head & VERSION_MASK) == VERSION_AMOUNTS)
		get_amounts(&c, v, &r, a);
	v->generation = head & HEAD_GENERATION ? (uint32_t)cut_varint(&c) : 1;
	v->newborn = head & HEAD_NEWBORN;
	v->dead = head & HEAD_DEAD;
	n = cut_u8(&c);
	whole = get_fields(&c, v, &r, n, numbers);
	v->row = head & HEAD_NO_ROW ? 0 : get_u40(&c);
	if (head & HEAD_KEYS)
		keys.n = cut_u8(&c);
	if (keys.n > KEYS_MAX)
		c.bad = true;
	for (size_t i = 0; i < keys.n && !c.bad; i++)
		table[i] = get_key(&c, &r);
	for (size_t i = 0; i < n && !c.bad; i++) {
		uint8_t k = head & HEAD_KEYS ? cut_u8(&c) : 0;

		if (numbers[i] == 255 || v->fields[numbers[i]].digest == 0)
			continue;
		if (k >= keys.n)
			c.bad = true;
		else
			v->fields[numbers[i]].key = table[k];
	}
	if (v->dead)
		v->deleted = get_key(&c, &r);
	while (!c.bad && get_endpoint(&c, v, &left, &r, &keys, a))
		;
	if (c.bad || cut_left(&c) > 0)
		return err_set(e, ERR_ROW, "bad-vector", "vector of %zu bytes is damaged", len);
	*out = left.n > 0 ? with_left(a, v, &left) : v;
	if (!whole && !fault("f08-a-row-is-of-the-same-fields-for-ever"))
		forget_rows(*out);
	return true;
}

void vector_encode_forward(const struct rid *to, struct buf *out)
{
	buf_addc(out, VERSION_FORWARD);
	buf_add(out, to->b, RID_BYTES);
}

bool vector_decode_forward(struct value blob, struct rid *to)
{
	if (blob.len != 1 + RID_BYTES || blob.data[0] != VERSION_FORWARD)
		return false;
	memcpy(to->b, blob.data + 1, RID_BYTES);
	return true;
}
