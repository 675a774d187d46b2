#include "model/clean.h"

#include <assert.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "base/arena.h"
#include "base/text.h"
#include "model/value_canon.h"

/*
 * Cleaning is repeated until nothing changes, so that what was cleaned once stays as it is: the cleaned
 * value comes back from the other endpoints, and a second look must not make another value of it. Steps
 * in any order settle within a few turns; only a map that leads in a circle never does.
 */
enum { TURNS_MAX = 8 };

/* ---- white space ------------------------------------------------------------------------------------- */

/* Unicode's White_Space property. */
static bool is_space(uint32_t c)
{
	if (c < 0x80)
		return c == ' ' || (c >= '\t' && c <= '\r');
	return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
	       c == 0x202f || c == 0x205f || c == 0x3000;
}

/* At an end of a text a zero-width character has no meaning, only consequences. Inside it may have one. */
static bool is_trimmed(uint32_t c)
{
	return is_space(c) || c == 0x200b || c == 0x2060 || c == 0xfeff;
}

/* The next character; a byte that is not UTF-8 counts as one, the canonical form refuses it later. */
static size_t step(const char *p, size_t n, uint32_t *c)
{
	size_t len;

	if ((unsigned char)*p < 0x80) {
		*c = (unsigned char)*p;
		return 1;
	}
	len = utf8_step(p, n, c);
	if (len == 0)
		*c = 0xfffd;
	return len > 0 ? len : 1;
}

static size_t step_back(const char *p, size_t n, uint32_t *c)
{
	size_t back = 1;

	while (back < 4 && back < n && ((unsigned char)p[n - back] & 0xc0) == 0x80)
		back++;
	if (step(p + n - back, back, c) == back)
		return back;
	*c = 0xfffd;
	return 1;
}

static struct value trim(struct value v, struct arena *arena)
{
	size_t at = 0, end = (size_t)v.len, len;
	uint32_t c;

	while (at < end && (len = step(v.data + at, end - at, &c), is_trimmed(c)))
		at += len;
	while (end > at && (len = step_back(v.data + at, end - at, &c), is_trimmed(c)))
		end -= len;
	return canon_keep(v, v.data + at, end - at, arena);
}

/* Where the first run begins that is not a single ASCII blank already; the length when there is none. */
static size_t first_to_squeeze(struct value v)
{
	size_t n = (size_t)v.len, len;
	bool after_blank = false;
	uint32_t c;

	for (size_t i = 0; i < n; i += len) {
		len = 1;
		if ((unsigned char)v.data[i] - 0x21u < 0x5fu) {	/* visible ASCII: most of most texts */
			after_blank = false;
			continue;
		}
		len = step(v.data + i, n - i, &c);
		if (is_space(c) && (c != ' ' || after_blank))
			return after_blank ? i - 1 : i;
		after_blank = c == ' ';
	}
	return n;
}

static struct value squeeze(struct value v, struct arena *arena)
{
	size_t n = (size_t)v.len, i = first_to_squeeze(v), len;
	bool after_space = false;
	char *out, *to;
	uint32_t c;

	if (i == n)
		return v;
	out = arena_alloc(arena, n + 1);
	memcpy(out, v.data, i);
	for (to = out + i; i < n; i += len) {
		len = step(v.data + i, n - i, &c);
		if (!is_space(c)) {
			memcpy(to, v.data + i, len);
			to += len;
		} else if (!after_space) {
			*to++ = ' ';
		}
		after_space = is_space(c);
	}
	*to = '\0';
	return (struct value){ out, (int32_t)(to - out) };
}

/* ---- case -------------------------------------------------------------------------------------------- */

/* A locale of our own: what a name looks like must not depend on the environment that started the daemon. */
static locale_t unicode_locale(void)
{
	static locale_t locale;

	if (locale == (locale_t)0)
		locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	return locale;
}

static bool is_ascii_of_case(char c, bool upper)
{
	return upper ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z';
}

