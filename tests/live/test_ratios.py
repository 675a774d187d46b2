"""The ratios say what a script knows that did it: a side was stopped, the daemon was killed, a row was locked (SEMANTICS 10)."""
import datetime
import os
import signal
import subprocess
import time
import unittest

from case import Pair, alone
from crm import Cluster, eventually, topology

LONG = bool(os.environ.get("CRM_LONG"))
# Seconds: b is away, the daemon is gone, the row is locked, nothing happens before and after each.
AWAY, GONE, LOCKED, QUIET = (30, 20, 15, 13) if LONG else (2, 3.5, 1.5, 1)
LOST = 3        # by a kill -9: what was not kept yet, and what was not proven
NOBODY = "no other endpoint is listened to, so nobody knows what this one lacks"
HELLO = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'crmsync' AND state = 'idle'"


def moment(text):
    return datetime.datetime.fromisoformat(text).timestamp()


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


class AwayKilledLocked(Pair):
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

    def link(self, endpoint="b"):
        return next(link for link in self.d.entity("thing")["links"] if link["endpoint"] == endpoint)

    def stop_b(self):
        self.cluster.stop()
        self.up.book("good")
        self.edit("while b was away")
        time.sleep(AWAY)
        other = self.link("a")
        self.assertEqual((other["state"], other["reason"]), ("unknown", NOBODY), "nobody knows what a lacks while b is away")
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
        self.assertAlmostEqual(seconds[bad], known.spent["bad"], delta=1, msg=words)
        self.assertLessEqual(seconds[good], known.spent["good"] + 0.5, words)
        self.assertGreaterEqual(seconds[good], known.spent["good"] - LOST, words)
        self.assertGreaterEqual(seconds["unknown"], GONE, words)
        self.assertLessEqual(seconds["unknown"], known.spent["unknown"] + LOST, words)
        if LONG:        # in which the seconds that are lost do not weigh much
            self.assertAlmostEqual(told["ratio"], known.ratio("good", "bad"), delta=0.02, msg=words)
        self.assertAlmostEqual(told["coverage"], known.share("good", "bad"), delta=LOST / whole, msg=words)
        self.assertAlmostEqual(told["lower"], known.share("good"), delta=LOST / whole, msg=words)
        self.assertAlmostEqual(told["upper"], known.share("good", "unknown"), delta=LOST / whole, msg=words)
        self.assertAlmostEqual(sum(seconds.values()), whole, delta=2, msg=words)
        self.assertEqual({**told, "windows": None, "since": None, "minutes": None}, {**told["windows"]["24h"], "windows": None, "since": None, "minutes": None})

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
        self.assertAlmostEqual(moment(self.link()["consistency"]["since"]), moment(since), delta=0.1, msg="counted since the first start")


@unittest.skipUnless(LONG, "it takes as long as an answer is waited for")
class Silent(Pair):
    """b's server says nothing: all of its processes are stopped."""
    name = "silent"

    def setUp(self):
        super().setUp()
        self.cluster = Cluster(self.place)
        self.b.close()
        self.b = self.database("silent_b", self.b_sql, self.cluster)

    def signal_all(self, number):
        for pid in self.pids:
            os.kill(pid, number)

    def test_a_side_that_says_nothing_is_down_and_was_from_its_last_answer_on(self):
        self.begin()
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.cluster.process.pid)], capture_output=True, text=True, check=True)
        self.pids = [self.cluster.process.pid, *map(int, children.stdout.split())]
        self.signal_all(signal.SIGSTOP)
        silent = time.monotonic()
        try:
            eventually(lambda: self.d.endpoint("b")["state"] == "down", "it is noticed", 40)
            noticed = time.monotonic() - silent
            told = self.d.endpoint("b")["availability"]["down_seconds"]
            self.assertIn("not connected after", self.d.endpoint("b")["reason"])
        finally:
            self.signal_all(signal.SIGCONT)
        self.assertGreater(noticed, 4, "an answer is waited for")
        self.assertAlmostEqual(told, noticed, delta=1.5)


