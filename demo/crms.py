"""crms.py - the three CRMs of the demonstration: their schemas, and each one's own way to read and write a person."""

SALES = """
CREATE SCHEMA crm;
CREATE TABLE crm.accounts (id bigint GENERATED ALWAYS AS IDENTITY (START 5000) PRIMARY KEY, number text NOT NULL UNIQUE, name text,
	updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE crm.contacts (id bigint GENERATED ALWAYS AS IDENTITY (START 1000) PRIMARY KEY, email text NOT NULL UNIQUE,
	full_name text, phone_number varchar(24), score integer, account_id bigint REFERENCES crm.accounts,
	updated_at timestamptz NOT NULL DEFAULT now());
CREATE FUNCTION crm.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON crm.accounts FOR EACH ROW EXECUTE FUNCTION crm.touch();
CREATE TRIGGER touch BEFORE UPDATE ON crm.contacts FOR EACH ROW EXECUTE FUNCTION crm.touch();
"""
SUPPORT = """
CREATE TABLE companies (company_id uuid PRIMARY KEY DEFAULT gen_random_uuid(), number text NOT NULL UNIQUE, title text,
	changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE people (person uuid PRIMARY KEY DEFAULT gen_random_uuid(), email text NOT NULL UNIQUE, name text, phone text,
	score smallint, company uuid REFERENCES companies, changed timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE INDEX ON companies (changed, company_id);
CREATE INDEX ON people (changed, person);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.changed := clock_timestamp(); RETURN NEW; END $$;
CREATE TRIGGER touch BEFORE UPDATE ON companies FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER touch BEFORE UPDATE ON people FOR EACH ROW EXECUTE FUNCTION touch();
"""
BILLING = """
CREATE SEQUENCE codes START 70000;
CREATE TABLE clients (code text PRIMARY KEY DEFAULT 'CL' || nextval('codes'), client_no text NOT NULL UNIQUE, label text);
CREATE TABLE payers (code text PRIMARY KEY DEFAULT 'P' || nextval('codes'), mail text NOT NULL UNIQUE, display text, tel text,
	points numeric(5,0), client text REFERENCES clients);
"""
# company table, its id, number, name; person table, its id, then the columns of FIELDS
LAYOUT = {
    "sales": (SALES, ("crm.accounts", "id", "number", "name"),
              ("crm.contacts", "id", "email", "full_name", "phone_number", "score", "account_id")),
    "support": (SUPPORT, ("companies", "company_id", "number", "title"),
                ("people", "person", "email", "name", "phone", "score", "company")),
    "billing": (BILLING, ("clients", "code", "client_no", "label"),
                ("payers", "code", "mail", "display", "tel", "points", "client")),
}
FIELDS = ("email", "name", "phone", "score", "company")


class Crm:
    def __init__(self, cluster, name):
        self.name, self.cluster = name, cluster
        schema, self.company, self.person = LAYOUT[name]
        self.base = cluster.database(name, schema)

    def column(self, field):
        return self.person[2 + FIELDS.index(field)]

    def fill(self, companies, people):
        table, key, number, name = self.company
        self.base.run(f"INSERT INTO {table} ({number}, {name}) SELECT * FROM unnest($1::text[], $2::text[])",
                      [c[0] for c in companies], [c[1] for c in companies])
        ids = dict(self.base.run(f"SELECT {number}, {key}::text FROM {table}"))
        kind = self.base.one("SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2",
                             self.person[0], self.person[6])
        self.base.run(f"INSERT INTO {self.person[0]} ({', '.join(self.person[2:])}) SELECT e, n, p, s, c::{kind} "
                      "FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[]) AS t(e, n, p, s, c) ON CONFLICT DO NOTHING",
                      *[[p[f] for p in people] for f in FIELDS[:4]], [ids.get(p["company"]) for p in people])

    def edit(self, email, **fields):
        sets = ", ".join(f"{self.column(f)} = ${n}" for n, f in enumerate(fields, 2))
        self.base.run(f"UPDATE {self.person[0]} SET {sets} WHERE lower(trim({self.column('email')})) = $1", email, *fields.values())

    def remove(self, email):
        self.base.run(f"DELETE FROM {self.person[0]} WHERE lower(trim({self.column('email')})) = $1", email)

    def rows(self, email=None):
        """[(local id, email, name, phone, score, company's name)], as they stand there."""
        table, key, *columns = self.person
        company_table, company_key, _, company_name = self.company
        sql = (f"SELECT p.{key}::text, p.{columns[0]}, p.{columns[1]}, p.{columns[2]}, p.{columns[3]}::int, c.{company_name} "
               f"FROM {table} p LEFT JOIN {company_table} c ON c.{company_key} = p.{columns[4]}")
        if email is None:
            return self.base.run(sql)
        return self.base.run(f"{sql} WHERE lower(trim(p.{columns[0]})) = $1", email)

    def row(self, email):
        rows = self.rows(email)
        return rows[0] if rows else None

    def count(self):
        return self.base.one(f"SELECT count(*) FROM {self.person[0]}")
