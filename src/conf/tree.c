#include "conf/tree.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/problem.h"

/* ---- nodes ------------------------------------------------------------------------------------------- */

struct node *node_get(const struct node *map, const char *key)
{
	if (map == NULL || map->kind != NODE_MAP)
		return NULL;
	for (struct node *c = map->first; c != NULL; c = c->next)
		if (strcmp(c->key, key) == 0)
			return c;
	return NULL;
}

void node_path(struct buf *out, const struct node *node)
{
	if (node->parent == NULL)
		return;
	node_path(out, node->parent);
	if (node->key == NULL) {
		buf_addf(out, "[%zu]", node->at);
		return;
	}
	if (out->len > 0)
		buf_addc(out, '.');
	text_escape(out, node->key, strlen(node->key), '\0', 80);
}

/* ---- characters -------------------------------------------------------------------------------------- */

/* The places of libyaml's reader, so that both count lines alike. */
struct place {
	unsigned line, column;
};

static bool is_break(const char *p, size_t n, uint32_t c)
{
	if (c == '\r')
		return n < 2 || p[1] != '\n';	/* CR LF is one break, counted at its LF */
	return c == '\n' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool is_text(uint32_t c)
{
	return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c < 0x7f) || c == 0x85 ||
	       (c >= 0xa0 && c <= 0xfffd && c != 0xfeff) || c >= 0x10000;
}

static void place_step(struct place *at, const char *p, size_t n, uint32_t c)
{
	if (is_break(p, n, c))
		*at = (struct place){ at->line + 1, 1 };
	else
		at->column++;
}

/* libyaml's own words for these have no line. */
static bool check_characters(const char *p, size_t n, struct conf_problems *problems)
{
	struct place at = { 1, 1 };
	uint32_t c;

	while (n > 0) {
		size_t step = utf8_step(p, n, &c);

		if (step == 0) {
			problem_add(problems, at.line, at.column, "", "this byte (0x%02x) is not UTF-8", (unsigned char)*p);
			return false;
		}
		if (c == 0) {
			problem_add(problems, at.line, at.column, "", "a NUL byte: this is not a text file");
			return false;
		}
		if (!is_text(c)) {
			problem_add(problems, at.line, at.column, "", "a control character (U+%04X) is not allowed here", c);
			return false;
		}
		place_step(&at, p, n, c);
		p += step;
		n -= step;
	}
	return true;
}

static bool check_encoding(const char **text, size_t *len, struct conf_problems *problems)
{
	const unsigned char *p = (const unsigned char *)*text;

	if (*len > TREE_BYTES_MAX) {
		problem_add(problems, 0, 0, "", "is larger than 1 MiB");
		return false;
	}
	if (*len >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff))) {
		problem_add(problems, 1, 1, "", "this file is UTF-16; a topology is UTF-8");
		return false;
	}
	if (*len >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {	/* some editors put it there; it says nothing new */
		*text += 3;
		*len -= 3;
	}
	return check_characters(*text, *len, problems);
}

static bool is_tab_at(const char *p, size_t n, struct place wanted)
{
	struct place at = { 1, 1 };
	uint32_t c;

	while (n > 0 && (at.line != wanted.line || at.column != wanted.column)) {
		size_t step = utf8_step(p, n, &c);

		place_step(&at, p, n, c);
		p += step;
		n -= step;
	}
	return n > 0 && *p == '\t';
}

/* ---- from events to nodes ---------------------------------------------------------------------------- */

struct builder {
	struct arena *arena;
	struct conf_problems *problems;
	const char *text;
	size_t len;
	struct node *root, *open;	/* open: the innermost map or list still being read */
	const char *key;		/* read, its value not yet */
	yaml_mark_t key_mark;
	size_t levels, nodes, documents;
};

static void complain(struct builder *b, yaml_mark_t at, const char *what)
{
	struct buf path = { 0 };

	if (b->open != NULL)
		node_path(&path, b->open);
	if (b->key != NULL) {
		if (path.len > 0)
			buf_addc(&path, '.');
		text_escape(&path, b->key, strlen(b->key), '\0', 80);
	}
	problem_add(b->problems, (unsigned)at.line + 1, (unsigned)at.column + 1, path.len > 0 ? path.p : "", "%s", what);
	buf_fini(&path);
}

