/*
 * check.c - what only shows when the whole file is read: do its parts fit each other?
 *
 * Also completes what depends on several parts (ranks, rules of groups) and puts entities in order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/mem.h"
#include "conf/read.h"

static const struct node *get2(const struct node *node, const char *first, const char *second)
{
	return node_get(node_get(node, first), second);
}

/* ---- one mapping ------------------------------------------------------------------------------------- */

static const struct node *column_node(const struct node *mapping, const struct mapping *m, size_t field)
{
	const struct node *node = get2(mapping, "columns", m->entity->fields[field].name);

	return node != NULL ? node : mapping;
}

/* At the setting where there is one, else at the mapping's own name. */
static void complain_columns(struct reader *r, const struct node *at, const struct mapping *m, size_t a, size_t b)
{
	static const char text[] = "fields %s and %s have the same column %s";
	const char *one = quoted(r, m->entity->fields[a].name), *other = quoted(r, m->entity->fields[b].name);

	if (at->kind == NODE_SCALAR)
		wrong(r, at, text, one, other, quoted(r, m->columns[b]));
	else
		wrong_key(r, at, text, one, other, quoted(r, m->columns[b]));
}

static void check_columns(struct reader *r, const struct node *node, const struct mapping *m)
{
	for (size_t b = 1; b < m->entity->n_fields; b++)
		for (size_t a = 0; a < b; a++)
			if (strcmp(m->columns[a], m->columns[b]) == 0) {
				const struct node *at = column_node(node, m, b);

				complain_columns(r, at != node ? at : column_node(node, m, a), m, a, b);
				break;
			}
}

/* A column that the daemon's own writes move can not also carry a field: it would never come to rest. */
static void check_not_field(struct reader *r, const struct node *at, const struct mapping *m, const char *column)
{
	for (size_t f = 0; at != NULL && column != NULL && f < m->entity->n_fields; f++)
		if (strcmp(m->columns[f], column) == 0)
			wrong(r, at, "column %s is also that of field %s: every write would change the field, without end",
			      quoted(r, column), quoted(r, m->entity->fields[f].name));
}

/* The cursor and the local id move by rules of their own: what else is kept in their column would be moved along. */
static void check_own_columns(struct reader *r, const struct node *node, const struct mapping *m, const struct node *soft)
{
	const struct { const char *name, *column; } own[] = { { "id", m->id }, { "modified", m->modified } };
	const struct node *modified = node_get(node, "modified"), *where = node_get(node, "where");

	if (modified != NULL && m->modified != NULL && m->id != NULL && strcmp(m->modified, m->id) == 0)
		wrong(r, modified, "column %s is also the id: an id does not tell when a row was changed", quoted(r, m->id));
	for (size_t i = 0; i < countof(own); i++) {
		if (own[i].column == NULL)
			continue;
		if (soft != NULL && m->delete_column != NULL && strcmp(m->delete_column, own[i].column) == 0)
			wrong(r, soft, "column %s is also %s: every row that has one would count as deleted", quoted(r, m->delete_column),
			      own[i].name);
		if (node_get(where, own[i].column) != NULL)
			wrong_key(r, node_get(where, own[i].column), "column %s is also %s, which no filter can hold at one value",
				  quoted(r, own[i].column), own[i].name);
	}
}

static void check_table(struct reader *r, const struct node *at, const struct mapping *m)
{
	char *schema, *name;

	if (at == NULL || m->table == NULL)
		return;
	if (!table_name_split(m->table, &schema, &name))
		wrong(r, at, "%s is not a table's name: write [schema.]table, each of 1 to 63 bytes, a part with dots or quotes in double quotes",
		      quoted(r, m->table));
	free(schema);
	free(name);
}

/* A name of its mappings that is no endpoint may be the one that is missed: that was said already. */
static bool has_misnamed(const struct reader *r, size_t entity)
{
	const struct node *mappings = node_get(r->entity_nodes[entity], "mappings");

	for (const struct node *c = mappings != NULL ? mappings->first : NULL; c != NULL; c = c->next)
		if (endpoint_find(r->t, c->key) < 0)
			return true;
	return mappings == NULL || mappings->kind != NODE_MAP || mappings->n == 0;
}

