"""A verification that was interrupted goes on where it was."""
import json
import os
import threading
import unittest

from case import THING, Pair, behind_our_back, needs_failpoints
from crm import eventually

LONG = bool(os.environ.get("CRM_LONG"))


class Resume(Pair):
    name = "resume"
    rows = 3000

    def fill(self):
        self.a.run(f"INSERT INTO things (k, name) SELECT 'k' || i, 'name ' || i FROM generate_series(1, {self.rows}) i")
        self.begin("limits:\n  batch_rows: 100")

    def left(self):
        return sorted(p.name for p in (self.d.directory / "journal").glob("verify-*"))

    def killed(self, nth, *words):
        """By kill -9, when so many ranges had been read."""
        self.d.stop()
        self.d.environment["CRMSYNCD_FAILPOINTS"] = f"verify/range/done:{nth}"
        try:
            self.d.start()
            self.d.wait()
            if words:
                self.d.try_ctl("verify", *words)
            eventually(lambda: self.d.process.poll() is not None, "it was killed")
        finally:
            del self.d.environment["CRMSYNCD_FAILPOINTS"]
        self.assertEqual(self.left(), ["verify-thing", "verify-thing.census"])

    def change_the_first_row(self):
        """What was read before is not read again: it goes unnoticed, until the next verification."""
        behind_our_back(self.b, "UPDATE things SET name = 'changed', changed = '2001-01-01' WHERE id = (SELECT min(id) FROM things)")

    def ask(self, *words):
        """The sum. Who has just taken over is put off for a moment."""
        ran = eventually(lambda: (r := self.d.try_ctl("verify", "thing", "--json", *words)).returncode not in (69, 75) and r, "it is verified")
        return json.loads(ran.stdout.splitlines()[-1])

    def goes_on(self, *words, rows=3000):
        total = self.ask(*words)
        self.assertTrue(total["entities"][0]["resumed"])
        self.assertEqual((total["compared"], total["matching"]), (rows, rows))
        self.assertEqual(self.left(), [])
        self.assertEqual(self.ask(*words)["different"], 1)

    @needs_failpoints
    def test_rows_after_kill_9(self):
        self.fill()
        self.killed(40, "thing")
        self.change_the_first_row()
        self.d.start()
        self.d.wait()
        self.goes_on()

    @needs_failpoints
    def test_ranges_after_kill_9(self):
        self.fill()
        self.killed(1, "thing", "--depth", "ranges")
        self.d.start()
        self.d.wait()
        total = self.ask("--depth", "ranges")
        self.assertEqual((total["matching"], total["bytes"], total["entities"][0]["resumed"]), (3000, 0, True))

    def test_an_endpoint_that_went_away(self):
        self.rows = 8000
        self.fill()
        ended = []
        worker = threading.Thread(target=lambda: ended.append(self.d.try_ctl("verify", "thing").returncode))
        worker.start()
        eventually(lambda: "verify-thing" in self.left(), "it has read something")
        self.d.ctl("pause", "b")
        worker.join()
        self.assertEqual(ended, [75])
        self.d.ctl("resume", "b")
        self.d.wait()
        self.change_the_first_row()
        self.goes_on(rows=8000)

    @needs_failpoints
    def test_under_another_topology_it_begins_anew(self):
        self.fill()
        self.killed(40, "thing")
        self.d.file.write_text(self.d.file.read_text().replace("k: {type: text}", "k: {type: text, clean: [trim]}"))
        self.d.start()
        self.d.wait()
        total = self.ask()
        self.assertEqual((total["entities"][0]["resumed"], total["matching"]), (False, 3000))

    @needs_failpoints
    @unittest.skipUnless(LONG, "the first one by the clock begins after a minute")
    def test_by_the_clock(self):
        self.entities = THING.replace("  key:", "  verify: 1m\n  key:")
        self.fill()
        self.killed(40)
        self.change_the_first_row()
        self.d.start()
        eventually(lambda: "endpoints verified entity=thing compared=3000" in self.d.log, "it has gone on by itself, and at once", patience=30)
        self.assertIn("a verification that was interrupted goes on", self.d.log)


if __name__ == "__main__":
    unittest.main()
