/*
 * rig.h - one real endpoint on a private PostgreSQL, with two entities, and its operations made to wait.
 *
 * company (key number: name) and person (key email; a reference to its company; a column of nearly every type).
 * Tables public.company and crm."odd ""people", made anew by rig_open(). Every wait ends: the test fails after 20 s.
 */
#ifndef TESTS_ENDPOINT_RIG_H
#define TESTS_ENDPOINT_RIG_H

#include "base/arena.h"
#include "conf/topology.h"
#include "endpoint/endpoint.h"
#include "loop/loop.h"
#include "pg_server.h"

enum { COMPANY_NUMBER, COMPANY_NAME, COMPANY_FIELDS };
enum { P_EMAIL, P_NAME, P_CODE, P_KIND, P_AMOUNT, P_DOC, P_TREE, P_RAW, P_UID, P_SEEN, P_SCORE, P_COMPANY, PERSON_FIELDS };

#define PEOPLE "crm.\"odd \"\"people\""

struct rig {
	struct pg_server *server;
	char *db;
	struct loop *loop;
	struct topology topology;
	struct endpoint_conf conf;
	struct entity_conf entities[2];
	struct mapping mappings[2];
	struct field_def company[COMPANY_FIELDS], person[PERSON_FIELDS];
	char *company_columns[COMPANY_FIELDS], *person_columns[PERSON_FIELDS];
	struct endpoint *ep;
	struct link *companies, *people;
	struct arena arena;		/* for the test's own values */
};

/* A fresh database with the tables; `more` (may be NULL) runs after they were made, before the endpoint starts. */
void rig_open(struct rig *r, struct pg_server *server, enum capture capture, const char *more);
void rig_start(struct rig *r);			/* rig_open() up to here can be had with rig_prepare() */
void rig_prepare(struct rig *r, struct pg_server *server, enum capture capture, const char *more);
void rig_close(struct rig *r);

void rig_sql(struct rig *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The first value of a query, in the rig's arena. */
const char *rig_ask(struct rig *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void rig_wait(struct rig *r);			/* until somebody calls loop_stop(r->loop) */

/* Each waits for its answer. Errors fail the test, unless `e` is given. */
struct captured *rig_capture(struct rig *r, struct link *l, const char *position, size_t max, struct err *e);
void rig_ack(struct rig *r, struct link *l, struct captured **got);	/* acks (if there is anything) and frees */
void rig_drop(struct link *l, struct captured **got);
struct rowset *rig_list(struct rig *r, struct link *l, const char *after, size_t max);
struct rowset *rig_list_until(struct rig *r, struct link *l, const char *after, const char *until, size_t max);
/* The ids, a blank behind each; valid until the next call. */
const char *rig_split(struct rig *r, struct link *l, size_t n, int64_t rows);
struct rowset *rig_read(struct rig *r, struct link *l, const char *const *ids, size_t n);
struct rowset *rig_read_by_key(struct rig *r, struct link *l, const struct value *keys, size_t n);
struct rowset *rig_read_referring(struct rig *r, struct link *l, size_t field, const char *const ids[], size_t n, size_t max);
void rig_write(struct rig *r, struct link *l, struct write *list, size_t n);
void rig_attempt(struct rig *r, struct link *l, struct write *list, size_t n);
char *rig_position_now(struct rig *r, struct link *l);
int64_t rig_estimate(struct rig *r, struct link *l);
int64_t rig_stamp(struct rig *r, struct link *l, const char *id);	/* STAMP_UNKNOWN: not in the log */

/* The news' ids in order, "1 2>3 -4" (2 became 3; 4 is gone), in the rig's arena. */
const char *rig_news(struct rig *r, const struct captured *got);
const struct row *rig_row(const struct rowset *rs, const char *id);	/* NULL: not there */

/* A copy in the rig's arena. */
const struct row *rig_keep(struct rig *r, const struct row *row, size_t n_columns);

/* A write of the fields given as index, text, ... ended by -1; text NULL is NULL. */
struct write rig_insert(struct rig *r, ...);
struct write rig_update(struct rig *r, const struct row *row, ...);
struct write rig_delete(struct rig *r, const struct row *row);

#endif
