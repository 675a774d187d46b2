"""The rule manual on real servers: what waits, who keeps what meanwhile, and every way in which it ends."""
import shutil
import unittest

from case import SALES, needs_failpoints
from crm import Cluster, eventually
from killing import LONG, MOMENTS, Killing
from test_rules import Conflict, rules

ANN = "p1@example.org"
# What a round about one record comes to, from where it decides.
STEPS = ("keys", "parents", "intend", "apply", "mark", "ack") if LONG else ("intend", "apply", "mark", "ack")


class Quarrel(Conflict):
    entities = rules("{rule: last-writer-wins, fields: {phone: manual}, priority: [sales, support, billing]}")

    def quarrel(self, one=None, **more):
        """Sales (or that one) says +1 a, billing +1 b; the other still shows what all began with."""
        self.start()
        self.populate(self.sales)
        self.settled()
        self.d.ctl("pause", "contact")
        (one or self.sales).edit(ANN, phone="+1 a", **more)
        self.billing.edit(ANN, phone="+1 b")
        self.d.ctl("resume", "contact")
        self.d.wait()

    def phones(self):
        return [crm.people()[ANN]["phone"] for crm in (self.sales, self.support, self.billing)]

    def waiting(self):
        return self.d.ctl_lines("conflicts", "--waiting")

    def decide(self, *words, code=0):
        self.d.ctl("decide", "contact", ANN, "phone", *words, code=code)
        self.d.wait()

    def settles_to(self, phone):
        self.assertEqual(self.settled()[ANN]["phone"], phone)
        self.assertEqual(self.waiting(), [])
        self.assertEqual(self.d.entity("contact")["waiting"], 0)


