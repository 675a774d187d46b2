"""A round that is interrupted between what it agreed on and what it found: what others may look at before that is put back."""
import contextlib
import sqlite3
import unittest

from case import ThreeCrms
from crm import Cluster, eventually

ANN, BOB, BORN, MARRIED = "p1@example.org", "p2@example.org", "born@example.org", "married@example.org"


class Interrupted(ThreeCrms):
    def endpoints(self):
        sides = super().endpoints()
        sides["support"]["interval"] = "1h"     # what is edited there is found by whoever reads the record for another reason
        return sides

    def writes_that_wait(self):
        return self.support.base.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")

    def test_a_round_that_waited_for_an_interrupted_one_does_not_look_before_what_that_had_agreed_on_is_put_back(self):
        """The second one would take the row, which has another key by now, for a record that nobody knows."""
        self.start()
        self.populate(self.sales, people=3)
        self.settled()
        self.support.edit(BOB, name="Loses, so that the journal is told where it is written")
        with self.support.base.connect() as insert, self.support.base.connect() as update, \
                self.sales.base.connect() as sales, self.billing.base.connect() as billing:
            insert.run("BEGIN")
            insert.run("INSERT INTO people (email) VALUES ($1)", BORN)
            update.run("BEGIN")
            update.run("SELECT FROM people WHERE email = $1 FOR UPDATE", ANN)
            sales.run("BEGIN")
            self.sales.add(BORN, sales, name="Born")
            self.sales.edit(BOB, sales, name="Stands")
            sales.run("COMMIT")
            eventually(lambda: self.writes_that_wait() == 1, "the insert waits")
            billing.run("BEGIN")
            self.billing.edit(BORN, billing, email=MARRIED)
            self.billing.edit(ANN, billing, name="Ann")
            billing.run("COMMIT")
            eventually(lambda: self.writes_that_wait() == 2, "the next round waits too")
            with contextlib.closing(sqlite3.connect(self.d.directory / "journal" / "journal.db", isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                insert.run("ROLLBACK")
                eventually(lambda: "round given up entity=contact" in self.d.log, "the first one is given up")
                other.execute("ROLLBACK")
            update.run("COMMIT")
        people = self.settled()
        self.assertFalse(BORN in people, "it is there twice")
        self.assertEqual(people[MARRIED]["name"], "Born")
        self.assertEqual(self.d.parked(), [])


class InDoubt(ThreeCrms):
    def cluster_for(self, name):
        if name != "support":
            return super().cluster_for(name)
        self.cluster = Cluster(self.place, "pg-support")
        return self.cluster

    def in_doubt_and_renamed(self):
        """The insert of BORN at support happened, and nobody was told; it is called MARRIED since, and support has not heard of that."""
        self.start()
        # So many, and at support so old, that whoever is owed something there is found later than what is new there.
        self.sales.base.run("INSERT INTO crm.contacts (email) SELECT format('m%s@example.org', n) FROM generate_series(1, 40000) AS n")
        self.d.wait()
        for sql in ("ALTER TABLE people DISABLE TRIGGER touch", "UPDATE people SET changed = '2020-01-01'", "ALTER TABLE people ENABLE TRIGGER touch"):
            self.support.base.run(sql)
        with self.support.base.connect() as other:
            other.run("BEGIN")
            other.run("INSERT INTO people (email) VALUES ($1)", BORN)
            self.sales.add(BORN, name="Born")
            eventually(lambda: self.support.base.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), "the insert waits")
            self.d.kill()
            other.run("ROLLBACK")
        eventually(lambda: BORN in self.support.people(), "it happens without anybody to tell")
        self.cluster.shut()
        self.d.start()
        self.sales.edit(BORN, email=MARRIED)
        eventually(lambda: MARRIED in self.billing.people(), "the others have it under its new key")

    def assert_one_record(self):
        people = self.settled()
        self.assertFalse(BORN in people, "it is there twice")
        self.assertEqual(people[MARRIED]["name"], "Born")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_the_row_of_an_insert_in_doubt_is_the_record_s_also_when_that_has_another_key_since(self):
        self.in_doubt_and_renamed()
        self.cluster.open()
        self.assert_one_record()


if __name__ == "__main__":
    unittest.main()
