"""Rows that need care: orphans, values that do not fit, invalid ones, cleaning, filters, soft deletes."""
import unittest

from case import ACCOUNT, CONTACT, ThreeCrms
from crm import eventually


class Orphans(ThreeCrms):
    def test_an_orphan_waits_for_its_parent(self):
        """The account cannot arrive at billing before the obstacle is gone; its people wait and are released by its arrival."""
        self.start()
        self.d.wait()
        self.billing.base.run("ALTER TABLE clients ADD CONSTRAINT short CHECK (length(label) < 10)")
        self.sales.add_account("A1", "Much too long a name")
        self.sales.add("child@example.org", name="Child", account="A1")
        eventually(lambda: any(p["endpoint"] == "billing" and p["entity"] == "account" for p in self.d.parked()),
                   "the parent is parked at billing")
        eventually(lambda: self.support.people().get("child@example.org", {}).get("account") == "A1", "the child is at support")
        self.assertNotIn("child@example.org", self.billing.people())
        self.sales.base.run("UPDATE crm.accounts SET name = 'Short'")
        self.settled()
        self.assertEqual(self.billing.people()["child@example.org"]["account"], "A1")
        self.assertEqual(self.d.parked(), [])

    def test_children_and_parents_made_in_any_order_on_any_side_arrive(self):
        self.start()
        for number in range(30):
            crm = self.crms[number % 3]
            crm.add_account(f"A{number}", f"Account {number}")
            crm.add(f"c{number}@example.org", account=f"A{number}")
        people = self.settled()
        self.assertEqual([people[f"c{n}@example.org"]["account"] for n in range(30)], [f"A{n}" for n in range(30)])


class Parked(ThreeCrms):
    def test_f23_a_value_that_is_too_long_parks_that_row_only_and_is_tried_again_when_it_changes(self):
        self.start()
        self.populate(self.support)
        self.settled()
        self.support.base.run("UPDATE people SET phone = CASE score WHEN 1 THEN repeat('1', 21) ELSE '+7 ' || score END WHERE score > 0")  # sales has room for 20
        self.d.wait()
        parked = self.d.parked()
        self.assertEqual([(p["entity"], p["endpoint"], p["code"]) for p in parked], [("contact", "sales", "22001")])
        self.assertEqual(self.sales.people()["p1@example.org"]["phone"], "+1 555 0001")
        self.assertEqual(self.billing.people()["p1@example.org"]["phone"], "1" * 21)
        for p in range(2, 20):
            self.assertEqual(self.sales.people()[f"p{p}@example.org"]["phone"], f"+7 {p}")
        self.assertEqual(self.d.entity("contact")["parked"], 1)
        self.support.edit("p1@example.org", phone="+8")
        self.assertEqual(self.settled()["p1@example.org"]["phone"], "+8")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_a_value_that_was_too_long_is_tried_again_when_the_column_is_made_as_wide_as_it_was(self):
        self.start()
        self.sales.add("ann@example.org", name="Ann")
        self.d.wait()
        self.support.base.run("ALTER TABLE people ALTER name TYPE varchar(5)")
        self.sales.edit("ann@example.org", name="Ann of Somewhere")
        eventually(lambda: [(p["code"], p["tries"] > 1) for p in self.d.parked()] == [("22001", True)],
                   "parked, and the other definition was noticed", 30)
        self.support.base.run("ALTER TABLE people ALTER name TYPE text")
        eventually(lambda: self.d.parked() == [], "tried again", 30)
        self.d.wait()
        self.assert_equal_everywhere()

    def test_parked_rows_outlive_the_daemon_and_are_tried_again_when_told(self):
        self.start()
        self.populate(self.support)
        self.settled()
        self.support.edit("p1@example.org", phone="1" * 21)
        self.d.wait()
        self.d.kill()
        self.d.start()
        self.d.wait()
        self.assertEqual(len(self.d.parked()), 1)
        self.sales.base.run("ALTER TABLE crm.contacts ALTER phone_number TYPE text")
        self.d.ctl("parked", "retry")
        eventually(lambda: self.d.parked() == [], "nothing is parked any more")
        self.assertEqual(self.settled()["p1@example.org"]["phone"], "1" * 21)

    def test_the_edit_of_the_side_that_cannot_take_a_row_is_not_lost(self):
        self.start()
        self.populate(self.support)
        self.settled()
        self.support.edit("p1@example.org", phone="1" * 21)
        self.d.wait()
        self.sales.edit("p1@example.org", name="Edited at sales")
        self.d.wait()
        self.assertEqual(self.billing.people()["p1@example.org"]["name"], "Edited at sales")
        self.assertEqual(self.support.people()["p1@example.org"]["name"], "Edited at sales")
        self.assertEqual(self.support.people()["p1@example.org"]["phone"], "1" * 21)

    def test_f28_a_constraint_of_one_side_stops_its_rows_only(self):
        self.start()
        self.billing.base.run("ALTER TABLE payers ADD CHECK (points < 100)")
        for p in range(50):
            self.sales.add(f"q{p}@example.org", score=200 if p % 10 == 0 else p)
        self.d.wait()
        self.assertEqual(len(self.d.parked()), 5)
        self.assertEqual(len(self.billing.people()), 45)
        self.assertEqual(len(self.support.people()), 50)
        self.billing.base.run("ALTER TABLE payers DROP CONSTRAINT payers_points_check")
        self.d.ctl("parked", "retry")
        eventually(lambda: self.d.parked() == [], "all are in")
        self.settled()


