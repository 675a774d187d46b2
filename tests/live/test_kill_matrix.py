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


def some_steps(self):
    self.survive([self.die_at("intend", "sent", 3), self.die_at("apply", "sent", 5), self.die_at("mark", "sent", 2),
                  self.die_at("ack", "before", 4)], people=30)


def one_step(step):
    def test(self):
        dice = random.Random(step)
        self.survive([self.die_at(step, moment, dice.randrange(1, 8)) for _ in range(30) for moment in MOMENTS])
    return test


if has_failpoints() and LONG:
    for _step in STEPS:
        setattr(KillMatrix, f"test_f29_killed_at_{_step.replace(' ', '_')}_nothing_is_lost", one_step(_step))
elif has_failpoints():
    KillMatrix.test_f29_killed_where_it_hurts_most_nothing_is_lost = some_steps

if __name__ == "__main__":
    unittest.main()
