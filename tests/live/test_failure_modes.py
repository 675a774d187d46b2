"""The failure modes that the design names, one by one, on real servers: a test's name begins with its mode, here and elsewhere."""
import os
import pathlib
import re
import signal
import time
import unittest

from case import THING, THINGS, Pair
from crm import eventually, topology

OTHER = """
other:
  key: [k]
  fields:
    k: {type: text}
  mappings:
    a: {table: others}
    b: {table: others}
"""
LONG = bool(os.environ.get("CRM_LONG"))


class Modes(unittest.TestCase):
    def test_each_mode_has_a_test_that_is_named_for_it(self):
        files = pathlib.Path(__file__).parent.glob("test_*.py")
        found = {int(mode) for file in files for name in re.findall(r"def test((?:_f\d\d)+)_", file.read_text()) for mode in name.split("_f")[1:]}
        self.assertEqual(found, set(range(1, 36)))


class UniqueValues(Pair):
    """At a the constraint waits for the commit; at b it does not."""
    a_sql = THINGS + "ALTER TABLE things ADD UNIQUE (code) DEFERRABLE INITIALLY DEFERRED;"
    b_sql = THINGS + "ALTER TABLE things ADD UNIQUE (code);"

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

    def test_f14_cycles_of_three_and_four_and_a_chain_with_other_fields_in_them_are_turned_everywhere(self):
        ids = self.ids()
        self.a.run("UPDATE things SET name = CASE k WHEN 'k2' THEN 'o''k' END, code = 'c' || CASE WHEN n < 4 THEN n % 3 + 1 "
                   "WHEN n < 8 THEN (n - 3) % 4 + 4 ELSE n + 1 END FROM (SELECT id AS i, right(k, 1)::int AS n FROM things) AS t WHERE i = id AND n > 0")
        codes = self.codes()
        self.assertEqual([codes[f"k{n}"] for n in range(10)], [f"c{n}" for n in (0, 2, 3, 1, 5, 6, 7, 4, 9, 10)])
        self.assertEqual(self.b.one("SELECT name FROM things WHERE k = 'k2'"), "o'k")
        self.assertEqual(ids, self.ids(), "the rows were changed, not made anew")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_a_chain_arrives_in_its_order_or_at_once(self):
        self.a.run("UPDATE things SET code = 'c' || (right(k, 1)::int + 1)")
        self.assertEqual(self.codes()["k9"], "c10")
        self.a.run("UPDATE things SET code = 'c' || right(k, 1)")
        self.assertEqual(self.codes()["k9"], "c9")
        self.assertEqual(self.d.parked(), [])

    def test_f14_a_cycle_in_a_column_that_others_follow_takes_them_along(self):
        self.b.run("CREATE TABLE followers (code text REFERENCES things (code) ON UPDATE CASCADE); "
                   "INSERT INTO followers VALUES ('c1'), ('c1'), ('c2')")
        self.a.run("UPDATE things SET code = CASE k WHEN 'k1' THEN 'c2' ELSE 'c1' END WHERE k IN ('k1', 'k2')")
        codes = self.codes()
        self.assertEqual((codes["k1"], codes["k2"], self.d.parked()), ("c2", "c1", []))
        self.assertEqual(self.b.run("SELECT code FROM followers ORDER BY 1"), [("c1",), ("c2",), ("c2",)])

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
    """No NULL is possible there."""
    b_sql = THINGS + "ALTER TABLE things ADD UNIQUE (code); ALTER TABLE things ALTER code SET NOT NULL;"


class OneByOne(Pair):
    """Whoever comes first finds its value taken by one that comes after it."""
    a_sql = b_sql = UniqueValues.b_sql

    def test_f14_rows_that_exchange_values_and_come_one_by_one_are_written_together(self):
        self.a.run("INSERT INTO things (k, code) SELECT 'k' || n, 'c' || n FROM generate_series(0, 9) n")
        self.begin("limits:\n  batch_rows: 1\n  rounds: 1")
        self.settled()
        self.a.run("BEGIN; UPDATE things SET code = 'between' WHERE k = 'k1'; UPDATE things SET code = 'c1' WHERE k = 'k2'; "
                   "UPDATE things SET code = 'c2' WHERE k = 'k1'; COMMIT")
        self.d.wait()
        self.assertEqual(self.d.parked(), [])
        self.assertEqual(self.settled("k, code")[1:3], [("k1", "c2"), ("k2", "c1")])
        self.assert_quiet()


