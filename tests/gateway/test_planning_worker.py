"""The process that plans large statements: it may die, hang or be left alone, and the next request finds it working."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from app.policy.decision import ColumnView, TableView
from app.sql.guards import guard_of
from app.sql.statement import Refusal, SqlRefused
from app.workers.planning import PlanningWorker
from connectors.contract import Catalog, Column, Dialect, Table, TableKind
from tests.freezing import freeze

GUARD = guard_of(Dialect.SQLITE)
KEY = ("main", "t")


def catalog(version: str) -> Catalog:
    table = Table(schema="main", name="t", kind=TableKind.TABLE, columns=(Column(name="id", type="integer"),))
    return Catalog(dialect=Dialect.SQLITE, version=version, server_version=3040001, tables={KEY: table})


VIEWS = {KEY: TableView(schema="main", name="t", columns=(ColumnView(name="id", type="integer"),))}


@pytest.fixture
async def worker() -> AsyncIterator[PlanningWorker]:
    made = PlanningWorker(timeout_s=20.0)
    await made.warm()
    yield made
    await made.aclose()


def pid_of(worker: PlanningWorker) -> int:
    assert worker._process is not None
    pid = worker._process.pid
    assert pid is not None
    return pid


async def plan(worker: PlanningWorker, version: str = "v") -> str:
    statement = await worker.inspect(GUARD, "SELECT id FROM t", {}, catalog(version))
    return (await worker.rewrite(GUARD, statement, VIEWS, catalog(version))).sql


async def test_a_worker_that_is_killed_between_and_within_requests_costs_nobody_an_answer(
    worker: PlanningWorker,
) -> None:
    statement = await worker.inspect(GUARD, "SELECT id FROM t", {}, catalog("v"))
    os.kill(pid_of(worker), signal.SIGKILL)
    rewritten = await worker.rewrite(GUARD, statement, VIEWS, catalog("v"))
    assert "id" in rewritten.sql
    freeze(pid_of(worker))
    running = asyncio.create_task(plan(worker))
    await asyncio.sleep(0.05)
    os.kill(pid_of(worker), signal.SIGKILL)
    assert await running == rewritten.sql


async def test_clients_that_leave_do_not_restart_the_worker(worker: PlanningWorker) -> None:
    before = pid_of(worker)
    for _ in range(3):
        leaving = asyncio.create_task(plan(worker))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
    assert await plan(worker)
    assert pid_of(worker) == before


async def test_more_catalogs_than_are_kept_are_sent_again(worker: PlanningWorker) -> None:
    for number in [*range(20), *range(20)]:
        assert await plan(worker, f"v{number}")
    assert len(worker._sent_catalogs) <= 16


async def test_a_statement_that_takes_too_long_is_refused_and_the_next_one_is_read() -> None:
    worker = PlanningWorker(timeout_s=1.0)
    await worker.warm()
    stopped = pid_of(worker)
    freeze(stopped)
    with pytest.raises(SqlRefused) as refused:
        await plan(worker)
    assert refused.value.refusal is Refusal.TOO_COMPLEX
    worker._timeout_s = 20.0
    assert await plan(worker)
    assert pid_of(worker) != stopped
    await worker.aclose()


async def test_a_large_write_is_rewritten_elsewhere_as_well(worker: PlanningWorker) -> None:
    statement = await worker.inspect(GUARD, "DELETE FROM t WHERE id = 1 RETURNING id", {}, catalog("w"))
    os.kill(pid_of(worker), signal.SIGKILL)
    written = await worker.rewrite_write(GUARD, statement, VIEWS, catalog("w"))
    assert written == GUARD.rewrite_write(
        GUARD.inspect("DELETE FROM t WHERE id = 1 RETURNING id", {}, catalog("w")), VIEWS.get, catalog("w")
    )
