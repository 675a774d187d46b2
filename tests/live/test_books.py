"""The books: of every captured change it is known what became of it, whatever happens in between."""
import contextlib
import signal
import sqlite3
import unittest

from case import ACCOUNT, CONTACT, ThreeCrms
from crm import eventually

ANN, BOB = "p1@example.org", "p2@example.org"
OPEN = ("pending", "parked", "waiting", "held")


class Books(ThreeCrms):
    entities = ACCOUNT + CONTACT.replace("score: {type: integer}", "score: {type: integer, check: [{range: [0, 100]}]}") \
        .replace("support, billing]}", "support, billing], fields: {phone: manual}}")
    redis_options = ("--appendonly", "yes", "--appendfsync", "always")

    def setUp(self):
        super().setUp()
        self.start()
        self.populate(self.sales, people=30)
        self.settled()
        self.before = self.books()

    def books(self):
        return self.assert_books(self.d)["contact"]

    def become(self, **wanted):
        """So much more is in these accounts than at the beginning, or since the daemon started, and nothing in the other open ones."""
        wanted = {**dict.fromkeys(OPEN, 0), **wanted}

        def there():
            books = self.books()
            found = {account: books[account] - self.before[account] for account in wanted}
            return found == wanted or (False, f"{found} instead of {wanted}")
        eventually(there, "what became of it is in the books")

    def test_first_contact_and_edits_are_applied_once_and_come_back_as_echoes(self):
        self.assertEqual((self.before["applied"], self.before["lost"]), (30, 0))
        self.sales.edit(ANN, name="Ann")
        self.billing.remove(BOB)
        self.settled()
        self.become(applied=2, lost=0, merged=0, unchanged=1)       # the poll at support finds what we wrote

    def test_what_is_open_is_pending_and_merges_and_survives_a_kill_and_redis(self):
        self.d.ctl("pause", "billing")
        self.sales.edit(ANN, name="One")
        self.become(pending=1, applied=0)
        self.sales.edit(ANN, name="Two")
        self.become(pending=1, merged=1)
        self.redis.restart()
        self.support.edit(BOB, name="Three")
        self.become(pending=2, merged=1)
        self.d.stop(signal.SIGKILL, code=-9)
        self.d.start()
        self.before = dict.fromkeys(self.before, 0)
        self.settled()
        self.become(merged=0, lost=0)
        self.assertGreaterEqual(self.books()["applied"], 2, "what was open at the start is carried over")

    def test_a_change_that_loses_is_lost_and_the_journal_has_it(self):
        self.d.ctl("pause", "billing")
        self.billing.edit(ANN, name="Earlier")
        self.sales.edit(ANN, name="Later")
        self.become(pending=1)
        self.d.ctl("resume", "billing")
        self.settled()
        self.become(applied=1, lost=1)
        self.assertEqual(len(self.d.ctl_lines("conflicts", "--entity", "contact", "--json")), 1)

    def test_what_waits_for_a_person_waits_until_it_is_decided(self):
        self.d.ctl("pause", "billing")
        self.billing.edit(ANN, phone="+1")
        self.sales.edit(ANN, phone="+2")
        self.become(pending=1)
        self.d.ctl("resume", "billing")
        self.become(waiting=1)
        self.d.ctl("decide", "contact", ANN, "phone", "billing")
        self.settled()
        self.become(applied=1)

    def test_what_stands_aside_is_parked_until_it_can_be_taken(self):
        self.billing.edit(ANN, score=101)
        self.support.edit(BOB, phone="1" * 21)
        self.become(parked=2)
        self.billing.edit(ANN, score=99)
        self.support.edit(BOB, phone="+49")
        self.settled()
        self.become(applied=2, merged=2)

    def test_held_deletes_are_held_until_they_are_released(self):
        self.sales.base.run("DELETE FROM crm.contacts WHERE score < 25")
        self.become(held=5, applied=20)
        name = self.d.ctl_lines("held", "list", "--json")[0]["set"]
        self.d.ctl("held", "release", name)
        self.become(applied=25)
        self.settled()


class Sums(ThreeCrms):
    entities = ACCOUNT + CONTACT.replace("support, billing]}", "support, billing], fields: {score: add}}")

    def waits_for_a_lock(self):
        return self.billing.base.one("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")

    def test_a_round_that_could_not_write_its_journal_after_it_had_applied_counts_once(self):
        """What it had agreed on is put back; else its writes would be taken for people's, and what it intended would come back later."""
        self.start()
        self.populate(self.sales, people=3)
        self.settled()
        self.d.ctl("pause", "contact")
        self.support.edit(ANN, name="Loses, so that the journal is told where it is written")
        self.sales.edit(ANN, name="Stands", score=4)
        with self.billing.base.connect() as session:
            session.run("BEGIN")
            session.run("SELECT FROM payers WHERE mail = $1 FOR UPDATE", ANN)
            self.d.ctl("resume", "contact")
            eventually(self.waits_for_a_lock, "the write at billing waits")
            with contextlib.closing(sqlite3.connect(self.d.directory / "journal" / "journal.db", isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                session.run("COMMIT")
                eventually(lambda: "round given up entity=contact" in self.d.log, "the round is given up")
                other.execute("ROLLBACK")
        self.assertIn("step=mark code=SQLITE_BUSY", next(line for line in self.d.log.splitlines() if "round given up entity=contact" in line))
        for _ in range(2):
            self.assertEqual(self.settled()[ANN]["score"], 4)
            self.d.restart()


if __name__ == "__main__":
    unittest.main()
