"""kill -9 at each step of what an operator orders, and of what follows from a bad day: undo, repair, plan, verify, parked records that are
tried again, a backup, a database that was put back. Under load, but for the last. Migrations: test_migrate.py; restore: test_backup.py."""
import os
import unittest

from case import ThreeCrms, needs_failpoints
from crm import eventually
from editors import Load
from killing import LONG, MOMENTS, TIMES, Killing, shown

SPARE = "p30@example.org"       # whom no editor touches
# Phases by number: sync/plan.c, verify.h, undo.c, backup.c.
LOOKS = [("plan", 0), ("plan", 1), ("plan", 2), ("verify", 0), ("verify", 3), ("verify", 4), ("verify", 5), ("verify", 6), ("verify", 8)]
UNDO_FOLDS, UNDO_QUEUES, UNDO_RUNS, UNDO_TELLS, UNDO_LISTS, UNDO_ENDS = 0, 2, 3, 4, 5, 6
BACKUPS = (0, 1, 2)
RETRIES = ("lines/before", "rows/sent", "rows/answered", "part/done")


@needs_failpoints
class Orders(Killing, Load):
    rest = 0.005

    def everywhere(self, field, value):
        return all(shown(crm, SPARE, field) == value for crm in self.crms)

    def die_undoing(self, phase):
        order = ("undo", "--entity", "contact", "--key", SPARE)

        def happening():
            self.sales.edit(SPARE, phone="old")
            eventually(lambda: self.everywhere("phone", "old"), "it is as it was everywhere")
            self.arm(f"undo/{phase}")
            self.sales.edit(SPARE, phone="new")
            eventually(lambda: self.everywhere("phone", "new"), "it is changed everywhere")
            self.dies(f"undo/{phase}", order)
            if phase <= UNDO_QUEUES:        # not written down yet
                eventually(lambda: self.d.try_ctl(*order).returncode in (0, 1), "it is asked again, until it is begun")
            eventually(lambda: self.everywhere("phone", "old"), "it is put back")
        return happening

    def die_mending(self):
        """A difference of which no modified column tells: it lies far back, else the next polls would look at that row once more."""
        def agree():
            return len({shown(crm, SPARE, "name") for crm in self.crms}) == 1

        def mended():
            return agree() or bool(self.d.try_ctl("repair", "contact")) and agree()

        def differ():
            """Again, where a slow machine's sweep has found it before the repair did."""
            if agree():
                self.support.base.run("BEGIN; ALTER TABLE people DISABLE TRIGGER touch; "
                                      f"UPDATE people SET name = clock_timestamp()::text, changed = '2001-01-01' WHERE email = '{SPARE}'; "
                                      "ALTER TABLE people ENABLE TRIGGER touch; COMMIT")

        def happening():
            self.arm("verify/7")
            self.dies("verify/7", ("repair", "contact"), before=differ)
            eventually(mended, "it is mended, now or by asking again")
        return happening

    def die_backing_up(self, phase):
        """Half a backup is no file."""
        file = self.place.path / "state.backup"

        def happening():
            self.arm(f"backup/{phase}")
            self.dies(f"backup/{phase}", ("backup", str(file)))
            self.assertFalse(file.exists())
            eventually(lambda: self.d.try_ctl("backup", str(file)).returncode == 0, "a whole one is made")
            os.unlink(file)
        return happening

    def die_retrying(self, place):
        """A value is too long for sales; a second row there has the key of the first."""
        def parked():
            return sorted(line["code"] for line in self.d.parked())

        def happening():
            self.support.edit(SPARE, phone="+1 555 0123456789 0123456789")
            self.sales.base.run("INSERT INTO crm.contacts (email) VALUES (upper($1))", SPARE)
            eventually(lambda: parked() == ["22001", "duplicate-key"] or (False, parked()), "both are parked")
            self.arm(f"retry/{place}")
            self.sales.base.run("ALTER TABLE crm.contacts ALTER phone_number TYPE varchar(40)")
            self.dies(f"retry/{place}", ("parked", "retry"))
            self.sales.base.run("DELETE FROM crm.contacts WHERE email = upper($1)", SPARE)
            eventually(lambda: parked() == [] or (False, self.d.try_ctl("parked", "retry").stdout), "nothing is parked any more")
            self.assertEqual(shown(self.sales, SPARE, "phone"), shown(self.support, SPARE, "phone"))
            self.support.edit(SPARE, phone="short")
            eventually(lambda: self.everywhere("phone", "short"), "it is short everywhere")
            self.sales.base.run("ALTER TABLE crm.contacts ALTER phone_number TYPE varchar(20)")
        return happening

    def survive_orders(self, happenings):
        self.survive(happenings * TIMES, people=30, spare=1)


def while_it_does_what_it_is_told(self):
    self.survive_orders([self.die_undoing(UNDO_RUNS), self.die_mending(), self.die_at("plan/2", 1, ("plan", "contact")),
                         self.die_retrying("rows/answered"), self.die_backing_up(1)])


def while_it_undoes(phase):
    return lambda self: self.survive_orders([self.die_undoing(phase)])


def while_it_repairs(self):
    self.survive_orders([self.die_mending()])


def while_it_looks(what, phase):
    return lambda self: self.survive_orders([self.die_at(f"{what}/{phase}", 1, (what, "contact"))])


def while_parked_records_are_tried_again(self):
    self.survive_orders([self.die_retrying(place) for place in RETRIES])


def while_it_is_backed_up(self):
    self.survive_orders([self.die_backing_up(phase) for phase in BACKUPS])


@needs_failpoints
class Replaced(Killing, ThreeCrms):
    """A database does not know us any more: all that was known of its rows is void."""
    slow = True

    def forgotten(self, places):
        self.start()
        self.populate(self.sales, people=30)
        self.settled()
        for n, place in enumerate(places):
            self.d.stop()
            self.support.edit(f"p{n % 30}@example.org", name=f"Edit {n}")
            self.sales.base.run("DELETE FROM crmsync.state")
            self.arm(place)
            self.dies(place)
            people = self.settled()
            self.assertEqual((len(people), people[f"p{n % 30}@example.org"]["name"]), (30, f"Edit {n}"), place)
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()


def while_a_replaced_database_is_taken_in(self):
    steps = ("epoch/greet", "rebase/page", "rebase/marks", "listing/rows") if LONG else ("rebase/page",)
    self.forgotten([f"{step}/{moment}" for step in steps for moment in MOMENTS] * TIMES)


Replaced.test_f29_killed_while_a_replaced_database_is_taken_in_nothing_is_lost = while_a_replaced_database_is_taken_in
if LONG:
    for _name in ("FOLDS", "QUEUES", "RUNS", "TELLS", "LISTS", "ENDS"):
        setattr(Orders, f"test_f29_killed_while_an_undo_{_name.lower()}_nothing_is_lost", while_it_undoes(globals()[f"UNDO_{_name}"]))
    for _what, _phase in LOOKS:
        setattr(Orders, f"test_f29_killed_in_phase_{_phase}_of_{_what}_nothing_is_lost", while_it_looks(_what, _phase))
    Orders.test_f29_killed_while_it_repairs_nothing_is_lost = while_it_repairs
    Orders.test_f29_killed_while_parked_records_are_tried_again_nothing_is_lost = while_parked_records_are_tried_again
    Orders.test_f29_killed_while_it_is_backed_up_nothing_is_lost = while_it_is_backed_up
else:
    Orders.test_f29_killed_while_it_does_what_it_is_told_nothing_is_lost = while_it_does_what_it_is_told

if __name__ == "__main__":
    unittest.main()
