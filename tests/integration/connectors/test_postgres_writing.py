"""Writes when backends die, connections are cut at the commit, others write the same rows, and rights are missing.

One rule holds throughout: CancelledError and ConnectorError mean that nothing was changed, a return means that it was;
OUTCOME_UNKNOWN alone leaves it open.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from connectors.conformance.harness import GENEROUS, Collected, read
from connectors.contract import (
    ConnectorError,
    Failure,
    Fault,
    SqlConnectorConfig,
    Stopped,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)
from connectors.postgres import PostgresConnector, connector
from tests.servers import PostgresServer, postgres_server

SETUP = """
CREATE TABLE counter (id int PRIMARY KEY, n int NOT NULL);
INSERT INTO counter SELECT i, 0 FROM generate_series(1, 300) AS i;
CREATE TABLE wide (id int PRIMARY KEY, v text);
CREATE TABLE guarded (id int PRIMARY KEY, owner text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON guarded USING (true) WITH CHECK (owner = 'me');
CREATE TABLE bookings (room int, EXCLUDE USING btree (room WITH =));
CREATE TABLE raised (id int);
CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'secret %', NEW.id; END$$;
CREATE TRIGGER raise BEFORE INSERT ON raised FOR EACH ROW EXECUTE FUNCTION raise();
CREATE TABLE slow_commit (id int);
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(20); RETURN NEW; END$$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON slow_commit DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION dawdle();
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO writer;
GRANT SELECT ON counter TO reader;
"""
FREELY = WriteLimits(read=GENEROUS)
ADD = "UPDATE public.counter SET n = n + 1 WHERE id <= 200 RETURNING true, id, n"
KILL = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE application_name = 'douane' AND state <> 'idle'"
)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        running.create_database("shop")
        running.create_role("writer")
        running.create_role("reader")
        running.psql(SETUP, "shop")
        yield running


@contextlib.asynccontextmanager
async def opened(dsn: str, pool_max: int = 4) -> AsyncIterator[PostgresConnector]:
    made = connector(SqlConnectorConfig(name="shop", secret=lambda: dsn, pool_max=pool_max))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def write(
    made: PostgresConnector, sql: str, args: tuple[Any, ...] = (), limits: WriteLimits = FREELY, sink: Any = None
) -> WriteOutcome:
    return await made.write(WriteRunnable(sql=sql, args=args, returning=True), limits, sink or Collected())


async def refused(made: PostgresConnector, sql: str, limits: WriteLimits = FREELY, sink: Any = None) -> ConnectorError:
    with pytest.raises(ConnectorError) as raised:
        await write(made, sql, limits=limits, sink=sink)
    return raised.value


@contextlib.asynccontextmanager
async def administrator(server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.dsn(database="shop"))
    try:
        yield connection
    finally:
        await connection.close()


async def total(connection: asyncpg.Connection) -> int:
    return int(await connection.fetchval("SELECT n FROM counter WHERE id = 1"))


class Proxy:
    """Between connector and server. `at_commit` decides what becomes of a COMMIT: "pass", "swallow" (the server never
    sees it), "cut" (the server does, the answer does not come back) or "hold" (it waits for `go`)."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.at_commit = "pass"
        self.go = asyncio.Event()
        self.held = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._to)
        back = asyncio.ensure_future(self._copy(up_reader, writer))
        try:
            while data := await reader.read(65536):
                if b"COMMIT\x00" in data and self.at_commit != "pass":
                    if self.at_commit == "hold":
                        self.held.set()
                        await self.go.wait()
                    else:
                        back.cancel()
                        if self.at_commit == "cut":
                            up_writer.write(data)
                            await up_writer.drain()
                            await up_reader.read(65536)
                        return
                up_writer.write(data)
                await up_writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            for one in (writer, up_writer):
                one.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()


@contextlib.asynccontextmanager
async def proxied(server: PostgresServer) -> AsyncIterator[tuple[PostgresConnector, Proxy]]:
    async with Proxy(server.port) as proxy:
        parts = urlsplit(server.dsn("writer", "writer", "shop"))
        dsn = urlunsplit(parts._replace(netloc=parts.netloc.replace(str(server.port), str(proxy.port))))
        async with opened(dsn, pool_max=1) as made:
            yield made, proxy


