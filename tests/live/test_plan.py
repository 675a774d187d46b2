"""crmsyncctl plan: it says what the next reconcile writes, and writes nothing, at an endpoint, in Redis or in the journal."""
import signal
import subprocess
import unittest

from case import THING, THINGS, Pair, ThreeCrms
from crm import CRMSYNCCTL, eventually, topology


def is_complete(daemon, entity):
    """A plan can be made, and no side is left out of it."""
    return '"complete": true' in daemon.try_ctl("--json", "plan", entity).stdout


class Plan(ThreeCrms):
    def content(self):
        """{endpoint: {entity: {key: {field: value}}}}"""
        return {crm.name: {"account": {number: {"name": name} for number, name in crm.contents()["accounts"]},
                           "contact": crm.people()} for crm in self.crms}

    def redis_content(self):
        """Every vector, id, position and intent; not the lease, nor how far an endpoint was known or a table listed, which go on by themselves."""
        content = {}
        for key in self.redis.call("KEYS", "*"):
            if self.redis.call("TYPE", key) == "hash" and not key.endswith((":lease", ":fence")):
                words = self.redis.call("HGETALL", key)
                content.update({(key, k): v for k, v in zip(words[::2], words[1::2]) if not k.startswith(("epoch/", "watermark/"))})
            elif self.redis.call("TYPE", key) == "string":
                content[key] = self.redis.call("GET", key)
        return content

    def traces(self):
        return ([crm.base.versions() for crm in self.crms], self.redis_content(), self.d.ctl("--json", "conflicts"),
                self.d.ctl("--json", "parked", "list"), self.d.ctl("--json", "held", "list"))

    def plan(self, entity):
        """(lines, sum), and nothing was touched."""
        before = self.traces()
        *lines, total = self.d.ctl_lines("plan", entity)
        self.assertEqual(before, self.traces(), "planning has left a trace")
        return lines, total

    def planned(self, entity):
        """{(endpoint, key): action or the fields of an update}, and the sum."""
        lines, total = self.plan(entity)
        writes = {(w["endpoint"], w["key"]): set(w["fields"]) if w["action"] == "update" else w["action"]
                  for w in lines if w["action"] in ("insert", "update", "delete")}
        self.assertEqual(len(writes), sum(w["action"] in ("insert", "update", "delete") for w in lines), "planned twice")
        return writes, lines, total

    def difference(self, before, after, entity, moved):
        """What was written, in the same words; `moved` are keys that have changed."""
        found = {}
        for name in before:
            old = {moved.get(key, key): {**row, "email": key} for key, row in before[name][entity].items()}
            new = {key: {**row, "email": key} for key, row in after[name][entity].items()}
            old.update({key: {**row, "email": key} for key, row in before[name][entity].items() if key in moved.values()})
            found.update({(name, key): "insert" for key in new if key not in old})
            found.update({(name, key): "delete" for key in old if key not in new})
            found.update({(name, key): {f for f in old[key] if old[key][f] != new[key][f]}
                          for key in old if key in new and old[key] != new[key]})
        return found

    def pause(self):
        for entity in ("account", "contact"):
            self.d.ctl("pause", entity)

    def go_on(self):
        for entity in ("account", "contact"):
            self.d.ctl("resume", entity)
        self.d.wait()

    def assert_comes_true(self, **moved):
        """What is planned now is what is then written, row by row and field by field."""
        before = self.content()
        plans = {entity: self.planned(entity) for entity in ("account", "contact")}
        self.go_on()
        after = self.content()
        for entity, (writes, _, total) in plans.items():
            self.assertEqual(writes, self.difference(before, after, entity, moved))
            self.assertTrue(total["complete"])
            self.assertEqual(total["inserts"] + total["updates"] + total["deletes"], len(writes))
        return plans

    def test_a_paused_entity_is_planned_and_the_reconcile_does_exactly_that(self):
        self.populate(self.sales, people=30)
        self.start()
        self.settled()
        self.pause()
        self.sales.edit("p1@example.org", name="New name")
        self.support.edit("p1@example.org", phone="+49 1")           # another field: both stay
        self.billing.edit("p2@example.org", score=98)
        self.sales.edit("p2@example.org", score=99)                   # a conflict: the later one wins
        self.support.add("new@example.org", name="New", account="A1")
        self.billing.remove("p3@example.org")
        self.sales.edit("p4@example.org", email="moved@example.org")  # another key
        self.sales.base.run("UPDATE crm.contacts SET email = '  ' WHERE email = 'p5@example.org'")
        self.sales.add_account("A9", "Nine")
        self.sales.add("nine@example.org", account="A9")              # its account comes first
        plans = self.assert_comes_true(**{"p4@example.org": "moved@example.org"})
        writes, lines, total = plans["contact"]
        self.assertEqual(writes["sales", "p1@example.org"], {"phone"})
        self.assertEqual(writes["billing", "p1@example.org"], {"name", "phone"})
        self.assertEqual(writes["support", "p3@example.org"], "delete")
        decision = [w for w in lines if w["action"] == "conflict"]
        self.assertEqual([(w["key"], w["field"], w["rule"], w["winner"]) for w in decision],
                         [("p2@example.org", "score", "last-writer-wins", "sales")])
        self.assertEqual(total["conflicts_by_rule"]["last-writer-wins"]["winners"], {"sales": 1})
        self.assertEqual([(w["endpoint"], w["code"], w["field"]) for w in lines if w["action"] == "park"],
                         [(p["endpoint"], p["code"], p["field"]) for p in self.d.parked()])
        by_name = {e["endpoint"]: e for e in total["endpoints"]}
        self.assertEqual(by_name["billing"]["after_parent"], 1)
        self.assertEqual(by_name["sales"]["fields"], {"phone": 1})
        self.pause()
        self.assertEqual(self.planned("contact")[0], {}, "nothing is left")
        self.assertEqual(self.planned("contact")[2]["endpoints"][0]["parked_already"], 1)

    def test_the_first_reconcile_is_planned_before_it_begins(self):
        for number, crm in enumerate(self.crms):
            self.populate(crm, people=20 + number, accounts=3)
            crm.add(f"{crm.name}@example.org", name=crm.name, account="A0")
            crm.add("known@example.org", name=crm.name, score=number)
        self.sales.add("P1@Example.org", name="second row with this key")
        self.d = self.daemon(self.topology(), run=False)
        self.d.start("--paused")
        eventually(lambda: all(e["state"] == "up" for e in self.d.status()["endpoints"]) and self.d.status()["redis"]["state"] == "up",
                   "all are there")
        eventually(lambda: is_complete(self.d, "account"), "they are greeted")
        self.assertEqual(self.planned("contact")[2]["inserts"], 9)
        plans = self.assert_comes_true()
        writes, lines, total = plans["contact"]
        self.assertEqual(writes["support", "sales@example.org"], "insert")
        self.assertEqual([(w["endpoint"], w["code"]) for w in lines if w["action"] == "park"], [("sales", "duplicate-key")])
        self.assertEqual({w["field"] for w in lines if w["action"] == "conflict"}, {"name", "score"})
        self.assertGreater(total["conflicts"], 0)

    def test_many_deletes_would_be_held_and_few_carried_out(self):
        self.populate(self.sales, people=60)
        self.start()
        self.settled()
        self.pause()
        self.support.base.run("DELETE FROM people WHERE score < 25")
        self.billing.base.run("DELETE FROM payers WHERE points = 50")
        lines, total = self.plan("contact")
        self.assertEqual([(e["endpoint"], e["deletes"], e["held"]) for e in total["endpoints"]],
                         [("sales", 1, 0), ("support", 1, 25), ("billing", 0, 0)])
        self.assertEqual({w["key"] for w in lines if w["action"] == "delete"}, {"p50@example.org"})

    def test_the_summary_is_for_people_and_an_endpoint_that_is_away_is_named(self):
        self.populate(self.sales, people=5)
        self.start()
        self.settled()
        self.pause()
        self.d.ctl("pause", "billing")
        self.sales.edit("p1@example.org", name="x")
        text = self.d.ctl("plan", "contact")
        self.assertIn("would write 1 update. Nothing was written now.", text)
        self.assertIn("update for example p1@example.org", text)
        self.assertIn("billing: not looked at", " ".join(text.split()))
        self.assertFalse(self.d.ctl_lines("plan", "contact")[-1]["complete"])
        self.d.ctl("plan", "nobody", code=64)

    def test_whoever_leaves_ends_the_planning_and_the_next_one_is_served(self):
        self.populate(self.sales, people=50)
        self.start()
        self.settled()
        lock = self.support.base.connect()
        lock.run("BEGIN; LOCK TABLE people")
        self.addCleanup(lock.close)
        ctl = subprocess.Popen([CRMSYNCCTL, "-s", self.d.control, "--json", "plan", "contact"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
        eventually(lambda: "command name=plan" in self.d.log, "it is being planned")
        self.d.ctl("plan", "contact", code=75)
        ctl.send_signal(signal.SIGINT)
        self.assertEqual(ctl.communicate(timeout=10)[0], "", "no progress among the data")
        self.assertEqual(ctl.returncode, 130)
        lock.run("ROLLBACK")
        eventually(lambda: self.d.try_ctl("plan", "contact").returncode == 0, "the next one is served")


RULES = """
thing:
  key: [k]
  fields: {k: {type: text}, code: {type: text}, name: {type: text}, amount: {type: decimal}, total: {type: decimal}}
  conflict: {rule: last-writer-wins, priority: [b, a], deletes: RULE, fields: {code: mirror, name: manual, amount: max, total: add}}
  mappings: {a: {table: things, modified: changed}, b: {table: things, modified: changed}}
"""


class PlannedRules(Pair):
    """Each rule decides in a plan as it decides in the reconcile behind it."""
    name = "planned_rules"
    a_sql = b_sql = THINGS + "ALTER TABLE things ADD total numeric;"
    columns = "k, code, name, amount::text, total::text"

    def content(self):
        return {side: {row[0]: row for row in self.rows(base, self.columns)} for side, base in (("a", self.a), ("b", self.b))}

    def assert_comes_true(self):
        before = self.content()
        *lines, total = self.d.ctl_lines("plan", "thing")
        planned = {(w["endpoint"], w["key"], w["action"], *w["fields"] * (w["action"] == "update"))
                   for w in lines if w["action"] in ("insert", "update", "delete")}
        decided = sorted((w["key"], w["field"], w["winner"]) for w in lines if w["action"] == "conflict")
        known = len(self.d.ctl_lines("conflicts"))
        self.d.ctl("resume", "thing")
        self.d.wait()
        after, names = self.content(), ("k", "code", "name", "amount", "total")
        written = {(side, k, "delete") for side in before for k in before[side] if k not in after[side]} \
            | {(side, k, "insert") for side in before for k in after[side] if k not in before[side]} \
            | {(side, k, "update", *(n for n, x, y in zip(names, before[side][k], after[side][k]) if x != y))
               for side in before for k in before[side] if after[side].get(k, before[side][k]) != before[side][k]}
        self.assertEqual(planned, written)
        self.assertEqual(decided, sorted((d["key"], d["field"], d["winner"]) for d in self.d.ctl_lines("conflicts")[known:]))
        self.assertEqual(total["waiting"], sum(d[2] is None for d in decided))
        return decided

    def rule(self, deletes):
        for base, mark in ((self.a, "a"), (self.b, "b")):
            base.run("INSERT INTO things (k, code, name, amount, total) SELECT 'k' || n, $1, $1, n + length($2), 10 "
                     "FROM generate_series(1, 3) n", mark, mark * (1 + (mark == "b")))
        sides = {name: {"connection": base.conninfo, "capture": "listen"} for name, base in (("a", self.a), ("b", self.b))}
        self.d = self.daemon(topology(self.redis, sides, RULES.replace("RULE", deletes)), run=False)
        self.d.start("--paused")
        eventually(lambda: is_complete(self.d, "thing"), "all are there")
        self.assertIn(("k1", "name", None), self.assert_comes_true())
        self.d.ctl("pause", "thing")
        self.a.run("UPDATE things SET code = 'x', amount = 1, total = total + 1 WHERE k = 'k1'")
        self.b.run("UPDATE things SET code = 'y', amount = 99, total = total + 5 WHERE k = 'k1'")
        self.a.run("DELETE FROM things WHERE k = 'k2'")
        self.b.run("UPDATE things SET code = 'still wanted' WHERE k = 'k2'")
        self.b.run("DELETE FROM things WHERE k = 'k3'")
        self.assert_comes_true()

    def test_every_rule_is_planned_as_it_decides_and_update_wins(self):
        self.rule("update-wins")

    def test_every_rule_is_planned_as_it_decides_and_delete_wins(self):
        self.rule("delete-wins")


class LargePlan(Pair):
    name = "large_plan"

    def test_more_than_memory_has_room_for_is_planned_in_several_passes(self):
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || n, 'x' FROM generate_series(1, 4000) n")
        self.b.run("INSERT INTO things (k, name) SELECT 'k' || n, nullif('x', CASE WHEN n % 100 = 0 THEN 'x' END) FROM generate_series(501, 4500) n")
        sides = {name: {"connection": base.conninfo, "capture": "listen"} for name, base in (("a", self.a), ("b", self.b))}
        self.d = self.daemon(topology(self.redis, sides, THING, more="limits: {batch_bytes: 64KiB, rounds: 1}"), run=False)
        self.d.start("--paused")
        eventually(lambda: is_complete(self.d, "thing"), "all are there")
        *lines, total = self.d.ctl_lines("plan", "thing")
        self.assertGreater(total["passes"], 1)
        self.assertEqual((total["inserts"], total["updates"]), (1000, 35))
        inserts = [(w["endpoint"], w["key"]) for w in lines if w["action"] == "insert"]
        self.assertEqual(set(inserts), {("b", f"k{n}") for n in range(1, 501)} | {("a", f"k{n}") for n in range(4001, 4501)})
        self.assertEqual(len(inserts), 1000)


if __name__ == "__main__":
    unittest.main()
