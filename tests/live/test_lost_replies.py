"""F30: the server carries a write out, commits it, and its answer never comes."""
import select
import socket
import threading
import unittest

from case import THINGS, TOUCH, Pair
from crm import eventually

READY = b"Z\x00\x00\x00\x05I"       # what the server says when a statement is over and no transaction is open


class Wire(threading.Thread):
    """Stands between the daemon and a server. A statement that has all the words that `lose` was given reaches the server, its
    answer goes nowhere, and the connection is cut."""

    def __init__(self, directory, server):
        super().__init__(daemon=True)
        self.server = str(server / ".s.PGSQL.5432")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(directory / ".s.PGSQL.5432"))
        self.listener.listen()
        self.words, self.lost = None, 0
        self.start()

    def lose(self, *words):
        self.words = [word.encode() for word in words]

    def run(self):
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self.server)
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    (server if end is client else client).sendall(data)
                    if end is client and self.words and all(word in data for word in self.words):
                        self.words = None
                        self.swallow(server)
                        return

    def swallow(self, server):
        answer = b""
        while not answer.endswith(READY):
            more = server.recv(1 << 16)
            if not more:
                return
            answer += more
        self.lost += 1


class Lossy(Pair):
    """Answers of b may be lost."""
    name = "lost"

    def setUp(self):
        super().setUp()
        self.wire = Wire(self.place.path, self.b.cluster.back_door)
        self.b_capture = {**self.b_capture, "connection": f"host={self.place.path} dbname={self.b.name} user=crmsync"}


class LostReplies(Lossy):
    """Without a unique index at b: what is inserted twice is there twice."""
    b_sql = THINGS + "ALTER TABLE things DROP CONSTRAINT things_k_key;" + TOUCH + """
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION touch();
"""

    def loses(self, what, *words):
        """That edit of a is carried to b, and the answer is lost."""
        before = self.wire.lost
        self.wire.lose('"things"', *words)
        self.a.run(what)
        eventually(lambda: self.wire.lost > before, f"the answer to {words} is lost")
        rows = self.settled()
        self.assertEqual(self.d.ctl_lines("conflicts"), [], "our own write is nobody's edit")
        self.assertEqual(self.d.parked(), [])
        return rows

    def test_f30_the_answer_to_an_insert_an_update_and_a_delete_is_lost(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'old'), ('k2', 'old')")
        self.begin()
        self.settled()
        self.assertEqual(len(self.loses("INSERT INTO things (k, name) VALUES ('new', 'new')", "INSERT")), 3)
        self.assertIn(("k1", None, "new", None), self.loses("UPDATE things SET name = 'new' WHERE k = 'k1'", "UPDATE"))
        self.assertEqual(len(self.loses("DELETE FROM things WHERE k = 'k2'", "DELETE")), 2)
        self.assert_quiet()

    def test_f30_an_edit_made_elsewhere_before_our_write_was_heard_of_is_later_than_it(self):
        """b's trigger stamps our write with its own time, which is later than the edit at a: it must not count as an edit at b."""
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'old')")
        self.begin()
        self.settled()
        self.wire.lose('"things"', "UPDATE")
        self.a.run("UPDATE things SET name = 'first' WHERE k = 'k1'")
        eventually(lambda: self.wire.lost == 1, "the answer is lost")
        self.d.kill()
        self.a.run("UPDATE things SET name = 'second' WHERE k = 'k1'")
        self.b.run("UPDATE things SET code = 'b' WHERE k = 'k1'")
        self.d.start()
        self.assertEqual(self.settled("k, code, name"), [("k1", "b", "second")])
        self.assertEqual(self.d.ctl_lines("conflicts"), [])
        self.assert_quiet()


class LostForms(Lossy):
    """b rounds one field, makes capitals of another, and stamps what it writes."""
    b_sql = THINGS.replace("amount numeric", "amount numeric(10,2)") + """
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); NEW.changed := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON things FOR EACH ROW EXECUTE FUNCTION shout();
"""

    def lost_and_killed(self, sql, *words):
        """That write happened at b, nobody was told, and the daemon is gone."""
        before = self.wire.lost
        self.wire.lose('"things"', *words)
        self.a.run(sql)
        eventually(lambda: self.wire.lost > before, "the answer is lost")
        self.d.kill()

    def in_doubt(self):
        self.a.run("INSERT INTO things (k, name, amount) VALUES ('k1', 'one', 1.111)")
        self.begin()
        self.lost_and_killed("UPDATE things SET name = 'two', amount = 2.2222", "UPDATE")
        self.assertEqual(self.rows(self.b), [("k1", None, "TWO", "2.22")])

    def go_on(self):
        self.d.start()
        self.d.wait()
        self.assert_books(self.d)

    def test_f30_what_the_target_made_of_it_is_no_edit_when_another_field_was_edited_there_meanwhile(self):
        self.in_doubt()
        self.b.run("UPDATE things SET code = 'b'")
        self.go_on()
        self.assertEqual(self.rows(self.a), [("k1", "b", "two", "2.2222")])
        self.assertEqual(self.rows(self.b), [("k1", "b", "TWO", "2.22")])
        self.assertEqual(self.d.ctl_lines("conflicts"), [])
        self.assert_quiet()

    def test_f30_nor_is_what_it_made_of_a_row_that_was_inserted(self):
        self.begin()
        self.lost_and_killed("INSERT INTO things (k, name, amount) VALUES ('k1', 'one', 1.111)", "INSERT")
        self.b.run("UPDATE things SET code = 'b'")
        self.go_on()
        self.assertEqual(self.rows(self.a), [("k1", "b", "one", "1.111")])
        self.assertEqual(self.rows(self.b), [("k1", "b", "ONE", "1.11")])
        self.assertEqual([(c["field"], c["winner"]) for c in self.d.ctl_lines("conflicts")], [("code", "b")], "it was to be empty")
        self.assert_quiet()

    def test_f30_who_edits_such_a_field_meanwhile_is_heard(self):
        self.in_doubt()
        self.b.run("UPDATE things SET name = 'mine', code = 'b'")
        self.go_on()
        self.assertEqual(self.rows(self.a), [("k1", "b", "MINE", "2.2222")])
        self.assertEqual(self.rows(self.b), [("k1", "b", "MINE", "2.22")])
        self.assertEqual([(c["field"], c["winner"]) for c in self.d.ctl_lines("conflicts")], [("name", "b")], "he may not have seen what he wrote over")
        self.assert_quiet()

    def test_f30_and_who_edits_it_elsewhere_has_the_last_word(self):
        self.in_doubt()
        self.a.run("UPDATE things SET name = 'three', amount = 3.3333")
        self.b.run("UPDATE things SET code = 'b'")
        self.go_on()
        self.assertEqual(self.rows(self.a), [("k1", "b", "three", "3.3333")])
        self.assertEqual(self.rows(self.b), [("k1", "b", "THREE", "3.33")])
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
