"""A shop in three files: d1, a twin d2 that differs only in what is hidden, and an image with the policy applied.

Rows go in in the same order everywhere. Hidden values differ between d1 and d2 in order, so that a scan through an
index or a table sorted by one of them comes out differently.
"""

import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.masking.masks import Constant, Generalise, Mask, Null, Partial, Pseudonym, Redact, Step
from app.policy.decision import ColumnView, Compare, Comparison, TableView
from app.sql.sqlite import guard
from app.sql.statement import JsonType, KeyBind, ParamBind, Rewritten, ValueBind
from connectors.contract import Catalog, TableKey
from connectors.sqlite.catalog import read_catalog
from connectors.sqlite.functions import register

CUSTOMERS = 600
ORDERS = 1500
REMARKS = 300
EVENTS = 400
KEY = b"k" * 32

SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, ssn TEXT UNIQUE, phone TEXT, birth TEXT,
  salary INTEGER, score REAL, region TEXT, note TEXT, token TEXT, code TEXT, flag TEXT);
CREATE INDEX customers_region_ssn ON customers (region, ssn);
CREATE INDEX customers_salary ON customers (salary, id);
CREATE INDEX customers_lower ON customers (lower(email), id);
CREATE INDEX customers_note ON customers (note, id, name, region);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, region TEXT, total REAL, placed_at TEXT, card TEXT,
  tenant TEXT);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_customer_card ON orders (customer_id, card);
CREATE INDEX orders_card ON orders (card, id);
CREATE TABLE employees (badge TEXT PRIMARY KEY, name TEXT, dept TEXT, pay INTEGER) WITHOUT ROWID;
CREATE TABLE desks (name TEXT PRIMARY KEY, floor INTEGER, holder TEXT) WITHOUT ROWID;
CREATE INDEX desks_holder ON desks (holder, floor);
CREATE TABLE accounts (iban INTEGER PRIMARY KEY, owner TEXT, balance REAL);
CREATE TABLE events (id INTEGER PRIMARY KEY, customer_id INTEGER, kind TEXT, payload TEXT);
CREATE INDEX events_customer ON events (customer_id);
CREATE TABLE odd_names (id INTEGER PRIMARY KEY, date TEXT, type TEXT, "key" TEXT, value TEXT, "order" INTEGER,
  "group" TEXT);
CREATE TABLE remarks (id INTEGER PRIMARY KEY, customer_id INTEGER, body TEXT);
CREATE INDEX remarks_body ON remarks (body, id);
CREATE TABLE payroll (id INTEGER PRIMARY KEY, amount INTEGER);
CREATE VIEW eu_customers AS SELECT id, name, email, ssn FROM customers WHERE region = 'EU';
"""

_MASKS: Mapping[str, Mapping[str, Mask]] = {
    "customers": {
        "email": Partial(email=True),
        "phone": Partial(keep_last=4),
        "birth": Generalise(step=Step.YEAR),
        "salary": Generalise(step=Step.BUCKET, size=1000),
        "score": Generalise(step=Step.BUCKET, size=5),
        "note": Null(),
        "token": Pseudonym(domain="token"),
        "code": Generalise(step=Step.PREFIX, size=2),
        "flag": Constant(value="?"),
    },
    "employees": {"badge": Null()},
    "accounts": {"iban": Null()},
    "remarks": {"body": Redact()},
    "eu_customers": {"email": Partial(email=True)},
}
_HIDDEN = {"customers": {"ssn"}, "orders": {"card", "tenant"}, "employees": {"pay"}, "desks": {"holder"},
           "eu_customers": {"ssn"}}  # fmt: skip
_DENIED = {"payroll"}


def without_addresses(text: str) -> str:
    """What the connector is given to redact with, as simple as it can be."""
    return re.sub(r"[a-z0-9]+@[a-z.]+", "[pii.email]", text)


def views(catalog: Catalog, *, raw: bool = False) -> Mapping[TableKey, TableView]:
    """The analyst's obligations; `raw`: no masks, no filter, everything the catalog has."""
    found = {}
    for key, table in catalog.tables.items():
        name = table.name
        if not raw and name in _DENIED:
            continue
        masks = {} if raw else _MASKS.get(name, {})
        hidden = set() if raw else _HIDDEN.get(name, set())
        found[key] = TableView(
            schema="main",
            name=name,
            columns=tuple(
                ColumnView(name=c.name, type=c.type, label=f"pii.{c.name}" if c.name in masks else None,
                           mask=masks.get(c.name))
                for c in table.columns
                if c.name not in hidden
            ),
            row_filter=Comparison(column="tenant", op=Compare.EQ, value="t1") if name == "orders" and not raw else None,
        )  # fmt: skip
    return found


