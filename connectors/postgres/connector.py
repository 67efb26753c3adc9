"""PostgreSQL behind the connector contract."""

import asyncio
from collections.abc import Callable

import asyncpg
import orjson

from connectors.contract import (
    Catalog,
    ConnectorError,
    Dialect,
    Failure,
    Finding,
    Limits,
    ReadOutcome,
    ResultColumn,
    RowSink,
    Runnable,
    SqlConnectorConfig,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)
from connectors.delivery import Delivery
from connectors.postgres.catalog import read_catalog
from connectors.postgres.faults import refused_argument, translated, unavailable
from connectors.postgres.pool import Pool
from connectors.postgres.probing import probe_role
from connectors.postgres.reading import (
    TooLargeForOneTrip,
    outcome,
    read_at_once,
    read_by_cursor,
    refitted,
)
from connectors.postgres.session import Prepared, Session
from connectors.postgres.sizes import History, Sizes, shape
from connectors.postgres.writing import write

_CATALOG_TIMEOUT_S = 120.0
_LOST = (
    asyncpg.ConnectionDoesNotExistError,
    ConnectionError,
    asyncpg.InterfaceError,
    # What is left of a session that the server ended, before its socket says so.
    asyncpg.InternalClientError,
)
_STALE_WITHIN_S = 1.0
_MOST_TURNS = 6
"""Of one read: stale connection, stale plan, refitted arguments, one trip, cursor, cursor with narrow batches."""


class PostgresConnector:
    dialect = Dialect.POSTGRES

    def __init__(self, config: SqlConnectorConfig) -> None:
        if config.secret is None:
            raise ValueError(f"connection {config.name}: kind postgres needs a dsn")
        self._pool = Pool(config.secret, size=config.pool_max, statement_timeout_s=config.statement_timeout_s)
        self._sizes = Sizes()
        self._catalog: Catalog | None = None
        self._refreshing = asyncio.Lock()

    async def open(self) -> None:
        self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    def catalog(self) -> Catalog | None:
        return self._catalog

    async def refresh(self) -> Catalog:
        async with self._refreshing:
            session = await self._pool.take(scan_order=False, timeout_s=_CATALOG_TIMEOUT_S)
            try:
                self._catalog = await read_catalog(session, self._catalog, _CATALOG_TIMEOUT_S)
            except Exception as e:
                raise translated(e) from e
            finally:
                self._pool.settle(session)
            return self._catalog

    async def read(
        self,
        statement: Runnable,
        limits: Limits,
        sink: RowSink,
        on_columns: Callable[[tuple[ResultColumn, ...]], None] | None = None,
    ) -> ReadOutcome:
        delivery = Delivery(sink, limits, statement.skip_rows, on_columns)
        turns = _Turns(
            self._pool, statement, limits, delivery,
            self._sizes.of(statement.sql if statement.cacheable else shape(statement.sql)),
        )  # fmt: skip
        for _ in range(_MOST_TURNS):
            prepared = await turns.take_one()
            if prepared is not None:
                return outcome(prepared, delivery)
        raise unavailable()

    async def write(
        self,
        statement: WriteRunnable,
        limits: WriteLimits,
        sink: RowSink,
        on_columns: Callable[[tuple[ResultColumn, ...]], None] | None = None,
    ) -> WriteOutcome:
        return await write(self._pool, statement, limits, sink, on_columns)

    async def estimate(self, statement: Runnable, timeout_s: float) -> int | None:
        session = await self._pool.take(scan_order=False, timeout_s=timeout_s)
        try:
            # Only the planner: EXPLAIN without ANALYZE never runs what it explains.
            explain = f"EXPLAIN (FORMAT JSON) {statement.sql}"
            prepared = await session.prepare(explain, keep=False, timeout_s=timeout_s)
            args: list[object] | tuple[object, ...] = statement.args
            try:
                rows = await session.explain(prepared, args, timeout_s)
            except (asyncpg.DataError, asyncpg.InterfaceError) as e:
                rows = await session.explain(prepared, refitted(e, statement, prepared), timeout_s)
        except ConnectorError:
            raise
        except Exception as e:
            raise translated(e) from e
        finally:
            self._pool.release(session)
        plan = orjson.loads(orjson.dumps(rows[0][0]))
        estimated = plan[0]["Plan"].get("Plan Rows")
        return None if estimated is None else int(estimated)

    async def probe(self) -> tuple[Finding, ...]:
        return await probe_role(self._pool)


