"""Two-way, three databases: what any side does is done everywhere, and then nothing more is written."""
import os
import random
import unittest

from case import ThreeCrms
from crm import eventually


class TwoWay(ThreeCrms):
    def test_rows_from_every_side_arrive_everywhere_with_their_references(self):
        self.start()
        for number, crm in enumerate(self.crms):
            crm.add_account(f"A{number}", f"Of {crm.name}")
            crm.add(f"{crm.name}@example.org", name=f"Ünï {crm.name}", phone="+49 30 1", score=number, account=f"A{number}")
        people = self.settled()
        self.assertEqual({p: v["account"] for p, v in people.items()},
                         {"sales@example.org": "A0", "support@example.org": "A1", "billing@example.org": "A2"})
        self.assert_quiet()

    def test_a_row_written_while_the_daemon_was_down_arrives(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.d.stop()
        for number, crm in enumerate(self.crms):
            crm.add(f"{crm.name}@example.org", name=crm.name)
            crm.edit(f"p{number}@example.org", name=f"while down, {crm.name}")
        self.d.start()
        people = self.settled()
        self.assertEqual(len(people), 23)
        for number, crm in enumerate(self.crms):
            self.assertEqual(people[f"p{number}@example.org"]["name"], f"while down, {crm.name}")

    def test_edits_of_different_fields_on_all_sides_are_all_kept(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        for p in range(20):
            email = f"p{p}@example.org"
            self.sales.edit(email, name=f"New name {p}")
            self.support.edit(email, phone=f"+2 {p}")
            self.billing.edit(email, score=1000 + p)
        people = self.settled()
        for p in range(20):
            self.assertEqual(people[f"p{p}@example.org"],
                             {"name": f"New name {p}", "phone": f"+2 {p}", "score": 1000 + p, "account": f"A{p % 5}"})
        self.assert_quiet()

    def test_edits_made_on_both_sides_while_the_daemon_was_down_are_all_kept(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.d.stop()
        for p in range(20):
            self.billing.edit(f"p{p}@example.org", score=2000 + p)
            self.support.edit(f"p{p}@example.org", phone=None)
            self.sales.edit(f"p{p}@example.org", name=None)
        self.d.start()
        people = self.settled()
        for p in range(20):
            self.assertEqual(people[f"p{p}@example.org"],
                             {"name": None, "phone": None, "score": 2000 + p, "account": f"A{p % 5}"})
        self.assert_quiet()

    def test_a_reference_moves_to_another_account_and_to_none(self):
        self.start()
        self.populate(self.support)
        self.settled()
        self.sales.edit("p1@example.org", account="A4")
        self.billing.edit("p2@example.org", account=None)
        people = self.settled()
        self.assertEqual(people["p1@example.org"]["account"], "A4")
        self.assertIsNone(people["p2@example.org"]["account"])

    def test_a_delete_on_a_listening_side_is_a_delete_everywhere(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.sales.remove("p3@example.org")
        self.billing.remove("p4@example.org")
        people = self.settled()
        self.assertEqual(len(people), 18)
        self.assertNotIn("p3@example.org", people)
        self.assertNotIn("p4@example.org", people)
        self.assert_quiet()

    def test_a_row_deleted_and_inserted_again_lives(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.sales.remove("p3@example.org")
        self.settled()
        self.billing.add("p3@example.org", name="Born again")
        people = self.settled()
        self.assertEqual(people["p3@example.org"], {"name": "Born again", "phone": None, "score": None, "account": None})

    def test_a_row_deleted_and_inserted_in_one_breath_is_one_row_with_nothing_of_the_old(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        with self.sales.base.connect() as session:
            session.run("BEGIN")
            session.run("DELETE FROM crm.contacts WHERE email = 'p3@example.org'")
            self.sales.add("p3@example.org", session, name="Born again")
            session.run("COMMIT")
        people = self.settled()
        self.assertEqual(len(people), 20)
        self.assertEqual(people["p3@example.org"]["name"], "Born again")

    def test_a_changed_key_moves_the_record(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.sales.edit("p7@example.org", email="seven@example.org")
        people = self.settled()
        self.assertEqual(len(people), 20)
        self.assertEqual(people["seven@example.org"],
                         {"name": "Person 7", "phone": "+1 555 0007", "score": 7, "account": "A2"})
        self.assert_quiet()

    def test_the_same_person_entered_on_two_sides_at_once_is_one_person(self):
        self.start()
        self.settled()
        self.d.stop()
        self.sales.add("twin@example.org", name="From sales")
        self.billing.add("twin@example.org", name="From billing", score=5)
        self.support.add("twin@example.org", name="From support", phone="+1")
        self.d.start()
        self.assertEqual(list(self.settled()), ["twin@example.org"])
        self.assert_quiet()

    def test_text_of_every_kind_arrives_as_it_was(self):
        self.start()
        values = ["", " ", "NULL", "\\N", "a\tb\nc\r\n", "'; DROP TABLE people; --", '{"a",NULL}', "\\", "日本語", "e\u0301", "é",
                  "😀" * 50, "(1,2)", '"', "%s%n", "x" * 100_000]
        for number, value in enumerate(values):
            self.sales.add(f"v{number}@example.org", name=value)
            self.billing.add(f"w{number}@example.org", name=value)
        people = self.settled()
        for number, value in enumerate(values):
            self.assertEqual(people[f"v{number}@example.org"]["name"], value)
            self.assertEqual(people[f"w{number}@example.org"]["name"], value)
        self.assert_quiet()

    def test_many_rows_in_one_transaction_arrive(self):
        self.start()
        self.sales.base.run("INSERT INTO crm.contacts (email, full_name, score) "
                            "SELECT 'n' || n || '@example.org', 'Number ' || n, n FROM generate_series(1, 5000) n")
        self.assertEqual(len(self.settled()), 5000)
        self.sales.base.run("UPDATE crm.contacts SET score = score + 1")
        self.billing.base.run("UPDATE payers SET display = display || '!'")
        people = self.settled()
        self.assertEqual([people[f"n{n}@example.org"]["score"] for n in (1, 2500, 5000)], [2, 2501, 5001])
        self.assertEqual(people["n5000@example.org"]["name"], "Number 5000!")
        self.assert_quiet()

    def test_random_work_on_all_sides_converges_in_every_order(self):
        self.start()
        self.populate(self.sales, people=30)
        self.settled()
        for seed in range(20 if os.environ.get("CRM_LONG") else 3):
            with self.subTest(seed=seed):
                self.work_at_random(random.Random(seed), seed)
        self.assert_quiet()

    def work_at_random(self, dice, seed):
        """Each side edits its own field, inserts its own people and deletes some of those it inserted; nobody waits."""
        own = {"sales": "name", "support": "phone", "billing": "score"}
        shared = [f"p{p}@example.org" for p in range(30)]
        said = {}
        born = {crm.name: [] for crm in self.crms}
        for step in range(150):
            crm = dice.choice(self.crms)
            act = dice.random()
            if act < 0.75:
                email, value = dice.choice(shared), seed * 1000 + step
                crm.edit(email, **{own[crm.name]: value})
                said[email, own[crm.name]] = value
            elif act < 0.9 or crm is self.support or not born[crm.name]:
                email = f"{crm.name}{seed}.{step}@example.org"
                crm.add(email, name=f"Born {step}", account=dice.choice(["A0", "A3", None]))
                born[crm.name].append(email)
            else:
                crm.remove(born[crm.name].pop(dice.randrange(len(born[crm.name]))))
        people = self.settled()
        for (email, field), value in said.items():
            self.assertEqual(str(people[email][field]), str(value), f"{email} {field}")
        self.assertEqual({e for e in people if e.partition(".")[0].endswith(str(seed)) and not e.startswith("p")},
                         {e for emails in born.values() for e in emails})


class Swept(ThreeCrms):
    sweep = "1s"

    def test_a_delete_on_a_polled_side_is_found_by_the_sweep(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.support.remove("p5@example.org")
        eventually(lambda: all("p5@example.org" not in crm.people() for crm in self.crms), "the delete arrived")
        self.assertEqual(len(self.settled()), 19)
        self.assert_quiet()

    def test_a_change_that_no_cursor_sees_is_found_by_the_sweep(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.support.base.run("ALTER TABLE people DISABLE TRIGGER touch; UPDATE people SET name = 'Silently' "
                              "WHERE email = 'p6@example.org'; ALTER TABLE people ENABLE TRIGGER touch")
        eventually(lambda: all(crm.people()["p6@example.org"]["name"] == "Silently" for crm in self.crms), "the change arrived")
        self.settled()

    def test_more_deletes_than_the_limit_are_held_and_the_rest_goes_on(self):
        self.start()
        self.populate(self.sales, people=60)
        self.settled()
        self.support.base.run("DELETE FROM people WHERE score < 40")
        eventually(lambda: sum(link.get("held_deletes", 0) for e in self.d.status()["entities"] for link in e["links"]) >= 40,
                   "the deletes are held")
        self.sales.edit("p50@example.org", name="Goes on")
        eventually(lambda: self.billing.people()["p50@example.org"]["name"] == "Goes on", "other work goes on")
        self.assertEqual(len(self.sales.people()), 60)
        self.assertEqual(len(self.billing.people()), 60)


if __name__ == "__main__":
    unittest.main()
