#include "endpoint/postgres/pg_watermark.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/fault.h"
#include "base/mem.h"
#include "endpoint/postgres/pg_sql.h"

#define OLDEST (UINT64_C(1) << 30)	/* transactions: far enough from where the numbers of rows begin anew */

struct watermark {
	uint64_t xmin;
	uint32_t oid, altered;
};

static bool parse(const char *text, struct watermark *w)
{
	return sscanf(text, "%" SCNu64 " %" SCNu32 " %" SCNu32, &w->xmin, &w->oid, &w->altered) == 3;
}

bool pg_watermark_may_be(const struct pg_link *pl)
{
	const struct pg_table *t = pl->table;

	for (size_t f = 0; f < t->n_fields; f++)
		if (t->parents[f].quoted != NULL)
			return false;
	return true;
}

void pg_watermark_sql(struct pg_stmt *st, const struct pg_link *pl)
{
	char oid[16];

	snprintf(oid, sizeof oid, "%u", pl->table->oid);
	buf_addf(&st->sql, "SELECT pg_snapshot_%s(pg_current_snapshot()), c.oid, c.xmin, c.relkind = 'r' AND NOT c.relrowsecurity AND NOT c.relhassubclass "
		 "AND NOT pg_is_in_recovery() AND NOT EXISTS (SELECT FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid "
		 "WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND (t.typnamespace <> 'pg_catalog'::regnamespace OR a.attgenerated = 'v')) "
		 "FROM pg_class AS c WHERE c.oid = $%d::oid", fault("f02-a-watermark-is-above-what-is-under-way") ? "xmax" : "xmin",
		 pg_stmt_value(st, value_of(oid)));
}

char *pg_watermark_take(const PGresult *res)
{
	bool tells = PQntuples(res) == 1 && (pg_cell_true(res, 0, 3) || fault("f05-every-table-tells-what-was-written"));

	return tells ? xasprintf("%s %s %s", PQgetvalue(res, 0, 0), PQgetvalue(res, 0, 1), PQgetvalue(res, 0, 2)) : NULL;
}

bool pg_watermark_holds(const char *then, const char *now)
{
	struct watermark a, b;

	if (!parse(then, &a) || !parse(now, &b) || a.xmin > b.xmin || b.xmin - a.xmin > OLDEST)
		return false;
	return (a.oid == b.oid && a.altered == b.altered) || fault("f05-what-was-altered-is-as-it-was");
}

void pg_add_written_since(struct pg_stmt *st, const char *watermark)
{
	struct watermark w = { 0 };
	char xid[16], oid[16];

	parse(watermark, &w);
	snprintf(xid, sizeof xid, "%" PRIu32, (uint32_t)w.xmin);
	snprintf(oid, sizeof oid, "%" PRIu32, w.oid);
	buf_addf(&st->sql, " AND (pg_catalog.age(t.xmin) <= pg_catalog.age($%d::pg_catalog.xid)", pg_stmt_value(st, value_of(xid)));
	buf_addf(&st->sql, " OR t.tableoid %s $%d::pg_catalog.oid)", fault("f05-another-table-is-the-same") ? "<" : "<>", pg_stmt_value(st, value_of(oid)));
}
