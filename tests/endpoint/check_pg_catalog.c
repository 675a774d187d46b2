/* Does every mapped table fit? Each thing that can be wrong has its words, and one table does not stop another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg_rig.h"
#include "pg_server.h"

static struct pg_server *server;

static const char schema[] =
	"CREATE ROLE crm LOGIN;\n"
	"CREATE SCHEMA crm AUTHORIZATION crm; CREATE SCHEMA \"we\"\"ird.Schema\" AUTHORIZATION crm; CREATE SCHEMA locked;\n"
	"CREATE TABLE locked.inside (id int PRIMARY KEY, email text);\n"
	"GRANT CREATE ON DATABASE postgres TO crm; GRANT CREATE ON SCHEMA public TO crm; SET ROLE crm;\n"
	"CREATE DOMAIN crm.mail AS varchar(80) CHECK (VALUE LIKE '%@%'); CREATE TYPE crm.mood AS ENUM ('sad', 'glad');\n"
	"CREATE TABLE crm.accounts (id serial PRIMARY KEY, number text NOT NULL UNIQUE, name text);\n"
	"CREATE TABLE crm.contacts (id bigserial PRIMARY KEY, email crm.mail NOT NULL, full_name varchar(60), mood crm.mood,\n"
	"  code char(5), score numeric(10,2), active boolean DEFAULT true, account_id int REFERENCES crm.accounts (id),\n"
	"  born date, seen timestamp(0), raw bytea, extra jsonb, plain json, uid uuid, f8 float8, i2 smallint, cash money,\n"
	"  tags text[], deleted_at timestamptz, updated_at timestamptz(3) DEFAULT clock_timestamp(),\n"
	"  upper_name text GENERATED ALWAYS AS (upper(full_name)) STORED, wrong_ref uuid);\n"
	"CREATE UNIQUE INDEX ON crm.contacts (email);\n"
	"CREATE TABLE crm.no_key (email text, id int);\n"
	"CREATE TABLE crm.two_keys (a int, b int, email text, PRIMARY KEY (a, b));\n"
	"CREATE TABLE crm.nullable (id int UNIQUE, email text, not_unique int NOT NULL);\n"
	"CREATE TABLE crm.partial (id int NOT NULL, email text); CREATE UNIQUE INDEX ON crm.partial (id) WHERE id > 0;\n"
	"CREATE VIEW crm.seen_from AS SELECT * FROM crm.accounts;\n"
	"CREATE MATERIALIZED VIEW crm.kept AS SELECT * FROM crm.accounts;\n"
	"CREATE TABLE crm.parent (id int PRIMARY KEY, email text); CREATE TABLE crm.child () INHERITS (crm.parent);\n"
	"CREATE TABLE crm.parted (id int PRIMARY KEY, email text) PARTITION BY RANGE (id);\n"
	"CREATE TABLE crm.parted_1 PARTITION OF crm.parted FOR VALUES FROM (0) TO (1000);\n"
	"CREATE TABLE crm.zones (id int NOT NULL, email text, zone text) PARTITION BY LIST (zone);\n"
	"CREATE TABLE crm.ranges (id int NOT NULL, \"or id\" int NOT NULL, email text) PARTITION BY RANGE (\"or id\");\n"
	"CREATE TABLE crm.deep (id int NOT NULL, email text, zone text) PARTITION BY RANGE (id);\n"
	"CREATE TABLE crm.deep_1 PARTITION OF crm.deep FOR VALUES FROM (0) TO (1000) PARTITION BY LIST (zone);\n"
	"CREATE TABLE crm.ruled (id int PRIMARY KEY, email text); CREATE RULE quiet AS ON DELETE TO crm.ruled DO INSTEAD NOTHING;\n"
	"CREATE TABLE public.people (id int PRIMARY KEY, email text);\n"
	"CREATE TABLE crm.only_here (id int PRIMARY KEY, email text); CREATE TABLE crm.\"MixedCase\" (id int PRIMARY KEY, email text);\n"
	"CREATE TABLE \"we\"\"ird.Schema\".\"we\"\"ird.Table\" (\"I d\" int PRIMARY KEY, \"E.mail\"\"x\" text, \"select\" timestamptz);\n"
	"RESET ROLE;\n"
	"CREATE TABLE crm.foreigners (id int PRIMARY KEY, email text, note text);\n"
	"CREATE TABLE crm.policed (id int PRIMARY KEY, email text); ALTER TABLE crm.policed ENABLE ROW LEVEL SECURITY;\n"
	"CREATE TABLE crm.serials (id serial PRIMARY KEY, email text); GRANT ALL ON crm.serials TO crm;\n"
	"GRANT ALL ON crm.policed TO crm; GRANT SELECT (id, email) ON crm.foreigners TO crm;\n"
	"INSERT INTO crm.accounts (number, name) VALUES ('A-1', 'Acme');\n";

static void start_server(void)
{
	server = pg_server_new();
	pg_server_sql(server, NULL, schema);
}

static void stop_server(void)
{
	pg_server_free(&server);
}

static struct rig *rig_here(enum capture capture)
{
	struct rig *rig = rig_new(pg_server_conninfo(server, "crm", NULL));

	rig->conf->capture = capture;
	rig->conf->install_auto = false;
	return rig;
}

static struct entity_conf *contact(struct rig *rig, const char *table)
{
	struct entity_conf *ec = rig_entity(rig, "contact", table);

	rig_field(ec, "email", FIELD_TEXT, NULL);
	rig_mapping(ec)->role = ROLE_TARGET;	/* needs neither a modified column nor the change log */
	return ec;
}

