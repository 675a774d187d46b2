#include "endpoint/postgres/pg_bytes.h"

#include <inttypes.h>

#include "base/fault.h"
#include "endpoint/postgres/pg_sql.h"

enum { T_BYTEA = 17, T_JSON = 114, T_JSONB = 3802 };

enum {
	ROW_BYTES = 64,			/* what each row counts, with all its columns of fixed length */
	SMALL_DOCUMENT = 2000,		/* stored bytes below which a document counts as these */
	COMPRESSION_MOST = PG_INLINE_MOST / 8192,	/* no way of the server to compress makes less of a value than this part of it */
};

static bool is_document(const struct pg_column *c)
{
	return c->oid == T_JSON || c->oid == T_JSONB;
}

bool pg_is_wide(const struct pg_column *c)
{
	return c->quoted != NULL && (c->oid == T_BYTEA || is_document(c) || pg_is_text(c));
}

/* A bytea is sent as two digits a byte. Text-like types of others become text without being unpacked. */
static void add_length(struct buf *sql, const struct pg_column *c, const char *stored)
{
	if (c->oid == T_BYTEA)
		buf_addf(sql, "2 * pg_catalog.octet_length(%s)::pg_catalog.int8", stored);
	else
		buf_addf(sql, "pg_catalog.octet_length(%s::pg_catalog.text)::pg_catalog.int8", stored);
}

void pg_add_too_large(struct buf *sql, const struct pg_column *c, const char *stored, int64_t most)
{
	if (is_document(c))	/* it has to be printed to know */
		buf_addf(sql, "CASE WHEN pg_catalog.pg_column_size(%s) > %" PRId64 " THEN ", stored, most / COMPRESSION_MOST);
	add_length(sql, c, stored);
	buf_addf(sql, " > %" PRId64, most);
	if (is_document(c))
		buf_adds(sql, " ELSE false END");
}

char *pg_bytes_of(const struct pg_table *t)
{
	struct buf b = { 0 };

	for (size_t f = 0; f < t->n_fields; f++) {
		const struct pg_column *c = &t->fields[f];
		struct buf stored = { 0 };

		if (!pg_is_wide(c))
			continue;
		buf_addf(&stored, "t.%s", c->quoted);
		if (b.len == 0)
			buf_addf(&b, "(%d", ROW_BYTES);
		buf_adds(&b, " + COALESCE(");
		if (is_document(c))
			buf_addf(&b, "CASE WHEN pg_catalog.pg_column_size(%s) < %d THEN %d ELSE ", stored.p, SMALL_DOCUMENT, SMALL_DOCUMENT);
		add_length(&b, c, stored.p);
		buf_adds(&b, is_document(c) ? " END, 0)" : ", 0)");
		buf_fini(&stored);
	}
	if (b.len == 0)
		return NULL;
	buf_addc(&b, ')');
	return buf_take(&b);
}

int64_t pg_batch_bytes(const struct pg_link *pl, const struct pg_table *t)
{
	return t->bytes != NULL && !fault("f27-batches-are-not-measured") ? pg_topology(pl->pg)->limits.batch_bytes : 0;
}

bool pg_may_be_short(const struct pg_link *pl, const struct pg_table *t)
{
	return t->toast != 0 && !pl->wide;
}

void pg_add_keeps_long(struct buf *sql, const struct pg_table *t)
{
	buf_addf(sql, "(SELECT COALESCE(pg_catalog.pg_relation_size(%u::pg_catalog.oid::pg_catalog.regclass) > 0, true))", t->toast);
}

void pg_note_bytes(struct pg_link *pl, const struct rowset *rows)
{
	int64_t most = pl->table != NULL ? pg_batch_bytes(pl, pl->table) : 0;

	pl->wide |= most > 0 && rows != NULL && (int64_t)rows->bytes > most;
}

void pg_add_bytes_columns(struct buf *sql, const struct pg_table *t, const char *order)
{
	buf_addf(sql, ", pg_catalog.sum(%s) OVER (ORDER BY %s ROWS UNBOUNDED PRECEDING) AS \"bytes up to it\", %s AS \"its bytes\"",
		 t->bytes, order, t->bytes);
}

void pg_add_bytes_end(struct buf *sql, int64_t most)
{
	buf_addf(sql, ") AS x WHERE x.\"bytes up to it\" - %s < %" PRId64 " ORDER BY x.\"bytes up to it\"",
		 fault("f27-no-row-is-larger-than-a-batch") ? "0" : "x.\"its bytes\"", most);
}

bool pg_was_cut(const PGresult *res, int64_t most)
{
	int last = PQntuples(res) - 1;

	return most > 0 && last >= 0 && pg_cell_int(res, last, PQnfields(res) - 2, 0) >= most;
}
