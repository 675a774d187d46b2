#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/fault.h"
#include "model/value_canon.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t count_digits(const char *p, const char *end)
{
	const char *start = p;

	while (p < end && is_digit(*p))
		p++;
	return (size_t)(p - start);
}

/* ---- integer ----------------------------------------------------------------------------------------- */

static bool fits_64_bits(const char *digits, size_t n, bool negative)
{
	return n < 19 || (n == 19 && memcmp(digits, negative ? "9223372036854775808" : "9223372036854775807", 19) <= 0);
}

bool canon_integer(struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	const char *p = raw.data, *end = raw.data + raw.len;
	bool negative = raw.len > 0 && *p == '-';
	char text[20];
	size_t n;

	if (negative || (raw.len > 0 && *p == '+'))
		p++;
	n = count_digits(p, end);
	if (n == 0)
		return err_set(e, ERR_ROW, "bad-integer", "not an integer");
	/* "5.00" is what a numeric(12,2) column says for five: the same number, so no reason to refuse. */
	if (p + n < end && p[n] == '.') {
		const char *rest = p + n + 1;

		while (rest < end && *rest == '0')
			rest++;
		end = rest == end ? p + n : end;
	}
	if (p + n != end)
		return err_set(e, ERR_ROW, "bad-integer", "not an integer");
	while (n > 1 && *p == '0')
		p++, n--;
	if (!fits_64_bits(p, n, negative))
		return err_set(e, ERR_ROW, "bad-integer", "an integer that does not fit into 64 bits");
	if (*p == '0')
		negative = false;
	text[0] = '-';
	memcpy(text + negative, p, n);
	*out = canon_keep(raw, text, n + negative, arena);
	return true;
}

/* ---- decimal ----------------------------------------------------------------------------------------- */

/* Far beyond what fits, far from overflow: added to any length of a text it stays in 64 bits. */
enum { EXPONENT_CAP = 1 << 30 };

static bool exponent_parse(const char *p, const char *end, int64_t *out)
{
	bool negative = p < end && *p == '-';
	int64_t value = 0;

	if (p < end && (*p == '-' || *p == '+'))
		p++;
	if (p == end)
		return false;
	for (; p < end && is_digit(*p); p++)
		if (value < EXPONENT_CAP)
			value = value * 10 + (*p - '0');
	*out = negative ? -value : value;
	return p == end;
}

static char digit_at(const struct decimal *d, int64_t i)
{
	return i < d->n_whole ? d->whole[i] : d->fraction[i - d->n_whole];
}

bool decimal_parse(const char *p, size_t n, struct decimal *d)
{
	const char *end = p + n;
	int64_t exponent = 0, n_fraction = 0;

	memset(d, 0, sizeof *d);
	d->negative = p < end && *p == '-';
	if (p < end && (*p == '-' || *p == '+'))
		p++;
	d->whole = d->fraction = p;
	d->n_whole = (int64_t)count_digits(p, end);
	p += d->n_whole;
	if (p < end && *p == '.') {
		d->fraction = ++p;
		n_fraction = (int64_t)count_digits(p, end);
		p += n_fraction;
	}
	d->end = d->n_whole + n_fraction;
	if (d->end == 0)
		return false;
	if (p < end && (*p == 'e' || *p == 'E') && exponent_parse(p + 1, end, &exponent))
		p = end;
	if (p != end)
		return false;
	while (d->first < d->end && digit_at(d, d->first) == '0')
		d->first++;
	while (d->end > d->first && digit_at(d, d->end - 1) == '0')
		d->end--;
	d->point = d->n_whole + exponent - d->first;
	if (d->first == d->end) {
		d->negative = false;
		d->point = 0;
	}
	return true;
}

static int64_t fraction_digits(const struct decimal *d)
{
	int64_t n = d->end - d->first - d->point;

	return n > 0 ? n : 0;
}

bool decimal_fits(const struct decimal *d)
{
	return d->point <= DECIMAL_WHOLE_MAX && fraction_digits(d) <= DECIMAL_FRACTION_MAX;
}

size_t decimal_size(const struct decimal *d)
{
	int64_t fraction = fraction_digits(d);

	return (size_t)(d->negative + (d->point > 0 ? d->point : 1) + (fraction > 0 ? 1 + fraction : 0));
}

void decimal_write(const struct decimal *d, char *to)
{
	int64_t n = d->end - d->first, fraction = fraction_digits(d);

	if (d->negative)
		*to++ = '-';
	if (d->point <= 0)
		*to++ = '0';
	for (int64_t i = 0; i < d->point; i++)
		*to++ = i < n ? digit_at(d, d->first + i) : '0';
	if (fraction > 0)
		*to++ = '.';
	for (int64_t i = n - fraction; i < n; i++)
		*to++ = i >= 0 && i >= d->point ? digit_at(d, d->first + i) : '0';
}

static bool is_word(struct value v, const char *word)
{
	return strlen(word) == (size_t)v.len && strncasecmp(v.data, word, (size_t)v.len) == 0;
}

static bool special_decimal(struct value raw, struct arena *arena, struct value *out)
{
	static const struct {
		const char *word, *canonical;
	} specials[] = {
		{ "nan", "NaN" },
		{ "infinity", "Infinity" }, { "+infinity", "Infinity" }, { "inf", "Infinity" }, { "+inf", "Infinity" },
		{ "-infinity", "-Infinity" }, { "-inf", "-Infinity" },
	};

	for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++)
		if (is_word(raw, specials[i].word)) {
			*out = canon_keep(raw, specials[i].canonical, strlen(specials[i].canonical), arena);
			return true;
		}
	return false;
}

