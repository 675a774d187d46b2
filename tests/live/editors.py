"""editors.py - people at work: threads that edit through their own application, and remember what they said last."""
import random
import threading

import libpq
from case import COLUMNS, TABLES
from crm import eventually


class Editor(threading.Thread):
    """Edits one field of random records through `crm`, again and again until stopped. An edit counts once it is confirmed; when
    the server goes away in the middle, the same edit is made again until it is."""

    def __init__(self, crm, field, emails, seed, value=None):
        super().__init__(daemon=True)
        self.crm, self.field, self.emails = crm, field, emails
        self.dice = random.Random(seed)
        self.value = value or (lambda n: f"{crm.name} {n}")
        self.said, self.count = {}, 0
        self.wanted = threading.Event()
        self.trouble = None
        self.start()

    def run(self):
        session = None
        while not self.wanted.is_set():
            email, value = self.dice.choice(self.emails), self.value(self.count)
            done = False
            while not done:
                try:
                    session = session or self.crm.base.connect()
                    columns = COLUMNS[self.crm.name]
                    session.run(f"UPDATE {TABLES[self.crm.name]} SET {columns[self.field]} = $2 WHERE {columns['email']} = $1",
                                email, value)
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
        if session:
            session.close()

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


def lost(editors, people):
    """The edits that are not there although nobody wrote that field later."""
    return [f"{email}.{e.field}: {e.crm.name} said {value!r}, there is {people[email][e.field]!r}"
            for e in editors for email, value in e.said.items() if str(people[email][e.field]) != str(value)]