static struct node *node_new(struct builder *b, enum node_kind kind, yaml_mark_t at)
{
	struct node *n = arena_zalloc(b->arena, sizeof *n);

	n->kind = kind;
	n->line = (unsigned)at.line + 1;
	n->column = (unsigned)at.column + 1;
	n->parent = b->open;
	if (b->open == NULL) {
		b->root = n;
		return n;
	}
	n->at = b->open->n++;
	if (b->open->kind == NODE_MAP) {
		n->key = b->key;
		n->key_line = (unsigned)b->key_mark.line + 1;
		n->key_column = (unsigned)b->key_mark.column + 1;
		b->key = NULL;
	}
	if (b->open->last != NULL)
		b->open->last->next = n;
	else
		b->open->first = n;
	b->open->last = n;
	return n;
}

static bool wants_key(const struct builder *b)
{
	return b->open != NULL && b->open->kind == NODE_MAP && b->key == NULL;
}

/* Anchors, aliases and tags would make a file say more than it shows; expanding them is how small files become huge. */
static void check_decoration(struct builder *b, const yaml_event_t *ev)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (ev->type == YAML_SCALAR_EVENT)
		anchor = ev->data.scalar.anchor, tag = ev->data.scalar.tag;
	else if (ev->type == YAML_MAPPING_START_EVENT)
		anchor = ev->data.mapping_start.anchor, tag = ev->data.mapping_start.tag;
	else if (ev->type == YAML_SEQUENCE_START_EVENT)
		anchor = ev->data.sequence_start.anchor, tag = ev->data.sequence_start.tag;
	if (anchor != NULL)
		complain(b, ev->start_mark, "anchors (&name) are not allowed: write the value out");
	if (tag != NULL)
		complain(b, ev->start_mark, "tags (!type) are not allowed: the setting knows its type");
}

static bool on_scalar(struct builder *b, const yaml_event_t *ev)
{
	const char *text = (const char *)ev->data.scalar.value;
	size_t len = ev->data.scalar.length;
	struct node *n;

	if (memchr(text, '\0', len) != NULL) {
		complain(b, ev->start_mark, "this text holds a NUL character");
		return false;
	}
	if (wants_key(b)) {
		b->key = arena_dup(b->arena, text, len);
		b->key_mark = ev->start_mark;
		return true;
	}
	n = node_new(b, NODE_SCALAR, ev->start_mark);
	n->text = arena_dup(b->arena, text, len);
	n->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	return true;
}

static bool on_open(struct builder *b, const yaml_event_t *ev, enum node_kind kind)
{
	if (wants_key(b)) {
		complain(b, ev->start_mark, "a key must be a name, not a list or a map");
		return false;
	}
	if (++b->levels > TREE_LEVELS_MAX) {
		complain(b, ev->start_mark, "more than 16 levels deep");
		return false;
	}
	b->open = node_new(b, kind, ev->start_mark);
	return true;
}

static int key_compare(const void *va, const void *vb)
{
	const struct node *a = *(struct node *const *)va, *b = *(struct node *const *)vb;
	int d = strcmp(a->key, b->key);

	return d != 0 ? d : (a->at > b->at) - (a->at < b->at);
}

static void complain_twice(struct builder *b, const struct node *again, unsigned first)
{
	struct buf path = { 0 };

	node_path(&path, again);
	problem_add(b->problems, again->key_line, again->key_column, path.p, "duplicate key; the first is in line %u", first);
	buf_fini(&path);
}

static void drop_twice(struct node *map)
{
	struct node **link = &map->first;

	map->last = NULL;
	map->n = 0;
	while (*link != NULL) {
		if ((*link)->twice) {
			*link = (*link)->next;
			continue;
		}
		map->last = *link;
		map->n++;
		link = &(*link)->next;
	}
}

