"""As somebody does it who sees it for the first time: installs it, edits the sample, starts it, breaks three things and reads what is said."""
import os
import re
import subprocess
import unittest

from case import Case, shared_cluster
from crm import BUILDDIR, Cluster, Daemon, Redis, eventually

# What the sample says of the two databases.
SALES = """
CREATE SCHEMA crm;
CREATE TABLE crm.accounts (id serial PRIMARY KEY, number text NOT NULL UNIQUE, name text, tier text, updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE crm.contacts (id serial PRIMARY KEY, email text NOT NULL UNIQUE, full_name text, phone_number text, street text, zip text, city text,
	score int, account_id int REFERENCES crm.accounts, active boolean NOT NULL DEFAULT true, updated_at timestamp NOT NULL DEFAULT now());
"""
SUPPORT = """
CREATE TABLE companies (company_id serial PRIMARY KEY, number text NOT NULL UNIQUE, title text, level text, changed timestamptz NOT NULL DEFAULT now());
CREATE TABLE people (id serial PRIMARY KEY, email text NOT NULL UNIQUE, name text, phone text, street text, zip text, city text, score int,
	company int REFERENCES companies, deleted_at timestamptz, changed_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX ON companies (changed, company_id);
CREATE INDEX ON people (changed_at, id);
"""


class Newcomer(Case):
    def setUp(self):
        super().setUp()
        self.redis = Redis(self.place)
        self.sales, self.support = self.database("sales", SALES), self.database("support", SUPPORT, Cluster(self.place, "second"))
        shared_cluster().admin.run("ALTER ROLE locked PASSWORD 'right-secret'")
        self.addCleanup(shared_cluster().admin.run, "ALTER ROLE locked PASSWORD 'right-secret'")
        self.sales.run("GRANT application, pg_read_all_stats TO locked; GRANT CREATE ON DATABASE sales TO locked")

    def install(self):
        """make install; the programs and the sample that it left."""
        root = self.place.path / "root"
        subprocess.run(["make", "-s", "-C", str(BUILDDIR), "install", f"DESTDIR={root}"], check=True, capture_output=True,
                       env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")})
        found = {path.name: path for path in root.rglob("*") if path.name in ("crmsyncd", "crmsyncctl", "crmsyncd.yaml.sample")
                 and path.parent.name in ("sbin", "bin", "crmsyncd")}
        return found["crmsyncd"], found["crmsyncctl"], found["crmsyncd.yaml.sample"]

    def edited(self, sample):
        """What has to be one's own: where Redis, the databases, the sockets and the journal are, and how to come in."""
        own = {"unix:/run/redis/redis-server.sock": f"unix:{self.redis.socket}", "/run/crmsyncd": "@DIR@", "/var/lib/crmsyncd": "@DIR@/journal",
               "host=/var/run/postgresql dbname=sales user=crmsync": self.sales.cluster.conninfo("sales", "locked"),
               "# password_file: sales.secret": "password_file: sales.secret",
               "postgresql://crmsync@127.0.0.1:5433/support?sslmode=verify-full": self.support.conninfo}
        for theirs, ours in own.items():
            self.assertIn(theirs, sample)
            sample = sample.replace(theirs, ours)
        return sample

    def start(self):
        crmsyncd, self.ctl, sample = self.install()
        self.d = Daemon(self.place, self.edited(sample.read_text()), run=False, options=(), program=crmsyncd)
        self.secret("right-secret")
        checked = subprocess.run([crmsyncd, "-t", "-c", self.d.file], capture_output=True, text=True, check=False)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.d.start()

    def secret(self, text):
        path = self.d.directory / "sales.secret"
        path.write_text(text + "\n")
        path.chmod(0o600)

    def status(self):
        return subprocess.run([self.ctl, "-c", self.d.file, "status"], capture_output=True, text=True, check=True).stdout

    def says(self, words, where, patience=None):
        """Status wraps its lines."""
        eventually(lambda: re.search(words, " ".join(self.status().split())) or (False, self.status()), where, patience)

    def logs(self, words):
        self.assertTrue(any(re.search(words, line) for line in self.d.log.splitlines()), f"{words} in {self.d.log}")

    def test_who_reads_status_and_log_knows_what_is_broken_and_what_to_do(self):
        self.start()
        self.sales.run("INSERT INTO crm.contacts (email, full_name, updated_at) VALUES ('ann@example.org', 'Ann', now())")
        eventually(lambda: self.support.one("SELECT name FROM people") == "Ann", "it synchronizes")
        self.says("^2 of 2 endpoints up; everything is in step", "all is well")

        shared_cluster().admin.run("ALTER ROLE locked PASSWORD 'another'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'locked'")
        self.says("^1 of 2 endpoints up; sales is down.* sales: .*password authentication failed for user \"locked\"", "a wrong password")
        self.logs('warn endpoint down endpoint=sales .*password authentication failed for user')
        shared_cluster().admin.run("ALTER ROLE locked PASSWORD 'right-secret'")
        subprocess.run([self.ctl, "-c", self.d.file, "kick"], check=True)
        self.says("^2 of 2 endpoints up; everything is in step", "mended; it was not waited for the next try, which is after half a minute", 20)

        self.support.close()
        self.support.cluster.stop()
        self.says("^1 of 2 endpoints up; support is down.* support: .*(No such file|Connection refused)", "a database that is stopped")
        self.support.cluster.start()
        self.says("^2 of 2 endpoints up; everything is in step", "started")

        self.support.run("ALTER TABLE people DROP COLUMN phone")
        self.says("contact cannot be used on support.* contact on support: table people: field phone: there is no column \"phone\"; name another one", "a column that is gone")
        self.support.run("ALTER TABLE people ADD phone text")
        self.says("^2 of 2 endpoints up; everything is in step", "it is there again")


if __name__ == "__main__":
    unittest.main()