def build(path: Path, *, twin: bool = False, image: bool = False) -> None:
    """Deterministic; `twin` changes hidden values only. The image keeps what the analyst may see, as stored data."""
    with sqlite3.connect(path) as connection:
        register(connection)
        connection.executescript(SCHEMA)
        _fill(connection, twin)
        if image:
            _apply(connection)
        connection.execute("ANALYZE")
    connection.close()


def _fill(connection: sqlite3.Connection, twin: bool) -> None:
    regions = ("EU", "US", "APAC", "LATAM")
    names = ("Ana", "Bob", "Cle", "Dee", "Eve", "Fay")
    for i in range(1, CUSTOMERS + 1):
        h = (i * 7919) % 100_003 if not twin else (i * 104_729) % 100_003
        connection.execute(
            "INSERT INTO customers VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                i,
                f"{names[i % 6]} {i}",
                None if i % 50 == 0 else f"u{h}@{'example.org' if i % 3 else 'mail.example'}",
                f"{h:09d}",
                f"+1{h % 1000:03d}555{i % 100:04d}",
                f"{1950 + i % 50}-{h % 12 + 1:02d}-{h % 28 + 1:02d}",
                (i % 90) * 1000 + h % 1000,
                (i % 20) * 5 + (h % 400) / 100,
                regions[i % 4],
                None if (i + twin) % 3 else f"note {h}",
                f"tok{i % 300}",
                f"A{i % 7}{h:05d}",
                str(h),
            ),
        )
    for i in range(1, ORDERS + 1):
        h = (i * 6007) % 99_991 if not twin else (i * 31_337) % 99_991
        mine = i % 4 != 3
        if not mine and twin and i % 8 == 3:
            continue
        total = round((i * 37 % 19_990) / 100 + 1, 2)
        day = f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d} {i % 24:02d}:00:00"
        shared = (i * 13 % (CUSTOMERS - 50) + 1, regions[i % 3], total, day)
        other = (h % 90, "ZZ", h / 7 if twin else -float(h), "never" if twin else day)
        connection.execute(
            "INSERT INTO orders VALUES (?,?,?,?,?,?,?)",
            (i, *(shared if mine else other), str(h), "t1" if mine else "t2"),
        )
    people = [(f"{names[i % 6]}{i}", ("ops", "dev", "hr")[i % 3]) for i in range(90)]
    for i, (name, dept) in enumerate(people):
        h = (i * 53 if not twin else i * 71) % 97
        connection.execute("INSERT INTO employees VALUES (?,?,?,?)", (f"b{h:03d}", name, dept, h * 10))
        connection.execute("INSERT INTO desks VALUES (?,?,?)", (f"d{i}", i % 5, f"h{h:03d}"))
        connection.execute("INSERT INTO accounts VALUES (?,?,?)", (h + 1, name, i * 11 % 50 * 1.5))
    for i in range(1, EVENTS + 1):
        payload = f'{{"page": "p{i % 5}", "tags": ["t{i % 3}", {i}]}}'
        connection.execute("INSERT INTO events VALUES (?,?,?,?)", (i, i % 80, ("view", "buy", "quit")[i % 3], payload))
        connection.execute(
            "INSERT INTO odd_names VALUES (?,?,?,?,?,?,?)", (i, "2024-01-01", "t", "k", "v", i % 4, f"g{i % 3}")
        )
    for i in range(1, REMARKS + 1):
        h = (i * 6007) % 99_991 if not twin else (i * 31_337) % 99_991
        body = f"{('call', 'write', 'never mind')[i % 3]}: {'' if i % 9 == 0 else f'u{h}@example.org'} asks {i % 5}"
        connection.execute("INSERT INTO remarks VALUES (?,?,?)", (i, i % 80, None if i % 40 == 0 else body))
    connection.execute("INSERT INTO payroll VALUES (1, ?)", (500 + twin,))


