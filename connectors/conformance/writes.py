"""The suite for connectors that write (`SqlWriter`).

A test class inherits `WriteConformance` and gives a fixture (or attribute) `harness`, with a database of its own for
every test. Statements are what the engines have in common; where they differ, the harness says how. The database holds

    account(id integer primary key, name text not null unique, amount integer not null check (amount >= 0))
                                                    rows 1 … ACCOUNTS: 'name 1', 1
    entry(id integer primary key, account integer not null references account(id))
                                                    one row: 1, 1
    later(id integer primary key, account integer references account(id), checked at the commit)
"""

# ruff: noqa: S608 - statements of a test suite, made of constants

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from connectors.conformance.harness import GENEROUS, Collected
from connectors.conformance.harness import refused as read_refused
from connectors.conformance.write_harness import ACCOUNTS, DRY, FREELY, WriteHarness, opened, refused, written
from connectors.contract import (
    ConnectorError,
    Failure,
    Fault,
    ResultColumn,
    Runnable,
    SqlWriter,
    Stopped,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)

_TOUCHED = "RETURNING (1 = 1)"
_MOMENTS = 40


class WriteConformance:
    """Inherit, give `harness`, and every method that starts with `test_` must pass."""

    async def test_an_engine_that_is_away_is_unavailable(self, harness: WriteHarness) -> None:
        connector = harness.factory(harness.config_of_nothing())
        assert isinstance(connector, SqlWriter)
        await connector.open()
        try:
            error = await refused(connector, f"DELETE FROM {harness.account} {_TOUCHED}")
            assert (error.failure, error.retryable) == (Failure.UNAVAILABLE, True)
        finally:
            await connector.close()

    async def test_rows_are_inserted_changed_and_deleted(self, harness: WriteHarness) -> None:
        account = harness.account
        async with opened(harness) as connector:
            outcome, _ = await written(
                connector, f"INSERT INTO {account} (id, name, amount) VALUES (5001, 'a', 1), (5002, 'b', 2) {_TOUCHED}"
            )
            assert outcome == WriteOutcome(affected=2)
            outcome, _ = await written(
                connector, f"UPDATE {account} SET amount = amount + 10 WHERE id > 5000 {_TOUCHED}"
            )
            assert outcome == WriteOutcome(affected=2)
            outcome, _ = await written(
                connector, f"DELETE FROM {account} WHERE id = {harness.placeholder} {_TOUCHED}", (5001,)
            )
            assert outcome == WriteOutcome(affected=1)
        rows = await harness.rows_of(account)
        assert rows[ACCOUNTS:] == [(5002, "b", 12)]

    async def test_a_write_that_touches_nothing_is_done(self, harness: WriteHarness) -> None:
        async with opened(harness) as connector:
            outcome, sink = await written(
                connector, f"DELETE FROM {harness.account} WHERE id < 0 {_TOUCHED}, id", returning=True
            )
            assert (outcome.affected, outcome.row_count, outcome.stopped, sink.rows) == (0, 0, None, [])
            assert [c.name for c in outcome.columns] == ["id"]

    async def test_returning_hands_out_its_columns_without_the_check(self, harness: WriteHarness) -> None:
        told: list[tuple[ResultColumn, ...]] = []
        sink = Collected()
        sql = f"UPDATE {harness.account} SET amount = 7 WHERE id IN (3, 4) {_TOUCHED} AS checked, id, name AS n, amount"
        async with opened(harness) as connector:
            outcome = await connector.write(WriteRunnable(sql=sql, returning=True), FREELY, sink, told.append)
        assert sorted(tuple(row) for row in sink.rows) == [(3, "name 3", 7), (4, "name 4", 7)]
        assert [c.name for c in outcome.columns] == ["id", "n", "amount"]
        assert told == [outcome.columns]
        assert (outcome.affected, outcome.row_count) == (2, 2)

    async def test_a_check_that_is_not_true_undoes_the_whole_write(self, harness: WriteHarness) -> None:
        before = await harness.rows_of(harness.account)
        async with opened(harness) as connector:
            for check in ("(1 = 0)", "(id < 1000)", "(id <> 1)", "(NULL = 1)"):
                error = await refused(connector, f"UPDATE {harness.account} SET amount = 0 RETURNING {check}")
                assert (error.failure, error.fault) == (Failure.STATEMENT, Fault.ROW_FILTER), check
        assert await harness.rows_of(harness.account) == before

    async def test_more_rows_than_allowed_undo_the_whole_write(self, harness: WriteHarness) -> None:
        before = await harness.rows_of(harness.account)
        sql = f"UPDATE {harness.account} SET amount = 0 WHERE id <= 10 {_TOUCHED}, id"
        async with opened(harness) as connector:
            for returning in (False, True):
                for most in (0, 1, 9):
                    error = await refused(
                        connector, WriteRunnable(sql=sql, returning=returning), replace(FREELY, max_affected=most)
                    )
                    assert (error.failure, error.fault) == (Failure.STATEMENT, Fault.TOO_MANY_AFFECTED)
            assert await harness.rows_of(harness.account) == before
            outcome, _ = await written(connector, sql, limits=replace(FREELY, max_affected=10))
            assert outcome.affected == 10

    async def test_a_dry_run_tells_everything_and_leaves_nothing(self, harness: WriteHarness) -> None:
        before = await harness.rows_of(harness.account)
        sql = f"UPDATE {harness.account} SET amount = 0 {_TOUCHED}, id, amount"
        async with opened(harness) as connector:
            outcome, sink = await written(connector, sql, limits=DRY, returning=True)
            assert outcome.affected == ACCOUNTS
            assert {row[1] for row in sink.rows} == {0}
            assert await harness.rows_of(harness.account) == before
            error = await refused(connector, sql, replace(DRY, max_affected=5))
            assert error.fault is Fault.TOO_MANY_AFFECTED
            error = await refused(connector, f"DELETE FROM {harness.account} WHERE id = 1 {_TOUCHED}", DRY)
            assert error.fault is Fault.INTEGRITY
        assert await harness.rows_of(harness.account) == before

    async def test_a_dry_run_meets_what_a_commit_would_have_met(self, harness: WriteHarness) -> None:
        async with opened(harness) as connector:
            for account, limits in ((9_999, DRY), (9_999, FREELY)):
                error = await refused(
                    connector, f"INSERT INTO {harness.later} (id, account) VALUES (1, {account}) {_TOUCHED}", limits
                )
                assert (error.failure, error.fault) == (Failure.STATEMENT, Fault.INTEGRITY)
            assert await harness.rows_of(harness.later) == []
            sql = f"INSERT INTO {harness.later} (id, account) VALUES (1, 1) {_TOUCHED}"
            assert (await written(connector, sql, limits=DRY))[0].affected == 1
            assert (await written(connector, sql))[0].affected == 1
        assert await harness.rows_of(harness.later) == [(1, 1)]

    async def test_nobody_sees_a_dry_run(self, harness: WriteHarness) -> None:
        seen: list[list[tuple[Any, ...]]] = []
        before = await harness.rows_of(harness.account)
        async with opened(harness) as connector:

            async def look() -> None:
                sink = Collected()
                await connector.read(Runnable(sql=f"SELECT id, name, amount FROM {harness.account}"), GENEROUS, sink)
                seen.append(sorted(tuple(row) for row in sink.rows))

            writing = asyncio.create_task(
                written(
                    connector, f"UPDATE {harness.account} SET amount = 0 {_TOUCHED}, id", limits=DRY, returning=True
                )
            )
            while not writing.done():
                await look()
            await writing
            await look()
        assert all(rows == before for rows in seen)

    async def test_rows_beyond_the_cap_are_touched_not_delivered(self, harness: WriteHarness) -> None:
        sql = f"UPDATE {harness.account} SET amount = 3 {_TOUCHED}, id"
        async with opened(harness) as connector:
            for cap in (1, 199, 200, 201, ACCOUNTS - 1):
                limits = WriteLimits(read=replace(GENEROUS, max_rows=cap))
                outcome, sink = await written(connector, sql, limits=limits, returning=True)
                assert (outcome.affected, outcome.row_count, outcome.stopped) == (ACCOUNTS, cap, Stopped.ROWS)
                assert len({row[0] for row in sink.rows}) == cap
            outcome, _ = await written(
                connector, sql, limits=WriteLimits(read=replace(GENEROUS, max_rows=ACCOUNTS)), returning=True
            )
            assert (outcome.row_count, outcome.stopped) == (ACCOUNTS, None)
            limits = WriteLimits(read=replace(GENEROUS, max_bytes=500))
            outcome, sink = await written(connector, sql, limits=limits, returning=True)
            assert (outcome.affected, outcome.stopped) == (ACCOUNTS, Stopped.BYTES)
            assert sink.bytes < 600
        assert {row[2] for row in await harness.rows_of(harness.account)} == {3}

    async def test_a_check_beyond_the_cap_counts_as_much(self, harness: WriteHarness) -> None:
        before = await harness.rows_of(harness.account)
        limits = WriteLimits(read=replace(GENEROUS, max_rows=1), max_affected=ACCOUNTS - 1)
        async with opened(harness) as connector:
            statement = WriteRunnable(
                sql=f"UPDATE {harness.account} SET amount = 0 RETURNING (id <> {ACCOUNTS}), id", returning=True
            )
            error = await refused(connector, statement, replace(limits, max_affected=None))
            assert error.fault is Fault.ROW_FILTER
            statement = WriteRunnable(sql=f"UPDATE {harness.account} SET amount = 0 {_TOUCHED}, id", returning=True)
            error = await refused(connector, statement, limits)
            assert error.fault is Fault.TOO_MANY_AFFECTED
        assert await harness.rows_of(harness.account) == before

    async def test_a_value_too_large_to_deliver_undoes_the_write(self, harness: WriteHarness) -> None:
        before = await harness.rows_of(harness.account)
        limits = WriteLimits(read=replace(GENEROUS, max_value_bytes=100))
        async with opened(harness) as connector:
            statement = WriteRunnable(
                sql=f"UPDATE {harness.account} SET name = '{'x' * 101}' WHERE id = 5 {_TOUCHED}, id, name",
                returning=True,
            )
            error = await refused(connector, statement, limits)
            assert (error.failure, error.column) == (Failure.VALUE_TOO_LARGE, 1)
        assert await harness.rows_of(harness.account) == before

    async def test_what_the_sink_raises_passes_through_and_nothing_is_changed(self, harness: WriteHarness) -> None:
        class ClientGone(Exception):  # noqa: N818
            pass

        calls = 0

        def sink(rows: Sequence[Sequence[Any]]) -> int:
            nonlocal calls
            calls += 1
            if calls % 2 == 0:
                raise ClientGone
            return 1

        before = await harness.rows_of(harness.account)
        async with opened(harness) as connector:
            statement = WriteRunnable(
                sql=f"UPDATE {harness.account} SET amount = 0 {_TOUCHED}, id, name", returning=True
            )
            for _ in range(3):
                try:
                    await connector.write(statement, FREELY, sink)
                except ClientGone:
                    pass
                else:
                    raise AssertionError("the sink's exception was swallowed")
                assert await harness.rows_of(harness.account) == before
            assert (await written(connector, f"DELETE FROM {harness.account} WHERE id = 7 {_TOUCHED}"))[0].affected == 1

    async def test_the_time_limit_undoes_the_write(self, harness: WriteHarness) -> None:
        before = await harness.rows_of(harness.account)
        async with opened(harness) as connector:
            for limits in (FREELY, DRY):
                error = await refused(
                    connector, harness.slow_write, replace(limits, read=replace(GENEROUS, timeout_s=0.3))
                )
                assert error.failure is Failure.TIMEOUT
            assert await harness.rows_of(harness.account) == before
            assert (await written(connector, f"DELETE FROM {harness.account} WHERE id = 7 {_TOUCHED}"))[0].affected == 1

    async def test_waiting_for_another_writer_is_bounded_and_can_be_tried_again(self, harness: WriteHarness) -> None:
        sql = f"UPDATE {harness.account} SET amount = 4 WHERE id = 7 {_TOUCHED}"
        async with opened(harness) as connector:
            async with harness.locked():
                error = await refused(connector, sql, WriteLimits(read=replace(GENEROUS, timeout_s=0.5)))
                assert error.failure in (Failure.UNAVAILABLE, Failure.TIMEOUT)
                if error.failure is Failure.UNAVAILABLE:
                    assert error.retryable
                patient = asyncio.create_task(written(connector, sql))
                await asyncio.sleep(0.2)
                assert not patient.done()
            assert (await patient)[0].affected == 1

    async def test_a_cancelled_write_that_waits_changes_nothing(self, harness: WriteHarness) -> None:
        before = await harness.rows_of(harness.account)
        async with opened(harness) as connector:
            async with harness.locked():
                waiting = asyncio.create_task(written(connector, f"UPDATE {harness.account} SET amount = 4 {_TOUCHED}"))
                await asyncio.sleep(0.2)
                waiting.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await waiting
                assert waiting.cancelled()
            assert (await written(connector, f"DELETE FROM {harness.later} {_TOUCHED}"))[0].affected == 0
        assert await harness.rows_of(harness.account) == before

    async def test_whenever_it_is_cancelled_the_end_tells_whether_it_happened(self, harness: WriteHarness) -> None:
        sql = f"UPDATE {harness.account} SET amount = amount + 1 {_TOUCHED}, id, name"
        ends: set[str] = set()
        async with opened(harness) as connector:
            await written(connector, f"DELETE FROM {harness.later} {_TOUCHED}")
            for moment in range(_MOMENTS):
                (before,) = {amount for _, _, amount in await harness.rows_of(harness.account)}
                writing = asyncio.create_task(written(connector, sql, returning=True))
                # Some moments fall between two steps of the loop, some into work that takes time.
                for _ in range(moment % 8):
                    await asyncio.sleep(0)
                await asyncio.sleep(moment // 8 * 0.001)
                writing.cancel()
                (end,) = await asyncio.gather(writing, return_exceptions=True)
                changed = 0 if isinstance(end, asyncio.CancelledError | ConnectorError) else 1
                ends.add("changed" if changed else "unchanged")
                (after,) = {amount for _, _, amount in await harness.rows_of(harness.account)}
                assert after == before + changed, moment
            assert (await written(connector, sql))[0].affected == ACCOUNTS
        assert "unchanged" in ends

    async def test_integrity_errors_of_every_kind_look_the_same(self, harness: WriteHarness) -> None:
        account, entry = harness.account, harness.entry
        broken = {
            "primary key": f"INSERT INTO {account} (id, name, amount) VALUES (1, 'new', 1) {_TOUCHED}",
            "unique": f"INSERT INTO {account} (id, name, amount) VALUES (7000, 'name 1', 1) {_TOUCHED}",
            "unique update": f"UPDATE {account} SET name = 'name 1' WHERE id = 2 {_TOUCHED}",
            "not null": f"UPDATE {account} SET name = NULL WHERE id = 2 {_TOUCHED}",
            "check": f"UPDATE {account} SET amount = -5 WHERE id = 2 {_TOUCHED}",
            "parent missing": f"INSERT INTO {entry} (id, account) VALUES (2, 9999) {_TOUCHED}",
            "child present": f"DELETE FROM {account} WHERE id = 1 {_TOUCHED}",
        }
        before = await harness.rows_of(account)
        async with opened(harness) as connector:
            seen = set()
            for sql in broken.values():
                for limits in (FREELY, DRY):
                    error = await refused(connector, sql, limits)
                    seen.add((error.failure, error.fault, error.retryable, error.column, error.parameter, str(error)))
            assert len(seen) == 1
            assert seen.pop()[:2] == (Failure.STATEMENT, Fault.INTEGRITY)
        assert await harness.rows_of(account) == before

    async def test_one_bad_row_undoes_all_rows(self, harness: WriteHarness) -> None:
        before = await harness.rows_of(harness.account)
        async with opened(harness) as connector:
            error = await refused(connector, f"UPDATE {harness.account} SET amount = {ACCOUNTS - 1} - id {_TOUCHED}")
            assert error.fault is Fault.INTEGRITY
        assert await harness.rows_of(harness.account) == before

    async def test_concurrent_writes_all_happen_once(self, harness: WriteHarness) -> None:
        sql = f"UPDATE {harness.account} SET amount = amount + 1 WHERE id = {harness.placeholder} {_TOUCHED}, amount"
        async with opened(harness) as first, opened(harness) as second:
            done = await asyncio.gather(
                *(written((first, second)[i % 2], sql, (1 + i % 3,), returning=True) for i in range(30))
            )
        assert sorted(sink.rows[0][0] for _, sink in done) == sorted(list(range(2, 12)) * 3)
        assert [row[2] for row in (await harness.rows_of(harness.account))[:4]] == [11, 11, 11, 1]

    async def test_only_writes_of_rows_run_as_such(self, harness: WriteHarness) -> None:
        before = await harness.rows_of(harness.account)
        async with opened(harness) as connector:
            for sql in harness.no_writes:
                error = await refused(connector, sql)
                assert error.failure in (Failure.REFUSED_BY_WALL, Failure.STATEMENT), sql
            error = await refused(connector, harness.create)
            assert error.failure in (Failure.REFUSED_BY_WALL, Failure.STATEMENT)
        assert await harness.rows_of(harness.account) == before

    async def test_definitions_run_alone_and_the_catalog_knows_them(self, harness: WriteHarness) -> None:
        async with opened(harness) as connector:
            await connector.refresh()
            nothing = Collected()
            for limits in (DRY, FREELY):
                outcome = await connector.write(WriteRunnable(sql=harness.create, ddl=True), limits, nothing)
                assert (outcome, nothing.rows) == (WriteOutcome(affected=0), [])
            assert any(name == "made" for _, name in (await connector.refresh()).tables)
            assert (await written(connector, f"INSERT INTO {harness.made} (a) VALUES (1) {_TOUCHED}"))[0].affected == 1
            await connector.write(WriteRunnable(sql=harness.drop, ddl=True), FREELY, nothing)
            assert all(name != "made" for _, name in (await connector.refresh()).tables)
            error = await refused(connector, WriteRunnable(sql=f"DELETE FROM {harness.account}", ddl=True))
            assert error.failure in (Failure.REFUSED_BY_WALL, Failure.STATEMENT)
        assert len(await harness.rows_of(harness.account)) == ACCOUNTS

    async def test_reads_stay_read_only_beside_writes(self, harness: WriteHarness) -> None:
        async with opened(harness) as connector:
            await written(connector, f"UPDATE {harness.account} SET amount = 9 WHERE id = 2 {_TOUCHED}")
            sink = Collected()
            await connector.read(Runnable(sql=f"SELECT amount FROM {harness.account} WHERE id = 2"), GENEROUS, sink)
            assert [tuple(row) for row in sink.rows] == [(9,)]
            error = await read_refused(connector, Runnable(sql=f"DELETE FROM {harness.account} {_TOUCHED}"))
            assert error.failure is Failure.REFUSED_BY_WALL
        assert len(await harness.rows_of(harness.account)) == ACCOUNTS