class _Turns:
    """One read, which may need several turns before its first row is out."""

    __slots__ = ("_args", "_deadline", "_delivery", "_fresh", "_history", "_limits", "_pool", "_reprepared", "_retried",
                 "_statement")  # fmt: skip

    def __init__(self, pool: Pool, statement: Runnable, limits: Limits, delivery: Delivery, history: History) -> None:
        self._pool = pool
        self._statement = statement
        self._limits = limits
        self._delivery = delivery
        self._history = history
        self._args: tuple[object, ...] | list[object] = statement.args
        self._deadline = asyncio.get_running_loop().time() + limits.timeout_s
        self._retried = False
        self._reprepared = False
        self._fresh = False

    async def take_one(self) -> Prepared | None:
        """The statement whose rows are all delivered; None: one more turn."""
        statement = self._statement
        session = self._pool.at_once(scan_order=statement.keep_scan_order)
        pooled = session is not None
        if session is None or self._fresh:
            if session is not None:
                self._pool.release(session)
            session = await self._pool.take(
                scan_order=statement.keep_scan_order, timeout_s=self._left(), fresh=self._fresh
            )
        try:
            return await self._on(session)
        except TooLargeForOneTrip:
            return None
        except (asyncpg.InvalidCachedStatementError, asyncpg.InvalidSQLStatementNameError) as e:
            session.forget(statement.sql)
            if self._reprepared or not self._delivery.untouched:
                raise translated(e) from e
            self._reprepared = True
            return None
        except _LOST as e:
            if refused_argument(e) is not None:
                raise translated(e) from e
            session.abort()
            # A session that had been idle was most likely dead already, and reading twice changes nothing.
            if pooled and not self._retried and self._delivery.untouched and self._just_started():
                self._retried = self._fresh = True
                return None
            raise unavailable() from e
        except (asyncpg.PostgresError, TimeoutError, MemoryError) as e:
            raise translated(e) from e
        finally:
            self._pool.release(session)

    def _just_started(self) -> bool:
        return self._left() > self._limits.timeout_s - _STALE_WITHIN_S

    def _left(self) -> float:
        left = self._deadline - asyncio.get_running_loop().time()
        if left <= 0:
            raise ConnectorError(Failure.TIMEOUT)
        return left

    async def _on(self, session: Session) -> Prepared:
        statement = self._statement
        if self._history.large:
            # Before the statement is parsed: a simple command takes the unnamed statement's place.
            session.meter.begin(None)
            await session.run("BEGIN READ ONLY", self._left())
        prepared = session.known(statement.sql) if statement.cacheable else None
        if prepared is None:
            session.meter.begin(None)
            prepared = await session.prepare_read(statement.sql, keep=statement.cacheable, timeout_s=self._left())
        try:
            await self._run(session, prepared)
        except (asyncpg.DataError, asyncpg.InterfaceError) as e:
            if self._args is not statement.args:
                raise
            self._args = refitted(e, statement, prepared)
            await self._run(session, prepared)
        return prepared

    async def _run(self, session: Session, prepared: Prepared) -> None:
        if session.in_transaction:
            await read_by_cursor(
                session, prepared, self._args, self._delivery, self._limits, self._history, self._deadline
            )
        else:
            await read_at_once(session, prepared, self._args, self._delivery, self._limits, self._history, self._left())
