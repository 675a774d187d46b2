"""Redis or a database is put back to an older state, or replaced: recognised, and nothing deleted, revived or reverted elsewhere."""
import os
import shutil
import signal
import subprocess
import unittest

from case import BILLING, SALES, SUPPORT, THINGS, Pair, ThreeCrms
from crm import Cluster, eventually, topology

ALL = ["sales", "support", "billing"]   # of Redis the endpoint tells that was greeted first: the others then find it renewed


class PutBack(ThreeCrms):
    def recognised(self, endpoints, words):
        def told():
            return [e for e in self.d.status()["endpoints"] if e["name"] in endpoints and words in (e["recognised"] or "")]

        said = eventually(told, f"status says of one of {endpoints}: {words}")
        self.assertIsNotNone(said[0]["recognised_time"])
        self.assertIn(words, " ".join(self.d.ctl("status").split()))

    def redis_mark(self, name):
        """The epochs that Redis knows of that endpoint: intended, acknowledged."""
        born = self.redis.call("HGET", "crmsync:acme:meta", "born")[:6]
        return (self.redis.call("HGET", f"crmsync:acme:{born}:pos", f"epoch/{name}") or "0 0").split()

    def assert_as_agreed(self, before):
        people = self.settled()
        self.assertEqual(people["p1@example.org"], {**before["p1@example.org"], "name": "Edited meanwhile"})
        self.assertEqual(people["p3@example.org"], {**before["p3@example.org"], "score": 333, "phone": "+3"})
        self.assertNotIn("p2@example.org", people)
        self.assertEqual(people["new@example.org"]["name"], "New")
        self.assertEqual(self.d.parked(), [])
        return people

    def meanwhile(self):
        self.sales.edit("p1@example.org", name="Edited meanwhile")
        self.support.edit("p3@example.org", phone="+3")
        self.billing.edit("p3@example.org", score=333)
        self.sales.remove("p2@example.org")
        self.sales.add("new@example.org", name="New", account="A1")
        return self.settled()


class Redis(PutBack):
    def put_back(self, stopped):
        self.start()
        self.populate(self.sales)
        before = self.settled()
        eventually(lambda: int(self.redis_mark("sales")[1]) > 0, "what was done there stands in Redis")
        self.redis.call("SAVE")
        dump = self.redis.directory / "dump.rdb"
        shutil.copy(dump, self.place.path / "older.rdb")
        intended = int(self.redis_mark("sales")[0])
        self.meanwhile()
        eventually(lambda: self.sales.base.one("SELECT max(epoch) FROM crmsync.state") > intended, "the database is ahead of the dump")
        if stopped:
            self.d.stop()
        self.redis.stop(signal.SIGKILL)
        shutil.copy(self.place.path / "older.rdb", dump)
        self.sales.edit("p4@example.org", name="While Redis was away")
        self.redis.start()
        if stopped:
            self.d.start()
        self.d.wait()
        self.assertIn("Redis was put back to an older state", str(self.d.status()["endpoints"]))
        self.recognised(ALL, "Redis was put back to an older state")
        people = self.assert_as_agreed(before)
        self.assertEqual(people["p4@example.org"]["name"], "While Redis was away")
        # What was in it is removed, and it counts as usual from here on.
        eventually(lambda: self.redis.call("HGET", "crmsync:acme:meta", "stale") is None, "the older state is removed")
        born = self.redis.call("HGET", "crmsync:acme:meta", "born")[:6]
        self.assertEqual([k for k in self.redis.call("KEYS", "*") if k.split(":")[2] not in (born, "meta", "names", "lease", "fence")], [])
        self.sales.remove("p5@example.org")
        self.assertNotIn("p5@example.org", self.settled())
        self.assert_quiet()

    def test_f22_redis_put_back_to_an_older_dump_while_running(self):
        self.put_back(False)

    def test_f22_redis_put_back_to_an_older_dump_while_the_daemon_was_down(self):
        self.put_back(True)

    def test_an_emptied_redis_is_told(self):
        self.start()
        self.populate(self.sales)
        before = self.settled()
        self.meanwhile()
        self.redis.call("FLUSHALL")
        self.recognised(ALL, "Redis was emptied")
        self.assert_as_agreed(before)


