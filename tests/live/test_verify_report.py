"""The report of a verification as a file, in a browser."""
import stat
import unittest

from browser import OVERFLOW, PALE, Browser
from case import THING, Pair, behind_our_back

HOSTILE = """<script>document.title = 'ran'</script><img src=http://127.0.0.1:9/x onerror="document.title = 'ran'">&amp;'"\u202e"""
# {table: {record: its cells}}
TABLES = """Object.fromEntries([...document.querySelectorAll("table")].map(t => [document.getElementById(t.getAttribute("aria-labelledby")).textContent,
    Object.fromEntries([...t.querySelectorAll("tbody tr:not(.note)")].map(
        row => [row.querySelector("th").textContent, [...row.querySelectorAll("td")].map(c => c.textContent)]))]))"""


class Report(Pair):
    name = "report"

    def report(self, *words, code=0):
        path = self.place.path / "report.html"
        self.d.ctl("verify", "--html", str(path), *words, code=code)
        return path

    def differ(self):
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || i, 'name ' || i FROM generate_series(1, 20) i")
        self.begin()
        self.a.run("ALTER TABLE things ADD CHECK (name <> 'x')")
        self.b.run("ALTER TABLE things ADD CHECK (name <> 'refused')")
        self.a.run("UPDATE things SET name = 'refused' WHERE k = 'k2'")
        self.d.wait()
        behind_our_back(self.b, "UPDATE things SET name = 'changed', changed = '2001-01-01' WHERE k = 'k3'",
                        "DELETE FROM things WHERE k = 'k7'")
        self.b.run("INSERT INTO things (k, name, changed) VALUES ($1, 'x', '2001-01-01')", HOSTILE)
        self.d.wait()

    def test_it_says_what_was_found_and_runs_and_asks_for_nothing(self):
        self.differ()
        path = self.report(code=1)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
        self.assertEqual([p.name for p in path.parent.glob("report*")], ["report.html"])
        browser = Browser(self.place)
        for form in ({"width": 1280}, {"width": 1280, "dark": True}, {"width": 360}):
            with self.subTest(form):
                browser.open(path.as_uri(), **form)
                self.assertNotEqual(browser.run("document.title"), "ran")
                self.assertEqual(browser.run("document.querySelector('h1').textContent"),
                                 "2 of 21 records do not agree, for no known reason: 1 different, 1 missing; 2 known and open")
                tables = browser.run(TABLES)
                self.assertEqual(tables["Records by entity"], {"thinga and b": ["21", "17", "0", "2", "1", "1", "0", "0"]})
                self.assertEqual(tables["thing: 1 different for no known reason"], {"k3": ["name", "a id 3, b id 3", "-"]})
                self.assertEqual(tables["thing: 1 missing"], {"k7": ["-", "a id 7", "b"]})
                self.assertEqual(set(tables["thing: 2 known and open"]), {"k2", HOSTILE.replace("\u202e", "\ufffd")})
                self.assertEqual((browser.complaints, browser.requests), ([], [path.as_uri()]))
                self.assertEqual(browser.run(OVERFLOW), 0, "the report scrolls sideways")
                self.assertEqual(browser.run(PALE), [])

    def test_a_private_key_is_not_in_it(self):
        self.entities = THING.replace("k: {type: text}", "k: {type: text, private: true}")
        self.differ()
        text = self.report(code=1).read_text()
        self.assertIn("(private)", text)
        self.assertIn("id <bdi>7</bdi>", text)
        self.assertNotIn("k7", text)

    def test_without_a_result_there_is_no_file(self):
        self.start()
        self.d.wait()           # before Redis is there the answer is another one
        self.d.ctl("pause", "b")
        path = self.place.path / "report.html"
        self.d.ctl("verify", "thing", "--html", str(path), code=69)
        self.assertEqual(list(path.parent.glob("report*")), [])
        ran = self.d.try_ctl("verify", "--html", str(self.place.path / "nowhere" / "r.html"))
        self.assertEqual(ran.returncode, 2)
        self.assertIn("cannot be made: No such file", ran.stderr)


if __name__ == "__main__":
    unittest.main()
