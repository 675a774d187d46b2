"""soak.py - real servers, people at work on all sides, and a nemesis that kills, stops, restarts, cuts and slows; then the books.

    make soak SEED=1 MINUTES=60         episodes of about 15 s of work each, until the time is up
    tests/live/soak.py --seed 1 --minutes 60

After each episode everything is healed, and when it has become quiet:
  - all sides are equal
  - every edit that only its author may have replaced is there (a field of a record belongs to one side)
  - a record that was deleted by the only side that touches it is gone, one that was born is there
  - a field that several sides edit shows a value that somebody wrote there; one with a rule of its own what this rule makes of
    all that was said (soak_rules.py); and what waited for a decision is what was decided
  - nothing is parked, the books balance with nothing open, and not one further row is written
The same seed chooses the same work and the same blows; when they meet is up to the machine. Prints "N passed, N failed" last.
"""
import argparse
import json
import os
import random
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True

import libpq
import soak_rules
from case import ACCOUNT, COLUMNS, CONTACT, TABLES
from crm import eventually
from editors import Load

OWN = {"sales": "name", "support": "phone", "billing": "score"}      # who may edit which field of everybody
AGAIN = ("", "57", "08", "40", "55")                                 # the server went away, or two met: the same once more


class Worker(threading.Thread):
    """One person of one CRM. Everything counts once it is confirmed; what was not answered is asked for before it is done again."""

    def __init__(self, test, crm, number, seed):
        super().__init__(daemon=True)
        self.test, self.crm, self.number, self.emails, self.seed = test, crm, number, test.emails, seed
        self.dice = random.Random(f"{seed} {crm.name} {number}")
        self.session, self.trouble = None, None
        self.wanted = threading.Event()
        self.own = {}               # email: value of the field that is this side's
        self.shared = {}            # email: values of `account`, which everybody edits
        self.said = soak_rules.Said()
        self.born = {}              # email: name; this worker's own people
        self.dead = set()
        self.done = 0
        self.accounts = {f"A{a}": crm.account_id(f"A{a}") for a in range(5)}
        self.start()

    def sql(self, text, *values):
        """Until it is confirmed. Only for statements that may be done twice."""
        while True:
            try:
                self.session = self.session or self.crm.base.connect()
                return self.session.run(text, *values)
            except libpq.Error as error:
                if error.code[:2] not in AGAIN:
                    raise
                if error.code[:2] not in ("40", "55"):
                    self.session = None
                time.sleep(0.02)

    def run(self):
        try:
            while not self.wanted.is_set():
                self.dice.choices((self.edit_own, self.edit_shared, self.edit_by_rule, self.decide, self.give_birth, self.kill, self.rename),
                                  (35, 10, 35, 1, 10, 5, 5))[0]()
                self.done += 1
        except libpq.Error as error:
            self.trouble = error
        if self.session:
            self.session.close()

    def set(self, email, field, value):
        columns = COLUMNS[self.crm.name]
        self.sql(f"UPDATE {TABLES[self.crm.name]} SET {columns.get(field, field)} = $2 WHERE {columns['email']} = $1", email, value)

    def mine(self):
        """One of those that the other worker of this side leaves alone."""
        return self.dice.choice([e for i, e in enumerate(self.emails) if i % 2 == self.number])

    def edit_by_rule(self):
        email, field = self.mine(), self.dice.choice(sorted(soak_rules.FIELDS))
        value = self.said.something_for(field, self.dice, f"{self.crm.name}{self.number} {self.seed}.{self.done}")
        self.said.note(field, email, value)     # before: it may be seen elsewhere before we are told that it is done
        if field == "total":
            self.sql(f"WITH first AS (INSERT INTO tickets VALUES ($3) ON CONFLICT DO NOTHING RETURNING ticket) "
                     f"UPDATE {TABLES[self.crm.name]} SET total = total + $2 WHERE {COLUMNS[self.crm.name]['email']} = $1 "
                     f"AND EXISTS (SELECT FROM first)", email, value, f"{self.number} {self.seed}.{self.done}")
        else:
            self.set(email, field, value)

    def decide(self):
        """Something of what waits, if the daemon is there to be told."""
        self.test.decide_one(self.dice)

    def edit_own(self):
        email = self.mine()
        value = str(self.done) if OWN[self.crm.name] == "score" else f"{self.crm.name}{self.number} {self.done}"
        self.set(email, OWN[self.crm.name], value)
        self.own[email] = value

    def edit_shared(self):
        email, number = self.dice.choice(self.emails), self.dice.choice(sorted(self.accounts))
        # Noted before: it may be seen elsewhere before we are told that it is done.
        self.shared.setdefault(email, set()).add(number)
        self.set(email, "account", self.accounts[number])

    def give_birth(self):
        email = f"{self.crm.name}{self.number}.{self.seed}.{self.done}@example.org"     # no episode before has had that one
        columns = COLUMNS[self.crm.name]
        self.sql(f"INSERT INTO {TABLES[self.crm.name]} ({columns['email']}, {columns['name']}) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                 email, f"born {self.done}")
        self.born[email] = f"born {self.done}"

    def kill(self):
        # Not at the side that is polled: a poll sees no deletes before the sweep.
        if self.crm.name != "support" and self.born:
            email = self.dice.choice(sorted(self.born))
            self.sql(f"DELETE FROM {TABLES[self.crm.name]} WHERE {COLUMNS[self.crm.name]['email']} = $1", email)
            del self.born[email]
            self.dead.add(email)

    def rename(self):
        if self.born:
            email = self.dice.choice(sorted(self.born))
            new = f"r{self.done}.{email}"[:60]
            self.set(email, "email", new)
            self.born[new] = self.born.pop(email)
            self.dead.add(email)

    def finish(self):
        self.wanted.set()
        self.join()
        if self.trouble:
            raise self.trouble


class Nemesis:
    """One blow after the other; each is healed before the next, but for what heals later by itself."""

    def __init__(self, test, dice):
        self.test, self.dice, self.blows = test, dice, []

    def strike(self):
        blow = self.dice.choice((self.kill, self.freeze, self.restart, self.crash, self.cut, self.redis, self.slow, self.stop))
        self.blows.append(blow.__name__)
        blow()

    def pause(self, most=2.0):
        time.sleep(self.dice.uniform(0.1, most))        # how long the outage lasts

    def kill(self):
        self.test.d.kill()
        self.pause(1)
        self.test.d.start()

    def stop(self):
        self.test.d.restart()

    def freeze(self):
        self.test.d.process.send_signal(signal.SIGSTOP)
        self.pause(6)
        self.test.d.process.send_signal(signal.SIGCONT)

    def restart(self):
        self.dice.choice(self.test.clusters).restart()

    def crash(self):
        self.dice.choice(self.test.clusters).restart(signal.SIGQUIT)

    def cut(self):
        cluster = self.dice.choice(self.test.clusters)
        cluster.shut()
        self.pause(3)
        cluster.open()

    def redis(self):
        self.test.redis.stop(self.dice.choice((signal.SIGTERM, signal.SIGKILL)))
        self.pause(2)
        self.test.redis.start()

    def slow(self):
        """Rows of one side are locked for a while."""
        crm = self.dice.choice(self.test.crms)
        with crm.base.connect() as session:
            session.run(f"BEGIN; SELECT FROM {TABLES[crm.name]} WHERE {COLUMNS[crm.name]['email']} LIKE 'p1%' FOR UPDATE")
            self.pause(3)
            session.run("COMMIT")


class Soak(Load):
    # They delete more people than anybody would believe of them.
    entities = ACCOUNT + soak_rules.in_topology(CONTACT).replace("  mappings:", "  limits: {mass_delete: 100%}\n  mappings:")
    people = 60
    story = ""

    def begin(self):
        for crm in self.crms:
            crm.base.run(soak_rules.TICKETS + soak_rules.columns(TABLES[crm.name]))
        self.start()
        self.populate(self.sales, people=self.people)
        self.settled()
        self.emails = [f"p{p}@example.org" for p in range(self.people)]
        self.past = []

    def episode(self, seed, seconds):
        """What happened, in a line."""
        dice = random.Random(f"nemesis {seed}")
        nemesis = Nemesis(self, dice)
        workers = [Worker(self, crm, n, seed) for crm in self.crms for n in (0, 1)]
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                goal = sum(w.done for w in workers) + dice.randrange(20, 300)
                eventually(lambda: sum(w.done for w in workers) >= goal or any(w.trouble for w in workers), "people get on with their work")
                nemesis.strike()
        finally:
            for worker in workers:
                worker.finish()
        self.story = f"{sum(w.done for w in workers)} edits, {len(nemesis.blows)} blows ({' '.join(nemesis.blows)})"
        self.check(workers, dice)
        return self.story

    def waiting(self):
        """What waits for a decision, as far as it can be had now."""
        told = self.d.try_ctl("--json", "--timeout", "5s", "conflicts", "--waiting", patience=5)
        return [json.loads(line) for line in told.stdout.splitlines()] if told.returncode == 0 else []

    def decide_one(self, dice):
        """(email, value) that was chosen; None: nothing could be."""
        lines = [line for line in self.waiting() if not line["decided"]]
        if not lines:
            return None
        line = dice.choice(lines)
        sides = sorted(set(line["between"]) & set(line["values"]))
        if not sides:       # none of them can be asked just now
            return None
        side = dice.choice(sides)
        told = self.d.try_ctl("--timeout", "5s", "decide", "contact", line["key"], line["field"], side, patience=5)
        return (line["key"], line["values"][side]) if told.returncode == 0 else None

    def decide_all(self, dice):
        """{email: value}"""
        decided = {}
        self.d.wait()
        while self.waiting():
            chosen = self.decide_one(dice)
            self.assertIsNotNone(chosen, f"what waits cannot be decided: {self.waiting()}")
            decided.update([chosen])
            self.d.wait()
        return decided

    def by_rules(self):
        """{email: {field: value}} of the fields with a rule of their own; the same everywhere."""
        sides = [{row[0]: dict(zip(soak_rules.FIELDS, row[1:])) for row in crm.base.run(
            f"SELECT {COLUMNS[crm.name]['email']}, {', '.join(soak_rules.FIELDS)} FROM {TABLES[crm.name]}")} for crm in self.crms]
        for crm, side in zip(self.crms[1:], sides[1:]):
            self.assertEqual(sides[0], side, f"{self.crms[0].name} and {crm.name} differ")
        return sides[0]

    def check_rules(self, workers, decided):
        judge = soak_rules.Judge([(w.crm.name, w.said) for w in self.past + workers])
        found, faults = self.by_rules(), []
        for email in self.emails:
            for field, fault in judge.faults(email, found[email]):
                told = [line for line in self.d.ctl_lines("conflicts", "--key", email) if line["field"] == field]
                # The difference was made while nobody knew whether a write of ours had happened, and people were told.
                if field != "total" or not any(line["winner"] == "(sum)" for line in told):
                    faults.append(f"{email}.{field} is {found[email][field]!r}, and {fault}\n{judge.story(field, email)}\n" +
                                  "\n".join(map(str, told)))
        self.assertFalse(faults, "a rule was not followed\n" + "\n".join(faults))
        self.assertEqual({email: found[email]["verdict"] for email in decided}, decided, "decided otherwise")

    def check_books(self):
        for entity, books in self.assert_books(self.d).items():
            self.assertEqual([books[account] for account in ("pending", "parked", "waiting", "held")], [0] * 4, f"{entity}: {books}")

    def check(self, workers, dice):
        decided = self.decide_all(dice)
        self.story += f"; {len(decided)} decided at the end"
        self.assertEqual(self.d.parked(), [])
        found = self.settled()
        self.check_books()
        self.check_rules(workers, decided)
        lost = [f"{email}.{OWN[w.crm.name]}: {w.crm.name} said {value}, there is {found.get(email)}" for w in workers
                for email, value in w.own.items() if str(found.get(email, {}).get(OWN[w.crm.name])) != value]
        self.assertEqual(lost, [], "edits are lost\n" + "\n".join(
            str(c) for c in self.d.ctl_lines("conflicts", "--entity", "contact") if any(c["key"] == line.split(".org")[0] + ".org" for line in lost)))
        born = {email: name for w in workers for email, name in w.born.items()}
        self.assertEqual([e for e in born if found.get(e, {}).get("name") != born[e]], [], "somebody who was born is not there")
        back = [e for w in workers for e in w.dead if e in found]
        self.assertEqual(back, [], "somebody who was deleted is there\n" + "\n".join(
            str(line) for email in back for command in ("conflicts", "history")
            for line in self.d.ctl_lines(command, "--entity", "contact", "--key", email)))
        for email in self.emails:
            said = {f"A{int(email[1:email.index('@')]) % 5}"}.union(*(w.shared.get(email, ()) for w in workers + self.past))
            self.assertIn(found[email]["account"], said, f"nobody wrote this account of {email}")
        self.assert_quiet(goes_on=True)
        self.past += workers

    def runTest(self):
        pass


def main():
    parser = argparse.ArgumentParser(description="Work and blows on real servers, until the time is up.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=10)
    options = parser.parse_args()
    end, seed, passed, failed = time.monotonic() + options.minutes * 60, options.seed, 0, 0
    while time.monotonic() < end and not failed:
        soak = Soak()
        soak.setUp()
        try:
            soak.begin()
            for _ in range(20):     # then fresh servers: their logs would grow for ever
                if time.monotonic() >= end:
                    break
                print(f"seed {seed}: {soak.episode(seed, 15)}", flush=True)
                seed, passed = seed + 1, passed + 1
        except Exception as error:
            failed += 1
            print(f"seed {seed}: {soak.story}: {error}", flush=True)
            soak.place.print_logs(sys.stdout)
        finally:
            soak.doCleanups()
            soak.place.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
