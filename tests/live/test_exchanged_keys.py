"""F13: rows that exchange their record keys, two of them or any circle, are renamed everywhere and stay the rows that they were."""
import unittest

from case import THING, THINGS, Pair, needs_failpoints
from crm import eventually, topology
from killing import LONG, MOMENTS, Killing

# By hand as it is done with a unique index: by a key between.
SWAP = ("BEGIN; UPDATE things SET k = 'between' WHERE k = '{0}'; UPDATE things SET k = '{0}' WHERE k = '{1}'; "
        "UPDATE things SET k = '{1}' WHERE k = 'between'; COMMIT")
HURTS = ("intend/answered", "apply/sent", "apply/answered", "mark/sent")
UNIQUE = THINGS + "ALTER TABLE things ADD UNIQUE (code);"


class Exchange(Pair):
    """What is k1 has the code c1: the codes tell who is who when the keys have changed."""
    a_sql = b_sql = UNIQUE
    more = ""

    def setUp(self):
        super().setUp()
        self.a.run("INSERT INTO things (k, code, name) SELECT 'k' || n, 'c' || n, 'name ' || n FROM generate_series(0, 9) n")
        self.begin(self.more)
        self.settled()
        self.ids = dict(self.b.run("SELECT code, id FROM things"))

    def swap(self, base, first="k1", second="k2"):
        base.run(SWAP.format(first, second))

    def keys(self, base=None):
        return dict((base or self.b).run("SELECT code, k FROM things"))

    def assert_keys(self, **keys):
        """... everywhere, in the rows that had them; nothing is parked or written any more."""
        self.settled()
        self.assertEqual({code: self.keys()[code] for code in keys}, keys)
        self.assertEqual(dict(self.b.run("SELECT code, id FROM things")), self.ids, "its rows were renamed, not filled anew")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()