class Swapped(Pair):
    """Two rows of a exchange their codes; what b makes of it is the test's."""
    b_sql = THINGS + "ALTER TABLE things ALTER code SET NOT NULL;"

    def swap(self, *rules, first="c1", second="c2"):
        for rule in rules:
            self.b.run(rule)
        self.a.run("INSERT INTO things (k, code, name) VALUES ('k1', $1, 'n1'), ('k2', $2, 'n2')", first, second)
        self.begin()
        self.settled()
        self.a.run("UPDATE things SET code = CASE k WHEN 'k1' THEN $2 ELSE $1 END", first, second)
        self.d.wait()

    def assert_swapped(self, first="c1", second="c2"):
        self.assertEqual(self.d.parked(), [])
        self.assertEqual(self.settled("k, code, name"), [("k1", second, "n1"), ("k2", first, "n2")])
        self.assert_quiet()

    def test_f14_where_a_constraint_may_wait_for_the_commit_it_does(self):
        """The two are no one statement: one of them has more to change."""
        self.b.run("ALTER TABLE things ADD UNIQUE (code) DEFERRABLE, ADD CHECK (code IN ('c1', 'c2'))")
        self.a.run("INSERT INTO things (k, code) VALUES ('k1', 'c1'), ('k2', 'c2')")
        self.begin()
        self.a.run("UPDATE things SET code = CASE k WHEN 'k1' THEN 'c2' ELSE 'c1' END, name = CASE k WHEN 'k1' THEN 'n1' END")
        self.assertEqual(self.settled("k, code, name"), [("k1", "c2", "n1"), ("k2", "c1", None)])
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_f14_a_chain_is_applied_in_its_order_where_no_value_may_stand_in_between(self):
        self.b.run("ALTER TABLE things ADD UNIQUE (code), ADD CHECK (code ~ '^c[0-9]+$')")
        self.a.run("INSERT INTO things (k, code) SELECT 'k' || n, 'c' || n FROM generate_series(0, 9) n")
        self.begin()
        for step in (1, 0):
            self.a.run("UPDATE things SET code = 'c' || (right(k, 1)::int + $1::int)", step)
            self.assertEqual(dict(self.settled("k, code"))["k9"], f"c{9 + step}")
        self.assertEqual(self.d.parked(), [])

    def test_f14_a_value_that_only_has_to_look_like_those_that_change_places_may_stand_in_between(self):
        self.swap("ALTER TABLE things ADD UNIQUE (code), ADD CHECK (code ~ '^[0-9]{5}$')", first="10115", second="20095")
        self.assert_swapped("10115", "20095")

    def test_f14_where_no_value_may_stand_in_between_both_are_parked_with_the_reason(self):
        self.swap("ALTER TABLE things ADD UNIQUE (code), ADD CONSTRAINT strict CHECK (code ~ '^c[0-9]$')")
        self.assertEqual([(p["key"], p["code"]) for p in self.d.parked()], [("k1", "23505"), ("k2", "23505")])
        for line in self.d.parked():
            self.assertRegex(line["cause"], 'things_code_key.*in between: a check constraint refuses it .*"strict"')
        self.assertEqual(self.rows(self.b, "k, code"), [("k1", "c1"), ("k2", "c2")])
        self.b.run("ALTER TABLE things DROP CONSTRAINT strict")
        eventually(lambda: self.d.parked() == [], "and go on when it may")
        self.assert_swapped()

    def test_f14_a_circle_is_turned_although_others_beside_it_wait_for_what_somebody_keeps(self):
        """k3 wants what k5 keeps, k4 what k3 has, k6 the same as k1."""
        self.b.run("ALTER TABLE things ADD UNIQUE (code)")
        self.a.run("INSERT INTO things (k, code) SELECT 'k' || n, 'c' || n FROM generate_series(1, 6) n")
        self.begin()
        self.a.run("UPDATE things SET code = 'c' || (ARRAY[2, 1, 5, 3, 5, 2])[right(k, 1)::int]")
        self.d.wait()
        self.assertEqual(self.rows(self.b, "code"), [(f"c{n}",) for n in range(1, 7)])
        self.assertEqual([(p["key"], p["code"]) for p in self.d.parked()], [("k3", "23505"), ("k4", "23505"), ("k6", "23505")])
        self.assertEqual([c for _, c in self.rows(self.b, "k, code")], ["c2", "c1", "c3", "c4", "c5", "c6"])
        self.a.run("UPDATE things SET code = 'c7' WHERE k = 'k6'; UPDATE things SET code = 'c6' WHERE k = 'k5'")
        eventually(lambda: self.d.wait() or self.d.parked() == [], "the others follow")
        self.settled()

    def test_f14_where_the_type_has_no_other_values_both_are_parked_with_the_reason(self):
        self.swap("CREATE TYPE side AS ENUM ('c1', 'c2'); ALTER TABLE things ALTER code TYPE side USING code::side, ADD UNIQUE (code)")
        self.assertEqual([p["code"] for p in self.d.parked()], ["23505"] * 2)
        self.assertIn("its type has no others", self.d.parked()[0]["cause"])

    def test_f14_of_a_unique_index_over_several_columns_one_that_may_lets_go(self):
        self.b.run("ALTER TABLE things ALTER name SET NOT NULL, ADD UNIQUE (name, code), ADD CHECK (name IN ('n1', 'n2'))")
        self.a.run("INSERT INTO things (k, code, name) VALUES ('k1', 'c1', 'n1'), ('k2', 'c2', 'n2')")
        self.begin()
        self.a.run("UPDATE things SET code = CASE k WHEN 'k1' THEN 'c2' ELSE 'c1' END, name = CASE k WHEN 'k1' THEN 'n2' ELSE 'n1' END")
        self.assertEqual(self.settled("k, code, name"), [("k1", "c2", "n2"), ("k2", "c1", "n1")])
        self.assertEqual(self.d.parked(), [])

    def test_f14_where_an_index_makes_a_value_of_null_another_one_stands_in_between(self):
        self.swap("ALTER TABLE things ALTER code DROP NOT NULL; CREATE UNIQUE INDEX ON things (coalesce(code, 'none'))")
        self.assert_swapped()


