"""F10: a row is deleted, another one with its key takes its place, and that one is gone before it is looked at again."""
import signal
import unittest

from case import Pair
from crm import eventually


class ReplacedRows(Pair):
    def at_a(self, column, condition):
        """Of the daemon's connections to a."""
        return self.a.one(f"SELECT max({column})::text FROM pg_stat_activity WHERE usename = 'crmsync' AND datname = current_database() AND {condition}")

    def next_look(self, since):
        """When a's change log was looked at after that, and there was an answer."""
        return eventually(lambda: self.at_a("query_start", f"state = 'idle' AND query_start > '{since}' AND query LIKE '%changelog%'"), "a is looked at")

    def write_to_a_that_waits(self):
        """Meanwhile what is read there may be older than what is written, and is read again. The connection that it waits for."""
        holder = self.a.connect()
        holder.run("BEGIN")
        holder.run("SELECT FROM things WHERE k = 'k2' FOR UPDATE")
        self.b.run("UPDATE things SET name = 'edited' WHERE k = 'k2'")
        eventually(lambda: self.at_a("pid", "wait_event_type = 'Lock'"), "an edit of b's is being written")
        return holder

    def test_f10_a_row_that_replaced_another_and_is_gone_when_it_is_read_again_leaves_a_delete(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'first'), ('k2', 'stays')")
        self.begin()
        holder = self.write_to_a_that_waits()
        self.redis.process.send_signal(signal.SIGSTOP)
        self.addCleanup(self.redis.process.send_signal, signal.SIGCONT)
        self.a.run("BEGIN; DELETE FROM things WHERE k = 'k1'; INSERT INTO things (k, name) VALUES ('k1', 'second'); COMMIT")
        self.next_look(self.next_look(self.a.one("SELECT clock_timestamp()")))      # what the first one saw is in a round
        self.a.run("DELETE FROM things WHERE k = 'k1'")
        self.redis.process.send_signal(signal.SIGCONT)
        holder.close()
        self.d.wait()
        self.assertEqual(self.rows(self.b, "k, name"), [("k2", "edited")])
        self.settled()


if __name__ == "__main__":
    unittest.main()
