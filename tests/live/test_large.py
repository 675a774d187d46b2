"""Large values, large rows in large numbers, large transactions and large trees: memory stays bounded and nothing stands still."""
import os
import unittest

from case import Pair
from crm import topology

LONG = bool(os.environ.get("CRM_LONG"))
TABLE = """
CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, body text, raw bytea, doc jsonb,
	changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON things (changed, id);
"""
ENTITY = """
thing:
  key: [k]
  fields:
    k: {type: text}
    body: {type: text}
    raw: {type: bytes}
    doc: {type: json}
  limits: {mass_delete: 100%}
  mappings:
    a: {table: things, modified: changed}
    b: {table: things, modified: changed}
"""
DIGESTS = "SELECT k, md5(body), md5(raw), md5(doc::text) FROM things ORDER BY k"


class Large(Pair):
    name = "large"
    a_sql = b_sql = TABLE
    capture = "listen"
    more = ""

    def begin(self):
        sides = {"a": {"connection": self.a.conninfo, "capture": self.capture, "interval": "200ms", "sweep": "1h"},
                 "b": {"connection": self.b.conninfo, "capture": "listen", "interval": "1s", "sweep": "1h"}}
        self.d = self.daemon(topology(self.redis, sides, ENTITY, more=self.more))
        self.d.wait()

    def settled(self):
        self.d.wait()
        self.assertEqual(*(base.run(DIGESTS) for base in (self.a, self.b)))
        self.assertEqual(self.d.parked(), [])


class Values(Large):
    """The long form has the usual limit of 64 MiB."""
    more = "" if LONG else "limits:\n  value_bytes: 1MiB"
    ten_mb = 20 if LONG else 1

    def test_f27_a_value_of_200_mb_is_parked_without_being_fetched(self):
        self.a.run("INSERT INTO things (k, body) VALUES ('k1', 'x'), ('k2', 'x')")
        self.begin()
        self.a.run("UPDATE things SET body = repeat('0123456789', $1 * 1000000) WHERE k = 'k1'", self.ten_mb)
        self.a.run("UPDATE things SET body = 'y' WHERE k = 'k2'")
        self.d.wait()
        self.assertEqual([(p["key"], p["code"], p["endpoint"]) for p in self.d.parked()], [("k1", "too-large", "a")])
        self.assertEqual(self.b.run("SELECT k, body FROM things ORDER BY 1"), [("k1", "x"), ("k2", "y")])
        self.assert_peak(60)
        self.a.run("UPDATE things SET body = 'z' WHERE k = 'k1'")
        self.settled()

    def test_f27_what_grows_to_it_at_the_other_side_is_left_there(self):
        self.a.run("INSERT INTO things (k, raw, doc) VALUES ('k1', 'x', '1'), ('k2', 'x', '1')")
        self.begin()
        self.b.run("UPDATE things SET raw = decode(repeat('00', $1 * 4000000), 'hex') WHERE k = 'k1'", self.ten_mb)
        self.b.run("UPDATE things SET doc = to_jsonb(repeat('0123456789', $1 * 1000000)) WHERE k = 'k2'", self.ten_mb)
        self.a.run("UPDATE things SET body = 'at a'")
        self.d.wait()
        self.assertEqual({(p["key"], p["code"], p["endpoint"]) for p in self.d.parked()}, {(k, "too-large", "b") for k in ("k1", "k2")})
        self.assertEqual(self.a.one("SELECT sum(length(raw) + length(doc::text)) FROM things"), 4)
        self.assertEqual(self.b.one("SELECT count(*) FROM things WHERE length(raw) + length(doc::text) > 1000000"), 2)
        self.assert_peak(60)
        self.b.run("UPDATE things SET raw = 'y', doc = '2'")
        self.settled()
        self.assertEqual(self.a.run("SELECT body, raw, doc::text FROM things"), [("at a", "\\x79", "2")] * 2)


class Batches(Large):
    """40 MB in rows of 400 kB, a little at a time."""
    more = "limits:\n  batch_bytes: 2MiB"

    def test_f27_many_large_rows_are_listed_captured_and_written_in_bounded_batches(self):
        self.a.run("INSERT INTO things (k, body) SELECT 'l' || n, repeat(md5(n::text), 12500) FROM generate_series(1, 50) n")
        self.begin()
        self.settled()
        self.a.run("INSERT INTO things (k, body, raw) SELECT 'c' || n, repeat(md5(n::text), 6250), decode(repeat(md5(n::text), 3125), 'hex') "
                   "FROM generate_series(1, 50) n")
        self.settled()
        self.a.run("UPDATE things SET body = repeat(md5(k), 12500), changed = clock_timestamp()")
        self.settled()
        self.assertEqual(self.a.one("SELECT count(*) FROM things"), 100)
        self.assert_peak(130)


class PolledBatches(Batches):
    capture = "poll"


if __name__ == "__main__":
    unittest.main()
