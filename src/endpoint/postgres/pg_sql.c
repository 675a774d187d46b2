#include "endpoint/postgres/pg_sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"

enum { TEXT_OID = 25, INT8_OID = 20 };

void pg_stmt_init(struct pg_stmt *st)
{
	memset(st, 0, sizeof *st);
}

void pg_stmt_fini(struct pg_stmt *st)
{
	buf_fini(&st->sql);
	buf_fini(&st->copy);
	for (int i = 0; i < PG_STMT_PARAMS; i++)
		buf_fini(&st->data[i]);
	pg_stmt_init(st);
}

void pg_stmt_again(struct pg_stmt *st)
{
	buf_clear(&st->sql);
	buf_fini(&st->copy);
	st->several = false;
	for (int i = 0; i < st->n; i++)
		buf_fini(&st->data[i]);
	st->n = 0;
}

static int next_param(struct pg_stmt *st, int format)
{
	if (st->n == PG_STMT_PARAMS)
		abort();	/* more columns than an entity can have fields */
	st->formats[st->n] = format;
	st->values[st->n] = NULL;
	return ++st->n;
}

int pg_stmt_value(struct pg_stmt *st, struct value v)
{
	int n = next_param(st, 0);

	if (!value_is_null(v)) {
		buf_add(&st->data[n - 1], v.data, (size_t)v.len);
		st->values[n - 1] = "";		/* something: pg_stmt_call() sets the pointer when nothing moves any more */
	}
	return n;
}

static int begin_array(struct pg_stmt *st, uint32_t element, size_t n)
{
	int param = next_param(st, 1);
	struct buf *b = &st->data[param - 1];

	st->values[param - 1] = "";
	buf_be32(b, n > 0);		/* dimensions */
	buf_be32(b, 1);			/* may hold NULLs */
	buf_be32(b, element);
	if (n > 0) {
		buf_be32(b, (uint32_t)n);
		buf_be32(b, 1);		/* lower bound */
	}
	return param;
}

int pg_stmt_array(struct pg_stmt *st, size_t n)
{
	return begin_array(st, TEXT_OID, n);
}

void pg_stmt_add(struct pg_stmt *st, struct value v)
{
	struct buf *b = &st->data[st->n - 1];

	buf_be32(b, (uint32_t)v.len);	/* -1: NULL, here as there */
	if (v.len > 0)
		buf_add(b, v.data, (size_t)v.len);
}

int pg_stmt_values(struct pg_stmt *st, const struct value *list, size_t n, size_t step)
{
	int param = pg_stmt_array(st, n);

	for (size_t i = 0; i < n; i++)
		pg_stmt_add(st, list[i * step]);
	return param;
}

int pg_stmt_int8s(struct pg_stmt *st, const int64_t *list, size_t n)
{
	int param = begin_array(st, INT8_OID, n);

	for (size_t i = 0; i < n; i++) {
		buf_be32(&st->data[param - 1], 8);
		buf_be64(&st->data[param - 1], (uint64_t)list[i]);
	}
	return param;
}

void pg_stmt_call(struct pg_stmt *st, struct postgres *pg, pg_result_fn *done, void *arg)
{
	for (int i = 0; i < st->n; i++) {
		st->lengths[i] = (int)st->data[i].len;
		if (st->values[i] != NULL)
			st->values[i] = st->data[i].p;
	}
	st->params = (struct pg_params){ .reads = st->params.reads, .several = st->several, .n = st->n, .values = st->values,
					.lengths = st->lengths, .formats = st->formats,
					.copy = st->copy.len > 0 ? &st->copy : NULL };
	pg_call(pg, st->sql.p, &st->params, done, arg);
}

/* ---- types ------------------------------------------------------------------------------------------- */

static const struct builtin {
	Oid oid;
	const char *name;
	enum pg_same same;
	const char *out;	/* where a cast to text, or the type's equality, hides how a value reads */
} builtins[] = {
	{ 16, "pg_catalog.bool", PG_SAME_VALUE },	{ 17, "pg_catalog.bytea", PG_SAME_VALUE },
	{ 20, "pg_catalog.int8", PG_SAME_VALUE },	{ 21, "pg_catalog.int2", PG_SAME_VALUE },
	{ 23, "pg_catalog.int4", PG_SAME_VALUE },	{ 25, "pg_catalog.text", PG_SAME_TEXT },
	{ 114, "pg_catalog.json", PG_SAME_JSON },	{ 3802, "pg_catalog.jsonb", PG_SAME_PRINT },
	{ 700, "pg_catalog.float4", PG_SAME_VALUE, "pg_catalog.float4out" },
	{ 701, "pg_catalog.float8", PG_SAME_VALUE, "pg_catalog.float8out" },
	{ 869, "pg_catalog.inet", PG_SAME_PRINT, "pg_catalog.inet_out" },
	{ 650, "pg_catalog.cidr", PG_SAME_PRINT, "pg_catalog.cidr_out" },
	{ 1042, "pg_catalog.bpchar", PG_SAME_CHAR, "pg_catalog.bpcharout" },
	{ 1043, "pg_catalog.varchar", PG_SAME_TEXT },
	{ 1082, "pg_catalog.date", PG_SAME_VALUE },	{ 1114, "pg_catalog.timestamp", PG_SAME_VALUE },
	{ 1184, "pg_catalog.timestamptz", PG_SAME_VALUE }, { 1700, "pg_catalog.numeric", PG_SAME_VALUE },
	{ 1083, "pg_catalog.time", PG_SAME_VALUE },	{ 1266, "pg_catalog.timetz", PG_SAME_PRINT },
	{ 1186, "pg_catalog.interval", PG_SAME_PRINT },	{ 1560, "pg_catalog.\"bit\"", PG_SAME_PRINT },
	{ 1562, "pg_catalog.varbit", PG_SAME_PRINT },	{ 2950, "pg_catalog.uuid", PG_SAME_VALUE },
};