class Databases(PutBack):
    """Each has a server of its own here."""
    slow = True

    def cluster_for(self, name):
        cluster = Cluster(self.place, f"pg-{name}")
        self.clusters = {**getattr(self, "clusters", {}), name: cluster}
        return cluster

    def copy(self, cluster):
        """A cold copy, as a snapshot of its disk."""
        cluster.stop()
        subprocess.run(["cp", "-a", cluster.data, f"{cluster.data}.older"], check=True)
        cluster.start()

    def restore(self, cluster):
        cluster.stop()
        shutil.rmtree(cluster.data)
        subprocess.run(["cp", "-a", f"{cluster.data}.older", cluster.data], check=True)
        cluster.start()

    def database_put_back(self, name, stopped=False):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.copy(self.clusters[name])
        epoch = getattr(self, name).base.one("SELECT max(epoch) FROM crmsync.state")    # of the copy, or later
        before = self.settled()
        self.meanwhile()
        eventually(lambda: int(self.redis_mark(name)[1]) > epoch, "what was done since stands in Redis")
        if stopped:
            self.d.stop()
        crm = getattr(self, name)
        crm.base.close()
        self.restore(self.clusters[name])
        if stopped:
            self.assertIn("p2@example.org", crm.people(), "it is put back")
            crm.add("unknown@example.org", name="Of the restored one")
            self.d.start()
        self.recognised([name], "the database was put back")
        people = self.assert_as_agreed(before)
        self.assertEqual("unknown@example.org" in people, stopped, "what nobody knows is copied")
        # The journal has what it had.
        lost = self.d.ctl_lines("conflicts")
        self.assertTrue(any(d["key"] == "p1@example.org" and "Person 1" in str(d) for d in lost), lost)
        gone, = (d for d in lost if d["key"] == "p2@example.org" and d["field"] == "name")
        self.assertEqual((gone["winner"], gone["tie_break"], gone["stamps"]["(unknown)"], gone["lost"][0]["value"]),
                         ("(unknown)", "put-back", None, "Person 2"))
        self.assertIn(f"(unknown) deleted the record; {name} had \"Person 2\". the database of {name} had been put back",
                      " ".join(self.d.ctl("conflicts", "--key", "p2@example.org").split()))
        crm.edit("p6@example.org", name="Goes on")
        self.assertEqual(self.settled()["p6@example.org"]["name"], "Goes on")
        if name != "support":       # poll sees no deletes before the next sweep
            crm.remove("p7@example.org")
            self.assertNotIn("p7@example.org", self.settled())
        self.assert_quiet()

    def test_a_listening_database_put_back_to_an_older_copy(self):
        self.database_put_back("billing")

    def test_a_listening_database_put_back_while_the_daemon_was_down(self):
        self.database_put_back("sales", stopped=True)

    def test_a_polled_database_put_back_to_an_older_copy_while_the_daemon_was_down(self):
        self.database_put_back("support", stopped=True)

    def test_a_database_replaced_by_an_empty_one_is_filled(self):
        self.start()
        self.populate(self.sales)
        before = self.settled()
        # Each takes as long as it takes to look for tables, and to install, again.
        for name, sql in (("billing", BILLING), ("support", SUPPORT), ("sales", SALES))[:3 if os.environ.get("CRM_LONG") else 1]:
            crm = getattr(self, name)
            crm.base.close()
            crm.base = self.database(name, sql, self.clusters[name])
            self.recognised([name], "the database was replaced")
            self.assertEqual(self.settled(), before)
        self.sales.edit("p1@example.org", name="After")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "After")
        self.assert_quiet()


class ReplacedAtOnce(Pair):
    """There is no time for anything but the first comparison."""
    name = "at_once"

    def test_a_database_replaced_right_after_the_first_of_all_runs_is_filled_and_nothing_is_deleted(self):
        self.a.run("INSERT INTO things (k) VALUES ('one'), ('two'), ('three')")
        sides = {name: {"connection": base.conninfo, "sweep": "1h"} for name, base in (("a", self.a), ("b", self.b))}
        self.d = self.daemon(topology(self.redis, sides, self.entities), run=False)
        self.assertEqual(self.d.run_once("--once"), 0)
        self.assertEqual(len(self.rows(self.b)), 3)
        self.b.close()
        self.b = self.database("at_once_b", THINGS)
        self.d.start()
        self.d.wait()
        self.d.ctl("kick", "--sweep")
        self.assertEqual(len(self.settled()), 3)


if __name__ == "__main__":
    unittest.main()
