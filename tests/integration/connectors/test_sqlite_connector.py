"""What the SQLite connector refuses, tells and survives, beyond the common suite."""

import asyncio
import contextlib
import hashlib
import hmac
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from connectors.conformance.harness import read, refused
from connectors.contract import Failure, Fault, Runnable, Severity, SourceColumn, SqlConnectorConfig, TableKind
from connectors.sqlite import SqliteConnector, connector

SETUP = """
CREATE TABLE person (
  id INTEGER PRIMARY KEY, email VARCHAR(40) NOT NULL UNIQUE, name TEXT,
  shout TEXT GENERATED ALWAYS AS (upper("name")) VIRTUAL, louder AS (shout || '!') STORED);
CREATE INDEX person_mixed ON person (lower(email)) WHERE name IS NOT NULL;
CREATE TABLE pair (a TEXT, b INT, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE purchase (id INTEGER PRIMARY KEY, person_id INT REFERENCES person);
CREATE VIEW reach AS SELECT p.id, p.email FROM person p JOIN purchase ON purchase.person_id = p.id;
CREATE VIEW far AS SELECT email FROM reach;
CREATE VIEW broken AS SELECT * FROM gone;
CREATE VIRTUAL TABLE note USING fts5(body);
CREATE VIRTUAL TABLE box USING rtree(id, low, high);
INSERT INTO note VALUES ('hello world');
INSERT INTO box VALUES (1, 0, 10);
INSERT INTO person (id, email, name) VALUES (1, 'ana@example.org', 'Ana'), (2, 'bo@example.org', NULL);
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "shop.db"
    execute(made, SETUP)
    return made


def execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(sql)
        database.commit()


@contextlib.asynccontextmanager
async def opened(
    path: Path, pool_max: int = 2, redact: Callable[[str], str] | None = None
) -> AsyncIterator[SqliteConnector]:
    made = connector(
        SqlConnectorConfig(name="shop", secret=None, options={"path": path}, pool_max=pool_max, redact=redact)
    )
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM sqlite_master",
        "SELECT count(*) FROM sqlite_schema",
        "SELECT count(*) FROM sqlite_temp_schema",
        "SELECT * FROM pragma_table_info('person')",
        "SELECT * FROM pragma_database_list",
        "SELECT * FROM dbstat",
        "SELECT count(*) FROM sqlite_stmt",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT sqlite_version()",
        "SELECT changes()",
        "SELECT last_insert_rowid()",
        "SELECT readfile('/etc/hostname')",
        "EXPLAIN SELECT * FROM person",
        "EXPLAIN QUERY PLAN SELECT * FROM person",
        "PRAGMA table_info(person)",
        "SAVEPOINT a",
    ],
)
async def test_the_wall_stands_without_the_guard(path: Path, sql: str) -> None:
    async with opened(path) as made:
        error = await refused(made, Runnable(sql=sql))
        unknown = (Failure.STATEMENT, Fault.UNDEFINED_FUNCTION)
        assert error.failure is Failure.REFUSED_BY_WALL or (error.failure, error.fault) == unknown


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT body FROM note WHERE note MATCH 'hello'", "hello world"),
        ("SELECT highlight(note, 0, '<', '>') FROM note WHERE note MATCH 'hello'", "<hello> world"),
        ("SELECT high FROM box WHERE low < 5", 10.0),
        ("SELECT sum(value) FROM json_each('[1, 2]')", 3),
        ("SELECT email FROM far", None),
        ("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT sum(i) FROM n", 15),
        ("SELECT row_number() OVER (ORDER BY id DESC) FROM person WHERE id = 2", 1),
        ("SELECT louder FROM person WHERE id = 1", "ANA!"),
        ("VALUES (1)", 1),
    ],
)
async def test_honest_reads_pass_the_wall(path: Path, sql: str, expected: object) -> None:
    async with opened(path) as made:
        for _ in range(2):
            _, sink = await read(made, sql)
            assert sink.rows == ([(expected,)] if expected is not None else [])


async def test_a_pseudonym_is_a_keyed_hash_of_the_same_type(path: Path) -> None:
    key = bytes(range(32))
    async with opened(path) as made:
        sql = "SELECT douane_pseudonym(?1, 'é'), douane_pseudonym(?1, 42), douane_pseudonym(?1, NULL)"
        _, sink = await read(made, sql, (key,))
        text, number, nothing = sink.rows[0]
        assert text == hmac.new(key, "é".encode(), hashlib.sha256).hexdigest()[:32]
        assert number == int.from_bytes(hmac.new(key, b"42", hashlib.sha256).digest()[:6], "big")
        assert 0 < number < 2**48
        assert nothing is None
        _, sink = await read(made, "SELECT douane_pseudonym(?1, 1.5), douane_pseudonym('k', 'a')", (key,))
        assert sink.rows == [(None, None)]


async def test_text_is_redacted_by_what_the_connector_was_given_and_null_without_it(path: Path) -> None:
    sql = (
        "SELECT douane_redact(CAST(email AS BLOB)), douane_redact(email), douane_redact(NULL) FROM person WHERE id = 1"
    )
    async with opened(path, redact=str.upper) as made:
        _, sink = await read(made, sql)
        assert sink.rows == [("ANA@EXAMPLE.ORG", None, None)]
    async with opened(path) as made:
        _, sink = await read(made, sql)
        assert sink.rows == [(None, None, None)]


async def test_the_catalog_tells_columns_keys_and_what_they_read(path: Path) -> None:
    async with opened(path) as made:
        tables = (await made.refresh()).tables
    person = tables["main", "person"]
    assert [(c.name, c.type, c.nullable, c.generated_from) for c in person.columns] == [
        ("id", "INTEGER", False, ()),
        ("email", "VARCHAR", False, ()),
        ("name", "TEXT", True, ()),
        ("shout", "TEXT", True, ("name",)),
        ("louder", "", True, ("name", "shout")),
    ]
    assert {i.columns for i in person.indexes} == {("email", "name"), ("email",)}
    pair = tables["main", "pair"]
    assert (pair.without_rowid, pair.primary_key) == (True, ("a", "b"))
    (reference,) = tables["main", "purchase"].foreign_keys
    assert (reference.columns, reference.table, reference.references) == (("person_id",), ("main", "person"), ("id",))
    below = {("person", "id"), ("person", "email"), ("purchase", "person_id")}
    for view in ("reach", "far"):
        assert {(s.table[1], s.column) for s in tables["main", view].reads} == below
    assert tables["main", "broken"].reads == (SourceColumn(table=("main", "broken"), column="*"),)
    assert tables["main", "note"].kind is TableKind.VIRTUAL
    assert not any(name.startswith(("note_", "box_", "sqlite_")) for _, name in tables)


async def test_a_changed_schema_is_seen_and_virtual_tables_still_read(path: Path) -> None:
    async with opened(path, pool_max=1) as made:
        first = await made.refresh()
        assert await made.refresh() is first
        await read(made, "SELECT body FROM note")
        execute(path, "CREATE TABLE added (a INT)")
        second = await made.refresh()
        assert second.version != first.version
        assert ("main", "added") in second.tables
        for sql in ("SELECT body FROM note WHERE note MATCH 'hello'", "SELECT high FROM box"):
            outcome, _ = await read(made, sql)
            assert outcome.row_count == 1


async def test_a_replaced_file_is_opened_anew(path: Path, tmp_path: Path) -> None:
    async with opened(path, pool_max=1) as made:
        await read(made, "SELECT * FROM person")
        other = tmp_path / "other.db"
        execute(other, "CREATE TABLE person (id INTEGER); INSERT INTO person VALUES (77)")
        other.rename(path)
        await asyncio.sleep(1.1)
        _, sink = await read(made, "SELECT id FROM person")
        assert sink.rows == [(77,)]


async def test_broken_text_is_read_with_replacement(path: Path) -> None:
    execute(path, "INSERT INTO person (id, email) VALUES (3, CAST(x'61ff62' AS TEXT))")
    async with opened(path) as made:
        _, sink = await read(made, "SELECT email FROM person WHERE id = 3")
        assert sink.rows == [("a\ufffdb",)]


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "no.db"
    path.write_bytes(b"this is not a database, and it is long enough to be looked at" * 10)
    async with opened(path) as made:
        error = await refused(made, Runnable(sql="SELECT 1"))
        assert error.failure is Failure.UNAVAILABLE
        assert "unreachable" in {f.code for f in await made.probe()}


async def test_a_world_writable_file_is_unsafe(path: Path) -> None:
    path.chmod(0o666)
    async with opened(path) as made:
        assert ("world_writable_file", Severity.UNSAFE) in {(f.code, f.severity) for f in await made.probe()}


async def test_rows_from_a_writer_are_seen_by_the_next_read(path: Path) -> None:
    execute(path, "PRAGMA journal_mode = WAL")
    async with opened(path) as made:
        await read(made, "SELECT count(*) FROM purchase")
        execute(path, "INSERT INTO purchase VALUES (1, 1)")
        _, sink = await read(made, "SELECT count(*) FROM purchase")
        assert sink.rows == [(1,)]