static void check_references(struct reader *r, const struct node *node, const struct mapping *m)
{
	for (size_t f = 0; f < m->entity->n_fields; f++) {
		const struct entity_def *to = m->entity->fields[f].refers;
		ptrdiff_t i = to != NULL ? entity_find(r->t, to->name) : -1;

		if (i >= 0 && r->t->entities[i].mapping[m->endpoint->index] == NULL && !has_misnamed(r, (size_t)i))
			wrong_key(r, node, "field %s points to entity %s, which has no mapping at this endpoint",
				  quoted(r, m->entity->fields[f].name), quoted(r, to->name));
	}
}

static void check_mapping(struct reader *r, const struct node *node, const struct mapping *m)
{
	const struct node *del = node_get(node, "delete"), *named = node_get(del, "soft");
	const struct node *soft = node_get(named != NULL ? named : del, "column");

	check_table(r, node_get(node, "table"), m);
	check_columns(r, node, m);
	check_not_field(r, node_get(node, "modified"), m, m->modified);
	check_not_field(r, soft, m, m->delete_column);
	check_own_columns(r, node, m, soft);
	check_references(r, node, m);
	if (m->endpoint->capture == CAPTURE_POLL && m->role != ROLE_TARGET && node_get(node, "modified") == NULL)
		missing(r, node, "modified", "missing: capture poll finds changes by this column");
}

/* ---- one entity -------------------------------------------------------------------------------------- */

/* The rest of the ranks: mapped endpoints in the order of the file, then those without a mapping. */
static void complete_ranks(struct reader *r, struct entity_conf *e, const struct node *node)
{
	const struct node *list = get2(node, "conflict", "priority");
	uint8_t next = 0;

	for (const struct node *c = list != NULL ? list->first : NULL; c != NULL; c = c->next) {
		ptrdiff_t i = c->kind == NODE_SCALAR ? endpoint_find(r->t, c->text) : -1;

		if (i >= 0 && e->mapping[i] == NULL && !has_misnamed(r, (size_t)(e - r->t->entities)))
			wrong(r, c, "endpoint %s has no mapping of this entity", quoted(r, c->text));
	}
	for (size_t i = 0; i < r->t->n_endpoints; i++)
		next = (uint8_t)(next + (e->def.rank[i] != 0xff));
	for (int mapped = 1; mapped >= 0; mapped--)
		for (size_t i = 0; i < ENDPOINTS_MAX; i++)
			if (e->def.rank[i] == 0xff && (e->mapping[i] != NULL) == mapped)
				e->def.rank[i] = next++;
}

#define BIT_OF(type) (UINT32_C(1) << (type))
enum {
	NUMBERS = BIT_OF(FIELD_INTEGER) | BIT_OF(FIELD_DECIMAL),
	ORDERED = NUMBERS | BIT_OF(FIELD_TEXT) | BIT_OF(FIELD_BOOLEAN) | BIT_OF(FIELD_TIMESTAMP) | BIT_OF(FIELD_DATE),
};

/* What a rule asks of its fields; of a group only that it is one. */
static const struct rule_needs {
	uint32_t types;			/* 0: any */
	const char *types_said;
	bool alone, not_key;
} needs[RULES] = {
	[RULE_NEWEST_FILLED]	= { .alone = true },
	[RULE_MAX]		= { ORDERED, "text, integer, decimal, boolean, timestamp and date", true, true },
	[RULE_MIN]		= { ORDERED, "text, integer, decimal, boolean, timestamp and date", true, true },
	[RULE_ADD]		= { NUMBERS, "integer and decimal", true, true },
	[RULE_MANUAL]		= { .not_key = true },
};

