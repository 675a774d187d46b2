"""F09: a side keeps the keys of records in a form of its own. Who refers to one there refers to it all the same."""
import unittest

from case import Pair, behind_our_back
from crm import eventually

COMPANIES = """
CREATE TABLE company (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, note text);
CREATE TABLE contact (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text NOT NULL UNIQUE, phone text, company bigint REFERENCES company);
"""
SHOUTING = COMPANIES + """
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$;
CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON company FOR EACH ROW EXECUTE FUNCTION shout();
"""


class OwnKeys(Pair):
    """b has names of companies in capitals, and local ids of its own: ann and bob are with Acme, cid is with Other."""
    a_sql, b_sql = COMPANIES, SHOUTING
    entities = """
company:
  key: [name]
  fields: {name: {type: text}, note: {type: text}}
  mappings: {a: {table: company}, b: {table: company}}
contact:
  key: [mail]
  fields:
    mail: {type: text}
    phone: {type: text}
    company: {type: reference, entity: company}
  mappings: {a: {table: contact}, b: {table: contact}}
"""

    def begin(self):
        self.b.run("ALTER TABLE company ALTER id RESTART 1000")
        self.a.run("INSERT INTO company (name) VALUES ('Acme'), ('Other')")
        self.a.run("INSERT INTO contact (mail, company) SELECT mail, id FROM company JOIN (VALUES ('ann', 'Acme'), ('bob', 'Acme'), ('cid', 'Other')) "
                   "v (mail, name) USING (name)")
        super().begin()

    def move(self, base, who, company):
        base.run(f"UPDATE contact SET company = (SELECT id FROM company WHERE name = '{company}') WHERE mail = '{who}'")

    def people(self, base):
        return sorted(base.run("SELECT mail, name, phone FROM contact LEFT JOIN company ON company.id = contact.company"))

    def expect(self, *people):
        self.d.wait()
        self.assertEqual(self.d.parked(), [])
        self.assertEqual(self.people(self.a), list(people))
        self.assertEqual(self.people(self.b), [(mail, name.upper(), phone) for mail, name, phone in people])
        self.assertEqual(self.d.ctl_lines("conflicts"), [])

    def verify(self, entity, code=0):
        *found, total = self.d.ctl_lines("verify", entity, code=code)
        return [line for line in found if "difference" in line], total

    def assert_nothing_differs(self):
        for entity, n in ("company", 2), ("contact", len(self.people(self.a))):
            found, total = self.verify(entity)
            self.assertEqual((found, total["compared"], total["own_form"]), ([], n, n), entity)

    def test_f09_who_refers_to_a_key_in_another_form_is_edited_without_being_moved(self):
        self.begin()
        self.assert_nothing_differs()
        self.b.run("UPDATE contact SET phone = '1' WHERE mail = 'ann'")
        before = self.b.versions()
        self.expect(("ann", "Acme", "1"), ("bob", "Acme", None), ("cid", "Other", None))
        self.assertEqual(before, self.b.versions(), "nor is its company written there once more")
        self.assert_quiet()
        self.assert_nothing_differs()

    def test_f09_who_is_moved_where_the_key_has_another_form_is_moved_everywhere(self):
        self.begin()
        self.move(self.b, "bob", "OTHER")
        self.expect(("ann", "Acme", None), ("bob", "Other", None), ("cid", "Other", None))
        self.move(self.a, "bob", "Acme")
        self.expect(("ann", "Acme", None), ("bob", "Acme", None), ("cid", "Other", None))
        self.assert_quiet()
        self.assert_nothing_differs()

    def test_f09_who_is_entered_where_the_key_has_another_form_is_entered_everywhere(self):
        self.begin()
        self.b.run("INSERT INTO contact (mail, company) SELECT 'dan', id FROM company WHERE name = 'ACME'")
        self.expect(("ann", "Acme", None), ("bob", "Acme", None), ("cid", "Other", None), ("dan", "Acme", None))
        self.assert_quiet()
        self.assert_nothing_differs()

    def test_f09_who_was_moved_there_while_nobody_could_tell_the_key_is_moved_later(self):
        self.begin()
        self.d.ctl("pause", "a")
        self.move(self.b, "bob", "OTHER")
        self.b.run("INSERT INTO contact (mail, company) SELECT 'dan', id FROM company WHERE name = 'ACME'")
        eventually(lambda: self.d.entity("contact")["pending"] == 2, "both are owed to a")
        self.d.ctl("resume", "a")
        self.expect(("ann", "Acme", None), ("bob", "Other", None), ("cid", "Other", None), ("dan", "Acme", None))
        self.assert_quiet()
        self.assert_nothing_differs()

    def test_f09_a_record_with_such_a_key_is_renamed_and_who_refers_to_it_follows(self):
        self.begin()
        self.a.run("UPDATE company SET name = 'Acme Ltd' WHERE name = 'Acme'")
        self.expect(("ann", "Acme Ltd", None), ("bob", "Acme Ltd", None), ("cid", "Other", None))
        self.move(self.b, "cid", "ACME LTD")
        self.b.run("UPDATE contact SET phone = '1'")
        self.expect(("ann", "Acme Ltd", "1"), ("bob", "Acme Ltd", "1"), ("cid", "Acme Ltd", "1"))
        self.assert_quiet()
        self.assert_nothing_differs()

    def test_f09_a_row_whose_key_has_another_form_is_compared_as_the_record_that_it_is(self):
        self.begin()
        self.assert_nothing_differs()
        behind_our_back(self.b, "UPDATE company SET note = 'b' WHERE name = 'ACME'")
        found, _ = self.verify("company", code=1)
        self.assertEqual([(line["difference"], line["key"], line["fields"]) for line in found], [("different", "Acme", ["name", "note"])])


if __name__ == "__main__":
    unittest.main()