class Cleaning(ThreeCrms):
    entities = ACCOUNT + CONTACT.replace("name: {type: text}", "name: {type: text, clean: [trim, squeeze, empty-to-null], "
                                         "check: [{length: [2, 40]}]}") \
        .replace("score: {type: integer}", "score: {type: integer, check: [{range: [0, 100]}]}")

    def test_f08_cleaned_values_travel_and_cause_no_second_write(self):
        self.start()
        self.sales.add("  Ann@Example.org", name="  Ann   Lee ", score=1)
        self.sales.add("bob@example.org", name="   ", score=2)
        self.d.wait()
        for crm in (self.support, self.billing):
            self.assertEqual(crm.people()["ann@example.org"]["name"], "Ann Lee")
            self.assertIsNone(crm.people()["bob@example.org"]["name"])
        self.assertEqual({email: fields["name"] for email, fields in self.sales.people().items()},
                         {"  Ann@Example.org": "  Ann   Lee ", "bob@example.org": "   "}, "there all is as it was written")
        before = [crm.base.versions() for crm in self.crms]
        self.d.restart()
        self.d.wait()
        self.assertEqual(before, [crm.base.versions() for crm in self.crms])
        self.billing.edit("ann@example.org", score=3)
        self.d.wait()
        self.assertEqual(self.sales.people()["  Ann@Example.org"], {"name": "  Ann   Lee ", "phone": None, "score": 3,
                                                                      "account": None})

    def test_an_invalid_record_is_parked_with_field_and_cause_and_goes_on_when_mended(self):
        self.start()
        self.populate(self.sales, people=5)
        self.settled()
        self.sales.edit("p1@example.org", score=101)
        self.billing.add("Z@example.org", name="Z")
        self.d.wait()
        parked = {p["key"]: p for p in self.d.parked()}
        self.assertEqual({k: (p["endpoint"], p["code"]) for k, p in parked.items()},
                         {"p1@example.org": ("sales", "range"), "z@example.org": ("billing", "length")})
        self.assertIn("score", parked["p1@example.org"]["cause"])
        self.assertIn("name", parked["z@example.org"]["cause"])
        self.assertEqual(self.support.people()["p1@example.org"]["score"], 1)
        self.assertNotIn("z@example.org", self.sales.people())
        self.sales.edit("p1@example.org", score=100)
        self.billing.base.run("UPDATE payers SET display = 'Zoe', mail = 'z@example.org' WHERE mail = 'Z@example.org'")
        people = self.settled()
        self.assertEqual((people["p1@example.org"]["score"], people["z@example.org"]["name"]), (100, "Zoe"))
        self.assertEqual(self.d.parked(), [])

    def test_of_two_rows_with_one_key_the_other_goes_on_when_one_is_removed(self):
        self.sales.add("ann@example.org", name="Ann Lee")
        self.sales.add("ANN@example.org", name="Ann Poe")
        self.start()
        self.d.wait()
        self.assertEqual([(p["endpoint"], p["key"], p["code"]) for p in self.d.parked()],
                         [("sales", "ann@example.org", "duplicate-key")])
        self.assertEqual(self.billing.people()["ann@example.org"]["name"], "Ann Lee")
        self.sales.remove("ann@example.org")
        eventually(lambda: self.billing.people().get("ann@example.org", {}).get("name") == "Ann Poe", "the other one takes its place")
        self.d.wait()
        self.assertEqual(self.support.people()["ann@example.org"]["name"], "Ann Poe")
        self.assertEqual(self.d.parked(), [])

    def test_a_record_without_its_key_is_parked(self):
        self.start()
        self.sales.add(" ", name="Nobody")
        self.d.wait()
        # Trimmed to nothing: required, since the field says so.
        self.assertEqual([p["code"] for p in self.d.parked()], ["required"])
        self.assertEqual(self.support.people(), {})


