"""The topology says something else of an entity's fields: its rows are listed again, and what is only behind there is no edit."""
import unittest

from case import Pair
from crm import eventually

TABLE = "CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, name text, note text, extra text)"
THING = """
thing:
  key: [k]
  fields:
    k: {type: text}
    extra: {type: text}
    name: {type: text}
    note: {type: text}
  limits: {mass_delete: 100%}
  mappings:
    a: {table: things}
    b: {table: things}
"""
EXTRA = "    extra: {type: text}\n"


class OtherFields(Pair):
    """What people do meanwhile stands in the change log of one side, and the other one's rows are behind it."""
    name = "fields"
    a_sql = b_sql = TABLE
    entities = THING

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k, name, note, extra) SELECT 'k' || n, 'old', 'old', 'e' || n FROM generate_series(1, 9) n")
        self.begin()
        self.settled("k, name, note")

    def take(self, entities):
        """People edit and delete; only then the rows are listed, as that topology says."""
        self.d.ctl("pause", "thing")
        self.a.run("DELETE FROM things WHERE k = (SELECT min(k) FROM things)")
        self.b.run("DELETE FROM things WHERE k = (SELECT max(k) FROM things)")
        self.a.run("UPDATE things SET name = name || ' a' WHERE k IN ('k4', 'k5')")
        self.b.run("UPDATE things SET note = note || ' b' WHERE k IN ('k5', 'k6')")
        self.d.write(self.text(entities))
        self.d.ctl("reload")
        self.d.ctl("resume", "thing")
        self.d.wait()
        self.assertIn("says something new of this table", self.d.log)

    def assert_taken(self, times, left):
        a, b = "old" + " a" * times, "old" + " b" * times
        rows = {k: (name, note) for k, name, note in self.settled("k, name, note")}
        self.assertEqual(rows, {k: (a if k in ("k4", "k5") else "old", b if k in ("k5", "k6") else "old") for k in left})
        self.assertEqual(self.d.ctl_lines("conflicts"), [])


class Dropped(OtherFields):
    def test_f08_where_a_field_is_dropped_what_is_behind_is_no_edit(self):
        self.take(THING.replace(EXTRA, ""))
        self.assert_taken(1, ["k2", "k3", "k4", "k5", "k6", "k7", "k8"])
        self.take(THING)
        self.assert_taken(2, ["k3", "k4", "k5", "k6", "k7"])

    def test_f08_nor_where_they_stand_in_another_order(self):
        self.take(THING.replace(EXTRA, "").replace("    note:", f"{EXTRA}    note:"))
        self.assert_taken(1, ["k2", "k3", "k4", "k5", "k6", "k7", "k8"])

    def test_f08_nor_where_one_is_cleaned_in_another_way(self):
        self.take(THING.replace("note: {type: text}", "note: {type: text, clean: [upper]}"))
        rows = self.settled("k, upper(name), upper(note)")
        self.assertEqual({k: row for k, *row in rows}, {k: ["OLD A" if k in ("k4", "k5") else "OLD", "OLD B" if k in ("k5", "k6") else "OLD"]
                                                        for k in ("k2", "k3", "k4", "k5", "k6", "k7", "k8")})

    def test_f08_but_where_the_log_was_lost_it_may_have_been_edited(self):
        self.d.stop()
        self.b.run("UPDATE things SET note = 'mine' WHERE k = 'k5'; TRUNCATE crmsync.changelog")
        self.d.write(self.text(THING.replace("note: {type: text}", "note: {type: text, clean: [upper]}")))
        self.d.start()
        rows = self.settled("k, upper(note)")
        self.assertEqual([k for k, note in rows if note == "MINE"], ["k5"])

    def test_f08_nor_what_another_column_shows(self):
        """Most of it is still empty, and nobody has emptied the field."""
        self.b.run("ALTER TABLE things ADD label text; UPDATE things SET label = 'of b' WHERE k = 'k7'")
        self.d.wait()
        self.take(THING.replace("b: {table: things}", "b: {table: things, columns: {name: label}}"))
        self.d.wait()
        self.assertEqual({k: name for k, name in self.rows(self.a, "k, name")},
                         {k: "old a" if k in ("k4", "k5") else "old" for k in ("k2", "k3", "k4", "k5", "k6", "k7", "k8")})
        self.assertEqual(self.rows(self.b, "k, label, note"), self.rows(self.a, "k, name, note"))
        lost, = self.d.ctl_lines("conflicts")
        self.assertEqual((lost["key"], lost["field"], lost["values"]["b"]), ("k7", "name", "of b"))


class Cleaned(Pair):
    """What cleaning made one value of is two, once it does not any more."""
    name = "cleaned"
    a_sql = b_sql = TABLE
    entities = THING.replace("name: {type: text}", "name: {type: text, clean: [lower]}")

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'Ann'), ('k2', 'bob'), ('k3', 'Cleo')")
        self.b.run("INSERT INTO things (k, name) VALUES ('k1', 'ann'), ('k2', 'Bob'), ('k3', 'CLEO')")
        self.begin()
        self.d.wait()
        self.assertEqual(self.rows(self.a, "k, name"), [("k1", "Ann"), ("k2", "bob"), ("k3", "Cleo")])
        self.assertEqual(self.rows(self.b, "k, name"), [("k1", "ann"), ("k2", "Bob"), ("k3", "CLEO")])

    def test_f08_what_was_the_same_before_it_was_cleaned_in_another_way_is_written(self):
        self.d.write(self.text(THING))
        self.d.ctl("reload")
        self.d.wait()
        self.assertEqual([(k, name.lower()) for k, name in self.settled("k, name")], [("k1", "ann"), ("k2", "bob"), ("k3", "cleo")])
        self.assertEqual(self.d.ctl_lines("conflicts"), [])
        self.assert_quiet()

    def test_f08_also_where_one_of_them_is_away_meanwhile(self):
        """It is owed that when it is back, though it shows what it showed before."""
        self.a.run(f"ALTER DATABASE {self.b.name} ALLOW_CONNECTIONS false")
        self.d.write(self.text(THING))
        self.d.ctl("reload")
        eventually(lambda: self.d.entity("thing")["pending"] == 2, "b is owed two names")
        self.a.run(f"ALTER DATABASE {self.b.name} ALLOW_CONNECTIONS true")
        self.d.restart()    # or it would be a while before it tries b again
        self.assertEqual([name.lower() for _, name in self.settled("k, name")], ["ann", "bob", "cleo"])
        self.assert_quiet()


class Added(OtherFields):
    entities = THING.replace(EXTRA, "")

    def test_f10_where_a_field_is_added_what_stands_in_it_brings_nothing_back(self):
        self.take(THING)
        self.assert_taken(1, ["k2", "k3", "k4", "k5", "k6", "k7", "k8"])
        self.assertEqual(self.settled("k, extra"), [(f"k{n}", f"e{n}") for n in range(2, 9)])


if __name__ == "__main__":
    unittest.main()
