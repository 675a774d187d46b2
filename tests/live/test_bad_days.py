"""The daemon is killed, a database or Redis restarts, Redis is emptied: nothing lost, nothing doubled, all equal again."""
import os
import random
import signal
import unittest

from case import ThreeCrms
from crm import Cluster, Daemon, eventually
from editors import Editor, Load, lost

LONG = bool(os.environ.get("CRM_LONG"))


class UnderLoad(Load):
    def kill_daemon(self):
        self.d.kill()
        self.d.start()

    def kill_daemon_when_it_has_acknowledged(self):
        """From that moment on only what it has written down knows of that news."""
        newest = eventually(lambda: self.sales.base.one("SELECT max(id) FROM crmsync.changelog"), "there is news")
        eventually(lambda: self.sales.base.one("SELECT count(*) FROM crmsync.changelog WHERE id = $1", newest) == 0, "it is acknowledged")
        self.kill_daemon()

    def test_f29_kill_9_of_the_daemon_at_random_moments(self):
        self.survive([self.kill_daemon, self.kill_daemon_when_it_has_acknowledged] * (13 if LONG else 3))

    def test_kill_9_of_the_daemon_during_the_first_reconcile(self):
        self.populate(self.sales, people=3000, accounts=20)
        self.d = Daemon(self.place, self.topology(), run=False)
        for moment in range(20 if LONG else 4):
            self.d.start()
            goal = 400 * (moment + 1)
            eventually(lambda: len(self.support.people()) + len(self.billing.people()) >= goal, "some rows have arrived")
            self.d.kill()
        self.d.start()
        self.assertEqual(len(self.settled()), 3000)
        self.assert_quiet()

    def test_f24_restart_of_each_database(self):
        self.survive([cluster.restart for cluster in self.clusters])

    def test_f24_crash_of_each_database(self):
        self.survive([lambda c=cluster: c.restart(signal.SIGQUIT) for cluster in self.clusters])

    def test_restart_of_redis(self):
        self.survive([self.redis.restart, lambda: self.redis.restart(signal.SIGKILL)])

    def test_all_of_it_at_once(self):
        self.survive([self.redis.restart, self.kill_daemon, self.clusters[0].restart,
                      lambda: self.clusters[2].restart(signal.SIGQUIT), self.kill_daemon])

    def test_while_redis_is_away_nothing_is_applied_and_nothing_is_lost(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.redis.stop()
        eventually(lambda: self.d.metrics()["crmsyncd_redis_up"] == 0, "the daemon noticed")
        self.assertEqual(self.d.get("/readyz")[0], 503)
        self.sales.edit("p1@example.org", name="Meanwhile")
        self.sales.remove("p2@example.org")
        self.billing.edit("p3@example.org", score=77)
        self.assertEqual(self.d.try_ctl("wait", "--timeout", "2s").returncode, 75)
        self.assertEqual(self.billing.people()["p1@example.org"]["name"], "Person 1")
        self.assertIn("p2@example.org", self.billing.people())
        self.redis.start()
        people = self.settled()
        self.assertEqual(people["p1@example.org"]["name"], "Meanwhile")
        self.assertEqual(people["p3@example.org"]["score"], 77)
        self.assertNotIn("p2@example.org", people)
        self.assert_quiet()


class ComesBack(ThreeCrms):
    def cluster_for(self, name):
        if name != "support":
            return super().cluster_for(name)
        self.away = Cluster(self.place, "away")
        return self.away

    def test_a_side_that_comes_back_in_the_middle_of_a_round_gets_what_that_round_decided(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.away.shut()
        eventually(lambda: self.d.endpoint("support")["state"] == "down", "the daemon noticed")
        with self.billing.base.connect() as session:
            session.run("BEGIN")
            self.billing.edit("p1@example.org", session, name="Locked")
            self.sales.edit("p1@example.org", phone="+9")
            eventually(lambda: self.billing.base.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
                                                     "usename = 'crmsync' AND datname = current_database()") > 0, "the round writes")
            self.away.open()
            eventually(lambda: self.d.endpoint("support")["state"] == "up", "it is back")
            session.run("ROLLBACK")
        self.assertEqual(self.settled()["p1@example.org"]["phone"], "+9")


class RedisEmptied(ThreeCrms):
    def emptied(self, how):
        self.start()
        self.populate(self.sales, people=200)
        self.settled()
        before, versions = self.assert_equal_everywhere(), [crm.base.versions() for crm in self.crms]
        how()
        # It has to notice by itself, with nothing to do; what is edited before that is merged as at first contact.
        eventually(lambda: self.redis.call("DBSIZE") > 0 and self.d.entity("contact")["records"] == 200, "the vectors are rebuilt")
        self.assertEqual(self.settled(), before)
        self.assertEqual([crm.base.versions() for crm in self.crms], versions, "equal rows are adopted as they are")
        self.sales.edit("p1@example.org", name="After")
        self.billing.edit("p1@example.org", score=99)
        self.sales.remove("p2@example.org")
        self.support.add("new@example.org", name="New")
        people = self.settled()
        self.assertEqual(people["p1@example.org"], {**before["p1@example.org"], "name": "After", "score": 99})
        self.assertEqual(len(people), 200)
        self.assertEqual(self.d.entity("contact")["records"], 200)
        self.assert_quiet()

    def test_f22_flushall_while_running(self):
        self.emptied(lambda: self.redis.call("FLUSHALL"))

    def test_f22_flushall_while_the_daemon_is_down(self):
        def how():
            self.d.stop()
            self.redis.call("FLUSHALL")
            self.d.start()

        self.emptied(how)

    def test_f22_redis_restarts_without_its_memory(self):
        self.emptied(lambda: self.redis.restart(signal.SIGKILL))

    def test_what_was_edited_and_deleted_around_a_flushall_is_not_a_reason_to_delete_anything(self):
        self.start()
        self.populate(self.sales, people=50)
        self.settled()
        self.d.stop()
        self.sales.edit("p1@example.org", name="Edited at sales")
        self.billing.edit("p2@example.org", name="Edited at billing")
        self.sales.remove("p3@example.org")
        self.support.add("new@example.org", name="New")
        self.redis.call("FLUSHALL")
        self.d.start()
        people = self.settled()
        self.assertEqual(len(people), 51)
        self.assertEqual(people["p1@example.org"]["name"], "Edited at sales")
        self.assertIn("p3@example.org", people)
        self.assertIn("new@example.org", people)
        self.assert_quiet()

    def test_f22_an_edit_at_a_side_whose_rows_tell_no_time_outlives_a_flushall_also_where_that_side_is_listed_first(self):
        self.start()
        self.populate(self.sales, people=50)
        self.settled()
        self.d.stop()
        self.billing.remove("p3@example.org")       # the smallest table is listed first
        self.billing.edit("p2@example.org", name="Edited at billing")
        self.redis.call("FLUSHALL")
        self.d.start()
        people = self.settled()
        self.assertEqual(people["p2@example.org"]["name"], "Edited at billing")
        self.assertIn("p3@example.org", people)
        self.assert_quiet()

    def test_a_write_that_was_on_its_way_when_redis_was_emptied_is_no_edit(self):
        self.start()
        self.populate(self.sales, people=3)
        self.settled()
        with self.support.base.connect() as holder:
            holder.run("BEGIN")
            holder.run("SELECT FROM people WHERE email = 'p1@example.org' FOR UPDATE")
            self.billing.edit("p1@example.org", name="first")
            eventually(lambda: self.support.base.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                                                     "AND datname = current_database()") > 0, "our write waits for the row")
            self.billing.edit("p1@example.org", name="then")
            self.redis.call("FLUSHALL")
            eventually(lambda: "the state in Redis was lost" in self.d.log, "that is noticed")
            holder.run("COMMIT")        # our write of `first` is younger now than the edit `then`
        self.assertEqual(self.settled()["p1@example.org"]["name"], "then")

    def test_f22_what_was_still_owed_when_redis_was_emptied_is_not_older_than_what_is_to_be_overwritten(self):
        self.start()
        self.populate(self.sales, people=3)
        self.settled()
        self.billing.edit("p1@example.org", name="first")
        self.settled()
        for away in ("sales", "support"):
            self.d.ctl("pause", away)
        self.billing.edit("p1@example.org", name="then")
        eventually(lambda: self.billing.base.one("SELECT count(*) FROM crmsync.changelog") == 0, "it was captured: the log tells of it no more")
        self.redis.call("FLUSHALL")
        eventually(lambda: "the state in Redis was lost" in self.d.log, "that is noticed")
        for away in ("sales", "support"):
            self.d.ctl("resume", away)
        self.assertEqual(self.settled()["p1@example.org"]["name"], "then")

    def test_f22_an_edit_that_a_younger_one_follows_while_it_is_looked_at_is_no_younger_than_that(self):
        self.start()
        self.populate(self.sales, people=3)
        self.settled()
        self.d.ctl("pause", "contact")
        self.billing.edit("p1@example.org", name="first")
        self.redis.call("FLUSHALL")
        eventually(lambda: self.d.log.count("survey done") == 9, "the parents are listed again")
        with self.billing.base.connect() as editor, self.support.base.connect() as holder:
            editor.run("BEGIN")
            editor.run("LOCK TABLE crmsync.changelog")
            self.d.ctl("resume", "contact")
            eventually(lambda: self.waits(self.billing, "%max(%FROM crmsync.changelog%"), "the row was read; when that was written the log is asked")
            self.billing.edit("p1@example.org", editor, name="then")
            holder.run("BEGIN")
            holder.run("SELECT FROM people WHERE email = 'p1@example.org' FOR UPDATE")
            editor.run("COMMIT")
            eventually(lambda: self.waits(self.support, "%UPDATE%") and self.sales.people()["p1@example.org"]["name"] == "first",
                       "`first` is written elsewhere, with what the log told of `then`")
            self.redis.call("FLUSHALL")
            eventually(lambda: self.d.log.count("the state in Redis was lost") == 2, "that is noticed")
            holder.run("COMMIT")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "then")

    def waits(self, crm, statement):
        """A session of the daemon waits for a lock, with such a statement."""
        return crm.base.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'crmsync' "
                            "AND datname = current_database() AND query LIKE $1", statement) > 0

    def test_flushall_under_load_deletes_nothing_and_converges(self):
        self.start()
        self.populate(self.sales, people=100)
        self.settled()
        emails = [f"p{p}@example.org" for p in range(100)]
        editors = [Editor(self.sales, "name", emails[:50], 1), Editor(self.billing, "name", emails[50:], 2)]
        try:
            for _ in range(3):
                for editor in editors:
                    editor.more(50)
                self.redis.call("FLUSHALL")
            for editor in editors:
                editor.more(50)
        finally:
            for editor in editors:
                editor.finish()
        people = self.settled()
        self.assertEqual(len(people), 100)
        self.assertEqual(lost(editors, people), [])
        self.assert_quiet()


class RedisRefused(ThreeCrms):
    redis_options = ("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")

    def test_f22_a_redis_that_may_evict_keys_is_refused_with_the_reason(self):
        self.populate(self.sales)
        self.d = Daemon(self.place, self.topology(), run=False)
        for options in (("--once",), ()):
            self.d.start(*options, answers=False)
            self.assertEqual(self.d.finish(), 78)
        self.assertEqual(self.d.log.count("allkeys-lru"), 2)
        self.assertEqual(self.support.people(), {})
        self.redis.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
        self.d.start()
        self.assertEqual(len(self.settled()), 20)


class RedisKeys(ThreeCrms):
    def test_every_key_in_redis_carries_the_name_of_the_topology_and_none_expires(self):
        self.populate(self.sales)
        self.start()
        self.settled()
        keys = self.redis.call("KEYS", "*")
        self.assertTrue(keys)
        self.assertEqual([k for k in keys if not k.startswith("crmsync:acme:") or self.redis.call("TTL", k) != -1], [])


if __name__ == "__main__":
    unittest.main()