class Filters(ThreeCrms):
    entities = ACCOUNT + CONTACT.replace("support: {table: people,", "support: {table: people, delete: {soft: {column: gone, set: now}},") \
        .replace("sales: {table: crm.contacts,", "sales: {table: crm.contacts, where: {active: true},")

    def setUp(self):
        super().setUp()
        self.sales.base.run("ALTER TABLE crm.contacts ADD active boolean NOT NULL DEFAULT true")
        self.support.base.run("ALTER TABLE people ADD gone timestamptz")

    def test_a_soft_delete_is_a_delete_elsewhere_and_a_delete_elsewhere_is_soft_here(self):
        self.start()
        self.populate(self.sales, people=10)
        self.d.wait()
        self.support.base.run("UPDATE people SET gone = now() WHERE email = 'p1@example.org'")
        self.sales.remove("p2@example.org")
        self.d.wait()
        self.assertEqual(len(self.sales.people()), 8)
        self.assertEqual(len(self.billing.people()), 8)
        self.assertEqual(self.support.base.run("SELECT email FROM people WHERE gone IS NOT NULL ORDER BY 1"),
                         [("p1@example.org",), ("p2@example.org",)])

    def test_a_row_that_was_deleted_softly_is_taken_back_when_its_record_comes_again(self):
        self.start()
        self.populate(self.sales, people=3)
        self.d.wait()
        ids = self.support.base.run("SELECT person FROM people ORDER BY 1")
        self.sales.remove("p1@example.org")
        self.d.wait()
        self.billing.add("p1@example.org", name="Back again")
        self.d.wait()
        self.assertEqual(self.support.base.run("SELECT name, gone FROM people WHERE email = 'p1@example.org'"), [("Back again", None)])
        self.assertEqual(self.support.base.run("SELECT person FROM people ORDER BY 1"), ids)
        self.assertEqual(self.d.parked(), [])

    def test_rows_outside_of_the_filter_stay_at_home(self):
        self.populate(self.sales, people=10)
        self.sales.base.run("UPDATE crm.contacts SET active = false WHERE score < 3")
        self.start()
        self.d.wait()
        self.assertEqual(len(self.billing.people()), 7)
        self.sales.base.run("UPDATE crm.contacts SET active = true WHERE score = 0")
        self.d.wait()
        self.assertIn("p0@example.org", self.billing.people())
        self.assertEqual(len(self.sales.people()), 10)

    def test_a_row_that_left_the_filter_is_not_inserted_once_more(self):
        self.sales.base.run("ALTER TABLE crm.contacts DROP CONSTRAINT contacts_email_key")
        self.populate(self.sales, people=3)
        self.start()
        self.d.wait()
        self.sales.base.run("UPDATE crm.contacts SET active = false WHERE score = 0")
        self.d.wait()
        for name in ("Once", "And again"):
            self.billing.edit("p0@example.org", name=name)
            self.d.wait()
        self.assertEqual(self.support.people()["p0@example.org"]["name"], "And again")
        self.assertEqual(self.sales.base.run("SELECT full_name FROM crm.contacts WHERE score = 0"), [("Person 0",)])

    def test_nor_when_it_is_deleted_there(self):
        self.populate(self.sales, people=3)
        self.start()
        self.d.wait()
        self.sales.base.run("UPDATE crm.contacts SET active = false WHERE score = 0")
        self.d.wait()
        self.sales.base.run("DELETE FROM crm.contacts WHERE score = 0")
        self.billing.edit("p0@example.org", name="Edited")
        self.d.ctl("kick", "--sweep")
        self.d.wait()
        self.assertEqual(len(self.sales.people()), 2)
        self.assertEqual(self.d.parked(), [])

    def test_f13_a_record_whose_key_a_row_outside_of_the_filter_has_is_parked_and_comes_when_that_is_gone(self):
        self.start()
        for number, what in enumerate(("DELETE FROM crm.contacts WHERE NOT active",
                                       "UPDATE crm.contacts SET email = 'other@example.org' WHERE NOT active")):
            mail = f"p{number}@example.org"
            self.sales.base.run(f"INSERT INTO crm.contacts (email, active) VALUES ('{mail}', false)")
            self.billing.add(mail, name="Ann")
            self.d.wait()
            self.assertEqual([(p["key"], p["endpoint"], p["code"]) for p in self.d.parked()], [(mail, "sales", "key-taken")])
            self.billing.edit(mail, name="Eve")
            self.d.wait()
            self.assertEqual(self.d.entity("contact")["parked"], 1)
            self.sales.base.run(what)
            eventually(lambda: self.sales.people().get(mail, {}).get("name") == "Eve", "the record is inserted")
            self.assertEqual(self.d.parked(), [])

    def test_nor_is_a_record_inserted_beside_a_row_that_never_was_in_it(self):
        self.sales.base.run("ALTER TABLE crm.contacts DROP CONSTRAINT contacts_email_key")
        self.sales.add("ann@example.org", name="Inactive")
        self.sales.base.run("UPDATE crm.contacts SET active = false")
        self.billing.add("ann@example.org", name="Before")
        self.start()
        self.d.wait()
        self.sales.base.run("INSERT INTO crm.contacts (email, active) VALUES ('eve@example.org', false)")
        self.billing.add("eve@example.org", name="After")
        self.d.wait()
        self.assertEqual(self.support.people().keys(), {"ann@example.org", "eve@example.org"})
        self.assertEqual(self.sales.base.run("SELECT email, active FROM crm.contacts ORDER BY 1"),
                         [("ann@example.org", False), ("eve@example.org", False)])
        self.assertEqual([(p["key"], p["endpoint"], p["code"]) for p in self.d.parked()],
                         [("ann@example.org", "sales", "key-taken"), ("eve@example.org", "sales", "key-taken")])
        self.sales.base.run("UPDATE crm.contacts SET active = true")
        self.d.wait()
        self.assertEqual((len(self.sales.people()), self.d.parked()), (2, []))