/* ---- what does not fit ---------------------------------------------------------------------------- */

struct misfit {
	const char *table;
	const char *id, *modified;
	enum field_type type;		/* of a second field, when column is given */
	const char *column;
	enum role role;
	enum capture capture;
	const char *words;
};
static const struct misfit misfits[] = {
	{ "crm.contakts", .role = ROLE_TARGET, .words = "there is no table crm.contakts" },
	{ "only_here", .role = ROLE_TARGET, .words = "there is no table only_here in schema public; there is crm.only_here" },
	{ "crm.mixedcase", .role = ROLE_TARGET, .words = "there is crm.\"MixedCase\"" },
	{ "a.b.c", .role = ROLE_TARGET, .words = "'a.b.c' is not a table's name" },
	{ "\"open", .role = ROLE_TARGET, .words = "is not a table's name" },
	{ "crm.seen_from", .role = ROLE_TARGET, .words = "crm.seen_from is a view" },
	{ "crm.kept", .role = ROLE_TARGET, .words = "is a materialized view" },
	{ "crm.parent", .role = ROLE_TARGET, .words = "has child tables (INHERITS), which are not built yet" },
	{ "crm.policed", .role = ROLE_TARGET, .words = "row-level security on crm.policed hides rows from role crm" },
	{ "locked.inside", .role = ROLE_TARGET, .words = "GRANT USAGE ON SCHEMA \"locked\" TO \"crm\"" },
	{ "crm.no_key", .role = ROLE_TARGET, .words = "the table has no primary key: set id:" },
	{ "crm.no_key", .id = "id", .role = ROLE_TARGET, .words = "ALTER TABLE \"crm\".\"no_key\" ALTER COLUMN \"id\" SET NOT NULL" },
	{ "crm.two_keys", .role = ROLE_TARGET, .words = "the primary key has 2 columns, which is not built yet" },
	{ "crm.nullable", .id = "id", .role = ROLE_TARGET, .words = "id: column \"id\" may be NULL" },
	{ "crm.nullable", .id = "not_unique", .role = ROLE_TARGET,
	  .words = "has no unique index: CREATE UNIQUE INDEX ON \"crm\".\"nullable\" (\"not_unique\")" },
	{ "crm.partial", .id = "id", .role = ROLE_TARGET, .words = "has no unique index" },
	{ "crm.zones", .id = "id", .role = ROLE_TARGET,
	  .words = "cannot get one while \"crm\".\"zones\" is partitioned by LIST (zone): partition it by \"id\" alone" },
	{ "crm.deep", .id = "id", .role = ROLE_TARGET, .words = "is partitioned by LIST (zone), RANGE (id): partition it by \"id\" alone" },
	{ "crm.ranges", .id = "or id", .role = ROLE_TARGET, .words = "has no unique index: CREATE UNIQUE INDEX ON \"crm\".\"ranges\" (\"or id\")" },
	{ "crm.contacts", .id = "idd", .role = ROLE_TARGET, .words = "id: there is no column \"idd\" (did you mean \"id\"?)" },
	{ "crm.contacts", .column = "ful_name", .role = ROLE_TARGET,
	  .words = "field extra: there is no column \"ful_name\" (did you mean \"full_name\"?)" },
	{ "crm.contacts", .modified = "score", .role = ROLE_TARGET, .words = "modified: column \"score\" is numeric" },
	{ "crm.contacts", .role = ROLE_BOTH, .capture = CAPTURE_POLL, .words = "capture: poll needs modified" },
	{ "crm.contacts", .type = FIELD_TEXT, .column = "score", .role = ROLE_TARGET,
	  .words = "field extra is text, but column \"score\" is numeric; a text, varchar" },
	{ "crm.contacts", .type = FIELD_INTEGER, .column = "full_name", .role = ROLE_TARGET, .words = "an integer or numeric column is needed" },
	{ "crm.contacts", .type = FIELD_DECIMAL, .column = "cash", .role = ROLE_TARGET, .words = "is money; a numeric, integer or float" },
	{ "crm.contacts", .type = FIELD_BOOLEAN, .column = "i2", .role = ROLE_TARGET, .words = "a boolean column is needed" },
	{ "crm.contacts", .type = FIELD_TIMESTAMP, .column = "born", .role = ROLE_TARGET, .words = "a timestamptz or timestamp column" },
	{ "crm.contacts", .type = FIELD_DATE, .column = "seen", .role = ROLE_TARGET, .words = "a date column is needed" },
	{ "crm.contacts", .type = FIELD_UUID, .column = "raw", .role = ROLE_TARGET, .words = "a uuid or text column is needed" },
	{ "crm.contacts", .type = FIELD_JSON, .column = "score", .role = ROLE_TARGET, .words = "a json, jsonb or text column" },
	{ "crm.contacts", .type = FIELD_BYTES, .column = "full_name", .role = ROLE_TARGET, .words = "a bytea column is needed" },
	{ "crm.contacts", .type = FIELD_TEXT, .column = "tags", .role = ROLE_TARGET, .words = "column \"tags\" is text[]" },
	{ "crm.contacts", .type = FIELD_TEXT, .column = "upper_name", .role = ROLE_BOTH, .capture = CAPTURE_LISTEN,
	  .words = "is generated by the database and cannot be written" },
	{ "crm.foreigners", .role = ROLE_SOURCE, .capture = CAPTURE_LISTEN, .type = FIELD_TEXT, .column = "note",
	  .words = "missing rights: GRANT SELECT (\"note\", xmin) ON \"crm\".\"foreigners\" TO \"crm\"" },
	{ "crm.foreigners", .role = ROLE_TARGET,
	  .words = "GRANT SELECT (xmin), INSERT, UPDATE, DELETE ON \"crm\".\"foreigners\" TO \"crm\"" },
	{ "crm.serials", .role = ROLE_TARGET, .words = "GRANT USAGE ON SEQUENCE crm.serials_id_seq TO \"crm\"" },
};