/* By sorting: a file made of one map with a hundred thousand keys must not take a minute. The first one stays. */
static void check_duplicates(struct builder *b, struct node *map)
{
	struct node **sorted = xcalloc(map->n + 1, sizeof *sorted), *c;
	size_t n = 0, first = 0;

	for (c = map->first; c != NULL; c = c->next)
		sorted[n++] = c;
	qsort(sorted, n, sizeof *sorted, key_compare);
	for (size_t i = 1; i < n; i++) {
		if (strcmp(sorted[i]->key, sorted[first]->key) != 0) {
			first = i;
			continue;
		}
		complain_twice(b, sorted[i], sorted[first]->key_line);
		sorted[i]->twice = true;
	}
	free(sorted);
	drop_twice(map);
}

static void on_close(struct builder *b)
{
	if (b->open->kind == NODE_MAP)
		check_duplicates(b, b->open);
	b->open = b->open->parent;
	b->levels--;
}

/* False: no use in reading on. */
static bool on_event(struct builder *b, const yaml_event_t *ev)
{
	check_decoration(b, ev);
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (++b->documents == 1)
			return true;
		complain(b, ev->start_mark, "a second document begins here: one file is one topology");
		return false;
	case YAML_ALIAS_EVENT:
		complain(b, ev->start_mark, "aliases (*name) are not allowed: write the value out");
		if (wants_key(b))
			return false;
		node_new(b, NODE_BAD, ev->start_mark);
		break;
	case YAML_SCALAR_EVENT:
		if (!on_scalar(b, ev))
			return false;
		break;
	case YAML_MAPPING_START_EVENT:
	case YAML_SEQUENCE_START_EVENT:
		if (!on_open(b, ev, ev->type == YAML_MAPPING_START_EVENT ? NODE_MAP : NODE_LIST))
			return false;
		break;
	case YAML_MAPPING_END_EVENT:
	case YAML_SEQUENCE_END_EVENT:
		on_close(b);
		return true;
	case YAML_NO_EVENT:
	case YAML_STREAM_START_EVENT:
	case YAML_STREAM_END_EVENT:
	case YAML_DOCUMENT_END_EVENT:
		return true;
	}
	if (++b->nodes <= TREE_NODES_MAX)
		return true;
	complain(b, ev->start_mark, "more than 100000 values");
	return false;
}

static void complain_syntax(struct builder *b, const yaml_parser_t *p)
{
	struct place at = { (unsigned)p->problem_mark.line + 1, (unsigned)p->problem_mark.column + 1 };
	unsigned began = (unsigned)p->context_mark.line + 1;

	if (is_tab_at(b->text, b->len, at))
		problem_add(b->problems, at.line, at.column, "", "a tab cannot indent here: use spaces");
	else if (p->context != NULL && began != at.line)
		problem_add(b->problems, at.line, at.column, "", "not YAML: %s, %s that begins in line %u", p->problem,
			    p->context, began);
	else
		problem_add(b->problems, at.line, at.column, "", "not YAML: %s", p->problem);
}

/* True when the first document was read to its end. */
static bool read_events(struct builder *b, yaml_parser_t *p)
{
	for (;;) {
		yaml_event_t ev;
		bool go_on, end;

		if (!yaml_parser_parse(p, &ev)) {
			complain_syntax(b, p);
			return false;
		}
		go_on = on_event(b, &ev);
		end = ev.type == YAML_STREAM_END_EVENT;
		yaml_event_delete(&ev);
		if (end || !go_on)
			return end || b->documents > 1;
	}
}

bool tree_parse(struct arena *arena, const char *text, size_t len, struct conf_problems *problems, struct node **root)
{
	struct builder b = { .arena = arena, .problems = problems };
	yaml_parser_t p;
	bool whole;

	if (!check_encoding(&text, &len, problems))
		return false;
	b.text = text;
	b.len = len;
	if (!yaml_parser_initialize(&p)) {
		problem_add(problems, 0, 0, "", "out of memory");
		return false;
	}
	yaml_parser_set_encoding(&p, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p, (const unsigned char *)text, len);
	whole = read_events(&b, &p);
	yaml_parser_delete(&p);
	if (!whole)
		return false;
	if (b.root == NULL) {
		problem_add(problems, 1, 1, "", "the file is empty: a topology begins with version: 1");
		return false;
	}
	*root = b.root;
	return true;
}

/* Its headers do not tell their version. */
const char *conf_library(char *out, size_t size)
{
	snprintf(out, size, "libyaml runs on %s", yaml_get_version_string());
	return out;
}
