"""repair --from: one side is imposed on the others."""
import threading
import unittest

from case import THING, THINGS, Pair, ThreeCrms, behind_our_back
from crm import eventually


class FromOneSide(Pair):
    name = "from"

    def differ(self):
        """What only b shows is newer, so the rules would take it."""
        self.a.run("INSERT INTO things (k, code, name, amount) SELECT 'k' || i, 'c' || i, 'name ' || i, i FROM generate_series(1, 30) i")
        self.begin()
        behind_our_back(self.b, "UPDATE things SET name = 'changed', changed = clock_timestamp() WHERE k IN ('k3', 'k4')",
                        "DELETE FROM things WHERE k = 'k7'", "INSERT INTO things (k, name) VALUES ('only here', 'x')")
        behind_our_back(self.a, "UPDATE things SET code = 'other', changed = '2001-01-01' WHERE k = 'k3'", "DELETE FROM things WHERE k = 'k9'")

    def repair(self, *words, code=0):
        return self.d.ctl_lines("repair", "thing", *words, code=code)

    def test_the_others_become_as_that_side_is_whatever_the_rules(self):
        self.differ()
        before = self.rows(self.a)
        *found, total = self.repair("--from", "a")
        self.assertEqual({line["key"]: line["outcome"] for line in found}, dict.fromkeys(("k3", "k4", "k7", "k9", "only here"), "agrees"))
        self.assertEqual((total["written"], total["skipped"]), (5, 0))
        self.assertEqual(self.settled(), before)
        lost = {(d["key"], d["field"]): d for d in self.d.ctl_lines("conflicts") if d["tie_break"] == "operator"}
        self.assertEqual(lost[("k4", "name")]["values"]["b"], "changed", "an edit that falls to it is in the journal")
        self.assertEqual(self.d.ctl_lines("verify")[-1]["matching"], 29)
        self.assert_quiet()
        self.b.run("UPDATE things SET name = 'again', changed = clock_timestamp() WHERE k = 'k4'")
        self.assertIn("again", [row[2] for row in self.settled()], "the next edit goes as ever")

    def test_the_other_side_can_be_the_one(self):
        self.differ()
        before = self.rows(self.b)
        self.repair("--from", "b")
        self.assertEqual(self.settled(), before)

    def test_what_it_wrote_can_be_undone(self):
        self.differ()
        before = self.rows(self.b)
        self.repair("--from", "a")
        run = next(r["run"] for r in self.d.ctl_lines("history", "--runs") if r["source"] == "(operator)")
        self.d.ctl("undo", "--run", str(run))
        self.assertEqual({row[0]: row[2] for row in self.settled()}["k4"], "changed")
        self.assertIn("only here", [row[0] for row in before])
        self.assertIn("only here", [row[0] for row in self.settled()])

    def test_a_dry_run_tells_just_what_would_be_written(self):
        self.differ()
        before = self.a.versions(), self.b.versions()
        *lines, _ = self.repair("--from", "a", "--dry-run", code=1)
        planned = {(p["action"], p["endpoint"], p["key"], tuple(p["fields"])) for p in lines if p.get("action") not in (None, "conflict")}
        self.assertEqual(planned, {("update", "b", "k3", ("code", "name")), ("update", "b", "k4", ("name",)), ("delete", "b", "k9", ()),
                                   ("insert", "b", "k7", ("k", "code", "name", "amount")), ("delete", "b", "only here", ())})
        self.assertEqual({(p["why"], tuple(p["from"])) for p in lines if "why" in p}, {("imposed", ("a",))})
        self.assertEqual((self.a.versions(), self.b.versions()), before)

    def test_more_deletes_than_the_limit_are_refused_and_nothing_is_written(self):
        self.a.run("INSERT INTO things (k) SELECT 'k' || i FROM generate_series(1, 100) i")
        self.begin()
        behind_our_back(self.a, "DELETE FROM things WHERE id <= 40", "UPDATE things SET name = 'x' WHERE k = 'k90'")
        before = self.b.versions()
        for words in ((), ("--dry-run",)):
            ran = self.d.try_ctl("repair", "thing", "--from", "a", *words)
            self.assertEqual(ran.returncode, 1)
            self.assertIn("a does not have 40 of these records, and so many deletes are more than limits.mass_delete allows (20)", ran.stderr)
        self.assertEqual(self.b.versions(), before)

    def test_where_somebody_edits_meanwhile_the_rules_decide(self):
        self.differ()
        editor = self.b.connect()
        editor.run("BEGIN")
        editor.run("UPDATE things SET name = 'edited', changed = clock_timestamp() WHERE k = 'k4'")
        found = []
        worker = threading.Thread(target=lambda: found.extend(self.repair("--from", "a")))
        worker.start()
        eventually(lambda: self.b.one("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"),
                   "what is imposed waits for the editor")
        editor.run("COMMIT")
        worker.join()
        editor.close()
        names = {row[0]: row[2] for row in self.settled()}
        self.assertEqual((names["k3"], names["k4"]), ("name 3", "edited"))


