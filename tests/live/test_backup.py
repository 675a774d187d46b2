"""The daemon's own state is backed up while it works, everything but the file is lost, and it is put back."""
import os
import shutil
import signal
import unittest

from case import ThreeCrms
from crm import eventually, has_failpoints, subprocess


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
        return ran

    def lose_everything(self):
        """But the databases and the file."""
        self.d.kill()
        self.redis.call("FLUSHALL")
        shutil.rmtree(self.d.directory / "journal")

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