class Exchanged(Exchange):
    def met(self):
        """Records that the daemon has met for the first time since it was started."""
        self.settled()
        return sum(value for name, value in self.d.metrics().items() if "first_contact_records_total" in name)

    def test_f13_rows_that_exchange_their_keys_are_renamed_everywhere(self):
        met = self.met()
        self.swap(self.a)
        self.assertEqual(self.met(), met, "they are known as before, and not met anew")
        self.assert_keys(c1="k2", c2="k1")
        met = self.met()
        self.swap(self.b)
        self.assertEqual(self.met(), met, "they are known as before, and not met anew")
        self.assert_keys(c1="k1", c2="k2")

    def test_a_circle_of_keys_is_turned_and_a_chain_beside_it(self):
        self.a.run("BEGIN; UPDATE things SET k = 'x' || k; UPDATE things SET name = 'new', k = 'k' || CASE WHEN n < 4 THEN n % 3 + 1 ELSE n + 1 END "
                   "FROM (SELECT id AS i, right(k, 1)::int AS n FROM things) AS t WHERE i = id AND n > 0; "
                   "UPDATE things SET k = 'k0' WHERE k = 'xk0'; COMMIT")
        self.assert_keys(c1="k2", c2="k3", c3="k1", c4="k5", c8="k9", c9="k10")
        self.assertEqual(self.b.one("SELECT count(*) FROM things WHERE name = 'new'"), 9)

    def test_a_circle_of_a_whole_batch(self):
        self.a.run("INSERT INTO things (k, code) SELECT 'k' || n, 'c' || n FROM generate_series(10, 1499) n")
        self.settled()
        self.ids = dict(self.b.run("SELECT code, id FROM things"))
        self.a.run("BEGIN; UPDATE things SET k = 'x' || k; UPDATE things SET k = 'k' || (substr(code, 2)::int + 1) % 1500; COMMIT")
        self.assert_keys(c0="k1", c700="k701", c1499="k0")

    def test_what_was_edited_elsewhere_meanwhile_stays_with_its_row(self):
        self.d.stop()
        self.swap(self.a)
        self.b.run("UPDATE things SET name = 'of one' WHERE k = 'k1'; UPDATE things SET amount = 2 WHERE k = 'k2'")
        self.d.start()
        self.assert_keys(c1="k2", c2="k1")
        self.assertEqual(self.b.run("SELECT code, name, amount::text FROM things WHERE code IN ('c1', 'c2') ORDER BY 1"),
                         [("c1", "of one", None), ("c2", "name 2", "2")])

    def test_of_both_sides_who_have_exchanged_the_same_nothing_is_left_to_do(self):
        self.d.stop()
        self.swap(self.a)
        self.swap(self.b)
        self.d.start()
        self.assert_keys(c1="k2", c2="k1")

    def test_one_of_them_is_given_a_third_key_elsewhere(self):
        self.d.stop()
        self.swap(self.a)
        self.b.run("UPDATE things SET k = 'own' WHERE k = 'k2'")
        self.d.start()
        self.assert_keys(c1="k2", c2="own")

    def test_a_delete_of_one_of_them_elsewhere_ends_that_one_or_loses_to_the_new_key(self):
        self.d.stop()
        self.b.run("DELETE FROM things WHERE k = 'k1'")
        self.swap(self.a)
        self.d.start()
        self.settled()
        self.assertEqual(self.keys(), {**{f"c{n}": f"k{n}" for n in range(10)}, "c1": "k2", "c2": "k1"}, "update-wins: it comes back")
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_exchanged_keys_and_unique_values_at_once(self):
        self.a.run("UPDATE things SET code = 'c' WHERE k = 'k1'; UPDATE things SET code = 'c1' WHERE k = 'k2'; UPDATE things SET code = 'c2' WHERE k = 'k1'")
        self.swap(self.a)
        self.settled()
        self.assertEqual([self.b.one(f"SELECT id FROM things WHERE k = '{k}' AND code = '{code}'") for k, code in (("k2", "c2"), ("k1", "c1"))],
                         [self.ids["c1"], self.ids["c2"]])
        self.assertEqual(self.d.parked(), [])

    def test_a_plan_tells_of_both_what_becomes_of_them(self):
        self.d.ctl("pause", "thing")
        self.swap(self.a)
        lines = self.d.ctl_lines("plan", "thing")
        self.assertEqual({(w["endpoint"], w["key"]) for w in lines if w.get("what") == "write" or w.get("action")}, {("b", "k1"), ("b", "k2")}, lines)
        self.assertEqual([w for w in lines if "code" in w], [])
        self.d.ctl("resume", "thing")
        self.assert_keys(c1="k2", c2="k1")


class OneByOne(Exchanged):
    """Whoever comes first finds its key taken; it is looked at again with the one that comes after it."""
    more = "limits:\n  batch_rows: 1\n  rounds: 1"
    test_a_plan_tells_of_both_what_becomes_of_them = None       # it does not look again
    test_a_circle_of_a_whole_batch = None       # what is parked is tried again in portions of 500


class Polled(Exchanged):
    a_capture = b_capture = {"capture": "poll", "interval": "100ms", "sweep": "1h"}
    test_a_delete_of_one_of_them_elsewhere_ends_that_one_or_loses_to_the_new_key = None    # a poll does not see deletes

    def setUp(self):
        trigger = ("CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.changed := clock_timestamp(); RETURN NEW; END$$; "
                   "CREATE TRIGGER touch BEFORE UPDATE ON things FOR EACH ROW EXECUTE FUNCTION touch();")
        self.a_sql = self.b_sql = UNIQUE + trigger
        super().setUp()


