/* The change log: put in, taken out, printed; and what its triggers write, for whom, without ever failing the application. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg_rig.h"
#include "pg_server.h"

static struct pg_server *server;
static char db[40];		/* one a test */

static void start_server(void)
{
	server = pg_server_new();
	pg_server_sql(server, NULL, "CREATE ROLE crm LOGIN; CREATE ROLE app LOGIN; CREATE ROLE owner LOGIN;");
}

static void stop_server(void)
{
	pg_server_free(&server);
}

static const char tables[] =
	"CREATE TABLE contacts (id serial PRIMARY KEY, email text, note text, account_id int);\n"
	"CREATE TABLE accounts (id serial PRIMARY KEY, number text UNIQUE, touched int DEFAULT 0);\n"
	"ALTER TABLE contacts ADD FOREIGN KEY (account_id) REFERENCES accounts (id) ON UPDATE CASCADE ON DELETE CASCADE;\n"
	"GRANT ALL ON ALL TABLES IN SCHEMA public TO app; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app;\n";

static void sql(const char *text)
{
	pg_server_sql(server, db, text);
}

static void sql_as(const char *user, const char *text)
{
	char *why;

	if (!pg_server_try(server, user, db, text, &why))
		ck_abort_msg("%s: %s: %s", user, text, why);
}

static void make_db(const char *owner)
{
	char *text;

	snprintf(db, sizeof db, "t%ld", (long)getpid());
	text = xasprintf("CREATE DATABASE %s OWNER %s", db, owner);
	pg_server_sql(server, NULL, text);
	free(text);
	text = xasprintf("GRANT ALL ON SCHEMA public TO crm, owner; SET ROLE %s; %s", owner, tables);
	sql(text);
	free(text);
}

static struct rig *rig_here(void)
{
	struct rig *rig = rig_new(pg_server_conninfo(server, "crm", db));
	struct entity_conf *account = rig_entity(rig, "account", "accounts"), *contact = rig_entity(rig, "contact", "contacts");

	rig_field(account, "number", FIELD_TEXT, NULL);
	rig_field(contact, "email", FIELD_TEXT, NULL);
	return rig;
}

/* Starts and waits until both links may be used. */
static struct rig *rig_installed(void)
{
	struct rig *rig;

	make_db("crm");
	rig = rig_here();
	rig_start(rig);
	rig_wait(rig, rig_link(rig, 0)->link.usable && rig_link(rig, 1)->link.usable);
	return rig;
}

/* The log as text, "tab op pk old_pk" an entry, and empties it. */
static char *take_log(void)
{
	return pg_server_value(server, db, "WITH d AS (DELETE FROM crmsync.changelog RETURNING *) SELECT coalesce(string_agg("
			       "concat_ws(' ', tab, op, coalesce(pk #>> '{}', '-'), old_pk #>> '{}'), ', ' ORDER BY id), '') FROM d "
			       "WHERE consumer = 'acme'");
}

static void assert_log(const char *wanted)
{
	char *log = take_log();

	ck_assert_str_eq(log, wanted);
	free(log);
}

static const char objects[] =
	"SELECT string_agg(line, E'\\n' ORDER BY line) FROM ("
	"SELECT pg_get_triggerdef(t.oid) || t.tgenabled::text AS line FROM pg_trigger t WHERE tgname LIKE 'crmsync%' "
	"UNION ALL SELECT p.proname || p.prosrc || array_to_string(p.proconfig, ',') || p.prosecdef || obj_description(p.oid) "
	"FROM pg_proc p WHERE pronamespace = to_regnamespace('crmsync') "
	"UNION ALL SELECT c.relname || coalesce(array_to_string(c.reloptions, ','), '') FROM pg_class c "
	"WHERE relnamespace = to_regnamespace('crmsync')) o";

static void order(struct rig *rig, void (*op)(struct endpoint *, done_fn *, void *))
{
	struct answer a = { .rig = rig };

	op(rig->ep, answer_done, &a);
	ck_assert_uint_eq(a.calls, 0);
	rig_wait(rig, a.calls == 1);
	if (a.e.kind != 0)
		ck_abort_msg("%s %s", a.e.code, a.e.text);
	answer_fini(&a);
}

/* ---- putting in, taking out ------------------------------------------------------------------------ */

