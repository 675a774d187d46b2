"""Bad topologies get one clear line each; an endpoint that is away does not stop the others."""
import re
import subprocess
import unittest

from case import ThreeCrms
from crm import CRMSYNCD, eventually


class Topology(ThreeCrms):
    def check_file(self, text, *options):
        file = self.place.path / "bad.yaml"
        file.write_text(text.replace("@DIR@", str(self.place.path)))
        ran = subprocess.run([CRMSYNCD, "-c", file, *(options or ("-t",))], capture_output=True, text=True, timeout=60, check=False)
        return ran.returncode, ran.stdout + ran.stderr

    def problems(self, text):
        """The lines that name a place in the file, without the place; exit 78."""
        code, output = self.check_file(text)
        self.assertEqual(code, 78, output)
        return re.findall(r"bad\.yaml:(\d+):(\d+): (.*)", output)

    def one_problem(self, old, new, *words):
        text = self.topology()
        self.assertIn(old, text)
        planted = text.replace(old, new, 1)
        found = self.problems(planted)
        self.assertEqual(len(found), 1, found)
        line, _column, message = found[0]
        for word in words:
            self.assertIn(word, message)
        where = planted.replace("@DIR@", "").splitlines()
        self.assertEqual(where[int(line) - 1], new.splitlines()[-1] if "\n" in new else
                         next(x for x in where if new.split("\n")[0] in x))

    def test_a_good_one_is_fine_and_prints_nothing_but_fine(self):
        code, output = self.check_file(self.topology())
        self.assertEqual(code, 0, output)

    def test_a_wrong_type(self):
        self.one_problem("interval: 1s", "interval: soon", "endpoints.sales.interval")

    def test_a_connection_that_its_driver_does_not_understand(self):
        self.one_problem("connection: host", "connection: hst", "endpoints.sales.connection", "libpq")

    def test_an_unknown_key_with_the_nearest_known_one(self):
        self.one_problem("capture: listen", "captrue: listen", "captrue", "capture")

    def test_a_reference_to_an_entity_that_is_not_there(self):
        self.one_problem("entity: account}", "entity: acount}", "acount")

    def test_a_mapping_to_an_endpoint_that_is_not_there(self):
        self.one_problem("billing: {table: payers", "biling: {table: payers", "biling", "billing")

    def test_what_is_not_built_yet_is_said(self):
        self.one_problem("capture: poll", "capture: wal", "not built yet in this version")

    def test_all_problems_in_one_run(self):
        text = self.topology().replace("interval: 1s", "interval: soon").replace("version: 1", "version: 7") \
            .replace("captrue", "capture").replace("key: [email]", "key: [mail]")
        self.assertEqual(len(self.problems(text)), 4)

    def test_the_daemon_refuses_to_start_with_78(self):
        code, output = self.check_file(self.topology().replace("interval: 1s", "interval: soon", 1), "--log-level", "info")
        self.assertEqual(code, 78)
        self.assertEqual(output.count("interval"), 1, output)

    def test_the_effective_topology_loads_again_and_holds_no_password(self):
        text = self.topology().replace("user=crmsync", "user=crmsync password=hushhush", 1)
        code, refused = self.check_file(text)
        self.assertEqual(code, 78)
        self.assertIn("holds a password, and others have rights on it", refused)
        (self.place.path / "bad.yaml").chmod(0o600)
        code, printed = self.check_file(text, "--print-config")
        self.assertEqual(code, 0)
        self.assertNotIn("hushhush", printed)
        code, again = self.check_file(printed, "--print-config")
        self.assertEqual((code, again), (0, printed))

    def test_a_file_that_is_not_there(self):
        ran = subprocess.run([CRMSYNCD, "-c", self.place.path / "nowhere.yaml"], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(ran.returncode, 78)
        self.assertIn("nowhere.yaml", ran.stderr)


class Endpoints(ThreeCrms):
    """The file is right, the world is not: the others go on, the reason is shown."""
    broken = {}

    def endpoints(self):
        endpoints = super().endpoints()
        for name, settings in self.broken.items():
            endpoints[name].update(settings)
        return endpoints

    def others_go_on(self):
        """sales and support are in step although billing is not there."""
        self.populate(self.sales)
        eventually(lambda: self.support.contents() == self.sales.contents(), "support has all")
        self.support.edit("p1@example.org", name="Still in step")
        eventually(lambda: self.sales.people()["p1@example.org"]["name"] == "Still in step", "and back")
        self.assertEqual(self.d.endpoint("sales")["state"], "up")
        self.assertEqual(self.d.get("/readyz")[0], 503)

    def mend(self):
        """The topology is mended and reloaded: billing catches up."""
        self.broken = {}
        self.d.write(self.topology())
        self.d.ctl("reload")
        self.assertEqual(self.settled()["p1@example.org"]["name"], "Still in step")

    def reason(self):
        return eventually(lambda: self.d.endpoint("billing")["reason"], "there is a reason")

    def test_an_unreachable_host(self):
        self.broken = {"billing": {"connection": f"host={self.place.path}/nowhere dbname=x user=crmsync"}}
        self.start()
        self.assertIn("nowhere", self.reason())
        self.others_go_on()
        self.assertEqual(self.d.endpoint("billing")["state"], "down")
        self.assertLessEqual(self.d.log.count("endpoint down"), 1, "the log says it once")
        self.mend()

    def test_a_wrong_password(self):
        base = self.billing.base
        base.run("GRANT crmsync TO locked")
        good = base.cluster.conninfo(base.name, "locked")
        self.broken = {"billing": {"connection": good + " password=wrong-secret"}}
        self.start()
        self.assertIn("password", self.reason())
        self.others_go_on()
        self.assert_clean_log(self.d, "wrong-secret")
        self.assertNotIn("wrong-secret", self.d.get("/status")[1])
        self.mend()

    def test_a_password_from_a_file(self):
        base = self.billing.base
        base.run("GRANT crmsync TO locked; GRANT CREATE ON DATABASE " + base.name + " TO locked")
        secret = self.place.path / "secret"
        secret.write_text("right-secret\n")
        secret.chmod(0o600)
        self.broken = {"billing": {"connection": base.cluster.conninfo(base.name, "locked"), "password_file": str(secret)}}
        self.start()
        self.populate(self.billing)
        self.assertEqual(len(self.settled()), 20)
        self.assert_clean_log(self.d, "right-secret")

    def test_a_missing_table_stops_that_table_only(self):
        self.billing.base.run("DROP TABLE payers")
        self.start()
        self.populate(self.sales)
        eventually(lambda: self.support.contents() == self.sales.contents(), "support has all")
        eventually(lambda: len(self.billing.base.run("SELECT * FROM clients")) == 5, "the accounts are at billing")
        self.assertIn("payers", self.d.get("/status")[1])
        self.assertIn("payers", self.d.log)
        self.billing.base.run("CREATE TABLE payers (code text PRIMARY KEY DEFAULT 'P' || nextval('codes'), mail text NOT NULL UNIQUE, "
                              "display text, tel text, points numeric(9,0), client text REFERENCES clients)")
        self.billing.base.grant()
        self.d.ctl("reload")
        eventually(lambda: len(self.billing.people()) == 20, "billing has all")
        self.settled()

    def test_a_missing_column_is_named(self):
        self.billing.base.run("ALTER TABLE payers DROP COLUMN tel")
        self.start()
        eventually(lambda: "tel" in self.d.get("/status")[1], "the column is named")
        self.populate(self.sales)
        eventually(lambda: self.support.contents() == self.sales.contents(), "support has all")

    def test_once_ends_with_69_when_an_endpoint_stays_away(self):
        self.broken = {"billing": {"connection": f"host={self.place.path}/nowhere dbname=x user=crmsync"}}
        self.populate(self.sales)
        self.d = self.daemon(self.topology(), run=False)
        self.assertEqual(self.d.run_once("--once"), 69)
        self.assertEqual(self.support.contents(), self.sales.contents())


if __name__ == "__main__":
    unittest.main()
