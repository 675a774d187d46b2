/*
 * read_parts.c - the parts of the file that have shapes of their own: endpoints, entities, fields, mappings.
 *
 * What needs more than one part to be judged is in check.c.
 */
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/read.h"

enum { ENTITIES_MAX = 250, VERIFY_OFTEST_US = 60 * 1000 * 1000 };

void read_version(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	int64_t version;

	if (!integer_of(node, &version))
		wrong_type(r, node, "1");
	else if (version != 1)
		wrong(r, node, "this program reads version 1 of the topology file");
}

/* ---- endpoints --------------------------------------------------------------------------------------- */

/* A driver of later days has settings of its own: naming them unknown would be no help. */
static bool is_later_driver(struct reader *r, const struct node *endpoint)
{
	const struct setting *s = setting_at("endpoints.*.driver");
	const struct node *driver = node_get(endpoint, "driver");

	if (driver == NULL || driver->kind != NODE_SCALAR)
		return false;
	for (size_t i = 0; s->word(i) != NULL; i++)
		if (strcmp(s->word(i), driver->text) == 0 && !s->built(i)) {
			wrong(r, driver, "driver %s is not built yet in this version", s->word(i));
			return true;
		}
	return false;
}

void read_endpoints(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	struct topology *t = r->t;

	if (!is_map(r, node, "a map of endpoints"))
		return;
	if (node->n == 0)
		wrong(r, node, "wants at least one endpoint");
	t->endpoints = arena_zalloc(r->arena, (node->n + 1) * sizeof *t->endpoints);
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		struct endpoint_conf *e = &t->endpoints[t->n_endpoints];

		if (t->n_endpoints == ENDPOINTS_MAX) {
			wrong_key(r, c, "more than %d endpoints", ENDPOINTS_MAX);
			break;
		}
		name_ok(r, c, c->key);
		e->name = arena_dup(r->arena, c->key, strlen(c->key));
		e->index = t->n_endpoints++;
		e->capture = CAPTURE_LISTEN;	/* what asks least of the mappings, should the setting be wrong */
		if (!is_later_driver(r, c) && is_map(r, c, "the settings of an endpoint"))
			read_section(r, "endpoints.*", c, e);
	}
}

/* ---- entities ---------------------------------------------------------------------------------------- */

/* All names first: references may point forward. */
void read_entities(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	struct topology *t = r->t;

	if (!is_map(r, node, "a map of entities"))
		return;
	if (node->n == 0)
		wrong(r, node, "wants at least one entity");
	t->entities = arena_zalloc(r->arena, (node->n + 1) * sizeof *t->entities);
	r->entity_nodes = arena_zalloc(r->arena, (node->n + 1) * sizeof *r->entity_nodes);
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		if (t->n_entities == ENTITIES_MAX) {
			wrong_key(r, c, "more than %d entities", ENTITIES_MAX);
			break;
		}
		name_ok(r, c, c->key);
		memset(t->entities[t->n_entities].def.rank, 0xff, ENDPOINTS_MAX);	/* not in the priority list */
		t->entities[t->n_entities].def.name = arena_dup(r->arena, c->key, strlen(c->key));
		r->entity_nodes[t->n_entities++] = c;
	}
	for (size_t i = 0; i < t->n_entities; i++) {
		r->entity = &t->entities[i];
		if (is_map(r, r->entity_nodes[i], "the settings of an entity"))
			read_section(r, "entities.*", r->entity_nodes[i], r->entity);
	}
}

/* A list of names of fields, each once; in `out` at most `max`. Complains; what was good is kept. */
static size_t read_field_list(struct reader *r, const struct node *list, uint8_t *out, size_t max)
{
	size_t n = 0;

	if (r->entity->def.n_fields == 0)
		return 0;	/* fields are missing or wrong: one complaint is enough */
	for (const struct node *c = list->first; c != NULL; c = c->next) {
		const char *name = text_of(r, c, "the name of a field");
		ptrdiff_t f = name != NULL ? field_named(r, c, name) : -1;

		if (f < 0)
			continue;
		if (n > 0 && memchr(out, (int)f, n) != NULL)
			wrong(r, c, "field %s is named twice", quoted(r, name));
		else if (n == max)
			wrong(r, c, "more than %zu fields", max);
		else
			out[n++] = (uint8_t)f;
	}
	return n;
}

