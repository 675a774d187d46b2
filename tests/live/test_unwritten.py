"""What nobody has written since all of a table was listed is not read again by an incremental migration: where that can be told, and only there."""
from case import THINGS
from crm import Cluster, eventually
from test_migrate import FILL, SMALL_BATCHES, Migrating

ANYWHERE = "SET session_replication_role = replica; "       # no trigger runs: nothing but the row itself tells of it


class Moving(Migrating):
    name = "unwritten"

    def incremental(self, code=0):
        """(rows looked at, of these not read, updated and inserted at the target)"""
        _, total = self.migrate("--strategy", "incremental", code=code)
        return total["rows"], total["unread"], total["updated"] + total["inserted"]

    def moved(self, rows=300, more=""):
        """All of it was listed, and moved."""
        self.a.run(FILL, 1, rows)
        self.rest(more=more)
        self.migrate()

    def commits_late(self, begin, commit, capture="listen"):
        """It had written before the table was listed, and commits after that."""
        self.a.run(FILL, 1, 300)
        self.rest(capture)
        late = self.a.connect()
        late.run(ANYWHERE + "BEGIN")
        late.run("UPDATE things SET name = 'late' WHERE k = 'k3'")
        late.run("SAVEPOINT s; UPDATE things SET name = 'later' WHERE k = 'k4'")
        late.run(begin)
        self.a.run("SELECT pg_current_xact_id()")       # others go on
        self.migrate()
        late.run(commit)
        late.close()
        self.assertEqual(self.incremental()[2], 2)
        self.assert_equal()