START_TEST(what_does_not_fit_is_said_with_what_to_do)
{
	const struct misfit *m = &misfits[_i];
	struct rig *rig = rig_here(m->capture);
	struct entity_conf *ec = contact(rig, m->table), *fine;
	struct link *link;

	rig_mapping(ec)->role = m->role;
	rig_mapping(ec)->id = m->id != NULL ? xstrdup(m->id) : NULL;
	rig_mapping(ec)->modified = m->modified != NULL ? xstrdup(m->modified) : NULL;
	if (m->column != NULL)
		rig_field(ec, "extra", m->type, m->column);
	fine = rig_entity(rig, "person", "people");
	rig_field(fine, "email", FIELD_TEXT, NULL);
	rig_mapping(fine)->role = ROLE_TARGET;
	rig_start(rig);
	rig_wait_up(rig);
	link = endpoint_link(rig->ep, 0);
	ck_assert(!link->usable);
	ck_assert_int_eq(link->why.kind, ERR_ENDPOINT);
	ck_assert_msg(strstr(link->why.text, m->words) != NULL, "%s", link->why.text);
	ck_assert_msg(endpoint_link(rig->ep, 1)->usable, "%s", endpoint_link(rig->ep, 1)->why.text);
	rig_free(&rig);
}
END_TEST

