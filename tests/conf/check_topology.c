/*
 * check_topology.c - a good file becomes the right topology; the table, the sample and the manual say the same.
 */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/problem.h"
#include "conf/setting.h"
#include "conf/topology.h"
#include "conf/tree.h"

#define TOP "version: 1\ntopology: acme\n"
#define ENDPOINTS \
	"endpoints:\n" \
	"  sales: {driver: postgres, connection: host=a}\n" \
	"  support: {driver: postgres, connection: host=b}\n" \
	"  web: {driver: postgres, connection: host=c, capture: poll}\n"
#define MAPPINGS \
	"    mappings:\n" \
	"      support: {table: tb}\n" \
	"      sales: {table: ta}\n"

static struct topology *parse(const char *text)
{
	struct conf_problems problems;
	struct topology *t = topology_parse("t.yaml", text, strlen(text), NULL, &problems);

	conf_problems_print(&problems, "t.yaml", stderr);
	ck_assert_ptr_nonnull(t);
	conf_problems_fini(&problems);
	return t;
}

static char *printed(const struct topology *t)
{
	struct buf out = { 0 };

	topology_print(t, &out);
	return buf_take(&out);
}

static char *source_file(const char *name)
{
	const char *dir = getenv("srcdir");
	char *path = xasprintf("%s/%s", dir != NULL ? dir : ".", name);
	struct buf text = { 0 };
	FILE *f = fopen(path, "r");
	size_t n = 1;

	ck_assert_msg(f != NULL, "%s is there", path);
	while (n > 0) {
		n = fread(buf_room(&text, 4096), 1, 4096, f);
		text.len += n;
	}
	fclose(f);
	free(path);
	return buf_take(&text);
}

/* ---- what is read ---------------------------------------------------------------------------------------- */

static const char small[] = TOP ENDPOINTS
	"entities:\n"
	"  contact:\n"
	"    key: [email]\n"
	"    fields:\n"
	"      name: {type: text}\n"
	"      email: {type: text}\n" MAPPINGS;

START_TEST(what_is_not_said_has_its_default)
{
	struct topology *t = parse(small);
	const struct endpoint_conf *e = &t->endpoints[0];
	const struct entity_def *d = &t->entities[0].def;

	ck_assert_str_eq(t->name, "acme");
	ck_assert_str_eq(t->file, "t.yaml");
	ck_assert_str_eq(t->state.unix_path, "/run/redis/redis-server.sock");
	ck_assert_ptr_null(t->state.host);
	ck_assert_str_eq(t->stats.socket, "/run/crmsyncd/stats.sock");
	ck_assert_ptr_null(t->stats.listen);
	ck_assert_str_eq(t->control.socket, "/run/crmsyncd/control.sock");
	ck_assert_str_eq(t->journal.directory, "/var/lib/crmsyncd");
	ck_assert_int_eq(t->journal.keep_us, 30 * 86400000000);
	ck_assert_int_eq(t->limits.batch_rows, 1500);
	ck_assert_int_eq(t->limits.batch_bytes, 4 << 20);
	ck_assert_int_eq(t->limits.rounds, 4);
	ck_assert_int_eq(t->limits.max_ahead_us, 60000000);
	ck_assert_int_eq(e->capture, CAPTURE_LISTEN);
	ck_assert(e->notify && e->install_auto);
	ck_assert_int_eq(e->interval_us, 1000000);
	ck_assert_int_eq(e->sweep_us, 3600000000);
	ck_assert_int_eq(e->overlap_us, 1000000);
	ck_assert_int_eq(e->connections, 4);
	ck_assert_int_eq(e->statement_timeout_us, 300000000);
	ck_assert_int_eq(e->lock_timeout_us, 5000000);
	ck_assert_int_eq(t->endpoints[2].index, 2);
	ck_assert_int_eq(d->rule, RULE_LAST_WRITER_WINS);
	ck_assert_int_eq(d->deletes, DELETES_UPDATE_WINS);
	ck_assert(d->mass_delete == 0.02);
	ck_assert_int_eq(d->fields[0].group, -1);
	ck_assert_int_eq(d->fields[0].on_invalid, INVALID_PARK);
	topology_free(&t);
	ck_assert_ptr_null(t);
}
END_TEST

START_TEST(keys_and_columns_are_by_field_index)
{
	struct topology *t = parse(small);
	const struct entity_def *d = &t->entities[0].def;
	const struct mapping *m = topology_mapping(t, 0, 1);

	ck_assert_int_eq(d->n_fields, 2);
	ck_assert_int_eq(d->n_key, 1);
	ck_assert_int_eq(d->key[0], 1);
	ck_assert(d->fields[1].is_key && !d->fields[0].is_key);
	ck_assert_ptr_eq(m->entity, d);
	ck_assert_ptr_eq(m->endpoint, &t->endpoints[1]);
	ck_assert_str_eq(m->table, "tb");
	ck_assert_str_eq(m->columns[0], "name");
	ck_assert_str_eq(m->columns[1], "email");
	ck_assert_ptr_null(m->id);
	ck_assert_ptr_null(m->modified);
	ck_assert_int_eq(m->delete_mode, DELETE_HARD);
	ck_assert_ptr_null(topology_mapping(t, 0, 2));
	ck_assert_ptr_null(topology_mapping(t, 1, 0));
	ck_assert_ptr_null(topology_mapping(t, 0, 3));
	topology_free(&t);
}
END_TEST

