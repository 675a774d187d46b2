"""More of the failure modes that the design names: trees, equal stamps, ends of long absences, servers that say nothing."""
import os
import socket
import unittest

from case import THING, THINGS, Pair
from crm import Cluster, eventually, topology

LONG = bool(os.environ.get("CRM_LONG"))
NODES = """
CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, name text,
	parent int REFERENCES things {}, changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON things (parent);
"""
NODE_ENTITY = """
thing:
  key: [k]
  fields:
    k: {type: text}
    name: {type: text}
    parent: {type: reference, entity: thing}
  limits: {mass_delete: 100%}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""
PARENTS = "SELECT t.k, t.name, p.k FROM things t LEFT JOIN things p ON p.id = t.parent"


class Trees(Pair):
    """a deletes whole trees by cascade; b does not, and refuses to lose a row that others point to."""
    a_sql = NODES.format("ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED")
    b_sql = NODES.format("")
    entities = NODE_ENTITY

    def both(self):
        self.d.wait()
        rows = [sorted(base.run(PARENTS), key=repr) for base in (self.a, self.b)]
        self.assertEqual(*rows)
        self.assertEqual(self.d.parked(), [])
        return rows[0]

    def test_f15_a_deep_tree_comes_and_goes_as_a_whole(self):
        self.begin()
        self.a.run("""DO $$ DECLARE last int; BEGIN FOR n IN 1..40 LOOP
                      INSERT INTO things (k, parent) VALUES ('d' || n, last) RETURNING id INTO last; END LOOP; END $$""")
        self.a.run("INSERT INTO things (k, parent) SELECT 'leaf' || n, (SELECT id FROM things WHERE k = 'd' || 1 + n % 40) FROM generate_series(1, 200) n")
        self.assertEqual(len(self.both()), 240)
        self.a.run("DELETE FROM things WHERE k = 'd1'")
        self.assertEqual(self.both(), [])
        self.assert_quiet()

    def test_f15_a_tree_whose_root_is_told_first_goes_as_a_whole_in_many_batches(self):
        """Each batch that has a parent before its children is refused there, until they are gone."""
        self.a.run("ALTER TABLE things DROP CONSTRAINT things_parent_fkey, ADD FOREIGN KEY (parent) REFERENCES things DEFERRABLE INITIALLY DEFERRED")
        self.a.run("INSERT INTO things (id, k, parent) OVERRIDING SYSTEM VALUE SELECT n, 'd' || n, nullif(n / 2, 0) FROM generate_series(1, 120) n")
        self.begin("limits:\n  batch_rows: 10")
        self.assertEqual(len(self.both()), 120)
        self.a.run("DELETE FROM things")
        self.assertEqual(self.both(), [])
        self.assert_quiet()

    def test_f15_rows_that_point_to_each_other_and_to_themselves_arrive_and_go(self):
        self.begin()
        self.a.run("""INSERT INTO things (k) VALUES ('self'), ('x'), ('y'), ('z');
                      UPDATE things SET parent = id WHERE k = 'self';
                      UPDATE things t SET parent = p.id FROM things p WHERE (t.k, p.k) IN (('x', 'y'), ('y', 'z'), ('z', 'x'))""")
        self.assertEqual([row[::2] for row in self.both()], [("self", "self"), ("x", "y"), ("y", "z"), ("z", "x")])
        self.b.run("UPDATE things SET parent = NULL WHERE k = 'y'")
        self.both()
        self.a.run("DELETE FROM things")
        self.assertEqual(self.both(), [])

    def test_f15_trees_that_are_made_and_turned_over_on_both_sides_at_once_end_equal(self):
        self.begin()
        for turn in range(4):
            for side, base in (("a", self.a), ("b", self.b)):
                base.run("BEGIN")       # so that there are always some whose parent comes with them
                base.run("INSERT INTO things (k, parent) SELECT $1 || n, (SELECT id FROM things ORDER BY random() LIMIT 1) "
                         "FROM generate_series(1, 30) n", f"{side}{turn}.")
                base.run("UPDATE things SET name = $1, parent = (SELECT id FROM things ORDER BY random() LIMIT 1) "
                         "WHERE id IN (SELECT id FROM things ORDER BY random() LIMIT 10)", f"{side}{turn}")
                base.run("COMMIT")
        self.assertEqual(len(self.both()), 240)
        self.assert_quiet()


class TreesThatCascade(Trees):
    """So would b, and is not asked to."""
    b_sql = NODES.format("ON DELETE CASCADE")

    def test_f15_what_is_left_of_a_tree_keeps_all_that_it_hangs_on(self):
        self.begin()
        self.a.run("INSERT INTO things (id, k, parent) OVERRIDING SYSTEM VALUE SELECT n, 'd' || n, nullif(n / 2, 0) FROM generate_series(1, 120) n")
        self.both()
        self.d.ctl("pause", "a")
        self.a.run("DELETE FROM things WHERE k = 'd1'")
        self.b.run("UPDATE things SET name = 'edited' WHERE k = 'd21'")
        eventually(lambda: self.d.entity("thing")["pending"] == 1, "the edit has been heard")
        self.d.ctl("resume", "a")
        self.d.wait()
        self.assertEqual(sorted(self.b.run(PARENTS)), [("d1", None, None), ("d10", None, "d5"), ("d2", None, "d1"), ("d21", "edited", "d10"), ("d5", None, "d2")])
        self.assertEqual(sorted((p["key"], p["endpoint"], p["code"]) for p in self.d.parked()),
                         [(k, "b", "23503") for k in ("d1", "d10", "d2")] + [("d21", "a", "waits-for-parent"), ("d5", "b", "23503")])
        self.b.run("DELETE FROM things WHERE k = 'd21'")
        self.assertEqual(self.both(), [])
        self.assert_quiet()


class Transactions(Pair):
    def test_f27_one_transaction_of_many_rows_arrives_and_memory_stays_bounded(self):
        rows = 1_000_000 if LONG else 50_000
        self.begin()
        self.a.run(f"INSERT INTO things (k, name) SELECT 'k' || n, 'name of ' || n FROM generate_series(1, {rows}) n")
        eventually(lambda: self.b.one("SELECT count(*) FROM things") == rows, "all arrive", 3600 if LONG else None)
        self.d.wait(3600 if LONG else None)
        same = "SELECT count(*), md5(string_agg(k || name, ',' ORDER BY k)) FROM things"
        self.assertEqual(self.a.run(same), self.b.run(same))
        self.assert_peak(100)


class EqualStamps(Pair):
    """Both are polled, so that the row's own stamp is all there is."""
    b_capture = {"capture": "poll", "interval": "100ms", "sweep": "1h"}

    def begin(self):
        self.d = self.daemon(topology(self.redis, {name: {"connection": base.conninfo, **self.b_capture}
                                                   for name, base in (("a", self.a), ("b", self.b))},
                                      THING.replace("  mappings:", "  conflict: {priority: [b, a]}\n  mappings:")))
        self.d.wait()

    def test_f07_of_two_edits_of_one_moment_one_side_stands_in_all_fields(self):
        self.a.run("INSERT INTO things (k, name, code, amount) SELECT 'k' || n, 'old', 'old', 0 FROM generate_series(1, 20) n")
        self.begin()
        for last, ours, theirs in (("b", ("z", "a1", "1"), ("c", "b1", "2")), ("a", ("x", "a2", "3"), ("d", "b2", "4"))):
            with self.subTest(heard_last=last):
                self.d.ctl("pause", last)
                moment = self.a.one("SELECT clock_timestamp()::text")
                for base, edit in ((self.a, ours), (self.b, theirs)):
                    base.run("UPDATE things SET code = $1, name = $2, amount = $3, changed = CAST($4 AS timestamptz)", *edit, moment)
                eventually(lambda: self.d.entity("thing")["pending"] == 20, "the other one has been heard")
                self.d.ctl("resume", last)
                self.assertEqual({row[1:] for row in self.settled()}, {theirs}, "those of b, which is named first")
        self.assert_quiet()


