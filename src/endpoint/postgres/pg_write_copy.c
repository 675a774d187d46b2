/*
 * pg_write_copy.c - many inserts at once: ids drawn from the table's own sequence, then COPY.
 *
 * INSERT ... RETURNING has to join what was stored with what was sent, to tell the new ids and whether the target changed
 * anything. For a million rows of ten columns that took the server 13.4 s of processor time, COPY 6.8 s (and 6.4 s in one go). So where
 * nothing can come between what is sent and what is stored the ids are drawn first and the rows go by COPY:
 *
 *   the id's values come from a sequence, and we may draw from it        no trigger changes rows before they are stored,
 *   every mapped column keeps a value exactly, or refuses it               no rules, no partitions, no filter to fill in
 *
 * That no such trigger exists is asked once more behind the COPY, in its transaction: its lock keeps new ones away. Whatever
 * is refused goes again by INSERT, which finds the row to blame.
 */
#include "endpoint/postgres/pg_write_sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
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

void pg_copy_ids_sql(struct pg_stmt *st, const struct pg_link *pl, size_t n, bool singly)
{
	char *name = pg_quote_text(pl->pg, pl->table->sequence);
	const char *sequence = name != NULL ? name : "NULL";

	if (singly)
		buf_addf(&st->sql, "SELECT pg_catalog.nextval(%s) FROM pg_catalog.generate_series(1, %zu)", sequence, n);
	else
		buf_addf(&st->sql, "SELECT pg_catalog.min(d.id), pg_catalog.max(d.id), (SELECT s.seqincrement FROM pg_catalog.pg_sequence AS s "
			 "WHERE s.seqrelid = %s::pg_catalog.regclass) FROM (SELECT pg_catalog.nextval(%s) AS id "
			 "FROM pg_catalog.generate_series(1, %zu) OFFSET 0) AS d", sequence, sequence, n);
	free(name);
}

/* n different numbers that lie no further apart than n numbers must: there is no other among them. */
static bool is_one_run(int64_t least, int64_t most, int64_t step, size_t n)
{
	uint64_t width = (uint64_t)most - (uint64_t)least, one = step < 0 ? -(uint64_t)step : (uint64_t)step;

	return one != 0 && width % one == 0 && width / one == n - 1;
}

bool pg_copy_take_ids(const PGresult *res, bool singly, struct write_batch *batch, const size_t *order, size_t n)
{
	int64_t least = pg_cell_int(res, 0, 0, 0), most = 0, step = 0;
	char text[24];

	if (!singly) {
		most = pg_cell_int(res, 0, 1, 0);
		step = pg_cell_int(res, 0, 2, 0);
		if (!is_one_run(least, most, step, n))
			return false;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t id = (int64_t)((uint64_t)(step < 0 ? most : least) + i * (uint64_t)step);
		struct value drawn = singly ? pg_cell(res, (int)i, 0) :
			(struct value){ text, snprintf(text, sizeof text, "%" PRId64, id) };

		batch->list[order[i]].id = (struct value){ arena_dup(batch->arena, drawn.data, (size_t)drawn.len), drawn.len };
	}
	return true;
}

/* COPY's text form: a tab between columns, a line a row, \N for NULL. */
static void add_cell(struct buf *out, struct value v)
{
	if (value_is_null(v)) {
		buf_adds(out, "\\N");
		return;
	}
	for (const char *p = v.data, *end = v.data + v.len; p < end;) {
		const char *stop = p;

		while (stop < end && *stop != '\\' && *stop != '\n' && *stop != '\r' && *stop != '\t')
			stop++;
		buf_add(out, p, (size_t)(stop - p));
		if (stop < end) {
			buf_addc(out, '\\');
			buf_addc(out, *stop == '\n' ? 'n' : *stop == '\r' ? 'r' : *stop == '\t' ? 't' : '\\');
			stop++;
		}
		p = stop;
	}
}

void pg_copy_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set)
{
	const struct pg_table *t = pl->table;

	buf_adds(&st->sql, "SELECT ");
	pg_path_plain_set(st, pl->pg);
	buf_addf(&st->sql, "; COPY %s (%s", t->quoted, t->id.quoted);
	for (size_t f = 0; f < t->n_fields; f++)
		if (t->fields[f].quoted != NULL)
			buf_addf(&st->sql, ", %s", t->fields[f].quoted);
	buf_adds(&st->sql, ") FROM STDIN");
	pg_path_plain_back(st);
	buf_adds(&st->sql, "SELECT ");
	pg_path_plain_set(st, pl->pg);	/* what waits for the commit is to find it, too */
	buf_addf(&st->sql, ", pg_catalog.width_bucket(1, 0, 2, (NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS g "
		 "WHERE g.tgrelid = %u AND " PG_CHANGES_INSERTS("g") "))::pg_catalog.int4)", t->oid);
	pg_state_guard_plain(st, pl);
	for (size_t i = 0; i < set->n; i++) {
		const struct write *w = nth(set, i);

		add_cell(&st->copy, w->id);
		for (size_t f = 0; f < t->n_fields; f++)
			if (t->fields[f].quoted != NULL) {
				buf_addc(&st->copy, '\t');
				add_cell(&st->copy, w->values[f]);
			}
		buf_addc(&st->copy, '\n');
	}
}