START_TEST(auto_installs_by_itself_and_may_be_repeated)
{
	struct rig *rig = rig_installed();
	char *before = pg_server_value(server, db, objects), *after;

	ck_assert_ptr_nonnull(strstr(before, "capture_acme_contact"));
	ck_assert_ptr_nonnull(strstr(before, "crmsync_acme_account_u"));
	order(rig, rig->ep->ops->install);
	after = pg_server_value(server, db, objects);
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
	rig_free(&rig);
}
END_TEST

START_TEST(manual_waits_for_the_operator)
{
	struct rig *rig;

	make_db("crm");
	rig = rig_here();
	rig->conf->install_auto = false;
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert(!rig_link(rig, 0)->link.usable);
	ck_assert_ptr_nonnull(strstr(rig_link(rig, 0)->link.why.text, "crmsyncctl install sales"));
	order(rig, rig->ep->ops->install);
	rig_wait(rig, rig_link(rig, 0)->link.usable && rig_link(rig, 1)->link.usable);
	rig_free(&rig);
}
END_TEST

START_TEST(the_printed_text_makes_the_same_objects)
{
	struct rig *rig = rig_installed();
	struct answer a = { .rig = rig };
	char *before = pg_server_value(server, db, objects), *after;

	rig->ep->ops->install_print(rig->ep, answer_text, &a);
	rig_wait(rig, a.calls == 1);
	ck_assert_int_eq(a.e.kind, 0);
	ck_assert_ptr_nonnull(strstr(a.text, "notify: false"));		/* this server allows prepared transactions */
	rig_free(&rig);
	sql("DROP SCHEMA crmsync CASCADE");
	ck_assert(pg_server_psql(server, NULL, db, a.text));
	ck_assert(pg_server_psql(server, NULL, db, a.text));
	after = pg_server_value(server, db, objects);
	ck_assert_str_eq(before, after);
	free(before);
	free(after);
	answer_fini(&a);
}
END_TEST

