"""The daemon's own state is backed up while it works, everything but the file is lost, and it is put back."""
import json
import os
import resource
import shutil
import signal
import threading
import unittest

from case import Pair, ThreeCrms, needs_failpoints
from crm import eventually


class Backup(ThreeCrms):
    @property
    def file(self):
        return str(self.place.path / "state.backup")

    def backup(self):
        [told] = self.d.ctl_lines("backup", self.file)
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        self.assertEqual(told["bytes"], os.stat(self.file).st_size)
        return told

    def restore(self, *more, code=0):
        ran = self.d.try_ctl("--json", "-c", str(self.d.file), "restore", self.file, *more)
        self.assertEqual(ran.returncode, code, ran.stdout + ran.stderr)
        told = json.loads(ran.stdout)
        self.assertEqual(told["error"]["exit"] if code else told["restored"], code or True)
        return ran

    def restore_killed(self, place):
        os.environ["CRMSYNCD_FAILPOINTS"] = place
        try:
            self.restore(code=2)
        finally:
            del os.environ["CRMSYNCD_FAILPOINTS"]
        self.end_lease()

    def lose_everything(self):
        """But the databases and the file."""
        self.d.kill()
        self.redis.call("FLUSHALL")
        shutil.rmtree(self.d.directory / "journal")

    def end_lease(self):
        """Nobody waits for the end of a lease whose holder is gone."""
        self.redis.call("HSET", "crmsync:acme:lease", "until", "0")

    def recognised(self, *names):
        def told():
            return all("the state was restored from a backup" in (self.d.endpoint(n)["recognised"] or "") for n in names)

        eventually(told, "status says that the state was restored")

    def begin(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        self.sales.edit("p1@example.org", name="Before")
        return self.settled()

    def test_nothing_is_lost_or_deleted_when_all_but_the_backup_is_lost(self):
        self.begin()
        told = self.backup()
        self.assertEqual(told["records"], 25)
        # In step since, and acknowledged: no change log tells of it any more.
        self.sales.edit("p2@example.org", name="Since")
        self.billing.edit("p3@example.org", score=333)
        self.support.remove("p4@example.org")
        self.sales.remove("p5@example.org")
        self.sales.add("since@example.org", name="New since", account="A1")
        self.d.ctl("kick", "--sweep")
        eventually(lambda: "p4@example.org" not in self.sales.people(), "a sweep has found what is gone")
        self.settled()
        self.lose_everything()
        # Nobody has seen these; of one record different fields, at sides with and without a time of change.
        self.sales.edit("p6@example.org", phone="+6")
        self.billing.edit("p6@example.org", score=666)
        self.support.edit("p6@example.org", name="Six")
        self.billing.edit("p2@example.org", phone="+2")
        self.support.remove("p7@example.org")
        self.billing.add("after@example.org", name="New after", account="A2")
        self.restore()
        self.d.start()
        self.recognised("sales", "support", "billing")
        people = self.settled()
        self.assertEqual((people["p1@example.org"]["name"], people["p3@example.org"]["score"]), ("Before", 333))
        self.assertEqual((people["p2@example.org"]["name"], people["p2@example.org"]["phone"]), ("Since", "+2"))
        self.assertEqual(people["p6@example.org"], {"name": "Six", "phone": "+6", "score": 666, "account": "A1"})
        self.assertTrue({"since@example.org", "after@example.org", "p7@example.org"} <= set(people), people)
        self.assertFalse({"p4@example.org", "p5@example.org"} & set(people), "what was deleted everywhere stays so")
        self.assertEqual(self.d.parked(), [])
        # The journal of before: what we wrote over then is known, and can be put back.
        self.assertIn("Person 1", self.d.ctl("history", "--entity", "contact", "--key", "p1@example.org"))
        self.d.ctl("undo", "--entity", "contact", "--key", "p1@example.org")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Person 1")
        self.sales.remove("p8@example.org")
        self.assertNotIn("p8@example.org", self.settled(), "it counts as usual from here on")
        self.assert_quiet()

    def test_a_restore_touches_nothing_that_it_would_harm(self):
        self.begin()
        self.backup()
        for said in (self.restore("--replace", code=75).stdout, self.d.try_ctl("-c", str(self.d.file), "restore", self.file).stderr):
            self.assertIn("Stop it first", said)
        self.d.stop()
        before = self.redis.call("HGETALL", "crmsync:acme:meta"), sorted(self.redis.call("KEYS", "*"))
        self.assertIn("is not empty: it knows 25 records", self.restore(code=78).stderr)
        mine = self.d.file.read_text()
        self.d.write(mine.replace("score: {type: integer}", "score: {type: decimal}"))
        self.assertIn("field contact.score integer", self.restore("--replace", code=78).stderr)
        self.d.write(mine + "nonsense: true\n")
        self.assertIn("nonsense", self.restore("--replace", code=78).stderr)
        self.d.write(mine)
        whole = self.place.path / "whole"
        shutil.copy(self.file, whole)
        with open(self.file, "r+b") as f:
            f.truncate(os.stat(self.file).st_size - 1)
        self.assertIn("is not complete", self.restore("--replace", code=78).stderr)
        self.assertEqual(before, (self.redis.call("HGETALL", "crmsync:acme:meta"), sorted(self.redis.call("KEYS", "*"))), "nothing was touched")
        self.assertEqual([p.name for p in (self.d.directory / "journal").iterdir() if "journal.db." in p.name], [])
        shutil.move(whole, self.file)
        self.end_lease()
        self.restore("--replace")
        self.assertEqual(len(list((self.d.directory / "journal").glob("journal.db.before-*"))), 1, "the journal of before is kept")
        self.d.start()
        self.recognised("sales", "support", "billing")
        self.settled()

    @needs_failpoints
    def test_half_a_restore_is_never_believed(self):
        self.begin()
        self.backup()
        self.lose_everything()
        self.sales.edit("p6@example.org", phone="+6")
        self.support.edit("p6@example.org", name="Six")
        for place in ("size/answered", "fill/answered:2", "count/answered", "positions/answered", "journal/answered"):
            self.restore_killed(f"restore/{place}")
            self.assertEqual(self.d.run_once(), 78, f"the daemon does not start after {place}")
            self.assertIn("Run crmsyncctl restore again", self.d.log)
            self.end_lease()
        self.restore_killed("restore/finish/answered")      # all of it is there
        self.d.start()
        people = self.settled()
        self.assertEqual((people["p6@example.org"]["phone"], people["p6@example.org"]["name"]), ("+6", "Six"))
        self.assertIn("Person 1", self.d.ctl("history", "--entity", "contact", "--key", "p1@example.org"))

    def test_a_backup_that_breaks_off_is_no_file(self):
        self.begin()
        self.d.process.send_signal(signal.SIGSTOP)
        ran = self.d.try_ctl("--timeout", "500ms", "backup", self.file)
        self.d.process.send_signal(signal.SIGCONT)
        self.assertEqual(ran.returncode, 75, ran.stderr)
        self.assertEqual(list(self.place.path.glob("state.backup*")), [])
        eventually(lambda: self.d.try_ctl("backup", self.file).returncode == 0, "another one can be made")

    def test_one_that_finds_no_room_for_the_journal_says_so(self):
        self.begin()
        limit = resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))     # as good as a full disk
        ran = self.d.try_ctl("--json", "backup", self.file)
        self.assertEqual(ran.returncode, 75, ran.stderr)
        self.assertRegex(ran.stderr, "state.backup was broken off: copying the journal: .*journal.db.copy: no space left")
        self.assertEqual(json.loads(ran.stdout)["error"]["code"], "broken-off")
        self.assertEqual(list(self.place.path.glob("state.backup*")), [])
        resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE, limit)
        self.backup()

    def test_it_takes_the_place_of_a_file_and_of_nothing_else(self):
        self.begin()
        there = self.place.path / "there"
        there.mkdir()
        (there / "file").write_text("before")
        (there / "link").symlink_to("file")
        os.mkfifo(there / "fifo")
        (there / "directory").mkdir()
        before = {p.name: os.lstat(p) for p in there.iterdir()}
        for name, words in {"link": "a symbolic link", "fifo": "a fifo", "directory": "a directory"}.items():
            for order in (("backup",), ("verify", "--html")):
                ran = self.d.try_ctl(*order, str(there / name))
                self.assertEqual(ran.returncode, 2, ran.stdout + ran.stderr)
                self.assertIn(f"{name} is {words} and stays that", ran.stderr)
        self.assertEqual({p.name: os.lstat(p) for p in there.iterdir()}, before)
        self.d.ctl("backup", str(there / "file"))
        self.assertNotEqual((there / "file").stat().st_size, len("before"))

    def test_whoever_leaves_a_backup_while_redis_is_asked_leaves_nothing_behind(self):
        self.begin()
        self.redis.process.send_signal(signal.SIGSTOP)
        ran = []
        asking = threading.Thread(target=lambda: ran.append(self.d.try_ctl("--timeout", "2s", "backup", self.file)))
        asking.start()
        [job] = eventually(lambda: self.d.status()["jobs"], "status tells of it")
        self.assertEqual([job[n] for n in ("kind", "entity", "asked_by", "phase", "unit", "expected")],
                         ["backup", None, "operator", "vectors", "records", 25])
        asking.join()
        eventually(lambda: "backup broken off" in self.d.log, "the daemon has seen that nobody is there")
        self.assertEqual(self.d.status()["jobs"], [])
        self.redis.process.send_signal(signal.SIGCONT)
        self.assertEqual(ran[0].returncode, 75, ran[0].stderr)
        eventually(lambda: self.d.try_ctl("backup", self.file).returncode == 0, "another one can be made")