START_TEST(ranks_are_the_list_then_the_mapped_then_the_rest)
{
	struct topology *t = parse(TOP ENDPOINTS
		"entities:\n"
		"  a: {key: [k], fields: {k: {type: text}}, mappings: {web: {table: ta, modified: m}, sales: {table: ta}}}\n"
		"  b: {key: [k], fields: {k: {type: text}}, conflict: {priority: [web]}, mappings:"
		" {support: {table: tb}, web: {table: tb, modified: m}, sales: {table: tb}}}\n");
	const uint8_t *a = t->entities[0].def.rank, *b = t->entities[1].def.rank;

	ck_assert_int_eq(a[0], 0);	/* sales, web: mapped, in the order of the endpoints */
	ck_assert_int_eq(a[2], 1);
	ck_assert_int_eq(a[1], 2);
	ck_assert_int_eq(b[2], 0);
	ck_assert_int_eq(b[0], 1);
	ck_assert_int_eq(b[1], 2);
	for (int i = 3; i < ENDPOINTS_MAX; i++)
		ck_assert(a[i] == i && b[i] == i);
	topology_free(&t);
}
END_TEST

START_TEST(parents_come_before_children_else_the_order_of_the_file)
{
	struct topology *t = parse(TOP ENDPOINTS
		"entities:\n"
		"  child: {key: [k], fields: {k: {type: text}, p: {type: reference, entity: parent}}, mappings: {sales: {table: a}}}\n"
		"  other: {key: [k], fields: {k: {type: text}}, mappings: {sales: {table: b}}}\n"
		"  parent: {key: [k], fields: {k: {type: text}, up: {type: reference, entity: parent}, g: {type: reference, entity: grand}},"
		" mappings: {sales: {table: c}}}\n"
		"  grand: {key: [k], fields: {k: {type: text}}, mappings: {sales: {table: d}}}\n");
	static const char *const order[] = { "other", "grand", "parent", "child" };

	for (size_t i = 0; i < 4; i++) {
		ck_assert_str_eq(t->entities[i].def.name, order[i]);
		ck_assert_int_eq(t->entities[i].def.index, i);
		ck_assert_ptr_eq(t->entities[i].mapping[0]->entity, &t->entities[i].def);
	}
	ck_assert_ptr_eq(t->entities[3].def.fields[1].refers, &t->entities[2].def);
	ck_assert_ptr_eq(t->entities[2].def.fields[1].refers, &t->entities[2].def);
	ck_assert_ptr_eq(t->entities[2].def.fields[2].refers, &t->entities[1].def);
	topology_free(&t);
}
END_TEST

START_TEST(a_rule_of_one_member_is_the_rule_of_its_group)
{
	struct topology *t = parse(TOP ENDPOINTS
		"entities:\n"
		"  c:\n"
		"    key: [k]\n"
		"    fields: {k: {type: text}, street: {type: text}, zip: {type: text}, city: {type: text}, name: {type: text}}\n"
		"    conflict: {fields: {zip: source-priority}, groups: [[city, zip, street]]}\n" MAPPINGS);
	const struct field_def *f = t->entities[0].def.fields;

	ck_assert_int_eq(t->entities[0].def.n_groups, 1);
	for (int i = 1; i <= 3; i++) {
		ck_assert_int_eq(f[i].group, 0);
		ck_assert_int_eq(f[i].rule, RULE_SOURCE_PRIORITY);
	}
	ck_assert_int_eq(f[4].rule, RULE_LAST_WRITER_WINS);
	ck_assert_int_eq(f[4].group, -1);
	topology_free(&t);
}
END_TEST

START_TEST(text_is_text_whatever_it_looks_like)
{
	struct topology *t = parse(TOP ENDPOINTS
		"entities:\n"
		"  no:\n"
		"    key: [on]\n"
		"    fields:\n"
		"      on: {type: text, clean: [{default: no}, {map: {1.0: off, 007: null, yes: 'null'}}],"
		" check: [{one-of: [0o7, true, 1e999, '']}]}\n"
		"    mappings:\n"
		"      sales: {table: 1, delete: {column: off, set: true}, where: {a: true, b: null, c: 'null', d: 1.50, e: ''}}\n");
	const struct field_def *f = &t->entities[0].def.fields[0];
	const struct mapping *m = t->entities[0].mapping[0];
	static const char *const words[] = { "0o7", "true", "1e999", "" };
	static const char *const where[] = { "true", NULL, "null", "1.50", "" };

	ck_assert_str_eq(f->name, "on");
	ck_assert_str_eq(f->clean[0].to[0], "no");
	ck_assert_str_eq(f->clean[1].from[0], "1.0");
	ck_assert_str_eq(f->clean[1].to[0], "off");
	ck_assert_str_eq(f->clean[1].from[1], "007");
	ck_assert_ptr_null(f->clean[1].to[1]);
	ck_assert_str_eq(f->clean[1].to[2], "null");
	ck_assert_int_eq(f->checks[0].n, 4);
	for (size_t i = 0; i < 4; i++)
		ck_assert_str_eq(f->checks[0].words[i], words[i]);
	ck_assert_str_eq(m->table, "1");
	ck_assert_int_eq(m->delete_mode, DELETE_SOFT);
	ck_assert_str_eq(m->delete_column, "off");
	ck_assert_str_eq(m->delete_set, "true");
	ck_assert_int_eq(m->n_where, 5);
	for (size_t i = 0; i < 5; i++)
		ck_assert_pstr_eq(m->where[i].value, where[i]);
	topology_free(&t);
}
END_TEST

