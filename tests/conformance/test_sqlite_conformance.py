"""The SQLite connector passes the suite of SQL connectors."""

import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from connectors.conformance import SqlConformance
from connectors.conformance.harness import THINGS
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
