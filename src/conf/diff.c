/*
 * diff.c - what is different in another topology, setting by setting.
 *
 * Both are printed with all defaults (print.c) and read as trees again: so a default that is written out is no difference,
 * nor is the order of the file, and no secret can show. That only a secret differs is said without it.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/text.h"
#include "conf/problem.h"
#include "conf/topology.h"
#include "conf/tree.h"

struct diff {
	struct buf *out;
	struct buf path;
	size_t n;
};

/* ---- values ------------------------------------------------------------------------------------------ */

static void value_print(struct buf *out, const struct node *v)
{
	char ends[] = { v->kind == NODE_MAP ? '{' : '[', v->kind == NODE_MAP ? '}' : ']' };

	if (v->kind == NODE_SCALAR) {
		text_escape(out, v->text, strlen(v->text), '\0', strlen(v->text));
		return;
	}
	buf_addc(out, ends[0]);
	for (const struct node *item = v->first; item != NULL; item = item->next) {
		if (item != v->first)
			buf_adds(out, ", ");
		if (v->kind == NODE_MAP)
			buf_addf(out, "%s: ", item->key);
		value_print(out, item);
	}
	buf_addc(out, ends[1]);
}

static bool same(const struct node *a, const struct node *b)
{
	const struct node *x, *y;

	if (a->kind != b->kind || a->n != b->n)
		return false;
	if (a->kind == NODE_SCALAR)
		return strcmp(a->text, b->text) == 0;
	for (x = a->first, y = b->first; x != NULL && y != NULL; x = x->next, y = y->next)
		if ((x->key != NULL && strcmp(x->key, y->key) != 0) || !same(x, y))
			return false;
	return x == y;
}

/* ---- walking both ------------------------------------------------------------------------------------ */

static void difference(struct diff *d, const struct node *was, const struct node *is)
{
	d->n++;
	buf_addf(d->out, "%s%s: ", was == NULL ? "+ " : is == NULL ? "- " : "", d->path.p);
	if (was != NULL)
		value_print(d->out, was);
	if (was != NULL && is != NULL)
		buf_adds(d->out, " -> ");
	if (is != NULL)
		value_print(d->out, is);
	buf_addc(d->out, '\n');
}

static void compare(struct diff *d, const struct node *was, const struct node *is);

static void compare_key(struct diff *d, const char *key, const struct node *was, const struct node *is)
{
	size_t len = d->path.len;

	buf_addf(&d->path, "%s%s", len > 0 ? "." : "", key);
	compare(d, was, is);
	d->path.len = len;
	d->path.p[len] = '\0';
}

static void compare(struct diff *d, const struct node *was, const struct node *is)
{
	if (was == NULL || is == NULL || was->kind != NODE_MAP || is->kind != NODE_MAP) {
		if (was == NULL || is == NULL || !same(was, is))
			difference(d, was, is);
		return;
	}
	for (const struct node *v = was->first; v != NULL; v = v->next)
		compare_key(d, v->key, v, node_get(is, v->key));
	for (const struct node *v = is->first; v != NULL; v = v->next)
		if (node_get(was, v->key) == NULL)
			compare_key(d, v->key, NULL, v);
}

/* ---- secrets ----------------------------------------------------------------------------------------- */

static bool texts_differ(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a != b : strcmp(a, b) != 0;
}

static const struct endpoint_conf *endpoint_named(const struct topology *t, const char *name)
{
	for (size_t i = 0; i < t->n_endpoints; i++)
		if (strcmp(t->endpoints[i].name, name) == 0)
			return &t->endpoints[i];
	return NULL;
}

static bool shown_alike(const char *a, const char *b)
{
	struct buf one = { 0 }, other = { 0 };
	bool alike;

	conf_redact(&one, a);
	conf_redact(&other, b);
	alike = strcmp(one.p, other.p) == 0;
	buf_fini(&one);
	buf_fini(&other);
	return alike;
}

static void compare_secrets(struct diff *d, const struct topology *was, const struct topology *is)
{
	if (texts_differ(was->state.password, is->state.password)) {
		buf_adds(d->out, "state.redis: another password\n");
		d->n++;
	}
	for (size_t i = 0; i < is->n_endpoints; i++) {
		const struct endpoint_conf *b = &is->endpoints[i], *a = endpoint_named(was, b->name);

		if (a == NULL || strcmp(a->connection, b->connection) == 0 || !shown_alike(a->connection, b->connection))
			continue;
		buf_addf(d->out, "endpoints.%s.connection: another password\n", b->name);
		d->n++;
	}
}

/* ---- the whole --------------------------------------------------------------------------------------- */

static struct node *tree_of(struct arena *arena, const struct topology *t)
{
	struct conf_problems problems = { 0 };
	struct buf text = { 0 };
	struct node *root = NULL;

	topology_print(t, &text);
	if (!tree_parse(arena, text.p, text.len, &problems, &root))
		root = NULL;
	conf_problems_fini(&problems);
	buf_fini(&text);
	return root;
}

size_t topology_diff(const struct topology *was, const struct topology *is, struct buf *out)
{
	struct diff d = { .out = out };
	struct arena arena;
	struct node *a, *b;

	arena_init(&arena);
	a = tree_of(&arena, was);
	b = tree_of(&arena, is);
	if (a == NULL || b == NULL) {
		/* Near its bound of bytes a file grows beyond it once its defaults are written out. */
		buf_adds(out, "too large to be compared\n");
		d.n = 1;
	} else {
		compare(&d, a, b);
		compare_secrets(&d, was, is);
	}
	arena_fini(&arena);
	buf_fini(&d.path);
	return d.n;
}