START_TEST(bounds_of_checks_are_canonical)
{
	struct topology *t = parse(TOP ENDPOINTS
		"entities:\n"
		"  c:\n"
		"    key: [k]\n"
		"    fields:\n"
		"      k: {type: decimal, check: [{range: [1.50, 2e3]}, {one-of: [01.0]}, required]}\n"
		"      l: {type: text, check: [{length: [2, null]}, {length: [null, 5]}], on_invalid: null}\n"
		"      d: {type: date, check: [{range: [null, 2020-02-29]}]}\n" MAPPINGS);
	const struct field_def *f = t->entities[0].def.fields;

	ck_assert_str_eq(f[0].checks[0].low, "1.5");
	ck_assert_str_eq(f[0].checks[0].high, "2000");
	ck_assert_str_eq(f[0].checks[1].words[0], "1");
	ck_assert_int_eq(f[0].checks[2].kind, CHECK_REQUIRED);
	ck_assert_int_eq(f[1].checks[0].min_length, 2);
	ck_assert(f[1].checks[0].max_length == INT64_MAX);
	ck_assert_int_eq(f[1].checks[1].min_length, 0);
	ck_assert_int_eq(f[1].checks[1].max_length, 5);
	ck_assert_int_eq(f[1].on_invalid, INVALID_NULL);
	ck_assert_ptr_null(f[2].checks[0].low);
	ck_assert_str_eq(f[2].checks[0].high, "2020-02-29");
	topology_free(&t);
}
END_TEST

START_TEST(both_spellings_of_soft_delete_are_one)
{
	struct topology *t = parse(TOP ENDPOINTS
		"entities:\n"
		"  c:\n"
		"    key: [k]\n"
		"    fields: {k: {type: text}}\n"
		"    mappings:\n"
		"      sales: {table: a, delete: {soft: {column: d}}}\n"
		"      support: {table: b, delete: {column: d, set: now}}\n"
		"      web: {table: c, modified: m, delete: ignore}\n");

	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(t->entities[0].mapping[i]->delete_mode, DELETE_SOFT);
		ck_assert_str_eq(t->entities[0].mapping[i]->delete_column, "d");
		ck_assert_str_eq(t->entities[0].mapping[i]->delete_set, "now");
	}
	ck_assert_int_eq(t->entities[0].mapping[2]->delete_mode, DELETE_IGNORE);
	topology_free(&t);
}
END_TEST

/* ---- addresses of Redis ------------------------------------------------------------------------------------ */

static const struct redis_row {
	const char *written, *shown, *path, *host;
	int port, database;
	const char *user, *password;
} redis_rows[] = {
	{ "unix:/run/r.sock", "unix:/run/r.sock", "/run/r.sock", NULL, 0, 0, NULL, NULL },
	{ "unix:///run/r.sock", "unix:///run/r.sock", "/run/r.sock", NULL, 0, 0, NULL, NULL },
	{ "unix:///run/r.sock?db=3", "unix:///run/r.sock?db=3", "/run/r.sock", NULL, 0, 3, NULL, NULL },
	{ "redis://h", "redis://h", NULL, "h", 6379, 0, NULL, NULL },
	{ "redis://h/", "redis://h/", NULL, "h", 6379, 0, NULL, NULL },
	{ "redis://h:1/2", "redis://h:1/2", NULL, "h", 1, 2, NULL, NULL },
	{ "redis://[::1]", "redis://[::1]", NULL, "::1", 6379, 0, NULL, NULL },
	{ "redis://[fe80::1]:65535/9", "redis://[fe80::1]:65535/9", NULL, "fe80::1", 65535, 9, NULL, NULL },
	{ "redis://:p@h", "redis://:***@h", NULL, "h", 6379, 0, NULL, "p" },
	{ "redis://u:p%40%25:q@h:5", "redis://u:***@h:5", NULL, "h", 5, 0, "u", "p@%:q" },
	{ "redis://u:p@q@h", "redis://u:***@h", NULL, "h", 6379, 0, "u", "p@q" },
};

START_TEST(redis_addresses_are_taken_apart)
{
	const struct redis_row *row = &redis_rows[_i];
	char *text = xasprintf("%sstate: {redis: '%s'}\n%s", TOP, row->written, small + strlen(TOP));
	struct topology *t = parse(text);

	ck_assert_str_eq(t->state.redis, row->shown);
	ck_assert_pstr_eq(t->state.unix_path, row->path);
	ck_assert_pstr_eq(t->state.host, row->host);
	ck_assert_int_eq(t->state.port, row->port);
	ck_assert_int_eq(t->state.database, row->database);
	ck_assert_pstr_eq(t->state.user, row->user);
	ck_assert_pstr_eq(t->state.password, row->password);
	topology_free(&t);
	free(text);
}
END_TEST

/* ---- printing -------------------------------------------------------------------------------------------- */

static const char thorny[] = TOP
	"state: {redis: 'redis://u:secret@h:1/2'}\n"
	"stats: {listen: '[::1]:80'}\n"
	"journal: {keep: 90m}\n"
	"limits: {batch_bytes: 100000, max_ahead: 0s}\n"
	"endpoints:\n"
	"  no: {driver: postgres, connection: \"host=a password='se cret' user=u\", sweep: 0s, notify: false, install: manual}\n"
	"  b-2: {driver: postgres, connection: 'postgresql://u:secret@h/db?sslpassword=secret&x=1', capture: poll, interval: 1500ms}\n"
	"entities:\n"
	"  child:\n"
	"    key: [k, l]\n"
	"    fields:\n"
	"      k: {type: text, clean: [trim, {map: {'': null, a: \"b: 'c'\\n\\u2028\\\"#\", 'null': 'true'}}], private: true}\n"
	"      l: {type: integer, check: [{range: [null, -5]}, {one-of: [1, 2]}], clean: [{default: 7}]}\n"
	"      m: {type: text, check: [{length: [null, 9]}, required], on_invalid: null}\n"
	"      n: {type: reference, entity: parent}\n"
	"    conflict: {rule: source-priority, deletes: delete-wins, priority: [b-2], fields: {m: last-writer-wins}, groups: [[n, m]]}\n"
	"    limits: {mass_delete: 0.0625%}\n"
	"    mappings:\n"
	"      no: {table: '\"odd.\"\"name\"', id: ID, columns: {k: 'ké y', l: yes}, delete: {column: gone, set: 1},"
	" where: {a: null, b: 'null', \"c d\": true, e: ''}}\n"
	"      b-2: {table: t, modified: changed, role: source, delete: ignore}\n"
	"  parent: {key: [k], fields: {k: {type: uuid}}, mappings: {no: {table: p}, b-2: {table: p, modified: m}}}\n";

