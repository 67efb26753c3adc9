"""A PostgreSQL database made to be hard to hide things in, twice."""

from tests.servers import PostgresServer

ROWS = 3000
DATA = """
default: mask
tables:
  public.people:
    columns:
      id: allow
      name: allow
      email: m.email
      ssn: m.pseudo
      phone: m.text
      born: m.year
      seen: m.month
      pay: m.bucket
      points: m.pair
      score: m.bucket
      code: m.prefix
      token: m.pseudo
      flag: m.const
      note: m.null
      secret: m.deny
      pad: m.deny
      mood: allow
      kind: m.null
      gen_pay: allow
  public.orders:
    columns: {id: allow, person: allow, total: allow, at: allow, tenant: deny, card: deny, memo: m.null}
    rows:
      role:analyst: tenant = claims.tenant
      "*": "true"
  public.keyed:
    columns: {hidden: deny, part: allow, label: allow}
  public.parts:
    columns: {id: allow, region: allow, ssn: m.pseudo, amount: allow}
  public.people_view:
    columns: {id: allow, name: allow, ssn: m.pseudo, pay: m.bucket}
  public.logins:
    columns: {ssn: m.pseudo, at: allow}
  public.shapes:
    columns: {id: allow, tags: allow, attrs: allow, mood: allow, mail: m.null, place: allow, nums: allow, doc: m.null,
              dmail: allow}
  "public.Odd \\"table\\" ü":
    columns: {"count": allow, "md5": allow, "name": allow, "left": allow, "a b": allow, "Größe": allow,
              "q\\"uote": allow, "select": allow, "version": m.deny}
  public.calls:
    columns: {id: allow, count: allow, "left": allow, text: allow, oid_: allow, secret: m.deny}
"""

SCHEMA = r"""
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN mail AS text NOT NULL CHECK (VALUE LIKE '%@%');
CREATE DOMAIN soft_mail AS text CHECK (VALUE LIKE '%@%');
CREATE TYPE place AS (street text, zip int);
CREATE TABLE people (id int PRIMARY KEY, name text, email text, ssn text UNIQUE, phone varchar(20), born date,
  seen timestamptz, pay int, points bigint, score numeric(12,2), code char(8), token uuid, flag text, note text,
  secret text, pad text, mood mood, kind mood, gen_pay int GENERATED ALWAYS AS (pay * 2) STORED);
CREATE TABLE orders (id int PRIMARY KEY, person int REFERENCES people(id), total numeric, at timestamptz,
  tenant text, card text, memo text);
CREATE TABLE keyed (hidden int, part int, label text, PRIMARY KEY (hidden, part));
CREATE TABLE parts (id int, region text, ssn text, amount int) PARTITION BY LIST (region);
CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
CREATE TABLE parts_us PARTITION OF parts FOR VALUES IN ('us');
CREATE TABLE logins (ssn varchar(40), at timestamptz);
CREATE TABLE payroll (id int PRIMARY KEY, amount int);
CREATE TABLE shapes (id int PRIMARY KEY, tags text[], attrs jsonb, mood mood, mail mail, place place, nums int[],
  doc jsonb, dmail soft_mail);
CREATE TABLE "Odd ""table"" ü" ("count" int, "md5" text, "name" text, "left" int, "a b" text, "Größe" int,
  "q""uote" int, "select" text, "version" text);
CREATE TABLE calls (id int PRIMARY KEY, count int, "left" int, text text, oid_ int, secret text);
CREATE FUNCTION public.peek(people) RETURNS text LANGUAGE sql AS 'SELECT $1.secret';
CREATE FUNCTION public.shout(text) RETURNS text LANGUAGE sql AS 'SELECT upper($1)';
CREATE OPERATOR public.+! (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat);
CREATE VIEW people_view AS SELECT id, name, ssn, pay FROM people;
"""


