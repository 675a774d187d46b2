"""case.py - what the live tests share: servers of a test's own, three CRMs that know the same people, two sides with one table, and what must hold."""
import pathlib
import sys
import unittest

from crm import CRMSYNCD, Cluster, Daemon, Place, Redis, eventually, has_failpoints, topology

# What the address sanitizer keeps of memory that was given back, MB.
KEPT = 700 if b"__asan_init" in pathlib.Path(CRMSYNCD).read_bytes() else 0
_shared = []


def shared_cluster():
    """One PostgreSQL server a process, for the tests that do not hurt it."""
    if not _shared:
        _shared.append(Cluster(Place()))
    return _shared[0]


def alone(test):
    """A test that holds the daemon to a time runs when no other does."""
    test.alone = True
    return test


def needs_failpoints(test):
    """A class, or a test of one, for builds in which the daemon can be ended at a given place; found by the word `failpoints`, too."""
    test.needs = "failpoints"
    return unittest.skipUnless(has_failpoints(), "built without failure points")(test)


class Case(unittest.TestCase):
    """A test has self.place, self.redis() and self.database(); on failure all logs are printed."""
    slow = False        # True: among the first to be run
    maxDiff = 4000
    longMessage = True

    def setUp(self):
        self.place = Place()
        self.bases = []
        self.addCleanup(self.tidy)

    def tidy(self):
        try:
            self.place.stop()
        finally:
            for base in self.bases:
                base.close()
                if base.cluster in _shared:
                    base.cluster.open()
                    base.drop()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        place = getattr(self, "place", None)
        if len(result.failures) + len(result.errors) > before and place:
            place.print_logs(sys.stdout)
            for cluster in _shared:
                cluster.place.print_logs(sys.stdout, 40)
        if place:
            place.close()
        return result

    def __str__(self):
        return self._testMethodName.removeprefix("test_").replace("_", " ")

    def database(self, name, sql, cluster=None):
        base = (cluster or shared_cluster()).database(name, sql)
        self.bases.append(base)
        return base

    def daemon(self, text, **options):
        return Daemon(self.place, text, **options)

    def assert_peak(self, megabytes):
        """Most memory that self.d has had so far."""
        with open(f"/proc/{self.d.process.pid}/status", encoding="ascii") as status:
            peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
        self.assertLess(peak, megabytes + KEPT, "MB")

    def assert_books(self, daemon):
        """Of every captured change it is known what became of it. {entity: its books}"""
        found = {e["name"]: e["books"] for e in daemon.status()["entities"]}
        for entity, books in found.items():
            self.assertTrue(books["balanced"], f"the books of {entity} do not balance: {books}")
            accounts = sum(number for account, number in books.items() if account not in ("captured", "balanced"))
            self.assertEqual(books["captured"], accounts, f"{entity}: {books}")
        return found

    def assert_clean_log(self, daemon, *values):
        """No row values and no secrets; nothing the sanitizers had to say."""
        log = daemon.log
        for value in values:
            self.assertNotIn(value, log, "a value got into the log")
        for word in ("runtime error:", "AddressSanitizer", "LeakSanitizer", "Assertion"):
            self.assertNotIn(word, log)


def behind_our_back(base, *statements):
    """Done without a trace in the change log: as with a trigger switched off."""
    base.run("BEGIN; " + "; ".join(statements) + "; DELETE FROM crmsync.changelog; COMMIT")


# ---- three CRMs --------------------------------------------------------------------------------------

