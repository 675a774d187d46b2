"""verify --depth: counts and ranges tell with less reading what rows would."""
import unittest

from case import THING, THINGS, Pair, ThreeCrms, behind_our_back

NUMBERS = ("compared", "matching", "own_form", "different", "missing", "extra", "open")


class Depths(Pair):
    name = "depth"

    def fill(self, n=3000):
        self.a.run(f"INSERT INTO things (k, code, name, amount) SELECT 'k' || i, 'c' || i, 'name ' || i, i FROM generate_series(1, {n}) i")
        self.begin()

    def ask(self, *words, code=0):
        *found, total = self.d.ctl_lines("verify", "thing", *words, code=code)
        return {line["key"]: line["difference"] for line in found}, total

    def agree(self, code=0):
        """What ranges tell, which is what rows tell; and the share that was read of it."""
        found, total = self.ask("--depth", "ranges", code=code)
        found_by_rows, by_rows = self.ask(code=code)
        self.assertEqual((found, [total[n] for n in NUMBERS]), (found_by_rows, [by_rows[n] for n in NUMBERS]))
        return found, total, total["bytes"] / by_rows["bytes"]

    def test_ranges_find_what_rows_find_and_read_little(self):
        self.fill()
        _, total, read = self.agree()
        self.assertEqual((total["matching"], read), (3000, 0))
        behind_our_back(self.b, "UPDATE things SET name = 'changed', changed = '2001-01-01' WHERE k IN ('k3', 'k33', 'k133')",
                        "DELETE FROM things WHERE k IN ('k7', 'k77')",
                        "INSERT INTO things (k, name, changed) VALUES ('only here', 'x', '2001-01-01')")
        found, total, read = self.agree(code=1)
        self.assertEqual(sorted(found.values()), ["different"] * 3 + ["extra"] + ["missing"] * 2)
        self.assertEqual([total[n] for n in NUMBERS], [3001, 2995, 0, 3, 2, 1, 0])
        self.assertLess(read, 0.02)

    def test_counts_count(self):
        self.fill(50)
        _, total = self.ask("--depth", "counts")
        self.assertEqual((total["entities"][0]["counts"], total["depth"]), ({"a": 50, "b": 50}, "counts"))
        behind_our_back(self.b, "DELETE FROM things WHERE k IN ('k7', 'k17')")
        _, total = self.ask("--depth", "counts", code=1)
        self.assertEqual((total["entities"][0]["counts"], total["missing"], total["extra"]), ({"a": 50, "b": 48}, 2, 0))
        self.assertEqual(self.d.ctl("verify", "--depth", "counts", code=1), "thing: 50 rows at a, 48 at b; 2 are missing at least\n")
        self.ask(code=1)
        self.a.run("DELETE FROM things WHERE k IN ('k8', 'k18')")
        self.d.wait()
        behind_our_back(self.a, "DELETE FROM things WHERE k IN ('k9', 'k19')")
        self.ask("--depth", "counts")
        self.assertEqual(self.d.entity("thing")["verify"]["different"], 2, "equal numbers clear nothing")

    def test_numbers_that_differ_for_what_is_known_are_open(self):
        self.fill(5)
        self.b.run("ALTER TABLE things ADD CHECK (name <> 'refused')")
        self.a.run("INSERT INTO things (k, name) VALUES ('k6', 'refused')")
        self.d.wait()
        _, total = self.ask("--depth", "counts")
        self.assertEqual([total[n] for n in NUMBERS], [0, 0, 0, 0, 0, 0, 1])

    def stays_apart(self, mapping, statement):
        """One side has a row that the other one lost for good, and that is known: with one more, which is not known, it counts."""
        self.entities = THING.replace(f"{mapping[0]}: {{table: things, modified: changed", f"{mapping[0]}: {{table: things, modified: changed, {mapping[1:]}")
        self.a.run("INSERT INTO things (k, code) SELECT 'k' || i, 'x' FROM generate_series(1, 9) i")
        self.begin()
        self.a.run(statement)
        self.d.wait()
        self.ask("--depth", "rows")
        _, total = self.ask("--depth", "counts")
        self.assertEqual((total["entities"][0]["counts"], [total[n] for n in NUMBERS]), ({"a": 8, "b": 9}, [0, 0, 0, 0, 0, 0, 1]))
        behind_our_back(self.b, "INSERT INTO things (k, code, changed) VALUES ('only here', 'x', '2001-01-01')")
        _, total = self.ask("--depth", "counts", code=1)
        self.assertEqual([total[n] for n in NUMBERS], [0, 0, 0, 0, 0, 1, 1])

    def test_a_row_that_left_where_at_one_side_is_no_difference_in_counts(self):
        self.stays_apart("awhere: {code: x}", "UPDATE things SET code = 'y', changed = clock_timestamp() WHERE k = 'k1'")

    def test_a_row_that_outlived_a_delete_is_no_difference_in_counts(self):
        self.stays_apart("bdelete: ignore", "DELETE FROM things WHERE k = 'k1'")

    def test_another_depth_is_refused(self):
        self.fill(1)
        ran = self.d.try_ctl("verify", "--depth", "deep")
        self.assertEqual((ran.returncode, ran.stderr), (64, "crmsyncctl: 'deep' is not counts, ranges or rows\n"))