class Lag(Pair):
    """Two rows are locked at b, each by somebody else."""
    name = "lag"
    b_capture = {"capture": "listen", "interval": "1s", "sweep": "1h", "lock_timeout": "100ms"}

    def link(self):
        return next(link for link in self.d.entity("thing")["links"] if link["endpoint"] == "b")

    def edit(self, k):
        self.a.run("UPDATE things SET name = 'new' WHERE k = $1", k)
        return time.monotonic()

    def locked(self, k):
        session = self.b.connect()
        self.addCleanup(session.close)
        session.run(f"BEGIN; SELECT FROM things WHERE k = '{k}' FOR UPDATE")
        return session

    def assert_lag(self, since, what):
        age = time.monotonic() - since
        self.assertAlmostEqual(self.link()["lag_seconds"], age, delta=0.5, msg=what)

    @alone
    def test_the_lag_is_the_age_of_the_oldest_change_that_is_still_owed(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'old'), ('k2', 'old')")
        self.begin()
        first, second = self.locked("k1"), self.locked("k2")
        edited = self.edit("k1")
        eventually(lambda: self.link()["lag_seconds"] > 1.5, "it is behind")
        self.assert_lag(edited, "of the only one")
        later = self.edit("k2")
        eventually(lambda: self.link()["owed"] == 2, "both are owed")
        self.assert_lag(edited, "of the older one")
        first.run("COMMIT")
        eventually(lambda: self.b.one("SELECT name FROM things WHERE k = 'k1'") == "new", "the first one has arrived")
        eventually(lambda: self.link()["owed"] == 1, "and is owed no more")
        self.assert_lag(later, "of the one that is left")
        self.d.restart()
        eventually(lambda: self.link()["owed"] == 1, "it is owed after a restart")
        self.assert_lag(later, "since it was made, not since the restart")
        second.run("COMMIT")
        self.settled()
        self.assertEqual(self.link()["lag_seconds"], 0)


class NotCounted(Pair):
    name = "not_counted"

    def availability(self):
        return self.d.endpoint("b")["availability"]

    def test_what_is_paused_is_neither_up_nor_down_and_nobody_knows_what_was_while_the_daemon_slept(self):
        self.a.run("INSERT INTO things (k) SELECT 'k' || n FROM generate_series(1, 100) n")
        self.begin()
        metrics = self.d.metrics()
        rate, throughput = (metrics[f'crmsyncd_{name}_bytes_per_second{{endpoint="b"}}'] for name in ("data_rate", "throughput"))
        self.assertGreater(rate, 0)
        self.assertGreater(throughput, rate, "it has not worked for the whole minute")
        self.d.ctl("pause", "b")
        began = time.monotonic()
        eventually(lambda: self.availability()["paused_seconds"] > 1, "a second was paused")
        self.d.ctl("resume", "b")
        paused = time.monotonic() - began
        eventually(lambda: self.d.endpoint("b")["state"] == "up", "b is up again")
        before = self.availability()
        self.assertEqual(before["ratio"], 1)
        self.assertLessEqual(before["paused_seconds"], paused + 0.5)
        self.d.process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        self.d.process.send_signal(signal.SIGCONT)
        eventually(lambda: self.availability()["unknown_seconds"] >= before["unknown_seconds"] + 2.4, "it slept")
        after = self.availability()
        self.assertLess(after["up_seconds"] - before["up_seconds"], 2)
        self.assertEqual(after["down_seconds"], 0)
        self.d.ctl("reload")
        reloaded = self.availability()
        self.assertAlmostEqual(moment(reloaded["since"]), moment(after["since"]), delta=0.1, msg="a new topology goes on counting")
        self.assertGreaterEqual(reloaded["up_seconds"], after["up_seconds"])


class BeforeItIsHeard(Pair):
    """An edit at a, which is asked every three seconds."""
    name = "heard"

    def begin(self):
        sides = {"a": {"connection": self.a.conninfo, "capture": "poll", "interval": "3s"}, "b": {"connection": self.b.conninfo}}
        self.d = self.daemon(topology(self.redis, sides, self.entities))
        self.d.wait()

    def consistency(self):
        return self.d.entity("thing")["links"][1]["consistency"]

    def test_a_link_was_behind_from_the_commit_of_the_edit_and_not_from_when_it_was_noticed(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('k', 'old')")
        self.begin()
        asked = self.d.endpoint("a")["last_capture"]
        eventually(lambda: self.d.endpoint("a")["last_capture"] != asked, "a was asked: it is not for three seconds")
        before = self.consistency()["inconsistent_seconds"]
        self.a.run("UPDATE things SET name = 'new', changed = clock_timestamp()")
        edited = time.monotonic()
        eventually(lambda: self.b.one("SELECT name FROM things") == "new", "b has it")
        behind = time.monotonic() - edited
        self.assertGreater(behind, 1)
        # It is settled as far as all sources have been asked: the rest of it comes when b is asked the next time.
        eventually(lambda: abs((seen := self.consistency()["inconsistent_seconds"] - before) - behind) < 0.5 or (False, f"{seen} of {behind} s"),
                   "all of that is booked")