START_TEST(what_is_printed_loads_and_prints_the_same)
{
	struct topology *t = parse(thorny), *again;
	char *first = printed(t), *second;

	again = parse(first);
	second = printed(again);
	ck_assert_str_eq(first, second);
	ck_assert_int_eq(again->n_entities, 2);
	ck_assert_str_eq(again->entities[0].def.name, "parent");
	ck_assert_str_eq(again->entities[1].def.fields[0].clean[1].to[1], "b: 'c'\n\xe2\x80\xa8\"#");
	ck_assert(again->entities[1].def.mass_delete == t->entities[1].def.mass_delete);
	ck_assert_mem_eq(again->entities[1].def.rank, t->entities[1].def.rank, ENDPOINTS_MAX);
	ck_assert_str_eq(again->entities[1].mapping[0]->table, "\"odd.\"\"name\"");
	ck_assert_ptr_null(again->entities[1].mapping[0]->where[0].value);
	ck_assert_str_eq(again->entities[1].mapping[0]->where[1].value, "null");
	/* as short as one would write it, and in quotes where another reader of YAML would take a word for a truth value */
	ck_assert_ptr_nonnull(strstr(first, " mass_delete: 2%\n"));
	ck_assert_ptr_nonnull(strstr(first, " mass_delete: 0.0625%\n"));
	ck_assert_ptr_nonnull(strstr(first, " l: \"yes\"\n"));
	free(first);
	free(second);
	topology_free(&t);
	topology_free(&again);
}
END_TEST

START_TEST(what_is_printed_holds_no_secret)
{
	struct topology *t = parse(thorny);
	char *text = printed(t);

	ck_assert_ptr_null(strstr(text, "secret"));
	ck_assert_ptr_null(strstr(text, "se cret"));
	ck_assert_ptr_nonnull(strstr(text, "password=*** user=u"));
	free(text);
	topology_free(&t);
}
END_TEST

static const char *const redactions[][2] = {
	{ "", "" },
	{ "host=a dbname=b", "host=a dbname=b" },
	{ "password=x", "password=***" },
	{ "host=a password = 'x\\'y z' user=u", "host=a password=*** user=u" },
	{ "PASSWORD=x\ty=z", "PASSWORD=***\ty=z" },
	{ "sslpassword=a\\ b passfile=/x", "sslpassword=*** passfile=/x" },
	{ "host='a password=x' password='unclosed", "host='a password=x' password=***" },
	{ "secretly no keyword", "***" },
	{ "postgresql://h/db", "postgresql://h/db" },
	{ "postgresql://u@h/db", "postgresql://u@h/db" },
	{ "postgresql://u:p@h:5/db", "postgresql://u:***@h:5/db" },
	{ "postgres://u:p@ss@h/db", "postgres://u:***@h/db" },
	{ "postgresql://u:p/w@h/db", "postgresql://u:***@h/db" },
	{ "postgresql://h1:5432,h2:5433/db?user=a@b", "postgresql://h1:5432,h2:5433/db?user=a@b" },
	{ "postgresql://[::1]:5432/db", "postgresql://[::1]:5432/db" },
	{ "postgresql://[::1],h:1,[::2]:5432/?user=a@b", "postgresql://[::1],h:1,[::2]:5432/?user=a@b" },
	{ "postgresql://u:12/34@h/db", "postgresql://u:***@h/db" },
	{ "postgresql://u:1?2@h/db", "postgresql://u:***@h/db" },
	{ "postgresql://u:p?w@h/db?x=1", "postgresql://u:***@h/db?x=1" },
	{ "postgresql://u:p?w/x@h/db", "postgresql://u:***@h/db" },
	{ "postgresql://u:p@[::1]/db", "postgresql://u:***@[::1]/db" },
	{ "postgresql:///db?host=/run&password=x&user=u", "postgresql:///db?host=/run&password=***&user=u" },
	{ "postgresql:///db?p%61ssword=x", "postgresql:///db?p%61ssword=***" },
};

START_TEST(connections_are_shown_without_passwords)
{
	struct buf out = { 0 }, again = { 0 };

	conf_redact(&out, redactions[_i][0]);
	ck_assert_str_eq(out.p, redactions[_i][1]);
	conf_redact(&again, out.p);
	ck_assert_str_eq(again.p, out.p);
	buf_fini(&out);
	buf_fini(&again);
}
END_TEST

/* ---- files ------------------------------------------------------------------------------------------------ */

static char directory[] = "/tmp/check_topology.XXXXXX";

static char *make_file(const char *name, const char *text, size_t n, mode_t mode)
{
	char *path = xasprintf("%s/%s", directory, name);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fwrite(text, 1, n, f), n);
	fclose(f);
	ck_assert_int_eq(chmod(path, mode), 0);
	return path;
}

static void make_directory(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
	static const char *const names[] = { "t.yaml", "redis.secret", "a.secret", "secret" };

	for (size_t i = 0; i < countof(names); i++) {
		char *path = xasprintf("%s/%s", directory, names[i]);

		unlink(path);
		free(path);
	}
	ck_assert_int_eq(rmdir(directory), 0);
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
}

static void refused(const char *path, const char *because)
{
	char why[200] = "", *secret = conf_read_secret(path, why, sizeof why);

	ck_assert_ptr_null(secret);
	ck_assert_msg(strstr(why, because) != NULL, "%s: %s", path, why);
}