/* One character of p in the wanted case; says how many bytes it took from p and put to `to`. */
static size_t map_character(const char *p, size_t n, bool upper, locale_t locale, char to[4], size_t *put)
{
	uint32_t c;
	size_t len;

	if ((unsigned char)*p < 0x80) {
		*to = is_ascii_of_case(*p, !upper) ? (char)(*p ^ 0x20) : *p;
		return *put = 1;
	}
	len = utf8_step(p, n, &c);
	if (len == 0) {
		*to = *p;
		return *put = 1;
	}
	*put = utf8_put(to, (uint32_t)(upper ? towupper_l((wint_t)c, locale) : towlower_l((wint_t)c, locale)));
	return len;
}

/* A letter may become longer or shorter in bytes, so the text is measured before it is written. */
static bool map_case(struct value v, bool upper, struct arena *arena, struct value *out, struct err *e)
{
	locale_t locale = unicode_locale();
	size_t n = (size_t)v.len, same = 0, size, len, put;
	bool changed = false;
	char mapped[4], *to;

	if (locale == (locale_t)0)
		return err_set(e, ERR_CONFIG, "no-locale", "this system has no C.UTF-8 locale; lower and upper need it");
	*out = v;
	for (size_t i = 0; i < n && (unsigned char)v.data[i] < 0x80 && !is_ascii_of_case(v.data[i], !upper); i++)
		same++;
	if (same == n)
		return true;
	size = same;
	for (size_t i = same; i < n; i += len) {
		len = map_character(v.data + i, n - i, upper, locale, mapped, &put);
		changed |= put != len || memcmp(mapped, v.data + i, len) != 0;
		size += put;
	}
	if (!changed)
		return true;
	if (size > INT32_MAX)
		return err_set(e, ERR_ROW, "bad-text", "text of more than 2 GiB");
	to = arena_alloc(arena, size + 1);
	*out = (struct value){ to, (int32_t)size };
	memcpy(to, v.data, same);
	to += same;
	for (size_t i = same; i < n; to += put)
		i += map_character(v.data + i, n - i, upper, locale, to, &put);
	*to = '\0';
	return true;
}

/* ---- steps ------------------------------------------------------------------------------------------- */

static struct value value_or_null(const char *s)
{
	return s != NULL ? value_of(s) : VALUE_NULL;
}

static struct value map_word(const struct clean_step *s, struct value v)
{
	for (size_t i = 0; i < s->n; i++)
		if (value_equal(v, value_or_null(s->from[i])))
			return value_or_null(s->to[i]);
	return v;
}

/* Steps that change the inside of a text leave the other types alone: lower would damage json, for one. */
static bool clean_step(const struct clean_step *s, bool is_text, struct value v, struct arena *arena, struct value *out,
		       struct err *e)
{
	bool edit = is_text && !value_is_null(v);

	*out = v;
	switch (s->kind) {
	case CLEAN_TRIM:
		if (edit)
			*out = trim(v, arena);
		return true;
	case CLEAN_SQUEEZE:
		if (edit)
			*out = squeeze(v, arena);
		return true;
	case CLEAN_LOWER:
		return !edit || map_case(v, false, arena, out, e);
	case CLEAN_UPPER:
		return !edit || map_case(v, true, arena, out, e);
	case CLEAN_EMPTY_TO_NULL:
		if (v.len == 0)
			*out = VALUE_NULL;
		return true;
	case CLEAN_MAP:
		*out = map_word(s, v);
		return true;
	case CLEAN_DEFAULT:
		if (value_is_null(v))
			*out = value_of(s->to[0]);
		return true;
	case CLEAN_TITLE:
	case CLEAN_NFC:
	case CLEAN_DIGITS:
	case CLEAN_PHONE:
	case CLEAN_KINDS:
		break;
	}
	abort();	/* conf/ lets no step through that is not built */
}

static bool clean_once(const struct field_def *field, struct value v, struct arena *arena, struct value *out,
		       struct clean_note *note, struct err *e)
{
	struct value now = v;

	for (size_t i = 0; i < field->n_clean; i++)
		if (!clean_step(&field->clean[i], field->type == FIELD_TEXT, now, arena, &now, e))
			return false;
	if (!value_equal(now, v))
		note->cleaned = true;
	return value_canon(field->type, now, arena, out, e);
}

static bool clean_until_settled(const struct field_def *field, struct value raw, struct arena *arena, struct value *out,
				struct clean_note *note, struct err *e)
{
	struct value now = raw, next;