KINDS = {
    "short": ("varchar(3)", "text", "'s' || n"), "fixed": ("char(4)", "text", "'abc' || n"), "mail": ("varchar(60)", "text", "n || '@x.org'"),
    "small": ("smallint", "integer", "n"), "whole": ("integer", "integer", "n"), "big": ("bigint", "integer", "n"),
    "price": ("numeric(5,2)", "decimal", "n + 0.25"), "plain": ("numeric", "decimal", "n"), "part": ("numeric(2,2)", "decimal", "n / 10.0"),
    "approx": ("real", "decimal", "n + 0.5"), "uid": ("uuid", "uuid", "('0000000' || n || '-0000-4000-8000-000000000000')::uuid"),
    "day": ("date", "date", "'2020-01-01'::date + n"), "moment": ("timestamptz(0)", "timestamp", "'2020-01-01 00:00Z'::timestamptz + n * interval '1h'"),
    "raw": ("bytea", "bytes", "decode('0' || n, 'hex')"), "doc": ("jsonb", "json", "jsonb_build_object('n', n)"),
    "address": ("inet", "text", "('10.0.0.' || n)::inet"),
}


class Kinds(Pair):
    """A column of each type, in which each row has to have a value of its own at b."""
    a_sql = "CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, %s);" % ", ".join(
        f"{name} {kind[0]}" for name, kind in KINDS.items())
    b_sql = a_sql + "ALTER TABLE things %s;" % ", ".join(f"ADD UNIQUE ({name}), ALTER {name} SET NOT NULL" for name in KINDS)
    entities = "\nthing:\n  key: [k]\n  fields:\n    k: {type: text}\n%s  mappings:\n    a: {table: things}\n    b: {table: things}\n" % "".join(
        f"    {name}: {{type: {kind[1]}}}\n" for name, kind in KINDS.items())

    def test_f14_values_of_every_type_change_places_one_by_one_and_all_at_once(self):
        columns = ", ".join(KINDS)
        self.a.run("CREATE TABLE kept AS SELECT n, %s FROM generate_series(1, 3) n" % ", ".join(f"{kind[2]} AS {name}" for name, kind in KINDS.items()))
        self.a.run(f"INSERT INTO things (k, {columns}) SELECT 'k' || n, {columns} FROM kept ORDER BY n")
        self.begin()
        ids = self.b.run("SELECT k, id FROM things ORDER BY 1")
        self.a.run(f"UPDATE things SET ({columns}) = (SELECT {columns} FROM kept WHERE n = things.id % 3 + 1)")
        self.settled(f"k, {columns}")
        self.assertEqual(self.d.parked(), [])
        for name in KINDS:
            self.a.run(f"UPDATE things SET {name} = (SELECT {name} FROM kept WHERE n = 4 - things.id) WHERE id <> 2; "
                       f"UPDATE things SET {name} = (SELECT {name} FROM kept WHERE n = 2) WHERE id = 2")
        self.settled(f"k, {columns}")
        for name in KINDS:
            with self.subTest(name):
                self.a.run(f"UPDATE things SET {name} = (SELECT {name} FROM kept WHERE n = things.id)")
                self.settled(f"k, {columns}")
                self.assertEqual(self.d.parked(), [])
        self.assertEqual(ids, self.b.run("SELECT k, id FROM things ORDER BY 1"), "the rows were changed, not made anew")
        self.assert_quiet()


class UniqueInPart(Pair):
    """By a partial index, and by one on what a function makes of the value."""
    a_sql = b_sql = THINGS + "CREATE UNIQUE INDEX ON things (code) WHERE code LIKE 'c%'; CREATE UNIQUE INDEX ON things (lower(name));"

    def test_f14_a_cycle_is_turned_where_a_unique_index_is_partial_or_on_an_expression(self):
        self.a.run("INSERT INTO things (k, code, name) SELECT 'k' || n, 'c' || n, 'N' || n FROM generate_series(1, 6) n")
        self.begin()
        self.a.run("BEGIN; UPDATE things SET code = NULL, name = NULL; UPDATE things SET name = 'n' || id % 2 + 1 WHERE id IN (1, 2); "
                   "UPDATE things SET code = 'c' || id % 3 + 1 WHERE id < 4; UPDATE things SET code = 'c' || id, name = 'N' || id WHERE id > 3; COMMIT")
        rows = self.settled("k, code, name")
        self.assertEqual(self.d.parked(), [])
        self.assertEqual(rows[:3], [("k1", "c2", "n2"), ("k2", "c3", "n1"), ("k3", "c1", None)])
        self.assert_quiet()