class Away(Pair):
    def test_f12_what_was_deleted_while_a_side_was_away_for_long_is_deleted_there_and_does_not_come_back(self):
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || n, 'old' FROM generate_series(1, 30) n")
        self.begin()
        self.settled()
        self.d.ctl("pause", "b")
        self.a.run("DELETE FROM things WHERE k IN ('k1', 'k2'); UPDATE things SET name = 'new' WHERE k = 'k3'")
        self.b.run("UPDATE things SET code = 'b' WHERE k IN ('k2', 'k4')")
        eventually(lambda: self.d.entity("thing")["pending"] > 0, "b is owed something")
        self.d.kill()
        self.d.start()
        self.d.ctl("resume", "b")
        rows = {row[0]: row[1:3] for row in self.settled()}
        self.assertEqual((len(rows), "k1" in rows, rows["k2"], rows["k3"], rows["k4"]),
                         (29, False, ("b", "old"), (None, "new"), ("b", "old")), "an edit wins over a delete it does not know of")
        self.assert_quiet()


class LocalIds(Pair):
    a_sql = b_sql = THINGS.replace("GENERATED ALWAYS", "GENERATED BY DEFAULT")

    def test_f13_a_local_id_that_changes_takes_its_record_along(self):
        self.b.run("INSERT INTO things (k, name) SELECT 'k' || n, 'old' FROM generate_series(1, 20) n")
        self.begin()
        self.settled()
        ids = self.a.run("SELECT k, id FROM things ORDER BY k")
        self.b.run("UPDATE things SET id = id + 1000, changed = clock_timestamp() WHERE k <= 'k15'")
        self.b.run("UPDATE things SET id = 1, k = 'other', changed = clock_timestamp() WHERE k = 'k9'")
        self.settled()
        self.a.run("UPDATE things SET name = 'new'")
        self.b.run("UPDATE things SET code = 'code', changed = clock_timestamp()")
        eventually(lambda: self.a.one("SELECT count(*) FROM things WHERE code = 'code'") == 20, "the codes arrive")
        rows = self.settled()
        self.assertEqual((len(rows), {row[1:3] for row in rows}), (20, {("code", "new")}))
        self.assertEqual([i for _, i in ids if _ != "k9"], [i for k, i in self.a.run("SELECT k, id FROM things ORDER BY k") if k != "other"])
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()


