"""A SQLite file made to be hard to hide things in, twice. Columns hold values of any storage class."""

import sqlite3
from pathlib import Path

DATA = """
default: mask
tables:
  main.people:
    columns:
      id: allow
      name: allow
      email: m.email
      ssn: m.pseudo
      phone: m.text
      born: m.year
      pay: m.bucket
      code: m.prefix
      note: m.null
      flag: m.const
      odd: m.bucket
      secret: m.deny
      twice: allow
  main.orders:
    columns: {id: allow, person: allow, total: allow, tenant: deny, card: deny}
    rows:
      role:analyst: tenant = claims.tenant
      "*": "true"
  main.keyed:
    columns: {hidden: deny, part: allow, label: allow}
  main.badges:
    columns: {badge: m.null, label: allow, floor: allow}
  main.people_view:
    columns: {id: allow, name: allow}
  'main.Odd "table" ü':
    columns: {"count": allow, "a b": allow, "order": allow, "rowid_": allow, "q\\"uote": allow, "version": m.deny}
"""

_SCHEMA = """
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, email TEXT, ssn TEXT, phone TEXT, born TEXT, pay INTEGER,
  code TEXT, note TEXT, flag TEXT, odd INTEGER, secret TEXT UNIQUE, twice INTEGER AS (pay * 2) STORED);
CREATE INDEX people_cover ON people (secret, id, name);
CREATE INDEX people_pay ON people (pay, id, name);
CREATE INDEX people_lower ON people (lower(email), id);
CREATE INDEX people_partial ON people (name, id) WHERE pay > 500;
CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER REFERENCES people(id), total REAL, tenant TEXT, card TEXT);
CREATE INDEX orders_card ON orders (card, id, total, tenant, person);
CREATE INDEX orders_person ON orders (person, card);
CREATE TABLE keyed (hidden INTEGER, part INTEGER, label TEXT, PRIMARY KEY (hidden, part)) WITHOUT ROWID;
CREATE TABLE badges (badge INTEGER PRIMARY KEY, label TEXT, floor INTEGER);
CREATE TABLE payroll (id INTEGER PRIMARY KEY, amount INTEGER);
CREATE TABLE "Odd ""table"" ü" ("count" INTEGER, "a b" TEXT, "order" INTEGER, "rowid_" INTEGER, "q""uote" TEXT,
  "version" TEXT);
CREATE VIEW people_view AS SELECT id, name FROM people;
"""


def build(path: Path, twin: int) -> Path:
    with sqlite3.connect(path) as connection:
        connection.executescript(_SCHEMA)
        for i in range(1, 2501):
            h = i * (7919 if twin == 1 else 104_729) % 10_007
            odd = [h % 100, f"raw {h}", None, h % 100 + 0.5, f"{h}x".encode()][i % 5]
            connection.execute(
                "INSERT INTO people VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (
                    i,
                    f"Name {i % 300}",
                    [None, f"nomail{h}", f"u{h}@a@x{i % 5}.example"][min(i % 9, 2)],
                    f"s{i}",
                    f"{h:06d}{i % 10_000:05d}",
                    f"{1950 + i % 50}-{h % 12 + 1:02d}-{h % 28 + 1:02d}" if i % 6 else f"before {h}",
                    (i % 40 - 20) * 100 + h % (100 if twin == 1 else 3),
                    f"A{i % 7}{h}",
                    f"n{h}",
                    f"f{h}",
                    odd,
                    f"z{h:05d}{i}",
                ),
            )
            mine = i % 7 != 3
            connection.execute(
                "INSERT INTO orders VALUES (?,?,?,?,?)",
                (i, i * 31 % 2500 + 1 if mine else h % 90, i * 37 % 1000 / 4 if mine else -h, "t1" if mine else "t2",
                 f"c{h}"),
            )  # fmt: skip
            connection.execute("INSERT INTO keyed VALUES (?,?,?)", (h, i, f"l{i % 9}"))
        for i in range(1, 90):
            h = i * (53 if twin == 1 else 71) % 97
            connection.execute("INSERT INTO badges VALUES (?,?,?)", (h + 1, f"b{i}", i % 4))
            connection.execute("INSERT INTO payroll VALUES (?,?)", (i, h))
            connection.execute(
                'INSERT INTO "Odd ""table"" ü" VALUES (?,?,?,?,?,?)', (i, f"ab{i % 3}", i, i, "q", f"v{h}")
            )
        connection.execute("ANALYZE")
    connection.close()
    return path
