#include "rig.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

enum { PATIENCE_MS = 20000 };

static const char tables[] =
	"CREATE TABLE public.company (id serial PRIMARY KEY, number text UNIQUE, title text, changed timestamptz DEFAULT now());"
	"CREATE SCHEMA crm;"
	"CREATE TYPE crm.\"Kind\" AS ENUM ('cold', 'warm');"
	"CREATE TABLE " PEOPLE " (id bigserial PRIMARY KEY, email text NOT NULL UNIQUE, \"full name\" varchar(20), code char(5),"
	" kind crm.\"Kind\", amount numeric(10,2), doc json, tree jsonb, raw bytea, uid uuid, seen timestamp, score int,"
	" company_id int REFERENCES public.company DEFERRABLE, note text, changed timestamptz DEFAULT now());"
	"CREATE INDEX ON " PEOPLE " (changed, id);"
	"CREATE FUNCTION crm.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.changed := now(); RETURN NEW; END$$;"
	"CREATE TRIGGER touch BEFORE UPDATE ON " PEOPLE " FOR EACH ROW EXECUTE FUNCTION crm.touch();";

static const struct {
	const char *name, *column;
	enum field_type type;
} company_fields[COMPANY_FIELDS] = {
	[COMPANY_NUMBER] = { "number", "number", FIELD_TEXT },
	[COMPANY_NAME] = { "name", "title", FIELD_TEXT },
}, person_fields[PERSON_FIELDS] = {
	[P_EMAIL] = { "email", "email", FIELD_TEXT },
	[P_NAME] = { "name", "full name", FIELD_TEXT },
	[P_CODE] = { "code", "code", FIELD_TEXT },
	[P_KIND] = { "kind", "kind", FIELD_TEXT },
	[P_AMOUNT] = { "amount", "amount", FIELD_DECIMAL },
	[P_DOC] = { "doc", "doc", FIELD_JSON },
	[P_TREE] = { "tree", "tree", FIELD_JSON },
	[P_RAW] = { "raw", "raw", FIELD_BYTES },
	[P_UID] = { "uid", "uid", FIELD_UUID },
	[P_SEEN] = { "seen", "seen", FIELD_TIMESTAMP },
	[P_SCORE] = { "score", "score", FIELD_INTEGER },
	[P_COMPANY] = { "company", "company_id", FIELD_REFERENCE },
};

static void build_topology(struct rig *r, enum capture capture)
{
	static char company[] = "company", person[] = "person", company_table[] = "company", people_table[] = PEOPLE, id[] = "id",
		    changed[] = "changed", name[] = "rig", endpoint[] = "crm";

	r->conf = (struct endpoint_conf){ .name = endpoint, .driver = DRIVER_POSTGRES, .capture = capture, .notify = true,
		.interval_us = 1000000, .install_auto = true, .connections = 3, .overlap_us = 300000000,
		.statement_timeout_us = 10000000, .lock_timeout_us = 300000 };
	r->conf.connection = pg_server_conninfo(r->server, NULL, r->db);
	for (size_t i = 0; i < COMPANY_FIELDS; i++) {
		r->company[i] = (struct field_def){ .name = xstrdup(company_fields[i].name), .type = company_fields[i].type, .group = -1 };
		r->company_columns[i] = xstrdup(company_fields[i].column);
	}
	for (size_t i = 0; i < PERSON_FIELDS; i++) {
		r->person[i] = (struct field_def){ .name = xstrdup(person_fields[i].name), .type = person_fields[i].type, .group = -1 };
		r->person_columns[i] = xstrdup(person_fields[i].column);
	}
	r->person[P_COMPANY].refers = &r->entities[0].def;
	r->entities[0].def = (struct entity_def){ .name = company, .index = 0, .fields = r->company, .n_fields = COMPANY_FIELDS,
		.key = { COMPANY_NUMBER }, .n_key = 1 };
	r->entities[1].def = (struct entity_def){ .name = person, .index = 1, .fields = r->person, .n_fields = PERSON_FIELDS,
		.key = { P_EMAIL }, .n_key = 1 };
	for (size_t i = 0; i < 2; i++) {
		r->mappings[i] = (struct mapping){ .entity = &r->entities[i].def, .endpoint = &r->conf,
			.table = i == 0 ? company_table : people_table, .id = id, .modified = changed,
			.columns = i == 0 ? r->company_columns : r->person_columns };
		r->entities[i].mapping[0] = &r->mappings[i];
	}
	r->topology = (struct topology){ .name = name, .endpoints = &r->conf, .n_endpoints = 1, .entities = r->entities, .n_entities = 2 };
	r->topology.limits.batch_rows = 4000;
}

