#include "pg_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

enum { ENTITIES = 16 };

static void on_state(void *arg, struct endpoint *ep)
{
	struct rig *rig = arg;

	rig->states++;
	loop_stop(rig->loop);
}

static void on_wake(void *arg, struct endpoint *ep)
{
	struct rig *rig = arg;

	rig->wakes++;
	loop_stop(rig->loop);
}

struct rig *rig_new(char *conninfo)
{
	struct rig *rig = xcalloc(1, sizeof *rig);

	rig->loop = loop_new();
	rig->topology.name = xstrdup("acme");
	rig->topology.endpoints = rig->conf = xcalloc(1, sizeof *rig->conf);
	rig->topology.n_endpoints = 1;
	rig->topology.limits.batch_rows = 4000;
	rig->topology.limits.batch_bytes = 8 << 20;
	*rig->conf = (struct endpoint_conf){
		.name = xstrdup("sales"), .driver = DRIVER_POSTGRES, .connection = conninfo, .capture = CAPTURE_LISTEN,
		.notify = true, .interval_us = 1000000, .install_auto = true, .connections = 2, .overlap_us = 300000000,
		.statement_timeout_us = 10000000, .lock_timeout_us = 2000000,
	};
	return rig;
}

static void free_mapping(struct mapping *m, size_t n_fields)
{
	if (m == NULL)
		return;
	free(m->table);
	free(m->id);
	free(m->modified);
	for (size_t i = 0; i < n_fields; i++)
		free(m->columns[i]);
	free(m->columns);
	free(m->delete_column);
	free(m->delete_set);
	for (size_t i = 0; i < m->n_where; i++) {
		free(m->where[i].column);
		free(m->where[i].value);
	}
	free(m->where);
	free(m);
}

void rig_free(struct rig **rp)
{
	struct rig *rig = *rp;

	endpoint_free(&rig->ep);
	loop_free(&rig->loop);
	for (size_t i = 0; i < rig->topology.n_entities; i++) {
		struct entity_conf *ec = &rig->topology.entities[i];

		free_mapping(ec->mapping[0], ec->def.n_fields);
		for (size_t f = 0; f < ec->def.n_fields; f++)
			free(ec->def.fields[f].name);
		free(ec->def.fields);
		free(ec->def.name);
	}
	free(rig->topology.entities);
	free(rig->topology.name);
	free(rig->conf->name);
	free(rig->conf->connection);
	free(rig->conf->password_file);
	free(rig->conf);
	free(rig);
	*rp = NULL;
}

struct entity_conf *rig_entity(struct rig *rig, const char *name, const char *table)
{
	struct topology *t = &rig->topology;
	struct entity_conf *ec;

	if (t->entities == NULL)
		t->entities = xcalloc(ENTITIES, sizeof *t->entities);	/* fixed: mappings point into it */
	ck_assert_uint_lt(t->n_entities, ENTITIES);
	ec = &t->entities[t->n_entities];
	ec->def.name = xstrdup(name);
	ec->def.index = t->n_entities++;
	ec->def.fields = xcalloc(FIELDS_MAX, sizeof *ec->def.fields);
	ec->def.n_key = 1;
	ec->mapping[0] = xcalloc(1, sizeof *ec->mapping[0]);
	ec->mapping[0]->entity = &ec->def;
	ec->mapping[0]->endpoint = rig->conf;
	ec->mapping[0]->table = xstrdup(table);
	ec->mapping[0]->columns = xcalloc(FIELDS_MAX, sizeof(char *));
	return ec;
}

struct field_def *rig_field(struct entity_conf *ec, const char *name, enum field_type type, const char *column)
{
	size_t i = ec->def.n_fields++;
	struct field_def *f = &ec->def.fields[i];

	f->name = xstrdup(name);
	f->type = type;
	f->group = -1;
	f->is_key = i == 0;
	ec->mapping[0]->columns[i] = xstrdup(column != NULL ? column : name);
	return f;
}

void rig_where(struct entity_conf *ec, const char *column, const char *value)
{
	struct mapping *m = ec->mapping[0];

	m->where = xrealloc(m->where, (m->n_where + 1) * sizeof *m->where);
	m->where[m->n_where++] = (struct where_item){ .column = xstrdup(column), .value = value != NULL ? xstrdup(value) : NULL };
}

struct mapping *rig_mapping(struct entity_conf *ec)
{
	return ec->mapping[0];
}

void rig_start(struct rig *rig)
{
	struct endpoint_events events = { .state = on_state, .wake = on_wake, .arg = rig };

	rig->ep = postgres_endpoint_new(rig->loop, &rig->topology, rig->conf, &events);
	rig->ep->ops->start(rig->ep);
}

struct pg_link *rig_link(struct rig *rig, size_t entity)
{
	struct link *link = endpoint_link(rig->ep, entity);

	ck_assert_ptr_nonnull(link);
	return (struct pg_link *)link;
}

static void stop_turn(void *arg)
{
	loop_stop(arg);
}

void rig_turn(struct rig *rig)
{
	struct loop_timer *t = loop_timer_new(rig->loop, stop_turn, rig->loop);

	loop_timer_set(t, 5);
	loop_run(rig->loop);
	loop_timer_free(&t);
}

void rig_late(struct rig *rig, const char *fact, const char *file, int line)
{
	fprintf(stderr, "%s:%d: still not: %s\n", file, line, fact);
	if (rig->ep != NULL)
		fprintf(stderr, "  endpoint %s: %s %s\n", endpoint_state_name(rig->ep->state), rig->ep->why.code, rig->ep->why.text);
	for (size_t i = 0; rig->ep != NULL && i < rig->topology.n_entities; i++)
		if (rig->ep->links[i] != NULL)
			fprintf(stderr, "  %s: usable %d: %s\n", rig->topology.entities[i].def.name, rig->ep->links[i]->usable,
				rig->ep->links[i]->why.text);
	ck_abort_msg("still not after %d s: %s", RIG_SECONDS, fact);
}

/* ---- answers -------------------------------------------------------------------------------------- */

void answer_fini(struct answer *a)
{
	free(a->text);
	memset(a, 0, sizeof *a);
}

static void took(struct answer *a, const char *text, const struct err *e)
{
	a->calls++;
	err_clear(&a->e);
	if (e != NULL)
		a->e = *e;
	free(a->text);
	a->text = text != NULL ? xstrdup(text) : NULL;
	if (a->rig != NULL)
		loop_stop(a->rig->loop);
}

void answer_result(void *arg, PGresult *res, const struct err *e)
{
	took(arg, e == NULL && PQntuples(res) > 0 && PQnfields(res) > 0 ? PQgetvalue(res, 0, 0) : NULL, e);
	PQclear(res);
}

void answer_done(void *arg, const struct err *e)
{
	took(arg, NULL, e);
}

void answer_text(void *arg, const char *text, const struct err *e)
{
	took(arg, text, e);
}

char *rig_ask(struct rig *rig, const char *sql)
{
	struct answer a = { .rig = rig };

	pg_call(pg_of(rig->ep), sql, NULL, answer_result, &a);
	ck_assert_uint_eq(a.calls, 0);
	rig_wait(rig, a.calls > 0);
	if (a.e.kind != 0)
		ck_abort_msg("%s: %s %s", sql, a.e.code, a.e.text);
	return a.text;
}