SUMS = """
thing:
  key: [k]
  fields:
    k: {type: text}
    name: {type: text}
    amount: {type: decimal}
  conflict: {rule: last-writer-wins, fields: {amount: add}}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""


class Sums(Pair):
    name = "backup"
    entities = SUMS

    def test_an_amount_is_not_added_a_second_time_after_a_restore(self):
        self.a.run("INSERT INTO things (k, amount) VALUES ('x', 10), ('y', 1), ('z', 1)")
        self.begin()
        file = str(self.place.path / "state.backup")
        self.d.ctl("backup", file)
        self.a.run("UPDATE things SET amount = amount + 5 WHERE k = 'x'")
        self.d.wait()
        self.b.run("UPDATE things SET amount = amount + 3 WHERE k = 'x'")
        self.d.wait()
        self.d.kill()
        self.redis.call("FLUSHALL")
        self.b.run("UPDATE things SET amount = amount + 1 WHERE k = 'y'")
        self.d.ctl("-c", str(self.d.file), "restore", file, "--replace")
        self.d.start()
        self.assertEqual(self.settled("k, amount::text"), [("x", "18"), ("y", "2"), ("z", "1")])


class Deleted(Pair):
    name = "backup_deleted"

    def test_f22_a_delete_of_which_the_change_log_still_tells_is_carried_out_after_a_restore(self):
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || i, 'first' FROM generate_series(1, 12) AS i")
        self.begin()
        file = str(self.place.path / "state.backup")
        self.d.ctl("backup", file)
        self.d.stop()
        self.redis.call("FLUSHALL")
        shutil.rmtree(self.d.directory / "journal")
        self.a.run("DELETE FROM things WHERE k IN ('k1', 'k2', 'k3', 'k4')")
        self.b.run("DELETE FROM things WHERE k = 'k5'")
        self.a.run("DELETE FROM things WHERE k = 'k6'")
        self.a.run("DELETE FROM crmsync.changelog WHERE pk #>> '{}' = '6'")
        self.b.run("UPDATE things SET name = 'edited', changed = clock_timestamp() WHERE k = 'k3'")
        self.a.run("INSERT INTO things (k, name) VALUES ('k4', 'again')")
        self.d.ctl("-c", str(self.d.file), "restore", file)
        self.d.start()
        self.assertEqual(self.settled("k, name"), [
            ("k10", "first"), ("k11", "first"), ("k12", "first"), ("k3", "edited"), ("k4", "again"), ("k6", "first"), ("k7", "first"),
            ("k8", "first"), ("k9", "first")], "nothing tells that k6 was deleted")