class Refused(Exchange):
    """At b a rule of its own stands in the way."""

    def refuse(self):
        self.b.run("ALTER TABLE things ADD CONSTRAINT as_they_are CHECK (NOT (code = 'c1' AND k <> 'k1'))")
        self.swap(self.a)
        self.d.wait()
        eventually(lambda: {p["endpoint"] for p in self.d.parked()} == {"b"} or (False, self.d.parked()), "what b refuses is parked")
        self.assertEqual((self.keys()["c1"], self.keys()["c2"]), ("k1", "k2"))

    def test_where_they_are_refused_edits_go_on_and_they_follow_when_they_may(self):
        self.refuse()
        for code, name in (("c1", "of one"), ("c2", "of two")):         # not both at once: then each would find the other
            self.b.run("UPDATE things SET name = $1 WHERE code = $2", name, code)
            self.d.wait()
            self.assertEqual(self.a.one("SELECT name FROM things WHERE code = $1", code), name)
        self.b.run("ALTER TABLE things DROP CONSTRAINT as_they_are")
        eventually(lambda: self.d.try_ctl("parked", "retry") and self.d.wait() is None and self.keys()["c1"] == "k2", "they follow")
        self.assert_keys(c1="k2", c2="k1")

    def test_exchanged_back_they_are_as_they_were(self):
        self.refuse()
        self.swap(self.a)
        self.d.wait()
        eventually(lambda: self.d.parked() == [] or (False, self.d.parked()), "nothing is owed any more")
        self.assert_keys(c1="k1", c2="k2")


class Away(Exchange):
    def test_who_was_away_is_given_the_keys_when_it_comes_back_with_an_edit(self):
        self.d.ctl("pause", "b")
        self.swap(self.a)
        self.a.run("UPDATE things SET name = 'more' WHERE k = 'k5'")
        self.b.run("UPDATE things SET name = 'of one' WHERE code = 'c1'")
        eventually(lambda: self.d.status()["entities"][0]["pending"] > 0, "it is owed")
        self.d.ctl("resume", "b")
        self.assert_keys(c1="k2", c2="k1")
        self.assertEqual(self.a.one("SELECT name FROM things WHERE code = 'c1'"), "of one")


class Waiting(Exchange):
    entities = THING + "  conflict: {fields: {name: manual}}\n"

    def test_where_a_field_waits_for_a_person_they_are_renamed_once_he_has_decided(self):
        self.d.stop()
        self.a.run("UPDATE things SET name = 'of a' WHERE k = 'k1'")
        self.b.run("UPDATE things SET name = 'of b' WHERE k = 'k1'")
        self.d.start()
        eventually(lambda: len(self.d.ctl_lines("conflicts", "--waiting")) == 1, "it waits")
        self.swap(self.a)
        eventually(lambda: {p["code"] for p in self.d.parked()} == {"key-taken"}, "they stand aside")
        self.d.ctl("decide", "thing", self.d.ctl_lines("conflicts", "--waiting")[0]["key"], "name", "a")
        self.assert_keys(c1="k2", c2="k1")
        self.assertEqual(self.b.run("SELECT name FROM things WHERE code = 'c1'"), [("of a",)])


@needs_failpoints
class Killed(Killing, Exchange):
    """kill -9 at each step of the round that has them in work."""

    def test_killed_meanwhile_both_are_there_as_ever(self):
        now = {"c1": "k1", "c2": "k2"}
        for place in [f"{step}/{moment}" for step in ("keys", "intend", "apply", "mark", "ack") for moment in MOMENTS] if LONG else HURTS:
            self.arm(f"round/{place}", happening=lambda: self.swap(self.a))
            self.dies(place)
            now = {"c1": now["c2"], "c2": now["c1"]}
            self.settled()
            self.assertEqual({code: self.keys()[code] for code in now}, now, place)
            self.assertEqual(self.d.parked(), [])
        self.assert_keys(**now)

    def test_killed_where_one_of_them_was_there_already(self):
        """There is nothing to write of that one, and its place is taken all the same."""
        def happening():
            self.b.run("UPDATE things SET k = 'w' WHERE k = 'k1'; UPDATE things SET k = 'k1' WHERE k = 'k2'")
            self.swap(self.a)

        self.arm("round/intend/answered", happening=happening)
        self.dies("round/intend/answered")
        self.assert_keys(c1="k2", c2="k1")


