"""The failure modes that the design names, one by one, on real servers: each test's name begins with its mode."""
import unittest

from case import Case
from crm import Redis, eventually, topology

TABLE = """
CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, code text, name text, amount numeric,
	changed timestamptz NOT NULL DEFAULT clock_timestamp());
"""
ENTITY = """
thing:
  key: [k]
  fields:
    k: {type: text}
    code: {type: text}
    name: {type: text}
    amount: {type: decimal}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""


class Pair(Case):
    """Two sides, a and b, with one table each. self.sql(side) may be another one."""
    a_sql = b_sql = TABLE
    entities = ENTITY
    b_capture = {"capture": "listen", "interval": "1s", "sweep": "1h"}

    def setUp(self):
        super().setUp()
        self.redis = Redis(self.place)
        self.a, self.b = self.database("modes_a", self.a_sql), self.database("modes_b", self.b_sql)

    def begin(self):
        sides = {"a": {"connection": self.a.conninfo, "capture": "listen", "interval": "1s", "sweep": "1h"},
                 "b": {"connection": self.b.conninfo, **self.b_capture}}
        self.d = self.daemon(topology(self.redis, sides, self.entities))
        self.d.wait()

    def rows(self, base, columns="k, code, name, amount::text"):
        return sorted(base.run(f"SELECT {columns} FROM things"), key=repr)

    def settled(self, columns="k, code, name, amount::text"):
        self.d.wait()
        self.assertEqual(self.rows(self.a, columns), self.rows(self.b, columns))
        return self.rows(self.a, columns)

    def assert_quiet(self):
        before = self.a.versions(), self.b.versions()
        self.d.restart()
        self.d.wait()
        self.assertEqual(before, (self.a.versions(), self.b.versions()), "rows were written after quiet")


class UniqueValues(Pair):
    """At a the constraint waits for the commit; at b it does not."""
    a_sql = TABLE + "ALTER TABLE things ADD UNIQUE (code) DEFERRABLE INITIALLY DEFERRED;"
    b_sql = TABLE + "ALTER TABLE things ADD UNIQUE (code);"

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k, code) SELECT 'k' || n, 'c' || n FROM generate_series(0, 9) n")
        self.begin()
        self.settled()

    def ids(self):
        return self.b.run("SELECT k, id FROM things ORDER BY 1")

    def codes(self):
        return dict(self.settled("k, code"))

    def test_f14_two_unique_values_swapped_are_swapped_everywhere(self):
        ids = self.ids()
        self.a.run("UPDATE things SET code = CASE k WHEN 'k1' THEN 'c2' ELSE 'c1' END WHERE k IN ('k1', 'k2')")
        codes = self.codes()
        self.assertEqual((codes["k1"], codes["k2"]), ("c2", "c1"))
        self.assertEqual(self.d.parked(), [])
        self.assertEqual(ids, self.ids(), "the rows were changed, not made anew")
        self.assert_quiet()

    def test_f14_a_cycle_of_three_with_other_fields_in_it_is_turned_everywhere(self):
        self.a.run("UPDATE things SET code = 'c' || (right(k, 1)::int % 3 + 1), name = CASE k WHEN 'k2' THEN 'o''k' END "
                   "WHERE k IN ('k1', 'k2', 'k3')")
        codes = self.codes()
        self.assertEqual([codes[f"k{n}"] for n in (1, 2, 3)], ["c2", "c3", "c1"])
        self.assertEqual(self.b.one("SELECT name FROM things WHERE k = 'k2'"), "o'k")
        self.assert_quiet()

    def test_f14_a_chain_is_applied_in_its_order(self):
        self.a.run("UPDATE things SET code = 'c' || (right(k, 1)::int + 1)")
        self.assertEqual(self.codes()["k9"], "c10")
        self.a.run("UPDATE things SET code = 'c' || right(k, 1)")
        self.assertEqual(self.codes()["k9"], "c9")
        self.assertEqual(self.d.parked(), [])

    def test_f14_a_cycle_in_a_column_that_others_follow_is_parked_and_nothing_follows(self):
        self.b.run("CREATE TABLE followers (code text REFERENCES things (code) ON UPDATE CASCADE); "
                   "INSERT INTO followers VALUES ('c1'), ('c2')")
        self.a.run("UPDATE things SET code = CASE k WHEN 'k1' THEN 'c2' ELSE 'c1' END WHERE k IN ('k1', 'k2')")
        self.d.wait()
        self.assertEqual({p["code"] for p in self.d.parked()}, {"23505"})
        self.assertEqual(self.b.run("SELECT code FROM followers ORDER BY 1"), [("c1",), ("c2",)])
        self.assertEqual(self.b.run("SELECT code FROM things WHERE k IN ('k1', 'k2') ORDER BY k"), [("c1",), ("c2",)])

    def test_f16_a_value_that_another_row_keeps_is_parked_and_the_others_go_on(self):
        self.a.run("ALTER TABLE things DROP CONSTRAINT things_code_key")
        self.a.run("UPDATE things SET code = 'c2' WHERE k = 'k1'; UPDATE things SET name = 'goes on' WHERE k = 'k5'")
        self.d.wait()
        self.assertEqual([(p["key"], p["code"]) for p in self.d.parked()], [("k1", "23505")])
        self.assertEqual(self.b.one("SELECT name FROM things WHERE k = 'k5'"), "goes on")
        self.a.run("UPDATE things SET code = 'c1' WHERE k = 'k1'")
        self.settled()
        self.assertEqual(self.d.parked(), [])


class NotNullUnique(UniqueValues):
    """No NULL is possible there: a cycle is parked with its cause, a chain goes."""
    b_sql = TABLE + "ALTER TABLE things ADD UNIQUE (code); ALTER TABLE things ALTER code SET NOT NULL;"
    test_f14_a_cycle_of_three_with_other_fields_in_it_is_turned_everywhere = None
    test_f14_a_cycle_in_a_column_that_others_follow_is_parked_and_nothing_follows = None
    test_f16_a_value_that_another_row_keeps_is_parked_and_the_others_go_on = None

    def test_f14_two_unique_values_swapped_are_swapped_everywhere(self):
        self.a.run("UPDATE things SET code = CASE k WHEN 'k1' THEN 'c2' ELSE 'c1' END WHERE k IN ('k1', 'k2')")
        self.d.wait()
        self.assertEqual({p["code"] for p in self.d.parked()}, {"23505"})
        self.assertEqual(self.b.one("SELECT count(*) FROM things WHERE code = 'c' || right(k, 1)"), 10)


if __name__ == "__main__":
    unittest.main()
