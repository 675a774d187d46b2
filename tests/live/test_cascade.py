"""F15: whoever refers to a deleted parent goes, lives on or is held by a decision of its own, whatever the foreign key would do."""
import unittest

from case import Case
from crm import Redis, eventually, topology

COMPANIES = """
CREATE TABLE company (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number text NOT NULL UNIQUE, changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text NOT NULL UNIQUE, name text,
	company int REFERENCES company ON DELETE {}, changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON person (company);
"""
ENTITIES = """
company:
  key: [number]
  fields: {number: {type: text}}
  mappings: {a: {table: company, modified: changed}, b: {table: company, modified: changed}, c: {table: company, modified: changed}}
person:
  key: [mail]
  fields:
    mail: {type: text}
    name: {type: text}
    company: {type: reference, entity: company}
  mappings: {a: {table: person, modified: changed}, b: {table: person, modified: changed}, c: {table: person, modified: changed}}
"""


class Cascade(Case):
    """What c deletes takes its people along there."""
    action = "CASCADE"      # at a and b

    def begin(self, companies):
        """Two people of each, on all sides."""
        self.sides = {name: self.database(f"cascade_{name}", COMPANIES.format("CASCADE" if name == "c" else self.action)) for name in "abc"}
        self.a, self.b, self.c = self.sides.values()
        self.a.run("INSERT INTO company (number) SELECT generate_series(1, $1)", companies)
        self.a.run("INSERT INTO person (mail, company) SELECT number || k, id FROM company, unnest(ARRAY['x', 'y']) k")
        ends = {name: {"connection": base.conninfo, "capture": "listen", "interval": "1s", "sweep": "1h"} for name, base in self.sides.items()}
        self.d = self.daemon(topology(Redis(self.place), ends, ENTITIES))
        self.d.wait()

    def companies(self, name):
        return [row[0] for row in self.sides[name].run("SELECT number FROM company ORDER BY number::int")]

    def people(self, name):
        return sorted(self.sides[name].run("SELECT mail, name, number FROM person LEFT JOIN company k ON k.id = company"))

    def counts(self):
        return {name: (len(self.companies(name)), len(self.people(name))) for name in self.sides}

    def parked(self):
        return sorted((p["entity"], p["key"], p["endpoint"], p["code"]) for p in self.d.parked())

    def expect(self, companies, people):
        for name in self.sides:
            self.assertEqual((self.companies(name), self.people(name)), (companies, people), name)

    def test_f15_people_live_on_and_what_is_deleted_of_theirs_waits_for_them(self):
        self.begin(5)
        self.d.ctl("pause", "c")
        self.c.run("DELETE FROM company WHERE number <= '4'")
        self.a.run("UPDATE person SET name = 'edited' WHERE mail IN ('1x', '2x')")
        self.b.run("INSERT INTO person (mail, name, company) SELECT number || 'n', 'new', id FROM company WHERE number IN ('2', '3')")
        eventually(lambda: self.people("a") == self.people("b") and len(self.people("a")) == 12, "the others know of it before they hear of the delete")
        self.d.ctl("resume", "c")
        self.d.wait()
        people = [("1x", "edited", "1"), ("2n", "new", "2"), ("2x", "edited", "2"), ("3n", "new", "3"), ("5x", None, "5"), ("5y", None, "5")]
        for name in "ab":
            self.assertEqual((self.companies(name), self.people(name)), (["1", "2", "3", "5"], people), name)
        self.assertEqual((self.companies("c"), self.people("c")), (["5"], people[4:]))
        self.assertEqual(self.parked(), [("company", number, name, "23503") for number in "123" for name in "ab"] +
                         [("person", mail, "c", "waits-for-parent") for mail in ("1x", "2n", "2x", "3n")])
        self.assertEqual({p["cause"][:28] for p in self.d.parked() if p["code"] == "23503"}, {"other rows still refer to it"})
        self.assertEqual(sorted((line["key"], line["entity"]) for line in self.d.ctl_lines("--json", "conflicts")), [("1x", "person"), ("2x", "person")])

        self.b.run("DELETE FROM person WHERE mail = '3n'")          # gone: what waited for it goes
        self.a.run("UPDATE person SET company = (SELECT id FROM company WHERE number = '5') WHERE mail LIKE '2%'")   # elsewhere: so it does
        self.c.run("INSERT INTO company (number) VALUES ('1')")     # the delete is taken back: they follow
        self.d.wait()
        self.expect(["1", "5"], [("1x", "edited", "1"), ("2n", "new", "5"), ("2x", "edited", "5"), ("5x", None, "5"), ("5y", None, "5")])
        self.assertEqual(self.parked(), [])

    def test_f15_the_mass_delete_guard_holds_people_together_with_their_companies(self):
        self.begin(50)
        self.c.run("DELETE FROM company WHERE number::int <= 15")   # 15 of 20 allowed; 30 people go there with them
        eventually(lambda: sum(s["deletes"] for s in self.d.ctl_lines("held", "list", "--json")) == 10, "what is beyond 20 people is held")
        self.d.wait()
        counts = self.counts()
        self.assertEqual(counts["c"], (35, 70))
        for name in "ab":
            self.assertEqual(counts[name][1], 80, "20 were deleted, no more")
            self.assertGreaterEqual(counts[name][0], 35 + 5)
            self.assertEqual(self.sides[name].one("SELECT count(*) FROM person WHERE company IS NULL"), 0)
        self.d.ctl("held", "release", *[s["set"] for s in self.d.ctl_lines("held", "list", "--json")])
        eventually(lambda: set(self.counts().values()) == {(35, 70)} or (False, str(self.counts())), "all of them go")
        self.d.wait()
        self.assertEqual(self.parked(), [])


class SetNull(Cascade):
    action = "SET NULL"


class SetDefault(Cascade):
    action = "SET DEFAULT"


if __name__ == "__main__":
    unittest.main()
