"""killing.py - the daemon ended as by kill -9 when it comes to a given place; in builds with failure points (configure --enable-failpoints)."""
import os

from case import COLUMNS, TABLES
from crm import eventually

LONG = bool(os.environ.get("CRM_LONG"))
TIMES = 30 if LONG else 1
MOMENTS = ("before", "sent", "answered")


class Killing:
    """To be mixed into a case that has a daemon, self.d."""

    def arm(self, place, times=1, happening=lambda: None):
        """Started again, after what happens meanwhile, it ends by itself when it comes there for that time."""
        self.d.stop()
        happening()
        self.d.environment["CRMSYNCD_FAILPOINTS"] = f"{place}:{times}"
        try:
            self.d.start(answers=False)
        finally:
            del self.d.environment["CRMSYNCD_FAILPOINTS"]

    def dies(self, place, order=(), before=lambda: None):
        """... which it does by itself, or when it is told to do that, each time after `before`. Then it is started again."""
        def gone():
            if order and self.d.process.poll() is None:
                before()
                self.d.try_ctl(*order)
            return self.d.process.poll() is not None

        eventually(gone, f"the daemon comes to {place}")
        self.assertEqual(self.d.finish(), -9)
        self.d.start()

    def die_at(self, place, times=1, order=()):
        """A happening: it is started again as usual."""
        def happening():
            self.arm(place, times)
            self.dies(place, order)
        return happening


def shown(crm, email, field):
    """One value of one person; None where it is not there."""
    columns = COLUMNS[crm.name]
    return crm.base.one(f"SELECT {columns[field]} FROM {TABLES[crm.name]} WHERE {columns['email']} = $1", email)