@pytest.mark.parametrize(("how", "happened"), [("swallow", 0), ("cut", 1)])
async def test_a_connection_cut_at_the_commit_leaves_the_outcome_unknown(
    server: PostgresServer, how: str, happened: int
) -> None:
    async with proxied(server) as (made, proxy), administrator(server) as admin:
        before = await total(admin)
        proxy.at_commit = how
        error = await refused(made, ADD)
        assert (error.failure, error.retryable) == (Failure.OUTCOME_UNKNOWN, False)
        proxy.at_commit = "pass"
        assert await total(admin) == before + happened
        assert (await write(made, ADD)).affected == 200


async def test_a_cancellation_while_the_commit_is_under_way_waits_for_the_outcome(server: PostgresServer) -> None:
    async with proxied(server) as (made, proxy), administrator(server) as admin:
        before = await total(admin)
        proxy.at_commit = "hold"
        writing = asyncio.create_task(write(made, ADD))
        await proxy.held.wait()
        for _ in range(3):
            writing.cancel()
            await asyncio.sleep(0.01)
        assert not writing.done()
        proxy.go.set()
        assert (await writing).affected == 200
        assert await total(admin) == before + 1


async def test_a_cancellation_does_not_hide_that_the_outcome_is_unknown(server: PostgresServer) -> None:
    async with proxied(server) as (made, proxy):
        proxy.at_commit = "hold"
        writing = asyncio.create_task(write(made, ADD))
        await proxy.held.wait()
        writing.cancel()
        await asyncio.sleep(0)
        await proxy.__aexit__()
        (end,) = await asyncio.gather(writing, return_exceptions=True)
        assert isinstance(end, ConnectorError)
        assert end.failure is Failure.OUTCOME_UNKNOWN


async def test_a_backend_killed_before_the_commit_changed_nothing(server: PostgresServer) -> None:
    async with opened(server.dsn("writer", "writer", "shop")) as made, administrator(server) as admin:
        before = await total(admin)

        def killing(_: Sequence[Sequence[Any]]) -> int:
            server.psql(KILL)
            return 1

        error = await refused(made, ADD, sink=killing)
        assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)
        assert await total(admin) == before


async def test_whenever_a_backend_is_killed_the_end_tells_whether_it_happened(server: PostgresServer) -> None:
    async with opened(server.dsn("writer", "writer", "shop")) as made, administrator(server) as admin:
        for moment in range(40):
            before = await total(admin)
            writing = asyncio.create_task(write(made, ADD))
            await asyncio.sleep(moment % 10 * 0.001)
            await admin.fetchval(KILL)
            (end,) = await asyncio.gather(writing, return_exceptions=True)
            after = await total(admin)
            if isinstance(end, ConnectorError):
                assert end.failure in (Failure.UNAVAILABLE, Failure.OUTCOME_UNKNOWN)
                assert after == before or end.failure is Failure.OUTCOME_UNKNOWN
            else:
                assert isinstance(end, WriteOutcome)
                assert after == before + 1


async def test_sessions_that_died_while_idle_are_replaced_unnoticed(server: PostgresServer) -> None:
    async with opened(server.dsn("writer", "writer", "shop")) as made:
        await write(made, ADD)
        await asyncio.to_thread(server.restart)
        assert (await write(made, ADD)).affected == 200


async def test_parallel_writers_of_the_same_rows_lose_no_update(server: PostgresServer) -> None:
    sql = (
        "WITH w AS (UPDATE public.counter AS x SET n = k.v FROM"
        " (SELECT b.ctid AS i, n + 1 AS v FROM public.counter AS b WHERE id = 299) AS k"
        " WHERE x.ctid = k.i RETURNING true AS ok, n) SELECT w.ok, w.n FROM w"
    )
    async with opened(server.dsn("writer", "writer", "shop"), pool_max=8) as made, administrator(server) as admin:
        sinks = [Collected() for _ in range(40)]
        done = await asyncio.gather(*(write(made, sql, sink=sink) for sink in sinks))
        assert [one.affected for one in done] == [1] * 40
        assert sorted(sink.rows[0][0] for sink in sinks) == list(range(1, 41))
        assert await admin.fetchval("SELECT n FROM counter WHERE id = 299") == 40


async def test_a_row_that_somebody_changed_meanwhile_is_read_anew(server: PostgresServer) -> None:
    async with opened(server.dsn("writer", "writer", "shop")) as made, administrator(server) as admin:
        transaction = admin.transaction()
        await transaction.start()
        await admin.execute("UPDATE counter SET n = 77 WHERE id = 250")
        waiting = asyncio.create_task(
            write(
                made, "UPDATE public.counter SET n = n + 1 WHERE id = 250 RETURNING true, n", sink=(sink := Collected())
            )
        )
        await asyncio.sleep(0.2)
        await transaction.commit()
        assert (await waiting).affected == 1
        assert sink.rows == [(78,)]