void read_key(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	struct entity_def *e = &r->entity->def;

	if (!is_list(r, node, "a list of fields such as [email]"))
		return;
	if (node->n == 0)
		wrong(r, node, "wants at least one field");
	e->n_key = read_field_list(r, node, e->key, KEY_FIELDS_MAX);
	for (size_t i = 0; i < e->n_key; i++)
		e->fields[e->key[i]].is_key = true;
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		ptrdiff_t f = c->kind == NODE_SCALAR ? field_find(e, c->text) : -1;

		if (f >= 0 && e->fields[f].type == FIELD_REFERENCE)
			wrong(r, c, "a reference in a key is not built yet in this version");
	}
}

/* ---- fields ------------------------------------------------------------------------------------------ */

void read_fields(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	struct entity_def *e = &r->entity->def;

	if (!is_map(r, node, "a map of fields"))
		return;
	if (node->n == 0)
		wrong(r, node, "wants at least one field");
	e->fields = arena_zalloc(r->arena, (node->n + 1) * sizeof *e->fields);
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		struct field_def *f = &e->fields[e->n_fields];

		if (e->n_fields == FIELDS_MAX) {
			wrong_key(r, c, "more than %d fields", FIELDS_MAX);
			break;
		}
		e->n_fields++;
		name_ok(r, c, c->key);
		f->name = arena_dup(r->arena, c->key, strlen(c->key));
		f->group = -1;
		f->rule = RULES;	/* none of its own: see check.c */
		f->type = FIELD_TYPES;	/* unknown, as long as it is */
		if (!is_map(r, c, "the settings of a field, such as {type: text}"))
			continue;
		read_section(r, "entities.*.fields.*", c, f);
		if (f->type == FIELD_REFERENCE && node_get(c, "entity") == NULL)
			missing(r, c, "entity", "missing: which entity does the reference point to?");
	}
}

void read_refers(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	struct field_def *f = base;
	const char *name = text_of(r, node, "the name of an entity"), **names;
	ptrdiff_t i = name != NULL ? entity_find(r->t, name) : -1;

	if (name == NULL)
		return;
	if (f->type != FIELD_REFERENCE && f->type != FIELD_TYPES) {
		wrong_key(r, node, "only a field of type reference points to an entity");
	} else if (i >= 0) {
		f->refers = &r->t->entities[i].def;
	} else {
		names = arena_zalloc(r->arena, (r->t->n_entities + 1) * sizeof *names);
		for (size_t k = 0; k < r->t->n_entities; k++)
			names[k] = r->t->entities[k].def.name;
		wrong(r, node, "no entity %s%s", quoted(r, name), did_you_mean(r, name, names));
	}
}

/* A step is a word, or a map of one word to what it takes. NULL: complained. */
static const char *step_word(struct reader *r, const struct node *item, const char *wants, const struct node **takes)
{
	*takes = NULL;
	if (item->kind == NODE_SCALAR && item->text[0] != '\0')
		return item->text;
	if (item->kind == NODE_MAP && item->n == 1) {
		*takes = item->first;
		return item->first->key;
	}
	wrong_type(r, item, wants);
	return NULL;
}

static void unknown_step(struct reader *r, const struct node *item, const char *what, const char *word, const char *(*name)(size_t))
{
	const char *names[CLEAN_KINDS + CHECK_KINDS + 1] = { NULL };

	for (size_t i = 0; name(i) != NULL; i++)
		names[i] = name(i);
	wrong(r, item, "no %s %s%s", what, quoted(r, word), did_you_mean(r, word, names));
}

static const char *clean_word(size_t i)
{
	return i < CLEAN_KINDS ? clean_kind_name((enum clean_kind)i) : NULL;
}

static const char *check_word(size_t i)
{
	return i < CHECK_KINDS ? check_kind_name((enum check_kind)i) : NULL;
}

/* A text of the field's type in canonical form; NULL: complained. */
static char *read_canonical(struct reader *r, const struct field_def *f, const struct node *node)
{
	const char *text = text_of(r, node, "a value");
	struct value v;
	struct err e = { 0 };

	if (text == NULL || f->type == FIELD_TYPES)
		return NULL;
	if (!value_canon(f->type, value_of(text), r->arena, &v, &e)) {
		wrong(r, node, "%s is not of type %s", quoted(r, text), field_type_name(f->type));
		return NULL;
	}
	return arena_dup(r->arena, v.data, (size_t)v.len);
}