class Unwritten(Moving):
    def test_what_nobody_has_written_since_is_not_read(self):
        self.moved()
        _, total = self.migrate("--strategy", "incremental")
        self.assertEqual([total[n] for n in ("rows", "unread", "read_bytes", "updated")], [300, 300, 0, 0])
        self.a.run(ANYWHERE + "UPDATE things SET name = 'new' WHERE k = 'k3'")
        self.a.run(ANYWHERE + "INSERT INTO things (k, name) VALUES ('k999', 'newer')")
        self.assertEqual(self.incremental(), (301, 299, 2))
        self.assert_equal()
        self.assertEqual(self.incremental(), (301, 301, 0))
        ran = self.d.ctl("migrate", "thing", "--from", "a", "--to", "b", "--strategy", "incremental")
        self.assertIn("301 rows of a looked at (301 of them not read: nobody has written them since all were listed last)", " ".join(ran.split()))

    def test_of_more_than_a_page_all_are_brought_and_counted(self):
        self.moved(4000, SMALL_BATCHES)
        self.a.run(ANYWHERE + "UPDATE things SET name = 'new' WHERE id % 7 = 1 OR id BETWEEN 2000 AND 2300")
        changed = self.a.one("SELECT count(*) FROM things WHERE name = 'new'")
        rows, unread, written = self.incremental()
        self.assertEqual((rows, written), (4000, changed))
        self.assertEqual(unread, 4000 - changed)
        self.assert_equal()

    def test_with_long_values_all_are_brought_and_counted(self):
        self.moved(400, "limits:\n  batch_bytes: 1MiB")
        self.a.run(ANYWHERE + "UPDATE things SET name = (SELECT string_agg(md5(id::text || i), '') FROM generate_series(1, 2500) i) WHERE id > 300")
        self.assertEqual(self.incremental(), (400, 300, 100))
        self.assert_equal()

    def test_after_a_first_contact_and_after_a_sweep(self):
        self.a.run(FILL, 1, 300)
        self.begin()
        self.d.ctl("pause", "thing")
        eventually(lambda: self.incremental()[1] == 300, "what the survey has seen")
        self.d.ctl("resume", "thing")
        self.a.run(ANYWHERE + "UPDATE things SET name = 'new' WHERE id <= 100")
        self.d.ctl("kick", "--sweep")
        self.d.wait()
        self.d.ctl("pause", "thing")
        eventually(lambda: self.incremental() == (300, 300, 0), "what the sweep has seen")
        self.assert_equal()

    def test_replace_reads_all_of_it(self):
        self.moved()
        self.b.run(ANYWHERE + "UPDATE things SET name = 'other' WHERE k = 'k3'")
        _, total = self.migrate("--strategy", "incremental", "--onto", "replace")
        self.assertEqual([total[n] for n in ("rows", "unread")], [300, 0])
        self.assert_equal()

    def test_f02_what_commits_late_is_read(self):
        self.commits_late("RELEASE s", "COMMIT")

    def test_f05_a_column_that_is_made_anew_shows_another_value_in_rows_that_nobody_has_written(self):
        self.moved()
        self.a.run("ALTER TABLE things DROP COLUMN name")
        self.a.run("ALTER TABLE things ADD COLUMN name text DEFAULT 'as all others'")
        eventually(lambda: self.incremental() == (300, 0, 300), "the daemon knows the column")
        self.assert_equal()

    def test_f05_another_table_under_its_name_is_read(self):
        self.a.run("CREATE TABLE others (LIKE things INCLUDING ALL)")
        self.a.run("INSERT INTO others (id, k, name) OVERRIDING SYSTEM VALUE SELECT i, 'k' || i, 'of the other table' FROM generate_series(1, 300) i")
        self.a.run("GRANT ALL ON others TO crmsync")
        self.moved()
        swap = self.a.connect()
        swap.run("BEGIN; ALTER TABLE things RENAME TO before; ALTER TABLE others RENAME TO things")
        asked = self.begin_migrating("--strategy", "incremental")       # it is this table still when the watermark is looked at
        eventually(lambda: self.a.one("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity "
                                      "WHERE usename = 'crmsync' AND datname = current_database())") > 0, "it is about to be read")
        swap.run("COMMIT")
        swap.close()
        total = self.ended(asked)
        self.assertEqual([total[n] for n in ("rows", "unread")], [300, 0])
        self.assertEqual(self.b.one("SELECT count(*) FROM things WHERE name = 'of the other table'"), 300)

    def test_f05_where_stored_values_do_not_say_what_is_shown_all_is_read(self):
        self.a.run("CREATE TYPE mood AS ENUM ('glad', 'sad'); ALTER TABLE things ALTER COLUMN name TYPE mood USING 'glad'")
        self.a.run("INSERT INTO things (k, name) SELECT 'k' || i, 'sad' FROM generate_series(1, 300) i")
        self.rest()
        self.migrate()
        self.a.run("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")
        self.assertEqual(self.incremental(), (300, 0, 300))
        self.assertEqual(self.b.one("SELECT count(*) FROM things WHERE name = 'blue'"), 300)

    def test_f05_rows_that_cannot_be_taken_are_read_again(self):
        self.a.run(FILL, 1, 300)
        self.a.run("UPDATE things SET amount = 5000000 WHERE k = 'k7'")
        self.rest()
        self.migrate(code=1)
        self.assertEqual(self.incremental(code=1), (300, 0, 0))
        self.a.run(ANYWHERE + "UPDATE things SET amount = 5 WHERE k = 'k7'")
        self.assertEqual(self.incremental(), (300, 0, 1))
        self.assertEqual(self.incremental(), (300, 300, 0))

    def test_f05_what_the_topology_reads_otherwise_is_read_again(self):
        self.moved(more="limits:\n  value_bytes: 2MiB")
        self.d.write(self.d.file.read_text().replace("2MiB", "1MiB"))
        self.assertIn("1MiB", self.d.ctl("reload"))
        self.until_ready()
        self.assertEqual(self.incremental(), (300, 0, 0))


class Prepared(Moving):
    """A server of its own, where transactions can be prepared."""
    def setUp(self):
        super().setUp()
        self.a = self.database("prepared_a", THINGS, Cluster(self.place, "prepared", "max_prepared_transactions = 5\n"))

    def test_f02_what_was_prepared_and_commits_late_is_read(self):
        self.commits_late("PREPARE TRANSACTION 'late'", "COMMIT PREPARED 'late'", "poll")