def _apply(connection: sqlite3.Connection) -> None:
    """The policy as plain updates, written independently of the guard's own expressions."""
    rows = connection.execute("SELECT id, email, phone, birth, salary, score, token, code FROM customers").fetchall()
    for key, email, phone, birth, salary, score, token, code in rows:
        (pseudonym,) = connection.execute("SELECT douane_pseudonym(?, ?)", (KEY, token)).fetchone()
        connection.execute(
            "UPDATE customers SET email=?, phone=?, birth=?, salary=?, score=?, note=NULL, token=?, code=?, flag='?'"
            " WHERE id=?",
            (
                None if email is None else "***@" + email.rsplit("@", 1)[1],
                "***" + phone[-4:],
                birth[:4] + "-01-01",
                salary // 1000 * 1000,
                float(score // 5 * 5),
                pseudonym,
                code[:2],
                key,
            ),
        )
    for key, body in connection.execute("SELECT id, body FROM remarks WHERE body LIKE '%@%'").fetchall():
        words = ("[pii.email]" if "@" in word else word for word in body.split(" "))
        connection.execute("UPDATE remarks SET body = ? WHERE id = ?", (" ".join(words), key))
    connection.executescript(
        """
        DELETE FROM orders WHERE tenant <> 't1';
        DROP VIEW eu_customers; DROP INDEX customers_region_ssn; DROP INDEX orders_card;
        DROP INDEX orders_customer_card; DROP INDEX desks_holder;
        ALTER TABLE orders DROP COLUMN card; ALTER TABLE orders DROP COLUMN tenant;
        ALTER TABLE desks DROP COLUMN holder; DROP TABLE payroll;
        CREATE TABLE staff AS SELECT NULL AS badge, name, dept FROM employees;
        DROP TABLE employees; ALTER TABLE staff RENAME TO employees;
        CREATE TABLE owned AS SELECT NULL AS iban, owner, balance FROM accounts;
        DROP TABLE accounts; ALTER TABLE owned RENAME TO accounts;
        CREATE TABLE kept AS SELECT id, name, email, phone, birth, salary, score, region, note, token, code, flag
          FROM customers;
        DROP TABLE customers; ALTER TABLE kept RENAME TO customers;
        CREATE VIEW eu_customers AS SELECT id, name, email FROM customers WHERE region = 'EU';
        """
    )


def open_shop(path: Path) -> tuple[sqlite3.Connection, Catalog]:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    register(connection, without_addresses)
    return connection, read_catalog(str(path))


def json_type(value: Any) -> JsonType:
    match value:
        case None:
            return JsonType.NULL
        case bool():
            return JsonType.BOOL
        case int():
            return JsonType.INT8
        case float():
            return JsonType.NUMERIC
        case _:
            return JsonType.TEXT


def rewritten(sql: str, params: Mapping[str, Any], catalog: Catalog, seen: Mapping[TableKey, TableView]) -> Rewritten:
    statement = guard.inspect(sql, {name: json_type(value) for name, value in params.items()}, catalog)
    return guard.rewrite(statement, seen.get, catalog)


def arguments(made: Rewritten, params: Mapping[str, Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for bind in made.binds:
        match bind:
            case ParamBind(name=name):
                found.append(params[name])
            case ValueBind(value=value):
                found.append(value)
            case KeyBind():
                found.append(KEY)
    return tuple(found)


Answer = tuple[tuple[str, ...], list[tuple[Any, ...]]] | str


def answer(connection: sqlite3.Connection, made: Rewritten, params: Mapping[str, Any]) -> Answer:
    """Columns and rows, or the class of the engine's error."""
    return run(connection, made.sql, arguments(made, params))


def run(connection: sqlite3.Connection, sql: str, args: Any) -> Answer:
    try:
        cursor = connection.execute(sql, args)
        return tuple(d[0] for d in cursor.description), cursor.fetchall()
    except (sqlite3.Error, OverflowError) as error:
        return type(error).__name__
