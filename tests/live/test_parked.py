"""Records that stand aside: listed, tried again, discarded."""
import unittest

from case import ACCOUNT, CONTACT, ThreeCrms
from crm import eventually

ANN = "p1@example.org"


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

    def test_more_rows_than_one_look_takes_are_all_tried_again(self):
        self.support.base.run("INSERT INTO people (email, score) SELECT 'q' || n || '@example.org', 101 FROM generate_series(1, 2300) n")
        eventually(lambda: self.d.entity("contact")["parked"] == 2300, "all are parked")
        # Behind the daemon's back: only another look at the very rows finds it.
        self.support.base.run("ALTER TABLE people DISABLE TRIGGER touch; UPDATE people SET score = 7 WHERE score = 101; "
                              "ALTER TABLE people ENABLE TRIGGER touch")
        self.d.ctl("parked", "retry", "--entity", "contact")
        eventually(lambda: self.d.entity("contact")["parked"] == 0, "none is parked any more")
        self.assertEqual(len(self.settled()), 2305)


if __name__ == "__main__":
    unittest.main()