START_TEST(a_secret_is_one_line_of_a_private_file)
{
	static const struct { const char *text; size_t n; const char *want; } rows[] = {
		{ "geheim", 6, "geheim" }, { "geheim\n", 7, "geheim" }, { "two\n\n", 5, "two\n" }, { " \t", 2, " \t" },
	};
	char why[200];

	for (size_t i = 0; i < countof(rows); i++) {
		char *path = make_file("secret", rows[i].text, rows[i].n, 0600), *secret = conf_read_secret(path, why, sizeof why);

		ck_assert_pstr_eq(secret, rows[i].want);
		conf_secret_free(&secret);
		ck_assert_ptr_null(secret);
		free(path);
	}
}
END_TEST

START_TEST(a_secret_that_others_may_read_is_refused)
{
	static const mode_t modes[] = { 0640, 0604, 0660, 0644, 0610 };
	char *path = NULL;

	for (size_t i = 0; i < countof(modes); i++) {
		free(path);
		path = make_file("secret", "x", 1, modes[i]);
		refused(path, "chmod 600");
	}
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	ck_assert_int_eq(chmod(path, 0440), 0);
	char why[200], *secret = conf_read_secret(path, why, sizeof why);

	ck_assert_pstr_eq(secret, "x");
	conf_secret_free(&secret);
	unsetenv("CREDENTIALS_DIRECTORY");
	refused(path, "chmod 600");
	free(path);
}
END_TEST

START_TEST(a_credential_is_found_by_its_name)
{
	static const char named[] = "$CREDENTIALS_DIRECTORY/a.secret";
	char *path = make_file("a.secret", "x\n", 2, 0440), why[200], *secret;
	char *text = xasprintf("%sstate: {password_file: %s}\n" ENDPOINTS "entities:\n  person:\n    key: [mail]\n"
			       "    fields: {mail: {type: text}}\n" MAPPINGS, TOP, named), *out;
	struct topology *t;

	unsetenv("CREDENTIALS_DIRECTORY");
	refused(named, "LoadCredential=");
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	secret = conf_read_secret(named, why, sizeof why);
	ck_assert_pstr_eq(secret, "x");
	conf_secret_free(&secret);
	refused("$CREDENTIALS_DIRECTORY/none.secret", "No such file");
	refused("$CREDENTIALS_DIRECTORY/../a.secret", "No such file");
	t = parse(text);
	out = printed(t);
	ck_assert_msg(strstr(out, named) != NULL, "the name is kept, not where it led today: %s", out);
	unsetenv("CREDENTIALS_DIRECTORY");
	topology_free(&t);
	free(out);
	free(text);
	free(path);
}
END_TEST

START_TEST(a_secret_that_cannot_be_one_is_refused)
{
	char *path = make_file("secret", "", 0, 0600), big[4098];

	refused(path, "empty");
	free(path);
	path = make_file("secret", "\n", 1, 0600);
	refused(path, "empty");
	free(path);
	path = make_file("secret", "a\0b", 3, 0600);
	refused(path, "NUL");
	free(path);
	memset(big, 'x', sizeof big);
	path = make_file("secret", big, sizeof big, 0600);
	refused(path, "4096");
	unlink(path);
	refused(path, "No such file");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	refused(path, "not a file");
	unlink(path);
	free(path);
	refused(directory, "not a file");
}
END_TEST

static const char with_secrets[] = TOP
	"state: {password_file: redis.secret}\n"
	"endpoints:\n"
	"  a: {driver: postgres, connection: host=a, password_file: a.secret}\n"
	"entities:\n"
	"  c: {key: [k], fields: {k: {type: text}}, mappings: {a: {table: t}}}\n";

START_TEST(secrets_lie_beside_the_topology)
{
	char *file = make_file("t.yaml", with_secrets, strlen(with_secrets), 0644);
	char *redis = make_file("redis.secret", "geheim\n", 7, 0600), *a = make_file("a.secret", "geheim\n", 7, 0600), *text;
	struct conf_problems problems;
	struct topology *t = topology_load(file, NULL, &problems);

	conf_problems_print(&problems, file, stderr);
	ck_assert_ptr_nonnull(t);
	ck_assert_str_eq(t->state.password, "geheim");
	ck_assert_str_eq(t->state.password_file, redis);
	ck_assert_str_eq(t->endpoints[0].password_file, a);
	text = printed(t);
	ck_assert_ptr_null(strstr(text, "geheim"));
	free(text);
	topology_free(&t);
	free(file);
	free(redis);
	free(a);
}
END_TEST

/* As conf_problems_print() shows them. */
static void load_says(const char *file, const char *want)
{
	struct conf_problems problems;
	struct topology *t = topology_load(file, NULL, &problems);
	char *said = NULL;
	size_t n;
	FILE *f = open_memstream(&said, &n);

	ck_assert_ptr_null(t);
	conf_problems_print(&problems, file, f);
	fclose(f);
	ck_assert_str_eq(said, want);
	free(said);
	conf_problems_fini(&problems);
}

START_TEST(what_cannot_be_read_is_said_with_its_place)
{
	char *file = make_file("t.yaml", with_secrets, strlen(with_secrets), 0644), *a = make_file("a.secret", "x", 1, 0644), *want;

	want = xasprintf("%s:3:24: state.password_file: \"%s/redis.secret\": No such file or directory\n"
			 "%s:5:60: endpoints.a.password_file: \"%s/a.secret\": group or others have rights on it (mode 0644): chmod 600\n",
			 file, directory, file, directory);
	load_says(file, want);
	free(want);
	unlink(file);
	want = xasprintf("%s: cannot be read: No such file or directory; -c names another one, and crmsyncd.yaml.sample is one to begin with\n", file);
	load_says(file, want);
	free(want);
	want = xasprintf("%s: cannot be read: Is a directory\n", directory);
	load_says(directory, want);
	free(want);
	free(file);
	free(a);
}
END_TEST

