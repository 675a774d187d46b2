"""The other rules on real servers, in both orders."""
import unittest

from case import needs_failpoints
from crm import eventually
from test_rules import Conflict, rules

ANN = "p1@example.org"


class NewestFilled(Conflict):
    entities = rules("{rule: last-writer-wins, fields: {phone: newest-filled}, priority: [sales, support, billing]}")

    def test_a_value_stands_against_a_later_blank(self):
        people = self.concurrently(lambda: self.sales.edit(ANN, phone="+1 new"),
                                   lambda: self.billing.edit(ANN, phone=None))
        self.assertEqual(people[ANN]["phone"], "+1 new")
        self.assert_quiet()

    def test_a_value_stands_against_an_earlier_blank(self):
        people = self.concurrently(lambda: self.billing.edit(ANN, phone=None),
                                   lambda: self.sales.edit(ANN, phone="+1 new"))
        self.assertEqual(people[ANN]["phone"], "+1 new")

    def test_what_one_side_blanked_is_put_back(self):
        people = self.concurrently(lambda: self.support.edit(ANN, phone=None))
        self.assertEqual(people[ANN]["phone"], "+1 555 0001")
        self.assert_quiet()


class Max(Conflict):
    entities = rules("{rule: last-writer-wins, fields: {score: max, phone: min}, priority: [sales, support, billing]}")

    def test_the_greatest_stands_although_it_was_earlier(self):
        people = self.concurrently(lambda: self.support.edit(ANN, score=70),
                                   lambda: self.billing.edit(ANN, score=9))
        self.assertEqual(people[ANN]["score"], 70)
        told, = self.d.ctl_lines("conflicts")
        self.assertEqual((told["winner"], told["values"]["support"], told["lost"][0]["value"], told["tie_break"]), ("support", "70", "9", "value"))
        self.assert_quiet()

    def test_the_greatest_stands_when_it_was_later(self):
        people = self.concurrently(lambda: self.billing.edit(ANN, score=9),
                                   lambda: self.support.edit(ANN, score=70))
        self.assertEqual(people[ANN]["score"], 70)

    def test_all_three_sides_at_once(self):
        """Nobody shows the value that all began with any more: the least of what is there stands."""
        people = self.concurrently(lambda: self.billing.edit(ANN, score=40, phone="+1 b"),
                                   lambda: self.support.edit(ANN, score=300, phone="+1 c"),
                                   lambda: self.sales.edit(ANN, score=5, phone="+1 a"))
        self.assertEqual((people[ANN]["score"], people[ANN]["phone"]), (300, "+1 a"))
        self.assert_quiet()

    def test_what_one_side_lowered_is_put_back(self):
        people = self.concurrently(lambda: self.support.edit(ANN, score=-3))
        self.assertEqual(people[ANN]["score"], 1)
        self.assert_quiet()

    def test_what_does_not_stand_is_not_told_to_keep_the_record(self):
        people = self.concurrently(lambda: self.sales.edit(ANN, score=-3), lambda: self.billing.remove(ANN))
        self.assertNotIn(ANN, people)
        told = self.d.ctl_lines("conflicts")
        self.assertEqual({(d["key"], d["tie_break"], d["lost"][0]["value"]) for d in told}, {(ANN, "value", "-3")})
        # Met before the delete it has lost to what stood, met behind it to the delete, and in one round with it to both: each is told once.
        self.assertIn(sorted(d["kind"] for d in told), (["conflict"], ["delete-update"], ["conflict", "delete-update"]))
        self.assertNotIn("keeps the record", self.d.ctl("conflicts", "--key", ANN))

    def test_null_never_stands_against_a_value(self):
        people = self.concurrently(lambda: self.sales.edit(ANN, score=None),
                                   lambda: self.billing.edit(ANN, phone=None))
        self.assertEqual((people[ANN]["score"], people[ANN]["phone"]), (1, "+1 555 0001"))

    def test_least_and_greatest_travel_each_on_its_own(self):
        people = self.concurrently(lambda: self.sales.edit(ANN, score=50, phone="+1 000"),
                                   lambda: self.billing.edit(ANN, score=2, phone="+1 999"))
        self.assertEqual((people[ANN]["score"], people[ANN]["phone"]), (50, "+1 000"))
        self.assert_quiet()


