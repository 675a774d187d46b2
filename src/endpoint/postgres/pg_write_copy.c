/*
 * pg_write_copy.c - many inserts at once: by COPY.
 *
 * INSERT ... RETURNING has to join what was stored with what was sent, to tell the new ids and whether the target changed
 * anything. For a million rows of ten columns that took the server 13.4 s of processor time, COPY 6.8 s (and 6.4 s in one go). So the rows
 * go by COPY where nothing can come between what is sent and what is stored:
 *
 *   the id's values come from a sequence, and we may draw from it        no trigger changes rows before they are stored,
 *   every mapped column keeps a value exactly, or refuses it               no rules, no partitions, no filter to fill in
 *
 * That no such trigger exists is asked once more behind the COPY, in its transaction: its lock keeps new ones away. Whatever
 * is refused goes again by INSERT, which finds the row to blame.
 *
 * COPY tells no ids. We draw a number before it and look at our last one behind it: when n rows lie exactly n steps between, nobody else
 * drew any, and the n-th row has the n-th. Else all of it is undone, and is sent again under ids that were drawn one by one before.
 */
#include "endpoint/postgres/pg_write_sql.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "endpoint/postgres/pg_path.h"

enum {
	COPY_FROM = 100,		/* rows; for fewer the second round trip costs more than it saves */
	COPY_BYTES = 64 << 20,		/* libpq copies what it is given */
};

enum {
	T_BOOL = 16, T_BYTEA = 17, T_INT8 = 20, T_INT2 = 21, T_INT4 = 23, T_TEXT = 25, T_VARCHAR = 1043, T_DATE = 1082,
	T_TIMESTAMPTZ = 1184, T_NUMERIC = 1700, T_UUID = 2950,
	VARCHAR_HEAD = 4,	/* typmod of varchar(n) is n + 4 */
};

bool pg_stores_as_sent(const struct pg_column *c)
{
	switch (c->oid) {
	case T_BOOL: case T_BYTEA: case T_INT2: case T_INT4: case T_INT8: case T_TEXT: case T_VARCHAR: case T_DATE: case T_UUID:
		return true;
	case T_TIMESTAMPTZ: case T_NUMERIC:	/* with a precision they round */
		return c->typmod < 0;
	default:
		return false;
	}
}

/* Blanks that are too many are cut from a varchar(n) without a word. */
static bool is_too_long(const struct pg_column *c, struct value v)
{
	return c->oid == T_VARCHAR && c->typmod >= VARCHAR_HEAD && v.len > c->typmod - VARCHAR_HEAD &&
	       utf8_count(v.data, (size_t)v.len) > (size_t)(c->typmod - VARCHAR_HEAD);
}

static const struct write *nth(const struct pg_write_set *set, size_t i)
{
	return &set->list[set->order[i]];
}

bool pg_copy_fits(const struct pg_link *pl, const struct pg_write_set *set)
{
	const struct pg_table *t = pl->table;
	uint64_t sent = nth(set, 0)->fields;
	size_t bytes = 0;

	if (set->n < COPY_FROM || t->sequence == NULL)
		return false;
	for (size_t f = 0; f < t->n_fields; f++) {
		if (t->fields[f].quoted == NULL)
			continue;
		if ((sent >> f & 1) == 0)
			return false;		/* its default would be stored */
		for (size_t i = 0; i < set->n; i++) {
			struct value v = nth(set, i)->values[f];

			if (is_too_long(&t->fields[f], v))
				return false;
			bytes += v.len > 0 ? (size_t)v.len : 0;
		}
	}
	return bytes < COPY_BYTES;
}

size_t pg_write_bytes(const struct write *w)
{
	size_t bytes = 0;

	for (uint64_t rest = w->fields; rest != 0; rest &= rest - 1) {
		struct value v = w->values[__builtin_ctzll(rest)];

		bytes += v.len > 0 ? (size_t)v.len : 0;
	}
	return bytes;
}

void pg_copy_ids_sql(struct pg_stmt *st, const struct pg_link *pl, size_t n)
{
	char *name = pg_quote_text(pl->pg, pl->table->sequence);

	buf_addf(&st->sql, "SELECT pg_catalog.nextval(%s) FROM pg_catalog.generate_series(1, %zu)", name != NULL ? name : "NULL", n);
	free(name);
}

/* COPY's text form: a tab between columns, a line a row, \N for NULL. What has to be written otherwise, and as what. */
static const char escaped[256] = { ['\\'] = '\\', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };

/* A control character or a backslash among eight bytes: hasless() and haszero() of Anderson's Bit Twiddling Hacks. */
static bool may_need_escape(uint64_t eight)
{
	const uint64_t ones = ~UINT64_C(0) / 255;
	uint64_t no_backslash = eight ^ ones * '\\';

	return ((((eight - ones * 0x20) & ~eight) | ((no_backslash - ones) & ~no_backslash)) & ones * 0x80) != 0;
}