async def test_a_write_leaves_the_session_as_it_was(server: PostgresServer) -> None:
    names = ("enable_indexscan", "enable_hashagg", "statement_timeout", "lock_timeout", "transaction_read_only",
             "transaction_isolation")  # fmt: skip
    shown = "SELECT " + ", ".join(f"current_setting('{name}')" for name in names)
    async with opened(server.dsn("writer", "writer", "shop"), pool_max=1) as made:
        _, before = await read(made, shown)
        for limits in (FREELY, replace(FREELY, dry_run=True)):
            await write(made, ADD, limits=limits)
            _, after = await read(made, shown)
            assert after.rows == before.rows
        await refused(made, ADD, replace(FREELY, max_affected=3))
        _, after = await read(made, shown)
        assert after.rows == before.rows


async def test_missing_rights_are_a_wall_and_name_nothing(server: PostgresServer) -> None:
    async with opened(server.dsn("reader", "reader", "shop")) as made:
        error = await refused(made, ADD)
        assert (error.failure, str(error)) == (Failure.REFUSED_BY_WALL, "refused_by_wall")
    async with opened(server.dsn("writer", "writer", "shop")) as made:
        error = await refused(made, "INSERT INTO public.guarded VALUES (1, 'you') RETURNING true")
        assert error.failure is Failure.REFUSED_BY_WALL
        assert (await write(made, "INSERT INTO public.guarded VALUES (1, 'me') RETURNING true")).affected == 1


async def test_exclusion_constraints_and_triggers_tell_no_values(server: PostgresServer) -> None:
    async with opened(server.dsn("writer", "writer", "shop")) as made:
        await write(made, "INSERT INTO public.bookings VALUES (1) RETURNING true")
        error = await refused(made, "INSERT INTO public.bookings VALUES (1) RETURNING true")
        assert (error.failure, error.fault) == (Failure.STATEMENT, Fault.INTEGRITY)
        error = await refused(made, "INSERT INTO public.raised VALUES (41) RETURNING true")
        assert str(error) == "statement: other"


async def test_deferred_triggers_run_under_the_time_limit(server: PostgresServer) -> None:
    async with opened(server.dsn("writer", "writer", "shop")) as made, administrator(server) as admin:
        limits = WriteLimits(read=replace(GENEROUS, timeout_s=0.5))
        error = await refused(made, "INSERT INTO public.slow_commit VALUES (1) RETURNING true", limits)
        assert error.failure is Failure.TIMEOUT
        assert await admin.fetchval("SELECT count(*) FROM slow_commit") == 0


async def test_wide_rows_come_in_small_batches_and_all_are_counted(server: PostgresServer) -> None:
    sql = (
        "INSERT INTO public.wide SELECT i, CASE WHEN i > 20 THEN repeat('x', 200000) ELSE 'x' END "
        "FROM generate_series(1, 320) AS i RETURNING true, v"
    )
    async with opened(server.dsn("writer", "writer", "shop")) as made:
        sink = Collected()
        outcome = await write(made, sql, limits=WriteLimits(read=replace(GENEROUS, max_bytes=3_000_000)), sink=sink)
        assert (outcome.affected, outcome.stopped) == (320, Stopped.BYTES)
        assert sink.bytes < 3_300_000
        error = await refused(made, "UPDATE public.wide SET v = repeat('y', 5000000) WHERE id < 3 RETURNING true, v")
        assert error.failure is Failure.VALUE_TOO_LARGE
        assert (await write(made, "DELETE FROM public.wide WHERE v NOT LIKE 'y%' RETURNING true")).affected == 320


async def test_a_standby_takes_no_writes(server: PostgresServer) -> None:
    signal = server.data / "standby.signal"
    server.stop()
    signal.touch()
    server.start()
    try:
        async with opened(server.dsn("writer", "writer", "shop")) as made:
            await read(made, "SELECT 1")
            for limits in (FREELY, replace(FREELY, dry_run=True)):
                error = await refused(made, ADD, limits)
                assert (error.failure, error.retryable) == (Failure.REFUSED_BY_WALL, False)
    finally:
        server.stop()
        signal.unlink()
        server.start()
