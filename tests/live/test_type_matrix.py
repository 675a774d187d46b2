"""Every field type over the column types that fit it: a value arrives as it was, or the row is parked. Never a third value."""
import unittest

from case import Case
from crm import Redis, topology

PARKED = object()
LARGE = "9" * 600 + "." + "9" * 300
# (field's type, column at a, column at b, [(as written at a, as it then reads at b)]); b's form is a's unless said otherwise:
# what travels is the canonical form, and SQL itself cuts blanks to the length of a varchar. a keeps its own form always.
MATRIX = [
    ("text", "text", "text", ["", " ", "  x  ", "e\u0301", "\u00e9", "\U0001f600\u200d\U0001f4a5", "\x01\x02\x1b\x7f", "\u202e", "\r\n",
                              "NULL", "\\x00", "a\tb\\n", "\ufeffx", "\ufffd", "I\u0130\u0131i"]),
    ("text", "text", "varchar(5)", ["12345", "", "é😀é😀é", "x    ", ("x         ", "x    "), ("123456", PARKED), ("e\u0301" * 3, PARKED)]),
    ("text", "text", "char(5)", ["", "12345", "x", ("123456", PARKED)]),
    ("text", "char(5)", "text", [("", "     "), "12345", ("x", "x    "), ("é", "é    ")]),
    ("text", "varchar(10)", "char(10)", ["x", "", "0123456789"]),
    ("integer", "int8", "int8", ["9223372036854775807", "-9223372036854775808", "0"]),
    ("integer", "int8", "int2", ["32767", "-32768", ("32768", PARKED), ("-32769", PARKED)]),
    ("integer", "int8", "int4", ["2147483647", "-2147483648", ("2147483648", PARKED)]),
    ("integer", "numeric", "int8", ["9223372036854775807", ("1.00", "1"), ("-0.0", "0"), ("1.5", PARKED), ("NaN", PARKED),
                                   ("9223372036854775808", PARKED), ("Infinity", PARKED)]),
    ("integer", "numeric", "numeric(10,2)", [("7", "7.00"), ("99999999", "99999999.00"), ("100000000", PARKED)]),
    ("decimal", "numeric", "numeric", ["0", "1.5", "-0.1", ("1.500", "1.5"), "NaN", "Infinity", "-Infinity", LARGE, "0." + "0" * 200 + "1",
                                       "1" + "0" * 300]),
    ("decimal", "numeric", "float8", ["1.5", "0.1", "-2", ("1.50", "1.5"), "NaN", "Infinity", "-Infinity"]),
    ("decimal", "float8", "numeric", ["0.1", ("-0", "0"), "NaN", "Infinity", "-Infinity"]),
    ("decimal", "float8", "float8", ["0.1", ("-0", "0"), "1e+300", "5e-324", "1.7976931348623157e+308", "NaN", "Infinity", "0.30000000000000004"]),
    ("decimal", "float4", "float8", ["0.5", "NaN"]),
    ("decimal", "numeric", "float4", ["0.5", ("16777217", "1.6777216e+07"), ("0.00001", "1e-05"), ("1" + "0" * 39, PARKED)]),
    ("decimal", "numeric", "float8", [("9007199254740993", "9.007199254740992e+15")]),
    ("text", "text", "inet", [("10.0.0.1", "10.0.0.1/32"), "10.0.0.1/32", "::/0", ("not one", PARKED)]),
    ("decimal", "numeric", "int4", [("5.00", "5"), ("NaN", PARKED), ("2147483648", PARKED)]),
    ("boolean", "bool", "bool", ["true", "false"]),
    ("timestamp", "timestamptz", "timestamptz", ["2024-02-29 23:59:59.999999+00", "infinity", "-infinity", "0044-03-15 12:00:00+00 BC",
                                                 "294276-12-31 23:59:59.999999+00", "4714-11-24 00:00:00+00 BC", "1600-01-01 00:00:00+00"]),
    ("timestamp", "timestamptz", "timestamp", [("2024-03-31 01:30:00+00", "2024-03-31 01:30:00"), "infinity", "-infinity",
                                               ("0044-03-15 12:00:00+00 BC", "0044-03-15 12:00:00 BC")]),
    ("timestamp", "timestamp", "timestamptz", [("2024-10-27 02:30:00", "2024-10-27 02:30:00+00"), "infinity"]),
    ("date", "date", "date", ["2024-02-29", "infinity", "-infinity", "0044-03-15 BC", "4714-11-24 BC", "5874897-12-31", "0001-01-01"]),
    ("uuid", "uuid", "uuid", ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    ("uuid", "text", "uuid", [("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), ("not one", PARKED)]),
    ("json", "json", "json", [('{"b": 1, "a": 2}', '{"a":2,"b":1}'), "null", "123456789012345678901234567890",
                              ("1e400", "1" + "0" * 400), ('"\\u00e9"', '"é"'), "[]", ("[1.0, 1.00]", "[1,1]")]),
    ("json", "json", "jsonb", [('{"b": 1, "a": 2}', '{"a": 2, "b": 1}'), "123456789012345678901234567890", "null", '{"a": null}']),
    ("json", "jsonb", "json", [('{"a": 1.50}', '{"a":1.5}'), ("[true, false]", "[true,false]"), '""']),
    ("json", "text", "jsonb", ['{"a": "é"}', ('{"a": 1, "a": 2}', PARKED), ("{", PARKED), ('"\\u0000"', PARKED)]),
    ("bytes", "bytea", "bytea", ["\\x", "\\x00", "\\x00ff5c27", "\\x" + "ab" * 70_000]),
]


class TypeMatrix(Case):
    """One table a side, one column a line of the matrix, one row a value. b edits the note, so that each row also goes back, then the value."""

    def setUp(self):
        super().setUp()
        self.redis = Redis(self.place)
        tables = []
        for side in (1, 2):
            columns = "".join(f", f{n} {line[side]}" for n, line in enumerate(MATRIX))
            tables.append(f"CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, k text NOT NULL UNIQUE, note text{columns})")
        self.a, self.b = self.database("matrix_a", tables[0]), self.database("matrix_b", tables[1])
        fields = "".join(f"    f{n}: {{type: {line[0]}}}\n" for n, line in enumerate(MATRIX))
        self.cases = {}
        for n, (_, _, _, values) in enumerate(MATRIX):
            for v, value in enumerate(values):
                written, read = value if isinstance(value, tuple) else (value, value)
                self.cases[f"{n:02}.{v:02}"] = (f"f{n}", written, read)
        self.topology = topology(
            self.redis, {name: {"connection": base.conninfo, "capture": "listen", "interval": "1s", "sweep": "1h"}
                         for name, base in (("a", self.a), ("b", self.b))},
            f"thing:\n  key: [k]\n  fields:\n    k: {{type: text}}\n    note: {{type: text}}\n{fields}"
            "  mappings:\n    a: {table: things}\n    b: {table: things}")

    def read(self, base):
        """{k: (field as text, note)} and, in one more map, everything else that is not NULL."""
        columns = ", ".join(f"f{n}::text" for n in range(len(MATRIX)))
        rows = {}
        for k, note, *values in base.run(f"SELECT k, note, {columns} FROM things"):
            rows[k] = (note, {f"f{n}": value for n, value in enumerate(values) if value is not None})
        return rows

    def versions(self):
        return self.a.versions(), self.b.versions()

    def test_f18_each_value_travels_there_and_back_or_its_row_is_parked(self):
        for k, (field, written, _) in self.cases.items():
            column = MATRIX[int(field[1:])][1]
            self.a.run(f"INSERT INTO things (k, note, {field}) VALUES ($1, 'a', CAST($2::text AS {column}))", k, written)
        was = self.read(self.a)
        d = self.daemon(self.topology)
        d.wait()
        self.compare(d, was, "a")
        self.b.run("UPDATE things SET note = 'b'")
        d.wait()
        self.compare(d, was, "b")
        edited = self.edit_at_b()
        d.wait()
        self.see_at_a(d, edited)
        before = self.versions()
        d.restart()
        d.ctl("parked", "retry")
        d.wait()
        self.assertEqual(before, self.versions(), "rows were written after quiet")

    def compare(self, d, was, note):
        a, b, parked = self.read(self.a), self.read(self.b), {p["key"]: p for p in d.parked()}
        for k, (field, written, read) in self.cases.items():
            kind = "{} {} -> {}".format(*MATRIX[int(field[1:])][:3])
            with self.subTest(kind, value=written[:60], note=note):
                self.assertEqual(a[k][1], was[k][1], "a keeps what it had")
                if read is PARKED:
                    self.assertIn(k, list(parked))
                    self.assertNotIn(k, b)
                    continue
                self.assertNotIn(k, list(parked))
                self.assertEqual(b[k][1], {field: read if read is not written else was[k][1][field]})
                self.assertEqual((a[k][0], b[k][0]), (note, note))

    def edit_at_b(self):
        """Each row gets what another row of its line shows at b, or NULL where none shows anything else: [(k, field, value)]."""
        shown = {k: values for k, (_, values) in self.read(self.b).items()}
        edited = []
        for k, values in sorted(shown.items()):
            (field, value), = values.items()
            others = [shown[other][field] for other in sorted(shown, key=lambda other: (other < k, other)) if field in shown[other]]
            edited.append((k, field, next((other for other in others if other != value), None)))
        return [(k, field, self.set_at_b(k, field, value)) for k, field, value in edited]

    def set_at_b(self, k, field, value):
        """As b gives it to its clients: a cast to text would take the blanks off a char(n)."""
        column = MATRIX[int(field[1:])][2]
        return self.b.one(f"UPDATE things SET {field} = CAST($2::text AS {column}) WHERE k = $1 "
                          f"RETURNING CASE WHEN {field}::text IS NOT NULL THEN format('%s', {field}) END", k, value)

    def see_at_a(self, d, edited):
        """a shows what b's value is in a's type, as a itself compares them."""
        parked = [p["key"] for p in d.parked()]
        for k, field, value in edited:
            kind, column_a, column_b, _ = MATRIX[int(field[1:])]
            meaning = "::text::jsonb" if kind == "json" else ""
            with self.subTest(f"{kind} {column_b} -> {column_a}", value=(value or "NULL")[:60]):
                self.assertNotIn(k, parked)
                (same, shown), = self.a.run(f"SELECT {field}{meaning} IS NOT DISTINCT FROM CAST($2::text AS {column_a}){meaning}, {field}::text "
                                            "FROM things WHERE k = $1", k, value)
                self.assertTrue(same, f"a shows {(shown or 'NULL')[:60]}")


if __name__ == "__main__":
    unittest.main()
