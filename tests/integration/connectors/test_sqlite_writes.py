"""What is particular to writing SQLite files: locks, readers, files that change, disks that fill, schemas that act."""

import asyncio
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance.harness import GENEROUS, Collected
from connectors.contract import (
    ConnectorError,
    Failure,
    Fault,
    Runnable,
    SqlConnectorConfig,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)
from connectors.sqlite import SqliteConnector

FREELY = WriteLimits(read=GENEROUS)
DRY = WriteLimits(read=GENEROUS, dry_run=True)
SCHEMA = """
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE, price REAL);
CREATE TABLE line (id INTEGER PRIMARY KEY, item INTEGER REFERENCES item(id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE part (id INTEGER PRIMARY KEY, line INTEGER REFERENCES line(id) ON DELETE CASCADE);
CREATE TABLE journal (what TEXT);
CREATE VIRTUAL TABLE words USING fts5(name);
CREATE TRIGGER item_added AFTER INSERT ON item BEGIN
  INSERT INTO journal VALUES ('added ' || new.name);
  INSERT INTO words (rowid, name) VALUES (new.id, new.name);
END;
CREATE TABLE latest (k TEXT UNIQUE ON CONFLICT REPLACE, v TEXT);
CREATE TABLE other (id INTEGER PRIMARY KEY, v TEXT);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return filled(tmp_path / "items.db")


def filled(path: Path, journal: str = "DELETE") -> Path:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {journal}")
        database.executescript(SCHEMA)
        database.executemany("INSERT INTO item VALUES (?, ?, ?)", ((i, f"item {i}", i) for i in range(1, 11)))
        database.executemany("INSERT INTO line VALUES (?, ?)", ((i, i) for i in range(1, 11)))
        database.executemany("INSERT INTO part VALUES (?, ?)", ((i, i) for i in range(1, 11)))
        database.execute("INSERT INTO latest VALUES ('a', 'first')")
        database.commit()
    return path


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteConnector]:
    connector = SqliteConnector(SqlConnectorConfig(name="shop", secret=None, options={"path": str(path)}))
    await connector.open()
    try:
        yield connector
    finally:
        await connector.close()


async def written(
    connector: SqliteConnector, sql: str, limits: WriteLimits = FREELY, *, ddl: bool = False
) -> tuple[WriteOutcome, list[tuple[Any, ...]]]:
    sink = Collected()
    outcome = await connector.write(WriteRunnable(sql=sql, returning=not ddl, ddl=ddl), limits, sink)
    return outcome, [tuple(row) for row in sink.rows]


async def refused(
    connector: SqliteConnector, sql: str, limits: WriteLimits = FREELY, *, ddl: bool = False
) -> ConnectorError:
    with pytest.raises(ConnectorError) as error:
        await written(connector, sql, limits, ddl=ddl)
    return error.value


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


async def test_triggers_and_full_text_indexes_work(path: Path) -> None:
    async with opened(path) as connector:
        outcome, _ = await written(connector, "INSERT INTO item (name) VALUES ('blue chair') RETURNING 1")
        assert outcome.affected == 1
        sink = Collected()
        await connector.read(Runnable(sql="SELECT rowid FROM words WHERE words MATCH 'chair'"), GENEROUS, sink)
        assert len(sink.rows) == 1
    assert rows(path, "SELECT * FROM journal")[-1] == ("added blue chair",)


async def test_foreign_keys_act_and_their_rows_are_not_counted(path: Path) -> None:
    async with opened(path) as connector:
        outcome, _ = await written(connector, "DELETE FROM item WHERE id < 4 RETURNING 1")
        assert outcome.affected == 3
        outcome, _ = await written(connector, "UPDATE item SET id = id + 100 RETURNING 1")
        assert outcome.affected == 7
    assert rows(path, "SELECT count(*), min(item) FROM line") == [(7, 104)]
    assert rows(path, "SELECT count(*) FROM part") == [(7,)]


async def test_a_table_that_replaces_rows_by_its_own_definition_is_not_written(path: Path) -> None:
    async with opened(path) as connector:
        for sql in ("INSERT INTO latest VALUES ('a', 'second') RETURNING 1", "UPDATE latest SET k = 'a' RETURNING 1"):
            error = await refused(connector, sql)
            assert (error.failure, error.fault) == (Failure.STATEMENT, Fault.UNSUPPORTED)
        assert (await written(connector, "DELETE FROM latest RETURNING 1, v"))[1] == [("first",)]


async def test_the_file_is_never_made(tmp_path: Path) -> None:
    async with opened(tmp_path / "absent.db") as connector:
        error = await refused(connector, "CREATE TABLE a (b)", ddl=True)
        assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "noise.db"
    path.write_bytes(b"no database at all" * 100)
    async with opened(path) as connector:
        error = await refused(connector, "DELETE FROM item RETURNING 1")
        assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, False)


async def test_a_replaced_file_is_written_and_not_the_one_it_replaced(path: Path, tmp_path: Path) -> None:
    fresh = filled(tmp_path / "fresh.db")
    async with opened(path) as connector:
        await written(connector, "DELETE FROM item WHERE id = 1 RETURNING 1")
        shutil.move(fresh, path)
        await written(connector, "DELETE FROM item WHERE id = 2 RETURNING 1")
        assert rows(path, "SELECT min(id), count(*) FROM item") == [(1, 9)]
        path.unlink()
        error = await refused(connector, "DELETE FROM item RETURNING 1")
        assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)


async def test_a_file_replaced_during_the_write_is_not_reported_as_written(path: Path, tmp_path: Path) -> None:
    fresh = filled(tmp_path / "fresh.db")
    async with opened(path) as connector:

        def sink(batch: Any) -> int:
            if fresh.exists():
                shutil.move(fresh, path)
            return 1

        with pytest.raises(ConnectorError) as error:
            await connector.write(WriteRunnable(sql="DELETE FROM item RETURNING 1, id", returning=True), FREELY, sink)
        assert (error.value.failure, error.value.retryable) == (Failure.UNAVAILABLE, True)
        assert rows(path, "SELECT count(*) FROM item") == [(10,)]
        assert (await written(connector, "DELETE FROM item RETURNING 1"))[0].affected == 10


async def test_the_journal_mode_stays_what_it_is(tmp_path: Path) -> None:
    for journal in ("delete", "wal", "truncate"):
        path = filled(tmp_path / f"{journal}.db", journal)
        before = rows(path, "PRAGMA journal_mode") if journal == "wal" else None
        async with opened(path) as connector:
            await written(connector, "DELETE FROM item WHERE id = 1 RETURNING 1")
        assert before is None or rows(path, "PRAGMA journal_mode") == before
        assert rows(path, "SELECT count(*) FROM item") == [(9,)]


async def test_in_wal_mode_a_long_read_does_not_stop_a_write(tmp_path: Path) -> None:
    path = filled(tmp_path / "items.db", "WAL")
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM item").fetchone()
        async with opened(path) as connector:
            assert (await written(connector, "DELETE FROM item WHERE id = 1 RETURNING 1"))[0].affected == 1
        assert reader.execute("SELECT count(*) FROM item").fetchone() == (10,)


async def test_a_read_that_never_ends_makes_the_commit_give_up_before_readers_do(path: Path) -> None:
    """While a commit waits for readers no new one gets in, so it must give up before they lose their patience."""
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM item").fetchone()
        async with opened(path) as connector:
            writing = asyncio.create_task(refused(connector, "DELETE FROM item WHERE id = 1 RETURNING 1"))
            await asyncio.sleep(0.5)
            sink = Collected()
            await connector.read(Runnable(sql="SELECT count(*) FROM item"), GENEROUS, sink)
            assert [tuple(row) for row in sink.rows] == [(10,)]
            error = await writing
            assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)
            reader.execute("COMMIT")
            assert (await written(connector, "DELETE FROM item WHERE id = 1 RETURNING 1"))[0].affected == 1


async def test_cancelling_while_the_commit_waits_ends_as_the_commit_did(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM item").fetchone()
        async with opened(path) as connector:
            writing = asyncio.create_task(written(connector, "DELETE FROM item WHERE id = 1 RETURNING 1"))
            await asyncio.sleep(0.5)
            writing.cancel()
            await asyncio.sleep(0.1)
            assert not writing.done()
            reader.execute("COMMIT")
            outcome, _ = await writing
            assert outcome.affected == 1
    assert rows(path, "SELECT count(*) FROM item") == [(9,)]


async def test_definitions_by_others_are_followed(path: Path) -> None:
    async with opened(path) as connector:
        await written(connector, "DELETE FROM item WHERE id = 1 RETURNING 1")
        for n in range(3):
            with closing(sqlite3.connect(path)) as database:
                database.execute(f"CREATE TABLE made{n} (a REFERENCES item(id) ON DELETE CASCADE)")
                database.execute(f"INSERT INTO made{n} VALUES (5)")
                database.commit()
            await written(connector, f"INSERT INTO made{n} VALUES (6) RETURNING 1")
            await written(connector, "INSERT INTO item (name) VALUES (NULL) RETURNING 1")
        assert (await written(connector, "DELETE FROM item WHERE id = 5 RETURNING 1"))[0].affected == 1
    assert rows(path, "SELECT count(*) FROM made2") == [(1,)]


async def test_readers_find_a_new_table_at_once(path: Path) -> None:
    async with opened(path) as connector:
        await connector.refresh()
        await written(connector, "CREATE TABLE main.fresh (a TEXT)", ddl=True)
        known = connector.catalog()
        assert known is not None
        assert ("main", "fresh") in known.tables
        await written(connector, "INSERT INTO fresh VALUES ('x') RETURNING 1")
        sink = Collected()
        await connector.read(Runnable(sql="SELECT a FROM fresh"), GENEROUS, sink)
        assert [tuple(row) for row in sink.rows] == [("x",)]
        await connector.read(Runnable(sql="SELECT rowid FROM words WHERE words MATCH 'item'"), GENEROUS, sink)


async def test_definitions_change_one_thing_and_nothing_else(path: Path) -> None:
    async with opened(path) as connector:
        for sql in (
            "CREATE TEMP TABLE a (b)",
            "CREATE TRIGGER a AFTER INSERT ON item BEGIN DELETE FROM line; END",
            "CREATE VIRTUAL TABLE a USING fts5(b)",
            "DROP TRIGGER item_added",
            "CREATE TABLE a AS SELECT sql FROM sqlite_master WHERE load_extension('x')",
            "DELETE FROM item",
            "PRAGMA user_version = 1",
            "ATTACH ':memory:' AS a",
            "VACUUM",
            "REINDEX",
        ):
            assert (await refused(connector, sql, ddl=True)).failure is Failure.REFUSED_BY_WALL, sql
        for sql in (
            "CREATE UNIQUE INDEX item_price ON item (price)",
            "ALTER TABLE item ADD COLUMN note TEXT NOT NULL DEFAULT ''",
            "ALTER TABLE item DROP COLUMN note",
            "DROP INDEX item_price",
            "CREATE TABLE a (b INTEGER PRIMARY KEY AUTOINCREMENT)",
            "DROP TABLE a",
            "DROP TABLE item",
        ):
            await written(connector, sql, ddl=True)
    assert ("item",) not in rows(path, "SELECT name FROM sqlite_schema")


async def test_a_dry_run_of_a_definition_leaves_the_schema(path: Path) -> None:
    before = rows(path, "SELECT * FROM sqlite_schema")
    async with opened(path) as connector:
        for sql in ("DROP TABLE other", "CREATE TABLE a (b)", "ALTER TABLE item ADD COLUMN c"):
            await written(connector, sql, DRY, ddl=True)
        assert (await refused(connector, "CREATE UNIQUE INDEX i ON line ((1))", DRY, ddl=True)).fault is Fault.INTEGRITY
        await written(connector, "INSERT INTO item (name) VALUES ('after') RETURNING 1")
    assert rows(path, "SELECT * FROM sqlite_schema") == before


async def test_text_that_is_not_utf_8_does_not_stop_a_write(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE item SET name = CAST(x'ff41' AS TEXT) WHERE id = 1")
        database.commit()
    async with opened(path) as connector:
        assert (await written(connector, "DELETE FROM item WHERE id = 1 RETURNING 1, name"))[1] == [("�A",)]


async def test_a_write_waits_its_turn_and_no_longer_than_its_time(path: Path) -> None:
    slow = (
        "UPDATE item SET price = s.n FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT count(*) AS n FROM n) AS s RETURNING 1"
    )
    async with opened(path) as connector:
        first = asyncio.create_task(written(connector, slow))
        await asyncio.sleep(0.2)
        error = await refused(
            connector, "DELETE FROM item RETURNING 1", replace(FREELY, read=replace(GENEROUS, timeout_s=0.3))
        )
        assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        assert (await written(connector, "DELETE FROM item WHERE id = 3 RETURNING 1"))[0].affected == 1


@contextmanager
def held_alone(path: Path) -> Iterator[sqlite3.Connection]:
    """As the file is for a moment while others open it first or close it last: not even its schema can be read."""
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        if holder.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            holder.execute("PRAGMA locking_mode = EXCLUSIVE")
        holder.execute("BEGIN EXCLUSIVE")
        holder.execute("UPDATE other SET v = v")
        with (
            pytest.raises(sqlite3.OperationalError, match="locked"),
            closing(sqlite3.connect(path, timeout=0)) as other,
        ):
            other.execute("PRAGMA schema_version")
        yield holder


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
async def test_the_first_write_waits_for_who_has_the_file_alone(tmp_path: Path, journal: str) -> None:
    path = filled(tmp_path / "items.db", journal)
    async with opened(path) as connector:
        with held_alone(path):
            writing = asyncio.create_task(written(connector, "INSERT INTO item (name) VALUES ('chair') RETURNING 1"))
            await asyncio.sleep(0.3)
            assert not writing.done()
        assert (await writing)[0].affected == 1
    assert rows(path, "SELECT count(*) FROM words WHERE words MATCH 'chair'") == [(1,)]


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
async def test_the_first_write_waits_for_the_file_no_longer_than_its_time_or_its_caller(
    tmp_path: Path, journal: str
) -> None:
    path = filled(tmp_path / "items.db", journal)
    async with opened(path) as connector:
        with held_alone(path):
            error = await refused(
                connector, "DELETE FROM item RETURNING 1", replace(FREELY, read=replace(GENEROUS, timeout_s=0.3))
            )
            assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)
            left = asyncio.create_task(written(connector, "DELETE FROM item RETURNING 1"))
            await asyncio.sleep(0.1)
            left.cancel()
            with pytest.raises(asyncio.CancelledError):
                await left
        assert (await written(connector, "DELETE FROM item WHERE id = 3 RETURNING 1"))[0].affected == 1
    assert rows(path, "SELECT count(*) FROM item") == [(9,)]


async def test_closing_waits_for_a_write_that_was_cancelled(path: Path) -> None:
    async with opened(path) as connector:
        writing = asyncio.create_task(written(connector, "UPDATE item SET price = 0 RETURNING 1"))
        await asyncio.sleep(0)
        writing.cancel()
        (end,) = await asyncio.gather(writing, return_exceptions=True)
    changed = rows(path, "SELECT DISTINCT price FROM item") == [(0.0,)]
    assert changed != isinstance(end, asyncio.CancelledError)
    with closing(sqlite3.connect(path, timeout=0)) as database:
        database.execute("BEGIN EXCLUSIVE")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
async def test_a_full_disk_changes_nothing(small_disk: Path, journal: str) -> None:
    path = filled(small_disk / "items.db", journal)
    async with opened(path) as connector:
        grow = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
            "INSERT INTO other (v) SELECT hex(zeroblob(1000)) FROM n RETURNING 1"
        )
        error = await refused(connector, grow)
        assert error.failure is Failure.OUT_OF_RESOURCES
        assert rows(path, "SELECT count(*) FROM other") == [(0,)]
        assert (await written(connector, "INSERT INTO other (v) VALUES ('small') RETURNING 1"))[0].affected == 1
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_write_protected_disk_is_refused_by_the_wall(small_disk: Path) -> None:
    path = filled(small_disk / "items.db")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    async with opened(path) as connector:
        for sql, ddl in (("DELETE FROM item RETURNING 1", False), ("CREATE TABLE a (b)", True)):
            error = await refused(connector, sql, ddl=ddl)
            assert (error.failure, error.retryable) == (Failure.REFUSED_BY_WALL, False)
