"""The other rules on real servers, in both orders."""
import unittest

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
