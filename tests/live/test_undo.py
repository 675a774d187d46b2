"""history and undo: what our writes wrote over, and putting it back where nobody has touched it since."""
import json
import re
import resource
import signal
import subprocess
import unittest

from case import Pair, ThreeCrms, needs_failpoints
from crm import CRMSYNCCTL, eventually
from killing import Killing


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


class Undoing:
    """self.d is the daemon."""

    def undo(self, *words, code=0):
        """(the records that were not restored (of a dry run: all): {key: line}, the sum)"""
        *told, total = lines(self.d.ctl("--json", "undo", *words, code=code))
        return {line["key"]: line for line in told if "outcome" in line}, total

    def history(self, *words):
        return lines(self.d.ctl("--json", "history", *words))

    def newest_run(self, source=None):
        return next(run["run"] for run in self.history("--runs") if source in (None, run["source"]))


class Undo(Undoing, Killing, Pair):
    name = "undo"

    def fill(self, n):
        self.a.run(f"INSERT INTO things (k, code, name, amount) SELECT 'k' || i, 'c' || i, 'name ' || i, i FROM generate_series(1, {n}) i")
        self.begin()
        self.settled()
        self.before = self.rows(self.a)

    def test_a_bad_import_of_ten_thousand_records_is_undone_where_nobody_touched_it(self):
        self.fill(10000)
        self.a.run("UPDATE things SET name = 'bad', code = NULL")
        self.settled()
        self.b.run("UPDATE things SET name = 'mended by hand' WHERE k IN ('k7', 'k77')")
        self.b.run("DELETE FROM things WHERE k = 'k777'")
        self.settled()
        journal = self.d.status()["journal"]
        self.assertEqual(journal["images"], 10003)
        self.assertGreater(journal["images_bytes"], 10000)
        run = str(self.newest_run("a"))
        would, planned = self.undo("--run", run, "--dry-run", code=1)
        told, total = self.undo("--run", run, code=1)
        self.assertEqual((total["restored"], total["skipped"], total["partly"]), (9997, 3, 2))
        self.assertEqual({**total, "dry_run": True, "run": None}, planned)
        self.assertEqual({key: line["outcome"] for key, line in would.items() if line["outcome"] != "restored"},
                         {key: line["outcome"] for key, line in told.items()})
        self.assertEqual({key: (line["outcome"], line["skipped_fields"], line["code"]) for key, line in told.items()},
                         {"k7": ("partly", ["name"], "changed-since"), "k77": ("partly", ["name"], "changed-since"),
                          "k777": ("skipped", ["code", "name"], "gone")})
        rows = {row[0]: row for row in self.settled()}
        self.assertEqual(rows["k7"][1:3], ("c7", "mended by hand"))
        self.assertEqual([row for key, row in rows.items() if key not in told], [row for row in self.before if row[0] not in told])
        self.assertNotIn("k777", rows)
        self.assert_quiet()

    def test_a_dry_run_says_what_it_would_write_and_writes_nothing(self):
        self.fill(3)
        self.a.run("UPDATE things SET name = 'bad' WHERE k IN ('k1', 'k2')")
        self.settled()
        self.b.run("UPDATE things SET name = 'mine' WHERE k = 'k2'")
        rows = self.settled()
        run = self.newest_run("a")
        told, total = self.undo("--run", str(run), "--dry-run", code=1)
        self.assertEqual((total["restored"], total["skipped"], total["run"]), (1, 1, None))
        self.assertEqual((told["k1"]["outcome"], told["k1"]["endpoints"], told["k1"]["fields"]),
                         ("restored", ["a", "b"], {"name": {"now": "bad", "restored": "name 1"}}))
        self.assertEqual((told["k2"]["outcome"], told["k2"]["code"], told["k2"]["endpoints"]), ("skipped", "changed-since", []))
        self.assertEqual(self.settled(), rows)

    def test_an_undo_can_be_undone(self):
        self.fill(5)
        self.a.run("UPDATE things SET name = 'bad', amount = amount + 100")
        bad = self.settled()
        _, total = self.undo("--since", "10m", "--entity", "thing", "--rule", "last-writer-wins")
        self.assertEqual((total["restored"], total["values_restored"]), (5, 10))
        self.assertEqual(self.settled(), self.before)
        _, again = self.undo("--run", str(total["run"]))
        self.assertEqual(again["restored"], 5)
        self.assertEqual(self.settled(), bad)
        self.assert_quiet()

    def test_undone_twice_it_is_as_it_was_before_all_the_same(self):
        self.fill(5)
        self.b.run("DELETE FROM things WHERE k IN ('k1', 'k2', 'k3')")      # of its own delete b has no image
        self.b.run("UPDATE things SET name = 'bad' WHERE k = 'k4'")
        self.settled()
        self.a.run("INSERT INTO things (k, name) VALUES ('k2', 'anew'), ('k3', 'anew')")
        self.settled()
        self.b.run("UPDATE things SET name = 'edited' WHERE k = 'k2'")
        self.settled()
        would, _ = self.undo("--since", "1h", "--dry-run")
        self.assertEqual({key: line["puts_back"] for key, line in would.items()}, {"k1": "record", "k2": "again", "k3": "again", "k4": "values"})
        _, total = self.undo("--since", "1h")
        self.assertEqual((total["restored"], total["skipped"]), (4, 0))
        self.assertEqual(self.settled(), self.before)
        for _ in range(2):
            told, total = self.undo("--since", "1h", code=1)
            self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}),
                             (0, {key: "already" for key in ("k1", "k2", "k3", "k4")}))
            self.assertEqual(self.settled(), self.before)
        self.assert_quiet()

    def test_who_touched_what_was_inserted_anew_keeps_it(self):
        self.fill(2)
        self.b.run("DELETE FROM things WHERE k IN ('k1', 'k2')")
        self.settled()
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'anew'), ('k2', 'anew')")
        self.settled()
        until = self.d.status()["time"]
        self.b.run("UPDATE things SET name = 'mine' WHERE k = 'k2'")
        self.settled()
        told, total = self.undo("--since", "1h", "--until", until, code=1)
        self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}), (1, {"k2": "changed-since"}))
        self.assertEqual([row[2] for row in self.settled()], ["name 1", "mine"])

    def test_one_record_goes_back_by_its_last_run(self):
        self.fill(2)
        self.a.run("UPDATE things SET name = 'changed'")
        self.settled()
        self.b.run("UPDATE things SET name = 'bad'")
        self.settled()
        self.undo("--entity", "thing", "--key", "k2")
        self.assertEqual([row[2] for row in self.settled()], ["bad", "changed"])
        [newest, *_] = self.history("--key", "k2")
        self.assertEqual((newest["source"], newest["operation"], newest["fields"]["name"]["before"], newest["fields"]["name"]["after"]),
                         ("(undo)", "update", "bad", "changed"))

    def undo_while_b_writes(self, sql, *words):
        """Somebody at b has written that in a transaction that commits only when the undo waits for its row: (the exit code, the lines)"""
        editor = self.b.connect()
        editor.run("BEGIN")
        editor.run(sql)
        asked = subprocess.Popen([CRMSYNCCTL, "-s", self.d.control, "--json", "undo", *words], stdout=subprocess.PIPE, text=True)
        eventually(lambda: self.b.one("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"),
                   "our write waits for the row")
        editor.run("COMMIT")
        editor.close()
        told = lines(asked.communicate()[0])
        return asked.returncode, told

    def test_an_edit_that_nobody_had_seen_when_the_undo_was_given_stands_and_is_told(self):
        self.fill(20)
        self.a.run("UPDATE things SET name = 'bad'")
        self.settled()
        code, (told, total) = self.undo_while_b_writes("UPDATE things SET name = 'mended', changed = clock_timestamp() WHERE k = 'k5'",
                                                       "--run", str(self.newest_run("a")))
        self.assertEqual((code, told["key"], told["code"], total["restored"], total["skipped"]), (1, "k5", "changed-since", 19, 1))
        self.assertEqual(self.settled(), [row if row[0] != "k5" else ("k5", "c5", "mended", "5") for row in self.before])
        self.assert_quiet()

    def test_an_edit_of_another_field_at_that_moment_holds_up_nothing(self):
        self.fill(20)
        self.a.run("UPDATE things SET name = 'bad'")
        self.settled()
        code, told = self.undo_while_b_writes("UPDATE things SET code = 'mine', changed = clock_timestamp() WHERE k = 'k5'",
                                              "--run", str(self.newest_run("a")))
        self.assertEqual((code, [line["restored"] for line in told]), (0, [20]))
        self.assertEqual(self.settled(), [row if row[0] != "k5" else ("k5", "mine", "name 5", "5") for row in self.before])

    def test_who_enters_a_record_anew_while_it_comes_back_keeps_it(self):
        self.fill(3)
        self.a.run("DELETE FROM things WHERE k IN ('k1', 'k2')")
        self.settled()
        code, (told, total) = self.undo_while_b_writes("INSERT INTO things (k, name) VALUES ('k2', 'anew')", "--run", str(self.newest_run("a")))
        self.assertEqual((code, told["key"], told["code"], total["restored"]), (1, "k2", "there-again", 1))
        self.assertEqual({row[0]: row[2] for row in self.settled()}, {"k1": "name 1", "k2": "anew", "k3": "name 3"})
        self.assert_quiet()

    def test_who_edits_a_record_while_it_is_ended_keeps_it(self):
        self.fill(1)
        self.a.run("INSERT INTO things (k, name) VALUES ('n1', 'bad'), ('n2', 'bad')")
        self.settled()
        code, (told, total) = self.undo_while_b_writes("UPDATE things SET name = 'mine', changed = clock_timestamp() WHERE k = 'n2'",
                                                       "--run", str(self.newest_run("a")))
        self.assertEqual((code, told["key"], told["code"], total["restored"]), (1, "n2", "changed-since", 1))
        self.assertEqual({row[0]: row[2] for row in self.settled()}, {"k1": "name 1", "n2": "mine"})
        self.assert_quiet()

    def test_what_somebody_edited_at_a_side_that_is_away_stands_when_it_is_back(self):
        self.fill(2)
        self.a.run("UPDATE things SET name = 'bad'")
        self.settled()
        self.d.ctl("pause", "b")
        self.b.run("UPDATE things SET name = 'by b', changed = clock_timestamp() WHERE k = 'k1'")
        self.undo("--since", "1h")
        self.d.ctl("resume", "b")
        self.assertEqual([row[2] for row in self.settled()], ["by b", "name 2"])
        self.assert_quiet()

    def test_what_the_other_side_refused_is_put_back_where_it_was_made_and_owed_no_more(self):
        self.fill(10)
        self.b.run("ALTER TABLE things ADD CHECK (name <> 'bad 5')")
        self.b.run("CREATE TABLE tickets (id serial, thing bigint REFERENCES things)")
        self.b.run("INSERT INTO tickets (thing) SELECT id FROM things WHERE k = 'k7'")
        self.a.run("UPDATE things SET name = 'bad ' || id WHERE id <= 5")
        self.a.run("DELETE FROM things WHERE k IN ('k6', 'k7')")
        self.d.wait()
        self.assertEqual({line["key"]: line["code"] for line in self.d.parked()}, {"k5": "23514", "k7": "23503"})
        run = str(self.newest_run("a"))
        would, planned = self.undo("--run", run, "--dry-run")
        self.assertEqual((planned["restored"], would["k5"]["endpoints"], would["k7"]["endpoints"]), (7, ["a"], ["a"]))
        _, total = self.undo("--run", run)
        self.assertEqual((total["restored"], total["skipped"]), (7, 0))
        self.assertEqual(self.settled(), self.before)
        self.assertEqual(self.d.parked(), [])
        self.b.run("DROP TABLE tickets")
        self.d.ctl("parked", "retry")
        self.assertEqual(self.settled(), self.before, "the delete that was undone is not carried out later")
        self.assert_quiet()

    def test_one_record_whose_write_was_refused_goes_back_by_its_key(self):
        self.fill(2)
        self.b.run("ALTER TABLE things ADD CHECK (name <> 'bad')")
        self.a.run("UPDATE things SET name = 'bad' WHERE k = 'k1'")
        self.d.wait()
        self.undo("--entity", "thing", "--key", "k1")
        self.assertEqual(self.settled(), self.before)

    def test_an_insert_that_was_refused_is_told(self):
        self.fill(2)
        self.b.run("ALTER TABLE things ADD CHECK (name <> 'refused')")
        self.a.run("INSERT INTO things (k, name) VALUES ('new', 'refused')")
        self.d.wait()
        for words in (("--since", "1h", "--dry-run"), ("--since", "1h")):
            told, total = self.undo(*words, code=1)
            self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}), (0, {"new": "refused"}))
            self.assertIn("delete it there", told["new"]["reason"])

    def test_deletes_that_are_held_are_told(self):
        self.fill(60)
        until = self.d.status()["time"]
        self.a.run("UPDATE things SET name = 'bad' WHERE id = 1")
        self.a.run("DELETE FROM things WHERE id > 30")
        self.d.wait()
        [held] = self.d.ctl_lines("held", "list")
        run = str(self.newest_run("a"))
        for words in (("--run", run, "--dry-run"), ("--since", "1h"), ("--since", until, "--source", "a")):
            told, total = self.undo(*words, code=1)
            held_ones = {key: line for key, line in told.items() if line.get("code") == "held"}
            self.assertEqual(len(held_ones), held["deletes"], words)
        self.assertIn(f"crmsyncctl held discard {held['set']} brings it back there", held_ones.popitem()[1]["reason"])
        for words in (("--since", "1h", "--until", until), ("--since", "1h", "--source", "b"), ("--since", "1h", "--rule", "delete-wins")):
            self.assertNotIn('"held"', self.d.try_ctl("--json", "undo", *words, "--dry-run").stdout, words)
        self.d.ctl("held", "discard", held["set"])
        self.assertEqual(self.settled(), self.before)

    def test_it_does_not_wait_for_what_is_none_of_its_business(self):
        self.fill(10)
        self.a.run("UPDATE things SET name = 'bad' WHERE id <= 5")
        self.settled()
        holder = self.b.connect()
        holder.run("BEGIN")
        holder.run("SELECT FROM things WHERE k = 'k9' FOR UPDATE")
        self.a.run("UPDATE things SET name = 'edited' WHERE k = 'k9'")
        eventually(lambda: self.b.one("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"),
                   "the write of another record waits")
        began = self.b.one("SELECT clock_timestamp()")
        _, total = self.undo("--since", "1h", "--until", self.d.status()["time"], "--entity", "thing", "--key", "k1")
        self.assertEqual(total["restored"], 1)
        self.assertTrue(self.b.one("SELECT clock_timestamp() < $1::timestamptz + '15s'", began), "and not until all is settled")
        holder.run("COMMIT")
        holder.close()
        self.settled()

    def test_what_waits_says_for_what(self):
        self.fill(3)
        self.a.run("UPDATE things SET name = 'bad'")
        self.settled()
        self.d.ctl("pause", "thing")
        told, total = self.undo("--since", "1h", code=1)
        self.assertEqual((total["waiting"], {(line["outcome"], line["code"]) for line in told.values()}), (3, {("waits", "paused")}))
        self.assertIn("the entity is paused", told["k1"]["reason"])
        self.d.ctl("resume", "thing")
        self.assertEqual(self.settled(), self.before, "it is taken up at once")

    def test_what_is_brought_later_to_a_side_that_was_away_is_of_the_same_undo(self):
        self.fill(6)
        self.a.run("UPDATE things SET name = 'bad' WHERE k IN ('k1', 'k2')")
        self.a.run("DELETE FROM things WHERE k IN ('k3', 'k4')")
        self.a.run("INSERT INTO things (k, name) VALUES ('new', 'bad')")
        bad = self.settled()
        self.d.ctl("pause", "b")
        _, total = self.undo("--since", "1h")
        self.assertEqual((total["restored"], total["skipped"]), (5, 0))
        self.d.ctl("resume", "b")
        self.assertEqual(self.settled(), self.before)
        self.assertEqual([run["source"] for run in self.history("--runs")], ["(undo)", "a"])
        written = self.history("--run", str(total["run"]))
        self.assertEqual(sorted(line["endpoint"] for line in written), ["a"] * 5 + ["b"] * 5)
        _, again = self.undo("--run", str(total["run"]))
        self.assertEqual((again["restored"], again["skipped"]), (5, 0))
        self.assertEqual(self.settled(), bad)
        self.assert_quiet()

    def test_a_source_is_one_of_the_topology_or_of_the_journal(self):
        self.fill(1)
        self.a.run("UPDATE things SET name = 'changed'")
        self.settled()
        self.d.stop()
        self.d.write(re.sub(r"^( +)a:", r"\1c:", self.d.file.read_text(), flags=re.MULTILINE))
        self.d.start()
        self.d.wait()
        self.assertEqual([line["source"] for line in self.history("--source", "a")], ["a"], "it has left, and is known all the same")
        for words in (("history", "--source", "nobody"), ("undo", "--since", "1h", "--source", "nobody")):
            self.assertIn("there is no source 'nobody'; there are c, b, (undo), (operator)", self.d.ctl("--json", *words, code=64))
        self.assertIn("there is no rule 'newest'; there are ", self.d.ctl("--json", "undo", "--since", "1h", "--rule", "newest", code=64))

    def test_deleted_records_come_back_and_inserted_ones_go(self):
        self.fill(3)
        self.a.run("DELETE FROM things WHERE k IN ('k1', 'k2')")
        self.b.run("INSERT INTO things (k, name) VALUES ('new', 'bad')")
        self.b.run("INSERT INTO things (k, name) VALUES ('kept', 'bad')")
        self.settled()
        self.a.run("UPDATE things SET name = 'good' WHERE k = 'kept'")
        self.a.run("INSERT INTO things (k, name) VALUES ('k2', 'anew')")
        self.settled()
        runs = [run for run in self.history("--runs")]
        last = {run["source"]: run["run"] for run in runs}
        told, total = self.undo("--run", str(last["b"]), code=1)
        self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}), (1, {"kept": "changed-since"}))
        self.settled()
        told, total = self.undo("--entity", "thing", "--key", "k1")
        rows = {row[0]: row[2] for row in self.settled()}
        self.assertEqual(rows, {"k1": "name 1", "k2": "anew", "k3": "name 3", "kept": "good"})
        self.assert_quiet()

    def test_what_was_copied_is_not_deleted_by_an_undo(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('early', 'refused'), ('k1', 'name 1')")
        self.b.run("ALTER TABLE things ADD CHECK (name <> 'refused')")
        self.begin()
        self.assertEqual(self.history(), [], "a first load writes over nothing")
        self.accept_at_b()
        rows = self.settled()
        told, total = self.undo("--since", "1h", code=1)
        self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}), (0, {"early": "copied"}))
        self.assertEqual(self.settled(), rows)

    def is_taken_in(self):
        eventually(lambda: self.a.one("SELECT count(*) FROM crmsync.changelog") == 0, "all of a's is taken in")

    def test_f24_what_was_inserted_while_the_others_were_away_goes_with_the_run_that_brought_it_to_them(self):
        self.fill(3)
        self.d.ctl("pause", "b")
        self.a.run("INSERT INTO things (k, name) VALUES ('new', 'bad'), ('edited', 'bad'), ('theirs', 'bad')")
        self.is_taken_in()
        self.a.run("UPDATE things SET name = 'bad, too' WHERE k = 'new'")
        self.is_taken_in()
        self.b.run("INSERT INTO things (k, name) VALUES ('theirs', 'bad')")
        self.d.kill()
        self.d.start()
        self.d.ctl("resume", "b")
        self.settled()
        run = str(self.newest_run("a"))
        self.b.run("UPDATE things SET name = 'good' WHERE k = 'edited'")
        self.settled()
        told, total = self.undo("--run", run, code=1)
        told.pop("theirs", None)        # its insert may have been tried, and refused, before b's own was read
        self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}), (1, {"edited": "changed-since"}))
        self.assertEqual({row[0]: row[2] for row in self.settled()},
                         {"k1": "name 1", "k2": "name 2", "k3": "name 3", "edited": "good", "theirs": "bad"})
        self.assert_quiet()

    def accept_at_b(self):
        self.b.run("ALTER TABLE things DROP CONSTRAINT things_name_check")
        self.d.ctl("parked", "retry")

    def test_what_was_inserted_at_the_second_try_only_goes_all_the_same(self):
        self.fill(3)
        self.b.run("ALTER TABLE things ADD CHECK (name <> 'refused')")
        self.a.run("INSERT INTO things (k, name) VALUES ('late', 'refused'), ('edited', 'refused')")
        self.d.wait()
        self.accept_at_b()
        self.settled()
        until = self.d.status()["time"]
        self.b.run("UPDATE things SET name = 'good' WHERE k = 'edited'")
        self.settled()
        [first, again] = self.history("--key", "late")[::-1]
        self.assertEqual((first["failed"], again["failed"]), (True, False))
        told, total = self.undo("--since", "1h", "--until", until, code=1)
        self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}), (1, {"edited": "changed-since"}))
        self.assertEqual([row for row in self.settled() if row[0] != "edited"], self.before)
        self.assert_quiet()

    def test_what_was_inserted_before_the_time_that_is_asked_for_stays(self):
        self.fill(3)
        self.b.run("ALTER TABLE things ADD CHECK (name <> 'refused')")
        self.a.run("INSERT INTO things (k, name) VALUES ('late', 'refused')")
        self.d.wait()
        since = self.d.status()["time"]
        self.accept_at_b()
        rows = self.settled()
        told, _ = self.undo("--since", since, code=1)
        self.assertEqual({key: line["code"] for key, line in told.items()}, {"late": "copied"})
        self.assertEqual(self.settled(), rows)

    def test_a_record_gets_its_former_key_back(self):
        self.fill(2)
        self.a.run("UPDATE things SET code = 'bad' WHERE k = 'k1'")
        self.settled()
        self.a.run("UPDATE things SET k = 'renamed', name = 'bad' WHERE k = 'k1'")
        self.settled()
        self.undo("--since", "1h")
        self.assertEqual(self.settled(), self.before)
        self.assert_quiet()

    def fill_disk(self):
        """As good as that. Answers the limit of before."""
        return resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))

    def test_f13_where_its_former_key_is_anothers_the_rest_goes_back_without_it(self):
        self.fill(2)
        self.a.run("UPDATE things SET k = 'renamed', name = 'bad', amount = 77 WHERE k = 'k1'")
        self.settled()
        self.b.run("INSERT INTO things (k, name) VALUES ('k1', 'another')")
        self.settled()
        told, total = self.undo("--run", str(self.newest_run("a")), code=1)
        self.assertEqual({key: (line["outcome"], line["code"], line["skipped_fields"]) for key, line in told.items()},
                         {"renamed": ("partly", "key-taken", ["k"])})
        self.assertEqual(self.settled(), [("k1", None, "another", None), *self.before[1:], ("renamed", "c1", "name 1", "1")])
        self.assert_quiet()

    def test_f13_what_waits_of_an_undo_does_not_come_once_that_is_undone(self):
        self.fill(3)
        self.a.run("UPDATE things SET name = 'bad'")
        bad = self.settled()
        self.d.ctl("pause", "thing")
        _, total = self.undo("--since", "1h", code=1)
        self.assertEqual(total["waiting"], 3)
        self.undo("--run", str(total["run"]))
        self.d.ctl("resume", "thing")
        self.assertEqual(self.settled(), bad)
        told, total = self.undo("--since", "1h")
        self.assertEqual((total["restored"], self.settled()), (3, self.before))

    def test_where_the_image_cannot_be_kept_nothing_is_written_over(self):
        self.fill(2)
        limit = self.fill_disk()
        self.a.run("UPDATE things SET name = 'bad'")
        eventually(lambda: self.d.status()["journal"]["state"] == "failing", "the status says so")
        self.assertIn("no space left", self.d.status()["journal"]["reason"])
        self.assertEqual(self.rows(self.b), self.before)
        resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE, limit)
        self.settled()
        self.assertEqual({line["fields"]["name"]["before"] for line in self.history()}, {"name 1", "name 2"})

    def test_f28_an_import_that_meets_a_full_disk_is_one_run(self):
        self.fill(2)
        self.d.restart()
        self.a.run("UPDATE things SET name = 'bad' WHERE k = 'k1'")
        self.settled()
        limit = self.fill_disk()
        self.a.run("UPDATE things SET name = 'bad' WHERE k = 'k2'")
        eventually(lambda: self.d.status()["journal"]["state"] == "failing", "the disk is full")
        resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE, limit)
        self.settled()
        self.undo("--run", str(self.newest_run("a")))
        self.assertEqual(self.settled(), self.before)

    def test_a_run_that_could_not_be_opened_is_nobodys(self):
        self.fill(2)
        self.d.restart()
        limit = self.fill_disk()
        self.a.run("UPDATE things SET name = 'bad' WHERE k = 'k1'")
        eventually(lambda: self.d.status()["journal"]["state"] == "failing", "the disk is full")
        resource.prlimit(self.d.process.pid, resource.RLIMIT_FSIZE, limit)
        self.settled()
        self.b.run("UPDATE things SET name = 'good' WHERE k = 'k2'")
        self.settled()
        self.assertEqual([(run["source"], run["writes"]) for run in self.history("--runs")][:2], [("b", 1), ("a", 1)])

    @needs_failpoints
    def test_kill_9_between_the_image_and_the_write_loses_neither(self):
        self.fill(3)
        self.d.stop()
        self.d.environment["CRMSYNCD_FAILPOINTS"] = "round/apply/before"
        self.d.start()
        self.a.run("UPDATE things SET name = 'bad' WHERE k = 'k1'")
        eventually(lambda: self.d.process.poll() is not None, "it was killed")
        self.assertEqual(self.rows(self.b), self.before)
        del self.d.environment["CRMSYNCD_FAILPOINTS"]
        self.d.start()
        self.settled()
        self.assertEqual({line["fields"]["name"]["before"] for line in self.history("--key", "k1")}, {"name 1"})
        self.undo("--entity", "thing", "--since", "1h", "--key", "k1")
        self.assertEqual(self.settled(), self.before)

    @needs_failpoints
    def test_an_undo_that_was_killed_goes_on_by_itself(self):
        self.fill(3)
        self.a.run("UPDATE things SET name = 'bad'")
        self.settled()
        run = self.newest_run("a")
        self.d.stop()
        self.d.environment["CRMSYNCD_FAILPOINTS"] = "round/apply/before"     # agreed on, and shown by nobody
        self.d.start()
        eventually(lambda: self.d.try_ctl("undo", "--run", str(run)) and self.d.process.poll() is not None, "it was killed")
        del self.d.environment["CRMSYNCD_FAILPOINTS"]
        self.d.start()
        self.assertEqual(self.settled(), self.before)

    @needs_failpoints
    def test_f29_what_gets_its_key_back_is_put_back_wherever_the_daemon_is_killed(self):
        self.fill(3)
        for moment in ("before", "answered"):
            with self.subTest(moment=moment):
                self.a.run("UPDATE things SET k = 'renamed', name = 'bad' WHERE k = 'k1'")
                self.settled()
                run = self.newest_run()
                self.arm(f"undo/move/{moment}")
                self.dies(f"undo/move/{moment}", ("undo", "--run", str(run)))
                self.assertEqual(self.settled(), self.before)

    def test_f29_what_gets_its_key_back_while_everybody_is_away_is_put_back_when_they_are_there(self):
        self.fill(2)
        self.a.run("UPDATE things SET k = 'renamed', name = 'bad' WHERE k = 'k1'")
        self.settled()
        for side in ("a", "b"):
            self.d.ctl("pause", side)
        told, _ = self.undo("--since", "1h", code=1)
        self.assertEqual({line["outcome"] for line in told.values()}, {"waits"})
        for side in ("a", "b"):
            self.d.ctl("resume", side)
        self.assertEqual(self.settled(), self.before)
        self.assert_quiet()

    def test_one_that_is_begun_says_so_when_the_daemon_stops_and_goes_on(self):
        self.fill(3)
        self.a.run("UPDATE things SET name = 'bad'")
        self.settled()
        run = self.newest_run("a")
        holder = self.b.connect()
        holder.run("BEGIN")
        holder.run("SELECT FROM things WHERE k = 'k1' FOR UPDATE")
        asked = subprocess.Popen([CRMSYNCCTL, "-s", self.d.control, "undo", "--run", str(run)], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        eventually(lambda: any(job["phase"] == "put-back" for job in self.d.status()["jobs"]), "it is begun")
        self.d.process.send_signal(signal.SIGTERM)
        told, _ = asked.communicate()
        self.assertEqual(asked.returncode, 1, told)
        self.assertIn("goes on by itself: do not ask for it again", told)
        holder.run("COMMIT")
        holder.close()
        self.assertEqual(self.d.finish(), 0)
        self.d.start()
        self.assertEqual(self.settled(), self.before)


class Polled(Undoing, Pair):
    name = "polled"
    b_capture = {"capture": "poll", "interval": "1h", "sweep": "1h"}

    def test_a_record_that_was_entered_anew_is_not_written_over_by_the_deleted_one(self):
        self.a.run("INSERT INTO things (k, name) VALUES ('k1', 'old')")
        self.begin()
        self.a.run("DELETE FROM things")
        self.d.wait()
        self.b.run("INSERT INTO things (k, name) VALUES ('k1', 'anew')")    # and nobody has looked yet
        told, total = self.undo("--since", "1h", code=1)
        self.assertEqual((total["restored"], told["k1"]["code"]), (0, "there-again"))
        self.assertEqual([row[2] for row in self.settled()], ["anew"])
        self.assertEqual(self.d.parked(), [])


RULES = """
thing:
  key: [k]
  fields:
    k: {type: text}
    code: {type: text}
    name: {type: text}
    amount: {type: decimal}
  conflict: {priority: [a, b], fields: {%s}}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""


TREE = """
node:
  key: [k]
  fields:
    k: {type: text}
    parent: {type: reference, entity: node}
  mappings:
    a: {table: nodes, modified: changed}
    b: {table: nodes, modified: changed}
"""


class Tree(Undoing, Pair):
    name = "tree"
    a_sql = b_sql = "CREATE TABLE nodes (id bigserial PRIMARY KEY, k text UNIQUE, parent bigint REFERENCES nodes, changed timestamptz DEFAULT now())"
    entities = TREE

    def trees(self):
        return [base.run("SELECT n.k, p.k FROM nodes n LEFT JOIN nodes p ON p.id = n.parent ORDER BY 1") for base in (self.a, self.b)]

    def test_records_that_point_to_others_of_their_own_kind_come_back_all(self):
        self.a.run("INSERT INTO nodes (id, k, parent) VALUES (1, 'root', NULL), (2, 'kid', 1), (3, 'grandchild', 2), (4, 'self', 4)")
        self.begin()
        self.d.wait()
        before = self.trees()
        for keys in ("'grandchild'", "'kid'", "'root', 'self'"):
            self.b.run(f"DELETE FROM nodes WHERE k IN ({keys})")
        self.d.wait()
        _, total = self.undo("--since", "1h")
        self.assertEqual((total["restored"], total["skipped"]), (4, 0))
        self.assertEqual(self.trees(), before)
        self.assertEqual(self.d.parked(), [])

    def test_what_had_to_wait_for_its_parent_goes_before_it(self):
        self.a.run("INSERT INTO nodes (k) VALUES ('old')")
        self.begin()
        before = self.trees()
        self.b.run("ALTER TABLE nodes ADD CHECK (k <> 'root')")
        self.a.run("INSERT INTO nodes (k) VALUES ('root')")
        self.a.run("INSERT INTO nodes (k, parent) SELECT 'kid', id FROM nodes WHERE k = 'root'")
        self.d.wait()
        self.assertEqual({line["code"] for line in self.d.parked()}, {"23514", "waits-for-parent"})
        self.b.run("ALTER TABLE nodes DROP CONSTRAINT nodes_k_check")
        self.d.ctl("parked", "retry")
        self.d.wait()
        self.assertEqual(*self.trees())
        _, total = self.undo("--since", "1h")
        self.assertEqual((total["restored"], total["skipped"]), (2, 0))
        self.assertEqual(self.trees(), before)
        self.assertEqual(self.d.parked(), [])


    def test_f15_what_refers_to_others_that_are_to_end_keeps_them_and_those_that_they_refer_to(self):
        self.a.run("INSERT INTO nodes (k) VALUES ('old')")
        self.begin()
        for k, parent in (("root", None), ("kid", "root"), ("grandchild", "kid"), ("end", "root"), ("last", "end"), ("self", None)):
            self.a.run("INSERT INTO nodes (k, parent) SELECT $1, (SELECT id FROM nodes WHERE k = $2)", k, parent)
        self.a.run("UPDATE nodes SET parent = id WHERE k = 'self'")
        self.d.wait()
        run = str(self.newest_run("a"))
        self.b.run("INSERT INTO nodes (k, parent) SELECT 'new', id FROM nodes WHERE k = 'grandchild'")
        self.d.wait()
        told, total = self.undo("--run", run, code=1)
        self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}),
                         (3, {key: "referred-to" for key in ("root", "kid", "grandchild")}))
        self.b.run("DELETE FROM nodes WHERE k = 'new'")
        eventually(lambda: self.trees() == [[("old", None)]] * 2, "all of it has gone")

    def test_f15_who_stays_is_found_among_many_who_refer_and_go(self):
        self.a.run("INSERT INTO nodes (k) VALUES ('old')")
        self.begin()
        self.a.run("INSERT INTO nodes (id, k, parent) SELECT i, 'k' || i, i FROM generate_series(11, 510) i")
        self.d.wait()
        run = str(self.newest_run("a"))
        self.d.ctl("pause", "b")
        self.a.run("INSERT INTO nodes (id, k, parent) VALUES (1000, 'new', 11)")    # behind them all in the table
        told, total = self.undo("--run", run, code=1)
        self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}), (499, {"k11": "referred-to"}))
        self.d.ctl("resume", "b")
        eventually(lambda: self.trees() == [[("k11", "k11"), ("new", "k11"), ("old", None)]] * 2, "who was away has both, too")
        self.assertEqual(self.d.parked(), [])


class Spelled(Undoing, Pair):
    """Ids that are equal though they are written in other letters."""
    name = "spelled"
    a_sql = b_sql = """
        CREATE EXTENSION citext;
        CREATE SEQUENCE ids;
        CREATE TABLE nodes (id citext PRIMARY KEY DEFAULT 'n' || nextval('ids'), k text UNIQUE, parent citext REFERENCES nodes,
            changed timestamptz DEFAULT now());"""
    entities = TREE

    def test_f15_who_refers_in_other_letters_counts_however_many_they_are(self):
        self.a.run("INSERT INTO nodes (k) VALUES ('old')")
        self.begin()
        self.a.run("INSERT INTO nodes (id, k) VALUES ('root', 'root'), ('other', 'other')")
        self.d.wait()
        run = str(self.newest_run("a"))
        self.a.run("INSERT INTO nodes (k, parent) VALUES ('new', 'ROOT')")
        self.d.wait()
        told, total = self.undo("--run", run, code=1)
        self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}), (1, {"root": "referred-to"}))
        self.a.run("INSERT INTO nodes (k, parent) SELECT 'new' || i, 'ROOT' FROM generate_series(1, 400) i")
        self.d.wait()
        self.a.run("DELETE FROM nodes WHERE k = 'new'")
        self.d.wait()
        self.a.run("DELETE FROM nodes WHERE parent = 'root'")
        eventually(lambda: [base.run("SELECT k FROM nodes") for base in (self.a, self.b)] == [[("old",)]] * 2, "nothing keeps it any more")


class Family(Undoing, Pair):
    """What points to a record goes by its key, and that is what is put back."""
    name = "family"
    a_sql = b_sql = """
        CREATE TABLE parents (id serial PRIMARY KEY, k text UNIQUE, changed timestamptz DEFAULT now());
        CREATE TABLE kids (id serial PRIMARY KEY, k text UNIQUE, parent int REFERENCES parents, changed timestamptz DEFAULT now());"""
    entities = """
parent:
  key: [k]
  fields:
    k: {type: text}
  mappings:
    a: {table: parents, modified: changed}
    b: {table: parents, modified: changed}
kid:
  key: [k]
  fields:
    k: {type: text}
    parent: {type: reference, entity: parent}
  mappings:
    a: {table: kids, modified: changed}
    b: {table: kids, modified: changed}
"""
    RENAME = "UPDATE parents SET k = 'new', changed = clock_timestamp() WHERE k = 'p1'"
    DELETE = "DELETE FROM kids WHERE k = 'kid'"
    MOVE = "UPDATE kids SET parent = 2, changed = clock_timestamp() WHERE k = 'kid'"

    def families(self):
        self.d.wait()
        a, b = [(base.run("SELECT k.k, p.k FROM kids k LEFT JOIN parents p ON p.id = k.parent ORDER BY 1"),
                 base.run("SELECT k FROM parents ORDER BY 1")) for base in (self.a, self.b)]
        self.assertEqual(a, b)
        return a

    def there_and_back(self, *edits):
        self.a.run("INSERT INTO parents (k) VALUES ('p1'), ('p2')")
        self.a.run("INSERT INTO kids (k, parent) VALUES ('kid', 1), ('other', 1)")
        self.begin()
        before = self.families()
        for edit in edits:
            self.a.run(edit)
            after = self.families()
        _, total = self.undo("--since", "1h")
        self.assertEqual((total["restored"], self.families()), (2, before))
        _, total = self.undo("--run", str(total["run"]))
        self.assertEqual((total["restored"], self.families()), (2, after))
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()

    def test_f13_a_parent_is_renamed_then_its_child_deleted(self):
        self.there_and_back(self.RENAME, self.DELETE)

    def test_f13_a_parent_is_renamed_then_its_child_moved(self):
        self.there_and_back(self.RENAME, self.MOVE)

    def test_f13_a_child_is_deleted_then_its_parent_renamed(self):
        self.there_and_back(self.DELETE, self.RENAME)

    def test_f13_a_child_is_moved_then_its_parent_renamed(self):
        self.there_and_back(self.MOVE, self.RENAME)


class Busy(Undoing, Pair):
    name = "busy"
    a_sql = b_sql = Family.a_sql
    entities = Family.entities + "  limits: {mass_delete: 100%}\n"

    def rounds_for(self, kids):
        before = self.d.metrics()["crmsyncd_rounds_total"]
        for n in kids:
            self.a.run("DELETE FROM kids WHERE k = $1", f"kid{n}")
            self.d.wait()
        return self.d.metrics()["crmsyncd_rounds_total"] - before

    def test_f15_who_waits_for_those_who_refer_is_not_looked_at_for_each_that_goes(self):
        self.begin()
        self.a.run("INSERT INTO parents (k) VALUES ('p1')")
        self.a.run("INSERT INTO kids (k, parent) SELECT 'kid' || i, 1 FROM generate_series(1, 100) i")
        self.d.wait()
        without = self.rounds_for(range(20))
        told, _ = self.undo("--entity", "parent", "--key", "p1", code=1)
        self.assertEqual(told["p1"]["code"], "referred-to")
        self.assertLess(self.rounds_for(range(20, 40)), without + 10)     # one for each in 10 s, and not for each of 20
        self.a.run("DELETE FROM kids")
        eventually(lambda: self.b.run("SELECT k FROM parents") == [], "it goes when none refers to it")


class Marked(Undoing, Pair):
    """What is deleted at b is only marked there."""
    name = "marked"
    a_sql = Family.a_sql
    b_sql = a_sql.replace("parent int REFERENCES parents", "parent int, gone timestamptz")
    entities = Family.entities.replace("b: {table: kids,", "b: {table: kids, delete: {soft: {column: gone, set: now}},") + "  limits: {mass_delete: 100%}\n"

    def test_many_that_are_marked_as_deleted_keep_nothing(self):
        self.begin()
        self.a.run("INSERT INTO parents (k) VALUES ('p1')")
        self.a.run("INSERT INTO kids (k, parent) SELECT 'kid' || i, 1 FROM generate_series(1, 400) i")
        self.d.wait()
        self.a.run("DELETE FROM kids")
        self.d.wait()
        self.assertEqual(self.b.run("SELECT count(gone) FROM kids WHERE parent = 1"), [(400,)])
        _, total = self.undo("--entity", "parent", "--key", "p1")
        self.assertEqual((total["restored"], self.b.run("SELECT k FROM parents")), (1, []))


class Composite(Undoing, Pair):
    name = "composite"
    a_sql = b_sql = """
        CREATE TABLE parents (id serial PRIMARY KEY, country text, n int, changed timestamptz DEFAULT now(), UNIQUE (country, n));
        CREATE TABLE kids (id serial PRIMARY KEY, k text UNIQUE, parent int REFERENCES parents, changed timestamptz DEFAULT clock_timestamp());"""
    entities = """
parent:
  key: [country, n]
  fields:
    country: {type: text}
    n: {type: integer}
  mappings:
    a: {table: parents, modified: changed}
    b: {table: parents, modified: changed}
kid:
  key: [k]
  fields:
    k: {type: text}
    parent: {type: reference, entity: parent}
  mappings:
    a: {table: kids, modified: changed}
    b: {table: kids, modified: changed}
"""

    def move(self, base, n):
        base.run("UPDATE kids SET parent = (SELECT id FROM parents WHERE n = $1), changed = clock_timestamp()", n)

    def test_a_reference_is_told_as_the_key_of_what_it_means(self):
        self.a.run("INSERT INTO parents (country, n) SELECT 'D/E', n FROM generate_series(1, 3) n")
        self.a.run("INSERT INTO kids (k, parent) SELECT 'kid', id FROM parents WHERE n = 1")
        self.begin()
        self.move(self.a, 2)
        self.d.wait()
        [line] = self.history("--key", "kid")
        self.assertEqual((line["fields"]["parent"]["before"], line["fields"]["parent"]["after"]), (r"D\/E / 1", r"D\/E / 2"))
        told, _ = self.undo("--since", "1h", "--dry-run")
        self.assertEqual(told["kid"]["fields"]["parent"], {"now": r"D\/E / 2", "restored": r"D\/E / 1"})
        self.d.ctl("pause", "kid")
        self.move(self.a, 1)
        self.move(self.b, 3)
        self.d.ctl("resume", "kid")
        self.d.wait()
        [decision] = self.d.ctl_lines("conflicts")
        self.assertEqual((decision["values"], decision["lost"][0]["value"]), ({"a": r"D\/E / 1", "b": r"D\/E / 3"}, r"D\/E / 1"))


class Against(Undoing, Pair):
    """What is put back does not bounce, whatever the rule of its field would say to it."""
    name = "against"

    def goes_back(self, rule, bad):
        self.entities = RULES % rule
        self.a.run("INSERT INTO things (k, name, amount) VALUES ('k1', 'name', 5)")
        self.begin()
        before = self.settled()
        self.a.run(f"UPDATE things SET {bad}")
        self.settled()
        self.d.ctl("pause", "a")
        _, total = self.undo("--since", "10m")      # the side that still shows the bad value is away
        self.assertEqual(total["restored"], 1)
        self.d.ctl("resume", "a")
        eventually(lambda: self.rows(self.a) == before, "the side that made the edit has the value back")
        self.assertEqual(self.settled(), before)
        self.assert_quiet()

    def test_max(self):
        self.goes_back("amount: max", "amount = 10")

    def test_add(self):
        self.goes_back("amount: add", "amount = 10")

    def test_mirror(self):
        self.goes_back("name: mirror", "name = 'bad'")

    def test_newest_filled(self):
        self.goes_back("code: newest-filled", "code = 'bad'")

    def test_source_priority(self):
        self.goes_back("name: source-priority", "name = 'bad'")


class Named(Undoing, Pair):
    name = "named"
    entities = RULES % "amount: max"

    def test_where_it_stands_against_a_later_edit_it_is_called_undo(self):
        self.a.run("INSERT INTO things (k, amount) VALUES ('k1', 5), ('k2', 5)")
        self.begin()
        self.a.run("UPDATE things SET amount = 10")
        self.settled()
        self.d.ctl("pause", "b")
        self.b.run("UPDATE things SET amount = 3 WHERE k = 'k1'")
        self.b.run("DELETE FROM things WHERE k = 'k2'")
        self.undo("--since", "1h")
        self.d.ctl("resume", "b")
        self.assertEqual([row[3] for row in self.settled()], ["5", "5"])
        decisions = {line["key"]: line for line in self.d.ctl_lines("conflicts")}
        self.assertEqual({key: (line["field"], line["winner"], line["lost"][0]["endpoint"]) for key, line in decisions.items()},
                         {"k1": ("amount", "(undo)", "b"), "k2": ("", "(undo)", "b")})
        self.assertEqual(decisions["k1"]["values"], {"(undo)": "5", "b": "3", "a": "5"})
        self.assertIn('(undo) changed it to "5" on ', " ".join(self.d.ctl("conflicts", "--key", "k1").split()))


class Private(Undoing, Pair):
    name = "private"
    entities = RULES.replace("name: {type: text}", "name: {type: text, private: true}") % ""

    def test_of_private_fields_nothing_can_come_back(self):
        self.a.run("INSERT INTO things (k, code, name) VALUES ('k1', 'c', 'secret')")
        self.begin()
        self.a.run("UPDATE things SET name = 'hidden', code = 'bad'")
        self.settled()
        told, _ = self.undo("--since", "10m", code=1)
        self.assertEqual((told["k1"]["outcome"], told["k1"]["skipped_fields"], told["k1"]["code"]), ("partly", ["name"], "private"))
        self.assertEqual(self.settled()[0][1:3], ("c", "hidden"))
        self.assertNotIn("secret", self.d.ctl("--json", "history"))


class Three(Undoing, ThreeCrms):
    def test_parents_come_back_before_their_children_and_go_after_them(self):
        self.populate(self.sales)       # before: what comes after the first listing is of the same run as the deletes
        self.start()
        before = self.settled()
        self.sales.base.run("DELETE FROM crm.contacts WHERE account_id = (SELECT id FROM crm.accounts WHERE number = 'A1')")
        self.sales.base.run("DELETE FROM crm.accounts WHERE number = 'A1'")
        self.assertEqual(len(self.settled()), 16)
        run = self.newest_run("sales")
        _, total = self.undo("--run", str(run))
        self.assertEqual((total["restored"], total["skipped"]), (5, 0))
        self.assertEqual(self.settled(), before)
        _, total = self.undo("--run", str(total["run"]))
        self.assertEqual((total["restored"], total["skipped"]), (5, 0))
        self.assertEqual(len(self.settled()), 16)
        self.assert_quiet()

    def test_what_others_refer_to_waits_and_is_of_that_undo_when_it_goes(self):
        self.populate(self.sales, people=2, accounts=2)
        self.start()
        before = self.settled()
        self.sales.add_account("N1", "new")
        self.settled()
        self.billing.add("kid@example.org", name="kid", account="N1")
        with_kid = self.settled()
        told, total = self.undo("--entity", "account", "--key", "N1", code=1)
        self.assertEqual((total["restored"], total["skipped"], total["waiting"]), (0, 1, 1))
        self.assertEqual((told["N1"]["outcome"], told["N1"]["code"]), ("waits", "referred-to"))
        self.assertEqual(self.settled(), with_kid)
        self.billing.remove("kid@example.org")
        self.assertEqual(self.settled(), before)
        written = [line["endpoint"] for line in self.history("--run", str(total["run"])) if not line["failed"]]
        self.assertEqual(sorted(written), ["billing", "sales", "support"])
        self.undo("--run", str(total["run"]))
        self.assertIn("N1", [row[0] for row in self.sales.contents()["accounts"]])
        self.settled()
        self.assert_quiet()

    def test_what_a_side_refuses_to_delete_for_rows_that_are_not_mapped_waits(self):
        self.populate(self.sales, people=2, accounts=2)
        self.start()
        before = self.settled()
        self.sales.add_account("N1", "new")
        self.settled()
        self.sales.base.run("CREATE TABLE crm.tickets (account bigint REFERENCES crm.accounts)")
        self.sales.base.run("INSERT INTO crm.tickets SELECT id FROM crm.accounts WHERE number = 'N1'")
        told, total = self.undo("--entity", "account", "--key", "N1", code=1)
        self.assertEqual((told["N1"]["outcome"], told["N1"]["code"], total["waiting"]), ("waits", "23503", 1))
        self.assertIn("other rows still refer to it", told["N1"]["reason"])
        self.sales.base.run("DELETE FROM crm.tickets")
        self.d.ctl("parked", "retry")
        self.assertEqual(self.settled(), before)

    def test_f15_what_a_record_that_stays_refers_to_stays_too_and_comes_to_who_was_away(self):
        self.populate(self.sales, people=2, accounts=2)
        self.start()
        before = self.settled()
        self.d.ctl("pause", "support")
        self.sales.add_account("N1", "new")
        self.sales.add("kid@example.org", name="kid", account="N1")
        eventually(lambda: "kid@example.org" in self.billing.people(), "it is at billing")
        self.billing.edit("kid@example.org", phone="keep")
        eventually(lambda: self.sales.people()["kid@example.org"]["phone"] == "keep", "its edit is at sales")
        told, total = self.undo("--run", str(self.newest_run("sales")), code=1)
        self.assertEqual({key: (line["outcome"], line["code"]) for key, line in told.items()},
                         {"kid@example.org": ("skipped", "changed-since"), "N1": ("waits", "referred-to")})
        self.d.ctl("resume", "support")
        with_kid = self.settled()
        self.assertEqual(with_kid["kid@example.org"]["account"], "N1")
        self.billing.remove("kid@example.org")
        eventually(lambda: self.settled() == before, "nothing keeps its account any more")
        self.assertNotIn("N1", [row[0] for row in self.support.contents()["accounts"]])
        self.assert_quiet()

    def test_f13_what_was_inserted_is_looked_at_before_it_is_said_to_be_changed(self):
        self.populate(self.sales, people=2, accounts=2)
        self.start()
        before = self.settled()
        self.sales.add_account("N1", "new")
        self.settled()
        for side in ("sales", "support", "billing"):
            self.d.ctl("pause", side)
        would, _ = self.undo("--entity", "account", "--key", "N1", "--dry-run", code=1)
        told, total = self.undo("--entity", "account", "--key", "N1", code=1)
        self.assertEqual([(line["N1"]["outcome"], line["N1"]["code"]) for line in (would, told)], [("waits", "away")] * 2)
        for side in ("sales", "support", "billing"):
            self.d.ctl("resume", side)
        eventually(lambda: "N1" not in [row[0] for row in self.billing.contents()["accounts"]], "it is taken back")
        self.assertEqual(self.settled(), before)

    def test_f10_what_a_side_that_is_behind_still_shows_as_inserted_is_not_taken_back(self):
        self.populate(self.sales, people=2, accounts=2)
        self.start()
        self.settled()
        self.sales.remove("p1@example.org")
        self.settled()
        for email in ("p1@example.org", "n1@example.org"):
            self.sales.add(email, name="anew", phone="1")
        self.settled()
        run = str(self.newest_run("sales"))
        self.d.ctl("pause", "billing")
        for email in ("p1@example.org", "n1@example.org"):
            self.support.edit(email, score=7)
        eventually(lambda: [row[3] for row in self.sales.contents()["contacts"]].count(7) == 2, "the edits are at sales")
        self.d.ctl("pause", "sales")
        self.d.ctl("pause", "support")
        self.d.ctl("resume", "billing")
        told, total = self.undo("--run", run, code=1)
        self.assertEqual((total["restored"], {key: line["code"] for key, line in told.items()}),
                         (0, {"p1@example.org": "changed-since", "n1@example.org": "changed-since"}))
        self.d.ctl("resume", "sales")
        self.d.ctl("resume", "support")
        self.settled()
        for email in ("p1@example.org", "n1@example.org"):
            self.assert_people(email, name="anew", phone="1", score=7)
        self.assert_quiet()

    def test_who_edits_what_still_waits_to_be_deleted_keeps_it(self):
        self.populate(self.sales, people=2, accounts=2)
        self.start()
        self.settled()
        self.sales.add_account("N1", "new")
        self.settled()
        self.billing.add("kid@example.org", name="kid", account="N1")
        self.settled()
        _, total = self.undo("--entity", "account", "--key", "N1", code=1)
        self.assertEqual(total["waiting"], 1)
        self.sales.base.run("UPDATE crm.accounts SET name = 'mine' WHERE number = 'N1'")
        self.settled()
        self.billing.remove("kid@example.org")
        self.settled()
        self.assertIn("N1", [row[0] for row in self.sales.contents()["accounts"]])
        self.assertEqual(self.d.parked(), [])
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
