#include "conf/read.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/problem.h"

/* ---- problems ---------------------------------------------------------------------------------------- */

static void wrong_at(struct reader *r, unsigned line, unsigned column, const struct node *node, const char *key,
		     const char *fmt, va_list ap)
{
	struct buf path = { 0 };

	node_path(&path, node);
	if (key != NULL)
		buf_addf(&path, "%s%s", path.len > 0 ? "." : "", key);
	problem_addv(r->problems, line, column, path.len > 0 ? path.p : "", fmt, ap);
	buf_fini(&path);
}

void wrong(struct reader *r, const struct node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	wrong_at(r, at->line, at->column, at, NULL, fmt, ap);
	va_end(ap);
}

void wrong_key(struct reader *r, const struct node *at, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (at->key != NULL)
		wrong_at(r, at->key_line, at->key_column, at, NULL, fmt, ap);
	else
		wrong_at(r, at->line, at->column, at, NULL, fmt, ap);
	va_end(ap);
}

void missing(struct reader *r, const struct node *map, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (map->key != NULL)	/* the name of the map, not its first setting: there it is missing */
		wrong_at(r, map->key_line, map->key_column, map, key, fmt, ap);
	else
		wrong_at(r, map->line, map->column, map, key, fmt, ap);
	va_end(ap);
}

static const char *node_is(const struct node *node)
{
	switch (node->kind) {
	case NODE_MAP:	return "a map";
	case NODE_LIST:	return "a list";
	case NODE_SCALAR:
	case NODE_BAD:	break;
	}
	if (node->text[0] == '\0')
		return node->plain ? "nothing" : "an empty text";
	return node->plain ? "something else" : "a quoted text";
}

void wrong_type(struct reader *r, const struct node *at, const char *wants)
{
	if (at->kind == NODE_BAD)
		return;
	if (is_null(at))
		wrong(r, at, "wants %s, has null; leave the setting out, or quote it if the word is meant", wants);
	else if (at->kind == NODE_SCALAR && at->text[0] != '\0' && at->plain)
		wrong(r, at, "wants %s, has %s", wants, quoted(r, at->text));
	else
		wrong(r, at, "wants %s, has %s", wants, node_is(at));
}

const char *quoted(struct reader *r, const char *text)
{
	struct buf b = { 0 };
	const char *out;

	buf_addc(&b, '"');
	text_escape(&b, text, strlen(text), '"', 60);
	buf_addc(&b, '"');
	out = arena_dup(r->arena, b.p, b.len);
	buf_fini(&b);
	return out;
}

const char *did_you_mean(struct reader *r, const char *name, const char *const *names)
{
	const char *near = strlen(name) > 1 ? text_nearest(name, names) : NULL;	/* any letter is near any other */

	return near != NULL ? arena_printf(r->arena, "; did you mean %s?", quoted(r, near)) : "";
}

/* ---- scalars ----------------------------------------------------------------------------------------- */

bool is_map(struct reader *r, const struct node *node, const char *wants)
{
	if (node->kind != NODE_MAP)
		wrong_type(r, node, wants);
	return node->kind == NODE_MAP;
}

bool is_list(struct reader *r, const struct node *node, const char *wants)
{
	if (node->kind != NODE_LIST)
		wrong_type(r, node, wants);
	return node->kind == NODE_LIST;
}

bool is_null(const struct node *node)
{
	return node->kind == NODE_SCALAR && node->plain && (strcmp(node->text, "null") == 0 || strcmp(node->text, "~") == 0);
}

const char *text_of(struct reader *r, const struct node *node, const char *wants)
{
	if (node->kind != NODE_SCALAR || is_null(node) || (node->plain && node->text[0] == '\0')) {
		wrong_type(r, node, wants);
		return NULL;
	}
	return node->text;
}

