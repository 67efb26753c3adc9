"""The shop of sqlite_shop.py with tables to write to, opened through the connector, and how it looks afterwards."""

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlite_shop
from sqlite_shop import KEY, json_type

from app.masking.masks import Mask, Null, Partial
from app.policy.decision import ColumnView, Compare, Comparison, TableView
from app.sql.sqlite import guard
from app.sql.statement import Bind, KeyBind, ParamBind, RewrittenWrite, ValueBind
from connectors.contract import (
    Catalog,
    ConnectorError,
    Limits,
    SqlConnectorConfig,
    TableKey,
    WriteLimits,
    WriteRunnable,
)
from connectors.sqlite import SqliteConnector
from connectors.sqlite.catalog import read_catalog
from connectors.sqlite.functions import register

LIMITS = Limits(max_rows=20_000, max_bytes=20_000_000, max_value_bytes=4_000_000, timeout_s=20.0)
EXTRA = """
CREATE TABLE tickets (id INTEGER PRIMARY KEY, tenant TEXT COLLATE NOCASE, title TEXT NOT NULL,
  state TEXT DEFAULT 'open', points REAL CHECK (points >= 0), owner INTEGER REFERENCES customers(id), contact TEXT,
  inside TEXT DEFAULT 'x',
  size INTEGER GENERATED ALWAYS AS (length(title)) VIRTUAL);
CREATE INDEX tickets_inside ON tickets (state, inside, id);
CREATE TABLE bookings (id INTEGER PRIMARY KEY, room TEXT, guest TEXT, note TEXT, UNIQUE (room, guest));
CREATE TABLE papers (id INTEGER PRIMARY KEY, owner TEXT COLLATE NOCASE, body TEXT, slug TEXT UNIQUE);
CREATE TABLE places (code INTEGER PRIMARY KEY, spot INTEGER UNIQUE, name TEXT);
CREATE TABLE limits (id INTEGER PRIMARY KEY, credit INTEGER, debt INTEGER, note TEXT, CHECK (credit >= debt));
CREATE TABLE pages (id INTEGER PRIMARY KEY, owner TEXT, title TEXT, slug TEXT AS (lower(title)) STORED UNIQUE, js TEXT);
CREATE TABLE rooms (building TEXT, number INTEGER, seats INTEGER, PRIMARY KEY (building, number)) WITHOUT ROWID;
CREATE TABLE tags (tag TEXT PRIMARY KEY, uses INTEGER NOT NULL DEFAULT 0);
CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT, n INTEGER);
CREATE TRIGGER tags_logged AFTER DELETE ON tags BEGIN INSERT INTO log (what, n) VALUES (old.tag, old.uses); END;
"""
_FILTERS = {
    "pages": Comparison(column="owner", op=Compare.NE, value="boss"),
    "tickets": Comparison(column="tenant", op=Compare.EQ, value="t1"),
    "papers": Comparison(column="owner", op=Compare.NE, value="boss"),
}
_HIDDEN = {"limits": {"debt"}, "tickets": {"inside"}, "bookings": {"guest"}}
_MASKS: Mapping[str, Mapping[str, Mask]] = {"tickets": {"contact": Partial(email=True)}, "places": {"code": Null()}}


def build(path: Path, *, twin: bool = False, image: bool = False) -> None:
    sqlite_shop.build(path, twin=twin, image=image)
    with closing(sqlite3.connect(path)) as connection:
        register(connection)
        if image:
            # The plain copy of a table has no key to refer to.
            connection.executescript("CREATE UNIQUE INDEX customers_id ON customers (id);")
        connection.executescript(EXTRA)
        for i in range(1, 301):
            h = i * (7919 if not twin else 104_729) % 9_973
            mine = i % 3 != 1 or i == 300
            connection.execute(
                "INSERT INTO tickets (id, tenant, title, state, points, owner, contact, inside)"
                " VALUES (?,?,?,?,?,?,?,?)",
                (i, ("t1", "T1")[i % 2] if mine else "t2", f"Ticket {i % 40}" if mine else f"other {h}",
                 ("open", "done")[i % 2], i % 8 if mine else h, i,
                 f"u{h}@x{i % 3}.example", f"in{h}"),
            )  # fmt: skip
            boss = i % 5 == 2
            connection.execute(
                "INSERT INTO papers VALUES (?,?,?,?)",
                (i, ("Boss", "BOSS")[i % 2] if boss else f"o{i % 4}", f"b{h}" if boss else f"b{i % 9}",
                 f"hidden {h}" if boss else f"slug {i}"),
            )  # fmt: skip
            connection.execute("INSERT INTO limits VALUES (?,?,?,?)", (i, 20_000, h, "n"))
            connection.execute(
                "INSERT INTO pages (owner, title, js) VALUES (?,?,?)",
                ("boss", f"H {h}", f"no {h}") if boss else ("me", f"Page {i}", "{}"),
            )
        for i in range(60):
            connection.execute("INSERT INTO rooms VALUES (?,?,?)", (f"B{i % 4}", i, i % 7))
            connection.execute("INSERT INTO tags VALUES (?,?)", (f"tag{i}", i % 5))
            connection.execute(
                "INSERT INTO places VALUES (?,?,?)", ((i if twin else -i) + 100, i if i < 50 else None, f"p{i % 3}")
            )
            guest = f"g{i * (7 if twin else 11) % 61}"
            connection.execute("INSERT INTO bookings VALUES (?,?,?,?)", (i + 1, f"r{i % 9}", guest, f"n{i}"))
        if image:
            connection.executescript(
                """
                DELETE FROM tickets WHERE tenant <> 't1'; DELETE FROM papers WHERE owner = 'boss';
                DELETE FROM pages WHERE owner = 'boss';
                CREATE TABLE seen AS SELECT id, credit, note FROM limits;
                DROP TABLE limits; ALTER TABLE seen RENAME TO limits;
                UPDATE tickets SET contact = '***@' || substr(contact, instr(contact, '@') + 1);
                DROP INDEX tickets_inside; ALTER TABLE tickets DROP COLUMN inside;
                CREATE TABLE placed AS SELECT NULL AS code, spot, name FROM places;
                DROP TABLE places; ALTER TABLE placed RENAME TO places;
                CREATE TABLE booked AS SELECT id, room, note FROM bookings;
                DROP TABLE bookings; ALTER TABLE booked RENAME TO bookings;
                """
            )
        connection.execute("ANALYZE")
        connection.commit()


