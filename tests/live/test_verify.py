"""verify and repair: what the endpoints' rows show, not what we believe of them."""
import threading
import unittest

from case import Pair, ThreeCrms, behind_our_back


class Verify(Pair):
    name = "verify"

    def ask(self, *words, code=0):
        """(the records that differ: {key: line}, the sum)"""
        *found, total = self.d.ctl_lines(*words, code=code)
        return {line["key"]: line for line in found if "difference" in line}, total

    def fill(self, n=300):
        self.a.run(f"INSERT INTO things (k, code, name, amount) SELECT 'k' || i, 'c' || i, 'name ' || i, i FROM generate_series(1, {n}) i")
        self.begin()

    def test_equal_tables_match(self):
        self.fill()
        found, total = self.ask("verify")
        self.assertEqual(found, {})
        self.assertEqual([total[w] for w in ("compared", "matching", "different", "missing", "extra", "open")], [300, 300, 0, 0, 0, 0])
        self.assertTrue(total["complete"])

    def test_three_changed_two_missing_and_one_extra_row_are_found(self):
        self.fill()
        behind_our_back(self.b, "UPDATE things SET name = 'changed', changed = '2001-01-01' WHERE k IN ('k3', 'k33', 'k133')",
                        "DELETE FROM things WHERE k IN ('k7', 'k77')",
                        "INSERT INTO things (k, name, changed) VALUES ('only here', 'x', '2001-01-01')")
        found, total = self.ask("verify", "thing", code=1)
        self.assertEqual([total[w] for w in ("compared", "matching", "different", "missing", "extra", "open")], [301, 295, 3, 2, 1, 0])
        self.assertEqual({key: line["difference"] for key, line in found.items()},
                         {"k3": "different", "k33": "different", "k133": "different", "k7": "missing", "k77": "missing", "only here": "extra"})
        self.assertEqual(found["k3"]["fields"], ["name"])
        self.assertEqual((found["k7"]["there"], found["k7"]["absent"]), (["a"], ["b"]))
        self.assertEqual(self.rows(self.a)[0][0], "k1", "nothing is written by verify")
        self.assertIn("thing: verify found 6 records that differ (crmsyncctl repair thing)", self.d.status()["summary"])
        self.assertNotEqual(self.rows(self.a), self.rows(self.b))

    def test_f16_a_record_beside_which_another_row_is_parked_is_open(self):
        self.a.run("ALTER TABLE things DROP CONSTRAINT things_k_key")
        add = "INSERT INTO things (id, k, name) OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3)"
        self.a.run(add, 10, "with another below", "taken")
        self.a.run(add, 20, "with another above", "taken")
        self.begin()
        self.a.run(add, 9, "with another below", "parked")
        self.a.run(add, 21, "with another above", "parked")
        self.d.wait()
        self.assertEqual([p["code"] for p in self.d.parked()], ["duplicate-key"] * 2)
        for depth in ("ranges", "rows"):
            found, total = self.ask("verify", "--depth", depth)
            self.assertEqual([total[w] for w in ("compared", "matching", "own_form", "open")], [2, 0, 0, 2], depth)

    def test_repair_makes_them_agree_by_the_rules(self):
        self.fill()
        behind_our_back(self.b, "UPDATE things SET name = 'changed', changed = clock_timestamp() WHERE k IN ('k3', 'k33')",
                        "DELETE FROM things WHERE k = 'k7'", "INSERT INTO things (k, name) VALUES ('only here', 'x')")
        found, total = self.ask("repair")
        self.assertEqual({key: line["outcome"] for key, line in found.items()},
                         {"k3": "agrees", "k33": "agrees", "k7": "agrees", "only here": "agrees"})
        self.assertEqual({key: (line["fields"], line["there"], line["absent"]) for key, line in found.items()},
                         {"k3": (["name"], ["a", "b"], []), "k33": (["name"], ["a", "b"], []), "k7": ([], ["a"], ["b"]),
                          "only here": ([], ["b"], ["a"])}, "it is told what was found, not what is left of it")
        self.assertEqual((total["written"], total["skipped"]), (4, 0))
        self.assertEqual(self.d.status()["entities"][0]["verify"]["different"], 0)
        rows = {row[0]: row for row in self.settled()}
        self.assertEqual(rows["k3"][2], "changed")
        self.assertNotIn("k7", rows)
        self.assertIn("only here", rows)
        self.assertEqual(self.ask("verify")[1]["matching"], 300)
        self.assert_quiet()

    def test_a_dry_run_of_repair_tells_what_it_would_write_and_writes_nothing(self):
        self.fill(50)
        behind_our_back(self.b, "UPDATE things SET name = 'changed', changed = clock_timestamp() WHERE k = 'k3'",
                        "DELETE FROM things WHERE k = 'k7'", "INSERT INTO things (k, name) VALUES ('only here', 'x')")
        before = self.a.versions(), self.b.versions()
        *found, total = self.d.ctl_lines("repair", "--dry-run", code=1)
        planned = {(p["action"], p["endpoint"], p["key"], tuple(p["fields"])) for p in found if "action" in p}
        self.assertEqual(planned, {("update", "a", "k3", ("name",)), ("delete", "a", "k7", ()),
                                   ("insert", "a", "only here", ("k", "code", "name", "amount"))})
        self.assertEqual((self.a.versions(), self.b.versions()), before)
        self.assertNotIn("written", total)
        done = {line["key"]: line["outcome"] for line in self.d.ctl_lines("repair") if "outcome" in line}
        self.assertEqual(done, {"k3": "agrees", "k7": "agrees", "only here": "agrees"})

    def test_repair_holds_what_a_sweep_would_hold(self):
        self.fill(100)
        behind_our_back(self.b, "DELETE FROM things WHERE id < (SELECT min(id) + 40 FROM things)")
        found, total = self.ask("repair", code=1)
        self.assertEqual({line["outcome"] for line in found.values()}, {"waits"})
        self.assertEqual((len(found), total["written"], total["skipped"]), (40, 0, 40))
        self.assertEqual(sum(held["deletes"] for held in self.d.ctl_lines("held", "list")), 40)
        self.assertEqual(self.a.one("SELECT count(*) FROM things"), 100)

    def test_a_paused_entity_is_not_repaired(self):
        self.fill(5)
        self.d.ctl("pause", "thing")
        self.assertIn("is paused", self.d.ctl("--json", "repair", code=75))

    def test_what_is_parked_is_open_and_not_a_difference(self):
        self.fill(5)
        self.b.run("ALTER TABLE things ADD CHECK (name <> 'refused')")
        self.a.run("UPDATE things SET name = 'refused' WHERE k = 'k2'")
        self.d.wait()
        found, total = self.ask("verify")
        self.assertEqual((found, total["open"], total["matching"]), ({}, 1, 4))

    def test_edits_under_way_are_not_differences(self):
        self.fill(2000)
        stop, editor = threading.Event(), self.a.connect()

        def edit():
            i = 0
            while not stop.wait(0.01):      # so that there are moments when all of it is settled
                editor.run(f"UPDATE things SET name = 'edit {i}' WHERE k = 'k{1 + i % 2000}'")
                i += 1
        worker = threading.Thread(target=edit)
        worker.start()
        try:
            found, total = self.ask("verify")
        finally:
            stop.set()
            worker.join()
            editor.close()
        self.assertEqual(found, {})
        self.assertEqual(total["compared"], 2000)

    def test_a_side_that_is_away_is_said_to_be_left_out(self):
        self.fill(5)
        self.d.ctl("pause", "b")
        self.assertIn("fewer than two of its endpoints can be read now; not b", self.d.ctl("--json", "verify", "thing", code=69))
        *_, total = self.d.ctl_lines("verify", code=69)
        self.assertEqual((total["complete"], total["entities"][0]["endpoints"], total["entities"][0]["left_out"]), (False, [], ["b"]))
        for depth in ("rows", "counts"):
            self.assertEqual("thing: not compared, since fewer than two of its endpoints can be read; not read: b\n".split(),
                             self.d.ctl("verify", "--depth", depth, code=69).split())


