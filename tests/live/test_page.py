"""The status page as people see it: in a browser, wide and on a phone, light and dark, with its script and without.

Chromium has to be here; without it the tests fail. CRM_SCREENSHOTS=DIRECTORY keeps pictures of what they saw.
"""
import os
import pathlib
import subprocess
import unittest

from browser import OVERFLOW, PALE, Browser
from case import ThreeCrms
from crm import CRMSYNCCTL, eventually, free_port

WIDE, PHONE = 1280, 360
ANN = "p1@example.org"
REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"


class StatusPage(ThreeCrms):
    def setUp(self):
        super().setUp()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self.start()
        self.populate(self.sales, people=5)
        self.settled()

    def topology(self, entities=None, **settings):
        return super().topology(entities, **settings).replace("stats.sock\n", f"stats.sock\n  listen: 127.0.0.1:{self.port}\n")

    def trouble(self):
        """Sales has room for 20; and support lets nobody in any more."""
        self.support.edit(ANN, phone="1" * 21)
        eventually(lambda: self.d.entity("contact")["parked"] == 1, "a record is parked")
        admin = self.support.base.cluster.admin
        admin.run("ALTER DATABASE support ALLOW_CONNECTIONS false")
        admin.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'support' AND usename = 'crmsync'")
        eventually(lambda: self.d.endpoint("support")["reason"] and self.d.endpoint("support")["state"] == "down", "support is down")
        eventually(lambda: self.d.endpoint("support")["availability"]["minutes"].get("down_seconds"), "it is known since when it is down")

    def keep(self, browser, name):
        directory = os.environ.get("CRM_SCREENSHOTS")
        if directory:
            browser.screenshot(pathlib.Path(directory) / f"{name}.png")

    def rows(self, browser, table):
        """{row: {column: text}}; what belongs to a row stands under "note"."""
        return browser.run(f"""Object.fromEntries([...document.querySelectorAll("table[aria-labelledby={table}] tbody tr:not(.note)")].map(
            row => [row.querySelector("th").firstChild.data.trim(), Object.fromEntries([["note", row.nextElementSibling?.textContent ?? ""],
                ...[...row.querySelectorAll("td")].map(cell => [cell.dataset.column, cell.innerText])])]))""")

    def shows_the_trouble(self, browser):
        status = self.d.status()
        self.assertEqual(browser.run("document.querySelector('h1').textContent"), status["summary"])
        self.assertEqual(browser.run("document.title"), f"acme: {status['summary']}")
        endpoints = self.rows(browser, "endpoints")
        self.assertEqual({name: row["State"] for name, row in endpoints.items()}, {"sales": "up", "support": "down", "billing": "up"})
        self.assertIn(self.d.endpoint("support")["reason"], endpoints["support"]["note"])
        self.assertIn("deletions included", endpoints["sales"]["note"])
        self.assertEqual(browser.run("[...document.querySelectorAll('table[aria-labelledby=endpoints] tr:not(.note):has(.late) th')]"
                                     ".map(th => th.firstChild.data.trim())"), ["support"])
        for column in ("Up, 1 h", "24 h", "30 d"):
            self.assertRegex(endpoints["support"][column], r"^\d+\.\d %\s+([\d.]+ to [\d.]+ %\s+)?\d+(\.\d)? % seen$")
        links = self.rows(browser, "links")
        self.assertEqual(len(links), 6)
        self.assertEqual(links["contact on sales"]["Parked"], "1")
        self.assertEqual(self.rows(browser, "entities")["contact"]["Parked"], "1")
        self.assertIn("crmsyncctl parked list --entity contact", browser.run("document.querySelector('header li').textContent"))

    def is_read_aloud(self, browser):
        """A table stays one for those who hear the page, also where it does not look like one."""
        roles = [node["role"]["value"] for node in browser.call("Accessibility.getFullAXTree")["nodes"] if not node["ignored"]]
        self.assertEqual(roles.count("table"), 3)
        self.assertEqual(roles.count("rowheader"), 3 + 6 + 2)
        self.assertEqual(roles.count("columnheader"), len(browser.run("[...document.querySelectorAll('thead th')].map(th => th.innerText)")))
        charts = browser.run("[...document.querySelectorAll('svg')].map(svg => svg.getAttribute('aria-label'))")
        self.assertEqual([label.split(" in the last hour: ")[0] for label in charts],
                         [*self.rows(browser, "endpoints"), *self.rows(browser, "links"), "The whole"])

    def is_sound(self, browser):
        self.assertEqual(browser.complaints, [])
        self.assertEqual([r for r in browser.requests if r != self.url and not r.startswith("data:image/svg+xml,")], [])
        self.assertEqual(browser.run(OVERFLOW), 0, "the page scrolls sideways")
        self.assertEqual(browser.run(PALE), [])

    def test_it_shows_the_trouble_at_any_width_in_any_light_without_its_script_and_stays_fresh(self):
        self.trouble()
        browser = Browser(self.place)
        for name, form in (("wide", {"width": WIDE}), ("wide dark", {"width": WIDE, "dark": True}), ("phone dark", {"dark": True}),
                           ("no script", {"script": False}), ("phone", {})):
            with self.subTest(name):
                browser.open(self.url, **{"width": PHONE, **form})
                self.shows_the_trouble(browser)
                self.is_sound(browser)
                self.is_read_aloud(browser)
                self.keep(browser, name.replace(" ", "-"))
        for width in (320, 660, 1050, 1060, 2000):
            browser.resize(width)
            self.assertEqual(browser.run(OVERFLOW), 0, f"the page scrolls sideways at {width}")
        self.shows_a_job(browser)
        self.refreshes(browser)
        self.assertEqual([c for c in browser.complaints if "ERR_CONNECTION_REFUSED" not in c], [])
        self.runs_nothing_else(browser)

    def shows_a_job(self, browser):
        """One that waits for a row that somebody has locked."""
        with self.billing.base.connect() as session:
            session.run("BEGIN")
            self.billing.edit("p2@example.org", session, name="Locked")
            self.sales.edit("p2@example.org", name="Waits")
            with subprocess.Popen([CRMSYNCCTL, "-s", self.d.control, "verify", "contact"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ctl:
                row = eventually(lambda: browser.run(REFRESH) and self.rows(browser, "jobs").get("verify contact"), "the page shows the job")
                self.assertEqual(row["Asked by"], "operator")
                for width in (320, PHONE, WIDE):
                    browser.resize(width)
                    self.assertEqual(browser.run(OVERFLOW), 0, f"the page scrolls sideways at {width}")
                    self.keep(browser, f"job-{width}")
                self.assertEqual(browser.run(PALE), [])
                ctl.terminate()

    def refreshes(self, browser):
        sentence, silence = "document.querySelector('h1').textContent", "document.getElementById('silence').innerText"
        browser.run("scrollTo(0, 300)")
        self.d.ctl("pause", "billing")
        browser.run(REFRESH)
        eventually(lambda: "1 paused" in browser.run(sentence), "the page shows what is new")
        self.assertEqual(browser.run("scrollY"), 300)
        self.d.stop()
        browser.run(REFRESH)
        eventually(lambda: browser.run(silence).startswith("Not answering since "), "the page says that nobody answers")
        self.assertIn("1 paused", browser.run(sentence))
        self.d.start()
        browser.run(REFRESH)
        eventually(lambda: browser.run(silence) == "", "the page says no more that nobody answers")

    def runs_nothing_else(self, browser):
        browser.run("""{ const s = document.createElement("script"); s.textContent = "window.ran = true"; document.body.append(s); }""")
        self.assertIsNone(browser.run("window.ran"))
        self.assertIn("Content Security Policy", " ".join(browser.complaints))


if __name__ == "__main__":
    unittest.main()
