"""The one connection of a file that writes, bound to one thread: a transaction at a time, behind a wall of its own."""

import marshal
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from connectors.contract import ConnectorError, Failure, Fault, ResultColumn, WriteLimits, WriteRunnable
from connectors.delivery import too_large
from connectors.sqlite.faults import is_busy, translated
from connectors.sqlite.schema_facts import SchemaFacts, read_facts
from connectors.sqlite.session import BATCH_BYTES, STEPS_BETWEEN_CHECKS, connect, harden, lenient_text, limit_values
from connectors.sqlite.write_wall import WriteWall

_RETRY_S = 0.01
_COMMIT_WAIT_S = 3.0
"""A commit that waits for readers keeps new ones out; theirs is a longer patience."""
_FOREVER = float("inf")
_CHANGES_ROWS = re.compile(r"\s*(INSERT|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_DEFINES = re.compile(r"\s*(CREATE|DROP|ALTER)\b", re.IGNORECASE)
"""The authorizer is not asked about EXPLAIN, and lets transactions begin."""
_SETTINGS = (
    "PRAGMA foreign_keys = ON",
    # Triggers that keep a full-text index in step may write to it; which functions they call is the wall's to say.
    "PRAGMA trusted_schema = ON",
    # A write that was answered must outlive the machine, in WAL mode too.
    "PRAGMA synchronous = FULL",
    # Pages beyond the cache are written before the commit, and lock readers out until it.
    "PRAGMA cache_size = -65536",
)
_measured = marshal.dumps
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """`rows`: those to deliver, without their check. `done`: the statement has no more."""

    rows: Sequence[Sequence[Any]]
    raw_bytes: int
    done: bool


class WritingSession:
    """All methods but `arm` and `stop` run on the session's own thread. Whatever raises has rolled back before."""

    def __init__(self, path: str, redact: Callable[[str], str] | None) -> None:
        self._path = path
        self._redact = redact
        self._connection: sqlite3.Connection | None = None
        self._closing = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._wall = WriteWall(frozenset())
        self._facts: SchemaFacts | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._deadline = 0.0
        self._stopped = threading.Event()
        self._limits: WriteLimits | None = None
        self._violations = 0
        self._defines = False
        self.columns: tuple[ResultColumn, ...] = ()
        self.affected = 0

    def arm(self) -> None:
        """Before `start` is handed to the thread, so that a `stop` in between is not lost."""
        self._stopped.clear()

    def stop(self) -> None:
        """Thread-safe: what runs ends with an interrupt. Never called once `commit` was handed to the thread."""
        self._stopped.set()
        with self._closing:
            if self._connection is not None:
                self._connection.interrupt()

    def start(self, statement: WriteRunnable, limits: WriteLimits, deadline: float) -> None:
        """Begins the transaction and runs the statement; `more` gives its rows. `deadline`: of the monotonic clock."""
        if (_DEFINES if statement.ddl else _CHANGES_ROWS).match(statement.sql) is None:
            raise ConnectorError(Failure.REFUSED_BY_WALL)
        self._deadline = deadline
        self._limits = limits
        self.columns, self.affected = (), 0
        try:
            self._start(statement, limits)
        except Exception as e:
            raise self._rolled_back(e) from e

    def _start(self, statement: WriteRunnable, limits: WriteLimits) -> None:
        connection, facts = self._begun()
        self._defines = statement.ddl
        if limits.dry_run and facts.defers:
            self._violations = self._foreign_key_violations(connection)
        limit_values(connection, limits.read.max_value_bytes)
        self._wall.begin(facts, ddl=statement.ddl)
        self._wall.own = False
        try:
            self._cursor = connection.execute(statement.sql, statement.args)
        finally:
            self._wall.own = True
        if statement.ddl:
            return
        if self._cursor.description is None or self._wall.target is None:
            raise ConnectorError(Failure.REFUSED_BY_WALL)
        if statement.returning:
            self.columns = tuple(ResultColumn(name=d[0], type="") for d in self._cursor.description[1:])

    def more(self, room: int | None) -> Touched:
        """At most `room` rows to deliver, and one beyond that tells there are more. None: none is delivered, all that
        is left is counted and checked."""
        try:
            return self._fetch(room)
        except Exception as e:
            raise self._rolled_back(e) from e

    def _fetch(self, room: int | None) -> Touched:
        assert self._cursor is not None
        assert self._limits is not None
        rows: list[tuple[Any, ...]] = []
        raw_bytes = 0
        for row in self._cursor:
            self._count(row[0])
            if room is None:
                continue
            given = row[1:]
            rows.append(given)
            if len(rows) <= room:
                size = len(_measured(given))
                most = self._limits.read.max_value_bytes
                if size > most and (column := too_large((given,), most)) is not None:
                    raise ConnectorError(Failure.VALUE_TOO_LARGE, column=column)
                raw_bytes += size
            if len(rows) > room or raw_bytes > BATCH_BYTES:
                return Touched(rows=rows, raw_bytes=raw_bytes, done=False)
        self._end_statement()
        return Touched(rows=rows, raw_bytes=raw_bytes, done=True)

    def _count(self, check: Any) -> None:
        assert self._limits is not None
        if check != 1:
            raise ConnectorError(Failure.STATEMENT, fault=Fault.ROW_FILTER)
        self.affected += 1
        if self._limits.max_affected is not None and self.affected > self._limits.max_affected:
            raise ConnectorError(Failure.STATEMENT, fault=Fault.TOO_MANY_AFFECTED)

    def finish_dry(self) -> None:
        """Everything that a commit would have checked, then nothing remains."""
        assert self._connection is not None
        assert self._facts is not None
        broken = False
        try:
            self._end_statement()
            if self._facts.defers:
                broken = self._foreign_key_violations(self._connection) > self._violations
        except Exception as e:
            raise self._rolled_back(e) from e
        self.roll_back()
        if broken:
            raise ConnectorError(Failure.STATEMENT, fault=Fault.INTEGRITY)

    def commit(self) -> None:
        """Returns when the change is durable. Raises OUTCOME_UNKNOWN where the engine itself cannot tell."""
        assert self._connection is not None
        try:
            self._end_statement()
            self._check_time()
            self._check_file()
            self._deadline = _FOREVER
            self._commit(self._connection)
        except Exception as e:
            raise self._rolled_back(e) from e
        self.roll_back()

    def _commit(self, connection: sqlite3.Connection) -> None:
        give_up = time.monotonic() + _COMMIT_WAIT_S
        while True:
            try:
                connection.execute("COMMIT")
            except sqlite3.OperationalError as e:
                if is_busy(e) and connection.in_transaction and time.monotonic() < give_up:
                    time.sleep(_RETRY_S)
                    continue
                if (e.sqlite_errorcode & 0xFF) == sqlite3.SQLITE_IOERR:
                    raise ConnectorError(Failure.OUTCOME_UNKNOWN) from e
                raise
            return

    def _begun(self) -> tuple[sqlite3.Connection, SchemaFacts]:
        """In a transaction, on the schema that this connection was opened with: virtual tables, once connected anew,
        would declare themselves to the wall."""
        while True:
            connection, facts = self._once_free(self._connected)
            self._once_free(partial(connection.execute, "BEGIN IMMEDIATE"))
            self._check_file()
            if connection.execute("PRAGMA schema_version").fetchone() == (facts.version,):
                return connection, facts
            self.close()

    def _once_free(self, step: Callable[[], _T]) -> _T:
        """Waits while others have the file to themselves, no longer than the write may take. Those are not only who
        write: in WAL mode, who opens it first or closes it last has it alone for a moment, the schema included."""
        while True:
            try:
                return step()
            except sqlite3.OperationalError as e:
                if not is_busy(e) or time.monotonic() > self._deadline or self._stopped.wait(_RETRY_S):
                    raise

    @staticmethod
    def _foreign_key_violations(connection: sqlite3.Connection) -> int:
        return sum(1 for _ in connection.execute("PRAGMA foreign_key_check"))

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise ConnectorError(Failure.TIMEOUT)

    def _check_file(self) -> None:
        """A transaction on a file that was replaced or removed would be lost."""
        if _file_at(self._path) != self._file:
            self.close()
            raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=1)

    def _connected(self) -> tuple[sqlite3.Connection, SchemaFacts]:
        file = _file_at(self._path)
        if self._connection is not None and self._facts is not None and file == self._file and file is not None:
            if self._connection.in_transaction:
                # Its caller went away together with the loop that should have rolled it back.
                self._connection.execute("ROLLBACK")
            return self._connection, self._facts
        self.close()
        if file is None:
            raise ConnectorError(Failure.UNAVAILABLE, retryable=True, retry_after_s=5)
        connection = connect(self._path, mode="rw", busy_timeout_s=0.0, cached_statements=0)
        try:
            connection.text_factory = lenient_text
            facts = read_facts(connection)
            self._wall = WriteWall(harden(connection, self._redact))
            for statement in _SETTINGS:
                connection.execute(statement)
            connection.set_authorizer(self._wall)
            connection.set_progress_handler(self._should_stop, STEPS_BETWEEN_CHECKS)
        except BaseException:
            connection.close()
            raise
        self._connection, self._file, self._facts = connection, file, facts
        return connection, facts

    def _should_stop(self) -> bool:
        return self._stopped.is_set() or time.monotonic() > self._deadline

    def _end_statement(self) -> None:
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.close()

    def _rolled_back(self, error: Exception) -> ConnectorError:
        refused, replaces = self._wall.refused, self._wall.replaces
        self._wall.refused = self._wall.replaces = False
        self.roll_back()
        if isinstance(error, ConnectorError):
            failed = error
        elif replaces:
            failed = ConnectorError(Failure.STATEMENT, fault=Fault.UNSUPPORTED)
        else:
            failed = translated(error, wall_refused=refused)
        if failed.failure in (Failure.UNAVAILABLE, Failure.OUT_OF_RESOURCES, Failure.OUTCOME_UNKNOWN):
            # The next write starts on a connection that saw none of this.
            self.close()
        return failed

    def roll_back(self) -> None:
        """Nothing of an open transaction remains, whether the engine ended it or not."""
        self._deadline = _FOREVER
        self._stopped.clear()
        with suppress(sqlite3.Error):
            self._end_statement()
        if self._defines:
            # Schema that was rolled back is read anew, and a new connection does that before the wall stands.
            self._defines = False
            self.close()
        if self._connection is None or not self._connection.in_transaction:
            return
        try:
            self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            # Closing a connection rolls back what it has open.
            self.close()

    def close(self) -> None:
        with self._closing:
            connection, self._connection = self._connection, None
        self._cursor = None
        if connection is not None:
            connection.close()


def _file_at(path: str) -> tuple[int, int] | None:
    try:
        seen = os.stat(path)
    except OSError:
        return None
    return seen.st_dev, seen.st_ino
