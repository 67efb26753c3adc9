"""How one write runs: a transaction of its own, its rows counted and checked, then committed or rolled back.

REPEATABLE READ: the rows that the statement found are the rows that it changes. Where another transaction changed one
of them meanwhile the server says so (SQLSTATE 40001), nothing is changed, and the write starts again as long as none of
its rows was handed out. Until COMMIT leaves this process, losing the connection or giving up can only undo; from then
on nothing interrupts the wait for the server's word.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any

import asyncpg

from connectors.contract import (
    ConnectorError,
    Failure,
    Fault,
    Limits,
    ResultColumn,
    RowSink,
    Runnable,
    WriteLimits,
    WriteOutcome,
    WriteRunnable,
)
from connectors.delivery import Delivery, too_large
from connectors.postgres.faults import refused_argument, translated, unavailable
from connectors.postgres.pool import Pool
from connectors.postgres.reading import refitted
from connectors.postgres.session import Prepared, Session

_WRITES = re.compile(r"(WITH|INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_DEFINES = re.compile(r"(CREATE|ALTER|DROP|TRUNCATE)\b", re.IGNORECASE)
_PORTAL = "douane_write"
_MOST_ROWS = 500
_BATCH_BYTES = 1024 * 1024
_MOST_BATCH_BYTES = 64 * 1024 * 1024
_MOST_ATTEMPTS = 50
_PAUSE_S = 0.002
_LONGEST_LOCK_WAIT_S = 10.0
_COMMIT_TIMEOUT_S = 60.0
_ROLLBACK_TIMEOUT_S = 5.0
_CONFLICTS = ("40001", "40P01")
_FATAL = ("57P", "08", "25P03")
"""In answer to COMMIT: the server ended the session, and what became of the transaction is not said."""

_SCAN_ORDER = "SET LOCAL enable_indexscan = off; SET LOCAL enable_indexonlyscan = off; SET LOCAL enable_hashagg = off"
"""Neither rows nor numbers that defaults give out may come in the order of an index with hidden columns."""


async def write(
    pool: Pool,
    statement: WriteRunnable,
    limits: WriteLimits,
    sink: RowSink,
    on_columns: Callable[[tuple[ResultColumn, ...]], None] | None,
) -> WriteOutcome:
    if (_DEFINES if statement.ddl else _WRITES).match(statement.sql) is None:
        raise ConnectorError(Failure.REFUSED_BY_WALL)
    deadline = asyncio.get_running_loop().time() + limits.read.timeout_s
    fresh = False
    for attempt in range(1, _MOST_ATTEMPTS + 1):
        writing = _Writing(statement, limits, Delivery(sink, limits.read, 0, on_columns), deadline)
        session = await _session(pool, deadline, fresh=fresh)
        try:
            return await writing.on(session)
        except _Stale as e:
            fresh = True
            if attempt == _MOST_ATTEMPTS:
                raise unavailable() from e
        except asyncpg.PostgresError as e:
            if e.sqlstate not in _CONFLICTS or not writing.delivery.untouched or attempt == _MOST_ATTEMPTS:
                raise translated(e) from e
            await asyncio.sleep(min(_PAUSE_S * attempt, max(0.0, deadline - asyncio.get_running_loop().time())))
        finally:
            pool.release(session)
    raise unavailable()


async def _session(pool: Pool, deadline: float, *, fresh: bool) -> Session:
    session = None if fresh else pool.at_once(scan_order=False)
    if session is not None:
        return session
    return await pool.take(scan_order=False, timeout_s=_left(deadline), fresh=fresh)


def _left(deadline: float) -> float:
    left = deadline - asyncio.get_running_loop().time()
    if left <= 0:
        raise ConnectorError(Failure.TIMEOUT)
    return left


class _Stale(Exception):  # noqa: N818 - one more turn, not a fault
    """The session was dead before the transaction began."""


class _Writing:
    """One attempt, on one session."""

    __slots__ = ("_deadline", "_limits", "_statement", "affected", "delivery")

    def __init__(self, statement: WriteRunnable, limits: WriteLimits, delivery: Delivery, deadline: float) -> None:
        self._statement = statement
        self._limits = limits
        self._deadline = deadline
        self.delivery = delivery
        self.affected = 0

    async def on(self, session: Session) -> WriteOutcome:
        """Raises asyncpg's own errors where the server said why, ConnectorError otherwise; nothing is changed then,
        unless it is OUTCOME_UNKNOWN."""
        await self._begin(session)
        try:
            prepared = await session.prepare(self._statement.sql, keep=False, timeout_s=self._left())
            await self._run(session, prepared)
            # Deferred constraints speak now: a dry run sees them, and COMMIT has nothing left to refuse.
            await session.run("SET CONSTRAINTS ALL IMMEDIATE", self._left())
        except asyncpg.PostgresError:
            raise
        except (OSError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError, MemoryError) as e:
            if session.meter.tripped:
                raise ConnectorError(Failure.VALUE_TOO_LARGE) from e
            if not isinstance(e, TimeoutError | MemoryError) and refused_argument(e) is None:
                session.abort()
            raise translated(e) from e
        outcome = WriteOutcome(
            affected=self.affected,
            columns=prepared.columns[1:] if self._statement.returning else (),
            row_count=self.delivery.row_count,
            stopped=self.delivery.stopped,
        )
        await (_rolled_back(session) if self._limits.dry_run else _committed(session))
        return outcome

    async def _begin(self, session: Session) -> None:
        left_ms = max(1, int(self._left() * 1000))
        lock_ms = min(left_ms, int(_LONGEST_LOCK_WAIT_S * 1000))
        session.meter.begin(None)
        try:
            await session.run(
                "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE; "
                f"SET LOCAL statement_timeout = {left_ms}; SET LOCAL lock_timeout = {lock_ms}; {_SCAN_ORDER}",
                self._left(),
            )
        except asyncpg.FeatureNotSupportedError as e:
            # A standby takes no writes.
            raise ConnectorError(Failure.REFUSED_BY_WALL) from e
        except (asyncpg.PostgresConnectionError, OSError, asyncpg.InterfaceError, asyncpg.InternalClientError) as e:
            session.abort()
            raise _Stale from e
        except asyncpg.PostgresError:
            if not session.usable:
                raise _Stale from None
            raise
        except TimeoutError as e:
            raise translated(e) from e

    async def _run(self, session: Session, prepared: Prepared) -> None:
        statement = self._statement
        args: Sequence[Any] = statement.args
        if statement.ddl:
            await session.protocol.bind_execute(prepared.state, args, "", 0, True, self._left())
            return
        if not prepared.columns:
            raise ConnectorError(Failure.REFUSED_BY_WALL)
        try:
            batch = await self._first(session, prepared, args)
        except (asyncpg.DataError, asyncpg.InterfaceError) as e:
            args = refitted(e, Runnable(sql=statement.sql, args=statement.args), prepared)
            batch = await self._first(session, prepared, args)
        if statement.returning:
            self.delivery.announce(prepared.columns[1:])
        widest = 1
        while True:
            rows, _, completed = batch
            received = session.meter.received
            self._take(rows, received, last=completed)
            if completed:
                return
            widest = max(widest, received // max(len(rows), 1))
            size = max(1, min(_MOST_ROWS, _BATCH_BYTES // widest))
            session.meter.begin(self._budget)
            batch = await session.protocol.execute(prepared.state, _PORTAL, size, True, self._left())
            # The loop is not this write's alone.
            await asyncio.sleep(0)

    async def _first(self, session: Session, prepared: Prepared, args: Sequence[Any]) -> Any:
        """The server works the whole statement off before it gives the first row."""
        session.meter.begin(self._budget)
        return await session.protocol.bind_execute(prepared.state, args, _PORTAL, 1, True, self._left())

    @property
    def _budget(self) -> int:
        return _MOST_BATCH_BYTES + self._limits.read.max_value_bytes

    def _take(self, rows: Sequence[Any], received: int, *, last: bool) -> None:
        self.affected += len(rows)
        most = self._limits.max_affected
        if most is not None and self.affected > most:
            raise ConnectorError(Failure.STATEMENT, fault=Fault.TOO_MANY_AFFECTED)
        if not all(row[0] is True for row in rows):
            raise ConnectorError(Failure.STATEMENT, fault=Fault.ROW_FILTER)
        if not self._statement.returning or self.delivery.stopped is not None or not rows:
            return
        values = [tuple(row)[1:] for row in rows]
        limits: Limits = self._limits.read
        if received > limits.max_value_bytes:
            column = too_large(values[: self.delivery.rows_wanted - 1], limits.max_value_bytes)
            if column is not None:
                raise ConnectorError(Failure.VALUE_TOO_LARGE, column=column)
        self.delivery.push(values, received, last=last)

    def _left(self) -> float:
        return _left(self._deadline)


async def _rolled_back(session: Session) -> None:
    try:
        await session.run("ROLLBACK", _ROLLBACK_TIMEOUT_S)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError):
        # Without COMMIT the server can do nothing else, sooner or later.
        session.abort()


async def _committed(session: Session) -> None:
    """Returns when it is; raises asyncpg's error where the server refused, OUTCOME_UNKNOWN where it said nothing."""
    if not session.usable:
        raise unavailable()
    session.meter.begin(None)
    commit = asyncio.get_running_loop().create_task(_commit(session))
    cancelled: asyncio.CancelledError | None = None
    while not commit.done():
        try:
            await asyncio.wait((commit,))
        except asyncio.CancelledError as e:
            cancelled = e
    try:
        commit.result()
    except ConnectorError as e:
        if e.failure is Failure.OUTCOME_UNKNOWN or cancelled is None:
            raise
        raise cancelled from e
    except asyncpg.PostgresError as e:
        if cancelled is None:
            raise
        raise cancelled from e


async def _commit(session: Session) -> None:
    try:
        said = await session.protocol.query("COMMIT", _COMMIT_TIMEOUT_S)
    except asyncpg.PostgresError as e:
        if (e.sqlstate or "").startswith(_FATAL) or not session.usable:
            session.abort()
            raise ConnectorError(Failure.OUTCOME_UNKNOWN) from e
        raise
    except BaseException as e:
        session.abort()
        raise ConnectorError(Failure.OUTCOME_UNKNOWN) from e
    if said != "COMMIT":
        raise unavailable()