class Marks(ThreeCrms):
    entities = ACCOUNT + CONTACT.replace("support: {table: people,", "support: {table: people, where: {state: live}, "
                                         "delete: {soft: {column: state, set: gone}},")

    def test_a_value_of_ones_own_marks_what_is_deleted_and_nothing_else_does(self):
        self.support.base.run("ALTER TABLE people ADD state text NOT NULL DEFAULT 'live'")
        self.populate(self.support, people=3)
        self.start()
        self.d.wait()
        self.assertEqual(len(self.billing.people()), 3)
        self.support.base.run("UPDATE people SET state = 'gone' WHERE email = 'p1@example.org'")
        self.billing.remove("p2@example.org")
        self.d.wait()
        self.assertEqual(self.sales.people().keys(), {"p0@example.org"})
        self.sales.add("p2@example.org", name="Back again")
        self.d.wait()
        self.assertEqual(self.support.base.run("SELECT email, state FROM people ORDER BY 1"),
                         [("p0@example.org", "live"), ("p1@example.org", "gone"), ("p2@example.org", "live")])


class Roles(ThreeCrms):
    entities = ACCOUNT + CONTACT.replace("billing: {table: payers,", "billing: {table: payers, role: target,") \
        .replace("sales: {table: crm.contacts,", "sales: {table: crm.contacts, role: source,")

    def test_a_source_is_never_written_and_a_target_is_never_captured(self):
        self.start()
        self.populate(self.sales, people=5)
        self.d.wait()
        self.assertEqual(len(self.billing.people()), 5)
        self.billing.add("only@example.org", name="Only here")
        before = self.sales.base.run("SELECT ctid::text, xmin::text FROM crm.contacts ORDER BY 1")
        self.support.edit("p1@example.org", name="At support")
        self.d.wait()
        self.assertEqual(self.billing.people()["p1@example.org"]["name"], "At support")
        self.assertEqual(before, self.sales.base.run("SELECT ctid::text, xmin::text FROM crm.contacts ORDER BY 1"))
        self.assertNotIn("only@example.org", self.support.people())

    def test_what_a_target_had_before_is_met_and_not_inserted_beside_it(self):
        self.billing.base.run("ALTER TABLE payers DROP CONSTRAINT payers_mail_key")
        self.populate(self.sales, people=5)
        self.billing.add(" P1@Example.org", name="As it was")       # fewer than the others have: it would be listed first
        self.start()
        self.d.wait()
        self.billing.add("late@example.org", name="Only here")
        self.support.add("late@example.org", name="Everybody's")
        self.d.wait()
        self.assertEqual(len(self.billing.base.run("SELECT 1 FROM payers")), 6)
        self.assertEqual(self.billing.people()["late@example.org"]["name"], "Everybody's")
        self.assertEqual(self.d.parked(), [])

    def test_who_waits_for_a_row_that_a_target_lost_goes_on_when_it_is_put_back(self):
        self.billing.base.run("ALTER TABLE payers DROP CONSTRAINT payers_client_fkey, ADD FOREIGN KEY (client) "
                              "REFERENCES clients ON DELETE SET NULL")
        self.d = self.daemon(self.topology(self.entities.replace("billing: {table: clients,", "billing: {table: clients, role: target,")))
        self.populate(self.sales, people=2, accounts=1)
        self.d.wait()
        self.billing.base.run("DELETE FROM clients")
        self.support.edit("p1@example.org", name="Edited")
        self.d.wait()
        self.assertEqual([p["code"] for p in self.d.parked()], ["23503"])
        self.d.ctl("kick", "--sweep")
        self.d.wait()
        self.assertEqual(self.d.parked(), [])
        self.assert_equal_everywhere((self.support, self.billing))


if __name__ == "__main__":
    unittest.main()
