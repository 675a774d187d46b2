"""Two people edit different fields of the same 400 records on two systems, all the time: both keep every edit."""
import unittest

from case import ThreeCrms
from crm import Cluster
from editors import Editor, lost

RECORDS, EDITS = 400, 300


class KeepEveryEdit(ThreeCrms):
    def cluster_for(self, name):
        """A server of its own for the side that goes away."""
        if name != "billing":
            return super().cluster_for(name)
        self.away = Cluster(self.place, "away")
        return self.away

    def edit_through(self, happening, sides=None):
        self.start()
        self.populate(self.sales, people=RECORDS)
        self.settled()
        emails = [f"p{p}@example.org" for p in range(RECORDS)]
        first, second = sides or (self.sales, self.billing)
        editors = [Editor(first, "name", emails, 1), Editor(second, "phone", emails, 2)]
        try:
            for editor in editors:
                editor.more(EDITS)
            happening(editors)
            for editor in editors:
                editor.more(EDITS)
        finally:
            for editor in editors:
                editor.finish()
        people = self.settled()
        self.assertEqual(lost(editors, people), [])
        self.assertEqual(len(people), RECORDS)
        self.assert_quiet()

    def test_connected_all_the_time(self):
        self.edit_through(lambda editors: None)

    def test_connected_all_the_time_with_a_polled_side(self):
        self.edit_through(lambda editors: None, (self.support, self.billing))

    def test_with_the_daemon_away_for_a_while(self):
        def away(editors):
            self.d.stop()
            for editor in editors:
                editor.more(EDITS)
            self.d.start()

        self.edit_through(away)

    def test_with_one_database_away_for_a_while(self):
        def away(editors):
            self.away.shut()
            for editor in editors:
                editor.more(EDITS)
            self.away.open()

        self.edit_through(away)


if __name__ == "__main__":
    unittest.main()