/* One spelling only: no +5, 007, 1_000, 0x1f, 1e3. */
bool integer_of(const struct node *node, int64_t *out)
{
	const char *p = node->kind == NODE_SCALAR && node->plain ? node->text : "";
	bool negative = *p == '-';
	int64_t n = 0;

	p += negative;
	if (*p == '\0' || (*p == '0' && (p[1] != '\0' || negative)))
		return false;
	for (; *p != '\0'; p++) {
		int digit = *p - '0';

		if (digit < 0 || digit > 9)
			return false;
		/* too large is still an integer; the bounds will say so */
		if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, digit, &n))
			n = INT64_MIN;
	}
	*out = negative ? n : n == INT64_MIN ? INT64_MAX : -n;
	return true;
}

static bool name_is_plain(const char *name)
{
	size_t n = strlen(name);

	if (n < 1 || n > 63 || !((name[0] | 32) >= 'a' && (name[0] | 32) <= 'z'))
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == n;
}

bool name_ok(struct reader *r, const struct node *at, const char *name)
{
	static const char rule[] = "a name is letters, digits, _ and -, begins with a letter and has at most 63";

	if (name_is_plain(name))
		return true;
	if (at->key == name)
		wrong_key(r, at, rule);
	else
		wrong(r, at, "%s", rule);
	return false;
}

static void read_text(struct reader *r, const struct setting *s, const struct node *node, char **out)
{
	const char *text = text_of(r, node, "text");

	if (text == NULL)
		return;
	if (text[0] == '\0')
		wrong_type(r, node, "text");
	else if ((int64_t)strlen(text) > s->max)
		wrong(r, node, "longer than %lld bytes", (long long)s->max);
	else
		*out = arena_dup(r->arena, text, strlen(text));
}

static void read_name(struct reader *r, const struct node *node, char **out)
{
	const char *text = text_of(r, node, "a name");

	if (text != NULL && name_ok(r, node, text))
		*out = arena_dup(r->arena, text, strlen(text));
}

static void read_path(struct reader *r, const struct setting *s, const struct node *node, char **out)
{
	const char *text = text_of(r, node, "an absolute path");
	size_t limit = s->type == SET_SOCKET ? sizeof ((struct sockaddr_un *)0)->sun_path - 1 : 4095;

	if (text == NULL)
		return;
	if (text[0] != '/')
		wrong(r, node, "wants an absolute path, has %s", quoted(r, text));
	else if (strlen(text) > limit)
		wrong(r, node, "longer than %zu bytes%s", limit, s->type == SET_SOCKET ? ": the system allows no more for a socket" : "");
	else
		*out = arena_dup(r->arena, text, strlen(text));
}

static void read_secret(struct reader *r, const struct node *node, char **out)
{
	const char *text = text_of(r, node, "a file name");
	char why[200], *secret;

	if (text == NULL)
		return;
	if (text[0] == '\0') {
		wrong_type(r, node, "a file name");
		return;
	}
	*out = text[0] == '/' || conf_secret_is_credential(text) ? arena_dup(r->arena, text, strlen(text)) :
		arena_printf(r->arena, "%s/%s", r->directory, text);
	if (!r->files)
		return;
	secret = conf_read_secret(*out, why, sizeof why);
	if (secret == NULL)
		wrong(r, node, "%s: %s", quoted(r, *out), why);
	conf_secret_free(&secret);
}

static bool in_bounds(const struct setting *s, int64_t v)
{
	return (v >= s->min && v <= s->max) || (s->or_zero && v == 0);
}

static void out_of_range(struct reader *r, const struct setting *s, const struct node *node, void (*print)(struct buf *, int64_t))
{
	struct buf b = { 0 };

	print(&b, s->min);
	buf_adds(&b, " to ");
	print(&b, s->max);
	wrong(r, node, "out of range: %s%s", b.p, s->or_zero ? ", or 0s for never" : "");
	buf_fini(&b);
}

static void integer_print(struct buf *out, int64_t v)
{
	buf_addf(out, "%lld", (long long)v);
}

static void read_number(struct reader *r, const struct setting *s, const struct node *node, int64_t *out)
{
	static const char duration[] = "a duration such as 500ms, 5s, 10m, 1h or 30d";
	static const char size[] = "a size such as 64KiB, 8MiB or 1GiB";
	const char *text = node->kind == NODE_SCALAR ? node->text : "";
	int64_t v;

	if (s->type == SET_INTEGER ? !integer_of(node, &v) : s->type == SET_DURATION ? !duration_parse(text, &v) : !size_parse(text, &v))
		wrong_type(r, node, s->type == SET_INTEGER ? "an integer" : s->type == SET_DURATION ? duration : size);
	else if (!in_bounds(s, v))
		out_of_range(r, s, node, s->type == SET_INTEGER ? integer_print : s->type == SET_DURATION ? duration_print : size_print);
	else
		*out = v;
}