class OwnForms(Pair):
    """b rounds: what it shows is another form of the same."""
    name = "forms"
    b_sql = """CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, code text, name text,
        amount numeric(9,1), changed timestamptz NOT NULL DEFAULT clock_timestamp());"""

    def test_a_form_that_a_side_keeps_for_itself_is_no_difference(self):
        self.a.run("INSERT INTO things (k, amount) VALUES ('k1', 1.25), ('k2', 2.5)")
        self.begin()
        *found, total = self.d.ctl_lines("verify")
        self.assertEqual([line for line in found if "difference" in line], [])
        self.assertEqual((total["matching"], total["own_form"]), (1, 1))


class Three(ThreeCrms):
    def test_every_entity_is_verified_with_its_references(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        text = self.d.ctl("verify")
        self.assertIn("account: 5 records compared at sales, support and billing: 5 match", text)
        self.assertIn("contact: 20 records compared at sales, support and billing: 20 match", text)


class NeverAtRest(Pair):
    """At b only the modified column tells of a change."""
    name = "at_work"
    b_capture = {"capture": "poll", "interval": "200ms", "sweep": "1h", "lock_timeout": "100ms"}

    def test_a_difference_is_mended_while_others_are_still_to_be_written(self):
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || i, 'name ' || i FROM generate_series(1, 300) i")
        self.begin()
        holder = self.b.connect()
        holder.run("BEGIN")
        holder.run("SELECT FROM things WHERE k = 'k9' FOR UPDATE")
        self.a.run("UPDATE things SET name = 'edited', changed = clock_timestamp() WHERE k = 'k9'")
        self.b.run("UPDATE things SET name = 'behind our back', changed = '2001-01-01' WHERE k = 'k3'")
        *found, total = self.d.ctl_lines("repair")
        self.assertEqual({line["key"]: line["outcome"] for line in found if "difference" in line}, {"k3": "agrees"}, total)
        self.assertEqual([total[w] for w in ("written", "skipped", "different", "open")], [1, 0, 1, 1])
        holder.run("COMMIT")
        holder.close()
        self.settled()
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
