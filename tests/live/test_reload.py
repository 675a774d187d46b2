"""A topology is read again: what differs is said, what can change in place does, what cannot is refused."""
import http.client
import json
import signal
import socket
import unittest

from case import ThreeCrms
from crm import eventually, free_port


class Reload(ThreeCrms):
    def setUp(self):
        super().setUp()
        self.start()
        self.populate(self.sales)
        self.settled()

    def take(self, text, code=0):
        self.d.write(text)
        ran = self.d.try_ctl("reload", "--json")
        self.assertEqual(ran.returncode, code, ran.stdout + ran.stderr)
        return json.loads(ran.stdout)

    def applied(self):
        return self.d.metrics()['crmsyncd_changes_applied_total{entity="contact",endpoint="billing"}']

    def backends(self):
        return self.sales.base.run("SELECT pid, backend_start FROM pg_stat_activity WHERE usename = 'crmsync' ORDER BY 1")

    def assert_connections_kept(self, before):
        """All that there were; the pool may have been opening another one when they were noted."""
        self.assertEqual([backend for backend in self.backends() if backend in before], before)

    def test_what_differs_is_answered_and_logged(self):
        changed = self.topology().replace("interval: 200ms", "interval: 300ms") \
            .replace("phone: {type: text}", "phone: {type: text, clean: [trim]}")
        answer = self.take(changed)
        expected = ["endpoints.support.interval: 200ms -> 300ms", "entities.contact.fields.phone.clean: [] -> [trim]"]
        self.assertEqual(answer["changes"], expected)
        for line in expected:
            self.assertIn(line.split(": ", 1)[1], self.d.log)
        self.assertIn("changes=2", self.d.log)
        self.assertEqual(self.applied(), 0, "the sync began anew")
        self.sales.edit("p1@example.org", name="Goes on")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Goes on")

    def without_contacts(self):
        whole = self.topology()
        return whole[:whole.index("  contact:\n")]

    def come_back(self, without):
        """What billing deletes while it is not listened to is deleted nowhere; nor what is edited lost."""
        people = self.settled()
        self.take(without)
        self.d.wait()
        self.billing.remove("p4@example.org")
        self.billing.edit("p2@example.org", name="of billing")
        self.sales.edit("p3@example.org", phone="+1 of sales")
        self.take(self.topology())
        people["p2@example.org"]["name"], people["p3@example.org"]["phone"] = "of billing", "+1 of sales"
        self.assertEqual(self.settled(), people)
        self.d.ctl("kick", "--sweep")
        self.assertEqual(self.settled(), people)
        self.assert_quiet()

    def test_f12_what_an_endpoint_deleted_while_it_was_left_out_is_deleted_nowhere(self):
        self.come_back(self.without_billing())

    def test_f12_nor_what_was_deleted_while_the_entity_was_left_out(self):
        self.come_back(self.without_contacts())

    def test_an_endpoint_that_joins_or_comes_back_gets_what_was_there_before(self):
        whole, left = self.topology(), self.without_billing()
        self.take(left)
        self.sales.edit("p1@example.org", name="Edited meanwhile")
        self.sales.add("new@example.org", name="Made meanwhile")
        self.d.wait()
        self.assertNotIn("new@example.org", self.billing.people())
        self.take(whole)
        self.settled()
        self.take(left)
        self.billing.base.run("DROP SCHEMA crmsync CASCADE; TRUNCATE clients, payers")
        self.take(whole)
        self.assertEqual(len(self.settled()), 21)

    def test_f12_what_is_parked_at_an_endpoint_goes_with_it_and_parks_anew_when_it_is_back(self):
        self.billing.base.run("ALTER TABLE payers ADD CONSTRAINT brief CHECK (length(display) < 20)")
        self.sales.edit("p1@example.org", name="Somebody with a long name")
        self.d.wait()
        parked = [(p["key"], p["endpoint"], p["code"]) for p in self.d.parked()]
        self.assertEqual(parked, [("p1@example.org", "billing", "23514")])
        self.take(self.without_billing())
        self.d.wait()
        self.assertEqual((self.d.parked(), self.d.entity("contact")["parked"]), ([], 0))
        self.take(self.topology())
        self.d.wait()
        self.assertEqual([(p["key"], p["endpoint"], p["code"]) for p in self.d.parked()], parked)
        self.assertEqual(self.d.entity("contact")["parked"], 1)
        self.billing.base.run("ALTER TABLE payers DROP CONSTRAINT brief")
        self.d.ctl("parked", "retry")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Somebody with a long name")

    def test_nothing_differs(self):
        self.assertEqual(self.take(self.topology())["changes"], [])
        self.assertIn("nothing differs", self.d.ctl("reload"))

    def test_sockets_and_the_journals_keeping_change_in_place(self):
        eventually(lambda: self.applied() == 20, "counted")
        before, port = self.backends(), free_port()
        text = self.topology().replace("stats.sock\n", f"stats.sock\n  listen: 127.0.0.1:{port}\n") \
            .replace("/journal\n", "/journal\n  keep: 3d\n").replace("control.sock", "orders.sock")
        self.d.write(text)
        self.d.ctl("reload")
        self.assertFalse(self.d.control.exists(), "the old socket is gone")
        self.d.control = self.d.directory / "orders.sock"
        page = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        page.request("GET", "/healthz")
        self.assertEqual(page.getresponse().status, 200)
        page.close()
        self.assertEqual(self.applied(), 20, "the counters went on")
        self.assert_connections_kept(before)
        self.assertIn("journal.keep: 30d -> 3d", self.d.log)
        back = self.take(self.topology())
        self.assertEqual(len(back["changes"]), 3, back)
        self.d.control = self.d.directory / "control.sock"
        self.assert_connections_kept(before)
        with self.assertRaises(OSError):
            socket.create_connection(("127.0.0.1", port), 5)
        self.sales.edit("p1@example.org", name="Goes on")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Goes on")
        # A change of both kinds after one in place: nothing of the first is lost.
        both = self.take(text.replace("orders.sock", "control.sock").replace("interval: 200ms", "interval: 300ms"))
        self.assertEqual(len(both["changes"]), 3, both)
        self.settled()

    def test_an_address_that_cannot_be_had_is_said_and_the_old_one_stays(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            answer = self.take(self.topology().replace("stats.sock\n", f"stats.sock\n  listen: 127.0.0.1:{port}\n"))
        self.assertEqual(answer["changes"], [f"+ stats.listen: 127.0.0.1:{port}"])
        self.assertEqual(len(answer["kept"]), 1)
        self.assertIn("stats.listen", answer["kept"][0])
        self.assertIn("socket not moved", self.d.log)

    def test_what_cannot_change_is_refused_whole(self):
        eventually(lambda: self.applied() == 20, "counted")
        before = self.backends()
        text = self.topology().replace("topology: acme", "topology: other").replace("/journal\n", "/elsewhere\n") \
            .replace("interval: 200ms", "interval: 300ms").replace("stats.sock", "other.sock")
        answer = self.take(text, code=78)
        self.assertEqual(len(answer["problems"]), 2)
        for problem, setting in zip(answer["problems"], ("topology", "journal.directory")):
            self.assertRegex(problem, rf":\d+:\d+: {setting}: cannot change while running")
        self.assertEqual(self.applied(), 20)
        self.assert_connections_kept(before)
        self.assertEqual(self.d.get("/healthz")[0], 200)
        self.assertFalse((self.d.directory / "elsewhere").exists())
        self.assertEqual(self.d.metrics()["crmsyncd_config_last_reload_successful"], 0)

    def test_a_file_that_is_gone_changes_nothing(self):
        self.d.file.rename(self.d.directory / "away.yaml")
        self.d.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.d.metrics()["crmsyncd_config_last_reload_successful"] == 0, "the refusal shows")
        self.sales.edit("p1@example.org", name="Goes on")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Goes on")

    def test_no_secret_is_said(self):
        answer = self.take(self.topology().replace("user=crmsync", "user=crmsync password=hush-hush", 1))
        self.assertEqual(len(answer["changes"]), 1)
        self.assertIn("password=***", answer["changes"][0])
        answer = self.take(self.topology().replace("user=crmsync", "user=crmsync password=hush-again", 1))
        self.assertEqual(answer["changes"], ["endpoints.sales.connection: another password"])
        self.assert_clean_log(self.d, "hush-hush", "hush-again")


if __name__ == "__main__":
    unittest.main()