class KnownByKey(Pair):
    """At b the key is the row's id as well: nothing else tells there who is who."""
    b_sql = ("CREATE TABLE things (k text PRIMARY KEY, code text, name text, amount numeric, "
             "changed timestamptz NOT NULL DEFAULT clock_timestamp());")

    def test_f13_a_row_whose_id_is_its_key_is_the_same_row_by_another_one(self):
        self.a.run("INSERT INTO things (k, code) SELECT 'k' || n, 'c' || n FROM generate_series(1, 3) n")
        self.begin()
        for base, old, new in ((self.a, "k1", "x"), (self.a, "x", "y"), (self.b, "y", "z"), (self.a, "z", "k1"), (self.b, "k2", "x"), (self.a, "x", "k2")):
            base.run("UPDATE things SET k = $1 WHERE k = $2", new, old)
            self.assertEqual(len(self.settled()), 3)
        self.b.run("UPDATE things SET name = 'of b'")
        self.settled()
        self.a.run("DELETE FROM things WHERE k = 'k2'")
        self.assertEqual(self.settled(), [("k1", "c1", "of b", None), ("k3", "c3", "of b", None)])
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_f13_where_rows_are_known_by_their_keys_both_are_parked_until_one_of_them_steps_aside(self):
        self.a.run("INSERT INTO things (k, code) SELECT 'k' || n, 'c' || n FROM generate_series(1, 3) n")
        self.begin()
        self.settled()
        self.a.run(SWAP.format("k1", "k2") + "; UPDATE things SET name = 'goes on' WHERE k = 'k3'")
        self.d.wait()
        self.assertEqual([(p["code"], p["endpoint"]) for p in self.d.parked()], [("key-taken", "a")] * 2)
        self.assertEqual(self.b.run("SELECT k, code, name FROM things ORDER BY 1"), [("k1", "c1", None), ("k2", "c2", None), ("k3", "c3", "goes on")])
        self.a.run("UPDATE things SET k = 'x' WHERE code = 'c1'")
        eventually(lambda: self.d.wait() or self.d.parked() == [], "the other one follows")
        self.a.run("UPDATE things SET k = 'k2' WHERE k = 'x'")
        self.assertEqual([row[:2] for row in self.settled()], [("k1", "c2"), ("k2", "c1"), ("k3", "c3")])
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()


class ThreeSides(Pair):
    """c was away when one of the two was made."""

    def setUp(self):
        super().setUp()
        self.c = self.database("modes_c", UNIQUE)
        self.a.run("INSERT INTO things (k, code, name) SELECT 'k' || n, 'c' || n, 'name ' || n FROM generate_series(0, 5) n")

    def start(self, more=""):
        sides = {name: {"connection": base.conninfo, **self.a_capture} for name, base in (("a", self.a), ("b", self.b), ("c", self.c))}
        self.d = self.daemon(topology(self.redis, sides, THING + "    c: {table: things, modified: changed}\n", more=more))

    def test_a_side_that_lacks_one_of_them_has_both_in_the_end(self):
        self.begin()
        self.d.ctl("pause", "c")
        self.a.run("INSERT INTO things (k, code, name) VALUES ('k9', 'c9', 'new')")
        eventually(lambda: self.b.one("SELECT count(*) FROM things WHERE k = 'k9'") == 1, "b has it")
        self.a.run(SWAP.format("k1", "k9"))
        eventually(lambda: self.b.one("SELECT k FROM things WHERE code = 'c9'") == "k1", "they have been exchanged")
        self.c.run("UPDATE things SET name = 'of one' WHERE code = 'c1'")
        self.d.ctl("resume", "c")
        self.d.wait()
        everywhere = [sorted(base.run("SELECT code, k, name FROM things")) for base in (self.a, self.b, self.c)]
        self.assertEqual((everywhere[0], everywhere[0]), (everywhere[1], everywhere[2]))
        self.assertEqual(dict((code, (k, name)) for code, k, name in everywhere[2])["c1"], ("k9", "of one"))
        self.assertEqual(self.d.parked(), [])


if __name__ == "__main__":
    unittest.main()
