/*
 * value_json.c - the canonical form of a JSON text.
 *
 * Our own reader, because the libraries turn numbers into doubles or 64-bit integers, and then 0.1 or an
 * 18-digit amount does not come back as it went in. It copies the text into canonical form as it reads.
 * The members of an object are noted as they are written; when they are not in order, the written pieces
 * are put in order at its closing brace.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/value_canon.h"

/* Zeros that all exponents of one text together may turn into: 1 MiB. A few bytes must not become gigabytes. */
enum { ZEROS_MAX = 1 << 20 };

/* One written member `"key":value` of an object that is not closed yet. */
struct member {
	size_t at, key_end, end;
};

struct json {
	const char *p, *end;
	struct buf out;
	struct member *members;		/* of all open objects, innermost last */
	size_t n_members, cap_members;
	size_t zeros;
	unsigned depth;
	const char *why;
};

static bool json_value(struct json *j);

static bool refuse(struct json *j, const char *why)
{
	j->why = why;
	return false;
}

static void skip_blanks(struct json *j)
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\n' || *j->p == '\r'))
		j->p++;
}

static bool skip(struct json *j, char c)
{
	if (j->p == j->end || *j->p != c)
		return false;
	j->p++;
	return true;
}

/* ---- strings ----------------------------------------------------------------------------------------- */

static bool hex4(struct json *j, uint32_t *code)
{
	*code = 0;
	if (j->end - j->p < 4)
		return false;
	for (int i = 0; i < 4; i++, j->p++) {
		static const char digits[] = "0123456789abcdef";
		const char *digit = *j->p != '\0' ? strchr(digits, tolower((unsigned char)*j->p)) : NULL;

		if (digit == NULL)
			return false;
		*code = *code << 4 | (uint32_t)(digit - digits);
	}
	return true;
}

/* The shortest form of a character: only what must be escaped is. */
static void put_character(struct buf *out, uint32_t code)
{
	static const char short_escapes[] = "btn\0fr";	/* U+0008 to U+000D, without U+000B */

	if (code == '"' || code == '\\') {
		buf_addc(out, '\\');
		buf_addc(out, (char)code);
	} else if (code >= 0x08 && code <= 0x0d && code != 0x0b) {
		buf_addc(out, '\\');
		buf_addc(out, short_escapes[code - 0x08]);
	} else if (code < 0x20) {
		buf_addf(out, "\\u%04x", code);
	} else {
		char *to = buf_room(out, 4);
		size_t n = utf8_put(to, code);

		out->len += n;
		to[n] = '\0';
	}
}

/* Behind "\u". */
static bool unicode_escape(struct json *j)
{
	uint32_t code, low;

	if (!hex4(j, &code))
		return refuse(j, "a \\u escape without four hex digits");
	if (code >= 0xd800 && code <= 0xdbff) {
		if (!skip(j, '\\') || !skip(j, 'u') || !hex4(j, &low) || low < 0xdc00 || low > 0xdfff)
			return refuse(j, "half of a surrogate pair");
		code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
	} else if (code >= 0xdc00 && code <= 0xdfff) {
		return refuse(j, "half of a surrogate pair");
	}
	if (code == 0)
		return refuse(j, "the escape of a zero character");
	put_character(&j->out, code);
	return true;
}

/* Behind the backslash. */
static bool escape(struct json *j)
{
	static const char names[] = "\"\\/bfnrt", codes[] = "\"\\/\b\f\n\r\t";
	const char *name;

	if (skip(j, 'u'))
		return unicode_escape(j);
	name = j->p < j->end && *j->p != '\0' ? strchr(names, *j->p) : NULL;
	if (name == NULL)
		return refuse(j, "an unknown escape");
	j->p++;
	put_character(&j->out, (unsigned char)codes[name - names]);
	return true;
}

static bool json_string(struct json *j)
{
	if (!skip(j, '"'))
		return refuse(j, "no string where one must be");
	buf_addc(&j->out, '"');
	for (;;) {
		const char *run = j->p;

		while (j->p < j->end && *j->p != '"' && *j->p != '\\' && (unsigned char)*j->p >= 0x20)
			j->p++;
		buf_add(&j->out, run, (size_t)(j->p - run));
		if (skip(j, '"'))
			break;
		if (!skip(j, '\\'))
			return refuse(j, j->p == j->end ? "a string without end" : "a control character in a string");
		if (!escape(j))
			return false;
	}
	buf_addc(&j->out, '"');
	return true;
}

/* ---- numbers ----------------------------------------------------------------------------------------- */

static size_t skip_digits(struct json *j)
{
	const char *start = j->p;

	while (j->p < j->end && *j->p >= '0' && *j->p <= '9')
		j->p++;
	return (size_t)(j->p - start);
}

/* JSON's own grammar, which is stricter than that of decimals: no "+5", "05", ".5", "5." */
static bool number_grammar(struct json *j)
{
	skip(j, '-');
	if (!skip(j, '0') && skip_digits(j) == 0)
		return false;
	if (skip(j, '.') && skip_digits(j) == 0)
		return false;
	if (skip(j, 'e') || skip(j, 'E')) {
		if (!skip(j, '+'))
			skip(j, '-');
		return skip_digits(j) > 0;
	}
	return true;
}

