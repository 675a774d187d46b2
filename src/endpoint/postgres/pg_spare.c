#include "endpoint/postgres/pg_spare.h"

#include "base/buf.h"
#include "endpoint/postgres/pg_sql.h"

enum {
	T_BYTEA = 17, T_NAME = 19, T_INT8 = 20, T_INT2 = 21, T_INT4 = 23, T_CIDR = 650, T_FLOAT4 = 700, T_FLOAT8 = 701, T_INET = 869, T_BPCHAR = 1042,
	T_VARCHAR = 1043, T_DATE = 1082, T_TIMESTAMP = 1114, T_TIMESTAMPTZ = 1184, T_NUMERIC = 1700, T_UUID = 2950, T_JSONB = 3802,
	LENGTH_HEAD = 4,	/* typmod of varchar(n) is n + 4; so it is with numeric */
	NAME_LENGTH = 63,
};

/* Eight hexadecimal digits; 18 decimal ones. */
#define HEX8 "pg_catalog.to_hex((268435456 + 4026531839 * pg_catalog.random())::pg_catalog.int8)"
#define HEX16 HEX8 " || " HEX8
#define HEX32 HEX16 " || " HEX16
#define DIGITS "(1e17 + 8e17 * pg_catalog.random())::pg_catalog.int8::pg_catalog.text"
#define NOBODY "@crmsyncd.invalid"

enum { NOBODY_LENGTH = 16 + sizeof NOBODY - 1 };

/* Types of which each value will do; alike NULL: the same. Texts and numbers, which have a length, are not among them. */
static const struct spare {
	Oid oid;
	const char *value, *alike;
} spares[] = {
	{ T_FLOAT4, "1e9 * (1 + pg_catalog.random())", NULL },
	{ T_FLOAT8, "1e15 * (1 + pg_catalog.random())", NULL },
	{ T_DATE, "'4000-01-01'::pg_catalog.date + (900000 * pg_catalog.random())::pg_catalog.int4",
	  "'1000-01-01'::pg_catalog.date + (300000 * pg_catalog.random())::pg_catalog.int4" },
	{ T_TIMESTAMP, "'4000-01-01'::pg_catalog.timestamp + pg_catalog.random() * '900000 days'::pg_catalog.interval",
	  "'1000-01-01'::pg_catalog.timestamp + pg_catalog.random() * '300000 days'::pg_catalog.interval" },
	{ T_TIMESTAMPTZ, "'4000-01-01 00:00+00'::pg_catalog.timestamptz + pg_catalog.random() * '900000 days'::pg_catalog.interval",
	  "'1000-01-01 00:00+00'::pg_catalog.timestamptz + pg_catalog.random() * '300000 days'::pg_catalog.interval" },
	{ T_UUID, "(" HEX32 ")::pg_catalog.uuid", NULL },
	{ T_BYTEA, "pg_catalog.decode(" HEX32 ", 'hex')", NULL },
	{ T_JSONB, "pg_catalog.to_jsonb(" HEX32 ")", NULL },
	{ T_INET, "('fd00::' || pg_catalog.right(" HEX8 ", 4) || ':' || pg_catalog.right(" HEX8 ", 4))::pg_catalog.inet", NULL },
	{ T_CIDR, "('fd00::' || pg_catalog.right(" HEX8 ", 4) || ':' || pg_catalog.right(" HEX8 ", 4))::pg_catalog.cidr", NULL },
};

static const struct spare *spare_of(const struct pg_column *c)
{
	for (size_t i = 0; i < sizeof spares / sizeof spares[0]; i++)
		if (spares[i].oid == c->oid)
			return &spares[i];
	return NULL;
}

/* In the upper half of what they can hold. */
static const char *whole_spare(Oid oid)
{
	switch (oid) {
	case T_INT2:	return "(16384 + 16383 * pg_catalog.random())::pg_catalog.int2";
	case T_INT4:	return "(1073741824 + 1073741823 * pg_catalog.random())::pg_catalog.int4";
	case T_INT8:	return "(45e17 + 45e17 * pg_catalog.random())::pg_catalog.int8";
	}
	return NULL;
}

/* So many digits are within the range of the type, whichever they are. */
static int safe_digits(Oid oid)
{
	return oid == T_INT2 ? 4 : oid == T_INT4 ? 9 : 18;
}

/* As long as what stands there. */
static void add_digits(struct buf *sql, const struct pg_column *c)
{
	bool is_text = pg_is_text(c);

	buf_addf(sql, "pg_catalog.lpad(" DIGITS ", least(greatest(pg_catalog.length(%st.%s%s::pg_catalog.text), 1), %d), '7')",
		 is_text ? "" : "pg_catalog.trunc(pg_catalog.abs(", c->quoted, is_text ? "" : "::pg_catalog.numeric))",
		 whole_spare(c->oid) != NULL ? safe_digits(c->oid) : INT16_MAX);
	if (!is_text)
		buf_addf(sql, "::%s", pg_cast_type(c));
}

static int longest(const struct pg_column *c)	/* 0: no matter how long */
{
	if (c->oid == T_NAME)
		return NAME_LENGTH;
	return (c->oid == T_VARCHAR || c->oid == T_BPCHAR) && c->typmod > LENGTH_HEAD ? c->typmod - LENGTH_HEAD : 0;
}

static void add_text(struct buf *sql, const struct pg_column *c)
{
	int n = longest(c);

	if (n == 0 || n >= NOBODY_LENGTH)
		buf_adds(sql, HEX16 " || '" NOBODY "'");
	else
		buf_addf(sql, "pg_catalog.right(" HEX16 ", %d)", n);
}

static void add_numeric(struct buf *sql, const struct pg_column *c)
{
	int precision = 18, scale = 0;

	if (c->typmod >= LENGTH_HEAD) {
		precision = (c->typmod - LENGTH_HEAD) >> 16 & 0xffff;
		scale = (((c->typmod - LENGTH_HEAD) & 0x7ff) ^ 0x400) - 0x400;
	}
	buf_addf(sql, "pg_catalog.trunc((0.5 + 0.4999 * pg_catalog.random())::pg_catalog.numeric * 1e%d::pg_catalog.numeric, %d)",
		 precision - scale, scale);
}

static bool has_length(const struct pg_column *c)
{
	return pg_is_text(c) || c->oid == T_NUMERIC || whole_spare(c->oid) != NULL;
}

bool pg_has_spare(const struct pg_column *c)
{
	return has_length(c) || spare_of(c) != NULL;
}

void pg_spare_value(struct buf *sql, const struct pg_column *c, bool alike)
{
	const struct spare *spare = spare_of(c);

	if (alike && has_length(c))
		add_digits(sql, c);
	else if (pg_is_text(c))
		add_text(sql, c);
	else if (c->oid == T_NUMERIC)
		add_numeric(sql, c);
	else
		buf_adds(sql, spare == NULL ? whole_spare(c->oid) : alike && spare->alike != NULL ? spare->alike : spare->value);
}