class Cut(Pair):
    b_sql = THINGS + """
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := left(NEW.name, 5); RETURN NEW; END $$;
CREATE TRIGGER cut BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION cut();
ALTER TABLE things ALTER code TYPE varchar(5);
"""

    def test_f20_what_is_too_long_for_one_side_is_never_cut_at_the_other(self):
        self.begin()
        self.a.run("INSERT INTO things (k, name, code) VALUES ('k1', 'much too long', 'fits'), ('k2', 'short', 'fits')")
        self.d.wait()
        self.b.run("UPDATE things SET amount = 1")
        self.d.wait()
        self.a.run("UPDATE things SET code = 'much too long' WHERE k = 'k2'")
        self.d.wait()
        self.b.run("UPDATE things SET amount = 2")
        self.d.wait()
        self.assertEqual(self.rows(self.a), [("k1", "fits", "much too long", "2"), ("k2", "much too long", "short", "2")])
        self.assertEqual(self.rows(self.b), [("k1", "fits", "much ", "2"), ("k2", "fits", "short", "2")])
        self.assertEqual([(p["key"], p["code"]) for p in self.d.parked()], [("k2", "22001")])
        self.assert_quiet()


class Locks(Pair):
    b_capture = {**Pair.b_capture, "lock_timeout": "50ms"}

    def failures(self):
        return self.b.cluster.place.log_file(self.b.cluster.name).read_text(errors="replace").count("canceling statement due to lock timeout")

    def test_f26_a_lock_that_is_held_for_long_is_tried_again_and_again_and_parks_nothing(self):
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || n, 'old' FROM generate_series(1, 20) n")
        self.begin()
        for lock in ("SELECT FROM things WHERE k = 'k1' FOR UPDATE", "LOCK TABLE things"):
            with self.subTest(lock), self.b.connect() as session:
                session.run("BEGIN; " + lock)
                before = self.failures()
                self.a.run("UPDATE things SET name = $1 WHERE k IN ('k1', 'k2')", lock)
                eventually(lambda: self.failures() >= before + 3, "it was tried several times")
                eventually(lambda: not LONG or self.b.one("SELECT clock_timestamp() - max(xact_start) > interval '1 min' FROM pg_stat_activity "
                                                          "WHERE state = 'idle in transaction'"), "it is held for a minute")
                self.assertEqual(self.d.parked(), [])
                session.run("COMMIT")
            self.settled()


class Backlog(Pair):
    """Nothing holds back the server's own log; ours grows where nobody drains it."""

    def log(self, oldest):
        """The change log of a as status has it, once the age of its oldest entry is in that range."""
        def seen():
            log = self.d.endpoint("a")["change_log"]
            return (log and oldest[0] <= log["oldest_seconds"] <= oldest[1] and log) or (False, str(log))

        return eventually(seen, f"oldest entry of {oldest} s")

    def test_f21_a_change_log_that_is_not_drained_is_told_with_its_age_its_size_and_whose_it_is(self):
        self.a.run("INSERT INTO things (k) VALUES ('k1')")
        self.begin()
        self.settled()
        self.assertEqual(self.a.one("SELECT count(*) FROM pg_replication_slots WHERE database = current_database()"), 0)
        self.assertIsNone(self.log((0, 0))["oldest_of"])
        self.d.ctl("pause", "thing")
        self.a.run("UPDATE things SET name = 'waits'; UPDATE crmsync.changelog SET at = at - interval '2 hours'; "
                   "INSERT INTO crmsync.changelog (consumer, tab, op, pk) VALUES ('gone', 'public.things', 'U', '1')")
        self.d.restart()        # it looks at once, else every few seconds
        log = self.log((7200, 7300))
        self.assertEqual(log["oldest_of"], "acme")
        self.assertGreater(log["bytes"], 8000)
        metrics = self.d.metrics()
        self.assertEqual(metrics['crmsyncd_endpoint_change_log_bytes{endpoint="a"}'], log["bytes"])
        self.assertGreater(metrics['crmsyncd_endpoint_change_log_oldest_seconds{endpoint="a"}'], 7000)
        self.assertIn("a: the oldest entry in its change log has waited for 2 h", " ".join(self.d.ctl("status").split()))
        self.d.ctl("resume", "thing")
        self.settled()
        self.a.run("UPDATE crmsync.changelog SET at = at - interval '1 day'")
        self.d.restart()
        self.assertEqual(self.log((86400, 86500))["oldest_of"], "gone")
        self.assertIn("it is for the topology gone, whose crmsyncd does not take it", " ".join(self.d.ctl("status").split()))


