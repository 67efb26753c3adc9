"""One read-only SQLite connection, bound to one worker thread, behind the wall."""

import marshal
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from connectors.contract import ConnectorError, Failure, Limits, ResultColumn, Runnable
from connectors.delivery import too_large
from connectors.sqlite.faults import is_busy, translated
from connectors.sqlite.functions import register
from connectors.sqlite.wall import Wall

STEPS_BETWEEN_CHECKS = 4_000
_CACHED_STATEMENTS = 256
_LONGEST_WORKING_VALUE = 32 * 1024 * 1024
"""Values may be larger than an answer's cap inside the engine: an error that depended on the length of a hidden
stored value would tell that length. Only values above this (memory bombs) fail."""

BATCH_BYTES = 1024 * 1024
_READS = re.compile(r"\s*(SELECT|WITH|VALUES)\b", re.IGNORECASE)
"""The authorizer is not asked about EXPLAIN."""
_measured = marshal.dumps

_LIMITS = (
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 4 * 1024 * 1024),
    (sqlite3.SQLITE_LIMIT_EXPR_DEPTH, 1_000),
    (sqlite3.SQLITE_LIMIT_COMPOUND_SELECT, 500),
    (sqlite3.SQLITE_LIMIT_VDBE_OP, 5_000_000),
    (sqlite3.SQLITE_LIMIT_FUNCTION_ARG, 127),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 10_000),
    (sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 32_766),
    (sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 10),
    (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
)

_HARDENING = (
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA mmap_size = 0",
    "PRAGMA recursive_triggers = OFF",
)


def connect(
    path: str, *, busy_timeout_s: float = 5.0, mode: str = "ro", cached_statements: int = _CACHED_STATEMENTS
) -> sqlite3.Connection:
    """A connection without the wall, which never makes the file; raises sqlite3.Error."""
    return sqlite3.connect(
        f"file:{quote(path)}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=cached_statements,
        timeout=busy_timeout_s,
    )


def harden(connection: sqlite3.Connection, redact: Callable[[str], str] | None) -> frozenset[str]:
    """Everything but the wall itself; gives the names of the virtual-table modules, which the wall needs."""
    for statement in _HARDENING:
        connection.execute(statement)
    for category, most in _LIMITS:
        connection.setlimit(category, min(most, connection.getlimit(category)))
    modules = frozenset(name.lower() for (name,) in connection.execute("SELECT name FROM pragma_module_list"))
    _wake_virtual_tables(connection)
    register(connection, redact)
    return modules


def limit_values(connection: sqlite3.Connection, max_value_bytes: int) -> None:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, max(4 * max_value_bytes, _LONGEST_WORKING_VALUE))


def _wake_virtual_tables(connection: sqlite3.Connection) -> None:
    """Modules declare their tables and prepare their own statements when first touched: the wall would refuse."""
    connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").close()
    names = connection.execute("SELECT name FROM sqlite_schema WHERE sql LIKE 'CREATE VIRTUAL TABLE%'")
    for (name,) in names.fetchall():
        quoted = name.replace('"', '""')
        try:
            connection.execute(f'SELECT * FROM "{quoted}" LIMIT 0').close()  # noqa: S608 - quoted identifier
        except sqlite3.Error as e:
            if is_busy(e):
                raise
            # A module that this library lacks: the table cannot be read, and everything else can.
            continue


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """`raw_bytes`: what the values take, to bound their encoding."""

    columns: tuple[ResultColumn, ...]
    rows: Sequence[Sequence[Any]]
    raw_bytes: int
    done: bool


def lenient_text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


class Session:
    """All methods but `arm` and `stop` run on the session's own thread."""

    def __init__(self, path: str, redact: Callable[[str], str] | None = None) -> None:
        self._connection = connect(path)
        self._redact = redact
        try:
            self._wall = self._fortify()
        except BaseException:
            self._connection.close()
            raise
        self._cursor: sqlite3.Cursor | None = None
        self._columns: tuple[ResultColumn, ...] = ()
        self._deadline = 0.0
        self._stopped = threading.Event()
        self._max_value_bytes = 0

    def _fortify(self) -> Wall:
        connection = self._connection
        connection.execute("PRAGMA query_only = ON")
        wall = Wall(harden(connection, self._redact))
        connection.set_authorizer(wall)
        connection.set_progress_handler(self._should_stop, STEPS_BETWEEN_CHECKS)
        return wall

    def _should_stop(self) -> bool:
        return self._stopped.is_set() or time.monotonic() > self._deadline

    def arm(self) -> None:
        """Before `start` is handed to the thread, so that a `stop` in between is not lost."""
        self._stopped.clear()

    def stop(self) -> None:
        """Thread-safe: the running statement ends with an interrupt, at the latest after a few thousand steps."""
        self._stopped.set()
        self._connection.interrupt()

    def start(self, statement: Runnable, limits: Limits, rows_wanted: int) -> Fetched:
        self._deadline = time.monotonic() + limits.timeout_s
        self._max_value_bytes = limits.max_value_bytes
        limit_values(self._connection, limits.max_value_bytes)
        self._wall.refused = False
        try:
            try:
                return self._run(statement, rows_wanted)
            except sqlite3.OperationalError as e:
                if "could not decode" not in str(e).lower():
                    raise
                # Broken text in the file: replaced from here on, on this connection, instead of refused.
                self.finish()
                self._connection.text_factory = lenient_text
                return self._run(statement, rows_wanted)
        except Exception as e:
            self.finish()
            raise self._translated(e) from e

    def _run(self, statement: Runnable, rows_wanted: int) -> Fetched:
        if _READS.match(statement.sql) is None:
            raise ConnectorError(Failure.REFUSED_BY_WALL)
        self._cursor = self._connection.cursor()
        self._cursor.execute(statement.sql, statement.args)
        if self._cursor.description is None:
            raise ConnectorError(Failure.REFUSED_BY_WALL)
        self._columns = tuple(ResultColumn(name=d[0], type="") for d in self._cursor.description)
        return self._fetch(rows_wanted)

    def more(self, rows_wanted: int) -> Fetched:
        try:
            return self._fetch(rows_wanted)
        except Exception as e:
            self.finish()
            raise self._translated(e) from e

    def _fetch(self, rows_wanted: int) -> Fetched:
        """Row by row, because one row may be as large as a thousand others: what is held stays bounded."""
        assert self._cursor is not None
        rows: list[tuple[Any, ...]] = []
        raw_bytes = 0
        done = True
        for row in self._cursor:
            rows.append(row)
            size = len(_measured(row))
            if size > self._max_value_bytes and (column := too_large((row,), self._max_value_bytes)) is not None:
                raise ConnectorError(Failure.VALUE_TOO_LARGE, column=column)
            raw_bytes += size
            if len(rows) >= rows_wanted or raw_bytes > BATCH_BYTES:
                done = False
                break
        if done:
            self.finish()
        return Fetched(columns=self._columns, rows=rows, raw_bytes=raw_bytes, done=done)

    def _translated(self, error: Exception) -> ConnectorError:
        if isinstance(error, ConnectorError):
            return error
        return translated(error, wall_refused=self._wall.refused)

    def finish(self) -> None:
        """Ends the statement, and with it its read transaction."""
        cursor, self._cursor = self._cursor, None
        if cursor is not None:
            cursor.close()

    def close(self) -> None:
        self.finish()
        self._connection.close()
