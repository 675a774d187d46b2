/*
 * print.c - the effective topology as YAML that loads again, and means the same.
 *
 * Every setting is written, defaults too, in the order of the settings table; what is not set and has no default is left
 * out. Secrets are shown as ***.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/setting.h"
#include "conf/topology.h"

struct printer {
	struct buf *out;
	const struct topology *t;
	unsigned indent;
	const struct entity_conf *entity;
};

/* Plain only where no reader of YAML, however eager, could take it for anything but text. */
static bool is_plain(const char *s)
{
	static const char *const words[] = { "y", "n", "yes", "no", "on", "off", "true", "false", "null" };
	size_t n = strlen(s);

	for (size_t i = 0; i < countof(words); i++)
		if (strcasecmp(s, words[i]) == 0)
			return false;
	return n > 0 && (s[0] == '/' || (s[0] | 32) >= 'a') && (s[0] | 32) <= 'z' &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == n;
}

static void text_print(struct buf *out, const char *s)
{
	if (is_plain(s))
		buf_adds(out, s);
	else
		text_json(out, s, strlen(s));	/* JSON's strings are YAML's */
}

static void print_key_of(struct printer *p, const char *key)
{
	buf_addf(p->out, "%*s", (int)(2 * p->indent), "");
	text_print(p->out, key);
	buf_addc(p->out, ':');
}

static void print_line(struct printer *p, const char *key, const char *text)
{
	print_key_of(p, key);
	buf_addc(p->out, ' ');
	text_print(p->out, text);
	buf_addc(p->out, '\n');
}

static void print_share(struct printer *p, double share)
{
	int64_t millionths = llround(share * 1e6), rest = millionths % 10000;
	int digits = 4;

	for (; digits > 0 && rest % 10 == 0; digits--)
		rest /= 10;
	buf_addf(p->out, "%lld", (long long)(millionths / 10000));
	if (digits > 0)
		buf_addf(p->out, ".%0*lld", digits, (long long)rest);
	buf_addc(p->out, '%');
}

static void print_scalar(struct printer *p, const struct setting *s, const void *at)
{
	const char *word;
	int choice;

	switch (s->type) {
	case SET_INTEGER:	buf_addf(p->out, "%lld", (long long)*(const int64_t *)at); return;
	case SET_DURATION:	duration_print(p->out, *(const int64_t *)at); return;
	case SET_SIZE:		size_print(p->out, *(const int64_t *)at); return;
	case SET_SHARE:		print_share(p, *(const double *)at); return;
	case SET_BOOLEAN:
		word = s->word(*(const bool *)at);
		if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0)
			buf_adds(p->out, word);
		else
			text_print(p->out, word);
		return;
	case SET_CHOICE:
		memcpy(&choice, at, sizeof choice);
		text_print(p->out, s->word((size_t)choice));
		return;
	case SET_TEXT: case SET_NAME: case SET_PATH: case SET_SOCKET: case SET_SECRET:
		text_print(p->out, *(char *const *)at);
		return;
	case SET_MAP: case SET_NAMED: case SET_OWN: case SET_LATER: case SETTING_TYPES:
		return;
	}
}

static bool is_text(enum setting_type type)
{
	return type == SET_TEXT || type == SET_NAME || type == SET_PATH || type == SET_SOCKET || type == SET_SECRET;
}

static void print_section(struct printer *p, const char *pattern, const void *base);

static void print_setting(struct printer *p, const struct setting *s, const void *base)
{
	const void *at = (const char *)base + s->at;

	if (s->type == SET_LATER || (is_text(s->type) && *(char *const *)at == NULL))
		return;
	if (s->type == SET_OWN || s->type == SET_NAMED) {
		s->print(p, s, base);
		return;
	}
	print_key_of(p, setting_key(s));
	if (s->type == SET_MAP) {
		buf_addc(p->out, '\n');
		p->indent++;
		print_section(p, s->path, base);
		p->indent--;
		return;
	}
	buf_addc(p->out, ' ');
	if (is_text(s->type) && strcmp(setting_key(s), "connection") == 0) {
		struct buf shown = { 0 };

		conf_redact(&shown, *(char *const *)at);
		text_print(p->out, shown.p);
		buf_fini(&shown);
	} else {
		print_scalar(p, s, at);
	}
	buf_addc(p->out, '\n');
}

static void print_section(struct printer *p, const char *pattern, const void *base)
{
	for (const struct setting *s = setting_next(pattern, NULL); s != NULL; s = setting_next(pattern, s))
		print_setting(p, s, base);
}

