"""A transaction that began before others and commits after them is never missed."""
import unittest

from case import ThreeCrms
from crm import Cluster


class LateCommits(ThreeCrms):
    def late_on(self, crm):
        """Three transactions begin, write, and commit in another order than they began; between all steps the daemon looks."""
        self.start()
        self.populate(self.sales)
        self.settled()
        sessions = [crm.base.connect() for _ in range(3)]
        for number, session in enumerate(sessions):
            session.run("BEGIN")
            crm.edit(f"p{number}@example.org", session, name=f"Late {number}")
            crm.add(f"late{number}@example.org", session, name=f"Late {number}")
            crm.edit(f"p{10 + number}@example.org", name=f"Early {number}")
            self.d.wait()
        for number in (1, 2, 0):
            sessions[number].run("COMMIT")
            crm.edit(f"p{15 + number}@example.org", name=f"After {number}")
            people = self.settled()
            self.assertEqual(people[f"p{number}@example.org"]["name"], f"Late {number}")
            self.assertIn(f"late{number}@example.org", people)
            sessions[number].close()
        self.assertEqual(len(people), 23)
        self.assert_quiet()

    def test_with_listen(self):
        self.late_on(self.sales)

    def test_with_poll(self):
        self.late_on(self.support)

    def test_one_that_rolls_back_leaves_nothing(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        with self.sales.base.connect() as session:
            session.run("BEGIN")
            self.sales.edit("p1@example.org", session, name="Never")
            session.run("SAVEPOINT a")
            self.sales.remove("p9@example.org")
            self.d.wait()
            session.run("ROLLBACK")
        people = self.settled()
        self.assertEqual((people["p1@example.org"]["name"], len(people)), ("Person 1", 19))


class Prepared(ThreeCrms):
    def cluster_for(self, name):
        if name == "sales":
            self.server = Cluster(self.place, "twophase", "max_prepared_transactions = 5")
        return self.server

    def endpoints(self):
        endpoints = super().endpoints()
        endpoints["sales"]["notify"] = "false"
        return endpoints

    def late_on(self, crm):
        self.start()
        self.populate(self.billing)
        self.settled()
        with crm.base.connect() as session:
            session.run("BEGIN")
            crm.edit("p1@example.org", session, name="Prepared")
            session.run("PREPARE TRANSACTION 'one'")
            crm.edit("p2@example.org", name="Meanwhile")
            self.assertEqual(self.settled()["p2@example.org"]["name"], "Meanwhile")
            session.run("COMMIT PREPARED 'one'")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Prepared")

    def test_a_prepared_transaction_is_not_missed_with_listen_without_notify(self):
        self.late_on(self.sales)

    def test_a_prepared_transaction_is_not_missed_with_poll(self):
        self.late_on(self.support)


if __name__ == "__main__":
    unittest.main()
