"""crmsyncctl migrate: an entity's rows go to one endpoint and nowhere else, and what was broken off goes on where it stopped."""
import json
import random
import subprocess
import unittest

from case import Pair
from crm import CRMSYNCCTL, eventually, has_failpoints, topology
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


class Migrate(Killing, Pair):
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

    def refused(self, *words):
        ran = self.d.try_ctl("--json", "migrate", "thing", "--from", "a", "--to", "b", *words)
        return ran.returncode, json.loads(ran.stdout.splitlines()[-1])["error"]["text"]

    def assert_equal(self):
        self.assertTrue(self.rows(self.a) == self.rows(self.b), "the two sides differ")

    def resume(self):
        self.d.ctl("resume", "thing")
        self.d.wait()

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

    def test_killed_at_random_and_asked_again_it_ends_as_if_nothing_had_happened(self):
        self.a.run(FILL, 1, 3000)
        self.rest(more=SMALL_BATCHES)
        dice = random.Random(5)
        for _ in range(3):
            asked = subprocess.Popen([CRMSYNCCTL, "-s", self.d.control, "--json", "migrate", "thing", "--from", "a", "--to", "b", "--rate",
                                      "2000"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            enough = self.b.one("SELECT count(*) FROM things") + dice.randrange(1, 700)
            eventually(lambda: asked.poll() is not None or self.b.one("SELECT count(*) FROM things") >= enough, "more rows have come")
            self.d.kill()
            asked.communicate()
            self.d.start()
            self.until_ready()
        lines, total = self.migrate()
        self.assert_equal()
        self.assertEqual((total["rows"], total["rejected"]), (3000, 0))
        self.resume()
        self.settled()
        self.assertIn("migration goes on where it stopped", self.d.log)

    @unittest.skipUnless(has_failpoints(), "built without failure points")
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
        lines, total = self.migrate("--strategy", "parallel", "--jobs", "3")
        self.assertEqual([total[n] for n in ("rows", "inserted")], [3000, 3000])
        self.assert_equal()
        self.resume()
        self.settled()
        self.assertEqual(self.d.log.count("survey begins"), 0)


if __name__ == "__main__":
    unittest.main()
