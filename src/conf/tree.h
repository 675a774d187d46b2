/*
 * tree.h - a YAML file as a tree of nodes that know where they stand.
 *
 * Inside conf/; tree.c is the only file that includes libyaml. Nothing is guessed here: a scalar is
 * its text and whether it was written without quotes; what it means is for the reader that wants a value.
 * Refused with their position: anchors, aliases, tags, duplicate keys, a second document, more than 16
 * levels, more than 1 MiB, more than 100,000 values, anything that is not UTF-8 or not text.
 *
 * Positions are those of an editor: line and column from 1, columns counted in characters.
 */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include <stdbool.h>
#include <stddef.h>

struct arena;
struct buf;
struct conf_problems;

enum { TREE_LEVELS_MAX = 16, TREE_BYTES_MAX = 1 << 20, TREE_NODES_MAX = 100000 };

enum node_kind {
	NODE_SCALAR, NODE_MAP, NODE_LIST,
	NODE_BAD,		/* already complained about: readers pass over it in silence */
};

struct node {
	enum node_kind kind;
	unsigned line, column;
	struct node *parent;		/* NULL: the root */
	const char *key;		/* in a map: its name; else NULL */
	unsigned key_line, key_column;
	bool twice;			/* its key stands earlier in the map: complained about and left out */
	size_t at;			/* in a list: from 0 */
	/* scalar */
	const char *text;		/* no NUL inside */
	bool plain;			/* written without quotes */
	/* map, list */
	struct node *first, *last, *next;
	size_t n;
};

/* Nodes live in the arena. False: nothing could be read; there may be problems even with true. */
bool tree_parse(struct arena *arena, const char *text, size_t len, struct conf_problems *problems, struct node **root);

/* The value of a key of a map; NULL when there is none (also for a NULL map or what is not a map). */
struct node *node_get(const struct node *map, const char *key);
/* "endpoints.sales.interval", "entities.contact.key[1]". */
void node_path(struct buf *out, const struct node *node);

#endif