START_TEST(a_file_with_a_password_in_it_is_not_for_others)
{
	static const char *const with[] = { "redis: redis://:x1@localhost", "redis: redis://localhost", "redis: redis://localhost" };
	static const char *const at[] = { "host=x", "host=x password=x1", "postgresql://u:x1@x/d" };

	for (size_t i = 0; i < 3; i++) {
		char *text = xasprintf("version: 1\ntopology: t\nstate: {%s}\nendpoints: {a: {driver: postgres, connection: \"%s\"}, "
				       "b: {driver: postgres, connection: host=y}}\nentities: {e: {key: [k], fields: {k: {type: text}}, "
				       "mappings: {a: {table: t}, b: {table: t}}}}\n", with[i], at[i]);
		char *file = make_file("t.yaml", text, strlen(text), 0644), *want;
		struct conf_problems problems;
		struct topology *t;

		want = xasprintf("%s: holds a password, and others have rights on it (mode 0644): chmod o= takes them, or the password goes "
				 "into a password_file\n", file);
		load_says(file, want);
		chmod(file, 0640);
		t = topology_load(file, NULL, &problems);
		ck_assert_ptr_nonnull(t);
		topology_free(&t);
		conf_problems_fini(&problems);
		unlink(file);
		free(want);
		free(file);
		free(text);
	}
}
END_TEST

/* ---- the table, the sample and the manual ---------------------------------------------------------------- */

START_TEST(the_sample_loads_and_prints_itself)
{
	char *text = source_file("etc/crmsyncd.yaml"), *first, *second;
	struct topology *t = parse(text), *again;

	first = printed(t);
	again = parse(first);
	second = printed(again);
	ck_assert_str_eq(first, second);
	topology_free(&t);
	topology_free(&again);
	free(first);
	free(second);
	free(text);
}
END_TEST

/* "    # listen: x" -> "      listen: x": a setting that the sample only mentions. */
static void uncomment(char *text)
{
	for (char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n') {
		char *mark = line + strspn(line, " "), *word = mark + 2;
		size_t n = mark[0] == '#' && mark[1] == ' ' ? strspn(word, "abcdefghijklmnopqrstuvwxyz_") : 0;

		if (n == 0 || word[n] != ':' || word[n + 1] != ' ' || mark == line)
			continue;
		memmove(mark, word, strcspn(word, "\n"));
		memset(mark + strcspn(word, "\n"), ' ', 2);
	}
}

static void node_pattern(struct buf *out, const struct node *n)
{
	static const char *const named[] = { "endpoints", "entities", "fields", "mappings", "columns", "where" };
	bool name = false;

	if (n->parent == NULL || n->key == NULL)
		return;
	node_pattern(out, n->parent);
	for (size_t i = 0; n->parent->key != NULL && i < countof(named); i++)
		name |= strcmp(n->parent->key, named[i]) == 0;
	buf_addf(out, "%s%s", out->len > 0 ? "." : "", name ? "*" : n->key);
}

static bool tree_has(const struct node *n, const char *pattern)
{
	struct buf path = { 0 };
	bool found;

	node_pattern(&path, n);
	found = path.p != NULL && strcmp(path.p, pattern) == 0;
	buf_fini(&path);
	for (const struct node *c = n->first; c != NULL && !found; c = c->next)
		found = tree_has(c, pattern);
	return found;
}

static void in_sample(const char *path, const char *type, const char *def, const char *help, void *root)
{
	ck_assert_msg(tree_has(root, path), "the sample does not name %s", path);
}

START_TEST(the_sample_names_every_setting)
{
	char *text = source_file("etc/crmsyncd.yaml");
	struct conf_problems problems = { 0 };
	struct arena arena;
	struct node *root;
	struct topology *t;

	uncomment(text);
	t = parse(text);	/* and what it only mentions would be right, too */
	topology_free(&t);
	arena_init(&arena);
	ck_assert(tree_parse(&arena, text, strlen(text), &problems, &root));
	topology_each_setting(in_sample, root);
	arena_fini(&arena);
	free(text);
}
END_TEST

/* The heading under which the manual has a setting: names of the operator's in capitals. */
static void heading_of(struct buf *out, const char *path)
{
	static const char *const names[][2] = {
		{ "endpoints", "NAME" }, { "entities", "NAME" }, { "fields", "FIELD" }, { "mappings", "ENDPOINT" },
		{ "columns", "FIELD" }, { "where", "COLUMN" },
	};
	const char *last = "";

	for (const char *p = path; *p != '\0'; p += strcspn(p, "."), p += *p == '.') {
		size_t n = strcspn(p, ".");

		buf_adds(out, out->len > 0 ? "." : "");
		for (size_t i = 0; *p == '*' && i < countof(names); i++)
			if (strncmp(last, names[i][0], strlen(names[i][0])) == 0)
				buf_adds(out, names[i][1]);
		if (*p != '*')
			buf_add(out, p, n);
		last = p;
	}
}

static void bounds_of(struct buf *out, const struct setting *s)
{
	void (*print)(struct buf *, int64_t) = s->type == SET_SIZE ? size_print : duration_print;

	if (s->type == SET_INTEGER) {
		buf_addf(out, " , No %lld to %lld", (long long)s->min, (long long)s->max);
	} else if (s->type == SET_DURATION || s->type == SET_SIZE) {
		buf_adds(out, " , No ");
		print(out, s->min);
		buf_adds(out, " to ");
		print(out, s->max);
		buf_adds(out, s->or_zero ? ", or 0s" : "");
	}
}

