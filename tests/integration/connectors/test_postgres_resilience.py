"""What happens to reads when credentials rotate, the server restarts, and sessions are killed."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from connectors.conformance.harness import GENEROUS, Collected, read, refused
from connectors.contract import Failure, Fault, Limits, Runnable, Severity, SqlConnectorConfig
from connectors.postgres import PostgresConnector, connector
from tests.servers import PostgresServer, postgres_server

SETUP = """
CREATE TABLE t (id int PRIMARY KEY, a text, secret text UNIQUE);
INSERT INTO t SELECT i, 'a' || i, md5(i::text) FROM generate_series(1, 2000) AS i;
GRANT SELECT ON t TO reader;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
ANALYZE;
"""
LOOKUP = "SELECT a FROM public.t WHERE id = $1"
ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000000000) AS i"
PIDS = "SELECT string_agg(pid::text, ',') FROM pg_stat_activity WHERE application_name = 'douane'"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        running.create_database("shop")
        running.create_role("reader")
        running.psql(SETUP, "shop")
        yield running


@contextlib.asynccontextmanager
async def opened(server: PostgresServer, pool_max: int = 2, role: str = "reader") -> AsyncIterator[PostgresConnector]:
    dsn = server.dsn(role, role, "shop")
    made = connector(SqlConnectorConfig(name="shop", secret=lambda: dsn, pool_max=pool_max))
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def test_a_rotated_password_needs_no_restart(server: PostgresServer, tmp_path: Path) -> None:
    server.create_role("rotating", "first")
    server.psql("GRANT SELECT ON t TO rotating", "shop")
    secret = tmp_path / "dsn"
    secret.write_text(server.dsn("rotating", "first", "shop"))
    made = connector(SqlConnectorConfig(name="shop", secret=secret.read_text, pool_max=1))
    await made.open()
    try:
        await read(made, LOOKUP, (1,))
        before = server.psql(PIDS)
        server.psql("ALTER ROLE rotating PASSWORD 'second'")
        await read(made, LOOKUP, (1,))
        secret.write_text(server.dsn("rotating", "second", "shop"))
        await asyncio.sleep(1.1)
        await read(made, LOOKUP, (2,))
        assert server.psql(PIDS) != before
    finally:
        await made.close()


async def test_a_refused_password_is_unavailable_and_the_next_secret_is_read(
    server: PostgresServer, tmp_path: Path
) -> None:
    secret = tmp_path / "dsn"
    secret.write_text(server.dsn("reader", "wrong", "shop"))
    made = connector(SqlConnectorConfig(name="shop", secret=secret.read_text, pool_max=1))
    await made.open()
    try:
        error = await refused(made, Runnable(sql="SELECT 1"))
        assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)
        assert error.retry_after_s is not None
        secret.write_text(server.dsn("reader", "reader", "shop"))
        await read(made, LOOKUP, (1,))
    finally:
        await made.close()


async def test_a_missing_secret_does_not_break_what_is_open(server: PostgresServer, tmp_path: Path) -> None:
    secret = tmp_path / "dsn"
    secret.write_text(server.dsn("reader", "reader", "shop"))
    made = connector(SqlConnectorConfig(name="shop", secret=secret.read_text, pool_max=1))
    await made.open()
    try:
        await read(made, LOOKUP, (1,))
        secret.unlink()
        await asyncio.sleep(1.1)
        await read(made, LOOKUP, (1,))
    finally:
        await made.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
async def test_a_restart_fails_the_read_in_flight_and_not_the_next(server: PostgresServer, how: signal.Signals) -> None:
    async with opened(server) as made:
        await read(made, LOOKUP, (1,))
        flying = asyncio.create_task(refused(made, Runnable(sql=ENDLESS)))
        await asyncio.sleep(1.2)
        await asyncio.to_thread(server.restart, how)
        error = await flying
        assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)
        assert error.retry_after_s is not None
        outcome, _ = await read(made, LOOKUP, (1,))
        assert outcome.row_count == 1


async def test_idle_sessions_that_died_are_replaced_unnoticed(server: PostgresServer) -> None:
    async with opened(server, pool_max=4) as made:
        await asyncio.gather(*(read(made, LOOKUP, (i,)) for i in range(1, 20)))
        server.restart()
        answers = await asyncio.gather(*(read(made, LOOKUP, (i,)) for i in range(1, 20)))
        assert all(outcome.row_count == 1 for outcome, _ in answers)


async def test_a_server_that_is_down_is_unavailable_until_it_is_back(server: PostgresServer) -> None:
    async with opened(server) as made:
        await read(made, LOOKUP, (1,))
        server.stop()
        try:
            for _ in range(3):
                error = await refused(made, Runnable(sql=LOOKUP, args=(1,)))
                assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)
        finally:
            server.start()
        await read(made, LOOKUP, (1,))


async def test_a_killed_backend_fails_its_read_alone(server: PostgresServer) -> None:
    async with opened(server) as made:
        flying = asyncio.create_task(refused(made, Runnable(sql=ENDLESS)))
        await asyncio.sleep(1.2)
        await asyncio.to_thread(
            server.psql,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'douane' AND state = 'active'",
        )
        other, _ = await read(made, LOOKUP, (1,))
        assert other.row_count == 1
        assert (await flying).failure is Failure.UNAVAILABLE


async def test_a_statement_whose_table_changed_is_planned_anew(server: PostgresServer) -> None:
    server.psql(
        "CREATE TABLE changing (a int); INSERT INTO changing VALUES (1); GRANT SELECT ON changing TO reader", "shop"
    )
    async with opened(server, pool_max=1) as made:
        for _ in range(7):
            await read(made, "SELECT * FROM public.changing")
        server.psql("ALTER TABLE changing ALTER a TYPE text", "shop")
        outcome, sink = await read(made, "SELECT * FROM public.changing")
        assert [tuple(row) for row in sink.rows] == [("1",)]
        assert outcome.columns[0].type == "text"


STATE = """
SELECT (SELECT count(*) FROM pg_catalog.pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
       (SELECT count(*) FROM pg_catalog.pg_class WHERE relpersistence = 't'),
       (SELECT count(*) FROM pg_catalog.pg_cursors WHERE name <> ''),
       (SELECT count(*) FROM pg_catalog.pg_listening_channels()),
       pg_catalog.current_setting('default_transaction_read_only'), pg_catalog.current_setting('search_path'),
       pg_catalog.current_setting('TimeZone'), pg_catalog.current_setting('statement_timeout'),
       pg_catalog.current_setting('enable_indexscan'), pg_catalog.current_setting('standard_conforming_strings'),
       pg_catalog.current_setting('role'), pg_catalog.current_setting('row_security')
"""


async def _state(made: PostgresConnector) -> tuple[object, ...]:
    _, sink = await read(made, STATE, cacheable=False)
    return tuple(sink.rows[0])


async def test_no_state_survives_a_read_although_nothing_is_reset(server: PostgresServer) -> None:
    """Whatever way a read ends: the next one finds the session as the first one did, on the same backend."""
    async with opened(server, pool_max=1) as made:
        fresh = await _state(made)
        assert fresh[:6] == (0, 0, 0, 0, "on", "")
        backend = server.psql(PIDS)

        def failing(rows: object) -> int:
            raise LookupError

        short = Limits(max_rows=10, max_bytes=1 << 20, max_value_bytes=1 << 20, timeout_s=0.3)
        await refused(made, Runnable(sql="SELECT 1 / (id - 1500) FROM public.t ORDER BY id"))
        assert await _state(made) == fresh
        await refused(made, Runnable(sql=ENDLESS), short)
        assert await _state(made) == fresh
        many = Runnable(sql="SELECT i FROM generate_series(1, 50000) AS i")
        for _ in range(2):
            with contextlib.suppress(LookupError):
                await made.read(many, GENEROUS, failing)
            assert await _state(made) == fresh
        cancelled = asyncio.create_task(made.read(Runnable(sql=ENDLESS), GENEROUS, Collected()))
        await asyncio.sleep(0.1)
        cancelled.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await cancelled
        assert await _state(made) == fresh
        await read(made, "SELECT id FROM public.t LIMIT 1", keep_scan_order=True)
        assert await _state(made) == fresh
        assert server.psql(PIDS) == backend


async def test_a_statement_can_neither_write_nor_make_the_session_writable(server: PostgresServer) -> None:
    async with opened(server, pool_max=1) as made:
        for sql in (
            "SET default_transaction_read_only = off",
            "RESET ALL",
            "BEGIN READ WRITE",
            "CREATE TEMP TABLE x (a int)",
        ):
            assert (await refused(made, Runnable(sql=sql))).failure is Failure.REFUSED_BY_WALL
        error = await refused(made, Runnable(sql="UPDATE public.t SET a = 'x'"))
        assert error.failure is Failure.REFUSED_BY_WALL


async def test_row_order_is_kept_from_hidden_indexes(server: PostgresServer) -> None:
    """`secret` is unique and not in insertion order: an index-only scan gives its order away."""
    server.psql("VACUUM ANALYZE t", "shop")
    constant = "SELECT secret FROM public.t WHERE secret > '0' AND secret < '04'"
    bound = "SELECT secret FROM public.t WHERE secret > $1 AND secret < $2"
    off = "SET enable_indexscan = off; SET enable_indexonlyscan = off; SET enable_bitmapscan = off; "
    heap = server.psql(off + constant, "shop").split("\n")
    assert heap != sorted(heap)
    async with opened(server, pool_max=1) as made:
        for _ in range(7):
            for sql, args in ((constant, ()), (bound, ("0", "04"))):
                _, plain = await read(made, sql, args)
                _, kept = await read(made, sql, args, keep_scan_order=True)
                assert [row[0] for row in plain.rows] == sorted(heap)
                assert [row[0] for row in kept.rows] == heap


async def test_the_probe_names_every_dangerous_privilege(server: PostgresServer) -> None:
    server.create_role("mighty", options="SUPERUSER")
    server.create_role("owner", options="BYPASSRLS CREATEROLE")
    server.psql(
        "GRANT TEMPORARY ON DATABASE shop TO owner; CREATE TABLE owned (a int); ALTER TABLE owned OWNER TO owner",
        "shop",
    )
    expected = {
        "mighty": {"superuser_role", "reads_password_hashes"},
        "owner": {"bypassrls_role", "createrole_role", "table_owner_role", "temp_role", "write_privileges"},
        "reader": set(),
    }
    for role, codes in expected.items():
        async with opened(server, role=role) as made:
            findings = await made.probe()
            found = {f.code for f in findings if f.severity is not Severity.OK}
            assert codes <= found if codes else not found
            assert not any(role in f.text for f in findings)


@pytest.mark.parametrize(
    ("sql", "args", "parameter"),
    [
        ("SELECT $1::int4", ("abc",), 0),
        ("SELECT $1::int4", (2**31,), 0),
        ("SELECT $1::int4", ("99999999999999999999",), 0),
        ("SELECT $2::uuid, $1::text", ("a", "abc"), 1),
        ("SELECT $1::date", ("not a date",), 0),
        ("SELECT $1::numeric", ("x",), 0),
        ("SELECT $1::bool", ("maybe",), 0),
        ("SELECT $1::int4[]", (["a"],), 0),
        ("SELECT $1::text", ("\ud800",), 0),
        ("SELECT $1::text", (5,), 0),
    ],
)
async def test_a_parameter_that_does_not_fit_is_named(
    server: PostgresServer, sql: str, args: tuple[object, ...], parameter: int
) -> None:
    async with opened(server) as made:
        error = await refused(made, Runnable(sql=sql, args=args))
        assert (error.failure, error.fault) == (Failure.STATEMENT, Fault.PARAMETER_TYPE)
        assert error.parameter == parameter
        await read(made, LOOKUP, (1,))


@pytest.mark.parametrize(
    ("sql", "value", "expected"),
    [
        ("SELECT $1::int4", "7", 7),
        ("SELECT $1::int8", " 9007199254740993 ", 9007199254740993),
        ("SELECT $1::numeric", 1.5, "1.5"),
        ("SELECT $1::numeric", 10**30, str(10**30)),
        ("SELECT $1::numeric", "1.10", "1.10"),
        ("SELECT $1::float8", 2, 2.0),
        ("SELECT $1::float8", "2.5", 2.5),
        ("SELECT $1::bool", "yes", True),
        ("SELECT $1::date", "2026-01-02", "2026-01-02"),
        ("SELECT $1::timestamptz", "2026-01-02T03:04:05.678+02:00", "2026-01-02T01:04:05.678Z"),
        ("SELECT $1::uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("SELECT $1::bytea", b"\x00\xff", b"\x00\xff"),
        ("SELECT $1::int4[]", [1, None, 3], [1, None, 3]),
        ("SELECT $1::numeric[]", [1, "2.50", 3.5], ["1", "2.50", "3.5"]),
        ("SELECT $1::text[]", ["a", 'b,"\\', None], ["a", 'b,"\\', None]),
        ("SELECT $1::text", None, None),
        ("SELECT $1", "untyped", "untyped"),
    ],
)
async def test_json_values_fit_the_types_they_mean(
    server: PostgresServer, sql: str, value: object, expected: object
) -> None:
    async with opened(server) as made:
        for cacheable in (True, False):
            _, sink = await read(made, sql, (value,), cacheable=cacheable)
            assert sink.rows[0][0] == expected
