"""When an edit was made: clocks that are wrong, stamps of the future, clocks of unequal precision, two changes within one tick."""
import unittest

from case import THING, THINGS, Pair
from crm import eventually

# From here on the database's clock is wrong, as far as anybody can ask it.
WRONG = """
ALTER FUNCTION pg_catalog.clock_timestamp() RENAME TO true_clock;
CREATE FUNCTION pg_catalog.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT pg_catalog.true_clock() + interval '{}' $$;
"""


class Stamps(Pair):
    name = "stamps"

    def later(self, seconds):
        """Waits until so much of a's time has gone by."""
        now = self.a.one("SELECT clock_timestamp()::text")
        eventually(lambda: self.a.one("SELECT clock_timestamp() > CAST($1 AS timestamptz) + CAST($2 AS interval)", now, f"{seconds} s"), "time goes by")

    def names(self):
        return dict(self.settled("k, name"))


class Wrong(Stamps):
    offset = "1 hour"
    seconds = 3600

    def setUp(self):
        self.b_sql = WRONG.format(self.offset) + THINGS
        super().setUp()

    def test_f06_the_offset_of_a_clock_is_measured_shown_and_taken_off_its_stamps(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'old'), ('k2', 'old')")
        self.begin()
        self.settled()
        for side, offset in (("a", 0), ("b", self.seconds)):
            self.assertAlmostEqual(self.d.endpoint(side)["clock_offset_seconds"], offset, delta=1)
            self.assertAlmostEqual(self.d.metrics()[f'crmsyncd_endpoint_clock_offset_seconds{{endpoint="{side}"}}'], offset, delta=1)
        self.assertRegex(self.d.ctl("status"), rf"\nb +up .* {'-' if self.seconds < 0 else '[+]'}3(600|599)[.]")
        self.d.stop()
        self.b.run("UPDATE things SET name = 'first at b' WHERE k = 'k1'")
        self.a.run("UPDATE things SET name = 'first at a' WHERE k = 'k2'")
        self.later(0.5)
        self.a.run("UPDATE things SET name = 'then at a' WHERE k = 'k1'")
        self.b.run("UPDATE things SET name = 'then at b' WHERE k = 'k2'")
        self.d.start()
        self.assertEqual(self.names(), {"k1": "then at a", "k2": "then at b"})


class Behind(Wrong):
    offset = "-1 hour"
    seconds = -3600


class Future(Stamps):
    b_capture = {"capture": "poll", "interval": "100ms", "sweep": "1h"}

    def test_f04_a_stamp_of_the_future_is_cut_once_and_not_again_when_it_is_seen_again(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'old'), ('k2', 'old')")
        self.begin("limits:\n  max_ahead: 1s")
        self.settled()
        self.d.ctl("pause", "a")
        self.b.run("UPDATE things SET name = 'future', changed = '2099-01-01'")
        eventually(lambda: self.d.entity("thing")["pending"] == 2, "it was seen, and a is owed it")
        self.a.run("UPDATE things SET name = 'soon after' WHERE k = 'k2'")
        self.later(1.5)
        self.a.run("UPDATE things SET name = 'later' WHERE k = 'k1'")
        self.d.restart()
        self.d.ctl("kick", "--sweep")       # a pause ends with the daemon: both are there, and all is seen again
        self.assertEqual(self.names(), {"k1": "later", "k2": "future"}, "it counts as of a second after it was seen first")
        self.assert_quiet()


class Unequal(Stamps):
    """b has whole seconds; both are polled, so that the row's own stamp is all there is."""
    a_capture = b_capture = {"capture": "poll", "interval": "100ms", "sweep": "1h"}
    b_sql = THINGS.replace("timestamptz", "timestamptz(0)")
    entities = THING.replace("  mappings:", "  conflict: {priority: [b, a]}\n  mappings:")
    moment = None

    def edit_both(self, base, name, *seconds):
        """k1 and k2, as if so many seconds after one and the same moment."""
        self.moment = self.moment or base.one("SELECT date_trunc('second', clock_timestamp())::text")
        for k, later in zip(("k1", "k2"), seconds):
            base.run("UPDATE things SET name = $1, changed = CAST($2 AS timestamptz) + CAST($3 AS interval) WHERE k = $4",
                     name, self.moment, f"{later} s", k)

    def two_old_ones(self):
        self.a.run("INSERT INTO things (k, name, changed) SELECT k, 'old', clock_timestamp() - interval '1 hour' FROM unnest(ARRAY['k1', 'k2']) k")
        self.begin()
        self.settled()

    def test_f06_of_two_edits_within_one_tick_of_the_coarser_clock_none_is_later(self):
        self.two_old_ones()
        self.d.stop()
        self.edit_both(self.b, "b", 0, 0)
        self.edit_both(self.a, "a", 0.9, 1)
        self.d.start()
        self.assertEqual(self.names(), {"k1": "b", "k2": "a"}, "within the second the priority decides")
        self.assert_quiet()

    def test_f06_how_coarse_a_clock_is_is_known_while_its_side_is_away(self):
        self.two_old_ones()
        self.d.stop()
        text = self.d.file.read_text()
        self.d.write(text.replace(f"host={self.b.cluster.back_door} dbname={self.b.name}", f"host=/nowhere dbname={self.b.name}"))
        self.d.start()
        self.edit_both(self.a, "a", 0.9, 1)
        eventually(lambda: self.d.entity("thing")["pending"] == 2, "b is owed them")
        self.edit_both(self.b, "b", 0, 0)
        self.d.write(text)
        self.d.ctl("reload")
        self.assertEqual(self.names(), {"k1": "b", "k2": "a"})

    def test_f03_a_second_change_within_the_same_second_is_found(self):
        self.begin()
        moment = self.b.one("SELECT date_trunc('second', clock_timestamp())::text")
        self.b.run("INSERT INTO things (k, name, changed) VALUES ('k1', 'first', CAST($1 AS timestamptz))", moment)
        for name in ("second", "third"):
            eventually(lambda: self.a.one("SELECT count(*) FROM things") == 1, "it is found")
            self.d.wait()
            self.b.run("UPDATE things SET name = $1, changed = CAST($2 AS timestamptz)", name, moment)
            self.assertEqual(self.settled("name"), [(name,)])
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