/* .Ss endpoints.NAME ... .It Cm interval : Ar duration , No default Cm 1s , No 10ms to 1d */
START_TEST(the_manual_lists_every_setting_as_it_is)
{
	char *manual = source_file("man/crmsyncd.yaml.5");

	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		struct buf at = { 0 }, line = { 0 };
		char *key, *section, *item, *end;

		if (s->type == SET_MAP || s->type == SET_NAMED || s->type == SET_LATER)
			continue;
		heading_of(&at, s->path);
		key = strrchr(at.p, '.');
		buf_addf(&line, "\n.It %s %s : ", strcmp(setting_key(s), "*") == 0 ? "Ar" : "Cm", key != NULL ? key + 1 : at.p);
		if (key != NULL)
			*key = '\0';
		char *heading = xasprintf("\n.Ss %s\n", key != NULL ? at.p : "top level");

		section = strstr(manual, heading);
		ck_assert_msg(section != NULL, "the manual has no section%s", heading);
		end = strstr(section, "\n.El\n");
		item = strstr(section, line.p);
		ck_assert_msg(item != NULL && item < end, "the manual does not list %s", s->path);
		item = xstrndup(item + 1, strcspn(item + 1, "\n"));
		buf_clear(&line);
		if (s->def != NULL)
			buf_addf(&line, " , No default Cm %s", s->def);
		bounds_of(&line, s);
		buf_adds(&line, s->required ? " , No required" : "");
		ck_assert_msg(strlen(item) > line.len && strcmp(item + strlen(item) - line.len, line.p) == 0,
			      "%s: the manual's line should end in \"%s\": %s", s->path, line.p, item);
		free(item);
		free(heading);
		buf_fini(&at);
		buf_fini(&line);
	}
	free(manual);
}
END_TEST

START_TEST(every_row_is_whole)
{
	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];
		bool star = strcmp(setting_key(s), "*") == 0;

		ck_assert_msg(s->help != NULL && s->help[strlen(s->help) - 1] == '.', "%s has no sentence of help", s->path);
		ck_assert_msg(!s->required || s->def == NULL, "%s is required and has a default", s->path);
		if (s->type == SET_OWN)
			ck_assert_msg(s->wants != NULL && s->schema != NULL && (star || (s->read != NULL && s->print != NULL)), "%s", s->path);
		if (s->type == SET_NAMED)
			ck_assert_msg(s->read != NULL && s->print != NULL, "%s", s->path);
		if (s->type == SET_BOOLEAN || s->type == SET_CHOICE)
			ck_assert_msg(s->word != NULL && s->word(0) != NULL, "%s", s->path);
		if (s->type == SET_INTEGER || s->type == SET_DURATION || s->type == SET_SIZE)
			ck_assert_msg(s->def != NULL && s->max > s->min, "%s", s->path);
		for (size_t k = 0; k < i; k++)
			ck_assert_msg(strcmp(settings[k].path, s->path) != 0, "%s twice", s->path);
	}
}
END_TEST

/* A default that breaks a rule of its own row would show as a problem of the smallest file. */
START_TEST(each_default_is_within_its_bounds)
{
	struct topology *t = parse(small);

	topology_free(&t);
}
END_TEST

static void in_schema(const char *path, const char *type, const char *def, const char *help, void *root)
{
	const json_t *at = root, *description;

	for (const char *p = path; *p != '\0'; p += strcspn(p, "."), p += *p == '.') {
		char *key = xstrndup(p, strcspn(p, "."));

		if (strncmp(p, "soft", 4) == 0) {	/* inside a schema of the row's own */
			free(key);
			return;
		}
		at = strcmp(key, "*") == 0 ? json_object_get(at, "additionalProperties") :
		     json_object_get(json_object_get(at, "properties"), key);
		ck_assert_msg(at != NULL, "the schema has no %s", path);
		free(key);
	}
	description = json_object_get(at, "description");
	ck_assert_pstr_eq(json_string_value(description), help);
}

START_TEST(the_schema_is_json_and_has_every_setting)
{
	struct buf text = { 0 };
	json_error_t e;
	json_t *root;

	topology_print_schema(&text);
	root = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, &e);
	ck_assert_msg(root != NULL, "line %d: %s", e.line, e.text);
	ck_assert_int_eq(json_array_size(json_object_get(root, "required")), 4);
	topology_each_setting(in_schema, root);
	json_decref(root);
	buf_fini(&text);
}
END_TEST

/* ---- what differs ------------------------------------------------------------------------------------ */

/* A file with places for settings at the top, of an endpoint, for further fields, and of the entity. */
#define FILE_OF(top, endpoint, fields, rest) \
	"version: 1\ntopology: acme\n" top \
	"endpoints:\n" \
	"  sales: {driver: postgres, connection: " endpoint "}\n" \
	"  support: {driver: postgres, connection: host=b}\n" \
	"entities:\n" \
	"  contact:\n" \
	"    key: [mail]\n" \
	"    fields: {mail: {type: text}, name: {type: text}" fields "}\n" \
	"    mappings:\n" \
	"      sales: {table: ta}\n" \
	"      support: {table: tb}\n" rest

