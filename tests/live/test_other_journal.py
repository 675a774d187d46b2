"""A journal that is lost, or not the one that was in use last: what it knew is looked for, and what it says is looked at again."""
import os
import shutil
import signal
import sqlite3
import unittest

from case import ACCOUNT, CONTACT, ThreeCrms, alone, needs_failpoints
from crm import Daemon, eventually
from killing import Killing

WRITE, ROW, WORD = "p1@example.org", "p2@example.org", "p3@example.org"


class OtherJournal(ThreeCrms, Killing):
    entities = ACCOUNT + CONTACT.replace("score: {type: integer}", "score: {type: integer, check: [{range: [0, 100]}]}") \
        .replace("{rule: last-writer-wins, ", "{rule: last-writer-wins, fields: {phone: manual}, ")

    def setUp(self):
        super().setUp()
        self.start()
        self.populate(self.sales, people=60)
        self.settled()
        self.sales.base.run("ALTER TABLE crm.contacts ADD CONSTRAINT good CHECK (full_name <> 'Bad')")

    def put_aside(self):
        """A write that is refused, a row that cannot be taken, a value that a person decides about, and 20 deletes carried out of 30."""
        self.d.ctl("pause", "contact")
        self.support.edit(WRITE, name="Bad")
        self.billing.edit(ROW, score=101)
        self.sales.edit(WORD, phone="+1 a")
        self.billing.edit(WORD, phone="+1 b")
        self.sales.base.run("DELETE FROM crm.contacts WHERE score >= 30")
        self.d.ctl("resume", "contact")
        lines = [(WRITE, "sales", "apply"), (ROW, "billing", "capture")], [WORD], 10
        self.come_to(lines)
        self.d.wait()
        return lines

    def come_to(self, lines):
        eventually(lambda: self.lines() == lines or (False, str(self.lines())), "what is put aside is that")

    def lines(self):
        """What the journal has; or what status says, where it counts otherwise."""
        parked = sorted((p["key"], p["endpoint"], p["direction"]) for p in self.d.parked())
        waiting = [line["key"] for line in self.d.ctl_lines("conflicts", "--waiting")]
        held = sum(s["deletes"] for s in self.d.ctl_lines("held", "list", "--json"))
        contact = self.d.entity("contact")
        counts = contact["parked"], contact["waiting"], contact["held"]
        return (parked, waiting, held) if counts == (len(parked), len(waiting), held) else counts

    def settle_all(self):
        self.d.ctl("held", "release", self.d.ctl_lines("held", "list", "--json")[0]["set"])
        self.support.edit(WRITE, name="Good")
        self.billing.edit(ROW, score=99)
        self.d.ctl("decide", "contact", WORD, "phone", "billing")
        self.come_to(([], [], 0))
        people = self.settled()
        self.assertEqual((len(people), people[WRITE]["name"], people[ROW]["score"], people[WORD]["phone"]), (30, "Good", 99, "+1 b"))

    def lose_the_journal(self):
        shutil.rmtree(self.d.directory / "journal")

    def two(self, journal="@DIR@/journal"):
        self.first = self.d
        self.second = Daemon(self.place, self.topology().replace("@DIR@/journal", str(journal)), name="second")
        eventually(lambda: self.second.status()["standby"], "the second one stands by")

    def hand_over(self, sleeper, to):
        """One sleeps until the other has taken over."""
        os.kill(sleeper.process.pid, signal.SIGSTOP)
        self.addCleanup(os.kill, sleeper.process.pid, signal.SIGCONT)    # else it could not be ended
        eventually(lambda: not to.status()["standby"], "it takes over")
        self.d = to
        self.d.wait()

    def give_back(self, sleeper, taker):
        """It wakes up, stands by, and the one that has taken over is killed."""
        os.kill(sleeper.process.pid, signal.SIGCONT)
        eventually(lambda: sleeper.status()["standby"], "it stands by")
        taker.kill()
        eventually(lambda: not sleeper.status()["standby"], "it is at work again")
        self.d = sleeper
        self.d.wait()

    def test_f31_what_a_lost_journal_held_is_held_again(self):
        lines = self.put_aside()
        self.d.stop()
        self.lose_the_journal()
        self.d.start()
        self.d.wait()
        self.assertEqual(self.lines(), lines)
        self.assertEqual(len(self.billing.people()), 40, "no more than the 20 were deleted")
        self.sales.remove("p10@example.org")
        eventually(lambda: "p10@example.org" not in self.billing.people(), "what is deleted now is deleted")
        self.sales.add("p10@example.org", score=10)
        self.settle_all()

    def describe_anew(self):
        self.d.write(self.topology(self.entities.replace("name: {type: text}", "name: {type: text, clean: [trim]}")))

    def test_f31_so_it_is_where_the_topology_says_something_new_of_the_tables(self):
        lines = self.put_aside()
        self.d.stop()
        self.lose_the_journal()
        self.describe_anew()
        self.d.start()
        self.d.wait()
        self.assertEqual(self.lines(), lines)
        self.assertEqual(len(self.billing.people()), 40, "no more than the 20 were deleted")
        self.settle_all()

    @needs_failpoints
    def test_f31_nor_does_a_survey_find_what_a_sweep_was_ordered_for(self):
        lines = self.put_aside()
        self.arm("recover/journal/sent", happening=self.lose_the_journal)
        eventually(lambda: self.d.process.poll() is not None, "it is killed before it could look")
        self.d.finish()
        self.describe_anew()
        self.d.start()
        self.d.wait()
        self.assertEqual(self.lines(), lines)
        self.settle_all()

    def last_journal(self, *word):
        """What Redis says of it, from now on: nothing, as earlier versions have left it, or that."""
        born = self.redis.call("HGET", "crmsync:acme:meta", "born")[:6]
        key = f"crmsync:acme:{born}:pos"
        self.assertIsNotNone(self.redis.call("HGET", key, "journal"))
        self.redis.call("HSET" if word else "HDEL", key, "journal", *word)

    def test_f31_a_state_that_does_not_tell_of_a_journal_is_taken_for_this_one_s(self):
        lines = self.put_aside()
        self.d.stop()
        self.last_journal()
        self.d.start()
        self.d.wait()
        self.assertEqual(self.lines(), lines)
        self.assertNotIn("sweep begins", self.d.log)
        self.d.stop()
        self.last_journal()
        self.lose_the_journal()
        self.d.start()
        self.d.wait()
        self.assertEqual(self.lines(), lines)
        self.assertEqual(len(self.billing.people()), 40)

    @needs_failpoints
    def test_f29_killed_before_it_has_seen_everything_it_looks_again(self):
        lines = self.put_aside()
        for place in ("recover/journal/before", "recover/journal/sent", "listing/vanished/answered", "listing/accounted/before"):
            self.arm(place, happening=self.lose_the_journal)
            self.dies(place)
            self.d.wait()
            self.assertEqual(self.lines(), lines, place)
        self.settle_all()

    @alone
    def test_f31_what_the_other_one_has_put_aside_is_known_when_the_first_takes_over_again(self):
        self.two()
        self.hand_over(self.first, self.second)
        lines = self.put_aside()
        self.give_back(self.first, self.second)
        self.assertEqual(self.lines(), lines)
        self.assertEqual(len(self.billing.people()), 40)
        self.settle_all()

    @alone
    def test_f31_what_the_other_one_has_settled_is_settled_when_the_first_takes_over_again(self):
        lines = self.put_aside()
        self.two()
        self.hand_over(self.first, self.second)
        self.assertEqual(self.lines(), lines)
        self.assertEqual(len(self.billing.people()), 40)
        self.settle_all()
        self.sales.remove(WRITE)
        eventually(lambda: WRITE not in self.billing.people(), "it has ended")
        self.d.wait()
        self.give_back(self.first, self.second)
        self.assertEqual(self.lines(), ([], [], 0))
        self.assertEqual(len(self.settled()), 29)

    @alone
    def test_f31_daemons_that_share_a_journal_know_what_the_other_has_put_aside(self):
        self.two(self.d.directory / "journal")
        lines = self.put_aside()
        self.hand_over(self.first, self.second)
        self.assertEqual(self.lines(), lines)
        self.assertNotIn("sweep begins", self.second.log)
        self.settle_all()
        self.give_back(self.first, self.second)
        self.assertEqual(self.lines(), ([], [], 0))
        self.assertNotIn("sweep begins", self.first.log)
        self.settled()

    @alone
    def test_f31_while_what_the_other_one_has_put_aside_cannot_be_read_nothing_is_done(self):
        self.two(self.d.directory / "journal")
        self.hand_over(self.first, self.second)
        lines = self.put_aside()
        os.kill(self.first.process.pid, signal.SIGCONT)
        eventually(lambda: self.first.status()["standby"], "it stands by")
        self.second.kill()
        shell = sqlite3.connect(self.first.directory / "journal" / "journal.db", isolation_level=None)
        self.addCleanup(shell.close)
        shell.execute("BEGIN IMMEDIATE")
        eventually(lambda: not self.first.status()["standby"], "it takes over")
        eventually(lambda: "is not read; nothing is done meanwhile" in self.first.log, "it has tried to read it")
        shell.execute("ROLLBACK")
        self.d = self.first
        self.d.wait()
        self.assertEqual(self.lines(), lines)
        self.assertEqual(len(self.billing.people()), 40)
        self.settle_all()

    def names(self, *keys):
        people = self.support.people()
        return [people[key]["name"] if key in people else None for key in keys]

    @alone
    def test_f31_daemons_that_share_a_journal_put_back_what_the_other_has_been_told_to_undo(self):
        """One undo is carried out by the other daemon, and done once more by hand; of another one it is told, and killed."""
        told, new = "p2@example.org", "new@example.org"
        before = self.names(told)
        self.two(self.d.directory / "journal")
        self.sales.add(new, name="new")
        self.settled()
        self.d.ctl("pause", "contact")
        self.d.ctl("undo", "--key", new, "--entity", "contact", code=1)
        self.hand_over(self.first, self.second)
        eventually(lambda: self.names(new) == [None], "the other one carries it out")
        self.sales.add(new, name="new")
        self.sales.edit(told, name="bad")
        self.settled()
        self.d.ctl("pause", "contact")
        self.d.ctl("undo", "--key", told, "--entity", "contact", code=1)
        os.kill(self.first.process.pid, signal.SIGCONT)
        eventually(lambda: self.first.status()["standby"], "it stands by")
        self.second.kill()
        eventually(lambda: not self.first.status()["standby"], "it is at work again")
        self.d = self.first
        self.d.ctl("resume", "contact")
        eventually(lambda: self.names(told) == before, "it is put back")
        self.settled()
        self.assertEqual(self.names(new), ["new"], "what was entered once more stays")

    @alone
    def test_f31_daemons_that_share_a_journal_know_what_the_other_owes(self):
        self.two(self.d.directory / "journal")
        self.d.ctl("pause", "billing")
        self.d.ctl("pause", "contact")
        self.sales.edit(WRITE, name="lost")
        self.support.edit(WRITE, name="stands")
        self.d.ctl("resume", "contact")
        owed = lambda: [(line["written"], line["owed"]) for line in self.d.ctl_lines("conflicts") if line["key"] == WRITE]
        eventually(lambda: owed() == [(["sales"], ["billing"])], "billing has yet to get it")
        self.first.kill()
        eventually(lambda: not self.second.status()["standby"], "the other one takes over")
        self.d = self.second
        self.settled()
        self.assertEqual([(sorted(written), left) for written, left in owed()], [(["billing", "sales"], [])])


if __name__ == "__main__":
    unittest.main()
