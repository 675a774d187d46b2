"""The application's triggers find what they name without its schema, and nothing in its path stands in for what the daemon names."""
import unittest

from case import Case
from crm import Redis, eventually, topology

TABLE = """
CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, code text UNIQUE, name text);
"""
# Every kind of trigger leaves its mark; so does a function in a constraint. All names are without a schema.
TRIGGERS = """
CREATE SCHEMA app;
CREATE TABLE app.marks (kind text, op text);
CREATE TABLE app.changelog (what text);
CREATE FUNCTION app.mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO marks VALUES (TG_ARGV[0], TG_OP); INSERT INTO changelog VALUES (TG_OP); RETURN coalesce(NEW, OLD); END $$;
CREATE TRIGGER after_row AFTER INSERT OR UPDATE OR DELETE ON things FOR EACH ROW EXECUTE FUNCTION app.mark('after row');
CREATE TRIGGER before_statement BEFORE INSERT OR UPDATE OR DELETE ON things EXECUTE FUNCTION app.mark('before statement');
CREATE TRIGGER after_statement AFTER INSERT OR UPDATE OR DELETE ON things EXECUTE FUNCTION app.mark('after statement');
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR UPDATE OR DELETE ON things DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION app.mark('at commit');
CREATE FUNCTION app.known(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) >= 0 FROM marks); END $$;
SET search_path = app, public;
ALTER TABLE things ADD CHECK (app.known(name));
RESET search_path;
"""
BEFORE_ROW = """
CREATE TRIGGER before_row BEFORE INSERT OR UPDATE OR DELETE ON things FOR EACH ROW EXECUTE FUNCTION app.mark('before row');
"""
# Each is a better match for some call than the server's own, for whoever looks through this schema.
DECOYS = """
CREATE FUNCTION app.quote_ident(name) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'a decoy was called'; END $$;
CREATE FUNCTION app.set_config(text, text, boolean) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'a decoy was called'; END $$;
CREATE FUNCTION app.same(int, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'a decoy was called'; END $$;
CREATE FUNCTION app.same(varchar, varchar) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'a decoy was called'; END $$;
CREATE OPERATOR app.= (FUNCTION = app.same, LEFTARG = varchar, RIGHTARG = varchar);
CREATE FUNCTION app.now(VARIADIC int[]) RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'a decoy was called'; END $$;
GRANT USAGE ON SCHEMA app TO application;
GRANT SELECT, INSERT ON app.marks, app.changelog TO application;
"""
ENTITY = """
thing:
  key: [k]
  fields:
    k: {type: text}
    code: {type: text}
    name: {type: text}
  mappings:
    a: {table: things}
    b: {table: things}
"""


class SearchPath(Case):
    """At a the unique constraint waits for the commit, so that values can be swapped there."""
    more = BEFORE_ROW
    kinds = {"before row", "after row", "before statement", "after statement", "at commit"}

    def setUp(self):
        super().setUp()
        self.redis = Redis(self.place)
        self.a = self.database("path_a", TABLE.replace("code text UNIQUE", "code text UNIQUE DEFERRABLE INITIALLY DEFERRED"))
        self.b = self.database("path_b", TABLE + TRIGGERS + self.more + DECOYS)
        self.b.run("ALTER ROLE crmsync IN DATABASE path_b SET search_path = app, \"$user\", public")
        self.d = self.daemon(topology(
            self.redis, {name: {"connection": base.conninfo, "capture": "listen", "interval": "1s", "sweep": "1h"}
                         for name, base in (("a", self.a), ("b", self.b))}, ENTITY))

    def marks(self, op):
        found = {kind for kind, in self.b.run("SELECT DISTINCT kind FROM app.marks WHERE op = $1", op)}
        self.b.run("TRUNCATE app.marks")
        return found

    def carried(self, sql, op):
        self.a.run(sql)
        self.d.wait()
        self.assertEqual(*(sorted(base.run("SELECT k, code, name FROM things")) for base in (self.a, self.b)), self.d.parked())
        self.assertEqual(self.d.parked(), [])
        self.assertEqual(self.marks(op), self.kinds, op)

    def test_triggers_find_what_they_name_without_its_schema(self):
        self.carried("INSERT INTO things (k, code) VALUES ('one', 'c')", "INSERT")
        self.carried("INSERT INTO things (k, code) SELECT 'k' || n, 'c' || n FROM generate_series(1, 20) n", "INSERT")
        self.carried("INSERT INTO things (k, code) SELECT 'm' || n, 'm' || n FROM generate_series(1, 300) n", "INSERT")
        self.carried("UPDATE things SET name = 'new' WHERE k LIKE 'k%'", "UPDATE")
        self.carried("UPDATE things SET code = CASE k WHEN 'k1' THEN 'c2' ELSE 'c1' END WHERE k IN ('k1', 'k2')", "UPDATE")
        self.carried("DELETE FROM things WHERE k IN ('k3', 'one')", "DELETE")
        self.assertGreater(self.b.one("SELECT count(*) FROM app.changelog"), 300, "the application's own, not ours")
        self.assertEqual(self.b.one("SELECT current_setting('search_path') FROM pg_sleep(0)"), '"$user", public')

    def test_a_trigger_that_really_names_nothing_holds_its_table_up_with_words(self):
        self.d.wait()
        self.b.run("DROP TABLE app.marks CASCADE")
        self.a.run("INSERT INTO things (k) VALUES ('one')")
        eventually(lambda: 'relation "marks" does not exist' in str(self.d.entity("thing")), "status says so")


class ByCopy(SearchPath):
    """No trigger before a row: many rows go by COPY."""
    more = ""
    kinds = SearchPath.kinds - {"before row"}
    test_a_trigger_that_really_names_nothing_holds_its_table_up_with_words = None


if __name__ == "__main__":
    unittest.main()