class OnlyATargetHasIt(Pair):
    """Nobody else has heard of it, and a target has no say."""
    name = "target"
    entities = THING.replace("b: {table: things,", "b: {table: things, role: target,")

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || i, 'x' FROM generate_series(1, 3) i")
        self.begin()

    def assert_ended(self, *words):
        self.b.run("INSERT INTO things (k, name) VALUES ('only here', 'x')")
        planned = [p for p in self.d.ctl_lines("repair", "--dry-run", *words, code=1) if "action" in p]
        self.assertEqual([(p["action"], p["endpoint"], p["key"]) for p in planned], [("delete", "b", "only here")])
        found, total = self.d.ctl_lines("repair", *words)
        self.assertEqual((found["key"], found["outcome"], total["written"]), ("only here", "agrees", 1))
        self.assertEqual(len(self.settled()), 3)
        image = self.d.ctl_lines("history", "--key", "only here")[0]
        self.assertEqual((image["endpoint"], image["source"]), ("b", "(operator)"))

    def test_it_ends_by_the_rules_and_by_another_side_and_what_it_showed_is_kept(self):
        self.assert_ended()
        self.assert_ended("--from", "a")
        self.assert_quiet()

    def test_more_than_the_limit_stay_and_the_others_are_mended(self):
        self.b.run("INSERT INTO things (k) SELECT 'only here ' || i FROM generate_series(1, 21) i; UPDATE things SET name = 'y' WHERE k = 'k2'")
        total = self.d.ctl_lines("repair", code=1)[-1]
        self.assertEqual((total["written"], total["skipped"]), (1, 21))
        self.assertEqual(self.b.one("SELECT count(*) FROM things WHERE name = 'x'"), 3)
        self.assertIn("rows that only a target has are left there", self.d.log)


class FromOneOfThree(ThreeCrms):
    def test_references_and_cleaned_keys_go_along_and_entities_without_that_side_are_passed_over(self):
        self.entities += THING.replace("a: {table", "sales: {table").replace("b: {table", "support: {table")
        for crm in (self.sales, self.support):
            crm.base.run(THINGS + "ALTER TABLE things OWNER TO crmsync")
        self.start()
        self.populate(self.sales)
        self.settled()
        behind_our_back(self.billing.base, "UPDATE payers SET display = 'wrong', client = (SELECT code FROM clients WHERE client_no = 'A4') "
                        "WHERE mail = 'p1@example.org'", "DELETE FROM payers WHERE mail = 'p2@example.org'")
        right = self.sales.people()
        *found, total = self.d.ctl_lines("repair", "--from", "support")
        self.assertEqual({line["key"]: line["outcome"] for line in found}, {"p1@example.org": "agrees", "p2@example.org": "agrees"})
        self.assertEqual(self.settled(), right)
        self.assertEqual([e["entity"] for e in total["entities"]], ["account", "contact", "thing"])
        *_, total = self.d.ctl_lines("repair", "--from", "billing")
        self.assertEqual([e["entity"] for e in total["entities"]], ["account", "contact"])

    def test_a_side_that_is_away_or_unknown_is_refused(self):
        self.start()
        self.d.wait()
        self.d.ctl("pause", "billing")
        ran = self.d.try_ctl("repair", "contact", "--from", "billing")
        self.assertEqual(ran.returncode, 69)
        self.assertIn("billing cannot be read now", ran.stderr)
        ran = self.d.try_ctl("repair", "contact", "--from", "bilin")
        self.assertEqual(ran.returncode, 64)
        self.assertIn("did you mean 'billing'", ran.stderr)


if __name__ == "__main__":
    unittest.main()