/* ---- waiting ------------------------------------------------------------------------------------- */

static void on_patience(void *arg)
{
	ck_abort_msg("no answer within %d ms", PATIENCE_MS);
}

void rig_wait(struct rig *r)
{
	struct loop_timer *patience = loop_timer_new(r->loop, on_patience, r);

	loop_timer_set(patience, PATIENCE_MS);
	loop_run(r->loop);
	loop_timer_free(&patience);
}

static void on_state(void *arg, struct endpoint *ep)
{
	struct rig *r = arg;

	if (ep->state == ENDPOINT_UP)
		loop_stop(r->loop);
}

static void on_wake(void *arg, struct endpoint *ep)
{
}

void rig_prepare(struct rig *r, struct pg_server *server, enum capture capture, const char *more)
{
	static unsigned number;

	memset(r, 0, sizeof *r);
	arena_init(&r->arena);
	r->server = server;
	r->db = xasprintf("rig%u_%d", ++number, (int)getpid());
	char *create = xasprintf("CREATE DATABASE %s", r->db);

	pg_server_sql(server, NULL, create);
	free(create);
	pg_server_sql(server, r->db, tables);
	if (more != NULL)
		pg_server_sql(server, r->db, more);
	r->loop = loop_new();
	build_topology(r, capture);
}

void rig_start(struct rig *r)
{
	struct endpoint_events events = { on_state, on_wake, r };

	r->ep = postgres_endpoint_new(r->loop, &r->topology, &r->conf, &events);
	r->companies = endpoint_link(r->ep, 0);
	r->people = endpoint_link(r->ep, 1);
	r->ep->ops->start(r->ep);
	rig_wait(r);
	ck_assert_msg(r->people->usable && r->companies->usable, "%s%s", r->people->why.text, r->companies->why.text);
}

void rig_open(struct rig *r, struct pg_server *server, enum capture capture, const char *more)
{
	rig_prepare(r, server, capture, more);
	rig_start(r);
}

void rig_close(struct rig *r)
{
	char *drop = xasprintf("DROP DATABASE %s WITH (FORCE)", r->db);

	endpoint_free(&r->ep);
	loop_free(&r->loop);
	pg_server_sql(r->server, NULL, drop);
	free(drop);
	for (size_t i = 0; i < COMPANY_FIELDS; i++) {
		free(r->company[i].name);
		free(r->company_columns[i]);
	}
	for (size_t i = 0; i < PERSON_FIELDS; i++) {
		free(r->person[i].name);
		free(r->person_columns[i]);
	}
	free(r->conf.connection);
	free(r->db);
	arena_fini(&r->arena);
}

void rig_sql(struct rig *r, const char *fmt, ...)
{
	char *sql = NULL;
	va_list ap;

	va_start(ap, fmt);
	ck_assert_int_ge(vasprintf(&sql, fmt, ap), 0);
	va_end(ap);
	pg_server_sql(r->server, r->db, sql);
	free(sql);
}

const char *rig_ask(struct rig *r, const char *fmt, ...)
{
	char *sql = NULL, *got;
	const char *kept;
	va_list ap;

	va_start(ap, fmt);
	ck_assert_int_ge(vasprintf(&sql, fmt, ap), 0);
	va_end(ap);
	got = pg_server_value(r->server, r->db, sql);
	kept = arena_dup(&r->arena, got, strlen(got));
	free(got);
	free(sql);
	return kept;
}

/* ---- operations ---------------------------------------------------------------------------------- */

struct answer {
	struct rig *r;
	bool came;
	struct err e;
	void *got;
	int64_t number;
};

static void answered(struct answer *a, void *got, const struct err *e)
{
	ck_assert_msg(!a->came, "answered twice");
	a->came = true;
	a->got = got;
	if (e != NULL)
		a->e = *e;
	loop_stop(a->r->loop);
}

