"""The suite for SQL connectors.

A test class inherits `SqlConformance` and gives a fixture (or attribute) `harness`. The suite itself needs no test
framework: every method takes the harness and asserts. The database behind the harness holds

    thing(id integer primary key, name text not null, secret text unique)     rows 1 … THINGS: 'name 1', 'secret 1'
    thing_names: a view of id and name of thing
"""

# ruff: noqa: S608 - statements of a test suite, made of constants

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from connectors.conformance.harness import GENEROUS, THINGS, Collected, SqlHarness, nothing_runs, opened, read, refused
from connectors.contract import (
    Catalog,
    ConnectorError,
    Failure,
    Fault,
    ResultColumn,
    Runnable,
    SourceColumn,
    SqlConnector,
    Stopped,
    Table,
    TableKind,
)


class SqlConformance:
    """Inherit, give `harness`, and every method that starts with `test_` must pass."""

    async def test_it_opens_and_closes_with_the_engine_away(self, harness: SqlHarness) -> None:
        connector = harness.factory(harness.config_of_nothing())
        await connector.open()
        assert isinstance(connector, SqlConnector)
        assert connector.catalog() is None
        error = await refused(connector, Runnable(sql="SELECT 1"))
        assert error.failure is Failure.UNAVAILABLE
        failed: ConnectorError | None = None
        try:
            await connector.refresh()
        except ConnectorError as e:
            failed = e
        assert failed is not None
        assert failed.failure is Failure.UNAVAILABLE
        assert all(f.code != "reachable" for f in await connector.probe())
        await connector.close()

    async def test_a_lookup_by_key_gives_its_row_and_columns(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            told: list[tuple[ResultColumn, ...]] = []
            sink = Collected()
            statement = Runnable(sql=harness.thing_by_id, args=(7,))
            outcome = await connector.read(statement, GENEROUS, sink, told.append)
            assert [tuple(row) for row in sink.rows] == [(7, "name 7")]
            assert [c.name for c in outcome.columns] == ["id", "name"]
            assert told == [outcome.columns]
            assert outcome.stopped is None

    async def test_columns_are_told_even_without_rows(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            told: list[tuple[ResultColumn, ...]] = []
            sink = Collected()
            outcome = await connector.read(Runnable(sql=harness.thing_by_id, args=(-1,)), GENEROUS, sink, told.append)
            assert outcome.row_count == 0
            assert sink.rows == []
            assert [c.name for c in told[0]] == ["id", "name"]

    async def test_every_row_of_a_large_answer_arrives_once_and_in_order(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            ways: tuple[dict[str, Any], ...] = ({"cacheable": True}, {"cacheable": False}, {"keep_scan_order": True})
            for options in ways:
                for count in (1, 999, 1_000, 1_001, 1_002, 5_000):
                    outcome, sink = await read(connector, harness.numbers(count), **options)
                    assert [n for (n,) in sink.rows] == list(range(1, count + 1))
                    assert outcome.stopped is None

    async def test_batches_of_a_large_answer_stay_small(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            _, sink = await read(connector, harness.numbers(9_000))
            assert max(sink.batches) <= 1_001
            assert all(size <= 200 for size in sink.batches[1:])

    async def test_no_row_beyond_the_cap_and_the_cut_is_told(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            for cap in (1, 5, 1_000, 1_001, 1_500):
                outcome, sink = await read(connector, harness.numbers(2_000), limits=replace(GENEROUS, max_rows=cap))
                assert [n for (n,) in sink.rows] == list(range(1, cap + 1))
                assert outcome.stopped is Stopped.ROWS

    async def test_an_answer_of_exactly_the_cap_is_whole(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            for cap in (1, 200, 1_000, 1_001, 1_500):
                outcome, _ = await read(connector, harness.numbers(cap), limits=replace(GENEROUS, max_rows=cap))
                assert outcome.row_count == cap
                assert outcome.stopped is None

    async def test_rows_can_be_skipped(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            for skip in (1, 10, 999, 1_000, 1_999, 2_000, 5_000):
                limits = replace(GENEROUS, max_rows=500)
                outcome, sink = await read(connector, harness.numbers(2_000), limits=limits, skip_rows=skip)
                assert [n for (n,) in sink.rows] == list(range(skip + 1, min(skip + 500, 2_000) + 1))
                assert (outcome.stopped is Stopped.ROWS) == (skip + 500 < 2_000)

    async def test_the_byte_cap_ends_the_read(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            limits = replace(GENEROUS, max_bytes=2_000)
            outcome, sink = await read(connector, harness.numbers(5_000), limits=limits)
            assert outcome.stopped is Stopped.BYTES
            assert 1_000 < sink.bytes < 2_100
            assert [n for (n,) in sink.rows] == list(range(1, outcome.row_count + 1))

    async def test_a_value_above_the_cap_ends_the_request(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            error = await refused(connector, Runnable(sql=harness.text_of(1024 * 1024 + 1)))
            assert error.failure is Failure.VALUE_TOO_LARGE
            outcome, _ = await read(connector, harness.text_of(1024 * 1024))
            assert outcome.row_count == 1

    async def test_an_enormous_value_neither_arrives_nor_harms(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            error = await refused(connector, Runnable(sql=harness.text_of(60_000_000)))
            assert error.failure in (Failure.VALUE_TOO_LARGE, Failure.OUT_OF_RESOURCES)
            outcome, _ = await read(connector, harness.thing_by_id, (1,))
            assert outcome.row_count == 1

    async def test_the_time_limit_ends_the_statement_in_the_engine(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            error = await refused(connector, Runnable(sql=harness.endless), replace(GENEROUS, timeout_s=0.3))
            assert error.failure is Failure.TIMEOUT
            assert await nothing_runs(harness)
            outcome, _ = await read(connector, harness.thing_by_id, (1,))
            assert outcome.row_count == 1

    async def test_cancelling_ends_the_statement_in_the_engine(self, harness: SqlHarness) -> None:
        async with opened(harness, pool_max=1) as connector:
            for _ in range(3):
                reading = asyncio.create_task(connector.read(Runnable(sql=harness.endless), GENEROUS, Collected()))
                await asyncio.sleep(0.2)
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading
                assert reading.cancelled()
                assert await nothing_runs(harness)
                outcome, _ = await read(connector, harness.thing_by_id, (1,))
                assert outcome.row_count == 1

    async def test_what_the_sink_raises_passes_through_and_leaves_no_trace(self, harness: SqlHarness) -> None:
        class ClientGone(Exception):  # noqa: N818
            pass

        def sink(rows: Sequence[Sequence[Any]]) -> int:
            raise ClientGone

        async with opened(harness, pool_max=1) as connector:
            for count in (1, 5_000, 5_000):
                try:
                    await connector.read(Runnable(sql=harness.numbers(count)), GENEROUS, sink)
                except ClientGone:
                    pass
                else:
                    raise AssertionError("the sink's exception was swallowed")
                outcome, _ = await read(connector, harness.thing_by_id, (1,))
                assert outcome.row_count == 1

    async def test_writes_are_refused_by_the_engine(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            for write in harness.writes:
                error = await refused(connector, Runnable(sql=write))
                assert error.failure is Failure.REFUSED_BY_WALL, write
            _, sink = await read(connector, f"SELECT count(*) FROM {harness.thing}")
            assert [tuple(row) for row in sink.rows] == [(THINGS,)]

    async def test_faults_are_classes_and_carry_no_text_of_the_engine(self, harness: SqlHarness) -> None:
        expected = {
            "SELECT 1 +": Fault.SYNTAX,
            "SELECT * FROM no_such_relation": Fault.UNDEFINED_TABLE,
            f"SELECT no_such_name FROM {harness.thing}": Fault.UNDEFINED_COLUMN,
            "SELECT no_such_function(1)": Fault.UNDEFINED_FUNCTION,
            f"SELECT id FROM {harness.thing} AS a JOIN {harness.thing} AS b ON a.id = b.id": Fault.AMBIGUOUS,
        }
        async with opened(harness) as connector:
            for sql, fault in expected.items():
                error = await refused(connector, Runnable(sql=sql))
                assert (error.failure, error.fault) == (Failure.STATEMENT, fault), sql
                assert "no_such" not in str(error)

    async def test_a_fault_in_a_later_row_is_a_fault(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            over = f"SELECT abs(-9223372036854775807 - (n / 3000)) FROM ({harness.numbers(4_000)}) AS t"
            error = await refused(connector, Runnable(sql=over))
            assert (error.failure, error.fault) == (Failure.STATEMENT, Fault.OUT_OF_RANGE)

    async def test_wrong_numbers_of_arguments_are_a_fault_of_parameters(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            for args in ((), (1, 2)):
                error = await refused(connector, Runnable(sql=harness.thing_by_id, args=args))
                assert (error.failure, error.fault) == (Failure.STATEMENT, Fault.PARAMETER_TYPE)

    async def test_more_reads_than_sessions_all_get_their_own_answer(self, harness: SqlHarness) -> None:
        async with opened(harness, pool_max=2) as connector:

            async def one(key: int) -> bool:
                _, sink = await read(
                    connector, harness.thing_by_id, (key,), cacheable=key % 3 != 0, keep_scan_order=key % 2 == 0
                )
                return [tuple(row) for row in sink.rows] == [(key, f"name {key}")]

            assert all(await asyncio.gather(*(one(key) for key in range(1, 61))))

    async def test_waiting_for_a_session_is_bounded(self, harness: SqlHarness) -> None:
        async with opened(harness, pool_max=1) as connector:
            busy = asyncio.create_task(connector.read(Runnable(sql=harness.endless), GENEROUS, Collected()))
            await asyncio.sleep(0.2)
            error = await refused(connector, Runnable(sql="SELECT 1"), replace(GENEROUS, timeout_s=0.3))
            assert error.failure in (Failure.UNAVAILABLE, Failure.TIMEOUT)
            if error.failure is Failure.UNAVAILABLE:
                assert error.retryable
                assert error.retry_after_s is not None
            busy.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await busy

    async def test_the_catalog_tells_tables_keys_and_views(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            catalog = await connector.refresh()
            assert connector.catalog() is catalog
            assert catalog.dialect is harness.dialect
            thing = _table(catalog, harness, "thing")
            assert thing.kind is TableKind.TABLE
            assert [c.name for c in thing.columns] == ["id", "name", "secret"]
            assert thing.primary_key == ("id",)
            assert any(i.unique and i.columns == ("secret",) for i in thing.indexes)
            view = _table(catalog, harness, "thing_names")
            assert view.kind is TableKind.VIEW
            key = (harness.schema, "thing")
            assert {SourceColumn(table=key, column="id"), SourceColumn(table=key, column="name")} == set(view.reads)

    async def test_an_unchanged_catalog_keeps_its_version(self, harness: SqlHarness) -> None:
        async with opened(harness) as first, opened(harness) as second:
            assert (await first.refresh()).version == (await second.refresh()).version

    async def test_an_estimate_runs_nothing(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            estimate = await connector.estimate(Runnable(sql=harness.endless), 5.0)
            assert estimate is None or estimate >= 0

    async def test_the_probe_reaches_the_engine(self, harness: SqlHarness) -> None:
        async with opened(harness) as connector:
            assert any(f.code == "reachable" for f in await connector.probe())


def _table(catalog: Catalog, harness: SqlHarness, name: str) -> Table:
    return catalog.tables[harness.schema, name]
