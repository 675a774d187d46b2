"""F15: who waits for a parent is told when it comes, by whatever key and while whoever is away."""
import unittest

from case import Case
from crm import Redis, eventually, topology

COMPANIES = """
CREATE TABLE company (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE contact (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text NOT NULL UNIQUE, company bigint NOT NULL REFERENCES company);
"""
ENTITIES = """
company:
  key: [name]
  fields: {name: {type: text}}
  mappings: {a: {table: company}, b: {table: company}, c: {table: company}}
contact:
  key: [mail]
  fields:
    mail: {type: text}
    company: {type: reference, entity: company}
  mappings: {a: {table: contact}, b: {table: contact}, c: {table: contact}}
"""


class ParentsToCome(Case):
    """Ann is there before her company is taken."""
    def setUp(self):
        super().setUp()
        self.redis = Redis(self.place)
        self.a, self.b, self.c = (self.database(f"to_come_{name}", COMPANIES) for name in "abc")
        ends = {name: {"connection": getattr(self, name).conninfo, "capture": "listen", "interval": "1s", "sweep": "1h"} for name in "abc"}
        self.d = self.daemon(topology(self.redis, ends, ENTITIES))
        self.d.wait()
        self.d.ctl("pause", "company")
        self.a.run("INSERT INTO company (name) VALUES ('Acme'); INSERT INTO contact (mail, company) SELECT 'ann', id FROM company")
        eventually(lambda: self.waiting() == [("ann", "b"), ("ann", "c")], "Ann waits for Acme")

    def waiting(self):
        return sorted((p["key"], p["endpoint"]) for p in self.d.parked() if p["code"] == "waits-for-parent")

    def expect_ann(self, company, *sides):
        self.d.wait()
        for base in sides:
            self.assertEqual(base.run("SELECT mail, name FROM contact JOIN company ON company.id = company"), [("ann", company)], self.d.parked())

    def test_f15_a_parent_that_was_renamed_before_it_was_met_is_the_one_that_is_waited_for(self):
        self.a.run("UPDATE company SET name = 'Acme Ltd'")
        self.d.ctl("resume", "company")
        self.expect_ann("Acme Ltd", self.a, self.b, self.c)
        self.assertEqual(self.d.parked(), [])

    def test_f15_who_was_told_while_its_side_was_away_comes_with_it(self):
        self.d.ctl("pause", "b")
        self.d.ctl("resume", "company")
        eventually(lambda: self.c.run("SELECT mail FROM contact") == [("ann",)], "c has her")
        self.d.ctl("resume", "b")
        self.expect_ann("Acme", self.a, self.b, self.c)
        self.assertEqual(self.d.parked(), [])


if __name__ == "__main__":
    unittest.main()
