"""Two daemons, one topology: one writes, the other stands by and takes over; who was overtaken writes nothing."""
import json
import os
import signal
import time
import unittest

import libpq
from case import ThreeCrms, alone
from crm import Daemon, eventually


class OneWriter(ThreeCrms):
    HAND_OVER = 10      # seconds, as promised

    def start_two(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.first = self.d
        self.second = Daemon(self.place, self.topology(), name="second")
        eventually(lambda: self.second.status()["standby"], "the second one stands by")

    def fence(self):
        return int(self.redis.call("HGET", "crmsync:acme:fence", "n"))

    def fences(self):
        return [int(crm.base.one("SELECT fence FROM crmsync.state WHERE consumer = 'acme'")) for crm in self.crms]

    def takes_over(self, since):
        eventually(lambda: not self.second.status()["standby"], "it takes over")
        self.d = self.second
        eventually(lambda: self.second.get("/readyz")[0] == 200, "it is ready")
        self.assertLess(time.monotonic() - since, self.HAND_OVER)

    def test_a_second_daemon_stands_by_and_says_so(self):
        self.start_two()
        status = self.second.status()
        self.assertIn("stands by: another crmsyncd holds the lease", status["summary"])
        self.assertEqual(status["redis"]["state"], "up")
        self.assertEqual(self.second.get("/healthz")[0], 200)
        code, why = self.second.get("/readyz")
        self.assertEqual(code, 503)
        self.assertIn("stands by", why)
        self.assertEqual(self.second.metrics()["crmsyncd_standby"], 1)
        self.assertEqual(self.first.metrics()["crmsyncd_standby"], 0)
        self.assertIn("stands by", self.second.ctl("status"))
        self.assertEqual(self.second.try_ctl("wait", "--timeout", "1s").returncode, 75)
        self.sales.edit("p1@example.org", name="By the first")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "By the first")
        self.assertEqual(self.second.status()["rounds"], 0)
        self.assertEqual(self.fences(), [self.fence()] * 3)

    def test_what_a_predecessor_left_at_work_is_waited_for_and_named(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.d.stop()
        with libpq.Connection(self.support.base.conninfo + " application_name=crmsyncd") as before:
            before.run("BEGIN")
            backend = int(before.run("SELECT pg_backend_pid()")[0][0])
            os.kill(backend, signal.SIGSTOP)    # nobody can end it
            try:
                self.sales.edit("p1@example.org", name="Meanwhile")
                self.d.start()
                named = f"a former connection of crmsyncd is still at work there (backend {backend})"
                eventually(lambda: named in json.dumps(self.d.status()), "status names it")
                waited = self.d.try_ctl("wait", "--timeout", "1s")
                self.assertEqual(waited.returncode, 75)
                self.assertIn(named, waited.stdout + waited.stderr)
                self.assertNotIn("Meanwhile", str(self.support.contents()))
            finally:
                os.kill(backend, signal.SIGCONT)
            self.assertEqual(self.settled()["p1@example.org"]["name"], "Meanwhile")

    @alone
    def test_it_takes_over_from_a_killed_one_within_ten_seconds(self):
        self.start_two()
        before = self.fence()
        self.first.kill()
        killed = time.monotonic()
        self.sales.edit("p1@example.org", name="Meanwhile")
        self.takes_over(killed)
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Meanwhile")
        self.assertEqual(self.fence(), before + 1)
        self.assertEqual(self.fences(), [before + 1] * 3)

    @alone
    def test_it_takes_over_at_once_from_one_that_was_stopped(self):
        self.start_two()
        self.first.stop()
        stopped = time.monotonic()
        self.takes_over(stopped)
        self.assertLess(time.monotonic() - stopped, 3)
        self.sales.edit("p1@example.org", name="By the second")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "By the second")

    @alone
    def test_f31_one_that_slept_writes_nothing_when_it_wakes_up_and_stands_by(self):
        self.start_two()
        os.kill(self.first.process.pid, signal.SIGSTOP)
        asleep = time.monotonic()
        self.takes_over(asleep)
        # Work that both see, and that only the first would do if it could: the second holds still.
        self.second.ctl("pause", "contact")
        self.sales.edit("p1@example.org", name="Who writes this?")
        self.billing.edit("p2@example.org", score=99)
        before = [crm.base.versions() for crm in self.crms]
        waiting = [crm.base.one("SELECT count(*) FROM crmsync.changelog") for crm in (self.sales, self.billing)]
        self.assertEqual(waiting, [1, 1])
        vectors = self.redis.call("HGETALL", "crmsync:acme:meta"), self.redis.call("DBSIZE")
        rounds = self.first_rounds()
        os.kill(self.first.process.pid, signal.SIGCONT)
        eventually(lambda: self.first.status()["standby"], "the first one stands by")
        self.assertEqual(before, [crm.base.versions() for crm in self.crms], "rows were written")
        self.assertEqual([crm.base.one("SELECT count(*) FROM crmsync.changelog") for crm in (self.sales, self.billing)], waiting)
        self.assertEqual((self.redis.call("HGETALL", "crmsync:acme:meta"), self.redis.call("DBSIZE")), vectors)
        self.assertEqual(self.first_rounds(), rounds)
        self.second.ctl("resume", "contact")
        people = self.settled()
        self.assertEqual(people["p1@example.org"]["name"], "Who writes this?")
        self.assertEqual(people["p2@example.org"]["score"], 99)

    def first_rounds(self):
        return [line for line in self.first.log.splitlines() if "endpoint up" in line]

    def test_f31_a_write_under_an_older_number_is_refused_by_the_database(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        # Each write there notes the number that stood there then.
        self.billing.base.run("""
            CREATE TABLE noted (fence bigint);
            CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$ BEGIN
              INSERT INTO noted SELECT max(fence) FROM crmsync.state; RETURN NULL; END $$;
            CREATE TRIGGER note AFTER UPDATE ON payers FOR EACH ROW EXECUTE FUNCTION note()""")
        # Another one took over there, and this daemon does not know yet.
        other = self.billing.base.one("UPDATE crmsync.state SET fence = fence + 100 RETURNING fence")
        self.sales.edit("p1@example.org", name="Fenced?")
        eventually(lambda: "fenced" in self.d.log or self.billing.people()["p1@example.org"]["name"] == "Fenced?", "it was tried")
        # It greets the database again, takes a higher number and goes on: nothing is parked, nothing was written before that.
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Fenced?")
        self.assertEqual(self.billing.base.run("SELECT fence > $1 FROM noted", other), [(True,)], "written once, under a number of its own")
        self.assertEqual(self.fences(), [self.fence()] * 3)
        self.assertGreater(self.fence(), 100)
        self.assertEqual(self.d.parked(), [])

    def test_the_number_does_not_go_back_when_redis_is_emptied(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        for _ in range(3):
            self.d.restart()
        self.settled()
        before = max(self.fences())
        self.redis.call("FLUSHALL")
        eventually(lambda: min(self.fences()) > before, "a higher one")
        self.settled()
        self.assertEqual(self.fences(), [self.fence()] * 3)

    def test_a_reload_keeps_the_lease(self):
        self.start_two()
        before = self.fence()
        self.first.ctl("reload")
        eventually(lambda: self.first.get("/readyz")[0] == 200, "it goes on")
        self.assertTrue(self.second.status()["standby"])
        self.assertEqual(self.fence(), before)
        self.settled()


class NoPlace(ThreeCrms):
    def endpoints(self):
        endpoints = super().endpoints()
        endpoints["support"]["install"] = "manual"
        return endpoints

    def test_an_endpoint_without_our_row_works_and_status_says_what_is_not_noticed(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.assertEqual([e["guarded"] for e in self.d.status()["endpoints"]], [True, False, True])
        self.assertIn("would not be noticed there", " ".join(self.d.ctl("status").split()))
        self.support.edit("p1@example.org", name="Works")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Works")
        self.support.base.run(self.d.ctl("install", "support", "--print"))
        self.d.ctl("reload")    # else it is found within a minute
        eventually(lambda: self.d.endpoint("support")["guarded"], "it is found")
        self.sales.edit("p1@example.org", name="Guarded")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Guarded")


if __name__ == "__main__":
    unittest.main()
