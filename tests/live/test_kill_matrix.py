"""kill -9 at each step of what goes on by itself, under load: rounds, greetings, first contact, sweeps, held deletes."""
import random
import unittest

from case import ACCOUNT, CONTACT, ThreeCrms, needs_failpoints
from crm import eventually
from editors import Load
from killing import LONG, MOMENTS, TIMES, Killing

STEPS = ("recall", "lookup", "recall old", "read", "read keys", "owners", "follow", "forms", "stamps", "keys", "parents", "intend", "apply", "mark", "ack", "rest")


@needs_failpoints
class KillMatrix(Killing, Load):
    # The table grows, and thirty deletes are to be too many.
    entities = ACCOUNT + CONTACT.replace("  conflict:", "  limits: {mass_delete: 0.1%}\n  conflict:")
    rest = 0.005

    def die_releasing(self, place):
        """While deletes that were held are carried out by order."""
        def left():
            return self.billing.base.one("SELECT count(*) FROM payers WHERE mail LIKE 'x%'")

        def all_held():
            held = sum(s["deletes"] for s in self.d.ctl_lines("held", "list"))
            return held == left() > 0 or (False, f"{held} held, {left()} left")

        def release():
            for line in self.d.ctl_lines("held", "list"):
                self.d.try_ctl("held", "release", line["set"])
            return left() == 0

        def happening():
            self.sales.base.run("INSERT INTO crm.contacts (email, full_name) SELECT 'x' || n || '@example.org', 'To go' FROM generate_series(1, 30) n")
            eventually(lambda: left() == 30, "they are everywhere")
            self.arm(place)
            eventually(lambda: self.d.process.poll() is not None or self.d._answers() is True, "it answers")
            self.sales.base.run("DELETE FROM crm.contacts WHERE email LIKE 'x%'")
            eventually(all_held, "what is too much is held")
            name = self.d.ctl_lines("held", "list")[0]["set"]
            self.dies(place, ("held", "release", name))
            eventually(release, "they are released")
        return happening


def where_it_hurts_most(self):
    self.survive([self.die_at("round/intend/sent", 3), self.die_at("round/apply/sent", 5), self.die_at("round/mark/sent", 2),
                  self.die_at("round/ack/before", 4), self.die_at("epoch/beat/sent")], people=30)


def while_held_deletes_are_released(self):
    places = ["look/answered", "settle/before"]
    if LONG:
        places += ["order/before", "order/answered", "look/before"]
    self.survive([self.die_releasing(f"held/{place}") for _ in range(TIMES) for place in places], people=30)


def at_greetings_and_beats(self):
    self.survive([self.die_at(f"epoch/{step}/{moment}", 1 + n % 3) for n in range(TIMES) for step in ("greet", "intent", "beat", "acked")
                  for moment in MOMENTS])


def in_sweeps(self):
    places = [f"listing/{step}/{moment}" for step in ("rows", "vanished") for moment in MOMENTS]
    self.survive([self.die_at(place, 1, ("kick", "--sweep")) for _ in range(TIMES) for place in places])


def one_step(step):
    def test(self):
        dice = random.Random(step)
        self.survive([self.die_at(f"round/{step}/{moment}", dice.randrange(1, 8)) for _ in range(30) for moment in MOMENTS])
    return test


@needs_failpoints
class FirstContact(ThreeCrms):
    """Each time from the beginning: Redis knows nothing."""
    slow = True

    def killed_at(self, places):
        self.populate(self.sales, people=300)
        self.d = self.daemon(self.topology(more="limits:\n  batch_rows: 100"), run=False)
        for n, (place, times) in enumerate(places):
            self.redis.call("FLUSHALL")
            self.d.environment["CRMSYNCD_FAILPOINTS"] = f"{place}:{times}"
            self.d.start(answers=False)
            self.assertEqual(self.d.finish(), -9, place)
            self.sales.edit(f"p{n % 300}@example.org", name=f"Edit {n}")
        del self.d.environment["CRMSYNCD_FAILPOINTS"]
        self.d.start()
        people = self.settled()
        self.assertEqual(len(people), 300)
        for n in range(max(0, len(places) - 300), len(places)):
            self.assertEqual(people[f"p{n % 300}@example.org"]["name"], f"Edit {n}")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()


def at_first_contact(self):
    if LONG:
        places = [(f"listing/{step}/{moment}", 1 + n % most) for n in range(30) for step, most in (("rows", 6), ("mark", 4)) for moment in MOMENTS]
    else:
        places = [("listing/rows/answered", 4), ("listing/mark/sent", 2), ("listing/mark/answered", 4)]
    self.killed_at(places)


FirstContact.test_killed_at_first_contact_nothing_is_lost = at_first_contact
KillMatrix.test_f29_killed_while_held_deletes_are_released_nothing_is_lost = while_held_deletes_are_released
if LONG:
    for _step in STEPS:
        setattr(KillMatrix, f"test_f29_killed_at_{_step.replace(' ', '_')}_nothing_is_lost", one_step(_step))
    KillMatrix.test_f29_killed_at_greetings_and_beats_nothing_is_lost = at_greetings_and_beats
    KillMatrix.test_f29_killed_in_sweeps_nothing_is_lost = in_sweeps
else:
    KillMatrix.test_f29_killed_where_it_hurts_most_nothing_is_lost = where_it_hurts_most

if __name__ == "__main__":
    unittest.main()
