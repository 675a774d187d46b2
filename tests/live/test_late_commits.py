"""A transaction that began before others and commits after them is never missed."""
import unittest

from case import Pair, ThreeCrms
from crm import Cluster, eventually


class LateCommits(ThreeCrms):
    def late_on(self, crm, seconds=0):
        """Three transactions begin, write, and commit in another order than they began, so much later; between all steps the
        daemon looks."""
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
        eventually(lambda: crm.base.one("SELECT clock_timestamp() - max(xact_start) > CAST($1 AS interval) FROM pg_stat_activity "
                                        "WHERE state = 'idle in transaction'", f"{seconds} s"), "they are open for long")
        crm.edit("p13@example.org", name="Meanwhile")
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

    def test_f01_with_listen(self):
        self.late_on(self.sales)

    def test_f02_with_poll(self):
        self.late_on(self.support, 2)       # a second is allowed for what is not shown yet

    def test_f01_one_that_rolls_back_leaves_nothing(self):
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


class OneRound(Pair):
    """One round at a time: nothing is read while it waits."""

    def test_f01_an_entry_that_commits_while_later_ones_are_in_work_is_not_acknowledged_with_them(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'old'), ('k2', 'old')")
        self.begin("limits:\n  rounds: 1")
        self.settled()
        with self.a.connect() as late, self.b.connect() as lock:
            late.run("BEGIN; UPDATE things SET name = 'late' WHERE k = 'k1'")
            lock.run("BEGIN; SELECT FROM things WHERE k = 'k2' FOR UPDATE")
            self.a.run("UPDATE things SET name = 'early' WHERE k = 'k2'")
            eventually(lambda: self.b.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()") > 0,
                       "the round that read the later entry writes")
            late.run("COMMIT")
            lock.run("COMMIT")
        self.assertEqual(dict(self.settled("k, name")), {"k1": "late", "k2": "early"})


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
            eventually(lambda: crm.base.one("SELECT clock_timestamp() - prepared > interval '1.5 s' FROM pg_prepared_xacts"), "it is of the past")
            crm.edit("p3@example.org", name="Then")
            self.assertEqual(self.settled()["p3@example.org"]["name"], "Then")
            session.run("COMMIT PREPARED 'one'")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Prepared")

    def test_f35_a_prepared_transaction_is_not_missed_with_listen_without_notify(self):
        self.late_on(self.sales)

    def test_f35_a_prepared_transaction_is_not_missed_with_poll(self):
        self.late_on(self.support)


if __name__ == "__main__":
    unittest.main()