static void read_clean_map(struct reader *r, const struct field_def *f, const struct node *pairs, struct clean_step *step)
{
	if (!is_map(r, pairs, "a map from one text to another"))
		return;
	step->from = arena_zalloc(r->arena, (pairs->n + 1) * sizeof *step->from);
	step->to = arena_zalloc(r->arena, (pairs->n + 1) * sizeof *step->to);
	for (const struct node *c = pairs->first; c != NULL; c = c->next) {
		step->from[step->n] = arena_dup(r->arena, c->key, strlen(c->key));
		step->to[step->n++] = is_null(c) ? NULL : read_canonical(r, f, c);
	}
}

static bool clean_fits(enum clean_kind kind, enum field_type type)
{
	if (type == FIELD_TEXT || type == FIELD_TYPES)
		return true;
	return kind == CLEAN_EMPTY_TO_NULL || kind == CLEAN_MAP || kind == CLEAN_DEFAULT;
}

static bool read_clean_step(struct reader *r, const struct field_def *f, const struct node *item, struct clean_step *step)
{
	const struct node *takes;
	const char *word = step_word(r, item, "a cleaning step", &takes);

	if (word == NULL)
		return false;
	if (!clean_kind_parse(word, &step->kind))
		unknown_step(r, item, "cleaning step", word, clean_word);
	else if (!clean_kind_is_built(step->kind))
		wrong(r, item, "cleaning step %s is not built yet in this version", word);
	else if (f->type == FIELD_REFERENCE)
		wrong(r, item, "cleaning of a reference is not built yet in this version");
	else if (!clean_fits(step->kind, f->type))
		wrong(r, item, "cleaning step %s does not fit type %s", word, field_type_name(f->type));
	else if (step->kind == CLEAN_MAP && takes == NULL)
		wrong(r, item, "map is written {map: {from: to}}");
	else if (step->kind == CLEAN_DEFAULT && takes == NULL)
		wrong(r, item, "default is written {default: value}");
	else if (step->kind != CLEAN_MAP && step->kind != CLEAN_DEFAULT && takes != NULL)
		wrong(r, item, "%s takes nothing: write the word alone", word);
	else
		return true;
	return false;
}

void read_clean(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	struct field_def *f = base;

	if (!is_list(r, node, "a list of cleaning steps such as [trim, lower]"))
		return;
	f->clean = arena_zalloc(r->arena, (node->n + 1) * sizeof *f->clean);
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		struct clean_step *step = &f->clean[f->n_clean];

		if (!read_clean_step(r, f, c, step))
			continue;
		f->n_clean++;
		if (step->kind == CLEAN_MAP) {
			read_clean_map(r, f, c->first, step);
		} else if (step->kind == CLEAN_DEFAULT) {
			step->n = 1;
			step->to = arena_zalloc(r->arena, sizeof *step->to);
			step->to[0] = read_canonical(r, f, c->first);
		}
	}
}

static bool is_pair(struct reader *r, const struct node *node, const char *wants)
{
	if (!is_list(r, node, wants))
		return false;
	if (node->n == 2)
		return true;
	wrong(r, node, "wants two values, %s, has %zu", wants, node->n);
	return false;
}

static bool read_bound(struct reader *r, const struct node *node, int64_t open, int64_t *out)
{
	*out = open;
	if (is_null(node) || node->kind == NODE_BAD)
		return true;
	if (!integer_of(node, out))
		wrong_type(r, node, "an integer or null");
	else if (*out < 0)
		wrong(r, node, "out of range: a length is at least 0");
	else
		return true;
	return false;
}

static void read_length(struct reader *r, const struct node *pair, struct check_step *step)
{
	if (!is_pair(r, pair, "[least, most] characters"))
		return;
	if (read_bound(r, pair->first, 0, &step->min_length) & read_bound(r, pair->last, INT64_MAX, &step->max_length) &&
	    step->min_length > step->max_length)
		wrong(r, pair, "the least is more than the most");
}

static void read_range(struct reader *r, const struct field_def *f, const struct node *pair, struct check_step *step)
{
	if (!is_pair(r, pair, "[low, high]"))
		return;
	if (!is_null(pair->first))
		step->low = read_canonical(r, f, pair->first);
	if (!is_null(pair->last))
		step->high = read_canonical(r, f, pair->last);
	if (step->low != NULL && step->high != NULL && value_compare(f->type, value_of(step->low), value_of(step->high)) > 0)
		wrong(r, pair, "the low end is above the high end");
}

