"""How PostgreSQL values become JSON-ready Python values, and JSON values become parameters.

Everything that JSON has no form for travels as the server's own text. Session settings make that text unambiguous:
ISO dates in UTC, IntervalStyle postgres (so that `::text` in a statement reads as everywhere else).
"""

import re
from collections.abc import Callable, Sequence
from operator import methodcaller
from typing import Any

import orjson

BOOL, BYTEA, CHAR, INT8, INT2, INT4, TEXT, OID = 16, 17, 18, 20, 21, 23, 25, 26
JSON, JSONB, FLOAT4, FLOAT8, NUMERIC, UUID = 114, 3802, 700, 701, 1700, 2950
DATE, TIME, TIMESTAMP, TIMESTAMPTZ = 1082, 1083, 1114, 1184
BPCHAR, VARCHAR, NAME, UNKNOWN = 1042, 1043, 19, 705

Encoder = Callable[[Any], str]
Decoder = Callable[[str], Any]


def rfc3339_instant(text: str) -> str:
    """`2026-01-02 03:04:05.678+00` -> `2026-01-02T03:04:05.678Z`; infinity stays, BC stays behind the instant."""
    return text.replace(" ", "T", 1).replace("+00", "Z", 1)


rfc3339_local: Decoder = methodcaller("replace", " ", "T", 1)
"""Without offset: the type has none."""


def _as_text(value: Any) -> str:
    """The text that PostgreSQL's own input function reads, of any JSON value that has an obvious one."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return repr(value)
        case _:
            raise TypeError("not a scalar")


def _as_json(value: Any) -> str:
    """A string is JSON text already; everything else is encoded."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode()


_PLAIN: tuple[Encoder, Decoder] = (_as_text, str)
TEXT_CODECS: dict[int, tuple[Encoder, Decoder]] = {
    JSON: (_as_json, orjson.Fragment),
    JSONB: (_as_json, orjson.Fragment),
    FLOAT4: (_as_text, float),
    TIMESTAMP: (_as_text, rfc3339_local),
    TIMESTAMPTZ: (_as_text, rfc3339_instant),
}
NATIVE = frozenset({BOOL, BYTEA, INT8, INT2, INT4, TEXT, OID, FLOAT8, BPCHAR, VARCHAR, NAME, UNKNOWN})
"""asyncpg's own binary codecs: decoded in C, to bool, bytes, int, float, str."""


def codec_of(oid: int) -> tuple[Encoder, Decoder] | None:
    """The text codec of a scalar type, or None for the native ones."""
    if oid in NATIVE:
        return None
    return TEXT_CODECS.get(oid, _PLAIN)


_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*\Z")
_INT_RANGE = {INT2: 15, INT4: 31, INT8: 63}
_TRUE = frozenset({"t", "tr", "tru", "true", "y", "ye", "yes", "on", "1"})
_FALSE = frozenset({"f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0"})


def converted(value: Any, oid: int) -> Any:
    """A value that the native encoder of `oid` takes, where the quoted literal of the same text would be accepted.

    Raises ValueError: the value does not fit the type.
    """
    if isinstance(value, bool):
        if oid == BOOL:
            return value
        raise ValueError("a boolean is no value of that type")
    if oid in _INT_RANGE or oid == OID:
        return _integer(value, oid)
    if oid == FLOAT8 and isinstance(value, str | int | float):
        return float(value)
    if oid == BOOL and isinstance(value, str):
        word = value.strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    if oid == BYTEA and isinstance(value, str):
        return bytes.fromhex(value[2:]) if value.startswith("\\x") else value.encode("ascii")
    if oid in (TEXT, VARCHAR, BPCHAR, NAME, UNKNOWN) and isinstance(value, str):
        return value
    raise ValueError("the value does not fit the type")


def _integer(value: Any, oid: int) -> int:
    if isinstance(value, str):
        if _INTEGER.match(value) is None or len(value) > 40:
            raise ValueError("no integer")
        value = int(value)
    if not isinstance(value, int):
        raise TypeError("no integer")
    low, high = (0, 2**32 - 1) if oid == OID else (-(2 ** _INT_RANGE[oid]), 2 ** _INT_RANGE[oid] - 1)
    if not low <= value <= high:
        raise ValueError("out of range")
    return value


def refit(args: Sequence[Any], oids: Sequence[int]) -> tuple[list[Any], int | None]:
    """Arguments made to fit the inferred parameter types, and the index of the first that cannot (or None)."""
    fitted: list[Any] = []
    for index, (value, oid) in enumerate(zip(args, oids, strict=False)):
        if value is None or oid not in NATIVE or (isinstance(value, bytes) and oid == BYTEA):
            fitted.append(value)
            continue
        try:
            fitted.append(converted(value, oid))
        except (ValueError, TypeError, UnicodeError):
            return fitted, index
    return fitted, None
