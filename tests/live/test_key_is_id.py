"""Where the local id is the key: a row that is deleted, or renamed, and another one have the same id one after the other."""
import random
import unittest

from case import Pair

NATURAL = ("CREATE TABLE things (k text PRIMARY KEY, code text, name text, amount numeric, "
           "changed timestamptz NOT NULL DEFAULT clock_timestamp());")
MANY = 100


class KeyIsId(Pair):
    """At b."""
    b_sql = NATURAL
    entities = Pair.entities + "  limits: {mass_delete: 100%}\n"
    more = ""

    def setUp(self):
        super().setUp()
        self.a.run(f"INSERT INTO things (k, code, name) SELECT 'k' || n, 'c' || n, 'old' FROM generate_series(1, {MANY}) n")
        self.begin(self.more)
        self.settled()

    def edited(self):
        return sorted(k for k, _, name, _ in self.settled() if name == "new")

    def test_f10_a_delete_does_not_end_the_row_that_an_edit_has_brought_back(self):
        """Some are in work for the edit when news of the delete comes, and have been brought back before it is their turn again."""
        edited = []
        for n in range(1, MANY + 1):
            self.b.run("DELETE FROM things WHERE k = $1", f"k{n}")
            edited += self.a.run("UPDATE things SET name = 'new' WHERE k = $1 RETURNING k", f"k{n}")
        self.assertEqual(self.edited(), sorted(k for k, in edited), "an edit that the deleter had not seen stands")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_a_row_that_was_brought_back_can_be_deleted(self):
        for _ in range(3):
            for n in range(1, 11):
                self.b.run("DELETE FROM things WHERE k = $1", f"k{n}")
                self.a.run("UPDATE things SET name = 'new' WHERE k = $1", f"k{n}")
            self.settled()
            self.b.run("DELETE FROM things WHERE name = 'new'")
            self.assertEqual(self.edited(), [])
            self.a.run("INSERT INTO things (k) SELECT 'k' || n FROM generate_series(1, 10) n ON CONFLICT DO NOTHING")
            self.assertEqual(len(self.settled()), MANY)
        self.assert_quiet()

    def test_a_row_that_is_deleted_and_inserted_again_is_there(self):
        for n in range(1, MANY + 1):
            self.b.run("DELETE FROM things WHERE k = $1", f"k{n}")
            self.b.run("INSERT INTO things (k, code, name) VALUES ($1, $2, 'new')", f"k{n}", f"c{n}")
        self.assertEqual(len(self.edited()), MANY)
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def rename(self, base, old, new):
        base.run("UPDATE things SET k = $1 WHERE k = $2", new, old)

    def ids(self):
        """{code: id} at a: who is who."""
        return dict(self.a.run("SELECT code, id FROM things"))

    def test_f13_a_row_that_is_renamed_keeps_its_rows_elsewhere(self):
        before = self.ids()
        for n in range(1, 31):
            self.rename(self.b, f"k{n}", f"x{n}")
        self.settled()
        self.rename(self.b, "k31", "y31")
        self.b.run("UPDATE things SET k = 'x31', name = 'new' WHERE k = 'y31'")
        self.d.stop()
        self.b.run("BEGIN; UPDATE things SET k = 'y32' WHERE k = 'k32'; UPDATE things SET k = 'x32' WHERE k = 'y32'; "
                   "INSERT INTO things (k, code) VALUES ('k32', 'second'); COMMIT; UPDATE things SET k = 'x33' WHERE k = 'k33'; "
                   "UPDATE things SET k = 'back' WHERE k = 'k34'; UPDATE things SET k = 'k34' WHERE k = 'back'")
        self.d.start()
        rows = {code: k for k, code, _, _ in self.settled()}
        self.assertEqual({code: rows[code] for code in ("c1", "c30", "c31", "c32", "second", "c33", "c34")},
                         {"c1": "x1", "c30": "x30", "c31": "x31", "c32": "x32", "second": "k32", "c33": "x33", "c34": "k34"})
        after = self.ids()
        self.assertEqual({code: i for code, i in after.items() if code not in ("c32", "second")},
                         {code: i for code, i in before.items() if code != "c32"}, "renamed, not filled anew")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_f13_a_row_that_is_renamed_and_renamed_again_is_the_same_row(self):
        """News of the first rename comes alone now and then; when its row is read, that has the second id already."""
        before = self.ids()
        for n in range(1, MANY + 1):
            self.rename(self.b, f"k{n}", f"y{n}")
            self.rename(self.b, f"y{n}", f"z{n}")
            self.b.run("UPDATE things SET k = $1, name = 'new' WHERE k = $2", f"x{n}", f"z{n}")
        self.assertEqual(self.edited(), sorted(f"x{n}" for n in range(1, MANY + 1)))
        self.assertEqual(self.ids(), before, "renamed, not filled anew")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_f13_an_edit_and_a_rename_one_after_the_other_are_one_row(self):
        """News of the edit comes first; when its row is read, that has another id already."""
        before = self.ids()
        for n in range(1, MANY + 1):
            self.b.run("UPDATE things SET name = 'new' WHERE k = $1", f"k{n}")
            self.rename(self.b, f"k{n}", f"x{n}")
        self.assertEqual(self.edited(), sorted(f"x{n}" for n in range(1, MANY + 1)))
        self.assertEqual(self.ids(), before, "renamed, not filled anew")
        self.assert_quiet()

    def test_f13_an_edit_elsewhere_meanwhile_is_of_the_row_that_is_renamed(self):
        """News of either comes first."""
        before = self.ids()
        dice = random.Random()
        for n in dice.sample(range(1, MANY + 1), MANY):
            steps = [lambda: self.rename(self.b, f"k{n}", f"x{n}"), lambda: self.a.run("UPDATE things SET name = 'new' WHERE code = $1", f"c{n}")]
            for step in dice.sample(steps, 2):
                step()
        self.assertEqual(self.edited(), sorted(f"x{n}" for n in range(1, MANY + 1)))
        self.assertEqual(self.ids(), before, "renamed, not filled anew")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()


class LookedAtLater(KeyIsId):
    """What is done at b comes to be known last."""
    b_capture = {**Pair.b_capture, "notify": "false"}


class OneRound(KeyIsId):
    """While anybody waits in it, nothing is captured."""
    more = "limits:\n  rounds: 1"


if __name__ == "__main__":
    unittest.main()
