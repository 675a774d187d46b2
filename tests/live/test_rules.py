"""Conflicts: who wins, in both orders, and that nobody's value is silently gone."""
import unittest

from case import CONTACT, ThreeCrms


def rules(conflict):
    """The contact entity without its reference, with these rules."""
    text = CONTACT.replace("    account: {type: reference, entity: account}\n", "")
    for old in (", account: account_id", ", columns: {account: company}", ", account: client"):
        text = text.replace(old, "")
    return text.replace("{rule: last-writer-wins, priority: [sales, support, billing]}", conflict)


class Conflict(ThreeCrms):
    """Edits are made while the daemon is down: so they are concurrent by construction."""

    def concurrently(self, *edits):
        """Each edit is committed well before the next begins: the sides' clocks are compared only as exactly as they are probed."""
        self.start()
        self.populate(self.sales, people=3)
        self.settled()
        self.d.stop()
        for edit in edits:
            edit()
            self.sales.base.run("SELECT pg_sleep(0.3)")
        self.d.start()
        return self.settled()

    def populate(self, crm, people=3, accounts=0):
        for p in range(people):
            crm.add(f"p{p}@example.org", name=f"Person {p}", phone=f"+1 555 {p:04}", score=p)


class LastWriterWins(Conflict):
    entities = rules("{rule: last-writer-wins, priority: [sales, support, billing]}")

    def test_the_later_edit_stands_and_is_counted(self):
        people = self.concurrently(lambda: self.sales.edit("p1@example.org", name="First"),
                                   lambda: self.billing.edit("p1@example.org", name="Second"))
        self.assertEqual(people["p1@example.org"]["name"], "Second")
        self.assertEqual(self.d.entity("contact")["conflicts"], 1)
        self.assert_quiet()

    def test_the_later_edit_stands_in_the_other_order(self):
        people = self.concurrently(lambda: self.billing.edit("p1@example.org", name="First"),
                                   lambda: self.sales.edit("p1@example.org", name="Second"))
        self.assertEqual(people["p1@example.org"]["name"], "Second")

    def test_the_same_edit_on_two_sides_is_no_conflict(self):
        people = self.concurrently(lambda: self.billing.edit("p1@example.org", name="Same"),
                                   lambda: self.sales.edit("p1@example.org", name="Same"))
        self.assertEqual(people["p1@example.org"]["name"], "Same")
        self.assertEqual(self.d.entity("contact")["conflicts"], 0)

    def test_f10_an_edit_wins_over_an_earlier_delete(self):
        people = self.concurrently(lambda: self.billing.remove("p1@example.org"),
                                   lambda: self.sales.edit("p1@example.org", name="Alive"))
        self.assertEqual(people.get("p1@example.org", {}).get("name"), "Alive")

    def test_f10_an_edit_wins_over_a_later_delete(self):
        people = self.concurrently(lambda: self.sales.edit("p1@example.org", name="Alive"),
                                   lambda: self.billing.remove("p1@example.org"))
        self.assertEqual(people.get("p1@example.org", {}).get("name"), "Alive")
        self.assert_quiet()


class DeleteWins(Conflict):
    entities = rules("{rule: last-writer-wins, deletes: delete-wins, priority: [sales, support, billing]}")

    def test_f10_a_delete_wins_over_a_later_edit(self):
        people = self.concurrently(lambda: self.billing.remove("p1@example.org"),
                                   lambda: self.sales.edit("p1@example.org", name="Too late"))
        self.assertEqual(sorted(people), ["p0@example.org", "p2@example.org"])
        self.assert_quiet()

    def test_f10_a_delete_wins_over_an_earlier_edit(self):
        people = self.concurrently(lambda: self.sales.edit("p1@example.org", name="Too early"),
                                   lambda: self.billing.remove("p1@example.org"))
        self.assertEqual(sorted(people), ["p0@example.org", "p2@example.org"])


class SourcePriority(Conflict):
    entities = rules("{rule: source-priority, priority: [billing, sales, support]}")

    def test_the_higher_side_stands_although_it_was_earlier(self):
        people = self.concurrently(lambda: self.billing.edit("p1@example.org", name="Higher"),
                                   lambda: self.sales.edit("p1@example.org", name="Later"))
        self.assertEqual(people["p1@example.org"]["name"], "Higher")
        self.assertEqual(self.d.entity("contact")["conflicts"], 1)

    def test_the_higher_side_stands_when_it_was_later(self):
        people = self.concurrently(lambda: self.sales.edit("p1@example.org", name="Earlier"),
                                   lambda: self.billing.edit("p1@example.org", name="Higher"))
        self.assertEqual(people["p1@example.org"]["name"], "Higher")

    def test_an_edit_on_top_of_the_winner_is_no_conflict(self):
        self.concurrently(lambda: self.billing.edit("p1@example.org", name="Higher"))
        self.support.edit("p1@example.org", name="Next")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Next")


class PerField(Conflict):
    entities = rules("{rule: last-writer-wins, fields: {phone: source-priority}, priority: [sales, support, billing]}")

    def test_each_field_follows_its_own_rule(self):
        people = self.concurrently(lambda: self.sales.edit("p1@example.org", name="First", phone="+1 sales"),
                                   lambda: self.billing.edit("p1@example.org", name="Second", phone="+1 billing"))
        self.assertEqual((people["p1@example.org"]["name"], people["p1@example.org"]["phone"]), ("Second", "+1 sales"))


class Groups(Conflict):
    entities = rules("{rule: last-writer-wins, groups: [[name, phone]], priority: [sales, support, billing]}")

    def test_the_fields_of_a_group_win_or_lose_together(self):
        people = self.concurrently(lambda: self.sales.edit("p1@example.org", name="Sales"),
                                   lambda: self.sales.edit("p1@example.org", score=50),
                                   lambda: self.billing.edit("p1@example.org", phone="+1 billing"))
        self.assertEqual(people["p1@example.org"],
                         {"name": "Person 1", "phone": "+1 billing", "score": 50, "account": None})

    def test_in_the_other_order_too(self):
        people = self.concurrently(lambda: self.billing.edit("p1@example.org", phone="+1 billing"),
                                   lambda: self.sales.edit("p1@example.org", name="Sales"))
        self.assertEqual((people["p1@example.org"]["name"], people["p1@example.org"]["phone"]), ("Sales", "+1 555 0001"))
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