class Add(Conflict):
    entities = rules("{rule: last-writer-wins, fields: {score: add}, priority: [sales, support, billing]}")

    def test_the_differences_of_all_sides_are_added_up(self):
        people = self.concurrently(lambda: self.sales.edit(ANN, score=11),
                                   lambda: self.support.edit(ANN, score=-4),
                                   lambda: self.billing.edit(ANN, score=101))
        self.assertEqual(people[ANN]["score"], 1 + 10 - 5 + 100)
        self.assertEqual(self.d.entity("contact")["conflicts"], 0)
        self.assert_quiet()

    def test_the_same_difference_on_two_sides_counts_twice(self):
        people = self.concurrently(lambda: self.sales.edit(ANN, score=6), lambda: self.billing.edit(ANN, score=6))
        self.assertEqual(people[ANN]["score"], 11)
        self.assert_quiet()

    def test_one_after_the_other_is_as_ever(self):
        people = self.concurrently(lambda: self.sales.edit(ANN, score=6))
        self.assertEqual(people[ANN]["score"], 6)
        self.billing.edit(ANN, score=2)
        self.assertEqual(self.settled()[ANN]["score"], 2)
        self.assert_quiet()

    @needs_failpoints
    def test_no_difference_is_lost_or_counted_twice_by_a_kill(self):
        self.start()
        self.populate(self.sales, people=3)
        self.settled()
        expected = 1
        for place in ("round/intend/before", "round/intend/answered", "round/apply/sent", "round/mark/before", "round/ack/before"):
            self.d.stop()
            self.sales.edit(ANN, score=expected + 10)
            self.billing.edit(ANN, score=expected + 5)
            expected += 15
            self.d.environment["CRMSYNCD_FAILPOINTS"] = f"{place}:1"
            self.d.start(answers=False)
            del self.d.environment["CRMSYNCD_FAILPOINTS"]
            eventually(lambda: self.d.process.poll() is not None, f"the daemon comes to {place}")
            self.assertEqual(self.d.finish(), -9)
            self.d.start()
            self.assertEqual(self.settled()[ANN]["score"], expected, place)


class Mirror(Conflict):
    entities = rules("{rule: mirror, priority: [billing, sales, support]}")

    def test_the_mirrored_side_stands_although_it_was_earlier(self):
        people = self.concurrently(lambda: self.billing.edit(ANN, name="Mirrored"),
                                   lambda: self.sales.edit(ANN, name="Later"))
        self.assertEqual(people[ANN]["name"], "Mirrored")
        self.assert_quiet()

    def test_the_mirrored_side_stands_when_it_was_later(self):
        people = self.concurrently(lambda: self.sales.edit(ANN, name="Earlier"),
                                   lambda: self.billing.edit(ANN, name="Mirrored"))
        self.assertEqual(people[ANN]["name"], "Mirrored")

    def test_an_edit_on_top_of_a_mirrored_value_is_reverted_and_counted(self):
        self.concurrently(lambda: self.billing.edit(ANN, name="Mirrored"))
        before = self.d.entity("contact")["conflicts"]
        self.sales.edit(ANN, name="On top")
        self.assertEqual(self.settled()[ANN]["name"], "Mirrored")
        self.assertEqual(self.d.entity("contact")["conflicts"], before + 1)
        self.assert_quiet()

    def test_a_record_made_elsewhere_is_kept_and_copied(self):
        people = self.concurrently(lambda: self.support.add("new@example.org", name="New"))
        self.assertEqual(people["new@example.org"]["name"], "New")


if __name__ == "__main__":
    unittest.main()
