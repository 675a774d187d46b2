"""The conflict journal: what was decided, for programs and in sentences."""
import sqlite3
import unittest

from case import ACCOUNT, CONTACT, SALES, THING, Pair, ThreeCrms
from crm import Cluster, eventually

ANN = "p1@example.org"


class Apart(ThreeCrms):
    def setUp(self):
        super().setUp()
        self.start()
        self.populate(self.sales, people=5)
        self.settled()

    def apart(self, *edits):
        """Edits that nobody hears of before all are made, one after the other."""
        self.d.ctl("pause", "contact")
        for edit in edits:
            edit()
        self.d.ctl("resume", "contact")
        return self.settled()

    def decisions(self, *words):
        return self.d.ctl_lines("conflicts", *words)

    def story(self, key=ANN):
        return " ".join(self.d.ctl("conflicts", "--key", key).split())


class Together(Pair):
    entities = THING.replace("  mappings:", "  conflict: {groups: [[code, name]]}\n  mappings:")

    def test_who_changed_another_field_of_the_group_is_not_said_to_have_changed_this_one(self):
        self.a.run("INSERT INTO things (k, code, name) VALUES ('k1', 'c', 'n')")
        self.begin()
        self.d.ctl("pause", "thing")
        self.b.run("UPDATE things SET code = 'lost', changed = clock_timestamp() WHERE k = 'k1'")
        self.a.run("UPDATE things SET name = 'stands', changed = clock_timestamp() WHERE k = 'k1'")
        self.d.ctl("resume", "thing")
        self.settled()
        decision, = self.d.ctl_lines("conflicts")
        self.assertEqual((decision["field"], decision["winner"], decision["group"]), ("code", "a", ["code", "name"]))
        story = " ".join(self.d.ctl("conflicts", "--key", "k1").split())
        self.assertIn('It was "c" before. a changed name, which goes together with code, and left that as it was on ', story)
        self.assertIn('; b changed it to "lost" on ', story)


class Sentences(Pair):
    entities = THING.replace("  mappings:", "  conflict: {fields: {amount: min, name: manual}}\n  mappings:")

    def story(self):
        return " ".join(self.d.ctl("conflicts", "--key", "k1").split())

    def test_who_changed_nothing_is_not_said_to_have_changed_it(self):
        self.a.run("INSERT INTO things (k, name, amount) VALUES ('k1', 'n', 5)")
        self.begin()
        self.b.run("UPDATE things SET amount = 9, changed = clock_timestamp() WHERE k = 'k1'")
        self.settled()
        story = self.story()
        self.assertIn('It was "5" before. a had "5"', story)
        self.assertIn('; b changed it to "9" on ', story)

    def test_what_came_where_it_was_already_is_not_said_to_be_owed(self):
        self.a.run("INSERT INTO things (k, name, amount) VALUES ('k1', 'n', 5)")
        self.begin()
        self.d.stop()
        self.a.run("DELETE FROM things; INSERT INTO things (k, name) VALUES ('k1', 'new')")
        self.b.run("UPDATE things SET code = 'edited', changed = clock_timestamp()")
        self.d.start()
        self.d.wait()
        self.assertEqual([d["owed"] for d in self.d.ctl_lines("conflicts") if d["owed"] != []], [], self.story())


