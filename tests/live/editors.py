"""editors.py - people at work: threads that edit through their own application, and remember what they said last."""
import random
import threading

import libpq
from case import COLUMNS, TABLES, ThreeCrms
from crm import Cluster, eventually


class Editor(threading.Thread):
    """Edits one field of random records through `crm`, again and again until stopped. An edit counts once it is confirmed; when
    the server goes away in the middle, the same edit is made again until it is."""

    def __init__(self, crm, field, emails, seed, value=None, rest=0):
        super().__init__(daemon=True)
        self.crm, self.field, self.emails, self.rest = crm, field, emails, rest     # seconds, after each
        self.dice = random.Random(seed)
        self.value = value or (lambda n: f"{crm.name} {n}")
        self.said, self.count = {}, 0
        self.wanted = threading.Event()
        self.trouble = None
        self.start()

    def run(self):
        session = None
        while not self.wanted.is_set():
            email, value = self.choose(), self.value(self.count)
            done = False
            while not done:
                try:
                    session = session or self.crm.base.connect()
                    self.write(session, email, value)
                    done = True
                except libpq.Error as error:
                    if error.code[:2] not in ("", "57", "08", "40"):
                        self.trouble = error
                        return
                    session = None
                    if self.wanted.wait(0.05):
                        return
            self.said[email] = value
            self.count += 1
            self.wanted.wait(self.pause())
        if session:
            session.close()

    def pause(self):
        return self.rest

    def choose(self):
        return self.dice.choice(self.emails)

    def write(self, session, email, value):
        columns = COLUMNS[self.crm.name]
        session.run(f"UPDATE {TABLES[self.crm.name]} SET {columns[self.field]} = $2 WHERE {columns['email']} = $1", email, value)

    def more(self, edits):
        """Waits until that many further edits were made."""
        goal = self.count + edits
        eventually(lambda: self.count >= goal or not self.is_alive(), f"{edits} more edits by {self.crm.name}")
        if self.trouble:
            raise self.trouble

    def finish(self):
        self.wanted.set()
        self.join()
        if self.trouble:
            raise self.trouble


class Adder(Editor):
    """Adds one record after the other. Each is said once only: what is lost of it no later edit brings back. The more there are, the
    more slowly: who looks through the tables is to come to their end however long a test lasts."""

    def pause(self):
        return 0.01 * (1 + self.count / 100)

    def choose(self):
        return f"added{self.count}.{self.crm.name}@example.org"

    def write(self, session, email, value):
        columns = COLUMNS[self.crm.name]
        session.run(f"INSERT INTO {TABLES[self.crm.name]} ({columns['email']}, {columns[self.field]}) VALUES ($1, $2) "
                    "ON CONFLICT DO NOTHING", email, value)


def lost(editors, people):
    """The edits that are not there although nobody wrote that field later."""
    there = {(email, field): value for email, fields in people.items() for field, value in fields.items()}
    return [f"{email}.{e.field}: {e.crm.name} said {value!r}, there is {there.get((email, e.field))!r}"
            for e in editors for email, value in e.said.items() if str(there.get((email, e.field))) != str(value)]


class Load(ThreeCrms):
    """Things happen while people are at work; a server for each database."""

    slow = True
    redis_options = ("--appendonly", "yes", "--appendfsync", "always")
    rest = 0                # seconds that an editor rests after each edit

    def cluster_for(self, name):
        """A server each: they are restarted one by one."""
        cluster = Cluster(self.place, f"pg-{name}")
        self.clusters = getattr(self, "clusters", []) + [cluster]
        return cluster

    def survive(self, happenings, people=100, spare=0):
        """Three editors work while each of the `happenings` takes place; then all is there, once, everywhere. They leave the
        last `spare` people alone."""
        self.start()
        self.populate(self.sales, people=people + spare)
        self.settled()
        emails = [f"p{p}@example.org" for p in range(people)]
        editors = [Editor(self.sales, "name", emails, 1, rest=self.rest), Editor(self.support, "phone", emails, 2, rest=self.rest),
                   Editor(self.billing, "score", emails, 3, value=lambda n: n, rest=self.rest)]
        adders = [Adder(self.sales, "name", (), 4), Adder(self.billing, "name", (), 5)]
        added = 0
        dice = random.Random(7)
        try:
            for happening in happenings:
                for editor in editors:
                    editor.more(dice.randrange(5, 60))
                self.sales.add(f"s{added}@example.org", name="Added at sales", account="A1")
                self.billing.add(f"b{added}@example.org", name="Added at billing", account="A2")
                added += 1
                happening()
                for editor in editors:
                    editor.more(5)
        finally:
            for editor in editors + adders:
                editor.finish()
        found = self.settled()
        self.assertEqual(lost(editors + adders, found), [])
        self.assertEqual(len(found), people + spare + 2 * added + sum(adder.count for adder in adders))
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()
