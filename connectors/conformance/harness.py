"""What a SQL connector's own tests give to the suite, and the small tools that the suite and such tests share."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Protocol

import orjson

from connectors.contract import (
    ConnectorError,
    ConnectorFactory,
    Dialect,
    Limits,
    ReadOutcome,
    Runnable,
    SqlConnector,
    SqlConnectorConfig,
)

THINGS = 3_000
GENEROUS = Limits(max_rows=10_000, max_bytes=64 * 1024 * 1024, max_value_bytes=1024 * 1024, timeout_s=20.0)
_SETTLE_S = 10.0


class SqlHarness(Protocol):
    """One database of the connector's kind, and the statements in its dialect."""

    dialect: Dialect
    factory: ConnectorFactory
    schema: str
    """Where `thing` lives."""
    thing: str
    """`thing` as a statement names it."""
    thing_by_id: str
    """SELECT id, name FROM thing WHERE id = <the one parameter>."""
    endless: str
    """A statement that would run for hours and gives its first row at the end only."""
    writes: Sequence[str]
    """Statements that would change something if nobody stopped them."""

    def config(self, pool_max: int = 4) -> SqlConnectorConfig: ...

    def config_of_nothing(self) -> SqlConnectorConfig:
        """Of a database that is not there."""

    def numbers(self, count: int) -> str:
        """One column n: 1 … count, in that order."""

    def text_of(self, size: int) -> str:
        """One row, one column: a text of that many characters."""

    async def running(self) -> int:
        """Statements of the connector that the engine still works on."""


class Collected:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.batches: list[int] = []
        self.bytes = 0

    def __call__(self, rows: Sequence[Sequence[Any]]) -> int:
        self.rows.extend(rows)
        self.batches.append(len(rows))
        encoded = len(orjson.dumps(rows, default=repr))
        self.bytes += encoded
        return encoded


@contextlib.asynccontextmanager
async def opened(harness: SqlHarness, pool_max: int = 4) -> AsyncIterator[SqlConnector]:
    connector = harness.factory(harness.config(pool_max))
    await connector.open()
    try:
        yield connector
    finally:
        await connector.close()


async def refused(connector: SqlConnector, statement: Runnable, limits: Limits = GENEROUS) -> ConnectorError:
    """The error that reading ends with."""
    try:
        await connector.read(statement, limits, Collected())
    except ConnectorError as e:
        return e
    raise AssertionError(f"not refused: {statement.sql}")


async def read(
    connector: SqlConnector, sql: str, args: tuple[Any, ...] = (), limits: Limits = GENEROUS, **options: Any
) -> tuple[ReadOutcome, Collected]:
    sink = Collected()
    outcome = await connector.read(Runnable(sql=sql, args=args, **options), limits, sink)
    assert outcome.row_count == len(sink.rows)
    return outcome, sink


async def nothing_runs(harness: SqlHarness) -> bool:
    """Whether the engine comes to rest, given a moment."""
    deadline = asyncio.get_running_loop().time() + _SETTLE_S
    while asyncio.get_running_loop().time() < deadline:
        if await harness.running() == 0:
            return True
        await asyncio.sleep(0.02)
    return False