class Pasted(Pair):
    """What is printed of a record is what has to be given to name it."""
    entities = THING.replace("key: [k]", "key: [k, code]").replace("amount: {type: decimal}", "amount: {type: decimal, check: [{range: [0, 9]}]}").replace(
        "  mappings:", "  conflict: {fields: {name: manual}}\n  mappings:")
    key = r"AC\/DC / a\\b"

    def test_a_key_with_slashes_is_taken_as_every_table_prints_it(self):
        self.a.run(r"INSERT INTO things (k, code, name, amount) VALUES ('AC/DC', 'a\b', 'n', 1)")
        self.begin()
        self.d.ctl("pause", "b")
        for base, name in ((self.a, r"by\a"), (self.b, 'by\n"b"')):
            base.run(f"UPDATE things SET name = '{name}', changed = clock_timestamp()")
        self.d.ctl("resume", "b")
        self.d.wait()
        self.assertIn(f"  {self.key}  ", self.d.ctl("conflicts"))
        self.assertIn(f"thing {self.key}, name: a \"by\\\\a\", b \"by\\n\"b\"\" (since ", self.d.ctl("conflicts", "--waiting"))
        self.assertIn(f"thing {self.key}, name:", self.d.ctl("conflicts", "--key", self.key))
        self.assertIn(f"thing {self.key}, name: decided", self.d.ctl("decide", "thing", self.key, "name", "b"))
        self.assertEqual(self.settled()[0][2], 'by\n"b"')
        history = self.d.ctl("history", "--key", self.key)
        self.assertIn(f'thing {self.key} updated at a: name was "by\\\\a", now "by\\n"b""\n', history)
        self.assertIn(f"nothing waits in thing {self.key}, name", self.d.try_ctl("decide", "thing", self.key, "name", "b").stderr)
        self.assertIn(f"thing {self.key}: would be put back", self.d.ctl("undo", "--entity", "thing", "--key", self.key, "--dry-run"))
        self.d.ctl("undo", "--entity", "thing", "--key", self.key)
        self.assertEqual(self.settled()[0][2], r"by\a")
        self.a.run("UPDATE things SET amount = 10, changed = clock_timestamp()")
        self.d.wait()
        self.assertIn(f"thing {self.key}: not taken from a", self.d.ctl("parked", "list", "--key", self.key))


class Conflicts(Apart):
    def test_a_decision_names_every_side_the_base_and_where_it_was_written(self):
        self.apart(lambda: self.sales.edit(ANN, phone="+49 1"), lambda: self.support.edit(ANN, phone="+49 2"))
        decision, = self.decisions()
        self.assertEqual({name: decision[name] for name in ("entity", "key", "field", "kind", "rule", "tie_break", "winner", "base")},
                         {"entity": "contact", "key": ANN, "field": "phone", "kind": "conflict", "rule": "last-writer-wins",
                          "tie_break": "stamp", "winner": "support", "base": "+1 555 0001"})
        self.assertEqual(decision["values"], {"sales": "+49 1", "support": "+49 2", "billing": "+1 555 0001"})
        self.assertEqual([lost["endpoint"] for lost in decision["lost"]], ["sales"])
        self.assertLess(decision["stamps"]["sales"], decision["stamps"]["support"])
        self.assertEqual(sorted(decision["written"]), ["billing", "sales"])
        self.assertEqual(decision["owed"], [])
        self.assertEqual(decision["schema"], 1)
        self.assertLess(decision["stamps"]["support"], decision["time"])

    def test_three_sides_make_one_decision(self):
        self.apart(lambda: self.sales.edit(ANN, phone="+49 1"), lambda: self.support.edit(ANN, phone="+49 2"),
                   lambda: self.billing.edit(ANN, phone="+49 3"))
        decision, = self.decisions("--key", ANN)
        self.assertEqual(decision["winner"], "billing")
        self.assertEqual(decision["values"], {"sales": "+49 1", "support": "+49 2", "billing": "+49 3"})
        self.assertEqual(sorted(lost["endpoint"] for lost in decision["lost"]), ["sales", "support"])
        self.assertIsNone(decision["base"], "nobody shows it any more")
        self.assertIsNotNone(decision["base_digest"])
        self.assertEqual(self.d.entity("contact")["conflicts"], 1)
        self.assertIn("nobody shows any more", self.story())

    def test_the_story_is_told_in_sentences(self):
        self.apart(lambda: self.sales.edit(ANN, phone="+49 1"), lambda: self.support.edit(ANN, phone="+49 2"))
        story = self.story()
        self.assertRegex(story, rf"^\d+ [A-Z][a-z][a-z] 20\d\d \d\d:\d\d:\d\d, contact {ANN}, phone:")
        self.assertIn('It was "+1 555 0001" before. support changed it to "+49 2" on ', story)
        self.assertIn('; sales changed it to "+49 1" on ', story)
        self.assertRegex(story, r"last-writer-wins: support's is younger by \d+ m?s, so it stands\.")
        self.assertRegex(story, r"It was written to (sales and billing|billing and sales)\.")
        self.assertEqual(self.story("p2@example.org"), "")

    def test_the_table_has_a_line_for_each(self):
        self.apart(lambda: self.sales.edit(ANN, phone="+49 1", name="A"), lambda: self.support.edit(ANN, phone="+49 2", name="B"))
        head, *lines = self.d.ctl("conflicts").splitlines()
        self.assertEqual(head.split(), ["TIME", "ENTITY", "KEY", "FIELD", "STANDS", "VALUE", "LOST", "RULE", "BY"])
        self.assertEqual(len(lines), 2)
        self.assertEqual(self.decisions("--entity", "account"), [])
        self.assertEqual(len(self.decisions("--since", "1h")), 2)
        self.assertEqual(self.decisions("--since", "2099-01-01T00:00:00Z"), [])
        self.d.ctl("conflicts", "--entity", "nobody", code=64)
        self.d.ctl("conflicts", "--since", "yesterday", code=64)

    def test_a_delete_that_loses_is_told(self):
        self.apart(lambda: self.support.edit(ANN, name="Still here"), lambda: self.sales.remove(ANN))
        decision, = self.decisions()
        self.assertEqual((decision["kind"], decision["rule"], decision["winner"], decision["deleted"]),
                         ("delete-update", "update-wins", "support", ["sales"]))
        self.assertIn("sales", decision["written"])
        story = self.story()
        self.assertIn("sales deleted the record on ", story)
        self.assertIn("update-wins: an edit that whoever deleted had not seen keeps the record.", story)