/* Digits, up to four decimals, a per cent sign: exact in millionths, so that printing gives the same text back. */
static void read_share(struct reader *r, const struct node *node, double *out)
{
	const char *p = node->kind == NODE_SCALAR ? node->text : "";
	int64_t millionths = 0;
	int scale = -1;

	for (; (*p >= '0' && *p <= '9') || (*p == '.' && scale < 0 && p != node->text); p++) {
		if (*p == '.') {
			scale = 0;
			continue;
		}
		if (scale >= 0 && ++scale > 4)
			break;
		millionths = millionths > 100000000 ? millionths : millionths * 10 + (*p - '0');
	}
	if (p == node->text || strcmp(p, "%") != 0 || scale == 0) {
		wrong_type(r, node, "a percentage such as 2% or 0.5%");
		return;
	}
	for (scale = scale < 0 ? 0 : scale; scale < 4; scale++)
		millionths *= 10;
	if (millionths > 1000000)
		wrong(r, node, "out of range: 0%% to 100%%");
	else
		*out = (double)millionths / 1e6;
}

enum { WORDS_MAX = 16 };

/* The index of the word; -1: complained. */
static ptrdiff_t read_word(struct reader *r, const struct setting *s, const struct node *node)
{
	const char *words[WORDS_MAX + 1] = { NULL };
	struct buf wants = { 0 };
	size_t n;

	for (n = 0; n < WORDS_MAX && s->word(n) != NULL; n++) {
		words[n] = s->word(n);
		if (node->kind != NODE_SCALAR || strcmp(node->text, words[n]) != 0)
			continue;
		if (s->built == NULL || s->built(n))
			return (ptrdiff_t)n;
		wrong(r, node, "%s is not built yet in this version", quoted(r, words[n]));
		return -1;
	}
	for (n = 0; words[n] != NULL; n++)
		buf_addf(&wants, "%s%s", n == 0 ? "" : words[n + 1] == NULL ? " or " : ", ", words[n]);
	if (node->kind == NODE_SCALAR && node->text[0] != '\0' && !is_null(node))
		wrong(r, node, "wants %s, has %s%s", wants.p, quoted(r, node->text), did_you_mean(r, node->text, words));
	else
		wrong_type(r, node, wants.p);
	buf_fini(&wants);
	return -1;
}

static void read_choice(struct reader *r, const struct setting *s, const struct node *node, void *out)
{
	ptrdiff_t i;
	int value;

	/* `"true"` in quotes is a text, not a boolean */
	if (s->type == SET_BOOLEAN && node->kind == NODE_SCALAR && !node->plain && strcmp(s->word(1), "true") == 0) {
		wrong_type(r, node, "false or true");
		return;
	}
	i = read_word(r, s, node);
	if (i < 0)
		return;
	value = (int)i;
	if (s->type == SET_BOOLEAN)
		*(bool *)out = value == 1;
	else
		memcpy(out, &value, sizeof value);	/* every enum here is an int */
}

/* ---- rows -------------------------------------------------------------------------------------------- */

void read_value(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	void *out = (char *)base + s->at;

	if (node->kind == NODE_BAD)
		return;
	switch (s->type) {
	case SET_MAP:
		if (is_map(r, node, "a map of settings"))
			read_section(r, s->path, node, base);
		break;
	case SET_NAMED:
	case SET_OWN:		s->read(r, s, node, base); break;
	case SET_TEXT:		read_text(r, s, node, out); break;
	case SET_NAME:		read_name(r, node, out); break;
	case SET_PATH:
	case SET_SOCKET:	read_path(r, s, node, out); break;
	case SET_SECRET:	read_secret(r, node, out); break;
	case SET_INTEGER:
	case SET_DURATION:
	case SET_SIZE:		read_number(r, s, node, out); break;
	case SET_SHARE:		read_share(r, node, out); break;
	case SET_BOOLEAN:
	case SET_CHOICE:	read_choice(r, s, node, out); break;
	case SET_LATER:		wrong_key(r, node, "is not built yet in this version"); break;
	case SETTING_TYPES:	break;
	}
}