START_TEST(nothing_is_printed_before_the_tables_were_looked_at)
{
	struct answer a = { .rig = NULL };
	struct rig *rig;
	unsigned asked = 0;

	make_db("crm");
	rig = rig_here();
	rig->conf->install_auto = false;
	rig_start(rig);
	do {
		answer_fini(&a);
		a = (struct answer){ .rig = rig };
		rig->ep->ops->install_print(rig->ep, answer_text, &a);
		rig_wait(rig, a.calls == 1);
		ck_assert_uint_lt(++asked, 100000);
	} while (a.e.kind == ERR_TRANSIENT);
	ck_assert_ptr_nonnull(strstr(a.text, "crmsync_acme_contact"));
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

START_TEST(a_role_that_owns_nothing_lives_with_the_printed_text)
{
	struct answer a = { 0 };
	struct rig *rig;
	char *grants;

	make_db("owner");
	grants = xasprintf("GRANT CREATE ON DATABASE %s TO crm; GRANT owner TO crm", db);
	sql("GRANT SELECT, INSERT, UPDATE, DELETE ON contacts, accounts TO crm; "
	    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO crm");
	rig = rig_here();
	a.rig = rig;
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert(!rig_link(rig, 0)->link.usable);
	ck_assert_msg(strstr(rig_link(rig, 0)->link.why.text, "installing it fails") != NULL, "%s", rig_link(rig, 0)->link.why.text);
	ck_assert_str_eq(rig_link(rig, 0)->link.why.code, "42501");
	ck_assert_msg(strstr(rig_link(rig, 0)->link.why.text, grants) != NULL, "%s", rig_link(rig, 0)->link.why.text);
	rig->ep->ops->install_print(rig->ep, answer_text, &a);
	rig_wait(rig, a.calls == 1);
	ck_assert(pg_server_psql(server, "owner", db, a.text));
	pg_catalog_stale(pg_of(rig->ep));
	rig_wait(rig, rig_link(rig, 0)->link.usable && rig_link(rig, 1)->link.usable);
	free(rig_ask(rig, "SELECT count(*) FROM crmsync.changelog"));
	free(rig_ask(rig, "DELETE FROM crmsync.changelog"));
	free(rig_ask(rig, "INSERT INTO crmsync.state (consumer) VALUES ('acme')"));
	free(rig_ask(rig, "UPDATE crmsync.state SET epoch = 1"));
	sql("REVOKE DELETE ON crmsync.changelog FROM crm");
	pg_catalog_stale(pg_of(rig->ep));
	rig_wait(rig, !rig_link(rig, 0)->link.usable);
	ck_assert_ptr_nonnull(strstr(rig_link(rig, 0)->link.why.text, "GRANT"));
	free(grants);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

START_TEST(uninstall_takes_out_what_is_ours_and_stays_out)
{
	struct rig *rig = rig_installed();
	struct answer a = { .rig = rig };
	char *n;

	sql_as("app", "INSERT INTO contacts (email) VALUES ('a@x')");
	order(rig, rig->ep->ops->uninstall);
	n = pg_server_value(server, db, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'crmsync%'");
	ck_assert_str_eq(n, "0");
	free(n);
	n = pg_server_value(server, db, "SELECT to_regnamespace('crmsync')");
	ck_assert_str_eq(n, "(null)");
	free(n);
	rig_wait(rig, !rig_link(rig, 0)->link.usable);
	for (int64_t end = clock_mono_us() + 5000000; clock_mono_us() < end; rig_turn(rig))	/* longer than it rests after an install */
		pg_catalog_stale(pg_of(rig->ep));
	n = pg_server_value(server, db, "SELECT to_regnamespace('crmsync')");
	ck_assert_str_eq(n, "(null)");		/* auto, but it was ordered out */
	free(n);
	order(rig, rig->ep->ops->uninstall);	/* again: nothing to do */
	order(rig, rig->ep->ops->install);
	rig_wait(rig, rig_link(rig, 0)->link.usable);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

START_TEST(two_topologies_do_not_touch_each_other)
{
	struct rig *rig = rig_installed(), *other = rig_here();
	char *n;

	free(other->topology.name);
	other->topology.name = xstrdup("acme east, a name that is longer than PostgreSQL names can be");
	rig_start(other);
	rig_wait(other, rig_link(other, 0)->link.usable && rig_link(other, 1)->link.usable);
	sql_as("app", "INSERT INTO contacts (email) VALUES ('a@x')");
	n = pg_server_value(server, db, "SELECT count(*) || ' ' || count(DISTINCT consumer) FROM crmsync.changelog");
	ck_assert_str_eq(n, "2 2");
	free(n);
	order(other, other->ep->ops->uninstall);
	rig_free(&other);
	assert_log("contact I 1");
	sql_as("app", "UPDATE contacts SET note = 'x'");
	assert_log("contact U 1");
	pg_catalog_stale(pg_of(rig->ep));
	rig_turn(rig);
	ck_assert(rig_link(rig, 0)->link.usable);
	rig_free(&rig);
}
END_TEST

START_TEST(who_installs_at_the_same_moment_waits_for_his_turn)
{
	struct rig *rig;
	char *conninfo;
	PGconn *other;

	make_db("crm");
	conninfo = pg_server_conninfo(server, "crm", db);
	other = PQconnectdb(conninfo);
	free(conninfo);
	PQclear(PQexec(other, "SELECT pg_advisory_lock(7165902847529)"));	/* as the install of another topology holds it */
	rig = rig_here();
	rig->conf->lock_timeout_us = 300000;
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert_str_eq(rig_link(rig, 0)->link.why.code, "55P03");
	PQfinish(other);
	rig_wait(rig, (pg_catalog_stale(pg_of(rig->ep)), rig_link(rig, 0)->link.usable));
	rig_free(&rig);
}
END_TEST

START_TEST(triggers_that_vanish_or_are_switched_off_come_back)
{
	struct rig *rig = rig_installed();
	char *n;

	sql("DROP TRIGGER crmsync_acme_contact_u ON contacts; ALTER TABLE accounts DISABLE TRIGGER crmsync_acme_account_d");
	pg_catalog_stale(pg_of(rig->ep));
	do {
		rig_turn(rig);
		n = pg_server_value(server, db, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'crmsync%' AND tgenabled = 'A'");
	} while (strcmp(n, "10") != 0 && (free(n), true));
	free(n);
	rig_free(&rig);
}
END_TEST

START_TEST(notify_off_and_another_table_leave_nothing_behind)
{
	struct rig *rig = rig_installed();
	char *n;

	rig_free(&rig);
	sql("SET ROLE crm; CREATE TABLE people (id int PRIMARY KEY, email text)");
	rig = rig_here();
	rig->conf->notify = false;
	free(rig->topology.entities[1].mapping[0]->table);
	rig->topology.entities[1].mapping[0]->table = xstrdup("people");
	rig_start(rig);
	rig_wait(rig, rig_link(rig, 0)->link.usable && rig_link(rig, 1)->link.usable);
	n = pg_server_value(server, db, "SELECT string_agg(tgrelid::regclass || ' ' || tgname, ', ' ORDER BY 1) FROM pg_trigger "
			    "WHERE tgname LIKE 'crmsync%' AND (tgrelid = 'contacts'::regclass OR tgname LIKE '%\\_n')");
	ck_assert_str_eq(n, "(null)");
	free(n);
	n = pg_server_value(server, db, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'crmsync%'");
	ck_assert_str_eq(n, "8");
	free(n);
	rig_free(&rig);
}
END_TEST

START_TEST(a_stray_trigger_of_an_entity_that_is_gone_is_dropped)
{
	struct rig *rig = rig_installed();
	char *n;

	rig_free(&rig);
	rig = rig_new(pg_server_conninfo(server, "crm", db));
	rig_field(rig_entity(rig, "account", "accounts"), "number", FIELD_TEXT, NULL);
	rig_start(rig);
	rig_wait(rig, rig_link(rig, 0)->link.usable);
	n = pg_server_value(server, db, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'crmsync%' AND tgrelid = 'contacts'::regclass");
	ck_assert_str_eq(n, "0");
	free(n);
	rig_free(&rig);
}
END_TEST

START_TEST(a_table_in_use_is_not_waited_for_long)
{
	struct rig *rig;
	PGconn *c;
	char *conninfo;

	make_db("crm");
	conninfo = pg_server_conninfo(server, "app", db);
	c = PQconnectdb(conninfo);
	free(conninfo);
	PQclear(PQexec(c, "BEGIN; INSERT INTO contacts (email) VALUES ('open')"));
	rig = rig_here();
	rig->conf->lock_timeout_us = 300000;
	rig_start(rig);
	rig_wait_up(rig);
	ck_assert(!rig_link(rig, 1)->link.usable);
	ck_assert_str_eq(rig_link(rig, 1)->link.why.code, "55P03");
	PQclear(PQexec(c, "COMMIT"));
	PQfinish(c);
	rig_wait(rig, (pg_catalog_stale(pg_of(rig->ep)), rig_link(rig, 1)->link.usable));
	rig_free(&rig);
}
END_TEST

START_TEST(poll_needs_a_place_for_the_state_row_only)
{
	struct rig *rig;
	struct answer a = { 0 };
	char *n;

	make_db("crm");
	rig = rig_here();
	a.rig = rig;
	rig->conf->capture = CAPTURE_POLL;
	rig_start(rig);
	rig_wait_up(rig);
	order(rig, rig->ep->ops->install);
	rig->ep->ops->install_print(rig->ep, answer_text, &a);
	rig_wait(rig, a.calls == 1);
	ck_assert_ptr_nonnull(strstr(a.text, "the state row (nothing there is captured with listen) for endpoint sales"));
	ck_assert_ptr_null(strstr(a.text, "TRIGGER"));
	n = pg_server_value(server, db, "SELECT to_regclass('crmsync.state')");
	ck_assert_str_eq(n, "crmsync.state");
	free(n);
	n = pg_server_value(server, db, "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'crmsync%'");
	ck_assert_str_eq(n, "0");
	free(n);
	answer_fini(&a);
	rig_free(&rig);
}
END_TEST

/* ---- what is written ------------------------------------------------------------------------------- */

START_TEST(every_change_of_the_application_has_its_entry)
{
	struct rig *rig = rig_installed();

	sql_as("app", "INSERT INTO contacts (email) SELECT 'c' || n FROM generate_series(1, 3) n");
	assert_log("contact I 1, contact I 2, contact I 3");
	sql_as("app", "UPDATE contacts SET note = 'x' WHERE id < 3");
	assert_log("contact U 1, contact U 2");
	sql_as("app", "UPDATE contacts SET note = note");
	assert_log("");
	sql_as("app", "UPDATE contacts SET id = 30 WHERE id = 3");
	assert_log("contact U 30 3");
	sql_as("app", "DELETE FROM contacts WHERE id = 1");
	assert_log("contact D 1");
	sql_as("app", "BEGIN; INSERT INTO contacts (email) VALUES ('no'); ROLLBACK");
	assert_log("");
	sql_as("app", "TRUNCATE contacts");
	assert_log("contact T -");
	sql_as("app", "INSERT INTO accounts (number) VALUES ('A'); INSERT INTO accounts (number) VALUES ('A') ON CONFLICT (number) "
	       "DO UPDATE SET touched = 1");
	assert_log("account I 1, account U 1");
	rig_free(&rig);
}
END_TEST

START_TEST(notifications_come_once_a_statement_of_others)
{
	struct rig *rig = rig_installed();
	unsigned before = rig->wakes;

	sql_as("app", "INSERT INTO contacts (email) SELECT 'c' || n FROM generate_series(1, 300) n");
	rig_wait(rig, rig->wakes == before + 1);
	free(rig_ask(rig, "INSERT INTO public.contacts (email) VALUES ('ours')"));
	sql_as("app", "DELETE FROM contacts");
	rig_wait(rig, rig->wakes >= before + 2);
	ck_assert_uint_eq(rig->wakes, before + 2);
	rig_free(&rig);
}
END_TEST

/* Own writes: the direct effect is not logged, whatever follows from it in the database is (doc/own-writes.md). */

START_TEST(our_own_direct_writes_are_not_logged)
{
	struct rig *rig = rig_installed();

	free(rig_ask(rig, "INSERT INTO public.contacts (email) VALUES ('a')"));
	free(rig_ask(rig, "UPDATE public.contacts SET note = 'b'"));
	free(rig_ask(rig, "WITH u AS (UPDATE public.contacts SET note = 'c' RETURNING id) SELECT count(*) FROM u"));
	free(rig_ask(rig, "DELETE FROM public.contacts"));
	assert_log("");
	free(rig_ask(rig, "TRUNCATE public.contacts"));	/* no statement of ours: logged, whoever it was */
	assert_log("contact T -");
	rig_free(&rig);
}
END_TEST

START_TEST(what_triggers_make_of_our_writes_is_logged)
{
	struct rig *rig = rig_installed();

	sql("CREATE FUNCTION public.spread() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
	    "UPDATE public.accounts SET touched = touched + 1; RETURN NULL; END $$;"
	    "CREATE TRIGGER spread AFTER INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION spread();"
	    "INSERT INTO accounts (number) VALUES ('A')");
	free(take_log());
	free(rig_ask(rig, "INSERT INTO public.contacts (email) VALUES ('a')"));
	assert_log("account U 1");
	/* the same row once more, from a trigger after our own write of it */
	sql("CREATE FUNCTION public.again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.note = 'ours' THEN "
	    "UPDATE public.contacts SET note = 'theirs' WHERE id = NEW.id; END IF; RETURN NULL; END $$;"
	    "CREATE TRIGGER again AFTER UPDATE ON contacts FOR EACH ROW EXECUTE FUNCTION again();");
	free(rig_ask(rig, "UPDATE public.contacts SET note = 'ours'"));
	assert_log("contact U 1");
	rig_free(&rig);
}
END_TEST

START_TEST(what_foreign_keys_make_of_our_writes_is_logged)
{
	struct rig *rig = rig_installed();

	sql("INSERT INTO accounts (number) VALUES ('A'); INSERT INTO contacts (email, account_id) VALUES ('a', 1), ('b', 1)");
	free(take_log());
	free(rig_ask(rig, "UPDATE public.accounts SET id = 9"));
	assert_log("contact U 1, contact U 2");
	free(rig_ask(rig, "DELETE FROM public.accounts"));
	assert_log("contact D 1, contact D 2");
	rig_free(&rig);
}
END_TEST

START_TEST(what_deferred_triggers_make_of_our_writes_is_logged)
{
	struct rig *rig = rig_installed();

	sql("CREATE FUNCTION public.late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
	    "UPDATE public.accounts SET touched = touched + 1; RETURN NULL; END $$;"
	    "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON contacts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION late();"
	    "INSERT INTO accounts (number) VALUES ('A')");
	free(take_log());
	free(rig_ask(rig, "INSERT INTO public.contacts (email) VALUES ('a')"));
	assert_log("account U 1");
	rig_free(&rig);
}
END_TEST

START_TEST(where_rules_rewrite_everything_is_logged)
{
	struct rig *rig;

	make_db("crm");
	sql("CREATE RULE note AS ON UPDATE TO contacts DO ALSO UPDATE accounts SET touched = touched + 1;"
	    "CREATE RULE also AS ON INSERT TO accounts DO ALSO NOTIFY nobody; INSERT INTO accounts (number) VALUES ('A')");
	rig = rig_here();
	rig_start(rig);
	rig_wait(rig, rig_link(rig, 0)->link.usable && rig_link(rig, 1)->link.usable);
	free(rig_ask(rig, "INSERT INTO public.contacts (email) VALUES ('a')"));
	free(rig_ask(rig, "UPDATE public.contacts SET note = 'x'"));
	assert_log("contact I 1, account U 1, contact U 1");
	rig_free(&rig);
}
END_TEST

/* ---- it does not fail the application -------------------------------------------------------------- */

START_TEST(a_role_without_any_right_on_the_log_writes_as_before)
{
	struct rig *rig = rig_installed();
	char *log;

	sql_as("app", "INSERT INTO contacts (email) VALUES ('a')");
	ck_assert(!pg_server_try(server, "app", db, "SELECT * FROM crmsync.changelog", NULL));
	log = pg_server_value(server, db, "SELECT bool_or(has_function_privilege('app', oid, 'EXECUTE')) FROM pg_proc "
			      "WHERE pronamespace = 'crmsync'::regnamespace");
	ck_assert_str_eq(log, "f");
	free(log);
	ck_assert(!pg_server_try(server, "app", db, "CREATE TEMP TABLE t (id int); CREATE TRIGGER x AFTER INSERT ON t FOR EACH ROW "
				 "EXECUTE FUNCTION crmsync.capture_acme_contact()", NULL));
	assert_log("contact I 1");
	rig_free(&rig);
}
END_TEST

START_TEST(an_odd_session_changes_nothing)
{
	struct rig *rig = rig_installed();

	sql_as("app", "SET search_path = pg_temp; CREATE TEMP TABLE changelog (id int); CREATE TEMP TABLE contacts (id int);"
	       "CREATE FUNCTION pg_temp.to_jsonb(text) RETURNS jsonb LANGUAGE sql AS 'SELECT 1/0; SELECT NULL::jsonb';"
	       "INSERT INTO public.contacts (email) VALUES ('a')");
	assert_log("contact I 1");
	sql_as("postgres", "SET session_replication_role = replica; INSERT INTO contacts (email) VALUES ('b')");
	assert_log("contact I 2");
	sql_as("app", "SET default_transaction_isolation = serializable; BEGIN; INSERT INTO contacts (email) VALUES ('c'); COMMIT");
	assert_log("contact I 3");
	sql_as("app", "SET crmsync.writer = 'somebody else'; INSERT INTO contacts (email) VALUES ('d')");
	assert_log("contact I 4");
	rig_free(&rig);
}
END_TEST

START_TEST(serializable_writers_do_not_disturb_each_other)
{
	struct rig *rig = rig_installed();
	char *conninfo = pg_server_conninfo(server, "app", db);
	PGconn *a = PQconnectdb(conninfo), *b = PQconnectdb(conninfo);
	static const char *const steps[] = { "BEGIN ISOLATION LEVEL SERIALIZABLE", "INSERT INTO contacts (email) VALUES ('x')", "COMMIT" };

	for (size_t i = 0; i < countof(steps); i++) {
		PGresult *ra = PQexec(a, steps[i]), *rb = PQexec(b, steps[i]);

		ck_assert_msg(PQresultStatus(ra) == PGRES_COMMAND_OK && PQresultStatus(rb) == PGRES_COMMAND_OK, "%s", PQerrorMessage(b));
		PQclear(ra);
		PQclear(rb);
	}
	PQfinish(a);
	PQfinish(b);
	free(conninfo);
	rig_free(&rig);
}
END_TEST

START_TEST(two_phase_commit_works_without_notify_only)
{
	struct rig *rig;

	make_db("crm");
	rig = rig_here();
	rig->conf->notify = false;
	rig_start(rig);
	rig_wait(rig, rig_link(rig, 1)->link.usable);
	sql_as("app", "BEGIN; INSERT INTO contacts (email) VALUES ('a'); PREPARE TRANSACTION 'one'");
	assert_log("");
	sql_as("app", "COMMIT PREPARED 'one'");
	assert_log("contact I 1");
	rig_free(&rig);
	rig = rig_here();
	rig_start(rig);
	rig_wait(rig, rig_link(rig, 1)->link.usable);
	ck_assert(!pg_server_try(server, "app", db, "BEGIN; INSERT INTO contacts (email) VALUES ('b'); PREPARE TRANSACTION 'two'", NULL));
	rig_free(&rig);
}
END_TEST

START_TEST(an_id_column_that_was_renamed_fails_no_write)
{
	struct rig *rig = rig_installed();

	sql("ALTER TABLE contacts RENAME id TO contact_id");
	sql_as("app", "INSERT INTO contacts (email) VALUES ('a'); UPDATE contacts SET note = 'x'; DELETE FROM contacts");
	assert_log("contact I -, contact U -, contact D -");
	sql("ALTER TABLE contacts ADD id int; ALTER TABLE contacts DROP contact_id");
	sql_as("app", "INSERT INTO contacts (email) VALUES ('a')");
	assert_log("contact I -");
	rig_free(&rig);
}
END_TEST

static const struct exotic {
	const char *type, *literal, *text;
} exotics[] = {
	{ "date", "'2026-03-01'", "2026-03-01" }, { "timestamptz", "'2026-03-01 12:00+00'", "2026-03-01 12:00:00+00" },
	{ "bytea", "'\\x00ff'", "\\x00ff" }, { "uuid", "'00000000-0000-0000-0000-00000000000A'", "00000000-0000-0000-0000-00000000000a" },
	{ "numeric(20,2)", "12.30", "12.30" }, { "float8", "0.1::float8 + 0.2::float8", "0.30000000000000004" },
	{ "char(6)", "'ab'", "ab" }, { "inet", "'10.0.0.1'", "10.0.0.1/32" }, { "interval", "'90 min'", "01:30:00" },
	{ "text", "E'a\"b\\\\c\\n'", "a\"b\\c\n" }, { "int8", "-9223372036854775808", "-9223372036854775808" },
};

/* The table exotic_N, and how the application writes into it: with settings that would give every type another text. */
static void make_exotic(size_t n)
{
	char *text = xasprintf("SET ROLE crm; CREATE TABLE exotic_%zu (id %s PRIMARY KEY, email text); GRANT ALL ON exotic_%zu TO app",
			       n, exotics[n].type, n);

	sql(text);
	free(text);
}

static void write_exotic(size_t n)
{
	char *text = xasprintf("SET DateStyle = 'German'; SET TimeZone = 'Asia/Tokyo'; SET bytea_output = 'escape'; "
			       "SET extra_float_digits = -3; SET IntervalStyle = 'iso_8601'; INSERT INTO exotic_%zu VALUES (%s, 'x')",
			       n, exotics[n].literal);

	sql_as("app", text);
	free(text);
}

START_TEST(ids_of_any_type_are_logged_as_we_read_them)
{
	struct rig *rig;

	make_db("crm");
	rig = rig_new(pg_server_conninfo(server, "crm", db));
	for (size_t i = 0; i < countof(exotics); i++) {
		char *table = xasprintf("exotic_%zu", i);

		make_exotic(i);
		rig_field(rig_entity(rig, table, table), "email", FIELD_TEXT, NULL);
		free(table);
	}
	rig_start(rig);
	rig_wait_up(rig);
	for (size_t i = 0; i < countof(exotics); i++) {
		char *text = xasprintf("SELECT id::text FROM public.exotic_%zu", i), *log, *read;

		ck_assert_msg(rig_link(rig, i)->link.usable, "%s: %s", exotics[i].type, rig_link(rig, i)->link.why.text);
		write_exotic(i);
		log = pg_server_value(server, db, "WITH d AS (DELETE FROM crmsync.changelog RETURNING pk) SELECT pk #>> '{}' FROM d");
		read = rig_ask(rig, text);
		ck_assert_str_eq(log, exotics[i].text);
		ck_assert_str_eq(read, exotics[i].text);
		free(log);
		free(read);
		free(text);
	}
	rig_free(&rig);
}
END_TEST

START_TEST(partitioned_tables_are_followed_in_all_partitions)
{
	struct rig *rig;

	make_db("crm");
	sql("SET ROLE crm; CREATE TABLE parted (id int PRIMARY KEY, email text) PARTITION BY RANGE (id);"
	    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100)");
	rig = rig_new(pg_server_conninfo(server, "crm", db));
	rig_field(rig_entity(rig, "parted", "parted"), "email", FIELD_TEXT, NULL);
	rig_start(rig);
	rig_wait(rig, rig_link(rig, 0)->link.usable);
	sql("CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);"
	    "INSERT INTO parted VALUES (1, 'a'), (101, 'b'); UPDATE parted SET id = 150 WHERE id = 1; DELETE FROM parted WHERE id = 101");
	assert_log("parted I 1, parted I 101, parted D 1, parted I 150, parted D 101");
	sql("SET session_replication_role = replica; INSERT INTO parted VALUES (2, 'a'), (102, 'b')");
	assert_log("parted I 2, parted I 102");
	pg_catalog_stale(pg_of(rig->ep));
	free(rig_ask(rig, "INSERT INTO public.parted VALUES (3, 'ours'), (103, 'ours')"));
	assert_log("");
	order(rig, rig->ep->ops->uninstall);
	rig_free(&rig);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pg_install");
	TCase *tc = tcase_create("one server");
	SRunner *sr;
	int failed;

	if (!pg_server_available())
		return 77;
	log_setup(LOG_LEVEL_ERROR, false);
	sr = srunner_create(s);
	suite_add_tcase(s, tc);
	tcase_add_unchecked_fixture(tc, start_server, stop_server);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, auto_installs_by_itself_and_may_be_repeated);
	tcase_add_test(tc, manual_waits_for_the_operator);
	tcase_add_test(tc, the_printed_text_makes_the_same_objects);
	tcase_add_test(tc, nothing_is_printed_before_the_tables_were_looked_at);
	tcase_add_test(tc, a_role_that_owns_nothing_lives_with_the_printed_text);
	tcase_add_test(tc, uninstall_takes_out_what_is_ours_and_stays_out);
	tcase_add_test(tc, two_topologies_do_not_touch_each_other);
	tcase_add_test(tc, who_installs_at_the_same_moment_waits_for_his_turn);
	tcase_add_test(tc, triggers_that_vanish_or_are_switched_off_come_back);
	tcase_add_test(tc, notify_off_and_another_table_leave_nothing_behind);
	tcase_add_test(tc, a_stray_trigger_of_an_entity_that_is_gone_is_dropped);
	tcase_add_test(tc, a_table_in_use_is_not_waited_for_long);
	tcase_add_test(tc, poll_needs_a_place_for_the_state_row_only);
	tcase_add_test(tc, every_change_of_the_application_has_its_entry);
	tcase_add_test(tc, notifications_come_once_a_statement_of_others);
	tcase_add_test(tc, our_own_direct_writes_are_not_logged);
	tcase_add_test(tc, what_triggers_make_of_our_writes_is_logged);
	tcase_add_test(tc, what_foreign_keys_make_of_our_writes_is_logged);
	tcase_add_test(tc, what_deferred_triggers_make_of_our_writes_is_logged);
	tcase_add_test(tc, where_rules_rewrite_everything_is_logged);
	tcase_add_test(tc, a_role_without_any_right_on_the_log_writes_as_before);
	tcase_add_test(tc, an_odd_session_changes_nothing);
	tcase_add_test(tc, serializable_writers_do_not_disturb_each_other);
	tcase_add_test(tc, two_phase_commit_works_without_notify_only);
	tcase_add_test(tc, an_id_column_that_was_renamed_fails_no_write);
	tcase_add_test(tc, ids_of_any_type_are_logged_as_we_read_them);
	tcase_add_test(tc, partitioned_tables_are_followed_in_all_partitions);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? 0 : 1;
}
