"""What a writing connector's own tests give to the suite of writes, and its small tools."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from connectors.conformance.harness import GENEROUS, Collected
from connectors.contract import (
    ConnectorError,
    ConnectorFactory,
    SqlConnector,
    SqlConnectorConfig,
    SqlWriter,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)

ACCOUNTS = 1_000
FREELY = WriteLimits(read=GENEROUS)
DRY = WriteLimits(read=GENEROUS, dry_run=True)


class WriteHarness(Protocol):
    """One database that may be changed, and the statements in its dialect."""

    factory: ConnectorFactory
    account: str
    """`account` as a statement names it."""
    entry: str
    later: str
    placeholder: str
    """Of the first argument."""
    slow_write: str
    """A write on `account` that would run for hours before it touches its first row."""
    create: str
    """DDL that makes a table `made` with one column `a`, and `drop` that drops it."""
    drop: str
    made: str
    no_writes: Sequence[str]
    """Statements that are no write of rows, or write what a write may not."""

    def config(self, pool_max: int = 4) -> SqlConnectorConfig: ...

    def config_of_nothing(self) -> SqlConnectorConfig:
        """Of a database that is not there."""

    async def rows_of(self, table: str) -> list[tuple[Any, ...]]:
        """Every row in the order of its first column, read past the connector."""

    def locked(self) -> AbstractAsyncContextManager[None]:
        """While it is open, somebody else's transaction keeps writes on `account` waiting."""


class Writer(SqlConnector, SqlWriter, Protocol):
    """Both at once."""


@contextlib.asynccontextmanager
async def opened(harness: WriteHarness) -> AsyncIterator[Writer]:
    connector = harness.factory(harness.config())
    assert isinstance(connector, SqlWriter)
    await connector.open()
    try:
        yield connector
    finally:
        await connector.close()


async def written(
    connector: Writer, sql: str, args: tuple[Any, ...] = (), limits: WriteLimits = FREELY, *, returning: bool = False
) -> tuple[WriteOutcome, Collected]:
    sink = Collected()
    outcome = await connector.write(WriteRunnable(sql=sql, args=args, returning=returning), limits, sink)
    assert outcome.row_count == len(sink.rows)
    return outcome, sink


async def refused(connector: Writer, statement: WriteRunnable | str, limits: WriteLimits = FREELY) -> ConnectorError:
    """The error that the write ends with."""
    try:
        await connector.write(
            WriteRunnable(sql=statement) if isinstance(statement, str) else statement, limits, Collected()
        )
    except ConnectorError as e:
        return e
    raise AssertionError(f"not refused: {statement}")