/* The default goes the way of a written value, so that it cannot break a rule of its own. */
static void read_default(struct reader *r, const struct setting *s, const struct node *section, void *base)
{
	struct node def = { .kind = NODE_SCALAR, .text = s->def, .plain = true };

	if (s->type == SET_MAP)
		read_section(r, s->path, NULL, base);
	else if (s->def != NULL)
		read_value(r, s, &def, base);
	else if (s->required && section != NULL)
		missing(r, section, setting_key(s), "missing");
}

static void check_known(struct reader *r, const char *pattern, const struct node *section)
{
	const char *names[32];
	const struct setting *s;
	size_t n = 0;

	for (s = setting_next(pattern, NULL); s != NULL && n + 1 < countof(names); s = setting_next(pattern, s))
		names[n++] = setting_key(s);
	names[n] = NULL;
	for (const struct node *c = section->first; c != NULL; c = c->next) {
		size_t i = 0;

		while (i < n && strcmp(names[i], c->key) != 0)
			i++;
		if (i == n)
			wrong_key(r, c, "unknown key%s", did_you_mean(r, c->key, names));
	}
}

void read_section(struct reader *r, const char *pattern, const struct node *node, void *base)
{
	for (const struct setting *s = setting_next(pattern, NULL); s != NULL; s = setting_next(pattern, s)) {
		const struct node *value = node_get(node, setting_key(s));

		if (value != NULL)
			read_value(r, s, value, base);
		else
			read_default(r, s, node, base);
	}
	if (node != NULL)
		check_known(r, pattern, node);
}

/* ---- names ------------------------------------------------------------------------------------------- */

ptrdiff_t endpoint_find(const struct topology *t, const char *name)
{
	for (size_t i = 0; i < t->n_endpoints; i++)
		if (strcmp(t->endpoints[i].name, name) == 0)
			return (ptrdiff_t)i;
	return -1;
}

ptrdiff_t entity_find(const struct topology *t, const char *name)
{
	for (size_t i = 0; i < t->n_entities; i++)
		if (strcmp(t->entities[i].def.name, name) == 0)
			return (ptrdiff_t)i;
	return -1;
}

ptrdiff_t field_find(const struct entity_def *e, const char *name)
{
	for (size_t i = 0; i < e->n_fields; i++)
		if (strcmp(e->fields[i].name, name) == 0)
			return (ptrdiff_t)i;
	return -1;
}

/* At the key when the name is the key (mappings, rules of fields), else at the value. */
static void wrong_name(struct reader *r, const struct node *at, const char *kind, const char *name, const char *const *names)
{
	if (at->key == name)
		wrong_key(r, at, "no %s of this name%s", kind, did_you_mean(r, name, names));
	else
		wrong(r, at, "no %s %s%s", kind, quoted(r, name), did_you_mean(r, name, names));
}

ptrdiff_t endpoint_named(struct reader *r, const struct node *at, const char *name)
{
	const char *names[ENDPOINTS_MAX + 1] = { NULL };
	ptrdiff_t i = endpoint_find(r->t, name);

	if (i >= 0)
		return i;
	for (size_t k = 0; k < r->t->n_endpoints; k++)
		names[k] = r->t->endpoints[k].name;
	wrong_name(r, at, "endpoint", name, names);
	return -1;
}

ptrdiff_t field_named(struct reader *r, const struct node *at, const char *name)
{
	const char *names[FIELDS_MAX + 1] = { NULL };
	const struct entity_def *e = &r->entity->def;
	ptrdiff_t i = field_find(e, name);

	if (i >= 0)
		return i;
	for (size_t k = 0; k < e->n_fields; k++)
		names[k] = e->fields[k].name;
	wrong_name(r, at, "field", name, names);
	return -1;
}