/* A group moves as a whole, so it has one rule: that of any of its fields that names one. */
static void complete_rules(struct reader *r, struct entity_def *e, const struct node *node)
{
	enum rule of_group[FIELDS_MAX];

	for (size_t g = 0; g < FIELDS_MAX; g++)
		of_group[g] = RULES;
	for (size_t i = 0; i < e->n_fields; i++) {
		struct field_def *f = &e->fields[i];
		const struct node *at = node_get(get2(node, "conflict", "fields"), f->name);

		if (f->rule == RULES || f->group < 0 || f->group >= FIELDS_MAX)
			continue;
		if (of_group[f->group] != RULES && of_group[f->group] != f->rule && at != NULL)
			wrong(r, at, "another field of its group has rule %s: a group has one rule", rule_name(of_group[f->group]));
		of_group[f->group] = f->rule;
	}
	for (size_t i = 0; i < e->n_fields; i++) {
		struct field_def *f = &e->fields[i];

		if (f->rule == RULES && f->group >= 0 && f->group < FIELDS_MAX)
			f->rule = of_group[f->group];
		if (f->rule == RULES)	/* what is not for a key does not keep the entity from having it for the rest */
			f->rule = f->is_key && e->rule < RULES && needs[e->rule].not_key ? RULE_LAST_WRITER_WINS : e->rule;
	}
}

/* Where it is said that a field has its rule. */
static const struct node *rule_node(const struct entity_def *e, size_t f, const struct node *conflict)
{
	const struct node *at = get2(conflict, "fields", e->fields[f].name);

	for (size_t g = 0; at == NULL && e->fields[f].group >= 0 && g < e->n_fields; g++)
		if (e->fields[g].group == e->fields[f].group)
			at = get2(conflict, "fields", e->fields[g].name);
	return at != NULL ? at : node_get(conflict, "rule");
}

/* Blank or not, greater or not, is a matter of one field and of its type; and a record is found by its key while others are asked about it. */
static void check_rule_needs(struct reader *r, const struct entity_def *e, const struct node *node)
{
	const struct node *conflict = node_get(node, "conflict");
	bool said[FIELDS_MAX] = { false };

	for (size_t i = 0; i < e->n_fields; i++) {
		const struct field_def *f = &e->fields[i];
		const struct rule_needs *n = f->rule < RULES ? &needs[f->rule] : &needs[RULE_LAST_WRITER_WINS];
		const struct node *at = rule_node(e, i, conflict);
		bool grouped = f->group >= 0 && f->group < FIELDS_MAX;

		if (n->not_key && f->is_key)
			wrong(r, at, "field %s is of the key: %s is for other fields", quoted(r, f->name), rule_name(f->rule));
		else if (n->alone && grouped && !said[f->group])
			wrong(r, at, "field %s is in a group: %s is for fields of their own", quoted(r, f->name), rule_name(f->rule));
		else if (n->types != 0 && f->type != FIELD_TYPES && !(n->types & BIT_OF(f->type)) && !(n->alone && grouped))
			wrong(r, at, "field %s is %s: %s is for %s", quoted(r, f->name), field_type_name(f->type), rule_name(f->rule),
			      n->types_said);
		if (grouped)
			said[f->group] = true;
	}
}

/* Which endpoint is mirrored is nothing to be guessed, and its word has to be heard. */
static void check_mirror(struct reader *r, const struct entity_conf *e, const struct node *node)
{
	const struct node *conflict = node_get(node, "conflict"), *list = node_get(conflict, "priority"), *at = NULL;

	for (size_t i = 0; at == NULL && i < e->def.n_fields; i++)
		if (e->def.fields[i].rule == RULE_MIRROR) {
			at = get2(conflict, "fields", e->def.fields[i].name);
			at = at != NULL ? at : node_get(conflict, "rule");
		}
	if (at == NULL)
		return;
	if (list == NULL) {
		wrong(r, at, "mirror needs a priority list: its first endpoint is the one that is mirrored");
		return;
	}
	for (size_t i = 0; i < r->t->n_endpoints; i++)
		if (e->def.rank[i] == 0 && e->mapping[i] != NULL && e->mapping[i]->role == ROLE_TARGET)
			wrong(r, at, "endpoint %s is to be mirrored, and is a target: it is never read",
			      quoted(r, r->t->endpoints[i].name));
}

static void check_directions(struct reader *r, const struct entity_conf *e, const struct node *mappings)
{
	size_t n = 0, sources = 0, targets = 0;

	for (size_t i = 0; i < r->t->n_endpoints; i++) {
		if (e->mapping[i] == NULL)
			continue;
		n++;
		sources += e->mapping[i]->role != ROLE_TARGET;
		targets += e->mapping[i]->role != ROLE_SOURCE;
	}
	if (n > 0 && sources == 0)
		wrong_key(r, mappings, "no endpoint is a source: nothing would ever be read");
	if (n > 1 && targets == 0)
		wrong_key(r, mappings, "no endpoint is a target: nothing would ever be written");
}