class Silent(Pair):
    """A third endpoint takes connections and says nothing."""

    def test_f34_a_server_that_never_answers_delays_nobody_else(self):
        with socket.create_server(("127.0.0.1", 0)) as hole:
            sides = {"a": {"connection": self.a.conninfo}, "b": {"connection": self.b.conninfo},
                     "c": {"connection": f"host=127.0.0.1 port={hole.getsockname()[1]} dbname=c user=crmsync connect_timeout=60"}}
            self.d = self.daemon(topology(self.redis, sides, THING + "    c: {table: things, modified: changed}\n"))
            for n in range(20):
                self.a.run("INSERT INTO things (k) VALUES ($1)", f"k{n}")
                eventually(lambda n=n: self.b.one("SELECT count(*) FROM things") == n + 1, "b has it", 20)
            self.assertEqual((self.d.endpoint("a")["state"], self.d.endpoint("b")["state"]), ("up", "up"))
            self.assertNotEqual(self.d.endpoint("c")["state"], "up")
            self.assertEqual(self.d.parked(), [])


class Prepared(Pair):
    """A prepared transaction is left over while the change log is drained."""

    def setUp(self):
        super().setUp()
        server = Cluster(self.place, "twophase", "max_prepared_transactions = 5")
        self.a = self.database("modes_2pc", THINGS, server)

    def begin(self):
        sides = {"a": {"connection": self.a.conninfo, "notify": "false", "interval": "100ms"}, "b": {"connection": self.b.conninfo}}
        self.d = self.daemon(topology(self.redis, sides, THING))
        self.d.wait()

    def test_f35_one_that_is_left_over_delays_only_itself(self):
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || n, 'old' FROM generate_series(1, 20) n")
        self.begin()
        for name, sql in (("one", "UPDATE things SET name = 'one' WHERE k = 'k1'; INSERT INTO things (k) VALUES ('new')"),
                          ("two", "UPDATE things SET name = 'two' WHERE k = 'k2'; DELETE FROM things WHERE k = 'k3'")):
            with self.a.connect() as session:
                session.run(f"BEGIN; {sql}; PREPARE TRANSACTION '{name}'")
        for n in range(5):
            self.a.run("UPDATE things SET name = $1 WHERE k > 'k4'", f"{n}")
            self.settled_but("k1", "k2", "k3")
        self.d.restart()
        self.a.run("UPDATE things SET name = 'after' WHERE k > 'k4'")       # that is acknowledged in this life, too
        self.settled_but("k1", "k2", "k3")
        self.assertEqual(self.a.one("SELECT count(*) FROM crmsync.changelog"), 0, "the log is drained")
        self.a.run("COMMIT PREPARED 'one'")
        self.a.run("ROLLBACK PREPARED 'two'")
        rows = {row[0]: row[2] for row in self.settled()}
        self.assertEqual((len(rows), rows["k1"], rows["k2"], rows["k3"], rows["new"]), (21, "one", "old", "old", None))

    def settled_but(self, *left):
        self.d.wait()
        self.assertEqual(*([row for row in self.rows(base) if row[0] not in left] for base in (self.a, self.b)))


class DeletedUnseen(Pair):
    """Of a delete at b only a sweep tells."""
    b_capture = {"capture": "poll", "interval": "100ms", "sweep": "1h"}
    entities = THING.replace("  mappings:", "  conflict: {fields: {amount: max}}\n  mappings:")

    def test_f12_what_an_edit_that_loses_owes_to_a_row_that_is_gone_is_not_waited_for(self):
        self.a.run("INSERT INTO things (k, amount) VALUES ('k1', 5), ('k2', 5)")
        self.begin()
        self.settled()
        self.b.run("DELETE FROM things WHERE k = 'k1'")
        self.a.run("UPDATE things SET amount = 1, changed = clock_timestamp() WHERE k = 'k1'")
        self.d.wait()
        self.d.ctl("kick", "--sweep")
        self.settled()
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