def views(catalog: Catalog) -> Mapping[TableKey, TableView]:
    found = dict(sqlite_shop.views(catalog))
    for name in ("tickets", "papers", "bookings", "places", "limits", "pages"):
        masks = _MASKS.get(name, {})
        table = catalog.tables["main", name]
        found["main", name] = TableView(
            schema="main",
            name=name,
            columns=tuple(
                ColumnView(name=c.name, type=c.type, mask=masks.get(c.name), label="pii" if c.name in masks else None)
                for c in table.columns
                if c.name not in _HIDDEN.get(name, set())
            ),
            row_filter=_FILTERS.get(name),
        )
    return found


def prepared(
    sql: str, params: Mapping[str, Any], catalog: Catalog, seen: Mapping[TableKey, TableView]
) -> RewrittenWrite:
    statement = guard.inspect(sql, {name: json_type(value) for name, value in params.items()}, catalog)
    return guard.rewrite_write(statement, seen.get, catalog)


def _value(bind: Bind, params: Mapping[str, Any]) -> Any:
    match bind:
        case ParamBind(name=name):
            return params[name]
        case ValueBind(value=value):
            return value
        case KeyBind():
            return KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What leaves the gateway of a write. `rows` in the engine's order."""

    affected: int = 0
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    error: str = ""


def write(path: Path, made: RewrittenWrite, params: Mapping[str, Any], *, dry_run: bool = False) -> Outcome:
    async def run() -> Outcome:
        rows: list[Any] = []

        def sink(batch: Any) -> int:
            rows.extend(map(tuple, batch))
            return 1

        options = {"path": str(path)}
        connector = SqliteConnector(
            SqlConnectorConfig(name="shop", secret=None, options=options, redact=sqlite_shop.without_addresses)
        )
        await connector.open()
        statement = WriteRunnable(
            sql=made.sql,
            args=tuple(_value(bind, params) for bind in made.binds),
            returning=made.returning,
            ddl=made.ddl,
        )
        try:
            done = await connector.write(statement, WriteLimits(read=LIMITS, dry_run=dry_run), sink)
        except ConnectorError as e:
            return Outcome(error=str(e))
        finally:
            await connector.close()
        return Outcome(affected=done.affected, columns=tuple(c.name for c in done.columns), rows=tuple(rows))

    return asyncio.run(run())


def visible(path: Path, catalog: Catalog, seen: Mapping[TableKey, TableView]) -> dict[str, list[tuple[Any, ...]]]:
    """All that the analyst can read, table by table, in the order it comes."""
    found = {}
    with closing(sqlite3.connect(path)) as connection:
        register(connection, sqlite_shop.without_addresses)
        for _, name in sorted(seen):
            made = sqlite_shop.rewritten(f'SELECT * FROM "{name}"', {}, catalog, seen)
            _, rows = sqlite_shop.run(connection, made.sql, sqlite_shop.arguments(made, {}))
            found[name] = rows
    return found


def concealed(path: Path) -> dict[str, dict[Any, tuple[Any, ...]]]:
    """Everything that no write of the analyst may change, by key: rows behind a filter, columns hidden or masked."""
    queries = {
        "customers": "SELECT id, email, ssn, phone, birth, salary, score, note, token, code, flag FROM customers",
        "orders": "SELECT id, card, tenant FROM orders",
        "orders of others": "SELECT id, * FROM orders WHERE tenant <> 't1'",
        "employees": "SELECT badge, pay FROM employees",
        "desks": "SELECT name, holder FROM desks",
        "accounts": "SELECT iban, iban FROM accounts",
        "remarks": "SELECT id, body FROM remarks",
        "payroll": "SELECT id, amount FROM payroll",
        "tickets": "SELECT id, inside, contact FROM tickets",
        "bookings": "SELECT id, guest FROM bookings",
        "places": "SELECT code, code FROM places",
        "tickets of others": "SELECT id, * FROM tickets WHERE tenant <> 't1'",
        "papers of others": "SELECT id, * FROM papers WHERE owner = 'boss'",
    }
    with closing(sqlite3.connect(path)) as connection:
        return {name: {row[0]: row[1:] for row in connection.execute(sql)} for name, sql in queries.items()}


def catalog_of(path: Path) -> Catalog:
    return read_catalog(str(path))
