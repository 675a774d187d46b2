/*
 * read.h - from nodes to the topology, row by row of the settings table.
 *
 * Inside conf/. A reader never stops at a problem: it notes it, leaves the default or nothing in place, and goes on,
 * so that one run shows everything. What it made is thrown away when there was any problem.
 */
#ifndef CONF_READ_H
#define CONF_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/setting.h"
#include "conf/topology.h"
#include "conf/tree.h"

struct reader {
	struct arena *arena;		/* the topology's: everything read lives there */
	struct conf_problems *problems;
	struct topology *t;
	const char *directory;		/* where relative file names begin */
	bool files;			/* also read the secrets' files */
	conf_connection_fn *understands;	/* NULL: connection strings are taken as they are */
	/* where we are, for the readers further down */
	struct entity_conf *entity;
	struct mapping *mapping;
	const struct node **entity_nodes;	/* by index in t->entities while they are in the order of the file */
};

/* All rows below `pattern`, in order; node NULL: only the defaults. Unknown keys are problems. */
void read_section(struct reader *r, const char *pattern, const struct node *node, void *base);
/* One row's value. */
void read_value(struct reader *r, const struct setting *s, const struct node *node, void *base);

/* Problems: at the value, at the key that names it, at a key that is not there. */
void wrong(struct reader *r, const struct node *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void wrong_key(struct reader *r, const struct node *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void missing(struct reader *r, const struct node *map, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* "wants X, has a list"; silent for NODE_BAD. */
void wrong_type(struct reader *r, const struct node *at, const char *wants);

bool is_map(struct reader *r, const struct node *node, const char *wants);
bool is_list(struct reader *r, const struct node *node, const char *wants);
/* The text of a scalar where text is wanted: `no` and `1.0` are text; nothing at all, and a bare null, are not. NULL: complained. */
const char *text_of(struct reader *r, const struct node *node, const char *wants);
bool is_null(const struct node *node);		/* a bare null or ~ */
bool integer_of(const struct node *node, int64_t *out);
bool name_ok(struct reader *r, const struct node *at, const char *name);	/* complains at `at`'s key or value */

/* "; did you mean "x"?" or "". Lives in the arena. */
const char *did_you_mean(struct reader *r, const char *name, const char *const *names);
/* The text as it may stand in a problem: escaped, quoted, cut. Lives in the arena. */
const char *quoted(struct reader *r, const char *text);

/* Indexes by name; -1: none. */
ptrdiff_t endpoint_find(const struct topology *t, const char *name);
ptrdiff_t entity_find(const struct topology *t, const char *name);
ptrdiff_t field_find(const struct entity_def *e, const char *name);
/* As above, and complain at the node. */
ptrdiff_t endpoint_named(struct reader *r, const struct node *at, const char *name);
ptrdiff_t field_named(struct reader *r, const struct node *at, const char *name);	/* of r->entity */

/* What only shows when all is read: check.c. Also puts entities in order, parents first. */
void topology_check(struct reader *r, const struct node *root);

#endif