/* One named thing: its name, then its settings one step further in. */
static void print_named(struct printer *p, const char *name, const char *pattern, const void *base)
{
	print_key_of(p, name);
	buf_addc(p->out, '\n');
	p->indent++;
	print_section(p, pattern, base);
	p->indent--;
}

static void open_map(struct printer *p, const struct setting *s)
{
	print_key_of(p, setting_key(s));
	buf_addc(p->out, '\n');
	p->indent++;
}

/* ---- rows of their own ------------------------------------------------------------------------------- */

void print_version(struct printer *p, const struct setting *s, const void *base)
{
	buf_adds(p->out, "version: 1\n");
}

void print_redis(struct printer *p, const struct setting *s, const void *base)
{
	print_line(p, setting_key(s), p->t->state.redis);
}

void print_listen(struct printer *p, const struct setting *s, const void *base)
{
	if (p->t->stats.listen != NULL)
		print_line(p, setting_key(s), p->t->stats.listen);
}

void print_endpoints(struct printer *p, const struct setting *s, const void *base)
{
	open_map(p, s);
	for (size_t i = 0; i < p->t->n_endpoints; i++)
		print_named(p, p->t->endpoints[i].name, "endpoints.*", &p->t->endpoints[i]);
	p->indent--;
}

void print_entities(struct printer *p, const struct setting *s, const void *base)
{
	open_map(p, s);
	for (size_t i = 0; i < p->t->n_entities; i++) {
		p->entity = &p->t->entities[i];
		print_named(p, p->entity->def.name, "entities.*", p->entity);
	}
	p->indent--;
}

void print_fields(struct printer *p, const struct setting *s, const void *base)
{
	const struct entity_def *e = &p->entity->def;

	open_map(p, s);
	for (size_t i = 0; i < e->n_fields; i++)
		print_named(p, e->fields[i].name, "entities.*.fields.*", &e->fields[i]);
	p->indent--;
}

void print_refers(struct printer *p, const struct setting *s, const void *base)
{
	const struct field_def *f = base;

	if (f->refers != NULL)
		print_line(p, setting_key(s), f->refers->name);
}

static void print_texts(struct printer *p, char *const *texts, size_t n)
{
	buf_addc(p->out, '[');
	for (size_t i = 0; i < n; i++) {
		buf_adds(p->out, i > 0 ? ", " : "");
		text_print(p->out, texts[i]);
	}
	buf_addc(p->out, ']');
}

void print_key(struct printer *p, const struct setting *s, const void *base)
{
	const struct entity_def *e = &p->entity->def;
	char *names[KEY_FIELDS_MAX];

	for (size_t i = 0; i < e->n_key; i++)
		names[i] = e->fields[e->key[i]].name;
	print_key_of(p, setting_key(s));
	buf_addc(p->out, ' ');
	print_texts(p, names, e->n_key);
	buf_addc(p->out, '\n');
}

static void print_or_null(struct printer *p, const char *text)
{
	if (text == NULL)
		buf_adds(p->out, "null");
	else
		text_print(p->out, text);
}

static void print_clean_step(struct printer *p, const struct clean_step *step)
{
	const char *name = clean_kind_name(step->kind);

	if (step->kind == CLEAN_MAP) {
		buf_addf(p->out, "{%s: {", name);
		for (size_t i = 0; i < step->n; i++) {
			buf_adds(p->out, i > 0 ? ", " : "");
			text_print(p->out, step->from[i]);
			buf_adds(p->out, ": ");
			print_or_null(p, step->to[i]);
		}
		buf_adds(p->out, "}}");
	} else if (step->kind == CLEAN_DEFAULT) {
		buf_addf(p->out, "{%s: ", name);
		text_print(p->out, step->to[0]);
		buf_addc(p->out, '}');
	} else {
		buf_adds(p->out, name);
	}
}

void print_clean(struct printer *p, const struct setting *s, const void *base)
{
	const struct field_def *f = base;

	print_key_of(p, setting_key(s));
	buf_adds(p->out, " [");
	for (size_t i = 0; i < f->n_clean; i++) {
		buf_adds(p->out, i > 0 ? ", " : "");
		print_clean_step(p, &f->clean[i]);
	}
	buf_adds(p->out, "]\n");
}

static void print_check_step(struct printer *p, const struct check_step *step)
{
	const char *name = check_kind_name(step->kind);

	if (step->kind == CHECK_LENGTH) {
		buf_addf(p->out, "{%s: [%lld, ", name, (long long)step->min_length);
		if (step->max_length == INT64_MAX)
			buf_adds(p->out, "null]}");
		else
			buf_addf(p->out, "%lld]}", (long long)step->max_length);
	} else if (step->kind == CHECK_RANGE) {
		buf_addf(p->out, "{%s: [", name);
		print_or_null(p, step->low);
		buf_adds(p->out, ", ");
		print_or_null(p, step->high);
		buf_adds(p->out, "]}");
	} else if (step->kind == CHECK_ONE_OF) {
		buf_addf(p->out, "{%s: ", name);
		print_texts(p, step->words, step->n);
		buf_addc(p->out, '}');
	} else {
		buf_adds(p->out, name);
	}
}