START_TEST(everything_wrong_with_a_table_is_said_at_once)
{
	struct rig *rig = rig_here(CAPTURE_LISTEN);
	struct entity_conf *ec = contact(rig, "crm.contacts");
	struct link *link;

	rig_field(ec, "one", FIELD_DATE, "seen");
	rig_field(ec, "two", FIELD_TEXT, "nowhere");
	rig_start(rig);
	rig_wait_up(rig);
	link = endpoint_link(rig->ep, 0);
	ck_assert_ptr_nonnull(strstr(link->why.text, "field one"));
	ck_assert_ptr_nonnull(strstr(link->why.text, "field two"));
	rig_free(&rig);
}
END_TEST

START_TEST(a_where_value_that_is_none_is_found_by_the_server)
{
	struct rig *rig = rig_here(CAPTURE_LISTEN);

	rig_where(contact(rig, "crm.contacts"), "score", "a lot");
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert_ptr_nonnull(strstr(endpoint_link(rig->ep, 0)->why.text, "reading from it fails (22P02)"));
	rig_free(&rig);
}
END_TEST

static void account_and_contact(struct rig *rig, const char *reference_column)
{
	struct entity_conf *account = rig_entity(rig, "account", "crm.accounts"), *person;
	struct field_def *f;

	rig_field(account, "number", FIELD_TEXT, NULL);
	rig_mapping(account)->role = ROLE_TARGET;
	person = contact(rig, "crm.contacts");
	f = rig_field(person, "account", FIELD_REFERENCE, reference_column);
	f->refers = &account->def;
}

START_TEST(a_reference_must_be_like_the_parents_id)
{
	struct rig *rig = rig_here(CAPTURE_LISTEN);

	account_and_contact(rig, "wrong_ref");
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert_ptr_nonnull(strstr(endpoint_link(rig->ep, 1)->why.text,
				     "field account: column \"wrong_ref\" is uuid, but the id of account is integer"));
	rig_free(&rig);
}
END_TEST

START_TEST(a_reference_needs_its_parent_here)
{
	struct rig *rig = rig_here(CAPTURE_LISTEN);
	struct mapping *parent;

	account_and_contact(rig, "account_id");
	parent = rig->topology.entities[0].mapping[0];
	rig->topology.entities[0].mapping[0] = NULL;
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert_ptr_nonnull(strstr(endpoint_link(rig->ep, 1)->why.text,
				     "refers to entity account, whose table on this endpoint is not mapped"));
	rig->topology.entities[0].mapping[0] = parent;
	rig_free(&rig);
}
END_TEST

/* ---- what fits ------------------------------------------------------------------------------------ */

/* Reads all rows through select_list and from_clause. */
static struct rowset *read_all(struct rig *rig, const struct pg_table *t);

struct reader {
	const struct pg_table *table;
	struct rowset *rows;
	bool done;
};

static void got_rows(void *arg, PGresult *res, const struct err *e)
{
	struct reader *r = arg;

	if (e != NULL)
		ck_abort_msg("%s %s", e->code, e->text);
	r->rows = pg_rowset_take(r->table, res);
	r->done = true;
}

static struct rowset *read_all(struct rig *rig, const struct pg_table *t)
{
	char *sql = xasprintf("SELECT %s %s ORDER BY 1", t->select_list, t->from_clause);
	struct reader r = { .table = t };