class Normalised(Pair):
    b_sql = THINGS.replace("amount numeric", "amount numeric(10,2)") + """
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION shout();
"""

    def test_f09_what_the_target_makes_of_a_value_stays_there_and_is_quiet(self):
        self.begin()
        self.a.run("INSERT INTO things (k, name, amount) VALUES ('k1', 'quiet', 1.005), ('k2', 'x', 2)")
        self.d.wait()
        self.a.run("UPDATE things SET name = 'quieter', amount = 3.14159 WHERE k = 'k2'")
        self.d.wait()
        self.assertEqual(self.rows(self.a), [("k1", None, "quiet", "1.005"), ("k2", None, "quieter", "3.14159")])
        self.assertEqual(self.rows(self.b), [("k1", None, "QUIET", "1.01"), ("k2", None, "QUIETER", "3.14")])
        self.assert_quiet()
        self.b.run("UPDATE things SET code = 'b' WHERE k = 'k2'")
        before = self.b.versions()
        self.d.wait()
        self.assertEqual(self.rows(self.a)[1], ("k2", "b", "quieter", "3.14159"))
        self.assertEqual(before, self.b.versions(), "nor is it written there once more")

    def test_f09_what_the_target_makes_of_a_second_field_travels(self):
        self.b.run("""
            CREATE FUNCTION derive() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
              IF NEW.amount IS DISTINCT FROM OLD.amount THEN NEW.code := 'of ' || NEW.amount::int; END IF; RETURN NEW; END $$;
            CREATE TRIGGER derive BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION derive()""")
        self.a.run("INSERT INTO things (k, code, amount) VALUES ('k1', 'c', 1)")
        self.begin()
        self.a.run("UPDATE things SET amount = 5")
        eventually(lambda: self.a.one("SELECT code FROM things") == "of 5", "what b made of the code travels")
        self.assert_quiet()

    def test_f09_a_row_that_is_edited_as_soon_as_it_was_written_is_not_all_somebody_s_edit(self):
        self.b.run("""
            CREATE FUNCTION at_once() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN
              BEGIN UPDATE things SET code = 'b' || length(NEW.name) WHERE id = NEW.id; EXCEPTION WHEN division_by_zero THEN NULL; END; RETURN NULL; END $$;
            CREATE TRIGGER at_once AFTER INSERT OR UPDATE OF name ON things FOR EACH ROW EXECUTE FUNCTION at_once()""")
        self.begin()
        for sql in ("INSERT INTO things (k, name, amount) VALUES ('k1', 'one', 1.005)", "UPDATE things SET name = 'three', amount = 3.14159"):
            self.a.run(sql)
            name, amount = ("three", "3.14159") if "three" in sql else ("one", "1.005")
            eventually(lambda: self.a.one("SELECT code FROM things") == f"b{len(name)}", "what was edited at b travels")
            self.d.wait()
            self.assertEqual(self.rows(self.a), [("k1", f"b{len(name)}", name, amount)])
            self.assertEqual(self.d.ctl_lines("conflicts"), [])
        self.assertEqual(self.rows(self.b), [("k1", "b5", "THREE", "3.14")])
        self.assert_quiet()

    def test_f09_what_a_trigger_at_the_target_does_to_another_row_travels(self):
        self.b.run("""
            CREATE FUNCTION total() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN
              UPDATE things SET amount = coalesce(amount, 0) + 1 WHERE k = 'total' AND NEW.k <> 'total'; RETURN NULL; END $$;
            CREATE TRIGGER total AFTER INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION total()""")
        self.a.run("INSERT INTO things (k, amount) VALUES ('total', 0)")
        self.begin()
        self.a.run("INSERT INTO things (k) VALUES ('k1')")
        eventually(lambda: self.a.one("SELECT amount::int FROM things WHERE k = 'total'") == 1, "the total travels")
        self.assert_quiet()


class EditedAtOnce(Pair):
    """b rounds what is written to it, and each row is edited there as soon as it was written, before anybody else could read it."""
    a_sql = THINGS.replace("name text", "name int")
    b_sql = a_sql.replace("amount numeric", "amount numeric(10,2)")
    edits = """
CREATE FUNCTION at_once() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN
  BEGIN UPDATE things SET code = 'b' || NEW.name WHERE id = NEW.id; EXCEPTION WHEN division_by_zero THEN NULL; END; RETURN NULL; END $$;
CREATE TRIGGER at_once AFTER UPDATE OF name ON things FOR EACH ROW EXECUTE FUNCTION at_once();
"""
    entities = THING.replace("  fields:", "  conflict: {fields: {name: add}}\n  fields:").replace("name: {type: text}", "name: {type: integer}")

    def test_f09_a_difference_that_was_written_to_it_is_not_counted_once_more(self):
        self.a.run("INSERT INTO things (k, name, amount) VALUES ('k1', 100, 1)")
        self.begin()
        self.b.run(self.edits)
        self.a.run("UPDATE things SET name = 129, amount = 3.14159")
        eventually(lambda: self.a.one("SELECT code FROM things") == "b129", "what was edited at b travels")
        self.d.wait()
        self.assertEqual((self.rows(self.a), self.rows(self.b)), ([("k1", "b129", 129, "3.14159")], [("k1", "b129", 129, "3.14")]))
        self.assert_quiet()


