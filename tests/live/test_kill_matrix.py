"""kill -9 at each step of a round, under load; in builds with failure points (configure --enable-failpoints)."""
import os
import random
import unittest

from crm import eventually, has_failpoints
from editors import Load

STEPS = ("recall", "lookup", "recall old", "read", "read keys", "owners", "stamps", "keys", "parents", "intend", "apply", "mark", "ack")
MOMENTS = ("before", "sent", "answered")
LONG = bool(os.environ.get("CRM_LONG"))


class KillMatrix(Load):
    def die_at(self, step, moment, times):
        """The daemon ends by itself at that place, and is started again as usual."""
        place = f"round/{step}/{moment}"

        def happening():
            self.d.stop()
            self.d.environment["CRMSYNCD_FAILPOINTS"] = f"{place}:{times}"
            self.d.start(answers=False)
            del self.d.environment["CRMSYNCD_FAILPOINTS"]
            eventually(lambda: self.d.process.poll() is not None, f"the daemon comes to {place}")
            self.assertEqual(self.d.finish(), -9)
            self.d.start()
        return happening


def every_step(self):
    dice = random.Random(11)
    self.survive([self.die_at(step, dice.choice(MOMENTS), dice.randrange(1, 8)) for step in STEPS], people=30)


def one_step(step):
    def test(self):
        dice = random.Random(step)
        self.survive([self.die_at(step, moment, dice.randrange(1, 8)) for _ in range(30) for moment in MOMENTS])
    return test


if has_failpoints() and LONG:
    for _step in STEPS:
        setattr(KillMatrix, f"test_killed_at_{_step.replace(' ', '_')}_nothing_is_lost", one_step(_step))
elif has_failpoints():
    KillMatrix.test_killed_at_each_step_of_a_round_nothing_is_lost = every_step

if __name__ == "__main__":
    unittest.main()