/* True when the text is the plain form of what was parsed from it: the usual case, and nothing to copy. */
static bool is_plain(struct value raw, const struct decimal *d)
{
	return (size_t)raw.len == decimal_size(d) && raw.data[0] != '+' && (d->negative || raw.data[0] != '-') &&
	       raw.data[raw.len - 1] != '.' && memchr(raw.data, 'e', (size_t)raw.len) == NULL &&
	       memchr(raw.data, 'E', (size_t)raw.len) == NULL &&
	       (d->point > 0 ? d->first == 0 : d->n_whole == 1);
}

bool canon_decimal(struct value raw, struct arena *arena, struct value *out, struct err *e)
{
	struct decimal d;
	size_t size;
	char *to;

	if (fault("f18-numbers-stay-as-they-are-written")) {
		*out = raw;
		return true;
	}
	if (!decimal_parse(raw.data, (size_t)raw.len, &d)) {
		if (special_decimal(raw, arena, out))
			return true;
		return err_set(e, ERR_ROW, "bad-decimal", "not a decimal number");
	}
	if (!decimal_fits(&d))
		return err_set(e, ERR_ROW, "bad-decimal", "a number with more than %d digits before or %d behind the point",
			       DECIMAL_WHOLE_MAX, DECIMAL_FRACTION_MAX);
	*out = raw;
	if (is_plain(raw, &d))
		return true;
	size = decimal_size(&d);
	to = arena_alloc(arena, size + 1);
	decimal_write(&d, to);
	to[size] = '\0';
	*out = (struct value){ to, (int32_t)size };
	return true;
}

/* ---- order ------------------------------------------------------------------------------------------- */

/* -Infinity, negative, zero and positive, Infinity, NaN */
static int magnitude_class(struct value v)
{
	if (v.data[0] == 'N')
		return 4;
	if (v.data[0] == 'I')
		return 3;
	if (v.data[0] == '-')
		return v.len > 1 && v.data[1] == 'I' ? 0 : 1;
	return 2;
}

static size_t whole_digits(struct value v)
{
	const char *point = memchr(v.data, '.', (size_t)v.len);

	return point != NULL ? (size_t)(point - v.data) : (size_t)v.len;
}

int decimal_compare(struct value a, struct value b)
{
	int class_a = magnitude_class(a), class_b = magnitude_class(b), order;
	size_t whole_a, whole_b;
	int32_t n;

	if (class_a != class_b)
		return class_a - class_b;
	if (class_a != 1 && class_a != 2)
		return 0;
	whole_a = whole_digits(a);
	whole_b = whole_digits(b);
	n = a.len < b.len ? a.len : b.len;
	if (whole_a != whole_b)
		order = whole_a > whole_b ? 1 : -1;
	else if ((order = memcmp(a.data, b.data, (size_t)n)) == 0)
		order = (a.len > b.len) - (a.len < b.len);
	return class_a == 1 ? -order : order;
}

/* ---- sums -------------------------------------------------------------------------------------------- */

struct digits {				/* of a canonical number, most significant first */
	char *p;
	bool negative;
};

static bool is_finite(struct value v)
{
	int class = magnitude_class(v);

	return class == 1 || class == 2;
}

static size_t fraction_length(struct value v)
{
	size_t whole = whole_digits(v);		/* with the sign */

	return (size_t)v.len > whole ? (size_t)v.len - whole - 1 : 0;
}

/* Spread over `whole` digits before the point and `fraction` behind it. */
static struct digits spread(struct value v, size_t whole, size_t fraction, struct arena *arena)
{
	bool negative = v.data[0] == '-';
	size_t own_whole = whole_digits(v) - negative, own_fraction = fraction_length(v);
	struct digits d = { arena_alloc(arena, whole + fraction + 1), negative };

	memset(d.p, '0', whole + fraction);
	memcpy(d.p + whole - own_whole, v.data + negative, own_whole);
	if (own_fraction > 0)
		memcpy(d.p + whole, v.data + v.len - own_fraction, own_fraction);
	return d;
}

static void add_digits(char *a, const char *b, size_t n)
{
	int carry = 0;

	for (size_t i = n; i-- > 0;) {
		int sum = (a[i] - '0') + (b[i] - '0') + carry;

		a[i] = (char)('0' + sum % 10);
		carry = sum / 10;
	}
}

/* a is not less than b. */
static void take_digits(char *a, const char *b, size_t n)
{
	int borrow = 0;

	for (size_t i = n; i-- > 0;) {
		int rest = (a[i] - '0') - (b[i] - '0') - borrow;

		borrow = rest < 0;
		a[i] = (char)('0' + rest + 10 * borrow);
	}
}

bool value_sum(enum field_type type, struct value a, struct value b, bool minus, struct arena *arena, struct value *out)
{
	size_t whole, fraction;
	struct digits x, y;
	char *text;
	struct err e;

	if (!is_finite(a) || !is_finite(b))
		return false;
	whole = (whole_digits(a) > whole_digits(b) ? whole_digits(a) : whole_digits(b)) + 1;	/* for the carry */
	fraction = fraction_length(a) > fraction_length(b) ? fraction_length(a) : fraction_length(b);
	x = spread(a, whole, fraction, arena);
	y = spread(b, whole, fraction, arena);
	y.negative ^= minus;
	if (x.negative == y.negative) {
		add_digits(x.p, y.p, whole + fraction);
	} else if (memcmp(x.p, y.p, whole + fraction) >= 0) {
		take_digits(x.p, y.p, whole + fraction);
	} else {
		take_digits(y.p, x.p, whole + fraction);
		x = y;
	}
	x.p[whole + fraction] = '\0';
	text = arena_printf(arena, "%s%.*s%s%s", x.negative ? "-" : "", (int)whole, x.p, fraction > 0 ? "." : "", x.p + whole);
	return value_canon(type, value_of(text), arena, out, &e);
}
