"""A standby takes the primary's place: with all that was committed, or without the last of it. Nothing is deleted elsewhere for being
missing there, nothing old is brought from there, and what people do there from then on goes its way."""
import os
import time
import unittest

from case import needs_failpoints
from crm import Cluster, Standby, eventually
from test_put_back import PutBack


class Failover(PutBack):
    slow = True
    fails = "billing"       # the one with a server of its own, and a standby

    def cluster_for(self, name):
        if name != self.fails:
            return super().cluster_for(name)
        self.primary = Cluster(self.place, "primary")
        return self.primary

    def setUp(self):
        super().setUp()
        self.crm = getattr(self, self.fails)
        self.populate(self.sales)
        self.sales.base.run("ALTER TABLE crm.contacts DISABLE TRIGGER touch; UPDATE crm.contacts SET updated_at = now() - interval '1 hour'; "
                            "ALTER TABLE crm.contacts ENABLE TRIGGER touch")     # long agreed on when the standby falls behind
        self.start()
        self.settled()
        self.standby = Standby(self.primary)

    def all_is_acknowledged(self):
        """Also what the last beat, a second later, has to tell."""
        last, since = None, 0

        def at_rest():
            nonlocal last, since
            intended, acked = map(int, self.redis_mark(self.fails)[:2])
            if (intended, acked) != last:
                last, since = (intended, acked), time.monotonic()
            return intended == acked == self.crm.base.one("SELECT max(epoch) FROM crmsync.state") and time.monotonic() > since + 1.5

        self.d.ctl("kick", "--sweep")       # poll sees no deletes before
        self.settled()
        eventually(at_rest, "Redis and the database agree on what was acknowledged")

    def promote(self):
        """The daemon does not reach it yet; the application works on."""
        self.primary.stop()
        self.standby.promote()
        self.crm.base.close()
        self.crm.base.cluster = self.standby


class Promoted(Failover):
    def test_a_standby_promoted_without_loss_goes_on_where_the_primary_was(self):
        self.all_is_acknowledged()
        self.standby.catch_up()
        before = self.settled()
        self.promote()
        # Edited there before the daemon comes, and while it was away elsewhere.
        self.crm.edit("p1@example.org", name="After the failover")
        self.crm.remove("p2@example.org")
        self.crm.add("new@example.org", name="New")
        self.sales.edit("p1@example.org", phone="+1")
        self.standby.answer_for_primary()
        self.recognised([self.fails], "a copy of the database took its place (timeline 2, was 1); nothing acknowledged is missing")
        people = self.settled()
        self.assertEqual(people.pop("new@example.org")["name"], "New")
        self.assertEqual(people.pop("p1@example.org"), {**before.pop("p1@example.org"), "name": "After the failover", "phone": "+1"})
        before.pop("p2@example.org")
        self.assertEqual(people, before)
        self.assertEqual(self.d.ctl_lines("conflicts"), [])
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_a_standby_is_refused_until_it_is_promoted(self):
        self.all_is_acknowledged()
        self.standby.catch_up()
        self.standby.answer_for_primary()
        eventually(lambda: self.d.endpoint(self.fails)["reason"] == "is a standby: connect to the primary", "status says so")
        self.assertEqual(self.d.endpoint(self.fails)["state"], "down")
        self.sales.edit("p1@example.org", name="Meanwhile")
        self.d.ctl("kick", "--sweep")
        self.standby.promote()
        self.crm.base.close()
        self.crm.base.cluster = self.standby
        self.recognised([self.fails], "a copy of the database took its place")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Meanwhile")
        self.assert_quiet()