class Failing(Pair):
    """b's own functions fail, with codes that are said to be of no row: for some things, and for all others."""
    b_sql = THINGS + """
CREATE TABLE others (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE);
CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF NEW.k LIKE 'bad %' THEN RAISE EXCEPTION 'no' USING ERRCODE = substr(NEW.k, 5); END IF;
  IF NEW.k = 'bug' THEN NEW.name := NEW.nothing; END IF;
  RETURN NEW; END $$;
CREATE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM FROM nowhere; RETURN NEW; END $$;
CREATE TRIGGER judge BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION judge();
CREATE TRIGGER break BEFORE INSERT OR UPDATE ON others FOR EACH ROW EXECUTE FUNCTION break();
"""
    a_sql = THINGS + "CREATE TABLE others (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE);"
    entities = THING + OTHER
    codes = ("40001", "40P01", "57014", "57P01", "53400", "XX000", "0A000", "42P01", "42703", "42501", "08006", "28000", "25006", "55P03", "26000", "F0001")

    def test_f23_a_row_for_which_a_function_of_the_target_fails_stops_itself_only_whatever_code_that_gives(self):
        self.begin()
        began = time.monotonic()
        self.a.run("INSERT INTO others (k) VALUES ('o1'), ('o2'), ('o3')")
        self.a.run("INSERT INTO things (k) SELECT 'k' || n FROM generate_series(1, 10) n UNION ALL SELECT 'bad ' || unnest(string_to_array($1, ' ')) "
                   "UNION ALL SELECT 'bug' UNION ALL SELECT 'l' || n FROM generate_series(1, 10) n", " ".join(self.codes))
        eventually(lambda: self.b.one("SELECT count(*) FROM things") == 20, "the good ones are there")
        self.assertEqual((self.d.parked(), self.d.entity("thing")["pending"]), ([], len(self.codes) + 1))

        def edited_until_parked():
            self.a.run("INSERT INTO things (k) SELECT 'm' || count(*) FROM things")
            return len(self.d.parked()) == len(self.codes) + 1

        eventually(edited_until_parked, "they stand aside", 150)
        self.assertGreater(time.monotonic() - began, 55, "not before it was tried for a minute")
        self.assertEqual({(p["key"], p["code"]) for p in self.d.parked()}, {(f"bad {code}", code) for code in self.codes} | {("bug", "42703")})
        for parked in self.d.parked():
            self.assertRegex(parked["cause"], r"others are written there, this one is not: (function judge\(\)|a trigger or function) in the database failed with SQLSTATE")
        self.assertEqual(self.d.entity("other")["pending"], 3, "what goes wrong for all of them parks none")
        self.b.run("CREATE OR REPLACE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$; "
                   "CREATE OR REPLACE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
        self.d.ctl("parked", "retry")
        self.settled()
        self.assertEqual(self.b.one("SELECT count(*) FROM others"), 3)
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()


class Refusing(Pair):
    """Who waits for a lock waits for longer than any test does."""
    a_capture = b_capture = {**Pair.b_capture, "lock_timeout": "1h", "statement_timeout": "1h"}
    a_sql = b_sql = THINGS + "CREATE TABLE others (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE);"
    entities = THING + OTHER

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || n, 'n' FROM generate_series(1, 20) n")
        self.begin()
        self.settled()

    def others_flow(self, k):
        self.a.run("INSERT INTO others (k) VALUES ($1)", k)
        eventually(lambda: self.b.one("SELECT count(*) FROM others WHERE k = $1", k) == 1, "the other table runs")

    def stopped(self, word):
        return eventually(lambda: word in str(self.d.entity("thing")) or (False, str(self.d.entity("thing"))), f"stopped with {word}")

    def test_f32_row_security_that_hides_rows_stops_the_table_and_deletes_nothing(self):
        self.b.run("ALTER TABLE things ENABLE ROW LEVEL SECURITY; ALTER TABLE things FORCE ROW LEVEL SECURITY")
        self.b.run("CREATE POLICY a_few ON things USING (k < 'k2')")
        self.b.run("UPDATE things SET name = 'at b' WHERE k = 'k1'")
        eventually(lambda: "row-level security" in str(self.d.entity("thing")) or ("k1", "at b") in self.rows(self.a, "k, name"), "stopped, or not")
        self.assertIn("row-level security", str(self.d.entity("thing")))
        self.others_flow("o1")
        self.assertEqual(len(self.rows(self.a)), 20)
        self.b.run("ALTER TABLE things NO FORCE ROW LEVEL SECURITY; ALTER TABLE things DISABLE ROW LEVEL SECURITY")
        self.d.ctl("reload")
        eventually(lambda: self.a.one("SELECT name FROM things WHERE k = 'k1'") == "at b", "it goes on")
        self.assertEqual(len(self.settled()), 20)

    def test_f32_a_right_that_was_taken_away_stops_the_table_with_words(self):
        self.b.run("ALTER TABLE things OWNER TO postgres; REVOKE ALL ON things FROM crmsync, application; UPDATE things SET name = 'at b' WHERE k = 'k1'")
        self.stopped("GRANT SELECT")
        self.others_flow("o1")
        self.assertEqual(len(self.rows(self.a)), 20)
        self.b.run("ALTER TABLE things OWNER TO application")
        self.d.ctl("reload")
        eventually(lambda: self.a.one("SELECT name FROM things WHERE k = 'k1'") == "at b", "it goes on")
        self.assertEqual(len(self.settled()), 20)

    def test_f33_a_trigger_that_swallows_the_write_parks_it_refused_silently(self):
        self.b.run("CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; "
                   "CREATE TRIGGER no BEFORE INSERT OR UPDATE OR DELETE ON things FOR EACH ROW EXECUTE FUNCTION no()")
        self.a.run("UPDATE things SET name = 'a' WHERE k = 'k1'; DELETE FROM things WHERE k = 'k2'; INSERT INTO things (k) VALUES ('new')")
        self.d.wait()
        self.assertEqual({(p["key"], p["code"]) for p in self.d.parked()}, {(k, "refused-silently") for k in ("k1", "k2", "new")})
        self.b.run("DROP TRIGGER no ON things")
        self.d.ctl("parked", "retry")
        eventually(lambda: self.d.parked() == [], "all are in")
        self.assertEqual(len(self.settled()), 20)

    def test_f25_a_renamed_column_stops_its_table_with_words_and_renamed_back_it_goes_on(self):
        self.b.run("ALTER TABLE things ADD more int DEFAULT 7")
        self.a.run("UPDATE things SET name = 'added' WHERE k = 'k1'")
        self.settled()
        self.b.run("ALTER TABLE things RENAME name TO label")
        self.a.run("UPDATE things SET name = 'renamed' WHERE k = 'k1'")
        self.stopped('no column "name"')
        self.others_flow("o1")
        self.assertEqual(self.b.one("SELECT label FROM things WHERE k = 'k1'"), "added")
        self.b.run("ALTER TABLE things RENAME label TO name")     # noticed without being told: the tables are looked at again
        eventually(lambda: self.b.one("SELECT name FROM things WHERE k = 'k1'") == "renamed", "it goes on")
        self.settled()

    def test_f26_locked_rows_and_tables_hold_up_nobody_else(self):
        for base, lock in ((self.b, "SELECT FROM things WHERE k = 'k1' FOR UPDATE"), (self.b, "LOCK TABLE things"),
                           (self.a, "LOCK TABLE things")):
            with self.subTest(lock), base.connect() as session:
                name = f"{lock} {base.name}"
                self.a.run("UPDATE things SET name = $1 WHERE k = 'k1'", name) if base is self.b else None
                session.run("BEGIN; " + lock)
                if base is self.a:
                    self.b.run("UPDATE things SET name = $1 WHERE k = 'k1'", name)
                self.others_flow(name)
                session.run("COMMIT")
                other = self.a if base is self.a else self.b
                eventually(lambda: other.one("SELECT name FROM things WHERE k = 'k1'") == name, "it arrives when the lock is gone")
        self.settled()
        self.assertEqual(self.d.parked(), [])

    def test_f30_a_connection_that_is_cut_while_it_writes_costs_and_doubles_nothing(self):
        for edit in ("INSERT INTO things (k, name) SELECT 'm' || n, repeat('x', 200) FROM generate_series(1, 3000) n",
                     "UPDATE things SET name = 'new' WHERE k LIKE 'k%'", "DELETE FROM things WHERE k IN ('k1', 'm1')"):
            with self.subTest(edit), self.b.connect() as session:
                session.run("BEGIN; LOCK TABLE things IN SHARE MODE")
                self.a.run(edit)
                eventually(lambda: self.b.one("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'crmsync' "
                                              "AND datname = current_database() AND wait_event_type = 'Lock'") > 0, "it writes, and is cut")
                session.run("COMMIT")
            self.settled()
        self.assertEqual(len(self.rows(self.b)), 3018)
        self.assertEqual(self.b.one("SELECT count(*) FROM things WHERE name = 'new'"), 19)
        self.assertEqual(self.d.parked(), [])
        self.assertEqual(self.d.ctl_lines("conflicts"), [])
        self.assert_quiet()

    def lapsed(self):
        """Seconds since its lease was over."""
        seconds, micros = map(int, self.redis.call("TIME"))
        return seconds + micros / 1e6 - int(self.redis.call("HGET", "crmsync:acme:lease", "until")) / 1000

    def test_f34_a_daemon_that_was_stopped_for_a_while_loses_nothing(self):
        """For longer than its lease; the long form for ten minutes, longer than any deadline."""
        with self.b.connect() as session:       # in the middle of a round
            session.run("BEGIN; LOCK TABLE things IN SHARE MODE")
            self.a.run("INSERT INTO things (k, name) SELECT 'm' || n, repeat('x', 200) FROM generate_series(1, 3000) n")
            eventually(lambda: self.b.one("SELECT count(*) FROM pg_stat_activity WHERE usename = 'crmsync' AND datname = current_database() "
                                          "AND wait_event_type = 'Lock'") > 0, "it writes")
            self.d.process.send_signal(signal.SIGSTOP)
            session.run("COMMIT")
        self.a.run("UPDATE things SET name = 'meanwhile' WHERE k LIKE 'k%'; DELETE FROM things WHERE k = 'k9'")
        self.b.run("UPDATE things SET code = 'b' WHERE k = 'k3'")
        eventually(lambda: self.lapsed() > (600 if LONG else 0.1), "it was stopped for long", 700)
        self.d.process.send_signal(signal.SIGCONT)
        eventually(lambda: self.lapsed() < 0, "it has its lease again")
        rows = {row[0]: row[1:3] for row in self.settled()}
        self.assertEqual((len(rows), rows["k3"], rows["k1"], "k9" in rows), (3019, ("b", "meanwhile"), (None, "meanwhile"), False))
        self.assertEqual(self.a.one("SELECT count(*) FROM crmsync.changelog"), 0, "all that was news is acknowledged")
        self.assertEqual(self.d.parked(), [])
        self.assertEqual(self.d.ctl_lines("conflicts"), [])
        self.assert_quiet()


class Polled(Pair):
    """b is polled by its stamp, and swept when told."""
    b_capture = {"capture": "poll", "interval": "200ms", "sweep": "1h"}

    def setUp(self):
        super().setUp()
        self.b.run("INSERT INTO things (k, name) SELECT 'k' || n, 'n' FROM generate_series(1, 20) n")
        self.begin("limits:\n  batch_rows: 50")
        self.settled()

    def swept(self):
        """{k: name}"""
        self.d.ctl("kick", "--sweep")
        return dict(self.settled("k, name"))

    def arrives(self, k, name):
        eventually(lambda: self.a.one("SELECT name FROM things WHERE k = $1", k) == name, f"{name} of {k} arrives")

    def test_f02_f05_a_stamp_that_did_not_move_or_moved_back_or_is_null_hides_nothing_from_the_sweep(self):
        self.b.run("ALTER TABLE things ALTER changed DROP NOT NULL")
        self.b.run("UPDATE things SET name = 'stood' WHERE k = 'k1'; UPDATE things SET name = 'back', changed = '2001-01-01' WHERE k = 'k2'; "
                   "UPDATE things SET name = 'null', changed = NULL WHERE k = 'k3'; INSERT INTO things (k, name, changed) VALUES ('k0', 'old', NULL)")
        names = self.swept()
        self.assertEqual([names[k] for k in ("k0", "k1", "k2", "k3")], ["old", "stood", "back", "null"])

    def test_f03_equal_stamps_at_a_page_edge_are_all_taken(self):
        self.b.run("INSERT INTO things (k, name, changed) SELECT 'e' || n, 'e', statement_timestamp() FROM generate_series(1, 220) n")
        self.assertEqual(len(self.settled()), 240)

    def test_f04_a_row_from_2099_neither_wins_for_ever_nor_drags_the_cursor_along(self):
        self.b.run("UPDATE things SET name = 'future', changed = '2099-01-01' WHERE k = 'k1'")
        self.arrives("k1", "future")
        self.d.wait()
        self.b.run("UPDATE things SET name = 'now', changed = clock_timestamp() WHERE k = 'k2'")
        self.assertIn(("k2", "now"), self.settled("k, name"))
        self.a.run("UPDATE things SET name = 'later', changed = clock_timestamp() WHERE k = 'k1'")
        eventually(lambda: self.b.one("SELECT name FROM things WHERE k = 'k1'") == "later", "the later edit wins")
        self.settled()

    def test_f06_an_edit_made_on_top_of_another_wins_although_its_clock_is_behind(self):
        self.a.run("UPDATE things SET name = 'first', changed = clock_timestamp() WHERE k = 'k1'")
        eventually(lambda: self.b.one("SELECT name FROM things WHERE k = 'k1'") == "first", "b has seen it")
        self.d.wait()
        self.b.run("UPDATE things SET name = 'second', changed = clock_timestamp() - interval '1 hour' WHERE k = 'k1'")
        self.assertEqual(self.swept()["k1"], "second")

    def test_f11_deleted_and_made_again_within_one_poll_nothing_of_the_old_row_is_left(self):
        self.b.run("UPDATE things SET code = 'old', changed = clock_timestamp() WHERE k = 'k1'")
        eventually(lambda: self.a.one("SELECT code FROM things WHERE k = 'k1'") == "old", "the old one is everywhere")
        self.d.wait()
        self.b.run("DELETE FROM things WHERE k = 'k1'; INSERT INTO things (k, name) VALUES ('k1', 'born again')")
        self.arrives("k1", "born again")
        self.assertEqual(self.swept()["k1"], "born again")
        self.assertIn(("k1", None, "born again", None), self.settled())

    def test_f11_born_again_under_an_old_stamp_while_a_side_is_away_it_lives(self):
        """The deletion has yet to be told to a: what a still shows is of the former life, and does not count against the new one."""
        self.d.ctl("pause", "a")
        self.b.run("DELETE FROM things WHERE k = 'k1'")
        self.sweep_b()
        eventually(lambda: self.d.entity("thing")["pending"] == 1, "a is owed its end")
        self.b.run("INSERT INTO things (k, code, changed) VALUES ('k1', 'new', '2001-01-01')")
        self.sweep_b()
        self.d.ctl("resume", "a")
        self.assertIn(("k1", "new", None, None), self.settled())

    def sweep_b(self):
        def last():
            return next(link["last_sweep"] for link in self.d.entity("thing")["links"] if link["endpoint"] == "b")

        before = last()
        self.d.ctl("kick", "--sweep")
        eventually(lambda: last() != before, "b was swept")

    def test_f17_null_and_empty_are_two_values_there_and_back(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('null', NULL), ('empty', '')")
        self.d.wait()
        self.b.run("UPDATE things SET name = CASE k WHEN 'empty' THEN NULL ELSE '' END, changed = clock_timestamp() WHERE k IN ('null', 'empty')")
        names = dict(self.settled("k, name"))
        self.assertEqual((names["null"], names["empty"]), ("", None))


class Replaced(Pair):
    """Deleted and inserted anew in one go, under rules by which a value of the life before would stand. At b the local id is the key."""
    columns = ", best int, low int, nick text, total int, changed timestamptz NOT NULL DEFAULT clock_timestamp());"
    a_sql = "CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE" + columns
    b_sql = "CREATE TABLE things (k text PRIMARY KEY" + columns
    entities = """
thing:
  key: [k]
  fields:
    k: {type: text}
    best: {type: integer}
    low: {type: integer}
    nick: {type: text}
    total: {type: integer}
  conflict: {fields: {best: max, low: min, nick: newest-filled, total: add}}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k, best, low, nick, total) SELECT 'k' || n, 100, 1, 'old', 50 FROM generate_series(1, 30) n")
        self.begin()

    def replaced(self, base):
        base.run("BEGIN; DELETE FROM things; INSERT INTO things (k, best, low, total) SELECT 'k' || n, 5, 7, 3 FROM generate_series(1, 30) n; COMMIT")
        self.assertEqual(set(self.settled("best, low, nick, total")), {(5, 7, None, 3)}, "nothing of the life before is left")
        self.assertEqual(self.d.entity("thing")["records"], 30)
        base.run("UPDATE things SET best = 4, low = 8, nick = 'n', total = total + 1")
        self.assertEqual(set(self.settled("best, low, nick, total")), {(5, 7, "n", 4)}, "the rules hold in the new one")
        self.assert_quiet()

    def test_f11_nothing_of_a_row_is_left_in_another_one_that_takes_its_place_at_once(self):
        self.replaced(self.a)

    def test_f11_nor_where_both_have_the_same_local_id(self):
        self.replaced(self.b)


class NeverThere(Pair):
    """A record that never came to be at b ends, and there is nothing left of it that a sweep would have to look for."""
    b_sql = THINGS + "ALTER TABLE things ADD CHECK (name <> 'bad');"

    def insert(self, name="good"):
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', $1)", name)

    def ends(self):
        self.a.run("DELETE FROM things")
        if self.d.process is None:
            self.d.start()
        self.assertEqual(self.settled(), [])
        self.assertEqual(self.d.entity("thing")["records"], 0)
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_f12_what_could_not_be_inserted_leaves_no_tombstone(self):
        self.begin()
        self.insert("bad")
        eventually(self.d.parked, "it cannot be inserted")
        self.ends()

    def test_f12_nor_does_an_insert_that_was_in_doubt(self):
        self.begin()
        with self.b.connect() as session:
            session.run("BEGIN; LOCK TABLE things IN SHARE MODE")
            self.insert()
            waits = "FROM pg_stat_activity WHERE usename = 'crmsync' AND datname = current_database() AND wait_event_type = 'Lock'"
            eventually(lambda: self.b.one(f"SELECT count(*) {waits}") > 0, "it is being inserted")
            self.d.kill()
            self.b.run(f"SELECT pg_terminate_backend(pid) {waits}")
            eventually(lambda: self.b.one(f"SELECT count(*) {waits}") == 0, "it never is")
        self.ends()


class Large(Pair):
    """Swept once, when told: on a busy machine a sweep of 20 MB may take longer than until the next is due, and nothing would settle."""
    slow = True
    b_capture = {"capture": "poll", "interval": "200ms", "sweep": "1h"}

    def test_f27_a_value_of_20_mb_travels_and_memory_stays_bounded(self):
        self.b.run("INSERT INTO things (k) VALUES ('k1')")
        self.begin()
        self.settled()
        self.b.run("UPDATE things SET name = repeat('0123456789', 2000000), changed = clock_timestamp() WHERE k = 'k1'")
        eventually(lambda: self.a.one("SELECT length(name) FROM things WHERE k = 'k1'") == 20_000_000, "it arrives")
        self.d.ctl("kick", "--sweep")
        self.d.wait()
        self.assertEqual(*(base.one("SELECT md5(name) FROM things WHERE k = 'k1'") for base in (self.a, self.b)))
        self.assert_peak(250)


if __name__ == "__main__":
    unittest.main()