class Manual(Quarrel):
    def test_each_side_keeps_its_own_and_the_rest_flows(self):
        self.quarrel(name="Renamed")
        self.assertEqual(self.phones(), ["+1 a", "+1 555 0001", "+1 b"])
        self.assertEqual({crm.people()[ANN]["name"] for crm in self.crms}, {"Renamed"})
        line, = self.waiting()
        self.assertEqual((line["entity"], line["key"], line["field"], line["rule"], line["winner"], line["base"]),
                         ("contact", ANN, "phone", "manual", None, "+1 555 0001"))
        self.assertEqual(line["values"], {"sales": "+1 a", "billing": "+1 b", "support": "+1 555 0001"})
        self.assertEqual(sorted(line["between"]), ["billing", "sales"])
        contact = self.d.entity("contact")
        self.assertEqual((contact["waiting"], contact["conflicts"], contact["pending"]), (1, 1, 0))
        self.assertEqual({link["state"] for link in contact["links"]}, {"inconsistent"})
        self.assertEqual(self.d.metrics()['crmsyncd_waiting_conflicts{entity="contact"}'], 1)
        self.sales.edit("p0@example.org", phone="+1 other")
        self.d.wait()
        self.assertEqual(self.billing.people()["p0@example.org"]["phone"], "+1 other")
        self.assert_quiet(goes_on=True)
        self.assertEqual(self.waiting(), [line])

    def test_a_side_is_chosen(self):
        self.quarrel()
        self.decide("billing")
        self.settles_to("+1 b")
        decision = self.d.ctl_lines("conflicts")[-1]
        self.assertEqual((decision["winner"], decision["tie_break"], decision["lost"][0]["value"]), ("billing", "operator", "+1 a"))
        self.assertEqual(sorted(decision["written"]), ["sales", "support"])
        self.assert_quiet()

    def test_what_nobody_edited_is_chosen(self):
        self.quarrel()
        self.decide("support")
        self.settles_to("+1 555 0001")
        self.assert_quiet()

    def test_a_value_is_given(self):
        self.quarrel()
        self.decide("--value", "+1 c")
        self.settles_to("+1 c")
        decision = self.d.ctl_lines("conflicts")[-1]
        self.assertEqual((decision["winner"], decision["stamps"]["(operator)"]), ("(operator)", decision["time"]), "not of the edit that lost")
        self.assert_quiet(goes_on=True)
        self.sales.edit(ANN, phone="+1 later")
        self.assertEqual(self.settled()[ANN]["phone"], "+1 later")

    def test_a_value_that_the_field_cannot_take_is_wrong_use(self):
        self.entities = rules("{rule: last-writer-wins, fields: {phone: manual, score: manual}}").replace(
            "phone: {type: text", "phone: {type: text, check: [{length: [0, 11]}]", 1)
        self.quarrel()
        self.assertIn("longer than 11", self.d.ctl("--json", "decide", "contact", ANN, "phone", "--value", "+1 234 567 89", code=64))
        self.d.ctl("pause", "contact")
        self.sales.edit(ANN, score=6)
        self.billing.edit(ANN, score=7)
        self.d.ctl("resume", "contact")
        self.d.wait()
        self.assertIn("not an integer", self.d.ctl("--json", "decide", "contact", ANN, "score", "--value", "many", code=64))
        self.assertEqual(sorted(line["field"] for line in self.waiting()), ["phone", "score"])
        self.decide("--value", "+1 c")

    def test_nothing_is_given(self):
        self.quarrel()
        self.decide("--null")
        self.settles_to(None)

    @needs_failpoints
    def test_a_value_that_was_given_outlives_a_kill_before_it_is_written(self):
        self.quarrel()
        self.d.stop()
        self.d.environment["CRMSYNCD_FAILPOINTS"] = "round/apply/before:1"
        self.d.start("--paused")        # no other round comes there first
        del self.d.environment["CRMSYNCD_FAILPOINTS"]
        self.d.ctl("decide", "contact", ANN, "phone", "--value", "+1 c")
        self.d.try_ctl("resume", "contact")
        eventually(lambda: self.d.process.poll() is not None, "the daemon comes to where it writes")
        self.assertEqual(self.d.finish(), -9)
        self.assertEqual(self.phones(), ["+1 a", "+1 555 0001", "+1 b"])
        self.d.start()
        self.d.wait()
        self.settles_to("+1 c")

    def test_what_waits_is_listed_again_when_the_journal_was_lost(self):
        self.quarrel()
        line, = self.waiting()
        self.d.stop()
        shutil.rmtree(self.d.directory / "journal")
        self.d.start()
        eventually(self.waiting, "what waits is in the new journal")
        again, = self.waiting()
        self.assertEqual((again["values"], sorted(again["between"])), (line["values"], sorted(line["between"])))
        self.decide("billing")
        self.settles_to("+1 b")

    def test_it_closes_when_the_sides_come_to_agree(self):
        self.quarrel()
        self.billing.edit(ANN, phone="+1 a")
        self.d.wait()
        self.settles_to("+1 a")
        self.assertEqual(self.d.entity("contact")["conflicts"], 1)

    def test_an_edit_that_is_taken_back_is_a_word_as_well(self):
        self.quarrel()
        self.billing.edit(ANN, phone="+1 555 0001")
        self.d.wait()
        self.assertEqual(self.phones(), ["+1 a", "+1 555 0001", "+1 555 0001"])
        self.assertEqual(sorted(self.waiting()[0]["between"]), ["billing", "sales"])
        self.sales.edit(ANN, phone="+1 555 0001")
        self.d.wait()
        self.settles_to("+1 555 0001")

    def test_one_edit_alone_flows(self):
        people = self.concurrently(lambda: self.support.edit(ANN, phone="+1 alone"))
        self.assertEqual(people[ANN]["phone"], "+1 alone")
        self.assertEqual(self.waiting(), [])

    def test_an_edit_by_somebody_who_had_not_seen_the_one_that_flowed_waits(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.d.ctl("pause", "billing")
        self.sales.edit(ANN, phone="+1 a")
        eventually(lambda: self.support.people()[ANN]["phone"] == "+1 a", "it flowed to support")
        self.billing.edit(ANN, phone="+1 b")
        self.d.ctl("resume", "billing")
        self.d.wait()
        self.assertEqual(self.phones(), ["+1 a", "+1 a", "+1 b"])
        self.assertEqual(self.waiting()[0]["values"], {"sales": "+1 a", "support": "+1 a", "billing": "+1 b"})
        self.decide("billing")
        self.settles_to("+1 b")

    def test_a_verdict_on_what_has_changed_since_is_void(self):
        self.quarrel()
        self.d.ctl("pause", "contact")
        self.d.ctl("decide", "contact", ANN, "phone", "billing")
        self.billing.edit(ANN, phone="+1 changed")
        self.d.ctl("resume", "contact")
        self.d.wait()
        self.assertEqual(self.phones(), ["+1 a", "+1 555 0001", "+1 changed"])
        self.assertEqual(self.waiting()[0]["values"]["billing"], "+1 changed")
        self.assertFalse(self.waiting()[0]["decided"])

    def test_a_delete_on_one_side_leaves_the_others_word(self):
        self.quarrel()
        self.billing.remove(ANN)
        self.d.wait()
        self.settles_to("+1 a")

    def test_what_cannot_be_decided_is_refused(self):
        self.quarrel()
        self.decide("nobody", code=64)
        self.decide(code=64)
        self.decide("sales", "--null", code=64)
        self.d.ctl("decide", "contact", "p0@example.org", "phone", "sales", code=64)
        self.d.ctl("decide", "contact", ANN, "name", "sales", code=64)
        self.assertEqual(len(self.waiting()), 1)


@needs_failpoints
class KilledAfterVerdict(Killing, Quarrel):
    slow = True

    def test_killed_at_each_step_after_a_verdict_what_lost_is_in_the_journal(self):
        places = [f"round/{step}/{moment}" for step in STEPS for moment in (MOMENTS if LONG else ("before",))]
        people = [f"p{n}@example.org" for n in range(len(places))]
        orders = (["--value", "given"], ["--null"], ["billing"])
        self.start()
        self.populate(self.sales, people=len(places))
        self.settled()
        self.d.stop()
        for crm in self.crms:
            for email in people:
                crm.edit(email, phone=crm.name)
        self.d.start()
        self.d.wait()
        for n, place in enumerate(places):
            self.arm(place)
            order = ("decide", "contact", people[n], "phone", *orders[n % 3])
            self.dies(place, order)
            if any(line["key"] == people[n] and not line["decided"] for line in self.d.ctl_lines("conflicts", "--waiting")):
                self.d.ctl(*order)      # some other round came there before it was told
            self.d.wait()
        shown = self.settled()
        decided = [c for c in self.d.ctl_lines("conflicts") if c["winner"]]
        self.assertEqual(sorted(c["key"] for c in decided), sorted(people), "one entry each")
        for c in decided:
            self.assertEqual(c["tie_break"], "operator")
            self.assertEqual({c["values"][c["winner"]], shown[c["key"]]["phone"]}, {c["values"][c["winner"]]})
            self.assertEqual({side["endpoint"]: side["value"] for side in c["lost"]},
                             {crm.name: crm.name for crm in self.crms if crm.name != c["winner"]})


class Away(Quarrel):
    """Billing is on a server of its own."""

    def cluster_for(self, name):
        if name != "billing":
            return super().cluster_for(name)
        self.cluster = Cluster(self.place, "pg-billing")
        return self.cluster

    def test_the_word_of_a_side_that_is_away_is_in_the_journal_when_it_lost(self):
        self.quarrel()
        self.d.ctl("pause", "contact")
        self.d.ctl("decide", "contact", ANN, "phone", "--value", "+1 c")
        self.d.kill()
        self.cluster.shut()
        self.d.start()
        self.d.ctl("resume", "contact")
        eventually(lambda: self.phones()[:2] == ["+1 c", "+1 c"], "it is written where that can be")
        decision = self.d.ctl_lines("conflicts")[-1]
        self.assertEqual((decision["winner"], decision["tie_break"], decision["base"]), ("(operator)", "operator", "+1 555 0001"))
        self.assertEqual({side["endpoint"]: side["value"] for side in decision["lost"]}, {"sales": "+1 a", "billing": "+1 b"})
        self.assertEqual(decision["owed"], ["billing"])
        self.cluster.open()
        self.d.ctl("kick")
        self.settles_to("+1 c")
        decisions = [c for c in self.d.ctl_lines("conflicts") if c["winner"]]
        self.assertEqual([sorted(c["written"]) for c in decisions], [["billing", "sales", "support"]])


class Leaving(Quarrel):
    def reload(self, text):
        self.d.write(text)
        self.d.ctl("reload")

    def test_f12_when_a_side_leaves_what_the_only_other_one_says_stands(self):
        self.quarrel()
        self.d.ctl("pause", "contact")
        self.reload(self.without_billing())
        self.assertIn("billing, which differed there, has left the topology", self.d.ctl("--json", "decide", "contact", ANN, "phone", "--value", "+1 c", code=64))
        self.d.ctl("resume", "contact")
        self.d.wait()
        self.assertEqual((self.phones(), self.waiting()), (["+1 a", "+1 a", "+1 b"], []))
        self.decide("--value", "+1 c", code=64)
        self.reload(self.topology())
        self.d.wait()
        self.assertEqual(len(self.waiting()), 1, "back again it differs again")
        self.decide("--value", "+1 c")
        self.settles_to("+1 c")

    def test_f12_when_one_of_three_leaves_the_others_are_decided_about(self):
        self.quarrel()
        self.support.edit(ANN, phone="+1 c")
        self.d.wait()
        self.reload(self.without_billing())
        self.d.wait()
        line, = self.waiting()
        self.assertEqual((sorted(line["between"]), line["values"]), (["sales", "support"], {"sales": "+1 a", "support": "+1 c"}))
        self.decide("--value", "+1 d")
        self.assertEqual((self.phones(), self.waiting()), (["+1 d", "+1 d", "+1 b"], []))


class Lost(Quarrel):
    def test_f22_when_the_state_was_lost_what_differs_waits_once(self):
        self.quarrel()
        self.d.stop()
        self.redis.call("FLUSHALL")
        self.d.start()
        self.d.wait()
        self.assertEqual((len(self.waiting()), self.d.entity("contact")["waiting"]), (1, 1))
        self.decide("--value", "+1 c")
        self.settles_to("+1 c")

    def test_f22_who_is_put_back_has_no_word_in_what_waits_between_others(self):
        self.quarrel(self.support)
        self.d.ctl("pause", "billing")
        self.d.ctl("decide", "contact", ANN, "phone", "billing")
        self.sales.base.close()
        self.sales.base = self.database("sales", SALES)
        self.d.ctl("kick")
        eventually(lambda: "p0@example.org" in self.sales.people(), "it is filled again")
        self.d.ctl("resume", "billing")
        self.d.wait()
        self.settles_to("+1 b")


class FirstContact(Conflict):
    entities = rules("{rule: last-writer-wins, fields: {phone: manual}, priority: [sales, support, billing]}")

    def test_rows_that_differ_when_they_meet_wait(self):
        self.sales.add(ANN, name="Ann", phone="+1 a")
        self.billing.add(ANN, name="Ann", phone="+1 b")
        self.start()
        self.d.wait()
        values = self.d.ctl_lines("conflicts", "--waiting")[0]["values"]
        self.assertEqual((values["sales"], values["billing"]), ("+1 a", "+1 b"))
        self.assertEqual([crm.people()[ANN]["phone"] for crm in (self.sales, self.billing)], ["+1 a", "+1 b"])
        self.d.ctl("decide", "contact", ANN, "phone", "sales")
        self.assertEqual(self.settled()[ANN]["phone"], "+1 a")
        self.assertEqual(len(self.support.people()), 1)


if __name__ == "__main__":
    unittest.main()
