"""F13: a record that others refer to gets another key. That is no edit of theirs."""
import unittest

from case import Case
from crm import Redis, eventually, topology
from test_lost_replies import Wire

COMPANIES = """
CREATE TABLE company (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE contact (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text NOT NULL UNIQUE, phone text, company bigint REFERENCES company,
	changed timestamptz NOT NULL DEFAULT clock_timestamp());
"""
# What refers to a company refers to its name, and the name cannot be changed while anything does.
STIFF = """
CREATE TABLE company (name text PRIMARY KEY, changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE contact (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text NOT NULL UNIQUE, phone text, company text REFERENCES company,
	changed timestamptz NOT NULL DEFAULT clock_timestamp());
"""
ENTITIES = """
company:
  key: [name]
  fields: {{name: {{type: text}}}}
  mappings: {{{sides}}}
contact:
  key: [mail]
  fields:
    mail: {{type: text}}
    phone: {{type: text}}
    company: {{type: reference, entity: company}}
  mappings: {{{people}}}
"""
# It can, and those who refer to it are changed with it.
CASCADING = STIFF.replace("REFERENCES company", "REFERENCES company ON UPDATE CASCADE") + """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON contact FOR EACH ROW EXECUTE FUNCTION touch();
"""
EMPLOYEES = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := clock_timestamp(); RETURN NEW; END $$;
CREATE TABLE employee (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail text NOT NULL UNIQUE, name text NOT NULL, note text,
	boss int REFERENCES employee, changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TRIGGER touch BEFORE UPDATE ON employee FOR EACH ROW EXECUTE FUNCTION touch();
"""
STAFF = """
employee:
  key: [mail]
  fields:
    mail: {{type: text}}
    name: {{type: text}}
    note: {{type: text}}
    boss: {{type: reference, entity: employee}}
  limits: {{mass_delete: 100%}}
  mappings: {{{sides}}}
"""


class Renamed(Case):
    def begin(self, **schemas):
        """Each side shows three people of Acme."""
        self.redis = Redis(self.place)
        self.sides = {name: self.database(f"parent_{name}", sql) for name, sql in schemas.items()}
        ends = {name: {"connection": base.conninfo, "capture": "listen", "interval": "1s", "sweep": "1h", **self.way_to(name)}
                for name, base in self.sides.items()}
        tables = [", ".join(f"{name}: {{table: {table}, modified: changed}}" for name in schemas) for table in ("company", "contact")]
        self.sides["a"].run("INSERT INTO company (name) VALUES ('Acme')")
        self.sides["a"].run("INSERT INTO contact (mail, company) SELECT m, (SELECT id FROM company) FROM unnest(ARRAY['ann', 'bob', 'cid']) m")
        self.d = self.daemon(topology(self.redis, ends, ENTITIES.format(sides=tables[0], people=tables[1])))
        self.d.wait()

    def way_to(self, name):
        """What is special about that side."""
        return {}

    def people(self, name):
        stiff = self.sides[name].one("SELECT count(*) FROM information_schema.columns WHERE table_name = 'company' AND column_name = 'id'") == 0
        return sorted(self.sides[name].run(f"SELECT mail, phone, k.name FROM contact c LEFT JOIN company k ON k.{'name' if stiff else 'id'} = c.company"))

    def expect(self, *people, company="Acme Ltd", **other):
        """(mail, phone) everywhere, all of that company; `other`: by what name a side knows it."""
        for name in self.sides:
            self.assertEqual(self.people(name), [(*who, other.get(name, company)) for who in people], name)

    def rename(self):
        self.sides["a"].run("UPDATE company SET name = 'Acme Ltd'")
        self.d.wait()

    def parked(self):
        """But for people who wait for what is."""
        return sorted((p["entity"], p["key"], p["endpoint"], p["code"]) for p in self.d.parked() if p["code"] != "waits-for-parent")

    def assert_nobody_edited(self):
        self.assertEqual(self.d.ctl_lines("conflicts"), [])


class RenamedParent(Renamed):
    def test_f13_a_child_that_was_deleted_stays_so(self):
        self.begin(a=COMPANIES, b=COMPANIES)
        self.rename()
        self.sides["b"].run("DELETE FROM contact WHERE mail = 'ann'")
        self.sides["a"].run("DELETE FROM contact WHERE mail = 'bob'")
        self.d.wait()
        self.expect(("cid", None))
        self.assert_nobody_edited()

    def test_f13_where_the_name_cannot_be_changed_its_children_are_right_as_they_are(self):
        self.begin(a=COMPANIES, b=STIFF, c=COMPANIES)
        self.rename()
        self.assertEqual(self.parked(), [("company", "Acme Ltd", "b", "23503")])
        self.sides["c"].run("UPDATE contact SET phone = '1'")
        self.d.wait()
        self.expect(("ann", "1"), ("bob", "1"), ("cid", "1"), b="Acme")
        self.sides["b"].run("DELETE FROM contact WHERE mail = 'ann'")
        self.sides["c"].run("DELETE FROM contact WHERE mail = 'bob'")
        self.d.wait()
        self.expect(("cid", "1"), b="Acme")
        self.assertEqual(self.parked(), [("company", "Acme Ltd", "b", "23503")])
        self.sides["c"].run("DELETE FROM contact; DELETE FROM company")
        self.d.wait()
        self.expect()
        self.assertEqual([base.one("SELECT count(*) FROM company") for base in self.sides.values()], [0, 0, 0])
        self.assertEqual(self.d.parked(), [])
        self.assert_nobody_edited()

    def test_f13_when_the_name_can_be_changed_after_all_they_follow(self):
        self.begin(a=COMPANIES, b=STIFF)
        self.rename()
        self.sides["a"].run("UPDATE contact SET phone = '1'")
        self.d.wait()
        self.sides["b"].run("ALTER TABLE contact DROP CONSTRAINT contact_company_fkey, ADD FOREIGN KEY (company) REFERENCES company ON UPDATE CASCADE")
        self.d.ctl("parked", "retry")
        self.d.wait()
        self.expect(("ann", "1"), ("bob", "1"), ("cid", "1"))
        self.assertEqual(self.d.parked(), [])
        self.sides["a"].run("INSERT INTO company (name) VALUES ('Other'); "
                            "UPDATE contact SET company = (SELECT id FROM company WHERE name = 'Other') WHERE mail = 'bob'")
        self.d.wait()
        self.assertEqual(self.people("b"), [("ann", "1", "Acme Ltd"), ("bob", "1", "Other"), ("cid", "1", "Acme Ltd")])
        self.assert_nobody_edited()

    MOVE = ("INSERT INTO company (name) VALUES ('Acme'); "
            "UPDATE contact SET company = (SELECT id FROM company WHERE name = 'Acme'), changed = clock_timestamp() WHERE mail = 'ann'")

    def expect_moved(self):
        self.assertEqual({name: [(mail, company) for mail, _, company in self.people(name)] for name in self.sides},
                         dict.fromkeys(self.sides, [("ann", "Acme"), ("bob", "Acme Ltd"), ("cid", "Acme Ltd")]))
        self.assert_nobody_edited()

    def test_f13_a_move_to_a_new_company_of_the_old_name_is_an_edit(self):
        self.begin(a=COMPANIES, b=COMPANIES, c=COMPANIES)
        self.rename()
        self.sides["a"].run(self.MOVE)
        self.d.wait()
        self.expect_moved()

    def test_f13_nor_while_it_waits_for_the_new_name(self):
        """Followed already, and still owed the new name where it was moved."""
        self.begin(a=COMPANIES, b=COMPANIES)
        lock = self.sides["b"].connect()
        lock.run("BEGIN; SELECT FROM company FOR UPDATE")
        self.sides["a"].run("UPDATE company SET name = 'Acme Ltd'")
        eventually(lambda: self.d.entity("company")["pending"] == 1, "the new name is agreed, and owed to b")
        eventually(lambda: [p["code"] for p in self.d.parked()] == ["waits-for-parent"] * 3, "they have followed, and b is owed it")
        self.d.ctl("pause", "contact")
        lock.run("ROLLBACK")
        lock.close()
        eventually(lambda: self.sides["b"].one("SELECT name FROM company") == "Acme Ltd", "the new name is there")
        self.sides["b"].run(self.MOVE)
        self.d.ctl("resume", "contact")
        self.d.wait()
        self.expect_moved()

    def test_f13_a_move_competes_by_when_it_was_made(self):
        self.begin(a=COMPANIES, b=COMPANIES, c=COMPANIES)
        self.d.ctl("pause", "contact")
        self.sides["a"].run("UPDATE company SET name = 'Acme Ltd'; INSERT INTO company (name) VALUES ('Other')")
        eventually(lambda: [base.one("SELECT count(*) FROM company WHERE name IN ('Acme Ltd', 'Other')") for base in self.sides.values()] == [2] * 3,
                   "the new name is everywhere")
        self.sides["a"].run(self.MOVE)
        eventually(lambda: self.sides["b"].one("SELECT count(*) FROM company") == 3, "the new company is everywhere")
        self.sides["b"].run("UPDATE contact SET company = (SELECT id FROM company WHERE name = 'Other'), changed = clock_timestamp() "
                            "WHERE mail = 'ann'")
        self.d.ctl("resume", "contact")
        self.d.wait()
        for name in self.sides:
            self.assertEqual(self.people(name)[0], ("ann", None, "Other"), name)

    def test_many_who_refer_to_it_are_looked_at_by_a_sweep(self):
        self.begin(a=COMPANIES, b=COMPANIES)
        self.sides["a"].run("INSERT INTO contact (mail, company) SELECT 'p' || n, 1 FROM generate_series(1, 500) n")
        self.d.wait()
        self.rename()
        eventually(lambda: self.sides["b"].one("SELECT name FROM company") == "Acme Ltd", "the new name is there")
        self.sides["a"].run(self.MOVE)
        eventually(lambda: ("ann", None, "Acme") in self.people("b"), "she was moved")
        self.d.wait()
        self.assertEqual(self.people("a"), self.people("b"))
        self.assertEqual(self.sides["a"].one("SELECT count(*) FROM contact c JOIN company k ON k.id = c.company WHERE k.name = 'Acme Ltd'"), 502)

    def test_f13_nor_is_a_move_to_it_taken_for_the_old_name_later(self):
        self.begin(a=COMPANIES, b=COMPANIES, c=COMPANIES)
        self.d.ctl("pause", "contact")
        self.sides["a"].run("UPDATE company SET name = 'Acme Ltd'")
        eventually(lambda: [base.one("SELECT name FROM company") for base in self.sides.values()] == ["Acme Ltd"] * 3, "the new name is everywhere")
        self.sides["a"].run(self.MOVE)
        eventually(lambda: self.sides["c"].one("SELECT count(*) FROM company") == 2, "the new company is everywhere")
        self.d.ctl("resume", "contact")
        self.d.wait()
        self.expect_moved()

    def test_f13_a_rename_and_a_move_to_a_new_company_of_the_old_name_at_once(self):
        self.begin(a=COMPANIES, b=COMPANIES, c=COMPANIES)
        self.sides["a"].run("UPDATE company SET name = 'Acme Ltd'; " + self.MOVE)
        self.d.wait()
        self.expect_moved()

    def test_f13_a_move_from_a_new_company_of_the_old_name_is_an_edit(self):
        self.begin(a=COMPANIES, b=COMPANIES)
        self.rename()
        self.sides["a"].run("INSERT INTO company (name) VALUES ('Acme'); "
                            "INSERT INTO contact (mail, company) SELECT 'dan', id FROM company WHERE name = 'Acme'")
        self.d.wait()
        self.assertEqual(self.people("b")[3], ("dan", None, "Acme"))
        self.d.ctl("pause", "b")
        self.sides["a"].run("UPDATE contact SET company = (SELECT id FROM company WHERE name = 'Acme Ltd') WHERE mail = 'dan'")
        eventually(lambda: self.d.entity("contact")["pending"] == 1, "the move is agreed, and owed to b")
        self.sides["b"].run("DELETE FROM contact WHERE mail = 'dan'")
        self.d.ctl("resume", "b")
        self.d.wait()
        self.assertIn(("dan", None, "Acme Ltd"), self.people("b"), "who deleted him had not heard of it")

    def test_f13_as_soon_as_the_name_is_there_they_have_it(self):
        self.begin(a=COMPANIES, b=COMPANIES)
        lock = self.sides["b"].connect()
        lock.run("BEGIN")
        lock.run("SELECT FROM company FOR UPDATE")
        self.sides["a"].run("UPDATE company SET name = 'Acme Ltd'")
        eventually(lambda: self.d.entity("company")["pending"] == 1, "the new name is agreed, and owed to b")
        self.sides["a"].run("UPDATE contact SET phone = '1'; INSERT INTO contact (mail, phone, company) SELECT 'dan', '1', id FROM company")
        eventually(lambda: [p["code"] for p in self.d.parked()] == ["waits-for-parent"] * 4, "nobody points to the row by a name that it has not")
        lock.run("ROLLBACK")
        lock.close()
        eventually(lambda: self.d.parked() == [], "they wait no more")
        self.d.wait()
        self.expect(("ann", "1"), ("bob", "1"), ("cid", "1"), ("dan", "1"))
        self.assert_nobody_edited()

    def test_f13_nor_where_nobody_shows_the_old_name_any_more(self):
        self.begin(a=COMPANIES, b=COMPANIES)
        self.d.ctl("pause", "b")
        self.sides["a"].run("UPDATE company SET name = 'Acme Ltd'")
        eventually(lambda: self.d.entity("company")["pending"] == 1, "the new name is agreed, and owed to b")
        self.sides["a"].run("UPDATE contact SET phone = CASE mail WHEN 'cid' THEN '1' END, changed = clock_timestamp()")
        eventually(lambda: self.d.entity("contact")["pending"] == 3, "people were looked at there")
        self.sides["b"].run("DELETE FROM contact WHERE mail = 'ann'")
        self.d.ctl("resume", "b")
        self.d.wait()
        self.expect(("bob", None), ("cid", "1"))
        self.assert_nobody_edited()

    def test_f13_nor_where_news_of_the_child_comes_first(self):
        self.begin(a=COMPANIES, b=COMPANIES)
        self.d.stop()
        self.sides["a"].run("UPDATE contact SET changed = clock_timestamp()")
        self.sides["a"].run("UPDATE company SET name = 'Acme Ltd'")
        self.sides["b"].run("DELETE FROM contact WHERE mail <> 'cid'")
        self.d.start()
        self.d.wait()
        self.expect(("cid", None))
        self.assert_nobody_edited()

    # ---- two companies exchange their names ------------------------------------------------------------

    def with_bolt(self, **schemas):
        self.begin(**schemas)
        a = self.sides["a"]
        a.run("INSERT INTO company (name) VALUES ('Bolt')")
        a.run("INSERT INTO contact (mail, company) VALUES ('dan', (SELECT id FROM company WHERE name = 'Bolt'))")
        self.d.wait()
        self.was = {name: self.company_of(name) for name in self.sides}

    def company_of(self, name):
        return dict(self.sides[name].run("SELECT mail, company FROM contact"))

    def exchange(self, name="a"):
        self.sides[name].run("BEGIN; UPDATE company SET name = 'between' WHERE name = 'Acme'; UPDATE company SET name = 'Acme' WHERE name = 'Bolt'; "
                             "UPDATE company SET name = 'Bolt' WHERE name = 'between'; COMMIT")

    def assert_with_them(self, **moved):
        """Everybody is in the company where they were, row by row; but for those who are now where somebody else is."""
        self.d.wait()
        self.assertEqual(self.parked(), [])
        for name, was in self.was.items():
            self.assertEqual(self.company_of(name), {mail: was[moved.get(mail, mail)] for mail in self.company_of(name)}, name)
        self.assertEqual(self.people("a"), self.people("b"))
        before = [base.versions() for base in self.sides.values()]
        self.d.ctl("kick", "--sweep")
        self.d.wait()
        self.assertEqual(before, [base.versions() for base in self.sides.values()], "rows were written after quiet")

    def test_people_of_companies_that_exchange_their_names_stay_with_them(self):
        self.with_bolt(a=COMPANIES, b=COMPANIES)
        self.exchange()
        self.sides["a"].run("UPDATE contact SET phone = '1' WHERE mail = 'ann'")
        self.d.wait()
        self.sides["a"].run("UPDATE contact SET phone = '2' WHERE mail = 'dan'")
        self.sides["b"].run("UPDATE contact SET phone = '3' WHERE mail = 'bob'")
        self.assert_with_them()
        self.exchange("b")
        self.assert_with_them()

    def test_who_comes_goes_and_moves_at_the_moment_of_an_exchange_does_so_everywhere(self):
        self.with_bolt(a=COMPANIES, b=COMPANIES)
        self.d.stop()
        a, b = self.sides["a"], self.sides["b"]
        a.run("INSERT INTO contact (mail, company) VALUES ('eve', (SELECT id FROM company WHERE name = 'Acme'))")
        b.run("DELETE FROM contact WHERE mail = 'cid'")
        self.exchange()
        a.run("UPDATE contact SET company = (SELECT company FROM contact WHERE mail = 'dan') WHERE mail = 'bob'")
        self.d.start()
        self.d.wait()
        for name in self.sides:
            self.assertEqual(sorted(self.company_of(name)), ["ann", "bob", "dan", "eve"])
        self.assert_with_them(eve="ann", bob="dan")

    def test_who_was_away_while_names_were_exchanged_has_its_people_right(self):
        self.with_bolt(a=COMPANIES, b=COMPANIES)
        self.d.ctl("pause", "b")
        self.exchange()
        self.sides["a"].run("UPDATE contact SET phone = '1' WHERE mail IN ('ann', 'dan')")
        self.sides["b"].run("UPDATE contact SET phone = '2' WHERE mail = 'bob'")
        eventually(lambda: sum(e["pending"] for e in self.d.status()["entities"]) > 0, "it is owed")
        self.d.ctl("resume", "b")
        self.assert_with_them()

    def test_f13_where_a_name_is_the_id_as_well_nobody_is_moved_while_the_exchange_waits(self):
        """Its rows are known by nothing but their names, so the exchange is not carried out; told by names, everybody would be in the other company."""
        self.with_bolt(a=COMPANIES, b=COMPANIES, c=STIFF)
        self.exchange()
        self.d.wait()
        self.assertEqual(self.parked(), [("company", "Acme", "a", "key-taken"), ("company", "Bolt", "a", "key-taken")])
        self.sides["a"].run("UPDATE contact SET phone = '1' WHERE mail = 'ann'; INSERT INTO contact (mail, company) "
                            "VALUES ('eve', (SELECT id FROM company WHERE name = 'Bolt'))")
        self.d.wait()
        self.assertEqual(self.company_of("b"), self.was["b"])
        self.assertEqual(self.sides["b"].one("SELECT phone FROM contact WHERE mail = 'ann'"), "1")
        self.exchange()
        eventually(lambda: self.d.wait() or self.d.parked() == [] or (False, self.d.parked()), "all of it can be taken")
        self.assert_with_them(eve="ann")

    def test_f13_who_refers_to_a_row_that_stands_aside_with_its_new_name_does_not_differ(self):
        self.with_bolt(a=COMPANIES, b=COMPANIES, c=STIFF)
        self.exchange()
        self.d.wait()
        self.assertEqual(self.parked(), [("company", "Acme", "a", "key-taken"), ("company", "Bolt", "a", "key-taken")])
        verify = self.d.try_ctl("verify", "contact")
        self.assertEqual(verify.returncode, 0, verify.stdout)
        self.assertIn("4 are still being worked on", verify.stdout)


class RenamedBoss(Case):
    """An entity that refers to itself: whoever is renamed and who refers to them may be in one round. All is done while nobody looks."""
    def begin(self, limits="", lock_timeout="100ms", unstamped=""):
        """unstamped: whose rows do not say when they were changed."""
        redis = Redis(self.place)
        self.sides = {name: self.database(f"boss_{name}", EMPLOYEES) for name in "abc"}
        ends = {name: {"connection": base.conninfo, "capture": "listen", "interval": "300ms", "sweep": "1h", "lock_timeout": lock_timeout}
                for name, base in self.sides.items()}
        ends["b"].update(capture="poll", interval="200ms", sweep="1s")
        sides = ", ".join(f"{name}: {{table: employee{'' if name in unstamped else ', modified: changed'}}}" for name in self.sides)
        self.sides["a"].run("INSERT INTO employee (mail, name) VALUES ('pia', 'p'), ('quinn', 'q')")
        self.sides["a"].run("INSERT INTO employee (mail, name, boss) SELECT 'xu', 'x', id FROM employee WHERE name = 'p'")
        self.d = self.daemon(topology(redis, ends, STAFF.format(sides=sides), more=limits))
        self.d.wait()
        self.d.stop()

    def people(self, name):
        return dict(self.sides[name].run("SELECT e.name, b.name FROM employee e LEFT JOIN employee b ON b.id = e.boss"))

    def expect(self, **bosses):
        """Everywhere, by who they are and not by what they are called; and nobody has edited a reference."""
        self.d.wait()
        for name in self.sides:
            self.assertEqual(self.people(name), bosses, name)
        self.assertEqual(self.d.ctl_lines("conflicts"), [])
        self.assertEqual(self.d.parked(), [])

    def move(self, name, who="x", boss="q"):
        self.sides[name].run(f"UPDATE employee SET boss = (SELECT id FROM employee WHERE name = '{boss}') WHERE name = '{who}'")

    def rename(self, name, who, mail):
        self.sides[name].run(f"UPDATE employee SET mail = '{mail}' WHERE name = '{who}'")

    def delete(self, name, who="x"):
        self.sides[name].run(f"DELETE FROM employee WHERE name = '{who}'")

    def note(self, name, who="x"):
        self.sides[name].run(f"UPDATE employee SET note = 'n' WHERE name = '{who}'")

    def exchange(self, name):
        for who, mail in (("p", "between"), ("q", "pia"), ("p", "quinn")):
            self.rename(name, who, mail)

    def test_f13_who_gets_another_boss_keeps_it_although_the_first_one_is_renamed(self):
        self.begin()
        self.move("a")
        self.rename("c", "p", "pam")
        self.note("c")
        self.d.start()
        self.expect(p=None, q=None, x="q")

    def test_f13_who_gets_another_boss_keeps_it_although_both_exchange_their_keys(self):
        self.begin()
        self.move("a")
        self.exchange("c")
        self.d.start()
        self.expect(p=None, q=None, x="q")

    def test_f13_who_is_deleted_stays_so_although_the_boss_is_renamed(self):
        self.begin()
        self.delete("a")
        self.rename("b", "p", "pam")
        self.d.start()
        self.expect(p=None, q=None)

    def test_f13_who_waits_for_news_leaves_room_for_it(self):
        """Whichever side is looked at first: somebody waits there for news of the other one."""
        self.begin("limits: {rounds: 1}")
        self.sides["a"].run("INSERT INTO employee (mail, name, boss) SELECT 'yves', 'y', id FROM employee WHERE name = 'q'")
        self.d.start()
        self.expect(p=None, q=None, x="p", y="q")
        self.d.ctl("pause", "employee")
        self.delete("a", "x")
        self.rename("a", "q", "quentin")
        self.rename("c", "p", "pam")
        self.delete("c", "y")
        self.d.ctl("resume", "employee")
        self.expect(p=None, q=None)

    def test_a_whole_line_of_bosses_is_renamed_and_nobody_has_edited_anything(self):
        self.begin()
        self.move("c", "p", "q")
        self.d.start()
        self.expect(p="q", q=None, x="p")
        self.d.stop()
        self.sides["c"].run("UPDATE employee SET mail = 'c.' || mail")
        self.note("a")
        self.sides["b"].run("INSERT INTO employee (mail, name, boss) SELECT 'yves', 'y', id FROM employee WHERE name = 'x'")
        self.d.start()
        self.expect(p="q", q=None, x="p", y="x")

    def test_f13_who_gets_another_boss_keeps_it_where_all_are_renamed_who_are_the_bosses_of_each_other(self):
        self.begin()
        self.move("c", "p", "x")
        self.move("c", "q", "q")
        self.d.start()
        self.expect(p="x", q="q", x="p")
        self.d.stop()
        self.move("a", "x", "q")
        self.move("a", "q", "p")
        self.sides["c"].run("UPDATE employee SET mail = 'c.' || mail")
        self.d.start()
        self.expect(p="x", q="p", x="q")

    def test_f13_who_is_moved_where_an_exchange_of_keys_is_not_known_yet_is_moved_everywhere(self):
        self.begin()
        self.d.start()
        self.d.wait()
        self.d.ctl("pause", "a")
        self.exchange("c")
        eventually(lambda: dict(self.sides["b"].run("SELECT name, mail FROM employee WHERE name <> 'x'")) == {"p": "quinn", "q": "pia"}, "it is known at b")
        self.move("a")
        self.d.stop()
        self.d.start()
        self.expect(p=None, q=None, x="q")

    # ---- by name the boss of before is the one who is agreed ----------------------------------------------

    def move_unknown_at_c(self, **settings):
        """x gets another boss at a, and is owed to the others."""
        self.begin(**settings)
        self.d.start()
        self.d.wait()
        for name in "bc":
            self.d.ctl("pause", name)
        self.move("a")
        self.expect_pending(2)

    def expect_pending(self, n):
        eventually(lambda: self.d.entity("employee")["pending"] == n or (False, self.d.status()), f"{n} are agreed and owed")

    def look_at_all_of_c(self):
        def last():
            return next(link for link in self.d.entity("employee")["links"] if link["endpoint"] == "c")["last_sweep"]
        before = last()
        self.d.ctl("kick", "--sweep")
        eventually(lambda: last() != before, "c was swept")

    def test_f13_who_gets_another_boss_keeps_it_although_who_shows_that_is_away_when_both_exchange_their_keys(self):
        self.move_unknown_at_c()
        self.d.ctl("pause", "a")
        self.exchange("c")
        self.d.ctl("resume", "c")
        self.look_at_all_of_c()
        self.d.ctl("resume", "b")
        eventually(lambda: self.sides["b"].one("SELECT mail FROM employee WHERE name = 'q'") == "pia", "the exchange is known at b")
        self.look_at_all_of_c()
        self.d.ctl("resume", "a")
        self.expect(p=None, q=None, x="q")

    def note_of_x(self, name):
        return self.sides[name].one("SELECT note FROM employee WHERE name = 'x'")

    def test_f13_while_nobody_can_tell_who_the_boss_is_all_else_that_is_edited_there_goes_its_way(self):
        """At once, and with the time of its own edit: not as news of when who can tell is back."""
        self.move_unknown_at_c(unstamped="c")
        self.d.ctl("pause", "a")
        self.exchange("c")
        self.sides["c"].run("UPDATE employee SET note = 'first' WHERE name = 'x'")
        self.d.ctl("resume", "c")
        self.look_at_all_of_c()
        self.sides["b"].run("UPDATE employee SET note = 'second' WHERE name = 'x'")
        self.d.ctl("resume", "b")
        eventually(lambda: self.note_of_x("c") == "second", "what is edited elsewhere comes to where that is unclear")
        self.assertEqual(self.note_of_x("b"), "second")
        self.sides["c"].run("UPDATE employee SET note = 'third' WHERE name = 'x'")
        eventually(lambda: self.note_of_x("b") == "third", "and what is edited there to others")
        self.assertEqual([self.people(name)["x"] for name in "bc"], ["p", "p"], "who the boss is is still to be told")
        self.d.ctl("resume", "a")
        self.d.wait()
        for name in self.sides:
            self.assertEqual((self.people(name)["x"], self.note_of_x(name)), ("q", "third"), name)
        self.assertEqual([(c["field"], c["winner"]) for c in self.d.ctl_lines("conflicts")], [("note", "b")])
        self.assertEqual(self.d.parked(), [])

    def exchange_against_a_lock(self, failures, **settings):
        self.move_unknown_at_c(**settings)
        lock = self.sides["a"].connect()
        lock.run("BEGIN; SELECT FROM employee WHERE name <> 'x' FOR UPDATE")
        self.exchange("c")
        self.d.ctl("resume", "c")
        eventually(lambda: self.failures("a") >= failures, "it is tried there")
        lock.run("ROLLBACK")
        lock.close()
        self.d.ctl("resume", "b")
        self.expect(p=None, q=None, x="q")

    def test_f13_so_it_is_where_the_exchange_has_yet_to_come_to_who_shows_that(self):
        self.exchange_against_a_lock(5)

    def test_f13_so_it_is_where_the_exchange_is_long_in_coming(self):
        self.exchange_against_a_lock(1, lock_timeout="4s")

    def failures(self, name):
        return next(link for link in self.d.entity("employee")["links"] if link["endpoint"] == name)["failures"]


class RenamedInDoubt(Renamed):
    """A write to b happened, nobody was told, and the daemon is gone; meanwhile the company gets another name there."""

    def way_to(self, name):
        if name != "b":
            return {}
        self.wire = Wire(self.place.path, self.sides["b"].cluster.back_door)
        return {"connection": f"host={self.place.path} dbname={self.sides['b'].name} user=crmsync"}

    def in_doubt(self, sql, word):
        self.begin(a=COMPANIES, b=CASCADING)
        self.wire.lose('"contact"', word)
        self.sides["a"].run(sql)
        eventually(lambda: self.wire.lost == 1, "the answer is lost")
        self.d.kill()
        self.sides["b"].run("UPDATE company SET name = 'Acme Ltd'")

    def go_on(self):
        self.d.start()
        self.d.wait()
        self.expect(("bob", None), ("cid", None))
        self.assert_nobody_edited()

    def test_f13_a_child_that_is_deleted_stays_so_although_a_write_to_it_was_in_doubt(self):
        self.in_doubt("UPDATE contact SET phone = '1' WHERE mail = 'ann'", "UPDATE")
        self.sides["a"].run("DELETE FROM contact WHERE mail = 'ann'")
        self.go_on()

    def test_f13_nor_does_one_stay_whose_insert_was_in_doubt(self):
        self.in_doubt("DELETE FROM contact WHERE mail = 'ann'; INSERT INTO contact (mail, company) SELECT 'dan', id FROM company", "INSERT")
        self.sides["a"].run("DELETE FROM contact WHERE mail = 'dan'")
        self.go_on()


if __name__ == "__main__":
    unittest.main()
