"""What happened to a write whose answer never came is found out, also when people went on meanwhile."""
import unittest

from case import ThreeCrms
from crm import Cluster, eventually

BORN, MARRIED = "born@example.org", "married@example.org"


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
        self.sales.base.run("INSERT INTO crm.contacts (email) SELECT format('m%s@example.org', n) FROM generate_series(1, 30000) AS n")
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
