/*
 * pg_write_cycle.c - rows that take unique values from each other: all of them in one transaction (SEMANTICS F14).
 *
 *   SET CONSTRAINTS ALL DEFERRED;	what may wait for the commit does
 *   UPDATE ...; UPDATE ...;		where an index checks row by row its columns let go: NULL, or a value that nobody has
 *   SELECT ...;			does nothing follow that should not?
 *   UPDATE ...; UPDATE ...;		then all fields are what they are to be
 *   SELECT ...				the fencing number
 *   SELECT ...				what the rows are now
 *
 * One UPDATE for all of them would not do: such an index compares with what the rows after this one still have. What stands in between
 * is seen by the application's own triggers and constraints, as any change is, and by nobody else.
 *
 * The first UPDATE of a row asks for the version it had, the second one for ours; where one finds less than all of its rows everything is undone.
 */
#include "endpoint/postgres/pg_write_sql.h"

#include <stdio.h>

#include "base/fault.h"
#include "endpoint/postgres/pg_path.h"
#include "endpoint/postgres/pg_spare.h"

enum { CYCLE_BYTES = 8 << 20 };

static bool has(const struct write *w, size_t field)
{
	return (w->fields >> field & 1) != 0;
}

static const struct write *nth(const struct pg_write_set *set, size_t i)
{
	return &set->list[set->order[i]];
}

static size_t n_fields(const struct pg_link *pl)
{
	return pl->link.mapping->entity->n_fields;
}

/* ---- ways -------------------------------------------------------------------------------------------- */

enum letting_go { KEEPS, TO_NULL, TO_VALUE, TO_ALIKE };

static enum letting_go lets_go(const struct pg_column *c, size_t field, unsigned way)
{
	if (c->quoted == NULL)
		return KEEPS;
	switch (way) {
	case PG_CYCLE_NULL:
		return c->lets_go ? TO_NULL : KEEPS;
	case PG_CYCLE_MIXED:
		return c->lets_go ? TO_NULL : c->steps_aside ? TO_VALUE : KEEPS;
	case PG_CYCLE_VALUES:
		return c->steps_aside ? TO_VALUE : c->lets_go ? TO_NULL : KEEPS;
	case PG_CYCLE_ALIKE:
		return c->steps_aside ? TO_ALIKE : c->lets_go ? TO_NULL : KEEPS;
	default:
		return field == way - PG_CYCLE_ONE && c->steps_aside ? TO_VALUE : KEEPS;
	}
}

struct columns {			/* how many of those that change can let go in which ways */
	size_t nullable, valued, both;
	uint64_t which;			/* valued ones: by field */
};

static struct columns count_columns(const struct pg_link *pl, const struct pg_write_set *set)
{
	struct columns n = { 0 };
	uint64_t fields = 0;

	for (size_t i = 0; i < set->n; i++)
		fields |= nth(set, i)->fields;
	for (size_t f = 0; f < n_fields(pl); f++) {
		const struct pg_column *c = &pl->table->fields[f];

		if ((fields >> f & 1) == 0 || c->quoted == NULL)
			continue;
		n.nullable += c->lets_go;
		n.valued += c->steps_aside;
		n.which |= (uint64_t)c->steps_aside << f;
		n.both += c->lets_go && c->steps_aside;
	}
	return n;
}

static bool is_of_use(const struct pg_link *pl, const struct columns *n, unsigned way)
{
	if (way != PG_CYCLE_NULL && fault("f14-there-is-no-value-in-between"))
		return false;
	switch (way) {
	case PG_CYCLE_NULL:
		return n->nullable > 0 || (pl->table->waits && !fault("f14-no-constraint-waits-for-the-commit"));
	case PG_CYCLE_MIXED:
		return n->valued > n->both;
	case PG_CYCLE_VALUES:
		return n->both > 0;
	case PG_CYCLE_ALIKE:
		return n->valued > 0;
	default:
		return n->valued > 1 && (n->which >> (way - PG_CYCLE_ONE) & 1) != 0;
	}
}

unsigned pg_write_cycle_way(const struct pg_link *pl, const struct pg_write_set *set, unsigned way)
{
	struct columns n = count_columns(pl, set);

	while (way < PG_CYCLE_WAYS && !is_of_use(pl, &n, way))
		way++;
	return way;
}

/* ---- statements -------------------------------------------------------------------------------------- */

/*
 * Several statements in one transaction of ours go by the simple protocol, which has no parameters. So values go as
 * hexadecimal digits: nothing of them is ever read as SQL, and there is nothing to escape.
 */