	pg_call(pg_of(rig->ep), sql, NULL, got_rows, &r);
	rig_wait(rig, r.done);
	free(sql);
	return r.rows;
}

static void assert_value(struct value v, const char *wanted)
{
	if (wanted == NULL)
		ck_assert_int_lt(v.len, 0);
	else
		ck_assert_msg(v.len == (int)strlen(wanted) && memcmp(v.data, wanted, strlen(wanted)) == 0, "'%.*s' is not '%s'",
			      v.len, v.data, wanted);
}

START_TEST(rows_come_with_id_version_stamp_and_parents_key)
{
	struct rig *rig = rig_here(CAPTURE_LISTEN);
	struct pg_link *pl;
	struct rowset *rs;

	pg_server_sql(server, NULL, "TRUNCATE crm.contacts; INSERT INTO crm.contacts (id, email, account_id, updated_at) VALUES "
		      "(7, 'a@x', 1, '2026-03-01 12:00:00.123+00'), (8, 'b@x', NULL, 'infinity')");
	account_and_contact(rig, "account_id");
	rig_mapping(&rig->topology.entities[1])->modified = xstrdup("updated_at");
	rig_start(rig);
	rig_wait_up(rig);
	pl = rig_link(rig, 1);
	ck_assert_msg(pl->link.usable, "%s", pl->link.why.text);
	ck_assert_int_eq(pl->link.quantum_us, 1000);
	ck_assert(pl->table->key_unique);
	ck_assert_uint_eq(pl->table->n_columns, 3);
	ck_assert_str_eq(pl->table->fields[0].type, "crm.mail");
	ck_assert_uint_eq(pl->table->fields[0].oid, 1043);
	ck_assert_int_eq(pl->table->fields[0].typmod, 84);
	rs = read_all(rig, pl->table);
	ck_assert_uint_eq(rs->n, 2);
	assert_value(rs->rows[0].id, "7");
	ck_assert(rs->rows[0].version.len > 0);
	ck_assert_int_eq(rs->rows[0].stamp, INT64_C(1772366400123000));
	ck_assert(!rs->rows[0].gone);
	assert_value(rs->rows[0].columns[0], "a@x");
	assert_value(rs->rows[0].columns[1], "1");
	assert_value(rs->rows[0].columns[2], "A-1");
	ck_assert_int_eq(rs->rows[1].stamp, STAMP_UNKNOWN);
	assert_value(rs->rows[1].columns[1], NULL);
	assert_value(rs->rows[1].columns[2], NULL);
	ck_assert_uint_eq(rs->bytes, 1 + 3 + 1 + 3 + 1 + 3);
	rowset_free(&rs);
	rig_free(&rig);
}
END_TEST

START_TEST(soft_deleted_rows_are_gone_and_those_outside_of_where_are_outside)
{
	struct rig *rig = rig_here(CAPTURE_LISTEN);
	struct entity_conf *ec = contact(rig, "crm.contacts");
	struct mapping *m = rig_mapping(ec);
	struct rowset *rs;

	pg_server_sql(server, NULL, "TRUNCATE crm.contacts; INSERT INTO crm.contacts (id, email, active, mood, deleted_at) VALUES "
		      "(1, 'a@x', true, 'glad', NULL), (2, 'b@x', false, 'glad', NULL), (3, 'c@x', NULL, 'glad', NULL), "
		      "(4, 'd@x', true, 'glad', now()), (5, 'e@x', true, NULL, NULL)");
	m->delete_mode = DELETE_SOFT;
	m->delete_column = xstrdup("deleted_at");
	m->delete_set = xstrdup("now");
	rig_where(ec, "active", "true");
	rig_where(ec, "mood", "glad");
	rig_where(ec, "born", NULL);
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert_str_eq(rig_link(rig, 0)->table->deleted.name, "deleted_at");
	ck_assert(!rig_link(rig, 0)->table->soft_delete_is_flag);
	rs = read_all(rig, rig_link(rig, 0)->table);
	ck_assert_uint_eq(rs->n, 5);
	for (size_t i = 0; i < rs->n; i++)
		ck_assert_msg(rs->rows[i].gone == (i == 3) && rs->rows[i].outside == (i == 1 || i == 2 || i == 4), "row %zu", i + 1);
	rowset_free(&rs);
	rig_free(&rig);
}
END_TEST

