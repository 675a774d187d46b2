"""F13, F16: a key that is given to two rows at two sides at once. Either is known or parked right away, and goes on when one of them steps aside."""
import random
import threading
import time
import unittest

import libpq
from case import Pair
from crm import eventually

MANY = 12
NATURAL = ("CREATE TABLE things (k text PRIMARY KEY, code text, name text, amount numeric, "
           "changed timestamptz NOT NULL DEFAULT clock_timestamp());")
TOUCH = ("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.changed := clock_timestamp(); RETURN NEW; END$$; "
         "CREATE TRIGGER touch BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION touch();")


class TakenKeys(Pair):
    """p1 and q1 have the codes a1 and b1: who is who. At a the one with a1 is given the key x1, and at b meanwhile another row."""
    more = ""

    def setUp(self):
        super().setUp()
        self.dice = random.Random()
        self.a.run(f"INSERT INTO things (k, code) SELECT w || n, c || n FROM generate_series(1, {MANY}) n, (VALUES ('p', 'a'), ('q', 'b')) AS t (w, c)")
        self.begin(self.more)
        self.settled()

    def at_once(self, at_a, at_b):
        """In any order and at any distance. Whoever comes so late that the other's key is there already is told so by the database."""
        def try_it(do, number, wait):
            time.sleep(wait)
            try:
                do(number)
            except libpq.Error as error:
                if error.code != "23505":
                    raise

        for n in self.dice.sample(range(1, MANY + 1), MANY):
            people = [threading.Thread(target=try_it, args=(do, n, self.dice.choice((0, 0.01, 0.1)) * self.dice.random())) for do in (at_a, at_b)]
            for person in people:
                person.start()
            for person in people:
                person.join()

    def give(self, base, code, key):
        base.run("UPDATE things SET k = $1 WHERE code = $2", key, code)

    def keys(self, base):
        return dict(base.run("SELECT code, k FROM things"))

    def lines(self):
        return sorted((p["endpoint"], p["key"], p["code"], p["direction"]) for p in self.d.parked())

    def assert_told(self):
        """What is not the same at both sides is parked for its key; a sweep finds nothing besides."""
        self.d.wait()
        self.assert_books(self.d)
        lines = self.lines()
        self.assertEqual({code for _, _, code, _ in lines} - {"key-taken", "23505"}, set())
        a, b = self.keys(self.a), self.keys(self.b)
        told = {key for _, key, _, _ in lines}
        self.assertEqual([(code, a.get(code), b.get(code)) for code in sorted(a.keys() | b.keys())
                          if a.get(code) != b.get(code) and not {a.get(code), b.get(code)} & told], [], "not told")
        self.assertEqual(self.d.status()["entities"][0]["parked"], len(lines))
        before = self.a.versions(), self.b.versions()
        self.d.ctl("kick", "--sweep")
        self.d.wait()
        self.assertEqual(self.lines(), lines)
        self.assertEqual(before, (self.a.versions(), self.b.versions()))

    def go_on(self, step_aside):
        step_aside()
        eventually(lambda: self.d.wait() is None and self.d.parked() == [] or (False, self.d.parked()), "nothing is parked any more")
        rows = self.settled("code, k")
        self.assert_books(self.d)
        self.assert_quiet()
        return dict(rows)

    def step_aside(self, base, kind):
        """Whoever has the key there is given another one."""
        base.run("UPDATE things SET k = 'own' || k WHERE code LIKE $1 AND k LIKE 'x%'", kind + "%")

    def delete(self, base, kind):
        base.run("DELETE FROM things WHERE code LIKE $1 AND k LIKE 'x%'", kind + "%")

    def two_are_given_it(self):
        self.at_once(lambda n: self.give(self.a, f"a{n}", f"x{n}"), lambda n: self.give(self.b, f"b{n}", f"x{n}"))
        self.assert_told()

    def one_is_new(self):
        self.at_once(lambda n: self.give(self.a, f"a{n}", f"x{n}"),
                     lambda n: self.b.run("INSERT INTO things (k, code) VALUES ($1, $2)", f"x{n}", f"n{n}"))
        self.assert_told()

    def known_last(self, name):
        """What is done there is: until then the other one's news has gone wherever it can."""
        self.d.ctl("pause", name)
        self.give(self.a, "a1", "x1")
        self.b.run("INSERT INTO things (k, code) VALUES ('x1', 'n1')")
        eventually(lambda: self.d.status()["entities"][0]["pending"] > 0, "it is owed")
        self.d.ctl("resume", name)
        self.assert_told()

    def test_f16_it_is_known_of_the_one_that_was_renamed_first(self):
        self.known_last("b")
        self.assertEqual([(self.keys(base).get("a1"), self.keys(base).get("n1")) for base in (self.a, self.b)], [("x1", None), ("p1", "x1")])
        keys = self.go_on(lambda: self.step_aside(self.b, "n"))
        self.assertEqual((keys["a1"], keys["n1"]), ("x1", "ownx1"))

    def test_f16_it_is_known_of_the_new_one_first(self):
        self.known_last("a")
        self.assertEqual([(self.keys(base).get("a1"), self.keys(base).get("n1")) for base in (self.a, self.b)], [("x1", None), ("p1", "x1")])
        keys = self.go_on(lambda: self.step_aside(self.b, "n"))
        self.assertEqual((keys["a1"], keys["n1"]), ("x1", "ownx1"))

    def test_f16_it_is_known_of_the_new_one_first_which_is_deleted(self):
        self.known_last("a")
        self.assertEqual(self.go_on(lambda: self.delete(self.b, "n"))["a1"], "x1")

    def test_two_rows_are_given_it_and_one_steps_aside(self):
        self.two_are_given_it()
        keys = self.go_on(lambda: self.step_aside(self.b, "b"))
        self.assertEqual({keys[f"a{n}"] for n in range(1, MANY + 1)} - {f"{w}{n}" for w in "px" for n in range(1, MANY + 1)}, set())
        self.assertEqual(len(keys), 2 * MANY)

    def test_two_rows_are_given_it_and_the_other_one_steps_aside(self):
        self.two_are_given_it()
        self.assertEqual(len(self.go_on(lambda: self.step_aside(self.a, "a"))), 2 * MANY)

    def test_two_rows_are_given_it_and_one_is_deleted(self):
        self.two_are_given_it()
        self.go_on(lambda: self.delete(self.b, "b"))

    def test_one_row_is_given_it_and_a_new_one_steps_aside(self):
        self.one_is_new()
        self.go_on(lambda: self.step_aside(self.b, "n"))

    def test_one_row_is_given_it_and_steps_aside_for_a_new_one(self):
        self.one_is_new()
        self.go_on(lambda: self.step_aside(self.a, "a"))

    def test_one_row_is_given_it_and_a_new_one_is_deleted(self):
        self.one_is_new()
        self.go_on(lambda: self.delete(self.b, "n"))


class OneByOne(TakenKeys):
    more = "limits:\n  batch_rows: 1\n  rounds: 1"


class KnownByKey(TakenKeys):
    """At b, where the key is the row's id as well."""
    b_sql = NATURAL


class BothKnownByKey(KnownByKey):
    a_sql = NATURAL


class Polled(TakenKeys):
    a_capture = b_capture = {"capture": "poll", "interval": "100ms", "sweep": "1h"}

    def setUp(self):
        self.a_sql = self.b_sql = Pair.a_sql + TOUCH
        super().setUp()

    def delete(self, base, kind):
        super().delete(base, kind)
        self.d.ctl("kick", "--sweep")       # a poll does not see it


if __name__ == "__main__":
    unittest.main()