def _fill(twin: int) -> str:
    other = f"(i * {7919 if twin == 1 else 104729}) % 10007"
    width = 10_000 if twin == 1 else 3
    return f"""
    INSERT INTO people SELECT i, 'Name ' || i % 700,
      CASE WHEN i % 11 = 0 THEN NULL WHEN i % 13 = 0 THEN 'nomail' || {other}
        ELSE 'u' || ({other}) % {width} || '@a@example' || i % 5 || '.com' END,
      CASE WHEN i % 17 = 0 THEN NULL ELSE 's' || md5(i::text) END,
      lpad(({other})::text, 8, '0') || i % 10000 + 1000,
      make_date(1950 + i % 50, 1 + (({other}) % {width}) % 12, 1 + (({other}) % {width}) % 28),
      date_trunc('month', timestamptz '2024-01-01 UTC' + i % 20 * interval '40 days') + ({other}) * interval '1 minute',
      (i % 40 - 20) * 100 + (({other}) % {width}) % 100,
      (i % 50) * 2 + ({other}) % 2,
      (i % 40 - 20) * 100 + (({other}) % {width}) % 100 + 0.25,
      chr(65 + i % 7) || 'x' || ({other}) % 9999,
      md5(i::text)::uuid,
      'f' || {other}, 'n' || ({other}) % {width}, 'z' || {other}, repeat('p', 300),
      (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, (ARRAY['sad', 'ok', 'happy'])[1 + ({other}) % 3]::mood
      FROM generate_series(1, {ROWS}) AS i;
    INSERT INTO orders SELECT i, 1 + (i * 31) % {ROWS},
      CASE WHEN i % 7 = 3 THEN ({other}) / 3.0 ELSE (i * 37) % 1000 / 4.0 END,
      timestamptz '2024-01-01 UTC' + CASE WHEN i % 7 = 3 THEN {other} ELSE i END * interval '1 hour',
      CASE WHEN i % 7 = 3 THEN 't2' ELSE 't1' END, 'c' || {other}, 'm' || {other} FROM generate_series(1, 4000) AS i;
    INSERT INTO keyed SELECT {other}, i, 'l' || i % 9 FROM generate_series(1, 1500) AS i;
    INSERT INTO parts SELECT i, CASE WHEN i % 2 = 0 THEN 'eu' ELSE 'us' END, 'p' || i % 77, i % 100
      FROM generate_series(1, 2000) AS i;
    INSERT INTO logins SELECT 'p' || i % 77, timestamptz '2024-01-01 UTC' + i * interval '1 min'
      FROM generate_series(1, 900) AS i;
    INSERT INTO payroll SELECT i, {other} FROM generate_series(1, 50) AS i;
    INSERT INTO shapes SELECT i, ARRAY['t' || i % 5, 'x'], jsonb_build_object('n', i, 'k', 'v' || i % 3),
      (ARRAY['sad', 'ok', 'happy'])[1 + i % 3]::mood, 'm' || {other} || '@x', ROW('s' || i, i)::place,
      ARRAY[i, i % 10], jsonb_build_object('h', {other}), 'a@b' FROM generate_series(1, 200) AS i;
    INSERT INTO "Odd ""table"" ü" SELECT i, 'm' || i, 'n' || i % 3, i, 'ab', i, i, 's', 'v' || {other}
      FROM generate_series(1, 60) AS i;
    INSERT INTO calls SELECT i, i, i, 't' || i, i, 's' || {other} FROM generate_series(1, 60) AS i;
    CLUSTER people USING people_pkey; CLUSTER orders USING orders_pkey; CLUSTER shapes USING shapes_pkey;
    CREATE UNIQUE INDEX people_cover ON people (secret) INCLUDE (id, name, mood);
    CREATE INDEX people_pay ON people (pay, id, name);
    CREATE INDEX people_lower ON people (lower(email), id);
    CREATE INDEX people_partial ON people (id) WHERE pay > 500;
    CREATE INDEX orders_tenant ON orders (tenant, card, id, total);
    CREATE INDEX orders_person ON orders (person);
    CREATE INDEX keyed_part ON keyed (hidden) INCLUDE (part, label);
    CREATE INDEX parts_eu_ssn ON parts_eu (ssn) INCLUDE (id, region, amount);
    VACUUM ANALYZE;
    """


def build(server: PostgresServer) -> None:
    for twin in (1, 2):
        server.create_database(f"twin{twin}")
        server.psql(SCHEMA + _fill(twin), database=f"twin{twin}")
    server.create_role("analyst")
    for twin in (1, 2):
        server.psql(
            "GRANT USAGE ON SCHEMA public TO analyst; GRANT SELECT ON ALL TABLES IN SCHEMA public TO analyst",
            database=f"twin{twin}",
        )
