"""crmsyncctl migrate: an entity's rows go to one endpoint and nowhere else, and what was broken off goes on where it stopped."""
import json
import random
import re
import signal
import subprocess
import threading
import unittest

from case import Pair, behind_our_back, needs_failpoints
from crm import CRMSYNCCTL, Cluster, Standby, eventually, topology
from killing import LONG, TIMES, Killing

THING = """
thing:
  key: [k]
  fields:
    k: {type: text, clean: [trim, lower], check: [required]}
    code: {type: text, clean: [trim]}
    name: {type: text}
    amount: {type: decimal, check: [{range: [-1000000, 1000000]}]}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""
FILL = ("INSERT INTO things (k, code, name, amount) SELECT 'k' || i, 'code ' || i % 7, 'name of ' || i, trim_scale(i / 4.0) "
        "FROM generate_series($1::int, $2::int) i")
SMALL_BATCHES = "limits:\n  batch_rows: 100"


# Phases by number: sync/migrate.h.
PLACES = ["round/apply/sent", "round/mark/sent", "migrate/2"]
if LONG:
    PLACES += [f"round/{step}/{moment}" for step in ("recall", "read keys", "intend") for moment in ("before", "sent", "answered")]
    PLACES += ["round/apply/before", "round/apply/answered", "round/mark/before", "round/mark/answered", "migrate/4"]


class Migrating(Pair):
    """Two sides, and a daemon that keeps its hands off until it is told."""
    entities = THING

    def rest(self, capture="listen", more=""):
        """It was started with --paused, and can use both."""
        side = {"capture": capture, "interval": "200ms", "sweep": "1h"}
        sides = {"a": {"connection": self.a.conninfo, **side}, "b": {"connection": self.b.conninfo, **side}}
        self.d = self.daemon(topology(self.redis, sides, self.entities, more=more), options=("--log-level", "debug", "--paused"))
        self.until_ready()

    def until_ready(self):
        eventually(lambda: '"complete": true' in self.d.try_ctl("--json", "plan", "thing").stdout, "both sides can be used")

    def migrate(self, *words, code=0):
        """(what was said of progress, the sum)"""
        *lines, total = self.d.ctl_lines("migrate", "thing", "--from", "a", "--to", "b", *words, code=code)
        return [line["progress"] for line in lines], total

    def begin_migrating(self, *words):
        """It runs, and what it says can be read line by line."""
        asked = subprocess.Popen([CRMSYNCCTL, "-s", self.d.control, "--json", "migrate", "thing", "--from", "a", "--to", "b", *words],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for end in (asked.stdout.close, asked.wait, asked.terminate):       # from the last to the first
            self.addCleanup(end)
        return asked

    def until_told(self, asked, true):
        """The next progress of which it is so; the sum, which comes last, is none."""
        for line in asked.stdout:
            progress = json.loads(line).get("progress")
            self.assertIsNotNone(progress, f"it ended before: {line}")
            if true(progress):
                return progress
        self.fail("it broke off")

    def ended(self, asked, code=0):
        """The sum."""
        *_, last = asked.stdout
        self.assertEqual(asked.wait(), code, last)
        return json.loads(last)

    def arrived(self):
        return self.b.one("SELECT count(*) FROM things")

    def refused(self, *words):
        ran = self.d.try_ctl("--json", "migrate", "thing", "--from", "a", "--to", "b", *words)
        return ran.returncode, json.loads(ran.stdout.splitlines()[-1])["error"]["text"]

    def assert_equal(self):
        self.assertTrue(self.rows(self.a) == self.rows(self.b), "the two sides differ")

    def resume(self):
        self.d.ctl("resume", "thing")
        self.d.wait()


class Migrate(Killing, Migrating):
    def test_an_empty_target_is_filled_and_nothing_else_is_touched(self):
        self.a.run(FILL, 1, 5000)
        self.a.run("UPDATE things SET k = ' K' || substr(k, 2), code = code || ' ' WHERE id <= 10")
        self.a.run("UPDATE things SET amount = 5000000 WHERE id = 77")
        self.rest()
        before = self.a.versions()
        _, total = self.migrate(code=1)
        self.assertEqual([total[n] for n in ("rows", "inserted", "rejected", "cleaned")], [5000, 4999, 1, 20])
        self.assertGreater(total["bytes"], 100000)
        self.assertGreater(total["seconds"], 0)
        self.assertEqual(before, self.a.versions(), "the source was written to")
        self.assertEqual(self.b.run("SELECT k, code, name FROM things WHERE k = 'k1'"), [("k1", "code 1", "name of 1")])
        self.assertEqual(self.b.one("SELECT count(*) FROM things"), 4999)

    def test_rows_that_are_none_of_the_entitys_do_not_count(self):
        self.entities = THING.replace("a: {table: things, modified: changed}", "a: {table: things, modified: changed, where: {code: code 1}}")
        self.a.run(FILL, 1, 700)
        self.a.run("UPDATE things SET amount = 5000000 WHERE id = 8")       # which is one of them
        self.rest(more=SMALL_BATCHES)
        _, total = self.migrate(code=1)
        self.assertEqual([total[n] for n in ("rows", "inserted", "rejected", "waiting")], [100, 99, 1, 0])

    def catch_up(self, capture):
        self.a.run(FILL, 1, 1000)
        self.rest(capture)
        late = self.a.connect()         # begun before, committed after; stamped so that from the last second before the copy on would be too late
        late.run("BEGIN")
        late.run("UPDATE things SET name = 'edited meanwhile', changed = now() - interval '900 milliseconds' WHERE k = 'k7'")
        eventually(lambda: late.run("SELECT clock_timestamp() - now() > interval '300 milliseconds'")[0][0], "now is later than that")
        self.migrate()
        late.run("COMMIT")
        late.close()
        self.a.run(FILL, 3001, 3001)
        self.b.run("UPDATE things SET name = 'edited there', changed = now() WHERE k = 'k8'")
        self.resume()
        rows = {row[0]: row[2] for row in self.settled()}
        self.assertEqual([rows["k7"], rows["k8"], rows["k3001"]], ["edited meanwhile", "edited there", "name of 3001"])
        self.assertEqual(self.d.log.count("survey begins"), 0, "a table was listed once more")

    def test_what_is_edited_meanwhile_is_caught_up_without_another_listing(self):
        self.catch_up("listen")

    def test_what_is_edited_meanwhile_is_caught_up_by_poll_too(self):
        self.catch_up("poll")

    def test_where_poll_goes_on_is_known_before_anything_is_listed(self):
        self.rest("poll")
        self.migrate()
        (key,) = self.redis.call("KEYS", "*:pos")
        for side in ("a", "b"):
            position = self.redis.call("HGET", key, f"poll/thing/{side}")
            self.assertIsNotNone(position, f"where to go on at {side}")

    def test_a_target_with_rows_is_refused_unless_it_is_said_what_becomes_of_them(self):
        self.a.run(FILL, 1, 10)
        self.b.run(FILL, 11, 12)
        self.rest()
        before = self.b.versions()
        code, why = self.refused()
        self.assertEqual((code, "--onto" in why), (64, True), why)
        self.assertEqual(before, self.b.versions())

    def test_onto_merge_the_rules_decide_and_the_source_gets_its_part_later(self):
        self.a.run(FILL, 1, 20)
        self.b.run(FILL, 15, 30)
        self.a.run("UPDATE things SET name = 'older', changed = now() - interval '2 days' WHERE k = 'k15'")
        self.b.run("UPDATE things SET name = 'newer', changed = now() - interval '1 day' WHERE k = 'k15'")
        self.a.run("UPDATE things SET name = 'newer', changed = now() - interval '1 day' WHERE k = 'k16'")
        self.b.run("UPDATE things SET name = 'older', changed = now() - interval '2 days' WHERE k = 'k16'")
        self.rest()
        before = self.a.versions()
        _, total = self.migrate("--onto", "merge")
        self.assertEqual([total[n] for n in ("rows", "inserted", "updated", "deleted")], [20, 14, 1, 0])
        self.assertEqual(before, self.a.versions(), "the source was written to")
        self.assertEqual(self.b.run("SELECT name FROM things WHERE k IN ('k15', 'k16')"), [("newer",)] * 2)
        self.resume()
        self.assertEqual(len(self.settled()), 30)
        self.assertEqual(self.a.one("SELECT name FROM things WHERE k = 'k15'"), "newer")

    def test_onto_replace_the_target_becomes_equal_and_can_have_its_rows_back(self):
        self.a.run(FILL, 1, 20)
        self.b.run(FILL, 15, 30)
        self.b.run("UPDATE things SET name = 'of b alone', changed = now() + interval '10 seconds' WHERE k IN ('k15', 'k30')")
        self.rest()
        _, total = self.migrate("--onto", "replace")
        self.assertEqual([total[n] for n in ("rows", "inserted", "updated", "deleted")], [20, 14, 1, 10])
        self.assert_equal()
        self.resume()
        self.assertEqual(len(self.settled()), 20)
        images = {(i["operation"], i["key"]): i for i in self.d.ctl_lines("history")}
        self.assertEqual(images["update", "k15"]["fields"]["name"]["before"], "of b alone")
        self.assertEqual(images["delete", "k30"]["fields"]["name"]["before"], "of b alone")
        self.d.ctl("undo", "--run", str(images["delete", "k30"]["run"]))
        rows = {row[0]: row[2] for row in self.settled()}
        self.assertEqual((len(rows), rows["k30"]), (30, "of b alone"))

    def test_onto_replace_keeps_rows_that_a_row_of_the_source_may_be(self):
        self.a.run(FILL, 1, 3)
        self.b.run(FILL, 2, 4)
        self.a.run("UPDATE things SET amount = 5000000 WHERE k = 'k2'")
        self.rest()
        _, total = self.migrate("--onto", "replace", code=1)
        self.assertEqual((total["extra_kept"], total["deleted"]), (True, 0))
        self.assertEqual(self.b.run("SELECT k FROM things ORDER BY k"), [("k1",), ("k2",), ("k3",), ("k4",)])

    def replaced(self, *words, code=0):
        """The sum of an order after which the target is as the source, and stays so."""
        _, total = self.migrate("--onto", "replace", *words, code=code)
        wanted = self.rows(self.a)
        self.assert_equal()
        self.resume()
        self.assertEqual(self.settled(), wanted, "the target had a say after all")
        return total

    def test_onto_replace_ends_what_came_to_the_target_since_it_was_listed(self):
        self.a.run(FILL, 1, 20)
        self.rest()
        self.migrate()
        self.b.run(FILL, 21, 22)
        self.b.run("UPDATE things SET name = 'of b' WHERE k = 'k1'")
        total = self.replaced()
        self.assertEqual([total[n] for n in ("inserted", "updated", "deleted")], [0, 1, 2])

    def test_onto_replace_ends_what_only_the_target_has_without_a_trace(self):
        self.a.run(FILL, 1, 10)
        self.begin(SMALL_BATCHES)
        behind_our_back(self.b, "UPDATE things SET name = 'x' WHERE k = 'k1'", "DELETE FROM things WHERE k = 'k3'",
                        "INSERT INTO things (k) SELECT 'z' || i FROM generate_series(1, 250) i")
        behind_our_back(self.a, "UPDATE things SET name = 'y' WHERE k = 'k5'", "DELETE FROM things WHERE k = 'k6'")
        total = self.replaced()
        self.assertEqual([total[n] for n in ("inserted", "updated", "deleted")], [1, 2, 251])

    def test_onto_replace_writes_over_what_the_rules_gave_to_the_target(self):
        self.a.run(FILL, 1, 3)
        self.b.run(FILL, 1, 3)
        self.b.run("UPDATE things SET name = 'of b', changed = now() + interval '1 second' WHERE k < 'k3'")
        self.rest()
        self.migrate("--onto", "merge")
        self.assertEqual(self.replaced()["updated"], 2)
        images = self.d.ctl_lines("history")
        self.assertEqual([i["fields"]["name"]["before"] for i in images], ["of b"] * 2)

    def test_onto_replace_writes_over_what_the_source_has_refused(self):
        self.a.run(FILL, 1, 3)
        self.begin()
        self.a.run("ALTER TABLE things ADD CHECK (name <> 'bad')")
        self.b.run("UPDATE things SET name = 'bad' WHERE k = 'k1'")
        self.d.wait()
        self.assertEqual(len(self.d.parked()), 1)
        self.replaced()
        self.assertEqual(self.d.parked(), [])

    def test_onto_replace_brings_back_what_the_target_has_deleted(self):
        self.a.run(FILL, 1, 3)
        self.begin()
        self.d.ctl("pause", "a")
        self.b.run("DELETE FROM things WHERE k = 'k1'")
        eventually(lambda: self.d.entity("thing")["pending"], "a is owed that")
        self.d.ctl("pause", "thing")
        self.d.ctl("resume", "a")
        self.until_ready()
        self.assertEqual(self.replaced()["inserted"], 1)

    def test_onto_replace_nobody_is_asked_about_what_waits_for_a_person(self):
        self.entities = THING.replace("  mappings:", "  conflict: {fields: {name: manual}}\n  mappings:")
        self.a.run(FILL, 1, 2)
        self.b.run(FILL, 1, 2)
        self.b.run("UPDATE things SET name = 'of b' WHERE k = 'k1'")
        self.rest()
        self.migrate("--onto", "merge")
        self.assertEqual(self.replaced()["updated"], 1)
        self.assertEqual([c for c in self.d.ctl_lines("conflicts") if c["winner"] == ""], [])

    def test_onto_replace_carries_out_deletes_that_are_held(self):
        self.a.run(FILL, 1, 60)
        self.begin()
        self.a.run("DELETE FROM things WHERE id > 5")
        eventually(lambda: self.d.ctl_lines("held", "list"), "they are held")
        self.d.wait()
        left = self.arrived() - 5
        self.assertEqual(self.replaced()["deleted"], left)
        self.assertEqual(self.d.ctl_lines("held", "list"), [])

    def test_onto_replace_knows_of_deletes_that_nobody_has_captured_yet(self):
        self.a.run(FILL, 1, 20)
        self.begin()
        self.d.ctl("pause", "thing")
        self.a.run("DELETE FROM things WHERE k = 'k4'")
        self.a.run("UPDATE things SET name = 'of a' WHERE k = 'k3'")
        self.b.run("UPDATE things SET name = 'of b' WHERE k IN ('k1', 'k4')")
        self.b.run("DELETE FROM things WHERE k = 'k2'")
        total = self.replaced("--strategy", "incremental")
        self.assertEqual([total[n] for n in ("inserted", "updated", "deleted")], [1, 2, 1])

    def test_onto_replace_a_row_that_both_have_got_since_is_written_over(self):
        self.b.run("ALTER TABLE things DROP CONSTRAINT IF EXISTS things_k_key")
        self.a.run(FILL, 1, 2)
        self.begin()
        self.d.ctl("pause", "thing")
        for side in (self.a, self.b):
            side.run(FILL, 3, 3)
        self.b.run("UPDATE things SET name = 'of b' WHERE k = 'k3'")
        total = self.replaced()
        self.assertEqual([total[n] for n in ("inserted", "updated", "deleted")], [0, 1, 0])

    def test_onto_replace_what_a_third_endpoint_has_said_stays(self):
        c = self.database(f"{self.name}_c", self.b_sql)
        self.entities = THING + "    c: {table: things, modified: changed}\n"
        self.a.run(FILL, 1, 2)
        sides = {name: {"connection": base.conninfo, **self.a_capture} for name, base in (("a", self.a), ("b", self.b), ("c", c))}
        self.d = self.daemon(topology(self.redis, sides, self.entities))
        self.d.wait()
        self.d.ctl("pause", "a")
        c.run("UPDATE things SET name = 'of c' WHERE k = 'k1'")
        self.b.run("UPDATE things SET name = 'of b' WHERE k = 'k2'")
        eventually(lambda: self.b.one("SELECT name FROM things WHERE k = 'k1'") == "of c", "b has got it")
        eventually(lambda: c.one("SELECT name FROM things WHERE k = 'k2'") == "of b", "c has got it")
        self.d.ctl("pause", "thing")
        self.d.ctl("resume", "a")
        self.until_ready()
        self.migrate("--onto", "replace")
        self.assertEqual([row[2] for row in self.rows(self.b)], ["of c", "name of 2"])
        self.resume()
        self.assertEqual([row[2] for row in self.settled()], ["of c", "name of 2"])
        self.assertEqual(self.rows(c), self.rows(self.a))

    def test_rows_that_have_the_same_key_are_rejected(self):
        self.a.run(FILL, 1, 3)
        self.a.run("UPDATE things SET k = ' K1' WHERE k = 'k3'")
        self.rest()
        for _ in range(2):
            _, total = self.migrate("--onto", "merge", code=1)
            self.assertEqual((total["rejected"], self.arrived()), (1, 2))
        self.assertEqual([p["code"] for p in self.d.parked()], ["duplicate-key"])

    def test_what_the_target_refuses_again_is_rejected_again(self):
        self.a.run(FILL, 1, 3)
        self.b.run("ALTER TABLE things ADD CONSTRAINT fine CHECK (name <> 'name of 2')")
        self.rest()
        for strategy in ("full", "full", "incremental"):
            _, total = self.migrate("--onto", "merge", "--strategy", strategy, code=1)
            self.assertEqual((total["rejected"], self.arrived()), (1, 2), strategy)
        self.b.run("ALTER TABLE things DROP CONSTRAINT fine")
        _, total = self.migrate("--onto", "merge")
        self.assertEqual((total["rejected"], self.arrived()), (0, 3))

    def break_off(self, asked, how):
        if how == "kill -9":
            self.d.kill()
        elif how == "Ctrl-C":
            asked.send_signal(signal.SIGINT)
        else:
            side = self.a if how == "connections to a lost" else self.b
            side.run("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'crmsync'")
        asked.wait()
        if how == "kill -9":
            self.redis.call("HSET", "crmsync:acme:lease", "until", "0")     # nobody waits for the end of a lease whose holder is gone
            self.d.start()
        eventually(lambda: self.d.status()["jobs"] == [], "the daemon has noticed")

    def begin_again(self, rate):
        """(it runs, the first line that it has told): as soon as both sides can be used."""
        def begun():
            asked = self.begin_migrating("--strategy", "parallel", "--jobs", "2", "--rate", str(rate))
            line = asked.stdout.readline()
            return '"error"' not in line and (asked, line)

        return eventually(begun, "it goes on")

    def test_interrupted_at_random_and_asked_again_it_ends_as_if_nothing_had_happened(self):
        rows, times = (30000, 10) if LONG else (3000, 3)
        self.a.run(FILL, 1, rows)
        self.a.run("UPDATE things SET k = ' K' || substr(k, 2), code = code || ' ' WHERE id % 100 = 0")
        self.rest(more=SMALL_BATCHES)
        dice = random.Random(5)
        ways = ["kill -9", "Ctrl-C", "connections to a lost", "connections to b lost"]
        for n in range(times):
            asked, _ = self.begin_again(rows // (2 * times))        # so that it is not over before
            enough = self.arrived() + dice.randrange(1, rows // times // 2)
            eventually(lambda: asked.poll() is not None or self.arrived() >= enough, "more rows have come")
            self.break_off(asked, "kill -9" if n == 0 else dice.choice(ways))
        asked, first = self.begin_again(rows)
        total = json.loads([first, *asked.stdout][-1])
        wanted = self.a.run("SELECT lower(trim(k)) COLLATE \"C\", trim(code), name, amount::text FROM things ORDER BY 1")
        self.assertTrue(wanted == self.b.run("SELECT k COLLATE \"C\", code, name, amount::text FROM things ORDER BY 1"), "the target is another one")
        self.assertEqual([total[n] for n in ("rows", "rejected", "inserted")], [rows, 0, rows])
        self.resume()
        self.assertIn("migration goes on where it stopped", self.d.log)

    @needs_failpoints
    def test_killed_at_its_steps_and_asked_again_it_ends_as_if_nothing_had_happened(self):
        self.a.run(FILL, 1, 600)
        self.rest(more=SMALL_BATCHES)
        order = ("migrate", "thing", "--from", "a", "--to", "b")
        for n, place in enumerate(["migrate/1"] + PLACES * TIMES):      # the target is listed the first time only
            self.b.run("TRUNCATE things")
            self.arm(place, 1 if place in ("migrate/1", "migrate/4") else 1 + n % 4)
            self.dies(place, order)
            ran = eventually(lambda: (r := self.d.try_ctl("--json", *order)).returncode not in (69, 75) and r, "it can go on to its end")
            total = json.loads(ran.stdout.splitlines()[-1])
            self.assertEqual((ran.returncode, total["rows"], total["rejected"]), (0, 600, 0), place)
            self.assert_equal()
        self.resume()
        self.settled()

    @needs_failpoints
    def test_f29_what_was_in_work_when_it_was_killed_counts_once(self):
        self.a.run(FILL, 1, 600)
        self.rest(more=SMALL_BATCHES)
        _, whole = self.migrate()
        order = ("migrate", "thing", "--from", "a", "--to", "b")
        for place in ("round/apply/sent", "round/apply/answered", "round/mark/sent", "round/mark/answered"):
            self.b.run("TRUNCATE things")
            self.arm(place, 2)
            self.dies(place, order)
            ran = eventually(lambda: (r := self.d.try_ctl("--json", *order)).returncode not in (69, 75) and r, "it can go on to its end")
            total = json.loads(ran.stdout.splitlines()[-1])
            for n in ("rows", "inserted", "updated", "rejected", "read_bytes", "written_bytes"):
                self.assertEqual(total[n], whole[n], f"{n}: {place}")

    @needs_failpoints
    def test_onto_replace_killed_while_it_ends_what_only_the_target_has_it_goes_on(self):
        self.a.run(FILL, 1, 100)
        self.rest(more=SMALL_BATCHES)
        self.migrate()
        self.b.run(FILL, 101, 600)
        order = ("migrate", "thing", "--from", "a", "--to", "b", "--onto", "replace")
        for n in (1, 3):
            self.arm("migrate/3", n)
            self.dies("migrate/3", order)
        ran = eventually(lambda: (r := self.d.try_ctl("--json", *order)).returncode not in (69, 75) and r, "it can go on to its end")
        self.assertEqual(ran.returncode, 0, ran.stdout)
        self.assertEqual(json.loads(ran.stdout.splitlines()[-1])["deleted"], 500)
        self.assert_equal()
        self.assertIn("migration goes on where it stopped", self.d.log)
        self.resume()
        self.assertEqual(len(self.settled()), 100)

    def test_whoever_leaves_stops_it_and_the_same_command_goes_on(self):
        self.a.run(FILL, 1, 3000)
        self.rest(more=SMALL_BATCHES)
        asked = subprocess.Popen([CRMSYNCCTL, "-s", self.d.control, "migrate", "thing", "--from", "a", "--to", "b", "--rate", "500"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: self.b.one("SELECT count(*) FROM things") > 200, "some have come")
        asked.terminate()
        self.assertEqual(asked.wait(), 130)
        eventually(lambda: "migration left" in self.d.log, "the daemon has noticed")
        self.assertLess(self.b.one("SELECT count(*) FROM things"), 3000)
        lines, total = eventually(lambda: self.migrate(), "it goes on")
        self.assertEqual(total["rows"], 3000)
        self.assert_equal()

    def broken_off(self, rows):
        """After so many of them, by whoever ordered it."""
        asked = self.begin_migrating("--rate", "1500")
        self.until_told(asked, lambda p: p["phase"] == "source" and p["rows"] > rows)
        asked.terminate()
        self.assertEqual(asked.wait(), 130)

    def test_what_was_in_work_when_it_was_interrupted_counts(self):
        self.a.run(FILL, 1, 3000)
        self.rest(more=SMALL_BATCHES)
        for rows in (300, 1300):
            self.broken_off(rows)
            self.until_ready()
        _, total = eventually(lambda: self.migrate(), "it goes on")
        self.assertEqual([total[n] for n in ("rows", "inserted")], [3000, 3000])
        self.assert_equal()

    def test_under_a_topology_that_says_more_of_the_table_it_goes_on_too(self):
        self.a.run(FILL, 1, 3000)
        self.entities = THING.replace("    name: {type: text}\n", "")
        self.rest(more=SMALL_BATCHES)
        self.broken_off(300)
        self.d.stop()
        self.d.write(re.sub(r"( *)code: .*\n", r"\g<0>\1name: {type: text}\n", self.d.file.read_text()))
        self.d.start()
        self.until_ready()
        _, total = self.migrate()
        self.assertEqual([total[n] for n in ("rows", "inserted", "waiting")], [3000, 3000, 0])
        self.assertEqual(self.b.one("SELECT count(*) FROM things WHERE name LIKE 'name of %'"), 3000)
        self.assert_equal()

    def test_incremental_brings_over_what_was_not_seen_and_full_what_went_missing(self):
        self.a.run(FILL, 1, 300)
        self.begin()
        self.a.run("UPDATE things SET name = 'new' WHERE k = 'k3'")
        self.d.ctl("pause", "thing")
        _, total = self.migrate("--strategy", "incremental")
        self.assertEqual(total["rows"], 300)
        self.assertEqual(self.b.one("SELECT name FROM things WHERE k = 'k3'"), "new")
        self.b.run("TRUNCATE things")
        _, total = self.migrate()
        self.assertEqual((total["rows"], total["inserted"]), (300, 300))
        self.resume()
        self.assertEqual(len(self.settled()), 300)

    def test_in_parts_it_is_the_same(self):
        self.a.run(FILL, 1, 3000)
        self.rest(more=SMALL_BATCHES)
        asked = self.begin_migrating("--strategy", "parallel", "--jobs", "4", "--rate", "3000")        # cut at 750, 1500 and 2250
        told = self.until_told(asked, lambda p: p["phase"] == "source" and p["rows"] > 500)
        self.assertEqual([w["worker"] for w in told["workers"]], [1, 2, 3, 4])
        self.assertLessEqual(sum(w["rows"] for w in told["workers"]), told["done"])
        self.assertTrue(all(w["rows"] > 0 and w["state"] in ("reads", "writes", "waits", "done") for w in told["workers"]), told["workers"])
        total = self.ended(asked)
        self.assertEqual([total[n] for n in ("rows", "inserted")], [3000, 3000])
        self.assert_equal()
        self.resume()
        self.settled()
        self.assertEqual(self.d.log.count("survey begins"), 0)

    # ---- one moment ----

    def begin_in_parts(self):
        """It fills the target, slowly, from one moment of the source."""
        self.a.run(FILL, 1, 3000)
        self.rest(more=SMALL_BATCHES)
        asked = self.begin_migrating("--strategy", "parallel", "--jobs", "3", "--rate", "1000")
        self.until_told(asked, lambda p: p["snapshot"] and p["rows"] > 300)
        return asked

    def holders(self):
        return self.a.run("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'crmsyncd snapshot'")

    def test_all_parts_are_of_one_moment_and_what_came_after_it_is_caught_up(self):
        asked = self.begin_in_parts()
        self.a.run("UPDATE things SET name = 'edited meanwhile', changed = now()")
        self.a.run("DELETE FROM things WHERE id % 1000 = 999")
        self.assertLess(self.arrived(), 3000, "it is still at work")
        self.assertEqual(self.ended(asked)["rows"], 3000)
        self.assertEqual(self.b.run("SELECT count(*), count(*) FILTER (WHERE name LIKE 'name of %') FROM things"), [(3000, 3000)])
        eventually(lambda: self.holders() == [], "nothing is held any more")
        self.resume()
        self.assertEqual((len(self.settled()), self.b.one("SELECT count(*) FROM things WHERE name = 'edited meanwhile'")), (2997, 2997))

    def test_a_moment_that_is_lost_is_replaced_and_no_row_with_it(self):
        asked = self.begin_in_parts()
        [(pid,)] = self.holders()
        self.a.run("SELECT pg_terminate_backend($1)", pid)
        eventually(lambda: self.holders() not in ([], [(pid,)]), "another one is held")
        # Whoever looks from that moment takes the table for empty.
        self.a.run("BEGIN; CREATE TEMP TABLE kept AS TABLE things; TRUNCATE things; "
                   "INSERT INTO things OVERRIDING SYSTEM VALUE SELECT * FROM kept; COMMIT")
        self.assertLess(self.arrived(), 3000, "it is still at work")
        self.assertEqual(self.ended(asked)["rows"], 3000)
        self.assert_equal()

    def test_who_resumes_the_entity_meanwhile_gets_what_is_there_now(self):
        self.entities = THING.replace("a: {table: things, modified: changed}", "a: {table: things}")     # nothing in a row tells that it is old
        asked = self.begin_in_parts()
        self.a.run("UPDATE things SET name = 'edited meanwhile', changed = now()")
        self.d.ctl("resume", "thing")
        self.until_told(asked, lambda p: not p["snapshot"] and p["phase"] == "source")
        self.assertEqual(self.holders(), [], "nothing is held any more")
        self.ended(asked)
        self.d.wait()
        self.assertEqual({row[2] for row in self.settled()}, {"edited meanwhile"})

    def test_what_we_wrote_after_the_moment_does_not_pass_for_an_edit(self):
        self.a.run(FILL, 1, 600)
        self.begin(SMALL_BATCHES)
        with self.a.connect() as other:
            other.run("BEGIN")
            other.run("SELECT FROM things WHERE k = 'k600' FOR UPDATE")
            self.b.run("UPDATE things SET name = 'of b', changed = now() WHERE k = 'k600'")
            eventually(lambda: self.a.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), "our write waits")
            self.d.ctl("pause", "thing")
            asked = self.begin_migrating("--strategy", "parallel", "--jobs", "2", "--onto", "merge", "--rate", "200")
            self.until_told(asked, lambda p: p["snapshot"])
            other.run("ROLLBACK")
        eventually(lambda: self.a.one("SELECT name FROM things WHERE k = 'k600'") == "of b", "it is written")
        self.assertIsNone(asked.poll(), "it is still at work")
        self.ended(asked)
        self.resume()
        self.assertIn(("k600", "code 5", "of b", "150"), self.settled())

    # ---- held back ----

    def keeps_the_rate(self, *words):
        self.a.run(FILL, 1, 6000)
        self.rest()
        asked = self.begin_migrating("--rate", "100", *words)
        for enough in (1, 2, 3):
            told = self.until_told(asked, lambda p: p["seconds"] > enough)
            self.assertLessEqual(told["rows"], 100 * told["seconds"])
            self.assertGreater(told["rows"], 50 * (told["seconds"] - 1))
        self.assertLess(self.arrived(), 1000)

    def test_no_more_rows_a_second_are_read_than_it_was_told(self):
        self.keeps_the_rate()

    def test_in_parts_no_more_rows_a_second_are_read_than_it_was_told(self):
        self.keeps_the_rate("--strategy", "parallel", "--jobs", "4")

    def test_it_waits_while_others_keep_the_target_busy_and_says_so(self):
        self.a.run(FILL, 1, 3000)
        self.rest(more=SMALL_BATCHES)
        holder = self.b.connect(user="postgres")
        holder.run("SELECT pg_advisory_lock(1)")
        sessions = [self.b.connect(user="postgres") for _ in range(3)]
        at_work = [threading.Thread(target=s.run, args=("SELECT pg_advisory_lock_shared(1)",)) for s in sessions]
        for thread in at_work:
            thread.start()
        asked = self.begin_migrating("--max-load", "2", "--rate", "1000")
        told = self.until_told(asked, lambda p: "busy" in p["throttle"])
        self.assertGreaterEqual(told["target"]["active_sessions"], 3)       # the server has others, now and then
        self.assertRegex(told["throttle"], "^b is busy: [0-9]+ sessions of others are at work there, more than --max-load 2$")
        [job] = self.d.status()["jobs"]
        self.assertEqual((job["kind"], job["throttle"][:10]), ("migrate", "b is busy:"))
        self.assertIn("\n  migrate thing waits: b is busy: ", self.d.ctl("status"))
        held = self.until_told(asked, lambda p: p["done"] == told["done"])["done"]
        self.until_told(asked, lambda p: p["seconds"] > told["seconds"] + 1.5)      # it has looked once more
        self.assertEqual((self.until_told(asked, lambda p: True)["done"], held < 3000), (held, True), "it goes on all the same")
        holder.run("SELECT pg_advisory_unlock(1)")
        for thread in at_work:
            thread.join()
        self.assertEqual(self.ended(asked)["rows"], 3000)
        self.assert_equal()
        for session in (holder, *sessions):
            session.close()


class Tree(Killing, Migrating):
    """A table whose rows point to others of it, of which most come later."""
    name = "tree"
    a_sql = b_sql = """CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, parent int REFERENCES things,
                       changed timestamptz NOT NULL DEFAULT clock_timestamp())"""
    entities = """