START_TEST(every_type_that_fits_is_taken)
{
	static const struct {
		enum field_type type;
		const char *column;
	} cases[] = {
		{ FIELD_TEXT, "full_name" }, { FIELD_TEXT, "mood" }, { FIELD_TEXT, "code" }, { FIELD_INTEGER, "i2" },
		{ FIELD_INTEGER, "id" }, { FIELD_DECIMAL, "score" }, { FIELD_DECIMAL, "f8" }, { FIELD_BOOLEAN, "active" },
		{ FIELD_TIMESTAMP, "seen" }, { FIELD_TIMESTAMP, "updated_at" }, { FIELD_DATE, "born" }, { FIELD_UUID, "uid" },
		{ FIELD_UUID, "code" }, { FIELD_JSON, "extra" }, { FIELD_JSON, "plain" }, { FIELD_BYTES, "raw" },
	};
	struct rig *rig = rig_here(CAPTURE_LISTEN);
	struct entity_conf *ec = contact(rig, "crm.contacts");

	for (size_t i = 0; i < countof(cases); i++) {
		char name[8];

		snprintf(name, sizeof name, "f%zu", i);
		rig_field(ec, name, cases[i].type, cases[i].column);
	}
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert_msg(rig_link(rig, 0)->link.usable, "%s", rig_link(rig, 0)->link.why.text);
	ck_assert_str_eq(rig_link(rig, 0)->table->fields[3].type, "bpchar");	/* "character" would mean character(1) in a cast */
	rig_free(&rig);
}
END_TEST

START_TEST(odd_names_pass_through_everything)
{
	struct rig *rig = rig_here(CAPTURE_LISTEN);
	struct entity_conf *ec = rig_entity(rig, "contact", "\"we\"\"ird.Schema\".\"we\"\"ird.Table\"");
	struct rowset *rs;

	rig_field(ec, "email", FIELD_TEXT, "E.mail\"x");
	rig_mapping(ec)->modified = xstrdup("select");
	rig->conf->install_auto = true;
	pg_server_sql(server, NULL, "SELECT 1");
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert_msg(rig_link(rig, 0)->link.usable, "%s", rig_link(rig, 0)->link.why.text);
	ck_assert_str_eq(rig_link(rig, 0)->table->quoted, "\"we\"\"ird.Schema\".\"we\"\"ird.Table\"");
	pg_server_sql(server, NULL, "INSERT INTO \"we\"\"ird.Schema\".\"we\"\"ird.Table\" VALUES (1, 'x', NULL)");
	rs = read_all(rig, rig_link(rig, 0)->table);
	ck_assert_uint_eq(rs->n, 1);
	assert_value(rs->rows[0].columns[0], "x");
	rowset_free(&rs);
	rig_free(&rig);
}
END_TEST

START_TEST(partitions_and_rules_are_seen)
{
	struct rig *rig = rig_here(CAPTURE_LISTEN);
	struct entity_conf *ruled;

	contact(rig, "crm.parted");
	ruled = rig_entity(rig, "other", "crm.ruled");
	rig_field(ruled, "email", FIELD_TEXT, NULL);
	rig_mapping(ruled)->role = ROLE_TARGET;
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert_msg(rig_link(rig, 0)->link.usable, "%s", rig_link(rig, 0)->link.why.text);
	ck_assert(rig_link(rig, 0)->table->partitioned && !rig_link(rig, 0)->table->has_rules);
	ck_assert(rig_link(rig, 1)->table->has_rules && !rig_link(rig, 1)->table->partitioned);
	ck_assert(!rig_link(rig, 1)->table->key_unique);
	rig_free(&rig);
}
END_TEST