static void add_hex(struct buf *sql, struct value v)
{
	if (value_is_null(v)) {
		buf_adds(sql, "NULL");
		return;
	}
	buf_adds(sql, "pg_catalog.convert_from(pg_catalog.decode('");
	for (int32_t i = 0; i < v.len; i++)
		buf_addf(sql, "%02x", (unsigned char)v.data[i]);
	buf_adds(sql, "', 'hex'), 'UTF8')");
}

enum { HEX_ID = -1, HEX_VERSION = -2 };

static void add_hex_list(struct buf *sql, const struct pg_write_set *set, int what)
{
	buf_adds(sql, "ARRAY[");
	for (size_t i = 0; i < set->n; i++) {
		const struct write *w = nth(set, i);

		buf_adds(sql, i > 0 ? ", " : "");
		add_hex(sql, what == HEX_ID ? w->id : what == HEX_VERSION ? w->version : w->values[what]);
	}
	buf_adds(sql, "]::pg_catalog.text[]");
}

static void add_row_is(struct buf *sql, const struct pg_table *t)
{
	buf_addf(sql, " WHERE t.%s ", t->id.quoted);
	pg_add_operator(sql, &t->id, "=");
	buf_addf(sql, " u.id::%s AND t.xmin = ", pg_cast_type(&t->id));
}

/* Does any of these columns let go (by NULL)? */
static bool any_lets_go(const struct pg_link *pl, const struct pg_write_set *set, unsigned way, bool by_null)
{
	for (size_t f = 0; f < n_fields(pl); f++) {
		enum letting_go how = has(nth(set, 0), f) ? lets_go(&pl->table->fields[f], f, way) : KEEPS;

		if (by_null ? how == TO_NULL : how != KEEPS)
			return true;
	}
	return false;
}

/* That all rows were as they were is asked here already: what one keeps would be the reason for which the others are refused. */
static void add_letting_go(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, unsigned way)
{
	const struct pg_table *t = pl->table;
	struct buf *sql = &st->sql;
	const char *glue = "";

	pg_path_begin(st);
	buf_addf(sql, "UPDATE %s AS t SET ", t->quoted);
	for (size_t f = 0; f < n_fields(pl); f++) {
		enum letting_go how = has(nth(set, 0), f) ? lets_go(&t->fields[f], f, way) : KEEPS;

		if (how == KEEPS)
			continue;
		buf_addf(sql, "%s%s = ", glue, t->fields[f].quoted);
		if (how == TO_NULL)
			buf_adds(sql, "NULL");
		else
			pg_spare_value(sql, &t->fields[f], how == TO_ALIKE);
		glue = ", ";
	}
	buf_adds(sql, " FROM unnest(");
	add_hex_list(sql, set, HEX_ID);
	buf_adds(sql, ", ");
	add_hex_list(sql, set, HEX_VERSION);
	buf_adds(sql, ") AS u(id, v)");
	add_row_is(sql, t);
	buf_addf(sql, "u.v::pg_catalog.xid RETURNING 1) "
		 "SELECT pg_catalog.width_bucket(1, 0, 2, (pg_catalog.count(*) = %zu)::pg_catalog.int4) FROM w WHERE ", set->n);
	pg_path_plain_condition(st, pl->pg);
	pg_path_plain_back(st);
}

/* Where others refer to such a column and follow its changes a NULL would go on to them, and stay: then not. A value comes and goes there, too. */
static void add_nothing_follows(struct pg_stmt *st, const struct pg_link *pl)
{
	buf_addf(&st->sql, "SELECT pg_catalog.sqrt((NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS f "
		 "JOIN pg_catalog.pg_attribute AS a ON a.attrelid = f.confrelid AND a.attnum = ANY (f.confkey) "
		 "WHERE f.contype = 'f' AND f.confrelid = %u AND f.confupdtype IN ('c', 'n', 'd') AND NOT a.attnotnull))::pg_catalog.int4 - 1); ",
		 fault("f14-others-may-follow-a-null") ? 0 : pl->table->oid);
}