static void *await(struct answer *a, const char *what, struct err *e)
{
	ck_assert_msg(!a->came, "%s answered before the call returned", what);
	while (!a->came)	/* another event may have stopped the loop */
		rig_wait(a->r);
	if (e != NULL)
		*e = a->e;
	else
		ck_assert_msg(a->e.kind == 0, "%s: %s %s", what, a->e.code, a->e.text);
	return a->got;
}

static void on_captured(void *arg, struct captured *got, const struct err *e)
{
	ck_assert((got == NULL) == (e != NULL));
	answered(arg, got, e);
}

struct captured *rig_capture(struct rig *r, struct link *l, const char *position, size_t max, struct err *e)
{
	struct answer a = { .r = r };

	l->ops->capture(l, position, max, on_captured, &a);
	return await(&a, "capture", e);
}

static void on_done(void *arg, const struct err *e)
{
	answered(arg, NULL, e);
}

void rig_ack(struct rig *r, struct link *l, struct captured **got)
{
	struct answer a = { .r = r };

	if ((*got)->ack != NULL) {
		l->ops->ack(l, (*got)->ack, on_done, &a);
		await(&a, "ack", NULL);
	}
	captured_free(got);
}

void rig_drop(struct link *l, struct captured **got)
{
	if ((*got)->ack != NULL)
		l->ops->drop(l, (*got)->ack);
	captured_free(got);
}

static void on_rows(void *arg, struct rowset *got, const struct err *e)
{
	ck_assert((got == NULL) == (e != NULL));
	answered(arg, got, e);
}

struct rowset *rig_list_until(struct rig *r, struct link *l, const char *after, const char *until, size_t max)
{
	struct answer a = { .r = r };

	l->ops->list(l, after, until, max, on_rows, &a);
	return await(&a, "list", NULL);
}

struct rowset *rig_list(struct rig *r, struct link *l, const char *after, size_t max)
{
	return rig_list_until(r, l, after, NULL, max);
}

static void on_split(void *arg, const struct value *ids, size_t n, const struct err *e)
{
	static char text[400];

	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s ", (int)ids[i].len, ids[i].data);
	answered(arg, text, e);
}

const char *rig_split(struct rig *r, struct link *l, size_t n, int64_t rows)
{
	struct answer a = { .r = r };

	l->ops->split(l, n, rows, on_split, &a);
	return await(&a, "split", NULL);
}

struct rowset *rig_read(struct rig *r, struct link *l, const char *const *ids, size_t n)
{
	struct value *list = xcalloc(n + 1, sizeof *list);
	struct answer a = { .r = r };

	for (size_t i = 0; i < n; i++)
		list[i] = value_of(ids[i]);
	l->ops->read(l, list, n, on_rows, &a);
	free(list);
	return await(&a, "read", NULL);
}

struct rowset *rig_read_by_key(struct rig *r, struct link *l, const struct value *keys, size_t n)
{
	struct answer a = { .r = r };

	l->ops->read_by_key(l, keys, n, on_rows, &a);
	return await(&a, "read_by_key", NULL);
}

struct rowset *rig_read_referring(struct rig *r, struct link *l, size_t field, const char *const ids[], size_t n, size_t max)
{
	struct value *list = xcalloc(n + 1, sizeof *list);
	struct answer a = { .r = r };

	for (size_t i = 0; i < n; i++)
		list[i] = value_of(ids[i]);
	l->ops->read_referring(l, field, list, n, max, on_rows, &a);
	free(list);
	return await(&a, "read_referring", NULL);
}

static void on_written(void *arg, struct write_batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		ck_assert_int_ne(batch->list[i].outcome, WRITE_PENDING);
	answered(arg, NULL, NULL);
}

void rig_write(struct rig *r, struct link *l, struct write *list, size_t n)
{
	struct write_batch batch = { .list = list, .n = n, .arena = &r->arena };
	struct answer a = { .r = r };

	l->ops->write(l, &batch, on_written, &a);
	await(&a, "write", NULL);
}

static void on_attempted(void *arg, struct write_batch *batch)
{
	(void)batch;
	answered(arg, NULL, NULL);
}

void rig_attempt(struct rig *r, struct link *l, struct write *list, size_t n)
{
	struct write_batch batch = { .list = list, .n = n, .arena = &r->arena };
	struct answer a = { .r = r };

	l->ops->attempt(l, &batch, on_attempted, &a);
	await(&a, "attempt", NULL);
}