	if (field->n_clean == 0)
		return value_canon(field->type, raw, arena, out, e);
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		if (!clean_once(field, now, arena, &next, note, e))
			return false;
		if (value_equal(next, now)) {
			*out = now;
			return true;
		}
		now = next;
	}
	return err_set(e, ERR_ROW, "clean-circle", "its cleaning steps lead in a circle and never settle");
}

/* ---- checks ------------------------------------------------------------------------------------------ */

static bool check_length(const struct check_step *check, enum field_type type, struct value v, struct err *e)
{
	int64_t n = type == FIELD_BYTES ? (v.len - 2) / 2 : (int64_t)utf8_count(v.data, (size_t)v.len);

	if (n < check->min_length)
		return err_set(e, ERR_ROW, "length", "shorter than %lld", (long long)check->min_length);
	if (n > check->max_length)
		return err_set(e, ERR_ROW, "length", "longer than %lld", (long long)check->max_length);
	return true;
}

static bool check_range(const struct check_step *check, enum field_type type, struct value v, struct err *e)
{
	if (check->low != NULL && value_compare(type, v, value_of(check->low)) < 0)
		return err_set(e, ERR_ROW, "range", "below %s", check->low);
	if (check->high != NULL && value_compare(type, v, value_of(check->high)) > 0)
		return err_set(e, ERR_ROW, "range", "above %s", check->high);
	return true;
}

static bool check_words(const struct check_step *check, struct value v, struct err *e)
{
	for (size_t i = 0; i < check->n; i++)
		if (value_equal(v, value_of(check->words[i])))
			return true;
	return err_set(e, ERR_ROW, "one-of", "not one of the %zu allowed values", check->n);
}

/* A value that is missing offends `required` alone. */
static bool check_one(const struct check_step *check, enum field_type type, struct value v, struct err *e)
{
	switch (check->kind) {
	case CHECK_REQUIRED:
		return v.len > 0 || err_set(e, ERR_ROW, "required", "required, but there is no value");
	case CHECK_LENGTH:
		return value_is_null(v) || check_length(check, type, v, e);
	case CHECK_RANGE:
		return value_is_null(v) || check_range(check, type, v, e);
	case CHECK_ONE_OF:
		return value_is_null(v) || check_words(check, v, e);
	case CHECK_EMAIL:
	case CHECK_PHONE:
	case CHECK_URL:
	case CHECK_MATCH:
	case CHECK_KINDS:
		break;
	}
	abort();	/* conf/ lets no check through that is not built */
}

static bool check_all(const struct field_def *field, struct value v, struct err *e)
{
	if (field->is_key && value_is_null(v))
		return err_set(e, ERR_ROW, "required", "part of the key, but there is no value");
	for (size_t i = 0; i < field->n_checks; i++)
		if (!check_one(&field->checks[i], field->type, v, e))
			return false;
	return true;
}

/* ---- the whole --------------------------------------------------------------------------------------- */

/* NULL instead of an invalid value, unless a missing one is just as invalid; then the first reason stands. */
static bool null_instead(const struct field_def *field, struct value *out, struct clean_note *note)
{
	struct err second;

	if (!check_all(field, VALUE_NULL, &second))
		return false;
	*out = VALUE_NULL;
	note->nulled = true;
	return true;
}

bool clean_field(const struct field_def *field, struct value raw, struct arena *arena, struct value *out,
		 struct clean_note *note, struct err *e)
{
	struct err why;
	bool formed;

	assert(field->type != FIELD_REFERENCE);
	*note = (struct clean_note){ .cleaned = false };
	formed = clean_until_settled(field, raw, arena, out, note, &why);
	if (formed && check_all(field, *out, &why))
		return true;
	if (why.kind == ERR_ROW) {
		if (field->on_invalid == INVALID_NULL && null_instead(field, out, note))
			return true;
		/* What has no canonical form cannot be compared, and a record without a key cannot be found. */
		if (field->on_invalid == INVALID_FLAG && formed && !(field->is_key && value_is_null(*out))) {
			note->flagged = true;
			return true;
		}
	}
	if (e != NULL)
		*e = why;
	return err_while(e, "field %s", field->name);
}
