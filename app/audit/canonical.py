"""RFC 8785 canonical JSON: equal values, equal bytes, so that a hash means something.

`canonical` is strict and refuses what JSON cannot carry exactly (lone surrogates, NaN, nesting beyond MAX_DEPTH).
`recordable` bends any value into one that `canonical` accepts: the log must be able to tell of hostile input too.
Integers beyond 53 bits become decimal strings in both: no JSON reader would read them back exactly.
"""

import math
from collections.abc import Mapping
from typing import Any

import orjson
import rfc8785

MAX_DEPTH = 100
MAX_EXACT_INT = 2**53 - 1
TOO_DEEP = "nested too deeply to record"

_FAST_TYPES = frozenset({str, int, bool, type(None)})
_FAST_OPTIONS = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
)


class NotCanonical(ValueError):  # noqa: N818 - a refusal of a value
    """The value has no exact JSON form; the text says why and quotes nothing of it."""


def canonical(value: Any) -> bytes:
    """The RFC 8785 bytes of a JSON value. Raises NotCanonical."""
    if type(value) is not dict:
        return _canonical_part(value, MAX_DEPTH)
    quick = value
    for key, item in value.items():
        if type(key) is not str or not key.isascii():
            return _slow(value, MAX_DEPTH)
        if type(item) not in _FAST_TYPES and not _same_in_orjson(item, MAX_DEPTH - 1):
            if quick is value:
                quick = dict(value)
            quick[key] = orjson.Fragment(_slow(item, MAX_DEPTH - 1))
    try:
        return orjson.dumps(quick, option=_FAST_OPTIONS)
    except orjson.JSONEncodeError:  # integers beyond 53 bits, lone surrogates
        return _slow(value, MAX_DEPTH)


def recordable(value: Any) -> Any:
    """The same value with everything replaced that `canonical` would refuse, visibly."""
    return _bent(value, MAX_DEPTH)


def canonical_of_anything(value: Any) -> bytes:
    """`canonical`, and for what it refuses, `canonical` of the recordable form. Total."""
    try:
        return canonical(value)
    except NotCanonical:
        return canonical(recordable(value))


def _canonical_part(value: Any, depth: int) -> bytes:
    if _same_in_orjson(value, depth):
        try:
            return orjson.dumps(value, option=_FAST_OPTIONS)
        except orjson.JSONEncodeError:  # as above
            return _slow(value, depth)
    return _slow(value, depth)


def _slow(value: Any, depth: int) -> bytes:
    try:
        return rfc8785.dumps(_exact(value, depth))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        raise NotCanonical("text with lone surrogates has no JSON form") from None


def _same_in_orjson(value: Any, depth: int) -> bool:
    """Provably the same bytes from orjson: no floats, ASCII keys (UTF-8 and UTF-16 order agree), exact types."""
    kind = type(value)
    if kind in _FAST_TYPES:
        return True
    if depth == 0:
        return False
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                return False
            if type(item) not in _FAST_TYPES and not _same_in_orjson(item, depth - 1):
                return False
        return True
    if kind is list or kind is tuple:
        for item in value:  # noqa: SIM110 - a generator costs as much as the whole loop
            if type(item) not in _FAST_TYPES and not _same_in_orjson(item, depth - 1):
                return False
        return True
    return False


def _exact(value: Any, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return str.__str__(value)
        case int():
            return int(value) if -MAX_EXACT_INT <= value <= MAX_EXACT_INT else _digits(value)
        case float():
            if not math.isfinite(value):
                raise NotCanonical("NaN and infinities have no JSON form")
            return float(value)
    if depth == 0:
        raise NotCanonical(f"nested deeper than {MAX_DEPTH} levels")
    match value:
        case Mapping():
            if not all(isinstance(key, str) for key in value):
                raise NotCanonical("object keys must be text")
            return {str.__str__(key): _exact(item, depth - 1) for key, item in value.items()}
        case list() | tuple():
            return [_exact(item, depth - 1) for item in value]
        case _:
            raise NotCanonical(f"{type(value).__name__} has no JSON form")


def _bent(value: Any, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return _visible(str.__str__(value))
        case int():
            return int(value) if -MAX_EXACT_INT <= value <= MAX_EXACT_INT else _digits(value)
        case float():
            return float(value) if math.isfinite(value) else repr(float(value))
        case bytes() | bytearray() | memoryview():
            return bytes(value).hex()
    if depth == 0:
        return TOO_DEEP
    match value:
        case Mapping():
            return {
                _visible(str.__str__(key) if isinstance(key, str) else type(key).__name__): _bent(item, depth - 1)
                for key, item in value.items()
            }
        case list() | tuple():
            return [_bent(item, depth - 1) for item in value]
        case set() | frozenset():
            return sorted((_bent(item, depth - 1) for item in value), key=canonical)
        case _:
            return f"<{type(value).__name__}>"


def _visible(text: str) -> str:
    """Lone surrogates become their escape, spelled out: the reader sees what was sent, and the bytes are UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # beyond Python's limit of decimal digits: hexadecimal has none
        return hex(value)