START_TEST(a_table_that_is_mended_is_taken_up)
{
	struct rig *rig = rig_here(CAPTURE_LISTEN);
	char mark[20];

	pg_server_sql(server, NULL, "CREATE TABLE crm.later (id int PRIMARY KEY); ALTER TABLE crm.later OWNER TO crm");
	contact(rig, "crm.later");
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert(!rig_link(rig, 0)->link.usable);
	pg_server_sql(server, NULL, "ALTER TABLE crm.later ADD email varchar(20)");
	pg_catalog_stale(pg_of(rig->ep));
	rig_wait(rig, rig_link(rig, 0)->link.usable);
	memcpy(mark, rig_link(rig, 0)->link.schema_mark, sizeof mark);
	pg_server_sql(server, NULL, "ALTER TABLE crm.later ALTER email TYPE varchar(40)");
	pg_catalog_stale(pg_of(rig->ep));
	rig_wait(rig, strcmp(mark, rig_link(rig, 0)->link.schema_mark) != 0);
	ck_assert(rig_link(rig, 0)->link.usable);
	pg_server_sql(server, NULL, "DROP TABLE crm.later");
	pg_catalog_stale(pg_of(rig->ep));
	rig_wait(rig, !rig_link(rig, 0)->link.usable);
	ck_assert_ptr_null(rig_link(rig, 0)->table);
	rig_free(&rig);
}
END_TEST

START_TEST(promises_are_in_plain_words)
{
	struct rig *rig = rig_here(CAPTURE_POLL);
	struct entity_conf *ec = contact(rig, "crm.contacts");
	struct link *link;

	rig_mapping(ec)->role = ROLE_BOTH;
	rig_mapping(ec)->modified = xstrdup("updated_at");
	rig_start(rig);
	rig_wait_up(rig);
	link = endpoint_link(rig->ep, 0);
	ck_assert_msg(link->usable, "%s", link->why.text);
	ck_assert(link->promises.guarded && !link->promises.prompt_deletes && !link->promises.exact && !link->promises.pushes);
	ck_assert_ptr_nonnull(strstr(link->promises.words, "pg_read_all_stats"));
	rig_free(&rig);
	pg_server_sql(server, NULL, "GRANT pg_read_all_stats TO crm");
	rig = rig_here(CAPTURE_POLL);
	ec = contact(rig, "crm.contacts");
	rig_mapping(ec)->role = ROLE_BOTH;
	rig_mapping(ec)->modified = xstrdup("updated_at");
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert(endpoint_link(rig->ep, 0)->promises.exact);
	rig_free(&rig);
	pg_server_sql(server, NULL, "REVOKE pg_read_all_stats FROM crm");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pg_catalog");
	TCase *tc = tcase_create("catalog");
	SRunner *sr;
	int failed;

	if (!pg_server_available())
		return 77;
	log_setup(LOG_LEVEL_ERROR, false);
	sr = srunner_create(s);
	suite_add_tcase(s, tc);
	tcase_add_unchecked_fixture(tc, start_server, stop_server);
	tcase_set_timeout(tc, 40);
	tcase_add_loop_test(tc, what_does_not_fit_is_said_with_what_to_do, 0, (int)countof(misfits));
	tcase_add_test(tc, everything_wrong_with_a_table_is_said_at_once);
	tcase_add_test(tc, a_where_value_that_is_none_is_found_by_the_server);
	tcase_add_test(tc, a_reference_must_be_like_the_parents_id);
	tcase_add_test(tc, a_reference_needs_its_parent_here);
	tcase_add_test(tc, rows_come_with_id_version_stamp_and_parents_key);
	tcase_add_test(tc, soft_deleted_rows_are_gone_and_those_outside_of_where_are_outside);
	tcase_add_test(tc, every_type_that_fits_is_taken);
	tcase_add_test(tc, odd_names_pass_through_everything);
	tcase_add_test(tc, partitions_and_rules_are_seen);
	tcase_add_test(tc, a_table_that_is_mended_is_taken_up);
	tcase_add_test(tc, promises_are_in_plain_words);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
