"""Records that stand aside: listed, tried again, discarded."""
import os
import re
import time
import unittest

from case import ACCOUNT, CONTACT, THING, Pair, ThreeCrms
from crm import PATIENCE, eventually

ANN = "p1@example.org"
LONG = bool(os.environ.get("CRM_LONG"))


class Parked(ThreeCrms):
    entities = ACCOUNT + CONTACT.replace("score: {type: integer}", "score: {type: integer, check: [{range: [0, 100]}]}")

    def setUp(self):
        super().setUp()
        self.start()
        self.populate(self.support, people=5)
        self.settled()

    def not_written(self):
        """Sales has room for 20."""
        self.support.edit(ANN, phone="1" * 21)
        self.d.wait()
        parked, = self.d.parked()
        return str(parked["id"])

    def lose_the_journal(self):
        """When a write that an endpoint refuses and a row that cannot be taken stood in it."""
        self.not_written()
        self.billing.edit("p2@example.org", score=101)
        self.d.wait()
        lost = self.lines()
        self.assertEqual([line[1:] for line in lost], [("sales", "22001", "apply"), ("billing", "range", "capture")])
        self.d.stop()
        for file in (self.d.directory / "journal").glob("journal.db*"):
            file.unlink()
        return lost

    def lines(self):
        return sorted((p["key"], p["endpoint"], p["code"], p["direction"]) for p in self.d.parked())

    def let_in(self, allow, *crms):
        for crm in crms:
            crm.base.cluster.admin.run(f"ALTER DATABASE {crm.name} ALLOW_CONNECTIONS {allow}")

    def test_after_the_journal_was_lost_what_stands_aside_is_listed_again(self):
        """Of the write the state knows, of the row nobody: a sweep finds it."""
        lost = self.lose_the_journal()
        self.d.start()
        self.d.wait()
        self.assertEqual(self.lines(), lost)
        self.assertIn("2 records parked", self.d.status()["summary"])

    def test_what_stands_aside_is_listed_again_whenever_its_endpoint_comes(self):
        """Also when the daemon was killed before it could look for what the lost journal knew."""
        lost = self.lose_the_journal()
        self.let_in(False, *self.crms)
        self.d.start()
        eventually(lambda: all(self.d.endpoint(crm.name)["state"] == "down" for crm in self.crms), "nobody lets it in")
        self.d.kill()
        self.let_in(True, self.support, self.billing)
        self.d.start()
        eventually(lambda: self.d.endpoint("billing")["state"] == "up" and self.d.endpoint("sales")["state"] == "down", "all but sales are there")
        self.let_in(True, self.sales)
        self.d.ctl("kick")
        eventually(lambda: self.lines() == lost, "both are listed")

    def test_a_discarded_write_stays_different_until_the_record_changes(self):
        self.d.ctl("parked", "discard", self.not_written())
        for _ in range(2):
            self.assertEqual(self.d.parked(), [])
            self.assertEqual(self.d.entity("contact")["parked"], 0)
            self.d.ctl("kick", "--sweep")
            self.d.wait()
            self.assertEqual(self.sales.people()[ANN]["phone"], "+1 555 0001")
            self.d.restart()
            self.d.wait()
        self.support.edit(ANN, phone="2" * 21)
        eventually(lambda: len(self.d.parked()) == 1, "changed and still refused, it is parked anew")
        self.support.edit(ANN, phone="+49 1")
        self.assertEqual(self.settled()[ANN]["phone"], "+49 1")

    def test_a_discarded_row_stays_out_until_it_is_mended(self):
        self.billing.edit(ANN, score=101)
        self.d.wait()
        parked, = self.d.parked()
        self.assertEqual((parked["endpoint"], parked["code"], parked["direction"]), ("billing", "range", "capture"))
        self.d.ctl("parked", "discard", str(parked["id"]))
        for _ in range(2):
            self.d.ctl("kick", "--sweep")
            self.d.wait()
            self.assertEqual(self.d.parked(), [])
            self.assertEqual(self.d.entity("contact")["parked"], 0)
            self.d.restart()
        self.assertEqual(self.sales.people()[ANN]["score"], 1)
        self.billing.edit(ANN, score=99)
        self.assertEqual(self.settled()[ANN]["score"], 99)

    def test_a_discarded_write_can_still_be_tried_by_its_number(self):
        number = self.not_written()
        self.d.ctl("parked", "discard", number)
        self.d.ctl("parked", "discard", number, code=64)
        self.d.ctl("parked", "show", number, code=64)
        self.sales.base.run("ALTER TABLE crm.contacts ALTER phone_number TYPE text")
        self.d.ctl("parked", "retry", number)
        self.assertEqual(self.settled()[ANN]["phone"], "1" * 21)

    def test_f23_what_is_mended_while_its_side_is_away_is_written_when_that_is_back(self):
        self.not_written()
        self.d.ctl("pause", "sales")
        self.support.edit(ANN, phone="+49 1")
        eventually(lambda: self.billing.people()[ANN]["phone"] == "+49 1", "the others have it")
        self.d.ctl("resume", "sales")
        self.assertEqual(self.settled()[ANN]["phone"], "+49 1")
        self.assertEqual(self.d.parked(), [])

    def parked(self):
        return self.d.entity("contact")["parked"]

    def edit_until_none_is_parked(self):
        """While the daemon tries them again, somebody edits one person, time after time; how long each edit took to sales at most."""
        slowest = 0
        while self.parked() > 0:
            value, began = str(time.monotonic()), time.monotonic()
            self.billing.edit(ANN, name=value)
            eventually(lambda: self.sales.base.one("SELECT full_name FROM crm.contacts WHERE email = $1", ANN) == value, "an edit is brought there")
            slowest = max(slowest, time.monotonic() - began)
        print(f"an edit took at most {slowest:.2f} s")
        self.assertLess(slowest, PATIENCE / 10, "seconds")

    def test_more_rows_than_one_look_takes_are_all_tried_again(self):
        number = 100000 if LONG else 2300
        self.support.base.run("INSERT INTO people (email, score) SELECT 'q' || n || '@example.org', 101 FROM generate_series(1, $1) n", number)
        eventually(lambda: self.parked() == number, "all are parked", 600 if LONG else None)
        # Behind the daemon's back: only another look at the very rows finds it.
        self.support.base.run("ALTER TABLE people DISABLE TRIGGER touch; UPDATE people SET score = 7 WHERE score = 101; "
                              "ALTER TABLE people ENABLE TRIGGER touch")
        self.d.ctl("parked", "retry", "--entity", "contact")
        self.edit_until_none_is_parked()
        self.assertEqual(len(self.settled()), number + 5)

    def test_what_an_altered_table_lets_through_is_tried_in_portions_and_news_goes_first(self):
        number = 18000 if LONG else 900
        self.sales.base.run("ALTER TABLE crm.contacts ADD CONSTRAINT short CHECK (score < 50)")
        # The good ones among them: where all are refused alike, that is no matter of single rows.
        self.support.base.run("INSERT INTO people (email, score) SELECT 'q' || n || '@example.org', CASE WHEN n % 10 > 0 THEN 60 END "
                              "FROM generate_series(1, $1) n", number * 10 // 9)
        eventually(lambda: self.parked() == number, "the others are parked", 1200 if LONG else None)
        self.d.wait()
        self.sales.base.run("ALTER TABLE crm.contacts DROP CONSTRAINT short")
        if not LONG:        # it is noticed within a minute
            self.d.ctl("reload")
        eventually(lambda: self.parked() < number, "they are tried again", 100)
        self.edit_until_none_is_parked()
        portions = [int(n) for n in re.findall(r"tried again entity=contact endpoint=sales rows=0 writes=(\d+)", self.d.log)]
        self.assertGreaterEqual(sum(portions), number)
        self.assertLessEqual(max(portions), 500)
        self.assertEqual(len(self.settled()), 5 + number * 10 // 9)

    def test_many_that_are_refused_once_more_stay_parked(self):
        """As many at once are taken for a wrong mapping when they are new."""
        self.support.base.run("INSERT INTO people (email) SELECT 'q' || n || '@example.org' FROM generate_series(1, 100) n")
        self.settled()
        self.support.base.run("UPDATE people SET phone = CASE WHEN person % 10 > 0 THEN repeat('1', 21) ELSE '1' END WHERE email LIKE 'q%'")
        eventually(lambda: self.parked() == 90, "they are parked")
        self.d.ctl("parked", "retry")
        self.d.wait()
        self.assertEqual((self.parked(), self.d.entity("contact")["pending"]), (90, 0))
        self.assertTrue(all(line["tries"] == 2 for line in self.d.parked()))


class Backlog(Pair):
    name = "backlog"

    def test_they_have_their_turn_while_there_is_news_without_end(self):
        self.b.run("ALTER TABLE things ADD CONSTRAINT refused CHECK (name <> 'refused')")
        self.a.run("INSERT INTO things (k) SELECT 'k' || n FROM generate_series(0, 6000) n")
        self.begin("limits: {rounds: 1, batch_rows: 10}")
        self.a.run("UPDATE things SET name = 'refused' WHERE k = 'k0'")
        self.d.wait()
        self.assertEqual([line["code"] for line in self.d.parked()], ["23514"])
        self.d.stop()
        self.b.run("ALTER TABLE things DROP CONSTRAINT refused")
        self.a.run("UPDATE things SET amount = id WHERE k <> 'k0'")
        self.d.start()
        eventually(lambda: self.b.one("SELECT name FROM things WHERE k = 'k0'") == "refused", "what was parked is written")
        self.assertGreater(self.a.one("SELECT count(*) FROM crmsync.changelog"), 0, "news was still to be read")
        self.settled()


class Young(Pair):
    entities = THING.replace("amount: {type: decimal}", "amount: {type: decimal, check: [{range: [0, 100]}]}")

    def test_f22_a_parked_row_is_as_old_as_the_change_log_told(self):
        """Its own `modified` column did not move; and the entry of the change log is long gone when it can be taken."""
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'of both')")
        self.begin()
        self.settled()
        self.d.stop()
        self.b.run("UPDATE things SET name = 'of b', changed = clock_timestamp()")
        self.a.run("UPDATE things SET name = 'of a', amount = 101")
        self.d.start()
        self.d.wait()
        self.assertEqual([(p["endpoint"], p["code"]) for p in self.d.parked()], [("a", "range")])
        self.d.stop()
        self.assertEqual(self.a.one("SELECT count(*) FROM crmsync.changelog"), 0)
        self.d.write(self.d.file.read_text().replace("[0, 100]", "[0, 1000]"))
        self.d.start()
        self.d.ctl("parked", "retry")
        self.assertEqual(self.settled(), [("k1", None, "of a", "101")])
        self.assertEqual(self.d.parked(), [])


if __name__ == "__main__":
    unittest.main()
