"""Rows become JSON here, and only here: the same value has the same form whatever engine it came from.

Integers beyond 2^53 and every non-finite float become strings, bytes become base64; everything else is already in its
JSON form when a connector hands it over.
"""

import math
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import orjson

from connectors.contract import ResultColumn

_SAFE_INTEGER = 2**53 - 1
_FLOAT_TYPES = frozenset({"double precision", "real"})
_OPTIONS = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_SUBCLASS


def _unknown(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return b64encode(value).decode("ascii")
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(type(value).__name__)


def exact(value: Any) -> Any:
    """The JSON form of one value, however deep; slower than orjson's own path and complete."""
    match value:
        case None | bool() | orjson.Fragment():
            return value
        case int():
            return value if -_SAFE_INTEGER <= value <= _SAFE_INTEGER else str(value)
        case float():
            if math.isfinite(value):
                return value
            return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case bytes() | bytearray() | memoryview():
            return b64encode(value).decode("ascii")
        case dict():
            return {str(key): exact(item) for key, item in value.items()}
        case list() | tuple():
            return [exact(item) for item in value]
        case _:
            return str(value)


def _all_finite(column: Sequence[Any]) -> bool:
    """False when JSON would silently turn a value of the column (NaN, infinity) into null."""
    if float not in set(map(type, column)):
        return True
    return all(math.isfinite(value) for value in column if type(value) is float)


class RowEncoder:
    """Encodes batches of rows as the inside of a JSON array. `columns` names the types that the engine announced;
    with `dynamic` (SQLite) a declared type promises nothing about the values."""

    __slots__ = ("_floats", "_nested")

    def __init__(self, columns: Sequence[ResultColumn], *, dynamic: bool) -> None:
        self._floats = tuple(i for i, c in enumerate(columns) if dynamic or c.type in _FLOAT_TYPES)
        self._nested = any(c.type.endswith("[]") for c in columns)

    def encode(self, rows: Sequence[Sequence[Any]]) -> bytes:
        """`[1,"a"],[2,"b"]` for two rows; b"" for none."""
        if not self._nested and all(_all_finite([row[i] for row in rows]) for i in self._floats):
            try:
                return orjson.dumps(rows, _unknown, _OPTIONS)[1:-1]
            except (TypeError, orjson.JSONEncodeError):
                # An integer beyond 2^53 or a broken surrogate: the exact way below takes every value.
                pass
        return orjson.dumps([exact(row) for row in rows])[1:-1]