class PromotedTooEarly(Failover):
    def arrive(self):
        self.standby.answer_for_primary()

    def test_what_a_promoted_standby_lacks_comes_back_and_nothing_is_deleted_for_it(self):
        self.all_is_acknowledged()
        self.standby.fall_behind()
        before = self.settled()
        # Made elsewhere, brought there, and lost there; then made there, brought elsewhere, and lost there.
        self.meanwhile()
        self.crm.edit("p4@example.org", name="Edited and lost")
        self.crm.remove("p5@example.org")
        self.crm.add("lost@example.org", name="Added and lost")
        self.all_is_acknowledged()
        agreed = self.settled()
        self.promote()
        self.assertIn("p5@example.org", self.crm.people(), "it is behind")
        self.assertNotIn("lost@example.org", self.crm.people())
        self.crm.add("after@example.org", name="Added since")
        self.crm.edit("p8@example.org", name="Edited since")
        self.sales.edit("p8@example.org", phone="+8")
        self.sales.edit("p6@example.org", name="Edited meanwhile")
        self.arrive()
        self.recognised([self.fails], "a copy of the database took its place (timeline 2, was 1), and lacks what was committed after 20")
        people = self.settled()
        self.assertEqual(people.pop("after@example.org")["name"], "Added since")
        self.assertEqual(people.pop("p6@example.org"), {**agreed.pop("p6@example.org"), "name": "Edited meanwhile"})
        self.assertEqual(people.pop("p8@example.org"), {**agreed.pop("p8@example.org"), "name": "Edited since", "phone": "+8"})
        self.assertEqual(people, agreed)
        self.assertEqual(people["p4@example.org"], {**before["p4@example.org"], "name": "Edited and lost"})
        self.assertEqual(self.d.parked(), [])
        # The journal has what it had; it goes on as usual.
        self.assertTrue({"p1@example.org", "p2@example.org", "p4@example.org", "p5@example.org"} <= {d["key"] for d in self.d.ctl_lines("conflicts")})
        self.crm.edit("p7@example.org", name="Goes on")
        self.assertEqual(self.settled()["p7@example.org"]["name"], "Goes on")
        self.assert_quiet()


    def test_what_was_brought_there_in_the_last_moment_is_brought_again(self):
        self.all_is_acknowledged()
        self.standby.fall_behind()
        self.sales.add("late@example.org", name="Late")
        self.sales.edit("p1@example.org", name="Late")
        self.sales.remove("p2@example.org")
        eventually(lambda: {"late@example.org", "p2@example.org"} & set(self.crm.people()) == {"late@example.org"} and
                   self.crm.people()["p1@example.org"]["name"] == "Late", "it is there")
        self.promote()          # mostly before the beat that tells of it
        self.standby.answer_for_primary()
        self.recognised([self.fails], "a copy of the database took its place (timeline 2, was 1)")
        self.d.ctl("kick", "--sweep")
        people = self.settled()
        self.assertEqual((people["late@example.org"]["name"], people["p1@example.org"]["name"]), ("Late", "Late"))
        self.assertNotIn("p2@example.org", people)


if os.environ.get("CRM_LONG"):
    class PolledPromotedTooEarly(PromotedTooEarly):
        fails = "support"

if os.environ.get("CRM_LONG"):
    @needs_failpoints
    class KilledMeanwhile(PromotedTooEarly):
        """Whatever is done about it is begun again."""
        test_what_was_brought_there_in_the_last_moment_is_brought_again = None

        def recognised(self, endpoints, words):
            """Status tells what this process has seen."""
            self.assertIn(words, self.d.log)

        def arrive(self):
            self.d.stop()
            self.standby.answer_for_primary()
            for step in ("epoch/greet", "rebase/page", "rebase/marks", "listing/rows"):
                for moment in ("before", "sent", "answered"):
                    self.d.environment["CRMSYNCD_FAILPOINTS"] = f"{step}/{moment}"
                    self.d.start(answers=False)
                    self.assertEqual(self.d.finish(), -9, f"{step}/{moment}")
            del self.d.environment["CRMSYNCD_FAILPOINTS"]
            self.d.start()


if __name__ == "__main__":
    unittest.main()
