"""The SQLite connector passes the suites of SQL connectors, for reads and for writes."""

import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance import SqlConformance, WriteConformance
from connectors.conformance.harness import THINGS
from connectors.conformance.write_harness import ACCOUNTS
from connectors.contract import Dialect, SqlConnectorConfig
from connectors.sqlite import connector, session


class SqliteHarness:
    dialect = Dialect.SQLITE
    factory = connector
    schema = "main"
    thing = "thing"
    thing_by_id = "SELECT id, name FROM thing WHERE id = ?1"
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    writes = (
        "INSERT INTO thing (id, name) VALUES (0, 'x')",
        "UPDATE thing SET name = 'x'",
        "DELETE FROM thing",
        "WITH x AS (SELECT 1) DELETE FROM thing",
        "CREATE TABLE other (a)",
        "CREATE TEMP TABLE other (a)",
        "DROP TABLE thing",
        "ATTACH ':memory:' AS other",
        "PRAGMA user_version = 1",
        "PRAGMA query_only = OFF",
        "VACUUM",
        "REINDEX",
        "BEGIN IMMEDIATE",
    )

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as database:
            database.executescript(
                "CREATE TABLE thing (id integer PRIMARY KEY, name text NOT NULL, secret text UNIQUE);"
                "CREATE VIEW thing_names AS SELECT id, name FROM thing;"
            )
            database.executemany(
                "INSERT INTO thing VALUES (?, ?, ?)", ((i, f"name {i}", f"secret {i}") for i in range(1, THINGS + 1))
            )
            database.commit()

    def config(self, pool_max: int = 4) -> SqlConnectorConfig:
        return SqlConnectorConfig(name="shop", secret=None, options={"path": str(self.path)}, pool_max=pool_max)

    def config_of_nothing(self) -> SqlConnectorConfig:
        return SqlConnectorConfig(name="shop", secret=None, options={"path": str(self.path) + ".absent"})

    def numbers(self, count: int) -> str:
        return f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count}) SELECT n FROM s"

    def text_of(self, size: int) -> str:
        return f"SELECT substr(hex(zeroblob({size + 1} / 2)), 1, {size})"

    async def running(self) -> int:
        """A worker thread that is inside a statement has the session's frame on its stack."""
        frames = sys._current_frames()
        workers = [t for t in threading.enumerate() if t.name.startswith("douane-sqlite")]
        return sum(_inside_session(frames.get(t.ident or 0)) for t in workers)


def _inside_session(frame: object) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == session.__file__:  # type: ignore[attr-defined]
            return True
        frame = frame.f_back  # type: ignore[attr-defined]
    return False


class TestSqlite(SqlConformance):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> SqliteHarness:
        return SqliteHarness(tmp_path / "shop #1?.db")


class SqliteWriteHarness:
    factory = connector
    account = "main.account"
    entry = "main.entry"
    later = "main.later"
    placeholder = "?1"
    slow_write = (
        "UPDATE main.account SET amount = s.n FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT count(*) AS n FROM n) AS s RETURNING 1"
    )
    create = "CREATE TABLE main.made (a integer)"
    drop = "DROP TABLE main.made"
    made = "main.made"
    no_writes = (
        "SELECT 1",
        "DELETE FROM account",
        "EXPLAIN DELETE FROM account RETURNING 1",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        "DELETE FROM sqlite_master RETURNING 1",
        "INSERT INTO account (id, name, amount) SELECT 7000, sql, 1 FROM sqlite_master RETURNING 1",
        "DELETE FROM account WHERE id IN (SELECT rootpage FROM sqlite_schema) RETURNING 1",
        "UPDATE account SET name = load_extension('x') RETURNING 1",
        "DELETE FROM account RETURNING 1, (SELECT count(*) FROM pragma_database_list)",
        "DELETE FROM shadow_data RETURNING 1",
        "INSERT INTO replacing VALUES (1, 2) RETURNING 1",
        "DELETE FROM numbered RETURNING 1, _rowid_",
        "ATTACH ':memory:' AS other",
        "PRAGMA user_version = 7",
        "PRAGMA foreign_keys = OFF",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "VACUUM",
        "DELETE FROM account RETURNING 1; DELETE FROM entry",
    )

    def __init__(self, path: Path, journal: str) -> None:
        self.path = path
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"PRAGMA journal_mode = {journal}")
            database.executescript(
                "CREATE TABLE account (id integer PRIMARY KEY, name text NOT NULL UNIQUE,"
                " amount integer NOT NULL CHECK (amount >= 0));"
                "CREATE TABLE entry (id integer PRIMARY KEY, account integer NOT NULL REFERENCES account(id));"
                "CREATE TABLE later (id integer PRIMARY KEY,"
                " account integer REFERENCES account(id) DEFERRABLE INITIALLY DEFERRED);"
                "CREATE TABLE replacing (a UNIQUE ON CONFLICT REPLACE, b);"
                "CREATE TABLE numbered (_rowid_ text, b);"
                "CREATE VIRTUAL TABLE shadow USING fts5(a);"
            )
            database.executemany(
                "INSERT INTO account VALUES (?, ?, 1)", ((i, f"name {i}") for i in range(1, ACCOUNTS + 1))
            )
            database.execute("INSERT INTO entry VALUES (1, 1)")
            database.commit()

    def config(self, pool_max: int = 4) -> SqlConnectorConfig:
        return SqlConnectorConfig(name="shop", secret=None, options={"path": str(self.path)}, pool_max=pool_max)

    def config_of_nothing(self) -> SqlConnectorConfig:
        return SqlConnectorConfig(name="shop", secret=None, options={"path": str(self.path) + ".absent"})

    async def rows_of(self, table: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as database:
            return database.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall()

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
            database.execute("ROLLBACK")


class TestSqliteWrites(WriteConformance):
    @pytest.fixture(params=["DELETE", "WAL"])
    def harness(self, tmp_path: Path, request: pytest.FixtureRequest) -> SqliteWriteHarness:
        return SqliteWriteHarness(tmp_path / "shop #1?.db", request.param)