/* What differs from one text to the other; the number has to be that of the lines. */
static char *diff(const char *was, const char *is)
{
	struct topology *a = parse(was), *b = parse(is);
	struct buf out = { 0 };
	size_t n, lines = 0;

	buf_adds(&out, "");
	n = topology_diff(a, b, &out);
	for (const char *p = out.p; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	ck_assert_uint_eq(n, lines);
	topology_free(&a);
	topology_free(&b);
	return buf_take(&out);
}

static void differs(const char *was, const char *is, const char *wanted)
{
	char *got = diff(was, is);

	ck_assert_str_eq(got, wanted);
	free(got);
}

START_TEST(defaults_written_out_and_another_order_are_no_difference)
{
	differs(FILE_OF("", "host=a", "", ""), FILE_OF("", "host=a", "", ""), "");
	differs(FILE_OF("journal: {keep: 30d}\n", "host=a", "", ""),
		FILE_OF("stats: {socket: /run/crmsyncd/stats.sock}\n", "host=a, interval: 1000ms", "", ""), "");
	differs(FILE_OF("", "host=a", "", ""), FILE_OF("", "host=a", ", ", ""), "");
}
END_TEST

START_TEST(a_setting_has_an_old_and_a_new_value)
{
	differs(FILE_OF("", "host=a", "", ""), FILE_OF("journal: {keep: 10d}\n", "host=c, interval: 5s", "", ""),
		"journal.keep: 30d -> 10d\n"
		"endpoints.sales.connection: host=a -> host=c\n"
		"endpoints.sales.interval: 1s -> 5s\n");
	differs(FILE_OF("", "host=a", "", ""), FILE_OF("", "host=a", "", "    conflict: {priority: [support, sales]}\n"),
		"entities.contact.conflict.priority: [sales, support] -> [support, sales]\n");
}
END_TEST

START_TEST(what_comes_and_goes_is_marked)
{
	static const char was[] = FILE_OF("", "host=a", "", ""), is[] = FILE_OF("stats: {listen: 127.0.0.1:9}\n", "host=a", ", score: {type: integer}", "");
	char *got = diff(was, is);

	ck_assert_ptr_nonnull(strstr(got, "+ stats.listen: 127.0.0.1:9\n"));
	ck_assert_ptr_nonnull(strstr(got, "+ entities.contact.fields.score: {type: integer, "));
	ck_assert_ptr_nonnull(strstr(got, "+ entities.contact.mappings.sales.columns.score: score\n"));
	free(got);
	got = diff(is, was);
	ck_assert_ptr_nonnull(strstr(got, "- stats.listen: 127.0.0.1:9\n"));
	ck_assert_ptr_nonnull(strstr(got, "- entities.contact.fields.score: {"));
	free(got);
}
END_TEST

START_TEST(secrets_differ_without_being_shown)
{
	char *got = diff(FILE_OF("state: {redis: \"redis://u:alpha@h/0\"}\n", "host=a password=beta", "", ""),
			 FILE_OF("state: {redis: \"redis://u:gamma@h/0\"}\n", "host=a password=delta", "", ""));

	ck_assert_str_eq(got, "state.redis: another password\nendpoints.sales.connection: another password\n");
	free(got);
	differs(FILE_OF("", "host=a password=beta", "", ""), FILE_OF("", "host=c password=delta", "", ""),
		"endpoints.sales.connection: host=a password=*** -> host=c password=***\n");
}
END_TEST

START_TEST(a_value_stays_on_its_line)
{
	char *got = diff(FILE_OF("", "host=a", "", ""), FILE_OF("", "\"host=a\\noptions=b\"", "", ""));

	ck_assert_str_eq(got, "endpoints.sales.connection: host=a -> host=a\\noptions=b\n");
	free(got);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("topology");
	TCase *read = tcase_create("read"), *print = tcase_create("print"), *files = tcase_create("files"), *table = tcase_create("table");
	TCase *differences = tcase_create("differences");
	SRunner *runner;
	int failed;

	tcase_add_test(read, what_is_not_said_has_its_default);
	tcase_add_test(read, keys_and_columns_are_by_field_index);
	tcase_add_test(read, ranks_are_the_list_then_the_mapped_then_the_rest);
	tcase_add_test(read, parents_come_before_children_else_the_order_of_the_file);
	tcase_add_test(read, a_rule_of_one_member_is_the_rule_of_its_group);
	tcase_add_test(read, text_is_text_whatever_it_looks_like);
	tcase_add_test(read, bounds_of_checks_are_canonical);
	tcase_add_test(read, both_spellings_of_soft_delete_are_one);
	tcase_add_loop_test(read, redis_addresses_are_taken_apart, 0, (int)countof(redis_rows));
	tcase_add_test(print, what_is_printed_loads_and_prints_the_same);
	tcase_add_test(print, what_is_printed_holds_no_secret);
	tcase_add_loop_test(print, connections_are_shown_without_passwords, 0, (int)countof(redactions));
	tcase_add_checked_fixture(files, make_directory, remove_directory);
	tcase_add_test(files, a_secret_is_one_line_of_a_private_file);
	tcase_add_test(files, a_secret_that_others_may_read_is_refused);
	tcase_add_test(files, a_credential_is_found_by_its_name);
	tcase_add_test(files, a_secret_that_cannot_be_one_is_refused);
	tcase_add_test(files, secrets_lie_beside_the_topology);
	tcase_add_test(files, what_cannot_be_read_is_said_with_its_place);
	tcase_add_test(files, a_file_with_a_password_in_it_is_not_for_others);
	tcase_add_test(table, the_sample_loads_and_prints_itself);
	tcase_add_test(table, the_sample_names_every_setting);
	tcase_add_test(table, the_manual_lists_every_setting_as_it_is);
	tcase_add_test(table, every_row_is_whole);
	tcase_add_test(table, each_default_is_within_its_bounds);
	tcase_add_test(table, the_schema_is_json_and_has_every_setting);
	tcase_add_test(differences, defaults_written_out_and_another_order_are_no_difference);
	tcase_add_test(differences, a_setting_has_an_old_and_a_new_value);
	tcase_add_test(differences, what_comes_and_goes_is_marked);
	tcase_add_test(differences, secrets_differ_without_being_shown);
	tcase_add_test(differences, a_value_stays_on_its_line);
	suite_add_tcase(suite, read);
	suite_add_tcase(suite, print);
	suite_add_tcase(suite, files);
	suite_add_tcase(suite, table);
	suite_add_tcase(suite, differences);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
