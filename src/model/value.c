#include "model/value.h"

#include <assert.h>
#include <strings.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/value_canon.h"

static const char *const type_names[FIELD_TYPES] = {
	[FIELD_TEXT] = "text", [FIELD_INTEGER] = "integer", [FIELD_DECIMAL] = "decimal", [FIELD_BOOLEAN] = "boolean",
	[FIELD_TIMESTAMP] = "timestamp", [FIELD_DATE] = "date", [FIELD_UUID] = "uuid", [FIELD_JSON] = "json",
	[FIELD_BYTES] = "bytes", [FIELD_REFERENCE] = "reference",
};

const char *field_type_name(enum field_type type)
{
	return type_names[type];
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct value canon_keep(struct value raw, const char *p, size_t n, struct arena *arena)
{
	if ((size_t)raw.len == n && (raw.data == p || memcmp(raw.data, p, n) == 0))
		return raw;
	return (struct value){ arena_dup(arena, p, n), (int32_t)n };
}

/* ---- text -------------------------------------------------------------------------------------------- */

bool canon_text(struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	/* PostgreSQL cannot hold U+0000 in text at all: passing it on would only fail later, at a target. */
	if (raw.len > 0 && memchr(raw.data, '\0', (size_t)raw.len) != NULL)
		return err_set(e, ERR_ROW, "bad-text", "text with a zero character");
	if (!utf8_valid(raw.data, (size_t)raw.len))
		return err_set(e, ERR_ROW, "bad-utf8", "text that is not valid UTF-8");
	*out = raw;
	return true;
}

/* ---- boolean ----------------------------------------------------------------------------------------- */

bool canon_boolean(struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	static const char *const words[2][6] = {
		{ "f", "false", "0", "no", "off", "n" }, { "t", "true", "1", "yes", "on", "y" },
	};

	*out = raw;
	if (raw.len == 1 && (raw.data[0] == 't' || raw.data[0] == 'f'))
		return true;
	for (int truth = 0; truth < 2; truth++)
		for (size_t i = 0; i < countof(words[0]); i++)
			if (strlen(words[truth][i]) == (size_t)raw.len &&
			    strncasecmp(words[truth][i], raw.data, (size_t)raw.len) == 0) {
				*out = canon_keep(raw, words[truth][0], 1, arena);
				return true;
			}
	return err_set(e, ERR_ROW, "bad-boolean", "not a boolean");
}

/* ---- hex: uuid, bytes -------------------------------------------------------------------------------- */

/* The lower-case hex digit, or NUL for anything else. */
static char hex_lower(char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))
		return c;
	return c >= 'A' && c <= 'F' ? (char)(c | 0x20) : '\0';
}

bool canon_uuid(struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	const char *p = raw.data, *end = raw.data + raw.len;
	char text[36];
	size_t n = 0, digits = 0;

	if (raw.len >= 2 && p[0] == '{' && end[-1] == '}')
		p++, end--;
	for (; p < end && digits < 32; p++) {
		/* Like PostgreSQL: a hyphen may stand behind any group of four digits. */
		if (*p == '-' && digits > 0 && digits % 4 == 0 && p[-1] != '-')
			continue;
		if (digits == 8 || digits == 12 || digits == 16 || digits == 20)
			text[n++] = '-';
		if ((text[n++] = hex_lower(*p)) == '\0')
			return err_set(e, ERR_ROW, "bad-uuid", "not a uuid");
		digits++;
	}
	if (p != end || digits != 32)
		return err_set(e, ERR_ROW, "bad-uuid", "not a uuid");
	*out = canon_keep(raw, text, n, arena);
	return true;
}

bool canon_bytes(struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	bool upper = false;
	char *copy;

	if (raw.len < 2 || raw.data[0] != '\\' || raw.data[1] != 'x')
		return err_set(e, ERR_ROW, "bad-bytes", "bytes that do not begin with \\x");
	if (raw.len % 2 != 0)
		return err_set(e, ERR_ROW, "bad-bytes", "bytes with half a pair of hex digits");
	for (int32_t i = 2; i < raw.len; i++) {
		char lower = hex_lower(raw.data[i]);

		if (lower == '\0')
			return err_set(e, ERR_ROW, "bad-bytes", "bytes with something that is not a hex digit");
		upper |= lower != raw.data[i];
	}
	*out = raw;
	if (!upper)
		return true;
	copy = arena_dup(arena, raw.data, (size_t)raw.len);
	for (int32_t i = 2; i < raw.len; i++)
		copy[i] = hex_lower(copy[i]);
	out->data = copy;
	return true;
}

/* ---- all types --------------------------------------------------------------------------------------- */

static canon_fn *const canons[FIELD_TYPES] = {
	[FIELD_TEXT] = canon_text, [FIELD_INTEGER] = canon_integer, [FIELD_DECIMAL] = canon_decimal,
	[FIELD_BOOLEAN] = canon_boolean, [FIELD_TIMESTAMP] = canon_timestamp, [FIELD_DATE] = canon_date,
	[FIELD_UUID] = canon_uuid, [FIELD_JSON] = canon_json, [FIELD_BYTES] = canon_bytes,
};

bool value_canon(enum field_type type, struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	struct value bare = raw;

	assert(canons[type] != NULL);
	if (raw.len < 0) {
		*out = VALUE_NULL;
		return true;
	}
	if (type == FIELD_TEXT || type == FIELD_JSON)
		return canons[type](raw, arena, out, e);
	while (bare.len > 0 && is_blank(bare.data[0]))
		bare.data++, bare.len--;
	while (bare.len > 0 && is_blank(bare.data[bare.len - 1]))
		bare.len--;
	if (!canons[type](bare, arena, out, e))
		return false;
	/* A part of `raw` would be right too, but has no NUL behind it; every other answer has one. */
	if (bare.len != raw.len && out->data == bare.data)
		*out = (struct value){ arena_dup(arena, bare.data, (size_t)bare.len), bare.len };
	return true;
}

static int bytes_compare(struct value a, struct value b)
{
	int32_t n = a.len < b.len ? a.len : b.len;
	int order = n > 0 ? memcmp(a.data, b.data, (size_t)n) : 0;

	return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

int value_compare(enum field_type type, struct value a, struct value b)
{
	switch (type) {
	case FIELD_INTEGER:
	case FIELD_DECIMAL:
		return decimal_compare(a, b);
	case FIELD_TIMESTAMP:
	case FIELD_DATE:
		return time_compare(a, b);
	case FIELD_TEXT:
	case FIELD_BOOLEAN:
	case FIELD_UUID:
	case FIELD_JSON:
	case FIELD_BYTES:
	case FIELD_REFERENCE:
	case FIELD_TYPES:
		break;
	}
	return bytes_compare(a, b);
}
