/*
 * pg_rig.h - a PostgreSQL endpoint on a loop of its own, for tests: a topology made by hand, and waiting for facts.
 *
 * One topology named "acme" with one endpoint named "sales". Change rig->conf and add entities before rig_start().
 */
#ifndef TESTS_ENDPOINT_PG_RIG_H
#define TESTS_ENDPOINT_PG_RIG_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>

#include "conf/topology.h"
#include "endpoint/endpoint.h"
#include "endpoint/postgres/pg.h"
#include "loop/loop.h"

enum { RIG_SECONDS = 20 };

struct rig {
	struct loop *loop;
	struct topology topology;
	struct endpoint_conf *conf;	/* of "sales": listen, notify, install auto, 2 connections */
	struct endpoint *ep;
	unsigned states, wakes;		/* calls of the events */
};

struct rig *rig_new(char *conninfo);			/* conninfo becomes the rig's */
void rig_free(struct rig **);
/* An entity with its mapping (id, modified NULL; role both; delete hard). Returned pointers live until rig_start(). */
struct entity_conf *rig_entity(struct rig *, const char *name, const char *table);
/* A field; the first one is the key. column NULL: same name. */
struct field_def *rig_field(struct entity_conf *, const char *name, enum field_type type, const char *column);
void rig_where(struct entity_conf *, const char *column, const char *value);
struct mapping *rig_mapping(struct entity_conf *);
/* The endpoint is made (NULL events are counted) and started. */
void rig_start(struct rig *);
struct pg_link *rig_link(struct rig *, size_t entity);

/* Runs the loop for a few milliseconds, or until something was told. */
void rig_turn(struct rig *);
void rig_late(struct rig *, const char *fact, const char *file, int line);
#define rig_wait(rig, fact) \
	do { \
		int64_t rig_end_us = clock_mono_us() + RIG_SECONDS * INT64_C(1000000); \
		while (!(fact)) { \
			if (clock_mono_us() > rig_end_us) \
				rig_late(rig, #fact, __FILE__, __LINE__); \
			rig_turn(rig); \
		} \
	} while (0)
#define rig_wait_up(rig) rig_wait(rig, (rig)->ep->state == ENDPOINT_UP)

/* An answer of an operation. */
struct answer {
	unsigned calls;
	struct err e;			/* of the last; kind 0: fine */
	char *text;			/* first cell, or the printed text; freed by answer_fini() */
	struct rig *rig;		/* stop the loop on an answer; may be NULL */
};
void answer_fini(struct answer *);
pg_result_fn answer_result;
done_fn answer_done;
void answer_text(void *arg, const char *text, const struct err *e);
/* Runs one statement through pg_call() and waits; answers its first cell (yours), or fails the test. */
char *rig_ask(struct rig *, const char *sql);

#endif