thing:
  key: [k]
  fields:
    k: {type: text}
    parent: {type: reference, entity: thing}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""

    def parents(self, base):
        return sorted(base.run("SELECT t.k, p.k FROM things t LEFT JOIN things p ON p.id = t.parent"), key=repr)

    def assert_as_before(self, wanted):
        self.assertEqual((self.parents(self.a), self.parents(self.b)), (wanted, wanted))

    def test_f15_what_waited_for_its_parent_before_a_restart_comes_with_the_same_command(self):
        self.a.run("INSERT INTO things (k) SELECT 'k' || i FROM generate_series(1, 400) i")
        self.a.run("UPDATE things SET parent = id + 200 WHERE id <= 200")
        wanted = self.parents(self.a)
        self.rest(more=SMALL_BATCHES)
        asked = self.begin_migrating("--rate", "100")
        eventually(lambda: len(self.d.parked()) >= 50, "some wait for what comes later")
        asked.terminate()
        asked.wait()
        self.d.restart()
        self.until_ready()
        self.assertRegex(self.d.ctl("parked", "retry"), r"^([0-9]+) records are tried again; \1 of them not before the entity or endpoint, which rests, is resumed$")
        _, total = self.migrate()
        self.assertEqual([total[n] for n in ("rows", "inserted", "rejected", "waiting")], [400, 400, 0, 0])
        self.assert_as_before(wanted)
        self.resume()
        self.assert_as_before(wanted)

    @needs_failpoints
    def test_f30_what_was_left_blank_in_a_row_in_doubt_was_not_emptied_by_anybody(self):
        self.a.run("INSERT INTO things (k) SELECT 'k' || i FROM generate_series(1, 2) i")
        self.a.run("UPDATE things SET parent = 3 - id")     # one of the two goes first, without
        wanted = self.parents(self.a)
        self.rest()
        self.arm("round/apply/answered")
        self.dies("round/apply/answered", ("migrate", "thing", "--from", "a", "--to", "b"))
        self.assertEqual(len(self.parents(self.b)), 1)
        self.until_ready()
        _, total = self.migrate()
        self.assertEqual([total[n] for n in ("rows", "inserted", "updated")], [2, 2, 1])
        self.assert_as_before(wanted)
        self.resume()
        self.assert_as_before(wanted)


class Followed(Migrating):
    """The target's server has a standby."""
    name = "followed"

    def setUp(self):
        super().setUp()
        cluster = Cluster(self.place, "pg-b")
        self.b = self.database("followed_b2", self.b_sql, cluster)
        self.standby = Standby(cluster)

    def test_it_waits_for_a_standby_that_is_far_behind(self):
        self.a.run(FILL, 1, 3000)
        self.rest(more=SMALL_BATCHES)
        self.standby.catch_up()
        self.standby.admin.run("SELECT pg_wal_replay_pause()")
        asked = self.begin_migrating("--max-lag", "300ms", "--rate", "600")
        told = self.until_told(asked, lambda p: "the standby" in p["throttle"])
        self.assertGreater(told["target"]["standby_lag_seconds"], 0.3)
        self.assertIn("behind, more than --max-lag 300 ms", told["throttle"])
        self.standby.admin.run("SELECT pg_wal_replay_resume()")
        self.assertEqual(self.ended(asked)["rows"], 3000)


if __name__ == "__main__":
    unittest.main()