class Owed(Apart):
    """billing is away while sales and support are of two minds."""

    def setUp(self):
        super().setUp()
        self.d.ctl("pause", "billing")
        self.d.ctl("pause", "sales")
        self.sales.edit(ANN, phone="+49 1")
        self.support.edit(ANN, phone="+49 2")
        self.d.ctl("resume", "sales")
        eventually(lambda: self.sales.people()[ANN]["phone"] == "+49 2", "the conflict is settled at sales")
        eventually(lambda: self.decisions()[0]["written"] == ["sales"], "that it was written to sales is noted")

    def assert_told(self, written, owed):
        decision, = self.decisions()
        self.assertEqual((decision["key"], sorted(decision["written"]), decision["owed"]), (ANN, written, owed))

    def back(self):
        self.d.ctl("resume", "billing")
        return self.settled()

    def test_where_it_is_still_owed_is_said_and_then_that_it_was_written(self):
        self.assert_told(["sales"], ["billing"])
        self.assertIn("It has still to be written to billing.", self.story())
        self.back()
        self.assert_told(["billing", "sales"], [])

    def test_f13_what_is_owed_of_a_record_with_another_key_by_now_is_written_too(self):
        self.sales.edit(ANN, email="ann@example.org")
        eventually(lambda: "ann@example.org" in self.support.people(), "it is renamed")
        self.assert_told(["sales"], ["billing"])
        self.assertEqual(self.back()["ann@example.org"]["phone"], "+49 2")
        self.assert_told(["billing", "sales"], [])

    def test_f13_nor_is_it_mixed_up_where_two_exchange_their_keys(self):
        other = "p2@example.org"
        self.sales.base.run("UPDATE crm.contacts SET email = 'x' WHERE email = $1", ANN)
        self.sales.base.run("UPDATE crm.contacts SET email = $1 WHERE email = $2", ANN, other)
        self.sales.base.run("UPDATE crm.contacts SET email = $1 WHERE email = 'x'", other)
        eventually(lambda: self.support.people().get(other, {}).get("phone") == "+49 2", "they are exchanged")
        self.sales.edit(ANN, phone="+49 3")
        eventually(lambda: self.support.people().get(ANN, {}).get("phone") == "+49 3", "what the other one says now")
        self.assert_told(["sales"], ["billing"])
        self.assertEqual(self.back()[other]["phone"], "+49 2")
        self.assert_told(["billing", "sales"], [])

    def assert_decided_anew(self):
        self.assertEqual(self.back()[ANN]["phone"], "+49 2")
        self.assertEqual([(d["kind"], d["written"], d["owed"]) for d in self.decisions() if d["field"] == "phone"],
                         [("conflict", ["sales"], []), ("first-contact", ["billing"], [])])

    def test_f22_when_the_state_was_lost_it_is_decided_anew(self):
        self.redis.call("FLUSHALL")
        eventually(lambda: "the state in Redis was lost" in self.d.log, "that is noticed")
        self.assert_decided_anew()

    def test_f22_so_it_is_when_it_was_lost_while_the_daemon_was_down(self):
        self.d.stop()
        self.redis.call("FLUSHALL")
        self.d.start()
        self.assert_decided_anew()

    def test_f22_who_is_put_back_says_nothing_about_what_others_are_owed(self):
        self.sales.base.close()
        self.sales.base = self.database("sales", SALES)
        eventually(lambda: self.sales.people().get(ANN, {}).get("phone") == "+49 2", "it is filled again")
        self.assert_told(["sales"], ["billing"])
        self.back()
        self.assert_told(["billing", "sales"], [])

    def test_f10_nobody_gets_it_any_more_when_the_record_is_deleted(self):
        self.sales.remove(ANN)
        eventually(lambda: ANN not in self.support.people(), "it is deleted")
        eventually(lambda: self.decisions()[0]["owed"] == [], "billing waits for a delete only")
        self.assertNotIn(ANN, self.back())
        self.assert_told(["sales"], [])

    def test_f10_nor_when_something_else_stands_by_now(self):
        self.support.edit(ANN, phone="+49 3")
        eventually(lambda: self.sales.people()[ANN]["phone"] == "+49 3", "a later edit")
        eventually(lambda: self.decisions()[0]["owed"] == [], "billing waits for that only")
        self.assertEqual(self.back()[ANN]["phone"], "+49 3")
        self.assert_told(["sales"], [])