static void read_one_of(struct reader *r, const struct field_def *f, const struct node *list, struct check_step *step)
{
	if (!is_list(r, list, "a list of values"))
		return;
	if (list->n == 0)
		wrong(r, list, "wants at least one value");
	step->words = arena_zalloc(r->arena, (list->n + 1) * sizeof *step->words);
	for (const struct node *c = list->first; c != NULL; c = c->next)
		step->words[step->n++] = read_canonical(r, f, c);
}

static bool check_fits(enum check_kind kind, enum field_type type)
{
	switch (type) {
	case FIELD_TEXT:
		return kind != CHECK_RANGE;
	case FIELD_INTEGER: case FIELD_DECIMAL: case FIELD_TIMESTAMP: case FIELD_DATE:
		return kind != CHECK_LENGTH;
	case FIELD_BOOLEAN: case FIELD_UUID:
		return kind != CHECK_LENGTH && kind != CHECK_RANGE;
	case FIELD_JSON: case FIELD_BYTES:
		return kind == CHECK_REQUIRED || (kind == CHECK_LENGTH && type == FIELD_BYTES);
	case FIELD_REFERENCE:
		return false;
	case FIELD_TYPES:
		break;
	}
	return true;
}

static bool read_check_step(struct reader *r, const struct field_def *f, const struct node *item, struct check_step *step)
{
	const struct node *takes;
	const char *word = step_word(r, item, "a check", &takes);

	if (word == NULL)
		return false;
	if (!check_kind_parse(word, &step->kind))
		unknown_step(r, item, "check", word, check_word);
	else if (!check_kind_is_built(step->kind))
		wrong(r, item, "check %s is not built yet in this version", word);
	else if (f->type == FIELD_REFERENCE)
		wrong(r, item, "a check of a reference is not built yet in this version");
	else if (!check_fits(step->kind, f->type))
		wrong(r, item, "check %s does not fit type %s", word, field_type_name(f->type));
	else if (step->kind == CHECK_REQUIRED && takes != NULL)
		wrong(r, item, "required takes nothing: write the word alone");
	else if (step->kind != CHECK_REQUIRED && takes == NULL)
		wrong(r, item, "%s is written {%s: [...]}", word, word);
	else
		return true;
	return false;
}

void read_checks(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	struct field_def *f = base;

	if (!is_list(r, node, "a list of checks such as [required]"))
		return;
	f->checks = arena_zalloc(r->arena, (node->n + 1) * sizeof *f->checks);
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		struct check_step *step = &f->checks[f->n_checks];

		if (!read_check_step(r, f, c, step))
			continue;
		f->n_checks++;
		if (step->kind == CHECK_LENGTH)
			read_length(r, c->first, step);
		else if (step->kind == CHECK_RANGE)
			read_range(r, f, c->first, step);
		else if (step->kind == CHECK_ONE_OF)
			read_one_of(r, f, c->first, step);
	}
}

/* ---- conflict ---------------------------------------------------------------------------------------- */

void read_priority(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	uint8_t rank = 0;

	if (!is_list(r, node, "a list of endpoints, highest first"))
		return;
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		const char *name = text_of(r, c, "the name of an endpoint");
		ptrdiff_t i = name != NULL ? endpoint_named(r, c, name) : -1;

		if (i < 0)
			continue;
		if (r->entity->def.rank[i] != 0xff)
			wrong(r, c, "endpoint %s is named twice", quoted(r, name));
		else
			r->entity->def.rank[i] = rank++;
	}
}

void read_field_rules(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	const struct setting *rule = setting_at("entities.*.conflict.fields.*");

	if (!is_map(r, node, "a map from fields to rules"))
		return;
	if (r->entity->def.n_fields == 0)
		return;
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		ptrdiff_t f = field_named(r, c, c->key);

		if (f >= 0)
			read_value(r, rule, c, &r->entity->def.fields[f]);
	}
}

void read_groups(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	struct entity_def *e = &r->entity->def;
	uint8_t members[FIELDS_MAX];

	if (!is_list(r, node, "a list of groups such as [[street, zip, city]]"))
		return;
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		size_t n;

		if (!is_list(r, c, "a list of fields"))
			continue;
		if (c->n < 2)
			wrong(r, c, "a group has at least two fields");
		n = read_field_list(r, c, members, FIELDS_MAX);
		for (size_t i = 0; i < n; i++) {
			struct field_def *f = &e->fields[members[i]];

			if (f->group >= 0)
				wrong(r, c, "field %s is already in another group", quoted(r, f->name));
			else
				f->group = (int)e->n_groups;
		}
		e->n_groups++;
	}
}

