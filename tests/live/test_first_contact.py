"""First contact of populated databases: nothing is deleted, equal rows are adopted, one-sided ones copied, differing ones merged."""
import unittest

from case import CONTACT, ThreeCrms


class FirstContact(ThreeCrms):
    def test_equal_rows_are_adopted_without_a_single_write(self):
        for crm in self.crms:
            self.populate(crm, people=100)
        before = [crm.base.versions() for crm in self.crms]
        self.start()
        self.settled()
        self.assertEqual(before, [crm.base.versions() for crm in self.crms])
        self.assertEqual(self.d.entity("contact")["records"], 100)
        self.assertEqual(self.d.entity("contact")["conflicts"], 0)

    def test_one_sided_rows_are_copied_and_nothing_is_deleted(self):
        for number, crm in enumerate(self.crms):
            crm.add_account(f"A{number}", crm.name)
            for p in range(50):
                crm.add(f"{crm.name}{p}@example.org", name=f"{crm.name} {p}", account=f"A{number}")
        self.start()
        self.assertEqual(len(self.settled()), 150)
        self.assert_quiet()

    def test_differing_rows_are_merged_by_the_rule_and_counted(self):
        self.sales.add("a@example.org", name="Sales", phone="+1", score=1)
        self.support.add("a@example.org", name="Support", phone="+1", score=1)
        self.support.base.run("ALTER TABLE people DISABLE TRIGGER touch;"
                              "UPDATE people SET changed = clock_timestamp() + interval '5 seconds';"
                              "ALTER TABLE people ENABLE TRIGGER touch")
        self.start()
        people = self.settled()
        self.assertEqual(people["a@example.org"], {"name": "Support", "phone": "+1", "score": 1, "account": None})
        self.assertEqual(self.d.entity("contact")["conflicts"], 1)
        self.assertEqual(sum(v for k, v in self.d.metrics().items()
                             if k.startswith("crmsyncd_conflicts_total{") and 'entity="contact"' in k), 1)
        self.assert_quiet()

    def test_an_empty_side_is_filled_and_references_are_translated(self):
        self.populate(self.support, people=500, accounts=20)
        self.start()
        people = self.settled()
        self.assertEqual(len(people), 500)
        self.assertEqual(people["p33@example.org"]["account"], "A13")
        self.assert_quiet()

    def test_rows_that_differ_only_in_form_are_equal_and_keep_their_form(self):
        self.sales.add("  Ann@Example.ORG ", name="Ann", score=7)
        self.billing.add("ann@example.org", name="Ann", score=7)
        before = [self.sales.base.versions(), self.billing.base.versions()]
        self.start()
        self.d.wait()
        self.assertEqual(before, [self.sales.base.versions(), self.billing.base.versions()])
        self.assertEqual(list(self.support.people()), ["ann@example.org"])

    def test_two_rows_with_the_same_key_on_one_side_are_parked_or_one_of_them_is(self):
        self.sales.add("ann@example.org", name="Ann", score=1)
        self.sales.add("ANN@example.org", name="Ann too", score=2)
        self.sales.add("bob@example.org", name="Bob")
        self.start()
        self.d.wait()
        self.assertIn(len(self.d.parked()), (1, 2))
        self.assertEqual({p["key"] for p in self.d.parked()}, {"ann@example.org"})
        self.assertEqual(self.support.people()["bob@example.org"]["name"], "Bob")
        self.assertLessEqual(len(self.support.people()), 2)

    def test_priority_decides_when_there_is_no_stamp(self):
        self.entities = CONTACT.replace("rule: last-writer-wins, priority: [sales, support, billing]",
                                        "rule: source-priority, priority: [billing, sales, support]") \
            .replace("    account: {type: reference, entity: account}\n", "")
        for old in (", account: account_id", ", columns: {account: company}", ", account: client"):
            self.entities = self.entities.replace(old, "")
        for crm in self.crms:
            crm.add("a@example.org", name=crm.name)
        self.start()
        self.assertEqual(self.settled()["a@example.org"]["name"], "billing")

    def test_once_does_it_and_ends_with_0(self):
        self.populate(self.sales, people=100)
        self.d = self.daemon(self.topology(), run=False)
        self.assertEqual(self.d.run_once("--once"), 0)
        self.assertEqual(len(self.assert_equal_everywhere()), 100)
        before = [crm.base.counters() for crm in self.crms]
        self.assertEqual(self.d.run_once("--once"), 0)
        self.assertEqual(before, [crm.base.counters() for crm in self.crms])


if __name__ == "__main__":
    unittest.main()