class JournalNotWritable(Apart):
    def test_nothing_is_decided_that_cannot_be_written_down(self):
        path, = self.place.path.rglob("journal.db")
        self.d.ctl("pause", "contact")
        self.sales.edit(ANN, phone="+49 1")
        self.support.edit(ANN, phone="+49 2")
        held = sqlite3.connect(path, isolation_level=None)
        held.execute("BEGIN IMMEDIATE")
        self.d.ctl("resume", "contact")
        eventually(lambda: self.d.status()["journal"]["state"] == "failing", "the status says so")
        code, body = self.d.get("/readyz")
        self.assertEqual(code, 503)
        self.assertIn("journal: ", body)
        self.assertIn("the journal cannot be written", self.d.status()["summary"])
        links = self.d.entity("account")["links"]
        self.assertEqual({(link["state"], link["reason"]) for link in links},
                         {("unknown", "the journal cannot be written: nothing is applied, nothing is lost")}, "and not that all is in step")
        self.assertIn("journal: ", self.d.try_ctl("wait", "--timeout", "100ms").stderr)
        self.assertEqual([crm.people()[ANN]["phone"] for crm in self.crms], ["+49 1", "+49 2", "+1 555 0001"])
        held.execute("ROLLBACK")
        held.close()
        self.assertEqual(self.settled()[ANN]["phone"], "+49 2")
        self.assertEqual([d["winner"] for d in self.decisions()], ["support"])
        self.assertEqual(self.d.get("/readyz")[0], 200)
        journal = self.d.status()["journal"]
        self.assertEqual((journal["state"], journal["reason"]), ("up", ""))
        self.assertGreater(journal["bytes"], 4096)