TOUCH = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := clock_timestamp(); RETURN NEW; END $$;
"""
SALES = """
CREATE SCHEMA crm;
CREATE TABLE crm.accounts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number text NOT NULL UNIQUE, name text,
	updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE crm.contacts (id bigint GENERATED ALWAYS AS IDENTITY (START 1000) PRIMARY KEY, email text NOT NULL UNIQUE,
	full_name text, phone_number varchar(20), score integer, account_id bigint REFERENCES crm.accounts, note text,
	updated_at timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON crm.accounts FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON crm.contacts FOR EACH ROW EXECUTE FUNCTION touch();
"""
SUPPORT = """
CREATE TABLE companies (company_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), number text NOT NULL UNIQUE, title text,
	changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE people (person serial PRIMARY KEY, email text NOT NULL UNIQUE, name text, phone text, score bigint,
	company uuid REFERENCES companies, changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON companies (changed, company_id);
CREATE INDEX ON people (changed, person);
""" + TOUCH + """
CREATE TRIGGER touch BEFORE UPDATE ON companies FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();
"""
BILLING = """
CREATE SEQUENCE codes;
CREATE TABLE clients (code text PRIMARY KEY DEFAULT 'C' || nextval('codes'), client_no varchar(40) NOT NULL UNIQUE, label text);
CREATE TABLE payers (code text PRIMARY KEY DEFAULT 'P' || nextval('codes'), mail text NOT NULL UNIQUE, display text, tel text,
	points numeric(9,0), client text REFERENCES clients);
"""
ACCOUNT = """
account:
  key: [number]
  fields:
    number: {type: text}
    name: {type: text}
  mappings:
    sales: {table: crm.accounts, id: id, modified: updated_at}
    support: {table: companies, id: company_id, modified: changed, columns: {name: title}}
    billing: {table: clients, columns: {number: client_no, name: label}}
"""
CONTACT = """
contact:
  key: [email]
  fields:
    email: {type: text, clean: [trim, lower], check: [required]}
    name: {type: text}
    phone: {type: text}
    score: {type: integer}
    account: {type: reference, entity: account}
  conflict: {rule: last-writer-wins, priority: [sales, support, billing]}
  mappings:
    sales: {table: crm.contacts, id: id, modified: updated_at,
            columns: {name: full_name, phone: phone_number, account: account_id}}
    support: {table: people, modified: changed, columns: {account: company}}
    billing: {table: payers, columns: {email: mail, name: display, phone: tel, score: points, account: client}}
"""
CONTENTS = {
    "sales": ("SELECT number, name FROM crm.accounts",
              "SELECT email, full_name, phone_number, score, number FROM crm.contacts c LEFT JOIN crm.accounts a ON a.id = account_id"),
    "support": ("SELECT number, title FROM companies",
                "SELECT email, p.name, phone, score, number FROM people p LEFT JOIN companies ON company_id = company"),
    "billing": ("SELECT client_no, label FROM clients",
                "SELECT mail, display, tel, points::bigint, client_no FROM payers p LEFT JOIN clients c ON c.code = client"),
}
# How each application writes; the same words for all three.
TABLES = {"sales": "crm.contacts", "support": "people", "billing": "payers"}
COLUMNS = {
    "sales": {"email": "email", "name": "full_name", "phone": "phone_number", "score": "score", "account": "account_id"},
    "support": {"email": "email", "name": "name", "phone": "phone", "score": "score", "account": "company"},
    "billing": {"email": "mail", "name": "display", "phone": "tel", "score": "points", "account": "client"},
}
ACCOUNTS = {"sales": ("crm.accounts", "id", "number", "name"), "support": ("companies", "company_id", "number", "title"),
            "billing": ("clients", "code", "client_no", "label")}
FIELDS = ("email", "name", "phone", "score", "account")
THINGS = """
CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, code text, name text, amount numeric,
	changed timestamptz NOT NULL DEFAULT clock_timestamp());
"""
THING = """
thing:
  key: [k]
  fields:
    k: {type: text}
    code: {type: text}
    name: {type: text}
    amount: {type: decimal}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""


class Crm:
    """One of the three, as its application uses it."""

    def __init__(self, name, base):
        self.name, self.base = name, base

    def account_id(self, number):
        table, key, column, _ = ACCOUNTS[self.name]
        return None if number is None else self.base.one(f"SELECT {key} FROM {table} WHERE {column} = $1", number)

    def add_account(self, number, name):
        table, _, number_column, name_column = ACCOUNTS[self.name]
        self.base.run(f"INSERT INTO {table} ({number_column}, {name_column}) VALUES ($1, $2)", number, name)

    def _local(self, fields):
        columns = COLUMNS[self.name]
        return {columns[f]: self.account_id(v) if f == "account" else v for f, v in fields.items()}

    def add(self, email, /, connection=None, **fields):
        local = self._local({"email": email, **fields})
        marks = ", ".join(f"${i}" for i in range(1, len(local) + 1))
        (connection or self.base).run(f"INSERT INTO {TABLES[self.name]} ({', '.join(local)}) VALUES ({marks})", *local.values())

    def edit(self, email, /, connection=None, **fields):
        local = self._local(fields)
        sets = ", ".join(f"{column} = ${i}" for i, column in enumerate(local, 2))
        key = COLUMNS[self.name]["email"]
        (connection or self.base).run(f"UPDATE {TABLES[self.name]} SET {sets} WHERE {key} = $1", email, *local.values())

    def remove(self, email):
        self.base.run(f"DELETE FROM {TABLES[self.name]} WHERE {COLUMNS[self.name]['email']} = $1", email)

    def people(self):
        """{email: {field: value}}"""
        return {row[0]: dict(zip(FIELDS[1:], row[1:])) for row in self.base.run(CONTENTS[self.name][1])}

    def contents(self):
        return {"accounts": sorted(self.base.run(CONTENTS[self.name][0])),
                "contacts": sorted(self.base.run(CONTENTS[self.name][1]), key=lambda row: row[0])}


class ThreeCrms(Case):
    """self.sales (listen), self.support (poll), self.billing (listen): different tables, columns and ids, the same people."""
    entities = ACCOUNT + CONTACT
    sweep = "1h"

    def setUp(self):
        super().setUp()
        self.redis = Redis(self.place, *getattr(self, "redis_options", ()))
        self.sales = Crm("sales", self.database("sales", SALES, self.cluster_for("sales")))
        self.support = Crm("support", self.database("support", SUPPORT, self.cluster_for("support")))
        self.billing = Crm("billing", self.database("billing", BILLING, self.cluster_for("billing")))
        self.crms = (self.sales, self.support, self.billing)

    def cluster_for(self, _name):
        return shared_cluster()

    def endpoints(self):
        return {
            "sales": {"connection": self.sales.base.conninfo, "capture": "listen", "interval": "1s", "sweep": self.sweep},
            "support": {"connection": self.support.base.conninfo, "capture": "poll", "interval": "200ms", "sweep": self.sweep},
            "billing": {"connection": self.billing.base.conninfo, "capture": "listen", "interval": "1s", "sweep": self.sweep},
        }

    def topology(self, entities=None, **settings):
        return topology(self.redis, self.endpoints(), entities or self.entities, **settings)

    def without_billing(self):
        whole = self.topology()
        left = whole.replace(whole[whole.index("  billing:\n"):whole.index("entities:")], "")
        return "\n".join(line for line in left.splitlines() if not line.lstrip().startswith("billing: {")) \
            .replace(", support, billing]", ", support]") + "\n"

    def start(self, **options):
        self.d = self.daemon(self.topology(), **options)
        return self.d

    def populate(self, crm, people=20, accounts=5):
        for a in range(accounts):
            crm.add_account(f"A{a}", f"Account {a}")
        for p in range(people):
            crm.add(f"p{p}@example.org", name=f"Person {p}", phone=f"+1 555 {p:04}", score=p, account=f"A{p % accounts}")

    def assert_equal_everywhere(self, crms=None):
        """The same canonical content on all sides; returns it."""
        contents = [crm.contents() for crm in crms or self.crms]
        for crm, content in zip((crms or self.crms)[1:], contents[1:]):
            self.assertEqual(contents[0], content, f"{self.crms[0].name} and {crm.name} differ")
        return {row[0]: dict(zip(FIELDS[1:], row[1:])) for row in contents[0]["contacts"]}

    def assert_people(self, email, **fields):
        for crm in self.crms:
            self.assertEqual({**crm.people()[email], **fields}, crm.people()[email], f"{email} at {crm.name}")

    def settled(self):
        """Everything captured is settled, and the sides are equal."""
        self.d.wait()
        self.assert_books(self.d)
        return self.assert_equal_everywhere()

    def captures(self):
        return {e["name"]: e["last_capture"] for e in self.d.status()["endpoints"]}

    def assert_quiet(self, goes_on=False):
        """Not one further row is written: neither while the daemon looks again at every side, nor over its restart. Most tests
        end with this; the daemon runs again only where one `goes_on`."""
        before = [crm.base.versions() for crm in self.crms]
        seen = self.captures()
        eventually(lambda: all(now != seen[name] for name, now in self.captures().items()), "every side was looked at again")
        self.d.wait()
        self.assertEqual(before, [crm.base.versions() for crm in self.crms], "rows were written after quiet")
        self.d.stop()
        counted = [crm.base.counters() for crm in self.crms]
        self.d.start()
        self.d.wait()
        self.d.stop()
        self.assertEqual(counted, [crm.base.counters() for crm in self.crms], "the servers counted writes after quiet")
        if goes_on:
            self.d.start()


class Pair(Case):
    """Two sides, a and b, with one table each."""
    name = "modes"
    a_sql = b_sql = THINGS
    entities = THING
    a_capture = b_capture = {"capture": "listen", "interval": "1s", "sweep": "1h"}

    def setUp(self):
        super().setUp()
        self.redis = Redis(self.place)
        self.a, self.b = self.database(f"{self.name}_a", self.a_sql), self.database(f"{self.name}_b", self.b_sql)

    def text(self, entities, more=""):
        sides = {"a": {"connection": self.a.conninfo, **self.a_capture}, "b": {"connection": self.b.conninfo, **self.b_capture}}
        return topology(self.redis, sides, entities, more=more)

    def start(self, more=""):
        self.d = self.daemon(self.text(self.entities, more))

    def begin(self, more=""):
        self.start(more)
        self.d.wait()

    def rows(self, base, columns="k, code, name, amount::text"):
        return sorted(base.run(f"SELECT {columns} FROM things"), key=repr)

    def settled(self, columns="k, code, name, amount::text"):
        self.d.wait()
        self.assert_books(self.d)
        self.assertEqual(self.rows(self.a, columns), self.rows(self.b, columns), self.d.parked())
        return self.rows(self.a, columns)

    def assert_quiet(self):
        before = self.a.versions(), self.b.versions()
        self.d.restart()
        self.d.wait()
        self.assertEqual(before, (self.a.versions(), self.b.versions()), "rows were written after quiet")