static bool same_where(const struct mapping *a, const struct mapping *b)
{
	if (a->n_where != b->n_where)
		return false;
	for (size_t i = 0; i < a->n_where; i++) {
		const struct where_item *x = &a->where[i], *y = &b->where[i];

		if (strcmp(x->column, y->column) != 0 || (x->value == NULL) != (y->value == NULL) ||
		    (x->value != NULL && strcmp(x->value, y->value) != 0))
			return false;
	}
	return true;
}

static bool same_database(const struct endpoint_conf *a, const struct endpoint_conf *b)
{
	return a == b || (a->connection != NULL && b->connection != NULL && strcmp(a->connection, b->connection) == 0);
}

/* Linked to itself: its rows would chase each other. */
static void check_itself(struct reader *r, const struct entity_conf *e, const struct node *mappings)
{
	for (size_t b = 1; b < r->t->n_endpoints; b++)
		for (size_t a = 0; a < b; a++) {
			const struct mapping *ma = e->mapping[a], *mb = e->mapping[b];

			if (ma != NULL && mb != NULL && ma->table != NULL && mb->table != NULL &&
			    strcmp(ma->table, mb->table) == 0 && same_database(ma->endpoint, mb->endpoint) && same_where(ma, mb))
				wrong_key(r, node_get(mappings, mb->endpoint->name),
					  "this is the same table of the same database as at endpoint %s", quoted(r, ma->endpoint->name));
		}
}

static void check_entity(struct reader *r, struct entity_conf *e, const struct node *node)
{
	const struct node *mappings = node_get(node, "mappings");

	complete_rules(r, &e->def, node);
	complete_ranks(r, e, node);
	check_rule_needs(r, &e->def, node);
	check_mirror(r, e, node);
	for (size_t i = 0; i < r->t->n_endpoints; i++)
		if (e->mapping[i] != NULL)
			check_mapping(r, node_get(mappings, r->t->endpoints[i].name), e->mapping[i]);
	if (mappings != NULL) {
		check_directions(r, e, mappings);
		check_itself(r, e, mappings);
	}
}

/* One change log entry per row change: two readers would take each other's news away. */
static void check_tables_once(struct reader *r)
{
	struct topology *t = r->t;

	for (size_t i = 0; i < t->n_endpoints; i++)
		for (size_t b = 1; b < t->n_entities; b++)
			for (size_t a = 0; a < b; a++) {
				const struct mapping *ma = t->entities[a].mapping[i], *mb = t->entities[b].mapping[i];
				const struct node *at;

				if (ma == NULL || mb == NULL || ma->table == NULL || mb->table == NULL || strcmp(ma->table, mb->table) != 0)
					continue;
				at = node_get(get2(r->entity_nodes[b], "mappings", t->endpoints[i].name), "table");
				wrong(r, at, "entity %s has this table, too: two entities in one table are not built yet in this version",
				      quoted(r, t->entities[a].def.name));
				break;
			}
}

/* ---- order ------------------------------------------------------------------------------------------- */

/* Entities are named by their index in the file's order here; `mark` by index, of n. */
static size_t index_of(const struct topology *t, const struct entity_def *e)
{
	return (size_t)((const struct entity_conf *)e - t->entities);
}
_Static_assert(offsetof(struct entity_conf, def) == 0, "index_of() relies on it");

static bool reaches(const struct topology *t, size_t from, size_t to, bool *seen)
{
	const struct entity_def *e = &t->entities[from].def;

	if (from == to)
		return true;
	if (seen[from])
		return false;
	seen[from] = true;
	for (size_t f = 0; f < e->n_fields; f++)
		if (e->fields[f].refers != NULL && reaches(t, index_of(t, e->fields[f].refers), to, seen))
			return true;
	return false;
}

