"""SQLSTATE to failure and fault: one table, the longest matching prefix wins. The engine's text is not looked at."""

import re

import asyncpg

from connectors.contract import ConnectorError, Failure, Fault

_BY_STATE: dict[str, tuple[Failure, Fault | None]] = {
    "08": (Failure.UNAVAILABLE, None),
    "0A": (Failure.STATEMENT, Fault.UNSUPPORTED),
    "21": (Failure.STATEMENT, Fault.CARDINALITY),
    "22": (Failure.STATEMENT, Fault.INVALID_VALUE),
    "22003": (Failure.STATEMENT, Fault.OUT_OF_RANGE),
    "22008": (Failure.STATEMENT, Fault.OUT_OF_RANGE),
    "22012": (Failure.STATEMENT, Fault.DIVISION_BY_ZERO),
    "22015": (Failure.STATEMENT, Fault.OUT_OF_RANGE),
    "23": (Failure.STATEMENT, Fault.INTEGRITY),
    "25": (Failure.UNAVAILABLE, None),
    "25001": (Failure.STATEMENT, Fault.UNSUPPORTED),
    "25006": (Failure.REFUSED_BY_WALL, None),
    "28": (Failure.UNAVAILABLE, None),
    "3D": (Failure.UNAVAILABLE, None),
    "3F": (Failure.STATEMENT, Fault.UNDEFINED_TABLE),
    "40": (Failure.UNAVAILABLE, None),
    "42": (Failure.STATEMENT, Fault.OTHER),
    "42501": (Failure.REFUSED_BY_WALL, None),
    "42601": (Failure.STATEMENT, Fault.SYNTAX),
    "42602": (Failure.STATEMENT, Fault.SYNTAX),
    "42622": (Failure.STATEMENT, Fault.SYNTAX),
    "42702": (Failure.STATEMENT, Fault.AMBIGUOUS),
    "42703": (Failure.STATEMENT, Fault.UNDEFINED_COLUMN),
    "42704": (Failure.STATEMENT, Fault.TYPE_MISMATCH),
    "42712": (Failure.STATEMENT, Fault.AMBIGUOUS),
    "42725": (Failure.STATEMENT, Fault.AMBIGUOUS),
    "42803": (Failure.STATEMENT, Fault.GROUPING),
    "42804": (Failure.STATEMENT, Fault.TYPE_MISMATCH),
    "42809": (Failure.STATEMENT, Fault.TYPE_MISMATCH),
    "42846": (Failure.STATEMENT, Fault.TYPE_MISMATCH),
    "42883": (Failure.STATEMENT, Fault.UNDEFINED_FUNCTION),
    "42P01": (Failure.STATEMENT, Fault.UNDEFINED_TABLE),
    "42P02": (Failure.STATEMENT, Fault.PARAMETER_TYPE),
    "42P08": (Failure.STATEMENT, Fault.PARAMETER_TYPE),
    "42P09": (Failure.STATEMENT, Fault.AMBIGUOUS),
    "42P10": (Failure.STATEMENT, Fault.UNDEFINED_COLUMN),
    "42P18": (Failure.STATEMENT, Fault.PARAMETER_TYPE),
    "42P19": (Failure.STATEMENT, Fault.UNSUPPORTED),
    "42P20": (Failure.STATEMENT, Fault.GROUPING),
    "42P21": (Failure.STATEMENT, Fault.TYPE_MISMATCH),
    "42P22": (Failure.STATEMENT, Fault.TYPE_MISMATCH),
    "44": (Failure.STATEMENT, Fault.ROW_FILTER),
    "53": (Failure.OUT_OF_RESOURCES, None),
    "53300": (Failure.UNAVAILABLE, None),
    "54": (Failure.OUT_OF_RESOURCES, None),
    "55": (Failure.UNAVAILABLE, None),
    "55P03": (Failure.TIMEOUT, None),
    "57": (Failure.UNAVAILABLE, None),
    "57014": (Failure.TIMEOUT, None),
    "58": (Failure.UNAVAILABLE, None),
    "XX000": (Failure.STATEMENT, Fault.OTHER),
}

_RETRY_AFTER_S = 2
_PARAMETER_CONTEXT = re.compile(r"portal.* parameter \$(\d+)")
_ARGUMENT = re.compile(r"query argument \$(\d+)")
_ENCODER_PREFIXES = ("invalid input for query argument $", "query argument $", "the server expects ")


def unavailable(*, retryable: bool = True) -> ConnectorError:
    return ConnectorError(Failure.UNAVAILABLE, retryable=retryable, retry_after_s=_RETRY_AFTER_S if retryable else None)


def of_state(sqlstate: str | None) -> tuple[Failure, Fault | None]:
    state = sqlstate or ""
    for length in (5, 2):
        known = _BY_STATE.get(state[:length])
        if known is not None:
            return known
    return Failure.STATEMENT, Fault.OTHER


def refused_argument(error: Exception) -> int | None:
    """The 0-based argument that asyncpg's encoder refused before anything was sent; -1: their number is wrong.

    The server's own data errors share a class with the encoder's; only the encoder's name an argument like this.
    """
    text = str(error)
    if isinstance(error, asyncpg.DataError | asyncpg.InterfaceError) and text.startswith(_ENCODER_PREFIXES):
        found = _ARGUMENT.search(text)
        return int(found[1]) - 1 if found is not None else -1
    return None


def translated(error: Exception) -> ConnectorError:
    """The connector's error for anything that asyncpg raises; the caller chains the original."""
    argument = refused_argument(error)
    if argument is not None:
        named = None if argument < 0 else argument
        return ConnectorError(Failure.STATEMENT, fault=Fault.PARAMETER_TYPE, parameter=named)
    match error:
        case ConnectorError():
            return error
        case asyncpg.PostgresError():
            return _of_server(error)
        case TimeoutError():
            return ConnectorError(Failure.TIMEOUT)
        case MemoryError():
            return ConnectorError(Failure.OUT_OF_RESOURCES)
        case _:
            return unavailable()


def _of_server(error: asyncpg.PostgresError) -> ConnectorError:
    if isinstance(error, asyncpg.PostgresConnectionError):
        return unavailable()
    failure, fault = of_state(error.sqlstate)
    if failure is Failure.UNAVAILABLE:
        return unavailable()
    if failure is Failure.STATEMENT:
        # The server names the parameter only in the context of its message: the number is taken, nothing else.
        found = _PARAMETER_CONTEXT.search(getattr(error, "context", None) or "")
        if found is not None:
            return ConnectorError(failure, fault=Fault.PARAMETER_TYPE, parameter=int(found[1]) - 1)
    return ConnectorError(failure, fault=fault)
