"""Timestamps without time zone whose zone is declared, at both edges of summer time; and stamps of unequal precision."""
import unittest

from case import Pair
from crm import eventually, topology

ENTITY = """
thing:
  key: [k]
  fields:
    k: {type: text}
    due: {type: timestamp}
    note: {type: text}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""
# A moment, and what a clock on the wall in Berlin shows then.
SHOWN = [
    ("2026-01-15 12:00:00+00", "2026-01-15 13:00:00"), ("2026-07-15 12:00:00.123456+00", "2026-07-15 14:00:00.123456"),
    ("2026-03-29 00:59:59.999999+00", "2026-03-29 01:59:59.999999"), ("2026-03-29 01:00:00+00", "2026-03-29 03:00:00"),
    ("2026-10-24 23:59:59+00", "2026-10-25 01:59:59"), ("2026-10-25 00:00:00+00", "2026-10-25 02:00:00"),
    ("2026-10-25 00:30:00+00", "2026-10-25 02:30:00"), ("2026-10-25 02:00:00+00", "2026-10-25 03:00:00"),
    ("1893-03-31 23:06:31+00", "1893-03-31 23:59:59"), ("0044-03-15 12:00:00+00 BC", "0044-03-15 12:53:28 BC"),
    ("infinity", "infinity"), ("-infinity", "-infinity"),
]


class Zoned(Pair):
    """a has moments, b the local time of a zone, by its own clock as well, and is polled by it."""
    name = "zones"
    zone = "Europe/Berlin"
    due, changed = "timestamp", "timestamp"
    b_capture = {"capture": "poll", "interval": "100ms", "sweep": "1h"}

    def setUp(self):
        table = """CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, due {}, note text,
                   changed {} NOT NULL DEFAULT {}); {}"""
        touch = """CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := {}; RETURN NEW; END $$;
                   CREATE TRIGGER touch BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION touch();"""
        local = f"clock_timestamp() AT TIME ZONE '{self.zone}'"
        self.a_sql = table.format("timestamptz", "timestamptz", "clock_timestamp()", touch.format("clock_timestamp()"))
        self.b_sql = table.format(self.due, self.changed, f"({local})", touch.format(local))
        super().setUp()

    def begin(self, **more):
        sides = {"a": {"connection": self.a.conninfo, "capture": "listen", "interval": "1s", "sweep": "1h"},
                 "b": {"connection": self.b.conninfo, "zone": self.zone, **self.b_capture, **more}}
        self.d = self.daemon(topology(self.redis, sides, ENTITY))

    def dues(self, base):
        return {k: (due, note) for k, due, note in base.run("SELECT k, due::text, note FROM things")}


class Edges(Zoned):
    def test_each_moment_is_shown_in_local_time_and_comes_back_as_it_was(self):
        self.a.run("SET TimeZone = 'UTC'")
        for n, (moment, _) in enumerate(SHOWN):
            self.a.run("INSERT INTO things (k, due) VALUES ($1, CAST($2::text AS timestamptz))", f"a{n}", moment)
        for n, (_, local) in enumerate(SHOWN):
            self.b.run("INSERT INTO things (k, due) VALUES ($1, CAST($2::text AS timestamp))", f"b{n}", local)
        self.begin()
        self.d.wait()
        self.a.run("UPDATE things SET note = 'a' WHERE k LIKE 'b%'")
        self.b.run("UPDATE things SET note = 'b' WHERE k LIKE 'a%'")
        eventually(lambda: self.a.one("SELECT count(*) FROM things WHERE note = 'b'") == len(SHOWN), "the notes of b arrive")
        self.d.wait()
        for side, base in enumerate((self.a, self.b)):
            expected = {f"{k}{n}": (pair[side], "b" if k == "a" else "a") for n, pair in enumerate(SHOWN) for k in "ab"}
            self.assertEqual(expected, self.dues(base))
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_of_an_hour_that_exists_twice_the_first_is_meant_and_the_second_stays_what_it_is(self):
        self.a.run("SET TimeZone = 'UTC'")
        self.a.run("INSERT INTO things (k, due) VALUES ('second', '2026-10-25 01:30:00+00')")
        self.b.run("INSERT INTO things (k, due) VALUES ('local', '2026-10-25 02:30:00')")
        self.begin()
        self.d.wait()
        self.assertEqual(self.dues(self.a)["local"][0], "2026-10-25 00:30:00+00")
        self.assertEqual(self.dues(self.b)["second"][0], "2026-10-25 02:30:00")
        self.b.run("UPDATE things SET note = 'b'")
        eventually(lambda: self.a.one("SELECT count(*) FROM things WHERE note = 'b'") == 2, "the notes arrive")
        self.assertEqual(self.dues(self.a), {"local": ("2026-10-25 00:30:00+00", "b"), "second": ("2026-10-25 01:30:00+00", "b")})
        self.assert_quiet()

    def test_a_time_that_the_zone_skips_parks_its_record_until_it_is_mended(self):
        self.b.run("INSERT INTO things (k, due) VALUES ('skipped', '2026-03-29 02:30:00'), ('fine', '2026-03-29 03:30:00'), "
                   "('last', '294276-12-31 23:59:59'), ('first', '4714-11-24 00:00:00 BC')")
        self.begin()
        self.d.wait()
        self.assertEqual({(p["key"], p["code"]) for p in self.d.parked()}, {(k, "skipped-time") for k in ("skipped", "last", "first")})
        self.assertEqual(list(self.dues(self.a)), ["fine"])
        self.b.run("UPDATE things SET due = '2026-03-29 03:31:00' WHERE k <> 'fine'")
        eventually(lambda: self.a.one("SELECT count(*) FROM things") == 4, "they go on")
        self.d.wait()
        self.assertEqual(self.d.parked(), [])

    def test_a_zone_that_the_database_does_not_know_stops_its_table_with_words(self):
        self.begin(zone="Europe/Berln")
        eventually(lambda: "no time zone 'Europe/Berln'" in str(self.d.status()), "status says so")


class East(Zoned):
    """Its clock shows hours that are still to come elsewhere: taken as UTC each of its edits would win."""
    zone = "Asia/Tokyo"
    changed = "timestamp(0)"

    def edit(self, base, note):
        """No two edits within one of b's seconds, cut off (as the change log's are) or rounded (as the column is): that would be a tie."""
        base.run("UPDATE things SET note = $1", note)
        later = self.b.one("SELECT (clock_timestamp() + interval '1600 ms')::text")
        eventually(lambda: self.b.one("SELECT clock_timestamp() > $1::timestamptz", later), "another second")

    def later_wins(self, first, then):
        self.a.run("INSERT INTO things (k) VALUES ('k')")
        self.begin()
        self.d.wait()
        self.d.stop()
        self.edit(first, "first")
        self.edit(then, "then")
        self.d.start()
        self.d.wait()
        self.assertEqual({self.dues(base)["k"][1] for base in (self.a, self.b)}, {"then"}, (self.d.parked(), self.d.ctl_lines("conflicts")))

    def test_the_later_edit_wins_at_a(self):
        self.later_wins(self.b, self.a)

    def test_the_later_edit_wins_at_b(self):
        self.later_wins(self.a, self.b)

    def test_changes_found_by_a_local_clock_arrive_one_after_the_other(self):
        self.begin()
        self.d.wait()
        for n in range(3):
            self.b.run("INSERT INTO things (k) VALUES ($1)", f"k{n}")
            eventually(lambda n=n: f"k{n}" in self.dues(self.a), "it is found")
            self.b.run("UPDATE things SET note = $1", f"{n}")
            eventually(lambda n=n: {note for _, note in self.dues(self.a).values()} == {f"{n}"}, "so is the edit")
        self.assert_quiet()


class West(East):
    """Its clock shows hours that have gone by elsewhere: under a bound in UTC none of its changes would be found."""
    zone = "America/New_York"


class Coarse(Zoned):
    zone = "UTC"
    due, changed = "timestamp(0)", "timestamp(0)"

    def test_whole_seconds_beside_microseconds_are_quiet_and_do_not_travel_back(self):
        self.a.run("SET TimeZone = 'UTC'")
        self.a.run("INSERT INTO things (k, due) VALUES ('k', '2026-05-05 05:05:05.999999+00'), ('l', '2026-05-05 05:05:05.4+00')")
        self.begin()
        self.d.wait()
        fine = {"k": "2026-05-05 05:05:05.999999+00", "l": "2026-05-05 05:05:05.4+00"}
        for n in range(3):
            self.b.run("UPDATE things SET note = $1", f"{n}")
            eventually(lambda n=n: {note for _, note in self.dues(self.a).values()} == {f"{n}"}, "the note arrives")
            self.d.wait()
        self.assertEqual({k: due for k, (due, _) in self.dues(self.a).items()}, fine)
        self.assertEqual({k: due for k, (due, _) in self.dues(self.b).items()}, {"k": "2026-05-05 05:05:06", "l": "2026-05-05 05:05:05"})
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