static bool json_number(struct json *j)
{
	const char *start = j->p;
	struct decimal d;
	size_t size, written;

	if (!number_grammar(j))
		return refuse(j, "something that is neither a value nor a number");
	written = (size_t)(j->p - start);
	if (!decimal_parse(start, written, &d) || !decimal_fits(&d))
		return refuse(j, "a number with too many digits");
	size = decimal_size(&d);
	if (size > written && (j->zeros += size - written) > ZEROS_MAX)
		return refuse(j, "exponents that make too many digits");
	decimal_write(&d, buf_room(&j->out, size));
	j->out.len += size;
	return true;
}

/* ---- arrays and objects ------------------------------------------------------------------------------ */

static bool json_array(struct json *j)
{
	buf_addc(&j->out, '[');
	skip_blanks(j);
	if (!skip(j, ']'))
		for (;;) {
			if (!json_value(j))
				return false;
			if (skip(j, ']'))
				break;
			if (!skip(j, ','))
				return refuse(j, "an array without end");
			buf_addc(&j->out, ',');
		}
	buf_addc(&j->out, ']');
	return true;
}

/* Keys are compared as written: the written form is canonical already, so equal keys have equal bytes. */
static int key_order(const void *left, const void *right, void *text)
{
	const struct member *a = left, *b = right;
	const char *p = text;
	size_t n = a->key_end - a->at, m = b->key_end - b->at;
	int order = memcmp(p + a->at, p + b->at, n < m ? n : m);

	return order != 0 ? order : (n > m) - (n < m);
}

static void note_member(struct json *j, struct member m)
{
	if (j->n_members == j->cap_members) {
		j->cap_members = j->cap_members > 0 ? j->cap_members * 2 : 16;
		j->members = xrealloc(j->members, j->cap_members * sizeof *j->members);
	}
	j->members[j->n_members++] = m;
}

static bool json_member(struct json *j)
{
	struct member m = { .at = j->out.len };

	skip_blanks(j);
	if (!json_string(j))
		return false;
	m.key_end = j->out.len;
	skip_blanks(j);
	if (!skip(j, ':'))
		return refuse(j, "a key without a value");
	buf_addc(&j->out, ':');
	if (!json_value(j))
		return false;
	m.end = j->out.len;
	note_member(j, m);
	return true;
}

/* Rewrites the members of the innermost object in the order of their keys; they end where the text does. */
static bool sort_members(struct json *j, size_t first)
{
	struct member *m = j->members + first;
	size_t n = j->n_members - first, start = m->at, len = j->out.len - start;
	bool sorted = true;
	char *to;

	for (size_t i = 1; i < n && sorted; i++)
		sorted = key_order(&m[i - 1], &m[i], j->out.p) < 0;
	if (sorted)
		return true;
	qsort_r(m, n, sizeof *m, key_order, j->out.p);
	for (size_t i = 1; i < n; i++)
		if (key_order(&m[i - 1], &m[i], j->out.p) == 0)
			return refuse(j, "the same key twice in one object");
	to = buf_room(&j->out, len);	/* behind the text, as scratch */
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			*to++ = ',';
		memcpy(to, j->out.p + m[i].at, m[i].end - m[i].at);
		to += m[i].end - m[i].at;
	}
	memcpy(j->out.p + start, j->out.p + j->out.len, len);
	return true;
}

static bool json_object(struct json *j)
{
	size_t first = j->n_members;

	buf_addc(&j->out, '{');
	skip_blanks(j);
	if (!skip(j, '}')) {
		for (;;) {
			if (!json_member(j))
				return false;
			if (skip(j, '}'))
				break;
			if (!skip(j, ','))
				return refuse(j, "an object without end");
			buf_addc(&j->out, ',');
		}
		if (!sort_members(j, first))
			return false;
	}
	j->n_members = first;
	buf_addc(&j->out, '}');
	return true;
}

static bool json_word(struct json *j, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(j->end - j->p) < n || memcmp(j->p, word, n) != 0)
		return refuse(j, "something that is neither a value nor a number");
	j->p += n;
	buf_add(&j->out, word, n);
	return true;
}

/* Leaves the reader at the next thing that is not blank. */
static bool json_value(struct json *j)
{
	bool ok;

	skip_blanks(j);
	if (++j->depth > JSON_DEPTH_MAX)
		return refuse(j, "nesting that is too deep");
	switch (j->p < j->end ? *j->p : '\0') {
	case '{': j->p++; ok = json_object(j); break;
	case '[': j->p++; ok = json_array(j); break;
	case '"': ok = json_string(j); break;
	case 't': ok = json_word(j, "true"); break;
	case 'f': ok = json_word(j, "false"); break;
	case 'n': ok = json_word(j, "null"); break;
	default: ok = json_number(j); break;
	}
	j->depth--;
	skip_blanks(j);
	return ok;
}

bool canon_json(struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	struct json j = { .p = raw.data, .end = raw.data + raw.len };
	bool ok;

	/* Validated as a whole first, so that the reader below may pass bytes of strings through. */
	if (!utf8_valid(raw.data, (size_t)raw.len))
		return err_set(e, ERR_ROW, "bad-utf8", "json that is not valid UTF-8");
	ok = json_value(&j);
	if (ok && j.p != j.end)
		ok = refuse(&j, "something behind its end");
	if (ok && j.out.len > INT32_MAX)
		ok = refuse(&j, "more than 2 GiB");
	if (ok)
		*out = canon_keep(raw, j.out.p, j.out.len, arena);
	else
		err_set(e, ERR_ROW, "bad-json", "json with %s", j.why);
	buf_fini(&j.out);
	free(j.members);
	return ok;
}