/* ---- mappings ---------------------------------------------------------------------------------------- */

static void read_mapping(struct reader *r, const struct node *node, struct endpoint_conf *endpoint)
{
	const struct entity_def *e = &r->entity->def;
	struct mapping *m = arena_zalloc(r->arena, sizeof *m);

	m->entity = &r->entity->def;
	m->endpoint = endpoint;
	m->columns = arena_zalloc(r->arena, (e->n_fields + 1) * sizeof *m->columns);
	r->entity->mapping[endpoint->index] = m;
	r->mapping = m;
	if (is_map(r, node, "the settings of a mapping, such as {table: crm.accounts}"))
		read_section(r, "entities.*.mappings.*", node, m);
	for (size_t f = 0; f < e->n_fields; f++)
		if (m->columns[f] == NULL)
			m->columns[f] = e->fields[f].name;
}

void read_mappings(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	if (!is_map(r, node, "a map from endpoints to tables"))
		return;
	if (node->n == 0)
		wrong(r, node, "an entity without a mapping is nowhere: name at least one endpoint");
	for (const struct node *c = node->first; c != NULL && r->t->n_endpoints > 0; c = c->next) {
		ptrdiff_t i = endpoint_named(r, c, c->key);

		if (i >= 0)
			read_mapping(r, c, &r->t->endpoints[i]);
	}
}

void read_columns(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	const struct setting *column = setting_at("entities.*.mappings.*.columns.*");
	const struct entity_def *e = &r->entity->def;

	if (!is_map(r, node, "a map from fields to columns") || e->n_fields == 0)
		return;
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		ptrdiff_t f = field_named(r, c, c->key);

		if (f < 0)
			continue;
		if (!is_null(c))
			read_value(r, column, c, &r->mapping->columns[f]);
		else if (e->fields[f].is_key)
			wrong(r, c, "a key field must have a column at every endpoint");
		else
			wrong(r, c, "a field that this endpoint does not have is not built yet in this version");
	}
}

static void read_soft_delete(struct reader *r, const struct node *node)
{
	const struct node *soft = node_get(node, "soft");

	r->mapping->delete_mode = DELETE_SOFT;
	for (const struct node *c = soft != NULL ? node->first : NULL; c != NULL; c = c->next)
		if (c != soft)
			wrong_key(r, c, "unknown key");
	/* {column: ..., set: ...} without the word is as clear */
	if (soft == NULL)
		soft = node;
	if (is_map(r, soft, "{column: ..., set: ...}"))
		read_section(r, "entities.*.mappings.*.delete.soft", soft, r->mapping);
}

void read_delete(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	const char *text = node->kind == NODE_SCALAR ? node->text : "";

	if (strcmp(text, "hard") == 0)
		r->mapping->delete_mode = DELETE_HARD;
	else if (strcmp(text, "ignore") == 0)
		r->mapping->delete_mode = DELETE_IGNORE;
	else if (node_get(node, "soft") != NULL || node_get(node, "column") != NULL || node_get(node, "set") != NULL)
		read_soft_delete(r, node);
	else
		wrong_type(r, node, s->wants);
}

void read_where(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	struct mapping *m = r->mapping;

	if (!is_map(r, node, "a map from columns to values"))
		return;
	m->where = arena_zalloc(r->arena, (node->n + 1) * sizeof *m->where);
	for (const struct node *c = node->first; c != NULL; c = c->next) {
		struct where_item *w = &m->where[m->n_where++];
		const char *text;

		if (c->key[0] == '\0' || strlen(c->key) > 63)
			wrong_key(r, c, "the name of a column has 1 to 63 bytes");
		w->column = arena_dup(r->arena, c->key, strlen(c->key));
		if (is_null(c))
			continue;
		text = text_of(r, c, "a text, a number, true, false or null");
		w->value = text != NULL ? arena_dup(r->arena, text, strlen(text)) : NULL;
	}
}

/* "24h", or "every 24h" as one would say it. */
void read_verify(struct reader *r, const struct setting *s, const struct node *node, void *base)
{
	const char *text = node->kind == NODE_SCALAR ? node->text : "";
	struct entity_conf *entity = base;
	int64_t us;

	if (strncmp(text, "every ", 6) == 0)
		text += 6;
	if (!duration_parse(text, &us) || (us != 0 && us < VERIFY_OFTEST_US))
		wrong_type(r, node, s->wants);
	else
		entity->verify_us = us;
}