void print_checks(struct printer *p, const struct setting *s, const void *base)
{
	const struct field_def *f = base;

	print_key_of(p, setting_key(s));
	buf_adds(p->out, " [");
	for (size_t i = 0; i < f->n_checks; i++) {
		buf_adds(p->out, i > 0 ? ", " : "");
		print_check_step(p, &f->checks[i]);
	}
	buf_adds(p->out, "]\n");
}

/* The whole order, also where the file left it to the defaults. */
void print_priority(struct printer *p, const struct setting *s, const void *base)
{
	char *names[ENDPOINTS_MAX];
	size_t n = 0;

	for (unsigned rank = 0; rank < ENDPOINTS_MAX; rank++)
		for (size_t i = 0; i < p->t->n_endpoints; i++)
			if (p->entity->def.rank[i] == rank && p->entity->mapping[i] != NULL)
				names[n++] = p->t->endpoints[i].name;
	print_key_of(p, setting_key(s));
	buf_addc(p->out, ' ');
	print_texts(p, names, n);
	buf_addc(p->out, '\n');
}

void print_field_rules(struct printer *p, const struct setting *s, const void *base)
{
	const struct entity_def *e = &p->entity->def;
	const char *sep = "";

	print_key_of(p, setting_key(s));
	buf_adds(p->out, " {");
	for (size_t i = 0; i < e->n_fields; i++) {
		if (e->fields[i].rule == e->rule)
			continue;
		buf_addf(p->out, "%s%s: %s", sep, e->fields[i].name, rule_name(e->fields[i].rule));
		sep = ", ";
	}
	buf_adds(p->out, "}\n");
}

void print_groups(struct printer *p, const struct setting *s, const void *base)
{
	const struct entity_def *e = &p->entity->def;

	print_key_of(p, setting_key(s));
	buf_adds(p->out, " [");
	for (size_t g = 0; g < e->n_groups; g++) {
		char *names[FIELDS_MAX];
		size_t n = 0;

		for (size_t i = 0; i < e->n_fields; i++)
			if (e->fields[i].group == (int)g)
				names[n++] = e->fields[i].name;
		buf_adds(p->out, g > 0 ? ", " : "");
		print_texts(p, names, n);
	}
	buf_adds(p->out, "]\n");
}

void print_mappings(struct printer *p, const struct setting *s, const void *base)
{
	open_map(p, s);
	for (size_t i = 0; i < p->t->n_endpoints; i++)
		if (p->entity->mapping[i] != NULL)
			print_named(p, p->t->endpoints[i].name, "entities.*.mappings.*", p->entity->mapping[i]);
	p->indent--;
}

void print_columns(struct printer *p, const struct setting *s, const void *base)
{
	const struct mapping *m = base;

	open_map(p, s);
	for (size_t i = 0; i < m->entity->n_fields; i++)
		print_line(p, m->entity->fields[i].name, m->columns[i]);
	p->indent--;
}

void print_delete(struct printer *p, const struct setting *s, const void *base)
{
	const struct mapping *m = base;

	if (m->delete_mode != DELETE_SOFT) {
		print_line(p, setting_key(s), m->delete_mode == DELETE_HARD ? "hard" : "ignore");
		return;
	}
	open_map(p, s);
	print_named(p, "soft", "entities.*.mappings.*.delete.soft", m);
	p->indent--;
}

void print_verify(struct printer *p, const struct setting *s, const void *base)
{
	const struct entity_conf *entity = base;
	struct buf text = { 0 };

	duration_print(&text, entity->verify_us);
	print_line(p, setting_key(s), text.p);
	buf_fini(&text);
}

void print_where(struct printer *p, const struct setting *s, const void *base)
{
	const struct mapping *m = base;

	print_key_of(p, setting_key(s));
	buf_adds(p->out, " {");
	for (size_t i = 0; i < m->n_where; i++) {
		buf_adds(p->out, i > 0 ? ", " : "");
		text_print(p->out, m->where[i].column);
		buf_adds(p->out, ": ");
		print_or_null(p, m->where[i].value);
	}
	buf_adds(p->out, "}\n");
}

void topology_print(const struct topology *t, struct buf *out)
{
	struct printer p = { .out = out, .t = t };

	print_section(&p, "", t);
}
