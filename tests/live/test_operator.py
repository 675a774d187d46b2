"""What the operator does: stop, reload, pause, install, look."""
import json
import signal
import stat
import statistics
import subprocess
import threading
import time
import unittest

import libpq
from case import THING, THINGS, Pair, ThreeCrms, alone
from crm import CRMSYNCCTL, CRMSYNCD, Cluster, Daemon, eventually, topology
from editors import Editor


class Signals(ThreeCrms):
    def test_sigterm_finishes_the_batch_and_ends_with_0(self):
        self.start()
        self.sales.base.run("INSERT INTO crm.contacts (email) SELECT n || '@example.org' FROM generate_series(1, 3000) n")
        eventually(lambda: self.support.people(), "the work has begun")
        self.d.stop()
        self.assertFalse(self.d.control.exists(), "the sockets are gone")
        self.assertFalse(self.d.stats.exists())
        self.d.start()
        self.assertEqual(len(self.settled()), 3000)

    def test_sighup_takes_a_good_topology(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        with_note = self.entities.replace("score: {type: integer}", "score: {type: integer}\n    note: {type: text}") \
            .replace("email: mail,", "email: mail, note: memo,")
        self.support.base.run("ALTER TABLE people ADD note text")
        self.billing.base.run("ALTER TABLE payers ADD memo text")
        self.d.write(self.topology(with_note))
        self.d.process.send_signal(signal.SIGHUP)
        self.sales.base.run("UPDATE crm.contacts SET note = 'A new field' WHERE email = 'p1@example.org'")
        eventually(lambda: self.billing.base.one("SELECT memo FROM payers WHERE mail = 'p1@example.org'") == "A new field",
                   "the new field travels")
        self.settled()
        self.assertEqual(self.d.metrics()["crmsyncd_config_last_reload_successful"], 1)

    def test_sighup_refuses_a_bad_topology_whole_and_goes_on(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.d.write(self.topology().replace("interval: 1s", "interval: soon").replace("topology: acme", "topology: other"))
        self.d.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.d.metrics()["crmsyncd_config_last_reload_successful"] == 0, "the refusal shows")
        self.assertIn("interval", self.d.log)
        self.assertIn("the last reload was refused", self.d.status()["summary"])
        self.sales.edit("p1@example.org", name="Goes on")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Goes on")
        self.assertEqual(self.d.status()["topology"], "acme")
        self.d.ctl("reload", code=78)
        self.d.write(self.topology())
        self.d.ctl("reload")
        self.assertEqual(self.d.metrics()["crmsyncd_config_last_reload_successful"], 1)
        self.settled()

    def test_reload_under_load_loses_nothing(self):
        self.start()
        self.populate(self.sales, people=50)
        for number in range(5):
            self.sales.base.run("UPDATE crm.contacts SET score = score + 1")
            self.billing.base.run("UPDATE payers SET tel = tel || $1", number)
            self.d.process.send_signal(signal.SIGHUP)
        people = self.settled()
        self.assertEqual(len(people), 50)
        self.assertEqual(people["p7@example.org"]["score"], 12)
        self.assert_quiet()

    def test_a_second_daemon_with_the_same_sockets_is_refused(self):
        self.start()
        ran = subprocess.run([CRMSYNCD, "-c", self.d.file], capture_output=True, text=True, timeout=60, check=False)
        self.assertNotEqual(ran.returncode, 0)
        self.populate(self.sales)
        self.settled()


class Orders(ThreeCrms):
    def test_a_paused_endpoint_rests_and_catches_up(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.d.ctl("pause", "billing")
        self.assertEqual(self.d.endpoint("billing")["state"], "paused")
        self.sales.edit("p1@example.org", name="While paused")
        self.billing.edit("p2@example.org", name="At billing")
        eventually(lambda: self.support.people()["p1@example.org"]["name"] == "While paused", "the others go on")
        self.assertEqual(self.billing.people()["p1@example.org"]["name"], "Person 1")
        self.assertEqual(self.sales.people()["p2@example.org"]["name"], "Person 2")
        self.d.ctl("resume", "billing")
        people = self.settled()
        self.assertEqual(people["p1@example.org"]["name"], "While paused")
        self.assertEqual(people["p2@example.org"]["name"], "At billing")

    def test_a_paused_entity_rests_and_catches_up(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.d.ctl("pause", "contact")
        self.sales.edit("p1@example.org", name="While paused")
        self.sales.add_account("NEW", "New account")
        eventually(lambda: any(row[0] == "NEW" for row in self.billing.contents()["accounts"]), "the other entity goes on")
        self.assertEqual(self.billing.people()["p1@example.org"]["name"], "Person 1")
        self.d.ctl("resume", "contact")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "While paused")

    def test_names_nobody_knows_are_refused(self):
        self.start()
        for words in (("pause", "nobody"), ("install", "nobody"), ("frobnicate",), ("pause",)):
            self.assertEqual(self.d.try_ctl(*words).returncode, 64, words)

    def test_without_a_daemon_the_client_says_69(self):
        ran = subprocess.run([CRMSYNCCTL, "-s", self.place.path / "nowhere.sock", "status"], capture_output=True, text=True,
                             timeout=60, check=False)
        self.assertEqual((ran.returncode, ran.stdout), (69, ""))
        self.assertIn("nowhere.sock", ran.stderr)

    def test_what_cannot_be_printed_is_said_with_whatever_descriptor_closed(self):
        self.start()
        for closed in (">&-", "<&- >&-", ">/dev/full"):
            for words in ("status --json", "status"):
                ran = subprocess.run(["sh", "-c", f'"$0" -s "$1" {words} {closed}', CRMSYNCCTL, self.d.control], capture_output=True, text=True,
                                     timeout=60, check=False)
                self.assertEqual((ran.returncode, ran.stderr), (2, "crmsyncctl: cannot write the output\n"), f"{words} {closed}")
        self.assert_clean_log(self.d)

    def test_wait_says_75_and_what_is_pending(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.d.wait()
        with self.billing.base.connect() as session:
            session.run("BEGIN")
            self.billing.edit("p1@example.org", session, name="Locked")
            self.sales.edit("p1@example.org", phone="+9")
            ran = self.d.try_ctl("wait", "--timeout", "1s")
            self.assertEqual(ran.returncode, 75, ran.stdout)
            self.assertIn("billing", ran.stdout + ran.stderr)
            session.run("ROLLBACK")
        self.settled()


class LongSweeps(Pair):
    """Of a table that takes longer than the interval of its sweeps."""
    name = "sweeps"

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k) SELECT 'k' || n FROM generate_series(1, 1500) n")
        sides = {"a": {"connection": self.a.conninfo, "capture": "listen", "interval": "1s", "sweep": "1h"},
                 "b": {"connection": self.b.conninfo, "capture": "listen", "interval": "1s", "sweep": "1h"}}
        self.d = self.daemon(topology(self.redis, sides, self.entities))
        self.d.wait()
        sides["b"]["sweep"] = "100ms"
        self.d.write(topology(self.redis, sides, self.entities, more="limits: {batch_rows: 1}"))
        self.d.ctl("reload")

    def sweep(self):
        return next(link for link in self.d.entity("thing")["links"] if link["endpoint"] == "b")["progress"]

    def test_wait_does_not_wait_for_regular_sweeps_but_for_one_that_was_ordered(self):
        progress = eventually(self.sweep, "it sweeps")
        self.assertEqual(progress["rows_expected"], 1500)
        self.assertAlmostEqual(progress["share"], progress["rows_done"] / 1500)
        self.assertTrue(progress["seconds_left"] is None or 0 < progress["seconds_left"] < 60, "as far as there is something to go by")
        self.a.run("UPDATE things SET name = 'x' WHERE k = 'k1'")
        self.d.ctl("wait", "--timeout", "5s")
        self.assertEqual(self.b.one("SELECT name FROM things WHERE k = 'k1'"), "x")
        self.b.run("ALTER TABLE things DISABLE TRIGGER ALL; DELETE FROM things WHERE k = 'k1500'; ALTER TABLE things ENABLE TRIGGER ALL")
        self.d.ctl("kick", "--sweep")
        self.d.wait()
        self.assertIsNone(self.a.one("SELECT 1 FROM things WHERE k = 'k1500'"), "the ordered sweep had ended")

    def jobs(self, kind):
        return [job for job in self.d.status()["jobs"] if job["kind"] == kind]

    def test_long_work_is_shown_while_it_runs_with_who_asked_for_it_and_how_far_it_is(self):
        sweep = eventually(lambda: self.jobs("sweep"), "it sweeps")[0]
        self.assertEqual((sweep["entity"], sweep["endpoint"], sweep["asked_by"], sweep["expected"]), ("thing", "b", "schedule", 1500))
        self.a.run("UPDATE things SET name = 'x' WHERE id <= 250")      # enough for an undo to be looked at twice
        self.d.wait()
        over = ("thing", "--from", "a", "--to", "b", "--onto", "merge")
        for kind, words in (("plan", ("thing",)), ("verify", ("thing",)), ("migrate", over), ("undo", ("--since", "1h", "--entity", "thing"))):
            with subprocess.Popen([CRMSYNCCTL, "-s", self.d.control, kind, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as ctl:
                def half_done(kind=kind):
                    return [j for j in self.jobs(kind) if 0 < j["done"] < (j["expected"] or 0)]

                job = eventually(half_done, f"{kind} is under way")[0]
                self.assertEqual((job["entity"], job["asked_by"]), ("thing", "operator"))
                self.assertAlmostEqual(job["share"], job["done"] / job["expected"])
                self.assertIn(f"\n{kind} thing ", self.d.ctl("status"))
                ctl.terminate()
        eventually(lambda: not any(self.jobs(kind) for kind in ("plan", "verify", "migrate")), "who asked has left")


class Install(ThreeCrms):
    def objects(self, crm):
        return crm.base.run("SELECT nspname FROM pg_namespace WHERE nspname = 'crmsync' UNION ALL "
                            "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'crmsync%' ORDER BY 1")

    def test_install_prints_creates_and_removes(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.assertTrue(self.objects(self.sales))
        self.assertEqual(self.objects(self.support), [("crmsync",)], "poll needs a place for the state row only")
        printed = self.d.ctl("install", "sales", "--print")
        for word in ("CREATE", "crmsync", "contacts", "TRIGGER"):
            self.assertIn(word, printed)
        self.d.ctl("install", "sales")
        self.d.ctl("install", "sales")
        self.d.ctl("uninstall", "sales")
        self.assertEqual(self.objects(self.sales), [])
        self.sales.edit("p1@example.org", name="The application still works")

    def test_what_is_printed_can_be_run_by_an_admin_and_manual_install_is_respected(self):
        self.manual = True
        self.start()
        self.populate(self.sales)
        printed = eventually(lambda: self.d.try_ctl("install", "sales", "--print").stdout, "it prints")
        self.assertEqual(self.objects(self.sales), [], "install: manual")
        eventually(lambda: "install" in json.dumps(self.d.status()), "status says that it has to be installed")
        self.sales.base.run(printed)
        self.assertTrue(self.objects(self.sales))
        self.d.restart()
        self.assertEqual(len(self.settled()), 20)
        self.sales.edit("p1@example.org", name="Captured")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Captured")

    def endpoints(self):
        endpoints = super().endpoints()
        if getattr(self, "manual", False):
            endpoints["sales"]["install"] = "manual"
        return endpoints

    def test_the_trigger_never_fails_the_applications_write(self):
        """Not by missing rights of the application, nor when somebody removes all of it by hand."""
        self.start()
        self.populate(self.sales)
        self.settled()
        self.sales.base.run("CREATE ROLE app_" + self.sales.base.name + " LOGIN;"
                            "GRANT USAGE ON SCHEMA crm TO app_" + self.sales.base.name + ";"
                            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA crm TO app_" + self.sales.base.name)
        try:
            with self.sales.base.connect("app_" + self.sales.base.name) as app:
                self.sales.edit("p1@example.org", app, name="By the application")
                self.assertEqual(self.settled()["p1@example.org"]["name"], "By the application")
                self.d.stop()
                self.sales.base.run("DROP TABLE crmsync.changelog")
                self.sales.edit("p3@example.org", app, name="With half of it")
                self.sales.base.run("DROP SCHEMA crmsync CASCADE")
                self.sales.edit("p1@example.org", app, name="Without a log")
                app.run("DELETE FROM crm.contacts WHERE email = 'p2@example.org'")
        finally:
            self.sales.base.run("DROP OWNED BY app_" + self.sales.base.name)
            self.sales.base.run("DROP ROLE app_" + self.sales.base.name)


NOTES = "CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, body text);"
NOTE = """
note:
  key: [k]
  fields: {k: {type: text}, body: {type: text}}
  mappings: {a: {table: notes}, b: {table: notes}}
"""


class InstallAtWork(Pair):
    """Applications write all the time, and none of their writes may fail for it."""
    name = "at_work"
    a_sql = b_sql = THINGS + NOTES
    entities = THING + NOTE

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k, amount) VALUES ('one', 0); INSERT INTO notes (k) VALUES ('one')")

    def topology(self, notify="true", entities=None):
        return topology(self.redis, {name: {"connection": base.conninfo, **self.a_capture, "notify": notify}
                                     for name, base in (("a", self.a), ("b", self.b))}, entities or self.entities)

    def take(self, *text, **more):
        self.d.write(self.topology(*text, **more))
        self.d.ctl("reload")

    def made(self):
        """Another row of the catalog for whatever was made anew."""
        return sorted(self.a.run("SELECT 'trigger', oid, xmin::text FROM pg_trigger WHERE tgname LIKE 'crmsync%' UNION ALL "
                                 "SELECT 'function', oid, xmin::text FROM pg_proc WHERE pronamespace = 'crmsync'::regnamespace"))

    def write_until(self, stop, sql, trouble):
        with self.a.connect() as session:
            while not stop.is_set():
                try:
                    session.run(sql)
                except libpq.Error as error:
                    trouble.append((error.code, str(error)))
                    session.run("ROLLBACK")

    def while_they_write(self, act, *statements):
        stop, trouble = threading.Event(), []
        writers = [threading.Thread(target=self.write_until, args=(stop, sql, trouble)) for sql in statements]
        for writer in writers:
            writer.start()
        try:
            for number in range(6):
                act(number)
                time.sleep(0.5)
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        self.assertEqual(trouble[:3], [], "what the applications got to hear")
        self.settled()
        self.assertEqual(*(sorted(base.run("SELECT k, body FROM notes")) for base in (self.a, self.b)))

    def test_install_again_while_a_row_is_written_all_the_time(self):
        self.begin()
        self.while_they_write(lambda number: self.d.ctl("install", "a"), "UPDATE things SET amount = amount + 1")

    def test_install_of_other_triggers_while_transactions_write_two_tables(self):
        """One writes them in the order in which they are changed, one in the other."""
        self.begin()
        self.a.run("INSERT INTO things (k) VALUES ('two'); INSERT INTO notes (k) VALUES ('two')")
        self.while_they_write(lambda number: self.take("false" if number % 2 == 0 else "true"),
                              "BEGIN; UPDATE things SET name = clock_timestamp()::text WHERE k = 'one';"
                              "UPDATE notes SET body = clock_timestamp()::text WHERE k = 'one'; COMMIT",
                              "BEGIN; UPDATE notes SET body = clock_timestamp()::text WHERE k = 'two';"
                              "UPDATE things SET name = clock_timestamp()::text WHERE k = 'two'; COMMIT")

    def test_install_for_an_entity_that_comes_and_goes_while_the_table_is_written(self):
        self.begin()
        self.while_they_write(lambda number: self.take(entities=THING if number % 2 == 0 else THING + NOTE),
                              "UPDATE things SET amount = amount + 1", "UPDATE notes SET body = clock_timestamp()::text")

    def test_install_leaves_alone_what_is_there_and_waits_for_nobody(self):
        self.begin()
        before = self.made()
        with self.a.connect() as session:
            session.run("BEGIN; UPDATE things SET name = 'open'")
            self.d.ctl("install", "a")
            self.a.run(self.d.ctl("install", "a", "--print"))
            self.assertEqual(self.made(), before)
            session.run("COMMIT")
        self.a.run("DROP TRIGGER crmsync_acme_thing_u ON things; ALTER TABLE notes DISABLE TRIGGER crmsync_acme_note_d")
        self.d.ctl("install", "a")
        self.assertEqual(self.a.run("SELECT tgrelid::regclass::text, count(*) FROM pg_trigger WHERE tgname LIKE 'crmsync%' "
                                    "AND tgenabled = 'A' GROUP BY 1 ORDER BY 1"), [("notes", 5), ("things", 5)])


class Look(ThreeCrms):
    def test_status_readyz_and_metrics_say_what_is(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        status = self.d.status()
        self.assertEqual(status["topology"], "acme")
        self.assertEqual({e["name"]: e["state"] for e in status["endpoints"]}, {"sales": "up", "support": "up", "billing": "up"})
        contact = self.d.entity("contact")
        self.assertEqual((contact["records"], contact["pending"], contact["parked"]), (20, 0, 0))
        self.assertEqual({link["endpoint"] for link in contact["links"]}, {"sales", "support", "billing"})
        self.assertEqual(self.d.get("/readyz")[0], 200)
        self.assertEqual(self.d.get("/healthz")[0], 200)
        self.assertEqual(self.d.get("/nothing")[0], 404)
        self.assertEqual(self.d.get("/metrics", method="DELETE")[0], 405)
        metrics = self.d.metrics()
        self.assertEqual(metrics['crmsyncd_endpoint_up{endpoint="sales"}'], 1)
        self.assertEqual(metrics['crmsyncd_tracked_records{entity="contact"}'], 20)
        self.assertEqual(metrics['crmsyncd_changes_applied_total{entity="contact",endpoint="billing"}'], 20)
        self.assertEqual(json.loads(self.d.ctl("status", "--json"))["topology"], "acme")
        for name in ("sales", "support", "billing", "contact", "account"):
            self.assertIn(name, self.d.ctl("status"))

    def test_every_series_is_there_from_the_start_and_no_label_grows_with_the_data(self):
        self.start()
        eventually(lambda: self.d.get("/readyz")[0] == 200, "ready")
        before = set(self.d.metrics())
        self.populate(self.sales)
        self.billing.add("Z@example.org", name="x" * 30, phone="1" * 30)
        self.d.wait()
        self.assertEqual(set(self.d.metrics()), before)

    def scrape_takes(self):
        """How long until the whole page is there, its socket's connection included."""
        began = time.monotonic()
        self.assertEqual(self.d.get("/metrics")[0], 200)
        return time.monotonic() - began

    @alone
    def test_a_scrape_while_people_are_at_work_takes_less_than_50_ms(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        people = [f"p{n}@example.org" for n in range(20)]
        editors = [Editor(self.sales, "name", people, 1), Editor(self.support, "phone", people, 2),
                   Editor(self.billing, "score", people, 3, value=int)]
        before = self.applied()
        times = []
        for _ in range(20):
            for editor in editors:
                editor.more(5)
            times.append(self.scrape_takes())
        self.assertGreater(self.applied(), before + 20, "it was at work itself")
        for editor in editors:
            editor.finish()
        self.assertLess(statistics.median(times), 0.05, f"{sorted(times)}")

    def applied(self):
        return sum(value for key, value in self.d.metrics().items() if key.startswith("crmsyncd_changes_applied_total"))

    def test_the_commands_are_not_on_the_stats_socket(self):
        self.start()
        self.assertIn(self.d.get("/v1/pause", method="POST")[0], (404, 405))
        self.assertEqual(self.d.get("/status", socket_path=self.d.control)[0], 200)

    def test_the_control_socket_is_for_its_owner_only(self):
        self.start()
        self.assertEqual(stat.S_IMODE(self.d.control.stat().st_mode), 0o600)

    def test_logs_and_status_hold_no_row_values_and_no_password(self):
        secret, value, key = "hush-hush-password", "Zaphod Beeblebrox", "zaphod@example.org"
        self.password = secret
        self.start()
        self.populate(self.sales)
        self.sales.add(key, name=value, phone="+42 424242")
        self.settled()
        self.support.edit(key, phone="1" * 21 + "424242")       # parked at sales
        self.d.stop()
        self.sales.edit(key, name=value + " I")
        self.billing.edit(key, name=value + " II")              # a conflict
        self.d.start()
        self.d.wait()
        self.assertEqual(len(self.d.parked()), 1)
        self.assert_clean_log(self.d, secret, value, key, "424242")
        for path in ("/status", "/metrics", "/readyz"):
            for word in (secret, value, key, "424242"):
                self.assertNotIn(word, self.d.get(path)[1])

    def endpoints(self):
        endpoints = super().endpoints()
        if getattr(self, "password", None):
            endpoints["sales"]["connection"] += f" password={self.password}"
        return endpoints

    def test_every_log_line_is_key_value_or_json(self):
        self.d = Daemon(self.place, self.topology(), options=("--log-format", "json", "--log-level", "debug"))
        self.populate(self.sales)
        self.settled()
        self.d.stop()
        lines = self.d.log.splitlines()
        self.assertTrue(lines)
        for line in lines:
            json.loads(line)


class Raised(Pair):
    """What is raised at b about a row may repeat its values, and the status page asks for no password."""
    name = "raised"
    VALUE = "Zaphod Beeblebrox"
    TRIGGER = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN %s RETURN NEW; END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION refuse();
"""
    MIGHT = "RAISE EXCEPTION 'not for %%', NEW.name USING ERRCODE = '%s', TABLE = NEW.name;"

    def refused(self, *words, body):
        self.b.run("DROP FUNCTION IF EXISTS refuse() CASCADE;" + self.TRIGGER % body)
        self.a.run("UPDATE things SET name = $1, amount = coalesce(amount, 0) + 1", self.VALUE)
        eventually(lambda: all(word in self.said() for word in words), f"it is said that {words} (last: {self.said()})")
        for page in ("/status", "/", "/metrics", "/readyz"):
            self.assertNotIn(self.VALUE, self.d.get(page)[1], page)
        self.assert_clean_log(self.d, self.VALUE)

    def said(self):
        return str([link["reason"] for link in self.d.entity("thing")["links"]]) + str(self.d.parked())

    def test_values_that_a_trigger_repeats_do_not_leak(self):
        self.begin()
        self.a.run("INSERT INTO things (k) VALUES ('one')")
        for code in ("42501", "40001", "57P01", "08006", "XX000"):
            self.refused(code, "refuse() in the database", body=self.MIGHT % code)
        self.refused("a trigger or function in the database refused it", body=self.MIGHT % "P0001")
        self.refused("42P01", "refuse() in the database", body="EXECUTE format('SELECT FROM %I', NEW.name);")
        self.refused("42P01", "in the database", body="PERFORM quote_ident(NEW.name)::regclass;")
        self.refused('relation "nowhere" does not exist', body="PERFORM * FROM nowhere;")
        self.b.run("DROP FUNCTION refuse() CASCADE")
        self.d.ctl("parked", "retry")       # what was refused for its own sake once stays aside until then
        self.settled()

    def test_words_of_the_server_itself_do_not_hide_in_what_may_leak(self):
        self.b.run("CREATE SCHEMA hidden; CREATE TABLE hidden.audit (t text); GRANT USAGE ON SCHEMA hidden TO crmsync")
        self.begin()
        self.a.run("INSERT INTO things (k) VALUES ('one')")
        self.refused("permission denied for table audit", body="INSERT INTO hidden.audit VALUES (NEW.name);")


class Once(ThreeCrms):
    def test_ends_with_1_when_records_are_parked(self):
        self.support.add("a@example.org", phone="1" * 21)
        self.support.add("b@example.org", phone="1")
        self.d = Daemon(self.place, self.topology(), run=False)
        self.assertEqual(self.d.run_once("--once"), 1)
        self.assertEqual(list(self.sales.people()), ["b@example.org"])

    def test_waits_for_a_database_that_comes_back(self):
        own = Cluster(self.place, "late")
        self.billing.base = self.database("billing2", "CREATE SEQUENCE codes", own)
        self.billing.base.run("CREATE TABLE clients (code text PRIMARY KEY DEFAULT 'C' || nextval('codes'), client_no text UNIQUE, label text);"
                              "CREATE TABLE payers (code text PRIMARY KEY DEFAULT 'P' || nextval('codes'), mail text UNIQUE, display text, "
                              "tel text, points int, client text REFERENCES clients)")
        self.billing.base.grant()
        self.populate(self.sales)
        own.shut()
        self.d = Daemon(self.place, self.topology(), run=False)
        self.d.start("--once")
        eventually(lambda: self.d.endpoint("billing")["state"] == "down", "it is seen to be away")
        own.open()
        self.assertEqual(self.d.finish(), 0)
        self.assertEqual(len(self.billing.people()), 20)


if __name__ == "__main__":
    unittest.main()