static const struct builtin *builtin_of(const struct pg_column *c)
{
	for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
		if (builtins[i].oid == c->oid)
			return &builtins[i];
	return NULL;
}

const char *pg_cast_type(const struct pg_column *c)
{
	const struct builtin *b = builtin_of(c);

	/* The base type, not the domain: a cast to a domain over numeric(10,2) rounds and would hide that it did. */
	return b != NULL ? b->name : c->type;
}

enum pg_same pg_same_how(const struct pg_column *c)
{
	const struct builtin *b = builtin_of(c);

	if (b != NULL)
		return b->same;
	if (c->category == 'S')
		return PG_SAME_TEXT;
	return c->category == 'E' ? PG_SAME_VALUE : PG_SAME_PRINT;
}

const char *pg_output(const struct pg_column *c)
{
	const struct builtin *b = builtin_of(c);

	return b != NULL ? b->out : NULL;
}

/* By name: a domain over citext has citext's number, but stands elsewhere; it is compared as text. */
bool pg_has_own_operators(const struct pg_column *c)
{
	const char *dot = builtin_of(c) == NULL && c->category == 'S' ? strrchr(c->type, '.') : NULL;

	return dot != NULL && strcmp(dot, ".citext") == 0;
}

void pg_add_operator(struct buf *out, const struct pg_column *c, const char *op)
{
	if (pg_has_own_operators(c))
		buf_addf(out, "OPERATOR(%.*s.%s)", (int)(strrchr(c->type, '.') - c->type), c->type, op);
	else
		buf_adds(out, op);
}

struct value pg_cell(const PGresult *res, int row, int column)
{
	if (PQgetisnull(res, row, column))
		return VALUE_NULL;
	return (struct value){ PQgetvalue(res, row, column), PQgetlength(res, row, column) };
}

int64_t pg_cell_int(const PGresult *res, int row, int column, int64_t when_null)
{
	return PQgetisnull(res, row, column) ? when_null : strtoll(PQgetvalue(res, row, column), NULL, 10);
}

uint64_t pg_value_hash(struct value v)
{
	static struct digest_key key;
	static bool made;

	if (!made) {
		digest_key_random(&key);
		made = true;
	}
	return digest64(&key, v.data, v.len > 0 ? (size_t)v.len : 0);
}

void pg_sql_name(struct buf *out, const char *name)
{
	buf_addc(out, '"');
	for (; *name != '\0'; name++) {
		if (*name == '"')
			buf_addc(out, '"');
		buf_addc(out, *name);
	}
	buf_addc(out, '"');
}

/* ---- the table --------------------------------------------------------------------------------------- */

struct pg_mark pg_mark_take(const struct pg_link *pl)
{
	struct pg_mark mark;

	memcpy(mark.text, pl->link.schema_mark, sizeof mark.text);
	return mark;
}

const struct pg_table *pg_mark_table(const struct pg_link *pl, const struct pg_mark *mark)
{
	return memcmp(mark->text, pl->link.schema_mark, sizeof mark->text) == 0 ? pl->table : NULL;
}

void pg_no_table(const struct pg_link *pl, struct err *e)
{
	if (pl->link.why.kind != 0)
		*e = pl->link.why;
	else
		err_set(e, ERR_TRANSIENT, "", "the table's definition was not read yet");
}

bool pg_table_changed(struct err *e)
{
	return err_set(e, ERR_TRANSIENT, "", "the table's definition changed meanwhile");
}

void pg_soon(struct postgres *pg, pg_result_fn *done, void *arg)
{
	/* Not loop_defer(): freeing the endpoint has to answer this, too, and that it knows of statements only. */
	pg_call(pg, "SELECT", NULL, done, arg);
}

const char *pg_log_name(const struct pg_link *pl)
{
	return pl->link.mapping->entity->name;
}
