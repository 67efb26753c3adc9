"""The PostgreSQL connector passes the suites of SQL connectors: reads, as a role that may read and as one that may
write, and writes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from connectors.conformance import SqlConformance, WriteConformance
from connectors.conformance.harness import THINGS
from connectors.conformance.writes import ACCOUNTS
from connectors.contract import Dialect, SqlConnectorConfig
from connectors.postgres import connector
from tests.servers import PostgresServer, free_port, postgres_server

SETUP = f"""
CREATE SCHEMA s;
CREATE TABLE s.thing (id integer PRIMARY KEY, name text NOT NULL, secret text UNIQUE);
INSERT INTO s.thing SELECT i, 'name ' || i, 'secret ' || i FROM generate_series(1, {THINGS}) AS i;
CREATE VIEW s.thing_names AS SELECT id, name FROM s.thing;
GRANT USAGE ON SCHEMA s TO reader, writer;
GRANT SELECT ON ALL TABLES IN SCHEMA s TO reader;
GRANT ALL ON ALL TABLES IN SCHEMA s TO writer;
GRANT ALL ON SCHEMA s TO writer;
GRANT TEMPORARY ON DATABASE shop TO writer;
ANALYZE;
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        running.create_database("shop")
        running.create_role("reader")
        running.create_role("writer")
        running.psql(SETUP, "shop")
        yield running


class PostgresHarness:
    dialect = Dialect.POSTGRES
    factory = connector
    schema = "s"
    thing = "s.thing"
    thing_by_id = "SELECT id, name FROM s.thing WHERE id = $1"
    endless = "SELECT count(*) FROM generate_series(1, 1000000000000) AS i"
    writes = (
        "INSERT INTO s.thing (id, name) VALUES (0, 'x')",
        "UPDATE s.thing SET name = 'x'",
        "DELETE FROM s.thing",
        "WITH gone AS (DELETE FROM s.thing RETURNING id) SELECT * FROM gone",
        "SELECT * INTO s.other FROM s.thing",
        "CREATE TABLE s.other (a int)",
        "CREATE TEMP TABLE other (a int)",
        "DROP TABLE s.thing",
        "TRUNCATE s.thing",
        "COMMENT ON TABLE s.thing IS 'x'",
        "SELECT id FROM s.thing FOR UPDATE",
    )

    def __init__(self, server: PostgresServer, role: str) -> None:
        self.server = server
        self.role = role

    def config(self, pool_max: int = 4) -> SqlConnectorConfig:
        dsn = self.server.dsn(self.role, self.role, "shop")
        return SqlConnectorConfig(name="shop", secret=lambda: dsn, pool_max=pool_max)

    def config_of_nothing(self) -> SqlConnectorConfig:
        dsn = f"postgresql://reader:reader@127.0.0.1:{free_port()}/shop"
        return SqlConnectorConfig(name="shop", secret=lambda: dsn)

    def numbers(self, count: int) -> str:
        return f"SELECT n FROM generate_series(1, {count}) AS n"

    def text_of(self, size: int) -> str:
        return f"SELECT repeat('x', {size})"

    async def running(self) -> int:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'douane' AND state <> 'idle'"
        return int(await asyncio.to_thread(self.server.psql, sql))


class TestPostgresReader(SqlConformance):
    @pytest.fixture
    def harness(self, server: PostgresServer) -> PostgresHarness:
        return PostgresHarness(server, "reader")


class TestPostgresWriter(SqlConformance):
    """Even a role with every privilege cannot write through the connector."""

    @pytest.fixture
    def harness(self, server: PostgresServer) -> PostgresHarness:
        return PostgresHarness(server, "writer")


ACCOUNTING = f"""
DROP SCHEMA IF EXISTS a CASCADE;
CREATE SCHEMA a;
CREATE TABLE a.account (id integer PRIMARY KEY, name text NOT NULL UNIQUE, amount integer NOT NULL CHECK (amount >= 0));
CREATE TABLE a.entry (id integer PRIMARY KEY, account integer NOT NULL REFERENCES a.account (id));
CREATE TABLE a.later (id integer PRIMARY KEY,
    account integer REFERENCES a.account (id) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO a.account SELECT i, 'name ' || i, i FROM generate_series(1, {ACCOUNTS}) AS i;
UPDATE a.account SET amount = 1;
INSERT INTO a.entry VALUES (1, 1);
GRANT ALL ON SCHEMA a TO bookkeeper;
GRANT ALL ON ALL TABLES IN SCHEMA a TO bookkeeper;
"""


class PostgresWriteHarness:
    factory = connector
    account = "a.account"
    entry = "a.entry"
    later = "a.later"
    placeholder = "$1"
    slow_write = (
        "UPDATE a.account SET amount = 0 WHERE id = (SELECT count(*) FROM generate_series(1, 1000000000000) AS i) "
        "RETURNING true"
    )
    create = "CREATE TABLE a.made (a integer)"
    drop = "DROP TABLE a.made"
    made = "a.made"
    no_writes = (
        "SELECT true",
        "COMMIT",
        "ROLLBACK",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
        "COPY a.account TO STDOUT",
        "TRUNCATE a.account",
        "DELETE FROM a.account",
        "DELETE FROM a.account; COMMIT",
        "CREATE TABLE a.other (a integer)",
        "DO $$ BEGIN DELETE FROM a.account; END $$",
    )

    def __init__(self, server: PostgresServer) -> None:
        self.server = server

    def config(self, pool_max: int = 4) -> SqlConnectorConfig:
        dsn = self.server.dsn("bookkeeper", "bookkeeper", "shop")
        return SqlConnectorConfig(name="shop", secret=lambda: dsn, pool_max=pool_max)

    def config_of_nothing(self) -> SqlConnectorConfig:
        dsn = f"postgresql://reader:reader@127.0.0.1:{free_port()}/shop"
        return SqlConnectorConfig(name="shop", secret=lambda: dsn)

    async def rows_of(self, table: str) -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(self.server.dsn(database="shop"))
        try:
            return [tuple(row) for row in await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")]
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        connection = await asyncpg.connect(self.server.dsn(database="shop"))
        try:
            async with connection.transaction():
                await connection.execute("UPDATE a.account SET amount = amount WHERE id = 7")
                yield
        finally:
            await connection.close()


class TestPostgresWrites(WriteConformance):
    @pytest.fixture
    def harness(self, server: PostgresServer) -> PostgresWriteHarness:
        if server.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'bookkeeper'") == "0":
            server.create_role("bookkeeper")
        server.psql(ACCOUNTING, "shop")
        return PostgresWriteHarness(server)