static void check_cycles(struct reader *r)
{
	struct topology *t = r->t;
	bool *seen = arena_zalloc(r->arena, t->n_entities);

	for (size_t i = 0; i < t->n_entities; i++) {
		const struct entity_def *e = &t->entities[i].def;

		for (size_t f = 0; f < e->n_fields; f++) {
			const struct entity_def *to = e->fields[f].refers;
			const struct node *at = get2(node_get(r->entity_nodes[i], "fields"), e->fields[f].name, "entity");

			if (to == NULL || to == e || at == NULL)
				continue;
			memset(seen, 0, t->n_entities);
			if (reaches(t, index_of(t, to), i, seen))
				wrong(r, at, "entities that point to each other in a circle are not built yet in this version");
		}
	}
}

static bool parents_placed(const struct topology *t, size_t i, const size_t *place)
{
	const struct entity_def *e = &t->entities[i].def;

	for (size_t f = 0; f < e->n_fields; f++)
		if (e->fields[f].refers != NULL && e->fields[f].refers != e && place[index_of(t, e->fields[f].refers)] == SIZE_MAX)
			return false;
	return true;
}

/* place[] says where each entity goes: parents first, else as in the file. There is no cycle. */
static void find_places(const struct topology *t, size_t *place)
{
	for (size_t i = 0; i < t->n_entities; i++)
		place[i] = SIZE_MAX;
	for (size_t next = 0; next < t->n_entities; next++) {
		size_t i = 0;

		while (place[i] != SIZE_MAX || !parents_placed(t, i, place))
			i++;
		place[i] = next;
	}
}

static void put_in_order(struct reader *r)
{
	struct topology *t = r->t;
	size_t *place = arena_zalloc(r->arena, t->n_entities * sizeof *place);
	struct entity_conf *ordered = arena_zalloc(r->arena, t->n_entities * sizeof *ordered);

	find_places(t, place);
	for (size_t i = 0; i < t->n_entities; i++) {
		struct entity_conf *e = &ordered[place[i]];

		*e = t->entities[i];
		e->def.index = place[i];
		for (size_t f = 0; f < e->def.n_fields; f++)
			if (e->def.fields[f].refers != NULL)
				e->def.fields[f].refers = &ordered[place[index_of(t, e->def.fields[f].refers)]].def;
		for (size_t k = 0; k < t->n_endpoints; k++)
			if (e->mapping[k] != NULL)
				e->mapping[k]->entity = &e->def;
	}
	t->entities = ordered;
}

/* ---- all of it --------------------------------------------------------------------------------------- */

static void check_sockets(struct reader *r, const struct node *root)
{
	const struct node *at = get2(root, "control", "socket");
	const struct topology *t = r->t;

	if (at == NULL)
		at = get2(root, "stats", "socket");
	if (at != NULL && t->stats.socket != NULL && t->control.socket != NULL && strcmp(t->stats.socket, t->control.socket) == 0)
		wrong(r, at, "the stats and control sockets are the same");
}

static void check_passwords(struct reader *r, const struct node *root)
{
	const struct node *at = get2(root, "state", "password_file");

	if (at != NULL && r->t->state.password != NULL)
		wrong_key(r, at, "there is a password in state.redis already");
}

/* Once it runs, a wrong one would be an endpoint that stays down, and its own error would not tell where to look. */
static void check_connections(struct reader *r, const struct node *root)
{
	char why[200];

	for (size_t i = 0; i < r->t->n_endpoints; i++) {
		const struct endpoint_conf *e = &r->t->endpoints[i];
		const struct node *at = node_get(get2(root, "endpoints", e->name), "connection");

		if (at != NULL && e->connection != NULL && !r->understands(e, why, sizeof why))
			wrong(r, at, "%s", why);
	}
}

static struct conf_place place_of(const struct node *at)
{
	return at != NULL ? (struct conf_place){ at->line, at->column } : (struct conf_place){ 0 };
}

void topology_check(struct reader *r, const struct node *root)
{
	r->t->name_at = place_of(node_get(root, "topology"));
	r->t->directory_at = place_of(get2(root, "journal", "directory"));
	check_sockets(r, root);
	if (r->understands != NULL)
		check_connections(r, root);
	check_passwords(r, root);
	for (size_t i = 0; i < r->t->n_entities; i++)
		check_entity(r, &r->t->entities[i], r->entity_nodes[i]);
	check_tables_once(r);
	check_cycles(r);
	if (r->problems->n == 0)
		put_in_order(r);
}