class DeleteWins(ThreeCrms):
    entities = ACCOUNT + CONTACT.replace("conflict: {", "conflict: {deletes: delete-wins, ")

    def test_a_delete_that_wins_names_the_edit_that_went(self):
        self.start()
        self.populate(self.sales, people=5)
        self.settled()
        self.d.ctl("pause", "contact")
        self.support.edit(ANN, name="In vain")
        self.sales.remove(ANN)
        self.d.ctl("resume", "contact")
        self.settled()
        decision, = self.d.ctl_lines("conflicts")
        self.assertEqual((decision["kind"], decision["rule"], decision["winner"], decision["field"]),
                         ("delete-update", "delete-wins", "sales", "name"))
        self.assertEqual(decision["lost"][0]["value"], "In vain")
        self.assertIn("delete-wins: the record is gone", " ".join(self.d.ctl("conflicts", "--key", ANN).split()))


class FirstContact(ThreeCrms):
    def test_rows_that_meet_for_the_first_time_are_told(self):
        self.sales.add(ANN, name="Ann", phone="+49 1")
        self.support.add(ANN, name="Ann", phone="+49 2")
        self.start()
        self.settled()
        decision, = self.d.ctl_lines("conflicts")
        self.assertEqual((decision["kind"], decision["base"], decision["base_digest"]), ("first-contact", None, None))
        story = " ".join(self.d.ctl("conflicts", "--key", ANN).split())
        self.assertIn("The rows met for the first time", story)
        self.assertIn('sales had "+49 1"', story)


class Away(ThreeCrms):
    """Billing is on a server of its own."""

    def cluster_for(self, name):
        if name != "billing":
            return super().cluster_for(name)
        self.cluster = Cluster(self.place, "pg-billing")
        return self.cluster

    def test_a_value_that_lost_unseen_is_not_told_as_nothing_and_comes_in_before_it_is_written_over(self):
        self.start()
        self.populate(self.sales, people=2)
        self.settled()
        for name in ("sales", "support"):
            self.d.ctl("pause", name)
        self.billing.edit("p1@example.org", phone="+1 b")
        eventually(lambda: self.billing.base.one("SELECT count(*) FROM crmsync.changelog") == 0, "it was taken")
        self.cluster.shut()
        self.sales.edit("p1@example.org", phone="+1 s")
        for name in ("sales", "support"):
            self.d.ctl("resume", name)
        eventually(lambda: self.support.people()["p1@example.org"]["phone"] == "+1 s", "the later one stands")
        told, = self.d.ctl_lines("conflicts")
        lost, = told["lost"]
        self.assertEqual((told["winner"], lost["endpoint"], lost["value"], lost["known"]), ("sales", "billing", None, False))
        self.assertNotIn("billing", told["values"])
        self.assertIn("a value that could not be asked for", " ".join(self.d.ctl("conflicts", "--key", "p1@example.org").split()))
        self.cluster.open()
        self.d.ctl("kick")
        self.settled()
        told, = self.d.ctl_lines("conflicts")
        self.assertEqual((told["lost"][0]["value"], told["lost"][0]["known"], told["values"]["billing"]), ("+1 b", True, "+1 b"))
        self.assertIn("billing", told["written"])
        self.assert_quiet()


class Private(ThreeCrms):
    entities = ACCOUNT + CONTACT.replace("phone: {type: text}", "phone: {type: text, private: true}")

    def test_values_of_a_private_field_are_digests_only(self):
        self.start()
        self.populate(self.sales, people=5)
        self.settled()
        self.d.ctl("pause", "contact")
        self.sales.edit(ANN, phone="+49 30 hush one", name="Open one")
        self.support.edit(ANN, phone="+49 30 hush two", name="Open two")
        self.d.ctl("resume", "contact")
        self.settled()
        phone, = [d for d in self.d.ctl_lines("conflicts") if d["field"] == "phone"]
        self.assertTrue(phone["private"])
        self.assertIsNone(phone["base"])
        self.assertEqual(set(phone["values"].values()), {None})
        self.assertNotEqual(phone["digests"]["sales"], phone["digests"]["support"])
        self.assertIn("a value that is not kept", self.d.ctl("conflicts", "--key", ANN))
        self.d.stop()
        kept = b"".join(path.read_bytes() for path in self.place.path.rglob("journal.db*"))
        self.assertIn(b"Open one", kept)
        self.assertNotIn(b"hush", kept)
        self.assertNotIn(b"555 0001", kept)


if __name__ == "__main__":
    unittest.main()
