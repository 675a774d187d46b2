#include "model/record.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/mem.h"

/* What is hashed is put together here; longer values take their own memory. */
enum { SCRATCH_BYTES = 512 };

/* ---- keys -------------------------------------------------------------------------------------------- */

static size_t prefix_write(char text[16], int32_t len)
{
	return (size_t)snprintf(text, 16, "%d:", len);
}

struct value record_key_encode(const struct value *key_values, size_t n, struct arena *arena)
{
	size_t size = 0;
	char prefix[16], *text, *to;

	if (n == 1)
		return key_values[0];
	for (size_t i = 0; i < n; i++) {
		if (value_is_null(key_values[i]))
			return VALUE_NULL;
		size += prefix_write(prefix, key_values[i].len) + (size_t)key_values[i].len;
	}
	assert(size <= INT32_MAX);
	to = text = arena_alloc(arena, size + 1);
	for (size_t i = 0; i < n; i++) {
		size_t len = prefix_write(prefix, key_values[i].len);

		memcpy(to, prefix, len);
		to += len;
		if (key_values[i].len > 0)
			memcpy(to, key_values[i].data, (size_t)key_values[i].len);
		to += key_values[i].len;
	}
	*to = '\0';
	return (struct value){ text, (int32_t)size };
}

/* "12:" in the one form that record_key_encode() writes: no sign, no leading zeros. */
static bool prefix_read(const char **p, const char *end, int32_t *len)
{
	const char *digit = *p;
	int64_t n = 0;

	for (; digit < end && *digit >= '0' && *digit <= '9' && n <= INT32_MAX; digit++)
		n = n * 10 + (*digit - '0');
	if (digit == *p || digit == end || *digit != ':' || (**p == '0' && digit - *p > 1))
		return false;
	*p = digit + 1;
	*len = (int32_t)n;
	return n <= end - *p;
}

bool record_key_decode(struct value encoded, size_t n, struct value *out)
{
	const char *p = encoded.data, *end;

	if (value_is_null(encoded))
		return false;
	end = p + encoded.len;
	if (n == 1) {
		out[0] = encoded;
		return true;
	}
	for (size_t i = 0; i < n; i++) {
		int32_t len;

		if (!prefix_read(&p, end, &len))
			return false;
		out[i] = (struct value){ p, len };
		p += len;
	}
	return p == end;
}

struct value record_key(const struct entity_def *entity, const struct value *values, struct arena *arena)
{
	struct value key[KEY_FIELDS_MAX];

	for (size_t i = 0; i < entity->n_key; i++)
		key[i] = values[entity->key[i]];
	return record_key_encode(key, entity->n_key, arena);
}

/* Such that two keys never look alike: what parts them is written otherwise inside of a part. */
static void print_part(struct buf *out, struct value part)
{
	for (int32_t i = 0; i < part.len; i++) {
		if (part.data[i] == '/' || part.data[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, part.data[i]);
	}
}

void record_key_print(struct buf *out, struct value encoded, size_t n)
{
	struct value parts[KEY_FIELDS_MAX];

	assert(n <= KEY_FIELDS_MAX);
	if (!record_key_decode(encoded, n, parts)) {
		if (!value_is_null(encoded))
			buf_add(out, encoded.data, (size_t)encoded.len);
		return;
	}
	if (n == 1) {
		buf_add(out, parts[0].data, (size_t)parts[0].len);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_adds(out, " / ");
		print_part(out, parts[i]);
	}
}

/* ---- digests ----------------------------------------------------------------------------------------- */

/* `a` and `b` in one piece, in `scratch` when they fit; joined_free() ends it. */
static char *joined(char scratch[SCRATCH_BYTES], const void *a, size_t n, const void *b, size_t m)
{
	char *p = n + m <= SCRATCH_BYTES ? scratch : xmalloc(n + m);

	memcpy(p, a, n);
	if (m > 0)
		memcpy(p + n, b, m);
	return p;
}

static void joined_free(char *p, const char *scratch)
{
	if (p != scratch)
		free(p);
}

struct rid rid_of(const struct digest_key *key, const struct entity_def *entity, struct value encoded_key)
{
	size_t n = strlen(entity->name) + 1, m = (size_t)encoded_key.len;	/* the NUL parts name and key */
	char scratch[SCRATCH_BYTES], *text;
	unsigned char digest[16];
	struct rid rid;

	assert(!value_is_null(encoded_key));
	text = joined(scratch, entity->name, n, encoded_key.data, m);
	digest128(key, text, n + m, digest);
	joined_free(text, scratch);
	memcpy(rid.b, digest, RID_BYTES);
	return rid;
}

uint64_t value_digest(const struct digest_key *key, enum field_type type, struct value v)
{
	bool null = value_is_null(v) || (v.len == 0 && fault("f17-empty-means-null"));
	unsigned char tag = (unsigned char)(null ? type | 0x80 : type);
	size_t n = null ? 0 : (size_t)v.len;
	char scratch[SCRATCH_BYTES], *text = joined(scratch, &tag, 1, v.data, n);
	uint64_t digest = digest64(key, text, 1 + n);

	joined_free(text, scratch);
	return digest;
}

uint64_t row_digest(const struct digest_key *key, const uint64_t *field_digests, size_t n, const uint8_t *order)
{
	uint64_t fixed[FIELDS_MAX];	/* one byte order: the digests are kept and outlive this machine */

	assert(n <= FIELDS_MAX);
	for (size_t i = 0; i < n; i++)
		fixed[i] = htole64(field_digests[order[i]]);
	return digest64(key, fixed, n * sizeof fixed[0]);
}
