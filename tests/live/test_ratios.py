"""The ratios say what a script knows that did it: a side was stopped, the daemon was killed, a row was locked (SEMANTICS 10)."""
import os
import time

from case import Pair, alone
from crm import Cluster, eventually, topology

LONG = bool(os.environ.get("CRM_LONG"))
# Seconds: b is away, the daemon is gone, the row is locked, nothing happens before and after each.
AWAY, GONE, LOCKED, QUIET = (30, 20, 15, 13) if LONG else (3, 2, 2, 1)
LOST = 3        # by a kill -9: what was not kept yet, and what was not proven
HELLO = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'crmsync' AND state = 'idle'"


class Watch:
    """How long it was so, by the clock of the script."""

    def __init__(self):
        self.spent, self.now = {}, time.monotonic()

    def book(self, what):
        began, self.now = self.now, time.monotonic()
        self.spent[what] = self.spent.get(what, 0) + self.now - began

    def share(self, *what):
        return sum(self.spent.get(w, 0) for w in what) / sum(self.spent.values())

    def ratio(self, good, bad):
        return self.spent[good] / (self.spent[good] + self.spent[bad])


class Ratios(Pair):
    name = "ratios"

    def setUp(self):
        super().setUp()
        self.cluster = Cluster(self.place)
        self.b.close()
        self.b = self.database("ratios_b", self.b_sql, self.cluster)
        self.a.run("INSERT INTO things (k, name) VALUES ('k', 'first')")

    def edit(self, text):
        self.a.run("UPDATE things SET name = $1 WHERE k = 'k'", text)
        self.same.book("good")

    def arrives(self, text):
        eventually(lambda: self.b.one("SELECT name FROM things WHERE k = 'k'") == text, f"b has {text}")
        self.same.book("bad")

    def link(self):
        return next(link for link in self.d.entity("thing")["links"] if link["endpoint"] == "b")

    def stop_b(self):
        self.cluster.stop()
        self.up.book("good")
        self.edit("while b was away")
        time.sleep(AWAY)
        self.cluster.start()
        eventually(lambda: self.cluster.admin.run(HELLO)[0][0] > 0, "the daemon has come again")
        self.up.book("bad")
        self.arrives("while b was away")

    def kill(self):
        before = self.d.metrics()
        self.d.kill()
        self.up.book("good")
        self.same.book("good")
        time.sleep(GONE)
        self.d.start()
        eventually(lambda: self.d.endpoint("b")["state"] == "up", "b was met")
        self.up.book("unknown")
        eventually(lambda: self.link()["state"] == "consistent", "and compared: what the killed one held has run out")
        self.same.book("unknown")
        after = self.d.metrics()
        back = [name for name in before if "_seconds_total{" in name and after[name] < before[name]]
        self.assertEqual(back, [], "a counter of time went back")

    def lock(self):
        with self.b.connect() as session:
            session.run("BEGIN; SELECT FROM things WHERE k = 'k' FOR UPDATE")
            self.edit("while it was locked")
            time.sleep(LOCKED)
            self.assertEqual(self.link()["state"], "inconsistent")
            self.assertGreater(self.link()["lag_seconds"], LOCKED - 1)
            session.run("COMMIT")
        self.arrives("while it was locked")

    def assert_told(self, told, known, good, bad):
        """The daemon says what the script knows; and what it says is good was."""
        seconds = {what: told[f"{what}_seconds"] for what in (good, bad, "unknown", "paused")}
        words = f"told {told}, known {known.spent}"
        whole = sum(known.spent.values())
        for what, part in ((good, "good"), (bad, "bad"), ("unknown", "unknown")):
            self.assertAlmostEqual(seconds[what], known.spent[part], delta=LOST, msg=f"{what}: {words}")
        if LONG:        # in which the seconds that are lost do not weigh much
            self.assertAlmostEqual(told["ratio"], known.ratio("good", "bad"), delta=0.02, msg=words)
        self.assertAlmostEqual(told["coverage"], known.share("good", "bad"), delta=LOST / whole, msg=words)
        self.assertAlmostEqual(told["lower"], known.share("good"), delta=LOST / whole, msg=words)
        self.assertAlmostEqual(told["upper"], known.share("good", "unknown"), delta=LOST / whole, msg=words)
        self.assertGreaterEqual(seconds["unknown"], GONE, words)
        self.assertLessEqual(seconds[good], known.spent["good"] + 0.5, words)
        self.assertAlmostEqual(sum(seconds.values()), whole, delta=2, msg=words)
        self.assertEqual({**told, "windows": None, "since": None}, {**told["windows"]["24h"], "windows": None, "since": None})

    @alone
    def test_what_was_away_killed_and_locked_is_told_as_long_as_it_was(self):
        self.begin()
        since, self.up, self.same = self.link()["consistency"]["since"], Watch(), Watch()
        for step in (self.stop_b, self.kill, self.lock):
            time.sleep(QUIET)
            step()
        time.sleep(QUIET)
        self.up.book("good")
        self.same.book("good")
        eventually(lambda: self.link()["consistency"]["consistent_seconds"] > 0, "what was good is settled")
        self.assert_told(self.d.endpoint("b")["availability"], self.up, "up", "down")
        self.assert_told(self.link()["consistency"], self.same, "consistent", "inconsistent")
        self.assertEqual(self.link()["consistency"]["since"][:19], since[:19], "counted since the first start")
