"""F19: texts that differ and are the same key to one of the databases."""
import unittest

from case import THING, THINGS, Pair
from crm import eventually

LOOSE = "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"


class Keys(Pair):
    name = "keys"

    def key(self, a, b, clean="", before=""):
        """The types of the key column there."""
        for base, kind in ((self.a, a), (self.b, b)):
            base.run(f"{before if kind in before or 'loose' in kind else ''} ALTER TABLE things ALTER k TYPE {kind}")
        self.entities = THING.replace("k: {type: text}", f"k: {{type: text, clean: [{clean}]}}")

    def link(self, endpoint):
        return next(link for link in self.d.entity("thing")["links"] if link["endpoint"] == endpoint)

    def refused(self, endpoint, word="takes"):
        """The words."""
        eventually(lambda: word in self.link(endpoint)["reason"] or self.b.one("SELECT count(*) FROM things") > 0, f"{endpoint} is refused, or not")
        self.assertIn(word, self.link(endpoint)["reason"])
        self.assertFalse(self.link(endpoint)["usable"])
        return self.link(endpoint)["reason"]

    def assert_refused(self, word, remedy, sides=("b",)):
        self.a.run("INSERT INTO things (k) VALUES ('a'), (U&'\\00e9'), (U&'e\\0301')")
        self.start()
        for side in sides:
            why = self.refused(side)
            self.assertIn(word, why)
            self.assertIn(f"endpoint {'b' if side == 'a' else 'a'} tells them apart", why)
            self.assertEqual("clean" in why, bool(remedy), why)
            self.assertIn(remedy, why)
        self.assertEqual(self.d.endpoint("b")["state"], "up", "its other tables go on")
        self.assertEqual(self.b.one("SELECT count(*) FROM things"), 0)
        self.assertEqual(self.d.parked(), [])
        self.d.restart()
        self.refused("b")

    def test_f19_citext_beside_text_is_refused_with_words(self):
        self.key("text", "citext", before="CREATE EXTENSION citext;")
        self.assert_refused("'a' and 'A'", "add lower")

    def test_f19_a_domain_with_a_check_over_citext_too(self):
        self.key("text", "mail", before="CREATE EXTENSION citext; CREATE DOMAIN mail AS citext CHECK (length(VALUE) <> 1);")
        self.assert_refused("'a' and 'A'", "add lower")

    def test_f19_a_collation_that_is_not_deterministic_is_refused_with_words(self):
        self.key("text", 'text COLLATE loose', before=LOOSE)
        self.assert_refused("'a' and 'A'", "add lower")

    def test_f19_letters_of_several_characters_are_refused_although_case_is_cleaned(self):
        self.key("text", 'text COLLATE loose', clean="lower", before=LOOSE)
        self.assert_refused("as one character and as several", "")

    def test_f19_padding_beside_none_is_refused_with_words(self):
        self.key("text", "char(10)")
        self.assert_refused("'a' and 'a '", "add trim")

    def test_f19_padding_to_unequal_lengths_is_refused_on_both_sides(self):
        self.key("char(5)", "char(10)")
        self.assert_refused("blanks", "add trim", sides=("a", "b"))

    def test_f19_what_cleaning_makes_the_same_flows(self):
        self.key("char(10)", "citext", clean="trim, lower", before="CREATE EXTENSION citext;")
        self.a.run("INSERT INTO things (k, name) VALUES ('One', 'a'), ('two', 'a')")
        self.b.run("INSERT INTO things (k, code) VALUES ('ONE', 'b'), ('three', 'b')")
        self.begin()
        self.a.run("UPDATE things SET amount = 1 WHERE k = 'One'")
        self.d.wait()
        self.b.run("UPDATE things SET amount = amount + 1 WHERE k = 'one'")
        self.d.wait()
        self.assertEqual(*[sorted((k.strip().lower(), *rest) for k, *rest in self.rows(base)) for base in (self.a, self.b)])
        self.assertEqual(self.a.run("SELECT trim(k), amount::int FROM things ORDER BY 1"), [("One", 2), ("three", None), ("two", None)])
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_f19_sides_that_compare_alike_flow(self):
        self.key("text COLLATE loose", "text COLLATE loose", before=LOOSE)
        self.a.run("INSERT INTO things (k) VALUES ('a')")
        self.begin()
        self.b.run("UPDATE things SET k = 'A', name = 'b' WHERE k = 'a'")
        self.assertEqual(self.settled("k, name"), [("A", "b")])
        self.assertEqual(self.d.parked(), [])

    def test_f19_a_column_that_is_changed_is_noticed_and_changed_back_it_goes_on(self):
        self.b.run("CREATE EXTENSION citext")
        self.begin()
        self.b.run("ALTER TABLE things ALTER k TYPE citext")
        self.d.ctl("reload")        # else it is noticed within a minute, and what was mended within seconds
        self.refused("b", "takes 'a' and 'A'")
        self.a.run("INSERT INTO things (k) VALUES ('a')")
        self.b.run("ALTER TABLE things ALTER k TYPE text")
        eventually(lambda: self.b.one("SELECT count(*) FROM things") == 1, "it goes on")
        self.settled()


if __name__ == "__main__":
    unittest.main()
