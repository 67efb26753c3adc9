"""One answer per class of SQLite error. SQLite has few codes, so the messages it composes are told apart here, and
stay here."""

import sqlite3

from connectors.contract import ConnectorError, Failure, Fault

_BY_CODE: dict[int, tuple[Failure, Fault | None, bool]] = {
    sqlite3.SQLITE_AUTH: (Failure.REFUSED_BY_WALL, None, False),
    sqlite3.SQLITE_READONLY: (Failure.REFUSED_BY_WALL, None, False),
    sqlite3.SQLITE_PERM: (Failure.REFUSED_BY_WALL, None, False),
    sqlite3.SQLITE_TOOBIG: (Failure.VALUE_TOO_LARGE, None, False),
    sqlite3.SQLITE_NOMEM: (Failure.OUT_OF_RESOURCES, None, False),
    sqlite3.SQLITE_FULL: (Failure.OUT_OF_RESOURCES, None, True),
    sqlite3.SQLITE_INTERRUPT: (Failure.TIMEOUT, None, False),
    sqlite3.SQLITE_BUSY: (Failure.UNAVAILABLE, None, True),
    sqlite3.SQLITE_LOCKED: (Failure.UNAVAILABLE, None, True),
    sqlite3.SQLITE_SCHEMA: (Failure.UNAVAILABLE, None, True),
    sqlite3.SQLITE_CANTOPEN: (Failure.UNAVAILABLE, None, True),
    sqlite3.SQLITE_IOERR: (Failure.UNAVAILABLE, None, True),
    sqlite3.SQLITE_PROTOCOL: (Failure.UNAVAILABLE, None, True),
    sqlite3.SQLITE_CORRUPT: (Failure.UNAVAILABLE, None, False),
    sqlite3.SQLITE_NOTADB: (Failure.UNAVAILABLE, None, False),
    sqlite3.SQLITE_RANGE: (Failure.STATEMENT, Fault.PARAMETER_TYPE, False),
    sqlite3.SQLITE_MISMATCH: (Failure.STATEMENT, Fault.TYPE_MISMATCH, False),
    sqlite3.SQLITE_CONSTRAINT: (Failure.STATEMENT, Fault.INTEGRITY, False),
}

_BY_MESSAGE: tuple[tuple[str, Failure, Fault | None], ...] = (
    ("no such table", Failure.STATEMENT, Fault.UNDEFINED_TABLE),
    ("no such view", Failure.STATEMENT, Fault.UNDEFINED_TABLE),
    ("no such column", Failure.STATEMENT, Fault.UNDEFINED_COLUMN),
    ("has no column named", Failure.STATEMENT, Fault.UNDEFINED_COLUMN),
    ("no such function", Failure.STATEMENT, Fault.UNDEFINED_FUNCTION),
    ("wrong number of arguments", Failure.STATEMENT, Fault.UNDEFINED_FUNCTION),
    ("ambiguous column", Failure.STATEMENT, Fault.AMBIGUOUS),
    ("misuse of aggregate", Failure.STATEMENT, Fault.GROUPING),
    ("misuse of window", Failure.STATEMENT, Fault.GROUPING),
    ("aggregate functions are not allowed", Failure.STATEMENT, Fault.GROUPING),
    ("integer overflow", Failure.STATEMENT, Fault.OUT_OF_RANGE),
    ("malformed json", Failure.STATEMENT, Fault.INVALID_VALUE),
    ("could not decode", Failure.STATEMENT, Fault.INVALID_VALUE),
    ("incorrect number of bindings", Failure.STATEMENT, Fault.PARAMETER_TYPE),
    ("incomplete input", Failure.STATEMENT, Fault.SYNTAX),
    ("syntax error", Failure.STATEMENT, Fault.SYNTAX),
    ("unrecognized token", Failure.STATEMENT, Fault.SYNTAX),
    ("row value misused", Failure.STATEMENT, Fault.TYPE_MISMATCH),
    ("number of result columns", Failure.STATEMENT, Fault.TYPE_MISMATCH),
    ("sub-select returns", Failure.STATEMENT, Fault.TYPE_MISMATCH),
    ("string or blob too big", Failure.VALUE_TOO_LARGE, None),
    ("parser stack overflow", Failure.OUT_OF_RESOURCES, None),
    ("too deep", Failure.OUT_OF_RESOURCES, None),
    ("too many", Failure.OUT_OF_RESOURCES, None),
    ("too large", Failure.OUT_OF_RESOURCES, None),
    ("query_only", Failure.REFUSED_BY_WALL, None),
    ("readonly", Failure.REFUSED_BY_WALL, None),
    ("not authorized", Failure.REFUSED_BY_WALL, None),
    ("may not be modified", Failure.REFUSED_BY_WALL, None),
    ("cannot modify", Failure.STATEMENT, Fault.UNSUPPORTED),
    ("prohibited", Failure.REFUSED_BY_WALL, None),
)


def is_busy(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def translated(error: Exception, *, wall_refused: bool) -> ConnectorError:
    """The connector's error for anything that the sqlite3 module raises; the caller chains the original."""
    if wall_refused:
        return ConnectorError(Failure.REFUSED_BY_WALL)
    if isinstance(error, OverflowError):
        return ConnectorError(Failure.STATEMENT, fault=Fault.OUT_OF_RANGE)
    if isinstance(error, UnicodeError):
        return ConnectorError(Failure.STATEMENT, fault=Fault.INVALID_VALUE)
    if isinstance(error, MemoryError):
        return ConnectorError(Failure.OUT_OF_RESOURCES)
    if isinstance(error, sqlite3.DataError) and "too big" in str(error):
        return ConnectorError(Failure.VALUE_TOO_LARGE)
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and (known := _BY_CODE.get(code & 0xFF)) is not None:
        failure, fault, retryable = known
        return ConnectorError(failure, fault=fault, retryable=retryable, retry_after_s=1 if retryable else None)
    message = str(error).lower()
    for part, failure, fault in _BY_MESSAGE:
        if part in message:
            return ConnectorError(failure, fault=fault)
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.InterfaceError):
        return ConnectorError(Failure.STATEMENT, fault=Fault.PARAMETER_TYPE)
    return ConnectorError(Failure.STATEMENT, fault=Fault.OTHER)