/* So many bytes from p on stand for themselves. */
static size_t plain_run(const char *p, size_t n)
{
	size_t i = 0;

	for (; i + 8 <= n; i += 8) {
		uint64_t eight;

		memcpy(&eight, p + i, sizeof eight);
		if (may_need_escape(eight))
			break;
	}
	while (i < n && escaped[(unsigned char)p[i]] == '\0')
		i++;
	return i;
}

static char *put_cell(char *to, struct value v)
{
	if (value_is_null(v)) {
		*to++ = '\\';
		*to++ = 'N';
		return to;
	}
	for (size_t i = 0, n = (size_t)v.len; i < n; i++) {
		size_t run = plain_run(v.data + i, n - i);

		memcpy(to, v.data + i, run);
		to += run;
		i += run;
		if (i == n)
			break;
		*to++ = '\\';
		*to++ = escaped[(unsigned char)v.data[i]];
	}
	return to;
}

/* With the tab or the line's end behind it. */
static size_t cell_most(struct value v)
{
	return v.len > 0 ? 2 * (size_t)v.len + 1 : 3;
}

static void add_cell(struct buf *out, struct value v, char behind)
{
	char *start = buf_room(out, cell_most(v)), *end = put_cell(start, v);

	*end++ = behind;
	out->len += (size_t)(end - start);
}

size_t pg_copy_rows(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool drawn)
{
	const struct pg_table *t = pl->table;
	size_t bytes = 0;

	for (size_t i = 0; i < set->n; i++) {
		const struct write *w = nth(set, i);

		if (drawn)
			add_cell(&st->copy, w->id, '\t');
		for (size_t f = 0; f < t->n_fields; f++)
			if (t->fields[f].quoted != NULL)
				add_cell(&st->copy, w->values[f], '\t');
		st->copy.p[st->copy.len - 1] = '\n';	/* instead of the last tab */
		bytes += pg_write_bytes(w);
	}
	return bytes;
}

static void add_columns(struct buf *sql, const struct pg_table *t, bool drawn)
{
	const char *comma = "";

	if (drawn) {
		buf_adds(sql, t->id.quoted);
		comma = ", ";
	}
	for (size_t f = 0; f < t->n_fields; f++)
		if (t->fields[f].quoted != NULL) {
			buf_addf(sql, "%s%s", comma, t->fields[f].quoted);
			comma = ", ";
		}
}

/* The first id, the step; and the logarithm of nothing where n steps do not lead from the number before to our last one. */
static void add_run(struct buf *sql, const char *sequence, size_t n)
{
	buf_addf(sql, ", r.before + r.step, r.step, pg_catalog.ln((r.last = r.before + r.step * %zu)::pg_catalog.int4::pg_catalog.float8) "
		 "FROM (SELECT pg_catalog.current_setting('crmsync.before')::pg_catalog.int8 AS before, pg_catalog.currval(%s) AS last, "
		 "(SELECT s.seqincrement FROM pg_catalog.pg_sequence AS s WHERE s.seqrelid = %s::pg_catalog.regclass) AS step) AS r",
		 n, sequence, sequence);
}

void pg_copy_sql(struct pg_stmt *st, const struct pg_link *pl, size_t n, bool drawn)
{
	const struct pg_table *t = pl->table;
	char *name = pg_quote_text(pl->pg, t->sequence);
	const char *sequence = name != NULL ? name : "NULL";

	buf_clear(&st->sql);
	buf_adds(&st->sql, "SELECT ");
	pg_path_plain_set(st, pl->pg);
	if (!drawn)
		buf_addf(&st->sql, ", pg_catalog.set_config('crmsync.before', pg_catalog.nextval(%s)::pg_catalog.text, true)", sequence);
	buf_addf(&st->sql, "; COPY %s (", t->quoted);
	add_columns(&st->sql, t, drawn);
	buf_adds(&st->sql, ") FROM STDIN");
	pg_path_plain_back(st);
	buf_adds(&st->sql, "SELECT ");
	pg_path_plain_set(st, pl->pg);	/* what waits for the commit is to find it, too */
	buf_addf(&st->sql, ", pg_catalog.width_bucket(1, 0, 2, (NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS g "
		 "WHERE g.tgrelid = %u AND " PG_CHANGES_INSERTS("g") "))::pg_catalog.int4)", t->oid);
	pg_state_guard_plain(st, pl);
	if (!drawn)
		add_run(&st->sql, sequence, n);
	free(name);
}

int64_t pg_copy_first_id(const PGresult *res, int64_t *step)
{
	int n = PQnfields(res);

	*step = pg_cell_int(res, 0, n - 2, 0);
	return pg_cell_int(res, 0, n - 3, 0);
}