/* The rows that we have let go just now (else: as they were), and no others; when one is missing all is undone. */
static void add_taking(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, bool let_go)
{
	const struct pg_table *t = pl->table;
	struct buf *sql = &st->sql;
	const struct write *like = nth(set, 0);
	const char *glue = "";

	pg_path_begin(st);
	buf_addf(sql, "UPDATE %s AS t SET ", t->quoted);
	for (size_t f = 0; f < n_fields(pl); f++) {
		char from[32];

		if (!has(like, f) || t->fields[f].quoted == NULL)
			continue;
		snprintf(from, sizeof from, "u.c%zu", f);
		buf_addf(sql, "%s%s = ", glue, t->fields[f].quoted);
		pg_write_add_sent(sql, &t->fields[f], from);
		glue = ", ";
	}
	pg_write_add_revival(sql, pl);
	buf_adds(sql, " FROM unnest(");
	add_hex_list(sql, set, HEX_ID);
	buf_adds(sql, ", ");
	add_hex_list(sql, set, HEX_VERSION);
	for (size_t f = 0; f < n_fields(pl); f++)
		if (has(like, f)) {
			buf_adds(sql, ", ");
			add_hex_list(sql, set, (int)f);
		}
	buf_adds(sql, ") WITH ORDINALITY AS u(id, v, ");
	for (size_t f = 0; f < n_fields(pl); f++)
		if (has(like, f))
			buf_addf(sql, "c%zu, ", f);
	buf_adds(sql, "n)");
	add_row_is(sql, t);
	buf_addf(sql, "%s::pg_catalog.xid RETURNING u.n) ", let_go ? PG_OUR_VERSION : "u.v");
	buf_addf(sql, "SELECT pg_catalog.width_bucket(1, 0, 2, (w.n IS NOT NULL)::pg_catalog.int4) "
		 "FROM pg_catalog.generate_series(1, %zu) AS g(n) LEFT JOIN w ON w.n = g.n WHERE ", set->n);
	pg_path_plain_condition(st, pl->pg);
	pg_path_plain_back(st);
}

static void add_images(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set)
{
	const struct pg_table *t = pl->table;

	buf_addf(&st->sql, "SELECT t.%s::pg_catalog.text, %s FROM %s AS t WHERE ", t->id.quoted, t->image, t->quoted);
	pg_path_plain_condition(st, pl->pg);	/* what waits for the commit is to find it, too */
	buf_addf(&st->sql, " AND t.%s ", t->id.quoted);
	pg_add_operator(&st->sql, &t->id, "=");
	buf_adds(&st->sql, " ANY (");
	add_hex_list(&st->sql, set, HEX_ID);
	buf_addf(&st->sql, "::%s[])", pg_cast_type(&t->id));
}

/* The writes from i on that have the same fields. */
static struct pg_write_set run_of(const struct pg_write_set *set, size_t i)
{
	size_t end = i;

	while (end < set->n && nth(set, end)->fields == nth(set, i)->fields)
		end++;
	return (struct pg_write_set){ set->list, set->order + i, end - i };
}

bool pg_write_cycle_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set, unsigned way)
{
	struct buf *sql = &st->sql;
	struct pg_write_set part;
	bool by_null = false;

	buf_adds(sql, fault("f14-no-constraint-waits-for-the-commit") ? "" : "SET CONSTRAINTS ALL DEFERRED; ");
	for (size_t i = 0; i < set->n && sql->len <= CYCLE_BYTES; i += part.n) {
		part = run_of(set, i);
		by_null = by_null || any_lets_go(pl, &part, way, true);
		if (any_lets_go(pl, &part, way, false))
			add_letting_go(st, pl, &part, way);
	}
	if (by_null)
		add_nothing_follows(st, pl);
	for (size_t i = 0; i < set->n && sql->len <= CYCLE_BYTES; i += part.n) {
		part = run_of(set, i);
		add_taking(st, pl, &part, any_lets_go(pl, &part, way, false));
	}
	buf_adds(sql, "SELECT 1");
	pg_state_guard_plain(st, pl);
	buf_adds(sql, "; ");
	add_images(st, pl, set);
	return sql->len <= CYCLE_BYTES;
}

void pg_write_attempt_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set)
{
	add_taking(st, pl, set, false);
	add_images(st, pl, set);
	buf_adds(&st->sql, "; ROLLBACK");
}

/* ---- who has what ------------------------------------------------------------------------------------ */

bool pg_write_holders_sql(struct pg_stmt *st, const struct pg_link *pl, const struct pg_write_set *set)
{
	const struct pg_table *t = pl->table;
	struct buf *sql = &st->sql;
	struct pg_write_set part;

	for (size_t i = 0; i < set->n && sql->len <= CYCLE_BYTES; i += part.n) {
		part = run_of(set, i);
		for (size_t f = 0; f < n_fields(pl); f++) {
			const struct pg_column *c = &t->fields[f];

			if (!has(nth(&part, 0), f) || !c->unique || c->zone != NULL)
				continue;
			buf_addf(sql, "%sSELECT u.n - 1 + %zu, h.%s::pg_catalog.text, %zu FROM unnest(", sql->len > 0 ? " UNION ALL " : "",
				 i, t->id.quoted, f);
			add_hex_list(sql, &part, (int)f);
			buf_addf(sql, ") WITH ORDINALITY AS u(c, n) JOIN %s AS h ON h.%s ", t->quoted, c->quoted);
			pg_add_operator(sql, c, "=");
			buf_addf(sql, " u.c::%s", pg_cast_type(c));
		}
	}
	return sql->len > 0 && sql->len <= CYCLE_BYTES;
}
