"""The mass-delete guard: at most limits.mass_delete is deleted, the rest is held until somebody decides."""
import signal
import unittest

from case import ThreeCrms
from crm import eventually


class MassDelete(ThreeCrms):
    def setUp(self):
        super().setUp()
        self.start()
        self.populate(self.sales, people=60)
        self.assertEqual(len(self.settled()), 60)

    def sets(self):
        return self.d.ctl_lines("held", "list", "--json")

    def held(self, number):
        """The name of the one set there is, once so many deletes are in it."""
        eventually(lambda: sum(s["deletes"] for s in self.sets()) == number or (False, str(self.sets())), f"{number} deletes are held")
        self.assertEqual(len(self.sets()), 1)
        return self.sets()[0]["set"]

    def none_held(self):
        eventually(lambda: self.sets() == [] or (False, str(self.sets())), "nothing is held any more")

    def test_a_statement_that_deletes_many_is_carried_out_up_to_the_limit(self):
        self.sales.base.run("DELETE FROM crm.contacts WHERE score < 50")
        name = self.held(30)
        self.assertRegex(name, r"^contact/sales/\d+$")
        self.assertIn("30 held", self.d.ctl("wait"))
        for crm in (self.support, self.billing):
            self.assertEqual(len(crm.people()), 40, "20 were deleted, no more")
        contact = self.d.entity("contact")
        self.assertEqual(contact["held"], 30)
        self.assertIn(name, [link for link in contact["links"] if link["endpoint"] == "sales"][0]["reason"])
        shown = self.d.ctl_lines("held", "show", name, "--json")
        self.assertEqual(len({line["key"] for line in shown}), 30)
        self.assertEqual(set(line["endpoint"] for line in shown), {"sales"})

    def test_f12_what_only_a_row_had_whose_delete_is_held_is_not_waited_for(self):
        for name in ("support", "billing"):
            self.d.ctl("pause", name)
        self.sales.base.run("UPDATE crm.contacts SET full_name = 'New' WHERE score < 50")
        eventually(lambda: self.d.entity("contact")["pending"] >= 50, "it is owed to both")
        self.sales.base.run("DELETE FROM crm.contacts WHERE score < 50")
        name = self.held(30)
        for side in ("support", "billing"):
            self.d.ctl("resume", side)
        self.assertIn("30 held", self.d.ctl("wait"))
        self.d.ctl("held", "release", name)
        self.none_held()
        self.assertEqual(len(self.settled()), 10)

    def test_additions_and_edits_flow_meanwhile(self):
        self.sales.base.run("DELETE FROM crm.contacts WHERE score < 50")
        self.held(30)
        self.sales.add("new@example.org", name="New")
        self.billing.edit("p55@example.org", name="Edited")
        eventually(lambda: "new@example.org" in self.support.people() and self.sales.people()["p55@example.org"]["name"] == "Edited",
                   "other work goes on")
        left = sorted(set(self.billing.people()) - set(self.sales.people()))
        self.assertEqual(len(left), 30)
        self.billing.edit(left[0], name="Still wanted")
        eventually(lambda: self.sales.people().get(left[0], {}).get("name") == "Still wanted", "an edit beats the held delete")
        self.held(29)

    def test_what_is_held_survives_a_kill_and_is_released_by_name(self):
        self.sales.base.run("DELETE FROM crm.contacts WHERE score < 50")
        name = self.held(30)
        self.d.wait()
        self.d.stop(signal.SIGKILL, code=-9)
        self.d.start()
        self.d.wait()
        self.assertEqual(self.held(30), name)
        self.sales.remove("p59@example.org")
        self.held(31)           # what began before may still be going on
        self.assertEqual(len(self.billing.people()), 40)
        self.d.ctl("held", "release", name)
        self.none_held()
        self.assertEqual(sorted(self.settled()), [f"p{n}@example.org" for n in range(50, 59)])
        self.assert_quiet()

    def test_a_row_that_is_back_when_the_set_is_released_stays(self):
        self.sales.base.run("DELETE FROM crm.contacts WHERE score < 50")
        name = self.held(30)
        gone = sorted(set(self.billing.people()) - set(self.sales.people()))
        for email in gone[:5]:
            self.sales.add(email, name="Back")
        self.held(25)
        self.d.ctl("held", "release", name)
        self.none_held()
        people = self.settled()
        self.assertEqual(len(people), 15)
        self.assertEqual(people[gone[0]]["name"], "Back")

    def test_a_discarded_set_brings_the_rows_back(self):
        before = self.billing.people()
        self.sales.base.run("DELETE FROM crm.contacts WHERE score < 50")
        name = self.held(30)
        self.d.ctl("held", "discard", name)
        self.none_held()
        after = self.settled()
        self.assertEqual(len(after), 40)
        self.assertEqual(after, {email: before[email] for email in after})
        self.assert_quiet()

    def test_truncate_is_held_whole(self):
        self.billing.base.run("TRUNCATE payers")
        name = self.held(60)
        self.d.wait()
        self.assertEqual(len(self.sales.people()), 60)
        self.d.ctl("kick", "--sweep")
        self.d.wait()
        self.assertEqual(self.held(60), name)   # looked at again, and still the same set
        self.d.ctl("held", "discard", name)
        self.none_held()
        self.assertEqual(len(self.settled()), 60)

    def test_few_deletes_are_not_held(self):
        self.sales.base.run("DELETE FROM crm.contacts WHERE score < 20")
        self.assertEqual(len(self.settled()), 40)
        self.assertEqual(self.sets(), [])

    def test_f12_what_is_held_at_an_endpoint_that_leaves_is_let_go_and_comes_back_with_it(self):
        self.billing.base.run("DELETE FROM payers WHERE points < 50")
        self.held(30)
        self.d.write(self.without_billing())
        self.d.ctl("reload")
        self.d.wait()
        self.assertEqual((self.sets(), self.d.entity("contact")["held"]), ([], 0))
        self.d.write(self.topology())
        self.d.ctl("reload")
        self.assertEqual(len(self.settled()), 40)

    def test_an_unknown_set_is_refused(self):
        self.d.ctl("held", "release", "contact/sales/99", code=64)
        self.d.ctl("held", "discard", "nonsense", code=64)
        self.d.ctl("held", "show", "contact/sales/99", code=64)


if __name__ == "__main__":
    unittest.main()