class Forms(Pair):
    """Texts that a careless hash would take for the same, and forms that are the same."""
    name = "forms"
    a_sql = THINGS.replace("code text", "code char(5)").replace("name text", "name inet")
    b_sql = THINGS.replace("amount numeric", "amount numeric(9,2)")
    agree, ask = Depths.agree, Depths.ask

    def test_a_hash_never_hides_what_reading_shows(self):
        self.begin()
        for base, name in ((self.a, "NULL"), (self.b, "''")):
            behind_our_back(base, f"""INSERT INTO things (k, code, name, amount, changed) SELECT *, '2001-01-01' FROM (VALUES
                ('blanks', 'ab', NULL, 1), ('address', 'abcde', '10.0.0.1{'' if base is self.a else '/32'}'::{'inet' if base is self.a else 'text'}, 1),
                ('null', {name}, NULL, 1), ('number', 'abcde', '10.0.0.1', 1.5)) AS v""")
        found, total, _ = self.agree(code=1)
        self.assertEqual(found, {"blanks": "different", "address": "different", "null": "different"})
        self.assertEqual(total["matching"], 1)


class Shifted(Pair):
    name = "shift"
    agree, ask = Depths.agree, Depths.ask

    def test_columns_do_not_run_into_each_other_and_large_values_are_not_taken_for_equal(self):
        self.begin("limits:\n  value_bytes: 64KiB")
        for base, row, letter in ((self.a, "('k1', 'a,b', 'c')", "x"), (self.b, "('k1', 'a', 'b,c')", "y")):
            behind_our_back(base, f"INSERT INTO things (k, code, name, changed) SELECT *, '2001-01-01' FROM (VALUES {row}, ('k2', NULL, repeat('{letter}', 100000))) AS v")
        found, _ = self.ask("--depth", "ranges", code=1)
        self.assertEqual(found, {"k1": "different"})
        self.assertEqual(self.d.ctl_lines("verify", "--depth", "ranges", code=1)[-1]["invalid"], 2)


class References(ThreeCrms):
    def test_what_a_row_points_to_counts_and_not_by_which_local_id(self):
        self.start()
        self.populate(self.sales, people=300)
        self.settled()
        total = self.d.ctl_lines("verify", "--depth", "ranges")[-1]
        self.assertEqual((total["matching"], total["bytes"]), (305, 0))
        behind_our_back(self.billing.base, "UPDATE payers SET client = (SELECT code FROM clients WHERE client_no = 'A4') WHERE mail = 'p1@example.org'")
        *found, total = self.d.ctl_lines("verify", "--depth", "ranges", code=1)
        self.assertEqual([(line["key"], line["fields"]) for line in found], [("p1@example.org", ["account"])])


if __name__ == "__main__":
    unittest.main()