static void on_position(void *arg, const char *position, const struct err *e)
{
	answered(arg, position != NULL ? xstrdup(position) : NULL, e);
}

char *rig_position_now(struct rig *r, struct link *l)
{
	struct answer a = { .r = r };

	l->ops->position_now(l, on_position, &a);
	return await(&a, "position_now", NULL);
}

static void on_number(void *arg, int64_t rows, const struct err *e)
{
	((struct answer *)arg)->number = rows;
	answered(arg, NULL, e);
}

int64_t rig_estimate(struct rig *r, struct link *l)
{
	struct answer a = { .r = r };

	l->ops->estimate(l, on_number, &a);
	await(&a, "estimate", NULL);
	return a.number;
}

static void on_stamps(void *arg, const struct stamps *list, size_t n, const struct err *e)
{
	((struct answer *)arg)->number = n > 0 ? list[0].stamp : STAMP_UNKNOWN;
	answered(arg, NULL, e);
}

int64_t rig_stamp(struct rig *r, struct link *l, const char *id)
{
	struct value one = value_of(id);
	struct answer a = { .r = r };

	l->ops->stamps(l, &one, 1, on_stamps, &a);
	await(&a, "stamps", NULL);
	return a.number;
}

/* ---- looking ------------------------------------------------------------------------------------- */

const char *rig_news(struct rig *r, const struct captured *got)
{
	struct buf b = { 0 };
	const char *kept;

	buf_adds(&b, "");
	for (size_t i = 0; i < got->n; i++) {
		const struct news *n = &got->news[i];

		if (i > 0)
			buf_addc(&b, ' ');
		if (!value_is_null(n->old_id))
			buf_addf(&b, "%.*s>", n->old_id.len, n->old_id.data);
		buf_addf(&b, "%s%.*s", n->row < 0 ? "-" : "", n->id.len, n->id.data);
		if (n->row >= 0)
			ck_assert(value_equal(got->rows->rows[n->row].id, n->id));
	}
	kept = arena_dup(&r->arena, b.p, b.len);
	buf_fini(&b);
	return kept;
}

const struct row *rig_row(const struct rowset *rs, const char *id)
{
	for (size_t i = 0; i < rs->n; i++)
		if (value_equal(rs->rows[i].id, value_of(id)))
			return &rs->rows[i];
	return NULL;
}

static struct value keep(struct rig *r, struct value v)
{
	if (!value_is_null(v))
		v.data = arena_dup(&r->arena, v.data, (size_t)v.len);
	return v;
}

const struct row *rig_keep(struct rig *r, const struct row *row, size_t n_columns)
{
	struct row *copy = arena_alloc(&r->arena, sizeof *copy);
	struct value *columns = arena_alloc(&r->arena, n_columns * sizeof *columns);

	*copy = *row;
	copy->id = keep(r, row->id);
	copy->version = keep(r, row->version);
	copy->columns = columns;
	for (size_t i = 0; i < n_columns; i++)
		columns[i] = keep(r, row->columns[i]);
	return copy;
}

static struct write write_of(struct rig *r, enum write_op op, va_list ap)
{
	struct value *values = arena_zalloc(&r->arena, FIELDS_MAX * sizeof *values);
	struct write w = { .op = op, .values = values };
	int field;

	while ((field = va_arg(ap, int)) >= 0) {
		const char *text = va_arg(ap, const char *);

		w.fields |= (uint64_t)1 << field;
		values[field] = keep(r, text != NULL ? value_of(text) : VALUE_NULL);
	}
	return w;
}

struct write rig_insert(struct rig *r, ...)
{
	struct write w;
	va_list ap;

	va_start(ap, r);
	w = write_of(r, WRITE_INSERT, ap);
	va_end(ap);
	return w;
}

static void guard(struct rig *r, struct write *w, const struct row *row)
{
	w->id = keep(r, row->id);
	w->version = keep(r, row->version);
}

struct write rig_update(struct rig *r, const struct row *row, ...)
{
	struct write w;
	va_list ap;

	va_start(ap, row);
	w = write_of(r, WRITE_UPDATE, ap);
	va_end(ap);
	guard(r, &w, row);
	return w;
}

struct write rig_delete(struct rig *r, const struct row *row)
{
	struct write w = { .op = WRITE_DELETE };

	guard(r, &w, row);
	return w;
}
