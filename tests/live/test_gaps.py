"""What people do while the change log misses it is found all the same, before anybody is told that all is in step."""
import signal

from case import Pair, needs_failpoints
from crm import eventually, topology

TRIGGER = "(SELECT tgname FROM pg_trigger WHERE tgname LIKE 'crmsync%u')"
DROP = f"DO $$ BEGIN EXECUTE 'DROP TRIGGER ' || {TRIGGER} || ' ON things'; END $$"


class Gaps(Pair):
    """No sweep is due by itself."""
    a_capture = b_capture = {"capture": "listen", "interval": "1s", "sweep": "0s"}

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || n, 'n' FROM generate_series(1, 20) n")

    def edit_unseen(self, n):
        self.b.run(f"UPDATE things SET name = 'unseen' WHERE k = 'k{n}'; DELETE FROM things WHERE k = 'k{n + 10}'")

    def assert_found(self, n):
        """All of it, and nobody was told before that all is in step."""
        rows = dict(self.settled("k, name"))
        self.assertEqual((rows[f"k{n}"], rows.get(f"k{n + 10}")), ("unseen", None))

    def sweeps(self):
        return self.d.log.count("sweep begins")

    def test_what_a_change_log_missed_is_found_before_wait_is_over(self):
        self.begin()
        self.d.ctl("uninstall", "b")
        self.edit_unseen(1)
        self.d.ctl("install", "b")
        self.assert_found(1)
        self.b.run("ALTER TABLE things DISABLE TRIGGER ALL")
        self.edit_unseen(2)
        self.b.run("ALTER TABLE things ENABLE TRIGGER ALL")
        self.assert_found(2)
        self.b.run("DROP TABLE crmsync.changelog")
        self.edit_unseen(3)
        eventually(lambda: self.b.one("SELECT to_regclass('crmsync.changelog')"), "it is made anew")
        self.assert_found(3)
        self.d.ctl("pause", "thing")
        self.edit_unseen(4)
        self.b.run("TRUNCATE crmsync.changelog")
        self.d.ctl("resume", "thing")
        self.assert_found(4)
        done = self.sweeps()
        self.d.restart()
        self.settled()
        self.assertEqual(self.sweeps(), done, "once is enough")

    @needs_failpoints
    def test_what_was_missed_while_the_daemon_was_down_is_found_also_when_it_is_killed_in_the_midst(self):
        self.begin()
        self.d.stop()
        self.b.run(DROP)
        self.edit_unseen(1)
        self.d.environment["CRMSYNCD_FAILPOINTS"] = "listing/rows/answered:1"
        self.d.start(answers=False)
        self.assertEqual(self.d.finish(), -signal.SIGKILL)
        del self.d.environment["CRMSYNCD_FAILPOINTS"]
        self.d.start()
        self.assert_found(1)

    def test_a_table_that_was_polled_is_compared_when_it_is_listened_to(self):
        self.b_capture = {"capture": "poll", "interval": "1h", "sweep": "0s"}
        self.begin()
        self.edit_unseen(1)
        self.b_capture = self.a_capture
        sides = {"a": {"connection": self.a.conninfo, **self.a_capture}, "b": {"connection": self.b.conninfo, **self.b_capture}}
        self.d.write(topology(self.redis, sides, self.entities))
        self.d.ctl("reload")
        self.assert_found(1)
